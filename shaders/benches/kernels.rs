//! Speed of the kernels on the CPU driver, by the processor time of all threads: `cargo bench -p bayplan-shaders [FILTER]`.
//!
//! Prints the least time of several runs, so that other load on the machine disturbs little.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use bayplan_graph::op::{BinaryOp, PoolKind, ReduceOp, UnaryOp};
use bayplan_graph::{BlockFormat, DType};
use bayplan_shaders::{
    Arg, BlockMatMulSpec, Chain, ConvSpec, CopySpec, ElementwiseSpec, GatherSpec, MatMulSpec, NormalizeSpec,
    Operand, Others, PoolSpec, ReduceSpec, SoftmaxSpec, Spec, Step, StepOp, block_words,
};
use common::{Random, Ready, cpu, prepare, words};

/// Nanoseconds that all threads of this process have run, from `/proc`.
fn cpu_time() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    tasks
        .filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("schedstat")).ok())
        .filter_map(|s| s.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

/// Whether lines of that name are asked for.
fn wanted(name: &str) -> bool {
    std::env::args().skip(1).find(|a| !a.starts_with('-')).is_none_or(|filter| name.contains(&filter))
}

/// One line of the table. `bytes` is what the kernel must at least move.
fn measure(name: &str, spec: &Spec, sizes: &[u64], out: u64) {
    if wanted(name) {
        let mut random = Random::new(1);
        let operands: Vec<_> = sizes.iter().map(|n| words(&random.floats(*n))).collect();
        in_turn(name, &[(spec.clone(), operands)], out);
    }
}

/// A line for each of several specs, whose runs take turns; behind the first, times as many as its.
fn in_turn(name: &str, specs: &[(Spec, Vec<Vec<u32>>)], out: u64) {
    let timed = |ready: &Ready| {
        let start = cpu_time();
        ready.run();
        (cpu_time() - start) as f64
    };
    let ready: Vec<_> =
        specs.iter().map(|(spec, operands)| prepare(spec, &cpu(), operands, out, None)).collect();
    ready.iter().for_each(Ready::load);
    let first: Vec<_> = ready.iter().map(timed).collect();
    let mut best = vec![f64::INFINITY; ready.len()];
    let (begin, mut runs) = (Instant::now(), 0);
    while runs < 5 || (begin.elapsed().as_millis() < 500 * ready.len() as u128 && runs < 50) {
        for (best, ready) in best.iter_mut().zip(&ready) {
            *best = best.min(timed(ready));
        }
        runs += 1;
    }
    for (i, ((_, operands), ready)) in specs.iter().zip(&ready).enumerate() {
        let bytes = (operands.iter().map(|words| words.len() as u64).sum::<u64>() + out) as f64 * 4.0;
        let ratio = if i == 0 { String::new() } else { format!("  × {:.2}", best[i] / best[0]) };
        let (launch, best, first) = (&ready.launch, best[i], first[i] * 1e-6);
        println!(
            "{name:24} {:34} {:9.3} ms  {:6.2} GF/core  {:6.2} GB/s/core  first {first:6.1} ms{ratio}",
            launch.kernel.name,
            best * 1e-6,
            launch.flops as f64 / best,
            bytes / best
        );
    }
}

fn none(rank: usize) -> Chain {
    Chain {
        operands: vec![Operand { dtype: DType::F32, base: 0, strides: vec![0; rank] }],
        steps: Vec::new(),
        result: DType::F32,
        layout: None,
    }
}

fn matmul(name: &str, [m, n, k]: [u64; 3], b_transposed: bool) {
    let spec = Spec::MatMul(MatMulSpec {
        batch: vec![],
        m,
        n,
        k,
        a_strides: vec![k, 1],
        b_strides: if b_transposed { vec![1, k] } else { vec![n, 1] },
        epilogue: none(2),
    });
    measure(name, &spec, &[m * k, k * n], m * n);
}

/// A product by a matrix in blocks of each format, beside that by the same matrix of floats as it lies in such files.
fn blocks(name: &str, [m, n, k]: [u64; 3]) {
    if !wanted(name) {
        return;
    }
    let mut random = Random::new(1);
    let (a, b) = (words(&random.floats(m * k)), words(&random.floats(n * k)));
    let (a_strides, b_strides) = (vec![k, 1], vec![1, k]);
    let floats =
        MatMulSpec { batch: vec![], m, n, k, a_strides: a_strides.clone(), b_strides, epilogue: none(2) };
    let mut specs = vec![(Spec::MatMul(floats), vec![a.clone(), b])];
    for format in BlockFormat::ALL {
        // Scales are small numbers, whatever lies where they do.
        let b = (0..block_words(format, n * k)).map(|_| random.next() as u32 & 0x2fff_2fff).collect();
        let spec = BlockMatMulSpec { format, m, n, k, a_strides: a_strides.clone(), epilogue: none(2) };
        specs.push((Spec::BlockMatMul(spec), vec![a.clone(), b]));
    }
    in_turn(name, &specs, m * n);
}

fn conv(name: &str, channels: u64, filters: u64, size: u64, kernel: u64, stride: u64, groups: u64) {
    let pad = kernel / 2;
    let output = (size + 2 * pad - kernel) / stride + 1;
    let mut spec = ConvSpec {
        batch: 1,
        channels,
        filters,
        groups,
        input: [size; 2],
        output: [output; 2],
        kernel: [kernel; 2],
        strides: [stride; 2],
        dilations: [1, 1],
        pads: [pad; 2],
        packed: false,
        epilogue: none(4),
    };
    let packing = spec.packing(&cpu());
    spec.packed = packing.is_some() && !name.contains("plain");
    let plain = filters * channels / groups * kernel * kernel;
    let weights = packing.filter(|_| spec.packed).map_or(plain, |p| p.elements);
    measure(name, &Spec::Conv(spec), &[channels * size * size, weights], filters * output * output);
}

fn elementwise(name: &str, op: StepOp, operands: usize, shape: &[u64], strides: &[&[u64]]) {
    let n: u64 = shape.iter().product();
    let spec = Spec::Elementwise(ElementwiseSpec {
        shape: shape.to_vec(),
        chain: Chain {
            operands: strides
                .iter()
                .map(|s| Operand { dtype: DType::F32, base: 0, strides: s.to_vec() })
                .collect(),
            steps: vec![Step {
                op,
                args: (0..operands as u32).map(Arg::Operand).collect(),
                dtype: DType::F32,
            }],
            result: DType::F32,
            layout: None,
        },
        in_place: None,
    });
    let extent = |s: &[u64]| shape.iter().zip(s).fold(1, |n, (d, s)| n + (d - 1) * s);
    measure(name, &spec, &strides.iter().map(|s| extent(s)).collect::<Vec<_>>(), n);
}

fn copy(name: &str, shape: &[u64], x_strides: &[i64], out_strides: &[u64]) {
    let n = shape.iter().product();
    let spec = CopySpec {
        shape: shape.to_vec(),
        dtype: DType::F32,
        x_base: 0,
        x_strides: x_strides.to_vec(),
        out_base: 0,
        out_strides: out_strides.to_vec(),
    };
    measure(name, &Spec::Copy(spec), &[n], n);
}

fn main() {
    matmul("matmul 512", [512; 3], false);
    matmul("matmul 1024", [1024; 3], false);
    matmul("matmul 512 bT", [512; 3], true);
    matmul("matmul 128x768x768", [128, 768, 768], false);
    matmul("matmul n=49", [512, 49, 2048], false);
    matmul("matmul n=3025", [64, 3025, 64], false);
    matmul("matmul n=169", [1000, 169, 512], false);
    matmul("matmul k=34", [136, 784, 34], false);
    matmul("matvec 1x4096x4096", [1, 4096, 4096], false);
    matmul("matvec 1x512x2048", [1, 2048, 512], false);
    matmul("matvec 4x256x1024", [4, 1024, 256], false);
    matmul("matvec bT", [1, 4096, 4096], true);
    for m in [1, 2, 4, 8, 16, 64] {
        blocks(&format!("blocks {m}x2048x2048"), [m, 2048, 2048]);
    }
    conv("conv3x3 64 56", 64, 64, 56, 3, 1, 1);
    conv("conv3x3 64 56 plain", 64, 64, 56, 3, 1, 1);
    conv("conv3x3 256 14", 256, 256, 14, 3, 1, 1);
    conv("conv3x3 256 14 plain", 256, 256, 14, 3, 1, 1);
    conv("conv3x3 512 7", 512, 512, 7, 3, 1, 1);
    conv("conv3x3 512 7 plain", 512, 512, 7, 3, 1, 1);
    conv("conv3x3/2 128 56", 128, 128, 56, 3, 2, 1);
    conv("conv7x7/2 stem", 3, 64, 224, 7, 2, 1);
    conv("conv1x1 256-64 56", 256, 64, 56, 1, 1, 1);
    conv("conv1x1 512-2048 7", 512, 2048, 7, 1, 1, 1);
    conv("conv1x1/2 256-512 56", 256, 512, 56, 1, 2, 1);
    conv("conv depthwise 96 56", 96, 96, 56, 3, 1, 96);
    conv("conv depthwise/2 96 112", 96, 96, 112, 3, 2, 96);
    conv("conv depthwise 384 14", 384, 384, 14, 3, 1, 384);
    conv("conv depthwise 960 7", 960, 960, 7, 3, 1, 960);
    conv("conv depthwise/2 576 14", 576, 576, 14, 3, 2, 576);
    let n = 1 << 22;
    elementwise("add", StepOp::Binary(BinaryOp::Add), 2, &[n], &[&[1], &[1]]);
    elementwise("add row", StepOp::Binary(BinaryOp::Add), 2, &[n / 1024, 1024], &[&[1024, 1], &[0, 1]]);
    elementwise("add channel odd", StepOp::Binary(BinaryOp::Add), 2, &[4096, 49], &[&[49, 1], &[1, 0]]);
    elementwise("erf", StepOp::Unary(UnaryOp::Erf), 1, &[n], &[&[1]]);
    elementwise("tanh", StepOp::Unary(UnaryOp::Tanh), 1, &[n], &[&[1]]);
    copy("copy", &[n], &[1], &[1]);
    copy("transpose 2d", &[1024, 1024], &[1, 1024], &[1024, 1]);
    copy("transpose 2d 4096", &[4096, 4096], &[1, 4096], &[4096, 1]);
    copy("heads", &[4, 12, 128, 64], &[128 * 768, 64, 768, 1], &[12 * 128 * 64, 128 * 64, 64, 1]);
    let gather = GatherSpec {
        dtype: DType::F32,
        index: DType::I32,
        outer: 1,
        axis: 4096,
        count: 2048,
        inner: 768,
        rows: 0..4096,
        others: Others::Zero,
    };
    measure("gather", &Spec::Gather(gather), &[4096 * 768, 2048], 2048 * 768);
    let softmax =
        SoftmaxSpec { dtype: DType::F32, outer: 4096, len: 1024, inner: 1, log: false, in_place: false };
    measure("softmax", &Spec::Softmax(softmax), &[n], n);
    let epilogue = none(2);
    let normalize =
        NormalizeSpec { rows: 4096, len: 768, epsilon: 1e-5, center: true, epilogue, in_place: false };
    measure("layernorm", &Spec::Normalize(normalize), &[4096 * 768], 4096 * 768);
    let reduce = |outer, len, inner| {
        let epilogue = none(2);
        Spec::Reduce(ReduceSpec { op: ReduceOp::Mean, dtype: DType::F32, outer, len, inner, epilogue })
    };
    measure("mean rows", &reduce(4096, 1024, 1), &[n], 4096);
    measure("mean 2048x49", &reduce(2048, 49, 1), &[2048 * 49], 2048);
    measure("mean columns", &reduce(1, 4096, 1024), &[n], 1024);
    let pool = PoolSpec {
        kind: PoolKind::Max,
        dtype: DType::F32,
        planes: 64,
        input: [112; 2],
        output: [56; 2],
        kernel: [3; 2],
        strides: [2; 2],
        dilations: [1; 2],
        pads: [1; 2],
        pads_end: [1; 2],
    };
    measure("maxpool", &Spec::Pool(pool), &[64 * 112 * 112], 64 * 56 * 56);
}
