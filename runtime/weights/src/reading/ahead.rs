//! Batches read in threads, and handed out in order.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, Scope};

use bayplan_graph::ConstData;

use super::batch::{Batch, slot_bytes};
use super::fill::{Manner, Unread};
use super::slot::Slot;
use crate::Store;

/// Threads that read: so many reads wait for the disk at once.
const READERS: usize = 3;

/// Slots of each: it reads one while the other is used.
const SLOTS: usize = 2;

/// Batches that are read by threads of a scope. They end when it is dropped.
#[derive(Debug)]
pub struct Ahead {
    readers: Vec<Reader>,
    batches: usize,
    /// The next to be handed out.
    next: usize,
}

/// Where one thread takes slots from, and hands them to.
#[derive(Debug)]
struct Reader {
    empty: Sender<Slot>,
    full: Receiver<Result<(Slot, bool), Unread>>,
}

/// A batch in its slot.
#[derive(Debug)]
pub struct Filled<'s> {
    /// The batch, by its number.
    pub index: usize,
    /// The bytes of the slot.
    pub bytes: &'s [u8],
    /// Whether it was read past the page cache.
    pub direct: bool,
}

impl Store {
    /// Begins to read batches, a few of them ahead of who uses them. `wanted` is as in [`Store::fill`].
    ///
    /// # Errors
    /// There is no thread.
    pub fn read_ahead<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        batches: &'env [Batch],
        wanted: impl Fn(usize) -> (&'env ConstData, u64) + Copy + Send + 'scope,
        manner: Manner,
    ) -> io::Result<Ahead> {
        let (slot, count) = (slot_bytes(batches), READERS.min(batches.len()));
        let start = |first: usize| {
            let ((empty, slots), (send, full)) = (channel(), channel());
            for _ in 0..SLOTS.min(batches.len()) {
                // The other end is here.
                let _ = empty.send(Slot::new(slot));
            }
            let read = move || {
                for (index, batch) in batches.iter().enumerate().skip(first).step_by(count) {
                    let Ok(mut slot) = slots.recv() else { return };
                    if let (true, Some(next)) = (manner.ahead, batches.get(index + count * SLOTS)) {
                        self.expect(next);
                    }
                    let filled = self.fill(batch, wanted, manner.direct, slot.bytes());
                    let failed = filled.is_err();
                    if send.send(filled.map(|direct| (slot, direct))).is_err() || failed {
                        return;
                    }
                }
            };
            Builder::new().name(format!("weights {first}")).spawn_scoped(scope, read)?;
            Ok(Reader { empty, full })
        };
        let readers = (0..count).map(start).collect::<io::Result<_>>()?;
        Ok(Ahead { readers, batches: batches.len(), next: 0 })
    }
}

impl Ahead {
    /// The number of the batch that comes next; `None` behind the last one.
    pub fn next(&self) -> Option<usize> {
        (self.next < self.batches).then_some(self.next)
    }

    /// Waits for the next batch and has `with` use it; `None` behind the last one.
    ///
    /// # Errors
    /// What of it cannot be read. Nothing comes after that.
    pub fn take<R>(&mut self, with: impl FnOnce(Filled<'_>) -> R) -> Result<Option<R>, Unread> {
        let Some(index) = self.next() else { return Ok(None) };
        let Some(reader) = self.readers.get(index % self.readers.len().max(1)) else { return Ok(None) };
        // A thread that has panicked sends nothing, and its scope panics.
        let Ok(filled) = reader.full.recv() else { return Ok(None) };
        let (mut slot, direct) = filled.inspect_err(|_| self.next = self.batches)?;
        self.next = index + 1;
        let result = with(Filled { index, bytes: slot.bytes(), direct });
        // A thread that has read its last batch takes none.
        let _ = reader.empty.send(slot);
        Ok(Some(result))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use bayplan_graph::{ByteRange, ByteSource, DIRECT, FileId, FileRef, Graph, ReadError};

    use super::super::batch::{Wanted, cut};
    use super::*;
    use crate::FileSource;

    /// Ranges of a file, at odd places and up to its end, some of them neighbours.
    const RANGES: [(u64, u64); 7] =
        [(3, 40_001), (40_004, 5), (40_009, 8_000), (100_000, 1), (99_999, 200_001), (0, 4096), (4096, 8192)];

    /// Those, and some bytes that lie in memory.
    fn constants() -> Vec<ConstData> {
        let range = |&(offset, len): &(u64, u64)| ByteRange { file: FileId(0), offset, len };
        let mut all: Vec<ConstData> = RANGES.iter().map(|own| ConstData::Range(range(own))).collect();
        all.insert(2, ConstData::Inline(Arc::from([7_u8; 100].as_slice())));
        all
    }

    fn bytes() -> Vec<u8> {
        (0..300_000).map(|at: u64| ((at * 2_654_435_761) >> 11) as u8).collect()
    }

    fn store(source: Arc<dyn ByteSource>) -> Store {
        let graph = Graph { files: vec![FileRef::Model], ..Graph::default() };
        Store::from_sources(vec![(PathBuf::from("w.bin"), source)], &graph).expect("a store")
    }

    fn len(data: &ConstData) -> u64 {
        match data {
            ConstData::Inline(bytes) => bytes.len() as u64,
            ConstData::Range(range) => range.len,
        }
    }

    /// Every constant as it comes out of the slots, but for its first byte; with whether all was read directly.
    fn read(store: &Store, slot: u64, direct: bool) -> Result<(Vec<Vec<u8>>, bool), Unread> {
        let constants = constants();
        let all = constants.iter().map(|data| Wanted {
            data,
            skip: 1,
            bytes: len(data) - 1,
            before: 0,
            gate: 0,
            stays: false,
        });
        let batches = cut(all, slot);
        let mut got: Vec<Vec<u8>> = vec![Vec::new(); constants.len()];
        let mut past = true;
        let manner = Manner { direct, ahead: !direct };
        std::thread::scope(|scope| {
            let wanted = |of: usize| (&constants[of], 1);
            let mut ahead = store.read_ahead(scope, &batches, wanted, manner).expect("threads");
            let mut count = 0;
            while let Some(()) = ahead.take(|filled| {
                assert_eq!(filled.index, count, "in order");
                past &= filled.direct;
                for part in &batches[filled.index].parts {
                    assert_eq!(got[part.of].len() as u64, part.skip);
                    got[part.of].extend(&filled.bytes[part.range()]);
                }
            })? {
                count += 1;
            }
            assert_eq!(count, batches.len());
            Ok((got, past))
        })
    }

    fn expected() -> Vec<Vec<u8>> {
        let bytes = bytes();
        let own = |data: &ConstData| match data {
            ConstData::Inline(bytes) => bytes[1..].to_vec(),
            ConstData::Range(range) => bytes[range.offset as usize + 1..][..range.len as usize - 1].to_vec(),
        };
        constants().iter().map(own).collect()
    }

    /// A file of odd length and one in memory, which has no direct reads, give the same in slots of every size.
    #[test]
    fn constants_come_whole_and_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("w.bin");
        std::fs::write(&path, bytes()).expect("a file");
        let sources: [Arc<dyn ByteSource>; 2] =
            [Arc::new(FileSource::open(&path).expect("a file")), Arc::new(bytes())];
        for source in sources {
            let store = store(source);
            for slot in [3, 8, 1024].map(|blocks| blocks * DIRECT as u64) {
                for direct in [false, true] {
                    let (got, past) = read(&store, slot, direct).unwrap_or_else(|e| panic!("{e:?}"));
                    assert!(got == expected(), "slots of {slot} bytes, direct: {direct}");
                    // A file system may refuse.
                    assert!(direct || !past, "slots of {slot} bytes");
                }
            }
        }
    }

    /// A file that ends before it should, and one that takes the flag of direct reads and refuses them later.
    struct Cut {
        bytes: Vec<u8>,
        end: u64,
    }

    impl ByteSource for Cut {
        fn len(&self) -> u64 {
            self.bytes.len() as u64
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
            let len = buf.len() as u64;
            if offset + len > self.end {
                return Err(ReadError { offset, len, reason: "cut".into() });
            }
            self.bytes.read_at(offset, buf)
        }

        fn read_direct(&self, offset: u64, buf: &mut [u8]) -> Result<Option<usize>, ReadError> {
            if offset > 50_000 {
                return Ok(None);
            }
            let rest = &self.bytes[offset as usize..self.end as usize];
            let count = rest.len().min(buf.len());
            buf[..count].copy_from_slice(&rest[..count]);
            Ok(Some(count))
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_and_ends_reading() {
        for direct in [false, true] {
            let whole = store(Arc::new(Cut { bytes: bytes(), end: 300_000 }));
            let (got, _) = read(&whole, 3 * DIRECT as u64, direct).unwrap_or_else(|e| panic!("{e:?}"));
            assert!(got == expected());
            for slot in [3, 1024].map(|blocks| blocks * DIRECT as u64) {
                let short = store(Arc::new(Cut { bytes: bytes(), end: 250_000 }));
                let Unread(of, e) = read(&short, slot, direct).expect_err("it is cut");
                assert_eq!(of, 5, "{e}");
                assert!(e.to_string().contains("cut"), "{e}");
            }
        }
    }

    /// Whoever stops early is not waited for.
    #[test]
    fn readers_end_when_nobody_takes_what_they_read() {
        let (store, constants) = (store(Arc::new(bytes())), constants());
        let all = constants.iter().map(|data| Wanted {
            data,
            skip: 0,
            bytes: len(data),
            before: 0,
            gate: 0,
            stays: false,
        });
        let batches = cut(all, 3 * DIRECT as u64);
        assert!(batches.len() > 2 * READERS * SLOTS);
        std::thread::scope(|scope| {
            let manner = Manner { direct: false, ahead: false };
            let mut ahead =
                store.read_ahead(scope, &batches, |of| (&constants[of], 0), manner).expect("threads");
            assert_eq!(ahead.take(|filled| filled.index).ok().flatten(), Some(0));
        });
    }
}
