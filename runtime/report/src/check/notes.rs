//! What is to be known about recordings before figures of them are believed, or compared.

use bayplan_text::plural;
use bayplan_trace::Level;

use super::{Judged, dims};

/// What is to be known about a recording, and about how far a baseline can be compared with it.
pub(super) fn notes(own: &Judged<'_>, baseline: Option<&Judged<'_>>) -> Vec<String> {
    let mut notes = Vec::new();
    for recording in [Some(own), baseline].into_iter().flatten() {
        notes.extend(of_one(recording));
    }
    if let Some(baseline) = baseline {
        notes.extend(device(own, baseline));
        notes.extend(shapes(own, baseline));
        notes.extend(level(own, baseline));
    }
    notes
}

fn of_one(judged: &Judged<'_>) -> Vec<String> {
    let (name, timeline) = (judged.name, judged.timeline);
    let mut notes = Vec::new();
    if let Some(first) = judged.damages.first() {
        let places = match judged.damages.len() {
            1 => "1 place".to_owned(),
            more => format!("{more} places, the first"),
        };
        notes.push(format!("{name} is damaged at {places}: {first}"));
    }
    if judged.live {
        notes.push(format!("{name} still runs: this is what was recorded so far"));
    }
    let dropped = timeline.dropped_total();
    if dropped > 0 {
        notes.push(format!("{name} lost {} while it was recorded", plural(dropped, "event")));
    }
    match timeline.session.as_ref().map(|session| session.origin.as_str()) {
        None => notes.push(format!("{name} is a plan: nothing ran, so that it has no figures of runs")),
        Some("") => {}
        Some(origin) => notes.push(format!("{name} was imported from {origin}: it is no run of bayplan's")),
    }
    notes
}

/// Kernels, alignments and what a driver takes differ with the device.
fn device(own: &Judged<'_>, baseline: &Judged<'_>) -> Option<String> {
    let driver = |judged: &Judged<'_>| {
        let session = judged.timeline.session.as_ref();
        session.map(|session| session.driver.clone()).unwrap_or_default()
    };
    let target = |judged: &Judged<'_>| {
        let plan = judged.timeline.plans.first();
        plan.map(|plan| plan.record.target.clone()).unwrap_or_default()
    };
    let differ = |a: String, b: String, what: &str| {
        let known = !a.is_empty() && !b.is_empty() && a != b;
        known.then(|| format!("{what} differs: {a} in the baseline, {b} here; figures may differ with it"))
    };
    differ(target(baseline), target(own), "the device")
        .or_else(|| differ(driver(baseline), driver(own), "the driver"))
}

/// Where nothing was planned for the same shape, figures are compared all the same.
fn shapes(own: &Judged<'_>, baseline: &Judged<'_>) -> Option<String> {
    let (plans, before) = (&own.timeline.plans, &baseline.timeline.plans);
    let (plan, other) = (plans.last()?, before.last()?);
    let same = plans.iter().any(|plan| before.iter().any(|other| dims(&plan.record) == dims(&other.record)));
    let text = |dims: Vec<(&str, i64)>| match dims.is_empty() {
        true => "fixed sizes".to_owned(),
        false => dims.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", "),
    };
    (!same).then(|| {
        let (here, there) = (text(dims(&plan.record)), text(dims(&other.record)));
        format!("no shape is in both: {there} in the baseline, {here} here; figures differ with the shape")
    })
}

/// Timing ops takes time itself.
fn level(own: &Judged<'_>, baseline: &Judged<'_>) -> Option<String> {
    let of = |judged: &Judged<'_>| -> Option<Level> {
        Some(judged.timeline.session.as_ref().filter(|session| session.origin.is_empty())?.level)
    };
    let (here, there) = (of(own)?, of(baseline)?);
    (here != there).then(|| {
        let (here, there) = (here.name(), there.name());
        format!("the trace level differs: {there} in the baseline, {here} here; times differ with it")
    })
}
