//! What is wrong with an expression, and where.

use std::fmt;
use std::ops::Range;

use bayplan_text::{columns, escape};

/// A text that is no assertion: what is wrong, shown below the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    text: String,
    at: Range<usize>,
    why: String,
}

impl ExpressionError {
    pub(crate) fn new(text: &str, at: Range<usize>, why: String) -> Self {
        Self { text: text.into(), at, why }
    }

    /// The column of the place, counted from 1 in characters.
    pub fn column(&self) -> usize {
        self.text.get(..self.at.start).map_or(0, |before| before.chars().count()) + 1
    }

    /// What is wrong.
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// What is wrong, the expression, and marks below the place.
impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |range: Range<usize>| self.text.get(range).unwrap_or_default();
        let indent = columns(part(0..self.at.start));
        let marks = columns(part(self.at.clone())).max(1);
        let (why, text) = (escape(&self.why), escape(&self.text));
        write!(f, "column {}: {why}\n  {text}\n  {:indent$}{:^>marks$}", self.column(), "", "^")
    }
}

impl std::error::Error for ExpressionError {}
