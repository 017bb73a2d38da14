//! A run among many: its figures for those who watch a fleet of machines with tools that they have.
//!
//! ```text
//!  session ─► recording ─► Watched ─► figures ─┬─► Server     Prometheus text, on a port of this machine
//!                          (a Follower and      └─► Receiver   OpenTelemetry metrics by OTLP over HTTP
//!                           a Timeline)                        (feature `otlp`)
//! ```
//! What is told is what any viewer of the recording sees: a thread follows the run's own recording and folds it as every
//! reader does. Nothing is asked of the session, so that a server nobody reads or a receiver that hangs costs a run nothing.
//!
//! The figures are those of [`bayplan_trace::quantities`], named after them: `peak` of the arena `activations` is
//! `bayplan_peak_bytes{arena="activations"}` for Prometheus and `bayplan.peak` in bytes for OpenTelemetry. Durations are in
//! seconds; distributions are summaries. There is a series for each session, arena, heap and pool, of the plan that ran last:
//! never one for each op, tensor or shape, of which there is no end.
#![forbid(unsafe_code)]

mod address;
mod error;
mod fleet;
mod metrics;
#[cfg(feature = "otlp")]
mod otlp;
mod prometheus;
mod request;
mod server;
mod watched;

pub use error::FleetError;
pub use fleet::{Fleet, Outlets};
#[cfg(feature = "otlp")]
pub use otlp::Receiver;
pub use server::Server;
