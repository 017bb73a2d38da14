//! Selection by index. Words are moved as they are; 64-bit indices are read by their words, so that no device needs
//! 64-bit integers for this.

use core::fmt::Write as _;
use core::ops::Range;

use bayplan_graph::DType;

use crate::source::Written;
use crate::source::{Source, Workgroup};
use crate::strides::elements;
use crate::tape::Taped;
use crate::tape::specs::{GatherNdSpec, GatherSpec};
use crate::{Access, Others, Refusal, Repr, Slot, Target};

/// Most dimensions that a tuple indexes.
const MAX_TUPLE: usize = 8;
/// Longest axis: indices are compared as `i32`.
const MAX_AXIS: i32 = i32::MAX;

/// `out[outer, j, inner] = x[outer, indices[j] - rows.start, inner]` for the indices in `rows`.
pub(crate) fn build(spec: &GatherSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("gather", target);
    let words = src.repr(spec.dtype)?.words();
    let Range { start, end } = spec.rows;
    if start > end || end > spec.axis {
        return Err(src.refuse(format!("rows {start:?} to {end:?} of an axis of {:?}", spec.axis)));
    }
    let held = end - start;
    let rows = elements(&[spec.outer, spec.count]);
    let Row { per, row, kind } = row(spec.inner.saturating_mul(words));
    let x_words = elements(&[spec.outer, held, spec.inner]) * words;
    let x = src.bind(Slot::Operand(0), Access::Read, kind, x_words)?;
    let read = index_reader(&mut src, spec.index, spec.count)?;
    let keep = spec.others == Others::Keep;
    let access = if keep { Access::ReadWrite } else { Access::Write };
    let out = src.bind(Slot::Output, access, kind, elements(&[rows, spec.inner]) * words)?;
    let axis = axis(&mut src, 0, spec.axis)?;
    let (first, held) = (src.size("first", start)?, src.size("held", held)?);
    let count = src.size("count", spec.count)?;
    let shape = Workgroup::flat(target, 256);
    let total = rows.saturating_mul(row);
    let mut body = begin(&mut src, shape, total, row)?;
    let _ = write!(
        body,
        "let o = line / {count};\n\
         let k = index_at(line - o * {count}, {axis});\n\
         let r = u32(k) - {first};\n\
         let inside = k >= 0 && r < {held};\n"
    );
    let load = format!("{x}.d[(o * {held} + r) * p.row + c]");
    body.push_str(&if keep {
        format!("if (inside) {{ {out}.d[i] = {load}; }}\n")
    } else {
        format!("var v = {kind}();\nif (inside) {{ v = {load}; }}\n{out}.d[i] = v;\n")
    });
    let others = if keep { ".keep" } else { "" };
    src.finish(
        format!("gather.x{per}.{read}{others}"),
        &body,
        shape,
        total.div_ceil(Taped::from(shape.invocations)),
        0,
    )
}

/// `out[b, j, inner] = x[b, indices[b, j, ..], inner]`.
pub(crate) fn build_nd(spec: &GatherNdSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("gather_nd", target);
    let words = src.repr(spec.dtype)?.words();
    let tuple = spec.dims.len();
    if tuple > MAX_TUPLE {
        return Err(src.refuse(format!("index tuples of {tuple}; at most {MAX_TUPLE} are served")));
    }
    let rows = elements(&[spec.batch, spec.count]);
    let Row { per, row, kind } = row(spec.inner.saturating_mul(words));
    let block = elements(&spec.dims);
    let x =
        src.bind(Slot::Operand(0), Access::Read, kind, elements(&[spec.batch, block, spec.inner]) * words)?;
    let read = index_reader(&mut src, spec.index, rows * tuple)?;
    let out = src.bind(Slot::Output, Access::Write, kind, elements(&[rows, spec.inner]) * words)?;
    let count = src.size("count", spec.count)?;
    let block = src.size("block", block)?;
    let shape = Workgroup::flat(target, 256);
    let total = rows.saturating_mul(row);
    let mut body = begin(&mut src, shape, total, row)?;
    let _ = writeln!(body, "var at = 0u;\nvar inside = true;");
    for (d, &size) in spec.dims.iter().enumerate() {
        let axis = axis(&mut src, d, size)?;
        let _ = writeln!(
            body,
            "let k{d} = index_at(line * {tuple}u + {d}u, {axis});\n\
             inside = inside && k{d} >= 0;\nat = at * {axis} + u32(max(k{d}, 0));"
        );
    }
    let _ = write!(
        body,
        "var v = {kind}();\n\
         if (inside) {{ v = {x}.d[((line / {count}) * {block} + at) * p.row + c]; }}\n\
         {out}.d[i] = v;\n"
    );
    let name = format!("gather_nd.{tuple}.x{per}.{read}");
    src.finish(name, &body, shape, total.div_ceil(Taped::from(shape.invocations)), 0)
}

/// How a row of words is moved.
struct Row {
    /// Words per invocation.
    per: u64,
    /// Invocations per row.
    row: Taped,
    kind: &'static str,
}

fn row(words: Taped) -> Row {
    if words > 0 && words.is_multiple_of(4) {
        Row { per: 4, row: words / 4, kind: "vec4<u32>" }
    } else {
        Row { per: 1, row: words, kind: "u32" }
    }
}

/// `i`, the row `line` and the place `c` in it.
fn begin(src: &mut Source<'_>, shape: Workgroup, total: Taped, row: Taped) -> Result<String, Refusal> {
    let n = src.size("n", total)?;
    let row = src.size("row", row)?;
    Ok(format!(
        "let i = group * {}u + lane;\nif (i >= {n}) {{ return; }}\nlet line = i / {row};\nlet c = i - line * {row};\n",
        shape.invocations
    ))
}

fn axis(src: &mut Source<'_>, d: usize, size: Taped) -> Result<String, Refusal> {
    if size > MAX_AXIS {
        return Err(src.refuse(format!("an axis of {size:?}; indices reach {MAX_AXIS}")));
    }
    src.size(&format!("axis{d}"), size)
}

/// Adds `index_at(j, axis)`: index `j` counted from the front, or -1 if it is outside. Answers the variant's name.
fn index_reader(src: &mut Source<'_>, dtype: DType, count: Taped) -> Result<&'static str, Refusal> {
    let repr = src.repr(dtype)?;
    if repr == Repr::F32 || dtype == DType::Bool {
        return Err(src.refuse(format!("indices of type {dtype}")));
    }
    let words = count.saturating_mul(repr.words());
    let b = src.bind(Slot::Operand(1), Access::Read, "u32", words)?;
    let (read, name) = match repr {
        // The high word must be the low one's sign: anything else is far outside.
        Repr::I64 | Repr::U64 => (
            format!("let w = {b}.d[2u * j];\nlet far = {b}.d[2u * j + 1u] != u32(bitcast<i32>(w) >> 31u);"),
            "i64",
        ),
        Repr::U32 => (format!("let w = {b}.d[j];\nlet far = w > 0x7fffffffu;"), "u32"),
        Repr::I32 | Repr::F32 => (format!("let w = {b}.d[j];\nlet far = false;"), "i32"),
    };
    let text = format!(
        "fn index_at(j: u32, axis: u32) -> i32 {{\n{read}\n\
         let k = bitcast<i32>(w);\n\
         let front = select(k, k + i32(axis), k < 0);\n\
         return select(front, -1, far || front < 0 || front >= i32(axis));\n}}"
    );
    src.function("index_at", text);
    Ok(name)
}
