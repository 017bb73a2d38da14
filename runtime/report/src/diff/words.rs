//! What both kinds of text say in the same words.

use std::fmt;

use bayplan_text::{Bytes, Nanos, Percent, Signed, ellipsis};
use bayplan_trace::{ArenaDiff, Cause, Moment, OpDiff, OpRecord, PlanDiff, PlanRecord};

use super::tensor_name;

/// Columns of a tensor's name in a line.
const NAME: usize = 60;

/// `8.00 MiB → 9.00 MiB (+1.00 MiB, +12.5 %)`, or the one size where both are the same.
pub(super) fn bytes_change((a, b): (u64, u64)) -> String {
    change((a, b), Bytes)
}

/// The same for a time.
pub(super) fn nanos_change((a, b): (u64, u64)) -> String {
    change((a, b), Nanos)
}

fn change<T: fmt::Display>((a, b): (u64, u64), show: fn(u64) -> T) -> String {
    if a == b {
        return format!("{} in both", show(a));
    }
    let growth = Signed(i128::from(b) - i128::from(a), show);
    format!("{} → {} ({growth}{})", show(a), show(b), share((a, b)))
}

/// `, +12.5 %`: nothing where there is nothing to be a share of.
fn share((a, b): (u64, u64)) -> String {
    if a == 0 {
        return String::new();
    }
    let ratio = (b as f64 - a as f64) / a as f64;
    let sign = if ratio < 0.0 { "−" } else { "+" };
    format!(", {sign}{}", Percent(ratio.abs()))
}

/// A ratio in both plans: `14.3 % → 12.5 %`; a dash where none says it.
pub(super) fn ratio_change((a, b): (Option<f64>, Option<f64>)) -> String {
    let show = |ratio: Option<f64>| ratio.map_or_else(|| "–".to_owned(), |ratio| Percent(ratio).to_string());
    let (a, b) = (show(a), show(b));
    if a == b { format!("{a} in both") } else { format!("{a} → {b}") }
}

/// How many tensors differ, in one line.
pub(super) fn counts(plan: &PlanDiff) -> String {
    // That tensors have other names is rare.
    let told = plan.counts.named().into_iter().filter(|(count, word)| *count > 0 || *word != "renamed");
    told.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

/// The op of a difference: that of the second plan, where it is there.
pub(super) fn op_record<'a>(plans: (&'a PlanRecord, &'a PlanRecord), op: &OpDiff) -> Option<&'a OpRecord> {
    let (plan, at) = match (op.a, op.b) {
        (_, Some(at)) => (plans.1, at),
        (at, None) => (plans.0, at?),
    };
    plan.ops.get(at as usize)
}

/// `op 97 (conv1) of B, where A has op 96`.
pub(super) fn moment_words(plans: (&PlanRecord, &PlanRecord), moment: &Moment) -> String {
    let (plan, own, other) = if moment.of_b { (plans.1, "B", "A") } else { (plans.0, "A", "B") };
    let name = plan.ops.get(moment.op as usize).map(|op| op.name.as_str()).filter(|name| !name.is_empty());
    let name = name.map_or_else(String::new, |name| format!(" ({})", ellipsis(name, NAME)));
    let at = match moment.other {
        Some(op) => format!("{other}'s op {op}"),
        None => format!("{other} has no op before it"),
    };
    format!("the peak of {own}, op {}{name}; {at}", moment.op)
}

/// Bytes by which the smaller plan could grow at the moment without a higher peak of its own.
pub(crate) fn to_spare(arena: &ArenaDiff, moment: &Moment, sides: Sides) -> (&'static str, u64) {
    let (a, b) = arena.peaks();
    let (name, peak, live) =
        if moment.of_b { (sides.0, a, moment.live.0) } else { (sides.1, b, moment.live.1) };
    (name, peak.saturating_sub(live))
}

/// What the two plans are called.
pub(crate) type Sides = (&'static str, &'static str);

/// What they are called where nothing else is said.
pub(super) const AB: Sides = ("A", "B");

/// A tensor that makes an arena's peak larger (or smaller) than the other's, in a line:
/// `+1.00 MiB  features/conv2/out  4.00 MiB → 5.00 MiB`. Escaped.
pub(crate) fn cause_line(plans: (&PlanRecord, &PlanRecord), cause: &Cause, sides: Sides) -> String {
    let name = ellipsis(tensor_name(plans, cause.a, cause.b), NAME);
    format!("{:>10}  {name}  {}", Signed(cause.growth(), Bytes), cause_words(cause, sides))
}

/// Why the bytes of a tensor differ at the moment.
pub(super) fn cause_words(cause: &Cause, (name_a, name_b): Sides) -> String {
    match (cause.a, cause.b, cause.bytes) {
        (None, _, (_, b)) => format!("added, {}", Bytes(b)),
        (_, None, (a, _)) => format!("removed, {}", Bytes(a)),
        (_, _, (0, b)) => format!("{}, lives there in {name_b} alone", Bytes(b)),
        (_, _, (a, 0)) => format!("{}, lives there in {name_a} alone", Bytes(a)),
        (_, _, (a, b)) => format!("{} → {}", Bytes(a), Bytes(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_a_sign() {
        let cases = [
            ((8 << 20, 9 << 20), "8.00 MiB → 9.00 MiB (+1.00 MiB, +12.5 %)"),
            ((9 << 20, 8 << 20), "9.00 MiB → 8.00 MiB (−1.00 MiB, −11.1 %)"),
            ((0, 512), "0 B → 512 B (+512 B)"),
            ((512, 512), "512 B in both"),
            ((u64::MAX, 0), "16.0 EiB → 0 B (−16.0 EiB, −100.0 %)"),
        ];
        for (sizes, expect) in cases {
            assert_eq!(bytes_change(sizes), expect);
        }
        assert_eq!(nanos_change((1_000, 1_500)), "1.00 µs → 1.50 µs (+500 ns, +50.0 %)");
        assert_eq!(ratio_change((Some(0.1), None)), "10.0 % → –");
        assert_eq!(ratio_change((Some(0.1), Some(0.1))), "10.0 % in both");
    }
}
