//! Constants, joining, cutting, selecting, padding.

use bayplan_graph::op::{BinaryOp, PadMode, UnaryOp};
use bayplan_graph::{ConstData, DType, Op, Tensor, ValueId, ValueSource};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("Concat", 7, concat),
    Row::new("Constant", 7, constant),
    Row::new("ConstantOfShape", 9, constant_of_shape).says(&[0]),
    Row::new("Gather", 7, gather),
    Row::new("GatherND", 11, gather_nd),
    Row::new("Pad", 7, pad).says(&[1, 3]),
    Row::new("Range", 11, range).says(&[0, 1, 2]),
    Row::new("Slice", 7, slice).says(&[1, 2, 3, 4]),
    Row::new("Split", 7, split).says(&[1]),
];

fn concat(c: &mut Call<'_, '_>) -> Built {
    let list: Vec<ValueId> = (0..c.inputs()).map(|i| c.input(i)).collect::<Result<_, _>>()?;
    let axis = c.attributes().int("axis")?.ok_or("attribute `axis` is missing")?;
    Ok(vec![c.emit(Op::Concat { axis }, &list)?])
}

fn constant(c: &mut Call<'_, '_>) -> Built {
    let a = c.attributes();
    let tensor = if let Some(value) = a.tensor("value")? {
        let name = c.node.output.first().map_or("", String::as_str);
        let (ty, data) = c.builder.tensors.constant(name, value).map_err(|e| e.to_string())?;
        let ConstData::Inline(bytes) = &data else {
            return large(c, ty, data);
        };
        let dims = ty.shape.iter().map(|d| d.as_const().and_then(|v| usize::try_from(v).ok()));
        let dims = dims.collect::<Option<Vec<_>>>().ok_or("its shape is no list of numbers")?;
        Tensor::new(ty.dtype, dims, bytes.to_vec())
    } else if let Some(v) = a.float("value_float")? {
        Tensor::from_f32(vec![], &[v])
    } else if let Some(v) = a.floats("value_floats")? {
        Tensor::from_f32(vec![v.len()], v)
    } else if let Some(v) = a.int("value_int")? {
        Tensor::from_i64(vec![], &[v])
    } else if let Some(v) = a.ints("value_ints")? {
        Tensor::from_i64(vec![v.len()], v)
    } else if a.has("value_string") || a.has("value_strings") {
        return Err("strings are not supported; move text processing out of the model".to_owned());
    } else {
        return Err("its value is missing or sparse; store it as a dense tensor".to_owned());
    };
    let tensor = tensor.map_err(|e| e.to_string())?;
    Ok(vec![c.builder.constant(&tensor)?])
}

/// A constant that stays in the file.
fn large(c: &mut Call<'_, '_>, ty: bayplan_graph::TensorType, data: ConstData) -> Built {
    let name = c.node.output.first().map_or("", String::as_str).into();
    Ok(vec![c.builder.add_value(name, ValueSource::Constant(data), Some(ty))])
}

fn constant_of_shape(c: &mut Call<'_, '_>) -> Built {
    let shape = c.input(0)?;
    let value = match c.attributes().tensor("value")? {
        None => c.scalar(DType::F32, 0.0)?,
        Some(tensor) => {
            let (ty, data) = c.builder.tensors.constant("value", tensor).map_err(|e| e.to_string())?;
            match data {
                ConstData::Inline(bytes) if bytes.len() == ty.dtype.size() => {
                    let one = Tensor::new(ty.dtype, vec![], bytes.to_vec()).map_err(|e| e.to_string())?;
                    c.builder.constant(&one)?
                }
                _ => return Err("attribute `value` must hold one element".to_owned()),
            }
        }
    };
    Ok(vec![c.emit(Op::Fill, &[shape, value])?])
}

fn gather(c: &mut Call<'_, '_>) -> Built {
    let (x, indices) = (c.input(0)?, c.input(1)?);
    let axis = c.attributes().int_or("axis", 0)?;
    Ok(vec![c.emit(Op::Gather { axis }, &[x, indices])?])
}

fn gather_nd(c: &mut Call<'_, '_>) -> Built {
    let (x, indices) = (c.input(0)?, c.input(1)?);
    let batch = c.attributes().int_or("batch_dims", 0)?;
    let batch_dims = usize::try_from(batch).map_err(|_| format!("attribute `batch_dims` is {batch}"))?;
    Ok(vec![c.emit(Op::GatherNd { batch_dims }, &[x, indices])?])
}

fn range(c: &mut Call<'_, '_>) -> Built {
    let operands = [c.input(0)?, c.input(1)?, c.input(2)?];
    let dtype = c.dtype(operands[0])?;
    if dtype.is_float() && operands.iter().any(|&operand| !c.is_followed(operand)) {
        return range_of_floats(c, operands, dtype);
    }
    Ok(vec![c.emit(Op::Range, &operands)?])
}

/// Floats that are given at each run: their number is all that decides the plan.
fn range_of_floats(c: &mut Call<'_, '_>, operands: [ValueId; 3], dtype: DType) -> Built {
    let [start, _, delta] = operands;
    let [from, to, by] = operands.map(|operand| c.cast(operand, DType::F64));
    let (from, to, by) = (from?, to?, by?);
    let span = c.binary(BinaryOp::Sub, to, from)?;
    let steps = c.binary(BinaryOp::Div, span, by)?;
    let (steps, zero) = (c.unary(UnaryOp::Ceil, steps)?, c.scalar(DType::F64, 0.0)?);
    let count = c.binary(BinaryOp::Max, steps, zero)?;
    let count = c.cast(count, DType::I64)?;
    let count = c.reshape_to(count, &[1])?;
    let count = c.sized(count)?;
    let places = c.positions(count)?;
    let places = c.cast(places, dtype)?;
    let moved = c.binary(BinaryOp::Mul, places, delta)?;
    Ok(vec![c.binary(BinaryOp::Add, moved, start)?])
}

/// Starts, ends and axes are attributes before opset 10, then inputs.
fn slice(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let (starts, ends, axes, steps) = if c.opset() < 10 {
        let a = c.attributes();
        let starts = a.ints("starts")?.ok_or("attribute `starts` is missing")?;
        let ends = a.ints("ends")?.ok_or("attribute `ends` is missing")?;
        let axes = a.ints("axes")?.map(|list| c.ints(list)).transpose()?;
        (c.ints(starts)?, c.ints(ends)?, axes, None)
    } else {
        (c.input(1)?, c.input(2)?, c.optional(3)?, c.optional(4)?)
    };
    let count = c.len(starts)?;
    let axes = match axes {
        Some(axes) => axes,
        None => c.ints(&(0..count as i64).collect::<Vec<_>>())?,
    };
    let steps = match steps {
        Some(steps) => steps,
        None => c.ints(&vec![1; count])?,
    };
    Ok(vec![c.emit(Op::Slice, &[x, starts, ends, axes, steps])?])
}

/// Sizes are an attribute before opset 13, then an input; without them the pieces are equal (from opset 18 the last
/// may be smaller).
fn split(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let (axis, pieces) = (c.attributes().int_or("axis", 0)?, c.outputs());
    if pieces == 0 || pieces > bayplan_graph::MAX_CONTENTS {
        return Err(format!("{pieces} pieces are not supported"));
    }
    let given = if c.opset() < 13 {
        c.attributes().ints("split")?.map(|list| c.ints(list)).transpose()?
    } else {
        c.optional(1)?
    };
    let sizes = match given {
        Some(sizes) => sizes,
        None => equal_pieces(c, x, axis, pieces)?,
    };
    c.emit_many(Op::Split { axis }, &[x, sizes], pieces)
}

fn equal_pieces(c: &mut Call<'_, '_>, x: ValueId, axis: i64, pieces: usize) -> Result<ValueId, String> {
    let shape = c.shape(x)?;
    let at = bayplan_graph::axis(axis, shape.len()).map_err(|e| e.to_string())?;
    let n = pieces as i64;
    if let Some(dim) = shape[at].as_const() {
        let size = dim.saturating_add(n - 1) / n;
        let last = dim - size.saturating_mul(n - 1);
        if last < 0 || (last != size && c.opset() < 18) {
            return Err(format!("axis {axis} of size {dim} does not divide into {pieces} pieces"));
        }
        let mut sizes = vec![size; pieces];
        sizes[pieces - 1] = last;
        return c.ints(&sizes);
    }
    // The same on a symbolic dimension: ⌈dim / n⌉ n−1 times, then the rest, or what must make up the whole.
    let dim = c.emit(Op::Shape { start: at as i64, end: Some(at as i64 + 1) }, &[x])?;
    let sum = c.with(BinaryOp::Add, dim, (n - 1) as f64)?;
    let size = c.with(BinaryOp::Div, sum, n as f64)?;
    if c.opset() < 18 {
        return c.join(&vec![size; pieces]);
    }
    let before = c.with(BinaryOp::Mul, size, (n - 1) as f64)?;
    let last = c.binary(BinaryOp::Sub, dim, before)?;
    let mut list = vec![size; pieces];
    list[pieces - 1] = last;
    c.join(&list)
}

fn pad_mode(c: &Call<'_, '_>) -> Result<PadMode, String> {
    match c.attributes().text("mode")? {
        None | Some("constant") => Ok(PadMode::Constant),
        Some("reflect") => Ok(PadMode::Reflect),
        Some("edge") => Ok(PadMode::Edge),
        Some("wrap") => Ok(PadMode::Wrap),
        Some(other) => Err(format!("mode `{other}` is not known")),
    }
}

/// Pads and value are attributes before opset 11, then inputs; from opset 18 pads may be given for some axes only.
fn pad(c: &mut Call<'_, '_>) -> Built {
    if c.opset() < 11 {
        return pad_by_attribute(c, "pads");
    }
    let (x, mode, pads) = (c.input(0)?, pad_mode(c)?, c.input(1)?);
    let value = match c.optional(2)? {
        Some(value) => value,
        None => c.scalar_like(x, 0.0)?,
    };
    let pads = match c.optional(3)? {
        Some(axes) => pads_of_all_axes(c, x, pads, axes)?,
        None => pads,
    };
    Ok(vec![c.emit(Op::Pad(mode), &[x, pads, value])?])
}

/// With the pads in an attribute of this name, and the value in another.
pub(super) fn pad_by_attribute(c: &mut Call<'_, '_>, name: &str) -> Built {
    let (x, mode) = (c.input(0)?, pad_mode(c)?);
    let pads = c.attributes().ints(name)?.ok_or_else(|| format!("attribute `{name}` is missing"))?;
    let value = c.attributes().float_or("value", 0.0)?;
    let operands = [x, c.ints(pads)?, c.scalar_like(x, value.into())?];
    Ok(vec![c.emit(Op::Pad(mode), &operands)?])
}

fn pads_of_all_axes(
    c: &mut Call<'_, '_>,
    x: ValueId,
    pads: ValueId,
    axes: ValueId,
) -> Result<ValueId, String> {
    let rank = c.rank(x)?;
    let axes = c.known(axes).ok_or("its axes depend on data, but must be constant")?;
    let axes = bayplan_graph::axes(&axes, rank).map_err(|e| e.to_string())?;
    let zero = c.ints(&[0])?;
    let mut list = vec![zero; 2 * rank];
    for (i, &axis) in axes.iter().enumerate() {
        list[axis] = c.element(pads, i)?;
        list[rank + axis] = c.element(pads, axes.len() + i)?;
    }
    c.join(&list)
}
