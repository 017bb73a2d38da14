//! The state a keyframe restates, kept beside the stream while it is written; and the binary form of what opens a
//! segment.
//!
//! ```text
//! Session   1 id · 2 model · 3 device · 4 driver · 5 api · 6 version · 7 level · 8 pid · 9 start
//! Keyframe  1 time · 2 runs started · 3 runs ok · 4 runs failed · 5 dropped (packed pairs) · 6 events
//! Plan      1 number of the plan · 2 plan record
//! ```

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::event::{Event, EventKind, Nanos};
use crate::event_codec::{Context, put_event, take_event};
use crate::session::{Keyframe, Level, SessionInfo};
use crate::wire::{Cursor, WireError, field_bytes, field_nonzero, field_text, put_varint};

/// Most events of a keyframe: device blocks, heaps, and parts of window lists. A device allows some thousand blocks.
const MAX_STATE: usize = 1 << 20;

/// Freed blocks outside the plan that are restated: their alarms stand for the rest of the session. Where more went
/// wrong than that, nobody misses the others.
const MAX_FREED: usize = 256;

/// What holds now, folded from the events so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct LiveState {
    now: Nanos,
    runs_started: u64,
    runs_ok: u64,
    runs_failed: u64,
    dropped: BTreeMap<EventKind, u64>,
    ready: Option<Event>,
    blocks: BTreeMap<u64, Event>,
    /// Blocks outside the plan that were freed: allocation and release.
    freed: Vec<Event>,
    heaps: BTreeMap<u32, Event>,
    windows: BTreeMap<u32, Vec<Event>>,
    run: Option<Event>,
    playhead: Option<Event>,
    cost: Option<Event>,
}

impl LiveState {
    pub(crate) fn apply(&mut self, event: &Event) {
        self.now = self.now.max(event.time());
        match event {
            Event::SessionReady { .. } => self.ready = Some(event.clone()),
            Event::RunStart { .. } => {
                self.runs_started += 1;
                self.run = Some(event.clone());
                self.playhead = None;
            }
            Event::RunEnd { ok: true, .. } => self.runs_ok += 1,
            Event::RunEnd { ok: false, .. } => self.runs_failed += 1,
            Event::Completed { .. } => self.playhead = Some(event.clone()),
            Event::Windows { plan, part, .. } => {
                let set = self.windows.entry(*plan).or_default();
                if *part == 0 {
                    set.clear();
                }
                set.push(event.clone());
            }
            Event::DeviceAllocated { id, .. } => {
                self.blocks.insert(*id, event.clone());
            }
            Event::DeviceFreed { id, .. } => {
                let block = self.blocks.remove(id);
                let unplanned =
                    |block: &Event| matches!(block, Event::DeviceAllocated { planned: false, .. });
                if let Some(block) = block.filter(unplanned).filter(|_| self.freed.len() < 2 * MAX_FREED) {
                    self.freed.extend([block, event.clone()]);
                }
            }
            Event::HeapSample { heap, .. } => {
                self.heaps.insert(*heap, event.clone());
            }
            Event::Dropped { count, kind, .. } => {
                let total = self.dropped.entry(*kind).or_default();
                *total = total.saturating_add(*count);
            }
            Event::TraceCost { .. } => self.cost = Some(event.clone()),
            Event::PlanRetired { plan, .. } => {
                self.windows.remove(plan);
            }
            Event::OpTimes { .. } | Event::Message { .. } | Event::SessionEnd { .. } => {}
        }
    }

    pub(crate) fn now(&self) -> Nanos {
        self.now
    }

    pub(crate) fn dropped_total(&self) -> u64 {
        self.dropped.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Sum of the sizes of the live device blocks.
    pub(crate) fn device_bytes(&self) -> u64 {
        let sizes = self.blocks.values().map(|block| match block {
            Event::DeviceAllocated { bytes, .. } => *bytes,
            _ => 0,
        });
        sizes.fold(0, u64::saturating_add)
    }

    pub(crate) fn keyframe(&self) -> Keyframe {
        let state =
            self.ready.iter().chain(&self.freed).chain(self.blocks.values()).chain(self.heaps.values());
        let state = state.chain(self.windows.values().flatten()).chain(&self.run).chain(&self.playhead);
        Keyframe {
            t: self.now,
            runs_started: self.runs_started,
            runs_ok: self.runs_ok,
            runs_failed: self.runs_failed,
            dropped: self.dropped.iter().map(|(kind, count)| (*kind, *count)).collect(),
            state: state.chain(&self.cost).cloned().collect(),
        }
    }
}

pub(crate) fn session_to_bytes(session: &SessionInfo) -> Vec<u8> {
    let mut out = Vec::new();
    let texts =
        [&session.id, &session.model, &session.device, &session.driver, &session.api, &session.version];
    for (number, text) in (1..).zip(texts) {
        field_text(&mut out, number, text);
    }
    field_nonzero(&mut out, 7, session.level as u64);
    field_nonzero(&mut out, 8, u64::from(session.pid));
    field_nonzero(&mut out, 9, session.start_unix_ns);
    out
}

pub(crate) fn session_from_bytes(bytes: &[u8]) -> Result<SessionInfo, WireError> {
    let mut session = SessionInfo { level: Level::Off, ..SessionInfo::default() };
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_empty() {
        let (number, field) = cursor.field()?;
        match number {
            1 => session.id = field.text()?.into(),
            2 => session.model = field.text()?.into(),
            3 => session.device = field.text()?.into(),
            4 => session.driver = field.text()?.into(),
            5 => session.api = field.text()?.into(),
            6 => session.version = field.text()?.into(),
            7 => {
                session.level = match field.number()? {
                    0 => Level::Off,
                    1 => Level::Run,
                    _ => Level::Op,
                };
            }
            8 => session.pid = field.index()?,
            9 => session.start_unix_ns = field.number()?,
            _ => {}
        }
    }
    Ok(session)
}

pub(crate) fn keyframe_to_bytes(keyframe: &Keyframe) -> Vec<u8> {
    let mut out = Vec::new();
    field_nonzero(&mut out, 1, keyframe.t);
    field_nonzero(&mut out, 2, keyframe.runs_started);
    field_nonzero(&mut out, 3, keyframe.runs_ok);
    field_nonzero(&mut out, 4, keyframe.runs_failed);
    let mut part = Vec::new();
    for (kind, count) in &keyframe.dropped {
        part.push(kind.number());
        put_varint(&mut part, *count);
    }
    if !part.is_empty() {
        field_bytes(&mut out, 5, &part);
    }
    part.clear();
    let mut context = Context::default();
    for event in &keyframe.state {
        put_event(&mut part, &mut context, event);
    }
    field_bytes(&mut out, 6, &part);
    out
}

pub(crate) fn keyframe_from_bytes(bytes: &[u8]) -> Result<Keyframe, WireError> {
    let mut keyframe = Keyframe::default();
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_empty() {
        let (number, field) = cursor.field()?;
        match number {
            1 => keyframe.t = field.number()?,
            2 => keyframe.runs_started = field.number()?,
            3 => keyframe.runs_ok = field.number()?,
            4 => keyframe.runs_failed = field.number()?,
            5 => {
                let mut pairs = Cursor::new(field.bytes()?);
                while !pairs.is_empty() {
                    let kind = EventKind::from_number(pairs.byte()?).unwrap_or(EventKind::Dropped);
                    keyframe.dropped.push((kind, pairs.varint()?));
                }
            }
            6 => {
                let mut events = Cursor::new(field.bytes()?);
                let mut context = Context::default();
                while !events.is_empty() {
                    if keyframe.state.len() >= MAX_STATE {
                        return Err(WireError::Value("a keyframe restates too many events"));
                    }
                    keyframe.state.extend(take_event(&mut events, &mut context)?);
                }
            }
            _ => {}
        }
    }
    Ok(keyframe)
}

pub(crate) fn plan_to_bytes(number: u32, record: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(record.len() + 16);
    field_nonzero(&mut out, 1, u64::from(number));
    field_bytes(&mut out, 2, record);
    out
}

/// The number of the plan and the bytes of its record.
pub(crate) fn plan_from_bytes(bytes: &[u8]) -> Result<(u32, &[u8]), WireError> {
    let (mut plan, mut record) = (0, None);
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_empty() {
        match cursor.field()? {
            (1, field) => plan = field.index()?,
            (2, field) => record = Some(field.bytes()?),
            _ => {}
        }
    }
    Ok((plan, record.ok_or(WireError::Value("a plan is empty"))?))
}
