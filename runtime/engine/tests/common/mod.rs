//! Small models, made by hand, and one way to run them.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bayplan_compile::{Dims, Family, Options, Program, compile};
use bayplan_engine::{Device, DeviceOptions, Selector, Session, SessionOptions};
use bayplan_expr::{Bindings, Bounds, Expr};
use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_graph::{
    ByteRange, ByteSource, ConstData, DType, Digest, FileId, FileRef, Graph, Node, NodeId, Op, ReadError,
    Tensor, TensorType, Value, ValueId, ValueSource,
};
use bayplan_record::{Destination, Places, RecordingOptions, Source};
use bayplan_trace::{Level, Record, Timeline};
use bayplan_weights::Store;

/// A graph in the making, its weights in a file that is held in memory.
pub(crate) struct Model {
    pub(crate) graph: Graph,
    file: Vec<u8>,
}

impl Model {
    pub(crate) fn new(name: &str) -> Self {
        let graph = Graph { name: name.into(), files: vec![FileRef::Model], ..Graph::default() };
        Self { graph, file: Vec::new() }
    }

    fn value(&mut self, name: &str, source: ValueSource, ty: Option<TensorType>) -> ValueId {
        self.graph.values.push(Value { name: name.into(), source, ty, contents: None });
        ValueId(self.graph.values.len() as u32 - 1)
    }

    pub(crate) fn input(&mut self, name: &str, dtype: DType, shape: &[usize]) -> ValueId {
        let id = self.value(name, ValueSource::Input, Some(tensor_type(dtype, shape)));
        self.graph.inputs.push(id);
        id
    }

    /// An input whose dimensions may be symbols.
    pub(crate) fn input_of(&mut self, name: &str, shape: Vec<Expr>) -> ValueId {
        let id = self.value(name, ValueSource::Input, Some(TensorType { dtype: DType::F32, shape }));
        self.graph.inputs.push(id);
        id
    }

    /// A constant in the file.
    pub(crate) fn weight(&mut self, name: &str, tensor: &Tensor) -> ValueId {
        let (offset, len) = (self.file.len() as u64, tensor.bytes().len() as u64);
        self.file.extend_from_slice(tensor.bytes());
        let data = ConstData::Range(ByteRange { file: FileId(0), offset, len });
        let ty = tensor_type(tensor.dtype(), tensor.shape());
        self.value(name, ValueSource::Constant(data), Some(ty))
    }

    /// Has the next constant begin at a multiple of `align` in the file.
    pub(crate) fn align(&mut self, align: usize) {
        self.file.resize(self.file.len().next_multiple_of(align), 0x5a);
    }

    /// Notes what each constant of the file hashes to.
    pub(crate) fn with_digests(mut self) -> Self {
        for value in &self.graph.values {
            if let ValueSource::Constant(ConstData::Range(range)) = &value.source {
                let bytes = &self.file[range.offset as usize..(range.offset + range.len) as usize];
                self.graph.digests.push((*range, Digest::of(bytes)));
            }
        }
        self
    }

    pub(crate) fn node(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> ValueId {
        let node = NodeId(self.graph.nodes.len() as u32);
        let output = self.value(name, ValueSource::Node { node, output: 0 }, None);
        let source_op = op.name().into();
        let (inputs, outputs) = (inputs.to_vec(), vec![output]);
        self.graph.nodes.push(Node { op, inputs, outputs, name: name.into(), source_op });
        output
    }

    pub(crate) fn add(&mut self, name: &str, a: ValueId, b: ValueId) -> ValueId {
        self.node(name, Op::Binary(BinaryOp::Add), &[a, b])
    }

    pub(crate) fn exp(&mut self, name: &str, a: ValueId) -> ValueId {
        self.node(name, Op::Unary(UnaryOp::Exp), &[a])
    }

    pub(crate) fn matmul(&mut self, name: &str, a: ValueId, b: ValueId) -> ValueId {
        self.node(name, Op::MatMul, &[a, b])
    }

    /// The model at one shape.
    pub(crate) fn at(&self, dims: &Bindings) -> Self {
        Self { graph: self.graph.bind(dims).expect("a shape"), file: self.file.clone() }
    }

    /// The model with these outputs, its types inferred.
    pub(crate) fn outputs(mut self, outputs: &[ValueId]) -> Self {
        self.graph.outputs = outputs.to_vec();
        self.graph.infer().expect("types");
        bayplan_graph::verify(&self.graph).expect("a sound graph");
        self
    }

    pub(crate) fn store(&self) -> Store {
        self.store_of(Arc::new(Memory(self.file.clone())))
    }

    /// The bytes of its file.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.file
    }

    /// Writes its file.
    pub(crate) fn write(&self, path: &Path) {
        std::fs::write(path, &self.file).expect("the file of weights");
    }

    pub(crate) fn store_of(&self, source: Arc<dyn ByteSource>) -> Store {
        Store::from_sources(vec![(PathBuf::from("weights.bin"), source)], &self.graph).expect("weights")
    }

    pub(crate) fn compile(&self, device: &Device) -> Program {
        let read = |range: &ByteRange| {
            Ok(self.file[range.offset as usize..(range.offset + range.len) as usize].to_vec())
        };
        compile(&self.graph, &Bindings::default(), device.target(), Options::default(), &read)
            .expect("a program")
    }

    /// The model for all shapes with each symbol from its least to its largest value.
    pub(crate) fn family(&self, device: &Device, bounds: &[(&str, i64, i64)], options: &Options) -> Family {
        let mut dims = Dims::default();
        for &(symbol, lower, upper) in bounds {
            let bounds = Bounds { lower, upper: Some(upper) };
            dims.bounds.declare(symbol, bounds).expect("a symbol of its own");
        }
        let read = |range: &ByteRange| {
            Ok(self.file[range.offset as usize..(range.offset + range.len) as usize].to_vec())
        };
        Family::new(&self.graph, &dims, device.target(), options, &read).expect("a family")
    }

    pub(crate) fn session(&self, device: &Device, options: SessionOptions) -> Session {
        Session::new(device, self.compile(device), &self.store(), options).expect("a session")
    }

    /// What the reference evaluation answers.
    pub(crate) fn reference(&self, inputs: &[Tensor]) -> Vec<Tensor> {
        bayplan_graph::eval(&self.graph, inputs, &self.store()).expect("the reference evaluates")
    }
}

fn tensor_type(dtype: DType, shape: &[usize]) -> TensorType {
    TensorType { dtype, shape: shape.iter().map(|&dim| Expr::from(dim as i64)).collect() }
}

/// A file in memory.
pub(crate) struct Memory(pub(crate) Vec<u8>);

impl ByteSource for Memory {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let start = offset as usize;
        let error = || ReadError { offset, len: buf.len() as u64, reason: "past the end".into() };
        let bytes = self.0.get(start..start + buf.len()).ok_or_else(error)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}

/// Small numbers of both signs, the same at each call.
pub(crate) fn numbers(shape: &[usize]) -> Tensor {
    let count = shape.iter().product::<usize>();
    let elements: Vec<f32> = (0..count).map(|i| ((i * 37 + 11) % 101) as f32 / 101.0 - 0.5).collect();
    Tensor::from_f32(shape.to_vec(), &elements).expect("a tensor")
}

/// `x [8, widths[0]]` through matrix products of shrinking widths, an op each.
pub(crate) fn funnel(widths: &[usize]) -> Model {
    let mut model = Model::new("funnel");
    let mut x = model.input("x", DType::F32, &[8, widths[0]]);
    for (i, pair) in widths.windows(2).enumerate() {
        let w = model.weight(&format!("w{i}"), &numbers(pair));
        x = model.matmul(&format!("h{i}"), x, w);
    }
    model.outputs(&[x])
}

/// `ops` matrix products of `n` × `n`, one after another.
pub(crate) fn slow(ops: usize, n: usize) -> Model {
    let mut model = Model::new("slow");
    let mut x = model.input("x", DType::F32, &[n, n]);
    let w = model.weight("w", &numbers(&[n, n]));
    for i in 0..ops {
        x = model.matmul(&format!("h{i}"), x, w);
    }
    model.outputs(&[x])
}

/// How many of the [`slow`] matrix products of `n` × `n` take the device a good second, by the time that some take now; never
/// so few that nobody could watch them go by.
pub(crate) fn long(device: &Device, n: usize) -> usize {
    const SOME: usize = 4;
    let mut session = slow(SOME, n).session(device, SessionOptions::default());
    let input = numbers(&[n, n]);
    let mut least = Duration::MAX;
    for _ in 0..3 {
        let begun = Instant::now();
        session.run(&[("x", &input)]).expect("a run");
        least = least.min(begun.elapsed());
    }
    let one = least.as_secs_f64() / SOME as f64;
    ((1.5 / one) as usize).clamp(24, 4096)
}

/// The best device, or SwiftShader's in the program that bears its name.
pub(crate) fn open(separate_memory: bool) -> Device {
    open_with(&DeviceOptions { separate_memory, ..DeviceOptions::default() })
}

/// Whether this is the program that bears SwiftShader's name.
pub(crate) fn on_swiftshader() -> bool {
    env!("CARGO_CRATE_NAME") == "swiftshader"
}

/// The same device, opened in another way.
pub(crate) fn open_with(options: &DeviceOptions) -> Device {
    let selector = if on_swiftshader() { Selector::Name("SwiftShader".into()) } else { Selector::Best };
    let options = DeviceOptions { selector, ..options.clone() };
    Device::open(&options).unwrap_or_else(|e| panic!("{e}"))
}

/// A recording to a file.
pub(crate) fn recording(file: &Path, level: Level) -> RecordingOptions {
    let mut options = RecordingOptions::new(Places::under(file.with_extension("places")));
    options.destination = Destination::File(file.to_owned());
    options.level = level;
    options
}

pub(crate) fn records(file: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    let (_, damages) =
        bayplan_record::read(Source::of_path(file), |record| records.push(record)).expect("a recording");
    assert!(damages.is_empty(), "{damages:?}");
    records
}

pub(crate) fn timeline(file: &Path) -> Timeline {
    let mut timeline = Timeline::new();
    records(file).into_iter().for_each(|record| timeline.apply(record));
    timeline
}

/// Whether two tensors agree to 1e-4 of the reference's length.
pub(crate) fn agree(actual: &Tensor, expected: &Tensor) -> bool {
    let (a, e) = (actual.to_f64(), expected.to_f64());
    let distance: f64 = a.iter().zip(&e).map(|(a, e)| (a - e) * (a - e)).sum();
    let length: f64 = e.iter().map(|e| e * e).sum();
    actual.shape() == expected.shape()
        && actual.dtype() == expected.dtype()
        && distance.sqrt() <= 1e-4 * length.sqrt()
}
