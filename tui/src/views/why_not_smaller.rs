//! Why not smaller: what no plan can go below, what that rests on, and what could be changed.

use bayplan_plan::explain::{Regret, Verdict};
use bayplan_text::{Bytes, Count, ellipsis};
use bayplan_trace::PlanRecord;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::draw;
use crate::keys::{Action, Keymap};
use crate::list::{self, List};
use crate::model::lists::ListKind;
use crate::model::whatif::{Because, Brief, Edit, Part, Proof, Reason, Row, all_words, words};
use crate::model::{Model, explain};
use crate::theme::Theme;
use crate::view::View;

/// The window of questions.
pub(crate) struct WhyNotSmaller;

/// Columns that it wants, and lines of what is said above the list and below it.
const WIDTH: u16 = 108;
const ABOVE: u16 = 4;
const BELOW: u16 = 4;
/// Columns of a figure at the right, and columns that are left to what it is of before a second one is shown.
const FIGURE: usize = 20;
const LABEL: usize = 34;
/// Columns of a figure that stands alone.
const FIGURE_ALONE: usize = 12;
/// In fewer columns the verdict is told in short.
const BRIEF_BELOW: usize = 60;

impl WhyNotSmaller {
    /// Columns and rows that it wants.
    pub(crate) fn size(model: &Model) -> (u16, u16) {
        let rows = u16::try_from(model.asked_rows().len()).unwrap_or(u16::MAX);
        (WIDTH, rows.saturating_add(ABOVE + BELOW))
    }

    fn parts(area: Rect) -> (Rect, Rect, Rect) {
        let (above, below) = match area.height {
            0..=9 => (1, 1),
            10..=15 => (2, 2),
            _ => (ABOVE, BELOW),
        };
        let list = Rect { y: area.y + above, height: area.height.saturating_sub(above + below), ..area };
        let below = Rect { y: list.bottom(), height: area.bottom().saturating_sub(list.bottom()), ..area };
        (Rect { height: above.min(area.height), ..area }, list, below)
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
        let (above, list, below) = Self::parts(area);
        let width = usize::from(area.width);
        let room = (width, usize::from(above.height));
        for (row, line) in (0..above.height).zip(summary(model, &arena.plan.record, theme, room)) {
            draw::put_line(buffer, above, row, &line);
        }
        list::draw(self, buffer, list, model, theme);
        let at = model.lists.get(ListKind::Questions).at;
        if let Some(row) = model.asked_rows().get(at) {
            let skipped = u16::from(below.height >= BELOW);
            let lines = about(model, &arena.plan.record, row, theme, width);
            for (row, line) in (skipped..below.height).zip(&lines) {
                draw::put_line(buffer, below, row, line);
            }
        }
    }

    fn list(&self, area: Rect, _: &Model) -> Option<(&'static dyn List, Rect)> {
        Some((&Self, Self::parts(area).1))
    }
}

/// What the bound is and what is known of it, in sentences.
fn summary(
    model: &Model,
    record: &PlanRecord,
    theme: &Theme,
    (width, rows): (usize, usize),
) -> Vec<Line<'static>> {
    let text = match model.asked.because() {
        None => "looking into it …".to_owned(),
        Some(Err(why)) => format!("it cannot be told: {why}"),
        Some(Ok(because)) if width < BRIEF_BELOW => brief_verdict(because),
        Some(Ok(because)) => verdict(because, model, record),
    };
    let mut lines: Vec<Line<'static>> = bayplan_text::wrap(&text, width.max(8))
        .into_iter()
        .map(|line| Line::styled(line, theme.strong()))
        .collect();
    if !model.asked.edits.is_empty() {
        let words = format!(
            "changed now: {}; {} undoes",
            all_words(&model.asked.edits, record),
            theme.keys.name(Action::Undo)
        );
        lines.truncate(rows.saturating_sub(1));
        lines.push(Line::styled(ellipsis(&words, width).to_string(), theme.cursor()));
    }
    lines
}

/// The verdict in one or two short lines.
fn brief_verdict(because: &Because) -> String {
    let bound = Bytes(because.bound);
    match because.peak.saturating_sub(because.bound) {
        0 => format!("In this order of operators {bound} is the least."),
        gap => format!("Least in this order: {bound}; the plan has {} more.", Bytes(gap)),
    }
}

fn verdict(because: &Because, model: &Model, record: &PlanRecord) -> String {
    let count = because.reasons.len();
    let tensors = if count == 1 { "this tensor lives" } else { "these tensors live at once" };
    let padding = match because.padding {
        0 => String::new(),
        bytes => format!(", with {} of padding", Bytes(bytes)),
    };
    let bound = format!(
        "In this order of operators no plan can be smaller than {}: at {} {tensors}{padding}.",
        Bytes(because.bound),
        explain::op_name(record, because.witness)
    );
    format!("{bound} {}{}", known(because), others(because, model, record))
}

/// How far the plan is from that.
fn known(because: &Because) -> String {
    match because.verdict {
        Verdict::Empty => "Nothing lives here.".to_owned(),
        Verdict::BoundMet => {
            "The plan is that small: only fewer or smaller tensors, or another order, can make it smaller."
                .to_owned()
        }
        Verdict::Excluded { gap } => format!(
            "The plan is {} larger, and a search of all others found none that is smaller.",
            Bytes(gap)
        ),
        Verdict::Open { at_most, .. } => {
            let gap = Bytes(because.peak.saturating_sub(because.bound));
            match because.anew {
                Some(anew) if anew < because.peak => {
                    format!("The plan is {gap} larger: placed anew it needs {}.", Bytes(anew))
                }
                Some(_) => format!(
                    "The plan is {gap} larger: nothing smaller was found, at most {} could be saved still.",
                    Bytes(at_most)
                ),
                None => format!("The plan is {gap} larger: at most {} could be saved.", Bytes(at_most)),
            }
        }
    }
}

/// The operators that need as much, where no single tensor helps for them.
fn others(because: &Because, model: &Model, record: &PlanRecord) -> String {
    let alone = because.reasons.iter().all(|reason| reason.without == 0);
    if !alone || because.reasons.len() < 2 {
        return String::new();
    }
    // Where padding counts, the figures of live bytes do not tell: the operator that is left does.
    let named = model.arena().filter(|_| because.padding == 0).and_then(|arena| explain::as_full(&arena));
    let named = named.or_else(|| because.reasons.first().map(|first| explain::op_name(record, first.then)));
    named.map_or_else(String::new, |named| format!(" As much is needed at {named}: no single tensor helps."))
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
            Some(Row::Head(part)) => head(part, theme, width),
            Some(Row::More(count)) => {
                Line::styled(format!("  … and {} more", Count(count as u64)), theme.faint())
            }
            Some(Row::Reason(at)) => match model.asked.because() {
                Some(Ok(because)) if at < because.reasons.len() => {
                    reason(model, record, &because.reasons[at], theme, width)
                }
                _ => Line::default(),
            },
            Some(Row::Question(edit)) => question(model, record, edit.as_ref(), theme, width),
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

/// Where a label is cut that is too long.
#[derive(Clone, Copy)]
enum Cut {
    Name,
    Words,
}

/// A label, and as many figures at the right as there is room for.
fn cells(label: Vec<Span<'static>>, cut: Cut, figures: [Span<'static>; 3], width: usize) -> Line<'static> {
    let shown = (width.saturating_sub(LABEL) / FIGURE).clamp(1, figures.len());
    // A figure alone gets what a size needs.
    let wide = if shown == 1 && width < BRIEF_BELOW { FIGURE_ALONE } else { FIGURE };
    let room = width.saturating_sub(shown * wide);
    let mut spans = label;
    let used: usize = spans.iter().map(Span::width).sum();
    if used > room
        && let Some(last) = spans.pop()
    {
        let rest = room.saturating_sub(used - last.width() + 1);
        // The ends of names differ more than their beginnings; a sentence is cut at its end.
        let cut = match cut {
            Cut::Name => draw::tail(&last.content, rest),
            Cut::Words => ellipsis(&last.content, rest.max(1)).to_string(),
        };
        spans.push(Span::styled(cut, last.style));
    }
    let used: usize = spans.iter().map(Span::width).sum();
    spans.push(Span::raw(" ".repeat(room.saturating_sub(used))));
    for figure in figures.into_iter().take(shown) {
        let text = ellipsis(&figure.content, wide - 1).to_string();
        let pad = wide.saturating_sub(bayplan_text::columns(&text));
        spans.push(Span::styled(format!("{}{text}", " ".repeat(pad)), figure.style));
    }
    Line::from(spans)
}

fn head(part: Part, theme: &Theme, width: usize) -> Line<'static> {
    let (label, figures) = match part {
        Part::Reasons => ("what makes it so large", ["size", "arena without", "least without"]),
        Part::Questions => ("what if …", ["change", "arena then", "least then"]),
    };
    let figures = figures.map(|text| Span::styled(text, theme.faint()));
    cells(vec![Span::styled(label, theme.accent())], Cut::Words, figures, width)
}

fn reason(model: &Model, record: &PlanRecord, reason: &Reason, theme: &Theme, width: usize) -> Line<'static> {
    let hue = model.index().map_or(0, |index| index.hue(reason.buffer));
    let asked = model.asked.tensor == Some(reason.buffer);
    let mark = if asked { "▸" } else { " " };
    let label = vec![
        Span::styled(mark, theme.cursor()),
        Span::styled("▣ ", theme.tensor(hue)),
        Span::styled(explain::buffer_name(record, reason.buffer), theme.text()),
    ];
    let figures = [
        Span::styled(Bytes(reason.size).to_string(), theme.text()),
        Span::styled(regret_words(reason.regret), theme.text()),
        Span::styled(less(reason.without), theme.faint()),
    ];
    cells(label, Cut::Name, figures, width)
}

fn less(bytes: u64) -> String {
    if bytes == 0 { "as now".to_owned() } else { format!("−{}", Bytes(bytes)) }
}

/// How much smaller the arena is without a tensor, in a few columns.
fn regret_words(regret: Regret) -> String {
    match regret.exact() {
        Some(bytes) => less(bytes),
        None if regret.at_least > 0 => format!("at least −{}", Bytes(regret.at_least)),
        None => format!("at most −{}", Bytes(regret.at_most)),
    }
}

fn question(
    model: &Model,
    record: &PlanRecord,
    edit: Option<&Edit>,
    theme: &Theme,
    width: usize,
) -> Line<'static> {
    let text = edit.map_or_else(|| "everything placed anew".to_owned(), |edit| words(edit, record));
    let edits = model.asked.with(edit);
    let label = vec![Span::styled("  ", theme.text()), Span::styled(text, theme.text())];
    let figures = match model.asked.answer(&edits) {
        None => {
            let words = if model.asked.foreseen { "…" } else { "not asked yet" };
            [words, "", ""].map(|text| Span::styled(text, theme.faint()))
        }
        Some(Err(_)) => ["no answer", "", ""].map(|text| Span::styled(text, theme.faint())),
        Some(Ok(brief)) => answer(brief, theme),
    };
    cells(label, Cut::Words, figures, width)
}

fn answer(brief: &Brief, theme: &Theme) -> [Span<'static>; 3] {
    let (before, after) = brief.arena;
    let unplaced = brief.proof == Proof::Unplaced;
    let (least, most) = if unplaced { ("at least ", "at most ") } else { ("", "") };
    let (change, style) = match before.checked_sub(after) {
        Some(0) => ("as now".to_owned(), theme.faint()),
        Some(saved) => (format!("{most}−{}", Bytes(saved)), theme.good()),
        None => (format!("{least}+{}", Bytes(after - before)), theme.warning()),
    };
    [
        Span::styled(change, style),
        Span::styled(format!("{least}{}", Bytes(after)), theme.text()),
        Span::styled(Bytes(brief.bound.1).to_string(), theme.faint()),
    ]
}

/// What is known of the chosen row, and what enter does.
fn about(model: &Model, record: &PlanRecord, row: &Row, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let enter = theme.keys.name(Action::Inspect);
    let text = match row {
        Row::Head(_) => String::new(),
        Row::More(_) => format!("{enter} lists all of them"),
        Row::Dims => format!("{enter}, then type what they are to be, such as {}", example(record)),
        Row::Reason(at) => match model.asked.because() {
            Some(Ok(because)) => because
                .reasons
                .get(*at)
                .map_or_else(String::new, |reason| about_reason(record, reason, &enter)),
            _ => String::new(),
        },
        Row::Question(edit) => about_question(model, record, edit.as_ref(), &enter),
    };
    let lines = bayplan_text::wrap(&text, width.max(8));
    lines.into_iter().map(|line| Line::styled(line, theme.faint())).collect()
}

fn about_reason(record: &PlanRecord, reason: &Reason, enter: &str) -> String {
    let name = explain::buffer_name(record, reason.buffer);
    let Some(buffer) = record.buffers.get(reason.buffer as usize) else { return name };
    let arena = match (reason.regret.exact(), reason.regret.at_least, reason.regret.at_most) {
        (Some(0), ..) => "no smaller".to_owned(),
        (Some(bytes), ..) => format!("{} smaller", Bytes(bytes)),
        (None, 0, most) => format!("{} smaller at most", Bytes(most)),
        (None, least, most) => format!("{} to {} smaller", Bytes(least), Bytes(most)),
    };
    format!(
        "{name}: {0}. Without it the arena is {arena}: most lives at {2} then. With half of it the least is {1}. {enter} \
         asks about it.",
        explain::life_of(record, buffer),
        match reason.halved {
            0 => "as now".to_owned(),
            bytes => format!("{} lower", Bytes(bytes)),
        },
        explain::op_name(record, reason.then)
    )
}

/// Values of symbols as they are typed.
pub(crate) fn example(record: &PlanRecord) -> String {
    let twice = record
        .dims
        .iter()
        .take(2)
        .map(|dim| format!("{}={}", bayplan_text::escape(&dim.name), dim.value.saturating_mul(2)));
    twice.collect::<Vec<_>>().join(" ")
}

/// Who says where a tensor is moved.
fn chosen_by(edit: Option<&Edit>) -> Option<&'static str> {
    matches!(edit, Some(Edit::At(..))).then_some("the cursor on the map says where")
}

fn about_question(model: &Model, record: &PlanRecord, edit: Option<&Edit>, enter: &str) -> String {
    let edits = model.asked.with(edit);
    let title = all_words(&edits, record);
    match model.asked.answer(&edits) {
        None => format!("{title}: {enter} plans it and shows it over the map"),
        Some(Err(why)) => format!("{title}: {why}"),
        Some(Ok(brief)) => {
            let notes = brief.notes.iter().map(String::as_str).chain(chosen_by(edit));
            let notes: String = notes.map(|note| format!("; {note}")).collect();
            format!(
                "{title}: {}; {}{notes}. {enter} shows it over the map.",
                brief.words(),
                brief.proof_words()
            )
        }
    }
}
