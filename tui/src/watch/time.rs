//! Going through the time of a session.

use ratatui::layout::{Position, Rect};

use super::Watch;
use crate::chrome::Areas;
use crate::error::TuiError;
use crate::keys::Action;
use crate::model::Stage;
use crate::model::events::clock;
use crate::model::moment::{At, Stop};
use crate::model::past::Step;
use crate::past::{Past, Question, Seeker};
use crate::timebar;

impl Watch {
    /// Does what an action asks of time; returns whether it was one that does.
    pub(super) fn travels(&mut self, action: Action) -> bool {
        let step = match action {
            Action::FormerMoment => self.model.step(false),
            Action::NextMoment => self.model.step(true),
            Action::FarFormerMoment => self.model.step_far(false),
            Action::FarNextMoment => self.model.step_far(true),
            Action::Strip => {
                self.has_strip = !self.has_strip;
                return true;
            }
            _ => return false,
        };
        match step {
            Step::To(stop) => self.seek(stop),
            Step::Live if self.model.standing.is_some() => self.model.go_live(),
            Step::Live => self.say("this is the end of what is there"),
            Step::Nowhere(why) => self.say(why),
        }
        true
    }

    /// Has a moment looked up.
    pub(super) fn seek(&mut self, stop: Stop) {
        let question = Question { stop, live: self.model.live_state(), wanted: self.model.wanted_map() };
        let Some(past) = &mut self.past else { return self.seek_now(&question) };
        match past.ask(question) {
            Ok(()) => (self.model.stage, self.seeks) = (Some(Stage::Seeking), true),
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
        let Some((stop, found)) = answer.filter(|_| self.seeks) else { return false };
        match found {
            Ok(moment) => self.stand(stop, *moment),
            Err(error) => self.say(&error),
        }
        true
    }

    fn stand(&mut self, stop: Stop, moment: crate::model::past::Moment) {
        let is_end = matches!(stop, Stop::After(_) | Stop::Run(_)) && !moment.is_found && !moment.is_cut;
        if let Some(remark) = self.model.remark(&moment, stop) {
            self.say(remark);
        }
        if is_end && matches!(stop, Stop::After(_)) {
            return self.model.go_live();
        }
        self.model.stand(moment);
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
        if !moment.is_found {
            let why = if moment.is_cut {
                "it is gone with the oldest segments, or never was"
            } else {
                "the session ends before it"
            };
            return Err(TuiError::NoMoment(why.to_owned()));
        }
        self.model.stand(moment);
        Ok(())
    }

    /// The parts of the screen.
    pub(super) fn areas(&self, screen: Rect) -> Option<Areas> {
        Areas::with_strip(screen, self.has_strip || self.model.standing.is_some())
    }

    /// Goes to the time that a cell of the strip shows; returns whether it lies on the strip.
    pub(super) fn click_strip(&mut self, areas: &Areas, at: Position) -> bool {
        let Some(strip) = areas.strip.filter(|strip| strip.contains(at)) else { return false };
        let bar = timebar::bar(strip);
        if at.x >= bar.right() {
            self.model.go_live();
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
