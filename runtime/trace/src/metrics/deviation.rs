//! How far what was seen lies from what was planned, in bytes and ops.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::schema::plan_record::BufferKind;
use crate::schema::storage::roots;
use crate::timeline::plan_state::{Actual, PlanState, taken};

/// The difference between the live sets seen and planned. A live set holds pairs of buffer and byte: a byte that
/// lives for another buffer than planned counts on both sides.
///
/// A buffer's seen bytes are the span of its windows within the bytes planned for it, from the first to the last op
/// that touches them; inputs live from the first op on, outputs to the last, and what is resident throughout. The
/// windows of views count for the buffer they look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deviation {
    /// For each op, the bytes seen that the plan does not have there. 0 at every op of a run that keeps to its plan.
    pub excess: Vec<u64>,
    /// For each op, the bytes planned that no window shows there: reserved, and not used.
    pub unseen: Vec<u64>,
    /// Buffers touched after their planned end, the latest first.
    pub late: Vec<Lateness>,
}

/// A buffer that was held longer than planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    /// The buffer.
    pub buffer: u32,
    /// Its planned end: one past its last op.
    pub planned: u32,
    /// One past the last op that touches it.
    pub seen: u32,
}

impl Lateness {
    /// Ops between the planned end and the end that was seen.
    pub fn ops(&self) -> u32 {
        self.seen.saturating_sub(self.planned)
    }
}

impl Deviation {
    /// Bytes of the symmetric difference at an op.
    pub fn at(&self, op: u32) -> u64 {
        let excess = self.excess.get(op as usize).copied().unwrap_or(0);
        excess.saturating_add(self.unseen.get(op as usize).copied().unwrap_or(0))
    }

    /// The op with the largest symmetric difference, and its bytes; `None` where all are 0.
    pub fn largest(&self) -> Option<(u32, u64)> {
        let ops = 0..self.excess.len() as u32;
        // The first of equals.
        ops.map(|op| (op, self.at(op)))
            .filter(|(_, bytes)| *bytes > 0)
            .max_by_key(|&(op, bytes)| (bytes, core::cmp::Reverse(op)))
    }

    /// The most bytes in excess at any op.
    pub fn max_excess(&self) -> u64 {
        self.excess.iter().copied().max().unwrap_or(0)
    }
}

/// Compares what was seen with the plan, over all arenas. `None` before any window was seen: then nothing is known.
/// Time and memory grow with buffers + ops.
pub fn deviation(state: &PlanState) -> Option<Deviation> {
    state.recording?;
    let plan = &state.record;
    let ops = plan.ops.len();
    let mut curves = Curves { excess: alloc::vec![0; ops + 1], unseen: alloc::vec![0; ops + 1] };
    let lives = StorageLives::new(state);
    for (index, buffer) in plan.buffers.iter().enumerate() {
        if buffer.alias_of.is_none() {
            curves.compare(buffer.size, (buffer.first, buffer.last), lives.at(index));
        }
    }
    for stray in &state.strays {
        curves.add_excess(stray.seen.end - stray.seen.offset, (stray.seen.first, stray.seen.last));
    }
    let (excess, unseen) = (sums(curves.excess), sums(curves.unseen));
    Some(Deviation { excess, unseen, late: late(state) })
}

/// What was seen of each storage, with the ops during which its bytes are taken.
pub(crate) struct StorageLives<'a> {
    state: &'a PlanState,
    /// With the windows of views put to what they look at; only where there are views.
    merged: Option<Cow<'a, [Option<Actual>]>>,
}

impl<'a> StorageLives<'a> {
    pub(crate) fn new(state: &'a PlanState) -> Self {
        let mut lives = Self { state, merged: None };
        if state.has_views {
            let mut merged: Vec<Option<Actual>> = alloc::vec![None; state.record.buffers.len()];
            for (index, root) in roots(&state.record).into_iter().enumerate() {
                let Some(seen) = lives.at(index) else { continue };
                let slot = &mut merged[root as usize];
                *slot = Some(slot.map_or(seen, |before| before.join(seen)));
            }
            lives.merged = Some(merged.into());
        }
        lives
    }

    /// As [`StorageLives::new`], with what [`StorageLives::into_merged`] gave before.
    pub(crate) fn with_merged(state: &'a PlanState, merged: Option<&'a [Option<Actual>]>) -> Self {
        Self { state, merged: merged.map(Cow::Borrowed) }
    }

    /// What was put together of views and what they look at; nothing where there are no views.
    pub(crate) fn into_merged(self) -> Option<Vec<Option<Actual>>> {
        self.merged.map(Cow::into_owned)
    }

    /// Of a buffer; `None` for a view and for what was not seen.
    pub(crate) fn at(&self, index: usize) -> Option<Actual> {
        if let Some(merged) = &self.merged {
            return *merged.get(index)?;
        }
        let seen = (*self.state.actual.get(index)?)?;
        let record = &self.state.record;
        let (first, last) = taken(&record.buffers[index], record.ops.len() as u32, seen);
        Some(Actual { first, last, ..seen })
    }
}

fn late(state: &PlanState) -> Vec<Lateness> {
    let mut found: Vec<Lateness> = (0..)
        .zip(state.actual.iter())
        .zip(&state.record.buffers)
        .filter_map(|((buffer, seen), record)| {
            let seen = seen.as_ref()?.last;
            let late = Lateness { buffer, planned: record.last, seen };
            let resident = matches!(record.kind, BufferKind::Weight | BufferKind::Constant);
            (!resident && late.ops() > 0).then_some(late)
        })
        .collect();
    found.sort_unstable_by_key(|late| (core::cmp::Reverse(late.ops()), late.buffer));
    found
}

/// Differences from op to op, whose running sums are the curves.
struct Curves {
    excess: Vec<u64>,
    unseen: Vec<u64>,
}

impl Curves {
    fn compare(&mut self, size: u64, planned: (u32, u32), seen: Option<Actual>) {
        let Some(seen) = seen else { return add(&mut self.unseen, size, planned) };
        // Seen bytes are within the planned ones, so a difference is never larger than the size.
        let bytes = (seen.end - seen.offset).min(size);
        let both = (planned.0.max(seen.first), planned.1.min(seen.last));
        if both.0 >= both.1 {
            add(&mut self.unseen, size, planned);
            self.add_excess(bytes, (seen.first, seen.last));
            return;
        }
        add(&mut self.unseen, size, (planned.0, both.0));
        add(&mut self.unseen, size - bytes, both);
        add(&mut self.unseen, size, (both.1, planned.1));
        self.add_excess(bytes, (seen.first, both.0));
        self.add_excess(bytes, (both.1, seen.last));
    }

    fn add_excess(&mut self, bytes: u64, ops: (u32, u32)) {
        add(&mut self.excess, bytes, ops);
    }
}

/// Wrapping, since a sum of u64 differences comes out right.
fn add(curve: &mut [u64], bytes: u64, (first, last): (u32, u32)) {
    let (first, last) = (first as usize, last as usize);
    if first < last && last < curve.len() {
        curve[first] = curve[first].wrapping_add(bytes);
        curve[last] = curve[last].wrapping_sub(bytes);
    }
}

fn sums(mut curve: Vec<u64>) -> Vec<u64> {
    let mut sum = 0u64;
    for value in &mut curve {
        sum = sum.wrapping_add(*value);
        *value = sum;
    }
    curve.pop();
    curve
}

/// For each buffer, bytes reserved that no window reached; the whole size where it was never seen. `None` before any
/// window was seen. Views are part of what they look at and have none of their own.
pub fn reserved_unused(state: &PlanState) -> Option<Vec<u64>> {
    state.recording?;
    let lives = StorageLives::new(state);
    let unused = state.record.buffers.iter().enumerate().map(|(index, buffer)| {
        let used = lives.at(index).map_or(0, |seen| seen.end - seen.offset);
        if buffer.alias_of.is_some() { 0 } else { buffer.size.saturating_sub(used) }
    });
    Some(unused.collect())
}
