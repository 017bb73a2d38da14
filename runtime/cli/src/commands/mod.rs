//! One file per command.

pub(crate) mod devices;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod top;
