//! The thread that reads a recording: folds what comes, makes what pictures need beforehand, and puts a copy on the desk
//! whenever the one before was taken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use bayplan_record::{Follower, Part, RunState, Source, Start};

use crate::events::{Alarm, Message};
use crate::feed::{Desk, bytes_of};
use crate::model::{FEW, Life, News, State};

/// Time between two looks at the files, for file systems that do not tell of changes.
const POLL: Duration = Duration::from_millis(500);
/// Shortest time between two copies while there is more to read at once.
const PAUSE: Duration = Duration::from_millis(33);
/// Reading costs this many times what copying does, at least.
const SHARE: u32 = 8;

/// How long a file stays as it is before nobody writes it any more.
const CALM: Duration = Duration::from_secs(5);

/// A file that stopped without an end and then went on: a copy that is under way. Nobody says when it is whole.
struct Growing {
    goes_on: Arc<AtomicBool>,
    /// Bytes that were there when it was last seen to grow, and when that was.
    last: (u64, Instant),
}

/// What reads.
pub(crate) struct Worker {
    follower: Follower,
    desk: Arc<Desk>,
    state: State,
    about: News,
    /// Windows of large plans when it was last looked at.
    seen: BTreeMap<usize, usize>,
    /// Whether there is anything that was not put on the desk.
    fresh: bool,
    /// When the last copy was made, and how long that took.
    copied: Option<(Instant, Duration)>,
    growing: Option<Growing>,
    /// What was put on the desk is read once more: it stays until there is as much again.
    again: bool,
}

impl Worker {
    pub(crate) fn new(follower: Follower, desk: Arc<Desk>) -> Self {
        let (state, about) = (State::default(), News::default());
        let (seen, copied, growing) = (BTreeMap::new(), None, None);
        Self { follower, desk, state, about, seen, fresh: false, copied, growing, again: false }
    }

    /// Reads until nobody wants to know any more.
    pub(crate) fn run(mut self, tell: &Sender<Message>) {
        // Nobody would read any more.
        let _alarm = Alarm { tell, says: || Message::ReaderLost };
        loop {
            let wait = if self.about.caught_up { POLL } else { Duration::ZERO };
            let mut mailbox = self.desk.wait(wait);
            if mailbox.stop {
                return;
            }
            mailbox.stirred = false;
            let is_free = mailbox.news.is_none();
            let missing = mailbox.wanted.filter(|key| self.state.indexes.map(*key).is_none());
            drop(mailbox);
            self.fresh |= missing.is_some_and(|key| self.state.fold.timeline.plans.len() > key.0 as usize);
            self.see_to_growth();
            self.read_on();
            self.again &= !self.about.caught_up;
            if self.fresh && is_free && !self.again && self.is_time() {
                self.put(tell);
            }
        }
    }

    /// Reads a file on that stopped without an end, if it grows all the same, until it has not grown for a while.
    fn see_to_growth(&mut self) {
        let passed = self.follower.passed();
        if let (Some(growing), Life::Live) = (&mut self.growing, self.about.life) {
            if passed > growing.last.0 {
                growing.last = (passed, Instant::now());
            } else if growing.last.1.elapsed() > CALM {
                growing.goes_on.store(false, Ordering::Release);
            }
            return;
        }
        let source = self.follower.source();
        let is_file = !source.is_standard_input() && source.path.is_file();
        if self.about.life != Life::Killed || !is_file || bytes_of(&source.path) <= passed {
            return;
        }
        // What was read of a chunk that was cut is no use: it is read again from the beginning.
        let goes_on = Arc::new(AtomicBool::new(true));
        let source = Source::of_own(source.path.clone(), Arc::clone(&goes_on));
        if let Ok(follower) = Follower::open(source, Start::Beginning) {
            self.growing = Some(Growing { goes_on, last: (passed, Instant::now()) });
            (self.follower, self.state, self.again) = (follower, State::default(), true);
            (self.about.life, self.about.caught_up) = (Life::Live, false);
        }
    }

    /// Reads all there is now; of standard input, all until its end.
    pub(crate) fn read_all(&mut self) -> News {
        loop {
            self.read_on();
            if self.about.caught_up && (self.about.failure.is_some() || !self.follower.wait()) {
                return self.copy();
            }
        }
    }

    /// Reads one portion.
    fn read_on(&mut self) {
        if self.about.failure.is_some() {
            return;
        }
        let fold = &mut self.state.fold;
        let polled = self.follower.poll_parts(|part| match part {
            Part::Event(event) => fold.apply_event(event),
            Part::Record(record) => fold.apply(record),
            Part::Chunks(_) => {}
        });
        let before = (self.about.life, self.about.caught_up, self.about.damages);
        match polled {
            Ok(progress) => {
                self.fresh |= progress.records > 0;
                self.about.caught_up = progress.caught_up;
                self.about.life = match progress.state {
                    RunState::Live => Life::Live,
                    RunState::Ended => Life::Ended,
                    RunState::Lost => Life::Killed,
                };
            }
            Err(error) => {
                (self.about.failure, self.about.caught_up) = (Some(error.to_string()), true);
                self.fresh = true;
            }
        }
        self.about.damages = self.follower.damage_count();
        self.fresh |= before != (self.about.life, self.about.caught_up, self.about.damages);
        self.tell_progress();
    }

    fn tell_progress(&self) {
        let (progress, passed) = (&self.desk.progress, self.follower.passed());
        progress.read.store(passed, Ordering::Relaxed);
        let there = progress.there.load(Ordering::Relaxed);
        if there > 0 && passed > there {
            progress.there.store(bytes_of(&self.follower.source().path).max(passed), Ordering::Relaxed);
        }
    }

    /// Whether a copy is worth its time now.
    fn is_time(&mut self) -> bool {
        if self.about.caught_up {
            return true;
        }
        let pause = self.copied.is_none_or(|(at, took)| at.elapsed() >= PAUSE.max(took * SHARE));
        // While the windows of a large plan come, what is made of them would be made again and again.
        let large = self.state.fold.timeline.plans.iter().enumerate();
        let large = large.filter(|(_, plan)| plan.record.buffers.len() as u64 > FEW);
        let now: BTreeMap<usize, usize> = large.map(|(at, plan)| (at, plan.windows.len())).collect();
        let is_quiet = now == self.seen;
        self.seen = now;
        pause && is_quiet
    }

    fn put(&mut self, tell: &Sender<Message>) {
        let begun = Instant::now();
        let news = Box::new(self.copy());
        self.fresh = false;
        self.copied = Some((Instant::now(), begun.elapsed()));
        self.desk.open().news = Some(news);
        // Nobody left to tell: the next look at the desk says stop.
        let _ = tell.send(Message::Changed);
    }

    /// A copy of what holds now, with all that is made of it beforehand.
    fn copy(&mut self) -> News {
        let progress = &self.desk.progress;
        let tell = |tensors: u64| {
            if tensors > FEW {
                progress.tensors.store(tensors, Ordering::Relaxed);
            }
        };
        let timeline = &self.state.fold.timeline;
        // What is wrong is found here and not while a picture is drawn.
        if let Some((_, plan)) = timeline.current_plan() {
            tell(plan.record.buffers.len() as u64);
        }
        timeline.alarm_counts();
        let wanted: Vec<_> = self.desk.open().wanted.into_iter().collect();
        self.state.indexes.update(timeline, &wanted, &tell);
        progress.tensors.store(0, Ordering::Relaxed);
        News { state: self.state.clone(), ..self.about.clone() }
    }
}
