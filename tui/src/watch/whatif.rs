//! Questions about the plan: what keys ask, and what is done with the answers.

use std::sync::Arc;

use super::Watch;
use super::dims::Typed;
use crate::desk::{Desk, Found, Job, Question, Reply};
use crate::foot::Front;
use crate::keys::Action;
use crate::model::ghost::Ghost;
use crate::model::lists::ListKind;
use crate::model::whatif::{Brief, Edit, Proof, Row, SHOWN, all_words};

/// Buffers of a plan of which every question that is offered is answered before it is asked.
const FORESEEN: usize = 4_000;
/// The same where the picture waits for the answers, as a printed one does.
const FORESEEN_HERE: usize = 500;

impl Watch {
    /// Looks into why the arena is not smaller, for the window of that question: about the tensor at the cursor, where one sees
    /// the cursor.
    pub(super) fn look_into(&mut self) {
        self.model.ask_of_arena();
        self.model.asked.chose = false;
        let on_map = Front::of(self.shown(), &self.model).has_map;
        let of_tensors = [ListKind::Tensors, ListKind::Peak];
        let in_list = self.front_list().is_some_and(|(list, _)| of_tensors.contains(&list.kind()));
        let selected = self.model.selected().map(|(number, _)| number);
        if let Some(tensor) = selected.filter(|_| on_map || in_list) {
            self.model.asked.tensor = Some(tensor);
        }
        let cursor = self.model.arena().map(|arena| arena.view.bytes.cursor);
        self.model.asked.place = cursor.filter(|_| on_map && selected.is_none());
        self.model.stand_on(None);
        self.foresee();
    }

    /// Whether the questions that are offered are answered before they are asked: a planner that nobody waits for may take
    /// longer.
    fn foresees(&self) -> bool {
        let most = if matches!(self.desk, Desk::Here(..)) { FORESEEN_HERE } else { FORESEEN };
        self.model.plan().is_some_and(|plan| plan.record.buffers.len() <= most)
    }

    /// Asks for what the window shows and what is not known yet.
    fn foresee(&mut self) {
        let mut questions = Vec::new();
        let foresees = self.foresees();
        let asked = &mut self.model.asked;
        asked.foreseen = foresees;
        // What is changed now is what everything is held against.
        let mut wanted: Vec<Vec<Edit>> =
            if asked.edits.is_empty() { vec![] } else { vec![asked.edits.clone()] };
        match asked.because() {
            None => questions.push(Question::Because(asked.edits.clone())),
            Some(because) if foresees => {
                // Without each of the tensors that the bound rests on, as far as they are listed at first.
                let reasons = because.as_ref().map_or(&[][..], |because| &because.reasons);
                let reasons = reasons.iter().take(SHOWN + 1);
                let without: Vec<Edit> = reasons.map(|reason| Edit::Drop(reason.buffer)).collect();
                let rows = self.model.asked_rows();
                wanted.extend(rows.iter().filter_map(|row| self.model.asked.asks(row)));
                wanted.extend(without.iter().map(|edit| self.model.asked.with(Some(edit))));
            }
            Some(_) => {}
        }
        wanted.retain(|edits| self.model.asked.answer(edits).is_none());
        let first = questions.len();
        for edits in wanted {
            let question = Question::Plan(edits, false);
            if !questions[first..].contains(&question) {
                questions.push(question);
            }
        }
        self.put_questions(questions, false);
    }

    /// Takes what a key asks about the tensor at the cursor.
    pub(super) fn what_if(&mut self, action: Action) {
        self.model.ask_of_arena();
        match action {
            Action::Undo if !self.is_what_if() => {
                let key = self.keys.name(Action::WhyNotSmaller);
                self.say(&format!("nothing is changed; {key} shows what can be"));
            }
            Action::Undo => {
                self.model.asked.undo();
                self.show_what_is_left();
            }
            _ => {
                let Some(tensor) = self.model.selected().map(|(number, _)| number) else {
                    self.say("there is no tensor at the cursor");
                    return;
                };
                self.model.asked.tensor = Some(tensor);
                let edit = if action == Action::Without { Edit::Drop(tensor) } else { Edit::Halve(tensor) };
                self.change(Some(&edit));
            }
        }
    }

    /// Does what entering a row of the window means.
    pub(super) fn enter_question(&mut self, row: Option<Row>) {
        match row {
            Some(Row::Reason(at)) => {
                let reason = match self.model.asked.because() {
                    Some(Ok(because)) => because.reasons.get(at).map(|reason| reason.buffer),
                    _ => None,
                };
                if let Some(buffer) = reason {
                    self.model.asked.tensor = Some(buffer);
                    self.model.select(buffer);
                    self.foresee();
                }
            }
            Some(Row::More(_)) => self.model.asked.all = true,
            Some(Row::Question(edit)) => {
                self.window = None;
                self.change(edit.as_ref());
            }
            Some(Row::Back(edit)) => {
                self.window = None;
                self.take_back(&edit);
            }
            Some(Row::Offset(tensor)) => {
                self.window = None;
                self.dims = Some(Typed::offset(tensor));
            }
            Some(Row::Dims) => {
                self.window = None;
                self.dims = Some(Typed::default());
            }
            Some(Row::Head(_)) | None => {}
        }
    }

    /// Changes the plan once more, and shows it over the map.
    fn change(&mut self, edit: Option<&Edit>) {
        let edits = self.model.asked.with(edit);
        self.model.asked.change(edits);
        self.show_changed();
    }

    /// Takes one change back, whichever.
    fn take_back(&mut self, edit: &Edit) {
        let left = self.model.asked.edits.iter().filter(|known| *known != edit).cloned().collect();
        self.model.asked.change(left);
        self.show_what_is_left();
    }

    /// Shows the plan after a change less.
    fn show_what_is_left(&mut self) {
        if self.model.asked.edits.is_empty() {
            self.end_what_if();
            self.say("the plan is shown as it is");
        } else {
            self.show_changed();
        }
    }

    /// Asks for the plan as it is changed now, and shows it as soon as it is known.
    fn show_changed(&mut self) {
        let edits = self.model.asked.edits.clone();
        (self.model.asked.shown, self.model.asked.refused) = (true, None);
        self.model.set_ghost(None);
        self.on_map(|_| ());
        self.say("planning anew …");
        self.put_questions(vec![Question::Plan(edits, true)], true);
        if matches!(self.desk, Desk::Here(..)) {
            self.hear();
        }
        self.see_to_questions();
    }

    /// Takes the changed plan away.
    pub(super) fn end_what_if(&mut self) {
        self.model.asked.end();
        self.model.set_ghost(None);
        self.see_to_questions();
    }

    /// Asks for what the window shows of another change, if it is open.
    fn see_to_questions(&mut self) {
        if self.window.is_some_and(|window| window.opened_by == Action::WhyNotSmaller) {
            self.foresee();
        }
    }

    /// Whether a changed plan lies over the map, or is awaited.
    pub(super) fn is_what_if(&self) -> bool {
        self.model.asked.shown && self.model.is_asked_of_arena()
    }

    /// Makes several changes, and shows them.
    pub(super) fn change_all(&mut self, edits: &[Edit]) {
        self.model.ask_of_arena();
        let edits = self.model.asked.with_all(edits);
        self.model.asked.change(edits);
        self.show_changed();
    }

    /// Lets others answer.
    #[cfg(test)]
    pub(crate) fn set_desk(&mut self, desk: Desk) {
        self.desk = desk;
    }

    fn put_questions(&mut self, questions: Vec<Question>, at_once: bool) {
        let record = self.model.plan().map(|plan| Arc::clone(&plan.record));
        let Some((over, record)) = self.model.asked.over.zip(record) else { return };
        let job = |question| Job { over, record: Arc::clone(&record), question };
        if !questions.is_empty() {
            self.desk.ask(questions.into_iter().map(job).collect(), at_once);
        }
    }

    /// Takes the answers that have come; returns whether the picture changes.
    pub(crate) fn hear(&mut self) -> bool {
        let mut heard = false;
        while let Some(Reply { over, found }) = self.desk.hear() {
            if self.model.asked.over != Some(over) {
                continue;
            }
            heard = true;
            // Rows come, and go to their places: the cursor stays on its own.
            let row = self.model.asked_row();
            match found {
                Found::Because(edits, because) => {
                    self.model.asked.know(&edits, because);
                    self.foresee();
                }
                Found::Plan(edits, brief, ghost) => {
                    let awaited = self.model.asked.shown && self.model.asked.edits == edits;
                    self.model.asked.learn(&edits, brief.clone());
                    if awaited {
                        self.take_shown(&edits, brief, ghost.map(|ghost| *ghost));
                    }
                }
            }
            self.model.stand_on(row.as_ref());
        }
        heard
    }

    /// Shows the plan that was waited for, and says what it is.
    fn take_shown(&mut self, edits: &[Edit], brief: Result<Brief, String>, ghost: Option<Ghost>) {
        let Some(plan) = self.model.plan() else { return };
        let title = all_words(edits, &plan.record);
        match brief {
            Ok(brief) => {
                let words = brief.words();
                let said = if let Some(ghost) = ghost {
                    let moved = ghost.counts().words();
                    self.model.set_ghost(Some(ghost));
                    let (undo, back) = (self.keys.name(Action::Undo), self.keys.name(Action::Back));
                    format!("{title}: {words}; {moved}; {undo} undoes, {back} ends")
                } else if brief.proof == Proof::Unplaced {
                    format!("{title}: {words}; too many tensors to draw where each would lie")
                } else {
                    // What was foreseen has no ghost: it is on its way.
                    return;
                };
                let said = self.model.asked.refused.take().unwrap_or(said);
                self.say(&said);
            }
            Err(why) => {
                // What was changed before stays.
                self.model.asked.undo();
                self.show_what_is_left();
                let refused = format!("{title}: {why}");
                self.say(&refused);
                // Once what stays is shown, this is what there is to say of it.
                self.model.asked.refused = self.is_what_if().then_some(refused);
            }
        }
    }
}
