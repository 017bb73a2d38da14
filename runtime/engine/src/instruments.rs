//! What a recording needs of the device: marks that tell how far a run is, timestamps that tell how long ops took.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bayplan_trace::Level;
use bayplan_vulkan::{
    AllocationId, Barrier, Commands, Device, DeviceKind, Progress, QueryPool, Recorder, TimestampScale,
};

use crate::error::EngineError;
use crate::transfer::finish;

/// Marks of a run at level [`Level::Run`].
const MARKS_PER_RUN: u32 = 16;

/// Marks of a run at level [`Level::Op`] on devices where each needs a barrier.
const MARKS_PER_OP_RUN: u32 = 64;

/// Marks and timestamps that are made to learn what one run's cost: about 10 ms on the slowest driver known.
const CALIBRATION: u32 = 512;

/// Stands for "no run in progress".
const IDLE: u64 = u64::MAX;

/// Marks and timestamps of a run program; without a recording there are none.
#[derive(Default)]
pub(crate) struct Instruments {
    marks: Option<Marks>,
    /// One query before the first op and one after each.
    times: Option<QueryPool>,
    /// Nanoseconds that they cost the device in one run.
    cost: u64,
}

/// One mark after each `stride`-th op and one after the last.
#[derive(Clone)]
pub(crate) struct Marks {
    progress: Progress,
    /// The op that each mark follows.
    after: Arc<[u32]>,
    /// Whether a mark must be told to wait for the ops before it.
    barrier: bool,
}

impl Instruments {
    /// For a run program of `ops` dispatches.
    pub(crate) fn new(device: &Device, level: Level, ops: u32) -> Result<Self, EngineError> {
        if level == Level::Off || ops == 0 {
            return Ok(Self::default());
        }
        // A CPU device runs one command after another.
        let barrier = device.info().kind != DeviceKind::Cpu;
        let after = places(ops, level, barrier);
        let progress = device.create_progress("playhead", after.len() as u32)?;
        let marks = Some(Marks { progress, after: after.into(), barrier });
        let times = level == Level::Op && device.timestamp_scale().is_some();
        let times = times.then(|| device.create_query_pool("op timestamps", ops + 1)).transpose()?;
        let mut made = Self { marks, times, cost: 0 };
        made.cost = made.measure(device)?;
        Ok(made)
    }

    /// Recorded before the first op.
    pub(crate) fn before(&self, recorder: &mut Recorder) -> Result<(), EngineError> {
        if let Some(times) = &self.times {
            recorder.reset_queries(times, 0..times.count())?;
            recorder.timestamp(times, 0)?;
        }
        Ok(())
    }

    /// Recorded after op `op`.
    pub(crate) fn after(&self, recorder: &mut Recorder, op: u32) -> Result<(), EngineError> {
        if let Some(times) = &self.times {
            recorder.timestamp(times, op + 1)?;
        }
        if let Some(marks) = &self.marks
            && let Ok(mark) = marks.after.binary_search(&op)
        {
            if marks.barrier {
                recorder.barrier(Barrier::ComputeToTransfer);
            }
            recorder.mark(&marks.progress, mark as u32)?;
        }
        Ok(())
    }

    pub(crate) fn marks(&self) -> Option<&Marks> {
        self.marks.as_ref()
    }

    /// Nanoseconds that they cost the device in one run, as measured when they were made.
    pub(crate) fn cost(&self) -> u64 {
        self.cost
    }

    /// Device memory that they take.
    pub(crate) fn allocation(&self) -> Option<(AllocationId, String)> {
        Some((self.marks.as_ref()?.progress.allocation()?, "playhead".into()))
    }

    /// Start and end of each op of the run that just ended, within `started..=ended` on the session's clock. `None` if
    /// they were not taken.
    pub(crate) fn op_times(&self, started: u64, ended: u64) -> Option<Vec<(u64, u64)>> {
        let pool = self.times.as_ref()?;
        let ticks = pool.results_nowait(0..pool.count()).ok()?.into_iter().collect::<Option<Vec<u64>>>()?;
        Some(spans(&ticks, pool.scale(), started, ended))
    }

    /// What one run's marks and timestamps cost, from commands that hold nothing else.
    fn measure(&self, device: &Device) -> Result<u64, EngineError> {
        let ops = self.marks.as_ref().and_then(|marks| marks.after.last()).map_or(0, |&last| last + 1);
        let many = (CALIBRATION / ops.max(1)).max(2);
        let commands = |rounds: u32| -> Result<Commands, EngineError> {
            let mut recorder = device.record("cost of tracing");
            for _ in 0..rounds {
                self.before(&mut recorder)?;
                (0..ops).try_for_each(|op| self.after(&mut recorder, op))?;
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
        Ok(least[1].saturating_sub(least[0]) / u64::from(many - 1))
    }
}

/// The ops that marks follow.
fn places(ops: u32, level: Level, barrier: bool) -> Vec<u32> {
    let most = match (level, barrier) {
        (Level::Op, false) => ops,
        (Level::Op, true) => MARKS_PER_OP_RUN,
        _ => MARKS_PER_RUN,
    };
    let stride = ops.div_ceil(most.max(1)).max(1);
    (0..ops).filter(|&op| (op + 1).is_multiple_of(stride) || op + 1 == ops).collect()
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
    current: Arc<AtomicU64>,
    last: Option<(u64, u32)>,
}

/// The session's side of a [`Playhead`].
#[derive(Clone)]
pub(crate) struct CurrentRun(Arc<AtomicU64>);

impl CurrentRun {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(IDLE)))
    }

    /// A run is about to be submitted.
    pub(crate) fn begin(&self, run: u64, marks: Option<&Marks>) {
        // Nobody believes the marks while no run is in progress; nor later, where they cannot be taken away.
        if marks.is_some_and(|marks| marks.progress.clear().is_ok()) {
            self.0.store(run, Ordering::Release);
        }
    }

    /// The run has ended, or nobody waits for it any more.
    pub(crate) fn end(&self) {
        self.0.store(IDLE, Ordering::Release);
    }

    pub(crate) fn playhead(&self, marks: Marks) -> Playhead {
        Playhead { marks, current: Arc::clone(&self.0), last: None }
    }
}

impl Playhead {
    /// The run in progress and the last op that is done, if that is news. Never waits.
    pub(crate) fn look(&mut self) -> Option<(u64, u32)> {
        let run = self.current.load(Ordering::Acquire);
        if run == IDLE {
            return None;
        }
        let reached = self.marks.progress.reached().ok()?;
        // Where that run ended meanwhile, the marks may be another's.
        if self.current.load(Ordering::Acquire) != run {
            return None;
        }
        let op = *self.marks.after.get((reached as usize).checked_sub(1)?)?;
        (self.last.replace((run, op)) != Some((run, op))).then_some((run, op))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_marks_are_made() {
        let check = |ops, level, barrier, count: usize, first: u32| {
            let places = places(ops, level, barrier);
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
        let instruments = Instruments::new(&device, Level::Op, 5).expect("instruments");
        let commands = |ops: u32| {
            let mut recorder = device.record("marks");
            instruments.before(&mut recorder).expect("before");
            (0..ops).for_each(|op| instruments.after(&mut recorder, op).expect("after"));
            recorder.finish().expect("commands")
        };
        let (whole, part) = (commands(5), commands(2));
        let (run, marks) = (CurrentRun::new(), instruments.marks());
        let mut playhead = run.playhead(marks.expect("marks").clone());
        assert_eq!(playhead.look(), None, "no run is in progress");
        run.begin(0, marks);
        assert_eq!(playhead.look(), None, "what calibration left is taken away");
        finish(&device, &whole).expect("done");
        assert_eq!(playhead.look(), Some((0, 4)));
        assert_eq!(playhead.look(), None, "no news");
        run.end();
        run.begin(1, marks);
        assert_eq!(playhead.look(), None, "nothing of run 1 is done");
        finish(&device, &part).expect("done");
        assert_eq!(playhead.look(), Some((1, 1)));
        run.end();
        assert_eq!(playhead.look(), None, "no run is in progress");
    }
}
