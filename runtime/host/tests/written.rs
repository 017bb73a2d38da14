//! What was written is known by where, never by what it is: tensors may hold any word, that of dead bytes too.

mod common;

use bayplan_compile::{Arena, Options, Program};
use bayplan_graph::op::{BinaryOp, Keep, Op, ReduceOp, UnaryOp};
use bayplan_graph::{DType, NoFiles, Tensor, ValueId, eval};
use bayplan_host::{HostError, Machine, POISON, Phase, Session, SessionOptions};
use bayplan_shaders::Access;
use bayplan_weights::Store;

use common::{Builder, check, machine, program, ways};

/// Elements whose every word is that of dead bytes; as floats, NaNs of that payload.
fn alike(dtype: DType, shape: &[usize]) -> Tensor {
    let bytes = shape.iter().product::<usize>() * dtype.size();
    let bytes = POISON.to_le_bytes().into_iter().cycle().take(bytes).collect();
    Tensor::new(dtype, shape.to_vec(), bytes).expect("as many as the shape says")
}

/// A graph of one input of such elements.
fn graph(dtype: DType, build: fn(&mut Builder, ValueId) -> Vec<ValueId>) -> Builder {
    let mut builder = Builder::new();
    let x = builder.input(alike(dtype, &[4, 6]));
    let outputs = build(&mut builder, x);
    outputs.into_iter().for_each(|id| builder.output(id));
    builder
}

/// Runs on the host as its users do.
fn session(builder: &Builder, program: Program) -> Vec<Tensor> {
    let weights = Store::open("", &builder.graph).expect("no files");
    let mut session = Session::new(program, &weights, SessionOptions::default()).expect("a session");
    let names: Vec<String> = session.program().inputs.iter().map(|port| port.name.clone()).collect();
    let named: Vec<(&str, &Tensor)> = names.iter().map(String::as_str).zip(&builder.inputs).collect();
    let outputs = session.run(&named).unwrap_or_else(|e| panic!("{e}"));
    outputs.iter().map(|output| output.to_tensor().unwrap_or_else(|e| panic!("{e}"))).collect()
}

const WORDS: [DType; 5] = [DType::I32, DType::U32, DType::I64, DType::U64, DType::F32];

#[test]
fn copies_of_any_word_keep_its_bits() {
    for dtype in WORDS {
        let builder = graph(dtype, |builder, x| {
            let turned = builder.op(Op::Transpose(vec![1, 0]), &[x]);
            let joined = builder.op(Op::Concat { axis: 0 }, &[x, x]);
            let [starts, ends, axes, steps] =
                [&[1], &[6], &[1], &[2]].map(|list: &[i64; 1]| builder.ints(list));
            let part = builder.op(Op::Slice, &[joined, starts, ends, axes, steps]);
            let rows = builder.ints(&[3, 0, -1]);
            let gathered = builder.op(Op::Gather { axis: 0 }, &[x, rows]);
            let chosen = builder.ints(&[1]);
            let table = builder.constant(&alike(builder.inputs[0].dtype(), &[5, 3]));
            let weight = builder.op(Op::Gather { axis: 1 }, &[table, chosen]);
            // What lies where it came from, and a weight as it is.
            vec![turned, joined, part, gathered, weight, x, table]
        });
        check(&format!("copies of {dtype}"), &builder, 0.0);
        let expected = eval(&builder.graph, &builder.inputs, &NoFiles).expect("the reference");
        for options in ways() {
            let outputs = session(&builder, program(&builder.graph, options));
            for (output, expected) in outputs.iter().zip(&expected) {
                assert_eq!(output.shape(), expected.shape());
                assert_eq!(output.bytes(), alike(dtype, expected.shape()).bytes(), "{dtype}");
            }
        }
    }
}

#[test]
fn arithmetic_on_any_word_gives_what_the_reference_gives() {
    for dtype in WORDS {
        let builder = graph(dtype, |builder, x| {
            let weight = builder.constant(&alike(builder.inputs[0].dtype(), &[6]));
            let sum = builder.op(Op::Binary(BinaryOp::Add), &[x, weight]);
            let most = builder.op(Op::Binary(BinaryOp::Max), &[x, weight]);
            let difference = builder.op(Op::Binary(BinaryOp::Sub), &[most, sum]);
            let same = builder.op(Op::Binary(BinaryOp::Equal), &[x, weight]);
            let rest = builder.op(Op::Unary(UnaryOp::Relu), &[x]);
            let chosen = builder.op(Op::Select, &[same, rest, x]);
            let axes = builder.ints(&[1]);
            let least = builder.op(Op::Reduce(ReduceOp::Min, Keep::Dims), &[x, axes]);
            vec![sum, most, difference, same, chosen, least]
        });
        check(&format!("arithmetic on {dtype}"), &builder, 0.0);
        let expected = eval(&builder.graph, &builder.inputs, &NoFiles).expect("the reference");
        let outputs = session(&builder, program(&builder.graph, Options::default()));
        for (output, expected) in outputs.iter().zip(&expected) {
            common::compare("session", output, expected, 0.0);
        }
    }
}

#[test]
fn products_of_any_word_are_nan() {
    let builder = graph(DType::F32, |builder, x| {
        let weight = builder.constant(&alike(DType::F32, &[6, 5]));
        let product = builder.op(Op::MatMul, &[x, weight]);
        let soft = builder.op(Op::Softmax { axis: 1, log: false }, &[x]);
        vec![product, soft]
    });
    check("products", &builder, 0.0);
}

/// Whatever bytes that nothing has written happen to hold.
#[test]
fn what_nothing_has_written_is_refused_whatever_it_holds() {
    let builder = graph(DType::I32, |builder, x| {
        let a = builder.op(Op::Binary(BinaryOp::Add), &[x, x]);
        let b = builder.op(Op::Transpose(vec![1, 0]), &[a]);
        vec![builder.op(Op::Unary(UnaryOp::Neg), &[b])]
    });
    let inputs: Vec<&Tensor> = builder.inputs.iter().collect();
    for options in [Options { fuse: false, in_place: false, ..Options::default() }, Options::default()] {
        let program = program(&builder.graph, options);
        let count = program.run.dispatches.len();
        for skipped in 0..count {
            let mut machine = Machine::new(program.clone());
            machine.load(&Store::open("", &builder.graph).expect("no files")).expect("weights");
            machine.begin(&inputs).expect("inputs");
            let windows = &program.run.dispatches[skipped].windows;
            let result = windows.iter().find(|window| window.access != Access::Read).expect("a result");
            for index in 0..skipped {
                machine.step(Phase::Run, index).expect("sound");
            }
            // Plausible numbers, as an earlier run would leave them on a device.
            let all = (result.offset / 4) as usize..((result.offset + result.len) / 4) as usize;
            machine.arena_mut(Arena::Activations)[all].fill(7);
            let read = (skipped + 1..count)
                .try_for_each(|index| machine.step(Phase::Run, index))
                .and_then(|()| machine.output(&program.outputs[0]).map(drop));
            assert!(
                matches!(read, Err(HostError::Unwritten { byte, .. }) if byte == result.offset),
                "without dispatch {skipped}: {read:?}"
            );
        }
    }
}

/// Inputs that nothing reads, inputs that are outputs, and data alike to dead bytes in every live range.
#[test]
fn live_ranges_are_never_taken_for_dead_ones() {
    for guard in [0, 64] {
        for (unread, read) in [(true, true), (true, false), (false, true)] {
            let mut builder = Builder::new();
            let x = builder.input(alike(DType::I32, &[4, 6]));
            if unread {
                builder.input(Tensor::from_ints(DType::I32, vec![9], &[5; 9]).expect("nine"));
            }
            if read {
                let y = builder.op(Op::Unary(UnaryOp::Neg), &[x]);
                let z = builder.op(Op::Transpose(vec![1, 0]), &[y]);
                builder.output(z);
            }
            builder.output(x);
            let expected = eval(&builder.graph, &builder.inputs, &NoFiles).expect("the reference");
            let inputs: Vec<&Tensor> = builder.inputs.iter().collect();
            for own in ways() {
                let program = program(&builder.graph, Options { guard, ..own });
                let mut machine = machine(&builder.graph, program);
                for _ in 0..2 {
                    machine.run(&inputs).unwrap_or_else(|e| panic!("{guard} {unread} {read}: {e}"));
                    assert_eq!(common::outputs(&machine), expected, "{guard} {unread} {read}");
                }
            }
        }
    }
}
