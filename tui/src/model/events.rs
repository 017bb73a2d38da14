//! What happened, as a list: in words, and where it leads.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use bayplan_text::{Bytes, Count, Nanos, Percent, escape, plural};
use bayplan_trace::{Alarm, Severity, Timeline};

use super::log::{Entry, Grade, Log, Runs, What};
use super::marks::Mark;
use super::place::AlarmPlace;
use super::{Model, explain};

/// The list of events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    /// What stands in it, by number.
    entries: BTreeMap<u32, Entry>,
}

/// Where something that happened is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// A place on the map.
    Place(AlarmPlace),
    /// An arena.
    Arena(u32),
    /// A moment of the session.
    Moment(u64),
}

/// A moment of a session as a clock that began with it: `0:00.170`. Everything that tells a moment tells it so; how long
/// something took is told in units.
pub(crate) fn clock(t: u64) -> String {
    let (seconds, millis) = (t / 1_000_000_000, t / 1_000_000 % 1000);
    format!("{}:{:02}.{millis:03}", seconds / 60, seconds % 60)
}

impl Entry {
    /// What sort of thing it is, in a word.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.what {
            What::Began | What::Ready | What::Ended => "session",
            What::Plan(_) | What::Retired(_) => "plan",
            What::Runs(_) => "run",
            What::Failed { .. } => "failed",
            What::Allocated { planned: false, .. } => "unplanned",
            What::Allocated { .. } | What::Freed { .. } => "memory",
            What::HeapHigh { .. } | What::HeapEased { .. } => "heap",
            What::Dropped { .. } => "loss",
            What::Message { level: Severity::Error, .. } => "error",
            What::Message { level: Severity::Warning, .. } => "warning",
            What::Message { .. } => "message",
            What::Pool { .. } => "pool",
            What::Loaded(_) => "weights",
            What::Mark { .. } => "mark",
            What::Alarm { alarm, .. } => alarm.kind(),
        }
    }

    /// What happened, in words. Escaped.
    pub(crate) fn words(&self, timeline: &Timeline) -> String {
        match &self.what {
            What::Began => timeline.session.as_ref().map_or_else(String::new, |session| {
                let named = |word: &str, name: &str| match name {
                    "" => String::new(),
                    name => format!(" {word} {}", escape(name)),
                };
                format!("recording{}{} began", named("of", &session.model), named("on", &session.device))
            }),
            What::Ready => "all of its memory is there; it is ready to run".to_owned(),
            What::Ended => "ended in order".to_owned(),
            What::Plan(plan) => plan_words(timeline, *plan),
            What::Retired(plan) => format!("plan {plan} gave way to other shapes"),
            What::Runs(runs) => runs_words(runs),
            What::Failed { run, plan, took } => {
                format!("run {} of plan {plan} failed after {}", Count(run.saturating_add(1)), Nanos(*took))
            }
            What::Allocated { bytes, memory_type, purpose, planned } => {
                let beyond = if *planned { "" } else { ", outside the plan" };
                format!(
                    "{} of memory type {memory_type} allocated for {}{beyond}",
                    Bytes(*bytes),
                    purpose_of(purpose)
                )
            }
            What::Freed { bytes: 0, .. } => {
                "a block that was allocated before reading began was freed".to_owned()
            }
            What::Freed { bytes, purpose } => format!("{} of {} freed", Bytes(*bytes), purpose_of(purpose)),
            What::HeapHigh { heap, usage, budget } => {
                format!("heap {heap} is nearly full: {}", used(*usage, *budget))
            }
            What::HeapEased { heap, usage, budget } => {
                format!("heap {heap} has room again: {}", used(*usage, *budget))
            }
            What::Dropped { kind, count } => {
                format!("{} of {} lost: the recorder could not keep up", Count(*count), kind.name())
            }
            What::Message { text, .. } => escape(text).to_string(),
            What::Pool { bytes, before: None, name } => {
                format!("pool {} has {}", purpose_of(name), Bytes(*bytes))
            }
            What::Pool { bytes, before: Some(before), name } => {
                let how = if bytes > before { "grew" } else { "shrank" };
                format!("pool {} {how} from {} to {}", purpose_of(name), Bytes(*before), Bytes(*bytes))
            }
            What::Loaded(load) => explain::load(load, self.t),
            What::Mark { name, place } => format!("{name}: {place}"),
            What::Alarm { plan, alarm } => {
                alarm.text(timeline.plans.get(*plan as usize).map(|plan| &*plan.record))
            }
        }
    }

    /// The buffers of a plan that it tells of.
    fn buffers(&self, of: u32) -> Vec<u32> {
        match &self.what {
            What::Alarm { plan, alarm } if *plan == of => match alarm {
                Alarm::Moved { buffer, .. } | Alarm::Late { buffer, .. } => vec![*buffer],
                Alarm::Overlap { a, b, .. } => vec![*a, *b],
                Alarm::Unplanned { .. } => Vec::new(),
            },
            _ => Vec::new(),
        }
    }
}

fn purpose_of(purpose: &str) -> String {
    if purpose.is_empty() { "nothing that was told".to_owned() } else { escape(purpose).to_string() }
}

fn used(usage: u64, budget: u64) -> String {
    let share = Percent(usage as f64 / budget.max(1) as f64);
    format!("{} of a budget of {} ({share})", Bytes(usage), Bytes(budget))
}

fn plan_words(timeline: &Timeline, number: u32) -> String {
    let Some(plan) = timeline.plans.get(number as usize).map(|plan| &plan.record) else {
        return format!("plan {number}");
    };
    let dims: Vec<String> =
        plan.dims.iter().map(|dim| format!("{} {}", escape(&dim.name), dim.value)).collect();
    let at = if dims.is_empty() { String::new() } else { format!(" at {}", dims.join(", ")) };
    let arenas = plan.arenas.iter().map(|arena| arena.size).fold(0, u64::saturating_add);
    format!(
        "plan {number}{at}: {}, {}, {} in arenas",
        plural(plan.ops.len() as u64, "op"),
        plural(plan.buffers.len() as u64, "tensor"),
        Bytes(arenas)
    )
}

/// Runs are counted from 1 for people, as in the header and on the command line.
fn runs_words(runs: &Runs) -> String {
    let Runs { plan, first, last, count, took } = runs;
    let times = if took.0 == took.1 {
        Nanos(took.0).to_string()
    } else {
        format!("{} to {}", Nanos(took.0), Nanos(took.1))
    };
    match count {
        1 => format!("run {} of plan {plan} began, took {times}", Count(first.saturating_add(1))),
        _ => format!(
            "{} runs of plan {plan} began, {} to {}, each took {times}",
            Count(*count),
            Count(first.saturating_add(1)),
            Count(last.saturating_add(1))
        ),
    }
}

/// A mark as something that happened; its number is none that the log gives in a lifetime.
fn mark_entry(at: u32, mark: &Mark) -> Entry {
    let of = if mark.tensor.is_empty() { String::new() } else { format!(" {}", mark.tensor) };
    let place = format!("{}; cursor on {}{of} at op {}", mark.progress, mark.arena_name, Count(mark.op));
    let what = What::Mark { name: mark.name.as_str().into(), place: place.into() };
    Entry { number: u32::MAX - at, t: mark.t, what }
}

impl Events {
    /// An entry by its number.
    pub(crate) fn get(&self, number: u32) -> Option<&Entry> {
        self.entries.get(&number)
    }
}

impl Model {
    /// Makes the list of events; returns its rows: what matters most first, or the latest first.
    pub(super) fn events_in_order(&mut self, by_time: bool, descending: bool) -> Vec<u32> {
        let plan = self.place.map_or(u32::MAX, |place| place.plan);
        let keeps = |entry: &&Entry| {
            !self.filter.is_on() || {
                let words = format!("{} {}", entry.kind(), entry.words(&self.timeline));
                self.filter.keeps_told(&words, &entry.buffers(plan))
            }
        };
        let marks: Vec<Entry> = (0..).zip(self.marks.all()).map(|(at, mark)| mark_entry(at, mark)).collect();
        let mut kept: Vec<Entry> = self.log.entries().chain(&marks).filter(keeps).cloned().collect();
        let latest = |entry: &Entry| Reverse((entry.t, entry.number));
        if by_time {
            kept.sort_by_key(latest);
        } else {
            kept.sort_by_key(|entry| (Reverse(entry.what.grade()), latest(entry)));
        }
        if !descending {
            kept.reverse();
        }
        let rows = kept.iter().map(|entry| entry.number).collect();
        self.events.entries = kept.into_iter().map(|entry| (entry.number, entry)).collect();
        rows
    }

    /// Where an event is to be seen, or why it is nowhere.
    pub(crate) fn goal_of(&self, number: u32) -> Option<Goal> {
        let entry = self.events.get(number)?;
        let current = self.place.map(|place| place.plan);
        Some(match &entry.what {
            What::Alarm { plan, alarm } if Some(*plan) == current => {
                Goal::Place(AlarmPlace::of(self.plan()?, alarm)?)
            }
            What::Allocated { purpose, .. } => match self.arena_named(purpose) {
                Some(arena) => Goal::Arena(arena),
                None => Goal::Moment(entry.t),
            },
            _ => Goal::Moment(entry.t),
        })
    }

    /// The arena that a block was allocated for.
    fn arena_named(&self, purpose: &str) -> Option<u32> {
        // `activations`, or `activations 2` where it is of several blocks.
        let of = |name: &str| {
            let rest = purpose.strip_prefix(name);
            !name.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        let at = self.plan()?.record.arenas.iter().position(|arena| of(&arena.name))?;
        u32::try_from(at).ok()
    }

    /// What is told above the list: the runs that go on, and what is damaged.
    pub(crate) fn events_now(&self) -> String {
        let mut words = Vec::new();
        if let Some((run, plan, start)) = self.log.open().last() {
            words.push(format!(
                "run {} of plan {plan} goes on since {}",
                Count(run.saturating_add(1)),
                clock(*start)
            ));
        }
        if self.damages > 0 {
            words.push(format!("the recording is damaged in {}", plural(self.damages, "place")));
        }
        if self.log.forgotten() > 0 {
            words.push(format!("{} older ones are not kept", Count(self.log.forgotten())));
        }
        words.join(" · ")
    }
}

impl Log {
    /// How many entries matter how much: alarms, warnings.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let of = |grade: Grade| self.entries().filter(|entry| entry.what.grade() == grade).count();
        (of(Grade::Alarm), of(Grade::Warning))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_a_clock_does() {
        for (t, expect) in [
            (0, "0:00.000"),
            (1_234_567_890, "0:01.234"),
            (59_999_999_999, "0:59.999"),
            (61_002_000_000, "1:01.002"),
            (u64::MAX, "307445734:33.709"),
        ] {
            assert_eq!(clock(t), expect);
        }
    }
}
