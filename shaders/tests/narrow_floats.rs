//! Floats narrower than `f32`, which are rounded to their type after every step and before every store.

mod common;

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, PoolKind, ReduceOp, UnaryOp};
use bayplan_shaders::{
    Chain, MatMulSpec, Operand, PoolSpec, RangeSpec, ReduceSpec, SoftmaxSpec, Spec, StepOp,
};
use common::{Random, run, single, targets, words};

const TYPES: [DType; 2] = [DType::F16, DType::BF16];

/// Types that numbers are only converted to and from.
const SMALL: [DType; 6] =
    [DType::F8E4M3FN, DType::F8E4M3FNUZ, DType::F8E5M2, DType::F8E5M2FNUZ, DType::F8E8M0, DType::F4E2M1];

fn rounded(dtype: DType, v: f64) -> f32 {
    dtype.narrow_float().expect("a narrow type").round(v) as f32
}

/// Numbers of a type, every one that has so few bits.
fn all(dtype: DType) -> Vec<f32> {
    if let (true, Some(format)) = (dtype.is_small_float(), dtype.narrow_float()) {
        return (0..=u8::MAX >> (8 - dtype.bits())).map(|code| format.decode(code)).collect();
    }
    let shift = if dtype == DType::BF16 { 16 } else { 13 };
    // Of f32, all exponents with the bits of a type's fraction.
    (0..1_u32 << (31 - shift)).map(|bits| rounded(dtype, f32::from_bits(bits << shift).into())).collect()
}

/// The same bits, any NaN for a NaN.
fn same(what: &str, of: &[f32], got: &[u32], want: &[f32]) {
    for ((x, got), want) in of.iter().zip(got).zip(want) {
        let got = f32::from_bits(*got);
        let good = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
        assert!(good, "{what} of {x:e} is {got:e}, should be {want:e}");
    }
}

/// Every value, those halfway to the next, and their neighbours on either side.
fn ties(dtype: DType) -> Vec<f32> {
    let mut values = Vec::new();
    for pair in all(dtype).windows(2) {
        let tie = ((f64::from(pair[0]) + f64::from(pair[1])) / 2.0) as f32;
        for v in [pair[0], tie, tie.next_up(), tie.next_down()] {
            values.extend([v, -v]);
        }
    }
    // 448, 480 and the like, at which small floats end.
    values.extend((0..64).flat_map(|at| [at as f32 * 8.0, at as f32 * -1024.0]));
    values.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN]);
    values
}

#[test]
fn conversions_round_to_nearest() {
    let target = common::cpu();
    for dtype in TYPES.into_iter().chain(SMALL) {
        let x = ties(dtype);
        let spec = single(StepOp::Cast, DType::F32, dtype, 1, x.len());
        let got = run(&spec, &target, &[words(&x)], x.len() as u64, None);
        let want: Vec<f32> = x.iter().map(|&v| rounded(dtype, v.into())).collect();
        same(&format!("{dtype}"), &x, &got, &want);
    }
}

#[test]
fn integers_become_narrow_floats() {
    let target = common::cpu();
    let x: Vec<i32> = (-70_000..70_000).step_by(7).collect();
    let from: Vec<u32> = x.iter().map(|v| v.cast_unsigned()).collect();
    for dtype in TYPES {
        let spec = single(StepOp::Cast, DType::I32, dtype, 1, x.len());
        let got = run(&spec, &target, std::slice::from_ref(&from), x.len() as u64, None);
        let want: Vec<f32> = x.iter().map(|&v| rounded(dtype, v.into())).collect();
        let x: Vec<f32> = x.iter().map(|&v| v as f32).collect();
        same(&format!("{dtype}"), &x, &got, &want);
    }
}

#[test]
fn every_step_rounds() {
    let mut random = Random::new(16);
    for (dtype, target) in TYPES.into_iter().flat_map(|dtype| targets().into_iter().map(move |t| (dtype, t)))
    {
        let mut draw = || -> Vec<f32> {
            random.floats(1001).iter().map(|v| rounded(dtype, f64::from(*v) * 300.0)).collect()
        };
        let (x, y) = (draw(), draw());
        let check = |op: BinaryOp, f: fn(f64, f64) -> f64| {
            let spec = single(StepOp::Binary(op), dtype, dtype, 2, x.len());
            let got = run(&spec, &target, &[words(&x), words(&y)], x.len() as u64, None);
            let want: Vec<f32> =
                x.iter().zip(&y).map(|(&a, &b)| rounded(dtype, f(a.into(), b.into()))).collect();
            same(&format!("{}: {op:?} in {dtype}", target.name), &x, &got, &want);
        };
        check(BinaryOp::Add, |a, b| a + b);
        check(BinaryOp::Sub, |a, b| a - b);
        // Beyond 65,504 it is infinite.
        check(BinaryOp::Mul, |a, b| a * b);
        check(BinaryOp::Max, f64::max);
        let spec = single(StepOp::Unary(UnaryOp::Neg), dtype, dtype, 1, x.len());
        let got = run(&spec, &target, &[words(&x)], x.len() as u64, None);
        same("Neg", &x, &got, &x.iter().map(|v| -v).collect::<Vec<_>>());
    }
}

/// Operand 0 as it is.
fn none(dtype: DType, rank: usize) -> Chain {
    let operands = vec![Operand { dtype, base: 0, strides: vec![0; rank] }];
    Chain { operands, steps: Vec::new(), result: dtype, layout: None }
}

/// What a kernel gives must be a value of its type, the nearest up to what the kernel itself may be off.
fn near(dtype: DType, what: &str, got: &[u32], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (got, want) in got.iter().zip(want) {
        let got = f32::from_bits(*got);
        assert_eq!(got, rounded(dtype, got.into()), "{what}: {got:e} is none of {dtype}");
        let ends = [want - want.abs() * 1e-5, want + want.abs() * 1e-5].map(|v| rounded(dtype, v));
        assert!(ends[0] <= got && got <= ends[1], "{what} in {dtype} is {got:e}, should be {want:e}");
    }
}

#[test]
fn kernels_round_what_they_store() {
    let mut random = Random::new(7);
    for (dtype, target) in TYPES.into_iter().flat_map(|dtype| targets().into_iter().map(move |t| (dtype, t)))
    {
        let mut positive = |count: u64| -> Vec<f32> {
            random.floats(count).iter().map(|v| rounded(dtype, f64::from(v.abs()) + 0.5)).collect()
        };
        let (m, n, k) = (5, 8, 24);
        let (a, b) = (positive(m * k), positive(k * n));
        let epilogue = none(dtype, 2);
        let spec =
            MatMulSpec { batch: vec![], m, n, k, a_strides: vec![k, 1], b_strides: vec![n, 1], epilogue };
        let got = run(&Spec::MatMul(spec), &target, &[words(&a), words(&b)], m * n, None);
        let at = |list: &[f32], index: u64| f64::from(list[index as usize]);
        let product = |i: u64| (0..k).map(|s| at(&a, i / n * k + s) * at(&b, s * n + i % n)).sum();
        near(dtype, "a product", &got, &(0..m * n).map(product).collect::<Vec<f64>>());

        let epilogue = none(dtype, 2);
        let spec = ReduceSpec { op: ReduceOp::Mean, dtype, outer: m, len: k, inner: 1, epilogue };
        let got = run(&Spec::Reduce(spec), &target, &[words(&a)], m, None);
        let mean = |row: u64| (0..k).map(|s| at(&a, row * k + s)).sum::<f64>() / k as f64;
        near(dtype, "a mean", &got, &(0..m).map(mean).collect::<Vec<_>>());

        let spec = SoftmaxSpec { dtype, outer: m, len: k, inner: 1, log: false, in_place: false };
        let got = run(&Spec::Softmax(spec), &target, &[words(&a)], m * k, None);
        let exp = |i: u64| at(&a, i).exp();
        let soft = |i: u64| exp(i) / (0..k).map(|s| exp(i / k * k + s)).sum::<f64>();
        near(dtype, "softmax", &got, &(0..m * k).map(soft).collect::<Vec<_>>());

        let spec = PoolSpec {
            kind: PoolKind::Average { count_pad: false },
            dtype,
            planes: m,
            input: [4, 6],
            output: [2, 4],
            kernel: [3, 3],
            strides: [1, 1],
            dilations: [1, 1],
            pads: [0, 0],
            pads_end: [0, 0],
        };
        let got = run(&Spec::Pool(spec), &target, &[words(&a)], m * 8, None);
        let pool = |i: u64| {
            let from = i / 8 * 24 + i % 8 / 4 * 6 + i % 4;
            (0..9).map(|tap| at(&a, from + tap / 3 * 6 + tap % 3)).sum::<f64>() / 9.0
        };
        near(dtype, "a pool", &got, &(0..m * 8).map(pool).collect::<Vec<_>>());

        let spec = Spec::Range(RangeSpec { dtype, count: 999 });
        let (start, delta) = (rounded(dtype, 0.1), rounded(dtype, 0.3));
        let got = run(&spec, &target, &[words(&[start]), words(&[delta])], 999, None);
        let range = |i: u32| f64::from(start) + f64::from(i) * f64::from(delta);
        near(dtype, "a range", &got, &(0..999).map(range).collect::<Vec<_>>());
    }
}
