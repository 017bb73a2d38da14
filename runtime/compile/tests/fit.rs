//! What fits a budget, where a device of small windows needs a compile for each part of the box.

use bayplan_compile::fit::{Budget, End, Fit, Fitted, Nothing, fit};
use bayplan_compile::{CompileError, Dims, Family, FunctionId, Options};
use bayplan_expr::memory::steps;
use bayplan_expr::{Bindings, Bounds, Expr, Scope};
use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_graph::{ByteRange, DType, Graph, Op, Tensor, TensorType, ValueId};
use bayplan_shaders::Target;

#[allow(dead_code, unreachable_pub, reason = "each test program uses its part")]
#[path = "../../../tests/src/graphs.rs"]
mod graphs;
use graphs::{Builder, floats};

const MODEL: FunctionId = FunctionId(0);

fn no_file(_: &ByteRange) -> Result<Vec<u8>, String> {
    Err("no file".to_string())
}

/// Binds 4 KiB at once, and allocates as much as is asked.
fn small() -> Target {
    Target { max_storage_range: 4 << 10, ..Target::generic() }
}

/// exp(x · w) + x · v for x `[rows, inner]`, both sides `inner` or 24 wide.
fn products(rows: &str) -> Graph {
    let mut b = Builder::new("products");
    let x = b.floats(&[5, 16]);
    let (w, v) = (b.constant(&floats(&[16, 24], 3)), b.constant(&floats(&[16, 24], 7)));
    let product = b.op(Op::MatMul, &[x, w]);
    let e = b.op(Op::Unary(UnaryOp::Exp), &[product]);
    let other = b.op(Op::MatMul, &[x, v]);
    let sum = b.op(Op::Binary(BinaryOp::Add), &[e, other]);
    b.output(sum);
    let ValueId(id) = b.graph.inputs[0];
    let shape = [rows, "16"].map(|dim| Expr::parse(dim).expect("a dimension")).to_vec();
    b.graph.values[id as usize].ty = Some(TensorType { dtype: DType::F32, shape });
    b.graph.infer().expect("a graph that fits together");
    b.graph
}

fn bounded(bounds: &[(&str, i64, i64)]) -> Dims {
    let mut scope = Scope::new();
    for &(symbol, lower, upper) in bounds {
        scope.declare(symbol, Bounds::between(lower, upper)).expect("bounds");
    }
    Dims { bounds: scope, ..Dims::default() }
}

fn fitted(graph: &Graph, dims: &Dims, budget: Budget<'_>, target: &Target) -> Result<Fitted, CompileError> {
    fit(graph, dims, budget, (target, &Options::default()), &no_file)
}

/// The bytes of a session at a shape, as its program has them.
fn needed(family: &Family, point: &Bindings) -> u64 {
    let [activations, weights, load, _] = family.at(MODEL, point).expect("a program").arena_bytes;
    weights + activations.max(load)
}

/// Each row is the largest: it fits, the next does not, and the family runs it with the bytes told.
fn check(graph: &Graph, dims: &Dims, budget: Budget<'_>, target: &Target) -> Fitted {
    let fitted = fitted(graph, dims, budget, target).expect("an answer");
    assert!(!fitted.rows.is_empty(), "{:?}", fitted.nothing);
    for Fit { row, end } in &fitted.rows {
        let (point, solution) = (&row.point, &row.solution);
        assert_eq!((end, point.get(budget.free)), (&End::Budget, Some(solution.value)), "{point}");
        assert!(solution.bytes <= budget.bytes && solution.next > Some(budget.bytes), "{solution:?}");
        assert_eq!(solution.bytes, needed(&fitted.family, point), "{point}");
        let next = point.clone().with(budget.free, solution.value + 1);
        assert_eq!(solution.next, Some(needed(&fitted.family, &next)), "{next}");
        // What runs within the row's bounds reserves the same.
        let mut exact = Scope::new();
        for (symbol, value) in point.iter() {
            exact.declare(symbol, Bounds::exactly(value)).expect("bounds");
        }
        let row = fitted.family.within(&exact).expect("the row alone");
        let compiles = row.compiles();
        assert_eq!(
            (solution.bytes, row.compiles()),
            (needed(&row, point), compiles),
            "nothing is compiled again"
        );
        let [activations, weights, load, _] = row.reservation().expect("bounds").arena_bytes;
        assert_eq!(solution.bytes, weights + activations.max(load), "{point}");
    }
    fitted
}

#[test]
fn the_largest_lies_in_parts_that_nothing_else_asks_for() {
    let (graph, dims, target) = (products("n"), bounded(&[("n", 1, 1 << 20)]), small());
    for bytes in [9_000, 40_000, 100_000, 163_841, 400_000] {
        let fitted = check(&graph, &dims, Budget { bytes, free: "n", axes: &[] }, &target);
        assert_eq!(fitted.rows.len(), 1);
        // Windows of 4 KiB cut 24 columns every 42 rows: the parts between the first compile and the answer stay unknown.
        assert!(fitted.family.compiles() <= 8, "{} compiles", fitted.family.compiles());
        let whole = fitted.memory.eval(&Bindings::new().with("n", 1));
        assert!(bytes < 20_000 || whole.is_err(), "at n = 1 nothing was asked for: {whole:?}");
    }
}

#[test]
fn each_row_of_a_table_is_the_largest() {
    let (graph, dims) = (sums(), bounded(&[("b", 1, 16), ("n", 0, 1 << 12)]));
    let axes = [("b".to_owned(), steps(Bounds::between(1, 16)))];
    let fitted = check(&graph, &dims, Budget { bytes: 30_000, free: "n", axes: &axes }, &small());
    let points: Vec<i64> = fitted.rows.iter().filter_map(|fit| fit.row.point.get("b")).collect();
    assert_eq!(points, [1, 2, 4, 8, 16]);
}

/// As [`products`] of `b*n` rows, with inputs `[b]` and `[n]` beside.
fn factors() -> Graph {
    let mut b = Builder::new("factors");
    let (x, y, z) = (b.floats(&[6, 16]), b.floats(&[2]), b.floats(&[3]));
    let w = b.constant(&floats(&[16, 24], 3));
    let product = b.op(Op::MatMul, &[x, w]);
    b.output(product);
    for input in [y, z] {
        let e = b.op(Op::Unary(UnaryOp::Exp), &[input]);
        b.output(e);
    }
    for (&ValueId(id), dims) in b.graph.inputs.iter().zip([&["b*n", "16"][..], &["b"], &["n"]]) {
        let shape = dims.iter().map(|dim| Expr::parse(dim).expect("a dimension")).collect();
        b.graph.values[id as usize].ty = Some(TensorType { dtype: DType::F32, shape });
    }
    b.graph.infer().expect("a graph that fits together");
    b.graph
}

#[test]
fn a_dimension_that_is_a_product_of_two() {
    let (graph, dims) = (factors(), bounded(&[("b", 0, 128), ("n", 0, 1 << 14)]));
    let axes = [("b".to_owned(), steps(Bounds::between(0, 128)))];
    for target in [small(), Target::generic()] {
        let fitted = check(&graph, &dims, Budget { bytes: 200_000, free: "n", axes: &axes }, &target);
        let points: Vec<i64> = fitted.rows.iter().filter_map(|fit| fit.row.point.get("b")).collect();
        assert_eq!(points, [1, 2, 4, 8, 16, 32, 64, 128]);
    }
    // What no input tells alone must have a value.
    let (graph, dims) = (products("b*n"), bounded(&[("b", 1, 64), ("n", 1, 1 << 16)]));
    let refused = fitted(&graph, &dims, Budget { bytes: 100_000, free: "n", axes: &[] }, &small());
    assert!(matches!(refused, Err(CompileError::Undetermined { .. })), "{refused:?}");
}

/// exp(x) + exp(y) for x and y `[b, n]`, which concatenates with itself: `[b, 2n]`.
fn sums() -> Graph {
    let mut b = Builder::new("sums");
    let (x, y) = (b.floats(&[2, 5]), b.floats(&[2, 5]));
    let (e, f) = (b.op(Op::Unary(UnaryOp::Exp), &[x]), b.op(Op::Unary(UnaryOp::Exp), &[y]));
    let sum = b.op(Op::Binary(BinaryOp::Add), &[e, f]);
    let twice = b.op(Op::Concat { axis: 1 }, &[sum, sum]);
    b.output(twice);
    for &ValueId(id) in &b.graph.inputs {
        let shape = vec![Expr::symbol("b"), Expr::symbol("n")];
        b.graph.values[id as usize].ty = Some(TensorType { dtype: DType::F32, shape });
    }
    b.graph.infer().expect("a graph that fits together");
    b.graph
}

#[test]
fn what_ends_a_row_is_told() {
    let (graph, dims) = (products("n"), bounded(&[("n", 1, 64)]));
    let end = |bytes: u64, target: &Target| {
        let fitted =
            fitted(&graph, &dims, Budget { bytes, free: "n", axes: &[] }, target).expect("an answer");
        (fitted.rows.first().map(|fit| (fit.row.solution.value, fit.end.clone())), fitted.nothing)
    };
    assert_eq!(end(1 << 20, &small()), (Some((64, End::Bounds)), None));
    // One tensor of 24 columns is 96 bytes a row.
    let tight = Target { max_allocation: 4 << 10, ..Target::generic() };
    let (row, _) = end(1 << 20, &tight);
    assert!(
        matches!(&row, Some((42, End::Refused(why))) if why.contains("maxMemoryAllocationSize")),
        "{row:?}"
    );
    let (none, why) = end(64, &small());
    assert!(none.is_none() && matches!(why, Some(Nothing::Memory(_))), "{why:?}");
}

/// A table of 20 rows is cut at n and added to x `[n]`: only n <= 20 is taken, which no bound says.
#[test]
fn shapes_that_the_model_does_not_take_are_no_rows() {
    let mut b = Builder::new("positions");
    let x = b.floats(&[5, 8]);
    let table = b.constant(&floats(&[20, 8], 3));
    let n = b.op(Op::Shape { start: 0, end: Some(1) }, &[x]);
    let [zero, one] = [0, 1].map(|value| b.constant(&Tensor::from_i64(vec![1], &[value]).expect("a list")));
    let cut = b.op(Op::Slice, &[table, zero, n, zero, one]);
    let sum = b.op(Op::Binary(BinaryOp::Add), &[x, cut]);
    b.output(sum);
    let ValueId(id) = b.graph.inputs[0];
    let shape = vec![Expr::symbol("n"), Expr::from(8)];
    b.graph.values[id as usize].ty = Some(TensorType { dtype: DType::F32, shape });
    b.graph.infer().expect("a graph that fits together");
    let budget = Budget { bytes: 1 << 20, free: "n", axes: &[] };
    let fitted =
        fitted(&b.graph, &bounded(&[("n", 2, 1000)]), budget, &Target::generic()).expect("an answer");
    let found = fitted.rows.first().map(|fit| (fit.row.solution.value, fit.end.clone()));
    assert!(matches!(&found, Some((20, End::Refused(why))) if why.contains("n=21")), "{found:?}");
}
