//! Overview: where the memory is, how the runs go, what makes the peak, what is wrong.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::section::{self, Section};
use super::{overview_memory as memory, overview_runs as runs, overview_weights as weights};
use crate::model::Model;
use crate::theme::{Colours, Theme};
use crate::view::{Target, View};

/// The overview.
pub(crate) struct Overview;

/// From this width on there are two columns.
const TWO_COLUMNS: u16 = 76;
/// From this height on charts are higher than a row.
const TALL: u16 = 32;

/// The sections with their frames.
fn places(area: Rect, model: &Model, theme: &Theme) -> Vec<(Section, Rect)> {
    let wide = area.width >= TWO_COLUMNS;
    let tall = wide && area.height >= TALL;
    let left = if wide { area.width / 2 } else { area.width };
    let other = if wide { area.width - left } else { left };
    let (width, other) = (usize::from(left.saturating_sub(4)), usize::from(other.saturating_sub(4)));
    let heaps = memory::heaps(model, theme, width, tall);
    let held = memory::held(model, theme, width);
    let arenas = memory::arenas(model, theme, width);
    let live = runs::live(model, theme, other, tall);
    let times = runs::times(model, theme, width.min(other), tall);
    let (alarms, peak) = (runs::alarms(model, theme, other), runs::peak(model, theme, other));
    let messages = runs::messages(model, theme, width.min(other)).yielding();
    let changed = runs::changed(model, theme, other);
    let wrong = model.timeline.alarm_counts().total() > 0;
    let loads = &model.timeline.totals.loads;
    let loading = weights::weights(model, theme, width, tall);
    // Before there are runs nothing is of more interest.
    let first = loads.latest.is_some_and(|load| load.end.is_none() || !load.ok);
    let (loading, loaded) = if first { (Some(loading), None) } else { (None, Some(loading)) };
    if !wide {
        // What is wrong comes before all else where not all of it is seen.
        let (first, second) = if wrong { (alarms, heaps) } else { (heaps, alarms) };
        let own = [changed, first, second, peak, held, arenas, live, times, messages];
        return section::stack(area, loading.into_iter().chain(own).chain(loaded).collect());
    }
    let column = Rect { width: left, ..area };
    let beside = Rect { x: area.x + left, width: area.width - left, ..area };
    let (mut left, right) = match (tall, wrong) {
        (true, _) => (vec![heaps, held, arenas, times], vec![alarms, changed, live, peak, messages]),
        // Where rows are few, what is wrong gets those that others can do without.
        (false, true) => {
            let mut right = vec![alarms, changed, live, peak];
            right.extend((!model.timeline.messages.is_empty()).then_some(messages));
            (vec![heaps, held, arenas, times.at_least(1)], right)
        }
        // Both columns need about as many; what was said stands where there are rows to spare.
        (false, false) => {
            let (mut left, mut right) = (vec![heaps, held, arenas], vec![alarms, changed, times, live, peak]);
            let spare = |sections: &[Section]| area.height.saturating_sub(section::rows(sections));
            let side = if spare(&left) > spare(&right) { &mut left } else { &mut right };
            side.push(messages);
            (left, right)
        }
    };
    left.splice(0..0, loading);
    left.extend(loaded);
    let mut placed = section::stack(column, left);
    placed.extend(section::stack(beside, right));
    placed
}

impl View for Overview {
    fn title(&self) -> &'static str {
        "Overview"
    }

    fn about(&self) -> &'static str {
        "memory, runs, peak and alarms at a glance"
    }

    fn target(&self, area: Rect, model: &Model, at: Position) -> Option<Target> {
        // Colours take no room.
        let theme = Theme::new(Colours::None, false);
        let (section, frame) =
            places(area, model, &theme).into_iter().find(|(_, frame)| frame.contains(at))?;
        section::target(frame, &section, at)
    }

    fn draw(&self, buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
        for (section, frame) in places(area, model, theme) {
            section::draw(buffer, frame, &section, theme);
        }
    }
}
