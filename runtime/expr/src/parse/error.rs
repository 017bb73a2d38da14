//! Errors of reading.

use crate::expr::{MAX_DEPTH, MAX_SIZE};
use alloc::string::String;
use bayplan_text::ellipsis;
use core::fmt;

/// A text that is no expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The text, or its beginning if it is long.
    pub text: String,
    /// The byte offset of the problem in the text.
    pub at: usize,
    /// What is wrong there.
    pub problem: ParseProblem,
}

/// What can be wrong with the text of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseProblem {
    /// There is nothing in it.
    Empty,
    /// A character that means nothing here.
    Unexpected(char),
    /// A number, a name or a parenthesis should stand here.
    NoOperand,
    /// A closing parenthesis is missing.
    NoClose,
    /// The expression ended before the text did.
    Trailing,
    /// A number runs into letters or has a decimal point.
    BadNumber,
    /// A number, or what it is multiplied up to, does not fit in 128 bits.
    TooLargeNumber,
    /// An exponent is not a single small constant.
    BadExponent,
    /// A division by the constant zero.
    DivisionByZero,
    /// A quotient by `/` that is not rounded.
    NotWhole,
    /// No function of that name.
    UnknownFunction(String),
    /// The function takes another number of arguments.
    WrongArguments(String),
    /// A backtick is not closed.
    NoBacktick,
    /// An escape between backticks is malformed.
    BadEscape,
    /// Parentheses nest too deep.
    TooDeep,
    /// The expression has too many parts or levels.
    TooComplex,
    /// The text is longer than [`MAX_TEXT`](super::MAX_TEXT).
    TooLong,
}

impl ParseError {
    pub(crate) fn new(text: &str, at: usize, problem: ParseProblem) -> Self {
        Self { text: text.chars().take(200).collect(), at, problem }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no expression: {}", ellipsis(&self.text, 60), self.problem)?;
        match self.problem {
            ParseProblem::Empty
            | ParseProblem::TooComplex
            | ParseProblem::TooLong
            | ParseProblem::NotWhole => Ok(()),
            _ => write!(f, " at byte {}", self.at),
        }
    }
}

impl fmt::Display for ParseProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty; write it like `2*seq + 1`"),
            Self::Unexpected(c) => {
                let mut buffer = [0; 4];
                write!(f, "unexpected `{}`", bayplan_text::escape(c.encode_utf8(&mut buffer)))
            }
            Self::NoOperand => f.write_str("a number or a name is missing"),
            Self::NoClose => f.write_str("`)` is missing"),
            Self::Trailing => f.write_str("an operator is missing"),
            Self::BadNumber => f.write_str("a number is not a whole one, or `*` is missing after it,"),
            Self::TooLargeNumber => f.write_str("a number does not fit in 128 bits"),
            Self::BadExponent => f.write_str("an exponent must be one small constant,"),
            Self::DivisionByZero => f.write_str("division by zero"),
            Self::NotWhole => {
                f.write_str("`/` may leave a fraction; use `//`, or round with `floor(…)` or `ceiling(…)`")
            }
            Self::UnknownFunction(name) => write!(
                f,
                "there is no function `{}` (but Min, Max, Mod, floor, ceiling, FloorDiv, CeilDiv)",
                ellipsis(name, 30)
            ),
            Self::WrongArguments(name) => write!(f, "wrong number of arguments of `{}`", ellipsis(name, 30)),
            Self::NoBacktick => f.write_str("the closing backtick is missing"),
            Self::BadEscape => f.write_str("a malformed escape (write `\\\\` for a backslash)"),
            Self::TooDeep => f.write_str("parentheses nest too deep"),
            Self::TooComplex => write!(f, "it has more than {MAX_SIZE} parts or {MAX_DEPTH} levels"),
            Self::TooLong => write!(f, "it is longer than {} bytes", super::MAX_TEXT),
        }
    }
}

impl core::error::Error for ParseError {}
