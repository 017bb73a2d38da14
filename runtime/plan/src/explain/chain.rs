//! The stacks of buffers that reach from the floor to the peak.

use alloc::vec;
use alloc::vec::Vec;

use super::layout::Layout;
use super::rests::{Contact, Ground, Rests};

/// A buffer of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The buffer.
    pub buffer: u32,
    /// Bytes between it and what it lies on: padding, and slack where it is loose. Of the lowest link the bytes below it,
    /// which are its offset if it is fixed.
    pub gap: u64,
}

/// Why the arena reaches as high as it does: chains of buffers, each resting on the one before.
///
/// ```text
///   peak +-------+
///        |   c   |                a, b, c is a chain; a, d, c is one as well
///        +---+---+
///        | b | d |                critical: a, b, c, d
///    +---+---+---+                on every chain: a and c; without b alone, d
///    |   a   |                    still carries c to the peak
///  0 +-------+
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Critical {
    /// One chain, from the lowest link to the highest; of several buffers to rest on, the largest. Its gaps and sizes
    /// add up to the peak.
    pub chain: Vec<Link>,
    /// All buffers that lie on some chain, by number.
    pub buffers: Vec<u32>,
    /// Those that lie on every chain, by number: as the others are stacked, only their removal lowers the peak.
    pub on_every_chain: Vec<u32>,
}

impl Critical {
    /// Works out the chains below the buffers that end at the highest byte of the layout.
    pub(super) fn of(layout: &Layout<'_>, rests: &Rests) -> Self {
        let peak = (0..layout.offsets.len()).map(|job| layout.end(job)).max().unwrap_or(0);
        // By offset: whatever a buffer rests on comes before it.
        let mut order: Vec<u32> = (0..layout.offsets.len() as u32).collect();
        order.sort_unstable_by_key(|&job| (layout.offsets[job as usize], job));
        let job_of = numbers(layout);
        let mut critical = vec![false; layout.offsets.len()];
        for &job in order.iter().rev() {
            if layout.end(job as usize) == peak {
                critical[job as usize] = true;
            }
            if critical[job as usize] {
                for contact in rests.get(layout.jobs()[job as usize].buffer).on {
                    critical[job_of[contact.buffer as usize] as usize] = true;
                }
            }
        }
        order.retain(|&job| critical[job as usize]);
        let buffer = |job: u32| layout.jobs()[job as usize].buffer;
        let mut on_every_chain: Vec<u32> =
            unavoidable(layout, rests, &order, &job_of, peak).into_iter().map(buffer).collect();
        let mut buffers: Vec<u32> = order.iter().map(|&job| buffer(job)).collect();
        buffers.sort_unstable();
        on_every_chain.sort_unstable();
        Self { chain: chain(layout, rests, &job_of, peak), buffers, on_every_chain }
    }
}

/// The job of each buffer, 0 for those without bytes.
fn numbers(layout: &Layout<'_>) -> Vec<u32> {
    let mut jobs = vec![0; layout.problem.len()];
    for (number, job) in (0..).zip(layout.jobs()) {
        jobs[job.buffer as usize] = number;
    }
    jobs
}

/// The critical jobs that lie on every chain. In an order in which chains only go up, a job is avoided exactly by those
/// steps of a chain that pass over its place: every chain begins before the first place and ends after the last one.
fn unavoidable(layout: &Layout<'_>, rests: &Rests, order: &[u32], job_of: &[u32], peak: u64) -> Vec<u32> {
    let mut place = vec![0usize; layout.offsets.len()];
    for (at, &job) in order.iter().enumerate() {
        place[job as usize] = at + 1;
    }
    let end = order.len() + 1;
    // `passes[p]`: steps that begin to pass over places at p, less those that have passed.
    let mut passes = vec![0i64; end + 1];
    let mut step = |from: usize, to: usize| {
        passes[from + 1] += 1;
        passes[to] -= 1;
    };
    for &job in order {
        let rest = rests.get(layout.jobs()[job as usize].buffer);
        let own = place[job as usize];
        if rest.on.is_empty() {
            step(0, own);
        }
        for contact in rest.on {
            step(place[job_of[contact.buffer as usize] as usize], own);
        }
        if layout.end(job as usize) == peak {
            step(own, end);
        }
    }
    let mut passing = 0;
    let mut found = Vec::new();
    for (&job, change) in order.iter().zip(&passes[1..]) {
        passing += change;
        if passing == 0 {
            found.push(job);
        }
    }
    found
}

/// One chain, followed down from the largest of the topmost buffers.
fn chain(layout: &Layout<'_>, rests: &Rests, job_of: &[u32], peak: u64) -> Vec<Link> {
    let larger = |&job: &u32| (layout.jobs()[job as usize].size, u32::MAX - job);
    let tops = (0..layout.offsets.len() as u32).filter(|&job| layout.end(job as usize) == peak);
    let (mut links, mut next) = (Vec::new(), tops.max_by_key(larger));
    while let Some(job) = next {
        let buffer = layout.jobs()[job as usize].buffer;
        let rest = rests.get(buffer);
        let job_of = |contact: &Contact| job_of[contact.buffer as usize];
        // Offsets fall from link to link in a valid plan; in any other the walk ends here.
        let beneath = rest.on.iter().map(job_of).max_by_key(larger);
        next = beneath.filter(|&other| layout.offsets[other as usize] < layout.offsets[job as usize]);
        let gap = match next {
            Some(other) => layout.offsets[job as usize].saturating_sub(layout.end(other as usize)),
            None if rest.ground == Ground::Floor => 0,
            None => layout.offsets[job as usize],
        };
        links.push(Link { buffer, gap });
    }
    links.reverse();
    links
}
