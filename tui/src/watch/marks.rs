//! Marks: setting them, going to them.

use bayplan_text::{Bytes, Count, Nanos, Signed};

use super::Watch;
use crate::keys::Action;
use crate::model::events::clock;
use crate::model::lists::ListKind;
use crate::model::marks::Mark;
use crate::model::moment::Stop;

impl Watch {
    /// Does what an action asks of marks; returns whether it was one that does.
    pub(super) fn marks(&mut self, action: Action) -> bool {
        match action {
            Action::Mark => self.set_mark(),
            Action::NextMark => match self.model.marks.next().cloned() {
                Some(mark) => self.head_for(mark),
                None => {
                    self.say(&format!(
                        "no marks yet; {} marks where you stand",
                        self.keys.name(Action::Mark)
                    ));
                }
            },
            Action::Remove => {
                let (remove, marks) = (self.keys.name(Action::Remove), self.keys.name(Action::Marks));
                self.say(&format!("{remove} takes away a mark of the list that {marks} shows"));
            }
            _ => return false,
        }
        true
    }

    fn set_mark(&mut self) {
        let (next, list) = (self.keys.name(Action::NextMark), self.keys.name(Action::Marks));
        let words = self.model.set_mark().map(|(mark, before)| {
            let tensor = if mark.tensor.is_empty() { "free bytes" } else { &mark.tensor };
            let cursor = format!("cursor on {tensor} at op {}", Count(mark.op));
            let since = before.map_or_else(String::new, |before| since(mark, before));
            let at = format!("{}, {}", clock(mark.t), mark.progress);
            format!("{} set at {at}; {cursor}{since}; {next} goes there, {list} lists all", mark.name)
        });
        self.say(&words.unwrap_or_else(|| "there is nothing to mark yet".to_owned()));
    }

    /// Takes away the chosen mark, where the list of marks is in front; returns whether it is.
    pub(super) fn remove_mark(&mut self) -> bool {
        let Some((list, _)) = self.front_list().filter(|(list, _)| list.kind() == ListKind::Marks) else {
            return false;
        };
        if let Some(number) = self.model.lists.get(list.kind()).chosen() {
            let removed = self.model.marks.remove(number);
            self.say(&removed.map_or_else(String::new, |mark| format!("{} is taken away", mark.name)));
        }
        true
    }

    /// Goes to the chosen mark of the list.
    pub(super) fn enter_mark(&mut self) -> bool {
        let chosen = self.model.lists.get(ListKind::Marks).chosen();
        if let Some(mark) = chosen.and_then(|number| self.model.marks.go(number).cloned()) {
            self.window = None;
            self.head_for(mark);
        }
        true
    }

    /// Goes to a mark: at once where its time is shown already, else as soon as that was looked up.
    fn head_for(&mut self, mark: Mark) {
        if mark.t == self.model.now() || self.past.is_none() {
            self.heading = Some(mark);
            self.on_arrival();
            return;
        }
        let t = mark.t;
        self.heading = Some(mark);
        self.seek(Stop::At(t));
    }

    /// Puts the cursor on the mark that was headed for.
    pub(super) fn on_arrival(&mut self) {
        let Some(mark) = self.heading.take() else { return };
        let there = self.model.go_to_mark(&mark);
        let tensor = if mark.tensor.is_empty() { "free bytes" } else { &mark.tensor };
        let words = if there {
            let (at, op) = (clock(mark.t), Count(mark.op));
            format!("{} at {at}, {}; cursor on {tensor} at op {op}", mark.name, mark.progress)
        } else {
            format!("{} is in another plan than the one that is shown", mark.name)
        };
        self.say(&words);
    }
}

/// What lies between two marks: time and what lived then; of one moment, what lives at the ops of the cursor.
fn since(mark: &Mark, before: &Mark) -> String {
    let between = mark.since(before);
    let words = match between.live {
        _ if between.time == 0 => format!("{} at the cursor", Signed(between.there, Bytes)),
        Some(live) => format!("{}, {} live", Signed(between.time, Nanos), Signed(live, Bytes)),
        None => Signed(between.time, Nanos).to_string(),
    };
    format!("; since {}: {words}", before.name)
}
