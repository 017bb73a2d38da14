//! Depthwise convolutions on CPU drivers: every filter reads one channel.
//!
//! An invocation computes a band of rows by four neighbouring pixels. Such drivers load a `vec4` in about the time of a
//! scalar, so every row of taps is loaded as the `vec4`s that cover it; where rows of the image start at any multiple of a
//! word, two steps of selection move the values into place.

use core::fmt::Write as _;

use crate::chain;
use crate::epilogue::Epilogue;
use crate::kernels::conv::check;
use crate::kernels::product::{Problem, image_params};
use crate::loops;
use crate::source::{Source, Workgroup};
use crate::strides::elements;
use crate::{Access, Class, ConvSpec, Launch, Refusal, Slot, Target};

/// Most values of a row, and rows, that one band reads: they are written out in the text.
const MOST: u64 = 16;

/// What the text is written for: all else are parameters.
struct Shape {
    /// Rows of the result per invocation.
    band: u64,
    /// Taps, vertically and horizontally.
    taps: [u64; 2],
    /// Steps.
    step: [u64; 2],
    /// Distance of a row's first value from a whole `vec4`, if it is the same everywhere.
    phase: Option<u64>,
}

impl Shape {
    fn new(spec: &ConvSpec) -> Self {
        let phase = spec.input[1].is_multiple_of(4).then(|| (4 - spec.pads[1] % 4) % 4);
        let band = if spec.output[0] == 1 { 1 } else { 4 };
        Self { band, taps: spec.kernel, step: spec.strides, phase }
    }

    /// Values of a row that four pixels read.
    fn span(&self) -> u64 {
        self.step[1].saturating_mul(3).saturating_add(self.taps[1])
    }

    /// Rows that a band reads.
    fn rows(&self) -> u64 {
        self.step[0].saturating_mul(self.band - 1).saturating_add(self.taps[0])
    }
}

/// Whether the kernel serves a convolution.
pub(crate) fn serves(spec: &ConvSpec, target: &Target) -> bool {
    let shape = Shape::new(spec);
    let results = elements(&[shape.band, 4]);
    target.class == Class::Cpu
        && spec.groups == spec.channels
        && spec.dilations == [1, 1]
        && shape.span() <= MOST
        && shape.rows() <= MOST
        && loops::nest_ends(target, &[], loops::of_chain(&spec.epilogue, results))
}

/// Writes the kernel.
pub(crate) fn build(spec: &ConvSpec, target: &Target) -> Result<Launch, Refusal> {
    let mut src = Source::new("conv", target);
    check(spec, &src)?;
    // Also checks that the groups divide the filters.
    let flops = Problem::conv(spec, &src)?.flops();
    let shape = Shape::new(spec);
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
    let [down, across] = shape.taps;
    let name = format!(
        "conv.depthwise{down}x{across}by{}x{}.{}{}{}",
        shape.step[0],
        shape.step[1],
        if aligned { "x4" } else { "x1" },
        shape.phase.map_or(".any".into(), |phase| format!(".from{phase}")),
        chain::label(&spec.epilogue)
    );
    src.finish(name, &body, group, total.div_ceil(u64::from(group.invocations)), flops)
}

fn body(shape: &Shape, invocations: u32) -> String {
    let mut body = format!(
        "let i = group * {invocations}u + lane;\nif (i >= p.total) {{ return; }}\n\
         let ox = (i % p.strips) * 4u;\nlet rest = i / p.strips;\nlet oy = (rest % p.bands) * {}u;\n\
         let plane = rest / p.bands;\nlet row = plane % p.filters;\nlet z = plane / p.filters;\n\
         let channel = z * p.channels + row / p.per_channel;\n\
         let x0 = ox * p.step_x - p.pad_x;\nlet top = oy * p.step_y - p.pad_y;\n\
         let first = channel * p.in_y * p.in_x + x0;\n",
        shape.band
    );
    let [down, across] = shape.taps;
    let _ = writeln!(body, "let at_w = row * {}u;", down * across);
    values(&mut body, ["w", "b1", "p.last_w"], down * across, None);
    for j in 0..shape.span() {
        let _ = writeln!(body, "let in{j} = x0 + {j}u < p.in_x;");
    }
    for o in 0..shape.band {
        let _ = writeln!(body, "var acc{o} = vec4<f32>();");
    }
    for r in 0..shape.rows() {
        row(shape, &mut body, r);
    }
    body.push_str(
        "let keep = min(p.out_x - ox, 4u);\nlet col = oy * p.out_x + ox;\nlet out = plane * p.out_y * p.out_x + col;\n",
    );
    for o in 0..shape.band {
        let _ = writeln!(
            body,
            "if (oy + {o}u < p.out_y) {{ put4(acc{o}, z, row, col + {o}u * p.out_x, out + {o}u * p.out_x, keep); }}"
        );
    }
    body
}

/// Loads row `r` of the band's taps, 0 outside the image, and adds what it is to the band's results. A coordinate before
/// the image has wrapped to a great number.
fn row(shape: &Shape, body: &mut String, r: u64) {
    let name = format!("r{r}_");
    let _ = writeln!(body, "let y{r} = top + {r}u;\nlet at_{name} = first + y{r} * p.in_x;");
    values(body, [&name, "b0", "p.last_x"], shape.span(), shape.phase);
    let _ = writeln!(body, "let iny{r} = y{r} < p.in_y;");
    for j in 0..shape.span() {
        let _ = writeln!(body, "let v{r}_{j} = select(0.0, {name}{j}, in{j} & iny{r});");
    }
    for kx in 0..shape.taps[1] {
        let parts = [0, 1, 2, 3].map(|j| format!("v{r}_{}", kx + j * shape.step[1])).join(", ");
        let _ = writeln!(body, "let t{r}_{kx} = vec4<f32>({parts});");
    }
    for o in 0..shape.band {
        let Some(ky) = r.checked_sub(o * shape.step[0]).filter(|&ky| ky < shape.taps[0]) else { continue };
        for kx in 0..shape.taps[1] {
            let _ = writeln!(body, "acc{o} += w{} * t{r}_{kx};", ky * shape.taps[1] + kx);
        }
    }
}

/// `count` consecutive words `NAME0, NAME1, …` of an array of `vec4`s from word `at_NAME` on, which is so far from a
/// whole `vec4`, or anywhere. `vec4`s outside the array are read as some inside it.
fn values(body: &mut String, [name, array, last]: [&str; 3], count: u64, phase: Option<u64>) {
    let _ = writeln!(body, "let q_{name} = bitcast<i32>(at_{name}) >> 2u;");
    let loads = (phase.unwrap_or(3) + count).div_ceil(4);
    for j in 0..loads {
        let _ = writeln!(body, "let m_{name}{j} = {array}.d[min(bitcast<u32>(q_{name} + {j}), {last})];");
    }
    let word = |j: u64| format!("m_{name}{}.{}", j / 4, ["x", "y", "z", "w"][(j % 4) as usize]);
    if let Some(phase) = phase {
        for j in 0..count {
            let _ = writeln!(body, "let {name}{j} = {};", word(j + phase));
        }
        return;
    }
    let _ =
        writeln!(body, "let one_{name} = (at_{name} & 1u) != 0u;\nlet two_{name} = (at_{name} & 2u) != 0u;");
    for j in 0..count + 2 {
        let _ = writeln!(body, "let s_{name}{j} = select({}, {}, one_{name});", word(j), word(j + 1));
    }
    for j in 0..count {
        let _ = writeln!(body, "let {name}{j} = select(s_{name}{j}, s_{name}{}, two_{name});", j + 2);
    }
}
