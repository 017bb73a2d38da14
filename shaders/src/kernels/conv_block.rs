//! 3×3 convolutions of stride 1 on CPU drivers.
//!
//! Every lane computes four neighbouring pixels of two rows for eight filters. The 72 weights of a channel are loaded once per subgroup,
//! each lane holding those of one filter, and spread by shuffles at constant lanes. For that the weights are rearranged to
//! `[filters / 8, channels, 8, 12]`: nine taps and three words of room, so that they load as `vec4`s.

use core::fmt::Write as _;

use bayplan_graph::DType;

use crate::chain;
use crate::epilogue::Epilogue;
use crate::kernels::conv::check;
use crate::kernels::matmul::usable;
use crate::kernels::product::{Problem, image_params};
use crate::lanes::{Ability, Lanes};
use crate::loops;
use crate::source::Source;
use crate::source::Written;
use crate::strides::elements;
use crate::tape::Taped;
use crate::tape::specs::ConvSpec;
use crate::{Access, Class, CopySpec, Packing, Refusal, Slot, Target, spec};

/// Filters per lane.
const FILTERS: u32 = 8;
/// Rows of the image per lane: their taps overlap.
const BAND: u32 = 2;
/// Words of a filter's taps in one channel, with room.
const ROOM: u64 = 12;

/// Whether the kernel serves a convolution.
pub(crate) fn serves(spec: &ConvSpec, target: &Target) -> bool {
    let shuffles = Lanes::of(target, Ability::Shuffle).is_some_and(|l| usable(l.count()));
    let fits = spec.filters.div_ceil(FILTERS) * FILTERS * ROOM * 4;
    // Rows of the image then start at multiples of 4, and so do a lane's four pixels in them; otherwise a product over
    // the taps is as fast.
    let aligned = spec.input[1].is_multiple_of(4) && spec.output[1] == spec.input[1] && spec.pads[1] == 1;
    target.class == Class::Cpu
        && loops::nest_ends(target, &[spec.channels], loops::of_chain(&spec.epilogue, FILTERS * BAND * 4))
        && aligned
        && shuffles
        && spec.kernel == [3, 3]
        && spec.strides == [1, 1]
        && spec.dilations == [1, 1]
        && spec.groups == 1
        && spec.filters >= FILTERS
        && fits * spec.channels <= target.max_storage_range
}

/// The weights as the kernel wants them.
pub(crate) fn packing(spec: &spec::ConvSpec) -> Packing {
    let lanes = u64::from(FILTERS);
    let (filters, channels) = (spec.filters, spec.channels);
    let (whole, rest) = (filters / lanes, filters % lanes);
    let block = channels * lanes * ROOM;
    let signed = |v: u64| i64::try_from(v).unwrap_or(i64::MAX);
    let mut copies = vec![CopySpec {
        shape: vec![whole, lanes, channels, 9],
        dtype: DType::F32,
        x_base: 0,
        x_strides: vec![signed(lanes * channels * 9), signed(channels * 9), 9, 1],
        out_base: 0,
        out_strides: vec![block, ROOM, lanes * ROOM, 1],
    }];
    if rest > 0 {
        copies.push(CopySpec {
            shape: vec![rest, channels, 9],
            dtype: DType::F32,
            x_base: whole * lanes * channels * 9,
            x_strides: vec![signed(channels * 9), 9, 1],
            out_base: whole * block,
            out_strides: vec![ROOM, lanes * ROOM, 1],
        });
    }
    // What is not written belongs to taps and filters that are never stored.
    Packing { copies, elements: filters.div_ceil(lanes) * block, zero_fill: false }
}

/// Writes the kernel.
pub(crate) fn build(spec: &ConvSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("conv", target);
    check(spec, &src)?;
    let Some(team) = Lanes::of(target, Ability::Shuffle) else {
        return Err(src.refuse("the blocked kernel needs subgroups"));
    };
    let lanes = team.count();
    let flops = Problem::conv(spec, &src)?.flops();
    let input = elements(&[spec.batch, spec.channels, spec.input[0], spec.input[1]]);
    src.bind(Slot::Operand(0), Access::Read, "vec4<f32>", input)?;
    let packed = spec.filters.div_ceil(FILTERS) * FILTERS * ROOM * spec.channels;
    src.bind(Slot::Operand(1), Access::Read, "vec4<f32>", packed)?;
    image_params(spec, &mut src)?;
    let strips_x = spec.output[1].div_ceil(4);
    let bands = spec.output[0].div_ceil(Taped::from(BAND));
    let strips = elements(&[spec.batch, bands, strips_x]);
    let across = strips.div_ceil(Taped::from(lanes));
    let groups = across.saturating_mul(spec.filters.div_ceil(Taped::from(FILTERS)));
    let sizes = [
        ("channels", spec.channels),
        ("filters", spec.filters),
        ("strips_x", strips_x),
        ("bands", bands),
        ("strips", strips),
        ("across", across),
        ("groups", groups),
    ];
    for (name, value) in sizes {
        src.size(name, value)?;
    }
    Epilogue::of_conv(spec, true).write(&mut src, "f32", false, true)?;
    let body = body(team);
    let name = format!("conv.block3x3.{FILTERS}x{BAND}x{}{}", lanes * 4, chain::label(&spec.epilogue));
    src.finish(name, &body, team.workgroup(), groups, flops)
}

fn body(team: Lanes) -> String {
    let lanes = team.count();
    let mut body = format!(
        "if (group >= p.groups) {{ return; }}\n\
         let row0 = (group / p.across) * {FILTERS}u;\nlet strip = (group % p.across) * {lanes}u + sublane;\n\
         let s = min(strip, p.strips - 1u);\nlet ox = (s % p.strips_x) * 4u;\nlet rest = s / p.strips_x;\n\
         let oy = (rest % p.bands) * {BAND}u;\nlet z = rest / p.bands;\nlet plane = p.in_y * p.in_x;\n\
         let y0 = oy - p.pad_y;\n\
         var x_at = z * p.channels * plane;\nvar w_at = (row0 / {FILTERS}u) * p.channels * {}u;\n",
        u64::from(FILTERS) * ROOM / 4
    );
    for f in 0..FILTERS {
        for o in 0..BAND {
            let _ = writeln!(body, "var acc{f}_{o} = vec4<f32>();");
        }
    }
    places(&mut body);
    body.push_str("for (var c = 0u; c < p.channels; c += 1u) {\n");
    let loads = FILTERS.div_ceil(lanes);
    for i in 0..loads {
        let _ = writeln!(body, "let wp{i} = w_at + ((sublane + {}u) % {FILTERS}u) * 3u;", i * lanes);
        for q in 0..3 {
            let _ = writeln!(body, "let w{i}_{q} = b1.d[wp{i} + {q}u];");
        }
    }
    for row in 0..BAND + 2 {
        load_row(&mut body, row);
        for kx in 0..3 {
            let v = [0, 1, 2, 3].map(|j| format!("v{row}_{}", kx + j)).join(", ");
            let _ = writeln!(body, "let t{row}_{kx} = vec4<f32>({v});");
        }
        for o in (0..BAND).filter(|o| (*o..o + 3).contains(&row)) {
            add_row(team, &mut body, o, row);
        }
    }
    let _ = write!(
        body,
        "x_at += plane;\nw_at += {}u;\n}}\n\
         if (strip >= p.strips) {{ return; }}\nlet col = oy * p.out_x + ox;\nlet pixels = p.out_y * p.out_x;\n\
         let keep = min(p.out_x - ox, 4u);\nlet out = (z * p.filters + row0) * pixels + col;\n\
         let second = oy + 1u < p.out_y;\n",
        u64::from(FILTERS) * ROOM / 4
    );
    for f in 0..FILTERS {
        let (row, at) = (format!("row0 + {f}u"), format!("out + {f}u * pixels"));
        let _ = write!(
            body,
            "if ({row} < p.filters) {{\nput4(acc{f}_0, z, {row}, col, {at}, keep);\n\
             if (second) {{ put4(acc{f}_1, z, {row}, col + p.out_x, {at} + p.out_x, keep); }}\n}}\n"
        );
    }
    body
}

/// Adds what taps of an image's row are to row `o` of the results.
fn add_row(team: Lanes, body: &mut String, o: u32, row: u32) {
    for kx in 0..3 {
        let tap = (row - o) * 3 + kx;
        let c = ["x", "y", "z", "w"][tap as usize % 4];
        for f in 0..FILTERS {
            let (load, lane) = (f / team.count(), f % team.count());
            let w = team.shuffle(&format!("w{load}_{}.{c}", tap / 4), lane);
            let _ = writeln!(body, "acc{f}_{o} += {w} * t{row}_{kx};");
        }
    }
}

/// Before the loop: where the rows of taps are in a channel's plane, and whether the columns beside the lane's four
/// are inside.
fn places(body: &mut String) {
    for ky in 0..BAND + 2 {
        let _ = writeln!(
            body,
            "let in{ky} = y0 + {ky}u < p.in_y;\nlet r{ky} = select(0u, (y0 + {ky}u) * p.in_x, in{ky});"
        );
    }
    body.push_str("let left = ox > 0u;\nlet right = ox + 4u < p.in_x;\n");
    body.push_str("let l = select(0u, ox - 1u, left);\nlet r = select(0u, ox + 4u, right);\n");
}

/// The six values of a row of taps, `vKY_0` to `vKY_5`, 0 outside the image.
fn load_row(body: &mut String, ky: u32) {
    let _ = writeln!(body, "let m{ky} = select(vec4<f32>(), b0.d[(x_at + r{ky} + ox) / 4u], in{ky});");
    for (j, c) in (1..5).zip(["x", "y", "z", "w"]) {
        let _ = writeln!(body, "let v{ky}_{j} = m{ky}.{c};");
    }
    for (j, (at, ok)) in [(0, ("l", "left")), (5, ("r", "right"))] {
        let _ = writeln!(
            body,
            "let e{ky}_{j} = x_at + r{ky} + {at};\n\
             let v{ky}_{j} = select(0.0, b0.d[e{ky}_{j} / 4u][e{ky}_{j} % 4u], in{ky} && {ok});"
        );
    }
}
