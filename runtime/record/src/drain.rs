//! The drain thread: takes events from the ring, encodes them, and appends them to the segments.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use bayplan_trace::{Event, EventKind, Level, Nanos, Writer};
use rustix::time::{ClockId, clock_gettime};

use crate::clock::Clock;
use crate::disk::DiskError;
use crate::emitter::{Emitter, Shared, Words};
use crate::lane::Merge;
use crate::recorder::Summary;
use crate::segments::Segments;

/// Time between two rounds while something happens: 62 a second.
const TICK: Duration = Duration::from_millis(16);
/// Time between two rounds while nothing happens. The first event cuts it short.
const IDLE_TICK: Duration = Duration::from_millis(250);
/// Rounds without events after which nothing is said to happen.
const ROUNDS_TO_IDLE: u32 = 8;
/// Time between two records of what tracing costs.
const COST_PERIOD_NS: u64 = 500_000_000;
/// Finished bytes after which they are written in the middle of a round.
const WRITE_BYTES: usize = 1 << 20;

/// Rounds after a write that failed in which nothing is written: on a full disk the state, all plans in it, is not to be
/// encoded anew 62 times a second.
const ROUNDS_TO_RETRY: u32 = 16;

/// Counts of events by the index of their kind.
type Counts = [u64; EventKind::ALL.len()];

pub(crate) struct Drain {
    shared: Arc<Shared>,
    events: Merge<Words>,
    writer: Writer,
    segments: Segments,
    summary: Summary,
    bytes: Vec<u8>,
    /// The session's events in `bytes` and the writer that are not yet on disk. What this thread adds is not counted:
    /// losses and costs are sums, which the next record of them carries.
    unwritten: Counts,
    /// Time of the first of them.
    unwritten_since: Option<Nanos>,
    /// Events that the disk refused and that are not yet recorded as lost.
    refused: Counts,
    /// Bytes were lost: the next ones must begin with the whole state.
    must_restate: bool,
    /// Rounds until writing is tried again.
    pause: u32,
    plans: u32,
    cost: Cost,
}

impl Drain {
    /// Goes on with a recording whose head has been written to `segments`.
    pub(crate) fn new(shared: Arc<Shared>, writer: Writer, segments: Segments) -> Self {
        Self {
            shared,
            events: Merge::new(),
            writer,
            summary: Summary { bytes: segments.len(), ..Summary::default() },
            segments,
            bytes: Vec::new(),
            unwritten: Counts::default(),
            unwritten_since: None,
            refused: Counts::default(),
            must_restate: false,
            pause: 0,
            plans: 1,
            cost: Cost::default(),
        }
    }

    /// Runs until the recording is finished.
    pub(crate) fn run(mut self) -> Summary {
        self.cost.emit_ns = measure_emit(&self.shared.clock);
        let mut quiet = 0;
        loop {
            // Read before the last round: what was emitted before the end is in the ring by then.
            let finished = self.shared.finished.load(Ordering::Acquire);
            let busy = self.round();
            if finished {
                break;
            }
            quiet = if busy { 0 } else { quiet + 1 };
            self.wait(quiet >= ROUNDS_TO_IDLE);
        }
        // The last try, whenever the one before it was.
        self.pause = 0;
        self.record_cost();
        let t = self.shared.clock.now();
        self.record(&Event::SessionEnd { t });
        if !self.must_restate {
            self.writer.end_file();
        }
        self.write();
        // What the last write lost was counted too late to be recorded.
        self.summary.lost += self.refused.iter().sum::<u64>();
        self.summary
    }

    /// Takes what is in the rings; returns whether there was something to do.
    fn round(&mut self) -> bool {
        self.pause = self.pause.saturating_sub(1);
        let mut taken = 0u64;
        // No more than the rings hold, so that a round ends while others emit.
        let most = self.events.capacity(&self.shared.lanes);
        while taken < most {
            let Some(event) = self.events.next(&self.shared.lanes) else { break };
            self.take(&event);
            taken += 1;
        }
        self.events.forget_done();
        self.shared.clock.keep_time();
        self.take_new_plans();
        let playhead = if self.cost.open_runs > 0 { self.ask_probe() } else { None };
        if let Some(event) = &playhead {
            self.record(event);
        }
        self.record_losses();
        if taken > 0 || self.cost.open_runs > 0 {
            self.cost.emitted += taken;
            if self.shared.clock.now().saturating_sub(self.cost.recorded_at) >= COST_PERIOD_NS {
                self.record_cost();
            }
        }
        self.write();
        taken > 0 || playhead.is_some() || self.cost.open_runs > 0
    }

    fn take(&mut self, event: &Event) {
        self.shared.taken(event);
        // A plan is recorded before the first event that can name it is emitted.
        if self.shared.plans.load(Ordering::Acquire) != self.plans {
            self.take_new_plans();
        }
        self.unwritten[event.kind().index()] += 1;
        self.unwritten_since.get_or_insert_with(|| event.time());
        self.record(event);
        if self.writer.ready_len() >= WRITE_BYTES {
            self.write();
        }
    }

    fn take_new_plans(&mut self) {
        if self.shared.plans.load(Ordering::Acquire) == self.plans {
            return;
        }
        let new = std::mem::take(&mut *self.shared.new_plans.lock().unwrap_or_else(PoisonError::into_inner));
        for plan in &new {
            self.plans = self.writer.plan(plan) + 1;
        }
    }

    fn record(&mut self, event: &Event) {
        self.cost.note(event);
        self.writer.event(event);
    }

    fn ask_probe(&self) -> Option<Event> {
        let mut probe = self.shared.probe.lock().unwrap_or_else(PoisonError::into_inner);
        probe.as_mut().and_then(|ask| ask())
    }

    /// Records what was lost in the ring and on the disk since the last time.
    fn record_losses(&mut self) {
        for kind in EventKind::ALL {
            let at = kind.index();
            let dropped = self.shared.lost[at].swap(0, Ordering::Relaxed);
            let count = dropped + std::mem::take(&mut self.refused[at]);
            if count > 0 {
                self.summary.lost += count;
                let t = self.shared.clock.now();
                if matches!(kind, EventKind::RunStart | EventKind::RunEnd) {
                    self.cost.forget_open_runs(t);
                }
                self.record(&Event::Dropped { t, count, kind });
            }
        }
    }

    fn record_cost(&mut self) {
        let t = self.shared.clock.now();
        self.cost.recorded_at = t;
        let (ns, run_ns) = self.cost.totals(t);
        let ns = ns.saturating_add(self.shared.session_cost.load(Ordering::Relaxed));
        self.record(&Event::TraceCost { t, ns, run_ns });
    }

    /// Closes the chunk and writes all that is finished.
    fn write(&mut self) {
        let paused = self.pause > 0;
        if self.must_restate && !paused && self.writer.has_open_chunk() {
            // The chunk's number tells readers that some are missing; the state behind it makes that good.
            self.writer.flush();
            self.writer.begin_segment();
        }
        self.writer.flush();
        self.writer.take(&mut self.bytes);
        if self.bytes.is_empty() {
            return;
        }
        match if paused { Ok(false) } else { self.segments.append(&self.bytes).map(|()| true) } {
            Ok(true) => self.note_written(),
            Ok(false) => self.note_refused(None),
            Err(error) => {
                self.pause = ROUNDS_TO_RETRY;
                self.note_refused(Some(&error));
            }
        }
        self.unwritten = Counts::default();
        self.unwritten_since = None;
        self.bytes.clear();
        if self.segments.is_full() {
            self.begin_segment();
        }
    }

    fn note_written(&mut self) {
        self.summary.written += self.unwritten.iter().sum::<u64>();
        self.summary.bytes += self.bytes.len() as u64;
        self.must_restate = false;
        if let Some(gap) = &mut self.summary.disk_error {
            gap.until_ns = gap.until_ns.or(self.unwritten_since);
        }
    }

    /// Counts what is not written: because the disk refused it, or while nothing is tried.
    fn note_refused(&mut self, error: Option<&io::Error>) {
        let since = self.unwritten_since.unwrap_or_else(|| self.shared.clock.now());
        let gap = self.summary.disk_error.get_or_insert_with(|| DiskError {
            path: self.segments.path().to_path_buf(),
            error: error.map_or_else(String::new, ToString::to_string),
            from_ns: Some(since),
            until_ns: None,
            events: 0,
        });
        gap.until_ns = None;
        gap.events += self.unwritten.iter().sum::<u64>();
        for (refused, unwritten) in self.refused.iter_mut().zip(self.unwritten) {
            *refused += unwritten;
        }
        // Losses recorded in these bytes are part of the state that the next ones restate.
        self.must_restate = true;
        self.writer.forget_places();
    }

    /// Ends a folder's segment file with its index and begins the next; a single file goes on.
    fn begin_segment(&mut self) {
        if self.segments.is_folder() && !self.must_restate {
            self.writer.end_file();
            self.writer.take(&mut self.bytes);
            // A file without an index is whole.
            if self.segments.append(&self.bytes).is_ok() {
                self.summary.bytes += self.bytes.len() as u64;
            }
            self.bytes.clear();
        }
        if self.segments.begin_next().is_ok() {
            if self.segments.is_folder() {
                self.writer.begin_file();
            }
            self.writer.begin_segment();
            self.segments.set_head_len(self.writer.ready_len());
        }
    }

    /// Waits for the next round. An emitter cuts the wait short when a ring fills up, and with the first event after quiet.
    fn wait(&self, quiet: bool) {
        // Who emits while the flag is being set may not see it: the first wait behind it is short, and that event is found.
        let long = self.shared.idle.swap(quiet, Ordering::AcqRel) && quiet;
        thread::park_timeout(if long { IDLE_TICK } else { TICK });
    }
}

/// What tracing costs but for what the session adds: processor time of the drain thread, and the events times what emitting
/// one costs.
#[derive(Default)]
struct Cost {
    emit_ns: f64,
    emitted: u64,
    open_runs: u64,
    /// When the oldest of the open runs began.
    open_since: u64,
    run_ns: u64,
    recorded_at: u64,
}

impl Cost {
    fn note(&mut self, event: &Event) {
        match event {
            Event::RunStart { t, .. } => {
                if self.open_runs == 0 {
                    self.open_since = *t;
                }
                self.open_runs += 1;
            }
            Event::RunEnd { t, .. } if self.open_runs > 0 => {
                self.open_runs -= 1;
                if self.open_runs == 0 {
                    self.run_ns += t.saturating_sub(self.open_since);
                }
            }
            _ => {}
        }
    }

    /// Called when starts or ends of runs were lost: which runs are open is not known any more.
    fn forget_open_runs(&mut self, now: u64) {
        if self.open_runs > 0 {
            self.open_runs = 0;
            self.run_ns += now.saturating_sub(self.open_since);
        }
    }

    fn totals(&self, now: u64) -> (u64, u64) {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let drain = u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
            + u64::try_from(time.tv_nsec).unwrap_or(0);
        let open = if self.open_runs > 0 { now.saturating_sub(self.open_since) } else { 0 };
        (drain + (self.emitted as f64 * self.emit_ns) as u64, self.run_ns + open)
    }
}

/// Nanoseconds that reading the time and emitting an event take on this machine.
fn measure_emit(clock: &Arc<dyn Clock>) -> f64 {
    const EVENTS: u32 = 1024;
    let emitter = Emitter::new(Arc::new(Shared::new(EVENTS as usize, Arc::clone(clock))), Level::Run);
    emitter.prepare();
    let start = clock.now();
    for run in 0..u64::from(EVENTS) {
        emitter.emit_now(|t| Event::RunStart { run, plan: 0, t });
    }
    clock.now().saturating_sub(start) as f64 / f64::from(EVENTS)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};

    use bayplan_trace::{PlanRecord, Record, SessionInfo};

    use super::*;
    use crate::clock::MonotonicClock;
    use crate::follower::{Follower, Start};
    use crate::segments::Retention;
    use crate::source::Source;

    fn emit(emitter: &Emitter, runs: std::ops::Range<u64>) {
        runs.for_each(|run| emitter.emit(Event::RunStart { run, plan: 0, t: run }));
    }

    #[test]
    fn what_a_full_disk_refuses_is_counted_and_the_rest_reads_on() {
        let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else { return };
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("run.bptrace");
        let shared = Arc::new(Shared::new(1000, Arc::new(MonotonicClock::new())));
        let emitter = Emitter::new(Arc::clone(&shared), Level::Run);
        // Its ring has 4096 words, of which a start of a run takes three.
        const FIT: u64 = 4096 / 3;
        let mut writer = Writer::new(SessionInfo::default());
        writer.plan(&PlanRecord::default());
        let segments = Segments::in_file(&path, Retention::default()).unwrap();
        let mut drain = Drain::new(Arc::clone(&shared), writer, segments);
        emit(&emitter, 0..10);
        drain.round();
        let sound = drain.segments.replace_file(full);
        // Two rounds fail, one with a loss of the ring in it.
        emit(&emitter, 10..15);
        drain.round();
        emit(&emitter, 15..15 + FIT + 8);
        drain.round();
        drain.segments.replace_file(sound);
        // Writing is not tried again at once.
        (0..ROUNDS_TO_RETRY).for_each(|_| _ = drain.round());
        emit(&emitter, 2000..2003);
        drain.round();
        drain.round();
        shared.finished.store(true, Ordering::Release);
        let summary = drain.run();
        assert_eq!((summary.written, summary.lost), (13, 5 + FIT + 8));
        let gap = summary.disk_error.unwrap();
        assert_eq!((gap.path, gap.from_ns, gap.until_ns), (path.clone(), Some(10), Some(2000)));
        assert_eq!((gap.events, gap.error.as_str()), (5 + FIT, "No space left on device (os error 28)"));

        let (mut runs, mut lost) = (Vec::new(), 0);
        let (_, damages) = crate::read(Source::of_path(&path), |record| match record {
            Record::Event(Event::RunStart { run, .. }) => runs.push(run),
            Record::Event(Event::Dropped { count, .. }) => lost += count,
            // Behind the gap the totals so far are said anew.
            Record::Keyframe(keyframe) => lost = keyframe.dropped.iter().map(|(_, count)| count).sum(),
            _ => {}
        })
        .unwrap();
        assert_eq!(runs, (0..10).chain(2000..2003).collect::<Vec<_>>());
        assert_eq!(lost, summary.lost);
        assert_eq!(damages.len(), 1, "the gap: {damages:?}");
    }

    /// It is always the same time.
    struct Still;

    impl Clock for Still {
        fn now(&self) -> u64 {
            0
        }

        fn start_unix_ns(&self) -> u64 {
            0
        }
    }

    /// The bytes that are left of many rounds, with so many followers, each of which stops reading at some round.
    fn recorded(followers: u64) -> Vec<u8> {
        let temp = tempfile::tempdir().unwrap();
        let shared = Arc::new(Shared::new(1000, Arc::new(Still)));
        let emitter = Emitter::new(Arc::clone(&shared), Level::Run);
        let mut writer = Writer::new(SessionInfo::default());
        writer.plan(&PlanRecord::default());
        // Small segments, of which the oldest are removed while somebody has them open.
        let retention = Retention { segment_bytes: 400, total_bytes: 8000, keep_runs: 1 };
        let segments = Segments::in_folder(temp.path(), retention).unwrap();
        let mut drain = Drain::new(shared, writer, segments);
        let mut reading = Vec::new();
        for round in 0..400 {
            emit(&emitter, round * 5..round * 5 + 5);
            drain.round();
            if reading.len() < followers as usize {
                let start = if round % 2 == 0 { Start::Beginning } else { Start::Latest };
                reading.push(Follower::open(Source::of_path(temp.path()), start).unwrap());
            }
            for (number, follower) in (0..).zip(&mut reading) {
                if round < 40 * number {
                    follower.poll(|_| ()).unwrap();
                }
            }
        }
        let mut paths: Vec<_> =
            fs::read_dir(temp.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(paths.len() > 2 && !paths[0].ends_with("0001.bptrace"), "{paths:?}");
        paths.iter().flat_map(|path| fs::read(path).unwrap()).collect()
    }

    #[test]
    fn followers_change_no_byte() {
        let alone = recorded(0);
        assert_eq!(recorded(1), alone);
        assert_eq!(recorded(10), alone);
    }
}
