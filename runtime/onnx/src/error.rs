//! Why a model cannot be imported.

use core::fmt;

use bayplan_graph::ReadError;
use bayplan_text::{escape, plural};

/// An operator that is not supported, with where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedOp {
    /// Domain; empty for ONNX's own.
    pub domain: String,
    /// Operator.
    pub op: String,
    /// Version of the operator set that the model asks for; 0 if it names none.
    pub opset: i64,
    /// How many nodes use it.
    pub count: usize,
    /// Name of one of them.
    pub example: String,
}

/// Why a model cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportError {
    /// The file could not be read.
    Read(ReadError),
    /// The file ends within something.
    Truncated {
        /// Where the file ends, in bytes.
        offset: u64,
        /// What it ends within.
        what: &'static str,
        /// The tensor that it ends within, where that has a name by then.
        tensor: Option<String>,
        /// The last tensor before the end that is whole, where it ends within none that has a name.
        after: Option<String>,
        /// Bytes that are missing at least, where that is said before the end.
        missing: Option<u64>,
    },
    /// The file is no protobuf message of the expected kind.
    Malformed {
        /// Where, in bytes.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// The structure could not be decoded.
    Decode(String),
    /// A limit is exceeded.
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// Where: a name or byte offset.
        place: String,
    },
    /// The file is no model, or of a version that is not supported.
    Model(String),
    /// Operators that are not supported: all of them.
    Unsupported(Vec<UnsupportedOp>),
    /// A tensor of the model is not usable.
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// An entry of the model's metadata that is meant for bayplan is not usable.
    Metadata {
        /// Its key.
        key: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A node of the model is not usable.
    Node {
        /// Its name.
        node: String,
        /// Its operator.
        op: String,
        /// What is wrong and what to do.
        reason: String,
    },
}

impl ImportError {
    pub(crate) fn tensor(name: &str, reason: impl Into<String>) -> Self {
        Self::Tensor { name: name.to_owned(), reason: reason.into() }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(e) => write!(f, "the model cannot be read: {e}"),
            Self::Truncated { offset, what, tensor, after, missing } => {
                write!(f, "the model file ends at byte {offset} within {what}")?;
                if let Some(name) = tensor {
                    write!(f, ", `{}`", escape(name))?;
                }
                if let Some(name) = after {
                    write!(f, ", behind tensor `{}`", escape(name))?;
                }
                f.write_str("; it is incomplete, ")?;
                if let Some(missing) = missing {
                    write!(f, "at least {} more belong to it: ", plural(*missing, "byte"))?;
                }
                f.write_str("copy or download it again")
            }
            Self::Malformed { offset, reason } => {
                write!(f, "the file is no ONNX model, or damaged: at byte {offset}, {}", escape(reason))
            }
            Self::Decode(reason) => write!(f, "the file is no ONNX model, or damaged: {}", escape(reason)),
            Self::Limit { what, limit, place } => {
                write!(f, "{what} exceeds the limit of {limit} at {}", escape(place))
            }
            Self::Model(reason) => f.write_str(reason),
            Self::Unsupported(list) => {
                f.write_str("the model uses operators that are not supported:")?;
                for u in list {
                    let domain = if u.domain.is_empty() { "ai.onnx" } else { &u.domain };
                    write!(f, "\n  {}.{}", escape(domain), escape(&u.op))?;
                    match u.opset {
                        0 => f.write_str(" (no opset named)")?,
                        opset => write!(f, " (opset {opset})")?,
                    }
                    let nodes = if u.count == 1 { "node" } else { "nodes" };
                    write!(f, ": {} {nodes}, such as `{}`", u.count, escape(&u.example))?;
                }
                let foreign = list.iter().any(|u| !u.domain.is_empty() && u.domain != "ai.onnx");
                f.write_str("\nbayplan does not have them yet; export the model without them")?;
                if foreign { f.write_str(", or with ONNX's own operators of opset 1 to 28") } else { Ok(()) }
            }
            Self::Tensor { name, reason } => write!(f, "tensor `{}`: {}", escape(name), escape(reason)),
            Self::Metadata { key, reason } => write!(f, "metadata `{}`: {}", escape(key), escape(reason)),
            Self::Node { node, op, reason } => {
                write!(f, "node `{}` ({}): {}", escape(node), escape(op), escape(reason))
            }
        }
    }
}

impl std::error::Error for ImportError {}

impl From<ReadError> for ImportError {
    fn from(e: ReadError) -> Self {
        Self::Read(e)
    }
}
