//! Selection by index. Words are moved as they are; 64-bit indices are read by their words, so that no device needs
//! 64-bit integers for this.

use core::fmt::Write as _;
use core::ops::Range;

use bayplan_graph::DType;

use crate::blocks::{Bytes, words};
use crate::source::Written;
use crate::source::{Source, Workgroup};
use crate::strides::elements;
use crate::tape::Taped;
use crate::tape::specs::{BlockGatherSpec, GatherNdSpec, GatherSpec};
use crate::{Access, Others, Refusal, Repr, Slot, Target};

/// Most dimensions that a tuple indexes.
pub(super) const MAX_TUPLE: usize = 8;
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

/// `out[j, inner] = table[indices[j], inner]`, the table in blocks: four elements to an invocation.
pub(crate) fn build_blocks(spec: &BlockGatherSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("block_gather", target);
    if !spec.inner.is_multiple_of(spec.format.elements() as u64) {
        return Err(src.refuse(format!("rows of {:?} are no whole blocks of {}", spec.inner, spec.format)));
    }
    let all = elements(&[spec.axis, spec.inner]);
    src.fits("elements of the table", all)?;
    let x = src.bind(Slot::Operand(0), Access::Read, "u32", words(spec.format, all))?;
    let read = index_reader(&mut src, spec.index, spec.count)?;
    let out = src.bind(Slot::Output, Access::Write, "vec4<f32>", elements(&[spec.count, spec.inner]))?;
    if !(Bytes { binding: &x, apart: false }).blocks(&mut src, spec.format) {
        return Err(src.refuse(format!("there is no text for {}", spec.format)));
    }
    let axis = axis(&mut src, 0, spec.axis)?;
    let row = spec.inner / 4;
    let shape = Workgroup::flat(target, 256);
    let total = spec.count.saturating_mul(row);
    let mut body = begin(&mut src, shape, total, row)?;
    let _ = write!(
        body,
        "let k = index_at(line, {axis});\n\
         var v = vec4<f32>();\n\
         if (k >= 0) {{ v = four_at(4u * (u32(k) * p.row + c)); }}\n\
         {out}.d[i] = v;\n"
    );
    let name = format!("block_gather.{}.{read}", spec.format.to_string().to_lowercase());
    src.finish(name, &body, shape, total.div_ceil(Taped::from(shape.invocations)), 0)
}

/// `out[b, j, inner] = x[b, indices[b, j, ..], inner]`, by a tuple for each row or each element.
pub(crate) fn build_nd(spec: &GatherNdSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("gather_nd", target);
    let words = src.repr(spec.dtype)?.words();
    let rows = elements(&[spec.batch, spec.count]);
    let Row { per, row, kind } = rows_of(spec.inner.saturating_mul(words), spec.each);
    let block = elements(&spec.dims);
    let x =
        src.bind(Slot::Operand(0), Access::Read, kind, elements(&[spec.batch, block, spec.inner]) * words)?;
    let tuples = Tuples { dims: &spec.dims, index: spec.index, count: tuples(rows, spec.inner, spec.each) };
    let read = tuples.bind(&mut src)?;
    let out = src.bind(Slot::Output, Access::Write, kind, elements(&[rows, spec.inner]) * words)?;
    let count = src.size("count", spec.count)?;
    let block = src.size("block", block)?;
    let shape = Workgroup::flat(target, 256);
    let total = rows.saturating_mul(row);
    let mut body = begin(&mut src, shape, total, row)?;
    body.push_str(&tuples.find(&mut src, &tuple_of(spec.each, words))?);
    let _ = write!(
        body,
        "var v = {kind}();\n\
         if (inside) {{ v = {x}.d[((line / {count}) * {block} + at) * p.row + c]; }}\n\
         {out}.d[i] = v;\n"
    );
    let each = if spec.each { ".each" } else { "" };
    let name = format!("gather_nd.{}.x{per}.{read}{each}", spec.dims.len());
    src.finish(name, &body, shape, total.div_ceil(Taped::from(shape.invocations)), 0)
}

/// Tuples of a row or an element each: how many there are of those.
pub(super) fn tuples(rows: Taped, inner: Taped, each: bool) -> Taped {
    if each { elements(&[rows, inner]) } else { rows }
}

/// The number of the tuple that is for word `i`, in row `line`, of elements of so many words.
pub(super) fn tuple_of(each: bool, words: u64) -> String {
    if each { format!("(i / {words}u)") } else { "line".into() }
}

/// Index tuples, the operand 1.
pub(super) struct Tuples<'a> {
    /// What the indices of a tuple index.
    pub(super) dims: &'a [Taped],
    /// Element type of the indices.
    pub(super) index: DType,
    /// Number of tuples.
    pub(super) count: Taped,
}

impl Tuples<'_> {
    /// Binds them. Answers the name of the type in which they are read.
    pub(super) fn bind(&self, src: &mut Source<'_>) -> Result<&'static str, Refusal> {
        let tuple = self.dims.len();
        if tuple > MAX_TUPLE {
            return Err(src.refuse(format!("index tuples of {tuple}; at most {MAX_TUPLE} are served")));
        }
        index_reader(src, self.index, self.count * tuple)
    }

    /// Statements for the place `at` that tuple `from` says, and whether it is `inside`.
    pub(super) fn find(&self, src: &mut Source<'_>, from: &str) -> Result<String, Refusal> {
        let (mut text, tuple) = (String::from("var at = 0u;\nvar inside = true;\n"), self.dims.len());
        for (d, &size) in self.dims.iter().enumerate() {
            let axis = axis(src, d, size)?;
            let _ = writeln!(
                text,
                "let k{d} = index_at({from} * {tuple}u + {d}u, {axis});\n\
                 inside = inside && k{d} >= 0;\nat = at * {axis} + u32(max(k{d}, 0));"
            );
        }
        Ok(text)
    }
}

/// How a row of words is moved.
pub(super) struct Row {
    /// Words per invocation.
    pub(super) per: u64,
    /// Invocations per row.
    pub(super) row: Taped,
    pub(super) kind: &'static str,
}

/// Rows that move together, or word by word where each element goes its own way.
pub(super) fn rows_of(words: Taped, each: bool) -> Row {
    if each { Row { per: 1, row: words, kind: "u32" } } else { row(words) }
}

fn row(words: Taped) -> Row {
    if words > 0 && words.is_multiple_of(4) {
        Row { per: 4, row: words / 4, kind: "vec4<u32>" }
    } else {
        Row { per: 1, row: words, kind: "u32" }
    }
}

/// `i`, the row `line` and the place `c` in it.
pub(super) fn begin(
    src: &mut Source<'_>,
    shape: Workgroup,
    total: Taped,
    row: Taped,
) -> Result<String, Refusal> {
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
    if dtype.is_float() || dtype == DType::Bool {
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
        Repr::I32 | Repr::F32 | Repr::F64 => (format!("let w = {b}.d[j];\nlet far = false;"), "i32"),
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
