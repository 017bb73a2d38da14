//! What a session has done so far, counted.

/// What a session has done so far. In steady state (every shape seen before, or whose kernels were) only runs go on:
/// the device's allocations and pipelines stay what they were when the session was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls of `vkAllocateMemory` on the session's device so far, counted in the driver's function table: also those of
    /// other sessions, of buffers that callers made, and of output arenas that grew.
    pub device_allocations: u64,
    /// Pipelines made on the session's device so far, also those of other sessions.
    pub pipelines: u64,
    /// Programs instantiated for a shape: one when the session is built for each representative shape, then one for each
    /// shape that is not at hand.
    pub shapes: u64,
    /// Command buffers recorded for the run stage: one for each new shape, or new placement of its outputs.
    pub recordings: u64,
    /// Blocks that the output arena was given since the session was built.
    pub output_growths: u64,
    /// Nanoseconds spent on instantiating programs after the session was built.
    pub instantiate_ns: u64,
    /// Nanoseconds spent on verifying them.
    pub verify_ns: u64,
    /// Nanoseconds spent on writing their parameters and recording commands.
    pub record_ns: u64,
}
