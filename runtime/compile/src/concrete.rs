//! Compiling for one shape: every symbol has its value.

use std::sync::Arc;

use bayplan_expr::{Bindings, Expr};
use bayplan_graph::{Graph, Tensor, Value, ValueSource};
use bayplan_shaders::Target;

use crate::assemble::{Placement, assemble, place};
use crate::error::CompileError;
use crate::fold::{self, ReadConstant};
use crate::liveness::{self, Liveness, Reuse, Stages};
use crate::lowered::Lowered;
use crate::policy::Ports;
use crate::program::{Order, Program};
use crate::weights::Weights;
use crate::{Options, concat, fuse, lower, phases, schedule, simplify, split, verify};

/// The program for one shape. With `shared`, the symbols that are not pinned may have other values in other
/// programs of the same family: what follows from them is neither uploaded nor loaded, so that all have the same weights.
pub(crate) fn program(
    graph: &Graph,
    dims: &Bindings,
    target: &Target,
    options: &Options,
    read: &ReadConstant<'_>,
    shared: Option<Shared<'_>>,
) -> Result<Program, CompileError> {
    let Work { bound, mut lowered, mut stages } =
        work(graph, dims, target, options, read, shared.map(|shared| shared.pinned))?;
    if let Some(weights) = shared.and_then(|shared| shared.weights) {
        let not_of_all = || CompileError::Weights { function: graph.name.to_string(), dims: dims.clone() };
        (lowered, stages) = weights.frame(&lowered, &stages).ok_or_else(not_of_all)?;
    }
    let ports = Ports::new(graph, &options.inputs, &options.outputs);
    let make = |stages: &Stages| {
        let Placed { lowered, live, placement } = placed(lowered.clone(), stages, &ports, target, options)?;
        assemble(&bound, &lowered, stages, &live, placement, target, dims)
    };
    let mut program = make(&stages)?;
    // Where nothing shares bytes every order needs the same.
    if options.order == Order::Search && options.share {
        program = schedule::schedule(program, &lowered, &stages, &ports, options, make)?;
    }
    verify(&program).map_err(|violation| CompileError::Verify(violation.to_string()))?;
    Ok(program)
}

/// What all programs of a family have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared<'a> {
    /// The symbols that have one value in all of them.
    pub(crate) pinned: &'a Bindings,
    /// What all of them load, if they are of several functions.
    pub(crate) weights: Option<&'a Weights>,
}

/// A graph as device work, with what of it is done once.
pub(crate) struct Work {
    bound: Graph,
    pub(crate) lowered: Lowered,
    pub(crate) stages: Stages,
}

/// Everything up to the operations themselves.
pub(crate) fn work(
    graph: &Graph,
    dims: &Bindings,
    target: &Target,
    options: &Options,
    read: &ReadConstant<'_>,
    pinned: Option<&Bindings>,
) -> Result<Work, CompileError> {
    let bound = graph.bind(dims).map_err(|e| CompileError::Bind(e.to_string()))?;
    let mut known = fold::fold(&bound, read)?;
    if let Some(pinned) = pinned {
        forget(graph, pinned, &mut known);
    }
    let (bound, known) = if options.simplify { simplify::simplify(bound, known) } else { (bound, known) };
    let (mut lowered, mut fixed) =
        lower::lower(&bound, graph, &known, target).map_err(CompileError::Unsupported)?;
    if let Some(pinned) = pinned {
        for (tensor, fixed) in lowered.tensors.iter().zip(&mut fixed) {
            *fixed &= !is_open(&tensor.elements_expr, pinned);
        }
    }
    if options.fuse {
        fuse::fuse(&mut lowered, &fixed);
    }
    if options.direct {
        concat::place(&mut lowered, &fixed, target);
    }
    phases::cut(&mut lowered, &mut fixed, target);
    split::split(&mut lowered, &mut fixed, target).map_err(CompileError::Unsupported)?;
    let stages = liveness::stages(&lowered, &fixed);
    Ok(Work { bound, lowered, stages })
}

fn is_open(e: &Expr, pinned: &Bindings) -> bool {
    e.symbols().into_iter().any(|symbol| pinned.get(symbol).is_none())
}

/// Drops what was computed from open symbols, but for single elements: these travel in parameters.
fn forget(graph: &Graph, pinned: &Bindings, known: &mut [Option<Arc<Tensor>>]) {
    let varies_by_itself = |value: &Value| {
        let shape = value.ty.iter().flat_map(|ty| &ty.shape);
        shape.chain(value.contents.iter().flat_map(|list| list.iter())).any(|e| is_open(e, pinned))
    };
    let mut varies = vec![false; graph.values.len()];
    for (index, value) in graph.values.iter().enumerate() {
        varies[index] = !matches!(value.source, ValueSource::Constant(_)) && varies_by_itself(value);
    }
    for node in &graph.nodes {
        let of_varying = node.inputs.iter().any(|input| varies[input.0 as usize]);
        for output in node.outputs.iter().filter(|output| graph.value(**output).contents.is_none()) {
            varies[output.0 as usize] |= of_varying;
        }
    }
    for (known, _) in known.iter_mut().zip(varies).filter(|(_, varies)| *varies) {
        if known.as_ref().is_some_and(|tensor| tensor.count() != 1) {
            *known = None;
        }
    }
}

/// Operations that know what they overwrite, with their storages and where these lie.
struct Placed {
    lowered: Lowered,
    live: Liveness,
    placement: Placement,
}

/// Decides what overwrites what, and where everything lies. Overwriting part of a larger operand saves a buffer but
/// keeps the larger one alive, so it is done only where that does not cost more.
fn placed(
    lowered: Lowered,
    stages: &Stages,
    ports: &Ports,
    target: &Target,
    options: &Options,
) -> Result<Placed, CompileError> {
    let attempt = |mut lowered: Lowered, reuse: Reuse| {
        let live = liveness::liveness(&mut lowered, stages, ports, reuse);
        let placement = place(&lowered, &live, target, options)?;
        Ok(Placed { lowered, live, placement })
    };
    if !options.in_place {
        return attempt(lowered, Reuse::Never);
    }
    let larger = attempt(lowered.clone(), Reuse::Larger)?;
    if !larger.live.keeps_larger {
        return Ok(larger);
    }
    let equal = attempt(lowered, Reuse::Equal)?;
    Ok(if equal.placement.run.plan.peak < larger.placement.run.plan.peak { equal } else { larger })
}
