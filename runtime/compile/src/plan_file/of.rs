//! The plan file of a family.

use bayplan_expr::Scope;
use bayplan_graph::Graph;
use bayplan_plan::Effort;
use bayplan_plan::memory::{Function, MemoryFunction, Term};

use super::{PlanFile, PlannedOutput, ShapePlan, digest};
use crate::family::Family;
use crate::program::{Arena, Program};

impl PlanFile {
    /// The plans of a family; `graph` is its first function's.
    pub fn of(family: &Family, graph: &Graph) -> Self {
        let first = family.first();
        let outputs = first
            .outputs
            .iter()
            .zip(&first.output_policies)
            .map(|(port, policy)| PlannedOutput { name: port.name.clone(), policy: policy.name().into() });
        Self {
            model: graph.name.to_string(),
            digest: digest(graph),
            target: family.target().name.clone(),
            memory: family.memory(),
            outputs: outputs.collect(),
            functions: family.plans(),
        }
    }
}

impl Family {
    /// The bytes of device memory that a session needs at any shape: weights and the larger of what loading them takes and
    /// the activations. Loading ends before activations begin. Exact where every function's terms are proved.
    pub fn memory(&self) -> MemoryFunction {
        memory(self.first(), &self.plans())
    }
}

/// The name of the function that loads the weights.
const LOAD: &str = "load";

fn memory(first: &Program, plans: &[ShapePlan]) -> MemoryFunction {
    let mut scope = Scope::new();
    let mut functions = Vec::with_capacity(plans.len() + 1);
    for own in plans {
        for (symbol, bounds) in own.plan.problem().scope().iter() {
            let both = match scope.iter().any(|(known, _)| known == symbol) {
                true => bounds.hull(scope.get(symbol)),
                false => bounds,
            };
            // The hull of bounds that are not empty is not empty.
            let _ = scope.declare(symbol, both);
        }
        let name = |buffer: u32| own.buffers.get(buffer as usize).map_or("", |buffer| &*buffer.name);
        let terms = own.plan.memory(&own.function, Effort::Normal, &name);
        functions.push(Function { when: own.when.clone(), ..terms });
    }
    let load = first.arena_bytes[Arena::Load.index()];
    if load > 0 {
        let term = Term { name: "weights as they are stored".into(), bytes: load.into() };
        functions.push(Function::new(LOAD, vec![term]));
    }
    let weights = first.arena_bytes[Arena::Weights.index()];
    MemoryFunction { weights, constant: 0, kv: None, functions, scope }
}
