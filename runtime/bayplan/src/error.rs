//! Any error of the library.

use core::fmt;

macro_rules! errors {
    ($($(#[$doc:meta])* $variant:ident($inner:ty)),* $(,)?) => {
        /// Why something failed: the error of the room it failed in.
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum Error {
            $($(#[$doc])* $variant($inner),)*
            /// There is no Vulkan device that was asked for, or none that can be used.
            NoDevice(bayplan_engine::EngineError),
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

        $(impl From<$inner> for Error {
            fn from(e: $inner) -> Self {
                Self::$variant(e)
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
    /// The session could not be built or run.
    Engine(bayplan_engine::EngineError),
    /// The session on the host could not be built or run.
    Host(bayplan_host::HostError),
}

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
