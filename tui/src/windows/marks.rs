//! The list of marks.

use bayplan_text::{Bytes, Count, Nanos, Signed};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::draw;
use crate::keys::{Action, Keymap};
use crate::list::{self, Column, List};
use crate::model::events::clock;
use crate::model::lists::ListKind;
use crate::model::{Model, Playhead};
use crate::theme::Theme;
use crate::view::View;

/// The marks of this session.
pub(crate) struct MarkList;

const COLUMNS: &[Column] = &[
    Column { title: "mark", width: 4, right: false, weight: 9, sorts: false },
    Column { title: "at", width: 10, right: true, weight: 7, sorts: false },
    Column { title: "run", width: 9, right: true, weight: 6, sorts: false },
    Column { title: "run at", width: 9, right: true, weight: 5, sorts: false },
    Column { title: "live then", width: 10, right: true, weight: 4, sorts: false },
    Column { title: "since the one above", width: 24, right: true, weight: 3, sorts: false },
    Column { title: "cursor on", width: 0, right: false, weight: 8, sorts: false },
];

impl List for MarkList {
    fn kind(&self) -> ListKind {
        ListKind::Marks
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, model: &Model, thing: u32, theme: &Theme, width: usize) -> Vec<Line<'static>> {
        let Some(mark) = model.marks.get(thing) else { return Vec::new() };
        let before = thing.checked_sub(1).and_then(|before| model.marks.get(before));
        let since = before.map_or_else(String::new, |before| {
            let between = mark.since(before);
            let live = between.live.map_or_else(String::new, |live| Signed(live, Bytes).to_string());
            format!("{} {live}", Signed(between.time, Nanos))
        });
        let tensor = if mark.tensor.is_empty() { "free" } else { &mark.tensor };
        let reached = match mark.reached {
            Some(Playhead::At(op)) => format!("op {}", Count(op.into())),
            Some(Playhead::Done) => "its end".to_owned(),
            Some(Playhead::Before) => "–".to_owned(),
            None => "start".to_owned(),
        };
        let live = mark.live.map_or_else(|| "–".to_owned(), |live| Bytes(live).to_string());
        let cursor = format!("op {}, {tensor} in {}", Count(mark.op), mark.arena_name);
        let text = |text: String| Line::styled(text, theme.text());
        vec![
            Line::styled(mark.name.clone(), theme.warning()),
            text(clock(mark.t)),
            text(Count(mark.run).to_string()),
            text(reached),
            text(live),
            Line::styled(since, theme.faint()),
            text(draw::tail(&cursor, width / 2)),
        ]
    }

    fn empty(&self, _: &Model, keys: &Keymap) -> String {
        format!("no marks yet; {} marks where you stand", keys.name(Action::Mark))
    }
}

impl View for MarkList {
    fn title(&self) -> &'static str {
        "marks"
    }

    fn heading(&self, keys: &Keymap) -> String {
        let [enter, remove] = [Action::Inspect, Action::Remove].map(|action| keys.name(action));
        format!("{} · {enter} goes there · {remove} takes it away", self.title())
    }

    fn about(&self) -> &'static str {
        "places to come back to"
    }

    fn draw(&self, buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
        list::draw(self, buffer, area, model, theme);
    }

    fn list(&self, area: Rect, _: &Model) -> Option<(&'static dyn List, Rect)> {
        Some((&MarkList, area))
    }
}

/// Columns and rows that it wants.
pub(crate) fn size(model: &Model) -> (u16, u16) {
    (110, (model.marks.all().len() as u16 + 1).max(4))
}
