//! Barriers: where a dispatch touches bytes that an earlier one has touched since the last barrier.

use bayplan_shaders::Access;

use crate::program::{Dispatch, Window};

/// Sets [`Dispatch::barrier_before`] wherever a hazard (read after write, write after read, write after write) on some
/// byte would otherwise stand between two dispatches.
pub(crate) fn place(dispatches: &mut [Dispatch]) {
    let mut since: Vec<Window> = Vec::new();
    for dispatch in dispatches {
        let hazard = dispatch.windows.iter().any(|new| since.iter().any(|old| conflict(old, new)));
        dispatch.barrier_before = hazard;
        if hazard {
            since.clear();
        }
        since.extend_from_slice(&dispatch.windows);
    }
}

fn conflict(a: &Window, b: &Window) -> bool {
    let writes = a.access != Access::Read || b.access != Access::Read;
    writes && a.arena == b.arena && a.offset < b.offset + b.len && b.offset < a.offset + a.len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Arena, BufferId, KernelId};

    fn window(offset: u64, len: u64, access: Access) -> Window {
        Window { buffer: BufferId(0), arena: Arena::Activations, offset, len, access }
    }

    fn barriers(list: &[&[Window]]) -> Vec<bool> {
        let mut dispatches: Vec<Dispatch> = list
            .iter()
            .map(|windows| Dispatch {
                kernel: KernelId(0),
                windows: windows.to_vec(),
                params: 0..0,
                grid: [1; 3],
                barrier_before: false,
                name: String::new(),
                source_node: String::new(),
                source_op: String::new(),
                flops: 0,
                bytes: 0,
            })
            .collect();
        place(&mut dispatches);
        dispatches.iter().map(|dispatch| dispatch.barrier_before).collect()
    }

    #[test]
    fn every_kind_of_hazard_gets_a_barrier_and_nothing_else() {
        use Access::{Read, Write};
        let (r, w) = (|at| window(at, 16, Read), |at| window(at, 16, Write));
        assert_eq!(barriers(&[&[w(0)], &[r(0), w(16)]]), [false, true], "read after write");
        assert_eq!(barriers(&[&[r(0), w(16)], &[w(0)]]), [false, true], "write after read");
        assert_eq!(barriers(&[&[w(0)], &[w(8)]]), [false, true], "write after write");
        assert_eq!(barriers(&[&[r(0), w(16)], &[r(0), w(32)]]), [false, false], "reads share");
        assert_eq!(barriers(&[&[w(0)], &[w(16)]]), [false, false], "neighbours");
        assert_eq!(
            barriers(&[&[w(0)], &[r(0), w(16)], &[r(0), w(32)]]),
            [false, true, false],
            "once is enough"
        );
    }
}
