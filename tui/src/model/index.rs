//! What is precomputed of a plan, once, so that a frame costs no more than what it draws.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bayplan_trace::{
    ArenaMetrics, BufferRecord, Holds, Loss, MapIndex, OpRecord, Peak, PlanRecord, PlanState, Raster,
    RasterOptions, Timeline, arena_metrics, colours, deviation, why_peak,
};

use super::kept::Kept;
use super::stretches::Stretches;

/// How many colours buffers are told apart by.
pub(crate) const HUES: u8 = 4;

/// The index of one plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlanIndex {
    /// One entry per arena of the plan.
    pub(crate) arenas: Vec<ArenaIndex>,
    /// A colour per buffer, below [`HUES`]: neighbours on the map have different ones as far as that goes.
    pub(crate) hues: Vec<u8>,
    /// Each buffer that others are views of, with one of them; ordered.
    views: Vec<(u32, u32)>,
    /// Each buffer whose bytes others take over in place, with one of them; ordered.
    successors: Vec<(u32, u32)>,
    /// How far what was seen lies from the plan, as of the windows that it was asked for last.
    deviation: Kept<(Option<u32>, usize, usize), Option<DeviationCurve>>,
    /// Who uses the tensor that was asked for last.
    users: Kept<u32, Users>,
}

/// How far what was seen lies from what was planned, over the ops.
#[derive(Clone, Debug)]
pub(crate) struct DeviationCurve {
    /// Bytes of the symmetric difference of the live sets, for each op.
    pub(crate) bytes: Vec<u64>,
    /// The op with the most of them, and how many.
    pub(crate) largest: Option<(u32, u64)>,
    /// The most of any part of them.
    pub(crate) most: Stretches,
}

impl DeviationCurve {
    fn of(plan: &PlanState) -> Option<Self> {
        let found = deviation(plan)?;
        let bytes: Vec<u64> = (0..plan.record.ops.len() as u32).map(|op| found.at(op)).collect();
        Some(Self { largest: found.largest(), most: Stretches::of(&bytes), bytes })
    }
}

/// What a raster is made of: where buffers lie, what was seen of them, and the part in view.
type RasterKey = (usize, (Option<u32>, usize, usize), RasterOptions);

/// Who uses a tensor, by the ops of its planned life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Users {
    /// Ops that write it.
    pub(crate) writers: Vec<u32>,
    /// Ops that read it.
    pub(crate) readers: Vec<u32>,
    /// Tensors that are computed in its bytes after it.
    pub(crate) successors: Vec<u32>,
}

impl Users {
    fn of(record: &PlanRecord, number: u32, successors: &[(u32, u32)]) -> Self {
        let Some(buffer) = record.buffers.get(number as usize) else { return Self::default() };
        let life = buffer.first..buffer.last;
        let ops = || life.clone().zip(record.ops.iter().skip(life.start as usize));
        let pick = |of: fn(&OpRecord) -> &Vec<u32>| {
            ops().filter(|(_, op)| of(op).contains(&number)).map(|(at, _)| at).collect()
        };
        Self {
            writers: pick(|op| &op.writes),
            readers: pick(|op| &op.reads),
            successors: successors.iter().map(|(_, other)| *other).collect(),
        }
    }
}

/// The index of one arena.
#[derive(Clone, Debug, Default)]
pub(crate) struct ArenaIndex {
    /// How many buffers have bytes in this arena; views of others are left out.
    pub(crate) buffers: u64,
    /// The figures.
    pub(crate) metrics: ArenaMetrics,
    /// What lives at the peak; nothing where nothing ever does.
    pub(crate) peak: Peak,
    /// Other ops at which as many bytes live.
    pub(crate) as_full: AsFull,
    /// The most and the least bytes that live in any part of the program.
    live: Stretches,
    /// How the bytes are used at the op that was asked for last.
    pub(crate) loss: Kept<u32, Loss>,
    /// What is shown of the bytes at an op, as it was asked for last: the op, the bytes, and in how many cells.
    pub(crate) strip: Kept<(u32, Range<u64>, u16), Vec<Option<Holds>>>,
    /// The part of the map that was drawn last.
    pub(crate) raster: Kept<RasterKey, Raster>,
}

/// Ops at which as many bytes live as at the peak, that one aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AsFull {
    /// The first of them; no more than a sentence names.
    pub(crate) first: Vec<u32>,
    /// How many there are.
    pub(crate) count: u64,
}

impl AsFull {
    /// Ops that a sentence names at most.
    const NAMED: usize = 2;

    fn of(live: &[u64], peak: &Peak) -> Self {
        let mut found = Self::default();
        for (op, _) in (0..).zip(live).filter(|(op, bytes)| **bytes == peak.live && *op != peak.op) {
            found.count += 1;
            if found.first.len() < Self::NAMED {
                found.first.push(op);
            }
        }
        found
    }
}

impl ArenaIndex {
    /// The most bytes that live at any of these ops.
    pub(crate) fn most_live(&self, first: usize, last: usize) -> u64 {
        self.live.most(&self.metrics.live, first, last)
    }

    /// The fewest bytes that live at any of these ops.
    pub(crate) fn least_live(&self, first: usize, last: usize) -> u64 {
        self.live.least(&self.metrics.live, first, last)
    }

    /// A buffer's place among those that live at the peak, by size.
    pub(crate) fn rank_at_peak(&self, record: &PlanRecord, number: u32) -> Option<usize> {
        let key = |number: u32| {
            let buffer = &record.buffers[number as usize];
            (Reverse(buffer.size), buffer.offset, number)
        };
        self.peak.buffers.binary_search_by_key(&key(number), |&at| key(at)).ok()
    }
}

impl PlanIndex {
    /// Indexes a plan.
    pub(crate) fn of(plan: &PlanState) -> Self {
        let record = &plan.record;
        let metrics = arena_metrics(record);
        let mut arenas: Vec<ArenaIndex> = (0..)
            .zip(metrics)
            .map(|(arena, metrics)| {
                let peak = why_peak(record, arena, &metrics).unwrap_or_default();
                let live = Stretches::of(&metrics.live);
                let as_full = AsFull::of(&metrics.live, &peak);
                ArenaIndex { metrics, peak, as_full, live, ..ArenaIndex::default() }
            })
            .collect();
        for buffer in &record.buffers {
            let owns = buffer.alias_of.is_none() && buffer.size > 0;
            if let Some(arena) = arenas.get_mut(buffer.arena as usize).filter(|_| owns) {
                arena.buffers += 1;
            }
        }
        let pairs = |of: fn(&BufferRecord) -> Option<u32>| {
            let pairs = (0..).zip(&record.buffers);
            let mut pairs: Vec<(u32, u32)> =
                pairs.filter_map(|(number, buffer)| Some((of(buffer)?, number))).collect();
            pairs.sort_unstable();
            pairs
        };
        Self {
            arenas,
            hues: colours(record, HUES),
            views: pairs(|buffer| buffer.alias_of),
            successors: pairs(|buffer| buffer.in_place_of),
            deviation: Kept::default(),
            users: Kept::default(),
        }
    }

    /// How far what was seen lies from the plan; none before anything was seen.
    pub(crate) fn deviation(&self, plan: &PlanState) -> Arc<Option<DeviationCurve>> {
        let seen = (plan.recording, plan.windows.len(), plan.strays.len());
        self.deviation.get(seen, || DeviationCurve::of(plan))
    }

    /// Who uses a tensor.
    pub(crate) fn users(&self, record: &PlanRecord, number: u32) -> Arc<Users> {
        self.users.get(number, || Users::of(record, number, of_first(&self.successors, number)))
    }

    /// The views of a buffer, each with the buffer before it.
    pub(crate) fn views(&self, of: u32) -> &[(u32, u32)] {
        of_first(&self.views, of)
    }

    /// The colour of a buffer.
    pub(crate) fn hue(&self, number: u32) -> u8 {
        self.hues.get(number as usize).copied().unwrap_or(0)
    }
}

/// The pairs with this first number, of pairs in order.
fn of_first(pairs: &[(u32, u32)], number: u32) -> &[(u32, u32)] {
    let first = pairs.partition_point(|(at, _)| *at < number);
    let last = pairs.partition_point(|(at, _)| *at <= number);
    &pairs[first..last]
}

/// A plan and one of its arenas.
pub(crate) type ArenaKey = (u32, u32);

/// What is precomputed of all plans of a session, and of the arenas that are looked at. A copy shares all of it, so that the
/// thread that reads makes it and the one that draws has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Indexes {
    /// Name of the session: plans of another are others.
    session: String,
    plans: Vec<Arc<PlanIndex>>,
    /// Where buffers lie, of the arenas that are looked at: most never are.
    maps: BTreeMap<ArenaKey, Arc<MapIndex>>,
}

impl Indexes {
    /// What is known of a plan.
    pub(crate) fn plan(&self, number: u32) -> Option<&Arc<PlanIndex>> {
        self.plans.get(number as usize)
    }

    /// Where the buffers of an arena lie, if that was made.
    pub(crate) fn map(&self, key: ArenaKey) -> Option<&MapIndex> {
        self.maps.get(&key).map(|map| &**map)
    }

    /// Takes over what is known of plans that are the same ones: those of two states of a session.
    pub(crate) fn of_same_plans(&self, own: &Timeline, other: &Timeline) -> Self {
        let same = |at: usize| {
            let plans = own.plans.get(at).zip(other.plans.get(at));
            plans.is_some_and(|(own, other)| Arc::ptr_eq(&own.record, &other.record))
        };
        let known = self.plans.iter().enumerate();
        let plans = known
            .take_while(|(at, _)| *at < other.plans.len())
            .map(|(at, index)| if same(at) { Arc::clone(index) } else { Arc::default() });
        let plans = plans.collect();
        let maps = self.maps.iter().filter(|((plan, _), _)| same(*plan as usize));
        let maps = maps.map(|(key, map)| (*key, Arc::clone(map))).collect();
        Self { session: self.session.clone(), plans, maps }
    }

    /// Brings all of it up to date: every plan, the arena that people see first, and those that are `wanted`. `tell` is told
    /// how many tensors are about to be indexed, where that takes long.
    pub(crate) fn update(&mut self, timeline: &Timeline, wanted: &[ArenaKey], tell: &dyn Fn(u64)) {
        let session = timeline.session.as_ref().map_or("", |session| &session.id);
        if self.session != session {
            *self = Self { session: session.to_owned(), ..Self::default() };
        }
        for (at, plan) in timeline.plans.iter().enumerate() {
            // A plan that was missing when its number was first named may come after all; one may be forgotten.
            if self.plans.get(at).is_some_and(|index| index.arenas.len() == plan.record.arenas.len()) {
                continue;
            }
            tell(plan.record.buffers.len() as u64);
            let index = Arc::new(PlanIndex::of(plan));
            match self.plans.get_mut(at) {
                Some(slot) => *slot = index,
                None => self.plans.push(index),
            }
        }
        let Some((current, plan)) =
            timeline.current_plan().filter(|(_, plan)| !plan.record.arenas.is_empty())
        else {
            return;
        };
        let main = (current, plan.record.main_arena().unwrap_or(0));
        self.maps.retain(|key, _| key.0 == current || wanted.contains(key));
        for key in wanted.iter().copied().chain([main]) {
            self.make_map(timeline, key, tell);
        }
        let stale = |(key, map): (&ArenaKey, &Arc<MapIndex>)| {
            timeline.plans.get(key.0 as usize).is_some_and(|plan| !map.is_fresh(plan)).then_some(*key)
        };
        let stale: Vec<ArenaKey> = self.maps.iter().filter_map(stale).collect();
        for key in stale {
            self.make_map(timeline, key, tell);
        }
    }

    /// Makes the map of an arena, or takes in what was seen of the plan since it was made.
    pub(crate) fn make_map(&mut self, timeline: &Timeline, key: ArenaKey, tell: &dyn Fn(u64)) {
        let Some(plan) = timeline.plans.get(key.0 as usize) else { return };
        if key.1 as usize >= plan.record.arenas.len() {
            return;
        }
        if self.maps.get(&key).is_some_and(|map| map.is_fresh(plan)) {
            return;
        }
        tell(plan.record.buffers.len() as u64);
        match self.maps.get_mut(&key) {
            Some(map) => Arc::make_mut(map).refresh(plan, key.1),
            None => drop(self.maps.insert(key, Arc::new(MapIndex::new(plan, key.1)))),
        }
    }
}
