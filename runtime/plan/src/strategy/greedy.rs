//! Greedy placement: the most demanding jobs first, each in the smallest gap that fits.

use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Context;
use super::gap::place_in_order;
use crate::sections::{Job, Sections};

/// Largest first (TFLite's `GreedyBySize`, XLA's spatial order); of equal sizes the earliest first.
pub(super) fn by_size(context: &Context<'_>) -> Vec<u64> {
    place_in_order(context.sections, &sorted(context.sections, |job| (job.size, 0)))
}

/// Longest-lived first (XLA's temporal order); of equal lives the largest first.
pub(super) fn by_lifetime(context: &Context<'_>) -> Vec<u64> {
    place_in_order(context.sections, &sorted(context.sections, |job| (u64::from(job.width), job.size)))
}

/// Job numbers by descending key, the one that starts earlier first on a tie.
fn sorted(sections: &Sections, key: impl Fn(&Job) -> (u64, u64)) -> Vec<u32> {
    let mut order: Vec<u32> = (0..sections.jobs.len() as u32).collect();
    order.sort_by_cached_key(|&i| {
        let job = &sections.jobs[i as usize];
        (Reverse(key(job)), job.start, i)
    });
    order
}
