//! Recordings and their exports in Perfetto's own trace processor: what SQL says of them is what the report says.

mod queries;

use std::fs;
use std::path::{Path, PathBuf};

use bayplan::{Bindings, Destination, Level, Model, Places, RecordingOptions, SessionOptions};
use bayplan_tests::backend::Backend;
use bayplan_tests::program::Sandbox;
use bayplan_tests::random::Random;
use bayplan_tests::shapes::Shapes;
use bayplan_tests::trace_processor::{ERRORS, ask, sound};
use bayplan_tests::{draw, references, root};
use serde_json::{Value, json};

/// Runs of the decoder, each with one more position behind it.
const STEPS: i64 = 64;

/// The report on a recording.
fn report(sandbox: &Sandbox, recording: &Path) -> Value {
    sandbox.bayplan(&["report".as_ref(), recording.as_os_str(), "--json".as_ref()]).json()
}

/// The export of a recording for Perfetto.
fn export(sandbox: &Sandbox, recording: &Path) -> PathBuf {
    let path = recording.with_extension("export.bptrace");
    let words = ["--format", "perfetto", "--force", "--output"].map(std::ffi::OsStr::new);
    let mut command = sandbox.command("bayplan", &["export".as_ref(), recording.as_os_str()]);
    bayplan_tests::program::run(command.args(words).arg(&path)).success();
    path
}

/// A recording of ResNet-50 with the times of its ops.
fn resnet(sandbox: &Sandbox) -> PathBuf {
    let recording = sandbox.path("resnet.bptrace");
    let model = references().join("resnet50/model.onnx");
    let words = ["--device", "llvmpipe", "--trace-level", "op", "--runs", "3", "--quiet", "--trace"];
    let mut command = sandbox.command("bayplan", &["run".as_ref(), model.as_os_str()]);
    bayplan_tests::program::run(command.args(words).arg(&recording)).success();
    recording
}

/// A recording of a decoder that takes one token at a time, each with one more position in its caches than the one before.
fn decoder(sandbox: &Sandbox, on: Backend) -> PathBuf {
    let recording = sandbox.path("decoder.bptrace");
    let device = on.device();
    let model = Model::open(root().join("assets/chars.onnx")).expect("the model");
    let mut options = RecordingOptions::new(Places::under(sandbox.path("places")));
    options.destination = Destination::File(recording.clone());
    options.level = Level::Op;
    let options = SessionOptions { recording: Some(options), ..SessionOptions::default() };
    let within = Shapes(&[("batch", 1, 1), ("seq", 1, 1), ("past", 0, STEPS)]);
    let mut session = model.session(&device, within.scope(model.graph()), options).expect("a session");
    let mut random = Random::new(1);
    for past in 0..STEPS {
        let named = [("batch", 1), ("past", past), ("seq", 1), ("total", 1 + past)];
        let dims: Bindings = named.into_iter().collect();
        let inputs = draw::inputs(model.graph(), &dims, &mut random);
        let given: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        session.run(&given).expect("a run");
    }
    assert_eq!(session.finish().lost, 0);
    recording
}

/// Compares what SQL says of a recording and of its export with the report, to the byte.
fn check(sandbox: &Sandbox, recording: &Path, runs: u64) {
    let said = report(sandbox, recording);
    assert_eq!(said["runs"]["ok"], runs);
    let raw = queries::raw(&sound(recording, &queries::RAW));
    assert_eq!(raw.to_string(), queries::raw_expected(&said).to_string());

    let exported = export(sandbox, recording);
    assert_eq!(
        report(sandbox, &exported).to_string(),
        said.to_string(),
        "the export is a recording of the same"
    );
    let full = queries::full(&sound(&exported, &queries::FULL));
    let expected = queries::full_expected(&said);
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(full[key].to_string(), value.to_string(), "{key}");
    }
    let first = &full["first_plan"];
    let plan = said["plans"].as_array().and_then(|plans| plans.iter().find(|plan| plan["number"] == *first));
    assert_eq!(
        plan.map(|plan| &plan["buffers"]),
        Some(&full["tensors"]),
        "all tensors of the plan that ran first"
    );
    let at_peak = queries::at_peak_expected(&said, first);
    assert!(!at_peak.is_empty());
    for (key, value) in at_peak {
        assert_eq!(full["at_peak"][&key].to_string(), value.to_string(), "{key}");
    }
}

#[test]
fn sql_says_of_resnet_what_the_report_says() {
    let sandbox = Sandbox::new();
    check(&sandbox, &resnet(&sandbox), 3);
}

#[test]
fn sql_says_of_a_growing_decoder_what_the_report_says() {
    let sandbox = Sandbox::new();
    let recording = decoder(&sandbox, Backend::Lavapipe);
    check(&sandbox, &recording, STEPS as u64);
    cut(&sandbox, &recording);
    damaged(&sandbox, &recording);
}

/// A recording that stops anywhere, as that of a killed process does, loads with all runs that the report knows.
fn cut(sandbox: &Sandbox, recording: &Path) {
    let bytes = fs::read(recording).expect("the recording");
    let mut requests = Vec::new();
    let mut expected = Vec::new();
    // What is left must be a recording at all: the first chunk lies within the first 64 KiB.
    for step in [4, 7, 9, 12, 14, 16] {
        let path = sandbox.path(&format!("cut-{step}.bptrace"));
        fs::write(&path, &bytes[..(bytes.len() - 1) * step / 16]).expect("a file");
        let said = report(sandbox, &path);
        let exported = export(sandbox, &path);
        for trace in [path, exported] {
            requests.push((trace, vec![ERRORS.to_owned(), queries::RUNS.to_owned()]));
            expected.push(said["runs"]["ok"].clone());
        }
    }
    for (((trace, _), answers), ok) in requests.iter().zip(ask(&requests)).zip(expected) {
        assert_eq!(answers.error, None, "{}", trace.display());
        assert_eq!(answers.rows[0], Vec::<Value>::new(), "{}", trace.display());
        let runs = answers.rows[1].iter().find(|row| row["name"] == "run").map(|row| row["n"].clone());
        // A chunk is cut before the packets behind it, never the other way round.
        let runs = runs.and_then(|runs| runs.as_u64()).unwrap_or(0);
        assert!(
            ok.as_u64().is_some_and(|ok| runs <= ok && runs + 16 > ok),
            "{}: {runs} of {ok}",
            trace.display()
        );
    }
}

/// A recording with flipped bits may be nothing for Perfetto; its export always is.
fn damaged(sandbox: &Sandbox, recording: &Path) {
    let bytes = fs::read(recording).expect("the recording");
    let mut random = Random::new(7);
    let mut requests = Vec::new();
    let mut expected = Vec::new();
    for flip in 0..6 {
        let path = sandbox.path(&format!("flipped-{flip}.bptrace"));
        let mut flipped = bytes.clone();
        let at = random.between(0, flipped.len() as u64 - 1) as usize;
        flipped[at] ^= 1 << (flip % 8);
        fs::write(&path, flipped).expect("a file");
        let said = report(sandbox, &path);
        requests.push((export(sandbox, &path), vec![ERRORS.to_owned(), queries::RUNS.to_owned()]));
        expected.push(json!([said["runs"]["ok"], said["runs"]["failed"]]));
    }
    for (((trace, _), answers), said) in requests.iter().zip(ask(&requests)).zip(expected) {
        assert_eq!(answers.error, None, "{}", trace.display());
        assert_eq!(answers.rows[0], Vec::<Value>::new(), "{}", trace.display());
        // What a keyframe made good is counted, but cannot be drawn.
        let drawn: u64 = answers.rows[1].iter().filter_map(|row| row["n"].as_u64()).sum();
        let counted = said[0].as_u64().unwrap_or(0) + said[1].as_u64().unwrap_or(0);
        assert!(drawn > 0 && drawn <= counted + 1, "{}: {drawn} of {counted}", trace.display());
    }
}
