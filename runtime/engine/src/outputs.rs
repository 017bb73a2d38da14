//! Results of a run: lent in place until the next one, or given away.

use bayplan_compile::{Port, device_size, narrow};
use bayplan_graph::{DType, Extent, Tensor};

use crate::error::EngineError;
use crate::owned::Owned;
use crate::session::Session;

/// The outputs of the last run. They lie in the session's arena and are lent: the borrow checker keeps the session from
/// running again while they are held. [`Output::to_tensor`] takes a copy, and [`Outputs::take`] an output that was
/// compiled to be kept.
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
///
/// Outputs that nobody takes are free again when these are dropped. Those that went into the caller's own buffers are not
/// among them: the caller has them.
pub struct Outputs<'s> {
    session: &'s Session,
    ports: &'s [Port],
    /// Those to be taken, by their place among the ports.
    owned: Vec<Option<Owned>>,
    /// Which ports are neither taken nor the caller's.
    shown: Vec<usize>,
}

/// One output, in place.
#[derive(Clone, Copy)]
pub struct Output<'o> {
    session: &'o Session,
    port: &'o Port,
    owned: Option<&'o Owned>,
}

impl<'s> Outputs<'s> {
    pub(crate) fn new(
        session: &'s Session,
        ports: &'s [Port],
        owned: Vec<Option<Owned>>,
        shown: Vec<usize>,
    ) -> Self {
        Self { session, ports, owned, shown }
    }

    /// The output of that name.
    pub fn get(&self, name: &str) -> Option<Output<'_>> {
        self.iter().find(|output| output.name() == name)
    }

    /// The output at that place of the program's, unless it was taken or went into the caller's buffers.
    pub fn at(&self, index: usize) -> Option<Output<'_>> {
        self.shown.contains(&index).then(|| Output {
            session: self.session,
            port: &self.ports[index],
            owned: self.owned.get(index).and_then(Option::as_ref),
        })
    }

    /// The number of the program's outputs, those taken included.
    pub fn places(&self) -> usize {
        self.ports.len()
    }

    /// Outputs whose size depends on data: these are shown as large as they can be.
    pub fn extents(&self) -> &'s [Extent] {
        &self.session.program().extents
    }

    /// All outputs but those that were taken or went into the caller's buffers, in the model's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Output<'_>> {
        self.shown.iter().map(|&index| Output {
            session: self.session,
            port: &self.ports[index],
            owned: self.owned.get(index).and_then(Option::as_ref),
        })
    }

    /// Takes an output that was compiled with the policy [`Own`](bayplan_compile::OutputPolicy::Own): it is the caller's
    /// as long as it likes. `None` where the output has another policy, is taken already, or does not exist.
    pub fn take(&mut self, name: &str) -> Option<Owned> {
        let index = self.ports.iter().position(|port| port.name == name)?;
        let taken = self.owned.get_mut(index)?.take()?;
        self.shown.retain(|&shown| shown != index);
        Some(taken)
    }
}

impl<'o> Output<'o> {
    /// Its name in the model.
    pub fn name(&self) -> &'o str {
        &self.port.name
    }

    /// Its dimensions in elements.
    pub fn shape(&self) -> &'o [u64] {
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
        if let Some(owned) = self.owned {
            return owned.to_tensor();
        }
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
    tensor.map_err(|e| EngineError::Copy { name: port.name.clone(), reason: e.to_string() })
}
