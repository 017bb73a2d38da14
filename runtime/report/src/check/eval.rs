//! Judges the steps of an assertion on the figures of recordings.

use bayplan_trace::quantities::{Figure, Reading, Statistic, Unknown, Value};

use super::causes::causes;
use super::finding::{Finding, Shown, Verdict};
use super::number::{Known, Number};
use super::program::{Asked, Comparison, Does, Step};
use super::{Judged, Kind};
use crate::regret::Regrets;

/// What a step leaves on the stack.
#[derive(Clone, Debug)]
enum Item {
    Number(Known),
    Truth(Truth),
}

/// True, false, or open with the reasons.
#[derive(Clone, Debug, PartialEq)]
enum Truth {
    True,
    False,
    Open(Vec<String>),
}

/// The state in the middle of an assertion.
pub(super) struct Evaluation<'a> {
    text: &'a str,
    own: &'a Judged<'a>,
    baseline: Option<&'a Judged<'a>>,
    stack: Vec<Item>,
    shown: Vec<Shown>,
}

impl<'a> Evaluation<'a> {
    pub(super) fn of(
        text: &'a str,
        steps: &[Step],
        own: &'a Judged<'a>,
        baseline: Option<&'a Judged<'a>>,
    ) -> Finding {
        let mut state = Self { text, own, baseline, stack: Vec::new(), shown: Vec::new() };
        // Comparisons that are not true: what they name may be why it fails.
        let mut untrue = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            let item = state.item(step);
            if matches!((&step.does, &item), (Does::Compare(_), Item::Truth(Truth::False))) {
                untrue.push(at);
            }
            state.stack.push(item);
        }
        let (verdict, why) = match state.truth() {
            Truth::True => (Verdict::Holds, Vec::new()),
            Truth::False => (Verdict::Failed, Vec::new()),
            Truth::Open(why) => (Verdict::Open, why),
        };
        let causes = match verdict {
            Verdict::Failed => causes(steps, &untrue, own, baseline),
            Verdict::Holds | Verdict::Open => Vec::new(),
        };
        Finding { text: text.to_owned(), verdict, shown: state.shown, why, causes }
    }

    fn item(&mut self, step: &Step) -> Item {
        match &step.does {
            Does::Number(number) => Item::Number(Known::exactly(*number)),
            Does::Figure(asked) => Item::Number(self.figure(asked, step)),
            Does::Add => self.two(|a, b| a.add(&b)),
            Does::Subtract => self.two(|a, b| a.add(&b.negated())),
            Does::Multiply => self.two(|a, b| a.times(&b)),
            Does::Divide => self.two(|a, b| a.by(&b)),
            Does::Negate => Item::Number(self.number().negated()),
            Does::Absolute => Item::Number(self.number().absolute()),
            Does::Extreme { count, largest } => {
                let mut found = self.number();
                for _ in 1..*count {
                    found = self.number().extreme(&found, *largest);
                }
                Item::Number(found)
            }
            Does::Compare(comparison) => {
                let (right, left) = (self.number(), self.number());
                Item::Truth(compare(*comparison, &left, &right))
            }
            Does::And => {
                let (right, left) = (self.truth(), self.truth());
                Item::Truth(both(left, right))
            }
            Does::Or => {
                let (right, left) = (self.truth(), self.truth());
                Item::Truth(both(left.not(), right.not()).not())
            }
            Does::Not => Item::Truth(self.truth().not()),
        }
    }

    fn two(&mut self, join: fn(Known, Known) -> Known) -> Item {
        let (right, left) = (self.number(), self.number());
        Item::Number(join(left, right))
    }

    /// The parser has seen to it that there is a number.
    fn number(&mut self) -> Known {
        match self.stack.pop() {
            Some(Item::Number(known)) => known,
            _ => Known::unknown("it is no number".into()),
        }
    }

    fn truth(&mut self) -> Truth {
        match self.stack.pop() {
            Some(Item::Truth(truth)) => truth,
            _ => Truth::Open(vec!["it is neither true nor false".into()]),
        }
    }

    fn figure(&mut self, asked: &Asked, step: &Step) -> Known {
        let name = self.text.get(step.at.clone()).unwrap_or_default();
        let kind = match asked.statistic {
            Some(Statistic::Count) => Kind::Count,
            _ => asked.quantity.unit.into(),
        };
        let of = if asked.of_baseline { self.baseline } else { Some(self.own) };
        let known = of.map_or_else(
            || Known::unknown("there is no baseline".into()),
            |recording| read(recording, asked).unwrap_or_else(|why| Known::unknown(why.to_string())),
        );
        let shown = Shown { name: name.to_owned(), kind, known: known.clone() };
        if !self.shown.iter().any(|before| before.name == shown.name) {
            self.shown.push(shown);
        }
        let about = |why: &String| format!("{name}: {why}");
        Known { why: known.why.iter().map(about).collect(), ..known }
    }
}

/// Reads a figure off a recording.
fn read(recording: &Judged<'_>, asked: &Asked) -> Result<Known, Unknown> {
    let regrets = Regrets::new(recording.timeline);
    let regret = |plan: u32, buffer: u32| regrets.of(plan, buffer);
    let reading =
        Reading::new(recording.timeline).with_damage(recording.damages.len() as u64).with_regret(&regret);
    match asked.statistic {
        Some(statistic) if asked.quantity.is_distribution() => {
            Ok(known(reading.statistic(asked.quantity, statistic)))
        }
        None => Ok(known(reading.total(asked.quantity, &asked.filter))),
        Some(statistic) => {
            let figures = reading.of(asked.quantity, &asked.filter);
            match figures.is_empty() {
                // It knows why there are none.
                true => Ok(known(reading.total(asked.quantity, &asked.filter))),
                false => over(&figures, statistic),
            }
        }
    }
}

/// A statistic over what a figure is told of: its arenas, say.
fn over(figures: &[Figure<'_>], statistic: Statistic) -> Result<Known, Unknown> {
    let count = Known::exactly(Number::Whole(figures.len() as i128));
    if statistic == Statistic::Count {
        return Ok(count);
    }
    let mut values = figures.iter().map(|figure| known(figure.value.clone()));
    let first = values.next().ok_or(Unknown::NoDistribution)?;
    match statistic {
        Statistic::Sum => Ok(values.fold(first, |sum, value| sum.add(&value))),
        Statistic::Mean => Ok(values.fold(first, |sum, value| sum.add(&value)).by(&count)),
        Statistic::Min => Ok(values.fold(first, |least, value| least.extreme(&value, false))),
        Statistic::Max => Ok(values.fold(first, |most, value| most.extreme(&value, true))),
        _ => Err(Unknown::NoDistribution),
    }
}

fn known(value: Value) -> Known {
    match value {
        Value::Exact(number) => Known::exactly(number.into()),
        Value::Between(least, most) => {
            let why = vec!["it is proved to lie between two bounds only".into()];
            Known { least: Some(least.into()), most: Some(most.into()), why }.bounded()
        }
        Value::AtLeast(least, why) => {
            Known { least: Some(least.into()), most: None, why: vec![why.to_string()] }.bounded()
        }
        Value::Unknown(why) => Known::unknown(why.to_string()),
    }
}

fn compare(comparison: Comparison, left: &Known, right: &Known) -> Truth {
    let found = match comparison {
        Comparison::Less => left.less(right, false),
        Comparison::LessOrEqual => left.less(right, true),
        Comparison::More => right.less(left, false),
        Comparison::MoreOrEqual => right.less(left, true),
        Comparison::Equal => left.equal(right),
        Comparison::NotEqual => left.equal(right).map(|equal| !equal),
    };
    match found {
        Some(true) => Truth::True,
        Some(false) => Truth::False,
        None => Truth::Open(joined(left.why.clone(), &right.why)),
    }
}

fn both(left: Truth, right: Truth) -> Truth {
    match (left, right) {
        (Truth::False, _) | (_, Truth::False) => Truth::False,
        (Truth::Open(a), Truth::Open(b)) => Truth::Open(joined(a, &b)),
        (Truth::Open(why), Truth::True) | (Truth::True, Truth::Open(why)) => Truth::Open(why),
        (Truth::True, Truth::True) => Truth::True,
    }
}

fn joined(mut a: Vec<String>, b: &[String]) -> Vec<String> {
    a.extend(b.iter().filter(|why| !a.contains(why)).cloned().collect::<Vec<_>>());
    a
}

impl Truth {
    fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            open @ Self::Open(_) => open,
        }
    }
}
