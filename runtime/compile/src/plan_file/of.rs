//! The plan file of a family.

use bayplan_expr::{Bindings, Scope};
use bayplan_graph::Graph;
use bayplan_plan::memory::{Function, MemoryFunction, Term};

use super::{PlanFile, PlannedOutput, digest};
use crate::error::CompileError;
use crate::family::Family;
use crate::program::{Arena, BufferKind, Program};

impl PlanFile {
    /// The plans of a family; `graph` is its first function's.
    ///
    /// # Errors
    /// As [`Family::memory`].
    pub fn of(family: &Family, graph: &Graph) -> Result<Self, CompileError> {
        let first = family.first();
        let outputs = first
            .outputs
            .iter()
            .zip(&first.output_policies)
            .map(|(port, policy)| PlannedOutput { name: port.name.clone(), policy: policy.name().into() });
        Ok(Self {
            model: graph.name.to_string(),
            digest: digest(graph),
            target: family.target().name.clone(),
            memory: family.memory()?,
            outputs: outputs.collect(),
            functions: family.plans(),
        })
    }
}

/// The name of the function that loads the weights.
const LOAD: &str = "load";

impl Family {
    /// The bytes of device memory that a session needs at any shape: weights, and the larger of what loading them takes and
    /// the activations. Loading ends before activations begin. Exact where every function's terms are proved.
    ///
    /// # Errors
    /// [`CompileError::Plan`]: the sizes of a function have no common plan.
    pub fn memory(&self) -> Result<MemoryFunction, CompileError> {
        let (mut scope, mut functions) = (Scope::new(), Vec::new());
        for (id, name) in self.functions() {
            let own = self.formulas(id);
            // A model with branches has no program of its own, only its ways have.
            if own.is_empty() && !self.points(id).is_empty() {
                if !self.is_static(id) {
                    let why =
                        format!("the sizes of `{}` have no common plan", bayplan_text::ellipsis(name, 60));
                    return Err(CompileError::Plan(why));
                }
                functions.push(single(name, &self.at(id, &Bindings::new())?));
            }
            widen(&mut scope, &self.scope(id));
            functions.extend(own.iter().map(|own| (**own).clone()));
        }
        let load = self.first().arena_bytes[Arena::Load.index()];
        if load > 0 {
            let term = Term { name: "weights as they are stored".into(), bytes: load.into() };
            functions.push(Function::new(LOAD, vec![term]));
        }
        let weights = self.first().arena_bytes[Arena::Weights.index()];
        Ok(MemoryFunction { weights, constant: 0, kv: None, functions, scope })
    }
}

/// Bounds around both.
fn widen(scope: &mut Scope, by: &Scope) {
    for (symbol, bounds) in by.iter() {
        let known = scope.iter().any(|(known, _)| known == symbol);
        let both = if known { bounds.hull(scope.get(symbol)) } else { bounds };
        // Bounds around some that are not empty are not empty.
        let _ = scope.declare(symbol, both);
    }
}

/// A function of one shape: a number, named by what is live where the most is.
fn single(name: &str, program: &Program) -> Function {
    let witness = program.run.plan.lower_bound.witness;
    let live = program.buffers.iter().filter(|buffer| {
        buffer.arena == Arena::Activations
            && buffer.kind != BufferKind::Load
            && buffer.lifespan.contains(&witness)
    });
    let name_of = Term::name_of(live.map(|buffer| (buffer.size, &*buffer.name)));
    let bytes = program.arena_bytes[Arena::Activations.index()];
    Function::new(name, vec![Term { name: name_of, bytes: bytes.into() }])
}
