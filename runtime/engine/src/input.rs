//! What a run is given: tensors of the host, and such that lie on the device already.

use bayplan_compile::Shaped;
use bayplan_graph::{DType, Tensor};

use crate::owned::Owned;
use crate::tensor::DeviceTensor;

/// A tensor given for an input.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    /// In host memory: written to the device.
    Host(&'a Tensor),
    /// An output that was kept. Where the program reads the input from the caller's memory
    /// ([`InputPolicy::Caller`](bayplan_compile::InputPolicy::Caller)), it is read in place, else copied on the device.
    Owned(&'a Owned),
    /// A tensor of the caller's on the device; as an output that was kept.
    Device(&'a DeviceTensor),
}

impl<'a> From<&'a Tensor> for Input<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self::Host(tensor)
    }
}

impl<'a> From<&'a Owned> for Input<'a> {
    fn from(owned: &'a Owned) -> Self {
        Self::Owned(owned)
    }
}

impl<'a> From<&'a DeviceTensor> for Input<'a> {
    fn from(tensor: &'a DeviceTensor) -> Self {
        Self::Device(tensor)
    }
}

impl Shaped for Input<'_> {
    fn dtype(&self) -> DType {
        match self {
            Self::Host(tensor) => tensor.dtype(),
            Self::Owned(owned) => owned.dtype(),
            Self::Device(tensor) => tensor.dtype(),
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::Host(tensor) => tensor.shape(),
            Self::Owned(owned) => owned.shape(),
            Self::Device(tensor) => tensor.shape(),
        }
    }
}
