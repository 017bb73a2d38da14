//! The list of live runs and recordings to choose from.

use std::collections::HashMap;
use std::path::PathBuf;

use bayplan_record::{Places, Source, live_runs, open, recordings};
use bayplan_text::{Bytes, ellipsis, escape};
use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::about::{About, Ending, about};
use crate::draw;
use crate::keys::{Action, Keymap};
use crate::paths;
use crate::theme::Theme;

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    id: String,
    model: String,
    device: String,
    start_unix_ns: u64,
    source: Source,
    about: About,
}

impl Entry {
    fn state(&self) -> &'static str {
        match (&self.source.live, self.about.ending) {
            (Some(_), _) => "● live",
            (None, Some(Ending::Ended)) => "○ ended",
            (None, Some(Ending::Killed)) => "✝ killed",
            (None, None) => "○",
        }
    }

    /// Whether each of the words is found in what is shown of it.
    fn matches(&self, words: &str) -> bool {
        let all = [self.state(), &self.model, &self.device, &self.id].join(" ");
        has_words(&all, words)
    }
}

/// What a key means for whoever shows the list.
#[derive(Debug)]
pub(crate) enum Choice {
    /// Nothing more.
    Stay,
    /// This recording is to be opened.
    Open(Box<Source>),
    /// Back to where the list was asked for, if it was asked for anywhere.
    Back,
    /// Enough was seen.
    Quit,
}

/// The list, and what is chosen in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picker {
    /// All that were found.
    entries: Vec<Entry>,
    /// Their numbers that the words keep.
    kept: Vec<usize>,
    chosen: usize,
    /// Words that were typed to filter the list, or the path of a file.
    words: String,
    typing: bool,
    /// What was looked up of recordings, which do not change any more.
    known: HashMap<PathBuf, About>,
    /// Why there is no list, if it cannot be had.
    failure: Option<String>,
    /// The minute it was drawn in.
    minute: u64,
    /// Why the entry chosen last could not be opened.
    refused: Option<String>,
}

/// Most recordings that are looked into at a time: the list comes first.
const AT_ONCE: usize = 8;
/// Most characters of a filter or a path.
pub(crate) const MAX_WORDS: usize = 4096;

impl Picker {
    /// Looks again, at `now` in nanoseconds since the Unix epoch; returns whether the list has changed. What is chosen
    /// stays chosen.
    pub(crate) fn look(&mut self, places: &Places, now: u64) -> bool {
        let minute = now / MINUTE;
        let later = std::mem::replace(&mut self.minute, minute) != minute;
        let (entries, failure) = match self.found(places) {
            Ok(entries) => (entries, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        if entries == self.entries && failure == self.failure {
            return later;
        }
        let former = self.chosen_entry().map(|entry| entry.id.clone());
        (self.entries, self.failure) = (entries, failure);
        // A run that has just begun is what the viewer waits for, until something was chosen by hand.
        self.keep(former.filter(|_| self.chosen > 0));
        true
    }

    fn found(&mut self, places: &Places) -> Result<Vec<Entry>, String> {
        let live = live_runs(places).map_err(|error| error.to_string())?;
        let ended = recordings(places).map_err(|error| error.to_string())?;
        let mut entries: Vec<Entry> = Vec::new();
        for run in live {
            let (id, model, device, start_unix_ns) =
                (run.id.clone(), run.model.clone(), run.device.clone(), run.start_unix_ns);
            let source = Source::of_run(run, places);
            entries.push(Entry { id, model, device, start_unix_ns, source, about: About::default() });
        }
        for entry in ended {
            let source = Source::of_path(entry.path);
            let (id, model, device, start_unix_ns) =
                (entry.id, entry.model, entry.device, entry.start_unix_ns);
            entries.push(Entry { id, model, device, start_unix_ns, source, about: About::default() });
        }
        let mut looked = 0;
        for entry in &mut entries {
            let (path, is_live) = (&entry.source.path, entry.source.live.is_some());
            entry.about = match self.known.get(path) {
                // How a live run ends is not known yet, and it may not have told its plan.
                Some(about) if is_live == about.ending.is_none() => *about,
                _ if looked >= AT_ONCE => About::default(),
                _ => {
                    looked += 1;
                    let mut about = about(path);
                    about.ending = about.ending.filter(|_| !is_live);
                    if about.memory.is_some() {
                        self.known.insert(path.clone(), about);
                    }
                    about
                }
            };
        }
        Ok(entries)
    }

    /// Keeps what the words keep, and chooses what has that name, if anything.
    fn keep(&mut self, id: Option<String>) {
        let words = if self.path().is_some() { "" } else { &self.words };
        let kept = self.entries.iter().enumerate().filter(|(_, entry)| entry.matches(words));
        self.kept = kept.map(|(at, _)| at).collect();
        let at = id.and_then(|id| self.kept.iter().position(|at| self.entries[*at].id == id));
        self.chosen = at.unwrap_or(self.chosen).min(self.kept.len().saturating_sub(1));
    }

    /// Says why what was chosen could not be opened.
    pub(crate) fn fail(&mut self, why: String) {
        self.refused = Some(why);
    }

    /// Moves the choice.
    pub(crate) fn step(&mut self, by: i64) {
        self.refused = None;
        let last = self.kept.len().saturating_sub(1);
        self.chosen = self.chosen.saturating_add_signed(by as isize).min(last);
    }

    fn chosen_entry(&self) -> Option<&Entry> {
        self.entries.get(*self.kept.get(self.chosen)?)
    }

    /// The recording that is chosen.
    pub(crate) fn chosen(&self) -> Option<&Source> {
        self.chosen_entry().map(|entry| &entry.source)
    }

    /// The file that the words name, where they are a path.
    fn path(&self) -> Option<&str> {
        paths::is_path(&self.words).then_some(&*self.words)
    }

    /// Takes a key.
    pub(crate) fn key(&mut self, key: KeyEvent, keys: &Keymap, places: &Places) -> Choice {
        self.refused = None;
        let action = keys.action(key);
        let plain = |code| {
            matches!(
                code,
                KeyCode::Char(_) | KeyCode::Backspace | KeyCode::Enter | KeyCode::Esc | KeyCode::Tab
            )
        };
        if self.typing && plain(key.code) && !key.modifiers.contains(crossterm::event::KeyModifiers::CONTROL)
        {
            return self.type_key(key.code, places);
        }
        match action {
            Some(Action::Quit) => return Choice::Quit,
            Some(Action::Back) if self.words.is_empty() => return Choice::Back,
            Some(Action::Back) => self.set_words(String::new()),
            Some(Action::Search) => self.typing = true,
            Some(Action::Up) => self.step(-1),
            Some(Action::Down) => self.step(1),
            Some(Action::FarUp) => self.step(-10),
            Some(Action::FarDown) => self.step(10),
            Some(Action::First | Action::Start) => self.step(i64::from(i32::MIN)),
            Some(Action::Last | Action::Live) => self.step(i64::from(i32::MAX)),
            Some(Action::Inspect | Action::Right) => return self.open(places),
            _ => self.refused = Some(format!("{} is no key of this list", shown(key.code))),
        }
        Choice::Stay
    }

    fn type_key(&mut self, code: KeyCode, places: &Places) -> Choice {
        let mut words = self.words.clone();
        match code {
            KeyCode::Enter => {
                self.typing = false;
                return self.open(places);
            }
            KeyCode::Esc => {
                self.typing = false;
                words.clear();
            }
            KeyCode::Backspace => drop(words.pop()),
            KeyCode::Tab => {
                let whole = paths::complete(&words).filter(|_| paths::is_path(&words));
                words = whole.unwrap_or(words);
            }
            KeyCode::Char(c) if words.chars().count() < MAX_WORDS => words.push(c),
            _ => {}
        }
        self.set_words(words);
        Choice::Stay
    }

    fn set_words(&mut self, words: String) {
        let former = self.chosen_entry().map(|entry| entry.id.clone());
        self.words = words;
        self.keep(former);
    }

    /// What is to be opened: the file that the words name, else what is chosen.
    pub(crate) fn open(&mut self, places: &Places) -> Choice {
        if let Some(path) = self.path() {
            return match open(paths::expand(path), places) {
                Ok(source) => Choice::Open(Box::new(source)),
                Err(error) => {
                    self.refused = Some(error.to_string());
                    Choice::Stay
                }
            };
        }
        if self.kept.is_empty() && !self.words.is_empty() {
            // What is typed may be any name that a recording has on the command line.
            return match open(&self.words, places) {
                Ok(source) => Choice::Open(Box::new(source)),
                Err(error) => {
                    self.refused = Some(error.to_string());
                    Choice::Stay
                }
            };
        }
        self.open_chosen()
    }

    /// The recording that is chosen is to be opened.
    pub(crate) fn open_chosen(&self) -> Choice {
        self.chosen().cloned().map_or(Choice::Stay, |source| Choice::Open(Box::new(source)))
    }

    /// Chooses the entry at a row of the screen, if there is one.
    pub(crate) fn choose_at(&mut self, screen: Rect, row: u16) -> bool {
        let Some(line) = row.checked_sub(screen.y + FIRST_ROW) else { return false };
        let at = usize::from(line) + self.first_shown(screen);
        let hit = at < self.kept.len() && row + 1 < screen.bottom();
        if hit {
            self.chosen = at;
        }
        hit
    }

    fn first_shown(&self, screen: Rect) -> usize {
        let rows = usize::from(screen.height.saturating_sub(FIRST_ROW + 1)).max(1);
        (self.chosen + 1).saturating_sub(rows)
    }

    /// Draws the list. `now` is the wall-clock time in nanoseconds since the Unix epoch.
    pub(crate) fn draw(&self, buffer: &mut Buffer, screen: Rect, now: u64, theme: &Theme) {
        draw::fill_row(buffer, screen, 0, theme.bar());
        let live = self.entries.iter().filter(|entry| entry.source.live.is_some()).count();
        let mut title = format!(" bayplan ▸ runs   {live} live, {} recorded", self.entries.len() - live);
        if self.kept.len() < self.entries.len() {
            title += &format!("   {} shown", self.kept.len());
        }
        draw::put_line(buffer, screen, 0, &Line::styled(title, theme.bar().patch(theme.strong())));
        draw::put_line(buffer, screen, screen.height.saturating_sub(1), &self.foot(theme));
        if let Some(failure) = &self.failure {
            draw::notice(buffer, screen, failure, theme.alarm_text());
            return;
        }
        if self.kept.is_empty() {
            self.draw_empty(buffer, screen, theme);
        } else {
            self.draw_entries(buffer, screen, now, theme);
        }
        if let Some(why) = &self.refused {
            draw::notice(buffer, screen, why, theme.alarm_text());
        }
    }

    fn draw_entries(&self, buffer: &mut Buffer, screen: Rect, now: u64, theme: &Theme) {
        let heading = row(["", "model", "device", "memory", "begun", "run"], usize::from(screen.width));
        draw::put_line(buffer, screen, 1, &Line::styled(heading, theme.faint()));
        let rows = usize::from(screen.height.saturating_sub(FIRST_ROW + 1));
        let first = self.first_shown(screen);
        for (line, at) in self.kept.iter().enumerate().skip(first).take(rows) {
            let entry = &self.entries[*at];
            let ago = ago(now.saturating_sub(entry.start_unix_ns));
            let memory = entry.about.memory.map_or_else(String::new, |bytes| Bytes(bytes).to_string());
            let cells = [entry.state(), &entry.model, &entry.device, &memory, &ago, &entry.id];
            let style = match (line == self.chosen, entry.source.live.is_some()) {
                (true, _) => theme.chosen(),
                (false, true) => theme.good(),
                (false, false) => theme.text(),
            };
            let text = row(cells, usize::from(screen.width));
            draw::put_line(buffer, screen, FIRST_ROW + (line - first) as u16, &Line::styled(text, style));
        }
    }

    fn foot(&self, theme: &Theme) -> Line<'static> {
        if self.typing {
            return Line::from(vec![
                Span::styled(format!(" {}", theme.keys.name(Action::Search)), theme.cursor()),
                Span::styled(escape(&self.words).to_string(), theme.text()),
                Span::styled("▏", theme.cursor()),
                Span::styled("  words to look for, or a path; tab completes it", theme.faint()),
            ]);
        }
        let key = |action| theme.keys.name(action);
        let keys = [
            (format!("{} {}", key(Action::Down), key(Action::Up)), "choose"),
            (key(Action::Inspect), "open"),
            (key(Action::Search), "find, or open a file"),
            (key(Action::Quit), "quit"),
        ];
        let spans = keys.into_iter().flat_map(|(key, word)| {
            [
                Span::styled(format!(" {key}"), theme.accent()),
                Span::styled(format!(" {word} "), theme.faint()),
            ]
        });
        Line::from(spans.collect::<Vec<_>>())
    }

    fn draw_empty(&self, buffer: &mut Buffer, screen: Rect, theme: &Theme) {
        let end = theme.keys.name(Action::Back);
        let (first, last) = match (self.entries.is_empty(), self.path()) {
            (true, _) => ("no run found".to_owned(), "it will be listed here within a second".to_owned()),
            (false, _) => (
                format!("no run has {}", ellipsis(&self.words, 40)),
                format!("{end} shows all {} of them", self.entries.len()),
            ),
        };
        let lines = [
            (first, theme.strong()),
            (String::new(), theme.text()),
            ("start one in another terminal:".to_owned(), theme.text()),
            ("bayplan run model.onnx --runs 1000000".to_owned(), theme.accent()),
            ("or watch one from its beginning:".to_owned(), theme.text()),
            ("bayplan run model.onnx --watch".to_owned(), theme.accent()),
            (String::new(), theme.text()),
            (last, theme.faint()),
        ];
        let top = screen.height.saturating_sub(lines.len() as u16) / 2;
        for (at, (text, style)) in lines.into_iter().enumerate() {
            draw::put_line(buffer, screen, top + at as u16, &Line::styled(text, style).centered());
        }
    }
}

/// Whether each of the words is found in a text, in whatever case.
pub(crate) fn has_words(text: &str, words: &str) -> bool {
    let text = text.to_lowercase();
    words.to_lowercase().split_whitespace().all(|word| text.contains(word))
}

/// A key as words name it.
fn shown(code: KeyCode) -> String {
    match code {
        KeyCode::Char(c) => escape(&c.to_string()).to_string(),
        _ => "that".to_owned(),
    }
}

/// How long ago something was, in whole minutes: the list need not be drawn anew every second.
pub(crate) fn ago(nanos: u64) -> String {
    match nanos / MINUTE {
        0 => "just now".to_owned(),
        minutes @ 1..60 => format!("{minutes} min ago"),
        minutes @ 60..1440 => format!("{} h {:02} min ago", minutes / 60, minutes % 60),
        minutes => format!("{} days ago", minutes / 1440),
    }
}

/// A minute in nanoseconds.
const MINUTE: u64 = 60_000_000_000;

/// Row of the first entry.
const FIRST_ROW: u16 = 2;

/// Texts side by side in columns that share the width; what a column cannot hold is cut. Where there is too little room,
/// the run's name goes first, then the device, then the memory.
fn row(texts: [&str; 6], width: usize) -> String {
    // State, model, device, memory, begun, run; model and device share what is left.
    const FIXED: [usize; 6] = [9, 0, 0, 10, 16, 22];
    let shown: &[usize] = match width {
        0..50 => &[0, 1, 4],
        50..70 => &[0, 1, 3, 4],
        70..96 => &[0, 1, 2, 3, 4],
        _ => &[0, 1, 2, 3, 4, 5],
    };
    let fixed: usize = shown.iter().map(|at| FIXED[*at]).sum();
    let rest = width.saturating_sub(fixed + 1);
    let device = if shown.contains(&2) { rest * 2 / 5 } else { 0 };
    let wide = |at: usize| match at {
        1 => rest - device,
        2 => device,
        at => FIXED[at],
    };
    let cells = shown.iter().filter(|at| wide(**at) > 1).map(|at| {
        let room = wide(*at) - 1;
        let text = ellipsis(texts[*at], room).to_string();
        // Numbers stand at the right end.
        let blanks = " ".repeat(room.saturating_sub(bayplan_text::columns(&text)));
        if *at == 3 { format!("{blanks}{text}") } else { format!("{text}{blanks}") }
    });
    format!(" {}", cells.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bayplan_record::{Recorder, RecordingOptions};

    fn picture(picker: &Picker, size: (u16, u16)) -> String {
        let screen = Rect { x: 0, y: 0, width: size.0, height: size.1 };
        let mut buffer = Buffer::empty(screen);
        let theme = Theme::new(crate::theme::Colours::None, false);
        picker.draw(&mut buffer, screen, u64::MAX, &theme);
        let rows = buffer.content.chunks(usize::from(size.0));
        rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>() + "\n").collect()
    }

    #[test]
    fn runs_are_listed_as_they_come_and_go() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::under(home.path());
        let mut picker = Picker::default();
        picker.look(&places, 0);
        assert!(picture(&picker, (100, 20)).contains("no run found"));
        assert!(picker.chosen().is_none());
        let begin = |model: &str| {
            let options =
                RecordingOptions { model: model.to_owned(), ..RecordingOptions::new(places.clone()) };
            Recorder::create(options, &bayplan_trace::PlanRecord::default()).unwrap()
        };
        let first = begin("first\u{1b}[2J");
        assert!(picker.look(&places, 0));
        assert!(!picker.look(&places, 0), "nothing has changed");
        assert!(picker.look(&places, MINUTE), "the time that is shown has");
        let shown = picture(&picker, (100, 20));
        assert!(shown.contains("● live") && shown.contains(r"first\x1b[2J"), "{shown}");
        let _second = begin("second");
        first.finish();
        assert!(picker.look(&places, MINUTE));
        let shown = picture(&picker, (100, 20));
        assert!(shown.contains("1 live, 1 recorded"), "{shown}");
        assert!(shown.find("second") < shown.find("first"), "{shown}");
        picker.step(1);
        assert!(picker.chosen().unwrap().live.is_none());
        let third = begin("third");
        picker.look(&places, MINUTE);
        assert!(picker.chosen().unwrap().live.is_none(), "what was chosen stays chosen");
        third.finish();
        for cols in 1..120 {
            for rows in [1, 2, 3, 4, 5, 20] {
                picture(&picker, (cols, rows));
                picker.choose_at(Rect { x: 0, y: 0, width: cols, height: rows }, rows / 2);
            }
        }
    }

    #[test]
    fn recordings_say_how_they_ended_and_words_filter_them() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::under(home.path());
        let plan = crate::support::encoder(2);
        for model in ["resnet", "minilm"] {
            let options =
                RecordingOptions { model: model.to_owned(), ..RecordingOptions::new(places.clone()) };
            let recorder = Recorder::create(options, &plan).unwrap();
            recorder.finish();
        }
        let mut picker = Picker::default();
        picker.look(&places, 0);
        let shown = picture(&picker, (120, 20));
        let memory = plan.arenas.iter().map(|arena| arena.size).sum();
        assert!(shown.contains("○ ended") && shown.contains(&Bytes(memory).to_string()), "{shown}");
        // A file that was cut is that of a run that was killed.
        let path = picker.entries[0].source.path.clone();
        let segment = crate::about::files(&path).pop().unwrap();
        let bytes = std::fs::read(&segment).unwrap();
        std::fs::write(&segment, &bytes[..bytes.len() / 2]).unwrap();
        let mut fresh = Picker::default();
        fresh.look(&places, 0);
        assert!(picture(&fresh, (120, 20)).contains("✝ killed"));
        let press = |picker: &mut Picker, text: &str| {
            for c in text.chars() {
                let code = match c {
                    '\n' => KeyCode::Enter,
                    '\u{1b}' => KeyCode::Esc,
                    '\t' => KeyCode::Tab,
                    c => KeyCode::Char(c),
                };
                if let Choice::Open(source) = picker.key(KeyEvent::from(code), Keymap::standard(), &places) {
                    return Some(source.path);
                }
            }
            None
        };
        press(&mut picker, "/RESN");
        let shown = picture(&picker, (120, 20));
        assert!(
            shown.contains("resnet") && !shown.contains("minilm") && shown.contains("1 shown"),
            "{shown}"
        );
        assert!(press(&mut picker, "\n").is_some());
        press(&mut picker, "/xyz");
        let shown = picture(&picker, (120, 20));
        assert!(shown.contains("no run has RESNxyz") && shown.contains("esc shows all 2"), "{shown}");
        press(&mut picker, "\u{1b}");
        let file = segment.to_str().unwrap().to_owned();
        assert_eq!(press(&mut picker, &format!("/{file}\n")), Some(segment.clone()));
        // A path that is begun goes on with the only recording there.
        let folder = segment.parent().unwrap().to_str().unwrap();
        assert_eq!(press(&mut picker, &format!("\u{1b}/{folder}/0\t\n")), Some(segment.clone()));
        press(&mut picker, "\u{1b}//none/such\n");
        assert!(picture(&picker, (120, 20)).contains("/none/such"));
        // What is no path may be any other name; where it is none, all of the answer is shown.
        press(&mut picker, "\u{1b}/nobody\n");
        let shown = picture(&picker, (60, 20));
        assert!(
            shown.contains("process called nobody") && shown.contains("the start of a run's name"),
            "{shown}"
        );
    }

    #[test]
    fn times_are_told_in_whole_minutes() {
        for (minutes, expect) in
            [(0, "just now"), (1, "1 min ago"), (61, "1 h 01 min ago"), (3000, "2 days ago")]
        {
            assert_eq!(ago(minutes * MINUTE), expect);
        }
    }
}
