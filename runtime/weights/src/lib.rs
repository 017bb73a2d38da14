//! Byte sources for weights: the model file, the files beside it, and files that hold tensors by name.
//!
//! A [`Store`] opens every file that a graph names and checks, before anything runs, that each constant's bytes lie in
//! its file. [`Named`] is a safetensors or GGUF file, or an index of shards; [`bind()`] lets its tensors take the place of a
//! graph's initializers, by name. Reading is positional ([`ByteSource::read_at`]), so one store serves many threads.
#![forbid(unsafe_code)]

mod bind;
mod cached;
mod checks;
mod duplicates;
mod error;
mod file;
mod folder;
mod named;
mod pack;
pub mod reading;
mod rules;
mod store;
mod unfit;

pub use bayplan_graph::ByteSource;
pub use bind::{Bound, bind};
pub use checks::Checks;
pub use error::{Damage, WeightsError};
pub use file::FileSource;
pub use named::{Encoding, Entry, Named};
pub use pack::{Copier, CopyError};
pub use rules::Rules;
pub use store::Store;
pub use unfit::{LeftOver, Missing, Unfit};
