//! The handle a session records through.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use bayplan_trace::{Event, EventKind, Level, PlanRecord, Roofs, SessionInfo, Writer};

use crate::clock::{Clock, MonotonicClock};
use crate::descriptor::Descriptor;
use crate::discovery::prune_recordings;
use crate::disk::DiskError;
use crate::drain::Drain;
use crate::emitter::{Emitter, Shared};
use crate::error::RecordError;
use crate::places::Places;
use crate::process;
use crate::segments::{Retention, Segments};

/// Small events that fit in the ring of a thread: those of some 10 ms, where ten million come in a second.
const DEFAULT_RING: usize = 1 << 17;

/// Plans that may wait to be written. The drain thread takes all of them 62 times a second.
const MAX_WAITING_PLANS: usize = 64;

/// Most characters of a name in a descriptor.
const MAX_NAME: usize = 1024;

/// Where a recording goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// A new folder of segments in the folder of runs, bounded by [`Retention::total_bytes`].
    #[default]
    Folder,
    /// One file, without a bound.
    File(PathBuf),
}

/// What to record, and where.
#[derive(Clone)]
pub struct RecordingOptions {
    /// Where it goes.
    pub destination: Destination,
    /// How much is recorded. At [`Level::Off`] nothing is made and nothing written.
    pub level: Level,
    /// Name of the model.
    pub model: String,
    /// Name of the device.
    pub device: String,
    /// Name and version of the driver.
    pub driver: String,
    /// Interface version of the device, such as `Vulkan 1.3.255`.
    pub api: String,
    /// What the device does at most, where that is known.
    pub roofs: Option<Roofs>,
    /// How much of the recording is kept.
    pub retention: Retention,
    /// Small events that fit in the ring between a thread and the drain thread; each takes some 32 bytes.
    pub ring: usize,
    /// The folders of recordings and live runs.
    pub places: Places,
    /// What the time is read from.
    pub clock: Arc<dyn Clock>,
}

impl RecordingOptions {
    /// Records to a new folder at [`Level::Run`], by the system's clock.
    pub fn new(places: Places) -> Self {
        Self {
            destination: Destination::Folder,
            level: Level::Run,
            model: String::new(),
            device: String::new(),
            driver: String::new(),
            api: String::new(),
            roofs: None,
            retention: Retention::default(),
            ring: DEFAULT_RING,
            places,
            clock: Arc::new(MonotonicClock::new()),
        }
    }
}

/// What became of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events written.
    pub written: u64,
    /// Events lost, because the ring was full or the disk refused them.
    pub lost: u64,
    /// Bytes written, the recording's head included.
    pub bytes: u64,
    /// What could not be written, if that happened.
    pub disk_error: Option<DiskError>,
}

/// A recording being made.
///
/// Dropping it ends the recording as [`Recorder::finish`] does, without telling what became of it.
pub struct Recorder {
    emitter: Emitter,
    running: Option<Running>,
}

struct Running {
    drain: JoinHandle<Summary>,
    id: String,
    path: PathBuf,
    descriptor: Option<PathBuf>,
    discovery_error: Option<RecordError>,
}

impl Recorder {
    /// Records nothing.
    pub fn off() -> Self {
        Self { emitter: Emitter::off(), running: None }
    }

    /// Begins a recording with the session's first plan, which events name by the number 0.
    ///
    /// A run that cannot be listed among the live ones is recorded all the same: [`Recorder::discovery_error`].
    ///
    /// # Errors
    /// The file or folder cannot be made or written.
    pub fn create(options: RecordingOptions, plan: &PlanRecord) -> Result<Self, RecordError> {
        if options.level == Level::Off {
            return Ok(Self::off());
        }
        let pid = std::process::id();
        let (id, path, mut segments) = make_segments(&options, pid)?;
        let session = SessionInfo {
            id: id.clone(),
            model: options.model.clone(),
            device: options.device.clone(),
            driver: options.driver.clone(),
            api: options.api.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            level: options.level,
            pid,
            start_unix_ns: options.clock.start_unix_ns(),
            origin: String::new(),
            roofs: options.roofs,
        };
        let mut writer = Writer::new(session);
        writer.plan(plan);
        let mut head = Vec::new();
        writer.take(&mut head);
        if let Err(error) = segments.append(&head) {
            segments.discard();
            return Err(RecordError::io("write", &path)(error));
        }
        segments.set_head_len(head.len());

        let (descriptor, discovery_error) = match list_as_live(&options, &id, &path) {
            Ok(path) => (Some(path), None),
            Err(error) => (None, Some(error)),
        };
        prune_recordings(&options.places, options.retention.keep_runs);

        let shared = Arc::new(Shared::new(options.ring, options.clock));
        let drain = Drain::new(Arc::clone(&shared), writer, segments);
        let spawned = thread::Builder::new().name("bayplan-record".to_owned()).spawn(move || drain.run());
        let drain = spawned.map_err(RecordError::io("start the thread that writes", &path))?;
        // The thread is the first to ask for this only after it has been set or while nothing waits.
        let _ = shared.drain_thread.set(drain.thread().clone());
        let emitter = Emitter::new(shared, options.level);
        emitter.prepare();
        Ok(Self { emitter, running: Some(Running { drain, id, path, descriptor, discovery_error }) })
    }

    /// Records an event. Never waits: if the ring is full, the event is lost and counted.
    #[inline]
    pub fn emit(&self, event: Event) {
        self.emitter.emit(event);
    }

    /// Records what `event` makes of the time. Nothing is made and no clock read when nothing is recorded.
    #[inline]
    pub fn emit_now(&self, event: impl FnOnce(u64) -> Event) {
        self.emitter.emit_now(event);
    }

    /// A handle for another thread.
    pub fn emitter(&self) -> Emitter {
        self.emitter.clone()
    }

    /// Nanoseconds since the session began; 0 when nothing is recorded.
    pub fn now(&self) -> u64 {
        self.emitter.now()
    }

    /// How much is recorded.
    pub fn level(&self) -> Level {
        self.emitter.level()
    }

    /// Whether events of this level are recorded.
    pub fn records(&self, level: Level) -> bool {
        self.emitter.records(level)
    }

    /// Adds time that the session spent on tracing otherwise than by emitting, in nanoseconds, to what tracing costs: for
    /// instance what timestamps cost the device.
    pub fn add_cost(&self, ns: u64) {
        if let Some(shared) = self.emitter.shared() {
            shared.session_cost.fetch_add(ns, Ordering::Relaxed);
        }
    }

    /// Records another plan of the session; returns the number by which later events name it. `None` where nothing is
    /// recorded, or where too many plans wait to be written: a session whose shapes change faster than a disk writes must
    /// not fill memory with their plans.
    pub fn plan(&self, record: &PlanRecord) -> Option<u32> {
        let shared = self.emitter.shared()?;
        let mut waiting = shared.new_plans.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MAX_WAITING_PLANS {
            return None;
        }
        waiting.push(record.clone());
        Some(shared.plans.fetch_add(1, Ordering::AcqRel))
    }

    /// Counts an event that the session could not record as lost.
    pub fn lost(&self, kind: EventKind) {
        if let Some(shared) = self.emitter.shared() {
            shared.lose(kind);
        }
    }

    /// Has the drain thread ask for the playhead while a run is open, at most 60 times a second.
    /// The function must not wait; it returns an [`Event::Completed`] when there is something new.
    pub fn set_probe(&self, probe: impl FnMut() -> Option<Event> + Send + 'static) {
        if let Some(shared) = self.emitter.shared() {
            *shared.probe.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(probe));
        }
    }

    /// Takes the playhead function away. When this returns, it is not running and will not be called again.
    pub fn clear_probe(&self) {
        if let Some(shared) = self.emitter.shared() {
            *shared.probe.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Name of the run; none when nothing is recorded.
    pub fn id(&self) -> Option<&str> {
        self.running.as_ref().map(|running| running.id.as_str())
    }

    /// The file or folder of the recording; none when nothing is recorded.
    pub fn path(&self) -> Option<&Path> {
        self.running.as_ref().map(|running| running.path.as_path())
    }

    /// Why the run is not listed among the live ones, if it is not.
    pub fn discovery_error(&self) -> Option<&RecordError> {
        self.running.as_ref()?.discovery_error.as_ref()
    }

    /// Writes what is left, ends the recording and takes the run off the list of live ones.
    pub fn finish(mut self) -> Summary {
        self.end()
    }

    fn end(&mut self) -> Summary {
        self.clear_probe();
        let (Some(running), Some(shared)) = (self.running.take(), self.emitter.shared()) else {
            return Summary::default();
        };
        shared.finished.store(true, Ordering::Release);
        shared.wake();
        let summary = running.drain.join().unwrap_or_else(|_| Summary {
            disk_error: Some(DiskError {
                path: running.path,
                error: "the thread that writes the recording died".into(),
                from_ns: None,
                until_ns: None,
                events: 0,
            }),
            ..Summary::default()
        });
        if let Some(descriptor) = running.descriptor {
            // It may be gone already; a reader takes one that stays for what it is, an ended run.
            let _ = std::fs::remove_file(descriptor);
        }
        summary
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}

/// Puts the run on the list of live ones; returns its descriptor's path.
fn list_as_live(options: &RecordingOptions, id: &str, path: &Path) -> Result<PathBuf, RecordError> {
    let pid = std::process::id();
    let descriptor = Descriptor {
        format: Descriptor::FORMAT,
        id: id.to_owned(),
        pid,
        process_start: process::start_ticks(pid),
        start_unix_ns: options.clock.start_unix_ns(),
        // Longer names are cut: a descriptor is small.
        model: options.model.chars().take(MAX_NAME).collect(),
        device: options.device.chars().take(MAX_NAME).collect(),
        recording: path.to_path_buf(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    options.places.make_live()?;
    descriptor.write(&options.places.live)
}

/// Makes the file or folder of a recording: the run's name, the path, and where to append.
fn make_segments(options: &RecordingOptions, pid: u32) -> Result<(String, PathBuf, Segments), RecordError> {
    let mut start = options.clock.start_unix_ns() / 1_000_000;
    if let Destination::File(path) = &options.destination {
        // Sessions of one process that began in the same millisecond need names of their own.
        while Descriptor::path(&options.places, &format!("{pid}-{start}")).exists() {
            start += 1;
        }
        let segments = Segments::in_file(path, options.retention)?;
        let path = std::fs::canonicalize(path).map_err(RecordError::io("find", path))?;
        return Ok((format!("{pid}-{start}"), path, segments));
    }
    options.places.make_runs()?;
    loop {
        let id = format!("{pid}-{start}");
        let folder = options.places.runs.join(&id);
        match std::fs::create_dir(&folder) {
            Ok(()) => {
                let segments = Segments::in_folder(&folder, options.retention);
                if segments.is_err() {
                    // Nothing can be in it.
                    let _ = std::fs::remove_dir(&folder);
                }
                return Ok((id, folder, segments?));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => start += 1,
            Err(error) => return Err(RecordError::io("create the folder", folder)(error)),
        }
    }
}
