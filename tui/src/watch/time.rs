//! Going through the time of a session.

use std::collections::VecDeque;

use ratatui::layout::{Position, Rect};

use super::Watch;
use crate::chrome::Areas;
use crate::draw;
use crate::error::TuiError;
use crate::keys::Action;
use crate::model::Stage;
use crate::model::events::clock;
use crate::model::moment::{At, Stop};
use crate::model::past::Step;
use crate::past::{Past, Question, Seeker};
use crate::timebar;

/// Steps that wait for the moment they start from; more were not pressed by hand.
const MOST_STEPS: usize = 100;

/// Where time is gone to.
#[derive(Default)]
pub(super) struct Travel {
    /// The moment that was asked for last, while it is looked up and still wanted.
    aim: Option<Stop>,
    /// Steps from that moment on that cannot be told before it is there.
    steps: VecDeque<Action>,
}

impl Watch {
    /// Does what an action asks of time; returns whether it was one that does.
    ///
    /// A step starts from where the one before goes, not from what is shown while that is looked up: else of keys pressed
    /// quickly all but one are lost.
    pub(super) fn travels(&mut self, action: Action) -> bool {
        match action {
            Action::FormerMoment | Action::NextMoment | Action::FarFormerMoment | Action::FarNextMoment => {
                let step = self.step(action).filter(|_| self.travel.steps.is_empty());
                match step {
                    Some(step) => self.take_step(step),
                    None if self.travel.steps.len() < MOST_STEPS => self.travel.steps.push_back(action),
                    None => {}
                }
            }
            Action::Strip => self.has_strip = !self.has_strip,
            _ => return false,
        }
        true
    }

    /// Where a step goes, if that can be told before the moment that it starts from is there.
    fn step(&self, action: Action) -> Option<Step> {
        let forward = matches!(action, Action::NextMoment | Action::FarNextMoment);
        let is_far = matches!(action, Action::FarFormerMoment | Action::FarNextMoment);
        match (self.travel.aim, is_far) {
            (None, false) => Some(self.model.step(forward, None)),
            (Some(Stop::Run(run)), false) => Some(self.model.step(forward, Some(run))),
            (None, true) => Some(self.model.step_far(forward, None)),
            (Some(Stop::At(t)), true) => Some(self.model.step_far(forward, Some(t))),
            (Some(_), _) => None,
        }
    }

    fn take_step(&mut self, step: Step) {
        match step {
            Step::To(stop) => self.look_up(stop),
            Step::Live if self.is_back() => self.go_live(),
            Step::Live => self.say("this is the end of what is there"),
            Step::Nowhere(why) => self.say(why),
        }
    }

    /// Takes the steps that waited for the moment that is there now.
    fn go_on_stepping(&mut self) {
        while let Some(step) = self.travel.steps.front().and_then(|action| self.step(*action)) {
            self.travel.steps.pop_front();
            self.take_step(step);
        }
    }

    /// Whether a moment of the past is shown or gone to.
    fn is_back(&self) -> bool {
        self.model.standing.is_some() || self.travel.aim.is_some()
    }

    /// Goes to what is now, and to no moment that is looked up.
    pub(super) fn go_live(&mut self) {
        let was_back = self.model.standing.is_some();
        self.travel = Travel::default();
        self.model.go_live();
        if was_back {
            self.compare_again();
        }
    }

    /// Shows what is now again; returns whether something else was shown or gone to.
    pub(super) fn leave_past(&mut self) -> bool {
        let was_back = self.is_back();
        self.travel = Travel::default();
        if self.model.stand_live() {
            self.compare_again();
        }
        was_back
    }

    /// Goes to a moment, whatever was gone to before.
    pub(super) fn seek(&mut self, stop: Stop) {
        self.travel.steps.clear();
        self.look_up(stop);
    }

    /// Has a moment looked up.
    fn look_up(&mut self, stop: Stop) {
        let question = Question { stop, live: self.model.live_state(), wanted: self.model.wanted_map() };
        let Some(past) = &mut self.past else { return self.seek_now(&question) };
        match past.ask(question) {
            Ok(()) => (self.model.stage, self.travel.aim) = (Some(Stage::Seeking), Some(stop)),
            Err(error) => self.say(&error.to_string()),
        }
    }

    /// Looks a moment up while whoever asks waits: for a picture of which there is only one.
    fn seek_now(&mut self, question: &Question) {
        let Some(source) = self.source.clone() else {
            return self.say("this session has no recording to go back in");
        };
        let seek = |mut seeker: Seeker| seeker.seek(question.stop, &question.live, question.wanted);
        match Seeker::open(source).and_then(seek) {
            Ok(moment) => self.stand(question.stop, moment),
            Err(error) => self.say(&error.to_string()),
        }
    }

    /// Takes the moment that was looked up; returns whether the picture changes.
    pub(super) fn arrive_at_moment(&mut self) -> bool {
        let Some(past) = &self.past else { return false };
        let answer = past.take();
        let is_busy = past.is_busy();
        if !is_busy && self.model.stage == Some(Stage::Seeking) {
            self.model.stage = None;
        }
        // Who went back to what is now meanwhile is not carried off again.
        let Some((stop, found)) = answer.filter(|_| self.travel.aim.is_some()) else { return false };
        if !is_busy {
            self.travel.aim = None;
        }
        match found {
            Ok(moment) => self.stand(stop, *moment),
            Err(error) => {
                self.travel.steps.clear();
                self.say(&error);
            }
        }
        self.go_on_stepping();
        true
    }

    fn stand(&mut self, stop: Stop, moment: crate::model::past::Moment) {
        let is_end = matches!(stop, Stop::After(_) | Stop::Run(_)) && !moment.is_found && !moment.is_cut;
        if let Some(remark) = self.model.remark(&moment, stop) {
            self.say(remark);
        }
        if is_end && matches!(stop, Stop::After(_)) {
            return self.go_live();
        }
        self.model.stand(moment);
        self.compare_again();
        self.on_arrival();
    }

    /// Shows a moment before a picture is drawn of it.
    ///
    /// # Errors
    /// The recording keeps no past or cannot be read any more; there is no such moment in it.
    pub(crate) fn stand_at(&mut self, at: At) -> Result<(), TuiError> {
        if at == At::Stop(Stop::End) {
            return Ok(());
        }
        let live = self.model.live_state();
        let stop = at.in_session(&live.fold).map_err(TuiError::NoMoment)?;
        let source = self.source.clone().ok_or(TuiError::NoRecording)?;
        let moment = Seeker::open(source)?.seek(stop, &live, None)?;
        if let Some(why) = moment.why_missing() {
            return Err(TuiError::NoMoment(why.to_owned()));
        }
        self.model.stand(moment);
        Ok(())
    }

    /// The parts of the screen.
    pub(super) fn areas(&self, screen: Rect) -> Option<Areas> {
        let rows = self.status.as_deref().map_or(1, |words| draw::notice_rows(words, screen));
        Areas::with_strip(screen, self.has_strip || self.model.standing.is_some(), rows)
    }

    /// Goes to the time that a cell of the strip shows; returns whether it lies on the strip.
    pub(super) fn click_strip(&mut self, areas: &Areas, at: Position) -> bool {
        let Some(strip) = areas.strip.filter(|strip| strip.contains(at)) else { return false };
        let bar = timebar::bar(strip);
        if at.x >= bar.right() {
            self.go_live();
        } else {
            let t = timebar::time_at(&self.model, bar, at.x);
            self.say(&format!("at {}", clock(t)));
            self.seek(Stop::At(t));
        }
        true
    }
}

/// What looks moments up, where somebody is to be told of them.
pub(super) fn past(
    source: &bayplan_record::Source,
    tell: Option<&std::sync::mpsc::Sender<crate::events::Message>>,
) -> Option<Past> {
    tell.map(|tell| Past::new(source.clone(), tell.clone()))
}
