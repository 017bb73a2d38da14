//! Names for allocations: who asked for them.

use std::collections::HashMap;

use bayplan_trace::BufferKind;

use super::history::Life;
use crate::pickle::{Data, Value};

/// Frames of a stack that are looked through.
const FRAMES: usize = 64;

/// Characters of a place that are kept: each allocation and each event has a copy.
const CHARS: usize = 200;

/// Names of stacks and addresses. The same stack comes many times, and is looked through once.
pub(super) struct Sites<'d> {
    data: &'d Data,
    names: HashMap<u32, String>,
    /// How many times each address was allocated.
    versions: HashMap<u64, u32>,
}

impl<'d> Sites<'d> {
    pub(super) fn new(data: &'d Data) -> Self {
        Self { data, names: HashMap::new(), versions: HashMap::new() }
    }

    /// The place in a program that a stack stands for: `forward (train.py:42)`. Empty where no stack is known.
    pub(super) fn name(&mut self, frames: Value) -> String {
        let Value::List(number) = frames else { return String::new() };
        if let Some(name) = self.names.get(&number) {
            return name.clone();
        }
        let name: String = self.site(frames).chars().take(CHARS).collect();
        self.names.insert(number, name.clone());
        name
    }

    /// The name of an allocation: its place, and `b7f3a_0`, the address with the number of its life, as PyTorch's own
    /// viewer calls it.
    pub(super) fn block(&mut self, life: &Life) -> String {
        let version = self.versions.entry(life.addr).or_default();
        let address = format!("b{:x}_{version}", life.addr);
        *version += 1;
        match self.name(life.frames).as_str() {
            "" => address,
            site => format!("{site} {address}"),
        }
    }

    /// What a profiler said that an allocation is.
    pub(super) fn kind(&self, category: Value) -> BufferKind {
        match self.data.text(category) {
            Some("parameter" | "optimizer_state") => BufferKind::Weight,
            Some("input") => BufferKind::Input,
            Some("temporary") => BufferKind::Scratch,
            Some("output") => BufferKind::Output,
            Some("constant") => BufferKind::Constant,
            _ => BufferKind::Activation,
        }
    }

    /// The node of a compiled graph, else the innermost frame of a program's own, else of any Python, else any.
    fn site(&self, frames: Value) -> String {
        let data = self.data;
        let frames = data.list(frames).unwrap_or_default();
        let file = |frame: &Value| data.word(*frame, "filename").unwrap_or_default();
        let node = frames.iter().take(FRAMES).find_map(|frame| data.word(*frame, "fx_node_name"));
        let python = |frame: &&Value| file(frame).ends_with(".py");
        let own = |frame: &&Value| python(frame) && !file(frame).contains("/torch/");
        let shown = || frames.iter().take(FRAMES);
        let Some(frame) = shown().find(own).or_else(|| shown().find(python)).or_else(|| shown().next())
        else {
            return String::new();
        };
        let name = node.or_else(|| data.word(*frame, "name")).unwrap_or("?");
        let path = file(frame);
        let base = path.rsplit(['/', '\\']).next().unwrap_or(path);
        match data.number(*frame, "line") {
            Some(line) if !base.is_empty() => format!("{name} ({base}:{line})"),
            _ => name.to_owned(),
        }
    }
}
