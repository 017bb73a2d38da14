//! The tensors of one arena as an instance of the planner: CSV with the columns id, lower, upper, size, alignment, offset.
//!
//! `bayplan plan` reads it, tells the least that these lifespans need, and plans them anew; so do other planners that take
//! minimalloc's format. The plan is that of the latest run, the arena that of the activations or, where
//! there is none, the largest that runs write to. What is resident, such as weights, has no lifespans to plan.

use std::io::{self, Write};

use bayplan_plan::csv::{self, Instance};
use bayplan_plan::{Buffer, Problem, ProblemError};
use bayplan_text::escape;
use bayplan_trace::{ArenaKind, BufferRecord, PlanRecord, Record, Timeline};

use super::Exporter;

/// Writes an instance.
#[derive(Default)]
pub(super) struct Planner;

impl Exporter for Planner {
    fn record(&mut self, _: &Record, _: &Timeline, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, timeline: &Timeline, out: &mut dyn Write) -> io::Result<()> {
        let none = PlanRecord::default();
        let plan = timeline.current_plan().map_or(&none, |(_, state)| &state.record);
        let instance = instance(plan).map_err(io::Error::other)?;
        out.write_all(csv::write(&instance, None).as_bytes())
    }
}

fn instance(plan: &PlanRecord) -> Result<Instance, ProblemError> {
    let arena = arena(plan);
    let rows: Vec<(&BufferRecord, Buffer)> = plan
        .buffers
        .iter()
        .filter(|buffer| Some(buffer.arena as usize) == arena && buffer.alias_of.is_none())
        .map(|buffer| (buffer, planned(plan, buffer)))
        .filter(|(_, planned)| !planned.lifespan.is_empty())
        .collect();
    Ok(Instance {
        ids: rows.iter().map(|(buffer, _)| shortened(&escape(&buffer.name).to_string())).collect(),
        problem: Problem::new(rows.iter().map(|(_, planned)| *planned).collect())?,
        offsets: Some(rows.iter().map(|(buffer, _)| buffer.offset).collect()),
    })
}

/// The arena that the instance is of; of equals the first.
fn arena(plan: &PlanRecord) -> Option<usize> {
    let resident = |kind| matches!(kind, ArenaKind::Weights | ArenaKind::Constants | ArenaKind::Kv);
    let arenas = plan.arenas.iter().enumerate().rev().filter(|(_, arena)| !resident(arena.kind));
    let found = arenas.max_by_key(|(_, arena)| (arena.kind == ArenaKind::Activations, arena.size));
    found.map(|(at, _)| at)
}

/// A buffer as planners know it.
fn planned(plan: &PlanRecord, buffer: &BufferRecord) -> Buffer {
    // A result computed in place takes bytes when its operand dies.
    let operand = buffer.in_place_of.and_then(|at| plan.buffers.get(at as usize));
    let first = operand.map_or(buffer.first, |operand| operand.last.clamp(buffer.first, buffer.last));
    // Where an offset is no multiple of the alignment, as in others' allocators, it is the offset that counts.
    let aligned = buffer.alignment.is_power_of_two() && buffer.offset.is_multiple_of(buffer.alignment);
    Buffer::new(buffer.size, first, buffer.last).aligned(if aligned { buffer.alignment } else { 1 })
}

/// A name that fits a field.
fn shortened(name: &str) -> String {
    let mut end = name.len().min(csv::MAX_FIELD);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}
