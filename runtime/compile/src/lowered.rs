//! The graph as device work: stored tensors, and operations that read views of them and write them.

use bayplan_expr::Expr;
use bayplan_graph::{ConstData, DType};
use bayplan_shaders::{Repr, Spec};

use crate::view::View;

/// A stored tensor, by its index in [`Lowered::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TensorId(pub(crate) u32);

/// Where a tensor's elements come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// The caller, before every run.
    Input,
    /// The model.
    Constant(ConstData),
    /// Operations.
    Computed,
}

/// A contiguous tensor with storage of its own.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    pub(crate) repr: Repr,
    pub(crate) shape: Vec<u64>,
    /// Elements as an expression over the model's symbols.
    pub(crate) elements_expr: Expr,
    pub(crate) origin: Origin,
}

impl Tensor {
    /// Bytes of its elements in device memory.
    pub(crate) fn bytes(&self) -> u64 {
        self.shape.iter().product::<u64>() * self.repr.bytes()
    }
}

/// One dispatch to be.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) spec: Spec,
    /// In the order of the spec's operands (an epilogue's operand 0 has no view).
    pub(crate) operands: Vec<View>,
    pub(crate) output: TensorId,
    /// Whether it writes only part of the output, others writing the rest.
    pub(crate) partial: bool,
    pub(crate) source_node: String,
    pub(crate) source_op: String,
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
}

impl Lowered {
    pub(crate) fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0 as usize]
    }

    /// For each tensor, the operations that read it, each once, in order.
    pub(crate) fn readers(&self) -> Vec<Vec<usize>> {
        let mut readers = vec![Vec::new(); self.tensors.len()];
        for (index, operation) in self.operations.iter().enumerate() {
            for view in &operation.operands {
                let list: &mut Vec<usize> = &mut readers[view.tensor.0 as usize];
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
            writers[operation.output.0 as usize].push(index);
        }
        writers
    }
}
