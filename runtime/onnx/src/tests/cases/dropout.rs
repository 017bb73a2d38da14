//! Dropout that keeps all.

use super::super::{A, f32s, flags};
use super::Cases;

pub(super) fn cases(c: &mut Cases) {
    c.add(
        "Dropout",
        13,
        &[],
        &[Some(f32s(&[3], &[0.11, -0.74, 0.19]))],
        9,
        &[f32s(&[3], &[0.11, -0.74, 0.19]), flags(&[3], &[true, true, true])],
    );
    c.add(
        "Dropout",
        7,
        &[],
        &[Some(f32s(&[3], &[0.11, -0.74, 0.19]))],
        9,
        &[f32s(&[3], &[0.11, -0.74, 0.19]), f32s(&[3], &[1.0, 1.0, 1.0])],
    );
    c.add(
        "Dropout",
        13,
        &[],
        &[Some(f32s(&[3], &[0.11, -0.74, 0.19])), Some(f32s(&[], &[0.5])), Some(flags(&[], &[false]))],
        1,
        &[f32s(&[3], &[0.11, -0.74, 0.19]), flags(&[3], &[true, true, true])],
    );
    c.add(
        "Dropout",
        13,
        &[("seed", A::I(3))],
        &[Some(f32s(&[3], &[0.11, -0.74, 0.19])), Some(f32s(&[], &[0.0])), Some(flags(&[], &[true]))],
        9,
        &[f32s(&[3], &[0.11, -0.74, 0.19]), flags(&[3], &[true, true, true])],
    );
}
