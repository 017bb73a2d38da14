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

use std::sync::{Arc, OnceLock};

use bayplan_expr::memory::{self as formula, Condition, Relation};
use bayplan_expr::{Bindings, Bounds, Expr, Scope};
use bayplan_graph::Graph;
use bayplan_plan::arenas::BlockPlan;
use bayplan_plan::symbolic::{Replayed, SymbolicBuffer, SymbolicError, SymbolicPlan, SymbolicProblem};
use bayplan_plan::{Effort, Lifespan, Plan, Problem};
use bayplan_shaders::{Kernel, Target};

use crate::alike::Alike;
use crate::assemble::{self, Placement, Shape, assemble, place};
use crate::error::CompileError;
use crate::fold::{self, ReadConstant};
use crate::late::{self, Unit};
use crate::liveness::{self, Liveness, Reuse, Stages, Storage};
use crate::lowered::{Lowered, Origin};
use crate::policy::Ports;
use crate::program::{Arena, Buffer, Order, Program, Schedule};
use crate::size::{Formulas, Guard, Size, Symbols, Values, numbers};
use crate::variants::Variants;
use crate::weights::Weights;
use crate::{Options, concat, direct, fuse, lower, paths, phases, schedule, simplify, split, verify};

/// What is compiled for, whatever the shape.
#[derive(Clone, Copy)]
pub(crate) struct Purpose<'a> {
    pub(crate) target: &'a Target,
    pub(crate) options: &'a Options,
    pub(crate) read: &'a ReadConstant<'a>,
    /// What all compiles of a family load, if these are several.
    pub(crate) weights: Option<&'a Weights>,
    /// Bytes above which a tensor is of no use, if that is known: no shape is looked at then that has one, or one that the
    /// target does not allocate.
    pub(crate) most: Option<u64>,
}

impl<'a> Purpose<'a> {
    /// Compiling for a target, whatever it can run.
    pub(crate) fn new(target: &'a Target, options: &'a Options, read: &'a ReadConstant<'a>) -> Self {
        Self { target, options, read, weights: None, most: None }
    }
}

/// What is compiled, and for which shapes.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The graph with pinned symbols replaced.
    pub(crate) graph: &'a Graph,
    /// The graph with all symbols that it ever had.
    pub(crate) symbolic: &'a Graph,
    /// The box of the symbols that are left, or the part of it that is compiled for.
    pub(crate) scope: &'a Scope,
    /// All of the box.
    pub(crate) whole: &'a Scope,
    /// Where decisions are taken: a point of the box.
    pub(crate) reference: &'a Bindings,
    /// All symbols there.
    pub(crate) dims: &'a Bindings,
}

/// A graph as device work, with what of it is done once.
struct Work {
    graph: Graph,
    lowered: Lowered,
    stages: Stages,
}

impl Source<'_> {
    /// Everything up to the operations themselves, while symbols are entered.
    fn work(&self, purpose: Purpose<'_>) -> Result<Work, CompileError> {
        let Purpose { target, options, read, weights, most } = purpose;
        let (graph, known) = (self.graph.clone(), fold::fold(self.graph, read)?);
        let (graph, known) = if options.simplify { simplify::simplify(graph, known) } else { (graph, known) };
        let (mut lowered, mut fixed) =
            lower::lower(&graph, self.symbolic, &known, target, weights.map_or(&[], Weights::plain))
                .map_err(CompileError::Unsupported)?;
        if options.fuse {
            fuse::fuse(&mut lowered, &fixed);
        }
        if options.direct {
            concat::place(&mut lowered, &fixed, target);
        }
        // Before it is cut into the thousands of parts that its windows would need.
        if let Some(large) = most.and_then(|most| assemble::too_large(&lowered, target, most)) {
            return Err(CompileError::Unsupported(vec![large]));
        }
        phases::cut(&mut lowered, &mut fixed, target);
        split::split(&mut lowered, &mut fixed, target).map_err(CompileError::Unsupported)?;
        if options.direct {
            direct::place(&mut lowered, &mut fixed, target);
        }
        direct::rebase(&mut lowered.operations, target);
        direct::explain(&mut lowered, target);
        let stages = liveness::stages(&lowered, &fixed);
        Ok(Work { graph, lowered, stages })
    }

    /// Adds what it loads.
    pub(crate) fn load(&self, purpose: Purpose<'_>, weights: &mut Weights) -> Result<(), CompileError> {
        let _symbols = Symbols::enter(self.scope, self.reference);
        let Work { lowered, stages, .. } = self.work(purpose)?;
        weights.add(&lowered, &stages);
        Ok(())
    }
}

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

/// Liveness and plan of a graph without symbols, its operators in the order given; `turn` is called as they begin and when
/// they are done.
pub(crate) fn liveness_and_plan(
    source: Source<'_>,
    purpose: Purpose<'_>,
    turn: &mut dyn FnMut(),
) -> Result<(), CompileError> {
    let _symbols = Symbols::enter(source.scope, source.reference);
    let ports = Ports::new(source.symbolic, &purpose.options.inputs, &purpose.options.outputs);
    let Work { lowered, stages, .. } = source.work(purpose)?;
    turn();
    let planned = planned(lowered, &stages, &ports, purpose);
    turn();
    planned.map(drop)
}

/// What overwrites what, how long everything lives and where it lies. Overwriting part of a larger operand saves a buffer but
/// keeps the larger one alive, so it is done only where that does not cost more.
fn planned(
    lowered: Lowered,
    stages: &Stages,
    ports: &Ports,
    Purpose { target, options, .. }: Purpose<'_>,
) -> Result<(Lowered, Liveness, Placement), CompileError> {
    let attempt = |mut lowered: Lowered, reuse: Reuse| {
        let mut live = liveness::liveness(&mut lowered, stages, ports, reuse);
        let planned = |live: &Liveness| place(&lowered, live, &Values::default(), target, options);
        let mut placement = planned(&live)?;
        if options.share && options.late {
            let unit = Unit {
                granule: target.storage_granule,
                align: target.storage_alignment,
                guard: assemble::guard(options, target),
            };
            let (housed, smaller) = late::house(&lowered, &live, placement, stages, unit, planned)?;
            (live, placement) = (housed.unwrap_or(live), smaller);
        }
        Ok::<_, CompileError>((lowered, live, placement))
    };
    if !options.in_place {
        return attempt(lowered, Reuse::Never);
    }
    let larger = attempt(lowered.clone(), Reuse::Larger)?;
    let equal = if larger.1.keeps_larger { Some(attempt(lowered, Reuse::Equal)?) } else { None };
    Ok(equal.filter(|equal| equal.2.run.plan.peak < larger.2.run.plan.peak).unwrap_or(larger))
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

/// Operations that know what they overwrite, with their storages.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    lowered: Lowered,
    alike: Alike,
    stages: Stages,
    live: Liveness,
    /// Where the weights and what loading needs lie, and what was planned at the reference.
    placement: Placement,
    pub(crate) schedule: Schedule,
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
        // Where nothing shares bytes every order needs the same.
        if options.order == Order::Search && options.share {
            made = schedule::schedule(made, &lowered, &stages, &ports, purpose, make)?;
        }
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

impl Made {
    /// Decides what overwrites what, and where everything lies at the reference.
    fn new(
        lowered: Lowered,
        stages: &Stages,
        ports: &Ports,
        graph: &Graph,
        dims: &Bindings,
        purpose: Purpose<'_>,
    ) -> Result<Self, CompileError> {
        let (lowered, live, placement) = planned(lowered, stages, ports, purpose)?;
        let alike = Alike::new(&lowered);
        let (values, target) = (&Values::default(), purpose.target);
        let shape = Shape { values, dims, target, alike: &alike, reference: None };
        let program = assemble(graph, &lowered, stages, &live, placement.clone(), shape, &mut |_| {})?;
        let schedule = Schedule::given(&program.run);
        Ok(Self { lowered, alike, stages: stages.clone(), live, placement, schedule })
    }

    /// Whether storages lie in late parts of others.
    pub(crate) fn has_guests(&self) -> bool {
        self.live.storages.iter().any(|storage| storage.within.is_some())
    }

    /// The storages of the activations with their sizes as expressions.
    fn buffers(&self, scope: &Scope, target: &Target, options: &Options) -> Vec<SymbolicBuffer> {
        let guard = assemble::guard(options, target);
        let planned = |storage: &&Storage| storage.is_planned_in(Arena::Activations);
        let storages = || self.live.storages.iter().filter(planned);
        let end = storages().map(|storage| storage.lifespan.end).max().unwrap_or(1);
        let buffer = |storage: &Storage| {
            let sizes = storage.tensors.iter().map(|&tensor| self.lowered.tensor(tensor).bytes().expr());
            let largest = Expr::max_of(sizes).simplify(scope);
            let life = if options.share { storage.lifespan.clone() } else { 0..end };
            SymbolicBuffer {
                size: largest.align_up(target.storage_granule as i64) + Expr::from(guard as i64),
                align: target.storage_alignment,
                lifespan: Lifespan::new(life.start, life.end),
            }
        };
        storages().map(buffer).collect()
    }

    /// The sizes that a program needs.
    fn sizes(&self) -> Vec<Size> {
        let mut list: Vec<Size> = Vec::new();
        for operation in &self.lowered.operations {
            list.extend(numbers(&operation.spec));
            list.extend([operation.written.start, operation.written.end]);
            for view in &operation.operands {
                list.extend(view.shape.iter().chain(&view.strides).chain([&view.base]));
            }
        }
        for tensor in &self.lowered.tensors {
            list.extend(&tensor.shape);
            if let Origin::Contents(elements) = &tensor.origin {
                list.extend(elements);
            }
        }
        list.extend(self.live.of.iter().flatten().map(|place| place.offset));
        for storage in &self.live.storages {
            list.extend(storage.within.map(|place| place.offset));
            list.extend(storage.late.iter().flat_map(|part| [part.bytes.start, part.bytes.end]));
        }
        list
    }

    /// What is left where operations with nothing to write are left out, and how long storages live then; `None` where
    /// all have something. Two that live together then live together in the whole, too: a storage that only what is left
    /// out touches has no bytes, or is one that the host writes, and those stay until an operation that is never left out.
    fn without_empty(&self, values: &Values) -> Option<(Stages, Liveness)> {
        let any = self.alike.any(&self.lowered, values);
        let writes = |&index: &usize| any[self.alike.work(index)];
        if self.stages.run.iter().all(writes) {
            return None;
        }
        let (mut stages, mut live) = (self.stages.clone(), self.live.clone());
        stages.run.retain(writes);
        // Operations kept before each position.
        let mut before = vec![0];
        for index in &self.stages.run {
            before.push(before.last().copied().unwrap_or(0) + u32::from(writes(index)));
        }
        let (end, at) =
            (before.last().copied().unwrap_or(0).max(1), |position: u32| before.get(position as usize));
        for storage in live.storages.iter_mut().filter(|s| s.arena() != Arena::Load) {
            let life = &storage.lifespan;
            let (first, last) = (at(life.start).copied().unwrap_or(0), at(life.end).copied().unwrap_or(end));
            for part in &mut storage.late {
                part.first = at(part.first).copied().unwrap_or(end);
            }
            // What nothing touches any more is there for one operation, as inputs are that nothing reads.
            let first = first.min(end - 1);
            storage.lifespan = first..last.max(first + 1);
        }
        Some((stages, live))
    }

    /// The program at a shape, its buffers placed as the plan of all shapes has them; `rest` is what is left where something
    /// is left out.
    fn at(
        &self,
        graph: &Graph,
        (plan, point): (Option<&SymbolicPlan>, &Bindings),
        rest: Option<&(Stages, Liveness)>,
        shape: Shape<'_>,
        options: &Options,
        done: &mut dyn FnMut(Phase),
    ) -> Result<Program, CompileError> {
        let Shape { values, dims, target, .. } = shape;
        let lost = |e: SymbolicError| CompileError::Bind(format!("at {dims}: {e}"));
        let (stages, live) = rest.map_or((&self.stages, &self.live), |rest| (&rest.0, &rest.1));
        let placement = match plan {
            None => place(&self.lowered, live, values, target, options)?,
            Some(plan) => {
                let Replayed { offsets, peak } = plan.replay(point).map_err(lost)?;
                done(Phase::Offsets);
                // What the offsets are judged by.
                let problem = plan.problem().at(point).map_err(lost)?;
                let problem = if rest.is_some() { lived(&problem, live, options)? } else { problem };
                let run = Plan::from_offsets(&problem, offsets, "symbolic replay")
                    .map_err(|flaw| CompileError::Verify(flaw.to_string()))?;
                done(Phase::Verification);
                if peak > target.max_allocation {
                    place(&self.lowered, live, values, target, options)?
                } else {
                    self.placed_as((run, peak), live, values, target)?
                }
            }
        };
        done(Phase::Offsets);
        self.program(graph, (stages, live), placement, shape, done)
    }

    /// The places of the activations as a plan says, the others as they are for all shapes. The arena has the bytes that
    /// the plan has in closed form: where storages are empty, up to an alignment more than the last byte in use.
    fn placed_as(
        &self,
        (run, peak): (Plan, u64),
        live: &Liveness,
        values: &Values,
        target: &Target,
    ) -> Result<Placement, CompileError> {
        let blocks = if peak > 0 { vec![peak] } else { Vec::new() };
        let placement = self.placement.clone();
        let external = assemble::outside(&self.lowered, live, values, target, placement.guard)?;
        Ok(Placement { run: BlockPlan { plan: run, blocks }, external, ..placement })
    }

    /// The program at a shape, verified.
    fn program(
        &self,
        graph: &Graph,
        (stages, live): (&Stages, &Liveness),
        placement: Placement,
        shape: Shape<'_>,
        done: &mut dyn FnMut(Phase),
    ) -> Result<Program, CompileError> {
        let mut program = assemble(graph, &self.lowered, stages, live, placement, shape, done)?;
        program.schedule = self.schedule.clone();
        verify(&program).map_err(|violation| CompileError::Verify(violation.to_string()))?;
        done(Phase::Verification);
        Ok(program)
    }
}

/// The same buffers with the lives that storages have where operations are left out.
fn lived(problem: &Problem, live: &Liveness, options: &Options) -> Result<Problem, CompileError> {
    let storages = live.storages.iter().filter(|storage| storage.is_planned_in(Arena::Activations));
    let end = storages.clone().map(|storage| storage.lifespan.end).max().unwrap_or(1);
    let shorter = problem.buffers().iter().zip(storages).map(|(buffer, storage)| {
        let life = if options.share { storage.lifespan.clone() } else { 0..end };
        bayplan_plan::Buffer { lifespan: Lifespan::new(life.start, life.end), ..*buffer }
    });
    Problem::new(shorter.collect()).map_err(|e| CompileError::Plan(e.to_string()))
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
