//! What was seen of one plan: the windows bound for its buffers, and what follows from them.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::OnceCell;

use crate::quantities::PlanFigures;
use crate::schema::event::{Nanos, UNPLANNED, Window};
use crate::schema::plan_record::{BufferKind, BufferRecord, PlanRecord};
use crate::timeline::alarms::{Alarm, Alarms};
use crate::timeline::plan_sums::{PlanSums, add_op_times};

/// A plan and what was seen of it. A copy shares what is large: a state is kept and shown while the next one is folded.
#[derive(Clone, Debug, Default)]
pub struct PlanState {
    /// The plan.
    pub record: Arc<PlanRecord>,
    /// The windows of the newest command buffer, as they were bound.
    pub windows: Arc<Vec<Window>>,
    /// Which recording they belong to.
    pub recording: Option<u32>,
    /// Parts of that recording's windows are missing.
    pub incomplete: bool,
    /// Where each buffer was seen within the bytes that the plan gives it, by buffer.
    pub actual: Arc<Vec<Option<Actual>>>,
    /// Where buffers were seen outside the bytes that the plan gives them.
    pub strays: Vec<Stray>,
    /// Device times of each op, by op.
    pub op_times: Vec<OpTime>,
    /// Runs of this plan that ended.
    pub runs: u64,
    /// Whether its shape gave way to others: no later run is of it.
    pub retired: bool,
    /// Whether its buffers and ops are not kept any more, since many shapes came after it.
    pub forgotten: bool,
    /// Whether some buffers are views of others, so that several share a storage.
    pub(crate) has_views: bool,
    /// The part of the windows that comes next.
    next_part: u32,
    /// Position in `strays` by buffer, arena, offset and end.
    stray_at: BTreeMap<(u32, u32, u64, u64), usize>,
    /// Found when first asked for, forgotten when windows arrive: windows come in parts, comparing them all is work.
    alarms: OnceCell<Arc<Alarms>>,
    /// As the alarms are.
    figures: OnceCell<Arc<PlanFigures>>,
}

/// Where and when a buffer was seen in the recorded commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actual {
    /// First op whose window touches it.
    pub first: u32,
    /// One past the last such op.
    pub last: u32,
    /// Arena it was seen in ([`UNPLANNED`] for none of the plan's).
    pub arena: u32,
    /// First byte seen.
    pub offset: u64,
    /// One past the last byte seen.
    pub end: u64,
}

/// Bytes bound for a buffer outside the bytes that the plan gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stray {
    /// The buffer the windows were bound for ([`UNPLANNED`] for none of the plan's).
    pub buffer: u32,
    /// Where and when.
    pub seen: Actual,
}

/// Device time of one op.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpTime {
    /// Nanoseconds in the latest run.
    pub latest: Nanos,
    /// Nanoseconds in the first run: a cold one, which fills caches and builds pipelines. `None` where that run is not
    /// known, as in what keyframes of recordings before format 1.4 restate.
    pub first: Option<Nanos>,
    /// Sum over all runs seen.
    pub total: Nanos,
    /// Runs seen.
    pub count: u64,
}

impl OpTime {
    /// Adds what one run took.
    #[inline]
    pub(crate) fn add(&mut self, took: Nanos) {
        if self.count == 0 {
            self.first = Some(took);
        }
        self.latest = took;
        self.total = self.total.saturating_add(took);
        self.count = self.count.saturating_add(1);
    }

    /// Whether the mean leaves the first run out: where others were timed behind it.
    pub fn is_warm(&self) -> bool {
        self.first.is_some() && self.count > 1
    }

    /// The runs that the mean is of.
    pub fn averaged(&self) -> u64 {
        self.count - u64::from(self.is_warm())
    }

    /// The mean over the runs seen, rounded down: without the first, which is often far slower, where others were timed and
    /// the first is known. `None` where no run was timed.
    pub fn mean(&self) -> Option<Nanos> {
        let cold = self.first.filter(|_| self.is_warm()).unwrap_or(0);
        self.total.saturating_sub(cold).checked_div(self.averaged())
    }
}

impl Actual {
    fn of(window: &Window) -> Self {
        let end = window.offset.saturating_add(window.len);
        let last = window.op.saturating_add(1);
        Self { first: window.op, last, arena: window.arena, offset: window.offset, end }
    }

    /// The smallest span over both.
    pub(crate) fn join(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            arena: self.arena,
            offset: self.offset.min(other.offset),
            end: self.end.max(other.end),
        }
    }
}

impl PlanState {
    /// The state of a plan of which nothing was seen yet.
    pub fn new(record: PlanRecord) -> Self {
        Self {
            op_times: alloc::vec![OpTime::default(); record.ops.len()],
            actual: Arc::new(alloc::vec![None; record.buffers.len()]),
            has_views: record.buffers.iter().any(|buffer| buffer.alias_of.is_some()),
            record: Arc::new(record),
            ..Self::default()
        }
    }

    /// Keeps the plan where `other` keeps it, if it is the same plan: one copy in memory for two states of a session.
    pub fn share_record(&mut self, other: &Self) {
        if !Arc::ptr_eq(&self.record, &other.record) && self.record == other.record {
            self.record = Arc::clone(&other.record);
        }
    }

    /// What is wrong with the windows: deviations in the order of the windows, then overlaps.
    pub fn alarms(&self) -> &[Alarm] {
        &self.found().list
    }

    /// How many deviations there are; exact even where [`PlanState::alarms`] lists only the first of them.
    pub fn deviations(&self) -> u64 {
        self.found().deviations
    }

    /// How many overlaps there are; the search ends at a limit, since their number can grow with the square of the
    /// number of buffers.
    pub fn overlaps(&self) -> u64 {
        self.found().overlaps
    }

    fn found(&self) -> &Alarms {
        let find = || Arc::new(Alarms::find(&self.record, &self.windows, &self.actual, &self.strays));
        self.alarms.get_or_init(find)
    }

    /// The figures of the plan and of its arenas; of a forgotten plan those that it had.
    pub(crate) fn figures(&self) -> &PlanFigures {
        self.figures.get_or_init(|| Arc::new(PlanFigures::new(self)))
    }

    /// Takes one part of the windows of a command buffer.
    pub(crate) fn add_windows(&mut self, recording: u32, part: u32, windows: &[Window]) {
        if part == 0 || self.recording != Some(recording) {
            self.windows = Arc::default();
            Arc::make_mut(&mut self.actual).fill(None);
            self.strays.clear();
            self.stray_at.clear();
            self.recording = Some(recording);
            (self.next_part, self.incomplete) = (0, false);
        }
        self.incomplete |= part != self.next_part;
        self.next_part = part.saturating_add(1);
        // Taken out, so that it is asked once for all windows whether somebody else holds a copy.
        let mut actual = core::mem::take(&mut self.actual);
        let slots = Arc::make_mut(&mut actual);
        for window in windows.iter().filter(|window| window.len > 0) {
            self.see(slots, window);
        }
        self.actual = actual;
        Arc::make_mut(&mut self.windows).extend_from_slice(windows);
        self.alarms.take();
        self.figures.take();
    }

    fn see(&mut self, slots: &mut [Option<Actual>], window: &Window) {
        let seen = Actual::of(window);
        if let Some(buffer) = self.record.buffers.get(window.buffer as usize) {
            let home =
                window.arena == buffer.arena && window.offset >= buffer.offset && seen.end <= buffer.end();
            if let (true, Some(slot)) = (home, slots.get_mut(window.buffer as usize)) {
                *slot = Some(slot.map_or(seen, |before| before.join(seen)));
                return;
            }
        } else if window.arena == UNPLANNED {
            // Memory of others for others: nothing of the plan is touched.
            return;
        }
        let key = (window.buffer, seen.arena, seen.offset, seen.end);
        let at = *self.stray_at.entry(key).or_insert(self.strays.len());
        match self.strays.get_mut(at) {
            Some(stray) => stray.seen = stray.seen.join(seen),
            None => self.strays.push(Stray { buffer: window.buffer, seen }),
        }
    }

    /// The plan is not at hand any more. What was wrong with it stays known; unless something was, its windows are
    /// forgotten, which are most of what is kept of a plan.
    pub(crate) fn retire(&mut self) {
        if self.found().list.is_empty() {
            self.windows = Arc::default();
            self.stray_at.clear();
        }
        self.retired = true;
    }

    /// Forgets the plan itself, but for its shape, unless something was wrong with it.
    pub(crate) fn forget(&mut self) {
        if !self.found().list.is_empty() {
            return;
        }
        // Kept: what a session needs is what its largest plan needs.
        self.figures();
        let record = core::mem::take(&mut self.record);
        let (model, target) = (record.model.clone(), record.target.clone());
        let (dims, strategy) = (record.dims.clone(), record.strategy.clone());
        self.record = Arc::new(PlanRecord { model, target, dims, strategy, ..PlanRecord::default() });
        (self.actual, self.op_times) = (Arc::default(), Vec::new());
        self.forgotten = true;
    }

    /// Adds the device times of consecutive ops of a run.
    pub(crate) fn add_op_times(&mut self, first_op: u32, times: &[(Nanos, Nanos)]) {
        add_op_times(&mut self.op_times, first_op, times);
    }

    /// Takes over what a keyframe says of the runs so far.
    pub(crate) fn restate(&mut self, sums: &PlanSums) {
        self.runs = sums.runs;
        // What the keyframe leaves out was never seen.
        let none = alloc::vec![OpTime::default(); self.op_times.len()];
        let seen = core::mem::replace(&mut self.op_times, none);
        for (at, restated) in &sums.op_times {
            let before = seen.get(*at as usize).copied().unwrap_or_default();
            if let Some(op) = self.op_times.get_mut(*at as usize) {
                // A first run that was seen stays known, though the keyframe is too old to tell it.
                *op = OpTime { first: restated.first.or(before.first), ..*restated };
            }
        }
    }
}

/// The ops during which the bytes of a buffer are taken, by what was seen. No window shows when the caller writes an
/// input or lets an output go, nor that resident bytes stay: there the plan's word is taken.
pub(crate) fn taken(buffer: &BufferRecord, ops: u32, seen: Actual) -> (u32, u32) {
    match buffer.kind {
        BufferKind::Input => (seen.first.min(buffer.first), seen.last),
        BufferKind::Output => (seen.first, seen.last.max(buffer.last)),
        BufferKind::Weight | BufferKind::Constant => (0, ops),
        BufferKind::Activation | BufferKind::Scratch => (seen.first, seen.last),
    }
}
