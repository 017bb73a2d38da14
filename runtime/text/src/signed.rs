//! Differences.

use alloc::format;
use core::fmt;

/// A difference with its sign, of a quantity that is printed by the second field: `+1.00 MiB`, `−3.1 ms`, `±0 B`.
///
/// ```
/// use bayplan_text::{Count, Signed};
/// assert_eq!(Signed(-1200, Count).to_string(), "−1,200");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Signed<T>(pub i128, pub fn(u64) -> T);

impl<T: fmt::Display> fmt::Display for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.0 {
            0 => "±",
            1.. => "+",
            _ => "−",
        };
        let size = (self.1)(u64::try_from(self.0.unsigned_abs()).unwrap_or(u64::MAX));
        f.pad(&format!("{sign}{size}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bytes, Nanos};

    #[test]
    fn the_sign_is_always_said() {
        assert_eq!(format!("{:>8}", Signed(5, Bytes)), "    +5 B");
        assert_eq!(format!("{}", Signed(-2_000_000, Nanos)), format!("−{}", Nanos(2_000_000)));
        assert_eq!(format!("{}", Signed(0, Bytes)), "±0 B");
        assert_eq!(format!("{}", Signed(i128::MIN, Bytes)), format!("−{}", Bytes(u64::MAX)));
    }
}
