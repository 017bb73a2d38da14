//! Regrets of tensors: how much an arena would shrink without one, by the planner, off the plan that was recorded.

use std::cell::RefCell;
use std::collections::BTreeMap;

use bayplan_plan::explain::{REGRET_WORK, Regret, why_not_smaller};
use bayplan_plan::{Buffer, Lifespan, Plan, Problem};
use bayplan_trace::{PlanRecord, Timeline};

/// The regrets of the plans of a session, worked out when they are first asked for.
pub(crate) struct Regrets<'a> {
    timeline: &'a Timeline,
    /// For each plan that was asked for, of every buffer.
    known: RefCell<BTreeMap<u32, Vec<Option<Regret>>>>,
}

impl<'a> Regrets<'a> {
    pub(crate) fn new(timeline: &'a Timeline) -> Self {
        Self { timeline, known: RefCell::default() }
    }

    /// How many bytes smaller the buffer's arena would be without it, at least and at most. `None` where the recorded
    /// offsets are no plan for the recorded lifespans.
    pub(crate) fn of(&self, plan: u32, buffer: u32) -> Option<(u64, u64)> {
        let record = &self.timeline.plans.get(plan as usize)?.record;
        let mut known = self.known.borrow_mut();
        let of_plan = known.entry(plan).or_insert_with(|| regrets(record));
        let regret = of_plan.get(buffer as usize).copied().flatten()?;
        Some((regret.at_least, regret.at_most))
    }
}

fn regrets(record: &PlanRecord) -> Vec<Option<Regret>> {
    // Without a view, or a tensor that lives only in another's bytes, nothing is smaller.
    let mut found = vec![Some(Regret::default()); record.buffers.len()];
    for arena in 0..record.arenas.len() as u32 {
        let members = planned(record, arena);
        let regrets = of_arena(record, &members);
        for (position, at) in members.into_iter().enumerate() {
            found[at] = regrets.as_ref().and_then(|regrets| regrets.get(position).copied());
        }
    }
    found
}

/// The buffers that have bytes of their own in an arena.
fn planned(record: &PlanRecord, arena: u32) -> Vec<usize> {
    let own = |at: &usize| record.buffers[*at].arena == arena && record.buffers[*at].alias_of.is_none();
    let all = (0..record.buffers.len()).filter(own);
    all.filter(|&at| !planned_buffer(record, at).lifespan.is_empty()).collect()
}

fn of_arena(record: &PlanRecord, members: &[usize]) -> Option<Vec<Regret>> {
    let buffers = members.iter().map(|&at| planned_buffer(record, at)).collect();
    let problem = Problem::new(buffers).ok()?;
    let offsets = members.iter().map(|&at| record.buffers[at].offset).collect();
    let plan = Plan::from_offsets(&problem, offsets, "recorded").ok()?;
    Some(why_not_smaller(&problem, &plan, REGRET_WORK).regrets.of)
}

/// A buffer that took over the bytes of another, computed in place, counts from the end of the other on.
fn planned_buffer(record: &PlanRecord, at: usize) -> Buffer {
    let buffer = &record.buffers[at];
    let before = buffer.in_place_of.and_then(|before| record.buffers.get(before as usize));
    let first = before.map_or(buffer.first, |before| before.last.clamp(buffer.first, buffer.last));
    Buffer {
        size: buffer.size,
        align: buffer.alignment.max(1),
        lifespan: Lifespan { first, last: buffer.last },
        fixed: None,
    }
}
