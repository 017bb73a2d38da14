//! The figures of one plan, computed once for each set of windows and kept when the plan is forgotten.

use alloc::string::String;
use alloc::vec::Vec;

use crate::metrics::deviation::{deviation, reserved_unused};
use crate::metrics::{Loss, arena_metrics};
use crate::schema::plan_record::ArenaRecord;
use crate::timeline::plan_state::PlanState;

/// The figures of a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PlanFigures {
    pub(crate) ops: u64,
    pub(crate) buffers: u64,
    pub(crate) arenas: Vec<ArenaFigures>,
    /// What only windows show.
    pub(crate) seen: Option<SeenFigures>,
}

/// The figures of an arena.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ArenaFigures {
    pub(crate) name: String,
    pub(crate) reserved: u64,
    pub(crate) peak: u64,
    pub(crate) peak_live: u64,
    pub(crate) lower_bound: u64,
    pub(crate) waste: Option<f64>,
    pub(crate) utilisation: f64,
    pub(crate) utilisation_min: Option<f64>,
    pub(crate) area_efficiency: Option<f64>,
    pub(crate) loss: Loss,
    /// One past the highest byte that a window reached.
    pub(crate) reached: Option<u64>,
}

/// How far what was seen lies from the plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SeenFigures {
    pub(crate) deviation_bytes: u64,
    pub(crate) excess: u64,
    pub(crate) lateness: u64,
    pub(crate) unused: u64,
}

impl PlanFigures {
    pub(crate) fn new(state: &PlanState) -> Self {
        let plan = &state.record;
        let (peaks, reached) = (peaks(state), reached(state));
        let metrics = arena_metrics(plan).into_iter().zip(&plan.arenas);
        let arenas = metrics.zip(peaks).zip(reached).map(|(((metrics, arena), peak), reached)| {
            let ArenaRecord { name, size, lower_bound, .. } = arena;
            ArenaFigures {
                name: name.clone(),
                reserved: *size,
                peak,
                peak_live: metrics.peak_live,
                lower_bound: *lower_bound,
                waste: metrics.waste,
                utilisation: match metrics.peak_op {
                    Some(op) => metrics.utilisation(arena, op),
                    None => f64::from(u8::from(*size == 0)),
                },
                utilisation_min: metrics.least_utilisation(arena),
                area_efficiency: metrics.area_efficiency(arena),
                loss: metrics.loss,
                reached,
            }
        });
        let (ops, buffers) = (plan.ops.len() as u64, plan.buffers.len() as u64);
        Self { ops, buffers, arenas: arenas.collect(), seen: seen(state) }
    }
}

/// For each arena, one past the highest byte that the plan gives to a buffer.
fn peaks(state: &PlanState) -> Vec<u64> {
    let mut peaks = alloc::vec![0; state.record.arenas.len()];
    for buffer in &state.record.buffers {
        if let Some(peak) = peaks.get_mut(buffer.arena as usize) {
            *peak = buffer.end().max(*peak);
        }
    }
    peaks
}

/// For each arena, one past the highest byte that a window reached, for whatever buffer.
fn reached(state: &PlanState) -> Vec<Option<u64>> {
    let mut reached = alloc::vec![state.recording.map(|_| 0); state.record.arenas.len()];
    let strays = state.strays.iter().map(|stray| stray.seen);
    for seen in state.actual.iter().flatten().copied().chain(strays) {
        if let Some(Some(top)) = reached.get_mut(seen.arena as usize) {
            *top = seen.end.max(*top);
        }
    }
    reached
}

fn seen(state: &PlanState) -> Option<SeenFigures> {
    let found = deviation(state)?;
    let unused = reserved_unused(state)?;
    Some(SeenFigures {
        deviation_bytes: found.largest().map_or(0, |(_, bytes)| bytes),
        excess: found.max_excess(),
        lateness: found.late.first().map_or(0, |late| u64::from(late.ops())),
        unused: unused.into_iter().fold(0, u64::saturating_add),
    })
}
