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

mod bind;
mod blocks;
mod body;
mod bytes;
pub mod decoder;
mod digest;
mod dims;
mod dtype;
mod eval;
mod graph;
mod infer;
mod layout;
mod narrow;
pub mod op;
mod print;
mod prologue;
mod reach;
mod rule;
mod share;
mod tensor;
mod verify;
mod verify_bodies;

pub use bind::{BindError, Tie};
pub use blocks::BlockFormat;
pub use body::{Body, Walk};
pub use bytes::{ByteRange, ByteSource, DIRECT, FileId, FileRef, ReadError};
pub use digest::{Digest, Digester, NoDigest};
pub use dtype::DType;
pub use eval::{Constants, GraphEvalError, NoFiles, eval, eval_node};
pub use graph::{
    ConstData, Constraint, Extent, Graph, Initializer, Node, NodeId, NotOne, TensorType, Value, ValueId,
    ValueSource,
};
pub use infer::{InferError, Inference};
pub use narrow::NarrowFloat;
pub use op::Op;
pub use prologue::{Prologue, PrologueError};
pub use reach::Reach;
pub use rule::{
    Context, EvalError, HostType, Inferred, Kind, MAX_CONTENTS, MAX_RANK, Operand, Output, Rule, Set,
    ShapeError, Signature, axes, axis,
};
pub use share::Duplicate;
pub use tensor::{Elements, MAX_TENSOR_BYTES, Tensor, TensorError};
pub use verify::{VerifyError, verify};
