//! The difference as Markdown, for a pull request.

use std::fmt::Write as _;

use bayplan_text::{Bytes, Nanos, Signed, plural};
use bayplan_trace::{ArenaDiff, ArenaSide, PlanDiff, PlanRecord};

use super::words::{
    AB, bytes_change, cause_words, counts, moment_words, nanos_change, op_record, ratio_change, to_spare,
};
use super::{Compared, tensor_name};
use crate::markup::{code, plain};

/// Rows of a table before the rest is only counted: a comment on a pull request holds 65,536 characters.
const ROWS: usize = 20;

/// Plans that are told before the rest is only counted.
const PLANS: usize = 4;

/// The difference as Markdown: a table of the arenas, the tensors that make a peak larger, and, folded, what else changed.
pub fn markdown(compared: &Compared<'_>) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(out, "### Memory: {} → {}\n", plain(compared.a.name), plain(compared.b.name));
    if compared.diff.is_empty() {
        out += "No tensor, arena or op differs.\n";
    }
    if let Some(words) = compared.models_words() {
        let _ = writeln!(out, "These are {}.\n", plain(&words));
    }
    if let Some(words) = compared.run_words() {
        let _ = writeln!(out, "A run takes {words}.\n");
    }
    let differ = || compared.diff.plans.iter().filter(|plan| !plan.is_empty() || has_times(plan));
    for plan in differ().take(PLANS) {
        plan_section(&mut out, compared, plan);
    }
    let rest = differ().count().saturating_sub(PLANS);
    if rest > 0 {
        let _ = writeln!(out, "\n{rest} more plans differ.");
    }
    for (name, side, numbers) in [
        ("the first", &compared.a, &compared.diff.only_a),
        ("the second", &compared.b, &compared.diff.only_b),
    ] {
        if !numbers.is_empty() {
            let first = numbers.first().map(|&number| dims(&side.plan(number).record)).unwrap_or_default();
            let _ = writeln!(out, "\n{} of {name} alone, such as that {first}.", plans(numbers.len()));
        }
    }
    out
}

fn plans(count: usize) -> String {
    if count == 1 { "1 plan is".into() } else { format!("{count} plans are") }
}

fn has_times(plan: &PlanDiff) -> bool {
    plan.op_time.0.is_some() && plan.op_time.1.is_some()
}

fn dims(plan: &PlanRecord) -> String {
    if plan.dims.is_empty() {
        return "of fixed sizes".into();
    }
    let dims = plan.dims.iter().map(|dim| format!("{} = {}", plain(&dim.name), dim.value));
    format!("for {}", dims.collect::<Vec<_>>().join(", "))
}

fn plan_section(out: &mut String, compared: &Compared<'_>, plan: &PlanDiff) {
    let (a, b) = compared.plans(plan.numbers);
    let plans = (&*a.record, &*b.record);
    let (dims_a, dims_b) = (dims(plans.0), dims(plans.1));
    let dims = if dims_a == dims_b { dims_a } else { format!("{dims_a} → {dims_b}") };
    let _ = writeln!(out, "Plan {dims}: tensors {}.\n", counts(plan));
    *out += "| arena | size | bound | waste | peak |\n|---|---|---|---|---|\n";
    for arena in &plan.arenas {
        arena_row(out, arena);
    }
    for arena in plan.arenas.iter().filter(|arena| !arena.is_empty() && !arena.causes.is_empty()) {
        causes_table(out, plans, arena);
    }
    tensors_table(out, plans, plan);
    ops_table(out, plans, plan);
}

fn arena_row(out: &mut String, arena: &ArenaDiff) {
    let both = |figure: fn(&ArenaSide) -> u64| {
        bytes_change((arena.a.as_ref().map_or(0, figure), arena.b.as_ref().map_or(0, figure)))
    };
    let waste = |side: &Option<ArenaSide>| side.as_ref().and_then(|side| side.metrics.waste);
    let _ = writeln!(
        out,
        "| {} | {} | {} | {} | {} |",
        code(&arena.name),
        both(|side| side.size),
        both(|side| side.lower_bound),
        ratio_change((waste(&arena.a), waste(&arena.b))),
        bytes_change(arena.peaks())
    );
}

fn causes_table(out: &mut String, plans: (&PlanRecord, &PlanRecord), arena: &ArenaDiff) {
    let Some(moment) = &arena.moment else { return };
    let growth = Signed(i128::from(moment.live.1) - i128::from(moment.live.0), Bytes);
    let at = plain(&moment_words(plans, moment));
    let _ = writeln!(out, "\n**{growth}** of live tensors in {} at {at}:\n", plain(&arena.name));
    *out += "| difference | tensor | |\n|---:|---|---|\n";
    for cause in arena.causes.iter().take(ROWS) {
        let name = code(tensor_name(plans, cause.a, cause.b));
        let _ = writeln!(out, "| {} | {name} | {} |", Signed(cause.growth(), Bytes), cause_words(cause, AB));
    }
    more(out, arena.causes.len());
    let (side, spare) = to_spare(arena, moment, AB);
    if spare > 0 {
        let _ = writeln!(out, "\n{side} had {} to spare there, below its own peak.", Bytes(spare));
    }
}

fn more(out: &mut String, all: usize) {
    if all > ROWS {
        let _ = writeln!(out, "| | … and {} more | |", all - ROWS);
    }
}

fn tensors_table(out: &mut String, plans: (&PlanRecord, &PlanRecord), plan: &PlanDiff) {
    if plan.tensors.is_empty() {
        return;
    }
    let count = plural(plan.tensors.len() as u64, "tensor");
    let differ = if plan.tensors.len() == 1 { "differs" } else { "differ" };
    let _ = write!(out, "\n<details><summary>{count} {differ}</summary>\n\n");
    *out += "| difference | tensor | what |\n|---:|---|---|\n";
    for tensor in plan.tensors.iter().take(ROWS) {
        let name = code(tensor_name(plans, tensor.a, tensor.b));
        let _ = writeln!(out, "| {} | {name} | {} |", Signed(tensor.growth(), Bytes), tensor.what());
    }
    more(out, plan.tensors.len());
    *out += "\n</details>\n";
}

fn ops_table(out: &mut String, plans: (&PlanRecord, &PlanRecord), plan: &PlanDiff) {
    if let (Some(a), Some(b)) = plan.op_time {
        let _ =
            writeln!(out, "\nTime of all ops of a run: {}, {}.", nanos_change((a, b)), plan.averaged_words());
    }
    let told: Vec<_> = plan.ops.iter().filter(|op| !op.is_noise(plan)).collect();
    if told.is_empty() {
        return;
    }
    *out += "\n<details><summary>Ops</summary>\n\n| difference | op | what |\n|---:|---|---|\n";
    for op in told.iter().take(ROWS) {
        let growth = op.growth().map_or_else(String::new, |growth| Signed(growth, Nanos).to_string());
        let name = op_record(plans, op).map_or("", |op| op.name.as_str());
        let _ = writeln!(out, "| {growth} | {} | {} |", code(name), op.what());
    }
    more(out, told.len());
    *out += "\n</details>\n";
}
