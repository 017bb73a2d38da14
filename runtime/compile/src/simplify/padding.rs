//! Padding that a window can do itself.

use bayplan_graph::op::{PadMode, Pads, PoolKind, Window};
use bayplan_graph::{DType, Node, Op, ValueId};

use super::Rewriter;

/// A convolution or mean over zeros around an operand, without the padded copy of it.
pub(super) fn rewrite(r: &mut Rewriter<'_>, node: &Node) -> Option<ValueId> {
    let (&output, &x) = (node.outputs.first()?, node.inputs.first()?);
    if !matches!(node.op, Op::Conv(..) | Op::Pool(PoolKind::Average { .. }, _)) {
        return None;
    }
    let pad = r.maker(x).filter(|maker| maker.op == Op::Pad(PadMode::Constant))?;
    let &[inner, amounts, value] = &pad.inputs[..] else { return None };
    if r.uniform(value) != Some(0.0) || r.dtype(output)? != DType::F32 {
        return None;
    }
    let amounts = r.ints(amounts)?;
    let op = match &node.op {
        Op::Conv(window, groups) => Op::Conv(widened(window, &amounts)?, *groups),
        // Elements around the operand count; what hangs over beyond them does not, and there must be none of it.
        Op::Pool(PoolKind::Average { count_pad }, window) if !window.ceil => {
            let plain = matches!(&window.pads, Pads::Explicit(pads) if pads.iter().all(|&pad| pad == 0));
            let window = widened(window, &amounts).filter(|_| plain || *count_pad)?;
            Op::Pool(PoolKind::Average { count_pad: true }, window)
        }
        _ => return None,
    };
    let inputs: Vec<ValueId> = [inner].into_iter().chain(node.inputs[1..].iter().copied()).collect();
    let shape = r.shape(output)?;
    r.emit(op, &inputs, DType::F32, &shape)
}

/// The window with `amounts` (begins, then ends, of all axes) added to its pads; only the spatial axes, and nothing
/// cropped.
fn widened(window: &Window, amounts: &[i64]) -> Option<Window> {
    let Pads::Explicit(pads) = &window.pads else { return None };
    let (spatial, rank) = (window.kernel.len(), amounts.len() / 2);
    let (begins, ends) = amounts.split_at(rank);
    let outer = rank.checked_sub(spatial)?;
    let untouched = begins[..outer].iter().chain(&ends[..outer]).all(|&pad| pad == 0);
    let more = begins[outer..].iter().chain(&ends[outer..]);
    let sums: Vec<i64> = pads.iter().zip(more).map(|(own, more)| own.saturating_add(*more)).collect();
    let grows = pads.iter().chain(amounts).all(|&pad| pad >= 0);
    let fits = sums.len() == 2 * spatial && sums.iter().all(|&pad| pad <= i64::from(i32::MAX));
    (untouched && grows && fits).then(|| Window { pads: Pads::Explicit(sums), ..window.clone() })
}
