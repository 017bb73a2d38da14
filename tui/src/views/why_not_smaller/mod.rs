//! Why not smaller: what no plan can go below, what that rests on, and what could be changed.

mod figures;
mod said;

use bayplan_text::{Count, ellipsis};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::draw;
use crate::keys::Keymap;
use crate::list::{self, List};
use crate::model::lists::ListKind;
use crate::model::whatif::Row;
use crate::model::{Model, explain};
use crate::theme::Theme;
use crate::view::View;

pub(crate) use said::example;

/// The window of questions.
pub(crate) struct WhyNotSmaller;

/// Columns that it wants, and lines of what is said above the list and below it.
const WIDTH: u16 = 108;
const ABOVE: u16 = 5;
const BELOW: u16 = 4;

impl WhyNotSmaller {
    /// Columns and rows that it wants.
    pub(crate) fn size(model: &Model) -> (u16, u16) {
        let rows = u16::try_from(model.asked_rows_at_most()).unwrap_or(u16::MAX);
        let said = said::above(model, (WIDTH.into(), ABOVE.into())).len() as u16;
        (WIDTH, rows.saturating_add(said + BELOW))
    }

    /// What is said of the plan, the list, and what is said of the chosen row: the lines above take what they need of a
    /// quarter, those below do not depend on what is chosen.
    fn parts(area: Rect, model: &Model) -> (Rect, Rect, Rect) {
        let most = (area.height / 4).clamp(1, ABOVE);
        let room = (usize::from(area.width), usize::from(most));
        let above = (said::above(model, room).len() as u16).min(area.height);
        let below = match area.height {
            0..=9 => 1,
            10..=15 => 3,
            _ => BELOW,
        };
        let height = area.height.saturating_sub(above + below);
        let list = Rect { y: area.y + above, height, ..area };
        let below = Rect { y: list.bottom(), height: area.bottom().saturating_sub(list.bottom()), ..area };
        (Rect { height: above, ..area }, list, below)
    }
}

impl View for WhyNotSmaller {
    fn title(&self) -> &'static str {
        "why not smaller?"
    }

    fn about(&self) -> &'static str {
        "what no plan can go below, and what if"
    }

    fn draw(&self, buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
        let Some(arena) = model.arena() else {
            draw::put_line(buffer, area, 0, &Line::styled("waiting for the plan …", theme.faint()));
            return;
        };
        let (above, list, below) = Self::parts(area, model);
        let room = |area: Rect| (usize::from(area.width), usize::from(area.height));
        for (row, line) in (0..above.height).zip(said::above(model, room(above))) {
            draw::put_line(buffer, above, row, &line.line(theme));
        }
        list::draw(self, buffer, list, model, theme);
        let at = model.lists.get(ListKind::Questions).at;
        if let Some(row) = model.asked_rows().get(at) {
            let lines = said::of_row(model, &arena.plan.record, row, theme, room(below));
            for (row, line) in (0..below.height).zip(&lines) {
                draw::put_line(buffer, below, row, line);
            }
        }
    }

    fn list(&self, area: Rect, model: &Model) -> Option<(&'static dyn List, Rect)> {
        Some((&Self, Self::parts(area, model).1))
    }
}

impl List for WhyNotSmaller {
    fn kind(&self) -> ListKind {
        ListKind::Questions
    }

    fn row(&self, model: &Model, thing: u32, theme: &Theme, width: usize) -> Vec<Line<'static>> {
        let Some(arena) = model.arena() else { return Vec::new() };
        let record = &arena.plan.record;
        let row = model.asked_rows().into_iter().nth(thing as usize);
        let line = match row {
            Some(Row::Head(part)) => figures::head(part, theme, width),
            // Where none is listed, the row is the heading.
            Some(Row::More(_)) if thing == 0 => Line::styled("what makes it so large …", theme.accent()),
            Some(Row::More(count)) => {
                Line::styled(format!("  … and {} more", Count(count as u64)), theme.faint())
            }
            Some(Row::Reason(at)) => match model.asked.because() {
                Some(Ok(because)) if at < because.reasons.len() => {
                    figures::reason(model, record, (because, &because.reasons[at]), theme, width)
                }
                _ => Line::default(),
            },
            Some(row @ (Row::Question(_) | Row::Back(_))) => {
                figures::question(model, record, &row, theme, width)
            }
            Some(Row::Offset(tensor)) => {
                let words = format!("  {} moved elsewhere …", explain::short_name(record, tensor));
                Line::styled(ellipsis(&words, width).to_string(), theme.text())
            }
            Some(Row::Dims) => {
                let names: Vec<String> =
                    record.dims.iter().map(|dim| bayplan_text::escape(&dim.name).to_string()).collect();
                let words = format!("  other values of {} …", names.join(", "));
                Line::styled(ellipsis(&words, width).to_string(), theme.text())
            }
            None => Line::default(),
        };
        vec![line]
    }

    fn empty(&self, _: &Model, _: &Keymap) -> String {
        "waiting for the plan".to_owned()
    }
}
