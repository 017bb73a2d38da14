//! Attention over keys and values in blocks of a pool.
//!
//! A workgroup makes the results of some neighbouring tokens and of the heads that share a head of keys, so that a key
//! is loaded once for all of them. It takes as many keys to a step as it has invocations: each computes the scores of a key of its
//! own, by all rows; then each has columns of the result of its own, and adds up the values of all keys, by their weights. What
//! it has is scaled whenever a greater score turns up (online softmax), so that nothing grows with the context.
//!
//! Tokens of a tile that belong to one sequence go through its keys together. Those of another are another run of the loop, with
//! sums of its own: what the keys of one sequence hold reaches no other. Each row adds in the order of its keys, whatever
//! rows are beside it.

mod group;
mod lanes;

use core::fmt::Write as _;

use bayplan_graph::DType;

use crate::chain::{Width, ops};
use crate::source::Source;
use crate::strides::elements;
use crate::tape::Taped;
use crate::tape::specs::{PagedAttentionSpec, Spec};
use crate::{Access, Refusal, Repr, Slot, Target};

pub(crate) use group::build as build_group;
pub(crate) use lanes::build as build_lanes;

/// The least finite number, from which maxima start.
const LEAST: &str = "bitcast<f32>(0xff7fffffu)";
/// The row of a key that is not there.
const NONE: &str = "0xffffffffu";

/// Whether the row for subgroups of CPU drivers serves the device.
pub(crate) fn lanes_fit(_: &Spec, target: &Target) -> bool {
    lanes::lanes(target).is_some()
}

/// Keys that a workgroup takes at once on a device.
pub(crate) fn keys_of_a_step(target: &Target) -> u32 {
    lanes::lanes(target).map_or_else(|| group::size(target), crate::lanes::Lanes::count)
}

/// What a workgroup makes.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Tokens.
    tile: u32,
    /// Heads of each, which have one head of keys.
    share: u32,
    /// `vec4`s of a head.
    quads: u32,
}

impl Plan {
    /// As many rows as go, by `fits`; tokens only where sequences have that many to a step on average.
    fn new(spec: &PagedAttentionSpec, fits: impl Fn(&Self) -> bool) -> Self {
        let (group, quads) = (spec.heads / spec.kv_heads, spec.head / 4);
        let one = Self { tile: 1, share: 1, quads };
        let shares = (1..=group).rev().filter(|share| group.is_multiple_of(*share));
        let one = shares.map(|share| Self { share, ..one }).find(&fits).unwrap_or(one);
        let enough = |plan: &Self| spec.tokens >= spec.tables * u64::from(plan.tile);
        let tiles = [8, 4, 2].into_iter().map(|tile| Self { tile, ..one });
        tiles.into_iter().find(|plan| fits(plan) && enough(plan)).unwrap_or(one)
    }

    /// Rows of the result.
    fn rows(&self) -> u32 {
        self.tile * self.share
    }

    /// The token within the tile and the head within those shared of a row.
    fn of(&self, row: u32) -> (u32, u32) {
        (row / self.share, row % self.share)
    }
}

/// A kernel being written: names of its bindings.
struct Problem {
    plan: Plan,
    q: String,
    k: String,
    v: String,
    out: String,
    dtype: DType,
    groups: Taped,
    flops: Taped,
}

/// A kernel to be written, of sizes that go together.
fn source<'a>(spec: &PagedAttentionSpec, target: &'a Target) -> Result<Source<'a>, Refusal> {
    let src = Source::new("paged_attention", target);
    let PagedAttentionSpec { heads, kv_heads, head, block, .. } = *spec;
    let shared = kv_heads > 0 && heads > 0 && heads.is_multiple_of(kv_heads);
    if !shared || head == 0 || !head.is_multiple_of(4) || block == 0 {
        return Err(src.refuse(format!(
            "{heads} heads of {head} elements over {kv_heads} of keys, in blocks of {block} tokens"
        )));
    }
    Ok(src)
}

/// Binds everything.
fn begin(spec: &PagedAttentionSpec, src: &mut Source<'_>, plan: Plan) -> Result<Problem, Refusal> {
    if src.repr(spec.dtype)? != Repr::F32 {
        return Err(src.refuse(format!("attention of {}", spec.dtype)));
    }
    let [row, pool] = [spec.heads, spec.kv_heads].map(|heads| u64::from(heads) * u64::from(spec.head));
    let four = "vec4<f32>";
    let q = src.bind(Slot::Operand(0), Access::Read, four, spec.tokens * row)?;
    let k = src.bind(Slot::Operand(1), Access::Read, four, spec.rows * pool)?;
    let v = src.bind(Slot::Operand(2), Access::Read, four, spec.rows * pool)?;
    let entries = elements(&[spec.tables, spec.entries]);
    let counts = [spec.tokens, spec.tokens, entries];
    for (number, name) in ["position_at", "sequence_at", "entry_at"].into_iter().enumerate() {
        reader(src, name, number as u32 + 3, spec.index[number], counts[number])?;
    }
    let out = src.bind(Slot::Output, Access::Write, four, spec.tokens * row)?;
    let held = spec.entries.saturating_mul(u64::from(spec.block));
    if held > i32::MAX {
        return Err(src.refuse(format!("tables of {held:?} tokens; positions reach {}", i32::MAX)));
    }
    src.size("tokens", spec.tokens)?;
    src.size("rows", spec.rows)?;
    src.size("blocks", spec.rows.div_ceil(u64::from(spec.block)))?;
    src.size("tables", spec.tables)?;
    src.size("entries", spec.entries)?;
    src.size("held", held)?;
    let group = spec.heads / spec.kv_heads;
    let parts = spec.heads / plan.share;
    let numbers = [("block", spec.block), ("heads", spec.heads), ("kv_heads", spec.kv_heads)];
    for (name, value) in numbers.into_iter().chain([("sharing", group), ("parts", parts)]) {
        src.param(name, u64::from(value));
    }
    src.param("scale", u64::from(spec.scale.to_bits()));
    src.function(
        "place",
        format!(
            "fn place(key: u32, table: u32) -> u32 {{\n\
             let entry = entry_at(table * p.entries + key / p.block);\n\
             let row = u32(entry) * p.block + key % p.block;\n\
             return select({NONE}, row, entry >= 0 && u32(entry) < p.blocks && row < p.rows);\n}}"
        ),
    );
    let groups = spec.tokens.div_ceil(u64::from(plan.tile)) * u64::from(parts);
    let flops = elements(&[spec.tokens, held]) * 4 * row;
    Ok(Problem { plan, q, k, v, out, dtype: spec.dtype, groups, flops })
}

/// Adds `NAME(j)`: index `j` of an operand as `i32`; 64-bit ones beyond that are the furthest one, or -1.
fn reader(src: &mut Source<'_>, name: &str, slot: u32, dtype: DType, count: Taped) -> Result<(), Refusal> {
    let repr = src.repr(dtype)?;
    let b = src.bind(Slot::Operand(slot), Access::Read, "u32", count * repr.words())?;
    let body = match repr {
        Repr::I32 => format!("return bitcast<i32>({b}.d[j]);"),
        Repr::I64 => format!(
            "let w = {b}.d[2u * j];\nlet h = bitcast<i32>({b}.d[2u * j + 1u]);\n\
             let far = h != (bitcast<i32>(w) >> 31u);\n\
             return select(bitcast<i32>(w), select(0x7fffffff, -1, h < 0), far);"
        ),
        _ => return Err(src.refuse(format!("indices of type {dtype}"))),
    };
    src.function(name, format!("fn {name}(j: u32) -> i32 {{\n{body}\n}}"));
    Ok(())
}

impl Problem {
    /// The workgroup's tile: `first`, the first of its tokens, `head`, the first of its heads, `column`, where their head
    /// of keys begins in a row; for each token its position and sequence.
    fn tile(&self) -> String {
        let Plan { tile, share, quads } = self.plan;
        let mut text = format!(
            "let first = (group / p.parts) * {tile}u;\nif (first >= p.tokens) {{ return; }}\n\
             let head = (group % p.parts) * {share}u;\n\
             let column = head / p.sharing * {quads}u;\nlet stride = p.kv_heads * {quads}u;\n\
             let scale = bitcast<f32>(p.scale);\n"
        );
        for i in 0..tile {
            let _ = writeln!(
                text,
                "let token{i} = min(first + {i}u, p.tokens - 1u);\n\
                 let position{i} = select(-1, max(position_at(token{i}), -1), first + {i}u < p.tokens);\n\
                 let sequence{i} = sequence_at(token{i});"
            );
        }
        text
    }

    /// `inside` once for each run of tokens of one sequence, with its `sequence` and its number of `keys`; of each token,
    /// whether it is one of them (`in`) and how many keys it sees (`seen`).
    fn runs(&self, inside: &str) -> String {
        let tile = self.plan.tile;
        let mut text = String::new();
        if tile == 1 {
            text.push_str("{\nlet sequence = sequence0;\nlet in0 = true;\n");
        } else {
            let _ = write!(
                text,
                "for (var start = 0u; start < {tile}u;) {{\n\
                 let sequence = sequence_at(min(first + start, p.tokens - 1u));\nlet in0 = start == 0u;\n"
            );
            for i in 1..tile {
                let before = i - 1;
                let _ =
                    writeln!(text, "let in{i} = start == {i}u || (in{before} && sequence{i} == sequence);");
            }
        }
        text.push_str("var keys = 0u;\n");
        for i in 0..tile {
            // One more than -1 is 0.
            let _ = writeln!(
                text,
                "let seen{i} = select(0u, bitcast<u32>(position{i}) + 1u, in{i});\nkeys = max(keys, seen{i});"
            );
        }
        text.push_str("keys = select(0u, min(keys, p.held), sequence >= 0 && u32(sequence) < p.tables);\n");
        text.push_str(inside);
        if tile > 1 {
            let each: Vec<String> = (0..tile).map(|i| format!("u32(in{i})")).collect();
            let _ = writeln!(text, "start += {};", each.join(" + "));
        }
        text.push_str("}\n");
        text
    }

    /// Statements that put `value` (a `vec4` whose weights' sum is `sum`) where a row of this run has `quad`.
    fn put(&self, src: &mut Source<'_>, row: u32, [value, sum, quad]: [&str; 3]) -> String {
        let (token, head) = self.plan.of(row);
        let quads = self.plan.quads;
        let mean = format!("select({value} * (1.0 / {sum}), vec4<f32>(), {sum} == 0.0)");
        let mean = ops::narrow(src, Width::Four, self.dtype, mean);
        format!(
            "if (in{token} && first + {token}u < p.tokens) {{\n\
             {}.d[((first + {token}u) * p.heads + head + {head}u) * {quads}u + {quad}] = {mean};\n}}\n",
            self.out
        )
    }

    /// The end of the kernel's name.
    fn name(&self) -> String {
        let Plan { tile, share, quads } = self.plan;
        format!("{tile}x{share}x{}", 4 * quads)
    }
}

/// The score of a row with a key, whose product is `s`: the least number where the row does not see it.
fn score(plan: &Plan, row: u32) -> String {
    let (token, _) = plan.of(row);
    format!(
        "let see{row} = row != {NONE} && key < seen{token};\n\
         let x{row} = select({LEAST}, s{row} * scale, see{row});\n"
    )
}

/// The weight of a key in a row once the greatest score so far, `top`, is known, and the factor for what was summed before.
fn weight(row: u32) -> String {
    format!(
        "let f{row} = exp(m{row} - top{row});\nm{row} = top{row};\n\
         let w{row} = select(0.0, op_exp(x{row} - top{row}), see{row});\n"
    )
}

/// Attention that every device can do.
#[cfg(test)]
pub(crate) fn spec() -> crate::Spec {
    crate::Spec::PagedAttention(crate::PagedAttentionSpec {
        dtype: DType::F32,
        index: [DType::I64, DType::I32, DType::I64],
        tokens: 9,
        heads: 4,
        kv_heads: 2,
        head: 16,
        block: 8,
        scale: 0.25,
        rows: 64,
        tables: 2,
        entries: 5,
    })
}
