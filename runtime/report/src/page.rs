//! Lines of text for people: names at the left, lists, lines folded to a width.

use std::fmt::{self, Write as _};

use bayplan_text::{Count, wrap};

/// Lines of a list before the rest is only counted.
pub(crate) const TOP: usize = 10;

/// Columns of the names at the left.
const LABEL: usize = 10;

/// Columns of a line. Longer ones go on below, further to the right.
const WIDTH: usize = 100;

/// Lines of text, folded to the width of a page.
pub(crate) struct Page(pub(crate) String);

impl Page {
    /// A line with a name at the left.
    pub(crate) fn line(&mut self, label: &str, value: impl fmt::Display) {
        self.folded(&format!("{label:LABEL$} {value}"), LABEL + 1);
    }

    /// A line of a list.
    pub(crate) fn item(&mut self, value: impl fmt::Display) {
        self.folded(&format!("  {value}"), 6);
    }

    /// A line, or several of which all but the first are indented.
    pub(crate) fn folded(&mut self, text: &str, indent: usize) {
        let first = text.len() - text.trim_start().len();
        // One line alone has no indent to leave room for.
        let whole = wrap(text, WIDTH);
        let lines = if whole.len() == 1 { whole } else { wrap(&text[first..], WIDTH - indent) };
        for (number, line) in lines.iter().enumerate() {
            let indent = if number == 0 { first } else { indent };
            // Writing to a string does not fail.
            let _ = writeln!(self.0, "{:indent$}{}", "", line.trim_start());
        }
    }

    pub(crate) fn more(&mut self, all: u64, shown: usize) {
        if let Some(rest) = all.checked_sub(shown as u64).filter(|&rest| rest > 0) {
            self.item(format_args!("… and {} more", Count(rest)));
        }
    }
}
