//! Reading what a memory function prints.

use super::{Condition, Function, KvCache, MemoryFunction, Relation, Term};
use crate::expr::Expr;
use crate::parse::{MAX_TEXT, parse_name};
use crate::scope::Bounds;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bayplan_text::ellipsis;
use core::fmt;

/// The longest text that is read, in bytes: a few hundred of the longest expressions.
const MAX_MEMORY_TEXT: usize = 64 * MAX_TEXT;

/// A text that is no memory function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: String,
}

impl fmt::Display for MemoryParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl core::error::Error for MemoryParseError {}

impl MemoryFunction {
    /// Reads what `Display` wrote: an equal function.
    ///
    /// # Errors
    /// Says what is wrong and in which line.
    pub fn parse(text: &str) -> Result<Self, MemoryParseError> {
        let mut memory = Self::default();
        let fail = |at: usize, problem: String| MemoryParseError { line: at + 1, problem };
        if text.len() > MAX_MEMORY_TEXT {
            return Err(fail(0, "the text is too long".into()));
        }
        let mut seen = [false; 2];
        for (at, line) in text.lines().enumerate() {
            if at == 0 && line.starts_with("M(") || line.trim().is_empty() {
                continue;
            }
            memory.read_line(line, &mut seen).map_err(|problem| fail(at, problem))?;
        }
        match seen {
            [true, true] => Ok(memory),
            _ => Err(fail(text.lines().count(), "weights: or constant: is missing".into())),
        }
    }

    fn read_line(&mut self, line: &str, seen: &mut [bool; 2]) -> Result<(), String> {
        let mut halves = split(line, ':').into_iter();
        let (Some(head), Some(body), None) = (halves.next(), halves.next(), halves.next()) else {
            return Err(alloc::format!("`{}` is no fact of the form `what: value`", ellipsis(line, 60)));
        };
        let (kind, name) = head.trim().split_once(' ').unwrap_or((head.trim(), ""));
        let name = || parse_name(name).ok_or_else(|| alloc::format!("`{}` is no name", ellipsis(name, 60)));
        match kind {
            "weights" => (self.weights, seen[0]) = (number(body)?, true),
            "constant" => (self.constant, seen[1]) = (number(body)?, true),
            "kv" => self.kv = Some(cache(body)?),
            "symbol" => {
                let bounds = bounds(body)?;
                self.scope.declare(&name()?, bounds).map_err(|e| e.to_string())?;
            }
            "function" => self.functions.push(function(name()?, body)?),
            "term" => {
                let term = Term { name: name()?, bytes: expr(body)? };
                let last = self.functions.last_mut().ok_or("a term stands before any function")?;
                last.terms.push(term);
            }
            other => return Err(alloc::format!("`{}` is unknown", ellipsis(other, 60))),
        }
        Ok(())
    }
}

fn expr(text: &str) -> Result<Expr, String> {
    Expr::parse(text).map_err(|e| e.to_string())
}

fn number<T: core::str::FromStr>(text: &str) -> Result<T, String> {
    text.trim()
        .parse()
        .map_err(|_| alloc::format!("`{}` is no whole number in range", ellipsis(text.trim(), 60)))
}

/// `1..8`, or `1..` without an upper end.
fn bounds(text: &str) -> Result<Bounds, String> {
    let (lower, upper) =
        text.split_once("..").ok_or("bounds are written 1..8, or 1.. without an upper end")?;
    let upper = if upper.trim().is_empty() { None } else { Some(number(upper)?) };
    Ok(Bounds { lower: number(lower)?, upper })
}

/// `2097152 bytes per 16 tokens; b sequences; p + s tokens`.
fn cache(text: &str) -> Result<KvCache, String> {
    let parts = split(text, ';');
    let read = || {
        let [block, sequences, tokens] = parts.as_slice() else { return None };
        let (bytes, per) = block.split_once(" bytes per ")?;
        let per = per.trim().strip_suffix("tokens")?;
        Some((bytes, per, sequences.trim().strip_suffix("sequences")?, tokens.trim().strip_suffix("tokens")?))
    };
    let (bytes, per, sequences, tokens) =
        read().ok_or("kv is written `BYTES bytes per N tokens; EXPR sequences; EXPR tokens`")?;
    let (block_bytes, block_tokens) = (number(bytes)?, number(per)?);
    if block_tokens == 0 {
        return Err("a block has at least one token".into());
    }
    Ok(KvCache { sequences: expr(sequences)?, tokens: expr(tokens)?, block_tokens, block_bytes })
}

/// `proved; s = 1`.
fn function(name: String, text: &str) -> Result<Function, String> {
    let mut parts = split(text, ';').into_iter();
    let proved = match parts.next().map(str::trim) {
        Some("proved") => true,
        Some("checked") => false,
        _ => return Err("a function is proved or checked".into()),
    };
    let when = parts.map(condition).collect::<Result<_, _>>()?;
    Ok(Function { name, when, terms: Vec::new(), proved })
}

impl Condition {
    /// Reads what `Display` wrote, such as `s <= 4`.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn parse(text: &str) -> Result<Self, MemoryParseError> {
        condition(text).map_err(|problem| MemoryParseError { line: 1, problem })
    }
}

fn condition(text: &str) -> Result<Condition, String> {
    for relation in Relation::ALL {
        // No sign of a relation is part of an expression outside a quoted name.
        let sides = split_on(text, relation.sign());
        if let [left, right] = sides.as_slice() {
            return Ok(Condition { left: expr(left)?, relation, right: expr(right)? });
        }
    }
    Err(alloc::format!("`{}` is no condition", ellipsis(text.trim(), 60)))
}

/// The parts between separators that stand outside backticks.
fn split(text: &str, separator: char) -> Vec<&str> {
    split_on(text, separator.encode_utf8(&mut [0; 4]))
}

fn split_on<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    let (mut parts, mut from, mut quoted, mut escaped, mut after) = (Vec::new(), 0, false, false, 0);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '`' => quoted = !quoted,
            _ if !quoted && at >= after && text[at..].starts_with(separator) => {
                parts.push(&text[from..at]);
                from = at + separator.len();
                after = from;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}
