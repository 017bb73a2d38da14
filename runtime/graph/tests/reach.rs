//! How far indices reach.

mod common;

use bayplan_expr::Bindings;
use bayplan_graph::op::{BinaryOp, ViewOp};
use bayplan_graph::{DType, Graph, Op, Tensor};
use common::Build;

const UNSQUEEZE: Op = Op::View(ViewOp::Unsqueeze);

fn dim(b: &mut Build, of: bayplan_graph::ValueId, axis: i64) -> bayplan_graph::ValueId {
    let list = b.node(Op::Shape { start: axis, end: Some(axis + 1) }, &[of]);
    let axes = b.ints(&[0]);
    b.node(Op::View(ViewOp::Squeeze), &[list, axes])
}

/// mask[i, j] for i below batch, j from `start` below past + seq, as exporters of decoders read it.
fn masked(start: i64) -> Graph {
    let mut b = Build::default();
    let ids = b.input(DType::I64, &["batch", "seq"]);
    let mask = b.input(DType::Bool, &["batch", "total"]);
    let past = b.input(DType::F32, &["batch", "past"]);
    let (batch, seq, past) = (dim(&mut b, ids, 0), dim(&mut b, ids, 1), dim(&mut b, past, 1));
    let scalar = |value: i64| Tensor::from_i64(vec![], &[value]).expect("a number");
    let (zero, from, one) = (b.constant(&scalar(0)), b.constant(&scalar(start)), b.constant(&scalar(1)));
    let total = b.node(Op::Binary(BinaryOp::Add), &[past, seq]);
    let rows = b.node(Op::Range, &[zero, batch, one]);
    let columns = b.node(Op::Range, &[from, total, one]);
    let (first, last) = (b.ints(&[1, 2]), b.ints(&[0, 2]));
    let rows = b.node(UNSQUEEZE, &[rows, first]);
    let columns = b.node(UNSQUEEZE, &[columns, last]);
    let shape = b.node(Op::Shape { start: 0, end: None }, &[columns]);
    let rows = b.node(Op::Expand, &[rows, shape]);
    let batches = b.node(Op::Shape { start: 0, end: None }, &[rows]);
    let columns = b.node(Op::Expand, &[columns, batches]);
    let tuples = b.node(Op::Concat { axis: -1 }, &[rows, columns]);
    let read = b.node(Op::GatherNd { batch_dims: 0 }, &[mask, tuples]);
    b.output(read);
    b.0.infer().expect("types");
    b.0
}

#[test]
fn a_mask_is_as_long_as_what_is_read_of_it() {
    let graph = masked(0);
    let found: Vec<String> =
        graph.reaches().iter().map(|own| format!("{} >= {}", own.dim, own.least)).collect();
    assert_eq!(found, ["total >= past + seq"]);
    let (tied, reaches) = graph.reaching(&|_| false);
    assert_eq!(reaches.len(), 1);
    let ties = tied.ties(&Bindings::new());
    assert!(ties.iter().any(|tie| tie.symbol == "total" && tie.is.to_string() == "past + seq"), "{ties:?}");
    // What has a value keeps it.
    let (same, none) = graph.reaching(&|symbol| symbol == "total");
    assert_eq!((same, none.len()), (graph, 0));
}

#[test]
fn negative_indices_count_from_the_end_and_say_nothing() {
    assert!(masked(-1).reaches().is_empty());
}
