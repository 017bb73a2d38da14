//! What a program copies at each run, and why; and what it writes where copies would have put it.

use std::fmt::Write as _;

use bayplan::Program;
use bayplan_compile::{Copied, Dispatch};
use bayplan_shaders::Repr;
use bayplan_text::{Bytes, Count, ellipsis};
use serde_json::{Value, json};

use super::plan_why::labelled;
use crate::out::counted;

/// Columns of a name in a line.
const NAME: usize = 36;

/// Every copy that remains, by its reason, and how much goes without.
pub(super) fn copies_text(program: &Program) -> String {
    let total: u64 = program.copies.iter().map(|copy| copy.bytes).sum();
    let mut text = match program.copies.len() {
        0 => labelled("copies", "none"),
        count => labelled("copies", &format!("{}, {} per run", Count(count as u64), Bytes(total))),
    };
    let mut told: Vec<&str> = Vec::new();
    for Copied { why, .. } in &program.copies {
        if told.contains(&why.as_str()) {
            continue;
        }
        told.push(why);
        text += &labelled("", &format!("{}:", bayplan_text::escape(why)));
        for copy in program.copies.iter().filter(|copy| copy.why == *why) {
            let _ = writeln!(
                text,
                "             {:>14} bytes  {}",
                Count(copy.bytes).to_string(),
                name(program, copy)
            );
        }
    }
    let strided: Vec<u64> = program.run.dispatches.iter().filter_map(strided).collect();
    if !strided.is_empty() {
        let results = counted(strided.len(), "result", "results");
        let bytes = Bytes(strided.iter().sum());
        text += &labelled(
            "",
            &format!("{results}, {bytes}, written through strides where copies would put them"),
        );
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
    let results = program.run.dispatches.iter().enumerate().filter_map(|(index, dispatch)| {
        let bytes = strided(dispatch)?;
        Some(json!({ "dispatch": index, "name": dispatch.name, "op": dispatch.source_op, "bytes": bytes }))
    });
    json!({
        "bytes": program.copies.iter().map(|copy| copy.bytes).sum::<u64>(),
        "list": list.collect::<Vec<_>>(),
        "strided": results.collect::<Vec<_>>(),
    })
}

fn name(program: &Program, copy: &Copied) -> String {
    let Some(dispatch) = program.run.dispatches.get(copy.dispatch as usize) else { return String::new() };
    format!(
        "{} ({}), dispatch {}",
        ellipsis(&dispatch.name, NAME),
        ellipsis(&dispatch.source_op, 20),
        copy.dispatch
    )
}

/// Bytes of a result that goes through strides.
fn strided(dispatch: &Dispatch) -> Option<u64> {
    let chain = dispatch.spec.chain()?;
    let elements: u64 = chain.layout.as_ref()?.shape.iter().product();
    Some(elements * Repr::of(chain.result)?.bytes())
}
