//! Two moments beside each other: what lives at each.

use std::cmp::Ordering;

use bayplan_trace::{Cause, LiveDiff, PlanDiff, Playhead, Timeline, live_diff};

use super::Model;
use super::compare::{Compared, ordered};

/// What lives at two moments.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    /// What lives at both: the first is the one that is shown.
    pub(crate) live: LiveDiff,
    /// Where both have come to, in words.
    pub(crate) words: (String, String),
    /// Whether they are of one session.
    pub(crate) of_one_session: bool,
}

impl Moments {
    /// What lives where two sessions have come to. None where there is no moment to speak of: of two recordings at their ends
    /// the plans say it all.
    pub(super) fn new(diff: &PlanDiff, shown: &Timeline, other: &Timeline) -> Option<Self> {
        let id = |timeline: &Timeline| timeline.session.as_ref().map(|session| session.id.clone());
        // Two plans of one state are no two moments.
        let of_one_session = id(shown) == id(other) && !std::ptr::eq(shown, other);
        let within =
            |timeline: &Timeline, plan: u32| matches!(timeline.progress(plan), Some(Playhead::At(_)));
        let is_within = within(shown, diff.numbers.0) || within(other, diff.numbers.1);
        if !of_one_session && (!is_within || std::ptr::eq(shown, other)) {
            return None;
        }
        let words = (shown.progress_words(diff.numbers.0), other.progress_words(diff.numbers.1));
        Some(Self { live: live_diff(diff, shown, other), words, of_one_session })
    }
}

/// What tensors that live at one moment alone are ordered by, in the order of the columns of their list.
const ORDERS: &[fn(&Cause, &Cause) -> Ordering] = &[
    |a, b| (a.a, a.b).cmp(&(b.a, b.b)),
    |a, b| (a.bytes.0 == 0, a.bytes.1 == 0).cmp(&(b.bytes.0 == 0, b.bytes.1 == 0)),
    |a, b| a.bytes.0.cmp(&b.bytes.0),
    |a, b| a.bytes.1.cmp(&b.bytes.1),
    |a, b| a.growth().unsigned_abs().cmp(&b.growth().unsigned_abs()),
];

impl Compared {
    /// Whether two moments of one session are compared.
    pub(crate) fn is_of_one_session(&self) -> bool {
        self.moments.as_ref().is_some_and(|moments| moments.of_one_session)
    }

    /// Tensors of which not the same bytes live at both moments.
    pub(crate) fn lives(&self) -> &[Cause] {
        self.moments.as_ref().map_or(&[], |moments| &moments.live.tensors)
    }
}

impl Model {
    pub(super) fn differing_lives(&self, column: usize, descending: bool) -> Vec<u32> {
        let Some(compared) = self.compared() else { return Vec::new() };
        let all = compared.lives();
        let kept = |at: &u32| {
            let shown = all[*at as usize].a;
            !self.filter.is_on() || shown.is_some_and(|number| self.filter.keeps(number))
        };
        ordered((0..all.len() as u32).filter(kept).collect(), all, ORDERS.get(column), descending)
    }

    /// Goes to a tensor that lives at one moment alone: where it is, or where it would be.
    pub(super) fn go_to_differing_life(&mut self, at: u32) {
        let tensor = self.compared().and_then(|compared| compared.lives().get(at as usize).copied());
        if let Some(tensor) = tensor {
            self.go_to_either(tensor.a, tensor.b);
        }
    }
}
