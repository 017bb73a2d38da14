//! Everything known of the tensor under the cursor.

use bayplan_text::{Bytes, Count, Nanos, Percent, ellipsis, escape};
use bayplan_trace::{BufferRecord, PlanRecord, PlanState, ops_words};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::model::index::Users;
use crate::model::{ArenaView, Model, explain};
use crate::theme::Theme;

/// The details as lines of at most `width` columns.
pub(crate) fn details(model: &Model, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let Some(arena) = model.arena() else {
        return vec![Line::styled("waiting for the plan …", theme.faint())];
    };
    let mut page = Page { lines: Vec::new(), theme, width };
    let record = &arena.plan.record;
    if let Some((number, buffer)) = model.selected() {
        let hue = model.index().map_or(0, |index| index.hue(number));
        page.wrapped(
            &explain::name_of(&buffer.name, "buffer", number),
            theme.tensor(hue).patch(theme.strong()),
        );
        let views = model.index().map_or(&[][..], |index| index.views(number));
        tensor(&mut page, &arena, (number, buffer), views);
        seen(&mut page, arena.plan, number);
        if let Some(index) = model.index() {
            users(&mut page, record, &index.users(record, number));
        }
    } else {
        page.text("free", theme.faint());
    }
    for at in model.alarms_at_cursor() {
        let alarm = &arena.plan.alarms()[at];
        page.gap();
        page.text(alarm.kind(), theme.alarm_text());
        page.wrapped(&alarm.text(Some(record)), theme.text());
    }
    page.gap();
    op(&mut page, arena.plan, arena.view.ops.cursor as usize);
    let live = arena.index.metrics.live.get(arena.view.ops.cursor as usize).copied().unwrap_or(0);
    let size = record.arenas[arena.arena as usize].size.max(1);
    page.pair("live here", &format!("{} ({})", Bytes(live), Percent(live as f64 / size as f64)));
    page.lines
}

/// Lines of labels and values.
pub(super) struct Page<'a> {
    pub(super) lines: Vec<Line<'static>>,
    pub(super) theme: &'a Theme,
    pub(super) width: usize,
}

impl Page<'_> {
    /// A line in a style.
    pub(super) fn text(&mut self, text: &str, style: Style) {
        self.lines.push(Line::styled(text.to_owned(), style));
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.lines.push(Line::default());
    }

    /// A label and its value, in as many lines as that takes; none where there is no value.
    pub(super) fn pair(&mut self, label: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let lines = bayplan_text::wrap(value, self.width.saturating_sub(11).max(4));
        for (at, line) in lines.into_iter().take(MAX_LINES).enumerate() {
            let shown = if at == 0 { label } else { "" };
            self.lines.push(Line::from(vec![
                Span::styled(format!("{shown:<10} "), self.theme.faint()),
                Span::styled(line, self.theme.text()),
            ]));
        }
    }

    /// Text in as many lines as it takes.
    pub(super) fn wrapped(&mut self, text: &str, style: Style) {
        for line in bayplan_text::wrap(text, self.width.max(4)).into_iter().take(MAX_LINES) {
            self.lines.push(Line::styled(line, style));
        }
    }
}

/// Lines that one name or sentence may fill.
const MAX_LINES: usize = 12;

fn tensor(
    page: &mut Page<'_>,
    arena: &ArenaView<'_>,
    (number, buffer): (u32, &BufferRecord),
    views: &[(u32, u32)],
) {
    let record = &arena.plan.record;
    let kind = format!("{:?}", buffer.kind).to_lowercase();
    page.pair("type", &explain::type_of(buffer));
    page.pair("kind", &kind);
    page.pair("size", &format!("{} = {} B", Bytes(buffer.size), Count(buffer.size)));
    if !buffer.size_expr.is_empty() && buffer.size_expr != buffer.size.to_string() {
        page.pair("", &format!("= {}", ellipsis(&buffer.size_expr, 200)));
    }
    page.pair("offset", &format!("{} = {}", Bytes(buffer.offset), Count(buffer.offset)));
    page.pair("align", &Bytes(buffer.alignment).to_string());
    page.pair("life", &explain::life_of(record, buffer));
    if let Some(node) = record.ops.get(buffer.first as usize).filter(|op| !op.source_node.is_empty()) {
        page.pair("node", &escape(&node.source_node).to_string());
    }
    let place = match buffer.in_place_of {
        Some(of) => format!("yes, of {}", explain::buffer_name(record, of)),
        None => "no".to_owned(),
    };
    page.pair("in place", &place);
    if let Some(((_, first), rest)) = views.split_first() {
        let more = rest.len();
        let name = explain::buffer_name(record, *first);
        page.pair("views", &if more > 0 { format!("{name} and {more} more") } else { name });
    }
    if let Some(of) = buffer.alias_of {
        page.pair("view of", &explain::buffer_name(record, of));
    }
    let at_peak = arena.index.rank_at_peak(record, number);
    let share = Percent(buffer.size as f64 / arena.index.peak.live.max(1) as f64);
    page.pair("at peak", &at_peak.map_or("no".to_owned(), |rank| format!("{share}, number {}", rank + 1)));
}

/// Ops or tensors that are named one by one.
const NAMED: usize = 4;

/// Who writes and reads a tensor, and what is computed in its place.
fn users(page: &mut Page<'_>, record: &PlanRecord, users: &Users) {
    let list = |numbers: &[u32], name: &dyn Fn(u32) -> String| {
        let mut words: Vec<String> = numbers.iter().take(NAMED).map(|number| name(*number)).collect();
        let more = numbers.len().saturating_sub(NAMED);
        if more > 0 {
            words.push(format!("{} more", Count(more as u64)));
        }
        words.join(", ")
    };
    let op = |number: u32| explain::op_name(record, number);
    page.pair("written by", &list(&users.writers, &op));
    page.pair("read by", &list(&users.readers, &op));
    page.pair("becomes", &list(&users.successors, &|number| explain::buffer_name(record, number)));
}

fn seen(page: &mut Page<'_>, plan: &PlanState, number: u32) {
    let text = match plan.actual.get(number as usize).copied().flatten() {
        Some(seen) => format!(
            "{}, bytes {} to {}",
            ops_words(seen.first, seen.last),
            Count(seen.offset),
            Count(seen.end.saturating_sub(1))
        ),
        None if plan.windows.is_empty() => "not known: no window was recorded".to_owned(),
        None => "in no window".to_owned(),
    };
    page.pair("seen", &text);
}

fn op(page: &mut Page<'_>, plan: &PlanState, number: usize) {
    let Some(op) = plan.record.ops.get(number) else { return };
    page.text(&explain::op_name(&plan.record, number as u32), page.theme.accent());
    page.pair("name", &escape(&op.name).to_string());
    if op.source_node != op.name {
        page.pair("node", &escape(&op.source_node).to_string());
    }
    page.pair("kernel", &escape(&op.kernel).to_string());
    let flops = if op.flops > 0 { format!(", {} flop", Count(op.flops)) } else { String::new() };
    page.pair("moves", &format!("{}{flops}", Bytes(op.bytes)));
    if let Some((latest, mean)) = plan.op_times.get(number).and_then(|time| Some((time.latest, time.mean()?)))
    {
        page.pair("takes", &format!("{}, mean {}", Nanos(latest), Nanos(mean)));
    }
}
