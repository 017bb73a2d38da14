//! Attention over blocks of a pool.

use bayplan_graph::op::{F32Bits, Op, PagedAttention};

use super::Drawing;

impl Drawing {
    /// Tokens of several sequences, each with a past of its own or none, whose tables may share blocks.
    pub(super) fn attention(&mut self) {
        let (x, _) = self.float();
        let dtype = self.b.dtype(x);
        if dtype.size() == 8 {
            return;
        }
        let (kv_heads, group) = self.random.pick(&[(1, 1), (4, 1), (2, 2), (1, 4), (1, 8), (3, 2)]);
        let head = self.random.pick(&[4, 16, 16, 32, 64, 80]);
        let block = self.random.pick(&[1, 4, 8, 16, 32]);
        let (tables, entries) = (1 + self.random.below(3), self.random.below(6));
        let blocks = 1 + self.random.below(2 * entries + 1);
        let (heads, held) = (kv_heads * group, entries * block);
        let (mut positions, mut sequences) = (Vec::new(), Vec::new());
        for sequence in 0..tables {
            // Decoding, a chunk after a past, a whole prompt; the rest is padding.
            let past = if self.random.once_in(3) { 0 } else { self.random.below(held + 1) };
            let new = if self.random.once_in(2) { 1 } else { 1 + self.random.below(9) };
            positions.extend((past..past + new).map(|position| position as i64));
            sequences.extend(vec![sequence as i64; new]);
        }
        for _ in 0..self.random.below(3) {
            positions.push(-1);
            sequences.push(self.index(tables).max(0));
        }
        let tokens = positions.len();
        if tokens * heads * head > super::LARGEST || blocks * block * kv_heads * head > super::LARGEST {
            return;
        }
        let entry = |drawing: &mut Self| {
            let outside = drawing.random.once_in(12);
            if outside {
                drawing.random.pick(&[-1, blocks as i64, 1 << 20])
            } else {
                drawing.random.below(blocks) as i64
            }
        };
        let list: Vec<i64> = (0..tables * entries).map(|_| entry(self)).collect();
        // Queries are computed where they have the size; keys and values are large enough to be told apart from each other.
        let own = self.b.shape(x) == [tokens, heads * head];
        let queries = if own { x } else { self.leaf(dtype, &[tokens, heads * head]) };
        let pool = [blocks * block, kv_heads * head];
        let (keys, values) = (self.leaf(dtype, &pool), self.leaf(dtype, &pool));
        let positions = self.indices(vec![tokens], &positions);
        let sequences = self.indices(vec![tokens], &sequences);
        let tables = self.indices(vec![tables, entries], &list);
        let scale = F32Bits::new(self.random.pick(&[0.125, 0.5, 1.0]));
        let attention = PagedAttention { heads, kv_heads, scale, block };
        self.add(
            Op::PagedAttention(attention),
            &[queries, keys, values, positions, sequences, tables],
            false,
        );
    }
}
