//! Running sums and products: an invocation per line.

use bayplan_graph::op::BinaryOp;

use crate::chain::{Value, Width, ops, wide};
use crate::loops;
use crate::source::Written;
use crate::source::{Source, Workgroup};
use crate::strides::elements;
use crate::tape::Taped;
use crate::tape::specs::CumulateSpec;
use crate::{Access, Refusal, Repr, Slot, StepOp, Target};

/// Writes the kernel. Its text is the same in either direction, with and without the element itself.
pub(crate) fn build(spec: &CumulateSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("cumulate", target);
    let repr = src.repr(spec.dtype)?;
    let kind = src.element(repr);
    let lines = elements(&[spec.outer, spec.inner]);
    let count = elements(&[lines, spec.len]);
    let x = src.bind(Slot::Operand(0), Access::Read, kind, count * repr.words())?;
    let out = src.bind(Slot::Output, Access::Write, kind, count * repr.words())?;
    let n = src.size("n", lines)?;
    let (len, inner) = (src.size("len", spec.len)?, src.size("inner", spec.inner)?);
    let last = (spec.len - 1) * spec.inner;
    let zero = Taped::constant(0);
    let first = src.param("first", if spec.reverse { last } else { zero });
    // A step back is taken modulo 2^32.
    let step = src.param("step", if spec.reverse { zero - spec.inner } else { spec.inner });
    let exclusive = src.param("exclusive", u64::from(spec.exclusive));
    let per = loops::steps_per_pass(&src, loops::MOST_STEPS, [1.into(), spec.len, 0.into()])?;
    let initial = match spec.op {
        BinaryOp::Mul if wide::emulated(target, repr) => wide::literal(1),
        BinaryOp::Mul if repr == Repr::F64 => "1.0lf".into(),
        BinaryOp::Mul => format!("{kind}(1)"),
        _ => format!("{kind}()"),
    };
    let shape = Workgroup::flat(target, 64);
    let mut body = format!(
        "let line = group * {}u + lane;\nif (line >= {n}) {{ return; }}\n\
         let base = (line / {inner}) * {len} * {inner} + line % {inner} + {first};\nvar all = {initial};\n",
        shape.invocations
    );
    // Narrow floats are joined as wider ones and rounded where they are stored.
    let dtype = spec.dtype.accumulator();
    let value = |text: &str| Value { text: text.to_owned(), dtype };
    let both = [value("all"), value("v")];
    let next = ops::step(&mut src, Width::One, StepOp::Binary(spec.op), &both, dtype)?;
    let made = ops::narrow(&mut src, Width::One, spec.dtype, format!("select(next, all, {exclusive} != 0u)"));
    let inside = format!(
        "let i = base + j * {step};\nlet v = {x}.d[i];\nlet next = {next};\n\
         {out}.d[i] = {made};\nall = next;\n"
    );
    loops::write(&mut body, per, ["j", "0u", &len, "1u"], &inside);
    let op = format!("{:?}", spec.op).to_lowercase();
    let name = format!("cumulate.{op}.{}{}", wide::named(&src, repr), loops::label(per));
    src.finish(name, &body, shape, lines.div_ceil(Taped::from(shape.invocations)), count)
}
