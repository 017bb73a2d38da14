//! Bounds of expressions over a box, and what can be proved from them.
//!
//! Everything here is sound and none of it complete: a bound may be wider than the values are, a proof may
//! fail of what is true. What is said holds wherever the expression has a value (divisors may be zero at some
//! points).
//!
//! The lower bound of e is the best of
//!
//! - interval arithmetic on the canonical form, where equal parts have cancelled;
//! - the same at the corner of the box to which e only falls, found symbol by symbol ([`slope`]);
//! - a case split on a minimum or maximum in e: it has the value of one of its arguments;
//! - a relaxation of a quotient: b·⌊a/b⌋ lies in a−b+1 ..= a for b ≥ 1.
//!
//! The upper bound is that of −e with the sign changed.

use crate::expr::{Atom, Expr, Factor, Term};
use crate::maximum;
use crate::poly;
use crate::range::Range;
use crate::scope::{Region, Scope};
use crate::slope::{Slope, slope};
use alloc::vec::Vec;

/// The most case splits and relaxations for one bound. Each costs a few walks over the expression.
const MAX_STEPS: u32 = 24;

/// Larger expressions get interval arithmetic only.
const MAX_REFINED_SIZE: u32 = 600;

/// Over boxes of more symbols there is interval arithmetic only: the corner of the box costs their square.
pub(crate) const MAX_REFINED_SYMBOLS: usize = 32;

/// The bounds of an expression, both included; `None` where none is known (or it does not fit in 64 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    /// No value is below.
    pub lower: Option<i64>,
    /// No value is above.
    pub upper: Option<i64>,
}

impl Interval {
    /// Whether the value lies within.
    pub fn contains(&self, value: i64) -> bool {
        self.lower.is_none_or(|lower| lower <= value) && self.upper.is_none_or(|upper| value <= upper)
    }
}

impl From<Range> for Interval {
    fn from(range: Range) -> Self {
        let clamp = |v: i128| v.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        Self {
            lower: range.lower.filter(|v| *v >= i64::MIN.into()).map(clamp),
            upper: range.upper.filter(|v| *v <= i64::MAX.into()).map(clamp),
        }
    }
}

/// Bounds of the values of `e` over all values of its symbols within the scope.
pub fn bounds(e: &Expr, scope: &Scope) -> Interval {
    let plain = refined(e, &scope.region(e));
    let simple = e.simplify(scope);
    let simple = if simple == *e { plain } else { refined(&simple, &scope.region(&simple)) };
    Range { lower: plain.lower.max(simple.lower), upper: tighter(plain.upper, simple.upper) }.into()
}

fn tighter(a: Option<i128>, b: Option<i128>) -> Option<i128> {
    a.zip(b).map(|(a, b)| a.min(b)).or(a).or(b)
}

/// An expression that is at least `e` everywhere in the scope, made by putting each symbol at the end of its
/// range towards which `e` only rises. What remains are the symbols that raise it without an upper bound, and
/// those along which it both rises and falls (for these see [`maximum`](crate::maximum)). If only symbols of
/// the first kind remain, no smaller expression of them will do.
///
/// ```
/// use bayplan_expr::{Bounds, Expr, Scope, upper_envelope};
/// let mut scope = Scope::new();
/// scope.declare("n", Bounds::between(0, 20)).unwrap();
/// assert_eq!(upper_envelope(&Expr::parse("8*n*m").unwrap(), &scope).to_string(), "160*m");
/// ```
pub fn upper_envelope(e: &Expr, scope: &Scope) -> Expr {
    let mut region = scope.region(e);
    descend(&-e, &mut region);
    fix(e, &region).unwrap_or_else(|| e.clone())
}

/// Whether `a ≤ b` is proved for all values of the symbols within the scope. Never true unless it holds
/// wherever both have a value; it may be false of something true.
pub fn prove_le(a: &Expr, b: &Expr, scope: &Scope) -> bool {
    let difference = b - a;
    if difference.as_undefined().is_some() {
        return false;
    }
    is_never_negative(&difference, &scope.region(&difference))
        || is_proved_simplified(&difference, scope, is_never_negative)
}

/// Whether `a = b` is proved for all values of the symbols within the scope; as careful as [`prove_le`].
pub fn prove_eq(a: &Expr, b: &Expr, scope: &Scope) -> bool {
    let difference = a - b;
    if difference.as_undefined().is_some() {
        return false;
    }
    let is_zero = |e: &Expr, region: &Region| {
        e.as_constant() == Some(0) || (is_never_negative(e, region) && is_never_negative(&-e, region))
    };
    is_zero(&difference, &scope.region(&difference)) || is_proved_simplified(&difference, scope, is_zero)
}

/// As [`prove_le`], at one look at the box and without simplifying: what simplification itself asks many
/// times.
pub(crate) fn prove_le_plainly(a: &Expr, b: &Expr, scope: &Scope) -> bool {
    let difference = b - a;
    let region = scope.region(&difference);
    !is_negative_somewhere(&difference, &region)
        && lower(&difference, &region, &mut MAX_STEPS.clone()).is_some_and(|v| v >= 0)
}

fn is_proved_simplified(e: &Expr, scope: &Scope, proof: impl Fn(&Expr, &Region) -> bool) -> bool {
    if e.0.size > MAX_REFINED_SIZE || is_negative_somewhere(e, &scope.region(e)) {
        return false;
    }
    let simple = e.simplify(scope);
    simple != *e && proof(&simple, &scope.region(&simple))
}

fn is_never_negative(e: &Expr, region: &Region) -> bool {
    if is_negative_somewhere(e, region) {
        return false;
    }
    // Splitting the box decides what one look at it cannot.
    lower(e, region, &mut MAX_STEPS.clone()).is_some_and(|v| v >= 0)
        || (e.0.size <= MAX_REFINED_SIZE && maximum::is_never_positive(&-e, region))
}

/// Looks at a few corners of the box, so that most of what is false is found out for the price of an
/// evaluation.
fn is_negative_somewhere(e: &Expr, region: &Region) -> bool {
    const FAR: i128 = 1000;
    let ends = |range: Range| {
        let low = range.lower.or(range.upper.map(|u| u - FAR)).unwrap_or(-FAR);
        [low, range.upper.unwrap_or(low + FAR)]
    };
    // Both ends of all symbols, then of one half of them against the other.
    [|_: usize| 0, |_| 1, |i| i % 2, |i| 1 - i % 2].iter().any(|end| {
        let value = |name: &str| {
            let at = region.0.binary_search_by(|(n, _)| (**n).cmp(name)).ok()?;
            i64::try_from(ends(region.0[at].1)[end(at)]).ok()
        };
        e.eval_with(&value).is_ok_and(|v| v < 0)
    })
}

/// Interval arithmetic on the canonical form.
pub(crate) fn enclose(e: &Expr, region: &Region) -> Range {
    let term = |t: &Term| {
        let factors = t.factors.iter().map(|f| enclose_factor(f, region));
        factors.fold(Range::exactly(t.coefficient), Range::mul)
    };
    e.terms().iter().map(term).fold(Range::exactly(0), Range::add)
}

pub(crate) fn enclose_factor(factor: &Factor, region: &Region) -> Range {
    let fold = |args: &[Expr], pick: fn(Range, Range) -> Range| {
        args.iter().map(|e| enclose(e, region)).reduce(pick).unwrap_or(Range::exactly(0))
    };
    let base = match &factor.atom {
        Atom::Symbol(name) => region.get(name),
        Atom::FloorDiv(a, b) => enclose(a, region).floor_div(enclose(b, region)),
        Atom::Modulo(a, b) => enclose(a, region).modulo(enclose(b, region)),
        Atom::Min(args) => fold(args, Range::min),
        Atom::Max(args) => fold(args, Range::max),
        Atom::Group(inner) => enclose(inner, region),
        Atom::Undefined(_) => Range::ALL,
    };
    if factor.power == 1 { base } else { base.pow(factor.power) }
}

/// The best bounds on both sides.
pub(crate) fn refined(e: &Expr, region: &Region) -> Range {
    Range { lower: lower(e, region, &mut MAX_STEPS.clone()), upper: upper(e, region, &mut MAX_STEPS.clone()) }
}

pub(crate) fn upper(e: &Expr, region: &Region, steps: &mut u32) -> Option<i128> {
    lower(&-e, region, steps).and_then(i128::checked_neg)
}

/// The best lower bound within the given number of steps.
pub(crate) fn lower(e: &Expr, region: &Region, steps: &mut u32) -> Option<i128> {
    if e.as_undefined().is_some() {
        return None;
    }
    let plain = enclose(e, region).lower;
    if e.0.size > MAX_REFINED_SIZE || region.0.len() > MAX_REFINED_SYMBOLS {
        return plain;
    }
    let mut corner = region.clone();
    descend(e, &mut corner);
    let fixed = fix(e, &corner);
    let e = fixed.as_ref().unwrap_or(e);
    let best = plain.max(enclose(e, &corner).lower);
    if *steps == 0 {
        return best;
    }
    // Any bound over the corner is one over the box: no value is lower than those left in the corner.
    let deeper = match split_candidate(e) {
        Some(Split::Extremum(atom)) => by_cases(e, atom, &corner, steps),
        Some(Split::Modulo(a, b, atom)) => {
            *steps -= 1;
            let quotient = Expr::from_atom(Atom::FloorDiv(a.clone(), b.clone()));
            lower(&replace_atom(e, atom, &(a - b * quotient)), &corner, steps)
        }
        Some(Split::FloorDiv(a, b, atom)) => by_relaxation(e, (a, b), atom, &corner, steps),
        None => None,
    };
    best.max(deeper)
}

/// `e` with the symbols that have a single value replaced, so that more cancels. `None` if there are none.
fn fix(e: &Expr, region: &Region) -> Option<Expr> {
    let single = |name: &str| region.get(name).as_single().map(Expr::constant);
    if region.0.iter().all(|(_, range)| range.as_single().is_none()) {
        return None;
    }
    Some(e.replace(&single)).filter(|fixed| fixed.as_undefined().is_none())
}

/// Shrinks the box, as far as signs of slopes allow, to a part where the least value of `e` lies.
pub(crate) fn descend(e: &Expr, region: &mut Region) {
    // Each round fixes a symbol, which may settle the sign of another's slope.
    let rounds = if region.0.len() > MAX_REFINED_SYMBOLS { 1 } else { region.0.len() };
    for _ in 0..rounds {
        let mut changed = false;
        for i in 0..region.0.len() {
            let (name, range) = region.0[i].clone();
            if range.as_single().is_some() {
                continue;
            }
            let end = match slope(e, &name, region) {
                Slope::Up | Slope::Flat => range.lower,
                Slope::Down => range.upper,
                Slope::Unknown => None,
            };
            if let Some(end) = end {
                region.0[i].1 = Range::exactly(end);
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
}

/// A part of an expression to look into.
enum Split<'a> {
    Extremum(&'a Atom),
    Modulo(&'a Expr, &'a Expr, &'a Atom),
    FloorDiv(&'a Expr, &'a Expr, &'a Atom),
}

/// Minima and maxima first, wherever they stand and inner ones last, then remainders and quotients that are
/// factors of terms.
fn split_candidate(e: &Expr) -> Option<Split<'_>> {
    let mut extremum = None;
    e.visit(&mut |atom| {
        if matches!(atom, Atom::Min(_) | Atom::Max(_)) && extremum.is_none() {
            extremum = Some(Split::Extremum(atom));
        }
    });
    let linear = || e.terms().iter().flat_map(|t| &t.factors).filter(|f| f.power == 1).map(|f| &f.atom);
    extremum
        .or_else(|| {
            linear().find_map(|atom| match atom {
                Atom::Modulo(a, b) => Some(Split::Modulo(a, b, atom)),
                _ => None,
            })
        })
        .or_else(|| {
            linear().find_map(|atom| match atom {
                Atom::FloorDiv(a, b) => Some(Split::FloorDiv(a, b, atom)),
                _ => None,
            })
        })
}

/// Every occurrence of the atom replaced, at any depth.
pub(crate) fn replace_atom(e: &Expr, from: &Atom, to: &Expr) -> Expr {
    let inside = |e: &Expr| replace_atom(e, from, to);
    e.rebuild(&mut |atom| match atom {
        atom if atom == from => to.clone(),
        Atom::FloorDiv(a, b) => inside(a).floor_div(inside(b)),
        Atom::Modulo(a, b) => inside(a).modulo(inside(b)),
        Atom::Min(args) => Expr::min_of(args.iter().map(inside)),
        Atom::Max(args) => Expr::max_of(args.iter().map(inside)),
        Atom::Group(inner) => poly::group_atom(&inside(inner)),
        Atom::Symbol(_) | Atom::Undefined(_) => Expr::from_atom(atom.clone()),
    })
}

/// An extremum has the value of one of its arguments, and is on one side of all: where `e` moves with it in a
/// known direction each argument gives a bound, elsewhere the worst of them does.
fn by_cases(e: &Expr, atom: &Atom, region: &Region, steps: &mut u32) -> Option<i128> {
    let (Atom::Min(args) | Atom::Max(args)) = atom else { return None };
    let each_bounds = linear_in(e, atom).is_some_and(|(slope, _)| {
        let slope = enclose(&slope, region);
        if matches!(atom, Atom::Max(_)) { slope.at_least(0) } else { slope.at_most(0) }
    });
    let mut result: Option<Option<i128>> = None;
    for arg in args.iter() {
        if *steps == 0 {
            return result.flatten().filter(|_| each_bounds);
        }
        *steps -= 1;
        let case = lower(&replace_atom(e, atom, arg), region, steps);
        result = Some(match result {
            None => case,
            Some(so_far) if each_bounds => so_far.max(case),
            Some(so_far) => so_far.min(case),
        });
    }
    result.flatten()
}

/// `slope` and `rest` with `e = slope·atom + rest`, if `e` is linear in the atom and it occurs nowhere else.
fn linear_in(e: &Expr, atom: &Atom) -> Option<(Expr, Expr)> {
    let (mut slope, mut rest) = (Vec::new(), Vec::new());
    for term in e.terms() {
        let mut factors = term.factors.clone();
        let with = factors.iter().position(|f| f.atom == *atom);
        if let Some(at) = with
            && factors.remove(at).power != 1
        {
            return None;
        }
        if factors.iter().any(|f| occurs_in(&f.atom, atom)) {
            return None;
        }
        let list = if with.is_some() { &mut slope } else { &mut rest };
        list.push(Term { factors, coefficient: term.coefficient });
    }
    Some((Expr::from_terms(poly::merge(slope)?), Expr::from_terms(rest)))
}

fn occurs_in(outer: &Atom, atom: &Atom) -> bool {
    outer.inner().any(|e| {
        let mut found = false;
        e.visit(&mut |inner| found |= inner == atom);
        found
    })
}

/// With q = ⌊a/b⌋, b ≥ 1 and e = slope·q + rest: b·e = slope·(b·q) + b·rest, where b·q is at least a−b+1 and
/// at most a.
fn by_relaxation(
    e: &Expr,
    (a, b): (&Expr, &Expr),
    atom: &Atom,
    region: &Region,
    steps: &mut u32,
) -> Option<i128> {
    let divisor = enclose(b, region);
    let least_divisor = divisor.lower.filter(|b| *b >= 1)?;
    let (slope, rest) = linear_in(e, atom)?;
    let sign = enclose(&slope, region);
    let product = if sign.at_least(0) {
        a - b + 1
    } else if sign.at_most(0) {
        a.clone()
    } else {
        return None;
    };
    *steps -= 1;
    if let Some((whole, remainder)) = poly::div_rem(&slope, b)
        && remainder.as_constant() == Some(0)
    {
        // The quotient stands in e only times b: nothing to scale.
        return lower(&(whole * product + rest), region, steps);
    }
    let bound = lower(&(slope * product + b * rest), region, steps)?;
    // b·e ≥ bound, so e ≥ bound/b: the divisor that makes it least is the largest for a positive bound.
    let by = if bound < 0 { Some(least_divisor) } else { divisor.upper };
    match by {
        Some(by) => crate::eval::div_floor(bound.checked_neg()?, by)?.checked_neg(),
        None => Some(i128::from(bound > 0)),
    }
}
