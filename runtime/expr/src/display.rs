//! Printing, in the form that [`Expr::parse`] reads back.

use crate::expr::{Atom, Expr, Factor, Term, Undefined};
use crate::parse::is_identifier;
use alloc::string::ToString;
use core::fmt;

/// Prints what [`Expr::parse`] (or, of a lone opaque symbol, [`Expr::parse_or_opaque`]) reads back as an
/// equal expression. Undefined expressions print as `undefined(overflow)` or `undefined(too_large)`, which is
/// read as an opaque symbol.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_atom() {
            // Alone, an opaque text may stand for itself if nothing in it needs an escape and it reads as
            // nothing else.
            Some(Atom::Symbol(name)) if !is_identifier(name) && is_bare_opaque(name) => f.write_str(name),
            _ => write_sum(f, self),
        }
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({self})")
    }
}

/// Prints an expression as [`Expr::parse`] reads it back: a lone opaque symbol stands between backticks too.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a Expr);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_sum(f, self.0)
    }
}

fn is_bare_opaque(name: &str) -> bool {
    bayplan_text::escape(name).to_string() == name && Expr::parse(name).is_err()
}

/// Positive terms, negative terms, constant; the constant first if nothing else is positive.
fn write_sum(f: &mut fmt::Formatter<'_>, e: &Expr) -> fmt::Result {
    let (constant, terms) = match e.terms() {
        [rest @ .., last] if last.factors.is_empty() => (Some(last), rest),
        all => (None, all),
    };
    let positive = terms.iter().filter(|t| t.coefficient > 0);
    let negative = terms.iter().filter(|t| t.coefficient < 0);
    let constant_leads =
        constant.is_some_and(|t| t.coefficient > 0) && terms.iter().all(|t| t.coefficient < 0);
    let (before, after) = if constant_leads { (constant, None) } else { (None, constant) };
    let mut first = true;
    for term in before.into_iter().chain(positive).chain(negative).chain(after) {
        match (first, term.coefficient < 0) {
            (true, false) => {}
            (true, true) => f.write_str("-")?,
            (false, false) => f.write_str(" + ")?,
            (false, true) => f.write_str(" - ")?,
        }
        write_term(f, term)?;
        first = false;
    }
    if first { f.write_str("0") } else { Ok(()) }
}

/// A term without its sign.
fn write_term(f: &mut fmt::Formatter<'_>, term: &Term) -> fmt::Result {
    let size = term.coefficient.unsigned_abs();
    // A quotient needs no parentheses where it is a term by itself; behind a minus sign it does.
    if let ([Factor { atom, power: 1 }], 1) = (term.factors.as_slice(), size)
        && let Some((a, sign, b)) = as_infix(atom)
    {
        return if term.coefficient > 0 {
            write_infix(f, a, sign, b)
        } else {
            f.write_str("(")?;
            write_infix(f, a, sign, b)?;
            f.write_str(")")
        };
    }
    let mut first = true;
    if size != 1 || term.factors.is_empty() {
        write!(f, "{size}")?;
        first = false;
    }
    for factor in &term.factors {
        if !first {
            f.write_str("*")?;
        }
        write_atom(f, &factor.atom)?;
        if factor.power != 1 {
            write!(f, "**{}", factor.power)?;
        }
        first = false;
    }
    Ok(())
}

fn as_infix(atom: &Atom) -> Option<(&Expr, &'static str, &Expr)> {
    match atom {
        Atom::FloorDiv(a, b) => Some((a, "//", b)),
        Atom::Modulo(a, b) => Some((a, " % ", b)),
        _ => None,
    }
}

fn write_infix(f: &mut fmt::Formatter<'_>, a: &Expr, sign: &str, b: &Expr) -> fmt::Result {
    write_operand(f, a)?;
    f.write_str(sign)?;
    write_operand(f, b)
}

/// An operand of `//` or `%`.
fn write_operand(f: &mut fmt::Formatter<'_>, e: &Expr) -> fmt::Result {
    let bare = match e.as_atom() {
        Some(atom) => as_infix(atom).is_none(),
        None => e.as_constant().is_some_and(|c| c >= 0),
    };
    if bare {
        return write_sum(f, e);
    }
    f.write_str("(")?;
    write_sum(f, e)?;
    f.write_str(")")
}

/// An atom as a factor of a product.
fn write_atom(f: &mut fmt::Formatter<'_>, atom: &Atom) -> fmt::Result {
    match atom {
        Atom::Symbol(name) => write_name(f, name),
        Atom::FloorDiv(a, b) | Atom::Modulo(a, b) => {
            let sign = if matches!(atom, Atom::FloorDiv(..)) { "//" } else { " % " };
            f.write_str("(")?;
            write_infix(f, a, sign, b)?;
            f.write_str(")")
        }
        Atom::Min(args) => write_call(f, "Min", args),
        Atom::Max(args) => write_call(f, "Max", args),
        Atom::Group(inner) => {
            f.write_str("group(")?;
            write_sum(f, inner)?;
            f.write_str(")")
        }
        Atom::Undefined(Undefined::Overflow) => f.write_str("undefined(overflow)"),
        Atom::Undefined(Undefined::TooLarge) => f.write_str("undefined(too_large)"),
    }
}

/// Constants first, as sympy has it.
fn write_call(f: &mut fmt::Formatter<'_>, name: &str, args: &[Expr]) -> fmt::Result {
    f.write_str(name)?;
    let constants = args.iter().filter(|e| e.as_constant().is_some());
    let others = args.iter().filter(|e| e.as_constant().is_none());
    let mut separator = "(";
    for arg in constants.chain(others) {
        f.write_str(separator)?;
        write_sum(f, arg)?;
        separator = ", ";
    }
    f.write_str(")")
}

/// A name as [`Expr::parse`] reads it: between backticks unless it is an identifier.
pub(crate) fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if is_identifier(name) {
        return f.write_str(name);
    }
    f.write_str("`")?;
    for (i, part) in bayplan_text::escape(name).to_string().split('`').enumerate() {
        if i > 0 {
            f.write_str("\\`")?;
        }
        f.write_str(part)?;
    }
    f.write_str("`")
}
