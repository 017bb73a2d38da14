//! What kernels say of their errors, against what drivers do.

#![allow(clippy::type_complexity, reason = "functions of a row, passed along")]

mod common;

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, ReduceOp, UnaryOp};
use bayplan_shaders::{
    Approx, Arg, Chain, ElementwiseSpec, MatMulSpec, NormalizeSpec, Operand, ReduceSpec, SoftmaxSpec, Spec,
    Step, StepOp, log_softmax_magnitudes, normalize_magnitudes, product_magnitude, softmax_magnitudes,
    step_error,
};
use common::{Random, cpu, floats, run, targets, within_bound, words};

/// Numbers of all sizes that floats have, most of them near 1.
fn numbers(seed: u64, n: usize) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..n)
        .map(|i| {
            let spread = if i % 4 == 0 { 120 } else { 6 };
            random.float() * 2_f32.powi(random.below(2 * spread) as i32 - spread as i32)
        })
        .collect()
}

fn step(op: StepOp, operands: usize, n: usize) -> Spec {
    let args = (0..operands as u32).map(Arg::Operand).collect();
    Spec::Elementwise(ElementwiseSpec {
        shape: vec![n as u64],
        chain: Chain {
            operands: vec![Operand { dtype: DType::F32, base: 0, strides: vec![1] }; operands],
            steps: vec![Step { op, args, dtype: DType::F32 }],
            result: DType::F32,
            layout: None,
        },
        in_place: None,
    })
}

/// Runs one operation; every result must be within its bound, and most bounds must be finite.
fn within(op: StepOp, operands: &[Vec<f32>], exact: impl Fn(&[f64]) -> f64) {
    let n = operands[0].len();
    let stored: Vec<_> = operands.iter().map(|x| words(x)).collect();
    let target = cpu();
    let got = floats(&run(&step(op, operands.len(), n), &target, &stored, n as u64, None));
    let (mut unknown, mut worst) = (0, 0.0_f64);
    for (i, &device) in got.iter().enumerate() {
        let args: Vec<_> = operands.iter().map(|x| Approx::stored(f64::from(x[i]))).collect();
        let values: Vec<_> = args.iter().map(|a| a.value).collect();
        let value = exact(&values);
        let error = step_error(&target, op, DType::F32, DType::F32, &args, value);
        assert!(
            Approx { value, error }.accepts(f64::from(device)),
            "{}: {op:?} of {values:?} is {device}, should be {value} within {error:e}",
            target.name
        );
        unknown += usize::from(error == f64::INFINITY);
        if error.is_finite() && error > 0.0 && device.is_finite() {
            worst = worst.max((f64::from(device) - value).abs() / error);
        }
    }
    println!("{op:?}: at most {worst:.2} of the bound, {unknown} of {n} unknown");
    assert!(unknown * 4 < n, "{op:?}: {unknown} of {n} results have no bound");
}

fn erf(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-17 * sum.abs() && n < 400.0 {
        n += 1.0;
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[test]
fn operations_of_one_number() {
    use UnaryOp::{
        Abs, Ceil, Cos, Erf, Exp, Floor, Log, Neg, Reciprocal, Relu, Round, Sigmoid, Sign, Sin, Softplus,
        Sqrt, Tanh,
    };
    let x = numbers(1, 3000);
    let positive: Vec<f32> = x.iter().map(|v| v.abs()).collect();
    let check = |op, x: &[f32], f: fn(f64) -> f64| within(StepOp::Unary(op), &[x.to_vec()], |v| f(v[0]));
    check(Neg, &x, |v| -v);
    check(Abs, &x, f64::abs);
    check(Relu, &x, |v| v.max(0.0));
    check(Floor, &x, f64::floor);
    check(Ceil, &x, f64::ceil);
    check(Round, &x, f64::round_ties_even);
    check(Sign, &x, |v| if v == 0.0 { 0.0 } else { v.signum() });
    check(Exp, &x, f64::exp);
    check(Log, &positive, f64::ln);
    check(Sqrt, &positive, f64::sqrt);
    check(Reciprocal, &x, f64::recip);
    check(Sigmoid, &x, |v| 1.0 / (1.0 + (-v).exp()));
    check(Tanh, &x, f64::tanh);
    check(Erf, &x, erf);
    check(Softplus, &x, |v| v.max(0.0) + (-v.abs()).exp().ln_1p());
    check(Sin, &x, f64::sin);
    check(Cos, &x, f64::cos);
}

#[test]
fn operations_of_two_numbers() {
    use BinaryOp::{Add, Div, Max, Min, Mod, Mul, Pow, Sub};
    let (x, y) = (numbers(2, 3000), numbers(3, 3000));
    let check = |op, x: &[f32], y: &[f32], f: fn(f64, f64) -> f64| {
        within(StepOp::Binary(op), &[x.to_vec(), y.to_vec()], |v| f(v[0], v[1]));
    };
    check(Add, &x, &y, |x, y| x + y);
    check(Sub, &x, &y, |x, y| x - y);
    check(Mul, &x, &y, |x, y| x * y);
    check(Div, &x, &y, |x, y| x / y);
    check(Min, &x, &y, f64::min);
    check(Max, &x, &y, f64::max);
    let near: Vec<f32> = Random::new(4).floats(3000).iter().map(|v| v * 50.0).collect();
    let base: Vec<f32> = near.iter().map(|v| v.abs()).collect();
    let power: Vec<f32> = Random::new(5).floats(3000).iter().map(|v| v * 8.0).collect();
    check(Pow, &base, &power, f64::powf);
    let whole: Vec<f32> = power.iter().map(|v| v.round()).collect();
    check(Pow, &near, &whole, f64::powf);
    check(Mod, &near, &power, |x, y| x % y);
}

/// Runs a spec without a chain on every target; all results must be within the bound.
fn kernels(what: &str, spec: &Spec, operands: &[Vec<u32>], want: &[f64], magnitudes: &[f64]) {
    for target in targets() {
        let worst = within_bound(what, spec, &target, operands, want, magnitudes);
        println!("{what} on {}: at most {worst:.2} of the bound", target.name);
    }
}

fn none(rank: usize) -> Chain {
    let dtype = DType::F32;
    Chain {
        operands: vec![Operand { dtype, base: 0, strides: vec![0; rank] }],
        steps: Vec::new(),
        result: dtype,
        layout: None,
    }
}

#[test]
fn products() {
    for (m, n, k) in [(5, 12, 300), (3, 7, 33), (1, 64, 2048)] {
        let (a, b) = (numbers(m, (m * k) as usize), numbers(n, (k * n) as usize));
        // Sizes within reach of each other's, so that the sums are of many terms.
        let [a, b] =
            [a, b].map(|x| x.iter().map(|v| v.abs().clamp(0.01, 40.0).copysign(*v)).collect::<Vec<_>>());
        let (mut want, mut magnitudes) = (Vec::new(), Vec::new());
        for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let terms =
                (0..k).map(|l| f64::from(a[(i * k + l) as usize]) * f64::from(b[(l * n + j) as usize]));
            want.push(terms.clone().sum());
            magnitudes.push(terms.map(f64::abs).sum());
        }
        let spec = Spec::MatMul(MatMulSpec {
            batch: vec![],
            m,
            n,
            k,
            a_strides: vec![k, 1],
            b_strides: vec![n, 1],
            epilogue: none(2),
        });
        kernels(&format!("product {m}x{n}x{k}"), &spec, &[words(&a), words(&b)], &want, &magnitudes);
    }
}

#[test]
fn rows() {
    for len in [4_u64, 37, 512, 3000] {
        let x: Vec<f32> = Random::new(len).floats(3 * len).iter().map(|v| v * 4.0 + 1.0).collect();
        let wide: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
        let each = |f: &dyn Fn(&[f64]) -> (Vec<f64>, Vec<f64>)| -> (Vec<f64>, Vec<f64>) {
            let (mut want, mut magnitudes) = (Vec::new(), Vec::new());
            for row in wide.chunks(len as usize) {
                let (w, m) = f(row);
                want.extend(w);
                magnitudes.extend(m);
            }
            (want, magnitudes)
        };
        let n = len as f64;
        let size = |row: &[f64]| row.iter().map(|v| v.abs()).sum::<f64>();
        let check = |what: &str, spec: Spec, (want, magnitudes): (Vec<f64>, Vec<f64>)| {
            kernels(&format!("{what} of {len}"), &spec, &[words(&x)], &want, &magnitudes);
        };
        let reduce = |op| {
            Spec::Reduce(ReduceSpec { op, dtype: DType::F32, outer: 3, len, inner: 1, epilogue: none(2) })
        };
        check("sum", reduce(ReduceOp::Sum), each(&|r| (vec![r.iter().sum()], vec![size(r)])));
        check(
            "mean",
            reduce(ReduceOp::Mean),
            each(&|r| (vec![r.iter().sum::<f64>() / n], vec![size(r) / n])),
        );
        check(
            "maximum",
            reduce(ReduceOp::Max),
            each(&|r| (vec![r.iter().copied().fold(f64::MIN, f64::max)], vec![0.0])),
        );
        if len < 40 {
            let product = |r: &[f64]| vec![product_magnitude(r.iter().copied())];
            check("product", reduce(ReduceOp::Prod), each(&|r| (vec![r.iter().product()], product(r))));
        }
        let softmax = |row: &[f64]| -> Vec<f64> {
            let top = row.iter().copied().fold(f64::MIN, f64::max);
            let sum: f64 = row.iter().map(|v| (v - top).exp()).sum();
            row.iter().map(|v| (v - top).exp() / sum).collect()
        };
        let spec = |log| {
            Spec::Softmax(SoftmaxSpec { dtype: DType::F32, outer: 3, len, inner: 1, log, in_place: false })
        };
        check("softmax", spec(false), each(&|r| (softmax(r), softmax_magnitudes(r, &softmax(r)))));
        let log = |r: &[f64]| softmax(r).iter().map(|v| v.ln()).collect();
        check("its logarithm", spec(true), each(&|r| (log(r), log_softmax_magnitudes(r))));
        for center in [true, false] {
            let normal = |r: &[f64]| -> Vec<f64> {
                let mean = if center { r.iter().sum::<f64>() / n } else { 0.0 };
                let variance = r.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
                r.iter().map(|v| (v - mean) / (variance + f64::from(1e-5_f32)).sqrt()).collect()
            };
            let spec = Spec::Normalize(NormalizeSpec {
                rows: 3,
                len,
                epsilon: 1e-5,
                center,
                epilogue: none(2),
                in_place: false,
            });
            let both = |r: &[f64]| (normal(r), normalize_magnitudes(r, &normal(r), 1e-5, center));
            check("normalisation", spec, each(&both));
        }
    }
}
