//! Outputs through the library: lent, kept, and made in the caller's buffers; on every backend.

mod empty;
mod kept;
mod model;
mod recorded;
mod refused;
mod shared;
