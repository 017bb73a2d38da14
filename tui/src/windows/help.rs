//! The help, made of the tables of keys, of terms of a search, of the mouse and of the views.

use ratatui::text::{Line, Span};

use crate::foot::Front;
use crate::keys::{BINDINGS, MOUSE, Section};
use crate::model::Model;
use crate::model::filter::HINTS;
use crate::theme::Theme;
use crate::view::View;
use crate::views;

/// Columns of the key, and of what it does.
const KEY: usize = 14;
const HELP: usize = 48;
/// Columns of what a key does where the help stands in two columns, at least.
const NARROW: usize = 32;

/// An entry: a heading alone, or a key with what it does.
enum Entry {
    Heading(String),
    Key(String, String),
}

/// The lines of the help, the views first, then the keys of the one in front; in two columns where they fit.
pub(crate) fn lines(view: &dyn View, model: &Model, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let all = entries(view, model, theme);
    let beside = width >= 2 * (KEY + NARROW);
    let column = (KEY + HELP).min(if beside { width / 2 } else { width });
    let lines: Vec<Line<'static>> = all.iter().flat_map(|entry| shown(entry, theme, column)).collect();
    if !beside {
        return lines;
    }
    let (left, right) = lines.split_at(lines.len().div_ceil(2));
    let right = right.iter().map(Some).chain(std::iter::repeat(None));
    let side_by_side = |(left, right): (&Line<'static>, Option<&Line<'static>>)| {
        let gap = Span::raw(" ".repeat(column.saturating_sub(left.width())));
        let right = right.into_iter().flat_map(|line| line.spans.clone());
        Line::from(left.spans.iter().cloned().chain([gap]).chain(right).collect::<Vec<_>>())
    };
    left.iter().zip(right).map(side_by_side).collect()
}

fn entries(view: &dyn View, model: &Model, theme: &Theme) -> Vec<Entry> {
    let Front { has_map, has_list, .. } = Front::of(view, model);
    let matters = |section: Section| match section {
        Section::Move => 0,
        Section::Map if has_map => 1,
        Section::List if has_list => 1,
        Section::Find => 2,
        Section::Time => 3,
        Section::General => 4,
        Section::Map | Section::List => 5,
    };
    let mut sections = Section::ALL;
    sections.sort_by_key(|section| matters(*section));
    let listed = views::listed(model).count();
    // What there is to see comes before how to get about in it.
    let mut all = vec![Entry::Heading("views".to_owned())];
    let views = views::listed(model).enumerate();
    all.extend(
        views.map(|(at, (_, view))| {
            Entry::Key(format!("{} {}", at + 1, view.title()), view.about().to_owned())
        }),
    );
    for section in sections {
        all.push(Entry::Heading(section.title().to_owned()));
        let rows = BINDINGS.iter().filter(|binding| binding.section == section);
        all.extend(
            rows.map(|binding| Entry::Key(theme.keys.label(binding, listed), binding.help.to_owned())),
        );
    }
    // Keys come first: the terms are shown as well where a search is typed.
    all.push(Entry::Heading("what can be searched for".to_owned()));
    all.extend(HINTS.iter().map(|term| Entry::Key(term.example.to_owned(), term.about.to_owned())));
    all.push(Entry::Heading("mouse".to_owned()));
    all.extend(MOUSE.iter().map(|(what, help)| Entry::Key((*what).to_owned(), (*help).to_owned())));
    all
}

/// An entry as lines: what does not fit beside the key goes on below.
fn shown(entry: &Entry, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    match entry {
        Entry::Heading(words) => vec![Line::styled(words.clone(), theme.strong())],
        Entry::Key(key, help) => {
            let room = width.saturating_sub(KEY + 1).max(16);
            // A key that needs more room than there is has a line of its own.
            let wide = bayplan_text::columns(key) >= KEY;
            let mut lines: Vec<Line<'static>> = Vec::new();
            if wide {
                lines.push(Line::styled(key.clone(), theme.accent()));
            }
            let first = if wide { String::new() } else { key.clone() };
            let pad = |text: String| {
                let gap = KEY.saturating_sub(bayplan_text::columns(&text));
                Span::styled(text + &" ".repeat(gap), theme.accent())
            };
            let names = std::iter::once(first).chain(std::iter::repeat(String::new()));
            let words = bayplan_text::wrap(help, room);
            lines.extend(
                words
                    .into_iter()
                    .zip(names)
                    .map(|(words, name)| Line::from(vec![pad(name), Span::styled(words, theme.text())])),
            );
            lines
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture_tests::small;

    /// Every key of the table is in the help at every width, whole, and no line is wider than there is room.
    #[test]
    fn everything_is_said_at_every_width() {
        let (model, theme) = (small(false), Theme::new(crate::theme::Colours::None, false));
        for width in 36..160 {
            for view in views::VIEWS {
                let lines = lines(*view, &model, &theme, width);
                let widest = lines.iter().map(Line::width).max().unwrap();
                assert!(widest <= width.max(KEY + 17), "{width}: {widest}");
                let text: String = lines.iter().map(|line| format!("{line} ")).collect();
                let words: Vec<&str> = text.split_whitespace().collect();
                for binding in BINDINGS {
                    // Side by side the lines of two entries alternate: each word is still there.
                    for word in binding.help.split_whitespace() {
                        assert!(words.contains(&word), "{width}: {word} of {}", binding.help);
                    }
                }
                for term in HINTS {
                    for word in term.example.split_whitespace().chain(term.about.split_whitespace()) {
                        assert!(words.contains(&word), "{width}: {word} of {}", term.example);
                    }
                }
            }
        }
    }

    #[test]
    fn the_keys_of_the_view_in_front_come_first() {
        let (model, theme) = (small(false), Theme::new(crate::theme::Colours::None, false));
        let place = |view: &str, section: Section| {
            let view = views::VIEWS.iter().find(|known| known.title() == view).unwrap();
            let lines = lines(*view, &model, &theme, 60);
            lines.iter().position(|line| line.to_string() == section.title()).unwrap()
        };
        assert!(place("Bay plan", Section::Map) < place("Bay plan", Section::List));
        assert!(place("Lifetimes", Section::List) < place("Lifetimes", Section::Map));
    }
}
