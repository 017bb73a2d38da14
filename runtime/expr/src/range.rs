//! Interval arithmetic. A bound that would leave 128 bits is given up, never wrapped: every result encloses
//! all values.

use crate::eval::{div_floor, mod_floor};

/// All integers from `lower` to `upper`; `None` is unbounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) lower: Option<i128>,
    pub(crate) upper: Option<i128>,
}

/// A bound as a number that may be infinite.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Extended {
    MinusInfinity,
    Finite(i128),
    PlusInfinity,
}

use Extended::{Finite, MinusInfinity, PlusInfinity};

impl Extended {
    fn sign(self) -> i32 {
        match self {
            MinusInfinity => -1,
            Finite(v) => {
                if v > 0 {
                    1
                } else {
                    -i32::from(v < 0)
                }
            }
            PlusInfinity => 1,
        }
    }

    fn infinity(sign: i32) -> Self {
        if sign > 0 { PlusInfinity } else { MinusInfinity }
    }

    /// 0 · ∞ is 0: the bound of a product where one factor is zero.
    fn mul(self, other: Self) -> Self {
        match (self, other) {
            (Finite(0), _) | (_, Finite(0)) => Finite(0),
            (Finite(a), Finite(b)) => {
                a.checked_mul(b).map_or_else(|| Self::infinity(a.signum() as i32 * b.signum() as i32), Finite)
            }
            _ => Self::infinity(self.sign() * other.sign()),
        }
    }

    fn pow(self, power: u32) -> Self {
        let infinity = || Self::infinity(if power.is_multiple_of(2) { 1 } else { self.sign() });
        match self {
            Finite(a) => a.checked_pow(power).map_or_else(infinity, Finite),
            _ => infinity(),
        }
    }
}

impl Range {
    pub(crate) const ALL: Self = Self { lower: None, upper: None };

    pub(crate) const fn exactly(value: i128) -> Self {
        Self { lower: Some(value), upper: Some(value) }
    }

    fn low(self) -> Extended {
        self.lower.map_or(MinusInfinity, Finite)
    }

    fn high(self) -> Extended {
        self.upper.map_or(PlusInfinity, Finite)
    }

    /// A value beyond 128 bits is still bounded by the last number that fits.
    fn of(low: Extended, high: Extended) -> Self {
        let lower = match low {
            MinusInfinity => None,
            Finite(v) => Some(v),
            PlusInfinity => Some(i128::MAX),
        };
        let upper = match high {
            MinusInfinity => Some(i128::MIN),
            Finite(v) => Some(v),
            PlusInfinity => None,
        };
        Self { lower, upper }
    }

    pub(crate) fn at_least(self, value: i128) -> bool {
        self.lower.is_some_and(|lower| lower >= value)
    }

    pub(crate) fn at_most(self, value: i128) -> bool {
        self.upper.is_some_and(|upper| upper <= value)
    }

    pub(crate) fn as_single(self) -> Option<i128> {
        self.lower.filter(|_| self.lower == self.upper)
    }

    /// Whether zero is not in it.
    pub(crate) fn excludes_zero(self) -> bool {
        self.at_least(1) || self.at_most(-1)
    }

    pub(crate) fn neg(self) -> Self {
        Self::exactly(-1).mul(self)
    }

    pub(crate) fn add(self, other: Self) -> Self {
        let add = |a: Option<i128>, b: Option<i128>, give_up_below: bool| {
            let (a, b) = (a?, b?);
            let saturated = a.saturating_add(b);
            // A sum beyond the range is bounded by its end on one side and by nothing on the other.
            (a.checked_add(b).is_some() || (saturated < 0) != give_up_below).then_some(saturated)
        };
        Self { lower: add(self.lower, other.lower, true), upper: add(self.upper, other.upper, false) }
    }

    pub(crate) fn mul(self, other: Self) -> Self {
        let (a, b, c, d) = (self.low(), self.high(), other.low(), other.high());
        let (p, q, r, s) = (a.mul(c), a.mul(d), b.mul(c), b.mul(d));
        Self::of(p.min(q).min(r).min(s), p.max(q).max(r).max(s))
    }

    pub(crate) fn pow(self, power: u32) -> Self {
        let (a, b) = (self.low().pow(power), self.high().pow(power));
        if !power.is_multiple_of(2) {
            return Self::of(a, b);
        }
        let least = if self.at_least(0) || self.at_most(0) { a.min(b) } else { Finite(0) };
        Self::of(least, a.max(b))
    }

    pub(crate) fn min(self, other: Self) -> Self {
        Self::of(self.low().min(other.low()), self.high().min(other.high()))
    }

    pub(crate) fn max(self, other: Self) -> Self {
        Self::of(self.low().max(other.low()), self.high().max(other.high()))
    }

    pub(crate) fn hull(self, other: Self) -> Self {
        Self::of(self.low().min(other.low()), self.high().max(other.high()))
    }

    /// The parts of a divisor above and below zero.
    fn signs(self) -> (Option<Self>, Option<Self>) {
        let above = Self { lower: Some(self.lower.map_or(1, |l| l.max(1))), upper: self.upper };
        let below = Self { lower: self.lower, upper: Some(self.upper.map_or(-1, |u| u.min(-1))) };
        ((!self.at_most(0)).then_some(above), (!self.at_least(0)).then_some(below))
    }

    /// Quotients by every divisor but zero.
    pub(crate) fn floor_div(self, divisor: Self) -> Self {
        let (above, below) = divisor.signs();
        let above = above.map(|d| self.floor_div_positive(d));
        let below = below.map(|d| self.neg().floor_div_positive(d.neg()));
        match (above, below) {
            (Some(a), Some(b)) => a.hull(b),
            (a, b) => a.or(b).unwrap_or(Self::ALL),
        }
    }

    /// The least divisor is finite and at least 1.
    fn floor_div_positive(self, divisor: Self) -> Self {
        let (least, most) = (divisor.lower.unwrap_or(1), divisor.upper);
        let by_most = |v: i128| most.map_or(if v < 0 { Some(-1) } else { Some(0) }, |d| div_floor(v, d));
        let lower = self.lower.and_then(|v| if v >= 0 { by_most(v) } else { div_floor(v, least) });
        let upper = self.upper.and_then(|v| if v >= 0 { div_floor(v, least) } else { by_most(v) });
        Self { lower, upper }
    }

    /// Remainders by every divisor but zero.
    pub(crate) fn modulo(self, divisor: Self) -> Self {
        let (above, below) = divisor.signs();
        let above = above.map(|d| self.modulo_positive(d));
        let below = below.map(|d| self.neg().modulo_positive(d.neg()).neg());
        match (above, below) {
            (Some(a), Some(b)) => a.hull(b),
            (a, b) => a.or(b).unwrap_or(Self::ALL),
        }
    }

    fn modulo_positive(self, divisor: Self) -> Self {
        if self.at_least(0) && self.upper.zip(divisor.lower).is_some_and(|(v, d)| v < d) {
            return self;
        }
        if let (Some(d), Some(a), Some(b)) = (divisor.as_single(), self.lower, self.upper)
            && div_floor(a, d) == div_floor(b, d)
        {
            return Self { lower: mod_floor(a, d), upper: mod_floor(b, d) };
        }
        let below_divisor = divisor.upper.map(|d| d - 1);
        let upper = match self.upper {
            Some(v) if self.at_least(0) => Some(below_divisor.map_or(v, |d| d.min(v))),
            _ => below_divisor,
        };
        Self { lower: Some(0), upper }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Every operation on every pair of ranges within −4..=4, some of them open, encloses what its members
    /// give.
    #[test]
    fn encloses_every_value() {
        let ends = || (-4..=4).map(Some).chain([None]);
        let ranges: Vec<Range> = ends()
            .flat_map(|lower| ends().map(move |upper| Range { lower, upper }))
            .filter(|r| r.lower.zip(r.upper).is_none_or(|(l, u)| l <= u))
            .collect();
        let members = |r: Range| (-9..=9).filter(move |v| holds(r, *v));
        for a in &ranges {
            for x in members(*a) {
                for power in 1..=4 {
                    assert!(holds(a.pow(power), x.pow(power)), "{a:?} ** {power} at {x}");
                }
            }
            for b in &ranges {
                let results = [a.add(*b), a.mul(*b), a.min(*b), a.max(*b), a.floor_div(*b), a.modulo(*b)];
                for x in members(*a) {
                    for y in members(*b) {
                        let values = [
                            Some(x + y),
                            Some(x * y),
                            Some(x.min(y)),
                            Some(x.max(y)),
                            div_floor(x, y),
                            mod_floor(x, y),
                        ];
                        for (i, (result, value)) in results.iter().zip(values).enumerate() {
                            let value = value.filter(|_| i < 4 || y != 0);
                            assert!(
                                value.is_none_or(|v| holds(*result, v)),
                                "{i}: {a:?} {b:?} at {x} {y}: {result:?}"
                            );
                        }
                    }
                }
            }
        }
    }

    fn holds(r: Range, v: i128) -> bool {
        r.lower.is_none_or(|l| l <= v) && r.upper.is_none_or(|u| v <= u)
    }

    #[test]
    fn gives_up_beyond_128_bits() {
        let top = Range::exactly(i128::MAX);
        assert_eq!(top.add(Range::exactly(1)), Range { lower: Some(i128::MAX), upper: None });
        assert_eq!(top.neg().add(Range::exactly(-2)), Range { lower: None, upper: Some(i128::MIN) });
        assert_eq!(top.mul(top), Range { lower: Some(i128::MAX), upper: None });
        assert_eq!(top.mul(top.neg()), Range { lower: None, upper: Some(i128::MIN) });
        assert_eq!(Range::exactly(i128::MIN).pow(3), Range { lower: None, upper: Some(i128::MIN) });
        assert_eq!(Range::exactly(i128::MIN).pow(2), Range { lower: Some(i128::MAX), upper: None });
    }
}
