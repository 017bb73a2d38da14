//! From a recording to a model: a thread of its own reads, folds and makes what pictures need beforehand; the one that draws
//! takes the latest whenever it is ready for it.
//!
//! ```text
//!  files, pipe ─► Worker: Follower ─► Fold, Indexes ──copy──► mailbox (one place) ─► Feed ─► Model
//!                    ▲                                            │
//!                    └── a file has changed · the place is free · a map is wanted · stop ┘
//! ```
//! What is handed over is a state, not a list of events: whoever draws slowly skips states, and nothing piles up.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use bayplan_record::{Follower, Source, Start};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::error::TuiError;
use crate::events::Message;
use crate::model::index::ArenaKey;
use crate::model::{Model, News, Stage};
use crate::worker::Worker;

/// A live recording larger than this is read from its last keyframe on, which says what holds: reading all of it
/// would keep the viewer behind for seconds.
const WHOLE: u64 = 4 << 20;

/// A recording that is being read.
pub(crate) struct Feed {
    desk: Arc<Desk>,
    /// Present where no thread was started: who asks reads.
    worker: Option<Worker>,
    /// Tells when the recording grows; polling goes on beside it, since not every file system tells.
    _watcher: Option<RecommendedWatcher>,
}

/// What both threads put things on.
#[derive(Default)]
pub(crate) struct Desk {
    box_: Mutex<Mailbox>,
    wake: Condvar,
    /// How far reading is.
    pub(crate) progress: Progress,
}

/// One place for each thing that is said: the latest counts.
#[derive(Default)]
pub(crate) struct Mailbox {
    /// What was read, until it is taken.
    pub(crate) news: Option<Box<News>>,
    /// The worker has something to do: the recording has grown, what it put here was taken, something is wanted.
    pub(crate) stirred: bool,
    /// The arena whose map is wanted.
    pub(crate) wanted: Option<ArenaKey>,
    /// Nobody wants to know any more.
    pub(crate) stop: bool,
}

/// How far reading is, told while it goes on.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Bytes read.
    pub(crate) read: AtomicU64,
    /// Bytes there are; 0 where that is not known.
    pub(crate) there: AtomicU64,
    /// Tensors that are being indexed; 0 while none are.
    pub(crate) tensors: AtomicU64,
}

impl Progress {
    /// What reading is busy with.
    pub(crate) fn stage(&self) -> Stage {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        match (load(&self.tensors), load(&self.read), load(&self.there)) {
            (0, _, 0) => Stage::Reading(None),
            // All that is there is 100 only once it is on the screen.
            (0, read, there) => {
                Stage::Reading(Some((u128::from(read) * 100 / u128::from(there)).min(99) as u8))
            }
            (tensors, ..) => Stage::Indexing(tensors),
        }
    }
}

impl Desk {
    /// The mailbox; what a thread that broke down left in it is whole.
    pub(crate) fn open(&self) -> MutexGuard<'_, Mailbox> {
        self.box_.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the worker something to do.
    pub(crate) fn stir(&self, say: impl FnOnce(&mut Mailbox)) {
        let mut mailbox = self.open();
        say(&mut mailbox);
        mailbox.stirred = true;
        drop(mailbox);
        self.wake.notify_all();
    }

    /// Waits until there is something to do, at most for a time.
    pub(crate) fn wait(&self, time: std::time::Duration) -> MutexGuard<'_, Mailbox> {
        let waited =
            self.wake.wait_timeout_while(self.open(), time, |mailbox| !mailbox.stirred && !mailbox.stop);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Feed {
    /// Opens a recording. With someone to `tell`, a thread reads it; without, whoever asks does.
    ///
    /// # Errors
    /// It is not there or cannot be opened, or no thread can be started.
    pub(crate) fn open(source: Source, tell: Option<&Sender<Message>>) -> Result<Self, TuiError> {
        let there = if source.is_standard_input() { 0 } else { bytes_of(&source.path) };
        // Reading the newest is for who watches; one picture is of all there is.
        let start = if source.is_live() && there > WHOLE { Start::Latest } else { Start::Beginning };
        let desk = Arc::new(Desk::default());
        desk.progress.there.store(there, Ordering::Relaxed);
        let watcher = tell.and_then(|_| {
            let desk = Arc::clone(&desk);
            watch_for(&source.path, move || desk.stir(|_| {}))
        });
        let follower = Follower::open(source, start)?;
        if tell.is_some() {
            let desk = Arc::clone(&desk);
            follower.tell_of_arrivals(move || desk.stir(|_| {}));
        }
        let worker = Worker::new(follower, Arc::clone(&desk));
        let Some(tell) = tell.cloned() else {
            return Ok(Self { desk, worker: Some(worker), _watcher: watcher });
        };
        let work = move || worker.run(&tell);
        thread::Builder::new().name("reading".to_owned()).spawn(work).map_err(TuiError::Thread)?;
        Ok(Self { desk, worker: None, _watcher: watcher })
    }

    /// Takes what has been read; returns whether anything changed.
    pub(crate) fn take(&mut self, model: &mut Model) -> bool {
        let news = self.desk.open().news.take();
        let stage = if model.stage == Some(Stage::Seeking) {
            model.stage
        } else {
            self.stage(model, news.as_deref())
        };
        let changed = std::mem::replace(&mut model.stage, stage) != stage;
        let Some(news) = news else { return changed };
        // The place is free again.
        self.desk.stir(|_| {});
        model.take(*news);
        true
    }

    fn stage(&self, model: &Model, news: Option<&News>) -> Option<Stage> {
        let reads = !news.map_or(model.caught_up, |news| news.caught_up);
        let stage = self.desk.progress.stage();
        (reads || matches!(stage, Stage::Indexing(_))).then_some(stage)
    }

    /// Whether a thread reads.
    pub(crate) fn has_thread(&self) -> bool {
        self.worker.is_none()
    }

    /// Bytes that were read so far.
    #[cfg(test)]
    pub(crate) fn bytes_read(&self) -> u64 {
        self.desk.progress.read.load(Ordering::Relaxed)
    }

    /// Asks for the map of an arena.
    pub(crate) fn want(&self, key: ArenaKey) {
        if self.desk.open().wanted != Some(key) {
            self.desk.stir(|mailbox| mailbox.wanted = Some(key));
        }
    }

    /// Reads all there is now; of standard input, all until its end. Where a thread reads, that is left to it.
    pub(crate) fn read_all(&mut self, model: &mut Model) {
        if let Some(worker) = &mut self.worker {
            model.take(worker.read_all());
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.desk.stir(|mailbox| mailbox.stop = true);
    }
}

/// Tells when something changes at a path: a folder, or a file by the folder it is in.
pub(crate) fn watch(path: &Path, tell: &Sender<Message>) -> Option<RecommendedWatcher> {
    let tell = tell.clone();
    watch_for(path, move || drop(tell.send(Message::Changed)))
}

fn watch_for(path: &Path, tell: impl Fn() + Send + 'static) -> Option<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Being read is no change; the viewer itself reads.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            tell();
        }
    })
    .ok()?;
    watcher.watch(path, RecursiveMode::NonRecursive).ok()?;
    Some(watcher)
}

/// The size of a recording on disk; 0 where it cannot be told.
pub(crate) fn bytes_of(path: &Path) -> u64 {
    let size = |path: &Path| path.metadata().map(|about| about.len()).unwrap_or(0);
    if !path.is_dir() {
        return size(path);
    }
    let entries = path.read_dir().into_iter().flatten().flatten();
    entries.map(|entry| size(&entry.path())).fold(0, u64::saturating_add)
}
