//! The closed form of the peak: which chains can be the longest, found and proved.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;

use super::chains::{Classes, Sum};
use super::form::Chain;
use super::plan::SymbolicPlan;
use super::replay::Step;
use super::view::View;
use crate::random::SplitMix;

/// More incomparable sums than this at one buffer, and the part of the box is cut in two instead.
const MAX_SUMS: usize = 24;

/// Parts with at most this many points are decided by a replay at each.
const MAX_ENUMERATED: u128 = 32;

/// How much may be done, in counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Parts of the box.
    pub(super) parts: u64,
    /// Differences given to the prover of expressions: each that it proves counts as one, each that it does not as
    /// many, for these take it far longer.
    pub(super) proofs: u64,
}

/// The terms found, and what is known of them.
pub(super) struct Found<'a> {
    pub(super) classes: Classes<'a>,
    pub(super) terms: Vec<Sum>,
    /// The chain that made each.
    pub(super) chains: Vec<Chain>,
    /// Whether no chain is longer than all terms anywhere in the box.
    pub(super) complete: bool,
    /// Points at which the terms were compared with a replay.
    pub(super) points: u64,
}

/// Finds terms until none is missing.
///
/// A part of the box at a time: where a replay at one of its points is higher than all terms, the chain that makes that
/// peak becomes a term. Then all chains are followed from the ground up at once. Each buffer keeps the offsets that
/// chains can give it as sums, without those that are proved to be nowhere above another in this part: what comes on
/// top is monotone, so they never matter. If what arrives at the top is nowhere above some term, the part is proved;
/// otherwise it is cut in two.
///
/// ```text
///     {2a+b, a+2b}        the sums at a buffer; on the part where a >= b is proved only 2a+b is left
///        /      \
///     {a+b}    {2a, 2b}
///        \      /
///         {a, b}
/// ```
pub(super) fn find<'a>(plan: &'a SymbolicPlan, budget: Budget) -> Found<'a> {
    let classes = Classes::new(&plan.problem().sizes);
    let found = Found { classes, terms: vec![], chains: vec![], complete: true, points: 0 };
    let mut search = Search { plan, found, tops: vec![], dice: SplitMix::new(0xf0e3) };
    for point in &plan.looked_at {
        search.compare(point);
    }
    let mut parts = vec![(plan.problem().domain.clone(), Rc::new(BTreeSet::new()))];
    let mut left = budget;
    while let Some((domain, around)) = parts.pop() {
        if domain.count() <= MAX_ENUMERATED {
            search.enumerate(&domain);
            continue;
        }
        if left.parts == 0 || left.proofs == 0 {
            search.found.complete = false;
            break;
        }
        let mut view = View::new(domain, around, left.proofs, &mut search.dice);
        if !search.is_proved(&mut view)
            && let Some([lower, upper]) = view.domain.halves()
        {
            let known = view.known();
            parts.push((upper, known.clone()));
            parts.push((lower, known));
        }
        left.parts -= 1;
        left.proofs = view.proofs;
    }
    search.found
}

struct Search<'a> {
    plan: &'a SymbolicPlan,
    found: Found<'a>,
    tops: Vec<u64>,
    dice: SplitMix,
}

impl Search<'_> {
    /// Replays at a point; if all terms are below the peak there, the chain that makes it becomes a term.
    fn compare(&mut self, point: &[i64]) {
        let at = self.plan.problem().domain.bindings(point);
        let Ok(sizes) = self.plan.problem().sizes_at(&at) else { return };
        let peak = i128::from(self.plan.replay.tops(&sizes, &mut self.tops));
        self.found.points += 1;
        let classes = &self.found.classes;
        let value = |e: &bayplan_expr::Expr| e.eval(&at).map_or(0, i128::from);
        let values: Vec<i128> = classes.exprs.iter().map(value).collect();
        let height = |term: &Sum| -> i128 {
            term.iter().map(|&(class, count)| i128::from(count) * values[class as usize]).sum()
        };
        if self.found.terms.iter().all(|term| height(term) < peak) {
            let chain = self.plan.replay.critical(&self.tops);
            let term = self.found.classes.chain(&self.plan.replay, &chain);
            self.found.terms.push(term);
            let buffers = chain.iter().map(|&step| self.plan.replay.steps[step as usize].buffer).collect();
            self.found.chains.push(Chain { at, buffers });
        }
    }

    fn enumerate(&mut self, domain: &super::domain::Domain) {
        let mut point = domain.corner(false);
        loop {
            self.compare(&point);
            let Some(at) = (0..point.len()).find(|&at| point[at] < domain.sides[at].high) else { return };
            point[at] += 1;
            for (value, side) in point.iter_mut().zip(&domain.sides).take(at) {
                *value = side.low;
            }
        }
    }

    /// Whether the terms are complete in this part; adds those that its points tell.
    fn is_proved(&mut self, view: &mut View) -> bool {
        for point in view.points.clone() {
            let point: Vec<i64> = point.iter().map(|(_, value)| value).collect();
            self.compare(&point);
        }
        let Some(tops) = self.tops_of_chains(view) else { return false };
        let Found { classes, terms, .. } = &self.found;
        tops.iter().all(|top| terms.iter().any(|term| view.at_least(classes, term, top)))
    }

    /// The sums that can be highest in this part; `None` if some buffer has too many.
    fn tops_of_chains(&mut self, view: &mut View) -> Option<BTreeSet<Sum>> {
        let reaches = self.reaching(view);
        let classes = &mut self.found.classes;
        let replay = &self.plan.replay;
        let mut offsets = Offsets { sets: vec![vec![], vec![Sum::new()]], made: BTreeMap::new() };
        let mut set_of: Vec<u32> = Vec::with_capacity(replay.steps.len());
        let mut tops = BTreeSet::new();
        for (step, &reaches) in replay.steps.iter().zip(&reaches) {
            let supports = replay.supports(step);
            let set = match reaches {
                false => NO_SUM,
                true if supports.is_empty() => GROUND,
                true => {
                    let below = supports.iter().map(|&at| (set_of[at as usize], replay.steps[at as usize]));
                    let below: Vec<_> = below.filter(|&(set, _)| set != NO_SUM).collect();
                    offsets.on(&below, step, view, classes)?
                }
            };
            set_of.push(set);
            if step.last {
                tops.extend(offsets.sets[set as usize].iter().map(|sum| classes.top(sum, step)));
            }
        }
        Some(tops)
    }

    /// Whether a chain through each step can be higher than all terms anywhere in this part, as far as the sizes'
    /// greatest values tell.
    fn reaching(&mut self, view: &mut View) -> Vec<bool> {
        let replay = &self.plan.replay;
        let classes = &mut self.found.classes;
        let raw: Vec<Option<u32>> =
            (0..self.plan.problem().sizes.len() as u32).map(|size| classes.rounded(size, 1)).collect();
        let greatest = |class: &Option<u32>| {
            let most = class.map_or(0, |class| view.high(classes, class));
            u64::try_from(most).unwrap_or(0)
        };
        let largest = &self.plan.problem().largest;
        let sizes: Vec<u64> =
            raw.iter().map(greatest).zip(largest).map(|(size, &most)| size.min(most)).collect();
        replay.tops(&sizes, &mut self.tops);
        let floor = self.found.terms.iter().map(|term| view.low(classes, term)).max().unwrap_or(0);
        let mut above = vec![0u64; replay.steps.len()];
        let mut reaches = vec![true; replay.steps.len()];
        for (at, step) in replay.steps.iter().enumerate().rev() {
            reaches[at] = i128::from(self.tops[at] + above[at]) > floor;
            for &support in replay.supports(step) {
                let below = &replay.steps[support as usize];
                let even = step.align() <= below.align()
                    && classes.rounded(below.size, step.align()) == raw[below.size as usize];
                let padding = if even { 0 } else { step.align() - 1 };
                let height = padding + sizes[step.size as usize] + above[at];
                above[support as usize] = above[support as usize].max(height);
            }
        }
        reaches
    }
}

/// The set without a sum.
const NO_SUM: u32 = 0;

/// The set of nothing but offset 0.
const GROUND: u32 = 1;

/// The sets of sums that buffers' offsets can be; equal layers have equal ones, made once.
struct Offsets {
    sets: Vec<Vec<Sum>>,
    /// By the alignment of what is placed, and the set, size and alignment of each support.
    made: BTreeMap<(u64, Vec<Support>), u32>,
}

type Support = (u32, u32, u64);

impl Offsets {
    /// The set of a step's offsets on its supports, given with their sets; `None` if it is too large.
    fn on(
        &mut self,
        below: &[(u32, Step)],
        step: &Step,
        view: &mut View,
        classes: &mut Classes<'_>,
    ) -> Option<u32> {
        let support = |&(set, below): &(u32, Step)| (set, below.size, below.align());
        let mut supports: Vec<Support> = below.iter().map(support).collect();
        supports.sort_unstable();
        supports.dedup();
        let key = (step.align(), supports);
        if let Some(&set) = self.made.get(&key) {
            return Some(set);
        }
        let mut sums = BTreeSet::new();
        for (set, below) in below {
            sums.extend(self.sets[*set as usize].iter().map(|sum| classes.offset_on(sum, below, step)));
        }
        let sums = undominated(view, classes, sums);
        if sums.len() > MAX_SUMS {
            return None;
        }
        let set = self.sets.len() as u32;
        self.sets.push(sums);
        self.made.insert(key, set);
        Some(set)
    }
}

/// The sums without those that are nowhere above another.
fn undominated(view: &mut View, classes: &Classes<'_>, sums: BTreeSet<Sum>) -> Vec<Sum> {
    let middle = view.points.len() / 2;
    let mut sorted: Vec<(i128, Sum)> =
        sums.into_iter().map(|sum| (view.value(classes, &sum, middle), sum)).collect();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let mut kept: Vec<Sum> = vec![];
    for (_, sum) in sorted {
        if kept.iter().any(|other| view.at_least(classes, other, &sum)) {
            continue;
        }
        kept.retain(|other| !view.at_least(classes, &sum, other));
        kept.push(sum);
    }
    kept
}

/// Drops the terms that are nowhere above all others, as far as that is proved, the latest first.
pub(super) fn without_redundant(plan: &SymbolicPlan, found: &mut Found<'_>, budget: Budget) {
    let mut left = budget;
    for at in (0..found.terms.len()).rev() {
        let (term, chain) = (found.terms.remove(at), found.chains.remove(at));
        if found.terms.is_empty() || !is_covered(plan, found, &term, &mut left) {
            found.terms.insert(at, term);
            found.chains.insert(at, chain);
        }
    }
}

/// Whether a sum is proved to be nowhere above all terms.
fn is_covered(plan: &SymbolicPlan, found: &Found<'_>, sum: &Sum, left: &mut Budget) -> bool {
    let mut dice = SplitMix::new(0xc0de);
    let mut parts = vec![(plan.problem().domain.clone(), Rc::new(BTreeSet::new()))];
    while let Some((domain, around)) = parts.pop() {
        if left.parts == 0 || left.proofs == 0 {
            return false;
        }
        let mut view = View::new(domain, around, left.proofs, &mut dice);
        for point in 0..view.points.len() {
            let value = view.value(&found.classes, sum, point);
            let covers = |term: &Sum| view.value(&found.classes, term, point) >= value;
            if !found.terms.iter().any(covers) {
                return false;
            }
        }
        if !found.terms.iter().any(|term| view.at_least(&found.classes, term, sum)) {
            // A single point was decided above.
            if let Some([lower, upper]) = view.domain.halves() {
                let known = view.known();
                parts.push((upper, known.clone()));
                parts.push((lower, known));
            }
        }
        left.parts -= 1;
        left.proofs = view.proofs;
    }
    true
}
