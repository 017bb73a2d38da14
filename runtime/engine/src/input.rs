//! What a run is given: tensors of the host, and such that lie on the device already.

use crate::owned::Owned;
use crate::tensor::DeviceTensor;

/// A tensor given for an input.
pub type Input<'a> = bayplan_compile::session::Input<'a, Owned, DeviceTensor>;

bayplan_compile::session_inputs!(Owned as Owned, DeviceTensor as Device);
