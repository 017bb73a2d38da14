//! Which rectangles of the map lie where: trees of bounds over rectangles that lie near each other.

use alloc::vec::Vec;

use crate::map::axis::scale;

/// A buffer on the map: ops from `first` to before `last`, bytes from `low` to before `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rect {
    pub(crate) number: u32,
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) low: u64,
    pub(crate) high: u64,
}

/// What is looked for: whatever touches these ops and bytes, and is at least so long and so high.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query {
    pub(crate) ops: (u32, u32),
    pub(crate) bytes: (u64, u64),
    pub(crate) least: (u32, u64),
}

/// Rectangles or bounds under one bound.
const FAN: usize = 16;
/// A rectangle that takes more than this part of an axis is kept with others of the kind: it would widen the bounds of
/// small ones beside it.
const PART: u64 = 64;

/// All rectangles of an arena, in four trees: long ones, high ones, both and neither.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forest([Tree; 4]);

#[derive(Clone, Debug, Default)]
struct Tree {
    leaves: Vec<Rect>,
    /// The lowest level first: each bound is over `FAN` of the level below.
    levels: Vec<Vec<Bound>>,
}

#[derive(Clone, Copy, Debug)]
struct Bound {
    ops: (u32, u32),
    bytes: (u64, u64),
    /// The longest and the highest rectangle under it.
    most: (u32, u64),
}

impl Query {
    fn may_hold(&self, bound: &Bound) -> bool {
        let touches = bound.ops.0 < self.ops.1
            && bound.ops.1 > self.ops.0
            && bound.bytes.0 < self.bytes.1
            && bound.bytes.1 > self.bytes.0;
        touches && bound.most.0 >= self.least.0 && bound.most.1 >= self.least.1
    }

    fn holds_all(&self, bound: &Bound) -> bool {
        let inside = bound.ops.0 >= self.ops.0
            && bound.ops.1 <= self.ops.1
            && bound.bytes.0 >= self.bytes.0
            && bound.bytes.1 <= self.bytes.1;
        inside && self.least == (0, 0)
    }
}

impl Bound {
    fn of(rect: &Rect) -> Self {
        let (length, height) = (rect.last - rect.first, rect.high - rect.low);
        Self { ops: (rect.first, rect.last), bytes: (rect.low, rect.high), most: (length, height) }
    }

    fn join(self, other: Self) -> Self {
        Self {
            ops: (self.ops.0.min(other.ops.0), self.ops.1.max(other.ops.1)),
            bytes: (self.bytes.0.min(other.bytes.0), self.bytes.1.max(other.bytes.1)),
            most: (self.most.0.max(other.most.0), self.most.1.max(other.most.1)),
        }
    }
}

impl Forest {
    /// Plants the trees. Rectangles may not be empty. Time grows with n log n.
    pub(crate) fn new(rects: impl Iterator<Item = Rect>, ops: u32, bytes: u64) -> Self {
        let mut kinds: [Vec<Rect>; 4] = Default::default();
        for rect in rects {
            let long = u64::from(rect.last - rect.first) > u64::from(ops) / PART;
            let high = rect.high - rect.low > bytes / PART;
            kinds[usize::from(long) + 2 * usize::from(high)].push(rect);
        }
        Self(kinds.map(|rects| Tree::new(rects, ops, bytes)))
    }

    /// Tells of every rectangle that is looked for, until told to stop.
    pub(crate) fn visit(&self, query: &Query, mut found: impl FnMut(&Rect) -> bool) {
        for tree in &self.0 {
            if !tree.visit(query, &mut found) {
                return;
            }
        }
    }

    /// How many rectangles touch these ops and bytes; once there are more than `limit`, some number above it.
    pub(crate) fn count(&self, query: &Query, limit: usize) -> usize {
        let mut count = 0;
        for tree in &self.0 {
            count += tree.count(query, limit);
            if count > limit {
                break;
            }
        }
        count
    }
}

impl Tree {
    fn new(mut rects: Vec<Rect>, ops: u32, bytes: u64) -> Self {
        let place = |rect: &Rect| {
            let x = scale(u64::from(rect.first / 2 + rect.last / 2), 0xffff, u64::from(ops.max(1)));
            let y = scale(rect.low / 2 + rect.high / 2, 0xffff, bytes.max(1));
            spread(x) | spread(y) << 1
        };
        rects.sort_by_cached_key(place);
        let mut levels: Vec<Vec<Bound>> = Vec::new();
        let mut bounds: Vec<Bound> = join(rects.iter().map(Bound::of), rects.len());
        while bounds.len() > 1 {
            let above = join(bounds.iter().copied(), bounds.len());
            levels.push(core::mem::replace(&mut bounds, above));
        }
        levels.push(bounds);
        Self { leaves: rects, levels }
    }

    /// Returns whether to go on.
    fn visit(&self, query: &Query, found: &mut impl FnMut(&Rect) -> bool) -> bool {
        let mut waiting = self.tops();
        while let Some((level, at)) = waiting.pop() {
            if !self.bound(level, at).is_some_and(|bound| query.may_hold(bound)) {
                continue;
            }
            if level > 0 {
                waiting.extend((at * FAN..(at + 1) * FAN).rev().map(|below| (level - 1, below)));
                continue;
            }
            let rects = self.leaves.iter().skip(at * FAN).take(FAN);
            for rect in rects.filter(|rect| query.may_hold(&Bound::of(rect))) {
                if !found(rect) {
                    return false;
                }
            }
        }
        true
    }

    fn count(&self, query: &Query, limit: usize) -> usize {
        let mut count = 0;
        let mut waiting = self.tops();
        while let Some((level, at)) = waiting.pop() {
            let Some(bound) = self.bound(level, at).filter(|bound| query.may_hold(bound)) else { continue };
            let each = FAN.pow(level as u32 + 1);
            if query.holds_all(bound) {
                count += each.min(self.leaves.len() - at * each);
            } else if level > 0 {
                waiting.extend((at * FAN..(at + 1) * FAN).map(|below| (level - 1, below)));
            } else {
                let rects = self.leaves.iter().skip(at * FAN).take(FAN);
                count += rects.filter(|rect| query.may_hold(&Bound::of(rect))).count();
            }
            if count > limit {
                break;
            }
        }
        count
    }

    fn tops(&self) -> Vec<(usize, usize)> {
        let top = self.levels.len().checked_sub(1);
        top.map(|top| (top, 0)).into_iter().collect()
    }

    fn bound(&self, level: usize, at: usize) -> Option<&Bound> {
        self.levels.get(level)?.get(at)
    }
}

/// The bounds over every `FAN` of these.
fn join(bounds: impl Iterator<Item = Bound>, count: usize) -> Vec<Bound> {
    let mut joined: Vec<Bound> = Vec::with_capacity(count.div_ceil(FAN));
    for (at, bound) in bounds.enumerate() {
        match joined.last_mut().filter(|_| at % FAN > 0) {
            Some(last) => *last = last.join(bound),
            None => joined.push(bound),
        }
    }
    joined
}

/// The low 16 bits with a gap of one after each: two such numbers interleaved order a plane so that what is near stays
/// near (Morton 1966).
fn spread(value: u64) -> u32 {
    let mut bits = (value & 0xffff) as u32;
    for (by, mask) in [(8, 0x00ff_00ff), (4, 0x0f0f_0f0f), (2, 0x3333_3333), (1, 0x5555_5555)] {
        bits = (bits | bits << by) & mask;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn everything_that_is_looked_for_is_found_once(
            rects in prop::collection::vec((0u32..1000, 1u32..400, 0u64..100_000, 1u64..50_000), 0..400),
            (op, ops, byte, bytes) in (0u32..1000, 1u32..1000, 0u64..100_000, 1u64..100_000),
            least in (0u32..300, 0u64..30_000),
        ) {
            let rects: Vec<Rect> = (0..).zip(&rects).map(|(number, &(first, length, low, height))| {
                Rect { number, first, last: first + length, low, high: low + height }
            }).collect();
            let forest = Forest::new(rects.iter().copied(), 1400, 150_000);
            for least in [least, (0, 0)] {
                let query = Query { ops: (op, op + ops), bytes: (byte, byte + bytes), least };
                let mut found = Vec::new();
                forest.visit(&query, |rect| {
                    found.push(rect.number);
                    true
                });
                found.sort_unstable();
                let wanted = |r: &&Rect| {
                    r.first < op + ops && r.last > op && r.low < byte + bytes && r.high > byte
                        && r.last - r.first >= least.0 && r.high - r.low >= least.1
                };
                let expected: Vec<u32> = rects.iter().filter(wanted).map(|rect| rect.number).collect();
                prop_assert_eq!(forest.count(&query, usize::MAX), expected.len());
                prop_assert!(forest.count(&query, 3) > 3 || expected.len() <= 3);
                prop_assert_eq!(found, expected);
            }
        }
    }
}
