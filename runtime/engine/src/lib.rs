//! Sessions: programs running on a Vulkan device.
//!
//! ```text
//! Family ── Session::new ──► arenas allocated, kernels compiled, weights loaded
//!                │
//!                └─ run(inputs) ──► dims ─┬─ at hand ─────────────────────────────┬─► inputs written ─ submit ─ wait
//!                                         └─ new: instantiate, verify, parameters, record ─┘        (the playhead is polled)
//!                                                                                                └─► Outputs: lent in place, kept,
//!                                                                                                    or in the caller's buffers
//! ```
//!
//! After a session is built, no run allocates device memory or compiles a kernel, whatever its shape. What the trace calls *actual* is told
//! by the Vulkan layer: windows as they were recorded, marks as the device made them, allocations as they were made.
#![forbid(unsafe_code)]

mod arena;
mod build;
mod check;
mod commands;
mod device;
mod early;
mod error;
mod external;
#[cfg(feature = "faults")]
pub mod faults;
mod imports;
mod input;
#[cfg(feature = "inspect")]
pub mod inspect;
mod instruments;
mod load;
mod memory;
mod output_memory;
mod outputs;
mod owned;
mod params;
mod parts;
mod pipelines;
mod ports;
mod probe;
mod session;
mod shape;
mod target;
mod tensor;
mod tracing;
mod transfer;

pub use device::{Device, DeviceOptions, devices, weights_path};
pub use error::EngineError;
pub use imports::Imported;
pub use input::Input;
pub use load::upload_order;
pub use outputs::{Output, Outputs};
pub use owned::Owned;
pub use probe::measured_device;
pub use session::Session;
pub use target::{Limits, target_of};
pub use tensor::DeviceTensor;
pub use tracing::Trace;

/// How to build a session.
pub type SessionOptions = bayplan_compile::session::SessionOptions<bayplan_record::RecordingOptions>;

pub use bayplan_compile::session::{Counters, OutputArena, OutputError, OverBudget, Usage};
pub use bayplan_vulkan::{
    AllocationCounts, DeviceInfo, DeviceKind, HeapSample, Message, SelectError, Selector, Severity,
};
