//! What a device does at most: the two roofs that the times of ops are held against.

use alloc::vec::Vec;

use crate::format::wire::{Cursor, WireError, field_nonzero};

/// What a device was measured to do at most, on itself: how fast it copies and how fast it computes.
///
/// The figures are of one kernel each, made for it. They are no data sheet: a kernel whose data lie in a cache moves bytes
/// faster than a copy through memory does, and stands above the roof then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roofs {
    /// Bytes read and written per second while a buffer larger than caches is copied; both directions count.
    pub bytes_per_second: u64,
    /// 32-bit floating-point operations per second; a multiply-add is two.
    pub flops_per_second: u64,
    /// Where the recording has them from.
    pub source: RoofSource,
    /// What the time was read from when they were measured.
    pub clock: RoofClock,
    /// When they were measured, in nanoseconds since the Unix epoch; 0 where that is not known.
    pub measured_unix_ns: u64,
}

/// Where a recording has its roofs from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RoofSource {
    /// They were measured just before the session began.
    #[default]
    Measured,
    /// An earlier measurement of the same device and driver was at hand.
    Cached,
}

impl RoofSource {
    /// Its name, as reports write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Cached => "cached",
        }
    }
}

/// What the time of a measurement was read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RoofClock {
    /// The device's own timestamps.
    #[default]
    Timestamps,
    /// The host's clock around the submission, where the device has no timestamps.
    Host,
}

impl RoofClock {
    /// Its name, as reports and caches write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timestamps => "timestamps",
            Self::Host => "host",
        }
    }
}

impl Roofs {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::new();
        field_nonzero(&mut out, 1, self.bytes_per_second);
        field_nonzero(&mut out, 2, self.flops_per_second);
        field_nonzero(&mut out, 3, u64::from(self.source == RoofSource::Cached));
        field_nonzero(&mut out, 4, u64::from(self.clock == RoofClock::Host));
        field_nonzero(&mut out, 5, self.measured_unix_ns);
        out
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut roofs = Self::default();
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_empty() {
            let (number, field) = cursor.field()?;
            match number {
                1 => roofs.bytes_per_second = field.number()?,
                2 => roofs.flops_per_second = field.number()?,
                3 if field.number()? == 1 => roofs.source = RoofSource::Cached,
                4 if field.number()? == 1 => roofs.clock = RoofClock::Host,
                5 => roofs.measured_unix_ns = field.number()?,
                _ => {}
            }
        }
        Ok(roofs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let most = u64::MAX;
        for source in [RoofSource::Measured, RoofSource::Cached] {
            for clock in [RoofClock::Timestamps, RoofClock::Host] {
                for (bytes_per_second, flops_per_second, measured_unix_ns) in
                    [(0, 0, 0), (1, most, 7), (most, 2, most)]
                {
                    let roofs = Roofs { bytes_per_second, flops_per_second, source, clock, measured_unix_ns };
                    let bytes = roofs.to_bytes();
                    assert_eq!(Roofs::from_bytes(&bytes), Ok(roofs));
                    // A later version says more, which is passed over; what is cut is refused.
                    let mut later = bytes.clone();
                    field_nonzero(&mut later, 6, 9);
                    assert_eq!(Roofs::from_bytes(&later), Ok(roofs));
                    assert!(Roofs::from_bytes(&later[..later.len() - 1]).is_err());
                }
            }
        }
    }
}
