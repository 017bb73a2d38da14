//! Graphs built in a few lines, and their programs run on a device beside the reference evaluation.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use std::sync::OnceLock;

use bayplan_compile::{Arena, Options, Program, compile};
use bayplan_engine::inspect::Inspection;
use bayplan_engine::{Device, DeviceOptions, Limits, Session, SessionOptions};
use bayplan_expr::{Bindings, Expr};
use bayplan_graph::{
    ConstData, DType, Graph, Inference, NoFiles, Node, NodeId, Op, Tensor, TensorType, Value, ValueId,
    ValueSource, eval,
};
use bayplan_plan::Effort;
use bayplan_shaders::Target;
use bayplan_weights::Store;

/// A graph under construction, every value typed as soon as it is made, with the tensors of its inputs.
#[derive(Default)]
pub struct Builder {
    pub graph: Graph,
    pub inputs: Vec<Tensor>,
    inference: Inference,
}

impl Builder {
    pub fn new(name: &str) -> Self {
        let mut new = Self::default();
        new.graph.name = name.into();
        new
    }

    fn add(&mut self, source: ValueSource, tensor: &Tensor) -> ValueId {
        let shape = tensor.shape().iter().map(|&dim| Expr::from(dim)).collect();
        let ty = Some(TensorType { dtype: tensor.dtype(), shape });
        let id = ValueId(self.graph.values.len() as u32);
        self.graph.values.push(Value { name: format!("v{}", id.0).into(), source, ty, contents: None });
        self.inference.value(&mut self.graph, id).expect("a typed value");
        id
    }

    pub fn input(&mut self, tensor: Tensor) -> ValueId {
        let id = self.add(ValueSource::Input, &tensor);
        self.graph.inputs.push(id);
        self.inputs.push(tensor);
        id
    }

    /// An `f32` input of small numbers, different everywhere.
    pub fn floats(&mut self, shape: &[usize]) -> ValueId {
        let seed = self.graph.values.len();
        self.input(floats(shape, seed))
    }

    pub fn constant(&mut self, tensor: &Tensor) -> ValueId {
        let data = ConstData::Inline(tensor.bytes().into());
        self.add(ValueSource::Constant(data), tensor)
    }

    pub fn ints(&mut self, list: &[i64]) -> ValueId {
        self.constant(&Tensor::from_i64(vec![list.len()], list).expect("a list"))
    }

    pub fn scalar(&mut self, value: f32) -> ValueId {
        self.constant(&Tensor::from_f32(vec![], &[value]).expect("a scalar"))
    }

    /// Applies an operator; `None` if inference refuses it.
    pub fn try_ops(&mut self, op: Op, inputs: &[ValueId], outputs: usize) -> Option<Vec<ValueId>> {
        let (node, first) = (NodeId(self.graph.nodes.len() as u32), self.graph.values.len() as u32);
        let made: Vec<ValueId> = (0..outputs as u32).map(|output| ValueId(first + output)).collect();
        for (output, id) in made.iter().enumerate() {
            let source = ValueSource::Node { node, output: output as u32 };
            let name = format!("v{}", id.0).into();
            self.graph.values.push(Value { name, source, ty: None, contents: None });
        }
        let (name, source_op) = (format!("n{}", node.0).into(), op.name().into());
        self.graph.nodes.push(Node { op, inputs: inputs.to_vec(), outputs: made.clone(), name, source_op });
        if self.inference.node(&mut self.graph, node).is_err() {
            self.graph.nodes.pop();
            self.graph.values.truncate(first as usize);
            return None;
        }
        Some(made)
    }

    pub fn op(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        let name = op.name();
        self.try_ops(op, inputs, 1).unwrap_or_else(|| panic!("{name} is refused"))[0]
    }

    pub fn output(&mut self, id: ValueId) {
        self.graph.outputs.push(id);
    }

    pub fn dtype(&self, id: ValueId) -> DType {
        self.graph.value(id).ty.as_ref().expect("typed").dtype
    }

    pub fn shape(&self, id: ValueId) -> Vec<usize> {
        let ty = self.graph.value(id).ty.as_ref().expect("typed");
        ty.shape.iter().map(|dim| dim.as_const().expect("a number") as usize).collect()
    }
}

/// Small numbers, different everywhere, both signs.
pub fn floats(shape: &[usize], seed: usize) -> Tensor {
    let count: usize = shape.iter().product();
    let at = |i: usize| (((i * 37 + seed * 101 + 13) % 61) as f32 - 30.0) / 16.0;
    Tensor::from_f32(shape.to_vec(), &(0..count).map(at).collect::<Vec<_>>())
        .expect("as many as the shape says")
}

/// The device that `BAYPLAN_DEVICE` names, or the best one; opened once.
pub fn device() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| open(Limits::default()))
}

/// The same device with stricter limits.
pub fn open(limits: Limits) -> Device {
    let mut options = DeviceOptions { limits, ..DeviceOptions::default() };
    if let Ok(name) = std::env::var("BAYPLAN_DEVICE") {
        options.selector = name.parse().unwrap_or_else(|e| panic!("BAYPLAN_DEVICE: {e}"));
    }
    Device::open(&options).unwrap_or_else(|e| panic!("no device to test on: {e}"))
}

/// The ways to compile: each pass with and without the others.
pub const WAYS: [Options; 5] = [
    way(false, false),
    way(false, true),
    way(true, false),
    way(true, true),
    Options { simplify: false, ..way(true, true) },
];

pub const fn way(fuse: bool, in_place: bool) -> Options {
    Options { fuse, simplify: true, in_place, effort: Effort::Normal, share: true, guard: 0 }
}

/// Compiles a graph without symbols; no constant lies in a file.
pub fn program(graph: &Graph, target: &Target, options: Options) -> Result<Program, String> {
    let read = |_: &bayplan_graph::ByteRange| Err("no file".to_string());
    compile(graph, &Bindings::default(), target, options, &read).map_err(|e| e.to_string())
}

/// Runs the graph compiled in every way, twice (the second run finds what the first has left in memory),
/// and compares every output with the reference evaluation.
///
/// Integers and booleans must be equal, floats within `tolerance` × the largest magnitude of the output (at least 1).
pub fn check(builder: &Builder, tolerance: f64) -> Result<(), String> {
    check_on(device(), builder, &WAYS, tolerance)
}

/// As [`check`], on that device and compiled in those ways.
pub fn check_on(device: &Device, builder: &Builder, ways: &[Options], tolerance: f64) -> Result<(), String> {
    let expected = eval(&builder.graph, &builder.inputs, &NoFiles).map_err(|e| format!("reference: {e}"))?;
    for &options in ways {
        let context = |e: String| format!("{options:?}: {e}");
        let program = program(&builder.graph, device.target(), options).map_err(context)?;
        let store = Store::open("", &builder.graph).map_err(|e| e.to_string())?;
        let session = Session::new(device, program, &store, SessionOptions::default());
        let mut session = session.map_err(|e| context(e.to_string()))?;
        let names = builder.graph.inputs.iter().map(|&id| &*builder.graph.value(id).name);
        let given: Vec<(&str, &Tensor)> = names.zip(&builder.inputs).collect();
        for run in 0..2 {
            let outputs = session.run(&given).map_err(|e| context(e.to_string()))?;
            for (output, expected) in outputs.iter().zip(&expected) {
                let actual = output.to_tensor().map_err(|e| context(e.to_string()))?;
                compare(&actual, expected, tolerance)
                    .map_err(|e| context(format!("run {run}, output {}: {e}", output.name())))?;
            }
        }
    }
    Ok(())
}

/// What memory holds before a run.
const PATTERN: u8 = 0xa5;

/// Runs a program whose buffers have guard bytes behind them and share none, on memory that is filled with a pattern, and
/// looks whether the pattern still stands behind every buffer: a dispatch that writes past its window leaves its mark.
pub fn check_guards(device: &Device, builder: &Builder, program: Program) -> Result<(), String> {
    let fail = |e: bayplan_engine::EngineError| e.to_string();
    assert!(program.guard > 0, "without guard bytes there is nothing to look at");
    let inspection = Inspection::unverified(device, program).map_err(fail)?;
    let program = inspection.program();
    for arena in Arena::ALL {
        let bytes = vec![PATTERN; program.arena_bytes[arena.index()] as usize];
        inspection.write(arena, 0, &bytes).map_err(fail)?;
    }
    let store = Store::open("", &builder.graph).map_err(|e| e.to_string())?;
    inspection.load(&store).map_err(fail)?;
    for (index, input) in builder.inputs.iter().enumerate() {
        inspection.set_input(index, input).map_err(fail)?;
    }
    inspection.run().map_err(fail)?;
    for buffer in &program.buffers {
        let end = buffer.offset + buffer.size;
        let guard = inspection.read(buffer.arena, end, program.guard).map_err(fail)?;
        if let Some(at) = guard.iter().position(|&byte| byte != PATTERN) {
            return Err(format!("byte {at} after buffer {} was written", buffer.name));
        }
    }
    Ok(())
}

fn compare(actual: &Tensor, expected: &Tensor, tolerance: f64) -> Result<(), String> {
    if (actual.dtype(), actual.shape()) != (expected.dtype(), expected.shape()) {
        return Err(format!("{actual:?} instead of {expected:?}"));
    }
    let (a, b) = (actual.to_f64(), expected.to_f64());
    let finite = b.iter().filter(|v| v.is_finite()).fold(1.0, |most: f64, v| most.max(v.abs()));
    let allowed = if expected.dtype().is_float() { tolerance * finite } else { 0.0 };
    let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= allowed;
    match a.iter().zip(&b).position(|pair| !same(pair)) {
        None => Ok(()),
        Some(at) => Err(format!("element {at} is {} instead of {}: {actual:?}, {expected:?}", a[at], b[at])),
    }
}
