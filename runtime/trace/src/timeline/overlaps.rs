//! Buffers that share bytes while both are alive, by what was seen.
//!
//! ```text
//!  bytes │      ┌──────┐
//!        │ ┌────┼──┐ B │        A and B share bytes during ops 3..5
//!        │ │ A  └──┼───┘
//!        │ └───────┘
//!        └──1───3──5───8── ops
//! ```

use alloc::vec::Vec;

use crate::map::number_set::NumberSet;
use crate::schema::event::UNPLANNED;
use crate::schema::plan_record::PlanRecord;
use crate::schema::storage::roots;
use crate::timeline::alarms::Alarm;
use crate::timeline::plan_state::{Actual, Stray, taken};

/// Bytes of an arena as they were taken by a storage.
#[derive(Clone, Copy, Debug)]
struct Life {
    /// The buffer seen; of several views, the first.
    buffer: u32,
    root: u32,
    seen: Actual,
}

/// Finds up to `limit` overlaps. Time grows with n log n of what was seen, and with what is found.
pub(crate) fn overlaps(
    plan: &PlanRecord,
    actual: &[Option<Actual>],
    strays: &[Stray],
    limit: usize,
) -> Vec<Alarm> {
    let roots = roots(plan);
    let mut lives = lives(plan, &roots, actual, strays);
    // By byte: the place in this order is the place in the tree.
    lives.sort_unstable_by_key(|life| (life.seen.arena, life.seen.offset, life.seen.end, life.buffer));
    let shared = handed_over(plan, &roots);
    let mut found = Vec::new();
    for lives in lives.chunk_by(|a, b| a.seen.arena == b.seen.arena) {
        sweep(lives, |a, b| {
            if let Some(alarm) = overlap(plan, &shared, a, b) {
                found.push(alarm);
            }
            found.len() < limit
        });
        if found.len() >= limit {
            break;
        }
    }
    found
}

/// One life per storage within its planned bytes, and one per place outside.
fn lives(plan: &PlanRecord, roots: &[u32], actual: &[Option<Actual>], strays: &[Stray]) -> Vec<Life> {
    let ops = plan.ops.len() as u32;
    let seen =
        (0..).zip(&plan.buffers).zip(roots).zip(actual).filter_map(|(((number, buffer), &root), seen)| {
            let (first, last) = taken(buffer, ops, (*seen)?);
            Some(Life { buffer: number, root, seen: Actual { first, last, ..(*seen)? } })
        });
    let outside = strays.iter().filter(|stray| stray.seen.arena != UNPLANNED).map(|stray| {
        let root = roots.get(stray.buffer as usize).copied().unwrap_or(UNPLANNED);
        Life { buffer: stray.buffer, root, seen: stray.seen }
    });
    let is_real = |life: &Life| life.seen.first < life.seen.last;
    if plan.buffers.iter().all(|buffer| buffer.alias_of.is_none()) {
        return seen.chain(outside).filter(is_real).collect();
    }
    let mut home: Vec<Option<Life>> = alloc::vec![None; plan.buffers.len()];
    for new in seen {
        let slot = &mut home[new.root as usize];
        *slot = Some(slot.map_or(new, |life| Life { seen: life.seen.join(new.seen), ..life }));
    }
    home.into_iter().flatten().chain(outside).filter(is_real).collect()
}

/// Pairs of storages of which one takes over the other's bytes in place, in order.
fn handed_over(plan: &PlanRecord, roots: &[u32]) -> Vec<(u32, u32)> {
    let pairs = plan.buffers.iter().zip(roots).filter_map(|(buffer, &root)| {
        let before = *roots.get(buffer.in_place_of? as usize)?;
        Some((root.min(before), root.max(before)))
    });
    let mut pairs: Vec<(u32, u32)> = pairs.collect();
    pairs.sort_unstable();
    pairs
}

fn overlap(plan: &PlanRecord, shared: &[(u32, u32)], a: &Life, b: &Life) -> Option<Alarm> {
    let ops = (a.seen.first.max(b.seen.first), a.seen.last.min(b.seen.last));
    let same = a.root == b.root && a.root != UNPLANNED;
    let pair = (a.root.min(b.root), a.root.max(b.root));
    if same || (shared.binary_search(&pair).is_ok() && together(plan, a, b, ops)) {
        return None;
    }
    let bytes = (a.seen.offset.max(b.seen.offset), a.seen.end.min(b.seen.end));
    Some(Alarm::Overlap { a: a.buffer, b: b.buffer, arena: a.seen.arena, bytes, ops })
}

/// Whether the plan has both alive at these ops, as it has where the one takes over from the other. Beyond them the
/// bytes of the one that was overwritten are gone while it is still used.
fn together(plan: &PlanRecord, a: &Life, b: &Life, ops: (u32, u32)) -> bool {
    let (Some(a), Some(b)) = (plan.buffers.get(a.root as usize), plan.buffers.get(b.root as usize)) else {
        return false;
    };
    a.first.max(b.first) <= ops.0 && ops.1 <= a.last.min(b.last)
}

/// Tells every pair of lives (of one arena, ordered by offset) that share an op and a byte, until told to stop.
///
/// Nearly all that live at once lie apart from each other: of those, only the next ones below and above a new one can share a
/// byte with it. What lies over others is kept beside them.
fn sweep(lives: &[Life], mut found: impl FnMut(&Life, &Life) -> bool) {
    let mut deaths = in_order(lives, |seen| seen.last).into_iter().peekable();
    let mut apart = NumberSet::new(lives.len());
    let mut over: Option<Ends> = None;
    let mut met = Vec::new();
    for (_, birth) in in_order(lives, |seen| seen.first) {
        let new = &lives[birth as usize].seen;
        while let Some((_, dead)) = deaths.next_if(|(last, _)| *last <= new.first) {
            apart.remove(dead as usize);
            over.iter_mut().for_each(|over| over.set(dead as usize, 0));
        }
        met.clear();
        neighbours(lives, &apart, birth as usize, &mut met);
        let lies_apart = met.is_empty();
        if let Some(over) = &over {
            over.above(lives.partition_point(|life| life.seen.offset < new.end), new.offset, &mut met);
            met.sort_unstable_by_key(|&at| core::cmp::Reverse(at));
        }
        for &at in &met {
            if !found(&lives[at], &lives[birth as usize]) {
                return;
            }
        }
        match lies_apart {
            true => apart.insert(birth as usize),
            false => over.get_or_insert_with(|| Ends::new(lives.len())).set(birth as usize, new.end),
        }
    }
}

/// The places of lives, ordered by an op of each.
fn in_order(lives: &[Life], op: impl Fn(&Actual) -> u32) -> Vec<(u32, u32)> {
    let mut places: Vec<(u32, u32)> = lives.iter().zip(0..).map(|(life, at)| (op(&life.seen), at)).collect();
    places.sort_unstable();
    places
}

/// The places, the highest first, of those that share a byte with a life, among lives that lie apart from each other.
fn neighbours(lives: &[Life], apart: &NumberSet, place: usize, met: &mut Vec<usize>) {
    let new = &lives[place].seen;
    let meets = |at: &usize| {
        let seen = &lives[*at].seen;
        seen.offset < new.end && new.offset < seen.end
    };
    let above = core::iter::successors(apart.from(place), |at| apart.from(at + 1));
    met.extend(above.take_while(meets));
    met.reverse();
    let below = core::iter::successors(apart.below(place), |at| apart.below(*at));
    met.extend(below.take_while(meets));
}

/// The ends of the live byte ranges in order of their starts, 0 for the others, under a tree of maxima.
struct Ends {
    /// Leaves at `width..`, the parent of `at` is `at / 2`.
    tree: Vec<u64>,
    width: usize,
}

impl Ends {
    fn new(count: usize) -> Self {
        // One leaf more than places: a search may begin one past the last.
        let width = (count + 1).next_power_of_two();
        Self { tree: alloc::vec![0; 2 * width], width }
    }

    fn set(&mut self, place: usize, end: u64) {
        let mut at = self.width + place;
        self.tree[at] = end;
        while at > 1 {
            at /= 2;
            self.tree[at] = self.tree[2 * at].max(self.tree[2 * at + 1]);
        }
    }

    /// The places before `place` whose ends lie above `byte`, the highest first.
    fn above(&self, place: usize, byte: u64, found: &mut Vec<usize>) {
        found.extend(core::iter::successors(self.last_above(place, byte), |at| self.last_above(*at, byte)));
    }

    /// The last place before `place` whose end lies above `byte`.
    fn last_above(&self, place: usize, byte: u64) -> Option<usize> {
        let mut at = self.width + place;
        // Up, until a subtree to the left holds one.
        while at.is_multiple_of(2) || self.tree[at - 1] <= byte {
            at /= 2;
            if at <= 1 {
                return None;
            }
        }
        at -= 1;
        // Down, to the right where it holds one.
        while at < self.width {
            at = 2 * at + usize::from(self.tree[2 * at + 1] > byte);
        }
        Some(at - self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn life(buffer: u32, ops: (u32, u32), bytes: (u64, u64)) -> Life {
        let seen = Actual { first: ops.0, last: ops.1, arena: 0, offset: bytes.0, end: bytes.1 };
        Life { buffer, root: buffer, seen }
    }

    proptest! {
        #[test]
        fn sweep_finds_every_pair_once(
            rectangles in proptest::collection::vec((0u32..12, 1u32..5, 0u64..40, 1u64..9), 0..24)
        ) {
            let mut lives: Vec<Life> = (0..)
                .zip(&rectangles)
                .map(|(at, &(op, ops, byte, bytes))| life(at, (op, op + ops), (byte, byte + bytes)))
                .collect();
            lives.sort_unstable_by_key(|life| (life.seen.offset, life.seen.end, life.buffer));
            let mut found = Vec::new();
            sweep(&lives, |a, b| {
                found.push((a.buffer.min(b.buffer), a.buffer.max(b.buffer)));
                true
            });
            found.sort_unstable();
            let meets = |a: &Actual, b: &Actual| {
                a.first < b.last && b.first < a.last && a.offset < b.end && b.offset < a.end
            };
            let mut expect = Vec::new();
            for (at, a) in lives.iter().enumerate() {
                for b in lives[at + 1..].iter().filter(|b| meets(&a.seen, &b.seen)) {
                    expect.push((a.buffer.min(b.buffer), a.buffer.max(b.buffer)));
                }
            }
            expect.sort_unstable();
            prop_assert_eq!(found, expect);
        }
    }

    #[test]
    fn sweep_stops_when_told() {
        let lives: Vec<Life> = (0..100).map(|at| life(at, (0, 5), (0, 10))).collect();
        let mut count = 0;
        sweep(&lives, |_, _| {
            count += 1;
            count < 7
        });
        assert_eq!(count, 7);
    }
}
