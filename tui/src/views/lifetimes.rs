//! Lifetimes: one row per tensor of the arena.

use bayplan_text::{Bytes, Count};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::draw;
use crate::list::{self, Column, List};
use crate::model::lists::ListKind;
use crate::model::{Model, explain};
use crate::theme::Theme;
use crate::view::View;

/// One row per tensor.
pub(crate) struct Lifetimes;

const COLUMNS: &[Column] = &[
    Column { title: "tensor", width: 0, right: false, weight: 9, sorts: true },
    Column { title: "size", width: 10, right: true, weight: 8, sorts: true },
    Column { title: "offset", width: 10, right: true, weight: 3, sorts: true },
    Column { title: "born", width: 8, right: true, weight: 7, sorts: true },
    Column { title: "dies", width: 8, right: true, weight: 6, sorts: true },
    Column { title: "ops", width: 8, right: true, weight: 5, sorts: true },
];

impl List for Lifetimes {
    fn kind(&self) -> ListKind {
        ListKind::Tensors
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, model: &Model, thing: u32, theme: &Theme, width: usize) -> Vec<Line<'static>> {
        let Some((plan, index)) = model.plan().zip(model.index()) else { return Vec::new() };
        let Some(buffer) = plan.record.buffers.get(thing as usize) else { return Vec::new() };
        let name = draw::tail(&explain::buffer_name(&plan.record, thing), width / 2);
        let number = |text: String| Line::styled(text, theme.text());
        vec![
            Line::from(vec![
                Span::styled("▣ ", theme.tensor(index.hue(thing))),
                Span::styled(name, theme.text()),
            ]),
            number(Bytes(buffer.size).to_string()),
            number(Bytes(buffer.offset).to_string()),
            number(Count(buffer.first.into()).to_string()),
            number(Count(buffer.last.into()).to_string()),
            number(Count(u64::from(buffer.last - buffer.first)).to_string()),
        ]
    }

    fn empty(&self, model: &Model) -> String {
        if model.filter.is_on() {
            "no tensor is found by this search; esc ends it".to_owned()
        } else {
            "the recording has told no tensor of this arena yet".to_owned()
        }
    }
}

impl View for Lifetimes {
    fn title(&self) -> &'static str {
        "Lifetimes"
    }

    fn about(&self) -> &'static str {
        "when each tensor is born and dies"
    }

    fn draw(&self, buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
        let rows = model.lists.get(ListKind::Tensors).rows.len();
        let title = format!("{} tensor{}", Count(rows as u64), if rows == 1 { "" } else { "s" });
        let inner = draw::frame(buffer, area, &Line::styled(title, theme.accent()), theme);
        list::draw(self, buffer, inner, model, theme);
    }

    fn list(&self, area: Rect, _: &Model) -> Option<(&'static dyn List, Rect)> {
        Some((&Lifetimes, draw::inside(area)))
    }
}
