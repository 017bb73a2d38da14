//! What is precomputed of a plan, once, so that a frame costs no more than what it draws.

use bayplan_trace::{ArenaMetrics, Peak, PlanState, arena_metrics, colours, why_peak};

/// How many colours buffers are told apart by.
pub(crate) const HUES: u8 = 4;

/// The index of one plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlanIndex {
    /// One entry per arena of the plan.
    pub(crate) arenas: Vec<ArenaIndex>,
    /// A colour per buffer, below [`HUES`]: neighbours on the map have different ones as far as that goes.
    pub(crate) hues: Vec<u8>,
}

/// The index of one arena.
#[derive(Clone, Debug, Default)]
pub(crate) struct ArenaIndex {
    /// Buffers that have bytes in this arena, by their number in the plan; views of others are left out.
    pub(crate) buffers: Vec<u32>,
    /// The figures.
    pub(crate) metrics: ArenaMetrics,
    /// What lives at the peak; nothing where nothing ever does.
    pub(crate) peak: Peak,
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
                ArenaIndex { buffers: Vec::new(), metrics, peak }
            })
            .collect();
        for (number, buffer) in (0..).zip(&record.buffers) {
            let owns = buffer.alias_of.is_none() && buffer.size > 0;
            if let Some(arena) = arenas.get_mut(buffer.arena as usize).filter(|_| owns) {
                arena.buffers.push(number);
            }
        }
        Self { arenas, hues: colours(record, HUES) }
    }

    /// The colour of a buffer.
    pub(crate) fn hue(&self, number: u32) -> u8 {
        self.hues.get(number as usize).copied().unwrap_or(0)
    }
}
