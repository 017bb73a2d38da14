//! Symbolic inference: shapes, shape arithmetic, constraints, messages.

mod common;

use bayplan_expr::{Bindings, Bounds};
use bayplan_graph::op::{BinaryOp, Keep, Pads, PoolKind, ReduceOp, UnaryOp, ViewOp, Window};
use bayplan_graph::{DType, Op, Tensor};
use common::Build;

const RESHAPE: Op = Op::View(ViewOp::Reshape { allow_zero: false });
const SHAPE: Op = Op::Shape { start: 0, end: None };

/// Applies `op` to inputs of the given dimensions followed by constant lists.
fn check(op: Op, inputs: &[&[&str]], lists: &[&[i64]], expected: &str) {
    let mut b = Build::default();
    let mut operands: Vec<_> = inputs.iter().map(|dims| b.input(DType::F32, dims)).collect();
    operands.extend(lists.iter().map(|list| b.ints(list)));
    let text = format!("{op:?} {inputs:?} {lists:?}");
    let y = b.node(op, &operands);
    assert_eq!(b.infer(y), expected, "{text}");
}

#[test]
fn shapes_with_symbols() {
    check(Op::Unary(UnaryOp::Exp), &[&["b", "s"]], &[], "f32[b, s]");
    check(Op::Binary(BinaryOp::Add), &[&["b", "1", "s"], &["h", "1"]], &[], "f32[b, h, s]");
    check(Op::Binary(BinaryOp::Less), &[&["b", "s"], &[]], &[], "bool[b, s]");
    check(Op::MatMul, &[&["b", "s", "64"], &["64", "32"]], &[], "f32[b, s, 32]");
    check(
        Op::MatMul,
        &[&["b", "h", "s", "64"], &["b", "h", "64", "past + s"]],
        &[],
        "f32[b, h, s, past + s]",
    );
    check(Op::Transpose(vec![0, 2, 1]), &[&["b", "s", "8"]], &[], "f32[b, 8, s]");
    check(RESHAPE, &[&["b", "s", "384"]], &[&[0, 0, 6, 64]], "f32[b, s, 6, 64]");
    check(RESHAPE, &[&["b", "s", "6", "64"]], &[&[0, -1, 384]], "f32[b, s, 384]");
    check(RESHAPE, &[&["b", "8", "s"]], &[&[-1, 8]], "f32[b*s, 8]");
    check(Op::View(ViewOp::Flatten(1)), &[&["b", "3", "n"]], &[], "f32[b, 3*n]");
    check(Op::View(ViewOp::Unsqueeze), &[&["b"]], &[&[-1, 0]], "f32[1, b, 1]");
    check(Op::View(ViewOp::Squeeze), &[&["b", "1", "s"]], &[&[1]], "f32[b, s]");
    check(Op::Concat { axis: 1 }, &[&["b", "past", "8"], &["b", "seq", "8"]], &[], "f32[b, past + seq, 8]");
    check(Op::Slice, &[&["b", "s"]], &[&[1], &[i64::MAX], &[1], &[1]], "f32[b, s - Min(1, s)]");
    check(Op::Slice, &[&["b", "s + 3"]], &[&[-1], &[i64::MAX], &[1], &[1]], "f32[b, 1]");
    check(Op::Slice, &[&["b", "s"]], &[&[-1], &[i64::MIN], &[1], &[-1]], "f32[b, s]");
    check(Op::Reduce(ReduceOp::Mean, Keep::None), &[&["b", "s", "8"]], &[&[1]], "f32[b, 8]");
    check(Op::Softmax { axis: -1, log: false }, &[&["b", "s"]], &[], "f32[b, s]");
    check(Op::Expand, &[&["1", "s"]], &[&[4, 1]], "f32[4, s]");
    let window = |pads| Window { kernel: vec![3], strides: vec![2], dilations: vec![1], pads, ceil: false };
    let conv = |pads| Op::Conv(window(pads), 1);
    check(conv(Pads::Explicit(vec![1, 1])), &[&["b", "3", "2*n"], &["8", "3", "3"]], &[], "f32[b, 8, n]");
    check(conv(Pads::Same { upper: true }), &[&["b", "3", "2*n"], &["8", "3", "3"]], &[], "f32[b, 8, n]");
    check(
        Op::Pool(PoolKind::Max, window(Pads::Explicit(vec![0, 0]))),
        &[&["b", "3", "2*n + 1"]],
        &[],
        "f32[b, 3, n]",
    );
}

/// The shape of `x` goes through arithmetic and comes back as the target of a reshape: nothing of it is unknown.
#[test]
fn shape_arithmetic_is_followed() {
    let mut b = Build::default();
    let x = b.input(DType::F32, &["batch", "seq", "384"]);
    let (zero, one, six) = (b.ints(&[0]), b.ints(&[1]), b.ints(&[6]));
    let (two, three) = (b.ints(&[2]), b.ints(&[3]));
    let shape = b.node(SHAPE, &[x]);
    let heads = b.node(Op::Slice, &[shape, two, three, zero, one]);
    let width = b.node(Op::Binary(BinaryOp::Div), &[heads, six]);
    let index = b.constant(&Tensor::from_i64(vec![], &[-2]).unwrap());
    let seq = b.node(Op::Gather { axis: 0 }, &[shape, index]);
    let seq = b.node(Op::View(ViewOp::Unsqueeze), &[seq, zero]);
    let minus = b.ints(&[-1]);
    let target = b.node(Op::Concat { axis: 0 }, &[minus, seq, six, width]);
    let target = b.node(Op::Cast(DType::F32), &[target]);
    let target = b.node(Op::Unary(UnaryOp::Floor), &[target]);
    let target = b.node(Op::Cast(DType::I64), &[target]);
    let y = b.node(RESHAPE, &[x, target]);
    assert_eq!(b.infer(y), "f32[batch, seq, 6, 64]");
    assert!(b.0.constraints.is_empty());
}

/// Expand's target as TorchScript writes it: -1 means "as it is", chosen by `Where(Equal(…))`.
#[test]
fn comparisons_of_shapes_are_decided() {
    let mut b = Build::default();
    let x = b.input(DType::F32, &["batch", "1"]);
    let like = b.input(DType::F32, &["batch", "seq"]);
    let shape = b.node(SHAPE, &[like]);
    let two = b.ints(&[2]);
    let value = b.constant(&Tensor::from_i64(vec![1], &[1]).unwrap());
    let ones = b.node(Op::Fill, &[two, value]);
    let minus = b.ints(&[-1]);
    let wanted = b.node(Op::Binary(BinaryOp::Mul), &[ones, minus]);
    let same = b.node(Op::Binary(BinaryOp::Equal), &[shape, wanted]);
    let target = b.node(Op::Select, &[same, ones, shape]);
    let y = b.node(Op::Expand, &[x, target]);
    assert_eq!(b.infer(y), "f32[batch, seq]");
    assert_eq!(b.0.value(same).contents.as_deref().map(<[_]>::len), Some(2));
}

/// Pads computed by way of a matrix, as TorchScript does.
#[test]
fn constants_are_followed_through_matrices() {
    let mut b = Build::default();
    let x = b.input(DType::F32, &["n", "4"]);
    let (pads, square, flat) = (b.ints(&[3, 4, 1, 2]), b.ints(&[-1, 2]), b.ints(&[-1]));
    let rows = b.node(RESHAPE, &[pads, square]);
    let (last, first, axis) = (b.ints(&[-1]), b.ints(&[i64::MIN]), b.ints(&[0]));
    let turned = b.node(Op::Slice, &[rows, last, first, axis, last]);
    let columns = b.node(Op::Transpose(vec![1, 0]), &[turned]);
    let list = b.node(RESHAPE, &[columns, flat]);
    let zero = b.constant(&Tensor::from_f32(vec![], &[0.0]).unwrap());
    let y = b.node(Op::Pad(bayplan_graph::op::PadMode::Constant), &[x, list, zero]);
    assert_eq!(b.infer(y), "f32[n + 3, 11]");
}

#[test]
fn sequences_and_splits() {
    let mut b = Build::default();
    let x = b.input(DType::F32, &["batch", "past + seq"]);
    let (start, end) = (Some(1), Some(2));
    let total = b.node(Op::Shape { start: 1, end }, &[x]);
    let zero = b.constant(&Tensor::from_i64(vec![], &[0]).unwrap());
    let one = b.constant(&Tensor::from_i64(vec![], &[1]).unwrap());
    let scalar = b.node(Op::View(ViewOp::Squeeze), &[total]);
    let range = b.node(Op::Range, &[zero, scalar, one]);
    assert_eq!((start, b.infer(range)), (Some(1), "i64[past + seq]".to_owned()));
    let sizes = b.ints(&[2, 3]);
    let y = b.input(DType::F32, &["n", "5"]);
    let pieces = b.many(Op::Split { axis: 1 }, &[y, sizes], 2);
    assert_eq!([b.infer(pieces[0]), b.infer(pieces[1])], ["f32[n, 2]", "f32[n, 3]"]);
}

#[test]
fn what_cannot_be_proved_is_assumed_once() {
    let mut b = Build::default();
    let (x, y) = (b.input(DType::F32, &["past + seq"]), b.input(DType::F32, &["total"]));
    let sum = b.node(Op::Binary(BinaryOp::Add), &[x, y]);
    let again = b.node(Op::Binary(BinaryOp::Mul), &[y, x]);
    assert_eq!(b.infer(sum), "f32[past + seq]");
    assert_eq!(b.infer(again), "f32[total]");
    let constraints: Vec<String> =
        b.0.constraints.iter().map(|c| format!("{} = {} by {}", c.a, c.b, c.node)).collect();
    assert_eq!(constraints, ["past + seq = total by n0"]);
}

/// What may be less than nothing is taken as no less, and assumed to be what it says; bounds may prove that.
#[test]
fn no_dimension_is_negative() {
    let split = |bounds: Bounds| {
        let mut b = Build::default();
        b.0.symbols.declare("n", bounds).unwrap();
        let (x, shape) = (b.input(DType::F32, &["n"]), b.ints(&[2]));
        let (dim, two) = (b.node(SHAPE, &[x]), shape);
        let rest = b.node(Op::Binary(BinaryOp::Sub), &[dim, two]);
        let sizes = b.node(Op::Concat { axis: 0 }, &[two, rest]);
        let pieces = b.many(Op::Split { axis: 0 }, &[x, sizes], 2);
        (b.infer(pieces[1]), b.0)
    };
    let (rest, graph) = split(Bounds::DIM);
    assert_eq!(rest, "f32[Max(0, n - 2)]");
    let assumed: Vec<String> = graph.constraints.iter().map(|c| format!("{} = {}", c.a, c.b)).collect();
    assert_eq!(assumed, ["n - 2 = Max(0, n - 2)"]);
    let at = |n: i64| Bindings::new().with("n", n);
    assert_eq!(graph.check_constraints(&at(2)), Ok(()));
    let refusal = graph.check_constraints(&at(1)).unwrap_err().to_string();
    assert_eq!(refusal, "node `n3` would make a dimension of n - 2, which is -1");
    let (rest, graph) = split(Bounds::at_least(2));
    assert_eq!((rest.as_str(), graph.constraints.len()), ("f32[n - 2]", 0));
    let (refused, _) = split(Bounds::between(0, 1));
    assert!(refused.contains("n - 2, which is negative"), "{refused}");
}

/// What an operator needs of a dimension is noted where the dimension is a symbol.
#[test]
fn dimensions_that_must_be_a_number_are_tied_to_it() {
    let check = |op: Op, inputs: &[&[&str]], lists: &[&[i64]], expected: (&str, &str)| {
        let mut b = Build::default();
        let mut operands: Vec<_> = inputs.iter().map(|dims| b.input(DType::F32, dims)).collect();
        operands.extend(lists.iter().map(|list| b.ints(list)));
        let y = b.node(op, &operands);
        let shape = b.infer(y);
        let ties: Vec<String> =
            b.0.ties(&Bindings::new()).iter().map(|tie| format!("{} = {}", tie.symbol, tie.is)).collect();
        assert_eq!((shape.as_str(), ties.join(", ").as_str()), expected);
    };
    check(Op::View(ViewOp::Squeeze), &[&["b", "n"]], &[&[1]], ("f32[b]", "n = 1"));
    let pads = Pads::Explicit(vec![1, 1]);
    let window = Window { kernel: vec![3], strides: vec![1], dilations: vec![1], pads, ceil: false };
    check(Op::Conv(window, 1), &[&["b", "2", "n"], &["4", "2", "k"]], &[], ("f32[b, 4, n]", "k = 3"));
}

/// A dimension that cannot be equal to the other may still be 1.
#[test]
fn bounds_decide_broadcasting() {
    let check = |bounds: Bounds, expected: &str, assumed: &[&str]| {
        let mut b = Build::default();
        b.0.symbols.declare("s", bounds).unwrap();
        let (x, y) = (b.input(DType::F32, &["s"]), b.input(DType::F32, &["5"]));
        let sum = b.node(Op::Binary(BinaryOp::Add), &[x, y]);
        assert!(b.infer(sum).contains(expected), "{bounds}: {}", b.infer(sum));
        let made: Vec<String> = b.0.constraints.iter().map(|c| format!("{} = {}", c.a, c.b)).collect();
        assert_eq!(made, assumed, "{bounds}");
    };
    check(Bounds::DIM, "f32[5]", &["s = 5"]);
    check(Bounds::exactly(1), "f32[5]", &[]);
    check(Bounds::exactly(5), "f32[5]", &[]);
    check(Bounds::between(1, 4), "f32[5]", &["s = 1"]);
    check(Bounds::between(2, 4), "must be equal", &[]);
}

#[test]
fn messages_name_node_operands_and_remedy() {
    let refuse = |op: Op, inputs: &[&[&str]], lists: &[&[i64]], expected: &[&str]| {
        let mut b = Build::default();
        let mut operands: Vec<_> = inputs.iter().map(|dims| b.input(DType::F32, dims)).collect();
        operands.extend(lists.iter().map(|list| b.ints(list)));
        let y = b.node(op, &operands);
        let message = b.infer(y);
        assert!(expected.iter().all(|text| message.contains(text)), "{message}");
    };
    refuse(
        Op::MatMul,
        &[&["b", "3"], &["4", "5"]],
        &[],
        &["`n0`", "MatMul", "f32[b, 3], f32[4, 5]", "3 and 4"],
    );
    refuse(Op::Binary(BinaryOp::Add), &[&["s + 2"], &["s + 3"]], &[], &["must be equal", "s + 2 and s + 3"]);
    refuse(RESHAPE, &[&["b"], &["2"]], &[], &["operand 1 is f32", "i32 or i64"]);
    refuse(Op::Softmax { axis: 3, log: false }, &[&["b", "s"]], &[], &["axis 3", "use -2 to 1"]);
    refuse(Op::Concat { axis: 0 }, &[&["b", "2"], &["b", "3"]], &[], &["not joined"]);
    refuse(Op::Softmax { axis: 0, log: false }, &[], &[], &["one operand", "0 operands"]);
    refuse(RESHAPE, &[&["b"]], &[&[2, 3], &[1]], &["3 operands"]);
    refuse(Op::Split { axis: 0 }, &[&["4"]], &[&[2, 2]], &["2 sizes for 1 outputs"]);
}

/// A target that depends on data is refused with what to do, not guessed.
#[test]
fn data_dependent_shapes_are_refused() {
    let mut b = Build::default();
    let (x, target) = (b.input(DType::F32, &["n"]), b.input(DType::I64, &["2"]));
    let y = b.node(RESHAPE, &[x, target]);
    let message = b.infer(y);
    assert!(message.contains("depends on data") && message.contains("operand 1 (the shape)"), "{message}");
}
