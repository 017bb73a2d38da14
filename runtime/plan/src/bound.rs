//! Lower bounds on the arena: no plan can be smaller.

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::problem::Problem;
use crate::sections::{Job, Sections};

/// A number of bytes below which no plan exists, and the program point that proves it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LowerBound {
    /// Bytes. 0 for a problem without a byte to place.
    pub bytes: u64,
    /// The first program point at which that many bytes are needed at once;
    /// [`Problem::live_at`] lists the buffers. 0 when `bytes` is 0.
    pub witness: u32,
}

/// Max-live: the largest sum of live sizes over all program points. Sizes are taken as they are, so it
/// is a bound whatever the alignments.
pub fn lower_bound(problem: &Problem) -> LowerBound {
    max_live(&Sections::of(problem))
}

/// Max-live with the padding that alignment makes unavoidable; never below [`lower_bound`].
///
/// Let `g` be any alignment, and look at the buffers live at one point that are aligned to `g` or more. Their
/// offsets are multiples of `g`, so each but the topmost keeps the next one `ceil(size / g) * g` bytes
/// away. Which one is topmost is the plan's choice; the bound grants it the largest rounding of all:
/// `sum of rounded sizes - largest rounding`, and takes the `g` that gives most. Buffers of a smaller alignment
/// are not counted beside: they may lie in the padding. No plan is smaller than the highest end of a fixed
/// buffer either.
pub fn aligned_lower_bound(problem: &Problem) -> LowerBound {
    aligned_max_live(&Sections::of(problem))
}

pub(crate) fn max_live(sections: &Sections) -> LowerBound {
    let loads = sections.loads.iter().zip(&sections.points);
    loads.map(|(&bytes, &witness)| LowerBound { bytes, witness }).fold(LowerBound::default(), higher)
}

pub(crate) fn aligned_max_live(sections: &Sections) -> LowerBound {
    let padded = padded_max_live(sections);
    let fixed = sections.jobs.iter().filter_map(|job| Some((job.fixed? + job.size, Reverse(job.start))));
    match fixed.max() {
        Some((bytes, Reverse(witness))) if bytes > padded.bytes => LowerBound { bytes, witness },
        Some((bytes, Reverse(witness))) if bytes == padded.bytes => {
            LowerBound { bytes, witness: witness.min(padded.witness) }
        }
        _ => padded,
    }
}

fn padded_max_live(sections: &Sections) -> LowerBound {
    padded_loads(sections).into_iter().fold(LowerBound::default(), higher)
}

/// Visits the sections in order, each with the bytes that its buffers need at least, unavoidable padding included.
pub(crate) fn each_padded_load(sections: &Sections, mut visit: impl FnMut(usize, u64)) {
    padded_loads(sections).into_iter().enumerate().for_each(|(section, load)| visit(section, load.bytes));
}

/// The bytes that the buffers of each section need at least, and the first of its points at which they do.
fn padded_loads(sections: &Sections) -> Vec<LowerBound> {
    let loads = sections.loads.iter().zip(&sections.points);
    let mut padded: Vec<LowerBound> = loads.map(|(&bytes, &witness)| LowerBound { bytes, witness }).collect();
    let alignments = sections.jobs.iter().fold(0, |all, job| all | job.align);
    if alignments > 1 {
        let mut by_first: Vec<&Job> = sections.jobs.iter().collect();
        by_first.sort_unstable_by_key(|job| (job.first, job.start, job.buffer));
        for align in (1..u64::BITS).map(|bit| 1 << bit).filter(|align| alignments & align != 0) {
            raise_to_rounded(&mut padded, &by_first, align);
        }
    }
    padded
}

/// Raises each section's load to what its jobs aligned to `align` or more need.
fn raise_to_rounded(padded: &mut [LowerBound], by_first: &[&Job], align: u64) {
    let mut jobs = by_first.iter().filter(|job| job.align >= align).peekable();
    let mut ends = vec![0u64; padded.len() + 1];
    let mut largest = BinaryHeap::new();
    let (mut load, mut witness) = (0u64, 0);
    for (section, needed) in padded.iter_mut().enumerate() {
        load -= ends[section];
        while let Some(job) = jobs.next_if(|job| job.first as usize == section) {
            let rounded = job.size.next_multiple_of(align);
            load += rounded;
            ends[job.last as usize] += rounded;
            largest.push((rounded - job.size, job.last));
            witness = job.start;
        }
        while largest.peek().is_some_and(|&(_, last)| last as usize <= section) {
            largest.pop();
        }
        let rounding = largest.peek().map_or(0, |&(rounding, _)| rounding);
        let rounded = LowerBound { bytes: load - rounding, witness };
        // The earlier point of equal loads: a section may need its most before all of its buffers are live.
        *needed = if rounded.bytes == needed.bytes && witness < needed.witness {
            rounded
        } else {
            higher(*needed, rounded)
        };
    }
}

/// The higher of two bounds, the first of equal ones.
fn higher(a: LowerBound, b: LowerBound) -> LowerBound {
    if b.bytes > a.bytes { b } else { a }
}
