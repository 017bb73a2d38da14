//! The tests of sessions once more, on SwiftShader: `common` takes the driver from this program's name.
#![cfg(target_arch = "x86_64")]

#[path = "session.rs"]
mod session;
