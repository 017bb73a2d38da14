//! The order of the run stage's operations: the planner's search, adapted.
//!
//! ```text
//!  operations, as the graph has them ──► nodes and values of plan::order ──► an order ──► liveness, plan
//!                                                                                  kept if its own final plan pays
//! ```
//!
//! Only the run stage is reordered: what loading needs is freed before the activations are there, and weights are
//! uploaded in the order in which the load program reads them. Two operations keep their order where one writes bytes
//! of a tensor, as windows have them, that the other touches. So partial writers, fills under paddings and parts of a
//! concatenation that were made in place need no rules here, and what an operation reads is what it read before:
//! results do not depend on the order.

use std::collections::BTreeMap;
use std::ops::Range;

use bayplan_plan::order::{Access, Candidate, Dag, DagError, Node, Value, search};
use bayplan_shaders::Target;

use crate::Options;
use crate::assemble;
use crate::cell::{Made, Purpose};
use crate::error::CompileError;
use crate::liveness::{self, Liveness, Stages};
use crate::lowered::{Lowered, TensorId};
use crate::point::Point;
use crate::policy::Ports;
use crate::program::{Arena, BufferKind, Declined, Order, Schedule};
use crate::size::{Here, Values};

/// What is made in the order whose arena is smallest among those worth their barriers: the one given, or one that `make`
/// makes of other stages.
pub(crate) fn schedule(
    mut given: Made,
    lowered: &Lowered,
    stages: &Stages,
    ports: &Ports,
    Purpose { target, options, .. }: Purpose<'_>,
    make: impl Fn(&Stages) -> Result<Made, CompileError>,
) -> Result<Made, CompileError> {
    let Some(dag) = dag(lowered, stages, ports, target, options)? else { return Ok(given) };
    let searched = search(&dag, options.effort);
    // Of values with late parts another order may need less than all of their bytes.
    given.schedule.bound =
        if given.has_guests() { at_once(&dag).min(searched.bound) } else { searched.bound };
    let cost = |candidate: &Candidate| (candidate.peak, candidate.barriers);
    let before = (given.schedule.peak, given.schedule.barriers);
    // The first candidate is the order given, of which the search may know less than the compiler.
    let others = || searched.candidates.iter().skip(1);
    let chosen = others().filter(|other| pays(before, cost(other))).min_by_key(|other| cost(other));
    let passed_over =
        |least: &&Candidate| least.peak < before.0 && chosen.is_none_or(|chosen| chosen.peak > least.peak);
    let least = others().min_by_key(|other| cost(other)).filter(passed_over);
    if let Some(&Candidate { name: candidate, peak, barriers, .. }) = least {
        given.schedule.declined = Some(Declined { candidate, peak, barriers });
    }
    let Some(chosen) = chosen else { return Ok(given) };
    let run = chosen.order.iter().map(|&node| stages.run[node as usize]).collect();
    let mut other = make(&Stages { load: stages.load.clone(), run })?;
    let Schedule { peak, barriers, .. } = other.schedule;
    // What counts is what the whole compiler makes of the order, blocks of a device's allocations included.
    if !pays(before, (peak, barriers)) {
        if peak < before.0 {
            given.schedule.declined = Some(Declined { candidate: chosen.name, peak, barriers });
        }
        return Ok(given);
    }
    let bound =
        if other.has_guests() { at_once(&dag).min(given.schedule.bound) } else { given.schedule.bound };
    other.schedule =
        Schedule { order: Order::Search, candidate: chosen.name, peak, barriers, bound, ..given.schedule };
    Ok(other)
}

/// What is made in an order drawn from a seed; as given where so many operations touch each other's bytes that none is known.
pub(crate) fn drawn(
    given: Made,
    seed: u64,
    (lowered, stages, ports): (&Lowered, &Stages, &Ports),
    Purpose { target, options, .. }: Purpose<'_>,
    make: impl Fn(&Stages) -> Result<Made, CompileError>,
) -> Result<Made, CompileError> {
    let Some(dag) = dag(lowered, stages, ports, target, options)? else { return Ok(given) };
    let run =
        bayplan_plan::order::drawn(&dag, seed).into_iter().map(|node| stages.run[node as usize]).collect();
    let mut other = make(&Stages { load: stages.load.clone(), run })?;
    let Schedule { peak, barriers, .. } = other.schedule;
    other.schedule =
        Schedule { order: Order::Drawn(seed), candidate: "drawn", peak, barriers, ..given.schedule };
    Ok(other)
}

/// The most bytes that one operation reads: they live at once in any order.
fn at_once(dag: &Dag) -> u64 {
    let read = |node: &Node| {
        // Of several reads of one value, the largest: they may share bytes.
        let mut most: BTreeMap<u32, u64> = BTreeMap::new();
        for access in &node.reads {
            let bytes = most.entry(access.value).or_default();
            *bytes = (*bytes).max(access.end - access.first);
        }
        most.into_values().fold(0, u64::saturating_add)
    };
    dag.nodes().iter().map(read).max().unwrap_or(0)
}

/// Whether an order is better than the given one, of each the bytes and the barriers: it is smaller, and it saves at
/// least as large a part of the arena as it adds to the barriers. At a barrier the device runs empty, microseconds that
/// every run pays; bytes cost no time, so a few of them are not worth any.
///
/// ```text
///   arena −8 %, barriers +3 %     taken        arena −0.1 %, barriers +20 %   declined
///   arena −0.1 %, no more         taken        arena as large, fewer          declined: it is not smaller
/// ```
fn pays(given: (u64, u32), other: (u64, u32)) -> bool {
    let saved = given.0.saturating_sub(other.0);
    let added = other.1.saturating_sub(given.1);
    saved > 0 && u128::from(saved) * u128::from(given.1) >= u128::from(added) * u128::from(given.0)
}

/// The run stage as the planner sees it: a node for each operation, a value for each tensor in the arena. None where so
/// many operations touch each other's bytes that another order is not looked for.
fn dag(
    lowered: &Lowered,
    stages: &Stages,
    ports: &Ports,
    target: &Target,
    options: &Options,
) -> Result<Option<Dag>, CompileError> {
    let live = liveness::storages(lowered, stages, ports);
    let guard = assemble::guard(options, target);
    let (mut values, mut numbers) = (Vec::new(), BTreeMap::new());
    for storage in &live.storages {
        if storage.arena() != Arena::Activations {
            continue;
        }
        numbers.extend(storage.tensors.iter().map(|&tensor| (tensor, values.len() as u32)));
        values.push(Value {
            size: assemble::bytes(lowered, &storage.tensors, &Values::default(), target) + guard,
            align: target.storage_alignment,
            given: storage.kind == BufferKind::Input,
            kept: storage.kind == BufferKind::Output,
        });
    }
    let granule = target.storage_granule;
    let node = |&index: &usize| node(lowered, index, &numbers, options, granule);
    let apart = external_order(lowered, stages, &live, granule)?;
    match Dag::new(stages.run.iter().map(node).collect(), values) {
        Ok(dag) => Ok(apart.map(|pairs| dag.keeping(pairs))),
        Err(DagError::TooManyPairs { .. }) => Ok(None),
        Err(e) => Err(CompileError::Plan(e.to_string())),
    }
}

/// Pairs of operations that keep their order since they touch the same bytes of an output outside of the arena, which
/// the search has no value for; none where there are too many.
fn external_order(
    lowered: &Lowered,
    stages: &Stages,
    live: &Liveness,
    granule: u64,
) -> Result<Option<Vec<(u32, u32)>>, CompileError> {
    let outside = live.storages.iter().filter(|storage| storage.arena() == Arena::External);
    let (mut values, mut numbers) = (Vec::new(), BTreeMap::new());
    for storage in outside {
        numbers.extend(storage.tensors.iter().map(|&tensor| (tensor, values.len() as u32)));
        let size =
            storage.tensors.iter().map(|&tensor| lowered.tensor(tensor).bytes().here()).max().unwrap_or(0);
        values.push(Value { size: size.next_multiple_of(granule), align: 1, ..Value::default() });
    }
    if values.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let never = Options { in_place: false, ..Options::default() };
    let nodes = stages.run.iter().map(|&index| node(lowered, index, &numbers, &never, granule)).collect();
    let dag = match Dag::new(nodes, values) {
        Ok(dag) => dag,
        Err(DagError::TooManyPairs { .. }) => return Ok(None),
        Err(e) => return Err(CompileError::Plan(e.to_string())),
    };
    let pairs = |first: u32| dag.after(first).iter().map(move |&next| (first, next));
    Ok(Some((0..stages.run.len() as u32).flat_map(pairs).collect()))
}

/// What an operation reads and writes in the arena, as its windows will have it.
fn node(
    lowered: &Lowered,
    index: usize,
    numbers: &BTreeMap<TensorId, u32>,
    options: &Options,
    granule: u64,
) -> Node {
    let operation = &lowered.operations[index];
    let access = |tensor: TensorId, bytes: Range<u64>| {
        Some(Access::new(*numbers.get(&tensor)?, bytes.start, bytes.end))
    };
    let mut node = Node::default();
    for (slot, view) in operation.operands.iter().enumerate() {
        let bytes = Here.operand(lowered, operation, slot, granule);
        let Some(read) = access(view.tensor, bytes) else { continue };
        if options.in_place && liveness::may_overwrite(lowered, operation, slot) {
            node.overwrites.push(node.reads.len() as u32);
        }
        node.reads.push(read);
    }
    node.writes.extend(access(operation.output, Here.result(lowered, operation, granule)));
    node
}

#[cfg(test)]
mod tests {
    use super::pays;

    #[test]
    fn an_order_pays_for_the_barriers_it_adds() {
        assert!(pays((1000, 100), (999, 100)) && pays((1000, 100), (999, 7)));
        assert!(!pays((1000, 100), (1000, 7)) && !pays((1000, 100), (1001, 0)));
        assert!(pays((1000, 100), (980, 102)) && !pays((1000, 100), (981, 102)));
        // Without any barrier before, none may be added.
        assert!(pays((1000, 0), (999, 0)) && pays((u64::MAX, u32::MAX), (0, 0)));
        assert!(!pays((9_916_944, 125), (9_905_168, 150)));
    }
}
