//! Another plan laid over the map: what a what-if would make of it, or what another run did.
//!
//! ```text
//!   the map           ┌──────┐               the ghost, of what differs
//!                     │ a    ├────┐          ╭┄┄┄┄╮
//!                     └──────┤ b  │          ┆ b  ┆      b lies lower
//!                            └────┘    ╱╱╱╱╱╱╰┄┄┄┄╯      a is gone
//! ```

use std::ops::Range;

use bayplan_trace::{BufferRecord, MapIndex, PlanRecord, PlanState};

/// How a buffer of the ghost's plan differs from the one that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It lies in the same place at the same time.
    Same,
    /// It lies elsewhere, or lives at another time.
    Moved,
    /// It has another size.
    Resized,
    /// It is not in the plan that is shown.
    Added,
}

/// How many buffers differ, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) moved: u64,
    pub(crate) resized: u64,
    pub(crate) added: u64,
    pub(crate) removed: u64,
}

/// Another plan of an arena, to be laid over the map of the one that is shown.
#[derive(Clone, Debug)]
pub(crate) struct Ghost {
    /// What it is, in a few words, escaped already: `without block/gelu`.
    pub(crate) title: String,
    /// The plan and the arena that it lies over.
    over: (u32, u32),
    state: PlanState,
    arena: u32,
    map: MapIndex,
    /// By buffer of the ghost's plan.
    fates: Vec<Fate>,
    /// By buffer of the plan that is shown: whether the ghost's plan has none like it.
    gone: Vec<bool>,
    counts: Counts,
}

/// A buffer of the ghost's plan that differs, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) ops: Range<u32>,
    pub(crate) bytes: Range<u64>,
    pub(crate) fate: Fate,
}

impl Ghost {
    /// Lays an arena of `state` over the arena `over.1` of the plan `shown`, which is number `over.0`. `shown_of` says which
    /// buffer of the shown plan a buffer of the ghost's plan is, if any. Time grows with n log n of the buffers: not for
    /// every picture.
    pub(crate) fn new(
        title: String,
        (over, shown): ((u32, u32), &PlanRecord),
        (state, arena): (PlanState, u32),
        shown_of: impl Fn(u32) -> Option<u32>,
    ) -> Self {
        let mut counts = Counts::default();
        let mut gone: Vec<bool> =
            shown.buffers.iter().map(|buffer| buffer.arena == over.1 && has_room(buffer)).collect();
        let fates = (0..).zip(&state.record.buffers).map(|(number, buffer)| {
            if buffer.arena != arena || !has_room(buffer) {
                return Fate::Same;
            }
            let like = shown_of(number).filter(|&like| gone.get(like as usize) == Some(&true));
            let fate = like.map_or(Fate::Added, |like| {
                gone[like as usize] = false;
                fate(&shown.buffers[like as usize], buffer)
            });
            counts.add(fate);
            fate
        });
        let fates = fates.collect();
        counts.removed = gone.iter().filter(|gone| **gone).count() as u64;
        let map = MapIndex::new(&state, arena);
        Self { title, over, state, arena, map, fates, gone, counts }
    }

    /// Whether it lies over this arena of this plan.
    pub(crate) fn lies_over(&self, plan: u32, arena: u32) -> bool {
        self.over == (plan, arena)
    }

    /// Bytes of its arena.
    pub(crate) fn size(&self) -> u64 {
        self.state.record.arenas.get(self.arena as usize).map_or(0, |arena| arena.size)
    }

    /// How many buffers differ.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether a buffer of the shown plan is not in the ghost's.
    pub(crate) fn is_gone(&self, shown: u32) -> bool {
        self.gone.get(shown as usize).copied().unwrap_or(false)
    }

    /// The buffers that differ, touch these ops and bytes, and live for at least `least.0` ops on at least `least.1` bytes;
    /// of very many, some.
    pub(crate) fn outlines(
        &self,
        ops: Range<u32>,
        bytes: Range<u64>,
        least: (u32, u64),
    ) -> impl Iterator<Item = Outline> + '_ {
        self.map.large_at(ops, bytes, least).into_iter().filter_map(|number| {
            let fate = *self.fates.get(number as usize)?;
            let buffer = self.state.record.buffers.get(number as usize)?;
            let outline =
                Outline { ops: buffer.first..buffer.last, bytes: buffer.offset..buffer.end(), fate };
            (fate != Fate::Same).then_some(outline)
        })
    }
}

impl Counts {
    fn add(&mut self, fate: Fate) {
        match fate {
            Fate::Same => {}
            Fate::Moved => self.moved += 1,
            Fate::Resized => self.resized += 1,
            Fate::Added => self.added += 1,
        }
    }

    /// In words: `3 moved, 1 removed`.
    pub(crate) fn words(&self) -> String {
        let all = [
            (self.moved, "moved"),
            (self.resized, "resized"),
            (self.added, "added"),
            (self.removed, "removed"),
        ];
        let words: Vec<String> = all
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{} {word}", bayplan_text::Count(count)))
            .collect();
        if words.is_empty() { "nothing moves".to_owned() } else { words.join(", ") }
    }
}

fn has_room(buffer: &BufferRecord) -> bool {
    buffer.size > 0 && buffer.alias_of.is_none() && buffer.first < buffer.last
}

fn fate(shown: &BufferRecord, ghost: &BufferRecord) -> Fate {
    if shown.size != ghost.size {
        Fate::Resized
    } else if (shown.offset, shown.first, shown.last) != (ghost.offset, ghost.first, ghost.last) {
        Fate::Moved
    } else {
        Fate::Same
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::by_hand;

    #[test]
    fn what_differs_is_outlined_and_counted() {
        let shown = by_hand();
        let mut other = by_hand();
        // Moved, resized, gone, and one that is new.
        other.buffers[1].offset = 0;
        other.buffers[2].size = 1 << 10;
        other.buffers.remove(3);
        let new = BufferRecord {
            name: "new".to_owned(),
            size: 256,
            first: 9,
            last: 10,
            ..shown.buffers[0].clone()
        };
        other.buffers.push(new);
        other.arenas[0].size = 7 << 10;
        let shown_of = |number: u32| match number {
            0..=2 => Some(number),
            3..=6 => Some(number + 1),
            _ => None,
        };
        let ghost = Ghost::new("x".into(), ((0, 0), &shown), (PlanState::new(other), 0), shown_of);
        assert_eq!(ghost.counts(), Counts { moved: 1, resized: 1, added: 1, removed: 1 });
        assert_eq!(ghost.counts().words(), "1 moved, 1 resized, 1 added, 1 removed");
        assert_eq!((ghost.size(), ghost.lies_over(0, 0), ghost.lies_over(1, 0)), (7 << 10, true, false));
        assert_eq!((0..8).filter(|at| ghost.is_gone(*at)).collect::<Vec<_>>(), [3]);
        let outline = |first, last, bytes: Range<u64>, fate| Outline { ops: first..last, bytes, fate };
        let all: Vec<Outline> = ghost.outlines(0..10, 0..u64::MAX, (0, 0)).collect();
        let expect = [
            outline(1, 4, 0..2 << 10, Fate::Moved),
            outline(2, 5, 4 << 10..5 << 10, Fate::Resized),
            outline(9, 10, 0..256, Fate::Added),
        ];
        assert_eq!(all, expect);
        assert_eq!(ghost.outlines(0..10, 0..u64::MAX, (3, 2 << 10)).count(), 1);
        // Two of the ghost's that are said to be the same one: the second has none.
        let twice = Ghost::new("x".into(), ((0, 0), &shown), (PlanState::new(by_hand()), 0), |_| Some(0));
        assert_eq!((twice.counts().added, twice.counts().removed), (7, 7));
        let same = Ghost::new("x".into(), ((0, 0), &shown), (PlanState::new(by_hand()), 0), Some);
        assert_eq!((same.counts(), same.counts().words()), (Counts::default(), "nothing moves".to_owned()));
    }
}
