//! Sessions: programs on a Vulkan device or on the host, used in the same way.

use bayplan_compile::Program;
use bayplan_engine::SessionOptions;
use bayplan_graph::{DType, Tensor};
use bayplan_record::{Recording, Summary};
use bayplan_weights::Store;

use crate::device::{Device, Kind};
use crate::error::Error;

/// A program on a device: memory allocated, weights loaded, and on a Vulkan device kernels compiled and commands recorded.
///
/// A session may be moved to another thread. Dropping it ends its recording and frees its memory.
pub struct Session {
    device: Device,
    executor: Executor,
}

// As large as a device's session, of which programs have few.
#[allow(clippy::large_enum_variant, reason = "a process has few sessions")]
enum Executor {
    Vulkan(bayplan_engine::Session),
    Host(bayplan_host::Session),
}

impl Session {
    /// Builds a session: everything a run needs is allocated, compiled and recorded here.
    ///
    /// If the folder of recordings cannot be written, the session is built without one ([`Recording::refused`] says why).
    ///
    /// # Errors
    /// The program was compiled for another target or is not sound, memory does not suffice, a weight cannot be read, the
    /// file to record to cannot be written, or the driver fails.
    pub fn new(
        device: &Device,
        program: Program,
        weights: &Store,
        options: SessionOptions,
    ) -> Result<Self, Error> {
        let executor = match &device.0 {
            Kind::Vulkan(own) => {
                Executor::Vulkan(bayplan_engine::Session::new(own, program, weights, options)?)
            }
            Kind::Host(_) => {
                #[cfg(feature = "faults")]
                if let Some(fault) = options.fault {
                    return Err(bayplan_engine::EngineError::Fault { fault: fault.name() }.into());
                }
                let SessionOptions { recording, timeout, .. } = options;
                let options = bayplan_host::SessionOptions {
                    recording,
                    timeout,
                    ..bayplan_host::SessionOptions::default()
                };
                Executor::Host(bayplan_host::Session::new(program, weights, options)?)
            }
        };
        Ok(Self { device: device.clone(), executor })
    }

    /// Runs the program once: writes all inputs, computes, waits. The outputs are lent until the next run.
    ///
    /// # Errors
    /// An input is missing, unknown, given twice, or of another type or shape than the program's (nothing was written
    /// then); the run exceeds its time limit; the device is lost.
    pub fn run(&mut self, inputs: &[(&str, &Tensor)]) -> Result<Outputs<'_>, Error> {
        Ok(Outputs(match &mut self.executor {
            Executor::Vulkan(session) => Lent::Vulkan(session.run(inputs)?),
            Executor::Host(session) => Lent::Host(session.run(inputs)?),
        }))
    }

    /// The program.
    pub fn program(&self) -> &Program {
        match &self.executor {
            Executor::Vulkan(session) => session.program(),
            Executor::Host(session) => session.program(),
        }
    }

    /// The device it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The recording.
    pub fn trace(&self) -> &Recording {
        match &self.executor {
            Executor::Vulkan(session) => session.trace().recording(),
            Executor::Host(session) => session.recording(),
        }
    }

    /// Runs begun so far.
    pub fn runs(&self) -> u64 {
        match &self.executor {
            Executor::Vulkan(session) => session.runs(),
            Executor::Host(session) => session.runs(),
        }
    }

    /// Ends the session and says what became of its recording.
    pub fn finish(self) -> Summary {
        match self.executor {
            Executor::Vulkan(session) => session.finish(),
            Executor::Host(session) => session.finish(),
        }
    }
}

/// The outputs of the last run. They lie in the session's arena and are lent: the borrow checker keeps the session from
/// running again while they are held. [`Output::to_tensor`] takes a copy.
///
/// ```compile_fail,E0499
/// # fn twice(session: &mut bayplan::Session) -> Result<(), bayplan::Error> {
/// let first = session.run(&[])?;
/// let second = session.run(&[])?;
/// let kept = first.get("y").map(|y| y.to_tensor());
/// drop((kept, second));
/// # Ok(())
/// # }
/// ```
pub struct Outputs<'s>(Lent<'s>);

enum Lent<'s> {
    Vulkan(bayplan_engine::Outputs<'s>),
    Host(bayplan_host::Outputs<'s>),
}

/// One output, in place.
#[derive(Clone, Copy)]
pub struct Output<'s>(One<'s>);

#[derive(Clone, Copy)]
enum One<'s> {
    Vulkan(bayplan_engine::Output<'s>),
    Host(bayplan_host::Output<'s>),
}

impl Outputs<'_> {
    /// The output of that name.
    pub fn get(&self, name: &str) -> Option<Output<'_>> {
        self.iter().find(|output| output.name() == name)
    }

    /// All outputs, in the model's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Output<'_>> {
        let all: Vec<Output<'_>> = match &self.0 {
            Lent::Vulkan(outputs) => outputs.iter().map(|output| Output(One::Vulkan(output))).collect(),
            Lent::Host(outputs) => outputs.iter().map(|output| Output(One::Host(output))).collect(),
        };
        all.into_iter()
    }
}

impl<'s> Output<'s> {
    /// Its name in the model.
    pub fn name(&self) -> &'s str {
        match &self.0 {
            One::Vulkan(output) => output.name(),
            One::Host(output) => output.name(),
        }
    }

    /// Its dimensions in elements.
    pub fn shape(&self) -> &'s [u64] {
        match &self.0 {
            One::Vulkan(output) => output.shape(),
            One::Host(output) => output.shape(),
        }
    }

    /// Its element type in the model.
    pub fn dtype(&self) -> DType {
        match &self.0 {
            One::Vulkan(output) => output.dtype(),
            One::Host(output) => output.dtype(),
        }
    }

    /// A copy in host memory.
    ///
    /// # Errors
    /// The device is lost, or the tensor is larger than bayplan's tensors may be.
    pub fn to_tensor(self) -> Result<Tensor, Error> {
        Ok(match self.0 {
            One::Vulkan(output) => output.to_tensor()?,
            One::Host(output) => output.to_tensor()?,
        })
    }
}
