//! Loop and Scan: what their turns carry and add, how they end, what is refused.

use bayplan_graph::{DType, Extent, Graph, NoFiles, Tensor, eval, verify};

use super::{A, attribute, bytes, f32s, graph, i64s, info, model, node, tensor};
use crate::generated::onnx::{AttributeProto, GraphProto, NodeProto, attribute_proto::AttributeType};
use crate::{ImportOptions, import};

/// A node with a body.
fn with_body(
    op: &str,
    inputs: &[&str],
    outputs: &[&str],
    attributes: &[(&str, A)],
    body: GraphProto,
) -> NodeProto {
    let ty = Some(AttributeType::Graph as i32);
    let body = AttributeProto {
        name: Some("body".to_owned()),
        r#type: ty,
        g: Some(body),
        ..AttributeProto::default()
    };
    let mut node = node(op, inputs, outputs, &[]);
    node.attribute = attributes.iter().map(|(name, value)| attribute(name, value)).chain([body]).collect();
    node
}

fn body(inputs: &[&str], nodes: Vec<NodeProto>, outputs: &[&str]) -> GraphProto {
    graph(nodes, inputs.iter().map(|name| info(name, DType::F32, &[])).collect(), outputs)
}

fn imported(opset: i64, g: GraphProto) -> Result<Graph, String> {
    let mut graph = import(&bytes(&model(opset, g)), &ImportOptions::default()).map_err(|e| e.to_string())?;
    graph.infer().map_err(|e| e.to_string())?;
    verify(&graph).map_err(|e| e.to_string())?;
    Ok(graph)
}

fn run(graph: &Graph, inputs: &[Tensor]) -> Vec<(Vec<usize>, Vec<f64>)> {
    let made = eval(graph, inputs, &NoFiles).expect("it runs");
    made.iter().map(|tensor| (tensor.shape().to_vec(), tensor.to_f64())).collect()
}

fn truth(v: bool) -> Tensor {
    Tensor::from_bool(vec![], &[v]).expect("a condition")
}

/// `y = y · 2 + i`, and `y` as it is added, while `go` holds.
fn doubling(condition: &str) -> GraphProto {
    let nodes = vec![
        node("Cast", &["i"], &["number"], &[("to", A::I(1))]),
        node("Add", &["y", "y"], &["twice"], &[]),
        node("Add", &["twice", "number"], &["next"], &[]),
        node("Less", &["next", "limit"], &["below"], &[]),
    ];
    body(&["i", "go", "y"], nodes, &[condition, "next", "next"])
}

/// The loop, with a most number of turns and a first condition as constants, or none.
fn looping(condition: &str, most: Option<i64>, first: Option<bool>) -> GraphProto {
    let names = [if most.is_some() { "most" } else { "" }, if first.is_some() { "first" } else { "" }];
    let node = with_body("Loop", &[names[0], names[1], "x"], &["last", "all"], &[], doubling(condition));
    let infos = vec![info("x", DType::F32, &[]), info("limit", DType::F32, &[])];
    let mut whole = graph(vec![node], infos, &["last", "all"]);
    whole.initializer.extend(most.map(|most| tensor("most", &i64s(&[], &[most]))));
    whole.initializer.extend(first.map(|first| tensor("first", &truth(first))));
    whole
}

#[test]
fn loops_of_so_many_turns() {
    let graph = imported(20, looping("go", Some(4), Some(true))).expect("a graph");
    // 1, 2, 5, 12, 27
    let made = run(&graph, &[f32s(&[], &[1.0]), f32s(&[], &[0.0])]);
    assert_eq!(made, [(vec![], vec![27.]), (vec![4], vec![2., 5., 12., 27.])]);
    assert!(graph.extents.is_empty());
    // A condition that is known to fail ends it before the first turn; then nothing says what the results hold.
    let e = imported(20, looping("go", Some(4), Some(false))).unwrap_err();
    assert!(e.contains("it has no turns"), "{e}");
}

/// Data ends the loop: what is carried stays as it is then, and what turns added counts up to there.
#[test]
fn loops_that_data_ends() {
    for (first, surely) in [(Some(true), true), (None, false)] {
        let graph = imported(20, looping("below", Some(4), first)).expect("a graph");
        assert_eq!(graph.extents, [Extent { output: 1, axis: 0, count: 2 }], "{surely}");
        for (limit, turns, last) in [(100.0, 4, 27.), (10.0, 3, 12.), (3.0, 2, 5.), (0.0, 1, 2.)] {
            let made = run(&graph, &[f32s(&[], &[1.0]), f32s(&[], &[limit])]);
            assert_eq!(made[0], (vec![], vec![last]), "up to {limit}");
            assert_eq!((made[1].0.clone(), made[2].1[0]), (vec![4], f64::from(turns)), "up to {limit}");
            assert_eq!(made[1].1[..turns as usize], [2., 5., 12., 27.][..turns as usize]);
        }
    }
}

/// A loop in a loop reads what lies around both.
#[test]
fn loops_nest_and_capture() {
    let inner = body(&["j", "b", "t"], vec![node("Add", &["t", "s"], &["u"], &[])], &["b", "u"]);
    let inner = with_body("Loop", &["two", "", "s"], &["r"], &[], inner);
    let outer = body(&["i", "a", "s"], vec![inner], &["a", "r"]);
    let node = with_body("Loop", &["two", "", "x"], &["y"], &[], outer);
    let mut whole = graph(vec![node], vec![info("x", DType::F32, &["2"])], &["y"]);
    whole.initializer = vec![tensor("two", &i64s(&[], &[2]))];
    let graph = imported(20, whole).expect("a graph");
    // Twice: s + s + s.
    assert_eq!(run(&graph, &[f32s(&[2], &[1.0, -2.0])]), [(vec![2], vec![9., -18.])]);
}

/// What only adds a step runs as often as a float says, without a copy of its body for each turn.
#[test]
fn counting_runs_any_number_of_turns() {
    let counting =
        body(&["i", "go", "t"], vec![node("Add", &["t", "step"], &["u"], &[])], &["go", "u", "t", "u"]);
    let nodes = vec![
        node("Cast", &["turns"], &["most"], &[("to", A::I(7))]),
        with_body("Loop", &["most", "", "x"], &["last", "before", "after"], &[], counting),
    ];
    let infos = ["turns", "x", "step"].map(|name| info(name, DType::F32, &[]));
    let outputs = ["last", "before", "after"];
    let graph = imported(20, graph(nodes, infos.to_vec(), &outputs)).expect("a graph");
    assert_eq!(graph.prologue.len(), 1);
    let shape = |id| graph.value(id).ty.as_ref().map(|ty| ty.shape.len());
    assert_eq!(graph.outputs.iter().map(|&id| shape(id)).collect::<Vec<_>>(), [Some(0), Some(1), Some(1)]);
}

/// Along its second axis from the end, a state and two results, of which one is turned round.
#[test]
fn scans_go_along_axes_in_either_direction() {
    let nodes = vec![node("Add", &["s", "v"], &["t"], &[]), node("Mul", &["v", "v"], &["square"], &[])];
    let inner = body(&["s", "v"], nodes, &["t", "t", "square"]);
    let attributes = [
        ("num_scan_inputs", A::I(1)),
        ("scan_input_axes", A::Is(vec![-1])),
        ("scan_input_directions", A::Is(vec![1])),
        ("scan_output_axes", A::Is(vec![1, 0])),
        ("scan_output_directions", A::Is(vec![0, 1])),
    ];
    let node = with_body("Scan", &["s0", "x"], &["s", "sums", "squares"], &attributes, inner);
    let infos = vec![info("s0", DType::F32, &["2"]), info("x", DType::F32, &["2", "3"])];
    let graph = imported(20, graph(vec![node], infos, &["s", "sums", "squares"])).expect("a graph");
    let made = run(&graph, &[f32s(&[2], &[0.0, 10.0]), f32s(&[2, 3], &[1., 2., 3., 4., 5., 6.])]);
    assert_eq!(made[0], (vec![2], vec![6., 25.]));
    assert_eq!(made[1], (vec![2, 3], vec![3., 5., 6., 16., 21., 25.]));
    assert_eq!(made[2], (vec![3, 2], vec![1., 16., 4., 25., 9., 36.]));
}

#[test]
fn scans_of_batches() {
    let inner = body(&["s", "v"], vec![node("Add", &["s", "v"], &["t"], &[])], &["t", "t"]);
    let node = with_body("Scan", &["", "s0", "x"], &["s", "sums"], &[("num_scan_inputs", A::I(1))], inner);
    let infos = vec![info("s0", DType::F32, &["2", "1"]), info("x", DType::F32, &["2", "2", "1"])];
    let graph = imported(8, graph(vec![node], infos, &["s", "sums"])).expect("a graph");
    let made = run(&graph, &[f32s(&[2, 1], &[0.0, 10.0]), f32s(&[2, 2, 1], &[1., 2., 3., 4.])]);
    assert_eq!(made, [(vec![2, 1], vec![3., 17.]), (vec![2, 2, 1], vec![1., 3., 13., 17.])]);
}

/// Loops in loops, each of as many turns as one may have; and a tensor that doubles a thousand times.
#[test]
fn what_grows_without_end_is_refused() {
    let two = || vec![node("Add", &["t", "t"], &["u"], &[])];
    let mut inner = body(&["i3", "b3", "t"], two(), &["b3", "u"]);
    for depth in [2, 1, 0] {
        let (names, outer) = ([format!("i{depth}"), format!("b{depth}"), format!("s{depth}")], "r");
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let nodes = vec![with_body("Loop", &["most", "", names[2]], &[outer], &[], inner)];
        inner = body(&names, nodes, &[names[1], outer]);
    }
    let whole = |inner: GraphProto| {
        let node = with_body("Loop", &["most", "", "x"], &["y"], &[], inner);
        let mut whole = graph(vec![node], vec![info("x", DType::F32, &["2"])], &["y"]);
        whole.initializer = vec![tensor("most", &i64s(&[], &[1000]))];
        whole
    };
    let e = imported(20, whole(inner)).unwrap_err();
    assert!(e.contains("the turns of the model's loops are more than 16384"), "{e}");
    let join = node("Concat", &["t", "t"], &["u"], &[("axis", A::I(0))]);
    let e = imported(20, whole(body(&["i", "b", "t"], vec![join], &["b", "u"]))).unwrap_err();
    assert!(e.contains("Concat"), "{e}");
}

#[test]
fn refusals() {
    let refused = |opset, g: GraphProto, text: &str| {
        let e = imported(opset, g).unwrap_err();
        assert!(e.contains(text), "{e}");
    };
    refused(20, looping("go", None, None), "goes on after 1024");
    refused(20, looping("go", Some(5000), None), "a loop has 5000 turns; at most 1024");
    // What does more than count, as often as a float says.
    let mut whole = looping("go", Some(1), None);
    whole.initializer.clear();
    whole.input.push(info("turns", DType::F32, &[]));
    whole.node.insert(0, node("Cast", &["turns"], &["most"], &[("to", A::I(7))]));
    refused(20, whole, "its number of turns follows from data");
    let scan = |dims: &[&str], attributes: &[(&str, A)], inputs: &[&str]| {
        let inner = body(inputs, vec![node("Abs", &["v"], &["w"], &[])], &["w"]);
        let node = with_body("Scan", &["x"], &["y"], attributes, inner);
        graph(vec![node], vec![info("x", DType::F32, dims)], &["y"])
    };
    let one = [("num_scan_inputs", A::I(1))];
    refused(20, scan(&["n"], &one, &["v"]), "the length of what it scans is a symbol");
    refused(20, scan(&["0"], &one, &["v"]), "it has no turns");
    refused(20, scan(&["2"], &one, &["v", "z"]), "its body has 2 inputs, but 1 are given");
    refused(20, scan(&["2"], &[("num_scan_inputs", A::I(2))], &["v"]), "it scans 2 of 1 operands");
    refused(20, scan(&["2"], &[], &["v"]), "`num_scan_inputs` is missing");
    let axes = [("num_scan_inputs", A::I(1)), ("scan_input_axes", A::Is(vec![0, 1]))];
    refused(20, scan(&["2"], &axes, &["v"]), "`scan_input_axes` has 2 entries, but 1 are due");
    let axis = [("num_scan_inputs", A::I(1)), ("scan_input_axes", A::Is(vec![4]))];
    refused(20, scan(&["2"], &axis, &["v"]), "axis 4");
}
