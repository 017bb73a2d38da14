//! What is answered: an order, and what it needs at any point of the box.

use alloc::vec;
use alloc::vec::Vec;

use bayplan_expr::{Bindings, Scope};

use super::problem::{SymbolicError, SymbolicProblem};
use super::regret::{self, Sample};
use super::replay::Replay;
use crate::bound::LowerBound;
use crate::plan::Plan;
use crate::solve::Effort;

/// An order of placement for all sizes of a [`SymbolicProblem`].
#[derive(Clone, Debug)]
pub struct SymbolicPlan {
    problem: SymbolicProblem,
    order: Vec<u32>,
    pub(super) replay: Replay,
    chosen: Option<Regret>,
    /// Where the choice looked; their chains are the first terms of the closed form.
    pub(super) looked_at: Vec<Vec<i64>>,
}

/// How an order was chosen, and how it does.
#[derive(Clone, Debug, PartialEq)]
pub struct Regret {
    /// The point whose plan gave the order.
    pub reference: Bindings,
    /// The largest ratio of the order's peak to max-live, of sizes rounded up to the alignment that all buffers have, at
    /// the points looked at; at least 1.
    pub worst: f64,
    /// Where it is.
    pub at: Bindings,
    /// How many points were looked at.
    pub points: usize,
}

/// The offsets at one point of the box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Offset in bytes of each buffer, in the problem's order.
    pub offsets: Vec<u64>,
    /// Bytes the arena needs: the largest offset + size, buffers that are empty at this point included.
    pub peak: u64,
}

impl SymbolicPlan {
    /// Chooses an order by min-max regret: the largest ratio of peak to max-live at the points looked at is the least
    /// of all orders tried. The same problem always gets the same order.
    pub fn solve(problem: SymbolicProblem, effort: Effort) -> Self {
        let choice = regret::choose(&problem, effort);
        let domain = &problem.domain;
        let at = choice.samples.get(choice.score.at).map_or(&choice.reference, |sample| &sample.point);
        let chosen = Regret {
            reference: domain.bindings(&choice.reference),
            worst: choice.score.worst,
            at: domain.bindings(at),
            points: choice.samples.len(),
        };
        let replay = Replay::new(&problem, &choice.order);
        let looked_at = choice.samples.into_iter().map(|Sample { point, .. }| point).collect();
        Self { problem, order: choice.order, replay, chosen: Some(chosen), looked_at }
    }

    /// A plan with an order made elsewhere: read from a file, or that of a plan for fixed sizes.
    ///
    /// # Errors
    /// [`SymbolicError::NotAnOrder`].
    pub fn from_order(problem: SymbolicProblem, order: Vec<u32>) -> Result<Self, SymbolicError> {
        let mut named = vec![false; problem.len()];
        for (position, &buffer) in order.iter().enumerate() {
            match named.get_mut(buffer as usize) {
                Some(named) if !*named => *named = true,
                _ => return Err(SymbolicError::NotAnOrder { position }),
            }
        }
        if order.len() < problem.len() {
            return Err(SymbolicError::NotAnOrder { position: order.len() });
        }
        let replay = Replay::new(&problem, &order);
        Ok(Self { problem, order, replay, chosen: None, looked_at: Vec::new() })
    }

    /// The same order for other bounds of the symbols, smaller ones as a rule: what is reserved for them follows, and
    /// nothing is planned again.
    ///
    /// # Errors
    /// As [`SymbolicProblem::new`].
    pub fn within(&self, scope: Scope) -> Result<Self, SymbolicError> {
        let problem = SymbolicProblem::new(self.problem.buffers().to_vec(), scope)?;
        let replay = Replay::new(&problem, &self.order);
        Ok(Self { problem, order: self.order.clone(), replay, chosen: None, looked_at: Vec::new() })
    }

    /// The problem it is for.
    pub fn problem(&self) -> &SymbolicProblem {
        &self.problem
    }

    /// The buffers' numbers in the order in which they are placed: all there is to store.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// How the order was chosen; `None` of one that was given.
    pub fn regret(&self) -> Option<&Regret> {
        self.chosen.as_ref()
    }

    /// The offsets at a point: each buffer in order goes to the highest top of the earlier ones that live with it.
    ///
    /// # Errors
    /// A point outside the box, or one at which a size has no value.
    pub fn replay(&self, point: &Bindings) -> Result<Replayed, SymbolicError> {
        let sizes = self.problem.sizes_at(point)?;
        let mut tops = Vec::with_capacity(self.order.len());
        let peak = self.replay.tops(&sizes, &mut tops);
        let mut offsets = vec![0; self.order.len()];
        for (step, top) in self.replay.steps.iter().zip(tops) {
            offsets[step.buffer as usize] = top - sizes[step.size as usize];
        }
        Ok(Replayed { offsets, peak })
    }

    /// The plan at a point, with its bounds, judged by [`validate`](crate::validate).
    ///
    /// # Errors
    /// As [`SymbolicPlan::replay`].
    pub fn plan_at(&self, point: &Bindings) -> Result<Plan, SymbolicError> {
        let problem = self.problem.at(point)?;
        let Replayed { offsets, .. } = self.replay(point)?;
        Plan::from_offsets(&problem, offsets, "symbolic replay").map_err(SymbolicError::Invalid)
    }

    /// Bytes the arena needs at a point.
    ///
    /// # Errors
    /// As [`SymbolicPlan::replay`].
    pub fn peak_at(&self, point: &Bindings) -> Result<u64, SymbolicError> {
        let sizes = self.problem.sizes_at(point)?;
        Ok(self.replay.tops(&sizes, &mut Vec::with_capacity(self.order.len())))
    }

    /// Max-live at a point.
    ///
    /// # Errors
    /// As [`SymbolicPlan::replay`].
    pub fn lower_bound_at(&self, point: &Bindings) -> Result<LowerBound, SymbolicError> {
        self.problem.lower_bound(point)
    }

    /// The share of max-live that the arena has above it at a point, 0.0 when nothing is live.
    ///
    /// # Errors
    /// As [`SymbolicPlan::replay`].
    pub fn waste_at(&self, point: &Bindings) -> Result<f64, SymbolicError> {
        let (peak, bound) = (self.peak_at(point)?, self.lower_bound_at(point)?.bytes);
        Ok(if bound == 0 { 0.0 } else { peak.saturating_sub(bound) as f64 / bound as f64 })
    }
}
