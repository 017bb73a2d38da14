//! Keys while a search is typed.

use crossterm::event::{KeyCode, KeyEvent};

use super::Watch;
use crate::prompt;

impl Watch {
    /// Takes a key into the search that is being typed.
    pub(super) fn type_key(&mut self, key: KeyEvent) {
        let Some(mut typed) = self.typing.take() else { return };
        match key.code {
            KeyCode::Esc => {
                self.model.search("");
                return;
            }
            KeyCode::Enter => {
                let wrong = self.model.filter.error().map(|error| error.words.clone());
                if wrong.is_some() {
                    // It stays to be mended; what is wrong stands above it.
                    self.typing = Some(typed);
                    return;
                }
                prompt::remember(&mut self.searches, &typed.text);
                self.model.next_match(true);
                if self.model.filter.is_on() && self.model.filter.count() == 0 {
                    self.say("nothing found");
                }
                return;
            }
            KeyCode::Backspace => typed.pop(),
            KeyCode::Up => typed.go(&self.searches, true),
            KeyCode::Down => typed.go(&self.searches, false),
            KeyCode::Tab => {
                typed.complete();
            }
            KeyCode::Char(c) => typed.push(c),
            _ => {}
        }
        self.model.search(&typed.text);
        self.typing = Some(typed);
    }
}
