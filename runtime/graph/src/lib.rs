//! The tensor graph: values, operators, shape rules and reference evaluation.
//!
//! A [`Graph`] is a list of [`Node`]s in an order in which they can run. Each node applies one [`Op`] to values and
//! makes values; a [`Value`] is a graph input, a constant (bytes in memory or a range of a file) or a node's output.
//! Dimensions are integer expressions over symbols, so one graph stands for all shapes.
//!
//! The operators are few: an importer breaks most of a format's operators down into these families. Everything that
//! belongs to an operator (what it accepts, the shape rule, the reference evaluation) lies in one file under `op/`,
//! and one function is the only place that matches on all of them.
//!
//! This room reads no file, clock, environment or device.
#![forbid(unsafe_code)]

mod bytes;
mod dtype;
mod graph;
pub mod op;

pub use bytes::{ByteRange, ByteSource, FileId, FileRef, ReadError};
pub use dtype::DType;
pub use graph::{ConstData, Graph, Node, NodeId, TensorType, Value, ValueId, ValueSource};
pub use op::Op;
