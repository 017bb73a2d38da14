//! Durations.

use crate::error::{ParseError, Problem};
use crate::number::{Decimal, three_digits};
use alloc::format;
use core::fmt;
use core::time::Duration;

/// A duration in nanoseconds: three significant digits up to 100 s (`812 ns`, `3.10 ms`, `42.0 s`), whole
/// seconds up to an hour (`2 min 05 s`), whole minutes beyond (`3 h 07 min`).
///
/// ```
/// assert_eq!(bayplan_text::Nanos(3_100_000).to_string(), "3.10 ms");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

const SECOND: u64 = 1_000_000_000;

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1000 {
            return f.pad(&format!("{} ns", self.0));
        }
        for (unit, name, next) in [(1000, "µs", 1000), (1_000_000, "ms", 1000), (SECOND, "s", 100)] {
            if self.0 / unit >= next {
                continue;
            }
            if let Some(number) = three_digits(self.0, unit, next) {
                return f.pad(&format!("{number} {name}"));
            }
        }
        let seconds = self.0 / SECOND + u64::from(self.0 % SECOND >= SECOND / 2);
        if seconds < 3600 {
            return f.pad(&format!("{} min {:02} s", seconds / 60, seconds % 60));
        }
        let minutes = (seconds + 30) / 60;
        f.pad(&format!("{} h {:02} min", minutes / 60, minutes % 60))
    }
}

impl From<Duration> for Nanos {
    /// A duration beyond 584 years becomes the longest one there is.
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Reads a duration: a number, perhaps with a fraction, and one of the units `ns`, `us` or `µs`, `ms`, `s`,
/// `min` or `m`, `h`. A fraction of a nanosecond is dropped. Only a zero may go without a unit.
///
/// # Errors
/// Says what is wrong and gives an example.
///
/// ```
/// use core::time::Duration;
/// assert_eq!(bayplan_text::parse_duration("500ms"), Ok(Duration::from_millis(500)));
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, ParseError> {
    read(text).map(Duration::from_nanos).map_err(|problem| ParseError {
        input: text.into(),
        problem,
        expected: "a duration",
        example: "500ms, 1.5s or 2min",
    })
}

fn read(text: &str) -> Result<u64, Problem> {
    let number = Decimal::parse(text)?;
    let unit = match number.unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1000,
        "ms" => 1_000_000,
        "s" | "sec" => SECOND,
        "m" | "min" => 60 * SECOND,
        "h" => 3600 * SECOND,
        "" if number.times(1) == Ok(0) && number.times(SECOND) == Ok(0) => 1,
        "" => return Err(Problem::NoUnit),
        unit => return Err(Problem::UnknownUnit(unit.into())),
    };
    number.times(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::{String, ToString};

    #[test]
    fn prints() {
        fn check(nanos: u64, expect: &str) {
            assert_eq!(Nanos(nanos).to_string(), expect);
        }
        check(0, "0 ns");
        check(999, "999 ns");
        check(1000, "1.00 µs");
        check(812_000, "812 µs");
        check(999_499, "999 µs");
        check(999_500, "1.00 ms");
        check(3_100_000, "3.10 ms");
        check(2_400_000_000, "2.40 s");
        check(99_949_999_999, "99.9 s");
        check(99_950_000_000, "1 min 40 s");
        check(125 * SECOND, "2 min 05 s");
        check(3599 * SECOND, "59 min 59 s");
        check(3600 * SECOND, "1 h 00 min");
        check(11_220 * SECOND, "3 h 07 min");
        check(u64::MAX, "5124095 h 35 min");
    }

    #[test]
    fn reads() {
        fn check(text: &str, expect: u64) {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(expect)), "of {text:?}");
        }
        check("500ms", 500_000_000);
        check("3s", 3 * SECOND);
        check("1.5 s", 1_500_000_000);
        check("10us", 10_000);
        check("10µs", 10_000);
        check("7ns", 7);
        check("2m", 120 * SECOND);
        check("2min", 120 * SECOND);
        check("1h", 3600 * SECOND);
        check("0", 0);
    }

    #[test]
    fn refuses() {
        fn check(text: &str, problem: &Problem) {
            let error = parse_duration(text).unwrap_err();
            assert_eq!(error.problem, *problem, "of {text:?}");
            assert!(error.to_string().ends_with("write it like 500ms, 1.5s or 2min"), "{error}");
        }
        check("", &Problem::Empty);
        check("soon", &Problem::NoNumber);
        check("5", &Problem::NoUnit);
        check("-5s", &Problem::Negative);
        check("5 years", &Problem::UnknownUnit("years".into()));
        check("99999999h", &Problem::TooLarge);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = parse_duration(&text);
        }

        #[test]
        fn every_duration_prints(nanos in any::<u64>(), shift in 0_u32..64) {
            let shown = Nanos(nanos >> shift).to_string();
            prop_assert!(shown.len() <= 20, "{shown}");
        }
    }
}
