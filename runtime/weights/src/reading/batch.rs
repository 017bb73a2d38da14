//! Bytes of constants cut into batches of at most a slot's bytes: what is read at once, and where each part of it goes.
//!
//! ```text
//!   wanted    │ a            │b│c│ d                                 │        in the order in which they are needed
//!   batches   │ a     │ a    b c │ d          │ d          │ d        │        large ones in pieces, small ones together
//! ```

use std::ops::Range;

use bayplan_graph::{ByteRange, ConstData, DIRECT, FileId};

/// Bytes of a constant that are wanted somewhere.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The constant.
    pub data: &'a ConstData,
    /// The first byte of it.
    pub skip: u64,
    /// How many.
    pub bytes: u64,
    /// The step that uses them, by its number.
    pub before: u32,
    /// How many steps come before they may be put where they belong.
    pub gate: u32,
    /// They stay in their file and are used there.
    pub stays: bool,
}

impl Wanted<'_> {
    /// Where they lie in a file; `None` where they are in memory.
    pub(crate) fn range(&self) -> Option<ByteRange> {
        let ConstData::Range(ByteRange { file, offset, .. }) = *self.data else { return None };
        Some(ByteRange { file, offset: offset.saturating_add(self.skip), len: self.bytes })
    }
}

/// What is read at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Bytes that lie together in a file.
    pub(crate) reads: Vec<Read>,
    /// What becomes of them, in the order of what is wanted.
    pub parts: Vec<Part>,
    /// It goes where this many steps come first.
    pub gate: u32,
    /// All of it stays in its file: it is read into no slot.
    pub stays: bool,
}

/// Bytes that are read into a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) from: From,
    /// Where they lie in the slot. Of bytes of a file it is as far beyond a multiple of [`DIRECT`] as in the file.
    pub(crate) at: u64,
    pub(crate) len: u64,
}

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// A file, from this byte on.
    File(FileId, u64),
    /// Memory.
    Memory,
}

/// A part of what is wanted, in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Of what, by its number.
    pub of: usize,
    /// Its first byte among those.
    pub skip: u64,
    /// Where it lies in the slot.
    pub at: u64,
    /// How many bytes.
    pub len: u64,
}

impl Part {
    /// Its bytes in a slot.
    pub fn range(&self) -> Range<usize> {
        self.at as usize..(self.at + self.len) as usize
    }
}

/// Cuts what is wanted into batches of at most `slot` bytes, a multiple of [`DIRECT`].
pub fn cut<'a>(wanted: impl IntoIterator<Item = Wanted<'a>>, slot: u64) -> Vec<Batch> {
    let mut batches = Batches { all: Vec::new(), slot, open: Batch::default(), filled: 0, before: 0 };
    for (index, own) in wanted.into_iter().enumerate() {
        if own.stays != batches.open.stays {
            batches.close();
            batches.open.stays = own.stays;
        }
        let mut done = 0;
        while done < own.bytes {
            done += batches.add((index, &own), done, own.bytes - done);
        }
    }
    batches.close();
    batches.all
}

/// Bytes of a slot that holds each of the batches, in whole blocks.
pub fn slot_bytes(batches: &[Batch]) -> u64 {
    let moved = batches.iter().filter(|batch| !batch.stays);
    let ends = moved.flat_map(|batch| &batch.reads).map(|read| read.at + read.len);
    ends.max().unwrap_or(0).next_multiple_of(DIRECT as u64)
}

struct Batches {
    all: Vec<Batch>,
    /// The most bytes of one.
    slot: u64,
    open: Batch,
    /// Bytes of the open one's slot that are taken.
    filled: u64,
    /// The step that first uses something of the open one.
    before: u32,
}

impl Batches {
    fn close(&mut self) {
        self.filled = 0;
        let next = Batch { stays: self.open.stays, ..Batch::default() };
        let closed = std::mem::replace(&mut self.open, next);
        if !closed.parts.is_empty() {
            self.all.push(closed);
        }
    }

    /// Adds at most `len` bytes of what is wanted from `skip` on; answers how many went in.
    fn add(&mut self, (index, own): (usize, &Wanted<'_>), skip: u64, len: u64) -> u64 {
        // What a step waits for does not wait, in the same batch, for that step.
        if !self.open.parts.is_empty() && own.gate > self.before {
            self.close();
        }
        let in_file = |range: ByteRange| From::File(range.file, range.offset.saturating_add(skip));
        let from = own.range().map_or(From::Memory, in_file);
        let joins = self.open.reads.last().is_some_and(|last| last.reaches(&from));
        let at = if joins { self.filled } else { beyond(self.filled, &from) };
        let room = self.slot.saturating_sub(at);
        // Small tensors are not cut for the sake of a full slot, and large ones go on at whole blocks of the file.
        if room < len.clamp(1, self.slot / 4) && !self.open.parts.is_empty() {
            self.close();
            return self.add((index, own), skip, len);
        }
        let len = len.min(room);
        self.before = if self.open.parts.is_empty() { own.before } else { self.before.min(own.before) };
        match self.open.reads.last_mut().filter(|_| joins) {
            Some(last) => last.len += len,
            None => self.open.reads.push(Read { from, at, len }),
        }
        self.open.parts.push(Part { of: index, skip, at, len });
        self.open.gate = self.open.gate.max(own.gate);
        self.filled = at + len;
        len
    }
}

impl Read {
    /// Whether bytes from there lie right behind in the same file.
    fn reaches(&self, from: &From) -> bool {
        match (&self.from, from) {
            (From::File(own, start), From::File(file, offset)) => own == file && start + self.len == *offset,
            _ => false,
        }
    }
}

/// The first byte of a slot, after so many that are taken, that such bytes may lie at.
fn beyond(filled: u64, from: &From) -> u64 {
    let block = DIRECT as u64;
    match from {
        From::File(_, offset) => filled.next_multiple_of(block) + offset % block,
        From::Memory => filled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: u64 = 3 << 20;

    /// A quarter of a slot.
    const QUARTER: u64 = SLOT / 4;

    /// Bytes of a constant, for a step after others.
    #[derive(Clone)]
    struct Own {
        data: ConstData,
        skip: u64,
        bytes: u64,
        before: u32,
        stays: bool,
    }

    fn own(before: u32, offset: u64, bytes: u64) -> Own {
        let data = ConstData::Range(ByteRange { file: FileId(0), offset, len: bytes });
        Own { data, skip: 0, bytes, before, stays: false }
    }

    fn cut(all: &[Own], gates: &[u32]) -> Vec<Batch> {
        let gates = gates.iter().copied().chain(std::iter::repeat(0));
        let wanted = all.iter().zip(gates).map(|(own, gate)| {
            let Own { data, skip, bytes, before, stays } = own;
            Wanted { data, skip: *skip, bytes: *bytes, before: *before, gate, stays: *stays }
        });
        super::cut(wanted, SLOT)
    }

    fn sizes(all: &[Own], gates: &[u32]) -> Vec<Vec<u64>> {
        let batches = cut(all, gates);
        batches.iter().map(|batch| batch.parts.iter().map(|part| part.len).collect()).collect()
    }

    #[test]
    fn large_tensors_are_cut_at_blocks_and_small_ones_go_together() {
        let check = |all: &[Own], expect: &[&[u64]]| assert_eq!(sizes(all, &[]), expect);
        check(&[], &[]);
        check(&[own(0, 0, 0)], &[]);
        check(&[own(0, 0, 9 * QUARTER)], &[&[4 * QUARTER], &[4 * QUARTER], &[QUARTER]]);
        // What begins within a block ends with one.
        check(&[own(0, 100, 5 * QUARTER)], &[&[4 * QUARTER - 100], &[QUARTER + 100]]);
        check(&[own(0, 0, 400), own(0, 400, 400), own(0, 9000, 400)], &[&[400, 400, 400]]);
        check(
            &[own(0, 0, 3 * QUARTER + 4), own(0, 8 * QUARTER, 2 * QUARTER)],
            &[&[3 * QUARTER + 4], &[2 * QUARTER]],
        );
        check(
            &[own(0, 0, 3 * QUARTER), own(0, 8 * QUARTER, 2 * QUARTER)],
            &[&[3 * QUARTER, QUARTER], &[QUARTER]],
        );
    }

    #[test]
    fn neighbours_in_a_file_are_read_at_once() {
        let batches = cut(&[own(0, 100, 400), own(0, 500, 8), own(0, 512, 4)], &[]);
        let reads = [
            Read { from: From::File(FileId(0), 100), at: 100, len: 408 },
            Read { from: From::File(FileId(0), 512), at: 4096 + 512, len: 4 },
        ];
        assert_eq!(batches[0].reads, reads);
        assert_eq!(batches[0].parts[1], Part { of: 1, skip: 0, at: 500, len: 8 });
        assert_eq!(slot_bytes(&batches), 8192);
    }

    #[test]
    fn what_stays_in_its_file_is_in_batches_of_its_own() {
        let stays = Own { stays: true, ..own(0, 1 << 30, 8) };
        let all = [own(0, 0, 400), own(0, 400, 5 * QUARTER), stays, own(0, 1 << 31, 4)];
        let told: Vec<_> = cut(&all, &[]).iter().map(|batch| (batch.stays, batch.parts.len())).collect();
        assert_eq!(told, [(false, 2), (false, 1), (true, 1), (false, 1)]);
        let only = cut(&all[2..3], &[]);
        assert_eq!((only.len(), slot_bytes(&only)), (1, 0), "no slot is needed for what is not moved");
    }

    #[test]
    fn pieces_of_a_constant_are_read_where_they_lie() {
        let piece = |before, skip, bytes| Own { skip, bytes, ..own(before, 100, 1000) };
        let batches = cut(&[piece(0, 0, 600), piece(1, 600, 400)], &[0, 1]);
        let reads: Vec<_> = batches.iter().flat_map(|batch| batch.reads.clone()).collect();
        let read = |offset, at, len| Read { from: From::File(FileId(0), offset), at, len };
        assert_eq!(reads, [read(100, 100, 600), read(700, 700, 400)]);
    }

    #[test]
    fn what_a_dispatch_wants_is_not_behind_what_waits_for_it() {
        let all = [own(0, 0, 400), own(2, 400, 400), own(2, 800, 400), own(3, 1200, 400)];
        assert_eq!(sizes(&all, &[0, 0, 1, 2]), [&[400, 400][..], &[400, 400]]);
        assert_eq!(cut(&all, &[0, 0, 1, 2]).iter().map(|batch| batch.gate).collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn every_byte_is_read_once_and_lies_as_in_its_block() {
        let mut seed = 1u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        for _ in 0..200 {
            let (mut all, mut gates, mut at) = (Vec::new(), Vec::new(), 0);
            for before in 0..20 {
                at += random(3) * random(5000);
                let bytes = 4 * [random(10), random(2000), random(3 * QUARTER)][random(3) as usize];
                all.push(own(before, at, bytes));
                gates.push(random(u64::from(before) + 1) as u32);
                at += bytes;
            }
            let batches = cut(&all, &gates);
            let mut done = vec![0; all.len()];
            for batch in &batches {
                let before = all[batch.parts[0].of].before;
                assert!(batch.gate <= before, "{} waits for itself", batch.gate);
                let mut free = 0;
                for read in &batch.reads {
                    let From::File(_, offset) = read.from else { panic!("a file") };
                    let first = read.at - read.at % 4096;
                    assert_eq!(read.at % 4096, offset % 4096);
                    assert!(first >= free && read.at + read.len <= SLOT, "whole blocks do not meet");
                    free = (read.at + read.len).next_multiple_of(4096);
                }
                for part in &batch.parts {
                    let wanted = &all[part.of];
                    assert_eq!(part.skip, done[part.of], "in order, without gaps");
                    done[part.of] += part.len;
                    assert!(batch.gate >= gates[part.of]);
                    let holds = |read: &&Read| {
                        (read.at..read.at + read.len).contains(&part.at)
                            && part.at + part.len <= read.at + read.len
                    };
                    let read = batch.reads.iter().find(holds).expect("its bytes are read");
                    let ConstData::Range(range) = &wanted.data else { panic!("a range") };
                    let From::File(_, offset) = read.from else { panic!("a file") };
                    assert_eq!(offset + (part.at - read.at), range.offset + part.skip);
                }
            }
            assert!(all.iter().zip(done).all(|(own, done)| own.bytes == done));
        }
    }
}
