//! Pooling: one result per invocation.

use core::fmt::Write as _;

use bayplan_graph::op::PoolKind;

use crate::source::{Source, Workgroup};
use crate::strides::elements;
use crate::{Access, Launch, PoolSpec, Refusal, Slot, Target};

/// Largest extent of input, padding and window: coordinates are `i32`.
const MAX_EXTENT: u64 = 1 << 30;

/// Writes the kernel.
pub(crate) fn build(spec: &PoolSpec, target: &Target) -> Result<Launch, Refusal> {
    let mut src = Source::new("pool", target);
    let plane = elements(&spec.input);
    let results = elements(&[spec.planes, spec.output[0], spec.output[1]]);
    let x = src.bind(Slot::Operand(0), Access::Read, "f32", elements(&[spec.planes, plane]))?;
    let out = src.bind(Slot::Output, Access::Write, "f32", results)?;
    src.size("n", results)?;
    for (d, axis) in ["y", "x"].iter().enumerate() {
        let values = [
            ("in", spec.input[d]),
            ("out", spec.output[d]),
            ("taps", spec.kernel[d]),
            ("step", spec.strides[d]),
            ("gap", spec.dilations[d]),
            ("pad", spec.pads[d]),
            ("end", spec.input[d].saturating_add(spec.pads_end[d])),
        ];
        for (name, value) in values {
            if value > MAX_EXTENT {
                return Err(src.refuse(format!("{name}_{axis} = {value} is beyond {MAX_EXTENT}")));
            }
            src.size(&format!("{name}_{axis}"), value)?;
        }
    }
    let shape = Workgroup::flat(target, 256);
    let (start, take, finish) = match spec.kind {
        PoolKind::Max => {
            ("var r = bitcast<f32>(p.least);", "r = select(max(r, v), v, op_isnan(v) || op_isnan(r));", "r")
        }
        PoolKind::Average { .. } => ("var r = 0.0;", "r += v;", "r / f32(taken)"),
    };
    if spec.kind == PoolKind::Max {
        src.param("least", f32::NEG_INFINITY.to_bits());
        crate::chain::ops::require(&mut src, crate::chain::Width::One, "op_isnan");
    }
    // A mean counts either the taps on the image, or all up to the end of the padding.
    let count_pad = spec.kind == PoolKind::Average { count_pad: true };
    let (padded, inside) = if count_pad { ("taken += 1u;", "") } else { ("", "taken += 1u;") };
    let mut body = String::new();
    let _ = write!(
        body,
        "let i = group * {}u + lane;\nif (i >= p.n) {{ return; }}\n\
         let rest = i / p.out_x;\nlet ox = i - rest * p.out_x;\nlet plane_no = rest / p.out_y;\nlet oy = rest - plane_no * p.out_y;\n\
         let plane = plane_no * p.in_y * p.in_x;\n\
         let y0 = i32(oy * p.step_y) - i32(p.pad_y);\nlet x0 = i32(ox * p.step_x) - i32(p.pad_x);\n\
         {start}\nvar taken = 0u;\n\
         for (var ky = 0u; ky < p.taps_y; ky += 1u) {{\nlet y = y0 + i32(ky * p.gap_y);\n\
         for (var kx = 0u; kx < p.taps_x; kx += 1u) {{\nlet x = x0 + i32(kx * p.gap_x);\n\
         if (y < i32(p.end_y) && x < i32(p.end_x)) {{ {padded} }}\n\
         if (y >= 0 && y < i32(p.in_y) && x >= 0 && x < i32(p.in_x)) {{\n\
         let v = {x}.d[plane + u32(y) * p.in_x + u32(x)];\n{take}\n{inside}\n}}\n}}\n}}\n\
         {out}.d[i] = {finish};\n",
        shape.invocations
    );
    let name = match spec.kind {
        PoolKind::Max => "pool.max",
        PoolKind::Average { count_pad: true } => "pool.mean.padded",
        PoolKind::Average { count_pad: false } => "pool.mean",
    };
    let flops = elements(&[results, spec.kernel[0], spec.kernel[1]]);
    src.finish(name, &body, shape, results.div_ceil(u64::from(shape.invocations)), flops)
}
