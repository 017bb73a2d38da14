//! What is typed where one chooses what to compare with: words that the list is filtered by, a path, or a moment.

use bayplan_text::escape;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::Watch;
use crate::keys::Action;
use crate::model::Model;
use crate::model::compare::{Choice, ChoicePlace};
use crate::model::lists::ListKind;
use crate::model::moment::{At, Stop};
use crate::theme::Theme;
use crate::{paths, picker, prompt};

/// Said of a moment of what comes through standard input.
const NO_PAST: &str = "cannot be compared: what came through standard input is not kept";
/// Said of the moment that is shown.
const HERE: &str = "cannot be compared: this is where you stand";

impl Watch {
    /// Whether the list of what can be compared with is in front: what is typed there filters it.
    pub(super) fn is_choosing(&self) -> bool {
        self.window.is_some_and(|window| window.opened_by == Action::Diff)
    }

    /// Takes a key into what is typed there; returns whether that was all it does.
    pub(super) fn type_choice(&mut self, key: KeyEvent) -> bool {
        let mut text = self.model.choosing.clone();
        match key.code {
            KeyCode::Char(_) if key.modifiers.contains(KeyModifiers::ALT) => return false,
            KeyCode::Char(c) if text.chars().count() < picker::MAX_WORDS => text.push(c),
            KeyCode::Char(_) => {}
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Tab => {
                if let Some(whole) = paths::complete(&text).filter(|_| paths::is_path(&text)) {
                    text = whole;
                }
            }
            KeyCode::Esc if text.is_empty() => {
                self.window = None;
                return true;
            }
            KeyCode::Esc => text.clear(),
            KeyCode::Enter => return self.enter_choice(),
            _ => return false,
        }
        self.type_path_or_words(text);
        true
    }

    /// Lists what fits what was typed, from its first row on.
    pub(super) fn type_path_or_words(&mut self, text: String) {
        self.model.choosing = text;
        let text = &self.model.choosing;
        self.model.choices = if paths::is_path(text) {
            paths::recordings(text).into_iter().map(of_path).collect()
        } else {
            let has =
                |choice: &&Choice| picker::has_words(&format!("{} {}", choice.name, choice.about), text);
            let no_past = self.no_past();
            let typed = self.model.choice_of_moment(text, no_past);
            typed.into_iter().chain(self.other.all.iter().filter(has).cloned()).collect()
        };
        let list = self.model.lists.get_mut(ListKind::Choices);
        list.replace((0..self.model.choices.len() as u32).collect());
        list.go(0);
    }

    /// Why no other moment of this session can be looked at, where that is so.
    pub(super) fn no_past(&self) -> Option<&'static str> {
        self.source.as_ref().filter(|source| source.is_standard_input()).map(|_| NO_PAST)
    }
}

fn of_path(found: paths::Found) -> Choice {
    let name = escape(&found.text).to_string();
    let (about, place) = match found.is_recording {
        true => ("recording", ChoicePlace::Named(found.text)),
        false => ("folder to look into", ChoicePlace::Typed(found.text)),
    };
    Choice::new(name, about.to_owned(), place)
}

impl Model {
    /// The moment of this session that words name, as they do on the command line.
    fn choice_of_moment(&self, words: &str, no_past: Option<&'static str>) -> Option<Choice> {
        let at = At::parse(words).ok()?;
        let (plan, _) = self.wanted_map()?;
        let name = escape(words).to_string();
        let about = || "this moment of this recording".to_owned();
        let is_here = at == At::Stop(Stop::End) && self.standing.is_none();
        let here = is_here.then(|| HERE.to_owned());
        match (at.in_session(&self.live_state().fold), no_past.map(str::to_owned).or(here)) {
            (Err(why), _) | (_, Some(why)) => Some(Choice::refused(name, why)),
            (Ok(stop), None) => Some(Choice::new(name, about(), ChoicePlace::Moment(stop, plan))),
        }
    }

    /// What can be compared with in this session: its marks, its other plans, and moments that every session has.
    pub(crate) fn own_choices(&self, no_past: Option<&'static str>) -> (Vec<Choice>, Vec<Choice>) {
        let Some((shown, _)) = self.wanted_map() else { return (Vec::new(), Vec::new()) };
        let mut marks: Vec<Choice> = self
            .marks
            .all()
            .iter()
            .map(|mark| {
                let is_here = (mark.t, mark.plan) == (self.now(), shown);
                match no_past.filter(|_| mark.t != self.now()).or(is_here.then_some(HERE)) {
                    Some(why) => Choice::refused(mark.name.clone(), why.to_owned()),
                    None => Choice::of_mark(mark),
                }
            })
            .collect();
        // What cannot be compared comes after what can.
        marks.sort_by_key(|choice| choice.place == ChoicePlace::Nowhere);
        let (marks, refused): (Vec<_>, Vec<_>) =
            marks.into_iter().partition(|choice| choice.place != ChoicePlace::Nowhere);
        let own = marks.into_iter().chain(self.other_plans(shown)).collect();
        let moment = |name: &str, stop| match no_past {
            Some(why) => Choice::refused(name.to_owned(), why.to_owned()),
            None => {
                let about = "this recording at another moment".to_owned();
                Choice::new(name.to_owned(), about, ChoicePlace::Moment(stop, shown))
            }
        };
        let first = (self.live().runs_started > 1).then(|| moment("the end of the first run", Stop::Run(1)));
        let end = self.standing.as_ref().map(|_| moment("the end of what is there", Stop::End));
        (own, first.into_iter().chain(end).chain(refused).collect())
    }
}

/// Draws what is typed in the line at the foot, and above it what was said last.
pub(super) fn draw(buffer: &mut Buffer, foot: Rect, (model, said): (&Model, Option<&str>), theme: &Theme) {
    let hint = if model.choosing.is_empty() {
        "words, a path (/ ./ ~) or a moment (run:3 1.5s); esc closes"
    } else if paths::is_path(&model.choosing) {
        "tab completes · enter compares · esc empties the line"
    } else {
        "esc empties the line"
    };
    prompt::put_typed(buffer, foot, " compare with ", (&model.choosing, hint), theme);
    if let Some(said) = said {
        prompt::put_above(buffer, foot, &Line::styled(format!(" {said}"), theme.alarm_text()));
    }
}
