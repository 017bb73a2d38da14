//! Why this peak: every tensor that lives where most bytes do, and how they make up the arena.

use bayplan_text::{Bytes, Count, Percent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::draw;
use crate::keys::{Action, Keymap};
use crate::list::{self, Column, List};
use crate::model::lists::ListKind;
use crate::model::{ArenaView, Model, explain};
use crate::theme::Theme;
use crate::view::View;

/// The window of the peak.
pub(crate) struct WhyPeak;

const COLUMNS: &[Column] = &[
    Column { title: "tensor", width: 0, right: false, weight: 9, sorts: true },
    Column { title: "size", width: 10, right: true, weight: 8, sorts: true },
    Column { title: "share", width: 7, right: true, weight: 7, sorts: true },
    Column { title: "born", width: 20, right: false, weight: 6, sorts: true },
    Column { title: "dies", width: 20, right: false, weight: 5, sorts: true },
];

/// Lines above the list and below it.
const ABOVE: u16 = 2;
const BELOW: u16 = 6;

impl WhyPeak {
    /// Columns and rows that it wants.
    pub(crate) fn size(model: &Model) -> (u16, u16) {
        let tensors = model.arena().map_or(0, |arena| arena.index.peak.buffers.len());
        (104, u16::try_from(tensors).unwrap_or(u16::MAX).saturating_add(ABOVE + BELOW + 1))
    }

    /// The parts: what is said, the list; the sum, what is known of it, and the chosen tensor.
    fn parts(area: Rect, model: &Model) -> (Rect, Rect, Rect) {
        // The list comes before what is said of one of its rows.
        let tensors = model.arena().map_or(0, |arena| arena.index.peak.buffers.len().min(4) as u16);
        let below = if area.height > ABOVE + BELOW + tensors { BELOW } else { 1 };
        let above = if below == BELOW { ABOVE } else { 1 }.min(area.height.saturating_sub(below));
        let list = Rect { y: area.y + above, height: area.height.saturating_sub(above + below), ..area };
        (
            Rect { height: above, ..area },
            list,
            Rect { y: list.bottom(), height: area.bottom().saturating_sub(list.bottom()), ..area },
        )
    }
}

impl View for WhyPeak {
    fn title(&self) -> &'static str {
        "why this peak?"
    }

    fn about(&self) -> &'static str {
        "what lives where most bytes do"
    }

    fn draw(&self, buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
        let Some(arena) = model.arena() else {
            draw::put_line(buffer, area, 0, &Line::styled("waiting for the plan …", theme.faint()));
            return;
        };
        let (above, list, below) = Self::parts(area, model);
        for (row, line) in (0..above.height).zip(&heading(&arena, theme)) {
            draw::put_line(buffer, above, row, line);
        }
        list::draw(self, buffer, list, model, theme);
        draw::put_line(buffer, below, 0, &sum(&arena, theme, usize::from(below.width)));
        draw::put_line(buffer, below, 1, &bound(&arena, theme, usize::from(below.width)));
        if let Some(number) = model.lists.get(ListKind::Peak).chosen() {
            let lines = chosen(&arena, number, theme, usize::from(below.width));
            for (row, line) in (3..below.height).zip(&lines) {
                draw::put_line(buffer, below, row, line);
            }
        }
    }

    fn list(&self, area: Rect, model: &Model) -> Option<(&'static dyn List, Rect)> {
        Some((&Self, Self::parts(area, model).1))
    }
}

impl List for WhyPeak {
    fn kind(&self) -> ListKind {
        ListKind::Peak
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, model: &Model, thing: u32, theme: &Theme, width: usize) -> Vec<Line<'static>> {
        let Some((arena, index)) = model.arena().zip(model.index()) else { return Vec::new() };
        let record = &arena.plan.record;
        let Some(buffer) = record.buffers.get(thing as usize) else { return Vec::new() };
        let share = Percent(buffer.size as f64 / arena.index.peak.live.max(1) as f64);
        let name = draw::tail(&explain::buffer_name(record, thing), (width / 2).max(24));
        let (born, dies) = explain::born_and_dies(record, buffer);
        let text = |text: String| Line::styled(text, theme.text());
        vec![
            Line::from(vec![
                Span::styled("▣ ", theme.tensor(index.hue(thing))),
                Span::styled(name, theme.text()),
            ]),
            text(Bytes(buffer.size).to_string()),
            text(share.to_string()),
            Line::styled(born, theme.faint()),
            Line::styled(dies, theme.faint()),
        ]
    }

    fn empty(&self, _: &Model, _: &Keymap) -> String {
        "nothing ever lives in this arena".to_owned()
    }
}

/// What lives there, and where as much does.
fn heading(arena: &ArenaView<'_>, theme: &Theme) -> [Line<'static>; 2] {
    let peak = &arena.index.peak;
    let tensors = Count(peak.buffers.len() as u64);
    let words = if peak.buffers.len() == 1 { "tensor lives" } else { "tensors live" };
    let others = explain::as_full(arena).map_or_else(
        || "at no other operator as many bytes live".to_owned(),
        |others| format!("as many bytes live at {others}"),
    );
    [
        Line::styled(
            format!("{tensors} {words} at {}", explain::op_name(&arena.plan.record, peak.op)),
            theme.strong(),
        ),
        Line::styled(others, theme.faint()),
    ]
}

/// Whether that could be less, and where the answers to that are.
fn bound(arena: &ArenaView<'_>, theme: &Theme, width: usize) -> Line<'static> {
    let (verdict, bound) = explain::bound_parts(arena);
    let key = theme.keys.name(Action::WhyNotSmaller);
    let parts = vec![
        (9, vec![Span::styled(verdict, theme.text())]),
        (7, vec![Span::styled(format!(" · {bound}"), theme.faint())]),
        (8, vec![Span::styled(format!(" · {key} asks what would be smaller"), theme.faint())]),
    ];
    draw::fitting(parts, width)
}

/// How the arena is made up at the peak; the parts add up exactly.
fn sum(arena: &ArenaView<'_>, theme: &Theme, width: usize) -> Line<'static> {
    let (loss, size) = (&arena.index.metrics.loss, arena.plan.record.arenas[arena.arena as usize].size);
    let parts = [(loss.padding, "padding"), (loss.holes, "holes"), (loss.tail, "above them")];
    let mut spans = vec![
        (9, vec![Span::styled(format!("{} arena", Bytes(size)), theme.strong())]),
        (8, vec![Span::styled(format!(" = {} live", Bytes(loss.live)), theme.text())]),
    ];
    for (at, (bytes, word)) in (0u8..).zip(parts) {
        let style = if bytes > 0 { theme.warning() } else { theme.faint() };
        spans.push((7 - at, vec![Span::styled(format!(" + {} {word}", Bytes(bytes)), style)]));
    }
    draw::fitting(spans, width)
}

/// What is known of the chosen tensor.
fn chosen(arena: &ArenaView<'_>, number: u32, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let record = &arena.plan.record;
    let Some(buffer) = record.buffers.get(number as usize) else { return Vec::new() };
    let head = format!(
        "{}  {} @ {}  {}",
        explain::buffer_name(record, number),
        explain::type_of(buffer),
        Bytes(buffer.offset),
        explain::life_of(record, buffer)
    );
    let mut lines = vec![Line::styled(bayplan_text::ellipsis(&head, width).to_string(), theme.text())];
    let why = explain::own_bytes(record, number);
    lines.extend(
        bayplan_text::wrap(&why, width.max(8)).into_iter().map(|line| Line::styled(line, theme.faint())),
    );
    lines
}
