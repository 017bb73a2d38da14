//! Greedy placement: the most demanding jobs first, each in the smallest gap that fits.

use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Context;
use super::gap::place_in_order;
use crate::sections::{Job, Sections};

/// Largest first, of equal sizes the earliest (TFLite's `GreedyBySize`; Pisarchyk and Lee, 2020).
pub(super) fn by_size(context: &Context<'_>) -> Vec<u64> {
    in_order(context.sections, |job| (Reverse(job.size), Reverse(0), job.start))
}

/// Largest first, of equal sizes the longest-lived (the spatial order of XLA's best-fit heap).
pub(super) fn by_size_lifetime(context: &Context<'_>) -> Vec<u64> {
    in_order(context.sections, |job| (Reverse(job.size), Reverse(u64::from(job.width)), 0))
}

/// Longest-lived first, of equal lives the largest (the temporal order of XLA's best-fit heap).
pub(super) fn by_lifetime_size(context: &Context<'_>) -> Vec<u64> {
    in_order(context.sections, |job| (Reverse(u64::from(job.width)), Reverse(job.size), 0))
}

/// Places the jobs by ascending key, those with equal keys in the problem's order.
fn in_order(sections: &Sections, key: impl Fn(&Job) -> (Reverse<u64>, Reverse<u64>, u32)) -> Vec<u64> {
    let mut order: Vec<u32> = (0..sections.jobs.len() as u32).collect();
    order.sort_by_cached_key(|&i| (key(&sections.jobs[i as usize]), i));
    place_in_order(sections, &order)
}
