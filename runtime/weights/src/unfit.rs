//! What does not fit between a file of tensors and a model's weights, in words.

use core::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bayplan_graph::TensorType;
use bayplan_text::{ellipsis, escape};

/// Names of each kind that a message lists.
const SHOWN: usize = 20;

/// Columns of a name in a message.
const NAME: usize = 60;

/// How tensors and weights do not fit together: everything at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unfit {
    /// The file.
    pub path: PathBuf,
    /// Weights of the model that no tensor is for.
    pub missing: Vec<Missing>,
    /// Tensors that are for no weight of the model.
    pub left_over: Vec<LeftOver>,
    /// Tensors that do not go where their names say, each in a line of words.
    pub wrong: Vec<String>,
    /// Rules that would fit every name, where there are such.
    pub rules: Option<String>,
}

/// A weight without a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name in the model.
    pub name: Arc<str>,
    /// Its type.
    pub ty: TensorType,
    /// The tensor that is left over whose name is most like it.
    pub nearest: Option<Arc<str>>,
}

/// A tensor for no weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOver {
    /// Its name in the file.
    pub name: Arc<str>,
    /// What a rule makes of the name, and the line of the rule, from 1; `None` where no rule fits.
    pub led: Option<(String, usize)>,
}

impl LeftOver {
    /// The name that the model was searched for.
    pub(crate) fn wanted(&self) -> &str {
        self.led.as_ref().map_or(&self.name, |(wanted, _)| wanted)
    }
}

impl Unfit {
    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.left_over.is_empty() && self.wrong.is_empty()
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` does not fit the model:", escape(&self.path.to_string_lossy()))?;
        list(
            f,
            &self.missing,
            ["weight of the model is", "weights of the model are"],
            "without a tensor of the same name",
            |f, missing| {
                write!(f, "{} {}", ellipsis(&missing.name, NAME), missing.ty)?;
                match &missing.nearest {
                    Some(nearest) => write!(f, "; most like it: {}", ellipsis(nearest, NAME)),
                    None => Ok(()),
                }
            },
        )?;
        list(
            f,
            &self.left_over,
            ["tensor is", "tensors are"],
            "left over, for no weight of the model",
            |f, LeftOver { name, led }| {
                write!(f, "{}", ellipsis(name, NAME))?;
                match led {
                    Some((wanted, line)) => {
                        write!(f, ", by line {line} of the rules for `{}`", ellipsis(wanted, NAME))
                    }
                    None => Ok(()),
                }
            },
        )?;
        list(f, &self.wrong, ["tensor does", "tensors do"], "not go where the name says", |f, line| {
            f.write_str(line)
        })?;
        match &self.rules {
            Some(rules) => write!(f, "\nevery name fits with this line in a file for --weight-names:\n  {rules}"),
            None if self.missing.is_empty() && self.left_over.is_empty() => Ok(()),
            None => f.write_str("\nrules in a file for --weight-names map the names, PATTERN => NAME, or => - to leave one out"),
        }
    }
}

/// The first of a list, a line each, under how many there are.
fn list<T>(
    f: &mut fmt::Formatter<'_>,
    all: &[T],
    [one, many]: [&str; 2],
    what: &str,
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    if all.is_empty() {
        return Ok(());
    }
    write!(f, "\n{} {} {what}", all.len(), if all.len() == 1 { one } else { many })?;
    for item in all.iter().take(SHOWN) {
        f.write_str("\n  ")?;
        write(f, item)?;
    }
    match all.len().checked_sub(SHOWN) {
        None | Some(0) => Ok(()),
        Some(more) => write!(f, "\n  and {more} more"),
    }
}
