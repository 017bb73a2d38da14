//! Lower bounds on the arena: no plan can be smaller.

use alloc::collections::BinaryHeap;
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
/// Let `g` be the smallest alignment of any buffer that has bytes. All offsets are multiples of `g`, so
/// of the buffers live at one point each but the topmost keeps the next one `ceil(size / g) * g` bytes
/// away. Which one is topmost is the plan's choice; the bound grants it the largest rounding of all:
/// `sum of rounded sizes - largest rounding`. Buffers with a larger alignment than `g` may force more
/// padding, which is not counted. No plan is smaller than the highest end of a fixed buffer either.
pub fn aligned_lower_bound(problem: &Problem) -> LowerBound {
    aligned_max_live(&Sections::of(problem))
}

pub(crate) fn max_live(sections: &Sections) -> LowerBound {
    let mut best = LowerBound::default();
    for (&bytes, &witness) in sections.loads.iter().zip(&sections.points) {
        if bytes > best.bytes {
            best = LowerBound { bytes, witness };
        }
    }
    best
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
    let mut best = LowerBound::default();
    each_padded_load(sections, |section, bytes| {
        if bytes > best.bytes {
            best = LowerBound { bytes, witness: sections.points[section] };
        }
    });
    best
}

/// Visits the sections in order, each with the bytes that its buffers need at least, unavoidable padding included.
pub(crate) fn each_padded_load(sections: &Sections, mut visit: impl FnMut(usize, u64)) {
    let g = sections.grain;
    if g == 1 {
        sections.loads.iter().enumerate().for_each(|(section, &load)| visit(section, load));
        return;
    }
    let mut by_first: alloc::vec::Vec<&Job> = sections.jobs.iter().collect();
    by_first.sort_unstable_by_key(|job| (job.first, job.buffer));
    let mut ends = alloc::vec![0u64; sections.loads.len() + 1];
    let mut largest = BinaryHeap::new();
    let (mut next, mut load) = (0, 0u64);
    for section in 0..sections.loads.len() {
        load -= ends[section];
        while let Some(job) = by_first.get(next).filter(|job| job.first as usize == section) {
            let rounded = job.size.next_multiple_of(g);
            load += rounded;
            ends[job.last as usize] += rounded;
            largest.push((rounded - job.size, job.last));
            next += 1;
        }
        while largest.peek().is_some_and(|&(_, last)| last as usize <= section) {
            largest.pop();
        }
        let rounding = largest.peek().map_or(0, |&(rounding, _)| rounding);
        visit(section, load - rounding);
    }
}
