//! A trace for Perfetto that shows all there is, and is itself a recording.
//!
//! The chunks of the recording are carried along unchanged, in the private field that Perfetto skips, so that whatever
//! reads the recording reads the export to the same effect. The packets that the recorder wrote for Perfetto are few, since a
//! run pays for them; they are left out for those drawn here: every run and op, the lives of tensors, all counters.
//!
//! Source: the message and field numbers of `perfetto/trace/trace_packet.proto`, `track_event/*.proto`,
//! `interned_data/interned_data.proto` and `gpu/vulkan_memory_event.proto`. Tracks are described before their first
//! event: events on a track without a description are lost without a word.

use std::collections::HashMap;
use std::io::{self, Write};

use bayplan_trace::wire::{FIXED64, field_bytes, field_text, field_varint, put_key};
use bayplan_trace::{Block, Nanos, Record, SessionInfo, Timeline};

use super::Exporter;
use super::canvas::{Arg, Args, Canvas, Span, Track, TrackKind};
use super::painter::{Painter, shown};

/// Most texts that events name by number; then numbers are given anew.
const MAX_INTERNED: usize = 1 << 16;

/// `TrackEvent.Type`.
const SLICE_BEGIN: u64 = 1;
const SLICE_END: u64 = 2;
const INSTANT: u64 = 3;
const COUNTER: u64 = 4;
/// `TracePacket.SequenceFlags`.
const STATE_CLEARED: u64 = 1;
const NEEDS_STATE: u64 = 2;
/// `VulkanMemoryEvent.Source.SOURCE_DEVICE_MEMORY`, `AllocationScope.SCOPE_DEVICE`.
const DEVICE_MEMORY: u64 = 3;
const SCOPE_DEVICE: u64 = 4;
/// `VulkanMemoryEvent.Operation`.
const CREATE: u64 = 1;
const DESTROY: u64 = 2;
/// Lists of `InternedData`: names of events, names of arguments, texts.
const EVENT_NAMES: u32 = 2;
const ARGUMENT_NAMES: u32 = 3;
const TEXTS: u32 = 29;

/// Writes packets as they come.
#[derive(Default)]
pub(super) struct Perfetto {
    painter: Painter,
    packets: Packets,
}

impl Exporter for Perfetto {
    fn chunks(&mut self, frames: &[u8], out: &mut dyn Write) -> io::Result<()> {
        out.write_all(frames)
    }

    fn record(&mut self, record: &Record, before: &Timeline, out: &mut dyn Write) -> io::Result<()> {
        self.painter.record(record, before, &mut self.packets);
        self.packets.write(out)
    }

    fn finish(&mut self, timeline: &Timeline, out: &mut dyn Write) -> io::Result<()> {
        self.painter.finish(timeline, &mut self.packets);
        self.packets.write(out)
    }
}

/// Packets, until they are written.
#[derive(Default)]
struct Packets {
    bytes: Vec<u8>,
    /// What numbers of tracks and the sequence are made of, so that those of two sessions do not meet.
    salt: u64,
    pid: u32,
    interned: Interned,
}

impl Packets {
    fn write(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }

    fn process(&self) -> u64 {
        self.salt
    }

    fn uuid(&self, track: Track) -> u64 {
        self.salt | (u64::from(track.0) + 1)
    }

    /// Appends a packet; texts that it is the first to name come with it.
    fn packet(&mut self, t: Option<Nanos>, flags: u64, field: u32, message: &[u8]) {
        let mut packet = Vec::with_capacity(message.len() + 32);
        if let Some(t) = t {
            field_varint(&mut packet, 8, t);
        }
        field_varint(&mut packet, 10, (self.salt >> 32 | 1) & 0x7fff_ffff);
        if !self.interned.fresh.is_empty() {
            field_bytes(&mut packet, 12, &self.interned.fresh);
            self.interned.fresh.clear();
        }
        if flags != 0 {
            field_varint(&mut packet, 13, flags);
        }
        field_bytes(&mut packet, field, message);
        field_bytes(&mut self.bytes, 1, &packet);
    }

    fn event(&mut self, t: Nanos, kind: u64, track: Track, more: &[u8]) {
        let mut event = Vec::with_capacity(more.len() + 16);
        field_varint(&mut event, 9, kind);
        field_varint(&mut event, 11, self.uuid(track));
        event.extend_from_slice(more);
        self.packet(Some(t), NEEDS_STATE, 11, &event);
    }

    /// The name and arguments of an event.
    fn named(&mut self, name: &str, args: &Args<'_>) -> Vec<u8> {
        if self.interned.numbers.len() > MAX_INTERNED {
            self.clear_state();
        }
        let mut event = Vec::new();
        field_varint(&mut event, 10, self.interned.number(EVENT_NAMES, name));
        let mut note = Vec::new();
        for (name, value) in args {
            note.clear();
            field_varint(&mut note, 1, self.interned.number(ARGUMENT_NAMES, name));
            match value {
                Arg::Number(number) => field_varint(&mut note, 3, *number),
                Arg::Text(text) => field_varint(&mut note, 17, self.interned.number(TEXTS, text)),
            }
            field_bytes(&mut event, 4, &note);
        }
        event
    }

    /// Begins with no text known. The process is told again, since a packet has to say something.
    fn clear_state(&mut self) {
        self.interned = Interned::default();
        let mut track = Vec::new();
        field_varint(&mut track, 1, self.process());
        self.packet(None, STATE_CLEARED, 60, &track);
    }
}

impl Canvas for Packets {
    fn session(&mut self, session: &SessionInfo) {
        // FNV-1a, 64 bits; other numbers than those in the recording of the session.
        let bytes = "export ".bytes().chain(session.id.bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        *self = Self {
            bytes: std::mem::take(&mut self.bytes),
            salt: hash << 32,
            pid: session.pid,
            ..Self::default()
        };
        let mut process = Vec::new();
        field_varint(&mut process, 1, u64::from(session.pid));
        field_text(&mut process, 6, &format!("bayplan {}", shown(&session.model)));
        let mut track = Vec::new();
        field_varint(&mut track, 1, self.process());
        field_bytes(&mut track, 3, &process);
        self.packet(None, STATE_CLEARED, 60, &track);
    }

    fn track(&mut self, track: Track, kind: TrackKind, name: &str) {
        let mut message = Vec::new();
        field_varint(&mut message, 1, self.uuid(track));
        field_text(&mut message, 2, name);
        field_varint(&mut message, 5, self.process());
        // `CounterDescriptor.Unit`.
        let unit = match kind {
            TrackKind::Slices => None,
            TrackKind::Nanos => Some(1),
            TrackKind::Count => Some(2),
            TrackKind::Bytes => Some(3),
        };
        if let Some(unit) = unit {
            let mut counter = Vec::new();
            field_varint(&mut counter, 3, unit);
            field_bytes(&mut message, 8, &counter);
        }
        self.packet(None, 0, 60, &message);
    }

    fn slice(&mut self, span: Span<'_>, args: &Args<'_>) {
        let named = self.named(span.name, args);
        self.event(span.start, SLICE_BEGIN, span.track, &named);
        self.event(span.end, SLICE_END, span.track, &[]);
    }

    fn instant(&mut self, track: Track, t: Nanos, name: &str, args: &Args<'_>) {
        let named = self.named(name, args);
        self.event(t, INSTANT, track, &named);
    }

    fn value(&mut self, track: Track, t: Nanos, value: u64) {
        let mut number = Vec::new();
        // The field is signed.
        field_varint(&mut number, 30, value.min(i64::MAX as u64));
        self.event(t, COUNTER, track, &number);
    }

    fn block(&mut self, t: Nanos, block: &Block, allocated: bool) {
        let mut event = Vec::new();
        let fields = [
            (1, DEVICE_MEMORY),
            (2, if allocated { CREATE } else { DESTROY }),
            (3, t),
            (4, u64::from(self.pid)),
            (6, block.bytes),
            (8, SCOPE_DEVICE),
            (18, u64::from(block.memory_type)),
        ];
        for (field, value) in fields {
            field_varint(&mut event, field, value);
        }
        // Handles that tell blocks apart: device memory, and the object.
        for field in [17, 20] {
            put_key(&mut event, field, FIXED64);
            event.extend_from_slice(&block.id.to_le_bytes());
        }
        self.packet(Some(t), NEEDS_STATE, 62, &event);
    }
}

/// Texts that events name by number.
#[derive(Default)]
struct Interned {
    numbers: HashMap<(u32, String), u64>,
    /// `InternedData` with those that no packet has brought yet.
    fresh: Vec<u8>,
}

impl Interned {
    /// The number of a text in a list.
    fn number(&mut self, list: u32, text: &str) -> u64 {
        let key = (list, text.to_owned());
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let number = self.numbers.len() as u64 + 1;
        self.numbers.insert(key, number);
        let mut entry = Vec::with_capacity(text.len() + 12);
        field_varint(&mut entry, 1, number);
        // Texts of arguments are bytes in field 2, as names are: `InternedString.str`, `EventName.name`.
        field_bytes(&mut entry, 2, text.as_bytes());
        field_bytes(&mut self.fresh, list, &entry);
        number
    }
}
