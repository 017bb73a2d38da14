//! One file per command.

pub(crate) mod bench;
mod bench_text;
pub(crate) mod conform;
pub(crate) mod devices;
pub(crate) mod fit;
mod fit_text;
mod functions;
pub(crate) mod plan;
mod plan_copies;
mod plan_host;
mod plan_json;
mod plan_ports;
mod plan_shapes;
mod plan_text;
mod plan_times;
mod plan_why;
mod planned;
pub(crate) mod report;
pub(crate) mod run;
mod run_text;
pub(crate) mod top;
mod watch;
