//! One file per command.

pub(crate) mod devices;
pub(crate) mod plan;
mod plan_text;
pub(crate) mod report;
pub(crate) mod run;
mod run_text;
pub(crate) mod top;
mod watch;
