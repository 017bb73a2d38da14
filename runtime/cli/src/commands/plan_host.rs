//! What of a program the host computes at each run, and why.

use bayplan::Program;
use bayplan_compile::host_node::HostNode;
use bayplan_text::{Bytes, ellipsis, escape};
use serde_json::{Value, json};

use super::plan_why::labelled;
use crate::out::counted;

/// Columns of a name in a line, and of an operator's type.
const NAME: usize = 30;
const OP: usize = 20;

/// The nodes that the host computes, each with its reason; nothing where there are none.
pub(super) fn host_text(program: &Program) -> String {
    let nodes = program.host_nodes();
    if nodes.is_empty() {
        return String::new();
    }
    let mut text = labelled("host", &sum(&nodes));
    for node in &nodes {
        let (name, op) = (ellipsis(&node.node, NAME), ellipsis(&node.op, OP));
        text += &labelled("", &format!("{name} ({op}): {}", escape(&node.why)));
    }
    text
}

/// How many nodes the host computes, in one line for `run`; nothing where there are none.
pub(super) fn host_line(program: &Program) -> Option<String> {
    let nodes = program.host_nodes();
    let named = if nodes.len() == 1 { "it" } else { "them" };
    (!nodes.is_empty()).then(|| format!("{}; `bayplan plan` names {named}", sum(&nodes)))
}

/// Their number, and the bytes that they move.
fn sum(nodes: &[HostNode]) -> String {
    let bytes = |of: fn(&HostNode) -> u64| Bytes(nodes.iter().map(of).sum());
    let count = counted(nodes.len(), "node", "nodes");
    let (read, written) = (bytes(|node| node.read), bytes(|node| node.written));
    format!("{count}, {read} to the host, {written} back per run")
}

/// The same for programs.
pub(super) fn host_json(program: &Program) -> Value {
    let node = |node: HostNode| {
        json!({
            "dispatch": node.dispatch,
            "name": *node.node,
            "op": *node.op,
            "why": *node.why,
            "bytes_read": node.read,
            "bytes_written": node.written,
        })
    };
    program.host_nodes().into_iter().map(node).collect()
}
