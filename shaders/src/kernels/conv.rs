//! Convolutions: which way for which shape, and the way for few filters per group.

use core::fmt::Write as _;

use crate::epilogue::Epilogue;
use crate::kernels::product::{Problem, image_params};
use crate::kernels::{conv_block, conv_depthwise, matmul, matmul_gpu};
use crate::loops;
use crate::source::Written;
use crate::source::{Source, Workgroup};
use crate::strides::elements;
use crate::tape::Taped;
use crate::tape::specs::{ConvSpec, Spec};
use crate::{Access, Class, Refusal, Slot, Target, chain};

/// With fewer filters per group than this, a product would leave most of its rows empty.
const FEW_FILTERS: u64 = 4;

fn few_filters(spec: &ConvSpec) -> bool {
    spec.groups > 1 && spec.filters / spec.groups < FEW_FILTERS
}

/// Whether the blocked kernel serves this.
pub(crate) fn block_fits(spec: &Spec, target: &Target) -> bool {
    matches!(spec, Spec::Conv(s) if s.packed && conv_block::serves(s, target))
}

/// Whether the kernel for one channel per filter serves this.
pub(crate) fn depthwise_fits(spec: &Spec, target: &Target) -> bool {
    matches!(spec, Spec::Conv(s) if !s.packed && conv_depthwise::serves(s, target))
}

/// Whether the kernel for few filters serves this.
pub(crate) fn window_fits(spec: &Spec, _: &Target) -> bool {
    matches!(spec, Spec::Conv(s) if !s.packed && few_filters(s))
}

/// Whether a product on a CPU driver serves this.
pub(crate) fn cpu_fits(spec: &Spec, target: &Target) -> bool {
    matches!(spec, Spec::Conv(s) if !s.packed && target.class == Class::Cpu)
}

/// Whether a product in shared memory serves this.
pub(crate) fn gpu_fits(spec: &Spec, _: &Target) -> bool {
    matches!(spec, Spec::Conv(s) if !s.packed)
}

/// Checks the epilogue's shape.
pub(crate) fn check(spec: &ConvSpec, src: &Source<'_>) -> Result<(), Refusal> {
    for (i, operand) in spec.epilogue.operands.iter().enumerate().skip(1) {
        if operand.strides.len() != 4 {
            let have = operand.strides.len();
            return Err(
                src.refuse(format!("epilogue operand {i} has {have} strides, the result 4 dimensions"))
            );
        }
    }
    Ok(())
}

/// Writes the kernel as a product on a CPU driver.
pub(crate) fn build_cpu(spec: &ConvSpec, target: &Target) -> Result<Written, Refusal> {
    let src = Source::new("conv", target);
    check(spec, &src)?;
    let problem = Problem::conv(spec, &src)?;
    matmul::build_problem(&problem, src)
}

/// Writes the kernel as a product in shared memory.
pub(crate) fn build_gpu(spec: &ConvSpec, target: &Target) -> Result<Written, Refusal> {
    let src = Source::new("conv", target);
    check(spec, &src)?;
    let problem = Problem::conv(spec, &src)?;
    matmul_gpu::build_problem(&problem, src)
}

/// Writes the kernel for few filters per group: four pixels of one filter per invocation.
pub(crate) fn build_window(spec: &ConvSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("conv", target);
    check(spec, &src)?;
    // Also checks that the groups divide channels and filters.
    let flops = Problem::conv(spec, &src)?.flops();
    let channels = spec.channels / spec.groups.max(1);
    let taps = elements(&spec.kernel);
    let pixels = elements(&spec.output);
    src.bind(
        Slot::Operand(0),
        Access::Read,
        "f32",
        elements(&[spec.batch, spec.channels, elements(&spec.input)]),
    )?;
    src.bind(Slot::Operand(1), Access::Read, "f32", elements(&[spec.filters, channels, taps]))?;
    image_params(spec, &mut src)?;
    let per_group = spec.filters / spec.groups.max(1);
    let total = elements(&[spec.batch, spec.filters, pixels.div_ceil(4)]);
    let sizes = [
        ("n", pixels),
        ("total", total),
        ("quads", pixels.div_ceil(4)),
        ("filters", spec.filters),
        ("per_group", per_group),
        ("channels", channels),
        ("all_channels", spec.channels),
    ];
    for (name, value) in sizes {
        src.size(name, value)?;
    }
    Epilogue::of_conv(spec, pixels.is_multiple_of(4)).write(&mut src, "f32", false, true)?;
    let shape = Workgroup::flat(target, 64);
    let (per, sum) = window_sum(spec, &src, channels)?;
    let mut body = String::new();
    let _ = write!(
        body,
        "let i = group * {}u + lane;\nif (i >= p.total) {{ return; }}\n\
         let col = (i % p.quads) * 4u;\nlet rest = i / p.quads;\n\
         let row = rest % p.filters;\nlet z = rest / p.filters;\n\
         let px = min(vec4<u32>(col, col + 1u, col + 2u, col + 3u), vec4<u32>(p.n - 1u));\n\
         let y0 = (px / p.out_x) * p.step_y - p.pad_y;\nlet x0 = (px % p.out_x) * p.step_x - p.pad_x;\n\
         let plane = p.in_y * p.in_x;\nlet first = (row / p.per_group) * p.channels;\n\
         var acc = vec4<f32>();\nvar w = row * p.channels * p.taps_y * p.taps_x;\n\
         {sum}put4(acc, z, row, col, (z * p.filters + row) * p.n + col, min(p.n - col, 4u));\n",
        shape.invocations
    );
    let aligned = if pixels.is_multiple_of(4) { "4" } else { "1" };
    let name = format!("conv.window.x{aligned}{}{}", per, chain::label(&spec.epilogue));
    src.finish(name, &body, shape, total.div_ceil(Taped::from(shape.invocations)), flops)
}

/// The sum over the window, and its part of the kernel's name: a loop for every dimension, or, where a CPU driver would
/// not go through these to the end, one over all taps.
fn window_sum(spec: &ConvSpec, src: &Source<'_>, channels: Taped) -> Result<(String, String), Refusal> {
    let tap = "let inside = (y < vec4<u32>(p.in_y)) & (x < vec4<u32>(p.in_x));\n\
         let j = select(vec4<u32>(), at + y * p.in_x + x, inside);\n\
         let v = vec4<f32>(b0.d[j.x], b0.d[j.y], b0.d[j.z], b0.d[j.w]);\n\
         acc += b1.d[w] * select(vec4<f32>(), v, inside);\nw += 1u;\n";
    let others = loops::of_chain(&spec.epilogue, 4);
    if loops::nest_ends(src.target(), &[channels, spec.kernel[0], spec.kernel[1]], others) {
        let sum = format!(
            "for (var c = 0u; c < p.channels; c += 1u) {{\nlet at = (z * p.all_channels + first + c) * plane;\n\
             for (var ky = 0u; ky < p.taps_y; ky += 1u) {{\nlet y = y0 + ky * p.gap_y;\n\
             for (var kx = 0u; kx < p.taps_x; kx += 1u) {{\nlet x = x0 + kx * p.gap_x;\n{tap}}}\n}}\n}}\n"
        );
        return Ok((String::new(), sum));
    }
    let taps = elements(&[channels, spec.kernel[0], spec.kernel[1]]);
    src.fits("taps", taps)?;
    let per = loops::steps_per_pass(src, loops::MOST_STEPS, [1.into(), taps, others])?;
    let step = format!(
        "let rest = t / p.taps_x;\nlet at = (z * p.all_channels + first + rest / p.taps_y) * plane;\n\
         let y = y0 + (rest % p.taps_y) * p.gap_y;\nlet x = x0 + (t % p.taps_x) * p.gap_x;\n{tap}"
    );
    let mut sum = "let taps = p.channels * p.taps_y * p.taps_x;\n".to_owned();
    loops::write(&mut sum, per, ["t", "0u", "taps", "1u"], &step);
    Ok((format!(".flat{}", loops::label(per)), sum))
}
