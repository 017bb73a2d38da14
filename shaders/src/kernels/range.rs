//! Arithmetic progressions.

use core::fmt::Write as _;

use bayplan_graph::op::BinaryOp;

use crate::chain::{Width, double, ops, wide};
use crate::source::Written;
use crate::source::{Source, Workgroup};
use crate::tape::Taped;
use crate::tape::specs::RangeSpec;
use crate::{Access, Refusal, Slot, Target};

/// `out[i] = start + i * delta`.
pub(crate) fn build(spec: &RangeSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("range", target);
    let repr = src.repr(spec.dtype)?;
    double::check(&src, repr)?;
    let kind = src.element(repr);
    let words = spec.count.saturating_mul(repr.words());
    let start = src.bind(Slot::Operand(0), Access::Read, kind, repr.words())?;
    let delta = src.bind(Slot::Operand(1), Access::Read, kind, repr.words())?;
    let out = src.bind(Slot::Output, Access::Write, kind, words)?;
    let n = src.size("n", spec.count)?;
    let shape = Workgroup::flat(target, 256);
    let (start, delta) = (format!("{start}.d[0]"), format!("{delta}.d[0]"));
    let value = if wide::emulated(target, repr) {
        // Both operations are the same for either sign.
        let step = format!("{}(i, 0u)", wide::KIND);
        let (add, mul) =
            (wide::function(&mut src, BinaryOp::Add, true)?, wide::function(&mut src, BinaryOp::Mul, true)?);
        format!("{add}({start}, {mul}({step}, {delta}))")
    } else {
        let value = format!("{start} + {kind}(i) * {delta}");
        ops::narrow(&mut src, Width::One, spec.dtype, value)
    };
    let mut body = String::new();
    let _ = write!(
        body,
        "let i = group * {}u + lane;\nif (i >= {n}) {{ return; }}\n\
         {out}.d[i] = {value};\n",
        shape.invocations
    );
    let groups = spec.count.div_ceil(Taped::from(shape.invocations));
    let named = wide::named(&src, repr);
    src.finish(format!("range.{named}"), &body, shape, groups, spec.count.saturating_mul(2))
}
