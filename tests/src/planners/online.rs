//! ggml's planner: what an allocator does that meets the buffers one by one as the program runs.

use bayplan_plan::Buffer;

use super::aligned;

/// Bytes of the last block before anything is allocated: more than any instance takes.
const ENDLESS: u64 = 1 << 62;

/// ggml's dynamic tensor allocator in execution order. Sizes are rounded up to one alignment, the largest asked for.
/// `None` where an offset is the caller's choice. (`ggml-alloc.c` of github.com/ggml-org/llama.cpp.)
pub(super) fn ggml(buffers: &[Buffer]) -> Option<Vec<u64>> {
    if buffers.iter().any(|b| b.fixed.is_some()) {
        return None;
    }
    let align = buffers.iter().map(|b| b.align).max().unwrap_or(1);
    let mut starts: Vec<usize> = (0..buffers.len()).filter(|&index| buffers[index].size > 0).collect();
    let mut ends = starts.clone();
    starts.sort_by_key(|&index| buffers[index].lifespan.first);
    ends.sort_by_key(|&index| buffers[index].lifespan.last);
    let mut ends = ends.into_iter().peekable();

    let mut offsets = vec![0; buffers.len()];
    let mut allocator = Allocator { free: vec![Block { offset: 0, size: ENDLESS }] };
    for index in starts {
        let now = buffers[index].lifespan.first;
        while let Some(dead) = ends.next_if(|&dead| buffers[dead].lifespan.last <= now) {
            allocator.free(Block { offset: offsets[dead], size: aligned(buffers[dead].size, align) });
        }
        offsets[index] = allocator.allocate(aligned(buffers[index].size, align));
    }
    Some(offsets)
}

/// A free range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    offset: u64,
    size: u64,
}

/// Free blocks by offset; the last has no end.
struct Allocator {
    free: Vec<Block>,
}

impl Allocator {
    /// From the start of the smallest block that fits, the last of equal ones; from the last block where none does.
    fn allocate(&mut self, size: u64) -> u64 {
        let last = self.free.len() - 1;
        let (mut chosen, mut smallest) = (last, u64::MAX);
        for (at, block) in self.free[..last].iter().enumerate() {
            if block.size >= size && block.size <= smallest {
                (chosen, smallest) = (at, block.size);
            }
        }
        let block = &mut self.free[chosen];
        let offset = block.offset;
        block.offset += size;
        block.size -= size;
        if block.size == 0 {
            self.free.remove(chosen);
        }
        offset
    }

    /// Joins what is freed with the free blocks that touch it.
    fn free(&mut self, freed: Block) {
        let at = self.free.partition_point(|block| block.offset < freed.offset);
        self.free.insert(at, freed);
        self.join(at);
        if at > 0 {
            self.join(at - 1);
        }
    }

    /// Joins a block with the next if they touch.
    fn join(&mut self, at: usize) {
        let (block, next) = (self.free[at], self.free.get(at + 1).copied());
        if let Some(next) = next.filter(|next| block.offset + block.size == next.offset) {
            self.free[at].size += next.size;
            self.free.remove(at + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_fit_is_taken_and_the_last_block_grows() {
        let rows = [
            Buffer::new(10, 0, 2), // at 0
            Buffer::new(1, 0, 9),  // at 10
            Buffer::new(6, 0, 2),  // at 11
            Buffer::new(1, 0, 9),  // at 17
            Buffer::new(5, 2, 9),  // free are 0..10 and 11..17: the second fits best
            Buffer::new(11, 2, 9), // none fits: behind all
        ];
        assert_eq!(ggml(&rows), Some(vec![0, 10, 11, 17, 11, 18]));
        assert_eq!(ggml(&[Buffer::new(1, 0, 1).at(0)]), None);
    }

    #[test]
    fn freed_neighbours_are_joined() {
        let rows = [
            Buffer::new(3, 0, 1).aligned(4),
            Buffer::new(4, 0, 2).aligned(2),
            Buffer::new(4, 0, 9),
            Buffer::new(8, 2, 9), // in the place of the first two
            Buffer::new(0, 2, 9),
        ];
        assert_eq!(ggml(&rows), Some(vec![0, 4, 8, 0, 0]));
    }
}
