//! Events in binary since minor version 2: a byte for kind and flags, then [numbers](crate::format::number); what follows from the
//! event before is left out.
//!
//! ```text
//! tag      bits 0-4 kind, 5 same (or next), 6 more, 7 earlier: the time is before that of the event before it
//! kind     behind the tag                                           same                        more
//!  1 session ready    Δt
//!  2 run start        Δt [Δrun plan]                                the next run, same plan
//!  3 run end          Δt [Δrun]                                     same run                    it succeeded
//!  4 op times         [Δrun plan] first-op count Δstart gaps* took* same run and plan           no gaps: none are told
//!  5 completed        Δt [Δrun plan] op                             same run and plan
//!  6 windows          Δt recording plan part count, then per window: Δop, binding*2+write, buffer+1, arena+1, offset,
//!                     length
//!  7 device allocated Δt id bytes memory-type text                                              planned
//!  8 device freed     Δt id
//!  9 heap sample      Δt heap [size] Δusage [Δbudget]               same size                   there is a budget
//! 10 dropped          Δt count kind
//! 11 trace cost       Δt Δns Δrun-ns
//! 12 message          Δt level text
//! 13 session end      Δt
//! 14 plan retired     Δt plan
//! 15 pool ready       Δt pool bytes text
//! 16 pool allocated   Δt [pool Δid] place [bytes]                   same pool, the next id      same size
//! 17 pool freed       Δt [pool] Δid                                 same pool
//! 18…31               length, bytes: added by later minor versions, skipped by readers that do not know them
//! 18 load start       length, then as in keyframes (minor version 5, as those below)
//! 19 load progress    the same
//! 20 load end         the same
//! ```
//! Δt is a number, other differences are signed; each is against the event before it in the chunk that has such a field
//! (the chunk's base time, else 0, at first; kinds from 18 on are no base for those after them; heaps whose indices differ by 4 share theirs). A place is the difference to
//! the end of the range taken before, doubled; in units of 64 bytes where it has such, plus one.
//! `gaps*` and `took*` are lists: the gaps between consecutive ops (signed), and the duration of each.

use alloc::vec::Vec;

use crate::format::event_codec::{clip, load_to_bytes};
use crate::format::number::{put_list, put_number, zigzag};
use crate::schema::event::{Nanos, Window};
use crate::schema::event_ref::EventRef;

pub(crate) const KIND: u8 = 0x1f;
pub(crate) const SAME: u8 = 0x20;
pub(crate) const MORE: u8 = 0x40;
pub(crate) const EARLIER: u8 = 0x80;
/// Kinds from here on carry their length.
pub(crate) const FIRST_SKIPPABLE: u8 = 18;
/// How much less their number is than that of [`EventKind`](crate::schema::event::EventKind).
pub(crate) const LATER_KINDS: u8 = 50;
/// Unit of the places of ranges that have such.
pub(crate) const PLACE_UNIT: i64 = 64;

/// What differences are taken against.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PackedContext {
    pub(crate) time: Nanos,
    pub(crate) run: u64,
    pub(crate) plan: u32,
    pub(crate) heaps: [Heap; 4],
    pub(crate) cost: (u64, u64),
    pub(crate) pool: u32,
    /// Number, end and size of the range taken last.
    pub(crate) range: (u64, u64, u64),
    pub(crate) freed: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heap {
    pub(crate) size: u64,
    pub(crate) usage: u64,
    pub(crate) budget: u64,
}

/// Memory for the lists of the event at hand, used again for the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    pub(crate) times: Vec<(Nanos, Nanos)>,
    pub(crate) windows: Vec<Window>,
}

/// Memory for what is put together while op times are written.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    gaps: Vec<u64>,
    took: Vec<u64>,
}

fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

fn difference(from: u64, to: u64) -> u64 {
    zigzag(to.wrapping_sub(from) as i64)
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let text = clip(text).as_bytes();
    put_number(out, text.len() as u64);
    out.extend_from_slice(text);
}

fn put_all(out: &mut Vec<u8>, numbers: &[u64]) {
    numbers.iter().for_each(|number| put_number(out, *number));
}

impl PackedContext {
    pub(crate) fn new(base: Nanos) -> Self {
        Self { time: base, ..Self::default() }
    }

    /// The tag of an event, and its time.
    fn head(&mut self, out: &mut Vec<u8>, kind: u8, flags: u8, t: Nanos) {
        let ahead = t.wrapping_sub(self.time);
        let earlier = (ahead as i64) < 0;
        out.push(kind | flags | flag(earlier, EARLIER));
        put_number(out, if earlier { ahead.wrapping_neg() } else { ahead });
        self.time = t;
    }

    /// Appends an event, whose list, if it has one, holds at most [`crate::format::event_codec::MAX_LIST`] entries.
    #[inline]
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, spans: &mut Spans, event: EventRef<'_>) {
        match event {
            EventRef::RunStart { run, plan, t } => {
                let next = run == self.run.wrapping_add(1) && plan == self.plan;
                self.head(out, 2, flag(next, SAME), t);
                if !next {
                    put_all(out, &[difference(self.run, run), u64::from(plan)]);
                }
                (self.run, self.plan) = (run, plan);
            }
            EventRef::RunEnd { run, t, ok } => {
                let same = run == self.run;
                self.head(out, 3, flag(same, SAME) | flag(ok, MORE), t);
                if !same {
                    put_number(out, difference(self.run, run));
                }
                self.run = run;
            }
            EventRef::Completed { run, plan, op, t } => {
                let same = (run, plan) == (self.run, self.plan);
                self.head(out, 5, flag(same, SAME), t);
                self.put_run(out, same, run, plan);
                put_number(out, u64::from(op));
            }
            EventRef::OpTimes { run, plan, first_op, times } => {
                self.put_op_times(out, spans, (run, plan, first_op), times);
            }
            EventRef::PoolAllocated { t, pool, id, offset, bytes } => {
                self.put_pool_allocated(out, t, pool, (id, offset, bytes));
            }
            EventRef::PoolFreed { t, pool, id } => {
                let same = pool == self.pool;
                self.head(out, 17, flag(same, SAME), t);
                if !same {
                    put_number(out, u64::from(pool));
                }
                put_number(out, difference(self.freed, id));
                (self.pool, self.freed) = (pool, id);
            }
            _ => self.put_rare(out, event),
        }
    }

    fn put_run(&mut self, out: &mut Vec<u8>, same: bool, run: u64, plan: u32) {
        if !same {
            put_all(out, &[difference(self.run, run), u64::from(plan)]);
        }
        (self.run, self.plan) = (run, plan);
    }

    fn put_op_times(
        &mut self,
        out: &mut Vec<u8>,
        spans: &mut Spans,
        (run, plan, first_op): (u64, u32, u32),
        times: &[(Nanos, Nanos)],
    ) {
        let same = (run, plan) == (self.run, self.plan);
        let gapless = times.windows(2).all(|pair| pair[0].1 == pair[1].0);
        out.push(4 | flag(same, SAME) | flag(gapless, MORE));
        self.put_run(out, same, run, plan);
        let start = times.first().map_or(self.time, |(start, _)| *start);
        put_all(out, &[u64::from(first_op), times.len() as u64, difference(self.time, start)]);
        if !gapless {
            spans.gaps.clear();
            spans.gaps.extend(times.windows(2).map(|pair| difference(pair[0].1, pair[1].0)));
            put_list(out, &spans.gaps);
        }
        spans.took.clear();
        // A clock that runs backwards still round-trips: the difference wraps.
        spans.took.extend(times.iter().map(|(start, end)| end.wrapping_sub(*start)));
        put_list(out, &spans.took);
    }

    fn put_pool_allocated(&mut self, out: &mut Vec<u8>, t: Nanos, pool: u32, range: (u64, u64, u64)) {
        let (id, offset, bytes) = range;
        let next = pool == self.pool && id == self.range.0.wrapping_add(1);
        let same_size = bytes == self.range.2;
        self.head(out, 16, flag(next, SAME) | flag(same_size, MORE), t);
        if !next {
            put_all(out, &[u64::from(pool), difference(self.range.0, id)]);
        }
        let ahead = offset.wrapping_sub(self.range.1) as i64;
        if ahead % PLACE_UNIT == 0 {
            put_number(out, zigzag(ahead / PLACE_UNIT) << 1 | 1);
        } else if ahead.unsigned_abs() < 1 << 61 {
            put_number(out, zigzag(ahead) << 1);
        } else {
            // No pool is as large; what a broken session says still comes back, against no end at all.
            put_number(out, 0);
            put_number(out, offset);
        }
        if !same_size {
            put_number(out, bytes);
        }
        self.pool = pool;
        self.range = (id, offset.wrapping_add(bytes), bytes);
    }

    fn put_rare(&mut self, out: &mut Vec<u8>, event: EventRef<'_>) {
        let t = event.time();
        match event {
            EventRef::SessionReady { .. } => self.head(out, 1, 0, t),
            EventRef::Windows { recording, plan, part, windows, .. } => {
                self.head(out, 6, 0, t);
                put_all(out, &[recording, plan, part, windows.len() as u32].map(u64::from));
                put_windows(out, windows);
            }
            EventRef::DeviceAllocated { id, bytes, memory_type, purpose, planned, .. } => {
                self.head(out, 7, flag(planned, MORE), t);
                put_all(out, &[id, bytes, u64::from(memory_type)]);
                put_text(out, purpose);
            }
            EventRef::DeviceFreed { id, .. } => {
                self.head(out, 8, 0, t);
                put_number(out, id);
            }
            EventRef::HeapSample { heap, size, usage, budget, .. } => {
                self.put_heap_sample(out, t, heap, (size, usage, budget));
            }
            EventRef::Dropped { count, kind, .. } => {
                self.head(out, 10, 0, t);
                put_all(out, &[count, u64::from(kind.number())]);
            }
            EventRef::TraceCost { ns, run_ns, .. } => {
                self.head(out, 11, 0, t);
                put_all(out, &[difference(self.cost.0, ns), difference(self.cost.1, run_ns)]);
                self.cost = (ns, run_ns);
            }
            EventRef::Message { level, text, .. } => {
                self.head(out, 12, 0, t);
                put_number(out, level as u64);
                put_text(out, text);
            }
            EventRef::SessionEnd { .. } => self.head(out, 13, 0, t),
            EventRef::PlanRetired { plan, .. } => {
                self.head(out, 14, 0, t);
                put_number(out, u64::from(plan));
            }
            EventRef::PoolReady { pool, bytes, name, .. } => {
                self.head(out, 15, 0, t);
                put_all(out, &[u64::from(pool), bytes]);
                put_text(out, name);
            }
            EventRef::LoadStart { .. } | EventRef::LoadProgress { .. } | EventRef::LoadEnd { .. } => {
                let body = load_to_bytes(self.time, event);
                out.push(event.kind().number() - LATER_KINDS);
                put_number(out, body.len() as u64);
                out.extend_from_slice(&body);
            }
            // Written by `put`.
            EventRef::RunStart { .. }
            | EventRef::RunEnd { .. }
            | EventRef::OpTimes { .. }
            | EventRef::Completed { .. }
            | EventRef::PoolAllocated { .. }
            | EventRef::PoolFreed { .. } => {}
        }
    }

    fn put_heap_sample(&mut self, out: &mut Vec<u8>, t: Nanos, heap: u32, state: (u64, u64, Option<u64>)) {
        let (size, usage, budget) = state;
        let before = self.heaps[heap as usize % 4];
        let same = size == before.size;
        self.head(out, 9, flag(same, SAME) | flag(budget.is_some(), MORE), t);
        put_number(out, u64::from(heap));
        if !same {
            put_number(out, size);
        }
        put_number(out, difference(before.usage, usage));
        if let Some(budget) = budget {
            put_number(out, difference(before.budget, budget));
        }
        self.heaps[heap as usize % 4] = Heap { size, usage, budget: budget.unwrap_or(before.budget) };
    }
}

fn put_windows(out: &mut Vec<u8>, windows: &[Window]) {
    let mut op = 0;
    for window in windows {
        put_all(
            out,
            &[
                zigzag(i64::from(window.op) - i64::from(op)),
                u64::from(window.binding) << 1 | u64::from(window.write),
                // Unplanned is the largest index, and becomes 0.
                u64::from(window.buffer.wrapping_add(1)),
                u64::from(window.arena.wrapping_add(1)),
                window.offset,
                window.len,
            ],
        );
        op = window.op;
    }
}
