//! Runs, ops, and the lives of tensors.

use std::collections::BTreeMap;

use bayplan_trace::{
    ArenaKind, ArenaMetrics, BufferKind, BufferRecord, Event, Nanos, OpRecord, PlanRecord, Timeline,
};

use super::canvas::{Arg, Canvas, TrackKind};
use super::lanes::Lanes;
use super::painter::{Tracks, shown, span};

/// Most runs whose start is remembered until their end comes.
const MAX_OPEN_RUNS: usize = 1 << 10;
/// Lives of tensors that are drawn. The plan is the same in every run, and viewers slow down by millions of slices: once
/// this many are drawn, only those of each plan's first run follow.
const MAX_LIVES: u64 = 1 << 18;

/// What is drawn of runs.
#[derive(Default)]
pub(super) struct Runs {
    plans: BTreeMap<u32, Known>,
    /// Plan and start of runs that have not ended.
    open: BTreeMap<u64, (u32, Nanos)>,
    /// The run whose ops are coming in.
    ops: Option<RunOps>,
    /// A run that has ended, of whose ops nothing came.
    silent: Option<(u64, u32, (Nanos, Nanos))>,
    op_lanes: Lanes,
    tensor_lanes: BTreeMap<String, Lanes>,
    resident: BTreeMap<(String, u64, u64), Resident>,
    lives: u64,
    undrawn_runs: u64,
}

/// What is kept of a plan.
struct Known {
    metrics: Vec<ArenaMetrics>,
    /// Whether the lives of its tensors were drawn.
    drawn: bool,
}

/// The times of the ops of a run, from the first op on.
struct RunOps {
    run: u64,
    plan: u32,
    times: Vec<(Nanos, Nanos)>,
}

/// A tensor that stays.
struct Resident {
    start: Nanos,
    plan: u32,
    buffer: u32,
    record: BufferRecord,
}

impl Runs {
    pub(super) fn plan(&mut self, number: u32, metrics: Vec<ArenaMetrics>) {
        self.plans.entry(number).or_insert(Known { metrics, drawn: false });
    }

    pub(super) fn event(
        &mut self,
        tracks: &mut Tracks,
        event: &Event,
        before: &Timeline,
        canvas: &mut dyn Canvas,
    ) {
        match event {
            Event::RunStart { run, plan, t } => {
                self.speak(tracks, before, canvas);
                if self.open.len() >= MAX_OPEN_RUNS {
                    self.open.pop_first();
                }
                self.open.insert(*run, (*plan, *t));
            }
            Event::RunEnd { run, t, ok } => {
                let Some((plan, start)) = self.open.remove(run) else { return };
                let name = if *ok { "run" } else { "failed run" };
                draw_run(tracks, canvas, name, (*run, plan), (start, *t));
                let known = self.ops.as_ref().is_some_and(|ops| ops.run == *run);
                self.silent = (!known).then_some((*run, plan, (start, *t)));
            }
            Event::OpTimes { run, plan, first_op, times } => {
                self.silent = self.silent.filter(|(silent, ..)| silent != run);
                self.op_times(tracks, (*run, *plan), *first_op, times, before, canvas);
            }
            Event::PlanRetired { plan, .. } => {
                self.speak(tracks, before, canvas);
                self.plans.remove(plan);
            }
            _ => {}
        }
    }

    pub(super) fn finish(&mut self, tracks: &mut Tracks, timeline: &Timeline, canvas: &mut dyn Canvas) {
        self.speak(tracks, timeline, canvas);
        for (run, (plan, start)) in std::mem::take(&mut self.open) {
            draw_run(tracks, canvas, "unfinished run", (run, plan), (start, timeline.now));
        }
        for ((arena, ..), resident) in std::mem::take(&mut self.resident) {
            let times = (resident.start, timeline.now);
            let lane = self.tensor_lanes.entry(arena.clone()).or_default().place(times.0, times.1);
            let Some(plan) = timeline.plans.get(resident.plan as usize) else { continue };
            let track = tracks.get(canvas, TrackKind::Slices, &format!("tensors, {arena}"), lane);
            let life = Life { plan: &plan.record, number: resident.plan, run: None };
            life.draw(canvas, track, (resident.buffer, &resident.record), times);
        }
        if self.undrawn_runs > 0 {
            let track = tracks.get(canvas, TrackKind::Slices, "session", 0);
            let args = [("runs", Arg::Number(self.undrawn_runs))];
            canvas.instant(track, timeline.now, "runs without lives of tensors", &args);
        }
    }

    /// Draws what was held back: the ops of the run before may be incomplete, or there may be none.
    fn speak(&mut self, tracks: &mut Tracks, before: &Timeline, canvas: &mut dyn Canvas) {
        if let Some(ops) = self.ops.take() {
            self.draw_ops(tracks, &ops, before, canvas);
        }
        if let Some((run, plan, (start, end))) = self.silent.take() {
            self.draw_silent(tracks, (run, plan), (start, end), before, canvas);
        }
    }

    /// Draws ops as they come, and the lives of tensors once the last op is there.
    fn op_times(
        &mut self,
        tracks: &mut Tracks,
        (run, number): (u64, u32),
        first_op: u32,
        times: &[(Nanos, Nanos)],
        before: &Timeline,
        canvas: &mut dyn Canvas,
    ) {
        let Some(plan) = before.plans.get(number as usize).map(|plan| &plan.record) else { return };
        for (at, (op, &(start, end))) in (first_op..).zip(plan.ops.iter().skip(first_op as usize).zip(times))
        {
            let lane = self.op_lanes.place(start, end);
            let track = tracks.get(canvas, TrackKind::Slices, "ops", lane);
            draw_op(canvas, track, op, [run, u64::from(number), u64::from(at)], (start, end));
        }
        let goes_on = |ops: &RunOps| ops.run == run && ops.times.len() <= first_op as usize;
        if !self.ops.as_ref().is_some_and(goes_on) {
            self.speak(tracks, before, canvas);
        }
        let ops = self.ops.get_or_insert(RunOps { run, plan: number, times: Vec::new() });
        // Ops between without a time took none that was seen.
        let last = ops.times.last().or(times.first()).map_or(0, |(start, end)| *start.max(end));
        ops.times.resize((first_op as usize).min(plan.ops.len()), (last, last));
        ops.times.extend(times);
        if ops.times.len() >= plan.ops.len() {
            self.speak(tracks, before, canvas);
        }
    }

    fn draw_ops(&mut self, tracks: &mut Tracks, ops: &RunOps, before: &Timeline, canvas: &mut dyn Canvas) {
        let Some(state) = before.plans.get(ops.plan as usize) else { return };
        let Some(known) = self.plans.get_mut(&ops.plan) else { return };
        draw_curves(tracks, canvas, &state.record, &known.metrics, &ops.times);
        if self.lives < MAX_LIVES || !known.drawn {
            known.drawn = true;
            let life = Life { plan: &state.record, number: ops.plan, run: Some(ops.run) };
            self.draw_lives(tracks, &life, &ops.times, canvas);
        } else {
            self.undrawn_runs += 1;
        }
    }

    /// Without times of ops the lives of a plan's first run are drawn as if all ops took equally long; tracks and values
    /// say so. Of later runs there is only how high the curves go.
    fn draw_silent(
        &mut self,
        tracks: &mut Tracks,
        (run, number): (u64, u32),
        (start, end): (Nanos, Nanos),
        before: &Timeline,
        canvas: &mut dyn Canvas,
    ) {
        let Some(state) = before.plans.get(number as usize) else { return };
        let Some(known) = self.plans.get_mut(&number) else { return };
        if std::mem::replace(&mut known.drawn, true) {
            for (arena, metrics) in state.record.arenas.iter().zip(&known.metrics) {
                let name = curve_name(&arena.name);
                tracks.count(canvas, TrackKind::Bytes, &name, start, metrics.peak_live);
                if !stays(arena.kind) {
                    tracks.count(canvas, TrackKind::Bytes, &name, end, 0);
                }
            }
            return;
        }
        let ops = state.record.ops.len() as u64;
        let length = end.saturating_sub(start);
        let at = |op: u64| start + (u128::from(length) * u128::from(op) / u128::from(ops.max(1))) as u64;
        let times: Vec<_> = (0..ops).map(|op| (at(op), at(op + 1))).collect();
        draw_curves(tracks, canvas, &state.record, &known.metrics, &times);
        let life = Life { plan: &state.record, number, run: Some(run) };
        self.draw_lives(tracks, &life, &times, canvas);
        let track = tracks.get(canvas, TrackKind::Slices, "session", 0);
        let text =
            "no times of ops were recorded: tensors are drawn as if all ops of the run took equally long";
        let args =
            [("text", Arg::Text(text)), ("run", Arg::Number(run)), ("plan", Arg::Number(number.into()))];
        canvas.instant(track, start, "times of ops are unknown", &args);
    }

    fn draw_lives(
        &mut self,
        tracks: &mut Tracks,
        life: &Life<'_>,
        times: &[(Nanos, Nanos)],
        canvas: &mut dyn Canvas,
    ) {
        let Some(&(start, _)) = times.first() else { return };
        let mut order = Vec::with_capacity(life.plan.buffers.len());
        for (at, buffer) in (0..).zip(&life.plan.buffers) {
            let Some(arena) = life.plan.arenas.get(buffer.arena as usize) else { continue };
            let resident = matches!(buffer.kind, BufferKind::Weight | BufferKind::Constant);
            if resident && stays(arena.kind) {
                self.lives += 1;
                let key = (shown(&arena.name), buffer.offset, buffer.size);
                let record = buffer.clone();
                let resident = || Resident { start, plan: life.number, buffer: at, record };
                self.resident.entry(key).or_insert_with(resident);
                continue;
            }
            order.push((life_times(buffer, times), at, buffer, arena));
        }
        order.sort_by_key(|(times, at, ..)| (times.0, *at));
        for (times, at, buffer, arena) in order {
            let arena = shown(&arena.name);
            let lane = self.tensor_lanes.entry(arena.clone()).or_default().place(times.0, times.1);
            let track = tracks.get(canvas, TrackKind::Slices, &format!("tensors, {arena}"), lane);
            life.draw(canvas, track, (at, buffer), times);
            self.lives += 1;
        }
    }
}

/// From the start of its first op to the end of its last.
fn life_times(buffer: &BufferRecord, times: &[(Nanos, Nanos)]) -> (Nanos, Nanos) {
    let end = times.last().map_or(0, |(_, end)| *end);
    let born = times.get(buffer.first as usize).map_or(end, |(start, _)| *start);
    let died = (buffer.last as usize).checked_sub(1).filter(|_| buffer.last > buffer.first);
    let died = died.map_or(born, |last| times.get(last).map_or(end, |(_, end)| *end));
    (born, died.max(born))
}

/// Whether what such an arena holds outlives runs.
fn stays(kind: ArenaKind) -> bool {
    matches!(kind, ArenaKind::Weights | ArenaKind::Constants | ArenaKind::Kv)
}

fn curve_name(arena: &str) -> String {
    format!("planned live bytes, {}", shown(arena))
}

/// The bytes that live in each arena over a run, where they change.
fn draw_curves(
    tracks: &mut Tracks,
    canvas: &mut dyn Canvas,
    plan: &PlanRecord,
    metrics: &[ArenaMetrics],
    times: &[(Nanos, Nanos)],
) {
    for (arena, metrics) in plan.arenas.iter().zip(metrics) {
        let name = curve_name(&arena.name);
        let mut last = None;
        for (live, (start, _)) in metrics.live.iter().zip(times) {
            if last.replace(live) != Some(live) {
                tracks.count(canvas, TrackKind::Bytes, &name, *start, *live);
            }
        }
        if let Some((_, end)) = times.last().filter(|_| !stays(arena.kind)) {
            tracks.count(canvas, TrackKind::Bytes, &name, *end, 0);
        }
    }
}

fn draw_run(
    tracks: &mut Tracks,
    canvas: &mut dyn Canvas,
    name: &str,
    (run, plan): (u64, u32),
    times: (Nanos, Nanos),
) {
    let track = tracks.get(canvas, TrackKind::Slices, "runs", 0);
    let args = [("number", Arg::Number(run)), ("plan", Arg::Number(plan.into()))];
    canvas.slice(span(track, times, name), &args);
}

fn draw_op(
    canvas: &mut dyn Canvas,
    track: super::canvas::Track,
    op: &OpRecord,
    [run, plan, number]: [u64; 3],
    times: (Nanos, Nanos),
) {
    let [name, node, kind, kernel] =
        [&op.name, &op.source_node, &op.source_op, &op.kernel].map(|text| shown(text));
    let args = [
        ("run", Arg::Number(run)),
        ("plan", Arg::Number(plan)),
        ("op", Arg::Number(number)),
        ("kernel", Arg::Text(&kernel)),
        ("source_node", Arg::Text(&node)),
        ("source_op", Arg::Text(&kind)),
        ("bytes", Arg::Number(op.bytes)),
        ("flops", Arg::Number(op.flops)),
        ("on", Arg::Text(if op.host { "host" } else { "device" })),
    ];
    canvas.slice(span(track, times, &name), &args);
}

/// The lives of the tensors of a run, or of those that stay through all of them.
struct Life<'a> {
    plan: &'a PlanRecord,
    number: u32,
    run: Option<u64>,
}

impl Life<'_> {
    fn draw(
        &self,
        canvas: &mut dyn Canvas,
        track: super::canvas::Track,
        (index, buffer): (u32, &BufferRecord),
        times: (Nanos, Nanos),
    ) {
        let op = |number: u32| self.plan.ops.get(number as usize).map_or(String::new(), |op| shown(&op.name));
        let born = op(buffer.first);
        let dies = op(buffer.last.saturating_sub(1));
        let texts = [&buffer.name, &buffer.shape].map(|text| shown(text));
        let other = |other: Option<u32>| {
            let record = other.and_then(|other| self.plan.buffers.get(other as usize));
            record.map(|record| shown(&record.name))
        };
        let (in_place_of, view_of) = (other(buffer.in_place_of), other(buffer.alias_of));
        let mut args = vec![
            ("plan", Arg::Number(self.number.into())),
            ("buffer", Arg::Number(index.into())),
            ("offset", Arg::Number(buffer.offset)),
            ("size", Arg::Number(buffer.size)),
            ("shape", Arg::Text(&texts[1])),
            ("first", Arg::Number(buffer.first.into())),
            ("last", Arg::Number(buffer.last.into())),
            ("op", Arg::Text(&born)),
            ("last_op", Arg::Text(&dies)),
        ];
        args.extend(self.run.map(|run| ("run", Arg::Number(run))));
        args.extend(in_place_of.as_deref().map(|name| ("in_place_of", Arg::Text(name))));
        args.extend(view_of.as_deref().map(|name| ("view_of", Arg::Text(name))));
        canvas.slice(span(track, times, &texts[0]), &args);
    }
}
