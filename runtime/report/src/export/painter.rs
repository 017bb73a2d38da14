//! From the records of a recording to a picture on a time axis: what every format of that sort shows.
//!
//! ```text
//! session   instants: who recorded, ready, end, what is not drawn
//! plans     an instant per plan, and one per arena of it with its figures
//! runs      a slice per run
//! weights   a slice per load of a session's weights
//! ops       a slice per dispatch, where times of ops were recorded
//! tensors   a slice per life of a tensor, on rows per arena
//! messages  an instant per message and per alarm
//! pools     a slice per range that was taken of a dynamic pool, on rows per pool
//! counters  live bytes per arena, device memory, heaps, pools, weights that arrived, losses, the cost of tracing
//! ```

use std::collections::BTreeMap;

use bayplan_text::escape;
use bayplan_trace::{
    Alarm, Block, Event, Keyframe, Load, Nanos, PlanRecord, Record, SessionInfo, Severity, Timeline,
    arena_metrics,
};

use super::canvas::{Arg, Canvas, Span, Track, TrackKind};
use super::painter_pools::Pools;
use super::painter_runs::Runs;

/// Most bytes of a name: nobody reads on.
const MAX_TEXT: usize = 1 << 10;
/// Most alarms that are drawn.
const MAX_ALARMS: usize = 1 << 12;

/// Draws a recording.
#[derive(Default)]
pub(crate) struct Painter {
    pub(super) tracks: Tracks,
    session: Option<String>,
    device_bytes: u64,
    runs: Runs,
    pools: Pools,
}

/// The tracks so far, by name and row.
#[derive(Default)]
pub(super) struct Tracks(BTreeMap<(String, u32), Track>);

impl Tracks {
    /// The track of this name and row, made known to the canvas when it is first asked for.
    pub(super) fn get(&mut self, canvas: &mut dyn Canvas, kind: TrackKind, name: &str, row: u32) -> Track {
        let next = Track(self.0.len() as u32);
        *self.0.entry((name.to_owned(), row)).or_insert_with(|| {
            canvas.track(next, kind, name);
            next
        })
    }

    fn instants(&mut self, canvas: &mut dyn Canvas, name: &str) -> Track {
        self.get(canvas, TrackKind::Slices, name, 0)
    }

    /// Sets a counter.
    pub(super) fn count(
        &mut self,
        canvas: &mut dyn Canvas,
        kind: TrackKind,
        name: &str,
        t: Nanos,
        value: u64,
    ) {
        let track = self.get(canvas, kind, name, 0);
        canvas.value(track, t, value);
    }
}

impl Painter {
    /// Draws a record; `before` is the state without it.
    pub(crate) fn record(&mut self, record: &Record, before: &Timeline, canvas: &mut dyn Canvas) {
        match record {
            Record::Session(session) => self.session(session, before, canvas),
            Record::Plan { plan, record } => self.plan(*plan, record, before, canvas),
            Record::Keyframe(keyframe) => self.keyframe(keyframe, before, canvas),
            Record::Event(event) => self.event(event, before, canvas),
        }
    }

    /// Draws what only the end tells.
    pub(crate) fn finish(&mut self, timeline: &Timeline, canvas: &mut dyn Canvas) {
        self.runs.finish(&mut self.tracks, timeline, canvas);
        self.pools.finish(&mut self.tracks, timeline.now, canvas);
        if let Some(load) = timeline.totals.loads.latest.filter(|load| load.end.is_none()) {
            self.loaded(&load, timeline.now, "load without end", canvas);
        }
        for (plan, alarm) in timeline.alarms().take(MAX_ALARMS) {
            let record = plan.and_then(|plan| timeline.plans.get(plan as usize)).map(|plan| &*plan.record);
            let text = shown(&alarm.text(record));
            let mut args = vec![("kind", Arg::Text(alarm.kind())), ("text", Arg::Text(&text))];
            args.extend(plan.map(|plan| ("plan", Arg::Number(u64::from(plan)))));
            let track = self.tracks.instants(canvas, "messages");
            canvas.instant(track, alarm_time(&alarm, timeline), "alarm", &args);
        }
    }

    fn session(&mut self, session: &SessionInfo, before: &Timeline, canvas: &mut dyn Canvas) {
        if self.session.replace(session.id.clone()).is_some_and(|id| id == session.id) {
            return;
        }
        // Another session's recording follows: nothing of the first goes on.
        *self = Self { session: self.session.take(), ..Self::default() };
        canvas.session(session);
        let track = self.tracks.instants(canvas, "session");
        let texts = session.named().map(|(name, text)| (name, shown(text)));
        let mut args: Vec<_> = texts.iter().map(|(name, text)| (*name, Arg::Text(text))).collect();
        args.push(("start_unix_ns", Arg::Number(session.start_unix_ns)));
        canvas.instant(track, before.now, "session", &args);
    }

    /// A plan and what is known of its arenas from it alone.
    fn plan(&mut self, number: u32, plan: &PlanRecord, before: &Timeline, canvas: &mut dyn Canvas) {
        let metrics = arena_metrics(plan);
        let track = self.tracks.instants(canvas, "plans");
        let texts = [&plan.model, &plan.target, &plan.strategy].map(|text| shown(text));
        let dims: Vec<String> = plan.dims.iter().map(|dim| format!("{}={}", dim.name, dim.value)).collect();
        let dims = shown(&dims.join(" "));
        let args = [
            ("plan", Arg::Number(u64::from(number))),
            ("model", Arg::Text(&texts[0])),
            ("target", Arg::Text(&texts[1])),
            ("strategy", Arg::Text(&texts[2])),
            ("dims", Arg::Text(&dims)),
            ("ops", Arg::Number(plan.ops.len() as u64)),
            ("buffers", Arg::Number(plan.buffers.len() as u64)),
        ];
        canvas.instant(track, before.now, "plan", &args);
        for (arena, metrics) in plan.arenas.iter().zip(&metrics) {
            let (name, loss) = (shown(&arena.name), metrics.loss);
            let args = [
                ("plan", Arg::Number(u64::from(number))),
                ("arena", Arg::Text(&name)),
                ("size", Arg::Number(arena.size)),
                ("alignment", Arg::Number(arena.alignment)),
                ("lower_bound", Arg::Number(arena.lower_bound)),
                ("peak_live", Arg::Number(metrics.peak_live)),
                ("live", Arg::Number(loss.live)),
                ("padding", Arg::Number(loss.padding)),
                ("holes", Arg::Number(loss.holes)),
                ("tail", Arg::Number(loss.tail)),
                ("hole_count", Arg::Number(loss.hole_count)),
                ("largest_hole", Arg::Number(loss.largest_hole)),
            ];
            canvas.instant(track, before.now, "arena", &args);
        }
        self.runs.plan(number, metrics);
    }

    /// The state where records before it are missing: counters go on from it, and blocks that came and went unseen do so now.
    fn keyframe(&mut self, keyframe: &Keyframe, before: &Timeline, canvas: &mut dyn Canvas) {
        self.pools.keyframe(&mut self.tracks, keyframe, canvas);
        let mut live = BTreeMap::new();
        for event in &keyframe.state {
            match event {
                Event::DeviceAllocated { id, .. } => {
                    live.insert(*id, event);
                }
                Event::DeviceFreed { id, .. } => {
                    live.remove(id);
                }
                Event::SessionReady { .. }
                | Event::RunStart { .. }
                | Event::HeapSample { .. }
                | Event::PoolReady { .. }
                | Event::PoolAllocated { .. } => {
                    self.event(event, before, canvas);
                }
                _ => {}
            }
        }
        for block in before.blocks.values().filter(|block| !live.contains_key(&block.id)) {
            self.block(keyframe.t, block, false, canvas);
        }
        for event in live.values() {
            if let Some(block) = block_of(event).filter(|block| !before.blocks.contains_key(&block.id)) {
                self.block(block.t, &block, true, canvas);
            }
        }
        let dropped = keyframe.dropped.iter().fold(0, |sum: u64, (_, count)| sum.saturating_add(*count));
        if dropped > 0 {
            self.tracks.count(canvas, TrackKind::Count, "dropped events", keyframe.t, dropped);
        }
    }

    fn event(&mut self, event: &Event, before: &Timeline, canvas: &mut dyn Canvas) {
        match event {
            Event::RunStart { .. }
            | Event::RunEnd { .. }
            | Event::OpTimes { .. }
            | Event::PlanRetired { .. } => {
                self.runs.event(&mut self.tracks, event, before, canvas);
            }
            Event::SessionReady { t } => self.instant("session", *t, "ready", canvas),
            Event::SessionEnd { t } => self.instant("session", *t, "end", canvas),
            Event::DeviceAllocated { t, id, .. } => {
                if let Some(block) = before.blocks.get(id) {
                    self.block(*t, block, false, canvas);
                }
                if let Some(block) = block_of(event) {
                    self.block(*t, &block, true, canvas);
                }
            }
            Event::DeviceFreed { t, id } => {
                if let Some(block) = before.blocks.get(id) {
                    self.block(*t, block, false, canvas);
                }
            }
            Event::HeapSample { t, heap, usage, budget, .. } => {
                self.bytes(&format!("heap {heap} in use"), *t, *usage, canvas);
                if let Some(budget) = budget {
                    self.bytes(&format!("heap {heap} budget"), *t, *budget, canvas);
                }
            }
            Event::Dropped { t, count, .. } => {
                let dropped = before.dropped_total().saturating_add(*count);
                self.tracks.count(canvas, TrackKind::Count, "dropped events", *t, dropped);
            }
            Event::TraceCost { t, ns, .. } => {
                self.tracks.count(canvas, TrackKind::Nanos, "tracing, processor time", *t, *ns);
            }
            Event::Message { t, level, text } => {
                let track = self.tracks.instants(canvas, "messages");
                let name = match level {
                    Severity::Info => "info",
                    Severity::Warning => "warning",
                    Severity::Error => "error",
                };
                canvas.instant(track, *t, name, &[("text", Arg::Text(&shown(text)))]);
            }
            Event::PoolReady { .. } | Event::PoolAllocated { .. } | Event::PoolFreed { .. } => {
                self.pools.event(&mut self.tracks, event, canvas);
            }
            Event::LoadStart { .. } | Event::LoadProgress { .. } | Event::LoadEnd { .. } => {
                self.load(event, before, canvas);
            }
            Event::Completed { .. } | Event::Windows { .. } => {}
        }
    }

    /// A slice for each load, drawn when it ends, and how far it came.
    fn load(&mut self, event: &Event, before: &Timeline, canvas: &mut dyn Canvas) {
        let mut loads = before.totals.loads;
        loads.apply(event.as_ref());
        let Some(load) = loads.latest else { return };
        let loading = load.loading;
        self.bytes("weights arrived", event.time(), loading.arrived(), canvas);
        if let Some(end) = load.end {
            self.loaded(&load, end, if load.ok { "load" } else { "failed load" }, canvas);
        }
    }

    fn loaded(&mut self, load: &Load, end: Nanos, name: &str, canvas: &mut dyn Canvas) {
        let track = self.tracks.get(canvas, TrackKind::Slices, "weights", 0);
        let loading = load.loading;
        let mut args = vec![
            ("bytes", Arg::Number(loading.total)),
            ("arrived", Arg::Number(loading.arrived())),
            ("direct", Arg::Number(loading.direct)),
            ("staging", Arg::Number(loading.staging)),
        ];
        args.extend(loading.paths().map(|(path, bytes)| (path.name(), Arg::Number(bytes))));
        canvas.slice(span(track, (load.start, end), name), &args);
    }

    fn instant(&mut self, track: &str, t: Nanos, name: &str, canvas: &mut dyn Canvas) {
        let track = self.tracks.instants(canvas, track);
        canvas.instant(track, t, name, &[]);
    }

    fn bytes(&mut self, name: &str, t: Nanos, value: u64, canvas: &mut dyn Canvas) {
        self.tracks.count(canvas, TrackKind::Bytes, name, t, value);
    }

    fn block(&mut self, t: Nanos, block: &Block, allocated: bool, canvas: &mut dyn Canvas) {
        canvas.block(t, block, allocated);
        let bytes = self.device_bytes;
        self.device_bytes =
            if allocated { bytes.saturating_add(block.bytes) } else { bytes.saturating_sub(block.bytes) };
        self.bytes("device memory allocated", t, self.device_bytes, canvas);
    }
}

fn block_of(event: &Event) -> Option<Block> {
    let Event::DeviceAllocated { t, id, bytes, memory_type, purpose, planned } = event else { return None };
    let (memory_type, planned) = (*memory_type, *planned);
    Some(Block { id: *id, t: *t, bytes: *bytes, memory_type, purpose: purpose.clone(), planned })
}

/// When what an alarm tells of happened, as far as that is known.
fn alarm_time(alarm: &Alarm, timeline: &Timeline) -> Nanos {
    let of_block =
        |block: &u64| timeline.unplanned.iter().find(|found| found.id == *block).map(|found| found.t);
    match alarm {
        Alarm::Unplanned { block, .. } => of_block(block).unwrap_or(timeline.now),
        Alarm::Moved { .. } | Alarm::Late { .. } | Alarm::Overlap { .. } => timeline.now,
    }
}

/// A text of the recording as every format shows it.
pub(super) fn shown(text: &str) -> String {
    let mut text = escape(clip(text)).to_string();
    text.truncate(clip(&text).len());
    text
}

fn clip(text: &str) -> &str {
    let mut cut = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    &text[..cut]
}

/// A slice, drawn on a track of this name and row.
pub(super) fn span(track: Track, (start, end): (Nanos, Nanos), name: &str) -> Span<'_> {
    Span { track, start, end: end.max(start), name }
}
