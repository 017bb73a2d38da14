//! The packets of a recording that Perfetto shows: who made it, a slice per run, and counters.
//!
//! Source: the message and field numbers of `perfetto/trace/trace_packet.proto` and `track_event/*.proto`.
//! Every track hangs directly under the process track, and tracks are described before their first event: an event on a
//! track without a description is lost without a word.

use alloc::format;
use alloc::vec::Vec;

use crate::format::wire::{self, field_bytes, field_text, field_varint};
use crate::schema::event::Nanos;
use crate::schema::session::SessionInfo;

/// Track of the process; the others count up from it.
const PROCESS: u64 = 1;
const RUNS: u64 = 2;
const DROPPED: u64 = 3;
const DEVICE: u64 = 4;
const ARRIVED: u64 = 5;
/// Counters of arenas, heaps and pools: these plus the index.
const ARENAS: u64 = 1 << 16;
const HEAP_USAGE: u64 = 2 << 16;
const HEAP_BUDGET: u64 = 3 << 16;
const POOLS: u64 = 4 << 16;

/// `TrackEvent.Type`.
const SLICE_BEGIN: u64 = 1;
const SLICE_END: u64 = 2;
const INSTANT: u64 = 3;
const COUNTER: u64 = 4;
/// `TracePacket.SequenceFlags`: what was said on the sequence before holds no more; the packet needs what was said.
const STATE_CLEARED: u64 = 1;
const STATE_NEEDED: u64 = 2;
/// Words that packets name by number: names of events, and of a debug annotation.
const RUN: u64 = 1;
const FAILED_RUN: u64 = 2;
const NUMBER: u64 = 1;
/// `CounterDescriptor.Unit`.
const UNIT_COUNT: u64 = 2;
const UNIT_BYTES: u64 = 3;

/// A counter of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counter {
    /// Events lost so far.
    Dropped,
    /// Bytes of device blocks.
    Device,
    /// Bytes of weights that arrived.
    Arrived,
    /// Bytes that live in an arena, by its index.
    Arena(u32),
    /// Bytes of a heap in use, by its index.
    HeapUsage(u32),
    /// Bytes of a heap this process may use, by its index.
    HeapBudget(u32),
    /// Bytes taken of a pool, by its number.
    Pool(u32),
}

impl Counter {
    fn track(self) -> u64 {
        match self {
            Self::Dropped => DROPPED,
            Self::Device => DEVICE,
            Self::Arrived => ARRIVED,
            Self::Arena(at) => ARENAS + u64::from(at),
            Self::HeapUsage(at) => HEAP_USAGE + u64::from(at),
            Self::HeapBudget(at) => HEAP_BUDGET + u64::from(at),
            Self::Pool(at) => POOLS + u64::from(at),
        }
    }

    fn unit(self) -> u64 {
        if self == Self::Dropped { UNIT_COUNT } else { UNIT_BYTES }
    }
}

/// Makes the packets of one session. Tracks of different sessions do not meet: their numbers are hashed with the
/// session's name.
#[derive(Clone, Debug)]
pub(crate) struct Packets {
    salt: u64,
}

impl Packets {
    pub(crate) fn new(session: &SessionInfo) -> Self {
        // FNV-1a, 64 bits.
        let hash = session.id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { salt: hash << 24 }
    }

    fn uuid(&self, track: u64) -> u64 {
        self.salt | track
    }

    /// The packet's sequence: one per session, in two bytes. That two sessions share one does no harm: each segment clears
    /// what was said before on its sequence.
    fn sequence(&self) -> u64 {
        (self.salt >> 24 | 0x80) & 0x3fff
    }

    fn packet(&self, t: Option<Nanos>, field: u32, message: &[u8]) -> Vec<u8> {
        let mut packet = Vec::with_capacity(message.len() + 24);
        if let Some(t) = t {
            field_varint(&mut packet, 8, t);
        }
        field_varint(&mut packet, 10, self.sequence());
        field_bytes(&mut packet, field, message);
        packet
    }

    /// What the packets of runs leave out: their track, and the words that they name by number.
    fn defaults(&self) -> Vec<u8> {
        let mut words = Vec::new();
        for (field, number, word) in [(2, RUN, "run"), (2, FAILED_RUN, "failed run"), (3, NUMBER, "number")] {
            let mut entry = Vec::new();
            field_varint(&mut entry, 1, number);
            field_text(&mut entry, 2, word);
            field_bytes(&mut words, field, &entry);
        }
        let mut track = Vec::new();
        field_varint(&mut track, 11, self.uuid(RUNS));
        let mut defaults = Vec::new();
        field_bytes(&mut defaults, 11, &track);
        let mut packet = Vec::new();
        field_varint(&mut packet, 10, self.sequence());
        field_varint(&mut packet, 13, STATE_CLEARED);
        field_bytes(&mut packet, 12, &words);
        field_bytes(&mut packet, 59, &defaults);
        packet
    }

    /// Begins a segment: defaults, the process and the track of runs, and an instant event that says what the session is.
    pub(crate) fn session(&self, session: &SessionInfo, t: Nanos) -> [Vec<u8>; 4] {
        let mut process = Vec::new();
        field_varint(&mut process, 1, u64::from(session.pid));
        field_text(&mut process, 6, &format!("bayplan {}", session.model));
        let mut track = Vec::new();
        field_varint(&mut track, 1, self.uuid(PROCESS));
        field_bytes(&mut track, 3, &process);

        let mut runs = Vec::new();
        field_varint(&mut runs, 1, self.uuid(RUNS));
        field_text(&mut runs, 2, "runs");
        field_varint(&mut runs, 5, self.uuid(PROCESS));

        let mut event = Vec::new();
        field_varint(&mut event, 9, INSTANT);
        field_varint(&mut event, 11, self.uuid(PROCESS));
        field_text(&mut event, 23, "session");
        for (name, text) in session.named() {
            let mut note = Vec::new();
            field_text(&mut note, 6, text);
            field_text(&mut note, 10, name);
            field_bytes(&mut event, 4, &note);
        }
        let [track, runs] = [track, runs].map(|track| self.packet(None, 60, &track));
        [self.defaults(), track, runs, self.packet(Some(t), 11, &event)]
    }

    /// Describes the track of a counter.
    pub(crate) fn describe(&self, counter: Counter, name: &str) -> Vec<u8> {
        let mut unit = Vec::new();
        field_varint(&mut unit, 3, counter.unit());
        let mut track = Vec::new();
        field_varint(&mut track, 1, self.uuid(counter.track()));
        field_text(&mut track, 2, name);
        field_varint(&mut track, 5, self.uuid(PROCESS));
        field_bytes(&mut track, 8, &unit);
        self.packet(None, 60, &track)
    }

    /// A value of a counter.
    pub(crate) fn counter(&self, counter: Counter, t: Nanos, value: u64) -> Vec<u8> {
        let mut event = Vec::new();
        field_varint(&mut event, 9, COUNTER);
        field_varint(&mut event, 11, self.uuid(counter.track()));
        field_varint(&mut event, 30, value);
        self.packet(Some(t), 11, &event)
    }

    /// Appends a run as a slice: the frames of its begin and its end.
    pub(crate) fn put_run(&self, out: &mut Vec<u8>, run: u64, start: Nanos, end: Nanos, ok: bool) {
        self.put_run_event(out, start, |event| {
            field_varint(event, 9, SLICE_BEGIN);
            field_varint(event, 10, if ok { RUN } else { FAILED_RUN });
            with_length(event, 4, |number| {
                field_varint(number, 1, NUMBER);
                field_varint(number, 3, run);
            });
        });
        self.put_run_event(out, end.max(start), |event| field_varint(event, 9, SLICE_END));
    }

    /// Appends the frame of an event on the track of runs.
    fn put_run_event(&self, out: &mut Vec<u8>, t: Nanos, event: impl FnOnce(&mut Vec<u8>)) {
        with_length(out, 1, |packet| {
            field_varint(packet, 8, t);
            field_varint(packet, 10, self.sequence());
            field_varint(packet, 13, STATE_NEEDED);
            with_length(packet, 11, event);
        });
    }
}

/// Appends a field of less than 128 bytes, made in place.
fn with_length(out: &mut Vec<u8>, field: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    wire::put_key(out, field, wire::BYTES);
    let at = out.len();
    out.push(0);
    fill(out);
    let len = out.len() - at - 1;
    debug_assert!(len < 128, "{len} bytes in a field with a short length");
    out[at] = len as u8;
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;
    use crate::format::chunk::{Frame, parse_frame};
    use crate::format::tests::chain;
    use crate::format::wire::Cursor;
    use crate::{Event, Level, Writer};

    /// What Perfetto finds in the packets of some bytes.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Found {
        begins: u64,
        ends: u64,
        instants: u64,
        /// Number of counter values, and the largest.
        counters: (u64, u64),
        /// The track of events that name none.
        default: u64,
    }

    fn find(bytes: &[u8]) -> Found {
        let mut found = Found::default();
        let mut described = BTreeSet::new();
        let mut at = 0;
        while at < bytes.len() {
            match parse_frame(&bytes[at..]) {
                Frame::Chunk(header, body) => at += body + header.len as usize,
                Frame::Visible(len) => {
                    let mut frame = Cursor::new(&bytes[at..at + len]);
                    let packet = frame.field().unwrap().1.bytes().unwrap();
                    look_at(packet, &mut found, &mut described);
                    at += len;
                }
                frame => panic!("{frame:?} at {at}"),
            }
        }
        found
    }

    fn look_at(packet: &[u8], found: &mut Found, described: &mut BTreeSet<u64>) {
        let mut fields = Cursor::new(packet);
        while !fields.is_empty() {
            let (number, field) = fields.field().unwrap();
            let Ok(message) = field.bytes() else { continue };
            if number == 59 {
                let defaults = Cursor::new(message).field().unwrap().1.bytes().unwrap();
                found.default = Cursor::new(defaults).field().unwrap().1.number().unwrap();
            }
            if number != 11 && number != 60 {
                continue;
            }
            let (mut uuid, mut parent, mut kind, mut value) = (found.default, None, 0, 0);
            let mut inner = Cursor::new(message);
            while !inner.is_empty() {
                match (number, inner.field().unwrap()) {
                    (60, (1, field)) | (11, (11, field)) => uuid = field.number().unwrap(),
                    (60, (5, field)) => parent = Some(field.number().unwrap()),
                    (11, (9, field)) => kind = field.number().unwrap(),
                    (11, (30, field)) => value = field.number().unwrap(),
                    _ => {}
                }
            }
            if number == 60 {
                assert!(parent.is_none_or(|parent| described.contains(&parent)), "a parent comes later");
                described.insert(uuid);
                continue;
            }
            assert!(described.contains(&uuid), "an event on a track that is not described");
            match kind {
                SLICE_BEGIN => found.begins += 1,
                SLICE_END => found.ends += 1,
                INSTANT => found.instants += 1,
                COUNTER => found.counters = (found.counters.0 + 1, found.counters.1.max(value)),
                _ => panic!("kind {kind}"),
            }
        }
    }

    fn recording(level: Level) -> [Vec<u8>; 2] {
        let mut writer = Writer::new(SessionInfo { id: "1-2".to_string(), level, ..SessionInfo::default() });
        let mut plan = chain(4);
        plan.buffers[1].first = 1;
        writer.plan(&plan);
        [0, 1].map(|segment| {
            for run in segment * 5..segment * 5 + 5 {
                let t = 1000 * run;
                writer.event(&Event::RunStart { run, plan: 0, t });
                writer.event(&Event::RunEnd { run, t: t + 500, ok: run != 3 });
                if level == Level::Op {
                    let times = vec![(t, t + 1), (t + 2, t + 3), (t + 4, t + 5), (t + 6, t + 7)];
                    writer.event(&Event::OpTimes { run, plan: 0, first_op: 0, times });
                }
            }
            // A run that has not ended shows no half slice.
            writer.event(&Event::RunStart { run: 100 + segment, plan: 0, t: 9000 });
            writer.flush();
            let mut bytes = Vec::new();
            writer.take(&mut bytes);
            writer.begin_segment();
            bytes
        })
    }

    #[test]
    fn every_segment_shows_its_runs_and_the_peak() {
        // At level op a curve: it begins at 256 bytes, rises to 512 and ends at 0; else the peak and 0.
        for (level, counters) in [(Level::Op, 3), (Level::Run, 2)] {
            for segment in recording(level) {
                let default = find(&segment).default;
                let expect = Found { begins: 5, ends: 5, instants: 1, counters: (counters, 512), default };
                assert_eq!(find(&segment), expect, "{level}");
            }
            let found = find(&recording(level).concat());
            let counters = (2 * counters, 512);
            let expect = Found { begins: 10, ends: 10, instants: 2, counters, default: found.default };
            assert_eq!(found, expect, "{level}");
        }
    }
}
