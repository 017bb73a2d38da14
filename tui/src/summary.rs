//! A session in plain sentences, for terminals that cannot place a cursor and for people who listen.

use std::fmt::Write;

use bayplan_text::{Bytes, Count, Nanos, Percent, escape, plural};

use crate::model::events::clock;
use crate::model::{Life, Model, Playhead, explain};

/// Most alarms and tensors that are told one by one.
const MOST: usize = 10;

/// The summary.
pub(crate) fn text(model: &Model) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, model);
    out
}

fn write(out: &mut String, model: &Model) -> std::fmt::Result {
    let timeline = &model.timeline;
    if let Some(session) = &timeline.session {
        // Many models are called model: what is a name stands in quotes.
        let of = [
            ("model \"", &session.model, "\""),
            ("on ", &session.device, ""),
            ("", &session.api, ""),
            ("from ", &session.origin, ""),
        ];
        let known = of.iter().filter(|(_, value, _)| !value.is_empty());
        let words = known.map(|(before, value, behind)| format!("{before}{}{behind}", escape(value)));
        let opened = Some(model.opened.clone()).filter(|opened| !opened.is_empty());
        let words: Vec<String> = opened.into_iter().chain(words).collect();
        if !words.is_empty() {
            writeln!(out, "{}", words.join(", "))?;
        }
    }
    if let Some(standing) = &model.standing {
        let behind = Nanos(model.live().now.saturating_sub(standing.t));
        writeln!(out, "at {}, {behind} before the end of what is there", clock(standing.t))?;
    }
    let life = match model.life {
        _ if model.standing.is_some() => "what follows held then",
        _ if model.failure.is_some() => "the recording cannot be read to its end",
        Life::Live => "the run is live",
        Life::Ended => "the run has ended",
        Life::Killed => {
            "the run stopped without an end: it was killed, could not write any more, or this is a copy that is not whole yet"
        }
    };
    writeln!(out, "{life}")?;
    if let Some(load) = &timeline.totals.loads.latest {
        writeln!(out, "{}", explain::load(load, timeline.now))?;
    }
    write!(out, "{} done, {} failed", plural(timeline.runs_ok, "run"), Count(timeline.runs_failed))?;
    if let Some(run) = timeline.runs.back() {
        write!(out, ", the latest took {}", Nanos(run.end.saturating_sub(run.start)))?;
    }
    writeln!(out)?;
    if let Some(run) = timeline.current {
        write!(out, "run {} in progress", Count(run.run.saturating_add(1)))?;
        match (model.playhead(), model.plan()) {
            (Playhead::At(op), Some(plan)) => writeln!(
                out,
                ", last seen complete: {} ({} of {})",
                explain::op_name(&plan.record, op),
                Count(u64::from(op) + 1),
                Count(plan.record.ops.len() as u64)
            )?,
            _ => writeln!(out)?,
        }
    }
    for (number, heap) in &timeline.heaps {
        write!(out, "heap {number}: {} of {} in use", Bytes(heap.usage), Bytes(heap.size))?;
        match heap.budget {
            Some(budget) => writeln!(out, ", budget {}", Bytes(budget))?,
            None => writeln!(out)?,
        }
    }
    arenas(out, model)?;
    alarms(out, model)?;
    writeln!(
        out,
        "{} lost, {} in the recording damaged",
        plural(timeline.dropped_total(), "event"),
        plural(model.damages, "place")
    )?;
    if let Some(share) = timeline.trace_share() {
        writeln!(out, "trace cost {}", Percent(share))?;
    }
    if let Some(failure) = &model.failure {
        writeln!(out, "{failure}")?;
    }
    Ok(())
}

fn arenas(out: &mut String, model: &Model) -> std::fmt::Result {
    let (Some(plan), Some(index)) = (model.plan(), model.index()) else {
        return writeln!(out, "no plan was recorded yet");
    };
    for (arena, known) in plan.record.arenas.iter().zip(&index.arenas) {
        let waste = known.metrics.waste.map_or_else(|| "n/a".to_owned(), |waste| Percent(waste).to_string());
        let (name, size, bound) = (escape(&arena.name), Bytes(arena.size), Bytes(arena.lower_bound));
        writeln!(
            out,
            "arena {name}: {size}, lower bound {bound}, waste {waste}, {}",
            plural(known.buffers, "tensor")
        )?;
    }
    let Some(arena) = model.arena() else { return Ok(()) };
    let name = explain::name_of(&plan.record.arenas[arena.arena as usize].name, "arena", arena.arena);
    writeln!(out, "live now in {name}: {}", explain::live_now(model, &arena))?;
    writeln!(out, "why this peak? {}", explain::peak_summary(&arena))?;
    for number in arena.index.peak.buffers.iter().take(MOST) {
        let buffer = &plan.record.buffers[*number as usize];
        let name = explain::buffer_name(&plan.record, *number);
        writeln!(out, "  {name} {} {}", explain::type_of(buffer), Bytes(buffer.size))?;
    }
    writeln!(out, "why not smaller? {}", explain::bound_summary(&arena))
}

fn alarms(out: &mut String, model: &Model) -> std::fmt::Result {
    let counts = explain::alarm_counts(&model.timeline);
    if counts.is_empty() {
        return writeln!(out, "no alarm");
    }
    let words: Vec<String> = counts.iter().map(|(kind, count)| format!("{} {kind}", Count(*count))).collect();
    writeln!(out, "alarms: {}", words.join(", "))?;
    for (kind, text) in explain::alarms(&model.timeline).take(MOST) {
        writeln!(out, "  {kind}: {text}")?;
    }
    Ok(())
}
