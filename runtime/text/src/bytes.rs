//! Sizes in bytes, in binary units.

use crate::error::{ParseError, Problem};
use crate::number::{Decimal, three_digits};
use alloc::format;
use core::fmt;

/// A size in bytes. Below 1 KiB it is exact (`812 B`), above it has three significant digits (`12.4 MiB`).
///
/// ```
/// assert_eq!(bayplan_text::Bytes(13_002_342).to_string(), "12.4 MiB");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1024 {
            return f.pad(&format!("{} B", self.0));
        }
        for (unit, power) in UNITS.iter().zip(1_u32..) {
            if let Some(number) = three_digits(self.0, 1 << (10 * power), 1024) {
                return f.pad(&format!("{number} {unit}"));
            }
        }
        f.pad(&format!("{} B", self.0))
    }
}

/// Reads a size: a number, perhaps with a fraction, and a unit. `K`, `M`, `G`, `T`, `P`, `E` and `KiB`,
/// `MiB`, … are powers of 1024; `kB`, `MB`, … are powers of 1000; no unit, or `B`, is bytes. Case and the
/// space before the unit do not matter. A fraction of a byte is dropped.
///
/// # Errors
/// Says what is wrong and gives an example.
///
/// ```
/// assert_eq!(bayplan_text::parse_bytes("1.5G"), Ok(3 << 29));
/// assert_eq!(bayplan_text::parse_bytes("512 MiB"), Ok(512 << 20));
/// ```
pub fn parse_bytes(text: &str) -> Result<u64, ParseError> {
    read(text).map_err(|problem| ParseError {
        input: text.into(),
        problem,
        expected: "a size",
        example: "512MiB, 1.5G or 4096",
    })
}

fn read(text: &str) -> Result<u64, Problem> {
    let number = Decimal::parse(text)?;
    let unit = unit_bytes(number.unit).ok_or_else(|| Problem::UnknownUnit(number.unit.into()))?;
    number.times(unit)
}

fn unit_bytes(unit: &str) -> Option<u64> {
    let mut letters = unit.chars().map(|c| c.to_ascii_lowercase());
    let (first, second, third, end) = (letters.next(), letters.next(), letters.next(), letters.next());
    if end.is_some() {
        return None;
    }
    let power = match first {
        None => return Some(1),
        Some('b') if second.is_none() => return Some(1),
        Some(c) => 1 + u32::try_from("kmgtpe".find(c)?).ok()?,
    };
    match (second, third) {
        (None, None) | (Some('i'), Some('b') | None) => Some(1024_u64.pow(power)),
        (Some('b'), None) => Some(1000_u64.pow(power)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::{String, ToString};

    #[test]
    fn prints() {
        fn check(bytes: u64, expect: &str) {
            assert_eq!(Bytes(bytes).to_string(), expect);
        }
        check(0, "0 B");
        check(1, "1 B");
        check(1023, "1023 B");
        check(1024, "1.00 KiB");
        check(1536, "1.50 KiB");
        check(10_239, "10.0 KiB");
        check(10_235, "10.0 KiB");
        check(10_234, "9.99 KiB");
        check(100 * 1024, "100 KiB");
        check(1000 * 1024, "1000 KiB");
        check(1023 * 1024, "1023 KiB");
        check((1 << 20) - 1, "1.00 MiB");
        check(13_002_342, "12.4 MiB");
        check(6 << 30, "6.00 GiB");
        check(u64::MAX, "16.0 EiB");
        assert_eq!(std::format!("[{:>10}]", Bytes(5)), "[       5 B]");
    }

    #[test]
    fn reads() {
        fn check(text: &str, expect: u64) {
            assert_eq!(parse_bytes(text), Ok(expect), "of {text:?}");
        }
        check("0", 0);
        check("4096", 4096);
        check("4_096", 4096);
        check("6GiB", 6 << 30);
        check("512MiB", 512 << 20);
        check("1.5G", 3 << 29);
        check(" 2 gib ", 2 << 30);
        check("2gi", 2 << 30);
        check("1kB", 1000);
        check("1KB", 1000);
        check("2.5MB", 2_500_000);
        check("7b", 7);
        check("0.3K", 307);
        check("18446744073709551615", u64::MAX);
        check("15.999999999999EiB", 18_446_744_073_708_398_694);
    }

    #[test]
    fn refuses() {
        fn check(text: &str, problem: &Problem, message: &str) {
            let error = parse_bytes(text).unwrap_err();
            assert_eq!(error.problem, *problem, "of {text:?}");
            assert!(error.to_string().contains(message), "{error} of {text:?}");
        }
        check("", &Problem::Empty, "it is empty; write it like 512MiB");
        check("GiB", &Problem::NoNumber, "does not start with a number");
        check("-1", &Problem::Negative, "negative");
        check("1.2.3", &Problem::BadNumber, "malformed");
        check("1.K", &Problem::BadNumber, "malformed");
        check("1._5K", &Problem::BadNumber, "malformed");
        check("12parsec", &Problem::UnknownUnit("parsec".into()), "`parsec` is unknown");
        check("12 K\u{1b}[1m", &Problem::UnknownUnit("K\u{1b}[1m".into()), r"K\x1b[1m");
        check("1KiBB", &Problem::UnknownUnit("KiBB".into()), "unknown");
        check("16EiB", &Problem::TooLarge, "too large");
        check("99999999999999999999999999999999999999999999", &Problem::TooLarge, "too large");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = parse_bytes(&text);
        }

        #[test]
        fn what_is_printed_reads_back_within_half_a_percent(bytes in any::<u64>(), shift in 0_u32..64) {
            let bytes = bytes >> shift;
            // 16.0 EiB is one byte more than fits.
            if let Ok(back) = parse_bytes(&Bytes(bytes).to_string()) {
                prop_assert!(back.abs_diff(bytes) <= bytes / 199);
            } else {
                prop_assert_eq!(Bytes(bytes).to_string(), "16.0 EiB");
            }
        }
    }
}
