//! Ways through Ifs: which there are, who decides, and that each computes what the whole graph computes.

use bayplan_compile::paths::{self, MAX_PATHS, PathFunction, Paths, Role};
use bayplan_compile::{Arena, Dims, Family, FunctionId, Options, Order, Step, compile};
use bayplan_expr::{Bindings, Expr};
use bayplan_graph::op::{BinaryOp, UnaryOp, ViewOp};
use bayplan_graph::{DType, Graph, NoFiles, Op, Tensor, TensorType, ValueId, eval, verify};
use bayplan_shaders::Target;

#[allow(dead_code, unreachable_pub, reason = "each test program uses its part")]
#[path = "../../../tests/src/graphs.rs"]
mod graphs;
use graphs::{Builder, floats};

const EXP: Op = Op::Unary(UnaryOp::Exp);
const NEG: Op = Op::Unary(UnaryOp::Neg);
const NOT: Op = Op::Unary(UnaryOp::Not);

fn branch(then_nodes: u32, else_nodes: u32) -> Op {
    Op::If { then_nodes, else_nodes }
}

fn truth(v: bool) -> Tensor {
    Tensor::from_bool(vec![], &[v]).expect("a condition")
}

/// Walks the tree as a session does; functions are evaluated by the reference. Gives the outputs and who was asked.
fn run(graph: &Graph, paths: &Paths, inputs: &[Tensor]) -> (Vec<Tensor>, Vec<usize>) {
    let name = |id: &ValueId| &*graph.value(*id).name;
    let named: Vec<(&str, &Tensor)> = graph.inputs.iter().map(name).zip(inputs).collect();
    let mut dims = Bindings::new();
    for (id, tensor) in graph.inputs.iter().zip(inputs) {
        let ty = graph.value(*id).ty.as_ref().expect("a type");
        let sizes = ty.shape.iter().zip(tensor.shape());
        dims.extend(sizes.filter_map(|(dim, &size)| Some((dim.as_symbol()?.to_string(), size as i64))));
    }
    let call = |function: &PathFunction| {
        assert_eq!(verify(&function.graph), Ok(()));
        let given = function.graph.inputs.iter().map(|&id| {
            let own = &*function.graph.value(id).name;
            named
                .iter()
                .find(|(name, _)| *name == own)
                .map(|(_, tensor)| (*tensor).clone())
                .expect("an input")
        });
        eval(&function.graph, &given.collect::<Vec<_>>(), &NoFiles).expect("it runs")
    };
    let (mut decided, mut asked) = (Vec::new(), Vec::new());
    loop {
        match paths.next(&dims, &named, &decided).expect("a step") {
            paths::Step::Run(index) => {
                let function = &paths.functions()[index];
                assert_eq!(function.role, Role::Run);
                let names: Vec<_> = (0..graph.outputs.len()).map(|i| function.graph.output_name(i)).collect();
                assert!((0..names.len()).all(|i| names[i] == graph.output_name(i)));
                return (call(function), asked);
            }
            paths::Step::Decide { function } => {
                assert_eq!(paths.functions()[function].role, Role::Condition);
                decided.push(call(&paths.functions()[function])[0].bytes()[0] != 0);
                asked.push(function);
            }
        }
    }
}

fn check(graph: &Graph, inputs: &[Tensor]) -> Vec<usize> {
    let paths = Paths::new(graph).expect("paths");
    let (outputs, asked) = run(graph, &paths, inputs);
    assert_eq!(outputs, eval(graph, inputs, &NoFiles).expect("it runs"));
    asked
}

/// `y = exp(x)`, a condition on the sum of y that only data decide, an If within the then body, and both read y.
fn nested(b: &mut Builder) {
    let d = b.input(truth(true));
    let x = b.floats(&[100]);
    let y = b.op(EXP, &[x]);
    let axes = b.ints(&[0]);
    let sum = b.op(Op::Reduce(bayplan_graph::op::ReduceOp::Sum, bayplan_graph::op::Keep::None), &[y, axes]);
    let five = b.scalar(120.0);
    let c = b.op(Op::Binary(BinaryOp::Less), &[sum, five]);
    let back = b.op(NEG, &[y]);
    let twice = b.op(Op::Binary(BinaryOp::Add), &[y, y]);
    let inner = b.op(branch(1, 1), &[d, back, twice]);
    let third = b.op(EXP, &[y]);
    let outer = b.op(branch(3, 1), &[c, inner, third]);
    let z = b.op(NEG, &[outer]);
    b.output(z);
    b.output(outer);
}

#[test]
fn every_way_computes_what_the_graph_computes() {
    let mut b = Builder::new("nested");
    nested(&mut b);
    let paths = Paths::new(&b.graph).expect("paths");
    let roles: Vec<Role> = paths.functions().iter().map(|function| function.role).collect();
    assert_eq!(roles, [Role::Run, Role::Run, Role::Run, Role::Condition]);
    assert!(paths.functions().iter().all(|f| f.graph.nodes.iter().all(|n| !matches!(n.op, Op::If { .. }))));
    let names: Vec<&str> = paths.functions().iter().map(|function| &*function.name).collect();
    assert_eq!(names, ["nested n5=true n7=true", "nested n5=false n7=true", "nested n7=false", "nested n7?"]);
    // The condition needs x alone, the path of the else body not d.
    assert_eq!(paths.functions()[3].graph.inputs.len(), 1);
    for (d, x) in [(true, -1.0), (false, -1.0), (true, 1.0), (false, 1.0)] {
        let x = Tensor::from_f32(vec![100], &[x; 100]).expect("floats");
        assert_eq!(check(&b.graph, &[truth(d), x]).len(), 1, "data decide once");
    }
}

/// Inputs of one element, what is computed from them, and the same condition again: nobody is asked.
#[test]
fn the_host_decides_what_it_can() {
    let mut b = Builder::new("given");
    let step = b.input(Tensor::from_i64(vec![1], &[3]).expect("a number"));
    let x = b.floats(&[4]);
    let zero = b.ints(&[0]);
    let first = b.op(Op::Binary(BinaryOp::Equal), &[step, zero]);
    let c = b.op(NOT, &[first]);
    let mut z = x;
    for _ in 0..8 {
        let again = b.op(Op::Binary(BinaryOp::Equal), &[step, zero]);
        let exp = b.op(NEG, &[z]);
        z = b.op(branch(1, 0), &[again, exp, z]);
    }
    let exp = b.op(EXP, &[z]);
    z = b.op(branch(1, 0), &[c, exp, z]);
    b.output(z);
    let paths = Paths::new(&b.graph).expect("paths");
    assert_eq!(paths.functions().len(), 4, "eight Ifs with one condition and one with another");
    for step in [0, 3] {
        let step = Tensor::from_i64(vec![1], &[step]).expect("a number");
        assert!(check(&b.graph, &[step, floats(&[4], 1)]).is_empty());
    }
    let dims = Bindings::new();
    let message = paths.next(&dims, &[], &[]).expect_err("no inputs").to_string();
    assert!(message.contains("v0") && message.contains("n4"), "{message}");
}

/// `if n == 1: x without its first axis, and back, else -x`.
#[test]
fn shapes_decide() {
    let mut b = Builder::new("shapes");
    let x = b.floats(&[1, 4]);
    let one = b.ints(&[1]);
    let n = b.op(Op::Shape { start: 0, end: Some(1) }, &[x]);
    let c = b.op(Op::Binary(BinaryOp::Equal), &[n, one]);
    let axes = b.ints(&[0]);
    let less = b.op(Op::View(ViewOp::Squeeze), &[x, axes]);
    let more = b.op(Op::View(ViewOp::Unsqueeze), &[less, axes]);
    let neg = b.op(NEG, &[x]);
    let z = b.op(branch(2, 1), &[c, more, neg]);
    b.output(z);
    let shape = vec![Expr::symbol("n"), Expr::from(4)];
    b.graph.values[0].ty = Some(TensorType { dtype: DType::F32, shape });
    b.graph.infer().expect("types");
    let paths = Paths::new(&b.graph).expect("paths");
    assert_eq!(paths.functions().len(), 2);
    let pinned: Vec<usize> = paths.functions().iter().map(|f| f.pinned().len()).collect();
    assert_eq!(pinned, [1, 0], "where the then body runs n is 1");
    for n in [1, 3] {
        assert!(check(&b.graph, &[floats(&[n, 4], 2)]).is_empty());
    }
    // Bounds decide before any run.
    b.graph.symbols.declare("n", bayplan_expr::Bounds::between(2, 9)).expect("bounds");
    assert_eq!(Paths::new(&b.graph).expect("paths").functions().len(), 1);
}

#[test]
fn ways_are_limited_by_name() {
    let many = |count: usize| {
        let mut b = Builder::new("many");
        let conditions: Vec<ValueId> = (0..count).map(|_| b.input(truth(true))).collect();
        let mut z = b.floats(&[4]);
        for condition in conditions {
            let exp = b.op(NEG, &[z]);
            z = b.op(branch(1, 0), &[condition, exp, z]);
        }
        b.output(z);
        b.graph
    };
    assert_eq!(Paths::new(&many(6)).expect("as many as there may be").functions().len(), MAX_PATHS);
    let message = Paths::new(&many(7)).expect_err("too many").to_string();
    assert!(message.contains(&MAX_PATHS.to_string()), "{message}");
    // An If whose results nothing needs is on no way.
    let mut graph = many(7);
    let ValueId(last) = graph.outputs[0];
    graph.outputs = vec![graph.nodes[graph.nodes.len() - 2].inputs[0]];
    assert!(last > graph.outputs[0].0);
    assert_eq!(Paths::new(&graph).expect("six are needed").functions().len(), MAX_PATHS);
}

/// x f32[2,3], y = exp(x), and in both bodies two products with constants (48 bytes with and without overwriting) or one
/// exponential (48 bytes, and 24 where it overwrites y): what the larger body needs, not both.
#[test]
fn bodies_overlay() {
    let arena = |in_place: bool, products: bool| {
        let mut b = Builder::new("overlay");
        let c = b.input(truth(true));
        let x = b.floats(&[2, 3]);
        let y = b.op(EXP, &[x]);
        let body = |b: &mut Builder, seed: usize| match products {
            false => b.op(EXP, &[y]),
            true => (0..2).fold(y, |z, i| {
                let matrix = b.constant(&floats(&[3, 3], seed + i));
                b.op(Op::MatMul, &[z, matrix])
            }),
        };
        let (then, other) = (body(&mut b, 1), body(&mut b, 3));
        let nodes = if products { 2 } else { 1 };
        let z = b.op(branch(nodes, nodes), &[c, then, other]);
        b.output(z);
        let paths = Paths::new(&b.graph).expect("paths");
        let options = Options {
            fuse: false,
            simplify: false,
            in_place,
            order: Order::Given,
            inputs: bayplan_compile::Policies::all(bayplan_compile::InputPolicy::Caller),
            ..Options::default()
        };
        let target = Target { storage_alignment: 4, storage_granule: 4, ..Target::generic() };
        let read = |_: &bayplan_graph::ByteRange| Err("no file".to_string());
        let bytes = paths.functions().iter().map(|function| {
            let program = compile(&function.graph, &Bindings::new(), &target, options.clone(), &read);
            program.expect("it compiles").arena_bytes[Arena::Activations.index()]
        });
        bytes.max().expect("two paths")
    };
    assert_eq!((arena(false, true), arena(true, true)), (48, 48), "G4");
    assert_eq!((arena(false, false), arena(true, false)), (48, 24), "G4i");
}

/// Both bodies are functions of one family: one arena, one load program with the weights of both.
#[test]
fn ways_are_functions_of_one_family() {
    let mut b = Builder::new("model");
    let x = b.floats(&[100]);
    let big = |seed| floats(&[100, 100], seed);
    let [both, first, second] = [1, 2, 3].map(|seed| b.constant(&big(seed)));
    let one = b.ints(&[1]);
    let row = b.ints(&[1, 100]);
    let y = b.op(Op::View(ViewOp::Reshape { allow_zero: false }), &[x, row]);
    let sum = b.op(Op::Reduce(bayplan_graph::op::ReduceOp::Sum, bayplan_graph::op::Keep::None), &[y, one]);
    let zero = b.scalar(0.0);
    let c = b.op(Op::Binary(BinaryOp::Less), &[sum, zero]);
    let then = b.op(Op::MatMul, &[y, both]);
    let then = b.op(Op::MatMul, &[then, first]);
    let other = b.op(Op::MatMul, &[y, second]);
    let other = b.op(Op::MatMul, &[other, both]);
    let z = b.op(branch(2, 2), &[c, then, other]);
    b.output(z);
    let read = |_: &bayplan_graph::ByteRange| Err("no file".to_string());
    let (dims, target, options) = (Dims::default(), Target::generic(), Options::default());
    let family = Family::new(&b.graph, &dims, &target, &options, &read).expect("a family");
    let model = FunctionId(0);
    assert_eq!(family.functions().len(), 4, "the model, two ways, a condition");
    let none = Bindings::new();
    let next = |decided: &[bool]| family.next(model, &none, &[], decided).expect("a step");
    let Step::Decide(asked) = next(&[]) else { panic!("data decide") };
    let ways = [true, false].map(|truth| match next(&[truth]) {
        Step::Run(function) => function,
        Step::Decide(_) => panic!("one condition"),
    });
    assert_ne!(ways[0], ways[1]);
    let programs = [ways[0], ways[1], asked].map(|function| family.at(function, &none).expect("a program"));
    let reserved = family.reservation().expect("bounded");
    for program in &programs {
        assert_eq!((&program.uploads, &program.load), (&family.first().uploads, &family.first().load));
        assert!(program.arena_bytes.iter().zip(&reserved.arena_bytes).all(|(own, all)| own <= all));
    }
    let activations = |index: usize| programs[index].arena_bytes[Arena::Activations.index()];
    assert_eq!(
        reserved.arena_bytes[Arena::Activations.index()],
        (0..3).map(activations).max().expect("three")
    );
    let uploaded: u64 = family.first().uploads.iter().map(|upload| upload.bytes / 4).sum();
    assert!((30_000..30_100).contains(&uploaded), "each weight once: {uploaded}");
    assert_eq!(family.next(asked, &none, &[], &[]).expect("a step"), Step::Run(asked));
    let message = family.at(model, &none).expect_err("it has no program of its own").to_string();
    assert!(message.contains("has Ifs"), "{message}");
}

/// One program has one way: where data decide, it is a family's affair.
#[test]
fn one_program_of_a_graph_with_ifs() {
    let read = |_: &bayplan_graph::ByteRange| Err("no file".to_string());
    let one =
        |graph: &Graph, dims: &Bindings| compile(graph, dims, &Target::generic(), Options::default(), &read);
    let mut b = Builder::new("data \u{1b}");
    nested(&mut b);
    let message = one(&b.graph, &Bindings::new()).expect_err("data decide").to_string();
    for part in ["which way `data \\x1b`", "compile a family", "open a session on the model"] {
        assert!(message.contains(part), "{message}");
    }
    let ifs = b.graph.nodes.iter().filter(|node| matches!(node.op, Op::If { .. }));
    assert!(ifs.clone().count() > 1 && ifs.clone().any(|node| message.contains(&*node.name)), "{message}");

    // Where dims decide, it is compiled; inputs that this way does not read are the model's still.
    let mut b = Builder::new("dims");
    let (x, w) = (b.floats(&[1, 4]), b.floats(&[4]));
    let shape = b.op(Op::Shape { start: 0, end: Some(1) }, &[x]);
    let one_row = b.ints(&[1]);
    let c = b.op(Op::Binary(BinaryOp::Equal), &[shape, one_row]);
    let (sum, neg) = (b.op(Op::Binary(BinaryOp::Add), &[x, w]), b.op(NEG, &[x]));
    let z = b.op(branch(1, 1), &[c, sum, neg]);
    b.output(z);
    let symbolic = vec![Expr::symbol("n"), Expr::from(4)];
    b.graph.values[0].ty = Some(TensorType { dtype: DType::F32, shape: symbolic });
    b.graph.infer().expect("types");
    for n in [1, 3] {
        let program = one(&b.graph, &Bindings::new().with("n", n)).expect("a program");
        let inputs: Vec<&str> = program.inputs.iter().map(|port| &*port.name).collect();
        assert_eq!(inputs, ["v0", "v1"]);
        assert_eq!(program.outputs[0].shape, [n as u64, 4]);
        assert_eq!(program.run.dispatches.len(), 1);
    }
}
