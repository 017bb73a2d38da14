//! Ops of one operator taken together: what a kind of op costs in all.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::metrics::roofline::{OpRoof, RoofBound, per_second};
use crate::metrics::timings::OpShare;
use crate::schema::event::Nanos;
use crate::schema::plan_record::PlanRecord;

/// The ops of one operator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpGroup {
    /// The operator, as the model names it; empty for ops without one.
    pub operator: String,
    /// Their numbers in the plan: the slowest first, those that were not timed last.
    pub ops: Vec<u32>,
    /// How many of them were timed.
    pub timed: u64,
    /// The sum of their mean times.
    pub mean: Nanos,
    /// The sum of their latest times.
    pub latest: Nanos,
    /// Their part of the sum of all means, from 0 to 1.
    pub share: f64,
    /// Bytes that all of them move, by the plan.
    pub bytes: u64,
    /// Their floating-point operations, by the plan.
    pub flops: u64,
    /// Bytes that the timed ones move per second; `None` where their means are 0.
    pub bytes_per_second: Option<f64>,
    /// Floating-point operations of the timed ones per second, likewise.
    pub flops_per_second: Option<f64>,
    /// How far those for which a roof holds are from it: their times at the roof / their mean times. The bound is that of the
    /// larger part of those times.
    pub roof: Option<OpRoof>,
}

/// What is added up of a group.
#[derive(Default)]
struct Sums {
    group: OpGroup,
    /// Bytes and flops of those that were timed.
    timed: (u64, u64),
    /// Nanoseconds at the roof that memory and arithmetic bind, and mean times of the same ops.
    roof: (f64, f64, Nanos),
}

/// The ops that `takes` takes, by operator; `shares` are those of the plan ([`op_shares`](crate::op_shares)). The slowest group
/// comes first, then the one that moves most.
pub fn op_groups(plan: &PlanRecord, shares: &[OpShare], takes: impl Fn(u32) -> bool) -> Vec<OpGroup> {
    let mut groups: BTreeMap<&str, Sums> = BTreeMap::new();
    let mut timed = alloc::vec![false; plan.ops.len()];
    for share in shares.iter().filter(|share| takes(share.op as u32)) {
        let Some(op) = plan.ops.get(share.op) else { continue };
        let sums = groups.entry(&op.source_op).or_default();
        sums.add(share, op.bytes, op.flops);
        timed[share.op] = true;
    }
    for (number, op) in (0..).zip(&plan.ops).filter(|(number, _)| takes(*number)) {
        let group = &mut groups.entry(&op.source_op).or_default().group;
        (group.bytes, group.flops) =
            (group.bytes.saturating_add(op.bytes), group.flops.saturating_add(op.flops));
        if !timed[number as usize] {
            group.ops.push(number);
        }
    }
    let mut groups: Vec<OpGroup> = groups.into_iter().map(|(operator, sums)| sums.end(operator)).collect();
    groups.sort_by_key(|group| (Reverse(group.mean), Reverse(group.bytes)));
    groups
}

impl Sums {
    fn add(&mut self, share: &OpShare, bytes: u64, flops: u64) {
        let group = &mut self.group;
        group.ops.push(share.op as u32);
        group.timed += 1;
        group.mean = group.mean.saturating_add(share.mean);
        group.latest = group.latest.saturating_add(share.latest);
        group.share += share.share;
        self.timed = (self.timed.0.saturating_add(bytes), self.timed.1.saturating_add(flops));
        if let Some(roof) = share.roof {
            match roof.bound {
                RoofBound::Memory => self.roof.0 += roof.attainable_ns,
                RoofBound::Compute => self.roof.1 += roof.attainable_ns,
            }
            self.roof.2 = self.roof.2.saturating_add(share.mean);
        }
    }

    fn end(self, operator: &str) -> OpGroup {
        let (memory, compute, mean) = self.roof;
        let roof = (mean > 0).then(|| OpRoof {
            attainable_ns: memory + compute,
            share: (memory + compute) / mean as f64,
            bound: if compute > memory { RoofBound::Compute } else { RoofBound::Memory },
        });
        OpGroup {
            operator: operator.into(),
            bytes_per_second: per_second(self.timed.0, self.group.mean),
            flops_per_second: per_second(self.timed.1, self.group.mean),
            roof,
            ..self.group
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{Event, OpRecord, PlanRecord, PlanState, Record, Roofs, Timeline, op_shares};

    fn op(operator: &str, bytes: u64, flops: u64, host: bool) -> OpRecord {
        OpRecord { source_op: operator.into(), bytes, flops, host, ..OpRecord::default() }
    }

    #[test]
    fn groups_sum_their_ops() {
        let ops = vec![
            op("Conv", 100, 800, false),
            op("Relu", 40, 0, false),
            op("Conv", 300, 0, false),
            op("Shape", 8, 0, true),
            op("Conv", 50, 0, false),
        ];
        let mut timeline = Timeline::new();
        timeline.apply(Record::Plan { plan: 0, record: PlanRecord { ops, ..PlanRecord::default() } });
        // The last one was not timed.
        let times = vec![(0, 200), (200, 240), (240, 440), (500, 510)];
        timeline.apply(Record::Event(Event::OpTimes { run: 0, plan: 0, first_op: 0, times }));
        let roofs =
            Roofs { bytes_per_second: 2_000_000_000, flops_per_second: 8_000_000_000, ..Roofs::default() };
        let plan = &timeline.plans[0];
        let shares = op_shares(plan, Some(&roofs));
        let groups = op_groups(&plan.record, &shares, |_| true);
        let names: Vec<&str> = groups.iter().map(|group| &*group.operator).collect();
        assert_eq!(names, ["Conv", "Relu", "Shape"]);
        let conv = &groups[0];
        assert_eq!((&conv.ops[..], conv.timed, conv.mean, conv.latest), (&[0, 2, 4][..], 2, 400, 400));
        assert_eq!((conv.bytes, conv.flops), (450, 800));
        assert_eq!((conv.bytes_per_second, conv.flops_per_second), (Some(1e9), Some(2e9)));
        // 100 ns of arithmetic and 150 ns of moving at the roof, in 400.
        let roof = conv.roof.unwrap();
        assert_eq!((roof.attainable_ns, roof.share, roof.bound), (250.0, 0.625, RoofBound::Memory));
        assert_eq!(groups[2].roof, None, "no roof holds for what the host computes");
        let all: f64 = groups.iter().map(|group| group.share).sum();
        assert!((all - 1.0).abs() < 1e-12);
        let only = op_groups(&plan.record, &shares, |op| op == 2 || op == 4);
        assert_eq!((only.len(), &only[0].ops[..], only[0].bytes), (1, &[2, 4][..], 350));
    }

    #[test]
    fn what_was_not_timed_is_grouped_by_what_it_moves() {
        let ops = vec![op("Relu", 40, 0, false), op("Conv", 100, 7, false), op("Relu", 41, 0, false)];
        let plan = PlanState::new(PlanRecord { ops, ..PlanRecord::default() });
        let groups = op_groups(&plan.record, &op_shares(&plan, None), |_| true);
        let found: Vec<_> = groups
            .iter()
            .map(|group| (&*group.operator, group.bytes, group.timed, group.bytes_per_second))
            .collect();
        assert_eq!(found, [("Conv", 100, 0, None), ("Relu", 81, 0, None)]);
        assert!(op_groups(&PlanRecord::default(), &[], |_| true).is_empty());
    }
}
