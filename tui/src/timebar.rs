//! The strip of time: the whole session in one row, with where one stands in it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::draw;
use crate::model::Model;
use crate::model::events::clock;
use crate::theme::Theme;

/// Columns of a time at an end of the strip.
const LABEL: u16 = 9;
/// Heights of what was taken, from none to most.
const HEIGHTS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// The part of the strip that shows time: between the times of its ends.
pub(crate) fn bar(strip: Rect) -> Rect {
    let label = LABEL.min(strip.width / 4);
    Rect { x: strip.x + label, width: strip.width - 2 * label, ..strip }
}

/// The time that a column shows.
pub(crate) fn time_at(model: &Model, bar: Rect, column: u16) -> u64 {
    let (first, last) = model.times();
    let at = u128::from(column.saturating_sub(bar.x).min(bar.width));
    let span = u128::from(last - first) + 1;
    // Rounded up, so that the time lies in the column that shows it.
    first
        .saturating_add(u64::try_from((span * at).div_ceil(u128::from(bar.width.max(1)))).unwrap_or(u64::MAX))
}

/// The column that shows a time; none for one that is not on the strip.
pub(crate) fn column_of(model: &Model, bar: Rect, t: u64) -> Option<u16> {
    let (first, last) = model.times();
    let since = u128::from(t.checked_sub(first).filter(|_| t <= last)?);
    let span = u128::from(last - first) + 1;
    let at = since * u128::from(bar.width) / span;
    Some(bar.x + (at as u16).min(bar.width.saturating_sub(1)))
}

/// Draws the strip.
pub(crate) fn draw(buffer: &mut Buffer, strip: Rect, model: &Model, theme: &Theme) {
    let bar = bar(strip);
    let (first, last) = model.times();
    let label = |t: u64| format!("{:>8} ", clock(t));
    draw::put(
        buffer,
        Rect { width: bar.x - strip.x, ..strip },
        strip.x,
        strip.y,
        &label(first),
        theme.faint(),
    );
    let end = if model.standing.is_some() { " G ▶ now" } else { " now" };
    draw::put(buffer, strip, bar.right(), strip.y, end, theme.faint());
    let stretch =
        |column: u16| model.strip.between(time_at(model, bar, column), time_at(model, bar, column + 1));
    let stretches: Vec<_> = (bar.left()..bar.right()).map(stretch).collect();
    let most = stretches.iter().flatten().map(|stretch| stretch.bytes).max().unwrap_or(0);
    for (column, stretch) in (bar.left()..).zip(&stretches) {
        let Some(stretch) = stretch else {
            // It is on disk, and was not read.
            draw::put(buffer, strip, column, strip.y, "·", theme.faint());
            continue;
        };
        let height = match most {
            0 => usize::from(stretch.runs > 0) * 4,
            most => (u128::from(stretch.bytes) * 8).div_ceil(u128::from(most)) as usize,
        };
        let style = match (stretch.failed, stretch.runs) {
            (1.., _) => theme.alarm_text(),
            (0, 0) => theme.faint(),
            (0, _) => theme.accent(),
        };
        draw::put(buffer, strip, column, strip.y, HEIGHTS[height.min(8)], style);
    }
    for (t, name) in model.marks.times() {
        if let Some(column) = column_of(model, bar, t) {
            draw::put(
                buffer,
                Rect { width: bar.right() - strip.x, ..strip },
                column,
                strip.y,
                name,
                theme.warning(),
            );
        }
    }
    let here = column_of(model, bar, model.now().clamp(first, last));
    if let Some(column) = here {
        draw::put(buffer, strip, column, strip.y, "▲", theme.cursor());
    }
}
