//! One picture as text.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::theme::{self, Colours, Theme};
use crate::watch::Watch;

/// Draws a session on a screen of this size; returns its rows, without the blanks at their ends. There are no colours
/// in text, so that shades are glyphs.
pub(crate) fn text(watch: &mut Watch, (cols, rows): (u16, u16), ascii: bool) -> String {
    let theme = Theme::new(Colours::None, ascii);
    let area = Rect { x: 0, y: 0, width: cols, height: rows };
    let mut buffer = Buffer::empty(area);
    watch.draw(&mut buffer, area, &theme);
    if ascii {
        theme::to_ascii(&mut buffer);
    }
    let mut text = String::new();
    for row in buffer.content.chunks(usize::from(cols).max(1)) {
        let mut line = String::new();
        let mut covered = 0;
        for cell in row {
            // A wide character covers the cell after it.
            if covered > 0 {
                covered -= 1;
                continue;
            }
            line.push_str(cell.symbol());
            covered = bayplan_text::columns(cell.symbol()).saturating_sub(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
