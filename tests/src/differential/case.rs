//! One graph with the tensors of its inputs and the way it is compiled.

use core::fmt;

use bayplan_graph::{Graph, Tensor};

use super::draw::{Drawn, draw};
use super::settings::Settings;
use crate::random::Random;

/// What is run.
#[derive(Clone, Debug)]
pub struct Case {
    /// The graph.
    pub graph: Graph,
    /// One tensor per input.
    pub inputs: Vec<Tensor>,
    /// How it is compiled.
    pub settings: Settings,
    /// Whether the graph as a whole may be compared with the reference evaluation.
    pub determined: bool,
}

impl Case {
    /// The case of a seed, with graphs of at least so many steps.
    pub fn of(seed: u64, steps: usize) -> Self {
        let determined = !Random::new(seed ^ 0xdee7_e211_0000_0000).once_in(5);
        let builder = draw(seed, Drawn { steps, determined });
        Self { graph: builder.graph, inputs: builder.inputs, settings: Settings::of(seed), determined }
    }

    /// The inputs by name.
    pub fn given(&self) -> Vec<(&str, &Tensor)> {
        let names = self.graph.inputs.iter().map(|&id| &*self.graph.value(id).name);
        names.zip(&self.inputs).collect()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "compiled with: {}", self.settings)?;
        write!(f, "{}", self.graph)
    }
}
