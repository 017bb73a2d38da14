//! Products of quantised integers. Expected values are those of ONNX's reference evaluator.

use bayplan_graph::DType;

use super::super::{A, f32s, typed};
use super::Cases;

pub(super) fn cases(c: &mut Cases) {
    c.add(
        "MatMulInteger",
        10,
        &[],
        &[
            Some(typed(DType::U8, &[2, 3], &[241.0, 160.0, 175.0, 229.0, 148.0, 198.0])),
            Some(typed(DType::I8, &[3, 2], &[85.0, -71.0, -114.0, -52.0, -56.0, 95.0])),
            Some(typed(DType::U8, &[1], &[7.0])),
            Some(typed(DType::I8, &[2], &[3.0, -2.0])),
        ],
        9,
        &[typed(DType::I32, &[2, 2], &[-8_625.0, -7_500.0, -9_562.0, -3_841.0])],
    );
    c.add(
        "ConvInteger",
        10,
        &[("pads", A::Is(vec![0, 1, 0, 0]))],
        &[
            Some(typed(DType::U8, &[1, 1, 2, 3], &[233.0, 1.0, 127.0, 210.0, 33.0, 204.0])),
            Some(typed(DType::U8, &[2, 1, 2, 2], &[30.0, 119.0, 209.0, 77.0, 87.0, 71.0, 184.0, 65.0])),
            Some(typed(DType::U8, &[], &[9.0])),
            Some(typed(DType::U8, &[2], &[1.0, 200.0])),
        ],
        9,
        &[typed(DType::I32, &[1, 2, 1, 3], &[41_708.0, 49_184.0, 33_504.0, -56_031.0, -30_736.0, -41_027.0])],
    );
    c.add(
        "QLinearMatMul",
        21,
        &[],
        &[
            Some(typed(DType::U8, &[2, 3], &[253.0, 113.0, 122.0, 129.0, 149.0, 141.0])),
            Some(f32s(&[1], &[0.011])),
            Some(typed(DType::U8, &[1], &[120.0])),
            Some(typed(DType::U8, &[3, 2], &[130.0, 254.0, 206.0, 202.0, 179.0, 159.0])),
            Some(f32s(&[1], &[0.017])),
            Some(typed(DType::U8, &[1], &[100.0])),
            Some(f32s(&[1], &[0.3])),
            Some(typed(DType::U8, &[1], &[77.0])),
        ],
        9,
        &[typed(DType::U8, &[2, 2], &[79.0, 89.0, 80.0, 80.0])],
    );
    c.add(
        "QLinearConv",
        10,
        &[],
        &[
            Some(typed(DType::U8, &[1, 2, 2, 2], &[87.0, 253.0, 119.0, 55.0, 216.0, 41.0, 219.0, 156.0])),
            Some(f32s(&[], &[0.013])),
            Some(typed(DType::U8, &[], &[100.0])),
            Some(typed(DType::U8, &[2, 2, 1, 2], &[29.0, 11.0, 113.0, 9.0, 36.0, 131.0, 248.0, 119.0])),
            Some(f32s(&[2], &[0.02, 0.007])),
            Some(typed(DType::U8, &[2], &[90.0, 60.0])),
            Some(f32s(&[], &[0.21])),
            Some(typed(DType::U8, &[], &[130.0])),
            Some(typed(DType::I32, &[2], &[100.0, -900.0])),
        ],
        9,
        &[typed(DType::U8, &[1, 2, 2, 1], &[125.0, 131.0, 142.0, 139.0])],
    );
}
