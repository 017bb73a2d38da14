//! Arenas: their sizes, bounds and peaks, and the tensors that make one peak larger than the other.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Names;
use super::names::Pairing;
use crate::metrics::{ArenaMetrics, arena_metrics, live_at};
use crate::schema::plan_record::{ArenaRecord, PlanRecord};

/// An arena in both plans, or in one of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArenaDiff {
    /// Its name.
    pub name: String,
    /// What it is in the first plan; `None` if it was added.
    pub a: Option<ArenaSide>,
    /// What it is in the second plan; `None` if it was removed.
    pub b: Option<ArenaSide>,
    /// The op at which the plans are compared; `None` where nothing ever lives.
    pub moment: Option<Moment>,
    /// The tensors whose live bytes differ there, the largest difference first. Differences add up to that of
    /// [`Moment::live`].
    pub causes: Vec<Cause>,
}

/// An arena of one plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArenaSide {
    /// Its number in the plan.
    pub arena: u32,
    /// Its size in bytes.
    pub size: u64,
    /// No plan for the order of ops is smaller, in bytes.
    pub lower_bound: u64,
    /// Its curve, peak, waste and loss.
    pub metrics: ArenaMetrics,
}

/// The peak of the larger plan, and the same moment in the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The op, in the plan whose peak it is.
    pub op: u32,
    /// Whether that is the second plan.
    pub of_b: bool,
    /// The op of the other plan: the same, the last before it that is in both, or where there is none its own peak. `None`
    /// where nothing lives there.
    pub other: Option<u32>,
    /// Bytes that live there in both plans.
    pub live: (u64, u64),
}

/// A tensor of which not the same bytes live in both plans at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// Its number in the first plan, if it is there.
    pub a: Option<u32>,
    /// Its number in the second plan, if it is there.
    pub b: Option<u32>,
    /// Its live bytes in both; 0 where it does not live.
    pub bytes: (u64, u64),
}

impl Cause {
    /// Bytes that live more in the second plan.
    pub fn growth(&self) -> i128 {
        i128::from(self.bytes.1) - i128::from(self.bytes.0)
    }
}

impl ArenaDiff {
    /// Whether the arena has the same size, bound and peak in both plans.
    pub fn is_empty(&self) -> bool {
        let figures =
            |side: &ArenaSide| (side.size, side.lower_bound, side.metrics.peak_live, side.metrics.loss);
        self.a.as_ref().map(figures) == self.b.as_ref().map(figures)
    }

    /// Most live bytes in both plans; 0 where the arena is not.
    pub fn peaks(&self) -> (u64, u64) {
        let peak = |side: &Option<ArenaSide>| side.as_ref().map_or(0, |side| side.metrics.peak_live);
        (peak(&self.a), peak(&self.b))
    }
}

pub(super) fn arenas(a: &PlanRecord, b: &PlanRecord, names: &Names) -> Vec<ArenaDiff> {
    let (mut sides_a, sides_b) = (sides(a), sides(b));
    let both = names.arenas.a_of_b.iter().zip(sides_b).map(|(other, own)| {
        let other = other.and_then(|other| sides_a.get_mut(other as usize)?.take());
        (other, own)
    });
    let mut pairs: Vec<_> = both.collect();
    pairs.extend(sides_a.into_iter().filter(Option::is_some).map(|own| (own, None)));
    let name = |(plan, side): (&PlanRecord, &Option<ArenaSide>)| {
        let record: Option<&ArenaRecord> =
            side.as_ref().and_then(|side| plan.arenas.get(side.arena as usize));
        record.map(|record| record.name.clone())
    };
    let compared = pairs.into_iter().map(|(side_a, side_b)| {
        let name = name((b, &side_b)).or_else(|| name((a, &side_a))).unwrap_or_default();
        let (moment, causes) = why(a, b, names, &side_a, &side_b).unzip();
        ArenaDiff { name, a: side_a, b: side_b, moment, causes: causes.unwrap_or_default() }
    });
    compared.collect()
}

fn sides(plan: &PlanRecord) -> Vec<Option<ArenaSide>> {
    let sides = (0..).zip(plan.arenas.iter().zip(arena_metrics(plan)));
    let side = |(arena, (record, metrics)): (u32, (&ArenaRecord, ArenaMetrics))| {
        Some(ArenaSide { arena, size: record.size, lower_bound: record.lower_bound, metrics })
    };
    sides.map(side).collect()
}

/// What lives in both plans at the peak of the larger. `None` where nothing ever lives.
fn why(
    a: &PlanRecord,
    b: &PlanRecord,
    names: &Names,
    side_a: &Option<ArenaSide>,
    side_b: &Option<ArenaSide>,
) -> Option<(Moment, Vec<Cause>)> {
    let peak = |side: &Option<ArenaSide>| side.as_ref().map_or(0, |side| side.metrics.peak_live);
    let of_b = peak(side_b) >= peak(side_a);
    let (larger, smaller, map) =
        if of_b { (side_b, side_a, &names.ops.a_of_b) } else { (side_a, side_b, &names.ops.b_of_a) };
    let op = larger.as_ref()?.metrics.peak_op?;
    let same = map.get(..=op as usize)?.iter().rev().find_map(|other| *other);
    let other = same.or_else(|| smaller.as_ref()?.metrics.peak_op);
    let (op_a, op_b) = if of_b { (other, Some(op)) } else { (Some(op), other) };
    let live = |plan: &PlanRecord, side: &Option<ArenaSide>, op: Option<u32>| match (side, op) {
        (Some(side), Some(op)) => live_at(plan, side.arena, op),
        _ => Vec::new(),
    };
    let (live_a, live_b) = (live(a, side_a, op_a), live(b, side_b, op_b));
    let causes = causes(a, b, &names.buffers, &live_a, &live_b);
    let sum =
        |plan: &PlanRecord, live: &[u32]| live.iter().map(|&at| size(plan, at)).fold(0, u64::saturating_add);
    let moment = Moment { op, of_b, other, live: (sum(a, &live_a), sum(b, &live_b)) };
    Some((moment, causes))
}

pub(super) fn size(plan: &PlanRecord, buffer: u32) -> u64 {
    plan.buffers.get(buffer as usize).map_or(0, |buffer| buffer.size)
}

/// The tensors of which not the same bytes live in both plans, the largest difference first.
pub(super) fn causes(
    a: &PlanRecord,
    b: &PlanRecord,
    tensors: &Pairing,
    live_a: &[u32],
    live_b: &[u32],
) -> Vec<Cause> {
    let mut there: Vec<u32> = live_a.to_vec();
    there.sort_unstable();
    let lives = |at: &u32| there.binary_search(at).is_ok();
    let mut found = Vec::new();
    for &at in live_b {
        let other = tensors.a_of_b.get(at as usize).copied().flatten();
        let before = other.filter(lives).map_or(0, |other| size(a, other));
        found.push(Cause { a: other, b: Some(at), bytes: (before, size(b, at)) });
    }
    there.clear();
    there.extend_from_slice(live_b);
    there.sort_unstable();
    for &at in live_a {
        let other = tensors.b_of_a.get(at as usize).copied().flatten();
        if other.is_none_or(|other| there.binary_search(&other).is_err()) {
            found.push(Cause { a: Some(at), b: other, bytes: (size(a, at), 0) });
        }
    }
    found.retain(|cause| cause.growth() != 0);
    found.sort_by_key(|cause| Reverse(cause.growth().unsigned_abs()));
    found
}
