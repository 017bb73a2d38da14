//! Any error of the library.

use core::fmt;

use bayplan_compile::InputError;
use bayplan_compile::session::Cancelled;
use bayplan_engine::{EngineError, OutputError, OverBudget};
use bayplan_host::HostError;
use bayplan_text::escape;

/// The errors of rooms. Those of `session`s on a device and on the host become what both refuse alike, whichever it was.
macro_rules! errors {
    (
        whole { $($(#[$doc:meta])* $whole:ident($inner:ty)),* $(,)? }
        session { $($(#[$of:meta])* $session:ident($executor:ident)),* $(,)? }
    ) => {
        /// Why something failed: the error of the room it failed in.
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum Error {
            $($(#[$doc])* $whole($inner),)*
            $($(#[$of])* $session($executor),)*
            /// Elements of inputs decide the model's shapes, and these inputs were not given.
            Values {
                /// The inputs, in the model's order.
                inputs: Vec<bayplan_onnx::ValueInput>,
                /// What is wrong without them.
                error: Box<Error>,
            },
            /// There is no Vulkan device that was asked for, or none that can be used.
            NoDevice(EngineError),
        }

        impl fmt::Display for Error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$whole(e) => e.fmt(f),)*
                    $(Self::$session(e) => e.fmt(f),)*
                    Self::Values { inputs, error } => values(f, inputs, error),
                    Self::NoDevice(e) => write!(f, "{e}\nthe device \"host\" is the CPU, without a driver"),
                }
            }
        }

        impl std::error::Error for Error {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                match self {
                    $(Self::$whole(e) => e.source(),)*
                    $(Self::$session(e) => e.source(),)*
                    Self::Values { error, .. } => error.source(),
                    Self::NoDevice(e) => e.source(),
                }
            }
        }

        $(impl From<$inner> for Error {
            fn from(e: $inner) -> Self {
                Self::$whole(e)
            }
        })*

        $(impl From<$executor> for Error {
            fn from(e: $executor) -> Self {
                match e {
                    $executor::Input(e) => Self::Input(e),
                    $executor::Output(e) => Self::Output(e),
                    $executor::Budget(e) => Self::Budget(e),
                    $executor::Cancelled(e) => Self::Cancelled(e),
                    $executor::Compile(e) => Self::Compile(e),
                    e => Self::$session(e),
                }
            }
        })*
    };
}

errors! {
    whole {
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
        /// ([`InputError::BoundExceeded`]); or what was to be written does not go into a buffer of the caller's. Nothing was
        /// written; the session works on.
        Input(InputError),
        /// An output cannot go where it should: the output arena is full ([`OutputError::OutputArenaFull`]), or a buffer of
        /// the caller's does not fit. Nothing was dispatched; the session works on.
        Output(OutputError),
        /// A model was not packed.
        Pack(crate::pack::PackError),
        /// The plan that a packed model brings along cannot be read.
        Plan(bayplan_compile::plan_file::PlanFileError),
        /// The shape needs more memory than the session was given. Nothing was written; the session works on.
        Budget(OverBudget),
        /// Loading was cancelled: no session was built, or the first run of one that was built early was abandoned.
        Cancelled(Cancelled),
    }
    session {
        /// The session could not be built or run.
        Engine(EngineError),
        /// The session on the host could not be built or run.
        Host(HostError),
    }
}

fn values(f: &mut fmt::Formatter<'_>, inputs: &[bayplan_onnx::ValueInput], error: &Error) -> fmt::Result {
    f.write_str("the shapes of the model follow from elements of its inputs:")?;
    for bayplan_onnx::ValueInput { name, dtype, by, .. } in inputs {
        write!(f, "\n  {} ({dtype}), which {} asks for", escape(name), by.join(", "))?;
    }
    write!(
        f,
        "\ngive these inputs, then it is planned for what they hold (run: --input NAME=FILE; plan and fit: --value NAME=FILE); \
         without them: {error}"
    )
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
