//! Graphs built in a few lines, every value typed as soon as it is made.

use bayplan_expr::Expr;
use bayplan_graph::{
    ConstData, DType, Graph, Inference, Node, NodeId, Op, Tensor, TensorType, Value, ValueId, ValueSource,
};

/// A graph under construction, with the tensors of its inputs.
#[derive(Default)]
pub struct Builder {
    /// The graph so far.
    pub graph: Graph,
    /// One tensor per input.
    pub inputs: Vec<Tensor>,
    inference: Inference,
}

impl Builder {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        let mut new = Self::default();
        new.graph.name = name.into();
        new
    }

    fn add(&mut self, source: ValueSource, tensor: &Tensor) -> ValueId {
        let shape = tensor.shape().iter().map(|&dim| Expr::from(dim)).collect();
        let ty = Some(TensorType { dtype: tensor.dtype(), shape });
        let id = ValueId(self.graph.values.len() as u32);
        self.graph.values.push(Value { name: format!("v{}", id.0).into(), source, ty, contents: None });
        self.inference.value(&mut self.graph, id).expect("a typed value");
        id
    }

    /// An input that is given this tensor.
    pub fn input(&mut self, tensor: Tensor) -> ValueId {
        let id = self.add(ValueSource::Input, &tensor);
        self.graph.inputs.push(id);
        self.inputs.push(tensor);
        id
    }

    /// An `f32` input of small numbers, different everywhere.
    pub fn floats(&mut self, shape: &[usize]) -> ValueId {
        let seed = self.graph.values.len();
        self.input(floats(shape, seed))
    }

    /// A constant.
    pub fn constant(&mut self, tensor: &Tensor) -> ValueId {
        let data = ConstData::Inline(tensor.bytes().into());
        self.add(ValueSource::Constant(data), tensor)
    }

    /// A constant list, as operators take it for shapes and positions.
    pub fn ints(&mut self, list: &[i64]) -> ValueId {
        self.constant(&Tensor::from_i64(vec![list.len()], list).expect("a list"))
    }

    /// A constant of one `f32`.
    pub fn scalar(&mut self, value: f32) -> ValueId {
        self.constant(&Tensor::from_f32(vec![], &[value]).expect("a scalar"))
    }

    /// Applies an operator; `None` if inference refuses it.
    pub fn try_ops(&mut self, op: Op, inputs: &[ValueId], outputs: usize) -> Option<Vec<ValueId>> {
        let (node, first) = (NodeId(self.graph.nodes.len() as u32), self.graph.values.len() as u32);
        let made: Vec<ValueId> = (0..outputs as u32).map(|output| ValueId(first + output)).collect();
        for (output, id) in made.iter().enumerate() {
            let source = ValueSource::Node { node, output: output as u32 };
            let name = format!("v{}", id.0).into();
            self.graph.values.push(Value { name, source, ty: None, contents: None });
        }
        let (name, source_op) = (format!("n{}", node.0).into(), op.name().into());
        self.graph.nodes.push(Node { op, inputs: inputs.to_vec(), outputs: made.clone(), name, source_op });
        if self.inference.node(&mut self.graph, node).is_err() {
            self.graph.nodes.pop();
            self.graph.values.truncate(first as usize);
            return None;
        }
        Some(made)
    }

    /// Applies an operator with one result.
    ///
    /// # Panics
    /// When inference refuses it.
    pub fn op(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        let name = op.name();
        self.try_ops(op, inputs, 1).unwrap_or_else(|| panic!("{name} is refused"))[0]
    }

    /// Makes a value an output.
    pub fn output(&mut self, id: ValueId) {
        self.graph.outputs.push(id);
    }

    /// A value's element type.
    pub fn dtype(&self, id: ValueId) -> DType {
        self.graph.value(id).ty.as_ref().expect("typed").dtype
    }

    /// A value's shape.
    pub fn shape(&self, id: ValueId) -> Vec<usize> {
        let ty = self.graph.value(id).ty.as_ref().expect("typed");
        ty.shape.iter().map(|dim| dim.as_const().expect("a number") as usize).collect()
    }
}

/// Small numbers, different everywhere, both signs, exact in any float type.
pub fn floats(shape: &[usize], seed: usize) -> Tensor {
    let count: usize = shape.iter().product();
    let at = |i: usize| (((i * 37 + seed * 101 + 13) % 61) as f32 - 30.0) / 16.0;
    Tensor::from_f32(shape.to_vec(), &(0..count).map(at).collect::<Vec<_>>())
        .expect("as many as the shape says")
}
