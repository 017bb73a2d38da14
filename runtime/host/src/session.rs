//! A model on the host, ready to run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bayplan_compile::session::{
    Counters, Given as Buffer, Lease, Lru, OutputPool, OverBudget, Progress, ShapeKey, Usage, check_budget,
    match_into, owned_buffers,
};
use bayplan_compile::{
    Arena, BufferId, CompileError, Family, FunctionId, OutputPolicy, Port, Program, Step, match_inputs,
    verify,
};
use bayplan_expr::Bindings;
use bayplan_graph::Tensor;
use bayplan_record::{Recording, RecordingOptions, Summary};
use bayplan_weights::Store;

use crate::device_tensor::{DeviceTensor, Input, given};
use crate::error::HostError;
use crate::machine::{Machine, Phase};
use crate::memory::Cells;
use crate::outputs::{Lent, Outputs, Slot};
use crate::system;
use crate::tracing::Trace;

/// How to build a session.
pub type SessionOptions = bayplan_compile::session::SessionOptions<RecordingOptions>;

/// A model on the host: verified, memory allocated, weights loaded.
///
/// It may have been compiled for any target: what its dispatches compute is told by their specs.
pub struct Session {
    // First, so that the recording ends before the memory goes.
    trace: Trace,
    machine: Machine,
    family: Arc<Family>,
    shapes: Lru<ShapeKey>,
    /// By their place in `shapes`.
    programs: Vec<Shape>,
    pool: OutputPool,
    timeout: Option<Duration>,
    memory: Option<u64>,
    counters: Counters,
    runs: u64,
}

/// A program at hand, and the number of its plan in the recording.
#[derive(Clone)]
struct Shape {
    program: Arc<Program>,
    plan: Option<u32>,
}

impl Session {
    /// Builds a session: everything a run needs is allocated and loaded here. `family` is a [`Family`], shared or not, or
    /// one [`Program`].
    ///
    /// If the folder of recordings cannot be written, the session is built without one ([`Recording::refused`] says why).
    ///
    /// # Errors
    /// The program is not sound, memory does not suffice, a symbol has no upper bound, a weight cannot be read, or the file
    /// to record to cannot be written.
    pub fn new(
        family: impl Into<Arc<Family>>,
        weights: &Store,
        mut options: SessionOptions,
    ) -> Result<Self, HostError> {
        let family = family.into();
        let activations = fitting(&family, options.memory)?;
        let mut trace = Trace::begin(options.recording.take(), family.first(), activations)?;
        let mut session = Self::build(family, activations, weights, &options, &mut trace)?;
        session.trace.ready(session.machine.program());
        session.first_plan(Some(0));
        Ok(session)
    }

    /// Builds a session that goes on with the recording of another one, as one plan of a model follows another. Runs are
    /// counted on. Options for a recording of its own mean nothing.
    ///
    /// # Errors
    /// As [`Session::new`]; `before` has its recording still.
    pub fn after(
        before: &mut Self,
        family: impl Into<Arc<Family>>,
        weights: &Store,
        options: &SessionOptions,
    ) -> Result<Self, HostError> {
        let family = family.into();
        let activations = fitting(&family, options.memory)?;
        let mut trace = Trace::going_on(&mut before.trace, family.first(), activations);
        match Self::build(family, activations, weights, options, &mut trace) {
            Ok(mut session) => {
                session.runs = before.runs;
                let plan = session.trace.go_on(session.machine.program());
                session.first_plan(plan);
                Ok(session)
            }
            Err(e) => {
                before.trace.take_over(&mut trace);
                Err(e)
            }
        }
    }

    /// Passes the recording on to a session that takes turns with this one, and with it the count of runs.
    pub fn hand_over(&mut self, to: &mut Self) {
        to.runs = self.runs;
        to.trace.take_over(&mut self.trace);
    }

    /// Ends a session that takes turns with another, which goes on: the recording is told that its plans are not at hand any
    /// more, and that its memory is freed.
    pub fn give_way(self, to: &mut Self) {
        to.trace.bury(&self.trace, self.programs.iter().filter_map(|shape| shape.plan));
    }

    /// Everything that runs need. The session takes the trace once it is built.
    fn build(
        family: Arc<Family>,
        activations: u64,
        weights: &Store,
        options: &SessionOptions,
        trace: &mut Trace,
    ) -> Result<Self, HostError> {
        let first = Arc::new(family.first().clone());
        let mut machine = Machine::shared(Arc::clone(&first), activations);
        let watch = options.progress.clone().map(Progress::into_watch);
        let arrivals = trace.recording().loading(first.upload_bytes(), watch);
        machine
            .load_counted(weights, options.io, &arrivals, &options.cancel)
            .inspect_err(|e| trace.recording().message(e.severity(), e.to_string()))?;
        arrivals.finish();
        let pool = OutputPool::new(first.target.storage_alignment, options.outputs);
        let [_, weights_bytes, load, _] = first.arena_bytes;
        let arenas = [activations, weights_bytes, load].into_iter().filter(|&bytes| bytes > 0).count() as u64;
        let counters = Counters { device_allocations: arenas, ..Counters::default() };
        let mut shapes = Lru::new(options.shapes);
        shapes.claim(ShapeKey { function: FunctionId::default(), dims: first.dims.clone() });
        let mut trace = std::mem::take(trace);
        trace.outputs(&pool);
        Ok(Self {
            trace,
            machine,
            family,
            shapes,
            programs: vec![Shape { program: first, plan: None }],
            pool,
            timeout: options.timeout,
            memory: options.memory,
            counters,
            runs: 0,
        })
    }

    /// The number of the plan that the session was built with.
    fn first_plan(&mut self, plan: Option<u32>) {
        if let Some(shape) = self.programs.first_mut() {
            shape.plan = plan;
        }
    }

    /// Runs the model once. The outputs are lent until the next run.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub fn run(&mut self, inputs: &[(&str, &Tensor)]) -> Result<Outputs<'_>, HostError> {
        self.run_into(inputs, &mut [])
    }

    /// Runs one of its functions.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub fn run_function(
        &mut self,
        function: FunctionId,
        inputs: &[(&str, &Tensor)],
    ) -> Result<Outputs<'_>, HostError> {
        self.call(function, &hosted(inputs), &mut [])
    }

    /// Runs the model once; outputs with the policy `Into` are written to the buffers given.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub fn run_into(
        &mut self,
        inputs: &[(&str, &Tensor)],
        outputs: &mut [(&str, &mut DeviceTensor)],
    ) -> Result<Outputs<'_>, HostError> {
        self.call(FunctionId::default(), &hosted(inputs), outputs)
    }

    /// Runs a function with inputs and outputs wherever they lie.
    ///
    /// # Errors
    /// Before anything is written: an input is missing, unknown, given twice, or of another type or shape than the model's;
    /// a dim is outside its bounds; the shape needs more memory than the session was given; a buffer for an output is
    /// missing or does not fit; the output arena is full. Later: the run exceeds its time limit.
    pub fn call(
        &mut self,
        function: FunctionId,
        inputs: &[(&str, Input<'_>)],
        outputs: &mut [(&str, &mut DeviceTensor)],
    ) -> Result<Outputs<'_>, HostError> {
        let named: Vec<(&str, &Input<'_>)> = inputs.iter().map(|(name, input)| (*name, input)).collect();
        let dims = self.family.dims(function, &named)?;
        let function = self.way(function, &dims, &named)?;
        let Shape { program, plan } = self.shape(ShapeKey { function, dims })?;
        let ordered = ordered(&program, &named)?;
        let given: Vec<Buffer<'_>> = outputs.iter().map(|(name, tensor)| tensor.buffer(name)).collect();
        let into = match_into(&program, &given)?;
        let owned = self.reserve(&program)?;

        self.machine.turn(Arc::clone(&program));
        let run = self.runs;
        self.runs += 1;
        self.trace.run_started(run, plan);
        let bound = self.bind(&program, &into, outputs, &owned);
        let result = bound.and_then(|()| self.execute(&program, &ordered));
        self.trace.run_ended(run, &result);
        let places = self.unbind(&program, &into, outputs, owned, result.is_ok());
        result?;
        Ok(Outputs::new(&self.machine, places))
    }

    /// The function that a run of a function takes: itself, or, where it has Ifs, the way that its conditions say. Those
    /// that must be computed are.
    fn way(
        &mut self,
        function: FunctionId,
        dims: &Bindings,
        inputs: &[(&str, &Input<'_>)],
    ) -> Result<FunctionId, HostError> {
        let tensors: Vec<(&str, &Tensor)> =
            inputs.iter().filter_map(|(name, input)| Some((*name, input.host()?))).collect();
        let mut decided = Vec::new();
        loop {
            match self.family.next(function, dims, &tensors, &decided)? {
                Step::Run(way) => return Ok(way),
                Step::Decide(condition) => {
                    decided.push(self.decide(ShapeKey { function: condition, dims: dims.clone() }, inputs)?);
                }
            }
        }
    }

    /// Runs a function that computes a condition.
    fn decide(&mut self, key: ShapeKey, inputs: &[(&str, &Input<'_>)]) -> Result<bool, HostError> {
        let Shape { program, plan } = self.shape(key)?;
        let inputs = ordered(&program, inputs)?;
        self.machine.turn(Arc::clone(&program));
        self.trace.run_started(self.runs, plan);
        let bound = self.bind(&program, &[], &mut [], &[]);
        let result = bound.and_then(|()| self.execute(&program, &inputs));
        self.machine.memory_mut().free(Arena::External);
        self.trace.run_ended(self.runs, &result);
        self.runs += 1;
        result?;
        let no_output = || HostError::Port { name: program.name.clone(), problem: "it has no output".into() };
        let answer = self.machine.output(program.outputs.first().ok_or_else(no_output)?)?;
        Ok(answer.bytes().iter().any(|&byte| byte != 0))
    }

    fn execute(&mut self, program: &Program, inputs: &[&Input<'_>]) -> Result<(), HostError> {
        let begun = Instant::now();
        self.machine.begin_with(inputs.iter().map(|&&input| given(input)))?;
        for index in 0..program.run.dispatches.len() {
            let started = self.trace.op_started();
            self.machine.step(Phase::Run, index)?;
            self.trace.op_ended(index as u32, started);
            if let Some(limit) = self.timeout.filter(|limit| begun.elapsed() > *limit) {
                return Err(HostError::Timeout { limit });
            }
        }
        self.machine.end()
    }

    /// The program of a shape: at hand, or instantiated and verified now.
    fn shape(&mut self, key: ShapeKey) -> Result<Shape, HostError> {
        if let Some(shape) = self.shapes.find(&key).and_then(|index| self.programs.get(index)) {
            self.afford(&shape.program)?;
            return Ok(shape.clone());
        }
        let begun = Instant::now();
        let program = self.family.at(key.function, &key.dims)?;
        self.counters.instantiate_ns += nanoseconds(begun);
        let begun = Instant::now();
        check(&program)?;
        self.counters.verify_ns += nanoseconds(begun);
        self.counters.shapes += 1;
        self.afford(&program)?;
        let plan = self.trace.planned(&program);
        let shape = Shape { program: Arc::new(program), plan };
        let index = self.shapes.claim(key);
        match self.programs.get_mut(index) {
            Some(place) => self.trace.retire(std::mem::replace(place, shape.clone()).plan),
            None => self.programs.push(shape.clone()),
        }
        Ok(shape)
    }

    /// Refuses what needs more memory than the session was given.
    fn afford(&self, program: &Program) -> Result<(), OverBudget> {
        self.memory.map_or(Ok(()), |given| check_budget(program, given))
    }

    /// Slots for the outputs that the caller keeps.
    fn reserve(&mut self, program: &Program) -> Result<Vec<(BufferId, Lease)>, HostError> {
        let all = owned_buffers(program);
        let sizes: Vec<u64> = all.iter().map(|&(_, bytes)| bytes).collect();
        let (growths, mut grown) = (&mut self.counters.output_growths, Vec::new());
        // Each slot is memory of its own: a block is but a number.
        let leases = self.pool.take(&sizes, &mut |bytes| -> Result<(), HostError> {
            *growths += 1;
            grown.push(bytes);
            Ok(())
        });
        grown.into_iter().for_each(|bytes| self.trace.recording().output_arena_grew(bytes));
        let leases = leases?;
        Ok(all.into_iter().map(|(buffer, _)| buffer).zip(leases).collect())
    }

    /// Gives each buffer outside the arena its memory.
    fn bind(
        &mut self,
        program: &Program,
        into: &[Option<usize>],
        outputs: &mut [(&str, &mut DeviceTensor)],
        owned: &[(BufferId, Lease)],
    ) -> Result<(), HostError> {
        let mut lent: Vec<(BufferId, usize)> = Vec::new();
        for (port, index) in program.outputs.iter().zip(into) {
            lent.extend(index.map(|index| (port.window.buffer, index)));
        }
        let external = (0..).zip(&program.buffers).filter(|(_, buffer)| buffer.arena == Arena::External);
        // An empty buffer lies where the next one does, and needs no memory.
        let external = external.filter(|(_, buffer)| buffer.size > 0);
        for (id, buffer) in external.map(|(id, buffer)| (BufferId(id), buffer)) {
            let of_caller =
                lent.iter().find(|(own, _)| *own == id).and_then(|&(_, index)| outputs.get_mut(index));
            let cells = match of_caller {
                Some((_, tensor)) => tensor.lend(),
                None => {
                    let kept = owned.iter().any(|(own, _)| *own == id);
                    let arena = if kept { "output" } else { Arena::External.name() };
                    Cells::poisoned(buffer.size).ok_or(HostError::Memory { arena, bytes: buffer.size })?
                }
            };
            self.machine.memory_mut().bind(buffer, cells);
        }
        Ok(())
    }

    /// Takes the memory of the buffers outside the arena back, and says where each output lies.
    fn unbind(
        &mut self,
        program: &Program,
        into: &[Option<usize>],
        outputs: &mut [(&str, &mut DeviceTensor)],
        owned: Vec<(BufferId, Lease)>,
        done: bool,
    ) -> Vec<Lent> {
        let memory = self.machine.memory_mut();
        let mut cells_of = |id: BufferId| {
            let buffer = program.buffers.get(id.0 as usize).filter(|buffer| buffer.size > 0)?;
            memory.unbind(buffer)
        };
        let slot = |(id, lease)| (id, Arc::new(Slot { cells: cells_of(id).unwrap_or_default(), lease }));
        let slots: Vec<(BufferId, Arc<Slot>)> = owned.into_iter().map(slot).collect();
        for (port, index) in program.outputs.iter().zip(into) {
            if let Some((_, tensor)) = index.and_then(|index| outputs.get_mut(index)) {
                // What was not lent is still there.
                if let Some(cells) = cells_of(port.window.buffer) {
                    tensor.put(cells);
                }
                if done {
                    tensor.wrote(within(program, port));
                }
            }
        }
        memory.free(Arena::External);
        let place = |(port, policy): (&Port, &OutputPolicy)| match policy {
            OutputPolicy::Borrow => Lent::Arena,
            OutputPolicy::Into => Lent::Gone,
            OutputPolicy::Own => {
                let slot = slots.iter().find(|(id, _)| *id == port.window.buffer);
                slot.map_or(Lent::Gone, |(_, slot)| Lent::Slot(Arc::clone(slot), within(program, port)))
            }
        };
        program.outputs.iter().zip(&program.output_policies).map(place).collect()
    }

    /// What it serves.
    pub fn family(&self) -> &Arc<Family> {
        &self.family
    }

    /// The program of the last run; before the first run, that which loaded the weights.
    pub fn program(&self) -> &Program {
        self.machine.program()
    }

    /// The recording.
    pub fn recording(&self) -> &Recording {
        self.trace.recording()
    }

    /// Runs begun so far.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How full its output arena is.
    pub fn output_usage(&self) -> Usage {
        self.pool.usage()
    }

    /// The memory that the program runs in.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Ends the session and says what became of its recording.
    pub fn finish(mut self) -> Summary {
        self.trace.finish()
    }
}

/// An output's port with its window counted from where its buffer begins.
fn within(program: &Program, port: &Port) -> Port {
    let start = program.buffers.get(port.window.buffer.0 as usize).map_or(0, |buffer| buffer.offset);
    let mut own = port.clone();
    own.window.offset = own.window.offset.saturating_sub(start);
    own
}

/// What is given for each of a program's inputs. A function may read fewer than the model has.
fn ordered<'i>(program: &Program, given: &[(&str, &'i Input<'i>)]) -> Result<Vec<&'i Input<'i>>, HostError> {
    let reads = |name: &str| program.inputs.iter().any(|port| port.name == name);
    let read: Vec<(&str, &Input<'_>)> = given.iter().copied().filter(|(name, _)| reads(name)).collect();
    Ok(match_inputs(&program.inputs, &read)?)
}

fn hosted<'a>(inputs: &[(&'a str, &'a Tensor)]) -> Vec<(&'a str, Input<'a>)> {
    inputs.iter().map(|&(name, tensor)| (name, Input::Host(tensor))).collect()
}

fn nanoseconds(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn check(program: &Program) -> Result<(), HostError> {
    let unsound = |reason: String| HostError::Program { name: program.name.clone(), reason };
    verify(program).map_err(|violation| unsound(violation.to_string()))
}

/// Bytes of the activation arena of a family that is sound and finds memory.
fn fitting(family: &Family, memory: Option<u64>) -> Result<u64, HostError> {
    check(family.first())?;
    let activations = activations(family, memory)?;
    let [_, weights, load, _] = family.first().arena_bytes;
    let needed = weights.saturating_add(load);
    if let Some(given) = memory.filter(|&given| needed > given) {
        return Err(OverBudget { needed, given, dims: Bindings::new() }.into());
    }
    check_bytes([activations, weights, load, 0])?;
    Ok(activations)
}

/// Bytes of the activation arena: enough for all shapes, or what a budget leaves.
fn activations(family: &Family, memory: Option<u64>) -> Result<u64, HostError> {
    let weights = family.first().arena_bytes[Arena::Weights.index()];
    let left = memory.map(|given| given.saturating_sub(weights));
    let all = family.reservation().map(|reserved| reserved.arena_bytes[Arena::Activations.index()]);
    match (all, left) {
        (Ok(all), left) => Ok(left.map_or(all, |left| left.min(all))),
        (Err(CompileError::Unbounded { .. }), Some(left)) => Ok(left),
        (Err(e), _) => Err(e.into()),
    }
}

/// Refuses what the machine's memory does not hold, before anything is allocated.
///
/// # Errors
/// [`HostError::Memory`]: which arena, and its bytes.
pub fn check_memory(program: &Program) -> Result<(), HostError> {
    check_bytes(program.arena_bytes)
}

fn check_bytes(arena_bytes: [u64; Arena::ALL.len()]) -> Result<(), HostError> {
    // With a bit for each word.
    let [activations, weights, load, _] = arena_bytes.map(|bytes| bytes.saturating_add(bytes / 32));
    let Some(memory) = system::memory() else { return Ok(()) };
    let (bytes, arena) =
        (activations.max(load), if activations < load { Arena::Load } else { Arena::Activations });
    if weights > memory.available {
        return Err(HostError::Memory { arena: Arena::Weights.name(), bytes: weights });
    }
    if weights.saturating_add(bytes) > memory.available {
        return Err(HostError::Memory { arena: arena.name(), bytes });
    }
    Ok(())
}
