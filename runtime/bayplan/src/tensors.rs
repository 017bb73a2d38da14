//! Tensors that outlive a run: outputs that are kept, and the caller's own buffers.

use bayplan_compile::{InputError, device_size};
use bayplan_graph::{DType, Tensor};

use crate::error::Error;

/// An output that the caller keeps: a slot of the session's output arena, exactly as large as it is. It may outlive the
/// session's next runs and the session itself, be sent to another thread, and be given as an input. Dropped, its slot is
/// free again.
pub struct Owned(pub(crate) Kept);

pub(crate) enum Kept {
    Vulkan(bayplan_engine::Owned),
    Host(bayplan_host::Owned),
}

/// Memory of a device for elements of one type, made by [`Device::tensor`](crate::Device::tensor). A run writes an output
/// with the policy [`Into`](crate::OutputPolicy::Into) straight into it, or reads an input from it. It has the bytes of the
/// shape that it was made with; a run may write any shape that fits, which is its shape then.
///
/// While a run's outputs are held, its buffers can be read:
///
/// ```no_run
/// # fn into(device: &bayplan::Device, session: &mut bayplan::Session) -> Result<(), bayplan::Error> {
/// let mut buffer = device.tensor(bayplan::DType::F32, &[256])?;
/// let outputs = session.run_into(&[], &mut [("y", &mut buffer)])?;
/// let y = buffer.to_tensor()?;
/// # drop(outputs);
/// # Ok(())
/// # }
/// ```
///
/// The same buffer cannot be read while it is lent to a run:
///
/// ```compile_fail,E0502
/// # fn into(device: &bayplan::Device, session: &mut bayplan::Session) -> Result<(), bayplan::Error> {
/// let mut buffer = device.tensor(bayplan::DType::F32, &[256])?;
/// let mut into = [("y", &mut buffer)];
/// let y = buffer.to_tensor()?;
/// session.run_into(&[], &mut into)?;
/// # Ok(())
/// # }
/// ```
pub struct DeviceTensor(pub(crate) Buffer);

pub(crate) enum Buffer {
    Vulkan(bayplan_engine::DeviceTensor),
    Host(bayplan_host::DeviceTensor),
}

/// An input of a run, wherever it lies. One on another device than the session's is copied through host memory.
pub type Input<'a> = bayplan_compile::session::Input<'a, Owned, DeviceTensor>;

bayplan_compile::session_inputs!(Owned as Owned, DeviceTensor as Device);

macro_rules! both {
    ($kind:ident, $value:expr, $own:ident => $result:expr) => {
        match $value {
            $kind::Vulkan($own) => $result,
            $kind::Host($own) => $result,
        }
    };
}

impl Owned {
    /// The output's name in the model.
    pub fn name(&self) -> &str {
        both!(Kept, &self.0, own => own.name())
    }

    /// Its element type in the model.
    pub fn dtype(&self) -> DType {
        both!(Kept, &self.0, own => own.dtype())
    }

    /// Its dimensions, in elements.
    pub fn shape(&self) -> &[usize] {
        both!(Kept, &self.0, own => own.shape())
    }

    /// The bytes that it takes of the output arena, exactly.
    pub fn bytes(&self) -> u64 {
        both!(Kept, &self.0, own => own.bytes())
    }

    /// A copy in host memory.
    ///
    /// # Errors
    /// The device is lost, or the tensor is larger than bayplan's tensors may be.
    pub fn to_tensor(&self) -> Result<Tensor, Error> {
        Ok(both!(Kept, &self.0, own => own.to_tensor()?))
    }
}

impl DeviceTensor {
    /// Its element type.
    pub fn dtype(&self) -> DType {
        both!(Buffer, &self.0, own => own.dtype())
    }

    /// The dimensions of what was written last, in elements.
    pub fn shape(&self) -> &[usize] {
        both!(Buffer, &self.0, own => own.shape())
    }

    /// Bytes of elements that it has room for, in device memory.
    pub fn capacity(&self) -> u64 {
        both!(Buffer, &self.0, own => own.capacity())
    }

    /// Writes a tensor of its type and of a shape that fits.
    ///
    /// # Errors
    /// The type differs or the elements do not fit ([`InputError::Wrong`]; nothing was written then), or the device is lost.
    pub fn write(&mut self, tensor: &Tensor) -> Result<(), Error> {
        let bytes = (tensor.count() as u64).saturating_mul(device_size(tensor.dtype()));
        if tensor.dtype() != self.dtype() || bytes > self.capacity() {
            return Err(Error::Input(InputError::Wrong {
                name: "tensor".into(),
                expected: format!("{} of at most {} bytes in device memory", self.dtype(), self.capacity()),
                actual: format!("{}{:?}, which takes {bytes}", tensor.dtype(), tensor.shape()),
            }));
        }
        both!(Buffer, &mut self.0, own => own.write(tensor)?);
        Ok(())
    }

    /// A copy in host memory.
    ///
    /// # Errors
    /// The device is lost, on the host nothing was written yet, or the tensor is larger than bayplan's tensors may be.
    pub fn to_tensor(&self) -> Result<Tensor, Error> {
        Ok(both!(Buffer, &self.0, own => own.to_tensor()?))
    }
}

/// The input for a session on a Vulkan device, unless it must be copied.
pub(crate) fn vulkan<'a>(
    input: Input<'a>,
    device: &bayplan_engine::Device,
) -> Option<bayplan_engine::Input<'a>> {
    match input {
        Input::Host(tensor) => Some(tensor.into()),
        Input::Owned(Owned(Kept::Vulkan(own))) => own.is_on(device).then(|| own.into()),
        Input::Device(DeviceTensor(Buffer::Vulkan(own))) => own.is_on(device).then(|| own.into()),
        Input::Owned(_) | Input::Device(_) => None,
    }
}

/// The input for a session on the host, unless it must be copied.
pub(crate) fn host(input: Input<'_>) -> Option<bayplan_host::Input<'_>> {
    match input {
        Input::Host(tensor) => Some(tensor.into()),
        Input::Owned(Owned(Kept::Host(own))) => Some(own.into()),
        Input::Device(DeviceTensor(Buffer::Host(own))) => Some(own.into()),
        Input::Owned(_) | Input::Device(_) => None,
    }
}

/// A copy in host memory.
pub(crate) fn to_tensor(input: Input<'_>) -> Result<Tensor, Error> {
    match input {
        Input::Host(tensor) => Ok(tensor.clone()),
        Input::Owned(own) => own.to_tensor(),
        Input::Device(own) => own.to_tensor(),
    }
}
