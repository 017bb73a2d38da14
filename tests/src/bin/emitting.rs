//! `emitting THREADS EVENTS`: threads that record at once, each through an emitter of its own, into rings that are too small
//! for them, while plans are added and the playhead is asked for; then the recording is read back. Fails where an event is
//! neither shown nor counted as lost. `make helgrind` runs it under valgrind.

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bayplan_record::{
    Destination, Emitter, Follower, Places, Recorder, RecordingOptions, Source, Start, read,
};
use bayplan_trace::{Event, EventKind, Level, OpRecord, PlanRecord, Record, Severity};

/// Small events that fit in each ring.
const RING: usize = 64;
/// Events between two that own a text.
const SMALL: u64 = 16;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [threads, events] = words.as_slice() else { return Err("usage: emitting THREADS EVENTS".into()) };
    let (threads, events): (u64, u64) = (threads.parse()?, events.parse()?);
    let temp = tempfile::tempdir()?;
    let path = temp.path().join("emitting.bptrace");
    let options = RecordingOptions {
        destination: Destination::File(path.clone()),
        level: Level::Op,
        ring: RING,
        ..RecordingOptions::new(Places::under(temp.path()))
    };
    let plan = PlanRecord { ops: vec![OpRecord::default()], ..PlanRecord::default() };
    let recorder = Recorder::create(options, &plan)?;
    let mut follower = Follower::open(Source::of_path(&path), Start::Beginning)?;
    let asked = Arc::new(AtomicU64::new(0));
    let (count, clock) = (Arc::clone(&asked), recorder.emitter());
    recorder.set_probe(move || {
        count.fetch_add(1, Ordering::Relaxed);
        Some(Event::Completed { run: 0, plan: 0, op: 0, t: clock.now() })
    });
    recorder.emit_now(|t| Event::RunStart { run: 0, plan: 0, t });
    // Joined one by one, which valgrind understands; it does not know how the end of a scope waits.
    let emitting: Vec<_> = (0..threads)
        .map(|_| {
            let emitter = recorder.emitter();
            thread::spawn(move || emit(&emitter, events))
        })
        .collect();
    // The thread of the session adds plans meanwhile.
    for run in 1..=events / SMALL {
        match recorder.plan(&plan) {
            Some(plan) => recorder.emit_now(|t| Event::RunStart { run, plan, t }),
            None => recorder.lost(EventKind::RunStart),
        }
        thread::yield_now();
    }
    for thread in emitting {
        thread.join().map_err(|_| "a thread that emits panicked")?;
    }
    recorder.clear_probe();
    let summary = recorder.finish();
    let (mut shown, mut lost, mut followed) = (0, 0, 0);
    read(Source::of_path(&path), |record| match record {
        Record::Event(Event::Dropped { count, .. }) => lost += count,
        Record::Event(Event::Completed { .. } | Event::TraceCost { .. } | Event::SessionEnd { .. }) => {}
        Record::Event(_) => shown += 1,
        _ => {}
    })?;
    follower.poll(|_| followed += 1)?;
    let emitted = threads * events + 1 + events / SMALL;
    println!(
        "{emitted} emitted, {shown} shown, {lost} counted as lost; {followed} records followed, {} playheads",
        asked.load(Ordering::Relaxed)
    );
    if (emitted, summary.lost) != (shown + lost, lost) {
        return Err(format!("an event is neither shown nor counted as lost: {summary:?}").into());
    }
    Ok(())
}

fn emit(emitter: &Emitter, events: u64) {
    for number in 0..events {
        emitter.emit_now(|t| match number % SMALL {
            0 => Event::Message { t, level: Severity::Info, text: format!("number {number}") },
            _ => Event::DeviceFreed { t, id: number },
        });
    }
}
