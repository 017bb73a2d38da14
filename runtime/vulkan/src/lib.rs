//! A thin layer over Vulkan: devices, buffers, pipelines, commands, timestamps.
//!
//! The only room with `unsafe` in it. It knows no tensor and no plan: what it is told to bind it checks, binds and
//! reports back as bound.
#![allow(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn)]

mod barrier;
mod buffer;
mod commands;
#[cfg(feature = "controls")]
pub mod controls;
mod decide;
mod descriptors;
mod device;
mod error;
#[cfg(test)]
mod fake;
mod heap;
mod info;
mod instance;
mod messages;
mod pipeline;
mod probe;
mod progress;
mod queries;
mod recorder;
mod require;
mod select;
mod shim;
mod submit;

pub use barrier::Barrier;
pub use buffer::{Buffer, BufferId, Mapped};
pub use commands::{BoundWindow, Commands};
pub use decide::{
    Location, MemoryChoice, SubgroupSize, TimestampScale, atom_range, compute_family, memory_type,
    needs_staging, polls_queries, subgroup_size, timestamps,
};
pub use device::{Device, DeviceOptions};
pub use error::Error;
pub use heap::HeapSample;
pub use info::{
    ApiVersion, DeviceInfo, DeviceKind, Features, Heap, Limits, MemoryType, QueueFamily, Subgroup,
    SubgroupOperations, Uuid,
};
pub use instance::{Instance, InstanceOptions};
pub use messages::{Message, Severity};
pub use pipeline::{BindingKind, Pipeline, PipelineDesc};
pub use progress::Progress;
pub use queries::QueryPool;
pub use recorder::{Recorder, Window};
pub use require::{MIN_API_VERSION, Missing, Requirements, missing};
pub use select::{SelectError, Selector, select};
pub use shim::{AllocationCounts, AllocationEvent, AllocationEvents, AllocationId};
pub use submit::Ticket;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, also where a thread panicked with the lock held: the values behind this crate's locks are whole at every
/// step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
