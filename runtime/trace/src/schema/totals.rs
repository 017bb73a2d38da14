//! Sums over a whole session: kept by the writer for its keyframes and by the timeline for its readers, so that both agree
//! wherever reading begins.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::format::wire::{Cursor, WireError, field_bytes, field_nonzero, put_varint};
use crate::schema::distribution::Distribution;
use crate::schema::event::Nanos;
use crate::schema::event_ref::EventRef;
use crate::schema::loads::Loads;

/// Most runs whose start is remembered until their end comes. Sessions run one at a time, or a few.
const MAX_OPEN_RUNS: usize = 64;

/// Sums over all runs of a session so far, whether or not the runs themselves are still known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Durations of the runs that succeeded, from submission to end, in nanoseconds.
    pub run_times: Distribution,
    /// Device times of all ops of all runs, in nanoseconds.
    pub op_times: Distribution,
    /// Blocks of device memory that were allocated after the session was ready to run.
    pub allocs_after_ready: u64,
    /// The most bytes of device memory that blocks held at once.
    pub device_bytes_max: u64,
    /// The most bytes that were seen in use of each heap, by its index.
    pub heap_usage_max: BTreeMap<u32, u64>,
    /// How weights were loaded.
    pub loads: Loads,
    ready: bool,
    /// Runs whose end has not come, with their starts.
    open: Vec<(u64, Nanos)>,
}

impl Totals {
    #[inline]
    pub(crate) fn apply(&mut self, event: EventRef<'_>) {
        match event {
            EventRef::RunStart { run, t, .. } => {
                if self.open.len() == MAX_OPEN_RUNS {
                    self.open.remove(0);
                }
                self.open.push((run, t));
                self.loads.apply(event);
            }
            EventRef::RunEnd { run, t, ok } => {
                let Some(at) = self.open.iter().rposition(|(open, _)| *open == run) else { return };
                let (_, start) = self.open.remove(at);
                if ok {
                    self.run_times.add(t.saturating_sub(start));
                }
            }
            EventRef::OpTimes { times, .. } => {
                times.iter().for_each(|(start, end)| self.op_times.add(end.saturating_sub(*start)));
            }
            EventRef::SessionReady { .. } => self.ready = true,
            EventRef::LoadStart { .. } | EventRef::LoadProgress { .. } | EventRef::LoadEnd { .. } => {
                self.loads.apply(event);
            }
            EventRef::DeviceAllocated { .. } if self.ready => {
                self.allocs_after_ready = self.allocs_after_ready.saturating_add(1);
            }
            EventRef::HeapSample { heap, usage, .. } => {
                let most = self.heap_usage_max.entry(heap).or_default();
                *most = (*most).max(usage);
            }
            _ => {}
        }
    }

    /// Blocks of device memory hold this much now.
    pub(crate) fn note_device_bytes(&mut self, bytes: u64) {
        self.device_bytes_max = self.device_bytes_max.max(bytes);
    }

    /// 1 run times · 2 op times · 3 allocations · 4 ready · 5 device bytes · 6 heaps (packed pairs) · 7 open runs (packed
    /// pairs of number and start, since 1.3) · 8 loads (since 1.5).
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (field, distribution) in [(1, &self.run_times), (2, &self.op_times)] {
            if distribution.count() > 0 {
                field_bytes(&mut out, field, &distribution.to_bytes());
            }
        }
        field_nonzero(&mut out, 3, self.allocs_after_ready);
        field_nonzero(&mut out, 4, u64::from(self.ready));
        field_nonzero(&mut out, 5, self.device_bytes_max);
        let mut heaps = Vec::new();
        for (heap, most) in &self.heap_usage_max {
            put_varint(&mut heaps, u64::from(*heap));
            put_varint(&mut heaps, *most);
        }
        let mut open = Vec::new();
        self.open
            .iter()
            .flat_map(|(run, start)| [*run, *start])
            .for_each(|number| put_varint(&mut open, number));
        for (field, pairs) in [(6, heaps), (7, open)] {
            if !pairs.is_empty() {
                field_bytes(&mut out, field, &pairs);
            }
        }
        if self.loads.count > 0 {
            field_bytes(&mut out, 8, &self.loads.to_bytes());
        }
        out
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut totals = Self::default();
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_empty() {
            match cursor.field()? {
                (1, field) => totals.run_times = Distribution::from_bytes(field.bytes()?)?,
                (2, field) => totals.op_times = Distribution::from_bytes(field.bytes()?)?,
                (3, field) => totals.allocs_after_ready = field.number()?,
                (4, field) => totals.ready = field.number()? != 0,
                (5, field) => totals.device_bytes_max = field.number()?,
                (6, field) => {
                    let mut heaps = Cursor::new(field.bytes()?);
                    while !heaps.is_empty() {
                        totals.heap_usage_max.insert(heaps.index()?, heaps.varint()?);
                    }
                }
                (7, field) => {
                    let mut open = Cursor::new(field.bytes()?);
                    while !open.is_empty() && totals.open.len() < MAX_OPEN_RUNS {
                        totals.open.push((open.varint()?, open.varint()?));
                    }
                }
                (8, field) => totals.loads = Loads::from_bytes(field.bytes()?)?,
                _ => {}
            }
        }
        Ok(totals)
    }

    /// Takes over what a keyframe says. The run in progress is told beside it, by recordings that do not say more.
    pub(crate) fn restate(&mut self, restated: Self, current: Option<(u64, Nanos)>) {
        *self = restated;
        if let Some(run) = current.filter(|run| !self.open.contains(run)) {
            self.open.push(run);
        }
    }
}
