//! Beam search over down-sets, for regions with too many of them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::exact::{forced, key};
use super::region::{Region, Walk};

/// A way that the beam follows.
#[derive(Clone, Debug)]
struct Way {
    walk: Walk,
    ready: Vec<u32>,
    peak: u64,
    /// Of the set of nodes that have run.
    hash: u64,
    /// The last entry of its nodes in the log.
    last: Option<u32>,
}

/// A next step of a way, not taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    peak: u64,
    after: u64,
    node: u32,
    way: u32,
    hash: u64,
}

/// Which node ran, and the entry before.
type Log = Vec<(u32, Option<u32>)>;

/// An order with a peak below `limit`, and its peak, if following the `width` best sets of each size finds one.
/// Sets are kept once however they are reached, with the least peak; the best have the least peak, then the fewest
/// bytes live.
pub(crate) fn beam(region: &Region, width: usize, goal: u64, limit: u64) -> Option<(Vec<u32>, u64)> {
    let mut log = Log::new();
    let walk = Walk::new(region);
    let ready = (0..region.len() as u32).filter(|&node| walk.missing[node as usize] == 0).collect();
    let mut first = Way { peak: goal.max(walk.live), walk, ready, hash: 0, last: None };
    let mut done = close(region, &mut first, &mut log);
    // By the number of nodes that have run.
    let mut layers = BTreeMap::from([(done, Vec::from([first]))]);
    while let Some((size, ways)) = layers.pop_first() {
        if size == region.len() {
            let best = ways.into_iter().min_by_key(|way| way.peak)?;
            return Some((order(&log, best.last), best.peak));
        }
        for next in best(region, &ways, width, limit) {
            let mut way = ways[next.way as usize].clone();
            way.ready.retain(|&node| node != next.node);
            run(region, &mut way, next.node, &mut log);
            (way.peak, way.hash) = (next.peak, next.hash);
            done = size + 1 + close(region, &mut way, &mut log);
            let layer: &mut Vec<Way> = layers.entry(done).or_default();
            match layer.iter_mut().find(|other| other.hash == way.hash) {
                Some(other) if other.peak > way.peak => *other = way,
                Some(_) => {}
                None => layer.push(way),
            }
        }
    }
    None
}

/// The best steps of the ways of one layer, each to another set.
fn best(region: &Region, ways: &[Way], width: usize, limit: u64) -> Vec<Next> {
    let mut all = Vec::new();
    for (number, way) in ways.iter().enumerate() {
        for &node in &way.ready {
            let step = way.walk.step(region, node);
            let (peak, hash) = (way.peak.max(step.during), way.hash ^ key(node));
            if peak < limit {
                all.push(Next { peak, after: step.after, node, way: number as u32, hash });
            }
        }
    }
    all.sort_unstable();
    let mut chosen: Vec<Next> = Vec::with_capacity(width);
    for next in all {
        if chosen.len() == width {
            break;
        }
        if chosen.iter().all(|other| other.hash != next.hash) {
            chosen.push(next);
        }
    }
    chosen
}

/// Runs what may run at once; how many that are.
fn close(region: &Region, way: &mut Way, log: &mut Log) -> usize {
    let mut ran = Vec::new();
    forced(region, &mut way.walk, &mut way.ready, way.peak, |node| ran.push(node));
    for &node in &ran {
        way.hash ^= key(node);
        log.push((node, way.last));
        way.last = Some(log.len() as u32 - 1);
    }
    ran.len()
}

fn run(region: &Region, way: &mut Way, node: u32, log: &mut Log) {
    way.walk.run(region, node);
    let next = region.successors.of(node).iter();
    way.ready.extend(next.filter(|&&next| way.walk.missing[next as usize] == 0));
    way.ready.sort_unstable();
    log.push((node, way.last));
    way.last = Some(log.len() as u32 - 1);
}

/// The nodes of a way, in order.
fn order(log: &Log, last: Option<u32>) -> Vec<u32> {
    let step = |entry: &u32| log[*entry as usize].1;
    let mut nodes: Vec<u32> = core::iter::successors(last, step).map(|entry| log[entry as usize].0).collect();
    nodes.reverse();
    nodes
}
