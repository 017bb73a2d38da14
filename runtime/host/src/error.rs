//! What can go wrong on the host, told to people.

use core::fmt;

use bayplan_text::{Bytes, escape};

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
    /// An input or output does not lie where it must. A defect of the program.
    Port {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
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
            Self::Port { name, problem } => write!(f, "{}: {problem}; {report}", escape(name)),
        }
    }
}

impl std::error::Error for HostError {}
