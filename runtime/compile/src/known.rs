//! Offsets that were found before.

use std::sync::Arc;

use bayplan_plan::arenas::{Arena, BlockPlan};
use bayplan_plan::{Plan, Problem, Status};

/// Offsets that were found before, in the order of the buffers. They are not trusted: those that are no plan of the buffers that
/// are to be placed, or of which it is not proved that no plan is smaller, are not used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known(Option<Arc<[u64]>>);

impl Known {
    /// What plans are called that are used.
    pub const STRATEGY: &'static str = "as packed";

    /// These offsets.
    pub fn of(offsets: Vec<u64>) -> Self {
        Self(Some(offsets.into()))
    }

    /// The plan of a problem in one allocation, if the offsets are one that nothing is to be gained on.
    pub(crate) fn plan(&self, problem: &Problem, arena: &Arena) -> Option<BlockPlan> {
        let offsets = self.0.as_ref().filter(|offsets| offsets.len() == problem.len())?;
        let plan = Plan::from_offsets(problem, offsets.to_vec(), Self::STRATEGY).ok()?;
        let least = plan.status == Status::Optimal && plan.peak <= arena.largest_block;
        let blocks = Vec::from_iter((plan.peak > 0).then_some(plan.peak));
        least.then_some(BlockPlan { plan, blocks })
    }
}

#[cfg(test)]
mod tests {
    use bayplan_plan::Buffer;

    use super::*;

    #[test]
    fn offsets_are_used_only_where_they_are_a_plan_of_the_problem_and_none_is_smaller() {
        let problem = |last: u64| {
            let buffers = vec![Buffer::new(8, 0, 2), Buffer::new(4, 1, 3), Buffer::new(last, 2, 3)];
            Problem::new(buffers).expect("a problem")
        };
        let used = |offsets: &[u64], of: &Problem, arena: &Arena| {
            Known::of(offsets.to_vec()).plan(of, arena).map(|made| (made.plan.offsets, made.blocks))
        };
        let (own, arena) = (&problem(8), &Arena::UNLIMITED);
        assert_eq!(used(&[0, 8, 0], own, arena), Some((vec![0, 8, 0], vec![12])));
        // Not of more buffers, not where buffers overlap, not with a hole, not in more than the device allocates at once.
        assert_eq!(used(&[0, 8, 0, 0], own, arena), None);
        assert_eq!(used(&[0, 8], own, arena), None);
        assert_eq!(used(&[0, 4, 8], own, arena), None);
        assert_eq!(used(&[0, 8, 0], &problem(9), arena), None);
        assert_eq!(used(&[0, 16, 0], own, arena), None);
        assert_eq!(used(&[u64::MAX, 8, 0], own, arena), None);
        assert_eq!(used(&[0, 8, 0], own, &Arena::UNLIMITED.in_blocks(11, 1)), None);
        assert_eq!(Known::default().plan(own, arena), None);
    }
}
