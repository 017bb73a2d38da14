//! The views: one file and one row each.

mod bay_plan;
mod bay_plan_map;
mod diff;
mod diff_moments;
pub(crate) mod diff_text;
mod events;
mod fragmentation;
mod fragmentation_lines;
mod ghost;
mod inspector;
mod lifetimes;
mod op_axis;
mod op_details;
mod operators;
mod overview;
mod overview_memory;
mod overview_runs;
mod overview_weights;
mod section;
mod why_not_smaller;
mod why_peak;

use crate::model::{ArenaView, Model, explain};
use crate::view::View;

pub(crate) use inspector::details;
pub(crate) use op_details::op_details;
pub(crate) use why_not_smaller::{WhyNotSmaller, example};
pub(crate) use why_peak::WhyPeak;

/// Every view, in the order of their tabs.
pub(crate) const VIEWS: &[&dyn View] = &[
    &overview::Overview,
    &bay_plan::BayPlan,
    &lifetimes::Lifetimes,
    &fragmentation::Fragmentation,
    &operators::Operators,
    &events::Events,
    &diff::Diff,
];

/// The name of the arena that is looked at, made safe to show.
pub(crate) fn arena_name(arena: &ArenaView<'_>) -> String {
    let name = &arena.plan.record.arenas[arena.arena as usize].name;
    explain::name_of(name, "arena", arena.arena)
}

/// The views that the session has something for, with their numbers in [`VIEWS`]; their tabs are counted as they stand here.
pub(crate) fn listed(model: &Model) -> impl Iterator<Item = (usize, &'static dyn View)> + '_ {
    VIEWS.iter().copied().enumerate().filter(|(_, view)| view.is_listed(model))
}
