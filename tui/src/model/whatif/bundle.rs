//! Which buffers of an arena lie together, and how.

use std::collections::BTreeMap;

use bayplan_trace::{PlanRecord, Storage};

/// Where a buffer lies within its bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// So many bytes above the lowest of the bundle.
    Above(u64),
    /// Right above another of the arena's buffers: a later piece of the same tensor.
    OnTop(usize),
}

/// Buffers that lie together, by their position among those of the arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bundle {
    pub(super) members: Vec<(usize, Place)>,
}

/// Every buffer of the arena in exactly one bundle; most are alone in theirs.
pub(super) fn bundles(record: &PlanRecord, placed: &[Storage]) -> Vec<Bundle> {
    let below = pieces(record, placed);
    let mut sets = Sets((0..placed.len()).collect());
    for (at, below) in below.iter().enumerate() {
        if let Some(below) = below {
            sets.join(at, *below);
        }
    }
    let positions: BTreeMap<u32, usize> = placed.iter().zip(0..).map(|(row, at)| (row.buffer, at)).collect();
    for (at, row) in placed.iter().enumerate() {
        if let Some(operand) = in_place(record, row, placed, &positions) {
            sets.join(at, operand);
        }
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in 0..placed.len() {
        members.entry(sets.root(at)).or_default().push(at);
    }
    let bundle = |members: Vec<usize>| {
        let lowest = members.iter().map(|&at| placed[at].offset).min().unwrap_or(0);
        let place = |at: usize| below[at].map_or(Place::Above(placed[at].offset - lowest), Place::OnTop);
        Bundle { members: members.into_iter().map(|at| (at, place(at))).collect() }
    };
    members.into_values().map(bundle).collect()
}

/// The operand whose bytes a buffer took over.
pub(super) fn in_place(
    record: &PlanRecord,
    row: &Storage,
    placed: &[Storage],
    positions: &BTreeMap<u32, usize>,
) -> Option<usize> {
    let operand = record.buffers.get(row.buffer as usize)?.in_place_of?;
    let at = *positions.get(&operand)?;
    let other = &placed[at];
    let share = row.offset < other.offset + other.size && other.offset < row.offset + row.size;
    share.then_some(at)
}

/// For each buffer the piece that it lies on, if it is a later piece of the same tensor: `gelu[1]` right above `gelu`.
fn pieces(record: &PlanRecord, placed: &[Storage]) -> Vec<Option<usize>> {
    let name = |row: &Storage| record.buffers.get(row.buffer as usize).map_or("", |buffer| &buffer.name);
    let ends: BTreeMap<(&str, u64), usize> = placed
        .iter()
        .zip(0..)
        .map(|(row, at)| ((name(row), row.offset.saturating_add(row.size)), at))
        .collect();
    let below = |(at, row): (usize, &Storage)| {
        let (tensor, number) = name(row).strip_suffix(']')?.rsplit_once('[')?;
        let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
        let former = format!("{tensor}[{}]", number - 1);
        let former = if number == 1 { tensor } else { &former };
        ends.get(&(former, row.offset)).copied().filter(|below| *below < at)
    };
    placed.iter().enumerate().map(below).collect()
}

/// Sets of positions that are joined one by one.
struct Sets(Vec<usize>);

impl Sets {
    fn root(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            // Halving the way keeps it short.
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}
