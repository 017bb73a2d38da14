//! What rests on what: the buffers directly beneath a buffer that keep it from moving down.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use super::layout::{Layout, aligned};

/// What keeps a buffer where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// It lies at offset 0.
    Floor,
    /// The caller has chosen its offset.
    Fixed,
    /// It rests on the buffers of [`Rest::on`]: with any of them in place it cannot lie lower.
    Buffers,
    /// Nothing: it could lie [`Rest::slack`] bytes lower, on the buffers of [`Rest::on`], on the floor where there are
    /// none. Plans that were not pressed down have such buffers.
    Loose,
    /// It has no bytes and may lie anywhere.
    Empty,
}

/// A buffer beneath another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The buffer beneath.
    pub buffer: u32,
    /// Bytes between its end and the offset of the one above: alignment padding, and slack where the one above is loose.
    pub gap: u64,
}

/// Where one buffer rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest<'a> {
    /// What keeps it there.
    pub ground: Ground,
    /// The highest buffers directly beneath it, by number: those it rests on, or would rest on if it were not loose.
    /// Empty for fixed buffers.
    pub on: &'a [Contact],
    /// Bytes by which it could lie lower while all others stay.
    pub slack: u64,
}

/// Where every buffer rests.
///
/// ```text
///  offset
///    ^   +-------+ +--+     d rests on b and on c: both end where it begins
///    |   |   d   | |e |     e is loose: a is the highest beneath it, but does not reach it
///    |   +---+---+ +--+
///    |   | b | c |          b and c rest on a
///    |   +---+---+---+
///    |   |     a     |      a lies on the floor
///    +---+-----------+--->  program points
/// ```
///
/// Found in one walk over time with the live buffers by offset: where a buffer begins or ends, only its neighbours below
/// and above come to lie directly upon each other. Two buffers are neighbours at most three times per buffer (a plan of
/// rectangles is a planar drawing), so there are O(n) contacts, and the walk takes O(n log n).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rests {
    /// The contacts of buffer i are `starts[i]..starts[i + 1]`.
    starts: Vec<u32>,
    contacts: Vec<Contact>,
    grounds: Vec<(Ground, u64)>,
}

impl Rests {
    /// Where a buffer rests; as an empty one for a number that no buffer has.
    pub fn get(&self, buffer: u32) -> Rest<'_> {
        let at = buffer as usize;
        let Some(&(ground, slack)) = self.grounds.get(at) else {
            return Rest { ground: Ground::Empty, on: &[], slack: 0 };
        };
        let on = &self.contacts[self.starts[at] as usize..self.starts[at + 1] as usize];
        Rest { ground, on, slack }
    }

    /// Number of buffers.
    pub fn len(&self) -> usize {
        self.grounds.len()
    }

    /// Whether there is no buffer.
    pub fn is_empty(&self) -> bool {
        self.grounds.is_empty()
    }

    pub(super) fn of(layout: &Layout<'_>) -> Self {
        let mut pairs = neighbours(layout);
        pairs.sort_unstable();
        pairs.dedup();
        let count = layout.problem.len();
        let mut rests = Self {
            starts: Vec::with_capacity(count + 1),
            contacts: Vec::new(),
            grounds: vec![(Ground::Empty, 0); count],
        };
        let (mut job, mut pair) = (0, 0);
        for buffer in 0..count as u32 {
            rests.starts.push(rests.contacts.len() as u32);
            if layout.jobs().get(job).is_none_or(|found| found.buffer != buffer) {
                continue;
            }
            let from = pair;
            while pairs.get(pair).is_some_and(|&(above, _)| above == job as u32) {
                pair += 1;
            }
            rests.grounds[buffer as usize] = ground(layout, job, &pairs[from..pair], &mut rests.contacts);
            job += 1;
        }
        rests.starts.push(rests.contacts.len() as u32);
        rests
    }
}

/// What keeps a job where it is, given the jobs that lie directly beneath it; the highest of these become contacts.
fn ground(
    layout: &Layout<'_>,
    job: usize,
    beneath: &[(u32, u32)],
    contacts: &mut Vec<Contact>,
) -> (Ground, u64) {
    let (offset, own) = (layout.offsets[job], &layout.jobs()[job]);
    if own.fixed.is_some() {
        return (Ground::Fixed, 0);
    }
    let lowest = |other: u32| aligned(layout.end(other as usize), own.align);
    let highest = beneath.iter().map(|&(_, other)| lowest(other)).max().unwrap_or(0);
    for &(_, other) in beneath.iter().filter(|&&(_, other)| lowest(other) == highest) {
        let gap = offset.saturating_sub(layout.end(other as usize));
        contacts.push(Contact { buffer: layout.jobs()[other as usize].buffer, gap });
    }
    match (offset, offset.saturating_sub(highest)) {
        (0, _) => (Ground::Floor, 0),
        (_, 0) => (Ground::Buffers, 0),
        (_, slack) => (Ground::Loose, slack),
    }
}

/// Pairs of jobs `(above, beneath)` with nothing between them in some section; some pairs twice.
fn neighbours(layout: &Layout<'_>) -> Vec<(u32, u32)> {
    let jobs = layout.jobs();
    let mut starts: Vec<(u32, u32)> = (0..).zip(jobs).map(|(at, job)| (job.first, at)).collect();
    let mut ends: Vec<(u32, u32)> = (0..).zip(jobs).map(|(at, job)| (job.last, at)).collect();
    starts.sort_unstable();
    ends.sort_unstable();
    let mut live: BTreeSet<(u64, u32)> = BTreeSet::new();
    let mut pairs = Vec::with_capacity(2 * jobs.len());
    let (mut ended, mut started) = (0, 0);
    for section in 0..layout.sections.len() {
        let (gone, begun) = (ended, started);
        while ends.get(ended).is_some_and(|&(last, _)| last <= section) {
            let job = ends[ended].1;
            live.remove(&(layout.offsets[job as usize], job));
            ended += 1;
        }
        while starts.get(started).is_some_and(|&(first, _)| first == section) {
            let job = starts[started].1;
            live.insert((layout.offsets[job as usize], job));
            started += 1;
        }
        // Neighbours only count once all that ends and begins here has done so.
        for &(_, job) in ends[gone..ended].iter().chain(&starts[begun..started]) {
            let place = (layout.offsets[job as usize], job);
            let below = live.range(..place).next_back();
            let above = live.range((place.0, place.1 + 1)..).next();
            if live.contains(&place) {
                pairs.extend(below.map(|&(_, below)| (job, below)));
                pairs.extend(above.map(|&(_, above)| (above, job)));
            } else if let (Some(&(_, below)), Some(&(_, above))) = (below, above) {
                pairs.push((above, below));
            }
        }
    }
    pairs
}
