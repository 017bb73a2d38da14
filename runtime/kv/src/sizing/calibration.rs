//! The driver's own memory: measured once, kept with what it was measured on.

use alloc::format;
use alloc::string::String;
use bayplan_text::{Bytes, ellipsis};
use core::fmt::{self, Write};

/// What a driver needs beside what was asked of it, and when that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calibration {
    /// The device (`VkPhysicalDeviceIDProperties::deviceUUID`).
    pub device: [u8; 16],
    /// The driver (`VkPhysicalDeviceProperties::driverVersion`).
    pub driver: u32,
    /// Bytes of the driver.
    pub overhead: u64,
    /// Bytes that could be had before it was measured.
    pub free: u64,
}

/// The heap at one moment: before the device, behind the device, the arena, the pipelines, the first run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Bytes in use, as the driver tells.
    pub usage: u64,
    /// Bytes that were asked of it until then.
    pub asked: u64,
}

/// Why a calibration does not hold any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// It is another device's.
    Device,
    /// The driver is another one.
    Driver {
        /// The one it was measured on.
        recorded: u32,
        /// The one there is.
        driver: u32,
    },
    /// Less memory can be had than then: others may use it, and the driver may have to do otherwise.
    Free {
        /// Bytes that could be had when it was measured.
        recorded: u64,
        /// Bytes that can be had.
        free: u64,
    },
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device => f.write_str("it was measured on another device"),
            Self::Driver { recorded, driver } => {
                write!(f, "it was measured with driver version {recorded}, this one is {driver}")
            }
            Self::Free { recorded, free } => {
                write!(f, "{} were free when it was measured, now {}", Bytes(*recorded), Bytes(*free))
            }
        }
    }
}

/// A text that is no calibration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalibrationError {
    /// The line, counted from 1.
    pub line: usize,
    /// What was expected there.
    pub expected: &'static str,
    /// What is there.
    pub found: String,
}

impl fmt::Display for CalibrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, expected, found } = self;
        write!(f, "line {line}: expected {expected}, found `{}`", ellipsis(found, 60))
    }
}

impl core::error::Error for CalibrationError {}

const FIRST_LINE: &str = "bayplan calibration 1";

impl Calibration {
    /// Of the moments of a start, the first of them before anything was asked.
    pub fn measured(device: [u8; 16], driver: u32, free: u64, samples: &[Sample]) -> Self {
        let own = |sample: &Sample| sample.usage.saturating_sub(sample.asked);
        let before = samples.first().map_or(0, own);
        // Where usage falls short of what was asked the driver has not yet given all of it.
        let overhead = samples.iter().map(own).max().unwrap_or(0).saturating_sub(before);
        Self { device, driver, overhead, free }
    }

    /// The driver's bytes, if what was measured holds here: the same device and driver, and at least as much memory free.
    ///
    /// # Errors
    /// [`Stale`]: measure again.
    pub fn overhead_for(&self, device: [u8; 16], driver: u32, free: u64) -> Result<u64, Stale> {
        if device != self.device {
            return Err(Stale::Device);
        }
        if driver != self.driver {
            return Err(Stale::Driver { recorded: self.driver, driver });
        }
        if free < self.free {
            return Err(Stale::Free { recorded: self.free, free });
        }
        Ok(self.overhead)
    }

    /// Reads what `Display` writes.
    ///
    /// # Errors
    /// The first line that is something else.
    pub fn parse(text: &str) -> Result<Self, CalibrationError> {
        let mut lines = text.lines().enumerate();
        let mut line = |key: &'static str, expected: &'static str| {
            let (at, found) = lines.next().unwrap_or((text.lines().count(), ""));
            let error = CalibrationError { line: at + 1, expected, found: found.into() };
            found
                .strip_prefix(key)
                .map(str::trim)
                .filter(|rest| !rest.is_empty())
                .ok_or(error.clone())
                .map(|rest| (rest, error))
        };
        let (_, version) = line("bayplan calibration", FIRST_LINE)?;
        if version.found.trim_end() != FIRST_LINE {
            return Err(version);
        }
        let (digits, error) = line("device ", "device and 32 hexadecimal digits")?;
        let device = uuid(digits).ok_or(error)?;
        let (driver, error) = line("driver ", "driver and its version")?;
        let driver = driver.parse().map_err(|_| error)?;
        let (overhead, error) = line("overhead ", "overhead and its bytes")?;
        let overhead = overhead.parse().map_err(|_| error)?;
        let (free, error) = line("free ", "free and its bytes")?;
        let free = free.parse().map_err(|_| error)?;
        Ok(Self { device, driver, overhead, free })
    }
}

fn uuid(digits: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = String::new();
        for byte in self.device {
            digits.push_str(&format!("{byte:02x}"));
        }
        f.write_str(FIRST_LINE)?;
        f.write_char('\n')?;
        writeln!(f, "device {digits}\ndriver {}\noverhead {}\nfree {}", self.driver, self.overhead, self.free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const OWN: Calibration =
        Calibration { device: *b"0123456789abcdef", driver: 7, overhead: 300, free: 1000 };

    #[test]
    fn holds_where_it_was_measured_with_as_much_memory_free() {
        let check = |device: [u8; 16], driver, free, expect| {
            assert_eq!(OWN.overhead_for(device, driver, free), expect);
        };
        check(OWN.device, 7, 1000, Ok(300));
        check(OWN.device, 7, 5000, Ok(300));
        check(OWN.device, 7, 999, Err(Stale::Free { recorded: 1000, free: 999 }));
        check(OWN.device, 8, 5000, Err(Stale::Driver { recorded: 7, driver: 8 }));
        check([0; 16], 7, 5000, Err(Stale::Device));
    }

    #[test]
    fn is_the_most_that_was_used_beside_what_was_asked() {
        let sample = |usage, asked| Sample { usage, asked };
        let samples =
            [sample(50, 0), sample(90, 0), sample(1100, 1000), sample(1290, 1000), sample(1250, 1000)];
        assert_eq!(Calibration::measured([1; 16], 7, 1000, &samples).overhead, 240);
        assert_eq!(Calibration::measured([1; 16], 7, 1000, &[sample(50, 0), sample(400, 1000)]).overhead, 0);
        assert_eq!(Calibration::measured([1; 16], 7, 1000, &[]).overhead, 0);
    }

    #[test]
    fn is_read_as_it_is_written() {
        let text = OWN.to_string();
        assert_eq!(Calibration::parse(&text), Ok(OWN));
        let lines = text.lines().count();
        for cut in 0..text.trim_end().len() {
            // Digits at the end can be cut and be a number still.
            if let Ok(other) = Calibration::parse(&text[..cut]) {
                assert!(other.free < OWN.free && other.overhead == OWN.overhead, "cut at {cut}");
            }
        }
        let check = |from: &str, to: &str, line: usize| {
            let error = Calibration::parse(&text.replace(from, to)).unwrap_err();
            assert_eq!(error.line, line, "{error}");
        };
        check("calibration 1", "calibration 2", 1);
        check("calibration 1", "calibration 10", 1);
        check("device 3", "device x", 2);
        check("device 3", "device ä", 2);
        check("driver 7", "driver 4294967296", 3);
        check("overhead 300", "overhead -1", 4);
        check("free", "fresh", lines);
    }
}
