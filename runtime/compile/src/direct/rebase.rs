//! Operands that begin where no window can: the window begins before them, and the chain reads from its base on.

use bayplan_shaders::{Repr, Spec, Target};

use crate::lowered::Operation;
use crate::size::Size;
use crate::view::View;

/// Tells the chains of operations how far beyond their windows' beginnings operands begin.
pub(crate) fn rebase(operations: &mut [Operation], target: &Target) {
    for operation in operations {
        for (slot, view) in operation.operands.iter().enumerate() {
            let Some(number) = operand(&operation.spec, slot) else { continue };
            let chain = operation.spec.chain_mut();
            if let Some(operand) = chain.and_then(|chain| chain.operands.get_mut(number)) {
                operand.base = beyond(view, target);
            }
        }
    }
}

/// How far beyond its window's beginning an operand begins.
pub(crate) fn base(spec: &Spec<Size>, slot: usize) -> Size {
    let of_chain = operand(spec, slot).and_then(|number| spec.chain()?.operands.get(number));
    of_chain.map_or(Size::ZERO, |operand| operand.base)
}

/// Which of its chain's operands an operand of an operation is, if it is one: an epilogue's operand 0 has no view, and the
/// kernel's own operands come before its others.
pub(super) fn operand(spec: &Spec<Size>, slot: usize) -> Option<usize> {
    match spec {
        Spec::Elementwise(_) => Some(slot),
        Spec::MatMul(_) | Spec::BlockMatMul(_) | Spec::Conv(_) => (slot > 1).then(|| slot - 1),
        Spec::Reduce(_) | Spec::Normalize(_) => (slot > 0).then_some(slot),
        _ => None,
    }
}

/// Elements from the last place where a window can begin to a view's first.
fn beyond(view: &View, target: &Target) -> Size {
    let width = Repr::of(view.dtype).map_or(1, Repr::bytes);
    view.base % (target.window_alignment() / width).max(1)
}
