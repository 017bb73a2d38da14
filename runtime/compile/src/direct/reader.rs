//! Readers: operations whose operands lie where a copy would put them.

use bayplan_shaders::{CopySpec, Spec};

use super::moved::{Dim, Moved, is_run};
use super::why::Why;
use super::writer::{Side, refine, view};
use super::{Place, rebase};
use crate::lowered::{Operation, TensorId};
use crate::size::Size;
use crate::view::{View, elements};

/// The operation, reading a tensor where it was moved to.
pub(super) fn moved(
    operation: &Operation,
    from: TensorId,
    by: &Moved,
    to: &Place<'_>,
) -> Result<Operation, Why> {
    moved_some(operation, from, by, to, |_| true)
}

/// The operation, some of whose operands' views of a tensor, in the dimensions in which they are read, lie elsewhere.
pub(super) fn moved_some(
    operation: &Operation,
    from: TensorId,
    by: &Moved,
    to: &Place<'_>,
    which: impl Fn(&View) -> bool,
) -> Result<Operation, Why> {
    let mut made = operation.clone();
    let name = || Why::Reader(to.name(operation.output));
    for slot in 0..made.operands.len() {
        if made.operands[slot].tensor == from && which(&shown(&made, slot)) {
            operand(&mut made, slot, by, to).ok_or_else(name)?;
        }
    }
    Ok(made)
}

/// What an operation reads of an operand.
pub(super) fn shown(operation: &Operation, slot: usize) -> View {
    let view = operation.operands[slot].clone();
    match &operation.spec {
        Spec::Copy(spec) => View {
            base: view.base + spec.x_base,
            shape: spec.shape.clone(),
            strides: spec.x_strides.clone(),
            ..view
        },
        _ => view,
    }
}

/// The dimensions over which an operand is read through strides, and which it is of a chain's operands, if it is one.
fn over(spec: &Spec<Size>, slot: usize) -> Option<(Vec<Size>, Option<usize>)> {
    let number = rebase::operand(spec, slot);
    let shape = match spec {
        Spec::Elementwise(s) => s.shape.clone(),
        Spec::MatMul(s) if slot == 0 => [&s.batch[..], &[s.m, s.k]].concat(),
        Spec::MatMul(s) if slot == 1 => [&s.batch[..], &[s.k, s.n]].concat(),
        Spec::MatMul(s) => [&s.batch[..], &[s.m, s.n]].concat(),
        Spec::Conv(s) => vec![s.batch, s.filters, s.output[0], s.output[1]],
        Spec::Reduce(s) => vec![s.outer, s.inner],
        Spec::Normalize(s) => vec![s.rows, s.len],
        _ => return None,
    };
    (number.is_some() || matches!(spec, Spec::MatMul(_))).then_some((shape, number))
}

/// An operand's strides over these dimensions.
fn strides(spec: &mut Spec<Size>, slot: usize, number: Option<usize>) -> Option<&mut Vec<Size>> {
    match (spec, number) {
        (Spec::MatMul(s), None) => Some(if slot == 0 { &mut s.a_strides } else { &mut s.b_strides }),
        (spec, Some(number)) => Some(&mut spec.chain_mut()?.operands.get_mut(number)?.strides),
        _ => None,
    }
}

fn operand(made: &mut Operation, slot: usize, by: &Moved, to: &Place<'_>) -> Option<()> {
    let old = made.operands[slot].clone();
    if let Spec::Copy(spec) = &mut made.spec {
        let dims: Vec<Dim> = spec.shape.iter().copied().zip(spec.x_strides.iter().copied()).collect();
        let found = by.find(old.base + spec.x_base, &dims)?;
        refine(spec, &found.dims, Side::X);
        made.operands[slot] = read(spec, &old, to, found.first);
        return Some(());
    }
    let Some((shape, number)) = over(&made.spec, slot) else {
        made.operands[slot] = run(&old, by, to)?;
        return Some(());
    };
    let strides = strides(&mut made.spec, slot, number)?;
    let dims: Vec<Dim> = shape.iter().copied().zip(strides.iter().copied()).collect();
    let found = by.find(old.base, &dims)?;
    // Matrices have no base of their own; chains' operands do.
    if number.is_none() && !to.begins(found.first) {
        return None;
    }
    *strides = found.whole()?;
    made.operands[slot] = view(&old, to, found.first, &shape, strides);
    Some(())
}

/// What a copy reads from an element on, and no more: other parts of the tensor may not be there yet.
fn read(spec: &mut CopySpec<Size>, old: &View, to: &Place<'_>, first: Size) -> View {
    let reach = |steps: fn(Size) -> Size| -> Size {
        let dims = spec.shape.iter().zip(&spec.x_strides);
        dims.map(|(&size, &stride)| steps((size - 1).max(0) * stride)).sum()
    };
    let (low, high) = (first + reach(|steps| steps.min(0)), first + reach(|steps| steps.max(0)));
    let base = to.window_before(low);
    spec.x_base = first - base;
    view(old, to, base, &[high + 1 - base], &[Size::ONE])
}

/// An operand that is read as a run of elements.
fn run(old: &View, by: &Moved, to: &Place<'_>) -> Option<View> {
    let count = elements(&old.shape);
    let found = by.find(old.base, &[(count, Size::ONE)])?;
    let even = is_run(&found.flat());
    (old.is_contiguous() && even && to.begins(found.first)).then(|| View {
        tensor: to.tensor,
        base: found.first,
        ..old.clone()
    })
}
