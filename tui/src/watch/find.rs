//! Searching and ordering very many tensors: who does it, and what is done once it is there.

use std::sync::mpsc::Sender;

use super::Watch;
use crate::events::Message;
use crate::finder::Finder;
use crate::model::beside::Answer;
use crate::model::lists::Then;

impl Watch {
    /// Searches and orders very many tensors in a thread of its own, which wakes the loop. Where none can be started, pictures
    /// wait for it.
    pub(crate) fn find_beside(mut self, tell: &Sender<Message>) -> Self {
        self.finder = Finder::start(tell);
        if self.finder.is_some() {
            self.model.find_beside();
        }
        self
    }

    /// Hands out what is to be found, and calls off what nobody waits for any more.
    pub(super) fn see_to_finding(&mut self) {
        if let Some(finder) = &self.finder {
            let awaited = self.model.awaited();
            finder.ask(self.model.take_jobs(), &awaited);
            self.model.finding = finder.finding().filter(|_| !awaited.is_empty());
        }
    }

    /// Takes what was found; returns whether the picture changes.
    pub(super) fn hear_finder(&mut self) -> bool {
        let Some(finder) = &self.finder else { return false };
        let (answers, before) = (finder.hear(), self.model.finding);
        let mut heard = false;
        for answer in answers {
            heard |= match answer {
                Answer::Found(ticket, found) => {
                    let awaited = self.model.take_found(ticket, found);
                    if awaited && std::mem::take(&mut self.goes_to_match) {
                        self.end_search();
                    }
                    awaited
                }
                Answer::Rows(ticket, kind, rows) => {
                    let then = self.model.take_rows(ticket, kind, rows);
                    let in_front = || self.front_list().is_some_and(|(list, _)| list.kind() == kind);
                    if then == Some(Then::First) && in_front() {
                        self.model.go_to_chosen(kind);
                    }
                    then.is_some()
                }
            };
        }
        let now = self.finder.as_ref().and_then(Finder::finding);
        self.model.finding = now.filter(|_| !self.model.awaited().is_empty());
        heard || before != self.model.finding
    }
}
