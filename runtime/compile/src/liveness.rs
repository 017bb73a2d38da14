//! Liveness: which storage every tensor gets, and from when to when.
//!
//! ```text
//!             op 0   1   2   3   4
//!  input x    [==========)            read last by op 1; dies after it
//!  a = op 1      [=======)
//!  b = op 2          [#######)        b overwrites a in place: one storage, one life
//!  output             ...  [======)   alive to the end
//! ```
//!
//! A result may overwrite a contiguous part of a larger operand too:
//!
//! ```text
//!  x     |aaaaaaaa|bbbbbbbb|          exp(second half of x), x dying:
//!  exp            |########|          the result lies where the half lay, in the same storage
//! ```

use std::ops::Range;

use bayplan_shaders::Spec;

use crate::late::Late;
use crate::lowered::{Lowered, Operation, Origin, Tensor, TensorId};
use crate::point::writes_beside;
use crate::policy::{OutputPolicy, Ports};
use crate::program::{Arena, BufferKind};
use crate::size::Size;
use crate::view::View;

/// What is computed when: indices of operations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stages {
    /// Once, when weights are loaded.
    pub(crate) load: Vec<usize>,
    /// At every run.
    pub(crate) run: Vec<usize>,
}

/// A range of memory to be placed, shared by the tensors that live in it one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    /// The first is surely the largest.
    pub(crate) tensors: Vec<TensorId>,
    pub(crate) kind: BufferKind,
    /// Whether it lies in a buffer that is given at each run.
    pub(crate) external: bool,
    /// Half-open, in operations of its stage.
    pub(crate) lifespan: Range<u32>,
    /// Where it lies in another storage, in late parts of that.
    pub(crate) within: Option<Place>,
    /// Parts of it in which others may lie until they are written.
    pub(crate) late: Vec<Late>,
}

impl Storage {
    pub(crate) fn arena(&self) -> Arena {
        match self.kind {
            BufferKind::Weight => Arena::Weights,
            BufferKind::Load => Arena::Load,
            _ if self.external => Arena::External,
            _ => Arena::Activations,
        }
    }

    /// Whether it has an offset of its own in an arena.
    pub(crate) fn is_planned_in(&self, arena: Arena) -> bool {
        self.arena() == arena && self.within.is_none()
    }
}

/// Where a tensor lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Index of its storage.
    pub(crate) storage: usize,
    /// Its first byte in the storage.
    pub(crate) offset: Size,
}

/// All storages, and the place of each tensor that has one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Liveness {
    pub(crate) storages: Vec<Storage>,
    pub(crate) of: Vec<Option<Place>>,
    /// Where each output of the model lies, in their order.
    pub(crate) policies: Vec<OutputPolicy>,
    /// Whether some result keeps a storage alive that is larger than itself.
    pub(crate) keeps_larger: bool,
}

/// Which operands a result may overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// None.
    Never,
    /// Those as large as itself.
    Equal,
    /// Larger ones too.
    Larger,
}

/// Splits operations into what follows from constants alone (`fixed`) and what does not. Outputs are always made by a
/// run, and so is what is computed from them.
pub(crate) fn stages(lowered: &Lowered, fixed: &[bool]) -> Stages {
    let mut early = fixed.to_vec();
    for output in &lowered.outputs {
        early[output.index()] = false;
    }
    for operation in &lowered.operations {
        if operation.operands.iter().any(|view| !early[view.tensor.index()]) {
            early[operation.output.index()] = false;
        }
    }
    // Where one operation of several makes its part of a tensor late, all make it late.
    let (load, run) =
        (0..lowered.operations.len()).partition(|&index| early[lowered.operations[index].output.index()]);
    Stages { load, run }
}

/// Gives every tensor a storage; decides, and notes in the specs, which results overwrite an operand.
pub(crate) fn liveness(lowered: &mut Lowered, stages: &Stages, ports: &Ports, reuse: Reuse) -> Liveness {
    let mut live = storages(lowered, stages, ports);
    if reuse != Reuse::Never {
        for (position, &index) in stages.run.iter().enumerate() {
            overwrite(lowered, &mut live, index, position as u32, reuse);
        }
    }
    compact(&mut live);
    live
}

/// A storage for each tensor that is in use.
pub(crate) fn storages(lowered: &Lowered, stages: &Stages, ports: &Ports) -> Liveness {
    let external = ports.external(lowered);
    let load = spans(lowered, &stages.load);
    let mut run = spans(lowered, &stages.run);
    let end = stages.run.len().max(1) as u32;
    // What is written before the run begins is there until the first operation that runs wherever it has bytes: where those
    // before it have nothing to write they are left out, and it is the first.
    let begun = |tensor: &Tensor| {
        let writes = |&index: &usize| writes_beside(&lowered.operations[index], tensor);
        stages.run.iter().position(writes).map_or(end, |position| position as u32 + 1)
    };
    for &input in &lowered.inputs {
        let span = &mut run[input.index()];
        *span = Some(0..span.as_ref().map_or(1, |span| span.end));
    }
    for &weight in &lowered.kept {
        run[weight.index()].get_or_insert(0..end);
    }
    let mut is_output = vec![false; lowered.tensors.len()];
    for &output in &lowered.outputs {
        is_output[output.index()] = true;
        run[output.index()].get_or_insert(0..end).end = end;
    }
    let of = vec![None; lowered.tensors.len()];
    let mut live = Liveness { of, policies: ports.outputs.clone(), ..Liveness::default() };
    for (index, tensor) in lowered.tensors.iter().enumerate() {
        let (kind, lifespan) = match (&load[index], &run[index]) {
            // Written before the run begins, as inputs are.
            (_, Some(span)) if matches!(tensor.origin, Origin::Input | Origin::Contents(_)) => {
                (BufferKind::Input, 0..span.end.max(begun(tensor)))
            }
            (_, Some(span)) if is_output[index] => (BufferKind::Output, span.clone()),
            (None, Some(span)) if matches!(tensor.origin, Origin::Computed) => {
                (BufferKind::Activation, span.clone())
            }
            (_, Some(_)) => (BufferKind::Weight, 0..end),
            // Bytes of a constant are written while those before them are unpacked.
            (Some(span), None) if matches!(tensor.origin, Origin::Bytes(..)) => {
                (BufferKind::Load, span.start.saturating_sub(1)..span.end)
            }
            (Some(span), None) => (BufferKind::Load, span.clone()),
            (None, None) => continue,
        };
        live.of[index] = Some(Place { storage: live.storages.len(), offset: Size::ZERO });
        let tensors = vec![TensorId(index as u32)];
        live.storages.push(Storage {
            tensors,
            kind,
            external: external[index],
            lifespan,
            within: None,
            late: Vec::new(),
        });
    }
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
            let span = spans[tensor.index()].get_or_insert(at..at);
            span.end = at + 1;
        }
    }
    spans
}

/// Lets the result of an operation take over the storage of an operand that dies there.
fn overwrite(lowered: &mut Lowered, live: &mut Liveness, index: usize, position: u32, reuse: Reuse) {
    let operation = &lowered.operations[index];
    let Some(own) = live.of[operation.output.index()] else { return };
    // An operand as large as the result before a larger one.
    let fits = |equal: bool| {
        (0..operation.operands.len())
            .filter(|&slot| is_equal(lowered, operation, slot) == equal)
            .find(|&slot| can_overwrite(lowered, live, operation, slot, position))
    };
    let Some(slot) = fits(true).or_else(|| fits(false).filter(|_| reuse == Reuse::Larger)) else { return };
    let view = &operation.operands[slot];
    let Some(taken) = live.of[view.tensor.index()] else { return };
    let offset = taken.offset + view.base * lowered.tensor(view.tensor).repr.bytes();
    live.keeps_larger |= !is_equal(lowered, operation, slot);
    match &mut lowered.operations[index].spec {
        Spec::Elementwise(spec) => spec.in_place = Some(slot as u32),
        Spec::Softmax(spec) => spec.in_place = true,
        Spec::Normalize(spec) => spec.in_place = true,
        _ => return,
    }
    // The result has just come to life, so its storage holds nothing else.
    let gone = std::mem::take(&mut live.storages[own.storage].tensors);
    for tensor in &gone {
        live.of[tensor.index()] = Some(Place { storage: taken.storage, offset });
    }
    let Storage { lifespan, kind, external, .. } = &live.storages[own.storage];
    let (end, kind, external) = (lifespan.end, *kind, *external);
    let kept = &mut live.storages[taken.storage];
    kept.tensors.extend(gone);
    kept.lifespan.end = end;
    kept.external |= external;
    if kind == BufferKind::Output {
        kept.kind = kind;
    }
}

/// Whether an operand's tensor surely has as many bytes as the result.
fn is_equal(lowered: &Lowered, operation: &Operation, slot: usize) -> bool {
    lowered
        .tensor(operation.operands[slot].tensor)
        .bytes()
        .surely_eq(lowered.tensor(operation.output).bytes())
}

/// Whether the result of an operation can be written over one of its operands, element over element.
fn can_overwrite(
    lowered: &Lowered,
    live: &Liveness,
    operation: &Operation,
    slot: usize,
    position: u32,
) -> bool {
    let view = &operation.operands[slot];
    let Some(place) = live.of[view.tensor.index()] else { return false };
    let storage = &live.storages[place.storage];
    let alone = operation.operands.iter().enumerate().all(|(other, view)| {
        other == slot || live.of[view.tensor.index()].is_none_or(|at| at.storage != place.storage)
    });
    alone
        && may_overwrite(lowered, operation, slot)
        && given_up(lowered, live, operation, storage)
        && storage.lifespan.end == position + 1
}

/// Whether an operand's storage may become the result's. A buffer that is given at each run holds nothing but its output,
/// so only what was made for it alone moves there; the caller's inputs are the caller's.
fn given_up(lowered: &Lowered, live: &Liveness, operation: &Operation, storage: &Storage) -> bool {
    let result = live.of[operation.output.index()].and_then(|place| live.storages.get(place.storage));
    let into = result.is_some_and(|result| result.external);
    let size = lowered.tensor(operation.output).bytes();
    match storage.kind {
        BufferKind::Activation => {
            !into || storage.tensors.iter().all(|&tensor| lowered.tensor(tensor).bytes() <= size)
        }
        BufferKind::Input => !storage.external && !into,
        _ => false,
    }
}

/// Whether the result of an operation could be written over one of its operands, were that dead: it is made element
/// over element.
pub(crate) fn may_overwrite(lowered: &Lowered, operation: &Operation, slot: usize) -> bool {
    let view = &operation.operands[slot];
    let in_order = match &operation.spec {
        Spec::Elementwise(spec) => spec.chain.operands.get(slot).is_some_and(|operand| {
            let strides = operand.strides.clone();
            let read = View { shape: spec.shape.clone(), strides, ..view.clone() };
            // A result must begin where a window can.
            operand.base.surely_eq(0) && read.is_contiguous() && read.elements().surely_eq(view.elements())
        }),
        Spec::Softmax(_) | Spec::Normalize(_) => slot == 0,
        _ => false,
    };
    in_order
        && !operation.partial
        && view.is_contiguous()
        && lowered.tensor(view.tensor).repr.words() == lowered.tensor(operation.output).repr.words()
}

/// Drops storages that were taken over, and puts those that no run writes first: they have the same numbers whatever
/// the runs need.
fn compact(live: &mut Liveness) {
    let loaded = |storage: &Storage| matches!(storage.kind, BufferKind::Weight | BufferKind::Load);
    let mut order: Vec<usize> = (0..live.storages.len()).collect();
    order.retain(|&index| !live.storages[index].tensors.is_empty());
    order.sort_by_key(|&index| !loaded(&live.storages[index]));
    let mut moved = vec![usize::MAX; live.storages.len()];
    for (now, &before) in order.iter().enumerate() {
        moved[before] = now;
    }
    live.storages = order.iter().map(|&index| live.storages[index].clone()).collect();
    for place in live.of.iter_mut().flatten() {
        place.storage = moved[place.storage];
    }
}
