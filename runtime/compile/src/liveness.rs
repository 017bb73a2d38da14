//! Liveness: which storage every tensor gets, and from when to when.
//!
//! ```text
//!             op 0   1   2   3   4
//!  input x    [==========)            read last by op 1; dies after it
//!  a = op 1      [=======)
//!  b = op 2          [#######)        b overwrites a in place: one storage, one life
//!  output             ...  [======)   alive to the end
//! ```

use std::ops::Range;

use bayplan_shaders::Spec;

use crate::lowered::{Lowered, Operation, Origin, TensorId};
use crate::program::{Arena, BufferKind};
use crate::view::View;

/// What is computed when: indices of operations.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    /// Once, when weights are loaded.
    pub(crate) load: Vec<usize>,
    /// At every run.
    pub(crate) run: Vec<usize>,
}

/// A range of memory to be placed, shared by the tensors that live in it one after the other.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) tensors: Vec<TensorId>,
    pub(crate) kind: BufferKind,
    /// Half-open, in operations of its stage.
    pub(crate) lifespan: Range<u32>,
}

impl Storage {
    pub(crate) fn arena(&self) -> Arena {
        match self.kind {
            BufferKind::Weight => Arena::Weights,
            _ => Arena::Activations,
        }
    }
}

/// All storages, and the storage of each tensor that has one.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    pub(crate) storages: Vec<Storage>,
    pub(crate) of: Vec<Option<usize>>,
}

/// Splits operations into what follows from constants alone and what does not. Outputs are always made by a run.
pub(crate) fn stages(lowered: &Lowered, fixed: &[bool]) -> Stages {
    let mut stages = Stages::default();
    for (index, operation) in lowered.operations.iter().enumerate() {
        let early = fixed[operation.output.0 as usize] && !lowered.outputs.contains(&operation.output);
        if early { stages.load.push(index) } else { stages.run.push(index) }
    }
    stages
}

/// Gives every tensor a storage; decides, and notes in the specs, which results overwrite an operand.
pub(crate) fn liveness(lowered: &mut Lowered, stages: &Stages, in_place: bool) -> Liveness {
    let mut live = Liveness { storages: Vec::new(), of: vec![None; lowered.tensors.len()] };
    let load = spans(lowered, &stages.load);
    let mut run = spans(lowered, &stages.run);
    let end = stages.run.len().max(1) as u32;
    for &input in &lowered.inputs {
        let span = &mut run[input.0 as usize];
        *span = Some(0..span.as_ref().map_or(1, |span| span.end));
    }
    for &output in &lowered.outputs {
        if let Some(span) = &mut run[output.0 as usize] {
            span.end = end;
        }
    }
    for (index, tensor) in lowered.tensors.iter().enumerate() {
        let id = TensorId(index as u32);
        let (kind, lifespan) = match (&load[index], &run[index]) {
            (_, Some(span)) if tensor.origin == Origin::Input => (BufferKind::Input, span.clone()),
            (_, Some(span)) if lowered.outputs.contains(&id) => (BufferKind::Output, span.clone()),
            (None, Some(span)) if tensor.origin == Origin::Computed => (BufferKind::Activation, span.clone()),
            (_, Some(_)) => (BufferKind::Weight, 0..end),
            (Some(span), None) => (BufferKind::Load, span.clone()),
            (None, None) => continue,
        };
        live.of[index] = Some(live.storages.len());
        live.storages.push(Storage { tensors: vec![id], kind, lifespan });
    }
    if in_place {
        for (position, &index) in stages.run.iter().enumerate() {
            overwrite(lowered, &mut live, index, position as u32);
        }
    }
    compact(&mut live);
    live
}

/// For each tensor, from its first write to one past its last use among these operations.
fn spans(lowered: &Lowered, operations: &[usize]) -> Vec<Option<Range<u32>>> {
    let mut spans: Vec<Option<Range<u32>>> = vec![None; lowered.tensors.len()];
    for (position, &index) in operations.iter().enumerate() {
        let operation = &lowered.operations[index];
        let touched = operation.operands.iter().map(|view| view.tensor).chain([operation.output]);
        for tensor in touched {
            let at = position as u32;
            let span = spans[tensor.0 as usize].get_or_insert(at..at);
            span.end = at + 1;
        }
    }
    spans
}

/// Lets the result of an operation take over the storage of an operand that dies there.
fn overwrite(lowered: &mut Lowered, live: &mut Liveness, index: usize, position: u32) {
    let operation = &lowered.operations[index];
    let Some(own) = live.of[operation.output.0 as usize] else { return };
    let Some(slot) =
        (0..operation.operands.len()).find(|&slot| can_overwrite(lowered, live, operation, slot, position))
    else {
        return;
    };
    let taken = operation.operands[slot].tensor;
    let Some(storage) = live.of[taken.0 as usize] else { return };
    match &mut lowered.operations[index].spec {
        Spec::Elementwise(spec) => spec.in_place = Some(slot as u32),
        Spec::Softmax(spec) => spec.in_place = true,
        Spec::Normalize(spec) => spec.in_place = true,
        _ => return,
    }
    let gone = std::mem::take(&mut live.storages[own].tensors);
    for tensor in &gone {
        live.of[tensor.0 as usize] = Some(storage);
    }
    let (end, kind) = (live.storages[own].lifespan.end, live.storages[own].kind);
    let kept = &mut live.storages[storage];
    kept.tensors.extend(gone);
    kept.lifespan.end = end;
    if kind == BufferKind::Output {
        kept.kind = kind;
    }
}

/// Whether the result of an operation can be written over one of its operands.
fn can_overwrite(
    lowered: &Lowered,
    live: &Liveness,
    operation: &Operation,
    slot: usize,
    position: u32,
) -> bool {
    let full = match &operation.spec {
        Spec::Elementwise(spec) => spec.shape == operation.operands[slot].shape,
        Spec::Softmax(_) | Spec::Normalize(_) => slot == 0,
        _ => false,
    };
    let view: &View = &operation.operands[slot];
    let (source, result) = (lowered.tensor(view.tensor), lowered.tensor(operation.output));
    let Some(storage) = live.of[view.tensor.0 as usize].map(|index| &live.storages[index]) else {
        return false;
    };
    let others = operation.operands.iter().enumerate().all(|(other, view)| {
        other == slot
            || live.of[view.tensor.0 as usize] != live.of[operation.operands[slot].tensor.0 as usize]
    });
    full && others
        && !operation.partial
        && view.base == 0
        && view.is_contiguous()
        && matches!(storage.kind, BufferKind::Input | BufferKind::Activation)
        && storage.lifespan.end == position + 1
        && source.repr.words() == result.repr.words()
        && source.bytes() == result.bytes()
}

/// Drops storages that were taken over.
fn compact(live: &mut Liveness) {
    let mut moved = vec![None; live.storages.len()];
    let mut next = 0;
    for (index, storage) in live.storages.iter().enumerate() {
        if !storage.tensors.is_empty() {
            moved[index] = Some(next);
            next += 1;
        }
    }
    live.storages.retain(|storage| !storage.tensors.is_empty());
    for of in live.of.iter_mut().flatten() {
        // A taken storage's tensors point to the one that took it.
        *of = moved[*of].unwrap_or(*of);
    }
}
