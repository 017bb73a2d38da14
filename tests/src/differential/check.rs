//! One case on a device and on the host.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bayplan_compile::{CompileError, Program, compile};
use bayplan_engine::inspect::{Inspection, StageKind};
use bayplan_engine::{Device, EngineError, Session, SessionOptions};
use bayplan_expr::Bindings;
use bayplan_graph::{ByteRange, Tensor};
use bayplan_shaders::Target;
use bayplan_weights::Store;

use super::case::Case;
use super::failure::{Failure, Kind};
use super::memory::{Memory, owners};
use super::oracle;
use super::step::step;
use super::tally::Tally;

/// Runs of a session: what one leaves in memory is found by the next.
const RUNS: usize = 2;

/// Compares cases on one device.
pub struct Checker {
    device: Device,
}

impl Checker {
    /// For a device.
    pub fn new(device: Device) -> Self {
        Self { device }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Compiles a case and compares every dispatch with the host's; then the recorded run and a session with the
    /// dispatches one by one, bit for bit; then the host with the reference evaluation.
    ///
    /// # Errors
    /// The first difference.
    pub fn check(&self, case: &Case) -> Result<Tally, Failure> {
        let said = self.device.message_count();
        let checked = catch_unwind(AssertUnwindSafe(|| self.run(case)));
        let tally = checked.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word");
            Err(Failure::new(Kind::Panic, text))
        })?;
        let messages = self.device.messages();
        if self.device.message_count() > said {
            let first = messages.last().map(|message| format!("{message:?}")).unwrap_or_default();
            return Err(Failure::new(Kind::Validation, first));
        }
        Ok(tally)
    }

    fn run(&self, case: &Case) -> Result<Tally, Failure> {
        let target = case.settings.target(self.device.target());
        let mut tally = Tally::default();
        let program = match compiled(case, &target) {
            Ok(program) => program,
            Err(CompileError::Unsupported(list)) => {
                let reason = list.first().map(|refused| refused.reason.clone()).unwrap_or_default();
                tally.refused.insert(without_numbers(&reason), 1);
                return Ok(tally);
            }
            Err(other) => return Err(Failure::new(Kind::Compile, other)),
        };
        tally.graphs = 1;
        let store = Store::open("", &case.graph).map_err(|e| Failure::new(Kind::Engine, e))?;
        oracle::whole(case, &program, &store, &mut tally)?;
        // The device can do more than what the program was compiled for.
        let program = Program { target: self.device.target().clone(), ..program };
        let inspection = Inspection::new(&self.device, program.clone()).map_err(engine)?;
        let outputs = dispatch_by_dispatch(&inspection, &target, &case.inputs, &store, &mut tally)?;
        self.session(case, program, &store, &outputs)?;
        Ok(tally)
    }

    /// A session as people build it, run several times.
    fn session(
        &self,
        case: &Case,
        program: Program,
        store: &Store,
        expected: &[Tensor],
    ) -> Result<(), Failure> {
        let session = Session::new(&self.device, program, store, SessionOptions::default());
        let mut session = session.map_err(engine)?;
        for run in 0..RUNS {
            let outputs = session.run(&case.given()).map_err(engine)?;
            for (output, expected) in outputs.iter().zip(expected) {
                let made = output.to_tensor().map_err(engine)?;
                if made != *expected {
                    let text = format!(
                        "run {run} of a session answers {made:?} for {}, its dispatches one by one {expected:?}",
                        output.name()
                    );
                    return Err(Failure::new(Kind::Session, text));
                }
            }
        }
        Ok(())
    }
}

/// Every dispatch of an inspected program by itself against the host's, then all of them as recorded against that, bit
/// for bit. `target` is what the program was compiled for. The outputs.
///
/// # Errors
/// The first difference.
pub fn dispatch_by_dispatch(
    inspection: &Inspection,
    target: &Target,
    inputs: &[Tensor],
    store: &Store,
    tally: &mut Tally,
) -> Result<Vec<Tensor>, Failure> {
    let program = inspection.program();
    let loaded = load(inspection, target, store, tally)?;
    Memory::poison(program).write(inspection).map_err(engine)?;
    inspection.load(store).map_err(engine)?;
    same(inspection, &loaded, "the load program")?;
    for (index, tensor) in inputs.iter().enumerate() {
        inspection.set_input(index, tensor).map_err(engine)?;
    }
    let begun = Memory::read(inspection).map_err(engine)?;
    let mut memory = begun.clone();
    for index in 0..program.run.dispatches.len() {
        step(inspection, target, (StageKind::Run, index), &mut memory, tally)?;
    }
    let outputs = (0..program.outputs.len()).map(|index| inspection.output(index));
    let outputs = outputs.collect::<Result<_, _>>().map_err(engine)?;
    begun.write(inspection).map_err(engine)?;
    inspection.run().map_err(engine)?;
    same(inspection, &memory, "the run")?;
    Ok(outputs)
}

/// The load program by its dispatches, uploads between. What the device holds then.
fn load(
    inspection: &Inspection,
    target: &Target,
    store: &Store,
    tally: &mut Tally,
) -> Result<Memory, Failure> {
    let program = inspection.program();
    Memory::poison(program).write(inspection).map_err(engine)?;
    let mut uploads = program.uploads.iter().enumerate().peekable();
    for index in 0..=program.load.dispatches.len() {
        while let Some((upload, _)) = uploads.next_if(|(_, upload)| upload.before as usize <= index) {
            inspection.upload(upload, store).map_err(engine)?;
        }
        if index < program.load.dispatches.len() {
            let mut memory = Memory::read(inspection).map_err(engine)?;
            step(inspection, target, (StageKind::Load, index), &mut memory, tally)?;
        }
    }
    Memory::read(inspection).map_err(engine)
}

/// Whether a device holds what it held after the dispatches one by one.
fn same(inspection: &Inspection, stepped: &Memory, what: &str) -> Result<(), Failure> {
    let whole = Memory::read(inspection).map_err(engine)?;
    let Some((arena, byte)) = stepped.differs_outside(&whole, None) else { return Ok(()) };
    let whose = owners(inspection.program(), arena, byte);
    Err(Failure::new(
        Kind::WholeRun,
        format!(
            "{what} in one piece leaves another byte {byte} of {} than its dispatches one by one, of {whose}\n{}",
            arena.name(),
            inspection.program()
        ),
    ))
}

/// The program of a case, whose constants all lie in memory.
pub(crate) fn compiled(case: &Case, target: &Target) -> Result<Program, CompileError> {
    let read = |_: &ByteRange| Err("no file".to_string());
    compile(&case.graph, &Bindings::default(), target, case.settings.options(), &read)
}

fn engine(error: EngineError) -> Failure {
    Failure::new(Kind::Engine, error)
}

/// A message with its numbers taken out, so that like ones are counted together.
fn without_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !out.ends_with('#') {
            out.push('#');
        }
    }
    out
}
