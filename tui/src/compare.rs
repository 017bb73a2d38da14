//! Opening what a plan is compared with, beside drawing.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;

use bayplan_record::{Follower, Part, Source, Start};

use crate::error::TuiError;
use crate::events::Message;
use crate::model::State;
use crate::model::compare::Compared;
use crate::model::fold::Fold;
use crate::model::ghost::Ghost;
use crate::model::moment::Stop;
use crate::past::Seeker;

/// What to compare with.
#[derive(Clone, Debug)]
pub(crate) enum Other {
    /// The plan of a recording that ran last in it.
    Recording(Source),
    /// A plan of this session as it was at a time.
    Moment(Source, Stop, u32),
    /// Another plan of this session.
    Plan(u32),
}

/// What is asked.
pub(crate) struct Comparison {
    /// What the other one is called, escaped.
    pub(crate) title: String,
    pub(crate) other: Other,
    /// What is shown: its state, the plan and the arena that are looked at.
    pub(crate) shown: State,
    pub(crate) plan: u32,
    pub(crate) arena: u32,
}

/// What came of it: what differs, and the other plan laid over the arena; or why not, in words.
pub(crate) type Outcome = Result<(Compared, Option<Ghost>), String>;

/// A comparison that is under way.
pub(crate) struct Comparing(Receiver<Outcome>);

impl Comparing {
    /// Compares in a thread of its own.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn begin(comparison: Comparison, tell: Sender<Message>) -> Result<Self, TuiError> {
        let (sender, outcome) = channel();
        let work = move || {
            if sender.send(compare(&comparison)).is_ok() {
                let _ = tell.send(Message::Changed);
            }
        };
        thread::Builder::new().name("comparing".to_owned()).spawn(work).map_err(TuiError::Thread)?;
        Ok(Self(outcome))
    }

    /// What came of it, once it is there.
    pub(crate) fn take(&self) -> Option<Outcome> {
        match self.0.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err("comparing broke down".to_owned())),
        }
    }
}

/// Reads what is to be compared with, and compares.
pub(crate) fn compare(comparison: &Comparison) -> Outcome {
    let timeline = &comparison.shown.fold.timeline;
    let shown = timeline.plans.get(comparison.plan as usize).ok_or("there is no plan to compare yet")?;
    let words = |error: bayplan_record::RecordError| error.to_string();
    let read = match &comparison.other {
        Other::Plan(_) => None,
        Other::Recording(source) => Some(read(source.clone()).map_err(words)?.timeline),
        Other::Moment(source, stop, _) => {
            let mut seeker = Seeker::open(source.clone()).map_err(words)?;
            let moment = seeker.seek(*stop, &comparison.shown, None).map_err(words)?;
            // Of the end there is nothing to be found behind.
            match moment.why_missing().filter(|_| *stop != Stop::End) {
                Some(why) => return Err(format!("{} cannot be compared: {why}", comparison.title)),
                None => Some(moment.state.fold.timeline),
            }
        }
    };
    let from = read.as_ref().unwrap_or(timeline);
    let other = match &comparison.other {
        Other::Plan(number) | Other::Moment(_, _, number) => {
            from.plans.get(*number as usize).map(|plan| (*number, plan))
        }
        // The plan for the same dims, where there is one; else what ran last.
        Other::Recording(_) => {
            let dims = &shown.record.dims;
            let mut all = (0..).zip(&from.plans).filter(|(_, plan)| !plan.record.ops.is_empty());
            all.find(|(_, plan)| plan.record.dims == *dims).or_else(|| from.current_plan())
        }
    };
    let other = other.filter(|(_, plan)| !plan.record.arenas.is_empty());
    let (number, other) = other.ok_or_else(|| no_plan(&comparison.title, from))?;
    let sides = ((comparison.plan, shown), (number, other.clone()));
    let compared = Compared::new(comparison.title.clone(), sides, (timeline, from));
    let ghost = compared.ghost(shown, comparison.arena);
    Ok((compared, ghost))
}

/// Why there is nothing to compare with in a recording that tells no plan.
pub(crate) fn no_plan(title: &str, timeline: &bayplan_trace::Timeline) -> String {
    let why = if timeline.session.is_none() {
        "it is empty, or was cut before its session began"
    } else if timeline.runs_started == 0 {
        "it was recorded before a plan was made, or was cut there"
    } else {
        "what told it is missing"
    };
    format!("{title} has no plan: {why}. Plans are what is compared; choose a recording that shows a map")
}

/// What holds at the end of a recording.
fn read(source: Source) -> Result<Fold, bayplan_record::RecordError> {
    let mut follower = Follower::open(source, Start::Latest)?;
    let mut fold = Fold::default();
    loop {
        let progress = follower.poll_parts(|part| match part {
            Part::Event(event) => fold.apply_event(event),
            Part::Record(record) => fold.apply(record),
            Part::Chunks(_) => {}
        })?;
        // What comes through a pipe is there only when it ends; of files what is there by now is compared.
        if progress.caught_up && !follower.wait() {
            return Ok(fold);
        }
    }
}
