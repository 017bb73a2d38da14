//! Work in two phases: what lies between is planned, and the results are those of one phase.

mod common;

use bayplan_compile::{BufferKind, Options, Program};
use bayplan_graph::op::{Keep, Op, ReduceOp, UnaryOp};
use bayplan_graph::{DType, Tensor};
use bayplan_shaders::{Class, Spec, Target, scratch};

use common::{Builder, check, device, program};

const OPS: [ReduceOp; 5] = [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max, ReduceOp::Min, ReduceOp::Prod];

/// `|reduce(x)|` over axis 1.
fn reduction(op: ReduceOp, shape: &[usize], x: Option<Tensor>) -> Builder {
    let mut b = Builder::new("reduction");
    let x = match x {
        Some(tensor) => b.input(tensor),
        None => b.floats(shape),
    };
    let axis = b.ints(&[1]);
    let reduced = b.op(Op::Reduce(op, Keep::None), &[x, axis]);
    let y = b.op(Op::Unary(UnaryOp::Abs), &[reduced]);
    b.output(y);
    b
}

fn compiled(builder: &Builder, target: &Target) -> Program {
    program(&builder.graph, target, Options::default()).expect("it compiles")
}

/// Dispatches that reduce, on the device of the test.
fn phases(builder: &Builder) -> usize {
    let program = compiled(builder, device().target());
    program.run.dispatches.iter().filter(|dispatch| matches!(*dispatch.spec, Spec::Reduce(_))).count()
}

/// The planned buffer has the bytes that the kernel table says, lives for two dispatches, and the epilogue comes last.
#[test]
fn what_lies_between_is_planned() {
    let target = Target { class: Class::Gpu, ..Target::generic() };
    let program = compiled(&reduction(ReduceOp::Sum, &[2, 1 << 18], None), &target);
    let specs: Vec<_> = program.run.dispatches.iter().map(|dispatch| &*dispatch.spec).collect();
    let [Spec::Reduce(first), Spec::Reduce(second)] = specs.as_slice() else { panic!("{specs:?}") };
    assert!(first.epilogue.steps.is_empty() && !second.epilogue.steps.is_empty());
    assert_eq!((first.outer, second.outer, second.len * first.len), (2 * second.len, 2, 1 << 18));
    let mut whole = (*second).clone();
    whole.len = 1 << 18;
    let wanted = scratch(&Spec::Reduce(whole), &target).expect("it pays");
    let buffer = program.buffers.iter().find(|buffer| buffer.name.ends_with(".scratch")).expect("a buffer");
    assert_eq!(buffer.kind, BufferKind::Activation);
    assert_eq!((buffer.size, buffer.lifespan.clone()), (wanted.bytes.next_multiple_of(16), 0..2));
    assert_eq!(second.len, wanted.parts);
}

#[test]
fn both_phases_give_what_one_gives() {
    for op in OPS {
        // Rows of neighbours have all lanes of a CPU already.
        let shapes: [&[usize]; 3] = [&[1, 1 << 17, 2], &[1, 3 * 8192, 3], &[2, 20_000]];
        for shape in shapes {
            let builder = reduction(op, shape, None);
            let wanted = if shape.len() == 3 || device().target().class == Class::Gpu { 2 } else { 1 };
            assert_eq!(phases(&builder), wanted, "{op:?} {shape:?}");
            check(&builder, 1e-4).unwrap_or_else(|e| panic!("{op:?} {shape:?}: {e}"));
        }
    }
    let numbers: Vec<i64> = (0..1_i64 << 16).map(|i| i * 7919 % 1000 - 500).collect();
    for op in [ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min] {
        let x = Tensor::from_i64(vec![1, 1 << 16], &numbers).expect("numbers");
        let builder = reduction(op, &[], Some(x));
        assert_eq!(builder.dtype(builder.graph.outputs[0]), DType::I64);
        assert_eq!(phases(&builder), 2, "{op:?}");
        check(&builder, 0.0).unwrap_or_else(|e| panic!("{op:?}: {e}"));
    }
}
