//! What is known of the symbols.

use crate::bindings::Bindings;
use crate::expr::Expr;
use crate::range::Range;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// The least and, if there is one, the greatest value of a symbol, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// The least value.
    pub lower: i64,
    /// The greatest value; `None` if nothing is known.
    pub upper: Option<i64>,
}

impl Bounds {
    /// What holds of a dim of which nothing else is known: it is not negative. It may be zero: tensors may be
    /// empty.
    pub const DIM: Self = Self { lower: 0, upper: None };

    /// From `lower` up.
    pub const fn at_least(lower: i64) -> Self {
        Self { lower, upper: None }
    }

    /// From `lower` to `upper`, both included.
    pub const fn between(lower: i64, upper: i64) -> Self {
        Self { lower, upper: Some(upper) }
    }

    /// One value.
    pub const fn exactly(value: i64) -> Self {
        Self::between(value, value)
    }

    /// Whether the value lies within.
    pub fn contains(&self, value: i64) -> bool {
        self.lower <= value && self.upper.is_none_or(|upper| value <= upper)
    }

    /// The least bounds around both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        let upper = self.upper.zip(other.upper).map(|(a, b)| a.max(b));
        Self { lower: self.lower.min(other.lower), upper }
    }

    /// What lies within both; it may have no value.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        let upper = self.upper.into_iter().chain(other.upper).min();
        Self { lower: self.lower.max(other.lower), upper }
    }

    fn is_empty(&self) -> bool {
        self.upper.is_some_and(|upper| upper < self.lower)
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self::DIM
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.upper {
            Some(upper) if upper == self.lower => write!(f, "= {upper}"),
            Some(upper) => write!(f, "{}..={upper}", self.lower),
            None => write!(f, "≥ {}", self.lower),
        }
    }
}

/// Why bounds do not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeError {
    /// The bounds declared for a symbol leave it no value.
    Empty {
        /// The symbol.
        symbol: String,
        /// Its bounds.
        bounds: Bounds,
    },
    /// A symbol is bound to a value outside its bounds.
    OutOfBounds {
        /// The symbol.
        symbol: String,
        /// The value it is bound to.
        value: i64,
        /// Its bounds.
        bounds: Bounds,
    },
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { symbol, bounds } => {
                write!(f, "`{}` can have no value: {bounds}", bayplan_text::ellipsis(symbol, 60))
            }
            Self::OutOfBounds { symbol, value, bounds } => {
                write!(f, "`{}` is {value}, but must be {bounds}", bayplan_text::ellipsis(symbol, 60))
            }
        }
    }
}

impl core::error::Error for ScopeError {}

/// The bounds of symbols. A symbol that is not declared is a dim: [`Bounds::DIM`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(BTreeMap<Arc<str>, Bounds>);

impl Scope {
    /// Nothing declared.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Sets the bounds of a symbol, in place of those it had.
    ///
    /// # Errors
    /// [`ScopeError::Empty`] if the upper bound is below the lower.
    pub fn declare(&mut self, symbol: &str, bounds: Bounds) -> Result<(), ScopeError> {
        if bounds.is_empty() {
            return Err(ScopeError::Empty { symbol: symbol.into(), bounds });
        }
        self.0.insert(symbol.into(), bounds);
        Ok(())
    }

    /// The bounds of a symbol, declared or not.
    pub fn get(&self, symbol: &str) -> Bounds {
        self.0.get(symbol).copied().unwrap_or_default()
    }

    /// The declared symbols, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Bounds)> {
        self.0.iter().map(|(name, bounds)| (&**name, *bounds))
    }

    /// The same symbols, each within what `by` says of it, too.
    ///
    /// # Errors
    /// [`ScopeError::Empty`] if a symbol has no value left.
    pub fn within(&self, by: &Self) -> Result<Self, ScopeError> {
        let mut both = self.clone();
        for (symbol, own) in self.iter() {
            both.declare(symbol, own.intersect(by.get(symbol)))?;
        }
        Ok(both)
    }

    /// Checks every bound symbol against its bounds.
    ///
    /// # Errors
    /// [`ScopeError::OutOfBounds`] of the first that is outside.
    pub fn check(&self, bindings: &Bindings) -> Result<(), ScopeError> {
        for (symbol, value) in bindings.iter() {
            let bounds = self.get(symbol);
            if !bounds.contains(value) {
                return Err(ScopeError::OutOfBounds { symbol: symbol.into(), value, bounds });
            }
        }
        Ok(())
    }

    /// The box of the symbols of `e`.
    pub(crate) fn region(&self, e: &Expr) -> Region {
        Region(e.symbols().into_iter().map(|name| (name.into(), self.get(name).into())).collect())
    }
}

impl From<Bounds> for Range {
    fn from(bounds: Bounds) -> Self {
        Self { lower: Some(bounds.lower.into()), upper: bounds.upper.map(i128::from) }
    }
}

/// The ranges of symbols, sorted by name: a box. A symbol that is not in it may have any value.
#[derive(Clone)]
pub(crate) struct Region(pub(crate) Vec<(Arc<str>, Range)>);

impl Region {
    pub(crate) fn get(&self, name: &str) -> Range {
        self.0.binary_search_by(|(n, _)| (**n).cmp(name)).map_or(Range::ALL, |at| self.0[at].1)
    }
}
