//! Where the chunks of a file lie: what a reader needs to go to a time, or to the last keyframe, without reading all before.
//!
//! ```text
//! body    per chunk: number of bytes since the chunk before, kind and flags, base time since the chunk before, count
//!         (the length of the chunk's own frame is not told: the bytes up to the next are what Perfetto shows)
//! last    u32 length of the body, u32 length of the file before the index's frame modulo 2^32, "bpix"
//! ```
//! An index is the last frame of a file, so that its last twelve bytes tell where it begins. It takes no number of the
//! sequence: a recording without it is whole.

use alloc::vec::Vec;

use crate::format::chunk::{
    ChunkKind, FLAG_RESTATED, Frame, HEADER_LEN, Header, crc32c, find_header, lead_len, parse_frame,
};
use crate::format::wire::{Cursor, WireError, put_delta, put_varint};
use crate::schema::event::Nanos;

/// Last bytes of a file that ends with an index.
const LAST: [u8; 4] = *b"bpix";
/// Length of what stands behind the entries.
const LAST_LEN: usize = 12;
/// Most entries that one index tells; of longer files an index is made by a scan.
const MAX_ENTRIES: usize = 1 << 16;

/// A chunk of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Where its frame begins.
    pub offset: u64,
    /// What it holds, by its number in the format: 1 session, 2 plan, 3 keyframe, 4 and 5 events.
    pub kind: u8,
    /// Whether it restates what was said before: a session that does begins a segment.
    pub restated: bool,
    /// The time before which none of its events is expected.
    pub base: Nanos,
    /// Number of its events; of the piece, for what is cut into pieces.
    pub count: u32,
}

/// The chunks of a file, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The chunks.
    pub entries: Vec<IndexEntry>,
}

impl Index {
    /// Where the last segment begins whose keyframe is whole: reading from there gives the state, and what followed.
    pub fn last_segment(&self) -> Option<u64> {
        let keyframe = self.entries.iter().rposition(|entry| entry.kind == ChunkKind::Keyframe as u8)?;
        self.segment_before(keyframe)
    }

    /// Where to begin reading in order to know all that holds at a time, and as little as possible before it: the last
    /// segment whose keyframe is not later. The beginning of the file, where there is none.
    pub fn segment_at(&self, t: Nanos) -> u64 {
        let is_before = |entry: &IndexEntry| entry.kind == ChunkKind::Keyframe as u8 && entry.base <= t;
        let keyframe = self.entries.iter().rposition(is_before);
        keyframe.and_then(|keyframe| self.segment_before(keyframe)).unwrap_or(0)
    }

    fn segment_before(&self, at: usize) -> Option<u64> {
        let begins = |entry: &&IndexEntry| entry.kind == ChunkKind::Session as u8;
        Some(self.entries.get(..at)?.iter().rfind(begins)?.offset)
    }

    /// Number of events in all chunks.
    pub fn events(&self) -> u64 {
        let is_events =
            |kind: u8| [ChunkKind::Events, ChunkKind::Packed].into_iter().any(|of| of as u8 == kind);
        self.entries.iter().filter(|entry| is_events(entry.kind)).map(|entry| u64::from(entry.count)).sum()
    }

    /// The body of an index chunk whose frame begins at `end`. `None` where there are too many entries for one.
    pub(crate) fn to_bytes(&self, end: u64) -> Option<Vec<u8>> {
        if self.entries.len() > MAX_ENTRIES {
            return None;
        }
        let mut out = Vec::with_capacity(self.entries.len() * 8 + LAST_LEN);
        let (mut offset, mut base) = (0, 0);
        for entry in &self.entries {
            put_varint(&mut out, entry.offset - offset);
            out.extend_from_slice(&[entry.kind, if entry.restated { FLAG_RESTATED } else { 0 }]);
            put_delta(&mut out, base, entry.base);
            put_varint(&mut out, u64::from(entry.count));
            (offset, base) = (entry.offset, entry.base);
        }
        let len = (out.len() + LAST_LEN) as u32;
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(end as u32).to_le_bytes());
        out.extend_from_slice(&LAST);
        Some(out)
    }

    fn from_bytes(body: &[u8]) -> Result<Self, WireError> {
        let entries = body.len().checked_sub(LAST_LEN).and_then(|len| body.get(..len));
        let mut cursor = Cursor::new(entries.ok_or(WireError::Truncated)?);
        let mut index = Self::default();
        let (mut offset, mut base) = (0u64, 0);
        while !cursor.is_empty() {
            offset = offset.wrapping_add(cursor.varint()?);
            let (kind, flags) = (cursor.byte()?, cursor.byte()?);
            base = cursor.delta(base)?;
            let count = cursor.index()?;
            index.entries.push(IndexEntry {
                offset,
                kind,
                restated: flags & FLAG_RESTATED != 0,
                base,
                count,
            });
        }
        Ok(index)
    }

    /// How many bytes at the end of a file its index takes, by the last bytes of the file (twelve are enough). `None` where
    /// the file does not end with one.
    pub fn footer_len(tail: &[u8]) -> Option<u64> {
        let last: &[u8; LAST_LEN] = tail.last_chunk()?;
        let len = u32::from_le_bytes([last[0], last[1], last[2], last[3]]) as usize;
        (last[8..] == LAST).then(|| (lead_len(len) + HEADER_LEN + len) as u64)
    }

    /// Reads the index in the last [`Index::footer_len`] bytes of a file of this length. `None` where it is damaged, or of
    /// another file: one that was cut or joined.
    pub fn from_footer(footer: &[u8], file_len: u64) -> Option<Self> {
        let Frame::Chunk(header, body) = parse_frame(footer) else { return None };
        let body = footer.get(body..)?;
        let last: &[u8; LAST_LEN] = body.last_chunk()?;
        let end = u32::from_le_bytes([last[4], last[5], last[6], last[7]]);
        let is_this = header.kind == ChunkKind::Index as u8 && crc32c(body) == header.body_crc;
        let begins = file_len.checked_sub(footer.len() as u64)?;
        if !is_this || begins as u32 != end {
            return None;
        }
        Self::from_bytes(body).ok()
    }
}

/// Makes the index of a file that has none, from its bytes in portions of any length.
#[derive(Debug, Default)]
pub struct IndexScan {
    index: Index,
    buf: Vec<u8>,
    /// Offset in the file of `buf[0]`.
    offset: u64,
    /// Bytes of a body that are yet to be passed over.
    skip: u64,
}

impl IndexScan {
    /// Adds the next bytes of the file; returns how many of the following bytes need not be fed: they may be passed over
    /// with [`IndexScan::skip`].
    pub fn feed(&mut self, bytes: &[u8]) -> u64 {
        let passed = self.skip.min(bytes.len() as u64);
        self.skip(passed);
        self.buf.extend_from_slice(&bytes[passed as usize..]);
        let mut at = 0;
        while at < self.buf.len() {
            match parse_frame(&self.buf[at..]) {
                Frame::Visible(len) => at += len,
                Frame::Chunk(header, body) => {
                    self.note(at as u64 + self.offset, &header);
                    let end = at + body + header.len as usize;
                    self.skip = end.saturating_sub(self.buf.len()) as u64;
                    at = end.min(self.buf.len());
                }
                Frame::Incomplete => break,
                Frame::Damaged => match find_header(&self.buf, at) {
                    Ok(found) => {
                        if let Some(header) = Header::from_bytes(&self.buf[found..]) {
                            let lead = lead_len(header.len as usize);
                            self.note((found as u64 + self.offset).saturating_sub(lead as u64), &header);
                            let end = found + HEADER_LEN + header.len as usize;
                            self.skip = end.saturating_sub(self.buf.len()) as u64;
                            at = end.min(self.buf.len());
                        } else {
                            at = found + 1;
                        }
                    }
                    Err(clear) if clear > at => at = clear,
                    Err(_) => break,
                },
            }
        }
        self.buf.drain(..at);
        self.offset += at as u64;
        self.skip
    }

    /// Says that bytes of the file are not fed, at most as many as [`IndexScan::feed`] allowed.
    pub fn skip(&mut self, bytes: u64) {
        let bytes = bytes.min(self.skip);
        self.skip -= bytes;
        self.offset += bytes;
    }

    /// The chunks that were found so far.
    pub fn entries(&self) -> &[IndexEntry] {
        &self.index.entries
    }

    /// The index of what was fed.
    pub fn finish(self) -> Index {
        self.index
    }

    fn note(&mut self, offset: u64, header: &Header) {
        self.index.entries.extend(entry_of(offset, header));
    }
}

/// The entry of a chunk; none for an index itself.
pub(crate) fn entry_of(offset: u64, header: &Header) -> Option<IndexEntry> {
    let Header { kind, flags, base, count, .. } = *header;
    let restated = flags & FLAG_RESTATED != 0;
    (kind != ChunkKind::Index as u8).then_some(IndexEntry { offset, kind, restated, base, count })
}

/// Where the last segment with a whole head (session, plans and keyframe) begins in the last bytes of a file. `None` where
/// these bytes hold none: more of the file is needed, or it has a single segment.
pub fn last_segment(tail: &[u8]) -> Option<usize> {
    let mut end = tail.len();
    // Of the sessions in the tail the last whose keyframe is whole, too.
    loop {
        let at = last_session(tail.get(..end)?)?;
        if has_keyframe(&tail[at..]) {
            return Some(at);
        }
        end = at;
    }
}

/// Where the frame of the last chunk begins that restates a session.
fn last_session(bytes: &[u8]) -> Option<usize> {
    let mut end = bytes.len();
    loop {
        let at = bytes[..end].windows(4).rposition(|four| four == crate::format::chunk::MAGIC)?;
        let header = Header::from_bytes(&bytes[at..]);
        let is_session = |header: &Header| {
            header.kind == ChunkKind::Session as u8 && header.flags & FLAG_RESTATED != 0 && header.count == 0
        };
        if let Some(header) = header.filter(is_session) {
            let frame = at.checked_sub(lead_len(header.len as usize))?;
            if matches!(parse_frame(&bytes[frame..]), Frame::Chunk(..)) {
                return Some(frame);
            }
        }
        end = at + 3;
    }
}

/// Whether a head goes on, undamaged, to the end of its keyframe.
fn has_keyframe(head: &[u8]) -> bool {
    let mut at = 0;
    while let Some(Frame::Chunk(header, body)) = head.get(at..).map(parse_frame) {
        let end = at + body + header.len as usize;
        // A chunk that is damaged inside is not read, and a head without it tells nothing.
        let is_whole = head.get(at + body..end).is_some_and(|body| crc32c(body) == header.body_crc);
        if !is_whole {
            return false;
        }
        if header.kind == ChunkKind::Keyframe as u8 && header.flags & crate::format::chunk::FLAG_MORE == 0 {
            return true;
        }
        let is_next = header.kind == ChunkKind::Session as u8 && header.count == 0 && at > 0;
        if header.kind > ChunkKind::Keyframe as u8 || is_next {
            return false;
        }
        at = end;
    }
    false
}
