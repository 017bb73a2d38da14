//! How often something happens in a second.

use crate::number::three_digits;
use alloc::format;
use core::fmt;

/// A rate per second in decimal units, with three significant digits: `12.4 GB/s`, `48.1 Gflop/s`. Below a thousand it is
/// exact.
///
/// ```
/// assert_eq!(bayplan_text::Rate(12_412_000_000, "B").to_string(), "12.4 GB/s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(pub u64, pub &'static str);

const UNITS: [&str; 6] = ["k", "M", "G", "T", "P", "E"];

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, what) = *self;
        if count >= 1000 {
            for (prefix, power) in UNITS.iter().zip(1_u32..) {
                if let Some(number) = three_digits(count, 1000_u64.pow(power), 1000) {
                    return f.pad(&format!("{number} {prefix}{what}/s"));
                }
            }
        }
        f.pad(&format!("{count} {what}/s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn prints() {
        fn check(count: u64, expect: &str) {
            assert_eq!(Rate(count, "B").to_string(), expect);
        }
        check(0, "0 B/s");
        check(999, "999 B/s");
        check(1000, "1.00 kB/s");
        check(999_499, "999 kB/s");
        check(999_500, "1.00 MB/s");
        check(12_412_000_000, "12.4 GB/s");
        check(3_350_000_000_000, "3.35 TB/s");
        check(u64::MAX, "18.4 EB/s");
        assert_eq!(Rate(67_000_000_000_000, "flop").to_string(), "67.0 Tflop/s");
        assert_eq!(format!("[{:>10}]", Rate(5_000_000, "B")), "[ 5.00 MB/s]");
    }
}
