//! The order of the run stage's operations: the planner's search, adapted.
//!
//! ```text
//!  operations, as the graph has them ──► nodes and values of plan::order ──► an order ──► liveness, plan
//!                                                                                  kept if its own final plan is smaller
//! ```
//!
//! Only the run stage is reordered: what loading needs is freed before the activations are there, and weights are
//! uploaded in the order in which the load program reads them. Two operations keep their order where one writes bytes
//! of a tensor, as windows have them, that the other touches. So partial writers, fills under paddings and parts of a
//! concatenation that were made in place need no rules here, and what an operation reads is what it read before:
//! results do not depend on the order.

use std::collections::BTreeMap;

use bayplan_plan::order::{Access, Dag, Node, Value, search};
use bayplan_shaders::Target;

use crate::Options;
use crate::assemble;
use crate::error::CompileError;
use crate::liveness::{self, Stages};
use crate::lowered::{Lowered, TensorId};
use crate::program::{BufferKind, Order, Program, Schedule};

/// The program with its run stage in the order whose arena is smallest: the one given, made in the given order, or one
/// that `make` makes of other stages and that is strictly smaller.
pub(crate) fn schedule(
    mut given: Program,
    lowered: &Lowered,
    stages: &Stages,
    options: Options,
    make: impl Fn(&Stages) -> Result<Program, CompileError>,
) -> Result<Program, CompileError> {
    let searched = search(&dag(lowered, stages, &given.target, options)?, options.effort);
    let best = searched.best();
    given.schedule.bound = searched.bound;
    if searched.best == 0 {
        return Ok(given);
    }
    let run = best.order.iter().map(|&node| stages.run[node as usize]).collect();
    let mut other = make(&Stages { load: stages.load.clone(), run })?;
    // What counts is what the whole compiler makes of the order, blocks of a device's allocations included.
    if other.schedule.peak >= given.schedule.peak {
        return Ok(given);
    }
    other.schedule = Schedule {
        order: Order::Search,
        candidate: best.name,
        peak: other.schedule.peak,
        barriers: other.schedule.barriers,
        ..given.schedule
    };
    Ok(other)
}

/// The run stage as the planner sees it: a node for each operation, a value for each tensor in the arena.
fn dag(lowered: &Lowered, stages: &Stages, target: &Target, options: Options) -> Result<Dag, CompileError> {
    let live = liveness::storages(lowered, stages);
    let guard = assemble::guard(options);
    let (mut values, mut numbers) = (Vec::new(), BTreeMap::new());
    for storage in &live.storages {
        if matches!(storage.kind, BufferKind::Load | BufferKind::Weight) {
            continue;
        }
        numbers.extend(storage.tensors.iter().map(|&tensor| (tensor, values.len() as u32)));
        values.push(Value {
            size: assemble::bytes(lowered, &storage.tensors) + guard,
            align: target.storage_alignment,
            given: storage.kind == BufferKind::Input,
            kept: storage.kind == BufferKind::Output,
        });
    }
    let nodes = stages.run.iter().map(|&index| node(lowered, index, &numbers, options)).collect();
    Dag::new(nodes, values).map_err(|e| CompileError::Plan(e.to_string()))
}

/// What an operation reads and writes in the arena, as its windows will have it.
fn node(lowered: &Lowered, index: usize, numbers: &BTreeMap<TensorId, u32>, options: Options) -> Node {
    let operation = &lowered.operations[index];
    let access = |tensor: TensorId, first, count| {
        let bytes = lowered.tensor(tensor).window(first, count);
        Some(Access::new(*numbers.get(&tensor)?, bytes.start, bytes.end))
    };
    let mut node = Node::default();
    for (slot, view) in operation.operands.iter().enumerate() {
        let Some(read) = access(view.tensor, view.base, view.extent()) else { continue };
        if options.in_place && liveness::may_overwrite(lowered, operation, slot) {
            node.overwrites.push(node.reads.len() as u32);
        }
        node.reads.push(read);
    }
    let written = &operation.written;
    node.writes.extend(access(operation.output, written.start, written.end - written.start));
    node
}
