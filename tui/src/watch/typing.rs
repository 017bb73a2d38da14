//! Keys while a search is typed.

use bayplan_text::Count;
use crossterm::event::{KeyCode, KeyEvent};

use super::Watch;
use crate::keys::Action;
use crate::model::Model;
use crate::prompt;
use crate::views;

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
                self.goes_to_match = self.model.filter.coming().is_some();
                if self.goes_to_match {
                    self.say("searching; the first one found is shown as soon as it is known");
                } else {
                    self.end_search();
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

    /// Goes to the first tensor found. Who stands on one that is found stays there.
    pub(super) fn end_search(&mut self) {
        let here = self.model.selected().map(|(number, _)| number);
        let at = here.and_then(|here| self.model.filter.position(here));
        if let Some(at) = at.filter(|_| self.model.filter.is_on()) {
            self.say_match(at + 1, self.model.filter.count(), "");
        } else if self.model.filter.is_on() {
            self.go_to_match(true);
        }
    }

    /// Goes to the next (or former) tensor found, and says which one that is.
    pub(super) fn go_to_match(&mut self, forward: bool) {
        let arena = |model: &Model| model.arena().map(|arena| arena.arena);
        let before = arena(&self.model);
        let Some((at, count)) = self.model.next_match(forward) else {
            let back = self.keys.name(Action::Back);
            self.say(&format!("nothing found; {back} ends the search"));
            return;
        };
        let other = self.model.arena().filter(|_| arena(&self.model) != before);
        let other = other.map(|arena| format!(" · now in arena \"{}\"", views::arena_name(&arena)));
        self.say_match(at, count, &other.unwrap_or_default());
    }

    fn say_match(&mut self, at: usize, count: usize, other: &str) {
        let next = self.keys.name(Action::NextMatch);
        // Lists count those of their arena, or what touches them: this is another count.
        let within = if self.model.matches_elsewhere() { " in all arenas" } else { "" };
        let (at, count) = (Count(at as u64), Count(count as u64));
        self.say(&format!("match {at} of {count}{within} · {next} next{other}"));
    }
}
