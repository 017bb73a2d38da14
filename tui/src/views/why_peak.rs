//! Why this peak: every tensor that lives where most bytes do, and how they make up the arena.

use bayplan_text::{Bytes, Count, Percent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::draw::{self, Sentence};
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

/// The columns of those that live throughout.
const COLUMNS_OF_RESIDENT: &[Column] = COLUMNS.split_at(3).0;

/// Lines above the list and below it, where there is room; below it at least those of the sum and of what is known of it.
const ABOVE: u16 = 2;
const BELOW: u16 = 6;
const LEAST_BELOW: u16 = 2;
/// In fewer columns a change is told in short.
const NARROW: usize = 60;
/// Tensors that are listed before anything else gets a second line.
const LISTED_FIRST: u16 = 4;

impl WhyPeak {
    /// Columns and rows that it wants.
    pub(crate) fn size(model: &Model) -> (u16, u16) {
        let tensors = model.arena().map_or(0, |arena| arena.index.peak.buffers.len());
        let around = ABOVE + u16::from(model.is_plan_changed()) + BELOW;
        (104, u16::try_from(tensors).unwrap_or(u16::MAX).saturating_add(around + 1))
    }

    /// The parts: what is said, the list; the sum, what is known of it, and the chosen tensor. What one of them does not need is
    /// the others'.
    fn parts(area: Rect, model: &Model) -> (Rect, Rect, Rect) {
        let tensors = model.arena().map_or(0, |arena| arena.index.peak.buffers.len());
        let wanted = u16::try_from(tensors).unwrap_or(u16::MAX).saturating_add(1);
        // What a what-if has changed has a line of its own.
        let changed = u16::from(model.is_plan_changed());
        let least = wanted.min(LISTED_FIRST + 1 - changed);
        let roomy = area.height >= ABOVE + changed + least + BELOW - LEAST_BELOW;
        let above = changed + if roomy { ABOVE } else { 1 };
        let rest = area.height.saturating_sub(above);
        let spare = rest.saturating_sub(least + LEAST_BELOW);
        let below = (LEAST_BELOW + spare).min(BELOW).min(rest);
        let list = Rect { y: area.y + above, height: (rest - below).min(wanted), ..area };
        (
            Rect { height: above.min(area.height), ..area },
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
        let lines = heading(model, &arena, theme, (usize::from(above.width), usize::from(above.height)));
        for (row, line) in (0..above.height).zip(&lines) {
            draw::put_line(buffer, above, row, line);
        }
        list::draw(listed(model), buffer, list, model, theme);
        let lines = told(model, &arena, theme, (usize::from(below.width), usize::from(below.height)));
        for (row, line) in (0..below.height).zip(&lines) {
            draw::put_line(buffer, below, row, line);
        }
    }

    fn list(&self, area: Rect, model: &Model) -> Option<(&'static dyn List, Rect)> {
        Some((listed(model), Self::parts(area, model).1))
    }
}

/// What is resident needs no columns of birth and death: its names get their room.
struct Resident;

fn listed(model: &Model) -> &'static dyn List {
    if model.arena().is_some_and(|arena| explain::is_level(&arena)) { &Resident } else { &WhyPeak }
}

impl List for Resident {
    fn kind(&self) -> ListKind {
        ListKind::Peak
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS_OF_RESIDENT
    }

    fn row(&self, model: &Model, thing: u32, theme: &Theme, width: usize) -> Vec<Line<'static>> {
        row(self, model, thing, theme, width)
    }

    fn empty(&self, model: &Model, keys: &Keymap) -> String {
        WhyPeak.empty(model, keys)
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
        row(self, model, thing, theme, width)
    }

    fn empty(&self, _: &Model, _: &Keymap) -> String {
        "nothing ever lives in this arena".to_owned()
    }
}

/// The cells of a tensor; a list without the last columns leaves them out.
fn row(list: &dyn List, model: &Model, thing: u32, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let Some((arena, index)) = model.arena().zip(model.index()) else { return Vec::new() };
    let record = &arena.plan.record;
    let Some(buffer) = record.buffers.get(thing as usize) else { return Vec::new() };
    let share = Percent(buffer.size as f64 / arena.index.peak.live.max(1) as f64);
    let name = draw::tail(&explain::buffer_name(record, thing), list::wide(list, 0, width).saturating_sub(2));
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

/// What lives there, what is changed of it, and where as much lives.
fn heading(
    model: &Model,
    arena: &ArenaView<'_>,
    theme: &Theme,
    (width, rows): (usize, usize),
) -> Vec<Line<'static>> {
    let peak = &arena.index.peak;
    let tensors = Count(peak.buffers.len() as u64);
    let words = if peak.buffers.len() == 1 { "tensor lives" } else { "tensors live" };
    let own = match explain::is_level(arena) {
        true => format!("{tensors} {words} throughout"),
        false => format!("{tensors} {words} at {}", explain::op_name(&arena.plan.record, peak.op)),
    };
    let others = match (explain::as_full(arena), arena.index.as_full.count) {
        _ if explain::is_level(arena) => Sentence::new(5, "as many bytes live at every operator"),
        (Some(others), 1) => Sentence::new(5, format!("as many bytes live at {others}")),
        (Some(others), count) => Sentence::new(5, format!("as many bytes live at {others}"))
            .or(format!("as many live at {} others", Count(count))),
        (None, _) => Sentence::new(5, "at no other operator as many bytes live").or("nowhere else as many"),
    };
    let mut lines = vec![Line::styled(own, theme.strong())];
    lines.extend(changed(model, arena, theme, width));
    let others = draw::paragraph(vec![others], width, rows.saturating_sub(lines.len()));
    lines.extend(others.into_iter().map(|line| Line::styled(line, theme.faint())));
    lines
}

/// What stands below the list: how the arena is made up, whether it could be less, and the chosen tensor; what there is no
/// room for is left out, whole.
fn told(
    model: &Model,
    arena: &ArenaView<'_>,
    theme: &Theme,
    (width, rows): (usize, usize),
) -> Vec<Line<'static>> {
    let mut lines = draw::flow(sum(arena, theme, true), width);
    if lines.len() > 1 {
        lines = draw::flow(sum(arena, theme, false), width);
    }
    lines.extend(verdict(arena, theme, width));
    let number = model.lists.get(ListKind::Peak).chosen();
    let chosen = number.map_or_else(Vec::new, |number| {
        chosen(arena, number, theme, (width, rows.saturating_sub(lines.len() + 1)))
    });
    if !chosen.is_empty() {
        lines.push(Line::default());
        lines.extend(chosen);
    }
    lines
}

/// Whether that could be less, and where the answers to that are, as far as a line has room.
fn verdict(arena: &ArenaView<'_>, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let (verdict, bound) = explain::bound_parts(arena);
    let key = theme.keys.name(Action::WhyNotSmaller);
    let parts = vec![
        (9, vec![Span::styled(verdict, theme.text())]),
        (7, vec![Span::styled(format!(" · {bound}"), theme.faint())]),
        (8, vec![Span::styled(format!(" · {key} asks what would be smaller"), theme.faint())]),
    ];
    draw::flow(draw::fitting(parts, width).spans, width)
}

/// How the arena is made up at the peak; the parts add up exactly. Those that are 0 may be left out.
fn sum(arena: &ArenaView<'_>, theme: &Theme, zeros: bool) -> Vec<Span<'static>> {
    let (loss, size) = (&arena.index.metrics.loss, arena.plan.record.arenas[arena.arena as usize].size);
    let mut spans = vec![
        Span::styled(format!("{} arena", Bytes(size)), theme.strong()),
        Span::styled(format!(" = {} live", Bytes(loss.live)), theme.text()),
    ];
    let parts = [(loss.padding, "padding"), (loss.holes, "holes"), (loss.tail, "above them")];
    for (bytes, word) in parts.into_iter().filter(|(bytes, _)| zeros || *bytes > 0) {
        let style = if bytes > 0 { theme.warning() } else { theme.faint() };
        spans.push(Span::styled(format!(" + {} {word}", Bytes(bytes)), style));
    }
    spans
}

/// What a what-if has changed: what stands here is as recorded.
fn changed(model: &Model, arena: &ArenaView<'_>, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    if !model.is_plan_changed() {
        return Vec::new();
    }
    let record = &arena.plan.record;
    let before = if width < NARROW { "" } else { "as recorded · " };
    let words = model.asked.changed_words(record, width - bayplan_text::columns(before));
    vec![Line::styled(format!("{before}{words}"), theme.cursor())]
}

/// What is known of the chosen tensor, in so many lines.
fn chosen(
    arena: &ArenaView<'_>,
    number: u32,
    theme: &Theme,
    (width, rows): (usize, usize),
) -> Vec<Line<'static>> {
    let record = &arena.plan.record;
    let Some(buffer) = record.buffers.get(number as usize).filter(|_| rows > 0) else { return Vec::new() };
    let (name, at) = (explain::buffer_name(record, number), Bytes(buffer.offset));
    let head = vec![
        Sentence::new(9, format!("{name}  {} @ {at} ", explain::type_of(buffer)))
            .or(format!("{name} @ {at}")),
        Sentence::new(5, explain::life_of(record, buffer)),
    ];
    let why = bayplan_text::wrap(&explain::own_bytes(record, number), width.max(8));
    let why = if why.len() < rows { why } else { Vec::new() };
    let head = draw::paragraph(head, width, rows - why.len());
    let mut lines: Vec<_> = head.into_iter().map(|head| Line::styled(head, theme.text())).collect();
    lines.extend(why.into_iter().map(|line| Line::styled(line, theme.faint())));
    lines
}
