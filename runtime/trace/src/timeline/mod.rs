//! The state of a session, folded from its records: what every view and report is drawn from.

pub(crate) mod alarms;
pub(crate) mod overlaps;
pub(crate) mod plan_state;
pub(crate) mod plan_sums;
pub(crate) mod playhead;
pub(crate) mod pool;
pub(crate) mod pool_history;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use crate::schema::event::{EventKind, Nanos, Severity};
use crate::schema::event_ref::EventRef;
use crate::schema::plan_record::PlanRecord;
use crate::schema::roofs::Roofs;
use crate::schema::session::{Keyframe, Record, SessionInfo};
use crate::schema::totals::Totals;
use crate::timeline::alarms::Alarm;
use crate::timeline::plan_state::PlanState;
use crate::timeline::pool::{Pool, PoolRange};
use crate::timeline::pool_history::PoolHistory;

/// Runs, heap samples and messages that are kept for drawing; older ones are forgotten, not their sums.
pub const HISTORY: usize = 512;

/// Plans of shapes that gave way to others whose buffers and ops are kept; of those that gave way before, only what was wrong
/// with them.
pub const RETIRED: usize = 64;

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
    /// Sums over all runs so far.
    pub totals: Totals,
    /// Dynamic pools, by their number.
    pub pools: BTreeMap<u32, Pool>,
    /// How they were filled over time, by their number.
    pub pool_histories: BTreeMap<u32, PoolHistory>,
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
    /// Bytes of weights that had arrived, at the latest moments of the latest load that told of it, oldest first.
    pub arrivals: VecDeque<(Nanos, u64)>,
    /// Events lost, by kind.
    pub dropped: BTreeMap<EventKind, u64>,
    /// Processor time spent on tracing, and time spent in runs.
    pub trace_cost: Option<(Nanos, Nanos)>,
    /// The latest messages, oldest first.
    pub messages: VecDeque<(Nanos, Severity, String)>,
    /// The plan of the latest run that began.
    latest_plan: Option<u32>,
    /// Plans whose shapes gave way, oldest first, as far as their buffers and ops are kept.
    retired: VecDeque<u32>,
    /// Sum of the sizes of `blocks`.
    device_bytes: u64,
    /// The blocks of `unplanned`, which keyframes restate.
    unplanned_ids: BTreeSet<u64>,
}

/// How many things are wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlarmCounts {
    /// Windows that are not where or when the plan has their buffer.
    pub deviation: u64,
    /// Pairs of buffers that share bytes while both are alive.
    pub overlap: u64,
    /// Blocks of device memory that no plan knows of.
    pub unplanned: u64,
}

impl AlarmCounts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.deviation.saturating_add(self.overlap).saturating_add(self.unplanned)
    }
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

impl HeapState {
    /// Bytes that the budget leaves out of the heap: other processes and the system hold them. `None` where the driver tells no
    /// budget.
    pub fn others(&self) -> Option<u64> {
        self.budget.map(|budget| self.size.saturating_sub(budget))
    }
}

impl Timeline {
    /// A timeline that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Folds one record in.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Session(session) => {
                // Another session may follow in the same file: what the former one left is not its own.
                if self.session.as_ref().is_some_and(|before| before.id != session.id) {
                    *self = Self::default();
                }
                self.session = Some(session);
            }
            Record::Plan { plan, record } => self.plan(plan, record),
            Record::Keyframe(keyframe) => self.keyframe(keyframe),
            Record::Event(event) => self.apply_event(event.as_ref()),
        }
    }

    /// The plan of the current run, else that of the latest run, else the newest.
    pub fn current_plan(&self) -> Option<(u32, &PlanState)> {
        let ran = || self.latest_plan.filter(|&at| (at as usize) < self.plans.len());
        let newest = || self.plans.len().checked_sub(1).map(|at| at as u32);
        let number = self.current.map(|run| run.plan).or_else(ran).or_else(newest)?;
        Some((number, self.plans.get(number as usize)?))
    }

    /// What is wrong: of every plan's windows, with the plan's number, then allocations outside the plan.
    pub fn alarms(&self) -> impl Iterator<Item = (Option<u32>, Alarm)> + '_ {
        let plans = (0..).zip(&self.plans);
        let windows = plans
            .flat_map(|(number, plan)| plan.alarms().iter().map(move |alarm| (Some(number), alarm.clone())));
        let blocks = self.unplanned.iter();
        let blocks = blocks.map(|block| (None, Alarm::Unplanned { block: block.id, bytes: block.bytes }));
        windows.chain(blocks)
    }

    /// How many things are wrong, by their sort; all are counted, even where [`Timeline::alarms`] lists only some.
    pub fn alarm_counts(&self) -> AlarmCounts {
        let sum = |count: fn(&PlanState) -> u64| self.plans.iter().map(count).fold(0, u64::saturating_add);
        AlarmCounts {
            deviation: sum(PlanState::deviations),
            overlap: sum(PlanState::overlaps),
            unplanned: self.unplanned.len() as u64,
        }
    }

    /// The first op of a plan that is not reached, `None` if all are: [`Timeline::playhead`] says how far it has come.
    pub fn reached(&self, plan: u32) -> Option<u32> {
        self.playhead(plan).reached()
    }

    /// Bytes of device memory that blocks hold.
    pub fn device_bytes(&self) -> u64 {
        self.device_bytes
    }

    /// Processor time of tracing / time of the runs; `None` where no run was measured.
    pub fn trace_share(&self) -> Option<f64> {
        let (ns, run_ns) = self.trace_cost.filter(|(_, run_ns)| *run_ns > 0)?;
        Some(ns as f64 / run_ns as f64)
    }

    /// What the device of the session does at most, where the recording says it.
    pub fn roofs(&self) -> Option<&Roofs> {
        self.session.as_ref()?.roofs.as_ref()
    }

    /// Events lost so far.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    fn plan(&mut self, number: u32, record: PlanRecord) {
        let number = number as usize;
        // Segments restate plans; numbers are given in order, so a gap means damage before this point.
        if self.plans.len() <= number {
            self.plans.resize_with(number + 1, PlanState::default);
        }
        let plan = &mut self.plans[number];
        if plan.record.ops.is_empty() && plan.record.buffers.is_empty() && !plan.retired {
            *plan = PlanState::new(record);
        }
    }

    /// Takes over the state where records before it are missing.
    fn keyframe(&mut self, keyframe: Keyframe) {
        self.blocks.clear();
        self.device_bytes = 0;
        self.pools.clear();
        self.current = None;
        // What is restated did not happen again: pools do not grow by it.
        let histories = core::mem::take(&mut self.pool_histories);
        for event in &keyframe.state {
            self.apply_event(event.as_ref());
        }
        self.pool_histories = histories;
        self.now = self.now.max(keyframe.t);
        self.runs_started = keyframe.runs_started;
        self.runs_ok = keyframe.runs_ok;
        self.runs_failed = keyframe.runs_failed;
        self.dropped = keyframe.dropped.into_iter().collect();
        for (pool, totals) in keyframe.pools {
            self.pools.entry(pool).or_default().totals = totals;
        }
        for (plan, sums) in &keyframe.plans {
            if let Some(plan) = self.plans.get_mut(*plan as usize).filter(|plan| !plan.forgotten) {
                plan.restate(sums);
            }
        }
        if self.runs_started <= self.runs_ok + self.runs_failed {
            self.current = None;
        }
        if let Some(totals) = keyframe.totals {
            self.totals.restate(*totals, self.current.map(|run| (run.run, run.start)));
        }
    }

    /// Folds one event in, as [`Timeline::apply`] does with a record.
    #[inline]
    pub fn apply_event(&mut self, event: EventRef<'_>) {
        self.now = self.now.max(event.time());
        self.totals.apply(event);
        match event {
            EventRef::RunStart { run, plan, t } => {
                self.runs_started += 1;
                self.latest_plan = Some(plan);
                self.current = Some(CurrentRun { run, plan, start: t, playhead: None });
            }
            EventRef::RunEnd { run, t, ok } => self.run_ended(run, t, ok),
            EventRef::OpTimes { plan, first_op, times, .. } => {
                if let Some(plan) = self.plans.get_mut(plan as usize) {
                    plan.add_op_times(first_op, times);
                }
            }
            EventRef::Completed { run, op, .. } => {
                if let Some(current) = self.current.as_mut().filter(|current| current.run == run) {
                    current.playhead = Some(current.playhead.map_or(op, |before| before.max(op)));
                }
            }
            EventRef::PoolAllocated { t, pool, id, offset, bytes } => {
                self.pools.entry(pool).or_default().allocate(id, PoolRange { t, offset, bytes });
                self.note_pool(pool, t);
            }
            EventRef::PoolFreed { pool, id, t } => {
                if let Some(pool) = self.pools.get_mut(&pool) {
                    pool.free(id);
                }
                self.note_pool(pool, t);
            }
            _ => self.apply_rare(event),
        }
    }

    fn note_pool(&mut self, pool: u32, t: Nanos) {
        if let Some(state) = self.pools.get(&pool) {
            self.pool_histories.entry(pool).or_default().note(t, state);
        }
    }

    fn apply_rare(&mut self, event: EventRef<'_>) {
        match event {
            EventRef::SessionReady { t } => self.ready = Some(t),
            EventRef::Windows { recording, plan, part, windows, .. } => {
                if let Some(plan) = self.plans.get_mut(plan as usize) {
                    plan.add_windows(recording, part, windows);
                }
            }
            EventRef::DeviceAllocated { t, id, bytes, memory_type, purpose, planned } => {
                let block = Block { id, t, bytes, memory_type, purpose: String::from(purpose), planned };
                self.allocated(block);
            }
            EventRef::DeviceFreed { id, .. } => {
                let freed = self.blocks.remove(&id).map_or(0, |block| block.bytes);
                self.device_bytes = self.device_bytes.saturating_sub(freed);
            }
            EventRef::HeapSample { t, heap, size, usage, budget } => {
                let state = self.heaps.entry(heap).or_default();
                (state.size, state.usage, state.budget) = (size, usage, budget);
                keep(&mut state.history, (t, usage));
            }
            EventRef::Dropped { count, kind, .. } => {
                let total = self.dropped.entry(kind).or_default();
                *total = total.saturating_add(count);
            }
            EventRef::TraceCost { ns, run_ns, .. } => self.trace_cost = Some((ns, run_ns)),
            EventRef::Message { t, level, text } => keep(&mut self.messages, (t, level, String::from(text))),
            EventRef::PlanRetired { plan, .. } => self.retire(plan),
            EventRef::PoolReady { pool, bytes, name, .. } => {
                let pool = self.pools.entry(pool).or_default();
                (pool.bytes, pool.name) = (bytes, String::from(name));
            }
            EventRef::LoadStart { t, .. } => {
                self.arrivals.clear();
                self.arrivals.push_back((t, 0));
            }
            EventRef::LoadProgress { t, .. } => {
                let arrived = self.totals.loads.latest.map_or(0, |load| load.loading.arrived());
                keep(&mut self.arrivals, (t, arrived));
            }
            EventRef::SessionEnd { t } => {
                self.ended = Some(t);
                self.current = None;
            }
            // Folded by `apply_event`.
            _ => {}
        }
    }

    fn allocated(&mut self, block: Block) {
        if !block.planned && self.unplanned_ids.insert(block.id) {
            self.unplanned.push(block.clone());
        }
        let bytes = block.bytes;
        let before = self.blocks.insert(block.id, block).map_or(0, |block| block.bytes);
        self.device_bytes = self.device_bytes.saturating_sub(before).saturating_add(bytes);
        self.totals.note_device_bytes(self.device_bytes);
    }

    /// A plan's shape gave way: a session that meets ever other shapes must not fill the memory of who watches it.
    fn retire(&mut self, plan: u32) {
        let Some(state) = self.plans.get_mut(plan as usize).filter(|state| !state.retired) else { return };
        state.retire();
        self.retired.push_back(plan);
        // The one on show stays as long as nothing else runs.
        let hidden = |plan: &u32| Some(*plan) != self.latest_plan;
        while self.retired.len() > RETIRED {
            let Some(oldest) = self.retired.pop_front() else { return };
            if let Some(state) = self.plans.get_mut(oldest as usize).filter(|_| hidden(&oldest)) {
                state.forget();
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
}

/// Appends to a bounded history.
fn keep<T>(history: &mut VecDeque<T>, item: T) {
    if history.len() == HISTORY {
        history.pop_front();
    }
    history.push_back(item);
}
