//! Values of a model's symbols that are typed for a what-if.

use bayplan_text::escape;
use bayplan_trace::PlanRecord;
use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::Watch;
use crate::model::whatif;
use crate::prompt;
use crate::theme::Theme;
use crate::views;

/// Longest text, in characters.
const MOST: usize = 200;

/// What is being typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    text: String,
    /// Why it was not understood when it was entered.
    error: Option<String>,
}

impl Watch {
    /// Takes a key into the values that are being typed.
    pub(super) fn type_dims(&mut self, key: KeyEvent) {
        let Some(mut typed) = self.dims.take() else { return };
        match key.code {
            KeyCode::Esc => return,
            KeyCode::Enter => {
                let Some(record) = self.model.plan().map(|plan| &plan.record) else { return };
                match whatif::typed(&typed.text, record) {
                    Ok(edits) => return self.change_all(&edits),
                    // It stays to be mended.
                    Err(why) => typed.error = Some(why),
                }
            }
            KeyCode::Backspace => {
                typed.text.pop();
                typed.error = None;
            }
            KeyCode::Char(c) if typed.text.chars().count() < MOST => {
                typed.text.push(c);
                typed.error = None;
            }
            _ => {}
        }
        self.dims = Some(typed);
    }
}

/// Draws the line at the foot, and above it what is wrong or what can be typed.
pub(super) fn draw(buffer: &mut Buffer, foot: Rect, typed: &Typed, record: &PlanRecord, theme: &Theme) {
    prompt::put_typed(buffer, foot, " what if ", (&typed.text, ""), theme);
    let line = match &typed.error {
        Some(error) => Line::styled(format!(" {error}"), theme.alarm_text()),
        None => {
            let now = record.dims.iter().map(|dim| format!("{} {}", escape(&dim.name), dim.value));
            let now = now.collect::<Vec<_>>().join(", ");
            Line::styled(format!(" type {}; now {now}", views::example(record)), theme.faint())
        }
    };
    prompt::put_above(buffer, foot, &line);
}
