//! Whose bytes inputs and outputs are.
//!
//! ```text
//!            in the activation arena                      in buffers given at each run (Arena::External)
//!  inputs    Planned: written there, may be overwritten   Caller: read where they lie, never overwritten
//!  outputs   Borrow: lent in place until the next run     Own: a slot of the output arena, kept as long as its owner likes
//!                                                         Into: the caller's own buffer
//! ```

use std::collections::BTreeMap;

use bayplan_graph::Graph;

use crate::error::CompileError;
use crate::lowered::Lowered;

/// Where an input lies during a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InputPolicy {
    /// In the arena, until its last reader: its bytes are planned, and results may overwrite it.
    #[default]
    Planned,
    /// In a buffer of the caller's, which a run reads and never writes. It takes no bytes of the arena.
    Caller,
}

impl InputPolicy {
    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Caller => "caller",
        }
    }
}

/// Where an output lies after a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OutputPolicy {
    /// In the arena, lent in place until the next run.
    #[default]
    Borrow,
    /// In a slot of the output arena of exactly its size, which the caller keeps as long as it likes. Whoever makes it
    /// writes there.
    Own,
    /// In a buffer of the caller's. Whoever makes it writes there.
    Into,
}

impl OutputPolicy {
    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Borrow => "borrow",
            Self::Own => "own",
            Self::Into => "into",
        }
    }
}

/// A policy for each input, or for each output: one for all, and others by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies<P> {
    /// What holds for those that are not named.
    pub default: P,
    /// Names in the model, and what holds for them.
    pub named: BTreeMap<String, P>,
}

impl<P> Policies<P> {
    /// The same for all.
    pub const fn all(default: P) -> Self {
        Self { default, named: BTreeMap::new() }
    }

    /// Another one for a name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, policy: P) -> Self {
        self.named.insert(name.into(), policy);
        self
    }
}

impl<P: Copy> Policies<P> {
    /// The policy of a name.
    pub fn of(&self, name: &str) -> P {
        self.named.get(name).copied().unwrap_or(self.default)
    }
}

/// The policies of a graph's inputs and outputs, in its order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports {
    pub(crate) inputs: Vec<InputPolicy>,
    pub(crate) outputs: Vec<OutputPolicy>,
}

impl Ports {
    /// Those of a graph, whose inputs and outputs have the names that `inputs` and `outputs` name.
    pub(crate) fn new(
        graph: &Graph,
        inputs: &Policies<InputPolicy>,
        outputs: &Policies<OutputPolicy>,
    ) -> Self {
        let of_input = |&id| inputs.of(&graph.value(id).name);
        let of_output = |index| match sized(graph, index) {
            true => OutputPolicy::Borrow,
            false => outputs.of(graph.output_name(index)),
        };
        Self {
            inputs: graph.inputs.iter().map(of_input).collect(),
            outputs: (0..graph.outputs.len()).map(of_output).collect(),
        }
    }

    /// For each tensor, whether it lies in a buffer that is given at each run.
    pub(crate) fn external(&self, lowered: &Lowered) -> Vec<bool> {
        let mut external = vec![false; lowered.tensors.len()];
        for (&tensor, &policy) in lowered.inputs.iter().zip(&self.inputs) {
            external[tensor.index()] = policy == InputPolicy::Caller;
        }
        for (&tensor, &policy) in lowered.outputs.iter().zip(&self.outputs) {
            external[tensor.index()] = policy != OutputPolicy::Borrow;
        }
        external
    }
}

/// Whether an output's size depends on data, or the output says such a size: it is read after the run, and cut.
fn sized(graph: &Graph, output: usize) -> bool {
    graph.extents.iter().any(|extent| extent.output == output || extent.count == output)
}

/// Refuses policies for names that none of the graphs has.
///
/// # Errors
/// [`CompileError::UnknownPort`] with the first such name; [`CompileError::Sized`] where an output whose size depends on data
/// shall be the caller's.
pub(crate) fn check_names(
    graphs: &[&Graph],
    inputs: &Policies<InputPolicy>,
    outputs: &Policies<OutputPolicy>,
) -> Result<(), CompileError> {
    let input_names = |graph: &Graph| -> Vec<String> {
        graph.inputs.iter().map(|&id| graph.value(id).name.to_string()).collect()
    };
    let output_names = |graph: &Graph| -> Vec<String> {
        (0..graph.outputs.len()).map(|index| graph.output_name(index).to_string()).collect()
    };
    for graph in graphs {
        let sizes = (0..graph.outputs.len()).filter(|&index| sized(graph, index));
        for name in sizes.map(|index| graph.output_name(index)) {
            if outputs.named.get(&**name).is_some_and(|&policy| policy != OutputPolicy::Borrow) {
                return Err(CompileError::Sized { name: name.to_string() });
            }
        }
    }
    known(&inputs.named, graphs.iter().flat_map(|graph| input_names(graph)).collect(), "input")?;
    known(&outputs.named, graphs.iter().flat_map(|graph| output_names(graph)).collect(), "output")
}

fn known<P>(named: &BTreeMap<String, P>, names: Vec<String>, kind: &'static str) -> Result<(), CompileError> {
    match named.keys().find(|name| !names.contains(name)) {
        Some(name) => Err(CompileError::UnknownPort { name: name.clone(), kind, names }),
        None => Ok(()),
    }
}
