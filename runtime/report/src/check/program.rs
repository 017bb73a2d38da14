//! An expression as steps over a stack: nothing in it is deeper than the stack is long.

use std::ops::Range;

use bayplan_trace::quantities::{Filter, Quantity, Statistic};

use super::number::Number;

/// One step, and the bytes of the expression that it stands for.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) does: Does,
    pub(super) at: Range<usize>,
}

/// What a step does with the values on the stack.
#[derive(Clone, Debug)]
pub(super) enum Does {
    /// Puts a number.
    Number(Number),
    /// Puts a figure.
    Figure(Asked),
    Add,
    Subtract,
    Multiply,
    Divide,
    Negate,
    Absolute,
    /// Of so many values the largest, or the smallest.
    Extreme {
        count: usize,
        largest: bool,
    },
    Compare(Comparison),
    And,
    Or,
    Not,
}

/// A figure that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) quantity: &'static Quantity,
    pub(super) of_baseline: bool,
    pub(super) filter: Filter,
    pub(super) statistic: Option<Statistic>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    MoreOrEqual,
    More,
}

impl Comparison {
    pub(super) fn of(sign: &str) -> Option<Self> {
        Some(match sign {
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            ">=" => Self::MoreOrEqual,
            ">" => Self::More,
            _ => return None,
        })
    }
}

impl Step {
    /// The figure that it puts, if it is one.
    pub(super) fn asked(&self) -> Option<&Asked> {
        match &self.does {
            Does::Figure(asked) => Some(asked),
            _ => None,
        }
    }

    pub(super) fn is_of_baseline(&self) -> bool {
        self.asked().is_some_and(|asked| asked.of_baseline)
    }
}
