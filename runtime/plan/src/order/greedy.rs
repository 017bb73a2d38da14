//! Orders made in one pass: list scheduling and depth first search.

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::region::{Region, Walk};

/// List scheduling: always the node that can run and adds the fewest bytes (frees the most), of equal ones the one that
/// needs the fewest meanwhile, then the first. What a node adds only shrinks while others run, so a heap is enough:
/// a node is put there anew whenever it adds less than before.
pub(crate) fn list(region: &Region) -> Vec<u32> {
    let users = region.touches.reversed(region.values.len());
    let mut walk = Walk::new(region);
    let mut ran = vec![false; region.len()];
    let mut heap = BinaryHeap::new();
    let weigh = |walk: &Walk, node: u32| {
        let step = walk.step(region, node);
        let added = i128::from(step.after) + i128::from(walk.idle) - i128::from(walk.live);
        Reverse((added, step.during.saturating_sub(walk.live), node))
    };
    heap.extend((0..region.len() as u32).filter(|&n| walk.missing[n as usize] == 0).map(|n| weigh(&walk, n)));
    let mut order = Vec::with_capacity(region.len());
    while let Some(entry) = heap.pop() {
        let Reverse((_, _, node)) = entry;
        if ran[node as usize] || entry != weigh(&walk, node) {
            continue;
        }
        let begins: Vec<bool> =
            region.touches.of(node).iter().map(|&value| !walk.started[value as usize]).collect();
        walk.run(region, node);
        ran[node as usize] = true;
        order.push(node);
        for (&value, begins) in region.touches.of(node).iter().zip(begins) {
            if begins || walk.left[value as usize] == 1 {
                let users = users.of(value).iter().filter(|&&n| !ran[n as usize]);
                heap.extend(users.filter(|&&n| walk.missing[n as usize] == 0).map(|&n| weigh(&walk, n)));
            }
        }
        let next = region.successors.of(node).iter();
        heap.extend(next.filter(|&&n| walk.missing[n as usize] == 0).map(|&n| weigh(&walk, n)));
    }
    order
}

/// Depth first from the nodes that nothing follows, in the given order: before a node runs all that it needs, first
/// the operand with the largest need beyond its result (Sethi and Ullman 1970: on trees whose results all stay until
/// they are read this is best; shared operands are counted wherever they are read).
pub(crate) fn depth_first(region: &Region) -> Vec<u32> {
    let count = region.len() as u32;
    let made = made(region);
    let mut need = vec![0u64; region.len()];
    let mut operands: Vec<Vec<u32>> = vec![vec![]; region.len()];
    for node in 0..count {
        let mut list = region.predecessors.of(node).to_vec();
        list.sort_by_key(|&n| (Reverse(need[n as usize].saturating_sub(made[n as usize])), n));
        let mut held = 0u64;
        for &operand in &list {
            need[node as usize] = need[node as usize].max(held.saturating_add(need[operand as usize]));
            held = held.saturating_add(made[operand as usize]);
        }
        let own = made[node as usize] + region.scratch[node as usize];
        need[node as usize] = need[node as usize].max(held.saturating_add(own));
        operands[node as usize] = list;
    }
    let (mut order, mut seen) = (Vec::with_capacity(region.len()), vec![false; region.len()]);
    let mut stack: Vec<(u32, usize)> = Vec::new();
    for root in (0..count).filter(|&node| region.successors.of(node).is_empty()) {
        if !seen[root as usize] {
            seen[root as usize] = true;
            stack.push((root, 0));
        }
        while let Some((node, at)) = stack.last_mut() {
            let Some(&operand) = operands[*node as usize].get(*at) else {
                order.push(*node);
                stack.pop();
                continue;
            };
            *at += 1;
            if !seen[operand as usize] {
                seen[operand as usize] = true;
                stack.push((operand, 0));
            }
        }
    }
    order
}

/// For each node, the bytes of what begins with it in the given order.
fn made(region: &Region) -> Vec<u64> {
    let mut started: Vec<bool> = region.values.iter().map(|held| held.started).collect();
    let mut made = vec![0; region.len()];
    for node in 0..region.len() as u32 {
        for &value in region.touches.of(node) {
            if !core::mem::replace(&mut started[value as usize], true) {
                made[node as usize] += region.values[value as usize].size;
            }
        }
    }
    made
}
