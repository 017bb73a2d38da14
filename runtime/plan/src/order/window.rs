//! Better orders without a proof: beams, and windows around the peak.

use alloc::vec::Vec;
use core::ops::Range;

use super::beam::beam;
use super::exact::exact;
use super::part::{Cutter, Part};
use super::region::{Region, Walk};

/// Nodes in a window, the smallest windows first.
const WIDTHS: [usize; 4] = [12, 24, 48, 96];

/// Steps that one window may take, as so many times going through it.
const PASSES: u64 = 2_000;

/// Most nodes that are searched together; of larger regions so many around the peak.
pub(crate) const LARGE: usize = 1_000;

/// Widest beam: more has not paid on any graph measured.
const WIDEST: u64 = 256;

/// Looks for an order with a lower peak, beginning with a known one: a beam in either direction of time, then windows
/// around the peak. The best order found.
pub(crate) fn approximate(region: &Region, known: &[u32], goal: u64, work: &mut u64) -> Vec<u32> {
    if region.len() > LARGE {
        return by_segments(region, known, goal, work);
    }
    let (mut best, mut peak) = (known.to_vec(), region.peak(known).0);
    let turned = region.turned();
    for (region, backward) in [(region, false), (&turned, true)] {
        let layer = region.cost() / 4 * region.len() as u64;
        let width = (*work / 4 / layer.max(1)).min(WIDEST);
        if width < 2 || peak <= goal {
            continue;
        }
        *work = work.saturating_sub(width * layer);
        if let Some((mut order, lower)) = beam(region, width as usize, goal, peak) {
            if backward {
                order.reverse();
            }
            (best, peak) = (order, lower);
        }
    }
    around_the_peak(region, &best, goal, work)
}

/// Improves the segment around the peak, as long as that lowers it.
fn by_segments(region: &Region, known: &[u32], goal: u64, work: &mut u64) -> Vec<u32> {
    let (mut order, mut cutter) = (known.to_vec(), Cutter::new(region));
    loop {
        let (peak, at) = region.peak(&order);
        if peak <= goal || *work < 4 * region.cost() {
            return order;
        }
        *work -= 2 * region.cost();
        let [segment, ..] = windows(at, LARGE, order.len());
        let (part, nodes) = cut(region, &mut cutter, &order, &segment);
        let given = part.region.given();
        let before = part.region.peak(&given).0;
        let mut own = *work / 8;
        *work -= own;
        let better = approximate(&part.region, &given, goal.saturating_sub(part.base), &mut own);
        *work += own;
        if part.region.peak(&better).0 >= before {
            return order;
        }
        let nodes: Vec<u32> = better.iter().map(|&local| nodes[local as usize]).collect();
        order[segment].copy_from_slice(&nodes);
    }
}

/// A range of an order as a part, with its nodes.
fn cut(region: &Region, cutter: &mut Cutter<'_>, order: &[u32], range: &Range<usize>) -> (Part, Vec<u32>) {
    let mut walk = Walk::new(region);
    for &node in &order[..range.start] {
        walk.run(region, node);
    }
    let nodes = order[range.clone()].to_vec();
    (cutter.part(&nodes, &walk), nodes)
}

/// Orders the nodes of a window around the highest point anew, exactly if that is not too much work, as long as that
/// lowers the point; the order that is left.
///
/// ```text
///   bytes      .-^-.
///         __.-'     '-.___        the nodes in the window keep what is before and after them;
///   ____-'  [ window ]    '--     what is live at both its ends stays the same
/// ```
fn around_the_peak(region: &Region, order: &[u32], goal: u64, work: &mut u64) -> Vec<u32> {
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
    let (part, nodes) = cut(region, cutter, order, window);
    let limit = part.region.peak(&part.region.given()).0;
    let own = (part.region.cost() * PASSES).min(*work);
    let mut left = own;
    let found = exact(&part.region, goal.saturating_sub(part.base), limit, &mut left);
    *work -= own - left;
    Some(found.order?.into_iter().map(|local| nodes[local as usize]).collect())
}
