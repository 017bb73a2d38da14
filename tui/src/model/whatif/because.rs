//! Why an arena is not smaller, by the planner: what its bound rests on, and what each tensor of it costs.

use bayplan_plan::explain::{BoundProof, REGRET_WORK, Regret, Verdict, why_not_smaller};
use bayplan_plan::{Effort, Plan, Problem, solve};
use bayplan_trace::{PlanRecord, Storage};

use super::answer::Planned;
use super::{Edit, MOST_PLACED, Subject};
use crate::model::explain;

/// One tensor that the bound rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    /// Number of the buffer.
    pub(crate) buffer: u32,
    /// Its bytes.
    pub(crate) size: u64,
    /// By how many bytes the bound sinks without it; exact.
    pub(crate) without: u64,
    /// The op that shows the bound without it.
    pub(crate) then: u32,
    /// By how many with half of it; exact.
    pub(crate) halved: u64,
    /// How much smaller the arena is without it, as far as that is proved.
    pub(crate) regret: Regret,
}

/// Why an arena is not smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Because {
    /// Bytes of the arena in use.
    pub(crate) peak: u64,
    /// No plan is smaller than this.
    pub(crate) bound: u64,
    /// The op that shows it.
    pub(crate) witness: u32,
    /// Bytes of padding that alignment adds to what lives there.
    pub(crate) padding: u64,
    /// What is known of what lies between.
    pub(crate) verdict: Verdict,
    /// The smallest plan found in the same order where this one is above its bound, if it was looked for.
    pub(crate) anew: Option<u64>,
    /// The tensors that the bound rests on, those without which it sinks most first.
    pub(crate) reasons: Vec<Reason>,
}

impl Because {
    /// Explains an arena: as it was recorded, or as edits make it.
    ///
    /// # Errors
    /// The recorded places are no plan, or there is none after the edits; in words.
    pub(crate) fn of(subject: &Subject, edits: &[Edit]) -> Result<Self, String> {
        if edits.is_empty() { Self::recorded(subject) } else { Self::changed(subject, edits) }
    }

    /// Whether the bound is met by tensors that live throughout: no order of operators is smaller then.
    pub(crate) fn is_level(&self, record: &PlanRecord) -> bool {
        let buffer = |reason: &Reason| record.buffers.get(reason.buffer as usize);
        let resident = |reason: &Reason| buffer(reason).is_some_and(explain::is_resident);
        self.verdict == Verdict::BoundMet && !self.reasons.is_empty() && self.reasons.iter().all(resident)
    }

    fn recorded(subject: &Subject) -> Result<Self, String> {
        let problem = subject.as_it_is()?;
        if problem.is_empty() {
            return Err("nothing lives in this arena".to_owned());
        }
        let offsets = subject.placed.iter().map(|row| row.offset).collect();
        let plan = Plan::from_offsets(&problem, offsets, "recorded")
            .map_err(|violation| format!("the recorded places are no valid plan: {violation}"))?;
        let row = |at: usize| subject.placed.get(at).copied();
        let mut found = Self::explained(&problem, &plan, row, |point| point);
        if found.peak > found.bound && problem.len() <= MOST_PLACED {
            let anew = solve(&problem, Effort::Normal);
            found.anew = Some(anew.peak);
            found.verdict = found.judged(anew.proved_bound);
        }
        Ok(found)
    }

    fn changed(subject: &Subject, edits: &[Edit]) -> Result<Self, String> {
        let Planned { wanted, loose, positions, best, least } = Planned::of(subject, edits)?;
        if loose.is_empty() {
            return Err("nothing is left in this arena".to_owned());
        }
        let plan = best.ok_or("there are too many tensors to place them anew")?;
        let row = |at: usize| wanted.rows[*positions.get(at)?];
        let mut found = Self::explained(&loose, &plan, row, |point| wanted.op_at(point));
        if found.peak > found.bound {
            // The plan is the one that was found anew.
            found.anew = Some(found.peak);
            found.verdict = found.judged(least);
        }
        Ok(found)
    }

    /// What is known of the bytes above the bound, where no plan is smaller than `least`.
    fn judged(&self, least: u64) -> Verdict {
        match self.peak.saturating_sub(least) {
            0 => Verdict::Excluded { gap: self.peak - self.bound },
            at_most => Verdict::Open { at_most, searched: true },
        }
    }

    /// Explains a plan. `row` gives the buffer of a position, `op` the number of the op at a point.
    fn explained(
        problem: &Problem,
        plan: &Plan,
        row: impl Fn(usize) -> Option<Storage>,
        op: impl Fn(u32) -> u32,
    ) -> Self {
        let why = why_not_smaller(problem, plan, REGRET_WORK);
        let (witness, padding) = match &why.proof {
            BoundProof::Live(clique) => (clique.point, 0),
            BoundProof::Padded(clique, padding) => (clique.point, *padding),
            BoundProof::Fixed(_) => (plan.aligned_bound.witness, 0),
        };
        let bound = plan.aligned_bound.bytes;
        let reasons = why.reliefs.iter().filter_map(|relief| {
            let at = relief.buffer as usize;
            let row = row(at).filter(|row| row.size > 0)?;
            Some(Reason {
                buffer: row.buffer,
                size: row.size,
                then: op(relief.without.witness),
                without: bound.saturating_sub(relief.without.bytes),
                halved: bound.saturating_sub(relief.halved.bytes),
                regret: why.regrets.of.get(at).copied().unwrap_or_default(),
            })
        });
        let reasons = reasons.collect();
        let (peak, verdict, witness) = (why.peak, why.verdict, op(witness));
        Self { peak, bound, witness, padding, verdict, anew: None, reasons }
    }
}
