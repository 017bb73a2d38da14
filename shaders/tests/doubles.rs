//! 64-bit floats on devices that have them: every operator within its bound, conversions, and what kernels make of them.

#![allow(clippy::type_complexity, reason = "a table of operations with the functions that they are")]

mod common;

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, ReduceOp, UnaryOp};
use bayplan_shaders::{
    Approx, Arg, Chain, CumulateSpec, ElementwiseSpec, Operand, RangeSpec, RankSpec, ReduceSpec, SoftmaxSpec,
    Spec, Step, StepOp, Target, launch, step_error,
};
use common::{Random, cpu, run, single};

/// What a reduction makes of its elements.
type Fold<'a> = &'a dyn Fn(&[f64]) -> f64;

/// The device, if it has 64-bit floats.
fn device() -> Option<Target> {
    Some(cpu()).filter(|cpu| cpu.features.float64 && cpu.features.int64)
}

fn pairs(list: &[f64]) -> Vec<u32> {
    list.iter().map(|v| v.to_bits()).flat_map(|bits| [bits as u32, (bits >> 32) as u32]).collect()
}

fn doubles(words: &[u32]) -> Vec<f64> {
    words.chunks_exact(2).map(|w| f64::from_bits(u64::from(w[0]) | u64::from(w[1]) << 32)).collect()
}

/// Zeros, ends, ties and numbers of many sizes.
fn numbers(seed: u64, count: usize) -> Vec<f64> {
    let mut random = Random::new(seed);
    let edges = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 1e-300, 1e300, 4503599627370495.5, 9007199254740993.0];
    let special = [f64::INFINITY, f64::NAN, f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.1, 709.0, 710.0, 745.0];
    let mut all: Vec<f64> = edges.into_iter().chain(special).flat_map(|v| [v, -v]).collect();
    while all.len() < count {
        let fine = f64::from(random.float()) + f64::from(random.float()) * 2_f64.powi(-26);
        all.push(fine * 2_f64.powi(random.below(24) as i32 - 12));
    }
    all
}

fn within(target: &Target, op: StepOp, tests: bool, operands: &[&[f64]], of: impl Fn(usize) -> f64) {
    let (n, to) = (operands[0].len(), if tests { DType::Bool } else { DType::F64 });
    let words: Vec<_> = operands.iter().map(|x| pairs(x)).collect();
    let spec = single(op, DType::F64, to, operands.len(), n);
    let got = run(&spec, target, &words, n as u64 * if tests { 1 } else { 2 }, None);
    let got = if tests { got.iter().map(|&v| v.into()).collect() } else { doubles(&got) };
    let mut sure = 0;
    for (at, got) in got.into_iter().enumerate() {
        let value = of(at);
        let exact: Vec<_> = operands.iter().map(|x| Approx { value: x[at], error: 0.0 }).collect();
        let error = step_error(target, op, DType::F64, to, &exact, value);
        let of: Vec<_> = operands.iter().map(|x| x[at]).collect();
        let good = Approx { value, error }.accepts(got);
        assert!(good, "{op:?} of {of:?} is {got:e}, not {value:e} within {error:e}");
        sure += usize::from(error <= 1e-11 * value.abs() || value.is_nan());
    }
    assert!(sure > n * 3 / 4, "{op:?} has a useful bound on {sure} of {n} arguments");
}

#[test]
fn every_operator_keeps_its_bound() {
    use UnaryOp::{
        Abs, Ceil, Exp, Floor, IsInf, IsNaN, Log, Neg, Reciprocal, Relu, Round, Sigmoid, Sign, Softplus,
        Sqrt, Tanh,
    };
    let Some(target) = device() else { return };
    let (x, y) = (numbers(1, 800), numbers(2, 800));
    for op in [
        Abs, Ceil, Exp, Floor, IsInf, IsNaN, Log, Neg, Reciprocal, Relu, Round, Sigmoid, Sign, Softplus,
        Sqrt, Tanh,
    ] {
        let f = op.float().expect("it takes floats");
        within(&target, StepOp::Unary(op), op.tests(), &[&x], |at| f(x[at]));
    }
    for &op in BinaryOp::ALL.iter().filter(|op| op.takes(DType::F64)) {
        let f = op.float().expect("it takes floats");
        let (x, y): (Vec<f64>, Vec<f64>) = x
            .iter()
            .zip(y.iter().rev())
            // Powers beyond the range of numbers are infinite here and there.
            .filter(|(x, y)| op != BinaryOp::Pow || (x.abs().ln() * **y).abs() < 700.0)
            .unzip();
        within(&target, StepOp::Binary(op), op.tests(), &[&x, &y], |at| f(x[at], y[at]));
    }
}

#[test]
fn conversions() {
    let Some(target) = device() else { return };
    let x = numbers(3, 600);
    let cast = |to| single(StepOp::Cast, DType::F64, to, 1, x.len());
    let n = x.len() as u64;
    let input = [pairs(&x)];
    let i32s = run(&cast(DType::I32), &target, &input, n, None);
    let u8s = run(&cast(DType::U8), &target, &input, n, None);
    let truths = run(&cast(DType::Bool), &target, &input, n, None);
    let i64s = doubles(&run(&cast(DType::I64), &target, &input, 2 * n, None));
    for (at, &v) in x.iter().enumerate() {
        assert_eq!(i32s[at].cast_signed(), v as i32, "i32 of {v}");
        assert_eq!(u8s[at], (v as i32 as u8).into(), "u8 of {v}");
        assert_eq!(truths[at], u32::from(v != 0.0), "bool of {v}");
        assert_eq!(i64s[at].to_bits().cast_signed(), v as i64, "i64 of {v}");
    }
    let f32s = run(&cast(DType::F32), &target, &input, n, None);
    for (at, &v) in x.iter().enumerate().filter(|(_, v)| v.abs() > 1e-37 || **v == 0.0) {
        let got = f32::from_bits(f32s[at]);
        assert!(got == v as f32 || got.is_nan() && v.is_nan(), "f32 of {v:e} is {got:e}");
    }
    let whole: Vec<u64> = [0, 1, 1 << 53, (1 << 53) + 1, (1 << 54) + 2, u64::MAX, 1 << 63].to_vec();
    let from: Vec<u32> = whole.iter().flat_map(|v| [*v as u32, (v >> 32) as u32]).collect();
    for dtype in [DType::I64, DType::U64] {
        let spec = single(StepOp::Cast, dtype, DType::F64, 1, whole.len());
        let got = doubles(&run(&spec, &target, std::slice::from_ref(&from), 2 * whole.len() as u64, None));
        let of = |v: u64| if dtype == DType::I64 { v.cast_signed() as f64 } else { v as f64 };
        assert_eq!(got, whole.iter().map(|&v| of(v)).collect::<Vec<_>>(), "{dtype}");
    }
}

#[test]
fn narrow_floats_are_rounded_to_once() {
    let Some(target) = device() else { return };
    for dtype in [DType::F16, DType::BF16] {
        let format = dtype.narrow_float().expect("a narrow type");
        // Numbers just beside the ties between two values, by less than an `f32` tells.
        let ties = (0..2000_u32).map(|at| {
            let value = format.round(f64::from(f32::from_bits(0x3380_0000 + at * 0x0003_1003)));
            let next = format.round(value * (1.0 + 1.1 * (-f64::from(format.fraction)).exp2()));
            (value + next) / 2.0
        });
        let x: Vec<f64> =
            ties.flat_map(|tie| [tie, tie.next_up(), tie.next_down(), -tie.next_up()]).collect();
        let spec = single(StepOp::Cast, DType::F64, dtype, 1, x.len());
        let got = run(&spec, &target, &[pairs(&x)], x.len() as u64, None);
        for (v, got) in x.iter().zip(got) {
            assert_eq!(f64::from(f32::from_bits(got)), format.round(*v), "{dtype} of {v:e}");
        }
    }
}

fn none() -> Chain {
    let operands = vec![Operand { dtype: DType::F64, base: 0, strides: vec![0, 0] }];
    Chain { operands, steps: Vec::new(), result: DType::F64, layout: None }
}

fn near(what: &str, got: &[u32], want: &[f64]) {
    for (got, want) in doubles(got).into_iter().zip(want) {
        assert!((got - want).abs() <= 1e-13 * want.abs().max(1e-2), "{what} is {got:e}, should be {want:e}");
    }
}

#[test]
fn kernels() {
    let Some(target) = device() else { return };
    let (outer, len, inner) = (3_u64, 37_u64, 2_u64);
    let x = numbers(5, 1000)[400..][..(outer * len * inner) as usize].to_vec();
    let lines: Vec<Vec<f64>> = (0..outer * inner)
        .map(|line| {
            let first = line / inner * len * inner + line % inner;
            (0..len).map(|k| x[(first + k * inner) as usize]).collect()
        })
        .collect();
    let by_line = |f: &dyn Fn(&[f64]) -> Vec<f64>| {
        let mut all = vec![0.0; x.len()];
        for (line, values) in (0..).zip(&lines) {
            let first = line / inner * len * inner + line % inner;
            for (k, v) in (0..).zip(f(values)) {
                all[(first + k * inner) as usize] = v;
            }
        }
        all
    };
    let dtype = DType::F64;
    let folds: [(ReduceOp, Fold<'_>); 5] = [
        (ReduceOp::Sum, &|line| line.iter().sum()),
        (ReduceOp::Mean, &|line| line.iter().sum::<f64>() / len as f64),
        (ReduceOp::Max, &|line| line.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        (ReduceOp::Min, &|line| line.iter().copied().fold(f64::INFINITY, f64::min)),
        (ReduceOp::Prod, &|line| line.iter().product()),
    ];
    for (op, f) in folds {
        let spec = Spec::Reduce(ReduceSpec { op, dtype, outer, len, inner, epilogue: none() });
        let got = run(&spec, &target, &[pairs(&x)], 2 * outer * inner, None);
        near(&format!("{op:?}"), &got, &lines.iter().map(|line| f(line)).collect::<Vec<_>>());
    }
    for log in [false, true] {
        let spec = Spec::Softmax(SoftmaxSpec { dtype, outer, len, inner, log, in_place: false });
        let got = run(&spec, &target, &[pairs(&x)], 2 * x.len() as u64, None);
        let want = by_line(&|line| {
            let top = line.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = line.iter().map(|v| (v - top).exp()).sum();
            line.iter().map(|v| if log { v - top - sum.ln() } else { (v - top).exp() / sum }).collect()
        });
        near("softmax", &got, &want);
    }
    let spec = CumulateSpec { op: BinaryOp::Add, dtype, outer, len, inner, exclusive: false, reverse: false };
    let got = run(&Spec::Cumulate(spec), &target, &[pairs(&x)], 2 * x.len() as u64, None);
    let running = |line: &[f64]| {
        let mut sum = 0.0;
        line.iter()
            .map(|v| {
                sum += v;
                sum
            })
            .collect()
    };
    near("running sums", &got, &by_line(&running));
    let spec = Spec::Range(RangeSpec { dtype, count: 99 });
    let got = run(&spec, &target, &[pairs(&[0.1]), pairs(&[0.3])], 198, None);
    near("a range", &got, &(0..99).map(|i| 0.1 + f64::from(i) * 0.3).collect::<Vec<_>>());
    let line = [3.0, f64::NAN, -0.0, 0.0, -5e300, 1e-300];
    let spec = Spec::Rank(RankSpec { dtype, outer: 1, len: 6, inner: 1, largest: false });
    assert_eq!(run(&spec, &target, &[pairs(&line)], 6, None), [4, 5, 1, 2, 0, 3]);
}

#[test]
fn a_device_without_them_says_so() {
    let features = bayplan_shaders::Features { float64: false, ..cpu().features };
    let without = Target { features, ..cpu() };
    let refusal =
        launch(&single(StepOp::Unary(UnaryOp::Exp), DType::F64, DType::F64, 1, 4), &without).unwrap_err();
    assert!(refusal.to_string().contains("no 64-bit floats"), "{refusal}");
    // What only moves them needs none.
    let select = ElementwiseSpec {
        shape: vec![3],
        chain: Chain {
            operands: [DType::Bool, DType::F64, DType::F64]
                .map(|dtype| Operand { dtype, base: 0, strides: vec![1] })
                .to_vec(),
            steps: vec![Step {
                op: StepOp::Select,
                args: (0..3).map(Arg::Operand).collect(),
                dtype: DType::F64,
            }],
            result: DType::F64,
            layout: None,
        },
        in_place: None,
    };
    let operands = [vec![1, 0, 1], pairs(&[1.0, 2.0, f64::NAN]), pairs(&[4.0, -0.5, 6.0])];
    let got = run(&Spec::Elementwise(select), &without, &operands, 6, None);
    assert_eq!(got, pairs(&[1.0, -0.5, f64::NAN]));
}
