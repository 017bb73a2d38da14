//! Marks: setting them, going to them.

use bayplan_text::{Bytes, Nanos, Signed};

use super::Watch;
use crate::keys::Action;
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
            let at = if mark.tensor.is_empty() { format!("op {}", mark.op) } else { mark.tensor.clone() };
            let since = before.map_or_else(String::new, |before| {
                let between = mark.since(before);
                let (time, live) = (Signed(between.time, Nanos), Signed(between.live, Bytes));
                format!("; since {}: {time}, {live} live", before.name)
            });
            format!("{} set at {at}{since}; {next} goes there, {list} lists all", mark.name)
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
        let what = if mark.tensor.is_empty() { format!("op {}", mark.op) } else { mark.tensor.clone() };
        let words = if there {
            format!("{}: {what}", mark.name)
        } else {
            format!("{} is in another plan than the one that is shown", mark.name)
        };
        self.say(&words);
    }
}
