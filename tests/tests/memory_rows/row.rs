//! One row: a graph, and the arena it needs without and with in place.

use bayplan::{Bindings, Model as Opened, Tensor};
use bayplan_compile::{Arena, InputPolicy, Options, Order, OutputPolicy, Policies, Program};
use bayplan_graph::{DType, Graph, eval};
use bayplan_host::Machine;
use bayplan_shaders::Target;
use bayplan_tests::onnx_file::{Constant, Data, Dim, Model, Node};

/// The host without any alignment or rounding.
pub(crate) fn exact() -> Target {
    Target { storage_alignment: 1, storage_granule: 1, ..bayplan_host::target() }
}

/// Operators as written, inputs the caller's.
pub(crate) fn options(fuse: bool, in_place: bool, outputs: OutputPolicy) -> Options {
    Options {
        fuse,
        simplify: fuse,
        in_place,
        order: Order::Given,
        inputs: Policies::all(InputPolicy::Caller),
        outputs: Policies::all(outputs),
        ..Options::default()
    }
}

/// Whether an arena of so many bytes is what a row says: without and with in place.
type Says = fn(u64, [u64; 2]) -> bool;

/// The three ways, and what may be said of the arena of each: so many bytes, or at most so many.
pub(crate) fn ways(outputs: OutputPolicy) -> [(Options, Says); 3] {
    [
        (options(false, false, outputs), |bytes, [without, _]| bytes == without),
        (options(false, true, outputs), |bytes, [_, in_place]| bytes == in_place),
        (options(true, true, outputs), |bytes, [_, in_place]| bytes <= in_place),
    ]
}

/// A graph with its row.
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) model: Model<'a>,
    /// Of all outputs.
    pub(crate) outputs: OutputPolicy,
    /// Bytes of the arena.
    pub(crate) without: u64,
    /// Bytes of the arena with in place.
    pub(crate) in_place: u64,
}

impl<'a> Row<'a> {
    /// A row whose outputs lie in the arena.
    pub(crate) fn new(name: &'a str, model: Model<'a>, without: u64, in_place: u64) -> Self {
        Self { name, model, outputs: OutputPolicy::Borrow, without, in_place }
    }

    /// The same with outputs in the caller's buffers.
    pub(crate) fn into_buffers(self) -> Self {
        Self { outputs: OutputPolicy::Into, ..self }
    }

    /// Compiles it in all ways, demands the arenas and the results.
    pub(crate) fn check(&self) {
        let model = open(&self.model);
        let arena = |fuse, in_place| {
            let program = program(&model, &Bindings::new(), options(fuse, in_place, self.outputs));
            runs_right(self.name, model.graph(), &model, &program);
            program.arena_bytes[Arena::Activations.index()]
        };
        assert_eq!(arena(false, false), self.without, "{} without in place", self.name);
        assert_eq!(arena(false, true), self.in_place, "{} in place", self.name);
        let fused = arena(true, true);
        assert!(fused <= self.in_place, "{} needs {fused} with fusion", self.name);
    }
}

/// A model, imported from a file.
pub(crate) fn open(model: &Model<'_>) -> Opened {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("row.onnx");
    std::fs::write(&path, model.bytes()).expect("a file");
    // The file stays open: its weights can be read after the folder is gone.
    Opened::open(&path).unwrap_or_else(|e| panic!("{e}"))
}

pub(crate) fn program(model: &Opened, dims: &Bindings, options: Options) -> Program {
    model.compile(dims, &exact(), options).unwrap_or_else(|e| panic!("{e}"))
}

/// Runs a program twice on drawn inputs and compares with the reference evaluation of its graph, whose symbols are bound.
pub(crate) fn runs_right(name: &str, graph: &Graph, model: &Opened, program: &Program) {
    let inputs: Vec<Tensor> = program.inputs.iter().enumerate().map(|(at, port)| drawn(port, at)).collect();
    let expected = eval(graph, &inputs, model.weights()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut machine = Machine::new(program.clone()).thorough();
    machine.load(model.weights()).unwrap_or_else(|e| panic!("{name}: {e}"));
    for run in 0..2 {
        machine.run(&inputs.iter().collect::<Vec<_>>()).unwrap_or_else(|e| panic!("{name}, run {run}: {e}"));
        for (port, expected) in program.outputs.iter().zip(&expected) {
            let actual = machine.output(port).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!((actual.dtype(), actual.shape()), (expected.dtype(), expected.shape()), "{name}");
            for (a, b) in actual.to_f64().iter().zip(expected.to_f64()) {
                assert!(
                    *a == b || (a - b).abs() <= 1e-5 * b.abs().max(1.0),
                    "{name}, run {run}: {a} instead of {b}"
                );
            }
        }
    }
}

/// Numbers in [1/16, 1], different everywhere: exponentials of exponentials of them are finite.
fn drawn(port: &bayplan_compile::Port, seed: usize) -> Tensor {
    let shape: Vec<usize> = port.shape.iter().map(|&dim| dim as usize).collect();
    let at = |index: usize| 1 + (index * 7 + seed * 5) % 16;
    let count = shape.iter().product();
    match port.dtype {
        DType::F32 => {
            let all: Vec<f32> = (0..count).map(|index| at(index) as f32 / 16.0).collect();
            Tensor::from_f32(shape, &all)
        }
        dtype => {
            let all: Vec<i128> = (0..count).map(|index| at(index) as i128 % 2).collect();
            Tensor::from_ints(dtype, shape, &all)
        }
    }
    .expect("as many as the shape says")
}

/// Known dimensions.
pub(crate) fn known(shape: &[i64]) -> Vec<Dim<'static>> {
    shape.iter().map(|&size| Dim::Known(size)).collect()
}

/// `op(inputs) → outputs`.
pub(crate) fn node<'a>(op: &'a str, inputs: &'a [&'a str], outputs: &'a [&'a str]) -> Node<'a> {
    Node::new(op, inputs, outputs)
}

/// A constant list of numbers.
pub(crate) fn list<'a>(name: &'a str, shape: &'a [i64], numbers: &[i64]) -> Constant<'a> {
    Constant { name, shape, data: Data::I64(numbers.to_vec()) }
}

/// A constant of floats, different everywhere; sums over a window of such keep their size.
pub(crate) fn kernel<'a>(name: &'a str, shape: &'a [i64]) -> Constant<'a> {
    let count = shape.iter().product::<i64>();
    let scale = 32.0 * ((count / shape[0].max(1)) as f32).sqrt();
    let at = |index: i64| ((index * 37 + 13) % 61 - 30) as f32 / scale;
    Constant { name, shape, data: Data::F32((0..count).map(at).collect()) }
}

/// A constant of floats, 1/4 each.
pub(crate) fn weight<'a>(name: &'a str, shape: &'a [i64]) -> Constant<'a> {
    let count = shape.iter().product::<i64>() as usize;
    Constant { name, shape, data: Data::F32(vec![0.25; count]) }
}
