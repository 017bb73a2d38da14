//! The tests of sessions, of how weights come to them, of their shapes, of their recordings and of what is measured once more, on SwiftShader: `common` takes the driver from this program's
//! name.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::duplicate_mod, reason = "each test file declares the helpers that it shares")]

#[path = "imports.rs"]
mod imports;
#[path = "loading.rs"]
mod loading;
#[path = "probe.rs"]
mod probe;
#[path = "recording.rs"]
mod recording;
#[path = "session.rs"]
mod session;
#[path = "shapes.rs"]
mod shapes;
