//! Tensors of the caller's on a device.

use std::sync::Arc;

use bayplan_compile::{device_size, widen};
use bayplan_graph::{DType, Tensor};
use bayplan_vulkan::{Buffer, Location};

use crate::device::Device;
use crate::error::EngineError;
use crate::owned::{DeviceBytes, elements};

/// Memory of a device for elements of one type: a run writes an output straight into it
/// ([`OutputPolicy::Into`](bayplan_compile::OutputPolicy::Into)), or reads an input from it.
///
/// Made by [`Device::tensor`]. It has the bytes of the shape that it was made with; a run may write any shape that
/// fits, which is its shape then. Its memory is free once it is dropped and the sessions that wrote into it run again
/// or end.
pub struct DeviceTensor {
    place: DeviceBytes,
    capacity: u64,
}

impl Device {
    /// Makes a tensor on the device, in an allocation of its own. Its elements are unspecified until they are written.
    ///
    /// # Errors
    /// No memory is left, or the shape is larger than the device allocates at once.
    pub fn tensor(&self, dtype: DType, shape: &[usize]) -> Result<DeviceTensor, EngineError> {
        let count = shape.iter().try_fold(1u64, |count, &dim| count.checked_mul(dim as u64));
        let bytes = count.and_then(|count| count.checked_mul(device_size(dtype)));
        let name = "tensor";
        let large = || EngineError::Copy { name: name.into(), reason: "its bytes exceed 64 bits".into() };
        // Kernels bind whole vec4s, and the device whole units of its alignment.
        let room =
            bytes.and_then(|bytes| bytes.max(1).checked_next_multiple_of(self.target().storage_alignment));
        let (Some(capacity), Some(room)) = (bytes, room) else { return Err(large()) };
        let build = self.ledger.build(&self.vulkan);
        let buffer = Arc::new(self.vulkan.create_buffer(name, room, Location::Device)?);
        let transfer = self.tensor_transfer(&buffer)?;
        let staging = transfer.buffers().map(Buffer::allocation).collect::<Vec<_>>();
        let own = staging.into_iter().chain([buffer.allocation()]).flatten();
        build.claim(own.map(|id| (id, name.to_owned())).collect());
        let place = DeviceBytes { dtype, shape: shape.to_vec(), buffer: Some(buffer), offset: 0, transfer };
        Ok(DeviceTensor { place, capacity })
    }
}

impl DeviceTensor {
    /// Its element type.
    pub fn dtype(&self) -> DType {
        self.place.dtype
    }

    /// The dimensions of what was written last, in elements.
    pub fn shape(&self) -> &[usize] {
        &self.place.shape
    }

    /// Bytes of elements that it has room for, in device memory.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Writes a tensor of its type and of a shape that fits.
    ///
    /// # Errors
    /// The type differs or the elements do not fit (nothing was written then), or the device is lost.
    pub fn write(&mut self, tensor: &Tensor) -> Result<(), EngineError> {
        let bytes = elements(tensor.shape()) * device_size(tensor.dtype());
        if tensor.dtype() != self.dtype() || bytes > self.capacity {
            let reason = format!(
                "{}{:?} does not go into {} bytes of {}",
                tensor.dtype(),
                tensor.shape(),
                self.capacity,
                self.dtype()
            );
            return Err(EngineError::Copy { name: "tensor".into(), reason });
        }
        if let Some(buffer) = self.place.buffer.as_ref().filter(|_| bytes > 0) {
            self.place.transfer.write(buffer, 0, &widen(tensor.dtype(), tensor.bytes()))?;
        }
        self.place.shape = tensor.shape().to_vec();
        Ok(())
    }

    /// A copy in host memory. Waits for a run that is under way.
    ///
    /// # Errors
    /// The device is lost, or the tensor is larger than bayplan's tensors may be.
    pub fn to_tensor(&self) -> Result<Tensor, EngineError> {
        self.place.to_tensor("tensor")
    }

    /// Whether sessions on a device can read and write it.
    pub fn is_on(&self, device: &Device) -> bool {
        self.place.is_on(device)
    }

    pub(crate) fn place(&self) -> &DeviceBytes {
        &self.place
    }

    /// A run has written elements of this shape.
    pub(crate) fn set_shape(&mut self, shape: &[u64]) {
        self.place.shape = shape.iter().map(|&dim| dim as usize).collect();
    }
}
