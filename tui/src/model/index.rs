//! What is precomputed of a plan, once, so that a frame costs no more than what it draws.

use std::cell::OnceCell;
use std::cmp::Reverse;

use bayplan_trace::{ArenaMetrics, MapIndex, Peak, PlanRecord, PlanState, arena_metrics, colours, why_peak};

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
    /// The most bytes that live in each stretch of [`STRETCH`] ops.
    live_peaks: Vec<u64>,
    /// Where buffers lie; made when it is first asked for, since most arenas are never looked at.
    map: OnceCell<MapIndex>,
}

/// Ops of which the most live bytes are known beforehand.
const STRETCH: usize = 256;

impl ArenaIndex {
    /// Where the arena's buffers lie.
    pub(crate) fn map(&self, plan: &PlanState, arena: u32) -> &MapIndex {
        self.map.get_or_init(|| MapIndex::new(plan, arena))
    }

    /// Takes in what was seen of the plan since the map was made, if it was.
    pub(crate) fn refresh_map(&mut self, plan: &PlanState, arena: u32) {
        if let Some(map) = self.map.get_mut().filter(|map| !map.is_fresh(plan)) {
            map.refresh(plan, arena);
        }
    }

    /// The most bytes that live at any of these ops.
    pub(crate) fn most_live(&self, first: usize, last: usize) -> u64 {
        let most = |bytes: Option<&[u64]>| bytes.unwrap_or_default().iter().copied().max().unwrap_or(0);
        let live = &self.metrics.live;
        let last = last.min(live.len());
        let (from, to) = (first.div_ceil(STRETCH), last / STRETCH);
        if from >= to {
            return most(live.get(first..last));
        }
        let ends = most(live.get(first..from * STRETCH)).max(most(live.get(to * STRETCH..last)));
        ends.max(most(self.live_peaks.get(from..to)))
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
                let stretches = metrics.live.chunks(STRETCH);
                let live_peaks = stretches.map(|live| live.iter().copied().max().unwrap_or(0)).collect();
                ArenaIndex { buffers: 0, metrics, peak, live_peaks, map: OnceCell::new() }
            })
            .collect();
        for buffer in &record.buffers {
            let owns = buffer.alias_of.is_none() && buffer.size > 0;
            if let Some(arena) = arenas.get_mut(buffer.arena as usize).filter(|_| owns) {
                arena.buffers += 1;
            }
        }
        let views = (0..).zip(&record.buffers);
        let mut views: Vec<(u32, u32)> =
            views.filter_map(|(number, buffer)| Some((buffer.alias_of?, number))).collect();
        views.sort_unstable();
        Self { arenas, hues: colours(record, HUES), views }
    }

    /// The views of a buffer, each with the buffer before it.
    pub(crate) fn views(&self, of: u32) -> &[(u32, u32)] {
        let first = self.views.partition_point(|(at, _)| *at < of);
        let last = self.views.partition_point(|(at, _)| *at <= of);
        &self.views[first..last]
    }

    /// The colour of a buffer.
    pub(crate) fn hue(&self, number: u32) -> u8 {
        self.hues.get(number as usize).copied().unwrap_or(0)
    }
}
