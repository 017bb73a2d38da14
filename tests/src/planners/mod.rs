//! The judge of the memory planner: what other planners reach, what is possible at all, and whether a plan is one.
//!
//! ```text
//! seed ─► instances ─► problem ─┬─ the planner ─► plan ─┬─ plan::validate      accepts
//!                               │                       └─ verifier            accepts
//!                               ├─ four references, each verified ─────────────┐ no better
//!                               └─ exhaustive search, where there are 8 or less┘ just as good
//! ```
//!
//! All of it is written from published descriptions and shares no code with `bayplan-plan`: what both read is a
//! [`Buffer`], a plain record.

mod contest;
mod exhaustive;
mod greedy;
mod instances;
mod online;
mod tally;
mod verifier;

use bayplan_plan::Buffer;

pub use contest::{Contest, Outcome};
pub use exhaustive::{MOST, least_peak};
pub use tally::{Row, Tally};
pub use verifier::{fault_in_offsets, fault_in_plan};

/// A planner that others use.
#[derive(Clone, Copy, Debug)]
pub struct Reference {
    /// What it is called.
    pub name: &'static str,
    /// An offset per buffer; `None` where it knows no answer, as an allocator without foresight for buffers that must
    /// lie at an offset of the caller's choice.
    pub place: fn(&[Buffer]) -> Option<Vec<u64>>,
}

/// The planners to be matched: TFLite's, the two orders of XLA's, and ggml's.
pub const REFERENCES: [Reference; 4] = [
    Reference { name: "TFLite", place: greedy::tflite },
    Reference { name: "XLA spatial", place: greedy::xla_spatial },
    Reference { name: "XLA temporal", place: greedy::xla_temporal },
    Reference { name: "ggml", place: online::ggml },
];

/// The end of the highest buffer.
pub fn peak(buffers: &[Buffer], offsets: &[u64]) -> u64 {
    let ends = buffers.iter().zip(offsets).filter(|(b, _)| b.size > 0).map(|(b, offset)| offset + b.size);
    ends.max().unwrap_or(0)
}

/// Whether two buffers have bytes at a common program point.
fn meet(a: &Buffer, b: &Buffer) -> bool {
    let together = a.lifespan.first < b.lifespan.last && b.lifespan.first < a.lifespan.last;
    together && a.size > 0 && b.size > 0
}

/// Bytes that live at a point.
fn load(buffers: &[Buffer], point: u32) -> u64 {
    let live = buffers.iter().filter(|b| b.lifespan.first <= point && point < b.lifespan.last);
    live.map(|b| b.size).sum()
}

/// The most bytes that live at one point, found by looking at each point at which a buffer begins.
fn largest_load(buffers: &[Buffer]) -> u64 {
    buffers.iter().map(|b| load(buffers, b.lifespan.first)).max().unwrap_or(0)
}

/// The least multiple of `align` that is not below `offset`.
fn aligned(offset: u64, align: u64) -> u64 {
    offset.div_ceil(align) * align
}
