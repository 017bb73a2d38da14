//! Where on the map an alarm belongs.

use bayplan_trace::{Alarm, PlanState};

/// A rectangle of the map of one arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AlarmPlace {
    /// The arena.
    pub(crate) arena: u32,
    /// The ops, half-open.
    pub(crate) ops: (u64, u64),
    /// The bytes, half-open.
    pub(crate) bytes: (u64, u64),
}

impl AlarmPlace {
    /// The place of an alarm; none for what lies in no arena of the plan.
    pub(crate) fn of(plan: &PlanState, alarm: &Alarm) -> Option<Self> {
        let (arena, ops, bytes) = match *alarm {
            Alarm::Moved { op, arenas, actual, .. } => (arenas.1, (op, op.saturating_add(1)), actual),
            Alarm::Late { op, buffer, planned } => {
                let record = plan.record.buffers.get(buffer as usize)?;
                let ops = if op < planned.0 { (op, planned.0) } else { (planned.1, op.saturating_add(1)) };
                (record.arena, ops, (record.offset, record.end()))
            }
            Alarm::Overlap { arena, bytes, ops, .. } => (arena, ops, bytes),
            Alarm::Unplanned { .. } => return None,
        };
        let known = (arena as usize) < plan.record.arenas.len();
        known.then_some(Self { arena, ops: (ops.0.into(), ops.1.into()), bytes })
    }

    /// Whether it holds an op and a byte.
    pub(crate) fn holds(&self, op: u64, byte: u64) -> bool {
        (self.ops.0..self.ops.1).contains(&op) && (self.bytes.0..self.bytes.1).contains(&byte)
    }
}
