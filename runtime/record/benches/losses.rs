//! Everything emitted is shown or counted as lost: `cargo bench -p bayplan-record --bench losses [-- MILLIONS THREADS]`.
//!
//! Threads emit 100 million events (or as many as are asked for) as fast as they can, each through an emitter of its own;
//! then the recording is read back. For each kind, what was emitted must be what the recording holds and what it counts
//! as lost, and the events of each thread must be in the order in which they were emitted. Fails where they are not.

use std::env;
use std::thread;
use std::time::Instant;

use bayplan_record::{Destination, Places, Recorder, RecordingOptions, Source, read};
use bayplan_trace::{Event, EventKind, Level, Record};

#[path = "../tests/common/plan.rs"]
mod plan;

type Counts = [u64; EventKind::ALL.len()];

/// Event `number` of a thread. What it holds says whose it is and its place.
fn event(thread: u64, number: u64, t: u64) -> Event {
    let (run, plan) = (thread << 40 | number, 0);
    match number % 8 {
        0 => Event::RunStart { run, plan, t },
        7 if number % 4096 == 7 => Event::OpTimes { run, plan, first_op: 0, times: vec![(t, t + 9)] },
        7 => Event::RunEnd { run, t, ok: true },
        3 => Event::DeviceFreed { t, id: run },
        op => Event::Completed { run, plan, op: op as u32, t },
    }
}

fn place(event: &Event) -> Option<u64> {
    match event {
        Event::RunStart { run, .. } | Event::RunEnd { run, .. } | Event::Completed { run, .. } => Some(*run),
        Event::OpTimes { run, .. } | Event::DeviceFreed { id: run, .. } => Some(*run),
        _ => None,
    }
}

fn main() {
    let numbers: Vec<u64> = env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let (millions, threads) =
        (numbers.first().copied().unwrap_or(100), numbers.get(1).copied().unwrap_or(2).max(1));
    let temp = tempfile::tempdir().expect("a folder for the recording");
    let path = temp.path().join("losses.bptrace");
    let options = RecordingOptions {
        destination: Destination::File(path.clone()),
        level: Level::Op,
        ..RecordingOptions::new(Places::under(temp.path()))
    };
    let recorder = Recorder::create(options, &plan::plan()).expect("a recording");
    let begun = Instant::now();
    let emitted = emit(&recorder, threads, millions * 1_000_000 / threads);
    let took = begun.elapsed();
    let summary = recorder.finish();

    let begun = Instant::now();
    let (mut shown, mut lost) = (Counts::default(), Counts::default());
    let mut last = vec![None; threads as usize];
    let (_, damages) = read(Source::of_path(&path), |record| {
        let Record::Event(event) = record else { return };
        if let Event::Dropped { count, kind, .. } = event {
            lost[kind.index()] += count;
        } else if let Some(place) = place(&event) {
            shown[event.kind().index()] += 1;
            let last = &mut last[(place >> 40) as usize];
            assert!(last.is_none_or(|last| last < place), "a thread's events are out of order");
            *last = Some(place);
        }
    })
    .expect("the recording opens");
    assert!(damages.is_empty(), "{damages:?}");
    for kind in EventKind::ALL {
        let at = kind.index();
        assert_eq!(emitted[at], shown[at] + lost[at], "{}", kind.name());
    }
    let [all, shown, lost] = [emitted, shown, lost].map(|counts| counts.iter().sum::<u64>());
    assert_eq!((summary.written, summary.lost), (shown, lost));
    println!(
        "{all} events of {threads} threads in {took:.1?} = {shown} shown + {lost} counted as lost; read back in {:.1?}",
        begun.elapsed()
    );
}

fn emit(recorder: &Recorder, threads: u64, each: u64) -> Counts {
    let counts: Vec<Counts> = thread::scope(|scope| {
        let started: Vec<_> = (0..threads)
            .map(|thread| {
                let emitter = recorder.emitter();
                scope.spawn(move || {
                    let mut counts = Counts::default();
                    for number in 0..each {
                        let event = event(thread, number, emitter.now());
                        counts[event.kind().index()] += 1;
                        emitter.emit(event);
                    }
                    counts
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().expect("emitting does not panic")).collect()
    });
    let mut sum = Counts::default();
    counts.iter().for_each(|counts| sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count));
    sum
}
