//! The language of searches: words and terms, side by side for "and", with `or` and `not`.
//!
//! ```text
//! search  = group ("or" group)*
//! group   = part ("and"? part)*
//! part    = "not" part | term | word | "\"" any text "\""
//! ```
//! What begins like no term is a word, so that names with signs in them can be typed as they are; what looks like a term that
//! there is not, and brackets and signs of other languages, are refused with what is written instead.

use std::ops::Range;

use bayplan_text::{ellipsis, parse_bytes};
use bayplan_trace::BufferKind;

/// A search that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expr {
    /// All of them hold; the terms that count come last.
    All(Vec<Expr>),
    /// One of them holds, or several.
    Any(Vec<Expr>),
    /// It does not hold.
    Not(Box<Expr>),
    /// One term.
    Term(Term),
}

/// What a tensor must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    /// Its name, or the name or node of the op that makes it, holds this, in small letters.
    Word(String),
    /// An op whose operator, name or node holds this touches it, in small letters.
    Op(String),
    /// The op of this number touches it.
    OpNumber(u32),
    /// Its type is this, or its type and shape begin like this, in small letters.
    Type(String),
    /// It holds this.
    Kind(BufferKind),
    /// The name of its arena holds this, in small letters.
    Arena(String),
    /// A figure of it compares so.
    Figure(Figure, Compare, u64),
    /// It lives during one of these ops; half-open here, though people name the last one.
    At(u64, u64),
    /// It touches these bytes of its arena, half-open.
    Address(u64, u64),
    /// It lives at the peak of its arena.
    AtPeak,
    /// It lives to the end of the program.
    NeverFreed,
    /// Something about it is not as planned.
    Deviates,
    /// It took over the bytes of another one.
    InPlace,
    /// It is one of that many largest.
    Top(usize),
}

/// A figure of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// Bytes.
    Size,
    /// First byte in its arena.
    Offset,
    /// Ops that it lives.
    Life,
    /// The first op of its life.
    Born,
    /// The last op of its life.
    Dies,
}

/// How two numbers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Equal,
}

impl Compare {
    /// Whether they compare so.
    pub(crate) fn holds(self, left: u64, right: u64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::More => left > right,
            Self::MoreOrEqual => left >= right,
            Self::Equal => left == right,
        }
    }
}

/// Why a search was not understood, and the bytes of the text that are to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilterError {
    /// Where.
    pub(crate) place: Range<usize>,
    /// What is wrong and what would be right. Escaped.
    pub(crate) words: String,
}

/// Figures by their names.
const FIGURES: [(&str, Figure); 5] = [
    ("size", Figure::Size),
    ("offset", Figure::Offset),
    ("life", Figure::Life),
    ("born", Figure::Born),
    ("dies", Figure::Dies),
];

/// Signs; of two that begin alike the longer comes first.
const SIGNS: [(&str, Compare); 6] = [
    ("<=", Compare::LessOrEqual),
    (">=", Compare::MoreOrEqual),
    ("==", Compare::Equal),
    ("<", Compare::Less),
    (">", Compare::More),
    ("=", Compare::Equal),
];

/// What buffers hold, by name.
const KINDS: [(&str, BufferKind); 6] = [
    ("activation", BufferKind::Activation),
    ("input", BufferKind::Input),
    ("output", BufferKind::Output),
    ("weight", BufferKind::Weight),
    ("constant", BufferKind::Constant),
    ("scratch", BufferKind::Scratch),
];

/// Terms of several words.
const PHRASES: [(&[&str], Term); 5] = [
    (&["live", "at", "peak"], Term::AtPeak),
    (&["never", "freed"], Term::NeverFreed),
    (&["in", "place"], Term::InPlace),
    (&["peak"], Term::AtPeak),
    (&["deviates"], Term::Deviates),
];

/// A piece of the text between blanks.
#[derive(Clone, Debug)]
struct Token {
    /// Its text without quotes, in small letters.
    text: String,
    place: Range<usize>,
    /// It begins with a quote: a word, whatever it says.
    quoted: bool,
}

/// Understands a search. Nothing but blanks is a search for nothing: `None`.
///
/// # Errors
/// A term is not whole, or says what cannot be.
pub(crate) fn parse(text: &str) -> Result<Option<Expr>, FilterError> {
    let tokens = tokens(text);
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut groups = vec![Vec::new()];
    let mut rest = &tokens[..];
    while let Some(first) = rest.first() {
        let group = groups.last_mut().expect("there is one from the start");
        if !first.quoted && first.text == "and" {
            let next = rest.get(1).is_some_and(|next| next.quoted || !matches!(&*next.text, "and" | "or"));
            if group.is_empty() || !next {
                return Err(error(first, "`and` stands between two terms; \"and\" in quotes is a word"));
            }
            rest = &rest[1..];
            continue;
        }
        if !first.quoted && first.text == "or" {
            if group.is_empty() || rest.len() == 1 {
                return Err(error(first, "`or` stands between two terms; \"or\" in quotes is a word"));
            }
            groups.push(Vec::new());
            rest = &rest[1..];
            continue;
        }
        let (part, taken) = part(rest)?;
        group.push(part);
        rest = &rest[taken..];
    }
    let mut groups: Vec<Expr> = groups
        .into_iter()
        .map(|mut parts| if parts.len() == 1 { parts.remove(0) } else { Expr::All(parts) })
        .collect();
    Ok(Some(if groups.len() == 1 { groups.remove(0) } else { Expr::Any(groups) }))
}

/// Splits a text at its blanks, but for those in quotes.
fn tokens(text: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    let (mut open, mut quotes) = (false, false);
    for (at, c) in text.char_indices() {
        if c.is_whitespace() && !quotes {
            open = false;
            continue;
        }
        if !open {
            found.push(Token { text: String::new(), place: at..at, quoted: c == '"' });
            open = true;
        }
        let Some(token) = found.last_mut() else { continue };
        token.place.end = at + c.len_utf8();
        if c == '"' {
            quotes = !quotes;
        } else {
            token.text.extend(c.to_lowercase());
        }
    }
    found
}

fn error(at: &Token, words: impl Into<String>) -> FilterError {
    FilterError { place: at.place.clone(), words: words.into() }
}

/// One part, and how many pieces it took.
fn part(rest: &[Token]) -> Result<(Expr, usize), FilterError> {
    let first = &rest[0];
    if first.quoted {
        return Ok((word(first), 1));
    }
    if first.text == "not" {
        // However many there are, each turns the one before it round.
        let nots = rest.iter().take_while(|token| !token.quoted && token.text == "not").count();
        let inner = rest.get(nots).filter(|token| token.quoted || !matches!(&*token.text, "or" | "and"));
        if inner.is_none() {
            return Err(error(first, "`not` wants a term behind it, such as `not kind:weight`"));
        }
        let (part, taken) = part(&rest[nots..])?;
        let part = if nots % 2 == 1 { Expr::Not(Box::new(part)) } else { part };
        return Ok((part, nots + taken));
    }
    foreign(first)?;
    if let Some(found) = phrase(rest)? {
        return Ok(found);
    }
    if let Some(found) = comparison(rest)? {
        return Ok(found);
    }
    let term = first.text.split_once(':').map(|(key, value)| keyed(first, key, value)).transpose()?;
    Ok((term.flatten().map_or_else(|| word(first), Expr::Term), 1))
}

/// Refuses brackets and signs that other languages have for what is a word here.
///
/// # Errors
/// The piece is one; what is written instead.
fn foreign(token: &Token) -> Result<(), FilterError> {
    let words = match token.text.chars().next() {
        Some('!') => "write `not` for `!`, such as `not kind:weight`",
        Some('|') => "write `or` for `|`, such as `peak or size>1MiB`",
        Some('&') => "write `and` for `&`, or nothing: `peak size>1MiB`",
        Some('(') => "there are no brackets: `and` binds closer than `or`; in quotes it is a word",
        _ => return Ok(()),
    };
    Err(error(token, words))
}

fn word(token: &Token) -> Expr {
    Expr::Term(Term::Word(token.text.clone()))
}

/// A term of several words, or one that counts.
fn phrase(rest: &[Token]) -> Result<Option<(Expr, usize)>, FilterError> {
    let says = |at: usize, word: &str| rest.get(at).is_some_and(|token| !token.quoted && token.text == word);
    for (words, term) in PHRASES {
        if words.iter().enumerate().all(|(at, word)| says(at, word)) {
            return Ok(Some((Expr::Term(term), words.len())));
        }
    }
    if says(0, "live") && says(1, "at") {
        let last = rest.get(2).unwrap_or(&rest[1]);
        let whole = Token { place: rest[0].place.start..last.place.end, ..last.clone() };
        return Err(error(&whole, "write `live at peak`, or for an op at:5, for several at:5..8"));
    }
    let digits = |token: &&Token| token.text.starts_with(|c: char| c.is_ascii_digit());
    if says(0, "top")
        && let Some(count) = rest.get(1).filter(digits)
    {
        let count = number(count, &count.text)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        return Ok(Some((Expr::Term(Term::Top(count)), 2)));
    }
    Ok(None)
}

/// A figure, a sign and a value, with or without blanks between them.
fn comparison(rest: &[Token]) -> Result<Option<(Expr, usize)>, FilterError> {
    let first = &rest[0];
    let Some((key, figure)) = FIGURES.into_iter().find(|(key, _)| first.text.starts_with(key)) else {
        return Ok(None);
    };
    let (mut behind, mut taken) = (first.text[key.len()..].to_owned(), 1);
    if behind.is_empty() {
        let Some(next) = rest.get(1).filter(|next| !next.quoted) else { return Ok(None) };
        (behind, taken) = (next.text.clone(), 2);
    }
    let Some((sign, compare)) = SIGNS.into_iter().find(|(sign, _)| behind.starts_with(sign)) else {
        return Ok(None);
    };
    let mut value = behind[sign.len()..].to_owned();
    if value.is_empty()
        && let Some(next) = rest.get(taken)
    {
        value.clone_from(&next.text);
        taken += 1;
    }
    let mut last = rest[taken - 1].clone();
    last.place.start = first.place.start;
    let bytes = matches!(figure, Figure::Size | Figure::Offset);
    // `1 MiB`: a unit may stand a blank apart.
    let unit = rest.get(taken).filter(|unit| unit.text.len() > 1 && unit.text.ends_with('b'));
    let apart = |unit: &&Token| {
        bytes
            && value.ends_with(|c: char| c.is_ascii_digit())
            && address(unit, &format!("1{}", unit.text)).is_ok()
    };
    if let Some(unit) = unit.filter(apart) {
        value += &unit.text;
        taken += 1;
    }
    if value.is_empty() {
        let example = if bytes { "1MiB" } else { "10" };
        return Err(error(&last, format!("`{key}` is compared with a value, such as {key}{sign}{example}")));
    }
    let value = if bytes { address(&last, &value)? } else { number(&last, &value)? };
    Ok(Some((Expr::Term(Term::Figure(figure, compare, value)), taken)))
}

/// A term that begins with a key; none where the key is not known.
fn keyed(token: &Token, key: &str, value: &str) -> Result<Option<Term>, FilterError> {
    let wants = |what: &str| {
        if value.is_empty() { Err(error(token, format!("{key}: wants {what}"))) } else { Ok(()) }
    };
    let term = match key {
        "op" => {
            wants("an operator or the number of an op, such as op:MatMul or op:97")?;
            value.parse().map_or_else(|_| Term::Op(value.to_owned()), Term::OpNumber)
        }
        "type" => {
            wants("a type, such as type:f16")?;
            Term::Type(value.to_owned())
        }
        "arena" => {
            wants("a name, such as arena:weights")?;
            Term::Arena(value.to_owned())
        }
        "kind" => {
            let kind =
                KINDS.into_iter().find(|(name, _)| *name == value || value.strip_suffix('s') == Some(name));
            let names = KINDS.map(|(name, _)| name).join(", ");
            Term::Kind(kind.ok_or_else(|| error(token, format!("kinds are {names}")))?.1)
        }
        "at" => {
            wants("an op or some, such as at:97 or at:90..100")?;
            // As everywhere ops are counted, the last one is one of them.
            let (from, to) = range(token, value, number, true)?;
            Term::At(from, to)
        }
        "addr" => {
            wants("a place or a range of bytes, such as addr:4MiB..5MiB")?;
            let (from, to) = range(token, value, address, false)?;
            Term::Address(from, to)
        }
        "name" => {
            wants("a part of a name, such as name:conv1")?;
            Term::Word(value.to_owned())
        }
        _ => return unknown(token, key, value).map_or(Ok(None), Err),
    };
    Ok(Some(term))
}

/// What to say of a key that there is not. Frameworks end names of tensors with a number behind a colon, and begin them with
/// paths: those are no keys.
fn unknown(token: &Token, key: &str, value: &str) -> Option<FilterError> {
    let is_output = !value.is_empty() && value.chars().all(|c| c.is_ascii_digit());
    if let Some((figure, _)) = FIGURES.into_iter().find(|(name, _)| *name == key) {
        return Some(error(token, format!("`{figure}` is compared: {figure}>10, {figure}<=10, {figure}=10")));
    }
    if is_output || key.is_empty() || !key.chars().all(|c| c.is_ascii_alphabetic()) {
        return None;
    }
    Some(error(
        token,
        format!(
            "there is no `{}:`, but op: type: kind: arena: name: at: addr: size> life> born< dies> offset<; in quotes it \
             is a word",
            ellipsis(key, 24)
        ),
    ))
}

/// `FROM..TO`, each of which may be left out, or one alone; as a half-open range, into which `TO` falls if it is one of them.
fn range(
    token: &Token,
    value: &str,
    read: fn(&Token, &str) -> Result<u64, FilterError>,
    inclusive: bool,
) -> Result<(u64, u64), FilterError> {
    let Some((from, to)) = value.split_once("..") else {
        let at = read(token, value)?;
        return Ok((at, at.saturating_add(1)));
    };
    let from = if from.is_empty() { 0 } else { read(token, from)? };
    let to = if to.is_empty() { u64::MAX } else { read(token, to)?.saturating_add(inclusive.into()) };
    if from >= to {
        return Err(error(token, "the range ends where it begins or before: write FROM..TO"));
    }
    Ok((from, to))
}

/// A whole number.
fn number(token: &Token, text: &str) -> Result<u64, FilterError> {
    let digits = text.replace([',', '_'], "");
    digits.parse().map_err(|_| error(token, format!("`{}` is no whole number", ellipsis(text, 24))))
}

/// A size or an offset: with a unit, or as programs print addresses.
fn address(token: &Token, text: &str) -> Result<u64, FilterError> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(&digits.replace('_', ""), 16).map_err(|_| {
            error(token, format!("`{}` is no address; write it like 0x400000", ellipsis(text, 24)))
        });
    }
    parse_bytes(text).map_err(|wrong| error(token, wrong.to_string()))
}
