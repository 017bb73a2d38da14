//! The line at the foot: what was just said, else the keys that matter most where the viewer stands.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::draw;
use crate::keys::{Action, BINDINGS, Binding, Keymap, Section};
use crate::model::{Life, Model};
use crate::theme::Theme;
use crate::view::View;
use crate::views;

/// What is in front, as far as keys go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Front {
    pub(crate) has_map: bool,
    /// Ops run from left to right in it, and can be zoomed.
    pub(crate) has_axis: bool,
    pub(crate) has_list: bool,
    /// It is a window: what it lies over waits.
    pub(crate) is_window: bool,
}

impl Front {
    pub(crate) fn of(view: &dyn View, model: &Model) -> Self {
        // Whether there is one does not depend on how much room it has.
        let area = Rect { x: 0, y: 0, width: 80, height: 20 };
        Self {
            has_map: view.map(area, model).is_some(),
            has_axis: view.axis(area, model).is_some(),
            has_list: view.list(area, model).is_some(),
            is_window: false,
        }
    }

    /// Where keys stand in the line, those that matter most first; nowhere if they do nothing here.
    fn place(self, binding: &Binding, model: &Model) -> Option<u8> {
        let ends_window = matches!(binding.acts[0].action, Action::Back);
        match (binding.acts[0].action, binding.section) {
            // A window is closed first; the viewer is left from a view.
            (Action::Quit | Action::Back, _) => (ends_window == self.is_window).then_some(0),
            (Action::Help | Action::View(_), _) => Some(1),
            (_, Section::Move) => Some(2),
            (_, Section::List) => self.has_list.then_some(4),
            _ if self.is_window => None,
            (Action::Pause, _) => (model.life == Life::Live).then_some(3),
            (_, Section::Time) => Some(3),
            (_, Section::Map) if self.has_map => Some(4),
            (_, Section::Map) => self.has_axis.then_some(7),
            (_, Section::Find) => Some(5),
            (_, Section::General) => Some(6),
        }
    }
}

/// Draws what was just said, else the keys.
pub(crate) fn draw(
    buffer: &mut Buffer,
    screen: Rect,
    status: Option<&str>,
    (front, model): (Front, &Model),
    theme: &Theme,
) {
    if let Some(status) = status {
        draw::notice(buffer, screen, status, theme.warning());
        return;
    }
    let area = Rect { y: screen.bottom().saturating_sub(1), height: screen.height.min(1), ..screen };
    let spans = keys(front, model, theme.keys, area.width).into_iter().flat_map(|(label, word, _)| {
        [Span::styled(label, theme.accent()), Span::styled(word, theme.faint())]
    });
    draw::put_line(buffer, area, 0, &Line::from(spans.collect::<Vec<_>>()));
}

/// What a click on the line does.
pub(crate) fn at(
    column: u16,
    area: Rect,
    (front, model): (Front, &Model),
    keymap: &Keymap,
) -> Option<Action> {
    let mut start = usize::from(area.x);
    for (label, word, action) in keys(front, model, keymap, area.width) {
        let end = start + bayplan_text::columns(&label) + bayplan_text::columns(&word);
        if (start..end).contains(&usize::from(column)) {
            return Some(action);
        }
        start = end;
    }
    None
}

/// The keys that there is room for: their label, the word, and what the first of them does.
fn keys(front: Front, model: &Model, keymap: &Keymap, width: u16) -> Vec<(String, String, Action)> {
    let listed = views::listed(model).count();
    let mut rows: Vec<(u8, &Binding)> = BINDINGS
        .iter()
        .filter(|binding| !binding.short.is_empty())
        .filter_map(|binding| Some((front.place(binding, model)?, binding)))
        .collect();
    rows.sort_by_key(|(place, _)| *place);
    let mut room = usize::from(width);
    rows.into_iter()
        .map(|(_, row)| (keymap.label(row, listed), row))
        .filter(|(label, _)| !label.is_empty())
        .map(|(label, row)| (format!(" {label}"), format!(" {} ", row.short), row.acts[0].action))
        .take_while(|(label, word, _)| {
            let wanted = bayplan_text::columns(label) + bayplan_text::columns(word);
            let fits = wanted <= room;
            room = room.saturating_sub(wanted);
            fits
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture_tests::small;

    fn words(title: &str, width: u16, life: Life) -> Vec<String> {
        let mut model = small(false);
        model.life = life;
        let view = views::VIEWS.iter().find(|view| view.title() == title).unwrap();
        let shown = keys(Front::of(*view, &model), &model, Keymap::standard(), width);
        shown.into_iter().map(|(_, word, _)| word.trim().to_owned()).collect()
    }

    /// The keys of the view in front and those of time are there on a terminal of 80 columns, and none that do nothing.
    #[test]
    fn every_view_tells_its_own_keys() {
        for (title, own, others) in [
            ("Overview", &["search", "why peak"][..], &["zoom", "order"][..]),
            ("Bay plan", &["zoom", "fit", "peak"], &["order"]),
            ("Lifetimes", &["order", "search"], &["fit"]),
            ("Fragmentation", &["search"], &["order"]),
            ("Operators", &["order", "search"], &["fit"]),
            ("Events", &["order", "search"], &["fit"]),
        ] {
            let shown = words(title, 80, Life::Ended);
            for word in ["quit", "help", "views", "move", "run"].iter().chain(own) {
                assert!(shown.iter().any(|shown| shown == word), "{title}: {word} in {shown:?}");
            }
            let wide = words(title, 300, Life::Live);
            assert!(wide.iter().any(|word| word == "pause") && !shown.iter().any(|word| word == "pause"));
            assert!(others.iter().all(|word| !shown.iter().any(|shown| shown == word)), "{title}: {shown:?}");
        }
        let window = Front { is_window: true, ..Front::default() };
        let shown = keys(window, &small(false), Keymap::standard(), 80);
        assert!(shown.iter().any(|(.., action)| *action == Action::Back));
        assert!(shown.iter().all(|(.., action)| *action != Action::Quit));
    }
}
