//! The help, made of the tables of keys, of the mouse and of the views.

use ratatui::text::{Line, Span};

use crate::keys;
use crate::model::Model;
use crate::theme::Theme;
use crate::views;

/// Columns of the key, and of what it does.
const KEY: usize = 14;
const HELP: usize = 46;

/// The lines of the help; in two columns where they fit.
pub(crate) fn lines(model: &Model, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let entry = |key: &str, help: &str| {
        vec![
            Span::styled(format!("{key:<KEY$}"), theme.accent()),
            Span::styled(format!("{help:<HELP$}"), theme.text()),
        ]
    };
    let keys = keys::BINDINGS.iter().map(|binding| entry(binding.label, binding.help));
    let mouse = keys::MOUSE.iter().map(|(what, help)| entry(what, help));
    let views = views::listed(model).enumerate();
    let views = views.map(|(at, (_, view))| entry(&format!("{} {}", at + 1, view.title()), view.about()));
    let all: Vec<Vec<Span<'static>>> = keys.chain(mouse).chain(views).collect();
    if width < 2 * (KEY + HELP) {
        return all.into_iter().map(Line::from).collect();
    }
    let half = all.len().div_ceil(2);
    let (left, right) = all.split_at(half);
    let right = right.iter().map(Some).chain(std::iter::repeat(None));
    left.iter()
        .zip(right)
        .map(|(left, right)| left.iter().chain(right.into_iter().flatten()).cloned().collect::<Line<'_>>())
        .collect()
}
