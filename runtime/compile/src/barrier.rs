//! Barriers: where a dispatch touches bytes that an earlier one has touched since the last barrier.

use std::collections::BTreeMap;

use bayplan_shaders::Access;

use crate::program::{Arena, Dispatch, Window};

/// Sets [`Dispatch::barrier_before`] wherever a hazard (read after write, write after read, write after write) on some
/// byte would otherwise stand between two dispatches.
pub(crate) fn place(dispatches: &mut [Dispatch]) {
    let mut since = Arena::ALL.map(|_| Touched::default());
    for dispatch in dispatches {
        dispatch.barrier_before =
            dispatch.windows.iter().any(|window| since[window.arena.index()].conflicts(window));
        if dispatch.barrier_before {
            since = Arena::ALL.map(|_| Touched::default());
        }
        for window in &dispatch.windows {
            since[window.arena.index()].add(window);
        }
    }
}

/// What was touched in an arena since the last barrier.
#[derive(Default)]
struct Touched {
    read: Ranges,
    written: Ranges,
}

impl Touched {
    fn conflicts(&self, window: &Window) -> bool {
        let range = (window.offset, window.offset + window.len);
        self.written.meets(range) || window.access != Access::Read && self.read.meets(range)
    }

    fn add(&mut self, window: &Window) {
        let range = (window.offset, window.offset + window.len);
        let ranges = if window.access == Access::Read { &mut self.read } else { &mut self.written };
        ranges.add(range);
    }
}

/// A set of bytes as ranges that do not meet: start → end.
#[derive(Default)]
struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Whether some byte of a range is in the set.
    fn meets(&self, (start, end): (u64, u64)) -> bool {
        // Ranges do not meet each other, so the last one to begin before the end also ends last.
        self.0.range(..end).next_back().is_some_and(|(_, &last)| last > start)
    }

    fn add(&mut self, (mut start, mut end): (u64, u64)) {
        while let Some((&first, &last)) = self.0.range(..=end).next_back().filter(|&(_, &last)| last >= start)
        {
            (start, end) = (start.min(first), end.max(last));
            self.0.remove(&first);
        }
        self.0.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{BufferId, KernelId};
    use bayplan_graph::DType;
    use bayplan_shaders::{RangeSpec, Spec};

    fn window(offset: u64, len: u64, access: Access) -> Window {
        Window { buffer: BufferId(0), arena: Arena::Activations, offset, len, access }
    }

    fn barriers(list: &[&[Window]]) -> Vec<bool> {
        let mut dispatches: Vec<Dispatch> = list
            .iter()
            .map(|windows| Dispatch {
                spec: Spec::Range(RangeSpec { dtype: DType::I32, count: 1 }).into(),
                kernel: KernelId(0),
                windows: windows.to_vec(),
                params: 0..0,
                grid: [1; 3],
                barrier_before: false,
                name: String::new().into(),
                source_node: String::new().into(),
                source_op: String::new().into(),
                flops: 0,
                bytes: 0,
            })
            .collect();
        place(&mut dispatches);
        dispatches.iter().map(|dispatch| dispatch.barrier_before).collect()
    }

    #[test]
    fn every_kind_of_hazard_gets_a_barrier_and_nothing_else() {
        use Access::{Read, ReadWrite, Write};
        let (r, w) = (|at| window(at, 16, Read), |at| window(at, 16, Write));
        let both = |at| window(at, 16, ReadWrite);
        assert_eq!(barriers(&[&[w(0)], &[r(0), w(16)]]), [false, true], "read after write");
        assert_eq!(barriers(&[&[r(0), w(16)], &[w(0)]]), [false, true], "write after read");
        assert_eq!(barriers(&[&[w(0)], &[w(8)]]), [false, true], "write after write");
        assert_eq!(barriers(&[&[r(0), w(16)], &[both(0)]]), [false, true], "in place after read");
        assert_eq!(barriers(&[&[both(0)], &[r(0), w(16)]]), [false, true], "read after in place");
        assert_eq!(barriers(&[&[r(0), w(16)], &[r(0), w(32)]]), [false, false], "reads share");
        assert_eq!(barriers(&[&[w(0)], &[w(16)]]), [false, false], "neighbours");
        let other = Window { arena: Arena::Weights, ..r(0) };
        assert_eq!(barriers(&[&[w(0)], &[other, w(16)]]), [false, false], "other arenas");
        let once = [&[w(0)][..], &[r(0), w(16)], &[r(0), w(32)]];
        assert_eq!(barriers(&once), [false, true, false], "once is enough");
    }

    #[test]
    fn ranges_meet_as_bytes_do() {
        // Against one flag per byte, over all short ranges in a scrambled order.
        let mut ranges = Ranges::default();
        let mut bytes = [false; 64];
        let mut state = 1u64;
        for _ in 0..400 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (start, len) = ((state >> 33) % 60, 1 + (state >> 50) % 4);
            let end = start + len;
            let own = &mut bytes[start as usize..end as usize];
            assert_eq!(ranges.meets((start, end)), own.iter().any(|&byte| byte), "{start}..{end}");
            if (state >> 60) == 0 {
                own.fill(true);
                ranges.add((start, end));
            } else if bytes.iter().all(|&byte| byte) {
                (ranges, bytes) = (Ranges::default(), [false; 64]);
            }
        }
        assert!(ranges.0.iter().zip(ranges.0.iter().skip(1)).all(|((_, &end), (&start, _))| end < start));
    }
}
