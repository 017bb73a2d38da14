//! The line in which a search is typed: its text, the searches before it, and what it could go on with.

use bayplan_text::{Count, columns, escape};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use crate::draw;
use crate::model::filter::{self, Filter};
use crate::theme::Theme;

/// Largest search text, in characters.
const MAX_SEARCH: usize = 200;

/// Searches that are remembered.
const REMEMBERED: usize = 50;

/// A search being typed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prompt {
    /// What stands in the line.
    pub(crate) text: String,
    /// What was typed before one of the former searches was taken.
    own: String,
    /// How many searches back the text is; 0 is what is being typed.
    back: usize,
    /// Whether the last character did not fit any more.
    full: bool,
}

impl Prompt {
    /// Adds a character.
    pub(crate) fn push(&mut self, c: char) {
        self.full = self.text.chars().count() >= MAX_SEARCH;
        if !self.full {
            self.text.push(c);
            self.back = 0;
        }
    }

    /// Takes the last character away.
    pub(crate) fn pop(&mut self) {
        self.text.pop();
        (self.back, self.full) = (0, false);
    }

    /// Completes the word that is being typed, where a term begins so; returns whether one does.
    pub(crate) fn complete(&mut self) -> bool {
        let whole = filter::complete(&self.text);
        self.text = whole.clone().unwrap_or_else(|| std::mem::take(&mut self.text));
        whole.is_some()
    }

    /// Goes to the search before or after the one that stands there.
    pub(crate) fn go(&mut self, searches: &[String], back: bool) {
        if self.back == 0 {
            self.own.clone_from(&self.text);
        }
        self.back = if back { (self.back + 1).min(searches.len()) } else { self.back.saturating_sub(1) };
        let former = searches.len().checked_sub(self.back).and_then(|at| searches.get(at));
        self.text.clone_from(former.unwrap_or(&self.own));
    }
}

/// Remembers a search: the latest comes last, and none stands there twice.
pub(crate) fn remember(searches: &mut Vec<String>, text: &str) {
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    searches.retain(|former| former != text);
    searches.push(text.to_owned());
    searches.drain(..searches.len().saturating_sub(REMEMBERED));
}

/// Draws the search being typed in the line at the foot, and what it could go on with in the line above.
pub(crate) fn draw(
    buffer: &mut Buffer,
    foot: Rect,
    prompt: &Prompt,
    (filter, arena): (&Filter, Option<usize>),
    theme: &Theme,
) {
    let bad = filter.error().map(|error| error.place.clone()).unwrap_or_default();
    let style = |at: usize| if bad.contains(&at) { theme.alarm() } else { theme.text() };
    let mut spans = vec![Span::styled(" /", theme.cursor())];
    let room = usize::from(foot.width).saturating_sub(24);
    let skipped = columns(&prompt.text).saturating_sub(room);
    let mut left = skipped;
    for (at, c) in prompt.text.char_indices() {
        let shown = escape(c.encode_utf8(&mut [0; 4])).to_string();
        let wide = columns(&shown);
        if left > 0 {
            left = left.saturating_sub(wide);
            continue;
        }
        spans.push(Span::styled(shown, style(at)));
    }
    spans.push(Span::styled("▏", theme.cursor()));
    let found = match filter.coming() {
        Some(_) => "  searching …".to_owned(),
        None => {
            let found = Count(filter.count() as u64);
            let place = if filter.keeps_elsewhere(arena) { " in all arenas" } else { "" };
            format!("  {found} found{place}")
        }
    };
    if filter.error().is_none() && filter.is_asked() {
        spans.push(Span::styled(found, theme.faint()));
    }
    draw::put_line(buffer, foot, 0, &Line::from(spans));
    put_above(buffer, foot, &above_line(prompt, filter, usize::from(foot.width), theme));
}

/// Draws a line at the foot in which something is typed: a label, the text (its end where all of it does not fit), and a hint
/// where there is room.
pub(crate) fn put_typed(
    buffer: &mut Buffer,
    foot: Rect,
    label: &str,
    (text, hint): (&str, &str),
    theme: &Theme,
) {
    Clear.render(foot, buffer);
    let room = usize::from(foot.width).saturating_sub(columns(label) + 1);
    let text = draw::tail(&escape(text).to_string(), room);
    let left = room.saturating_sub(columns(&text));
    let hint = if columns(hint) + 2 <= left { format!("  {hint}") } else { String::new() };
    let spans = vec![
        Span::styled(label.to_owned(), theme.cursor()),
        Span::styled(text, theme.text()),
        Span::styled("▏", theme.cursor()),
        Span::styled(hint, theme.faint()),
    ];
    draw::put_line(buffer, foot, 0, &Line::from(spans));
}

/// Writes what is said of the line at the foot above it: in as many lines as it takes, up to a few.
pub(crate) fn put_above(buffer: &mut Buffer, foot: Rect, line: &Line<'_>) {
    const MOST: usize = 4;
    let room = usize::from(foot.width).saturating_sub(1).max(8);
    let one = [line.clone()];
    let wrapped: Vec<Line<'_>> = match &line.spans[..] {
        // Examples side by side are chosen to fit.
        _ if line.width() <= room || line.spans.len() > 1 => one.to_vec(),
        _ => {
            let lines = bayplan_text::wrap(line.to_string().trim_start(), room);
            lines.into_iter().take(MOST).map(|text| Line::styled(format!(" {text}"), line.style)).collect()
        }
    };
    let rows = (wrapped.len() as u16).min(foot.y);
    let above = Rect { y: foot.y - rows, height: rows, ..foot };
    Clear.render(above, buffer);
    for (row, line) in (0..rows).zip(&wrapped) {
        draw::put_line(buffer, above, row, line);
    }
}

/// What is wrong with the text, else the terms that it could go on with.
fn above_line(prompt: &Prompt, filter: &Filter, width: usize, theme: &Theme) -> Line<'static> {
    if prompt.full {
        return Line::styled(format!(" a search has {MAX_SEARCH} characters at most"), theme.alarm_text());
    }
    if let Some(error) = filter.error() {
        return Line::styled(format!(" {}", error.words), theme.alarm_text());
    }
    let hints = filter::hints(&prompt.text);
    if let [one] = hints[..] {
        let example = Span::styled(format!(" {}", one.example), theme.accent());
        return Line::from(vec![example, Span::styled(format!("  {}", one.about), theme.faint())]);
    }
    let mut spans = vec![Span::styled(" ", theme.faint())];
    let mut used = 1;
    for hint in hints {
        used += hint.example.len() + 2;
        if used > width {
            break;
        }
        spans.push(Span::styled(format!("{}  ", hint.example), theme.faint()));
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_in_full() {
        let foot = Rect { x: 0, y: 11, width: 40, height: 1 };
        let mut filter = Filter::default();
        filter.set("foo:x", None);
        let theme = Theme::new(crate::theme::Colours::None, false);
        let prompt = Prompt { text: "foo:x".to_owned(), ..Prompt::default() };
        let mut buffer = Buffer::empty(Rect { x: 0, y: 0, width: 40, height: 12 });
        draw(&mut buffer, foot, &prompt, (&filter, None), &theme);
        let row = |y: u16| (0..40).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        let told = (0..11).map(row).collect::<String>();
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(told, filter.error().unwrap().words);
        assert!(row(11).starts_with(" /foo:x"));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let mut prompt = Prompt::default();
        let told = |prompt: &Prompt| {
            let theme = Theme::new(crate::theme::Colours::None, false);
            above_line(prompt, &Filter::default(), 80, &theme).to_string()
        };
        (0..MAX_SEARCH).for_each(|_| prompt.push('中'));
        assert!(!told(&prompt).contains("at most"));
        prompt.push('x');
        assert_eq!(prompt.text.chars().count(), MAX_SEARCH);
        assert_eq!(told(&prompt), " a search has 200 characters at most");
        prompt.pop();
        assert!(!told(&prompt).contains("at most"));
    }

    #[test]
    fn former_searches_come_back_and_the_own_text_too() {
        let mut searches = Vec::new();
        for text in ["peak", " size>1 ", "peak", "", "  "] {
            remember(&mut searches, text);
        }
        assert_eq!(searches, ["size>1", "peak"]);
        let mut prompt = Prompt::default();
        prompt.push('q');
        let mut go = |back: bool| {
            prompt.go(&searches, back);
            prompt.text.clone()
        };
        assert_eq!([go(true), go(true), go(true)], ["peak", "size>1", "size>1"]);
        assert_eq!([go(false), go(false), go(false)], ["peak", "q", "q"]);
        for number in 0..200 {
            remember(&mut searches, &number.to_string());
        }
        assert_eq!((searches.len(), searches.last().map(String::as_str)), (REMEMBERED, Some("199")));
    }
}
