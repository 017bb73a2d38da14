//! Depthwise convolutions on CPU drivers: every filter reads one channel, by bands of rows.

use core::fmt::Write as _;

use crate::chain;
use crate::epilogue::Epilogue;
use crate::kernels::bands::{Bands, values};
use crate::kernels::conv::check;
use crate::kernels::product::{Problem, image_params};
use crate::loops;
use crate::source::Written;
use crate::source::{Source, Workgroup};
use crate::strides::elements;
use crate::tape::Taped;
use crate::tape::specs::ConvSpec;
use crate::{Access, Refusal, Slot, Target};

/// Whether the kernel serves a convolution.
pub(crate) fn serves(spec: &ConvSpec, target: &Target) -> bool {
    let ends = |results| loops::nest_ends(target, &[], loops::of_chain(&spec.epilogue, results));
    spec.groups == spec.channels && Bands::of_conv(spec, target).is_some_and(|bands| ends(bands.band * 4))
}

/// Writes the kernel.
pub(crate) fn build(spec: &ConvSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("conv", target);
    check(spec, &src)?;
    // Also checks that the groups divide the filters.
    let flops = Problem::conv(spec, &src)?.flops();
    let Some(shape) = Bands::of_conv(spec, target) else {
        return Err(src.refuse("the kernel by bands of rows does not serve such windows"));
    };
    let image = elements(&[spec.batch, spec.channels, elements(&spec.input)]);
    let weights = elements(&[spec.filters, elements(&spec.kernel)]);
    src.bind(Slot::Operand(0), Access::Read, "vec4<f32>", image)?;
    src.bind(Slot::Operand(1), Access::Read, "vec4<f32>", weights)?;
    image_params(spec, &mut src)?;
    let (strips, bands) = (spec.output[1].div_ceil(4), spec.output[0].div_ceil(shape.band));
    let total = elements(&[spec.batch, spec.filters, bands, strips]);
    let sizes = [
        ("strips", strips),
        ("bands", bands),
        ("total", total),
        ("filters", spec.filters),
        ("per_channel", spec.filters / spec.channels.max(1)),
        ("channels", spec.channels),
        ("last_x", image.div_ceil(4).saturating_sub(1)),
        ("last_w", weights.div_ceil(4).saturating_sub(1)),
    ];
    for (name, value) in sizes {
        src.size(name, value)?;
    }
    let aligned = spec.output[1].is_multiple_of(4);
    Epilogue::of_conv(spec, aligned).write(&mut src, "f32", false, true)?;
    let group = Workgroup::flat(target, 64);
    let body = body(&shape, group.invocations);
    let wide = if aligned { "x4" } else { "x1" };
    let name = format!("conv.depthwise{}.{wide}{}", shape.label(), chain::label(&spec.epilogue));
    src.finish(name, &body, group, total.div_ceil(Taped::from(group.invocations)), flops)
}

fn body(bands: &Bands, invocations: u32) -> String {
    let mut body = format!(
        "let i = group * {invocations}u + lane;\nif (i >= p.total) {{ return; }}\n\
         let ox = (i % p.strips) * 4u;\nlet rest = i / p.strips;\nlet oy = (rest % p.bands) * {}u;\n\
         let plane = rest / p.bands;\nlet row = plane % p.filters;\nlet z = plane / p.filters;\n\
         let channel = z * p.channels + row / p.per_channel;\n",
        bands.band
    );
    let [down, across] = bands.taps;
    let _ = writeln!(body, "let at_w = row * {}u;", down * across);
    values(&mut body, ["w", "b1", "p.last_w"], down * across, None);
    bands.places(&mut body);
    for o in 0..bands.band {
        let _ = writeln!(body, "var acc{o} = vec4<f32>();");
    }
    for r in 0..bands.rows() {
        bands.row(&mut body, r, "0.0");
        for (o, ky) in bands.results(r) {
            for kx in 0..across {
                let _ = writeln!(body, "acc{o} += w{} * t{r}_{kx};", ky * across + kx);
            }
        }
    }
    body.push_str(
        "let keep = min(p.out_x - ox, 4u);\nlet col = oy * p.out_x + ox;\nlet out = plane * p.out_y * p.out_x + col;\n",
    );
    for o in 0..bands.band {
        let _ = writeln!(
            body,
            "if (oy + {o}u < p.out_y) {{ put4(acc{o}, z, row, col + {o}u * p.out_x, out + {o}u * p.out_x, keep); }}"
        );
    }
    body
}
