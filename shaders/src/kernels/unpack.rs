//! Elements as they lie in a file to elements as devices hold them.

use core::fmt::Write as _;

use crate::blocks::Bytes;
use crate::source::{Source, Workgroup, Written};
use crate::tape::Taped;
use crate::tape::specs::UnpackSpec;
use crate::{Access, Packed, Refusal, Repr, Slot, Target};

/// Writes the kernel: four elements to an invocation.
pub(crate) fn build(spec: &UnpackSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("unpack", target);
    if Repr::of(spec.dtype) != Repr::of(spec.from.dtype()) {
        return Err(src.refuse(format!("{} to {}", spec.from.dtype(), spec.dtype)));
    }
    let count = spec.count.saturating_mul(spec.from.elements() as u64);
    let bytes = spec.count.saturating_mul(spec.from.bytes() as u64);
    let words = if spec.apart { bytes } else { bytes.div_ceil(4) };
    let x = src.bind(Slot::Operand(0), Access::Read, "u32", words)?;
    let n = src.size("n", count)?;
    let bytes = Bytes { binding: &x, apart: spec.apart };
    let (name, value) = match spec.from {
        Packed::Elements(dtype) if bytes.elements(&mut src, dtype, &n) => (dtype.to_string(), "words_at(e)"),
        Packed::Blocks(format) if bytes.blocks(&mut src, format) => {
            (format.to_string().to_lowercase(), "bitcast<vec4<u32>>(four_at(e))")
        }
        from => return Err(src.refuse(format!("there is no text for {from:?}"))),
    };
    let wide = count.is_multiple_of(4);
    let kind = if wide { "vec4<u32>" } else { "u32" };
    let out = src.bind(Slot::Output, Access::Write, kind, count)?;
    let shape = Workgroup::flat(target, 256);
    let mut body = format!(
        "let e = 4u * (group * {}u + lane);\nif (e >= {n}) {{ return; }}\nlet v = {value};\n",
        shape.invocations
    );
    if wide {
        let _ = writeln!(body, "{out}.d[e >> 2u] = v;");
    } else {
        for (j, c) in ["x", "y", "z", "w"].into_iter().enumerate() {
            let _ = writeln!(body, "if (e + {j}u < {n}) {{ {out}.d[e + {j}u] = v.{c}; }}");
        }
    }
    let places = match (spec.apart, wide) {
        (true, _) => ".apart",
        (false, true) => ".x4",
        (false, false) => "",
    };
    let groups = count.div_ceil(4).div_ceil(Taped::from(shape.invocations));
    src.finish(format!("unpack.{name}{places}"), &body, shape, groups, 0)
}
