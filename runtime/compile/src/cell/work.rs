//! A graph as device work: what a compile does before anything has a place, and what is decided once there.

use bayplan_expr::{Bindings, Scope};
use bayplan_graph::Graph;
use bayplan_shaders::Target;

use crate::assemble::{self, Placement, place};
use crate::error::CompileError;
use crate::fold::{self, ReadConstant};
use crate::late::{self, Unit};
use crate::liveness::{self, Liveness, Reuse, Stages};
use crate::lowered::Lowered;
use crate::policy::Ports;
use crate::size::{Symbols, Values};
use crate::weights::Weights;
use crate::{Options, concat, direct, fuse, in_blocks, lower, phases, simplify, split};

/// What is compiled for, whatever the shape.
#[derive(Clone, Copy)]
pub(crate) struct Purpose<'a> {
    pub(crate) target: &'a Target,
    pub(crate) options: &'a Options,
    pub(crate) read: &'a ReadConstant<'a>,
    /// What all compiles of a family load, if these are several.
    pub(crate) weights: Option<&'a Weights>,
    /// Bytes above which a tensor is of no use, if that is known: no shape is looked at then that has one, or one that the
    /// target does not allocate.
    pub(crate) most: Option<u64>,
}

impl<'a> Purpose<'a> {
    /// Compiling for a target, whatever it can run.
    pub(crate) fn new(target: &'a Target, options: &'a Options, read: &'a ReadConstant<'a>) -> Self {
        Self { target, options, read, weights: None, most: None }
    }
}

/// What is compiled, and for which shapes.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The graph with pinned symbols replaced.
    pub(crate) graph: &'a Graph,
    /// The graph with all symbols that it ever had.
    pub(crate) symbolic: &'a Graph,
    /// The box of the symbols that are left, or the part of it that is compiled for.
    pub(crate) scope: &'a Scope,
    /// All of the box.
    pub(crate) whole: &'a Scope,
    /// Where decisions are taken: a point of the box.
    pub(crate) reference: &'a Bindings,
    /// All symbols there.
    pub(crate) dims: &'a Bindings,
}

/// A graph as device work, with what of it is done once.
pub(super) struct Work {
    pub(super) graph: Graph,
    pub(super) lowered: Lowered,
    pub(super) stages: Stages,
}

impl Source<'_> {
    /// Everything up to the operations themselves, while symbols are entered.
    pub(super) fn work(&self, purpose: Purpose<'_>) -> Result<Work, CompileError> {
        let Purpose { target, options, read, weights, most } = purpose;
        let (graph, known) = (self.graph.clone(), fold::fold(self.graph, read)?);
        let (graph, known) = if options.simplify { simplify::simplify(graph, known) } else { (graph, known) };
        let (mut lowered, mut fixed) =
            lower::lower(&graph, self.symbolic, &known, target, weights.map_or(&[], Weights::plain))
                .map_err(CompileError::Unsupported)?;
        if options.fuse {
            fuse::fuse(&mut lowered, &fixed);
        }
        if options.direct {
            concat::place(&mut lowered, &fixed, target);
        }
        in_blocks::place(&mut lowered, &mut fixed, target);
        // Before it is cut into the thousands of parts that its windows would need.
        if let Some(large) = most.and_then(|most| assemble::too_large(&lowered, target, most)) {
            return Err(CompileError::Unsupported(vec![large]));
        }
        phases::cut(&mut lowered, &mut fixed, target);
        split::split(&mut lowered, &mut fixed, target).map_err(CompileError::Unsupported)?;
        if options.direct {
            direct::place(&mut lowered, &mut fixed, target);
        }
        direct::rebase(&mut lowered.operations, target);
        direct::explain(&mut lowered, target);
        let stages = liveness::stages(&lowered, &fixed);
        Ok(Work { graph, lowered, stages })
    }

    /// Adds what it loads.
    pub(crate) fn load(&self, purpose: Purpose<'_>, weights: &mut Weights) -> Result<(), CompileError> {
        let _symbols = Symbols::enter(self.scope, self.reference);
        let Work { lowered, stages, .. } = self.work(purpose)?;
        weights.add(&lowered, &stages);
        Ok(())
    }
}

/// Liveness and plan of a graph without symbols, its operators in the order given; `turn` is called as they begin and when
/// they are done.
pub(crate) fn liveness_and_plan(
    source: Source<'_>,
    purpose: Purpose<'_>,
    turn: &mut dyn FnMut(),
) -> Result<(), CompileError> {
    let _symbols = Symbols::enter(source.scope, source.reference);
    let ports = Ports::new(source.symbolic, &purpose.options.inputs, &purpose.options.outputs);
    let Work { lowered, stages, .. } = source.work(purpose)?;
    turn();
    let planned = planned(lowered, &stages, &ports, purpose);
    turn();
    planned.map(drop)
}

/// What overwrites what, how long everything lives and where it lies. Overwriting part of a larger operand saves a buffer but
/// keeps the larger one alive, so it is done only where that does not cost more.
pub(super) fn planned(
    lowered: Lowered,
    stages: &Stages,
    ports: &Ports,
    Purpose { target, options, .. }: Purpose<'_>,
) -> Result<(Lowered, Liveness, Placement), CompileError> {
    let attempt = |mut lowered: Lowered, reuse: Reuse| {
        let mut live = liveness::liveness(&mut lowered, stages, ports, reuse);
        let planned = |live: &Liveness| place(&lowered, live, &Values::default(), target, options);
        let mut placement = planned(&live)?;
        if options.share && options.late {
            let unit = Unit {
                granule: target.storage_granule,
                align: target.storage_alignment,
                guard: assemble::guard(options, target),
            };
            let (housed, smaller) = late::house(&lowered, &live, placement, stages, unit, planned)?;
            (live, placement) = (housed.unwrap_or(live), smaller);
        }
        Ok::<_, CompileError>((lowered, live, placement))
    };
    if !options.in_place {
        return attempt(lowered, Reuse::Never);
    }
    let larger = attempt(lowered.clone(), Reuse::Larger)?;
    let equal = if larger.1.keeps_larger { Some(attempt(lowered, Reuse::Equal)?) } else { None };
    Ok(equal.filter(|equal| equal.2.run.plan.peak < larger.2.run.plan.peak).unwrap_or(larger))
}
