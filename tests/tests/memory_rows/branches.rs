//! Rows with branches: what only one way takes lies over what only the other takes.

use bayplan::{Bindings, Model as Opened, Tensor};
use bayplan_compile::{Arena, Dims, Family, FunctionId, Options, OutputPolicy, Policies, Step};
use bayplan_graph::{ByteRange, DType, eval};
use bayplan_host::Machine;
use bayplan_tests::onnx_file::{Attribute, Model, Node, Type};

use crate::row::{kernel, known, node, open, ways};

const MODEL: FunctionId = FunctionId(0);

/// `z = If(condition)` with a body of these nodes on either side, each giving the value of that name.
fn branch(condition: &'static [&'static str], then: Body, other: Body) -> Node<'static> {
    let body = |(nodes, output): Body| Model { nodes, outputs: vec![output], ..Model::default() };
    node("If", condition, &["z"])
        .with("then_branch", Attribute::Graph(body(then)))
        .with("else_branch", Attribute::Graph(body(other)))
}

type Body = (Vec<Node<'static>>, &'static str);

/// x f32[2, 3] and a flag.
fn model(nodes: Vec<Node<'static>>, outputs: Vec<&'static str>) -> Model<'static> {
    let square = &[3, 3];
    Model {
        nodes,
        inputs: vec![("x", known(&[2, 3])), ("flag", known(&[]))],
        types: vec![("flag", Type::Bool)],
        outputs,
        constants: ["A", "B", "C", "D"].map(|name| kernel(name, square)).to_vec(),
        ..Model::default()
    }
}

/// The result of a function, its inputs taken by name.
fn run(model: &Opened, family: &Family, function: FunctionId, inputs: &[(&str, &Tensor)]) -> Vec<Tensor> {
    let program = family.at(function, &Bindings::new()).unwrap_or_else(|e| panic!("{e}"));
    let mut machine = Machine::new(program).thorough();
    machine.load(model.weights()).unwrap_or_else(|e| panic!("{e}"));
    let of = |port: &bayplan_compile::Port| {
        inputs.iter().find(|(name, _)| *name == port.name).expect("an input of that name").1
    };
    let given: Vec<&Tensor> = machine.program().inputs.iter().map(of).collect();
    machine.run(&given).unwrap_or_else(|e| panic!("{e}"));
    machine.program().outputs.iter().map(|port| machine.output(port).expect("an output")).collect()
}

/// Demands the arena of the family and the results of both ways.
fn check(name: &str, graph: &Model<'_>, outputs: &Policies<OutputPolicy>, row: [u64; 2]) {
    let model = open(graph);
    for (options, says) in ways(OutputPolicy::Borrow) {
        let options = Options { outputs: outputs.clone(), ..options };
        let read = |_: &ByteRange| Err("no constant is small and in a file".to_string());
        let family = Family::new(model.graph(), &Dims::default(), &crate::row::exact(), &options, &read);
        let family = family.unwrap_or_else(|e| panic!("{name}: {e}"));
        let bytes = family.reservation().expect("known sizes").arena_bytes[Arena::Activations.index()];
        assert!(says(bytes, row), "{name}: {bytes} instead of {row:?} for {options:?}");
        for flag in [true, false] {
            let x = Tensor::from_f32(vec![2, 3], &[0.25, -0.5, 0.75, 1.0, -0.125, 0.5]).expect("six numbers");
            let flag = Tensor::from_bool(vec![], &[flag]).expect("a flag");
            let expected = eval(model.graph(), &[x.clone(), flag.clone()], model.weights()).expect("results");
            let inputs = [("x", &x), ("flag", &flag)];
            let mut decided = Vec::new();
            let made = loop {
                match family.next(MODEL, &Bindings::new(), &inputs, &decided).expect("a step") {
                    Step::Run(function) => break run(&model, &family, function, &inputs),
                    Step::Decide(function) => {
                        let answer = run(&model, &family, function, &inputs);
                        assert_eq!(answer[0].dtype(), DType::Bool);
                        decided.push(answer[0].bytes()[0] != 0);
                    }
                }
            };
            for (made, expected) in made.iter().zip(&expected) {
                for (a, b) in made.to_f64().iter().zip(expected.to_f64()) {
                    assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{name}: {a} instead of {b}");
                }
            }
        }
    }
}

#[test]
fn g4_products_in_both_branches() {
    let then = vec![node("MatMul", &["y", "A"], &["t"]), node("MatMul", &["t", "B"], &["z1"])];
    let other = vec![node("MatMul", &["y", "C"], &["u"]), node("MatMul", &["u", "D"], &["z2"])];
    let nodes = vec![node("Exp", &["x"], &["y"]), branch(&["flag"], (then, "z1"), (other, "z2"))];
    check("G4", &model(nodes, vec!["z"]), &Policies::default(), [48, 48]);
}

/// Scenario 7, a value used across blocks.
#[test]
fn g4i_the_last_use_is_in_both_branches() {
    let body = |made: &'static [&'static str]| (vec![node("Exp", &["y"], made)], made[0]);
    let nodes = vec![node("Exp", &["x"], &["y"]), branch(&["flag"], body(&["z1"]), body(&["z2"]))];
    check("G4i", &model(nodes, vec!["z"]), &Policies::default(), [48, 24]);
}

/// A condition that the device computes is read before its way runs, and shares its bytes: 24, where TVM keeps 25.
#[test]
fn s5_if_cond() {
    let then = (vec![node("ReduceMax", &["x"], &["z1"])], "z1");
    let other = (vec![node("Exp", &["x"], &["y"]), node("ReduceMax", &["y"], &["z2"])], "z2");
    let nodes = vec![node("Not", &["flag"], &["condition"]), branch(&["condition"], then, other)];
    let outputs = Policies::default().with("z", OutputPolicy::Into);
    check("5 if cond", &model(nodes, vec!["z"]), &outputs, [24, 24]);
}

#[test]
fn s6_if_then_else() {
    let then = (vec![node("Identity", &["y"], &["z1"])], "z1");
    let other = (vec![node("Identity", &["x"], &["z2"])], "z2");
    let nodes = vec![
        node("Exp", &["x"], &["y"]),
        branch(&["flag"], then, other),
        node("ReduceMax", &["z"], &["most"]),
    ];
    let outputs = Policies::default().with("most", OutputPolicy::Into);
    check("6 if then else", &model(nodes, vec!["most"]), &outputs, [24, 24]);
}
