//! Framed lists of lines that share a column of the screen; what a line names can be clicked.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;

use crate::draw;
use crate::theme::Theme;
use crate::view::Target;

/// What a click on a line means.
#[derive(Clone, Copy, Debug)]
enum Goal {
    Nothing,
    This(Target),
    /// The op that a column of it shows.
    Ops,
}

/// A framed list of lines.
pub(crate) struct Section {
    title: String,
    lines: Vec<(Line<'static>, Goal)>,
    /// Lines that there would be more of than fit any screen.
    more: usize,
    /// Lines it should have at least, as far as there are any.
    least: u16,
    /// Whether it gets more than that only where all others have what they need.
    yields: bool,
}

impl Section {
    /// A section without lines, which is not shown, with the number of lines that it should have at least.
    pub(crate) fn new(title: impl Into<String>, least: u16) -> Self {
        Self { title: title.into(), lines: Vec::new(), more: 0, least, yields: false }
    }

    /// With another number of lines that it should have at least.
    pub(crate) fn at_least(self, lines: u16) -> Self {
        Self { least: lines, ..self }
    }

    /// One that gets more lines than its least only where all others have what they need.
    pub(crate) fn yielding(self) -> Self {
        Self { yields: true, ..self }
    }

    /// Adds a line.
    pub(crate) fn say(&mut self, line: impl Into<Line<'static>>) {
        self.lines.push((line.into(), Goal::Nothing));
    }

    /// Adds a line that can be clicked.
    pub(crate) fn offer(&mut self, line: impl Into<Line<'static>>, target: Target) {
        self.lines.push((line.into(), Goal::This(target)));
    }

    /// Adds a line whose columns are the ops in view.
    pub(crate) fn ops(&mut self, line: impl Into<Line<'static>>) {
        self.lines.push((line.into(), Goal::Ops));
    }

    /// Tells of lines that were left out.
    pub(crate) fn leave_out(&mut self, lines: usize) {
        self.more += lines;
    }

    /// Whether it has no lines.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// Rows in which all of some sections is seen, frames and all.
pub(crate) fn rows(sections: &[Section]) -> u16 {
    let seen = sections.iter().filter(|section| !section.is_empty());
    seen.map(|section| lines(section) + 2).fold(0, u16::saturating_add)
}

fn lines(section: &Section) -> u16 {
    u16::try_from(section.lines.len()).unwrap_or(u16::MAX - 2)
}

/// Stacks sections in a column: each gets its least, then a row in turn until it has what it needs; the last one takes what is
/// left. Those without lines are left out, and so are those for which there is no room.
pub(crate) fn stack(area: Rect, sections: Vec<Section>) -> Vec<(Section, Rect)> {
    let sections: Vec<Section> = sections.into_iter().filter(|section| !section.is_empty()).collect();
    let mut heights: Vec<u16> =
        sections.iter().map(|section| section.least.min(lines(section)) + 2).collect();
    let mut left = area.height.saturating_sub(heights.iter().sum());
    // A row each in turn: none takes all of it from those after it.
    for yields in [false, true] {
        let wants = |height: u16, section: &Section| section.yields == yields && height < lines(section) + 2;
        while left > 0 && heights.iter().zip(&sections).any(|(height, section)| wants(*height, section)) {
            for (height, section) in heights.iter_mut().zip(&sections) {
                if left > 0 && wants(*height, section) {
                    (*height, left) = (*height + 1, left - 1);
                }
            }
        }
    }
    let mut y = area.y;
    let mut placed: Vec<(Section, Rect)> = Vec::new();
    for (section, height) in sections.into_iter().zip(heights) {
        let height = height.min(area.bottom().saturating_sub(y));
        if height >= 3 {
            placed.push((section, Rect { y, height, ..area }));
            y += height;
        }
    }
    if let Some((_, last)) = placed.last_mut() {
        last.height += area.bottom().saturating_sub(y);
    }
    placed
}

/// The area of the lines.
fn inside(frame: Rect) -> Rect {
    let inner = draw::inside(frame);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

/// Draws a section in its frame.
pub(crate) fn draw(buffer: &mut Buffer, frame: Rect, section: &Section, theme: &Theme) {
    draw::frame(buffer, frame, &Line::styled(section.title.clone(), theme.accent()), theme);
    let inner = inside(frame);
    let lines = section.lines.len() + section.more;
    let rows = usize::from(inner.height);
    let cut = lines > rows;
    for (row, (line, _)) in section.lines.iter().take(rows).enumerate() {
        if cut && row > 0 && row + 1 == rows {
            let more = format!("… {} more lines", lines - row);
            draw::put_line(buffer, inner, row as u16, &Line::styled(more, theme.faint()));
        } else {
            draw::put_line(buffer, inner, row as u16, line);
        }
    }
    // Where there is one row it is the first line's; that there are others is said in the frame.
    if cut && rows == 1 {
        let more = Line::styled(format!("+{} ", lines - 1), theme.faint()).right_aligned();
        draw::put_line(buffer, Rect { y: inner.y + 1, ..inner }, 0, &more);
    }
}

/// What a click at a place inside a section's frame means.
pub(crate) fn target(frame: Rect, section: &Section, at: Position) -> Option<Target> {
    let inner = inside(frame);
    let row = usize::from(at.y.checked_sub(inner.y)?);
    let (_, goal) = section.lines.get(row).filter(|_| inner.contains(at))?;
    match goal {
        Goal::Nothing => None,
        Goal::This(target) => Some(*target),
        Goal::Ops => Some(Target::Ops(Rect { y: at.y, height: 1, ..inner })),
    }
}
