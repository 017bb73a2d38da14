//! A thin layer over Vulkan: devices, buffers, pipelines, commands, timestamps.
//!
//! The only room with `unsafe` in it. It knows no tensor and no plan: what it is told to bind it checks, binds and
//! reports back as bound.
//!
//! ```no_run
//! use bayplan_vulkan::{Device, Instance, InstanceOptions, Location, Selector, Window, select};
//! # fn kernel(_: &Device) -> bayplan_vulkan::Pipeline { unreachable!() }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let instance = Instance::new(&InstanceOptions::default())?;
//! let devices = instance.devices()?;
//! let device = Device::new(&instance, &devices[select(&devices, &Selector::Best)?])?;
//! let arena = device.create_buffer("arena", 1 << 20, Location::Device)?;
//! let kernel = kernel(&device);
//! let mut recorder = device.record("one dispatch");
//! recorder.dispatch(&kernel, &[Window { buffer: &arena, offset: 0, len: 4096 }], [16, 1, 1])?;
//! let commands = recorder.finish()?;
//! let ticket = device.submit(&commands)?;
//! device.wait(&ticket, std::time::Duration::from_secs(10))?;
//! # Ok(())
//! # }
//! ```
//!
//! What is decided on ([`select()`], [`missing`], [`memory_type`] and the like) is a plain [`DeviceInfo`], so every decision
//! is tested on devices that nobody owns. What is recorded is described and checked first, and turned into Vulkan's
//! commands in one go.
//!
//! # Why safe code cannot break Vulkan's rules
//! - Owners keep what they were made from alive: an instance outlives its devices, a device its objects, buffers and
//!   pipelines the commands that use them, and commands their submissions.
//! - The host reaches bytes of a mapped buffer only while no submission uses them, one access to a byte at a time.
//! - Submissions of a device run one after another, with a memory dependency between.
//! - Ranges, alignments and counts are checked against the object and the device's limits before Vulkan sees them.
//!
//! Two things are trusted: the loader library that is named, and the SPIR-V of a pipeline.
#![allow(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn)]

mod access;
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
mod import;
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
    ImportRules, Location, MemoryChoice, NoImport, SubgroupSize, TimestampScale, WeightsPath, atom_range,
    compute_family, import_rules, import_type, memory_type, needs_staging, polls_queries, subgroup_size,
    timestamps, weights_path,
};
pub use device::{Device, DeviceOptions};
pub use error::Error;
pub use heap::HeapSample;
pub use import::importable;
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
