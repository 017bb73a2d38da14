//! Which order to store: the one whose worst waste over the box is least.

mod mend;

use alloc::vec::Vec;

use super::domain::Domain;
use super::problem::SymbolicProblem;
use super::replay::Replay;
use crate::problem::Problem;
use crate::random::SplitMix;
use crate::solve::{Effort, portfolio, solve, solve_with};
use crate::strategy::strategies;
use mend::Starts;

/// A point of the box with what is asked there.
pub(super) struct Sample {
    pub(super) point: Vec<i64>,
    /// The problem's different sizes.
    pub(super) sizes: Vec<u64>,
    /// Max-live of sizes rounded up to the alignment that all buffers have: whose padding is saved, on top, is a matter of
    /// the point, and no order saves the most at all of them.
    pub(super) bound: u64,
}

impl Sample {
    /// `None` where a size has no value.
    pub(super) fn at(problem: &SymbolicProblem, point: Vec<i64>) -> Option<Self> {
        let sizes = problem.sizes_at(&problem.domain.bindings(&point)).ok()?;
        let grain = problem.buffers().iter().map(|buffer| buffer.align).min().unwrap_or(1);
        let rounded: Vec<u64> = sizes.iter().map(|size| size.next_multiple_of(grain)).collect();
        let bound = problem.max_live(&rounded).bytes;
        Some(Self { point, sizes, bound })
    }

    fn ratio(&self, peak: u64) -> f64 {
        if peak <= self.bound { 1.0 } else { peak as f64 / self.bound as f64 }
    }
}

/// The worst ratio of peak to max-live at any sample, where it is, and the mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct Score {
    pub(super) worst: f64,
    pub(super) at: usize,
    mean: f64,
}

impl Score {
    fn is_below(&self, other: &Self) -> bool {
        (self.worst, self.mean) < (other.worst, other.mean)
    }
}

/// The order chosen.
pub(super) struct Choice {
    pub(super) order: Vec<u32>,
    /// The point at which it was planned.
    pub(super) reference: Vec<i64>,
    pub(super) score: Score,
    pub(super) samples: Vec<Sample>,
}

/// How much is tried, in counts.
struct Limits {
    /// Points of the first grid, each a candidate.
    grid: usize,
    /// Random points that the best order is looked at after each round.
    probes: usize,
    rounds: usize,
    /// The hardest points, which are searched, and the steps of each search.
    hardest: usize,
    steps: u64,
    /// Orders from which groups of buffers are moved, and orders looked at on the way.
    starts: usize,
    moves: usize,
    /// The worst ratio with which that stops.
    enough: f64,
    /// Orders changed at one place that are looked at.
    changes: usize,
}

impl Limits {
    /// A candidate costs a plan, and a look at every sample; large problems get fewer of both.
    fn of(problem: &SymbolicProblem, effort: Effort) -> Self {
        let by_size = |most: usize| most.min(1_000_000 / problem.len().max(1)).max(3);
        let (grid, probes, changes) = match effort {
            Effort::Normal => (36, 300, 300),
            Effort::High | Effort::Steps(_) => (130, 2000, 10_000),
        };
        let (starts, moves, enough) = match effort {
            Effort::Normal => (24, 10_000, 1.0 + 1.0 / 4096.0),
            Effort::High | Effort::Steps(_) => (200, 500_000, 1.0),
        };
        let (hardest, steps) = match effort {
            Effort::Normal => (2, 100_000),
            Effort::High => (8, 10_000_000),
            Effort::Steps(steps) => (8, steps / 8),
        };
        let moves = moves.min(5_000_000 / problem.len().max(1));
        let (grid, probes, changes) = (by_size(grid), by_size(probes), by_size(changes));
        Self { grid, probes, rounds: 4, hardest, steps, starts, moves, enough, changes }
    }
}

/// Plans at points all over the box and replays each order at all of them; then looks for points at which the best
/// order does worse than at any before, plans there too, and so on; at last searches at the hardest points and changes
/// the order itself.
///
/// ```text
///   peak / max-live                        planned at the left end: good there, bad at the right
///      ^ \          order of the left      planned at the right end: the reverse
///      |  \  ......./......                somewhere between lies the reference point whose worst is least
///    1 +---\------------------> size
/// ```
pub(super) fn choose(problem: &SymbolicProblem, effort: Effort) -> Choice {
    let limits = Limits::of(problem, effort);
    let domain = &problem.domain;
    let points = domain.grid(limits.grid);
    let samples = points.iter().filter_map(|point| Sample::at(problem, point.clone())).collect();
    let mut search =
        Search { problem, samples, best: None, starts: Starts::at_most(limits.starts), tops: Vec::new() };
    search.plan_everywhere(0);
    let mut dice = SplitMix::new(0x5eed);
    for _ in 0..limits.rounds {
        let from = search.samples.len();
        search.probe(domain, limits.probes, &mut dice);
        if search.samples.len() == from {
            break;
        }
        search.plan_everywhere(from);
    }
    search.search_hardest(limits.hardest, limits.steps);
    let mut left = limits.moves;
    for _ in 0..limits.rounds {
        search.regroup(&mut left, limits.enough);
        let from = search.samples.len();
        search.probe(domain, limits.probes, &mut dice);
        if search.samples.len() == from {
            break;
        }
    }
    search.change(limits.changes, &mut dice);
    search.finish()
}

/// The best order so far.
struct Best {
    order: Vec<u32>,
    replay: Replay,
    reference: usize,
    score: Score,
}

struct Search<'a> {
    problem: &'a SymbolicProblem,
    samples: Vec<Sample>,
    best: Option<Best>,
    /// Other good orders.
    starts: Starts,
    tops: Vec<u64>,
}

impl Search<'_> {
    /// Makes the samples from `from` on candidates: first the plan of the whole portfolio, then, unless that does as
    /// well as can be, of each strategy.
    fn plan_everywhere(&mut self, from: usize) {
        for at in from..self.samples.len() {
            if self.is_done() {
                return;
            }
            let Some(problem) = self.planning_problem(at) else { continue };
            self.offer(order_of(&problem, &portfolio(&problem).offsets), at);
        }
        for at in from..self.samples.len() {
            let Some(problem) = self.planning_problem(at) else { continue };
            for strategy in strategies() {
                if self.is_done() {
                    return;
                }
                if let Some(plan) = solve_with(&problem, strategy) {
                    self.offer(order_of(&problem, &plan.offsets), at);
                }
            }
        }
    }

    /// Plans with a search where the best order does worst, one such point after another.
    fn search_hardest(&mut self, points: usize, steps: u64) {
        let mut searched = Vec::new();
        for _ in 0..points {
            let Some(best) = self.best.as_ref().filter(|best| best.score.worst > 1.0) else { return };
            let at = best.score.at;
            if searched.contains(&at) {
                return;
            }
            searched.push(at);
            let Some(problem) = self.planning_problem(at) else { return };
            self.offer(order_of(&problem, &solve(&problem, Effort::Steps(steps)).offsets), at);
        }
    }

    /// Whether no order can do better.
    fn is_done(&self) -> bool {
        self.best.as_ref().is_some_and(|best| best.score.worst <= 1.0)
    }

    /// The problem at a sample; what is empty there counts as a byte, so that it gets a place in the order that says
    /// something.
    fn planning_problem(&self, at: usize) -> Option<Problem> {
        let sizes: Vec<u64> = self.samples[at].sizes.iter().map(|&size| size.max(1)).collect();
        self.problem.with_sizes(&sizes).ok()
    }

    /// Takes an order if it is better than the best.
    fn offer(&mut self, order: Vec<u32>, reference: usize) -> bool {
        let replay = Replay::new(self.problem, &order);
        let most = self.starts.most();
        if let Some(waste) = self.waste(&replay, most) {
            self.starts.keep(waste, &order, reference);
        }
        let Some(score) = self.score(&replay) else { return false };
        let better = self.best.as_ref().is_none_or(|best| score.is_below(&best.score));
        if better {
            self.best = Some(Best { order, replay, reference, score });
        }
        better
    }

    /// `None` once the order is known to be no better than the best: where that does worst is looked at first.
    fn score(&mut self, replay: &Replay) -> Option<Score> {
        let best = self.best.as_ref().map(|best| best.score);
        let (mut score, mut sum) = (Score { worst: 1.0, at: 0, mean: 1.0 }, 0.0);
        let first = best.map_or(0, |best| best.at);
        for at in (first..self.samples.len()).chain(0..first) {
            let sample = &self.samples[at];
            let ratio = sample.ratio(replay.tops(&sample.sizes, &mut self.tops));
            if best.is_some_and(|best| ratio > best.worst) {
                return None;
            }
            if ratio > score.worst {
                (score.worst, score.at) = (ratio, at);
            }
            sum += ratio;
        }
        score.mean = sum / self.samples.len().max(1) as f64;
        Some(score)
    }

    /// Replays the best order at random points and makes the worst of them samples.
    fn probe(&mut self, domain: &Domain, probes: usize, dice: &mut SplitMix) {
        let Some(mut best) = self.best.take() else { return };
        for _ in 0..probes {
            let Some(sample) = Sample::at(self.problem, domain.random(dice)) else { continue };
            let ratio = sample.ratio(best.replay.tops(&sample.sizes, &mut self.tops));
            if ratio > best.score.worst {
                (best.score.worst, best.score.at) = (ratio, self.samples.len());
                self.samples.push(sample);
            }
        }
        self.best = Some(best);
    }

    fn finish(self) -> Choice {
        let Self { samples, best, .. } = self;
        match best {
            Some(Best { order, reference, score, .. }) => {
                Choice { order, reference: samples[reference].point.clone(), score, samples }
            }
            // No point has values for all sizes: any order is as good.
            None => Choice {
                order: (0..self.problem.len() as u32).collect(),
                reference: self.problem.domain.corner(false),
                score: Score { worst: 1.0, at: 0, mean: 1.0 },
                samples,
            },
        }
    }
}

/// The canonical order of a plan: by offset; of equal ones, which live one after another, the earlier first.
pub(super) fn order_of(problem: &Problem, offsets: &[u64]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..offsets.len() as u32).collect();
    order.sort_unstable_by_key(|&i| (offsets[i as usize], problem.buffers()[i as usize].lifespan.first, i));
    order
}
