//! Where questions about plans are answered: in a thread of its own, so that the picture never waits for the planner.
//!
//! ```text
//!  watch ── asks ──► queue ──► planner ── answers ──► watch        a newer question comes first,
//!                      ▲                     │                      and sends away those that waited
//!                      └── a newer one ──────┴──► wakes the loop
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread;

use bayplan_trace::PlanRecord;

use crate::events::Message;
use crate::model::ghost::Ghost;
use crate::model::whatif::{Answer, Because, Brief, Edit, Subject, all_words};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Why the arena is not smaller, after edits.
    Because(Vec<Edit>),
    /// What the plan would be after edits; whether to lay it over the map.
    Plan(Vec<Edit>, bool),
}

/// A question about an arena of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Number of the plan, and of the arena.
    pub(crate) over: (u32, u32),
    /// The plan.
    pub(crate) record: Arc<PlanRecord>,
    pub(crate) question: Question,
}

/// What was found.
pub(crate) struct Reply {
    /// As the job had it.
    pub(crate) over: (u32, u32),
    pub(crate) found: Found,
}

/// An answer.
pub(crate) enum Found {
    /// Why the arena is not smaller, after edits.
    Because(Vec<Edit>, Result<Because, String>),
    /// The plan after edits, with its ghost if that was wanted and there is one.
    Plan(Vec<Edit>, Result<Brief, String>, Option<Box<Ghost>>),
}

/// Who answers.
pub(crate) enum Desk {
    /// A thread.
    Thread(Sender<(Vec<Job>, bool)>, Receiver<Reply>),
    /// Whoever asks, when it asks for the answers.
    Here(VecDeque<Job>, Planner),
}

impl Desk {
    /// A desk with a thread that wakes the loop; without one that can be woken, a desk that answers on the spot.
    pub(crate) fn new(tell: Option<&Sender<Message>>) -> Self {
        let here = || Self::Here(VecDeque::new(), Planner::default());
        let Some(tell) = tell.cloned() else { return here() };
        let (ask, jobs) = mpsc::channel();
        let (answer, replies) = mpsc::channel();
        let work =
            move || serve(&jobs, |reply| answer.send(reply).is_ok() && tell.send(Message::Changed).is_ok());
        match thread::Builder::new().name("planner".to_owned()).spawn(work) {
            Ok(_) => Self::Thread(ask, replies),
            Err(_) => here(),
        }
    }

    /// Asks. What still waited is sent away where `at_once` is wanted; the question that is being answered is finished.
    pub(crate) fn ask(&mut self, jobs: Vec<Job>, at_once: bool) {
        match self {
            Self::Thread(ask, _) => drop(ask.send((jobs, at_once))),
            Self::Here(queue, _) => take(queue, jobs, at_once),
        }
    }

    /// An answer, if one has come.
    pub(crate) fn hear(&mut self) -> Option<Reply> {
        match self {
            Self::Thread(_, replies) => replies.try_recv().ok(),
            Self::Here(queue, planner) => queue.pop_front().map(|job| planner.answer(job)),
        }
    }
}

fn take(queue: &mut VecDeque<Job>, jobs: Vec<Job>, at_once: bool) {
    if at_once {
        queue.clear();
    }
    queue.extend(jobs);
}

/// Answers until nobody asks or listens any more.
fn serve(jobs: &Receiver<(Vec<Job>, bool)>, mut tell: impl FnMut(Reply) -> bool) {
    let (mut queue, mut planner) = (VecDeque::new(), Planner::default());
    loop {
        if queue.is_empty() {
            let Ok((jobs, _)) = jobs.recv() else { return };
            queue.extend(jobs);
        }
        loop {
            match jobs.try_recv() {
                Ok((jobs, at_once)) => take(&mut queue, jobs, at_once),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        let Some(job) = queue.pop_front() else { continue };
        if !tell(planner.answer(job)) {
            return;
        }
    }
}

/// Who plans; knows the arena that was asked about last.
#[derive(Default)]
pub(crate) struct Planner {
    last: Option<((u32, u32), Subject)>,
}

impl Planner {
    fn answer(&mut self, job: Job) -> Reply {
        let Job { over, record, question } = job;
        let known = |(at, subject): &&(_, Subject)| *at == over && Arc::ptr_eq(subject.record(), &record);
        if self.last.as_ref().filter(known).is_none() {
            self.last = Some((over, Subject::new(Arc::clone(&record), over.1)));
        }
        let Some((_, subject)) = &self.last else {
            let found = Found::Because(Vec::new(), Err("nothing is known of this arena".to_owned()));
            return Reply { over, found };
        };
        let found = match question {
            Question::Because(edits) => {
                let because = Because::of(subject, &edits);
                Found::Because(edits, because)
            }
            Question::Plan(edits, wants_ghost) => {
                let answer = Answer::of(subject, &edits);
                let title = || all_words(&edits, &record);
                let ghost = answer.as_ref().ok().filter(|_| wants_ghost);
                let ghost = ghost.and_then(|answer| answer.ghost(subject, over, title())).map(Box::new);
                let brief = answer.map(|answer| Brief::from(&answer));
                Found::Plan(edits, brief, ghost)
            }
        };
        Reply { over, found }
    }
}
