//! A program on arenas of host memory, dispatch by dispatch.

use std::ops::Range;
use std::sync::Arc;

use bayplan_compile::session::{Cancel, Io};
use bayplan_compile::{Arena, BufferKind, Dispatch, Port, Program, Stage, Window, device_size, widen};
use bayplan_graph::Tensor;
use bayplan_record::Arrivals;
use bayplan_weights::Store;

use crate::bound::{Bound, Checker, words};
use crate::error::{HostError, Place};
use crate::load::Loading;
use crate::memory::{Memory, bytes_of, words_of};
use crate::ports::{Given, tensor};
use crate::work;

/// A stage of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Once, when weights are loaded.
    Load,
    /// At every run.
    Run,
}

/// A program with its arenas in host memory.
///
/// Nothing is believed of the program: a dispatch is refused where a window leaves its buffer or its buffer's life, where
/// what it writes is used through another window, or where it reads what nothing has written. Everything is computed at
/// the program's own offsets, and what dies is poisoned, so that a mistake in the plan becomes such a refusal or a wrong
/// number.
///
/// [`Machine::load`], then [`Machine::run`] for each run; or, one dispatch at a time, [`Machine::begin`],
/// [`Machine::execute`] and [`Machine::retire`] for each dispatch in order, and [`Machine::end`].
#[derive(Debug)]
pub struct Machine {
    program: Arc<Program>,
    memory: Memory,
    /// Bytes of the activations, where they are not those of the program; buffers of the external arena are given by
    /// the owner then.
    activations: Option<u64>,
    loaded: bool,
    /// Whether everything outside live buffers is looked at after each dispatch, not only at the end.
    thorough: bool,
}

impl Machine {
    /// A machine for a program. Nothing is allocated yet, and the program is not verified.
    pub fn new(program: impl Into<Arc<Program>>) -> Self {
        let (program, memory) = (program.into(), Memory::default());
        Self { program, memory, activations: None, loaded: false, thorough: false }
    }

    /// One for several programs with the same weights, whose activations need at most that many bytes. The buffers of
    /// the external arena are given for each run.
    pub(crate) fn shared(program: Arc<Program>, activations: u64) -> Self {
        Self { activations: Some(activations), ..Self::new(program) }
    }

    /// Takes another program with the same weights for the next runs.
    pub(crate) fn turn(&mut self, program: Arc<Program>) {
        self.program = program;
    }

    pub(crate) fn memory_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// Looks, after each dispatch, at all bytes that no live buffer has, so that whoever changed one is named. Slow; without
    /// it they are looked at after each run.
    #[must_use]
    pub fn thorough(self) -> Self {
        Self { thorough: true, ..self }
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The words of an arena; none where it is not allocated.
    pub fn arena(&self, arena: Arena) -> &[u32] {
        self.memory.words(arena)
    }

    /// The same, to be changed: for comparisons with another executor that go on from its state. Which words count as
    /// written stays as it was.
    pub fn arena_mut(&mut self, arena: Arena) -> &mut [u32] {
        self.memory.words_mut(arena)
    }

    /// Loads the weights: uploads them, runs the load program between, frees its memory, allocates the activations.
    ///
    /// # Errors
    /// A weight cannot be read, memory does not suffice, or the load program is not sound.
    pub fn load(&mut self, weights: &Store) -> Result<(), HostError> {
        self.load_counted(weights, Io::default(), &Arrivals::default(), &Cancel::default())
    }

    /// The same, files read as asked, where somebody is told how far it is and may end it.
    pub(crate) fn load_counted(
        &mut self,
        weights: &Store,
        io: Io,
        arrivals: &Arrivals,
        cancel: &Cancel,
    ) -> Result<(), HostError> {
        self.loaded = false;
        for arena in [Arena::Weights, Arena::Load] {
            self.memory.allocate(arena, self.program.arena_bytes[arena.index()])?;
        }
        let program = Arc::clone(&self.program);
        let plan = Loading::new(&program, weights, io, arrivals, cancel);
        std::thread::scope(|scope| {
            let mut uploads = plan.begin(scope)?;
            for index in 0..program.load.dispatches.len() {
                uploads.until(&mut self.memory, Some(index))?;
                self.step(Phase::Load, index)?;
            }
            uploads.until(&mut self.memory, None)
        })?;
        plan.finish()?;
        self.memory.free(Arena::Load);
        let [activations, _, _, external] = self.program.arena_bytes;
        self.memory.allocate(Arena::Activations, self.activations.unwrap_or(activations))?;
        if self.activations.is_none() {
            self.memory.allocate(Arena::External, external)?;
        }
        self.loaded = true;
        Ok(())
    }

    /// Runs the program once.
    ///
    /// # Errors
    /// The inputs do not fit, the weights are not loaded, or the program is not sound.
    pub fn run(&mut self, inputs: &[&Tensor]) -> Result<(), HostError> {
        self.begin(inputs)?;
        for index in 0..self.program.run.dispatches.len() {
            self.step(Phase::Run, index)?;
        }
        self.end()
    }

    /// Begins a run: poisons the activations and writes the inputs, which are one tensor for each of the program's, in its
    /// order.
    ///
    /// # Errors
    /// An input has another size than the program's, or the weights are not loaded.
    pub fn begin(&mut self, inputs: &[&Tensor]) -> Result<(), HostError> {
        self.begin_with(inputs.iter().map(|tensor| Given::Tensor(tensor)))
    }

    /// The same with inputs that may lie in words already; what follows from the shape is written too.
    pub(crate) fn begin_with<'t>(
        &mut self,
        inputs: impl ExactSizeIterator<Item = Given<'t>>,
    ) -> Result<(), HostError> {
        let Self { program, memory, loaded, .. } = self;
        if !*loaded {
            return Err(HostError::NotLoaded);
        }
        for arena in [Arena::Activations, Arena::External] {
            memory.poison(arena, 0..u64::MAX);
        }
        if inputs.len() != program.inputs.len() {
            let problem = format!("{} inputs are given of {}", inputs.len(), program.inputs.len());
            return Err(HostError::Port { name: program.name.clone(), problem });
        }
        for (port, given) in program.inputs.iter().zip(inputs) {
            let fail = |problem: String| HostError::Port { name: port.name.clone(), problem };
            let elements = port.shape.iter().product::<u64>();
            if given.dtype() != port.dtype || given.count() != elements {
                let (dtype, shape) = (port.dtype, &port.shape);
                return Err(fail(format!(
                    "{} elements of {} are given for {dtype}{shape:?}",
                    given.count(),
                    given.dtype()
                )));
            }
            let target = first(&port.window, (elements * device_size(port.dtype) / 4) as usize);
            let target = target.and_then(|target| memory.write(port.window.arena, target));
            given.write(target.ok_or_else(|| fail("it does not fit its window".into()))?);
        }
        for own in &program.contents {
            let bytes = widen(own.dtype, &own.bytes);
            let target = first(&own.window, bytes.len().div_ceil(4));
            let target = target.and_then(|target| memory.write(own.window.arena, target));
            let problem = || "it does not fit its window".to_string();
            let target =
                target.ok_or_else(|| HostError::Port { name: own.name.clone(), problem: problem() })?;
            target.iter_mut().zip(words_of(&bytes)).for_each(|(target, word)| *target = word);
        }
        Ok(())
    }

    /// Computes one dispatch and poisons what dies with it.
    ///
    /// # Errors
    /// As [`Machine::execute`]; or, where that is looked for, the dispatch wrote outside of what lives.
    pub fn step(&mut self, phase: Phase, index: usize) -> Result<(), HostError> {
        self.execute(phase, index)?;
        self.retire(phase, index);
        self.look(phase, index)
    }

    /// Computes one dispatch. Everything it reads must have been made before.
    ///
    /// # Errors
    /// The dispatch is not there or not sound: a window leaves its buffer or its life, what is written is used through
    /// another window, or what is read was not written.
    pub fn execute(&mut self, phase: Phase, index: usize) -> Result<(), HostError> {
        let Self { program, memory, .. } = self;
        let dispatch = dispatch(program, phase, index)?;
        let checker = Checker { program, memory, phase, index, dispatch };
        let Bound { operands, output: (arena, window) } = checker.bound()?;
        let place = checker.place();
        let pieces = work::movement::pieces(&dispatch.spec);
        for spec in pieces.as_deref().unwrap_or(std::slice::from_ref(&*dispatch.spec)) {
            let words =
                |arena: Arena, words: &Range<usize>| memory.get(arena, words.clone()).unwrap_or_default();
            let operands: Vec<&[u32]> = operands.iter().map(|(arena, own)| words(*arena, own)).collect();
            let before = words(arena, &window);
            let result = work::compute(spec, &operands, before, &program.target);
            let result = result.map_err(|problem| HostError::Spec { place: place.clone(), problem })?;
            memory.put(&result, &work::writes(spec), arena, window.clone());
        }
        Ok(())
    }

    /// The words of a dispatch's operands as they lie now, in the order of its spec, after the checks of
    /// [`Machine::execute`].
    ///
    /// # Errors
    /// As [`Machine::execute`].
    pub fn operands(&self, phase: Phase, index: usize) -> Result<Vec<&[u32]>, HostError> {
        let Self { program, memory, .. } = self;
        let checker = Checker { program, memory, phase, index, dispatch: dispatch(program, phase, index)? };
        let bound = checker.bound()?;
        let words = |(arena, words)| memory.get(arena, words).unwrap_or_default();
        Ok(bound.operands.into_iter().map(words).collect())
    }

    /// The words of a dispatch's output window as they lie now.
    ///
    /// # Errors
    /// As [`Machine::execute`].
    pub fn result(&self, phase: Phase, index: usize) -> Result<&[u32], HostError> {
        let Self { program, memory, .. } = self;
        let checker = Checker { program, memory, phase, index, dispatch: dispatch(program, phase, index)? };
        let window = checker.output()?;
        Ok(memory.get(window.arena, words(window)).unwrap_or_default())
    }

    /// Poisons the buffers that die with a dispatch.
    pub fn retire(&mut self, phase: Phase, index: usize) {
        let Self { program, memory, .. } = self;
        let end = index as u32 + 1;
        // Outputs are read by the caller after the last dispatch.
        let last = stage(program, phase).dispatches.len() <= index + 1;
        for buffer in &program.buffers {
            let dies = match (buffer.kind, phase) {
                (BufferKind::Load, Phase::Load)
                | (BufferKind::Input | BufferKind::Activation, Phase::Run) => true,
                (BufferKind::Output, Phase::Run) => !last,
                _ => false,
            };
            if dies && buffer.lifespan.end == end {
                memory.poison(buffer.arena, bytes_of(buffer));
            }
        }
    }

    /// Ends a run: looks at all bytes that no output has.
    ///
    /// # Errors
    /// One of them was changed: somebody wrote outside of what lives.
    pub fn end(&self) -> Result<(), HostError> {
        let own = || self.program.buffers.iter().filter(|buffer| buffer.arena == Arena::Activations);
        let buffers = own().filter(|buffer| buffer.kind == BufferKind::Output).map(bytes_of);
        // Inputs that nothing reads die with no dispatch.
        let unread = self.program.run.dispatches.is_empty();
        let inputs = own().filter(|b| unread && b.kind == BufferKind::Input).map(bytes_of);
        match self.memory.changed(Arena::Activations, buffers.chain(inputs)) {
            Some(byte) => Err(HostError::Overrun { place: None, arena: Arena::Activations.name(), byte }),
            None => Ok(()),
        }
    }

    /// Looks at all bytes that no live buffer has after a dispatch, if that was asked for.
    fn look(&self, phase: Phase, index: usize) -> Result<(), HostError> {
        if !self.thorough {
            return Ok(());
        }
        let arena = if phase == Phase::Load { Arena::Load } else { Arena::Activations };
        let next = index as u32 + 1;
        let of_run = phase == Phase::Run;
        let live = self.program.buffers.iter().filter(|buffer| {
            buffer.arena == arena
                && (buffer.lifespan.contains(&next)
                    || buffer.lifespan.end == next && of_run && buffer.kind == BufferKind::Output
                    // Uploads come before the first dispatch that reads them.
                    || !of_run && buffer.lifespan.end > next)
        });
        match self.memory.changed(arena, live.map(bytes_of)) {
            Some(byte) => {
                let name = stage(&self.program, phase).dispatches.get(index).map(|own| own.name.clone());
                let place = Some(Place { phase, index, name: name.unwrap_or_default().to_string() });
                Err(HostError::Overrun { place, arena: arena.name(), byte })
            }
            None => Ok(()),
        }
    }

    /// A copy of an output of the last run.
    ///
    /// # Errors
    /// It holds what nothing has written, or it is larger than tensors may be.
    pub fn output(&self, port: &Port) -> Result<Tensor, HostError> {
        let fail = |problem: String| HostError::Port { name: port.name.clone(), problem };
        let (arena, range) = (port.window.arena, words(&port.window));
        let all = self.memory.get(arena, range.clone()).ok_or_else(|| fail("it leaves its window".into()))?;
        tensor(port, all, |words| {
            let unwritten = self.memory.unwritten(arena, range.start + words.start..range.start + words.end);
            unwritten.map(|word| word - range.start)
        })
    }
}

fn stage(program: &Program, phase: Phase) -> &Stage {
    match phase {
        Phase::Load => &program.load,
        Phase::Run => &program.run,
    }
}

fn dispatch(program: &Program, phase: Phase, index: usize) -> Result<&Dispatch, HostError> {
    let all = &stage(program, phase).dispatches;
    all.get(index).ok_or(HostError::Dispatch { phase, index, count: all.len() })
}

/// The first `count` words of a window; `None` where it has fewer.
pub(crate) fn first(window: &Window, count: usize) -> Option<Range<usize>> {
    let all = words(window);
    (count <= all.len()).then(|| all.start..all.start + count)
}
