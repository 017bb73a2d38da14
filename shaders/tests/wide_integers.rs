//! 64-bit integers, where a device has them and where they are emulated on pairs of words, against the host's.

#![allow(clippy::type_complexity, reason = "tables of operations with the functions that they are")]

mod common;

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, ReduceOp, UnaryOp};
use bayplan_shaders::{
    Arg, Chain, ElementwiseSpec, Features, MatMulSpec, NormalizeSpec, Operand, RangeSpec, ReduceSpec, Spec,
    Step, StepOp, Target,
};
use common::{Random, cpu, run, single, targets, words, words64};

/// Numbers at the ends and seams of words, halves and signs.
const EDGES: [i64; 34] = [
    0,
    1,
    -1,
    2,
    -2,
    3,
    -3,
    7,
    -7,
    10,
    -10,
    0xffff,
    0x1_0000,
    -0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    -0x8000_0000,
    -0x8000_0001,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0001,
    -0xffff_ffff,
    -0x1_0000_0000,
    -0x1_0000_0001,
    0x1_ffff_ffff,
    0xffff_ffff_ffff,
    0x1234_5678_9abc_def0,
    -0x1234_5678_9abc_def0,
    3_037_000_500,
    i64::MAX,
    i64::MAX - 1,
    i64::MIN,
    i64::MIN + 1,
    0x4000_0000_0000_0000,
];

/// The device with 64-bit integers, if it has them, and as if it had none.
fn devices() -> Vec<Target> {
    let cpu = cpu();
    let name = format!("{} without 64-bit integers", cpu.name);
    let emulated = Target { name, features: Features { int64: false, ..cpu.features }, ..cpu.clone() };
    if cpu.features.int64 { vec![cpu, emulated] } else { vec![emulated] }
}

/// Every pair of edges, and some more of all sizes.
fn pairs() -> (Vec<i64>, Vec<i64>) {
    let mut random = Random::new(64);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for a in EDGES {
        x.extend([a; EDGES.len()]);
        y.extend(EDGES);
    }
    for _ in 0..400 {
        x.push((random.next() as i64) >> random.below(64));
        y.push((random.next() as i64) >> random.below(64));
    }
    (x, y)
}

/// Fails with the first operands whose result is wrong.
fn same(target: &Target, what: &str, operands: &[&[i64]], per: usize, got: &[u32], want: &[u32]) {
    assert_eq!(got.len(), want.len(), "{what}");
    if let Some(i) = (0..want.len()).find(|&i| got[i] != want[i]) {
        let i = i / per;
        let of: Vec<_> = operands.iter().map(|o| o[i]).collect();
        let (got, want) = (&got[i * per..][..per], &want[i * per..][..per]);
        panic!("{}: {what} of {of:?} is {got:x?}, should be {want:x?} (low word first)", target.name);
    }
}

/// Truncating; 0 for a divisor of 0.
fn div(x: i64, y: i64) -> i64 {
    if y == 0 { 0 } else { x.wrapping_div(y) }
}

/// With the sign of the divisor; 0 for a divisor of 0.
fn modulo(x: i64, y: i64) -> i64 {
    if y == 0 {
        return 0;
    }
    let r = i128::from(x) % i128::from(y);
    (if r != 0 && (r < 0) != (y < 0) { r + i128::from(y) } else { r }) as i64
}

fn power(x: u64, y: u64) -> u64 {
    let (mut r, mut b, mut e) = (1_u64, x, y);
    while e > 0 {
        if e & 1 == 1 {
            r = r.wrapping_mul(b);
        }
        b = b.wrapping_mul(b);
        e >>= 1;
    }
    r
}

fn signed_power(x: i64, y: i64) -> i64 {
    match (x, y) {
        (1, _) => 1,
        (-1, _) => {
            if y & 1 == 0 {
                1
            } else {
                -1
            }
        }
        (_, y) if y < 0 => 0,
        _ => power(x as u64, y as u64) as i64,
    }
}

#[test]
fn pairs_of_numbers() {
    use BinaryOp::{Add, Div, Max, Min, Mod, Mul, Pow, Sub};
    let (x, y) = pairs();
    let signed: [(BinaryOp, fn(i64, i64) -> i64); 8] = [
        (Add, i64::wrapping_add),
        (Sub, i64::wrapping_sub),
        (Mul, i64::wrapping_mul),
        (Div, div),
        (Mod, modulo),
        (Pow, signed_power),
        (Min, i64::min),
        (Max, i64::max),
    ];
    let unsigned: [(BinaryOp, fn(u64, u64) -> u64); 8] = [
        (Add, u64::wrapping_add),
        (Sub, u64::wrapping_sub),
        (Mul, u64::wrapping_mul),
        (Div, |x, y| x.checked_div(y).unwrap_or(0)),
        (Mod, |x, y| x.checked_rem(y).unwrap_or(0)),
        (Pow, power),
        (Min, u64::min),
        (Max, u64::max),
    ];
    for target in devices() {
        let check = |op, dtype, f: &dyn Fn(i64, i64) -> i64| {
            let want: Vec<i64> = x.iter().zip(&y).map(|(x, y)| f(*x, *y)).collect();
            let spec = single(StepOp::Binary(op), dtype, dtype, 2, x.len());
            let got = run(&spec, &target, &[words64(&x), words64(&y)], 2 * x.len() as u64, None);
            same(&target, &format!("{op:?} {dtype}"), &[&x, &y], 2, &got, &words64(&want));
        };
        for (op, f) in signed {
            check(op, DType::I64, &f);
        }
        for (op, f) in unsigned {
            check(op, DType::U64, &|x, y| f(x as u64, y as u64) as i64);
        }
    }
}

/// The same of one word, where drivers have them all.
#[test]
fn pairs_of_numbers_of_one_word() {
    use BinaryOp::{Add, Div, Equal, Less, Max, Min, Mod, Mul, Pow, Sub};
    let (x, y) = pairs();
    let words = |x: &[i64]| x.iter().map(|v| *v as u32).collect::<Vec<_>>();
    let (u, v) = (words(&x), words(&y));
    let target = cpu();
    for dtype in [DType::I32, DType::U32] {
        // Computed in 64 bits, then cut.
        let whole = |w: u32| if dtype == DType::I32 { i64::from(w as i32) } else { i64::from(w) };
        let ops: [(BinaryOp, fn(i64, i64) -> i64); 10] = [
            (Add, |x, y| x + y),
            (Sub, |x, y| x - y),
            (Mul, i64::wrapping_mul),
            (Div, div),
            (Mod, modulo),
            (Pow, signed_power),
            (Min, i64::min),
            (Max, i64::max),
            (Equal, |x, y| (x == y).into()),
            (Less, |x, y| (x < y).into()),
        ];
        for (op, f) in ops {
            let to = if matches!(op, Equal | Less) { DType::Bool } else { dtype };
            let want: Vec<u32> = u.iter().zip(&v).map(|(x, y)| f(whole(*x), whole(*y)) as u32).collect();
            let got = run(
                &single(StepOp::Binary(op), dtype, to, 2, u.len()),
                &target,
                &[u.clone(), v.clone()],
                u.len() as u64,
                None,
            );
            let shown = [&u, &v].map(|w| w.iter().map(|w| whole(*w)).collect::<Vec<_>>());
            same(&target, &format!("{op:?} {dtype}"), &[&shown[0], &shown[1]], 1, &got, &want);
        }
        let want: Vec<u32> = u.iter().map(|w| (whole(*w) as f32).to_bits()).collect();
        let got = run(
            &single(StepOp::Cast, dtype, DType::F32, 1, u.len()),
            &target,
            std::slice::from_ref(&u),
            u.len() as u64,
            None,
        );
        let shown: Vec<_> = u.iter().map(|w| whole(*w)).collect();
        same(&target, &format!("cast {dtype} to f32"), &[&shown], 1, &got, &want);
    }
}

#[test]
fn comparisons() {
    use BinaryOp::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    use std::cmp::Ordering;
    let (x, y) = pairs();
    let ops: [(BinaryOp, fn(Ordering) -> bool); 5] = [
        (Equal, Ordering::is_eq),
        (Less, Ordering::is_lt),
        (LessOrEqual, Ordering::is_le),
        (Greater, Ordering::is_gt),
        (GreaterOrEqual, Ordering::is_ge),
    ];
    for target in devices() {
        for (op, holds) in ops {
            for dtype in [DType::I64, DType::U64] {
                let order = |x: i64, y: i64| {
                    if dtype == DType::I64 { x.cmp(&y) } else { (x as u64).cmp(&(y as u64)) }
                };
                let want: Vec<u32> = x.iter().zip(&y).map(|(x, y)| holds(order(*x, *y)).into()).collect();
                let spec = single(StepOp::Binary(op), dtype, DType::Bool, 2, x.len());
                let got = run(&spec, &target, &[words64(&x), words64(&y)], x.len() as u64, None);
                same(&target, &format!("{op:?} {dtype}"), &[&x, &y], 1, &got, &want);
            }
        }
    }
}

#[test]
fn single_numbers() {
    let (_, x) = pairs();
    let ops: [(UnaryOp, fn(i64) -> i64, fn(u64) -> u64); 4] = [
        (UnaryOp::Neg, i64::wrapping_neg, u64::wrapping_neg),
        (UnaryOp::Abs, i64::wrapping_abs, |v| v),
        (UnaryOp::Sign, i64::signum, |v| v.min(1)),
        (UnaryOp::Relu, |v| v.max(0), |v| v),
    ];
    for target in devices() {
        for (op, signed, unsigned) in ops {
            for dtype in [DType::I64, DType::U64] {
                let f = |v: i64| if dtype == DType::I64 { signed(v) } else { unsigned(v as u64) as i64 };
                let want: Vec<i64> = x.iter().map(|v| f(*v)).collect();
                let spec = single(StepOp::Unary(op), dtype, dtype, 1, x.len());
                let got = run(&spec, &target, &[words64(&x)], 2 * x.len() as u64, None);
                same(&target, &format!("{op:?} {dtype}"), &[&x], 2, &got, &words64(&want));
            }
        }
    }
}

#[test]
fn casts_to_other_types() {
    // Between floats, at their middle and beside it, where rounding twice goes wrong.
    let mut x: Vec<i64> = EDGES.to_vec();
    for shift in [0, 1, 7, 8, 9, 31, 32, 38] {
        for low in [-1, 0, 1] {
            x.extend([(0x100_0001_i64 << shift) + low, (0x100_0003_i64 << shift) + low]);
            x.extend([-((0x100_0001_i64 << shift) + low), (0x1ff_ffff_i64 << shift) + low]);
        }
    }
    let mut random = Random::new(7);
    x.extend((0..500).map(|_| (random.next() as i64) >> random.below(64)));
    for target in devices() {
        for from in [DType::I64, DType::U64] {
            let check = |to: DType, f: &dyn Fn(i64) -> u32| {
                let want: Vec<u32> = x.iter().map(|v| f(*v)).collect();
                let spec = single(StepOp::Cast, from, to, 1, x.len());
                let got = run(&spec, &target, &[words64(&x)], x.len() as u64, None);
                same(&target, &format!("cast {from} to {to}"), &[&x], 1, &got, &want);
            };
            let float = |v: i64| if from == DType::I64 { v as f32 } else { v as u64 as f32 };
            check(DType::F32, &|v| float(v).to_bits());
            check(DType::I32, &|v| v as u32);
            check(DType::U32, &|v| v as u32);
            check(DType::I8, &|v| i32::from(v as i8) as u32);
            check(DType::U8, &|v| u32::from(v as u8));
            check(DType::I16, &|v| i32::from(v as i16) as u32);
            check(DType::U16, &|v| u32::from(v as u16));
            check(DType::Bool, &|v| u32::from(v != 0));
            let to = if from == DType::I64 { DType::U64 } else { DType::I64 };
            let got = run(
                &single(StepOp::Cast, from, to, 1, x.len()),
                &target,
                &[words64(&x)],
                2 * x.len() as u64,
                None,
            );
            same(&target, &format!("cast {from} to {to}"), &[&x], 2, &got, &words64(&x));
        }
    }
}

#[test]
fn casts_from_other_types() {
    let narrow: Vec<i32> = [0, 1, -1, 100, -100, i32::MAX, i32::MIN].to_vec();
    let mut floats =
        vec![0.0, -0.0, 0.5, -0.99, 1.0, -1.5, 8_388_608.0, 16_777_215.0, 4_294_967_040.0, 4_294_967_296.0];
    floats.extend([
        1e10,
        -1e10,
        9.007_199e15,
        1.234_567e18,
        9.223_371e18,
        -9.223_371e18,
        -9.223_372e18,
        1e-40,
    ]);
    let mut random = Random::new(3);
    floats.extend((0..300).map(|_| random.float() * 2_f32.powi(random.below(63) as i32)));
    let wide: Vec<f32> = floats.iter().map(|v| v.abs()).chain([1.2e19, 1.844_674e19]).collect();
    for target in devices() {
        let check = |from, to, x: Vec<u32>, want: Vec<i64>| {
            let spec = single(StepOp::Cast, from, to, 1, x.len());
            let n = 2 * x.len() as u64;
            let shown: Vec<i64> = x.iter().map(|v| i64::from(*v)).collect();
            let got = run(&spec, &target, &[x], n, None);
            same(&target, &format!("cast {from} to {to}"), &[&shown], 2, &got, &words64(&want));
        };
        let stored = || narrow.iter().map(|v| *v as u32).collect::<Vec<_>>();
        for to in [DType::I64, DType::U64] {
            check(DType::I32, to, stored(), narrow.iter().map(|v| i64::from(*v)).collect());
            check(DType::U32, to, stored(), narrow.iter().map(|v| i64::from(*v as u32)).collect());
            check(DType::I8, to, vec![5, -5_i32 as u32], vec![5, -5]);
            check(DType::Bool, to, vec![0, 1], vec![0, 1]);
        }
        check(DType::F32, DType::I64, words(&floats), floats.iter().map(|v| *v as i64).collect());
        check(DType::F32, DType::U64, words(&wide), wide.iter().map(|v| *v as u64 as i64).collect());
    }
}

/// Where a float is beyond the integer, the integer's nearest end; 0 for what is no number.
#[test]
fn casts_of_floats_that_do_not_fit() {
    let x =
        [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e20, -1e20, 1.844_674_4e19, 9.223_372e18, -1.0, -0.5];
    for target in devices() {
        for to in [DType::I64, DType::U64] {
            let want: Vec<i64> =
                x.iter().map(|v| if to == DType::I64 { *v as i64 } else { *v as u64 as i64 }).collect();
            let spec = single(StepOp::Cast, DType::F32, to, 1, x.len());
            let shown: Vec<i64> = x.iter().map(|v| i64::from(v.to_bits())).collect();
            let got = run(&spec, &target, &[words(&x)], 2 * x.len() as u64, None);
            same(&target, &format!("cast f32 to {to}"), &[&shown], 2, &got, &words64(&want));
        }
        for to in [DType::I32, DType::U32] {
            let want: Vec<u32> =
                x.iter().map(|v| if to == DType::I32 { *v as i32 as u32 } else { *v as u32 }).collect();
            let spec = single(StepOp::Cast, DType::F32, to, 1, x.len());
            assert_eq!(run(&spec, &target, &[words(&x)], x.len() as u64, None), want, "{} {to}", target.name);
        }
    }
}

/// A select between sums, with a constant of both words and a broadcast operand.
#[test]
fn chains() {
    let (x, y) = pairs();
    let n = x.len() / 4 * 4;
    let (x, y) = (&x[..n], &y[..4]);
    let big = 0x7_8000_0001_u64;
    let i64_step = |op, args: &[Arg]| Step { op, args: args.to_vec(), dtype: DType::I64 };
    let chain = Chain {
        operands: vec![
            Operand { dtype: DType::I64, base: 0, strides: vec![4, 1] },
            Operand { dtype: DType::I64, base: 0, strides: vec![0, 1] },
        ],
        steps: vec![
            i64_step(StepOp::Binary(BinaryOp::Add), &[Arg::Operand(0), Arg::Const(DType::I64, big)]),
            Step {
                op: StepOp::Binary(BinaryOp::Less),
                args: vec![Arg::Step(0), Arg::Operand(1)],
                dtype: DType::Bool,
            },
            i64_step(StepOp::Select, &[Arg::Step(1), Arg::Step(0), Arg::Operand(1)]),
            Step { op: StepOp::Cast, args: vec![Arg::Step(1)], dtype: DType::I64 },
            i64_step(StepOp::Binary(BinaryOp::Sub), &[Arg::Step(2), Arg::Step(3)]),
        ],
        result: DType::I64,
        layout: None,
    };
    let want: Vec<i64> = (0..n)
        .map(|i| {
            let (sum, y) = (x[i].wrapping_add(big as i64), y[i % 4]);
            if sum < y { sum.wrapping_sub(1) } else { y }
        })
        .collect();
    for in_place in [None, Some(0)] {
        let shape = vec![n as u64 / 4, 4];
        let spec = Spec::Elementwise(ElementwiseSpec { shape, chain: chain.clone(), in_place });
        for target in devices() {
            let got = run(&spec, &target, &[words64(x), words64(y)], 2 * n as u64, in_place);
            same(&target, "chain", &[x], 2, &got, &words64(&want));
        }
    }
}

#[test]
fn reductions() {
    let mut random = Random::new(9);
    for (outer, len, inner) in [(3, 17, 1), (2, 5, 3), (1, 300, 1)] {
        let n = outer * len * inner;
        let x: Vec<i64> = (0..n).map(|_| (random.next() as i64) >> random.below(40)).collect();
        for dtype in [DType::I64, DType::U64] {
            let signed = dtype == DType::I64;
            for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max, ReduceOp::Min, ReduceOp::Prod] {
                let mut want = Vec::new();
                for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
                    let row = (0..len).map(|j| x[((o * len + j) * inner + i) as usize]);
                    let sum = || row.clone().fold(0_i64, i64::wrapping_add);
                    want.push(match (op, signed) {
                        (ReduceOp::Sum, _) => sum(),
                        (ReduceOp::Mean, true) => sum() / len as i64,
                        (ReduceOp::Mean, false) => (sum() as u64 / len) as i64,
                        (ReduceOp::Max, true) => row.max().unwrap(),
                        (ReduceOp::Min, true) => row.min().unwrap(),
                        (ReduceOp::Max, false) => row.map(|v| v as u64).max().unwrap() as i64,
                        (ReduceOp::Min, false) => row.map(|v| v as u64).min().unwrap() as i64,
                        _ => row.fold(1, i64::wrapping_mul),
                    });
                }
                let epilogue = Chain {
                    operands: vec![Operand { dtype, base: 0, strides: vec![0; 2] }],
                    steps: Vec::new(),
                    result: dtype,
                    layout: None,
                };
                let spec = Spec::Reduce(ReduceSpec { op, dtype, outer, len, inner, epilogue });
                for target in devices() {
                    let got = run(&spec, &target, &[words64(&x)], 2 * outer * inner, None);
                    same(&target, &format!("{op:?} {dtype}"), &[&want], 2, &got, &words64(&want));
                }
            }
        }
    }
}

#[test]
fn ranges() {
    for (start, delta) in
        [(0_i64, 1_i64), (1 << 40, -3), (-5, 1 << 33), (i64::MAX - 9, 1), (7, -0x1_0000_0001)]
    {
        let want: Vec<i64> = (0..300).map(|i| delta.wrapping_mul(i).wrapping_add(start)).collect();
        let spec = Spec::Range(RangeSpec { dtype: DType::I64, count: 300 });
        for target in devices() {
            let got = run(&spec, &target, &[words64(&[start]), words64(&[delta])], 600, None);
            same(&target, &format!("range of {start} by {delta}"), &[&want], 2, &got, &words64(&want));
        }
    }
}

/// `f32` results that become 64-bit integers in the kernel that computes them, and the other way round.
#[test]
fn epilogues() {
    let (m, n, k) = (5, 6, 3);
    let whole = |n: u64, seed| -> Vec<f32> {
        let mut random = Random::new(seed);
        (0..n).map(|_| random.below(2000) as f32 - 1000.0).collect()
    };
    let (a, b) = (whole(m * k, 1), whole(k * n, 2));
    let add: Vec<i64> = (0..n as i64).map(|j| j << 33).collect();
    let epilogue = |rank: usize, to: DType| {
        let mut last = vec![0; rank];
        last[rank - 1] = 1;
        let cast = Step { op: StepOp::Cast, args: vec![Arg::Operand(0)], dtype: DType::I64 };
        let args = vec![Arg::Step(0), Arg::Operand(1)];
        let sum = Step { op: StepOp::Binary(BinaryOp::Add), args, dtype: DType::I64 };
        let back = Step { op: StepOp::Cast, args: vec![Arg::Step(1)], dtype: to };
        let mut steps = vec![cast, sum];
        steps.extend((to != DType::I64).then_some(back));
        Chain {
            operands: vec![
                Operand { dtype: DType::F32, base: 0, strides: vec![0; rank] },
                Operand { dtype: DType::I64, base: 0, strides: last },
            ],
            steps,
            result: to,
            layout: None,
        }
    };
    let mut targets = targets();
    targets.extend(targets.clone().into_iter().map(|t| Target {
        name: format!("{} without 64-bit integers", t.name),
        features: Features { int64: false, ..t.features },
        ..t
    }));
    for target in targets {
        let mut want = Vec::new();
        for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let sum: f32 = (0..k).map(|l| a[(i * k + l) as usize] * b[(l * n + j) as usize]).sum();
            want.push(sum as i64 + add[j as usize]);
        }
        let spec = Spec::MatMul(MatMulSpec {
            batch: vec![],
            m,
            n,
            k,
            a_strides: vec![k, 1],
            b_strides: vec![n, 1],
            epilogue: epilogue(2, DType::I64),
        });
        let got = run(&spec, &target, &[words(&a), words(&b), words64(&add)], 2 * m * n, None);
        same(&target, "product", &[&want], 2, &got, &words64(&want));
        // Rows of one number each: the normalised values are 0, and in place.
        for (len, in_place) in [(4, true), (8, false), (3, true)] {
            let x = vec![1.5_f32; 2 * len as usize];
            let add: Vec<i64> = (0..len as i64).map(|j| (j << 33) + 3).collect();
            let spec = Spec::Normalize(NormalizeSpec {
                rows: 2,
                len,
                epsilon: 1.0,
                center: true,
                epilogue: epilogue(2, DType::F32),
                in_place,
            });
            let got = run(&spec, &target, &[words(&x), words64(&add)], 2 * len, in_place.then_some(0));
            let want: Vec<f32> = add.iter().chain(&add).map(|v| *v as f32).collect();
            assert_eq!(got, words(&want), "{} rows of {len}", target.name);
        }
    }
}
