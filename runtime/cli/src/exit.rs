//! Exit codes: 0 done, 1 error, 2 wrong usage, 3 the model is unsupported, 4 an assertion could not be judged.

use std::process::ExitCode;

use bayplan_onnx::{ImportError, UnsupportedOp};
use bayplan_text::escape;

use crate::out;

/// Why a command failed: what to print on standard error, and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    message: String,
    code: u8,
    /// Whether the device or its driver failed.
    device: bool,
}

/// The exit code of a model that uses what is not supported.
const UNSUPPORTED: u8 = 3;

/// The exit code where nothing failed and something could not be judged.
pub(crate) const UNJUDGED: u8 = 4;

/// What a command answers.
pub(crate) type Outcome = Result<ExitCode, Failure>;

impl Failure {
    /// An error.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1, device: false }
    }

    /// Arguments that do not fit the model or each other.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2, device: false }
    }

    /// The same where nobody knows whether what is asserted holds; wrong usage stays what it is.
    pub(crate) fn unjudged(self) -> Self {
        let code = if self.code == 1 { UNJUDGED } else { self.code };
        Self { code, ..self }
    }

    /// What is printed.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Whether the model uses what is not supported.
    pub(crate) fn is_unsupported(&self) -> bool {
        self.code == UNSUPPORTED
    }

    /// Whether the device or its driver failed: what comes next had better open it again.
    pub(crate) fn is_of_device(&self) -> bool {
        self.device
    }

    /// Whether the message names something already.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        self.message.contains(name)
    }

    /// The same, with what it is about in front.
    pub(crate) fn about(self, name: &str) -> Self {
        Self { message: format!("{name}: {}", self.message), ..self }
    }

    /// Prints the message; answers the exit code.
    pub(crate) fn report(self) -> ExitCode {
        out::error_line("error", &self.message);
        ExitCode::from(self.code)
    }

    #[cfg(test)]
    pub(crate) fn parts(&self) -> (&str, u8) {
        (&self.message, self.code)
    }
}

impl From<bayplan::Error> for Failure {
    fn from(e: bayplan::Error) -> Self {
        let mut message = match &e {
            bayplan::Error::NoDevice(e) => format!("{e}\n--device host runs on the CPU without a driver"),
            e => e.to_string(),
        };
        if let bayplan::Error::Import(ImportError::Unsupported(operators)) = &e {
            message += &format!("\nunsupported: {}", names(operators));
        }
        let device = matches!(&e, bayplan::Error::Engine(bayplan::EngineError::Vulkan(_)));
        Self { message, code: if e.is_unsupported() { UNSUPPORTED } else { 1 }, device }
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

/// All operators on one line, those of ONNX's own domain without it.
fn names(operators: &[UnsupportedOp]) -> String {
    let name = |o: &UnsupportedOp| match o.domain.as_str() {
        "" | "ai.onnx" => escape(&o.op).to_string(),
        domain => format!("{}.{}", escape(domain), escape(&o.op)),
    };
    operators.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_names_every_unsupported_operator() {
        let operator = |domain: &str, op: &str| UnsupportedOp {
            domain: domain.into(),
            op: op.into(),
            opset: 17,
            count: 1,
            example: "node\u{1b}[2J".into(),
        };
        let operators = vec![operator("", "Loop"), operator("com.microsoft", "Attention")];
        let failure = Failure::from(bayplan::Error::Import(ImportError::Unsupported(operators)));
        assert_eq!(failure.message.lines().last(), Some("unsupported: Loop, com.microsoft.Attention"));
        assert_eq!(failure.code, 3);
        assert!(!failure.message.contains('\u{1b}'));
    }
}
