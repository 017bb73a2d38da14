//! Tokens.

use super::{Fault, ParseProblem};
use alloc::string::String;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Integer(i128),
    Name(&'a str),
    /// A name between backticks, unescaped.
    Quoted(String),
    Plus,
    Minus,
    Star,
    DoubleStar,
    Slash,
    DoubleSlash,
    Percent,
    Comma,
    Open,
    Close,
    End,
}

pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

/// Whether a name can stand without backticks: a letter or `_`, then letters, digits, `_`, and dots inside.
pub(crate) fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name_length(name) == name.len()
}

/// The length of the name at the start of `text`; 0 if there is none.
fn name_length(text: &str) -> usize {
    if !text.starts_with(|c: char| c == '_' || c.is_alphabetic()) {
        return 0;
    }
    let is_inner = |c: char| c == '_' || c.is_alphanumeric();
    let mut end = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let joins = c == '.' && chars.peek().is_some_and(|(_, next)| is_inner(*next));
        // Some letters have no glyph of their own; they would make two names look alike.
        if joins || (is_inner(c) && is_visible(c)) {
            end = at + c.len_utf8();
        } else {
            break;
        }
    }
    end
}

fn is_visible(c: char) -> bool {
    let mut buffer = [0; 4];
    c.is_ascii_alphanumeric() || c == '_' || {
        let text: &str = c.encode_utf8(&mut buffer);
        alloc::string::ToString::to_string(&bayplan_text::escape(text)) == text
    }
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token and where it begins.
    pub(crate) fn next(&mut self) -> Result<(usize, Token<'a>), Fault> {
        let rest = self.text[self.at..].trim_start();
        let start = self.text.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            self.at = start;
            return Ok((start, Token::End));
        };
        let (length, token) = match first {
            '+' => (1, Token::Plus),
            '-' => (1, Token::Minus),
            '*' if rest.starts_with("**") => (2, Token::DoubleStar),
            '*' => (1, Token::Star),
            '/' if rest.starts_with("//") => (2, Token::DoubleSlash),
            '/' => (1, Token::Slash),
            '%' => (1, Token::Percent),
            ',' => (1, Token::Comma),
            '(' => (1, Token::Open),
            ')' => (1, Token::Close),
            '`' => quoted(rest).map_err(|(at, problem)| (start + at, problem))?,
            '0'..='9' => integer(rest).map_err(|problem| (start, problem))?,
            _ => match name_length(rest) {
                0 => return Err((start, ParseProblem::Unexpected(first))),
                length => (length, Token::Name(&rest[..length])),
            },
        };
        self.at = start + length;
        Ok((start, token))
    }
}

fn integer<'a>(rest: &str) -> Result<(usize, Token<'a>), ParseProblem> {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    // `2x`, `1.5` and `0x10` are no products, fractions or hexadecimals here.
    if rest[end..].starts_with(|c: char| c == '_' || c == '.' || c.is_alphanumeric()) {
        return Err(ParseProblem::BadNumber);
    }
    let value = rest[..end].parse().map_err(|_| ParseProblem::TooLargeNumber)?;
    Ok((end, Token::Integer(value)))
}

fn quoted<'a>(rest: &str) -> Result<(usize, Token<'a>), Fault> {
    let mut name = String::new();
    let mut at = 1;
    loop {
        let tail = &rest[at..];
        let c = tail.chars().next().ok_or((0, ParseProblem::NoBacktick))?;
        let (length, c) = match c {
            '`' => return Ok((at + 1, Token::Quoted(name))),
            '\\' => unescape(tail).ok_or((at, ParseProblem::BadEscape))?,
            c => (c.len_utf8(), c),
        };
        name.push(c);
        at += length;
    }
}

/// The escape at the start of `text`: its length and what it stands for.
fn unescape(text: &str) -> Option<(usize, char)> {
    let c = text.chars().nth(1)?;
    let simple = |c| Some((2, c));
    match c {
        '\\' | '`' => simple(c),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'x' => {
            let code = u32::from_str_radix(hex(text.get(2..4)?)?, 16).ok()?;
            Some((4, char::from_u32(code)?))
        }
        'u' => {
            let body = text.get(2..)?.strip_prefix('{')?;
            let end = body.find('}').filter(|end| *end <= 6)?;
            let code = u32::from_str_radix(hex(&body[..end])?, 16).ok()?;
            Some((4 + end, char::from_u32(code)?))
        }
        _ => None,
    }
}

fn hex(digits: &str) -> Option<&str> {
    digits.chars().all(|c| c.is_ascii_hexdigit()).then_some(digits)
}
