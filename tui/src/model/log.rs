//! What happened in a session, for people to read: bounded, however long it is.
//!
//! Each sort of thing has a ring of its own, so that a million allocations never push out the one warning. Runs are many: the
//! older they are, the more of them stand in one entry. What a ring has forgotten it counts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bayplan_trace::{Alarm, EventKind, EventRef, Load, Nanos, Record, Severity, Timeline};

/// Entries of a ring.
const MOST: usize = 1000;
/// Entries of runs.
const MOST_RUNS: usize = 256;
/// Use of a heap that is told, in percent of its budget; and what it must fall below to be told again.
const HIGH: u64 = 90;
const EASED: u64 = 85;

/// How much something matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    /// Good to know.
    Note,
    /// Should be looked at.
    Warning,
    /// Something is wrong or failed.
    Alarm,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Its number: later ones have larger numbers.
    pub(crate) number: u32,
    /// When.
    pub(crate) t: Nanos,
    /// What.
    pub(crate) what: What,
}

/// What happened. Texts are as they were recorded: escape them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// The recording was begun.
    Began,
    /// The session was ready to run.
    Ready,
    /// The session ended in order.
    Ended,
    /// A plan came.
    Plan(u32),
    /// A plan gave way to others.
    Retired(u32),
    /// Runs of a plan that succeeded, one after the other.
    Runs(Runs),
    /// A run that failed, its plan and how long it took.
    Failed { run: u64, plan: u32, took: Nanos },
    /// Device memory was allocated.
    Allocated { bytes: u64, memory_type: u32, purpose: Arc<str>, planned: bool },
    /// Device memory was freed.
    Freed { bytes: u64, purpose: Arc<str> },
    /// Nearly all of a heap's budget came into use.
    HeapHigh { heap: u32, usage: u64, budget: u64 },
    /// Less of it was in use again.
    HeapEased { heap: u32, usage: u64, budget: u64 },
    /// Events were lost.
    Dropped { kind: EventKind, count: u64 },
    /// A message.
    Message { level: Severity, text: Arc<str> },
    /// A pool was made, or its size changed from another.
    Pool { bytes: u64, before: Option<u64>, name: Arc<str> },
    /// A place that somebody marked.
    Mark { name: Arc<str>, place: Arc<str> },
    /// Weights were loaded, or loading them failed.
    Loaded(Load),
    /// Something that is not as planned was seen first.
    Alarm { plan: u32, alarm: Alarm },
}

/// Runs of a plan that succeeded, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Runs {
    /// The plan.
    pub(crate) plan: u32,
    /// The first one.
    pub(crate) first: u64,
    /// The last one.
    pub(crate) last: u64,
    /// How many they are.
    pub(crate) count: u64,
    /// The shortest time of one, and the longest.
    pub(crate) took: (Nanos, Nanos),
}

impl What {
    /// How much it matters.
    pub(crate) fn grade(&self) -> Grade {
        match self {
            Self::Alarm { .. } | Self::Failed { .. } | Self::Allocated { planned: false, .. } => Grade::Alarm,
            Self::Message { level: Severity::Error, .. } | Self::Loaded(Load { ok: false, .. }) => {
                Grade::Alarm
            }
            Self::HeapHigh { .. } | Self::Dropped { .. } => Grade::Warning,
            Self::Message { level: Severity::Warning, .. } => Grade::Warning,
            _ => Grade::Note,
        }
    }

    /// Which ring it stands in.
    fn ring(&self) -> usize {
        match self {
            Self::Alarm { .. } => 0,
            Self::Failed { .. }
            | Self::Loaded(Load { ok: false, .. })
            | Self::Message { level: Severity::Error, .. } => 1,
            Self::HeapHigh { .. } | Self::HeapEased { .. } | Self::Dropped { .. } => 2,
            Self::Message { level: Severity::Warning, .. } => 3,
            Self::Message { .. } => 4,
            Self::Allocated { planned: false, .. } => 5,
            Self::Allocated { .. } | Self::Freed { .. } | Self::Pool { .. } => 6,
            Self::Runs(_) => RUNS,
            Self::Mark { .. }
            | Self::Loaded(_)
            | Self::Began
            | Self::Ready
            | Self::Ended
            | Self::Plan(_)
            | Self::Retired(_) => 8,
        }
    }
}

/// The ring of runs.
const RUNS: usize = 7;

/// The latest entries of a sort.
#[derive(Clone, Debug, Default)]
struct Ring {
    entries: VecDeque<Entry>,
    /// How many older things are not kept.
    forgotten: u64,
}

/// What happened so far. Cheap to copy: copies share what has not changed since.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    rings: [Arc<Ring>; 9],
    next: u32,
    /// Heaps of which little is left.
    high: BTreeSet<u32>,
    /// Runs that have not ended: number, plan, start.
    open: Vec<(u64, u32, Nanos)>,
    /// Plans whose windows have come since alarms were looked for, with when.
    windows: BTreeMap<u32, Nanos>,
    /// Alarms that were told: of which plan, of which sort, about what.
    told: Arc<BTreeSet<AlarmKey>>,
}

type AlarmKey = (u32, u8, u32, u32);

impl Log {
    /// Takes one record in that is no event, before the timeline does.
    pub(crate) fn record(&mut self, record: &Record, before: &Timeline) {
        match record {
            // Later segments of the file restate both.
            Record::Session(_) if before.session.is_none() => self.add(0, What::Began),
            Record::Plan { plan, .. } if before.plans.get(*plan as usize).is_none_or(is_unknown) => {
                self.add(before.now, What::Plan(*plan));
            }
            _ => {}
        }
    }

    /// Takes one event in, before the timeline does.
    #[inline]
    pub(crate) fn event(&mut self, event: EventRef<'_>, before: &Timeline) {
        match event {
            EventRef::OpTimes { .. }
            | EventRef::Completed { .. }
            | EventRef::TraceCost { .. }
            | EventRef::PoolAllocated { .. }
            | EventRef::PoolFreed { .. } => {}
            EventRef::RunStart { run, plan, t } => {
                if self.open.len() < 64 {
                    self.open.push((run, plan, t));
                }
            }
            EventRef::RunEnd { run, t, ok } => self.run_ended(run, t, ok),
            other => self.rare(other, before),
        }
    }

    fn rare(&mut self, event: EventRef<'_>, before: &Timeline) {
        match event {
            EventRef::SessionReady { t } => self.add(t, What::Ready),
            EventRef::SessionEnd { t } => self.add(t, What::Ended),
            EventRef::PlanRetired { t, plan } => self.add(t, What::Retired(plan)),
            EventRef::Windows { t, plan, .. } => {
                self.windows.entry(plan).or_insert(t);
            }
            EventRef::DeviceAllocated { t, bytes, memory_type, purpose, planned, .. } => {
                self.add(t, What::Allocated { bytes, memory_type, purpose: purpose.into(), planned });
            }
            EventRef::DeviceFreed { t, id } => {
                let block = before.blocks.get(&id);
                let (bytes, purpose) = block.map_or((0, ""), |block| (block.bytes, &*block.purpose));
                self.add(t, What::Freed { bytes, purpose: purpose.into() });
            }
            EventRef::HeapSample { t, heap, usage, budget: Some(budget), .. } => {
                self.heap(t, heap, usage, budget);
            }
            EventRef::LoadEnd { t, .. } => {
                let mut loads = before.totals.loads;
                loads.apply(event);
                if let Some(load) = loads.latest {
                    self.add(t, What::Loaded(load));
                }
            }
            EventRef::Dropped { t, count, kind } => self.dropped(t, count, kind),
            EventRef::Message { t, level, text } => self.add(t, What::Message { level, text: text.into() }),
            EventRef::PoolReady { t, pool, bytes, name } => {
                let before = before.pools.get(&pool).map(|pool| pool.bytes).filter(|bytes| *bytes > 0);
                if before != Some(bytes) {
                    self.add(t, What::Pool { bytes, before, name: name.into() });
                }
            }
            _ => {}
        }
    }

    fn heap(&mut self, t: Nanos, heap: u32, usage: u64, budget: u64) {
        let percent = u128::from(usage) * 100 / u128::from(budget.max(1));
        if percent >= u128::from(HIGH) && self.high.insert(heap) {
            self.add(t, What::HeapHigh { heap, usage, budget });
        } else if percent < u128::from(EASED) && self.high.remove(&heap) {
            self.add(t, What::HeapEased { heap, usage, budget });
        }
    }

    /// Losses of one kind, one after the other, are one entry.
    fn dropped(&mut self, t: Nanos, count: u64, kind: EventKind) {
        let new = What::Dropped { kind, count };
        let ring = Arc::make_mut(&mut self.rings[new.ring()]);
        if let Some(Entry { what: What::Dropped { kind: last, count: sum }, .. }) = ring.entries.back_mut()
            && *last == kind
        {
            *sum = sum.saturating_add(count);
            return;
        }
        self.add(t, new);
    }

    fn run_ended(&mut self, run: u64, t: Nanos, ok: bool) {
        let Some(at) = self.open.iter().rposition(|(open, ..)| *open == run) else { return };
        let (_, plan, start) = self.open.remove(at);
        let took = t.saturating_sub(start);
        if ok {
            self.add(start, What::Runs(Runs { plan, first: run, last: run, count: 1, took: (took, took) }));
        } else {
            self.add(start, What::Failed { run, plan, took });
        }
    }

    fn add(&mut self, t: Nanos, what: What) {
        let at = what.ring();
        let ring = Arc::make_mut(&mut self.rings[at]);
        let most = if at == RUNS { MOST_RUNS } else { MOST };
        if at == RUNS && ring.entries.len() == most {
            join_older(&mut ring.entries);
        }
        if ring.entries.len() >= most {
            let forgotten = ring.entries.pop_front().map_or(0, |entry| entry.count());
            ring.forgotten = ring.forgotten.saturating_add(forgotten);
        }
        ring.entries.push_back(Entry { number: self.next, t, what });
        self.next = self.next.wrapping_add(1);
    }

    /// Notes what is wrong with the windows that have come since this was asked last: at most once for each buffer or pair.
    pub(crate) fn note_alarms(&mut self, timeline: &Timeline) {
        for (plan, t) in std::mem::take(&mut self.windows) {
            let alarms = timeline.plans.get(plan as usize).map_or(&[][..], |plan| plan.alarms());
            for alarm in alarms {
                let key = match *alarm {
                    Alarm::Moved { buffer, arenas, .. } => (plan, 0, buffer, arenas.1),
                    Alarm::Late { buffer, op, .. } => (plan, 1, buffer, op),
                    Alarm::Overlap { a, b, .. } => (plan, 2, a, b),
                    Alarm::Unplanned { .. } => continue,
                };
                // The oldest are those that a search for a cause wants: what comes when the ring is full is left out.
                if self.told.len() < MOST && !self.told.contains(&key) {
                    Arc::make_mut(&mut self.told).insert(key);
                    self.add(t, What::Alarm { plan, alarm: alarm.clone() });
                }
            }
        }
    }

    /// Whether windows have come since alarms were looked for.
    pub(crate) fn has_news(&self) -> bool {
        !self.windows.is_empty()
    }

    /// Everything that is kept, sort by sort.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.rings.iter().flat_map(|ring| &ring.entries)
    }

    /// How many things happened that are not kept.
    pub(crate) fn forgotten(&self) -> u64 {
        self.rings.iter().map(|ring| ring.forgotten).fold(0, u64::saturating_add)
    }

    /// The runs that have not ended: number, plan, start.
    pub(crate) fn open(&self) -> &[(u64, u32, Nanos)] {
        &self.open
    }

    /// Another number whenever something was added.
    pub(crate) fn version(&self) -> u64 {
        let open = self.open.last().map_or(0, |(run, ..)| run.saturating_add(1));
        (u64::from(self.next) << 32) ^ open
    }
}

/// Whether nothing was told of a plan but its number.
fn is_unknown(plan: &bayplan_trace::PlanState) -> bool {
    plan.record.ops.is_empty() && plan.record.buffers.is_empty() && !plan.retired
}

impl Entry {
    /// How many things it stands for.
    pub(crate) fn count(&self) -> u64 {
        match self.what {
            What::Runs(runs) => runs.count,
            What::Dropped { count, .. } => count,
            _ => 1,
        }
    }
}

/// Makes one entry of two neighbours of one plan, among the older half.
fn join_older(entries: &mut VecDeque<Entry>) {
    let older: Vec<Entry> = entries.drain(..entries.len() / 2).collect();
    let mut joined: Vec<Entry> = Vec::with_capacity(older.len());
    let mut free = false;
    for entry in older {
        match (joined.last_mut().map(|last| &mut last.what), &entry.what) {
            (Some(What::Runs(last)), What::Runs(next)) if free && last.plan == next.plan => {
                last.last = next.last;
                last.count += next.count;
                last.took = (last.took.0.min(next.took.0), last.took.1.max(next.took.1));
                free = false;
            }
            _ => {
                joined.push(entry);
                free = true;
            }
        }
    }
    joined.into_iter().rev().for_each(|entry| entries.push_front(entry));
}

#[cfg(test)]
mod tests {
    use super::*;
    use bayplan_trace::Event;

    fn log_of(events: impl IntoIterator<Item = Event>) -> Log {
        let mut fold = super::super::fold::Fold::default();
        events.into_iter().for_each(|event| fold.apply(Record::Event(event)));
        fold.log
    }

    fn run(run: u64, took: u64, ok: bool) -> [Event; 2] {
        let t = run * 1000;
        [Event::RunStart { run, plan: 0, t }, Event::RunEnd { run, t: t + took, ok }]
    }

    #[test]
    fn many_small_things_push_out_no_warning() {
        let warning = |t: u64| Event::Message { t, level: Severity::Warning, text: "hot".to_owned() };
        let small = (0..100_000u64).flat_map(|id| {
            let purpose = "scratch".to_owned();
            [
                Event::DeviceAllocated { t: id, id, bytes: 8, memory_type: 0, purpose, planned: true },
                Event::DeviceFreed { t: id, id },
                Event::Message { t: id, level: Severity::Info, text: "tick".to_owned() },
            ]
        });
        let log = log_of([warning(1)].into_iter().chain(small).chain(run(5, 9, false)));
        assert!(
            log.entries().any(|entry| matches!(entry.what, What::Message { level: Severity::Warning, .. }))
        );
        assert!(log.entries().any(|entry| matches!(entry.what, What::Failed { run: 5, took: 9, .. })));
        assert!(log.entries().count() <= 9 * MOST);
        let kept = log.entries().map(Entry::count).sum::<u64>();
        assert_eq!(kept + log.forgotten(), 300_002, "what is not kept is counted");
    }

    #[test]
    fn every_run_is_in_one_entry_however_many_there_are() {
        for runs in [1, 255, 256, 257, 100_000u64] {
            let log = log_of((0..runs).flat_map(|at| run(at, 10 + at % 7, true)));
            let spans: Vec<Runs> = log
                .entries()
                .filter_map(|entry| if let What::Runs(runs) = entry.what { Some(runs) } else { None })
                .collect();
            assert!(spans.len() <= MOST_RUNS && (runs > 256 || spans.len() as u64 == runs));
            assert_eq!(spans.iter().map(|span| span.count).sum::<u64>() + log.forgotten(), runs);
            assert_eq!(spans.last().unwrap().last, runs - 1);
            assert_eq!(spans.last().unwrap().count, 1, "the latest stand alone");
            for pair in spans.windows(2) {
                assert_eq!(pair[0].last + 1, pair[1].first);
            }
            assert_eq!((spans[0].first, log.forgotten()), (0, 0), "{runs}");
        }
    }

    #[test]
    fn a_heap_that_fills_is_told_once_until_it_eases() {
        let sample = |t, usage| Event::HeapSample { t, heap: 0, size: 200, usage, budget: Some(100) };
        let log = log_of(
            [(1, 50), (2, 91), (3, 99), (4, 88), (5, 93), (6, 80), (7, 90)]
                .map(|(t, usage)| sample(t, usage)),
        );
        let told: Vec<(u64, bool)> =
            log.entries().map(|entry| (entry.t, matches!(entry.what, What::HeapHigh { .. }))).collect();
        assert_eq!(told, [(2, true), (6, false), (7, true)]);
    }

    #[test]
    fn losses_and_pools_are_told_by_what_changed() {
        let drop = |t, kind| Event::Dropped { t, count: 5, kind };
        let pool = |t, bytes| Event::PoolReady { t, pool: 0, bytes, name: "kv".to_owned() };
        let log = log_of([
            drop(1, EventKind::OpTimes),
            drop(2, EventKind::OpTimes),
            drop(3, EventKind::Windows),
            pool(4, 64),
            pool(5, 64),
            pool(6, 128),
        ]);
        let whats: Vec<(u64, What)> = log.entries().map(|entry| (entry.t, entry.what.clone())).collect();
        let kv = |bytes, before| What::Pool { bytes, before, name: "kv".into() };
        assert_eq!(
            whats,
            [
                (1, What::Dropped { kind: EventKind::OpTimes, count: 10 }),
                (3, What::Dropped { kind: EventKind::Windows, count: 5 }),
                (4, kv(64, None)),
                (6, kv(128, Some(64))),
            ]
        );
    }

    #[test]
    fn an_alarm_is_told_when_it_was_first_seen_and_only_then() {
        let plan = crate::support::by_hand();
        let mut windows = crate::support::windows(&plan);
        crate::support::plant_by_hand(&mut windows);
        let mut fold = super::super::fold::Fold::default();
        fold.apply(Record::Plan { plan: 0, record: plan });
        for (recording, t) in [(0, 100), (1, 900)] {
            let windows = windows.clone();
            fold.apply(Record::Event(Event::Windows { t, recording, plan: 0, part: 0, windows }));
            run(u64::from(recording), 10, true)
                .into_iter()
                .for_each(|event| fold.apply(Record::Event(event)));
        }
        let alarms: Vec<&Entry> =
            fold.log.entries().filter(|entry| matches!(entry.what, What::Alarm { .. })).collect();
        assert!(!alarms.is_empty() && alarms.iter().all(|entry| entry.t == 100), "{alarms:?}");
        let names = |number: u32| {
            alarms.iter().any(|entry| match &entry.what {
                What::Alarm { alarm, .. } => super::super::bars::names(alarm, number),
                _ => false,
            })
        };
        assert_eq!((0..8).filter(|at| names(*at)).collect::<Vec<u32>>(), [2, 3, 4, 6]);
    }
}
