//! How to build a session.

use std::time::Duration;

use bayplan_compile::session::OutputArena;
use bayplan_record::RecordingOptions;

/// Shapes at hand unless another number is asked for.
const SHAPES: usize = 16;

/// How to build a session.
#[derive(Clone)]
pub struct SessionOptions {
    /// What to record, and where; nothing by default.
    pub recording: Option<RecordingOptions>,
    /// The longest a run may take, other submissions to the device before it included; unlimited by default.
    pub timeout: Option<Duration>,
    /// For how many shapes the program, the parameters and the recorded commands are kept: a run of one of them is
    /// submitted as it is. Another shape takes the place of the one not used for longest. 16 by default, at least 1.
    pub shapes: usize,
    /// The arena of outputs that callers keep ([`OutputPolicy::Own`](bayplan_compile::OutputPolicy::Own)), and of inputs
    /// that the program reads from the caller's memory but that are given as host tensors. No bytes by default.
    pub outputs: OutputArena,
    /// The most bytes that the arenas may take together: weights and activations, or weights and what is needed while
    /// they are loaded, whichever is more: what the memory function tells of a shape. By default the family's reservation, which is
    /// enough for all its shapes. With fewer, shapes that need more are refused by name.
    pub memory: Option<u64>,
    /// A fault to plant, to prove that its alarm goes off.
    #[cfg(feature = "faults")]
    pub fault: Option<crate::faults::Fault>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            recording: None,
            timeout: None,
            shapes: SHAPES,
            outputs: OutputArena::default(),
            memory: None,
            #[cfg(feature = "faults")]
            fault: None,
        }
    }
}
