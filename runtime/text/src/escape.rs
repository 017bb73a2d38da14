//! Escaping of untrusted text for a terminal, and its width in columns.

use core::fmt::{self, Display, Write};
use unicode_width::UnicodeWidthChar;

/// How many marks of width zero may follow a character before the rest are escaped. Real scripts use up to
/// two or three; stacks of dozens paint over the lines above and below.
const MAX_MARKS: u32 = 3;

/// Makes `text` visible and harmless: what it prints moves no cursor, sets no colour, reverses no line and
/// hides no character.
///
/// Escaped are: control characters (C0, DEL, C1, ESC among them), every newline variant (LF, CR, VT, FF, NEL,
/// U+2028, U+2029), bidirectional controls, characters of no width or no glyph, white space other than the
/// ASCII space, private-use characters, noncharacters, and the backslash itself, so that no two texts print
/// the same. Other text, in any script, is left as it is.
///
/// ```
/// assert_eq!(bayplan_text::escape("a\u{1b}[31mb\n").to_string(), r"a\x1b[31mb\n");
/// ```
pub fn escape(text: &str) -> Escape<'_> {
    Escape { text, keep_newlines: false }
}

/// As [`escape`], but leaves `\n` as a line break, for text that is meant to have several lines.
pub fn escape_lines(text: &str) -> Escape<'_> {
    Escape { text, keep_newlines: true }
}

/// Escaped text; made by [`escape`] and [`escape_lines`].
#[derive(Clone, Copy, Debug)]
pub struct Escape<'a> {
    text: &'a str,
    keep_newlines: bool,
}

impl Display for Escape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut marks = Marks::default();
        for c in self.text.chars() {
            if self.keep_newlines && c == '\n' {
                marks = Marks::default();
                f.write_char(c)?;
            } else {
                marks.piece(c).write(f)?;
            }
        }
        Ok(())
    }
}

/// Escapes `text` as [`escape`] does and cuts it to at most `columns` terminal columns; a cut text ends in
/// `…`. An escape is never cut in two. With a width in the format string it is padded to that many columns
/// (`{:12}` left, `{:>12}` right, `{:^12}` centred).
///
/// ```
/// assert_eq!(bayplan_text::ellipsis("encoder.layer.0", 8).to_string(), "encoder…");
/// ```
pub fn ellipsis(text: &str, columns: usize) -> Ellipsis<'_> {
    Ellipsis { text, columns }
}

/// Escaped text of bounded width; made by [`ellipsis`].
#[derive(Clone, Copy, Debug)]
pub struct Ellipsis<'a> {
    text: &'a str,
    columns: usize,
}

impl Ellipsis<'_> {
    /// The number of characters kept whole, whether the text is cut, and the columns it takes in all.
    fn measure(&self) -> (usize, bool, usize) {
        let mut marks = Marks::default();
        let (mut used, mut kept, mut kept_columns, mut keeping) = (0, 0, 0, true);
        for c in self.text.chars() {
            used += marks.piece(c).columns();
            if used > self.columns {
                return (kept, true, kept_columns + usize::from(self.columns > 0));
            }
            // What is kept must leave one column for the mark of the cut.
            keeping &= used < self.columns;
            if keeping {
                kept += 1;
                kept_columns = used;
            }
        }
        (kept, false, used)
    }
}

impl Display for Ellipsis<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kept, cut, columns) = self.measure();
        let pad = f.width().unwrap_or(0).saturating_sub(columns);
        let before = match f.align() {
            Some(fmt::Alignment::Right) => pad,
            Some(fmt::Alignment::Center) => pad / 2,
            Some(fmt::Alignment::Left) | None => 0,
        };
        let fill = f.fill();
        for _ in 0..before {
            f.write_char(fill)?;
        }
        let mut marks = Marks::default();
        for c in self.text.chars().take(if cut { kept } else { usize::MAX }) {
            marks.piece(c).write(f)?;
        }
        if cut && self.columns > 0 {
            f.write_char('…')?;
        }
        for _ in before..pad {
            f.write_char(fill)?;
        }
        Ok(())
    }
}

/// The terminal columns that [`escape`] of `text` takes (wide East Asian characters count as two).
pub fn columns(text: &str) -> usize {
    let mut marks = Marks::default();
    text.chars().map(|c| marks.piece(c).columns()).sum()
}

/// What one character becomes.
enum Piece {
    Plain(char),
    Short(&'static str),
    Byte(u8),
    Code(char),
}

impl Piece {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Plain(c) => f.write_char(c),
            Self::Short(s) => f.write_str(s),
            Self::Byte(b) => write!(f, "\\x{b:02x}"),
            Self::Code(c) => write!(f, "\\u{{{:x}}}", u32::from(c)),
        }
    }

    fn columns(&self) -> usize {
        match *self {
            Self::Plain(c) => c.width().unwrap_or(0),
            Self::Short(s) => s.len(),
            Self::Byte(_) => 4,
            Self::Code(c) => {
                let digits = (32 - (u32::from(c) | 1).leading_zeros()).div_ceil(4);
                4 + digits as usize
            }
        }
    }
}

/// Counts the marks of width zero in a row while a text is walked. A text may not begin with one either: it
/// would join the character printed before it.
struct Marks {
    run: u32,
}

impl Default for Marks {
    fn default() -> Self {
        Self { run: MAX_MARKS }
    }
}

impl Marks {
    fn piece(&mut self, c: char) -> Piece {
        let piece = classify(c);
        if matches!(piece, Piece::Plain(c) if c.width() == Some(0)) {
            self.run += 1;
            if self.run > MAX_MARKS {
                return Piece::Code(c);
            }
        } else {
            self.run = 0;
        }
        piece
    }
}

fn classify(c: char) -> Piece {
    match c {
        '\\' => Piece::Short("\\\\"),
        '\n' => Piece::Short("\\n"),
        '\r' => Piece::Short("\\r"),
        '\t' => Piece::Short("\\t"),
        '\0'..='\x1f' | '\x7f' => Piece::Byte(c as u8),
        ' '..='~' => Piece::Plain(c),
        _ if is_hidden(c) => Piece::Code(c),
        _ => Piece::Plain(c),
    }
}

/// Whether a character beyond ASCII has no glyph of its own, changes how its neighbours are laid out, or
/// looks like an ordinary space. Sources: Unicode 16 `Default_Ignorable_Code_Point`, `Bidi_Control`,
/// `White_Space`, general categories Cc, Cf, Co, Zl, Zp and the noncharacters.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}'
            | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1345f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
        || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::{String, ToString};

    #[test]
    fn escapes() {
        fn check(input: &str, expect: &str) {
            assert_eq!(escape(input).to_string(), expect, "of {input:?}");
        }
        check("", "");
        check("encoder.layer.0/attn:q", "encoder.layer.0/attn:q");
        check("größe 中文 한국 عربي", "größe 中文 한국 عربي");
        check("\u{1b}[2J\u{7}", r"\x1b[2J\x07");
        check("a\nb\r\n\tc\u{b}\u{c}\0\u{7f}", r"a\nb\r\n\tc\x0b\x0c\x00\x7f");
        check("\u{85}\u{2028}\u{2029}\u{9b}31m", r"\u{85}\u{2028}\u{2029}\u{9b}31m");
        check("\u{202e}gpj.exe\u{2066}\u{200f}\u{61c}", r"\u{202e}gpj.exe\u{2066}\u{200f}\u{61c}");
        check("a\u{200b}b\u{200d}\u{feff}\u{ad}\u{e0041}", r"a\u{200b}b\u{200d}\u{feff}\u{ad}\u{e0041}");
        check("a\u{a0}b\u{3000}", r"a\u{a0}b\u{3000}");
        check(r"a\n", r"a\\n");
        check("e\u{301}", "e\u{301}");
        check("\u{301}e", r"\u{301}e");
        check("e\u{301}\u{301}\u{301}\u{301}\u{301}", "e\u{301}\u{301}\u{301}\\u{301}\\u{301}");
        check("\u{fffe}\u{10ffff}\u{e000}", r"\u{fffe}\u{10ffff}\u{e000}");
        assert_eq!(escape_lines("a\nb\u{1b}\r\n").to_string(), "a\nb\\x1b\\r\n");
    }

    #[test]
    fn cuts() {
        fn check(input: &str, columns: usize, expect: &str) {
            assert_eq!(ellipsis(input, columns).to_string(), expect, "of {input:?} in {columns}");
        }
        check("abc", 0, "");
        check("", 0, "");
        check("abc", 1, "…");
        check("abc", 2, "a…");
        check("abc", 3, "abc");
        check("abc", 9, "abc");
        check("中文字", 6, "中文字");
        check("中文字", 5, "中文…");
        check("中文字", 4, "中…");
        check("ab\x1bcd", 6, "ab…");
        check("ab\x1bcd", 7, "ab\\x1b…");
        check("ab\x1bcd", 8, "ab\\x1bcd");
        check("e\u{301}e\u{301}", 2, "e\u{301}e\u{301}");
        assert_eq!(std::format!("[{:6}]", ellipsis("中文", 9)), "[中文  ]");
        assert_eq!(std::format!("[{:>6}]", ellipsis("abc", 2)), "[    a…]");
        assert_eq!(std::format!("[{:-^6}]", ellipsis("ab", 4)), "[--ab--]");
    }

    proptest! {
        #[test]
        fn any_text_is_harmless(text in any::<String>()) {
            let shown = escape(&text).to_string();
            prop_assert!(!shown.chars().any(|c| c != ' ' && (c.is_control() || is_hidden(c))));
            prop_assert_eq!(columns(&text), shown.chars().filter_map(UnicodeWidthChar::width).sum::<usize>());
        }

        #[test]
        fn a_cut_text_fits(text in any::<String>(), limit in 0_usize..40) {
            let shown = ellipsis(&text, limit).to_string();
            let width: usize = shown.chars().filter_map(UnicodeWidthChar::width).sum();
            prop_assert!(width <= limit);
            if columns(&text) <= limit {
                prop_assert_eq!(shown, escape(&text).to_string());
            } else if limit > 0 {
                let kept = shown.strip_suffix('…').unwrap();
                prop_assert!(escape(&text).to_string().starts_with(kept));
            }
        }

        #[test]
        fn different_texts_stay_different(a in "[\\\\nxu{}0-9a-f\n\u{202e}]{0,8}", b in "[\\\\nxu{}0-9a-f\n\u{202e}]{0,8}") {
            prop_assert_eq!(a == b, escape(&a).to_string() == escape(&b).to_string());
        }
    }
}
