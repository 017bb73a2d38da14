//! Every figure of the table, for programs.

use std::collections::BTreeMap;

use bayplan_trace::Timeline;
use bayplan_trace::quantities::{Figure, Number, Reading, Subject, Value as Known};
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
