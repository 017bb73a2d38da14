//! A graph in a few lines.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::Arc;

use bayplan_expr::Expr;
use bayplan_graph::{
    ConstData, DType, Graph, Node, NodeId, Op, Tensor, TensorType, Value, ValueId, ValueSource,
};

/// Adds values and nodes; names are `v0`, `v1`, … and `n0`, `n1`, …
#[derive(Default)]
pub(crate) struct Build(pub(crate) Graph);

impl Build {
    fn value(&mut self, source: ValueSource, ty: Option<TensorType>) -> ValueId {
        let id = ValueId(self.0.values.len() as u32);
        let name = format!("v{}", id.0).into();
        self.0.values.push(Value { name, source, ty, contents: None });
        id
    }

    /// An input; dimensions are written as expressions.
    pub(crate) fn input(&mut self, dtype: DType, dims: &[&str]) -> ValueId {
        let shape = dims.iter().map(|d| Expr::parse(d).expect("a dimension")).collect();
        let id = self.value(ValueSource::Input, Some(TensorType { dtype, shape }));
        self.0.inputs.push(id);
        id
    }

    /// A constant.
    pub(crate) fn constant(&mut self, tensor: &Tensor) -> ValueId {
        let shape = tensor.shape().iter().map(|&d| Expr::from(d)).collect();
        let data = ConstData::Inline(Arc::from(tensor.bytes()));
        self.value(ValueSource::Constant(data), Some(TensorType { dtype: tensor.dtype(), shape }))
    }

    /// A constant list of integers.
    pub(crate) fn ints(&mut self, list: &[i64]) -> ValueId {
        self.constant(&Tensor::from_i64(vec![list.len()], list).expect("a list"))
    }

    /// A node with several outputs.
    pub(crate) fn many(&mut self, op: Op, inputs: &[ValueId], outputs: usize) -> Vec<ValueId> {
        let node = NodeId(self.0.nodes.len() as u32);
        let made: Vec<ValueId> =
            (0..outputs as u32).map(|output| self.value(ValueSource::Node { node, output }, None)).collect();
        let name = format!("n{}", node.0).into();
        let source_op = op.name().into();
        self.0.nodes.push(Node { op, inputs: inputs.to_vec(), outputs: made.clone(), name, source_op });
        made
    }

    /// A node with one output.
    pub(crate) fn node(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        self.many(op, inputs, 1)[0]
    }

    /// Names an output of the graph.
    pub(crate) fn output(&mut self, id: ValueId) {
        self.0.outputs.push(id);
    }

    /// The inferred type of a value as text, or the error.
    pub(crate) fn infer(&mut self, id: ValueId) -> String {
        match self.0.infer() {
            Ok(()) => self.0.value(id).ty.as_ref().map_or("?".to_owned(), ToString::to_string),
            Err(e) => e.to_string(),
        }
    }
}
