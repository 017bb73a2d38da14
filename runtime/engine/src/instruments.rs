//! What a recording needs of the device: marks that tell how far a run is, timestamps that tell how long ops took.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bayplan_trace::Level;
use bayplan_vulkan::{
    AllocationId, Barrier, Commands, Device, DeviceKind, Progress, QueryPool, Recorder, TimestampScale,
};

use crate::error::EngineError;
use crate::parts::Part;
use crate::transfer::finish;

/// Marks of a run at level [`Level::Run`].
const MARKS_PER_RUN: u32 = 16;

/// Marks of a run at level [`Level::Op`] on devices where each needs a barrier.
const MARKS_PER_OP_RUN: u32 = 64;

/// Marks and timestamps that are made to learn what one run's cost: about 10 ms on the slowest driver known.
const CALIBRATION: u32 = 512;

/// Marks and timestamps for the run programs of a session; without a recording there are none.
#[derive(Default)]
pub(crate) struct Instruments {
    marks: Option<Marks>,
    /// Query `op + 1` after each op of the device, and query `op` before the first of a part: no other op of the device
    /// ends there.
    times: Option<QueryPool>,
    level: Level,
    /// Nanoseconds that they cost the device for each op.
    cost: f64,
}

/// The marks of a session, made anew in each run.
#[derive(Clone)]
struct Marks {
    progress: Progress,
    /// Whether a mark must be told to wait for the ops before it.
    barrier: bool,
}

/// Where the marks of one run program are made, and how many ops it has.
#[derive(Clone, Default)]
pub(crate) struct Places {
    /// One mark after each `stride`-th op of the device and one after the last.
    after: Arc<[u32]>,
    ops: u32,
}

/// A part of a run as it went: submitted or begun, and seen to be done, on the session's clock.
pub(crate) struct Span {
    pub(crate) part: Part,
    pub(crate) started: u64,
    pub(crate) ended: u64,
}

impl Instruments {
    /// For run programs of up to `most` dispatches. Of a longer one, marks are sparser, and the last ops go untimed.
    pub(crate) fn new(device: &Device, level: Level, most: u32) -> Result<Self, EngineError> {
        if level == Level::Off || most == 0 {
            return Ok(Self::default());
        }
        // A CPU device runs one command after another.
        let barrier = device.info().kind != DeviceKind::Cpu;
        let count = places(0..most, most_marks(level, barrier)).len() as u32;
        // A shorter program may have twice as many: its stride is rounded up from less.
        let count = count.saturating_mul(2).min(most_marks(level, barrier)).min(most);
        let progress = device.create_progress("playhead", count)?;
        let marks = Some(Marks { progress, barrier });
        let times = level == Level::Op && device.timestamp_scale().is_some();
        let times =
            times.then(|| device.create_query_pool("op timestamps", most.saturating_add(1))).transpose()?;
        let mut made = Self { marks, times, level, cost: 0.0 };
        made.cost = made.measure(device, most)?;
        Ok(made)
    }

    /// Where the marks of a run program of these parts are made.
    pub(crate) fn places(&self, parts: &[Part]) -> Places {
        let Some(marks) = &self.marks else { return Places::default() };
        let most = most_marks(self.level, marks.barrier).min(marks.progress.count());
        let of_device = parts.iter().filter(|part| matches!(part, Part::Device(_)));
        let after = places(of_device.flat_map(Part::ops), most).into();
        Places { after, ops: parts.last().map_or(0, |last| last.ops().end) }
    }

    /// Recorded before the first op of a part of the device.
    pub(crate) fn before(&self, recorder: &mut Recorder, ops: &Range<u32>) -> Result<(), EngineError> {
        if let Some(times) = self.times.as_ref().filter(|times| ops.start < times.count().min(ops.end)) {
            recorder.reset_queries(times, ops.start..times.count().min(ops.end.saturating_add(1)))?;
            recorder.timestamp(times, ops.start)?;
        }
        Ok(())
    }

    /// Recorded after op `op`.
    pub(crate) fn after(&self, recorder: &mut Recorder, places: &Places, op: u32) -> Result<(), EngineError> {
        if let Some(times) = self.times.as_ref().filter(|times| op < places.ops && op + 1 < times.count()) {
            recorder.timestamp(times, op + 1)?;
        }
        if let Some(marks) = &self.marks
            && let Ok(mark) = places.after.binary_search(&op)
        {
            if marks.barrier {
                recorder.barrier(Barrier::ComputeToTransfer);
            }
            recorder.mark(&marks.progress, mark as u32)?;
        }
        Ok(())
    }

    /// Nanoseconds that they cost the device in one run of `places`, as measured when they were made.
    pub(crate) fn cost(&self, places: &Places) -> u64 {
        (self.cost * f64::from(places.ops)) as u64
    }

    /// Device memory that they take.
    pub(crate) fn allocation(&self) -> Option<(AllocationId, String)> {
        Some((self.marks.as_ref()?.progress.allocation()?, "playhead".into()))
    }

    /// Start and end of each op of the run that just ended, on the session's clock; `None` if they were not taken. What the
    /// device did lies within its part's span, and what the host computed is that span.
    pub(crate) fn op_times(&self, run: &[Span]) -> Option<Vec<(u64, u64)>> {
        let pool = self.times.as_ref()?;
        let mut times = Vec::new();
        for Span { part, started, ended } in run {
            let ops = part.ops();
            if matches!(part, Part::Host(_)) {
                times.push((*started, *ended));
                continue;
            }
            let taken = ops.start..pool.count().min(ops.end.saturating_add(1));
            let ticks =
                if taken.is_empty() { Vec::new() } else { pool.results_nowait(taken.clone()).ok()? };
            let ticks = ticks.into_iter().collect::<Option<Vec<u64>>>()?;
            times.extend(spans(&ticks, pool.scale(), *started, *ended));
            if taken.end <= ops.end {
                // The rest of a program that is longer than any that was foreseen.
                break;
            }
        }
        (!times.is_empty()).then_some(times)
    }

    /// What marks and timestamps cost for each op, from commands that hold nothing else.
    fn measure(&self, device: &Device, ops: u32) -> Result<f64, EngineError> {
        let places = self.places(&[Part::Device(0..ops as usize)]);
        let many = (CALIBRATION / ops.max(1)).max(2);
        let commands = |rounds: u32| -> Result<Commands, EngineError> {
            let mut recorder = device.record("cost of tracing");
            for _ in 0..rounds {
                self.before(&mut recorder, &(0..ops))?;
                (0..ops).try_for_each(|op| self.after(&mut recorder, &places, op))?;
                // The next round makes the same marks.
                recorder.barrier(Barrier::TransferToTransfer);
            }
            Ok(recorder.finish()?)
        };
        let (one, all) = (commands(1)?, commands(many)?);
        let mut least = [u64::MAX; 2];
        for _ in 0..3 {
            for (least, commands) in least.iter_mut().zip([&one, &all]) {
                let begun = Instant::now();
                finish(device, commands)?;
                *least = (*least).min(begun.elapsed().as_nanos() as u64);
            }
        }
        if let Some(marks) = &self.marks {
            marks.progress.clear()?;
        }
        let rounds = f64::from(many - 1) * f64::from(ops.max(1));
        Ok(least[1].saturating_sub(least[0]) as f64 / rounds)
    }
}

/// Most marks of one run.
fn most_marks(level: Level, barrier: bool) -> u32 {
    match (level, barrier) {
        (Level::Op, false) => u32::MAX,
        (Level::Op, true) => MARKS_PER_OP_RUN,
        _ => MARKS_PER_RUN,
    }
}

/// Those of the ops that at most `most` marks follow.
fn places(ops: impl Iterator<Item = u32>, most: u32) -> Vec<u32> {
    let ops: Vec<u32> = ops.collect();
    let stride = ops.len().div_ceil(most.max(1) as usize).max(1);
    ops.chunks(stride).filter_map(|ops| ops.last().copied()).collect()
}

/// Ticks as spans between neighbours, in nanoseconds. The device's clock is laid over the session's so that the first tick
/// is the start; what its drift puts beyond the end is cut.
fn spans(ticks: &[u64], scale: TimestampScale, started: u64, ended: u64) -> Vec<(u64, u64)> {
    let Some(&first) = ticks.first() else { return Vec::new() };
    let mut latest = started;
    let mut at = |tick: u64| {
        let elapsed = scale.elapsed_ns(first, tick) as u64;
        latest = started.saturating_add(elapsed).clamp(latest, ended.max(latest));
        latest
    };
    let times: Vec<u64> = ticks.iter().map(|&tick| at(tick)).collect();
    times.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

/// How far the run in progress is. The session tells when a run begins and ends; another thread looks.
pub(crate) struct Playhead {
    marks: Marks,
    current: CurrentRun,
    last: Option<(u64, u32)>,
}

/// The run in progress, as both sides of a [`Playhead`] see it.
#[derive(Clone, Default)]
pub(crate) struct CurrentRun(Arc<Mutex<Option<InProgress>>>);

#[derive(Clone)]
struct InProgress {
    run: u64,
    plan: u32,
    /// Where it makes its marks.
    places: Places,
    /// The last op that the host has computed.
    on_host: Option<u32>,
}

impl CurrentRun {
    /// A run is about to be submitted.
    pub(crate) fn begin(&self, run: u64, plan: u32, places: &Places, instruments: &Instruments) {
        // Nobody believes the marks while no run is in progress; nor later, where they cannot be taken away.
        if instruments.marks.as_ref().is_some_and(|marks| marks.progress.clear().is_ok()) {
            *self.now() = Some(InProgress { run, plan, places: places.clone(), on_host: None });
        }
    }

    /// The host has computed an op of it.
    pub(crate) fn computed(&self, op: u32) {
        if let Some(now) = &mut *self.now() {
            now.on_host = Some(op);
        }
    }

    /// The run has ended, or nobody waits for it any more.
    pub(crate) fn end(&self) {
        *self.now() = None;
    }

    /// Looks at the marks of these instruments; `None` where they make none.
    pub(crate) fn playhead(&self, instruments: &Instruments) -> Option<Playhead> {
        let marks = instruments.marks.clone()?;
        Some(Playhead { marks, current: self.clone(), last: None })
    }

    fn now(&self) -> MutexGuard<'_, Option<InProgress>> {
        // Held for an assignment or a clone, by whoever holds it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Playhead {
    /// The run in progress, its plan and the last op that is done, if that is news. Never waits for the device.
    pub(crate) fn look(&mut self) -> Option<(u64, u32, u32)> {
        let InProgress { run, plan, places, on_host } = self.current.now().clone()?;
        let reached = self.marks.progress.reached().ok()?;
        // Where that run ended meanwhile, the marks may be another's.
        if self.current.now().as_ref().map(|now| now.run) != Some(run) {
            return None;
        }
        let marked = (reached as usize).checked_sub(1).and_then(|last| places.after.get(last).copied());
        let op = marked.max(on_host)?;
        (self.last.replace((run, op)) != Some((run, op))).then_some((run, plan, op))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_marks_are_made() {
        let check = |ops, level, barrier, count: usize, first: u32| {
            let places = places(0..ops, most_marks(level, barrier));
            assert_eq!((places.len(), places[0]), (count, first), "{ops} {level:?} {barrier}");
            assert_eq!(places.last(), Some(&(ops - 1)), "the last op is always marked");
            assert!(places.is_sorted_by(|a, b| a < b));
        };
        check(1, Level::Run, false, 1, 0);
        check(16, Level::Run, false, 16, 0);
        check(17, Level::Run, false, 9, 1);
        check(1000, Level::Run, true, 16, 62);
        check(1000, Level::Op, false, 1000, 0);
        check(1000, Level::Op, true, 63, 15);
    }

    #[test]
    fn times_rise_within_the_run() {
        let scale = TimestampScale { period_ns: 10.0, valid_bits: 36 };
        let wrap = (1u64 << 36) - 1;
        let check = |ticks: &[u64], ended, expect: &[(u64, u64)]| {
            assert_eq!(spans(ticks, scale, 1000, ended), expect, "{ticks:?}");
        };
        check(&[7, 9, 20], 2000, &[(1000, 1020), (1020, 1130)]);
        check(&[wrap, 1, 3], 2000, &[(1000, 1020), (1020, 1040)]);
        check(&[0, 50, 200], 2000, &[(1000, 1500), (1500, 2000)]); // beyond the end
        check(&[0, 50, 40], 2000, &[(1000, 1500), (1500, 1500)]); // out of order
        check(&[0, 50], 900, &[(1000, 1000)]);
        check(&[5], 2000, &[]);
    }

    #[test]
    fn marks_of_the_run_before_are_not_believed() {
        let device = crate::Device::open(&crate::DeviceOptions::default()).expect("a Vulkan device").vulkan;
        let instruments = Instruments::new(&device, Level::Op, 7).expect("instruments");
        let places = instruments.places(&[Part::Device(0..5)]);
        let commands = |ops: u32| {
            let mut recorder = device.record("marks");
            instruments.before(&mut recorder, &(0..ops)).expect("before");
            (0..ops).for_each(|op| instruments.after(&mut recorder, &places, op).expect("after"));
            recorder.finish().expect("commands")
        };
        let (whole, part) = (commands(5), commands(2));
        let run = CurrentRun::default();
        let begin = |number| run.begin(number, 3, &places, &instruments);
        let mut playhead = run.playhead(&instruments).expect("marks");
        assert_eq!(playhead.look(), None, "no run is in progress");
        begin(0);
        assert_eq!(playhead.look(), None, "what calibration left is taken away");
        finish(&device, &whole).expect("done");
        assert_eq!(playhead.look(), Some((0, 3, 4)));
        assert_eq!(playhead.look(), None, "no news");
        run.end();
        begin(1);
        assert_eq!(playhead.look(), None, "nothing of run 1 is done");
        finish(&device, &part).expect("done");
        assert_eq!(playhead.look(), Some((1, 3, 1)));
        run.computed(2);
        assert_eq!(playhead.look(), Some((1, 3, 2)), "the host's ops count");
        run.end();
        assert_eq!(playhead.look(), None, "no run is in progress");
    }

    #[test]
    fn a_program_of_any_length_has_its_last_op_marked_and_the_first_timed() {
        let device = crate::Device::open(&crate::DeviceOptions::default()).expect("a Vulkan device").vulkan;
        let instruments = Instruments::new(&device, Level::Op, 6).expect("instruments");
        let timed = device.timestamp_scale().is_some();
        let check = |parts: &[Part], marked: u32, most: usize| {
            let places = instruments.places(parts);
            assert_eq!(places.after.last(), Some(&marked));
            let mut run = Vec::new();
            for (part, begun) in parts.iter().zip((0..).step_by(10)) {
                run.push(Span { part: part.clone(), started: begun, ended: begun + 10 });
                if matches!(part, Part::Host(_)) {
                    continue;
                }
                let mut recorder = device.record("ops");
                instruments.before(&mut recorder, &part.ops()).expect("before");
                part.ops().for_each(|op| instruments.after(&mut recorder, &places, op).expect("after"));
                finish(&device, &recorder.finish().expect("commands")).expect("done");
            }
            let times = instruments.op_times(&run);
            assert_eq!(times.as_ref().map(Vec::len), timed.then_some(most), "{parts:?}");
            for (op, (started, ended)) in times.into_iter().flatten().enumerate() {
                let of = run.iter().find(|span| span.part.ops().contains(&(op as u32))).expect("its part");
                assert!(of.started <= started && started <= ended && ended <= of.ended, "{parts:?} {op}");
                if matches!(of.part, Part::Host(_)) {
                    assert_eq!((started, ended), (of.started, of.ended));
                }
            }
        };
        for ops in [1, 5, 6, 17] {
            check(&[Part::Device(0..ops)], ops as u32 - 1, ops.min(6));
        }
        check(&[Part::Host(0), Part::Device(1..4), Part::Host(4), Part::Host(5)], 3, 6);
        check(&[Part::Device(0..2), Part::Host(2), Part::Device(3..6)], 5, 6);
        check(&[Part::Device(0..2), Part::Host(2), Part::Device(3..17)], 16, 6);
    }
}
