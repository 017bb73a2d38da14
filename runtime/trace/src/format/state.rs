//! The state a keyframe restates, kept beside the stream while it is written; and the binary form of what opens a
//! segment.
//!
//! ```text
//! Session   1 id · 2 model · 3 device · 4 driver · 5 api · 6 version · 7 level · 8 pid · 9 start · 10 origin
//!           11 roofs (since 1.4): 1 bytes per second · 2 flops per second · 3 source (1: an earlier session)
//!           · 4 clock (1: the host's) · 5 when, ns since the Unix epoch
//! Keyframe  1 time · 2 runs started · 3 runs ok · 4 runs failed · 5 dropped (packed pairs) · 6 events
//!           7 totals · 8 pools (packed: number, high water, top, taken, given back)
//!           9 sums of a plan (since 1.3)
//! Plan      1 number of the plan · 2 plan record
//! ```

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::format::event_codec::{Context, put_event, take_event};
use crate::format::wire::{Cursor, WireError, field_bytes, field_nonzero, field_text, put_varint};
use crate::schema::event::{Event, EventKind, Nanos};
use crate::schema::event_ref::EventRef;
use crate::schema::roofs::Roofs;
use crate::schema::session::{Keyframe, Level, SessionInfo};
use crate::schema::totals::Totals;
use crate::timeline::plan_sums::{PlanSums, SumsOfPlans};
use crate::timeline::pool::{Pool, PoolRange, PoolTotals};

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
    ready: Option<Nanos>,
    blocks: BTreeMap<u64, Event>,
    /// Sum of their sizes.
    device_bytes: u64,
    /// Blocks outside the plan that were freed: allocation and release.
    freed: Vec<Event>,
    heaps: BTreeMap<u32, Event>,
    windows: BTreeMap<u32, Vec<Event>>,
    /// The run that began last: number, plan, start.
    run: Option<(u64, u32, Nanos)>,
    /// Run, plan, op and time of the playhead.
    playhead: Option<(u64, u32, u32, Nanos)>,
    cost: Option<Event>,
    totals: Totals,
    plans: SumsOfPlans,
    /// Pools, and when they were ready.
    pools: BTreeMap<u32, (Nanos, Pool)>,
}

impl LiveState {
    #[inline]
    pub(crate) fn apply(&mut self, event: EventRef<'_>) {
        self.now = self.now.max(event.time());
        self.totals.apply(event);
        match event {
            EventRef::RunStart { run, plan, t } => {
                self.runs_started += 1;
                self.run = Some((run, plan, t));
                self.playhead = None;
                self.plans.run_started(run, plan);
            }
            EventRef::RunEnd { run, ok, .. } => {
                *(if ok { &mut self.runs_ok } else { &mut self.runs_failed }) += 1;
                self.plans.run_ended(run);
            }
            EventRef::Completed { run, plan, op, t } => self.playhead = Some((run, plan, op, t)),
            EventRef::OpTimes { plan, first_op, times, .. } => {
                self.plans.add_op_times(plan, first_op, times);
            }
            EventRef::Message { .. } | EventRef::SessionEnd { .. } => {}
            EventRef::PoolReady { .. } | EventRef::PoolAllocated { .. } | EventRef::PoolFreed { .. } => {
                self.apply_to_pool(event);
            }
            _ => self.apply_rare(event),
        }
    }

    fn apply_rare(&mut self, event: EventRef<'_>) {
        match event {
            EventRef::SessionReady { t } => self.ready = Some(t),
            EventRef::Windows { plan, part, .. } => {
                let set = self.windows.entry(plan).or_default();
                if part == 0 {
                    set.clear();
                }
                set.push(event.to_event());
            }
            EventRef::DeviceAllocated { id, bytes, .. } => {
                let before = self.blocks.insert(id, event.to_event());
                let before = before.as_ref().map_or(0, block_bytes);
                self.device_bytes = self.device_bytes.saturating_sub(before).saturating_add(bytes);
                self.totals.note_device_bytes(self.device_bytes);
            }
            EventRef::DeviceFreed { id, .. } => {
                let block = self.blocks.remove(&id);
                let freed = block.as_ref().map_or(0, block_bytes);
                self.device_bytes = self.device_bytes.saturating_sub(freed);
                let unplanned =
                    |block: &Event| matches!(block, Event::DeviceAllocated { planned: false, .. });
                if let Some(block) = block.filter(unplanned).filter(|_| self.freed.len() < 2 * MAX_FREED) {
                    self.freed.extend([block, event.to_event()]);
                }
            }
            EventRef::HeapSample { heap, .. } => {
                self.heaps.insert(heap, event.to_event());
            }
            EventRef::Dropped { count, kind, .. } => {
                let total = self.dropped.entry(kind).or_default();
                *total = total.saturating_add(count);
            }
            EventRef::TraceCost { .. } => self.cost = Some(event.to_event()),
            EventRef::PlanRetired { plan, .. } => {
                self.windows.remove(&plan);
                self.plans.retire(plan);
            }
            // Folded by `apply`.
            _ => {}
        }
    }

    fn apply_to_pool(&mut self, event: EventRef<'_>) {
        match event {
            EventRef::PoolReady { t, pool, bytes, name } => {
                let (ready, pool) = self.pools.entry(pool).or_default();
                *ready = t;
                pool.bytes = bytes;
                pool.name = String::from(name);
            }
            EventRef::PoolAllocated { t, pool, id, offset, bytes } => {
                let (_, pool) = self.pools.entry(pool).or_default();
                pool.allocate(id, PoolRange { t, offset, bytes });
            }
            EventRef::PoolFreed { pool, id, .. } => {
                if let Some((_, pool)) = self.pools.get_mut(&pool) {
                    pool.free(id);
                }
            }
            _ => {}
        }
    }

    /// A plan was recorded.
    pub(crate) fn plan(&mut self, number: u32, ops: usize) {
        self.plans.begin(number, ops);
    }

    /// Bytes taken in a pool.
    pub(crate) fn pool_bytes(&self, pool: u32) -> u64 {
        self.pools.get(&pool).map_or(0, |(_, pool)| pool.live_bytes)
    }

    /// What a pool holds, in words.
    pub(crate) fn pool_name(&self, pool: u32) -> &str {
        self.pools.get(&pool).map_or("", |(_, pool)| &pool.name)
    }

    /// Each pool and the ranges taken of it, as events.
    fn pool_events(&self) -> impl Iterator<Item = Event> + '_ {
        self.pools.iter().flat_map(|(&number, (t, pool))| {
            let (bytes, name) = (pool.bytes, pool.name.clone());
            let ready = Event::PoolReady { t: *t, pool: number, bytes, name };
            let ranges = pool.live.iter().map(move |(&id, &PoolRange { t, offset, bytes })| {
                Event::PoolAllocated { t, pool: number, id, offset, bytes }
            });
            core::iter::once(ready).chain(ranges)
        })
    }

    pub(crate) fn now(&self) -> Nanos {
        self.now
    }

    pub(crate) fn dropped_total(&self) -> u64 {
        self.dropped.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Sum of the sizes of the live device blocks.
    pub(crate) fn device_bytes(&self) -> u64 {
        self.device_bytes
    }

    /// Bytes of weights that arrived in the latest load.
    pub(crate) fn arrived(&self) -> u64 {
        self.totals.loads.latest.map_or(0, |load| load.loading.arrived())
    }

    pub(crate) fn keyframe(&self) -> Keyframe {
        let ready = self.ready.map(|t| Event::SessionReady { t });
        let run = self.run.map(|(run, plan, t)| Event::RunStart { run, plan, t });
        let playhead = self.playhead.map(|(run, plan, op, t)| Event::Completed { run, plan, op, t });
        // As they came: alarms are told in that order. Of one instant, numbers tell it: they count up.
        let mut blocks: Vec<_> = self.freed.iter().chain(self.blocks.values()).collect();
        blocks.sort_by_key(|event| (event.time(), block_number(event)));
        let held = blocks.into_iter().chain(self.heaps.values()).chain(self.windows.values().flatten());
        let state = ready.into_iter().chain(held.cloned()).chain(run).chain(playhead);
        Keyframe {
            t: self.now,
            runs_started: self.runs_started,
            runs_ok: self.runs_ok,
            runs_failed: self.runs_failed,
            dropped: self.dropped.iter().map(|(kind, count)| (*kind, *count)).collect(),
            totals: Some(Box::new(self.totals.clone())),
            pools: self.pools.iter().map(|(number, (_, pool))| (*number, pool.totals)).collect(),
            plans: self.plans.told(),
            state: state.chain(self.cost.clone()).chain(self.pool_events()).collect(),
        }
    }
}

fn block_number(event: &Event) -> u64 {
    match event {
        Event::DeviceAllocated { id, .. } | Event::DeviceFreed { id, .. } => *id,
        _ => 0,
    }
}

fn block_bytes(block: &Event) -> u64 {
    if let Event::DeviceAllocated { bytes, .. } = block { *bytes } else { 0 }
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
    field_text(&mut out, 10, &session.origin);
    if let Some(roofs) = session.roofs {
        field_bytes(&mut out, 11, &roofs.to_bytes());
    }
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
            10 => session.origin = field.text()?.into(),
            11 => session.roofs = Some(Roofs::from_bytes(field.bytes()?)?),
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
    if let Some(totals) = &keyframe.totals {
        field_bytes(&mut out, 7, &totals.to_bytes());
    }
    for (pool, totals) in &keyframe.pools {
        part.clear();
        let PoolTotals { high_water, top, allocated, freed } = *totals;
        [u64::from(*pool), high_water, top, allocated, freed]
            .into_iter()
            .for_each(|number| put_varint(&mut part, number));
        field_bytes(&mut out, 8, &part);
    }
    for (plan, sums) in &keyframe.plans {
        field_bytes(&mut out, 9, &sums.to_bytes(*plan));
        if !sums.op_times.is_empty() {
            field_bytes(&mut out, 10, &sums.first_to_bytes(*plan));
        }
    }
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
            7 => keyframe.totals = Some(Box::new(Totals::from_bytes(field.bytes()?)?)),
            8 => {
                let mut part = Cursor::new(field.bytes()?);
                let pool = part.index()?;
                let (high_water, top) = (part.varint()?, part.varint()?);
                let (allocated, freed) = (part.varint()?, part.varint()?);
                keyframe.pools.push((pool, PoolTotals { high_water, top, allocated, freed }));
            }
            9 => keyframe.plans.push(PlanSums::from_bytes(field.bytes()?)?),
            10 => PlanSums::add_first(&mut keyframe.plans, field.bytes()?)?,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_one_instant_are_restated_as_they_came() {
        let block = |id| Event::DeviceAllocated {
            t: 7,
            id,
            bytes: 16,
            memory_type: 0,
            purpose: "leak".into(),
            planned: false,
        };
        let events = [block(1), block(2), Event::DeviceFreed { t: 7, id: 2 }, block(3)];
        let mut state = LiveState::default();
        events.iter().for_each(|event| state.apply(event.as_ref()));
        assert_eq!(state.keyframe().state, events);
    }
}
