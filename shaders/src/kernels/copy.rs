//! Movement of words: pieces of transposes, slices, concatenations, pads and expansions.

use core::fmt::Write as _;

use crate::source::Written;
use crate::source::{Source, Workgroup};
use crate::strides::{self, Merged};
use crate::tape::Taped;
use crate::tape::specs::CopySpec;
use crate::{Access, Class, Refusal, Slot, Target};

/// Writes the kernel.
pub(crate) fn build(spec: &CopySpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("copy", target);
    let words = src.repr(spec.dtype)?.words();
    let rank = spec.shape.len();
    if spec.x_strides.len() != rank || spec.out_strides.len() != rank {
        return Err(src.refuse(format!("{rank} dimensions with other numbers of strides")));
    }
    let count = strides::elements(&spec.shape) * words;
    let mut merged = in_words(spec, words);
    let (x_base, out_base) = (spec.x_base.saturating_mul(words), spec.out_base.saturating_mul(words));
    if let Some(tile) = Tile::of(&merged, [x_base, out_base], target) {
        let x_words = reach(&merged_extent(spec, words, &src)?, x_base);
        let out_words =
            reach(&strides::extent(&spec.shape, &spec.out_strides).saturating_mul(words), out_base);
        return tile.build(src, &merged, [x_base, out_base], [x_words, out_words]);
    }
    let four = merged.shape.last().is_some_and(|d| d.is_multiple_of(4));
    let x4 = four && aligned(&merged.strides[0], x_base);
    let out4 = four && aligned(&merged.strides[1], out_base);
    // Words that go one by one on both sides gain nothing from being four to an invocation.
    let four = x4 || out4;
    if merged.shape.is_empty() {
        merged = Merged { shape: vec![1.into()], strides: vec![vec![1.into()], vec![1.into()]] };
    }
    let per = if four { 4 } else { 1 };
    if let (true, Some(last)) = (four, merged.shape.last_mut()) {
        *last /= 4;
    }
    let shape = Workgroup::flat(target, 256);
    let total = src.size("n", count / per)?;
    let mut body =
        format!("let i = group * {}u + lane;\nif (i >= {total}) {{ return; }}\n", shape.invocations);
    strides::take_apart(&mut src, &mut body, "i", &merged.shape, "i")?;
    let kind = |wide: bool| if wide { "vec4<u32>" } else { "u32" };
    let x_words = reach(&merged_extent(spec, words, &src)?, x_base);
    let x = src.bind(Slot::Operand(0), Access::Read, kind(x4), x_words)?;
    let out_words = reach(&strides::extent(&spec.shape, &spec.out_strides).saturating_mul(words), out_base);
    let out = src.bind(Slot::Output, Access::Write, kind(out4), out_words)?;
    let from = side(&mut src, "x", &merged.strides[0], x_base, four, x4)?;
    let to = side(&mut src, "out", &merged.strides[1], out_base, four, out4)?;
    let _ = writeln!(body, "let at_x = {};\nlet at_out = {};", from.base, to.base);
    if four {
        let at = |s: &Side, name: &str, index: &str, j: u32| format!("{name}.d[{index} + {j}u * {}]", s.step);
        let value = if x4 {
            format!("{x}.d[at_x]")
        } else {
            format!("vec4<u32>({})", [0, 1, 2, 3].map(|j| at(&from, &x, "at_x", j)).join(", "))
        };
        let _ = writeln!(body, "let v = {value};");
        if out4 {
            let _ = writeln!(body, "{out}.d[at_out] = v;");
        } else {
            for (j, c) in (0u32..).zip(["x", "y", "z", "w"]) {
                let _ = writeln!(body, "{} = v.{c};", at(&to, &out, "at_out", j));
            }
        }
    } else {
        let _ = writeln!(body, "{out}.d[at_out] = {x}.d[at_x];");
    }
    let side = |wide: bool| if wide { "4" } else { "1" };
    let name = format!("copy.{}to{}.{}d", side(x4), side(out4), merged.shape.len());
    src.finish(name, &body, shape, (count / per).div_ceil(Taped::from(shape.invocations)), 0)
}

/// A transpose: what lies side by side on one side does not on the other. An invocation moves a tile through registers, in
/// `vec4`s on both sides.
struct Tile {
    /// The dimension whose words lie side by side in x, and that of the result.
    along: [usize; 2],
    /// Words of the tile along the first of them; along the second they are four.
    width: u64,
}

impl Tile {
    fn of(merged: &Merged, bases: [Taped; 2], target: &Target) -> Option<Self> {
        let [x, out] = [0, 1].map(|side| merged.strides[side].iter().position(|&s| s == 1));
        let along = [x?, out?];
        let even = |side: usize| {
            let others = merged.strides[side].iter().enumerate().filter(|(d, _)| *d != along[side]);
            bases[side] % 4 == 0
                && merged.shape[along[side]] % 4 == 0
                && others.into_iter().all(|(_, &s)| s % 4 == 0)
        };
        if along[0] == along[1] || !even(0) || !even(1) {
            return None;
        }
        // Whole lines of a cache, where an invocation reads for itself.
        let line = target.class == Class::Cpu && merged.shape[along[0]] % 16 == 0;
        Some(Self { along, width: if line { 16 } else { 4 } })
    }

    fn build(
        &self,
        mut src: Source<'_>,
        merged: &Merged,
        bases: [Taped; 2],
        words: [Taped; 2],
    ) -> Result<Written, Refusal> {
        let [across, down] = self.along;
        // Neighbours read below each other, and write side by side.
        let mut order: Vec<usize> = (0..merged.shape.len()).filter(|d| !self.along.contains(d)).collect();
        order.extend([across, down]);
        let steps = |d: usize| {
            if d == across {
                self.width
            } else if d == down {
                4
            } else {
                1
            }
        };
        let dims: Vec<Taped> = order.iter().map(|&d| merged.shape[d] / steps(d)).collect();
        let shape = Workgroup::flat(src.target(), 256);
        let count = strides::elements(&dims);
        let total = src.size("n", count)?;
        let mut body =
            format!("let i = group * {}u + lane;\nif (i >= {total}) {{ return; }}\n", shape.invocations);
        strides::take_apart(&mut src, &mut body, "i", &dims, "i")?;
        let x = src.bind(Slot::Operand(0), Access::Read, "vec4<u32>", words[0])?;
        let out = src.bind(Slot::Output, Access::Write, "vec4<u32>", words[1])?;
        for (side, name) in ["x", "out"].into_iter().enumerate() {
            let own = order.iter().map(|&d| merged.strides[side][d] * steps(d) / 4).collect::<Vec<_>>();
            let base = src.size(&format!("{name}_base"), bases[side] / 4)?;
            let _ = writeln!(body, "let at_{name} = {base} + {};", strides::dot(&mut src, "i", &own)?);
        }
        let next_x = src.param("next_x", merged.strides[0][down] / 4);
        let next_out = src.param("next_out", merged.strides[1][across] / 4);
        for quad in 0..self.width / 4 {
            for j in 0..4 {
                let _ = writeln!(body, "let v{j}_{quad} = {x}.d[at_x + {j}u * {next_x} + {quad}u];");
            }
        }
        for quad in 0..self.width / 4 {
            for (i, c) in ["x", "y", "z", "w"].iter().enumerate() {
                let parts = [0, 1, 2, 3].map(|j| format!("v{j}_{quad}.{c}")).join(", ");
                let row = 4 * quad + i as u64;
                let _ = writeln!(body, "{out}.d[at_out + {row}u * {next_out}] = vec4<u32>({parts});");
            }
        }
        let name = format!("copy.tile{}x4.{}d", self.width, dims.len());
        src.finish(name, &body, shape, count.div_ceil(Taped::from(shape.invocations)), 0)
    }
}

/// The movement over words: elements of two words become a dimension of 2.
fn in_words(spec: &CopySpec, words: u64) -> Merged {
    let mut shape = spec.shape.clone();
    let mut x: Vec<Taped> = spec.x_strides.iter().map(|&s| s * words).collect();
    let mut out: Vec<Taped> = spec.out_strides.iter().map(|&s| s * words).collect();
    if words > 1 {
        shape.push(words.into());
        x.push(1.into());
        out.push(1.into());
    }
    strides::merge(&shape, &[x, out])
}

/// Whether four words along the last dimension are one aligned `vec4`.
fn aligned(strides: &[Taped], base: Taped) -> bool {
    base.is_multiple_of(4)
        && strides.split_last().is_some_and(|(&inner, outer)| inner == 1 && outer.iter().all(|&s| s % 4 == 0))
}

/// One past the greatest word read, without the base.
fn merged_extent(spec: &CopySpec, words: u64, src: &Source<'_>) -> Result<Taped, Refusal> {
    let mut low = spec.x_base;
    let mut high = low;
    for (&d, &s) in spec.shape.iter().zip(&spec.x_strides) {
        let far = s * d.saturating_sub(1);
        low = low + far.min(0);
        high = high + far.max(0);
    }
    if low < 0 {
        return Err(src.refuse(format!("reads begin {:?} elements before the operand", low.unsigned_abs())));
    }
    Ok((high - spec.x_base + 1) * words)
}

fn reach(extent: &Taped, base: Taped) -> Taped {
    extent.saturating_add(base)
}

/// One side of the movement in the text.
struct Side {
    /// Index of the first word (or of the `vec4`).
    base: String,
    /// Distance to the next word.
    step: String,
}

fn side(
    src: &mut Source<'_>,
    name: &str,
    steps: &[Taped],
    base: Taped,
    four: bool,
    wide: bool,
) -> Result<Side, Refusal> {
    let mut steps = steps.to_vec();
    let inner = steps.last().copied().unwrap_or(Taped::constant(1));
    let mut base = base;
    let step = src.fresh("s");
    let step = src.param(&step, inner);
    if wide {
        let rank = steps.len();
        for s in steps.iter_mut().take(rank - 1) {
            *s /= 4;
        }
        base /= 4;
    } else if four && let Some(last) = steps.last_mut() {
        *last = last.saturating_mul(4);
    }
    let base = src.size(&format!("{name}_base"), base)?;
    Ok(Side { base: format!("{base} + {}", strides::dot(src, "i", &steps)?), step })
}
