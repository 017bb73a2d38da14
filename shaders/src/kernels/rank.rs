//! Places in order: every element counts those of its line that come before it.
//!
//! That is a step for each pair, all of them apart from each other, without barriers.

use core::fmt::Write as _;

use bayplan_graph::DType;
use bayplan_graph::op::BinaryOp;

use crate::chain::{Value, Width, double, ops, wide};
use crate::loops;
use crate::source::Written;
use crate::source::{Source, Workgroup};
use crate::strides::elements;
use crate::tape::Taped;
use crate::tape::specs::RankSpec;
use crate::{Access, Refusal, Repr, Slot, StepOp, Target};

/// A float as an integer of the same order: zeros of both signs are one, and a NaN is beyond all others. Told by the bits,
/// because shader compilers may assume that there are no NaNs.
const KEY: &str = "fn key(x: f32) -> u32 {
    let b = bitcast<u32>(x);
    let a = b & 0x7fffffffu;
    let k = select(b | 0x80000000u, ~b, b > 0x80000000u);
    return select(select(k, 0x80000000u, a == 0u), 0xffffffffu, a > 0x7f800000u);
}";

/// The same of a 64-bit float.
const KEY64: &str = "fn key(x: f64) -> u64 {
    let b = bitcast<u64>(x);
    let a = b & 0x7ffffffffffffffflu;
    let k = select(b | 0x8000000000000000lu, ~b, b > 0x8000000000000000lu);
    return select(select(k, 0x8000000000000000lu, a == 0lu), 0xfffffffffffffffflu, a > 0x7ff0000000000000lu);
}";

/// Writes the kernel.
pub(crate) fn build(spec: &RankSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("rank", target);
    let repr = src.repr(spec.dtype)?;
    let kind = src.element(repr);
    if spec.len > i32::MAX {
        return Err(src.refuse(format!("lines of {:?}; places reach {}", spec.len, i32::MAX)));
    }
    let count = elements(&[spec.outer, spec.len, spec.inner]);
    let x = src.bind(Slot::Operand(0), Access::Read, kind, count * repr.words())?;
    let out = src.bind(Slot::Output, Access::Write, "i32", count)?;
    let n = src.size("n", count)?;
    let (len, inner) = (src.size("len", spec.len)?, src.size("inner", spec.inner)?);
    let per = loops::steps_per_pass(&src, loops::MOST_STEPS, [1.into(), spec.len, 0.into()])?;
    double::check(&src, repr)?;
    let float = spec.dtype.is_float();
    let dtype = match repr {
        Repr::F32 => DType::U32,
        Repr::F64 => DType::U64,
        _ => spec.dtype,
    };
    if float {
        src.function("key", if repr == Repr::F64 { KEY64 } else { KEY }.into());
    }
    let load = |at: &str| if float { format!("key({x}.d[{at}])") } else { format!("{x}.d[{at}]") };
    let value = |text: &str| Value { text: text.to_owned(), dtype };
    let op = StepOp::Binary(if spec.largest { BinaryOp::Greater } else { BinaryOp::Less });
    let before = ops::step(&mut src, Width::One, op, &[value("v"), value("own")], DType::Bool)?;
    let after = ops::step(&mut src, Width::One, op, &[value("own"), value("v")], DType::Bool)?;
    let shape = Workgroup::flat(target, 64);
    let mut body = format!(
        "let i = group * {}u + lane;\nif (i >= {n}) {{ return; }}\n\
         let row = i / {inner};\nlet at = row % {len};\nlet base = i - at * {inner};\n\
         let own = {};\nvar place = 0u;\n",
        shape.invocations,
        load("i")
    );
    let inside = format!(
        "let v = {};\nplace += select(0u, 1u, select({before}, !({after}), j < at));\n",
        load(&format!("base + j * {inner}"))
    );
    loops::write(&mut body, per, ["j", "0u", &len, "1u"], &inside);
    let _ = writeln!(body, "{out}.d[i] = i32(place);");
    let order = if spec.largest { "down" } else { "up" };
    let name = format!("rank.{order}.{}{}", wide::named(&src, repr), loops::label(per));
    let flops = elements(&[count, spec.len]);
    src.finish(name, &body, shape, count.div_ceil(Taped::from(shape.invocations)), flops)
}
