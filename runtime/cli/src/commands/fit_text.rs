//! What `bayplan fit` says to people.

use bayplan_plan::memory::{Crossing, Function, MemoryFunction, Row, crossing};
use bayplan_text::{Bytes, Count, ellipsis};

use super::fit::Fitted;
use super::plan_why::labelled;

/// Columns of a name in a line.
const NAME: usize = 66;

/// Most rows of a table.
const ROWS: usize = 32;

/// Most places at which terms are equal.
const CROSSINGS: usize = 8;

/// The formula, what fits, and what binds there.
pub(super) fn fit_text(model: &str, target: &str, fitted: &Fitted, note: Option<&str>) -> String {
    let memory = &fitted.memory;
    let mut text =
        format!("model        {}\ntarget       {}\n", ellipsis(model, NAME), ellipsis(target, NAME));
    if let Some(note) = note {
        text += &labelled("weights", &format!("planned without them: {note}"));
    }
    if let Some(budget) = fitted.budget {
        text += &format!("budget       {}  {} bytes\n", Bytes(budget), Count(budget));
    }
    text += "\n";
    text += &formula(memory);
    for (terms, place) in crossings(memory).into_iter().take(CROSSINGS) {
        text += &labelled("equal", &format!("{} and {} where {place}", short(terms[0]), short(terms[1])));
    }
    if fitted.budget.is_none() {
        return text;
    }
    text += "\n";
    match &fitted.solved {
        None => text + if fitted.fits { "it fits\n" } else { "it does not fit\n" },
        Some(_) if fitted.rows.is_empty() => text + "nothing fits\n",
        Some(solved) => text + &table(memory, &fitted.rows, solved),
    }
}

/// The function, a term to a line: what the terms are made of stands after them.
pub(super) fn formula(memory: &MemoryFunction) -> String {
    let symbols = memory.symbols().into_iter().map(|name| ellipsis(name, 30).to_string()).collect::<Vec<_>>();
    let mut text = labelled(
        "memory",
        &format!(
            "M({}) = weights{} + the largest of",
            symbols.join(", "),
            if memory.kv.is_some() { " + K/V" } else { "" }
        ),
    );
    for function in &memory.functions {
        text += &terms(function, memory.functions.len() > 1);
    }
    let mut fixed = format!("{} bytes", Count(memory.weights));
    if memory.constant > 0 {
        fixed += &format!(" and {} that nothing changes", Count(memory.constant));
    }
    text += &labelled("weights", &fixed);
    if let Some(kv) = &memory.kv {
        text += &labelled("K/V", &ellipsis(&kv.bytes().to_string(), 400).to_string());
    }
    for (name, bounds) in memory.scope.iter() {
        text += &labelled("bounds", &format!("{} {bounds}", ellipsis(name, 40)));
    }
    text
}

fn terms(function: &Function, named: bool) -> String {
    let mut text = String::new();
    let conditions: Vec<String> = function.when.iter().map(ToString::to_string).collect();
    if named || !conditions.is_empty() {
        let when =
            if conditions.is_empty() { String::new() } else { format!(" where {}", conditions.join(", ")) };
        text += &labelled("", &format!("{}{}", ellipsis(&function.name, 40), ellipsis(&when, 200)));
    }
    for term in &function.terms {
        text += &labelled("", &ellipsis(&term.bytes.to_string(), 400).to_string());
        text += &labelled("", &format!("  ({})", short(&term.name)));
    }
    if !function.proved {
        text += &labelled("", "compared with the plan at points, not proved");
    }
    text
}

/// A term's name, short enough for a line.
fn short(name: &str) -> String {
    ellipsis(name, 60).to_string()
}

/// Where two terms of a function are equal, where that is anywhere.
pub(super) fn crossings(memory: &MemoryFunction) -> Vec<([&str; 2], String)> {
    let mut found = Vec::new();
    for function in &memory.functions {
        for (at, a) in function.terms.iter().enumerate() {
            for b in &function.terms[at + 1..] {
                if let place @ Crossing::Where { .. } = crossing(&a.bytes, &b.bytes, &memory.scope) {
                    found.push(([a.name.as_str(), b.name.as_str()], place.to_string()));
                }
            }
        }
    }
    found
}

/// What fits, a row to a line, the dimension that was solved for last.
fn table(memory: &MemoryFunction, rows: &[Row], solved: &str) -> String {
    let mut names: Vec<&str> =
        rows.first().map_or_else(Vec::new, |row| row.point.iter().map(|(name, _)| name).collect());
    names.retain(|name| *name != solved);
    names.push(solved);
    let heads: Vec<String> = names.iter().map(|name| ellipsis(name, 16).to_string()).collect();
    let width = |head: &String| bayplan_text::columns(head).max(11);
    let mut text = String::from("fits");
    for head in &heads {
        text += &format!("  {head:>width$}", width = width(head));
    }
    text += "         bytes  binds\n";
    for row in rows.iter().take(ROWS) {
        text += "    ";
        for (name, head) in names.iter().zip(&heads) {
            let value = row.point.get(name).and_then(|value| u64::try_from(value).ok()).unwrap_or(0);
            text += &format!("  {:>width$}", Count(value).to_string(), width = width(head));
        }
        let binds = row.solution.binding.and_then(|binding| memory.term(binding));
        let binds = binds.map_or_else(String::new, |(_, term)| ellipsis(&term.name, 30).to_string());
        text += &format!("  {:>12}  {binds}\n", Bytes(row.solution.bytes).to_string());
    }
    match rows.len().checked_sub(ROWS) {
        Some(more) if more > 0 => text + &format!("    and {} more rows\n", Count(more as u64)),
        _ => text,
    }
}
