//! A live run told line by line, for people who listen and for logs: a summary, then what happens, then a summary.
//!
//! What happened is what differs between two states of the session. Whoever prints slowly misses no run and no alarm: the
//! states count them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use bayplan_record::Source;
use bayplan_text::{Bytes, Count, Nanos, escape, plural};
use bayplan_trace::{PlanRecord, Severity};
use signal_hook::consts::{SIGCONT, SIGINT, SIGTSTP};

use crate::app::End;
use crate::error::TuiError;
use crate::events::{self, Message};
use crate::model::{Life, Model, explain};
use crate::summary;
use crate::watch::Watch;

/// Shortest time between two lines about runs: the runs between are told together.
const PAUSE: Duration = Duration::from_secs(1);
/// Time between two looks where nothing tells of changes.
const POLL: Duration = Duration::from_millis(500);
/// Most alarms and messages that are told one by one at a time.
const MOST: usize = 20;

/// Tells a recording, and follows it as long as its run is live.
///
/// # Errors
/// It cannot be opened or read, or nothing can be written.
pub(crate) fn run(source: Source, ascii: bool) -> Result<End, TuiError> {
    let (tell, messages) = channel();
    events::catch_signals(&tell)?;
    let mut watch = Watch::open(source, 0, Some(&tell))?;
    let mut narrator: Option<(Narrator, Instant)> = None;
    let say = |text: &str| print(text, ascii);
    loop {
        watch.pump();
        let model = &watch.model;
        let goes_on = model.life == Life::Live && model.failure.is_none();
        let is_first = narrator.is_none();
        let is_empty = model.timeline.session.is_none() && model.timeline.plans.is_empty();
        // Of a pipe that has carried nothing so far it is not known whether it is a recording.
        let waits = is_first && is_empty && goes_on;
        // What is there when the telling begins is told as a summary.
        if model.caught_up && !waits {
            // Of what is no recording at all there is nothing to tell.
            if is_first && is_empty {
                watch.readable()?;
            }
            let (told, at) = narrator.get_or_insert_with(|| (Narrator::of(model), Instant::now()));
            let mut text = if is_first { summary::text(model) } else { String::new() };
            if !is_first {
                let whole = !goes_on || at.elapsed() >= PAUSE;
                text = told.tell(model, whole);
                if whole {
                    *at = Instant::now();
                }
            }
            if !is_first && !goes_on {
                text += &summary::text(model);
            }
            if !say(&text)? {
                return Ok(End::Quit);
            }
            if !goes_on {
                return watch.readable().map(|()| End::Quit);
            }
        }
        let end = match messages.recv_timeout(POLL) {
            Ok(Message::Signal(SIGINT)) => Some(End::Quit),
            Ok(Message::Signal(SIGTSTP)) => {
                signal_hook::low_level::emulate_default_handler(SIGTSTP).map_err(TuiError::Signals)?;
                None
            }
            Ok(Message::Signal(SIGCONT)) => None,
            Ok(Message::Signal(signal)) => Some(End::Signal(signal)),
            Ok(Message::ReaderLost) => return Err(TuiError::ReaderLost),
            Ok(_) | Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(End::Quit),
        };
        if let Some(end) = end {
            // Told no further: what holds is.
            if let Some((mut told, _)) = narrator {
                let text = told.tell(&watch.model, true) + "told no further\n" + &summary::text(&watch.model);
                say(&text)?;
            }
            return Ok(end);
        }
    }
}

/// Prints lines; returns whether anybody reads them.
fn print(text: &str, ascii: bool) -> Result<bool, TuiError> {
    let mut out = io::stdout().lock();
    let text = if ascii { bayplan_text::ascii_text(text) } else { text.to_owned() };
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true).map_err(TuiError::Output),
    }
}

/// What was told already.
pub(crate) struct Narrator {
    session: Option<String>,
    ready: bool,
    /// Which load, whether it has ended, and how far it had come.
    load: (u64, bool, u64),
    /// Runs that are done, and how many of them failed.
    runs: (u64, u64),
    plan: Option<u32>,
    alarms: BTreeMap<(&'static str, String), ()>,
    messages: Option<u64>,
    dropped: u64,
    damages: u64,
    /// Heaps that are over their budget.
    over: Vec<u32>,
    pools: BTreeMap<u32, u64>,
}

impl Narrator {
    /// One that tells what comes after this state.
    pub(crate) fn of(model: &Model) -> Self {
        let mut told = Self {
            session: None,
            ready: false,
            load: (0, false, 0),
            runs: (0, 0),
            plan: None,
            alarms: BTreeMap::new(),
            messages: None,
            dropped: 0,
            damages: 0,
            over: Vec::new(),
            pools: BTreeMap::new(),
        };
        told.tell(model, true);
        told
    }

    /// Tells what is new, a line each. Runs are told together with whatever else is, or where it is time for them.
    pub(crate) fn tell(&mut self, model: &Model, whole: bool) -> String {
        let id = model.timeline.session.as_ref().map(|session| session.id.clone());
        let mut lines = Vec::new();
        if id != self.session {
            if self.session.is_some() {
                (self.runs, self.plan, self.ready, self.load) = ((0, 0), None, false, (0, false, 0));
                self.alarms.clear();
                lines.push("another session begins in this recording".to_owned());
            }
            self.session = id;
        }
        self.load(model, whole, &mut lines);
        self.beginning(model, &mut lines);
        self.alarms(model, &mut lines);
        self.messages(model, &mut lines);
        self.memory(model, &mut lines);
        self.losses(model, &mut lines);
        if whole || !lines.is_empty() {
            // Before what was found meanwhile: it is what led there.
            lines.splice(0..0, self.runs(model));
        }
        lines.into_iter().map(|line| line + "\n").collect()
    }

    /// How far loading is where it is time for that, and how it ended in any case.
    fn load(&mut self, model: &Model, whole: bool, lines: &mut Vec<String>) {
        let timeline = &model.timeline;
        let Some(load) = &timeline.totals.loads.latest else { return };
        let now = (timeline.totals.loads.count, load.end.is_some(), load.loading.arrived());
        if now != self.load && (whole || now.1) {
            lines.push(explain::load(load, timeline.now));
            self.load = now;
        }
    }

    fn beginning(&mut self, model: &Model, lines: &mut Vec<String>) {
        if let Some(at) = model.timeline.ready.filter(|_| !self.ready) {
            lines.push(format!("the session is ready after {}", Nanos(at)));
            self.ready = true;
        }
        let current = model.timeline.current_plan().map(|(number, _)| number);
        if current == self.plan {
            return;
        }
        self.plan = current;
        let (Some(plan), Some(arena)) = (model.plan(), model.arena()) else { return };
        let what = &plan.record.arenas[arena.arena as usize];
        let (name, size) = (explain::name_of(&what.name, "arena", arena.arena), Bytes(what.size));
        lines.push(format!("plan{}: arena {name} of {size}", at_dims(&plan.record)));
        lines.push(format!("peak {}", explain::peak_summary(&arena)));
    }

    fn runs(&mut self, model: &Model) -> Vec<String> {
        let timeline = &model.timeline;
        let now = (timeline.runs_ok + timeline.runs_failed, timeline.runs_failed);
        let (before, failed_before) = std::mem::replace(&mut self.runs, now);
        let (new, failed) = (now.0.saturating_sub(before), now.1.saturating_sub(failed_before));
        let Some(last) = timeline.runs.back().filter(|_| new > 0) else { return Vec::new() };
        let took = |run: &bayplan_trace::FinishedRun| run.end.saturating_sub(run.start);
        let number = Count(last.run.saturating_add(1));
        if new == 1 {
            let done = if last.ok { "done in" } else { "failed after" };
            return vec![format!("run {number} {done} {}", Nanos(took(last)))];
        }
        let kept = usize::try_from(new).unwrap_or(usize::MAX).min(timeline.runs.len());
        let mut times: Vec<u64> = timeline.runs.iter().rev().take(kept).map(took).collect();
        times.sort_unstable();
        let failed = if failed > 0 { format!(", {} failed", Count(failed)) } else { String::new() };
        let first = Count(last.run.saturating_add(1).saturating_sub(new - 1));
        let (least, middle, most) = (times[0], times[times.len() / 2], times[times.len() - 1]);
        vec![format!(
            "runs {first} to {number} done{failed}: {} each, from {} to {}",
            Nanos(middle),
            Nanos(least),
            Nanos(most)
        )]
    }

    fn alarms(&mut self, model: &Model, lines: &mut Vec<String>) {
        let mut more = 0;
        for alarm in explain::alarms(&model.timeline) {
            if self.alarms.contains_key(&alarm) {
                continue;
            }
            if more < MOST {
                lines.push(format!("alarm, {}: {}", alarm.0, alarm.1));
            }
            more += 1;
            self.alarms.insert(alarm, ());
        }
        if more > MOST {
            lines.push(format!("and {} more", plural((more - MOST) as u64, "alarm")));
        }
    }

    fn messages(&mut self, model: &Model, lines: &mut Vec<String>) {
        let after = self.messages;
        let new = model.timeline.messages.iter().filter(|(t, ..)| after.is_none_or(|after| *t > after));
        for (_, severity, text) in new.take(MOST) {
            let kind = match severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Info => "message",
            };
            lines.push(format!("{kind}: {}", escape(text)));
        }
        self.messages = model.timeline.messages.back().map(|(t, ..)| *t).or(after).or(Some(0));
    }

    fn memory(&mut self, model: &Model, lines: &mut Vec<String>) {
        for (number, heap) in &model.timeline.heaps {
            let Some(budget) = heap.budget else { continue };
            let (is_over, was_over) = (heap.usage > budget, self.over.contains(number));
            let (usage, budget) = (Bytes(heap.usage), Bytes(budget));
            match (is_over, was_over) {
                (true, false) => {
                    lines.push(format!("heap {number}: {usage} in use is over the budget of {budget}"));
                    self.over.push(*number);
                }
                (false, true) => {
                    lines.push(format!(
                        "heap {number}: {usage} in use is within the budget of {budget} again"
                    ));
                    self.over.retain(|heap| heap != number);
                }
                _ => {}
            }
        }
        for (number, pool) in &model.timeline.pools {
            let before = self.pools.insert(*number, pool.bytes);
            let name = explain::name_of(&pool.name, "pool", *number);
            match before {
                None => lines.push(format!("pool {name} has {}", Bytes(pool.bytes))),
                Some(before) if before != pool.bytes => {
                    lines.push(format!(
                        "pool {name} has {} now, {} before",
                        Bytes(pool.bytes),
                        Bytes(before)
                    ));
                }
                Some(_) => {}
            }
        }
    }

    fn losses(&mut self, model: &Model, lines: &mut Vec<String>) {
        let dropped = model.timeline.dropped_total();
        if dropped > self.dropped {
            lines.push(format!("{} lost", plural(dropped - self.dropped, "event")));
        }
        if model.damages > self.damages {
            let places = plural(model.damages - self.damages, "place");
            lines.push(format!("the recording is damaged at {places} more"));
        }
        (self.dropped, self.damages) = (dropped, model.damages);
    }
}

/// For which sizes a plan is: ` for batch=4, seq=128`.
fn at_dims(plan: &PlanRecord) -> String {
    let dims: Vec<String> =
        plan.dims.iter().map(|dim| format!("{}={}", escape(&dim.name), dim.value)).collect();
    if dims.is_empty() { String::new() } else { format!(" for {}", dims.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{picture_tests, support};
    use bayplan_trace::{Event, Record};

    fn happens(model: &mut Model, events: impl IntoIterator<Item = Event>) {
        events.into_iter().for_each(|event| model.apply(Record::Event(event)));
        model.settle();
    }

    #[test]
    fn what_happens_is_told_once_and_runs_together() {
        let mut model = picture_tests::small(false);
        let mut narrator = Narrator::of(&model);
        assert_eq!(narrator.tell(&model, true), "", "what was there is told by the summary");
        happens(&mut model, [Event::RunEnd { run: 42, t: 173_100_000, ok: true }]);
        assert_eq!(narrator.tell(&model, false), "", "it is not time yet");
        let told = narrator.tell(&model, true);
        assert!(told.starts_with("run 43 done in 3.1") && told.lines().count() == 1, "{told}");
        for run in 43..47 {
            happens(
                &mut model,
                support::whole_run(run, 180_000_000 + run * 4_000_000, (run - 42) * 1_000_000),
            );
        }
        let told = narrator.tell(&model, true);
        assert!(
            told.starts_with("runs 44 to 47 done: ") && told.contains("from 1.00 ms to 4.00 ms"),
            "{told}"
        );
        happens(&mut model, [Event::RunStart { run: 47, plan: 0, t: 500_000_000 }]);
        happens(&mut model, [Event::RunEnd { run: 47, t: 501_000_000, ok: false }]);
        assert!(narrator.tell(&model, true).starts_with("run 48 failed after 1.00 ms"));
    }

    #[test]
    fn alarms_messages_budget_and_losses_are_told_at_once() {
        let mut model = picture_tests::small(false);
        let mut narrator = Narrator::of(&model);
        let (t, purpose) = (600_000_000, "cache\u{1b}[31m\n".to_owned());
        let text = "a\u{202e}b\nc".to_owned();
        happens(
            &mut model,
            [
                Event::DeviceAllocated { t, id: 9, bytes: 3 << 20, memory_type: 0, purpose, planned: false },
                Event::Message { t, level: Severity::Warning, text },
                Event::HeapSample { t, heap: 0, size: 8 << 30, usage: 3 << 30, budget: Some(2 << 30) },
                Event::Dropped { t, count: 5, kind: bayplan_trace::EventKind::Completed },
            ],
        );
        let told = narrator.tell(&model, false);
        for words in [
            "alarm, unplanned: block 9 of 3.00 MiB",
            "warning: a",
            "heap 0: 3.00 GiB in use is over the budget of 2.00 GiB",
            "5 events lost",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
        assert!(told.chars().all(|c| c == '\n' || !c.is_control()) && told.lines().count() == 4, "{told}");
        assert_eq!(narrator.tell(&model, true), "");
        happens(
            &mut model,
            [Event::HeapSample { t: t + 1, heap: 0, size: 8 << 30, usage: 1, budget: Some(2 << 30) }],
        );
        assert!(narrator.tell(&model, false).contains("within the budget of 2.00 GiB again"));
    }

    #[test]
    fn another_plan_is_told_with_its_sizes_and_its_peak() {
        let mut model = picture_tests::small(false);
        let mut narrator = Narrator::of(&model);
        let mut other = support::by_hand();
        other.dims = vec![bayplan_trace::DimBinding { name: "batch".to_owned(), value: 4 }];
        model.apply(Record::Plan { plan: 1, record: other });
        happens(&mut model, [Event::RunStart { run: 43, plan: 1, t: 600_000_000 }]);
        let told = narrator.tell(&model, false);
        assert!(told.contains("plan for batch=4: arena activations of "), "{told}");
        assert!(told.lines().any(|line| line.starts_with("peak ") && line.contains(" tensors, ")), "{told}");
    }
}
