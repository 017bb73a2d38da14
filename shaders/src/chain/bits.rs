//! Operators on the bits of numbers: shifts, and bits read as another type.

use bayplan_graph::DType;
use bayplan_graph::op::BinaryOp;

use super::ops::zero;
use super::{Value, Width, double, round, wide};
use crate::source::Source;
use crate::{Refusal, Repr};

/// The text of a shift. Negative numbers of bits are large unsigned ones; a narrow type lies in a word with its sign, so that
/// the word's own limit is right for it.
pub(super) fn shift(
    src: &Source<'_>,
    width: Width,
    op: BinaryOp,
    dtype: DType,
    [x, y]: [&str; 2],
) -> Result<String, Refusal> {
    let repr = src.repr(dtype)?;
    let (word, last) = if repr.words() == 2 { ("u64", "63lu") } else { ("u32", "31u") };
    let (kind, signed) = (width.of(word), matches!(repr, Repr::I32 | Repr::I64));
    let bits = if signed { format!("bitcast<{kind}>({y})") } else { y.to_owned() };
    let most = format!("{}(min({bits}, {kind}({last})))", width.of("u32"));
    if op == BinaryOp::Shr && signed {
        return Ok(format!("({x} >> {most})"));
    }
    let sign = if op == BinaryOp::Shl { "<<" } else { ">>" };
    Ok(format!("select({}, {x} {sign} {most}, {bits} <= {kind}({last}))", zero(src, width, dtype, repr)))
}

/// The text of a value's bits as another type of as many. What is narrower than its word lies in it as a number, which the
/// step narrows again.
pub(super) fn cast(src: &mut Source<'_>, width: Width, x: &Value, to: DType) -> Result<String, Refusal> {
    let (from, repr) = (src.repr(x.dtype)?, src.repr(to)?);
    // Floats of 16 bits lie in their words as wider ones.
    let of_16 = |dtype: DType| dtype.narrow_float().filter(|_| dtype.size() == 2);
    match (of_16(x.dtype), of_16(to)) {
        _ if x.dtype.bits() != to.bits()
            || x.dtype != to && (x.dtype.is_small_float() || to.is_small_float()) =>
        {
            return Err(src.refuse(format!("the bits of {} are not read as {to}", x.dtype)));
        }
        _ if x.dtype == to => return Ok(x.text.clone()),
        (Some(format), _) => {
            let text = round::to_bits(src, width, x.dtype, format, &x.text);
            return cast(src, width, &Value { text, dtype: DType::U16 }, to);
        }
        (None, Some(format)) => {
            let bits = format!("bitcast<{}>({})", width.of("u32"), x.text);
            let bits = if from == Repr::I32 { bits } else { x.text.clone() };
            return Ok(round::of_bits(src, width, to, format, &bits));
        }
        (None, None) => {}
    }
    if wide::emulated(src.target(), from) != wide::emulated(src.target(), repr) {
        double::check(src, from)?;
        double::check(src, repr)?;
    }
    let t = &x.text;
    let kind = width.of(src.register(to, repr));
    Ok(match (x.dtype, to) {
        (DType::Bool, _) => format!("select({kind}(), {kind}(1), {t})"),
        (_, DType::Bool) => format!("({t} != {})", zero(src, width, x.dtype, from)),
        _ if from == repr || wide::emulated(src.target(), from) => t.clone(),
        _ => format!("bitcast<{kind}>({t})"),
    })
}
