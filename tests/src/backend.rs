//! The backends that one definition of a test runs on.

use std::env;
use std::fmt;

use bayplan::{Device, DeviceOptions, Selector};

/// What runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The library's own executor on the CPU: no driver, dead ranges poisoned.
    Host,
    /// Mesa's CPU driver: 8 lanes, 64-bit integers, storage windows of at most 128 MiB.
    Lavapipe,
    /// Chromium's CPU driver: 4 lanes, no 64-bit integers, storage windows aligned to 256 bytes, allocations of at most
    /// 1 GiB.
    SwiftShader,
    /// The device that `BAYPLAN_DEVICE` names, or the best one: a GPU where there is one.
    Named,
}

impl Backend {
    /// What the device is called.
    ///
    /// # Panics
    /// When `BAYPLAN_DEVICE` names none.
    pub fn selector(self) -> Selector {
        match self {
            Backend::Host => Selector::Name("host".into()),
            Backend::Lavapipe => Selector::Name("llvmpipe".into()),
            Backend::SwiftShader => Selector::Name("SwiftShader".into()),
            Backend::Named => env::var("BAYPLAN_DEVICE").map_or(Selector::Best, |name| {
                name.parse().unwrap_or_else(|e| panic!("BAYPLAN_DEVICE: {e}"))
            }),
        }
    }

    /// Opens the backend's device.
    ///
    /// # Panics
    /// When it cannot be opened; the message says why, and how drivers are brought.
    pub fn open(self, options: &DeviceOptions) -> Device {
        Device::open(&DeviceOptions { selector: self.selector(), ..options.clone() }).unwrap_or_else(|e| {
            panic!(
                "no {self} to test on: {e}\n(scripts/setup.sh test && . target/env-test.sh brings drivers)"
            )
        })
    }

    /// Opens the backend's device as it is.
    ///
    /// # Panics
    /// As [`Backend::open`].
    pub fn device(self) -> Device {
        self.open(&DeviceOptions::default())
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Host => "host",
            Backend::Lavapipe => "lavapipe",
            Backend::SwiftShader => "SwiftShader",
            Backend::Named => "device",
        })
    }
}

/// Defines tests once for every backend: `name => check;` becomes a test `name::BACKEND` each, which calls
/// `check(Backend)`. `name::named` is ignored unless asked for: it runs on the device that `BAYPLAN_DEVICE` names.
#[macro_export]
macro_rules! on_every_backend {
    ($($(#[doc = $doc:literal])* $name:ident => $check:expr;)+) => {$(
        $(#[doc = $doc])*
        mod $name {
            #[allow(unused_imports, reason = "a closure may need the test's names")]
            use super::*;
            use $crate::backend::Backend;

            const ON: fn(Backend) = $check;

            #[test]
            fn host() {
                ON(Backend::Host);
            }

            $crate::tests_of_drivers! {}
        }
    )+};
}

/// As [`on_every_backend`], of what only drivers have: device memory, validation layers, staging buffers.
#[macro_export]
macro_rules! on_every_driver {
    ($($(#[doc = $doc:literal])* $name:ident => $check:expr;)+) => {$(
        $(#[doc = $doc])*
        mod $name {
            #[allow(unused_imports, reason = "a closure may need the test's names")]
            use super::*;
            use $crate::backend::Backend;

            const ON: fn(Backend) = $check;

            $crate::tests_of_drivers! {}
        }
    )+};
}

/// The tests that both have.
#[doc(hidden)]
#[macro_export]
macro_rules! tests_of_drivers {
    () => {
        #[test]
        fn lavapipe() {
            ON(Backend::Lavapipe);
        }

        // No other architecture's build is published.
        #[cfg(target_arch = "x86_64")]
        #[test]
        fn swiftshader() {
            ON(Backend::SwiftShader);
        }

        #[ignore = "runs on the device that BAYPLAN_DEVICE names"]
        #[test]
        fn named() {
            ON(Backend::Named);
        }
    };
}
