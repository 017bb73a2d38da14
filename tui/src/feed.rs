//! From a recording to a model: reads what has come, in portions, so that drawing never waits long.

use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use bayplan_record::{Follower, Part, RecordError, RunState, Source, Start};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::events::Message;
use crate::model::{Life, Model};

/// Longest time spent reading before the picture is drawn again.
const PORTION: Duration = Duration::from_millis(20);
/// A live recording larger than this is read from its last keyframe on, which says what holds: reading all of it
/// would keep the viewer behind for seconds.
const WHOLE: u64 = 4 << 20;

/// A recording that is being read.
pub(crate) struct Feed {
    follower: Follower,
    /// Tells when the recording grows; polling goes on beside it, since not every file system tells.
    _watcher: Option<RecommendedWatcher>,
}

impl Feed {
    /// Opens a recording.
    ///
    /// # Errors
    /// It is not there or cannot be opened.
    pub(crate) fn open(source: Source, tell: Option<&Sender<Message>>) -> Result<Self, RecordError> {
        let start =
            if source.is_live() && bytes_of(&source.path) > WHOLE { Start::Latest } else { Start::Beginning };
        let watcher = tell.and_then(|tell| watch(&source.path, tell));
        let follower = Follower::open(source, start)?;
        if let Some(tell) = tell.cloned() {
            follower.tell_of_arrivals(move || drop(tell.send(Message::Changed)));
        }
        Ok(Self { follower, _watcher: watcher })
    }

    /// Reads for a while; returns whether anything changed. What was not read yet is told by the model's `caught_up`.
    pub(crate) fn pump(&mut self, model: &mut Model) -> bool {
        let begun = Instant::now();
        let before = (model.life, model.caught_up, model.failure.is_some(), model.damages);
        let mut records = 0;
        while model.failure.is_none() {
            match self.follower.poll_parts(|part| match part {
                Part::Event(event) => model.timeline.apply_event(event),
                Part::Record(record) => model.apply(record),
                Part::Chunks(_) => {}
            }) {
                Ok(progress) => {
                    records += progress.records;
                    model.caught_up = progress.caught_up;
                    model.life = match progress.state {
                        RunState::Live => Life::Live,
                        RunState::Ended => Life::Ended,
                        RunState::Lost => Life::Killed,
                    };
                }
                Err(error) => {
                    (model.failure, model.caught_up) = (Some(error.to_string()), true);
                }
            }
            if model.caught_up || begun.elapsed() >= PORTION {
                break;
            }
        }
        model.damages = self.follower.damage_count();
        let changed =
            records > 0 || before != (model.life, model.caught_up, model.failure.is_some(), model.damages);
        if changed {
            model.settle();
        }
        changed
    }

    /// Reads all there is now; of standard input, all until its end.
    pub(crate) fn read_all(&mut self, model: &mut Model) {
        loop {
            self.pump(model);
            if model.caught_up && (model.failure.is_some() || !self.follower.wait()) {
                return;
            }
        }
    }
}

/// Tells when something changes at a path: a folder, or a file by the folder it is in.
pub(crate) fn watch(path: &Path, tell: &Sender<Message>) -> Option<RecommendedWatcher> {
    let tell = tell.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Being read is no change; the viewer itself reads.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = tell.send(Message::Changed);
        }
    })
    .ok()?;
    watcher.watch(path, RecursiveMode::NonRecursive).ok()?;
    Some(watcher)
}

/// The size of a recording on disk; 0 where it cannot be told.
fn bytes_of(path: &Path) -> u64 {
    let size = |path: &Path| path.metadata().map(|about| about.len()).unwrap_or(0);
    if !path.is_dir() {
        return size(path);
    }
    let entries = path.read_dir().into_iter().flatten().flatten();
    entries.map(|entry| size(&entry.path())).fold(0, u64::saturating_add)
}
