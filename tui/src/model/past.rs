//! Standing at a moment of the past, while what holds now goes on being read.

use bayplan_trace::{Nanos, Timeline};

use super::moment::Stop;
use super::{Model, State};

/// A moment that was looked up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moment {
    /// What held then.
    pub(crate) state: State,
    /// Its time.
    pub(crate) t: Nanos,
    /// When the part of the session begins that is kept.
    pub(crate) first: Nanos,
    /// Whether more was before that, and is gone.
    pub(crate) is_cut: bool,
    /// Whether there is such a moment; else this is the nearest one.
    pub(crate) is_found: bool,
}

impl Moment {
    /// Why it was not found, if it was not.
    pub(crate) fn why_missing(&self) -> Option<&'static str> {
        match (self.is_found, self.is_cut) {
            (true, _) => None,
            (false, true) => Some("it is gone with the oldest segments, or never was"),
            (false, false) => Some("the session ends before it"),
        }
    }
}

/// Where the viewer stands in the time of the session, if not at its end.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// The time.
    pub(crate) t: Nanos,
    /// When the part of the session begins that is kept.
    pub(crate) first: Nanos,
    /// Whether more was before that, and is gone.
    pub(crate) is_cut: bool,
    /// What holds now.
    pub(super) live: Box<State>,
}

/// What a step through time comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// That moment is to be looked up.
    To(Stop),
    /// What holds now is to be shown.
    Live,
    /// There is nothing there; why, in words.
    Nowhere(&'static str),
}

/// Said where the past ends.
const BEGINNING: &str = "this is the beginning of the session";
const CUT: &str = "the recording begins here: its oldest segments are gone";
/// Parts of the session that a far step is one of.
const FAR: u64 = 20;

impl Model {
    /// Shows a moment of the past.
    pub(crate) fn stand(&mut self, moment: Moment) {
        let Moment { state, t, first, is_cut, .. } = moment;
        let live =
            self.standing.take().map_or_else(|| Box::new(self.shown_state()), |standing| standing.live);
        self.show(state);
        // The strip and what happened are of the whole session.
        self.strip.clone_from(&live.fold.strip);
        self.log.clone_from(&live.fold.log);
        self.standing = Some(Standing { t, first, is_cut, live });
    }

    /// Shows what holds now again; returns whether something else was shown.
    pub(crate) fn stand_live(&mut self) -> bool {
        let Some(standing) = self.standing.take() else { return false };
        self.show(*standing.live);
        true
    }

    /// What holds now, whatever is shown.
    pub(crate) fn live_state(&self) -> State {
        self.standing.as_ref().map_or_else(|| self.shown_state(), |standing| (*standing.live).clone())
    }

    /// The state of the session now, whatever is shown.
    pub(crate) fn live(&self) -> &Timeline {
        self.standing.as_ref().map_or(&self.timeline, |standing| &standing.live.fold.timeline)
    }

    /// The time that is shown.
    pub(crate) fn now(&self) -> Nanos {
        self.standing.as_ref().map_or(self.timeline.now, |standing| standing.t)
    }

    /// The first and the last time of the session that can be shown, as far as that is known.
    pub(crate) fn times(&self) -> (Nanos, Nanos) {
        let first = match &self.standing {
            Some(standing) => standing.first,
            None => self.strip.start().unwrap_or(0),
        };
        let last = self.live().now;
        (first.min(last), last)
    }

    /// The former or the next run; in a session without runs, what happened before or after. It starts at the end of the run
    /// that is gone to, if one is; else from what is shown.
    pub(crate) fn step(&self, forward: bool, aim: Option<u64>) -> Step {
        if forward && self.standing.is_none() && aim.is_none() {
            return Step::Live;
        }
        let (runs, all) = (aim.unwrap_or(self.timeline.runs_started), self.live().runs_started);
        // A run in progress is none that has ended: a step back goes to the one before, a step on to its end.
        let is_within = aim.is_none() && self.timeline.current.is_some();
        if all == 0 {
            return self.step_to_what_happened(forward);
        }
        match (forward, is_within) {
            (false, _) if runs <= 1 => self.beginning(),
            (false, _) => Step::To(Stop::Run(runs - 1)),
            (true, true) => Step::To(Stop::Run(runs)),
            (true, false) if runs >= all => Step::Live,
            (true, false) => Step::To(Stop::Run(runs + 1)),
        }
    }

    fn step_to_what_happened(&self, forward: bool) -> Step {
        // At a time between two things that happened, the former is the one that is shown already.
        let (now, shown) = (self.now(), self.timeline.now);
        let (first, last) = self.times();
        match forward {
            true if now >= last => Step::Live,
            true => Step::To(Stop::After(now)),
            false if now <= first => self.beginning(),
            false if shown < now => Step::To(Stop::At(shown)),
            false => Step::To(Stop::Before(shown)),
        }
    }

    /// A far step: a part of the session back or on, from the time that is gone to, if one is; else from what is shown.
    pub(crate) fn step_far(&self, forward: bool, aim: Option<Nanos>) -> Step {
        let (first, last) = self.times();
        let far = ((last - first) / FAR).max(1);
        let (now, is_back) = (aim.unwrap_or(self.now()), aim.is_some() || self.standing.is_some());
        match forward {
            true if !is_back || now.saturating_add(far) >= last => Step::Live,
            true => Step::To(Stop::At(now + far)),
            false if is_back && now <= first => self.beginning(),
            false => Step::To(Stop::At(now.saturating_sub(far))),
        }
    }

    fn beginning(&self) -> Step {
        let is_cut = self.standing.as_ref().is_some_and(|standing| standing.is_cut);
        Step::Nowhere(if is_cut { CUT } else { BEGINNING })
    }

    /// What is to be said of a moment that was looked up.
    pub(crate) fn remark(&self, moment: &Moment, stop: Stop) -> Option<&'static str> {
        let before = matches!(stop, Stop::At(t) if t < moment.first) || moment.t <= moment.first;
        let missed = !moment.is_found && matches!(stop, Stop::Run(_));
        match (before || missed && moment.is_cut, moment.is_cut) {
            (true, true) => Some(CUT),
            (true, false) => Some(BEGINNING),
            (false, _) if missed => Some("there is no such run in the recording"),
            _ => None,
        }
    }
}
