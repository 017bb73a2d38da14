//! The scenarios of TVM's tests for its block planner, numbered as there; results that it returned as inputs are reduced
//! into buffers of the caller's. Two of them (9, 10) call functions outside of the graph, which ONNX has none of.

use bayplan::DType;
use bayplan_compile::device_size;
use bayplan_tests::onnx_file::{Dim, Model, Type};

use crate::graphs::{basic, chain, part, three, two_types};
use crate::row::{Row, known, list, node};

#[test]
fn s1_basic() {
    Row::new("1 basic", basic(Dim::Known(2), Dim::Known(4)), 80, 72).check();
}

#[test]
fn s2_different_dtype() {
    Row::new("2 different dtype", two_types(), 24, 24).into_buffers().check();
}

#[test]
fn s4_same_dtype() {
    let model = Model {
        nodes: vec![
            node("Exp", &["x"], &["a"]),
            node("ReduceMax", &["a"], &["most"]),
            node("Exp", &["y"], &["b"]),
            node("ReduceMax", &["b"], &["other"]),
        ],
        inputs: vec![("x", known(&[2, 3])), ("y", known(&[2, 3]))],
        outputs: vec!["most", "other"],
        ..Model::default()
    };
    Row::new("4 same dtype", model, 24, 24).into_buffers().check();
}

#[test]
fn s8_nested_tuple() {
    let mut model = three();
    for (made, reduced) in [("z1", "m1"), ("z2", "m2"), ("z3", "m3")] {
        let names: [&[&str]; 3] = [&["z1"], &["z2"], &["z3"]];
        let outputs: [&[&str]; 3] = [&["m1"], &["m2"], &["m3"]];
        let at = names.iter().position(|name| name[0] == made).expect("one of them");
        model.nodes.push(node("ReduceMax", names[at], outputs[at]));
        model.outputs[at] = reduced;
    }
    Row::new("8 nested tuple", model, 96, 72).into_buffers().check();
}

#[test]
fn s12_zero_reference() {
    let model = Model {
        nodes: vec![node("Exp", &["x"], &["dead"]), node("ReduceMax", &["x"], &["most"])],
        inputs: vec![("x", known(&[2, 3]))],
        outputs: vec!["most"],
        ..Model::default()
    };
    Row::new("12 zero reference", model, 0, 0).into_buffers().check();
}

#[test]
fn s13_reshape_param() {
    let model = Model {
        nodes: vec![
            node("Reshape", &["x", "shape"], &["a"]),
            node("Reshape", &["y", "shape"], &["b"]),
            node("Add", &["a", "b"], &["out"]),
        ],
        inputs: vec![("x", known(&[2, 25, 2])), ("y", known(&[2, 25, 2]))],
        outputs: vec!["out"],
        constants: vec![list("shape", &[2], &[2, 50])],
        ..Model::default()
    };
    // The output alone: reshaped parameters stay the caller's and are not overwritten.
    Row::new("13 reshape param", model, 400, 400).check();
}

#[test]
fn s26_view() {
    Row::new("26 view", part(), 1536, 1024).check();
}

#[test]
fn s27_reshape_preserves_liveness() {
    let model = Model {
        nodes: vec![
            node("Exp", &["x"], &["a"]),
            node("Reshape", &["a", "line"], &["b"]),
            node("Exp", &["b"], &["out"]),
        ],
        inputs: vec![("x", known(&[4, 4]))],
        outputs: vec!["out"],
        constants: vec![list("line", &[1], &[16])],
        ..Model::default()
    };
    Row::new("27 reshape preserves liveness", model, 128, 64).check();
}

#[test]
fn s28_with_dataflow() {
    Row::new("28 with dataflow", chain(known(&[10]), 1), 40, 40).check();
}

/// Six booleans are the arena. One is a byte in files and a word on devices, whose shaders store no less: 24 bytes, where
/// TVM's CPU takes 6.
#[test]
fn s3_dtype_bool() {
    let model = Model {
        nodes: vec![node("Not", &["x"], &["a"]), node("Slice", &["a", "start", "end"], &["row"])],
        inputs: vec![("x", known(&[2, 3]))],
        types: vec![("x", Type::Bool)],
        outputs: vec!["row"],
        constants: vec![list("start", &[1], &[1]), list("end", &[1], &[2])],
        ..Model::default()
    };
    let words = 6 * device_size(DType::Bool);
    assert_eq!(words, 24);
    Row::new("3 dtype bool", model, words, words).into_buffers().check();
}
