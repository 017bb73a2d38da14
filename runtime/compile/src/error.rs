//! What can go wrong while compiling, told to people.

use core::fmt;

use bayplan_expr::{Bindings, Expr};
use bayplan_text::escape;

/// A node (or input or output) that cannot be computed on the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its name in the model.
    pub node: String,
    /// Its operator type in the model.
    pub op: String,
    /// Why.
    pub reason: String,
    /// If it is a tensor that is too large: its bytes as the symbols make them, and the most that there may be.
    pub bytes: Option<(Expr, u64)>,
}

impl Refused {
    pub(crate) fn new(node: &str, op: &str, reason: impl Into<String>) -> Self {
        Self { node: node.into(), op: op.into(), reason: reason.into(), bytes: None }
    }
}

/// Why a graph did not become a program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompileError {
    /// Symbols without a value, values that no symbol takes, or dimensions that do not fit together.
    Bind(String),
    /// A small constant could not be read.
    Constant {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A policy names an input or output that the model does not have.
    UnknownPort {
        /// The name.
        name: String,
        /// `input` or `output`.
        kind: &'static str,
        /// The names there are.
        names: Vec<String>,
    },
    /// An output whose size depends on data is to be the caller's.
    Sized {
        /// The output.
        name: String,
    },
    /// Nodes that cannot run on the target, all of them.
    Unsupported(Vec<Refused>),
    /// The problem of placing buffers is beyond what can be planned.
    Plan(String),
    /// Symbols that no input's shape determines, so that a run could not know their values.
    Undetermined {
        /// All of them.
        dims: Vec<String>,
    },
    /// Symbols without an upper bound: the plan is an expression, and no number of bytes is enough for all shapes.
    Unbounded {
        /// All of them.
        dims: Vec<String>,
    },
    /// A function's weights at a shape are not those of the other shapes and functions.
    Weights {
        /// The function.
        function: String,
        /// The shape.
        dims: Bindings,
    },
    /// Arenas of several allocations, which shapes cannot share.
    Blocks {
        /// The arena.
        arena: &'static str,
        /// Bytes that the device allocates at once.
        max: u64,
        /// Dims with the largest bound at which one allocation is enough while the others keep theirs.
        fitting: Vec<(String, i64)>,
    },
    /// What the shapes within the bounds need is not known yet: nothing was looked at but what was asked for.
    Unexplored,
    /// A shape needs more than was reserved for all. This is a defect of bayplan.
    Reserved {
        /// The shape.
        dims: Bindings,
    },
    /// A shape whose dims broadcast against each other needs more than was reserved for shapes where they are equal.
    Spread {
        /// The shape.
        dims: Bindings,
    },
    /// Ifs whose conditions follow from data: which of their bodies runs is not known before.
    Branches {
        /// The model.
        model: String,
        /// The nodes.
        nodes: Vec<String>,
    },
    /// The ways through the model's Ifs: too many, or one that cannot be taken.
    Paths(String),
    /// The finished program did not pass the verifier. This is a defect of bayplan.
    Verify(String),
}

/// Nodes of one message; its last line names all operators.
const LISTED: usize = 16;

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(reason) | Self::Paths(reason) => f.write_str(reason),
            Self::Constant { name, reason } => {
                write!(f, "the constant {} cannot be read: {reason}", escape(name))
            }
            Self::UnknownPort { name, kind, names } => {
                let names: Vec<_> = names.iter().map(|name| escape(name).to_string()).collect();
                let names = names.join(", ");
                write!(
                    f,
                    "a policy names the {kind} {}, which the model does not have; it has {names}",
                    escape(name)
                )
            }
            Self::Sized { name } => write!(
                f,
                "the size of the output {} depends on data: it is cut when it is read, and can only be lent (borrow)",
                escape(name)
            ),
            Self::Unsupported(nodes) => {
                writeln!(f, "the model has parts that cannot run on this device:")?;
                for node in nodes.iter().take(LISTED) {
                    writeln!(f, "  {} ({}): {}", escape(&node.node), escape(&node.op), node.reason)?;
                }
                if nodes.len() > LISTED {
                    writeln!(f, "  and {} more", nodes.len() - LISTED)?;
                }
                let mut ops: Vec<&str> = nodes.iter().map(|node| node.op.as_str()).collect();
                ops.sort_unstable();
                ops.dedup();
                write!(f, "unsupported: {}", escape(&ops.join(", ")))
            }
            Self::Undetermined { dims } => write!(
                f,
                "the inputs' shapes do not determine the dims {}; give them values (--dim NAME=VALUE)",
                listed(dims)
            ),
            Self::Unbounded { dims } => write!(
                f,
                "no memory can be reserved: the dims {} have no upper bound; give one (--dim-max NAME=N) or a value \
                 (--dim NAME=VALUE)",
                listed(dims)
            ),
            Self::Weights { function, dims } => write!(
                f,
                "the weights of `{}` at {dims} differ from those of other shapes; give the dims values (--dim NAME=VALUE)",
                escape(function)
            ),
            Self::Blocks { arena, max, fitting } => {
                write!(
                    f,
                    "the {arena} of the largest shapes need more than the device allocates at once ({max} bytes, \
                     maxMemoryAllocationSize), and only one shape alone can have several allocations; give the dims values \
                     (--dim NAME=VALUE) or smaller bounds"
                )?;
                let options = fitting.iter().map(|(dim, bound)| format!("--dim-max {}={bound}", escape(dim)));
                match options.collect::<Vec<_>>().join(" or ") {
                    options if options.is_empty() => {
                        f.write_str(" (--dim-max NAME=N), of several dims together")
                    }
                    options => write!(f, ": {options} fits while the others keep theirs"),
                }
            }
            Self::Branches { model, nodes } => {
                let mut nodes = nodes.clone();
                nodes.dedup();
                write!(
                    f,
                    "which way `{}` takes through its Ifs follows from data ({}), and one program has one way; compile a \
                     family (Family::new, Model::family) or open a session on the model (Model::session), which choose \
                     at each run",
                    escape(model),
                    listed(&nodes)
                )
            }
            Self::Unexplored => f.write_str(
                "what the shapes within the bounds need at most was not looked for; take the part of the bounds that is to run \
                 (Family::within)",
            ),
            Self::Reserved { dims } => write!(
                f,
                "at {dims} the program needs more memory than was reserved; this is a defect of bayplan, please report \
                 it with the model"
            ),
            Self::Spread { dims } => write!(
                f,
                "at {dims} dims that else are equal broadcast against each other, and the program needs more memory than \
                 was reserved; give the dims that are 1 a value (--dim NAME=1)"
            ),
            Self::Plan(reason) => write!(f, "the buffers cannot be planned: {reason}"),
            Self::Verify(reason) => write!(
                f,
                "the compiled program did not pass verification: {reason}; this is a defect of bayplan, please report it \
                 with the model"
            ),
        }
    }
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| escape(name).to_string()).collect::<Vec<_>>().join(", ")
}

impl std::error::Error for CompileError {}
