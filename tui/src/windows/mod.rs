//! What stands over a view in a frame of its own: one row each.

mod help;
mod marks;
mod others;

use ratatui::text::Line;

use crate::keys::Action;
use crate::model::Model;
use crate::theme::Theme;
use crate::view::View;
use crate::views;

/// A window.
pub(crate) struct Window {
    /// The key that opens it and closes it again.
    pub(crate) opened_by: Action,
    /// What stands in it.
    pub(crate) content: Content,
}

/// What stands in a window.
pub(crate) enum Content {
    /// Text with a title, made for a width; the keys up and down move through it.
    Lines(&'static str, fn(&Model, &Theme, usize) -> Vec<Line<'static>>),
    /// The keys: text as well, but of the view behind it.
    Keys,
    /// A view, with the columns and rows that it wants; it gets no more than there are.
    View(&'static dyn View, fn(&Model) -> (u16, u16)),
}

/// Every window.
pub(crate) static WINDOWS: &[Window] = &[
    Window { opened_by: Action::Help, content: Content::Keys },
    Window { opened_by: Action::Diff, content: Content::View(&others::Others, others::size) },
    Window { opened_by: Action::Marks, content: Content::View(&marks::MarkList, marks::size) },
    Window { opened_by: Action::Inspect, content: Content::Lines("at the cursor", views::details) },
    Window { opened_by: Action::InspectOp, content: Content::Lines("op", views::op_details) },
    Window { opened_by: Action::WhyPeak, content: Content::View(&views::WhyPeak, views::WhyPeak::size) },
    Window {
        opened_by: Action::WhyNotSmaller,
        content: Content::View(&views::WhyNotSmaller, views::WhyNotSmaller::size),
    },
];

impl Content {
    /// Whether text stands in it, through which keys and wheel move.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Lines(..) | Self::Keys)
    }

    /// Its text with the title, if it has any.
    pub(crate) fn text(
        &self,
        behind: &dyn View,
        model: &Model,
        theme: &Theme,
        width: usize,
    ) -> Option<(&'static str, Vec<Line<'static>>)> {
        match self {
            Self::Lines(title, lines) => Some((title, lines(model, theme, width))),
            Self::Keys => Some(("keys", help::lines(behind, model, theme, width))),
            Self::View(..) => None,
        }
    }
}

/// The window that an action opens.
pub(crate) fn opened_by(action: Action) -> Option<&'static Window> {
    WINDOWS.iter().find(|window| window.opened_by == action)
}
