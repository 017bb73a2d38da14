//! Blocks of an image: gathered from columns, cut out of the middle.

use bayplan_graph::op::{BinaryOp, PadMode};
use bayplan_graph::{Op, ValueId};

use super::Row;
use super::transposed::{Axis, Channels, transposed};
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("CenterCropPad", 18, center_crop_pad).says(&[1]),
    Row::new("Col2Im", 18, col2im).says(&[1, 2]),
];

/// Slices and pads axes to a shape, half of the difference on each side and the odd element behind.
fn center_crop_pad(c: &mut Call<'_, '_>) -> Built {
    let (x, shape) = (c.input(0)?, c.input(1)?);
    let rank = c.rank(x)?;
    let axes = match c.attributes().ints("axes")? {
        Some(list) => bayplan_graph::axes(list, rank).map_err(|e| e.to_string())?,
        None => (0..rank).collect(),
    };
    let count = c.len(shape)?;
    if count != axes.len() {
        return Err(format!("its shape has {count} elements, but there are {} axes", axes.len()));
    }
    c.at_least(shape, 0, "a size of its shape")?;
    if axes.is_empty() {
        return Ok(vec![x]);
    }
    let none = c.ints(&[0])?;
    let mut pads = vec![none; 2 * rank];
    let (mut starts, mut ends) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for (i, &axis) in axes.iter().enumerate() {
        let (from, to) = (c.dim(x, axis)?, c.element(shape, i)?);
        let kept = c.binary(BinaryOp::Min, from, to)?;
        let [start, before] = [(from, to), (to, from)].map(|(size, other)| {
            let more = c.binary(BinaryOp::Sub, size, other)?;
            let more = c.with(BinaryOp::Max, more, 0.0)?;
            c.with(BinaryOp::Div, more, 2.0)
        });
        let (start, before) = (start?, before?);
        starts.push(start);
        ends.push(c.binary(BinaryOp::Add, start, kept)?);
        let behind = c.binary(BinaryOp::Sub, to, kept)?;
        pads[axis] = before;
        pads[rank + axis] = c.binary(BinaryOp::Sub, behind, before)?;
    }
    let (starts, ends) = (c.concat(0, &starts)?, c.concat(0, &ends)?);
    let along: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
    let (along, steps) = (c.ints(&along)?, c.ints(&vec![1; count])?);
    let cut = c.emit(Op::Slice, &[x, starts, ends, along, steps])?;
    let (pads, zero) = (c.concat(0, &pads)?, c.scalar_like(x, 0.0)?);
    Ok(vec![c.emit(Op::Pad(PadMode::Constant), &[cut, pads, zero])?])
}

/// x `[n, c · taps, blocks]`, each block added where it lies in the image: a transposed convolution whose weight puts
/// channel k at tap k.
fn col2im(c: &mut Call<'_, '_>) -> Built {
    let (x, image, block) = (c.input(0)?, c.input(1)?, c.input(2)?);
    let known = |c: &Call<'_, '_>, list: ValueId, what: &str| match c.known(list) {
        Some(list) if !list.is_empty() && list.iter().all(|v| (1..=i64::from(i32::MAX)).contains(v)) => {
            Ok(list)
        }
        Some(list) => Err(format!("{what} is {list:?}; it must hold sizes from 1 to 2^31-1")),
        None => Err(format!("{what} depends on data or on symbolic dimensions, but must be known")),
    };
    let (image, block) = (known(c, image, "the image's shape")?, known(c, block, "the block's shape")?);
    if image.len() != block.len() || c.rank(x)? != 3 {
        return Err(format!(
            "an image of {} axes, blocks of {} and an input of rank {} do not fit; rank 3 is needed",
            image.len(),
            block.len(),
            c.rank(x)?
        ));
    }
    let kernel: Vec<usize> = block.iter().map(|&size| size as usize).collect();
    let window = c.window(kernel.clone())?;
    let bayplan_graph::op::Pads::Explicit(pads) = &window.pads else {
        return Err("auto_pad is not defined for it".to_owned());
    };
    let (spatial, mut axes, mut counts) = (image.len(), Vec::new(), Vec::new());
    for (i, &size) in image.iter().enumerate() {
        let (stride, dilation) = (window.strides[i], window.dilations[i]);
        let mut axis = Axis { kernel: kernel[i], stride, dilation, head: pads[i], tail: 0 };
        let room = size + pads[i] + pads[spatial + i] - axis.extent();
        if room < 0 {
            return Err(format!("blocks of {} elements do not fit an axis of {size}", axis.extent()));
        }
        let blocks = room / stride as i64 + 1;
        axis.tail = (blocks - 1) * stride as i64 + axis.extent() - axis.head - size;
        counts.push(blocks);
        axes.push(axis);
    }
    let taps: usize = kernel.iter().product();
    let (batch, rows, each) = (c.dim(x, 0)?, c.dim(x, 1)?, c.ints(&[taps as i64])?);
    let channels = c.binary(BinaryOp::Div, rows, each)?;
    let planes = c.binary(BinaryOp::Mul, batch, channels)?;
    let blocks = c.ints(&counts)?;
    let columns = c.reshape(x, &[planes, each, blocks])?;
    let places = c.positions(each)?;
    let down = c.unsqueeze(places, &[1])?;
    let (same, dtype) = (c.binary(BinaryOp::Equal, down, places)?, c.dtype(x)?);
    let weight = c.cast(same, dtype)?;
    let kernel: Vec<i64> = [taps as i64, 1].into_iter().chain(block).collect();
    let weight = c.reshape_to(weight, &kernel)?;
    let made = transposed(c, columns, weight, &axes, Channels { from: taps, per_group: 1, groups: 1 })?;
    let image = c.ints(&image)?;
    Ok(vec![c.reshape(made, &[batch, channels, image])?])
}
