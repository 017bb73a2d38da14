//! The barriers that a linear order of dispatches needs.

use alloc::vec::Vec;

use super::dag::Dag;
use super::storage::Storages;
use crate::problem::Buffer;

/// Bytes of the arena.
type Bytes = (u64, u64);

/// Counts the barriers of an order under a plan: one stands before each node that reads or writes a byte of the arena
/// which a node since the last barrier has written, or writes one that such a node has read.
///
/// ```text
///   n0 writes A    n1 writes B    |  n2 reads A    n3 reads B    |  n4 writes A again (another value there)
///                         one barrier                     another one: reuse of memory is a hazard too
/// ```
pub(crate) fn barriers(dag: &Dag, order: &[u32], storages: &Storages, offsets: &[u64]) -> u32 {
    let (mut read, mut written): (Vec<Bytes>, Vec<Bytes>) = (Vec::new(), Vec::new());
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    let mut count = 0;
    for &node in order {
        reads.clear();
        writes.clear();
        touched(dag, node, storages, offsets, &mut reads, &mut writes);
        let meets = |set: &[Bytes], bytes: &Bytes| meets(set, *bytes);
        let hazard = reads.iter().chain(&writes).any(|bytes| meets(&written, bytes))
            || writes.iter().any(|bytes| meets(&read, bytes));
        if hazard {
            count += 1;
            read.clear();
            written.clear();
        }
        reads.drain(..).for_each(|bytes| add(&mut read, bytes));
        writes.drain(..).for_each(|bytes| add(&mut written, bytes));
    }
    count
}

/// The bytes of the arena that a node reads and writes.
fn touched(
    dag: &Dag,
    node: u32,
    storages: &Storages,
    offsets: &[u64],
    reads: &mut Vec<Bytes>,
    writes: &mut Vec<Bytes>,
) {
    let item = &dag.nodes()[node as usize];
    let absolute = |access: &super::Access| {
        let place = storages.of[access.value as usize]?;
        let start = offsets[place.buffer as usize] + place.offset;
        (access.first < access.end).then_some((start + access.first, start + access.end))
    };
    reads.extend(item.reads.iter().filter_map(absolute));
    writes.extend(item.writes.iter().filter_map(absolute));
    writes.extend(storages.scratch[node as usize].map(|buffer| {
        let Buffer { size, .. } = storages.buffers[buffer as usize];
        (offsets[buffer as usize], offsets[buffer as usize] + size)
    }));
}

/// Whether a byte is in a set of ascending ranges that do not meet.
fn meets(set: &[Bytes], (first, end): Bytes) -> bool {
    // The first that ends behind the beginning is the only one that can reach into the range first.
    let at = set.partition_point(|&(_, last)| last <= first);
    set.get(at).is_some_and(|&(start, _)| start < end)
}

/// Adds bytes to such a set.
fn add(set: &mut Vec<Bytes>, (first, end): Bytes) {
    let from = set.partition_point(|&(_, last)| last < first);
    let to = from + set[from..].partition_point(|&(start, _)| start <= end);
    let joined = match &set[from..to] {
        [] => (first, end),
        [one, ..] => (first.min(one.0), end.max(set[to - 1].1)),
    };
    set.splice(from..to, [joined]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_meet_are_one() {
        let mut set = Vec::new();
        for bytes in [(10, 20), (30, 40), (0, 5), (50, 60)] {
            add(&mut set, bytes);
        }
        assert_eq!(set, [(0, 5), (10, 20), (30, 40), (50, 60)]);
        add(&mut set, (20, 30));
        assert_eq!(set, [(0, 5), (10, 40), (50, 60)]);
        assert!(meets(&set, (39, 41)) && meets(&set, (0, 1)) && meets(&set, (5, 51)));
        assert!(!meets(&set, (5, 10)) && !meets(&set, (40, 50)) && !meets(&set, (60, 99)));
        add(&mut set, (4, 99));
        assert_eq!(set, [(0, 99)]);
    }
}
