//! What stays in an arena that is too small for all that wants to be in it.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::blocks::{BlockPlan, in_blocks};
use super::budget::Budget;
use super::{Arena, NoFit};
use crate::problem::Problem;
use crate::sections::{Job, Sections};

/// How often the limit of loads is lowered because no plan was found for what stayed.
const ROUNDS: u32 = 7;

/// Plans that may be made in one round, and the steps of each.
const MOST_PLANS: u32 = 40;
const PLAN_STEPS: u64 = 5_000_000;

/// Which buffers stay, and their plan; those that leave cost least. `costs` has none for a buffer that cannot leave.
///
/// `None` when no plan was found even for those that cannot leave.
pub(super) fn keep(
    part: &Problem,
    costs: &[Option<u64>],
    arena: &Arena,
    budget: Budget,
) -> Result<Option<(Vec<bool>, BlockPlan)>, NoFit> {
    if let Some(plan) = fits(part, arena, budget)? {
        return Ok(Some((vec![true; part.len()], plan)));
    }
    let sections = Sections::of(part);
    let mut stuck = vec![0u64; sections.loads.len()];
    for job in sections.jobs.iter().filter(|job| costs[job.buffer as usize].is_none()) {
        stuck[job.first as usize..job.last as usize].iter_mut().for_each(|load| *load += job.size);
    }
    if stuck.iter().any(|&load| load > arena.capacity) {
        return Ok(None);
    }
    for round in 0..=ROUNDS {
        // From the second round on what stays has to be less than the capacity: by a 64th, a 32nd, ... all of it.
        let slack = if round == 0 { 0 } else { arena.capacity >> (ROUNDS - round) };
        let limit = arena.capacity - slack;
        let limits = stuck.iter().map(|&stuck| stuck.max(limit)).collect();
        let mut search = Search::new(part, &sections, costs, arena, limits, budget);
        search.run()?;
        if let Some((_, kept, plan)) = search.best {
            return Ok(Some((kept, plan)));
        }
    }
    Ok(None)
}

/// The plan of a problem if it fits the arena.
fn fits(part: &Problem, arena: &Arena, budget: Budget) -> Result<Option<BlockPlan>, NoFit> {
    let plan = in_blocks(part, arena, budget)?;
    Ok(Some(plan).filter(|plan| plan.plan.peak <= arena.capacity))
}

/// What has been decided of a job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Stays,
    Leaves,
}

/// A node: one of `jobs[..next]` leaves, and those before it stay.
struct Frame {
    jobs: Vec<u32>,
    next: usize,
}

/// Branch and bound over what leaves.
///
/// ```text
///   load  ^      __                 of the jobs live where the load is highest, one must leave: the
///         |   __|  |__   limit      first, or the first stays and the second leaves, ... Whatever
///         |--|--------|------       leaves costs at least its share of the excess at the best price
///         +-------------->          per byte there, and what cannot beat the best so far is cut off.
/// ```
///
/// Where every load is within the limit, what is left is planned. If that does not fit, one more of it has to leave.
struct Search<'a> {
    part: &'a Problem,
    sections: &'a Sections,
    costs: &'a [Option<u64>],
    arena: &'a Arena,
    budget: Budget,
    /// Per section: what may stay. Never below what cannot leave.
    limits: Vec<u64>,
    loads: Vec<u64>,
    fates: Vec<Fate>,
    /// Sums of prices do not fit 64 bits.
    cost: u128,
    work: u64,
    plans: u32,
    best: Option<(u128, Vec<bool>, BlockPlan)>,
}

impl<'a> Search<'a> {
    fn new(
        part: &'a Problem,
        sections: &'a Sections,
        costs: &'a [Option<u64>],
        arena: &'a Arena,
        limits: Vec<u64>,
        budget: Budget,
    ) -> Self {
        let (loads, fates) = (sections.loads.clone(), vec![Fate::Open; sections.jobs.len()]);
        let (work, plans) = (budget.steps, MOST_PLANS);
        Self { part, sections, costs, arena, budget, limits, loads, fates, cost: 0, work, plans, best: None }
    }

    fn job(&self, index: u32) -> &'a Job {
        &self.sections.jobs[index as usize]
    }

    /// What it costs when a job leaves.
    fn price(&self, index: u32) -> Option<u64> {
        self.costs[self.job(index).buffer as usize]
    }

    fn run(&mut self) -> Result<(), NoFit> {
        let mut frames = vec![self.open_frame()?];
        let mut turned = false;
        while let Some(frame) = frames.last_mut() {
            let spent = self.work == 0 || self.plans == 0;
            if spent && (turned || self.best.is_some() || self.settled()) {
                break;
            }
            // What the last step sent away stays from now on, for the rest of this node.
            let left = frame.next.checked_sub(1).map(|at| frame.jobs[at]);
            let next = frame.jobs.get(frame.next).copied();
            frame.next += 1;
            if let Some(left) = left {
                self.come_back(left);
            }
            let Some(next) = next else {
                if let Some(done) = frames.pop() {
                    done.jobs.iter().for_each(|&job| self.fates[job as usize] = Fate::Open);
                }
                turned = true;
                continue;
            };
            self.leave(next);
            if !self.hopeless() {
                frames.push(self.open_frame()?);
            }
        }
        Ok(())
    }

    /// Whether all loads are within the limit.
    fn settled(&self) -> bool {
        self.loads.iter().zip(&self.limits).all(|(load, limit)| load <= limit)
    }

    fn leave(&mut self, index: u32) {
        let job = self.job(index);
        self.fates[index as usize] = Fate::Leaves;
        self.loads[job.first as usize..job.last as usize].iter_mut().for_each(|load| *load -= job.size);
        self.cost += u128::from(self.price(index).unwrap_or(0));
    }

    fn come_back(&mut self, index: u32) {
        let job = self.job(index);
        self.fates[index as usize] = Fate::Stays;
        self.loads[job.first as usize..job.last as usize].iter_mut().for_each(|load| *load += job.size);
        self.cost -= u128::from(self.price(index).unwrap_or(0));
    }

    /// Whether nothing below this node can cost less than the best so far.
    fn hopeless(&self) -> bool {
        self.best.as_ref().is_some_and(|best| self.cost >= best.0)
    }

    /// The choices at a node: none when it is a leaf or cannot beat the best.
    fn open_frame(&mut self) -> Result<Frame, NoFit> {
        self.work = self.work.saturating_sub((self.loads.len() + self.fates.len()) as u64);
        let none = Frame { jobs: vec![], next: 0 };
        let excess = self.loads.iter().zip(&self.limits).map(|(load, limit)| load.saturating_sub(*limit));
        let highest = (0..).zip(excess).max_by_key(|&(section, excess)| (excess, Reverse(section)));
        let Some((section, excess)) = highest else { return Ok(none) };
        if excess > 0 {
            let jobs = self.candidates(|job| job.first <= section && section < job.last);
            let enough = self.least(&jobs, excess);
            let best = self.best.as_ref().map_or(u128::MAX, |best| best.0);
            let worth = enough.is_some_and(|least| self.cost + least < best);
            return Ok(if worth { Frame { jobs, next: 0 } } else { none });
        }
        let Some(peak_jobs) = self.plan()? else { return Ok(none) };
        let mut jobs = self.candidates(|_| true);
        jobs.sort_by_key(|job| !peak_jobs.contains(job));
        Ok(Frame { jobs, next: 0 })
    }

    /// Open jobs that may leave, the best price per byte and section first.
    fn candidates(&self, wanted: impl Fn(&Job) -> bool) -> Vec<u32> {
        let open = |&index: &u32| {
            self.fates[index as usize] == Fate::Open && self.price(index).is_some() && wanted(self.job(index))
        };
        let mut jobs: Vec<u32> = (0..self.fates.len() as u32).filter(open).collect();
        let relief = |index: u32| {
            let job = self.job(index);
            let over =
                |section: u32| self.loads[section as usize].saturating_sub(self.limits[section as usize]);
            let relief = (job.first..job.last).map(|section| u128::from(over(section).min(job.size)));
            relief.sum::<u128>().max(1)
        };
        // Price / relief, ascending: compared by a fixed-point quotient.
        jobs.sort_by_cached_key(|&index| {
            let price = u128::from(self.price(index).unwrap_or(u64::MAX));
            ((price << 32) / relief(index), index)
        });
        jobs
    }

    /// The least that the jobs of one section cost that bring it down by `excess`: fractions of them at the best price
    /// per byte. `None` if all of them are not enough.
    fn least(&self, jobs: &[u32], excess: u64) -> Option<u128> {
        let mut rows: Vec<(u64, u64)> =
            jobs.iter().map(|&index| (self.price(index).unwrap_or(u64::MAX), self.job(index).size)).collect();
        rows.sort_by(|a, b| (u128::from(a.0) * u128::from(b.1)).cmp(&(u128::from(b.0) * u128::from(a.1))));
        let (mut left, mut least) = (excess, 0u128);
        for (price, size) in rows {
            if size >= left {
                return Some(least + u128::from(price) * u128::from(left) / u128::from(size));
            }
            (left, least) = (left - size, least + u128::from(price));
        }
        None
    }

    /// Plans what stays. `None` when that fits, and is the best so far; otherwise the jobs that live with the highest.
    fn plan(&mut self) -> Result<Option<Vec<u32>>, NoFit> {
        let (mut kept, mut cost) = (vec![true; self.part.len()], self.cost);
        for (job, _) in self.sections.jobs.iter().zip(&self.fates).filter(|(_, fate)| **fate == Fate::Leaves)
        {
            kept[job.buffer as usize] = false;
        }
        let fewest = kept.clone();
        self.return_needless(&mut kept, &mut cost);
        let mut highest = vec![];
        for (kept, cost) in [(&kept, cost), (&fewest, self.cost)] {
            if self.plans == 0 {
                break;
            }
            self.plans -= 1;
            let members: Vec<usize> = (0..kept.len()).filter(|&buffer| kept[buffer]).collect();
            let Ok(part) = Problem::new(members.iter().map(|&buffer| self.part.buffers()[buffer]).collect())
            else {
                break;
            };
            let plan = in_blocks(&part, self.arena, self.budget.capped(PLAN_STEPS))?;
            if plan.plan.peak <= self.arena.capacity {
                if self.best.as_ref().is_none_or(|best| cost < best.0) {
                    self.best = Some((cost, kept.clone(), plan));
                }
                return Ok(None);
            }
            let ends = part.buffers().iter().zip(&plan.plan.offsets);
            let above = ends.filter(|(buffer, offset)| *offset + buffer.size > self.arena.capacity);
            highest = above.map(|(buffer, _)| buffer.lifespan).collect();
            if *kept == fewest {
                break;
            }
        }
        let near = |index: &u32| {
            let lifespan = self.part.buffers()[self.job(*index).buffer as usize].lifespan;
            highest.iter().any(|other| other.overlaps(lifespan))
        };
        Ok(Some((0..self.fates.len() as u32).filter(near).collect()))
    }

    /// Keeps what need not leave because of what left after it, the dearest first.
    fn return_needless(&self, kept: &mut [bool], cost: &mut u128) {
        let mut left: Vec<u32> = (0..self.fates.len() as u32)
            .filter(|&index| self.fates[index as usize] == Fate::Leaves)
            .collect();
        left.sort_by_key(|&index| (Reverse(self.price(index)), index));
        let mut loads = self.loads.clone();
        for index in left {
            let job = self.job(index);
            let sections = job.first as usize..job.last as usize;
            let room = loads[sections.clone()].iter().zip(&self.limits[sections.clone()]);
            if room.into_iter().all(|(load, limit)| load + job.size <= *limit) {
                loads[sections].iter_mut().for_each(|load| *load += job.size);
                kept[job.buffer as usize] = true;
                *cost -= u128::from(self.price(index).unwrap_or(0));
            }
        }
    }
}
