//! Dynamic pools: how much of each is taken, and a slice for every range of it.

use std::collections::{BTreeMap, BTreeSet};

use bayplan_trace::{Event, Keyframe, Nanos, PoolRange};

use super::canvas::{Arg, Canvas, TrackKind};
use super::painter::{Tracks, shown, span};

/// What is drawn of pools, by their number.
#[derive(Default)]
pub(super) struct Pools(BTreeMap<u32, Pool>);

#[derive(Default)]
struct Pool {
    name: String,
    /// The ranges that are taken, by their number, each with its row.
    taken: BTreeMap<u64, (PoolRange, u32)>,
    /// Rows without a range.
    free: BTreeSet<u32>,
    bytes: u64,
}

impl Pools {
    pub(super) fn event(&mut self, tracks: &mut Tracks, event: &Event, canvas: &mut dyn Canvas) {
        match event {
            Event::PoolReady { t, pool, bytes, name } => {
                let known = self.0.entry(*pool).or_default();
                known.name = format!("pool {pool} {}", shown(name)).trim_end().to_owned();
                tracks.count(canvas, TrackKind::Bytes, &format!("{}, size", known.name), *t, *bytes);
                known.count(tracks, canvas, *t);
            }
            Event::PoolAllocated { t, pool, id, offset, bytes } => {
                let range = PoolRange { t: *t, offset: *offset, bytes: *bytes };
                let known = self.0.entry(*pool).or_default();
                if known.taken.get(id).is_some_and(|(before, _)| *before == range) {
                    return;
                }
                // The same number again: its release was lost.
                known.give_back(tracks, canvas, (*pool, *id), *t);
                known.take(*id, range);
                known.count(tracks, canvas, *t);
            }
            Event::PoolFreed { t, pool, id } => {
                if let Some(known) = self.0.get_mut(pool) {
                    known.give_back(tracks, canvas, (*pool, *id), *t);
                    known.count(tracks, canvas, *t);
                }
            }
            _ => {}
        }
    }

    /// Ends what a keyframe does not restate; the rest follows as events.
    pub(super) fn keyframe(&mut self, tracks: &mut Tracks, keyframe: &Keyframe, canvas: &mut dyn Canvas) {
        let restated: BTreeSet<(u32, u64)> = keyframe
            .state
            .iter()
            .filter_map(|event| match event {
                Event::PoolAllocated { pool, id, .. } => Some((*pool, *id)),
                _ => None,
            })
            .collect();
        self.end(tracks, keyframe.t, canvas, |range| !restated.contains(&range));
    }

    /// Draws the ranges that are still taken.
    pub(super) fn finish(&mut self, tracks: &mut Tracks, now: Nanos, canvas: &mut dyn Canvas) {
        self.end(tracks, now, canvas, |_| true);
    }

    fn end(
        &mut self,
        tracks: &mut Tracks,
        t: Nanos,
        canvas: &mut dyn Canvas,
        ends: impl Fn((u32, u64)) -> bool,
    ) {
        for (&number, pool) in &mut self.0 {
            let ids: Vec<u64> = pool.taken.keys().copied().filter(|&id| ends((number, id))).collect();
            for id in ids {
                pool.give_back(tracks, canvas, (number, id), t);
            }
        }
    }
}

impl Pool {
    fn take(&mut self, id: u64, range: PoolRange) {
        let count = (self.taken.len() + self.free.len()) as u32;
        let row = self.free.pop_first().unwrap_or(count);
        self.taken.insert(id, (range, row));
        self.bytes = self.bytes.saturating_add(range.bytes);
    }

    /// Draws a range that ends, if it is known.
    fn give_back(
        &mut self,
        tracks: &mut Tracks,
        canvas: &mut dyn Canvas,
        (pool, id): (u32, u64),
        end: Nanos,
    ) {
        let Some((range, row)) = self.taken.remove(&id) else { return };
        self.free.insert(row);
        self.bytes = self.bytes.saturating_sub(range.bytes);
        let track = tracks.get(canvas, TrackKind::Slices, &self.name, row);
        let args = [
            ("pool", Arg::Number(pool.into())),
            ("id", Arg::Number(id)),
            ("offset", Arg::Number(range.offset)),
            ("size", Arg::Number(range.bytes)),
        ];
        canvas.slice(span(track, (range.t, end), "range"), &args);
    }

    fn count(&self, tracks: &mut Tracks, canvas: &mut dyn Canvas, t: Nanos) {
        tracks.count(canvas, TrackKind::Bytes, &format!("{}, in use", self.name), t, self.bytes);
    }
}
