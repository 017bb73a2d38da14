//! What is refused, and how it is said.

use bayplan_graph::DType;

use super::{A, bytes, f32s, graph, i64s, info, model, node, tensor};
use crate::generated::onnx::{ModelProto, NodeProto, OperatorSetIdProto};
use crate::{ImportError, ImportOptions, import};

fn message(model: &ModelProto) -> String {
    import(&bytes(model), &ImportOptions::default()).expect_err("it is refused").to_string()
}

fn refuse(model: &ModelProto, expected: &[&str]) {
    let message = message(model);
    assert!(expected.iter().all(|text| message.contains(text)), "{message}");
}

fn one(opset: i64, node: NodeProto) -> ModelProto {
    model(opset, graph(vec![node], vec![info("x", DType::F32, &["n", "4"])], &["y"]))
}

#[test]
fn unsupported_operators_are_listed_all_at_once() {
    let mut nodes = vec![
        node("FlexAttention", &["x"], &["a"], &[]),
        node("SequenceEmpty", &["a"], &["b"], &[]),
        node("SequenceEmpty", &["b"], &["c"], &[]),
        node("Relu", &["c"], &["y"], &[]),
    ];
    nodes[0].domain = Some("com.microsoft".to_owned());
    nodes[0].name = Some("block/attention".to_owned());
    let mut m = model(20, graph(nodes, vec![info("x", DType::F32, &["n"])], &["y"]));
    m.opset_import.push(OperatorSetIdProto { domain: Some("com.microsoft".to_owned()), version: Some(1) });
    let e = import(&bytes(&m), &ImportOptions::default()).unwrap_err();
    let ImportError::Unsupported(list) = &e else { panic!("{e}") };
    assert_eq!(
        list.iter().map(|u| (u.op.as_str(), u.count, u.opset)).collect::<Vec<_>>(),
        [("SequenceEmpty", 2, 20), ("FlexAttention", 1, 1)]
    );
    let text = e.to_string();
    assert!(text.contains("ai.onnx.SequenceEmpty (opset 20): 2 nodes, such as `SequenceEmpty_1`"), "{text}");
    assert!(
        text.contains("com.microsoft.FlexAttention (opset 1): 1 node, such as `block/attention`"),
        "{text}"
    );
    refuse(&one(19, node("Gelu", &["x"], &["y"], &[])), &["ai.onnx.Gelu (opset 19)"]);
}

#[test]
fn versions_are_checked() {
    let relu = || node("Relu", &["x"], &["y"], &[]);
    refuse(&one(0, relu()), &["opset 0", "1 to 28"]);
    refuse(&one(29, relu()), &["opset 29", "version_converter"]);
    let mut m = one(20, relu());
    m.ir_version = Some(99);
    refuse(&m, &["IR version is 99"]);
    m = one(20, relu());
    m.opset_import[0].domain = Some("ai.onnx.ml".to_owned());
    refuse(&m, &["names no version"]);
    m.opset_import[0].domain = None;
    m.graph = None;
    refuse(&m, &["no graph"]);
    refuse(&ModelProto::default(), &["no ONNX model"]);
}

#[test]
fn nodes_say_what_is_wrong_with_them() {
    let with = |op: &str, attributes: &[(&str, A)]| one(20, node(op, &["x"], &["y"], attributes));
    refuse(
        &one(20, node("Relu", &["z"], &["y"], &[])),
        &["`Relu_0` (Relu)", "reads `z`", "nothing before it makes"],
    );
    refuse(&one(20, node("Relu", &[], &["y"], &[])), &["input 0 is missing"]);
    refuse(&with("Softmax", &[("axis", A::S("one"))]), &["attribute `axis`", "INT is needed"]);
    refuse(&with("Cast", &[]), &["attribute `to` is missing"]);
    refuse(&with("Cast", &[("to", A::I(8))]), &["strings are not supported"]);
    refuse(&with("Cast", &[("to", A::I(14))]), &["number 14"]);
    refuse(&with("MaxPool", &[]), &["`kernel_shape` is missing"]);
    refuse(&with("MaxPool", &[("kernel_shape", A::Is(vec![0]))]), &["holds 0", "at least 1"]);
    refuse(
        &with("MaxPool", &[("kernel_shape", A::Is(vec![2])), ("pads", A::Is(vec![1]))]),
        &["`pads` has 1 entries"],
    );
    refuse(
        &with("MaxPool", &[("kernel_shape", A::Is(vec![2])), ("auto_pad", A::S("SOME"))]),
        &["`SOME` is not known"],
    );
    refuse(&with("Split", &[("axis", A::I(5))]), &["axis 5"]);
    refuse(&with("Constant", &[]), &["missing or sparse"]);
    refuse(&with("Gelu", &[("approximate", A::S("fast"))]), &["`fast`"]);
    refuse(&one(20, node("Relu", &["x"], &["m", "y"], &[])), &["output `y` is not supported"]);
    let flat = node("MaxPool", &["x"], &["y", "m"], &[("kernel_shape", A::Is(vec![2, 2, 2]))]);
    refuse(&one(20, flat), &["rank 2", "window of 3 axes"]);
    let per_element = node("BatchNormalization", &["x", "x", "x", "x", "x"], &["y"], &[("spatial", A::I(0))]);
    refuse(&one(8, per_element), &["spatial=1"]);
    let training = node("Dropout", &["x"], &["y"], &[]);
    refuse(&one(6, training), &["evaluation mode"]);
    let apart = node("Add", &["x", "x"], &["y"], &[("broadcast", A::I(1)), ("axis", A::I(1))]);
    refuse(&one(6, apart), &["rank 2", "axis 1"]);
    let inputs = ["x", "w", "r"].map(|name| info(name, DType::F32, &["n", "2", "2"])).to_vec();
    let unknown = node("GRU", &["x", "w", "r"], &["y"], &[]);
    let open =
        ["the length of the sequence is a symbol, n, but its steps", "export the model with a number there"];
    refuse(&model(22, graph(vec![unknown], inputs.clone(), &["y"])), &open);
    let heads = [("q_num_heads", A::I(1)), ("kv_num_heads", A::I(1))];
    let linear = node("LinearAttention", &["q", "q", "q"], &["y"], &heads);
    let queries = vec![info("q", DType::F32, &["1", "n", "2"])];
    refuse(&model(27, graph(vec![linear], queries, &["y"])), &open);
    let named = node("RNN", &["x", "w", "r"], &["y"], &[("activations", A::Ss(&["Sine"]))]);
    let mut fixed = inputs;
    fixed[0] = info("x", DType::F32, &["3", "2", "2"]);
    refuse(&model(22, graph(vec![named], fixed, &["y"])), &["activation `Sine`"]);
    let heads = node("Attention", &["x", "x", "x"], &["y"], &[]);
    refuse(&one(23, heads), &["rank 2"]);
    let reduction = node("NegativeLogLikelihoodLoss", &["x", "l"], &["y"], &[("reduction", A::S("all"))]);
    let inputs = vec![info("x", DType::F32, &["n", "4"]), info("l", DType::I64, &["n"])];
    refuse(&model(22, graph(vec![reduction], inputs, &["y"])), &["reduction `all`"]);
}

/// A builder that asks for the type of what could not be inferred is not to blame: the node where it began is.
#[test]
fn the_node_that_cannot_be_inferred_is_blamed() {
    let list = |name: &str, v: i64| tensor(name, &i64s(&[1], &[v]));
    let nodes = vec![
        node("Slice", &["x", "from", "to", "axis", "step"], &["t"], &[]),
        node("Relu", &["t"], &["u"], &[]),
        node("Softsign", &["u"], &["y"], &[]),
    ];
    let mut g = graph(nodes, vec![info("x", DType::F32, &["n", "4"])], &["y"]);
    g.initializer = vec![list("from", -1), list("to", -9), list("axis", 0), list("step", -1)];
    let message = message(&model(20, g));
    assert!(message.starts_with("node `Slice_0` (Slice): of f32[n, 4]"), "{message}");
    assert!(!message.contains("Softsign"), "{message}");
}

#[test]
fn values_are_made_once_and_exist() {
    let twice = vec![node("Relu", &["x"], &["y"], &[]), node("Relu", &["x"], &["y"], &[])];
    refuse(&model(20, graph(twice, vec![info("x", DType::F32, &[])], &["y"])), &["`y`", "made twice"]);
    refuse(&model(20, graph(vec![], vec![info("x", DType::F32, &[])], &["y"])), &["`y`", "nothing makes it"]);
    refuse(&model(20, graph(vec![], vec![info("x", DType::F32, &[])], &[])), &["no outputs"]);
    let mut g = graph(vec![], vec![info("x", DType::F32, &["-2"])], &["x"]);
    refuse(&model(20, g.clone()), &["`x`", "dimension 0 is -2"]);
    g.input = vec![info("x", DType::F32, &["2"]); 2];
    refuse(&model(20, g.clone()), &["`x`", "made twice"]);
    g.input.clear();
    g.initializer = vec![tensor("x", &f32s(&[2], &[1.0, 2.0]))];
    g.initializer[0].dims = vec![3];
    refuse(&model(20, g), &["`x`", "8 bytes", "12"]);
}

/// Operators of another domain say what they do not do, too.
#[test]
fn contrib_operators_are_refused_by_name() {
    let inputs =
        [("q", DType::F32, &["1", "2", "32"][..]), ("n", DType::I32, &["1"]), ("t", DType::I32, &[])];
    let inputs: Vec<_> = inputs.into_iter().map(|(name, dtype, dims)| info(name, dtype, dims)).collect();
    let refused = |attributes: &[(&str, A)], expected: &[&str]| {
        let operands = ["q", "q", "q", "", "", "n", "t"];
        let mut made = node("GroupQueryAttention", &operands, &["y"], attributes);
        made.domain = Some("com.microsoft".to_owned());
        refuse(&model(20, graph(vec![made], inputs.clone(), &["y"])), expected);
    };
    refused(&[], &["`num_heads` must be given"]);
    let heads = [("num_heads", A::I(3)), ("kv_num_heads", A::I(1))];
    refused(&heads, &["32 elements do not divide into 3 and 1 heads"]);
    let cache = [("num_heads", A::I(2)), ("kv_num_heads", A::I(2)), ("kv_cache_bit_width", A::I(8))];
    refused(&cache, &["a quantized cache is not supported"]);
    let mut weights = node("MatMulNBits", &["q", "q", "q"], &["y"], &[("N", A::I(4)), ("K", A::I(32))]);
    weights.domain = Some("com.microsoft".to_owned());
    refuse(&model(20, graph(vec![weights], inputs, &["y"])), &["`block_size` must be a number"]);
}
