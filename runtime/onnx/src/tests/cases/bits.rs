//! Operators on the bits of integers.

use bayplan_graph::{DType, Tensor};

use super::{A, Cases};

fn whole(dtype: DType, values: &[i128]) -> Tensor {
    Tensor::from_ints(dtype, vec![values.len()], values).expect("a tensor")
}

pub(super) fn cases(c: &mut Cases) {
    for (op, y) in
        [("BitwiseAnd", [0b1000, 0, 5]), ("BitwiseOr", [0b1110, -1, -3]), ("BitwiseXor", [0b0110, -1, -8])]
    {
        let (a, b) = (whole(DType::I64, &[0b1100, 0, -3]), whole(DType::I64, &[0b1010, -1, 5]));
        c.add(op, 18, &[], &[Some(a), Some(b)], 9, &[whole(DType::I64, &y)]);
    }
    for (direction, y) in [("LEFT", [12, 0, 10]), ("RIGHT", [0, -1, 2])] {
        let (a, b) = (whole(DType::I8, &[3, -128, 5]), whole(DType::I8, &[2, -1, 1]));
        let direction = [("direction", A::S(direction))];
        c.add("BitShift", 28, &direction, &[Some(a), Some(b)], 9, &[whole(DType::I8, &y)]);
    }
    let x = whole(DType::U8, &[0, 0b1010]);
    c.add("BitwiseNot", 18, &[], &[Some(x)], 9, &[whole(DType::U8, &[255, 0b1111_0101])]);
}
