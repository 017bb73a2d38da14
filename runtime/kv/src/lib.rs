//! Keys and values of many sequences in blocks: who holds which, who comes in, who advances.
//!
//! ```text
//!  sizing ──► BlockPool ◄── Step (a transaction) ◄── Scheduler ◄── requests
//!  how many    counts, free   tables change,          staircase,
//!  blocks      list, contents  or nothing does        chunks, order
//! ```
//!
//! Everything is values in, values out: there is no clock, no device and no model here. The memory function is passed in, so
//! that the same code runs under a device, under the host and in a simulator.
//!
//! | file | what it does | after |
//! |---|---|---|
//! | `pool.rs` | blocks with reference counts, the order in which free ones are taken, full ones by content | PagedAttention: Kwon and others, SOSP 2023 |
//! | `cache.rs`, `step.rs` | block tables, copy on write; a step as a transaction | |
//! | `claims.rs` | whether the pool can give what is claimed: the staircase, and the banker's algorithm | Dijkstra, EWD 123, 1965 |
//! | `policy.rs` | rules of admission and of speculation, to be compared | |
//! | `scheduler/` | queue, chunks of prompts beside decoding, why each waits | Orca: Yu and others, OSDI 2022 |
//! | `sizing/` | how many blocks a budget leaves, and what binds; context and chunk; what was calibrated | |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod cache;
mod claims;
mod event;
#[cfg(test)]
mod faults;
mod policy;
mod pool;
mod scheduler;
pub mod sizing;
mod step;

pub use cache::{Cache, CacheError, Table, TableId};
pub use claims::{Claim, Newcomer, Peak, Staircase, safe};
pub use event::Event;
pub use policy::{Admission, Draft, Speculation, Weights, speculation_need};
pub use pool::{BlockId, BlockPool};
pub use scheduler::{
    CommitError, Finish, Limits, Outcome, Planned, Pressure, Refusal, Request, Row, Running, Scheduler,
    Stall, Wait, Waiting,
};
pub use step::Step;
