//! An instance of the planner as a recording: a plan that nothing ran yet.

use bayplan_plan::csv::read;
use bayplan_plan::{Effort, Plan, solve};
use bayplan_trace::MAX_PLAN_ITEMS;

use super::Imported;
use crate::instance_plan;

/// Whether a line can begin an instance.
pub(super) fn is_header(line: &str) -> bool {
    read(line).is_ok()
}

/// Makes a recording of an instance. Where the file gives no offsets, the planner does.
pub(super) fn import(text: &str) -> Result<Imported, String> {
    let mut instance = read(text).map_err(|error| error.to_string())?;
    let plan = match instance.offsets.take() {
        Some(offsets) => Plan::from_offsets(&instance.problem, offsets, "given in the file")
            .map_err(|error| error.to_string())?,
        None => solve(&instance.problem, Effort::Normal),
    };
    // It has the file's name once it is written.
    let plan = instance_plan("", &instance, &plan);
    if plan.ops.len() > MAX_PLAN_ITEMS || plan.buffers.len() > MAX_PLAN_ITEMS {
        return Err(format!("the file has more than {MAX_PLAN_ITEMS} buffers or program points"));
    }
    Ok(Imported { what: "plan", plan, ..Imported::default() })
}
