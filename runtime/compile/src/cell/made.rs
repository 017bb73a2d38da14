//! Operations with their storages: programs at shapes are read off them.

use bayplan_expr::{Bindings, Expr, Scope};
use bayplan_graph::Graph;
use bayplan_plan::arenas::BlockPlan;
use bayplan_plan::symbolic::{Replayed, SymbolicBuffer, SymbolicError, SymbolicPlan};
use bayplan_plan::{Lifespan, Plan, Problem};
use bayplan_shaders::Target;

use super::work::planned;
use super::{Phase, Purpose};
use crate::alike::Alike;
use crate::assemble::{self, Placement, Shape, assemble, place};
use crate::error::CompileError;
use crate::liveness::{Liveness, Stages, Storage};
use crate::lowered::{Lowered, Origin};
use crate::policy::Ports;
use crate::program::{Arena, Program, Schedule};
use crate::size::{Size, Values, numbers};
use crate::{Options, verify};

/// Operations that know what they overwrite, with their storages.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(super) lowered: Lowered,
    pub(super) alike: Alike,
    pub(super) stages: Stages,
    pub(super) live: Liveness,
    /// Where the weights and what loading needs lie, and what was planned at the reference.
    pub(super) placement: Placement,
    pub(crate) schedule: Schedule,
}

impl Made {
    /// Decides what overwrites what, and where everything lies at the reference.
    pub(super) fn new(
        lowered: Lowered,
        stages: &Stages,
        ports: &Ports,
        graph: &Graph,
        dims: &Bindings,
        purpose: Purpose<'_>,
    ) -> Result<Self, CompileError> {
        let (lowered, live, placement) = planned(lowered, stages, ports, purpose)?;
        let alike = Alike::new(&lowered);
        let (values, target) = (&Values::default(), purpose.target);
        let shape = Shape { values, dims, target, alike: &alike, reference: None };
        let program = assemble(graph, &lowered, stages, &live, placement.clone(), shape, &mut |_| {})?;
        let schedule = Schedule::given(&program.run);
        Ok(Self { lowered, alike, stages: stages.clone(), live, placement, schedule })
    }

    /// Whether storages lie in late parts of others.
    pub(crate) fn has_guests(&self) -> bool {
        self.live.storages.iter().any(|storage| storage.within.is_some())
    }

    /// The storages of the activations with their sizes as expressions.
    pub(super) fn buffers(&self, scope: &Scope, target: &Target, options: &Options) -> Vec<SymbolicBuffer> {
        let guard = assemble::guard(options, target);
        let planned = |storage: &&Storage| storage.is_planned_in(Arena::Activations);
        let storages = || self.live.storages.iter().filter(planned);
        let end = storages().map(|storage| storage.lifespan.end).max().unwrap_or(1);
        let buffer = |storage: &Storage| {
            let sizes = storage.tensors.iter().map(|&tensor| self.lowered.tensor(tensor).bytes().expr());
            let largest = Expr::max_of(sizes).simplify(scope);
            let life = if options.share { storage.lifespan.clone() } else { 0..end };
            SymbolicBuffer {
                size: largest.align_up(target.storage_granule as i64) + Expr::from(guard as i64),
                align: target.storage_alignment,
                lifespan: Lifespan::new(life.start, life.end),
            }
        };
        storages().map(buffer).collect()
    }

    /// The sizes that a program needs.
    pub(super) fn sizes(&self) -> Vec<Size> {
        let mut list: Vec<Size> = Vec::new();
        for operation in &self.lowered.operations {
            list.extend(numbers(&operation.spec));
            list.extend([operation.written.start, operation.written.end]);
            for view in &operation.operands {
                list.extend(view.shape.iter().chain(&view.strides).chain([&view.base]));
            }
        }
        for tensor in &self.lowered.tensors {
            list.extend(&tensor.shape);
            if let Origin::Contents(elements) = &tensor.origin {
                list.extend(elements);
            }
        }
        list.extend(self.live.of.iter().flatten().map(|place| place.offset));
        for storage in &self.live.storages {
            list.extend(storage.within.map(|place| place.offset));
            list.extend(storage.late.iter().flat_map(|part| [part.bytes.start, part.bytes.end]));
        }
        list
    }

    /// What is left where operations with nothing to write are left out, and how long storages live then; `None` where
    /// all have something. Two that live together then live together in the whole, too: a storage that only what is left
    /// out touches has no bytes, or is one that the host writes, and those stay until an operation that is never left out.
    pub(super) fn without_empty(&self, values: &Values) -> Option<(Stages, Liveness)> {
        let any = self.alike.any(&self.lowered, values);
        let writes = |&index: &usize| any[self.alike.work(index)];
        if self.stages.run.iter().all(writes) {
            return None;
        }
        let (mut stages, mut live) = (self.stages.clone(), self.live.clone());
        stages.run.retain(writes);
        // Operations kept before each position.
        let mut before = vec![0];
        for index in &self.stages.run {
            before.push(before.last().copied().unwrap_or(0) + u32::from(writes(index)));
        }
        let (end, at) =
            (before.last().copied().unwrap_or(0).max(1), |position: u32| before.get(position as usize));
        for storage in live.storages.iter_mut().filter(|s| s.arena() != Arena::Load) {
            let life = &storage.lifespan;
            let (first, last) = (at(life.start).copied().unwrap_or(0), at(life.end).copied().unwrap_or(end));
            for part in &mut storage.late {
                part.first = at(part.first).copied().unwrap_or(end);
            }
            // What nothing touches any more is there for one operation, as inputs are that nothing reads.
            let first = first.min(end - 1);
            storage.lifespan = first..last.max(first + 1);
        }
        Some((stages, live))
    }

    /// The program at a shape, its buffers placed as the plan of all shapes has them; `rest` is what is left where something
    /// is left out.
    pub(super) fn at(
        &self,
        graph: &Graph,
        (plan, point): (Option<&SymbolicPlan>, &Bindings),
        rest: Option<&(Stages, Liveness)>,
        shape: Shape<'_>,
        options: &Options,
        done: &mut dyn FnMut(Phase),
    ) -> Result<Program, CompileError> {
        let Shape { values, dims, target, .. } = shape;
        let lost = |e: SymbolicError| CompileError::Bind(format!("at {dims}: {e}"));
        let (stages, live) = rest.map_or((&self.stages, &self.live), |rest| (&rest.0, &rest.1));
        let placement = match plan {
            None => place(&self.lowered, live, values, target, options)?,
            Some(plan) => {
                let Replayed { offsets, peak } = plan.replay(point).map_err(lost)?;
                done(Phase::Offsets);
                // What the offsets are judged by.
                let problem = plan.problem().at(point).map_err(lost)?;
                let problem = if rest.is_some() { lived(&problem, live, options)? } else { problem };
                let run = Plan::from_offsets(&problem, offsets, "symbolic replay")
                    .map_err(|flaw| CompileError::Verify(flaw.to_string()))?;
                done(Phase::Verification);
                if peak > target.max_allocation {
                    place(&self.lowered, live, values, target, options)?
                } else {
                    self.placed_as((run, peak), live, values, target)?
                }
            }
        };
        done(Phase::Offsets);
        self.program(graph, (stages, live), placement, shape, done)
    }

    /// The places of the activations as a plan says, the others as they are for all shapes. The arena has the bytes that
    /// the plan has in closed form: where storages are empty, up to an alignment more than the last byte in use.
    fn placed_as(
        &self,
        (run, peak): (Plan, u64),
        live: &Liveness,
        values: &Values,
        target: &Target,
    ) -> Result<Placement, CompileError> {
        let blocks = if peak > 0 { vec![peak] } else { Vec::new() };
        let placement = self.placement.clone();
        let external = assemble::outside(&self.lowered, live, values, target, placement.guard)?;
        Ok(Placement { run: BlockPlan { plan: run, blocks }, external, ..placement })
    }

    /// The program at a shape, verified.
    pub(super) fn program(
        &self,
        graph: &Graph,
        (stages, live): (&Stages, &Liveness),
        placement: Placement,
        shape: Shape<'_>,
        done: &mut dyn FnMut(Phase),
    ) -> Result<Program, CompileError> {
        let mut program = assemble(graph, &self.lowered, stages, live, placement, shape, done)?;
        program.schedule = self.schedule.clone();
        verify(&program).map_err(|violation| CompileError::Verify(violation.to_string()))?;
        done(Phase::Verification);
        Ok(program)
    }
}

/// The same buffers with the lives that storages have where operations are left out.
fn lived(problem: &Problem, live: &Liveness, options: &Options) -> Result<Problem, CompileError> {
    let storages = live.storages.iter().filter(|storage| storage.is_planned_in(Arena::Activations));
    let end = storages.clone().map(|storage| storage.lifespan.end).max().unwrap_or(1);
    let shorter = problem.buffers().iter().zip(storages).map(|(buffer, storage)| {
        let life = if options.share { storage.lifespan.clone() } else { 0..end };
        bayplan_plan::Buffer { lifespan: Lifespan::new(life.start, life.end), ..*buffer }
    });
    Problem::new(shorter.collect()).map_err(|e| CompileError::Plan(e.to_string()))
}
