//! The past of a recording on disk: looks moments up, in a thread of its own so that drawing never waits.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use bayplan_record::{Chapter, History, Part, RecordError, Source};
use bayplan_trace::{EventRef, Nanos, Record, Timeline};

use crate::error::TuiError;
use crate::events::Message;
use crate::model::State;
use crate::model::index::{ArenaKey, Indexes};
use crate::model::moment::{Folding, Stop};
use crate::model::past::Moment;

/// How often a moment is looked up again when its segment was removed meanwhile.
const TRIES: usize = 4;

/// Looks moments of a recording up.
pub(crate) struct Seeker {
    history: History,
    /// When most lived, and in how much of the recording that was found: up to which time.
    peak: Option<(Nanos, Nanos)>,
    /// Runs that had begun when a chapter did, as far as that was asked.
    runs: Vec<(Chapter, u64)>,
}

impl Seeker {
    /// Looks at a recording on disk.
    ///
    /// # Errors
    /// It is not there or cannot be read; standard input keeps nothing.
    pub(crate) fn open(source: Source) -> Result<Self, RecordError> {
        Ok(Self { history: History::open(source)?, peak: None, runs: Vec::new() })
    }

    /// The state at a moment. What it has in common with `live`, a state of the same session, is shared with it; the map of
    /// the arena that is `wanted` is made.
    ///
    /// # Errors
    /// The recording cannot be read any more.
    pub(crate) fn seek(
        &mut self,
        stop: Stop,
        live: &State,
        wanted: Option<ArenaKey>,
    ) -> Result<Moment, RecordError> {
        for _ in 1..TRIES {
            match self.try_seek(stop, live, wanted) {
                // Its segment went between looking and reading.
                Err(error) if is_gone(&error) => {}
                other => return other,
            }
        }
        self.try_seek(stop, live, wanted)
    }

    fn try_seek(
        &mut self,
        stop: Stop,
        live: &State,
        wanted: Option<ArenaKey>,
    ) -> Result<Moment, RecordError> {
        self.history.refresh()?;
        let first = self.history.chapters().first().map_or(0, |first| first.begins);
        let stop = if stop == Stop::Peak { Stop::At(self.peak(live)?) } else { stop };
        let mut chapter = match stop {
            Stop::At(t) | Stop::After(t) => self.history.chapter_at(t),
            Stop::Before(t) => self.history.chapter_at(t.saturating_sub(1)),
            Stop::Run(run) => self.chapter_of_run(run)?,
            Stop::Peak | Stop::End => self.history.chapters().len().saturating_sub(1),
        };
        let folding = loop {
            let folding = self.fold(chapter, stop)?;
            // A chapter whose keyframe is damaged or not there yet says not all that holds: the one before does.
            if folding.is_whole || chapter == 0 {
                break folding;
            }
            chapter -= 1;
        };
        let is_found = folding.is_found();
        self.is_the_same(&live.fold.timeline, &folding.fold.timeline)?;
        let mut state = State { fold: folding.fold, ..State::default() };
        let timeline = &mut state.fold.timeline;
        for (own, live) in timeline.plans.iter_mut().zip(&live.fold.timeline.plans) {
            own.share_record(live);
        }
        timeline.alarm_counts();
        state.indexes = live.indexes.of_same_plans(&live.fold.timeline, timeline);
        state.indexes.update(timeline, &wanted.into_iter().collect::<Vec<_>>(), &|_| {});
        let t = match stop {
            Stop::At(t) => t.clamp(first, live.fold.timeline.now.max(first)),
            _ => timeline.now,
        };
        Ok(Moment { state, t, first, is_cut: self.history.is_cut(), is_found })
    }

    /// When most lived of all that is kept of the session, first: in the arenas of the plan that runs and in pools, and where
    /// that is the same, in blocks of device memory. What lives in a run of which no op was seen is not known.
    fn peak(&mut self, live: &State) -> Result<Nanos, RecordError> {
        let end = live.fold.timeline.now;
        if let Some((t, _)) = self.peak.filter(|(_, up_to)| *up_to == end) {
            return Ok(t);
        }
        let mut most = Most { indexes: &live.indexes, timeline: Timeline::new(), found: None };
        self.history.read(0, |part| {
            match part {
                Part::Event(event) => most.event(event),
                Part::Record(record) => most.timeline.apply(record),
                Part::Chunks(_) => {}
            }
            true
        })?;
        most.note();
        let t = most.found.map_or(0, |(_, t)| t);
        self.peak = Some((t, end));
        Ok(t)
    }

    /// Whether what was found is of the session that is shown: files go, and others take their place.
    fn is_the_same(&self, live: &Timeline, found: &Timeline) -> Result<(), RecordError> {
        let path = || self.history.path().to_owned();
        match (&live.session, &found.session) {
            (Some(_), None) => Err(RecordError::Gone { path: path() }),
            (Some(live), Some(found)) if live.id != found.id => Err(RecordError::Replaced { path: path() }),
            _ => Ok(()),
        }
    }

    fn fold(&self, chapter: usize, stop: Stop) -> Result<Folding, RecordError> {
        let has_keyframe = self.history.chapters().get(chapter).is_some_and(|chapter| chapter.has_keyframe);
        let mut folding = Folding::new(stop, has_keyframe);
        self.history.read(chapter, |part| match part {
            Part::Event(event) => folding.event(event),
            Part::Record(record) => folding.record(record),
            Part::Chunks(_) => true,
        })?;
        Ok(folding)
    }

    /// The last chapter that begins before a run does; the first where none does.
    fn chapter_of_run(&mut self, run: u64) -> Result<usize, RecordError> {
        let (mut low, mut high) = (0, self.history.chapters().len());
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if self.runs_before(middle)? < run {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Runs that had begun when a chapter did. Of one that does not say so, those of the one before.
    fn runs_before(&mut self, chapter: usize) -> Result<u64, RecordError> {
        let Some(about) = self.history.chapters().get(chapter).cloned() else { return Ok(0) };
        if let Some((_, runs)) = self.runs.iter().find(|(known, _)| *known == about) {
            return Ok(*runs);
        }
        let mut found = (!about.has_keyframe).then_some(0);
        self.history.read(chapter, |part| {
            if let Part::Record(Record::Keyframe(keyframe)) = &part {
                found = Some(keyframe.runs_started);
            }
            found.is_none() && !matches!(part, Part::Event(_))
        })?;
        let runs = match (found, chapter.checked_sub(1)) {
            (Some(runs), _) => runs,
            (None, Some(before)) => self.runs_before(before)?,
            (None, None) => 0,
        };
        self.runs.retain(|(known, _)| self.history.chapters().contains(known));
        self.runs.push((about, runs));
        Ok(runs)
    }
}

/// Looks for the moment at which most lives.
struct Most<'a> {
    /// What is known of the plans.
    indexes: &'a Indexes,
    timeline: Timeline,
    /// Most that lived, and when first.
    found: Option<((u64, u64), Nanos)>,
}

impl Most<'_> {
    fn event(&mut self, event: EventRef<'_>) {
        // What happens at one time is one state.
        if event.time() > self.timeline.now {
            self.note();
        }
        self.timeline.apply_event(event);
    }

    /// Notes what lives now.
    fn note(&mut self) {
        let Some(level) = self.level() else { return };
        if self.found.is_none_or(|(most, _)| level > most) {
            self.found = Some((level, self.timeline.now));
        }
    }

    /// Bytes that live, and bytes in blocks.
    fn level(&self) -> Option<(u64, u64)> {
        let plan = self.timeline.current_plan().map(|(number, _)| number);
        let in_arenas = match plan.and_then(|plan| self.indexes.plan(plan)).zip(plan) {
            Some((index, plan)) => {
                let playhead = self.timeline.progress(plan)?;
                let live = index.arenas.iter().map(|arena| arena.metrics.live_at(playhead));
                live.fold(0, u64::saturating_add)
            }
            None => 0,
        };
        let in_pools = self.timeline.pools.values().map(|pool| pool.live_bytes);
        Some((in_pools.fold(in_arenas, u64::saturating_add), self.timeline.device_bytes()))
    }
}

fn is_gone(error: &RecordError) -> bool {
    matches!(error, RecordError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}

/// Asks for moments and takes the answers; the latest question counts.
pub(crate) struct Past {
    source: Source,
    tell: Sender<Message>,
    desk: Arc<Desk>,
    has_thread: bool,
}

#[derive(Default)]
struct Desk {
    mailbox: Mutex<Mailbox>,
    wake: Condvar,
}

#[derive(Default)]
struct Mailbox {
    question: Option<Box<Question>>,
    /// A question was taken and is not answered yet.
    is_busy: bool,
    answer: Option<Answer>,
    stop: bool,
}

/// What is asked, and the state that it is asked from.
pub(crate) struct Question {
    pub(crate) stop: Stop,
    pub(crate) live: State,
    pub(crate) wanted: Option<ArenaKey>,
}

/// What was asked, and the moment or why there is none.
pub(crate) type Answer = (Stop, Result<Box<Moment>, String>);

impl Desk {
    fn open(&self) -> MutexGuard<'_, Mailbox> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Past {
    pub(crate) fn new(source: Source, tell: Sender<Message>) -> Self {
        Self { source, tell, desk: Arc::default(), has_thread: false }
    }

    /// Asks for a moment; what was asked before and is not answered is forgotten.
    ///
    /// # Errors
    /// The recording keeps no past, or no thread can be started.
    pub(crate) fn ask(&mut self, question: Question) -> Result<(), TuiError> {
        if self.source.is_standard_input() {
            return Err(RecordError::NotKept.into());
        }
        self.desk.open().question = Some(Box::new(question));
        self.desk.wake.notify_all();
        if !self.has_thread {
            let (desk, source, tell) = (Arc::clone(&self.desk), self.source.clone(), self.tell.clone());
            let work = move || answer(&desk, &source, &tell);
            thread::Builder::new().name("past".to_owned()).spawn(work).map_err(TuiError::Thread)?;
            self.has_thread = true;
        }
        Ok(())
    }

    /// The answer, if there is one.
    pub(crate) fn take(&self) -> Option<Answer> {
        self.desk.open().answer.take()
    }

    /// Whether an answer is to come.
    pub(crate) fn is_busy(&self) -> bool {
        let mailbox = self.desk.open();
        mailbox.is_busy || mailbox.question.is_some() || mailbox.answer.is_some()
    }
}

impl Drop for Past {
    fn drop(&mut self) {
        self.desk.open().stop = true;
        self.desk.wake.notify_all();
    }
}

/// Answers questions until nobody asks any more.
fn answer(desk: &Desk, source: &Source, tell: &Sender<Message>) {
    let mut seeker: Option<Seeker> = None;
    loop {
        let waited = desk.wake.wait_while(desk.open(), |mailbox| mailbox.question.is_none() && !mailbox.stop);
        let mut mailbox = waited.unwrap_or_else(PoisonError::into_inner);
        let (Some(question), false) = (mailbox.question.take(), mailbox.stop) else { return };
        mailbox.is_busy = true;
        drop(mailbox);
        let opened = match seeker.take() {
            Some(seeker) => Ok(seeker),
            None => Seeker::open(source.clone()),
        };
        let found = opened.and_then(|opened| {
            seeker.insert(opened).seek(question.stop, &question.live, question.wanted).map(Box::new)
        });
        let mut mailbox = desk.open();
        mailbox.is_busy = false;
        // What was asked meanwhile comes next; until then this is news all the same.
        mailbox.answer = Some((question.stop, found.map_err(|error| error.to_string())));
        drop(mailbox);
        if tell.send(Message::Changed).is_err() {
            return;
        }
    }
}
