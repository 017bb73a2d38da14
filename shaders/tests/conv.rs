//! Convolutions against sums in double precision.

mod common;

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_shaders::{Arg, Chain, ConvSpec, Operand, Spec, Step, StepOp, Target};
use common::{Random, close, run, targets, words};

/// `relu(acc + channel[m]) + same`
fn residual(filters: u64, pixels: [u64; 2]) -> Chain {
    let plane = pixels[0] * pixels[1];
    let operand = |strides: [u64; 4]| Operand { dtype: DType::F32, base: 0, strides: strides.to_vec() };
    let step = |op, args: &[Arg]| Step { op, args: args.to_vec(), dtype: DType::F32 };
    Chain {
        operands: vec![
            operand([0; 4]),
            operand([0, 1, 0, 0]),
            operand([filters * plane, plane, pixels[1], 1]),
        ],
        steps: vec![
            step(StepOp::Binary(BinaryOp::Add), &[Arg::Operand(0), Arg::Operand(1)]),
            step(StepOp::Unary(UnaryOp::Relu), &[Arg::Step(0)]),
            step(StepOp::Binary(BinaryOp::Add), &[Arg::Step(1), Arg::Operand(2)]),
        ],
        result: DType::F32,
        layout: None,
    }
}

fn reference(spec: &ConvSpec, x: &[f32], w: &[f32]) -> Vec<f64> {
    let mut want = Vec::new();
    let (cg, mg) = (spec.channels / spec.groups, spec.filters / spec.groups);
    let [h, wide] = spec.input.map(|v| v as i64);
    for n in 0..spec.batch {
        for m in 0..spec.filters {
            for oy in 0..spec.output[0] {
                for ox in 0..spec.output[1] {
                    let mut sum = 0.0;
                    for c in 0..cg {
                        for ky in 0..spec.kernel[0] {
                            for kx in 0..spec.kernel[1] {
                                let at = |d: usize, o: u64, k: u64| {
                                    (o * spec.strides[d] + k * spec.dilations[d]) as i64 - spec.pads[d] as i64
                                };
                                let (iy, ix) = (at(0, oy, ky), at(1, ox, kx));
                                if (0..h).contains(&iy) && (0..wide).contains(&ix) {
                                    let channel = (n * spec.channels + m / mg * cg + c) as i64;
                                    let tap = ((m * cg + c) * spec.kernel[0] + ky) * spec.kernel[1] + kx;
                                    sum += f64::from(x[((channel * h + iy) * wide + ix) as usize])
                                        * f64::from(w[tap as usize]);
                                }
                            }
                        }
                    }
                    want.push(sum);
                }
            }
        }
    }
    want
}

/// Rearranges the weights on the device as the spec asks for.
fn pack(spec: &mut ConvSpec, target: &Target, w: &[f32]) -> Vec<u32> {
    let Some(packing) = spec.packing(target) else { return words(w) };
    spec.packed = true;
    let mut packed = vec![common::POISON; packing.elements as usize];
    for copy in packing.copies {
        // Every movement writes its part; the others keep what is there.
        let part = run(&Spec::Copy(copy), target, &[words(w)], packing.elements, None);
        for (all, part) in packed.iter_mut().zip(part) {
            if part != common::POISON {
                *all = part;
            }
        }
    }
    packed
}

fn check(spec: &ConvSpec, fused: bool) {
    let mut random = Random::new(spec.channels * 7 + spec.input[1]);
    let x = random.floats(spec.batch * spec.channels * spec.input[0] * spec.input[1]);
    let k = spec.channels / spec.groups * spec.kernel[0] * spec.kernel[1];
    let w = random.floats(spec.filters * k);
    let mut want = reference(spec, &x, &w);
    let (channel, same) = (random.floats(spec.filters), random.floats(want.len() as u64));
    let mut spec = spec.clone();
    let plane = (spec.output[0] * spec.output[1]) as usize;
    if fused {
        spec.epilogue = residual(spec.filters, spec.output);
        for (i, v) in want.iter_mut().enumerate() {
            let bias = f64::from(channel[i / plane % spec.filters as usize]);
            *v = (*v + bias).max(0.0) + f64::from(same[i]);
        }
    }
    for target in targets() {
        let mut spec = spec.clone();
        let mut operands = vec![words(&x), pack(&mut spec, &target, &w)];
        if fused {
            operands.extend([words(&channel), words(&same)]);
        }
        let got = run(&Spec::Conv(spec.clone()), &target, &operands, want.len() as u64, None);
        close(&format!("{} {spec:?}", target.name), &got, &want, 1e-6, 1e-6 * (k as f64).sqrt());
    }
}

/// A convolution with `pad` on all sides.
fn conv(channels: u64, filters: u64, input: [u64; 2], kernel: [u64; 2], stride: u64, pad: u64) -> ConvSpec {
    let output = [0, 1].map(|d| (input[d] + 2 * pad - kernel[d]) / stride + 1);
    ConvSpec {
        batch: 1,
        channels,
        filters,
        groups: 1,
        input,
        output,
        kernel,
        strides: [stride, stride],
        dilations: [1, 1],
        pads: [pad, pad],
        packed: false,
        epilogue: Chain {
            operands: vec![Operand { dtype: DType::F32, base: 0, strides: vec![0; 4] }],
            steps: Vec::new(),
            result: DType::F32,
            layout: None,
        },
    }
}

#[test]
fn pointwise() {
    check(&conv(8, 20, [6, 6], [1, 1], 1, 0), false);
    check(&conv(7, 33, [7, 7], [1, 1], 1, 0), true);
    check(&ConvSpec { batch: 2, ..conv(12, 5, [4, 5], [1, 1], 1, 0) }, true);
    check(&conv(8, 8, [7, 9], [1, 1], 2, 0), true);
}

#[test]
fn three_by_three() {
    check(&conv(3, 16, [8, 8], [3, 3], 1, 1), false);
    check(&conv(5, 11, [7, 7], [3, 3], 1, 1), true);
    check(&ConvSpec { batch: 2, ..conv(4, 8, [6, 12], [3, 3], 1, 1) }, true);
    check(&conv(2, 9, [5, 10], [3, 3], 1, 0), false);
    check(&conv(3, 8, [1, 4], [3, 3], 1, 1), false);
    check(&ConvSpec { pads: [0, 2], output: [4, 8], ..conv(2, 8, [6, 8], [3, 3], 1, 1) }, false);
    check(&conv(6, 7, [9, 9], [3, 3], 1, 1), false);
    check(&conv(6, 40, [9, 8], [3, 3], 2, 1), true);
}

#[test]
fn other_windows() {
    check(&conv(3, 34, [17, 15], [7, 7], 2, 3), true);
    check(&conv(4, 6, [9, 12], [1, 5], 1, 0), false);
    // Dilated; padded more above and to the left than below and to the right.
    let dilated =
        ConvSpec { dilations: [2, 3], pads: [3, 1], output: [7, 5], ..conv(3, 10, [8, 10], [3, 3], 1, 0) };
    check(&dilated, true);
}

/// Epilogue operands that vary along one side of the image only.
#[test]
fn uneven_epilogues() {
    for (strides, extent) in [([0, 0, 1, 0], 6), ([0, 6, 1, 0], 60), ([0, 0, 0, 1], 8), ([0, 8, 0, 1], 80)] {
        for input in [[6, 8], [6, 7]] {
            let mut spec = conv(3, 10, input, [3, 3], 1, 1);
            let (mut random, pixels) = (Random::new(extent), input[0] * input[1]);
            let (x, w, extra) = (random.floats(3 * pixels), random.floats(270), random.floats(extent));
            let mut want = reference(&spec, &x, &w);
            for (i, v) in (0..).zip(&mut want) {
                let at =
                    i / pixels * strides[1] + i % pixels / input[1] * strides[2] + i % input[1] * strides[3];
                *v += f64::from(extra[at as usize]);
            }
            spec.epilogue.operands.push(Operand { dtype: DType::F32, base: 0, strides: strides.to_vec() });
            let args = vec![Arg::Operand(0), Arg::Operand(1)];
            spec.epilogue.steps.push(Step { op: StepOp::Binary(BinaryOp::Add), args, dtype: DType::F32 });
            for target in targets() {
                let mut spec = spec.clone();
                let operands = [words(&x), pack(&mut spec, &target, &w), words(&extra)];
                let got = run(&Spec::Conv(spec), &target, &operands, want.len() as u64, None);
                close(&format!("{} {strides:?} {input:?}", target.name), &got, &want, 1e-6, 1e-5);
            }
        }
    }
}

#[test]
fn depthwise() {
    let deep = |channels: u64, times: u64, input, kernel, stride, pad| ConvSpec {
        groups: channels,
        ..conv(channels, channels * times, input, kernel, stride, pad)
    };
    // Rows that start at whole vec4s and that do not; bands and strips that end early; two filters per channel.
    for (input, fused) in [([8, 8], true), ([7, 7], true), ([14, 14], false), ([5, 6], true), ([1, 9], false)]
    {
        for stride in [1, 2] {
            check(&deep(5, 1, input, [3, 3], stride, 1), fused);
            check(&deep(3, 2, input, [3, 3], stride, 1), !fused);
        }
        check(&deep(3, 1, input, [5, 5], 1, 2), fused);
        check(&deep(3, 1, input, [5, 5], 2, 2), fused);
    }
    check(&ConvSpec { batch: 3, ..deep(4, 1, [9, 12], [3, 3], 1, 0) }, true);
    check(&deep(2, 1, [1, 33], [1, 7], 1, 0), true);
    check(&deep(3, 1, [20, 11], [7, 7], 1, 3), false);
    check(&deep(3, 1, [20, 12], [2, 4], 3, 1), false);
    // What is padded before and after the image differs, and one image is smaller than the window.
    check(&ConvSpec { pads: [2, 0], output: [8, 4], ..deep(3, 1, [7, 8], [3, 3], 1, 0) }, true);
    check(&deep(3, 1, [2, 2], [3, 3], 1, 1), true);
}

#[test]
fn groups() {
    check(&ConvSpec { groups: 6, ..conv(6, 6, [9, 7], [3, 3], 1, 1) }, true);
    check(&ConvSpec { groups: 4, ..conv(4, 8, [8, 8], [3, 3], 2, 1) }, false);
    check(&ConvSpec { groups: 2, batch: 2, ..conv(6, 20, [8, 5], [3, 3], 1, 1) }, true);
    check(&ConvSpec { groups: 2, ..conv(8, 24, [6, 6], [1, 1], 1, 0) }, true);
}

#[test]
fn other_subgroup_sizes() {
    common::with_other_lanes("other_subgroup_sizes", || {
        check(&conv(5, 19, [6, 8], [3, 3], 1, 1), true);
        check(&conv(6, 40, [9, 8], [3, 3], 2, 1), true);
    });
}
