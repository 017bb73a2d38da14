//! What is refused is refused by name, before anything is written, and the session works on.

use bayplan::{
    CompileError, DType, Device, DeviceTensor, Error, InputError, Options, OutputError, OutputPolicy,
    Policies, Session, Tensor,
};
use bayplan_tests::backend::Backend;
use bayplan_tests::on_every_backend;

use crate::model::{arena, each_its_own, expected, opened, same, session, three, x};

/// A session, and a buffer that holds what its first run wrote: neither may change by what is refused.
struct Bench {
    session: Session,
    mine: DeviceTensor,
    first: [Vec<f32>; 3],
    runs: u64,
}

impl Bench {
    fn new(device: &Device, output_bytes: u64) -> Self {
        let session = session(device, &each_its_own(), arena(output_bytes));
        let mine = device.tensor(DType::F32, &[20, 16]).expect("a buffer");
        let mut bench = Self { session, mine, first: Default::default(), runs: 0 };
        bench.works();
        bench
    }

    /// Runs, and demands what it makes.
    fn works(&mut self) {
        let x = x(10, 1);
        self.first = expected(&x);
        let outputs = self.session.run_into(&[("x", &x)], &mut [("mine", &mut self.mine)]).expect("a run");
        for (output, expected) in outputs.iter().zip(&self.first) {
            same(output.name(), output.to_tensor(), expected);
        }
        drop(outputs);
        self.runs = self.session.runs();
    }

    /// Demands that nothing was written, submitted or held by what was refused, and that the next run is right.
    fn unchanged(&mut self, refused: Option<Error>) -> Error {
        let refused = refused.expect("a refusal");
        assert_eq!(self.session.runs(), self.runs, "{refused}");
        assert_eq!(self.mine.shape(), [10, 16], "{refused}");
        same("the caller's buffer", self.mine.to_tensor(), &self.first[2]);
        self.works();
        refused
    }

    /// Refused with these inputs.
    fn inputs(&mut self, inputs: &[(&str, &Tensor)]) -> InputError {
        let error = self.session.run_into(inputs, &mut [("mine", &mut self.mine)]).err();
        match self.unchanged(error) {
            Error::Input(error) => error,
            other => panic!("{other:?}"),
        }
    }

    /// Refused with these buffers.
    fn buffers(&mut self, into: &mut [(&str, &mut DeviceTensor)]) -> OutputError {
        let error = self.session.run_into(&[("x", &x(11, 2))], into).err();
        match self.unchanged(error) {
            Error::Output(error) => error,
            other => panic!("{other:?}"),
        }
    }
}

fn inputs(backend: Backend) {
    let mut bench = Bench::new(&backend.device(), 4096);
    match bench.inputs(&[("x", &x(21, 0))]) {
        InputError::BoundExceeded { dim, value: 21, bound: 20, .. } => assert_eq!(dim, "n"),
        other => panic!("{other:?}"),
    }
    let wide = Tensor::from_f32(vec![3, 9], &[0.0; 27]).expect("numbers");
    match bench.inputs(&[("x", &wide)]) {
        InputError::Mismatch { name, axis: 1, expected: Some(8), actual: 9, .. } => assert_eq!(name, "x"),
        other => panic!("{other:?}"),
    }
    let whole = Tensor::zeros(DType::I32, vec![3, 8]).expect("numbers");
    assert!(matches!(bench.inputs(&[("x", &whole)]), InputError::Wrong { name, .. } if name == "x"));
    assert!(matches!(bench.inputs(&[]), InputError::Missing { name, .. } if name == "x"));
    let good = x(3, 0);
    let two = bench.inputs(&[("x", &good), ("y", &good)]);
    assert!(matches!(two, InputError::Unknown { name, .. } if name == "y"));
    let twice = bench.inputs(&[("x", &good), ("x", &good)]);
    assert!(matches!(twice, InputError::Repeated { name } if name == "x"));
}

fn buffers(backend: Backend) {
    let device = backend.device();
    let mut bench = Bench::new(&device, 4096);
    let new = |device: &Device, dtype, shape: &[usize]| device.tensor(dtype, shape).expect("a buffer");
    let name = || "mine".to_string();
    let mut good = new(&device, DType::F32, &[20, 16]);
    let mut second = new(&device, DType::F32, &[20, 16]);
    assert_eq!(bench.buffers(&mut []), OutputError::IntoMissing { name: name() });
    let twice = bench.buffers(&mut [("mine", &mut good), ("mine", &mut second)]);
    assert_eq!(twice, OutputError::IntoRepeated { name: name() });
    let mut small = new(&device, DType::F32, &[10, 16]);
    let too_small = OutputError::IntoTooSmall { name: name(), need: 11 * 64, bytes: 10 * 64 };
    assert_eq!(bench.buffers(&mut [("mine", &mut small)]), too_small);
    let mut whole = new(&device, DType::I32, &[20, 16]);
    let (expected, actual) = (DType::F32, DType::I32);
    let wrong = OutputError::IntoWrong { name: name(), expected, actual };
    assert_eq!(bench.buffers(&mut [("mine", &mut whole)]), wrong);
    let not_into = bench.buffers(&mut [("kept", &mut good)]);
    assert_eq!(not_into, OutputError::NotInto { name: "kept".into() });
    let outputs = ["lent", "kept", "mine"].map(String::from).to_vec();
    let unknown = bench.buffers(&mut [("z", &mut good)]);
    assert_eq!(unknown, OutputError::UnknownOutput { name: "z".into(), outputs });
    // The same driver opened once more is another device; so is the host for a driver, and a driver for the host.
    let other = if backend == Backend::Host { Backend::Lavapipe } else { backend };
    for other in [other, Backend::Host] {
        if (backend, other) != (Backend::Host, Backend::Host) {
            let mut elsewhere = new(&other.device(), DType::F32, &[20, 16]);
            let refused = bench.buffers(&mut [("mine", &mut elsewhere)]);
            assert_eq!(refused, OutputError::IntoElsewhere { name: name() }, "{other}");
        }
    }
}

/// 4,096 bytes: eight outputs of 512, whatever the device aligns them to.
fn full(backend: Backend) {
    let mut bench = Bench::new(&backend.device(), 4096);
    let mut kept = Vec::new();
    for seed in 0..8 {
        let x = x(16, seed);
        let mut outputs =
            bench.session.run_into(&[("x", &x)], &mut [("mine", &mut bench.mine)]).expect("there is room");
        kept.extend(outputs.take("kept").map(|own| (own, expected(&x))));
        bench.first = expected(&x);
        bench.runs += 1;
    }
    let refused = |bench: &mut Bench, n: usize| {
        let error = bench.session.run_into(&[("x", &x(n, 9))], &mut [("mine", &mut bench.mine)]).err();
        assert_eq!(bench.session.runs(), bench.runs, "refused before any dispatch");
        same("the caller's buffer", bench.mine.to_tensor(), &bench.first[2]);
        match error {
            Some(Error::Output(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    for (n, need) in [(16, 512), (1, 32)] {
        let full = OutputError::OutputArenaFull { need, free: 0, held: 4096 };
        assert_eq!(refused(&mut bench, n), full);
    }
    // One is dropped: room for as much, not for more.
    kept.remove(3);
    let more = OutputError::OutputArenaFull { need: 640, free: 512, held: 3584 };
    assert_eq!(refused(&mut bench, 20), more);
    bench.works();
    for (own, [_, relu, _]) in &kept {
        same("kept through all of it", own.to_tensor(), relu);
    }
    assert_eq!(bench.session.output_usage().high_water, 4096);
}

/// A buffer is written by its caller as a run writes it: with what fits, or not at all.
fn writes(backend: Backend) {
    let mut buffer = backend.device().tensor(DType::F32, &[4, 8]).expect("a buffer");
    let good = x(3, 0);
    buffer.write(&good).expect("it fits");
    let whole = Tensor::zeros(DType::I32, vec![4, 8]).expect("numbers");
    let wrong = [(&x(5, 1), "f32[5, 8], which takes 160"), (&whole, "i32[4, 8], which takes 128")];
    for (bad, is) in wrong {
        match buffer.write(bad) {
            Err(Error::Input(InputError::Wrong { name, expected, actual })) => {
                assert_eq!((&*name, &*expected), ("tensor", "f32 of at most 128 bytes in device memory"));
                assert_eq!(actual, is);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!((buffer.dtype(), buffer.shape(), buffer.capacity()), (DType::F32, &[3, 8][..], 128));
        assert_eq!(buffer.to_tensor().expect("what it held"), good);
    }
}

/// A policy for an output that the model does not have is named when it is compiled.
fn policies(backend: Backend) {
    let outputs = Policies::default().with("z", OutputPolicy::Own);
    let options = Options { outputs, ..Options::default() };
    let dims = [("n", 3)].into_iter().collect();
    let error = opened(&three()).compile(&dims, backend.device().target(), options).err();
    match error {
        Some(Error::Compile(CompileError::UnknownPort { name, kind: "output", names })) => {
            assert_eq!((&*name, &names[..]), ("z", &["lent", "kept", "mine"].map(String::from)[..]));
        }
        other => panic!("{other:?}"),
    }
}

on_every_backend! {
    /// Among them a dim beyond its bound: n = 21 where n is at most 20.
    inputs_that_do_not_fit => inputs;
    /// Missing, repeated, too small, of another type, of another device, for an output that goes elsewhere.
    buffers_that_do_not_fit => buffers;
    an_output_arena_that_is_full => full;
    writes_that_do_not_fit => writes;
    policies_for_what_is_not_there => policies;
}
