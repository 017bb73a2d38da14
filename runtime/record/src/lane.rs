//! The way of events from one emitter to the drain thread, and how the ways of several are joined.
//!
//! ```text
//!  emitter ─► Inlet ─ ring of words, with the places of large events ─► Outlet ─┐
//!                 └── queue of large events ───────────────────────►    ▲       ├─► Merge ─► drain
//!  emitter ─► Inlet ─ …                                               Outlet ───┘
//! ```
//! Each way keeps its order. [`Merge`] joins them by time, and never takes an event before one that led to it: what a
//! thread emitted before it told another thread something comes before what that thread emitted then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bayplan_trace::{Event, Nanos};
use crossbeam_queue::ArrayQueue;

use crate::packed;
use crate::ring::{Pushed, RingReader, RingWriter, Word, ring};

/// Large events that may wait in one lane.
pub(crate) const MAX_LARGE: usize = 1 << 12;

/// What both ends share beside the ring.
struct Lane {
    large: ArrayQueue<Event>,
    closed: AtomicBool,
}

/// The emitter's end. Events still in it are taken out when it is gone.
pub(crate) struct Inlet<W: Word> {
    words: RingWriter<W>,
    lane: Arc<Lane>,
}

impl<W: Word> Inlet<W> {
    /// Pushes a small event; `None` for one that is large.
    #[inline]
    pub(crate) fn push(&self, event: &Event) -> Option<Pushed> {
        packed::push(&self.words, event)
    }

    /// Pushes a large event.
    pub(crate) fn push_large(&self, event: Event) -> Pushed {
        let t = event.time();
        // The place follows what it stands for, so that the other end never finds it empty.
        if !self.words.has_room(packed::PLACE_WORDS) || self.lane.large.push(event).is_err() {
            return Pushed::No;
        }
        let pushed = packed::push_place(&self.words, t);
        if self.lane.large.len() >= MAX_LARGE / 2 { Pushed::Filling } else { pushed }
    }
}

impl<W: Word> Drop for Inlet<W> {
    fn drop(&mut self) {
        self.lane.closed.store(true, Ordering::Release);
    }
}

/// The drain thread's end.
pub(crate) struct Outlet<W: Word> {
    words: RingReader<W>,
    lane: Arc<Lane>,
    /// The latest time of the events taken: times of one lane count as rising.
    latest: Nanos,
}

impl<W: Word> Outlet<W> {
    /// Time of the next event, of a lane that has one.
    #[inline]
    fn time(&self) -> Nanos {
        packed::time(&self.words).max(self.latest)
    }

    /// Takes the next event, of a lane that has one.
    #[inline]
    fn take(&mut self) -> Option<Event> {
        self.latest = self.time();
        packed::take(&mut self.words).or_else(|| self.lane.large.pop())
    }

    /// Whether nothing will come any more.
    fn is_done(&mut self) -> bool {
        // Whoever closes has pushed before.
        self.lane.closed.load(Ordering::Acquire) && !self.words.has_words()
    }
}

/// Lanes that were made and that the drain thread has not yet taken over.
pub(crate) struct NewLanes<W: Word> {
    made: AtomicUsize,
    waiting: Mutex<Vec<Outlet<W>>>,
}

impl<W: Word> NewLanes<W> {
    pub(crate) fn new() -> Self {
        Self { made: AtomicUsize::new(0), waiting: Mutex::new(Vec::new()) }
    }

    /// Makes a lane whose ring holds this many words.
    pub(crate) fn open(&self, words: usize) -> Inlet<W> {
        let (writer, reader) = ring(words);
        let lane = Arc::new(Lane { large: ArrayQueue::new(MAX_LARGE), closed: AtomicBool::new(false) });
        let outlet = Outlet { words: reader, lane: Arc::clone(&lane), latest: 0 };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(outlet);
        self.made.fetch_add(1, Ordering::Release);
        Inlet { words: writer, lane }
    }
}

/// Takes the events of all lanes, in the order of their times.
pub(crate) struct Merge<W: Word> {
    outlets: Vec<Outlet<W>>,
    taken_over: usize,
}

impl<W: Word> Merge<W> {
    pub(crate) fn new() -> Self {
        Self { outlets: Vec::new(), taken_over: 0 }
    }

    /// The next event, if one is there.
    #[inline]
    pub(crate) fn next(&mut self, new: &NewLanes<W>) -> Option<Event> {
        if let [only] = &mut self.outlets[..] {
            let found = only.words.has_words();
            // What led to the event just seen may lie in a lane that was made before it was emitted.
            if self.taken_over == new.made.load(Ordering::Acquire) {
                return if found { only.take() } else { None };
            }
        }
        self.next_of_many(new)
    }

    fn next_of_many(&mut self, new: &NewLanes<W>) -> Option<Event> {
        loop {
            self.take_over(new);
            let mut first: Option<(Nanos, bool, &mut Outlet<W>)> = None;
            for outlet in &mut self.outlets {
                let known = outlet.words.has_known_words();
                if known || outlet.words.has_words() {
                    let t = outlet.time();
                    if first.as_ref().is_none_or(|(least, ..)| t < *least) {
                        first = Some((t, known, outlet));
                    }
                }
            }
            let (_, known, outlet) = first?;
            // All lanes were looked at after an event that was known before: what led to it was found. What is seen
            // only now is known the next time around.
            if known {
                return outlet.take();
            }
        }
    }

    fn take_over(&mut self, new: &NewLanes<W>) {
        if self.taken_over != new.made.load(Ordering::Acquire) {
            let mut waiting = new.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            self.taken_over += waiting.len();
            self.outlets.append(&mut waiting);
        }
    }

    /// Lets go of lanes whose emitters are gone.
    pub(crate) fn forget_done(&mut self) {
        self.outlets.retain_mut(|outlet| !outlet.is_done());
    }

    /// Most events that all lanes hold together.
    pub(crate) fn capacity(&mut self, new: &NewLanes<W>) -> u64 {
        self.take_over(new);
        self.outlets.iter().map(|outlet| outlet.words.capacity() / packed::MIN_WORDS).sum()
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
