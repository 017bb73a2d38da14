//! How far commands are is asked from another thread while they run.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bayplan_vulkan::{Barrier, Commands, Device, Location, Progress, QueryPool, polls_queries};
use common::{increment, limited, open, whole};

const OPS: u32 = 200;

/// Long commands with a timestamp and a mark behind each dispatch.
fn long_commands(device: &Device, pool: Option<&QueryPool>, progress: &Progress) -> Commands {
    let kernel = increment(device);
    let [x, y] = ["x", "y"].map(|n| device.create_buffer(n, 1 << 16, Location::Device).expect("a buffer"));
    let mut recorder = device.record("polled");
    if let Some(pool) = pool {
        recorder.reset_queries(pool, 0..OPS).expect("a reset");
    }
    recorder.reset_progress(progress).expect("a reset");
    for i in 0..OPS {
        recorder.dispatch(&kernel, &[whole(&x), whole(&y)], [256, 1, 1]).expect("a dispatch");
        recorder.barrier(Barrier::DeviceToDevice);
        if let Some(pool) = pool {
            recorder.timestamp(pool, i).expect("a timestamp");
        }
        recorder.mark(progress, i).expect("a mark");
    }
    recorder.finish().expect("commands")
}

#[test]
fn marks_and_results_while_commands_run() {
    limited(|| {
        let device = open();
        let pool = device.create_query_pool("times", OPS).ok();
        let progress = device.create_progress("playhead", OPS).expect("marks");
        assert_eq!(progress.reached(), Ok(0));
        let commands = long_commands(&device, pool.as_ref(), &progress);
        let (stop, refused) = (AtomicBool::new(false), AtomicU64::new(0));
        let (mut partial_marks, mut partial_results, mut longest) = (0u64, 0u64, Duration::ZERO);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let begin = Instant::now();
                while begin.elapsed() < Duration::from_secs(2) {
                    let ticket = device.submit(&commands).expect("a submission");
                    let early = progress.clear();
                    if early.is_err() {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                    assert!(device.wait(&ticket, Duration::from_secs(60)).expect("a wait"));
                    // Marks are taken away by the commands' end or not at all.
                    assert_eq!(progress.reached(), Ok(if early.is_ok() { 0 } else { OPS }), "{early:?}");
                    assert_eq!(progress.clear(), Ok(()));
                    assert_eq!(progress.reached(), Ok(0));
                    if let Some(pool) = &pool {
                        let results = pool.results_nowait(0..OPS).expect("results");
                        assert!(results.iter().all(Option::is_some), "all are written when the run is done");
                    }
                }
                stop.store(true, Ordering::Release);
            });
            while !stop.load(Ordering::Acquire) {
                let asked = Instant::now();
                let reached = progress.reached().expect("a count");
                longest = longest.max(asked.elapsed());
                partial_marks += u64::from(reached > 0 && reached < OPS);
                if let Some(pool) = &pool {
                    let results = pool.results_nowait(0..OPS).expect("results");
                    let written = results.iter().flatten().count();
                    partial_results += u64::from(written > 0 && written < OPS as usize);
                }
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        println!("in mid-run: {partial_marks} marks, {partial_results} results; longest look {longest:?}");
        assert!(refused.into_inner() > 0, "marks cannot be taken away while commands run");
        assert!(partial_marks > 0, "the marks are never seen on the way");
        if !polls_queries(device.info()) {
            assert_eq!(partial_results, 0, "this driver must not be asked while commands run");
        }
    });
}
