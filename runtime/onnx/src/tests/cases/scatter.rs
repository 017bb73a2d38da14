//! Elements taken and put by indices, running results, the largest elements.

use bayplan_graph::Tensor;

use super::super::{A, f32s, i64s};
use super::{Cases, l, matrix, v};

pub(super) fn cases(c: &mut Cases) {
    elements(c);
    scatters(c);
    lines(c);
}

fn elements(c: &mut Cases) {
    let x = f32s(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let axis = |axis| ("axis", A::I(axis));
    let indices = Some(i64s(&[1, 3], &[1, 0, -1]));
    c.add("GatherElements", 13, &[], &[Some(x.clone()), indices], 2, &[f32s(&[1, 3], &[4.0, 2.0, 6.0])]);
    let indices = Some(i64s(&[2, 1], &[-1, 0]));
    c.add("GatherElements", 11, &[axis(1)], &[Some(x.clone()), indices], 1, &[f32s(&[2, 1], &[3.0, 4.0])]);
    let reversed = f32s(&[2, 3], &[2.0, 1.0, 3.0, 6.0, 5.0, 4.0]);
    let of = [("batch_axis", A::I(0)), ("time_axis", A::I(1))];
    c.add("ReverseSequence", 10, &of, &[Some(x), l(&[2, 3])], 1, &[reversed]);
    // Sequences along the first axis, each with a row of elements at every time.
    let x = f32s(&[3, 2, 1], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let reversed = f32s(&[3, 2, 1], &[5.0, 2.0, 3.0, 4.0, 1.0, 6.0]);
    c.add("ReverseSequence", 10, &[], &[Some(x), l(&[3, 1])], 2, &[reversed]);
    // Indices count through the whole; what is larger than the window says has zeros behind.
    let (x, i) = (f32s(&[1, 1, 1, 2], &[5.0, 6.0]), i64s(&[1, 1, 1, 2], &[1, 6]));
    let window = [("kernel_shape", A::Is(vec![2, 2])), ("strides", A::Is(vec![2, 2]))];
    let y = f32s(&[1, 1, 2, 4], &[0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 6.0, 0.0]);
    c.add("MaxUnpool", 11, &window, &[Some(x.clone()), Some(i.clone())], 2, &[y]);
    let y = f32s(&[1, 1, 2, 5], &[0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 6.0, 0.0, 0.0]);
    c.add("MaxUnpool", 22, &window, &[Some(x), Some(i), l(&[1, 1, 2, 5])], 2, &[y]);
}

fn scatters(c: &mut Cases) {
    let operands = |list: &[i64]| {
        let (indices, updates) = (i64s(&[1, 2], list), f32s(&[1, 2], &[7.0, 8.0]));
        [Some(matrix()), Some(indices), Some(updates)]
    };
    let m = |list: &[f32]| [f32s(&[2, 2], list)];
    let reduction = |name| ("reduction", A::S(name));
    c.add("Scatter", 9, &[], &operands(&[1, 0]), 3, &m(&[1.0, 8.0, 7.0, 4.0]));
    c.add("ScatterElements", 11, &[("axis", A::I(-1))], &operands(&[-1, 0]), 3, &m(&[8.0, 7.0, 3.0, 4.0]));
    let both = [("axis", A::I(1)), reduction("add")];
    c.add("ScatterElements", 16, &both, &operands(&[0, 0]), 3, &m(&[16.0, 2.0, 3.0, 4.0]));
    c.add("ScatterElements", 18, &[reduction("max")], &operands(&[0, 1]), 1, &m(&[7.0, 2.0, 3.0, 8.0]));
    c.add("ScatterElements", 18, &[reduction("min")], &operands(&[0, 1]), 1, &m(&[1.0, 2.0, 3.0, 4.0]));
    c.add("ScatterElements", 18, &[reduction("mul")], &operands(&[1, 1]), 1, &m(&[1.0, 2.0, 21.0, 32.0]));
    let row = [Some(matrix()), Some(i64s(&[1, 1], &[1])), Some(f32s(&[1, 2], &[7.0, 8.0]))];
    c.add("ScatterND", 11, &[], &row, 3, &m(&[1.0, 2.0, 7.0, 8.0]));
    let element = [Some(matrix()), Some(i64s(&[1, 2], &[0, -1])), Some(v(&[7.0]))];
    c.add("ScatterND", 16, &[reduction("add")], &element, 3, &m(&[1.0, 9.0, 3.0, 4.0]));
    // A cache of two sequences of three, with an update of two for each.
    let cache = || Some(f32s(&[2, 3, 1], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    let update = Some(f32s(&[2, 2, 1], &[7.0, 8.0, 9.0, 10.0]));
    let inputs = [cache(), update.clone(), l(&[2, 0])];
    let made = f32s(&[2, 3, 1], &[8.0, 2.0, 7.0, 9.0, 10.0, 6.0]);
    c.add("TensorScatter", 24, &[("mode", A::S("circular"))], &inputs, 3, &[made]);
    let made = f32s(&[2, 3, 1], &[7.0, 8.0, 3.0, 9.0, 10.0, 6.0]);
    c.add("TensorScatter", 24, &[("axis", A::I(1))], &[cache(), update], 2, &[made]);
}

fn lines(c: &mut Cases) {
    let x = f32s(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let scalar = |v| Some(i64s(&[], &[v]));
    let like = |list: &[f32]| [f32s(&[2, 3], list)];
    let sums = like(&[1.0, 3.0, 6.0, 4.0, 9.0, 15.0]);
    c.add("CumSum", 14, &[], &[Some(x.clone()), scalar(-1)], 1, &sums);
    let both = [("exclusive", A::I(1)), ("reverse", A::I(1))];
    let after = like(&[5.0, 3.0, 0.0, 11.0, 6.0, 0.0]);
    c.add("CumSum", 11, &both, &[Some(x.clone()), l(&[1])], 1, &after);
    let products = like(&[1.0, 2.0, 3.0, 4.0, 10.0, 18.0]);
    c.add("CumProd", 26, &[], &[Some(x), scalar(0)], 1, &products);
    let x: Tensor = f32s(&[2, 3], &[3.0, 1.0, 3.0, 4.0, 6.0, 5.0]);
    let pairs = |list: &[f32], at: &[i64]| [f32s(&[2, 2], list), i64s(&[2, 2], at)];
    c.add("TopK", 11, &[], &[Some(x.clone()), l(&[2])], 1, &pairs(&[3.0, 3.0, 6.0, 5.0], &[0, 2, 1, 2]));
    let smallest = [("axis", A::I(1)), ("largest", A::I(0)), ("sorted", A::I(1))];
    c.add("TopK", 24, &smallest, &[Some(x), l(&[2])], 1, &pairs(&[1.0, 3.0, 4.0, 5.0], &[1, 0, 0, 2]));
    let first = [v(&[9.0]), i64s(&[1], &[1])];
    c.add("TopK", 9, &[("k", A::I(1))], &[Some(v(&[7.0, 9.0]))], 1, &first);
}
