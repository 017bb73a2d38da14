//! Tensors added, removed, resized, moved, or living longer or shorter.

use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Names;
use crate::schema::plan_record::{BufferRecord, PlanRecord};

/// A tensor that is not the same in both plans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TensorDiff {
    /// Its number in the first plan; `None` if it was added.
    pub a: Option<u32>,
    /// Its number in the second plan; `None` if it was removed.
    pub b: Option<u32>,
    /// Its size in both, in bytes; 0 where it is not.
    pub sizes: (u64, u64),
    /// Whether it is in both, under another name.
    pub renamed: bool,
    /// Whether it is in both, and its sizes differ.
    pub resized: bool,
    /// Whether it is in both, at another offset or in another arena.
    pub moved: bool,
    /// Whether it is in both, and is born or dies at another op.
    pub relived: bool,
}

impl TensorDiff {
    /// Whether it is in the second plan alone.
    pub fn is_added(&self) -> bool {
        self.a.is_none()
    }

    /// Whether it is in the first plan alone.
    pub fn is_removed(&self) -> bool {
        self.b.is_none()
    }

    /// Bytes that it has more in the second plan.
    pub fn growth(&self) -> i128 {
        i128::from(self.sizes.1) - i128::from(self.sizes.0)
    }
}

/// How many tensors differ, and in what. One that was resized may have moved, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TensorCounts {
    /// In the second plan alone.
    pub added: usize,
    /// In the first plan alone.
    pub removed: usize,
    /// In both, under another name.
    pub renamed: usize,
    /// In both, with another size.
    pub resized: usize,
    /// In both, elsewhere.
    pub moved: usize,
    /// In both, born or dying at another op.
    pub relived: usize,
    /// In both, the same.
    pub unchanged: usize,
}

pub(super) fn tensors(a: &PlanRecord, b: &PlanRecord, names: &Names) -> (Vec<TensorDiff>, TensorCounts) {
    let mut counts = TensorCounts::default();
    let mut found = Vec::new();
    for (at, (own, other)) in (0..).zip(b.buffers.iter().zip(&names.buffers.a_of_b)) {
        let before = other.and_then(|other| Some((other, a.buffers.get(other as usize)?)));
        let Some((other, before)) = before else {
            counts.added += 1;
            found.push(TensorDiff { b: Some(at), sizes: (0, own.size), ..TensorDiff::default() });
            continue;
        };
        let change = compare((a, b), names, before, own);
        let change = TensorDiff { a: Some(other), b: Some(at), ..change };
        counts.renamed += usize::from(change.renamed);
        counts.resized += usize::from(change.resized);
        counts.moved += usize::from(change.moved);
        counts.relived += usize::from(change.relived);
        if change.renamed || change.resized || change.moved || change.relived {
            found.push(change);
        } else {
            counts.unchanged += 1;
        }
    }
    for (at, (own, other)) in (0..).zip(a.buffers.iter().zip(&names.buffers.b_of_a)) {
        if other.is_none() {
            counts.removed += 1;
            found.push(TensorDiff { a: Some(at), sizes: (own.size, 0), ..TensorDiff::default() });
        }
    }
    let largest = |tensor: &TensorDiff| Reverse(tensor.sizes.0.max(tensor.sizes.1));
    // Stable: equals stay in the order of the plans.
    found.sort_by_key(|tensor| (Reverse(tensor.growth().unsigned_abs()), largest(tensor)));
    (found, counts)
}

fn compare(
    plans: (&PlanRecord, &PlanRecord),
    names: &Names,
    a: &BufferRecord,
    b: &BufferRecord,
) -> TensorDiff {
    let same_arena = names.arenas.b_of_a.get(a.arena as usize) == Some(&Some(b.arena));
    TensorDiff {
        sizes: (a.size, b.size),
        renamed: a.name != b.name,
        resized: a.size != b.size,
        moved: !same_arena || a.offset != b.offset,
        relived: lives_otherwise(plans, names, a, b),
        ..TensorDiff::default()
    }
}

/// Whether a tensor is born or dies at another op. From the start on and to the end are the same in any two plans; an op
/// that is in one plan alone is another one than all of the other's.
fn lives_otherwise(
    (plan_a, plan_b): (&PlanRecord, &PlanRecord),
    names: &Names,
    a: &BufferRecord,
    b: &BufferRecord,
) -> bool {
    let same = |a: u32, b: u32| names.ops.b_of_a.get(a as usize).copied().flatten() == Some(b);
    let ends = |plan: &PlanRecord, buffer: &BufferRecord| buffer.last as usize >= plan.ops.len();
    let born = (a.first == 0 && b.first == 0) || same(a.first, b.first);
    let last = |buffer: &BufferRecord| buffer.last.saturating_sub(1);
    let dies = match (ends(plan_a, a), ends(plan_b, b)) {
        (true, true) => true,
        (false, false) => same(last(a), last(b)),
        _ => false,
    };
    !(born && dies)
}
