//! Events: everything that happened, what is wrong first.

use bayplan_text::plural;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::draw;
use crate::keys::{Action, Keymap};
use crate::list::{self, Column, List};
use crate::model::Model;
use crate::model::events::clock;
use crate::model::lists::{EVENTS_BY_TIME, ListKind};
use crate::model::log::Grade;
use crate::theme::Theme;
use crate::view::View;

/// Everything that happened.
pub(crate) struct Events;

const COLUMNS: &[Column] = &[
    Column { title: "when", width: 11, right: true, weight: 5, sorts: true },
    Column { title: "kind", width: 11, right: false, weight: 8, sorts: true },
    Column { title: "what", width: 0, right: false, weight: 9, sorts: false },
];

impl List for Events {
    fn kind(&self) -> ListKind {
        ListKind::Events
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, model: &Model, thing: u32, theme: &Theme, _: usize) -> Vec<Line<'static>> {
        let Some(entry) = model.events.get(thing) else { return Vec::new() };
        // A sign beside the colour: not everybody sees that.
        let (mark, style) = match entry.what.grade() {
            Grade::Alarm => ("! ", theme.alarm_text()),
            Grade::Warning => ("▲ ", theme.warning()),
            Grade::Note => ("  ", theme.text()),
        };
        vec![
            Line::styled(clock(entry.t), theme.faint()),
            Line::styled(format!("{mark}{}", entry.kind()), style),
            Line::styled(entry.words(&model.timeline), theme.text()),
        ]
    }

    fn empty(&self, model: &Model, keys: &Keymap) -> String {
        if model.filter.is_on() {
            format!("nothing that happened is found by this search; {} ends it", keys.name(Action::Back))
        } else {
            "nothing has happened yet".to_owned()
        }
    }
}

impl View for Events {
    fn title(&self) -> &'static str {
        "Events"
    }

    fn about(&self) -> &'static str {
        "everything that happened, what is wrong first"
    }

    fn draw(&self, buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
        let list = model.lists.get(ListKind::Events);
        let (alarms, warnings) = model.log.counts();
        let by_time = list.sort.column == EVENTS_BY_TIME;
        let (order, other) = if by_time {
            ("latest first", "what is wrong first")
        } else {
            ("what is wrong first", "latest first")
        };
        let order = match (list.sort.descending, by_time) {
            (true, _) => order,
            (false, true) => "oldest first",
            (false, false) => "what is wrong last",
        };
        let listed = draw::counted(list.rows.len(), model.listed_at_all(ListKind::Events), "event");
        let mut parts = vec![(9, vec![Span::styled(listed, theme.accent())])];
        if alarms > 0 {
            parts.push((
                8,
                vec![Span::styled(format!("  {}", plural(alarms as u64, "alarm")), theme.alarm_text())],
            ));
        }
        if warnings > 0 {
            parts.push((
                7,
                vec![Span::styled(format!("  {}", plural(warnings as u64, "warning")), theme.warning())],
            ));
        }
        parts.push((5, vec![Span::styled(format!("  {order}"), theme.faint())]));
        let key = theme.keys.name(Action::Otherwise);
        parts.push((3, vec![Span::styled(format!("  {key} {other}"), theme.faint())]));
        let title = draw::fitting(parts, usize::from(area.width.saturating_sub(6)));
        let inner = draw::frame(buffer, area, &title, theme);
        list::draw(self, buffer, inner, model, theme);
        let now = model.events_now();
        if !now.is_empty() && area.height > 3 {
            let line = Line::styled(now, theme.text());
            draw::rule(buffer, area, area.height - 1, ("└", "┘"), &line, theme);
        }
    }

    fn list(&self, area: Rect, _: &Model) -> Option<(&'static dyn List, Rect)> {
        Some((&Events, draw::inside(area)))
    }
}
