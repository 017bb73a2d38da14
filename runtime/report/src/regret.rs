//! Regrets of tensors: how much an arena would shrink without one, by the planner, off the plan that was recorded.

use std::cell::RefCell;
use std::collections::BTreeMap;

use bayplan_plan::Plan;
use bayplan_plan::explain::{REGRET_WORK, Regret, why_not_smaller};
use bayplan_trace::{PlanRecord, Storage, Timeline, storages};

use crate::instance::problem;

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
        let placed: Vec<Storage> = storages(record, arena).collect();
        let regrets = of_arena(&placed);
        for (position, storage) in placed.iter().enumerate() {
            found[storage.buffer as usize] =
                regrets.as_ref().and_then(|regrets| regrets.get(position).copied());
        }
    }
    found
}

fn of_arena(placed: &[Storage]) -> Option<Vec<Regret>> {
    let problem = problem(placed).ok()?;
    let offsets = placed.iter().map(|storage| storage.offset).collect();
    let plan = Plan::from_offsets(&problem, offsets, "recorded").ok()?;
    Some(why_not_smaller(&problem, &plan, REGRET_WORK).regrets.of)
}
