//! Breaking lines.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use unicode_width::UnicodeWidthChar;

/// Breaks text that is escaped already ([`escape`](crate::escape())) into lines of at most `width` columns: at a space, if
/// there is one in the last two thirds of a line, else anywhere. There is at least one line, and each has at least one
/// character of the text.
///
/// ```
/// assert_eq!(bayplan_text::wrap("peak at op 7 of 12", 8), ["peak at", "op 7 of", "12"]);
/// ```
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = beyond(rest, width) {
        // The space that leaves the line is as good as one in it.
        let within = if rest[end..].starts_with(' ') { end } else { rest[..end].rfind(' ').unwrap_or(end) };
        let at = if columns(&rest[..within]) * 3 > width { within } else { end };
        lines.push(rest[..at].to_owned());
        rest = rest[at..].trim_start();
    }
    if !rest.is_empty() || lines.is_empty() {
        lines.push(rest.to_owned());
    }
    lines
}

fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Where the first character begins that leaves a line, which is never the first of all; `None` where all fit.
fn beyond(text: &str, width: usize) -> Option<usize> {
    let mut used = 0;
    text.char_indices().find_map(|(at, c)| {
        used += c.width().unwrap_or(0);
        (used > width && at > 0).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_wide_as_they_may_be() {
        let check = |text: &str, width: usize, expected: &[&str]| {
            assert_eq!(wrap(text, width), expected, "{text} {width}");
        };
        check("", 4, &[""]);
        check("abcd", 4, &["abcd"]);
        check("ab cd ef", 5, &["ab cd", "ef"]);
        check("abcdefgh", 3, &["abc", "def", "gh"]);
        // A space near the front of a line is none to break at.
        check("a bcdefghijkl", 9, &["a bcdefgh", "ijkl"]);
        check("größe xy größe", 5, &["größe", "xy", "größe"]);
        check("日本語日本", 4, &["日本", "語日", "本"]);
        check("日本", 0, &["日", "本"]);
        check("a  ", 1, &["a"]);
    }
}
