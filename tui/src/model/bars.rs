//! Lifetimes as bars: what each stretch of ops says of a tensor.

use bayplan_trace::{Alarm, BufferKind, BufferRecord, MapState, PlanState};

use super::place::AlarmPlace;
use super::viewport::Axis;
use super::{Model, Playhead};

/// Whether an alarm of a plan names a buffer.
pub(crate) fn names(alarm: &Alarm, number: u32) -> bool {
    match alarm {
        Alarm::Moved { buffer, .. } | Alarm::Late { buffer, .. } => *buffer == number,
        Alarm::Overlap { a, b, .. } => *a == number || *b == number,
        Alarm::Unplanned { .. } => false,
    }
}

/// The kinds of alarms that name a buffer, each once.
pub(crate) fn alarm_kinds(plan: &PlanState, number: u32) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    for alarm in plan.alarms().iter().filter(|alarm| names(alarm, number)) {
        if !kinds.contains(&alarm.kind()) {
            kinds.push(alarm.kind());
        }
    }
    kinds
}

/// The ops at which a buffer is not as planned, half-open.
fn deviant(plan: &PlanState, number: u32, buffer: &BufferRecord) -> Vec<(u64, u64)> {
    let mut found: Vec<(u64, u64)> = plan
        .alarms()
        .iter()
        .filter(|alarm| names(alarm, number))
        .filter_map(|alarm| Some(AlarmPlace::of(plan, alarm)?.ops))
        .collect();
    // Alarms are listed up to a limit; lateness shows all the same.
    if let Some(seen) = plan.actual.get(number as usize).copied().flatten() {
        let late = [(seen.first, buffer.first), (buffer.last, seen.last)];
        found.extend(
            late.into_iter().filter(|(from, to)| from < to).map(|(from, to)| (from.into(), to.into())),
        );
    }
    found
}

/// The ops at which a buffer was seen, half-open. No window shows when the caller writes an input or lets an output go, nor
/// that resident bytes stay: there the plan's word is taken.
fn seen(plan: &PlanState, number: u32, buffer: &BufferRecord) -> Option<(u64, u64)> {
    let seen = plan.actual.get(number as usize).copied().flatten()?;
    let (first, last) = match buffer.kind {
        BufferKind::Input => (seen.first.min(buffer.first), seen.last),
        BufferKind::Output => (seen.first, seen.last.max(buffer.last)),
        BufferKind::Weight | BufferKind::Constant => (buffer.first, buffer.last),
        BufferKind::Activation | BufferKind::Scratch => (seen.first, seen.last),
    };
    Some((first.into(), last.into()))
}

impl Model {
    /// The bar of a tensor over the ops of an axis in so many cells.
    pub(crate) fn bar(&self, number: u32, ops: &Axis, cells: u16) -> Vec<MapState> {
        let Some(plan) = self.plan() else { return Vec::new() };
        let Some(buffer) = plan.record.buffers.get(number as usize) else { return Vec::new() };
        let planned = (u64::from(buffer.first), u64::from(buffer.last));
        let (seen, deviant) = (seen(plan, number, buffer), deviant(plan, number, buffer));
        let reached = self.playhead().reached().map_or(u64::MAX, u64::from);
        let lives = matches!(self.playhead(), Playhead::At(op) if buffer.lives_at(op));
        let part = |(from, to): (u64, u64)| {
            let meets = |(first, last): (u64, u64)| first < to && from < last;
            if deviant.iter().any(|ops| meets(*ops)) {
                MapState::Deviant
            } else if !meets(planned) {
                MapState::Free
            } else if from >= reached || !seen.is_some_and(meets) {
                MapState::Planned
            } else if lives {
                MapState::Live
            } else {
                MapState::Seen
            }
        };
        (0..u64::from(cells)).map(|cell| part(ops.span(cell, cells.into()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture_tests::small;

    fn bars(faults: bool, cells: u16) -> Vec<String> {
        let model = small(faults);
        let ops = model.arena().unwrap().view.ops;
        let glyph = |part: &MapState| match part {
            MapState::Free => ' ',
            MapState::Planned => '.',
            MapState::Seen => '-',
            MapState::Live => '#',
            MapState::Deviant => 'x',
        };
        (0..8).map(|number| model.bar(number, &ops, cells).iter().map(glyph).collect()).collect()
    }

    #[test]
    fn bars_show_what_was_planned_and_what_was_seen() {
        // Ten ops, one cell each; the run is at op 4.
        assert_eq!(
            bars(false, 10),
            [
                "---       ",
                " ---      ",
                "  ###     ",
                "   ##.    ",
                "    #.... ",
                "    #...  ",
                "      ..  ",
                "        ..",
            ]
        );
        // The key is elsewhere, the scores are read three ops late, gelu lies over the context.
        let faulty = bars(true, 10);
        assert_eq!(faulty[2], "  x#x     ".replace('#', "."), "{faulty:?}");
        assert!(faulty[3].ends_with("xx  "), "{faulty:?}");
        assert!(faulty[4].contains('x') && faulty[6].contains('x'), "{faulty:?}");
        assert_eq!((&faulty[0], &faulty[7]), (&bars(false, 10)[0], &bars(false, 10)[7]));
    }

    #[test]
    fn nothing_vanishes_where_many_ops_share_a_cell() {
        for cells in 1..30 {
            for bar in bars(false, cells) {
                assert!(
                    bar.chars().count() == usize::from(cells) && !bar.trim().is_empty(),
                    "{cells}: {bar:?}"
                );
            }
        }
    }

    #[test]
    fn alarms_are_told_of_the_tensors_that_they_name() {
        let model = small(true);
        let plan = model.plan().unwrap();
        let kinds: Vec<Vec<&str>> = (0..8).map(|number| alarm_kinds(plan, number)).collect();
        assert_eq!(kinds[0], Vec::<&str>::new());
        assert_eq!(kinds[2], ["deviation"]);
        assert_eq!(kinds[3], ["deviation"]);
        assert!(kinds[4].contains(&"overlap") && kinds[6].contains(&"overlap"), "{kinds:?}");
    }
}
