//! What an order is worth: the arena that its plan needs.

use alloc::vec::Vec;

use super::barrier::barriers;
use super::dag::Dag;
use super::storage::{Storages, storages};
use crate::plan::Plan;
use crate::problem::Problem;
use crate::solve::{Effort, portfolio, solve};

/// An order with its plan's figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// How it was found: `given`, `list`, `list, backward`, `dfs`, `search`, ...
    pub name: &'static str,
    /// The nodes, in the order in which they run.
    pub order: Vec<u32>,
    /// Bytes of the arena that the planner needs for the lifespans under this order.
    pub peak: u64,
    /// No plan under this order is smaller.
    pub bound: u64,
    /// Barriers that the dispatches need under this plan: one before each that touches a byte of the arena which one
    /// since the last barrier has written, or writes one which such a one has read. Memory that is reused counts as
    /// well as data that is handed on.
    pub barriers: u32,
}

/// Plans an order: with results that overwrite larger operands if that is no worse, else without. By the portfolio
/// alone where no effort is given.
pub(crate) fn score(dag: &Dag, name: &'static str, order: Vec<u32>, effort: Option<Effort>) -> Candidate {
    let planned = |larger| planned(storages(dag, &order, larger), effort);
    let best = match planned(true) {
        Some(larger) if larger.0.keeps_larger => {
            planned(false).filter(|equal| equal.1.peak < larger.1.peak).or(Some(larger))
        }
        best => best,
    };
    let Some((made, plan)) = best else {
        return Candidate { name, order, peak: u64::MAX, bound: 0, barriers: 0 };
    };
    let barriers = barriers(dag, &order, &made, &plan.offsets);
    Candidate { name, order, peak: plan.peak, bound: plan.proved_bound, barriers }
}

/// `None` never for a graph that was accepted: its buffers are fewer than the graph's values and no larger in sum.
fn planned(made: Storages, effort: Option<Effort>) -> Option<(Storages, Plan)> {
    let problem = Problem::new(made.buffers.clone()).ok()?;
    let plan = effort.map_or_else(|| portfolio(&problem), |effort| solve(&problem, effort));
    Some((made, plan))
}
