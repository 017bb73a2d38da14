//! Results, lent in place until the next run.

use bayplan_compile::{Port, device_size, narrow};
use bayplan_graph::{DType, Tensor};

use crate::error::EngineError;
use crate::session::Session;

/// The outputs of the last run. They lie in the session's arena and are lent: the borrow checker keeps the session from
/// running again while they are held. [`Output::to_tensor`] takes a copy.
///
/// ```no_run
/// # fn twice(session: &mut bayplan_engine::Session) -> Result<(), bayplan_engine::EngineError> {
/// let first = session.run(&[])?;
/// let kept = first.get("y").map(|y| y.to_tensor());
/// let second = session.run(&[])?;
/// drop((kept, second));
/// # Ok(())
/// # }
/// ```
///
/// The same with the first outputs still held does not compile:
///
/// ```compile_fail,E0499
/// # fn twice(session: &mut bayplan_engine::Session) -> Result<(), bayplan_engine::EngineError> {
/// let first = session.run(&[])?;
/// let second = session.run(&[])?;
/// let kept = first.get("y").map(|y| y.to_tensor());
/// drop((kept, second));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct Outputs<'s> {
    session: &'s Session,
}

/// One output, in place.
#[derive(Clone, Copy)]
pub struct Output<'s> {
    session: &'s Session,
    port: &'s Port,
}

impl<'s> Outputs<'s> {
    pub(crate) fn new(session: &'s Session) -> Self {
        Self { session }
    }

    /// The output of that name.
    pub fn get(&self, name: &str) -> Option<Output<'s>> {
        self.iter().find(|output| output.name() == name)
    }

    /// All outputs, in the model's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Output<'s>> + use<'s> {
        let session = self.session;
        session.program().outputs.iter().map(move |port| Output { session, port })
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

    /// A copy in host memory.
    ///
    /// # Errors
    /// The device is lost, or the tensor is larger than bayplan's tensors may be.
    pub fn to_tensor(self) -> Result<Tensor, EngineError> {
        let elements: u64 = self.port.shape.iter().product();
        let mut bytes = vec![0; (elements * device_size(self.port.dtype)) as usize];
        self.session.read(self.port, &mut bytes)?;
        tensor(self.port, bytes)
    }
}

/// A port's elements, from the device's representation.
pub(crate) fn tensor(port: &Port, device: Vec<u8>) -> Result<Tensor, EngineError> {
    let shape = port.shape.iter().map(|&dim| dim as usize).collect();
    let tensor = Tensor::new(port.dtype, shape, narrow(port.dtype, device));
    // The byte count follows from the shape, so only the size can be wrong.
    tensor.map_err(|e| EngineError::Output { name: port.name.clone(), reason: e.to_string() })
}
