//! Moments within runs: what lives there, beside another moment, when most lives, and that all views number them alike.

use std::fs;
use std::path::{Path, PathBuf};

use bayplan_record::Source;
use bayplan_trace::{Event, Playhead, SessionInfo, Writer};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::model::compare::Listed;
use crate::model::lists::ListKind;
use crate::model::moment::At;
use crate::theme::{Colours, Theme};
use crate::watch::{Outcome, Watch};
use crate::{summary, support, views};

/// When a run begins, and how long it takes.
const BEGINS: u64 = 1_000_000;
const LASTS: u64 = 900_000;

/// When an op of a run was seen complete.
fn at(run: u64, op: u64) -> u64 {
    (run + 1) * BEGINS + (op + 1) * 10_000
}

/// The bytes of a recording of three runs of the small plan, of which those ops were seen.
fn bytes(id: &str, seen: &[u64]) -> Vec<u8> {
    let plan = support::by_hand();
    let mut writer = Writer::new(SessionInfo { id: id.to_owned(), ..support::session() });
    writer.plan(&plan);
    support::preamble(&plan, support::windows(&plan)).iter().for_each(|event| writer.event(event));
    for run in 0..3u64 {
        let start = (run + 1) * BEGINS;
        writer.event(&Event::RunStart { run, plan: 0, t: start });
        for op in seen {
            writer.event(&Event::Completed { run, plan: 0, op: *op as u32, t: at(run, *op) });
        }
        writer.event(&Event::RunEnd { run, t: start + LASTS, ok: true });
    }
    writer.event(&Event::SessionEnd { t: 5 * BEGINS });
    writer.flush();
    let mut bytes = Vec::new();
    writer.take(&mut bytes);
    bytes
}

fn recording(folder: &Path, id: &str, seen: &[u64]) -> PathBuf {
    let path = folder.join(format!("{id}.bptrace"));
    fs::write(&path, bytes(id, seen)).unwrap();
    path
}

fn open(path: &Path) -> Watch {
    let mut watch = Watch::open(Source::of_path(path), 1, None).unwrap();
    watch.read_all();
    watch.readable().unwrap();
    watch
}

/// The session at a moment.
fn stand(path: &Path, moment: &str) -> Watch {
    let mut watch = open(path);
    watch.stand_at(At::parse(moment).unwrap()).unwrap();
    watch
}

fn ns(t: u64) -> String {
    format!("{t}ns")
}

fn picture(watch: &mut Watch, (width, height): (u16, u16)) -> String {
    let screen = Rect { x: 0, y: 0, width, height };
    let mut buffer = Buffer::empty(screen);
    watch.draw(&mut buffer, screen, &Theme::new(Colours::None, false));
    let rows = buffer.content.chunks(usize::from(width));
    rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>() + "\n").collect()
}

fn press(watch: &mut Watch, keys: &str) {
    for key in keys.chars() {
        let code = if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) };
        assert_eq!(watch.key(KeyEvent::new(code, KeyModifiers::NONE)), Outcome::Stay, "{key:?}");
        watch.pump();
        picture(watch, (120, 40));
    }
}

fn says(watch: &mut Watch, all: &[&str]) {
    let picture = picture(watch, (120, 40));
    for words in all {
        assert!(picture.contains(words), "{words} in {picture}");
    }
}

/// At op 2 tokens, query and key live; at op 4 (the peak) key, scores, context and up; at op 7 context, up and gelu.
#[test]
fn two_moments_of_a_run_differ_in_what_lives() {
    let temp = tempfile::tempdir().unwrap();
    let path = recording(temp.path(), "1-1", &[2, 4, 7]);
    let mut watch = stand(&path, &ns(at(1, 7)));
    press(&mut watch, &format!("d{}\n", ns(at(1, 2))));
    says(
        &mut watch,
        &[
            "shown: 1-1.bptrace at 0:00.002, run 2 → other: 2030000ns",
            "moments  run 2, op 7 seen complete (8 of 10) → run 2, op 2 seen complete (3 of 10)",
            "live  7.00 KiB → 6.00 KiB (−1.00 KiB) in activations",
            "live tensors  3 at the shown moment alone, 3 at the other alone, 0 at both",
            "6 tensors live at one moment alone ─",
            "compared with 2030000ns: 6 tensors live at one alone; D ends it",
        ],
    );
    let rows = picture(&mut watch, (120, 40));
    for row in ["block/gelu shown only 3.00 KiB – −3.00 KiB", "tokens other only – 2.00 KiB +2.00 KiB"]
    {
        let is_row = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ").contains(row);
        assert!(rows.lines().any(is_row), "{row} in {rows}");
    }
    assert!(!rows.contains("the plans are the same"), "{rows}");
    // A row goes to its tensor; nothing differs between the plans, and no op was timed: there is no other list.
    press(&mut watch, "jk");
    let row = watch.model.lists.get(ListKind::DifferingLives).chosen().unwrap();
    let tensor = watch.model.compared().unwrap().lives()[row as usize];
    assert_eq!(watch.model.selected().map(|(number, _)| number), tensor.a);
    press(&mut watch, "o");
    says(&mut watch, &["tensors live at one moment alone"]);
    // The comparison follows the moment that is shown: between runs the output lives alone.
    press(&mut watch, "G");
    says(&mut watch, &["moments  after run 3 → run 2, op 2", "live  2.00 KiB → 6.00 KiB (+4.00 KiB)"]);
}

#[test]
fn what_is_the_same_or_not_known_says_so() {
    let temp = tempfile::tempdir().unwrap();
    let path = recording(temp.path(), "1-1", &[2, 4, 7]);
    let mut watch = stand(&path, "run:1");
    press(&mut watch, "drun:2\n");
    says(&mut watch, &["live  2.00 KiB in both in activations", "the same tensors live at both moments"]);
    // A run of which no op was seen yet.
    let mut watch = stand(&path, &ns(2 * BEGINS + 1));
    press(&mut watch, "drun:1\n");
    says(
        &mut watch,
        &[
            "run 2, none of its ops seen complete → after run 1",
            "live  not known → 2.00 KiB in activations",
            "not known: of one of the two runs no op was seen complete yet",
        ],
    );
    press(&mut watch, "1");
    says(&mut watch, &["now not known: no op of this run was seen complete"]);
}

/// Of two recordings at their ends plans are compared, not moments; of one that was left within a run both are.
#[test]
fn recordings_at_their_ends_are_no_moments() {
    let temp = tempfile::tempdir().unwrap();
    let (path, other) = (recording(temp.path(), "1-1", &[2]), recording(temp.path(), "2-2", &[2]));
    let mut watch = open(&path);
    watch.compare_now(other.as_os_str()).unwrap();
    let compared = watch.model.compared().unwrap();
    assert!(compared.moments.is_none() && compared.listed == Listed::Tensors);
    let mut watch = stand(&path, &ns(at(0, 2)));
    watch.compare_now(other.as_os_str()).unwrap();
    let compared = watch.model.compared().unwrap();
    assert!(compared.moments.is_some() && !compared.is_of_one_session());
    press(&mut watch, "7");
    says(
        &mut watch,
        &["the plans are the same", "moments  run 1, op 2 seen complete (3 of 10) → after run 3"],
    );
}

#[test]
fn live_bytes_are_those_of_the_moment_that_is_shown() {
    let temp = tempfile::tempdir().unwrap();
    let path = recording(temp.path(), "1-1", &[2, 4, 7]);
    for (moment, overview, fragmentation) in [
        (ns(at(1, 2)), "now 6.00 KiB at op 2", "now  op 2 Add: live 6.00 KiB + padding 0 B"),
        (ns(at(1, 7)), "now 7.00 KiB at op 7", "now  op 7 MatMul: live 7.00 KiB + padding 0 B"),
        ("run:2".to_owned(), "now 2.00 KiB between runs", "now  live 2.00 KiB between runs"),
        (ns(9000), "now 0 B before the first run", "now  live 0 B before the first run"),
    ] {
        let mut watch = stand(&path, &moment);
        press(&mut watch, "1");
        says(&mut watch, &[overview]);
        // It stays where rows are few.
        assert!(picture(&mut watch, (80, 24)).contains(overview), "{}", picture(&mut watch, (80, 24)));
        press(&mut watch, "4");
        says(&mut watch, &[fragmentation]);
        let told = overview.trim_start_matches("now ");
        assert!(summary::text(&watch.model).contains(&format!("live now in activations: {told}\n")));
    }
}

/// Most lives at op 4 of the plan, when it was seen first: long after the memory was allocated.
#[test]
fn the_peak_is_when_most_lives() {
    let temp = tempfile::tempdir().unwrap();
    let check = |id: &str, seen: &[u64], expect: (u64, Option<Playhead>)| {
        let watch = stand(&recording(temp.path(), id, seen), "peak");
        assert_eq!((watch.model.now(), watch.model.timeline.progress(0)), expect, "{id}");
    };
    check("1-1", &[2, 4, 7], (at(0, 4), Some(Playhead::At(4))));
    // Of what was seen: 7 KiB at op 7 are more than 6 KiB at op 2.
    check("2-2", &[2, 7, 9], (at(0, 7), Some(Playhead::At(7))));
    // Where no op was seen: what is kept behind a run is the most that is known.
    check("3-3", &[], (BEGINS + LASTS, Some(Playhead::Done)));
    // Another recording that goes on from there is looked through again; typing it finds it, too.
    let path = recording(temp.path(), "4-4", &[4]);
    let mut watch = open(&path);
    picture(&mut watch, (120, 40));
    press(&mut watch, "dpeak\n");
    says(
        &mut watch,
        &["after run 3 → run 1, op 4 seen complete (5 of 10)", "2.00 KiB → 8.00 KiB (+6.00 KiB)"],
    );
}

/// Runs are counted from 1 and ops from 0, wherever they are told of.
#[test]
fn all_views_number_a_moment_alike() {
    let temp = tempfile::tempdir().unwrap();
    let mut watch = stand(&recording(temp.path(), "1-1", &[2, 4, 7]), &ns(at(1, 7)));
    press(&mut watch, "1");
    says(&mut watch, &["run 2 of 3", "1 done  run 2 in progress", "now 7.00 KiB at op 7"]);
    press(&mut watch, "2");
    says(&mut watch, &["now op 7 of 0–9", "now 7"]);
    press(&mut watch, "4");
    says(&mut watch, &["now  op 7 MatMul"]);
    press(&mut watch, "m");
    says(&mut watch, &["m1 set at 0:00.002, run 2, op 7 seen complete (8 of 10)"]);
    press(&mut watch, "M");
    let picture = picture(&mut watch, (120, 40));
    let row = picture.lines().find(|line| line.contains("m1  ")).unwrap_or_default();
    let row = row.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(row.contains("m1 0:00.002 2 op 7 7.00 KiB"), "{picture}");
    let text = summary::text(&watch.model);
    let words =
        ["at 0:00.002, 2.92 ms before", "run 2 in progress, last seen complete: op 7 MatMul (8 of 10)"];
    assert!(words.iter().all(|words| text.contains(words)), "{text}");
}

#[test]
fn a_comparison_is_told_in_lines() {
    let temp = tempfile::tempdir().unwrap();
    let path = recording(temp.path(), "1-1", &[2, 4, 7]);
    let mut watch = stand(&path, &ns(at(1, 7)));
    assert_eq!(views::diff_text::told(&watch.model), "");
    press(&mut watch, &format!("d{}\n", ns(at(1, 2))));
    let told = views::diff_text::told(&watch.model);
    for line in [
        "compared, shown → other: 1-1.bptrace at 0:00.002, run 2 → 2030000ns",
        "live  7.00 KiB → 6.00 KiB (−1.00 KiB) in activations",
        "6 tensors live at one moment alone: tensor, lives, shown, other, difference",
        "  block/gelu, shown only, 3.00 KiB, –, −3.00 KiB",
    ] {
        assert!(told.lines().any(|told| told == line), "{line} in {told}");
    }
    assert!(!told.contains("tensors that differ"), "a list of nothing is not told: {told}");
}

#[test]
fn a_recording_that_a_file_holds_twice_counts_once() {
    let temp = tempfile::tempdir().unwrap();
    let once = bytes("1-1", &[4]);
    let path = temp.path().join("twice.bptrace");
    fs::write(&path, [&once[..], &once].concat()).unwrap();
    let mut watch = open(&path);
    let model = &watch.model;
    assert_eq!((model.timeline.runs_started, model.timeline.runs.len()), (3, 3));
    assert_eq!(model.strip.between(0, u64::MAX).unwrap().runs, 3);
    watch.stand_at(At::parse("run:2").unwrap()).unwrap();
    assert_eq!((watch.model.timeline.runs_started, watch.model.now()), (2, 2 * BEGINS + LASTS));
}
