//! Packed events out of bytes; how they are written stands in [`crate::format::packed`].

use alloc::vec::Vec;

use crate::format::event_codec::{MAX_LIST, take_load};
use crate::format::number::{Numbers, unzigzag};
use crate::format::packed::{
    EARLIER, FIRST_SKIPPABLE, Heap, KIND, LATER_KINDS, Lists, MORE, PLACE_UNIT, PackedContext, SAME,
};
use crate::format::wire::{Cursor, WireError, narrow, utf8};
use crate::schema::event::{EventKind, Nanos, Severity, Window};
use crate::schema::event_ref::EventRef;

impl PackedContext {
    /// Reads the next event; `None` for one that a later version added.
    #[inline(always)]
    pub(crate) fn take<'e, 'b: 'e>(
        &mut self,
        source: &mut Numbers<'b>,
        lists: &'e mut Lists,
    ) -> Result<Option<EventRef<'e>>, WireError> {
        let tag = source.byte();
        let same = tag & SAME != 0;
        let event = match tag & KIND {
            2 => {
                let t = self.time(source, tag);
                if same {
                    self.run = self.run.wrapping_add(1);
                } else {
                    self.take_run(source)?;
                }
                EventRef::RunStart { run: self.run, plan: self.plan, t }
            }
            3 => {
                let t = self.time(source, tag);
                if !same {
                    self.run = self.run.wrapping_add(source.signed() as u64);
                }
                EventRef::RunEnd { run: self.run, t, ok: tag & MORE != 0 }
            }
            5 => {
                let t = self.time(source, tag);
                if !same {
                    self.take_run(source)?;
                }
                EventRef::Completed { run: self.run, plan: self.plan, op: source.index()?, t }
            }
            4 => self.take_op_times(source, tag, &mut lists.times)?,
            16 => self.take_pool_allocated(source, tag)?,
            17 => {
                let t = self.time(source, tag);
                if !same {
                    self.pool = source.index()?;
                }
                self.freed = self.freed.wrapping_add(source.signed() as u64);
                EventRef::PoolFreed { t, pool: self.pool, id: self.freed }
            }
            kind if kind >= FIRST_SKIPPABLE => {
                let body = Cursor::new(source.bytes()?);
                let Some(kind) = EventKind::from_number(kind + LATER_KINDS) else { return Ok(None) };
                return take_load(kind, body, self.time);
            }
            _ => self.take_rare(source, tag, &mut lists.windows)?,
        };
        source.check()?;
        Ok(Some(event))
    }

    #[inline(always)]
    fn time(&mut self, source: &mut Numbers<'_>, tag: u8) -> Nanos {
        let ahead = source.number();
        let ahead = if tag & EARLIER != 0 { ahead.wrapping_neg() } else { ahead };
        self.time = self.time.wrapping_add(ahead);
        self.time
    }

    #[inline]
    fn take_run(&mut self, source: &mut Numbers<'_>) -> Result<(), WireError> {
        self.run = self.run.wrapping_add(source.signed() as u64);
        self.plan = source.index()?;
        Ok(())
    }

    fn take_op_times<'e>(
        &mut self,
        source: &mut Numbers<'_>,
        tag: u8,
        times: &'e mut Vec<(Nanos, Nanos)>,
    ) -> Result<EventRef<'e>, WireError> {
        if tag & SAME == 0 {
            self.take_run(source)?;
        }
        let first_op = source.index()?;
        let count = usize::try_from(source.number()).unwrap_or(usize::MAX);
        if count > MAX_LIST {
            return Err(WireError::Value("an event has too many op times"));
        }
        let start = self.time.wrapping_add(source.signed() as u64);
        times.resize(count, (0, 0));
        let mut before = start;
        if tag & MORE != 0 {
            source.list(times, |slot, took| {
                let end = before.wrapping_add(took);
                *slot = (before, end);
                before = end;
            });
        } else {
            if let Some((first, others)) = times.split_first_mut() {
                first.0 = 0;
                source.list(others, |slot, gap| slot.0 = gap);
            }
            source.list(times, |slot, took| {
                let start = before.wrapping_add(unzigzag(slot.0) as u64);
                before = start.wrapping_add(took);
                *slot = (start, before);
            });
        }
        Ok(EventRef::OpTimes { run: self.run, plan: self.plan, first_op, times })
    }

    #[inline(always)]
    fn take_pool_allocated(
        &mut self,
        source: &mut Numbers<'_>,
        tag: u8,
    ) -> Result<EventRef<'static>, WireError> {
        let t = self.time(source, tag);
        let (id, end, size) = self.range;
        let id = if tag & SAME != 0 {
            id.wrapping_add(1)
        } else {
            self.pool = source.index()?;
            id.wrapping_add(source.signed() as u64)
        };
        let place = source.number();
        let ahead = unzigzag(place >> 1);
        let offset = match place {
            0 => source.number(),
            _ if place & 1 == 1 => end.wrapping_add(ahead.wrapping_mul(PLACE_UNIT) as u64),
            _ => end.wrapping_add(ahead as u64),
        };
        let bytes = if tag & MORE != 0 { size } else { source.number() };
        self.range = (id, offset.wrapping_add(bytes), bytes);
        Ok(EventRef::PoolAllocated { t, pool: self.pool, id, offset, bytes })
    }

    fn take_rare<'e, 'b: 'e>(
        &mut self,
        source: &mut Numbers<'b>,
        tag: u8,
        windows: &'e mut Vec<Window>,
    ) -> Result<EventRef<'e>, WireError> {
        let t = self.time(source, tag);
        Ok(match tag & KIND {
            1 => EventRef::SessionReady { t },
            6 => take_windows(source, t, windows)?,
            7 => {
                let (id, bytes, memory_type) = (source.number(), source.number(), source.index()?);
                let planned = tag & MORE != 0;
                let purpose = utf8(source.bytes()?)?;
                EventRef::DeviceAllocated { t, id, bytes, memory_type, purpose, planned }
            }
            8 => EventRef::DeviceFreed { t, id: source.number() },
            9 => self.take_heap_sample(source, tag, t)?,
            10 => {
                let count = source.number();
                // A kind that a later version added still counts as a loss, under the most general name.
                let kind = u8::try_from(source.number()).ok().and_then(EventKind::from_number);
                EventRef::Dropped { t, count, kind: kind.unwrap_or(EventKind::Dropped) }
            }
            11 => {
                let (ns, run_ns) = self.cost;
                let ns = ns.wrapping_add(source.signed() as u64);
                let run_ns = run_ns.wrapping_add(source.signed() as u64);
                self.cost = (ns, run_ns);
                EventRef::TraceCost { t, ns, run_ns }
            }
            12 => {
                let level = match source.number() {
                    0 => Severity::Info,
                    1 => Severity::Warning,
                    _ => Severity::Error,
                };
                EventRef::Message { t, level, text: utf8(source.bytes()?)? }
            }
            13 => EventRef::SessionEnd { t },
            14 => EventRef::PlanRetired { t, plan: source.index()? },
            15 => {
                let (pool, bytes) = (source.index()?, source.number());
                EventRef::PoolReady { t, pool, bytes, name: utf8(source.bytes()?)? }
            }
            _ => return Err(WireError::Value("an event has an impossible kind")),
        })
    }

    fn take_heap_sample(
        &mut self,
        source: &mut Numbers<'_>,
        tag: u8,
        t: Nanos,
    ) -> Result<EventRef<'static>, WireError> {
        let heap = source.index()?;
        let state = &mut self.heaps[heap as usize % 4];
        if tag & SAME == 0 {
            state.size = source.number();
        }
        state.usage = state.usage.wrapping_add(source.signed() as u64);
        let has_budget = tag & MORE != 0;
        if has_budget {
            state.budget = state.budget.wrapping_add(source.signed() as u64);
        }
        let Heap { size, usage, budget } = *state;
        Ok(EventRef::HeapSample { t, heap, size, usage, budget: has_budget.then_some(budget) })
    }
}

fn take_windows<'e>(
    source: &mut Numbers<'_>,
    t: Nanos,
    windows: &'e mut Vec<Window>,
) -> Result<EventRef<'e>, WireError> {
    let (recording, plan, part) = (source.index()?, source.index()?, source.index()?);
    let count = usize::try_from(source.number()).unwrap_or(usize::MAX);
    if count > MAX_LIST {
        return Err(WireError::Value("an event has too many windows"));
    }
    windows.clear();
    let mut op = 0i64;
    for _ in 0..count {
        op = op.wrapping_add(source.signed());
        let binding = source.number();
        windows.push(Window {
            op: u32::try_from(op).map_err(|_| WireError::Value("a window has an impossible op"))?,
            write: binding & 1 == 1,
            binding: narrow(binding >> 1)?,
            buffer: source.index()?.wrapping_sub(1),
            arena: source.index()?.wrapping_sub(1),
            offset: source.number(),
            len: source.number(),
        });
    }
    Ok(EventRef::Windows { t, recording, plan, part, windows })
}
