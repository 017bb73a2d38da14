//! The figures that pictures and reports show of a plan, each computed here and nowhere else.
//!
//! ```text
//!  arena end ┌──────────┐
//!            │ tail     │  above the topmost live byte
//!            ├──────────┤
//!            │ live C   │
//!            ├──────────┤  ← next multiple of the alignment above B is here or beyond: all padding
//!            │ padding  │
//!            ├──────────┤
//!            │ live B   │
//!            ├──────────┤
//!            │ hole     │  from the next multiple of the alignment up to B: an aligned buffer would fit
//!            ├ ─ ─ ─ ─ ─┤
//!            │ padding  │  from A's end to the next multiple of the alignment: no buffer can begin here
//!            ├──────────┤
//!            │ live A   │
//!          0 └──────────┘  one op, the peak: arena = live + padding + holes + tail
//! ```

pub(crate) mod deviation;
pub(crate) mod holdings;
pub(crate) mod live_curve;
pub(crate) mod live_now;
mod load_words;
pub(crate) mod occupancy;
pub(crate) mod op_groups;
pub(crate) mod roofline;
#[cfg(test)]
mod tests;
pub(crate) mod timings;
pub(crate) mod trend;

use alloc::vec::Vec;

use crate::metrics::live_curve::live_curves;
use crate::metrics::live_now::bytes_between_runs;
use crate::schema::plan_record::{ArenaRecord, PlanRecord};
use crate::schema::storage::counted;

/// (size − lower bound) / lower bound. `None` where the bound is 0 and the size is not: no ratio says it.
pub fn waste(size: u64, lower_bound: u64) -> Option<f64> {
    match (size, lower_bound) {
        (size, bound) if size == bound => Some(0.0),
        (_, 0) => None,
        (size, bound) => Some((size as f64 - bound as f64) / bound as f64),
    }
}

/// What is known of one arena of a plan from the plan alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArenaMetrics {
    /// Bytes that live at each op.
    pub live: Vec<u64>,
    /// The op at which the most bytes live: the bound's witness if it is such an op, else the first. `None` without
    /// ops or live bytes.
    pub peak_op: Option<u32>,
    /// Bytes that live there.
    pub peak_live: u64,
    /// The first op at which the fewest bytes live. `None` without ops.
    pub least_op: Option<u32>,
    /// Bytes that live there.
    pub least_live: u64,
    /// Sum of the live bytes over all ops.
    pub live_sum: u128,
    /// Bytes that live before the first run, and behind one: see [`lives_at`](crate::lives_at).
    pub between: (u64, u64),
    /// See [`waste`].
    pub waste: Option<f64>,
    /// How the arena is used at the peak.
    pub loss: Loss,
}

impl ArenaMetrics {
    /// live / size at an op; 0 for an arena without bytes and past the last op.
    pub fn utilisation(&self, arena: &ArenaRecord, op: u32) -> f64 {
        match (self.live.get(op as usize), arena.size) {
            (Some(&live), size) if size > 0 => live as f64 / size as f64,
            _ => 0.0,
        }
    }

    /// The smallest share of the arena that lives at any op; `None` without ops or bytes.
    pub fn least_utilisation(&self, arena: &ArenaRecord) -> Option<f64> {
        self.least_op.filter(|_| arena.size > 0).map(|op| self.utilisation(arena, op))
    }

    /// How much of the arena × ops is live: Σ size · life / (arena · ops), views and what is in place counted once. `None`
    /// without ops or bytes.
    pub fn area_efficiency(&self, arena: &ArenaRecord) -> Option<f64> {
        let area = u128::from(arena.size) * self.live.len() as u128;
        (area > 0).then(|| self.live_sum as f64 / area as f64)
    }
}

/// How an arena's bytes are used at one op. The four parts sum to the arena's size, exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Bytes covered by live buffers. Bytes that two buffers share count once.
    pub live: u64,
    /// Bytes between live buffers in which no buffer can begin: from the end of one up to the next multiple of the
    /// arena's alignment, or up to the next buffer where that comes first.
    pub padding: u64,
    /// The other bytes between live buffers, and those below the lowest.
    pub holes: u64,
    /// Bytes above the topmost live buffer.
    pub tail: u64,
    /// Number of stretches that `holes` is made of.
    pub hole_count: u64,
    /// The longest of them.
    pub largest_hole: u64,
    /// The most bytes that one more buffer could have here, if it lived at this op alone: the longest hole, or the tail from its
    /// first aligned byte on.
    pub largest_fit: u64,
}

impl Loss {
    pub(crate) fn add_hole(&mut self, bytes: u64) {
        self.holes += bytes;
        self.hole_count += u64::from(bytes > 0);
        self.largest_hole = self.largest_hole.max(bytes);
    }
}

/// The figures of every arena of a plan. Time and memory grow with buffers + arenas × ops.
pub fn arena_metrics(plan: &PlanRecord) -> Vec<ArenaMetrics> {
    let curves = live_curves(plan);
    let between = bytes_between_runs(plan);
    plan.arenas
        .iter()
        .zip(curves)
        .zip(between)
        .zip(0..)
        .map(|(((arena, live), between), number)| {
            let peak_live = live.iter().copied().max().unwrap_or(0);
            let is_peak = |op: &u32| live.get(*op as usize) == Some(&peak_live);
            let first = || live.iter().position(|&bytes| bytes == peak_live).map(|op| op as u32);
            let peak_op = arena.witness_op.filter(is_peak).or_else(first).filter(|_| peak_live > 0);
            let loss = match peak_op {
                Some(op) => loss_at(plan, number, op),
                None => occupancy::split(arena.size, arena.alignment, core::iter::empty(), |_| {}),
            };
            let least = (0u32..).zip(&live).min_by_key(|&(op, &bytes)| (bytes, op));
            let (least_op, least_live) = (least.map(|(op, _)| op), least.map_or(0, |(_, &bytes)| bytes));
            let live_sum = live.iter().map(|&bytes| u128::from(bytes)).sum();
            let waste = waste(arena.size, arena.lower_bound);
            ArenaMetrics { live, peak_op, peak_live, least_op, least_live, live_sum, between, waste, loss }
        })
        .collect()
}

/// How the bytes of an arena are used at an op.
pub fn loss_at(plan: &PlanRecord, arena: u32, op: u32) -> Loss {
    let Some(record) = plan.arenas.get(arena as usize) else { return Loss::default() };
    let mut live = occupancy::live_ranges(plan, arena, op);
    live.sort_unstable();
    occupancy::split(record.size, record.alignment, live.into_iter(), |_| {})
}

/// The buffers whose bytes count at an op, largest first. Views are left out, and of two buffers that share bytes in
/// place the one that comes after, so that the sizes add up to the live bytes of that op.
pub fn live_at(plan: &PlanRecord, arena: u32, op: u32) -> Vec<u32> {
    let counts = |buffer: &crate::BufferRecord| buffer.arena == arena && counted(plan, buffer).contains(&op);
    let mut found: Vec<u32> =
        (0..).zip(&plan.buffers).filter(|(_, buffer)| counts(buffer)).map(|(index, _)| index).collect();
    found.sort_unstable_by_key(|&index| {
        let buffer = &plan.buffers[index as usize];
        (core::cmp::Reverse(buffer.size), buffer.offset, index)
    });
    found
}

/// Why an arena needs what it needs: what lives at its peak.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// The op.
    pub op: u32,
    /// Bytes that live there.
    pub live: u64,
    /// The buffers that live there, largest first.
    pub buffers: Vec<u32>,
}

/// What lives at the peak of an arena; `None` if nothing ever does.
pub fn why_peak(plan: &PlanRecord, arena: u32, metrics: &ArenaMetrics) -> Option<Peak> {
    let op = metrics.peak_op?;
    Some(Peak { op, live: metrics.peak_live, buffers: live_at(plan, arena, op) })
}

/// Why an arena is not smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WhyNotSmaller {
    /// Its size.
    pub size: u64,
    /// No plan for this order of ops is smaller than this.
    pub lower_bound: u64,
    /// The op that proves it.
    pub witness_op: Option<u32>,
    /// Bytes above the bound.
    pub gap: u64,
    /// Whether the size is the bound: only another order of ops, or fewer of them, can lower it.
    pub optimal: bool,
}

/// Why an arena is not smaller.
pub fn why_not_smaller(arena: &ArenaRecord) -> WhyNotSmaller {
    WhyNotSmaller {
        size: arena.size,
        lower_bound: arena.lower_bound,
        witness_op: arena.witness_op,
        gap: arena.size.saturating_sub(arena.lower_bound),
        optimal: arena.size <= arena.lower_bound,
    }
}

/// How torn the free memory of a dynamic pool is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fragmentation {
    /// 1 − largest free range / all free bytes; 0 when nothing is free.
    pub external: f64,
    /// Free bytes.
    pub free: u64,
    /// Number of free ranges.
    pub holes: u64,
    /// The largest of them.
    pub largest: u64,
}

/// The fragmentation of a dynamic pool, from the lengths of its free ranges (neighbours joined).
pub fn fragmentation(free_ranges: impl IntoIterator<Item = u64>) -> Fragmentation {
    let mut found = Fragmentation::default();
    for bytes in free_ranges.into_iter().filter(|&bytes| bytes > 0) {
        found.free = found.free.saturating_add(bytes);
        found.holes += 1;
        found.largest = found.largest.max(bytes);
    }
    if found.free > 0 {
        found.external = 1.0 - found.largest as f64 / found.free as f64;
    }
    found
}
