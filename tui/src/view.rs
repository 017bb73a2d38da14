//! What a view is. The table of views is in [`crate::views`].

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::model::Model;
use crate::theme::Theme;

/// One way to look at a session. Views read the model; they change nothing.
pub(crate) trait View: Sync {
    /// Its name in the row of tabs.
    fn title(&self) -> &'static str;

    /// Draws it.
    fn draw(&self, buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme);

    /// Where it shows the map of an arena, if it does: there the mouse moves the cursor, zooms and pans.
    fn map(&self, area: Rect, model: &Model) -> Option<Rect> {
        let _ = (area, model);
        None
    }
}
