//! The tensors of one arena as an instance of the planner: CSV with the columns id, lower, upper, size, alignment, offset.
//!
//! `bayplan plan` reads it, tells the least that these lifespans need, and plans them anew; so do other planners that take
//! minimalloc's format. The plan is that of the latest run, the arena that of the activations or, where
//! there is none, the largest that runs write to. What is resident, such as weights, has no lifespans to plan.

use std::cmp::Reverse;
use std::io::{self, Write};

use bayplan_plan::ProblemError;
use bayplan_plan::csv::{self, Instance};
use bayplan_text::escape;
use bayplan_trace::{ArenaKind, ArenaRecord, PlanRecord, Record, Storage, Timeline, storages};

use super::Exporter;
use crate::instance::problem;

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
    let rows: Vec<Storage> = arena(plan).into_iter().flat_map(|arena| storages(plan, arena)).collect();
    let name = |row: &Storage| plan.buffers.get(row.buffer as usize).map_or("", |buffer| &buffer.name);
    Ok(Instance {
        ids: rows.iter().map(|row| shortened(&escape(name(row)).to_string())).collect(),
        problem: problem(&rows)?,
        offsets: Some(rows.iter().map(|row| row.offset).collect()),
    })
}

/// The arena that the instance is of; of equals the first.
fn arena(plan: &PlanRecord) -> Option<u32> {
    let resident = |kind| matches!(kind, ArenaKind::Weights | ArenaKind::Constants | ArenaKind::Kv);
    let arenas = (0u32..).zip(&plan.arenas).filter(|(_, arena)| !resident(arena.kind));
    let key = |at: u32, arena: &ArenaRecord| (arena.kind == ArenaKind::Activations, arena.size, Reverse(at));
    let found = arenas.max_by_key(|(at, arena)| key(*at, arena));
    found.map(|(at, _)| at)
}

/// A name that fits a field.
fn shortened(name: &str) -> String {
    let mut end = name.len().min(csv::MAX_FIELD);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}
