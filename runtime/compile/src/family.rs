//! A model compiled for every shape within bounds: several functions, one weights arena, one activations arena.

use std::collections::BTreeMap;
use std::sync::Arc;

use bayplan_expr::{Bindings, Bounds, Scope};
use bayplan_graph::{BindError, ByteRange, ConstData, Graph, Tie, ValueSource};
use bayplan_shaders::Target;

use crate::concrete::Shared;
use crate::error::CompileError;
use crate::family_paths::Routes;
use crate::fold::{MAX_CONSTANT, ReadConstant};
use crate::inputs::{InputError, Shaped, match_shapes, shapes_of};
use crate::paths::{Paths, Role};
use crate::policy::Policies;
use crate::program::{Arena, BufferKind, Program};
use crate::weights::Weights;
use crate::{Options, concrete, family_dims, family_paths, policy};

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

/// What a session of a family allocates: enough for every shape of every function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Bytes of each arena, in the order of [`Arena::ALL`].
    pub arena_bytes: [u64; Arena::ALL.len()],
    /// The blocks of each arena: where each ends, as in [`Program::blocks`].
    pub blocks: [Vec<u64>; Arena::ALL.len()],
}

/// A model compiled for every shape within bounds.
///
/// All its programs have the same weights: [`Program::uploads`], [`Program::load`] and the buffers of the arenas
/// [`Arena::Weights`] and [`Arena::Load`] are equal, with equal [`BufferId`](crate::BufferId)s.
#[derive(Clone, Debug)]
pub struct Family {
    functions: Vec<Member>,
    target: Target,
    options: Options,
    /// The small constants that lie in files: shapes that come later fold with them.
    constants: Constants,
    first: Program,
    /// The function that `first` is of.
    first_function: FunctionId,
    /// What all functions load, if there are several.
    weights: Option<Weights>,
    reserved: Result<Reservation, CompileError>,
}

/// A function, kept.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    /// `None` of a program that was compiled for one shape.
    graph: Option<Graph>,
    pinned: Bindings,
    /// Bounds of the symbols that are neither pinned nor follow from others.
    scope: Scope,
    /// Those, and the bounds of the symbols that follow from others.
    limits: Scope,
    /// Symbols that follow from others, as the graph needs two dimensions equal.
    ties: Vec<Tie>,
    /// The ways through its Ifs, if it has any: then it has no program of its own.
    routes: Option<Routes>,
    /// What it is for, if it is part of a way through Ifs.
    role: Option<Role>,
}

/// Symbols whose corners are all compiled; of more, only the lowest and the highest.
const MAX_CORNER_SYMBOLS: usize = 4;

impl Family {
    /// Compiles a model for all shapes within `dims`.
    ///
    /// # Errors
    /// As [`compile`](crate::compile); symbols that are neither pinned nor determined by the inputs' shapes; bounds that
    /// leave a symbol no value.
    pub fn new(
        graph: &Graph,
        dims: &Dims,
        target: &Target,
        options: &Options,
        read: &ReadConstant<'_>,
    ) -> Result<Self, CompileError> {
        Self::with_functions(&[Function { name: &graph.name, graph, dims }], target, options, read)
    }

    /// Compiles several functions that never run at the same time; the first is the model itself.
    ///
    /// # Errors
    /// As [`Family::new`], for any of them; functions with different weights; none at all.
    pub fn with_functions(
        functions: &[Function<'_>],
        target: &Target,
        options: &Options,
        read: &ReadConstant<'_>,
    ) -> Result<Self, CompileError> {
        let graphs: Vec<&Graph> = functions.iter().map(|function| function.graph).collect();
        policy::check_names(&graphs, &options.inputs, &options.outputs)?;
        let mut constants = BTreeMap::new();
        let (mut members, mut ways) = (Vec::with_capacity(functions.len()), Vec::new());
        for function in functions {
            keep_constants(function.graph, read, &mut constants)?;
            let mut member = Member::new(function, None)?;
            let paths = Paths::new(function.graph)?;
            if paths.functions().first().is_some_and(|first| first.graph != *function.graph) {
                let first = functions.len() + ways.len();
                for way in paths.functions() {
                    let dims = family_paths::dims_of(way, function.dims)?;
                    ways.push(Member::new(
                        &Function { name: &way.name, graph: &way.graph, dims: &dims },
                        Some(way.role),
                    )?);
                }
                member.routes = Some(Routes { paths, first });
            }
            members.push(member);
        }
        members.extend(ways);
        let Some(first_function) = members.iter().position(|member| member.routes.is_none()) else {
            return Err(CompileError::Bind("a family needs at least one function".into()));
        };
        let weights = union(&members, target, options, &constants)?;
        let compile = |member: &Member, point: &Bindings| {
            member.compile(point, target, options, &constants, weights.as_ref())
        };
        let member = &members[first_function];
        let first = compile(member, &member.general())?;
        let mut reserved = Reservation { arena_bytes: first.arena_bytes, blocks: first.blocks.clone() };
        let mut unbounded = Vec::new();
        for member in members.iter().filter(|member| member.routes.is_none()) {
            let open = member.unbounded();
            for point in if open.is_empty() { member.corners() } else { Vec::new() } {
                reserved.grow(&compile(member, &point)?)?;
            }
            unbounded.extend(open);
        }
        let reserved = if unbounded.is_empty() {
            Ok(reserved)
        } else {
            Err(CompileError::Unbounded { dims: unbounded })
        };
        let (target, options) = (target.clone(), options.clone());
        let first_function = FunctionId(first_function as u32);
        Ok(Self { functions: members, target, options, constants, first, first_function, weights, reserved })
    }

    /// A family of one program: it serves the shape that it was compiled for.
    pub fn of(program: Program) -> Self {
        let reserved = Reservation { arena_bytes: program.arena_bytes, blocks: program.blocks.clone() };
        let name = program.name.clone();
        let member = Member {
            name,
            graph: None,
            pinned: program.dims.clone(),
            scope: Scope::new(),
            limits: Scope::new(),
            ties: Vec::new(),
            routes: None,
            role: None,
        };
        Self {
            functions: vec![member],
            target: program.target.clone(),
            options: Options::default(),
            constants: BTreeMap::new(),
            first: program,
            first_function: FunctionId(0),
            weights: None,
            reserved: Ok(reserved),
        }
    }

    /// What it was compiled for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The functions with their names, in order.
    pub fn functions(&self) -> impl ExactSizeIterator<Item = (FunctionId, &str)> {
        self.functions.iter().enumerate().map(|(index, member)| (FunctionId(index as u32), &*member.name))
    }

    /// The function of that name.
    pub fn function(&self, name: &str) -> Option<FunctionId> {
        self.functions().find(|(_, own)| *own == name).map(|(id, _)| id)
    }

    /// The bounds of a function's symbols that are neither pinned nor follow from others; empty where it serves one shape, or is none of the family's.
    pub fn scope(&self, function: FunctionId) -> Scope {
        self.member(function).map(|member| member.scope.clone()).unwrap_or_default()
    }

    /// Whether a function serves one shape only.
    pub fn is_static(&self, function: FunctionId) -> bool {
        self.scope(function).iter().all(|(_, bounds)| bounds.upper == Some(bounds.lower))
    }

    /// The dims of a run, pinned ones included, from the shapes of its inputs.
    ///
    /// # Errors
    /// An input is missing, unknown, given twice, of another type or rank; its sizes do not fit what the model declares or
    /// those of the other inputs; a dim is outside its bounds ([`InputError::BoundExceeded`]). Nothing was written then.
    pub fn dims<T: Shaped>(
        &self,
        function: FunctionId,
        inputs: &[(&str, &T)],
    ) -> Result<Bindings, InputError> {
        let inputs = &shapes_of(inputs);
        let Ok(member) = self.member(function) else {
            return Err(InputError::NoFunction { number: function.0, functions: self.functions.len() });
        };
        match &member.graph {
            Some(graph) => family_dims::dims(graph, member.known(), inputs),
            None => match_shapes(&self.first.inputs, inputs).map(|_| self.first.dims.clone()),
        }
    }

    /// The program of a function at a shape: a value for each symbol; those that are pinned, or that
    /// follow from others, may be left out.
    ///
    /// # Errors
    /// Dims outside the bounds, or as [`compile`](crate::compile).
    pub fn at(&self, function: FunctionId, dims: &Bindings) -> Result<Program, CompileError> {
        let member = self.member(function)?;
        if member.routes.is_some() {
            let name = bayplan_text::escape(&member.name);
            let reason =
                format!("`{name}` has Ifs: each way through them is a function, Family::next says which");
            return Err(CompileError::Paths(reason));
        }
        let is_way = self.functions.iter().filter_map(|member| member.routes.as_ref());
        let is_way =
            is_way.map(|routes| routes.first).min().is_some_and(|first| function.0 as usize >= first);
        let dims = match &member.graph {
            // The model's dims; the way may have fewer.
            Some(graph) if is_way => member.whole(&family_paths::own(graph, dims))?,
            _ => member.whole(dims)?,
        };
        if dims == self.first.dims && function == self.first_function {
            return Ok(self.first.clone());
        }
        let weights = self.weights.as_ref();
        let program = member.compile(&dims, &self.target, &self.options, &self.constants, weights)?;
        if !same_weights(&self.first, &program) {
            return Err(CompileError::Weights { function: member.name.clone(), dims });
        }
        if let Ok(reserved) = &self.reserved {
            reserved.clone().grow(&program).and_then(|grown| match grown == *reserved {
                true => Ok(()),
                false => Err(CompileError::Reserved { dims: dims.clone() }),
            })?;
        }
        Ok(program)
    }

    /// A program of function 0, at a shape of no special dims: its uploads and its load stage are those of all.
    pub fn first(&self) -> &Program {
        &self.first
    }

    /// What a session allocates.
    ///
    /// # Errors
    /// [`CompileError::Unbounded`]: symbols without an upper bound, all of them.
    pub fn reservation(&self) -> Result<&Reservation, CompileError> {
        self.reserved.as_ref().map_err(Clone::clone)
    }

    /// Shapes of a function that between them need all its kernels: corners of its box and a point between. Without an
    /// upper bound of some symbol, just a point.
    pub fn points(&self, function: FunctionId) -> Vec<Bindings> {
        let Ok(member) = self.member(function) else { return Vec::new() };
        if member.graph.is_none() {
            return vec![self.first.dims.clone()];
        }
        if member.routes.is_some() {
            return Vec::new();
        }
        let mut points = vec![member.general()];
        if member.unbounded().is_empty() {
            points.extend(member.corners());
        }
        let mut seen = Vec::new();
        points.retain(|point| {
            !seen.contains(point) && {
                seen.push(point.clone());
                true
            }
        });
        points
    }

    /// The ways through a function's Ifs, if it has any.
    pub(crate) fn routes(&self, function: FunctionId) -> Result<Option<&Routes>, CompileError> {
        self.member(function).map(|member| member.routes.as_ref())
    }

    fn member(&self, function: FunctionId) -> Result<&Member, CompileError> {
        let none = || CompileError::Bind(format!("the family has no function {}", function.0));
        self.functions.get(function.0 as usize).ok_or_else(none)
    }
}

impl From<Program> for Arc<Family> {
    fn from(program: Program) -> Self {
        Self::new(Family::of(program))
    }
}

impl Reservation {
    /// Makes it large enough for another program.
    fn grow(&mut self, program: &Program) -> Result<Self, CompileError> {
        for arena in Arena::ALL {
            let index = arena.index();
            let (own, needed) = (&mut self.blocks[index], &program.blocks[index]);
            if own == needed {
                continue;
            }
            if own.len() > 1 || needed.len() > 1 {
                return Err(CompileError::Blocks { arena: arena.name(), max: program.target.max_allocation });
            }
            *own = own.iter().chain(needed).copied().max().into_iter().collect();
            self.arena_bytes[index] = own.last().copied().unwrap_or(0);
        }
        Ok(self.clone())
    }
}

impl Member {
    /// A function; with a role, one of the ways through a model whose inputs say its dims.
    fn new(function: &Function<'_>, role: Option<Role>) -> Result<Self, CompileError> {
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
            let (own, given) = (graph.symbols.get(symbol), dims.bounds.get(symbol));
            let upper = own.upper.into_iter().chain(given.upper).min();
            let both = Bounds { lower: own.lower.max(given.lower), upper };
            limits.declare(symbol, both).map_err(|e| CompileError::Bind(e.to_string()))?;
        }
        let (name, pinned, scope) = (name.to_string(), dims.pinned.clone(), open.symbols);
        Ok(Self { name, graph: Some(graph.clone()), pinned, scope, limits, ties, routes: None, role })
    }

    /// Symbols without an upper bound.
    fn unbounded(&self) -> Vec<String> {
        let open = self.scope.iter().filter(|(_, bounds)| bounds.upper.is_none());
        open.map(|(symbol, _)| symbol.to_string()).collect()
    }

    /// What decides the dims of a run.
    fn known(&self) -> family_dims::Known<'_> {
        family_dims::Known { pinned: &self.pinned, scope: &self.limits, ties: &self.ties }
    }

    /// A point with the symbols that follow from the others.
    fn completed(&self, mut point: Bindings) -> Bindings {
        for Tie { symbol, is, .. } in &self.ties {
            if let (None, Ok(value)) = (point.get(symbol), is.eval(&point)) {
                point.set(symbol.as_str(), value);
            }
        }
        point
    }

    /// A point of no special dims: none is 0 or 1 unless its bounds say so, no two are equal where they need not be.
    fn general(&self) -> Bindings {
        const PRIMES: [i64; 12] = [7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47];
        let value = |(index, (symbol, bounds)): (usize, (&str, Bounds))| {
            let wish = PRIMES[index % PRIMES.len()].max(bounds.lower);
            (symbol.to_string(), bounds.upper.map_or(wish, |upper| wish.min(upper)))
        };
        let mut point = self.pinned.clone();
        point.extend(self.scope.iter().enumerate().map(value));
        self.completed(point)
    }

    /// The corners of the box.
    fn corners(&self) -> Vec<Bindings> {
        let sides: Vec<(&str, Bounds)> = self.scope.iter().collect();
        let masks = if sides.len() <= MAX_CORNER_SYMBOLS { 1u32 << sides.len() } else { 2 };
        let corner = |mask: u32| {
            let mut point = self.pinned.clone();
            for (index, (symbol, bounds)) in sides.iter().enumerate() {
                let high = mask >> (index % MAX_CORNER_SYMBOLS) & 1 == 0 && (masks > 2 || mask == 0);
                let value = if high { bounds.upper.unwrap_or(bounds.lower) } else { bounds.lower };
                point.set(*symbol, value);
            }
            self.completed(point)
        };
        (0..masks).map(corner).collect()
    }

    /// The dims with those that are pinned, each within its bounds.
    fn whole(&self, dims: &Bindings) -> Result<Bindings, CompileError> {
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
        self.limits.check(&whole).map_err(|e| CompileError::Bind(e.to_string()))?;
        match self.ties.iter().find(|tie| whole.get(&tie.symbol).map(Ok) != Some(tie.is.eval(&whole))) {
            Some(Tie { symbol, is, node }) => {
                let [symbol, node] = [symbol, &**node].map(bayplan_text::escape);
                Err(CompileError::Bind(format!(
                    "at {whole} `{symbol}` is not {is}, as node `{node}` needs it"
                )))
            }
            None => Ok(whole),
        }
    }

    fn compile(
        &self,
        point: &Bindings,
        target: &Target,
        options: &Options,
        constants: &Constants,
        weights: Option<&Weights>,
    ) -> Result<Program, CompileError> {
        let graph = self.graph()?;
        let shared = Shared { pinned: &self.pinned, weights };
        let read = |range: &ByteRange| kept(constants, range);
        // The element of a condition is read before anything else runs.
        let asking = Options { outputs: Policies::default(), ..options.clone() };
        let options = if self.role == Some(Role::Condition) { &asking } else { options };
        concrete::program(graph, point, target, options, &read, Some(shared))
    }

    fn graph(&self) -> Result<&Graph, CompileError> {
        let one_shape = || CompileError::Bind(format!("`{}` was compiled for one shape", self.name));
        self.graph.as_ref().ok_or_else(one_shape)
    }
}

/// Small constants that lie in files.
type Constants = BTreeMap<(u32, u64, u64), Vec<u8>>;

fn kept(constants: &Constants, range: &ByteRange) -> Result<Vec<u8>, String> {
    constants.get(&key(range)).cloned().ok_or_else(|| "it was not kept".to_string())
}

/// What several functions load, together; of one it is what it loads itself.
fn union(
    members: &[Member],
    target: &Target,
    options: &Options,
    constants: &Constants,
) -> Result<Option<Weights>, CompileError> {
    let mut weights = Weights::default();
    let with_programs: Vec<&Member> = members.iter().filter(|member| member.routes.is_none()).collect();
    for member in with_programs.iter().filter(|_| with_programs.len() > 1) {
        let (graph, point, pinned) = (member.graph()?, member.general(), Some(&member.pinned));
        let work = concrete::work(graph, &point, target, options, &|range| kept(constants, range), pinned)?;
        weights.add(&work.lowered, &work.stages);
    }
    Ok((with_programs.len() > 1).then_some(weights))
}

/// Whether two programs load the same weights to the same places.
fn same_weights(a: &Program, b: &Program) -> bool {
    let weights = |program: &Program| {
        let buffers = program.buffers.iter().enumerate();
        let kept = buffers.filter(|(_, b)| matches!(b.kind, BufferKind::Weight | BufferKind::Load));
        kept.map(|(index, b)| (index, b.offset, b.size, b.arena)).collect::<Vec<_>>()
    };
    a.uploads == b.uploads && a.load == b.load && weights(a) == weights(b)
}

fn key(range: &ByteRange) -> (u32, u64, u64) {
    (range.file.0, range.offset, range.len)
}

/// Reads the small constants that lie in files.
fn keep_constants(
    graph: &Graph,
    read: &ReadConstant<'_>,
    kept: &mut BTreeMap<(u32, u64, u64), Vec<u8>>,
) -> Result<(), CompileError> {
    for value in &graph.values {
        let ValueSource::Constant(ConstData::Range(range)) = &value.source else { continue };
        if range.len <= MAX_CONSTANT && !kept.contains_key(&key(range)) {
            let error = |reason| CompileError::Constant { name: value.name.to_string(), reason };
            kept.insert(key(range), read(range).map_err(error)?);
        }
    }
    Ok(())
}
