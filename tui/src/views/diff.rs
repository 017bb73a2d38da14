//! Diff: what differs between the plan that is shown and another.

use bayplan_text::{Bytes, Count, Nanos, Percent, Signed};
use bayplan_trace::{ArenaDiff, Cause, OpDiff, PlanRecord};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::diff_moments::{self, Lives};
use crate::draw;
use crate::keys::Keymap;
use crate::list::{self, Column, List};
use crate::model::compare::{Compared, Listed};
use crate::model::lists::ListKind;
use crate::model::{Model, explain};
use crate::theme::{Colours, Theme};
use crate::view::View;

/// What differs.
pub(crate) struct Diff;

struct Tensors;
struct Ops;

/// Tensors that are named as causes.
const CAUSES: usize = 3;

/// Rows that the list keeps beside a long summary.
const LISTED: u16 = 9;
/// Columns of a name that are worth having.
const SHORT_NAME: usize = 4;

/// What is said of a difference that is not more than that from run to run.
const NOISE: &str = "within noise";

pub(super) const fn number(title: &'static str, width: u16, weight: u8) -> Column {
    Column { title, width, right: true, weight, sorts: true }
}

const TENSORS: &[Column] = &[
    Column { title: "tensor", width: 0, right: false, weight: 9, sorts: true },
    Column { title: "what", width: 20, right: false, weight: 6, sorts: true },
    number("shown", 10, 5),
    number("other", 10, 4),
    number("difference", 11, 8),
];

const OPS: &[Column] = &[
    Column { title: "op", width: 0, right: false, weight: 9, sorts: true },
    Column { title: "what", width: 14, right: false, weight: 6, sorts: true },
    number("shown", 10, 5),
    number("other", 10, 4),
    number("difference", 11, 8),
];

/// The plan that is shown and the other one.
pub(super) fn plans(model: &Model) -> Option<(&PlanRecord, &Compared)> {
    let compared = model.compared()?;
    let shown = model.timeline.plans.get(compared.diff.numbers.0 as usize)?;
    Some((&shown.record, compared))
}

impl List for Tensors {
    fn kind(&self) -> ListKind {
        ListKind::DifferingTensors
    }

    fn columns(&self) -> &'static [Column] {
        TENSORS
    }

    fn row(&self, model: &Model, thing: u32, theme: &Theme, width: usize) -> Vec<Line<'static>> {
        let Some((shown, compared)) = plans(model) else { return Vec::new() };
        let Some(tensor) = compared.diff.tensors.get(thing as usize) else { return Vec::new() };
        let name = match (tensor.a, tensor.b) {
            (Some(own), _) => explain::buffer_name(shown, own),
            (None, other) => explain::buffer_name(&compared.other.record, other.unwrap_or(0)),
        };
        let size = |there: bool, bytes: u64| if there { Bytes(bytes).to_string() } else { "–".to_owned() };
        vec![
            Line::styled(draw::tail(&name, width / 2), theme.text()),
            Line::styled(tensor.what(), theme.accent()),
            Line::styled(size(tensor.a.is_some(), tensor.sizes.0), theme.text()),
            Line::styled(size(tensor.b.is_some(), tensor.sizes.1), theme.text()),
            Line::styled(Signed(tensor.growth(), Bytes).to_string(), theme.strong()),
        ]
    }

    fn empty(&self, model: &Model, _: &Keymap) -> String {
        match model.filter.is_on() {
            true => "no tensor that differs is kept by what is searched for".to_owned(),
            false => "every tensor is in both, in the same place, for the same ops".to_owned(),
        }
    }
}

impl List for Ops {
    fn kind(&self) -> ListKind {
        ListKind::DifferingOps
    }

    fn columns(&self) -> &'static [Column] {
        OPS
    }

    fn row(&self, model: &Model, thing: u32, theme: &Theme, width: usize) -> Vec<Line<'static>> {
        let Some((shown, compared)) = plans(model) else { return Vec::new() };
        let Some(op) = compared.diff.ops.get(thing as usize) else { return Vec::new() };
        let room = list::wide(self, 0, width);
        let name = match (op.a, op.b) {
            (Some(own), _) => op_label(shown, own, room),
            (None, other) => op_label(&compared.other.record, other.unwrap_or(0), room),
        };
        let time = |mean: Option<u64>| mean.map_or_else(|| "–".to_owned(), |mean| Nanos(mean).to_string());
        let noise = op.is_noise(&compared.diff);
        let growth = op.growth().map_or_else(|| "–".to_owned(), |growth| Signed(growth, Nanos).to_string());
        vec![
            Line::styled(name, theme.text()),
            Line::styled(
                if noise { NOISE } else { op.what() },
                if noise { theme.faint() } else { theme.accent() },
            ),
            Line::styled(time(op.mean.0), theme.text()),
            Line::styled(time(op.mean.1), theme.text()),
            Line::styled(growth, if noise { theme.faint() } else { theme.strong() }),
        ]
    }

    fn empty(&self, _: &Model, _: &Keymap) -> String {
        "every op is in both with the same kernel, and none was timed in both".to_owned()
    }
}

/// An op with what it makes, where there is room for both: of a network most ops are of few operators.
fn op_label(plan: &PlanRecord, op: u32, room: usize) -> String {
    let operator = explain::op_name(plan, op);
    let own = plan.ops.get(op as usize).filter(|own| !own.source_op.is_empty() && !own.name.is_empty());
    let rest = room.saturating_sub(bayplan_text::columns(&operator) + 1);
    match own {
        Some(own) if rest >= SHORT_NAME => {
            format!("{operator} {}", draw::tail(&bayplan_text::escape(&own.name).to_string(), rest))
        }
        _ => draw::tail(&operator, room.max(1)),
    }
}

impl View for Diff {
    fn title(&self) -> &'static str {
        "Diff"
    }

    fn about(&self) -> &'static str {
        "what differs between the plan that is shown and another"
    }

    fn is_listed(&self, model: &Model) -> bool {
        model.compared().is_some()
    }

    fn draw(&self, buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
        let Some((shown, compared)) = plans(model) else {
            draw::put_line(
                buffer,
                area,
                1,
                &Line::styled(
                    format!(
                        " nothing is compared; {} chooses another run",
                        theme.keys.name(crate::keys::Action::Diff)
                    ),
                    theme.faint(),
                ),
            );
            return;
        };
        let lines = summary(shown, compared, theme);
        let (above, below) = parts(area, &lines);
        let title = match area.width {
            ..60 => format!("→ {}", compared.title),
            _ => format!("shown: {} → other: {}", explain::shown_title(model), compared.title),
        };
        let inner = draw::frame(buffer, above, &Line::styled(title, theme.accent()), theme);
        let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), ..inner };
        for (row, line) in (0..).zip(draw::folded(lines, inner.width.into(), inner.height.into())) {
            draw::put_line(buffer, inner, row, &line);
        }
        let (list, count) = listed(compared);
        let rows = model.lists.get(list.kind()).rows.len();
        let key = theme.keys.name(crate::keys::Action::Otherwise);
        let mut title = counted(compared.listed, rows, count);
        let other = compared.listed_next();
        if other != compared.listed {
            title += &format!(" · {key} lists {}", other.name());
        }
        let inner = draw::frame(buffer, below, &Line::styled(title, theme.accent()), theme);
        list::draw(list, buffer, inner, model, theme);
    }

    fn list(&self, area: Rect, model: &Model) -> Option<(&'static dyn List, Rect)> {
        let (shown, compared) = plans(model)?;
        let lines = summary(shown, compared, &Theme::new(Colours::None, false));
        Some((listed(compared).0, draw::inside(parts(area, &lines).1)))
    }
}

/// The list in front, how many rows it has where nothing is searched for, and what they are.
fn listed(compared: &Compared) -> (&'static dyn List, usize) {
    list_of(compared, compared.listed)
}

/// The same of any list.
pub(super) fn list_of(compared: &Compared, listed: Listed) -> (&'static dyn List, usize) {
    match listed {
        Listed::Lives => (&Lives, compared.lives().len()),
        Listed::Tensors => (&Tensors, compared.diff.tensors.len()),
        Listed::Ops => (&Ops, compared.diff.ops.len()),
    }
}

/// How many rows of a list are told, of how many, and what they are.
pub(super) fn counted(listed: Listed, rows: usize, all: usize) -> String {
    let (thing, one, many) = match listed {
        Listed::Lives => ("tensor", " lives at one moment alone", " live at one moment alone"),
        Listed::Tensors => ("tensor", " that differs", " that differ"),
        Listed::Ops => ("op", ", its times beside each other", ", times beside each other"),
    };
    let count = draw::counted(rows, all, thing);
    count + if rows.max(all) == 1 { one } else { many }
}

/// The summary and the list under it: the summary has the rows that it needs, as long as the list keeps some.
fn parts(area: Rect, lines: &[Line<'static>]) -> (Rect, Rect) {
    let width = usize::from(area.width.saturating_sub(3));
    let rows = draw::folded(lines.to_vec(), width, usize::MAX).len() as u16;
    let above = rows.saturating_add(2).min(area.height.saturating_sub(LISTED).max(area.height / 2));
    (Rect { height: above, ..area }, Rect { y: area.y + above, height: area.height - above, ..area })
}

pub(super) fn summary(shown: &PlanRecord, compared: &Compared, theme: &Theme) -> Vec<Line<'static>> {
    let diff = &compared.diff;
    let mut lines = Vec::new();
    if let Some(words) = &compared.models {
        lines.push(Line::styled(words.clone(), theme.warning()));
    }
    if let Some(moments) = &compared.moments {
        lines.extend(diff_moments::lines(moments, compared, theme));
    }
    // Of two moments of one plan nobody asks whether it is the same.
    let of_one_plan = diff.is_empty() && compared.is_of_one_session();
    if diff.is_empty() && !of_one_plan {
        lines.push(Line::styled("the plans are the same: no tensor, arena or kernel differs", theme.good()));
    }
    let mut arenas: Vec<&ArenaDiff> = diff.arenas.iter().filter(|arena| !arena.is_empty()).collect();
    arenas.sort_by_key(|arena| std::cmp::Reverse(arena.peaks().0.max(arena.peaks().1)));
    for arena in arenas.into_iter().take(2) {
        lines.extend(arena_lines(arena, shown, compared, theme));
    }
    lines.extend(times(compared, theme));
    if !of_one_plan {
        let words = diff.counts.named().into_iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> =
            words.map(|(count, word)| format!("{} {word}", Count(count as u64))).collect();
        lines.push(Line::from(vec![
            Span::styled("tensors  ", theme.accent()),
            Span::styled(words.join(", "), theme.text()),
        ]));
    }
    lines
}

/// What is known of times: of whole runs, of the ops of a run on the device, and which ops changed.
fn times(compared: &Compared, theme: &Theme) -> Vec<Line<'static>> {
    let diff = &compared.diff;
    let line = |name: &'static str, words: String| {
        Line::from(vec![Span::styled(name, theme.accent()), Span::styled(words, theme.text())])
    };
    let mut lines = Vec::new();
    if let (Some(a), Some(b)) = compared.runs {
        let runs = format!(
            "median of {} and {} runs, the first aside",
            Count(a.count as u64),
            Count(b.count as u64)
        );
        lines.push(line("a run  ", format!("{}: {runs}", change(a.median, b.median, Nanos))));
    }
    let (Some(a), Some(b)) = diff.op_time else {
        lines.extend(compared.untimed.clone().map(|words| line("ops  ", words)));
        return lines;
    };
    lines.push(line(
        "ops of a run, on the device  ",
        format!("{}: {}", change(a, b, Nanos), diff.averaged_words()),
    ));
    let (slower, faster) = diff.slower_and_faster();
    let rule = diff.noise_words();
    let words = match (slower, faster) {
        (0, 0) => format!("none differs by more than {rule}"),
        _ => format!("{} slower, {} faster by more than {rule}", Count(slower as u64), Count(faster as u64)),
    };
    let count = |which: fn(&OpDiff) -> bool| diff.ops.iter().filter(|op| which(op)).count() as u64;
    let alone = match (count(OpDiff::is_added), count(OpDiff::is_removed)) {
        (0, 0) => String::new(),
        (added, removed) => format!("; {} added, {} removed", Count(added), Count(removed)),
    };
    lines.push(line("ops in the other  ", words + &alone));
    if let Some(words) = &compared.roofs {
        lines.push(line("the device at best  ", words.clone()));
    }
    lines
}

pub(super) fn change<T: std::fmt::Display>(a: u64, b: u64, show: fn(u64) -> T) -> String {
    if a == b {
        return format!("{} in both", show(a));
    }
    format!("{} → {} ({})", show(a), show(b), Signed(i128::from(b) - i128::from(a), show))
}

fn arena_lines(
    arena: &ArenaDiff,
    shown: &PlanRecord,
    compared: &Compared,
    theme: &Theme,
) -> Vec<Line<'static>> {
    let name = explain::name_of(&arena.name, "arena", 0);
    let (Some(a), Some(b)) = (&arena.a, &arena.b) else {
        let (words, side) = match (&arena.a, &arena.b) {
            (None, Some(side)) => ("only in the other one", side),
            (Some(side), _) => ("not in the other one", side),
            _ => return Vec::new(),
        };
        return vec![Line::styled(format!("{name}: {words}, {}", Bytes(side.size)), theme.text())];
    };
    let waste = |waste: Option<f64>| waste.map_or_else(|| "–".to_owned(), |waste| Percent(waste).to_string());
    let figures = [
        format!("peak {}", change(a.metrics.peak_live, b.metrics.peak_live, Bytes)),
        format!("size {}", change(a.size, b.size, Bytes)),
    ];
    let bounds = [
        format!("bound {}", change(a.lower_bound, b.lower_bound, Bytes)),
        format!("waste {} → {}", waste(a.metrics.waste), waste(b.metrics.waste)),
    ];
    let mut lines = vec![
        Line::from(vec![
            Span::styled(format!("{name}  "), theme.accent()),
            Span::styled(figures.join(" · "), theme.text()),
        ]),
        Line::styled(format!("  {}", bounds.join(" · ")), theme.text()),
    ];
    let causes: Vec<String> =
        arena.causes.iter().take(CAUSES).map(|cause| cause_words(cause, shown, compared)).collect();
    if !causes.is_empty() {
        let more = arena.causes.len().saturating_sub(CAUSES);
        let more = if more > 0 { format!(" and {} more", Count(more as u64)) } else { String::new() };
        lines.push(Line::from(vec![
            Span::styled("  because  ", theme.faint()),
            Span::styled(format!("{}{more}", causes.join(" · ")), theme.text()),
        ]));
    }
    lines
}

/// `conv1 +1.00 MiB`.
fn cause_words(cause: &Cause, shown: &PlanRecord, compared: &Compared) -> String {
    let name = match (cause.a, cause.b) {
        (Some(own), _) => explain::short_name(shown, own),
        (None, other) => explain::short_name(&compared.other.record, other.unwrap_or(0)),
    };
    format!("{} {}", draw::tail(&name, 28), Signed(cause.growth(), Bytes))
}
