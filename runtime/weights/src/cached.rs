//! How much of a store's files lies in the page cache.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

use bayplan_graph::{ByteRange, ByteSource, DIRECT, FileId};

use crate::reading::Slot;
use crate::{Store, WeightsError};

/// Places that are looked at.
const PLACES: u64 = 32;

impl Store {
    /// How many percent of some bytes are in memory already, as a few places among them say; 100 where there are none.
    ///
    /// A look brings its page into memory, so that places are others each time: whoever asks again is not told of what was
    /// brought by asking.
    pub fn cached(&self, ranges: &[ByteRange]) -> u64 {
        let all: u64 = ranges.iter().fold(0, |all, range| all.saturating_add(range.len));
        let places = PLACES.min(all);
        let step = all.checked_div(places).unwrap_or(0);
        let (mut rest, mut before) = (ranges.iter(), 0);
        let (mut own, mut cached) = (rest.next(), 0);
        for place in 0..places {
            let at = place * step + RandomState::new().build_hasher().finish() % step;
            while let Some(passed) = own.filter(|own| before + own.len <= at) {
                before += passed.len;
                own = rest.next();
            }
            let look = |own: &ByteRange| {
                let source = self.source(own.file)?;
                Some(source.is_cached(own.offset.saturating_add(at - before)))
            };
            cached += u64::from(own.and_then(look).unwrap_or(true));
        }
        (100 * cached).checked_div(places).unwrap_or(100)
    }

    /// Whether a file is in the page cache as a whole. That is looked at once.
    fn is_cached(&self, file: FileId) -> bool {
        let look = |own: &OnceLock<bool>| {
            let len = self.source(file).map_or(0, ByteSource::len);
            *own.get_or_init(|| self.cached(&[ByteRange { file, offset: 0, len }]) == 100)
        };
        self.cached.get(file.0 as usize).is_none_or(look)
    }

    /// Reads a few bytes of a range, from its byte `skip` on. What is not in the page cache stays out of it: the system would
    /// read a hundred kilobytes ahead, which of thousands of tensors is a good part of a model.
    ///
    /// # Errors
    /// As [`Store::read_range`].
    pub(crate) fn glance(&self, range: &ByteRange, skip: u64, buf: &mut [u8]) -> Result<(), WeightsError> {
        match self.glance_past(range, skip, buf) {
            Some(()) => Ok(()),
            None => self.read_range(range, skip, buf),
        }
    }

    /// The same past the page cache; `None` where the file is in it, or that cannot be done.
    fn glance_past(&self, range: &ByteRange, skip: u64, buf: &mut [u8]) -> Option<()> {
        let (len, block) = (buf.len() as u64, DIRECT as u64);
        if self.is_cached(range.file) || skip.checked_add(len)? > range.len {
            return None;
        }
        let offset = range.offset.checked_add(skip)?;
        let lead = offset % block;
        let mut slot = Slot::new((lead + len).next_multiple_of(block));
        let read = self.source(range.file)?.read_direct(offset - lead, slot.bytes()).ok()??;
        buf.copy_from_slice(slot.bytes()[..read].get(lead as usize..(lead + len) as usize)?);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::{Arc, Mutex};

    use bayplan_graph::{FileRef, Graph, ReadError};

    use super::*;

    /// A file of which the first bytes are in memory. It notes where it was looked at.
    struct Half {
        len: u64,
        cached: u64,
        looks: Mutex<Vec<u64>>,
    }

    impl ByteSource for Half {
        fn len(&self) -> u64 {
            self.len
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
            panic!("{} bytes from {offset} on are read", buf.len());
        }

        fn is_cached(&self, offset: u64) -> bool {
            self.looks.lock().expect("no panic").push(offset);
            offset < self.cached
        }
    }

    #[test]
    fn places_of_all_ranges_are_looked_at() {
        let range = |offset, len| ByteRange { file: FileId(0), offset, len };
        let (large, odd) = ([range(1 << 20, 1 << 20), range(3 << 20, 3 << 20)], [range(5, 1), range(9, 2)]);
        for (ranges, cached, percent) in [
            (&large[..], 1 << 40, 100),
            (&large, 0, 0),
            (&large, 2 << 20, 25),
            (&large, (3 << 20) + (3 << 19), 62),
            (&odd, 6, 33),
            (&[], 0, 100),
            (&[range(1, 0)], 0, 100),
        ] {
            let source = Arc::new(Half { len: 8 << 20, cached, looks: Mutex::default() });
            let files = vec![(PathBuf::from("w.bin"), Arc::clone(&source) as Arc<dyn ByteSource>)];
            let graph = Graph { files: vec![FileRef::Model], ..Graph::default() };
            let store = Store::from_sources(files, &graph).expect("a store");
            assert_eq!(store.cached(ranges), percent, "{ranges:?}");
            let looks = source.looks.lock().expect("no panic").clone();
            assert_eq!(looks.len() as u64, PLACES.min(ranges.iter().map(|own| own.len).sum()));
            let holds = |own: &ByteRange, at: u64| (own.offset..own.offset + own.len).contains(&at);
            assert!(looks.iter().all(|at| ranges.iter().any(|own| holds(own, *at))), "{looks:?}");
            let again = || {
                source.looks.lock().expect("no panic").clear();
                store.cached(&large);
                source.looks.lock().expect("no panic").clone()
            };
            assert_ne!(again(), again(), "other places");
        }
    }
}
