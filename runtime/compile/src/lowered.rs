//! The graph as device work: stored tensors, and operations that read views of them and write them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bayplan_expr::Expr;
use bayplan_graph::{ConstData, DType};
use bayplan_shaders::{Packed, Repr, Spec};

use crate::name::Name;
use crate::size::Size;
use crate::view::{View, elements};

/// A stored tensor, by its index in [`Lowered::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TensorId(pub(crate) u32);

impl TensorId {
    /// Its position in [`Lowered::tensors`].
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What the name of a tensor's copy ends with.
pub(crate) const COPY: &str = ".copy";

/// Where a tensor's elements come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// The caller, before every run.
    Input,
    /// The model.
    Constant(ConstData),
    /// The model: some bytes of a constant, as they lie in it. The last word may have fewer than four.
    Bytes(ConstData, Range<u64>),
    /// The shape: the elements follow from symbols, and the host writes them when these change.
    Contents(Vec<Size>),
    /// Operations.
    Computed,
}

/// A contiguous tensor with storage of its own.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) name: Name,
    pub(crate) dtype: DType,
    pub(crate) repr: Repr,
    pub(crate) shape: Vec<Size>,
    /// Elements as an expression over the model's symbols.
    pub(crate) elements_expr: Expr,
    pub(crate) origin: Origin,
}

impl Tensor {
    /// Number of elements.
    pub(crate) fn elements(&self) -> Size {
        elements(&self.shape)
    }

    /// Bytes of its elements in device memory.
    pub(crate) fn bytes(&self) -> Size {
        self.elements() * self.repr.bytes()
    }
}

/// One dispatch to be.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) spec: Spec<Size>,
    /// In the order of the spec's operands (an epilogue's operand 0 has no view).
    pub(crate) operands: Vec<View>,
    pub(crate) output: TensorId,
    /// The elements of the output that it is given to write: its result's first element is the first of these. The
    /// whole tensor, or a window on it that begins where a window can be bound.
    pub(crate) written: Range<Size>,
    /// Whether others write to the output too.
    pub(crate) partial: bool,
    /// Of a copy, why it stays.
    pub(crate) why: Option<Arc<str>>,
    /// The operator whose copy it spares: its results are written where that would put them.
    pub(crate) spares: Option<Arc<str>>,
    pub(crate) source_node: Name,
    pub(crate) source_op: Name,
}

/// All of it, in an order in which it can run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lowered {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) operations: Vec<Operation>,
    /// In the order of the graph's inputs.
    pub(crate) inputs: Vec<TensorId>,
    /// In the order of the graph's outputs; each has storage of its own.
    pub(crate) outputs: Vec<TensorId>,
    /// Weights with what they were rearranged to, for kernels that like another layout better.
    pub(crate) rearranged: Vec<(TensorId, TensorId)>,
    /// Computed tensors whose elements are those of a constant, in the same order.
    pub(crate) unpacked: HashMap<TensorId, (ConstData, Packed)>,
    /// Weights that other functions of the same session read at their runs.
    pub(crate) kept: Vec<TensorId>,
}

impl Lowered {
    pub(crate) fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0 as usize]
    }

    /// The constant whose elements a tensor has, in the same order.
    pub(crate) fn stored(&self, id: TensorId) -> Option<&ConstData> {
        match &self.tensor(id).origin {
            Origin::Constant(data) => Some(data),
            Origin::Computed => self.unpacked.get(&id).map(|(data, _)| data),
            Origin::Input | Origin::Bytes(..) | Origin::Contents(_) => None,
        }
    }

    /// Whether a view surely shows a whole tensor, element after element.
    pub(crate) fn is_whole(&self, view: &View) -> bool {
        view.base.surely_eq(0)
            && view.is_contiguous()
            && view.elements().surely_eq(self.tensor(view.tensor).elements())
    }

    /// Removes operations whose results nothing reads.
    pub(crate) fn remove_dead(&mut self) {
        let mut wanted = vec![false; self.tensors.len()];
        for output in &self.outputs {
            wanted[output.index()] = true;
        }
        let mut alive = vec![false; self.operations.len()];
        for (alive, operation) in alive.iter_mut().zip(&self.operations).rev() {
            *alive = wanted[operation.output.index()];
            if *alive {
                operation.operands.iter().for_each(|view| wanted[view.tensor.index()] = true);
            }
        }
        let mut alive = alive.into_iter();
        self.operations.retain(|_| alive.next().unwrap_or(true));
    }

    /// For each tensor, the operations that read it, each once, in order.
    pub(crate) fn readers(&self) -> Vec<Vec<usize>> {
        let mut readers = vec![Vec::new(); self.tensors.len()];
        for (index, operation) in self.operations.iter().enumerate() {
            for view in &operation.operands {
                let list: &mut Vec<usize> = &mut readers[view.tensor.index()];
                if list.last() != Some(&index) {
                    list.push(index);
                }
            }
        }
        readers
    }

    /// For each tensor, the operations that write it, in order.
    pub(crate) fn writers(&self) -> Vec<Vec<usize>> {
        let mut writers = vec![Vec::new(); self.tensors.len()];
        for (index, operation) in self.operations.iter().enumerate() {
            writers[operation.output.index()].push(index);
        }
        writers
    }
}
