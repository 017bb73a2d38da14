//! Rows for slices that may overlap: each row's slices do not.

use std::collections::{BTreeMap, BTreeSet};

use bayplan_trace::Nanos;

/// Gives every slice the lowest row that is free at its start, where slices come in the order of their starts. One that
/// begins before an earlier one gets a new row.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    /// Rows that are taken, by the time until which they are.
    taken: BTreeMap<Nanos, BTreeSet<u32>>,
    free: BTreeSet<u32>,
    count: u32,
    latest: Nanos,
}

impl Lanes {
    /// The row for a slice.
    pub(crate) fn place(&mut self, start: Nanos, end: Nanos) -> u32 {
        if start < self.latest {
            // A row that is free now may have been taken then.
            return self.take(None, end.max(start));
        }
        self.latest = start;
        while let Some(entry) = self.taken.first_entry().filter(|entry| *entry.key() <= start) {
            self.free.extend(entry.remove());
        }
        let lane = self.free.pop_first();
        self.take(lane, end.max(start))
    }

    fn take(&mut self, lane: Option<u32>, end: Nanos) -> u32 {
        let lane = lane.unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        });
        self.taken.entry(end).or_default().insert(lane);
        lane
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_holds_no_two_slices_at_once_and_the_lowest_free_one_is_taken() {
        let mut lanes = Lanes::default();
        let slices = [(0, 10), (0, 5), (5, 20), (10, 10), (10, 12), (11, 30), (3, 40)];
        let rows = slices.map(|(start, end)| lanes.place(start, end));
        // (5, 20) takes the row of (0, 5); (10, 12) that of (10, 10), which ended as it began.
        assert_eq!(rows, [0, 1, 1, 0, 0, 2, 3]);
    }
}
