//! The rows of the memory model: graphs and lists of buffers, each with the arena that it must need, to the byte.
//!
//! Graphs are ONNX files made here, imported, and compiled with alignment 1 and no rounding, operators in the order
//! written, inputs and constants owned by the caller. Each is compiled without and with in place; with fusion it may
//! need no more than with in place. Every program is run on the host, where what dies is poisoned, and its results are
//! held against the reference evaluation: a plan that is smaller than it may be shows as a wrong number.

mod branches;
mod graphs;
mod planner;
mod row;
mod scenarios;
mod symbolic;
