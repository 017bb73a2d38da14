//! A signal while weights are loaded: loading ends within a piece, the recording says why, and nothing was run.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use bayplan_record::{Source, read};
use bayplan_tests::backend::Backend;
use bayplan_tests::large::{Shape, make_hollow};
use bayplan_tests::on_every_backend;
use bayplan_tests::program::{Sandbox, wait};
use bayplan_trace::{Event, Record, Severity, Timeline};
use rustix::process::{Pid, Signal, kill_process};

/// Half a GiB in one tensor: what takes a while.
const LARGE: Shape = Shape { rows: 131_072, products: 1, turned: 0, ..Shape::SMALL };

/// Between two looks at a recording.
const POLL: Duration = Duration::from_millis(2);

const PATIENCE: Duration = Duration::from_secs(120);

on_every_backend! {
    a_signal_ends_loading => check;
}

fn check(on: Backend) {
    let sandbox = Sandbox::new();
    let model = make_hollow(&LARGE, &sandbox.path("")).expect("a model");
    for (signal, number) in [(Signal::INT, 0), (Signal::TERM, 1)] {
        let trace = sandbox.path(&format!("{number}.bptrace"));
        let outputs = sandbox.path(&format!("outputs {number}"));
        let mut command =
            sandbox.command("bayplan", &["run".as_ref(), model.as_os_str(), "--device".as_ref()]);
        command.arg(on.selector().to_string()).arg("--trace").arg(&trace).arg("--outputs").arg(&outputs);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        while !some_has_arrived(&trace) {
            assert!(child.try_wait().expect("a child").is_none(), "it ended before it loaded");
            thread::sleep(POLL);
        }
        kill_process(Pid::from_child(&child), signal).expect("it is there");
        let status = wait(&mut child, PATIENCE).expect("it ends");
        let said = said(&mut child);
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.starts_with("error: cancelled while weights were loaded: "), "{said}");
        assert!(said.ends_with("of 516 MiB had arrived, and no run has ended\n"), "{said}");
        assert_eq!(std::fs::read_dir(&outputs).expect("a folder").count(), 0, "no output was written");

        let mut timeline = Timeline::new();
        let (_, damages) =
            read(Source::of_path(&trace), |record| timeline.apply(record)).expect("a recording");
        assert!(damages.is_empty(), "{damages:?}");
        let load = timeline.totals.loads.latest.expect("a load");
        assert!(load.end.is_some() && !load.ok && load.loading.arrived() < load.loading.total, "{load:?}");
        let (_, severity, text) = timeline.messages.back().expect("a message");
        assert_eq!((*severity, format!("error: {text}\n")), (Severity::Warning, said));
        assert!(timeline.runs.is_empty());
    }
}

/// Whether a recording tells of weights.
fn some_has_arrived(trace: &Path) -> bool {
    let mut some = false;
    // It is being written, or not there yet: what is not whole is read the next time.
    let _ = read(Source::of_path(trace), |record| {
        some |= matches!(record, Record::Event(Event::LoadProgress { .. }));
    });
    some
}

fn said(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut text).expect("text");
    text
}
