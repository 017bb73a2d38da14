//! Comparing: what is found, what is shown of it, and that keys and mouse do it.

use std::fs;
use std::path::{Path, PathBuf};

use bayplan_record::{Places, Source};
use bayplan_trace::{Event, PlanRecord, PlanState, Writer};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::model::Model;
use crate::model::compare::{ChoicePlace, Compared};
use crate::support;
use crate::theme::{Colours, Theme};
use crate::watch::{Outcome, Watch};

const SCREEN: Rect = Rect { x: 0, y: 0, width: 120, height: 30 };

/// A recording of a plan whose ops take so long.
fn recording(folder: &Path, name: &str, plan: &PlanRecord, ns: u64) -> PathBuf {
    let mut writer = Writer::new(bayplan_trace::SessionInfo { id: name.to_owned(), ..support::session() });
    writer.plan(plan);
    support::preamble(plan, support::windows(plan)).iter().for_each(|event| writer.event(event));
    for run in 0..20u64 {
        let start = 10_000 + run * 1_000_000;
        writer.event(&Event::RunStart { run, plan: 0, t: start });
        writer.event(&Event::RunEnd { run, t: start + 500_000, ok: true });
        let times = (0..plan.ops.len() as u64).map(|op| (start + op * ns, start + (op + 1) * ns)).collect();
        writer.event(&Event::OpTimes { run, plan: 0, first_op: 0, times });
    }
    writer.event(&Event::SessionEnd { t: 30_000_000 });
    writer.flush();
    let mut bytes = Vec::new();
    writer.take(&mut bytes);
    let path = folder.join(name);
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("0001.bptrace"), bytes).unwrap();
    path
}

/// The small plan with one tensor larger, one elsewhere, one gone and one new.
fn other() -> PlanRecord {
    let mut plan = support::by_hand();
    plan.buffers[3].size = 1 << 10;
    plan.buffers[1].offset = 6 << 10;
    plan.buffers[6].name = "block/\u{1b}[31msilu".to_owned();
    plan.arenas[0].lower_bound = 7 << 10;
    plan
}

/// Compares what is shown with that plan.
pub(crate) fn compare(model: &mut Model) {
    let shown = (0, model.plan().unwrap());
    let compared = Compared::new(
        "run 2-2".to_owned(),
        (shown, (0, PlanState::new(other()))),
        (&model.timeline, &model.timeline),
    );
    model.compare(Some(compared));
}

fn open(path: &Path, runs: &Path) -> Watch {
    let mut watch = Watch::open(Source::of_path(path), 1, None).unwrap();
    watch.set_places(Places { live: runs.join("none"), runs: runs.to_path_buf(), ..Places::under(runs) });
    watch.read_all();
    picture(&mut watch);
    watch
}

fn picture(watch: &mut Watch) -> String {
    let mut buffer = Buffer::empty(SCREEN);
    watch.draw(&mut buffer, SCREEN, &Theme::new(Colours::None, false));
    let rows = buffer.content.chunks(usize::from(SCREEN.width));
    rows.map(|row| {
        row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned() + "\n"
    })
    .collect()
}

fn press(watch: &mut Watch, keys: &str) {
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            '\t' => KeyCode::Tab,
            key => KeyCode::Char(key),
        };
        assert_eq!(watch.key(KeyEvent::new(code, KeyModifiers::NONE)), Outcome::Stay, "{key:?}");
        watch.pump();
        picture(watch);
    }
}

#[test]
fn another_run_is_chosen_compared_and_left() {
    let temp = tempfile::tempdir().unwrap();
    let shown = recording(temp.path(), "1-1", &support::by_hand(), 1000);
    recording(temp.path(), "2-2", &other(), 1500);
    let mut watch = open(&shown, temp.path());
    assert!(!picture(&mut watch).contains("Diff"), "the view is listed only while something is compared");
    press(&mut watch, "d");
    let chooser = picture(&mut watch);
    for words in ["minilm-l6, process 2", "over, began", "run 2-2"] {
        assert!(chooser.contains(words), "{words} in {chooser}");
    }
    assert!(!chooser.contains("run 1-1"), "{chooser}");
    press(&mut watch, "\n");
    let picture_ = picture(&mut watch);
    let golden = "→ other: minilm-l6, process 2";
    assert!(picture_.contains(golden), "{picture_}");
    for words in [
        "peak 8.00 KiB → 7.00 KiB (−1.00 KiB)",
        "bound 8.00 KiB → 7.00 KiB (−1.00 KiB)",
        "because  block/scores −1.00 KiB",
        "a run  500 µs in both: median of 19 and 19 runs, the first aside",
        "ops of a run, on the device  10.0 µs → 15.0 µs (+5.00 µs): mean of 19 and 19 runs, the first aside",
        "ops in the other  10 slower, 0 faster by more than 10.0 % of its own time and 1.0 % of the time of all ops",
        "1 resized, 1 moved",
        "1 added, 1 removed",
    ] {
        assert!(picture_.contains(words), "{words} in {picture_}");
    }
    assert!(!picture_.contains('\u{1b}'), "names are escaped");
    let counts = watch.model.ghost().expect("the other plan lies over the map").counts();
    assert_eq!((counts.moved, counts.resized, counts.added, counts.removed), (1, 1, 1, 1));
    // A row goes to its tensor, the other way lists ops.
    press(&mut watch, "j");
    let row = watch.model.lists.get(crate::model::lists::ListKind::DifferingTensors).chosen().unwrap();
    let tensor = watch.model.compared().unwrap().diff.tensors[row as usize];
    if let Some(own) = tensor.a {
        assert_eq!(watch.model.selected().map(|(number, _)| number), Some(own));
    }
    press(&mut watch, "o");
    assert!(picture(&mut watch).contains("ops, times beside each other"), "{}", picture(&mut watch));
    assert!(picture(&mut watch).contains("+500 ns"), "{}", picture(&mut watch));
    press(&mut watch, "D");
    assert!(watch.model.compared().is_none() && watch.model.ghost().is_none());
    assert!(!picture(&mut watch).contains(" Diff"));
}

#[test]
fn the_same_plan_says_so() {
    let temp = tempfile::tempdir().unwrap();
    let shown = recording(temp.path(), "1-1", &support::by_hand(), 1000);
    let same = recording(temp.path(), "2-2", &support::by_hand(), 1000);
    let mut watch = open(&shown, temp.path());
    watch.compare_now(same.as_os_str()).unwrap();
    watch.pump();
    let number = crate::views::listed(&watch.model).position(|(_, view)| view.title() == "Diff").unwrap() + 1;
    press(&mut watch, &number.to_string());
    let picture = picture(&mut watch);
    assert!(picture.contains("the plans are the same: no tensor, arena or kernel differs"), "{picture}");
    // The times come first then, and what is not more than noise says so.
    assert!(
        picture.contains("ops, times beside each other") && picture.contains("within noise"),
        "{picture}"
    );
    assert!(picture.contains("none differs by more than 10.0 % of its own time and 1.0 % of"), "{picture}");
}

#[test]
fn a_mark_is_another_instant_of_the_same_session() {
    let temp = tempfile::tempdir().unwrap();
    let shown = recording(temp.path(), "1-1", &support::by_hand(), 1000);
    let mut watch = open(&shown, temp.path());
    watch.stand_at(crate::model::moment::At::parse("run:3").unwrap()).unwrap();
    press(&mut watch, "mGd");
    assert!(matches!(watch.model.choices[0].place, ChoicePlace::Moment(..)), "{:?}", watch.model.choices);
    press(&mut watch, "\n");
    let compared = watch.model.compared().unwrap();
    assert_eq!((compared.title.as_str(), compared.diff.is_empty()), ("m1", true));
    assert_eq!((compared.other.runs, watch.model.plan().unwrap().runs), (3, 20));
}

#[test]
fn what_is_shown_is_what_is_compared_when_time_is_gone_through() {
    let temp = tempfile::tempdir().unwrap();
    let shown = recording(temp.path(), "1-1", &support::by_hand(), 1000);
    let mut watch = open(&shown, temp.path());
    watch.stand_at(crate::model::moment::At::parse("run:3").unwrap()).unwrap();
    press(&mut watch, "mGd\n");
    // Of a plan's runs, those behind the first: 19 of 20 here, 2 at the mark.
    let told = |watch: &mut Watch, runs: &str| {
        let picture = picture(watch);
        assert!(picture.contains(&format!("median of {runs} runs")), "{runs}: {picture}");
        picture
    };
    assert!(!told(&mut watch, "19 and 2").contains(" at 0:00"));
    press(&mut watch, ",");
    assert!(told(&mut watch, "18 and 2").contains("at 0:00.018, run 19 → other: m1"));
    press(&mut watch, "o,,");
    let ops = told(&mut watch, "16 and 2");
    assert!(ops.contains("ops, times beside each other"), "what is listed stays: {ops}");
    press(&mut watch, "G");
    told(&mut watch, "19 and 2");
    press(&mut watch, ",D,");
    assert!(watch.model.compared().is_none(), "nothing is compared again that was ended");
}

#[test]
fn what_cannot_be_compared_says_why() {
    let temp = tempfile::tempdir().unwrap();
    let shown = recording(temp.path(), "1-1", &support::by_hand(), 1000);
    let mut watch = open(&shown, temp.path());
    assert!(watch.compare_now("no-such-run".as_ref()).unwrap_err().to_string().contains("no-such-run"));
    let empty = recording(temp.path(), "3-3", &PlanRecord::default(), 1);
    let error = watch.compare_now(empty.as_os_str()).unwrap_err().to_string();
    assert!(error.contains("has no plan"), "{error}");
    press(&mut watch, "D");
    assert!(picture(&mut watch).contains("nothing is compared"));
}

fn type_text(watch: &mut Watch, text: &str) {
    press(watch, "d");
    press(watch, text);
}

#[test]
fn what_is_typed_filters_what_can_be_compared() {
    let temp = tempfile::tempdir().unwrap();
    let shown = recording(temp.path(), "1-1", &support::by_hand(), 1000);
    recording(temp.path(), "2-2", &other(), 1500);
    recording(temp.path(), "3-3", &support::by_hand(), 1000);
    let mut watch = open(&shown, temp.path());
    // What can be typed is told on a terminal of 80 columns.
    press(&mut watch, "d");
    let small = Rect { width: 80, height: 24, ..SCREEN };
    let mut buffer = Buffer::empty(small);
    watch.draw(&mut buffer, small, &Theme::new(Colours::None, false));
    let foot: String = (0..80).map(|x| buffer[(x, 23)].symbol()).collect();
    assert!(foot.contains("a path (/ ./ ~) or a moment (run:3 1.5s); esc closes"), "{foot}");
    press(&mut watch, "\x1b");
    // Letters that do something elsewhere are letters here.
    type_text(&mut watch, "Process 3-3");
    let listed = picture(&mut watch);
    assert!(listed.contains("run 3-3") && !listed.contains("run 2-2"), "{listed}");
    assert!(listed.lines().last().unwrap().starts_with(" compare with Process 3-3▏"), "{listed}");
    press(&mut watch, "jdq");
    assert!(picture(&mut watch).contains("nothing listed has Process 3-3jdq"), "{}", picture(&mut watch));
    // What is not listed may be a name all the same; where it is none, that is said and the text stays.
    press(&mut watch, "\n");
    let said = picture(&mut watch);
    assert!(said.contains("no recording, live run or process called Process 3-3jdq"), "{said}");
    assert!(said.contains(" compare with Process 3-3jdq▏"), "{said}");
    press(&mut watch, "\x1b");
    assert!(picture(&mut watch).contains("run 2-2"), "all are listed again");
    press(&mut watch, "\x1b");
    assert!(!picture(&mut watch).contains("compare with"));
    type_text(&mut watch, "s 2-2\n");
    assert_eq!(watch.model.compared().unwrap().title, "minilm-l6, process 2");
}

#[test]
fn a_path_is_completed_and_compared() {
    let (temp, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let shown = recording(temp.path(), "1-1", &support::by_hand(), 1000);
    let folder = elsewhere.path().join("runs");
    let path = recording(&folder, "night-run", &other(), 1500);
    fs::copy(path.join("0001.bptrace"), folder.join("\u{1b}[2Jday.bptrace")).unwrap();
    let mut watch = open(&shown, temp.path());
    let base = elsewhere.path().to_str().unwrap().to_owned();
    type_text(&mut watch, &format!("{base}/"));
    assert_eq!(watch.model.choices.len(), 1, "{:?}", watch.model.choices);
    // A folder is looked into, and what is in it listed.
    press(&mut watch, "\n");
    assert_eq!(watch.model.choosing, format!("{base}/runs/"));
    let listed = picture(&mut watch);
    assert!(listed.contains("night-run  recording") && listed.contains(r"\x1b[2Jday.bptrace"), "{listed}");
    press(&mut watch, "n\t");
    assert_eq!(watch.model.choosing, format!("{base}/runs/night-run"));
    press(&mut watch, "\n");
    assert_eq!(watch.model.compared().unwrap().title, path.to_str().unwrap());
    // Nothing there begins so: the list says so, and entering it says what the system says.
    type_text(&mut watch, &format!("{base}/none"));
    assert!(picture(&mut watch).contains("no recording there begins with"), "{}", picture(&mut watch));
    press(&mut watch, "\n");
    assert!(picture(&mut watch).contains("/none▏"), "it stays to be mended");
}

#[test]
fn moments_of_the_recording_can_be_compared_or_say_why_not() {
    let temp = tempfile::tempdir().unwrap();
    let shown = recording(temp.path(), "1-1", &support::by_hand(), 1000);
    let mut watch = open(&shown, temp.path());
    type_text(&mut watch, "run:3");
    assert!(picture(&mut watch).contains("this moment of this recording"), "{}", picture(&mut watch));
    press(&mut watch, "\n");
    let compared = watch.model.compared().unwrap();
    assert_eq!((compared.title.as_str(), compared.other.runs), ("run:3", 3));
    type_text(&mut watch, "first run\n");
    assert_eq!(watch.model.compared().unwrap().other.runs, 1);
    // Where one stands there is nothing to compare, nor after the end, nor in what was not kept.
    press(&mut watch, "D");
    for (text, why) in [("end", "this is where you stand"), ("9s", "the session ends after")] {
        type_text(&mut watch, &format!("{text}\n"));
        let said = picture(&mut watch);
        assert!(said.contains(why) && watch.model.compared().is_none(), "{said}");
        press(&mut watch, "\x1b\x1b");
    }
    press(&mut watch, "mdm1\n");
    assert!(picture(&mut watch).contains("m1: cannot be compared: this is where you stand"));
    press(&mut watch, "\x1b\x1b");
    watch.stand_at(crate::model::moment::At::parse("run:3").unwrap()).unwrap();
    let (_, moments) = watch.model.own_choices(Some("it was not kept"));
    let told: Vec<_> = moments.iter().map(|choice| (choice.name.as_str(), choice.about.as_str())).collect();
    let all = ["the end of the first run", "the end of what is there", "m1"];
    assert_eq!(told, all.map(|name| (name, "it was not kept")));
    assert!(moments.iter().all(|choice| choice.place == ChoicePlace::Nowhere));
    type_text(&mut watch, "the end of what\n");
    assert_eq!(watch.model.compared().unwrap().other.runs, 20);
}

/// Windows and empty lists name the keys that the user has given.
#[test]
fn windows_name_the_keys_of_the_user() {
    use crate::keys::{Chord, Keymap, acts};
    let mut keys = Keymap::standard().clone();
    for (name, key) in [("mark", "f5"), ("remove", "f6"), ("inspect", "f7"), ("back", "f8")] {
        keys.set(acts().find(|act| act.name == name).unwrap(), vec![Chord::parse(key).unwrap()]);
    }
    let theme = Theme { keys: Box::leak(Box::new(keys)), ..Theme::new(Colours::None, false) };
    let temp = tempfile::tempdir().unwrap();
    let shown = recording(temp.path(), "1-1", &support::by_hand(), 1000);
    let mut watch = open(&shown, temp.path());
    for (opens, words) in [
        ("M", &["marks · f7 goes there · f6 takes it away", "f5 marks where you stand"][..]),
        ("5/nosuchthing\n", &["f8 ends it"]),
    ] {
        press(&mut watch, opens);
        let mut buffer = Buffer::empty(SCREEN);
        watch.draw(&mut buffer, SCREEN, &theme);
        let text: String = buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        assert!(words.iter().all(|words| text.contains(words)), "{words:?} in {text}");
        press(&mut watch, "\x1b");
    }
}
