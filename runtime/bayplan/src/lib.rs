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
//! ```no_run
//! use bayplan::{
//!     DType, Device, Dims, Model, Options, OutputArena, OutputPolicy, Policies, Session, SessionOptions, Tensor,
//! };
//!
//! # fn run(device: &Device, model: &Model, dims: &Dims, x: &Tensor) -> Result<(), bayplan::Error> {
//! // All outputs are kept but `logits`, which is written into a buffer of ours.
//! let outputs = Policies::all(OutputPolicy::Own).with("logits", OutputPolicy::Into);
//! let family = model.family(dims, device.target(), &Options { outputs, ..Options::default() })?;
//! let outputs = OutputArena { bytes: 64 << 20, grow: false };
//! let options = SessionOptions { outputs, ..SessionOptions::default() };
//! let mut session = Session::new(device, family, model.weights(), options)?;
//!
//! let mut logits = device.tensor(DType::F32, &[8, 50257])?;
//! let cache = session.run_into(&[("x", x)], &mut [("logits", &mut logits)])?.take("cache");
//! // `cache` may be held across runs, and be an input of them; dropped, its slot is free again.
//! # drop(cache);
//! # Ok(())
//! # }
//! ```
//!
//! # Prefill and decode
//!
//! Several functions of one model, each with bounds of its own, are one family: one copy of the weights, and one arena as
//! large as the largest of them needs. They may be called in any order.
//!
//! ```no_run
//! use bayplan::{Bounds, Device, Dims, Family, Function, Model, Options, Scope, Session, SessionOptions, Tensor};
//!
//! # fn run(prompt: &[(&str, &Tensor)], token: &[(&str, &Tensor)]) -> Result<(), Box<dyn std::error::Error>> {
//! let (device, model) = (Device::host(), Model::open("decoder.onnx")?);
//! let bounds = |list: &[(&str, i64, i64)]| -> Result<Dims, Box<dyn std::error::Error>> {
//!     let mut scope = Scope::new();
//!     for &(name, least, most) in list {
//!         scope.declare(name, Bounds::between(least, most))?;
//!     }
//!     Ok(Dims::from(scope))
//! };
//! let prefill = bounds(&[("batch", 1, 2), ("seq", 1, 512), ("past", 0, 0)])?;
//! let decode = bounds(&[("batch", 1, 2), ("seq", 1, 1), ("past", 0, 1024)])?;
//! let functions = [
//!     Function { name: "prefill", graph: model.graph(), dims: &prefill },
//!     Function { name: "decode", graph: model.graph(), dims: &decode },
//! ];
//! let read = |range: &_| model.read(range);
//! let family = Family::with_functions(&functions, device.target(), &Options::default(), &read)?;
//! let (prefill, decode) = (family.function("prefill").unwrap(), family.function("decode").unwrap());
//! let mut session = Session::new(&device, family, model.weights(), SessionOptions::default())?;
//! session.run_function(prefill, prompt)?;
//! session.run_function(decode, token)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Weights of another file
//!
//! A graph may have its weights from a safetensors file, an index of shards or a GGUF file, bound by name; quantised ones are
//! converted where they are read. [`Rules`] say which name of the file is which of the model.
//!
//! ```no_run
//! use bayplan::{Bindings, Device, Model, Rules, SessionOptions, Weights};
//!
//! # fn main() -> Result<(), bayplan::Error> {
//! let weights = Weights::open("llama.safetensors")?.renamed(Rules::parse(r"model\.(.*) => $1")?);
//! let model = Model::open_with("llama.onnx", &[], Some(&weights))?;
//! let session = model.session(&Device::host(), &Bindings::default(), SessionOptions::default())?;
//! # Ok(())
//! # }
//! ```
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
mod outputs;
mod pack;
mod replan;
mod session;
mod tensors;
mod weights;

pub use device::Device;
pub use error::Error;
pub use model::Model;
pub use outputs::{Output, Outputs};
pub use pack::{Brought, Judged, PackError, Packed, PackedFiles, Packer, packed_plan};
pub use session::Session;
pub use tensors::{DeviceTensor, Input, Owned};
pub use weights::Weights;

pub use bayplan_compile::plan_file::{PlanFile, PlanFileError};
pub use bayplan_compile::session::{Cancel, Cancelled, Io, Loading, Progress, ReadMode, WeightsPath};
pub use bayplan_compile::{
    Arena, CompileError, Dims, Family, Function, FunctionId, InputError, InputPolicy, Options, Order,
    OutputPolicy, Policies, Program, Reservation, record,
};
#[cfg(feature = "faults")]
pub use bayplan_engine::faults::Fault;
pub use bayplan_engine::{
    AllocationCounts, Counters, DeviceInfo, DeviceKind, DeviceOptions, EngineError, HeapSample, Imported,
    Message, OutputArena, OutputError, OverBudget, SelectError, Selector, SessionOptions, Severity, Usage,
    devices, target_of, weights_path,
};
pub use bayplan_expr::memory::{MemoryFunction, Solution, SolveError};
pub use bayplan_expr::{Bindings, Bounds, Expr, Scope};
pub use bayplan_graph::{DType, Graph, InferError, Tensor, VerifyError};
pub use bayplan_host::{HostError, memory};
pub use bayplan_onnx::{ImportError, ValueInput};
pub use bayplan_plan::Effort;
pub use bayplan_record::{Destination, Places, Recording, RecordingOptions, Retention, Summary};
pub use bayplan_shaders::Target;
pub use bayplan_trace::{Level, PlanRecord};
pub use bayplan_weights::{Bound, Encoding, Entry, Named, Rules, Unfit, WeightsError};
