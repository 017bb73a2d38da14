//! Positions of extrema. A NaN is one.

use super::super::{A, f32s, i64s};
use super::Cases;

pub(super) fn cases(c: &mut Cases) {
    let x = f32s(&[2, 4], &[3.0, 1.0, 3.0, 1.0, 5.0, f32::NAN, 7.0, f32::NAN]);
    let last = ("select_last_index", A::I(1));
    let axis = ("axis", A::I(-1));
    let out = ("keepdims", A::I(0));
    for (op, attributes, shape, y) in [
        ("ArgMax", vec![axis.clone()], vec![2, 1], vec![0, 1]),
        ("ArgMax", vec![axis.clone(), last.clone(), out.clone()], vec![2], vec![2, 3]),
        ("ArgMin", vec![axis.clone(), out.clone()], vec![2], vec![1, 1]),
        ("ArgMin", vec![axis, last], vec![2, 1], vec![3, 3]),
        ("ArgMax", vec![], vec![1, 4], vec![1, 1, 1, 1]),
    ] {
        c.add(op, 13, &attributes, &[Some(x.clone())], 9, &[i64s(&shape, &y)]);
    }
    let i = i64s(&[3], &[-7, 1 << 40, 2]);
    c.add("ArgMax", 13, &[out], &[Some(i)], 9, &[i64s(&[], &[1])]);
    let x = f32s(&[2, 1, 3], &[1.0, 4.0, 4.0, 0.5, -1.0, -2.0]);
    let y = f32s(&[2, 1, 3], &[0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
    c.add("Hardmax", 13, &[], &[Some(x.clone())], 9, &[y]);
    c.add(
        "Hardmax",
        11,
        &[("axis", A::I(0))],
        &[Some(x)],
        9,
        &[f32s(&[2, 1, 3], &[0.0, 1.0, 0.0, 0.0, 0.0, 0.0])],
    );
}
