//! An instance of the planner as a recording: a plan that nothing ran yet.

use std::collections::BTreeSet;

use bayplan_plan::csv::{Instance, read};
use bayplan_plan::{Effort, Plan, Problem, solve};
use bayplan_trace::{ArenaKind, ArenaRecord, BufferKind, BufferRecord, MAX_PLAN_ITEMS, OpRecord, PlanRecord};

use super::Imported;

/// Whether a line can begin an instance.
pub(super) fn is_header(line: &str) -> bool {
    read(line).is_ok()
}

/// Makes a recording of an instance. Where the file gives no offsets, the planner does.
pub(super) fn import(text: &str) -> Result<Imported, String> {
    let Instance { ids, problem, offsets } = read(text).map_err(|error| error.to_string())?;
    let plan = match offsets {
        Some(offsets) => {
            Plan::from_offsets(&problem, offsets, "given in the file").map_err(|error| error.to_string())?
        }
        None => solve(&problem, Effort::Normal),
    };
    let points = points(&problem);
    if points.len() > MAX_PLAN_ITEMS || ids.len() > MAX_PLAN_ITEMS {
        return Err(format!("the file has more than {MAX_PLAN_ITEMS} buffers or program points"));
    }
    let place = |point: u32| points.partition_point(|known| *known < point) as u32;
    // The op that goes on at a point.
    let during = |point: u32| points.partition_point(|known| *known <= point).saturating_sub(1) as u32;
    let buffer =
        ids.into_iter().zip(problem.buffers()).zip(&plan.offsets).map(|((name, buffer), &offset)| {
            BufferRecord {
                name,
                kind: BufferKind::Activation,
                dtype: "u8".into(),
                shape: format!("u8[{}]", buffer.size),
                size: buffer.size,
                size_expr: buffer.size.to_string(),
                alignment: buffer.align,
                offset,
                first: place(buffer.lifespan.first),
                last: place(buffer.lifespan.last),
                ..BufferRecord::default()
            }
        });
    let buffers: Vec<BufferRecord> = buffer.collect();
    let arena = ArenaRecord {
        name: "activations".into(),
        kind: ArenaKind::Activations,
        size: buffers.iter().map(BufferRecord::end).max().unwrap_or(0),
        alignment: problem.buffers().iter().map(|buffer| buffer.align).max().unwrap_or(1),
        lower_bound: plan.lower_bound.bytes,
        witness_op: Some(during(plan.lower_bound.witness)).filter(|_| plan.lower_bound.bytes > 0),
    };
    let strategy = plan.strategy.to_owned();
    let ops = points
        .iter()
        .take(points.len().saturating_sub(1))
        .map(|point| OpRecord { name: format!("point {point}"), ..OpRecord::default() });
    let plan =
        PlanRecord { arenas: vec![arena], buffers, ops: ops.collect(), strategy, ..PlanRecord::default() };
    Ok(Imported { what: "plan", plan, ..Imported::default() })
}

/// The program points at which a life begins or ends, in order: between two of them nothing changes.
fn points(problem: &Problem) -> Vec<u32> {
    let lives = problem.buffers().iter().map(|buffer| buffer.lifespan);
    let points: BTreeSet<u32> = lives.flat_map(|life| [life.first, life.last]).collect();
    points.into_iter().collect()
}
