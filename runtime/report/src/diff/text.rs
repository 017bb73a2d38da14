//! The difference for people.

use bayplan_text::{Bytes, Count, Nanos, Signed, columns, ellipsis, escape, plural};
use bayplan_trace::{ArenaDiff, ArenaSide, BufferRecord, OpDiff, PlanDiff, PlanRecord, ops_words};

use super::words::{
    AB, bytes_change, cause_line, counts, moment_words, nanos_change, op_record, ratio_change, to_spare,
};
use super::{Compared, Side, tensor_name};
use crate::page::{Page, TOP};

/// Plans that are told in full before the rest is told in a line each.
const PLANS: usize = 4;

/// The difference in lines of text. Bytes and names of what grew come first.
pub fn text(compared: &Compared<'_>) -> String {
    let mut page = Page(String::new());
    page.side("A", &compared.a);
    page.side("B", &compared.b);
    if let Some(words) = compared.models_words() {
        page.line("models", words);
    }
    if let Some(words) = compared.run_words() {
        page.line("run time", words);
    }
    if let Some(words) = compared.roofs_words() {
        page.line("device", words);
    }
    let plans = &compared.diff.plans;
    // Those that differ first; the same come in a line each.
    let (other, same): (Vec<_>, Vec<_>) = plans.iter().partition(|plan| !plan.is_empty());
    for plan in other.iter().take(PLANS) {
        page.compared_plan(compared, plan);
    }
    for plan in other.iter().skip(PLANS) {
        page.plan_in_short(compared, plan);
    }
    for (at, plan) in same.iter().enumerate() {
        page.plan_in_short(compared, plan);
        if at < PLANS {
            page.moments(compared, plan);
        }
        // One plan on two days: what differs are the times.
        if at < PLANS && plan.op_time.0.is_some() && plan.op_time.1.is_some() {
            page.op_changes(compared.plan_records(plan.numbers), plan);
        }
    }
    page.alone("A", &compared.a, &compared.diff.only_a);
    page.alone("B", &compared.b, &compared.diff.only_b);
    if plans.is_empty() {
        page.line("plans", "there are none to compare");
    }
    page.0
}

impl Page {
    fn side(&mut self, label: &str, side: &Side<'_>) {
        let session = side.timeline.session.as_ref();
        let ran = session.map_or_else(String::new, |session| {
            format!(" · {} on {}", escape(&session.model), escape(&session.device))
        });
        let plans = plural(side.timeline.plans.len() as u64, "plan");
        self.line(label, format_args!("{}{ran} · {plans}", escape(side.name)));
    }

    fn alone(&mut self, label: &str, side: &Side<'_>, numbers: &[u32]) {
        for &number in numbers.iter().take(TOP) {
            let dims = dims(&side.plan(number).record);
            self.line(&format!("only {label}"), format_args!("plan {number}{dims}"));
        }
        self.more(numbers.len() as u64, TOP);
    }

    fn heading(&mut self, compared: &Compared<'_>, plan: &PlanDiff, rest: &str) {
        let (a, b) = compared.plans(plan.numbers);
        let (dims_a, dims_b) = (dims(&a.record), dims(&b.record));
        let dims =
            if dims_a == dims_b { dims_a } else { format!("{dims_a} →{}", dims_b.replace(" ·", "")) };
        let (number_a, number_b) = plan.numbers;
        let numbers =
            if number_a == number_b { number_a.to_string() } else { format!("{number_a} → {number_b}") };
        self.line(&format!("plan {numbers}"), format_args!("{rest}{dims}"));
    }

    fn plan_in_short(&mut self, compared: &Compared<'_>, plan: &PlanDiff) {
        let arenas: Vec<String> = plan
            .arenas
            .iter()
            .filter(|arena| !arena.is_empty())
            .map(|arena| format!("{} {}", escape(&arena.name), bytes_change(sizes(arena))))
            .collect();
        let rest = match (plan.is_empty(), arenas.is_empty()) {
            (true, _) => "the same in both".to_owned(),
            (false, true) => format!("arenas the same · tensors: {}", counts(plan)),
            (false, false) => arenas.join(" · "),
        };
        self.heading(compared, plan, &rest);
    }

    fn compared_plan(&mut self, compared: &Compared<'_>, plan: &PlanDiff) {
        let (a, b) = compared.plans(plan.numbers);
        let plans = (&*a.record, &*b.record);
        let ops = |plan: &PlanRecord| plan.ops.len() as u64;
        let count = |plan: &PlanRecord| {
            format!("{}, {}", plural(ops(plan), "op"), plural(plan.buffers.len() as u64, "tensor"))
        };
        let (count_a, count_b) = (count(plans.0), count(plans.1));
        let rest = if count_a == count_b { count_a } else { format!("{count_a} → {count_b}") };
        self.0.push('\n');
        self.heading(compared, plan, &rest);
        for arena in &plan.arenas {
            self.compared_arena(compared, plan, arena);
        }
        self.moments(compared, plan);
        self.tensors(plans, plan);
        self.op_changes(plans, plan);
    }

    /// What lives where both have come to, if one was left within a run.
    fn moments(&mut self, compared: &Compared<'_>, plan: &PlanDiff) {
        let Some(live) = compared.live_within_runs(plan) else { return };
        let words = |side: &Side<'_>, number: u32| side.timeline.progress_words(number);
        let (a, b) = (words(&compared.a, plan.numbers.0), words(&compared.b, plan.numbers.1));
        self.line("left at", format_args!("{a} → {b}"));
        for (arena, bytes) in plan.arenas.iter().zip(&live.arenas) {
            if let (Some(a), Some(b)) = *bytes {
                self.item(format_args!("live in {} {}", escape(&arena.name), bytes_change((a, b))));
            }
        }
        for tensor in live.tensors.iter().take(TOP) {
            self.item(cause_line(compared.plan_records(plan.numbers), tensor, AB));
        }
        self.more(live.tensors.len() as u64, TOP);
    }

    fn compared_arena(&mut self, compared: &Compared<'_>, plan: &PlanDiff, arena: &ArenaDiff) {
        let there = match (&arena.a, &arena.b) {
            (None, _) => "added, ",
            (_, None) => "removed, ",
            _ => "",
        };
        self.folded(&format!("arena {} {there}{}", escape(&arena.name), bytes_change(sizes(arena))), 6);
        if arena.is_empty() {
            return;
        }
        let both = |figure: fn(&ArenaSide) -> u64| {
            (arena.a.as_ref().map_or(0, figure), arena.b.as_ref().map_or(0, figure))
        };
        self.item(format_args!("bound {}", bytes_change(both(|side| side.lower_bound))));
        let waste = |side: &Option<ArenaSide>| side.as_ref().and_then(|side| side.metrics.waste);
        self.item(format_args!("waste {}", ratio_change((waste(&arena.a), waste(&arena.b)))));
        self.item(format_args!("peak {}", bytes_change(arena.peaks())));
        self.loss(arena);
        self.why(compared, plan, arena);
    }

    /// What beside live bytes the arena is made of, where that differs.
    fn loss(&mut self, arena: &ArenaDiff) {
        let loss = |side: &Option<ArenaSide>| side.as_ref().map(|side| side.metrics.loss).unwrap_or_default();
        let (a, b) = (loss(&arena.a), loss(&arena.b));
        self.loss_part("padding", (a.padding, b.padding));
        self.loss_part("holes", (a.holes, b.holes));
        self.loss_part("tail", (a.tail, b.tail));
    }

    fn loss_part(&mut self, name: &str, bytes: (u64, u64)) {
        if bytes.0 != bytes.1 {
            self.item(format_args!("{name} at the peak {}", bytes_change(bytes)));
        }
    }

    fn why(&mut self, compared: &Compared<'_>, plan: &PlanDiff, arena: &ArenaDiff) {
        let (a, b) = compared.plans(plan.numbers);
        let (Some(moment), false) = (&arena.moment, arena.causes.is_empty()) else { return };
        let growth = i128::from(moment.live.1) - i128::from(moment.live.0);
        let at = moment_words((&a.record, &b.record), moment);
        self.item(format_args!("{} of live tensors at {at}:", Signed(growth, Bytes)));
        for cause in arena.causes.iter().take(TOP) {
            self.item(cause_line((&a.record, &b.record), cause, AB));
        }
        self.more(arena.causes.len() as u64, TOP);
        let (side, spare) = to_spare(arena, moment, AB);
        if spare > 0 {
            self.item(format_args!("{side} had {} to spare there, below its own peak", Bytes(spare)));
        }
    }

    fn tensors(&mut self, plans: (&PlanRecord, &PlanRecord), plan: &PlanDiff) {
        if plan.tensors.is_empty() {
            return;
        }
        self.line("tensors", counts(plan));
        let shown = &plan.tensors[..plan.tensors.len().min(TOP)];
        let name = |at: usize| tensor_name(plans, shown[at].a, shown[at].b);
        let width = (0..shown.len()).map(|at| columns(name(at))).max().unwrap_or(0).min(40);
        for (at, tensor) in shown.iter().enumerate() {
            self.item(format_args!(
                "{:>10}  {:width$}  {}: {}",
                Signed(tensor.growth(), Bytes),
                ellipsis(name(at), width),
                tensor.what(),
                places(plans, tensor.a, tensor.b)
            ));
        }
        self.more(plan.tensors.len() as u64, TOP);
    }

    fn op_changes(&mut self, plans: (&PlanRecord, &PlanRecord), plan: &PlanDiff) {
        if let (Some(a), Some(b)) = plan.op_time {
            self.line(
                "op time",
                format_args!("{} for all of a run, {}", nanos_change((a, b)), plan.averaged_words()),
            );
        }
        let number =
            |which: fn(&OpDiff) -> bool| Count(plan.ops.iter().filter(|op| which(op)).count() as u64);
        let told: Vec<&OpDiff> = plan.ops.iter().filter(|op| !op.is_noise(plan)).collect();
        let changed = plan.ops.iter().any(|op| !op.what().is_empty());
        if changed {
            self.line(
                "ops",
                format_args!(
                    "{} added, {} removed, {} with another kernel",
                    number(OpDiff::is_added),
                    number(OpDiff::is_removed),
                    number(|op| op.other_kernel)
                ),
            );
        } else if told.is_empty() && !plan.ops.is_empty() {
            self.line(
                "ops",
                format_args!("the same in both; none differs by more than {}", plan.noise_words()),
            );
        } else if !told.is_empty() {
            let rule = plan.noise_words();
            self.line("ops", format_args!("the same in both; these differ by more than {rule}:"));
        }
        for op in told.iter().take(TOP) {
            let growth = op.growth().map_or_else(String::new, |growth| Signed(growth, Nanos).to_string());
            let name = op_record(plans, op).map_or("", |op| op.name.as_str());
            let number = op.b.or(op.a).unwrap_or(0);
            let what = op.what();
            let what = if what.is_empty() { String::new() } else { format!("  {what}") };
            self.item(format_args!("{growth:>10}  op {number} {}{what}", ellipsis(name, 60)));
        }
        self.more(told.len() as u64, TOP);
    }
}

/// ` · batch = 4`.
fn dims(plan: &PlanRecord) -> String {
    plan.dims.iter().map(|dim| format!(" · {} = {}", escape(&dim.name), dim.value)).collect()
}

fn sizes(arena: &ArenaDiff) -> (u64, u64) {
    let size = |side: &Option<ArenaSide>| side.as_ref().map_or(0, |side| side.size);
    (size(&arena.a), size(&arena.b))
}

/// Of a tensor in one plan where it lies; of one in both, what differs: `4.00 MiB → 5.00 MiB, ops 2 to 3 → ops 2 to 4`.
fn places((plan_a, plan_b): (&PlanRecord, &PlanRecord), a: Option<u32>, b: Option<u32>) -> String {
    let buffer = |plan: &'_ PlanRecord, at: Option<u32>| plan.buffers.get(at? as usize).cloned();
    match (buffer(plan_a, a), buffer(plan_b, b)) {
        (Some(a), Some(b)) => {
            let arena = |plan: &PlanRecord, at: u32| {
                plan.arenas.get(at as usize).map_or_else(String::new, |arena| escape(&arena.name).to_string())
            };
            let ops = |own: &BufferRecord| ops_words(own.first, own.last);
            let parts = [
                ("", escape(&a.name).to_string(), escape(&b.name).to_string()),
                ("", Bytes(a.size).to_string(), Bytes(b.size).to_string()),
                ("in ", arena(plan_a, a.arena), arena(plan_b, b.arena)),
                ("at ", a.offset.to_string(), b.offset.to_string()),
                ("", ops(&a), ops(&b)),
            ];
            let differ = parts.iter().filter(|(_, a, b)| a != b);
            differ.map(|(word, a, b)| format!("{word}{a} → {b}")).collect::<Vec<_>>().join(", ")
        }
        (Some(one), None) | (None, Some(one)) => {
            format!("{} at {}, {}", Bytes(one.size), one.offset, ops_words(one.first, one.last))
        }
        (None, None) => String::new(),
    }
}
