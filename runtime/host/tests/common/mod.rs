//! Graphs in a few lines, compiled for the host, beside the reference evaluation.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use bayplan_compile::{CompileError, Options, Program, compile};
use bayplan_expr::{Bindings, Expr};
use bayplan_graph::{
    ByteRange, ConstData, DType, Graph, Inference, NoFiles, Node, NodeId, Op, Tensor, TensorType, Value,
    ValueId, ValueSource, eval,
};
use bayplan_host::{Machine, Phase, evaluate, target};
use bayplan_shaders::Target;
use bayplan_weights::Store;

/// A graph under construction, with the tensors of its inputs.
pub struct Builder {
    pub graph: Graph,
    pub inputs: Vec<Tensor>,
    inference: Inference,
}

impl Builder {
    pub fn new() -> Self {
        let graph = Graph { name: "test".into(), ..Graph::default() };
        let inference = Inference::new();
        Self { graph, inputs: Vec::new(), inference }
    }

    fn value(&mut self, source: ValueSource, tensor: &Tensor) -> ValueId {
        let shape = tensor.shape().iter().map(|&dim| Expr::from(dim)).collect();
        let ty = Some(TensorType { dtype: tensor.dtype(), shape });
        let id = ValueId(self.graph.values.len() as u32);
        self.graph.values.push(Value { name: format!("v{}", id.0).into(), source, ty, contents: None });
        self.inference.value(&mut self.graph, id).expect("a typed value");
        id
    }

    pub fn input(&mut self, tensor: Tensor) -> ValueId {
        let id = self.value(ValueSource::Input, &tensor);
        self.graph.inputs.push(id);
        self.inputs.push(tensor);
        id
    }

    pub fn constant(&mut self, tensor: &Tensor) -> ValueId {
        self.value(ValueSource::Constant(ConstData::Inline(tensor.bytes().into())), tensor)
    }

    pub fn ints(&mut self, list: &[i64]) -> ValueId {
        self.constant(&Tensor::from_i64(vec![list.len()], list).expect("a list"))
    }

    /// Applies an operator of several results.
    pub fn ops(&mut self, op: Op, inputs: &[ValueId], outputs: u32) -> Vec<ValueId> {
        let (node, first) = (NodeId(self.graph.nodes.len() as u32), self.graph.values.len() as u32);
        let made: Vec<ValueId> = (0..outputs).map(|output| ValueId(first + output)).collect();
        for (output, id) in (0..).zip(&made) {
            let source = ValueSource::Node { node, output };
            let name = format!("v{}", id.0).into();
            self.graph.values.push(Value { name, source, ty: None, contents: None });
        }
        let (name, source_op) = (format!("n{}", node.0).into(), op.name().into());
        self.graph.nodes.push(Node { op, inputs: inputs.to_vec(), outputs: made.clone(), name, source_op });
        self.inference.node(&mut self.graph, node).unwrap_or_else(|e| {
            panic!("{source_op}: {e}", source_op = self.graph.nodes[node.0 as usize].source_op)
        });
        made
    }

    pub fn op(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        self.ops(op, inputs, 1)[0]
    }

    pub fn output(&mut self, id: ValueId) {
        self.graph.outputs.push(id);
    }
}

/// splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// Floats from -2 to 2.
    pub fn floats(&mut self, shape: &[usize]) -> Tensor {
        let count: usize = shape.iter().product();
        let all: Vec<f32> = (0..count).map(|_| self.below(1 << 20) as f32 / (1 << 18) as f32 - 2.0).collect();
        Tensor::from_f32(shape.to_vec(), &all).expect("as many as the shape says")
    }

    /// Integers from `low` to below `high`.
    pub fn ints(&mut self, dtype: DType, shape: &[usize], low: i128, high: i128) -> Tensor {
        let count: usize = shape.iter().product();
        let all: Vec<i128> = (0..count).map(|_| low + self.below((high - low) as usize) as i128).collect();
        Tensor::from_ints(dtype, shape.to_vec(), &all).expect("as many as the shape says")
    }
}

/// The four ways to compile.
pub fn ways() -> impl Iterator<Item = Options> {
    let all = [(false, false), (false, true), (true, false), (true, true)].into_iter();
    all.map(|(fuse, in_place)| Options { fuse, in_place, ..Options::default() })
}

/// Compiles a graph without symbols for the host.
pub fn program(graph: &Graph, options: Options) -> Program {
    compiled(graph, options, &target()).unwrap_or_else(|e| panic!("{e}"))
}

fn compiled(graph: &Graph, options: Options, target: &Target) -> Result<Program, CompileError> {
    let read = |_: &ByteRange| Err("no file".to_string());
    compile(graph, &Bindings::default(), target, options, &read)
}

/// A machine with the weights of a graph without files.
pub fn machine(graph: &Graph, program: Program) -> Machine {
    let mut machine = Machine::new(program).thorough();
    machine.load(&Store::open("", graph).expect("no files")).unwrap_or_else(|e| panic!("{e}"));
    machine
}

/// All outputs of the last run.
pub fn outputs(machine: &Machine) -> Vec<Tensor> {
    let ports = machine.program().outputs.iter();
    ports.map(|port| machine.output(port).unwrap_or_else(|e| panic!("{e}"))).collect()
}

/// Runs a graph compiled in each of the four ways, twice, and compares every output with the reference evaluation:
/// integers must be equal, floats within `tolerance` of the output's largest magnitude. Every dispatch's result must be
/// within the error stated for its kernel, too.
pub fn check(what: &str, builder: &Builder, tolerance: f64) {
    let expected = eval(&builder.graph, &builder.inputs, &NoFiles).unwrap_or_else(|e| panic!("{what}: {e}"));
    // On a device of small windows, tensors are cut into pieces where the operator allows it.
    let small = Target { max_storage_range: 1024, storage_alignment: 256, ..target() };
    let guarded = Options { guard: 64, ..Options::default() };
    let cut = compiled(&builder.graph, guarded, &small).ok();
    let whole = ways().map(|options| program(&builder.graph, options));
    for program in whole.chain(cut) {
        let mut machine = machine(&builder.graph, program);
        let inputs: Vec<&Tensor> = builder.inputs.iter().collect();
        step_by_step(what, &mut machine, &inputs);
        for _ in 0..2 {
            machine.run(&inputs).unwrap_or_else(|e| panic!("{what}: {e}"));
            for (actual, expected) in outputs(&machine).iter().zip(&expected) {
                compare(what, actual, expected, tolerance);
            }
        }
    }
}

/// Runs once, and evaluates every dispatch beside.
fn step_by_step(what: &str, machine: &mut Machine, inputs: &[&Tensor]) {
    let fail = |e: &dyn std::fmt::Display| -> ! { panic!("{what}: {e}") };
    machine.begin(inputs).unwrap_or_else(|e| fail(&e));
    for index in 0..machine.program().run.dispatches.len() {
        let spec = machine.program().run.dispatches[index].spec.clone();
        let operands = machine.operands(Phase::Run, index).unwrap_or_else(|e| fail(&e));
        let expected = evaluate(&spec, &machine.program().target, &operands).unwrap_or_else(|e| fail(&e));
        machine.execute(Phase::Run, index).unwrap_or_else(|e| fail(&e));
        let result = machine.result(Phase::Run, index).unwrap_or_else(|e| fail(&e));
        let wide = expected.words.len() / expected.places.len().max(1);
        for ((place, words), approx) in
            expected.places.iter().zip(expected.words.chunks_exact(wide.max(1))).zip(&expected.approx)
        {
            assert_eq!(&result[*place..place + wide], words, "{what}, dispatch {index}: {spec:?}");
            let actual = match (expected.dtype, words) {
                (dtype, [word]) if dtype.is_float() => f32::from_bits(*word).into(),
                (DType::I8 | DType::I16 | DType::I32, [word]) => f64::from(*word as i32),
                (_, [word]) => f64::from(*word),
                (DType::F64, [low, high]) => f64::from_bits(u64::from(*low) | u64::from(*high) << 32),
                (DType::I64, [low, high]) => (u64::from(*low) | u64::from(*high) << 32) as i64 as f64,
                _ => (u64::from(words[0]) | u64::from(words[1]) << 32) as f64,
            };
            assert!(approx.accepts(actual), "{what}, dispatch {index}: {actual} for {approx:?}: {spec:?}");
        }
        machine.retire(Phase::Run, index);
    }
    machine.end().unwrap_or_else(|e| fail(&e));
}

pub fn compare(what: &str, actual: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!((actual.dtype(), actual.shape()), (expected.dtype(), expected.shape()), "{what}");
    if !expected.dtype().is_float() {
        assert_eq!(actual, expected, "{what}");
        return;
    }
    let (a, b) = (actual.to_f64(), expected.to_f64());
    let most = b.iter().filter(|v| v.is_finite()).fold(0.0, |most: f64, v| most.max(v.abs()));
    for (at, (a, b)) in a.iter().zip(&b).enumerate() {
        let same = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * most;
        assert!(same, "{what}: element {at} is {a} instead of {b}: {actual:?} {expected:?}");
    }
}
