//! What all searches of one problem share.

use alloc::vec::Vec;

use crate::sections::{Job, Sections};

/// The jobs with sizes rounded up to the common alignment, and who lives with whom.
pub(super) struct Instance {
    /// Sizes are multiples of the common alignment.
    pub(super) jobs: Vec<Job>,
    /// Sum of the rounded sizes per section.
    pub(super) loads: Vec<u64>,
    /// Every offset of a canonical plan is a multiple of this, so capacities are rounded down to it.
    pub(super) unit: u64,
    /// The smallest size of a job that shares a section, per job; `u64::MAX >> 2` when there is none.
    pub(super) smallest_neighbour: Vec<u64>,
    /// Per job the places that jobs with a fixed offset take from it, as (from, to) by ascending offset.
    obstacles: Vec<Vec<(u64, u64)>>,
    neighbours: Lists,
    live_in: Lists,
}

impl Instance {
    pub(super) fn new(sections: &Sections) -> Self {
        let mut jobs = sections.jobs.clone();
        let mut loads = alloc::vec![0; sections.loads.len()];
        for job in &mut jobs {
            job.size = job.size.next_multiple_of(sections.grain);
            for section in job.first..job.last {
                loads[section as usize] += job.size;
            }
        }
        let steps = |job: &Job| gcd(job.size, job.fixed.unwrap_or(0));
        let common = jobs.iter().fold(0, |common, job| gcd(common, steps(job))).max(1);
        let strictest = jobs.iter().map(|job| job.align).max().unwrap_or(1);
        let unit = if common.is_multiple_of(strictest) { common } else { sections.grain };
        let in_sections = jobs.iter().enumerate();
        let live_in = Lists::new(
            loads.len(),
            in_sections.flat_map(|(i, job)| (job.first..job.last).map(move |section| (section, i as u32))),
        );
        let neighbours = Lists::new(jobs.len(), pairs(&jobs));
        let smallest = |job| {
            let sizes = neighbours.get(job).iter().map(|&other: &u32| jobs[other as usize].size);
            sizes.min().unwrap_or(u64::MAX >> 2)
        };
        let smallest_neighbour = (0..jobs.len() as u32).map(smallest).collect();
        let obstacles = |job| {
            let fixed = neighbours.get(job).iter().map(|&other: &u32| &jobs[other as usize]);
            let taken = |other: &Job| other.fixed.map(|offset| (offset, offset + other.size));
            let mut taken: Vec<(u64, u64)> = fixed.filter_map(taken).collect();
            taken.sort_unstable();
            taken
        };
        let obstacles = (0..jobs.len() as u32).map(obstacles).collect();
        Self { loads, unit, smallest_neighbour, obstacles, neighbours, live_in, jobs }
    }

    /// The lowest offset for `job` at `from` or above that no fixed job is in the way of. For a fixed job its
    /// offset, none when that is below `from`.
    pub(super) fn free_from(&self, job: u32, from: u64) -> Option<u64> {
        let item = &self.jobs[job as usize];
        if let Some(offset) = item.fixed {
            return Some(offset).filter(|&offset| offset >= from);
        }
        let mut offset = from.next_multiple_of(item.align);
        for &(low, high) in &self.obstacles[job as usize] {
            if offset + item.size > low && offset < high {
                offset = high.next_multiple_of(item.align);
            }
        }
        Some(offset)
    }

    /// The jobs that share a section with `job`.
    pub(super) fn neighbours(&self, job: u32) -> &[u32] {
        self.neighbours.get(job)
    }

    /// The jobs that are live in `section`; never empty.
    pub(super) fn live_in(&self, section: u32) -> &[u32] {
        self.live_in.get(section)
    }
}

/// Both directions of every pair of jobs that share a section.
fn pairs(jobs: &[Job]) -> impl Iterator<Item = (u32, u32)> + Clone {
    let mut by_first: Vec<u32> = (0..jobs.len() as u32).collect();
    by_first.sort_unstable_by_key(|&i| (jobs[i as usize].first, i));
    (0..by_first.len()).flat_map(move |at| {
        let a = by_first[at];
        let last = jobs[a as usize].last;
        let later: Vec<u32> =
            by_first[at + 1..].iter().copied().take_while(|&b| jobs[b as usize].first < last).collect();
        later.into_iter().flat_map(move |b| [(a, b), (b, a)])
    })
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Many lists in one allocation.
struct Lists {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    /// Lists 0..count from (list, item) entries, each in the entries' order.
    fn new(count: usize, entries: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        let mut starts = alloc::vec![0u32; count + 1];
        for (list, _) in entries.clone() {
            starts[list as usize + 1] += 1;
        }
        for list in 0..count {
            starts[list + 1] += starts[list];
        }
        let mut items = alloc::vec![0; starts[count] as usize];
        let mut next = starts.clone();
        for (list, item) in entries {
            items[next[list as usize] as usize] = item;
            next[list as usize] += 1;
        }
        Self { starts, items }
    }

    fn get(&self, list: u32) -> &[u32] {
        &self.items[self.starts[list as usize] as usize..self.starts[list as usize + 1] as usize]
    }
}
