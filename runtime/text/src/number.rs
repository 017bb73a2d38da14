//! Decimal numbers as integers: three significant digits out, exact fractions in. No float is used, so that
//! every machine prints the same.

use crate::error::Problem;
use alloc::format;
use alloc::string::String;

/// `value / unit` with three significant digits, rounded half up. `None` when it rounds to `next` units or
/// more, where the next unit says it better.
pub(crate) fn three_digits(value: u64, unit: u64, next: u64) -> Option<String> {
    let unit = u128::from(unit);
    for (decimals, scale) in [(2_usize, 100_u128), (1, 10), (0, 1)] {
        let scaled = (u128::from(value) * scale * 2 + unit) / (unit * 2);
        if scaled < 1000 && decimals > 0 {
            return Some(format!("{}.{:0decimals$}", scaled / scale, scaled % scale));
        }
        if decimals == 0 && scaled < u128::from(next) {
            return Some(format!("{scaled}"));
        }
    }
    None
}

/// A decimal number without sign, and the text after it. Digits may be grouped with `_`.
pub(crate) struct Decimal<'a> {
    digits: u128,
    /// Ten to the number of digits after the point.
    scale: u128,
    /// What follows, without white space around it.
    pub(crate) unit: &'a str,
}

impl<'a> Decimal<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, Problem> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Problem::Empty);
        }
        if text.starts_with(['-', '−']) {
            return Err(Problem::Negative);
        }
        if !text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Problem::NoNumber);
        }
        let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '_')).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if fraction.contains('.')
            || !fraction.starts_with(|c: char| c.is_ascii_digit())
            || number.ends_with('_')
        {
            return Err(Problem::BadNumber);
        }
        let mut digits = 0_u128;
        let mut scale = 1_u128;
        for c in whole.chars().filter_map(|c| c.to_digit(10)) {
            digits = digits * 10 + u128::from(c);
            if digits > u128::from(u64::MAX) {
                return Err(Problem::TooLarge);
            }
        }
        // Digits beyond the twelfth are worth less than a byte of a TiB or a nanosecond of a quarter of an
        // hour.
        for c in fraction.chars().filter_map(|c| c.to_digit(10)).take(12) {
            digits = digits * 10 + u128::from(c);
            scale *= 10;
        }
        Ok(Self { digits, scale, unit: unit.trim() })
    }

    /// The number times `unit`, rounded down.
    pub(crate) fn times(&self, unit: u64) -> Result<u64, Problem> {
        // Below 2^64 · 10^12 · 2^64 in the worst case, which is beyond 128 bits: hence the check.
        let product = self.digits.checked_mul(u128::from(unit)).ok_or(Problem::TooLarge)?;
        u64::try_from(product / self.scale).map_err(|_| Problem::TooLarge)
    }
}
