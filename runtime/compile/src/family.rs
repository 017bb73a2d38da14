//! A model compiled for every shape within bounds: several functions, one weights arena, one activations arena.

mod demand;
mod explore;
mod function;
mod member;
mod reference;
mod reserve;
mod spread;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bayplan_expr::{Bindings, Scope, memory as formula};
use bayplan_graph::{BindError, ByteRange, ConstData, Graph, ValueSource};
use bayplan_shaders::{Kernel, Target};

use self::demand::compiled_at;
pub(crate) use self::explore::same_weights;
use self::explore::{Explored, checked, explored};
pub use self::function::{Dims, Function, FunctionId};
use self::member::Member;
pub use self::reserve::Reservation;
use crate::cell::{Phase, Purpose};
use crate::error::CompileError;
use crate::family_paths::{self, Routes};
use crate::fold::{MAX_CONSTANT, ReadConstant};
use crate::inputs::{InputError, Shaped, check_specialised, given_of, match_shapes, shapes};
use crate::paths::Paths;
use crate::plan_file::ShapePlan;
use crate::program::Program;
use crate::weights::Weights;
use crate::{Options, family_dims, policy};

/// How often weights that parts of boxes need are added to those of all.
pub(crate) const MAX_UNIONS: u32 = 8;

/// A model compiled for every shape within bounds.
///
/// All its programs have the same weights: [`Program::uploads`], [`Program::load`] and the buffers of the arenas
/// [`Arena::Weights`](crate::Arena::Weights) and [`Arena::Load`](crate::Arena::Load) are equal, with equal [`BufferId`](crate::BufferId)s.
#[derive(Clone, Debug)]
pub struct Family {
    functions: Vec<Member>,
    target: Target,
    options: Options,
    /// The small constants that lie in files: shapes that come later fold with them.
    constants: Constants,
    first: Program,
    /// What all functions load, if there are several.
    weights: Option<Weights>,
    /// Bytes above which a tensor is of no use, if that is known.
    most: Option<u64>,
    reserved: Result<Reservation, CompileError>,
}

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
        Self::made(functions, None, target, options, read)
    }

    /// As [`Family::new`], but compiled only near the upper corner of the box, or as near to it as the target can run, and at the
    /// shapes `also`: the rest of the box is compiled when it is asked for ([`Family::cover`]), and nothing is known of what to
    /// reserve ([`Family::within`] finds it). Shapes with a tensor of more than `most` bytes are refused.
    pub(crate) fn on_demand(
        function: &Function<'_>,
        most: u64,
        also: &[Bindings],
        target: &Target,
        options: &Options,
        read: &ReadConstant<'_>,
    ) -> Result<Self, CompileError> {
        Self::made(&[*function], Some((most, also)), target, options, read)
    }

    /// Compiled for what is seen beforehand of the box, or on demand.
    fn made(
        functions: &[Function<'_>],
        on_demand: Option<(u64, &[Bindings])>,
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
            if on_demand.is_none() {
                member.foresee();
            }
            if paths.functions().first().is_some_and(|first| first.graph != *function.graph) {
                let first = functions.len() + ways.len();
                for way in paths.functions() {
                    let dims = family_paths::dims_of(way, function.dims)?;
                    let function = Function { name: &way.name, graph: &way.graph, dims: &dims };
                    let way = Member::new(&function, Some(way.role))?;
                    if on_demand.is_none() {
                        way.foresee();
                    }
                    ways.push(way);
                }
                member.routes = Some(Routes { paths, first });
            }
            members.push(member);
        }
        members.extend(ways);
        let read = |range: &ByteRange| kept(&constants, range);
        let most = on_demand.map(|(most, _)| most);
        let purpose = Purpose { most, ..Purpose::new(target, options, &read) };
        let (first, reserved, weights) = match on_demand {
            None => {
                let (Explored { first, reserved }, weights) = explored(&members, purpose)?;
                (first, checked(&members, reserved, target), weights)
            }
            Some((_, also)) => {
                let (first, weights) = compiled_at(&members, also, purpose)?;
                (first, Err(CompileError::Unexplored), weights)
            }
        };
        let (target, options) = (target.clone(), options.clone());
        Ok(Self { functions: members, target, options, constants, first, weights, most, reserved })
    }

    /// Compiles what the functions need at a shape, and at those that have another value of `free` alone, unless some compile
    /// serves it already. Whether every function has a part for it then: not where the model does not take the shape.
    ///
    /// # Errors
    /// As [`Family::at`]; [`CompileError::Weights`] where weights lie otherwise than in what was compiled before.
    pub(crate) fn cover(&self, free: &str, dims: &Bindings) -> Result<bool, CompileError> {
        let read = |range: &ByteRange| kept(&self.constants, range);
        let purpose = self.purpose(&read);
        let mut all = true;
        for (id, member) in self.functions().map(|(id, _)| id).zip(&self.functions) {
            if member.routes.is_some() || member.is_fixed() {
                continue;
            }
            let Ok((_, whole)) = self.whole(id, dims) else { return Ok(false) };
            if !member.serves(&whole) {
                return Ok(false);
            }
            let point = member.point(&whole)?;
            if !member.covers(&point) {
                let cell = member.keep_along(free, &point, purpose)?;
                if !same_weights(&self.first, &cell.first) {
                    return Err(CompileError::Weights { function: member.name.clone(), dims: whole });
                }
                all &= member.covers(&point);
            }
        }
        Ok(all)
    }

    /// [`Family::memory`] where the model takes the shape; elsewhere no part is what runs.
    pub(crate) fn memory_of_served(&self) -> Result<formula::MemoryFunction, CompileError> {
        let mut memory = self.memory()?;
        for member in &self.functions {
            let conditions = member.conditions();
            let own = memory.functions.iter_mut().filter(|function| function.name == member.name);
            own.for_each(|function| function.when.extend(conditions.iter().cloned()));
        }
        Ok(memory)
    }

    /// The bytes of a function's activations, one for each part of its box that was compiled and has a plan for all its shapes.
    pub(crate) fn formulas(&self, function: FunctionId) -> Vec<Arc<formula::Function>> {
        self.member(function).map(Member::formulas).unwrap_or_default()
    }

    /// The same for smaller bounds, as a runtime chooses them when it starts ([`Family::memory`] says what fits): what
    /// is reserved follows from the formulas, by the plans that there are. Nothing is compiled or planned again, but for a
    /// point looked at beforehand that no compile serves ([`Family::compiles`] tells). Symbols that `bounds` does not name keep theirs.
    ///
    /// # Errors
    /// [`CompileError::Bind`]: no function has such a symbol without a value, or it has no value left.
    pub fn within(&self, bounds: &Scope) -> Result<Self, CompileError> {
        let known = || self.functions.iter().flat_map(Member::symbols);
        if let Some((symbol, _)) = bounds.iter().find(|(symbol, _)| known().all(|own| own != *symbol)) {
            let known: BTreeSet<String> = known().map(str::to_owned).collect();
            let (symbols, known) = (vec![symbol.to_owned()], known.into_iter().collect());
            return Err(CompileError::Bind(BindError::Unknown { symbols, known }.to_string()));
        }
        let functions =
            self.functions.iter().map(|member| member.within(bounds)).collect::<Result<Vec<_>, _>>()?;
        let mut within = Self { functions, ..self.clone() };
        let read = |range: &ByteRange| kept(&self.constants, range);
        let purpose = self.purpose(&read);
        let own = within.functions.iter().filter(|member| member.routes.is_none() && !member.is_fixed());
        let spreads: Vec<Arc<Member>> = own.clone().flat_map(Member::spreads).collect();
        let mut own = own.chain(spreads.iter().map(|spread| &**spread));
        if let Some(member) = own.next() {
            if let Some(dims) = member.points().into_iter().find(|dims| member.serves(dims)) {
                within.first = member.program(&dims, purpose, &mut |_| {})?;
            }
            let mut reserved = Reservation::of(&within.first);
            for member in std::iter::once(member).chain(own) {
                member.reserve(purpose, &mut reserved, &self.first)?;
            }
            within.reserved = checked(&within.functions, reserved, &self.target);
        }
        Ok(within)
    }

    /// How many times it was compiled and planned so far: once for each part of a box that decides something in another
    /// way.
    pub fn compiles(&self) -> usize {
        self.functions.iter().map(Member::compiles).sum()
    }

    /// A family of one program: it serves the shape that it was compiled for.
    pub fn of(program: Program) -> Self {
        Self {
            functions: vec![Member::of(&program)],
            target: program.target.clone(),
            options: Options::default(),
            constants: BTreeMap::new(),
            reserved: Ok(Reservation::of(&program)),
            most: None,
            first: program,
            weights: None,
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
        let Ok(member) = self.member(function) else {
            return Err(InputError::NoFunction { number: function.0, functions: self.functions.len() });
        };
        let graph = member.graph.as_ref().map(|(graph, _)| graph);
        check_specialised(graph.map_or(&self.first.specialised, |graph| &graph.specialised), inputs)?;
        let inputs = &given_of(inputs);
        match &member.graph {
            Some((graph, open)) => family_dims::dims(graph, member.known(open), inputs)
                .or_else(|e| member.spread_dims(inputs).ok_or(e)),
            None => {
                let Program { inputs: ports, prologue, dims, .. } = &self.first;
                let mut dims = dims.clone();
                match_shapes(ports, &shapes(inputs))?;
                family_dims::computed(prologue, &mut dims, &Scope::new(), inputs).map(|()| dims)
            }
        }
    }

    /// The program of a function at a shape: a value for each symbol; those that are pinned, or that
    /// follow from others, may be left out.
    ///
    /// # Errors
    /// Dims outside the bounds, or as [`compile`](crate::compile).
    pub fn at(&self, function: FunctionId, dims: &Bindings) -> Result<Program, CompileError> {
        self.at_with(function, dims, &mut |_| {})
    }

    /// As [`Family::at`]; `done` hears of each step when it is done.
    ///
    /// # Errors
    /// As [`Family::at`].
    pub fn at_with(
        &self,
        function: FunctionId,
        dims: &Bindings,
        done: &mut dyn FnMut(Phase),
    ) -> Result<Program, CompileError> {
        let (member, dims) = self.whole(function, dims)?;
        if member.is_fixed() {
            return Ok(self.first.clone());
        }
        let read = |range: &ByteRange| kept(&self.constants, range);
        let program = member.program(&dims, self.purpose(&read), done)?;
        if !same_weights(&self.first, &program) {
            return Err(CompileError::Weights { function: member.name.clone(), dims });
        }
        match &self.reserved {
            Ok(reserved) if !reserved.holds(&program) => match member.spread(&dims) {
                Some(_) => Err(CompileError::Spread { dims }),
                None => Err(CompileError::Reserved { dims }),
            },
            _ => Ok(program),
        }
    }

    /// Liveness and plan of a function at a shape as a compile for that shape alone makes them, for whoever measures them:
    /// `turn` is called as they begin and when they are done.
    ///
    /// # Errors
    /// As [`Family::at`]; a program that was compiled elsewhere.
    pub fn liveness_and_plan(
        &self,
        function: FunctionId,
        dims: &Bindings,
        turn: &mut dyn FnMut(),
    ) -> Result<(), CompileError> {
        let (member, dims) = self.whole(function, dims)?;
        let read = |range: &ByteRange| kept(&self.constants, range);
        let purpose = Purpose { weights: None, ..self.purpose(&read) };
        member.liveness_and_plan(&dims, purpose, turn)
    }

    /// What its compiles are for.
    fn purpose<'a>(&'a self, read: &'a ReadConstant<'a>) -> Purpose<'a> {
        let (weights, most) = (self.weights.as_ref(), self.most);
        Purpose { weights, most, ..Purpose::new(&self.target, &self.options, read) }
    }

    /// A function that has programs of its own, and all its dims.
    fn whole(&self, function: FunctionId, dims: &Bindings) -> Result<(&Member, Bindings), CompileError> {
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
            Some((graph, _)) if is_way => member.whole(&family_paths::own(graph, dims))?,
            _ => member.whole(dims)?,
        };
        Ok((member, dims))
    }

    /// Plans of the activations for all shapes: one for each function and each part of its box that has its own.
    pub fn plans(&self) -> Vec<ShapePlan> {
        self.functions.iter().flat_map(Member::plans).collect()
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

    /// Shapes of a function that between them show what its programs need beside memory, which [`Family::reservation`] says,
    /// and kernels ([`Family::kernels`]): a general one, corners of its box, dims of 0 and 1, as far as the model has them.
    pub fn points(&self, function: FunctionId) -> Vec<Bindings> {
        match self.member(function) {
            Ok(member) if member.is_fixed() => vec![self.first.dims.clone()],
            Ok(member) if member.routes.is_none() => {
                let spreads = member.spreads();
                let own = |member: &Member| {
                    let points = member.points().into_iter();
                    points.filter(|dims| member.serves(dims)).collect::<Vec<Bindings>>()
                };
                own(member).into_iter().chain(spreads.iter().flat_map(|spread| own(spread))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The kernels that a function's shapes may choose, each once: a session that has them all makes none at a run.
    pub fn kernels(&self, function: FunctionId) -> Vec<Arc<Kernel>> {
        match self.member(function) {
            Ok(member) if member.is_fixed() => self.first.kernels.clone(),
            Ok(member) if member.routes.is_none() => member.kernels(),
            _ => Vec::new(),
        }
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

/// Small constants that lie in files.
type Constants = BTreeMap<(u32, u64, u64), Vec<u8>>;

fn kept(constants: &Constants, range: &ByteRange) -> Result<Vec<u8>, String> {
    constants.get(&key(range)).cloned().ok_or_else(|| "it was not kept".to_string())
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
