//! What cannot be compiled is refused by name, all of it at once, and nothing panics.

mod common;

use bayplan_compile::{CompileError, Options, compile};
use bayplan_expr::{Bindings, Expr};
use bayplan_graph::op::{BinaryOp, F32Bits, Op, PadMode, Pads, PoolKind, UnaryOp, Window};
use bayplan_graph::{ByteRange, ConstData, DType, FileId, FileRef, Graph, Tensor, ValueSource};
use bayplan_shaders::{Features, Target};

use common::Builder;

const TANH: Op = Op::Unary(UnaryOp::Tanh);

fn error(graph: &Graph, dims: &[(&str, i64)], target: &Target) -> CompileError {
    let dims: Bindings = dims.iter().copied().collect();
    let read = |_: &ByteRange| Err("the disk is gone".to_string());
    compile(graph, &dims, target, Options::default(), &read).expect_err("it must be refused")
}

fn check(words: &[&str], target: &Target, build: impl Fn(&mut Builder)) {
    let mut builder = Builder::new("refused");
    build(&mut builder);
    let message = error(&builder.graph, &[], target).to_string();
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}

#[test]
fn operators_and_types() {
    let target = Target::generic();
    let features = Features { int64: true, float64: true, ..target.features };
    let doubles = Target { features, ..target.clone() };
    let normalize = Op::Normalize { axis: 1, epsilon: F32Bits::new(1e-5), center: true };
    check(&["n0 (LayerNormalize)", "32 bits only, not for f64"], &doubles, |b| {
        let x = b.input(Tensor::zeros(DType::F64, vec![2, 2]).expect("small"));
        let y = b.op(normalize.clone(), &[x]);
        b.output(y);
    });
    check(&["n0 (MaxPool)", "step_x = 8589934592 is beyond 1073741824"], &target, |b| {
        let x = b.floats(&[1, 1, 4]);
        let window = Window {
            kernel: vec![2],
            strides: vec![1 << 33],
            dilations: vec![1],
            pads: Pads::Explicit(vec![0; 2]),
            ceil: false,
        };
        let y = b.op(Op::Pool(PoolKind::Max, window), &[x]);
        b.output(y);
    });
    check(&["n0 (Pad)", "must be one element"], &target, |b| {
        let (x, value) = (b.floats(&[4]), b.floats(&[2]));
        let pads = b.ints(&[1, 1]);
        let y = b.op(Op::Pad(PadMode::Constant), &[x, pads, value]);
        b.output(y);
    });
    check(&["n0 (LayerN", "n1 (LayerN", "unsupported: LayerNormalize"], &doubles, |b| {
        for _ in 0..2 {
            let x = b.input(Tensor::zeros(DType::F64, vec![2, 2]).expect("small"));
            let y = b.op(normalize.clone(), &[x]);
            b.output(y);
        }
    });
    let narrow = Target { features: Default::default(), ..Target::generic() };
    let mut b = Builder::new("wide integers");
    let x = b.input(Tensor::zeros(DType::I64, vec![2]).expect("small"));
    let y = b.op(Op::Unary(UnaryOp::Neg), &[x]);
    b.output(y);
    let made = common::program(&b.graph, &narrow, Options::default());
    made.expect("integers of 64 bits need no ability of the device");
    let mut b = Builder::new("wide floats");
    let x = b.input(Tensor::zeros(DType::F64, vec![2]).expect("small"));
    let y = b.op(TANH, &[x]);
    b.output(y);
    let made = common::program(&b.graph, &narrow, Options::default());
    let hosted = made.expect("floats of 64 bits are the host's where the device has none").host_nodes();
    assert!(hosted.len() == 1 && hosted[0].why.contains("shaderFloat64"), "{hosted:?}");
}

#[test]
fn sizes() {
    let target = Target::generic();
    let far = 1i64 << 40;
    for shape in [[1 << 20, 1 << 20], [far, far], [far, i64::MAX / far]] {
        check(&["more than 4294967295 elements"], &target, |b| {
            let x = b.floats(&[1, 1]);
            let shape = b.ints(&shape);
            let y = b.op(Op::Expand, &[x, shape]);
            let y = b.op(TANH, &[y]);
            b.output(y);
        });
    }
    // Without elements, extents have no limit.
    let mut b = Builder::new("nothing");
    let (x, w) = (b.floats(&[1, 4, 3]), b.floats(&[1, 3, 0]));
    let wide = b.ints(&[far, 3, 0]);
    let w = b.op(Op::Expand, &[w, wide]);
    let y = b.op(Op::MatMul, &[x, w]);
    let y = b.op(Op::Unary(UnaryOp::Tanh), &[y]);
    b.output(y);
    let program = common::program(&b.graph, &target, Options::default()).expect("nothing is no problem");
    assert_eq!((program.run.dispatches.len(), program.outputs[0].shape.clone()), (0, vec![far as u64, 4, 0]));
    let small = Target { max_storage_range: 4096, ..Target::generic() };
    check(&["n0 (Softmax)", "8000 bytes of v0", "4096", "maxStorageBufferRange"], &small, |b| {
        let x = b.floats(&[2000]);
        let y = b.op(Op::Softmax { axis: 0, log: false }, &[x]);
        b.output(y);
    });
    let little = Target { max_allocation: 2048, ..Target::generic() };
    let words = ["v0 (tensor)", "4000 bytes", "at most 2048 bytes", "maxMemoryAllocationSize"];
    check(&words, &little, |b| {
        let x = b.floats(&[1000]);
        let y = b.floats(&[1000]);
        let z = b.op(Op::Binary(BinaryOp::Add), &[x, y]);
        b.output(z);
    });
    check(&["(Tanh)", "10 dimensions that do not merge"], &target, |b| {
        let x = b.floats(&[2; 10]);
        let t = b.op(Op::Transpose((0..10).rev().collect()), &[x]);
        let y = b.op(TANH, &[t]);
        b.output(y);
    });
}

#[test]
fn symbols_and_files() {
    let target = Target::generic();
    let mut b = Builder::new("symbols");
    let x = b.floats(&[1]);
    b.graph.values[x.0 as usize].ty.as_mut().expect("typed").shape = vec![Expr::symbol("n")];
    b.graph.outputs.push(x);
    b.graph.infer().expect("types");
    let message = |dims: &[(&str, i64)]| error(&b.graph, dims, &target).to_string();
    assert!(message(&[]).contains("`n`"), "{}", message(&[]));
    assert!(message(&[("n", -1)]).contains("negative") || message(&[("n", -1)]).contains("must be"));
    assert!(message(&[("n", 1), ("m", 1)]).contains("`m`"));
    assert!(message(&[("n", i64::MAX)]).contains("more than"), "{}", message(&[("n", i64::MAX)]));

    let mut b = Builder::new("files");
    let (x, c) = (b.floats(&[2]), b.constant(&Tensor::zeros(DType::F32, vec![2]).expect("small")));
    let range = ByteRange { file: FileId(0), offset: 0, len: 8 };
    b.graph.values[c.0 as usize].source = ValueSource::Constant(ConstData::Range(range));
    b.graph.files.push(FileRef::Model);
    let y = b.op(Op::Binary(BinaryOp::Add), &[x, c]);
    b.output(y);
    let error = error(&b.graph, &[], &target);
    assert!(matches!(&error, CompileError::Constant { name, .. } if name == "v1"), "{error:?}");
    assert!(error.to_string().contains("the disk is gone"));
}
