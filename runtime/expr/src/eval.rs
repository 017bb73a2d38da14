//! Evaluation and substitution.

use crate::bindings::Bindings;
use crate::expr::{Atom, Expr, Term, Undefined};
use alloc::string::{String, ToString};
use bayplan_text::ellipsis;
use core::fmt;

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvalError {
    /// A symbol without a value.
    Unbound(String),
    /// A divisor is zero; the text is the division.
    DivisionByZero(String),
    /// The value of an expression, which the text gives, does not fit: 64 bits for the result, 128 for the
    /// parts.
    Overflow(String),
    /// The expression is larger or deeper than this library keeps ([`MAX_SIZE`](crate::MAX_SIZE),
    /// [`MAX_DEPTH`](crate::MAX_DEPTH)).
    TooLarge,
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unbound(name) => write!(f, "`{}` has no value; bind it", ellipsis(name, 60)),
            Self::DivisionByZero(text) => write!(f, "the divisor in `{}` is zero", ellipsis(text, 120)),
            Self::Overflow(text) => {
                write!(f, "the value of `{}` does not fit in 64 bits", ellipsis(text, 120))
            }
            Self::TooLarge => write!(
                f,
                "the expression exceeds the {} nodes or {} levels that are kept",
                crate::MAX_SIZE,
                crate::MAX_DEPTH
            ),
        }
    }
}

impl core::error::Error for EvalError {}

/// What can go wrong while numbers are computed; the text is added once, outside.
pub(crate) enum Fault {
    Unbound(String),
    DivisionByZero(String),
    Overflow,
}

impl Expr {
    /// The value with the symbols bound.
    ///
    /// The canonical form is computed, in 128 bits. Where the form of the source needs smaller steps than the
    /// multiplied-out one, this may report an overflow that the source would not have; it never gives another
    /// value.
    ///
    /// # Errors
    /// Names the symbol without value, the division by zero, or the expression that overflows.
    pub fn eval(&self, bindings: &Bindings) -> Result<i64, EvalError> {
        self.defined()?;
        let value = self.eval_with(&|name| bindings.get(name)).map_err(|fault| match fault {
            Fault::Unbound(name) => EvalError::Unbound(name),
            Fault::DivisionByZero(text) => EvalError::DivisionByZero(text),
            Fault::Overflow => EvalError::Overflow(self.to_string()),
        })?;
        i64::try_from(value).map_err(|_| EvalError::Overflow(self.to_string()))
    }

    /// The expression with the bound symbols replaced by their values; others stay.
    ///
    /// # Errors
    /// As [`Expr::eval`], but for the symbols without value.
    pub fn substitute(&self, bindings: &Bindings) -> Result<Self, EvalError> {
        self.defined()?;
        let result = self.replace(&|name| bindings.get(name).map(Self::from));
        match result.as_undefined() {
            Some(Undefined::Overflow) => return Err(EvalError::Overflow(self.to_string())),
            Some(Undefined::TooLarge) => return Err(EvalError::TooLarge),
            None => {}
        }
        let mut zero = None;
        result.visit(&mut |atom| {
            if let Atom::FloorDiv(_, b) | Atom::Modulo(_, b) = atom
                && b.as_constant() == Some(0)
            {
                zero = Some(atom);
            }
        });
        match zero {
            Some(atom) => Err(EvalError::DivisionByZero(Self::from_atom(atom.clone()).to_string())),
            None => Ok(result),
        }
    }

    fn defined(&self) -> Result<(), EvalError> {
        match self.as_undefined() {
            None => Ok(()),
            Some(Undefined::Overflow) => Err(EvalError::Overflow(self.to_string())),
            Some(Undefined::TooLarge) => Err(EvalError::TooLarge),
        }
    }

    pub(crate) fn eval_with(&self, value: &dyn Fn(&str) -> Option<i64>) -> Result<i128, Fault> {
        let mut sum = 0_i128;
        for term in self.terms() {
            sum = sum.checked_add(eval_term(term, value)?).ok_or(Fault::Overflow)?;
        }
        Ok(sum)
    }
}

fn eval_term(term: &Term, value: &dyn Fn(&str) -> Option<i64>) -> Result<i128, Fault> {
    // Every factor is computed before a zero could hide that one of them has no value.
    let mut product = term.coefficient;
    for factor in &term.factors {
        let base = eval_atom(&factor.atom, value)?;
        let power = base.checked_pow(factor.power).ok_or(Fault::Overflow)?;
        product = product.checked_mul(power).ok_or(Fault::Overflow)?;
    }
    Ok(product)
}

fn eval_atom(atom: &Atom, value: &dyn Fn(&str) -> Option<i64>) -> Result<i128, Fault> {
    match atom {
        Atom::Symbol(name) => match value(name) {
            Some(v) => Ok(i128::from(v)),
            None => Err(Fault::Unbound(name.to_string())),
        },
        Atom::FloorDiv(a, b) | Atom::Modulo(a, b) => {
            let (x, y) = (a.eval_with(value)?, b.eval_with(value)?);
            if y == 0 {
                return Err(Fault::DivisionByZero(Expr::from_atom(atom.clone()).to_string()));
            }
            let is_quotient = matches!(atom, Atom::FloorDiv(..));
            if is_quotient { div_floor(x, y) } else { mod_floor(x, y) }.ok_or(Fault::Overflow)
        }
        Atom::Min(args) => fold(args, value, i128::min),
        Atom::Max(args) => fold(args, value, i128::max),
        Atom::Group(inner) => inner.eval_with(value),
        Atom::Undefined(_) => Err(Fault::Overflow),
    }
}

fn fold(
    args: &[Expr],
    value: &dyn Fn(&str) -> Option<i64>,
    pick: fn(i128, i128) -> i128,
) -> Result<i128, Fault> {
    let mut best = None;
    for arg in args {
        let v = arg.eval_with(value)?;
        best = Some(best.map_or(v, |b| pick(b, v)));
    }
    Ok(best.unwrap_or(0))
}

/// The quotient rounded towards −∞; `None` for a zero divisor and on overflow.
pub(crate) fn div_floor(x: i128, y: i128) -> Option<i128> {
    let (q, r) = (x.checked_div(y)?, x.checked_rem(y)?);
    Some(if r != 0 && (r < 0) != (y < 0) { q - 1 } else { q })
}

/// The remainder with the sign of the divisor; `None` for a zero divisor and on overflow.
pub(crate) fn mod_floor(x: i128, y: i128) -> Option<i128> {
    let r = x.checked_rem(y)?;
    Some(if r != 0 && (r < 0) != (y < 0) { r + y } else { r })
}
