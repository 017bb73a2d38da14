//! Byte sources for weights: the model file and the files beside it.
//!
//! A [`Store`] opens every file that a graph names and checks, before anything runs, that each constant's bytes lie in
//! its file. Reading is positional ([`ByteSource::read_at`]), so one store serves many threads.
#![forbid(unsafe_code)]

mod duplicates;
mod error;
mod file;
mod store;

pub use bayplan_graph::ByteSource;
pub use error::WeightsError;
pub use file::FileSource;
pub use store::Store;
