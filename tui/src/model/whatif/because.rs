//! Why an arena is not smaller, by the planner: what its bound rests on, and what each tensor of it costs.

use bayplan_plan::explain::{BoundProof, REGRET_WORK, Regret, Verdict, why_not_smaller};
use bayplan_plan::{Effort, Plan, solve};

use super::{MOST_PLACED, Subject};

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
    /// Explains an arena as it was recorded.
    ///
    /// # Errors
    /// The recorded places are no plan; in words.
    pub(crate) fn of(subject: &Subject) -> Result<Self, String> {
        let problem = subject.as_it_is()?;
        if problem.is_empty() {
            return Err("nothing lives in this arena".to_owned());
        }
        let offsets = subject.placed.iter().map(|row| row.offset).collect();
        let plan = Plan::from_offsets(&problem, offsets, "recorded")
            .map_err(|violation| format!("the recorded places are no valid plan: {violation}"))?;
        let why = why_not_smaller(&problem, &plan, REGRET_WORK);
        let (witness, padding) = match &why.proof {
            BoundProof::Live(clique) => (clique.point, 0),
            BoundProof::Padded(clique, padding) => (clique.point, *padding),
            BoundProof::Fixed(_) => (plan.aligned_bound.witness, 0),
        };
        let bound = plan.aligned_bound.bytes;
        let reasons = why.reliefs.iter().filter_map(|relief| {
            let at = relief.buffer as usize;
            let row = subject.placed.get(at).filter(|row| row.size > 0)?;
            Some(Reason {
                buffer: row.buffer,
                size: row.size,
                then: relief.without.witness,
                without: bound.saturating_sub(relief.without.bytes),
                halved: bound.saturating_sub(relief.halved.bytes),
                regret: why.regrets.of.get(at).copied().unwrap_or_default(),
            })
        });
        let reasons = reasons.collect();
        let mut found =
            Self { peak: why.peak, bound, witness, padding, verdict: why.verdict, anew: None, reasons };
        if found.peak > found.bound && problem.len() <= MOST_PLACED {
            let anew = solve(&problem, Effort::Normal);
            found.anew = Some(anew.peak);
            if anew.proved_bound >= found.peak {
                found.verdict = Verdict::Excluded { gap: found.peak - found.bound };
            } else {
                found.verdict = Verdict::Open { at_most: found.peak - anew.proved_bound, searched: true };
            }
        }
        Ok(found)
    }
}
