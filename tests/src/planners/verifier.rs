//! Whether a plan is one, by comparing every pair of buffers and looking at every point.

use bayplan_plan::{Buffer, Plan, Status};

use super::{largest_load, load, meet, peak};

/// What is wrong with offsets as a placement of buffers.
pub fn fault_in_offsets(buffers: &[Buffer], offsets: &[u64]) -> Option<String> {
    if offsets.len() != buffers.len() {
        return Some(format!("{} offsets for {} buffers", offsets.len(), buffers.len()));
    }
    for (index, (buffer, &offset)) in buffers.iter().zip(offsets).enumerate() {
        if !offset.is_multiple_of(buffer.align) {
            return Some(format!("buffer {index} lies at {offset}, its alignment is {}", buffer.align));
        }
        if buffer.fixed.is_some_and(|fixed| fixed != offset) {
            return Some(format!("buffer {index} lies at {offset}, it is fixed at {:?}", buffer.fixed));
        }
        for other in 0..index {
            let (low, high) = (offsets[other], offsets[other] + buffers[other].size);
            if meet(buffer, &buffers[other]) && offset < high && low < offset + buffer.size {
                return Some(format!("buffers {other} and {index} share bytes: {offset}, {low}..{high}"));
            }
        }
    }
    None
}

/// What is wrong with a plan: with its offsets, its peak, its bounds, or what it claims.
pub fn fault_in_plan(buffers: &[Buffer], plan: &Plan) -> Option<String> {
    if let Some(fault) = fault_in_offsets(buffers, &plan.offsets) {
        return Some(fault);
    }
    let actual = peak(buffers, &plan.offsets);
    let max_live = largest_load(buffers);
    let fixed_ends = buffers.iter().filter(|b| b.size > 0).filter_map(|b| Some(b.fixed? + b.size));
    let needed = max_live.max(fixed_ends.max().unwrap_or(0));
    let (bound, padded, proved) = (plan.lower_bound, plan.aligned_bound.bytes, plan.proved_bound);
    let claims_optimum = matches!(plan.status, Status::Optimal | Status::OptimalBySearch);
    let faults = [
        (plan.peak != actual, format!("the peak is {actual}, not {}", plan.peak)),
        (bound.bytes != max_live, format!("max-live is {max_live}, not {}", bound.bytes)),
        (
            max_live > 0 && load(buffers, bound.witness) != max_live,
            format!("{max_live} bytes are not live at {}", bound.witness),
        ),
        (padded < needed, format!("bound with padding {padded} below {needed}")),
        (proved < padded, format!("proved bound {proved} below the bound {padded}")),
        (proved > actual, format!("proved bound {proved} above the peak {actual}")),
        (claims_optimum != (proved == actual), format!("{} with {proved} proved", plan.status.name())),
        (
            (plan.status == Status::Optimal) != (padded == actual),
            format!("{} at {actual} with a bound of {padded}", plan.status.name()),
        ),
    ];
    faults.into_iter().find_map(|(wrong, fault)| wrong.then_some(fault))
}

#[cfg(test)]
mod tests {
    use bayplan_plan::Problem;

    use super::*;
    use crate::planners::instances::KINDS;
    use crate::planners::{REFERENCES, instances};
    use crate::random::Random;

    /// Offsets that a reference has found, with one buffer moved into another: planted overlaps are caught.
    #[test]
    fn planted_overlaps_are_caught() {
        let mut planted = 0;
        for seed in 0..300 {
            let buffers = instances::draw(seed, 40).problem.buffers().to_vec();
            let mut random = Random::new(seed);
            let mut offsets = (REFERENCES[1].place)(&buffers).expect("an answer to anything");
            assert_eq!(fault_in_offsets(&buffers, &offsets), None, "seed {seed}");
            let (a, b) = (random.below(buffers.len()), random.below(buffers.len()));
            if a == b || buffers[a].fixed.is_some() || !meet(&buffers[a], &buffers[b]) {
                continue;
            }
            // The last byte of one on the first byte of the other, or as near as its alignment lets it.
            let at = (offsets[b] + 1).saturating_sub(buffers[a].size) / buffers[a].align * buffers[a].align;
            let shared = at < offsets[b] + buffers[b].size && offsets[b] < at + buffers[a].size;
            if shared {
                offsets[a] = at;
                planted += 1;
                assert!(fault_in_offsets(&buffers, &offsets).is_some(), "seed {seed}: {a} in {b}");
            }
        }
        assert!(planted >= KINDS.len(), "only {planted} overlaps could be planted");
    }

    #[test]
    fn every_false_claim_is_caught() {
        let buffers = vec![Buffer::new(8, 0, 2), Buffer::new(8, 1, 3).aligned(4), Buffer::new(4, 4, 5).at(4)];
        let problem = Problem::new(buffers.clone()).expect("a problem");
        let good = Plan::from_offsets(&problem, vec![8, 0, 4], "hand").expect("a plan");
        assert_eq!(fault_in_plan(&buffers, &good), None);
        let check = |change: fn(&mut Plan), expect: &str| {
            let mut plan = good.clone();
            change(&mut plan);
            let fault = fault_in_plan(&buffers, &plan).unwrap_or_default();
            assert!(fault.contains(expect), "{fault:?} where {expect:?} was planted");
        };
        check(|p| p.offsets.truncate(2), "2 offsets");
        check(|p| p.offsets[1] = 2, "alignment");
        check(|p| p.offsets[2] = 0, "fixed");
        check(|p| p.offsets[0] = 7, "share bytes");
        check(|p| p.peak = 15, "the peak is 16");
        check(|p| p.lower_bound.bytes = 15, "max-live is 16");
        check(|p| p.lower_bound.witness = 0, "not live at 0");
        check(|p| p.aligned_bound.bytes = 15, "padding 15 below 16");
        check(|p| p.proved_bound = 15, "proved bound 15 below");
        check(|p| p.proved_bound = 17, "proved bound 17 above");
        check(|p| p.status = Status::BestFound, "best found with 16 proved");
        check(|p| p.status = Status::OptimalBySearch, "by exhaustive search at 16");
    }
}
