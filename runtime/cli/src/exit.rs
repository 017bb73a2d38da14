//! Exit codes: 0 done, 1 error, 2 wrong usage, 3 the model is unsupported.

use std::process::ExitCode;

/// Why a command failed: what to print on standard error, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

/// What a command answers.
pub(crate) type Outcome = Result<ExitCode, Failure>;

impl Failure {
    /// An error.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// Arguments that do not fit the model or each other.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }

    /// Prints the message; answers the exit code.
    pub(crate) fn report(self) -> ExitCode {
        eprintln!("error: {}", self.message);
        ExitCode::from(self.code)
    }
}

impl From<bayplan::Error> for Failure {
    fn from(e: bayplan::Error) -> Self {
        Self { message: e.to_string(), code: if e.is_unsupported() { 3 } else { 1 } }
    }
}

impl From<bayplan::EngineError> for Failure {
    fn from(e: bayplan::EngineError) -> Self {
        bayplan::Error::from(e).into()
    }
}

impl From<bayplan_record::RecordError> for Failure {
    fn from(e: bayplan_record::RecordError) -> Self {
        Self::new(e.to_string())
    }
}
