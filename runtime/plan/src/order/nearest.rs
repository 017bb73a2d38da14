//! An order as near to the given one as its peak permits.

use alloc::vec;
use alloc::vec::Vec;

use super::region::{Region, Walk};

/// Moves the nodes of an order forward to where the given order has them, as long as no more than `limit` bytes are held
/// at once. Nodes that nobody had to move stay where people look for them, and fewer barriers are needed: the given
/// order mostly has what is independent side by side.
///
/// ```text
///   given    0 1 2 3 4 5          5 had to move before 2 for its memory,
///   order    3 0 5 1 4 2          the others only happened to
///   nearest  0 1 5 2 3 4
/// ```
pub(crate) fn nearest(region: &Region, order: &[u32], limit: u64, work: &mut u64) -> Vec<u32> {
    let (mut order, mut walk) = (order.to_vec(), Walk::new(region));
    let (mut next, mut ran) = (0, vec![false; order.len()]);
    for at in 0..order.len() {
        // In the given order nodes are numbered as they run, so the first that has not run can.
        while ran[next as usize] {
            next += 1;
        }
        let found = order[at..].iter().position(|&node| node == next).unwrap_or(0);
        let cost = region.cost() / 8 + found as u64;
        if found > 0 && *work >= cost {
            *work -= cost;
            let mut trial = walk.clone();
            let moved = core::iter::once(&next).chain(&order[at..at + found]);
            if moved.into_iter().all(|&node| trial.run(region, node) <= limit) {
                order[at..=at + found].rotate_right(1);
            }
        }
        walk.run(region, order[at]);
        ran[order[at] as usize] = true;
    }
    order
}
