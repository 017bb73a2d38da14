//! A batch read into a slot.

use bayplan_graph::{ConstData, DIRECT};

use super::batch::{Batch, From, Read, Wanted};
use crate::{Store, WeightsError};

/// Percent of the files from which on they count as being in memory.
const MOSTLY: u64 = 50;

/// How files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Past the page cache, where they can be.
    pub direct: bool,
    /// Files are told what is read next.
    pub ahead: bool,
}

/// What is wanted that cannot be read, by its number, and why.
#[derive(Debug)]
pub struct Unread(pub usize, pub WeightsError);

impl Store {
    /// How what is wanted is best read: past the page cache if it is not there, or as `direct` says.
    pub fn manner<'a>(&self, wanted: impl IntoIterator<Item = Wanted<'a>>, direct: Option<bool>) -> Manner {
        let ranges: Vec<_> = wanted.into_iter().filter_map(|own| own.range()).collect();
        let cached = self.cached(&ranges) >= MOSTLY;
        let direct = direct.unwrap_or(!cached);
        Manner { direct, ahead: !direct && !cached }
    }

    /// Tells files that a batch is read soon.
    pub fn expect(&self, batch: &Batch) {
        for read in &batch.reads {
            if let From::File(file, offset) = read.from
                && let Some(source) = self.source(file)
            {
                source.expect(offset, read.len);
            }
        }
    }

    /// Reads a batch into a slot at a whole block. `wanted` gives the constant of what is wanted by its number, and the first
    /// byte of it. Answers whether all that came from files came past the page cache, as `direct` asks for.
    ///
    /// # Errors
    /// The first of what is wanted that cannot be read.
    pub fn fill<'a>(
        &self,
        batch: &Batch,
        wanted: impl Fn(usize) -> (&'a ConstData, u64),
        direct: bool,
        slot: &mut [u8],
    ) -> Result<bool, Unread> {
        let mut all_direct = direct;
        for read in &batch.reads {
            if !(direct && self.read_direct(read, slot)) {
                all_direct &= matches!(read.from, From::Memory);
                self.read_usual(batch, read, &wanted, slot)?;
            }
        }
        Ok(all_direct)
    }

    /// Reads past the page cache; false where that fails or cannot be done.
    fn read_direct(&self, read: &Read, slot: &mut [u8]) -> bool {
        let From::File(file, offset) = read.from else { return false };
        let Some(source) = self.source(file) else { return false };
        let block = DIRECT as u64;
        // Whole blocks around what is wanted. They lie in the slot: its bytes lie there as they do in their block.
        let lead = offset % block;
        let whole = read.at - lead..(read.at + read.len).next_multiple_of(block).min(slot.len() as u64);
        let target = &mut slot[whole.start as usize..whole.end as usize];
        let done = source.read_direct(offset - lead, target);
        done.is_ok_and(|done| done.is_some_and(|done| done as u64 >= lead + read.len))
    }

    /// Reads as files are read usually: at once or, so that what cannot be read is named, a part at a time.
    fn read_usual<'a>(
        &self,
        batch: &Batch,
        read: &Read,
        wanted: &impl Fn(usize) -> (&'a ConstData, u64),
        slot: &mut [u8],
    ) -> Result<(), Unread> {
        let (at, len) = (read.at, read.len);
        if let From::File(file, offset) = read.from
            && let Some(source) = self.source(file)
            && source.read_at(offset, &mut slot[at as usize..(at + len) as usize]).is_ok()
        {
            return Ok(());
        }
        let mut parts = batch.parts.iter().filter(|part| (at..at + len).contains(&part.at));
        parts.try_for_each(|part| {
            let (data, skip) = wanted(part.of);
            let read = self.read_part(data, skip + part.skip, &mut slot[part.range()]);
            read.map_err(|e| Unread(part.of, e))
        })
    }
}
