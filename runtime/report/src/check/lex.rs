//! The words of an expression.

use std::ops::Range;

use super::number::Number;
use super::{ExpressionError, Kind};

/// Longest expression, in bytes: more is a mistake.
const LONGEST: usize = 10_000;

/// A word of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A number with what it is counted in.
    Number(Number, Kind),
    /// A name or a keyword.
    Word(String),
    /// A text in quotes.
    Text(String),
    /// An operator or a bracket.
    Sign(&'static str),
}

/// Operators and brackets; of two that begin alike the longer comes first.
const SIGNS: [&str; 16] =
    ["<=", ">=", "==", "!=", "<", ">", "+", "-", "*", "/", "(", ")", ",", "=", ".", "~"];

/// What people write in other languages, and what it is here.
const FOREIGN: [(&str, &str); 8] = [
    ("&&", "and"),
    ("||", "or"),
    ("!", "not"),
    ("≤", "<="),
    ("≥", ">="),
    (";", "and"),
    ("[", "("),
    ("]", ")"),
];

/// Splits an expression into words, each with its bytes in the text.
pub(super) fn words(text: &str) -> Result<Vec<(Token, Range<usize>)>, ExpressionError> {
    if text.len() > LONGEST {
        return Err(ExpressionError::new(text, 0..0, format!("it is longer than {LONGEST} bytes")));
    }
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, len) = word(text, at, first)?;
        found.push((token, at..at + len));
        at += len;
    }
    Ok(found)
}

/// The word that begins at a byte, and its length.
fn word(text: &str, at: usize, first: char) -> Result<(Token, usize), ExpressionError> {
    let rest = &text[at..];
    let foreign = FOREIGN.iter().find(|(sign, _)| rest.starts_with(sign) && !rest.starts_with("!="));
    if let Some((sign, own)) = foreign {
        return Err(ExpressionError::new(
            text,
            at..at + sign.len(),
            format!("`{sign}` is written `{own}` here"),
        ));
    }
    if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
        return Ok((Token::Sign(sign), sign.len()));
    }
    match first {
        '0'..='9' => number(text, at),
        '"' | '\'' => quoted(text, at, first),
        c if is_letter(c) => {
            let len = rest.find(|c| !is_letter(c) && !char::is_ascii_digit(&c)).unwrap_or(rest.len());
            Ok((Token::Word(rest[..len].into()), len))
        }
        c => {
            let end = at + c.len_utf8();
            Err(ExpressionError::new(text, at..end, "no expression goes on like this".into()))
        }
    }
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn quoted(text: &str, at: usize, quote: char) -> Result<(Token, usize), ExpressionError> {
    let mut content = String::new();
    let mut chars = text[at + 1..].char_indices();
    while let Some((offset, c)) = chars.next() {
        match c {
            '\\' => content.extend(chars.next().map(|(_, escaped)| escaped)),
            c if c == quote => return Ok((Token::Text(content), offset + 2)),
            c => content.push(c),
        }
    }
    Err(ExpressionError::new(text, at..text.len(), format!("the text in quotes has no closing {quote}")))
}

/// A number and its unit, which may stand a blank apart.
fn number(text: &str, at: usize) -> Result<(Token, usize), ExpressionError> {
    let rest = &text[at..];
    let digits = rest.find(|c: char| !matches!(c, '0'..='9' | '.' | '_')).unwrap_or(rest.len());
    let behind = rest[digits..].trim_start_matches(' ');
    let from = rest.len() - behind.len();
    if behind.starts_with('%') {
        let share = plain(text, at, digits)?.by(Number::Whole(100));
        return Ok((Token::Number(share, Kind::Ratio), from + 1));
    }
    let unit = behind.find(|c: char| !c.is_alphanumeric()).map_or(behind, |len| &behind[..len]);
    let apart = from > digits;
    if unit.is_empty() || (apart && !is_unit(unit)) {
        return Ok((Token::Number(plain(text, at, digits)?, Kind::Plain), digits));
    }
    let len = from + unit.len();
    let whole = format!("{}{unit}", &rest[..digits]);
    let error = |why: String| ExpressionError::new(text, at..at + len, why);
    if is_time(unit) {
        let time = bayplan_text::parse_duration(&whole).map_err(|e| error(e.to_string()))?;
        let nanos = i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
        return Ok((Token::Number(Number::Whole(nanos), Kind::Nanos), len));
    }
    if unit == "m" {
        return Err(error(format!("`{whole}` may be minutes or MiB: write min or MiB")));
    }
    let bytes = bayplan_text::parse_bytes(&whole).map_err(|_| {
        error(format!(
            "the unit `{unit}` is unknown; write sizes like 512MiB, times like 3ms, rates like 500MB/s, shares like 2%"
        ))
    })?;
    // `500MB/s`: divided by a figure called s, no size makes sense, and none is called so.
    let per_second =
        rest[len..].strip_prefix("/s").filter(|behind| !behind.starts_with(char::is_alphanumeric));
    let (kind, len) = if per_second.is_some() { (Kind::Rate, len + 2) } else { (Kind::Bytes, len) };
    Ok((Token::Number(Number::Whole(bytes.into()), kind), len))
}

fn is_time(unit: &str) -> bool {
    matches!(unit, "ns" | "us" | "µs" | "μs" | "ms" | "s" | "sec" | "min" | "h")
}

fn is_unit(word: &str) -> bool {
    is_time(word) || (word.ends_with('B') && bayplan_text::parse_bytes(&format!("1{word}")).is_ok())
}

/// A number as it is written, exactly.
fn plain(text: &str, at: usize, len: usize) -> Result<Number, ExpressionError> {
    let digits = text[at..at + len].replace('_', "");
    let error = |why: &str| ExpressionError::new(text, at..at + len, why.into());
    let (whole, part) = digits.split_once('.').unwrap_or((&digits, "0"));
    if part.is_empty() || part.contains('.') {
        return Err(error("the number is malformed"));
    }
    let part = part.trim_end_matches('0');
    // A fraction whose parts are floats exactly is the float nearest to it, too: figures that are floats compare with it.
    let both =
        |above: &i128, below: &i128| part.is_empty() || (*above).max(*below) < 1 << f64::MANTISSA_DIGITS;
    let exact = || {
        let above = format!("{whole}{part}").parse().ok()?;
        let below = 10_i128.checked_pow(u32::try_from(part.len()).ok()?)?;
        both(&above, &below).then(|| Number::fraction(above, below))?
    };
    // What has more digits than are told apart is rounded.
    let rounded = || digits.parse::<f64>().ok().filter(|real| real.is_finite()).map(Number::Real);
    exact().or_else(rounded).ok_or_else(|| error("the number is too large"))
}
