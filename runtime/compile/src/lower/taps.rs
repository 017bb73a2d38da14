//! Convolutions as matrix products, for types that no kernel for windows has: the taps of every pixel as a column.
//!
//! ```text
//!  image [n, c, spatial..]  ─ view ─►  [n, groups, c / groups, kernel.., out..]  ─ copy ─►  columns [n, groups, k, pixels]
//!  weights [groups, filters of each, k] · columns  =  [n, groups, filters of each, pixels]
//! ```

use bayplan_graph::Node;
use bayplan_graph::op::Window;
use bayplan_shaders::{ElementwiseSpec, Spec};

use super::Lowerer;
use super::contract::{merged, padding};
use super::elementwise::constant;
use crate::size::Size;
use crate::view::{View, elements, same};

pub(super) fn conv(
    lowerer: &mut Lowerer<'_>,
    node: &Node,
    window: &Window,
    groups: usize,
) -> Result<Vec<View>, String> {
    let (x, w) = (lowerer.view(node.inputs[0])?, lowerer.view(node.inputs[1])?);
    let (dtype, out) = (x.dtype, lowerer.shape(node.outputs[0])?);
    let image = padded(lowerer, x, window, &out)?;
    // With results to make only what is summed over can be empty.
    if elements(&image.shape[1..]) == 0 || elements(&w.shape[1..]) == 0 {
        return Ok(vec![lowerer.filled(dtype, 0, &out)?]);
    }
    let (batch, per_group, groups) = (out[0], w.shape[1], Size::from(groups));
    let (filters, pixels) = (out[1] / groups, elements(&out[2..]));
    let terms = elements(&w.shape[1..]);
    let columns = columns(&image, &w, window, &out, groups);
    let columns = lowerer.packed(&columns);
    let columns = lowerer.reshaped(&columns, &[batch, groups, per_group * elements(&w.shape[2..]), pixels]);
    let w = lowerer.packed(&w);
    let w = lowerer.reshaped(&w, &[Size::ONE, groups, filters, terms]);
    let w = w.expand(&[batch, groups, filters, terms]);
    let spec = merged(dtype, &w, &columns, &[batch, groups], [filters, pixels, terms]);
    Ok(vec![lowerer.emit(Spec::MatMul(spec), vec![w, columns], dtype, out)?])
}

/// The image with its padding, which negative amounts crop.
fn padded(lowerer: &mut Lowerer<'_>, mut x: View, window: &Window, out: &[Size]) -> Result<View, String> {
    let mut shape = x.shape.clone();
    let mut starts = Vec::new();
    for axis in 2..x.shape.len() {
        let [before, after] = padding(window, axis - 2, x.shape[axis], out[axis]);
        let (front, back) = (-before.min(0), -after.min(0));
        x = x.slice(axis, front, 1, (x.shape[axis] - front - back).max(0));
        shape[axis] = x.shape[axis] + before.max(0) + after.max(0);
        starts.push(before.max(0));
    }
    if same(&x.shape, &shape) {
        return Ok(x);
    }
    let whole = lowerer.fresh(x.dtype, shape.clone())?;
    let fill = ElementwiseSpec { shape, chain: constant(x.dtype, 0), in_place: None };
    lowerer.push(Spec::Elementwise(fill), Vec::new(), &whole, true);
    let base = starts.iter().zip(&whole.strides[2..]).map(|(&start, &stride)| start * stride).sum();
    lowerer.copy_into(&x, &whole, base, true);
    Ok(whole)
}

/// `[n, groups, c / groups, kernel.., out..]` as a view of the image, whose elements it repeats.
fn columns(image: &View, w: &View, window: &Window, out: &[Size], groups: Size) -> View {
    let (per_group, spatial) = (w.shape[1], &image.strides[2..]);
    let steps = |list: &[usize]| -> Vec<Size> {
        list.iter().zip(spatial).map(|(&step, &stride)| Size::from(step) * stride).collect()
    };
    let (channel, first) = (image.strides[1], [image.shape[0], groups, per_group]);
    let strides = [image.strides[0], per_group * channel, channel];
    View {
        shape: [&first, &w.shape[2..], &out[2..]].concat(),
        strides: [&strides[..], &steps(&window.dilations), &steps(&window.strides)].concat(),
        ..image.clone()
    }
}
