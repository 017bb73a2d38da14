//! What is known of sums within one part of the box.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;

use bayplan_expr::{Bindings, Expr, Scope, bounds, prove_le};

use super::chains::{Classes, Sum, difference};
use super::domain::Domain;
use crate::random::SplitMix;

/// Random points of a part besides its corners.
const RANDOM_POINTS: usize = 4;

/// What a proof that fails counts as: the prover cuts the box until its own limit is reached, one that succeeds mostly
/// ends at the first look.
const FAILED_PROOF: u64 = 64;

/// Corners are looked at of at most this many symbols.
const MAX_CORNER_SIDES: u32 = 4;

/// A part of the box with a few points in it, the classes' values there and their ranges.
pub(super) struct View {
    pub(super) domain: Domain,
    scope: Scope,
    pub(super) points: Vec<Bindings>,
    /// Per class and point; filled as classes come up.
    values: Vec<Vec<i128>>,
    ranges: Vec<(i128, i128)>,
    /// Differences known to be nowhere negative in a part around this one.
    around: Rc<BTreeSet<Sum>>,
    /// Differences looked at in this part.
    decided: BTreeMap<Sum, bool>,
    /// What may still be given to the prover; without it nothing more is proved.
    pub(super) proofs: u64,
}

impl View {
    pub(super) fn new(domain: Domain, around: Rc<BTreeSet<Sum>>, proofs: u64, dice: &mut SplitMix) -> Self {
        let points = points(&domain, dice).iter().map(|point| domain.bindings(point)).collect();
        let (values, ranges, decided) = (vec![], vec![], BTreeMap::new());
        Self { scope: domain.scope(), domain, points, values, ranges, around, decided, proofs }
    }

    /// What this part's own parts may build on.
    pub(super) fn known(&self) -> Rc<BTreeSet<Sum>> {
        let proved = self.decided.iter().filter(|(_, yes)| **yes).map(|(sum, _)| sum.clone());
        Rc::new(self.around.iter().cloned().chain(proved).collect())
    }

    /// Fills in values and ranges of classes that are new.
    fn learn(&mut self, classes: &Classes<'_>) {
        for e in &classes.exprs[self.values.len()..] {
            // A size without a value at a point is none that could be compared: as if it were 0 there.
            let value = |point: &Bindings| e.eval(point).map_or(0, i128::from);
            self.values.push(self.points.iter().map(value).collect());
            let range = bounds(e, &self.scope);
            let low = range.lower.unwrap_or(0).max(0);
            self.ranges.push((low.into(), range.upper.unwrap_or(i64::MAX).into()));
        }
    }

    /// The greatest value of a class in this part, or more.
    pub(super) fn high(&mut self, classes: &Classes<'_>, class: u32) -> i128 {
        self.learn(classes);
        self.ranges[class as usize].1
    }

    /// The least value of a sum in this part, or less.
    pub(super) fn low(&mut self, classes: &Classes<'_>, sum: &Sum) -> i128 {
        self.learn(classes);
        let range = |&(class, count): &(u32, i64)| {
            let (low, high) = self.ranges[class as usize];
            i128::from(count) * if count > 0 { low } else { high }
        };
        sum.iter().map(range).sum()
    }

    /// The value of a sum at one of the points.
    pub(super) fn value(&mut self, classes: &Classes<'_>, sum: &Sum, point: usize) -> i128 {
        self.learn(classes);
        sum.iter().map(|&(class, count)| i128::from(count) * self.values[class as usize][point]).sum()
    }

    /// Whether `a` is proved to be nowhere below `b` in this part.
    pub(super) fn at_least(&mut self, classes: &Classes<'_>, a: &Sum, b: &Sum) -> bool {
        let difference = difference(a, b);
        if difference.iter().all(|&(_, count)| count > 0) {
            return true;
        }
        if let Some(&decided) = self.decided.get(&difference) {
            return decided;
        }
        let decided = self.around.contains(&difference) || self.is_never_negative(classes, &difference);
        self.decided.insert(difference, decided);
        decided
    }

    fn is_never_negative(&mut self, classes: &Classes<'_>, sum: &Sum) -> bool {
        if (0..self.points.len()).any(|point| self.value(classes, sum, point) < 0) {
            return false;
        }
        if self.low(classes, sum) >= 0 {
            return true;
        }
        // That rounding adds less than the alignment is what the prover rarely finds by itself.
        classes.without_rounding(sum).is_some_and(|least| self.prove(&least))
            || self.prove(&classes.expr(sum))
    }

    /// Asks the prover whether an expression is nowhere negative, as far as the budget goes.
    fn prove(&mut self, e: &Expr) -> bool {
        if self.proofs == 0 {
            return false;
        }
        let proved = prove_le(&Expr::default(), e, &self.scope);
        self.proofs = self.proofs.saturating_sub(if proved { 1 } else { FAILED_PROOF });
        proved
    }
}

/// Corners, the middle and a few random points, each once.
fn points(domain: &Domain, dice: &mut SplitMix) -> Vec<Vec<i64>> {
    let corners = 1u32 << (domain.sides.len() as u32).min(MAX_CORNER_SIDES);
    let corner = |bits: u32| {
        let end = |(at, side): (usize, &super::domain::Side)| {
            let high = bits >> (at as u32 % MAX_CORNER_SIDES) & 1 == 1;
            if high { side.high } else { side.low }
        };
        domain.sides.iter().enumerate().map(end).collect::<Vec<_>>()
    };
    let mut points: Vec<Vec<i64>> = (0..corners).map(corner).collect();
    points.extend(domain.halves().map(|[low, _]| low.corner(true)));
    points.extend((0..RANDOM_POINTS).map(|_| domain.random(dice)));
    points.sort_unstable();
    points.dedup();
    points
}
