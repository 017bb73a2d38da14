//! Every elementwise operator there is, on every type that it takes, as its row of the graph's table has it.

mod common;

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_shaders::{Approx, Features, StepOp, Target, step_error};
use common::{Random, cpu, run, single};

/// Every integer type with words of its own, and a narrow one of each sign.
const WHOLE: [DType; 9] = [
    DType::Bool,
    DType::I4,
    DType::U2,
    DType::I8,
    DType::U16,
    DType::I32,
    DType::U32,
    DType::I64,
    DType::U64,
];

/// The device with 64-bit integers, if it has them, and as if it had none.
fn devices(dtype: DType) -> Vec<Target> {
    let cpu = cpu();
    let without = Target { features: Features { int64: false, ..cpu.features }, ..cpu.clone() };
    if cpu.features.int64 && dtype.size() == 8 { vec![cpu, without] } else { vec![cpu] }
}

/// An integer of the type: the low bits.
fn wrapped(v: i128, dtype: DType) -> i128 {
    let Some((least, most)) = dtype.limits() else { return i128::from(v != 0) };
    least + (v - least).rem_euclid(most - least + 1)
}

/// Integers as they lie in a device's words.
fn stored(values: &[i128], dtype: DType) -> Vec<u32> {
    let words = if dtype.size() == 8 { 2 } else { 1 };
    values.iter().flat_map(|&v| [v as u32, (v >> 32) as u32].into_iter().take(words)).collect()
}

/// The ends of the type, numbers around 0 and widths of types, and some of all sizes.
fn numbers(dtype: DType) -> Vec<i128> {
    let (least, most) = dtype.limits().unwrap_or((0, 1));
    let mut random = Random::new(most as u64);
    let near = [-65, -33, -8, -7, -3, -2, -1, 0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65];
    let ends = [least, least + 1, most - 1, most, most / 3, 1 << 20, -(1 << 20), 1 << 40, -(1 << 40)];
    let sizes = (0..8).map(|_| i128::from((random.next() as i64) >> random.below(60)));
    near.into_iter().chain(ends).chain(sizes).map(|v| wrapped(v, dtype)).collect()
}

#[test]
fn of_integers_and_booleans() {
    for dtype in WHOLE {
        let all = numbers(dtype);
        for op in UnaryOp::ALL.iter().filter(|op| op.takes(dtype)) {
            let f = op.int().expect("it takes integers");
            check(StepOp::Unary(*op), dtype, op.tests(), &[&all], |at| f(all[at], dtype));
        }
        let x: Vec<i128> = all.iter().flat_map(|&v| vec![v; all.len()]).collect();
        let y: Vec<i128> = (0..x.len()).map(|at| all[at % all.len()]).collect();
        for op in BinaryOp::ALL.iter().filter(|op| op.takes(dtype)) {
            let f = op.int().expect("it takes integers");
            let of = |at: usize| f(x[at], y[at], dtype).unwrap_or(0);
            check(StepOp::Binary(*op), dtype, op.tests(), &[&x, &y], of);
        }
    }
}

fn check(op: StepOp, dtype: DType, tests: bool, operands: &[&[i128]], of: impl Fn(usize) -> i128) {
    let (n, to) = (operands[0].len(), if tests { DType::Bool } else { dtype });
    let want: Vec<i128> = (0..n).map(|at| wrapped(of(at), to)).collect();
    let want = stored(&want, to);
    let per = want.len() / n;
    let words: Vec<_> = operands.iter().map(|x| stored(x, dtype)).collect();
    for target in devices(dtype) {
        let got = run(&single(op, dtype, to, operands.len(), n), &target, &words, want.len() as u64, None);
        if let Some(at) = (0..n).find(|at| got[at * per..][..per] != want[at * per..][..per]) {
            let of: Vec<_> = operands.iter().map(|x| x[at]).collect();
            let (got, want) = (&got[at * per..][..per], &want[at * per..][..per]);
            panic!("{op:?} of {dtype} {of:?} is {got:x?}, should be {want:x?} (low word first)");
        }
    }
}

/// Floats of many sizes, within the error that the step states.
#[test]
fn of_floats_within_their_bounds() {
    let mut random = Random::new(11);
    let mut sizes = |n: u64| -> Vec<f32> {
        (0..n).map(|_| random.float() * 2_f32.powi(random.below(24) as i32 - 12)).collect()
    };
    let (x, y) = (sizes(1500), sizes(1500));
    for op in UnaryOp::ALL.iter().filter(|op| op.takes(DType::F32)) {
        let f = op.float().expect("it takes floats");
        within(StepOp::Unary(*op), op.tests(), &[&x], |at| f(x[at].into()));
    }
    for op in BinaryOp::ALL.iter().filter(|op| op.takes(DType::F32)) {
        let f = op.float().expect("it takes floats");
        within(StepOp::Binary(*op), op.tests(), &[&x, &y], |at| f(x[at].into(), y[at].into()));
    }
}

fn within(op: StepOp, tests: bool, operands: &[&[f32]], of: impl Fn(usize) -> f64) {
    let (n, target) = (operands[0].len(), cpu());
    let to = if tests { DType::Bool } else { DType::F32 };
    let words: Vec<Vec<u32>> = operands.iter().map(|x| x.iter().map(|v| v.to_bits()).collect()).collect();
    let got = run(&single(op, DType::F32, to, operands.len(), n), &target, &words, n as u64, None);
    let mut sure = 0;
    for (at, &got) in got.iter().enumerate() {
        let value = of(at);
        let exact: Vec<_> = operands.iter().map(|x| Approx { value: x[at].into(), error: 0.0 }).collect();
        let error = step_error(&target, op, DType::F32, to, &exact, value);
        let got = if tests { f64::from(got) } else { f32::from_bits(got).into() };
        let of: Vec<_> = operands.iter().map(|x| x[at]).collect();
        assert!(
            Approx { value, error }.accepts(got),
            "{op:?} of {of:?} is {got}, not {value} within {error:e}"
        );
        sure += usize::from(error < 1e-3 * value.abs() + 1e-5);
    }
    // A bound that allows everything says nothing.
    assert!(sure > n / 4, "{op:?} has a useful bound on {sure} of {n} arguments");
}

/// All bits of the floats of 16, as integers and back.
#[test]
fn bits_of_narrow_floats() {
    let all: Vec<u16> = (0..=u16::MAX).collect();
    let n = all.len();
    let cast = |from, to, x: &Vec<u32>| {
        let spec = single(StepOp::BitCast, from, to, 1, n);
        run(&spec, &cpu(), std::slice::from_ref(x), n as u64, None)
    };
    let unsigned: Vec<u32> = all.iter().map(|&bits| bits.into()).collect();
    let signed: Vec<u32> = all.iter().map(|&bits| i32::from(bits as i16) as u32).collect();
    for dtype in [DType::F16, DType::BF16] {
        let format = dtype.narrow_float().expect("a narrow float");
        let values: Vec<u32> = all.iter().map(|&bits| format.of_bits(bits).to_bits()).collect();
        for (of, x) in [(DType::U16, &unsigned), (DType::I16, &signed)] {
            for (got, want) in cast(of, dtype, x).into_iter().zip(&values) {
                let (number, value) = (f32::from_bits(got), f32::from_bits(*want));
                let same = got == *want || number.is_nan() && value.is_nan();
                assert!(same || vanishes(value) && number == 0.0, "{dtype}: {number:e}, should be {value:e}");
            }
            for ((got, want), value) in cast(dtype, of, &values).into_iter().zip(x).zip(&values) {
                let value = f32::from_bits(*value);
                let same = got == *want || value.is_nan() && format.of_bits(got as u16).is_nan();
                assert!(same || vanishes(value), "{dtype} {value:e}: bits {got:#x}, should be {want:#x}");
            }
        }
    }
}

/// Drivers may take it for 0.
fn vanishes(v: f32) -> bool {
    v != 0.0 && v.abs() < f32::MIN_POSITIVE
}

#[test]
fn bits_stay_as_they_are() {
    for from in WHOLE.into_iter().chain([DType::F32]) {
        for to in WHOLE.into_iter().chain([DType::F32]).filter(|to| to.bits() == from.bits()) {
            let integers = |dtype| if dtype == DType::F32 { DType::I32 } else { dtype };
            // No bits of a float that drivers may take for 0.
            let kept = |v: &i128| !(from == DType::F32 || to == DType::F32) || *v == 0 || *v >= 1 << 23;
            let x: Vec<i128> = numbers(integers(from)).into_iter().filter(kept).collect();
            let want: Vec<i128> = x.iter().map(|&v| wrapped(v, integers(to))).collect();
            let (x, want) = (stored(&x, from), stored(&want, to));
            for target in devices(from) {
                let n = x.len() / if from.size() == 8 { 2 } else { 1 };
                let spec = single(StepOp::BitCast, from, to, 1, n);
                let got = run(&spec, &target, std::slice::from_ref(&x), want.len() as u64, None);
                assert_eq!(got, want, "{}: bits of {from} as {to}", target.name);
            }
        }
    }
}
