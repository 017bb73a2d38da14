//! Gates, thresholds and signs of infinities.

use super::super::{A, f32s, flags, i64s};
use super::Cases;

pub(super) fn cases(c: &mut Cases) {
    c.add(
        "Swish",
        24,
        &[("alpha", A::F(0.5))],
        &[Some(f32s(&[4], &[-1.07, -1.95, -0.28, -0.39]))],
        9,
        &[f32s(&[4], &[-0.395_206, -0.534_076, -0.130_216, -0.176_048])],
    );
    c.add(
        "SwiGLU",
        28,
        &[],
        &[Some(f32s(&[2], &[0.09, -0.09])), Some(f32s(&[2], &[0.22, 0.17]))],
        9,
        &[f32s(&[2], &[0.010_345_2, -0.007_305_98])],
    );
    c.add(
        "SwiGLU",
        28,
        &[("alpha", A::F(2.0))],
        &[Some(f32s(&[2], &[1.04, 0.85])), Some(f32s(&[2], &[0.48, -0.3]))],
        9,
        &[f32s(&[2], &[0.443_761, -0.215_611])],
    );
    c.add(
        "Shrink",
        9,
        &[("bias", A::F(0.5)), ("lambd", A::F(1.0))],
        &[Some(f32s(&[4], &[-1.07, -1.95, -0.28, -0.39]))],
        9,
        &[f32s(&[4], &[-0.57, -1.45, 0.0, 0.0])],
    );
    c.add(
        "Shrink",
        9,
        &[("lambd", A::F(1.5))],
        &[Some(i64s(&[5], &[-2, -1, 0, 1, 2]))],
        9,
        &[i64s(&[5], &[-2, 0, 0, 0, 2])],
    );
    c.add(
        "IsInf",
        20,
        &[("detect_positive", A::I(0))],
        &[Some(f32s(&[4], &[f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1.0]))],
        9,
        &[flags(&[4], &[false, true, false, false])],
    );
    c.add(
        "IsInf",
        20,
        &[("detect_negative", A::I(0))],
        &[Some(f32s(&[4], &[f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1.0]))],
        9,
        &[flags(&[4], &[true, false, false, false])],
    );
    c.add(
        "IsInf",
        10,
        &[("detect_negative", A::I(0)), ("detect_positive", A::I(0))],
        &[Some(f32s(&[4], &[f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1.0]))],
        9,
        &[flags(&[4], &[false, false, false, false])],
    );
}
