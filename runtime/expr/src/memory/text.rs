//! A memory function as text, one fact to a line.

use super::{Condition, Function, MemoryFunction, Relation};
use crate::display::{Quoted, write_name};
use core::fmt;

/// The formula, then its parts, as [`MemoryFunction::parse`] reads them back:
///
/// ```text
/// M(b, p, s) = weights + constant + kv + max of the terms
/// weights: 16060522496
/// constant: 0
/// kv: 2097152 bytes per 16 tokens; b sequences; p + s tokens
/// symbol b: 1..8
/// function main: proved
/// term mlp: 73728*b*s
/// term attention: 128*b*p*s + 128*b*s**2 + 16384*b*s
/// ```
///
/// A function may go on with conditions: `function decode: proved; s = 1; b <= 4`.
impl fmt::Display for MemoryFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("M(")?;
        for (index, name) in self.symbols().into_iter().enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            write_name(f, name)?;
        }
        f.write_str(") = weights + constant")?;
        f.write_str(if self.kv.is_some() { " + kv" } else { "" })?;
        f.write_str(if self.functions.is_empty() { "\n" } else { " + max of the terms\n" })?;
        write!(f, "weights: {}\nconstant: {}", self.weights, self.constant)?;
        if let Some(kv) = &self.kv {
            write!(f, "\nkv: {} bytes per {} tokens; ", kv.block_bytes, kv.block_tokens)?;
            write!(f, "{} sequences; {} tokens", Quoted(&kv.sequences), Quoted(&kv.tokens))?;
        }
        for (name, bounds) in self.scope.iter() {
            f.write_str("\nsymbol ")?;
            write_name(f, name)?;
            write!(f, ": {}..", bounds.lower)?;
            bounds.upper.map_or(Ok(()), |upper| write!(f, "{upper}"))?;
        }
        self.functions.iter().try_for_each(|function| write_function(f, function))
    }
}

fn write_function(f: &mut fmt::Formatter<'_>, function: &Function) -> fmt::Result {
    f.write_str("\nfunction ")?;
    write_name(f, &function.name)?;
    f.write_str(if function.proved { ": proved" } else { ": checked" })?;
    for condition in &function.when {
        write!(f, "; {condition}")?;
    }
    for term in &function.terms {
        f.write_str("\nterm ")?;
        write_name(f, &term.name)?;
        write!(f, ": {}", Quoted(&term.bytes))?;
    }
    Ok(())
}

impl Relation {
    /// All of them, those whose text begins with another's first.
    pub(super) const ALL: [Self; 4] = [Self::NotEqual, Self::AtMost, Self::Below, Self::Equal];

    /// Its sign in texts.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::AtMost => "<=",
            Self::Below => "<",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", Quoted(&self.left), self.relation.sign(), Quoted(&self.right))
    }
}
