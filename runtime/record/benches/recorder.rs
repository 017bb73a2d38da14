//! What recording costs whoever emits, and how much the recorder takes: `cargo bench -p bayplan-record --bench recorder
//! [-- FILTER]`.
//!
//! Bars: an event, the clock read for it, ≤ 25 ns (median, one thread, the drain thread at work); ≥ 10 M events/s into
//! the file with 0 lost at the default ring. On a machine that has no core to spare for the drain thread, losses say
//! nothing; what the drain thread takes per event, in processor time, then tells how many it could take. Which share of the
//! time either thread had a processor is told beside it: two cores for themselves come to what they need, other work to less.

use std::env;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bayplan_record::{
    Clock, Destination, MonotonicClock, Part, Places, Recorder, RecordingOptions, Source, Summary,
    read_with_chunks,
};
use bayplan_trace::{Event, Level, PlanRecord};
use rustix::time::{ClockId, clock_gettime};

#[path = "../tests/common/plan.rs"]
mod plan;

/// Calls between two looks at the clock of the bench.
const BATCH: u64 = 256;
/// Seconds of each sustained stream.
const SECONDS: u64 = 3;
/// Events per second that the bar asks for.
const BAR: u64 = 10_000_000;

fn main() {
    let filter = env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    let temp = tempfile::tempdir().expect("a folder for recordings");
    let wanted = |name: &str| name.contains(&filter);
    if wanted("clock") {
        clock();
    }
    if wanted("emit") {
        emit(temp.path());
    }
    if wanted("sustained") {
        sustained(temp.path());
    }
}

/// Nanoseconds of processor time.
fn cpu(id: ClockId) -> u64 {
    let time = clock_gettime(id);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

fn recorder(folder: &Path, level: Level, plan: &PlanRecord) -> Recorder {
    let options = RecordingOptions {
        level,
        destination: Destination::File(folder.join("bench.bptrace")),
        ..RecordingOptions::new(Places::under(folder))
    };
    Recorder::create(options, plan).expect("a recording")
}

/// Median and 99th percentile of what one of [`BATCH`] calls takes, in nanoseconds, over batches with pauses in which the
/// drain thread catches up.
fn per_call(batches: usize, mut call: impl FnMut(u64)) -> (f64, f64) {
    let mut times: Vec<f64> = (0..batches as u64)
        .map(|batch| {
            let begun = Instant::now();
            (0..BATCH).for_each(|at| call(batch * BATCH + at));
            let time = begun.elapsed().as_nanos() as f64 / BATCH as f64;
            if batch % 64 == 63 {
                thread::sleep(Duration::from_millis(5));
            }
            time
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[batches / 2], times[batches * 99 / 100])
}

fn clock() {
    let session: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
    let ours = per_call(10_000, |_| {
        black_box(session.now());
    });
    let system = per_call(10_000, |_| {
        black_box(Instant::now());
    });
    println!("reading the time     session's clock {:.1} ns, std::time::Instant {:.1} ns", ours.0, system.0);
    for what in ["as it was measured", "held against the system's clock"] {
        let (system, before) = (Instant::now(), session.now());
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(100));
            if what.starts_with("held") {
                session.keep_time();
            }
        }
        let (after, passed) = (session.now(), system.elapsed());
        let drift = (after - before) as f64 - passed.as_nanos() as f64;
        println!(
            "                     {:+.2} millionths fast {what}",
            drift / passed.as_micros() as f64 * 1e3
        );
    }
}

fn emit(folder: &Path) {
    let plan = plan::plan();
    for (what, level) in [("recording", Level::Op), ("off", Level::Off)] {
        let recorder = recorder(folder, level, &plan);
        let (median, late) =
            per_call(20_000, |run| black_box(&recorder).emit_now(|t| Event::RunStart { run, plan: 0, t }));
        let (given, _) =
            per_call(20_000, |run| black_box(&recorder).emit(Event::RunStart { run, plan: 0, t: run }));
        let Summary { lost, .. } = recorder.finish();
        let bar = if level == Level::Op { "; bar 25 with the time" } else { "" };
        println!(
            "emit, {what:10}     {median:.2} ns with the time (99th percentile {late:.2}), {given:.2} ns without, {lost} lost{bar}"
        );
    }
}

/// Makes the event of this number at this time.
type Stream = fn(u64, u64) -> Event;

/// Ranges of a pool that are taken and given back.
fn pool(number: u64, t: u64) -> Event {
    let (pool, id) = (0, number / 2);
    match number % 2 {
        0 => Event::PoolAllocated { t, pool, id, offset: (id % 64) << 16, bytes: 4096 },
        _ => Event::PoolFreed { t, pool, id },
    }
}

/// An op seen complete after another.
fn playhead(number: u64, t: u64) -> Event {
    Event::Completed { run: number / 1000, plan: 0, op: (number % 8) as u32, t }
}

/// Runs of sixteen events.
fn runs(number: u64, t: u64) -> Event {
    let run = number / 16;
    match number % 16 {
        0 => Event::RunStart { run, plan: 0, t },
        15 => Event::RunEnd { run, t, ok: true },
        at => Event::Completed { run, plan: 0, op: (at % 8) as u32, t },
    }
}

fn sustained(folder: &Path) {
    println!(
        "sustained            {} M events/s into one file for {SECONDS} s; bar: 0 lost",
        BAR / 1_000_000
    );
    let streams: [(&str, Stream); 3] = [("pool", pool), ("playhead", playhead), ("runs of 16 events", runs)];
    for (what, stream) in streams {
        let recorder = recorder(folder, Level::Op, &plan::plan());
        let path = recorder.path().expect("a recording has a path").to_path_buf();
        let begun = Instant::now();
        let (all, own) = (cpu(ClockId::ProcessCPUTime), cpu(ClockId::ThreadCPUTime));
        let emitted = paced(&recorder, stream);
        let own = cpu(ClockId::ThreadCPUTime) - own;
        let clock = begun.elapsed().as_nanos() as f64;
        let Summary { written, lost, disk_error, .. } = recorder.finish();
        let drain = cpu(ClockId::ProcessCPUTime) - all - own;
        assert_eq!((written + lost, disk_error), (emitted, None), "what was emitted is written or counted");
        let (ours, shown) = bytes_of(&path);
        let each = |bytes: u64| bytes as f64 / written as f64;
        println!(
            "  {what:18} {:5.2} M/s written, {lost} lost ({:.2} %); the drain thread takes {:.1} ns each, so {:.1} M/s; {:.2} bytes each, and {:.2} that Perfetto shows; of the time, {:.0} % were the emitting thread's and {:.0} % the drain thread's",
            written as f64 / SECONDS as f64 / 1e6,
            lost as f64 / emitted as f64 * 100.0,
            drain as f64 / written as f64,
            written as f64 / drain as f64 * 1e3,
            each(ours),
            each(shown),
            own as f64 / clock * 100.0,
            drain as f64 / clock * 100.0,
        );
    }
}

/// Bytes of a recording that hold our own records, their frames included, and bytes that Perfetto shows.
fn bytes_of(path: &Path) -> (u64, u64) {
    let mut ours = 0;
    read_with_chunks(Source::of_path(path), |part| {
        if let Part::Chunks(frames) = part {
            ours += frames.len() as u64;
        }
    })
    .expect("the recording can be read");
    let all = path.metadata().map_or(0, |about| about.len());
    (ours, all.saturating_sub(ours))
}

/// Emits at the rate of the bar; answers how many events.
fn paced(recorder: &Recorder, stream: Stream) -> u64 {
    let (start, mut number, mut missed) = (recorder.now(), 0, 0);
    loop {
        let passed = recorder.now() - start;
        if passed >= SECONDS * 1_000_000_000 {
            return number;
        }
        let due = (u128::from(passed) * u128::from(BAR) / 1_000_000_000) as u64 - missed;
        // Where somebody else had the processor, no more than half a millisecond's events are made up for.
        let most = due.min(number + BAR / 2000);
        missed += due - most.max(number).min(due);
        while number < most {
            recorder.emit_now(|t| stream(number, t));
            number += 1;
        }
    }
}
