//! Sampling at coordinates that are computed: each sample's neighbours are gathered along axes of their own, weighed and
//! added up.
//!
//! ```text
//!  coordinate [lead..] of each spatial axis ─► neighbours: index, weight [lead.., taps]
//!  all axes: position in the plane [lead.., taps, taps..] ─► gathered [lead.., taps, taps.., channels] · weights ─► Σ taps
//! ```

use bayplan_graph::op::{BinaryOp, Keep, ReduceOp, UnaryOp};
use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use super::interpolate::Curve;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("AffineGrid", 20, affine_grid).says(&[1]),
    Row::new("DeformConv", 19, deform_conv),
    Row::new("GridSample", 16, grid_sample),
    Row::new("RoiAlign", 10, roi_align),
];

type Step = Result<ValueId, String>;

/// What lies beyond the elements of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beyond {
    Zeros,
    Border,
    /// Mirror images about the outermost elements, or about their outer edges.
    Reflection {
        centers: bool,
    },
}

/// The neighbours of samples along one axis; what is not given is 1 everywhere.
struct Neighbours {
    /// Positions on the axis, all within it: `i32[lead.., taps]`.
    index: ValueId,
    /// `[lead.., taps]`
    weight: Option<ValueId>,
    /// Where elements count and are not 0 instead: `bool[lead.., taps]`.
    inside: Option<ValueId>,
}

/// A spatial axis: its number of elements as `i64[1]` and as a float.
#[derive(Clone, Copy)]
struct Extent {
    size: ValueId,
    float: ValueId,
}

impl Extent {
    fn of(c: &mut Call<'_, '_>, x: ValueId, axis: usize, compute: DType) -> Result<Self, String> {
        let size = c.dim(x, axis)?;
        Ok(Self { size, float: c.cast(size, compute)? })
    }
}

/// The neighbours of coordinates (in elements, `[lead..]`) along an axis.
fn neighbours(
    c: &mut Call<'_, '_>,
    coordinate: ValueId,
    extent: Extent,
    curve: Option<Curve>,
    beyond: Beyond,
) -> Result<Neighbours, String> {
    let rank = c.rank(coordinate)? as i64;
    let coordinate = c.unsqueeze(coordinate, &[rank])?;
    let (wanted, weight) = match curve {
        None => (coordinate, None),
        Some(curve) => {
            let floor = c.unary(UnaryOp::Floor, coordinate)?;
            let part = c.binary(BinaryOp::Sub, coordinate, floor)?;
            let offsets: Vec<i64> = (1 - curve.reach()..=curve.reach()).collect();
            let (offsets, compute) = (c.ints(&offsets)?, c.dtype(coordinate)?);
            let offsets = c.cast(offsets, compute)?;
            let distance = c.binary(BinaryOp::Sub, offsets, part)?;
            let distance = c.unary(UnaryOp::Abs, distance)?;
            (c.binary(BinaryOp::Add, floor, offsets)?, Some(c.weights(curve, distance)?))
        }
    };
    let (zero, last) = (c.scalar_like(wanted, 0.0)?, c.with(BinaryOp::Sub, extent.float, 1.0)?);
    let mut inside = None;
    let found = match beyond {
        Beyond::Border => wanted,
        Beyond::Reflection { centers } => {
            let mirrored = reflected(c, wanted, extent, centers)?;
            c.unary(UnaryOp::Round, mirrored)?
        }
        Beyond::Zeros => {
            let after = c.binary(BinaryOp::GreaterOrEqual, wanted, zero)?;
            let before = c.binary(BinaryOp::LessOrEqual, wanted, last)?;
            inside = Some(c.binary(BinaryOp::And, after, before)?);
            wanted
        }
    };
    let within = c.clamped(found, zero, last)?;
    Ok(Neighbours { index: c.cast(within, DType::I32)?, weight, inside })
}

/// Coordinates mirrored about both ends until they lie between them: with the distance d from the low end, taken modulo
/// twice the span, it is d on the way up and twice the span less d on the way down.
fn reflected(c: &mut Call<'_, '_>, coordinate: ValueId, extent: Extent, centers: bool) -> Step {
    let (low, span) = if centers {
        let span = c.with(BinaryOp::Sub, extent.float, 1.0)?;
        // An axis of one element has no span: everything lies on that element, to which indices are clamped.
        (0.0, c.with(BinaryOp::Max, span, 1.0)?)
    } else {
        (-0.5, extent.float)
    };
    let from = c.with(BinaryOp::Sub, coordinate, low)?;
    let from = c.unary(UnaryOp::Abs, from)?;
    let period = c.with(BinaryOp::Mul, span, 2.0)?;
    let up = c.binary(BinaryOp::Mod, from, period)?;
    let down = c.binary(BinaryOp::Sub, period, up)?;
    let distance = c.binary(BinaryOp::Min, up, down)?;
    c.with(BinaryOp::Add, distance, low)
}

/// The elements of a table `[batch.., plane, channels]` at the neighbours along all spatial axes, weighed:
/// `[lead.., taps, taps.., channels]`. `base` is added to the position of the outermost axis.
fn gathered(
    c: &mut Call<'_, '_>,
    table: ValueId,
    batch_dims: usize,
    axes: &[(Neighbours, Extent)],
    base: Option<ValueId>,
) -> Step {
    let mut index = base;
    let (mut weight, mut inside) = (None, None);
    for (i, (own, extent)) in axes.iter().enumerate() {
        let lead = c.rank(own.index)? as i64 - 1;
        let others: Vec<i64> =
            (0..axes.len() as i64).filter(|&axis| axis != i as i64).map(|axis| lead + axis).collect();
        let position = c.unsqueeze(own.index, &others)?;
        index = Some(match index {
            None => position,
            Some(outer) => {
                let size = c.cast(extent.size, DType::I32)?;
                let outer = c.binary(BinaryOp::Mul, outer, size)?;
                c.binary(BinaryOp::Add, outer, position)?
            }
        });
        for (all, own, op) in
            [(&mut weight, own.weight, BinaryOp::Mul), (&mut inside, own.inside, BinaryOp::And)]
        {
            let Some(own) = own else { continue };
            let own = c.unsqueeze(own, &others)?;
            *all = Some(match *all {
                None => own,
                Some(before) => c.binary(op, before, own)?,
            });
        }
    }
    let index = index.ok_or("it has no spatial axes")?;
    let rank = c.rank(index)? as i64;
    let tuples = c.unsqueeze(index, &[rank])?;
    let mut values = c.emit(Op::GatherNd { batch_dims }, &[table, tuples])?;
    if let Some(inside) = inside {
        let (inside, zero) = (c.unsqueeze(inside, &[rank])?, c.scalar_like(values, 0.0)?);
        values = c.select(inside, values, zero)?;
    }
    if let Some(weight) = weight {
        let weight = c.unsqueeze(weight, &[rank])?;
        values = c.binary(BinaryOp::Mul, values, weight)?;
    }
    Ok(values)
}

/// The product of the dimensions `from..to` as a list of one.
fn area(c: &mut Call<'_, '_>, x: ValueId, from: usize, to: usize) -> Step {
    let dims = c.emit(Op::Shape { start: from as i64, end: Some(to as i64) }, &[x])?;
    c.reduce(ReduceOp::Prod, dims, &[0], Keep::Dims)
}

/// x `[n, c, spatial..]`, grid `[n, out.., axes]` with coordinates from −1 to 1, the innermost axis first.
fn grid_sample(c: &mut Call<'_, '_>) -> Built {
    let (x, grid) = (c.input(0)?, c.input(1)?);
    let a = c.attributes();
    let curve = match a.text("mode")? {
        None | Some("linear" | "bilinear") => Some(Curve::Linear),
        Some("cubic" | "bicubic") => Some(Curve::Cubic(-0.75)),
        Some("nearest") => None,
        Some(other) => return Err(format!("mode `{other}` is not known")),
    };
    let centers = a.flag("align_corners", false)?;
    let beyond = match a.text("padding_mode")? {
        None | Some("zeros") => Beyond::Zeros,
        Some("border") => Beyond::Border,
        Some("reflection") => Beyond::Reflection { centers },
        Some(other) => return Err(format!("padding_mode `{other}` is not known")),
    };
    let (rank, of_grid, dtype) = (c.rank(x)?, c.rank(grid)?, c.dtype(x)?);
    if rank < 3 || of_grid != rank {
        return Err(format!(
            "an input of rank {rank} and a grid of rank {of_grid} do not fit; both need one rank of at least 3"
        ));
    }
    let spatial = rank - 2;
    let compute = if curve.is_some() { c.interpolated(x)? } else { DType::F32 };
    let (batch, points) = (c.dim(grid, 0)?, area(c, grid, 1, rank - 1)?);
    let components = c.ints(&[spatial as i64])?;
    let grid_points = c.reshape(grid, &[batch, points, components])?;
    let grid_points = c.cast(grid_points, compute)?;
    let mut axes = Vec::with_capacity(spatial);
    for axis in 0..spatial {
        let extent = Extent::of(c, x, 2 + axis, compute)?;
        let component = (spatial - 1 - axis) as i64;
        let normal = c.cut(grid_points, 2, component, component + 1)?;
        let normal = c.squeeze(normal, &[2])?;
        let coordinate = coordinate(c, normal, extent, curve, (centers, beyond))?;
        axes.push((neighbours(c, coordinate, extent, curve, beyond)?, extent));
    }
    let (channels, plane) = (c.dim(x, 1)?, area(c, x, 2, rank)?);
    let images = c.dim(x, 0)?;
    let table = c.reshape(x, &[images, channels, plane])?;
    let table = c.permute(table, &[0, 2, 1])?;
    let table = if curve.is_some() { c.cast(table, compute)? } else { table };
    let values = gathered(c, table, 1, &axes, None)?;
    let taps: Vec<i64> = (2..2 + spatial as i64).collect();
    let samples = if curve.is_some() {
        let sum = c.reduce(ReduceOp::Sum, values, &taps, Keep::None)?;
        c.interpolated_as(sum, dtype)?
    } else {
        c.squeeze(values, &taps)?
    };
    let samples = c.permute(samples, &[0, 2, 1])?;
    let mut shape = vec![batch, channels];
    for axis in 1..rank - 1 {
        shape.push(c.dim(grid, axis)?);
    }
    Ok(vec![c.reshape(samples, &shape)?])
}

/// A coordinate from −1 to 1 in elements, moved into the axis where that is done before its neighbours are looked for.
fn coordinate(
    c: &mut Call<'_, '_>,
    normal: ValueId,
    extent: Extent,
    curve: Option<Curve>,
    (centers, beyond): (bool, Beyond),
) -> Step {
    let moved = c.with(BinaryOp::Add, normal, 1.0)?;
    let last = c.with(BinaryOp::Sub, extent.float, 1.0)?;
    let mut x = if centers {
        let half = c.with(BinaryOp::Mul, moved, 0.5)?;
        c.binary(BinaryOp::Mul, half, last)?
    } else {
        let scaled = c.binary(BinaryOp::Mul, moved, extent.float)?;
        let less = c.with(BinaryOp::Sub, scaled, 1.0)?;
        c.with(BinaryOp::Mul, less, 0.5)?
    };
    if curve.is_none() {
        x = c.unary(UnaryOp::Round, x)?;
    }
    match beyond {
        Beyond::Zeros => Ok(x),
        Beyond::Reflection { centers } => reflected(c, x, extent, centers),
        Beyond::Border => {
            let edge = if centers { 0.0 } else { 0.5 };
            let (zero, end) = (c.scalar_like(x, 0.0)?, c.with(BinaryOp::Add, last, edge)?);
            let (below, above) = (c.with(BinaryOp::Less, x, -edge)?, c.binary(BinaryOp::Greater, x, end)?);
            let x = c.select(above, last, x)?;
            c.select(below, zero, x)
        }
    }
}

/// theta `[n, axes, axes + 1]` applied to the centres of all elements of a plane, or to points that are spread from edge to
/// edge.
fn affine_grid(c: &mut Call<'_, '_>) -> Built {
    let (theta, size) = (c.input(0)?, c.input(1)?);
    let corners = c.attributes().flag("align_corners", false)?;
    let spatial = match c.len(size)? {
        len @ (4 | 5) => len - 2,
        len => return Err(format!("its size has {len} elements, but 4 (2 axes) or 5 (3 axes) are needed")),
    };
    c.at_least(size, 0, "a dimension of its size")?;
    let compute = c.dtype(theta)?;
    let spread: Vec<i64> = (1..=spatial as i64).collect();
    let mut columns = Vec::with_capacity(spatial + 1);
    for column in 0..=spatial as i64 {
        let column = c.cut(theta, 2, column, column + 1)?;
        let column = c.squeeze(column, &[2])?;
        columns.push(c.unsqueeze(column, &spread)?);
    }
    let mut grid = columns[spatial];
    for axis in 0..spatial {
        let length = c.element(size, 2 + axis)?;
        let at = c.positions(length)?;
        let twice = c.with(BinaryOp::Mul, at, 2.0)?;
        let less = c.with(BinaryOp::Sub, length, 1.0)?;
        let number = c.binary(BinaryOp::Sub, twice, less)?;
        let whole = if corners { c.with(BinaryOp::Max, less, 1.0)? } else { length };
        let (number, whole) = (c.cast(number, compute)?, c.cast(whole, compute)?);
        let at = c.binary(BinaryOp::Div, number, whole)?;
        let others: Vec<i64> = (0..spatial as i64 + 2).filter(|&i| i != 1 + axis as i64).collect();
        let at = c.unsqueeze(at, &others)?;
        let part = c.binary(BinaryOp::Mul, columns[spatial - 1 - axis], at)?;
        grid = c.binary(BinaryOp::Add, grid, part)?;
    }
    Ok(vec![grid])
}

/// Boxes as `[boxes, 4]`, each pooled to `output_height × output_width` cells of `sampling_ratio²` samples.
fn roi_align(c: &mut Call<'_, '_>) -> Built {
    let (x, boxes, images) = (c.input(0)?, c.input(1)?, c.input(2)?);
    let a = c.attributes();
    let pool = match a.text("mode")? {
        None | Some("avg") => ReduceOp::Mean,
        Some("max") => ReduceOp::Max,
        Some(other) => return Err(format!("mode `{other}` is not known")),
    };
    let half_pixel = match a.text("coordinate_transformation_mode")? {
        None => c.opset() >= 16,
        Some("half_pixel") => true,
        Some("output_half_pixel") => false,
        Some(other) => return Err(format!("coordinate_transformation_mode `{other}` is not known")),
    };
    let count = |name: &str, default: i64| match a.int_or(name, default)? {
        v @ 1..=4096 => Ok(v),
        v => Err(format!("attribute `{name}` is {v}, but must be from 1 to 4096")),
    };
    let (height, width) = (count("output_height", 1)?, count("output_width", 1)?);
    let samples = count("sampling_ratio", 0).map_err(|reason| {
        format!("{reason}; with 0 the number of samples depends on the boxes, export the model with a number")
    })?;
    let (scale, dtype, rank) = (a.float_or("spatial_scale", 1.0)?, c.dtype(x)?, c.rank(x)?);
    if rank != 4 {
        return Err(format!("an input of rank {rank} has no boxes; rank 4 is needed"));
    }
    if c.rank(boxes)? != 2 || c.size(boxes, 1)?.is_some_and(|ends| ends != 4) {
        return Err(
            "its boxes must be [boxes, 4]: x and y where each begins, x and y where it ends".to_owned()
        );
    }
    let compute = c.interpolated(x)?;
    let boxes = c.cast(boxes, compute)?;
    let boxes = c.with(BinaryOp::Mul, boxes, scale.into())?;
    let boxes = if half_pixel { c.with(BinaryOp::Sub, boxes, 0.5)? } else { boxes };
    // Cells of an axis as [boxes, cells, samples]; both axes together as [boxes, height, width, samples, samples].
    let mut axes = Vec::with_capacity(2);
    for (axis, cells, others) in [(2, height, [2, 4]), (3, width, [1, 3])] {
        let extent = Extent::of(c, x, axis, compute)?;
        let at = cells_of(c, boxes, 3 - axis as i64, (cells, samples), half_pixel)?;
        let at = c.unsqueeze(at, &others)?;
        let below = c.with(BinaryOp::GreaterOrEqual, at, -1.0)?;
        let above = c.binary(BinaryOp::LessOrEqual, at, extent.float)?;
        let inside = c.binary(BinaryOp::And, below, above)?;
        let (zero, last) = (c.scalar_like(at, 0.0)?, c.with(BinaryOp::Sub, extent.float, 1.0)?);
        let at = c.clamped(at, zero, last)?;
        let mut own = neighbours(c, at, extent, Some(Curve::Linear), Beyond::Border)?;
        own.inside = Some(c.unsqueeze(inside, &[5])?);
        axes.push((own, extent));
    }
    let (channels, plane) = (c.dim(x, 1)?, area(c, x, 2, 4)?);
    let batch = c.dim(x, 0)?;
    let rows = c.binary(BinaryOp::Mul, batch, plane)?;
    let table = c.permute(x, &[0, 2, 3, 1])?;
    let table = c.reshape(table, &[rows, channels])?;
    let table = c.cast(table, compute)?;
    let images = c.cast(images, DType::I32)?;
    let images = c.unsqueeze(images, &[1, 2, 3, 4, 5, 6])?;
    let values = gathered(c, table, 0, &axes, Some(images))?;
    let pooled = match pool {
        // Of the largest sample each of its four weighed neighbours counts for itself.
        ReduceOp::Max => c.reduce(ReduceOp::Max, values, &[3, 4, 5, 6], Keep::None)?,
        _ => {
            let sum = c.reduce(ReduceOp::Sum, values, &[3, 4, 5, 6], Keep::None)?;
            c.with(BinaryOp::Div, sum, (samples * samples) as f64)?
        }
    };
    let pooled = c.permute(pooled, &[0, 3, 1, 2])?;
    Ok(vec![c.interpolated_as(pooled, dtype)?])
}

/// Where the samples of the cells lie along an axis: `[boxes, cells, samples]`. A box has its low ends first, x before y.
fn cells_of(
    c: &mut Call<'_, '_>,
    boxes: ValueId,
    component: i64,
    (cells, samples): (i64, i64),
    half_pixel: bool,
) -> Step {
    let start = c.cut(boxes, 1, component, component + 1)?;
    let end = c.cut(boxes, 1, component + 2, component + 3)?;
    let mut length = c.binary(BinaryOp::Sub, end, start)?;
    if !half_pixel {
        length = c.with(BinaryOp::Max, length, 1.0)?;
    }
    let cell = c.with(BinaryOp::Div, length, cells as f64)?;
    let (start, cell) = (c.unsqueeze(start, &[2])?, c.unsqueeze(cell, &[2])?);
    let compute = c.dtype(boxes)?;
    let (cells, samples_list): (Vec<i64>, Vec<i64>) = ((0..cells).collect(), (0..samples).collect());
    let (cells, each) = (c.ints(&cells)?, c.ints(&samples_list)?);
    let (cells, each) = (c.cast(cells, compute)?, c.cast(each, compute)?);
    let each = c.with(BinaryOp::Add, each, 0.5)?;
    let cells = c.unsqueeze(cells, &[1])?;
    let first = c.binary(BinaryOp::Mul, cells, cell)?;
    let first = c.binary(BinaryOp::Add, start, first)?;
    let within = c.binary(BinaryOp::Mul, each, cell)?;
    let within = c.with(BinaryOp::Div, within, samples as f64)?;
    c.binary(BinaryOp::Add, first, within)
}

/// A convolution whose taps are moved: x `[n, c, spatial..]`, w `[m, c / groups, kernel..]`,
/// offsets `[n, offset groups · taps · axes, out..]`, a bias, and a mask `[n, offset groups · taps, out..]`.
fn deform_conv(c: &mut Call<'_, '_>) -> Built {
    let (x, w, offset) = (c.input(0)?, c.input(1)?, c.input(2)?);
    let weight = c.shape(w)?;
    let kernel = c.kernel(&weight)?;
    let (spatial, rank) = (kernel.len(), c.rank(x)?);
    if rank != spatial + 2 || weight.len() != rank || c.rank(offset)? != rank {
        return Err(format!(
            "operands of rank {rank} are needed for a kernel of {spatial} axes, one for each plus 2"
        ));
    }
    let groups = c.groups()? as i64;
    let moved = c.attributes().int_or("offset_group", 1)?;
    if moved < 1 {
        return Err("attribute `offset_group` must be at least 1".to_owned());
    }
    let taps: usize = kernel.iter().product();
    let compute = c.interpolated(x)?;
    let dtype = c.dtype(x)?;
    let (batch, channels) = (c.dim(x, 0)?, c.dim(x, 1)?);
    let mut out = Vec::with_capacity(spatial);
    for axis in 0..spatial {
        out.push(c.dim(offset, 2 + axis)?);
    }
    let axes = moved_taps(c, (x, offset), &kernel, (moved, &out), compute)?;
    let (offset_groups, each) = (c.ints(&[moved])?, c.ints(&[taps as i64])?);
    // [n, offset groups, plane, channels of each]
    let (own, plane) = (c.binary(BinaryOp::Div, channels, offset_groups)?, area(c, x, 2, rank)?);
    let table = c.reshape(x, &[batch, offset_groups, own, plane])?;
    let table = c.permute(table, &[0, 1, 3, 2])?;
    let table = c.cast(table, compute)?;
    let values = gathered(c, table, 2, &axes, None)?;
    let lead = 3 + spatial as i64;
    let summed: Vec<i64> = (lead..lead + spatial as i64).collect();
    // [n, offset groups, taps, out.., channels of each]
    let mut values = c.reduce(ReduceOp::Sum, values, &summed, Keep::None)?;
    if let Some(mask) = c.optional(4)? {
        let mask = c.cast(mask, compute)?;
        let shape: Vec<ValueId> =
            [batch, offset_groups, each].into_iter().chain(out.iter().copied()).collect();
        let mask = c.reshape(mask, &shape)?;
        let mask = c.unsqueeze(mask, &[lead])?;
        values = c.binary(BinaryOp::Mul, values, mask)?;
    }
    let order: Vec<usize> = [0, 1, 3 + spatial, 2].into_iter().chain(3..3 + spatial).collect();
    let columns = c.permute(values, &order)?;
    let (count, all) = (c.ints(&[groups])?, c.binary(BinaryOp::Mul, channels, each)?);
    let inner = c.binary(BinaryOp::Div, all, count)?;
    let points = area(c, offset, 2, rank)?;
    let columns = c.reshape(columns, &[batch, count, inner, points])?;
    let outputs = c.dim(w, 0)?;
    let per_group = c.binary(BinaryOp::Div, outputs, count)?;
    let w = c.reshape(w, &[count, per_group, inner])?;
    let w = c.cast(w, compute)?;
    let product = c.emit(Op::MatMul, &[w, columns])?;
    let shape: Vec<ValueId> = [batch, outputs].into_iter().chain(out).collect();
    let y = c.reshape(product, &shape)?;
    let y = c.cast(y, dtype)?;
    match c.optional(3)? {
        None => Ok(vec![y]),
        Some(bias) => {
            let bias = c.per_channel(bias, spatial)?;
            Ok(vec![c.binary(BinaryOp::Add, y, bias)?])
        }
    }
}

/// The neighbours of all taps along each axis: lead is `[n, offset groups, taps, out..]`.
fn moved_taps(
    c: &mut Call<'_, '_>,
    (x, offset): (ValueId, ValueId),
    kernel: &[usize],
    (moved, out): (i64, &[ValueId]),
    compute: DType,
) -> Result<Vec<(Neighbours, Extent)>, String> {
    let (spatial, window) = (kernel.len(), c.window(kernel.to_vec())?);
    let bayplan_graph::op::Pads::Explicit(pads) = &window.pads else {
        return Err("auto_pad is not defined for it".to_owned());
    };
    let taps: usize = kernel.iter().product();
    let batch = c.dim(x, 0)?;
    let counts = c.ints(&[moved, taps as i64, spatial as i64])?;
    let shape: Vec<ValueId> = [batch, counts].into_iter().chain(out.iter().copied()).collect();
    let offset = c.reshape(offset, &shape)?;
    let offset = c.cast(offset, compute)?;
    let mut axes = Vec::with_capacity(spatial);
    for axis in 0..spatial {
        let extent = Extent::of(c, x, 2 + axis, compute)?;
        let own = c.cut(offset, 3, axis as i64, axis as i64 + 1)?;
        let own = c.squeeze(own, &[3])?;
        // Where each tap lies in the kernel, taps counted from the innermost axis.
        let inner: usize = kernel[axis + 1..].iter().product();
        let places: Vec<i64> = (0..taps)
            .map(|tap| (tap / inner % kernel[axis] * window.dilations[axis]) as i64 - pads[axis])
            .collect();
        let places = c.ints(&places)?;
        let outputs = c.positions(out[axis])?;
        let steps = c.with(BinaryOp::Mul, outputs, window.strides[axis] as f64)?;
        let others: Vec<i64> = (1..=spatial as i64).collect();
        let places = c.unsqueeze(places, &others)?;
        let others: Vec<i64> = (0..=spatial as i64).filter(|&i| i != 1 + axis as i64).collect();
        let steps = c.unsqueeze(steps, &others)?;
        let regular = c.binary(BinaryOp::Add, places, steps)?;
        let regular = c.cast(regular, compute)?;
        let at = c.binary(BinaryOp::Add, own, regular)?;
        axes.push((neighbours(c, at, extent, Some(Curve::Linear), Beyond::Zeros)?, extent));
    }
    Ok(axes)
}
