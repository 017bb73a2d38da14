//! The table as comma-separated values after RFC 4180, for spreadsheets and scripts.
//!
//! A text that a spreadsheet would take for a formula begins with an apostrophe, as it does when typed by hand.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::table::{COLUMNS, Cell, Row, RowWriter};

/// Writes a line for each row, after one with the names of the columns.
#[derive(Default)]
pub(super) struct Csv {
    begun: bool,
    line: String,
}

impl RowWriter for Csv {
    fn row(&mut self, row: &Row<'_>, out: &mut dyn Write) -> io::Result<()> {
        self.begin(out)?;
        self.line.clear();
        for (at, cell) in row.iter().enumerate() {
            if at > 0 {
                self.line.push(',');
            }
            put_cell(&mut self.line, cell);
        }
        self.line.push('\n');
        out.write_all(self.line.as_bytes())
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.begin(out)
    }
}

impl Csv {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
        writeln!(out, "{}", names.join(","))
    }
}

fn put_cell(line: &mut String, cell: &Cell<'_>) {
    // Writing to a String cannot fail.
    let _ = match cell {
        Cell::None => Ok(()),
        Cell::Number(number) => write!(line, "{number}"),
        Cell::Real(real) => write!(line, "{real}"),
        Cell::Flag(flag) => write!(line, "{flag}"),
        Cell::Text(text) => {
            let formula = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
            if text.contains(['"', ',', '\n', '\r']) || text.trim() != text {
                write!(line, "\"{formula}{}\"", text.replace('"', "\"\""))
            } else {
                write!(line, "{formula}{text}")
            }
        }
    };
}
