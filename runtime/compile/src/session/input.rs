//! What a run is given, whatever executes it.

use bayplan_graph::{DType, Tensor};

use crate::inputs::Shaped;

/// A tensor given for an input. `O` and `D` are the executor's own: outputs that were kept, and tensors of the caller's.
pub enum Input<'a, O, D> {
    /// In host memory: written to the arena.
    Host(&'a Tensor),
    /// An output of an earlier run that was kept. Where the program reads the input from the caller's memory
    /// ([`InputPolicy::Caller`](crate::InputPolicy::Caller)), it is read in place, else copied where it lies.
    Owned(&'a O),
    /// In a buffer of the caller's; as an output that was kept.
    Device(&'a D),
}

impl<'a, O, D> Input<'a, O, D> {
    /// The tensor, if it is one of the host's.
    pub fn host(self) -> Option<&'a Tensor> {
        match self {
            Self::Host(tensor) => Some(tensor),
            Self::Owned(_) | Self::Device(_) => None,
        }
    }
}

// Derived, they would ask the same of what is only referred to.
impl<O, D> Clone for Input<'_, O, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O, D> Copy for Input<'_, O, D> {}

impl<'a, O, D> From<&'a Tensor> for Input<'a, O, D> {
    fn from(tensor: &'a Tensor) -> Self {
        Self::Host(tensor)
    }
}

impl<O: Shaped, D: Shaped> Shaped for Input<'_, O, D> {
    fn on_host(&self) -> Option<&Tensor> {
        self.host()
    }

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

/// Makes an executor's kept outputs and its callers' tensors, which have `dtype()` and `shape()`, inputs of a run.
#[macro_export]
macro_rules! session_inputs {
    ($($kind:ident as $variant:ident),* $(,)?) => {
        $(impl<'a> From<&'a $kind> for $crate::session::Input<'a, Owned, DeviceTensor> {
            fn from(own: &'a $kind) -> Self {
                Self::$variant(own)
            }
        }

        impl $crate::Shaped for $kind {
            fn dtype(&self) -> ::bayplan_graph::DType {
                self.dtype()
            }

            fn shape(&self) -> &[usize] {
                self.shape()
            }
        })*
    };
}
