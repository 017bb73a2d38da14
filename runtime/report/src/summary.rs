//! What the reports say in the same words: of sessions, their runs, and arenas.

use bayplan_text::{Bytes, Count, Nanos, Percent, escape, plural};
use bayplan_trace::{
    ArenaMetrics, ArenaRecord, Forecast, Growing, Timeline, forecasts, recent_runs, why_not_smaller,
};

use crate::roofline::roof_words;

/// How far an arena is from its lower bound, after its size: `= its lower bound`, `bound 7.00 MiB, waste 14.3 %`.
pub(crate) fn bound_words(arena: &ArenaRecord, metrics: &ArenaMetrics) -> String {
    match metrics.waste {
        _ if why_not_smaller(arena).optimal => "= its lower bound".to_owned(),
        Some(waste) => format!("bound {}, waste {}", Bytes(arena.lower_bound), Percent(waste)),
        None => format!("bound {}", Bytes(arena.lower_bound)),
    }
}

/// What grows into its limit, the soonest first, a line each.
pub(crate) fn forecast_words(timeline: &Timeline) -> Vec<String> {
    let words = |found: &Forecast| match found.of {
        Growing::Heap(number) => format!("heap {number}: {}", found.text()),
        Growing::Pool(number) => format!("pool {number}: {}", found.text()),
    };
    forecasts(timeline).iter().map(words).collect()
}

/// Who recorded it, on what, and how its runs went: a name and a value for each line. Escaped.
pub(crate) fn session_words(timeline: &Timeline, live: bool) -> Vec<(&'static str, String)> {
    let state = match (live, timeline.ended) {
        (true, _) => "running".to_owned(),
        (false, Some(t)) => format!("ended after {}", Nanos(t)),
        (false, None) => {
            format!("killed, or could not write any more; last seen after {}", Nanos(timeline.now))
        }
    };
    let mut lines = Vec::new();
    match &timeline.session {
        Some(session) => {
            lines.push(("model", escape(&session.model).to_string()));
            lines.push(("session", format!("{} · {state}", escape(&session.id))));
            let (driver, api) = (escape(&session.driver).to_string(), escape(&session.api).to_string());
            let driver = if driver.is_empty() { driver } else { format!("driver {driver}") };
            let mut device = vec![escape(&session.device).to_string(), api, driver];
            device.retain(|text| !text.is_empty());
            if !device.is_empty() {
                lines.push(("device", device.join(" · ")));
            }
            lines.extend(roof_words(session).map(|words| ("roof", words)));
            let (version, level) = (escape(&session.version), session.level);
            lines.push(if session.is_imported() {
                ("imported", format!("from {}, by bayplan {version}", escape(&session.origin)))
            } else {
                ("recorded", format!("by bayplan {version}, level {level}"))
            });
        }
        None => lines.push(("session", format!("unknown; {state}"))),
    }
    if let Some(load) = &timeline.totals.loads.latest {
        // Of one that was killed nobody knows more than what it told last.
        let again = timeline.totals.loads.count.saturating_sub(1);
        let again = (again > 0).then(|| format!(" · {} before it", plural(again, "load")));
        lines.push(("weights", load.text(timeline.now) + &again.unwrap_or_default()));
    }
    lines.push(("runs", runs_words(timeline, live)));
    if let Some(((ns, _), share)) = timeline.trace_cost.zip(timeline.trace_share()) {
        let share = Percent(share);
        lines.push(("tracing", format!("{} of processor time, {share} of the runs' time", Nanos(ns))));
    }
    lines
}

fn runs_words(timeline: &Timeline, live: bool) -> String {
    let mut value = format!("{} done", Count(timeline.runs_ok));
    if timeline.runs_failed > 0 {
        value += &format!(", {} FAILED", Count(timeline.runs_failed));
    }
    if let Some(run) = timeline.current {
        let ops = timeline.plans.get(run.plan as usize).map_or(0, |plan| plan.record.ops.len());
        let seen = run.playhead.map_or(0, |op| u64::from(op) + 1);
        let ops = plural(ops as u64, "op");
        let (is, when) = if live { ("is", "") } else { ("was", " when it stopped") };
        // Counted from 1, as on the command line.
        let (run, seen) = (Count(run.run.saturating_add(1)), Count(seen));
        value += &format!(", run {run} {is} in progress{when}: {seen} of {ops} seen complete");
    }
    if let Some(times) = recent_runs(timeline) {
        let (median, latest) = (Nanos(times.median), Nanos(times.latest));
        value += &format!(" · median {median} over the latest {}, last {latest}", Count(times.count as u64));
    }
    value
}
