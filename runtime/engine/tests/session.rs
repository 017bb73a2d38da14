//! Sessions: results, memory, what they refuse.

mod common;

use std::sync::Arc;
use std::time::Duration;

use bayplan_compile::Arena;
use bayplan_engine::{Device, EngineError, Session, SessionOptions};
use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_graph::{DType, Op, Tensor};
use common::{Memory, Model, agree, funnel, long, numbers, open, slow};

/// Runs a model once and compares all outputs with the reference evaluation.
fn check(device: &Device, model: &Model, inputs: &[Tensor]) {
    let mut session = model.session(device, SessionOptions::default());
    let names: Vec<String> = session.program().inputs.iter().map(|port| port.name.clone()).collect();
    let named: Vec<(&str, &Tensor)> = names.iter().map(String::as_str).zip(inputs).collect();
    // Twice: nothing of the first run may show in the second.
    for _ in 0..2 {
        let outputs = session.run(&named).expect("a run");
        let expected = model.reference(inputs);
        assert_eq!(outputs.iter().len(), expected.len());
        for (output, expected) in outputs.iter().zip(&expected) {
            let actual = output.to_tensor().expect("an output");
            assert!(agree(&actual, expected), "{}: {:?}", output.name(), actual.shape());
        }
    }
}

#[test]
fn results_in_one_memory_and_through_staging() {
    for separate in [false, true] {
        let device = open(separate);
        check(&device, &funnel(&[64, 32, 16]), &[numbers(&[8, 64])]);
    }
}

#[test]
fn device_memory_is_staged_only_where_it_must_be() {
    let buffers = |separate| {
        let device = open(separate);
        let before = device.allocations().allocations;
        let session = funnel(&[64, 32, 16]).session(&device, SessionOptions::default());
        let made = device.allocations().allocations - before;
        drop(session);
        assert_eq!(device.allocations().live_bytes, 0, "a session frees what it allocated");
        made
    };
    // Activations, weights, what rearranges them while loading, parameters; two staging buffers, and two
    // for as long as weights are loaded.
    assert_eq!((buffers(false), buffers(true)), (4, 8));
}

#[test]
fn large_weights_and_tensors_go_in_chunks() {
    // 12 MB of weights and 9 MB of input, more than one chunk of 8 MiB each; the u8 weight is widened to four bytes.
    let (rows, columns) = (1500, 2000);
    let mut model = Model::new("large");
    let x = model.input("x", DType::F32, &[rows, 1500]);
    let w = model.weight("w", &numbers(&[1500, columns]));
    let bytes: Vec<i128> = (0..rows * columns).map(|i| (i % 251) as i128).collect();
    let small = Tensor::from_ints(DType::U8, vec![rows, columns], &bytes).expect("bytes");
    let narrow = model.weight("narrow", &small);
    let wide = model.node("wide", Op::Cast(DType::F32), &[narrow]);
    let y = model.matmul("y", x, w);
    let z = model.add("z", y, wide);
    let model = model.outputs(&[z]);
    let input = numbers(&[rows, 1500]);
    let expected = model.reference(std::slice::from_ref(&input));
    for separate in [false, true] {
        let mut session = model.session(&open(separate), SessionOptions::default());
        let outputs = session.run(&[("x", &input)]).expect("a run");
        let actual = outputs.get("z").expect("z").to_tensor().expect("an output");
        assert!(agree(&actual, &expected[0]), "separate: {separate}");
    }
}

#[test]
fn element_types_come_and_go_as_they_are() {
    let types =
        [DType::Bool, DType::U8, DType::I8, DType::U16, DType::I16, DType::I32, DType::U32, DType::I64];
    for separate in [false, true] {
        let device = open(separate);
        for dtype in types {
            let mut model = Model::new("copy");
            let x = model.input("x", dtype, &[3, 5]);
            let y = model.node("y", Op::Transpose(vec![1, 0]), &[x]);
            let model = model.outputs(&[y]);
            let limit = if dtype == DType::Bool { 2 } else { 120 };
            let numbers: Vec<i128> = (0..15).map(|i| (i * 17) % limit).collect();
            let input = Tensor::from_ints(dtype, vec![3, 5], &numbers).expect("numbers");
            let mut session = model.session(&device, SessionOptions::default());
            let outputs = session.run(&[("x", &input)]).expect("a run");
            let output = outputs.get("y").expect("y");
            assert_eq!((output.dtype(), output.shape()), (dtype, [5, 3].as_slice()));
            assert_eq!(output.to_tensor().expect("y"), model.reference(&[input])[0], "{dtype}");
        }
    }
}

#[test]
fn tensors_without_elements() {
    for separate in [false, true] {
        let device = open(separate);
        let mut model = Model::new("empty");
        let x = model.input("x", DType::F32, &[0, 4]);
        let full = model.input("full", DType::F32, &[2, 4]);
        let y = model.exp("y", x);
        let z = model.exp("z", full);
        check(&device, &model.outputs(&[y, z]), &[numbers(&[0, 4]), numbers(&[2, 4])]);

        let mut model = Model::new("nothing");
        let x = model.input("x", DType::F32, &[0]);
        let y = model.node("y", Op::Unary(UnaryOp::Neg), &[x]);
        check(&device, &model.outputs(&[y]), &[numbers(&[0])]);
    }
}

#[test]
fn an_input_that_is_an_output() {
    for separate in [false, true] {
        let mut model = Model::new("same");
        let x = model.input("x", DType::F32, &[4]);
        check(&open(separate), &model.outputs(&[x]), &[numbers(&[4])]);
    }
}

#[test]
fn no_run_allocates_device_memory() {
    for separate in [false, true] {
        let device = open(separate);
        let before = device.allocations();
        let mut session = funnel(&[64, 32, 16]).session(&device, SessionOptions::default());
        let built = device.allocations();
        assert!(built.allocations > before.allocations, "allocations are counted");
        let input = numbers(&[8, 64]);
        for _ in 0..1000 {
            session.run(&[("x", &input)]).expect("a run").get("h1").expect("h1").to_tensor().expect("a copy");
        }
        assert_eq!(device.allocations(), built);
    }
}

#[test]
fn wrong_inputs_are_refused_and_nothing_is_written() {
    let device = open(false);
    let mut model = Model::new("sum");
    let a = model.input("a", DType::F32, &[2, 3]);
    let b = model.input("b", DType::F32, &[2, 3]);
    let y = model.node("y", Op::Binary(BinaryOp::Mul), &[a, b]);
    let model = model.outputs(&[y]);
    let mut session = model.session(&device, SessionOptions::default());
    let (good, other) = (numbers(&[2, 3]), numbers(&[3, 2]));
    let ints = Tensor::from_i64(vec![2, 3], &[1; 6]).expect("ints");
    let mut check = |inputs: &[(&str, &Tensor)], expect: &str| {
        let runs = session.runs();
        let e = session.run(inputs).err().expect("a refusal").to_string();
        assert_eq!(e, expect);
        assert_eq!(session.runs(), runs, "a refused run is none");
    };
    check(&[("a", &good)], "input b is missing; it must be f32[2,3]");
    check(&[], "input a is missing; it must be f32[2,3]");
    check(&[("a", &good), ("b", &other)], "input b must be f32[2,3], but is f32[3,2]");
    check(&[("a", &ints), ("b", &good)], "input a must be f32[2,3], but is i64[2,3]");
    check(
        &[("a", &good), ("b", &good), ("c\u{1b}", &good)],
        "the model has no input c\\x1b; its inputs are a, b",
    );
    check(&[("a", &good), ("b", &good), ("a", &good)], "input a is given more than once; give it once");
    let outputs = session.run(&[("b", &good), ("a", &good)]).expect("in any order");
    let y = outputs.get("y").expect("y").to_tensor().expect("a copy");
    assert!(agree(&y, &model.reference(&[good.clone(), good])[0]));
    assert!(outputs.get("z").is_none());
}

#[test]
fn programs_that_cannot_run_here_are_refused() {
    let device = open(false);
    let model = funnel(&[64, 32, 16]);
    let check = |change: &dyn Fn(&mut bayplan_compile::Program), expect: &[&str]| {
        let mut program = model.compile(&device);
        change(&mut program);
        let before = device.allocations();
        let e = Session::new(&device, program, &model.store(), SessionOptions::default());
        let e = e.err().expect("a refusal").to_string();
        assert!(expect.iter().all(|part| e.contains(part)), "{e}");
        assert_eq!(device.allocations(), before, "nothing is allocated");
    };
    check(&|p| p.target.name = "another".into(), &["compiled for another, not for", "compile it again"]);
    check(&|p| p.target.max_shared_memory += 1, &["as it is now; compile it again"]);
    let endless = |p: &mut bayplan_compile::Program| {
        let most = p.target.max_allocation.min(1 << 40);
        let most = most - most % p.target.storage_alignment;
        p.blocks[Arena::Weights.index()] = (1..=4096).map(|block| block * most).collect();
        p.arena_bytes[Arena::Weights.index()] = 4096 * most;
    };
    check(&endless, &["needs", "of device memory", "are free in its heap"]);
    check(&|p| p.run.dispatches[0].windows[0].offset += 16, &["the program funnel is not sound", "h0"]);
    check(&|p| p.run.dispatches[1].barrier_before = false, &["not sound"]);
}

#[test]
fn weights_that_cannot_be_read_are_named_with_their_file() {
    for separate in [false, true] {
        let device = open(separate);
        let model = funnel(&[64, 32, 16]);
        let sound = model.store_of(Arc::new(Memory(vec![0; 1 << 20])));
        assert!(Session::new(&device, model.compile(&device), &sound, SessionOptions::default()).is_ok());
        let broken = model.store_of(Arc::new(Broken));
        let e = Session::new(&device, model.compile(&device), &broken, SessionOptions::default());
        let e = e.err().expect("a refusal");
        assert!(matches!(&e, EngineError::Weights { name, .. } if name == "w0"), "{e}");
        let text = e.to_string();
        assert!(text.contains("w0") && text.contains("weights.bin") && text.contains("bad sector"), "{text}");
        drop(e);
        assert_eq!(device.allocations().live_bytes, 0, "what was allocated is freed");
    }
}

/// A file that cannot be read.
struct Broken;

impl bayplan_graph::ByteSource for Broken {
    fn len(&self) -> u64 {
        1 << 20
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), bayplan_graph::ReadError> {
        Err(bayplan_graph::ReadError { offset, len: buf.len() as u64, reason: "bad sector".into() })
    }
}

#[test]
fn a_run_that_takes_too_long_is_waited_for_by_the_next() {
    for separate in [false, true] {
        let options = SessionOptions { timeout: Some(Duration::from_millis(1)), ..SessionOptions::default() };
        let device = open(separate);
        let mut session = slow(long(&device, 512) / 4, 512).session(&device, options);
        let input = numbers(&[512, 512]);
        let e = session.run(&[("x", &input)]).err().expect("the limit is far too low");
        assert!(matches!(e, EngineError::Timeout { .. }), "{e}");
        assert!(e.to_string().contains("within 1.00 ms"), "{e}");
        // The device still computes: the next run neither disturbs that one nor returns its results.
        let e = session.run(&[("x", &input)]).err().expect("still too low");
        assert!(matches!(e, EngineError::Timeout { .. }), "{e}");
        drop(session);
        assert_eq!(device.allocations().live_bytes, 0, "the session waited for the run");
    }
}

fn assert_send<T: Send>() {}

#[test]
fn sessions_move_between_threads() {
    assert_send::<Session>();
    assert_send::<Device>();
    let device = open(false);
    let model = funnel(&[64, 32, 16]);
    let input = numbers(&[8, 64]);
    let expected = model.reference(std::slice::from_ref(&input));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let mut session = model.session(&device, SessionOptions::default());
            let (input, expected) = (input.clone(), expected[0].clone());
            std::thread::spawn(move || {
                for _ in 0..50 {
                    let outputs = session.run(&[("x", &input)]).expect("a run");
                    assert!(agree(&outputs.get("h1").expect("h1").to_tensor().expect("a copy"), &expected));
                }
                session
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().expect("the thread ran").runs(), 50);
    }
    assert_eq!(device.allocations().live_bytes, 0);
}
