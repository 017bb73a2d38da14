//! Elementwise chains against double precision and integer arithmetic.

mod common;

use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_graph::{DType, Op, Tensor, eval_node};
use bayplan_shaders::{Arg, Chain, ElementwiseSpec, Operand, Spec, Step, StepOp};
use common::{Random, close, cpu, floats, run, targets, words, words64};

fn linear(dtype: DType, n: u64) -> Operand {
    Operand { dtype, base: 0, strides: vec![u64::from(n > 1)] }
}

/// One step over `n` elements of each operand.
fn single(op: StepOp, from: DType, to: DType, operands: usize, n: u64) -> Spec {
    let args = (0..operands as u32).map(Arg::Operand).collect();
    Spec::Elementwise(ElementwiseSpec {
        shape: vec![n],
        chain: Chain {
            operands: vec![linear(from, n); operands],
            steps: vec![Step { op, args, dtype: to }],
            result: to,
            layout: None,
        },
        in_place: None,
    })
}

fn unary(op: UnaryOp, x: &[f32], reference: impl Fn(f64) -> f64, relative: f64, absolute: f64) {
    let n = x.len() as u64;
    let spec = single(StepOp::Unary(op), DType::F32, DType::F32, 1, n);
    let want: Vec<f64> = x.iter().map(|v| reference(f64::from(*v))).collect();
    close(&format!("{op:?}"), &run(&spec, &cpu(), &[words(x)], n, None), &want, relative, absolute);
}

fn erf(x: f64) -> f64 {
    // The series where it converges fast, and 1 beyond.
    if x.abs() > 4.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-17 * sum.abs() {
        n += 1.0;
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
        if n > 400.0 {
            break;
        }
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[test]
fn float_functions() {
    let mut random = Random::new(3);
    let mut x: Vec<f32> = random.floats(997).iter().map(|v| v * 8.0).collect();
    x.extend([0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1e-8, -1e-8, 0.19, 0.21]);
    let wide: Vec<f32> =
        x.iter().map(|v| v * 25.0).chain([1e30, -1e30, f32::INFINITY, f32::NEG_INFINITY, f32::NAN]).collect();
    let positive: Vec<f32> = x.iter().map(|v| v.abs() + 1e-3).collect();
    unary(UnaryOp::Neg, &wide, |v| -v, 0.0, 0.0);
    unary(UnaryOp::Abs, &wide, f64::abs, 0.0, 0.0);
    unary(UnaryOp::Relu, &wide, |v| if v < 0.0 { 0.0 } else { v }, 0.0, 0.0);
    unary(UnaryOp::Floor, &wide, f64::floor, 0.0, 0.0);
    unary(UnaryOp::Ceil, &wide, f64::ceil, 0.0, 0.0);
    unary(UnaryOp::Round, &x, f64::round_ties_even, 0.0, 0.0);
    unary(UnaryOp::Sign, &x, |v| if v == 0.0 { 0.0 } else { v.signum() }, 0.0, 0.0);
    unary(UnaryOp::Sqrt, &positive, f64::sqrt, 3e-7, 0.0);
    unary(UnaryOp::Reciprocal, &positive, f64::recip, 3e-7, 0.0);
    unary(UnaryOp::Exp, &x, f64::exp, 3e-6, 0.0);
    unary(UnaryOp::Log, &positive, f64::ln, 1e-6, 1e-6);
    let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -f32::NAN];
    unary(UnaryOp::Exp, &special, f64::exp, 0.0, 0.0);
    unary(UnaryOp::Log, &special, f64::ln, 0.0, 0.0);
    unary(UnaryOp::Log, &[-1.0, -1e-3], f64::ln, 0.0, 0.0);
    unary(UnaryOp::Sqrt, &[f32::NAN, f32::INFINITY, 0.0, -1.0], f64::sqrt, 0.0, 0.0);
    unary(UnaryOp::Floor, &special, f64::floor, 0.0, 0.0);
    unary(UnaryOp::Round, &special, f64::round_ties_even, 0.0, 0.0);
    let mut angles = wide.clone();
    // Near multiples of π/2, far out, and where reduction sets in.
    angles.extend((0..200).map(|k| (f64::from(k) * std::f64::consts::FRAC_PI_2) as f32));
    angles.extend((0..300).map(|_| random.float() * 2_f32.powi(random.below(127) as i32)));
    let eighth = std::f32::consts::FRAC_PI_4.to_bits();
    angles.extend([eighth - 1, eighth, eighth + 1].map(f32::from_bits));
    angles.extend([131_071.0, 3.402_823_5e38, 16_367_173.0 * 2_f32.powi(72)]);
    let angles: Vec<f32> = angles.into_iter().filter(|v| v.is_finite()).collect();
    unary(UnaryOp::Sin, &angles, f64::sin, 0.0, 3e-7);
    unary(UnaryOp::Cos, &angles, f64::cos, 0.0, 3e-7);
    unary(UnaryOp::Sin, &x, f64::sin, 1e-5, 0.0);
    unary(UnaryOp::Sin, &[f32::INFINITY, f32::NAN], |_| f64::NAN, 0.0, 0.0);
    unary(UnaryOp::Tanh, &wide, f64::tanh, 2e-6, 0.0);
    unary(UnaryOp::Sigmoid, &wide, |v| 1.0 / (1.0 + (-v).exp()), 3e-6, 1e-30);
    unary(UnaryOp::Softplus, &wide, |v| v.max(0.0) + (-v.abs()).exp().ln_1p(), 1e-6, 1e-6);
    unary(UnaryOp::Erf, &wide, |v| if v.is_nan() { v } else { erf(v) }, 0.0, 1e-6);
}

#[test]
fn float_tests_see_nans_and_infinities() {
    let x = [1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -f32::NAN, f32::MAX];
    for (op, want) in [(UnaryOp::IsNaN, [0, 1, 0, 0, 0, 1, 0]), (UnaryOp::IsInf, [0, 0, 1, 1, 0, 0, 0])] {
        let spec = single(StepOp::Unary(op), DType::F32, DType::Bool, 1, 7);
        assert_eq!(run(&spec, &cpu(), &[words(&x)], 7, None), want, "{op:?}");
    }
}

fn binary(op: BinaryOp, x: &[f32], y: &[f32], want: &[f64], relative: f64) {
    let n = x.len() as u64;
    let spec = single(StepOp::Binary(op), DType::F32, DType::F32, 2, n);
    close(&format!("{op:?}"), &run(&spec, &cpu(), &[words(x), words(y)], n, None), want, relative, 1e-30);
}

#[test]
fn float_pairs() {
    let mut random = Random::new(5);
    let x: Vec<f32> = random.floats(501).iter().map(|v| v * 10.0).collect();
    let y: Vec<f32> = random.floats(501).iter().map(|v| v * 10.0 + 0.01).collect();
    let both = |f: fn(f64, f64) -> f64| -> Vec<f64> {
        x.iter().zip(&y).map(|(x, y)| f(f64::from(*x), f64::from(*y))).collect()
    };
    binary(BinaryOp::Add, &x, &y, &both(|x, y| x + y), 1e-6);
    binary(BinaryOp::Sub, &x, &y, &both(|x, y| f64::from(x as f32 - y as f32)), 1e-6);
    binary(BinaryOp::Mul, &x, &y, &both(|x, y| x * y), 2e-7);
    binary(BinaryOp::Div, &x, &y, &both(|x, y| x / y), 4e-7);
    binary(BinaryOp::Min, &x, &y, &both(f64::min), 0.0);
    binary(BinaryOp::Max, &x, &y, &both(f64::max), 0.0);
    let (n, i) = (f32::NAN, f32::INFINITY);
    let nan = f64::NAN;
    binary(BinaryOp::Min, &[n, 1.0, n, i, -i], &[1.0, n, n, 2.0, n], &[nan, nan, nan, 2.0, nan], 0.0);
    binary(
        BinaryOp::Max,
        &[n, 1.0, n, i, -i],
        &[1.0, n, n, 2.0, 0.5],
        &[nan, nan, nan, f64::INFINITY, 0.5],
        0.0,
    );
    // Exact, as the host's remainder of `f32` is.
    let mut sizes = |range: u64| -> Vec<f32> {
        (0..500).map(|_| random.float() * 2_f32.powi(random.below(range) as i32 - range as i32 / 2)).collect()
    };
    for (x, y) in [(sizes(20), sizes(20)), (sizes(240), sizes(240)), (sizes(240), sizes(4))] {
        let want: Vec<f64> = x.iter().zip(&y).map(|(x, y)| f64::from(x % y)).collect();
        binary(BinaryOp::Mod, &x, &y, &want, 0.0);
    }
    let base = [-2.0, -2.0, -2.0, 2.0, 0.0, 0.0, 1.0, -3.0, 9.0, 4.0, 7.0, -2.0, 2.5, 0.1];
    let power = [2.0, 3.0, 0.5, 10.0, 0.0, 2.0, 1e10, -1.0, 0.5, -0.5, 1.0, 0.0, 3.7, -4.0];
    let want: Vec<f64> =
        base.iter().zip(&power).map(|(x, y)| f64::powf(f64::from(*x), f64::from(*y))).collect();
    binary(BinaryOp::Pow, &base, &power, &want, 4e-6);
}

#[test]
fn comparisons_and_logic() {
    let (x, y) = ([1.0, 2.0, 3.0, f32::NAN, -0.0], [1.0, 3.0, 2.0, f32::NAN, 0.0]);
    let cases = [
        (BinaryOp::Equal, [1, 0, 0, 0, 1]),
        (BinaryOp::Less, [0, 1, 0, 0, 0]),
        (BinaryOp::LessOrEqual, [1, 1, 0, 0, 1]),
        (BinaryOp::Greater, [0, 0, 1, 0, 0]),
        (BinaryOp::GreaterOrEqual, [1, 0, 1, 0, 1]),
    ];
    for (op, want) in cases {
        let spec = single(StepOp::Binary(op), DType::F32, DType::Bool, 2, 5);
        assert_eq!(run(&spec, &cpu(), &[words(&x), words(&y)], 5, None), want, "{op:?}");
    }
    let (x, y) = (vec![0, 0, 1, 1, 1], vec![0, 1, 0, 1, 1]);
    let cases =
        [(BinaryOp::And, [0, 0, 0, 1, 1]), (BinaryOp::Or, [0, 1, 1, 1, 1]), (BinaryOp::Xor, [0, 1, 1, 0, 0])];
    for (op, want) in cases {
        let spec = single(StepOp::Binary(op), DType::Bool, DType::Bool, 2, 5);
        assert_eq!(run(&spec, &cpu(), &[x.clone(), y.clone()], 5, None), want, "{op:?}");
    }
    let spec = single(StepOp::Unary(UnaryOp::Not), DType::Bool, DType::Bool, 1, 5);
    assert_eq!(run(&spec, &cpu(), &[x], 5, None), [1, 1, 0, 0, 0]);
}

#[test]
fn integer_pairs() {
    let x: [i64; 9] = [7, -7, 7, -7, 0, 5, i64::from(i32::MIN), 3, -2];
    let y: [i64; 9] = [3, 3, -3, -3, 4, 0, -1, 4, 3];
    let cases = [
        (BinaryOp::Div, [2, -2, -2, 2, 0, 0, 1 << 31, 0, 0]),
        (BinaryOp::Mod, [1, 2, -2, -1, 0, 0, 0, 3, 1]),
        (BinaryOp::Min, [3, -7, -3, -7, 0, 0, i64::from(i32::MIN), 3, -2]),
        (BinaryOp::Pow, [343, -343, 0, 0, 0, 1, 0, 81, -8]),
    ];
    for (op, want) in cases {
        let spec = single(StepOp::Binary(op), DType::I64, DType::I64, 2, 9);
        let got = run(&spec, &cpu(), &[words64(&x), words64(&y)], 18, None);
        assert_eq!(got, words64(&want), "{op:?} i64");
        let spec = single(StepOp::Binary(op), DType::I32, DType::I32, 2, 9);
        let low = |x: &[i64]| x.iter().map(|v| *v as u32).collect::<Vec<_>>();
        assert_eq!(run(&spec, &cpu(), &[low(&x), low(&y)], 9, None), low(&want), "{op:?} i32");
    }
    let spec = single(StepOp::Binary(BinaryOp::Div), DType::U64, DType::U64, 2, 1);
    let got = run(&spec, &cpu(), &[words64(&[-2]), words64(&[3])], 2, None);
    assert_eq!(got, words64(&[((u64::MAX - 1) / 3) as i64]));
}

#[test]
fn narrow_integers_wrap() {
    let check = |dtype, op, x: i32, y: i32, want: i32| {
        let spec = single(StepOp::Binary(op), dtype, dtype, 2, 1);
        let got = run(&spec, &cpu(), &[vec![x as u32], vec![y as u32]], 1, None);
        assert_eq!(got, [want as u32], "{dtype} {op:?}");
    };
    check(DType::U8, BinaryOp::Add, 250, 10, 4);
    check(DType::U8, BinaryOp::Sub, 1, 2, 255);
    check(DType::I8, BinaryOp::Add, 100, 100, -56);
    check(DType::I16, BinaryOp::Mul, 300, 300, 24464);
}

#[test]
fn casts() {
    let check = |from, to, x: Vec<u32>, want: Vec<u32>| {
        let n = if matches!(from, DType::I64) { x.len() / 2 } else { x.len() } as u64;
        let spec = single(StepOp::Cast, from, to, 1, n);
        assert_eq!(run(&spec, &cpu(), &[x], want.len() as u64, None), want, "{from} to {to}");
    };
    check(DType::F32, DType::I32, words(&[1.9, -1.9, 0.0, 3e4]), vec![1, u32::MAX, 0, 30000]);
    check(DType::F32, DType::I64, words(&[1.9, -1.9, 1e12]), words64(&[1, -1, 999_999_995_904]));
    check(DType::F32, DType::Bool, words(&[0.0, -0.0, 0.1, f32::NAN]), vec![0, 0, 1, 1]);
    check(DType::F32, DType::U8, words(&[3.7, -1.0, 300.0]), vec![3, 255, 44]);
    check(DType::I64, DType::F32, words64(&[3, -5, 1 << 40]), words(&[3.0, -5.0, 1.0995116e12]));
    check(DType::I64, DType::I32, words64(&[3, -5, (1 << 40) + 7]), vec![3, -5_i32 as u32, 7]);
    check(DType::I64, DType::Bool, words64(&[0, 1 << 40]), vec![0, 1]);
    check(DType::Bool, DType::F32, vec![0, 1], words(&[0.0, 1.0]));
    check(DType::Bool, DType::I64, vec![0, 1], words64(&[0, 1]));
    check(DType::I32, DType::I8, vec![200, 5], vec![-56_i32 as u32, 5]);
}

/// `select(c, a + k, b * a)` with operands broadcast in the ways given by their strides.
fn broadcast(shape: &[u64], a: &[u64], b: &[u64], c: &[u64], in_place: bool) {
    let step = |op, args: &[Arg]| Step { op, args: args.to_vec(), dtype: DType::F32 };
    let operand = |dtype, strides: &[u64]| Operand { dtype, base: 0, strides: strides.to_vec() };
    let chain = Chain {
        operands: vec![operand(DType::F32, a), operand(DType::F32, b), operand(DType::Bool, c)],
        steps: vec![
            step(
                StepOp::Binary(BinaryOp::Add),
                &[Arg::Operand(0), Arg::Const(DType::F32, u64::from(2.5_f32.to_bits()))],
            ),
            step(StepOp::Binary(BinaryOp::Mul), &[Arg::Operand(1), Arg::Operand(0)]),
            step(StepOp::Select, &[Arg::Operand(2), Arg::Step(0), Arg::Step(1)]),
        ],
        result: DType::F32,
        layout: None,
    };
    let extent = |s: &[u64]| shape.iter().zip(s).fold(1, |n, (d, s)| n + (d - 1) * s);
    let mut random = Random::new(shape.iter().sum());
    let (x, y) = (random.floats(extent(a)), random.floats(extent(b)));
    let flags: Vec<u32> = (0..extent(c)).map(|_| random.below(2) as u32).collect();
    let count: u64 = shape.iter().product();
    let mut want = Vec::new();
    for i in 0..count {
        let mut rest = i;
        let mut at = [0_u64; 3];
        for (d, &size) in shape.iter().enumerate().rev() {
            for (at, s) in at.iter_mut().zip([a, b, c]) {
                *at += rest % size * s[d];
            }
            rest /= size;
        }
        let (x, y) = (f64::from(x[at[0] as usize]), f64::from(y[at[1] as usize]));
        want.push(if flags[at[2] as usize] == 1 { x + 2.5 } else { x * y });
    }
    let place = in_place.then_some(0);
    let spec = Spec::Elementwise(ElementwiseSpec { shape: shape.to_vec(), chain, in_place: place });
    for target in targets() {
        let got = run(&spec, &target, &[words(&x), words(&y), flags.clone()], count, place);
        close(&format!("{} {shape:?} {a:?} {b:?} {c:?}", target.name), &got, &want, 2e-7, 0.0);
    }
}

#[test]
fn broadcasts() {
    broadcast(&[13], &[1], &[0], &[1], false);
    broadcast(&[13], &[1], &[1], &[0], true);
    broadcast(&[13], &[2], &[1], &[3], false);
    broadcast(&[3, 8], &[8, 1], &[0, 1], &[1, 0], true);
    broadcast(&[3, 7], &[7, 1], &[0, 1], &[1, 0], false);
    broadcast(&[2, 3, 4], &[12, 4, 1], &[0, 1, 0], &[1, 0, 2], false);
    broadcast(&[4, 3, 8], &[1, 32, 4], &[24, 8, 1], &[0, 0, 1], false);
    broadcast(&[2, 5, 3, 4], &[60, 12, 4, 1], &[4, 0, 0, 1], &[1, 2, 10, 0], true);
    broadcast(&[2, 2, 2, 2, 2, 3], &[1, 2, 4, 8, 16, 32], &[0, 1, 0, 2, 0, 4], &[0; 6], false);
    broadcast(&[1000, 4], &[4, 1], &[1, 0], &[0, 1], false);
}

#[test]
fn a_fill_has_no_operands() {
    let fill = |n: u64, dtype, bits| {
        Spec::Elementwise(ElementwiseSpec {
            shape: vec![n],
            chain: Chain {
                operands: Vec::new(),
                steps: vec![Step { op: StepOp::Cast, args: vec![Arg::Const(dtype, bits)], dtype }],
                result: dtype,
                layout: None,
            },
            in_place: None,
        })
    };
    let got = run(&fill(5, DType::F32, u64::from(1.5_f32.to_bits())), &cpu(), &[], 5, None);
    assert_eq!(floats(&got), [1.5; 5]);
    assert_eq!(run(&fill(3, DType::I64, (-7_i64).cast_unsigned()), &cpu(), &[], 6, None), words64(&[-7; 3]));
}

/// NaNs, infinities, zeros of both signs, the greatest numbers: every operation as the graph's own evaluation has it, on every
/// element of a `vec4` and one at a time.
/// Drivers may read what lies below 2^-126 as 0; the logarithm sees its bits.
#[test]
fn logarithms_of_the_smallest_numbers() {
    let tiny = f32::from_bits(1);
    let x = [1e-40, tiny, f32::MIN_POSITIVE, f32::MIN_POSITIVE / 2.0, 3e-39, 1e-38, 1.5];
    unary(UnaryOp::Log, &x, f64::ln, 1e-6, 0.0);
    let got = run(
        &single(StepOp::Unary(UnaryOp::Log), DType::F32, DType::F32, 1, 4),
        &cpu(),
        &[words(&[-tiny, -1e-40, 0.0, -0.0])],
        4,
        None,
    );
    let got: Vec<f32> = got.into_iter().map(f32::from_bits).collect();
    assert!(got[0].is_nan() && got[1].is_nan(), "{got:?}");
    assert_eq!(got[2..], [f32::NEG_INFINITY; 2]);
}

#[test]
fn special_values_as_the_graph_evaluates_them() {
    let (n, i, m) = (f32::NAN, f32::INFINITY, f32::MAX);
    let special = [n, -n, i, -i, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -3.0, 1e30, -1e30, m, -m];
    let tensor = |x: &[f32]| Tensor::from_f32(vec![x.len()], x).expect("a tensor");
    let check = |op: StepOp, graph: Op, operands: &[Vec<f32>], to: DType| {
        let tensors: Vec<_> = operands.iter().map(|x| tensor(x)).collect();
        let want = eval_node(&graph, &tensors.iter().collect::<Vec<_>>(), 1)
            .expect("it evaluates")
            .remove(0)
            .to_f64();
        let stored: Vec<_> = operands.iter().map(|x| words(x)).collect();
        let count = operands[0].len();
        // All together by fours; alone, the fourth word is what the window has too many.
        for from in (0..count).step_by(count / 4).chain([0]) {
            let len = if from == 0 { count } else { 1 };
            let part: Vec<_> = stored.iter().map(|x| x[from..from + len].to_vec()).collect();
            let spec = single(op, DType::F32, to, operands.len(), len as u64);
            let got = run(&spec, &cpu(), &part, len as u64, None);
            for (j, (&got, &want)) in got.iter().zip(&want[from..]).enumerate() {
                let got = if to == DType::Bool { f64::from(got) } else { f64::from(f32::from_bits(got)) };
                let narrow = f64::from(want as f32);
                let vanishes = narrow.abs() < f64::from(f32::MIN_POSITIVE) && got == 0.0;
                let same = vanishes
                    || got == narrow
                    || (got.is_nan() && want.is_nan())
                    || (got - narrow).abs() <= 1e-5 * narrow.abs();
                let of: Vec<_> = operands.iter().map(|x| x[from + j]).collect();
                assert!(same, "{}: {op:?} of {of:?} is {got}, should be {want}", cpu().name);
            }
        }
    };
    let to = |tests: bool| if tests { DType::Bool } else { DType::F32 };
    for &op in UnaryOp::ALL.iter().filter(|op| op.takes(DType::F32)) {
        check(StepOp::Unary(op), Op::Unary(op), &[special.to_vec()], to(op.tests()));
    }
    let x: Vec<f32> = special.iter().flat_map(|v| [*v; 16]).collect();
    let y: Vec<f32> = (0..256).map(|at| special[at % 16]).collect();
    for &op in BinaryOp::ALL.iter().filter(|op| op.takes(DType::F32)) {
        check(StepOp::Binary(op), Op::Binary(op), &[x.clone(), y.clone()], to(op.tests()));
    }
}
