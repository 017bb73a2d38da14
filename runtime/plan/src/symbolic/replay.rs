//! Offsets from an order, for any sizes.

use alloc::vec;
use alloc::vec::Vec;

use super::problem::SymbolicProblem;
use crate::problem::Lifespan;

/// An order made ready: for each buffer in turn, the few earlier ones that its offset can rest on.
///
/// The offset of a buffer is the highest top of all earlier buffers that live with it, rounded up to its alignment.
/// Most of them need no look. Seen from above, the buffers placed so far form a skyline:
///
/// ```text
///    offset            [--- new ---]
///      ^          +------+   .
///      |          |  b   |   .         a lives with the new buffer but is nowhere on top of what lives with it;
///      |     +----+------+---+---+     c is on top, but b is later and lives with c, so b's top is never
///      |  +--+      a        | c |     lower than c's, whatever the sizes: only b supports the new buffer
///      +--+------------------+---+-->
/// ```
///
/// Each placement covers the part of the skyline it stands on with one piece and leaves at most two remnants, so all
/// supports together are fewer than three times the buffers, and a replay is linear in their number.
#[derive(Clone, Debug)]
pub(super) struct Replay {
    pub(super) steps: Vec<Step>,
    /// Positions in the order: step i rests on `supports[steps[i].supports.0..steps[i].supports.1]`.
    supports: Vec<u32>,
}

/// One placement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The buffer's number in the problem.
    pub(super) buffer: u32,
    /// The number of its size.
    pub(super) size: u32,
    /// Its alignment less one.
    mask: u64,
    supports: (u32, u32),
    /// Whether no later buffer rests on it.
    pub(super) last: bool,
}

impl Step {
    /// Alignment of the offset, in bytes.
    pub(super) fn align(&self) -> u64 {
        self.mask + 1
    }
}

impl Replay {
    /// Makes an order ready, which must name every buffer once.
    pub(super) fn new(problem: &SymbolicProblem, order: &[u32]) -> Self {
        let mut skyline = Skyline::new(problem.spans.iter().map(|span| span.last).max().unwrap_or(0));
        let mut steps: Vec<Step> = Vec::with_capacity(order.len());
        let mut supports = Vec::with_capacity(2 * order.len());
        let mut spans = Vec::with_capacity(order.len());
        for &buffer in order {
            let item = &problem.buffers()[buffer as usize];
            let from = supports.len() as u32;
            let span = problem.spans[buffer as usize];
            skyline.cover(span, &spans, &mut supports);
            for &support in &supports[from as usize..] {
                steps[support as usize].last = false;
            }
            spans.push(span);
            let (size, to) = (problem.size_of[buffer as usize], supports.len() as u32);
            steps.push(Step { buffer, size, mask: item.align - 1, supports: (from, to), last: true });
        }
        Self { steps, supports }
    }

    /// The positions of what a step rests on.
    pub(super) fn supports(&self, step: &Step) -> &[u32] {
        &self.supports[step.supports.0 as usize..step.supports.1 as usize]
    }

    /// Writes the top (offset and size) of every step, and gives the highest. `sizes` are those of the problem's
    /// different sizes; their sum over all buffers and paddings must be below 2^63.
    pub(super) fn tops(&self, sizes: &[u64], tops: &mut Vec<u64>) -> u64 {
        tops.clear();
        let mut peak = 0;
        for step in &self.steps {
            let mut floor = 0;
            for &support in self.supports(step) {
                floor = tops[support as usize].max(floor);
            }
            let top = ((floor + step.mask) & !step.mask) + sizes[step.size as usize];
            peak = top.max(peak);
            tops.push(top);
        }
        peak
    }

    /// The positions of a chain that makes the peak, from the ground up: each rests on the one before it.
    pub(super) fn critical(&self, tops: &[u64]) -> Vec<u32> {
        let highest = |positions: &mut dyn Iterator<Item = u32>| {
            positions.max_by_key(|&at| (tops[at as usize], core::cmp::Reverse(at)))
        };
        let mut chain = vec![];
        let mut at = highest(&mut (0..tops.len() as u32));
        while let Some(position) = at {
            chain.push(position);
            at = highest(&mut self.supports(&self.steps[position as usize]).iter().copied());
        }
        chain.reverse();
        chain
    }
}

/// What is on top at each point of time: runs of points with the same buffer on top, and free ones between them.
struct Skyline {
    /// The first points of runs.
    starts: Marks,
    /// The point after a run, by its first point.
    ends: Vec<u32>,
    /// The position of the buffer on top, by the first point of its run.
    tops: Vec<u32>,
    /// The runs that the next buffer stands on: first point, point after, position.
    met: Vec<(u32, u32, u32)>,
}

impl Skyline {
    /// Nothing yet, of so many points.
    fn new(points: u32) -> Self {
        let row = || vec![0; points as usize];
        Self { starts: Marks::new(points), ends: row(), tops: row(), met: Vec::new() }
    }

    /// Puts the next buffer on top during `span`; `spans` are those of the buffers before it. Appends the positions
    /// of what it can rest on.
    fn cover(&mut self, span: Lifespan, spans: &[Lifespan], supports: &mut Vec<u32>) {
        let Lifespan { first, last } = span;
        self.met.clear();
        let mut before = last;
        while let Some(start) = self.starts.before(before) {
            let (end, top) = (self.ends[start as usize], self.tops[start as usize]);
            if end <= first {
                break;
            }
            self.met.push((start, end, top));
            before = start;
        }
        self.met.reverse();
        for (at, &(_, _, top)) in self.met.iter().enumerate() {
            // Whatever lives on past its run is covered there by the neighbour, which came later: it is enough to look
            // at the neighbours.
            let hidden = |&&(_, _, other): &&(u32, u32, u32)| {
                other > top && spans[other as usize].overlaps(spans[top as usize])
            };
            let left = at.checked_sub(1).and_then(|left| self.met.get(left)).filter(hidden);
            if left.or(self.met.get(at + 1).filter(hidden)).is_none() {
                supports.push(top);
            }
        }
        for at in 0..self.met.len() {
            let (start, end, top) = self.met[at];
            self.starts.clear(start);
            if start < first {
                self.run(start, first, top);
            }
            if end > last {
                self.run(last, end, top);
            }
        }
        self.run(first, last, spans.len() as u32);
    }

    fn run(&mut self, start: u32, end: u32, top: u32) {
        self.starts.set(start);
        (self.ends[start as usize], self.tops[start as usize]) = (end, top);
    }
}

/// A set of points in which the highest below a point is found at once: a bit for each, and one for each 64 that have any.
struct Marks {
    bits: Vec<u64>,
    any: Vec<u64>,
}

impl Marks {
    /// No point of so many.
    fn new(points: u32) -> Self {
        let words = points as usize / 64 + 1;
        Self { bits: vec![0; words], any: vec![0; words / 64 + 1] }
    }

    fn set(&mut self, point: u32) {
        let word = point as usize / 64;
        self.bits[word] |= 1 << (point % 64);
        self.any[word / 64] |= 1 << (word % 64);
    }

    fn clear(&mut self, point: u32) {
        let word = point as usize / 64;
        self.bits[word] &= !(1 << (point % 64));
        if self.bits[word] == 0 {
            self.any[word / 64] &= !(1 << (word % 64));
        }
    }

    /// The highest point below one.
    fn before(&self, point: u32) -> Option<u32> {
        let word = point as usize / 64;
        let highest = |bits: u64| bits.checked_ilog2();
        let below = |bits: u64, at: usize| bits & ((1 << (at % 64)) - 1);
        if let Some(bit) = highest(below(self.bits[word], point as usize)) {
            return Some(word as u32 * 64 + bit);
        }
        let mut many = word / 64;
        let mut words = below(self.any[many], word);
        loop {
            if let Some(bit) = highest(words) {
                let word = many * 64 + bit as usize;
                return Some(word as u32 * 64 + highest(self.bits[word])?);
            }
            many = many.checked_sub(1)?;
            words = self.any[many];
        }
    }
}
