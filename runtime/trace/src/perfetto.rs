//! The packets of a recording that Perfetto shows: who made it, a slice per run, and counters.
//!
//! Source: the message and field numbers of `perfetto/trace/trace_packet.proto` and `track_event/*.proto`.
//! Every track hangs directly under the process track, and tracks are described before their first event: an event on a
//! track without a description is lost without a word.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::event::Nanos;
use crate::session::SessionInfo;
use crate::wire::{field_bytes, field_text, field_varint};

/// Track of the process; the others count up from it.
const PROCESS: u64 = 1;
const RUNS: u64 = 2;
const DROPPED: u64 = 3;
const DEVICE: u64 = 4;
/// Counters of arenas and heaps: these plus the index.
const ARENAS: u64 = 1 << 16;
const HEAP_USAGE: u64 = 2 << 16;
const HEAP_BUDGET: u64 = 3 << 16;

/// `TrackEvent.Type`.
const SLICE_BEGIN: u64 = 1;
const SLICE_END: u64 = 2;
const INSTANT: u64 = 3;
const COUNTER: u64 = 4;
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
    /// Bytes that live in an arena, by its index.
    Arena(u32),
    /// Bytes of a heap in use, by its index.
    HeapUsage(u32),
    /// Bytes of a heap this process may use, by its index.
    HeapBudget(u32),
}

impl Counter {
    fn track(self) -> u64 {
        match self {
            Self::Dropped => DROPPED,
            Self::Device => DEVICE,
            Self::Arena(at) => ARENAS + u64::from(at),
            Self::HeapUsage(at) => HEAP_USAGE + u64::from(at),
            Self::HeapBudget(at) => HEAP_BUDGET + u64::from(at),
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

    /// The packet's sequence: one per session.
    fn sequence(&self) -> u64 {
        (self.salt >> 32 | 1) & 0x7fff_ffff
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

    /// Describes the process and the track of runs, and says in an instant event what the session is.
    pub(crate) fn session(&self, session: &SessionInfo, t: Nanos) -> [Vec<u8>; 3] {
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
        let notes = [
            ("run", &session.id),
            ("model", &session.model),
            ("device", &session.device),
            ("driver", &session.driver),
            ("api", &session.api),
            ("version", &session.version),
            ("level", &String::from(session.level.name())),
        ];
        for (name, text) in notes {
            let mut note = Vec::new();
            field_text(&mut note, 6, text);
            field_text(&mut note, 10, name);
            field_bytes(&mut event, 4, &note);
        }
        [self.packet(None, 60, &track), self.packet(None, 60, &runs), self.packet(Some(t), 11, &event)]
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

    /// A run as a slice: its begin and its end.
    pub(crate) fn run(&self, run: u64, start: Nanos, end: Nanos, ok: bool) -> [Vec<u8>; 2] {
        let mut begin = Vec::new();
        field_varint(&mut begin, 9, SLICE_BEGIN);
        field_varint(&mut begin, 11, self.uuid(RUNS));
        field_text(&mut begin, 23, if ok { "run" } else { "failed run" });
        let mut number = Vec::new();
        field_varint(&mut number, 3, run);
        field_text(&mut number, 10, "number");
        field_bytes(&mut begin, 4, &number);
        let mut finish = Vec::new();
        field_varint(&mut finish, 9, SLICE_END);
        field_varint(&mut finish, 11, self.uuid(RUNS));
        [self.packet(Some(start), 11, &begin), self.packet(Some(end.max(start)), 11, &finish)]
    }
}
