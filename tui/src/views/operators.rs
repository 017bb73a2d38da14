//! Operators: what each op costs, and how far it is from what the device does at most.

use bayplan_text::{Bytes, Count, Nanos, Percent, Rate, escape};
use bayplan_trace::OpRecord;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::draw;
use crate::keys::{Action, Keymap};
use crate::list::{self, Column, List};
use crate::model::lists::ListKind;
use crate::model::operators::Cost;
use crate::model::{Model, explain};
use crate::theme::Theme;
use crate::view::View;

/// One row per op, or per operator.
pub(crate) struct Operators;

/// As `operators::Cost::number` and `operators::text_key`.
const COLUMNS: &[Column] = &[
    Column { title: "op", width: 0, right: false, weight: 9, sorts: true },
    Column { title: "mean", width: 8, right: true, weight: 8, sorts: true },
    Column { title: "latest", width: 8, right: true, weight: 6, sorts: true },
    Column { title: "share", width: 13, right: false, weight: 7, sorts: true },
    Column { title: "moves", width: 9, right: true, weight: 6, sorts: true },
    Column { title: "flop", width: 14, right: true, weight: 1, sorts: true },
    Column { title: "bytes/s", width: 10, right: true, weight: 4, sorts: true },
    Column { title: "flop/s", width: 13, right: true, weight: 3, sorts: true },
    Column { title: "of best", width: 15, right: true, weight: 5, sorts: true },
    Column { title: "kernel", width: 22, right: false, weight: 1, sorts: true },
    Column { title: "node", width: 26, right: false, weight: 4, sorts: true },
];

/// What stands where nothing was measured.
const NONE: &str = "–";
/// Columns of the bar of a share; all of it is all ops.
const BAR: usize = 5;

impl List for Operators {
    fn kind(&self) -> ListKind {
        ListKind::Ops
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn begins_with_largest(&self, column: usize) -> bool {
        COLUMNS.get(column).is_some_and(|column| column.right || column.title == "share")
    }

    fn row(&self, model: &Model, thing: u32, theme: &Theme, width: usize) -> Vec<Line<'static>> {
        let Some(plan) = model.plan() else { return Vec::new() };
        let operators = &model.operators;
        let Some(cost) = operators.cost(plan, thing) else { return Vec::new() };
        let op = operators.op_of(thing).and_then(|op| plan.record.ops.get(op as usize));
        let (name, kernel, node) = match (operators.group(thing), op) {
            (Some(group), Some(op)) => {
                let name = explain::name_of(&group.operator, "no operator", 0);
                let more = if group.ops.len() > 1 { "…" } else { "" };
                let count = format!(" ×{}", Count(group.ops.len() as u64));
                let room = list::wide(self, 0, width).saturating_sub(bayplan_text::columns(&count)).max(1);
                (
                    format!("{}{count}", brief(&name, room)),
                    format!("{}{more}", escape(&op.kernel)),
                    more.to_owned(),
                )
            }
            (None, Some(op)) => {
                let name = named(op, thing, list::wide(self, 0, width));
                (name, escape(&op.kernel).to_string(), draw::tail(&escape(&op.source_node).to_string(), 26))
            }
            _ => return Vec::new(),
        };
        let mut cells = vec![Line::styled(name, theme.text())];
        cells.extend(figures(&cost, theme));
        cells.extend([kernel, node].map(|text| Line::styled(text, theme.faint())));
        cells
    }

    fn empty(&self, model: &Model, keys: &Keymap) -> String {
        match model.plan() {
            None => "waiting for the plan: the recording has not told it yet".to_owned(),
            Some(plan) if plan.record.ops.is_empty() => "the plan has no ops".to_owned(),
            Some(_) if model.operators.all() == 0 => {
                format!("this plan has no op of this operator; {} lists all", keys.name(Action::Back))
            }
            Some(_) => {
                let back = keys.name(Action::Back);
                format!("no op touches a tensor that this search finds; {back} ends it")
            }
        }
    }
}

/// An op by its number, its operator and its own name, which tells apart what the same operator computes.
fn named(op: &OpRecord, number: u32, room: usize) -> String {
    let number = number.to_string();
    let room = room.saturating_sub(number.len() + 1);
    let host = if op.host { " (host)" } else { "" };
    let operator = escape(if op.source_op.is_empty() { &op.name } else { &op.source_op }).to_string();
    let operator = operator + host;
    let own = if op.name.is_empty() { &op.source_node } else { &op.name };
    let own = if op.source_op.is_empty() { String::new() } else { escape(own).to_string() };
    if own.is_empty() {
        return format!("{number} {}", brief(&operator, room));
    }
    // Half of the room is the name's, and what the operator leaves.
    let rest = room.saturating_sub(bayplan_text::columns(&operator) + 1).max(room / 2);
    let own = draw::tail(&own, rest);
    let room = room.saturating_sub(bayplan_text::columns(&own) + 1);
    format!("{number} {} {own}", brief(&operator, room))
}

/// An operator in so many columns. Of operators that were fused, the first and the end tell them apart: `Conv…Add+Relu`.
fn brief(name: &str, room: usize) -> String {
    if bayplan_text::columns(name) <= room {
        return name.to_owned();
    }
    let head = name.split_once('+').map(|(head, _)| head);
    let fits = |head: &str, end: &str| bayplan_text::columns(head) + 1 + bayplan_text::columns(end) <= room;
    let parts = |head: &str| {
        // From the last one on: as many as there is room for.
        let ends = name.rmatch_indices('+').map(|(at, _)| &name[at + 1..]);
        ends.take_while(|end| fits(head, end)).last().map(|end| format!("{head}…{end}"))
    };
    head.and_then(parts).unwrap_or_else(|| bayplan_text::ellipsis(name, room).to_string())
}

/// The cells of the figures, from the mean to the roof.
fn figures(cost: &Cost, theme: &Theme) -> Vec<Line<'static>> {
    let text = |text: Option<String>| match text {
        Some(text) => Line::styled(text, theme.text()),
        None => Line::styled(NONE, theme.faint()),
    };
    let share = cost.time.map_or_else(
        || Line::styled(NONE, theme.faint()),
        |(_, _, share)| {
            let mut spans = vec![Span::styled(format!("{:>7} ", Percent(share).to_string()), theme.text())];
            spans.extend(draw::bar(share, BAR, theme.gauge(), theme.line()));
            Line::from(spans)
        },
    );
    let rate = |rate: Option<f64>, unit| text(rate.map(|rate| Rate(rate as u64, unit).to_string()));
    let roof = cost.roof.map(|roof| format!("{} {}", Percent(roof.share), roof.bound.name()));
    vec![
        text(cost.time.map(|(mean, ..)| Nanos(mean).to_string())),
        text(cost.time.map(|(_, latest, _)| Nanos(latest).to_string())),
        share,
        text(Some(Bytes(cost.bytes).to_string())),
        text(Some(Count(cost.flops).to_string())),
        rate(cost.bytes_per_second, "B"),
        rate(cost.flops_per_second, "flop"),
        text(roof),
    ]
}

impl View for Operators {
    fn title(&self) -> &'static str {
        "Operators"
    }

    fn about(&self) -> &'static str {
        "what each op costs, and how far it is from the device's best"
    }

    fn draw(&self, buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
        let list = model.lists.get(ListKind::Ops);
        let what = if model.operators.grouped { "operator" } else { "op" };
        let rows = list.rows.len();
        let count = draw::counted(rows, model.listed_at_all(ListKind::Ops), what);
        let count = match model.operators.of() {
            Some(of) => format!("{count} of {}", explain::operator(of)),
            None => count,
        };
        let by = COLUMNS[list.sort.column.min(COLUMNS.len() - 1)].title;
        let other = match (model.operators.grouped, model.operators.of()) {
            (true, _) => "one by one",
            (false, None) => "by operator",
            (false, Some(_)) => "all operators",
        };
        let parts = vec![
            (9, vec![Span::styled(count, theme.accent())]),
            (
                7,
                vec![Span::styled(
                    format!("  by {by} {}", if list.sort.descending { "▼" } else { "▲" }),
                    theme.faint(),
                )],
            ),
            (
                3,
                vec![Span::styled(
                    format!("  {} {other}", theme.keys.name(Action::Otherwise)),
                    theme.faint(),
                )],
            ),
        ];
        let parts = parts.into_iter().chain(means(model).map(|words| {
            // It says what the figures are: it goes before what the key would do.
            (4, vec![Span::styled(words, theme.faint())])
        }));
        let width = usize::from(area.width.saturating_sub(6));
        let title = draw::fitting(parts.collect(), width);
        let inner = draw::frame(buffer, area, &title, theme);
        list::draw(self, buffer, inner, model, theme);
        let line = match note(model, area.width) {
            Some(note) => Line::styled(note, theme.warning()),
            None => best(model, theme, width),
        };
        if area.height > 3 {
            draw::rule(buffer, area, area.height - 1, ("└", "┘"), &line, theme);
        }
    }

    fn list(&self, area: Rect, _: &Model) -> Option<(&'static dyn List, Rect)> {
        Some((&Operators, draw::inside(area)))
    }
}

/// Over how many runs the means are, and whether the first one, which is often far slower, counts for much of them.
fn means(model: &Model) -> Option<String> {
    match model.operators.averaged() {
        (0, _) | (1, false) => None,
        (1, true) => Some("  of the run after the first".to_owned()),
        (runs, true) => Some(format!("  means of {} runs after the first", Count(runs))),
        (runs, false) => Some(format!("  means of {} runs, the first included", Count(runs))),
    }
}

/// What the device does at best, which the last of the figures are shares of, and who measured it.
fn best(model: &Model, theme: &Theme, width: usize) -> Line<'static> {
    let Some(roofs) = model.timeline.roofs() else { return Line::default() };
    let (bytes, flops) = (Rate(roofs.bytes_per_second, "B"), Rate(roofs.flops_per_second, "flop"));
    let figures = match width {
        0..46 => format!("{bytes}, {flops}"),
        _ => format!("memory {bytes}, compute {flops}"),
    };
    let parts = vec![
        (9, vec![Span::styled("best: ", theme.accent())]),
        (8, vec![Span::styled(figures, theme.text())]),
        (7, vec![Span::styled(format!(", {}", explain::measured(roofs)), theme.faint())]),
        (6, vec![Span::styled("; the slower one for an op is named", theme.faint())]),
    ];
    draw::fitting(parts, width)
}

/// What is missing, and how to get it.
fn note(model: &Model, width: u16) -> Option<&'static str> {
    let plan = model.plan().filter(|plan| !plan.record.ops.is_empty())?;
    let wide = width >= 100;
    if plan.op_times.is_empty() || !model.operators.is_timed() {
        return Some(match width {
            0..60 => "no op times: --trace-level op",
            _ => "no op times were recorded: run with --trace-level op",
        });
    }
    if model.timeline.roofs().is_none() {
        return Some(if wide {
            "for the share of the device's best: bayplan devices --probe, then record again at --trace-level op"
        } else {
            "best not known: bayplan devices --probe measures it"
        });
    }
    None
}
