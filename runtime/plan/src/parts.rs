//! Independent parts of a problem: ranges of sections that no job crosses, equal ones taken once.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use crate::sections::{Job, Sections};

/// A range of sections that can be planned alone, once for all of its equals.
///
/// ```text
///   sections  0   1   2 | 3   4 | 5   6   7
///             =====     | ===   | =====          no job crosses a cut: jobs of two parts never meet,
///                 ===== |   === |     =====      so the peak of the whole is the largest of the parts',
///               ===     | ===== |   ===          and parts 0..3 and 5..8, equal but for where they lie,
///             part a    | b     | part a         are planned once
/// ```
#[derive(Debug)]
pub(crate) struct Part {
    /// Its jobs in the problem's order, its sections counted from 0.
    pub(crate) sections: Sections,
    /// For each of the equals, the places of its jobs among the jobs of the whole, in the order of
    /// `sections.jobs`. Never empty.
    pub(crate) copies: Vec<Vec<u32>>,
}

/// The parts of a problem whose jobs, as placed, reach above `goal`. Two parts are equal when their jobs are, one by
/// one in the problem's order and counted from where the part begins: then every strategy does the same to both.
/// Hashes only find candidates. O(n log n).
pub(crate) fn above(whole: &Sections, offsets: &[u64], goal: u64) -> Vec<Part> {
    let cuts = cuts(whole);
    let part_of = |job: &Job| cuts.partition_point(|&cut| cut <= job.first) - 1;
    let mut members: Vec<Vec<u32>> = vec![vec![]; cuts.len().saturating_sub(1)];
    let mut peaks = vec![0u64; members.len()];
    let parts: Vec<u32> = whole.jobs.iter().map(|job| part_of(job) as u32).collect();
    for ((job, &offset), &part) in whole.jobs.iter().zip(offsets).zip(&parts) {
        peaks[part as usize] = peaks[part as usize].max(offset + job.size);
    }
    for (at, &part) in parts.iter().enumerate() {
        if peaks[part as usize] > goal {
            members[part as usize].push(at as u32);
        }
    }
    let mut found: Vec<Part> = vec![];
    let mut by_hash: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (range, members) in cuts.windows(2).zip(members).filter(|(_, members)| !members.is_empty()) {
        let sections = cut_out(whole, range[0], range[1], &members);
        let candidates = by_hash.entry(hash(&sections)).or_default();
        match candidates.iter().find(|&&part| equal(&found[part].sections, &sections)) {
            Some(&part) => found[part].copies.push(members),
            None => {
                candidates.push(found.len());
                found.push(Part { sections, copies: vec![members] });
            }
        }
    }
    found
}

/// The boundaries between sections that no job crosses, both ends included.
fn cuts(whole: &Sections) -> Vec<u32> {
    let mut change = vec![0i64; whole.loads.len() + 1];
    for job in &whole.jobs {
        change[job.first as usize + 1] += 1;
        change[job.last as usize] -= 1;
    }
    let mut crossing = 0;
    let mut cuts = vec![0];
    for (boundary, change) in (0..).zip(change).skip(1) {
        crossing += change;
        if crossing == 0 {
            cuts.push(boundary);
        }
    }
    cuts
}

/// The sections `[first, last)` with the given jobs, all of those that live there.
fn cut_out(whole: &Sections, first: u32, last: u32, members: &[u32]) -> Sections {
    let shifted = |&at: &u32| {
        let job = whole.jobs[at as usize];
        Job { first: job.first - first, last: job.last - first, ..job }
    };
    let jobs: Vec<Job> = members.iter().map(shifted).collect();
    let range = first as usize..last as usize;
    let mut starts = vec![0u64; range.len()];
    let mut ends = vec![0u64; range.len() + 1];
    for job in &jobs {
        starts[job.first as usize] += 1;
        ends[job.last as usize] += 1;
    }
    let (mut live, mut pairs) = (0u64, 0u64);
    for (started, ended) in starts.iter().zip(&ends) {
        live -= ended;
        pairs += live * started + started * started.saturating_sub(1) / 2;
        live += started;
    }
    Sections {
        grain: jobs.iter().map(|job| job.align).min().unwrap_or(1),
        jobs,
        loads: whole.loads[range.clone()].to_vec(),
        points: whole.points[range].to_vec(),
        pairs,
    }
}

/// What of a job decides where it goes: everything but the buffer's number, counted from the part's begin.
fn content(job: &Job, begin: u32) -> [u64; 7] {
    let fixed = job.fixed.map_or(0, |offset| offset + 1);
    let [first, last, start, width] = [job.first, job.last, job.start - begin, job.width].map(u64::from);
    [first, last, start, width, job.size, job.align, fixed]
}

/// The program point at which the first job of a part begins.
fn begin(part: &Sections) -> u32 {
    part.jobs.iter().map(|job| job.start).min().unwrap_or(0)
}

fn equal(a: &Sections, b: &Sections) -> bool {
    let (a_begin, b_begin) = (begin(a), begin(b));
    a.jobs.len() == b.jobs.len()
        && a.jobs.iter().zip(&b.jobs).all(|(x, y)| content(x, a_begin) == content(y, b_begin))
}

/// The FNV-1a hash of the part's content, a word at a time.
fn hash(part: &Sections) -> u64 {
    let begin = begin(part);
    let words = part.jobs.iter().flat_map(|job| content(job, begin));
    words.fold(0xCBF2_9CE4_8422_2325, |hash, word| (hash ^ word).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Buffer, Problem};
    use crate::random::SplitMix;
    use std::collections::BTreeSet;

    /// Short lives with a gap now and then, the same few again and again in some stretches.
    fn buffers(seed: u64) -> Vec<Buffer> {
        let mut random = SplitMix::new(seed);
        let mut below = |limit: u64| random.below(limit);
        let mut buffers = vec![];
        let mut point = 0;
        for _ in 0..40 {
            for _ in 0..below(5) {
                let (first, length) = (point + below(3) as u32, 1 + below(3) as u32);
                buffers.push(Buffer::new(1 + below(2), first, first + length));
            }
            point += 3 + below(4) as u32;
        }
        buffers
    }

    #[test]
    fn every_job_is_in_one_part_and_parts_do_not_meet() {
        for seed in 0..200 {
            let whole = Sections::of(&Problem::new(buffers(seed)).unwrap());
            let parts = above(&whole, &vec![0; whole.jobs.len()], 0);
            let mut seen = BTreeSet::new();
            let mut ranges = vec![];
            for part in &parts {
                let lasts = part.sections.jobs.iter().map(|job| job.last).max();
                assert_eq!(lasts, Some(part.sections.len()));
                // No cut is left within.
                assert_eq!(cuts(&part.sections), [0, part.sections.len()]);
                for members in &part.copies {
                    let jobs: Vec<&Job> = members.iter().map(|&at| &whole.jobs[at as usize]).collect();
                    let first = jobs.iter().map(|job| job.first).min().unwrap();
                    ranges.push((first, first + part.sections.len()));
                    assert!(members.iter().all(|&at| seen.insert(at)));
                    for (job, own) in jobs.iter().zip(&part.sections.jobs) {
                        assert_eq!((job.first, job.size), (own.first + first, own.size));
                    }
                    let range = first as usize..(first + part.sections.len()) as usize;
                    assert_eq!(whole.loads[range], part.sections.loads);
                }
            }
            ranges.sort_unstable();
            assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
            assert_eq!(seen.len(), whole.jobs.len());
            let pairs: u64 = parts.iter().map(|part| part.sections.pairs * part.copies.len() as u64).sum();
            assert_eq!(pairs, whole.pairs);
        }
    }

    #[test]
    fn equal_parts_are_found_and_others_told_apart() {
        let block =
            |at: u32| [(4, 0, 2), (2, 1, 4), (3, 2, 5)].map(|(s, f, l)| Buffer::new(s, at + f, at + l));
        let mut buffers = [block(0), block(7), block(40)].concat();
        let count = |buffers: &[Buffer]| {
            let whole = Sections::of(&Problem::new(buffers.to_vec()).unwrap());
            let parts = above(&whole, &vec![0; buffers.len()], 0);
            parts.iter().map(|part| part.copies.len()).collect::<Vec<_>>()
        };
        assert_eq!(count(&buffers), [3]);
        buffers[4].size = 1;
        assert_eq!(count(&buffers), [2, 1]);
        buffers[1].fixed = Some(0);
        assert_eq!(count(&buffers), [1, 1, 1]);
        // Two of another part may stand between two of this one.
        buffers = [block(0), block(7)].concat();
        buffers.swap(1, 3);
        buffers.swap(2, 3);
        assert_eq!(count(&buffers), [2]);
    }

    #[test]
    fn parts_at_the_goal_are_left_out() {
        let problem = Problem::new(vec![Buffer::new(4, 0, 2), Buffer::new(9, 2, 3)]).unwrap();
        let whole = Sections::of(&problem);
        let parts = above(&whole, &[2, 0], 8);
        assert_eq!((parts.len(), &parts[0].copies), (1, &vec![vec![1]]));
        assert!(above(&whole, &[2, 0], 9).is_empty());
    }
}
