//! Better orders for the nodes around the peak.

use alloc::vec::Vec;
use core::ops::Range;

use super::exact::exact;
use super::part::Cutter;
use super::region::{Region, Walk};

/// Nodes in a window, the smallest windows first.
const WIDTHS: [usize; 4] = [12, 24, 48, 96];

/// Steps that one window may take, as so many times going through it.
const PASSES: u64 = 2_000;

/// Orders the nodes of a window around the highest point anew, exactly if that is not too much work, as long as that
/// lowers the point; the order that is left.
///
/// ```text
///   bytes      .-^-.
///         __.-'     '-.___        the nodes in the window keep what is before and after them;
///   ____-'  [ window ]    '--     what is live at both its ends stays the same
/// ```
pub(crate) fn around_the_peak(region: &Region, order: &[u32], goal: u64, work: &mut u64) -> Vec<u32> {
    let mut order = order.to_vec();
    let mut cutter = Cutter::new(region);
    'higher: loop {
        let (peak, at) = region.peak(&order);
        if peak <= goal {
            return order;
        }
        for width in WIDTHS {
            for window in windows(at, width, order.len()) {
                if *work < region.cost() {
                    return order;
                }
                *work -= region.cost();
                if let Some(better) = reordered(region, &mut cutter, &order[..], &window, goal, work) {
                    order[window].copy_from_slice(&better);
                    continue 'higher;
                }
            }
            if width >= order.len() {
                break;
            }
        }
        return order;
    }
}

/// Windows of a width that hold a position: in the middle, at the end, at the beginning.
fn windows(at: usize, width: usize, count: usize) -> [Range<usize>; 3] {
    [width / 2, width - 1, 0].map(|before| {
        let start = at.saturating_sub(before).min(count.saturating_sub(width));
        start..(start + width).min(count)
    })
}

/// An order of a window's nodes with a lower peak.
fn reordered(
    region: &Region,
    cutter: &mut Cutter<'_>,
    order: &[u32],
    window: &Range<usize>,
    goal: u64,
    work: &mut u64,
) -> Option<Vec<u32>> {
    let mut walk = Walk::new(region);
    for &node in &order[..window.start] {
        walk.run(region, node);
    }
    let nodes = &order[window.clone()];
    let part = cutter.part(nodes, &walk);
    let limit = part.region.peak(&part.region.given()).0;
    let own = (part.region.cost() * PASSES).min(*work);
    let mut left = own;
    let found = exact(&part.region, goal.saturating_sub(part.base), limit, &mut left);
    *work -= own - left;
    Some(found.order?.into_iter().map(|local| nodes[local as usize]).collect())
}
