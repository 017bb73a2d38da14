//! The copies that a program makes, and why.

use bayplan_shaders::{Repr, Spec};

use crate::alike::Alike;
use crate::lowered::Lowered;
use crate::program::Copied;

/// The copies among operations, in their order; `specs` are those of distinct work at the shape at hand.
pub(crate) fn list(lowered: &Lowered, order: &[usize], alike: &Alike, specs: &[Spec]) -> Vec<Copied> {
    let copied = |(dispatch, &index): (usize, &usize)| {
        let Spec::Copy(spec) = &specs[alike.work(index)] else { return None };
        let elements = spec.shape.iter().copied().fold(1, u64::saturating_mul);
        let bytes = elements.saturating_mul(Repr::of(spec.dtype).map_or(0, Repr::bytes));
        let why = lowered.operations[index].why.as_deref().unwrap_or_default().to_owned();
        Some(Copied { dispatch: dispatch as u32, bytes, why })
    };
    order.iter().enumerate().filter_map(copied).collect()
}
