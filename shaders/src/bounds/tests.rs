//! The bounds against `f32` arithmetic on the host, which rounds every operation once.

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, ReduceOp, UnaryOp};

use super::*;
use crate::{Chain, MatMulSpec, NormalizeSpec, Operand, ReduceSpec, SoftmaxSpec, StepOp};

fn none(rank: usize) -> Chain {
    let dtype = DType::F32;
    Chain {
        operands: vec![Operand { dtype, base: 0, strides: vec![0; rank] }],
        steps: Vec::new(),
        result: dtype,
        layout: None,
    }
}

fn cpu() -> Target {
    Target { class: Class::Cpu, ..Target::generic() }
}

/// Numbers of all sizes and both signs.
fn numbers(n: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    (0..n).map(|_| ((next() - 0.5) * 10_f64.powf(next() * 6.0 - 3.0)) as f32).collect()
}

/// Fails unless the error is within the bound.
fn within(name: &str, bound: ErrorBound, exact: f64, magnitude: f64, got: f32) {
    let error = bound.of(exact, magnitude);
    assert!((f64::from(got) - exact).abs() <= error, "{name}: {got} for {exact}, bound {error:e}");
}

#[test]
fn sums_in_any_order_keep_the_bound() {
    for len in [1, 2, 7, 1000, 65_536] {
        let (a, b) = (numbers(len), numbers(2 * len).split_off(len));
        let terms: Vec<f64> = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).collect();
        let (exact, magnitude) = (terms.iter().sum(), terms.iter().map(|t| t.abs()).sum());
        let spec = Spec::MatMul(MatMulSpec {
            batch: vec![],
            m: 1,
            n: 1,
            k: len as u64,
            a_strides: vec![len as u64, 1],
            b_strides: vec![1, 1],
            epilogue: none(2),
        });
        let bound = error_bound(&spec, &cpu());
        let products = || a.iter().zip(&b).map(|(a, b)| a * b);
        within("forward", bound, exact, magnitude, products().fold(0.0, |s, v| s + v));
        within("backward", bound, exact, magnitude, products().rev().fold(0.0, |s, v| s + v));
        let fused = a.iter().zip(&b).fold(0.0_f32, |s, (a, b)| a.mul_add(*b, s));
        within("fused", bound, exact, magnitude, fused);
        // A bound that said nothing would catch nothing: a term left out is beyond it.
        let largest = terms.iter().map(|t| t.abs()).fold(0.0, f64::max);
        assert!(bound.of(exact, magnitude) < largest || len > 1000, "a lost term of {len} is seen");
    }
}

#[test]
fn rows_know_how_they_are_summed() {
    let spec = |op, len, inner| {
        Spec::Reduce(ReduceSpec { op, dtype: DType::F32, outer: 1, len, inner, epilogue: none(2) })
    };
    let lanes =
        |size| Target { subgroup: Some(crate::Subgroup { size, shuffle: true, arithmetic: true }), ..cpu() };
    let bound = |target: &Target, len, inner| error_bound(&spec(ReduceOp::Sum, len, inner), target).relative;
    let rounds = |n: f64| n * UNIT / (1.0 - n * UNIT);
    assert_eq!(bound(&lanes(8), 4096, 1), rounds(128.0 + 2.0 + 7.0));
    assert_eq!(bound(&lanes(4), 4096, 1), rounds(256.0 + 2.0 + 3.0));
    assert_eq!(bound(&lanes(8), 4095, 1), rounds(512.0 + 7.0));
    assert_eq!(bound(&lanes(8), 4096, 2), rounds(4096.0));
    // 128 invocations in a tree of 7 levels, rounding either way.
    let tree = 2.0 * (8.0 + 2.0 + 7.0) * UNIT;
    assert_eq!(bound(&Target::generic(), 4096, 1), tree / (1.0 - tree));
    for op in [ReduceOp::Max, ReduceOp::Min] {
        assert!(error_bound(&spec(op, 9, 1), &cpu()).is_exact());
    }
}

#[test]
fn softmax_and_normalisation_keep_the_bound() {
    for len in [3, 100, 5000] {
        let x: Vec<f32> = numbers(len).iter().map(|v| v * 0.1 + 7.0).collect();
        let wide: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
        let top = wide.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = wide.iter().map(|v| (v - top).exp()).sum();
        let y: Vec<f64> = wide.iter().map(|v| (v - top).exp() / sum).collect();
        let spec = |log| SoftmaxSpec {
            dtype: DType::F32,
            outer: 1,
            len: len as u64,
            inner: 1,
            log,
            in_place: false,
        };
        let narrow: f32 = x.iter().map(|v| (v - top as f32).exp()).sum();
        let bound = error_bound(&Spec::Softmax(spec(false)), &cpu());
        for ((v, y), m) in x.iter().zip(&y).zip(softmax_magnitudes(&wide, &y)) {
            within("softmax", bound, *y, m, (v - top as f32).exp() / narrow);
        }
        let bound = error_bound(&Spec::Softmax(spec(true)), &cpu());
        for ((v, w), m) in x.iter().zip(&wide).zip(log_softmax_magnitudes(&wide)) {
            within("its logarithm", bound, w - top - sum.ln(), m, v - (top as f32 + narrow.ln()));
        }
        let (n, mean) = (len as f64, wide.iter().sum::<f64>() / len as f64);
        let variance = wide.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let y: Vec<f64> = wide.iter().map(|v| (v - mean) / (variance + 1e-5).sqrt()).collect();
        let spec = Spec::Normalize(NormalizeSpec {
            rows: 1,
            len: len as u64,
            epsilon: 1e-5,
            center: true,
            epilogue: none(2),
            in_place: false,
        });
        let bound = error_bound(&spec, &cpu());
        let mean = x.iter().sum::<f32>() / len as f32;
        let scale = 1.0 / (x.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / len as f32 + 1e-5).sqrt();
        for ((v, y), m) in x.iter().zip(&y).zip(normalize_magnitudes(&wide, &y, 1e-5, true)) {
            within("normalisation", bound, *y, m, (v - mean) * scale);
        }
    }
}

#[test]
fn products_that_may_vanish_have_no_bound() {
    assert_eq!(product_magnitude([2.0, -3.0]), 6.0);
    assert_eq!(product_magnitude([1e-30, 1e-30, 1e30, 1e30]), f64::INFINITY);
    assert_eq!(product_magnitude([1e30, 1e30]), f64::INFINITY);
    assert_eq!(product_magnitude([0.0, 5.0]), 0.0);
    assert_eq!(
        ErrorBound { relative: 0.1, absolute: 0.0, square: false }.of(1.0, f64::INFINITY),
        f64::INFINITY
    );
}

/// Every error that a step of exact arguments may have, by the tables; and how errors of arguments go on.
#[test]
fn steps_carry_errors() {
    let u = UNIT;
    let check = |op, from, to, args: &[(f64, f64)], value: f64, want: f64| {
        let args: Vec<_> = args.iter().map(|&(value, error)| Approx { value, error }).collect();
        let got = step_error(&cpu(), op, from, to, &args, value);
        let close = (got - want).abs() <= 0.01 * want + 1e-30 || got == want;
        assert!(close, "{op:?} of {args:?}: {got:e}, should be {want:e}");
    };
    use BinaryOp::{Add, Div, Equal, Less, Max, Mul, Pow};
    use DType::{Bool, F32, I32, I64, U8};
    use UnaryOp::{Exp, Floor, Relu, Sign};
    let (b, un, inf) = (StepOp::Binary, StepOp::Unary, f64::INFINITY);
    check(b(Add), F32, F32, &[(1.0, 0.0), (2.0, 0.0)], 3.0, 3.0 * u);
    check(b(Add), F32, F32, &[(1.0, 0.1), (2.0, 0.2)], 3.0, 0.3);
    check(b(Add), I64, I64, &[(1.0, 0.0), (2.0, 0.0)], 3.0, 0.0);
    check(b(Add), F32, F32, &[(3e38, 0.0), (3e38, 0.0)], 6e38, inf);
    check(b(Mul), F32, F32, &[(-3.0, 0.1), (2.0, 0.0)], -6.0, 0.2);
    check(b(Div), F32, F32, &[(3.0, 0.0), (2.0, 0.0)], 1.5, 7.5 * u);
    check(b(Div), F32, F32, &[(3.0, 0.0), (0.1, 0.2)], 30.0, inf);
    check(b(Div), F32, F32, &[(3.0, 0.0), (0.0, 0.0)], inf, 0.0);
    check(b(Max), F32, F32, &[(3.0, 0.5), (2.0, 3.0)], 3.0, 2.0);
    check(b(Less), F32, Bool, &[(1.0, 0.0), (1.0, 0.0)], 0.0, 0.0);
    check(b(Less), F32, Bool, &[(1.0, 1e-9), (1.0, 0.0)], 0.0, 1.0);
    check(b(Equal), F32, Bool, &[(1.0, 0.1), (2.0, 0.1)], 0.0, 0.0);
    check(b(Pow), F32, F32, &[(3.0, 0.0), (2.0, 0.0)], 9.0, 81.0 * u);
    check(un(Exp), F32, F32, &[(0.0, 0.0)], 1.0, 6.0 * u);
    check(un(Exp), F32, F32, &[(10.0, 0.0)], 10_f64.exp(), 46.0 * u * 10_f64.exp());
    check(un(Floor), F32, F32, &[(1.5, 0.1)], 1.0, 0.0);
    check(un(Floor), F32, F32, &[(1.0, 0.1)], 1.0, 1.0);
    check(un(Sign), F32, F32, &[(1.0, 0.1)], 1.0, 0.0);
    check(un(Sign), F32, F32, &[(0.01, 0.1)], 1.0, 2.0);
    check(un(Relu), F32, F32, &[(-1.0, 0.5)], 0.0, 0.0);
    check(StepOp::Select, F32, F32, &[(1.0, 0.0), (5.0, 0.1), (9.0, 7.0)], 5.0, 0.1);
    check(StepOp::Select, F32, F32, &[(1.0, 1.0), (5.0, 0.1), (9.0, 0.0)], 5.0, 4.1);
    check(StepOp::Cast, F32, I32, &[(1.5, 0.0)], 1.0, 0.0);
    check(StepOp::Cast, F32, I32, &[(2.0, 0.1)], 2.0, 1.0);
    check(StepOp::Cast, F32, I32, &[(3e9, 0.0)], 2_147_483_647.0, 0.0);
    check(StepOp::Cast, F32, I32, &[(2.5e9, 1.0)], 2_147_483_647.0, 0.0);
    check(StepOp::Cast, F32, U8, &[(300.0, 2.0)], 44.0, inf);
    check(StepOp::Cast, F32, U8, &[(300.0, 0.0)], 44.0, 0.0);
    check(StepOp::Cast, I64, F32, &[(1e9, 0.0)], 1e9, 1e9 * u);
    check(StepOp::Cast, I64, F32, &[(1000.0, 0.0)], 1000.0, 0.0);
    check(StepOp::Cast, I64, U8, &[(257.0, 0.0)], 1.0, 0.0);
    // A subnormal operand may be taken for 0.
    assert_eq!(Approx::stored(1e-40).error, 1e-40);
    check(b(Less), F32, Bool, &[(0.0, 0.0), (1e-40, 0.0)], 1.0, 1.0);
    check(un(Relu), F32, F32, &[(f64::NAN, 0.0)], f64::NAN, 0.0);
}

#[test]
fn what_is_accepted() {
    let accepts = |value, error, device: f64| Approx { value, error }.accepts(device);
    assert!(accepts(1.0, 0.5, 1.5) && !accepts(1.0, 0.5, 1.6));
    assert!(accepts(f64::NAN, 0.0, f64::NAN) && !accepts(f64::NAN, 0.0, 1.0) && !accepts(1.0, 0.5, f64::NAN));
    assert!(accepts(f64::INFINITY, 0.0, f64::INFINITY) && !accepts(f64::INFINITY, 0.0, 1.0));
    assert!(accepts(1.0, f64::INFINITY, f64::NAN));
}
