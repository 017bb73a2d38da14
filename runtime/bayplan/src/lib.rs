//! Run tensor graphs on Vulkan from a static memory plan.
//!
//! ```no_run
#![doc = include_str!("../examples/quickstart/quickstart.rs")]
//! ```
//!
//! A [`Model`] is a graph with symbolic dimensions. Compiled for the [`Target`] that a [`Device`] is, it becomes a
//! [`Family`]: for every shape within bounds a [`Program`], which is kernels and an offset for every tensor, checked by a
//! verifier. A [`Session`] is a family on its device. Everything runs need is allocated when it is built; a run allocates
//! no device memory. [`Outputs`] are lent in place until the next run, which the borrow checker enforces, unless another
//! [`OutputPolicy`] gives them away.
//!
//! [`Device::host`], or the device named `host`, is the CPU: the same program in ordinary memory, without any driver. Memory
//! that holds no live tensor is poisoned there, and every read of it is refused.
//!
//! # Every shape that fits
//!
//! [`Dims`] say what is known of a model's symbols before the first run: values, and bounds. [`Family::memory`] is what all
//! shapes within them need, as a formula that can be evaluated and solved. A run's shape follows from its inputs.
//!
//! ```no_run
#![doc = include_str!("../examples/shapes/shapes.rs")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     print!("{}", report("assets/digits.onnx")?);
//! #     Ok(())
//! # }
//! ```
//!
//! # Where outputs go
//!
//! Each output has an [`OutputPolicy`], given with [`Options::outputs`] when the family is compiled:
//!
//! | policy | where it lies | how to get it |
//! |---|---|---|
//! | `Borrow`, the default | in the session's arena, until the next run | [`Outputs::get`], in place |
//! | `Own` | in a slot of the session's output arena ([`SessionOptions::outputs`]), until it is dropped | [`Outputs::take`], an [`Owned`] |
//! | `Into` | in a buffer of the caller's, a [`DeviceTensor`] | given to [`Session::run_into`] |
//!
//! Whoever makes an output writes it there; nothing is copied behind it. [`Owned`] and [`DeviceTensor`] can be inputs of
//! other runs and sessions ([`Session::call`]).
//!
//! # Watching a session
//!
//! A session can record what happens; `bayplan top` shows the recording while it grows and when it is done.
//!
//! ```no_run
//! use bayplan::{Bindings, Device, DeviceOptions, Model, Places, RecordingOptions, SessionOptions};
//!
//! # fn main() -> Result<(), bayplan::Error> {
//! let device = Device::open(&DeviceOptions::default())?;
//! let mut recording = RecordingOptions::new(Places::from_env());
//! recording.level = device.trace_level();
//! let options = SessionOptions { recording: Some(recording), ..SessionOptions::default() };
//! let session = Model::open("model.onnx")?.session(&device, &Bindings::default(), options)?;
//! if let Some(path) = session.trace().recorder().path() {
//!     println!("watch it with: bayplan top {}", path.display());
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod device;
mod error;
mod model;
mod session;
mod tensors;

pub use device::Device;
pub use error::Error;
pub use model::Model;
pub use session::{Output, Outputs, Session};
pub use tensors::{DeviceTensor, Input, Owned};

pub use bayplan_compile::plan_file::{PlanFile, PlanFileError};
pub use bayplan_compile::{
    Arena, CompileError, Dims, Family, Function, FunctionId, InputError, InputPolicy, Options, Order,
    OutputPolicy, Policies, Program, Reservation, record,
};
#[cfg(feature = "faults")]
pub use bayplan_engine::faults::Fault;
pub use bayplan_engine::{
    AllocationCounts, Counters, DeviceInfo, DeviceKind, DeviceOptions, EngineError, HeapSample, Message,
    OutputArena, OutputError, OverBudget, SelectError, Selector, SessionOptions, Severity, Usage, devices,
    target_of,
};
pub use bayplan_expr::memory::{MemoryFunction, Solution, SolveError};
pub use bayplan_expr::{Bindings, Bounds, Expr, Scope};
pub use bayplan_graph::{DType, Graph, InferError, Tensor, VerifyError};
pub use bayplan_host::{HostError, memory};
pub use bayplan_onnx::ImportError;
pub use bayplan_plan::Effort;
pub use bayplan_record::{Destination, Places, Recording, RecordingOptions, Retention, Summary};
pub use bayplan_shaders::Target;
pub use bayplan_trace::{Level, PlanRecord};
pub use bayplan_weights::WeightsError;
