//! What can go wrong on the host, told to people.

use core::fmt;
use core::time::Duration;

use bayplan_compile::session::{Cancelled, OutputError, OverBudget};
use bayplan_compile::{CompileError, InputError};
use bayplan_record::RecordError;
use bayplan_text::{Bytes, Nanos, escape};
use bayplan_trace::Severity;

/// A dispatch, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whether it loads weights or runs.
    pub phase: crate::Phase,
    /// Its number in its stage.
    pub index: usize,
    /// The first value it makes.
    pub name: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.phase {
            crate::Phase::Load => "load dispatch",
            crate::Phase::Run => "dispatch",
        };
        write!(f, "{stage} {} ({})", self.index, escape(&self.name))
    }
}

/// Why a program could not be loaded or run on the host.
#[derive(Debug)]
#[non_exhaustive]
pub enum HostError {
    /// There is no such dispatch.
    Dispatch {
        /// Which stage.
        phase: crate::Phase,
        /// The number asked for.
        index: usize,
        /// Dispatches of the stage.
        count: usize,
    },
    /// A window does not lie where it must, or its buffer is not alive. A defect of the program.
    Window {
        /// The dispatch.
        place: Place,
        /// The buffer.
        buffer: String,
        /// What is wrong.
        problem: String,
    },
    /// A dispatch writes bytes that it also uses through another window. A defect of the program.
    Hazard {
        /// The dispatch.
        place: Place,
        /// The buffer that is written.
        written: String,
        /// The buffer used in the same bytes.
        other: String,
        /// The first byte of both, in their arena.
        byte: u64,
    },
    /// A dispatch or the caller reads bytes that hold nothing: never written, or dead. A defect of the program.
    Unwritten {
        /// The dispatch; `None` for an output read by the caller.
        place: Option<Place>,
        /// The buffer.
        buffer: String,
        /// The first such byte, in its arena.
        byte: u64,
    },
    /// Bytes that belong to no live buffer were changed. A defect of the program or of who executed it.
    Overrun {
        /// The dispatch after which it was found; `None` at the end of a run.
        place: Option<Place>,
        /// The arena.
        arena: &'static str,
        /// The first such byte.
        byte: u64,
    },
    /// A dispatch's spec is not sound: the compiler makes none like it.
    Spec {
        /// The dispatch.
        place: Place,
        /// What is wrong.
        problem: String,
    },
    /// Memory for an arena is not there.
    Memory {
        /// The arena.
        arena: &'static str,
        /// Bytes it takes.
        bytes: u64,
    },
    /// A weight could not be read.
    Weights {
        /// The constant.
        name: String,
        /// Why.
        reason: String,
    },
    /// The program was run before its weights were loaded.
    NotLoaded,
    /// The tensors given for a run are not those that the program takes.
    Input(InputError),
    /// An output cannot go where it should.
    Output(OutputError),
    /// The shape needs more memory than the session was given.
    Budget(OverBudget),
    /// Loading was cancelled.
    Cancelled(Cancelled),
    /// The model has no program for the shape.
    Compile(CompileError),
    /// A caller's buffer does not take what is to be written there.
    Buffer {
        /// What is wrong.
        problem: String,
    },
    /// The program is not sound: it was changed after it was compiled.
    Program {
        /// Its name.
        name: String,
        /// The rule that is broken.
        reason: String,
    },
    /// The recording could not be made.
    Recording(RecordError),
    /// A run did not end within the time limit.
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// An input or output does not lie where it must. A defect of the program.
    Port {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

impl HostError {
    /// What recordings are told of it as.
    pub(crate) fn severity(&self) -> Severity {
        if matches!(self, Self::Cancelled(_)) { Cancelled::SEVERITY } else { Severity::Error }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = "this is a defect of bayplan, please report it with the model";
        match self {
            Self::Dispatch { phase, index, count } => {
                write!(f, "there is no dispatch {index} in the {phase:?} stage, which has {count}")
            }
            Self::Window { place, buffer, problem } => {
                write!(f, "{place}: its window on {}: {problem}; {report}", escape(buffer))
            }
            Self::Hazard { place, written, other, byte } => {
                let (written, other) = (escape(written), escape(other));
                write!(
                    f,
                    "{place} writes {written} while it uses {other} in the same bytes, from byte {byte} on; {report}"
                )
            }
            Self::Unwritten { place, buffer, byte } => {
                match place {
                    Some(place) => write!(f, "{place} reads")?,
                    None => f.write_str("the caller reads")?,
                }
                write!(
                    f,
                    " byte {byte} of {}, which nothing has written or which is dead; {report}",
                    escape(buffer)
                )
            }
            Self::Overrun { place, arena, byte } => {
                match place {
                    Some(place) => write!(f, "after {place}")?,
                    None => f.write_str("after the run")?,
                }
                write!(
                    f,
                    " byte {byte} of the {arena} arena is changed, though no live tensor has it; {report}"
                )
            }
            Self::Spec { place, problem } => write!(f, "{place}: {problem}; {report}"),
            Self::Memory { arena, bytes } => write!(
                f,
                "the {arena} arena takes {}, which this machine does not have; bind smaller dims or free memory",
                Bytes(*bytes)
            ),
            Self::Weights { name, reason } => {
                write!(f, "the weight {} cannot be loaded: {reason}", escape(name))
            }
            Self::NotLoaded => f.write_str("the weights are not loaded; load them before the first run"),
            Self::Input(e) => e.fmt(f),
            Self::Output(e) => e.fmt(f),
            Self::Budget(e) => e.fmt(f),
            Self::Cancelled(e) => e.fmt(f),
            Self::Compile(e) => e.fmt(f),
            Self::Buffer { problem } => {
                write!(
                    f,
                    "the tensor cannot be written: {problem}; make one that is large enough for its type and shape"
                )
            }
            Self::Program { name, reason } => write!(
                f,
                "the program {} is not sound: {reason}; run a program as the compiler made it",
                escape(name)
            ),
            Self::Recording(e) => write!(f, "the recording cannot be made: {e}"),
            Self::Timeout { limit } => {
                let limit = Nanos(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX));
                write!(f, "the run did not end within {limit}; give it more time")
            }
            Self::Port { name, problem } => write!(f, "{}: {problem}; {report}", escape(name)),
        }
    }
}

impl std::error::Error for HostError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Input(e) => Some(e),
            Self::Output(e) => Some(e),
            Self::Budget(e) => Some(e),
            Self::Cancelled(e) => Some(e),
            Self::Compile(e) => Some(e),
            Self::Recording(e) => Some(e),
            _ => None,
        }
    }
}

impl From<InputError> for HostError {
    fn from(e: InputError) -> Self {
        Self::Input(e)
    }
}

impl From<OutputError> for HostError {
    fn from(e: OutputError) -> Self {
        Self::Output(e)
    }
}

impl From<OverBudget> for HostError {
    fn from(e: OverBudget) -> Self {
        Self::Budget(e)
    }
}

impl From<Cancelled> for HostError {
    fn from(e: Cancelled) -> Self {
        Self::Cancelled(e)
    }
}

impl From<CompileError> for HostError {
    fn from(e: CompileError) -> Self {
        Self::Compile(e)
    }
}

impl From<RecordError> for HostError {
    fn from(e: RecordError) -> Self {
        Self::Recording(e)
    }
}
