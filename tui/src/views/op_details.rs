//! Everything known of the op under the cursor.

use bayplan_text::{Bytes, Count, Nanos, Percent, Rate, escape, plural};
use bayplan_trace::{PlanState, Roofs, op_shares};
use ratatui::text::Line;

use super::inspector::Page;
use crate::model::{Model, explain};
use crate::theme::Theme;

/// The details as lines of at most `width` columns.
pub(crate) fn op_details(model: &Model, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let mut page = Page { lines: Vec::new(), theme, width: width.min(100) };
    let Some(arena) = model.arena() else {
        page.text("waiting for the plan …", theme.faint());
        return page.lines;
    };
    let (plan, number) = (arena.plan, arena.view.ops.cursor as usize);
    let Some(op) = plan.record.ops.get(number) else {
        page.text("the plan has no ops", theme.faint());
        return page.lines;
    };
    page.wrapped(&explain::op_name(&plan.record, number as u32), theme.accent());
    // What it costs first: where there is little room, names may have taken all of it.
    times(&mut page, plan, number, model.timeline.roofs());
    page.pair("name", &escape(&op.name).to_string());
    page.pair("node", &escape(&op.source_node).to_string());
    page.pair("operator", &escape(&op.source_op).to_string());
    page.pair("kernel", &escape(&op.kernel).to_string());
    page.pair("runs on", if op.host { "the host, between two submissions" } else { "the device" });
    page.pair("barrier", if op.barrier_before { "before it" } else { "none before it" });
    page.pair("moves", &format!("{} = {} B", Bytes(op.bytes), Count(op.bytes)));
    page.pair("computes", &format!("{} flop", Count(op.flops)));
    for (label, buffers) in [("reads", &op.reads), ("writes", &op.writes)] {
        page.gap();
        page.text(&format!("{label} {}", Count(buffers.len() as u64)), theme.accent());
        for at in buffers {
            let Some(buffer) = plan.record.buffers.get(*at as usize) else { continue };
            let (name, of) = (explain::buffer_name(&plan.record, *at), explain::type_of(buffer));
            let place = plan.record.arenas.get(buffer.arena as usize);
            let place = place.map_or("", |arena| &arena.name);
            let place = explain::name_of(place, "arena", buffer.arena);
            let text = format!("{name}  {of}  in {place} at {}", Bytes(buffer.offset));
            page.pair(&Bytes(buffer.size).to_string(), &text);
        }
    }
    page.lines
}

fn times(page: &mut Page<'_>, plan: &PlanState, number: usize, roofs: Option<&Roofs>) {
    let Some(share) = op_shares(plan, roofs).into_iter().find(|share| share.op == number) else {
        page.pair("takes", "not timed: run with --trace-level op");
        return;
    };
    let (latest, mean) = (Nanos(share.latest), Nanos(share.mean));
    let runs = plural(share.averaged, "run");
    let first = match share.first.filter(|_| share.count > 1) {
        Some(first) => format!(" after the first, which took {}", Nanos(first)),
        None if share.count > 1 => ", the first included".to_owned(),
        None => String::new(),
    };
    page.pair("takes", &format!("{latest} in the latest run, mean {mean} of {runs}{first}"));
    page.pair("share", &format!("{} of all ops", Percent(share.share)));
    let rates = [(share.bytes_per_second, "B"), (share.flops_per_second, "flop")];
    let rates = rates.into_iter().filter_map(|(rate, unit)| Some(Rate(rate? as u64, unit).to_string()));
    page.pair("rate", &rates.collect::<Vec<_>>().join(", "));
    page.pair(
        "of best",
        &match (share.roof, roofs) {
            (Some(roof), Some(roofs)) => explain::of_best(&roof, roofs),
            (_, Some(_)) => "not known for this op".to_owned(),
            (_, None) => {
                "bayplan devices --probe measures what the device can do, for the next recording".to_owned()
            }
        },
    );
}
