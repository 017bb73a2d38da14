//! Any error of the library.

use core::fmt;

use bayplan_compile::InputError;
use bayplan_engine::{EngineError, OutputError, OverBudget};
use bayplan_host::HostError;

macro_rules! errors {
    ($($(#[$doc:meta])* $variant:ident($inner:ty)),* $(,)?) => {
        /// Why something failed: the error of the room it failed in.
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum Error {
            $($(#[$doc])* $variant($inner),)*
            /// There is no Vulkan device that was asked for, or none that can be used.
            NoDevice(EngineError),
        }

        impl fmt::Display for Error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant(e) => e.fmt(f),)*
                    Self::NoDevice(e) => write!(f, "{e}\nthe device \"host\" is the CPU, without a driver"),
                }
            }
        }

        impl std::error::Error for Error {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                match self {
                    $(Self::$variant(e) => e.source(),)*
                    Self::NoDevice(e) => e.source(),
                }
            }
        }

    };
}

/// Errors of one room become what they are whole.
macro_rules! from {
    ($($variant:ident($inner:ty)),* $(,)?) => {
        $(impl From<$inner> for Error {
            fn from(e: $inner) -> Self {
                Self::$variant(e)
            }
        })*
    };
}

/// What sessions on a device and on the host refuse alike is one error, whichever it was.
macro_rules! from_session {
    ($($variant:ident($inner:ident)),* $(,)?) => {
        $(impl From<$inner> for Error {
            fn from(e: $inner) -> Self {
                match e {
                    $inner::Input(e) => Self::Input(e),
                    $inner::Output(e) => Self::Output(e),
                    $inner::Budget(e) => Self::Budget(e),
                    $inner::Compile(e) => Self::Compile(e),
                    e => Self::$variant(e),
                }
            }
        })*
    };
}

errors! {
    /// The file is no model that bayplan can import.
    Import(bayplan_onnx::ImportError),
    /// Shapes or types do not fit together.
    Infer(bayplan_graph::InferError),
    /// The imported graph is not sound.
    Graph(bayplan_graph::VerifyError),
    /// A file of the model cannot be read.
    Weights(bayplan_weights::WeightsError),
    /// The graph did not become a program.
    Compile(bayplan_compile::CompileError),
    /// The tensors given for a run are not those that the model takes: a dim beyond its bound, say
    /// ([`InputError::BoundExceeded`]). Nothing was written; the session works on.
    Input(InputError),
    /// An output cannot go where it should: the output arena is full ([`OutputError::OutputArenaFull`]), or a buffer of the
    /// caller's does not fit. Nothing was dispatched; the session works on.
    Output(OutputError),
    /// The shape needs more memory than the session was given. Nothing was written; the session works on.
    Budget(OverBudget),
    /// The session could not be built or run.
    Engine(EngineError),
    /// The session on the host could not be built or run.
    Host(HostError),
}

from! {
    Import(bayplan_onnx::ImportError),
    Infer(bayplan_graph::InferError),
    Graph(bayplan_graph::VerifyError),
    Weights(bayplan_weights::WeightsError),
    Compile(bayplan_compile::CompileError),
    Input(InputError),
    Output(OutputError),
}

from_session! { Engine(EngineError), Host(HostError) }

impl Error {
    /// Whether the model uses something that bayplan or the device does not support: another model may run where this one
    /// does not. The message names all of it.
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self,
            Self::Import(bayplan_onnx::ImportError::Unsupported(_))
                | Self::Compile(bayplan_compile::CompileError::Unsupported(_))
        )
    }
}
