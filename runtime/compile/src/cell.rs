//! One compile for many shapes: decided once at a reference point, replayed for every shape where its guards hold.
//!
//! ```text
//!   graph, box of its symbols, reference point
//!        │ fold … lower, fuse, split, liveness, operator order       on sizes: a number at the reference and an expression
//!        ▼
//!   Cell: operations, storages, guards, SymbolicPlan
//!        │ at(dims): guards hold? sizes ─ offsets replayed ─ specs ─ launches ─ windows ─ barriers ─ verify
//!        ▼
//!   Program
//! ```
//!
//! The reference is a point of distinct primes near the upper corner of the box: no dimension there equals another one, or
//! divides a width of the model, unless it must, so that few guards arise; and whatever is decided by what it costs, as the
//! order of operators, is decided where the arena is largest, since that is what a session reserves.

mod made;
mod work;

use std::sync::{Arc, OnceLock};

use bayplan_expr::memory::{self as formula, Condition, Relation};
use bayplan_expr::{Bindings, Bounds, Scope};
use bayplan_graph::Graph;
use bayplan_plan::Effort;
use bayplan_plan::symbolic::{SymbolicBuffer, SymbolicError, SymbolicPlan, SymbolicProblem};
use bayplan_shaders::{Kernel, Target};

pub(crate) use self::made::Made;
use self::work::Work;
pub(crate) use self::work::{Purpose, Source, liveness_and_plan};
use crate::assemble::Shape;
use crate::error::CompileError;
use crate::fold::ReadConstant;
use crate::liveness::Stages;
use crate::policy::Ports;
use crate::program::{Arena, Buffer, Order, Program};
use crate::size::{Formulas, Guard, Symbols, Values};
use crate::variants::Variants;
use crate::{Options, paths, schedule};

/// A phase of making a program for a shape, told when it is done: whoever has a clock can time them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// All sizes have their values, and the guards hold.
    Sizes,
    /// Every buffer has its offset.
    Offsets,
    /// Every dispatch has its spec.
    Specs,
    /// Every dispatch has its kernel, parameters and grid.
    Launches,
    /// Every dispatch has its windows.
    Windows,
    /// Barriers stand where they must.
    Barriers,
    /// The plan and the program are verified.
    Verification,
}

/// The program of a graph for one shape.
pub(crate) fn program(
    graph: &Graph,
    dims: &Bindings,
    target: &Target,
    options: &Options,
    read: &ReadConstant<'_>,
) -> Result<Program, CompileError> {
    let bound = graph.bind(dims).map_err(|e| CompileError::Bind(e.to_string()))?;
    let bound = paths::only(bound)?;
    let (scope, reference) = (&Scope::new(), &Bindings::new());
    let source = Source { graph: &bound, symbolic: graph, scope, whole: scope, reference, dims };
    Ok(Cell::new(source, Purpose::new(target, options, read))?.first)
}

/// A compile that serves every shape at which its guards hold.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// The program at the reference point.
    pub(crate) first: Program,
    graph: Graph,
    made: Made,
    formulas: Formulas,
    /// Offsets for every shape; none where there is but one, or where sizes have no common plan.
    plan: Option<SymbolicPlan>,
    /// What decides the kernels of its shapes.
    variants: Variants,
    /// The part of the box that it may serve, and the point of it where decisions were taken.
    within: (Scope, Bindings),
    /// The bytes of its activations, once somebody asked.
    memory: OnceLock<Option<Arc<formula::Function>>>,
}

impl Cell {
    /// Compiles for the shapes of a box.
    pub(crate) fn new(source: Source<'_>, purpose: Purpose<'_>) -> Result<Self, CompileError> {
        let (Source { scope, whole, reference, dims, .. }, Purpose { target, options, .. }) =
            (source, purpose);
        let symbols = Symbols::enter(scope, reference);
        let ports = Ports::new(source.symbolic, &options.inputs, &options.outputs);
        let Work { graph, mut lowered, mut stages } = source.work(purpose)?;
        if let Some(weights) = purpose.weights {
            let not_of_all =
                || CompileError::Weights { function: graph.name.to_string(), dims: dims.clone() };
            (lowered, stages) = weights.frame(&lowered, &stages).ok_or_else(not_of_all)?;
        }
        let make = |stages: &Stages| Made::new(lowered.clone(), stages, &ports, &graph, dims, purpose);
        let mut made = make(&stages)?;
        made = match options.order {
            // Where nothing shares bytes every order needs the same.
            Order::Search if options.share => {
                schedule::schedule(made, &lowered, &stages, &ports, purpose, make)?
            }
            Order::Drawn(seed) => schedule::drawn(made, seed, (&lowered, &stages, &ports), purpose, make)?,
            Order::Given | Order::Search => made,
        };
        let buffers = made.buffers(scope, target, options);
        let variants = Variants::new(&made.lowered, &made.alike);
        let mut formulas = symbols.leave();
        formulas.keep(made.sizes());
        let mut planned = within(scope, formulas.guards());
        let plan =
            if reference.is_empty() { None } else { plan(&buffers, &mut planned, reference, options)? };
        let left = within(whole, formulas.guards());
        formulas.require(&planned, &left, reference);
        let scope = planned;
        let shape = Shape { values: &Values::default(), dims, target, alike: &made.alike, reference: None };
        let first = match made.without_empty(&Values::default()) {
            None => {
                let whole = (&made.stages, &made.live);
                made.program(&graph, whole, made.placement.clone(), shape, &mut |_| {})?
            }
            rest => {
                made.at(&graph, (plan.as_ref(), reference), rest.as_ref(), shape, options, &mut |_| {})?
            }
        };
        let within = (scope, reference.clone());
        Ok(Self { first, graph, made, formulas, plan, variants, within, memory: OnceLock::new() })
    }

    /// The program at a shape, whose independent symbols are `point` and all of them `dims`; `None` where a guard does
    /// not hold there.
    pub(crate) fn at(
        &self,
        point: &Bindings,
        dims: &Bindings,
        options: &Options,
        done: &mut dyn FnMut(Phase),
    ) -> Result<Option<Program>, CompileError> {
        let lost = |e: &dyn core::fmt::Display| CompileError::Bind(format!("at {dims}: {e}"));
        let Some(values) = self.formulas.at(point).map_err(|e| lost(&e))? else { return Ok(None) };
        done(Phase::Sizes);
        let (target, made) = (&self.first.target, &self.made);
        let shape = Shape { values: &values, dims, target, alike: &made.alike, reference: Some(&self.first) };
        let rest = made.without_empty(&values);
        made.at(&self.graph, (self.plan.as_ref(), point), rest.as_ref(), shape, options, done).map(Some)
    }

    /// Whether it serves a point.
    pub(crate) fn covers(&self, point: &Bindings) -> bool {
        matches!(self.formulas.at(point), Ok(Some(_)))
    }

    /// The bytes of its activations as a function of that name; `None` where its shapes are planned one by one.
    pub(crate) fn memory(&self, name: &str) -> Option<Arc<formula::Function>> {
        let function = || {
            let buffers: Vec<&Buffer> = self.planned().collect();
            let named = |buffer: u32| buffers.get(buffer as usize).map_or("", |buffer| &*buffer.name);
            let terms = self.plan.as_ref()?.memory(name, Effort::Normal, &named);
            let when = self.guards().iter().map(Guard::condition).collect();
            Some(Arc::new(formula::Function { when, ..terms }))
        };
        self.memory.get_or_init(function).clone()
    }

    /// The buffers that its plan places, in the plan's order: those that lie in parts of others need no bytes of their own.
    pub(crate) fn planned(&self) -> impl Iterator<Item = &Buffer> {
        let own = |buffer: &&Buffer| buffer.arena == Arena::Activations && buffer.within.is_none();
        self.first.buffers.iter().filter(own)
    }

    /// Bytes of the activations at a point, if it serves it.
    pub(crate) fn peak(&self, point: &Bindings) -> Option<u64> {
        self.formulas.at(point).ok()??;
        self.plan.as_ref()?.peak_at(point).ok()
    }

    /// The kernels of all its shapes, each once. `admits` says which points are those of some run.
    pub(crate) fn kernels(&self, admits: &dyn Fn(&Bindings) -> bool) -> Vec<Arc<Kernel>> {
        let of_all = (&self.made.lowered, &self.formulas);
        let (scope, reference) = &self.within;
        let found = self.variants.kernels(of_all, (scope, reference), &self.first.target, admits);
        let more = found.into_iter().map(Arc::new).filter(|kernel| !self.first.kernels.contains(kernel));
        self.first.kernels.iter().cloned().chain(more).collect()
    }

    /// The same for the part of its box that lies within `scope`; `None` if there is none.
    ///
    /// # Errors
    /// [`CompileError::Plan`]: a defect of bayplan, since smaller bounds make no size larger.
    pub(crate) fn within(&self, scope: &Scope) -> Result<Option<Arc<Self>>, CompileError> {
        let Some(plan) = &self.plan else { return Ok(Some(Arc::new(self.clone()))) };
        let (own, reference) = &self.within;
        let (Ok(planned), Ok(own)) = (plan.problem().scope().within(scope), own.within(scope)) else {
            return Ok(None);
        };
        let plan = plan.within(planned).map_err(|e| CompileError::Plan(e.to_string()))?;
        // Kernels are looked for around a point of the box.
        let nearest = |(symbol, value): (&str, i64)| {
            let Bounds { lower, upper } = own.get(symbol);
            (symbol.to_owned(), value.min(upper.unwrap_or(value)).max(lower))
        };
        let reference = reference.iter().map(nearest).collect();
        let within = (own, reference);
        Ok(Some(Arc::new(Self { plan: Some(plan), within, memory: OnceLock::new(), ..self.clone() })))
    }

    /// Conditions under which it serves a point.
    pub(crate) fn guards(&self) -> &[Guard] {
        self.formulas.guards()
    }

    /// The plan of its activations for all its shapes.
    pub(crate) fn plan(&self) -> Option<&SymbolicPlan> {
        self.plan.as_ref()
    }
}

/// How buffers are laid out for all shapes, up to a horizon where symbols have no upper bound; `None` where no
/// arithmetic of 64 bits holds their sizes. Where some size is negative in parts of the box that guards on several symbols
/// exclude, the box shrinks towards the reference until none is.
fn plan(
    buffers: &[SymbolicBuffer],
    scope: &mut Scope,
    reference: &Bindings,
    options: &Options,
) -> Result<Option<SymbolicPlan>, CompileError> {
    loop {
        match SymbolicProblem::open(buffers, scope) {
            Ok(problem) => return Ok(Some(SymbolicPlan::solve(problem, options.effort))),
            // Shapes are planned one by one then.
            Err(SymbolicError::Unbounded { .. } | SymbolicError::Problem(_)) => return Ok(None),
            Err(e @ SymbolicError::Negative { .. }) => {
                let nearer = nearer(scope, reference);
                if nearer == *scope {
                    return Err(CompileError::Plan(e.to_string()));
                }
                *scope = nearer;
            }
            Err(e) => return Err(CompileError::Plan(e.to_string())),
        }
    }
}

/// A box whose sides are half as far from a point of it.
fn nearer(scope: &Scope, point: &Bindings) -> Scope {
    let mut near = scope.clone();
    for (symbol, Bounds { lower, upper }) in scope.iter() {
        let Some(here) = point.get(symbol) else { continue };
        let far = upper.unwrap_or_else(|| here.max(1).saturating_mul(4));
        let half = Bounds::between(here - (here - lower) / 2, here + (far - here) / 2);
        // The point lies within.
        let _ = near.declare(symbol, half);
    }
    near
}

/// The part of a box in which guards on single symbols hold.
fn within(scope: &Scope, guards: &[Guard]) -> Scope {
    let mut narrow = scope.clone();
    for Condition { left, relation, right } in guards.iter().map(Guard::condition) {
        let (a, b) = (left.as_const(), right.as_const());
        let (symbol, lower, upper) = match (left.as_symbol(), right.as_symbol(), relation) {
            (Some(symbol), None, Relation::AtMost) => (symbol, None, b),
            (None, Some(symbol), Relation::AtMost) => (symbol, a, None),
            (Some(symbol), None, Relation::Equal) => (symbol, b, b),
            (None, Some(symbol), Relation::Equal) => (symbol, a, a),
            _ => continue,
        };
        let had = narrow.get(symbol);
        let lower = lower.map_or(had.lower, |lower| lower.max(had.lower));
        // Guards hold at the reference, so that some value is always left.
        let _ = narrow.declare(symbol, Bounds { lower, upper: had.upper.into_iter().chain(upper).min() });
    }
    narrow
}
