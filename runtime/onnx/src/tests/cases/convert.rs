//! Conversions; to the smallest types, expected values are those of ONNX's table of conversions.

use bayplan_graph::DType;

use super::super::{A, f32s, i64s, typed};
use super::Cases;

/// The number of a type in files.
fn to(dtype: i64) -> (&'static str, A) {
    ("to", A::I(dtype))
}

pub(super) fn cases(c: &mut Cases) {
    c.add("Cast", 20, &[to(7)], &[Some(f32s(&[2], &[1.9, -1.9]))], 1, &[i64s(&[2], &[1, -1])]);
    c.add("CastLike", 20, &[], &[Some(i64s(&[1], &[3])), Some(f32s(&[], &[0.0]))], 1, &[f32s(&[1], &[3.0])]);
    let one = typed(DType::I32, &[], &[f64::from(0x3f80_0000)]);
    c.add("BitCast", 26, &[to(6)], &[Some(f32s(&[], &[1.0]))], 9, &[one]);
    smallest(c);
}

fn smallest(c: &mut Cases) {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let x = [0.479, 1e6, -1e6, f32::INFINITY, f32::NEG_INFINITY, -1e-7];
    let greatest = |limit: f64, near: f64, zero: f64| [near, limit, -limit, limit, -limit, zero];
    for (number, dtype, want) in [
        (17, DType::F8E4M3FN, greatest(448.0, 0.468_75, -0.0)),
        (18, DType::F8E4M3FNUZ, greatest(240.0, 0.468_75, 0.0)),
        (19, DType::F8E5M2, greatest(57_344.0, 0.5, -0.0)),
        (20, DType::F8E5M2FNUZ, greatest(57_344.0, 0.5, 0.0)),
        (23, DType::F4E2M1, greatest(6.0, 0.5, -0.0)),
    ] {
        c.add("Cast", 23, &[to(number)], &[Some(f32s(&[6], &x))], 9, &[typed(dtype, &[6], &want)]);
        let like = Some(typed(dtype, &[1], &[1.0]));
        c.add("CastLike", 23, &[], &[Some(f32s(&[6], &x)), like], 9, &[typed(dtype, &[6], &want)]);
    }
    let beyond = [(17, DType::F8E4M3FN, nan), (18, DType::F8E4M3FNUZ, nan), (19, DType::F8E5M2, inf)];
    for (number, dtype, value) in beyond {
        let attributes = [to(number), ("saturate", A::I(0))];
        let want = typed(dtype, &[2], &[value, 1.0]);
        c.add("Cast", 19, &attributes, &[Some(f32s(&[2], &[1e6, 1.0]))], 9, &[want]);
    }
    let x = [0.0, 0.124, 0.25, 1.1, 1.5, 3.0, 3e38];
    for (mode, want) in [
        ("up", [0.0, 0.125, 0.25, 2.0, 2.0, 4.0, 1.8e38]),
        ("down", [0.0, 0.0625, 0.25, 1.0, 1.0, 2.0, 1.2e38]),
        ("nearest", [0.0, 0.125, 0.25, 1.0, 2.0, 4.0, 1.8e38]),
    ] {
        // The greatest power of two, 2^127, is what rounds up to it.
        let want = want.map(|v: f64| if v > 1e38 { 127_f64.exp2() } else { v });
        let attributes = [to(24), ("round_mode", A::S(mode))];
        let want = typed(DType::F8E8M0, &[7], &want);
        c.add("Cast", 25, &attributes, &[Some(f32s(&[7], &x))], 9, &[want]);
    }
    // Whole numbers wrap.
    let x = f32s(&[5], &[-9.0, -2.0, 2.7, 7.0, 18.0]);
    for (number, dtype, want) in [
        (22, DType::I4, [7.0, -2.0, 2.0, 7.0, 2.0]),
        (21, DType::U4, [7.0, 14.0, 2.0, 7.0, 2.0]),
        (26, DType::I2, [-1.0, -2.0, -2.0, -1.0, -2.0]),
        (25, DType::U2, [3.0, 2.0, 2.0, 3.0, 2.0]),
    ] {
        c.add("Cast", 25, &[to(number)], &[Some(x.clone())], 9, &[typed(dtype, &[5], &want)]);
        let back = f32s(&[5], &want.map(|v| v as f32));
        c.add("Cast", 25, &[to(1)], &[Some(typed(dtype, &[5], &want))], 9, &[back]);
    }
    c.add(
        "QuantizeLinear",
        21,
        &[],
        &[
            Some(f32s(&[4], &[0.0, 1.0, 2.0, 1e5])),
            Some(f32s(&[], &[2.0])),
            Some(typed(DType::F8E4M3FN, &[], &[0.0])),
        ],
        9,
        &[typed(DType::F8E4M3FN, &[4], &[0.0, 0.5, 1.0, 448.0])],
    );
}
