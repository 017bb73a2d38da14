//! Frames and chunks: how our records are laid into a Perfetto trace. The drawing stands in the crate's documentation.

use alloc::vec::Vec;

use crc::{CRC_32_ISCSI, Crc, Table};

use crate::format::wire::{self, Cursor};

/// Major version of the format: another one is refused.
pub const FORMAT_MAJOR: u8 = 1;
/// Minor version of the format: what a higher one adds is skipped.
pub const FORMAT_MINOR: u8 = 5;

/// First bytes of every chunk.
pub(crate) const MAGIC: [u8; 4] = *b"bayp";
/// Length of a chunk's header.
pub(crate) const HEADER_LEN: usize = 40;
/// Most bytes in the body of one chunk. A piece of a plan or keyframe is cut at half of it.
pub(crate) const MAX_BODY: usize = 1 << 20;
/// Most bytes in a packet that is not ours. The writer's own are below 64 KiB; a longer length is damage.
pub(crate) const MAX_VISIBLE: usize = 1 << 16;
/// Most bytes of a plan put together from its pieces: some two million buffers and their ops.
const MAX_PLAN: usize = 1 << 28;
/// Most bytes of a keyframe: the descriptor windows of some three million ops.
const MAX_KEYFRAME: usize = 1 << 27;

/// Key of `Trace.packet`: every frame begins with it.
pub(crate) const PACKET_KEY: u8 = 0x0a;
/// Key of `TracePacket.timestamp`.
const TIME_KEY: u8 = 0x08;
/// Number of the private field of `TracePacket` that holds a chunk. Perfetto skips fields it does not know.
pub(crate) const PRIVATE_FIELD: u32 = 90_001;

/// A chunk begins at less than this in its packet, behind the private field's key and length.
const KEY_ROOM: usize = 12;

/// Flag: the item goes on in the next chunk of the same kind.
pub(crate) const FLAG_MORE: u8 = 1;
/// Flag: the chunk restates what earlier segments said.
pub(crate) const FLAG_RESTATED: u8 = 2;

/// CRC-32C (Castagnoli).
static CRC32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// CRC-32C of `bytes`.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    CRC32C.checksum(bytes)
}

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ChunkKind {
    Session = 1,
    Plan = 2,
    Keyframe = 3,
    Events = 4,
    Packed = 5,
    Index = 6,
}

impl ChunkKind {
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        let kinds = [Self::Session, Self::Plan, Self::Keyframe, Self::Events, Self::Packed, Self::Index];
        kinds.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Most bytes of such an item, put together from its pieces.
    pub(crate) fn max_len(self) -> usize {
        match self {
            Self::Plan => MAX_PLAN,
            Self::Keyframe => MAX_KEYFRAME,
            Self::Session | Self::Events | Self::Packed | Self::Index => MAX_BODY,
        }
    }
}

/// The header of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) major: u8,
    pub(crate) minor: u8,
    /// Number of a [`ChunkKind`].
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// Number of the chunk in the session.
    pub(crate) seq: u64,
    /// Time that the first time in the body is relative to.
    pub(crate) base: u64,
    /// Number of events in the body; for an item cut into pieces, the number of this piece.
    pub(crate) count: u32,
    /// Length of the body in bytes.
    pub(crate) len: u32,
    /// CRC-32C of the body.
    pub(crate) body_crc: u32,
}

impl Header {
    /// The header as it lies in the file, its own CRC-32C last.
    pub(crate) fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[..4].copy_from_slice(&MAGIC);
        out[4..8].copy_from_slice(&[self.major, self.minor, self.kind, self.flags]);
        out[8..16].copy_from_slice(&self.seq.to_le_bytes());
        out[16..24].copy_from_slice(&self.base.to_le_bytes());
        out[24..28].copy_from_slice(&self.count.to_le_bytes());
        out[28..32].copy_from_slice(&self.len.to_le_bytes());
        out[32..36].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = crc32c(&out[..36]);
        out[36..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header. `None` if the magic or the header's CRC is wrong, or `bytes` is too short.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEADER_LEN)?;
        if bytes[..4] != MAGIC || u32_at(bytes, 36) != crc32c(&bytes[..36]) {
            return None;
        }
        Some(Self {
            major: bytes[4],
            minor: bytes[5],
            kind: bytes[6],
            flags: bytes[7],
            seq: u64_at(bytes, 8),
            base: u64_at(bytes, 16),
            count: u32_at(bytes, 24),
            len: u32_at(bytes, 28),
            body_crc: u32_at(bytes, 32),
        })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Bytes of a frame before the header of its chunk, whose body has this length.
pub(crate) fn lead_len(body: usize) -> usize {
    let varint_len = |value: usize| (usize::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize;
    let payload = HEADER_LEN + body;
    // Three bytes of key stand before the payload's length.
    let key = 3 + varint_len(payload);
    1 + varint_len(key + payload) + key
}

/// Appends a frame that holds one chunk.
pub(crate) fn put_chunk(out: &mut Vec<u8>, header: Header, body: &[u8]) {
    let payload = HEADER_LEN + body.len();
    let mut key = Vec::with_capacity(8);
    wire::put_key(&mut key, PRIVATE_FIELD, wire::BYTES);
    wire::put_varint(&mut key, payload as u64);
    out.push(PACKET_KEY);
    wire::put_varint(out, (key.len() + payload) as u64);
    out.extend_from_slice(&key);
    out.extend_from_slice(&header.to_bytes());
    out.extend_from_slice(body);
}

/// Appends a frame that holds a packet Perfetto reads.
pub(crate) fn put_packet(out: &mut Vec<u8>, packet: &[u8]) {
    wire::field_bytes(out, 1, packet);
}

/// What lies at a place where a frame should begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// More bytes are needed to tell.
    Incomplete,
    /// Packets that are not ours, whole and well-formed, of this length with their frames.
    Visible(usize),
    /// A chunk with a sound header, whole or not: its header and where its body begins.
    Chunk(Header, usize),
    /// No frame, or a damaged one.
    Damaged,
}

/// The length of the frames at the start of `bytes` that hold packets of runs and counters: short, with their time first, and
/// another frame behind each. No flipped bit makes a chunk's frame look like one.
fn short_packets(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some([PACKET_KEY, len @ ..0x80, TIME_KEY]) = bytes.get(at..).and_then(|rest| rest.first_chunk())
    {
        let end = at + 2 + usize::from(*len);
        if bytes.get(end) != Some(&PACKET_KEY) {
            break;
        }
        at = end;
    }
    at
}

/// Looks at the frame at the start of `bytes`, or at several that hold no chunk. Looks at no more than the first 64 KiB and a few bytes.
pub(crate) fn parse_frame(bytes: &[u8]) -> Frame {
    let Some(first) = bytes.first() else { return Frame::Incomplete };
    if *first != PACKET_KEY {
        return Frame::Damaged;
    }
    let short = short_packets(bytes);
    if short > 0 {
        return Frame::Visible(short);
    }
    // 16 bytes hold the frame's key and length and the private field's key and length.
    let head_known = bytes.len() >= 16;
    let unless_known = if head_known { Frame::Damaged } else { Frame::Incomplete };
    let mut cursor = Cursor::at(bytes, 1);
    let Ok(len) = cursor.varint() else { return unless_known };
    if len > (MAX_BODY + HEADER_LEN + 16) as u64 {
        return Frame::Damaged;
    }
    let content = cursor.pos();
    let len = len as usize;
    let Ok(key) = cursor.varint() else {
        return if bytes.len() >= content + len && len == 0 { Frame::Visible(content) } else { unless_known };
    };
    if key == u64::from(PRIVATE_FIELD) << 3 | u64::from(wire::BYTES) {
        let Ok(payload) = cursor.varint() else { return unless_known };
        return parse_chunk_frame(bytes, cursor.pos(), payload, content + len);
    }
    if len > MAX_VISIBLE {
        return Frame::Damaged;
    }
    let Some(packet) = bytes.get(content..content + len) else { return Frame::Incomplete };
    // A chunk behind a damaged key would pass for a field that is not ours. In a packet that Perfetto shows, the time,
    // the sequence and numbers of tracks lie here, never a text that someone could have chosen.
    let early = &packet[..packet.len().min(KEY_ROOM + MAGIC.len() - 1)];
    let mut magic = early.windows(MAGIC.len()).enumerate().filter(|(_, four)| *four == MAGIC);
    if magic.any(|(at, _)| Header::from_bytes(&packet[at..]).is_some()) {
        return Frame::Damaged;
    }
    let mut fields = Cursor::new(packet);
    while !fields.is_empty() {
        if fields.field().is_err() {
            return Frame::Damaged;
        }
    }
    Frame::Visible(content + len)
}

fn parse_chunk_frame(bytes: &[u8], start: usize, payload: u64, frame_end: usize) -> Frame {
    if start as u64 + payload != frame_end as u64 || payload < HEADER_LEN as u64 {
        return Frame::Damaged;
    }
    if bytes.len() < start + HEADER_LEN {
        return Frame::Incomplete;
    }
    match Header::from_bytes(&bytes[start..]) {
        Some(header) if HEADER_LEN as u64 + u64::from(header.len) == payload => {
            Frame::Chunk(header, start + HEADER_LEN)
        }
        _ => Frame::Damaged,
    }
}

/// Finds the next place at or after `from` where a chunk's header stands whole and sound: its start.
/// `Err` holds the place up to which there is none, whatever bytes may follow.
pub(crate) fn find_header(bytes: &[u8], from: usize) -> Result<usize, usize> {
    let mut at = from;
    while at < bytes.len() {
        if bytes[at] != MAGIC[0] {
            at += 1;
            continue;
        }
        let rest = &bytes[at..];
        let seen = rest.len().min(MAGIC.len());
        if rest[..seen] == MAGIC[..seen] {
            if rest.len() < HEADER_LEN {
                return Err(at);
            }
            if Header::from_bytes(rest).is_some_and(|header| header.len as usize <= MAX_BODY) {
                return Ok(at);
            }
        }
        at += 1;
    }
    Err(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(len: u32) -> Header {
        Header {
            major: 1,
            minor: 0,
            kind: 4,
            flags: 2,
            seq: 7,
            base: 1 << 40,
            count: 3,
            len,
            body_crc: crc32c(b"abc"),
        }
    }

    #[test]
    fn crc_is_castagnoli() {
        // RFC 3720, section B.4: 32 bytes of zeros, and the usual check value.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn header_round_trips_and_notices_every_flipped_bit() {
        let bytes = header(3).to_bytes();
        assert_eq!(Header::from_bytes(&bytes), Some(header(3)));
        for bit in 0..HEADER_LEN * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::from_bytes(&bad), None, "bit {bit}");
        }
    }

    #[test]
    fn frame_is_recognised_from_any_prefix() {
        let mut out = Vec::new();
        put_chunk(&mut out, header(3), b"abc");
        let body = out.len() - 3;
        for end in 0..out.len() {
            let expect = if end < body { Frame::Incomplete } else { Frame::Chunk(header(3), body) };
            assert_eq!(parse_frame(&out[..end]), expect, "{end} bytes");
        }
    }

    #[test]
    fn bad_frames_are_damaged() {
        for bytes in
            [&b"\0\0\0"[..], b"GGUF", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
        {
            assert_eq!(parse_frame(bytes), Frame::Damaged, "{bytes:?}");
        }
        // A packet whose field runs past its end.
        assert_eq!(parse_frame(b"\x0a\x02\x0a\x05xxxxxxxxxxxxxxxxx"), Frame::Damaged);
    }

    #[test]
    fn header_is_found_behind_rubbish() {
        let mut out = b"bay bayp rubbish b".to_vec();
        let at = out.len();
        out.extend_from_slice(&header(3).to_bytes());
        assert_eq!(find_header(&out, 0), Ok(at));
        assert_eq!(find_header(&out[..at + 39], 0), Err(at));
        assert_eq!(find_header(b"nothing", 0), Err(7));
    }
}
