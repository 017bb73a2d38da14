//! Functions whose graphs have Ifs: each way through them is a function of its own.

use bayplan_expr::{Bindings, Scope};
use bayplan_graph::{Graph, Tensor};

use crate::error::CompileError;
use crate::family::{Dims, Family, FunctionId};
use crate::paths::{self, PathFunction, Paths};

/// What comes next in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Run this function; its only output has one element, bool: ask again with it.
    Decide(FunctionId),
    /// Run this function: it gives the outputs.
    Run(FunctionId),
}

/// The ways through one function's graph.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    pub(crate) paths: Paths,
    /// The family's function that is the first of the paths'.
    pub(crate) first: usize,
}

impl Family {
    /// What comes next in a run of a function at these dims ([`Family::dims`]): the function itself, or, where it has Ifs,
    /// the function of the way that its conditions take. `inputs` are those in host memory, `decided` what the functions
    /// asked for so far in this run have given, in that order. Nothing is remembered between calls.
    ///
    /// # Errors
    /// As [`Paths::next`]; a function that the family does not have.
    pub fn next(
        &self,
        function: FunctionId,
        dims: &Bindings,
        inputs: &[(&str, &Tensor)],
        decided: &[bool],
    ) -> Result<Step, CompileError> {
        let Some(Routes { paths, first }) = self.routes(function)? else { return Ok(Step::Run(function)) };
        let id = |index: usize| FunctionId((first + index) as u32);
        Ok(match paths.next(dims, inputs, decided)? {
            paths::Step::Decide { function } => Step::Decide(id(function)),
            paths::Step::Run(function) => Step::Run(id(function)),
        })
    }
}

/// What a path's function knows of its symbols: what the model does, as far as it has them, and what the way says.
pub(crate) fn dims_of(function: &PathFunction, model: &Dims) -> Result<Dims, CompileError> {
    let free = function.graph.free_symbols();
    let mut pinned = function.pinned();
    pinned.extend(own(&function.graph, &model.pinned).iter().map(|(name, value)| (name.to_owned(), value)));
    let mut bounds = Scope::new();
    let named = model.bounds.iter().filter(|(name, _)| free.contains(*name) && pinned.get(name).is_none());
    for (name, within) in named {
        bounds.declare(name, within).map_err(|e| CompileError::Bind(e.to_string()))?;
    }
    Ok(Dims { pinned, bounds })
}

/// Of these dims, those that a graph has.
pub(crate) fn own(graph: &Graph, dims: &Bindings) -> Bindings {
    let free = graph.free_symbols();
    let mut own = Bindings::new();
    own.extend(
        dims.iter().filter(|(name, _)| free.contains(*name)).map(|(name, value)| (name.to_owned(), value)),
    );
    own
}
