//! Numbers of expressions: exact where they are whole, and known from below, from above or not at all.

use std::cmp::Ordering;

use bayplan_trace::quantities;

/// A number. Whole numbers and fractions are exact, so that 15% of 100 is 15 and no rounding decides an assertion; what is
/// too large or too fine for them becomes a float.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Whole(i128),
    /// In lowest terms, over a divisor above 1.
    Part(i128, i128),
    Real(f64),
}

impl From<quantities::Number> for Number {
    fn from(number: quantities::Number) -> Self {
        match number {
            quantities::Number::Whole(number) => Self::Whole(number.into()),
            quantities::Number::Real(number) => Self::Real(number),
        }
    }
}

impl Number {
    /// `above / below`, exactly; `None` where that is not possible.
    pub(super) fn fraction(above: i128, below: i128) -> Option<Self> {
        if below == 0 {
            return None;
        }
        let common = i128::try_from(gcd(above.unsigned_abs(), below.unsigned_abs())).ok()?;
        let sign = below.signum();
        let above = above.checked_div(common)?.checked_mul(sign)?;
        let below = below.checked_div(common)?.checked_abs()?;
        Some(if below == 1 { Self::Whole(above) } else { Self::Part(above, below) })
    }

    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Part(above, below) => above as f64 / below as f64,
            Self::Real(number) => number,
        }
    }

    fn is_finite(self) -> bool {
        self.as_f64().is_finite()
    }

    fn exact(self) -> Option<(i128, i128)> {
        match self {
            Self::Whole(number) => Some((number, 1)),
            Self::Part(above, below) => Some((above, below)),
            Self::Real(_) => None,
        }
    }

    pub(super) fn order(self, other: Self) -> Ordering {
        let exact = || {
            let ((a, b), (c, d)) = (self.exact()?, other.exact()?);
            Some(a.checked_mul(d)?.cmp(&c.checked_mul(b)?))
        };
        exact().unwrap_or_else(|| self.as_f64().total_cmp(&other.as_f64()))
    }

    fn with(self, other: Self, exact: Exact, real: fn(f64, f64) -> f64) -> Self {
        let found = self.exact().zip(other.exact()).and_then(|(a, b)| exact(a, b));
        found.unwrap_or_else(|| Self::Real(real(self.as_f64(), other.as_f64())))
    }

    fn add(self, other: Self) -> Self {
        let exact = |(a, b): Fraction, (c, d): Fraction| {
            Self::fraction(a.checked_mul(d)?.checked_add(c.checked_mul(b)?)?, b.checked_mul(d)?)
        };
        self.with(other, exact, |a, b| a + b)
    }

    fn times(self, other: Self) -> Self {
        let exact = |(a, b): Fraction, (c, d): Fraction| Self::fraction(a.checked_mul(c)?, b.checked_mul(d)?);
        self.with(other, exact, |a, b| a * b)
    }

    pub(super) fn by(self, other: Self) -> Self {
        let exact = |(a, b): Fraction, (c, d): Fraction| Self::fraction(a.checked_mul(d)?, b.checked_mul(c)?);
        self.with(other, exact, |a, b| a / b)
    }

    fn negated(self) -> Self {
        self.times(Self::Whole(-1))
    }

    fn is_negative(self) -> bool {
        self.order(Self::Whole(0)).is_lt()
    }
}

/// What is above and below the line.
type Fraction = (i128, i128);

/// Exact arithmetic; `None` where the result is too large for it, or there is none.
type Exact = fn(Fraction, Fraction) -> Option<Number>;

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// What is known of a number: it is neither below `least` nor above `most`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Known {
    pub(super) least: Option<Number>,
    pub(super) most: Option<Number>,
    /// Why it is not known exactly.
    pub(super) why: Vec<String>,
}

impl Known {
    pub(super) fn exactly(number: Number) -> Self {
        Self { least: Some(number), most: Some(number), why: Vec::new() }.bounded()
    }

    /// Without bounds that are no numbers: what is beyond all numbers, or none, would compare as if it were one.
    pub(super) fn bounded(mut self) -> Self {
        let beyond = |bound: Option<Number>| bound.is_some_and(|number| !number.is_finite());
        if beyond(self.least) || beyond(self.most) {
            self.why.push("its numbers are too large to compute with".into());
            self.least = self.least.filter(|number| number.is_finite());
            self.most = self.most.filter(|number| number.is_finite());
        }
        self
    }

    pub(super) fn unknown(why: String) -> Self {
        Self { why: vec![why], ..Self::default() }
    }

    pub(super) fn exact(&self) -> Option<Number> {
        self.least.filter(|_| self.least == self.most)
    }

    fn joined(&self, other: &Self) -> Vec<String> {
        let new = other.why.iter().filter(|why| !self.why.contains(why));
        self.why.iter().chain(new).cloned().collect()
    }

    pub(super) fn add(&self, other: &Self) -> Self {
        let sum = |a: Option<Number>, b: Option<Number>| Some(a?.add(b?));
        Self {
            least: sum(self.least, other.least),
            most: sum(self.most, other.most),
            why: self.joined(other),
        }
        .bounded()
    }

    pub(super) fn negated(&self) -> Self {
        let (least, most) = (self.most.map(Number::negated), self.least.map(Number::negated));
        Self { least, most, why: self.why.clone() }
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        match (self.exact(), other.exact()) {
            (Some(factor), _) => other.scaled(|number| number.times(factor), factor.is_negative(), self),
            (_, Some(factor)) => self.scaled(|number| number.times(factor), factor.is_negative(), other),
            // Products of what is only known from one side are not needed often enough to be followed.
            _ => Self { why: self.joined(other), ..Self::default() },
        }
    }

    pub(super) fn by(&self, other: &Self) -> Self {
        match other.exact() {
            Some(divisor) if divisor.as_f64() == 0.0 => Self::unknown("it divides by 0".into()),
            Some(divisor) => self.scaled(|number| number.by(divisor), divisor.is_negative(), other),
            None => Self { why: self.joined(other), ..Self::default() },
        }
    }

    fn scaled(&self, scale: impl Fn(Number) -> Number, turns: bool, other: &Self) -> Self {
        let (least, most) = if turns { (self.most, self.least) } else { (self.least, self.most) };
        Self { least: least.map(&scale), most: most.map(&scale), why: self.joined(other) }.bounded()
    }

    pub(super) fn absolute(&self) -> Self {
        match self.exact() {
            Some(number) if number.is_negative() => self.negated(),
            Some(_) => self.clone(),
            None if self.least.is_some_and(|least| !least.is_negative()) => self.clone(),
            None => Self { why: self.why.clone(), ..Self::default() },
        }
    }

    /// The larger of two, or the smaller.
    pub(super) fn extreme(&self, other: &Self, largest: bool) -> Self {
        let take = |a: Number, b: Number| if (b.order(a).is_gt()) == largest { b } else { a };
        let both = |a: Option<Number>, b: Option<Number>| Some(take(a?, b?));
        // The larger is at least what either is at least; the smaller at most what either is at most.
        let either = |a: Option<Number>, b: Option<Number>| both(a, b).or(a).or(b);
        let (least, most) = if largest {
            (either(self.least, other.least), both(self.most, other.most))
        } else {
            (both(self.least, other.least), either(self.most, other.most))
        };
        Self { least, most, why: self.joined(other) }
    }

    /// Whether this is less than the other: `None` where that is open.
    pub(super) fn less(&self, other: &Self, or_equal: bool) -> Option<bool> {
        let holds = |a: Option<Number>, b: Option<Number>| {
            let order = a?.order(b?);
            Some(order.is_lt() || or_equal && order.is_eq())
        };
        if holds(self.most, other.least) == Some(true) {
            return Some(true);
        }
        (holds(self.least, other.most) == Some(false)).then_some(false)
    }

    /// Whether both are the same number: `None` where that is open.
    pub(super) fn equal(&self, other: &Self) -> Option<bool> {
        if let (Some(a), Some(b)) = (self.exact(), other.exact()) {
            return Some(a.order(b).is_eq());
        }
        let apart = self.less(other, false) == Some(true) || other.less(self, false) == Some(true);
        apart.then_some(false)
    }
}
