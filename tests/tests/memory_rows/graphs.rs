//! The G rows.

use bayplan_compile::{Arena, OutputPolicy};
use bayplan_tests::onnx_file::{Attribute, Dim, Model, Node, Type};

use crate::row::{Row, kernel, known, list, node, open, options, program, runs_right, weight};

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

/// A network of three levels: 1×1 Conv as layer, Conv k2 s2 down, ConvTranspose k2 s2 up, Concat on channels.
///
/// ```text
///  64 × 64²  layer ─ layer (skip) ─────────────────────────────── up 64 ─ Concat 128 ─ layer ─ layer ─► out
///             └ down ─ 128 × 32² layer (skip) ────── up 128 ─ Concat 256 ─ layer ─ layer ┘
///                       └ down ─ 256 × 16² … (skip) ─ up 256 ─ Concat 512 ─ layer ─ layer ┘
///                                    └ down ─ 512 × 8² layer ┘
/// ```
fn network() -> Model<'static> {
    let strides = || ("strides", Attribute::Ints(&[2, 2]));
    let conv = |inputs, outputs| node("Conv", inputs, outputs);
    let down = |inputs, outputs| Node { attributes: vec![strides()], ..node("Conv", inputs, outputs) };
    let up = |inputs, outputs| Node { attributes: vec![strides()], ..node("ConvTranspose", inputs, outputs) };
    let join = |inputs, outputs| node("Concat", inputs, outputs).with("axis", Attribute::Int(1));
    Model {
        nodes: vec![
            conv(&["x", "w64"], &["a"]),
            conv(&["a", "w64"], &["skip0"]),
            down(&["skip0", "down0"], &["b"]),
            conv(&["b", "w128"], &["b0"]),
            conv(&["b0", "w128"], &["skip1"]),
            down(&["skip1", "down1"], &["c"]),
            conv(&["c", "w256"], &["c0"]),
            conv(&["c0", "w256"], &["skip2"]),
            down(&["skip2", "down2"], &["d"]),
            up(&["d", "up2"], &["e"]),
            join(&["e", "skip2"], &["e0"]),
            conv(&["e0", "w512to256"], &["e1"]),
            conv(&["e1", "w256"], &["e2"]),
            up(&["e2", "up1"], &["f"]),
            join(&["f", "skip1"], &["f0"]),
            conv(&["f0", "w256to128"], &["f1"]),
            conv(&["f1", "w128"], &["f2"]),
            up(&["f2", "up0"], &["g"]),
            join(&["g", "skip0"], &["g0"]),
            conv(&["g0", "w128to64"], &["g1"]),
            conv(&["g1", "w64"], &["out"]),
        ],
        inputs: vec![("x", known(&[1, 64, 64, 64]))],
        outputs: vec!["out"],
        constants: vec![
            kernel("w64", &[64, 64, 1, 1]),
            kernel("w128", &[128, 128, 1, 1]),
            kernel("w256", &[256, 256, 1, 1]),
            kernel("down0", &[128, 64, 2, 2]),
            kernel("down1", &[256, 128, 2, 2]),
            kernel("down2", &[512, 256, 2, 2]),
            kernel("up2", &[512, 256, 2, 2]),
            kernel("up1", &[256, 128, 2, 2]),
            kernel("up0", &[128, 64, 2, 2]),
            kernel("w512to256", &[256, 512, 1, 1]),
            kernel("w256to128", &[128, 256, 1, 1]),
            kernel("w128to64", &[64, 128, 1, 1]),
        ],
        ..Model::default()
    }
}

#[test]
fn g13_a_network_with_skips() {
    let model = open(&network());
    let graph = model.graph();
    for (fuse, in_place) in [(false, false), (false, true), (true, true)] {
        let program = program(&model, &Default::default(), options(fuse, in_place, OutputPolicy::Borrow));
        let bytes = program.arena_bytes[Arena::Activations.index()];
        println!("G13, fuse {fuse}, in place {in_place}: {bytes}");
        // Each level's concatenation lies in the half of the outer one that is not written yet.
        assert!(bytes <= 3_145_728, "G13, fuse {fuse}, in place {in_place}: {bytes}");
        // Whatever is concatenated is written where the Concats want it, by transposed convolutions too, which move
        // their channels apart as they write.
        assert_eq!(program.copies, [], "G13, fuse {fuse}, in place {in_place}");
        // One run is enough, and 400 million multiplications.
        if fuse {
            runs_right("G13", graph, &model, &program);
        }
    }
}
