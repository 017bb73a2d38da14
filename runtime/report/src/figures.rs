//! Every figure of the table, for programs and in words.

use std::collections::BTreeMap;

use bayplan_text::{Bytes, Count, Nanos, Percent, Rate, escape};
use bayplan_trace::Timeline;
use bayplan_trace::quantities::{Figure, Number, Reading, Statistic, Subject, Unit, Value as Known};
use serde_json::{Map, Value, json};

/// All figures by name: unit, the session's value, and those of its plans, arenas, heaps and pools; of a distribution its
/// statistics.
pub(crate) fn figures(timeline: &Timeline, damage: usize) -> BTreeMap<&'static str, Value> {
    let mut found: BTreeMap<&'static str, Map<String, Value>> = BTreeMap::new();
    for figure in Reading::new(timeline).with_damage(damage as u64).figures() {
        let row = found.entry(figure.quantity.name).or_default();
        row.entry("unit").or_insert_with(|| figure.quantity.unit.name().into());
        add(row, &figure);
    }
    found.into_iter().map(|(name, row)| (name, Value::Object(row))).collect()
}

fn add(row: &mut Map<String, Value>, figure: &Figure<'_>) {
    if let Some(statistic) = figure.statistic {
        put(row, statistic.name(), &figure.value);
        return;
    }
    if figure.subject == Subject::Session {
        put(row, "value", &figure.value);
        return;
    }
    let mut of = subject(&figure.subject);
    put(&mut of, "value", &figure.value);
    if let Value::Array(list) = row.entry("of").or_insert_with(|| json!([])) {
        list.push(Value::Object(of));
    }
}

/// A figure in words.
pub(crate) struct Told {
    /// Its name, with the statistic: `peak`, `p95(run_time)`.
    pub(crate) name: String,
    /// What it is told of, escaped; empty for the session.
    pub(crate) of: String,
    /// For people: `12.4 MiB`, `at least 3`, `not known: …`.
    pub(crate) value: String,
    /// As programs read it: the number that the JSON report has; `None` where it is not certain.
    pub(crate) exact: Option<String>,
    /// What it says.
    pub(crate) help: &'static str,
}

/// All figures of a session in words: its own, or those of its plans, arenas, heaps and pools.
pub(crate) fn told(timeline: &Timeline, damage: usize) -> Vec<Told> {
    let figures = Reading::new(timeline).with_damage(damage as u64).figures();
    figures.iter().map(tell).collect()
}

fn tell(figure: &Figure<'_>) -> Told {
    let row = figure.quantity;
    let unit = match figure.statistic {
        Some(Statistic::Count) => Unit::Count,
        _ => row.unit,
    };
    let show = |value: Number| shown(value, unit);
    let value = match &figure.value {
        Known::Exact(value) => show(*value),
        Known::Between(least, most) if least == most => show(*least),
        Known::Between(least, most) => format!("{} to {}", show(*least), show(*most)),
        Known::AtLeast(least, why) => format!("at least {}: {why}", show(*least)),
        Known::Unknown(why) => format!("not known: {why}"),
    };
    let name =
        figure.statistic.map_or_else(|| row.name.to_owned(), |of| format!("{}({})", of.name(), row.name));
    let exact = figure.value.exact().map(|value| number(value).to_string());
    Told { name, of: subject_words(&figure.subject), value, exact, help: row.help }
}

fn shown(number: Number, unit: Unit) -> String {
    match (unit, number) {
        (Unit::Bytes, Number::Whole(bytes)) => Bytes(bytes).to_string(),
        (Unit::Nanos, Number::Whole(nanos)) => Nanos(nanos).to_string(),
        (Unit::Nanos, Number::Real(nanos)) => Nanos(nanos as u64).to_string(),
        (Unit::BytesPerSecond, number) => Rate(number.as_f64() as u64, "B").to_string(),
        (Unit::Ratio, number) => Percent(number.as_f64()).to_string(),
        (_, Number::Whole(count)) => Count(count).to_string(),
        (_, Number::Real(number)) => number.to_string(),
    }
}

fn subject_words(subject: &Subject<'_>) -> String {
    match subject {
        Subject::Session => String::new(),
        Subject::Plan { plan } => format!("plan {plan}"),
        Subject::Arena { plan, name, .. } => format!("{} of plan {plan}", escape(name)),
        Subject::Heap { heap } => format!("heap {heap}"),
        Subject::Pool { pool, name } => format!("pool {pool} {}", escape(name)),
        Subject::Op { plan, op, .. } => format!("op {op} of plan {plan}"),
        Subject::Tensor { plan, name, .. } => format!("{} of plan {plan}", escape(name)),
    }
}

/// A value that is not certain is `null`; what is known of it stands beside it.
fn put(row: &mut Map<String, Value>, name: &str, value: &Known) {
    row.insert(name.into(), value.exact().map_or(Value::Null, number));
    match value {
        Known::AtLeast(least, why) => {
            row.insert("at_least".into(), number(*least));
            row.insert("why".into(), why.to_string().into());
        }
        Known::Between(least, most) if least != most => {
            row.insert("at_least".into(), number(*least));
            row.insert("at_most".into(), number(*most));
        }
        Known::Unknown(why) => {
            row.insert("why".into(), why.to_string().into());
        }
        Known::Exact(_) | Known::Between(..) => {}
    }
}

pub(crate) fn number(number: Number) -> Value {
    match number {
        Number::Whole(number) => number.into(),
        Number::Real(number) => number.into(),
    }
}

fn subject(subject: &Subject<'_>) -> Map<String, Value> {
    let value = match subject {
        Subject::Session => json!({}),
        Subject::Plan { plan } => json!({"plan": plan}),
        Subject::Arena { plan, arena, name } => json!({"plan": plan, "arena": arena, "name": name}),
        Subject::Heap { heap } => json!({"heap": heap}),
        Subject::Pool { pool, name } => json!({"pool": pool, "name": name}),
        Subject::Op { plan, op, name, .. } => json!({"plan": plan, "op": op, "name": name}),
        Subject::Tensor { plan, buffer, name, .. } => json!({"plan": plan, "buffer": buffer, "name": name}),
    };
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}
