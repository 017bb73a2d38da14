//! A queue of words from one thread to another that neither ever waits in.
//!
//! ```text
//!              head (the reader's)          tail (the writer's)
//!                │                             │
//!   ┌────────────▼─────────────────────────────▼──────────┐
//!   │   free     │  written, not yet read      │   free   │
//!   └─────────────────────────────────────────────────────┘
//! ```
//! Both count words since the beginning and never wrap; a word lies at its number modulo the capacity. Words are stored
//! before the tail says so (release, acquire) and free again before the head says so, so that no word is read and written at
//! once. There is one [`RingWriter`] and one [`RingReader`]; each keeps what it last saw of the other's counter and looks
//! again only when it must.
//!
//! The words are generic, so that the same code runs on `loom`'s atomics in its model.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// An atomic of 64 bits: the standard library's, or a model's.
pub(crate) trait Word: Send + Sync {
    fn new(value: u64) -> Self;
    fn load(&self, order: Ordering) -> u64;
    fn store(&self, value: u64, order: Ordering);
}

impl Word for AtomicU64 {
    fn new(value: u64) -> Self {
        Self::new(value)
    }

    #[inline]
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    #[inline]
    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }
}

/// Keeps the counters of both sides out of each other's cache lines, which processors fetch in pairs.
#[repr(align(128))]
struct Apart<W>(W);

struct Ring<W> {
    words: Box<[W]>,
    head: Apart<W>,
    tail: Apart<W>,
}

impl<W: Word> Ring<W> {
    #[inline]
    fn word(&self, at: u64) -> &W {
        // The capacity is a power of two.
        &self.words[at as usize & (self.words.len() - 1)]
    }

    fn capacity(&self) -> u64 {
        self.words.len() as u64
    }
}

/// Makes a ring of at least `capacity` words, rounded up to a power of two.
pub(crate) fn ring<W: Word>(capacity: usize) -> (RingWriter<W>, RingReader<W>) {
    let words = (0..capacity.next_power_of_two()).map(|_| W::new(0)).collect();
    let ring = Arc::new(Ring { words, head: Apart(W::new(0)), tail: Apart(W::new(0)) });
    let writer = RingWriter { ring: Arc::clone(&ring), tail: Cell::new(0), limit: Cell::new(0) };
    (writer, RingReader { ring, head: 0, told: 0, tail: 0 })
}

/// What became of words that were pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// They are in the ring.
    Yes,
    /// They are in the ring, which is more than half full: the reader should know. Said anew with each further eighth.
    Filling,
    /// They did not fit.
    No,
}

/// The side that writes. It belongs to one thread at a time.
pub(crate) struct RingWriter<W> {
    ring: Arc<Ring<W>>,
    tail: Cell<u64>,
    /// Up to here nothing has to be looked at before writing.
    limit: Cell<u64>,
}

impl<W: Word> RingWriter<W> {
    /// Appends words that are read together, or none of them.
    #[inline]
    pub(crate) fn push(&self, words: &[u64]) -> Pushed {
        let tail = self.tail.get();
        let end = tail + words.len() as u64;
        let mut pushed = Pushed::Yes;
        if end > self.limit.get() {
            pushed = self.look(end);
            if pushed == Pushed::No {
                return pushed;
            }
        }
        for (at, word) in (tail..end).zip(words) {
            self.ring.word(at).store(*word, Ordering::Relaxed);
        }
        self.ring.tail.0.store(end, Ordering::Release);
        self.tail.set(end);
        pushed
    }

    /// Whether this many words fit now; they will until they are pushed.
    pub(crate) fn has_room(&self, words: u64) -> bool {
        let end = self.tail.get() + words;
        end <= self.limit.get() || end <= self.ring.head.0.load(Ordering::Acquire) + self.ring.capacity()
    }

    /// Looks how far the reader is, before words are written up to `end`.
    #[cold]
    fn look(&self, end: u64) -> Pushed {
        let capacity = self.ring.capacity();
        let head = self.ring.head.0.load(Ordering::Acquire);
        if end > head + capacity {
            return Pushed::No;
        }
        let half = head + capacity / 2;
        let filling = end > half;
        self.limit.set(if filling { (head + capacity).min(end + capacity / 8) } else { half });
        if filling { Pushed::Filling } else { Pushed::Yes }
    }
}

/// The side that reads.
pub(crate) struct RingReader<W> {
    ring: Arc<Ring<W>>,
    head: u64,
    /// The head as the writer was told.
    told: u64,
    /// The tail as it was last seen.
    tail: u64,
}

impl<W: Word> RingReader<W> {
    /// Whether there are words to read. Looks anew where all words seen so far are read.
    #[inline]
    pub(crate) fn has_words(&mut self) -> bool {
        if self.head == self.tail {
            self.tail = self.ring.tail.0.load(Ordering::Acquire);
        }
        self.head != self.tail
    }

    /// Whether there are words to read that were seen before.
    #[inline]
    pub(crate) fn has_known_words(&self) -> bool {
        self.head != self.tail
    }

    /// Words that the ring holds at most.
    pub(crate) fn capacity(&self) -> u64 {
        self.ring.capacity()
    }

    /// The word at this place behind the head, of an item that was seen.
    #[inline]
    pub(crate) fn peek(&self, at: u64) -> u64 {
        debug_assert!(self.head + at < self.tail);
        self.ring.word(self.head + at).load(Ordering::Relaxed)
    }

    /// Takes words. The writer is told when a sixteenth of the ring is free again, and when all that was seen is read.
    #[inline]
    pub(crate) fn take(&mut self, words: u64) {
        self.head += words;
        if self.head == self.tail || self.head - self.told >= self.ring.capacity() / 16 {
            self.told = self.head;
            self.ring.head.0.store(self.head, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn behaves_as_a_bounded_queue() {
        let (writer, mut reader) = ring::<AtomicU64>(16);
        let mut expect: VecDeque<u64> = VecDeque::new();
        let mut next = 0;
        let (mut refused, mut filling) = (0, 0);
        // Steps of lengths that share no factor with the capacity, faster in than out.
        for step in 0..10_000u64 {
            let words: Vec<u64> = (0..step % 6 + 1).map(|at| next + at).collect();
            let fits = expect.len() + words.len() <= 16;
            assert_eq!(writer.has_room(words.len() as u64), fits, "step {step}");
            match writer.push(&words) {
                Pushed::No => {
                    assert!(!fits, "step {step}");
                    refused += 1;
                }
                pushed => {
                    assert!(fits, "step {step}");
                    filling += u32::from(pushed == Pushed::Filling);
                    next += words.len() as u64;
                    expect.extend(words);
                }
            }
            for _ in 0..step % 4 {
                let word = expect.pop_front();
                assert_eq!(reader.has_words(), word.is_some(), "step {step}");
                if let Some(word) = word {
                    assert_eq!(reader.peek(0), word);
                    reader.take(1);
                }
            }
        }
        assert!(refused > 10 && filling > 10, "{refused} refused, {filling} filling");
    }

    #[test]
    fn what_is_larger_than_the_ring_never_fits() {
        let (writer, mut reader) = ring::<AtomicU64>(4);
        assert_eq!(writer.push(&[1, 2, 3, 4, 5]), Pushed::No);
        assert!(!reader.has_words());
        assert_eq!(writer.push(&[1, 2, 3, 4]), Pushed::Filling);
        assert_eq!(writer.push(&[5]), Pushed::No);
        assert!(reader.has_words());
        reader.take(4);
        assert_eq!(writer.push(&[5]), Pushed::Yes);
    }

    #[test]
    fn says_once_an_eighth_that_it_fills() {
        let (writer, _reader) = ring::<AtomicU64>(1024);
        let all: Vec<_> = (0..1024).map(|word| writer.push(&[word])).collect();
        let filling = all.iter().filter(|pushed| **pushed == Pushed::Filling).count();
        assert!((4..=5).contains(&filling), "{filling}");
        assert_eq!(all[..512], [Pushed::Yes; 512]);
        assert_eq!(writer.push(&[0]), Pushed::No);
    }
}
