//! Windows and filter banks.

use super::super::{A, f32s, i64s};
use super::Cases;

pub(super) fn cases(c: &mut Cases) {
    c.add("BlackmanWindow", 17, &[], &[Some(i64s(&[], &[4]))], 0, &[f32s(&[4], &[0.0, 0.34, 1.0, 0.34])]);
    c.add(
        "BlackmanWindow",
        17,
        &[("periodic", A::I(0))],
        &[Some(i64s(&[], &[5]))],
        0,
        &[f32s(&[5], &[0.0, 0.34, 1.0, 0.34, 0.0])],
    );
    c.add(
        "HammingWindow",
        17,
        &[],
        &[Some(i64s(&[], &[4]))],
        0,
        &[f32s(&[4], &[0.086_956_5, 0.543_478, 1.0, 0.543_478])],
    );
    c.add(
        "HammingWindow",
        17,
        &[("periodic", A::I(0))],
        &[Some(i64s(&[], &[5]))],
        0,
        &[f32s(&[5], &[0.086_956_5, 0.543_478, 1.0, 0.543_478, 0.086_956_5])],
    );
    c.add("HannWindow", 17, &[], &[Some(i64s(&[], &[4]))], 0, &[f32s(&[4], &[0.0, 0.5, 1.0, 0.5])]);
    c.add(
        "HannWindow",
        17,
        &[("periodic", A::I(0))],
        &[Some(i64s(&[], &[5]))],
        0,
        &[f32s(&[5], &[0.0, 0.5, 1.0, 0.5, 7.64274e-15])],
    );
    c.add(
        "MelWeightMatrix",
        17,
        &[],
        &[
            Some(i64s(&[], &[3])),
            Some(i64s(&[], &[8])),
            Some(i64s(&[], &[8192])),
            Some(f32s(&[], &[0.0])),
            Some(f32s(&[], &[4000.0])),
        ],
        0,
        &[f32s(&[5, 3], &[1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])],
    );
}
