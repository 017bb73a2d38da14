//! What `bayplan fit` says to people.

use bayplan_compile::fit::{End, Fit};
use bayplan_expr::Bindings;
use bayplan_graph::Reach;
use bayplan_plan::memory::{Crossing, Function, MemoryFunction, crossing};
use bayplan_text::{Bytes, Count, ellipsis};

use super::fit::Answer;
use super::plan_why::{WIDTH, labelled};

/// Columns of a name in a line.
const NAME: usize = 66;

/// Columns of bytes in a table.
const BYTES: usize = 8;

/// Columns that the name of what binds has at least in a table.
const LEAST_BINDING: usize = 24;

/// Most parts of a function that are told, and of which it is told where terms are equal.
const PARTS: usize = 6;

/// Columns of the conditions of a part: more than any model has that people would read.
const WHEN: usize = 4096;

/// Most rows of a table.
const ROWS: usize = 32;

/// Most places at which terms are equal.
const CROSSINGS: usize = 8;

/// The formula, what fits, and what binds there.
pub(super) fn fit_text(
    (model, target): (&str, &str),
    answer: &Answer,
    reaches: &[Reach],
    note: Option<&str>,
) -> String {
    let memory = &answer.memory;
    let mut text =
        format!("model        {}\ntarget       {}\n", ellipsis(model, NAME), ellipsis(target, NAME));
    if let Some(note) = note {
        text += &labelled("weights", &format!("planned without them: {note}"));
    }
    if let Some(budget) = answer.budget {
        text += &format!("budget       {}  {} bytes\n", Bytes(budget), Count(budget));
    }
    text += "\n";
    text += &formula(memory, &answer.rows);
    for Reach { dim, least, node } in reaches {
        let [dim, least] = [dim, least].map(|e| ellipsis(&e.to_string(), 60).to_string());
        let node = ellipsis(node, 40);
        text += &labelled(
            "follows",
            &format!("{dim} = {least}, as far as {node} reads; --dim gives it another value"),
        );
    }
    text += &equal(memory, &answer.rows);
    if answer.budget.is_none() {
        return text;
    }
    text += "\n";
    match (&answer.solved, &answer.refused) {
        (Some(_), Some(why)) => text + &labelled("fits", &format!("nothing: {why}")),
        (None, Some(why)) => text + &labelled("fits", &format!("no: {why}")),
        (Some(solved), None) => text + &table(memory, &answer.rows, solved) + &ends(&answer.rows),
        (None, None) => {
            let needed = memory.eval(&Bindings::new());
            text + &labelled(
                "fits",
                &needed.map_or("yes".into(), |bytes| format!("yes: it needs {} bytes", Count(bytes))),
            )
        }
    }
}

/// What a table does not say of its rows: why some could be larger, or cannot.
fn ends(rows: &[Fit]) -> String {
    let mut text = String::new();
    if rows.iter().any(|fit| fit.end == End::GivenUp) {
        text += &labelled(
            "",
            "rows with `?` may not be the largest: so many parts of the bounds differ that the search was given up; values \
             (--dim) or smaller bounds (--dim-max) make it shorter",
        );
    }
    let refused = |fit: &Fit| match &fit.end {
        End::Refused(why) => Some(why.clone()),
        _ => None,
    };
    if let Some(why) = rows.iter().find_map(refused) {
        text += &labelled(
            "",
            &format!("rows with `!` end where larger ones cannot run: {}", ellipsis(&why, 400)),
        );
    }
    if rows.iter().any(|fit| fit.end == End::Bounds) {
        text += &labelled("", "rows with `=` end where the bounds do; --dim-max allows more");
    }
    text
}

/// The function, a term to a line: what the terms are made of stands after them.
pub(super) fn formula(memory: &MemoryFunction, rows: &[Fit]) -> String {
    let symbols = memory.symbols().into_iter().map(|name| ellipsis(name, 30).to_string()).collect::<Vec<_>>();
    let mut text = labelled(
        "memory",
        &format!(
            "M({}) = weights{} + the largest of",
            symbols.join(", "),
            if memory.kv.is_some() { " + K/V" } else { "" }
        ),
    );
    let told = told(memory, rows);
    for function in &told {
        text += &terms(function, memory.functions.len() > 1);
    }
    if let Some(more @ 1..) = memory.functions.len().checked_sub(told.len()) {
        let more = Count(more as u64);
        text +=
            &labelled("", &format!("and {more} more parts, each for a row or a few (--format json has all)"));
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

/// The parts that are told one by one: those that bind the first rows, or the first ones, and what stands apart from them, as
/// loading does.
fn told<'m>(memory: &'m MemoryFunction, rows: &[Fit]) -> Vec<&'m Function> {
    let mut first: Vec<usize> = Vec::new();
    let bind = rows.iter().filter_map(|fit| fit.row.solution.binding.map(|binding| binding.function));
    for at in bind.chain(0..memory.functions.len()) {
        if first.len() < PARTS && !first.contains(&at) {
            first.push(at);
        }
    }
    let functions = memory.functions.iter().enumerate();
    let told = functions.filter(|(at, function)| first.contains(at) || function.when.is_empty());
    told.map(|(_, function)| function).collect()
}

fn terms(function: &Function, named: bool) -> String {
    let mut text = String::new();
    let conditions: Vec<String> = function.when.iter().map(ToString::to_string).collect();
    if named || !conditions.is_empty() {
        let when =
            if conditions.is_empty() { String::new() } else { format!(" where {}", conditions.join(", ")) };
        text += &labelled("", &format!("{}{}", ellipsis(&function.name, 40), ellipsis(&when, WHEN)));
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

/// The places where two terms are equal, each once, with both terms.
fn equal(memory: &MemoryFunction, rows: &[Fit]) -> String {
    let mut told: Vec<([&str; 2], String)> = Vec::new();
    for found in crossings(memory, rows) {
        if told.len() < CROSSINGS && !told.contains(&found) {
            told.push(found);
        }
    }
    let mut text = String::new();
    for ([a, b], place) in told {
        text += &labelled("equal", &format!("where {place}"));
        for term in [a, b] {
            text += &labelled("", &format!("  ({})", short(term)));
        }
    }
    text
}

/// Where two terms of a function are equal, where that is anywhere.
pub(super) fn crossings<'m>(memory: &'m MemoryFunction, rows: &[Fit]) -> Vec<([&'m str; 2], String)> {
    let mut found = Vec::new();
    for function in told(memory, rows) {
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

/// The value of a dimension in a row.
fn value(Fit { row, .. }: &Fit, name: &str) -> String {
    Count(row.point.get(name).and_then(|value| u64::try_from(value).ok()).unwrap_or(0)).to_string()
}

/// What fits, a row to a line, the dimension that was solved for last.
fn table(memory: &MemoryFunction, rows: &[Fit], solved: &str) -> String {
    let mut names: Vec<&str> =
        rows.first().map_or_else(Vec::new, |fit| fit.row.point.iter().map(|(name, _)| name).collect());
    names.retain(|name| *name != solved);
    names.push(solved);
    let heads: Vec<String> = names.iter().map(|name| ellipsis(name, 16).to_string()).collect();
    let shown = || rows.iter().take(ROWS);
    let column = |(name, head): (&&str, &String)| {
        let values = shown().map(|row| value(row, name).len());
        values.max().unwrap_or(0).max(bayplan_text::columns(head))
    };
    let widths: Vec<usize> = names.iter().zip(&heads).map(column).collect();
    let used = 4 + widths.iter().map(|width| width + 2).sum::<usize>() + BYTES + 4;
    let binding = WIDTH.saturating_sub(used).max(LEAST_BINDING);
    let mut text = String::from("fits");
    for (head, width) in heads.iter().zip(&widths) {
        text += &format!("  {head:>width$}");
    }
    text += &format!("  {:>BYTES$}  binds\n", "bytes");
    for fit in shown() {
        text += "    ";
        for (name, width) in names.iter().zip(&widths) {
            text += &format!("  {:>width$}", value(fit, name));
        }
        let Fit { row, end } = fit;
        let binds = row.solution.binding.and_then(|binding| memory.term(binding));
        let binds = binds.map_or_else(String::new, |(_, term)| ellipsis(&term.name, binding).to_string());
        let bytes = Bytes(row.solution.bytes).to_string();
        let mark = match end {
            End::Budget => ' ',
            End::Bounds => '=',
            End::Refused(_) => '!',
            End::GivenUp => '?',
        };
        text += &format!("{mark} {bytes:>BYTES$}  {binds}\n");
    }
    match rows.len().checked_sub(ROWS) {
        Some(more) if more > 0 => text + &format!("    and {} more rows\n", Count(more as u64)),
        _ => text,
    }
}
