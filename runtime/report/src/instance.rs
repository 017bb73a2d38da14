//! A planning problem and its plan as a plan record: what compares, draws and imports them.

use bayplan_plan::csv::Instance;
use bayplan_plan::{Buffer, Plan, Problem, ProblemError};
use bayplan_trace::{ArenaKind, ArenaRecord, BufferRecord, OpRecord, PlanRecord, Storage};

/// What a plan has placed as a problem to place anew.
pub(crate) fn problem(placed: &[Storage]) -> Result<Problem, ProblemError> {
    let buffer = |row: &Storage| Buffer::new(row.size, row.first, row.last).aligned(row.alignment);
    Problem::new(placed.iter().map(buffer).collect())
}

/// Most program points that are kept one by one. Beyond it only those are at which a lifespan begins or ends.
const MOST_POINTS: u32 = 1 << 16;

/// The record of an instance with a plan: one arena, a buffer for each row, an op `point N` for each program point. Where
/// there are more than 65,536 points, those at which nothing begins or ends are left out.
pub fn instance_plan(name: &str, instance: &Instance, plan: &Plan) -> PlanRecord {
    let buffers = instance.problem.buffers();
    let points = Points::of(buffers);
    let alignment = buffers.iter().map(|buffer| buffer.align).max().unwrap_or(1);
    // A buffer of no bytes may lie beyond the peak.
    let ends = buffers.iter().zip(&plan.offsets).map(|(buffer, offset)| offset.saturating_add(buffer.size));
    let arena = ArenaRecord {
        name: "activations".into(),
        kind: ArenaKind::Activations,
        size: ends.max().unwrap_or(0).max(plan.peak),
        alignment,
        lower_bound: plan.lower_bound.bytes,
        witness_op: (plan.lower_bound.bytes > 0).then(|| points.op(plan.lower_bound.witness)),
    };
    let row = |((buffer, offset), id): ((&Buffer, &u64), &String)| BufferRecord {
        name: id.clone(),
        size: buffer.size,
        size_expr: buffer.size.to_string(),
        alignment: buffer.align,
        offset: *offset,
        first: points.op(buffer.lifespan.first),
        last: points.op(buffer.lifespan.last),
        ..BufferRecord::default()
    };
    PlanRecord {
        model: name.into(),
        arenas: vec![arena],
        buffers: buffers.iter().zip(&plan.offsets).zip(&instance.ids).map(row).collect(),
        ops: points.ops(),
        strategy: plan.strategy.into(),
        ..PlanRecord::default()
    }
}

/// The program points that become ops.
enum Points {
    /// All of them, from 0 to below this.
    All(u32),
    /// Those at which a lifespan begins or ends, in order; the last one is no op.
    Borders(Vec<u32>),
}

impl Points {
    fn of(buffers: &[Buffer]) -> Self {
        let end = buffers.iter().map(|buffer| buffer.lifespan.last).max().unwrap_or(0);
        if end <= MOST_POINTS {
            return Self::All(end);
        }
        let borders = buffers.iter().flat_map(|buffer| [buffer.lifespan.first, buffer.lifespan.last]);
        let mut borders: Vec<u32> = borders.collect();
        borders.sort_unstable();
        borders.dedup();
        Self::Borders(borders)
    }

    /// The op that a point falls into.
    fn op(&self, point: u32) -> u32 {
        match self {
            Self::All(end) => point.min(*end),
            Self::Borders(borders) => {
                borders.partition_point(|&border| border <= point).saturating_sub(1) as u32
            }
        }
    }

    fn ops(&self) -> Vec<OpRecord> {
        let op = |point: u32| OpRecord { name: format!("point {point}"), ..OpRecord::default() };
        match self {
            Self::All(end) => (0..*end).map(op).collect(),
            Self::Borders(borders) => {
                borders.split_last().map_or(&[][..], |(_, ops)| ops).iter().copied().map(op).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bayplan_plan::{Effort, csv, solve};
    use bayplan_trace::arena_metrics;

    use super::*;

    fn check(rows: &str, ops: usize) -> PlanRecord {
        let instance = csv::read(rows).unwrap();
        let plan = match &instance.offsets {
            Some(offsets) => Plan::from_offsets(&instance.problem, offsets.clone(), "given").unwrap(),
            None => solve(&instance.problem, Effort::Normal),
        };
        let record = instance_plan("x.csv", &instance, &plan);
        assert_eq!(record.validate(), Ok(()), "{rows}");
        assert_eq!(record.ops.len(), ops, "{rows}");
        let metrics = arena_metrics(&record);
        assert_eq!(metrics[0].peak_live, plan.lower_bound.bytes, "{rows}");
        assert_eq!(metrics[0].peak_op, record.arenas[0].witness_op, "{rows}");
        record
    }

    #[test]
    fn an_instance_is_a_plan() {
        check("id,lower,upper,size\n", 0);
        // A buffer of no bytes beyond the peak.
        let record = check("id,lower,upper,size,offset\na,0,2,100,0\nb,1,2,0,4096\n", 2);
        assert_eq!(record.arenas[0].size, 4096);
        let record = check("id,lower,upper,size,alignment\na,0,2,100,1\nb,1,3,50,64\n", 3);
        assert_eq!(
            (record.buffers[1].first, record.buffers[1].last, record.buffers[1].alignment),
            (1, 3, 64)
        );
        assert_eq!(record.ops[2].name, "point 2");
        // Points are only numbers: a large one takes no memory.
        let record = check(
            "id,lower,upper,size\na,0,4000000000,100\nb,7,3000000000,50\nc,3000000000,4000000001,20\n",
            4,
        );
        assert_eq!((record.buffers[1].first, record.buffers[1].last), (1, 2));
        assert_eq!(record.ops[2].name, "point 3000000000");
    }
}
