//! Values of symbols.

use alloc::collections::{BTreeMap, btree_map};
use alloc::string::String;
use core::fmt;

/// The values of symbols at one point, ordered by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bindings(BTreeMap<String, i64>);

impl Bindings {
    /// No symbol bound.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Binds `name`; gives back the value it had.
    pub fn set(&mut self, name: impl Into<String>, value: i64) -> Option<i64> {
        self.0.insert(name.into(), value)
    }

    /// The same bindings with one more.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: i64) -> Self {
        self.set(name, value);
        self
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<i64> {
        self.0.get(name).copied()
    }

    /// All bindings, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, i64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// The number of bound symbols.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no symbol is bound.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<S: Into<String>> FromIterator<(S, i64)> for Bindings {
    fn from_iter<I: IntoIterator<Item = (S, i64)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl<S: Into<String>> Extend<(S, i64)> for Bindings {
    fn extend<I: IntoIterator<Item = (S, i64)>>(&mut self, pairs: I) {
        self.0.extend(pairs.into_iter().map(|(name, value)| (name.into(), value)));
    }
}

impl IntoIterator for Bindings {
    type Item = (String, i64);
    type IntoIter = btree_map::IntoIter<String, i64>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// `batch=4, seq=512`.
impl fmt::Display for Bindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{}={value}", bayplan_text::escape(name))?;
        }
        Ok(())
    }
}
