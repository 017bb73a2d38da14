//! What a view is. The tables are in [`crate::views`] and, of those that stand over others, in [`crate::windows`].

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::keys::{Action, Keymap};
use crate::list::List;
use crate::model::Model;
use crate::theme::Theme;

/// One way to look at a session. Views read the model; they change nothing: what a click on them means they say by a [`Target`].
pub(crate) trait View: Sync {
    /// Its name in the row of tabs, or over the window.
    fn title(&self) -> &'static str;

    /// What stands over its window, where it is one.
    fn heading(&self, keys: &Keymap) -> String {
        let _ = keys;
        self.title().to_owned()
    }

    /// What it shows, in a few words for the help.
    fn about(&self) -> &'static str;

    /// Whether the session has anything for it: a view that is not listed has no tab.
    fn is_listed(&self, model: &Model) -> bool {
        let _ = model;
        true
    }

    /// Draws it.
    fn draw(&self, buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme);

    /// Where it shows the map of an arena, if it does: there the mouse moves the cursor, zooms and pans.
    fn map(&self, area: Rect, model: &Model) -> Option<Rect> {
        let _ = (area, model);
        None
    }

    /// Where ops run from left to right without bytes: there the wheel zooms them, and a click puts the cursor.
    fn axis(&self, area: Rect, model: &Model) -> Option<Rect> {
        let _ = (area, model);
        None
    }

    /// The list that the keys up and down go through, if it shows one, and where it stands.
    fn list(&self, area: Rect, model: &Model) -> Option<(&'static dyn List, Rect)> {
        let _ = (area, model);
        None
    }

    /// What lies at a cell of the screen, beside the map and the list.
    fn target(&self, area: Rect, model: &Model, at: Position) -> Option<Target> {
        let _ = (area, model, at);
        None
    }
}

/// What a click means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The view of that number.
    View(usize),
    /// As a key that does this.
    Do(Action),
    /// A place on the map of the arena, which stands there.
    Map(Rect),
    /// The op that a column shows of the ops in view, on an axis that stands there.
    Ops(Rect),
    /// An op by its number.
    Op(u32),
    /// A tensor by its number.
    Tensor(u32),
    /// An arena by its number.
    Arena(u32),
    /// Where an alarm is, by its number among those of the plan that is looked at.
    Alarm(usize),
    /// A row of the list, counted from the first of the session, not of the screen.
    Row(usize),
    /// The head of a column of the list: order by it.
    Column(usize),
}
