//! What can go wrong in a session, told to people.

use core::fmt;
use core::time::Duration;

use bayplan_compile::session::{Cancelled, OutputError, OverBudget};
use bayplan_compile::{CompileError, InputError};
use bayplan_text::{Bytes, Nanos, escape};
use bayplan_trace::Severity;

/// Why a session could not be built, or a run not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum EngineError {
    /// The device or its driver.
    Vulkan(bayplan_vulkan::Error),
    /// No device fits what was asked for.
    Select(bayplan_vulkan::SelectError),
    /// A kernel did not compile. This is a defect of bayplan.
    Kernel {
        /// The kernel.
        name: String,
        /// Why.
        reason: String,
    },
    /// A node that the host computes has no result.
    Host {
        /// The node.
        name: String,
        /// Why.
        reason: String,
    },
    /// A weight could not be read.
    Weights {
        /// The constant.
        name: String,
        /// Why.
        reason: String,
    },
    /// The tensors given for a run are not those that the program takes.
    Input(InputError),
    /// An output has no place to go, or the buffer given for it does not fit.
    Output(OutputError),
    /// A shape cannot be compiled, or no memory be reserved for all.
    Compile(CompileError),
    /// A shape needs more memory than the session was given.
    Budget(OverBudget),
    /// Loading was cancelled.
    Cancelled(Cancelled),
    /// A shape needs more bytes of kernel parameters than were reserved for all shapes at hand together.
    Parameters {
        /// What it needs.
        needed: u64,
        /// What was reserved.
        given: u64,
    },
    /// A tensor cannot be copied between host and device.
    Copy {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The recording could not be made.
    Recording(bayplan_record::RecordError),
    /// A run did not end within the time limit.
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// The program is not sound: it was changed after it was compiled.
    Program {
        /// Its name.
        name: String,
        /// The rule that is broken.
        reason: String,
    },
    /// The program does not fit the device it is to run on.
    Target {
        /// What it was compiled for.
        compiled: String,
        /// What it is to run on.
        device: String,
    },
    /// The session's memory does not fit the device.
    Memory {
        /// Bytes that the plan needs in one heap.
        needed: u64,
        /// The heap, by its number at the device.
        heap: usize,
        /// Bytes that are free there.
        free: u64,
    },
    /// The device cannot be measured: too little of its memory is free for a copy that no cache holds.
    Probe {
        /// Bytes that are free in its largest heap.
        free: u64,
    },
    /// The program has no place for a fault that was to be planted.
    #[cfg(feature = "faults")]
    Fault {
        /// The fault.
        fault: &'static str,
    },
}

impl EngineError {
    /// What recordings are told of it as.
    pub(crate) fn severity(&self) -> Severity {
        if matches!(self, Self::Cancelled(_)) { Cancelled::SEVERITY } else { Severity::Error }
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vulkan(e) => e.fmt(f),
            Self::Select(e) => e.fmt(f),
            Self::Kernel { name, reason } => write!(
                f,
                "the kernel {name} does not compile: {reason}; this is a defect of bayplan, please report it with the model"
            ),
            Self::Host { name, reason } => {
                write!(f, "node {}, which the host computes, has no result: {reason}", escape(name))
            }
            Self::Weights { name, reason } => {
                write!(f, "the weight {} cannot be loaded: {reason}", escape(name))
            }
            Self::Input(e) => e.fmt(f),
            Self::Output(e) => e.fmt(f),
            Self::Compile(e) => e.fmt(f),
            Self::Budget(e) => e.fmt(f),
            Self::Cancelled(e) => e.fmt(f),
            Self::Parameters { needed, given } => write!(
                f,
                "the shape needs {} of kernel parameters, but {} are reserved; build the session for more shapes",
                Bytes(*needed),
                Bytes(*given)
            ),
            Self::Copy { name, reason } => {
                write!(f, "{} cannot be copied: {reason}", escape(name))
            }
            Self::Probe { free } => write!(
                f,
                "what the device does at most cannot be measured: that takes at least 64 MiB in windows of at least 16 MiB, \
                 and {} of its memory are free",
                Bytes(*free)
            ),
            Self::Recording(e) => write!(f, "the recording cannot be made: {e}"),
            Self::Timeout { limit } => write!(
                f,
                "the run did not end within {}; the device may hang, or the limit be too low",
                Nanos(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX))
            ),
            Self::Program { name, reason } => write!(
                f,
                "the program {} is not sound: {reason}; run a program as the compiler made it",
                escape(name)
            ),
            Self::Target { compiled, device } => {
                let (compiled, other) =
                    (escape(compiled), if compiled == device { " as it is now" } else { "" });
                let device = escape(device);
                write!(
                    f,
                    "the program was compiled for {compiled}, not for {device}{other}; compile it again"
                )
            }
            Self::Memory { needed, heap, free } => write!(
                f,
                "the model needs {} of device memory, but {} are free in its heap {heap}; bind smaller dims or free memory",
                Bytes(*needed),
                Bytes(*free)
            ),
            #[cfg(feature = "faults")]
            Self::Fault { fault } => write!(f, "the program has no place for the fault {fault}"),
        }
    }
}

impl std::error::Error for EngineError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Vulkan(e) => Some(e),
            Self::Select(e) => Some(e),
            Self::Recording(e) => Some(e),
            Self::Input(e) => Some(e),
            Self::Output(e) => Some(e),
            Self::Compile(e) => Some(e),
            Self::Budget(e) => Some(e),
            Self::Cancelled(e) => Some(e),
            _ => None,
        }
    }
}

impl From<bayplan_vulkan::Error> for EngineError {
    fn from(e: bayplan_vulkan::Error) -> Self {
        Self::Vulkan(e)
    }
}

impl From<bayplan_vulkan::SelectError> for EngineError {
    fn from(e: bayplan_vulkan::SelectError) -> Self {
        Self::Select(e)
    }
}

impl From<InputError> for EngineError {
    fn from(e: InputError) -> Self {
        Self::Input(e)
    }
}

impl From<OutputError> for EngineError {
    fn from(e: OutputError) -> Self {
        Self::Output(e)
    }
}

impl From<CompileError> for EngineError {
    fn from(e: CompileError) -> Self {
        Self::Compile(e)
    }
}

impl From<OverBudget> for EngineError {
    fn from(e: OverBudget) -> Self {
        Self::Budget(e)
    }
}

impl From<Cancelled> for EngineError {
    fn from(e: Cancelled) -> Self {
        Self::Cancelled(e)
    }
}

impl From<bayplan_record::RecordError> for EngineError {
    fn from(e: bayplan_record::RecordError) -> Self {
        Self::Recording(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_tell_what_to_do_and_escape_names() {
        let check = |error: EngineError, expect: &str| assert_eq!(error.to_string(), expect);
        let name = || "a\u{1b}b".to_string();
        check(
            EngineError::Timeout { limit: Duration::from_secs(90) },
            "the run did not end within 90.0 s; the device may hang, or the limit be too low",
        );
        check(
            EngineError::Memory { needed: 3 << 30, heap: 1, free: 1 << 30 },
            "the model needs 3.00 GiB of device memory, but 1.00 GiB are free in its heap 1; bind smaller dims or free memory",
        );
        check(
            EngineError::Target { compiled: name(), device: "gpu".into() },
            "the program was compiled for a\\x1bb, not for gpu; compile it again",
        );
        check(
            EngineError::Copy { name: name(), reason: "it is too large".into() },
            "a\\x1bb cannot be copied: it is too large",
        );
        check(
            EngineError::Parameters { needed: 2048, given: 1024 },
            "the shape needs 2.00 KiB of kernel parameters, but 1.00 KiB are reserved; build the session for more shapes",
        );
        check(
            EngineError::Weights { name: name(), reason: "`w.bin`: bad sector".into() },
            "the weight a\\x1bb cannot be loaded: `w.bin`: bad sector",
        );
    }
}
