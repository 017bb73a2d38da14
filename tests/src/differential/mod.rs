//! Differential testing: random graphs on a device, every dispatch against the host.
//!
//! ```text
//! seed ─► draw ─► graph, inputs ─┐
//!      └► settings ──────────────┴► compile ─► program ─┬─ host, whole ≈ reference evaluation
//!                                                       ├─ device, a dispatch at a time, each ≈ host on its operand bytes
//!                                                       ├─ device, as recorded  = a dispatch at a time, all bytes
//!                                                       └─ device, in a session = a dispatch at a time, outputs
//! ```
//!
//! `≈` is within the kernel's stated error bound (`bayplan_shaders::error_bound`), `=` is bit for bit. What differs is
//! [`minimised`](minimise) and printed with the command that repeats it.

mod case;
mod check;
pub mod draw;
mod failure;
mod memory;
mod minimise;
mod oracle;
mod settings;
mod step;
mod sweep;
mod tally;

pub use case::Case;
pub(crate) use check::compiled;
pub use check::{Checker, dispatch_by_dispatch};
pub use failure::{Failure, Kind};
pub use minimise::minimise;
pub use settings::Settings;
pub use sweep::{Outcome, Plan, sweep};
pub use tally::{Family, Tally};
