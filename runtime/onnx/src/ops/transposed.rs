//! Transposed convolution, as convolutions.
//!
//! ```text
//!  windows that do not meet (kernel = stride):                 any other:
//!  each element becomes a block, whose elements are            zeros between the elements, then an ordinary convolution
//!  output channels of a 1×1 convolution                        with the kernel turned around
//!
//!   a b     1×1 conv   4 channels   move to     A A B B         a b      a 0 b 0     conv with
//!   c d    ─────────►  of a b c d  ─────────►   A A B B         c d  ─►  0 0 0 0  ─────────────► y
//!                                               C C D D                  c 0 d 0    flipped taps
//!                                               C C D D                  0 0 0 0
//! ```

use bayplan_expr::Expr;
use bayplan_graph::op::{BinaryOp, PadMode, Pads, ViewOp, Window};
use bayplan_graph::{Op, ValueId};

use crate::builder::{Built, Call};

/// One spatial axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    /// Elements cut off before the first; negative adds zeros.
    pub(super) head: i64,
    /// Elements cut off after the last, those that output padding adds already given back.
    pub(super) tail: i64,
}

impl Axis {
    /// Extent of the dilated kernel.
    pub(super) fn extent(&self) -> i64 {
        (self.kernel as i64 - 1).saturating_mul(self.dilation as i64).saturating_add(1)
    }

    fn is_block(&self) -> bool {
        self.kernel == self.stride && (self.dilation == 1 || self.kernel == 1)
    }
}

/// Operands `x` [n, c, spatial..], `w` [c, m / groups, kernel..], and optionally a bias [m].
pub(super) fn conv_transpose(c: &mut Call<'_, '_>) -> Built {
    let (x, w) = (c.input(0)?, c.input(1)?);
    let weight = c.shape(w)?;
    let kernel = c.kernel(&weight)?;
    let groups = c.groups()?;
    if weight.len() != kernel.len() + 2 || c.rank(x)? != kernel.len() + 2 {
        let (x, w, axes) = (c.rank(x)?, weight.len(), kernel.len());
        return Err(format!(
            "an input of rank {x} and a weight of rank {w} do not fit a kernel of {axes} axes"
        ));
    }
    let [from, per_group] = [&weight[0], &weight[1]].map(known);
    let (from, per_group) = (from?, per_group?);
    if from % groups != 0 {
        return Err(format!("{from} input channels do not divide into {groups} groups"));
    }
    let axes = axes(c, x, &kernel)?;
    let channels = Channels { from, per_group, groups };
    let y = transposed(c, x, w, &axes, channels)?;
    match c.optional(2)? {
        None => Ok(vec![y]),
        Some(bias) => {
            let bias = c.per_channel(bias, axes.len())?;
            Ok(vec![c.binary(BinaryOp::Add, y, bias)?])
        }
    }
}

/// The transposed convolution of x `[n, c, spatial..]` with w `[c, m / groups, kernel..]`.
pub(super) fn transposed(
    c: &mut Call<'_, '_>,
    x: ValueId,
    w: ValueId,
    axes: &[Axis],
    channels: Channels,
) -> Result<ValueId, String> {
    if axes.iter().all(Axis::is_block) {
        blocks(c, x, w, axes, channels)
    } else {
        stretched(c, x, w, axes, channels)
    }
}

fn known(dim: &Expr) -> Result<usize, String> {
    dim.as_const().and_then(|v| usize::try_from(v).ok()).ok_or("the weight's channels must be known".into())
}

#[derive(Clone, Copy)]
pub(super) struct Channels {
    pub(super) from: usize,
    /// Output channels of each group.
    pub(super) per_group: usize,
    pub(super) groups: usize,
}

/// What the attributes say of each spatial axis.
fn axes(c: &Call<'_, '_>, x: ValueId, kernel: &[usize]) -> Result<Vec<Axis>, String> {
    let (a, rank) = (c.attributes(), kernel.len());
    let list = |name: &str, least: i64, default: usize| -> Result<Vec<usize>, String> {
        let list = a.sizes(name, least)?.unwrap_or_else(|| vec![default; rank]);
        let count = list.len();
        if count == rank {
            Ok(list)
        } else {
            Err(format!("attribute `{name}` has {count} entries, but the window has {rank} axes"))
        }
    };
    let (strides, dilations) = (list("strides", 1, 1)?, list("dilations", 1, 1)?);
    let more = list("output_padding", 0, 0)?;
    // The shape may name the batch and the channels too.
    let wanted = match a.sizes("output_shape", 0)?.filter(|list| !list.is_empty()) {
        None => None,
        Some(list) if list.len() == rank || list.len() == rank + 2 => {
            Some(list[list.len() - rank..].to_vec())
        }
        Some(list) => {
            let count = list.len();
            return Err(format!(
                "attribute `output_shape` has {count} entries, but the window has {rank} axes"
            ));
        }
    };
    let mode = a.text("auto_pad")?.unwrap_or("NOTSET");
    let pads = match a.ints("pads")?.filter(|pads| !pads.is_empty()) {
        Some(pads) if pads.len() == 2 * rank => pads.to_vec(),
        Some(pads) => {
            let (count, needed) = (pads.len(), 2 * rank);
            return Err(format!("attribute `pads` has {count} entries, but the window needs {needed}"));
        }
        None => vec![0; 2 * rank],
    };
    if let Some(pad) = pads.iter().find(|pad| pad.abs() > i64::from(i32::MAX)) {
        return Err(format!("a pad of {pad} is above the limit of 2^31-1"));
    }
    let shape = c.shape(x)?;
    let mut axes = Vec::with_capacity(rank);
    for i in 0..rank {
        let mut axis =
            Axis { kernel: kernel[i], stride: strides[i], dilation: dilations[i], head: 0, tail: 0 };
        let (stride, more) = (axis.stride as i64, more[i] as i64);
        // Beyond so many times the stride as there are elements the kernel reaches this far.
        let beyond = axis.extent().saturating_add(more).saturating_sub(stride);
        let wanted = match &wanted {
            None => None,
            Some(wanted) => {
                let size =
                    shape[i + 2].as_const().ok_or("with `output_shape` its input's size must be known")?;
                Some(size.saturating_mul(stride).saturating_add(beyond).saturating_sub(wanted[i] as i64))
            }
        };
        let cut = match (wanted, mode) {
            (Some(cut), _) => cut,
            (None, "SAME_UPPER" | "SAME_LOWER") => beyond,
            (None, "NOTSET" | "") => {
                (axis.head, axis.tail) = (pads[i], pads[i + rank] - more);
                axes.push(axis);
                continue;
            }
            (None, "VALID") => 0,
            (None, other) => return Err(format!("auto_pad `{other}` is not known")),
        };
        let (small, positive) = (cut.max(0) / 2, cut.max(0));
        axis.head = if mode == "SAME_UPPER" { small } else { positive - small };
        axis.tail = cut - axis.head - more;
        axes.push(axis);
    }
    Ok(axes)
}

/// A window of one element.
fn point(rank: usize) -> Window {
    let one = vec![1; rank];
    Window {
        kernel: one.clone(),
        strides: one.clone(),
        dilations: one,
        pads: Pads::Explicit(vec![0; 2 * rank]),
        ceil: false,
    }
}

/// Windows that do not meet: each element's block is computed as channels, which then move to their places.
fn blocks(
    c: &mut Call<'_, '_>,
    x: ValueId,
    w: ValueId,
    axes: &[Axis],
    channels: Channels,
) -> Result<ValueId, String> {
    let (rank, Channels { from, per_group, groups }) = (axes.len(), channels);
    let taps: usize = axes.iter().map(|axis| axis.kernel).product();
    // [c, m / g, kernel..] to [g, c / g, m / g · taps] to [m · taps, c / g, 1..]
    let w = reshape(c, w, &[groups, from / groups, per_group * taps])?;
    let w = c.emit(Op::Transpose(vec![0, 2, 1]), &[w])?;
    let w = reshape(c, w, &[&[groups * per_group * taps, from / groups], &vec![1; rank][..]].concat())?;
    let made = c.emit(Op::Conv(point(rank), groups), &[x, w])?;
    // [n, m, kernel.., spatial..] to [n, m, spatial 0, kernel 0, ..]
    let dims = c.dims(x)?;
    let batch = c.element(dims, 0)?;
    let all = groups * per_group;
    let block: Vec<i64> =
        std::iter::once(all).chain(axes.iter().map(|axis| axis.kernel)).map(|v| v as i64).collect();
    let mut cut = vec![batch, c.ints(&block)?];
    let mut target = vec![batch, c.ints(&[all as i64])?];
    for (i, axis) in axes.iter().enumerate() {
        let size = c.element(dims, i + 2)?;
        cut.push(size);
        let factor = c.ints(&[axis.stride as i64])?;
        target.push(c.binary(BinaryOp::Mul, size, factor)?);
    }
    let (cut, target) = (c.join(&cut)?, c.join(&target)?);
    let view = Op::View(ViewOp::Reshape { allow_zero: true });
    let apart = c.emit(view.clone(), &[made, cut])?;
    let order = [0, 1].into_iter().chain((0..rank).flat_map(|i| [2 + rank + i, 2 + i])).collect();
    let moved = c.emit(Op::Transpose(order), &[apart])?;
    let y = c.emit(view, &[moved, target])?;
    cropped(c, y, axes)
}

/// Cuts off, or adds zeros, at the ends of the spatial axes.
fn cropped(c: &mut Call<'_, '_>, y: ValueId, axes: &[Axis]) -> Result<ValueId, String> {
    if axes.iter().all(|axis| axis.head == 0 && axis.tail == 0) {
        return Ok(y);
    }
    let side = |end: fn(&Axis) -> i64| [0, 0].into_iter().chain(axes.iter().map(move |axis| -end(axis)));
    let pads: Vec<i64> = side(|axis| axis.head).chain(side(|axis| axis.tail)).collect();
    let (pads, zero) = (c.ints(&pads)?, c.scalar_like(y, 0.0)?);
    c.emit(Op::Pad(PadMode::Constant), &[y, pads, zero])
}

/// Zeros between the elements, then a convolution with the kernel turned around.
fn stretched(
    c: &mut Call<'_, '_>,
    x: ValueId,
    w: ValueId,
    axes: &[Axis],
    channels: Channels,
) -> Result<ValueId, String> {
    let (rank, Channels { from, per_group, groups }) = (axes.len(), channels);
    let kernel: Vec<usize> = axes.iter().map(|axis| axis.kernel).collect();
    // [c, m / g, kernel..] to [g, c / g, m / g, kernel..] to [m, c / g, kernel..]
    let w = reshape(c, w, &[&[groups, from / groups, per_group], &kernel[..]].concat())?;
    let order = [0, 2, 1].into_iter().chain(3..3 + rank).collect();
    let w = c.emit(Op::Transpose(order), &[w])?;
    let w = reshape(c, w, &[&[groups * per_group, from / groups], &kernel[..]].concat())?;
    let spatial: Vec<i64> = (2..2 + rank as i64).collect();
    let [starts, ends, along, steps] =
        [vec![-1; rank], vec![i64::MIN; rank], spatial, vec![-1; rank]].map(|list| c.ints(&list));
    let w = c.emit(Op::Slice, &[w, starts?, ends?, along?, steps?])?;
    let x = if axes.iter().all(|axis| axis.stride == 1) { x } else { spread(c, x, axes)? };
    // Each axis now has its stride times as many elements, the last ones zeros.
    let before = axes.iter().map(|axis| axis.extent() - 1 - axis.head);
    let after = axes.iter().map(|axis| axis.extent() - axis.stride as i64 - axis.tail);
    let window = Window {
        kernel,
        strides: vec![1; rank],
        dilations: axes.iter().map(|axis| axis.dilation).collect(),
        pads: Pads::Explicit(before.chain(after).collect()),
        ceil: false,
    };
    c.convolved(&window, groups, x, w)
}

/// Zeros after each element, one less than the stride.
fn spread(c: &mut Call<'_, '_>, x: ValueId, axes: &[Axis]) -> Result<ValueId, String> {
    let rank = axes.len();
    let inserted: Vec<i64> = (0..rank as i64).map(|i| 3 + 2 * i).collect();
    let inserted = c.ints(&inserted)?;
    let apart = c.emit(Op::View(ViewOp::Unsqueeze), &[x, inserted])?;
    let mut pads = vec![0; 2 * (2 + 2 * rank)];
    let mut factors = vec![1; 2 + rank];
    for (i, axis) in axes.iter().enumerate() {
        pads[(2 + 2 * rank) + 3 + 2 * i] = axis.stride as i64 - 1;
        factors[2 + i] = axis.stride as i64;
    }
    let (pads, zero, factors) = (c.ints(&pads)?, c.scalar_like(x, 0.0)?, c.ints(&factors)?);
    let padded = c.emit(Op::Pad(PadMode::Constant), &[apart, pads, zero])?;
    let dims = c.dims(x)?;
    let target = c.binary(BinaryOp::Mul, dims, factors)?;
    c.emit(Op::View(ViewOp::Reshape { allow_zero: true }), &[padded, target])
}

fn reshape(c: &mut Call<'_, '_>, x: ValueId, shape: &[usize]) -> Result<ValueId, String> {
    let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
    let shape = c.ints(&shape)?;
    c.emit(Op::View(ViewOp::Reshape { allow_zero: true }), &[x, shape])
}
