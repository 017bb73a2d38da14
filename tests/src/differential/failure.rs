//! What a comparison found.

use core::fmt;

/// What differed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The compiler failed otherwise than by refusing.
    Compile,
    /// Something panicked.
    Panic,
    /// The engine or the driver failed.
    Engine,
    /// A dispatch's result is further from the host's than its bound.
    Dispatch,
    /// A dispatch changed bytes that are not its result's.
    Stray,
    /// The recorded run left other bytes than its dispatches one by one.
    WholeRun,
    /// A session answered otherwise than the dispatches one by one.
    Session,
    /// The host's executor failed, or answered otherwise than the reference evaluation.
    Host,
    /// The validation layer or the driver said something.
    Validation,
}

/// A difference, told to people.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What differed.
    pub kind: Kind,
    /// The family of the dispatch, or what else tells this failure from others of its kind.
    pub family: String,
    /// All that is known.
    pub text: String,
}

impl Failure {
    /// A failure of no dispatch.
    pub(super) fn new(kind: Kind, text: impl fmt::Display) -> Self {
        Self { kind, family: String::new(), text: text.to_string() }
    }

    /// Whether another failure is likely the same one.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.kind, &self.family) == (other.kind, &other.family)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)?;
        if !self.family.is_empty() {
            write!(f, " ({})", self.family)?;
        }
        write!(f, ": {}", self.text)
    }
}
