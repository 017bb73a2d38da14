//! Values of a model's symbols, and places of tensors, that are typed for a what-if.

use bayplan_text::{Bytes, escape};
use bayplan_trace::PlanRecord;
use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::Watch;
use crate::model::explain;
use crate::model::whatif::{self, Edit};
use crate::prompt;
use crate::theme::Theme;
use crate::views;

/// Longest text, in characters.
const MOST: usize = 200;

/// What is being typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    text: String,
    /// The tensor whose offset is typed; none where values of symbols are.
    tensor: Option<u32>,
    /// Why it was not understood when it was entered.
    error: Option<String>,
}

impl Typed {
    /// Where a tensor is to begin is typed.
    pub(super) fn offset(tensor: u32) -> Self {
        Self { tensor: Some(tensor), ..Self::default() }
    }

    /// The edits that were typed.
    fn edits(&self, record: &PlanRecord) -> Result<Vec<Edit>, String> {
        match self.tensor {
            Some(tensor) => whatif::typed_offset(&self.text, tensor, record).map(|edit| vec![edit]),
            None => whatif::typed(&self.text, record),
        }
    }

    /// What can be typed.
    fn hint(&self, record: &PlanRecord) -> String {
        let Some(tensor) = self.tensor else {
            let now = record.dims.iter().map(|dim| format!("{} {}", escape(&dim.name), dim.value));
            let now = now.collect::<Vec<_>>().join(", ");
            return format!("type {}; now {now}", views::example(record));
        };
        let name = explain::short_name(record, tensor);
        let now = record.buffers.get(tensor as usize).map_or(0, |buffer| buffer.offset);
        format!("type where {name} is to begin, such as 2.5 MiB or 0x280000; now {}", Bytes(now))
    }
}

impl Watch {
    /// Takes a key into the values that are being typed.
    pub(super) fn type_dims(&mut self, key: KeyEvent) {
        let Some(mut typed) = self.dims.take() else { return };
        match key.code {
            KeyCode::Esc => return,
            KeyCode::Enter => {
                let Some(record) = self.model.plan().map(|plan| &plan.record) else { return };
                match typed.edits(record) {
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
        None => Line::styled(format!(" {}", typed.hint(record)), theme.faint()),
    };
    prompt::put_above(buffer, foot, &line);
}
