//! If: bodies, names in them, what is folded, what is refused.

use bayplan_graph::op::UnaryOp;
use bayplan_graph::{DType, Graph, NoFiles, Op, Tensor, eval, verify};

use super::{A, attribute, bools, bytes, f32s, graph, i64s, info, model, node, tensor};
use crate::generated::onnx::{AttributeProto, GraphProto, NodeProto, attribute_proto::AttributeType};
use crate::{ImportOptions, import};

pub(super) fn holding(name: &str, g: GraphProto) -> AttributeProto {
    let ty = Some(AttributeType::Graph as i32);
    AttributeProto { name: Some(name.to_owned()), r#type: ty, g: Some(g), ..AttributeProto::default() }
}

fn branch(condition: &str, outputs: &[&str], then_body: GraphProto, else_body: GraphProto) -> NodeProto {
    let mut node = node("If", &[condition], outputs, &[]);
    node.attribute = vec![holding("then_branch", then_body), holding("else_branch", else_body)];
    node
}

/// A body of one node.
fn one(op: &str, inputs: &[&str], output: &str) -> GraphProto {
    graph(vec![node(op, inputs, &[output], &[])], vec![], &[output])
}

fn imported(g: GraphProto) -> Result<Graph, String> {
    let mut graph = import(&bytes(&model(20, g)), &ImportOptions::default()).map_err(|e| e.to_string())?;
    graph.infer().map_err(|e| e.to_string())?;
    verify(&graph).map_err(|e| e.to_string())?;
    Ok(graph)
}

fn truth(v: bool) -> Tensor {
    Tensor::from_bool(vec![], &[v]).expect("a condition")
}

/// `x` f32[2] and conditions `c` and `d`.
fn whole(nodes: Vec<NodeProto>, outputs: &[&str]) -> GraphProto {
    let infos = vec![info("c", DType::Bool, &[]), info("d", DType::Bool, &[]), info("x", DType::F32, &["2"])];
    graph(nodes, infos, outputs)
}

fn run(graph: &Graph, c: bool, d: bool) -> Vec<Vec<f32>> {
    let inputs = [truth(c), truth(d), f32s(&[2], &[1.0, -2.0])];
    let out = eval(graph, &inputs, &NoFiles).expect("it runs");
    out.iter().map(|t| t.to_f32().expect("floats")).collect()
}

/// Both bodies and the one around them use the same names, read what lies outside, and have constants of their own.
#[test]
fn bodies_nest_and_capture() {
    let inner = branch("d", &["r"], one("Neg", &["y"], "t"), one("Add", &["y", "x"], "t"));
    let mut then_body = graph(vec![inner, node("Mul", &["r", "w"], &["u"], &[])], vec![], &["u", "x"]);
    then_body.initializer = vec![tensor("w", &f32s(&[1], &[10.0]))];
    let mut else_body = graph(vec![node("Mul", &["y", "w"], &["u"], &[])], vec![], &["u", "y"]);
    else_body.initializer = vec![tensor("w", &f32s(&[1], &[100.0]))];
    let nodes = vec![
        node("Abs", &["x"], &["y"], &[]),
        branch("c", &["z", "rest"], then_body, else_body),
        node("Neg", &["z"], &["out"], &[]),
    ];
    let graph = imported(whole(nodes, &["out", "rest"])).expect("it is imported");
    assert_eq!(run(&graph, true, true), [[10.0, 20.0], [1.0, -2.0]]);
    assert_eq!(run(&graph, true, false), [[-20.0, 0.0], [1.0, -2.0]]);
    assert_eq!(run(&graph, false, true), [[-100.0, -200.0], [1.0, 2.0]]);
    assert_eq!(graph.nodes.iter().filter(|node| matches!(node.op, Op::If { .. })).count(), 2);
}

/// Of a condition that constants or shapes decide, only the body that runs is there; the other may be anything that
/// ONNX has.
#[test]
fn known_conditions_are_folded() {
    let odd = || graph(vec![node("SequenceEmpty", &[], &["s"], &[])], vec![], &["s"]);
    for (truth, other) in [(true, "Neg"), (false, "Exp")] {
        let [a, b] = if truth { [one(other, &["x"], "t"), odd()] } else { [odd(), one(other, &["x"], "t")] };
        let mut g = whole(vec![branch("k", &["z"], a, b)], &["z"]);
        g.initializer = vec![tensor("k", &bools(&[truth]))];
        let graph = imported(g).expect("it is imported");
        let op = if truth { UnaryOp::Neg } else { UnaryOp::Exp };
        assert!(matches!(graph.nodes.as_slice(), [only] if only.op == Op::Unary(op)), "{graph}");
        assert_eq!(&**graph.output_name(0), "z");
    }
    let nodes = vec![
        node("Shape", &["x"], &["shape"], &[]),
        node("Equal", &["shape", "two"], &["k"], &[]),
        branch("k", &["z"], one("Neg", &["x"], "t"), odd()),
    ];
    let mut g = whole(nodes, &["z"]);
    g.initializer = vec![tensor("two", &i64s(&[1], &[2]))];
    assert_eq!(run(&imported(g).expect("it is imported"), false, false), [[-1.0, 2.0]]);
}

#[test]
fn what_is_wrong_in_a_body_is_named() {
    let refuse = |node: NodeProto, expected: &[&str]| {
        let message = imported(whole(vec![node], &["z"])).expect_err("it is refused");
        assert!(expected.iter().all(|part| message.contains(part)), "{message}");
    };
    let neg = || one("Neg", &["x"], "t");
    let named = |mut g: GraphProto| {
        g.name = Some("left".to_owned());
        g.node.iter_mut().for_each(|node| node.name = Some("bad".to_owned()));
        g
    };
    refuse(branch("c", &["z"], neg(), named(one("Neg", &["nobody"], "t"))), &["`bad` (Neg)", "`nobody`"]);
    refuse(
        branch("c", &["z"], named(graph(vec![], vec![], &["t"])), neg()),
        &["`t`", "`left`", "nothing makes"],
    );
    let two = graph(vec![node("Neg", &["x"], &["t"], &[])], vec![], &["t", "t"]);
    refuse(branch("c", &["z"], neg(), two), &["(If)", "else_branch gives 2 values", "1 outputs"]);
    refuse(branch("c", &["z"], one("Neg", &["x"], "x"), neg()), &["`x`", "made twice"]);
    let taking = graph(vec![node("Neg", &["q"], &["t"], &[])], vec![info("q", DType::F32, &["2"])], &["t"]);
    refuse(branch("c", &["z"], neg(), named(taking)), &["`q`", "`left`", "take none"]);
    refuse(branch("x", &["z"], neg(), neg()), &["f32", "bool"]);
    let flat = one("Flatten", &["x"], "t");
    refuse(branch("c", &["z"], neg(), flat), &["rank"]);
    let sequence = graph(vec![node("SequenceConstruct", &["x"], &["t"], &[])], vec![], &["t"]);
    refuse(branch("c", &["z"], sequence, neg()), &["SequenceConstruct", "not supported"]);
    let mut bare = branch("c", &["z"], neg(), neg());
    bare.attribute.pop();
    refuse(bare, &["else_branch"]);
    let mut wrong = branch("c", &["z"], neg(), neg());
    wrong.attribute[1] = attribute("else_branch", &A::I(1));
    refuse(wrong, &["else_branch", "GRAPH"]);
    // What a body makes is not there outside.
    let nodes = vec![branch("c", &["z"], neg(), neg()), node("Neg", &["t"], &["o"], &[])];
    let message = imported(whole(nodes, &["o"])).expect_err("it is refused");
    assert!(message.contains("`t`"), "{message}");
}

#[test]
fn bodies_nest_to_a_limit() {
    let nested = |depth: usize| {
        let body = (0..depth).fold(one("Neg", &["x"], "t"), |inner, _| {
            graph(vec![branch("c", &["t"], inner, one("Exp", &["x"], "t"))], vec![], &["t"])
        });
        imported(whole(vec![branch("c", &["z"], body, one("Abs", &["x"], "t"))], &["z"]))
    };
    assert_eq!(run(&nested(6).expect("it is imported"), true, true), [[-1.0, 2.0]]);
    let message = nested(12).expect_err("it is too deep");
    assert!(message.contains("the depth of nested graphs"), "{message}");
}
