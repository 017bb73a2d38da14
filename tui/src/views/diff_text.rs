//! Diff in lines of text, for people who listen and for logs: what the view says, and the first rows of its lists.

use std::fmt::Write;

use bayplan_text::Count;
use ratatui::text::Line;

use super::diff::{counted, list_of, plans, summary};
use crate::model::compare::Listed;
use crate::model::{Model, explain};
use crate::theme::{Colours, Theme};

/// Rows of a list that are told.
const MOST: usize = 10;
/// Columns that names have room in.
const WIDTH: usize = 160;

/// What differs from what is compared with; nothing where nothing is.
pub(crate) fn told(model: &Model) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, model);
    out
}

fn write(out: &mut String, model: &Model) -> std::fmt::Result {
    let Some((shown, compared)) = plans(model) else { return Ok(()) };
    let theme = Theme::new(Colours::None, false);
    writeln!(out, "compared, shown → other: {} → {}", explain::shown_title(model), compared.title)?;
    for line in summary(shown, compared, &theme) {
        writeln!(out, "{}", text_of(&line))?;
    }
    for listed in [Listed::Lives, Listed::Tensors, Listed::Ops] {
        let (list, count) = list_of(compared, listed);
        let told = |row: &u32| match listed {
            Listed::Ops => !compared.diff.ops[*row as usize].is_noise(&compared.diff),
            Listed::Lives | Listed::Tensors => true,
        };
        let rows: Vec<u32> = (0..count as u32).filter(told).collect();
        if rows.is_empty() {
            continue;
        }
        let heads: Vec<&str> = list.columns().iter().map(|column| column.title).collect();
        writeln!(out, "{}: {}", counted(listed, rows.len(), count), heads.join(", "))?;
        for row in rows.iter().take(MOST) {
            let cells = list.row(model, *row, &theme, WIDTH);
            let cells: Vec<String> = cells.iter().map(text_of).filter(|cell| !cell.is_empty()).collect();
            writeln!(out, "  {}", cells.join(", "))?;
        }
        if let more @ 1.. = rows.len().saturating_sub(MOST) {
            writeln!(out, "  and {} more", Count(more as u64))?;
        }
    }
    Ok(())
}

/// What a line says, without blanks around it.
fn text_of(line: &Line<'_>) -> String {
    line.spans.iter().map(|span| span.content.as_ref()).collect::<String>().trim().to_owned()
}
