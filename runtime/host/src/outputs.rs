//! Results, lent in place until the next run.

use bayplan_compile::Port;
use bayplan_graph::{DType, Tensor};

use crate::error::HostError;
use crate::machine::Machine;

/// The outputs of the last run. They lie in the session's arena and are lent: the borrow checker keeps the session from
/// running again while they are held. [`Output::to_tensor`] takes a copy.
#[derive(Clone, Copy)]
pub struct Outputs<'s> {
    machine: &'s Machine,
}

/// One output, in place.
#[derive(Clone, Copy)]
pub struct Output<'s> {
    machine: &'s Machine,
    port: &'s Port,
}

impl<'s> Outputs<'s> {
    pub(crate) fn new(machine: &'s Machine) -> Self {
        Self { machine }
    }

    /// The output of that name.
    pub fn get(&self, name: &str) -> Option<Output<'s>> {
        self.iter().find(|output| output.name() == name)
    }

    /// All outputs, in the model's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Output<'s>> + use<'s> {
        let machine = self.machine;
        machine.program().outputs.iter().map(move |port| Output { machine, port })
    }
}

impl<'s> Output<'s> {
    /// Its name in the model.
    pub fn name(&self) -> &'s str {
        &self.port.name
    }

    /// Its dimensions in elements.
    pub fn shape(&self) -> &'s [u64] {
        &self.port.shape
    }

    /// Its element type in the model.
    pub fn dtype(&self) -> DType {
        self.port.dtype
    }

    /// A copy.
    ///
    /// # Errors
    /// The tensor is larger than bayplan's tensors may be.
    pub fn to_tensor(self) -> Result<Tensor, HostError> {
        self.machine.output(self.port)
    }
}
