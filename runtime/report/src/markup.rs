//! Escaping for what is no terminal: the Markdown of pull requests. What a terminal would obey is made visible first.

use std::fmt::Write as _;

use bayplan_text::escape;

/// Text as code in the cell of a table of Markdown: nothing in it is a link, a mention or a mark-up.
pub fn code(text: &str) -> String {
    let shown = escape(text).to_string().replace('|', "\\|");
    if shown.trim().is_empty() {
        return String::new();
    }
    let longest = shown.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if shown.starts_with('`') || shown.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{shown}{pad}{fence}")
}

/// Text in a paragraph or a cell of Markdown: punctuation that could mean something is escaped.
pub fn plain(text: &str) -> String {
    let shown = escape(text).to_string();
    let mut out = String::with_capacity(shown.len());
    for c in shown.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            // A reference to a person or an issue is made of these, escaped or not.
            '@' | '#' => {
                let _ = write!(out, "&#{};", c as u32);
            }
            c => {
                if "\\`*_{}[]()>|~!+-".contains(c) {
                    out.push('\\');
                }
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_says_what_it_is_given() {
        let cases = [
            ("a/b", "`a/b`"),
            ("a|b", "`a\\|b`"),
            ("a`b``c", "```a`b``c```"),
            ("`x", "`` `x ``"),
            ("a\nb", "`a\\nb`"),
            ("", ""),
        ];
        for (text, expect) in cases {
            assert_eq!(code(text), expect);
        }
        assert_eq!(plain("a_b*<i> [x](y) @all #1"), "a\\_b\\*&lt;i\\> \\[x\\]\\(y\\) &#64;all &#35;1");
    }
}
