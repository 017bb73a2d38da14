//! Time compression: program points become sections, the maximal sets of buffers live together.

use alloc::vec;
use alloc::vec::Vec;

use crate::problem::Problem;

/// A buffer with bytes, its lifespan counted in sections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    /// Its number in the problem.
    pub(crate) buffer: u32,
    /// First section it is live in.
    pub(crate) first: u32,
    /// First section it is no longer live in.
    pub(crate) last: u32,
    /// The program point at which its lifespan begins.
    pub(crate) start: u32,
    /// Its lifespan's length in program points.
    pub(crate) width: u32,
    /// Bytes, at least 1.
    pub(crate) size: u64,
    /// Alignment of its offset.
    pub(crate) align: u64,
    /// The offset the caller has chosen for it.
    pub(crate) fixed: Option<u64>,
}

/// A problem in compressed time, without empty buffers.
///
/// A new section begins where a buffer starts after another has ended since the last start:
///
/// ```text
///   points   0 1 2 3 4 5 6 7
///   a        =====                sections:  0 = {a, b}   1 = {b, c, d}   2 = {d, e}
///   b          =======            two buffers overlap in time exactly when they
///   c                ==           share a section
///   d              =======
///   e                    ==
/// ```
#[derive(Clone, Debug)]
pub(crate) struct Sections {
    /// The buffers with bytes, in the problem's order.
    pub(crate) jobs: Vec<Job>,
    /// Sum of sizes per section.
    pub(crate) loads: Vec<u64>,
    /// A program point per section at which all of its buffers are live.
    pub(crate) points: Vec<u32>,
    /// The smallest alignment of any job, 1 when there is none.
    pub(crate) grain: u64,
    /// Pairs of jobs that are live together: what gap-searching strategies cost.
    pub(crate) pairs: u64,
}

impl Sections {
    pub(crate) fn of(problem: &Problem) -> Self {
        let buffers = problem.buffers();
        let mut jobs = Vec::with_capacity(buffers.len());
        for (i, b) in buffers.iter().enumerate().filter(|(_, b)| b.size > 0) {
            let (start, width) = (b.lifespan.first, b.lifespan.len());
            let (size, align, fixed) = (b.size, b.align, b.fixed);
            jobs.push(Job { buffer: i as u32, first: 0, last: 0, start, width, size, align, fixed });
        }
        let key = |point: u32, job: usize| u64::from(point) << 32 | job as u64;
        let span = |job: &Job| buffers[job.buffer as usize].lifespan;
        let mut starts: Vec<u64> = jobs.iter().enumerate().map(|(i, job)| key(span(job).first, i)).collect();
        let mut ends: Vec<u64> = jobs.iter().enumerate().map(|(i, job)| key(span(job).last, i)).collect();
        starts.sort_unstable();
        ends.sort_unstable();

        let (mut loads, mut points) = (vec![], vec![]);
        let (mut load, mut live, mut pairs, mut ended, mut done) = (0u64, 0u64, 0u64, true, 0);
        for &start in &starts {
            let point = (start >> 32) as u32;
            while (ends[done] >> 32) as u32 <= point {
                let job = &mut jobs[ends[done] as u32 as usize];
                job.last = loads.len() as u32;
                load -= job.size;
                live -= 1;
                (ended, done) = (true, done + 1);
            }
            if ended {
                loads.push(0);
                points.push(0);
                ended = false;
            }
            let section = loads.len() - 1;
            let job = &mut jobs[start as u32 as usize];
            job.first = section as u32;
            load += job.size;
            pairs += live;
            live += 1;
            (loads[section], points[section]) = (load, point);
        }
        for &end in &ends[done..] {
            jobs[end as u32 as usize].last = loads.len() as u32;
        }
        let grain = jobs.iter().map(|job| job.align).min().unwrap_or(1);
        Self { jobs, loads, points, grain, pairs }
    }

    /// The highest end of any job at these offsets, in bytes.
    pub(crate) fn peak(&self, offsets: &[u64]) -> u64 {
        self.jobs.iter().zip(offsets).map(|(job, &offset)| offset + job.size).max().unwrap_or(0)
    }

    /// Number of sections.
    pub(crate) fn len(&self) -> u32 {
        self.loads.len() as u32
    }
}
