//! Trace events, their encoding, and the timeline folded from them.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod event;
mod plan_record;
mod session;

pub use event::{Event, EventKind, Nanos, Severity, UNPLANNED, Window};
pub use plan_record::{
    ArenaKind, ArenaRecord, BufferKind, BufferRecord, DimBinding, MAX_PLAN_ITEMS, OpRecord, PlanRecord,
    PlanRecordError,
};
pub use session::{Keyframe, Level, Record, SessionInfo, UnknownLevel};
