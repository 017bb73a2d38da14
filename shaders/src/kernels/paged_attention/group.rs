//! The kernel of all other devices: a workgroup meets in shared memory, and nothing depends on its subgroups.
//!
//! Queries lie in shared memory, and so do the weights of a step's keys. Over values neighbouring invocations have neighbouring
//! columns; where a head has fewer columns than there are invocations, they share the keys of a step, and their sums meet
//! at the end.

use core::fmt::Write as _;

use super::{LEAST, NONE, Plan, Problem, begin, score, source, weight};
use crate::chain::{Width, ops};
use crate::source::{Source, Workgroup, Written};
use crate::tape::Taped;
use crate::tape::specs::PagedAttentionSpec;
use crate::{Refusal, Target};

/// Most rows: their sums are in registers.
const MOST_ROWS: u32 = 8;

/// Invocations of a workgroup.
pub(super) fn size(target: &Target) -> u32 {
    Workgroup::flat(target, 128).invocations
}

/// Bytes of shared memory.
fn shared(plan: &Plan, size: u32) -> u32 {
    let floats = 4 * plan.rows() * plan.quads + plan.rows() * size + size + 4 * size;
    4 * floats
}

/// Writes the kernel.
pub(crate) fn build(spec: &PagedAttentionSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = source(spec, target)?;
    let size = size(target);
    let held = spec.entries.saturating_mul(u64::from(spec.block));
    let fits = |plan: &Plan| plan.rows() <= MOST_ROWS && shared(plan, size) <= target.max_shared_memory;
    let ends = |plan: &Plan| target.max_loop_passes.is_none_or(|most| passes(plan, held, size) <= most);
    let plan = Plan::new(spec, |plan| fits(plan) && ends(plan));
    if plan.quads > size || !fits(&plan) {
        return Err(src.refuse(format!(
            "heads of {} elements, for workgroups of {size} with {} bytes of shared memory",
            spec.head, target.max_shared_memory
        )));
    }
    if !ends(&plan) {
        return Err(src.refuse(format!(
            "tables of {held:?} tokens take more passes of a loop than this driver makes; use a GPU, or the host"
        )));
    }
    let problem = begin(spec, &mut src, plan)?;
    ops::require(&mut src, Width::One, "op_exp");
    let rows = plan.rows();
    for (name, kind, count) in [
        ("queries", "vec4<f32>", rows * plan.quads),
        ("shares", "f32", rows * size),
        ("places", "u32", size),
        ("sums", "vec4<f32>", size),
    ] {
        src.function(name, format!("var<workgroup> {name}: array<{kind}, {count}>;"));
    }
    let kernel = Kernel { problem, size };
    let mut body = kernel.problem.tile();
    kernel.queries(&mut body);
    let run = kernel.run(&mut src);
    body.push_str(&kernel.problem.runs(&run));
    let Problem { groups, flops, .. } = kernel.problem;
    let name = format!("paged_attention.gpu.{size}x{}", kernel.problem.name());
    src.finish(name, &body, Workgroup::of(size), groups, flops)
}

/// Passes through all loops of an invocation, at most.
fn passes(plan: &Plan, held: Taped, size: u32) -> Taped {
    let (quads, teams) = (plan.quads, (size / plan.quads).max(1));
    let tree = size.ilog2() + 1;
    let step = quads + 1 + tree + size.div_ceil(teams) + 1 + 1;
    let run =
        held.div_ceil(u64::from(size)) * u64::from(step) + u64::from(tree + plan.rows() * (teams + 1) + 2);
    run * u64::from(plan.tile) + u64::from((plan.rows() * quads).div_ceil(size) + 2)
}

struct Kernel {
    problem: Problem,
    size: u32,
}

impl Kernel {
    /// Invocations that have one column.
    fn teams(&self) -> u32 {
        self.size / self.problem.plan.quads
    }

    fn queries(&self, body: &mut String) {
        let Plan { share, quads, .. } = self.problem.plan;
        let _ = writeln!(
            body,
            "for (var i = lane; i < {}u; i += {}u) {{\nlet r = i / {quads}u;\n\
             queries[i] = {}.d[(min(first + r / {share}u, p.tokens - 1u) * p.heads + head + r % {share}u) \
             * {quads}u + i % {quads}u];\n}}\nworkgroupBarrier();\n\
             let team = lane / {quads}u;\nlet quad = lane % {quads}u;",
            self.problem.plan.rows() * quads,
            self.size,
            self.problem.q
        );
    }

    /// All invocations' values of each row (in `shares`) as one, by a text over `x` and `y`; in the row's first place.
    fn join(&self, text: &mut String, combine: &str) {
        let _ = writeln!(
            text,
            "workgroupBarrier();\nfor (var half = {}u; half > 0u; half = half / 2u) {{\nif (lane < half) {{",
            self.size / 2
        );
        for r in 0..self.problem.plan.rows() {
            let at = r * self.size;
            let _ = writeln!(
                text,
                "{{ let x = shares[{at}u + lane]; let y = shares[{at}u + lane + half]; \
                 shares[{at}u + lane] = {combine}; }}"
            );
        }
        text.push_str("}\nworkgroupBarrier();\n}\n");
    }

    fn run(&self, src: &mut Source<'_>) -> String {
        let rows = self.problem.plan.rows();
        let mut text = String::new();
        for r in 0..rows {
            let _ = writeln!(text, "var m{r} = {LEAST};\nvar l{r} = 0.0;\nvar a{r} = vec4<f32>();");
        }
        let _ = writeln!(text, "for (var base = 0u; base < keys; base += {}u) {{", self.size);
        self.scores(&mut text);
        self.weights(&mut text);
        self.values(&mut text);
        text.push_str("}\n");
        (0..rows).for_each(|r| {
            let _ = writeln!(text, "shares[{}u + lane] = l{r};", r * self.size);
        });
        self.join(&mut text, "x + y");
        for r in 0..rows {
            self.result(src, r, &mut text);
        }
        text
    }

    fn scores(&self, text: &mut String) {
        let quads = self.problem.plan.quads;
        let rows = self.problem.plan.rows();
        let _ = writeln!(
            text,
            "let key = base + lane;\nvar row = {NONE};\n\
             if (key < keys) {{ row = place(key, u32(sequence)); }}\nplaces[lane] = row;"
        );
        (0..rows).for_each(|r| {
            let _ = writeln!(text, "var s{r} = 0.0;");
        });
        let _ = writeln!(
            text,
            "if (row != {NONE}) {{\nlet at = row * stride + column;\n\
             for (var j = 0u; j < {quads}u; j++) {{\nlet k = {}.d[at + j];",
            self.problem.k
        );
        (0..rows).for_each(|r| {
            let _ = writeln!(text, "s{r} += dot(queries[{}u + j], k);", r * quads);
        });
        text.push_str("}\n}\n");
        for r in 0..rows {
            text.push_str(&score(&self.problem.plan, r));
            let _ = writeln!(text, "shares[{}u + lane] = x{r};", r * self.size);
        }
    }

    fn weights(&self, text: &mut String) {
        let rows = self.problem.plan.rows();
        self.join(text, "max(x, y)");
        (0..rows).for_each(|r| {
            let _ = writeln!(text, "let top{r} = max(m{r}, shares[{}u]);", r * self.size);
        });
        text.push_str("workgroupBarrier();\n");
        for r in 0..rows {
            text.push_str(&weight(r));
            let at = r * self.size;
            let _ = writeln!(text, "shares[{at}u + lane] = w{r};\nl{r} = l{r} * f{r} + w{r};\na{r} *= f{r};");
        }
        text.push_str("workgroupBarrier();\n");
    }

    fn values(&self, text: &mut String) {
        let teams = self.teams();
        let _ = writeln!(
            text,
            "if (team < {teams}u) {{\nlet end = min({}u, keys - base);\n\
             for (var i = team; i < end; i += {teams}u) {{\nlet at = places[i];\n\
             if (at != {NONE}) {{\nlet v = {}.d[at * stride + column + quad];",
            self.size, self.problem.v
        );
        for r in 0..self.problem.plan.rows() {
            let _ = writeln!(text, "a{r} += shares[{}u + i] * v;", r * self.size);
        }
        text.push_str("}\n}\n}\nworkgroupBarrier();\n");
    }

    /// A row's sums, joined and put.
    fn result(&self, src: &mut Source<'_>, row: u32, text: &mut String) {
        let (quads, teams) = (self.problem.plan.quads, self.teams());
        let _ = writeln!(
            text,
            "let total{row} = shares[{}u];\nsums[lane] = a{row};\nworkgroupBarrier();\n\
             if (lane < {quads}u) {{\nvar sum = sums[lane];\n\
             for (var i = 1u; i < {teams}u; i++) {{ sum += sums[i * {quads}u + lane]; }}",
            row * self.size
        );
        text.push_str(&self.problem.put(src, row, ["sum", &format!("total{row}"), "lane"]));
        text.push_str("}\nworkgroupBarrier();\n");
    }
}
