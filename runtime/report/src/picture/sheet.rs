//! A sheet: lines and panels from the top down, and the document around them. Texts are given to it escaped for display, as
//! [`bayplan_text::escape`] does; what markup would obey is escaped here.

use std::fmt::Write as _;

use super::frame::Px;
use super::style::{STYLE, patterns};
use crate::markup::marked;

/// The width of every sheet, in its own units.
pub(crate) const WIDTH: f64 = 1200.0;

/// Blank at both sides.
pub(crate) const MARGIN: f64 = 20.0;

/// Characters of a title and of a line that fit the width.
const COLUMNS: (usize, usize) = (118, 180);

/// A sheet that is being drawn.
pub(crate) struct Sheet {
    pub(crate) id: String,
    /// What it is, for who cannot see it.
    what: String,
    body: String,
    /// How far down it is used.
    pub(crate) bottom: f64,
}

impl Sheet {
    pub(crate) fn new(id: &str, what: &str) -> Self {
        Self { id: id.into(), what: what.into(), body: String::new(), bottom: 8.0 }
    }

    /// Adds markup, in which all text is escaped.
    pub(crate) fn put(&mut self, markup: &str) {
        self.body.push_str(markup);
    }

    /// A text at a place.
    pub(crate) fn text(&mut self, (x, y): (f64, f64), class: &str, anchor: &str, text: &str) {
        let anchor = if anchor == "start" { String::new() } else { format!(" text-anchor=\"{anchor}\"") };
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        // Writing to a string does not fail.
        let _ = writeln!(
            self.body,
            "<text x=\"{}\" y=\"{}\"{class}{anchor}>{}</text>",
            Px(x),
            Px(y),
            marked(text)
        );
    }

    pub(crate) fn title(&mut self, text: &str) {
        self.bottom += 24.0;
        self.text((MARGIN, self.bottom - 4.0), "title", "start", &cut(text, COLUMNS.0));
    }

    pub(crate) fn line(&mut self, class: &str, text: &str) {
        self.bottom += 18.0;
        self.text((MARGIN, self.bottom - 3.0), class, "start", &cut(text, COLUMNS.1));
    }

    /// A remark below what it is about.
    pub(crate) fn note(&mut self, text: &str) {
        self.line("faint", text);
    }

    /// The whole document.
    pub(crate) fn finish(self) -> String {
        let (id, height) = (&self.id, Px(self.bottom + 14.0));
        let what = marked(&self.what);
        let mut out = String::with_capacity(self.body.len() + 8192);
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"bp\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" role=\"img\" aria-labelledby=\"{id}-title\">\n<title id=\"{id}-title\">{what}</title>\n"
        );
        // In a page the style is the page's, so that its policy can name it.
        if id == "bp" {
            let _ = writeln!(out, "<style>\n{STYLE}</style>");
        }
        patterns(&mut out, id);
        let _ = writeln!(out, "<rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>");
        out.push_str(&self.body);
        out.push_str("</svg>\n");
        out
    }
}

/// Cuts a text to a number of characters.
fn cut(shown: &str, most: usize) -> String {
    match shown.char_indices().nth(most) {
        None => shown.to_owned(),
        Some(_) => shown.chars().take(most - 1).chain(['…']).collect(),
    }
}
