//! What is wrong with a typed quantity.

use crate::ellipsis;
use alloc::string::String;
use core::fmt;

/// A quantity that could not be read: what was typed, what is wrong with it and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The text as it was given.
    pub input: String,
    /// What is wrong with it.
    pub problem: Problem,
    /// What was expected, for instance `a size`.
    pub expected: &'static str,
    /// A text that is right.
    pub example: &'static str,
}

/// What can be wrong with a quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Nothing but white space.
    Empty,
    /// It does not start with a number.
    NoNumber,
    /// It is below zero.
    Negative,
    /// The number is malformed, for instance two decimal points.
    BadNumber,
    /// A number that needs a unit has none.
    NoUnit,
    /// The text after the number is no unit known here.
    UnknownUnit(String),
    /// The value does not fit in 64 bits.
    TooLarge,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not {}: ", ellipsis(&self.input, 40), self.expected)?;
        match &self.problem {
            Problem::Empty => f.write_str("it is empty")?,
            Problem::NoNumber => f.write_str("it does not start with a number")?,
            Problem::Negative => f.write_str("it is negative")?,
            Problem::BadNumber => f.write_str("the number is malformed")?,
            Problem::NoUnit => f.write_str("the unit is missing")?,
            Problem::UnknownUnit(unit) => write!(f, "the unit `{}` is unknown", ellipsis(unit, 20))?,
            Problem::TooLarge => f.write_str("it is too large")?,
        }
        write!(f, "; write it like {}", self.example)
    }
}

impl core::error::Error for ParseError {}
