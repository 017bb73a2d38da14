//! What all searches of one problem share.

use alloc::vec;
use alloc::vec::Vec;

use crate::sections::{Job, Sections};

/// The jobs with sizes rounded up to the common alignment, and who lives with whom.
pub(super) struct Instance {
    /// Sizes are multiples of the common alignment.
    pub(super) jobs: Vec<Job>,
    /// Sum of the rounded sizes per section.
    pub(super) loads: Vec<u64>,
    /// What rounding added, per job: its topmost bytes may lie beyond the capacity.
    pub(super) padding: Vec<u64>,
    /// The largest padding of any job, per section.
    pub(super) most_padding: Vec<u64>,
    /// The peaks of pressed plans are multiples of this.
    pub(super) unit: u64,
    /// Per job the places that jobs with a fixed offset take from it, as (from, to) by ascending offset; empty when no job
    /// is fixed.
    obstacles: Vec<Vec<(u64, u64)>>,
    neighbours: Lists,
    live_in: Lists,
}

impl Instance {
    pub(super) fn new(sections: &Sections) -> Self {
        let mut jobs = sections.jobs.clone();
        let (mut loads, mut most_padding) = (vec![0; sections.loads.len()], vec![0; sections.loads.len()]);
        let mut padding = vec![];
        for job in &mut jobs {
            let rounded = job.size.next_multiple_of(sections.grain);
            padding.push(rounded - job.size);
            for section in job.first as usize..job.last as usize {
                loads[section] += rounded;
                most_padding[section] = (rounded - job.size).max(most_padding[section]);
            }
            job.size = rounded;
        }
        let neighbours = Lists::new(jobs.len(), pairs(&jobs));
        let in_sections = jobs.iter().enumerate();
        let live_in = Lists::new(
            loads.len(),
            in_sections.flat_map(|(i, job)| (job.first..job.last).map(move |section| (section, i as u32))),
        );
        let mut obstacles = vec![];
        if jobs.iter().any(|job| job.fixed.is_some()) {
            obstacles.extend((0..jobs.len() as u32).map(|job| taken(&jobs, neighbours.get(job))));
        }
        let unit = unit(sections);
        Self { jobs, loads, padding, most_padding, unit, obstacles, neighbours, live_in }
    }

    /// No plan is smaller: max-live with padding, and the ends of fixed jobs; a multiple of the unit.
    pub(super) fn bound(&self) -> u64 {
        let live = self.loads.iter().zip(&self.most_padding).map(|(load, padding)| load - padding);
        let jobs = self.jobs.iter().zip(&self.padding);
        let ends = jobs.filter_map(|(job, padding)| Some(job.fixed? + job.size - padding));
        live.chain(ends).max().unwrap_or(0).next_multiple_of(self.unit)
    }

    /// The jobs that share a section with `job`.
    pub(super) fn neighbours(&self, job: u32) -> &[u32] {
        self.neighbours.get(job)
    }

    /// The jobs that are live in `section`; never empty.
    pub(super) fn live_in(&self, section: u32) -> &[u32] {
        self.live_in.get(section)
    }

    /// The lowest offset for `job` at `from` or above that no fixed job is in the way of. For a fixed job its
    /// offset, none when that is below `from`.
    pub(super) fn free_from(&self, job: u32, from: u64) -> Option<u64> {
        let item = &self.jobs[job as usize];
        if let Some(offset) = item.fixed {
            return Some(offset).filter(|&offset| offset >= from);
        }
        let mut offset = from.next_multiple_of(item.align);
        for &(low, high) in self.obstacles.get(job as usize).map_or(&[][..], |taken| taken) {
            if offset + item.size > low && offset < high {
                offset = high.next_multiple_of(item.align);
            }
        }
        Some(offset)
    }
}

/// The bytes that fixed jobs of a list take, by ascending offset.
fn taken(jobs: &[Job], list: &[u32]) -> Vec<(u64, u64)> {
    let items = list.iter().map(|&job| &jobs[job as usize]);
    let mut taken = Vec::from_iter(items.filter_map(|job| job.fixed.map(|at| (at, at + job.size))));
    taken.sort_unstable();
    taken
}

/// The largest number that divides every peak. An offset of a pressed plan is fixed, or a multiple of its alignment right
/// above another job's end, or 0; with an alignment that divides all sizes and fixed offsets nothing is rounded.
fn unit(sections: &Sections) -> u64 {
    let step = |job: &Job| gcd(job.size, job.fixed.unwrap_or(0));
    let common = sections.jobs.iter().fold(0, |common, job| gcd(common, step(job))).max(1);
    let strictest = sections.jobs.iter().map(|job| job.align).max().unwrap_or(1);
    if common.is_multiple_of(strictest) { common } else { gcd(common, strictest) }
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
        let mut starts = vec![0u32; count + 1];
        for (list, _) in entries.clone() {
            starts[list as usize + 1] += 1;
        }
        for list in 0..count {
            starts[list + 1] += starts[list];
        }
        let mut items = vec![0; starts[count] as usize];
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
