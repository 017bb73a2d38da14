//! How a kernel wants its weights to lie.

use crate::kernels::conv_block;
use crate::spec::{ConvSpec, CopySpec};
use crate::tape::Constants;
use crate::target::Target;

/// A rearrangement of weights, done once when they are loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Elements of the rearranged weights.
    pub elements: u64,
    /// The movements, each from the weights as the model has them.
    pub copies: Vec<CopySpec>,
    /// Whether elements that no movement writes must be 0.
    pub zero_fill: bool,
}

impl ConvSpec {
    /// How this convolution wants its weights on a target; `None` if it takes them as they are. Whether
    /// they already were rearranged makes no difference.
    pub fn packing(&self, target: &Target) -> Option<Packing> {
        conv_block::serves(&self.map(&Constants), target).then(|| conv_block::packing(self))
    }
}
