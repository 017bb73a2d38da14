//! The buffers of an arena in the order of their bytes, in groups of which is known what they come to where all of them live.
//!
//! ```text
//!  bytes ─►  ▐ group ▌▐ group ▌▐ group ▌▐ group ▌
//!  at an op    none      all     some      all        a group of which all live, and one of which none does, is passed in
//!               live    live     live     live        one step; of the others each buffer is looked at
//! ```

use alloc::vec::Vec;

use crate::map::tree::Rect;
use crate::metrics::Loss;
use crate::metrics::occupancy::{Cells, Climb, Holds, Part};

/// Buffers of a group; few in tests, whose plans are small.
const GROUP: usize = if cfg!(test) { 4 } else { 64 };

/// All buffers of an arena.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    rects: Vec<Rect>,
    groups: Vec<Group>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    /// The first op at which any lives, the one at which all do; the first at which not all live any more, and none.
    born: (u32, u32),
    dead: (u32, u32),
    /// What they come to where all of them live; nothing where two share a byte or they leave the arena.
    all: Option<Whole>,
}

/// A group where all of it lives.
#[derive(Clone, Copy, Debug)]
struct Whole {
    bytes: (u64, u64),
    loss: Loss,
    largest: Part,
}

impl Group {
    fn of(rects: &[Rect], size: u64, alignment: u64) -> Self {
        let (mut born, mut dead) = ((u32::MAX, 0), (u32::MAX, 0));
        for rect in rects {
            born = (born.0.min(rect.first), born.1.max(rect.first));
            dead = (dead.0.min(rect.last), dead.1.max(rect.last));
        }
        Self { born, dead, all: Whole::of(rects, size, alignment) }
    }
}

impl Whole {
    fn of(rects: &[Rect], size: u64, alignment: u64) -> Option<Self> {
        let (first, last) = (rects.first()?, rects.last()?);
        if last.high > size || rects.windows(2).any(|pair| pair[1].low < pair[0].high) {
            return None;
        }
        let mut largest: Option<Part> = None;
        let mut climb = Climb::from(first.low, size, alignment);
        for rect in rects {
            climb.add(of_rect(rect), &mut |part| {
                let longer = |largest: Part| part.end - part.start >= largest.end - largest.start;
                if matches!(part.holds, Holds::Live(_)) && largest.is_none_or(longer) {
                    largest = Some(part);
                }
            });
        }
        Some(Self { bytes: (first.low, last.high), loss: climb.loss(), largest: largest? })
    }
}

impl Shelf {
    /// Puts buffers on a shelf, in any order, of an arena of so many bytes.
    pub(crate) fn new(mut rects: Vec<Rect>, size: u64, alignment: u64) -> Self {
        rects.sort_unstable_by_key(of_rect);
        let groups = rects.chunks(GROUP).map(|rects| Group::of(rects, size, alignment)).collect();
        Self { rects, groups }
    }

    /// What the arena's bytes are at an op, and what most of each cell is. `views` are those that live there, in order; they lie
    /// on the shelf's buffers. Time grows with the groups, and with those of which some live and some do not.
    pub(crate) fn usage(
        &self,
        mut climb: Climb,
        op: u32,
        views: &[(u64, u64, u32)],
        mut cells: Cells,
    ) -> (Loss, Vec<Option<Holds>>) {
        let mut views = views.iter().copied().peekable();
        let mut here = Vec::new();
        for (group, rects) in self.groups.iter().zip(self.rects.chunks(GROUP)) {
            let last = rects.last().map(of_rect);
            here.clear();
            here.extend(core::iter::from_fn(|| views.next_if(|view| Some(*view) <= last)));
            let has_views = !here.is_empty();
            if !has_views && (op < group.born.0 || group.dead.1 <= op) {
                continue;
            }
            let all_live = !has_views && group.born.1 <= op && op < group.dead.0;
            let apart = |whole: &&Whole| whole.bytes.0 >= climb.top() && cells.hold_whole(whole.bytes);
            if let Some(whole) = group.all.as_ref().filter(|_| all_live).filter(apart) {
                climb.skip(whole.bytes, &whole.loss, &mut |part| cells.add(part));
                cells.add(whole.largest);
                continue;
            }
            here.extend(rects.iter().filter(|rect| rect.first <= op && op < rect.last).map(of_rect));
            if has_views {
                here.sort_unstable();
            }
            here.iter().for_each(|live| climb.add(*live, &mut |part| cells.add(part)));
        }
        views.for_each(|live| climb.add(live, &mut |part| cells.add(part)));
        let loss = climb.finish(&mut |part| cells.add(part));
        (loss, cells.finish())
    }
}

fn of_rect(rect: &Rect) -> (u64, u64, u32) {
    (rect.low, rect.high, rect.number)
}

#[cfg(test)]
mod tests {
    use crate::{ArenaRecord, BufferRecord, MapIndex, OpRecord, PlanRecord, PlanState, occupancy_at};
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// Buffers one above the other, with gaps or none; some begin below the end of the one before, some are views.
    fn any_shelf() -> impl Strategy<Value = PlanRecord> {
        let gap = prop_oneof![6 => 0i64..3, 1 => -3i64..0, 1 => 20i64..40];
        let part = (
            gap,
            1u64..30,
            prop_oneof![0u32..2, 0u32..9],
            1u32..12,
            proptest::option::weighted(0.05, 0u32..60),
        );
        let parts = proptest::collection::vec(part, 0..60);
        (parts, prop_oneof![Just(0u64), Just(1), Just(16)], 0u64..60).prop_map(|(parts, alignment, tail)| {
            let mut top = 0u64;
            let mut buffers = Vec::new();
            for (gap, size, first, life, alias_of) in parts {
                let offset = top.saturating_add_signed(gap);
                top = offset + size;
                let last = (first + life).min(12);
                buffers.push(BufferRecord { size, offset, first, last, alias_of, ..BufferRecord::default() });
            }
            // Some of them may leave the arena.
            let arena =
                ArenaRecord { size: (top + tail).saturating_sub(20), alignment, ..ArenaRecord::default() };
            let ops = vec![OpRecord::default(); 12];
            PlanRecord { arenas: vec![arena], ops, buffers, ..PlanRecord::default() }
        })
    }

    proptest! {
        #[test]
        fn groups_come_to_what_their_buffers_do(
            plan in any_shelf(),
            op in 0u32..13,
            (from, len) in (0u64..600, 0u64..900),
            cells in prop_oneof![0u16..4, 0u16..200],
        ) {
            let state = PlanState::new(plan.clone());
            let index = MapIndex::drawing(&state, 0, 0);
            let bytes = from..from + len;
            let expect = occupancy_at(&plan, 0, op);
            prop_assert_eq!(
                index.usage(&plan, 0, op, &bytes, cells),
                (expect.loss, expect.cells(&bytes, cells))
            );
        }
    }
}
