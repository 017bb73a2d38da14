//! The plan of every shape within bounds, as a file: a runtime chooses sizes at start-up from it, without compiling.
//!
//! ```text
//!  Family ─► PlanFile ─► to_json ─► … ─► read ─► memory:   MemoryFunction::solve: what fits
//!                                                replay:   offsets at a shape
//!                                                narrowed: smaller bounds, the same order: a smaller arena
//! ```
//!
//! What is stored is sizes as expressions, lifespans, alignments and the order of placement; offsets follow from them.

mod json;
mod of;
mod read;

pub use json::memory_value;

use core::fmt;

use bayplan_expr::{Bindings, Scope};
use bayplan_graph::Graph;
use bayplan_plan::Effort;
use bayplan_plan::memory::{Condition, MemoryFunction};
use bayplan_plan::symbolic::{Replayed, Reservation, SymbolicError, SymbolicPlan};

/// The major version of the format. Keys are added without changing it.
pub const PLAN_FILE_VERSION: u32 = 1;

/// The plan of one function of a model, or of one within part of its bounds.
#[derive(Clone, Debug)]
pub struct ShapePlan {
    /// The function.
    pub function: String,
    /// Where it is what runs: all of these hold.
    pub when: Vec<Condition>,
    /// What the buffers of the plan's problem are, in its order.
    pub buffers: Vec<PlannedBuffer>,
    /// Sizes as expressions, bounds and the order of placement: offsets for every shape.
    pub plan: SymbolicPlan,
    /// What is enough for all of its bounds.
    pub reservation: Reservation,
}

/// What a buffer of a plan is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedBuffer {
    /// The value that it was made for.
    pub name: String,
    /// `input`, `output` or `activation`.
    pub kind: String,
}

/// An output of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedOutput {
    /// Its name.
    pub name: String,
    /// `borrow`, `own` or `into`.
    pub policy: String,
}

/// A plan for every shape, with the bytes that it needs.
#[derive(Clone, Debug)]
pub struct PlanFile {
    /// The model's name.
    pub model: String,
    /// [`digest`] of its graph.
    pub digest: u64,
    /// What it was compiled for.
    pub target: String,
    /// One for each function, and for each part of its bounds that has a plan of its own. They never run at the same time
    /// and share one arena.
    pub functions: Vec<ShapePlan>,
    /// The bytes at any shape.
    pub memory: MemoryFunction,
    /// The model's outputs, in order.
    pub outputs: Vec<PlannedOutput>,
}

/// Why a text is no plan file, or a plan cannot be used as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanFileError {
    /// The text is no JSON, or ends too early.
    Malformed {
        /// What is wrong, and where.
        reason: String,
    },
    /// It is JSON of something else.
    Foreign,
    /// Another major version.
    Version {
        /// The version found.
        found: u64,
    },
    /// Its checksum is another: something was changed.
    Damaged,
    /// It is whole but says what cannot be.
    Invalid {
        /// What is wrong.
        reason: String,
    },
    /// There is no function of that name.
    NoFunction {
        /// The name asked for.
        name: String,
    },
    /// No plan of the function is for that shape.
    NoShape {
        /// The shape asked for.
        point: Bindings,
    },
    /// The plan has no offsets there.
    Plan(SymbolicError),
}

impl fmt::Display for PlanFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { reason } => {
                write!(f, "the plan file is cut off or no JSON: {}; make it anew", quoted(reason))
            }
            Self::Foreign => {
                f.write_str("this is no plan file of bayplan; `bayplan plan MODEL --json` writes one")
            }
            Self::Version { found } => write!(
                f,
                "the plan file has version {found}; this bayplan reads version {PLAN_FILE_VERSION}: use the bayplan that \
                 wrote it, or make the plan anew"
            ),
            Self::Damaged => f.write_str("the plan file is damaged: its checksum is another; make it anew"),
            Self::Invalid { reason } => {
                write!(f, "the plan file is not valid: {}; make it anew", quoted(reason))
            }
            Self::NoFunction { name } => {
                write!(f, "the plan file has no function `{}`", bayplan_text::ellipsis(name, 60))
            }
            Self::NoShape { point } => {
                write!(f, "the plan file has no plan for {}", bayplan_text::ellipsis(&point.to_string(), 200))
            }
            Self::Plan(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PlanFileError {}

/// A reason that may quote the file, whatever that says.
fn quoted(reason: &str) -> impl fmt::Display {
    bayplan_text::ellipsis(reason, 300)
}

impl PlanFile {
    /// The bytes of the arena that is enough for every shape of every function.
    pub fn arena_bytes(&self) -> u64 {
        self.functions.iter().map(|function| function.reservation.bytes).max().unwrap_or(0)
    }

    /// The offsets of a function's buffers at a shape, and the plan whose buffers they are.
    ///
    /// # Errors
    /// [`PlanFileError::NoFunction`], [`PlanFileError::NoShape`], [`PlanFileError::Plan`].
    pub fn replay(&self, function: &str, point: &Bindings) -> Result<(&ShapePlan, Replayed), PlanFileError> {
        let mut own = self.functions.iter().filter(|plan| plan.function == function).peekable();
        if own.peek().is_none() {
            return Err(PlanFileError::NoFunction { name: function.into() });
        }
        let runs = |plan: &&ShapePlan| plan.when.iter().all(|condition| condition.holds(point) == Ok(true));
        let plan = own.find(runs).ok_or_else(|| PlanFileError::NoShape { point: point.clone() })?;
        Ok((plan, plan.plan.replay(point).map_err(PlanFileError::Plan)?))
    }

    /// The same plan within smaller bounds: sizes, lifespans and the order of placement stay, the arena is what they need
    /// at most. Nothing is planned again.
    ///
    /// # Errors
    /// Bounds that leave a symbol no value.
    pub fn narrowed(&self, bounds: &Scope) -> Result<Self, PlanFileError> {
        let invalid = |reason: String| PlanFileError::Invalid { reason };
        let mut narrowed = self.clone();
        narrowed.memory.scope = self.memory.scope.within(bounds).map_err(|e| invalid(e.to_string()))?;
        narrowed.functions.clear();
        for own in &self.functions {
            // Of the parts of a box those without a point in the smaller one are left out.
            let Ok(scope) = own.plan.problem().scope().within(bounds) else { continue };
            let plan = own.plan.within(scope).map_err(PlanFileError::Plan)?;
            let reservation = plan.reservation(Effort::Normal);
            narrowed.functions.push(ShapePlan { plan, reservation, ..own.clone() });
        }
        Ok(narrowed)
    }
}

/// A number that tells graphs apart: FNV-1a, 64 bits, of the text that the graph prints.
pub fn digest(graph: &Graph) -> u64 {
    let mut hash = Fnv::new();
    // Writing to it cannot fail.
    let _ = fmt::Write::write_fmt(&mut hash, format_args!("{graph}"));
    hash.0
}

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}
