//! Run tensor graphs on Vulkan from a static memory plan.
//!
//! ```no_run
#![doc = include_str!("../examples/quickstart/quickstart.rs")]
//! ```
//!
//! A [`Model`] is a graph with symbolic dimensions. Compiled for the [`Target`] that a [`Device`] is, with a value for each
//! symbol, it becomes a [`Program`]: kernels, and an offset for every tensor, checked by a verifier. A [`Session`] is a
//! program on its device. Everything a run needs is allocated when it is built; a run allocates no device memory.
//! [`Outputs`] are lent in place until the next run, which the borrow checker enforces.
//!
//! [`Device::host`], or the device named `host`, is the CPU: the same program in ordinary memory, without any driver. Memory
//! that holds no live tensor is poisoned there, and every read of it is refused.
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

pub use bayplan_compile::{
    Arena, CompileError, Dims, Family, FunctionId, InputError, InputPolicy, Options, Order, OutputPolicy,
    Policies, Program, record,
};
#[cfg(feature = "faults")]
pub use bayplan_engine::faults::Fault;
pub use bayplan_engine::{
    AllocationCounts, Counters, DeviceInfo, DeviceKind, DeviceOptions, EngineError, HeapSample, Message,
    OutputArena, OutputError, OverBudget, SelectError, Selector, SessionOptions, Severity, Usage, devices,
    target_of,
};
pub use bayplan_expr::{Bindings, Bounds, Scope};
pub use bayplan_graph::{DType, Graph, InferError, Tensor, VerifyError};
pub use bayplan_host::{HostError, memory};
pub use bayplan_onnx::ImportError;
pub use bayplan_plan::Effort;
pub use bayplan_record::{Destination, Places, Recording, RecordingOptions, Retention, Summary};
pub use bayplan_shaders::Target;
pub use bayplan_trace::{Level, PlanRecord};
pub use bayplan_weights::WeightsError;
