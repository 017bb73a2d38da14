//! The tests of the device once more, on SwiftShader: `common` takes the driver from this program's name.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::duplicate_mod, reason = "each file brings what the tests share")]

#[path = "device.rs"]
mod device;
#[path = "import.rs"]
mod import;
#[path = "poll.rs"]
mod poll;
#[path = "refusals.rs"]
mod refusals;
#[path = "validation.rs"]
mod validation;
