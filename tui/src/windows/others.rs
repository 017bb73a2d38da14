//! What the plan that is shown can be compared with.

use bayplan_text::ellipsis;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::keys::{Action, Keymap};
use crate::list::{self, List};
use crate::model::Model;
use crate::model::lists::ListKind;
use crate::paths;
use crate::theme::Theme;
use crate::view::View;

/// Recordings, marks and other plans to choose from.
pub(crate) struct Others;

impl List for Others {
    fn kind(&self) -> ListKind {
        ListKind::Choices
    }

    fn row(&self, model: &Model, thing: u32, theme: &Theme, _: usize) -> Vec<Line<'static>> {
        let Some(choice) = model.choices.get(thing as usize) else { return Vec::new() };
        vec![Line::from(vec![
            Span::styled(format!(" {}  ", choice.name), theme.strong()),
            Span::styled(choice.about.clone(), theme.faint()),
        ])]
    }

    fn empty(&self, model: &Model, keys: &Keymap) -> String {
        if model.choosing.is_empty() {
            let mark = keys.name(Action::Mark);
            return format!(
                "there is no other recording, no mark and no other plan to compare with; {mark} marks this moment, a path \
                 names a recording"
            );
        }
        let text = ellipsis(&model.choosing, 60);
        match paths::is_path(&model.choosing) {
            true => format!("no recording there begins with {text}"),
            false => format!("nothing listed has {text}; enter looks for a recording of that name"),
        }
    }
}

impl View for Others {
    fn title(&self) -> &'static str {
        "compare with"
    }

    fn heading(&self, _: &Keymap) -> String {
        // Letters are typed here, whatever they do elsewhere.
        format!("{} · enter chooses · type to find", self.title())
    }

    fn about(&self) -> &'static str {
        "another run, a mark or another plan to compare with"
    }

    fn draw(&self, buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
        list::draw(self, buffer, area, model, theme);
    }

    fn list(&self, area: Rect, _: &Model) -> Option<(&'static dyn List, Rect)> {
        Some((&Others, area))
    }
}

/// Columns and rows that it wants.
pub(crate) fn size(model: &Model) -> (u16, u16) {
    (90, (model.choices.len() as u16).max(4))
}
