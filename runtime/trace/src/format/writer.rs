//! Events to bytes: segments, chunks, and the packets that Perfetto shows.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::format::chunk::{
    self, ChunkKind, FLAG_MORE, FLAG_RESTATED, FORMAT_MAJOR, FORMAT_MINOR, Header, MAX_BODY, put_chunk,
    put_packet,
};
use crate::format::event_codec::{MAX_LIST, clip};
use crate::format::index::{Index, entry_of};
use crate::format::packed::{PackedContext, Spans};
use crate::format::perfetto::{Counter, Packets};
use crate::format::state::{LiveState, keyframe_to_bytes, plan_to_bytes, session_to_bytes};
use crate::metrics::live_curve::{live_curves, thin};
use crate::schema::event::{Event, Nanos};
use crate::schema::event_ref::EventRef;
use crate::schema::plan_record::{ArenaRecord, PlanRecord};
use crate::schema::session::SessionInfo;

/// A chunk of events is closed when its body reaches this many bytes, so that a killed process loses little.
const CHUNK_TARGET: usize = 32 << 10;
/// Most counter values written for one run and arena.
const CURVE_POINTS: usize = 1024;
/// Most runs whose start is remembered until their end comes.
const MAX_OPEN_RUNS: usize = 64;
/// Time between two values of a pool's counter, but for new maxima: ranges come and go by the million.
const POOL_PERIOD: Nanos = 1_000_000;

/// A plan as every segment restates it.
#[derive(Default)]
struct StoredPlan {
    /// Empty once the plan is retired: it is not restated any more.
    encoded: Vec<u8>,
    arenas: Vec<ArenaRecord>,
    curves: Vec<Vec<u64>>,
    /// Whether the counters of a run of it were written in this segment.
    drawn: bool,
}

/// Encodes one session's recording. Bytes gather inside; [`Writer::take`] hands them out at chunk boundaries.
///
/// ```text
/// new → (event | plan)* → flush → take → … → begin_segment → take → …
/// ```
pub struct Writer {
    out: Vec<u8>,
    body: Vec<u8>,
    count: u32,
    base: Nanos,
    context: PackedContext,
    spans: Spans,
    seq: u64,
    session: SessionInfo,
    plans: Vec<StoredPlan>,
    state: LiveState,
    packets: Packets,
    /// Packets to be written behind the open chunk.
    visible: Vec<u8>,
    described: BTreeSet<Counter>,
    /// Runs whose end has not come: number, plan and start.
    open_runs: Vec<(u64, u32, Nanos)>,
    /// When the counter of a pool was shown last in this segment, and the most that it showed.
    shown_pools: BTreeMap<u32, (Nanos, u64)>,
    /// Where the chunks of the file at hand lie; none once that is not known any more.
    index: Option<Index>,
    /// Bytes of that file that were handed out.
    taken: u64,
}

impl Writer {
    /// Begins a recording with its first segment.
    pub fn new(session: SessionInfo) -> Self {
        let session = clip_texts(session);
        let mut writer = Self {
            out: Vec::new(),
            body: Vec::new(),
            count: 0,
            base: 0,
            context: PackedContext::default(),
            spans: Spans::default(),
            seq: 0,
            packets: Packets::new(&session),
            session,
            plans: Vec::new(),
            state: LiveState::default(),
            visible: Vec::new(),
            described: BTreeSet::new(),
            open_runs: Vec::new(),
            shown_pools: BTreeMap::new(),
            index: Some(Index::default()),
            taken: 0,
        };
        writer.put_segment_head(0);
        writer
    }

    /// Records a plan; returns the number by which events name it, counted from 0.
    pub fn plan(&mut self, record: &PlanRecord) -> u32 {
        self.flush();
        let number = self.plans.len() as u32;
        let encoded = plan_to_bytes(number, &record.to_bytes());
        self.put_pieces(ChunkKind::Plan, 0, &encoded);
        let (arenas, curves) = (record.arenas.clone(), live_curves(record));
        self.state.plan(number, record.ops.len());
        self.plans.push(StoredPlan { encoded, arenas, curves, drawn: false });
        number
    }

    /// Records an event. A long list is written as several events, so that no chunk grows too long.
    pub fn event(&mut self, event: &Event) {
        self.event_ref(event.as_ref());
    }

    /// Records an event, as [`Writer::event`] does.
    #[inline]
    pub fn event_ref(&mut self, event: EventRef<'_>) {
        match event {
            EventRef::OpTimes { run, plan, first_op, times } if times.len() > MAX_LIST => {
                for (number, times) in (0..).zip(times.chunks(MAX_LIST)) {
                    let first_op = first_op.saturating_add(number * MAX_LIST as u32);
                    self.short_event(EventRef::OpTimes { run, plan, first_op, times });
                }
            }
            EventRef::Windows { t, recording, plan, part, windows } if windows.len() > MAX_LIST => {
                for (part, windows) in (part..).zip(windows.chunks(MAX_LIST)) {
                    self.short_event(EventRef::Windows { t, recording, plan, part, windows });
                }
            }
            _ => self.short_event(event),
        }
    }

    #[inline]
    fn short_event(&mut self, event: EventRef<'_>) {
        if self.body.is_empty() {
            self.base = self.state.now();
            self.context = PackedContext::new(self.base);
        }
        self.state.apply(event);
        self.show(event);
        self.context.put(&mut self.body, &mut self.spans, event);
        self.count += 1;
        if self.body.len() >= CHUNK_TARGET {
            self.flush();
        }
    }

    /// Closes the open chunk, so that [`Writer::take`] hands out all events so far.
    pub fn flush(&mut self) {
        if !self.body.is_empty() {
            let body = core::mem::take(&mut self.body);
            self.put(ChunkKind::Packed, 0, self.base, self.count, &body);
            self.body = body;
            self.body.clear();
            self.count = 0;
        }
        self.out.append(&mut self.visible);
    }

    /// Begins a new segment: what follows can be read without what went before.
    pub fn begin_segment(&mut self) {
        self.flush();
        self.described.clear();
        self.shown_pools.clear();
        self.put_segment_head(FLAG_RESTATED);
    }

    /// Ends the file at hand with an index of its chunks. What follows belongs into another file, or is behind the last
    /// event.
    pub fn end_file(&mut self) {
        self.flush();
        let end = self.taken + self.out.len() as u64;
        let body =
            self.index.take().and_then(|index| index.to_bytes(end)).filter(|body| body.len() <= MAX_BODY);
        if let Some(body) = body {
            let header = self.header(ChunkKind::Index, 0, self.state.now(), 0, &body);
            put_chunk(&mut self.out, header, &body);
        }
    }

    /// Says that what follows is the beginning of a file of its own.
    pub fn begin_file(&mut self) {
        (self.index, self.taken) = (Some(Index::default()), 0);
    }

    /// Says that bytes which were taken did not get into the file: where its chunks lie is not known any more.
    pub fn forget_places(&mut self) {
        self.index = None;
    }

    /// Moves the finished bytes to the end of `out`.
    pub fn take(&mut self, out: &mut Vec<u8>) {
        self.taken += self.out.len() as u64;
        out.append(&mut self.out);
    }

    /// Number of finished bytes that [`Writer::take`] would hand out.
    pub fn ready_len(&self) -> usize {
        self.out.len()
    }

    /// Whether events wait in an open chunk.
    pub fn has_open_chunk(&self) -> bool {
        !self.body.is_empty()
    }

    fn put_segment_head(&mut self, flags: u8) {
        let now = self.state.now();
        for packet in self.packets.session(&self.session, now) {
            put_packet(&mut self.out, &packet);
        }
        let session = session_to_bytes(&self.session);
        self.put_pieces(ChunkKind::Session, flags, &session);
        let mut plans = core::mem::take(&mut self.plans);
        for plan in plans.iter_mut().filter(|plan| !plan.encoded.is_empty()) {
            self.put_pieces(ChunkKind::Plan, flags, &plan.encoded);
            plan.drawn = false;
        }
        self.plans = plans;
        if flags & FLAG_RESTATED != 0 {
            let keyframe = keyframe_to_bytes(&self.state.keyframe());
            self.put_pieces(ChunkKind::Keyframe, flags, &keyframe);
        }
    }

    /// Writes an item of any length as chunks, all but the last with the flag that says there is more.
    fn put_pieces(&mut self, kind: ChunkKind, flags: u8, bytes: &[u8]) {
        let base = self.state.now();
        let mut rest = bytes;
        for number in 0.. {
            let (piece, later) = rest.split_at(rest.len().min(MAX_BODY / 2));
            let more = if later.is_empty() { 0 } else { FLAG_MORE };
            self.put(kind, flags | more, base, number, piece);
            if later.is_empty() {
                return;
            }
            rest = later;
        }
    }

    fn put(&mut self, kind: ChunkKind, flags: u8, base: Nanos, count: u32, body: &[u8]) {
        let header = self.header(kind, flags, base, count, body);
        self.seq += 1;
        let offset = self.taken + self.out.len() as u64;
        if let Some(index) = &mut self.index {
            index.entries.extend(entry_of(offset, &header));
        }
        put_chunk(&mut self.out, header, body);
    }

    fn header(&self, kind: ChunkKind, flags: u8, base: Nanos, count: u32, body: &[u8]) -> Header {
        Header {
            major: FORMAT_MAJOR,
            minor: FORMAT_MINOR,
            kind: kind as u8,
            flags,
            seq: self.seq,
            base,
            count,
            len: body.len() as u32,
            body_crc: chunk::crc32c(body),
        }
    }

    /// Makes the packets that Perfetto shows for an event.
    fn show(&mut self, event: EventRef<'_>) {
        match event {
            EventRef::PlanRetired { plan, .. } => {
                if let Some(stored) = self.plans.get_mut(plan as usize) {
                    *stored = StoredPlan::default();
                }
            }
            EventRef::RunStart { run, plan, t } => {
                if self.open_runs.len() >= MAX_OPEN_RUNS {
                    self.open_runs.remove(0);
                }
                self.open_runs.push((run, plan, t));
            }
            EventRef::RunEnd { run, t, ok } => {
                let Some(at) = self.open_runs.iter().rposition(|open| open.0 == run) else { return };
                let (_, plan, start) = self.open_runs.remove(at);
                // Both ends at once: a segment that retention keeps never has an end without its begin.
                self.packets.put_run(&mut self.visible, run, start, t, ok);
                self.show_planned_peak(plan, start, t);
            }
            EventRef::OpTimes { plan, first_op, times, .. } => self.show_live_curve(plan, first_op, times),
            EventRef::DeviceAllocated { t, .. } | EventRef::DeviceFreed { t, .. } => {
                self.count(Counter::Device, "device memory allocated", t, self.state.device_bytes());
            }
            EventRef::HeapSample { t, heap, usage, budget, .. } => {
                self.count(Counter::HeapUsage(heap), &format!("heap {heap} in use"), t, usage);
                if let Some(budget) = budget {
                    self.count(Counter::HeapBudget(heap), &format!("heap {heap} budget"), t, budget);
                }
            }
            EventRef::PoolAllocated { t, pool, .. } | EventRef::PoolFreed { t, pool, .. } => {
                self.show_pool(pool, t);
            }
            EventRef::LoadStart { t, .. } | EventRef::LoadProgress { t, .. } => {
                self.count(Counter::Arrived, "weights arrived", t, self.state.arrived());
            }
            EventRef::Dropped { t, .. } => {
                self.count(Counter::Dropped, "dropped events", t, self.state.dropped_total());
            }
            _ => {}
        }
    }

    fn show_pool(&mut self, pool: u32, t: Nanos) {
        let bytes = self.state.pool_bytes(pool);
        let (last, most) = self.shown_pools.entry(pool).or_insert((0, 0));
        if bytes <= *most && t.saturating_sub(*last) < POOL_PERIOD {
            return;
        }
        (*last, *most) = (t, bytes.max(*most));
        let name = format!("pool {}", clip(self.state.pool_name(pool)));
        self.count(Counter::Pool(pool), &name, t, bytes);
    }

    /// Without op times there is no curve to draw, only how high it goes.
    fn show_planned_peak(&mut self, plan: u32, start: Nanos, end: Nanos) {
        let Some(stored) = self.plans.get_mut(plan as usize).filter(|plan| !plan.drawn) else { return };
        if self.session.level == crate::schema::session::Level::Op {
            return;
        }
        stored.drawn = true;
        let peaks: Vec<_> =
            stored.curves.iter().map(|curve| curve.iter().copied().max().unwrap_or(0)).collect();
        for (arena, peak) in (0..).zip(peaks) {
            let name = self.arena_counter_name(plan, arena);
            self.count(Counter::Arena(arena), &name, start, peak);
            self.count(Counter::Arena(arena), &name, end, 0);
        }
    }

    /// Draws the bytes that live in each arena over the first run of a plan in each segment.
    fn show_live_curve(&mut self, plan: u32, first_op: u32, times: &[(Nanos, Nanos)]) {
        let Some(stored) = self.plans.get_mut(plan as usize).filter(|plan| !plan.drawn) else { return };
        let mut points = Vec::new();
        for (arena, curve) in (0..).zip(&stored.curves) {
            let from = curve.len().min(first_op as usize);
            let to = curve.len().min(from + times.len());
            let mut last = None;
            for (at, live) in thin(&curve[from..to], CURVE_POINTS) {
                if last != Some(live) {
                    points.push((arena, times[at].0, live));
                    last = Some(live);
                }
            }
            stored.drawn |= to == curve.len();
        }
        let end = times.last().map_or(0, |(_, end)| *end);
        let arenas = stored.curves.len() as u32;
        let finished = stored.drawn;
        for (arena, t, live) in points {
            let name = self.arena_counter_name(plan, arena);
            self.count(Counter::Arena(arena), &name, t, live);
        }
        for arena in (0..arenas).filter(|_| finished) {
            let name = self.arena_counter_name(plan, arena);
            self.count(Counter::Arena(arena), &name, end, 0);
        }
    }

    fn arena_counter_name(&self, plan: u32, arena: u32) -> String {
        let arenas = self.plans.get(plan as usize).map(|plan| &plan.arenas);
        let name = arenas.and_then(|arenas| arenas.get(arena as usize)).map_or("", |arena| &arena.name);
        format!("planned live bytes, {}", clip(name))
    }

    fn count(&mut self, counter: Counter, name: &str, t: Nanos, value: u64) {
        if self.described.insert(counter) {
            let packet = self.packets.describe(counter, name);
            put_packet(&mut self.visible, &packet);
        }
        let packet = self.packets.counter(counter, t, value);
        put_packet(&mut self.visible, &packet);
    }
}

/// Cuts texts that no one would read to their end, so that they fit the packets Perfetto shows.
fn clip_texts(mut session: SessionInfo) -> SessionInfo {
    let SessionInfo { id, model, device, driver, api, version, origin, .. } = &mut session;
    for text in [id, model, device, driver, api, version, origin] {
        text.truncate(clip(text).len());
    }
    session
}
