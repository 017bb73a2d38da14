//! Lifetimes: one bar per tensor over the ops, what was seen laid over what was planned.

use bayplan_text::{Bytes, Count};
use bayplan_trace::MapState;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::{bay_plan_map, op_axis};
use crate::draw;
use crate::keys::{Action, Keymap};
use crate::list::{self, Column, List};
use crate::model::bars;
use crate::model::lists::ListKind;
use crate::model::{Model, Playhead, explain};
use crate::theme::Theme;
use crate::view::{Target, View};

/// One bar per tensor.
pub(crate) struct Lifetimes;

/// As `beside::Order` knows them by number.
const COLUMNS: &[Column] = &[
    Column { title: "  tensor", width: 0, right: false, weight: 9, sorts: true },
    Column { title: "life", width: 0, right: false, weight: 9, sorts: false },
    Column { title: "size", width: 10, right: true, weight: 8, sorts: true },
    Column { title: "offset", width: 10, right: true, weight: 5, sorts: true },
    Column { title: "type", width: 18, right: false, weight: 4, sorts: true },
    Column { title: "born", width: 7, right: true, weight: 3, sorts: true },
    Column { title: "dies", width: 7, right: true, weight: 2, sorts: true },
    Column { title: "ops", width: 6, right: true, weight: 6, sorts: true },
];

/// The column of the bars.
const BARS: usize = 1;

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
        let name = draw::tail(
            &explain::buffer_name(&plan.record, thing),
            list::wide(self, 0, width).saturating_sub(2),
        );
        let number = |text: String| Line::styled(text, theme.text());
        // What is wrong is told by a sign of its own, not by the colour alone.
        let mark = match bars::alarm_kinds(plan, thing)[..] {
            [] => Span::styled("▣ ", theme.tensor(index.hue(thing))),
            _ => Span::styled("! ", theme.alarm_text()),
        };
        let dies = buffer.last.checked_sub(1).map_or("never".to_owned(), |op| Count(op.into()).to_string());
        vec![
            Line::from(vec![mark, Span::styled(name, theme.text())]),
            Line::default(),
            number(Bytes(buffer.size).to_string()),
            number(Bytes(buffer.offset).to_string()),
            number(explain::type_of(buffer)),
            number(Count(buffer.first.into()).to_string()),
            number(dies),
            number(Count(u64::from(buffer.last - buffer.first)).to_string()),
        ]
    }

    fn begins_with_largest(&self, column: usize) -> bool {
        // Sizes, and how long they live; places and births are read from the first on.
        matches!(column, 2 | 7)
    }

    fn painted(&self) -> Option<usize> {
        Some(BARS)
    }

    fn paint(&self, buffer: &mut Buffer, place: Rect, model: &Model, thing: u32, theme: &Theme) {
        let Some((arena, index)) = model.arena().zip(model.index()) else { return };
        let Some(tensor) = arena.plan.record.buffers.get(thing as usize) else { return };
        let (ops, hue) = (&arena.view.ops, index.hue(thing));
        let bar = model.bar(thing, ops, place.width);
        for (x, part) in (place.x..place.right()).zip(&bar) {
            if let Some(cell) = buffer.cell_mut((x, place.y)) {
                paint_part(cell, *part, hue, theme);
            }
        }
        // Where all of it is out of view: on which side.
        if bar.iter().all(|part| *part == MapState::Free) {
            let before = u64::from(tensor.last) <= ops.start;
            let (x, glyph) = if before { (place.x, "◂") } else { (place.right() - 1, "▸") };
            draw::put(buffer, place, x, place.y, glyph, theme.tensor(hue));
        }
    }

    fn empty(&self, model: &Model, keys: &Keymap) -> String {
        if model.plan().is_none() {
            "waiting for the plan: the recording has not told it yet".to_owned()
        } else if model.lists.get(ListKind::Tensors).coming.is_some() {
            "the tensors are being put in order; other views can be looked at meanwhile".to_owned()
        } else if model.filter.is_on() {
            format!("no tensor is found by this search; {} ends it", keys.name(Action::Back))
        } else {
            format!(
                "the plan has no tensor in this arena; {} looks at the next one",
                keys.name(Action::Arena)
            )
        }
    }
}

fn paint_part(cell: &mut ratatui::buffer::Cell, state: MapState, hue: u8, theme: &Theme) {
    match state {
        MapState::Free => {}
        MapState::Deviant => {
            cell.set_char(state.glyph()).set_style(theme.alarm());
        }
        _ if theme.has_shades() => {
            cell.set_symbol(" ").set_style(Style::new().bg(theme.shade(hue, bay_plan_map::shade_of(state))));
        }
        _ => {
            cell.set_char(state.glyph()).set_style(theme.tensor(hue));
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
        let inner = draw::frame(buffer, area, &title(model, theme), theme);
        if area.width >= 60 && area.height >= 8 {
            let legend = bay_plan_map::legend(&mut bay_plan_map::states(theme), usize::from(area.width) - 6);
            draw::rule(buffer, area, area.height - 1, ("└", "┘"), &legend, theme);
        }
        list::draw(self, buffer, inner, model, theme);
        let (Some(bars), Some(arena)) = (list::painted(self, inner), model.arena()) else { return };
        if model.lists.get(ListKind::Tensors).rows.is_empty() {
            return;
        }
        let head = Rect { height: 1, ..bars };
        draw::put(buffer, head, head.x, head.y, &" ".repeat(usize::from(head.width)), theme.text());
        op_axis::labels(buffer, head, &arena.view.ops, &op_axis::marks(&arena, model, theme));
        lines(buffer, Rect { y: bars.y + 1, height: bars.height - 1, ..bars }, model, theme);
    }

    fn list(&self, area: Rect, _: &Model) -> Option<(&'static dyn List, Rect)> {
        Some((&Lifetimes, draw::inside(area)))
    }

    fn axis(&self, area: Rect, model: &Model) -> Option<Rect> {
        model.arena()?;
        list::painted(self, draw::inside(area))
    }

    fn target(&self, area: Rect, model: &Model, at: Position) -> Option<Target> {
        // Its rows are the list's; the head has the axis.
        self.axis(area, model).filter(|axis| axis.contains(at)).map(Target::Ops)
    }
}

fn title(model: &Model, theme: &Theme) -> Line<'static> {
    let list = model.lists.get(ListKind::Tensors);
    let rows = list.rows.len();
    let of = match model.arena() {
        Some(arena) if !model.all_arenas => {
            let name = &arena.plan.record.arenas[arena.arena as usize].name;
            format!(" of arena \"{}\"", explain::name_of(name, "arena", arena.arena))
        }
        Some(_) => " of all arenas".to_owned(),
        None => String::new(),
    };
    let by = COLUMNS[list.sort.column.min(COLUMNS.len() - 1)].title.trim();
    let order = match (&list.coming, list.sort.descending) {
        (Some(_), _) => format!("  ordering by {by} …"),
        (None, true) => format!("  by {by} ▼"),
        (None, false) => format!("  by {by} ▲"),
    };
    let count = draw::counted(rows, model.listed_at_all(ListKind::Tensors), "tensor");
    Line::from(vec![
        Span::styled(count, theme.accent()),
        Span::styled(of, theme.text()),
        Span::styled(order, theme.faint()),
    ])
}

/// The playhead, the cursor, the peak and the op that proves the bound, as lines between the bars.
fn lines(buffer: &mut Buffer, bars: Rect, model: &Model, theme: &Theme) {
    let Some(arena) = model.arena() else { return };
    let witness = arena.plan.record.arenas[arena.arena as usize].witness_op;
    let playhead = match model.playhead() {
        Playhead::At(op) => Some(u64::from(op)),
        _ => None,
    };
    let thin = theme.cursor().remove_modifier(Modifier::BOLD);
    let ops = &arena.view.ops;
    let all = [
        (witness.map(u64::from), "┆", theme.line()),
        (Some(arena.index.peak.op.into()), "┆", theme.warning().remove_modifier(Modifier::BOLD)),
        (Some(ops.cursor), "╎", thin),
        (playhead, "║", theme.playhead()),
    ];
    for (op, glyph, style) in all {
        let Some(col) = op.and_then(|op| ops.cell(op, bars.width.into())) else { continue };
        let x = bars.x + col as u16;
        for y in bars.y..bars.bottom() {
            let free = buffer.cell((x, y)).is_some_and(|cell| ["╎", "┆", " "].contains(&cell.symbol()));
            if free {
                bay_plan_map::over(buffer, x, y, glyph, style);
            }
        }
    }
}
