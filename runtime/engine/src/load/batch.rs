//! Uploads cut into batches of at most a slot's bytes: what is read at once, and where each part of it goes.
//!
//! ```text
//!   uploads   │ a            │b│c│ d                                 │        in the order in which they are needed
//!   batches   │ a     │ a    b c │ d          │ d          │ d        │        large ones in pieces, small ones together
//! ```

use std::ops::Range;

use bayplan_compile::{Arena, Buffer, BufferKind, Program, Upload};
use bayplan_graph::{ByteRange, ConstData, DIRECT, FileId};

/// The most bytes of a slot. The four of the ring leave half of the 24 MiB that loading may take to what else comes with it:
/// kernels of the load program, stacks of threads.
pub(crate) const SLOT: u64 = 3 << 20;

/// What is read at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Bytes that lie together in a file.
    pub(crate) reads: Vec<Read>,
    /// What becomes of them, in the order of the uploads.
    pub(crate) parts: Vec<Part>,
    /// It goes to bytes that this many dispatches of the load program use first.
    pub(crate) gate: u32,
    /// The device reads it in its file: it is not moved.
    pub(crate) imported: bool,
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

/// A part of an upload in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The upload, by its number.
    pub(crate) upload: usize,
    /// Its first byte among the upload's.
    pub(crate) skip: u64,
    /// Where it lies in the slot.
    pub(crate) at: u64,
    pub(crate) len: u64,
}

impl Part {
    /// Its bytes in a slot.
    pub(crate) fn range(&self) -> Range<usize> {
        self.at as usize..(self.at + self.len) as usize
    }
}

/// Cuts uploads into batches. `gates` has, for each of them, how many dispatches come before it may be written; `imported`
/// says whether the device reads it in its file, which is so for all of a batch or for nothing of it.
pub(crate) fn cut(uploads: &[Upload], gates: &[u32], imported: &dyn Fn(&Upload) -> bool) -> Vec<Batch> {
    let mut batches = Batches { all: Vec::new(), open: Batch::default(), filled: 0, before: 0 };
    for (index, upload) in uploads.iter().enumerate() {
        let gate = gates.get(index).copied().unwrap_or(0);
        let imported = imported(upload);
        if imported != batches.open.imported {
            batches.close();
            batches.open.imported = imported;
        }
        let mut skip = 0;
        while skip < upload.bytes {
            skip += batches.add((index, upload), gate, skip, upload.bytes - skip);
        }
    }
    batches.close();
    batches.all
}

/// Bytes of a slot that holds each of the batches, in whole blocks.
pub(crate) fn slot(batches: &[Batch]) -> u64 {
    let moved = batches.iter().filter(|batch| !batch.imported);
    let ends = moved.flat_map(|batch| &batch.reads).map(|read| read.at + read.len);
    ends.max().unwrap_or(0).next_multiple_of(DIRECT as u64)
}

struct Batches {
    all: Vec<Batch>,
    open: Batch,
    /// Bytes of the open one's slot that are taken.
    filled: u64,
    /// The dispatch that first wants something of the open one.
    before: u32,
}

impl Batches {
    fn close(&mut self) {
        self.filled = 0;
        let next = Batch { imported: self.open.imported, ..Batch::default() };
        let closed = std::mem::replace(&mut self.open, next);
        if !closed.parts.is_empty() {
            self.all.push(closed);
        }
    }

    /// Adds at most `len` bytes of an upload from `skip` on; answers how many went in.
    fn add(&mut self, (index, upload): (usize, &Upload), gate: u32, skip: u64, len: u64) -> u64 {
        // What a dispatch waits for does not wait, in the same batch, for that dispatch.
        if !self.open.parts.is_empty() && gate > self.before {
            self.close();
        }
        let from = match &upload.data {
            ConstData::Range(ByteRange { file, offset, .. }) => {
                From::File(*file, offset.saturating_add(upload.skip).saturating_add(skip))
            }
            ConstData::Inline(_) => From::Memory,
        };
        let joins = self.open.reads.last().is_some_and(|last| last.reaches(&from));
        let at = if joins { self.filled } else { beyond(self.filled, &from) };
        let room = SLOT.saturating_sub(at);
        // Small tensors are not cut for the sake of a full slot, and large ones go on at whole blocks of the file.
        if room < len.clamp(1, SLOT / 4) && !self.open.parts.is_empty() {
            self.close();
            return self.add((index, upload), gate, skip, len);
        }
        let len = len.min(room);
        self.before = if self.open.parts.is_empty() { upload.before } else { self.before.min(upload.before) };
        match self.open.reads.last_mut().filter(|_| joins) {
            Some(last) => last.len += len,
            None => self.open.reads.push(Read { from, at, len }),
        }
        self.open.parts.push(Part { upload: index, skip, at, len });
        self.open.gate = self.open.gate.max(gate);
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

/// For each upload, how many dispatches of the load program use its bytes before it may be written there.
pub(crate) fn gates(program: &Program) -> Vec<u32> {
    let scratch: Vec<&Buffer> = program.buffers.iter().filter(|b| b.kind == BufferKind::Load).collect();
    let gate = |upload: &Upload| {
        let window = &upload.window;
        if window.arena != Arena::Load {
            return 0; // no two weights share bytes
        }
        let end = window.offset.saturating_add(window.len);
        let earlier = scratch.iter().filter(|buffer| {
            let meets = buffer.offset < end && window.offset < buffer.offset.saturating_add(buffer.size);
            meets && buffer.lifespan.end <= upload.before
        });
        earlier.map(|buffer| buffer.lifespan.end).max().unwrap_or(0)
    };
    program.uploads.iter().map(gate).collect()
}

#[cfg(test)]
mod tests {
    use super::{cut as cut_by, *};
    use bayplan_compile::{BufferId, Window};
    use bayplan_shaders::Access;

    fn cut(uploads: &[Upload], gates: &[u32]) -> Vec<Batch> {
        cut_by(uploads, gates, &|_| false)
    }

    /// A quarter of a slot.
    const QUARTER: u64 = SLOT / 4;

    fn upload(before: u32, offset: u64, bytes: u64) -> Upload {
        let window = Window {
            buffer: BufferId(0),
            arena: Arena::Weights,
            offset: 0,
            len: bytes,
            access: Access::Write,
        };
        let data = ConstData::Range(ByteRange { file: FileId(0), offset, len: bytes });
        Upload { before, name: "w".into(), data, skip: 0, bytes, window }
    }

    fn sizes(uploads: &[Upload], gates: &[u32]) -> Vec<Vec<u64>> {
        let batches = cut(uploads, gates);
        batches.iter().map(|batch| batch.parts.iter().map(|part| part.len).collect()).collect()
    }

    #[test]
    fn large_tensors_are_cut_at_blocks_and_small_ones_go_together() {
        let check = |uploads: &[Upload], expect: &[&[u64]]| assert_eq!(sizes(uploads, &[]), expect);
        check(&[], &[]);
        check(&[upload(0, 0, 0)], &[]);
        check(&[upload(0, 0, 9 * QUARTER)], &[&[4 * QUARTER], &[4 * QUARTER], &[QUARTER]]);
        // What begins within a block ends with one.
        check(&[upload(0, 100, 5 * QUARTER)], &[&[4 * QUARTER - 100], &[QUARTER + 100]]);
        check(&[upload(0, 0, 400), upload(0, 400, 400), upload(0, 9000, 400)], &[&[400, 400, 400]]);
        check(
            &[upload(0, 0, 3 * QUARTER + 4), upload(0, 8 * QUARTER, 2 * QUARTER)],
            &[&[3 * QUARTER + 4], &[2 * QUARTER]],
        );
        check(
            &[upload(0, 0, 3 * QUARTER), upload(0, 8 * QUARTER, 2 * QUARTER)],
            &[&[3 * QUARTER, QUARTER], &[QUARTER]],
        );
    }

    #[test]
    fn neighbours_in_a_file_are_read_at_once() {
        let batches = cut(&[upload(0, 100, 400), upload(0, 500, 8), upload(0, 512, 4)], &[]);
        let reads = [
            Read { from: From::File(FileId(0), 100), at: 100, len: 408 },
            Read { from: From::File(FileId(0), 512), at: 4096 + 512, len: 4 },
        ];
        assert_eq!(batches[0].reads, reads);
        assert_eq!(batches[0].parts[1], Part { upload: 1, skip: 0, at: 500, len: 8 });
        assert_eq!(slot(&batches), 8192);
    }

    #[test]
    fn what_is_imported_is_in_batches_of_its_own() {
        let uploads =
            [upload(0, 0, 400), upload(0, 400, 5 * QUARTER), upload(0, 1 << 30, 8), upload(0, 1 << 31, 4)];
        let batches = cut_by(&uploads, &[], &|upload| upload.bytes < 400 && upload.bytes != 4);
        let told: Vec<_> = batches.iter().map(|batch| (batch.imported, batch.parts.len())).collect();
        assert_eq!(told, [(false, 2), (false, 1), (true, 1), (false, 1)]);
        let only = cut_by(&uploads[2..3], &[], &|_| true);
        assert_eq!((only.len(), slot(&only)), (1, 0), "no slot is needed for what is not moved");
    }

    #[test]
    fn pieces_of_a_constant_are_read_where_they_lie() {
        let piece = |before, skip, bytes| Upload { skip, bytes, ..upload(before, 100, 1000) };
        let batches = cut(&[piece(0, 0, 600), piece(1, 600, 400)], &[0, 1]);
        let reads: Vec<_> = batches.iter().flat_map(|batch| batch.reads.clone()).collect();
        let read = |offset, at, len| Read { from: From::File(FileId(0), offset), at, len };
        assert_eq!(reads, [read(100, 100, 600), read(700, 700, 400)]);
    }

    #[test]
    fn what_a_dispatch_wants_is_not_behind_what_waits_for_it() {
        let uploads = [upload(0, 0, 400), upload(2, 400, 400), upload(2, 800, 400), upload(3, 1200, 400)];
        assert_eq!(sizes(&uploads, &[0, 0, 1, 2]), [&[400, 400][..], &[400, 400]]);
        assert_eq!(cut(&uploads, &[0, 0, 1, 2]).iter().map(|batch| batch.gate).collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn every_byte_is_read_once_and_lies_as_in_its_block() {
        let mut seed = 1u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        for _ in 0..200 {
            let (mut uploads, mut gates, mut at) = (Vec::new(), Vec::new(), 0);
            for before in 0..20 {
                at += random(3) * random(5000);
                let bytes = 4 * [random(10), random(2000), random(3 * QUARTER)][random(3) as usize];
                uploads.push(upload(before, at, bytes));
                gates.push(random(u64::from(before) + 1) as u32);
                at += bytes;
            }
            let batches = cut(&uploads, &gates);
            let mut done = vec![0; uploads.len()];
            for batch in &batches {
                let before = uploads[batch.parts[0].upload].before;
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
                    let upload = &uploads[part.upload];
                    assert_eq!(part.skip, done[part.upload], "in order, without gaps");
                    done[part.upload] += part.len;
                    assert!(batch.gate >= gates[part.upload]);
                    let holds = |read: &&Read| {
                        (read.at..read.at + read.len).contains(&part.at)
                            && part.at + part.len <= read.at + read.len
                    };
                    let read = batch.reads.iter().find(holds).expect("its bytes are read");
                    let ConstData::Range(range) = &upload.data else { panic!("a range") };
                    let From::File(_, offset) = read.from else { panic!("a file") };
                    assert_eq!(offset + (part.at - read.at), range.offset + part.skip);
                }
            }
            assert!(uploads.iter().zip(done).all(|(upload, done)| upload.bytes == done));
        }
    }
}
