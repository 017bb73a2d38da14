//! What sessions share whatever they run on: how they are built, what their runs are given, which shapes have their programs
//! at hand, and the arena of outputs that callers keep. Plain data: memory itself is the executor's.

mod cancel;
mod input;
mod into;
mod io;
mod lru;
mod options;
mod outputs;
mod progress;
mod values;

pub use cancel::{Cancel, Cancelled};
pub use input::Input;
pub use into::{Given, match_into, owned_buffers};
pub use io::Io;
pub use lru::Lru;
pub use options::SessionOptions;
pub use outputs::{Lease, OutputArena, OutputError, OutputPool};
pub use progress::Progress;
pub use values::ValueKey;

pub use bayplan_plan::pool::Usage;
pub use bayplan_trace::{Loading, ReadMode, WeightsPath};

use core::fmt;

use bayplan_expr::Bindings;

use crate::family::FunctionId;
use crate::program::{Arena, Program};

/// What a program of a family was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeKey {
    /// Which function.
    pub function: FunctionId,
    /// A value for each of its symbols.
    pub dims: Bindings,
}

/// What a session has done since it was built, building included. In steady state only `shapes`, the times and, where
/// shapes change, `recordings` go up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Allocations of device memory; on the host, of arenas.
    pub device_allocations: u64,
    /// Pipelines made; none on the host.
    pub pipelines: u64,
    /// Programs instantiated for a shape.
    pub shapes: u64,
    /// Plans made for other elements of inputs that decide shapes ([`ValueKey`]), beside the first.
    pub values: u64,
    /// Command buffers recorded; none on the host.
    pub recordings: u64,
    /// How often the output arena grew.
    pub output_growths: u64,
    /// Nanoseconds spent instantiating programs.
    pub instantiate_ns: u64,
    /// Nanoseconds spent verifying them.
    pub verify_ns: u64,
    /// Nanoseconds spent recording commands.
    pub record_ns: u64,
}

/// A shape needs more memory than its session was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverBudget {
    /// Bytes of weights and activations that the shape needs (while loading: of weights and the load program's memory).
    pub needed: u64,
    /// Bytes that were given.
    pub given: u64,
    /// The shape.
    pub dims: Bindings,
}

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (needed, given) = (self.needed, self.given);
        write!(f, "weights and activations need {needed} bytes")?;
        if !self.dims.is_empty() {
            write!(f, " at {}", self.dims)?;
        }
        write!(
            f,
            ", but the session was given {given}; give smaller inputs, or build the session with more memory"
        )
    }
}

impl std::error::Error for OverBudget {}

/// Refuses a program that needs more than `given` bytes for its weights and activations, or for loading.
///
/// # Errors
/// [`OverBudget`]: how much it needs.
pub fn check_budget(program: &Program, given: u64) -> Result<(), OverBudget> {
    let bytes = |arena: Arena| program.arena_bytes[arena.index()];
    let needed = bytes(Arena::Weights).saturating_add(bytes(Arena::Activations).max(bytes(Arena::Load)));
    if needed > given { Err(OverBudget { needed, given, dims: program.dims.clone() }) } else { Ok(()) }
}
