//! From the words of an expression to steps, with what each value is counted in.

use std::ops::Range;

use bayplan_trace::quantities::{Filter, Key, Match, QUANTITIES, Quantity, Statistic, quantity};

use super::lex::{Token, words};
use super::number::Number;
use super::program::{Asked, Comparison, Does, Step};
use super::{ExpressionError, Kind};

/// Brackets, signs and `not`s inside each other: more are a mistake.
const DEEPEST: usize = 100;

/// The steps of an assertion.
pub(super) fn parse(text: &str) -> Result<Vec<Step>, ExpressionError> {
    let mut parser = Parser { text, words: words(text)?, next: 0, depth: 0, steps: Vec::new() };
    let whole = parser.or()?;
    if parser.next < parser.words.len() {
        return Err(parser.error_here(parser.why_no_more()));
    }
    parser.must_be_truth(&whole)?;
    Ok(parser.steps)
}

struct Parser<'a> {
    text: &'a str,
    words: Vec<(Token, Range<usize>)>,
    next: usize,
    depth: usize,
    steps: Vec<Step>,
}

/// What a part of the expression is: its kind and its bytes.
struct Part {
    kind: Kind,
    at: Range<usize>,
}

type Parsed<T> = Result<T, ExpressionError>;

impl Parser<'_> {
    fn or(&mut self) -> Parsed<Part> {
        self.joined("or", &Does::Or, Self::and)
    }

    fn and(&mut self) -> Parsed<Part> {
        self.joined("and", &Does::And, Self::not)
    }

    fn joined(&mut self, word: &str, does: &Does, part: fn(&mut Self) -> Parsed<Part>) -> Parsed<Part> {
        let mut left = part(self)?;
        while self.take_word(word) {
            self.must_be_truth(&left)?;
            let right = part(self)?;
            self.must_be_truth(&right)?;
            left = self.step(does.clone(), Kind::Truth, left.at.start..right.at.end);
        }
        Ok(left)
    }

    fn not(&mut self) -> Parsed<Part> {
        let start = self.here().start;
        if !self.take_word("not") {
            return self.comparison();
        }
        let inner = self.deeper(Self::not)?;
        self.must_be_truth(&inner)?;
        Ok(self.step(Does::Not, Kind::Truth, start..inner.at.end))
    }

    fn comparison(&mut self) -> Parsed<Part> {
        let left = self.sum()?;
        let Some(sign) = self.peek_sign() else { return Ok(left) };
        if sign == "=" {
            return Err(self.error_here("`=` is written `==` here"));
        }
        let Some(comparison) = Comparison::of(sign) else { return Ok(left) };
        self.next += 1;
        let right = self.sum()?;
        self.must_agree(&left, &right)?;
        Ok(self.step(Does::Compare(comparison), Kind::Truth, left.at.start..right.at.end))
    }

    fn sum(&mut self) -> Parsed<Part> {
        let mut left = self.product()?;
        while let Some(sign) = self.take_sign(&["+", "-"]) {
            let right = self.product()?;
            let kind = self.must_agree(&left, &right)?;
            let does = if sign == "+" { Does::Add } else { Does::Subtract };
            left = self.step(does, kind, left.at.start..right.at.end);
        }
        Ok(left)
    }

    fn product(&mut self) -> Parsed<Part> {
        let mut left = self.factor()?;
        while let Some(sign) = self.take_sign(&["*", "/"]) {
            let right = self.factor()?;
            let at = left.at.start..right.at.end;
            let kind =
                if sign == "*" { product(left.kind, right.kind) } else { quotient(left.kind, right.kind) };
            let Some(kind) = kind else {
                let verb = if sign == "*" { "multiplied with" } else { "divided by" };
                return Err(self.error(at, format!("{} is {verb} {}", left.kind.name(), right.kind.name())));
            };
            left = self.step(if sign == "*" { Does::Multiply } else { Does::Divide }, kind, at);
        }
        Ok(left)
    }

    /// Why an expression that is whole cannot go on.
    fn why_no_more(&self) -> &'static str {
        let before = self.next.checked_sub(1).and_then(|before| self.words.get(before));
        match (before, self.words.get(self.next)) {
            (_, Some((Token::Sign(sign), _))) if Comparison::of(sign).is_some() => {
                "comparisons are joined with `and`: 1 <= x and x <= 2"
            }
            (Some((Token::Number(..), _)), Some((Token::Word(_), _))) => {
                "this is no unit; write sizes like 512MiB, times like 3ms, shares like 2%"
            }
            _ => "nothing can stand here",
        }
    }

    fn factor(&mut self) -> Parsed<Part> {
        let at = self.here();
        if self.take_sign(&["-"]).is_some() {
            let inner = self.deeper(Self::factor)?;
            if inner.kind == Kind::Truth {
                return Err(self.error(inner.at, "what is true or false has no sign".into()));
            }
            return Ok(self.step(Does::Negate, inner.kind, at.start..inner.at.end));
        }
        if self.take_sign(&["("]).is_some() {
            let inner = self.deeper(Self::or)?;
            let end = self.expect(")")?;
            return Ok(Part { kind: inner.kind, at: at.start..end });
        }
        match self.words.get(self.next).map(|(token, _)| token.clone()) {
            Some(Token::Number(number, kind)) => {
                self.next += 1;
                Ok(self.step(Does::Number(number), kind, at))
            }
            Some(Token::Word(word)) if !matches!(word.as_str(), "and" | "or" | "not") => self.named(&word),
            Some(Token::Text(_)) => {
                Err(self
                    .error_here("a text stands only in brackets behind a figure: peak(arena=\"weights\")"))
            }
            Some(Token::Sign(".")) => Err(self.error_here("a number begins with a digit: 0.5")),
            _ => Err(self.error_here("a number or the name of a figure is missing here")),
        }
    }

    /// A figure or a function.
    fn named(&mut self, word: &str) -> Parsed<Part> {
        let start = self.here().start;
        let called = matches!(self.words.get(self.next + 1), Some((Token::Sign("("), _)));
        let statistic = Statistic::ALL.into_iter().find(|statistic| statistic.name() == word);
        if called && (statistic.is_some() || word == "abs") {
            self.next += 2;
            return self.deeper(|parser| parser.function(start, word, statistic));
        }
        let asked = self.figure()?;
        let at = start..self.behind();
        if asked.quantity.is_distribution() {
            let name = asked.quantity.name;
            let why =
                format!("`{name}` is a distribution: write p95({name}), max({name}) or another statistic");
            return Err(self.error(at, why));
        }
        let kind = asked.quantity.unit.into();
        Ok(self.step(Does::Figure(asked), kind, at))
    }

    /// What stands in the brackets of a function, and the closing one.
    fn function(&mut self, start: usize, word: &str, statistic: Option<Statistic>) -> Parsed<Part> {
        let from = self.steps.len();
        // A figure alone is asked for its statistic; anything else is a value.
        if let (Some(statistic), true) = (statistic, self.is_figure_alone()) {
            let asked = self.figure()?;
            let end = self.expect(")")?;
            return self.statistic(asked, statistic, start..end);
        }
        let first = self.or()?;
        let (mut kind, mut count) = (first.kind, 1);
        let mut last = first;
        while self.take_sign(&[","]).is_some() {
            let next = self.or()?;
            kind = self.must_agree(&Part { kind, at: last.at.clone() }, &next)?;
            count += 1;
            last = next;
        }
        let at = start..self.expect(")")?;
        let does = match (word, count) {
            ("abs", 1) if kind != Kind::Truth => Does::Absolute,
            ("max" | "min", 2..) => Does::Extreme { count, largest: word == "max" },
            ("abs", _) => return Err(self.error(at, "abs takes one number".into())),
            _ => {
                self.steps.truncate(from);
                let why = format!("{word} takes the name of a figure, such as {word}(op_time)");
                return Err(self.error(last.at, why));
            }
        };
        Ok(self.step(does, kind, at))
    }

    /// Whether what comes is one figure and a closing bracket, so that a statistic of it is meant.
    fn is_figure_alone(&self) -> bool {
        let mut at = self.next;
        let is = |at: usize, wanted: &str| matches!(self.words.get(at), Some((Token::Sign(sign), _)) if *sign == wanted);
        if !matches!(self.words.get(at), Some((Token::Word(_), _))) {
            return false;
        }
        at += if is(at + 1, ".") { 3 } else { 1 };
        if is(at, "(") {
            while at < self.words.len() && !is(at, ")") {
                at += 1;
            }
            at += 1;
        }
        is(at, ")")
    }

    fn statistic(&mut self, asked: Asked, statistic: Statistic, at: Range<usize>) -> Parsed<Part> {
        let name = asked.quantity.name;
        let percentile = !matches!(
            statistic,
            Statistic::Count | Statistic::Sum | Statistic::Min | Statistic::Max | Statistic::Mean
        );
        if percentile && !asked.quantity.is_distribution() {
            let known: Vec<&str> =
                QUANTITIES.iter().filter(|row| row.is_distribution()).map(|row| row.name).collect();
            let why = format!("`{name}` is no distribution; {} are", known.join(" and "));
            return Err(self.error(at, why));
        }
        let kind = match statistic {
            Statistic::Count => Kind::Count,
            _ => asked.quantity.unit.into(),
        };
        Ok(self.step(Does::Figure(Asked { statistic: Some(statistic), ..asked }), kind, at))
    }

    fn figure(&mut self) -> Parsed<Asked> {
        let at = self.here();
        let mut name = self.word("the name of a figure is missing here")?;
        let of_baseline = name == "baseline" && self.take_sign(&["."]).is_some();
        let mut name_at = at;
        if of_baseline {
            name_at = self.here();
            name = self.word("the name of a figure is missing here: baseline.peak")?;
        }
        let Some(quantity) = quantity(&name) else {
            return Err(self.error(name_at, unknown(&name)));
        };
        let mut filter = Filter::default();
        if self.take_sign(&["("]).is_some() {
            filter.0.push(self.choice(quantity)?);
            while self.take_sign(&[","]).is_some() {
                filter.0.push(self.choice(quantity)?);
            }
            self.expect(")")?;
        }
        Ok(Asked { quantity, of_baseline, filter, statistic: None })
    }

    /// `arena="weights"`, `plan=0`.
    fn choice(&mut self, quantity: &'static Quantity) -> Parsed<(Key, Match)> {
        let at = self.here();
        let name = self.word("what to choose by is missing here: arena=\"weights\"")?;
        let keys = quantity.scope.keys();
        let Some(key) = keys.iter().copied().find(|key| key.name() == name) else {
            let known: Vec<&str> = keys.iter().map(|key| key.name()).collect();
            let why = match known.is_empty() {
                true => format!("`{}` is of the whole session: there is nothing to choose", quantity.name),
                false => {
                    let name = quantity.name;
                    format!("`{name}` is chosen by {}: {name}({}=…)", known.join(" or "), known[0])
                }
            };
            return Err(self.error(at, why));
        };
        let like = self.take_sign(&["~"]).is_some();
        if !like {
            self.expect("=")?;
        }
        let wanted = match self.words.get(self.next) {
            Some((Token::Text(text), _)) if key.has_names() && like => Match::Like(text.clone()),
            Some((Token::Text(text), _)) if key.has_names() => Match::Name(text.clone()),
            Some((Token::Number(Number::Whole(number), Kind::Plain), _)) if !like => {
                Match::Number(u64::try_from(*number).unwrap_or(u64::MAX))
            }
            _ => {
                let why = match (key.has_names(), like) {
                    (true, true) => format!("{} is like a name in quotes: \"*/conv1\"", key.name()),
                    (true, false) => format!("{} is a name in quotes or a number", key.name()),
                    (false, _) => format!("{} is a number: {0}=0", key.name()),
                };
                return Err(self.error_here(&why));
            }
        };
        self.next += 1;
        Ok((key, wanted))
    }
}

/// Reading words, and saying where something is wrong.
impl Parser<'_> {
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEEPEST {
            return Err(self.error_here("it is too deeply nested"));
        }
        self.depth += 1;
        let parsed = inner(self);
        self.depth -= 1;
        parsed
    }

    fn step(&mut self, does: Does, kind: Kind, at: Range<usize>) -> Part {
        self.steps.push(Step { does, at: at.clone() });
        Part { kind, at }
    }

    /// The bytes of the next word; the end of the text behind the last.
    fn here(&self) -> Range<usize> {
        self.words.get(self.next).map_or(self.text.len()..self.text.len(), |(_, at)| at.clone())
    }

    /// The end of the word before.
    fn behind(&self) -> usize {
        self.next.checked_sub(1).and_then(|before| self.words.get(before)).map_or(0, |(_, at)| at.end)
    }

    fn peek_sign(&self) -> Option<&'static str> {
        match self.words.get(self.next) {
            Some((Token::Sign(sign), _)) => Some(sign),
            _ => None,
        }
    }

    fn take_sign(&mut self, signs: &[&str]) -> Option<&'static str> {
        let sign = self.peek_sign().filter(|sign| signs.contains(sign))?;
        self.next += 1;
        Some(sign)
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let found = matches!(self.words.get(self.next), Some((Token::Word(word), _)) if word == wanted);
        self.next += usize::from(found);
        found
    }

    fn word(&mut self, missing: &str) -> Parsed<String> {
        match self.words.get(self.next) {
            Some((Token::Word(word), _)) => {
                self.next += 1;
                Ok(word.clone())
            }
            _ => Err(self.error_here(missing)),
        }
    }

    /// Takes a sign that must come; the end of its bytes.
    fn expect(&mut self, sign: &'static str) -> Parsed<usize> {
        match self.take_sign(&[sign]) {
            Some(_) => Ok(self.behind()),
            None => Err(self.error_here(&format!("`{sign}` is missing here"))),
        }
    }

    fn must_be_truth(&self, part: &Part) -> Parsed<()> {
        if part.kind == Kind::Truth {
            return Ok(());
        }
        let why = format!("this is {}; an assertion compares it: … == 0, … <= 512MiB", part.kind.name());
        Err(self.error(part.at.clone(), why))
    }

    /// What two values that are compared or added are counted in.
    fn must_agree(&self, left: &Part, right: &Part) -> Parsed<Kind> {
        let pure = left.kind.is_pure() && right.kind.is_pure();
        match (left.kind, right.kind) {
            (Kind::Truth, _) | (_, Kind::Truth) => {}
            (Kind::Plain, kind) | (kind, Kind::Plain) => return Ok(kind),
            (a, b) if a == b => return Ok(a),
            (a, _) if pure => return Ok(a),
            _ => {}
        }
        let share = left.kind == Kind::Ratio || right.kind == Kind::Ratio;
        let hint = if share { "; a part of x is written 2% * x" } else { "" };
        let why = format!("{} and {} do not go together{hint}", left.kind.name(), right.kind.name());
        Err(self.error(left.at.start..right.at.end, why))
    }

    fn error(&self, at: Range<usize>, why: String) -> ExpressionError {
        ExpressionError::new(self.text, at, why)
    }

    fn error_here(&self, why: &str) -> ExpressionError {
        self.error(self.here(), why.into())
    }
}

fn product(left: Kind, right: Kind) -> Option<Kind> {
    match (left, right) {
        (Kind::Truth, _) | (_, Kind::Truth) => None,
        (Kind::Plain, kind) | (kind, Kind::Plain) => Some(kind),
        (a, b) if a.is_pure() && b.is_pure() => Some(if a == Kind::Ratio { b } else { a }),
        (a, kind) if a.is_pure() => Some(kind),
        (kind, b) if b.is_pure() => Some(kind),
        _ => None,
    }
}

fn quotient(left: Kind, right: Kind) -> Option<Kind> {
    match (left, right) {
        (Kind::Truth, _) | (_, Kind::Truth) => None,
        (Kind::Plain, Kind::Plain) => Some(Kind::Plain),
        (a, b) if a == b => Some(Kind::Ratio),
        (a, b) if a.is_pure() && b.is_pure() => Some(Kind::Ratio),
        (a, b) if b.is_pure() => Some(a),
        _ => None,
    }
}

/// That no figure is called so, with those that are meant perhaps.
fn unknown(name: &str) -> String {
    let function = Statistic::ALL.iter().any(|statistic| statistic.name() == name);
    if function {
        return format!("{name} takes a figure in brackets: {name}(op_time)");
    }
    let lower = name.to_ascii_lowercase();
    let near = QUANTITIES.iter().map(|row| (distance(&lower, row.name), row.name));
    let near =
        near.filter(|(far, known)| *far <= 1 + known.len() / 4 || known.contains(name) && name.len() > 2);
    let mut near: Vec<_> = near.collect();
    near.sort_unstable();
    let meant: Vec<String> = near.iter().take(3).map(|(_, name)| format!("`{name}`")).collect();
    let hint = match meant.is_empty() {
        true => "`bayplan check --help` lists all".to_owned(),
        false => format!("is it {}?", meant.join(" or ")),
    };
    format!("no figure is called `{name}`; {hint}")
}

/// The letters that must be changed, added or removed to make one name the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, own) in a.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let change = diagonal + usize::from(own != *other);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
