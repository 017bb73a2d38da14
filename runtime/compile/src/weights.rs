//! What several functions load: the union of their weights, in one order.
//!
//! ```text
//!   then body:  A, B, pack(A)      ─┐
//!   else body:  B, C               ─┴─►  A, pack(A), B, C   in front of every function's own tensors and operations
//! ```
//!
//! A weight has one layout for all functions: where one of them reads it as it is stored, none gets it rearranged, since
//! every kernel can read the stored layout, and a faster one of some is not worth the bytes twice.
//!
//! A session loads once and runs any function then, so all have the same uploads, the same load stage and the same buffers
//! for them, also those that a function does not read.

use std::collections::HashMap;

use bayplan_graph::ConstData;

use crate::liveness::Stages;
use crate::lowered::{Lowered, Operation, Origin, Tensor, TensorId};

/// Tensors that follow from constants alone, with the operations that make them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weights {
    tensors: Vec<Tensor>,
    operations: Vec<Operation>,
    /// Whether some function's run reads the tensor.
    read: Vec<bool>,
    /// The tensors by what they hold.
    known: HashMap<Vec<u8>, TensorId>,
    /// Those with another layout beside them.
    rearranged: Vec<(TensorId, TensorId)>,
    /// Those that have the elements of a constant.
    stored: HashMap<TensorId, ConstData>,
    /// Constants that stay as they are stored.
    plain: Vec<ConstData>,
}

impl Weights {
    /// Adds what a function loads.
    pub(crate) fn add(&mut self, lowered: &Lowered, stages: &Stages) {
        let (mut place, writers) = (HashMap::new(), writers(lowered, stages));
        for tensor in in_order(lowered, stages) {
            let writers = writers.get(&tensor).map_or(&[][..], Vec::as_slice);
            let key = key(lowered, tensor, writers, &place);
            let next = TensorId(self.tensors.len() as u32);
            let id = *self.known.entry(key).or_insert(next);
            place.insert(tensor, id);
            if id == next {
                self.tensors.push(lowered.tensor(tensor).clone());
                self.stored.extend(lowered.stored(tensor).map(|data| (id, data.clone())));
                self.read.push(false);
                let moved = writers.iter().map(|&index| moved(&lowered.operations[index], |id| place[&id]));
                self.operations.extend(moved);
            }
        }
        for view in stages.run.iter().flat_map(|&index| &lowered.operations[index].operands) {
            if let Some(id) = place.get(&view.tensor) {
                self.read[id.index()] = true;
            }
        }
        let pairs = lowered.rearranged.iter();
        self.rearranged.extend(pairs.filter_map(|(from, to)| Some((*place.get(from)?, *place.get(to)?))));
    }

    /// Constants that stay as they are stored.
    pub(crate) fn plain(&self) -> &[ConstData] {
        &self.plain
    }

    /// None of these, but for what must not be rearranged: what some run reads as it is and another one otherwise, too.
    /// `None` if there is no such weight.
    pub(crate) fn with_one_layout(&self) -> Option<Self> {
        let twice =
            self.rearranged.iter().filter(|(from, to)| self.read[from.index()] && self.read[to.index()]);
        let data = twice.filter_map(|(from, _)| self.stored.get(from));
        let new: Vec<ConstData> = data.filter(|data| !self.plain.contains(data)).cloned().collect();
        let plain = [self.plain.clone(), new.clone()].concat();
        (!new.is_empty()).then(|| Self { plain, ..Self::default() })
    }

    /// A function with the union in place of what it loads itself. `None` if that is not part of the union.
    pub(crate) fn frame(&self, lowered: &Lowered, stages: &Stages) -> Option<(Lowered, Stages)> {
        let (mut place, writers) = (HashMap::new(), writers(lowered, stages));
        for tensor in in_order(lowered, stages) {
            let writers = writers.get(&tensor).map_or(&[][..], Vec::as_slice);
            place.insert(tensor, *self.known.get(&key(lowered, tensor, writers, &place))?);
        }
        let mut tensors = self.tensors.clone();
        let ids: Vec<TensorId> = lowered
            .tensors
            .iter()
            .enumerate()
            .map(|(index, tensor)| {
                place.get(&TensorId(index as u32)).copied().unwrap_or_else(|| {
                    tensors.push(tensor.clone());
                    TensorId(tensors.len() as u32 - 1)
                })
            })
            .collect();
        let of = |id: TensorId| ids[id.index()];
        let mut operations = self.operations.clone();
        operations.extend(stages.run.iter().map(|&index| moved(&lowered.operations[index], of)));
        let read = self.read.iter().enumerate().filter(|(_, read)| **read);
        let framed = Lowered {
            tensors,
            inputs: lowered.inputs.iter().map(|&id| of(id)).collect(),
            outputs: lowered.outputs.iter().map(|&id| of(id)).collect(),
            rearranged: Vec::new(),
            unpacked: HashMap::new(),
            kept: read.map(|(index, _)| TensorId(index as u32)).collect(),
            operations,
        };
        let load = self.operations.len();
        let stages = Stages { load: (0..load).collect(), run: (load..framed.operations.len()).collect() };
        Some((framed, stages))
    }
}

/// The tensors that a function loads, each after those that it is made of.
fn in_order(lowered: &Lowered, stages: &Stages) -> Vec<TensorId> {
    let is_constant =
        |id: TensorId| matches!(lowered.tensor(id).origin, Origin::Constant(_) | Origin::Bytes(..));
    let mut last = HashMap::new();
    for &index in &stages.load {
        last.insert(lowered.operations[index].output, index);
    }
    let mut seen = vec![false; lowered.tensors.len()];
    let mut order = Vec::new();
    for &index in stages.load.iter().chain(&stages.run) {
        let operation = &lowered.operations[index];
        let constants = operation.operands.iter().map(|view| view.tensor).filter(|&id| is_constant(id));
        let made = Some(operation.output).filter(|output| last.get(output) == Some(&index));
        for id in constants.chain(made) {
            if !std::mem::replace(&mut seen[id.index()], true) {
                order.push(id);
            }
        }
    }
    order
}

/// For each tensor that loading computes, the operations that write it, in order.
fn writers(lowered: &Lowered, stages: &Stages) -> HashMap<TensorId, Vec<usize>> {
    let mut writers: HashMap<TensorId, Vec<usize>> = HashMap::new();
    for &index in &stages.load {
        writers.entry(lowered.operations[index].output).or_default().push(index);
    }
    writers
}

/// What a tensor holds: equal keys, equal elements. `place` says where in the union its operations' operands are.
fn key(lowered: &Lowered, id: TensorId, writers: &[usize], place: &HashMap<TensorId, TensorId>) -> Vec<u8> {
    let tensor = lowered.tensor(id);
    let mut key = format!("{:?} {:?} {:?} ", tensor.dtype, tensor.repr, tensor.shape).into_bytes();
    match &tensor.origin {
        Origin::Constant(ConstData::Range(range)) => key.extend(format!("{range:?}").bytes()),
        Origin::Constant(ConstData::Inline(bytes)) => {
            key.push(b'=');
            key.extend_from_slice(bytes);
        }
        Origin::Bytes(data, bytes) => key.extend(format!("{data:?} {bytes:?}").bytes()),
        Origin::Computed | Origin::Input | Origin::Contents(_) => {}
    }
    for &index in writers {
        let Operation { spec, operands, written, partial, .. } = &lowered.operations[index];
        key.extend(format!("{spec:?} {written:?} {partial}").bytes());
        for view in operands {
            let source = place.get(&view.tensor);
            let part = (source, view.dtype, view.base, &view.shape, &view.strides);
            key.extend(format!("{part:?}").bytes());
        }
    }
    key
}

/// An operation on other tensors.
fn moved(operation: &Operation, of: impl Fn(TensorId) -> TensorId) -> Operation {
    let mut operation = operation.clone();
    operation.output = of(operation.output);
    operation.operands.iter_mut().for_each(|view| view.tensor = of(view.tensor));
    operation
}
