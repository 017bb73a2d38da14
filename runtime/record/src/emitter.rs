//! What gives events to a recording, and what it shares with the drain thread.

use std::cell::OnceCell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::Thread;

use bayplan_trace::{Event, EventKind, Level, PlanRecord, Window};

use crate::clock::Clock;
use crate::lane::{Inlet, NewLanes};
use crate::packed;
use crate::ring::Pushed;

/// Bytes that the lists and texts of the events in all lanes may hold together. A drain thread that cannot write, on a
/// disk that hangs, must not let them grow into the memory of the run.
const MAX_LARGE_BYTES: usize = 64 << 20;
/// Words that a small event takes in a ring; few take one more or less.
const WORDS_PER_EVENT: usize = 4;

/// Asked for the playhead while a run is open, at most 60 times a second, by the drain thread.
pub(crate) type Probe = Box<dyn FnMut() -> Option<Event> + Send>;

/// The words of all rings are the standard library's atomics.
pub(crate) type Words = AtomicU64;

/// What the session's threads and the drain thread share.
pub(crate) struct Shared {
    pub(crate) lanes: NewLanes<Words>,
    /// Words of each ring.
    ring: usize,
    /// Bytes behind the large events in all lanes.
    large_bytes: AtomicUsize,
    /// Events lost and not yet recorded as lost, by the index of their kind.
    pub(crate) lost: [AtomicU64; EventKind::ALL.len()],
    pub(crate) finished: AtomicBool,
    /// The drain thread waits for something to do, for longer than it does while something happens.
    pub(crate) idle: AtomicBool,
    pub(crate) drain_thread: OnceLock<Thread>,
    /// Plans recorded after the first, each before the first event that names it.
    pub(crate) new_plans: Mutex<Vec<PlanRecord>>,
    /// Number of plans recorded.
    pub(crate) plans: AtomicU32,
    pub(crate) probe: Mutex<Option<Probe>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// What the session said that it spent on tracing, in nanoseconds.
    pub(crate) session_cost: AtomicU64,
}

impl Shared {
    /// For rings of this many small events.
    pub(crate) fn new(ring: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            lanes: NewLanes::new(),
            ring: ring.saturating_mul(WORDS_PER_EVENT).clamp(packed::MAX_WORDS as usize, 1 << 28),
            large_bytes: AtomicUsize::new(0),
            lost: Default::default(),
            finished: AtomicBool::new(false),
            idle: AtomicBool::new(false),
            drain_thread: OnceLock::new(),
            new_plans: Mutex::new(Vec::new()),
            plans: AtomicU32::new(1),
            probe: Mutex::new(None),
            clock,
            session_cost: AtomicU64::new(0),
        }
    }

    /// Counts an event that is lost.
    #[cold]
    pub(crate) fn lose(&self, kind: EventKind) {
        self.lost[kind.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// Has the drain thread look at once.
    #[cold]
    pub(crate) fn wake(&self) {
        self.idle.store(false, Ordering::Relaxed);
        if let Some(thread) = self.drain_thread.get() {
            thread.unpark();
        }
    }

    /// Gives back the room of a large event that was taken out of its lane.
    pub(crate) fn taken(&self, event: &Event) {
        let bytes = heap_bytes(event);
        if bytes > 0 {
            self.large_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// Bytes an event owns beside its own.
fn heap_bytes(event: &Event) -> usize {
    match event {
        Event::OpTimes { times, .. } => times.capacity() * size_of::<(u64, u64)>(),
        Event::Windows { windows, .. } => windows.capacity() * size_of::<Window>(),
        Event::DeviceAllocated { purpose: text, .. }
        | Event::Message { text, .. }
        | Event::PoolReady { name: text, .. } => text.capacity(),
        _ => 0,
    }
}

/// Gives events to a recording, from one thread at a time.
///
/// A clone is another thread's: it has a way of its own to the recording, made with the first event it emits. The recording
/// holds the events of several threads in the order of their times.
pub struct Emitter {
    shared: Option<Arc<Shared>>,
    level: Level,
    inlet: OnceCell<Inlet<Words>>,
}

impl Emitter {
    /// Records nothing.
    pub(crate) fn off() -> Self {
        Self { shared: None, level: Level::Off, inlet: OnceCell::new() }
    }

    /// Records into a recording.
    pub(crate) fn new(shared: Arc<Shared>, level: Level) -> Self {
        Self { shared: Some(shared), level, inlet: OnceCell::new() }
    }

    /// What it shares with the drain thread; none when nothing is recorded.
    pub(crate) fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref()
    }

    /// Records an event. Never waits: if the ring is full, the event is lost and counted.
    #[inline]
    pub fn emit(&self, event: Event) {
        if let Some(shared) = &self.shared {
            self.push(shared, event);
        }
    }

    /// Records what `event` makes of the time. Nothing is made and no clock read when nothing is recorded.
    #[inline]
    pub fn emit_now(&self, event: impl FnOnce(u64) -> Event) {
        if let Some(shared) = &self.shared {
            self.push(shared, event(shared.clock.now()));
        }
    }

    /// A call of its own: where nothing is recorded, emitting is a branch around it.
    #[inline(never)]
    fn push(&self, shared: &Shared, event: Event) {
        let inlet = self.inlet.get_or_init(|| shared.lanes.open(shared.ring));
        let pushed = match inlet.push(&event) {
            Some(Pushed::No) => {
                shared.lose(event.kind());
                Pushed::No
            }
            Some(pushed) => pushed,
            None => push_large(shared, inlet, event),
        };
        if pushed != Pushed::Yes || shared.idle.load(Ordering::Relaxed) {
            shared.wake();
        }
    }

    /// Makes its way to the recording now, instead of with the first event.
    pub(crate) fn prepare(&self) {
        if let Some(shared) = &self.shared {
            self.inlet.get_or_init(|| shared.lanes.open(shared.ring));
        }
    }

    /// Nanoseconds since the session began; 0 when nothing is recorded.
    #[inline]
    pub fn now(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.clock.now())
    }

    /// How much is recorded.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Whether events of this level are recorded.
    #[inline]
    pub fn records(&self, level: Level) -> bool {
        self.level >= level && level != Level::Off
    }
}

impl Clone for Emitter {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), level: self.level, inlet: OnceCell::new() }
    }
}

/// Pushes what owns a list or a text.
#[cold]
fn push_large(shared: &Shared, inlet: &Inlet<Words>, event: Event) -> Pushed {
    let (kind, bytes) = (event.kind(), heap_bytes(&event));
    let mut pushed = Pushed::No;
    let waiting = shared.large_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
    if waiting <= MAX_LARGE_BYTES {
        pushed = inlet.push_large(event);
    }
    if pushed == Pushed::No {
        shared.large_bytes.fetch_sub(bytes, Ordering::Relaxed);
        shared.lose(kind);
    } else if waiting > MAX_LARGE_BYTES / 2 {
        pushed = Pushed::Filling;
    }
    pushed
}
