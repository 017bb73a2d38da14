//! Inputs whose elements decide shapes: which they are, and what is imported for them.

use std::collections::BTreeMap;

use bayplan_graph::{DType, Graph, NoFiles, Tensor, eval, verify};

use super::{A, bytes, f32s, graph, i64s, info, model, node, tensor};
use crate::generated::onnx::{GraphProto, ModelProto};
use crate::limits::MAX_INLINE;
use crate::{ImportError, ImportOptions, import, value_inputs};

fn asked(model: &ModelProto) -> Vec<(String, usize, String)> {
    let inputs = value_inputs(&bytes(model)).expect("a model");
    inputs.into_iter().map(|input| (input.name, input.index, input.by.join(" "))).collect()
}

fn with(model: &ModelProto, values: &[(&str, Tensor)]) -> Result<Graph, ImportError> {
    let values: BTreeMap<_, _> = values.iter().map(|(name, t)| ((*name).to_owned(), t.clone())).collect();
    import(&bytes(model), &ImportOptions { values, ..ImportOptions::default() })
}

/// `y = Reshape(x, Concat(shape, Shape(z)[0]))`, and `z` is scaled by `k`.
fn reshaped() -> GraphProto {
    let nodes = vec![
        node("Shape", &["z"], &["dims"], &[]),
        node("Concat", &["shape", "dims"], &["target"], &[("axis", A::I(0))]),
        node("Reshape", &["x", "target"], &["y"], &[]),
        node("Cast", &["k"], &["scale"], &[("to", A::I(1))]),
        node("Mul", &["z", "scale"], &["w"], &[]),
    ];
    let inputs = vec![
        info("x", DType::F32, &["6"]),
        info("shape", DType::I64, &["n"]),
        info("z", DType::F32, &["1"]),
        info("k", DType::I64, &[]),
    ];
    graph(nodes, inputs, &["y", "w"])
}

#[test]
fn inputs_are_asked_for_by_what_follows_from_them() {
    let own = |name: &str, index, by: &str| (name.to_owned(), index, by.to_owned());
    assert_eq!(asked(&model(20, reshaped())), [own("shape", 1, "Reshape")], "k is data");

    // A default is no input of a run; what comes before it in the list of inputs counts no more.
    let mut g = reshaped();
    g.input.insert(0, info("axes", DType::I64, &["1"]));
    g.initializer.push(tensor("axes", &i64s(&[1], &[0])));
    g.node.push(node("ReduceSum", &["x", "axes"], &["sum"], &[]));
    assert_eq!(asked(&model(20, g.clone())), [own("shape", 1, "Reshape")]);
    g.initializer.clear();
    assert_eq!(asked(&model(20, g.clone())), [own("axes", 0, "ReduceSum"), own("shape", 2, "Reshape")]);
    assert_eq!(asked(&model(12, g)).len(), 2, "rows say the same of every opset");

    let nodes =
        vec![node("Cast", &["f"], &["s"], &[("to", A::I(7))]), node("Reshape", &["x", "s"], &["y"], &[])];
    let inputs = vec![info("x", DType::F32, &["6"]), info("f", DType::F32, &["2"])];
    assert_eq!(asked(&model(20, graph(nodes, inputs, &["y"]))), [], "floats decide nothing");
}

#[test]
fn what_follows_from_too_much_is_no_shape_arithmetic() {
    let mut nodes = vec![node("Identity", &["shape"], &["s0"], &[])];
    let names: Vec<String> = (0..70).map(|i| format!("s{i}")).collect();
    nodes.extend(names.windows(2).map(|pair| node("Neg", &[&pair[0]], &[&pair[1]], &[])));
    nodes.push(node("Reshape", &["x", "s69"], &["y"], &[]));
    let inputs = vec![info("x", DType::F32, &["6"]), info("shape", DType::I64, &["2"])];
    assert_eq!(asked(&model(20, graph(nodes, inputs, &["y"]))), []);
}

#[test]
fn graphs_are_right_for_the_elements_that_they_were_imported_for() {
    let m = model(20, reshaped());
    assert!(import(&bytes(&m), &ImportOptions::default()).is_ok_and(|mut graph| graph.infer().is_err()));
    for shape in [[2, 3].as_slice(), &[6], &[3, 1, 2]] {
        let elements = i64s(&[shape.len()], shape);
        let mut graph = with(&m, &[("shape", elements.clone())]).expect("it imports");
        graph.infer().expect("it infers");
        verify(&graph).expect("it is sound");
        assert_eq!(graph.specialised, [("shape".into(), elements.clone())]);
        assert_eq!(graph.inputs.len(), 4, "callers give the elements all the same");
        let inputs = [
            f32s(&[6], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
            elements,
            f32s(&[1], &[1.5]),
            Tensor::from_i64(vec![], &[2]).expect("a scalar"),
        ];
        let y = eval(&graph, &inputs, &NoFiles).expect("it runs");
        let expect: Vec<usize> = shape.iter().map(|&d| d as usize).chain([1]).collect();
        assert_eq!((y[0].shape(), y[1].to_f64()), (&*expect, vec![3.0]));
    }
}

#[test]
fn elements_that_do_not_fit_are_refused() {
    let m = model(20, reshaped());
    let check = |name: &str, elements: Tensor, expect: &str| {
        let message = with(&m, &[(name, elements)]).expect_err("it is refused").to_string();
        assert!(message.contains(name) && message.contains(expect), "{message}");
    };
    check("x", f32s(&[6], &[0.0; 6]), "only integers and booleans decide shapes");
    check("q", i64s(&[1], &[0]), "no input of the model");
    check("shape", i64s(&[1, 2], &[2, 3]), "it must be i64[n], but is i64[1, 2]");
    check("k", Tensor::zeros(DType::I32, vec![]).expect("a scalar"), "it must be i64");
    let many = MAX_INLINE as usize / 8 + 1;
    check("shape", i64s(&[many], &vec![1; many]), "shapes follow from inputs of at most");
}
