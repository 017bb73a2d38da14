//! ONNX models to graphs.
//!
//! [`import`] first walks the file's wire format and copies everything but large tensor payloads, which stay ranges of
//! their file: weights never pass through the parser. The rest is decoded and translated node by node through a table
//! with one row per operator; most operators break down into a few primitives.
//!
//! This room reads no file: bytes come through [`bayplan_graph::ByteSource`]. What the file says is checked against
//! limits ([`limits`]) before it is believed.
#![forbid(unsafe_code)]

mod attributes;
mod body;
mod builder;
mod digest;
mod error;
mod extent;
mod generated;
mod import;
pub mod limits;
mod metadata;
mod ops;
mod sized;
mod tensor;
mod tensor_file;
mod values;
mod wire;
pub mod write;

pub use error::{ImportError, UnsupportedOp};
pub use import::{IR_VERSIONS, ImportOptions, OPSETS, import};
pub use ops::contrib::supported_contrib;
pub use ops::supported;
pub use tensor_file::{read_tensor, write_tensor};
pub use values::{ValueInput, value_inputs};

#[cfg(test)]
mod tests;
