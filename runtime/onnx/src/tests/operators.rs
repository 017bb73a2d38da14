//! Every row of the table: what a model of one node computes. Expected values follow from the operators' definitions.

use std::collections::BTreeSet;

use bayplan_graph::{NoFiles, Tensor, eval, verify};

use super::{A, bools, bytes, f32s, graph, i64s, info, model, node};
use crate::{ImportOptions, import, supported};

/// One node with all its operands given at run time, but for those from `constants` on, which are initializers.
struct Case {
    op: &'static str,
    opset: i64,
    attributes: Vec<(&'static str, A)>,
    inputs: Vec<Option<Tensor>>,
    constants: usize,
    expected: Vec<Tensor>,
}

fn run(case: &Case) -> Result<Vec<Tensor>, String> {
    let names: Vec<String> = (0..case.inputs.len()).map(|i| format!("x{i}")).collect();
    let used: Vec<&str> =
        names.iter().zip(&case.inputs).map(|(n, t)| if t.is_some() { n.as_str() } else { "" }).collect();
    let outputs: Vec<String> = (0..case.expected.len()).map(|i| format!("y{i}")).collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let (mut given, mut infos, mut initializers) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (name, t)) in names.iter().zip(&case.inputs).enumerate() {
        let Some(t) = t else { continue };
        if i >= case.constants {
            initializers.push(super::tensor(name, t));
        } else {
            let dims: Vec<String> = t.shape().iter().map(ToString::to_string).collect();
            infos.push(info(name, t.dtype(), &dims.iter().map(String::as_str).collect::<Vec<_>>()));
            given.push(t.clone());
        }
    }
    let mut g = graph(vec![node(case.op, &used, &outputs, &case.attributes)], infos, &outputs);
    g.initializer = initializers;
    let bytes = bytes(&model(case.opset, g));
    let mut graph = import(&bytes, &ImportOptions::default()).map_err(|e| e.to_string())?;
    graph.infer().map_err(|e| e.to_string())?;
    verify(&graph).map_err(|e| e.to_string())?;
    let names: Vec<&str> = graph.outputs.iter().map(|&id| &*graph.value(id).name).collect();
    assert_eq!(names, outputs, "{}", case.op);
    eval(&graph, &given, &NoFiles).map_err(|e| e.to_string())
}

fn close(a: &Tensor, b: &Tensor) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= 2e-5 * b.abs().max(1.0) || a == b;
    a.dtype() == b.dtype()
        && a.shape() == b.shape()
        && a.to_f64().iter().zip(b.to_f64()).all(|(&a, b)| near(a, b))
}

fn cases() -> Vec<Case> {
    let mut list = Vec::new();
    let mut add = |op,
                   opset,
                   attributes: &[(&'static str, A)],
                   inputs: &[Option<Tensor>],
                   constants,
                   expected: &[Tensor]| {
        let (attributes, inputs, expected) = (attributes.to_vec(), inputs.to_vec(), expected.to_vec());
        list.push(Case { op, opset, attributes, inputs, constants, expected });
    };
    let v = |list: &[f32]| f32s(&[list.len()], list);
    let s = |x: f32| Some(f32s(&[], &[x]));
    let l = |list: &[i64]| Some(i64s(&[list.len()], list));
    for (op, x, y) in [
        ("Abs", -1.5, 1.5),
        ("Ceil", 1.2, 2.0),
        ("Cos", 0.0, 1.0),
        ("Erf", 0.5, 0.520_499_9),
        ("Exp", 1.0, 2.718_281_7),
        ("Floor", -1.2, -2.0),
        ("Log", 2.0, 0.693_147_2),
        ("Neg", 3.0, -3.0),
        ("Reciprocal", 4.0, 0.25),
        ("Round", 2.5, 2.0),
        ("Sign", -7.0, -1.0),
        ("Sin", 1.0, 0.841_471),
        ("Sqrt", 9.0, 3.0),
        ("Relu", -2.0, 0.0),
        ("Sigmoid", 0.0, 0.5),
        ("Softplus", 0.0, 0.693_147_2),
        ("Tanh", 0.5, 0.462_117_2),
        ("Celu", -1.0, -0.632_120_6),
        ("Elu", -1.0, -0.632_120_6),
        ("Gelu", 1.0, 0.841_344_8),
        ("HardSigmoid", 1.0, 0.7),
        ("HardSwish", 1.0, 0.666_666_7),
        ("LeakyRelu", -2.0, -0.02),
        ("Mish", 1.0, 0.865_098_4),
        ("Selu", -1.0, -1.111_330_7),
        ("Softsign", -3.0, -0.75),
        ("ThresholdedRelu", 0.5, 0.0),
        ("Identity", 5.0, 5.0),
        ("Dropout", 5.0, 5.0),
    ] {
        add(op, 20, &[], &[Some(v(&[x]))], 9, &[v(&[y])]);
        add(op, 20, &[], &[Some(v(&[x, x]))], 1, &[v(&[y, y])]);
    }
    add(
        "Gelu",
        20,
        &[("approximate", A::S("tanh"))],
        &[Some(v(&[1.0, -0.5]))],
        1,
        &[v(&[0.841_192, -0.154_286])],
    );
    add("Elu", 20, &[("alpha", A::F(2.0))], &[Some(v(&[-1.0, 3.0]))], 1, &[v(&[-1.264_241_1, 3.0])]);
    add("Celu", 20, &[("alpha", A::F(2.0))], &[Some(v(&[-2.0]))], 1, &[v(&[-1.264_241_1])]);
    add(
        "HardSigmoid",
        20,
        &[("alpha", A::F(1.0)), ("beta", A::F(0.0))],
        &[Some(v(&[-2.0, 0.3, 5.0]))],
        1,
        &[v(&[0.0, 0.3, 1.0])],
    );
    add("PRelu", 20, &[], &[Some(v(&[-2.0, 3.0])), Some(v(&[0.5]))], 1, &[v(&[-1.0, 3.0])]);
    add("IsNaN", 20, &[], &[Some(v(&[f32::NAN, 1.0]))], 1, &[bools(&[true, false])]);
    add("IsInf", 20, &[], &[Some(v(&[f32::NEG_INFINITY, 1.0]))], 1, &[bools(&[true, false])]);
    add("Not", 20, &[], &[Some(bools(&[true, false]))], 1, &[bools(&[false, true])]);
    for (op, y) in [
        ("Add", 5.0),
        ("Sub", 1.0),
        ("Mul", 6.0),
        ("Div", 1.5),
        ("Pow", 9.0),
        ("Max", 3.0),
        ("Min", 2.0),
        ("Sum", 5.0),
        ("Mean", 2.5),
    ] {
        add(op, 20, &[], &[Some(v(&[3.0, 3.0])), Some(v(&[2.0]))], 1, &[v(&[y, y])]);
    }
    add("Max", 20, &[], &[Some(v(&[3.0])), Some(v(&[2.0])), Some(v(&[7.0]))], 3, &[v(&[7.0])]);
    add("Mean", 20, &[], &[Some(v(&[3.0])), Some(v(&[2.0])), Some(v(&[7.0]))], 3, &[v(&[4.0])]);
    add("Pow", 20, &[], &[Some(v(&[3.0])), l(&[2])], 1, &[v(&[9.0])]);
    add("Mod", 20, &[("fmod", A::I(1))], &[Some(v(&[-5.0])), Some(v(&[3.0]))], 1, &[v(&[-2.0])]);
    add("Mod", 20, &[], &[l(&[-5]), l(&[3])], 2, &[i64s(&[1], &[1])]);
    for (op, y) in [
        ("Equal", [false, true, false]),
        ("Less", [true, false, false]),
        ("LessOrEqual", [true, true, false]),
        ("Greater", [false, false, true]),
        ("GreaterOrEqual", [false, true, true]),
    ] {
        add(op, 20, &[], &[Some(v(&[1.0, 2.0, 3.0])), Some(v(&[2.0]))], 2, &[bools(&y)]);
    }
    for (op, y) in [("And", [false, false, true]), ("Or", [false, true, true]), ("Xor", [false, true, false])]
    {
        add(
            op,
            20,
            &[],
            &[Some(bools(&[false, true, true])), Some(bools(&[false, false, true]))],
            2,
            &[bools(&y)],
        );
    }
    add("Clip", 20, &[], &[Some(v(&[-2.0, 0.5, 9.0])), s(0.0), s(6.0)], 1, &[v(&[0.0, 0.5, 6.0])]);
    add("Clip", 20, &[], &[Some(v(&[-2.0, 9.0])), None, s(6.0)], 1, &[v(&[-2.0, 6.0])]);
    add("Clip", 10, &[("min", A::F(0.0))], &[Some(v(&[-2.0, 9.0]))], 1, &[v(&[0.0, 9.0])]);
    add("Where", 20, &[], &[Some(bools(&[true, false])), Some(v(&[1.0, 1.0])), s(9.0)], 2, &[v(&[1.0, 9.0])]);
    add("Cast", 20, &[("to", A::I(7))], &[Some(v(&[1.9, -1.9]))], 1, &[i64s(&[2], &[1, -1])]);
    add("CastLike", 20, &[], &[l(&[3]), s(0.0)], 1, &[v(&[3.0])]);
    let m = f32s(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    add(
        "MatMul",
        20,
        &[],
        &[Some(m.clone()), Some(m.clone())],
        1,
        &[f32s(&[2, 2], &[7.0, 10.0, 15.0, 22.0])],
    );
    add(
        "Gemm",
        20,
        &[("transB", A::I(1)), ("alpha", A::F(2.0)), ("beta", A::F(0.5))],
        &[Some(m.clone()), Some(m.clone()), Some(v(&[2.0, 4.0]))],
        1,
        &[f32s(&[2, 2], &[11.0, 24.0, 23.0, 52.0])],
    );
    add(
        "Gemm",
        20,
        &[("transA", A::I(1))],
        &[Some(m.clone()), Some(m.clone())],
        1,
        &[f32s(&[2, 2], &[10.0, 14.0, 14.0, 20.0])],
    );
    let image = f32s(&[1, 1, 3, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    let ones = f32s(&[1, 1, 2, 2], &[1.0; 4]);
    add(
        "Conv",
        20,
        &[],
        &[Some(image.clone()), Some(ones.clone()), Some(v(&[100.0]))],
        1,
        &[f32s(&[1, 1, 2, 2], &[112.0, 116.0, 124.0, 128.0])],
    );
    add(
        "Conv",
        20,
        &[("auto_pad", A::S("SAME_UPPER")), ("strides", A::Is(vec![2, 2]))],
        &[Some(image.clone()), Some(ones)],
        1,
        &[f32s(&[1, 1, 2, 2], &[12.0, 9.0, 15.0, 9.0])],
    );
    let two = ("kernel_shape", A::Is(vec![2, 2]));
    add(
        "MaxPool",
        20,
        &[two.clone()],
        &[Some(image.clone())],
        1,
        &[f32s(&[1, 1, 2, 2], &[5.0, 6.0, 8.0, 9.0])],
    );
    add(
        "MaxPool",
        20,
        &[two.clone(), ("strides", A::Is(vec![2, 2])), ("ceil_mode", A::I(1))],
        &[Some(image.clone())],
        1,
        &[f32s(&[1, 1, 2, 2], &[5.0, 6.0, 8.0, 9.0])],
    );
    add(
        "AveragePool",
        20,
        &[two.clone()],
        &[Some(image.clone())],
        1,
        &[f32s(&[1, 1, 2, 2], &[3.0, 4.0, 6.0, 7.0])],
    );
    add(
        "AveragePool",
        20,
        &[two, ("pads", A::Is(vec![1, 1, 0, 0])), ("count_include_pad", A::I(1))],
        &[Some(image.clone())],
        1,
        &[f32s(&[1, 1, 3, 3], &[0.25, 0.75, 1.25, 1.25, 3.0, 4.0, 2.75, 6.0, 7.0])],
    );
    add("GlobalAveragePool", 20, &[], &[Some(image.clone())], 1, &[f32s(&[1, 1, 1, 1], &[5.0])]);
    add("GlobalMaxPool", 20, &[], &[Some(image.clone())], 1, &[f32s(&[1, 1, 1, 1], &[9.0])]);
    let pair = f32s(&[1, 2, 2], &[1.0, 3.0, 5.0, 9.0]);
    let none = ("epsilon", A::F(0.0));
    add(
        "BatchNormalization",
        20,
        &[none.clone()],
        &[
            Some(pair.clone()),
            Some(v(&[2.0, 1.0])),
            Some(v(&[0.5, 0.0])),
            Some(v(&[1.0, 5.0])),
            Some(v(&[4.0, 16.0])),
        ],
        1,
        &[f32s(&[1, 2, 2], &[0.5, 2.5, 0.0, 1.0])],
    );
    add(
        "InstanceNormalization",
        20,
        &[none.clone()],
        &[Some(pair.clone()), Some(v(&[2.0, 1.0])), Some(v(&[0.5, 0.0]))],
        1,
        &[f32s(&[1, 2, 2], &[-1.5, 2.5, -1.0, 1.0])],
    );
    let grouped = [Some(pair.clone()), Some(v(&[2.0, 1.0])), Some(v(&[0.5, 0.0]))];
    add(
        "GroupNormalization",
        20,
        &[none.clone(), ("num_groups", A::I(2))],
        &grouped,
        1,
        &[f32s(&[1, 2, 2], &[-1.5, 2.5, -1.0, 1.0])],
    );
    add(
        "GroupNormalization",
        21,
        &[none.clone(), ("num_groups", A::I(2))],
        &grouped,
        1,
        &[f32s(&[1, 2, 2], &[-1.5, 2.5, -1.0, 1.0])],
    );
    add(
        "LayerNormalization",
        20,
        &[none.clone()],
        &[Some(pair.clone()), Some(v(&[2.0, 1.0])), Some(v(&[0.5, 0.0]))],
        1,
        &[f32s(&[1, 2, 2], &[-1.5, 1.0, -1.5, 1.0])],
    );
    add(
        "RMSNormalization",
        23,
        &[none],
        &[Some(v(&[3.0, 1.0])), Some(v(&[5_f32.sqrt(), 2.0]))],
        1,
        &[v(&[3.0, 2.0 / 5_f32.sqrt()])],
    );
    let ten = [("size", A::I(2)), ("alpha", A::F(2.0)), ("beta", A::F(1.0)), ("bias", A::F(1.0))];
    add(
        "LRN",
        20,
        &ten,
        &[Some(f32s(&[1, 3, 1, 1], &[1.0, 2.0, 3.0]))],
        1,
        &[f32s(&[1, 3, 1, 1], &[1.0 / 6.0, 2.0 / 14.0, 3.0 / 10.0])],
    );
    for (op, y) in [
        ("ReduceSum", [3.0, 7.0]),
        ("ReduceMean", [1.5, 3.5]),
        ("ReduceMax", [2.0, 4.0]),
        ("ReduceMin", [1.0, 3.0]),
        ("ReduceProd", [2.0, 12.0]),
        ("ReduceL1", [3.0, 7.0]),
        ("ReduceL2", [2.236_068, 5.0]),
        ("ReduceSumSquare", [5.0, 25.0]),
        ("ReduceLogSum", [1.098_612_3, 1.945_910_1]),
        ("ReduceLogSumExp", [2.313_261_7, 4.313_261_5]),
    ] {
        add(op, 20, &[("keepdims", A::I(0))], &[Some(m.clone()), l(&[-1])], 1, &[v(&y)]);
        add(op, 11, &[("axes", A::Is(vec![1]))], &[Some(m.clone())], 1, &[f32s(&[2, 1], &y)]);
    }
    add("ReduceSum", 13, &[], &[Some(m.clone())], 1, &[f32s(&[1, 1], &[10.0])]);
    add("ReduceSum", 13, &[("noop_with_empty_axes", A::I(1))], &[Some(m.clone())], 1, &[m.clone()]);
    let third = 1.0 / 3.0;
    let logs = f32s(&[1, 2], &[0.0, core::f32::consts::LN_2]);
    add("Softmax", 20, &[], &[Some(logs.clone())], 1, &[f32s(&[1, 2], &[third, 2.0 * third])]);
    add("LogSoftmax", 20, &[], &[Some(logs)], 1, &[f32s(&[1, 2], &[third.ln(), (2.0 * third).ln()])]);
    add(
        "Softmax",
        11,
        &[("axis", A::I(0))],
        &[Some(f32s(&[2, 2], &[0.0; 4]))],
        1,
        &[f32s(&[2, 2], &[0.25; 4])],
    );
    add("Expand", 20, &[], &[Some(v(&[1.0])), l(&[2, 2])], 1, &[f32s(&[2, 2], &[1.0; 4])]);
    add("Flatten", 20, &[], &[Some(image.clone())], 1, &[image.reshaped(vec![1, 9]).unwrap()]);
    add("Reshape", 20, &[], &[Some(image.clone()), l(&[-1, 3])], 1, &[image.reshaped(vec![3, 3]).unwrap()]);
    add(
        "Reshape",
        14,
        &[("allowzero", A::I(1))],
        &[Some(f32s(&[0, 2], &[])), l(&[4, 0])],
        1,
        &[f32s(&[4, 0], &[])],
    );
    add("Shape", 20, &[("start", A::I(-2))], &[Some(image.clone())], 1, &[i64s(&[2], &[3, 3])]);
    add("Size", 20, &[], &[Some(image.clone())], 1, &[i64s(&[], &[9])]);
    add("Squeeze", 20, &[], &[Some(image.clone()), l(&[0])], 1, &[image.reshaped(vec![1, 3, 3]).unwrap()]);
    add(
        "Squeeze",
        11,
        &[("axes", A::Is(vec![0, 1]))],
        &[Some(image.clone())],
        1,
        &[image.reshaped(vec![3, 3]).unwrap()],
    );
    add("Unsqueeze", 20, &[], &[Some(v(&[1.0])), l(&[0])], 1, &[f32s(&[1, 1], &[1.0])]);
    add("Unsqueeze", 11, &[("axes", A::Is(vec![1]))], &[Some(v(&[1.0]))], 1, &[f32s(&[1, 1], &[1.0])]);
    add(
        "Tile",
        20,
        &[],
        &[Some(m.clone()), l(&[1, 2])],
        1,
        &[f32s(&[2, 4], &[1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0])],
    );
    add("Transpose", 20, &[], &[Some(m.clone())], 1, &[f32s(&[2, 2], &[1.0, 3.0, 2.0, 4.0])]);
    add("Transpose", 20, &[("perm", A::Is(vec![0, 1]))], &[Some(m.clone())], 1, &[m.clone()]);
    add(
        "Concat",
        20,
        &[("axis", A::I(0))],
        &[Some(v(&[1.0])), Some(v(&[2.0, 3.0]))],
        1,
        &[v(&[1.0, 2.0, 3.0])],
    );
    add("Constant", 20, &[("value", A::T(m.clone()))], &[], 0, &[m.clone()]);
    add("Constant", 20, &[("value_float", A::F(2.0))], &[], 0, &[f32s(&[], &[2.0])]);
    add("Constant", 20, &[("value_floats", A::Fs(vec![2.0, 3.0]))], &[], 0, &[v(&[2.0, 3.0])]);
    add("Constant", 20, &[("value_int", A::I(2))], &[], 0, &[i64s(&[], &[2])]);
    add("Constant", 20, &[("value_ints", A::Is(vec![2, 3]))], &[], 0, &[i64s(&[2], &[2, 3])]);
    add("ConstantOfShape", 20, &[("value", A::T(i64s(&[1], &[7])))], &[l(&[2])], 0, &[i64s(&[2], &[7, 7])]);
    add("ConstantOfShape", 20, &[], &[l(&[2])], 0, &[v(&[0.0, 0.0])]);
    add("Gather", 20, &[("axis", A::I(1))], &[Some(m.clone()), l(&[-1])], 1, &[f32s(&[2, 1], &[2.0, 4.0])]);
    add("GatherND", 20, &[], &[Some(m.clone()), Some(i64s(&[1, 2], &[1, 0]))], 1, &[v(&[3.0])]);
    add("Pad", 20, &[], &[Some(v(&[1.0])), l(&[1, 2]), s(9.0)], 1, &[v(&[9.0, 1.0, 9.0, 9.0])]);
    add(
        "Pad",
        18,
        &[],
        &[Some(m.clone()), l(&[1, 0]), None, l(&[-1])],
        1,
        &[f32s(&[2, 3], &[0.0, 1.0, 2.0, 0.0, 3.0, 4.0])],
    );
    add(
        "Pad",
        10,
        &[("pads", A::Is(vec![1, 0])), ("value", A::F(5.0))],
        &[Some(v(&[1.0]))],
        1,
        &[v(&[5.0, 1.0])],
    );
    add(
        "Pad",
        20,
        &[("mode", A::S("reflect"))],
        &[Some(v(&[1.0, 2.0])), l(&[1, 0])],
        1,
        &[v(&[2.0, 1.0, 2.0])],
    );
    add(
        "Range",
        20,
        &[],
        &[Some(i64s(&[], &[1])), Some(i64s(&[], &[6])), Some(i64s(&[], &[2]))],
        0,
        &[i64s(&[3], &[1, 3, 5])],
    );
    add("Slice", 20, &[], &[Some(v(&[1.0, 2.0, 3.0])), l(&[1]), l(&[i64::MAX])], 1, &[v(&[2.0, 3.0])]);
    add(
        "Slice",
        9,
        &[("starts", A::Is(vec![-1])), ("ends", A::Is(vec![9])), ("axes", A::Is(vec![1]))],
        &[Some(m.clone())],
        1,
        &[f32s(&[2, 1], &[2.0, 4.0])],
    );
    add(
        "Split",
        20,
        &[("num_outputs", A::I(2))],
        &[Some(v(&[1.0, 2.0, 3.0]))],
        1,
        &[v(&[1.0, 2.0]), v(&[3.0])],
    );
    add("Split", 13, &[], &[Some(v(&[1.0, 2.0, 3.0])), l(&[1, 2])], 1, &[v(&[1.0]), v(&[2.0, 3.0])]);
    add(
        "Split",
        11,
        &[("split", A::Is(vec![2, 1]))],
        &[Some(v(&[1.0, 2.0, 3.0]))],
        1,
        &[v(&[1.0, 2.0]), v(&[3.0])],
    );
    list
}

#[test]
fn every_operator_computes_what_onnx_says() {
    for case in cases() {
        let place = format!("{} {:?} of {:?}", case.op, case.attributes, case.inputs);
        let made = run(&case).unwrap_or_else(|e| panic!("{place}: {e}"));
        assert_eq!(made.len(), case.expected.len(), "{place}");
        for (made, expected) in made.iter().zip(&case.expected) {
            assert!(close(made, expected), "{place}: {made:?} instead of {expected:?}");
        }
    }
}

#[test]
fn every_row_of_the_table_is_tested() {
    let tested: BTreeSet<&str> = cases().iter().map(|c| c.op).collect();
    let missing: Vec<&str> =
        supported().into_iter().map(|(op, _)| op).filter(|op| !tested.contains(op)).collect();
    assert!(missing.is_empty(), "no test for {missing:?}");
}
