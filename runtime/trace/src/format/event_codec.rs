//! Events in binary as keyframes hold them, and as chunks did before minor version 2: one byte for the kind, then numbers as varints, times and run numbers as differences.
//!
//! ```text
//! kind (one byte)     then
//!  1 session ready    Δt
//!  2 run start        Δt Δrun plan
//!  3 run end          Δt Δrun ok
//!  4 op times         Δrun plan first-op count unit, then per op: start - end of the one before, end - start
//!  5 completed        Δt Δrun plan op
//!  6 windows          Δt recording plan part count, then per window: Δop, binding*2+write, buffer+1, arena+1,
//!                     offset, length
//!  7 device allocated Δt id bytes memory-type planned text
//!  8 device freed     Δt id
//!  9 heap sample      Δt heap size usage has-budget [budget]
//! 10 dropped          Δt count kind
//! 11 trace cost       Δt ns run-ns
//! 12 message          Δt level text
//! 13 session end      Δt
//! 64…255              length, bytes: added by later minor versions, skipped by readers that do not know them
//! 64 plan retired     length, then Δt plan (minor version 1)
//! 65 pool ready       length, then Δt pool bytes text (minor version 2, as those below)
//! 66 pool allocated   length, then Δt pool id offset bytes
//! 67 pool freed       length, then Δt pool id
//! 68 load start       length, then Δt total (minor version 5, as those below)
//! 69 load progress    length, then Δt path arrived direct staging
//! 70 load end         length, then Δt ok
//! ```
//! Δt is against the event before it in the chunk (the chunk's base time at first), Δrun against the run before it (0
//! at first); events of kinds from 64 on are no base for those after them. `unit` is the base-2 logarithm of the unit of the op times in nanoseconds; 0, the exact one, is written.

use alloc::string::String;
use alloc::vec::Vec;

use crate::format::wire::{Cursor, WireError, put_bytes, put_delta, put_signed, put_varint, utf8};
use crate::schema::event::{Event, EventKind, Nanos, Severity, Window};
use crate::schema::event_ref::EventRef;
use crate::schema::loading::WeightsPath;

/// Most bytes of a text in an event or about a session; a longer one is cut.
pub(crate) const MAX_TEXT: usize = 4096;
/// Most op times or windows in one event. Longer lists are written as several events.
pub(crate) const MAX_LIST: usize = 2048;

/// Kinds from here on carry their length.
const FIRST_SKIPPABLE: u8 = 64;
const MAX_UNIT: u64 = 32;

/// What differences are taken against.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Context {
    time: Nanos,
    run: u64,
}

impl Context {
    pub(crate) fn new(base: Nanos) -> Self {
        Self { time: base, run: 0 }
    }

    fn put_time(&mut self, out: &mut Vec<u8>, t: Nanos) {
        put_delta(out, self.time, t);
        self.time = t;
    }

    fn put_run(&mut self, out: &mut Vec<u8>, run: u64) {
        put_delta(out, self.run, run);
        self.run = run;
    }

    fn time(&mut self, cursor: &mut Cursor<'_>) -> Result<Nanos, WireError> {
        self.time = cursor.delta(self.time)?;
        Ok(self.time)
    }

    fn run(&mut self, cursor: &mut Cursor<'_>) -> Result<u64, WireError> {
        self.run = cursor.delta(self.run)?;
        Ok(self.run)
    }
}

/// Appends `event`, whose list, if it has one, holds at most [`MAX_LIST`] entries.
pub(crate) fn put_event(out: &mut Vec<u8>, context: &mut Context, event: &Event) {
    match event {
        Event::OpTimes { run, plan, first_op, times } => {
            put_op_times(out, context, (*run, *plan, *first_op), times);
        }
        Event::Windows { t, recording, plan, part, windows } => {
            put_windows(out, context, (*t, *recording, *plan, *part), windows);
        }
        Event::PlanRetired { .. }
        | Event::PoolReady { .. }
        | Event::PoolAllocated { .. }
        | Event::PoolFreed { .. } => put_skippable(out, context, event),
        Event::LoadStart { .. } | Event::LoadProgress { .. } | Event::LoadEnd { .. } => {
            out.push(event.kind().number());
            put_bytes(out, &load_to_bytes(context.time, event.as_ref()));
        }
        _ => put_plain(out, context, event),
    }
}

/// Appends an event that readers of former minor versions skip by its length.
fn put_skippable(out: &mut Vec<u8>, context: &Context, event: &Event) {
    let mut body = Vec::new();
    put_delta(&mut body, context.time, event.time());
    match event {
        Event::PlanRetired { plan, .. } => put_varint(&mut body, u64::from(*plan)),
        Event::PoolReady { pool, bytes, name, .. } => {
            put_varint(&mut body, u64::from(*pool));
            put_varint(&mut body, *bytes);
            put_text(&mut body, name);
        }
        Event::PoolAllocated { pool, id, offset, bytes, .. } => {
            [u64::from(*pool), *id, *offset, *bytes]
                .into_iter()
                .for_each(|number| put_varint(&mut body, number));
        }
        Event::PoolFreed { pool, id, .. } => {
            [u64::from(*pool), *id].into_iter().for_each(|number| put_varint(&mut body, number));
        }
        _ => {}
    }
    out.push(event.kind().number());
    put_bytes(out, &body);
}

fn put_plain(out: &mut Vec<u8>, context: &mut Context, event: &Event) {
    out.push(event.kind().number());
    context.put_time(out, event.time());
    match event {
        Event::SessionReady { .. } | Event::SessionEnd { .. } => {}
        // Lists, and what readers may skip, are written by `put_event`.
        Event::OpTimes { .. } | Event::Windows { .. } => {}
        Event::PlanRetired { .. }
        | Event::PoolReady { .. }
        | Event::PoolAllocated { .. }
        | Event::PoolFreed { .. }
        | Event::LoadStart { .. }
        | Event::LoadProgress { .. }
        | Event::LoadEnd { .. } => {}
        Event::RunStart { run, plan, .. } => {
            context.put_run(out, *run);
            put_varint(out, u64::from(*plan));
        }
        Event::RunEnd { run, ok, .. } => {
            context.put_run(out, *run);
            out.push(u8::from(*ok));
        }
        Event::Completed { run, plan, op, .. } => {
            context.put_run(out, *run);
            put_varint(out, u64::from(*plan));
            put_varint(out, u64::from(*op));
        }
        Event::DeviceAllocated { id, bytes, memory_type, purpose, planned, .. } => {
            put_varint(out, *id);
            put_varint(out, *bytes);
            put_varint(out, u64::from(*memory_type));
            out.push(u8::from(*planned));
            put_text(out, purpose);
        }
        Event::DeviceFreed { id, .. } => put_varint(out, *id),
        Event::HeapSample { heap, size, usage, budget, .. } => {
            put_varint(out, u64::from(*heap));
            put_varint(out, *size);
            put_varint(out, *usage);
            out.push(u8::from(budget.is_some()));
            if let Some(budget) = budget {
                put_varint(out, *budget);
            }
        }
        Event::Dropped { count, kind, .. } => {
            put_varint(out, *count);
            out.push(kind.number());
        }
        Event::TraceCost { ns, run_ns, .. } => {
            put_varint(out, *ns);
            put_varint(out, *run_ns);
        }
        Event::Message { level, text, .. } => {
            out.push(*level as u8);
            put_text(out, text);
        }
    }
}

/// The first [`MAX_TEXT`] bytes of a text, or a little less where that would cut a character.
pub(crate) fn clip(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, clip(text).as_bytes());
}

fn put_op_times(out: &mut Vec<u8>, context: &mut Context, head: (u64, u32, u32), times: &[(Nanos, Nanos)]) {
    let (run, plan, first_op) = head;
    out.push(EventKind::OpTimes.number());
    context.put_run(out, run);
    put_varint(out, u64::from(plan));
    put_varint(out, u64::from(first_op));
    put_varint(out, times.len() as u64);
    put_varint(out, 0);
    let mut before = context.time;
    for (start, end) in times {
        put_delta(out, before, *start);
        // A clock that runs backwards still round-trips: the difference wraps.
        put_varint(out, end.wrapping_sub(*start));
        before = *end;
    }
}

fn put_windows(out: &mut Vec<u8>, context: &mut Context, head: (Nanos, u32, u32, u32), windows: &[Window]) {
    let (t, recording, plan, part) = head;
    out.push(EventKind::Windows.number());
    context.put_time(out, t);
    for value in [recording, plan, part, windows.len() as u32] {
        put_varint(out, u64::from(value));
    }
    let mut op = 0;
    for window in windows {
        put_signed(out, i64::from(window.op) - i64::from(op));
        put_varint(out, u64::from(window.binding) << 1 | u64::from(window.write));
        // Unplanned is the largest index, and becomes 0.
        put_varint(out, u64::from(window.buffer.wrapping_add(1)));
        put_varint(out, u64::from(window.arena.wrapping_add(1)));
        put_varint(out, window.offset);
        put_varint(out, window.len);
        op = window.op;
    }
}

/// Reads the next event; `None` for one that a later version added.
pub(crate) fn take_event(cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Option<Event>, WireError> {
    let number = cursor.byte()?;
    if number >= FIRST_SKIPPABLE {
        return take_skippable(number, Cursor::new(cursor.bytes()?), context);
    }
    let kind = EventKind::from_number(number).ok_or(WireError::Value("an event has an impossible kind"))?;
    if kind == EventKind::OpTimes {
        return take_op_times(cursor, context).map(Some);
    }
    let t = context.time(cursor)?;
    let event = match kind {
        EventKind::SessionReady => Event::SessionReady { t },
        EventKind::RunStart => Event::RunStart { t, run: context.run(cursor)?, plan: cursor.index()? },
        EventKind::RunEnd => Event::RunEnd { t, run: context.run(cursor)?, ok: cursor.byte()? != 0 },
        EventKind::Completed => {
            Event::Completed { t, run: context.run(cursor)?, plan: cursor.index()?, op: cursor.index()? }
        }
        // All but windows were read above.
        EventKind::OpTimes
        | EventKind::Windows
        | EventKind::PlanRetired
        | EventKind::PoolReady
        | EventKind::PoolAllocated
        | EventKind::PoolFreed
        | EventKind::LoadStart
        | EventKind::LoadProgress
        | EventKind::LoadEnd => return take_windows(cursor, t).map(Some),
        EventKind::DeviceAllocated => Event::DeviceAllocated {
            t,
            id: cursor.varint()?,
            bytes: cursor.varint()?,
            memory_type: cursor.index()?,
            planned: cursor.byte()? != 0,
            purpose: take_text(cursor)?,
        },
        EventKind::DeviceFreed => Event::DeviceFreed { t, id: cursor.varint()? },
        EventKind::HeapSample => Event::HeapSample {
            t,
            heap: cursor.index()?,
            size: cursor.varint()?,
            usage: cursor.varint()?,
            budget: if cursor.byte()? == 0 { None } else { Some(cursor.varint()?) },
        },
        EventKind::Dropped => {
            let count = cursor.varint()?;
            // A kind that a later version added still counts as a loss, under the most general name.
            let kind = EventKind::from_number(cursor.byte()?).unwrap_or(EventKind::Dropped);
            Event::Dropped { t, count, kind }
        }
        EventKind::TraceCost => Event::TraceCost { t, ns: cursor.varint()?, run_ns: cursor.varint()? },
        EventKind::Message => {
            let level = match cursor.byte()? {
                0 => Severity::Info,
                1 => Severity::Warning,
                _ => Severity::Error,
            };
            Event::Message { t, level, text: take_text(cursor)? }
        }
        EventKind::SessionEnd => Event::SessionEnd { t },
    };
    Ok(Some(event))
}

/// Reads an event that carries its length; `None` for a kind that a later version added.
fn take_skippable(number: u8, mut body: Cursor<'_>, context: &Context) -> Result<Option<Event>, WireError> {
    let Some(kind) = EventKind::from_number(number) else { return Ok(None) };
    if let Some(load) = take_load(kind, body, context.time)? {
        return Ok(Some(load.to_event()));
    }
    let t = body.delta(context.time)?;
    let event = match kind {
        EventKind::PlanRetired => Event::PlanRetired { t, plan: body.index()? },
        EventKind::PoolReady => {
            let (pool, bytes) = (body.index()?, body.varint()?);
            Event::PoolReady { t, pool, bytes, name: take_text(&mut body)? }
        }
        EventKind::PoolAllocated => Event::PoolAllocated {
            t,
            pool: body.index()?,
            id: body.varint()?,
            offset: body.varint()?,
            bytes: body.varint()?,
        },
        EventKind::PoolFreed => Event::PoolFreed { t, pool: body.index()?, id: body.varint()? },
        _ => return Ok(None),
    };
    Ok(Some(event))
}

/// What stands behind the length of an event of loading; `before` is the time that its own is told against.
pub(crate) fn load_to_bytes(before: Nanos, event: EventRef<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    put_delta(&mut body, before, event.time());
    let mut put = |numbers: &[u64]| numbers.iter().for_each(|number| put_varint(&mut body, *number));
    match event {
        EventRef::LoadStart { total, .. } => put(&[total]),
        EventRef::LoadProgress { path, arrived, direct, staging, .. } => {
            put(&[u64::from(path.number()), arrived, direct, staging]);
        }
        EventRef::LoadEnd { ok, .. } => put(&[u64::from(ok)]),
        _ => {}
    }
    body
}

/// Reads it; `None` for other events, and for a path that a later version added.
pub(crate) fn take_load(
    kind: EventKind,
    mut body: Cursor<'_>,
    before: Nanos,
) -> Result<Option<EventRef<'static>>, WireError> {
    if !matches!(kind, EventKind::LoadStart | EventKind::LoadProgress | EventKind::LoadEnd) {
        return Ok(None);
    }
    let t = body.delta(before)?;
    Ok(Some(match kind {
        EventKind::LoadStart => EventRef::LoadStart { t, total: body.varint()? },
        EventKind::LoadProgress => {
            let Some(path) = WeightsPath::from_number(body.varint()?) else { return Ok(None) };
            let (arrived, direct, staging) = (body.varint()?, body.varint()?, body.varint()?);
            EventRef::LoadProgress { t, path, arrived, direct, staging }
        }
        _ => EventRef::LoadEnd { t, ok: body.varint()? != 0 },
    }))
}

fn take_text(cursor: &mut Cursor<'_>) -> Result<String, WireError> {
    Ok(String::from(utf8(cursor.bytes()?)?))
}

/// Reads a length and checks it against what is left, each entry taking at least `entry` bytes.
fn take_count(cursor: &mut Cursor<'_>, entry: usize) -> Result<usize, WireError> {
    let count = usize::try_from(cursor.varint()?).map_err(|_| WireError::Truncated)?;
    if count > cursor.remaining() / entry {
        return Err(WireError::Truncated);
    }
    Ok(count)
}

fn take_op_times(cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Event, WireError> {
    let run = context.run(cursor)?;
    let plan = cursor.index()?;
    let first_op = cursor.index()?;
    // The unit and two bytes per op follow.
    let count = take_count(cursor, 2)?;
    let unit = cursor.varint()?;
    if unit > MAX_UNIT {
        return Err(WireError::Value("op times have an impossible unit"));
    }
    let mut times = Vec::with_capacity(count);
    let mut before = context.time;
    for _ in 0..count {
        let start = before.wrapping_add((cursor.signed()? as u64) << unit);
        let end = start.wrapping_add(cursor.varint()? << unit);
        times.push((start, end));
        before = end;
    }
    Ok(Event::OpTimes { run, plan, first_op, times })
}

fn take_windows(cursor: &mut Cursor<'_>, t: Nanos) -> Result<Event, WireError> {
    let recording = cursor.index()?;
    let plan = cursor.index()?;
    let part = cursor.index()?;
    let count = take_count(cursor, 6)?;
    let mut windows = Vec::with_capacity(count);
    let mut op = 0i64;
    for _ in 0..count {
        op = op.wrapping_add(cursor.signed()?);
        let binding = cursor.varint()?;
        windows.push(Window {
            op: u32::try_from(op).map_err(|_| WireError::Value("a window has an impossible op"))?,
            write: binding & 1 == 1,
            binding: crate::format::wire::narrow(binding >> 1)?,
            buffer: cursor.index()?.wrapping_sub(1),
            arena: cursor.index()?.wrapping_sub(1),
            offset: cursor.varint()?,
            len: cursor.varint()?,
        });
    }
    Ok(Event::Windows { t, recording, plan, part, windows })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::schema::event::UNPLANNED;
    use alloc::string::ToString;
    use alloc::vec;

    /// One of each kind, with large and backward values.
    pub(crate) fn samples() -> Vec<Event> {
        let window = |op, buffer| Window {
            op,
            binding: 3,
            buffer,
            arena: if buffer == UNPLANNED { UNPLANNED } else { 0 },
            offset: 1 << 40,
            len: u64::MAX,
            write: op % 2 == 0,
        };
        vec![
            Event::SessionReady { t: 5 },
            Event::RunStart { run: 0, plan: 0, t: 1_000_000 },
            Event::Completed { run: 0, plan: 0, op: 1, t: 900 },
            Event::RunEnd { run: u64::MAX, t: u64::MAX, ok: true },
            Event::RunEnd { run: 3, t: 0, ok: false },
            Event::OpTimes { run: 3, plan: 0, first_op: 0, times: vec![(10, 20), (25, 24), (u64::MAX, 3)] },
            Event::Windows {
                t: 7,
                recording: 1,
                plan: 0,
                part: 0,
                windows: vec![window(1, 0), window(0, UNPLANNED), window(2, 1)],
            },
            Event::DeviceAllocated {
                t: 8,
                id: 9,
                bytes: 1 << 34,
                memory_type: 7,
                purpose: "arena \u{1b}[31m".to_string(),
                planned: true,
            },
            Event::DeviceFreed { t: 9, id: 9 },
            Event::HeapSample { t: 10, heap: 1, size: 8 << 30, usage: 1 << 30, budget: Some(u64::MAX) },
            Event::HeapSample { t: 10, heap: 0, size: 8 << 30, usage: 0, budget: None },
            Event::Dropped { t: 11, count: 12, kind: EventKind::OpTimes },
            Event::TraceCost { t: 12, ns: 13, run_ns: 14 },
            Event::Message { t: 13, level: Severity::Warning, text: "größer".to_string() },
            Event::SessionEnd { t: 14 },
            Event::PlanRetired { t: 15, plan: 3 },
            Event::PoolReady { t: 16, pool: 2, bytes: 1 << 30, name: "outputs \u{7}".to_string() },
            Event::PoolAllocated { t: 17, pool: 2, id: u64::MAX, offset: 1 << 29, bytes: 4096 },
            Event::PoolFreed { t: 18, pool: u32::MAX, id: 5 },
            Event::LoadStart { t: 19, total: u64::MAX },
            Event::LoadProgress {
                t: 3,
                path: WeightsPath::Staged,
                arrived: 1 << 32,
                direct: 1 << 31,
                staging: 1 << 24,
            },
            Event::LoadEnd { t: 20, ok: true },
            Event::LoadEnd { t: 21, ok: false },
        ]
    }

    fn read_all(bytes: &[u8], base: u64) -> Result<Vec<Event>, WireError> {
        let mut cursor = Cursor::new(bytes);
        let mut context = Context::new(base);
        let mut events = Vec::new();
        while !cursor.is_empty() {
            events.extend(take_event(&mut cursor, &mut context)?);
        }
        Ok(events)
    }

    #[test]
    fn every_kind_round_trips() {
        let events = samples();
        for kind in EventKind::ALL {
            assert!(events.iter().any(|event| event.kind() == kind), "{kind:?} has no sample");
        }
        let mut out = Vec::new();
        let mut context = Context::new(77);
        for event in &events {
            put_event(&mut out, &mut context, event);
        }
        assert_eq!(read_all(&out, 77), Ok(events));
    }

    #[test]
    fn truncation_never_panics() {
        let mut out = Vec::new();
        let mut context = Context::default();
        samples().iter().for_each(|event| put_event(&mut out, &mut context, event));
        let whole = read_all(&out, 0).unwrap();
        for end in 0..out.len() {
            if let Ok(events) = read_all(&out[..end], 0) {
                assert_eq!(events[..], whole[..events.len()]);
            }
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let text = "ä".repeat(MAX_TEXT);
        let mut out = Vec::new();
        put_event(&mut out, &mut Context::default(), &Event::Message { t: 0, level: Severity::Info, text });
        let expect = Event::Message { t: 0, level: Severity::Info, text: "ä".repeat(MAX_TEXT / 2) };
        assert_eq!(read_all(&out, 0), Ok(vec![expect]));
    }

    #[test]
    fn unknown_kinds_are_skipped_and_impossible_ones_refused() {
        let mut out = vec![200, 3, 1, 2, 3];
        put_event(&mut out, &mut Context::default(), &Event::SessionEnd { t: 1 });
        assert_eq!(read_all(&out, 0), Ok(vec![Event::SessionEnd { t: 1 }]));
        assert!(read_all(&[0, 0], 0).is_err());
        assert!(read_all(&[14, 0], 0).is_err());
    }

    #[test]
    fn a_count_larger_than_the_bytes_is_refused_before_memory_is_taken() {
        // Op times that claim 2^40 entries.
        assert_eq!(
            read_all(&[4, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0], 0),
            Err(WireError::Truncated)
        );
        assert_eq!(read_all(&[6, 0, 0, 0, 0, 0x7f], 0), Err(WireError::Truncated));
    }
}
