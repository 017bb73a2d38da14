//! The list of live runs and recordings to choose from.

use bayplan_record::{Places, Source, live_runs, recordings};
use bayplan_text::ellipsis;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::draw;
use crate::theme::Theme;

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    id: String,
    model: String,
    device: String,
    start_unix_ns: u64,
    source: Source,
}

/// The list, and what is chosen in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picker {
    entries: Vec<Entry>,
    chosen: usize,
    /// Why there is no list, if it cannot be had.
    failure: Option<String>,
    /// The minute it was drawn in.
    minute: u64,
    /// Why the entry chosen last could not be opened.
    refused: Option<String>,
}

impl Picker {
    /// Looks again, at `now` in nanoseconds since the Unix epoch; returns whether the list has changed. What is chosen
    /// stays chosen.
    pub(crate) fn look(&mut self, places: &Places, now: u64) -> bool {
        let minute = now / MINUTE;
        let later = std::mem::replace(&mut self.minute, minute) != minute;
        let found = live_runs(places).and_then(|live| Ok((live, recordings(places)?)));
        let (entries, failure) = match found {
            Ok((live, ended)) => {
                let live = live.into_iter().map(|run| Entry {
                    id: run.id.clone(),
                    model: run.model.clone(),
                    device: run.device.clone(),
                    start_unix_ns: run.start_unix_ns,
                    source: Source::of_run(run, places),
                });
                let ended = ended.into_iter().map(|entry| Entry {
                    id: entry.id,
                    model: entry.model,
                    device: entry.device,
                    start_unix_ns: entry.start_unix_ns,
                    source: Source::of_path(entry.path),
                });
                (live.chain(ended).collect(), None)
            }
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        if entries == self.entries && failure == self.failure {
            return later;
        }
        let former = self.entries.get(self.chosen).map(|entry| entry.id.clone());
        // A run that has just begun is what the viewer waits for, until something was chosen by hand.
        let same = former.filter(|_| self.chosen > 0);
        let at = same.and_then(|id| entries.iter().position(|entry: &Entry| entry.id == id));
        (self.entries, self.failure) = (entries, failure);
        self.chosen = at.unwrap_or(self.chosen).min(self.entries.len().saturating_sub(1));
        true
    }

    /// Says why what was chosen could not be opened.
    pub(crate) fn fail(&mut self, why: String) {
        self.refused = Some(why);
    }

    /// Moves the choice.
    pub(crate) fn step(&mut self, by: i64) {
        self.refused = None;
        let last = self.entries.len().saturating_sub(1);
        self.chosen = self.chosen.saturating_add_signed(by as isize).min(last);
    }

    /// The recording that is chosen.
    pub(crate) fn chosen(&self) -> Option<&Source> {
        self.entries.get(self.chosen).map(|entry| &entry.source)
    }

    /// Chooses the entry at a row of the screen, if there is one.
    pub(crate) fn choose_at(&mut self, screen: Rect, row: u16) -> bool {
        let Some(line) = row.checked_sub(screen.y + FIRST_ROW) else { return false };
        let at = usize::from(line) + self.first_shown(screen);
        let hit = at < self.entries.len() && row + 1 < screen.bottom();
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
        let title = format!(" bayplan ▸ runs   {live} live, {} recorded", self.entries.len() - live);
        draw::put_line(buffer, screen, 0, &Line::styled(title, theme.bar().patch(theme.strong())));
        let foot = screen.height.saturating_sub(1);
        let keys = [("↑↓", "choose"), ("enter", "open"), ("q", "quit")];
        let spans = keys.iter().flat_map(|(key, word)| {
            [
                Span::styled(format!(" {key}"), theme.accent()),
                Span::styled(format!(" {word} "), theme.faint()),
            ]
        });
        let line = match &self.refused {
            Some(why) => Line::styled(format!(" {why}"), theme.alarm_text()),
            None => Line::from(spans.collect::<Vec<_>>()),
        };
        draw::put_line(buffer, screen, foot, &line);
        if let Some(failure) = &self.failure {
            draw::put_line(buffer, screen, 2, &Line::styled(format!(" {failure}"), theme.alarm_text()));
            return;
        }
        if self.entries.is_empty() {
            self.draw_empty(buffer, screen, theme);
            return;
        }
        let heading = row(["", "model", "device", "begun", "run"], usize::from(screen.width));
        draw::put_line(buffer, screen, 1, &Line::styled(heading, theme.faint()));
        let rows = usize::from(screen.height.saturating_sub(FIRST_ROW + 1));
        for (line, entry) in self.entries.iter().enumerate().skip(self.first_shown(screen)).take(rows) {
            let y = FIRST_ROW + (line - self.first_shown(screen)) as u16;
            let live = entry.source.live.is_some();
            let ago = ago(now.saturating_sub(entry.start_unix_ns));
            let state = if live { "● live" } else { "○" };
            let text = row([state, &entry.model, &entry.device, &ago, &entry.id], usize::from(screen.width));
            let style = match (line == self.chosen, live) {
                (true, _) => theme.chosen(),
                (false, true) => theme.good(),
                (false, false) => theme.text(),
            };
            draw::put_line(buffer, screen, y, &Line::styled(text, style));
        }
    }

    fn draw_empty(&self, buffer: &mut Buffer, screen: Rect, theme: &Theme) {
        let lines = [
            ("no run is live, and none was recorded", theme.strong()),
            ("", theme.text()),
            ("start one in another terminal:", theme.text()),
            ("bayplan run model.onnx --runs 1000000", theme.accent()),
            ("", theme.text()),
            ("it will be listed here within a second", theme.faint()),
        ];
        let top = screen.height.saturating_sub(lines.len() as u16) / 2;
        for (at, (text, style)) in lines.into_iter().enumerate() {
            draw::put_line(buffer, screen, top + at as u16, &Line::styled(text, style).centered());
        }
    }
}

/// How long ago something was, in whole minutes: the list need not be drawn anew every second.
fn ago(nanos: u64) -> String {
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

/// Texts side by side in columns that share the width; what a column cannot hold is cut.
fn row(texts: [&str; 5], width: usize) -> String {
    let rest = width.saturating_sub(9 + 18 + 22 + 4);
    let widths = [8, rest * 2 / 5, rest - rest * 2 / 5, 18, 22];
    let cells = texts.into_iter().zip(widths).filter(|(_, width)| *width > 1);
    let shown: Vec<String> =
        cells.map(|(text, width)| format!("{:<width$}", ellipsis(text, width - 1))).collect();
    format!(" {}", shown.join(" "))
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
        assert!(picture(&picker, (100, 20)).contains("no run is live, and none was recorded"));
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
    fn times_are_told_in_whole_minutes() {
        for (minutes, expect) in
            [(0, "just now"), (1, "1 min ago"), (61, "1 h 01 min ago"), (3000, "2 days ago")]
        {
            assert_eq!(ago(minutes * MINUTE), expect);
        }
    }
}
