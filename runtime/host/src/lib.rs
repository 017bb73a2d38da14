//! A program on a CPU byte arena: the oracle that needs no GPU.
//!
//! The same [`bayplan_compile::Program`] that a device runs, dispatch by dispatch, at the same offsets. Bytes that hold
//! no live tensor are poisoned, so that a mistake in liveness, placement or aliasing becomes a wrong number here.
#![forbid(unsafe_code)]
