//! Greedy placement: the most demanding jobs first, each in the smallest gap that fits.

use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Context;
use super::gap::{Rule, place_in_order};
use crate::sections::{Job, Sections};

/// What lives throughout, then the largest first, of equal sizes the earliest (TFLite's arena planner, whose
/// `GreedyBySize` is from Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
pub(super) fn by_size(context: &Context<'_>) -> Vec<u64> {
    let scope = context.scope;
    let key = |job: &Job| match job.start == scope.first && job.start + job.width == scope.last {
        true => (Reverse(u64::MAX), Reverse(0), 0),
        false => (Reverse(job.size), Reverse(0), job.start),
    };
    in_order(context.sections, Rule::AlignedToWhole, key)
}

/// Largest first, of equal sizes the longest-lived (the spatial order of XLA's best-fit heap).
pub(super) fn by_size_lifetime(context: &Context<'_>) -> Vec<u64> {
    let key = |job: &Job| (Reverse(job.size), Reverse(u64::from(job.width)), 0);
    in_order(context.sections, Rule::Aligned, key)
}

/// Longest-lived first, of equal lives the largest (the temporal order of XLA's best-fit heap).
pub(super) fn by_lifetime_size(context: &Context<'_>) -> Vec<u64> {
    let key = |job: &Job| (Reverse(u64::from(job.width)), Reverse(job.size), 0);
    in_order(context.sections, Rule::Aligned, key)
}

/// Places the jobs by ascending key, those with equal keys in the problem's order.
fn in_order(
    sections: &Sections,
    rule: Rule,
    key: impl Fn(&Job) -> (Reverse<u64>, Reverse<u64>, u32),
) -> Vec<u64> {
    let mut order: Vec<u32> = (0..sections.jobs.len() as u32).collect();
    order.sort_by_cached_key(|&i| (key(&sections.jobs[i as usize]), i));
    place_in_order(sections, &order, rule)
}
