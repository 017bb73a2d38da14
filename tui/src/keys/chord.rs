//! A key with what is held down beside it, and how people write that.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key, with control or alt or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chord {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// Keys that have a name, with the glyph that stands for some of them on the screen.
const NAMED: &[(&str, KeyCode, &str)] = &[
    ("space", KeyCode::Char(' '), ""),
    ("enter", KeyCode::Enter, ""),
    ("esc", KeyCode::Esc, ""),
    ("tab", KeyCode::Tab, ""),
    ("shift-tab", KeyCode::BackTab, ""),
    ("backspace", KeyCode::Backspace, ""),
    ("delete", KeyCode::Delete, ""),
    ("insert", KeyCode::Insert, ""),
    ("home", KeyCode::Home, ""),
    ("end", KeyCode::End, ""),
    ("page-up", KeyCode::PageUp, ""),
    ("page-down", KeyCode::PageDown, ""),
    ("left", KeyCode::Left, "←"),
    ("right", KeyCode::Right, "→"),
    ("up", KeyCode::Up, "↑"),
    ("down", KeyCode::Down, "↓"),
];

/// What control makes of some letters: terminals send the same for another key.
const SAME: &[(char, &str)] = &[('i', "tab"), ('m', "enter"), ('[', "esc"), ('h', "backspace")];

impl Chord {
    /// What a key may be called.
    pub(crate) const ALLOWED: &str = "a single character, ctrl-LETTER, alt-KEY, f1 to f12, space, enter, esc, tab, \
        shift-tab, backspace, delete, insert, home, end, page-up, page-down, left, right, up or down";

    /// Reads a key as people write it.
    ///
    /// # Errors
    /// It is not the name of a key, or terminals send another key's code for it; the words say which.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (modifiers, key) = [("ctrl-", KeyModifiers::CONTROL), ("alt-", KeyModifiers::ALT)]
            .into_iter()
            .find_map(|(prefix, with)| {
                Some((with, text.strip_prefix(prefix).filter(|rest| !rest.is_empty())?))
            })
            .unwrap_or((KeyModifiers::NONE, text));
        let unknown = || match key.chars().next() {
            Some(only) if key.chars().count() == 1 && is_unseen(only) => {
                let code = u32::from(only);
                format!(
                    "the character U+{code:04X} cannot be seen, and help and foot show keys; a key is {}",
                    Self::ALLOWED
                )
            }
            _ => format!("there is no key {text:?}; a key is {}", Self::ALLOWED),
        };
        let code = code(key).ok_or_else(unknown)?;
        if modifiers == KeyModifiers::CONTROL {
            let same = SAME.iter().find(|(c, _)| code == KeyCode::Char(*c));
            if let Some((_, other)) = same {
                return Err(format!("terminals send the same for {text} as for {other}: use {other}"));
            }
            if !matches!(code, KeyCode::Char('a'..='z')) {
                return Err(unknown());
            }
        }
        Ok(Self { code, modifiers })
    }

    /// Whether this is the key that was pressed.
    pub(crate) fn is(self, key: KeyEvent) -> bool {
        // A capital letter says shift by itself; terminals differ in whether they add it.
        self.code == key.code && self.modifiers == key.modifiers.difference(KeyModifiers::SHIFT)
    }

    /// The key as if it were pressed.
    pub(crate) fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, self.modifiers)
    }

    /// As the screen shows it: short.
    pub(crate) fn label(self) -> String {
        let glyph = NAMED.iter().find(|(_, code, glyph)| *code == self.code && !glyph.is_empty());
        match glyph.filter(|_| self.modifiers.is_empty()) {
            Some((.., glyph)) => (*glyph).to_owned(),
            None => self.to_string(),
        }
    }

    /// Whether it takes one column on the screen.
    pub(crate) fn is_short(self) -> bool {
        bayplan_text::columns(&self.label()) == 1
    }
}

fn code(key: &str) -> Option<KeyCode> {
    if let Some((_, code, _)) = NAMED.iter().find(|(name, ..)| *name == key) {
        return Some(*code);
    }
    let number = key.strip_prefix('f').and_then(|number| number.parse().ok());
    if let Some(number) = number.filter(|number| (1..=12).contains(number)) {
        return Some(KeyCode::F(number));
    }
    let mut chars = key.chars();
    let only = chars.next().filter(|c| !is_unseen(*c));
    only.filter(|_| chars.next().is_none()).map(KeyCode::Char)
}

/// Whether a character shows nothing of its own, or turns the text around it: blanks, controls, marks, joiners, overrides.
fn is_unseen(c: char) -> bool {
    let mut bytes = [0; 4];
    let text: &str = c.encode_utf8(&mut bytes);
    let is_plain = c == '\\' || bayplan_text::escape(text).to_string() == text;
    c.is_whitespace() || !is_plain || bayplan_text::columns(text) == 0
}

/// As it is written in the configuration.
impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.modifiers.contains(KeyModifiers::CONTROL) {
            f.write_str("ctrl-")?;
        }
        if self.modifiers.contains(KeyModifiers::ALT) {
            f.write_str("alt-")?;
        }
        match (NAMED.iter().find(|(_, code, _)| *code == self.code), self.code) {
            (Some((name, ..)), _) => f.write_str(name),
            (None, KeyCode::F(number)) => write!(f, "f{number}"),
            (None, KeyCode::Char(c)) => write!(f, "{c}"),
            // Nothing else is ever read.
            (None, _) => f.write_str("?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        for text in [
            "q",
            "Q",
            "ctrl-c",
            "alt-x",
            "alt-left",
            "space",
            "enter",
            "f1",
            "f12",
            "f",
            "-",
            "page-down",
            "é",
            "中",
            "\\",
            "shift-tab",
            "alt--",
        ] {
            assert_eq!(Chord::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_key_is_said_to_be_none() {
        for text in ["", "qq", "ctrl-", "ctrl-é", "ctrl-left", "f0", "f13", "Space", "\u{1b}", "hyper-x", " "]
        {
            let error = Chord::parse(text).unwrap_err();
            assert!(error.contains("a key is"), "{error}");
        }
        for unseen in
            ["\u{200b}", "\u{202e}", "\u{2066}", "\u{301}", "\u{feff}", "alt-\u{200d}", "\u{a0}", "\u{e000}"]
        {
            let error = Chord::parse(unseen).unwrap_err();
            assert!(error.contains("cannot be seen") && error.is_ascii(), "{error}");
        }
        for (text, other) in
            [("ctrl-i", "tab"), ("ctrl-m", "enter"), ("ctrl-h", "backspace"), ("ctrl-[", "esc")]
        {
            let error = Chord::parse(text).unwrap_err();
            assert!(error.contains(&format!("use {other}")), "{error}");
        }
    }

    #[test]
    fn shift_does_not_matter_beyond_the_letter() {
        let press = |modifiers| KeyEvent::new(KeyCode::Char('G'), modifiers);
        let key = Chord::parse("G").unwrap();
        assert!(key.is(press(KeyModifiers::SHIFT)) && key.is(press(KeyModifiers::NONE)));
        assert!(!key.is(press(KeyModifiers::ALT)));
    }
}
