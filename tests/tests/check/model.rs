//! A network of one hidden layer, whose size is the knob.

use bayplan_tests::onnx_file::{Constant, Data, Dim, Model, Node};

/// Rows of the input: with 1,024 hidden values the hidden tensor has a mebibyte.
const ROWS: i64 = 256;

/// The ONNX file of a network with so many hidden values. The tensor between its layers is called `hidden`.
pub(crate) fn network(hidden: i64) -> Vec<u8> {
    fn weight<'a>(name: &'a str, shape: &'a [i64]) -> Constant<'a> {
        let elements = shape.iter().product::<i64>() as usize;
        let data = Data::F32((0..elements).map(|at| (at % 7) as f32 * 0.01).collect());
        Constant { name, shape, data }
    }
    let (into, out) = ([16, hidden], [hidden, 8]);
    let model = Model {
        nodes: vec![
            Node::new("MatMul", &["x", "w1"], &["product"]),
            Node::new("Relu", &["product"], &["hidden"]),
            Node::new("MatMul", &["hidden", "w2"], &["y"]),
        ],
        inputs: vec![("x", vec![Dim::Known(ROWS), Dim::Known(16)])],
        outputs: vec!["y"],
        constants: vec![weight("w1", &into), weight("w2", &out)],
        ..Model::default()
    };
    model.bytes()
}
