//! Pooling: four pixels of one plane per invocation. NaNs never win a maximum.

use core::fmt::Write as _;

use bayplan_graph::op::PoolKind;

use crate::chain::{Width, ops};
use crate::kernels::bands::Bands;
use crate::kernels::pool_bands;
use crate::loops;
use crate::source::Written;
use crate::source::{Source, Workgroup};
use crate::strides::elements;
use crate::tape::Taped;
use crate::tape::specs::PoolSpec;
use crate::{Access, Refusal, Slot, Target};

/// Largest extent of input, padding and window: coordinates are `i32`.
const MAX_EXTENT: u64 = 1 << 30;

/// Parameters of the image and the window.
pub(crate) fn window_params(spec: &PoolSpec, src: &mut Source<'_>) -> Result<(), Refusal> {
    for (d, axis) in ["y", "x"].iter().enumerate() {
        let values = [
            ("in", spec.input[d]),
            ("out", spec.output[d]),
            ("taps", spec.kernel[d]),
            ("step", spec.strides[d]),
            ("gap", spec.dilations[d]),
            ("pad", spec.pads[d]),
            ("end", spec.input[d].saturating_add(spec.pads[d]).saturating_add(spec.pads_end[d])),
        ];
        for (name, value) in values {
            if value > MAX_EXTENT {
                return Err(src.refuse(format!("{name}_{axis} = {value:?} is beyond {MAX_EXTENT}")));
            }
            src.size(&format!("{name}_{axis}"), value)?;
        }
    }
    Ok(())
}

/// Writes the kernel.
pub(crate) fn build(spec: &PoolSpec, target: &Target) -> Result<Written, Refusal> {
    if let Some(bands) = Bands::of_pool(spec, target) {
        return pool_bands::build(spec, &bands, target);
    }
    let mut src = Source::new("pool", target);
    let plane = elements(&spec.input);
    let pixels = elements(&spec.output);
    let results = elements(&[spec.planes, spec.output[0], spec.output[1]]);
    let aligned = pixels.is_multiple_of(4);
    let x = src.bind(Slot::Operand(0), Access::Read, "f32", elements(&[spec.planes, plane]))?;
    let result = spec.kind.result(spec.dtype);
    let element = src.element(src.repr(result)?);
    let kind = if aligned { Width::Four.of(element) } else { element.to_owned() };
    let out = src.bind(Slot::Output, Access::Write, &kind, results)?;
    let total = elements(&[spec.planes, pixels.div_ceil(4)]);
    for (name, value) in [("total", total), ("n", pixels), ("quads", pixels.div_ceil(4))] {
        src.size(name, value)?;
    }
    window_params(spec, &mut src)?;
    let shape = Workgroup::flat(target, 256);
    // A mean counts either the taps on the image, or all up to the end of the padding, which is counted from its start.
    let least = "vec4<f32>(bitcast<f32>(p.least))";
    if matches!(spec.kind, PoolKind::Max | PoolKind::Index) {
        src.param("least", f32::NEG_INFINITY.to_bits());
    }
    let (start, take, finish) = match spec.kind {
        PoolKind::Max => (least, "r = select(r, v, inside & (v > r));", "r"),
        PoolKind::Index => (
            least,
            "let more = inside & (v > r);\n\
             best = select(best, y * p.in_x + x, more | (inside & (best == vec4<u32>(0xffffffffu))));\n\
             r = select(r, v, more);",
            "bitcast<vec4<i32>>(best)",
        ),
        PoolKind::Sum => ("vec4<f32>()", "r += select(vec4<f32>(), v, inside);", "r"),
        PoolKind::Average { count_pad: false } => (
            "vec4<f32>()",
            "r += select(vec4<f32>(), v, inside);\ntaken += select(vec4<f32>(), vec4<f32>(1.0), inside);",
            "r / taken",
        ),
        PoolKind::Average { count_pad: true } => (
            "vec4<f32>()",
            "r += select(vec4<f32>(), v, inside);\n\
             let padded = (y + p.pad_y < vec4<u32>(p.end_y)) & (x + p.pad_x < vec4<u32>(p.end_x));\n\
             taken += select(vec4<f32>(), vec4<f32>(1.0), padded);",
            "r / taken",
        ),
    };
    let finish = ops::narrow(&mut src, Width::Four, result, finish.into());
    let (per, taps) = taps(spec, &src, &x, take)?;
    let mut body = String::new();
    let _ = write!(
        body,
        "let i = group * {}u + lane;\nif (i >= p.total) {{ return; }}\n\
         let z = i / p.quads;\nlet col = (i - z * p.quads) * 4u;\nlet plane = z * p.in_y * p.in_x;\n\
         let px = min(vec4<u32>(col, col + 1u, col + 2u, col + 3u), vec4<u32>(p.n - 1u));\n\
         let oy = px / p.out_x;\nlet y0 = oy * p.step_y - p.pad_y;\n\
         let x0 = (px - oy * p.out_x) * p.step_x - p.pad_x;\n\
         var r = {start};\nvar taken = vec4<f32>();\nvar best = vec4<u32>(0xffffffffu);\n\
         {taps}let f = {finish};\nlet at = z * p.n + col;\n",
        shape.invocations
    );
    if aligned {
        let _ = writeln!(body, "{out}.d[at / 4u] = f;");
    } else {
        for (j, c) in ["x", "y", "z", "w"].iter().enumerate() {
            let _ = writeln!(body, "if (col + {j}u < p.n) {{ {out}.d[at + {j}u] = f.{c}; }}");
        }
    }
    let name = format!("{}.x{}{per}", named(spec.kind), if aligned { 4 } else { 1 });
    let flops = elements(&[results, spec.kernel[0], spec.kernel[1]]);
    src.finish(name, &body, shape, total.div_ceil(Taped::from(shape.invocations)), flops)
}

/// The first part of a kernel's name.
pub(crate) fn named(kind: PoolKind) -> &'static str {
    match kind {
        PoolKind::Max => "pool.max",
        PoolKind::Average { count_pad: true } => "pool.mean.padded",
        PoolKind::Average { count_pad: false } => "pool.mean",
        PoolKind::Sum => "pool.sum",
        PoolKind::Index => "pool.index",
    }
}

/// The way through the window, and its part of the kernel's name: a loop for either dimension, or, where a CPU driver
/// would not go through these to the end, one over all taps.
fn taps(spec: &PoolSpec, src: &Source<'_>, x: &str, take: &str) -> Result<(String, String), Refusal> {
    let tap = format!(
        "let inside = (y < vec4<u32>(p.in_y)) & (x < vec4<u32>(p.in_x));\n\
         let j = select(vec4<u32>(), plane + y * p.in_x + x, inside);\n\
         let v = vec4<f32>({x}.d[j.x], {x}.d[j.y], {x}.d[j.z], {x}.d[j.w]);\n{take}\n"
    );
    if loops::nest_ends(src.target(), &spec.kernel, 0) {
        let text = format!(
            "for (var ky = 0u; ky < p.taps_y; ky += 1u) {{\nlet y = y0 + ky * p.gap_y;\n\
             for (var kx = 0u; kx < p.taps_x; kx += 1u) {{\nlet x = x0 + kx * p.gap_x;\n{tap}}}\n}}\n"
        );
        return Ok((String::new(), text));
    }
    let count = elements(&spec.kernel);
    src.fits("taps", count)?;
    let per = loops::steps_per_pass(src, loops::MOST_STEPS, [1.into(), count, 0.into()])?;
    let step =
        format!("let y = y0 + (t / p.taps_x) * p.gap_y;\nlet x = x0 + (t % p.taps_x) * p.gap_x;\n{tap}");
    let mut text = "let taps = p.taps_y * p.taps_x;\n".to_owned();
    loops::write(&mut text, per, ["t", "0u", "taps", "1u"], &step);
    Ok((format!(".flat{}", loops::label(per)), text))
}
