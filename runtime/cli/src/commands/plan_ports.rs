//! Whose bytes inputs and outputs are: as asked for, and as planned.

use std::collections::BTreeMap;

use bayplan::{Program, Tensor};
use bayplan_compile::{InputPolicy, OutputPolicy, Port};
use bayplan_text::{Count, ellipsis};
use serde_json::{Value, json};

use super::plan_why::labelled;
use crate::exit::Failure;

/// Columns of a name.
const NAME: usize = 40;

/// Most elements that are told in a line.
const ELEMENTS: usize = 8;

/// Most names of one policy that are told.
const NAMES: usize = 2;

/// Reads `NAME=POLICY` words; whether the model has such inputs and outputs is for the compiler to say.
pub(super) fn with_policies(
    mut options: bayplan::Options,
    inputs: &[String],
    outputs: &[String],
) -> Result<bayplan::Options, Failure> {
    let all = [InputPolicy::Planned, InputPolicy::Caller].map(|own| (own.name(), own));
    read("--input", inputs, &all, &mut options.inputs.named)?;
    let all = [OutputPolicy::Borrow, OutputPolicy::Own, OutputPolicy::Into].map(|own| (own.name(), own));
    read("--output", outputs, &all, &mut options.outputs.named)?;
    Ok(options)
}

/// The inputs that decide shapes, with the elements that the program is for.
pub(super) fn values_text(program: &Program) -> String {
    let mut text = String::new();
    for (index, (name, elements)) in program.specialised.iter().enumerate() {
        let (label, list) = (if index == 0 { "values" } else { "" }, listed(elements));
        let shown: Vec<String> = list.iter().take(ELEMENTS).map(ToString::to_string).collect();
        let more = if list.len() > ELEMENTS { ", …" } else { "" };
        text += &labelled(label, &format!("{} = [{}{more}]", ellipsis(name, NAME), shown.join(", ")));
    }
    text
}

/// The same for programs.
pub(super) fn values_json(program: &Program) -> Value {
    let value = |(name, elements): &(std::sync::Arc<str>, Tensor)| {
        json!({
            "name": **name,
            "dtype": elements.dtype().to_string(),
            "shape": elements.shape(),
            "elements": listed(elements),
        })
    };
    program.specialised.iter().map(value).collect()
}

/// Elements as numbers: what decides shapes is integers or booleans.
fn listed(elements: &Tensor) -> Vec<i64> {
    let list = elements.to_ints().unwrap_or_default();
    list.into_iter().map(|v| i64::try_from(v).unwrap_or(i64::MAX)).collect()
}

fn read<P: Copy>(
    option: &str,
    words: &[String],
    all: &[(&str, P)],
    into: &mut BTreeMap<String, P>,
) -> Result<(), Failure> {
    for word in words {
        let found = word.rsplit_once('=').and_then(|(name, policy)| {
            let (_, own) = all.iter().find(|(known, _)| *known == policy)?;
            Some((name, *own))
        });
        let Some((name, policy)) = found else {
            let ways: Vec<String> = all.iter().map(|(known, _)| format!("NAME={known}")).collect();
            let (last, first) = ways.split_last().map_or(("", &[][..]), |(last, first)| (last, first));
            let (word, first) = (ellipsis(word, NAME), first.join(", "));
            return Err(Failure::usage(format!("{option} {word}: give {first} or {last}")));
        };
        if into.insert(name.to_owned(), policy).is_some() {
            return Err(Failure::usage(format!("{option} {} is given twice", ellipsis(name, NAME))));
        }
    }
    Ok(())
}

/// How many inputs and outputs there are of each policy.
pub(super) fn ports_text(program: &Program) -> String {
    let inputs = program.inputs.iter().zip(program.input_policies());
    let inputs = told(inputs.map(|(port, policy)| (port, (policy.name(), of_input(policy)))));
    let outputs = program.outputs.iter().zip(&program.output_policies);
    let outputs = told(outputs.map(|(port, policy)| (port, (policy.name(), of_output(*policy)))));
    labelled("inputs", &inputs) + &labelled("outputs", &outputs)
}

fn of_input(policy: InputPolicy) -> &'static str {
    match policy {
        InputPolicy::Planned => "in the arena",
        InputPolicy::Caller => "read in the caller's buffers",
    }
}

fn of_output(policy: OutputPolicy) -> &'static str {
    match policy {
        OutputPolicy::Borrow => "in the arena, lent until the next run",
        OutputPolicy::Own => "in the output arena, kept by their owners",
        OutputPolicy::Into => "written in the caller's buffers",
    }
}

/// The ports of each policy, which has a name and words.
fn told<'a>(ports: impl Iterator<Item = (&'a Port, (&'static str, &'static str))>) -> String {
    let mut groups: Vec<((&str, &str), Vec<&Port>)> = Vec::new();
    for (port, policy) in ports {
        match groups.iter_mut().find(|(other, _)| *other == policy) {
            Some((_, group)) => group.push(port),
            None => groups.push((policy, vec![port])),
        }
    }
    let one = |((policy, words), ports): &((&str, &str), Vec<&Port>)| {
        let mut names: Vec<String> =
            ports.iter().take(NAMES).map(|port| ellipsis(&port.name, NAME).to_string()).collect();
        if let Some(more @ 1..) = ports.len().checked_sub(NAMES) {
            names.push(format!("{} more", Count(more as u64)));
        }
        format!("{} {policy} ({words}): {}", Count(ports.len() as u64), names.join(", "))
    };
    if groups.is_empty() { "none".into() } else { groups.iter().map(one).collect::<Vec<_>>().join("; ") }
}

/// The policy of each input, for programs.
pub(super) fn inputs_json(program: &Program) -> Value {
    program
        .inputs
        .iter()
        .zip(program.input_policies())
        .map(|(port, policy)| json!({ "name": port.name, "policy": policy.name() }))
        .collect()
}

/// The policy of each output.
pub(super) fn outputs_json(program: &Program) -> Value {
    program
        .outputs
        .iter()
        .zip(&program.output_policies)
        .map(|(port, policy)| json!({ "name": port.name, "policy": policy.name() }))
        .collect()
}
