//! Elements taken and put by indices of their own.

use bayplan_graph::op::{BinaryOp, Keep, PadMode, Pads, ReduceOp};
use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("GatherElements", 11, gather_elements),
    Row::new("MaxUnpool", 9, max_unpool).says(&[2]),
    Row::new("ReverseSequence", 10, reverse_sequence),
    Row::new("Scatter", 9, scatter_elements),
    Row::new("ScatterElements", 11, scatter_elements),
    Row::new("ScatterND", 11, scatter_nd),
    Row::new("TensorScatter", 24, tensor_scatter),
];

fn gather_elements(c: &mut Call<'_, '_>) -> Built {
    let (x, indices) = (c.input(0)?, c.input(1)?);
    let axis = c.attributes().int_or("axis", 0)?;
    Ok(vec![c.emit(Op::GatherElements { axis }, &[x, indices])?])
}

/// What joins updates to what is there.
fn join(c: &Call<'_, '_>) -> Result<Option<BinaryOp>, String> {
    Ok(match c.attributes().text("reduction")? {
        None | Some("none") => None,
        Some("add") => Some(BinaryOp::Add),
        Some("mul") => Some(BinaryOp::Mul),
        Some("max") => Some(BinaryOp::Max),
        Some("min") => Some(BinaryOp::Min),
        Some(other) => return Err(format!("reduction `{other}` is not known")),
    })
}

fn scatter_elements(c: &mut Call<'_, '_>) -> Built {
    let operands = [c.input(0)?, c.input(1)?, c.input(2)?];
    let (axis, join) = (c.attributes().int_or("axis", 0)?, join(c)?);
    Ok(vec![c.emit(Op::ScatterElements { axis, join }, &operands)?])
}

fn scatter_nd(c: &mut Call<'_, '_>) -> Built {
    let operands = [c.input(0)?, c.input(1)?, c.input(2)?];
    let join = join(c)?;
    Ok(vec![c.emit(Op::ScatterNd { join }, &operands)?])
}

/// Each sequence's own elements from its last to its first, the others where they are.
fn reverse_sequence(c: &mut Call<'_, '_>) -> Built {
    let (x, lens) = (c.input(0)?, c.input(1)?);
    let rank = c.rank(x)?;
    let at = |name, default| {
        let axis = c.attributes().int_or(name, default)?;
        bayplan_graph::axis(axis, rank).map_err(|e| e.to_string())
    };
    let (batch, time) = (at("batch_axis", 1)?, at("time_axis", 0)?);
    if batch == time {
        return Err(format!("batch_axis and time_axis are both {time}"));
    }
    let others = (0..rank).filter(|&axis| axis != batch && axis != time);
    let order: Vec<usize> = [batch, time].into_iter().chain(others).collect();
    let mut back = vec![0; rank];
    order.iter().enumerate().for_each(|(at, &axis)| back[axis] = at);
    // With the time after the sequences, elements that move together lie side by side.
    let turned = c.permute(x, &order)?;
    let t = c.positions_along(turned, 1)?;
    let lens = c.cast(lens, DType::I64)?;
    let lens = c.unsqueeze(lens, &(1..rank as i64).collect::<Vec<_>>())?;
    let last = c.with(BinaryOp::Sub, lens, 1.0)?;
    let mirrored = c.binary(BinaryOp::Sub, last, t)?;
    let own = c.binary(BinaryOp::Less, t, lens)?;
    let index = c.select(own, mirrored, t)?;
    let dims = c.dims(turned)?;
    let index = c.expand(index, dims)?;
    let made = c.emit(Op::GatherElements { axis: 1 }, &[turned, index])?;
    Ok(vec![c.permute(made, &back)?])
}

/// Updates one after the other from where each sequence of the batch says.
fn tensor_scatter(c: &mut Call<'_, '_>) -> Built {
    let (cache, update) = (c.input(0)?, c.input(1)?);
    let rank = c.rank(cache)?;
    let axis = c.attributes().int_or("axis", -2)?;
    let at = bayplan_graph::axis(axis, rank).map_err(|e| e.to_string())?;
    let circular = match c.attributes().text("mode")? {
        None | Some("linear") => false,
        Some("circular") => true,
        Some(other) => return Err(format!("mode `{other}` is not known")),
    };
    if at == 0 {
        return Err("axis 0 is that of the batch; updates go along another one".to_owned());
    }
    let mut index = c.positions_along(update, at)?;
    if let Some(first) = c.optional(2)? {
        let first = c.unsqueeze(first, &(1..rank as i64).collect::<Vec<_>>())?;
        index = c.binary(BinaryOp::Add, first, index)?;
    }
    if circular {
        let len = c.dim(cache, at)?;
        index = c.binary(BinaryOp::Mod, index, len)?;
    }
    let dims = c.dims(update)?;
    let index = c.expand(index, dims)?;
    Ok(vec![c.emit(Op::ScatterElements { axis, join: None }, &[cache, index, update])?])
}

/// Indices count through the whole of what the window says was pooled; a larger output has zeros after that.
fn max_unpool(c: &mut Call<'_, '_>) -> Built {
    let (x, indices) = (c.input(0)?, c.input(1)?);
    let dims = unpooled(c, x)?;
    let all = c.ints(&[-1])?;
    let (values, places) = (c.reshape(x, &[all])?, c.reshape(indices, &[all])?);
    let total = c.reduce(ReduceOp::Prod, dims, &[0], Keep::Dims)?;
    let zero = c.scalar_like(x, 0.0)?;
    let zeros = c.emit(Op::Fill, &[total, zero])?;
    let flat = c.emit(Op::ScatterElements { axis: 0, join: None }, &[zeros, places, values])?;
    let made = c.reshape(flat, &[dims])?;
    let Some(shape) = c.optional(2)? else { return Ok(vec![made]) };
    let more = c.binary(BinaryOp::Sub, shape, dims)?;
    let none = c.ints(&vec![0; c.rank(x)?])?;
    let pads = c.join(&[none, more])?;
    Ok(vec![c.emit(Op::Pad(PadMode::Constant), &[made, pads, zero])?])
}

/// The dimensions of what a window made `x` of, as a list.
fn unpooled(c: &mut Call<'_, '_>, x: ValueId) -> Result<ValueId, String> {
    let kernel = c.attributes().sizes("kernel_shape", 1)?.ok_or("attribute `kernel_shape` is missing")?;
    let window = c.window(kernel)?;
    let spatial = window.kernel.len();
    let Pads::Explicit(pads) = &window.pads else {
        return Err("attribute `auto_pad` is not one of this operator's".to_owned());
    };
    if c.rank(x)? != spatial + 2 {
        return Err(format!("a window of {spatial} axes does not fit an operand of rank {}", c.rank(x)?));
    }
    let mut dims = vec![c.dim(x, 0)?, c.dim(x, 1)?];
    for axis in 0..spatial {
        let (stride, kernel) = (window.strides[axis] as i64, window.kernel[axis] as i64);
        // (size − 1) · stride + kernel − pads
        let size = c.dim(x, axis + 2)?;
        let steps = c.with(BinaryOp::Mul, size, stride as f64)?;
        let more = kernel - stride - pads[axis] - pads[spatial + axis];
        dims.push(c.with(BinaryOp::Add, steps, more as f64)?);
    }
    c.join(&dims)
}
