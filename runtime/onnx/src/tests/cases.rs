//! One model of one node per case. Expected values follow from the operators' definitions.

use core::f32::consts::LN_2;
use std::slice::from_ref;

use bayplan_graph::{DType, Tensor};

use super::{A, bools, f32s, i64s};

mod attention;
mod bits;
mod blocks;
mod columns;
mod convert;
mod dropout;
mod einsum;
mod extremum;
mod fourier;
mod gate;
mod index;
mod legacy;
mod linear_attention;
mod loss;
mod normalize;
mod pool;
mod quantize;
mod quantized;
mod recurrent;
mod resize;
mod sample;
mod scatter;
mod trigonometry;
mod window;

/// One node with all its operands given at run time, but for those from `constants` on, which are initializers.
pub(super) struct Case {
    pub(super) op: &'static str,
    pub(super) opset: i64,
    pub(super) attributes: Vec<(&'static str, A)>,
    pub(super) inputs: Vec<Option<Tensor>>,
    pub(super) constants: usize,
    pub(super) expected: Vec<Tensor>,
}

/// The cases, added by family.
#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn add(
        &mut self,
        op: &'static str,
        opset: i64,
        attributes: &[(&'static str, A)],
        inputs: &[Option<Tensor>],
        constants: usize,
        expected: &[Tensor],
    ) {
        let (attributes, inputs, expected) = (attributes.to_vec(), inputs.to_vec(), expected.to_vec());
        self.0.push(Case { op, opset, attributes, inputs, constants, expected });
    }
}

fn v(list: &[f32]) -> Tensor {
    f32s(&[list.len()], list)
}

fn s(x: f32) -> Option<Tensor> {
    Some(f32s(&[], &[x]))
}

fn l(list: &[i64]) -> Option<Tensor> {
    Some(i64s(&[list.len()], list))
}

/// [[1, 2], [3, 4]]
fn matrix() -> Tensor {
    f32s(&[2, 2], &[1.0, 2.0, 3.0, 4.0])
}

/// 1 to 9 as one 3 × 3 channel.
fn image() -> Tensor {
    f32s(&[1, 1, 3, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])
}

pub(super) fn cases() -> Vec<Case> {
    let mut c = Cases::default();
    for family in [
        unary,
        activations,
        binary,
        ternary,
        products,
        pools,
        normalizations,
        reductions,
        shapes,
        tensors,
        cuts,
        attention::cases,
        bits::cases,
        scatter::cases,
        loss::cases,
        normalize::cases,
        columns::cases,
        convert::cases,
        einsum::cases,
        fourier::cases,
        quantize::cases,
        quantized::cases,
        resize::cases,
        sample::cases,
        blocks::cases,
        gate::cases,
        index::cases,
        legacy::cases,
        trigonometry::cases,
        pool::cases,
        extremum::cases,
        window::cases,
        dropout::cases,
        linear_attention::cases,
        recurrent::cases,
    ] {
        family(&mut c);
    }
    c.0
}

fn unary(c: &mut Cases) {
    for (op, x, y) in [
        ("Abs", -1.5, 1.5),
        ("Atan", 1.0, core::f32::consts::FRAC_PI_4),
        ("Ceil", 1.2, 2.0),
        ("Cos", 0.0, 1.0),
        ("Cosh", 1.0, 1.543_080_6),
        ("Erf", 0.5, 0.520_499_9),
        ("Exp", 1.0, 2.718_281_7),
        ("Floor", -1.2, -2.0),
        ("Log", 2.0, LN_2),
        ("Neg", 3.0, -3.0),
        ("Reciprocal", 4.0, 0.25),
        ("Round", 2.5, 2.0),
        ("Sign", -7.0, -1.0),
        ("Sin", 1.0, 0.841_471),
        ("Sqrt", 9.0, 3.0),
        ("Relu", -2.0, 0.0),
        ("Sigmoid", 0.0, 0.5),
        ("Softplus", 0.0, LN_2),
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
        c.add(op, 20, &[], &[Some(v(&[x]))], 9, &[v(&[y])]);
        c.add(op, 20, &[], &[Some(v(&[x, x]))], 1, &[v(&[y, y])]);
    }
}

fn activations(c: &mut Cases) {
    c.add(
        "Gelu",
        20,
        &[("approximate", A::S("tanh"))],
        &[Some(v(&[1.0, -0.5]))],
        1,
        &[v(&[0.841_192, -0.154_286])],
    );
    c.add("Elu", 20, &[("alpha", A::F(2.0))], &[Some(v(&[-1.0, 3.0]))], 1, &[v(&[-1.264_241_1, 3.0])]);
    c.add("Celu", 20, &[("alpha", A::F(2.0))], &[Some(v(&[-2.0]))], 1, &[v(&[-1.264_241_1])]);
    c.add(
        "HardSigmoid",
        20,
        &[("alpha", A::F(1.0)), ("beta", A::F(0.0))],
        &[Some(v(&[-2.0, 0.3, 5.0]))],
        1,
        &[v(&[0.0, 0.3, 1.0])],
    );
    c.add("PRelu", 20, &[], &[Some(v(&[-2.0, 3.0])), Some(v(&[0.5]))], 1, &[v(&[-1.0, 3.0])]);
    c.add("IsNaN", 20, &[], &[Some(v(&[f32::NAN, 1.0]))], 1, &[bools(&[true, false])]);
    c.add("IsInf", 20, &[], &[Some(v(&[f32::NEG_INFINITY, 1.0]))], 1, &[bools(&[true, false])]);
    c.add("Not", 20, &[], &[Some(bools(&[true, false]))], 1, &[bools(&[false, true])]);
}

fn binary(c: &mut Cases) {
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
        c.add(op, 20, &[], &[Some(v(&[3.0, 3.0])), Some(v(&[2.0]))], 1, &[v(&[y, y])]);
    }
    c.add("Max", 20, &[], &[Some(v(&[3.0])), Some(v(&[2.0])), Some(v(&[7.0]))], 3, &[v(&[7.0])]);
    c.add("Mean", 20, &[], &[Some(v(&[3.0])), Some(v(&[2.0])), Some(v(&[7.0]))], 3, &[v(&[4.0])]);
    c.add("Pow", 20, &[], &[Some(v(&[3.0])), l(&[2])], 1, &[v(&[9.0])]);
    let halves = || Some(v(&[0.5, 0.5, -1.0]));
    for constants in [1, 2] {
        c.add("Pow", 20, &[], &[l(&[4, 9, 2]), halves()], constants, &[i64s(&[3], &[2, 3, 0])]);
    }
    c.add("Pow", 20, &[], &[l(&[94_906_267, -3]), s(2.0)], 1, &[i64s(&[2], &[9_007_199_515_875_289, 9])]);
    let ints = |list: &[i128]| Tensor::from_ints(DType::I32, vec![list.len()], list).expect("a tensor");
    c.add("Pow", 20, &[], &[Some(ints(&[4, 9, 2])), s(0.5)], 1, &[ints(&[2, 3, 1])]);
    c.add("Mod", 20, &[("fmod", A::I(1))], &[Some(v(&[-5.0])), Some(v(&[3.0]))], 1, &[v(&[-2.0])]);
    c.add("Mod", 20, &[], &[l(&[-5]), l(&[3])], 2, &[i64s(&[1], &[1])]);
    c.add("Mod", 28, &[("fmod", A::I(1))], &[l(&[-5, 5]), l(&[3, -3])], 2, &[i64s(&[2], &[-2, 2])]);
    let (inf, x) = (f32::INFINITY, [-5.0, 5.0, 6.0, -1.0, 1.0, 0.0]);
    c.add(
        "Mod",
        28,
        &[],
        &[Some(v(&x)), Some(v(&[3.0, -3.0, 3.0, inf, inf, -3.0]))],
        9,
        &[v(&[1.0, -1.0, 0.0, inf, 1.0, 0.0])],
    );
    for (op, y) in [
        ("Equal", [false, true, false]),
        ("Less", [true, false, false]),
        ("LessOrEqual", [true, true, false]),
        ("Greater", [false, false, true]),
        ("GreaterOrEqual", [false, true, true]),
    ] {
        c.add(op, 20, &[], &[Some(v(&[1.0, 2.0, 3.0])), Some(v(&[2.0]))], 2, &[bools(&y)]);
    }
    for (op, y) in [("And", [false, false, true]), ("Or", [false, true, true]), ("Xor", [false, true, false])]
    {
        c.add(
            op,
            20,
            &[],
            &[Some(bools(&[false, true, true])), Some(bools(&[false, false, true]))],
            2,
            &[bools(&y)],
        );
    }
}

fn ternary(c: &mut Cases) {
    c.add("Clip", 20, &[], &[Some(v(&[-2.0, 0.5, 9.0])), s(0.0), s(6.0)], 1, &[v(&[0.0, 0.5, 6.0])]);
    c.add("Clip", 20, &[], &[Some(v(&[-2.0, 9.0])), None, s(6.0)], 1, &[v(&[-2.0, 6.0])]);
    c.add("Clip", 10, &[("min", A::F(0.0))], &[Some(v(&[-2.0, 9.0]))], 1, &[v(&[0.0, 9.0])]);
    c.add(
        "Where",
        20,
        &[],
        &[Some(bools(&[true, false])), Some(v(&[1.0, 1.0])), s(9.0)],
        2,
        &[v(&[1.0, 9.0])],
    );
}

fn products(c: &mut Cases) {
    let m = matrix();
    let image = image();
    c.add(
        "MatMul",
        20,
        &[],
        &[Some(m.clone()), Some(m.clone())],
        1,
        &[f32s(&[2, 2], &[7.0, 10.0, 15.0, 22.0])],
    );
    c.add(
        "Gemm",
        20,
        &[("transB", A::I(1)), ("alpha", A::F(2.0)), ("beta", A::F(0.5))],
        &[Some(m.clone()), Some(m.clone()), Some(v(&[2.0, 4.0]))],
        1,
        &[f32s(&[2, 2], &[11.0, 24.0, 23.0, 52.0])],
    );
    c.add(
        "Gemm",
        20,
        &[("transA", A::I(1))],
        &[Some(m.clone()), Some(m.clone())],
        1,
        &[f32s(&[2, 2], &[10.0, 14.0, 14.0, 20.0])],
    );
    c.add(
        "Gemm",
        20,
        &[("beta", A::F(0.0))],
        &[Some(m.clone()), Some(m.clone()), Some(v(&[f32::NAN, f32::INFINITY]))],
        3,
        &[f32s(&[2, 2], &[7.0, 10.0, 15.0, 22.0])],
    );
    let ones = f32s(&[1, 1, 2, 2], &[1.0; 4]);
    c.add(
        "Conv",
        20,
        &[],
        &[Some(image.clone()), Some(ones.clone()), Some(v(&[100.0]))],
        1,
        &[f32s(&[1, 1, 2, 2], &[112.0, 116.0, 124.0, 128.0])],
    );
    c.add(
        "Conv",
        20,
        &[("auto_pad", A::S("SAME_UPPER")), ("strides", A::Is(vec![2, 2]))],
        &[Some(image.clone()), Some(ones)],
        1,
        &[f32s(&[1, 1, 2, 2], &[12.0, 9.0, 15.0, 9.0])],
    );
}

fn pools(c: &mut Cases) {
    let image = image();
    let two = ("kernel_shape", A::Is(vec![2, 2]));
    c.add(
        "MaxPool",
        20,
        from_ref(&two),
        &[Some(image.clone())],
        1,
        &[f32s(&[1, 1, 2, 2], &[5.0, 6.0, 8.0, 9.0])],
    );
    c.add(
        "MaxPool",
        20,
        &[two.clone(), ("strides", A::Is(vec![2, 2])), ("ceil_mode", A::I(1))],
        &[Some(image.clone())],
        1,
        &[f32s(&[1, 1, 2, 2], &[5.0, 6.0, 8.0, 9.0])],
    );
    c.add(
        "AveragePool",
        20,
        from_ref(&two),
        &[Some(image.clone())],
        1,
        &[f32s(&[1, 1, 2, 2], &[3.0, 4.0, 6.0, 7.0])],
    );
    c.add(
        "AveragePool",
        20,
        &[two, ("pads", A::Is(vec![1, 1, 0, 0])), ("count_include_pad", A::I(1))],
        &[Some(image.clone())],
        1,
        &[f32s(&[1, 1, 3, 3], &[0.25, 0.75, 1.25, 1.25, 3.0, 4.0, 2.75, 6.0, 7.0])],
    );
    c.add("GlobalAveragePool", 20, &[], &[Some(image.clone())], 1, &[f32s(&[1, 1, 1, 1], &[5.0])]);
    c.add("GlobalMaxPool", 20, &[], &[Some(image.clone())], 1, &[f32s(&[1, 1, 1, 1], &[9.0])]);
}

fn normalizations(c: &mut Cases) {
    let pair = f32s(&[1, 2, 2], &[1.0, 3.0, 5.0, 9.0]);
    let none = ("epsilon", A::F(0.0));
    c.add(
        "BatchNormalization",
        20,
        from_ref(&none),
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
    c.add(
        "InstanceNormalization",
        20,
        from_ref(&none),
        &[Some(pair.clone()), Some(v(&[2.0, 1.0])), Some(v(&[0.5, 0.0]))],
        1,
        &[f32s(&[1, 2, 2], &[-1.5, 2.5, -1.0, 1.0])],
    );
    let grouped = [Some(pair.clone()), Some(v(&[2.0, 1.0])), Some(v(&[0.5, 0.0]))];
    c.add(
        "GroupNormalization",
        20,
        &[none.clone(), ("num_groups", A::I(2))],
        &grouped,
        1,
        &[f32s(&[1, 2, 2], &[-1.5, 2.5, -1.0, 1.0])],
    );
    c.add(
        "GroupNormalization",
        21,
        &[none.clone(), ("num_groups", A::I(2))],
        &grouped,
        1,
        &[f32s(&[1, 2, 2], &[-1.5, 2.5, -1.0, 1.0])],
    );
    c.add(
        "LayerNormalization",
        20,
        from_ref(&none),
        &[Some(pair.clone()), Some(v(&[2.0, 1.0])), Some(v(&[0.5, 0.0]))],
        1,
        &[f32s(&[1, 2, 2], &[-1.5, 1.0, -1.5, 1.0])],
    );
    c.add(
        "RMSNormalization",
        23,
        &[none],
        &[Some(v(&[3.0, 1.0])), Some(v(&[5_f32.sqrt(), 2.0]))],
        1,
        &[v(&[3.0, 2.0 / 5_f32.sqrt()])],
    );
    let ten = [("size", A::I(2)), ("alpha", A::F(2.0)), ("beta", A::F(1.0)), ("bias", A::F(1.0))];
    c.add(
        "LRN",
        20,
        &ten,
        &[Some(f32s(&[1, 3, 1, 1], &[1.0, 2.0, 3.0]))],
        1,
        &[f32s(&[1, 3, 1, 1], &[1.0 / 6.0, 2.0 / 14.0, 3.0 / 10.0])],
    );
}

fn reductions(c: &mut Cases) {
    let m = matrix();
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
        c.add(op, 20, &[("keepdims", A::I(0))], &[Some(m.clone()), l(&[-1])], 1, &[v(&y)]);
        c.add(op, 11, &[("axes", A::Is(vec![1]))], &[Some(m.clone())], 1, &[f32s(&[2, 1], &y)]);
    }
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    for (x, y) in [
        ([inf, 1.0], inf),
        ([-inf, 1.0], 1.0),
        ([-inf, -inf], -inf),
        ([inf, -inf], inf),
        ([nan, inf], nan),
        ([nan, 1.0], nan),
    ] {
        c.add("ReduceLogSumExp", 20, &[], &[Some(v(&x))], 1, &[v(&[y])]);
    }
    c.add("ReduceSum", 13, &[], &[Some(m.clone())], 1, &[f32s(&[1, 1], &[10.0])]);
    c.add("ReduceSum", 13, &[("noop_with_empty_axes", A::I(1))], &[Some(m.clone())], 1, from_ref(&m));
    let third = 1.0 / 3.0;
    let logs = f32s(&[1, 2], &[0.0, LN_2]);
    c.add("Softmax", 20, &[], &[Some(logs.clone())], 1, &[f32s(&[1, 2], &[third, 2.0 * third])]);
    c.add("LogSoftmax", 20, &[], &[Some(logs)], 1, &[f32s(&[1, 2], &[third.ln(), (2.0 * third).ln()])]);
    c.add(
        "Softmax",
        11,
        &[("axis", A::I(0))],
        &[Some(f32s(&[2, 2], &[0.0; 4]))],
        1,
        &[f32s(&[2, 2], &[0.25; 4])],
    );
}

fn shapes(c: &mut Cases) {
    let m = matrix();
    let image = image();
    c.add("Expand", 20, &[], &[Some(v(&[1.0])), l(&[2, 2])], 1, &[f32s(&[2, 2], &[1.0; 4])]);
    c.add("Flatten", 20, &[], &[Some(image.clone())], 1, &[image.reshaped(vec![1, 9]).unwrap()]);
    c.add("Reshape", 20, &[], &[Some(image.clone()), l(&[-1, 3])], 1, &[image.reshaped(vec![3, 3]).unwrap()]);
    c.add(
        "Reshape",
        14,
        &[("allowzero", A::I(1))],
        &[Some(f32s(&[0, 2], &[])), l(&[4, 0])],
        1,
        &[f32s(&[4, 0], &[])],
    );
    c.add("Shape", 20, &[("start", A::I(-2))], &[Some(image.clone())], 1, &[i64s(&[2], &[3, 3])]);
    c.add("Size", 20, &[], &[Some(image.clone())], 1, &[i64s(&[], &[9])]);
    c.add("Squeeze", 20, &[], &[Some(image.clone()), l(&[0])], 1, &[image.reshaped(vec![1, 3, 3]).unwrap()]);
    c.add(
        "Squeeze",
        11,
        &[("axes", A::Is(vec![0, 1]))],
        &[Some(image.clone())],
        1,
        &[image.reshaped(vec![3, 3]).unwrap()],
    );
    c.add("Unsqueeze", 20, &[], &[Some(v(&[1.0])), l(&[0])], 1, &[f32s(&[1, 1], &[1.0])]);
    c.add("Unsqueeze", 11, &[("axes", A::Is(vec![1]))], &[Some(v(&[1.0]))], 1, &[f32s(&[1, 1], &[1.0])]);
    c.add(
        "Tile",
        20,
        &[],
        &[Some(m.clone()), l(&[1, 2])],
        1,
        &[f32s(&[2, 4], &[1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0])],
    );
    c.add("Transpose", 20, &[], &[Some(m.clone())], 1, &[f32s(&[2, 2], &[1.0, 3.0, 2.0, 4.0])]);
    c.add("Transpose", 20, &[("perm", A::Is(vec![0, 1]))], &[Some(m.clone())], 1, from_ref(&m));
}

fn tensors(c: &mut Cases) {
    let m = matrix();
    c.add(
        "Concat",
        20,
        &[("axis", A::I(0))],
        &[Some(v(&[1.0])), Some(v(&[2.0, 3.0]))],
        1,
        &[v(&[1.0, 2.0, 3.0])],
    );
    c.add("Constant", 20, &[("value", A::T(m.clone()))], &[], 0, from_ref(&m));
    c.add("Constant", 20, &[("value_float", A::F(2.0))], &[], 0, &[f32s(&[], &[2.0])]);
    c.add("Constant", 20, &[("value_floats", A::Fs(vec![2.0, 3.0]))], &[], 0, &[v(&[2.0, 3.0])]);
    c.add("Constant", 20, &[("value_int", A::I(2))], &[], 0, &[i64s(&[], &[2])]);
    c.add("Constant", 20, &[("value_ints", A::Is(vec![2, 3]))], &[], 0, &[i64s(&[2], &[2, 3])]);
    c.add("ConstantOfShape", 20, &[("value", A::T(i64s(&[1], &[7])))], &[l(&[2])], 0, &[i64s(&[2], &[7, 7])]);
    c.add("ConstantOfShape", 20, &[], &[l(&[2])], 0, &[v(&[0.0, 0.0])]);
}

fn cuts(c: &mut Cases) {
    let m = matrix();
    c.add("Gather", 20, &[("axis", A::I(1))], &[Some(m.clone()), l(&[-1])], 1, &[f32s(&[2, 1], &[2.0, 4.0])]);
    c.add("GatherND", 20, &[], &[Some(m.clone()), Some(i64s(&[1, 2], &[1, 0]))], 1, &[v(&[3.0])]);
    c.add("Pad", 20, &[], &[Some(v(&[1.0])), l(&[1, 2]), s(9.0)], 1, &[v(&[9.0, 1.0, 9.0, 9.0])]);
    c.add(
        "Pad",
        18,
        &[],
        &[Some(m.clone()), l(&[1, 0]), None, l(&[-1])],
        1,
        &[f32s(&[2, 3], &[0.0, 1.0, 2.0, 0.0, 3.0, 4.0])],
    );
    c.add(
        "Pad",
        10,
        &[("pads", A::Is(vec![1, 0])), ("value", A::F(5.0))],
        &[Some(v(&[1.0]))],
        1,
        &[v(&[5.0, 1.0])],
    );
    c.add(
        "Pad",
        20,
        &[("mode", A::S("reflect"))],
        &[Some(v(&[1.0, 2.0])), l(&[1, 0])],
        1,
        &[v(&[2.0, 1.0, 2.0])],
    );
    c.add(
        "Range",
        20,
        &[],
        &[Some(i64s(&[], &[1])), Some(i64s(&[], &[6])), Some(i64s(&[], &[2]))],
        0,
        &[i64s(&[3], &[1, 3, 5])],
    );
    c.add("Slice", 20, &[], &[Some(v(&[1.0, 2.0, 3.0])), l(&[1]), l(&[i64::MAX])], 1, &[v(&[2.0, 3.0])]);
    c.add(
        "Slice",
        9,
        &[("starts", A::Is(vec![-1])), ("ends", A::Is(vec![9])), ("axes", A::Is(vec![1]))],
        &[Some(m.clone())],
        1,
        &[f32s(&[2, 1], &[2.0, 4.0])],
    );
    c.add(
        "Split",
        20,
        &[("num_outputs", A::I(2))],
        &[Some(v(&[1.0, 2.0, 3.0]))],
        1,
        &[v(&[1.0, 2.0]), v(&[3.0])],
    );
    c.add("Split", 13, &[], &[Some(v(&[1.0, 2.0, 3.0])), l(&[1, 2])], 1, &[v(&[1.0]), v(&[2.0, 3.0])]);
    c.add(
        "Split",
        11,
        &[("split", A::Is(vec![2, 1]))],
        &[Some(v(&[1.0, 2.0, 3.0]))],
        1,
        &[v(&[1.0, 2.0]), v(&[3.0])],
    );
}
