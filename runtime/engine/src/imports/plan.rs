//! Which weights can be read where they lie in their files, and in which ranges those are imported. Pure of devices.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Range;

use bayplan_compile::{Arena, Buffer, BufferId, Program, Upload};
use bayplan_graph::{ConstData, FileId};
use bayplan_shaders::Access;
use bayplan_vulkan::ImportRules;

/// What lies between two weights is imported with them, rather than each alone, up to so many bytes.
const GAP: u64 = 1 << 20;

/// Why weights are not read where they lie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// What kernels read is not what the file has.
    Prepared,
    /// They lie in memory, or in something that is no file.
    NoFile,
    /// They begin at no multiple of this.
    Unaligned(u64),
    /// A kernel's window ends beyond the file's last page.
    PastEnd,
    /// Another weight has the same bytes.
    Shared,
    /// There are more places than the device takes imports, or they are larger than one.
    TooMany,
    /// The device refused, and said so.
    Refused(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepared => f.write_str("the device prepares them for its kernels"),
            Self::NoFile => f.write_str("they lie in no file of their own"),
            Self::Unaligned(align) => {
                write!(
                    f,
                    "they begin at no multiple of {align} bytes in their file; `bayplan pack` aligns them"
                )
            }
            Self::PastEnd => f.write_str("kernels read beyond the last page of their file"),
            Self::Shared => f.write_str("their bytes are those of other weights"),
            Self::TooMany => f.write_str("they lie in more places than the device takes imports"),
            Self::Refused(reason) => f.write_str(reason),
        }
    }
}

/// Bytes of weights that are not imported, by reason.
pub(crate) type Left = BTreeMap<Why, u64>;

/// A weight that can be read where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Its bytes of the arena of weights, up to where the next may begin.
    pub(crate) arena: Range<u64>,
    pub(crate) file: FileId,
    /// What kernels may read of the file for it: its own bytes, and some behind them that mean nothing.
    pub(crate) bytes: Range<u64>,
    /// How many are its own.
    pub(crate) stored: u64,
}

/// The weights of a program that can be read where they lie, in the order of their files. `len` tells a file's length, if it
/// is one; the system maps pages of `page` bytes.
pub(crate) fn extents(
    program: &Program,
    len: &dyn Fn(FileId) -> Option<u64>,
    page: u64,
    left: &mut Left,
) -> Vec<Extent> {
    let mut by_buffer: BTreeMap<BufferId, Vec<&Upload>> = BTreeMap::new();
    for upload in program.uploads.iter().filter(|upload| upload.bytes > 0) {
        match upload.window.arena {
            Arena::Weights => by_buffer.entry(upload.window.buffer).or_default().push(upload),
            _ => *left.entry(Why::Prepared).or_default() += upload.bytes,
        }
    }
    let dispatches = program.load.dispatches.iter().chain(&program.run.dispatches);
    let windows = dispatches.flat_map(|dispatch| &dispatch.windows);
    let written = windows.filter(|window| window.arena == Arena::Weights && window.access != Access::Read);
    let written: HashSet<BufferId> = written.map(|window| window.buffer).collect();
    let mut all = Vec::with_capacity(by_buffer.len());
    for (id, uploads) in by_buffer {
        let stored = uploads.iter().map(|upload| upload.bytes).sum();
        let found = match program.buffers.get(id.0 as usize).filter(|_| !written.contains(&id)) {
            Some(buffer) => extent(program, buffer, uploads, (len, page)),
            None => Err(Why::Prepared),
        };
        match found {
            Ok((file, bytes)) => {
                let buffer = &program.buffers[id.0 as usize];
                let end = (buffer.offset + buffer.size).next_multiple_of(program.target.window_alignment());
                all.push(Extent { arena: buffer.offset..end, file, bytes, stored });
            }
            Err(why) => *left.entry(why).or_default() += stored,
        }
    }
    all.sort_by_key(|extent| (extent.file.0, extent.bytes.start));
    apart(all, left)
}

/// Where a buffer's bytes lie in a file, if its uploads fill it with bytes that lie there in the same way.
fn extent(
    program: &Program,
    buffer: &Buffer,
    mut uploads: Vec<&Upload>,
    (len, page): (&dyn Fn(FileId) -> Option<u64>, u64),
) -> Result<(FileId, Range<u64>), Why> {
    uploads.sort_by_key(|upload| upload.window.offset);
    let (mut next, mut place) = (0, None);
    for upload in uploads {
        let ConstData::Range(range) = &upload.data else { return Err(Why::NoFile) };
        let own = range.offset.checked_add(upload.skip).and_then(|at| at.checked_sub(next));
        let own = (range.file, own.ok_or(Why::Prepared)?);
        if upload.window.offset != buffer.offset + next || *place.get_or_insert(own) != own {
            return Err(Why::Prepared);
        }
        next += upload.bytes;
    }
    let (file, start) = place.ok_or(Why::Prepared)?;
    // What is behind an upload's last byte, up to a whole granule, is unspecified on any way.
    if next > buffer.size || buffer.size - next >= program.target.storage_granule {
        return Err(Why::Prepared);
    }
    let align = program.target.window_alignment();
    if !start.is_multiple_of(align) {
        return Err(Why::Unaligned(align));
    }
    let end = start.checked_add(buffer.size).ok_or(Why::PastEnd)?;
    if end > len(file).ok_or(Why::NoFile)?.next_multiple_of(page) {
        return Err(Why::PastEnd);
    }
    Ok((file, start..end))
}

/// Without those that begin within the one before: a byte of a file is one of one weight, so that a window on a device tells
/// which it is of.
fn apart(all: Vec<Extent>, left: &mut Left) -> Vec<Extent> {
    let mut kept: Vec<Extent> = Vec::with_capacity(all.len());
    for extent in all {
        let before = kept.last().filter(|last| last.file == extent.file);
        if before.is_some_and(|last| extent.bytes.start < last.bytes.end) {
            *left.entry(Why::Shared).or_default() += extent.stored;
        } else {
            kept.push(extent);
        }
    }
    kept
}

/// Whole pages of a file with weights in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) file: FileId,
    pub(crate) bytes: Range<u64>,
    pub(crate) extents: Vec<Extent>,
}

impl Segment {
    pub(crate) fn stored(&self) -> u64 {
        self.extents.iter().map(|extent| extent.stored).sum()
    }
}

/// The ranges in which weights, in the order of their files, are imported: neighbours together, none in two.
pub(crate) fn segments(extents: Vec<Extent>, rules: &ImportRules, left: &mut Left) -> Vec<Segment> {
    let page = rules.alignment;
    let mut all: Vec<Segment> = Vec::new();
    let mut lost = 0;
    for extent in extents {
        let start = extent.bytes.start - extent.bytes.start % page;
        let end = extent.bytes.end.next_multiple_of(page);
        if end - start > rules.most {
            lost += extent.stored;
            continue;
        }
        let joins = |last: &&mut Segment| {
            last.file == extent.file
                && extent.bytes.start.saturating_sub(last.bytes.end) <= GAP
                && end - last.bytes.start <= rules.most
        };
        match all.last_mut().filter(joins) {
            Some(last) => {
                last.bytes.end = last.bytes.end.max(end);
                last.extents.push(extent);
            }
            None => all.push(Segment { file: extent.file, bytes: start..end, extents: vec![extent] }),
        }
    }
    // The largest, if there are too many.
    all.sort_by_key(|segment| std::cmp::Reverse(segment.stored()));
    lost += all.iter().skip(rules.count).map(Segment::stored).sum::<u64>();
    all.truncate(rules.count);
    if lost > 0 {
        *left.entry(Why::TooMany).or_default() += lost;
    }
    all
}
