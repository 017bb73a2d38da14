//! How it is told in bytes: frames, chunks and their bodies, written and read, and what Perfetto shows of them.

pub(crate) mod chunk;
pub(crate) mod damage;
pub(crate) mod event_codec;
pub(crate) mod index;
pub(crate) mod number;
pub(crate) mod order;
pub(crate) mod packed;
pub(crate) mod packed_take;
#[cfg(test)]
mod packed_tests;
pub(crate) mod perfetto;
pub(crate) mod plan_codec;
pub(crate) mod reader;
pub(crate) mod state;
#[cfg(test)]
mod tests;
pub mod wire;
pub(crate) mod writer;
