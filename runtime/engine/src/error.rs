//! What can go wrong in a session, told to people.

use core::fmt;

use bayplan_graph::DType;
use bayplan_text::{Bytes, escape};

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
    /// A weight could not be read.
    Weights {
        /// The constant.
        name: String,
        /// Why.
        reason: String,
    },
    /// An input of the model was not given.
    MissingInput {
        /// Its name.
        name: String,
        /// What it must be.
        expected: String,
    },
    /// A tensor was given that the model has no input for.
    UnknownInput {
        /// Its name.
        name: String,
        /// The names there are.
        inputs: Vec<String>,
    },
    /// An input has another type or shape than the session was built for.
    WrongInput {
        /// Its name.
        name: String,
        /// What it must be.
        expected: String,
        /// What was given.
        actual: String,
    },
    /// The recording could not be made.
    Recording(bayplan_record::RecordError),
    /// A run did not end within the time limit.
    Timeout {
        /// Seconds waited.
        seconds: u64,
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
        /// What the plan needs in one heap.
        needed: u64,
        /// What is free there.
        free: u64,
    },
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
            Self::Weights { name, reason } => {
                write!(f, "the weight {} cannot be loaded: {reason}", escape(name))
            }
            Self::MissingInput { name, expected } => {
                write!(f, "input {} is missing; it must be {expected}", escape(name))
            }
            Self::UnknownInput { name, inputs } => {
                write!(f, "the model has no input {}; its inputs are ", escape(name))?;
                for (index, input) in inputs.iter().enumerate() {
                    write!(f, "{}{}", if index > 0 { ", " } else { "" }, escape(input))?;
                }
                Ok(())
            }
            Self::WrongInput { name, expected, actual } => {
                write!(f, "input {} must be {expected}, but is {actual}", escape(name))
            }
            Self::Recording(e) => write!(f, "the recording cannot be made: {e}"),
            Self::Timeout { seconds } => {
                write!(
                    f,
                    "the run did not end within {seconds} s; the device may hang, or the limit be too low"
                )
            }
            Self::Target { compiled, device } => {
                write!(
                    f,
                    "the program was compiled for {}, not for {}; compile it again",
                    escape(compiled),
                    escape(device)
                )
            }
            Self::Memory { needed, free } => write!(
                f,
                "the model needs {} of device memory, but {} are free; bind smaller dims or free memory",
                Bytes(*needed),
                Bytes(*free)
            ),
        }
    }
}

impl std::error::Error for EngineError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Vulkan(e) => Some(e),
            Self::Select(e) => Some(e),
            Self::Recording(e) => Some(e),
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

impl From<bayplan_record::RecordError> for EngineError {
    fn from(e: bayplan_record::RecordError) -> Self {
        Self::Recording(e)
    }
}

/// `f32[1,3,224,224]`.
pub(crate) fn type_text(dtype: DType, shape: &[u64]) -> String {
    let dims: Vec<String> = shape.iter().map(u64::to_string).collect();
    format!("{dtype}[{}]", dims.join(","))
}
