//! What a program copies at each run, and why; and what it writes where copies would have put it.

use std::fmt::Write as _;

use bayplan::Program;
use bayplan_text::{Bytes, Count, ellipsis};
use serde_json::{Value, json};

use super::plan_why::{LABEL, labelled};
use crate::out::counted;

/// Columns of a name in a line, and of how much it is about.
const NAME: usize = 30;
const AMOUNT: usize = 14;

/// Columns of operator types.
const OP: usize = 20;

/// Most equal rows that are told one by one.
const ROWS: usize = 4;

/// Something that a dispatch of the run stage does with so many bytes.
#[derive(Clone, Copy)]
struct Row<'a> {
    dispatch: u32,
    bytes: u64,
    op: &'a str,
}

/// Every copy that remains, by its reason, and what goes without.
pub(super) fn copies_text(program: &Program) -> String {
    let mut text = match program.copies.len() {
        0 => labelled("copies", "none"),
        count => {
            let (count, all) = (Count(count as u64), Count(program.run.dispatches.len() as u64));
            let bytes = total(program.copies.iter().map(|copy| copy.bytes));
            labelled("copies", &format!("{count} of {all} dispatches, {bytes} per run"))
        }
    };
    let rows = program.copies.iter().map(|copy| (&*copy.why, row(program, copy.dispatch, copy.bytes)));
    for (why, rows) in grouped(rows) {
        let bytes = Bytes(rows.iter().map(|row| row.bytes).sum());
        text += &labelled("", &format!("{bytes}: {}", bayplan_text::escape(why)));
        text += &listed(program, &rows);
    }
    text + &direct_text(program)
}

/// What is written straight to its place: in one piece it costs nothing, through strides it goes piece by piece.
fn direct_text(program: &Program) -> String {
    if program.direct.is_empty() {
        return String::new();
    }
    let results = counted(program.direct.len(), "result", "results");
    let bytes = total(program.direct.iter().map(|direct| direct.bytes));
    let mut text = labelled("direct", &format!("{results}, {bytes}, written where copies would put them"));
    let rows = program.direct.iter().map(|direct| {
        let pieces = if direct.run == direct.bytes { None } else { Some(direct.run) };
        (pieces, Row { dispatch: direct.dispatch, bytes: direct.bytes, op: &direct.op })
    });
    for (pieces, rows) in grouped(rows) {
        let bytes = Bytes(rows.iter().map(|row| row.bytes).sum());
        match pieces {
            None => text += &labelled("", &format!("{bytes}: in one piece each, {}", by_operator(&rows))),
            Some(run) => {
                text += &labelled("", &format!("{bytes}: in rows of {} bytes", Count(run)));
                text += &listed(program, &rows);
            }
        }
    }
    text
}

/// How many results are there for each operator.
fn by_operator(rows: &[Row<'_>]) -> String {
    let groups = grouped(rows.iter().map(|&row| (row.op, row)));
    let one = |(op, rows): &(&str, Vec<Row<'_>>)| match *op {
        "" => format!("{} for outputs", Count(rows.len() as u64)),
        op => format!("{} for {}", Count(rows.len() as u64), ellipsis(op, OP)),
    };
    groups.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The rows of one kind: those that are alike in one line, if they are many.
fn listed(program: &Program, rows: &[Row<'_>]) -> String {
    let mut text = String::new();
    let mut line = |amount: String, what: String| {
        let _ = writeln!(text, "{:LABEL$}{amount:>AMOUNT$}  {what}", "");
    };
    for ((bytes, op), alike) in grouped(rows.iter().map(|&row| ((row.bytes, row.op), row))) {
        let op = if op.is_empty() { "output".into() } else { ellipsis(op, OP).to_string() };
        match &alike[..] {
            [first, .., last] if alike.len() > ROWS => line(
                format!("{} × {}", Count(alike.len() as u64), Bytes(bytes)),
                format!("{op}: {} to {}", named(program, first), named(program, last)),
            ),
            alike => alike
                .iter()
                .for_each(|row| line(Bytes(bytes).to_string(), format!("{op}: {}", named(program, row)))),
        }
    }
    text
}

/// The same for programs.
pub(super) fn copies_json(program: &Program) -> Value {
    let list = program.copies.iter().map(|copy| {
        let dispatch = program.run.dispatches.get(copy.dispatch as usize);
        json!({
            "dispatch": copy.dispatch,
            "name": dispatch.map(|own| &own.name),
            "op": dispatch.map(|own| &own.source_op),
            "bytes": copy.bytes,
            "why": copy.why,
        })
    });
    let results = program.direct.iter().map(|direct| {
        let name = program.run.dispatches.get(direct.dispatch as usize).map(|own| &own.name);
        json!({
            "dispatch": direct.dispatch,
            "name": name,
            "op": direct.op,
            "bytes": direct.bytes,
            "row_bytes": direct.run,
        })
    });
    json!({
        "bytes": program.copies.iter().map(|copy| copy.bytes).sum::<u64>(),
        "list": list.collect::<Vec<_>>(),
        "direct": results.collect::<Vec<_>>(),
    })
}

fn row(program: &Program, dispatch: u32, bytes: u64) -> Row<'_> {
    let op = program.run.dispatches.get(dispatch as usize).map_or("", |own| &own.source_op);
    Row { dispatch, bytes, op }
}

fn named(program: &Program, row: &Row<'_>) -> String {
    let name = program.run.dispatches.get(row.dispatch as usize).map_or("", |own| &own.name);
    format!("{} ({})", ellipsis(name, NAME), row.dispatch)
}

/// Rows with equal keys together, in the order in which the keys come first.
fn grouped<'a, K: PartialEq>(rows: impl Iterator<Item = (K, Row<'a>)>) -> Vec<(K, Vec<Row<'a>>)> {
    let mut groups: Vec<(K, Vec<Row<'a>>)> = Vec::new();
    for (key, row) in rows {
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, group)) => group.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    groups
}

fn total(bytes: impl Iterator<Item = u64>) -> Bytes {
    Bytes(bytes.sum())
}
