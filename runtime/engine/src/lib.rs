//! Sessions: programs running on a Vulkan device.
//!
//! ```text
//! Program ── Session::new ──► arenas allocated, kernels compiled, weights loaded, commands recorded once
//!                │
//!                └─ run(inputs) ──► inputs written ─ submit ─ wait (the playhead is polled) ─► Outputs, lent in place
//! ```
//!
//! After a session is built, no run allocates device memory or compiles a kernel. What the trace calls *actual* is told
//! by the Vulkan layer: windows as they were recorded, marks as the device made them, allocations as they were made.
#![forbid(unsafe_code)]

mod arena;
mod commands;
mod device;
mod error;
#[cfg(feature = "faults")]
pub mod faults;
#[cfg(feature = "inspect")]
pub mod inspect;
mod instruments;
mod load;
mod memory;
mod outputs;
mod pipelines;
mod session;
mod target;
mod tracing;
mod transfer;

pub use device::{Device, DeviceOptions, devices};
pub use error::EngineError;
pub use outputs::{Output, Outputs};
pub use session::{Session, SessionOptions};
pub use target::{Limits, target_of};
pub use tracing::Trace;

pub use bayplan_vulkan::{
    AllocationCounts, DeviceInfo, DeviceKind, HeapSample, Message, SelectError, Selector, Severity,
};
