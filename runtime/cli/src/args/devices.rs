//! The arguments of `bayplan devices`.

use clap::Args;

use super::common::FormatOptions;

/// The example of `devices`, and what its JSON holds.
pub(super) const DEVICES: &str = "\
Example: bayplan devices --json

JSON: version; devices, each with index, name, kind, driver, vulkan, uuid, heaps (bytes, \
    device_local), weights_path (mapped: weights are read straight into its memory; staged: through staging buffers; \
    host), imports (whether --io import can leave them in their files) and target, what programs are compiled for; the last is the host, whose index, \
    vulkan and uuid are null. Each has roof, what was measured of it (bytes_per_second of a copy, read and \
    written; flops_per_second of multiply-adds; source, clock, measured_unix_ns), null where nothing was: \
    roof_error says why, if it was tried or cannot be.";

#[derive(Args, Debug)]
pub(crate) struct DevicesOptions {
    /// Measures what each device does at most, some seconds for each, and keeps it for recordings and reports: how far ops
    /// are from it.
    #[arg(long)]
    pub(crate) probe: bool,
    #[command(flatten)]
    pub(crate) format: FormatOptions,
}
