//! Resizing, one axis after the other.
//!
//! Positions are fractions of integers, so that they fall on or between elements exactly as the definition says, whatever
//! the division of a device is worth:
//!
//! ```text
//!  output o of an axis   (a · o + b) / whole  =  floor + rest / whole        elements floor − reach + 1 ..= floor + reach
//!
//!  with `sizes`   scale = output / input                            with `scales`   scale = up / 2ⁿ, which every f32 is
//! ```

use bayplan_graph::op::{BinaryOp, Keep, ReduceOp, UnaryOp};
use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use super::interpolate::Curve;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] =
    &[Row::new("Resize", 10, resize).says(&[3]), Row::new("Upsample", 7, upsample)];

type Step = Result<ValueId, String>;

/// Where the elements of an output lie in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    HalfPixelForNearest,
    AlignCorners,
    Asymmetric,
    Crop,
}

/// Which neighbour is the nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nearest {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
}

/// What the attributes say.
#[derive(Clone, Copy, Debug)]
struct Settings {
    /// `None`: the nearest element.
    curve: Option<Curve>,
    coordinates: Coordinates,
    nearest: Nearest,
    antialias: bool,
    exclude_outside: bool,
    extrapolation: f64,
}

/// One axis; its sizes and the scale `up / down` are integers, lists of one.
#[derive(Clone, Copy, Debug)]
struct Extent {
    axis: usize,
    input: ValueId,
    output: ValueId,
    up: ValueId,
    down: ValueId,
}

/// Where the outputs of an axis lie: `floor + rest / whole`, with `0 <= rest < whole`.
struct Place {
    floor: ValueId,
    rest: ValueId,
    whole: ValueId,
    /// Which of them get the extrapolation value.
    outside: Option<ValueId>,
}

/// Scales are an attribute before opset 9, then an input.
fn upsample(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let scales = match (c.opset() < 9, c.attributes().floats("scales")?) {
        (true, Some(list)) => {
            let list = bayplan_graph::Tensor::from_f32(vec![list.len()], list).map_err(|e| e.to_string())?;
            c.builder.constant(&list)?
        }
        (true, None) => return Err("attribute `scales` is missing".to_owned()),
        (false, _) => c.input(1)?,
    };
    let axes: Vec<usize> = (0..c.rank(x)?).collect();
    let extents = scaled(c, x, &axes, scales)?;
    let settings = simple(c)?;
    Ok(vec![resized(c, x, &extents, settings, None)?])
}

/// The first versions know one way only.
fn simple(c: &Call<'_, '_>) -> Result<Settings, String> {
    let curve = match c.attributes().text("mode")? {
        None | Some("nearest") => None,
        Some("linear" | "bilinear") => Some(Curve::Linear),
        Some(other) => return Err(format!("mode `{other}` is not known")),
    };
    Ok(Settings {
        curve,
        coordinates: Coordinates::Asymmetric,
        nearest: Nearest::Floor,
        antialias: false,
        exclude_outside: false,
        extrapolation: 0.0,
    })
}

fn settings(c: &Call<'_, '_>) -> Result<Settings, String> {
    let a = c.attributes();
    let curve = match a.text("mode")? {
        None | Some("nearest") => None,
        Some("linear") => Some(Curve::Linear),
        Some("cubic") => Some(Curve::Cubic(a.float_or("cubic_coeff_a", -0.75)?)),
        Some(other) => return Err(format!("mode `{other}` is not known")),
    };
    let coordinates = match a.text("coordinate_transformation_mode")? {
        None | Some("half_pixel") => Coordinates::HalfPixel,
        Some("half_pixel_symmetric") => Coordinates::HalfPixelSymmetric,
        Some("pytorch_half_pixel") => Coordinates::PytorchHalfPixel,
        Some("tf_half_pixel_for_nn") => Coordinates::HalfPixelForNearest,
        Some("align_corners") => Coordinates::AlignCorners,
        Some("asymmetric") => Coordinates::Asymmetric,
        Some("tf_crop_and_resize") => Coordinates::Crop,
        Some(other) => return Err(format!("coordinate_transformation_mode `{other}` is not known")),
    };
    let nearest = match a.text("nearest_mode")? {
        None | Some("round_prefer_floor") => Nearest::PreferFloor,
        Some("round_prefer_ceil") => Nearest::PreferCeil,
        Some("floor") => Nearest::Floor,
        Some("ceil") => Nearest::Ceil,
        Some(other) => return Err(format!("nearest_mode `{other}` is not known")),
    };
    let antialias = a.flag("antialias", false)?;
    if antialias && curve.is_none() {
        return Err("antialias is defined for linear and cubic interpolation only".to_owned());
    }
    let exclude_outside = a.flag("exclude_outside", false)?;
    let extrapolation = a.float_or("extrapolation_value", 0.0)?.into();
    Ok(Settings { curve, coordinates, nearest, antialias, exclude_outside, extrapolation })
}

fn resize(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let rank = c.rank(x)?;
    let axes = match c.attributes().ints("axes")? {
        Some(list) => bayplan_graph::axes(list, rank).map_err(|e| e.to_string())?,
        None => (0..rank).collect(),
    };
    if c.opset() < 11 {
        let (scales, settings) = (c.input(1)?, simple(c)?);
        let extents = scaled(c, x, &axes, scales)?;
        return Ok(vec![resized(c, x, &extents, settings, None)?]);
    }
    let settings = settings(c)?;
    // In opset 11 and 12 scales that do not count are an empty list.
    let scales = c.optional(2)?.filter(|&scales| c.len(scales) != Ok(0));
    let extents = match (scales, c.optional(3)?) {
        (None, Some(sizes)) => sized(c, x, &axes, sizes)?,
        (Some(scales), None) => scaled(c, x, &axes, scales)?,
        (Some(_), Some(_)) => return Err("it has both scales and sizes; export it with one".to_owned()),
        (None, None) => return Err("it has neither scales nor sizes".to_owned()),
    };
    let roi = match settings.coordinates {
        Coordinates::Crop => {
            let roi = c.input(1)?;
            listed(c, roi, "roi", 2 * axes.len())?;
            Some(roi)
        }
        _ => None,
    };
    Ok(vec![resized(c, x, &extents, settings, roi)?])
}

fn listed(c: &Call<'_, '_>, list: ValueId, what: &str, wanted: usize) -> Result<(), String> {
    match c.len(list)? {
        len if len == wanted => Ok(()),
        len => Err(format!("{what} has {len} elements, but the axes need {wanted}")),
    }
}

/// The axes by their sizes.
fn sized(c: &mut Call<'_, '_>, x: ValueId, axes: &[usize], sizes: ValueId) -> Result<Vec<Extent>, String> {
    listed(c, sizes, "sizes", axes.len())?;
    c.at_least(sizes, 0, "a size")?;
    let mut extents = Vec::with_capacity(axes.len());
    for (i, &axis) in axes.iter().enumerate() {
        let (input, output) = (c.dim(x, axis)?, c.element(sizes, i)?);
        extents.push(Extent { axis, input, output, up: output, down: input });
    }
    let prefer = match c.attributes().text("keep_aspect_ratio_policy")? {
        None | Some("stretch") => return Ok(extents),
        Some("not_larger") => BinaryOp::Less,
        Some("not_smaller") => BinaryOp::Greater,
        Some(other) => return Err(format!("keep_aspect_ratio_policy `{other}` is not known")),
    };
    // The smallest (largest) of the ratios is that of all axes; a/b < c/d where a · d < c · b.
    let Some(&Extent { mut up, mut down, .. }) = extents.first() else { return Ok(extents) };
    for extent in &extents[1..] {
        let own = c.binary(BinaryOp::Mul, extent.up, down)?;
        let best = c.binary(BinaryOp::Mul, up, extent.down)?;
        let better = c.binary(prefer, own, best)?;
        (up, down) = (c.select(better, extent.up, up)?, c.select(better, extent.down, down)?);
    }
    for extent in &mut extents {
        // input · up / down, rounded, halves up
        let product = c.binary(BinaryOp::Mul, extent.input, up)?;
        let twice = c.with(BinaryOp::Mul, product, 2.0)?;
        let moved = c.binary(BinaryOp::Add, twice, down)?;
        let by = c.with(BinaryOp::Mul, down, 2.0)?;
        extent.output = c.binary(BinaryOp::Div, moved, by)?;
        (extent.up, extent.down) = (up, down);
    }
    Ok(extents)
}

/// Bits after the point that are kept of scales which are known at run time only.
const POINT: u32 = 32;

/// The axes by their scales: constants as exact fractions; others are read when the model runs.
fn scaled(c: &mut Call<'_, '_>, x: ValueId, axes: &[usize], scales: ValueId) -> Result<Vec<Extent>, String> {
    listed(c, scales, "scales", axes.len())?;
    let mut extents = Vec::with_capacity(axes.len());
    if let Some(list) = c.numbers(scales) {
        for (&axis, &scale) in axes.iter().zip(&list) {
            let (up, down) = fraction(scale)?;
            let (input, up, down) = (c.dim(x, axis)?, c.ints(&[up])?, c.ints(&[down])?);
            let product = c.binary(BinaryOp::Mul, input, up)?;
            let output = c.binary(BinaryOp::Div, product, down)?;
            extents.push(Extent { axis, input, output, up, down });
        }
        return Ok(extents);
    }
    // In f64 the products of dimensions and scales are exact.
    let mut dims = Vec::with_capacity(axes.len());
    for &axis in axes {
        dims.push(c.dim(x, axis)?);
    }
    let dims = c.join(&dims)?;
    let (wide, by) = (c.cast(dims, DType::F64)?, c.cast(scales, DType::F64)?);
    let product = c.binary(BinaryOp::Mul, wide, by)?;
    let floor = c.unary(UnaryOp::Floor, product)?;
    let outputs = c.cast(floor, DType::I64)?;
    let outputs = c.sized(outputs)?;
    let moved = c.with(BinaryOp::Mul, scales, f64::from(POINT).exp2())?;
    let (ups, down) = (c.cast(moved, DType::I64)?, c.ints(&[1 << POINT])?);
    for (i, &axis) in axes.iter().enumerate() {
        let input = c.dim(x, axis)?;
        let (output, up) = (c.element(outputs, i)?, c.element(ups, i)?);
        extents.push(Extent { axis, input, output, up, down });
    }
    Ok(extents)
}

/// A scale as a fraction whose denominator is a power of two; of very small ones 40 bits after the point are kept.
fn fraction(scale: f64) -> Result<(i64, i64), String> {
    const FINEST: u32 = 40;
    if !(2e-12..=65536.0).contains(&scale) {
        return Err(format!("a scale is {scale}, but must be from 2e-12 to 65536"));
    }
    let up = (scale * f64::from(FINEST).exp2()).round() as i64;
    let spare = up.trailing_zeros().min(FINEST);
    Ok((up >> spare, 1 << (FINEST - spare)))
}

fn resized(
    c: &mut Call<'_, '_>,
    x: ValueId,
    extents: &[Extent],
    settings: Settings,
    roi: Option<ValueId>,
) -> Step {
    let dtype = c.dtype(x)?;
    let compute = if settings.curve.is_some() { c.interpolated(x)? } else { DType::F32 };
    let mut y = if settings.curve.is_some() { c.cast(x, compute)? } else { x };
    for (i, extent) in extents.iter().enumerate() {
        let roi = match roi {
            None => None,
            Some(roi) => Some([c.element(roi, i)?, c.element(roi, extents.len() + i)?]),
        };
        y = along(c, y, *extent, settings, roi, compute)?;
    }
    if settings.curve.is_some() { c.interpolated_as(y, dtype) } else { Ok(y) }
}

/// One axis.
fn along(
    c: &mut Call<'_, '_>,
    x: ValueId,
    extent: Extent,
    settings: Settings,
    roi: Option<[ValueId; 2]>,
    compute: DType,
) -> Step {
    if roi.is_none() && c.same_list(extent.up, extent.down) {
        return Ok(x);
    }
    let rank = c.rank(x)?;
    if c.known(extent.input) == Some(vec![1]) {
        // All its neighbours are the only element.
        let mut shape = vec![c.ints(&[1])?; rank];
        shape[extent.axis] = extent.output;
        let shape = c.concat(0, &shape)?;
        return c.expand(x, shape);
    }
    if let Some(times) = repeats(c, extent, settings) {
        return c.repeated(x, extent.axis, times);
    }
    let place = match roi {
        Some(roi) => cropped(c, extent, roi, compute)?,
        None => place(c, extent, settings.coordinates)?,
    };
    let y = match settings.curve {
        None => nearest(c, x, extent, &place, settings.nearest)?,
        Some(curve) => weighted(c, x, extent, &place, curve, settings, compute)?,
    };
    let Some(outside) = place.outside else { return Ok(y) };
    let trailing: Vec<i64> = (1..(rank - extent.axis) as i64).collect();
    let (outside, value) = (c.unsqueeze(outside, &trailing)?, c.scalar_like(y, settings.extrapolation)?);
    c.select(outside, value, y)
}

/// How often each element is repeated, if that is all there is to do.
fn repeats(c: &Call<'_, '_>, extent: Extent, settings: Settings) -> Option<i64> {
    let (up, down) = (c.known(extent.up)?, c.known(extent.down)?);
    let (&[up], &[down]) = (up.as_slice(), down.as_slice()) else { return None };
    let times = up.checked_div(down).filter(|times| times.checked_mul(down) == Some(up) && *times > 0)?;
    let rounds = matches!(settings.nearest, Nearest::PreferFloor | Nearest::PreferCeil);
    let fits = match settings.coordinates {
        Coordinates::Asymmetric | Coordinates::HalfPixelForNearest => settings.nearest == Nearest::Floor,
        Coordinates::HalfPixel | Coordinates::HalfPixelSymmetric | Coordinates::PytorchHalfPixel => rounds,
        Coordinates::AlignCorners | Coordinates::Crop => false,
    };
    (settings.curve.is_none() && fits).then_some(times)
}

/// Where the outputs lie by the sizes and the scale alone.
fn place(c: &mut Call<'_, '_>, extent: Extent, coordinates: Coordinates) -> Result<Place, String> {
    let Extent { input, output, up, down, .. } = extent;
    let at = c.positions(output)?;
    let less = c.with(BinaryOp::Sub, input, 1.0)?;
    let (steps, offset, whole) = match coordinates {
        Coordinates::Asymmetric | Coordinates::Crop => (down, None, up),
        Coordinates::AlignCorners => {
            let length = c.binary(BinaryOp::Mul, input, up)?;
            let span = c.binary(BinaryOp::Sub, length, down)?;
            // A single output lies on the first element.
            (c.binary(BinaryOp::Mul, less, down)?, None, c.with(BinaryOp::Max, span, 1.0)?)
        }
        _ => {
            let offset = match coordinates {
                Coordinates::HalfPixelForNearest => down,
                Coordinates::HalfPixelSymmetric => {
                    // (1 − output) · down + (input − 1) · up
                    let one = c.ints(&[1])?;
                    let over = c.binary(BinaryOp::Sub, one, output)?;
                    let over = c.binary(BinaryOp::Mul, over, down)?;
                    let span = c.binary(BinaryOp::Mul, less, up)?;
                    c.binary(BinaryOp::Add, over, span)?
                }
                _ => c.binary(BinaryOp::Sub, down, up)?,
            };
            (c.with(BinaryOp::Mul, down, 2.0)?, Some(offset), c.with(BinaryOp::Mul, up, 2.0)?)
        }
    };
    let mut number = c.binary(BinaryOp::Mul, at, steps)?;
    if let Some(offset) = offset {
        number = c.binary(BinaryOp::Add, number, offset)?;
    }
    if coordinates == Coordinates::PytorchHalfPixel {
        let (many, zero) = (c.with(BinaryOp::Greater, output, 1.0)?, c.ints(&[0])?);
        number = c.select(many, number, zero)?;
    }
    let rest = c.binary(BinaryOp::Mod, number, whole)?;
    let below = c.binary(BinaryOp::Sub, number, rest)?;
    Ok(Place { floor: c.binary(BinaryOp::Div, below, whole)?, rest, whole, outside: None })
}

/// Where the outputs lie in a part of the axis that runs from one float to another:
/// `(input − 1) · (start · span + o · (end − start) · down) / span` with `span = input · up − down`, which is `output − 1` times
/// `down`.
fn cropped(c: &mut Call<'_, '_>, extent: Extent, roi: [ValueId; 2], compute: DType) -> Result<Place, String> {
    let Extent { input, output, up, down, .. } = extent;
    let (start, end) = (c.cast(roi[0], compute)?, c.cast(roi[1], compute)?);
    let length = c.binary(BinaryOp::Mul, input, up)?;
    let span = c.binary(BinaryOp::Sub, length, down)?;
    let less = c.with(BinaryOp::Sub, input, 1.0)?;
    let at = c.positions(output)?;
    let [span, less, at, down] = [span, less, at, down].map(|v| c.cast(v, compute));
    let (span, less, at, down) = (span?, less?, at?, down?);
    // A single output lies in the middle.
    let (single, one) = (c.with(BinaryOp::Equal, span, 0.0)?, c.scalar(compute, 1.0)?);
    let both = c.binary(BinaryOp::Add, start, end)?;
    let middle = c.with(BinaryOp::Mul, both, 0.5)?;
    let width = c.binary(BinaryOp::Sub, end, start)?;
    let step = c.binary(BinaryOp::Mul, width, down)?;
    let moved = c.binary(BinaryOp::Mul, at, step)?;
    let first = c.binary(BinaryOp::Mul, start, span)?;
    let many = c.binary(BinaryOp::Add, moved, first)?;
    let part = c.select(single, middle, many)?;
    let span = c.select(single, one, span)?;
    let scaled = c.binary(BinaryOp::Mul, part, less)?;
    // Before the division, which need not be exact.
    let (below, limit) = (c.with(BinaryOp::Less, scaled, 0.0)?, c.binary(BinaryOp::Mul, span, less)?);
    let above = c.binary(BinaryOp::Greater, scaled, limit)?;
    let outside = c.binary(BinaryOp::Or, below, above)?;
    let exact = c.binary(BinaryOp::Div, scaled, span)?;
    let zero = c.scalar(compute, 0.0)?;
    let within = c.clamped(exact, zero, less)?;
    let floor = c.unary(UnaryOp::Floor, within)?;
    let rest = c.binary(BinaryOp::Sub, within, floor)?;
    Ok(Place { floor: c.cast(floor, DType::I64)?, rest, whole: one, outside: Some(outside) })
}

fn inside(c: &mut Call<'_, '_>, index: ValueId, input: ValueId) -> Step {
    let (zero, last) = (c.ints(&[0])?, c.with(BinaryOp::Sub, input, 1.0)?);
    c.clamped(index, zero, last)
}

fn nearest(c: &mut Call<'_, '_>, x: ValueId, extent: Extent, place: &Place, mode: Nearest) -> Step {
    let next = match mode {
        Nearest::Floor => None,
        Nearest::Ceil => Some(c.with(BinaryOp::Greater, place.rest, 0.0)?),
        Nearest::PreferFloor | Nearest::PreferCeil => {
            let twice = c.with(BinaryOp::Mul, place.rest, 2.0)?;
            let op = if mode == Nearest::PreferCeil { BinaryOp::GreaterOrEqual } else { BinaryOp::Greater };
            Some(c.binary(op, twice, place.whole)?)
        }
    };
    let index = match next {
        None => place.floor,
        Some(next) => {
            let above = c.with(BinaryOp::Add, place.floor, 1.0)?;
            c.select(next, above, place.floor)?
        }
    };
    let index = inside(c, index, extent.input)?;
    c.emit(Op::Gather { axis: extent.axis as i64 }, &[x, index])
}

/// Elements on each side that count: those of the curve, which antialiasing stretches where the axis gets smaller.
fn reach(c: &mut Call<'_, '_>, extent: Extent, curve: Curve, antialias: bool) -> Step {
    let own = c.ints(&[curve.reach()])?;
    if !antialias {
        return Ok(own);
    }
    // ⌈reach / scale⌉; scales that are read at run time are at least output / input.
    let known = c.listed(extent.up) && c.listed(extent.down);
    let (up, down) = if known { (extent.up, extent.down) } else { (extent.output, extent.input) };
    let up = c.with(BinaryOp::Max, up, 1.0)?;
    let wide = c.binary(BinaryOp::Mul, down, own)?;
    let wide = c.binary(BinaryOp::Add, wide, up)?;
    let wide = c.with(BinaryOp::Sub, wide, 1.0)?;
    let wide = c.binary(BinaryOp::Div, wide, up)?;
    c.binary(BinaryOp::Max, wide, own)
}

/// The neighbours of each output as an axis of their own, weighed and added up.
fn weighted(
    c: &mut Call<'_, '_>,
    x: ValueId,
    extent: Extent,
    place: &Place,
    curve: Curve,
    settings: Settings,
    compute: DType,
) -> Step {
    let (rest, whole) = (c.cast(place.rest, compute)?, c.cast(place.whole, compute)?);
    let part = c.binary(BinaryOp::Div, rest, whole)?;
    let (part, floor) = (c.unsqueeze(part, &[1])?, c.unsqueeze(place.floor, &[1])?);
    let reach = reach(c, extent, curve, settings.antialias)?;
    let count = c.with(BinaryOp::Mul, reach, 2.0)?;
    let steps = c.positions(count)?;
    let less = c.with(BinaryOp::Sub, reach, 1.0)?;
    let offsets = c.binary(BinaryOp::Sub, steps, less)?;
    let index = c.binary(BinaryOp::Add, floor, offsets)?;
    let offsets = c.cast(offsets, compute)?;
    let distance = c.binary(BinaryOp::Sub, offsets, part)?;
    let mut distance = c.unary(UnaryOp::Abs, distance)?;
    if settings.antialias {
        let (up, down) = (c.cast(extent.up, compute)?, c.cast(extent.down, compute)?);
        let scale = c.binary(BinaryOp::Div, up, down)?;
        let scale = c.with(BinaryOp::Min, scale, 1.0)?;
        distance = c.binary(BinaryOp::Mul, distance, scale)?;
    }
    let mut weights = c.weights(curve, distance)?;
    let clamped = inside(c, index, extent.input)?;
    if settings.exclude_outside {
        let (kept, zero) = (c.binary(BinaryOp::Equal, clamped, index)?, c.scalar_like(weights, 0.0)?);
        weights = c.select(kept, weights, zero)?;
    }
    if settings.antialias || settings.exclude_outside {
        weights = c.normalized(weights)?;
    }
    let neighbours = c.emit(Op::Gather { axis: extent.axis as i64 }, &[x, clamped])?;
    let trailing: Vec<i64> = (2..(c.rank(x)? - extent.axis) as i64 + 1).collect();
    let weights = c.unsqueeze(weights, &trailing)?;
    let products = c.binary(BinaryOp::Mul, neighbours, weights)?;
    c.reduce(ReduceOp::Sum, products, &[extent.axis as i64 + 1], Keep::None)
}
