//! What the lower bound rests on, and what it would be without a buffer.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::layout::Layout;
use crate::bound::{LowerBound, each_padded_load};
use crate::plan::Plan;
use crate::problem::{Buffer, Problem};
use crate::sections::Job;

/// Buffers that are live at once and therefore need disjoint bytes: a clique in the graph of overlaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clique {
    /// The program point.
    pub point: u32,
    /// Sum of their sizes.
    pub bytes: u64,
    /// The buffers, the largest first; empty ones are left out.
    pub buffers: Vec<u32>,
}

/// What no plan can be smaller than, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundProof {
    /// These buffers are live at once: the bound is the sum of their sizes.
    Live(Clique),
    /// They are, and whichever of them lies on top, the others end at multiples of the common alignment: so many bytes
    /// of padding come on top of the sum.
    Padded(Clique, u64),
    /// The caller has fixed this buffer so high; it ends at the bound.
    Fixed(u32),
}

/// The buffers with bytes that are live at a point.
fn clique(problem: &Problem, point: u32) -> Clique {
    let size = |&buffer: &u32| problem.buffers()[buffer as usize].size;
    let mut buffers = problem.live_at(point);
    buffers.retain(|buffer| size(buffer) > 0);
    buffers.sort_by_key(|buffer| Reverse(size(buffer)));
    Clique { point, bytes: buffers.iter().map(size).sum(), buffers }
}

/// What the bound of a plan rests on.
pub(super) fn proof(problem: &Problem, plan: &Plan) -> BoundProof {
    let (live, bound) = (plan.lower_bound, plan.aligned_bound);
    if bound.bytes <= live.bytes {
        return BoundProof::Live(clique(problem, live.witness));
    }
    let ends =
        |buffer: &Buffer| buffer.size > 0 && buffer.fixed.map(|at| at + buffer.size) == Some(bound.bytes);
    if let Some(fixed) = problem.buffers().iter().position(ends) {
        return BoundProof::Fixed(fixed as u32);
    }
    let clique = clique(problem, bound.witness);
    let padding = bound.bytes.saturating_sub(clique.bytes);
    BoundProof::Padded(clique, padding)
}

/// How far the lower bound sinks if one buffer changes. Each is a lower bound of the problem so changed: the arena need
/// not shrink as far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relief {
    /// The buffer.
    pub buffer: u32,
    /// The bound without it, and the point that proves it then.
    pub without: LowerBound,
    /// The bound with half its size (rounded up).
    pub halved: LowerBound,
}

/// The bounds of one problem, so kept that those of the problem with one smaller buffer are found at once.
///
/// ```text
///  load ^      ____
///       |  __ |    |        shrinking a buffer by r lowers the load by r where it lives; the bound
///       | |  ||    |__      becomes the larger of the bound - r and the highest load outside its life:
///       +-|--||----|--|-->  a prefix or a suffix of the sections
/// ```
pub(super) struct Bounds<'a> {
    layout: &'a Layout<'a>,
    live: Curve,
    padded: Curve,
    /// The two highest ends of fixed buffers, with the buffers.
    fixed: [(u64, Reverse<u32>); 2],
}

/// The highest load before and after each section.
struct Curve {
    bound: LowerBound,
    /// The section of the bound's witness.
    section: u32,
    /// The highest load of the sections before number i.
    before: Vec<LowerBound>,
    /// The highest load of section i and those after it.
    after: Vec<LowerBound>,
}

impl Curve {
    fn new(loads: &[u64], points: &[u32]) -> Self {
        let (mut highest, mut section) = (LowerBound::default(), 0);
        let mut before = vec![highest];
        for (number, (&bytes, &witness)) in (0..).zip(loads.iter().zip(points)) {
            if bytes > highest.bytes {
                (highest, section) = (LowerBound { bytes, witness }, number);
            }
            before.push(highest);
        }
        let (bound, mut highest) = (highest, LowerBound::default());
        let mut after = vec![highest; loads.len()];
        for (slot, (&bytes, &witness)) in after.iter_mut().zip(loads.iter().zip(points)).rev() {
            if bytes >= highest.bytes {
                highest = LowerBound { bytes, witness };
            }
            *slot = highest;
        }
        after.push(LowerBound::default());
        Self { bound, section, before, after }
    }

    /// The bound if the load of the sections `first..last` is lower by `bytes`, or more.
    fn lowered(&self, first: u32, last: u32, bytes: u64) -> LowerBound {
        if self.section < first || self.section >= last {
            return self.bound;
        }
        let inside = LowerBound { bytes: self.bound.bytes.saturating_sub(bytes), ..self.bound };
        let outside = higher(self.before[first as usize], self.after[last as usize]);
        higher(inside, outside)
    }
}

/// The higher of two bounds, of equal ones that with the earlier witness.
fn higher(a: LowerBound, b: LowerBound) -> LowerBound {
    if (b.bytes, Reverse(b.witness)) > (a.bytes, Reverse(a.witness)) { b } else { a }
}

impl<'a> Bounds<'a> {
    pub(super) fn new(layout: &'a Layout<'a>) -> Self {
        let sections = layout.sections;
        let mut padded = vec![0; sections.loads.len()];
        each_padded_load(sections, |section, bytes| padded[section] = bytes);
        let mut fixed = [(0, Reverse(u32::MAX)); 2];
        for job in &sections.jobs {
            let end = (job.fixed.map_or(0, |at| at.saturating_add(job.size)), Reverse(job.buffer));
            if end > fixed[0] {
                fixed = [end, fixed[0]];
            } else if end > fixed[1] {
                fixed[1] = end;
            }
        }
        let live = Curve::new(&sections.loads, &sections.points);
        Self { layout, live, padded: Curve::new(&padded, &sections.points), fixed }
    }

    /// The bound if a job were of another size, `None` for not there at all. With padding it counts the whole
    /// rounding of the bytes taken away, so it may be lower than the bound computed anew by less than the alignment.
    pub(super) fn with(&self, job: usize, size: Option<u64>) -> LowerBound {
        let (own, kept) = (&self.layout.jobs()[job], size.unwrap_or(0));
        let live = self.live.lowered(own.first, own.last, own.size - kept);
        let rounded = own.size.next_multiple_of(own.align);
        let padded = self.padded.lowered(own.first, own.last, rounded - kept);
        let [highest, second] = self.fixed;
        let (bytes, Reverse(buffer)) = if highest.1.0 == own.buffer { second } else { highest };
        let fixed = if highest.1.0 == own.buffer && size.is_some() {
            LowerBound { bytes: bytes.max(own.fixed.unwrap_or(0) + kept), witness: own.start }
        } else {
            let buffer = self.layout.problem.buffers().get(buffer as usize);
            LowerBound { bytes, witness: buffer.map_or(0, |buffer| buffer.lifespan.first) }
        };
        higher(higher(live, padded), fixed)
    }

    /// What dropping or halving each job that is live at the bound's witness does to the bound; the most relief first,
    /// then the largest.
    pub(super) fn reliefs(&self) -> Vec<Relief> {
        let whole = higher(self.live.bound, self.padded.bound);
        let at = if whole == self.live.bound { self.live.section } else { self.padded.section };
        let highest = self.fixed[0];
        let matters = |job: &Job| {
            if highest.0 > whole.bytes { job.buffer == highest.1.0 } else { job.first <= at && at < job.last }
        };
        let relief = |(number, job): (usize, &Job)| Relief {
            buffer: job.buffer,
            without: self.with(number, None),
            halved: self.with(number, Some(job.size.div_ceil(2))),
        };
        let jobs = self.layout.jobs().iter().enumerate().filter(|(_, job)| matters(job));
        let mut reliefs: Vec<Relief> = jobs.map(relief).collect();
        let size = |relief: &Relief| self.layout.problem.buffers()[relief.buffer as usize].size;
        reliefs.sort_by_key(|relief| (relief.without.bytes, Reverse(size(relief)), relief.buffer));
        reliefs
    }
}
