//! Reductions, softmax, normalisation and pooling against double precision.

mod common;

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, PoolKind, ReduceOp};
use bayplan_shaders::{
    Arg, Chain, NormalizeSpec, Operand, PoolSpec, ReduceSpec, SoftmaxSpec, Spec, Step, StepOp,
};
use common::{Random, close, run, targets, words, words64};

fn none(dtype: DType) -> Chain {
    Chain {
        operands: vec![Operand { dtype, base: 0, strides: Vec::new() }],
        steps: Vec::new(),
        result: dtype,
        layout: None,
    }
}

/// `acc * column + column`
fn scale_and_shift() -> Chain {
    let operand = |strides: [u64; 2]| Operand { dtype: DType::F32, base: 0, strides: strides.to_vec() };
    let step = |op, args: [Arg; 2]| Step { op: StepOp::Binary(op), args: args.to_vec(), dtype: DType::F32 };
    Chain {
        operands: vec![operand([0, 0]), operand([0, 1]), operand([0, 1])],
        steps: vec![
            step(BinaryOp::Mul, [Arg::Operand(0), Arg::Operand(1)]),
            step(BinaryOp::Add, [Arg::Step(0), Arg::Operand(2)]),
        ],
        result: DType::F32,
        layout: None,
    }
}

/// The elements of row (o, i) of x[outer, len, inner].
fn row(x: &[f32], len: u64, inner: u64, o: u64, i: u64) -> Vec<f64> {
    (0..len).map(|j| f64::from(x[((o * len + j) * inner + i) as usize])).collect()
}

#[test]
fn other_subgroup_sizes() {
    common::with_other_lanes("other_subgroup_sizes", || {
        softmax(&[(3, 64, 1), (7, 37, 1)]);
        extrema_keep_nans_and_infinities();
    });
}

#[test]
fn softmax_and_its_logarithm() {
    softmax(&[(5, 1, 1), (3, 64, 1), (7, 37, 1), (2, 1000, 1), (3, 10, 5), (70, 4, 3)]);
}

fn softmax(shapes: &[(u64, u64, u64)]) {
    for &(outer, len, inner) in shapes {
        for (log, in_place) in [(false, false), (true, false), (false, true)] {
            let mut random = Random::new(len);
            let x: Vec<f32> = random.floats(outer * len * inner).iter().map(|v| v * 40.0).collect();
            let mut want = vec![0.0; x.len()];
            for o in 0..outer {
                for i in 0..inner {
                    let row = row(&x, len, inner, o, i);
                    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = row.iter().map(|v| (v - top).exp()).sum();
                    for (j, v) in row.iter().enumerate() {
                        let at = ((o * len + j as u64) * inner + i) as usize;
                        want[at] = if log { v - top - sum.ln() } else { (v - top).exp() / sum };
                    }
                }
            }
            let spec = Spec::Softmax(SoftmaxSpec { dtype: DType::F32, outer, len, inner, log, in_place });
            for target in targets() {
                let got = run(&spec, &target, &[words(&x)], x.len() as u64, in_place.then_some(0));
                let name = format!("{} {outer}x{len}x{inner} log {log}", target.name);
                close(&name, &got, &want, if log { 1e-6 } else { 2e-5 }, if log { 1e-5 } else { 1e-9 });
            }
        }
    }
}

#[test]
fn softmax_of_masked_rows() {
    let (n, i) = (f32::NEG_INFINITY, f32::INFINITY);
    // A row without a number, one with a NaN, one with an infinity: no number comes of them.
    let x = [1.0, n, n, 1.0, n, n, n, n, 1.0, f32::NAN, 2.0, 3.0, 1.0, i, 2.0, 3.0];
    let mut want = [f64::NAN; 16];
    want[..4].copy_from_slice(&[0.5, 0.0, 0.0, 0.5]);
    for inner in [1, 2] {
        // The same rows next to themselves.
        let spread = |at: usize| at / (4 * inner) * 4 + at / inner % 4;
        let x: Vec<f32> = (0..16 * inner).map(|at| x[spread(at)]).collect();
        let want: Vec<f64> = (0..16 * inner).map(|at| want[spread(at)]).collect();
        let (outer, inner, n) = (4, inner as u64, x.len() as u64);
        let spec = Spec::Softmax(SoftmaxSpec {
            dtype: DType::F32,
            outer,
            len: 4,
            inner,
            log: false,
            in_place: false,
        });
        for target in targets() {
            close(&target.name, &run(&spec, &target, &[words(&x)], n, None), &want, 1e-6, 0.0);
        }
    }
}

#[test]
fn normalisation() {
    for (rows, len) in [(3, 64), (5, 33), (1, 4), (9, 768), (2, 1)] {
        for (center, in_place, epilogue) in [(true, false, true), (false, false, true), (true, true, false)] {
            let mut random = Random::new(len);
            let x: Vec<f32> = random.floats(rows * len).iter().map(|v| v * 3.0 + 10.0).collect();
            let (scale, shift) = (random.floats(len), random.floats(len));
            let mut want = Vec::new();
            for o in 0..rows {
                let row = row(&x, len, 1, o, 0);
                let mean = if center { row.iter().sum::<f64>() / len as f64 } else { 0.0 };
                let square = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / len as f64;
                for (j, v) in row.iter().enumerate() {
                    let y = (v - mean) / (square + 1e-5).sqrt();
                    let scaled = y * f64::from(scale[j]) + f64::from(shift[j]);
                    want.push(if epilogue { scaled } else { y });
                }
            }
            let chain = if epilogue { scale_and_shift() } else { none(DType::F32) };
            let spec = Spec::Normalize(NormalizeSpec {
                rows,
                len,
                epsilon: 1e-5,
                center,
                epilogue: chain,
                in_place,
            });
            let mut operands = vec![words(&x)];
            if epilogue {
                operands.extend([words(&scale), words(&shift)]);
            }
            for target in targets() {
                let got = run(&spec, &target, &operands, rows * len, in_place.then_some(0));
                // The mean is some ten times the deviation, which costs a digit.
                close(&format!("{} {rows}x{len}", target.name), &got, &want, 1e-5, 1e-5);
            }
        }
    }
}

#[test]
fn float_reductions() {
    for (outer, len, inner) in [(4, 64, 1), (3, 29, 1), (1, 5000, 1), (70, 1, 1), (2, 17, 6), (1, 9, 130)] {
        let mut random = Random::new(len + inner);
        let x: Vec<f32> = random.floats(outer * len * inner).iter().map(|v| v * 0.3 + 1.0).collect();
        for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max, ReduceOp::Min, ReduceOp::Prod] {
            let mut want = Vec::new();
            for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
                let row = row(&x, len, inner, o, i);
                let sum: f64 = row.iter().sum();
                want.push(match op {
                    ReduceOp::Sum => sum,
                    ReduceOp::Mean => sum / len as f64,
                    ReduceOp::Max => row.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                    ReduceOp::Min => row.iter().copied().fold(f64::INFINITY, f64::min),
                    _ => row.iter().product(),
                });
            }
            let spec = Spec::Reduce(ReduceSpec {
                op,
                dtype: DType::F32,
                outer,
                len,
                inner,
                epilogue: none(DType::F32),
            });
            for target in targets() {
                let got = run(&spec, &target, &[words(&x)], outer * inner, None);
                let relative = if op == ReduceOp::Prod { 1e-7 * len as f64 + 1e-6 } else { 4e-6 };
                close(&format!("{} {op:?} {outer}x{len}x{inner}", target.name), &got, &want, relative, 1e-30);
            }
        }
    }
}

#[test]
fn extrema_keep_nans_and_infinities() {
    let (n, i) = (f32::NAN, f32::INFINITY);
    let x = [1.0, n, -i, 2.0, -i, -i, -i, -i, 3.0, i, 0.0, -1.0];
    for (op, want) in [
        (ReduceOp::Max, [f64::NAN, f64::NEG_INFINITY, f64::INFINITY]),
        (ReduceOp::Min, [f64::NAN, f64::NEG_INFINITY, -1.0]),
    ] {
        let epilogue = none(DType::F32);
        let spec = Spec::Reduce(ReduceSpec { op, dtype: DType::F32, outer: 3, len: 4, inner: 1, epilogue });
        for target in targets() {
            close(
                &format!("{} {op:?}", target.name),
                &run(&spec, &target, &[words(&x)], 3, None),
                &want,
                0.0,
                0.0,
            );
        }
    }
}

#[test]
fn integer_reductions() {
    let (outer, len) = (3, 13);
    let mut random = Random::new(9);
    let wide: Vec<i64> = (0..outer * len).map(|_| (random.next() as i64) >> 24).collect();
    let narrow: Vec<i64> = wide.iter().map(|v| i64::from(*v as i32 >> 8)).collect();
    for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max, ReduceOp::Min, ReduceOp::Prod] {
        let reduce = |row: &[i64]| match op {
            ReduceOp::Sum => row.iter().sum(),
            ReduceOp::Mean => row.iter().sum::<i64>() / row.len() as i64,
            ReduceOp::Max => *row.iter().max().unwrap(),
            ReduceOp::Min => *row.iter().min().unwrap(),
            _ => row.iter().fold(1_i64, |p, v| p.wrapping_mul(*v)),
        };
        for (dtype, x) in [(DType::I64, &wide), (DType::I32, &narrow)] {
            let want: Vec<i64> = x.chunks(len as usize).map(reduce).collect();
            let spec = Spec::Reduce(ReduceSpec { op, dtype, outer, len, inner: 1, epilogue: none(dtype) });
            let store = |x: &[i64]| match dtype {
                DType::I64 => words64(x),
                _ => x.iter().map(|v| *v as u32).collect(),
            };
            for target in targets() {
                let words = store(&want).len() as u64;
                assert_eq!(
                    run(&spec, &target, &[store(x)], words, None),
                    store(&want),
                    "{} {op:?} {dtype}",
                    target.name
                );
            }
        }
    }
}

#[test]
fn narrow_reductions_wrap() {
    for (dtype, op, x, want) in [
        (DType::U8, ReduceOp::Sum, [200_i32, 100, 1, 2], 47_i32),
        (DType::I8, ReduceOp::Sum, [100, 100, 0, 1], -55),
        (DType::I16, ReduceOp::Prod, [300, 300, 1, 1], 24_464),
        (DType::U16, ReduceOp::Max, [7, 65_535, 3, 0], 65_535),
    ] {
        let x = x.map(|v| v as u32).to_vec();
        let epilogue = none(dtype);
        let spec = Spec::Reduce(ReduceSpec { op, dtype, outer: 1, len: 4, inner: 1, epilogue });
        for target in targets() {
            let got = run(&spec, &target, std::slice::from_ref(&x), 1, None);
            assert_eq!(got, [want as u32], "{} {op:?} {dtype}", target.name);
        }
    }
}

fn pooled(spec: &PoolSpec, x: &[f32]) -> Vec<f64> {
    let mut want = Vec::new();
    let [h, w] = spec.input.map(|v| v as i64);
    for plane in 0..spec.planes as i64 {
        for oy in 0..spec.output[0] as i64 {
            for ox in 0..spec.output[1] as i64 {
                let (mut best, mut sum, mut inside, mut padded) = (f64::NEG_INFINITY, 0.0, 0.0, 0.0);
                let mut first = 0;
                for ky in 0..spec.kernel[0] as i64 {
                    for kx in 0..spec.kernel[1] as i64 {
                        let y =
                            oy * spec.strides[0] as i64 + ky * spec.dilations[0] as i64 - spec.pads[0] as i64;
                        let x0 =
                            ox * spec.strides[1] as i64 + kx * spec.dilations[1] as i64 - spec.pads[1] as i64;
                        if y < h + spec.pads_end[0] as i64 && x0 < w + spec.pads_end[1] as i64 {
                            padded += 1.0;
                        }
                        if (0..h).contains(&y) && (0..w).contains(&x0) {
                            let v = f64::from(x[((plane * h + y) * w + x0) as usize]);
                            if v > best {
                                (best, first) = (v, y * w + x0);
                            }
                            sum += v;
                            inside += 1.0;
                        }
                    }
                }
                want.push(match spec.kind {
                    PoolKind::Max => best,
                    PoolKind::Sum => sum,
                    // As the bits of a float, which is what the comparison reads.
                    PoolKind::Index => f32::from_bits(first as u32).into(),
                    PoolKind::Average { count_pad: true } => sum / padded,
                    PoolKind::Average { count_pad: false } => sum / inside,
                });
            }
        }
    }
    want
}

#[test]
fn pooling() {
    let cases = [
        ([9, 11], [4, 5], [3, 3], [2, 2], [1, 1], [0, 0], [0, 0]),
        ([7, 7], [3, 3], [3, 3], [2, 2], [1, 1], [0, 0], [0, 0]),
        ([8, 8], [4, 4], [3, 3], [2, 2], [1, 1], [1, 1], [1, 1]),
        ([7, 10], [4, 5], [3, 2], [2, 2], [1, 1], [1, 0], [1, 1]),
        ([12, 12], [8, 8], [3, 3], [1, 1], [2, 2], [0, 0], [0, 0]),
        ([14, 14], [14, 14], [3, 3], [1, 1], [1, 1], [1, 1], [1, 1]),
        ([13, 12], [13, 12], [3, 3], [1, 1], [1, 1], [1, 1], [1, 1]),
        ([10, 17], [5, 8], [2, 2], [2, 2], [1, 1], [0, 0], [0, 0]),
        ([7, 7], [1, 1], [7, 7], [1, 1], [1, 1], [0, 0], [0, 0]),
        ([1, 19], [1, 9], [1, 4], [1, 2], [1, 1], [0, 1], [0, 0]),
        ([21, 6], [6, 3], [6, 3], [3, 2], [1, 1], [0, 1], [0, 0]),
    ];
    for (input, output, kernel, strides, dilations, pads, pads_end) in cases {
        for kind in PoolKind::ALL {
            let planes = 3;
            let spec = PoolSpec {
                kind,
                dtype: DType::F32,
                planes,
                input,
                output,
                kernel,
                strides,
                dilations,
                pads,
                pads_end,
            };
            let x = Random::new(input[0]).floats(planes * input[0] * input[1]);
            let want = pooled(&spec, &x);
            for target in targets() {
                let got = run(&Spec::Pool(spec.clone()), &target, &[words(&x)], want.len() as u64, None);
                let absolute = if kind == PoolKind::Index { 0.0 } else { 1e-6 };
                close(&format!("{} {kind:?}", target.name), &got, &want, 1e-6, absolute);
            }
        }
    }
}
