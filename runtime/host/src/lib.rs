//! A program on a CPU byte arena: the oracle that needs no GPU.
//!
//! The same [`bayplan_compile::Program`] that a device runs, dispatch by dispatch, at the same offsets. Bytes that hold
//! no live tensor are poisoned, and a bit for each word tells whether it was written, so that a mistake in liveness,
//! placement or aliasing becomes a refusal or a wrong number here. What a dispatch computes is told by its spec; no code is
//! shared with the kernels.
#![forbid(unsafe_code)]

mod bound;
mod chain;
mod column;
mod device_tensor;
mod error;
mod evaluate;
mod load;
mod machine;
mod memory;
mod outputs;
mod parallel;
mod ports;
mod session;
pub mod simulate;
mod step;
mod system;
mod target;
mod tracing;
mod view;
mod work;
mod written;

pub use device_tensor::{DeviceTensor, Input};
pub use error::{HostError, Place};
pub use evaluate::{Evaluated, evaluate};
pub use machine::{Machine, Phase};
pub use memory::POISON;
pub use outputs::{Output, Outputs, Owned};
pub use session::{Session, SessionOptions, check_memory};
pub use system::{SystemMemory, memory};
pub use target::{NAME, target};
