//! What happens during a session, in the order in which it was seen.

use alloc::string::String;
use alloc::vec::Vec;

use crate::schema::loading::WeightsPath;

/// Nanoseconds since the session began.
pub type Nanos = u64;

/// An arena or buffer index that stands for "not in the plan".
pub const UNPLANNED: u32 = u32::MAX;

/// One thing that happened. `plan` fields number the session's plans from 0 in the order in which they were recorded.
///
/// Events out of a decoder have every `plan`, `op`, `buffer` and `arena` in range of that plan
/// (`buffer` and `arena` may be [`UNPLANNED`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The session is built: all of its device memory is allocated, and runs can begin.
    SessionReady {
        /// When.
        t: Nanos,
    },
    /// A run was submitted.
    RunStart {
        /// Number of the run, counted from 0.
        run: u64,
        /// The plan it runs.
        plan: u32,
        /// When.
        t: Nanos,
    },
    /// A run ended.
    RunEnd {
        /// Number of the run.
        run: u64,
        /// When.
        t: Nanos,
        /// Whether it succeeded.
        ok: bool,
    },
    /// Device times of consecutive ops of a run, read back after it.
    OpTimes {
        /// Number of the run.
        run: u64,
        /// The plan it ran.
        plan: u32,
        /// Op of the first entry of `times`; the others follow it.
        first_op: u32,
        /// Start and end of each op.
        times: Vec<(Nanos, Nanos)>,
    },
    /// An op was seen to be complete: the playhead.
    Completed {
        /// Number of the run.
        run: u64,
        /// The plan it runs.
        plan: u32,
        /// The last op seen complete.
        op: u32,
        /// When it was seen.
        t: Nanos,
    },
    /// The descriptor windows of a command buffer as they were recorded into it.
    ///
    /// A list with `part` 0 begins a new set, which takes the place of the plan's former one; a part above 0 adds to
    /// the set with the same `recording`.
    Windows {
        /// When.
        t: Nanos,
        /// Number of the command buffer recording, counted from 0.
        recording: u32,
        /// The plan it runs.
        plan: u32,
        /// Number of this part of the set.
        part: u32,
        /// The windows.
        windows: Vec<Window>,
    },
    /// A block of device memory was allocated.
    DeviceAllocated {
        /// When.
        t: Nanos,
        /// Identifies the block in this session.
        id: u64,
        /// Its size.
        bytes: u64,
        /// Index of its memory type on the device.
        memory_type: u32,
        /// What for, in words.
        purpose: String,
        /// Whether the session planned it. An unplanned one raises an alarm.
        planned: bool,
    },
    /// A block of device memory was freed.
    DeviceFreed {
        /// When.
        t: Nanos,
        /// The block's `id`.
        id: u64,
    },
    /// The state of a memory heap, as the driver tells it.
    HeapSample {
        /// When.
        t: Nanos,
        /// Index of the heap.
        heap: u32,
        /// Its size in bytes.
        size: u64,
        /// Bytes in use by this process.
        usage: u64,
        /// Bytes this process may use as the driver estimates; none where the driver does not tell.
        budget: Option<u64>,
    },
    /// Events were lost because a ring was full.
    Dropped {
        /// When it was noticed.
        t: Nanos,
        /// How many since the last such event of this kind.
        count: u64,
        /// What was lost.
        kind: EventKind,
    },
    /// What tracing itself has cost so far.
    TraceCost {
        /// When.
        t: Nanos,
        /// Processor time spent on tracing since the session began.
        ns: u64,
        /// Time spent in runs since the session began.
        run_ns: u64,
    },
    /// A message for people.
    Message {
        /// When.
        t: Nanos,
        /// How grave it is.
        level: Severity,
        /// The text. Escape it before it is shown.
        text: String,
    },
    /// The session ended in order.
    SessionEnd {
        /// When.
        t: Nanos,
    },
    /// A plan is not at hand any more: no later event names it. A session that serves many shapes has a plan for each of
    /// the shapes that it keeps; whoever follows may forget the rest.
    PlanRetired {
        /// When.
        t: Nanos,
        /// The plan.
        plan: u32,
    },
    /// A dynamic pool is ready, or its size changed: memory inside which ranges come and go while runs go on, such as the
    /// slots of outputs that callers keep, or blocks of keys and values.
    PoolReady {
        /// When.
        t: Nanos,
        /// Identifies the pool in this session.
        pool: u32,
        /// Its size.
        bytes: u64,
        /// What it holds, in words.
        name: String,
    },
    /// A range of a pool was taken.
    PoolAllocated {
        /// When.
        t: Nanos,
        /// The pool.
        pool: u32,
        /// Identifies the range among those of the pool that are taken.
        id: u64,
        /// Byte offset in the pool.
        offset: u64,
        /// Its size.
        bytes: u64,
    },
    /// A range of a pool was given back.
    PoolFreed {
        /// When.
        t: Nanos,
        /// The pool.
        pool: u32,
        /// The range's `id`.
        id: u64,
    },
    /// The session begins to load weights. One that makes ever other plans of a model loads them more than once.
    LoadStart {
        /// When.
        t: Nanos,
        /// Bytes to load, as they are stored.
        total: u64,
    },
    /// Weights arrived. Numbers are sums since the load began, so that one that is lost is made up for by the next.
    LoadProgress {
        /// When.
        t: Nanos,
        /// A path that bytes arrived by since this was told last.
        path: WeightsPath,
        /// Bytes that arrived by this path.
        arrived: u64,
        /// Bytes that were read past the page cache, for whichever path.
        direct: u64,
        /// Bytes of the staging buffers that loading holds.
        staging: u64,
    },
    /// All weights are loaded, or loading failed.
    LoadEnd {
        /// When.
        t: Nanos,
        /// Whether it succeeded.
        ok: bool,
    },
}

/// One descriptor window: the bytes of an arena that a binding of an op can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The op.
    pub op: u32,
    /// Number of the binding.
    pub binding: u32,
    /// The planned buffer it is bound for, or [`UNPLANNED`].
    pub buffer: u32,
    /// The arena it lies in, or [`UNPLANNED`].
    pub arena: u32,
    /// Byte offset in the arena.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
    /// Whether the op writes through it.
    pub write: bool,
}

/// How grave a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Should be looked at.
    Warning,
    /// Something failed.
    Error,
}

/// The kinds of [`Event`], for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EventKind {
    /// [`Event::SessionReady`].
    SessionReady = 1,
    /// [`Event::RunStart`].
    RunStart = 2,
    /// [`Event::RunEnd`].
    RunEnd = 3,
    /// [`Event::OpTimes`].
    OpTimes = 4,
    /// [`Event::Completed`].
    Completed = 5,
    /// [`Event::Windows`].
    Windows = 6,
    /// [`Event::DeviceAllocated`].
    DeviceAllocated = 7,
    /// [`Event::DeviceFreed`].
    DeviceFreed = 8,
    /// [`Event::HeapSample`].
    HeapSample = 9,
    /// [`Event::Dropped`].
    Dropped = 10,
    /// [`Event::TraceCost`].
    TraceCost = 11,
    /// [`Event::Message`].
    Message = 12,
    /// [`Event::SessionEnd`].
    SessionEnd = 13,
    /// [`Event::PlanRetired`]; since minor version 1.
    PlanRetired = 64,
    /// [`Event::PoolReady`]; since minor version 2, as those below.
    PoolReady = 65,
    /// [`Event::PoolAllocated`].
    PoolAllocated = 66,
    /// [`Event::PoolFreed`].
    PoolFreed = 67,
    /// [`Event::LoadStart`]; since minor version 5, as those below.
    LoadStart = 68,
    /// [`Event::LoadProgress`].
    LoadProgress = 69,
    /// [`Event::LoadEnd`].
    LoadEnd = 70,
}

impl EventKind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 20] = [
        Self::SessionReady,
        Self::RunStart,
        Self::RunEnd,
        Self::OpTimes,
        Self::Completed,
        Self::Windows,
        Self::DeviceAllocated,
        Self::DeviceFreed,
        Self::HeapSample,
        Self::Dropped,
        Self::TraceCost,
        Self::Message,
        Self::SessionEnd,
        Self::PlanRetired,
        Self::PoolReady,
        Self::PoolAllocated,
        Self::PoolFreed,
        Self::LoadStart,
        Self::LoadProgress,
        Self::LoadEnd,
    ];

    /// The kind with this number in the file format.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Its position in [`EventKind::ALL`].
    pub fn index(self) -> usize {
        let number = usize::from(self.number());
        // 1 to 13, then those from 64 on.
        if number < 64 { number - 1 } else { number - 64 + 13 }
    }

    /// Its number in the file format.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::SessionReady => "session ready",
            Self::RunStart => "run start",
            Self::RunEnd => "run end",
            Self::OpTimes => "op times",
            Self::Completed => "op completed",
            Self::Windows => "descriptor windows",
            Self::DeviceAllocated => "device allocation",
            Self::DeviceFreed => "device free",
            Self::HeapSample => "heap sample",
            Self::Dropped => "loss",
            Self::TraceCost => "trace cost",
            Self::Message => "message",
            Self::SessionEnd => "session end",
            Self::PlanRetired => "plan retired",
            Self::PoolReady => "pool ready",
            Self::PoolAllocated => "pool allocation",
            Self::PoolFreed => "pool free",
            Self::LoadStart => "load start",
            Self::LoadProgress => "load progress",
            Self::LoadEnd => "load end",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_number_and_index() {
        for (at, kind) in EventKind::ALL.into_iter().enumerate() {
            assert_eq!((kind.index(), EventKind::from_number(kind.number())), (at, Some(kind)));
        }
        assert_eq!((EventKind::from_number(0), EventKind::from_number(14)), (None, None));
    }
}
