//! Functions of a family, and what is known of their symbols.

use bayplan_expr::{Bindings, Scope};
use bayplan_graph::Graph;

/// What is known of the symbols of a graph before the shapes of a run are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dims {
    /// Symbols with a value for all runs.
    pub pinned: Bindings,
    /// Bounds of the others, in addition to those that the graph itself declares ([`Graph::symbols`]).
    pub bounds: Scope,
}

/// One shape, with a value for each symbol.
impl From<&Bindings> for Dims {
    fn from(pinned: &Bindings) -> Self {
        Self { pinned: pinned.clone(), bounds: Scope::new() }
    }
}

/// All shapes within bounds.
impl From<Scope> for Dims {
    fn from(bounds: Scope) -> Self {
        Self { pinned: Bindings::new(), bounds }
    }
}

impl From<&Dims> for Dims {
    fn from(dims: &Dims) -> Self {
        dims.clone()
    }
}

/// A function of a family, by its index. 0 is the model itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(pub u32);

/// One function of a family to be: prefill or decode, say.
#[derive(Clone, Copy, Debug)]
pub struct Function<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Its graph, inferred.
    pub graph: &'a Graph,
    /// What is known of its symbols.
    pub dims: &'a Dims,
}
