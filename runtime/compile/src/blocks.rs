//! Blocks: arenas larger than one allocation may be.
//!
//! An arena has one address space however many allocations it takes: it is cut into blocks of at most as many bytes as
//! the device allocates at once, and no buffer lies in two.
//!
//! ```text
//!  offset ─► 0            end of block 0      end of block 1
//!            |  a  |   b   |   c    |    d     |   e   |
//!            '── one allocation ───''── another ──''── a third
//! ```

use bayplan_plan::{Buffer, Effort, Plan, Problem, Violation, solve};

/// A plan with the ends of its blocks.
#[derive(Debug)]
pub(crate) struct Blocked {
    pub(crate) plan: Plan,
    pub(crate) ends: Vec<u64>,
}

/// Why there is no plan.
#[derive(Debug)]
pub(crate) enum NoPlan {
    /// That buffer alone is larger than a block may be.
    TooLarge(usize),
    /// The plan made here is wrong: a defect.
    Wrong(Violation),
}

/// Plans a problem in one block, or, where that is larger than `most` bytes, in several that begin at multiples of
/// `align`.
pub(crate) fn plan(problem: &Problem, effort: Effort, most: u64, align: u64) -> Result<Blocked, NoPlan> {
    let plan = solve(problem, effort);
    if plan.peak <= most {
        let ends = Vec::from_iter((plan.peak > 0).then_some(plan.peak));
        return Ok(Blocked { plan, ends });
    }
    let most = most - most % align;
    if let Some(large) = problem.buffers().iter().position(|buffer| buffer.size > most) {
        return Err(NoPlan::TooLarge(large));
    }
    let candidates = orders(problem, &plan).into_iter().map(|order| {
        let assigned = assign(problem, &order, most);
        compact(problem, &assigned, effort, align)
    });
    let best = candidates.min_by_key(|(_, ends)| ends.last().copied().unwrap_or(0));
    let (offsets, ends) = best.unwrap_or_default();
    let plan = Plan::from_offsets(problem, offsets, "blocks").map_err(NoPlan::Wrong)?;
    Ok(Blocked { plan, ends })
}

/// One buffer after the other, a new block where the next one does not fit: offsets, and ends of the blocks. Every block
/// begins at a multiple of `align`.
///
/// # Errors
/// The position of a buffer that is larger than a block.
pub(crate) fn sequence(sizes: &[u64], most: u64, align: u64) -> Result<(Vec<u64>, Vec<u64>), usize> {
    let most = most - most % align;
    let (mut offsets, mut ends) = (Vec::with_capacity(sizes.len()), Vec::new());
    let (mut start, mut next, mut end) = (0u64, 0u64, 0u64);
    for (index, &size) in sizes.iter().enumerate() {
        if size > most {
            return Err(index);
        }
        if next + size - start > most {
            ends.push(next);
            start = next;
        }
        offsets.push(next);
        end = next + size;
        next = end.next_multiple_of(align);
    }
    ends.extend((end > start).then_some(end));
    Ok((offsets, ends))
}

/// Orders in which buffers are placed: as the plan in one block has them, the largest first, and those that take most
/// room over time first.
fn orders(problem: &Problem, plan: &Plan) -> [Vec<usize>; 3] {
    let buffers = problem.buffers();
    let sorted = |key: &dyn Fn(usize) -> u64| {
        let mut order: Vec<usize> = (0..buffers.len()).collect();
        order.sort_by_key(|&index| key(index));
        order
    };
    let area = |buffer: &Buffer| buffer.size.saturating_mul(u64::from(buffer.lifespan.len()));
    [
        sorted(&|index| plan.offsets[index]),
        sorted(&|index| u64::MAX - buffers[index].size),
        sorted(&|index| u64::MAX - area(&buffers[index])),
    ]
}

/// The block of each buffer: each goes, in this order, to the lowest place where nothing else lives that crosses no
/// multiple of `most`.
fn assign(problem: &Problem, order: &[usize], most: u64) -> Vec<u64> {
    let buffers = problem.buffers();
    let mut placed: Vec<(u64, usize)> = Vec::with_capacity(order.len());
    let mut blocks = vec![0; buffers.len()];
    for &index in order {
        let own = &buffers[index];
        let mut at = 0;
        for &(offset, other) in
            placed.iter().filter(|(_, other)| buffers[*other].lifespan.overlaps(own.lifespan))
        {
            if fitted(at, own, most) + own.size <= offset {
                break;
            }
            at = at.max(offset + buffers[other].size);
        }
        let at = fitted(at, own, most);
        blocks[index] = at / most;
        if own.size > 0 {
            placed.insert(placed.partition_point(|&(offset, _)| offset < at), (at, index));
        }
    }
    blocks
}

/// The first offset from `at` on where a buffer is aligned and lies in one block.
fn fitted(at: u64, buffer: &Buffer, most: u64) -> u64 {
    let at = at.next_multiple_of(buffer.align);
    if at / most == (at + buffer.size.saturating_sub(1)) / most { at } else { at.next_multiple_of(most) }
}

/// Plans each block by itself, and lays them one after the other: offsets, and ends of the blocks.
fn compact(problem: &Problem, blocks: &[u64], effort: Effort, align: u64) -> (Vec<u64>, Vec<u64>) {
    let (mut offsets, mut ends) = (vec![0; blocks.len()], Vec::new());
    let count = blocks.iter().max().map_or(0, |&last| last + 1);
    let mut end = 0u64;
    for block in 0..count {
        let own: Vec<usize> = (0..blocks.len()).filter(|&index| blocks[index] == block).collect();
        // Part of a problem that was accepted is accepted.
        let Ok(part) = Problem::new(own.iter().map(|&index| problem.buffers()[index]).collect()) else {
            continue;
        };
        let plan = solve(&part, effort);
        let start = end.next_multiple_of(align);
        for (&index, offset) in own.iter().zip(&plan.offsets) {
            offsets[index] = start + offset;
        }
        if plan.peak > 0 {
            ends.iter_mut().for_each(|end: &mut u64| *end = end.next_multiple_of(align));
            end = start + plan.peak;
            ends.push(end);
        }
    }
    (offsets, ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bayplan_plan::{Lifespan, validate};

    /// Random buffers of up to `largest` bytes, by a generator of its own.
    fn random(count: usize, largest: u64, mut seed: u64) -> Problem {
        let mut next = move |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let buffers = (0..count).map(|_| {
            let first = next(60) as u32;
            let lifespan = Lifespan::new(first, first + 1 + next(12) as u32);
            Buffer { size: next(largest) / 16 * 16, align: 64, lifespan, fixed: None }
        });
        Problem::new(buffers.collect()).expect("a problem")
    }

    /// Each buffer in one block, no block above the limit, the plan valid.
    fn check(problem: &Problem, most: u64) -> Blocked {
        let blocked = plan(problem, Effort::Normal, most, 64).expect("a plan");
        assert_eq!(validate(problem, &blocked.plan), Ok(()));
        let mut start = 0;
        for &end in &blocked.ends {
            assert!(start % 64 == 0 && end > start && end - start <= most, "{start}..{end} of {most}");
            start = end;
        }
        assert_eq!(blocked.ends.last().copied().unwrap_or(0), blocked.plan.peak);
        for (buffer, &offset) in problem.buffers().iter().zip(&blocked.plan.offsets) {
            let block = |at: u64| blocked.ends.partition_point(|&end| end <= at);
            assert!(buffer.size == 0 || block(offset) == block(offset + buffer.size - 1));
        }
        blocked
    }

    #[test]
    fn blocks_cost_little() {
        let (mut one, mut several) = (0, 0);
        for seed in 0..12 {
            let problem = random(120, 1 << 16, seed);
            let whole = check(&problem, u64::MAX >> 1);
            assert_eq!(whole.ends.len(), 1);
            let cut = check(&problem, whole.plan.peak / 3);
            assert!(cut.ends.len() >= 3);
            let (whole, cut) = (whole.plan.peak, cut.plan.peak);
            assert!(cut as f64 <= whole as f64 * 1.15, "seed {seed}: {cut} bytes instead of {whole}");
            (one, several) = (one + whole, several + cut);
        }
        assert!(several as f64 <= one as f64 * 1.06, "{several} bytes instead of {one}");
    }

    #[test]
    fn what_fits_stays_in_one_block() {
        let problem = random(40, 4096, 1);
        let peak = solve(&problem, Effort::Normal).peak;
        assert_eq!(check(&problem, peak).ends, [peak]);
        assert!(check(&Problem::default(), 64).ends.is_empty());
    }

    #[test]
    fn a_buffer_beyond_every_block_is_named() {
        let problem = Problem::new(vec![Buffer::new(64, 0, 1), Buffer::new(4096, 0, 1)]).expect("a problem");
        assert!(matches!(plan(&problem, Effort::Normal, 1024, 64), Err(NoPlan::TooLarge(1))));
        assert_eq!(sequence(&[64, 4096], 1024, 64), Err(1));
    }

    #[test]
    fn a_sequence_is_cut_where_the_next_does_not_fit() {
        let check = |sizes: &[u64], offsets: &[u64], ends: &[u64]| {
            assert_eq!(sequence(sizes, 256, 64), Ok((offsets.to_vec(), ends.to_vec())), "{sizes:?}");
        };
        check(&[], &[], &[]);
        check(&[0], &[0], &[]);
        check(&[256], &[0], &[256]);
        check(&[16, 16], &[0, 64], &[80]);
        check(&[200, 64, 16, 256], &[0, 256, 320, 384], &[256, 384, 640]);
    }
}
