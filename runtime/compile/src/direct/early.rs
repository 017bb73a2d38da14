//! Copies of what is there from the beginning, such as past keys and values, early enough to cost no barrier.
//!
//! ```text
//!  matmul k │ rope k ─► present[p..] │ copy past ─► present[..p] │ attention        three intervals, past alive in all
//!  copy past ─► present[..p], matmul k │ rope k ─► present[p..] │ attention         two
//! ```
//!
//! Whoever writes another part of the same tensor waits for what it reads; a copy before that is in an interval of its own
//! between barriers that are there anyway, and its source dies sooner.

use bayplan_shaders::Spec;

use super::{Uses, free};
use crate::lowered::{Lowered, Origin};

/// Moves each copy of an input to before the operation for which the first writer of another part waits.
pub(super) fn hoist(lowered: &mut Lowered) {
    let uses = Uses::of(lowered);
    let place = |index: usize| before(lowered, &uses, index).filter(|&at| at < index);
    let places: Vec<(usize, bool)> = (0..lowered.operations.len())
        .map(|index| place(index).map_or((index, true), |at| (at, false)))
        .collect();
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&index| places[index]);
    let mut operations: Vec<_> = std::mem::take(&mut lowered.operations).into_iter().map(Some).collect();
    lowered.operations = order.into_iter().filter_map(|index| operations[index].take()).collect();
}

/// The operation before which a copy of an input can go; `None` if it is none, or nobody else writes its result.
fn before(lowered: &Lowered, uses: &Uses, index: usize) -> Option<usize> {
    let copy = &lowered.operations[index];
    let (Spec::Copy(_), [source]) = (&copy.spec, &copy.operands[..]) else { return None };
    let given = matches!(lowered.tensor(source.tensor).origin, Origin::Input);
    let first = *uses.writers[copy.output.index()].iter().find(|&&writer| writer != index)?;
    if !given || free(lowered, uses, index).is_err() {
        return None;
    }
    let reads = &lowered.operations[first].operands;
    let makers = reads.iter().flat_map(|view| &uses.writers[view.tensor.index()]).copied();
    Some(makers.filter(|&maker| maker < first).max().unwrap_or(first))
}
