//! The plan that a packed model brings along: what of it is at hand for a run, and whether it held.

use core::fmt;
use std::path::Path;

use bayplan_compile::plan_file::{PlanFile, PlannedBuffer, ShapePlan, digest};
use bayplan_compile::{Arena, Buffer, BufferKind, Known, Program};
use bayplan_expr::{Bindings, Scope};
use bayplan_graph::Graph;
use bayplan_onnx::write::{Outline, PLAN_KEY};
use bayplan_plan::symbolic::{SymbolicBuffer, SymbolicPlan, SymbolicProblem};
use bayplan_plan::{Effort, Lifespan, Plan, Problem};
use bayplan_text::{Count, ellipsis};
use bayplan_weights::FileSource;

use crate::error::Error;

/// Largest plan file that is read.
const MAX_PLAN: u64 = 256 << 20;

/// The plan that a packed model brings along, of the graph that [`Model::open`](crate::Model::open) gives
/// ([`PlanFile::digest`]); none of other models.
///
/// # Errors
/// The model or its plan cannot be read.
pub fn packed_plan(path: impl AsRef<Path>) -> Result<Option<PlanFile>, Error> {
    let source = FileSource::open(path)?;
    let text = Outline::read(&source)?.metadata(&source, PLAN_KEY, MAX_PLAN)?;
    Ok(text.map(|text| PlanFile::read(&text)).transpose()?)
}

/// What a packed model brings along for its runs, never trusted: where it cannot be used, its model is planned anew.
#[derive(Debug)]
pub struct Brought(Result<PlanFile, String>);

/// What became of the plan that a model brought along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Its offsets are a valid plan of the program's buffers.
    Holds {
        /// Bytes of the arena.
        bytes: u64,
        /// Whether the program has them: not where it was planned with fewer bytes.
        used: bool,
    },
    /// The program was planned anew.
    Unfit {
        /// Why.
        reason: String,
    },
}

/// For people.
impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds { bytes, used: true } => {
                write!(f, "the packed plan is used: {} bytes", Count(*bytes))
            }
            Self::Holds { bytes, used: false } => {
                write!(f, "planned anew; the packed plan holds, too: {} bytes", Count(*bytes))
            }
            Self::Unfit { reason } => write!(f, "planned anew, not as packed: {}", ellipsis(reason, 300)),
        }
    }
}

impl Brought {
    /// Of a model file, whose graph as it was opened is given; none of a model that was not packed, or without a plan.
    pub fn open(path: impl AsRef<Path>, graph: &Graph) -> Option<Self> {
        let plan = match packed_plan(path) {
            Ok(plan) => plan?,
            Err(e) => return Some(Self(Err(e.to_string()))),
        };
        // The file may be called otherwise by now.
        let own = Graph { name: plan.model.as_str().into(), ..graph.clone() };
        if digest(&own) == plan.digest {
            return Some(Self(Ok(plan)));
        }
        let reason = "it is of another model, or of other weights or inputs of this one".to_owned();
        Some(Self(Err(reason)))
    }

    /// Offsets for whoever compiles the model at a shape: none where the plan has none there.
    pub fn known(&self, dims: &Bindings) -> Known {
        let offsets = self.0.as_ref().ok().and_then(|plan| replayed(plan, dims).ok());
        offsets.map_or_else(Known::default, Known::of)
    }

    /// Judges it by a program: whether its offsets are a valid plan for the program's buffers.
    pub fn judge(&self, program: &Program) -> Judged {
        let held = match &self.0 {
            Ok(plan) => held(plan, program),
            Err(reason) => Err(reason.clone()),
        };
        match held {
            Ok(bytes) => Judged::Holds { bytes, used: program.run.plan.strategy == Known::STRATEGY },
            Err(reason) => Judged::Unfit { reason },
        }
    }
}

/// The offsets of a model's only function at a shape.
fn replayed(plan: &PlanFile, dims: &Bindings) -> Result<Vec<u64>, String> {
    let name = plan.functions.first().map(|first| &*first.function).ok_or("it has no offsets")?;
    if plan.functions.iter().any(|own| own.function != name) {
        return Err("it is of a model with several functions".into());
    }
    let (_, replayed) = plan.replay(name, dims).map_err(|e| e.to_string())?;
    Ok(replayed.offsets)
}

/// The bytes of a plan's arena for a program, if it is a plan of that.
fn held(plan: &PlanFile, program: &Program) -> Result<u64, String> {
    let offsets = replayed(plan, &program.dims)?;
    let buffers = planned(program).map(|buffer| bayplan_plan::Buffer {
        size: buffer.size.saturating_add(program.guard),
        align: buffer.align,
        lifespan: Lifespan::new(buffer.lifespan.start, buffer.lifespan.end),
        fixed: None,
    });
    let problem = Problem::new(buffers.collect()).map_err(|e| e.to_string())?;
    let judged = Plan::from_offsets(&problem, offsets, Known::STRATEGY);
    judged.map(|plan| plan.peak).map_err(|violation| match plan.target == program.target.name {
        true => format!("it is no plan of this program: {violation}"),
        false => {
            format!("it was made for {}, where buffers are others: {violation}", ellipsis(&plan.target, 60))
        }
    })
}

/// The buffers that a program's plan places: what lies in parts of others needs no bytes of its own.
fn planned(program: &Program) -> impl Iterator<Item = &Buffer> {
    let own = |buffer: &&Buffer| {
        buffer.arena == Arena::Activations && buffer.within.is_none() && buffer.kind != BufferKind::Load
    };
    program.buffers.iter().filter(own)
}

/// The plan of a program of one shape, as one of all the shapes that it has. Placed by their offsets, buffers lie no higher than
/// there.
pub(super) fn of_one_shape(program: &Program) -> Option<ShapePlan> {
    let symbolic = |buffer: &Buffer| {
        let size = i64::try_from(buffer.size.checked_add(program.guard)?).ok()?;
        Some(SymbolicBuffer {
            size: size.into(),
            align: buffer.align,
            lifespan: Lifespan::new(buffer.lifespan.start, buffer.lifespan.end),
        })
    };
    let sized: Vec<SymbolicBuffer> = planned(program).map(symbolic).collect::<Option<_>>()?;
    let offsets: Vec<u64> = planned(program).map(|buffer| buffer.offset).collect();
    let mut order: Vec<u32> = (0..offsets.len() as u32).collect();
    order.sort_by_key(|&buffer| offsets[buffer as usize]);
    let plan = SymbolicPlan::from_order(SymbolicProblem::new(sized, Scope::new()).ok()?, order).ok()?;
    let buffers = planned(program)
        .map(|buffer| PlannedBuffer { name: buffer.name.to_string(), kind: buffer.kind.name().to_string() });
    let reservation = plan.reservation(Effort::Normal);
    Some(ShapePlan {
        function: program.name.clone(),
        when: Vec::new(),
        buffers: buffers.collect(),
        plan,
        reservation,
    })
}
