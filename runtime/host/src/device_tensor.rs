//! Buffers of the caller's, for outputs to be written to and inputs to be read from.

use bayplan_compile::session::Given as Buffer;
use bayplan_compile::{Arena, BufferId, Port, Window, device_size};
use bayplan_graph::{DType, Tensor};
use bayplan_shaders::{Access, VEC4};

use crate::error::HostError;
use crate::memory::Cells;
use crate::outputs::{Owned, elements, read};
use crate::ports::Given;

/// A tensor in a buffer of the caller's: an output with the policy `Into` is written there, and a later run may read it as
/// an input.
///
/// It takes any shape of its element type whose bytes are not more than those of the shape that it was made with.
pub struct DeviceTensor {
    cells: Cells,
    /// Where it lies in them, under the name of the output that was written there last.
    port: Port,
    /// The port's.
    shape: Vec<usize>,
    /// Bytes of the shape that it was made with.
    bytes: u64,
}

/// A tensor given for an input.
pub type Input<'a> = bayplan_compile::session::Input<'a, Owned, DeviceTensor>;

bayplan_compile::session_inputs!(Owned as Owned, DeviceTensor as Device);

impl DeviceTensor {
    /// A buffer for tensors of that many bytes at most. Nothing is in it yet.
    ///
    /// # Errors
    /// There is no memory for it, or the element type cannot be computed with.
    pub fn new(dtype: DType, shape: &[usize]) -> Result<Self, HostError> {
        let fail = |bytes| HostError::Memory { arena: "external", bytes };
        let bytes = shape.iter().try_fold(device_size(dtype), |bytes, &dim| bytes.checked_mul(dim as u64));
        let bytes = bytes.ok_or(fail(u64::MAX))?;
        let room = bytes.checked_next_multiple_of(VEC4).ok_or(fail(bytes))?;
        let cells = Cells::poisoned(room).ok_or(fail(room))?;
        let window = Window {
            buffer: BufferId(0),
            arena: Arena::External,
            offset: 0,
            len: room,
            access: Access::Read,
        };
        let sizes = shape.iter().map(|&dim| dim as u64).collect();
        let port = Port { name: "tensor".into(), dtype, shape: sizes, window };
        Ok(Self { cells, port, shape: shape.to_vec(), bytes })
    }

    /// Its dimensions in elements: those of what was written last.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its element type in the model.
    pub fn dtype(&self) -> DType {
        self.port.dtype
    }

    /// Bytes of elements that it has room for.
    pub fn capacity(&self) -> u64 {
        self.bytes
    }

    /// Writes a tensor.
    ///
    /// # Errors
    /// It has another element type, or more bytes than there is room for.
    pub fn write(&mut self, tensor: &Tensor) -> Result<(), HostError> {
        let fail = |problem: String| HostError::Buffer { problem };
        if tensor.dtype() != self.port.dtype {
            return Err(fail(format!("it is for {}, not for {}", self.port.dtype, tensor.dtype())));
        }
        let count = tensor.count() * device_size(tensor.dtype()) as usize / 4;
        if count as u64 * 4 > self.bytes {
            return Err(fail(format!("it has {} bytes, but {} are to be written", self.bytes, count * 4)));
        }
        self.cells.poison(0..usize::MAX);
        let target = self.cells.write(0..count).ok_or_else(|| fail("it is in use".into()))?;
        Given::Tensor(tensor).write(target);
        self.port.shape = tensor.shape().iter().map(|&dim| dim as u64).collect();
        self.shape = tensor.shape().to_vec();
        self.port.window.offset = 0;
        Ok(())
    }

    /// A copy.
    ///
    /// # Errors
    /// Nothing was written yet, or the last run that was to write it failed; or the tensor is larger than bayplan's
    /// tensors may be.
    pub fn to_tensor(&self) -> Result<Tensor, HostError> {
        read(&self.port, &self.cells)
    }

    pub(crate) fn buffer<'a>(&self, name: &'a str) -> Buffer<'a> {
        Buffer { name, dtype: self.port.dtype, bytes: self.bytes }
    }

    /// Its memory, for a run to write to; it comes back with [`DeviceTensor::put`].
    pub(crate) fn lend(&mut self) -> Cells {
        std::mem::take(&mut self.cells)
    }

    pub(crate) fn put(&mut self, cells: Cells) {
        self.cells = cells;
    }

    /// What lies there now.
    pub(crate) fn wrote(&mut self, port: Port) {
        self.shape = port.shape.iter().map(|&dim| dim as usize).collect();
        self.port = port;
    }

    fn given(&self) -> Given<'_> {
        Given::Words { dtype: self.port.dtype, words: elements(&self.port, &self.cells) }
    }
}

/// What the machine reads an input from.
pub(crate) fn given<'a>(input: Input<'a>) -> Given<'a> {
    match input {
        Input::Host(tensor) => Given::Tensor(tensor),
        Input::Owned(owned) => owned.given(),
        Input::Device(tensor) => tensor.given(),
    }
}
