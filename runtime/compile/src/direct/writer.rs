//! Makers: operations whose results go where a copy would put them.

use bayplan_shaders::{Chain, CopySpec, Layout, Spec, family};

use super::Place;
use super::moved::{Dim, Moved, is_run};
use super::why::Why;
use crate::lowered::Operation;
use crate::size::{Here, Size};
use crate::view::{MAX_PIECES, View, common, elements, restride};

/// The elements of its output that an operation writes, in the order of its result.
pub(super) fn written(operation: &Operation) -> (Size, Vec<Dim>) {
    let start = operation.written.start;
    let dims =
        |shape: &[Size], strides: &[Size]| shape.iter().copied().zip(strides.iter().copied()).collect();
    match (&operation.spec, operation.spec.chain().and_then(|chain| chain.layout.as_ref())) {
        (Spec::Copy(spec), _) => (start + spec.out_base, dims(&spec.shape, &spec.out_strides)),
        (_, Some(layout)) => (start + layout.base, dims(&layout.shape, &layout.strides)),
        _ => (start, vec![(operation.written.end - start, Size::ONE)]),
    }
}

/// The operation, its results moved to another tensor.
pub(super) fn moved(operation: &Operation, by: &Moved, to: &Place<'_>) -> Result<Operation, Why> {
    let (first, dims) = written(operation);
    let found = by.find(first, &dims).ok_or_else(|| maker(operation))?;
    let mut made = operation.clone();
    (made.output, made.partial) = (to.tensor, true);
    if let Spec::Copy(spec) = &mut made.spec {
        refine(spec, &found.dims, Side::Out);
        made.written = to.window(found.first, &found.flat())?;
        spec.out_base = found.first - made.written.start;
        return Ok(made);
    }
    let flat = found.flat();
    let count = flat.iter().map(|&(size, _)| size).product::<Size>();
    // One run from where windows begin to where no next part shares the last vec4.
    if is_run(&flat) && to.begins(found.first) && to.ends(found.first + count) {
        if let Some(chain) = made.spec.chain_mut() {
            chain.layout = None;
        }
        made.written = found.first..found.first + count;
        return Ok(made);
    }
    let (shape, strides) = flat.iter().copied().unzip();
    made.written = to.window(found.first, &flat)?;
    let layout = Layout { base: found.first - made.written.start, shape, strides };
    let why = || if is_run(&flat) { to.begin(found.first) } else { maker(operation) };
    lay(&mut made.spec, &layout).ok_or_else(why)?;
    Ok(made)
}

/// Gives a spec a layout; `None` if its kernels have none, or count through dimensions that the layout cuts across.
fn lay(spec: &mut Spec<Size>, layout: &Layout<Size>) -> Option<()> {
    let own: Vec<Size> = match spec {
        Spec::Elementwise(s) => s.shape.clone(),
        Spec::MatMul(s) => vec![elements(&s.batch), s.m, s.n],
        Spec::Conv(s) => vec![s.batch, s.groups, s.filters / s.groups.max(1), elements(&s.output)],
        Spec::Reduce(s) => vec![s.outer, s.inner],
        Spec::Normalize(s) => vec![s.rows, s.len],
        _ => return None,
    };
    let shape = common(&own, &layout.shape)?;
    let strides = restride(&layout.shape, &layout.strides, &shape)?;
    if let Spec::Elementwise(s) = spec {
        cut(&mut s.chain, &s.shape, &shape)?;
        s.shape.clone_from(&shape);
    }
    spec.chain_mut()?.layout = Some(Layout { base: layout.base, shape, strides });
    Some(())
}

/// Lets a chain's operands be read over pieces of its shape.
fn cut(chain: &mut Chain<Size>, from: &[Size], to: &[Size]) -> Option<()> {
    if to.len() > MAX_PIECES {
        return None;
    }
    for operand in &mut chain.operands {
        operand.strides = restride(from, &operand.strides, to)?;
    }
    Some(())
}

/// Which side of a copy was taken apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    X,
    Out,
}

/// Takes a copy's dimensions apart as one of its sides was, whose strides these are.
pub(super) fn refine(spec: &mut CopySpec<Size>, dims: &[Vec<Dim>], side: Side) {
    let (mut shape, mut x, mut out) = (Vec::new(), Vec::new(), Vec::new());
    for (axis, pieces) in dims.iter().enumerate() {
        for (at, &(size, stride)) in pieces.iter().enumerate() {
            // What lies within a step of this piece.
            let inner = pieces[at + 1..].iter().map(|&(size, _)| size).product::<Size>();
            shape.push(size);
            x.push(if side == Side::X { stride } else { spec.x_strides[axis] * inner });
            out.push(if side == Side::Out { stride } else { spec.out_strides[axis] * inner });
        }
    }
    (spec.shape, spec.x_strides, spec.out_strides) = (shape, x, out);
}

/// The view of a tensor's elements over dimensions.
pub(super) fn view(of: &View, to: &Place<'_>, first: Size, shape: &[Size], strides: &[Size]) -> View {
    View { tensor: to.tensor, dtype: of.dtype, base: first, shape: shape.to_vec(), strides: strides.to_vec() }
}

fn maker(operation: &Operation) -> Why {
    Why::Maker(family(&operation.spec.map(&Here)))
}
