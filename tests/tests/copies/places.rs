//! Parts of what is made, and results that lie in the caller's buffers: everybody reads and writes in place.

use bayplan::{
    Arena, Bindings, DeviceTensor, FunctionId, Input, InputPolicy, Options, OutputArena, OutputPolicy,
    Policies, Program, Session, SessionOptions, Tensor,
};
use bayplan_compile::compile;
use bayplan_graph::op::{UnaryOp, ViewOp};
use bayplan_graph::{ByteRange, NoFiles, Op, eval};
use bayplan_tests::backend::Backend;
use bayplan_tests::graphs::Builder;
use bayplan_tests::on_every_backend;
use bayplan_weights::Store;

use crate::{check, close, exp, product, reshaped, sliced, softmax, writers};

/// Runs a graph whose inputs and outputs lie where their policies say; what its program is. Nothing may be copied.
fn placed(backend: Backend, what: &str, b: &Builder, inputs: InputPolicy, outputs: OutputPolicy) -> Program {
    let device = backend.device();
    let expected = eval(&b.graph, &b.inputs, &NoFiles).expect("the reference evaluation");
    let read = |_: &ByteRange| Err("no file".to_string());
    let options =
        Options { inputs: Policies::all(inputs), outputs: Policies::all(outputs), ..Options::default() };
    let program = compile(&b.graph, &Bindings::default(), device.target(), options, &read)
        .unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(program.copies, [], "{what}");
    assert!(program.input_policies().all(|policy| policy == inputs), "{what}");
    assert!(program.output_policies.iter().all(|policy| *policy == outputs), "{what}");
    let store = Store::open("", &b.graph).expect("no files");
    let arena = OutputArena { bytes: 1 << 16, grow: false };
    let options = SessionOptions { outputs: arena, ..SessionOptions::default() };
    let mut session =
        Session::new(&device, program.clone(), &store, options).unwrap_or_else(|e| panic!("{what}: {e}"));
    let buffer = |tensor: &Tensor| device.tensor(tensor.dtype(), tensor.shape()).expect("a buffer");
    let mut given: Vec<DeviceTensor> = b.inputs.iter().map(buffer).collect();
    given.iter_mut().zip(&b.inputs).for_each(|(own, tensor)| own.write(tensor).expect("as large"));
    let mut taken: Vec<DeviceTensor> = expected.iter().map(buffer).collect();
    for _ in 0..2 {
        let names = program.inputs.iter().map(|port| &*port.name);
        let from: Vec<(&str, Input<'_>)> = names.zip(given.iter().map(Input::from)).collect();
        let names = program.outputs.iter().map(|port| &*port.name);
        let mut into: Vec<(&str, &mut DeviceTensor)> = match outputs {
            OutputPolicy::Into => names.zip(taken.iter_mut()).collect(),
            OutputPolicy::Borrow | OutputPolicy::Own => Vec::new(),
        };
        let lent =
            session.call(FunctionId::default(), &from, &mut into).unwrap_or_else(|e| panic!("{what}: {e}"));
        let lent: Vec<Tensor> = lent.iter().map(|output| output.to_tensor().expect("an output")).collect();
        let made = match outputs {
            OutputPolicy::Into => taken.iter().map(|own| own.to_tensor().expect("a copy")).collect(),
            OutputPolicy::Borrow | OutputPolicy::Own => lent,
        };
        assert_eq!(made.len(), expected.len(), "{what}");
        made.iter().zip(&expected).for_each(|(made, expected)| close(what, made, expected));
    }
    for (own, tensor) in given.iter().zip(&b.inputs) {
        assert_eq!(&own.to_tensor().expect("a copy"), tensor, "{what}: nobody writes the caller's inputs");
    }
    program
}

/// The operators that make an output.
fn makers(program: &Program, output: usize) -> Vec<&str> {
    writers(program, output).map(|dispatch| &*dispatch.source_op).collect()
}

on_every_backend! {
    /// Reshapes of every kind between a maker and an output are no work, wherever the output lies: its maker writes there.
    views_cost_nothing => |on| {
        let mut b = Builder::new("views");
        let y = product(&mut b, &[4], 8, 12);
        let y = reshaped(&mut b, y, &[4, 1, 3, 4]);
        let axes = b.ints(&[1]);
        let y = b.op(Op::View(ViewOp::Squeeze), &[y, axes]);
        let axes = b.ints(&[0]);
        let y = b.op(Op::View(ViewOp::Unsqueeze), &[y, axes]);
        let y = b.op(Op::View(ViewOp::Flatten(2)), &[y]);
        b.output(y);
        for outputs in [OutputPolicy::Borrow, OutputPolicy::Own, OutputPolicy::Into] {
            let program = placed(on, "views", &b, InputPolicy::Caller, outputs);
            assert_eq!(program.run.dispatches.len(), 1);
            assert_eq!(makers(&program, 0), ["MatMul"]);
        }
    };
    /// What the caller's buffer shall hold is written there: through views, turned, joined, and from the caller's own.
    buffers_of_the_caller => |on| {
        let mut b = Builder::new("caller");
        let y = product(&mut b, &[2, 3, 4], 8, 6);
        let y = b.op(Op::Transpose(vec![0, 2, 1, 3]), &[y]);
        let y = reshaped(&mut b, y, &[8, 18]);
        b.output(y);
        let (one, x) = (product(&mut b, &[5], 8, 6), b.floats(&[5, 10]));
        let other = exp(&mut b, x);
        let joined = b.op(Op::Concat { axis: 1 }, &[one, other]);
        let joined = reshaped(&mut b, joined, &[2, 5, 8]);
        b.output(joined);
        for outputs in [OutputPolicy::Borrow, OutputPolicy::Own, OutputPolicy::Into] {
            let program = placed(on, "buffers of the caller", &b, InputPolicy::Caller, outputs);
            assert_eq!(makers(&program, 0), ["MatMul"]);
            assert_eq!(makers(&program, 1).len(), 2);
            if outputs != OutputPolicy::Borrow {
                assert_eq!(program.arena_bytes[Arena::Activations.index()], 0, "everything lies elsewhere");
            }
        }
    };
    /// Parts of what is made are read where its maker put them, whether or not they lie in a row.
    split_parents => |on| {
        for (axis, rows, columns) in [(0, 12, 64), (1, 4, 36)] {
            let mut b = Builder::new("split");
            let whole = product(&mut b, &[rows], 8, columns);
            let whole = b.op(Op::Unary(UnaryOp::Tanh), &[whole]);
            let part = if axis == 0 { rows } else { columns } / 3;
            let sizes = b.ints(&[part as i64; 3]);
            let parts = b.try_ops(Op::Split { axis }, &[whole, sizes], 3).expect("a split");
            let right = b.floats(&[b.shape(parts[0])[1], 5]);
            let first = b.op(Op::MatMul, &[parts[0], right]);
            let second = exp(&mut b, parts[1]);
            b.output(first);
            b.output(second);
            // A softmax reads rows one after the other.
            let third = if axis == 0 { softmax(&mut b, parts[2]) } else { exp(&mut b, parts[2]) };
            b.output(third);
            assert_eq!(check(on, "split parents", &b), [0; 0]);
            placed(on, "split parents", &b, InputPolicy::Caller, OutputPolicy::Into);
        }
    };
    /// The same of slices, forwards, with steps, and backwards.
    slice_parents => |on| {
        let mut b = Builder::new("slice");
        let whole = product(&mut b, &[12], 8, 64);
        let rows = sliced(&mut b, whole, 0, 4..8, 1);
        let rows = softmax(&mut b, rows);
        b.output(rows);
        let columns = sliced(&mut b, whole, 1, 3..19, 1);
        let w = b.floats(&[16, 4]);
        let columns = exp(&mut b, columns);
        let columns = b.op(Op::MatMul, &[columns, w]);
        b.output(columns);
        let every = sliced(&mut b, whole, 1, 1..64, 3);
        let every = exp(&mut b, every);
        b.output(every);
        let end = reshaped(&mut b, whole, &[768]);
        let end = sliced(&mut b, end, 0, 512..768, 1);
        let end = reshaped(&mut b, end, &[2, 128]);
        let end = softmax(&mut b, end);
        b.output(end);
        assert_eq!(check(on, "slice parents", &b), [0; 0]);
        placed(on, "slice parents", &b, InputPolicy::Caller, OutputPolicy::Into);
    };
}
