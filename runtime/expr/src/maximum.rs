//! The greatest value of an expression over a box, by branch and bound: the part with the highest bound is
//! split first, parts whose bound is not above the best value found are dropped.

use crate::bindings::Bindings;
use crate::bounds;
use crate::eval::Fault;
use crate::expr::Expr;
use crate::range::Range;
use crate::scope::{Region, Scope};
use alloc::collections::BinaryHeap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

/// The most parts of the box that [`maximum`] looks at; fewer where the expression is large and has many symbols.
pub const MAX_NODES: usize = 4096;

/// The most parts that a proof looks at.
const MAX_PROOF_NODES: usize = 64;

/// What looking at parts may cost in all, in units of one part of the expression for each pair of symbols; each part of
/// the box is walked over as often to find its corner.
const MAX_WORK: usize = 1 << 27;

/// Case splits and relaxations per part.
const STEPS: u32 = 4;

/// The greatest value over a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maximum {
    /// No value is above. If `exact`, it is the value at `at`.
    pub value: i64,
    /// The point with the greatest value found: one value for each symbol of the expression.
    pub at: Bindings,
    /// The value at that point.
    pub attained: i64,
    /// Whether `value` is attained. If not, the search was cut off at [`MAX_NODES`] and `value` is an upper
    /// bound.
    pub exact: bool,
}

/// Why there is no maximum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaximumError {
    /// A symbol on which the value depends has no upper bound.
    Unbounded {
        /// The symbol.
        symbol: String,
    },
    /// Values, or the bounds of what was searched, do not fit in 64 bits; the text is the expression.
    Overflow(String),
    /// No point was found where the expression has a value; the text is the expression.
    Undefined(String),
}

impl fmt::Display for MaximumError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use bayplan_text::ellipsis;
        match self {
            Self::Unbounded { symbol } => {
                write!(f, "`{}` has no upper bound; declare one", ellipsis(symbol, 60))
            }
            Self::Overflow(text) => {
                write!(
                    f,
                    "the maximum of `{}` does not fit in 64 bits; declare smaller bounds",
                    ellipsis(text, 120)
                )
            }
            Self::Undefined(text) => {
                write!(f, "`{}` was found to have no value within its bounds", ellipsis(text, 120))
            }
        }
    }
}

impl core::error::Error for MaximumError {}

/// The greatest value of `e` over all values of its symbols within the scope, and where it is.
///
/// # Errors
/// [`MaximumError::Unbounded`] if a symbol without an upper bound may raise the value, and when values do not
/// fit or do not exist.
///
/// ```
/// use bayplan_expr::{Bounds, Expr, Scope, maximum};
/// let mut scope = Scope::new();
/// scope.declare("n", Bounds::between(1, 20)).unwrap();
/// scope.declare("m", Bounds::between(1, 5)).unwrap();
/// let most = maximum(&Expr::parse("n*m*Max(n - m, 1)").unwrap(), &scope).unwrap();
/// assert_eq!((most.value, most.exact), (1500, true));
/// assert_eq!(most.at.to_string(), "m=5, n=20");
/// ```
pub fn maximum(e: &Expr, scope: &Scope) -> Result<Maximum, MaximumError> {
    if e.as_undefined().is_some() {
        return Err(MaximumError::Undefined(e.to_string()));
    }
    let overflow = || MaximumError::Overflow(e.to_string());
    let mut region = scope.region(e);
    // Without upper bounds only a falling slope settles a symbol.
    bounds::descend(&-e, &mut region);
    if let Some((name, _)) = region.0.iter().find(|(_, range)| range.upper.is_none()) {
        return Err(MaximumError::Unbounded { symbol: name.to_string() });
    }
    let mut search = Search::new(e, region);
    let bound = search.run(nodes(e, &search.start), &|_| false).map_err(|Overflow| overflow())?;
    let Some((attained, at)) = search.best else {
        return Err(MaximumError::Undefined(e.to_string()));
    };
    let attained = i64::try_from(attained).map_err(|_| overflow())?;
    let (value, exact) = match bound {
        End::Exhausted => (attained, true),
        End::CutOff(bound) => (bound.and_then(|b| i64::try_from(b).ok()).ok_or_else(overflow)?, false),
    };
    let names = search.start.0.iter().map(|(name, _)| name.to_string());
    Ok(Maximum { value, at: names.zip(at).collect(), attained, exact: exact || value == attained })
}

/// How many parts are looked at: [`MAX_NODES`], but for large expressions of many symbols.
fn nodes(e: &Expr, region: &Region) -> usize {
    let symbols = region.0.len().max(1);
    let cost = (e.0.size as usize).saturating_mul(symbols).saturating_mul(symbols).max(1);
    (MAX_WORK / cost).clamp(MAX_PROOF_NODES, MAX_NODES)
}

/// Whether the search proves `e ≤ 0` over the box.
pub(crate) fn is_never_positive(e: &Expr, region: &Region) -> bool {
    let mut region = region.clone();
    bounds::descend(&-e, &mut region);
    if region.0.iter().any(|(_, range)| range.upper.is_none() || range.lower.is_none()) {
        return false;
    }
    let mut search = Search::new(e, region);
    // Parts at or below zero need no look; a value above ends it.
    search.floor = Some(0);
    let end = search.run(MAX_PROOF_NODES, &|best| best > 0);
    matches!(end, Ok(End::Exhausted)) && search.best.is_none_or(|(value, _)| value <= 0)
}

struct Overflow;

enum End {
    /// Nothing above the best value (or the floor) is left.
    Exhausted,
    /// What was not looked at is at most this; `None` if no bound is known.
    CutOff(Option<i128>),
}

/// A part of the box and the bound of its values; ordered by the bound, none being the highest.
struct Part {
    bound: Option<i128>,
    region: Region,
}

impl Part {
    fn key(&self) -> (bool, Option<i128>) {
        (self.bound.is_none(), self.bound)
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Part {}
impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Part {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

struct Search<'a> {
    e: &'a Expr,
    negated: Expr,
    start: Region,
    best: Option<(i128, Vec<i64>)>,
    /// Values up to this one are not looked for.
    floor: Option<i128>,
}

impl<'a> Search<'a> {
    fn new(e: &'a Expr, start: Region) -> Self {
        Self { e, negated: -e, start, best: None, floor: None }
    }

    fn run(&mut self, nodes: usize, enough: &dyn Fn(i128) -> bool) -> Result<End, Overflow> {
        let mut heap = BinaryHeap::new();
        let corners = [|r: Range| r.upper, |r: Range| r.lower];
        for corner in corners {
            self.try_point(&self.start.clone(), &corner)?;
        }
        if let Some(part) = self.part(self.start.clone())? {
            heap.push(part);
        }
        for _ in 0..nodes {
            if self.best.as_ref().is_some_and(|(best, _)| enough(*best)) {
                return Ok(End::CutOff(None));
            }
            let Some(part) = heap.pop() else { return Ok(End::Exhausted) };
            if self.is_settled(part.bound) {
                return Ok(End::Exhausted);
            }
            for half in halves(&part.region) {
                heap.extend(self.part(half)?);
            }
        }
        match heap.pop() {
            Some(part) if !self.is_settled(part.bound) => {
                let best = self.best.as_ref().map(|(best, _)| *best);
                Ok(End::CutOff(part.bound.map(|bound| best.map_or(bound, |best| bound.max(best)))))
            }
            _ => Ok(End::Exhausted),
        }
    }

    fn is_settled(&self, bound: Option<i128>) -> bool {
        let known = self.best.as_ref().map(|(best, _)| *best).max(self.floor);
        bound.zip(known).is_some_and(|(bound, known)| bound <= known)
    }

    /// Shrinks a part to where its maximum lies, looks at a point in it, and bounds it. `None` if nothing is
    /// left to look for.
    fn part(&mut self, mut region: Region) -> Result<Option<Part>, Overflow> {
        if region.0.len() <= bounds::MAX_REFINED_SYMBOLS {
            bounds::descend(&self.negated, &mut region);
        }
        self.try_point(&region, &middle)?;
        if region.0.iter().all(|(_, range)| range.as_single().is_some()) {
            return Ok(None);
        }
        let bound = bounds::upper(self.e, &region, &mut STEPS.clone());
        Ok((!self.is_settled(bound)).then_some(Part { bound, region }))
    }

    /// Evaluates at a point of the part; a point without a value is passed over.
    fn try_point(&mut self, region: &Region, pick: &dyn Fn(Range) -> Option<i128>) -> Result<(), Overflow> {
        let coordinate = |(_, range): &(_, Range)| pick(*range).and_then(|v| i64::try_from(v).ok());
        let Some(point) = region.0.iter().map(coordinate).collect::<Option<Vec<i64>>>() else {
            return Ok(());
        };
        let value = |name: &str| {
            let at = region.0.binary_search_by(|(n, _)| (**n).cmp(name)).ok()?;
            point.get(at).copied()
        };
        match self.e.eval_with(&value) {
            Ok(value) => {
                if self.best.as_ref().is_none_or(|(best, _)| value > *best) {
                    self.best = Some((value, point));
                }
                Ok(())
            }
            Err(Fault::Overflow) => Err(Overflow),
            Err(Fault::DivisionByZero(_) | Fault::Unbound(_)) => Ok(()),
        }
    }
}

fn middle(range: Range) -> Option<i128> {
    let (lower, upper) = (range.lower?, range.upper?);
    Some(lower + (upper - lower) / 2)
}

/// The part cut in two across its widest side.
fn halves(region: &Region) -> [Region; 2] {
    let width = |range: Range| range.upper.zip(range.lower).map_or(0, |(u, l)| u - l);
    let mut halves = [region.clone(), region.clone()];
    let widest = (0..region.0.len()).max_by_key(|i| width(region.0[*i].1));
    if let Some(i) = widest
        && let Some(middle) = middle(region.0[i].1)
    {
        halves[0].0[i].1.upper = Some(middle);
        halves[1].0[i].1.lower = Some(middle + 1);
    }
    halves
}
