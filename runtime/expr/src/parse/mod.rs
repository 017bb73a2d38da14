//! Reading expressions as they stand in models and on command lines.
//!
//! ```text
//! sum     = product (("+" | "-") product)*
//! product = power (("*" | "/" | "//" | "%") power)*       with a sign before any power
//! power   = primary ("**" integer)?
//! primary = integer | name | "`" text "`" | "(" sum ")" | function "(" sum ("," sum)* ")"
//! ```
//! Precedences are Python's. `/` is exact: what it makes is a fraction, which must be rounded by `floor` or
//! `ceiling` (or cancel) before the end.

mod error;
mod fraction;
mod lexer;

pub use error::{ParseError, ParseProblem};
pub(crate) use lexer::is_identifier;

use crate::expr::{Expr, MAX_DEPTH, Undefined};
use crate::poly;
use alloc::string::String;
use alloc::vec::Vec;
use fraction::Fraction;
use lexer::{Lexer, Token};

/// The longest text that is read, in bytes: room for the longest expression that this library prints.
pub const MAX_TEXT: usize = 1 << 20;

/// The most nested parentheses and calls: three for each level of an expression, as printing may need them.
const MAX_NESTING: u32 = 3 * MAX_DEPTH + 4;

/// The largest exponent; a power of a single symbol may be high, other powers are not multiplied out.
const MAX_EXPONENT: i128 = u32::MAX as i128;

impl Expr {
    /// Reads an expression as torch and sympy write dims: `2*s0`, `(s0 - 1)//2 + 1`, `Min(512, seq)`, `Mod(a,
    /// b)`, `a % b`, `floor(s/2)`, `ceiling(x/2)`, `FloorDiv(a, b)`, `CeilDiv(a, b)`, `x**2`. Any text
    /// between backticks is a symbol.
    ///
    /// # Errors
    /// Says what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let fail = |(at, problem)| ParseError::new(text, at, problem);
        if text.len() > MAX_TEXT {
            return Err(fail((MAX_TEXT, ParseProblem::TooLong)));
        }
        let value = Parser::new(text).and_then(Parser::whole).map_err(fail)?;
        match value.as_undefined() {
            None => Ok(value),
            Some(Undefined::Overflow) => Err(fail((0, ParseProblem::TooLargeNumber))),
            Some(Undefined::TooLarge) => Err(fail((0, ParseProblem::TooComplex))),
        }
    }

    /// As [`Expr::parse`], but what cannot be read becomes an opaque symbol with that text as its name.
    pub fn parse_or_opaque(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|_| Self::symbol(text))
    }
}

impl core::str::FromStr for Expr {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

/// The name that a text is, bare or between backticks; nothing may stand beside it.
pub(crate) fn parse_name(text: &str) -> Option<String> {
    Expr::parse(text).ok()?.as_symbol().map(Into::into)
}

/// A place in the text and what is wrong there.
type Fault = (usize, ParseProblem);

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    /// Where the token begins.
    at: usize,
    nesting: u32,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, Fault> {
        let mut parser = Self { lexer: Lexer::new(text), token: Token::End, at: 0, nesting: 0 };
        parser.advance()?;
        Ok(parser)
    }

    fn advance(&mut self) -> Result<Token<'a>, Fault> {
        let (at, next) = self.lexer.next()?;
        self.at = at;
        Ok(core::mem::replace(&mut self.token, next))
    }

    fn expect(&mut self, token: &Token<'a>, problem: ParseProblem) -> Result<(), Fault> {
        if self.token != *token {
            return Err((self.at, problem));
        }
        self.advance().map(drop)
    }

    fn whole(mut self) -> Result<Expr, Fault> {
        if self.token == Token::End {
            return Err((self.at, ParseProblem::Empty));
        }
        let value = self.sum()?;
        if self.token != Token::End {
            return Err((self.at, ParseProblem::Trailing));
        }
        value.whole().ok_or((0, ParseProblem::NotWhole))
    }

    fn sum(&mut self) -> Result<Fraction, Fault> {
        // Added up at the end, pairwise: a sum of thousands of terms is not copied once per term.
        let mut parts = Vec::new();
        parts.push(self.product()?);
        loop {
            match self.token {
                Token::Plus => {
                    self.advance()?;
                    parts.push(self.product()?);
                }
                Token::Minus => {
                    self.advance()?;
                    parts.push(self.product()?.neg());
                }
                _ => return Ok(Fraction::sum(parts)),
            }
        }
    }

    fn product(&mut self) -> Result<Fraction, Fault> {
        let mut value = self.signed_power()?;
        loop {
            let operator = match self.token {
                Token::Star | Token::Slash | Token::DoubleSlash | Token::Percent => self.advance()?,
                _ => return Ok(value),
            };
            let at = self.at;
            let right = self.signed_power()?;
            value = match operator {
                Token::Star => value.mul(&right),
                Token::Slash => value.div(&right).ok_or((at, ParseProblem::DivisionByZero))?,
                Token::DoubleSlash => value.div(&right).ok_or((at, ParseProblem::DivisionByZero))?.floor(),
                _ => value.modulo(&right).ok_or((at, ParseProblem::DivisionByZero))?,
            };
        }
    }

    fn signed_power(&mut self) -> Result<Fraction, Fault> {
        let mut negative = false;
        loop {
            match self.token {
                Token::Minus => negative = !negative,
                Token::Plus => {}
                _ => break,
            }
            self.advance()?;
        }
        let value = self.power()?;
        Ok(if negative { value.neg() } else { value })
    }

    fn power(&mut self) -> Result<Fraction, Fault> {
        let base = self.primary()?;
        if self.token != Token::DoubleStar {
            return Ok(base);
        }
        self.advance()?;
        match self.token {
            Token::Integer(n) if n <= MAX_EXPONENT => {
                self.advance()?;
                if self.token == Token::DoubleStar {
                    return Err((self.at, ParseProblem::BadExponent));
                }
                Ok(base.pow(u32::try_from(n).unwrap_or(u32::MAX)))
            }
            _ => Err((self.at, ParseProblem::BadExponent)),
        }
    }

    fn primary(&mut self) -> Result<Fraction, Fault> {
        let at = self.at;
        match self.advance()? {
            Token::Integer(n) => Ok(Expr::constant(n).into()),
            Token::Quoted(name) => Ok(Expr::symbol(&name).into()),
            Token::Name(name) if self.token == Token::Open => self.call(name, at),
            Token::Name(name) => Ok(Expr::symbol(name).into()),
            Token::Open => {
                self.enter(at)?;
                let value = self.sum()?;
                self.nesting -= 1;
                self.expect(&Token::Close, ParseProblem::NoClose)?;
                Ok(value)
            }
            _ => Err((at, ParseProblem::NoOperand)),
        }
    }

    fn enter(&mut self, at: usize) -> Result<(), Fault> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING { Err((at, ParseProblem::TooDeep)) } else { Ok(()) }
    }

    fn call(&mut self, name: &str, at: usize) -> Result<Fraction, Fault> {
        self.enter(at)?;
        let mut args = Vec::new();
        loop {
            // The parenthesis, then the commas.
            self.advance()?;
            args.push(self.sum()?);
            if self.token != Token::Comma {
                break;
            }
        }
        self.nesting -= 1;
        self.expect(&Token::Close, ParseProblem::NoClose)?;
        apply(name, &args).map_err(|problem| (at, problem))
    }
}

fn apply(name: &str, args: &[Fraction]) -> Result<Fraction, ParseProblem> {
    let whole =
        || args.iter().map(Fraction::whole).collect::<Option<Vec<Expr>>>().ok_or(ParseProblem::NotWhole);
    let by_zero = ParseProblem::DivisionByZero;
    match (name, args) {
        ("Min" | "min", [_, ..]) => Ok(Expr::min_of(whole()?).into()),
        ("Max" | "max", [_, ..]) => Ok(Expr::max_of(whole()?).into()),
        ("floor" | "math.floor" | "Floor", [a]) => Ok(a.floor()),
        ("ceiling" | "ceil" | "math.ceil" | "Ceil", [a]) => Ok(a.ceil()),
        ("FloorDiv" | "floordiv" | "CleanDiv", [a, b]) => Ok(a.div(b).ok_or(by_zero)?.floor()),
        ("CeilDiv" | "ceildiv", [a, b]) => Ok(a.div(b).ok_or(by_zero)?.ceil()),
        ("Mod" | "PythonMod" | "mod", [a, b]) => a.modulo(b).ok_or(by_zero),
        ("group", [a]) => Ok(poly::group_atom(&a.whole().ok_or(ParseProblem::NotWhole)?).into()),
        (
            "Min" | "min" | "Max" | "max" | "floor" | "math.floor" | "Floor" | "ceiling" | "ceil"
            | "math.ceil" | "Ceil" | "FloorDiv" | "floordiv" | "CleanDiv" | "CeilDiv" | "ceildiv" | "Mod"
            | "PythonMod" | "mod" | "group",
            _,
        ) => Err(ParseProblem::WrongArguments(name.into())),
        _ => Err(ParseProblem::UnknownFunction(name.into())),
    }
}
