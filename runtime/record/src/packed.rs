//! Events in a few words, as they lie in a ring.
//!
//! ```text
//! word 0   kind of event (bits 0…7), words in all (8…15), flag (16), a number of 32 bits (32…63)
//! word 1   time
//! word 2…  numbers of 64 bits
//! ```
//! What owns a list or a text lies in the lane's queue of large events instead; its place in the ring is kept by two words of
//! the kind 0, which no event has.

use bayplan_trace::{Event, EventKind, Nanos, WeightsPath};

use crate::ring::{Pushed, RingReader, RingWriter, Word};

/// Most words of an event.
pub(crate) const MAX_WORDS: u64 = 5;
/// Fewest words of an event.
pub(crate) const MIN_WORDS: u64 = 2;
/// Words that keep the place of a large event.
pub(crate) const PLACE_WORDS: u64 = 2;

const fn head(kind: u8, words: u8, flag: bool, number: u32) -> u64 {
    kind as u64 | (words as u64) << 8 | (flag as u64) << 16 | (number as u64) << 32
}

/// Pushes a small event; `None` for one that is large.
#[inline]
pub(crate) fn push<W: Word>(ring: &RingWriter<W>, event: &Event) -> Option<Pushed> {
    let kind = event.kind().number();
    Some(match *event {
        Event::SessionReady { t } | Event::SessionEnd { t } => ring.push(&[head(kind, 2, false, 0), t]),
        Event::RunStart { run, plan, t } => ring.push(&[head(kind, 3, false, plan), t, run]),
        Event::RunEnd { run, t, ok } => ring.push(&[head(kind, 3, ok, 0), t, run]),
        Event::Completed { run, plan, op, t } => {
            ring.push(&[head(kind, 4, false, plan), t, run, u64::from(op)])
        }
        Event::DeviceFreed { t, id } => ring.push(&[head(kind, 3, false, 0), t, id]),
        Event::HeapSample { t, heap, size, usage, budget } => {
            let known = budget.is_some();
            ring.push(&[head(kind, 5, known, heap), t, size, usage, budget.unwrap_or(0)])
        }
        Event::Dropped { t, count, kind: lost } => {
            ring.push(&[head(kind, 3, false, u32::from(lost.number())), t, count])
        }
        Event::TraceCost { t, ns, run_ns } => ring.push(&[head(kind, 4, false, 0), t, ns, run_ns]),
        Event::PlanRetired { t, plan } => ring.push(&[head(kind, 2, false, plan), t]),
        Event::PoolAllocated { t, pool, id, offset, bytes } => {
            ring.push(&[head(kind, 5, false, pool), t, id, offset, bytes])
        }
        Event::PoolFreed { t, pool, id } => ring.push(&[head(kind, 3, false, pool), t, id]),
        Event::LoadStart { t, total } => ring.push(&[head(kind, 3, false, 0), t, total]),
        Event::LoadProgress { t, path, arrived, direct, staging } => {
            ring.push(&[head(kind, 5, false, u32::from(path.number())), t, arrived, direct, staging])
        }
        Event::LoadEnd { t, ok } => ring.push(&[head(kind, 2, ok, 0), t]),
        _ => return None,
    })
}

/// Keeps the place of a large event of this time.
pub(crate) fn push_place<W: Word>(ring: &RingWriter<W>, t: Nanos) -> Pushed {
    ring.push(&[head(0, PLACE_WORDS as u8, false, 0), t])
}

/// The time of the event at the head of a ring that has words.
#[inline]
pub(crate) fn time<W: Word>(ring: &RingReader<W>) -> Nanos {
    ring.peek(1)
}

/// Takes the event at the head of a ring that has words; `None` where it is the place of a large one.
#[inline]
pub(crate) fn take<W: Word>(ring: &mut RingReader<W>) -> Option<Event> {
    let first = ring.peek(0);
    let event = EventKind::from_number(first as u8).and_then(|kind| small(kind, first, |at| ring.peek(at)));
    ring.take(first >> 8 & 0xff);
    event
}

/// The small event with this first word; the function answers the others.
#[inline]
fn small(kind: EventKind, first: u64, word: impl Fn(u64) -> u64) -> Option<Event> {
    let (flag, number, t) = (first >> 16 & 1 == 1, (first >> 32) as u32, word(1));
    Some(match kind {
        EventKind::SessionReady => Event::SessionReady { t },
        EventKind::SessionEnd => Event::SessionEnd { t },
        EventKind::RunStart => Event::RunStart { run: word(2), plan: number, t },
        EventKind::RunEnd => Event::RunEnd { run: word(2), t, ok: flag },
        EventKind::Completed => Event::Completed { run: word(2), plan: number, op: word(3) as u32, t },
        EventKind::DeviceFreed => Event::DeviceFreed { t, id: word(2) },
        EventKind::HeapSample => {
            let budget = flag.then(|| word(4));
            Event::HeapSample { t, heap: number, size: word(2), usage: word(3), budget }
        }
        EventKind::Dropped => {
            let kind = EventKind::from_number(number as u8).unwrap_or(EventKind::Dropped);
            Event::Dropped { t, count: word(2), kind }
        }
        EventKind::TraceCost => Event::TraceCost { t, ns: word(2), run_ns: word(3) },
        EventKind::PlanRetired => Event::PlanRetired { t, plan: number },
        EventKind::PoolAllocated => {
            Event::PoolAllocated { t, pool: number, id: word(2), offset: word(3), bytes: word(4) }
        }
        EventKind::PoolFreed => Event::PoolFreed { t, pool: number, id: word(2) },
        EventKind::LoadStart => Event::LoadStart { t, total: word(2) },
        EventKind::LoadProgress => {
            let path = WeightsPath::from_number(u64::from(number))?;
            Event::LoadProgress { t, path, arrived: word(2), direct: word(3), staging: word(4) }
        }
        EventKind::LoadEnd => Event::LoadEnd { t, ok: flag },
        _ => return None,
    })
}
