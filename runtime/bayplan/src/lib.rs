//! Run tensor graphs on Vulkan from a static memory plan.
//!
//! ```no_run
//! use bayplan::{Bindings, Device, DeviceOptions, Model, SessionOptions, Tensor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = Model::open("assets/digits.onnx")?;
//! let device = Device::open(&DeviceOptions::default())?;
//! let dims: Bindings = [("batch", 2)].into_iter().collect();
//! let mut session = model.session(&device, &dims, SessionOptions::default())?;
//!
//! let images = Tensor::from_f32(vec![2, 1, 8, 8], &[0.0; 128])?;
//! let outputs = session.run(&[("images", &images)])?;
//! for output in outputs.iter() {
//!     println!("{} {:?}", output.name(), output.to_tensor()?.to_f32()?);
//! }
//!
//! let plan = &session.program().run.plan;
//! println!("{} bytes, lower bound {}", plan.peak, plan.lower_bound.bytes);
//! # Ok(())
//! # }
//! ```
//!
//! Everything a run needs is allocated when the session is built, at offsets that a verifier has checked. Outputs are lent
//! in place until the next run, which the borrow checker enforces.
#![forbid(unsafe_code)]

mod error;
mod model;

pub use error::Error;
pub use model::Model;

pub use bayplan_compile::{Arena, CompileError, Options, Program, record};
pub use bayplan_engine::{
    AllocationCounts, Device, DeviceInfo, DeviceOptions, EngineError, Output, Outputs, Selector, Session,
    SessionOptions, devices, target_of,
};
pub use bayplan_expr::Bindings;
pub use bayplan_graph::{DType, Graph, Tensor};
pub use bayplan_plan::Effort;
pub use bayplan_record::{Places, RecordingOptions};
pub use bayplan_shaders::Target;
pub use bayplan_trace::{Level, PlanRecord};
