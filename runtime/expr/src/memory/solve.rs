//! The largest value of a symbol that fits a budget.

use super::line::{Line, Span};
use super::{Binding, MemoryError, MemoryFunction};
use crate::bindings::Bindings;
use alloc::string::{String, ToString};
use alloc::vec;
use bayplan_text::{Count, ellipsis};
use core::fmt;

/// Intervals looked at where it is not proved that more of the symbol needs more bytes.
const MAX_INTERVALS: u32 = 1 << 14;

/// The largest value that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solution {
    /// The bytes at this value are within the budget, at every larger one of the symbol's bounds they are not.
    pub value: i64,
    /// The bytes there.
    pub bytes: u64,
    /// The bytes at the next value, which are above the budget; `None` where the bounds end, or it has none that fits in
    /// 64 bits.
    pub next: Option<u64>,
    /// The term that decides how large the arena is there.
    pub binding: Option<Binding>,
    /// Every value from the least up to this one fits: what a session that serves them all may have as its bound. It is
    /// `value` itself where more of the symbol never needs less; `None` if already the least value does not fit.
    pub all_up_to: Option<i64>,
}

/// Why there is no largest value that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SolveError {
    /// No value fits; `at` is the least value of the symbol, and what it needs.
    Nothing {
        /// The symbol.
        free: String,
        /// The budget in bytes.
        budget: u64,
        /// The least value and its bytes, if these fit in 64 bits.
        at: (i64, Option<u64>),
    },
    /// All values fit, and the symbol has no upper bound.
    Unbounded {
        /// The symbol.
        free: String,
    },
    /// It rises and falls so often that the search was given up.
    Undecided {
        /// The symbol.
        free: String,
        /// No larger value fits.
        at_most: i64,
    },
    /// The bytes have no value with what the other symbols are.
    Memory(MemoryError),
}

impl fmt::Display for SolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |free: &str| ellipsis(free, 60).to_string();
        match self {
            Self::Nothing { free, budget, at: (value, bytes) } => {
                write!(f, "no value of `{}` fits {} bytes", name(free), Count(*budget))?;
                match bytes {
                    Some(bytes) => write!(f, "; at {value} it needs {}", Count(*bytes)),
                    None => Ok(()),
                }
            }
            Self::Unbounded { free } => {
                write!(f, "every value of `{}` fits and it has no upper bound; declare one", name(free))
            }
            Self::Undecided { free, at_most } => write!(
                f,
                "the bytes rise and fall with `{}` too often to be searched; it is at most {at_most}; give it a value",
                name(free)
            ),
            Self::Memory(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SolveError {}

impl From<MemoryError> for SolveError {
    fn from(error: MemoryError) -> Self {
        Self::Memory(error)
    }
}

impl MemoryFunction {
    /// The largest value of `free` within its bounds at which the bytes are at most `budget`, the other symbols being
    /// `others`. Exact: where it is not proved that the bytes never fall, intervals are excluded by bounds of the
    /// expressions until what is left is decided.
    ///
    /// # Errors
    /// [`SolveError`].
    pub fn solve(&self, budget: u64, free: &str, others: &Bindings) -> Result<Solution, SolveError> {
        self.scope.check(others).map_err(MemoryError::Scope)?;
        let line = Line::new(self, free, others)?;
        let bounds = self.scope.get(free);
        let span = Span { low: bounds.lower, high: bounds.upper.unwrap_or(i64::MAX) };
        let search = Search { line, budget: budget.into(), free };
        let point = |value: i64| others.clone().with(free, value);
        if search.fits(span.high) && bounds.upper.is_none() {
            return Err(SolveError::Unbounded { free: free.into() });
        }
        let Some(value) = search.largest(span)? else {
            // A symbol without a value is the reason, where there is one.
            self.eval(&point(span.low))?;
            let bytes = search.line.at(span.low).and_then(|bytes| u64::try_from(bytes).ok());
            return Err(SolveError::Nothing { free: free.into(), budget, at: (span.low, bytes) });
        };
        let next =
            value.checked_add(1).filter(|next| *next <= span.high).and_then(|next| search.line.at(next));
        Ok(Solution {
            value,
            bytes: self.eval(&point(value))?,
            next: next.and_then(|bytes| u64::try_from(bytes).ok()),
            binding: self.binding(&point(value))?,
            all_up_to: search.all_up_to(Span { high: value, ..span })?,
        })
    }
}

struct Search<'a> {
    line: Line<'a>,
    budget: i128,
    free: &'a str,
}

impl Search<'_> {
    /// A value at which the bytes have no number does not fit.
    fn fits(&self, value: i64) -> bool {
        self.line.at(value).is_some_and(|bytes| bytes <= self.budget)
    }

    /// The largest value of a span that fits, where the bytes never fall.
    fn bisect(&self, Span { mut low, mut high }: Span) -> Option<i64> {
        if self.fits(high) {
            return Some(high);
        }
        if !self.fits(low) {
            return None;
        }
        while low.abs_diff(high) > 1 {
            let middle = middle(low, high);
            *if self.fits(middle) { &mut low } else { &mut high } = middle;
        }
        Some(low)
    }

    /// The largest value that fits, the highest interval first.
    fn largest(&self, span: Span) -> Result<Option<i64>, SolveError> {
        let mut spans = vec![span];
        for _ in 0..MAX_INTERVALS {
            let Some(span) = spans.pop() else { return Ok(None) };
            if self.line.rises(span) {
                match self.bisect(span) {
                    Some(value) => return Ok(Some(value)),
                    None => continue,
                }
            }
            if self.fits(span.high) {
                return Ok(Some(span.high));
            }
            if span.low < span.high && self.line.range(span).0.is_none_or(|least| least <= self.budget) {
                spans.extend(halves(Span { high: span.high - 1, ..span }));
            }
        }
        let at_most = spans.last().map_or(span.low, |span| span.high);
        Err(SolveError::Undecided { free: self.free.into(), at_most })
    }

    /// The value before the first that does not fit, the lowest interval first.
    fn all_up_to(&self, whole: Span) -> Result<Option<i64>, SolveError> {
        let mut spans = vec![whole];
        for _ in 0..MAX_INTERVALS {
            let Some(span) = spans.pop() else { return Ok(Some(whole.high)) };
            if !self.fits(span.low) {
                return Ok((span.low > whole.low).then(|| span.low - 1));
            }
            if self.line.rises(span) {
                match self.bisect(span) {
                    Some(value) if value < span.high => return Ok(Some(value)),
                    _ => continue,
                }
            }
            if span.low < span.high && self.line.range(span).1.is_none_or(|most| most > self.budget) {
                spans.extend(halves(Span { low: span.low + 1, ..span }).into_iter().rev());
            }
        }
        let at_most = spans.last().map_or(whole.high, |span| span.low);
        Err(SolveError::Undecided { free: self.free.into(), at_most })
    }
}

fn middle(low: i64, high: i64) -> i64 {
    ((i128::from(low) + i128::from(high)) >> 1) as i64
}

/// A span cut in two, the lower first; of a single value that alone.
fn halves(span: Span) -> alloc::vec::Vec<Span> {
    if span.low == span.high {
        return vec![span];
    }
    let middle = middle(span.low, span.high);
    vec![Span { high: middle, ..span }, Span { low: middle + 1, ..span }]
}
