//! Binding symbols, verifying, evaluating and printing graphs.

mod common;

use bayplan_expr::{Bindings, Bounds, Scope};
use bayplan_graph::op::{BinaryOp, Keep, ReduceOp, UnaryOp, ViewOp};
use bayplan_graph::{
    ByteRange, ConstData, DType, FileId, Graph, NoFiles, NodeId, Op, Tensor, ValueId, ValueSource, eval,
    verify,
};
use common::Build;

/// softmax(x + mask), summed over the last axis, and x reshaped to one row.
fn sample() -> Build {
    let mut b = Build::default();
    let x = b.input(DType::F32, &["batch", "past + seq"]);
    let mask = b.input(DType::F32, &["total"]);
    let sum = b.node(Op::Binary(BinaryOp::Add), &[x, mask]);
    let soft = b.node(Op::Softmax { axis: -1, log: false }, &[sum]);
    let axes = b.ints(&[-1]);
    let total = b.node(Op::Reduce(ReduceOp::Sum, Keep::None), &[soft, axes]);
    let row = b.ints(&[1, -1]);
    let flat = b.node(Op::View(ViewOp::Reshape { allow_zero: false }), &[x, row]);
    b.output(total);
    b.output(flat);
    b.0.symbols.declare("batch", Bounds::between(1, 64)).unwrap();
    b.0.infer().unwrap();
    b
}

fn bindings(list: &[(&str, i64)]) -> Bindings {
    list.iter().copied().collect()
}

#[test]
fn binding_makes_every_type_concrete() {
    let graph = sample().0;
    let bound = graph.bind(&bindings(&[("batch", 2), ("past", 3), ("seq", 4), ("total", 7)])).unwrap();
    assert!(bound.values.iter().all(|v| v.ty.as_ref().unwrap().shape.iter().all(|d| d.as_const().is_some())));
    assert_eq!(bound.value(bound.outputs[1]).ty.as_ref().unwrap().to_string(), "f32[1, 14]");
    assert!(bound.free_symbols().is_empty());
    verify(&bound).unwrap();
    let empty = graph.bind(&bindings(&[("batch", 1), ("past", 0), ("seq", 0), ("total", 0)])).unwrap();
    assert_eq!(empty.value(empty.outputs[1]).ty.as_ref().unwrap().to_string(), "f32[1, 0]");
}

#[test]
fn bad_bindings_are_named() {
    let graph = sample().0;
    let check = |list: &[(&str, i64)], expected: &[&str]| {
        let message = graph.bind(&bindings(list)).unwrap_err().to_string();
        assert!(expected.iter().all(|text| message.contains(text)), "{message}");
    };
    check(&[("batch", 2)], &["`past`, `seq`, `total`", "give each a value"]);
    check(
        &[("batch", 2), ("past", 1), ("seq", 1), ("total", 2), ("sequence", 5)],
        &["`sequence`", "it has `batch`"],
    );
    check(&[("batch", 0), ("past", 1), ("seq", 1), ("total", 2)], &["`batch` is 0", "1..=64"]);
    check(&[("batch", 2), ("past", -3), ("seq", 1), ("total", 2)], &["`past` is -3"]);
    check(
        &[("batch", 2), ("past", 1), ("seq", 1), ("total", 5)],
        &["total is 5, but node `n0` needs it to be past + seq, which is 2 (or one of the two 1)"],
    );
}

/// Symbols that broadcast may differ where one is 1; the shape that comes of it is the one of numbers.
#[test]
fn binding_lets_ones_broadcast() {
    let add = |a: &[&str], b: &[&str]| {
        let mut build = Build::default();
        let (a, b) = (build.input(DType::F32, a), build.input(DType::F32, b));
        let sum = build.node(Op::Binary(BinaryOp::Add), &[a, b]);
        let both = build.node(Op::Concat { axis: 0 }, &[sum, sum]);
        let eight = build.constant(&Tensor::from_f32(vec![8], &[0.0; 8]).unwrap());
        let last = build.node(Op::Binary(BinaryOp::Add), &[both, eight]);
        build.output(sum);
        build.output(last);
        build.0
    };
    let expand = |shape: &[i64]| {
        let mut build = Build::default();
        let (x, shape) = (build.input(DType::F32, &["n"]), build.ints(shape));
        let y = build.node(Op::Expand, &[x, shape]);
        build.output(y);
        build.0
    };
    let matmul = || {
        let mut build = Build::default();
        let (a, b) = (build.input(DType::F32, &["2", "n"]), build.input(DType::F32, &["3", "2"]));
        let y = build.node(Op::MatMul, &[a, b]);
        build.output(y);
        build.0
    };
    let check = |mut graph: Graph, dims: &[(&str, i64)], expected: Result<&str, &str>| {
        graph.infer().unwrap();
        let bound = graph.bind(&bindings(dims)).map_err(|e| e.to_string());
        let shape = bound.as_ref().map(|g| g.value(g.outputs[0]).ty.as_ref().unwrap().to_string());
        assert_eq!(shape.as_deref().map_err(|e| e.as_str()), expected, "{dims:?}");
        if let Ok(bound) = &bound {
            verify(bound).unwrap();
        }
    };
    check(add(&["n"], &["4"]), &[("n", 1)], Ok("f32[4]"));
    check(add(&["n"], &["4"]), &[("n", 4)], Ok("f32[4]"));
    check(add(&["n"], &["4"]), &[("n", 2)], Err("n is 2, but node `n0` needs it to be 4 or 1"));
    check(add(&["n"], &["m"]), &[("n", 4), ("m", 1)], Ok("f32[4]"));
    // What follows from n = m (that 2 n = 8) does not count where n is 1.
    check(add(&["n"], &["m"]), &[("n", 1), ("m", 4)], Ok("f32[4]"));
    check(
        add(&["n"], &["m"]),
        &[("n", 2), ("m", 4)],
        Err("n is 2, but node `n0` needs it to be m, which is 4 (or one of the two 1)"),
    );
    let mut wrong = add(&["n"], &["m"]);
    wrong.infer().unwrap();
    let message = wrong.bind(&bindings(&[("n", 1), ("m", 3)])).unwrap_err().to_string();
    assert!(message.contains("`n2`") && message.contains("f32[6], f32[8]"), "{message}");
    check(expand(&[3]), &[("n", 1)], Ok("f32[3]"));
    check(expand(&[3]), &[("n", 2)], Err("n is 2, but node `n0` needs it to be 3 or 1"));
    check(expand(&[1]), &[("n", 2)], Ok("f32[2]"));
    // The inner dimensions of a product do not broadcast.
    check(matmul(), &[("n", 1)], Err("n is 1, but node `n0` needs it to be 3"));
}

#[test]
fn evaluation_agrees_with_inference() {
    let graph = sample().0;
    let x = Tensor::from_f32(vec![2, 2], &[0.0, 0.0, 1.0, 2.0]).unwrap();
    let mask = Tensor::from_f32(vec![2], &[0.0, 0.0]).unwrap();
    let y = eval(&graph, &[x.clone(), mask.clone()], &NoFiles).unwrap();
    assert_eq!(y[0].to_f32().unwrap(), [1.0, 1.0]);
    assert_eq!(y[1], x.reshaped(vec![1, 4]).unwrap());
    let message = eval(&graph, std::slice::from_ref(&x), &NoFiles).unwrap_err().to_string();
    assert!(message.contains("2 inputs, but 1"), "{message}");
    let message = eval(&graph, &[mask.clone(), mask], &NoFiles).unwrap_err().to_string();
    assert!(message.contains("`v0` must be f32[batch, past + seq]"), "{message}");
}

#[test]
fn printing_shows_one_node_per_line() {
    let mut graph = sample().0;
    graph.output_names = ["v5", "row"].map(Into::into).to_vec();
    let text = graph.to_string();
    assert!(text.contains("  output v5: f32[batch]\n") && text.contains(" as row\n"), "{text}");
    assert!(text.contains("  input v0: f32[batch, past + seq]\n"), "{text}");
    assert!(text.contains("  v2: f32[batch, past + seq] = Binary(Add)(v0, v1)  # Add n0\n"), "{text}");
    assert!(text.contains("  needs past + seq = total, or one of them 1  # n0\n"), "{text}");
    assert!(text.contains("  constant v4: i64[1] (8 bytes)\n"), "{text}");
}

/// Every rule of the verifier is broken once.
#[test]
fn the_verifier_finds_every_planted_defect() {
    let check = |what: &str, break_it: fn(&mut Graph), expected: &str| {
        let mut graph = sample().0;
        verify(&graph).expect("the graph is whole before");
        break_it(&mut graph);
        let message = verify(&graph).expect_err(what).to_string();
        assert!(message.contains(expected), "{what}: {message}");
    };
    check("operand beyond the values", |g| g.nodes[0].inputs[0] = ValueId(99), "index 99");
    check("order", |g| g.nodes[0].inputs[1] = ValueId(3), "before it is made");
    check("own output", |g| g.nodes[0].inputs[1] = ValueId(2), "before it is made");
    check("swapped nodes", |g| g.nodes.swap(0, 1), "does not");
    check("arity", |g| g.nodes[0].inputs.truncate(1), "does not take 1");
    check("too many operands", |g| g.nodes[1].inputs.push(ValueId(0)), "does not take 2");
    check("type", |g| g.values[1].ty.as_mut().unwrap().dtype = DType::F64, "f64");
    check("type of an output", |g| g.values[2].ty.as_mut().unwrap().dtype = DType::I64, "i64");
    check("set of types", |g| g.nodes[1].op = Op::Unary(UnaryOp::Not), "bool");
    check("names", |g| g.values[1].name = "v0".into(), "same name");
    check("output index", |g| g.outputs[0] = ValueId(99), "index 99");
    check(
        "output never made",
        |g| g.values[3].source = ValueSource::Node { node: NodeId(9), output: 0 },
        "index 9",
    );
    check("maker", |g| g.values[3].source = ValueSource::Node { node: NodeId(0), output: 0 }, "does not");
    check("names of outputs", |g| g.output_names.push("y".into()), "as many names");
    check("input list", |g| g.inputs.truncate(1), "every input once");
    check("input twice", |g| g.inputs[1] = ValueId(0), "every input once");
    check("input made by a node", |g| g.inputs[1] = ValueId(2), "made by the graph");
    check("untyped input", |g| g.values[0].ty = None, "no type");
    check("constant's length", |g| g.values[4].source = constant(&[0; 7]), "7 bytes where its type needs 8");
    check("file", |g| g.values[4].source = range(3, 8), "index 3");
    check(
        "range's length",
        |g| {
            g.files.push(bayplan_graph::FileRef::Model);
            g.values[4].source = range(0, 9);
        },
        "9 bytes",
    );
}

fn constant(bytes: &[u8]) -> ValueSource {
    ValueSource::Constant(ConstData::Inline(bytes.into()))
}

fn range(file: u32, len: u64) -> ValueSource {
    ValueSource::Constant(ConstData::Range(ByteRange { file: FileId(file), offset: 0, len }))
}

#[test]
fn pinning_keeps_open_symbols_and_what_follows_from_them() {
    let graph = sample().0;
    let mut given = Scope::new();
    given.declare("total", Bounds::between(0, 96)).unwrap();
    given.declare("seq", Bounds::between(1, 128)).unwrap();
    let pinned = graph.pin(&bindings(&[("batch", 4)]), &given).unwrap();
    let shape = |id: ValueId| pinned.value(id).ty.as_ref().unwrap().to_string();
    assert_eq!(shape(pinned.inputs[0]), "f32[4, past + seq]");
    assert_eq!(shape(pinned.inputs[1]), "f32[past + seq]");
    assert_eq!(shape(pinned.outputs[1]), "f32[1, 4*past + 4*seq]");
    // total is at most 96, seq at least 1: past is at most 95.
    let symbols: Vec<(&str, Bounds)> = pinned.symbols.iter().collect();
    assert_eq!(symbols, [("past", Bounds::between(0, 95)), ("seq", Bounds::between(1, 96))]);
    assert!(pinned.constraints.is_empty());
    verify(&pinned).unwrap();
    // At every point it is what binding everything gives.
    let whole = graph.bind(&bindings(&[("batch", 4), ("past", 3), ("seq", 4), ("total", 7)])).unwrap();
    let rest = pinned.bind(&bindings(&[("past", 3), ("seq", 4)])).unwrap();
    assert_eq!(whole.values, rest.values);
}

#[test]
fn pinned_values_that_cannot_be_are_named() {
    let graph = sample().0;
    let check = |list: &[(&str, i64)], bounds: &Scope, expected: &str| {
        let message = graph.pin(&bindings(list), bounds).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    check(&[("sequence", 5)], &Scope::new(), "no dimensions `sequence`; it has `batch`");
    check(&[("batch", 65)], &Scope::new(), "`batch` is 65, but must be 1..=64");
    check(&[("past", 1), ("seq", 1), ("total", 5)], &Scope::new(), "total is 5, but node `n0`");
    let mut given = Scope::new();
    given.declare("batch", Bounds::at_least(65)).unwrap();
    check(&[], &given, "`batch` can have no value: 65..=64");
    // One that broadcasts is pinned, and so not taken as equal.
    let one = graph.pin(&bindings(&[("total", 1)]), &Scope::new()).unwrap();
    assert_eq!(one.free_symbols().into_iter().collect::<Vec<_>>(), ["batch", "past", "seq"]);
    assert_eq!(one.value(one.outputs[1]).ty.as_ref().unwrap().to_string(), "f32[1, batch*past + batch*seq]");
}

/// Where a value makes one of two dimensions 1, the other is its own, and so is what was found with the two taken as equal.
#[test]
fn pinned_ones_broadcast() {
    let mut b = Build::default();
    let [x, y] = [&["n"], &["m"]].map(|dims| b.input(DType::F32, dims));
    let sum = b.node(Op::Binary(BinaryOp::Add), &[x, y]);
    let w = b.input(DType::F32, &["k", "2"]);
    let product = b.node(Op::MatMul, &[sum, w]);
    b.output(sum);
    b.output(product);
    b.0.infer().unwrap();
    let graph = b.0;
    let ties = |pinned: &[(&str, i64)]| -> Vec<String> {
        graph.ties(&bindings(pinned)).iter().map(|tie| format!("{} = {}", tie.symbol, tie.is)).collect()
    };
    assert_eq!(ties(&[]), ["n = k", "m = k"]);
    assert_eq!(ties(&[("m", 1)]), ["n = k"]);
    assert_eq!(ties(&[("n", 1)]), ["m = k"]);
    let sizes = |pinned: &[(&str, i64)]| {
        let graph = graph.pin(&bindings(pinned), &Scope::new()).unwrap();
        let shapes = [graph.inputs[0], graph.inputs[1], graph.outputs[0]];
        shapes.map(|id| graph.value(id).ty.as_ref().unwrap().to_string())
    };
    assert_eq!(sizes(&[]), ["f32[k]", "f32[k]", "f32[k]"]);
    assert_eq!(sizes(&[("m", 1)]), ["f32[k]", "f32[1]", "f32[k]"]);
    assert_eq!(sizes(&[("n", 1)]), ["f32[1]", "f32[k]", "f32[k]"]);
    let message = graph.pin(&bindings(&[("n", 1), ("m", 3), ("k", 4)]), &Scope::new()).unwrap_err();
    assert!(message.to_string().contains("node `n1` (MatMul) of f32[3], f32[4, 2]"), "{message}");
}

/// A Squeeze without axes, over x `f32[n, 1, m]`.
fn squeezed() -> Build {
    let mut b = Build::default();
    let x = b.input(DType::F32, &["n", "1", "m"]);
    let y = b.node(Op::View(ViewOp::Squeeze), &[x]);
    b.output(y);
    b.0.symbols.declare("m", Bounds::between(2, 9)).unwrap();
    b.0.infer().unwrap();
    b
}

#[test]
fn a_rank_that_a_symbol_decides_is_refused_by_name() {
    let graph = squeezed().0;
    let scope = |lower: i64, upper: i64| {
        let mut scope = Scope::new();
        scope.declare("n", Bounds::between(lower, upper)).unwrap();
        scope
    };
    // m is at least 2; n says how many dimensions are left.
    let named: Vec<String> = graph.not_one.iter().map(|dim| dim.dim.to_string()).collect();
    assert_eq!(named, ["n"]);
    assert!(graph.to_string().contains("needs n ≠ 1  # n0"), "{graph}");
    for bounds in [Scope::new(), scope(1, 20), scope(0, 4)] {
        let message = graph.pin(&Bindings::new(), &bounds).unwrap_err().to_string();
        for part in ["node `n0`", "its dimension n may be 1", "give `n` a value", "--dim-min NAME=2"] {
            assert!(message.contains(part), "{message}");
        }
    }
    let shape = |graph: &Graph| graph.value(graph.outputs[0]).ty.as_ref().unwrap().to_string();
    // Whatever leaves out 1, or says that it is 1, decides.
    assert_eq!(shape(&graph.pin(&Bindings::new(), &scope(2, 20)).unwrap()), "f32[n, m]");
    assert_eq!(shape(&graph.pin(&Bindings::new(), &scope(1, 1)).unwrap()), "f32[m]");
    assert_eq!(shape(&graph.pin(&bindings(&[("n", 1)]), &Scope::new()).unwrap()), "f32[m]");
    assert_eq!(shape(&graph.bind(&bindings(&[("n", 1), ("m", 3)])).unwrap()), "f32[3]");
    assert_eq!(shape(&graph.bind(&bindings(&[("n", 5), ("m", 3)])).unwrap()), "f32[5, 3]");
}

#[test]
fn an_inferred_dimension_notes_what_must_divide() {
    let mut b = Build::default();
    let x = b.input(DType::F32, &["n"]);
    let rows = b.ints(&[-1, 4]);
    let y = b.node(Op::View(ViewOp::Reshape { allow_zero: false }), &[x, rows]);
    b.output(y);
    b.0.infer().unwrap();
    let graph = b.0;
    assert_eq!(graph.check_constraints(&bindings(&[("n", 8)])), Ok(()));
    let message = graph.check_constraints(&bindings(&[("n", 7)])).unwrap_err().to_string();
    assert!(
        message.contains("n is 7, but node `n0` needs it to be") && message.contains("which is 4"),
        "{message}"
    );
    assert!(graph.ties(&Bindings::new()).is_empty(), "n does not follow from itself");
}
