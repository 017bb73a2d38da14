//! The state of a session, folded from its records: what every view and report is drawn from.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use crate::alarms::{Alarm, alarms};
use crate::event::{Event, EventKind, Nanos, Severity, Window};
use crate::plan_record::PlanRecord;
use crate::session::{Keyframe, Record, SessionInfo};

/// Runs, heap samples and messages that are kept for drawing; older ones are forgotten, not their sums.
pub const HISTORY: usize = 512;

/// Everything known of a session so far.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// Who made the recording.
    pub session: Option<SessionInfo>,
    /// The plans of the session, by their number.
    pub plans: Vec<PlanState>,
    /// The time of the latest record.
    pub now: Nanos,
    /// When the session was ready to run.
    pub ready: Option<Nanos>,
    /// When the session ended in order.
    pub ended: Option<Nanos>,
    /// Runs submitted so far.
    pub runs_started: u64,
    /// Runs that succeeded so far.
    pub runs_ok: u64,
    /// Runs that failed so far.
    pub runs_failed: u64,
    /// The run in progress.
    pub current: Option<CurrentRun>,
    /// The latest finished runs, oldest first.
    pub runs: VecDeque<FinishedRun>,
    /// Live blocks of device memory, by their number.
    pub blocks: BTreeMap<u64, Block>,
    /// Blocks allocated outside the plan so far, freed ones too.
    pub unplanned: Vec<Block>,
    /// The latest sample of each heap.
    pub heaps: BTreeMap<u32, HeapState>,
    /// Events lost, by kind.
    pub dropped: BTreeMap<EventKind, u64>,
    /// Processor time spent on tracing, and time spent in runs.
    pub trace_cost: Option<(Nanos, Nanos)>,
    /// The latest messages, oldest first.
    pub messages: VecDeque<(Nanos, Severity, String)>,
}

/// A plan and what was seen of it.
#[derive(Clone, Debug, Default)]
pub struct PlanState {
    /// The plan.
    pub record: PlanRecord,
    /// The windows of the newest command buffer, as they were bound.
    pub windows: Vec<Window>,
    /// Which recording they belong to.
    pub recording: Option<u32>,
    /// Where each buffer was seen, by buffer.
    pub actual: Vec<Option<Actual>>,
    /// What is wrong with the windows.
    pub alarms: Vec<Alarm>,
    /// Device times of each op, by op.
    pub op_times: Vec<OpTime>,
    /// Runs of this plan that ended.
    pub runs: u64,
}

/// Where and when a buffer was seen in the recorded commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actual {
    /// First op whose window touches it.
    pub first: u32,
    /// One past the last such op.
    pub last: u32,
    /// Arena it was seen in ([`crate::UNPLANNED`] for none of the plan's).
    pub arena: u32,
    /// First byte seen.
    pub offset: u64,
    /// One past the last byte seen.
    pub end: u64,
}

/// Device time of one op.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpTime {
    /// Nanoseconds in the latest run.
    pub latest: Nanos,
    /// Sum over all runs seen.
    pub total: Nanos,
    /// Runs seen.
    pub count: u64,
}

/// The run in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentRun {
    /// Its number.
    pub run: u64,
    /// The plan it runs.
    pub plan: u32,
    /// When it was submitted.
    pub start: Nanos,
    /// The last op seen complete.
    pub playhead: Option<u32>,
}

/// A run that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishedRun {
    /// Its number.
    pub run: u64,
    /// When it was submitted.
    pub start: Nanos,
    /// When it ended.
    pub end: Nanos,
    /// Whether it succeeded.
    pub ok: bool,
}

/// A block of device memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its number.
    pub id: u64,
    /// When it was allocated.
    pub t: Nanos,
    /// Its size.
    pub bytes: u64,
    /// Its memory type.
    pub memory_type: u32,
    /// What for.
    pub purpose: String,
    /// Whether the session planned it.
    pub planned: bool,
}

/// A heap's latest sample, and the usages before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeapState {
    /// Size in bytes.
    pub size: u64,
    /// Bytes in use.
    pub usage: u64,
    /// Bytes that may be used, where the driver tells.
    pub budget: Option<u64>,
    /// The latest samples of usage, oldest first.
    pub history: VecDeque<(Nanos, u64)>,
}

impl Timeline {
    /// A timeline that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Folds one record in.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Session(session) => self.session = Some(session),
            Record::Plan { plan, record } => self.plan(plan, record),
            Record::Keyframe(keyframe) => self.keyframe(keyframe),
            Record::Event(event) => self.event(event),
        }
    }

    /// The plan of the current run, else the newest one that ran, else the newest.
    pub fn current_plan(&self) -> Option<(u32, &PlanState)> {
        let ran = || self.plans.iter().rposition(|plan| plan.runs > 0).map(|at| at as u32);
        let newest = || self.plans.len().checked_sub(1).map(|at| at as u32);
        let number = self.current.map(|run| run.plan).or_else(ran).or_else(newest)?;
        Some((number, self.plans.get(number as usize)?))
    }

    /// What is wrong: of every plan's windows, then allocations outside the plan.
    pub fn alarms(&self) -> impl Iterator<Item = Alarm> + '_ {
        let windows = self.plans.iter().flat_map(|plan| plan.alarms.iter().cloned());
        let blocks =
            self.unplanned.iter().map(|block| Alarm::Unplanned { block: block.id, bytes: block.bytes });
        windows.chain(blocks)
    }

    /// Events lost so far.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    fn plan(&mut self, number: u32, record: PlanRecord) {
        let number = number as usize;
        // Segments restate plans; numbers are given in order, so a gap means damage before this point.
        if self.plans.len() <= number {
            self.plans.resize_with(number + 1, PlanState::default);
        }
        let plan = &mut self.plans[number];
        if plan.record.ops.is_empty() && plan.record.buffers.is_empty() {
            plan.op_times = alloc::vec![OpTime::default(); record.ops.len()];
            plan.actual = alloc::vec![None; record.buffers.len()];
            plan.record = record;
        }
    }

    /// Takes over the state where records before it are missing.
    fn keyframe(&mut self, keyframe: Keyframe) {
        self.blocks.clear();
        self.heaps.clear();
        self.current = None;
        for event in keyframe.state {
            self.event(event);
        }
        self.now = self.now.max(keyframe.t);
        self.runs_started = keyframe.runs_started;
        self.runs_ok = keyframe.runs_ok;
        self.runs_failed = keyframe.runs_failed;
        self.dropped = keyframe.dropped.into_iter().collect();
        if self.runs_started <= self.runs_ok + self.runs_failed {
            self.current = None;
        }
    }

    fn event(&mut self, event: Event) {
        self.now = self.now.max(event.time());
        match event {
            Event::SessionReady { t } => self.ready = Some(t),
            Event::RunStart { run, plan, t } => {
                self.runs_started += 1;
                self.current = Some(CurrentRun { run, plan, start: t, playhead: None });
            }
            Event::RunEnd { run, t, ok } => self.run_ended(run, t, ok),
            Event::OpTimes { plan, first_op, times, .. } => self.op_times(plan, first_op, &times),
            Event::Completed { run, op, .. } => {
                if let Some(current) = self.current.as_mut().filter(|current| current.run == run) {
                    current.playhead = Some(current.playhead.map_or(op, |before| before.max(op)));
                }
            }
            Event::Windows { recording, plan, part, windows, .. } => {
                self.windows(plan, recording, part, windows);
            }
            Event::DeviceAllocated { t, id, bytes, memory_type, purpose, planned } => {
                let block = Block { id, t, bytes, memory_type, purpose, planned };
                if !planned && self.unplanned.iter().all(|known| known.id != id) {
                    self.unplanned.push(block.clone());
                }
                self.blocks.insert(id, block);
            }
            Event::DeviceFreed { id, .. } => {
                self.blocks.remove(&id);
            }
            Event::HeapSample { t, heap, size, usage, budget } => {
                let state = self.heaps.entry(heap).or_default();
                (state.size, state.usage, state.budget) = (size, usage, budget);
                keep(&mut state.history, (t, usage));
            }
            Event::Dropped { count, kind, .. } => {
                let total = self.dropped.entry(kind).or_default();
                *total = total.saturating_add(count);
            }
            Event::TraceCost { ns, run_ns, .. } => self.trace_cost = Some((ns, run_ns)),
            Event::Message { t, level, text } => keep(&mut self.messages, (t, level, text)),
            Event::SessionEnd { t } => {
                self.ended = Some(t);
                self.current = None;
            }
        }
    }

    fn run_ended(&mut self, run: u64, t: Nanos, ok: bool) {
        if ok {
            self.runs_ok += 1;
        } else {
            self.runs_failed += 1;
        }
        let Some(current) = self.current.take_if(|current| current.run == run) else { return };
        if let Some(plan) = self.plans.get_mut(current.plan as usize) {
            plan.runs += 1;
        }
        keep(&mut self.runs, FinishedRun { run, start: current.start, end: t, ok });
    }

    fn op_times(&mut self, plan: u32, first_op: u32, times: &[(Nanos, Nanos)]) {
        let Some(plan) = self.plans.get_mut(plan as usize) else { return };
        for (op, (start, end)) in plan.op_times.iter_mut().skip(first_op as usize).zip(times) {
            op.latest = end.saturating_sub(*start);
            op.total = op.total.saturating_add(op.latest);
            op.count += 1;
        }
    }

    fn windows(&mut self, plan: u32, recording: u32, part: u32, windows: Vec<Window>) {
        let Some(plan) = self.plans.get_mut(plan as usize) else { return };
        if part == 0 {
            plan.windows.clear();
            plan.recording = Some(recording);
        } else if plan.recording != Some(recording) {
            return;
        }
        plan.windows.extend(windows);
        plan.actual = actual(&plan.record, &plan.windows);
        plan.alarms = alarms(&plan.record, &plan.windows, &plan.actual);
    }
}

/// The span of each buffer over the windows bound for it.
fn actual(plan: &PlanRecord, windows: &[Window]) -> Vec<Option<Actual>> {
    let mut seen: Vec<Option<Actual>> = alloc::vec![None; plan.buffers.len()];
    for window in windows {
        let Some(slot) = seen.get_mut(window.buffer as usize) else { continue };
        let (op, end) = (window.op, window.offset.saturating_add(window.len));
        let new = Actual { first: op, last: op + 1, arena: window.arena, offset: window.offset, end };
        *slot = Some(slot.map_or(new, |old| Actual {
            first: old.first.min(op),
            last: old.last.max(op + 1),
            arena: window.arena,
            offset: old.offset.min(window.offset),
            end: old.end.max(end),
        }));
    }
    seen
}

/// Appends to a bounded history.
fn keep<T>(history: &mut VecDeque<T>, item: T) {
    if history.len() == HISTORY {
        history.pop_front();
    }
    history.push_back(item);
}
