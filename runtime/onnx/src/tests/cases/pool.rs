//! Norms over windows, windows and kernels over three axes, and where maxima lie.

use bayplan_graph::{DType, Tensor};

use super::super::{A, f32s, i64s};
use super::{Cases, image};

pub(super) fn cases(c: &mut Cases) {
    let taps = |n: &[i64]| ("kernel_shape", A::Is(n.to_vec()));
    let x = f32s(&[1, 1, 4], &[3.0, -4.0, 0.0, 12.0]);
    c.add("LpPool", 18, &[taps(&[2])], &[Some(x.clone())], 9, &[f32s(&[1, 1, 3], &[5.0, 4.0, 12.0])]);
    let sizes = [taps(&[2]), ("p", A::I(1)), ("pads", A::Is(vec![1, 0]))];
    c.add("LpPool", 18, &sizes, &[Some(x.clone())], 9, &[f32s(&[1, 1, 4], &[3.0, 7.0, 4.0, 12.0])]);
    c.add("GlobalLpPool", 22, &[], &[Some(x)], 9, &[f32s(&[1, 1, 1], &[13.0])]);
    let strides = ("strides", A::Is(vec![1, 2]));
    let at = |y: &[i64]| i64s(&[1, 1, 2, 1], y);
    let max = f32s(&[1, 1, 2, 1], &[5.0, 8.0]);
    c.add("MaxPool", 12, &[taps(&[2, 2]), strides.clone()], &[Some(image())], 9, &[max.clone(), at(&[4, 7])]);
    let order = ("storage_order", A::I(1));
    c.add("MaxPool", 12, &[taps(&[2, 2]), strides, order], &[Some(image())], 9, &[max, at(&[4, 5])]);
    // Ties go to the first; a second image counts on.
    let x = f32s(&[2, 1, 3], &[2.0, 2.0, 1.0, 0.0, 7.0, 7.0]);
    let y = f32s(&[2, 1, 2], &[2.0, 2.0, 7.0, 7.0]);
    c.add("MaxPool", 12, &[taps(&[2])], &[Some(x)], 9, &[y, i64s(&[2, 1, 2], &[0, 1, 4, 4])]);
    volumes(c);
    convolutions(c);
    let bytes = |v: &[i128]| Tensor::from_ints(DType::I8, vec![1, 1, v.len()], v).expect("a tensor");
    c.add("MaxPool", 12, &[taps(&[2])], &[Some(bytes(&[-128, -3, 5]))], 9, &[bytes(&[-3, 5])]);
}

fn convolutions(c: &mut Cases) {
    let x = f32s(&[1, 1, 2, 2, 2], &[1., 2., 3., 4., 5., 6., 7., 8.]);
    let ones = f32s(&[1, 1, 2, 2, 2], &[1.0; 8]);
    let both = [Some(x.clone()), Some(ones.clone())];
    c.add("Conv", 11, &[], &both, 1, &[f32s(&[1, 1, 1, 1, 1], &[36.0])]);
    let pads = ("pads", A::Is(vec![1, 0, 0, 1, 0, 0]));
    c.add("Conv", 11, std::slice::from_ref(&pads), &both, 9, &[f32s(&[1, 1, 3, 1, 1], &[10.0, 36.0, 26.0])]);
    let strides = ("strides", A::Is(vec![2, 1, 1]));
    c.add("Conv", 11, &[pads.clone(), strides], &both, 1, &[f32s(&[1, 1, 2, 1, 1], &[10.0, 26.0])]);
    let apart = ("dilations", A::Is(vec![2, 1, 1]));
    c.add("Conv", 11, &[pads, apart], &both, 1, &[f32s(&[1, 1, 2, 1, 1], &[26.0, 10.0])]);
    let same = ("auto_pad", A::S("SAME_UPPER"));
    let y = f32s(&[1, 1, 2, 2, 2], &[36., 20., 22., 12., 26., 14., 15., 8.]);
    c.add("Conv", 11, &[same], &both, 1, &[y]);
    // Two groups, each of its own channel.
    let x = f32s(&[1, 2, 2, 1, 1], &[1.0, 2.0, 3.0, 4.0]);
    let w = f32s(&[2, 1, 2, 1, 1], &[10.0, 1.0, 100.0, 1000.0]);
    let y = f32s(&[1, 2, 1, 1, 1], &[12.0, 4300.0]);
    c.add("Conv", 11, &[("group", A::I(2))], &[Some(x), Some(w)], 1, &[y]);
    let (x, w) = (f32s(&[1, 1, 2, 1, 1], &[1.0, 10.0]), f32s(&[1, 1, 2, 1, 2], &[1.0, 2.0, 3.0, 4.0]));
    let y = f32s(&[1, 1, 3, 1, 2], &[1.0, 2.0, 13.0, 24.0, 30.0, 40.0]);
    c.add("ConvTranspose", 11, &[], &[Some(x), Some(w)], 1, &[y]);
}

fn volumes(c: &mut Cases) {
    let x = f32s(&[1, 1, 2, 2, 3], &[1., 9., 3., 4., 5., 6., 7., 8., 2., 0., 0., 12.]);
    let taps = ("kernel_shape", A::Is(vec![2, 2, 2]));
    let max = f32s(&[1, 1, 1, 1, 2], &[9.0, 12.0]);
    c.add(
        "MaxPool",
        12,
        std::slice::from_ref(&taps),
        &[Some(x.clone())],
        9,
        &[max, i64s(&[1, 1, 1, 1, 2], &[1, 11])],
    );
    let mean = f32s(&[1, 1, 1, 1, 2], &[34.0 / 8.0, 45.0 / 8.0]);
    c.add("AveragePool", 19, std::slice::from_ref(&taps), &[Some(x.clone())], 9, &[mean]);
    let hanging = [taps, ("pads", A::Is(vec![1, 0, 0, 0, 0, 0]))];
    let mean = f32s(&[1, 1, 2, 1, 2], &[19.0 / 4.0, 23.0 / 4.0, 34.0 / 8.0, 45.0 / 8.0]);
    c.add("AveragePool", 19, &hanging, &[Some(x)], 9, &[mean]);
}
