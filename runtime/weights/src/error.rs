//! Why weights cannot be read.

use core::fmt;
use std::path::PathBuf;

use bayplan_graph::{Digest, ReadError};
use bayplan_text::{Count, escape};

use crate::unfit::Unfit;

/// Why weights cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightsError {
    /// A file cannot be opened.
    Open {
        /// Its path.
        path: PathBuf,
        /// A tensor that needs it; `None` for the model itself.
        tensor: Option<String>,
        /// The system's reason.
        reason: String,
    },
    /// A file is too short for a tensor.
    Truncated {
        /// Its path.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Byte at which the tensor ends.
        end: u64,
        /// Bytes in the file.
        len: u64,
    },
    /// A tensor's bytes are not those that the model was packed with.
    Digest(Box<Damage>),
    /// A file beside the model is a link to one outside of the model's folder.
    Outside {
        /// Its path, as the model names it.
        path: PathBuf,
        /// A tensor that lies in it.
        tensor: Option<String>,
        /// Where the link leads.
        target: PathBuf,
    },
    /// A tensor whose place makes no sense: a file that the graph does not name, or an end beyond 2^64.
    Place {
        /// The tensor.
        tensor: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A file of weights by name that cannot be opened, or does not hold what its format says.
    Named {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A list of rules for names that cannot be used.
    Rules {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Tensors by name and the model's weights do not fit together.
    Unfit(Box<Unfit>),
    /// Reading failed.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: ReadError,
    },
    /// The buffer given is not as long as the constant.
    Buffer {
        /// Bytes of the constant.
        expected: u64,
        /// Bytes of the buffer.
        actual: u64,
    },
}

/// A tensor that is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// The tensor.
    pub tensor: String,
    /// Its first byte in the file.
    pub offset: u64,
    /// Its bytes.
    pub len: u64,
    /// What they should hash to.
    pub expected: Digest,
    /// What they hash to.
    pub found: Digest,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, tensor, offset, len, expected, found } = self;
        write!(
            f,
            "`{}` is damaged: tensor `{}`, {} bytes from byte {offset} on, has the digest {found}, not {expected}; copy or \
             download the file again",
            escape(&path.to_string_lossy()),
            escape(tensor),
            Count(*len)
        )
    }
}

impl fmt::Display for WeightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |path: &PathBuf| escape(&path.to_string_lossy()).to_string();
        match self {
            Self::Open { path, tensor: None, reason } => {
                write!(f, "cannot open the model `{}`: {reason}", show(path))
            }
            Self::Open { path, tensor: Some(tensor), reason } => write!(
                f,
                "cannot open `{}`, which holds tensor `{}`: {reason}; put the file beside the model, or give --weights a file \
                 with its tensors",
                show(path),
                escape(tensor)
            ),
            Self::Truncated { path, tensor, end, len } => write!(
                f,
                "`{}` has {len} bytes, but tensor `{}` ends at byte {end}; the file is incomplete or belongs to \
                 another model, copy or download it again",
                show(path),
                escape(tensor)
            ),
            Self::Digest(damage) => damage.fmt(f),
            Self::Outside { path, tensor, target } => {
                write!(f, "`{}`", show(path))?;
                if let Some(tensor) = tensor {
                    write!(f, ", which holds tensor `{}`,", escape(tensor))?;
                }
                write!(
                    f,
                    " leads to `{}`, outside of the model's folder, where a model may not reach; put the file itself beside \
                     the model",
                    show(target)
                )
            }
            Self::Place { tensor, reason } => {
                write!(f, "tensor `{}`: {reason}; export the model again", escape(tensor))
            }
            Self::Named { path, reason } => write!(f, "`{}`: {reason}", show(path)),
            Self::Rules { line, reason } => write!(f, "line {line}: {reason}"),
            Self::Unfit(unfit) => unfit.fmt(f),
            Self::Read { path, error } => write!(f, "`{}`: {error}", show(path)),
            Self::Buffer { expected, actual } => {
                write!(f, "a constant of {expected} bytes does not fit a buffer of {actual}")
            }
        }
    }
}

impl std::error::Error for WeightsError {}
