//! Whether two plans are of one model: its weights tell, whatever tensors are called.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bayplan_text::{Count, ellipsis};

use super::names::pair_by;
use crate::schema::plan_record::{BufferKind, PlanRecord};
use crate::timeline::Timeline;

/// Columns of a model's name.
const NAME: usize = 40;

/// What to say where two plans seem to be of different models: less than half of the weights of the one that has fewer have a
/// shape that one of the other has. Where one has none, operators stand in for them. `None` where they are alike or nothing
/// tells.
pub fn models_change(
    (a, plan_a): (&Timeline, &PlanRecord),
    (b, plan_b): (&Timeline, &PlanRecord),
) -> Option<String> {
    let (what, common, fewer) = unlike(plan_a, plan_b)?;
    let name = |timeline: &Timeline| {
        let model = timeline.session.as_ref().map_or("", |session| session.model.as_str());
        format!("{}", ellipsis(model, NAME))
    };
    let (name_a, name_b) = (name(a), name(b));
    // Often both are called as the file is: that tells nobody which is which.
    let names = if name_a == name_b { String::new() } else { format!(" ({name_a} → {name_b})") };
    let (common, fewer) = (Count(common as u64), Count(fewer as u64));
    Some(format!("two different models, it seems{names}: {common} of {fewer} {what} are alike in both"))
}

/// Where two plans seem to be of different models: what tells, how many are alike, and how many one of both has.
pub(super) fn unlike(plan_a: &PlanRecord, plan_b: &PlanRecord) -> Option<(&'static str, usize, usize)> {
    let (weights_a, weights_b) = (weights(plan_a), weights(plan_b));
    let (what, of_a, of_b) = match weights_a.is_empty() || weights_b.is_empty() {
        true => ("operators", operators(plan_a), operators(plan_b)),
        false => ("weights", weights_a, weights_b),
    };
    let common = pair_by(&of_a, &of_b).a_of_b.iter().flatten().count();
    let fewer = of_a.len().min(of_b.len());
    (2 * common < fewer).then_some((what, common, fewer))
}

/// The shapes of weights, without their type: another precision is not another model.
fn weights(plan: &PlanRecord) -> Vec<&str> {
    let all = plan.buffers.iter().filter(|buffer| buffer.kind == BufferKind::Weight);
    all.map(|buffer| buffer.shape.split_once('[').map_or(&*buffer.shape, |(_, dims)| dims)).collect()
}

fn operators(plan: &PlanRecord) -> Vec<&str> {
    plan.ops.iter().map(|op| op.source_op.as_str()).filter(|operator| !operator.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::{BufferRecord, OpRecord, Record, SessionInfo};

    fn check(name: &str, a: (&[&str], &[&str]), b: (&[&str], &[&str]), expect: Option<&str>) {
        let of = |(weights, operators): (&[&str], &[&str]), model: &str| {
            let (mut timeline, mut plan) = (Timeline::new(), PlanRecord::default());
            let model = model.to_string();
            timeline.apply(Record::Session(SessionInfo { model, ..SessionInfo::default() }));
            plan.buffers.extend(weights.iter().map(|shape| BufferRecord {
                kind: BufferKind::Weight,
                shape: (*shape).to_string(),
                ..BufferRecord::default()
            }));
            plan.ops.extend(
                operators.iter().map(|op| OpRecord { source_op: (*op).to_string(), ..OpRecord::default() }),
            );
            (timeline, plan)
        };
        let ((a, plan_a), (b, plan_b)) = (of(a, "one\u{1b}"), of(b, "other"));
        let found = models_change((&a, &plan_a), (&b, &plan_b));
        match expect {
            Some(words) => {
                assert!(found.as_ref().is_some_and(|found| found.contains(words)), "{name}: {found:?}");
                assert!(found.unwrap().contains("(one\\x1b → other)"), "{name}");
            }
            None => assert_eq!(found, None, "{name}"),
        }
    }

    #[test]
    fn models_are_told_by_their_weights() {
        let resnet: &[&str] = &["f32[64,3,7,7]", "f32[64]", "f32[64,64,1,1]", "f32[64]"];
        let quantised: &[&str] = &["i8[64,3,7,7]", "i8[64]", "i8[64,64,1,1]", "i8[64]"];
        let squeezenet: &[&str] = &["f32[96,3,7,7]", "f32[96]", "f32[16,96,1,1]", "f32[64]"];
        check("itself", (resnet, &["Conv"]), (resnet, &["Conv"]), None);
        check("another precision", (resnet, &[]), (quantised, &[]), None);
        check("fewer layers", (resnet, &[]), (&resnet[..2], &[]), None);
        check("another", (resnet, &[]), (squeezenet, &[]), Some("1 of 4 weights are alike"));
        let by = (resnet, &["Conv", "Pool", "Relu"][..]);
        check("by operators", by, (&[], &["MatMul", "Add", "Relu"]), Some("1 of 3 operators"));
        check("nothing tells", (&[], &[]), (resnet, &["Conv"]), None);
    }
}
