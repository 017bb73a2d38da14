//! Pooling on CPU drivers by bands of rows: what a row of taps gives to one row of the result it gives to all that it is
//! part of. NaNs never win a maximum.

use core::fmt::Write as _;

use bayplan_graph::op::PoolKind;

use crate::chain::{Width, ops};
use crate::kernels::bands::Bands;
use crate::kernels::pool::{named, window_params};
use crate::source::Written;
use crate::source::{Source, Workgroup};
use crate::strides::elements;
use crate::tape::Taped;
use crate::tape::specs::PoolSpec;
use crate::{Access, Refusal, Slot, Target};

/// Writes the kernel.
pub(crate) fn build(spec: &PoolSpec, bands: &Bands, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("pool", target);
    let image = elements(&[spec.planes, elements(&spec.input)]);
    let results = elements(&[spec.planes, elements(&spec.output)]);
    let aligned = spec.output[1].is_multiple_of(4);
    src.bind(Slot::Operand(0), Access::Read, "vec4<f32>", image)?;
    src.bind(Slot::Output, Access::Write, if aligned { "vec4<f32>" } else { "f32" }, results)?;
    let (strips, down) = (spec.output[1].div_ceil(4), spec.output[0].div_ceil(bands.band));
    let total = elements(&[spec.planes, down, strips]);
    let last = image.div_ceil(4).saturating_sub(1);
    for (name, value) in [("strips", strips), ("bands", down), ("total", total), ("last_x", last)] {
        src.size(name, value)?;
    }
    window_params(spec, &mut src)?;
    if spec.kind == PoolKind::Max {
        src.param("least", f32::NEG_INFINITY.to_bits());
    }
    let group = Workgroup::flat(target, 64);
    let mut body = format!(
        "let i = group * {}u + lane;\nif (i >= p.total) {{ return; }}\n\
         let ox = (i % p.strips) * 4u;\nlet rest = i / p.strips;\nlet oy = (rest % p.bands) * {}u;\n\
         let channel = rest / p.bands;\n",
        group.invocations, bands.band
    );
    bands.places(&mut body);
    sums(spec, bands, &mut body);
    store(&mut src, spec, bands, aligned, &mut body);
    let name = format!("{}{}.{}", named(spec.kind), bands.label(), if aligned { "x4" } else { "x1" });
    let flops = elements(&[results, spec.kernel[0], spec.kernel[1]]);
    src.finish(name, &body, group, total.div_ceil(Taped::from(group.invocations)), flops)
}

/// The maximum or sum over every result's taps, `accO`.
fn sums(spec: &PoolSpec, bands: &Bands, body: &mut String) {
    let max = spec.kind == PoolKind::Max;
    let outside = if max { "least" } else { "0.0" };
    if max {
        body.push_str("let least = bitcast<f32>(p.least);\n");
    }
    for o in 0..bands.band {
        let _ = writeln!(body, "var acc{o} = vec4<f32>({outside});");
    }
    let take = |into: &str, value: &str| {
        if max {
            format!("{into} = select({into}, {value}, {value} > {into});\n")
        } else {
            format!("{into} += {value};\n")
        }
    };
    for r in 0..bands.rows() {
        bands.row(body, r, outside);
        let _ = writeln!(body, "var h{r} = vec4<f32>({outside});");
        for kx in 0..bands.taps[1] {
            body.push_str(&take(&format!("h{r}"), &format!("t{r}_{kx}")));
        }
        for (o, _) in bands.results(r) {
            body.push_str(&take(&format!("acc{o}"), &format!("h{r}")));
        }
    }
}

/// Divides means by their number of taps, and stores.
fn store(src: &mut Source<'_>, spec: &PoolSpec, bands: &Bands, aligned: bool, body: &mut String) {
    // Taps up to the end of the padding count where it does, and are counted from its start; else those on the image.
    let inside = |axis: &str, first: &str, j: u64| match spec.kind {
        PoolKind::Average { count_pad: true } => format!("{first} + {j}u + p.pad_{axis} < p.end_{axis}"),
        _ => format!("{first} + {j}u < p.in_{axis}"),
    };
    let mean = matches!(spec.kind, PoolKind::Average { .. });
    if mean {
        let column = |j: u64| {
            let taps = (0..bands.taps[1])
                .map(|kx| format!("select(0.0, 1.0, {})", inside("x", "x0", j * bands.step[1] + kx)));
            taps.collect::<Vec<_>>().join(" + ")
        };
        let _ = writeln!(body, "let across = vec4<f32>({});", [0, 1, 2, 3].map(column).join(", "));
    }
    body.push_str("let at = (channel * p.out_y + oy) * p.out_x + ox;\n");
    for o in 0..bands.band {
        let _ = writeln!(body, "if (oy + {o}u < p.out_y) {{");
        let mut value = format!("acc{o}");
        if mean {
            let taps = (0..bands.taps[0])
                .map(|ky| format!("select(0.0, 1.0, {})", inside("y", "top", o * bands.step[0] + ky)));
            value = format!("{value} / (across * ({}))", taps.collect::<Vec<_>>().join(" + "));
        }
        let value = ops::narrow(src, Width::Four, spec.dtype, value);
        let _ = writeln!(body, "let f = {value};\nlet to = at + {o}u * p.out_x;");
        if aligned {
            body.push_str("b1.d[to / 4u] = f;\n");
        } else {
            for (j, c) in ["x", "y", "z", "w"].iter().enumerate() {
                let _ = writeln!(body, "if (ox + {j}u < p.out_x) {{ b1.d[to + {j}u] = f.{c}; }}");
            }
        }
        body.push_str("}\n");
    }
}
