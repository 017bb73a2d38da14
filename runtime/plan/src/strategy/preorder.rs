//! Orders of preference among jobs that could be placed at the same offset.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::sections::Sections;

/// What jobs are compared by; larger goes first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    /// Size x width.
    Area,
    /// Largest load of any section the job is live in: how contended its time is.
    Total,
    /// Length of the lifespan in program points.
    Width,
    /// Bytes.
    Size,
}

/// Job numbers sorted by the keys in turn, descending; the earlier job first when all are equal.
/// The letters of minimalloc's preorders (Moffitt, ASPLOS 2023): `[Width, Area, Total]` is its `WAT`.
pub(crate) fn preorder(sections: &Sections, totals: &[u64], keys: &[Key]) -> Vec<u32> {
    let value = |job: usize, at: usize| {
        let (item, key) = (&sections.jobs[job], keys.get(at));
        match key {
            Some(Key::Area) => item.size.saturating_mul(u64::from(item.width)),
            Some(Key::Total) => totals[job],
            Some(Key::Width) => u64::from(item.width),
            Some(Key::Size) => item.size,
            None => 0,
        }
    };
    let keyed = |job| (Reverse([value(job, 0), value(job, 1), value(job, 2)]), job as u32);
    let mut order: Vec<_> = (0..sections.jobs.len()).map(keyed).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, job)| job).collect()
}

/// The largest load of any section each job is live in.
pub(crate) fn totals(sections: &Sections) -> Vec<u64> {
    // A binary tree of maxima: leaf i is section i, node k has children 2k and 2k+1.
    let count = sections.loads.len();
    let mut tree = vec![0; 2 * count];
    tree[count..].copy_from_slice(&sections.loads);
    for node in (1..count).rev() {
        tree[node] = tree[2 * node].max(tree[2 * node + 1]);
    }
    let largest = |first: u32, last: u32| {
        let (mut low, mut high, mut largest) = (first as usize + count, last as usize + count, 0);
        while low < high {
            if low % 2 == 1 {
                largest = largest.max(tree[low]);
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                largest = largest.max(tree[high]);
            }
            (low, high) = (low / 2, high / 2);
        }
        largest
    };
    sections.jobs.iter().map(|job| largest(job.first, job.last)).collect()
}
