//! A function of a family: its box, and the compiles that serve the parts of it.
//!
//! ```text
//!   seq ^ +---+-----------+
//!       | |   |           |      Guards cut the box into cells, each compiled once with a point of it as reference.
//!       | |   |  general  |      Most models have one cell. When the family is made, corners, dims of 0 and 1 and what
//!       | +---+-----------+      guards speak of are looked at; a point that no cell serves makes one later.
//!       | |   |  seq = 1  |
//!       +-+---+-----------+-> past
//! ```

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bayplan_expr::memory::{self as formula, Condition, Relation};
use bayplan_expr::{Bindings, Bounds, Scope};
use bayplan_graph::{BindError, Graph, Tie};
use bayplan_plan::Effort;
use bayplan_shaders::Kernel;

use super::reference::{general, halved};
use super::{Dims, Function, Reservation, same_weights};
use crate::cell::{self, Cell, Phase, Purpose, Source};
use crate::error::CompileError;
use crate::family_paths::Routes;
use crate::paths::Role;
use crate::plan_file::{PlannedBuffer, ShapePlan};
use crate::policy::Policies;
use crate::program::Program;
use crate::size::Guard;
use crate::weights::Weights;
use crate::{Options, family_dims};

/// Symbols whose corners are all looked at; of more, only the lowest and the highest.
const MAX_CORNER_SYMBOLS: usize = 4;

/// Compiles of one function that are kept; of more shapes with guards of their own each is compiled when it is asked for.
const MAX_CELLS: usize = 64;

/// A function, kept.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// The graph as it was given, and with pinned and tied symbols replaced; `None` of a program made elsewhere.
    pub(super) graph: Option<(Graph, Graph)>,
    pub(super) pinned: Bindings,
    /// Bounds of the symbols that are neither pinned nor follow from others.
    pub(super) scope: Scope,
    /// Those, and the bounds of the symbols that follow from others.
    limits: Scope,
    /// Symbols that follow from others, as the graph needs two dimensions equal.
    ties: Vec<Tie>,
    /// Bounds of all symbols without values as they were given.
    pub(super) declared: Scope,
    cells: Arc<Mutex<Vec<Arc<Cell>>>>,
    /// The function where dims broadcast against each other.
    pub(super) spreads: Arc<Mutex<Vec<Arc<Self>>>>,
    /// The ways through its Ifs, if it has any: then it has no program of its own.
    pub(super) routes: Option<Routes>,
    /// What it is for, if it is part of a way through Ifs.
    pub(super) role: Option<Role>,
}

impl Member {
    /// A function; with a role, one of the ways through a model whose inputs say its dims.
    pub(super) fn new(function: &Function<'_>, role: Option<Role>) -> Result<Self, CompileError> {
        let Function { name, graph, dims } = *function;
        let bind = |e: BindError| CompileError::Bind(e.to_string());
        let free = graph.free_symbols();
        let named = dims.bounds.iter().map(|(symbol, _)| symbol);
        let unknown: Vec<String> =
            named.filter(|symbol| !free.contains(*symbol)).map(str::to_owned).collect();
        if !unknown.is_empty() {
            return Err(bind(BindError::Unknown { symbols: unknown, known: free.into_iter().collect() }));
        }
        let open = graph.pin(&dims.pinned, &dims.bounds).map_err(bind)?;
        let ties = graph.ties(&dims.pinned);
        let loose = family_dims::undetermined(graph, &dims.pinned, &ties);
        if role.is_none() && !loose.is_empty() {
            return Err(CompileError::Undetermined { dims: loose });
        }
        let mut limits = open.symbols.clone();
        for Tie { symbol, .. } in &ties {
            let both = graph.symbols.get(symbol).intersect(dims.bounds.get(symbol));
            limits.declare(symbol, both).map_err(|e| CompileError::Bind(e.to_string()))?;
        }
        let mut declared = Scope::new();
        for symbol in free.iter().filter(|symbol| dims.pinned.get(symbol).is_none()) {
            let both = graph.symbols.get(symbol).intersect(dims.bounds.get(symbol));
            declared.declare(symbol, both).map_err(|e| CompileError::Bind(e.to_string()))?;
        }
        Ok(Self {
            name: name.to_string(),
            pinned: dims.pinned.clone(),
            scope: open.symbols.clone(),
            graph: Some((graph.clone(), open)),
            limits,
            ties,
            declared,
            cells: Arc::default(),
            spreads: Arc::default(),
            routes: None,
            role,
        })
    }

    /// The only function of a family of one program.
    pub(super) fn of(program: &Program) -> Self {
        Self {
            name: program.name.clone(),
            graph: None,
            pinned: program.dims.clone(),
            scope: Scope::new(),
            limits: Scope::new(),
            ties: Vec::new(),
            declared: Scope::new(),
            cells: Arc::default(),
            spreads: Arc::default(),
            routes: None,
            role: None,
        }
    }

    /// The same within smaller bounds, with the compiles that serve part of them.
    pub(super) fn within(&self, bounds: &Scope) -> Result<Self, CompileError> {
        let Some((graph, _)) = &self.graph else { return Ok(self.clone()) };
        let both = self.declared.within(bounds).map_err(|e| CompileError::Bind(e.to_string()))?;
        let dims = Dims { pinned: self.pinned.clone(), bounds: both };
        let own = Self::new(&Function { name: &self.name, graph, dims: &dims }, self.role)?;
        let only = own.only_point();
        let serves = |cell: &Arc<Cell>| only.as_ref().is_none_or(|point| cell.covers(point));
        let mut cells: Vec<Arc<Cell>> = self
            .cells()
            .iter()
            .filter(|cell| serves(cell))
            .filter_map(|cell| cell.within(&own.scope).transpose())
            .collect::<Result<_, _>>()?;
        own.take_spreads(self, bounds);
        if only.is_some() {
            // The one that is asked first.
            cells.truncate(1);
        }
        Ok(Self { cells: Arc::new(Mutex::new(cells)), routes: self.routes.clone(), ..own })
    }

    /// The only point of its box, if it has but one.
    fn only_point(&self) -> Option<Bindings> {
        let value = |(symbol, bounds): (&str, Bounds)| {
            (bounds.upper == Some(bounds.lower)).then(|| (symbol.to_owned(), bounds.lower))
        };
        self.scope.iter().map(value).collect()
    }

    /// The symbols that its bounds speak of.
    pub(super) fn symbols(&self) -> impl Iterator<Item = &str> {
        self.limits.iter().map(|(symbol, _)| symbol)
    }

    /// How many compiles it has.
    pub(super) fn compiles(&self) -> usize {
        self.cells().len() + self.spreads().iter().map(|spread| spread.cells().len()).sum::<usize>()
    }

    /// Whether it is a program made elsewhere.
    pub(super) fn is_fixed(&self) -> bool {
        self.graph.is_none()
    }

    /// What decides the dims of a run.
    pub(super) fn known<'a>(&'a self, open: &'a Graph) -> family_dims::Known<'a> {
        family_dims::Known { open, pinned: &self.pinned, scope: &self.limits, ties: &self.ties }
    }

    /// Symbols without an upper bound.
    pub(super) fn unbounded(&self) -> Vec<String> {
        let open = self.scope.iter().filter(|(_, bounds)| bounds.upper.is_none());
        open.map(|(symbol, _)| symbol.to_string()).collect()
    }

    /// The dims with those that are pinned or follow from others, each within its bounds.
    pub(super) fn whole(&self, dims: &Bindings) -> Result<Bindings, CompileError> {
        let mut whole = self.pinned.clone();
        for (symbol, value) in dims.iter() {
            match self.pinned.get(symbol) {
                Some(pinned) if pinned != value => {
                    let symbol = bayplan_text::escape(symbol);
                    return Err(CompileError::Bind(format!(
                        "`{symbol}` is {value}, but the model was compiled for {pinned} alone"
                    )));
                }
                _ => whole.set(symbol, value),
            };
        }
        let whole = self.completed(whole);
        if self.spread(&whole).is_some() {
            return Ok(whole);
        }
        self.limits.check(&whole).map_err(|e| CompileError::Bind(e.to_string()))?;
        match self.ties.iter().find(|tie| whole.get(&tie.symbol).map(Ok) != Some(tie.is.eval(&whole))) {
            Some(Tie { symbol, is, node, .. }) => {
                let [symbol, node] = [symbol, &**node].map(bayplan_text::escape);
                Err(CompileError::Bind(format!(
                    "at {whole} `{symbol}` is not {is}, as node `{node}` needs it"
                )))
            }
            None => Ok(whole),
        }
    }

    /// Whether a shape is one of the function's own: within its bounds, and what it takes as equal is.
    pub(super) fn is_own(&self, dims: &Bindings) -> bool {
        let has = |(symbol, value): (&str, i64)| dims.get(symbol) == Some(value);
        let fits = |(graph, open): &(Graph, Graph)| family_dims::fits(graph, open, dims).is_ok();
        let tied = |tie: &Tie| dims.get(&tie.symbol).map(Ok) == Some(tie.is.eval(dims));
        self.pinned.iter().all(has)
            && self.limits.check(dims).is_ok()
            && self.ties.iter().all(tied)
            && self.graph.as_ref().is_some_and(fits)
    }

    /// A point with the symbols that follow from its own.
    fn completed(&self, mut point: Bindings) -> Bindings {
        for Tie { symbol, is, .. } in &self.ties {
            if let (None, Ok(value)) = (point.get(symbol), is.eval(&point)) {
                point.set(symbol.as_str(), value);
            }
        }
        point
    }

    /// The program at a shape, all of whose dims are given.
    pub(super) fn program(
        &self,
        dims: &Bindings,
        purpose: Purpose<'_>,
        done: &mut dyn FnMut(Phase),
    ) -> Result<Program, CompileError> {
        let Some((graph, open)) = &self.graph else {
            return Err(CompileError::Bind(format!("`{}` was compiled for one shape", self.name)));
        };
        if let Some(spread) = self.spread(dims) {
            return spread.program(dims, purpose, done);
        }
        family_dims::fits(graph, open, dims).map_err(CompileError::Bind)?;
        let point = self.point(dims)?;
        for cell in self.cells() {
            if let Some(program) = cell.at(&point, dims, purpose.options, done)? {
                return Ok(program);
            }
        }
        Ok(self.keep(&point, purpose)?.first.clone())
    }

    fn cells(&self) -> Vec<Arc<Cell>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The independent symbols of a shape.
    pub(super) fn point(&self, dims: &Bindings) -> Result<Bindings, CompileError> {
        let value = |(symbol, _): (&str, Bounds)| {
            let missing =
                || CompileError::Bind(format!("the dim `{}` has no value", bayplan_text::escape(symbol)));
            Ok((symbol.to_string(), dims.get(symbol).ok_or_else(missing)?))
        };
        let list: Result<Vec<_>, CompileError> = self.scope.iter().map(value).collect();
        Ok(list?.into_iter().collect())
    }

    /// Compiles for a part of the box with a point of it as reference.
    fn compile(
        &self,
        scope: &Scope,
        point: &Bindings,
        purpose: Purpose<'_>,
    ) -> Result<Arc<Cell>, CompileError> {
        let dims = self.dims_at(point);
        let new = |purpose: Purpose<'_>| Cell::new(self.source(scope, point, &dims)?, purpose);
        Ok(Arc::new(self.with_options(purpose, new)?))
    }

    /// Compiles with a point as reference, and keeps it.
    ///
    /// # Errors
    /// As [`Cell::new`].
    pub(super) fn keep(&self, point: &Bindings, purpose: Purpose<'_>) -> Result<Arc<Cell>, CompileError> {
        let cell = self.compile(&self.scope, point, purpose)?;
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        if cells.len() < MAX_CELLS {
            cells.push(cell.clone());
        }
        Ok(cell)
    }

    /// Compiles for the values of one symbol with the others as they are at a point, and keeps it however many there are.
    ///
    /// # Errors
    /// As [`Cell::new`].
    pub(super) fn keep_along(
        &self,
        free: &str,
        point: &Bindings,
        purpose: Purpose<'_>,
    ) -> Result<Arc<Cell>, CompileError> {
        let mut line = self.scope.clone();
        for (symbol, value) in point.iter().filter(|(symbol, _)| *symbol != free) {
            line.declare(symbol, Bounds::exactly(value)).map_err(|e| CompileError::Bind(e.to_string()))?;
        }
        let cell = self.compile(&line, point, purpose)?;
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).push(cell.clone());
        Ok(cell)
    }

    /// Whether a compile serves the point already.
    pub(super) fn covers(&self, point: &Bindings) -> bool {
        self.cells().iter().any(|cell| cell.covers(point))
    }

    /// What the first point gives that is not refused as too large for the target: the general one, then those of boxes half as
    /// wide, a quarter, and so on. The reference of a compile decides what is cheap there, so it is as large as can be.
    ///
    /// # Errors
    /// Of the general point, if all are refused; whatever else `make` says.
    pub(super) fn largest_possible<T>(
        &self,
        mut make: impl FnMut(&Bindings) -> Result<T, CompileError>,
    ) -> Result<(Bindings, T), CompileError> {
        let (mut scope, mut refused) = (self.scope.clone(), None);
        loop {
            let point = general(&scope);
            match make(&point) {
                Ok(made) => return Ok((point, made)),
                Err(error @ (CompileError::Unsupported(_) | CompileError::Plan(_))) => {
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
            let half = halved(&scope);
            match refused.take() {
                Some(error) if half == scope => return Err(error),
                first => (scope, refused) = (half, first),
            }
        }
    }

    /// Adds what a compile with that reference loads.
    pub(super) fn load(
        &self,
        point: &Bindings,
        purpose: Purpose<'_>,
        weights: &mut Weights,
    ) -> Result<(), CompileError> {
        let dims = self.dims_at(point);
        self.with_options(purpose, |purpose| self.source(&self.scope, point, &dims)?.load(purpose, weights))
    }

    /// With the options for what it is: the element of a condition is read before anything else runs, so that no caller
    /// sees it.
    fn with_options<T>(&self, purpose: Purpose<'_>, make: impl FnOnce(Purpose<'_>) -> T) -> T {
        if self.role != Some(Role::Condition) {
            return make(purpose);
        }
        let options = Options { outputs: Policies::default(), ..purpose.options.clone() };
        make(Purpose { options: &options, ..purpose })
    }

    fn source<'a>(
        &'a self,
        scope: &'a Scope,
        point: &'a Bindings,
        dims: &'a Bindings,
    ) -> Result<Source<'a>, CompileError> {
        let Some((symbolic, graph)) = &self.graph else {
            return Err(CompileError::Bind(format!("`{}` was compiled for one shape", self.name)));
        };
        Ok(Source { graph, symbolic, scope, whole: &self.scope, reference: point, dims })
    }

    /// Liveness and plan at a shape, all of whose dims are given, with no other shape's plan; `turn` is called as they begin
    /// and when they are done.
    pub(super) fn liveness_and_plan(
        &self,
        dims: &Bindings,
        purpose: Purpose<'_>,
        turn: &mut dyn FnMut(),
    ) -> Result<(), CompileError> {
        let Some((symbolic, _)) = &self.graph else {
            return Err(CompileError::Bind(format!("`{}` was compiled elsewhere", self.name)));
        };
        let graph = &symbolic.bind(dims).map_err(|e| CompileError::Bind(e.to_string()))?;
        let (scope, reference) = (&Scope::new(), &Bindings::new());
        let source = Source { graph, symbolic, scope, whole: scope, reference, dims };
        self.with_options(purpose, |purpose| cell::liveness_and_plan(source, purpose, turn))
    }

    /// Forgets what was compiled.
    pub(super) fn forget(&self) {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// All symbols at a point.
    fn dims_at(&self, point: &Bindings) -> Bindings {
        let mut dims = self.pinned.clone();
        dims.extend(point.iter());
        self.completed(dims)
    }

    /// Compiles what the box needs as far as it is seen beforehand, and makes the reservation enough for it: the program
    /// at the reference point.
    pub(super) fn explore(
        &self,
        purpose: Purpose<'_>,
        reserved: &mut Reservation,
        weights: Option<&Program>,
    ) -> Result<Program, CompileError> {
        let first = self.keep(&self.general(), purpose)?.first.clone();
        reserved.grow(&first);
        self.reserve(purpose, reserved, weights.unwrap_or(&first))?;
        Ok(first)
    }

    /// Makes the reservation enough for its box: what its plans need at most, and what the points looked at beforehand do.
    pub(super) fn reserve(
        &self,
        purpose: Purpose<'_>,
        reserved: &mut Reservation,
        of_all: &Program,
    ) -> Result<(), CompileError> {
        for dims in self.points() {
            if self.serves(&dims) {
                let program = self.program(&dims, purpose, &mut |_| {})?;
                if !same_weights(of_all, &program) {
                    return Err(CompileError::Weights { function: self.name.clone(), dims });
                }
                reserved.grow(&program);
            }
        }
        if self.unbounded().is_empty() {
            for plan in self.cells().iter().filter_map(|cell| cell.plan()) {
                reserved.reserve(plan.reservation(Effort::Normal).bytes);
            }
        }
        Ok(())
    }

    /// Whether a point comes up: it lies within the bounds, and nothing that the graph needs excludes it.
    pub(super) fn serves(&self, dims: &Bindings) -> bool {
        self.is_own(&self.completed(dims.clone()))
    }

    /// What must hold of its symbols besides their bounds.
    pub(super) fn conditions(&self) -> Vec<Condition> {
        let constraints = self.graph.iter().flat_map(|(_, open)| &open.constraints);
        let told = constraints.filter(|own| own.a != own.b);
        told.map(|own| Condition { left: own.a.clone(), relation: Relation::Equal, right: own.b.clone() })
            .collect()
    }

    /// The bytes of its cells' activations, each with the conditions under which it is what runs.
    pub(super) fn formulas(&self) -> Vec<Arc<formula::Function>> {
        self.cells().iter().filter_map(|cell| cell.memory(&self.name)).collect()
    }

    /// The plans of its cells, with the conditions under which each is what runs.
    pub(super) fn plans(&self) -> Vec<ShapePlan> {
        let plan = |cell: &Arc<Cell>| {
            let plan = cell.plan()?.clone();
            let buffers = cell.planned().map(|buffer| PlannedBuffer {
                name: buffer.name.to_string(),
                kind: buffer.kind.name().to_string(),
            });
            let when: Vec<Condition> = cell.guards().iter().map(Guard::condition).collect();
            let (function, reservation) = (self.name.clone(), plan.reservation(Effort::Normal));
            Some(ShapePlan { function, when, buffers: buffers.collect(), plan, reservation })
        };
        self.cells().iter().filter_map(plan).collect()
    }

    /// Points of the box that are looked at beforehand: the reference, corners, and each symbol at its ends and at 0, 1
    /// and 2 with the others general.
    pub(super) fn points(&self) -> Vec<Bindings> {
        let general = self.general();
        let mut points = vec![general.clone()];
        points.extend(self.corners());
        for (symbol, bounds) in self.scope.iter() {
            let ends = [bounds.lower, bounds.lower.saturating_add(1), bounds.upper.unwrap_or(bounds.lower)];
            for value in ends.into_iter().chain([0, 1, 2]).filter(|&value| bounds.contains(value)) {
                points.push(general.clone().with(symbol, value));
            }
        }
        for (symbol, value) in self.cells().iter().flat_map(|cell| spoken_of(cell)) {
            if self.scope.get(&symbol).contains(value) {
                points.push(general.clone().with(symbol, value));
            }
        }
        let mut seen: Vec<Bindings> = Vec::new();
        for point in points {
            let dims = self.dims_at(&point);
            if !seen.contains(&dims) {
                seen.push(dims);
            }
        }
        seen
    }

    /// Whether its activations take at most so many bytes at some value of a symbol, the others at their upper bounds.
    pub(super) fn fits(&self, symbol: &str, bytes: u64) -> bool {
        self.peak_below(symbol, self.scope.get(symbol).lower) <= bytes
    }

    /// The largest value of a symbol at which its activations take at most so many bytes, the others at their upper bounds;
    /// `None` where it has no such symbol.
    pub(super) fn most(&self, symbol: &str, bytes: u64) -> Option<i64> {
        let (_, bounds) = self.scope.iter().find(|(own, _)| *own == symbol)?;
        let (mut low, mut high) = (bounds.lower, bounds.upper?);
        while low < high {
            let middle = high - (high - low) / 2;
            if self.peak_below(symbol, middle) <= bytes { low = middle } else { high = middle - 1 }
        }
        Some(low)
    }

    /// Bytes of the activations with a symbol at a value and the others at their upper bounds.
    fn peak_below(&self, symbol: &str, value: i64) -> u64 {
        let corner = |(own, bounds): (&str, Bounds)| {
            let upper = bounds.upper.unwrap_or(bounds.lower);
            (own.to_owned(), if own == symbol { value } else { upper })
        };
        let point: Bindings = self.scope.iter().map(corner).collect();
        self.cells().iter().filter_map(|cell| cell.peak(&point)).max().unwrap_or(0)
    }

    /// The kernels of all its shapes, each once.
    pub(super) fn kernels(&self) -> Vec<Arc<Kernel>> {
        let admits = |point: &Bindings| self.serves(&self.dims_at(point));
        let (mut known, mut kernels) = (HashSet::new(), Vec::new());
        let own = self.cells().into_iter().flat_map(|cell| cell.kernels(&admits));
        for kernel in own.chain(self.spreads().iter().flat_map(|spread| spread.kernels())) {
            if known.insert(kernel.clone()) {
                kernels.push(kernel);
            }
        }
        kernels
    }

    /// A point of distinct primes near the upper corner; 0 or 1 only where bounds leave nothing else.
    pub(super) fn general(&self) -> Bindings {
        general(&self.scope)
    }

    /// The corners of the box.
    fn corners(&self) -> Vec<Bindings> {
        let sides: Vec<(&str, Bounds)> = self.scope.iter().collect();
        let masks = if sides.len() <= MAX_CORNER_SYMBOLS { 1u32 << sides.len() } else { 2 };
        let corner = |mask: u32| {
            let end = |(index, (symbol, bounds)): (usize, &(&str, Bounds))| {
                let high = if masks > 2 { mask >> index & 1 == 0 } else { mask == 0 };
                let high = high.then_some(bounds.upper).flatten();
                (symbol.to_string(), high.unwrap_or(bounds.lower))
            };
            sides.iter().enumerate().map(end).collect()
        };
        (0..masks).map(corner).collect()
    }
}

/// Values of single symbols at which guards of a cell change their mind.
fn spoken_of(cell: &Cell) -> Vec<(String, i64)> {
    let sides = |condition: Condition| {
        let symbol = |e: &bayplan_expr::Expr| e.as_symbol().map(str::to_owned);
        let pair = symbol(&condition.left).zip(condition.right.as_const());
        pair.or_else(|| symbol(&condition.right).zip(condition.left.as_const()))
    };
    let found = cell.guards().iter().map(Guard::condition).filter_map(sides);
    found
        .flat_map(|(symbol, value)| [-1, 0, 1].map(|by| (symbol.clone(), value.saturating_add(by))))
        .collect()
}
