//! Escaping for what is no terminal: the Markdown of pull requests, and the XML of pictures and pages. What a terminal
//! would obey is made visible first.

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

/// Text in an element or a quoted attribute of XML or HTML. What no XML may hold is gone with what terminals obey.
pub(crate) fn xml(text: &str) -> String {
    marked(&escape(text).to_string())
}

/// The same of text that was escaped already.
pub(crate) fn marked(shown: &str) -> String {
    let mut out = String::with_capacity(shown.len());
    for c in shown.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}

/// JSON inside of a script element, where HTML knows no escapes: nothing in it ends the element or opens a comment.
pub(crate) fn script_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => out += "\\u003c",
            '>' => out += "\\u003e",
            '&' => out += "\\u0026",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_says_what_it_is_given() {
        let cases = [
            ("a/b_0", "a/b_0"),
            ("</script><b>&'\"", "&lt;/script&gt;&lt;b&gt;&amp;&#39;&quot;"),
            ("]]>", "]]&gt;"),
            ("a\u{1b}[2Jb\0\u{ffff}", "a\\x1b[2Jb\\x00\\u{ffff}"),
            ("\u{202e}漢字", "\\u{202e}漢字"),
        ];
        for (text, expect) in cases {
            assert_eq!(xml(text), expect);
        }
        assert_eq!(marked("\\x1b<"), "\\x1b&lt;");
    }

    #[test]
    fn json_cannot_leave_its_element() {
        let given = r#"{"name":"</script><!--<script>&"}"#;
        let found = script_json(given);
        assert!(!found.contains(['<', '>', '&']), "{found}");
        let read = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        assert_eq!(read(&found), read(given));
    }

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
