//! Sizes that follow from elements of inputs: computed on the host before a run.
//!
//! ```text
//!   scales (f32[2]) ─ Mul ─ Floor ─ Cast ─ sizes         the floats are data, and stay so
//!   Shape of x ────────┘                  ↓ cut here
//!                          Y.size0, Y.size1             symbols: what is planned knows these integers alone
//! ```

use core::fmt;
use std::sync::Arc;

use bayplan_expr::Bindings;

use crate::{BindError, Graph, GraphEvalError, NoFiles, Tensor, eval};

/// Symbols whose values a small graph computes from elements of inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prologue {
    /// The symbols, in the order of the elements.
    pub symbols: Vec<Arc<str>>,
    /// Computes them: one output, integers. Its inputs are some of the model's, by name; what follows from shapes is
    /// [`ValueSource::Symbolic`](crate::ValueSource::Symbolic).
    pub graph: Arc<Graph>,
}

/// Why symbols have no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrologueError {
    /// An input is not given, or its elements are not at hand.
    Input {
        /// Its name.
        name: Arc<str>,
    },
    /// The shapes do not fit.
    Bind(BindError),
    /// The elements do not.
    Eval(GraphEvalError),
    /// There are not as many integers as symbols: a defect.
    Count,
}

impl fmt::Display for PrologueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input { name } => {
                let name = bayplan_text::escape(name);
                write!(f, "sizes follow from elements of input `{name}`; give it as a host tensor")
            }
            Self::Bind(e) => e.fmt(f),
            Self::Eval(e) => e.fmt(f),
            Self::Count => f.write_str("there are not as many sizes as symbols; this is a defect of bayplan"),
        }
    }
}

impl std::error::Error for PrologueError {}

impl Prologue {
    /// The symbols' values at a run: `dims` are the sizes of its inputs, `input` their elements where those are at hand.
    ///
    /// # Errors
    /// [`PrologueError`]: an input is not at hand, or nothing can be computed from it.
    pub fn values<'t>(
        &self,
        dims: &Bindings,
        input: &dyn Fn(&str) -> Option<&'t Tensor>,
    ) -> Result<Vec<(Arc<str>, i64)>, PrologueError> {
        let free = self.graph.free_symbols();
        let own = dims.iter().filter(|(name, _)| free.contains(*name));
        let own: Bindings = own.map(|(name, value)| (name.to_owned(), value)).collect();
        let bound = self.graph.bind(&own).map_err(PrologueError::Bind)?;
        let given = |&id: &crate::ValueId| {
            let name = &bound.value(id).name;
            input(name).cloned().ok_or_else(|| PrologueError::Input { name: name.clone() })
        };
        let given: Vec<Tensor> = bound.inputs.iter().map(given).collect::<Result<_, _>>()?;
        let made = eval(&bound, &given, &NoFiles).map_err(PrologueError::Eval)?;
        let made = made.first().and_then(|tensor| tensor.to_i64().ok()).unwrap_or_default();
        if made.len() != self.symbols.len() {
            return Err(PrologueError::Count);
        }
        Ok(self.symbols.iter().cloned().zip(made).collect())
    }
}
