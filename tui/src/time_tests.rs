//! Going through time with keys and mouse, on recordings on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bayplan_record::Source;
use bayplan_trace::{Event, Record, Writer};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::events::Message;
use crate::model::Stage;
use crate::model::moment::{At, Stop};
use crate::past::{Past, Question};
use crate::support;
use crate::theme::{Colours, Theme};
use crate::watch::{Outcome, Watch};

const SCREEN: Rect = Rect { x: 0, y: 0, width: 140, height: 30 };
const PATIENCE: Duration = Duration::from_secs(60);
const RUNS: u64 = 3000;

/// A recording of runs of 500 ns, one a microsecond, in segments of a thousand.
fn with_runs(folder: &Path) -> PathBuf {
    let plan = support::by_hand();
    let mut writer = Writer::new(support::session());
    writer.plan(&plan);
    support::preamble(&plan, support::windows(&plan)).iter().for_each(|event| writer.event(event));
    for run in 0..RUNS {
        if run % 1000 == 999 {
            writer.begin_segment();
        }
        let start = 10_000 + run * 1000;
        writer.event(&Event::RunStart { run, plan: 0, t: start });
        writer.event(&Event::Completed { run, plan: 0, op: 4, t: start + 200 });
        writer.event(&Event::RunEnd { run, t: start + 500, ok: true });
    }
    finish(writer, 10_000 + RUNS * 1000, folder)
}

/// A recording in which memory comes and goes and nothing runs.
fn without_runs(folder: &Path) -> PathBuf {
    let mut writer = Writer::new(support::session());
    writer.plan(&support::by_hand());
    for id in 1..=40u64 {
        if id % 10 == 0 {
            writer.begin_segment();
        }
        let purpose = "block".to_owned();
        writer.event(&Event::DeviceAllocated {
            t: id * 1000,
            id,
            bytes: 100,
            memory_type: 0,
            purpose,
            planned: true,
        });
        if id > 20 {
            writer.event(&Event::DeviceFreed { t: id * 1000 + 500, id: id - 20 });
        }
    }
    finish(writer, 41_000, folder)
}

fn finish(mut writer: Writer, t: u64, folder: &Path) -> PathBuf {
    writer.event(&Event::SessionEnd { t });
    writer.flush();
    let mut bytes = Vec::new();
    writer.take(&mut bytes);
    let path = folder.join("run.bptrace");
    fs::write(&path, bytes).unwrap();
    path
}

struct Viewer {
    watch: Watch,
    said: Receiver<Message>,
    _tell: Sender<Message>,
}

impl Viewer {
    fn open(path: &Path) -> Self {
        let (tell, said) = channel();
        let watch = Watch::open(Source::of_path(path), 1, Some(&tell)).unwrap();
        let mut viewer = Self { watch, said, _tell: tell };
        viewer.until(|watch| watch.model.caught_up);
        viewer.picture();
        viewer
    }

    fn until(&mut self, wanted: impl Fn(&Watch) -> bool) {
        while !wanted(&self.watch) {
            let said = self.said.recv_timeout(PATIENCE);
            assert!(matches!(said, Ok(Message::Changed)), "{said:?}");
            self.watch.pump();
        }
    }

    /// Presses keys, each once what the one before asked for was found.
    fn press(&mut self, keys: &str) {
        for key in keys.split_inclusive(|_: char| true) {
            self.press_at_once(key);
            self.until(|watch| watch.model.stage != Some(Stage::Seeking));
            self.picture();
        }
    }

    /// Presses keys before any of what they ask for is found.
    fn press_at_once(&mut self, keys: &str) {
        for key in keys.chars() {
            let code = match key {
                '\n' => KeyCode::Enter,
                '\x1b' => KeyCode::Esc,
                '\x7f' => KeyCode::Delete,
                key => KeyCode::Char(key),
            };
            let outcome = self.watch.key(KeyEvent::new(code, KeyModifiers::NONE));
            assert_eq!(outcome, Outcome::Stay, "{key:?}");
        }
    }

    /// Presses keys at once; whether that comes to the same as pressing each after the other.
    fn hurries(&mut self, keys: &str) -> bool {
        let came_to = [false, true].map(|at_once| {
            self.press("G");
            if at_once {
                self.press_at_once(keys);
                self.until(|watch| watch.model.stage != Some(Stage::Seeking));
            } else {
                self.press(keys);
            }
            let model = &self.watch.model;
            (model.now(), model.timeline.now, model.standing.is_some())
        });
        came_to[0] == came_to[1]
    }

    fn click(&mut self, column: u16, row: u16) {
        let kind = MouseEventKind::Down(MouseButton::Left);
        self.watch.mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }, SCREEN);
        self.until(|watch| watch.model.stage != Some(Stage::Seeking));
        self.picture();
    }

    fn picture(&mut self) -> String {
        self.picture_of(SCREEN)
    }

    fn picture_of(&mut self, screen: Rect) -> String {
        let mut buffer = Buffer::empty(screen);
        self.watch.draw(&mut buffer, screen, &Theme::new(Colours::None, false));
        let rows = buffer.content.chunks(usize::from(screen.width));
        rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>() + "\n").collect()
    }

    /// Whether the first line, or with it the last, says this.
    fn says(&mut self, words: &str) -> bool {
        let picture = self.picture();
        let mut lines = picture.lines();
        let (first, last) = (lines.next().unwrap_or_default(), lines.next_back().unwrap_or_default());
        first.contains(words) || last.contains(words)
    }

    fn runs(&self) -> u64 {
        self.watch.model.timeline.runs_started
    }
}

#[test]
fn runs_are_stepped_through_and_live_is_a_key_away() {
    let temp = tempfile::tempdir().unwrap();
    let mut viewer = Viewer::open(&with_runs(temp.path()));
    assert!(viewer.says("run 3,000") && !viewer.says("before"));
    viewer.press(",");
    assert!(viewer.says("run 2,999 of 3,000"), "{}", viewer.picture());
    assert!(viewer.says("◀ 1.50 µs before the end"), "{}", viewer.picture());
    // The smallest screen says the same in fewer columns.
    let narrow = viewer.picture_of(Rect { width: 40, height: 12, ..SCREEN });
    assert!(narrow.lines().next().unwrap().contains("minilm-l6   ◀ −1.50 µs"), "{narrow}");
    viewer.press(",,.");
    assert_eq!((viewer.runs(), viewer.watch.model.timeline.now), (2998, 10_000 + 2997 * 1000 + 500));
    viewer.press("..");
    assert_eq!(viewer.runs(), 3000);
    viewer.press(".");
    assert!(viewer.watch.model.standing.is_none(), "after the last run comes what is now");
    viewer.press(".");
    assert!(viewer.says("this is the end of what is there"));
    viewer.press("{{{{");
    let model = &viewer.watch.model;
    assert_eq!(model.now(), (0..4).fold(model.live().now, |t, _| t - model.live().now / 20));
    let within = model.timeline.current.is_some();
    assert!(viewer.runs() == 2399 && within, "{}", viewer.runs());
    // From within a run, its end is next.
    let run = viewer.runs();
    viewer.press(".");
    assert_eq!((viewer.runs(), viewer.watch.model.timeline.current), (run, None));
    viewer.press("}G");
    assert!(viewer.watch.model.standing.is_none() && viewer.says("run 3,000"));
    viewer.press(",\x1b");
    assert!(viewer.watch.model.standing.is_none(), "esc goes back to now, too");
}

#[test]
fn no_step_is_lost_however_quickly_keys_are_pressed() {
    let temp = tempfile::tempdir().unwrap();
    let (path, folder) = (with_runs(temp.path()), temp.path().join("calm"));
    let mut viewer = Viewer::open(&path);
    for keys in ["{{{{{{", "{{{}", "{}", ",,,", ",,.", ",.", ",{,", "{,,}.", "{{{{{{{{{{{{{{{{{{{{{{{"] {
        assert!(viewer.hurries(keys), "{keys}: {}", viewer.picture());
    }
    viewer.press("G");
    viewer.press_at_once("{{{{{{");
    viewer.until(|watch| watch.model.stage != Some(Stage::Seeking));
    let model = &viewer.watch.model;
    assert_eq!(model.now(), (0..6).fold(model.live().now, |t, _| t - model.live().now / 20));
    // Whoever goes back to now meanwhile stays there.
    for keys in ["{{{G", "{,,G", "{\x1b", ",,,,\x1b"] {
        viewer.press_at_once(keys);
        viewer.until(|watch| watch.model.stage != Some(Stage::Seeking));
        assert!(viewer.watch.model.standing.is_none(), "{keys:?}");
    }
    fs::create_dir(&folder).unwrap();
    let mut viewer = Viewer::open(&without_runs(&folder));
    for keys in [",,,,", ",,..", "{,,.", ",,,}"] {
        assert!(viewer.hurries(keys), "{keys}: {}", viewer.picture());
    }
}

#[test]
fn the_past_ends_at_the_beginning() {
    let temp = tempfile::tempdir().unwrap();
    let mut viewer = Viewer::open(&with_runs(temp.path()));
    viewer.press("{".repeat(25).as_str());
    assert!(viewer.says("this is the beginning of the session"), "{}", viewer.picture());
    assert_eq!((viewer.runs(), viewer.watch.model.now()), (0, 0));
    viewer.press(".");
    assert_eq!(viewer.runs(), 1);
    viewer.press(",");
    assert!(viewer.says("this is the beginning of the session"));
}

#[test]
fn the_strip_of_time_is_clicked() {
    let temp = tempfile::tempdir().unwrap();
    let mut viewer = Viewer::open(&with_runs(temp.path()));
    assert!(!viewer.picture().contains(" now"), "it takes no room unless it is wanted");
    viewer.press("t");
    let row = SCREEN.height - 2;
    assert!(viewer.picture().lines().nth(row.into()).unwrap().contains(" now"));
    viewer.click(70, row);
    let middle = viewer.watch.model.now();
    assert!((1_480_000..1_540_000).contains(&middle), "{middle}");
    assert!(viewer.picture().lines().nth(row.into()).unwrap().chars().nth(70) == Some('▲'));
    viewer.click(135, row);
    assert!(viewer.watch.model.standing.is_none());
}

#[test]
fn what_happened_is_stepped_through_where_nothing_runs() {
    let temp = tempfile::tempdir().unwrap();
    let mut viewer = Viewer::open(&without_runs(temp.path()));
    let at = |viewer: &mut Viewer, keys: &str| {
        viewer.press(keys);
        (viewer.watch.model.now(), viewer.watch.model.timeline.blocks.len())
    };
    assert_eq!(at(&mut viewer, ","), (40_500, 20));
    assert_eq!(at(&mut viewer, ","), (40_000, 21));
    assert_eq!(at(&mut viewer, ",,,"), (38_500, 20));
    assert_eq!(at(&mut viewer, "."), (39_000, 21));
    // At a time between two things that happened.
    viewer.press("{");
    let between = viewer.watch.model.now();
    assert_eq!(between, 39_000 - 41_000 / 20);
    assert_eq!(at(&mut viewer, "."), (37_000, 21));
    assert_eq!(at(&mut viewer, "........"), (41_000, 20));
}

#[test]
fn marks_are_gone_to_across_time() {
    let temp = tempfile::tempdir().unwrap();
    let mut viewer = Viewer::open(&with_runs(temp.path()));
    viewer.press("glllm");
    assert!(viewer.says("m1 set at"), "{}", viewer.picture());
    viewer.press(",,,hhm");
    assert!(viewer.says("m2 set at") && viewer.says("since m1: −3.50 µs"), "{}", viewer.picture());
    let (runs, op) = (viewer.runs(), viewer.watch.model.arena().unwrap().view.ops.cursor);
    viewer.press("G'");
    assert_eq!((viewer.runs(), viewer.watch.model.arena().unwrap().view.ops.cursor), (3000, 3));
    viewer.press("'");
    assert_eq!((viewer.runs(), viewer.watch.model.arena().unwrap().view.ops.cursor), (runs, op));
    assert!(viewer.picture().contains('◆'), "on the axis of the map: {}", viewer.picture());
    viewer.press("M");
    let picture = viewer.picture();
    assert!(picture.contains("m1") && picture.contains("−3.50 µs"), "{picture}");
    viewer.press("k\x7f");
    assert!(viewer.says("m1 is taken away"));
    viewer.press("G\n");
    assert_eq!(viewer.watch.model.marks.all().len(), 1);
    viewer.press("Mx'");
    assert!(viewer.watch.model.marks.all().is_empty() && viewer.says("no marks yet"), "{}", viewer.picture());
}

#[test]
fn one_picture_is_of_the_moment_that_is_asked_for() {
    let temp = tempfile::tempdir().unwrap();
    let path = with_runs(temp.path());
    let at = |text: &str| {
        let mut watch = Watch::open(Source::of_path(&path), 0, None).unwrap();
        watch.read_all();
        watch.stand_at(At::parse(text).unwrap()).map(|()| watch.model.timeline.runs_started)
    };
    for (text, runs) in [("run:12", 12), ("1ms", 991), ("-1ms", 2001), ("end", 3000), ("0", 0)] {
        assert_eq!(at(text).unwrap(), runs, "{text}");
    }
    assert!(at("peak").is_ok());
    assert!(at("run:3001").unwrap_err().to_string().contains("the session ends before it"));
}

#[test]
fn what_is_shown_stays_while_what_is_now_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let mut viewer = Viewer::open(&with_runs(temp.path()));
    viewer.press(",,");
    let shown = viewer.runs();
    let mut news =
        crate::model::News { state: viewer.watch.model.live_state(), ..crate::model::News::default() };
    news.state.fold.apply(Record::Event(Event::RunStart { run: 9000, plan: 0, t: 4_000_000 }));
    viewer.watch.model.take(news);
    assert_eq!((viewer.runs(), viewer.watch.model.live().runs_started), (shown, 3001));
    assert!(viewer.says("of 3,001"));
    viewer.press("G");
    assert_eq!(viewer.runs(), 3001);
}

#[test]
fn runs_and_ops_have_one_number_wherever_they_are_told() {
    let temp = tempfile::tempdir().unwrap();
    let mut viewer = Viewer::open(&with_runs(temp.path()));
    // In the sixth run, behind its op 4.
    viewer.watch.stand_at(At::Stop(Stop::At(15_300))).unwrap();
    let map = viewer.picture();
    assert!(map.contains("run 6 of 3,000") && map.contains("now op 4 of 0–9"), "{map}");
    viewer.press("1");
    let overview = viewer.picture();
    assert!(overview.contains("5 done  run 6 in progress"), "{overview}");
    assert!(overview.contains("at op 4") && !overview.contains("run 5"), "{overview}");
}

#[test]
fn standard_input_says_that_it_keeps_nothing() {
    let (tell, _said) = channel();
    let mut past = Past::new(Source::of_standard_input(), tell);
    let question = Question { stop: Stop::At(0), live: crate::model::State::default(), wanted: None };
    let error = past.ask(question).unwrap_err().to_string();
    assert!(error.contains("not kept") && error.contains("record to disk"), "{error}");
}
