//! The views: one file and one row each.

mod bay_plan;
mod bay_plan_map;
mod inspector;
mod overview;

use crate::view::View;

/// Every view, in the order of their tabs and numbers.
pub(crate) const VIEWS: &[&dyn View] = &[&overview::Overview, &bay_plan::BayPlan];

pub(crate) use inspector::details;
