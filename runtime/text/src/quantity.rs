//! Counts and percentages.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

/// A count with its digits grouped in threes: `12,841`.
///
/// ```
/// assert_eq!(bayplan_text::Count(12_841).to_string(), "12,841");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(pub u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        f.pad(&grouped)
    }
}

/// A count of things whose name takes an s where there is not one of them: `1 hole`, `2,048 holes`.
pub fn plural(count: u64, thing: &str) -> String {
    format!("{} {thing}{}", Count(count), if count == 1 { "" } else { "s" })
}

/// A ratio in percent with one decimal: `Percent(0.973)` prints `97.3 %`. What is not quite nothing or not
/// quite all never prints as if it were (`<0.1 %`, `>99.9 %`); a ratio that is no number prints `n/a`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Percent(pub f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        if !percent.is_finite() {
            return f.pad("n/a");
        }
        if percent > 0.0 && percent < 0.05 {
            return f.pad("<0.1 %");
        }
        if (99.95..100.0).contains(&percent) {
            return f.pad(">99.9 %");
        }
        let text = format!("{percent:.1} %");
        f.pad(if text == "-0.0 %" { "0.0 %" } else { &text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_no_plural() {
        for (count, expect) in [(0, "0 holes"), (1, "1 hole"), (2, "2 holes"), (12_841, "12,841 holes")] {
            assert_eq!(plural(count, "hole"), expect);
        }
    }

    #[test]
    fn counts() {
        fn check(count: u64, expect: &str) {
            assert_eq!(Count(count).to_string(), expect);
        }
        check(0, "0");
        check(999, "999");
        check(1000, "1,000");
        check(12_841, "12,841");
        check(1_048_576, "1,048,576");
        check(u64::MAX, "18,446,744,073,709,551,615");
        assert_eq!(format!("[{:>7}]", Count(1000)), "[  1,000]");
    }

    #[test]
    fn percentages() {
        fn check(ratio: f64, expect: &str) {
            assert_eq!(Percent(ratio).to_string(), expect);
        }
        check(0.0, "0.0 %");
        check(-0.0, "0.0 %");
        check(-0.0001, "0.0 %");
        check(0.973, "97.3 %");
        check(1.0, "100.0 %");
        check(0.000_1, "<0.1 %");
        check(0.000_5, "0.1 %");
        check(0.999_6, ">99.9 %");
        check(1.5, "150.0 %");
        check(-0.25, "-25.0 %");
        check(f64::NAN, "n/a");
        check(f64::INFINITY, "n/a");
    }
}
