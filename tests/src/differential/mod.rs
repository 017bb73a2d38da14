//! Differential testing: random graphs, a device against the host, dispatch by dispatch.

pub mod draw;
mod random;
