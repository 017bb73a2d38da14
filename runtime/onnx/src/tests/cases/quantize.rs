//! Quantisation. Expected values are those of ONNX's reference evaluator.

use bayplan_graph::DType;

use super::super::{A, f32s, typed};
use super::Cases;

pub(super) fn cases(c: &mut Cases) {
    c.add(
        "QuantizeLinear",
        28,
        &[],
        &[
            Some(f32s(&[7], &[-7.5, -2.5, 0.0, 2.5, 7.5, 900.0, -900.0])),
            Some(f32s(&[], &[5.0])),
            Some(typed(DType::I8, &[], &[-3.0])),
        ],
        9,
        &[typed(DType::I8, &[7], &[-5.0, -3.0, -3.0, -3.0, -1.0, 127.0, -128.0])],
    );
    c.add(
        "QuantizeLinear",
        13,
        &[("axis", A::I(0))],
        &[
            Some(f32s(&[2, 3], &[2.25, 7.15, 4.96, -4.95, -3.6, 6.72])),
            Some(f32s(&[2], &[0.5, 0.1])),
            Some(typed(DType::U8, &[2], &[128.0, 3.0])),
        ],
        9,
        &[typed(DType::U8, &[2, 3], &[132.0, 142.0, 138.0, 0.0, 0.0, 70.0])],
    );
    c.add(
        "QuantizeLinear",
        23,
        &[("block_size", A::I(2)), ("axis", A::I(-1)), ("output_dtype", A::I(5))],
        &[
            Some(f32s(&[2, 5], &[-97.96, 63.6, 58.82, -6.35, -39.0, -43.87, -48.54, -10.87, 0.9, 10.59])),
            Some(f32s(&[2, 3], &[0.5, 0.1, 0.03, 1.0, 2.0, 3.0])),
        ],
        9,
        &[typed(DType::I16, &[2, 5], &[-196.0, 127.0, 588.0, -64.0, -1_300.0, -44.0, -49.0, -5.0, 0.0, 4.0])],
    );
    c.add(
        "DequantizeLinear",
        28,
        &[("axis", A::I(1))],
        &[
            Some(typed(DType::U8, &[2, 2], &[0.0, 3.0, 128.0, 255.0])),
            Some(f32s(&[2], &[2.0, 0.5])),
            Some(typed(DType::U8, &[2], &[128.0, 3.0])),
        ],
        9,
        &[f32s(&[2, 2], &[-256.0, 0.0, 0.0, 126.0])],
    );
    c.add(
        "DequantizeLinear",
        21,
        &[("axis", A::I(0)), ("block_size", A::I(2))],
        &[
            Some(typed(DType::I16, &[2, 3], &[0.0, 3.0, -7.0, 128.0, 255.0, 1.0])),
            Some(f32s(&[1, 3], &[2.0, 0.5, 3.0])),
        ],
        9,
        &[f32s(&[2, 3], &[0.0, 1.5, -21.0, 256.0, 127.5, 3.0])],
    );
    c.add(
        "DequantizeLinear",
        19,
        &[],
        &[Some(typed(DType::I32, &[2], &[-5.0, 70_000.0])), Some(f32s(&[], &[0.25]))],
        9,
        &[f32s(&[2], &[-1.25, 17_500.0])],
    );
    c.add(
        "DynamicQuantizeLinear",
        11,
        &[],
        &[Some(f32s(&[6], &[0.0, 2.0, -3.0, -2.5, 1.34, 0.5]))],
        9,
        &[
            typed(DType::U8, &[6], &[153.0, 255.0, 0.0, 26.0, 221.0, 179.0]),
            f32s(&[], &[0.019_607_8]),
            typed(DType::U8, &[], &[153.0]),
        ],
    );
    c.add(
        "DynamicQuantizeLinear",
        11,
        &[],
        &[Some(f32s(&[2], &[0.0, 0.0]))],
        9,
        &[typed(DType::U8, &[2], &[0.0, 0.0]), f32s(&[], &[0.003_921_57]), typed(DType::U8, &[], &[0.0])],
    );
}
