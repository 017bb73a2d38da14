//! Matrix products against sums in double precision.

mod common;

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_shaders::{Arg, Chain, Features, MatMulSpec, Operand, Spec, Step, StepOp, Target};
use common::{Random, close, run, targets, words, words64};

/// How the operands lie.
#[derive(Clone, Copy)]
struct Layout {
    a_transposed: bool,
    b_transposed: bool,
    b_shared: bool,
}

fn none() -> Chain {
    let acc = Operand { dtype: DType::F32, base: 0, strides: Vec::new() };
    Chain { operands: vec![acc], steps: Vec::new(), result: DType::F32, layout: None }
}

/// `relu(acc + column[n]) * row[m] + same`
fn rich(batch: usize, m: u64, n: u64) -> Chain {
    let operand = |strides: Vec<u64>| Operand { dtype: DType::F32, base: 0, strides };
    let pad = |last: [u64; 2]| [vec![0; batch], last.to_vec()].concat();
    let mut same = vec![m * n; batch];
    same.extend([n, 1]);
    let step = |op, args: &[Arg]| Step { op, args: args.to_vec(), dtype: DType::F32 };
    Chain {
        operands: vec![operand(pad([0, 0])), operand(pad([0, 1])), operand(pad([1, 0])), operand(same)],
        steps: vec![
            step(StepOp::Binary(BinaryOp::Add), &[Arg::Operand(0), Arg::Operand(1)]),
            step(StepOp::Unary(UnaryOp::Relu), &[Arg::Step(0)]),
            step(StepOp::Binary(BinaryOp::Mul), &[Arg::Step(1), Arg::Operand(2)]),
            step(StepOp::Binary(BinaryOp::Add), &[Arg::Step(2), Arg::Operand(3)]),
        ],
        result: DType::F32,
        layout: None,
    }
}

fn check(batch: u64, m: u64, n: u64, k: u64, layout: Layout, with_epilogue: bool) {
    let Layout { a_transposed, b_transposed, b_shared } = layout;
    let mut random = Random::new(m * 1_000_003 + n * 1009 + k);
    let a = random.floats(batch * m * k);
    let b_batches = if b_shared { 1 } else { batch };
    let b = random.floats(b_batches * k * n);
    let batched = batch > 1;
    let dims = if batched { vec![batch] } else { Vec::new() };
    let a_step = if a_transposed { [1, m] } else { [k, 1] };
    let b_step = if b_transposed { [1, k] } else { [n, 1] };
    let lead = |s: u64| if batched { vec![s] } else { Vec::new() };
    let epilogue = if with_epilogue { rich(dims.len(), m, n) } else { none() };
    let spec = Spec::MatMul(MatMulSpec {
        batch: dims,
        m,
        n,
        k,
        a_strides: [lead(m * k), a_step.to_vec()].concat(),
        b_strides: [lead(if b_shared { 0 } else { k * n }), b_step.to_vec()].concat(),
        epilogue,
    });
    let (column, row, same) = (random.floats(n), random.floats(m), random.floats(batch * m * n));
    let mut want = Vec::new();
    for z in 0..batch {
        for i in 0..m {
            for j in 0..n {
                let sum: f64 = (0..k)
                    .map(|l| {
                        let x = a[(z * m * k + i * a_step[0] + l * a_step[1]) as usize];
                        let y =
                            b[(z * k * n * u64::from(!b_shared) + l * b_step[0] + j * b_step[1]) as usize];
                        f64::from(x) * f64::from(y)
                    })
                    .sum();
                let at = (z * m + i) * n + j;
                let extra = (sum + f64::from(column[j as usize])).max(0.0) * f64::from(row[i as usize])
                    + f64::from(same[at as usize]);
                want.push(if with_epilogue { extra } else { sum });
            }
        }
    }
    let mut operands = vec![words(&a), words(&b)];
    if with_epilogue {
        operands.extend([words(&column), words(&row), words(&same)]);
    }
    for target in targets() {
        let got = run(&spec, &target, &operands, batch * m * n, None);
        let name = format!("{} {batch}x{m}x{n}x{k}", target.name);
        close(&name, &got, &want, 1e-6, 2e-7 * (k as f64).sqrt().max(1.0) * 4.0);
    }
}

/// A product of integers of 32 bits, or of 64 bits in pairs of words, that wraps; `turned`: b lies transposed.
fn check_integers(dtype: DType, [m, n, k]: [u64; 3], turned: bool) {
    let mut random = Random::new(m * 1009 + n * 31 + k);
    let wide = dtype.size() == 8;
    let number = |random: &mut Random| match dtype {
        DType::U8 => random.below(256) as i64,
        DType::I32 => i64::from(random.next() as i32),
        _ => random.next() as i64,
    };
    let [a, b] = [m * k, k * n].map(|count| (0..count).map(|_| number(&mut random)).collect::<Vec<i64>>());
    let b_step = if turned { [1, k] } else { [n, 1] };
    let acc = Operand { dtype, base: 0, strides: Vec::new() };
    let spec = Spec::MatMul(MatMulSpec {
        batch: vec![],
        m,
        n,
        k,
        a_strides: vec![k, 1],
        b_strides: b_step.to_vec(),
        epilogue: Chain { operands: vec![acc], steps: Vec::new(), result: dtype, layout: None },
    });
    let stored = |list: &[i64]| match wide {
        true => words64(list),
        false => list.iter().map(|&v| v as u32).collect(),
    };
    let mut want = Vec::new();
    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
        let term = |l: u64| a[(i * k + l) as usize].wrapping_mul(b[(l * b_step[0] + j * b_step[1]) as usize]);
        let sum = (0..k).map(term).fold(0, i64::wrapping_add);
        want.push(match dtype {
            DType::U8 => i64::from(sum as u8),
            DType::I32 => i64::from(sum as i32),
            _ => sum,
        });
    }
    let mut targets = targets();
    targets.extend(targets.clone().into_iter().map(|t| Target {
        name: format!("{} without 64-bit integers", t.name),
        features: Features { int64: false, ..t.features },
        ..t
    }));
    for target in targets {
        let count = m * n * if wide { 2 } else { 1 };
        let got = run(&spec, &target, &[stored(&a), stored(&b)], count, None);
        assert_eq!(got, stored(&want), "{} {dtype} {m}x{n}x{k}", target.name);
    }
}

#[test]
fn integers_wrap() {
    for dtype in [DType::U8, DType::I32, DType::I64] {
        for (sizes, turned) in [([1, 1, 1], false), ([3, 70, 9], false), ([5, 3, 33], true)] {
            check_integers(dtype, sizes, turned);
        }
    }
}

#[test]
fn doubles_keep_their_bits() {
    let (m, n, k) = (3_u64, 5_u64, 4_u64);
    let a: Vec<f64> = (0..m * k).map(|i| 1.0 + i as f64 * 2f64.powi(-40)).collect();
    let b: Vec<f64> = (0..k * n).map(|i| 2f64.powi(33) + i as f64).collect();
    let bits = |list: &[f64]| words64(&list.iter().map(|v| v.to_bits() as i64).collect::<Vec<_>>());
    let acc = Operand { dtype: DType::F64, base: 0, strides: Vec::new() };
    let spec = Spec::MatMul(MatMulSpec {
        batch: vec![],
        m,
        n,
        k,
        a_strides: vec![k, 1],
        b_strides: vec![n, 1],
        epilogue: Chain { operands: vec![acc], steps: Vec::new(), result: DType::F64, layout: None },
    });
    for target in targets().into_iter().filter(|t| t.features.float64 && t.features.int64) {
        let got = run(&spec, &target, &[bits(&a), bits(&b)], 2 * m * n, None);
        for (at, pair) in got.chunks_exact(2).enumerate() {
            let made = f64::from_bits(u64::from(pair[0]) | u64::from(pair[1]) << 32);
            let (i, j) = (at as u64 / n, at as u64 % n);
            let terms = (0..k).map(|l| a[(i * k + l) as usize] * b[(l * n + j) as usize]);
            let want: f64 = terms.sum();
            assert!((made - want).abs() <= 1e-15 * want, "{} {made} instead of {want}", target.name);
        }
    }
}

const PLAIN: Layout = Layout { a_transposed: false, b_transposed: false, b_shared: false };

#[test]
fn every_block_height() {
    for m in [1, 2, 3, 4, 7, 8, 13, 16, 17, 33] {
        check(1, m, 40, 36, PLAIN, false);
    }
}

#[test]
fn few_rows_of_many_columns() {
    for (m, n, k) in [(1, 128, 32), (1, 300, 40), (2, 516, 7)] {
        check(1, m, n, k, PLAIN, true);
    }
}

#[test]
fn odd_shapes_and_epilogues() {
    for (m, n, k) in [(1, 1, 1), (5, 3, 7), (17, 33, 5), (16, 4, 8), (20, 130, 66), (3, 129, 31)] {
        for with_epilogue in [false, true] {
            check(1, m, n, k, PLAIN, with_epilogue);
        }
    }
}

#[test]
fn layouts_and_batches() {
    for (m, n, k) in [(18, 36, 20), (9, 13, 11), (1, 64, 64), (1, 30, 50)] {
        for bits in 0..8 {
            let layout =
                Layout { a_transposed: bits & 1 > 0, b_transposed: bits & 2 > 0, b_shared: bits & 4 > 0 };
            check(3, m, n, k, layout, bits == 5);
        }
    }
}

#[test]
fn infinities_beyond_the_end_of_k_do_not_leak() {
    // b's last row is infinite where a is 1: every sum is infinite, none is NaN.
    let (m, n, k) = (4, 8, 7);
    let mut a = vec![1.0_f32; 4 * 7];
    a[0] = 2.0;
    let mut b = vec![1.0_f32; 7 * 8];
    b[48..].fill(f32::INFINITY);
    let spec = Spec::MatMul(MatMulSpec {
        batch: vec![],
        m,
        n,
        k,
        a_strides: vec![k, 1],
        b_strides: vec![n, 1],
        epilogue: Chain {
            operands: vec![Operand { dtype: DType::F32, base: 0, strides: vec![] }],
            steps: vec![],
            result: DType::F32,
            layout: None,
        },
    });
    for target in targets() {
        let got = run(&spec, &target, &[words(&a), words(&b)], m * n, None);
        close(&target.name, &got, &vec![f64::INFINITY; 32], 0.0, 0.0);
    }
}

#[test]
fn other_subgroup_sizes() {
    common::with_other_lanes("other_subgroup_sizes", || {
        for (m, n, k) in [(1, 40, 36), (3, 30, 70), (8, 64, 32), (40, 70, 24), (40, 68, 23)] {
            check(1, m, n, k, PLAIN, false);
        }
    });
}
