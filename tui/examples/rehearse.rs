//! Records a session as a run would, without a device: for trying the viewer.
//!
//! `cargo run -p bayplan-tui --example rehearse -- [SECONDS] [faults]`

#[path = "../tests/support/mod.rs"]
mod support;

use std::thread::sleep;
use std::time::{Duration, Instant};

use bayplan_record::{Places, Recorder, RecordingOptions};
use bayplan_trace::Event;

/// How long a run takes: slow enough to see the playhead go.
const RUN: Duration = Duration::from_millis(2600);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let seconds = args.first().and_then(|text| text.parse().ok()).unwrap_or(60);
    let plan = support::encoder(6);
    let mut windows = support::windows(&plan);
    let faults = args.iter().any(|arg| arg == "faults");
    if faults {
        support::plant_faults(&plan, &mut windows);
    }
    let session = support::session();
    let options = RecordingOptions {
        model: session.model,
        device: session.device,
        driver: session.driver,
        api: session.api,
        ..RecordingOptions::new(Places::from_env())
    };
    let recorder = Recorder::create(options, &plan)?;
    println!("{}", recorder.path().map(|path| path.display().to_string()).unwrap_or_default());
    for event in support::preamble(&plan, windows) {
        recorder.emit(event);
    }
    if faults {
        let (t, purpose) = (recorder.now(), "cache of the driver".to_owned());
        recorder.emit(Event::DeviceAllocated {
            t,
            id: 99,
            bytes: 3 << 20,
            memory_type: 0,
            purpose,
            planned: false,
        });
    }
    let begun = Instant::now();
    let ops = plan.ops.len() as u32;
    let mut run = 0;
    while begun.elapsed() < Duration::from_secs(seconds) {
        let start = recorder.now();
        recorder.emit(Event::RunStart { run, plan: 0, t: start });
        for op in 0..ops {
            sleep(RUN / ops);
            recorder.emit(Event::Completed { run, plan: 0, op, t: recorder.now() });
        }
        let t = recorder.now();
        recorder.emit(Event::RunEnd { run, t, ok: true });
        recorder.emit(Event::TraceCost { t, ns: t / 400, run_ns: t });
        run += 1;
    }
    recorder.emit(Event::SessionEnd { t: recorder.now() });
    println!("{:?}", recorder.finish());
    Ok(())
}
