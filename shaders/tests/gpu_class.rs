//! The kernels of the GPU class, with workgroups of several sizes that meet in shared memory, at sizes around their tiles.
//!
//! No device of that class is needed: a CPU driver runs them too, if slowly. Results are held against the stated bounds, which
//! a lost barrier or a wrong tile is far beyond.

mod common;

use bayplan_graph::DType;
use bayplan_graph::op::{PoolKind, ReduceOp};
use bayplan_shaders::{
    Chain, Class, ConvSpec, MatMulSpec, NormalizeSpec, Operand, PoolSpec, ReduceSpec, SoftmaxSpec, Spec,
    Target, launch, normalize_magnitudes, softmax_magnitudes,
};
use common::{Random, cpu, run_launch, within_bound, words};

/// GPUs of several limits, as far as the device itself has room for them.
fn gpus() -> Vec<Target> {
    let cpu = cpu();
    let most = cpu.max_workgroup_invocations.min(cpu.max_workgroup_size[0]);
    let gpu = |n: u32| Target {
        name: format!("GPU class with workgroups of {n} on {}", cpu.name),
        class: Class::Gpu,
        subgroup: None,
        max_workgroup_invocations: n,
        max_workgroup_size: [n, n, 64.min(cpu.max_workgroup_size[2])],
        max_workgroup_count: [5, 65_535, 65_535],
        max_shared_memory: 16_384.min(cpu.max_shared_memory),
        ..cpu.clone()
    };
    let mut sizes = vec![16, 100, 128, 256, 1024];
    sizes.retain(|&n| n <= most);
    sizes.into_iter().map(gpu).collect()
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

/// Runs on every GPU; the kernel's name must begin with one of `rows`.
fn check(rows: &[&str], spec: &Spec, operands: &[Vec<f32>], want: &[f64], magnitudes: &[f64]) {
    let operands: Vec<_> = operands.iter().map(|x| words(x)).collect();
    for target in gpus() {
        let kernel = launch(spec, &target).unwrap_or_else(|e| panic!("{}: {e}", target.name)).kernel;
        assert!(rows.iter().any(|r| kernel.name.contains(r)), "{} is none of {rows:?}", kernel.name);
        assert!(kernel.workgroup[0] <= target.max_workgroup_invocations, "{}", kernel.name);
        within_bound(&kernel.name, spec, &target, &operands, want, magnitudes);
    }
}

#[test]
fn tiles_grow_with_the_workgroup() {
    let spec = product(1, 70, 70, 70, false, false);
    let names: Vec<_> = gpus().iter().map(|t| launch(&spec, t).unwrap().kernel.name).collect();
    let tiles = ["16x16", "32x32", "32x32", "64x64", "64x64"];
    for (name, tile) in names.iter().zip(tiles) {
        assert!(name.contains(tile), "{name} has tiles of {tile}");
    }
    assert!(names.len() >= 4, "the device has room for 256 invocations");
}

fn product(batch: u64, m: u64, n: u64, k: u64, a_turned: bool, b_turned: bool) -> Spec {
    let a_strides = if a_turned { vec![m * k, 1, m] } else { vec![m * k, k, 1] };
    let b_strides = if b_turned { vec![k * n, 1, k] } else { vec![k * n, n, 1] };
    Spec::MatMul(MatMulSpec { batch: vec![batch], m, n, k, a_strides, b_strides, epilogue: none(3) })
}

#[test]
fn products_around_the_edges_of_tiles() {
    for (m, n, k) in
        [(1, 1, 1), (15, 17, 16), (16, 16, 17), (33, 31, 15), (64, 65, 40), (67, 130, 3), (3, 5, 129)]
    {
        for (a_turned, b_turned) in [(false, false), (true, false), (false, true), (true, true)] {
            let batch = 2;
            let mut random = Random::new(m * 131 + n * 7 + k);
            let (a, b) = (random.floats(batch * m * k), random.floats(batch * k * n));
            let (mut want, mut magnitudes) = (Vec::new(), Vec::new());
            for (z, i, j) in (0..batch).flat_map(|z| (0..m).flat_map(move |i| (0..n).map(move |j| (z, i, j))))
            {
                let at = |l| if a_turned { l * m + i } else { i * k + l };
                let bt = |l| if b_turned { j * k + l } else { l * n + j };
                let terms = (0..k).map(|l| {
                    f64::from(a[(z * m * k + at(l)) as usize]) * f64::from(b[(z * k * n + bt(l)) as usize])
                });
                want.push(terms.clone().sum());
                magnitudes.push(terms.map(f64::abs).sum());
            }
            let spec = product(batch, m, n, k, a_turned, b_turned);
            check(&["matmul.gpu"], &spec, &[a, b], &want, &magnitudes);
        }
    }
}

/// The convolution's results and their magnitudes.
fn convolved(spec: &ConvSpec, x: &[f32], w: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let (cg, fg) = (spec.channels / spec.groups, spec.filters / spec.groups);
    let ([h, wd], [kh, kw]) = (spec.input, spec.kernel);
    let (mut want, mut magnitudes) = (Vec::new(), Vec::new());
    for (z, f) in (0..spec.batch).flat_map(|z| (0..spec.filters).map(move |f| (z, f))) {
        for (oy, ox) in (0..spec.output[0]).flat_map(|y| (0..spec.output[1]).map(move |x| (y, x))) {
            let (mut sum, mut magnitude) = (0.0, 0.0);
            for (c, ky, kx) in
                (0..cg).flat_map(|c| (0..kh).flat_map(move |y| (0..kw).map(move |x| (c, y, x))))
            {
                let y = (oy * spec.strides[0] + ky * spec.dilations[0]).wrapping_sub(spec.pads[0]);
                let x0 = (ox * spec.strides[1] + kx * spec.dilations[1]).wrapping_sub(spec.pads[1]);
                if y < h && x0 < wd {
                    let at = ((z * spec.channels + f / fg * cg + c) * h + y) * wd + x0;
                    let tap = ((f * cg + c) * kh + ky) * kw + kx;
                    let term = f64::from(x[at as usize]) * f64::from(w[tap as usize]);
                    sum += term;
                    magnitude += term.abs();
                }
            }
            want.push(sum);
            magnitudes.push(magnitude);
        }
    }
    (want, magnitudes)
}

#[test]
fn convolutions_of_odd_sizes() {
    // Channels, filters, groups, input, kernel, strides, dilations, pads.
    for (channels, filters, groups, input, kernel, strides, dilations, pads) in [
        (3, 7, 1, [9, 11], [3, 3], [1, 1], [1, 1], [1, 1]),
        (5, 17, 1, [7, 7], [1, 1], [1, 1], [1, 1], [0, 0]),
        (4, 9, 1, [13, 10], [5, 3], [2, 3], [1, 1], [2, 0]),
        (6, 10, 2, [8, 9], [3, 3], [1, 2], [2, 1], [2, 1]),
        (6, 6, 6, [9, 9], [3, 3], [2, 2], [1, 1], [1, 1]),
        (2, 70, 1, [12, 12], [7, 7], [1, 1], [1, 1], [3, 3]),
    ] {
        let out = |d: usize| {
            let reach: u64 = dilations[d] * (kernel[d] - 1) + 1;
            (input[d] + 2 * pads[d] - reach) / strides[d] + 1
        };
        let output = [out(0), out(1)];
        let epilogue = none(4);
        let spec = ConvSpec {
            batch: 2,
            channels,
            filters,
            groups,
            input,
            output,
            kernel,
            strides,
            dilations,
            pads,
            packed: false,
            epilogue,
        };
        let mut random = Random::new(channels * 100 + filters);
        let x = random.floats(2 * channels * input[0] * input[1]);
        let w = random.floats(filters * channels / groups * kernel[0] * kernel[1]);
        let (want, magnitudes) = convolved(&spec, &x, &w);
        check(&["conv.gpu", "conv.window"], &Spec::Conv(spec), &[x, w], &want, &magnitudes);
    }
}

#[test]
fn rows_around_the_size_of_a_workgroup() {
    for len in [1_u64, 3, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000, 1023, 4099] {
        let rows = 6;
        let x: Vec<f32> = Random::new(len).floats(rows * len).iter().map(|v| v * 3.0 + 0.5).collect();
        let wide: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
        let n = len as f64;
        let reduced = |f: &dyn Fn(&[f64]) -> f64| wide.chunks(len as usize).map(f).collect::<Vec<f64>>();
        let size = |row: &[f64]| row.iter().map(|v| v.abs()).sum::<f64>();
        let reduce = |op| {
            Spec::Reduce(ReduceSpec { op, dtype: DType::F32, outer: rows, len, inner: 1, epilogue: none(2) })
        };
        let x = [x];
        let sums = (reduced(&|r| r.iter().sum()), reduced(&size));
        check(&["reduce.sum.f32.group"], &reduce(ReduceOp::Sum), &x, &sums.0, &sums.1);
        let means = [&sums.0, &sums.1].map(|s| s.iter().map(|v| v / n).collect::<Vec<_>>());
        check(&["reduce.mean.f32.group"], &reduce(ReduceOp::Mean), &x, &means[0], &means[1]);
        let most = reduced(&|r| r.iter().copied().fold(f64::MIN, f64::max));
        check(&["reduce.max.f32.group"], &reduce(ReduceOp::Max), &x, &most, &most);
        let least = reduced(&|r| r.iter().copied().fold(f64::MAX, f64::min));
        check(&["reduce.min.f32.group"], &reduce(ReduceOp::Min), &x, &least, &least);
        let (mut soft, mut soft_magnitudes) = (Vec::new(), Vec::new());
        let (mut normal, mut normal_magnitudes) = (Vec::new(), Vec::new());
        for row in wide.chunks(len as usize) {
            let top = row.iter().copied().fold(f64::MIN, f64::max);
            let sum: f64 = row.iter().map(|v| (v - top).exp()).sum();
            let y: Vec<_> = row.iter().map(|v| (v - top).exp() / sum).collect();
            soft_magnitudes.extend(softmax_magnitudes(row, &y));
            soft.extend(y);
            let epsilon = f64::from(1e-3_f32);
            let mean = row.iter().sum::<f64>() / n;
            let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            let y: Vec<_> = row.iter().map(|v| (v - mean) / (variance + epsilon).sqrt()).collect();
            normal_magnitudes.extend(normalize_magnitudes(row, &y, epsilon, true));
            normal.extend(y);
        }
        let spec = Spec::Softmax(SoftmaxSpec {
            dtype: DType::F32,
            outer: rows,
            len,
            inner: 1,
            log: false,
            in_place: false,
        });
        check(&["softmax.group"], &spec, &x, &soft, &soft_magnitudes);
        let epilogue = none(2);
        let spec = NormalizeSpec { rows, len, epsilon: 1e-3, center: true, epilogue, in_place: false };
        check(&["normalize.layer.group"], &Spec::Normalize(spec), &x, &normal, &normal_magnitudes);
    }
}

#[test]
fn pools_of_odd_sizes() {
    let (planes, input, output, kernel) = (3, [11, 7], [5, 3], [3, 3]);
    let x = Random::new(11).floats(planes * 77);
    for kind in [PoolKind::Max, PoolKind::Average { count_pad: false }, PoolKind::Sum] {
        let parts = if matches!(kind, PoolKind::Average { .. }) { 9.0 } else { 1.0 };
        let (mut want, mut magnitudes) = (Vec::new(), Vec::new());
        for (p, oy, ox) in (0..planes).flat_map(|p| (0..5).flat_map(move |y| (0..3).map(move |x| (p, y, x))))
        {
            let taps = (0..3_u64).flat_map(|y| (0..3_u64).map(move |x| (y, x)));
            let taps = taps.map(|(ky, kx)| f64::from(x[((p * 11 + oy * 2 + ky) * 7 + ox * 2 + kx) as usize]));
            want.push(match kind {
                PoolKind::Max => taps.clone().fold(f64::MIN, f64::max),
                _ => taps.clone().sum::<f64>() / parts,
            });
            magnitudes.push(taps.map(f64::abs).sum::<f64>() / parts);
        }
        let (strides, dilations, pads) = ([2, 2], [1, 1], [0, 0]);
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
            pads_end: [0, 0],
        };
        check(&["pool"], &Spec::Pool(spec), std::slice::from_ref(&x), &want, &magnitudes);
    }
}

/// The negative control: without its barriers the kernel's results are wrong, on every driver that these tests run on.
#[test]
fn a_lost_barrier_is_noticed() {
    let (m, n, k) = (40, 40, 64);
    let mut random = Random::new(5);
    let (a, b) = (random.floats(m * k), random.floats(k * n));
    let spec = product(1, m, n, k, false, false);
    for target in gpus().iter().filter(|t| t.max_workgroup_invocations >= 128) {
        let mut launch = launch(&spec, target).expect("a kernel");
        let run = |launch| run_launch(launch, &[words(&a), words(&b)], m * n, None);
        let right = run(launch.clone());
        assert!(launch.kernel.wgsl.contains("workgroupBarrier();"), "{}", launch.kernel.wgsl);
        launch.kernel.wgsl = launch.kernel.wgsl.replace("workgroupBarrier();", "");
        assert_ne!(run(launch), right, "{}", target.name);
    }
}
