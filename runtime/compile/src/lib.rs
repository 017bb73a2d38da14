//! Graph and target to a verified program with a memory plan.
//!
//! ```text
//! Graph ─ pin ─ fold ─ simplify ─ lower ─ fuse, concat ─ phases, split ─ direct ─┬─ stages ─ liveness ─ plan ─┬─ windows, barriers
//!   symbols with     one form    views and     fewer    scratch,      fewer      │ what follows from          │ ─ verify ─ Program
//!   one value        for many    operations    of them  no window     copies     │ weights runs once          │ offsets, judged by
//!   get it                                              too large                └◄───── schedule ◄───────────┘ plan's own validator
//!                                                                                  once more in another order, if that is smaller
//! ```
//!
//! [`compile`] makes the program of one shape. A [`Family`] compiles once for all shapes within bounds and gives the program
//! of each; [`Family::memory`] tells what they need as a formula.
//!
//! Weights are never read here: only constants of up to [`MAX_CONSTANT`] bytes are values, and what follows from larger
//! ones becomes the *load program*, dispatches that run once when the weights are on the device. The result is plain
//! data; the same graph, dims and target give the same bytes.
#![forbid(unsafe_code)]

mod alike;
mod assemble;
mod barrier;
mod cell;
mod concat;
mod copies;
mod direct;
mod error;
mod family;
mod family_dims;
mod family_paths;
pub mod fit;
mod fold;
mod fuse;
pub mod host_node;
mod in_blocks;
mod inputs;
mod known;
mod late;
mod liveness;
mod lower;
mod lowered;
mod name;
pub mod paths;
mod phases;
pub mod plan_file;
mod point;
mod policy;
mod program;
mod record;
mod schedule;
pub mod session;
mod simplify;
mod size;
mod split;
#[cfg(test)]
mod symbolic_tests;
mod variants;
mod verify;
mod view;
mod weights;
mod widen;

pub use cell::Phase;
pub use error::{CompileError, Refused};
pub use family::{Dims, Family, Function, FunctionId, Reservation};
pub use family_dims::dims_of;
pub use family_paths::Step;
pub use fold::{MAX_CONSTANT, ReadConstant};
pub use inputs::{InputError, Shaped, match_inputs};
pub use known::Known;
pub use name::Name;
pub use policy::{InputPolicy, OutputPolicy, Policies};
pub use program::{
    Arena, Buffer, BufferId, BufferKind, Contents, Copied, Declined, Direct, Dispatch, KernelId, LatePart,
    Order, Piece, Port, Program, Schedule, Stage, Upload, Window,
};
pub use record::{RecordIndex, record};
pub use verify::{Place, Violation, verify};
pub use widen::{device_size, narrow, same_bytes, widen};

pub use bayplan_plan::pool;

use bayplan_expr::Bindings;
use bayplan_graph::Graph;
use bayplan_plan::Effort;
use bayplan_shaders::Target;

/// How to compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether elementwise operations join their neighbours.
    pub fuse: bool,
    /// Whether results that copies would move are written where these would put them: no copies for concatenations, turned
    /// results and outputs that are views, as far as kernels' strides allow.
    pub direct: bool,
    /// Whether the graph is brought into a simple form first: common subexpressions once, patterns as one operator.
    pub simplify: bool,
    /// Whether results may overwrite an operand that dies.
    pub in_place: bool,
    /// How long the planner may search.
    pub effort: Effort,
    /// Whether operations may run in another order than the model has them. Results do not depend on it: the same
    /// kernels compute the same operands.
    pub order: Order,
    /// Whether buffers that never live at the same time may share bytes. Without it whatever lies in an arena at the
    /// end of a run is what each buffer held last.
    pub share: bool,
    /// Whether buffers that share bytes may also lie in bytes that another one uses only later, where that makes the arena
    /// smaller.
    pub late: bool,
    /// Bytes after each buffer that belong to no window (rounded up to whole `vec4`s). A kernel that writes past its
    /// window writes there, where it can be seen.
    pub guard: u64,
    /// Offsets that were found before: taken where they are a plan of the buffers and no plan is smaller. None by default.
    pub known: Known,
    /// Where inputs lie: in the arena by default.
    pub inputs: Policies<InputPolicy>,
    /// Where outputs lie: in the arena by default.
    pub outputs: Policies<OutputPolicy>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            fuse: true,
            direct: true,
            simplify: true,
            in_place: true,
            effort: Effort::Normal,
            order: Order::default(),
            share: true,
            late: true,
            guard: 0,
            known: Known::default(),
            inputs: Policies::all(InputPolicy::Planned),
            outputs: Policies::all(OutputPolicy::Borrow),
        }
    }
}

/// Compiles an inferred graph for a target, with every symbol bound by `dims`. `read` gives the bytes of small
/// constants that lie in files (at most [`MAX_CONSTANT`] bytes each).
///
/// # Errors
/// [`CompileError`]: symbols without a value, nodes that cannot run on the target (all at once), or a defect of bayplan
/// found by its own verifier.
#[allow(clippy::needless_pass_by_value, reason = "callers write options where they compile")]
pub fn compile(
    graph: &Graph,
    dims: &Bindings,
    target: &Target,
    options: Options,
    read: &ReadConstant<'_>,
) -> Result<Program, CompileError> {
    policy::check_names(&[graph], &options.inputs, &options.outputs)?;
    cell::program(graph, dims, target, &options, read)
}
