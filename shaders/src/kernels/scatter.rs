//! Updates put where indices say, or joined to what is there.
//!
//! Without a joining every word of an update goes its way, on top of what the result holds. With one, every element of the
//! result looks for its updates, in their order: sums are then the same in every run, and no device needs atomics of floats. That
//! takes as many steps as there are tuples.

use core::fmt::Write as _;

use bayplan_graph::op::BinaryOp;

use super::gather::{Row, Tuples, begin, rows_of, tuple_of, tuples};
use crate::chain::{Value, Width, ops, wide};
use crate::loops;
use crate::source::Written;
use crate::source::{Source, Workgroup};
use crate::strides::elements;
use crate::tape::Taped;
use crate::tape::specs::ScatterSpec;
use crate::{Access, Refusal, Slot, StepOp, Target};

/// Writes the kernel.
pub(crate) fn build(spec: &ScatterSpec, target: &Target) -> Result<Written, Refusal> {
    match spec.join {
        None => put(spec, target),
        Some(join) => joined(spec, join, target),
    }
}

fn put(spec: &ScatterSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("scatter", target);
    let words = src.repr(spec.dtype)?.words();
    let rows = elements(&[spec.batch, spec.count]);
    let Row { per, row, kind } = rows_of(spec.inner.saturating_mul(words), spec.each);
    let block = elements(&spec.dims);
    let updates = src.bind(Slot::Operand(0), Access::Read, kind, elements(&[rows, spec.inner]) * words)?;
    let tuples = Tuples { dims: &spec.dims, index: spec.index, count: tuples(rows, spec.inner, spec.each) };
    let read = tuples.bind(&mut src)?;
    let all = elements(&[spec.batch, block, spec.inner]) * words;
    let out = src.bind(Slot::Output, Access::ReadWrite, kind, all)?;
    let (count, block) = (src.size("count", spec.count)?, src.size("block", block)?);
    let shape = Workgroup::flat(target, 256);
    let total = rows.saturating_mul(row);
    let mut body = begin(&mut src, shape, total, row)?;
    body.push_str(&tuples.find(&mut src, &tuple_of(spec.each, words))?);
    let _ = writeln!(
        body,
        "if (inside) {{ {out}.d[((line / {count}) * {block} + at) * p.row + c] = {updates}.d[i]; }}"
    );
    let each = if spec.each { ".each" } else { "" };
    let name = format!("scatter.{}.x{per}.{read}{each}", spec.dims.len());
    src.finish(name, &body, shape, total.div_ceil(Taped::from(shape.invocations)), 0)
}

fn joined(spec: &ScatterSpec, join: BinaryOp, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("scatter", target);
    let repr = src.repr(spec.dtype)?;
    let (kind, words) = (src.element(repr), repr.words());
    let rows = elements(&[spec.batch, spec.count]);
    let block = elements(&spec.dims);
    let total = elements(&[spec.batch, block, spec.inner]);
    let updates = src.bind(Slot::Operand(0), Access::Read, kind, elements(&[rows, spec.inner]) * words)?;
    let tuples = Tuples { dims: &spec.dims, index: spec.index, count: tuples(rows, spec.inner, spec.each) };
    let read = tuples.bind(&mut src)?;
    let x = src.bind(Slot::Operand(2), Access::Read, kind, total * words)?;
    let out = src.bind(Slot::Output, Access::Write, kind, total * words)?;
    let n = src.size("n", total)?;
    let (count, block) = (src.size("count", spec.count)?, src.size("block", block)?);
    let inner = src.size("inner", spec.inner)?;
    let per = loops::steps_per_pass(&src, loops::MOST_STEPS, [1.into(), spec.count, 0.into()])?;
    let shape = Workgroup::flat(target, 64);
    let mut body = format!(
        "let i = group * {}u + lane;\nif (i >= {n}) {{ return; }}\n\
         let row = i / {inner};\nlet c = i - row * {inner};\nlet own = row % {block};\n\
         let first = row / {block} * {count};\nvar v = {x}.d[i];\n",
        shape.invocations
    );
    let from = if spec.each { format!("(line * {inner} + c)") } else { "line".into() };
    // Narrow floats are joined as wider ones and rounded where they are stored.
    let dtype = spec.dtype.accumulator();
    let value = |text: &str| Value { text: text.to_owned(), dtype };
    let both = [value("v"), value("u")];
    let next = ops::step(&mut src, Width::One, StepOp::Binary(join), &both, dtype)?;
    let inside = format!(
        "let line = first + j;\n{}if (inside && at == own) {{\nlet u = {updates}.d[line * {inner} + c];\nv = {next};\n}}\n",
        tuples.find(&mut src, &from)?
    );
    loops::write(&mut body, per, ["j", "0u", &count, "1u"], &inside);
    let made = ops::narrow(&mut src, Width::One, spec.dtype, "v".into());
    let _ = writeln!(body, "{out}.d[i] = {made};");
    let name = format!(
        "scatter.{}.{}.{}{}.{read}{}",
        format!("{join:?}").to_lowercase(),
        wide::named(&src, repr),
        spec.dims.len(),
        if spec.each { ".each" } else { "" },
        loops::label(per),
    );
    let flops = elements(&[rows, spec.inner]);
    src.finish(name, &body, shape, total.div_ceil(Taped::from(shape.invocations)), flops)
}
