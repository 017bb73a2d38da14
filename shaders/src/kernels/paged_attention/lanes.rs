//! The kernel of CPU drivers: a workgroup is one subgroup, and lanes give each other what they have by shuffles from constant lanes.
//!
//! Such drivers load for a lane at a time, so that loads cost most: each element of keys and values is loaded once for all
//! rows, as `vec4`s, and queries stay in registers.

use core::fmt::Write as _;

use super::{LEAST, NONE, Plan, Problem, begin, score, source, weight};
use crate::chain::{Width, ops};
use crate::kernels::matmul;
use crate::lanes::{Ability, LANE, Lanes};
use crate::loops;
use crate::source::{Source, Written};
use crate::tape::specs::PagedAttentionSpec;
use crate::{Class, Refusal, Target};

/// Most `vec4`s of sums that a lane keeps in registers; of queries, which all lanes have, that times as many as there are lanes.
const MOST_SUMS: u32 = 16;

/// The lanes, where this kernel serves the device.
pub(super) fn lanes(target: &Target) -> Option<Lanes> {
    let lanes = Lanes::of(target, Ability::Shuffle).filter(|lanes| matmul::usable(lanes.count()));
    lanes.filter(|_| target.class == Class::Cpu)
}

/// Writes the kernel.
pub(crate) fn build(spec: &PagedAttentionSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = source(spec, target)?;
    let Some(lanes) = lanes(target) else {
        return Err(src.refuse("the device's subgroups are of no use"));
    };
    let held = spec.entries.saturating_mul(u64::from(spec.block));
    let steps = held.div_ceil(u64::from(lanes.count()));
    let ends = |plan: &Plan| loops::nest_ends(target, &[u64::from(plan.tile).into(), steps], 0);
    let plan = Plan::new(spec, |plan| plan.rows() * plan.quads <= MOST_SUMS * lanes.count() && ends(plan));
    if !ends(&plan) {
        return Err(src.refuse(format!(
            "tables of {held:?} tokens take more passes of a loop than this driver makes; use a GPU, or the host"
        )));
    }
    let problem = begin(spec, &mut src, plan)?;
    ops::require(&mut src, Width::One, "op_exp");
    let kernel = Kernel { problem, lanes };
    let mut body = kernel.problem.tile();
    kernel.queries(&mut body);
    let run = kernel.run(&mut src);
    body.push_str(&kernel.problem.runs(&run));
    let Problem { groups, flops, .. } = kernel.problem;
    let name = format!("paged_attention.cpu.{}x{}", lanes.count(), kernel.problem.name());
    src.finish(name, &body, lanes.workgroup(), groups, flops)
}

struct Kernel {
    problem: Problem,
    lanes: Lanes,
}

impl Kernel {
    /// Columns of a lane.
    fn columns(&self) -> u32 {
        self.problem.plan.quads.div_ceil(self.lanes.count())
    }

    /// All queries in registers of every lane: each loads some.
    fn queries(&self, body: &mut String) {
        let Plan { share, quads, tile } = self.problem.plan;
        let (count, lanes) = (tile * share * quads, self.lanes.count());
        for load in 0..count.div_ceil(lanes) {
            let _ = writeln!(
                body,
                "let at{load} = min({}u + {LANE}, {}u);\nlet row{load} = at{load} / {quads}u;\n\
                 let own{load} = {}.d[(min(first + row{load} / {share}u, p.tokens - 1u) * p.heads + head \
                 + row{load} % {share}u) * {quads}u + at{load} % {quads}u];",
                load * lanes,
                count - 1,
                self.problem.q
            );
        }
        for at in 0..count {
            let value = self.lanes.shuffle(&format!("own{}", at / lanes), at % lanes);
            let _ = writeln!(body, "let q{}_{} = {value};", at / quads, at % quads);
        }
    }

    /// A run: sums, the loop over keys, results.
    fn run(&self, src: &mut Source<'_>) -> String {
        let (rows, columns, lanes) = (self.problem.plan.rows(), self.columns(), self.lanes.count());
        let quads = self.problem.plan.quads;
        let mut text = String::new();
        for r in 0..rows {
            let _ = writeln!(text, "var m{r} = {LEAST};\nvar l{r} = 0.0;");
            (0..columns).for_each(|c| {
                let _ = writeln!(text, "var a{r}_{c} = vec4<f32>();");
            });
        }
        for c in 0..columns {
            let _ = writeln!(text, "let quad{c} = {}u + {LANE};", c * lanes);
            // Columns that are not there compute what the last one does, and put nothing.
            let _ = writeln!(text, "let mine{c} = column + min(quad{c}, {}u);", quads - 1);
        }
        let _ = writeln!(text, "for (var base = 0u; base < keys; base += {lanes}u) {{");
        self.scores(&mut text);
        self.weights(&mut text);
        self.values(&mut text);
        text.push_str("}\n");
        for c in 0..columns {
            let _ = writeln!(text, "if (quad{c} < {quads}u) {{");
            for r in 0..rows {
                let names = [format!("a{r}_{c}"), format!("l{r}"), format!("quad{c}")];
                text.push_str(&self.problem.put(src, r, names.each_ref().map(String::as_str)));
            }
            text.push_str("}\n");
        }
        text
    }

    /// The products of this lane's key and all queries.
    fn scores(&self, text: &mut String) {
        let Plan { quads, .. } = self.problem.plan;
        let rows = self.problem.plan.rows();
        let _ = writeln!(
            text,
            "let key = base + {LANE};\nvar row = {NONE};\n\
             if (key < keys) {{ row = place(key, u32(sequence)); }}"
        );
        (0..rows).for_each(|r| {
            let _ = writeln!(text, "var s{r} = 0.0;");
        });
        let _ = writeln!(text, "if (row != {NONE}) {{\nlet at = row * stride + column;");
        for j in 0..quads {
            let _ = writeln!(text, "let k{j} = {}.d[at + {j}u];", self.problem.k);
            (0..rows).for_each(|r| {
                let _ = writeln!(text, "s{r} += dot(q{r}_{j}, k{j});");
            });
        }
        text.push_str("}\n");
    }

    /// The weights of this lane's key, and what was summed before, scaled.
    fn weights(&self, text: &mut String) {
        for r in 0..self.problem.plan.rows() {
            text.push_str(&score(&self.problem.plan, r));
            let top = (0..self.lanes.count()).fold(format!("m{r}"), |top, lane| {
                format!("max({top}, {})", self.lanes.shuffle(&format!("x{r}"), lane))
            });
            let _ = writeln!(text, "let top{r} = {top};");
            text.push_str(&weight(r));
            let _ = writeln!(text, "l{r} *= f{r};");
            (0..self.columns()).for_each(|c| {
                let _ = writeln!(text, "a{r}_{c} *= f{r};");
            });
        }
    }

    /// The values of all lanes' keys, this lane's columns.
    fn values(&self, text: &mut String) {
        for key in 0..self.lanes.count() {
            let _ = writeln!(text, "let from{key} = {};", self.lanes.shuffle("row", key));
            for c in 0..self.columns() {
                let _ = writeln!(text, "var v{key}_{c} = vec4<f32>();");
            }
            let _ = writeln!(text, "if (from{key} != {NONE}) {{");
            for c in 0..self.columns() {
                let _ = writeln!(text, "v{key}_{c} = {}.d[from{key} * stride + mine{c}];", self.problem.v);
            }
            text.push_str("}\n");
            for r in 0..self.problem.plan.rows() {
                let share = self.lanes.shuffle(&format!("w{r}"), key);
                let _ = writeln!(text, "let w{key}_{r} = {share};\nl{r} += w{key}_{r};");
                for c in 0..self.columns() {
                    let _ = writeln!(text, "a{r}_{c} += w{key}_{r} * v{key}_{c};");
                }
            }
        }
    }
}
