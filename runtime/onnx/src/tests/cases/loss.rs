//! Losses. Expected values are those of ONNX's reference evaluator.

use super::super::{A, f32s, i64s};
use super::Cases;

pub(super) fn cases(c: &mut Cases) {
    c.add(
        "NegativeLogLikelihoodLoss",
        22,
        &[("reduction", A::S("none"))],
        &[Some(f32s(&[2, 3], &[0.69, 0.85, 0.63, -1.41, 1.89, 1.82])), Some(i64s(&[2], &[2, 0]))],
        9,
        &[f32s(&[2], &[-0.63, 1.41])],
    );
    c.add(
        "NegativeLogLikelihoodLoss",
        22,
        &[],
        &[
            Some(f32s(&[2, 3], &[0.69, 0.85, 0.63, -1.41, 1.89, 1.82])),
            Some(i64s(&[2], &[2, 0])),
            Some(f32s(&[3], &[0.5, 1.0, 2.0])),
        ],
        9,
        &[f32s(&[], &[-0.222])],
    );
    c.add(
        "NegativeLogLikelihoodLoss",
        22,
        &[("reduction", A::S("sum")), ("ignore_index", A::I(-5))],
        &[
            Some(f32s(&[1, 2, 3], &[-0.3, 0.37, -1.84, 1.95, 1.27, 0.55])),
            Some(i64s(&[1, 3], &[1, -5, 0])),
            Some(f32s(&[2], &[0.5, 2.0])),
        ],
        9,
        &[f32s(&[], &[-2.98])],
    );
    c.add(
        "NegativeLogLikelihoodLoss",
        13,
        &[("ignore_index", A::I(9))],
        &[Some(f32s(&[1, 2, 3], &[1.04, -1.25, -0.77, -1.01, 0.38, -1.63])), Some(i64s(&[1, 3], &[1, 9, 0]))],
        9,
        &[f32s(&[], &[0.89])],
    );
    c.add(
        "SoftmaxCrossEntropyLoss",
        13,
        &[],
        &[Some(f32s(&[2, 3], &[0.69, 0.85, 0.63, -1.41, 1.89, 1.82])), Some(i64s(&[2], &[2, 0]))],
        9,
        &[
            f32s(&[], &[2.586_99]),
            f32s(&[2, 3], &[-1.136_32, -0.976_318, -1.196_32, -3.977_67, -0.677_666, -0.747_666]),
        ],
    );
    c.add(
        "SoftmaxCrossEntropyLoss",
        13,
        &[("reduction", A::S("none")), ("ignore_index", A::I(2))],
        &[
            Some(f32s(&[1, 3, 2], &[1.58, -0.15, -0.22, -1.58, 0.74, 1.27])),
            Some(i64s(&[1, 2], &[1, 2])),
            Some(f32s(&[3], &[0.5, 2.0, 3.0])),
        ],
        9,
        &[
            f32s(&[1, 2], &[4.536_27, 0.0]),
            f32s(&[1, 3, 2], &[-0.468_133, -1.682_02, -2.268_13, -3.112_02, -1.308_13, -0.262_025]),
        ],
    );
    c.add(
        "SoftmaxCrossEntropyLoss",
        13,
        &[("reduction", A::S("sum"))],
        &[Some(f32s(&[2, 3], &[0.69, 0.85, 0.63, -1.41, 1.89, 1.82])), Some(i64s(&[2], &[0, 1]))],
        9,
        &[f32s(&[], &[1.813_98])],
    );
}
