//! The map of an arena as rectangles: what [`Raster`](crate::Raster) draws in cells, for pictures without a grid.

use alloc::vec::Vec;
use core::ops::Range;

use crate::map::index::MAX_DEVIANTS;
use crate::map::raster::deviants;
use crate::metrics::deviation::StorageLives;
use crate::schema::event::UNPLANNED;
use crate::schema::plan_record::{BufferRecord, PlanRecord};
use crate::schema::storage::counted;
use crate::timeline::plan_state::PlanState;

/// A rectangle of the map: ops, and bytes.
pub type Stretch = (Range<u32>, Range<u64>);

/// A buffer on the map of its arena.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapShape {
    /// The buffer.
    pub buffer: u32,
    /// The ops during which its bytes count as its own, by the plan.
    pub ops: Range<u32>,
    /// Its bytes, by the plan.
    pub bytes: Range<u64>,
    /// The part of it that was bound as planned and is reached: ops, and bytes.
    pub seen: Option<Stretch>,
}

/// A place on the map where something is not as planned: a buffer bound outside its bytes or its life, or two that overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapDeviant {
    /// The buffer; `None` for none of the plan's.
    pub buffer: Option<u32>,
    /// At which ops.
    pub ops: Range<u32>,
    /// At which bytes.
    pub bytes: Range<u64>,
}

/// The buffers that take up room on the map of an arena, by their number. Views take none, and neither does what never
/// lives. `playhead` is as in [`RasterOptions`](crate::RasterOptions). Time grows with the buffers of the plan.
pub fn map_shapes(state: &PlanState, arena: u32, playhead: Option<u32>) -> Vec<MapShape> {
    let lives = StorageLives::new(state);
    let reached = playhead.unwrap_or(u32::MAX);
    let members = (0..).zip(&state.record.buffers).filter(|(_, buffer)| buffer.arena == arena);
    let shapes = members.filter_map(|(index, buffer)| {
        let (ops, seen) = shape(state, &lives, index as usize, buffer, reached);
        let bytes = buffer.offset..buffer.end();
        let room = !ops.is_empty() && !bytes.is_empty();
        let seen = seen.filter(|(ops, bytes)| !ops.is_empty() && !bytes.is_empty());
        room.then_some(MapShape { buffer: index, ops, bytes, seen })
    });
    shapes.collect()
}

/// What is not as planned on the map of an arena; of very much, the first 131,072.
pub fn map_deviants(state: &PlanState, arena: u32) -> Vec<MapDeviant> {
    // Of each buffer there is a stretch before its life and one after it, mostly empty.
    let real = |&(_, ops, bytes): &(u32, (u32, u32), (u64, u64))| ops.0 < ops.1 && bytes.0 < bytes.1;
    let found = deviants(state, arena).filter(real).take(MAX_DEVIANTS);
    let deviant = |(buffer, ops, bytes): (u32, (u32, u32), (u64, u64))| MapDeviant {
        buffer: (buffer != UNPLANNED).then_some(buffer),
        ops: ops.0..ops.1,
        bytes: bytes.0..bytes.1,
    };
    found.map(deviant).collect()
}

/// For each buffer the first op that writes it; none for what comes from outside of the run. A view is written where what
/// it looks at is, unless an op writes through it.
pub fn producers(plan: &PlanRecord) -> Vec<Option<u32>> {
    let mut found = alloc::vec![None; plan.buffers.len()];
    for (op, record) in (0..).zip(&plan.ops) {
        for &buffer in &record.writes {
            if let Some(first) = found.get_mut(buffer as usize) {
                first.get_or_insert(op);
            }
        }
    }
    found
}

/// What the map shows of a buffer: the ops during which it counts, and of what was seen of it the part that the plan has
/// there and that is reached. It may be empty.
#[inline]
pub(crate) fn shape(
    state: &PlanState,
    lives: &StorageLives<'_>,
    index: usize,
    buffer: &BufferRecord,
    reached: u32,
) -> (Range<u32>, Option<Stretch>) {
    let life = counted(&state.record, buffer);
    // Drawn as the plan draws it: bytes shared in place once, and what is touched late is not as planned.
    let seen = lives.at(index).map(|seen| {
        (life.start.max(seen.first)..seen.last.min(life.end).min(reached), seen.offset..seen.end)
    });
    (life, seen)
}
