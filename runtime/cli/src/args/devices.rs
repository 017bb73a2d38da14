//! The arguments of `bayplan devices`.

use clap::Args;

use super::common::FormatOptions;

/// The example of `devices`, and what its JSON holds.
pub(super) const DEVICES: &str = "\
Example: bayplan devices --json

JSON: version; devices, each with index, name, kind, driver, vulkan, uuid, heaps (bytes, \
    device_local) and target, what programs are compiled for; the last is the host, whose index, \
    vulkan and uuid are null.";

#[derive(Args, Debug)]
pub(crate) struct DevicesOptions {
    #[command(flatten)]
    pub(crate) format: FormatOptions,
}
