//! Loops longer than the 65,535 passes that a CPU driver gives an invocation.
//!
//! Operands are small whole numbers, so that sums are exact in any order and a loop cut short cannot hide in rounding.

mod common;

use bayplan_graph::DType;
use bayplan_graph::op::{PoolKind, ReduceOp};
use bayplan_shaders::{
    Chain, Class, ConvSpec, MatMulSpec, NormalizeSpec, Operand, PoolSpec, ReduceSpec, SoftmaxSpec, Spec,
    Target, launch,
};
use common::{Random, close, run, targets, words, words64};

fn none(dtype: DType, rank: usize) -> Chain {
    Chain {
        operands: vec![Operand { dtype, base: 0, strides: vec![0; rank] }],
        steps: Vec::new(),
        result: dtype,
        layout: None,
    }
}

/// The device with and without subgroups, as a CPU driver.
fn cpus() -> impl Iterator<Item = Target> {
    targets().into_iter().filter(|t| t.class == Class::Cpu)
}

/// Whole numbers from -1 to 2.
fn whole(seed: u64, n: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..n).map(|_| random.below(4) as f32 - 1.0).collect()
}

/// Runs on every CPU target; answers the kernels' names.
fn check(what: &str, spec: &Spec, operands: &[Vec<u32>], want: &[f64], relative: f64) -> Vec<String> {
    cpus()
        .map(|target| {
            let name = launch(spec, &target).expect("a kernel").kernel.name;
            let got = run(spec, &target, operands, want.len() as u64, None);
            close(&format!("{what}: {name}"), &got, want, relative, 0.0);
            name
        })
        .collect()
}

#[test]
fn sums_and_maxima() {
    for (outer, len, inner) in
        [(1, 262_144, 4), (2, 70_000, 3), (1, 65_535, 2), (1, 65_534, 2), (1, 300_000, 1), (1, 2_400_001, 1)]
    {
        let mut x = whole(len, outer * len * inner);
        // The maximum lies at the end.
        let end = x.len() - 1;
        x[end] = 9.0;
        for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max] {
            let mut want = vec![if op == ReduceOp::Max { f64::MIN } else { 0.0 }; (outer * inner) as usize];
            for (at, v) in x.iter().enumerate() {
                let (o, i) = (at as u64 / (len * inner), at as u64 % inner);
                let r = &mut want[(o * inner + i) as usize];
                *r = if op == ReduceOp::Max { r.max(f64::from(*v)) } else { *r + f64::from(*v) };
            }
            if op == ReduceOp::Mean {
                want.iter_mut().for_each(|v| *v /= len as f64);
            }
            let epilogue = none(DType::F32, 2);
            let spec = Spec::Reduce(ReduceSpec { op, dtype: DType::F32, outer, len, inner, epilogue });
            check(&format!("{op:?} {outer}x{len}x{inner}"), &spec, &[words(&x)], &want, 1e-6);
        }
    }
}

#[test]
fn sums_of_64_bit_integers() {
    let x: Vec<i64> = (0..300_000).collect();
    let epilogue = none(DType::I64, 2);
    let (op, dtype) = (ReduceOp::Sum, DType::I64);
    let spec = Spec::Reduce(ReduceSpec { op, dtype, outer: 1, len: 300_000, inner: 1, epilogue });
    for target in cpus() {
        let want = words64(&[x.iter().sum()]);
        assert_eq!(run(&spec, &target, &[words64(&x)], 2, None), want, "{}", target.name);
    }
}

#[test]
fn softmax() {
    // Three loops of a third of the passes each are as many together.
    for (len, inner) in [(30_000, 2), (70_000, 2), (300_000, 2), (300_000, 1), (300_001, 1)] {
        let x = whole(len, len * inner);
        let mut sums = vec![0.0; inner as usize];
        for (i, v) in x.iter().enumerate() {
            sums[i % inner as usize] += f64::from(*v).exp();
        }
        let want: Vec<f64> =
            x.iter().enumerate().map(|(i, v)| f64::from(*v).exp() / sums[i % inner as usize]).collect();
        let spec = Spec::Softmax(SoftmaxSpec {
            dtype: DType::F32,
            outer: 1,
            len,
            inner,
            log: false,
            in_place: false,
        });
        check(&format!("softmax {len}x{inner}"), &spec, &[words(&x)], &want, 5e-3);
    }
}

#[test]
fn normalisation() {
    for (len, center) in [(300_000, true), (300_001, true), (1_200_001, false)] {
        let x = whole(len, len);
        let n = len as f64;
        let mean = if center { x.iter().map(|v| f64::from(*v)).sum::<f64>() / n } else { 0.0 };
        let square = x.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
        let want: Vec<f64> = x.iter().map(|v| (f64::from(*v) - mean) / (square + 1e-5).sqrt()).collect();
        let spec = Spec::Normalize(NormalizeSpec {
            rows: 1,
            len,
            epsilon: 1e-5,
            center,
            epilogue: none(DType::F32, 2),
            in_place: false,
        });
        check(&format!("normalisation of {len}"), &spec, &[words(&x)], &want, 5e-3);
    }
}

#[test]
fn products() {
    for (m, n, k, transposed) in
        [(9, 8, 600_000, false), (1, 4, 300_000, true), (3, 5, 2_000_001, false), (17, 4, 262_145, true)]
    {
        let (a, b) = (whole(m, m * k), whole(n + 7, k * n));
        let b_strides = if transposed { [1, k] } else { [n, 1] };
        let mut want = vec![0.0; (m * n) as usize];
        for l in 0..k {
            for (at, sum) in want.iter_mut().enumerate() {
                let (i, j) = (at as u64 / n, at as u64 % n);
                let (x, y) = (a[(i * k + l) as usize], b[(l * b_strides[0] + j * b_strides[1]) as usize]);
                *sum += f64::from(x * y);
            }
        }
        let spec = Spec::MatMul(MatMulSpec {
            batch: vec![],
            m,
            n,
            k,
            a_strides: vec![k, 1],
            b_strides: b_strides.to_vec(),
            epilogue: none(DType::F32, 2),
        });
        check(&format!("product {m}x{n}x{k}"), &spec, &[words(&a), words(&b)], &want, 0.0);
    }
}

/// A convolution of one image without padding.
fn conv(
    channels: u64,
    filters: u64,
    groups: u64,
    input: [u64; 2],
    kernel: [u64; 2],
    pads: [u64; 2],
) -> ConvSpec {
    ConvSpec {
        batch: 1,
        channels,
        filters,
        groups,
        input,
        output: [0, 1].map(|d| input[d] + 2 * pads[d] - kernel[d] + 1),
        kernel,
        strides: [1, 1],
        dilations: [1, 1],
        pads,
        packed: false,
        epilogue: none(DType::F32, 4),
    }
}

#[test]
fn convolutions() {
    for spec in [
        conv(3, 3, 3, [1, 140_005], [1, 140_000], [0, 0]),
        conv(2, 2, 2, [300_003, 1], [300_000, 1], [0, 0]),
        conv(2, 4, 2, [400, 404], [400, 401], [0, 1]),
        conv(2, 5, 1, [1, 300_003], [1, 300_000], [0, 0]),
        conv(300_000, 5, 1, [1, 4], [1, 1], [0, 0]),
        conv(70_000, 8, 1, [4, 4], [3, 3], [1, 1]),
    ] {
        let [h, w] = spec.input;
        let [kh, kw] = spec.kernel;
        let (cg, fg) = (spec.channels / spec.groups, spec.filters / spec.groups);
        let (x, y) = (whole(1, spec.channels * h * w), whole(2, spec.filters * cg * kh * kw));
        let mut want = Vec::new();
        for f in 0..spec.filters {
            for (oy, ox) in (0..spec.output[0]).flat_map(|y| (0..spec.output[1]).map(move |x| (y, x))) {
                let mut sum = 0.0;
                for (c, ky, kx) in
                    (0..cg).flat_map(|c| (0..kh).flat_map(move |y| (0..kw).map(move |x| (c, y, x))))
                {
                    let (iy, ix) =
                        ((oy + ky).wrapping_sub(spec.pads[0]), (ox + kx).wrapping_sub(spec.pads[1]));
                    if iy < h && ix < w {
                        let at = ((f / fg * cg + c) * h + iy) * w + ix;
                        sum += f64::from(x[at as usize] * y[(((f * cg + c) * kh + ky) * kw + kx) as usize]);
                    }
                }
                want.push(sum);
            }
        }
        assert!(cpus().all(|t| spec.packing(&t).is_none()), "the blocked kernel has a loop over channels");
        check(&format!("{spec:?}"), &Spec::Conv(spec.clone()), &[words(&x), words(&y)], &want, 0.0);
    }
}

#[test]
fn pooling() {
    for (input, kernel) in [
        ([1, 70_002], [1, 70_000]),
        ([300_001, 1], [300_000, 1]),
        ([800, 800], [800, 800]),
        ([256, 259], [256, 256]),
    ] {
        let output = [0, 1].map(|d| input[d] - kernel[d] + 1);
        let mut x = whole(input[1], input[0] * input[1]);
        let end = x.len() - 1;
        x[end] = 9.0;
        for kind in PoolKind::ALL {
            let mut want = Vec::new();
            for (oy, ox) in (0..output[0]).flat_map(|y| (0..output[1]).map(move |x| (y, x))) {
                let taps =
                    (oy..oy + kernel[0]).flat_map(|y| (ox..ox + kernel[1]).map(move |x| y * input[1] + x));
                let most = taps.clone().map(|at| f64::from(x[at as usize])).fold(f64::MIN, f64::max);
                let first = taps.clone().find(|&at| f64::from(x[at as usize]) == most);
                let taps = taps.map(|at| f64::from(x[at as usize]));
                want.push(match kind {
                    PoolKind::Max => most,
                    PoolKind::Sum => taps.sum(),
                    // As the bits of a float, which is what the check compares.
                    PoolKind::Index => f32::from_bits(first.expect("a maximum") as u32).into(),
                    PoolKind::Average { .. } => taps.sum::<f64>() / (kernel[0] * kernel[1]) as f64,
                });
            }
            let spec = Spec::Pool(PoolSpec {
                kind,
                dtype: DType::F32,
                planes: 1,
                input,
                output,
                kernel,
                strides: [1, 1],
                dilations: [1, 1],
                pads: [0, 0],
                pads_end: [0, 0],
            });
            let names = check(&format!("{kind:?} {kernel:?}"), &spec, &[words(&x)], &want, 1e-6);
            assert!(names.iter().all(|n| n.contains(".flat")), "{names:?}");
        }
    }
}
