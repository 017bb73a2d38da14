//! The box of the symbols' values: points in it, and cutting it in two.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bayplan_expr::{Bindings, Bounds, Expr, Scope};

use crate::random::SplitMix;

/// The values that the symbols of a problem may have: a range for each, both ends included.
///
/// ```text
///   past ^ +-----------+      sizes are polynomials, and what matters changes by factors rather than by
///        | |     |     |      steps: grids and cuts are geometric, with more points near zero
///        | |-----+-----|
///        | |--+--+-----|
///        +-+--+--+-----+-> seq
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Domain {
    /// Name, least and greatest value, by name.
    pub(super) sides: Vec<Side>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Side {
    pub(super) name: String,
    pub(super) low: i64,
    pub(super) high: i64,
}

impl Side {
    /// Number of values.
    fn count(&self) -> u128 {
        u128::from(self.high.abs_diff(self.low)) + 1
    }

    /// The value a share `at / of` of the way up, in equal factors.
    fn geometric(&self, at: u32, of: u32) -> i64 {
        if at == 0 || self.low == self.high {
            return self.low;
        }
        if at >= of {
            return self.high;
        }
        // Bisection needs no logarithm and is the same on every machine.
        let (mut low, mut high, mut from, mut to) = (self.low, self.high, 0u64, 1u64 << 32);
        let target = (u64::from(at) << 32) / u64::from(of);
        while to - from > 1 && high.abs_diff(low) > 1 {
            let (half, middle) = (from.midpoint(to), geometric_middle(low, high));
            if half <= target {
                (low, from) = (middle, half);
            } else {
                (high, to) = (middle, half);
            }
        }
        if target - from <= to - target { low } else { high }
    }
}

/// Between two values, by factors where both are positive.
fn geometric_middle(low: i64, high: i64) -> i64 {
    let width = i128::from(high) - i128::from(low);
    if low < 0 || width <= 1 {
        return (i128::from(low) + width / 2) as i64;
    }
    let product = (low as u128 + 1) * (high as u128 + 1);
    (product.isqrt() as i64 - 1).clamp(low, high - 1)
}

impl Domain {
    /// The box of all symbols in the expressions, or the name of the first that has no upper bound.
    pub(super) fn of(sizes: &[Expr], scope: &Scope) -> Result<Self, String> {
        let names: BTreeSet<&str> = sizes.iter().flat_map(Expr::symbols).collect();
        let side = |name: &str| {
            let Bounds { lower, upper } = scope.get(name);
            let high = upper.ok_or_else(|| name.to_string())?;
            Ok::<_, String>(Side { name: name.to_string(), low: lower, high })
        };
        Ok(Self { sides: names.into_iter().map(side).collect::<Result<_, _>>()? })
    }

    /// Number of points.
    pub(super) fn count(&self) -> u128 {
        self.sides.iter().map(Side::count).fold(1, u128::saturating_mul)
    }

    /// A point from its coordinates.
    pub(super) fn bindings(&self, point: &[i64]) -> Bindings {
        self.sides.iter().zip(point).map(|(side, &value)| (side.name.as_str(), value)).collect()
    }

    /// The box as a scope.
    pub(super) fn scope(&self) -> Scope {
        let mut scope = Scope::new();
        for side in &self.sides {
            // A side is never empty, so it is always taken.
            let _ = scope.declare(&side.name, Bounds::between(side.low, side.high));
        }
        scope
    }

    /// The corner at which every symbol is greatest (`high`) or least.
    pub(super) fn corner(&self, high: bool) -> Vec<i64> {
        self.sides.iter().map(|side| if high { side.high } else { side.low }).collect()
    }

    /// At most `most` points, at least two: a grid, geometric along every side, its corners included; of a box with
    /// more corners than that, two of them and random points.
    pub(super) fn grid(&self, most: usize) -> Vec<Vec<i64>> {
        let open = self.sides.iter().filter(|side| side.low < side.high).count() as u32;
        let fits = |steps: u32| (steps as usize + 1).checked_pow(open).is_some_and(|count| count <= most);
        if !fits(1) {
            let mut dice = SplitMix::new(0x96d);
            let random = (2..most).map(|_| self.random(&mut dice));
            return [self.corner(false), self.corner(true)].into_iter().chain(random).collect();
        }
        let mut steps = 1;
        while open > 0 && fits(steps + 1) {
            steps += 1;
        }
        let mut points = alloc::vec![Vec::new()];
        for side in &self.sides {
            let mut values: Vec<i64> = (0..=steps).map(|at| side.geometric(at, steps)).collect();
            values.dedup();
            let extended = |point: &Vec<i64>| {
                let point = point.clone();
                values.iter().map(move |&value| [&point[..], &[value]].concat()).collect::<Vec<_>>()
            };
            points = points.iter().flat_map(extended).collect();
        }
        points
    }

    /// A point drawn at random: each symbol either evenly or, as often, by factors.
    pub(super) fn random(&self, dice: &mut SplitMix) -> Vec<i64> {
        let mut one = |side: &Side| {
            let steps = 1 << 12;
            let evenly = (u128::from(dice.next()) * side.count()) >> 64;
            let evenly = side.low.wrapping_add(evenly as i64);
            let by_factors = side.geometric(dice.below(steps) as u32, steps as u32);
            if dice.below(2) == 0 { evenly } else { by_factors }
        };
        self.sides.iter().map(&mut one).collect()
    }

    /// The box cut in two across the side whose ends differ by the largest factor; `None` of a single point.
    pub(super) fn halves(&self) -> Option<[Self; 2]> {
        let spread = |side: &Side| match u64::try_from(side.low) {
            Ok(low) => ((u128::from(side.high.unsigned_abs()) + 1) << 64) / (u128::from(low) + 1),
            Err(_) => side.count().min(u128::from(u64::MAX)) << 64,
        };
        let open = self.sides.iter().enumerate().filter(|(_, side)| side.low < side.high);
        let (widest, side) = open.max_by_key(|(at, side)| (spread(side), core::cmp::Reverse(*at)))?;
        let middle = geometric_middle(side.low, side.high);
        let mut halves = [self.clone(), self.clone()];
        halves[0].sides[widest].high = middle;
        halves[1].sides[widest].low = middle + 1;
        Some(halves)
    }
}
