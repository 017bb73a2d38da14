//! Sessions: programs on a Vulkan device or on the host, used in the same way.

use std::sync::Arc;

use bayplan_compile::session::ValueKey;
use bayplan_compile::{Family, FunctionId, Program};
use bayplan_engine::{Counters, OutputError, SessionOptions, Usage};
use bayplan_graph::Tensor;
use bayplan_record::{Recording, Summary};
use bayplan_weights::Store;

use crate::device::{Device, Kind};
use crate::error::Error;
use crate::outputs::{Lent, Outputs};
use crate::replan::{Plans, Replan};
use crate::tensors::{Buffer, DeviceTensor, Input, host, to_tensor, vulkan};

/// A model on a device, for every shape within its bounds: memory allocated, weights loaded, and on a Vulkan device kernels
/// compiled and commands recorded.
///
/// A session may be moved to another thread. Dropping it ends its recording and frees its memory.
pub struct Session {
    device: Device,
    executor: Executor,
    /// Where elements of inputs decide shapes, the plans for others.
    plans: Option<Plans>,
}

// As large as a device's session, of which programs have few.
#[allow(clippy::large_enum_variant, reason = "a process has few sessions")]
pub(crate) enum Executor {
    Vulkan(bayplan_engine::Session),
    Host(bayplan_host::Session),
}

impl Executor {
    /// Builds a session on a device.
    pub(crate) fn new(
        device: &Device,
        family: impl Into<Arc<Family>>,
        weights: &Store,
        options: SessionOptions,
    ) -> Result<Self, Error> {
        Ok(match &device.0 {
            Kind::Vulkan(own) => Self::Vulkan(bayplan_engine::Session::new(own, family, weights, options)?),
            Kind::Host(_) => Self::Host(bayplan_host::Session::new(family, weights, options)?),
        })
    }

    /// Builds one on the same device that goes on with the recording.
    pub(crate) fn next(
        &mut self,
        family: impl Into<Arc<Family>>,
        weights: &Store,
        options: &SessionOptions,
    ) -> Result<Self, Error> {
        Ok(match self {
            Self::Vulkan(own) => Self::Vulkan(bayplan_engine::Session::after(own, family, weights, options)?),
            Self::Host(own) => Self::Host(bayplan_host::Session::after(own, family, weights, options)?),
        })
    }

    /// Passes the recording on to one that takes turns with this one.
    pub(crate) fn hand_over(&mut self, to: &mut Self) {
        match (self, to) {
            (Self::Vulkan(own), Self::Vulkan(to)) => own.hand_over(to),
            (Self::Host(own), Self::Host(to)) => own.hand_over(to),
            // Those of one session are on one device.
            _ => {}
        }
    }

    /// Ends; the one that goes on tells the recording.
    pub(crate) fn give_way(self, to: &mut Self) {
        match (self, to) {
            (Self::Vulkan(own), Self::Vulkan(to)) => own.give_way(to),
            (Self::Host(own), Self::Host(to)) => own.give_way(to),
            _ => {}
        }
    }

    pub(crate) fn recording(&self) -> &Recording {
        match self {
            Self::Vulkan(session) => session.trace().recording(),
            Self::Host(session) => session.recording(),
        }
    }
}

impl Session {
    /// Builds a session: everything a run needs is allocated, compiled and recorded here. `family` is what
    /// [`Model::family`](crate::Model::family) makes, shared or not, or one [`Program`].
    ///
    /// If the folder of recordings cannot be written, the session is built without one ([`Recording::refused`] says why).
    ///
    /// # Errors
    /// The family was compiled for another target or is not sound, some dim has no upper bound while no memory is given,
    /// memory does not suffice, a weight cannot be read, the file to record to cannot be written, or the driver fails.
    pub fn new(
        device: &Device,
        family: impl Into<Arc<Family>>,
        weights: &Store,
        options: SessionOptions,
    ) -> Result<Self, Error> {
        let executor = Executor::new(device, family, weights, options)?;
        Ok(Self { device: device.clone(), executor, plans: None })
    }

    /// The same, planned again where inputs have other elements than those of `key`.
    pub(crate) fn replanned(self, key: ValueKey, again: Replan) -> Self {
        Self { plans: Some(Plans::new(key, again)), ..self }
    }

    /// Runs the model once, at the shape of its inputs: writes all inputs, computes, waits. The outputs are lent until the
    /// next run.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub fn run(&mut self, inputs: &[(&str, &Tensor)]) -> Result<Outputs<'_>, Error> {
        self.run_into(inputs, &mut [])
    }

    /// The same for one of the model's functions.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub fn run_function(
        &mut self,
        function: FunctionId,
        inputs: &[(&str, &Tensor)],
    ) -> Result<Outputs<'_>, Error> {
        self.call(function, &hosted(inputs), &mut [])
    }

    /// Runs the model once. Outputs with the policy [`Into`](crate::OutputPolicy::Into) are written straight into the
    /// buffers given for them.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub fn run_into(
        &mut self,
        inputs: &[(&str, &Tensor)],
        into: &mut [(&str, &mut DeviceTensor)],
    ) -> Result<Outputs<'_>, Error> {
        self.call(FunctionId::default(), &hosted(inputs), into)
    }

    /// Runs a function once, with inputs and outputs wherever they lie.
    ///
    /// # Errors
    /// Before anything is written: an input is missing, unknown, given twice, or of another type or shape than the model's,
    /// a dim is outside its bounds ([`Error::Input`]); the shape needs more memory than the session was given
    /// ([`Error::Budget`]); a buffer for an output is missing or does not fit, or the output arena is full
    /// ([`Error::Output`]). Where a condition of the model's Ifs must be computed, it is computed before the outputs' places
    /// are looked at: they follow from the branch. Later: the run exceeds its time limit; the device is lost.
    pub fn call(
        &mut self,
        function: FunctionId,
        inputs: &[(&str, Input<'_>)],
        into: &mut [(&str, &mut DeviceTensor)],
    ) -> Result<Outputs<'_>, Error> {
        if let Some(plans) = &mut self.plans {
            let on_host: Vec<(&str, &Tensor)> =
                inputs.iter().filter_map(|&(name, input)| Some((name, input.host()?))).collect();
            plans.turn(&self.device, &mut self.executor, &on_host)?;
        }
        let mut buffers = into.iter_mut().map(|(name, tensor)| (*name, &mut tensor.0));
        Outputs::new(match &mut self.executor {
            Executor::Vulkan(session) => {
                let copies = copied(inputs, |input| vulkan(input, session.device()).is_none())?;
                let inputs = with_copies(inputs, &copies, |input| vulkan(input, session.device()));
                let mut buffers = elsewhere(&mut buffers, |buffer| match buffer {
                    Buffer::Vulkan(own) => Some(own),
                    Buffer::Host(_) => None,
                })?;
                Lent::Vulkan(session.call(function, &inputs, &mut buffers)?)
            }
            Executor::Host(session) => {
                let copies = copied(inputs, |input| host(input).is_none())?;
                let inputs = with_copies(inputs, &copies, host);
                let mut buffers = elsewhere(&mut buffers, |buffer| match buffer {
                    Buffer::Host(own) => Some(own),
                    Buffer::Vulkan(_) => None,
                })?;
                Lent::Host(session.call(function, &inputs, &mut buffers)?)
            }
        })
    }

    /// What it serves.
    pub fn family(&self) -> &Family {
        match &self.executor {
            Executor::Vulkan(session) => session.family(),
            Executor::Host(session) => session.family(),
        }
    }

    /// The program of the last run's shape; before the first run, that which loaded the weights.
    pub fn program(&self) -> &Program {
        match &self.executor {
            Executor::Vulkan(session) => session.program(),
            Executor::Host(session) => session.program(),
        }
    }

    /// What the device reads of the weights in their files, and why not the rest, where [`Io::Import`](crate::Io::Import) asks for
    /// that; `None` otherwise, and on the host, which reads them into memory of its own.
    pub fn imported(&self) -> Option<&bayplan_engine::Imported> {
        match &self.executor {
            Executor::Vulkan(session) => session.imported(),
            Executor::Host(_) => None,
        }
    }

    /// How full its output arena is.
    pub fn output_usage(&self) -> Usage {
        match &self.executor {
            Executor::Vulkan(session) => session.output_usage(),
            Executor::Host(session) => session.output_usage(),
        }
    }

    /// What it has allocated, compiled and recorded so far.
    pub fn counters(&self) -> Counters {
        let own = match &self.executor {
            Executor::Vulkan(session) => session.counters(),
            Executor::Host(session) => session.counters(),
        };
        Counters { values: self.plans.as_ref().map_or(0, Plans::made), ..own }
    }

    /// All bytes of the activations, for tests.
    ///
    /// # Errors
    /// The last run did not end, or the driver fails.
    #[cfg(feature = "inspect")]
    pub fn activations(&mut self) -> Result<Vec<u8>, Error> {
        Ok(match &mut self.executor {
            Executor::Vulkan(session) => session.activations()?,
            Executor::Host(session) => {
                let words = session.machine().arena(bayplan_compile::Arena::Activations);
                words.iter().flat_map(|word| word.to_ne_bytes()).collect()
            }
        })
    }

    /// Overwrites all bytes of the activations, for tests; the host poisons what is dead by itself.
    ///
    /// # Errors
    /// The last run did not end, or the driver fails.
    #[cfg(feature = "inspect")]
    pub fn fill_activations(&mut self, byte: u8) -> Result<(), Error> {
        match &mut self.executor {
            Executor::Vulkan(session) => Ok(session.fill_activations(byte)?),
            Executor::Host(_) => Ok(()),
        }
    }

    /// The device it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The recording.
    pub fn trace(&self) -> &Recording {
        self.executor.recording()
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

fn hosted<'a>(inputs: &[(&'a str, &'a Tensor)]) -> Vec<(&'a str, Input<'a>)> {
    inputs.iter().map(|&(name, tensor)| (name, Input::Host(tensor))).collect()
}

/// Copies of the inputs that the session cannot reach.
fn copied(
    inputs: &[(&str, Input<'_>)],
    elsewhere: impl Fn(Input<'_>) -> bool,
) -> Result<Vec<Option<Tensor>>, Error> {
    inputs.iter().map(|&(_, input)| elsewhere(input).then(|| to_tensor(input)).transpose()).collect()
}

/// The inputs as the session takes them, copies instead of those that it cannot reach.
fn with_copies<'a, I>(
    inputs: &'a [(&str, Input<'a>)],
    copies: &'a [Option<Tensor>],
    own: impl Fn(Input<'a>) -> Option<I>,
) -> Vec<(&'a str, I)> {
    let reached = |(&(name, input), copy): (&'a (&str, Input<'a>), &'a Option<Tensor>)| {
        let reached = copy.as_ref().map_or(input, Input::Host);
        own(reached).map(|input| (name, input))
    };
    inputs.iter().zip(copies).filter_map(reached).collect()
}

/// The buffers as the session takes them; each must be of its device.
fn elsewhere<'a, B>(
    buffers: &mut dyn Iterator<Item = (&'a str, &'a mut Buffer)>,
    own: impl Fn(&'a mut Buffer) -> Option<&'a mut B>,
) -> Result<Vec<(&'a str, &'a mut B)>, Error> {
    let reach = |(name, buffer): (&'a str, &'a mut Buffer)| {
        let reached = own(buffer).ok_or_else(|| OutputError::IntoElsewhere { name: name.into() })?;
        Ok((name, reached))
    };
    buffers.map(reach).collect()
}
