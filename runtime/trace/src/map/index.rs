//! What makes the map of very many buffers quick to draw and to search.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::map::field::Field;
use crate::map::raster::deviants;
use crate::map::shelf::Shelf;
use crate::map::tree::{Forest, Query, Rect};
use crate::metrics::Loss;
use crate::metrics::deviation::StorageLives;
use crate::metrics::occupancy::{Cells, Climb, Holds, Occupancy};
use crate::schema::plan_record::PlanRecord;
use crate::timeline::plan_state::{Actual, PlanState};

/// Buffers of a picture that are drawn one by one; of more, sums are drawn that were made beforehand.
const DRAWN: usize = 1 << 17;
/// Most places that are kept of what is not as planned: one broken buffer can break every window.
pub(crate) const MAX_DEVIANTS: usize = 1 << 17;
/// Live buffers that are put in order when they are asked for; of more, the order is made beforehand.
const ORDERED: usize = 1 << 14;
/// Bounds that a search for what is large enough to be named looks at.
const MAX_VISITS: usize = 1 << 16;

/// A buffer, and the ops and bytes at which something is not as planned.
pub(crate) type Deviant = (u32, (u32, u32), (u64, u64));

/// An index of one arena of a plan and of what was seen of it. Pictures that are drawn with it cost what they show, however
/// many buffers there are: [`Raster::indexed`](crate::Raster::indexed). A copy shares where the buffers lie by the plan.
#[derive(Clone, Debug, Default)]
pub struct MapIndex {
    forest: Arc<Forest>,
    /// The buffers in the order of their bytes, where there are many.
    shelf: Arc<Shelf>,
    pub(crate) field: Option<Field>,
    pub(crate) deviants: Vec<Deviant>,
    /// What was seen of each storage, where there are views.
    pub(crate) merged: Option<Vec<Option<Actual>>>,
    /// The views of the arena, which take up no room on the map.
    views: Vec<u32>,
    seen: Seen,
    /// Buffers that are drawn one by one at most.
    drawn: usize,
}

/// What was seen of a plan when it was indexed.
type Seen = (Option<u32>, usize, usize);

impl MapIndex {
    /// Indexes an arena. Time grows with n log n of its buffers; some 140 bytes are kept of each.
    pub fn new(state: &PlanState, arena: u32) -> Self {
        Self::drawing(state, arena, DRAWN)
    }

    /// An index whose pictures are drawn from sums where they show more than `drawn` buffers.
    pub(crate) fn drawing(state: &PlanState, arena: u32, drawn: usize) -> Self {
        let record = &state.record;
        let buffers = (0..).zip(&record.buffers);
        let rects = buffers.filter(|(_, buffer)| {
            buffer.arena == arena
                && buffer.size > 0
                && buffer.alias_of.is_none()
                && buffer.first < buffer.last
        });
        let rects = rects.map(|(number, buffer)| {
            let (low, high) = (buffer.offset, buffer.end());
            Rect { number, first: buffer.first, last: buffer.last, low, high }
        });
        let rects: Vec<Rect> = rects.collect();
        let (bytes, alignment) =
            record.arenas.get(arena as usize).map_or((0, 1), |arena| (arena.size, arena.alignment));
        let forest = Forest::new(rects.iter().copied(), record.ops.len() as u32, bytes);
        let many = rects.len() > drawn.min(ORDERED);
        let shelf = if many { Shelf::new(rects, bytes, alignment) } else { Shelf::default() };
        let views = (0..).zip(&record.buffers);
        let views = views.filter(|(_, buffer)| buffer.arena == arena && buffer.alias_of.is_some());
        let views = views.map(|(number, _)| number).collect();
        let mut index = Self {
            forest: Arc::new(forest),
            shelf: Arc::new(shelf),
            field: None,
            deviants: Vec::new(),
            merged: None,
            views,
            seen: Seen::default(),
            drawn,
        };
        index.refresh(state, arena);
        index
    }

    /// Whether the index says what was seen of the plan by now.
    pub fn is_fresh(&self, state: &PlanState) -> bool {
        self.seen == seen_of(state)
    }

    /// Takes in what was seen of the plan since. Time grows with its buffers.
    pub fn refresh(&mut self, state: &PlanState, arena: u32) {
        let lives = StorageLives::new(state);
        let many = self.forest.count(&everything(), self.drawn) > self.drawn;
        self.field = many.then(|| Field::new(state, arena, &lives));
        self.merged = lives.into_merged();
        self.deviants = deviants(state, arena).take(MAX_DEVIANTS).collect();
        self.seen = seen_of(state);
    }

    /// The first buffer, by its number, that holds one of these bytes at one of these ops.
    pub fn first_at(&self, ops: Range<u32>, bytes: Range<u64>) -> Option<u32> {
        let query = Query { ops: (ops.start, ops.end), bytes: (bytes.start, bytes.end), least: (0, 0) };
        let mut first: Option<u32> = None;
        self.forest.visit(&query, |rect| {
            first = Some(first.map_or(rect.number, |first| first.min(rect.number)));
            true
        });
        first
    }

    /// The buffers, ordered by their number, that touch these ops and bytes and live for at least `least.0` ops on at least
    /// `least.1` bytes; of very many, some.
    pub fn large_at(&self, ops: Range<u32>, bytes: Range<u64>, least: (u32, u64)) -> Vec<u32> {
        let query = Query { ops: (ops.start, ops.end), bytes: (bytes.start, bytes.end), least };
        self.find(&query, MAX_VISITS)
    }

    /// What each byte of the arena is at an op, as [`occupancy_at`](crate::occupancy_at) tells it. Time grows with what lives
    /// there, and with the views of the arena.
    pub fn occupancy(&self, plan: &PlanRecord, arena: u32, op: u32) -> Occupancy {
        let Some(record) = plan.arenas.get(arena as usize) else { return Occupancy::default() };
        let query = Query { ops: (op, op.saturating_add(1)), bytes: (0, u64::MAX), least: (0, 0) };
        let mut live = Vec::new();
        self.forest.visit(&query, |rect| {
            live.push((rect.low, rect.high, rect.number));
            true
        });
        live.extend(self.views_at(plan, op));
        Occupancy::of(record.size, record.alignment, live)
    }

    /// How the bytes of the arena are used at an op, and what most of each cell is if some of them are shown in so many cells: as
    /// [`MapIndex::occupancy`] tells it, also where very many buffers live at once.
    pub fn usage(
        &self,
        plan: &PlanRecord,
        arena: u32,
        op: u32,
        bytes: &Range<u64>,
        cells: u16,
    ) -> (Loss, Vec<Option<Holds>>) {
        let query = Query { ops: (op, op.saturating_add(1)), bytes: (0, u64::MAX), least: (0, 0) };
        let few = self.drawn.min(ORDERED);
        let Some(record) = plan.arenas.get(arena as usize).filter(|_| self.forest.count(&query, few) > few)
        else {
            let occupancy = self.occupancy(plan, arena, op);
            return (occupancy.loss, occupancy.cells(bytes, cells));
        };
        let mut views: Vec<(u64, u64, u32)> = self.views_at(plan, op).collect();
        views.sort_unstable();
        let climb = Climb::new(record.size, record.alignment);
        self.shelf.usage(climb, op, &views, Cells::new(bytes, cells))
    }

    /// The views that live at an op: the first byte of each, one past its last, its number.
    fn views_at<'a>(&'a self, plan: &'a PlanRecord, op: u32) -> impl Iterator<Item = (u64, u64, u32)> + 'a {
        let views =
            self.views.iter().filter_map(|&number| Some((number, plan.buffers.get(number as usize)?)));
        let views = views.filter(move |(_, buffer)| buffer.lives_at(op) && buffer.size > 0);
        views.map(|(number, buffer)| (buffer.offset, buffer.end(), number))
    }

    /// The buffers to draw one by one, ordered by their number; `None` if they are too many.
    pub(crate) fn drawn(&self, ops: &Range<u32>, bytes: &Range<u64>) -> Option<Vec<u32>> {
        let query = Query { ops: (ops.start, ops.end), bytes: (bytes.start, bytes.end), least: (0, 0) };
        let few = self.field.is_none() || self.forest.count(&query, self.drawn) <= self.drawn;
        few.then(|| self.find(&query, usize::MAX))
    }

    fn find(&self, query: &Query, most: usize) -> Vec<u32> {
        let mut found = Vec::new();
        self.forest.visit(query, |rect| {
            found.push(rect.number);
            found.len() < most
        });
        found.sort_unstable();
        found
    }
}

fn everything() -> Query {
    Query { ops: (0, u32::MAX), bytes: (0, u64::MAX), least: (0, 0) }
}

fn seen_of(state: &PlanState) -> Seen {
    (state.recording, state.windows.len(), state.strays.len())
}
