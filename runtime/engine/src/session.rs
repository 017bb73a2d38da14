//! A family of programs on a device, ready to run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bayplan_compile::host_node::Memo;
use bayplan_compile::session::{Counters, Progress, ShapeKey, Usage, check_budget};
use bayplan_compile::{Arena, Family, FunctionId, Port, Program, Step, device_size};
use bayplan_expr::Bindings;
use bayplan_graph::Tensor;
use bayplan_record::Summary;
use bayplan_vulkan::Ticket;
use bayplan_weights::Store;

use crate::SessionOptions;
use crate::arena::Arenas;
use crate::build::{Loaded, begin_loading, free_load, instantiate, nanos, prepare, purposes};
use crate::check::{Sound, together};
use crate::commands::{Objects, record_part};
use crate::device::Device;
use crate::early::Early;
use crate::error::EngineError;
use crate::external::Placement;
use crate::input::Input;
use crate::instruments::Instruments;
use crate::load::Origin;
use crate::output_memory::OutputMemory;
use crate::outputs::Outputs;
use crate::params::{Params, Room};
use crate::parts::{Part, compute};
use crate::ports::{Bound, Given};
use crate::shape::{Shape, Shapes};
use crate::tensor::DeviceTensor;
use crate::tracing::Trace;
use crate::transfer::{Transfer, wait};

/// A family of programs on a device: memory allocated, kernels compiled, weights loaded.
///
/// It serves every shape within the family's bounds. A shape that was not seen before, or not for long, is instantiated
/// and recorded; one that is at hand is submitted as it is. Neither allocates device memory, and kernels were compiled when the
/// session was built.
///
/// A session may be moved to another thread. Dropping it ends its recording, waits for a run that exceeded its time limit,
/// and frees its memory; outputs that callers keep outlive it.
pub struct Session {
    // First, so that the recording ends even where the device never does.
    trace: Trace,
    device: Device,
    family: Arc<Family>,
    arenas: Arenas,
    params: Params,
    /// Weights that have not arrived yet.
    early: Option<Early>,
    imported: Option<crate::Imported>,
    shapes: Shapes,
    instruments: Instruments,
    transfer: Arc<Transfer>,
    outputs: OutputMemory,
    memory: Option<u64>,
    timeout: Option<Duration>,
    /// The shape of the last run.
    current: Option<usize>,
    /// The last submission, until it is known to be done.
    pending: Option<Ticket>,
    runs: u64,
    counters: Counters,
    #[cfg(feature = "faults")]
    planted: crate::faults::Planted,
}

impl Session {
    /// Builds a session: everything that runs need is allocated, compiled and loaded here.
    ///
    /// A [`Program`] is a family of one shape. If the folder of recordings cannot be written, the session is built without
    /// one ([`Trace::refused`] says why).
    ///
    /// # Errors
    /// The family was compiled for another target or is not sound, some dim has no upper bound while no memory is given,
    /// memory does not suffice, a weight cannot be read, the file to record to cannot be written, or the driver fails.
    pub fn new(
        device: &Device,
        family: impl Into<Arc<Family>>,
        weights: &Store,
        mut options: SessionOptions,
    ) -> Result<Self, EngineError> {
        let sound = Sound::new(device, family.into(), options.memory)?;
        let mut trace = Trace::begin(options.recording.take(), sound.family.first(), device)?;
        let mut session = Self::build(device, sound, weights, &options, &mut trace)?;
        session.trace.ready(&session.device, &session.instruments);
        Ok(session)
    }

    /// Builds a session that goes on with the recording of another one on the same device, as one plan of a model follows
    /// another. Runs are counted on. Options for a recording of its own mean nothing.
    ///
    /// # Errors
    /// As [`Session::new`]; `before` has its recording still.
    pub fn after(
        before: &mut Self,
        family: impl Into<Arc<Family>>,
        weights: &Store,
        options: &SessionOptions,
    ) -> Result<Self, EngineError> {
        let device = before.device.clone();
        let sound = Sound::new(&device, family.into(), options.memory)?;
        let mut trace = Trace::going_on(&mut before.trace);
        match Self::build(&device, sound, weights, options, &mut trace) {
            Ok(mut session) => {
                session.runs = before.runs;
                session.trace.go_on(&session.device, &session.instruments);
                Ok(session)
            }
            Err(e) => {
                before.trace.take_over(&mut trace, &before.instruments);
                Err(e)
            }
        }
    }

    /// Passes the recording on to a session that takes turns with this one, and with it the count of runs.
    pub fn hand_over(&mut self, to: &mut Self) {
        to.runs = self.runs;
        to.trace.take_over(&mut self.trace, &to.instruments);
    }

    /// Ends a session that takes turns with another, which goes on: the recording is told that its plans are not at hand any
    /// more, and of its memory as that is freed.
    pub fn give_way(mut self, to: &mut Self) {
        to.trace.bury(&mut self.trace, self.shapes.plans());
    }

    /// Everything that runs need. What it tells goes to `trace`, which the session takes once it is built.
    fn build(
        device: &Device,
        Sound { family, reservation }: Sound,
        weights: &Store,
        options: &SessionOptions,
        trace: &mut Trace,
    ) -> Result<Self, EngineError> {
        let first = family.first();
        let vulkan = &device.vulkan;
        let build = device.ledger.build(vulkan);
        let mut counters = Counters::default();
        let needs = prepare(device, &family, &mut counters)?;
        let room = Room::of(&family, options.shapes).with_load(options.early);
        let align = family.target().uniform_alignment;
        let others = room.bytes(needs.params, align).saturating_add(options.outputs.bytes);
        let Loaded { mut arenas, bytes, imported } =
            Loaded::allocate(device, (first, &reservation), others, (weights, options.io))?;
        trace.imported(imported.as_ref());
        let mut params = Params::new(vulkan, align, &room, needs.params)?;
        let mapped = arenas.buffers().chain([params.buffer()]).all(|buffer| buffer.mapped().is_some());
        let transfer = Arc::new(Transfer::new(vulkan, mapped, needs.transfer)?);
        let watch = options.progress.clone().map(Progress::into_watch);
        let arrivals = Arc::new(trace.recording().loading(first.upload_bytes(), watch));
        let origin = Origin { store: weights, io: options.io, arrivals, cancel: options.cancel.clone() };
        let (mut early, mut memory) =
            begin_loading(device, &family, &arenas, &mut params, &transfer, origin)?;
        let early = if options.early && together(device, &bytes, options.memory) {
            Some(early)
        } else {
            let loaded = early.finish((&arenas, &params));
            loaded.inspect_err(|e| trace.recording().message(e.severity(), e.to_string()))?;
            params.free(early.slot);
            memory.extend(free_load(&mut arenas));
            None
        };
        arenas.allocate(vulkan, Arena::Activations, &reservation.blocks[Arena::Activations.index()])?;
        let outputs = OutputMemory::new(device, options.outputs)?;
        let instruments = Instruments::new(vulkan, trace.recorder().level(), needs.ops)?;
        let mut own = purposes(arenas.buffers().chain([params.buffer()]), &transfer, &instruments);
        own.extend(outputs.allocations());
        own.extend(memory);
        trace.planned(build.claim(own));
        let mut session = Self {
            trace: std::mem::take(trace),
            device: device.clone(),
            family,
            arenas,
            params,
            early,
            imported,
            shapes: Shapes::new(options.shapes),
            instruments,
            transfer,
            outputs,
            memory: options.memory,
            timeout: options.timeout,
            current: None,
            pending: None,
            runs: 0,
            counters,
            #[cfg(feature = "faults")]
            planted: crate::faults::Planted::new(device.fault),
        };
        session.trace.outputs(session.outputs.pool());
        if let Err(e) = session.warm() {
            *trace = std::mem::take(&mut session.trace);
            return Err(e);
        }
        Ok(session)
    }

    /// Runs the model once: writes all inputs, computes, waits. The outputs are lent until the next run.
    ///
    /// # Errors
    /// An input is missing, unknown, given twice, or of a type or shape that the family does not serve, or the shape needs
    /// more memory than the session was given (nothing was written then); the output arena is full; the run exceeds its
    /// time limit; the device is lost. After a run that exceeded its limit the next one first waits for it, within the
    /// same limit.
    pub fn run(&mut self, inputs: &[(&str, &Tensor)]) -> Result<Outputs<'_>, EngineError> {
        self.run_function(FunctionId::default(), inputs)
    }

    /// The same for a function of the family.
    ///
    /// # Errors
    /// As [`Session::run`], or there is no such function.
    pub fn run_function(
        &mut self,
        function: FunctionId,
        inputs: &[(&str, &Tensor)],
    ) -> Result<Outputs<'_>, EngineError> {
        let inputs: Vec<_> = inputs.iter().map(|&(name, tensor)| (name, Input::Host(tensor))).collect();
        self.call(function, &inputs, &mut [])
    }

    /// Runs the model once, with outputs of the policy [`Into`](bayplan_compile::OutputPolicy::Into) written straight into
    /// buffers of the caller's.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub fn run_into(
        &mut self,
        inputs: &[(&str, &Tensor)],
        into: &mut [(&str, &mut DeviceTensor)],
    ) -> Result<Outputs<'_>, EngineError> {
        let inputs: Vec<_> = inputs.iter().map(|&(name, tensor)| (name, Input::Host(tensor))).collect();
        self.call(FunctionId::default(), &inputs, into)
    }

    /// Runs a function once. Inputs may lie on the device already, and outputs go where they were compiled to go.
    ///
    /// # Errors
    /// As [`Session::run`]; a buffer for an output is missing, given twice, for no such output, of another type, too small,
    /// or of another device (nothing was written then).
    pub fn call(
        &mut self,
        function: FunctionId,
        inputs: &[(&str, Input<'_>)],
        into: &mut [(&str, &mut DeviceTensor)],
    ) -> Result<Outputs<'_>, EngineError> {
        let by_name: Vec<_> = inputs.iter().map(|(name, input)| (*name, input)).collect();
        let dims = self.family.dims(function, &by_name)?;
        self.settle()?;
        self.shapes.forget_dropped()?;
        let way = self.way(function, &dims, inputs)?;
        let (index, bound) = self.execute(way, &dims, inputs, into)?;
        self.current = Some(index);
        let Some(shape) = self.shapes.get(index) else { return Err(self.lost()) };
        for (port, given) in shape.program.outputs.iter().zip(&bound.into) {
            if let Some((_, tensor)) = given.and_then(|given| into.get_mut(given)) {
                tensor.set_shape(&port.shape);
            }
        }
        let shown = (0..bound.into.len()).filter(|&output| bound.into[output].is_none()).collect();
        Ok(Outputs::new(self, &shape.program.outputs, bound.owned, shown))
    }

    /// Finds which way a run takes through the model's Ifs. A condition that is computed on the device has a program of
    /// its own, whose one output says which branch is taken.
    fn way(
        &mut self,
        function: FunctionId,
        dims: &Bindings,
        inputs: &[(&str, Input<'_>)],
    ) -> Result<FunctionId, EngineError> {
        let mut decided = Vec::new();
        loop {
            let known: Vec<_> = inputs.iter().filter_map(on_host).collect();
            let condition = match self.family.next(function, dims, &known, &decided)? {
                Step::Run(way) => return Ok(way),
                Step::Decide(condition) => condition,
            };
            let (index, _) = self.execute(condition, dims, inputs, &[])?;
            let Some(shape) = self.shapes.get(index) else { return Err(self.lost()) };
            let Some(port) = shape.program.outputs.first() else { return Err(self.lost()) };
            let mut word = vec![0; device_size(port.dtype) as usize];
            self.read(port, &mut word)?;
            decided.push(word.iter().any(|&byte| byte != 0));
        }
    }

    /// Runs one program of the family: answers which shape it is and what the run gives away.
    fn execute(
        &mut self,
        function: FunctionId,
        dims: &Bindings,
        inputs: &[(&str, Input<'_>)],
        into: &[(&str, &mut DeviceTensor)],
    ) -> Result<(usize, Bound), EngineError> {
        let index = self.select(function, dims)?;
        let bound = self.bind(index, Given { inputs, into })?;
        self.record(index, &bound.placement)?;
        self.write(index, inputs, &bound)?;
        self.submit(index, &bound.placement)?;
        Ok((index, bound))
    }

    /// The family.
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// The program of the last run; before the first, that of a shape of no special dims.
    pub fn program(&self) -> &Program {
        let current = self.current.and_then(|index| self.shapes.get(index));
        current.map_or_else(|| self.family.first(), |shape| &shape.program)
    }

    /// The device it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The recording.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What the device reads in files, where [`Io::Import`](bayplan_compile::session::Io::Import) asks for that.
    pub fn imported(&self) -> Option<&crate::Imported> {
        self.imported.as_ref()
    }

    /// Runs submitted so far.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// What was done so far. In steady state, when all kernels are compiled, allocations and pipelines stay as they are.
    pub fn counters(&self) -> Counters {
        Counters {
            device_allocations: self.device.allocations().allocations,
            pipelines: self.device.pipelines_made(),
            output_growths: self.outputs.growths(),
            ..self.counters
        }
    }

    /// How full the output arena is.
    pub fn output_usage(&self) -> Usage {
        self.outputs.usage()
    }

    /// Ends the session and says what became of its recording.
    pub fn finish(mut self) -> Summary {
        self.early.iter().for_each(|early| early.loader.abandon());
        self.trace.finish()
    }

    /// All bytes of the activations, for tests.
    ///
    /// # Errors
    /// The last run did not end, or the driver fails.
    #[cfg(feature = "inspect")]
    pub fn activations(&mut self) -> Result<Vec<u8>, EngineError> {
        self.settle()?;
        let mut all = Vec::new();
        for buffer in self.arenas.of(Arena::Activations) {
            let mut bytes = vec![0; buffer.size() as usize];
            self.transfer.read(buffer, 0, &mut bytes)?;
            all.extend(bytes);
        }
        Ok(all)
    }

    /// Overwrites all bytes of the activations, for tests: what runs use, they must write first.
    ///
    /// # Errors
    /// The last run did not end, or the driver fails.
    #[cfg(feature = "inspect")]
    pub fn fill_activations(&mut self, byte: u8) -> Result<(), EngineError> {
        self.settle()?;
        for buffer in self.arenas.of(Arena::Activations) {
            self.transfer.write(buffer, 0, &vec![byte; buffer.size() as usize])?;
        }
        Ok(())
    }

    /// Has the one shape of a static model recorded before its first run, as all of a run's work that can be done before.
    fn warm(&mut self) -> Result<(), EngineError> {
        let mut functions = self.family.functions();
        let (Some((function, _)), None) = (functions.next(), functions.next()) else { return Ok(()) };
        drop(functions);
        let given_at_run = self.family.first().arena_bytes[Arena::External.index()] > 0;
        if !self.family.is_static(function) {
            return Ok(());
        }
        let dims = self.family.first().dims.clone();
        let index = self.select(function, &dims)?;
        if !given_at_run {
            self.record(index, &Placement::default())?;
        }
        Ok(())
    }

    /// The shape's place among those at hand; it is instantiated if it has none.
    fn select(&mut self, function: FunctionId, dims: &Bindings) -> Result<usize, EngineError> {
        let key = ShapeKey { function, dims: dims.clone() };
        if let Some(index) = self.shapes.find(&key) {
            return Ok(index);
        }
        let program = instantiate(&self.family, function, dims, &mut self.counters)?;
        if let Some(memory) = self.memory {
            check_budget(&program, memory)?;
        }
        if !self.arenas.fit(&program, Arena::Activations) {
            return Err(bayplan_compile::CompileError::Reserved { dims: dims.clone() }.into());
        }
        #[cfg(feature = "faults")]
        let program = crate::faults::plant(program, self.device.fault)?;
        let begun = Instant::now();
        let pipelines = self.device.pipelines.of(&self.device.vulkan, &program)?;
        let (index, slot, retired) = self.shapes.claim(key, &program, &mut self.params, &self.transfer)?;
        if self.current == Some(index) {
            self.current = None;
        }
        retired.into_iter().for_each(|plan| self.trace.retire(plan));
        let model = function == FunctionId::default();
        let places = |parts: &[Part]| self.instruments.places(parts);
        let mut shape = Shape::new(program, pipelines, slot, &places, model);
        if let Some(early) = &self.early {
            shape.parts = early.needs.cut(&shape.program, &shape.parts).into();
        }
        self.shapes.put(index, shape);
        self.counters.record_ns += nanos(begun);
        Ok(index)
    }

    /// Sees to it that the shape's commands are recorded for a placement.
    fn record(&mut self, index: usize, placement: &Placement) -> Result<(), EngineError> {
        let spare = self.shapes.spare();
        let Some(shape) = self.shapes.get_mut(index) else { return Err(self.lost()) };
        let told = shape.plan;
        let plan = told.or_else(|| self.trace.plan(&shape.program, shape.model));
        shape.plan = plan;
        if shape.program.run.dispatches.is_empty() {
            self.shapes.give(spare);
            return Ok(());
        }
        let parts = Arc::clone(&shape.parts);
        if let Some((program, commands)) = shape.find(placement) {
            // Told late where the recording could not keep up.
            if let (None, Some(plan)) = (told, plan) {
                self.trace.windows(plan, program, (&parts, commands), &self.arenas, placement);
            }
            self.shapes.give(spare);
            return Ok(());
        }
        let begun = Instant::now();
        let mut reused = shape.reusable();
        reused.extend(spare);
        let objects = Objects {
            program: &shape.program,
            pipelines: &shape.pipelines,
            arenas: &self.arenas,
            params: (self.params.buffer(), shape.params.offset),
            external: Some(placement),
        };
        let (vulkan, name) = (&self.device.vulkan, &shape.program.name);
        let instruments = (&self.instruments, &shape.places);
        let mut all = Vec::new();
        for part in shape.parts.iter() {
            let Part::Device(range) = part else { continue };
            let own = (&shape.program.run.dispatches[range.clone()], range.start);
            all.push(record_part(vulkan, name, objects, own, instruments, reused.pop())?);
        }
        if let Some(plan) = shape.plan {
            self.trace.windows(plan, &shape.program, (&parts, &all), &self.arenas, placement);
        }
        self.counters.recordings += all.len() as u64;
        shape.keep(placement, all);
        self.shapes.give(reused);
        self.counters.record_ns += nanos(begun);
        Ok(())
    }

    fn submit(&mut self, index: usize, placement: &Placement) -> Result<(), EngineError> {
        let run = self.runs;
        self.runs += 1;
        let Some(shape) = self.shapes.get_mut(index) else { return Err(self.lost()) };
        let (plan, places) = (shape.plan, shape.places.clone());
        self.trace.run_started(run, plan, &places, &self.instruments);
        #[cfg(feature = "faults")]
        self.planted.at_run(&self.device.vulkan)?;
        let result = self.run_parts(index, placement);
        if let Err(e) = &result {
            self.trace.recording().message(e.severity(), e.to_string());
        }
        let ended = (run, plan, result.is_ok());
        self.trace.run_ended(ended, &places, &self.device, &self.instruments);
        result
    }

    /// Submits each part that the device computes, waits for it, and computes what is between.
    fn run_parts(&mut self, index: usize, placement: &Placement) -> Result<(), EngineError> {
        let Some(parts) = self.shapes.get(index).map(|shape| shape.parts.clone()) else {
            return Err(self.lost());
        };
        let (mut submitted, mut memo) = (0, Memo::default());
        for part in parts.iter() {
            let Some(shape) = self.shapes.get_mut(index) else { return Err(self.lost()) };
            if let Some(early) = &mut self.early {
                early.reach(&shape.program, part, (&self.arenas, &self.params))?;
            }
            let begun = self.trace.recorder().now();
            match part {
                Part::Device(_) => {
                    let own = shape.find(placement).and_then(|(_, commands)| commands.get(submitted));
                    let ticket = own.map(|commands| self.device.vulkan.submit(commands)).transpose()?;
                    submitted += 1;
                    self.pending = ticket;
                    self.settle()?;
                }
                Part::Host(dispatch) => {
                    let objects = Objects {
                        program: &shape.program,
                        pipelines: &shape.pipelines,
                        arenas: &self.arenas,
                        params: (self.params.buffer(), shape.params.offset),
                        external: Some(placement),
                    };
                    compute(&objects, &shape.program.run.dispatches[*dispatch], &self.transfer, &mut memo)?;
                }
            }
            self.trace.part_ended(part, begun);
        }
        self.finish_loading()
    }

    /// Waits for the weights that have not arrived yet, and gives back what loading needed. No output is delivered before.
    fn finish_loading(&mut self) -> Result<(), EngineError> {
        let Some(early) = &mut self.early else { return Ok(()) };
        early.finish((&self.arenas, &self.params))?;
        if let Some(Early { slot, .. }) = self.early.take() {
            self.params.free(slot);
        }
        free_load(&mut self.arenas);
        self.shapes.join()
    }

    /// Waits for the last submission.
    fn settle(&mut self) -> Result<(), EngineError> {
        let Some(ticket) = self.pending else { return Ok(()) };
        match self.timeout {
            Some(limit) if !self.device.vulkan.wait(&ticket, limit)? => {
                return Err(EngineError::Timeout { limit });
            }
            Some(_) => {}
            None => wait(&self.device.vulkan, &ticket)?,
        }
        self.pending = None;
        Ok(())
    }

    /// Where everything lies that is given at this run. Nothing is written.
    fn bind(&mut self, index: usize, given: Given<'_, '_, '_>) -> Result<Bound, EngineError> {
        let Some(shape) = self.shapes.get(index) else { return Err(self.lost()) };
        let bound = given.bind(&shape.program, &self.device, &mut self.outputs, &self.transfer);
        self.trace.grown(self.outputs.grown());
        bound
    }

    /// Writes the inputs, and what follows from the shape, where the run reads them.
    fn write(&self, index: usize, inputs: &[(&str, Input<'_>)], bound: &Bound) -> Result<(), EngineError> {
        let Some(shape) = self.shapes.get(index) else { return Err(self.lost()) };
        bound.write(&shape.program, inputs, &self.arenas, &self.transfer)
    }

    /// Reads what a port's window holds, in the device's representation.
    pub(crate) fn read(&self, port: &Port, bytes: &mut [u8]) -> Result<(), EngineError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (buffer, at) = self.arenas.place(port.window.arena, port.window.offset)?;
        self.transfer.read(buffer, at, bytes)
    }

    /// Of a defect of bayplan: a shape that was just selected is not at hand.
    fn lost(&self) -> EngineError {
        let name = self.family.first().name.clone();
        EngineError::Program { name, reason: "the shape of this run is not at hand".into() }
    }
}

/// What is given in host memory: conditions that follow from it need no device.
fn on_host<'a>(&(name, input): &(&'a str, Input<'a>)) -> Option<(&'a str, &'a Tensor)> {
    Some((name, input.host()?))
}
