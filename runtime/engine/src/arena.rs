//! Arenas on a device: one buffer per block, but for what lies elsewhere.

use std::collections::BTreeMap;
use std::ops::Range;

use bayplan_compile::{Arena, Program};
use bayplan_vulkan::{Buffer, BufferId, Device, Location};

use crate::error::EngineError;

/// The device buffers of the arenas that exist, by [`Arena::index`]. A clone holds the same buffers.
#[derive(Clone, Default)]
pub(crate) struct Arenas {
    /// Those allocated for an arena, in order.
    blocks: [Vec<Buffer>; Arena::ALL.len()],
    /// Where its bytes lie, in their order.
    spans: [Vec<Span>; Arena::ALL.len()],
    /// The same by buffer and first byte there.
    seats: BTreeMap<(BufferId, u64), (Arena, u64)>,
}

/// Bytes of an arena that lie together in a buffer.
#[derive(Clone)]
pub(crate) struct Span {
    /// In the arena.
    pub(crate) bytes: Range<u64>,
    pub(crate) buffer: Buffer,
    /// The first of them in the buffer.
    pub(crate) at: u64,
}

impl Arenas {
    /// Allocates the blocks of an arena, of which each ends at one of `ends`; what it had before is freed first.
    pub(crate) fn allocate(
        &mut self,
        device: &Device,
        arena: Arena,
        ends: &[u64],
    ) -> Result<(), EngineError> {
        self.allocate_beside(device, arena, &Layout::whole(ends), Vec::new())
    }

    /// The same for an arena of which `elsewhere` has the bytes that lie in other buffers, and `layout` the rest.
    pub(crate) fn allocate_beside(
        &mut self,
        device: &Device,
        arena: Arena,
        layout: &Layout,
        elsewhere: Vec<Span>,
    ) -> Result<(), EngineError> {
        self.take(arena);
        let location = match arena {
            Arena::Weights | Arena::Load => Location::Weights,
            Arena::Activations | Arena::External => Location::Device,
        };
        let (blocks, mut spans) = (&mut self.blocks[arena.index()], elsewhere);
        for (index, &size) in layout.blocks.iter().enumerate() {
            let alone = layout.blocks.len() == 1;
            let name = if alone { arena.name().into() } else { format!("{} {index}", arena.name()) };
            blocks.push(device.create_buffer(&name, size, location)?);
        }
        for piece in &layout.pieces {
            if let Some(buffer) = blocks.get(piece.block) {
                spans.push(Span { bytes: piece.bytes.clone(), buffer: buffer.clone(), at: piece.at });
            }
        }
        spans.sort_by_key(|span| span.bytes.start);
        let seats = spans.iter().map(|span| ((span.buffer.id(), span.at), (arena, span.bytes.start)));
        self.seats.extend(seats);
        self.spans[arena.index()] = spans;
        Ok(())
    }

    /// Takes the buffers that were allocated for an arena, to be freed.
    pub(crate) fn take(&mut self, arena: Arena) -> Vec<Buffer> {
        self.seats.retain(|_, (own, _)| *own != arena);
        self.spans[arena.index()].clear();
        std::mem::take(&mut self.blocks[arena.index()])
    }

    /// Whether the blocks of a program's arena are these: the same ends, or a shorter last one.
    pub(crate) fn fit(&self, program: &Program, arena: Arena) -> bool {
        let (own, needed) = (&self.spans[arena.index()], &program.blocks[arena.index()]);
        let holds = |(index, &end): (usize, &u64)| {
            own.get(index).is_some_and(|span| {
                let last = index + 1 == needed.len();
                end == span.bytes.end || (last && own.len() == needed.len() && end <= span.bytes.end)
            })
        };
        needed.iter().enumerate().all(holds)
    }

    /// The buffer that a byte of an arena lies in, and where in it. Nothing that a program binds or moves crosses its end.
    pub(crate) fn place(&self, arena: Arena, offset: u64) -> Result<(&Buffer, u64), EngineError> {
        let spans = &self.spans[arena.index()];
        let upto = spans.partition_point(|span| span.bytes.start <= offset);
        let span = spans[..upto].last().ok_or_else(|| bayplan_vulkan::Error::InvalidRange {
            name: arena.name().into(),
            why: "an empty arena",
        })?;
        Ok((&span.buffer, span.at + (offset - span.bytes.start)))
    }

    /// The byte of an arena that a byte of a buffer is.
    pub(crate) fn find(&self, buffer: BufferId, offset: u64) -> Option<(Arena, u64)> {
        let (&(own, at), &(arena, start)) = self.seats.range(..=(buffer, offset)).next_back()?;
        (own == buffer).then_some((arena, start + (offset - at)))
    }

    /// The buffers that were allocated for an arena, in order.
    pub(crate) fn of(&self, arena: Arena) -> impl Iterator<Item = &Buffer> {
        self.blocks[arena.index()].iter()
    }

    /// All buffers that were allocated.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = &Buffer> + Clone {
        self.blocks.iter().flatten()
    }
}

/// How an arena's bytes lie in blocks.
///
/// ```text
///   arena    │ a │ b (elsewhere) │ c  d │ e (elsewhere) │ f │
///   block    │ a │ c  d │ f │
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bytes of each block.
    blocks: Vec<u64>,
    /// What lies in them, in the arena's order.
    pieces: Vec<Piece>,
}

/// Bytes of an arena in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    bytes: Range<u64>,
    block: usize,
    at: u64,
}

impl Layout {
    /// One block for each of an arena's, of which each ends at one of `ends`.
    pub(crate) fn whole(ends: &[u64]) -> Self {
        let mut layout = Self::default();
        for bytes in between(ends) {
            layout.pieces.push(Piece { bytes: bytes.clone(), block: layout.blocks.len(), at: 0 });
            layout.blocks.push(bytes.end - bytes.start);
        }
        layout
    }

    /// What is left where some bytes, in order and apart, lie elsewhere: in blocks no larger than the arena's largest, each
    /// piece at a multiple of `align`.
    pub(crate) fn beside(ends: &[u64], elsewhere: &[Range<u64>], align: u64) -> Self {
        if elsewhere.is_empty() {
            return Self::whole(ends);
        }
        let most = between(ends).map(|block| block.end - block.start).max().unwrap_or(0);
        let mut layout = Self::default();
        for block in between(ends) {
            // No two blocks of an arena have a byte in common, so that what is left of each is in one piece or more.
            let first = elsewhere.partition_point(|gone| gone.end <= block.start);
            let mut start = block.start;
            for gone in elsewhere[first..].iter().take_while(|gone| gone.start < block.end) {
                layout.add(start..gone.start.max(start), most, align);
                start = start.max(gone.end);
            }
            layout.add(start.min(block.end)..block.end, most, align);
        }
        layout
    }

    fn add(&mut self, bytes: Range<u64>, most: u64, align: u64) {
        let len = bytes.end - bytes.start;
        if len == 0 {
            return;
        }
        let at = self.blocks.last().map(|size| size.next_multiple_of(align.max(1)));
        let at = at.filter(|at| at.checked_add(len).is_some_and(|end| end <= most));
        let at = at.unwrap_or_else(|| {
            self.blocks.push(0);
            0
        });
        let block = self.blocks.len() - 1;
        self.blocks[block] = at + len;
        self.pieces.push(Piece { bytes, block, at });
    }

    /// Bytes of all blocks.
    pub(crate) fn bytes(&self) -> u64 {
        self.blocks.iter().fold(0, |sum, size| sum.saturating_add(*size))
    }
}

/// The blocks that end there, one after the other.
fn between(ends: &[u64]) -> impl Iterator<Item = Range<u64>> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends).map(|(start, &end)| start..end.max(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(bytes: Range<u64>, block: usize, at: u64) -> Piece {
        Piece { bytes, block, at }
    }

    #[test]
    fn an_arena_alone_has_its_own_blocks() {
        let whole = Layout::whole(&[100, 160]);
        assert_eq!(whole.blocks, [100, 60]);
        assert_eq!(whole.pieces, [piece(0..100, 0, 0), piece(100..160, 1, 0)]);
        assert_eq!(Layout::beside(&[100, 160], &[], 16), whole);
        assert_eq!(Layout::whole(&[]), Layout::default());
    }

    #[test]
    fn what_lies_elsewhere_takes_no_bytes() {
        let layout = Layout::beside(&[256], &[32..64, 64..128, 192..208], 16);
        assert_eq!(layout.blocks, [144]);
        assert_eq!(layout.pieces, [piece(0..32, 0, 0), piece(128..192, 0, 32), piece(208..256, 0, 96)]);
        assert_eq!(layout.bytes(), 144);
        let none = Layout::beside(&[256], &[0..128, 128..256], 16);
        assert_eq!(none, Layout::default());
        // What is gone may end beyond the last byte, where that is none that a weight could begin at.
        assert_eq!(Layout::beside(&[250], &[128..192, 192..256], 16).blocks, [128]);
    }

    #[test]
    fn pieces_stay_within_blocks() {
        let layout = Layout::beside(&[64, 128, 190], &[16..32, 70..80], 16);
        // 16 + 32 bytes of the first, 6 + 48 of the second, 62 of the third: none is larger than 64.
        assert_eq!(layout.pieces[0], piece(0..16, 0, 0));
        assert_eq!(layout.pieces[1], piece(32..64, 0, 16));
        assert_eq!(layout.pieces[2], piece(64..70, 0, 48));
        assert_eq!(layout.pieces[3], piece(80..128, 1, 0));
        assert_eq!(layout.pieces[4], piece(128..190, 2, 0));
        assert_eq!(layout.blocks, [54, 48, 62]);
    }

    /// Whatever lies elsewhere, every other byte has one place, no two have the same, and none is held twice.
    #[test]
    fn every_byte_that_is_left_has_a_place_of_its_own() {
        let mut seed = 7u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        for _ in 0..300 {
            let (mut ends, mut end) = (Vec::new(), 0);
            for _ in 0..=random(3) {
                end += 16 * (1 + random(30));
                ends.push(end);
            }
            let (mut gone, mut at) = (Vec::new(), 16 * random(4));
            while at < end {
                let len = 16 * (1 + random(6));
                // Nothing crosses the end of a block.
                let within = ends.iter().find(|&&end| at < end).map_or(end, |&end| end);
                gone.push(at..(at + len).min(within));
                at = gone[gone.len() - 1].end + 16 * random(4);
            }
            let layout = Layout::beside(&ends, &gone, 16);
            let left = (0..end).filter(|byte| !gone.iter().any(|gone| gone.contains(byte)));
            let mut places: Vec<(usize, u64)> = Vec::new();
            for byte in left {
                let own: Vec<_> = layout.pieces.iter().filter(|piece| piece.bytes.contains(&byte)).collect();
                assert_eq!(own.len(), 1);
                assert!(own[0].at.is_multiple_of(16));
                places.push((own[0].block, own[0].at + byte - own[0].bytes.start));
            }
            let count = places.len() as u64;
            assert!(places.iter().all(|&(block, at)| at < layout.blocks[block]));
            assert_eq!(layout.bytes(), count, "all are multiples of 16: nothing is lost");
            places.sort_unstable();
            places.dedup();
            assert_eq!(places.len() as u64, count);
            let most = between(&ends).map(|block| block.end - block.start).max();
            assert!(layout.blocks.iter().all(|&size| Some(size) <= most));
        }
    }
}
