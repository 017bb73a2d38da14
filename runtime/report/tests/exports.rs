//! Every format of [`FORMATS`] on a small session, held against the files in `golden/`.
//!
//! `BAYPLAN_WRITE_GOLDEN=1 cargo test -p bayplan-report --test exports` writes these files anew, for review.

mod common;

use std::fs;
use std::path::Path;

use bayplan_report::{FORMATS, Format, export_format, json};
use bayplan_trace::{Level, Reader, Record, Timeline, Writer};

use common::{HOSTILE, info, records};

/// The bytes of an export.
fn export(format: &Format, records: Vec<Record>) -> Vec<u8> {
    let mut exporter = (format.new)();
    let mut timeline = Timeline::new();
    let mut out = Vec::new();
    for record in records {
        exporter.record(&record, &timeline, &mut out).unwrap();
        timeline.apply(record);
    }
    exporter.finish(&timeline, &mut out).unwrap();
    out
}

#[test]
fn every_format_has_its_golden_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    assert!(export_format("parquet").is_some(), "a format is left out: its golden files would be skipped");
    for format in FORMATS {
        for level in [Level::Op, Level::Run] {
            let path = folder.join(format!("{}-{level}.{}", format.name, format.extension));
            let found = export(format, records(level));
            if std::env::var_os("BAYPLAN_WRITE_GOLDEN").is_some() {
                fs::write(&path, &found).unwrap();
            }
            let golden = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            // Not assert_eq: nobody reads thousands of bytes.
            assert!(found == golden, "{} differs: write it anew, and look at what changed", path.display());
        }
    }
}

#[test]
fn no_text_holds_what_a_terminal_would_obey() {
    for format in FORMATS.iter().filter(|format| format.text) {
        let text = String::from_utf8(export(format, records(Level::Op))).unwrap();
        // At the peak, which a dump shows, nothing with such a name lives.
        let named = format.name != "vma";
        assert_eq!(text.contains("evil"), named, "{}: the hostile name", format.name);
        let obeyed = |c: char| c.is_control() && c != '\n' || HOSTILE.contains(c) && !c.is_ascii();
        assert_eq!(text.chars().find(|c| obeyed(*c)), None, "{}", format.name);
    }
}

#[test]
fn names_of_formats_are_told_apart_and_a_recording_without_anything_is_exported() {
    for (at, format) in FORMATS.iter().enumerate() {
        assert!(FORMATS.iter().skip(at + 1).all(|other| other.name != format.name), "{}", format.name);
        assert!(!format.about.ends_with('.'), "{}", format.name);
        export(format, Vec::new());
    }
}

/// The session as a recorder writes it, in several segments.
fn recording() -> Vec<u8> {
    let mut writer = Writer::new(info(Level::Op));
    for (at, record) in records(Level::Op).into_iter().enumerate() {
        match record {
            Record::Plan { record, .. } => {
                writer.plan(&record);
            }
            Record::Event(event) => writer.event(&event),
            _ => {}
        }
        if at % 11 == 10 {
            writer.begin_segment();
        }
    }
    writer.flush();
    let mut bytes = Vec::new();
    writer.take(&mut bytes);
    bytes
}

/// What a recording comes to, and the export made of it on the way.
fn read(bytes: &[u8], format: &Format) -> (Timeline, Vec<String>, Vec<u8>) {
    let (mut exporter, mut timeline, mut reader) = ((format.new)(), Timeline::new(), Reader::new());
    let (mut damages, mut out, mut chunks) = (Vec::new(), Vec::new(), Vec::new());
    reader.keep_chunks();
    reader.feed(bytes);
    reader.end_segment();
    while let Some(item) = reader.next_record() {
        reader.take_chunks(&mut chunks);
        exporter.chunks(&std::mem::take(&mut chunks), &mut out).unwrap();
        match item {
            Ok(record) => {
                exporter.record(&record, &timeline, &mut out).unwrap();
                timeline.apply(record);
            }
            Err(damage) => damages.push(format!("{:?}", damage.cause)),
        }
    }
    reader.take_chunks(&mut chunks);
    exporter.chunks(&chunks, &mut out).unwrap();
    exporter.finish(&timeline, &mut out).unwrap();
    (timeline, damages, out)
}

#[test]
fn an_export_for_perfetto_is_a_recording_of_the_same() {
    let format = export_format("perfetto").unwrap();
    let bytes = recording();
    let (timeline, damages, export) = read(&bytes, format);
    assert_eq!(damages, Vec::<String>::new());
    let (again, damages, export_again) = read(&export, format);
    assert_eq!(damages, Vec::<String>::new());
    assert_eq!(json(&again, &[], false), json(&timeline, &[], false));
    assert!(export_again == export, "an export of an export is another");
    assert_eq!(again.runs_started, 5);
}

#[test]
fn an_export_of_a_damaged_recording_is_sound_and_says_what_is_missing() {
    let format = export_format("perfetto").unwrap();
    let bytes = recording();
    // The body of some chunk in the middle.
    for at in [bytes.len() / 3, bytes.len() / 2, bytes.len() * 2 / 3] {
        let mut broken = bytes.clone();
        broken[at] ^= 0x55;
        let (timeline, damages, export) = read(&broken, format);
        let (again, damages_again, _) = read(&export, format);
        assert_eq!(again.runs_started, timeline.runs_started, "byte {at}");
        // A packet that only Perfetto reads may have been hit: then nothing is missing.
        let lost = damages.iter().any(|cause| !cause.contains("Frame"));
        assert_eq!(lost, !damages_again.is_empty(), "byte {at}: {damages:?} {damages_again:?}");
        assert!(damages_again.iter().all(|cause| cause.contains("Missing")), "{damages_again:?}");
    }
    // Cut anywhere, what is there is carried along.
    for end in (bytes.len() / 2..bytes.len()).step_by(97) {
        let (timeline, _, export) = read(&bytes[..end], format);
        let (again, damages, _) = read(&export, format);
        assert_eq!(damages, Vec::<String>::new(), "{end} bytes");
        assert_eq!(json(&again, &[], false), json(&timeline, &[], false), "{end} bytes");
    }
}
