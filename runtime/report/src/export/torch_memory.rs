//! The memory that a snapshot tells of: segments with addresses, what is allocated in them, and the events that change it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::pickle::{Kept, Pickler};

/// Address of the first segment, as devices give them.
const FIRST_ADDR: u64 = 0x7000_0000_0000;

/// Bytes of addresses between two segments: no arena is larger, and addresses stay exact in 64-bit floats, which
/// JavaScript has for numbers.
const SEGMENT_SPACE: u64 = 1 << 40;

/// Segments that fit the addresses.
const MAX_SEGMENTS: usize = 1 << 11;

/// Address of the first block outside the plan, behind all other segments, and what is left for these. Addresses are not
/// given twice, so that each is of one block.
const BLOCKS_ADDR: u64 = FIRST_ADDR + MAX_SEGMENTS as u64 * SEGMENT_SPACE;
const BLOCKS_SPACE: u64 = 1 << 51;

/// Blocks begin at multiples of this many bytes.
const BLOCK_STEP: u64 = 1 << 16;

/// Above this many bytes PyTorch calls a segment large.
const LARGE: u64 = 1 << 20;

/// Device memory, and the pickle that tells of it.
#[derive(Default)]
pub(super) struct Memory {
    pickler: Option<Pickler<Vec<u8>>>,
    segments: Vec<Segment>,
    /// By address.
    live: BTreeMap<u64, Live>,
    /// Blocks of device memory outside the plan, by number: each a segment with one allocation.
    blocks: BTreeMap<u64, Range>,
    /// Where the next one begins, after [`BLOCKS_ADDR`].
    next_block: u64,
}

/// An arena or a pool.
struct Segment {
    name: String,
    size: u64,
    alignment: u64,
}

/// What is allocated.
struct Live {
    size: u64,
    frames: Kept,
    /// Whether it stays when a run is over.
    stays: bool,
}

/// Bytes at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) addr: u64,
    pub(super) size: u64,
}

/// Who asked for an allocation. Texts are escaped already.
#[derive(Default)]
pub(super) struct Stack {
    pub(super) model: String,
    pub(super) op: u32,
    pub(super) tensor: String,
    pub(super) op_name: String,
    pub(super) kernel: String,
    pub(super) node: String,
    pub(super) node_op: String,
}

impl Memory {
    /// The bytes of a range of a segment.
    pub(super) fn range(segment: usize, offset: u64, size: u64) -> Range {
        Range { addr: address(segment).saturating_add(offset), size }
    }

    /// The number of the segment of a name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.segments.iter().position(|segment| segment.name == name)
    }

    /// Whether exactly this is allocated.
    pub(super) fn is_held(&self, range: &Range) -> bool {
        self.live.get(&range.addr).is_some_and(|live| live.size == range.size)
    }

    /// The segment of a name, made or grown to a size.
    pub(super) fn segment(&mut self, name: &str, size: u64, alignment: u64, time: u64) -> io::Result<usize> {
        let known = self.find(name);
        let at = known.unwrap_or(self.segments.len());
        if size > SEGMENT_SPACE || at >= MAX_SEGMENTS {
            return Err(io::Error::other(format!(
                "a snapshot has room for {MAX_SEGMENTS} arenas of a TiB; the recording has more, or larger ones"
            )));
        }
        match known {
            None => {
                self.segments.push(Segment { name: name.to_owned(), size, alignment: alignment.max(1) });
                self.put_event("segment_alloc", Range { addr: address(at), size }, time, None)?;
            }
            Some(_) if self.segments[at].size < size => {
                let before = self.segments[at].size;
                self.segments[at].size = size;
                let grown = Range { addr: address(at) + before, size: size - before };
                self.put_event("segment_map", grown, time, None)?;
            }
            Some(_) => {}
        }
        Ok(at)
    }

    /// Something begins to take bytes. What was at its address ends.
    pub(super) fn alloc(
        &mut self,
        range: Range,
        stack: &Stack,
        category: &'static str,
        time: u64,
        stays: bool,
    ) -> io::Result<()> {
        if range.size == 0 {
            return Ok(());
        }
        self.free(range.addr, time)?;
        let pickler = self.pickler()?;
        put_head(pickler, "alloc", range, time)?;
        pickler.key("category")?;
        pickler.word(category)?;
        pickler.key("frames")?;
        let frames = put_stack(pickler, stack)?;
        pickler.close()?;
        self.live.insert(range.addr, Live { size: range.size, frames, stays });
        Ok(())
    }

    /// What is allocated at an address is given back.
    pub(super) fn free(&mut self, addr: u64, time: u64) -> io::Result<()> {
        let Some(live) = self.live.remove(&addr) else { return Ok(()) };
        let range = Range { addr, size: live.size };
        self.put_event("free_requested", range, time, Some(live.frames))?;
        self.put_event("free_completed", range, time, Some(live.frames))
    }

    /// A block of device memory outside the plan: a segment that one allocation fills.
    pub(super) fn block(&mut self, id: u64, size: u64, stack: &Stack, time: u64) -> io::Result<()> {
        // A keyframe tells once more what is held.
        if self.blocks.get(&id).is_some_and(|known| known.size == size) {
            return Ok(());
        }
        self.free_block(id, time)?;
        let step = size.checked_next_multiple_of(BLOCK_STEP).unwrap_or(u64::MAX);
        let end = self.next_block.saturating_add(step);
        if end > BLOCKS_SPACE {
            return Err(io::Error::other(
                "a snapshot has room for 2 PiB outside the plan; the recording has more, all blocks added",
            ));
        }
        let range = Range { addr: BLOCKS_ADDR + self.next_block, size };
        self.next_block = end;
        if size > 0 {
            self.put_event("segment_alloc", range, time, None)?;
            self.alloc(range, stack, "unknown", time, true)?;
            self.blocks.insert(id, range);
        }
        Ok(())
    }

    /// A block outside the plan is given back; nothing where none of that number is held.
    pub(super) fn free_block(&mut self, id: u64, time: u64) -> io::Result<()> {
        let Some(range) = self.blocks.remove(&id) else { return Ok(()) };
        self.free(range.addr, time)?;
        self.put_event("segment_free", range, time, None)
    }

    /// Gives back what the latest run left.
    pub(super) fn free_run(&mut self, time: u64) -> io::Result<()> {
        let left: Vec<u64> =
            self.live.iter().filter(|(_, live)| !live.stays).map(|(addr, _)| *addr).collect();
        left.into_iter().try_for_each(|addr| self.free(addr, time))
    }

    /// Hands out what was written, if it is more than a portion.
    pub(super) fn hand_over(&mut self, out: &mut dyn Write, portion: usize) -> io::Result<()> {
        let pickler = self.pickler()?;
        if pickler.out().len() > portion {
            out.write_all(pickler.out())?;
            pickler.out().clear();
        }
        Ok(())
    }

    /// Writes the segments with what is left in them, and ends the pickle.
    pub(super) fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.pickler()?;
        let Some(mut pickler) = self.pickler.take() else { return Ok(()) };
        pickler.close()?;
        pickler.close()?;
        pickler.key("segments")?;
        pickler.open_list()?;
        let planned = self
            .segments
            .iter()
            .enumerate()
            .map(|(at, segment)| (Range { addr: address(at), size: segment.size }, segment.alignment));
        for (range, alignment) in planned.chain(self.blocks.values().map(|range| (*range, 1))) {
            pickler.item()?;
            self.put_segment(&mut pickler, range, alignment)?;
            if pickler.out().len() > 1 << 16 {
                out.write_all(pickler.out())?;
                pickler.out().clear();
            }
        }
        pickler.close()?;
        pickler.close()?;
        out.write_all(&pickler.finish()?)
    }

    /// The pickle, begun with the list of the one device's events.
    fn pickler(&mut self) -> io::Result<&mut Pickler<Vec<u8>>> {
        if self.pickler.is_none() {
            let mut pickler = Pickler::new(Vec::new())?;
            pickler.open_dict()?;
            pickler.key("device_traces")?;
            pickler.open_list()?;
            pickler.item()?;
            pickler.open_list()?;
            self.pickler = Some(pickler);
        }
        self.pickler.as_mut().ok_or_else(|| io::Error::other("the snapshot is finished"))
    }

    fn put_event(
        &mut self,
        action: &'static str,
        range: Range,
        time: u64,
        frames: Option<Kept>,
    ) -> io::Result<()> {
        let pickler = self.pickler()?;
        put_head(pickler, action, range, time)?;
        if frames.is_none() {
            // Viewers of some versions fail where anything has a category and nothing is of this one.
            pickler.key("category")?;
            pickler.word("unknown")?;
        }
        pickler.key("frames")?;
        put_frames(pickler, frames)?;
        pickler.close()
    }

    fn put_segment(&self, pickler: &mut Pickler<Vec<u8>>, segment: Range, alignment: u64) -> io::Result<()> {
        let Range { addr, .. } = segment;
        let blocks = self.parts(segment, alignment);
        let sum =
            |of: fn(&Block<'_>) -> u64| blocks.iter().filter(|block| block.live.is_some()).map(of).sum();
        pickler.open_dict()?;
        let size_class = if segment.size > LARGE { "large" } else { "small" };
        for (key, value) in [
            ("device", 0),
            ("address", addr),
            ("total_size", segment.size),
            ("allocated_size", sum(|block| block.size)),
            ("active_size", sum(|block| block.size)),
            ("requested_size", sum(|block| block.live.map_or(0, |live| live.size))),
            ("stream", 0),
        ] {
            pickler.key(key)?;
            pickler.number(value)?;
        }
        pickler.key("segment_type")?;
        pickler.word(size_class)?;
        pickler.key("segment_pool_id")?;
        pickler.pair(0, 0)?;
        pickler.key("is_expandable")?;
        pickler.bool(false)?;
        pickler.key("frames")?;
        put_frames(pickler, None)?;
        pickler.key("blocks")?;
        pickler.open_list()?;
        for block in &blocks {
            pickler.item()?;
            put_block(pickler, block)?;
        }
        pickler.close()?;
        pickler.close()
    }

    /// What a segment holds, without gaps: allocations with what alignment costs them, and what is free between them.
    fn parts(&self, Range { addr, size }: Range, alignment: u64) -> Vec<Block<'_>> {
        let end = addr + size;
        let mut blocks = Vec::new();
        let mut at = addr;
        let mut held = self.live.range(addr..end).peekable();
        while let Some((&start, live)) = held.next() {
            let next = held.peek().map_or(end, |(next, _)| **next);
            let stop = start.saturating_add(live.size).min(end);
            // Where allocations overlap, which no sound plan has, the first one is shown.
            if stop <= at || start < at {
                continue;
            }
            if start > at {
                blocks.push(Block { addr: at, size: start - at, live: None });
            }
            let padded = stop.checked_next_multiple_of(alignment).unwrap_or(stop);
            at = padded.min(next).max(stop);
            blocks.push(Block { addr: start, size: at - start, live: Some(live) });
        }
        if at < end {
            blocks.push(Block { addr: at, size: end - at, live: None });
        }
        blocks
    }
}

/// A part of a segment: an allocation, or free.
struct Block<'m> {
    addr: u64,
    size: u64,
    live: Option<&'m Live>,
}

fn address(segment: usize) -> u64 {
    FIRST_ADDR + segment as u64 * SEGMENT_SPACE
}

/// Begins an event.
fn put_head(pickler: &mut Pickler<Vec<u8>>, action: &'static str, range: Range, time: u64) -> io::Result<()> {
    pickler.item()?;
    pickler.open_dict()?;
    pickler.key("action")?;
    pickler.word(action)?;
    for (key, value) in [("addr", range.addr), ("size", range.size), ("stream", 0), ("time_us", time)] {
        pickler.key(key)?;
        pickler.number(value)?;
    }
    Ok(())
}

fn put_frames(pickler: &mut Pickler<Vec<u8>>, frames: Option<Kept>) -> io::Result<()> {
    match frames {
        Some(kept) => pickler.recall(kept),
        None => {
            pickler.open_list()?;
            pickler.close()
        }
    }
}

/// Two frames: the tensor in the model, and the kernel of the op.
fn put_stack(pickler: &mut Pickler<Vec<u8>>, stack: &Stack) -> io::Result<Kept> {
    pickler.open_list()?;
    let frames = [(&stack.model, &stack.tensor), (&stack.kernel, &stack.op_name)];
    for (number, (filename, name)) in frames.into_iter().enumerate() {
        pickler.item()?;
        pickler.open_dict()?;
        pickler.key("filename")?;
        pickler.text(filename)?;
        pickler.key("line")?;
        pickler.number(u64::from(stack.op))?;
        pickler.key("name")?;
        pickler.text(name)?;
        if number == 1 && !stack.node.is_empty() {
            pickler.key("fx_node_op")?;
            pickler.text(&stack.node_op)?;
            pickler.key("fx_node_name")?;
            pickler.text(&stack.node)?;
        }
        pickler.close()?;
    }
    pickler.close()?;
    pickler.keep()
}

fn put_block(pickler: &mut Pickler<Vec<u8>>, block: &Block<'_>) -> io::Result<()> {
    pickler.open_dict()?;
    let asked = block.live.map_or(0, |live| live.size.min(block.size));
    for (key, value) in [("address", block.addr), ("size", block.size), ("requested_size", asked)] {
        pickler.key(key)?;
        pickler.number(value)?;
    }
    pickler.key("state")?;
    pickler.word(if block.live.is_some() { "active_allocated" } else { "inactive" })?;
    pickler.key("frames")?;
    put_frames(pickler, block.live.map(|live| live.frames))?;
    pickler.close()
}
