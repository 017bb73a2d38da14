//! The G rows.

use bayplan_tests::onnx_file::{Dim, Model, Type};

use crate::row::{Row, known, list, node, weight};

/// x → Exp → Reshape[8] → Relu → Add(1) → Pad(0, 2) → Log → out.
pub(crate) fn basic(rows: Dim<'static>, columns: Dim<'static>) -> Model<'static> {
    Model {
        nodes: vec![
            node("Exp", &["x"], &["a"]),
            node("Reshape", &["a", "flat"], &["b"]),
            node("Relu", &["b"], &["c"]),
            node("Add", &["c", "one"], &["d"]),
            node("Pad", &["d", "pads"], &["e"]),
            node("Log", &["e"], &["out"]),
        ],
        inputs: vec![("x", vec![rows, columns])],
        outputs: vec!["out"],
        constants: vec![list("flat", &[1], &[-1]), weight("one", &[]), list("pads", &[2], &[0, 2])],
        ..Model::default()
    }
}

/// So many times Exp, one after the other.
pub(crate) fn chain(shape: Vec<Dim<'static>>, count: usize) -> Model<'static> {
    const NAMES: [&[&str]; 6] = [&["x"], &["a"], &["b"], &["c"], &["d"], &["out"]];
    let link = |at: usize| {
        let made = if at + 1 == count { NAMES[5] } else { NAMES[at + 1] };
        node("Exp", NAMES[at], made)
    };
    Model {
        nodes: (0..count).map(link).collect(),
        inputs: vec![("x", shape)],
        outputs: vec!["out"],
        ..Model::default()
    }
}

/// The first 128 elements of a tensor of 256, through a view.
pub(crate) fn part() -> Model<'static> {
    Model {
        nodes: vec![
            node("Exp", &["in"], &["x"]),
            node("Reshape", &["x", "flat"], &["line"]),
            node("Slice", &["line", "start", "end"], &["half"]),
            node("Exp", &["half"], &["a"]),
            node("Exp", &["a"], &["out"]),
        ],
        inputs: vec![("in", known(&[16, 16]))],
        outputs: vec!["out"],
        constants: vec![list("flat", &[1], &[256]), list("start", &[1], &[0]), list("end", &[1], &[128])],
        ..Model::default()
    }
}

/// Three equal nodes whose results live together, and three that follow from them.
pub(crate) fn three() -> Model<'static> {
    Model {
        nodes: vec![
            node("Exp", &["x"], &["y1"]),
            node("Exp", &["x"], &["y2"]),
            node("Exp", &["x"], &["y3"]),
            node("Exp", &["y1"], &["z1"]),
            node("Exp", &["y2"], &["z2"]),
            node("Exp", &["y3"], &["z3"]),
        ],
        inputs: vec![("x", known(&[2, 3]))],
        outputs: vec!["z1", "z2", "z3"],
        ..Model::default()
    }
}

/// A chain of f32, then one of i32, each reduced into a buffer of the caller's.
pub(crate) fn two_types() -> Model<'static> {
    Model {
        nodes: vec![
            node("Exp", &["x"], &["a"]),
            node("ReduceMax", &["a"], &["most"]),
            node("Neg", &["y"], &["b"]),
            node("ReduceMax", &["b"], &["other"]),
        ],
        inputs: vec![("x", known(&[2, 3])), ("y", known(&[2, 3]))],
        types: vec![("y", Type::I32)],
        outputs: vec!["most", "other"],
        ..Model::default()
    }
}

#[test]
fn g1_a_chain_through_a_reshape_and_a_padding() {
    Row::new("G1", basic(Dim::Known(2), Dim::Known(4)), 80, 72).check();
}

#[test]
fn g1v_in_place_through_the_view_alone() {
    let model = Model {
        nodes: vec![
            node("Exp", &["x"], &["a"]),
            node("Reshape", &["a", "square"], &["b"]),
            node("Relu", &["b"], &["out"]),
        ],
        inputs: vec![("x", known(&[8]))],
        outputs: vec!["out"],
        constants: vec![list("square", &[2], &[2, 4])],
        ..Model::default()
    };
    Row::new("G1v", model, 64, 32).check();
}

#[test]
fn g2_types_share_bytes() {
    Row::new("G2", two_types(), 24, 24).into_buffers().check();
}

#[test]
fn g5_equal_nodes_are_not_merged() {
    Row::new("G5", three(), 96, 72).check();
}

#[test]
fn g11_a_part_of_a_larger_tensor() {
    Row::new("G11", part(), 1536, 1024).check();
}

#[test]
fn a_reshape_extends_life() {
    let model = Model {
        nodes: vec![
            node("Exp", &["x"], &["a"]),
            node("Reshape", &["a", "square"], &["b"]),
            node("Exp", &["b"], &["out"]),
        ],
        inputs: vec![("x", known(&[16]))],
        outputs: vec!["out"],
        constants: vec![list("square", &[2], &[4, 4])],
        ..Model::default()
    };
    Row::new("a lowered reshape", model, 128, 64).check();
}
