//! Events as they are decoded: without memory of their own, so that millions a second can be folded.

use alloc::string::String;

use crate::schema::event::{Event, EventKind, Nanos, Severity, Window};
use crate::schema::loading::WeightsPath;

/// An [`Event`] whose lists and texts are borrowed. The variants and their fields are those of [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "every field is documented at the event it stands for")]
pub enum EventRef<'a> {
    /// [`Event::SessionReady`].
    SessionReady { t: Nanos },
    /// [`Event::RunStart`].
    RunStart { run: u64, plan: u32, t: Nanos },
    /// [`Event::RunEnd`].
    RunEnd { run: u64, t: Nanos, ok: bool },
    /// [`Event::OpTimes`].
    OpTimes { run: u64, plan: u32, first_op: u32, times: &'a [(Nanos, Nanos)] },
    /// [`Event::Completed`].
    Completed { run: u64, plan: u32, op: u32, t: Nanos },
    /// [`Event::Windows`].
    Windows { t: Nanos, recording: u32, plan: u32, part: u32, windows: &'a [Window] },
    /// [`Event::DeviceAllocated`].
    DeviceAllocated { t: Nanos, id: u64, bytes: u64, memory_type: u32, purpose: &'a str, planned: bool },
    /// [`Event::DeviceFreed`].
    DeviceFreed { t: Nanos, id: u64 },
    /// [`Event::HeapSample`].
    HeapSample { t: Nanos, heap: u32, size: u64, usage: u64, budget: Option<u64> },
    /// [`Event::Dropped`].
    Dropped { t: Nanos, count: u64, kind: EventKind },
    /// [`Event::TraceCost`].
    TraceCost { t: Nanos, ns: u64, run_ns: u64 },
    /// [`Event::Message`].
    Message { t: Nanos, level: Severity, text: &'a str },
    /// [`Event::SessionEnd`].
    SessionEnd { t: Nanos },
    /// [`Event::PlanRetired`].
    PlanRetired { t: Nanos, plan: u32 },
    /// [`Event::PoolReady`].
    PoolReady { t: Nanos, pool: u32, bytes: u64, name: &'a str },
    /// [`Event::PoolAllocated`].
    PoolAllocated { t: Nanos, pool: u32, id: u64, offset: u64, bytes: u64 },
    /// [`Event::PoolFreed`].
    PoolFreed { t: Nanos, pool: u32, id: u64 },
    /// [`Event::LoadStart`].
    LoadStart { t: Nanos, total: u64 },
    /// [`Event::LoadProgress`].
    LoadProgress { t: Nanos, path: WeightsPath, arrived: u64, direct: u64, staging: u64 },
    /// [`Event::LoadEnd`].
    LoadEnd { t: Nanos, ok: bool },
}

impl Event {
    /// The event with its lists and texts borrowed.
    pub fn as_ref(&self) -> EventRef<'_> {
        match *self {
            Self::SessionReady { t } => EventRef::SessionReady { t },
            Self::RunStart { run, plan, t } => EventRef::RunStart { run, plan, t },
            Self::RunEnd { run, t, ok } => EventRef::RunEnd { run, t, ok },
            Self::OpTimes { run, plan, first_op, ref times } => {
                EventRef::OpTimes { run, plan, first_op, times }
            }
            Self::Completed { run, plan, op, t } => EventRef::Completed { run, plan, op, t },
            Self::Windows { t, recording, plan, part, ref windows } => {
                EventRef::Windows { t, recording, plan, part, windows }
            }
            Self::DeviceAllocated { t, id, bytes, memory_type, ref purpose, planned } => {
                EventRef::DeviceAllocated { t, id, bytes, memory_type, purpose, planned }
            }
            Self::DeviceFreed { t, id } => EventRef::DeviceFreed { t, id },
            Self::HeapSample { t, heap, size, usage, budget } => {
                EventRef::HeapSample { t, heap, size, usage, budget }
            }
            Self::Dropped { t, count, kind } => EventRef::Dropped { t, count, kind },
            Self::TraceCost { t, ns, run_ns } => EventRef::TraceCost { t, ns, run_ns },
            Self::Message { t, level, ref text } => EventRef::Message { t, level, text },
            Self::SessionEnd { t } => EventRef::SessionEnd { t },
            Self::PlanRetired { t, plan } => EventRef::PlanRetired { t, plan },
            Self::PoolReady { t, pool, bytes, ref name } => EventRef::PoolReady { t, pool, bytes, name },
            Self::PoolAllocated { t, pool, id, offset, bytes } => {
                EventRef::PoolAllocated { t, pool, id, offset, bytes }
            }
            Self::PoolFreed { t, pool, id } => EventRef::PoolFreed { t, pool, id },
            Self::LoadStart { t, total } => EventRef::LoadStart { t, total },
            Self::LoadProgress { t, path, arrived, direct, staging } => {
                EventRef::LoadProgress { t, path, arrived, direct, staging }
            }
            Self::LoadEnd { t, ok } => EventRef::LoadEnd { t, ok },
        }
    }

    /// What kind of event it is.
    pub fn kind(&self) -> EventKind {
        self.as_ref().kind()
    }

    /// When it happened; for op times, the start of the first op.
    pub fn time(&self) -> Nanos {
        self.as_ref().time()
    }
}

impl EventRef<'_> {
    /// The event with lists and texts of its own.
    pub fn to_event(self) -> Event {
        match self {
            Self::SessionReady { t } => Event::SessionReady { t },
            Self::RunStart { run, plan, t } => Event::RunStart { run, plan, t },
            Self::RunEnd { run, t, ok } => Event::RunEnd { run, t, ok },
            Self::OpTimes { run, plan, first_op, times } => {
                Event::OpTimes { run, plan, first_op, times: times.to_vec() }
            }
            Self::Completed { run, plan, op, t } => Event::Completed { run, plan, op, t },
            Self::Windows { t, recording, plan, part, windows } => {
                Event::Windows { t, recording, plan, part, windows: windows.to_vec() }
            }
            Self::DeviceAllocated { t, id, bytes, memory_type, purpose, planned } => {
                Event::DeviceAllocated { t, id, bytes, memory_type, purpose: String::from(purpose), planned }
            }
            Self::DeviceFreed { t, id } => Event::DeviceFreed { t, id },
            Self::HeapSample { t, heap, size, usage, budget } => {
                Event::HeapSample { t, heap, size, usage, budget }
            }
            Self::Dropped { t, count, kind } => Event::Dropped { t, count, kind },
            Self::TraceCost { t, ns, run_ns } => Event::TraceCost { t, ns, run_ns },
            Self::Message { t, level, text } => Event::Message { t, level, text: String::from(text) },
            Self::SessionEnd { t } => Event::SessionEnd { t },
            Self::PlanRetired { t, plan } => Event::PlanRetired { t, plan },
            Self::PoolReady { t, pool, bytes, name } => {
                Event::PoolReady { t, pool, bytes, name: String::from(name) }
            }
            Self::PoolAllocated { t, pool, id, offset, bytes } => {
                Event::PoolAllocated { t, pool, id, offset, bytes }
            }
            Self::PoolFreed { t, pool, id } => Event::PoolFreed { t, pool, id },
            Self::LoadStart { t, total } => Event::LoadStart { t, total },
            Self::LoadProgress { t, path, arrived, direct, staging } => {
                Event::LoadProgress { t, path, arrived, direct, staging }
            }
            Self::LoadEnd { t, ok } => Event::LoadEnd { t, ok },
        }
    }

    /// What kind of event it is.
    #[inline]
    pub fn kind(self) -> EventKind {
        match self {
            Self::SessionReady { .. } => EventKind::SessionReady,
            Self::RunStart { .. } => EventKind::RunStart,
            Self::RunEnd { .. } => EventKind::RunEnd,
            Self::OpTimes { .. } => EventKind::OpTimes,
            Self::Completed { .. } => EventKind::Completed,
            Self::Windows { .. } => EventKind::Windows,
            Self::DeviceAllocated { .. } => EventKind::DeviceAllocated,
            Self::DeviceFreed { .. } => EventKind::DeviceFreed,
            Self::HeapSample { .. } => EventKind::HeapSample,
            Self::Dropped { .. } => EventKind::Dropped,
            Self::TraceCost { .. } => EventKind::TraceCost,
            Self::Message { .. } => EventKind::Message,
            Self::SessionEnd { .. } => EventKind::SessionEnd,
            Self::PlanRetired { .. } => EventKind::PlanRetired,
            Self::PoolReady { .. } => EventKind::PoolReady,
            Self::PoolAllocated { .. } => EventKind::PoolAllocated,
            Self::PoolFreed { .. } => EventKind::PoolFreed,
            Self::LoadStart { .. } => EventKind::LoadStart,
            Self::LoadProgress { .. } => EventKind::LoadProgress,
            Self::LoadEnd { .. } => EventKind::LoadEnd,
        }
    }

    /// When it happened; for op times, the start of the first op.
    #[inline]
    pub fn time(self) -> Nanos {
        match self {
            Self::OpTimes { times, .. } => times.first().map_or(0, |(start, _)| *start),
            Self::SessionReady { t }
            | Self::RunStart { t, .. }
            | Self::RunEnd { t, .. }
            | Self::Completed { t, .. }
            | Self::Windows { t, .. }
            | Self::DeviceAllocated { t, .. }
            | Self::DeviceFreed { t, .. }
            | Self::HeapSample { t, .. }
            | Self::Dropped { t, .. }
            | Self::TraceCost { t, .. }
            | Self::Message { t, .. }
            | Self::SessionEnd { t }
            | Self::PlanRetired { t, .. }
            | Self::PoolReady { t, .. }
            | Self::PoolAllocated { t, .. }
            | Self::PoolFreed { t, .. }
            | Self::LoadStart { t, .. }
            | Self::LoadProgress { t, .. }
            | Self::LoadEnd { t, .. } => t,
        }
    }
}
