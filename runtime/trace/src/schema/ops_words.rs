//! Ranges of ops in words. They are half-open in every record; people are told the last one that is in.

use alloc::format;
use alloc::string::{String, ToString};

use bayplan_text::Count;

/// Ops of a half-open range as people count them, where a heading says that they are ops: `5`, `5 to 8`.
pub fn ops_range(first: u32, end: u32) -> String {
    let first_words = Count(first.into());
    match end.saturating_sub(1) {
        last if last > first => format!("{first_words} to {}", Count(last.into())),
        _ => first_words.to_string(),
    }
}

/// Ops of a half-open range as people count them: `op 5`, `ops 5 to 8`.
pub fn ops_words(first: u32, end: u32) -> String {
    let many = if end.saturating_sub(1) > first { "s" } else { "" };
    format!("op{many} {}", ops_range(first, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_op_is_the_last_that_is_in() {
        for (range, words) in [
            ((5, 9), "ops 5 to 8"),
            ((5, 6), "op 5"),
            ((5, 5), "op 5"),
            ((0, 0), "op 0"),
            ((0, 1_001), "ops 0 to 1,000"),
            ((u32::MAX, u32::MAX), "op 4,294,967,295"),
        ] {
            assert_eq!(ops_words(range.0, range.1), words);
            assert!(words.ends_with(&ops_range(range.0, range.1)));
        }
    }
}
