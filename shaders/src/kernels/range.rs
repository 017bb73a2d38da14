//! Arithmetic progressions.

use core::fmt::Write as _;

use crate::source::{Source, Workgroup, element};
use crate::{Access, Launch, RangeSpec, Refusal, Slot, Target};

/// `out[i] = start + i * delta`.
pub(crate) fn build(spec: &RangeSpec, target: &Target) -> Result<Launch, Refusal> {
    let mut src = Source::new("range", target);
    let repr = src.arithmetic(spec.dtype)?;
    let kind = element(repr);
    let words = spec.count.saturating_mul(repr.words());
    let start = src.bind(Slot::Operand(0), Access::Read, kind, repr.words())?;
    let delta = src.bind(Slot::Operand(1), Access::Read, kind, repr.words())?;
    let out = src.bind(Slot::Output, Access::Write, kind, words)?;
    let n = src.size("n", spec.count)?;
    let shape = Workgroup::flat(target, 256);
    let mut body = String::new();
    let _ = write!(
        body,
        "let i = group * {}u + lane;\nif (i >= {n}) {{ return; }}\n\
         {out}.d[i] = {start}.d[0] + {kind}(i) * {delta}.d[0];\n",
        shape.invocations
    );
    let groups = spec.count.div_ceil(u64::from(shape.invocations));
    src.finish(format!("range.{kind}"), &body, shape, groups, spec.count.saturating_mul(2))
}
