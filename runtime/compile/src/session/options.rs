//! How to build a session, whatever it runs on.

use core::time::Duration;

use super::{Cancel, Io, OutputArena, Progress};

/// Shapes at hand unless another number is asked for.
const SHAPES: usize = 16;

/// How to build a session; `R` says how to record it.
#[derive(Clone, Debug)]
pub struct SessionOptions<R> {
    /// What to record, and where; nothing by default.
    pub recording: Option<R>,
    /// The longest a run may take, on a device other submissions before it included; unlimited by default. On the host it
    /// is looked at between dispatches.
    pub timeout: Option<Duration>,
    /// For how many shapes the program (and on a device its parameters and recorded commands) is kept: a run of one of them
    /// begins at once. Another shape takes the place of the one not used for longest. 16 by default, at least 1.
    pub shapes: usize,
    /// The arena of outputs that callers keep ([`OutputPolicy::Own`](crate::OutputPolicy::Own)), and of inputs that the
    /// program reads from the caller's memory but that are given as host tensors. No bytes by default.
    pub outputs: OutputArena,
    /// The most bytes that the arenas may take together: weights and activations, or weights and what is needed while
    /// they are loaded, whichever is more: what the memory function tells of a shape. By default the family's reservation,
    /// which is enough for all its shapes. With fewer, shapes that need more are refused by name. Where symbols have no
    /// upper bound it must be given.
    pub memory: Option<u64>,
    /// Told how far loading is whenever a piece of the weights arrives; nobody by default.
    pub progress: Option<Progress>,
    /// Ends loading before its time: the session is not built then, or the first run of one that is built early fails. Never by
    /// default.
    pub cancel: Cancel,
    /// How weights are read; past the page cache where they are not in it by default.
    pub io: Io,
    /// Begin the first run while weights still arrive: the session is built before they have, each dispatch waits for what it
    /// reads, and what is wrong with a weight is told by that run, which delivers nothing then. Where memory does not suffice for
    /// loading and running at the same time, and on the host, the session is built when all have arrived. False by default.
    pub early: bool,
}

impl<R> Default for SessionOptions<R> {
    fn default() -> Self {
        let (recording, timeout, memory, progress) = (None, None, None, None);
        let (outputs, cancel, io) = (OutputArena::default(), Cancel::default(), Io::default());
        Self { recording, timeout, shapes: SHAPES, outputs, memory, progress, cancel, io, early: false }
    }
}
