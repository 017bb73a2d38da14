//! Shapes at which operations have nothing to write: their dispatches are left out, the plan stays that of all shapes.

mod common;

use bayplan_compile::{Arena, Family, FunctionId, Options, Order, Program};
use bayplan_expr::Bindings;
use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_graph::{ByteRange, Graph, NoFiles, Op, Tensor, ValueId, eval};
use bayplan_shaders::Target;

use common::dims::{bounded, no_file, with_dims};
use common::models::imported;
use common::{Builder, check_program, device, floats};

const MODEL: FunctionId = FunctionId(0);

/// A step of a decoder, as far as its memory goes: what the past gives is made before anything of the new tokens is,
/// from an input that is then dead, and part of what both give is empty without a past.
fn step() -> Graph {
    let mut b = Builder::new("step");
    let (past, new, bias) = (b.floats(&[2, 3, 8]), b.floats(&[2, 2, 8]), b.floats(&[2, 3, 8]));
    let shifted = b.op(Op::Binary(BinaryOp::Add), &[past, bias]);
    let kept = b.op(Op::Unary(UnaryOp::Tanh), &[shifted]);
    let key = b.op(Op::Unary(UnaryOp::Exp), &[new]);
    let present = b.op(Op::Concat { axis: 1 }, &[kept, key]);
    let weights = b.op(Op::Softmax { axis: -1, log: false }, &[present]);
    let (first, second) = (b.op(Op::Unary(UnaryOp::Tanh), &[key]), b.op(Op::Unary(UnaryOp::Neg), &[kept]));
    [present, weights, first, second].into_iter().for_each(|id| b.output(id));
    with_dims(b, &[&["batch", "past", "8"], &["batch", "seq", "8"], &["batch", "past", "8"]])
}

/// All points of {0, 1, 2, 5} of these symbols.
fn corners(symbols: &[&str]) -> Vec<Bindings> {
    let mut points = vec![Bindings::new()];
    for symbol in symbols {
        let more = |point: &Bindings| [0, 1, 2, 5].map(|value| point.clone().with(*symbol, value));
        points = points.iter().flat_map(more).collect();
    }
    points
}

fn inputs(graph: &Graph, point: &Bindings) -> Vec<Tensor> {
    let shape = |id: &ValueId| -> Vec<usize> {
        let dims = &graph.value(*id).ty.as_ref().expect("typed").shape;
        dims.iter().map(|dim| dim.eval(point).expect("a size") as usize).collect()
    };
    graph.inputs.iter().enumerate().map(|(seed, id)| floats(&shape(id), seed)).collect()
}

/// Dispatches of the run stage.
fn dispatches(program: &Program) -> usize {
    program.run.dispatches.len()
}

/// The bytes of each term of the memory function of the digits' model.
fn digits(least: i64) -> Vec<String> {
    let graph = imported("assets/digits.onnx");
    let read = |range: &ByteRange| -> Result<Vec<u8>, String> { Ok(vec![1; range.len as usize]) };
    let dims = bounded(&[("batch", least, 4096)]);
    let family =
        Family::new(&graph, &dims, &Target::generic(), &Options::default(), &read).expect("a family");
    let functions = family.memory().expect("a memory function").functions;
    functions.iter().flat_map(|function| &function.terms).map(|term| term.bytes.to_string()).collect()
}

/// An input that is empty wherever the operations that read it are left out dies as early as if they never were.
#[test]
fn a_bound_of_zero_costs_nothing() {
    let formula = digits(1);
    assert!(formula.iter().any(|term| term.contains("batch")), "{formula:?}");
    assert_eq!(digits(0), formula);
}

#[test]
fn what_is_left_out_leaves_the_plan_as_it_is() {
    let graph = step();
    let dims = bounded(&[("batch", 0, 6), ("past", 0, 9), ("seq", 0, 7)]);
    for (in_place, order) in [(true, Order::Search), (false, Order::Given)] {
        let options = Options { in_place, order, ..Options::default() };
        let family = Family::new(&graph, &dims, device().target(), &options, &no_file).expect("a family");
        let memory = family.memory().expect("a memory function");
        let reserved = family.reservation().expect("bounds").arena_bytes[Arena::Activations.index()];
        let whole = dispatches(family.first());
        let mut fewer = 0;
        for point in corners(&["batch", "past", "seq"]) {
            let program = family.at(MODEL, &point).unwrap_or_else(|e| panic!("at {point}: {e}"));
            let bytes = program.arena_bytes[Arena::Activations.index()];
            assert_eq!(memory.eval(&point), Ok(bytes), "at {point}");
            assert!(bytes <= reserved, "at {point}");
            fewer += usize::from(dispatches(&program) < whole);
            let inputs = inputs(&graph, &point);
            if inputs.iter().any(|input| input.count() > 0) {
                let expected = eval(&graph, &inputs, &NoFiles).expect("a reference");
                check_program(device(), &graph, program, &inputs, &expected, 1e-5)
                    .unwrap_or_else(|e| panic!("at {point}: {e}"));
            }
        }
        assert!(fewer > 20, "only {fewer} shapes leave dispatches out");
    }
}
