//! Ifs: what runs, what is inferred, what the verifier refuses.

mod common;

use bayplan_expr::Bindings;
use bayplan_graph::op::{BinaryOp, UnaryOp, ViewOp};
use bayplan_graph::{DType, NoFiles, Op, Tensor, ValueId, eval, verify};
use common::Build;

const EXP: Op = Op::Unary(UnaryOp::Exp);
const NEG: Op = Op::Unary(UnaryOp::Neg);

fn branch(then_nodes: u32, else_nodes: u32) -> Op {
    Op::If { then_nodes, else_nodes }
}

fn f32s(list: &[f32]) -> Tensor {
    Tensor::from_f32(vec![list.len()], list).expect("a list")
}

fn truth(v: bool) -> Tensor {
    Tensor::from_bool(vec![], &[v]).expect("a condition")
}

/// `y = −x; if c: (if d: −y else y + y) else: x`, and `z = exp(y)` so that more follows.
fn nested() -> Build {
    let mut b = Build::default();
    let [c, d] = [(); 2].map(|()| b.input(DType::Bool, &[]));
    let x = b.input(DType::F32, &["n"]);
    let y = b.node(NEG, &[x]);
    let back = b.node(NEG, &[y]);
    let twice = b.node(Op::Binary(BinaryOp::Add), &[y, y]);
    let inner = b.node(branch(1, 1), &[d, back, twice]);
    let outer = b.node(branch(3, 0), &[c, inner, x]);
    let z = b.node(EXP, &[y]);
    b.output(outer);
    b.output(z);
    b
}

#[test]
fn only_the_body_taken_is_evaluated() {
    let mut b = nested();
    b.0.infer().expect("types");
    assert_eq!(verify(&b.0), Ok(()));
    let x = f32s(&[1.0, -2.0]);
    for (c, d, expected) in [
        (true, true, [1.0, -2.0]),
        (true, false, [-2.0, 4.0]),
        (false, true, [1.0, -2.0]),
        (false, false, [1.0, -2.0]),
    ] {
        let out = eval(&b.0, &[truth(c), truth(d), x.clone()], &NoFiles).expect("it runs");
        assert_eq!(out[0], f32s(&expected), "{c} {d}");
    }
    // Integers divided by zero have no result: that body must not run.
    let mut b = Build::default();
    let c = b.input(DType::Bool, &[]);
    let x = b.input(DType::I64, &["1"]);
    let zero = b.ints(&[0]);
    let bad = b.node(Op::Binary(BinaryOp::Div), &[x, zero]);
    let z = b.node(branch(1, 0), &[c, bad, x]);
    b.output(z);
    let x = Tensor::from_i64(vec![1], &[7]).expect("a list");
    assert_eq!(eval(&b.0, &[truth(false), x.clone()], &NoFiles), Ok(vec![x.clone()]));
    assert!(eval(&b.0, &[truth(true), x], &NoFiles).is_err());
}

#[test]
fn outputs_that_differ_are_symbols() {
    let mut b = Build::default();
    let c = b.input(DType::Bool, &["1"]);
    let x = b.input(DType::F32, &["n", "4"]);
    let joined = b.node(Op::Concat { axis: 0 }, &[x, x]);
    let z = b.node(branch(1, 0), &[c, joined, x]);
    let name = b.0.value(z).name.clone();
    assert_eq!(b.infer(z), format!("f32[{name}_dim_0, 4]"));

    let mut b = Build::default();
    let c = b.input(DType::Bool, &[]);
    let x = b.input(DType::F32, &["n", "4"]);
    let axes = b.ints(&[0]);
    let more = b.node(Op::View(ViewOp::Unsqueeze), &[x, axes]);
    let z = b.node(branch(1, 0), &[c, more, x]);
    assert!(b.infer(z).contains("another rank"), "{}", b.infer(z));
    let c = b.input(DType::Bool, &["2"]);
    let z = b.node(branch(0, 0), &[c, x, x]);
    b.0.nodes.swap_remove(1);
    assert!(b.infer(z).contains("one element"), "{}", b.infer(z));
}

/// `if n == 1: squeeze x else x`: the bodies have another rank, and what one needs the other does not.
#[test]
fn a_condition_on_shapes_is_decided_with_them() {
    let mut b = Build::default();
    let x = b.input(DType::F32, &["n", "4"]);
    let one = b.ints(&[1]);
    let n = b.node(Op::Shape { start: 0, end: Some(1) }, &[x]);
    let c = b.node(Op::Binary(BinaryOp::Equal), &[n, one]);
    let axes = b.ints(&[0]);
    let squeezed = b.node(Op::View(ViewOp::Squeeze), &[x, axes]);
    let again = b.node(Op::View(ViewOp::Unsqueeze), &[squeezed, axes]);
    let z = b.node(branch(2, 0), &[c, again, x]);
    b.output(z);
    b.0.infer().expect("both have rank 2");
    assert!(b.0.constraints.is_empty(), "{:?}", b.0.constraints);
    for (n, shape) in [(1, "f32[1, 4]"), (3, "f32[3, 4]")] {
        let bound = b.0.bind(&[("n", n)].into_iter().collect::<Bindings>()).expect("it binds");
        assert_eq!(verify(&bound), Ok(()));
        let ty = |id: ValueId| bound.value(id).ty.as_ref().map(ToString::to_string);
        assert_eq!(ty(z).as_deref(), Some(shape));
        assert_eq!(ty(squeezed).is_some(), n == 1, "what does not run has no type");
    }
}

#[test]
fn the_verifier_keeps_bodies_apart() {
    let mut b = nested();
    assert_eq!(verify(&b.0), Ok(()));
    let refuse = |change: &dyn Fn(&mut Build), expected: &str| {
        let mut b = nested();
        change(&mut b);
        let message = verify(&b.0).expect_err("it is broken").to_string();
        assert!(message.contains(expected), "{message}");
    };
    let made = |b: &Build, node: usize| b.0.nodes[node].outputs[0];
    refuse(&|b| b.0.nodes[5].inputs[0] = made(b, 1), "made in the body of an If");
    refuse(&|b| b.0.nodes[2].inputs[1] = made(b, 1), "made in the body of an If");
    refuse(&|b| b.0.nodes[3].inputs.swap(1, 2), "made in the body of an If");
    refuse(&|b| b.0.nodes[4].inputs[2] = made(b, 3), "made in the body of an If");
    refuse(&|b| b.0.outputs[1] = made(b, 2), "it is an output");
    refuse(&|b| b.0.nodes[3].op = branch(2, 3), "more nodes than there are");
    refuse(&|b| b.0.nodes[4].op = branch(2, 0), "none lies within the other");
    b.0.nodes[4].op = branch(3, 0);
    assert_eq!(verify(&b.0), Ok(()));
}

#[test]
fn bodies_are_printed_under_their_conditions() {
    let mut b = nested();
    b.0.infer().expect("types");
    let lines: Vec<String> = b.0.to_string().lines().map(str::to_owned).collect();
    let at = |text: &str| {
        let found = lines.iter().position(|line| line.starts_with(text));
        found.unwrap_or_else(|| panic!("no `{text}` in {lines:#?}"))
    };
    assert!(at("  if v0:") < at("    if v1:") && at("    if v1:") < at("      v4: f32[n] = "));
    assert!(at("    if not v1:") < at("    v6: f32[n] = If"));
    assert!(at("  v7: f32[n] = If") < at("  v8: f32[n] = "));
}
