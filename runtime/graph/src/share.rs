//! Constants that are others again.

use std::sync::Arc;

use crate::{Graph, Node, NodeId, Op, ValueId, ValueSource};

/// A constant with the elements of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The constant.
    pub value: ValueId,
    /// The other one.
    pub of: ValueId,
    /// Whether it is the other one transposed (both have two dimensions).
    pub transposed: bool,
}

impl Graph {
    /// Takes the elements of constants from others that have the same: equal ones lie in the same bytes then, a
    /// transposed one is a view of the other. No value changes its name, type or place in the list.
    pub fn share(&mut self, duplicates: &[Duplicate]) {
        let mut turned = Vec::new();
        for duplicate in duplicates {
            let value = duplicate.value.0 as usize;
            if !duplicate.transposed {
                self.values[value].source = self.value(duplicate.of).source.clone();
                continue;
            }
            let node = NodeId(turned.len() as u32);
            self.values[value].source = ValueSource::Node { node, output: 0 };
            turned.push(Node {
                op: Op::Transpose(vec![1, 0]),
                inputs: vec![duplicate.of],
                outputs: vec![duplicate.value],
                name: self.values[value].name.clone(),
                source_op: Arc::from("Transpose"),
            });
        }
        self.prepend(turned);
    }

    /// Puts nodes before all others: those that read constants alone, or each other. What they make says by which of `first`
    /// it is made.
    pub fn prepend(&mut self, first: Vec<Node>) {
        if first.is_empty() {
            return;
        }
        let more = first.len() as u32;
        for node in &self.nodes {
            for output in &node.outputs {
                if let ValueSource::Node { node, .. } = &mut self.values[output.0 as usize].source {
                    node.0 += more;
                }
            }
        }
        self.nodes.splice(0..0, first);
    }
}

#[cfg(test)]
mod tests {
    use bayplan_expr::Expr;

    use super::*;
    use crate::op::UnaryOp;
    use crate::{ConstData, DType, NoFiles, Tensor, TensorType, Value, eval, verify};

    fn value(name: &str, source: ValueSource, shape: [usize; 2]) -> Value {
        let shape = shape.iter().map(|&dim| Expr::from(dim)).collect();
        Value { name: name.into(), source, ty: Some(TensorType { dtype: DType::F32, shape }), contents: None }
    }

    #[test]
    fn the_results_stay_the_same() {
        let floats = |list: [f32; 6]| list.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let constant = |list| ValueSource::Constant(ConstData::Inline(floats(list).into()));
        let matrix = constant([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let made = |node| ValueSource::Node { node: NodeId(node), output: 0 };
        let negated = |node: u32| Node {
            op: Op::Unary(UnaryOp::Neg),
            inputs: vec![ValueId(node)],
            outputs: vec![ValueId(3 + node)],
            name: format!("n{node}").into(),
            source_op: "Neg".into(),
        };
        let mut graph = Graph {
            values: vec![
                value("a", matrix.clone(), [2, 3]),
                value("again", matrix, [2, 3]),
                value("turned", constant([1.0, 4.0, 2.0, 5.0, 3.0, 6.0]), [3, 2]),
                value("x", made(0), [2, 3]),
                value("y", made(1), [2, 3]),
                value("z", made(2), [3, 2]),
            ],
            nodes: (0..3).map(negated).collect(),
            outputs: [3, 4, 5].map(ValueId).to_vec(),
            ..Graph::default()
        };
        let run = |graph: &Graph| eval(graph, &[] as &[Tensor], &NoFiles).expect("it runs");
        let before = run(&graph);
        graph.share(&[
            Duplicate { value: ValueId(1), of: ValueId(0), transposed: false },
            Duplicate { value: ValueId(2), of: ValueId(0), transposed: true },
        ]);
        assert_eq!(verify(&graph), Ok(()));
        graph.infer().expect("types still follow");
        assert_eq!(run(&graph), before);
        assert_eq!(graph.nodes.len(), 4);
    }
}
