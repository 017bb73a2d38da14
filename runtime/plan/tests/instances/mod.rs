//! Seeded problems of the kinds that real graphs and hard cases are made of.

use bayplan_plan::{Buffer, Problem};

mod random;
pub(crate) use random::SplitMix;

impl SplitMix {
    fn point(&mut self, low: u64, high: u64) -> u32 {
        self.range(low, high) as u32
    }
}

/// A kind of problem: its name and a generator of about `n` buffers from a seed.
pub(crate) type Kind = (&'static str, fn(u64, usize) -> Problem);

pub(crate) const KINDS: &[Kind] = &[
    ("chain", chain),
    ("unet", unet),
    ("transformer", transformer),
    ("random", random),
    ("equal sizes", equal_sizes),
    ("mixed alignments", mixed_alignments),
    ("common alignment", common_alignment),
    ("empty buffers", empty_buffers),
    ("best-fit trap", best_fit_trap),
    ("cut rectangle", cut_rectangle),
];

fn problem(buffers: Vec<Buffer>) -> Problem {
    Problem::new(buffers).expect("generated buffers are well formed")
}

/// One tensor after another, each read by the next step, now and then by a later one.
fn chain(seed: u64, n: usize) -> Problem {
    let mut r = SplitMix(seed);
    problem(
        (0..n as u32)
            .map(|t| {
                let reach = if r.range(0, 9) == 0 { r.point(3, 20) } else { 2 };
                Buffer::new(r.range(1, 1 << 20), t, t + reach)
            })
            .collect(),
    )
}

/// Nested skips: what is made on the way down is read on the way up.
fn unet(seed: u64, n: usize) -> Problem {
    let mut r = SplitMix(seed);
    let depth = (n as u32 / 6).max(1);
    let end = 6 * depth;
    let mut buffers = vec![];
    for level in 0..depth {
        let size = 1024 * (u64::from(depth - level)) * r.range(1, 8);
        let (down, up) = (3 * level, end - 3 * level);
        buffers.push(Buffer::new(size, down, down + 2));
        buffers.push(Buffer::new(size, down + 1, up));
        buffers.push(Buffer::new(size / 2, down + 2, down + 4));
        buffers.push(Buffer::new(2 * size, up - 1, up + 1));
        buffers.push(Buffer::new(size, up, up + 2));
        buffers.push(Buffer::new(size, up + 1, up + 3));
    }
    problem(buffers)
}

/// Layers of a decoder with a residual stream, attention scores, and now and then a long skip.
fn transformer(seed: u64, n: usize) -> Problem {
    let mut r = SplitMix(seed);
    let (mut buffers, mut t) = (vec![], 0u32);
    while buffers.len() < n {
        let s = r.range(1, 8) * 128;
        let (h, kv, scores, wide) = (s * 4096, s * 1024, s * s * 64, s * 11264);
        let rows = [
            (h, 0, 14),
            (h, 1, 5),
            (h, 2, 6),
            (kv, 3, 7),
            (kv, 4, 10),
            (scores, 5, 7),
            (scores, 6, 9),
            (h, 7, 9),
            (h, 8, 11),
            (h, 9, 18),
            (h, 10, 13),
            (wide, 11, 14),
            (wide, 12, 14),
            (wide, 13, 15),
            (h, 14, 16),
        ];
        buffers.extend(rows.map(|(size, first, last)| Buffer::new(size, t + first, t + last)));
        if r.range(0, 2) == 0 {
            buffers.push(Buffer::new(r.range(1, 64) << 16, t + r.point(0, 9), t + r.point(10, 200)));
        }
        t += 15;
    }
    buffers.truncate(n);
    problem(buffers)
}

fn random(seed: u64, n: usize) -> Problem {
    let mut r = SplitMix(seed);
    let horizon = (n as u64 / 2).max(4);
    problem(
        (0..n)
            .map(|_| {
                let first = r.point(0, horizon);
                Buffer::new(r.range(1, 1000), first, first + r.point(1, horizon / 2))
            })
            .collect(),
    )
}

/// Two sizes only: the case that fixed slots serve well.
fn equal_sizes(seed: u64, n: usize) -> Problem {
    let mut r = SplitMix(seed);
    problem(
        (0..n as u64)
            .map(|i| {
                let first = r.point(i, i + 10);
                Buffer::new(if r.range(0, 4) == 0 { 192 } else { 64 }, first, first + r.point(1, 30))
            })
            .collect(),
    )
}

fn mixed_alignments(seed: u64, n: usize) -> Problem {
    let mut r = SplitMix(seed);
    let random = random(seed, n);
    let align = |b: &Buffer| b.aligned(1 << r.range(0, 8));
    problem(random.buffers().iter().map(align).collect())
}

fn common_alignment(seed: u64, n: usize) -> Problem {
    problem(random(seed, n).buffers().iter().map(|b| b.aligned(256)).collect())
}

fn empty_buffers(seed: u64, n: usize) -> Problem {
    let mut r = SplitMix(seed);
    let random = random(seed, n);
    let buffers = random.buffers().iter().map(|b| {
        let size = if r.range(0, 2) == 0 { 0 } else { b.size };
        Buffer { size, ..b.aligned(16) }
    });
    problem(buffers.collect())
}

/// Holes of growing size that a best-fit allocator fills with what is a little smaller.
fn best_fit_trap(seed: u64, n: usize) -> Problem {
    let mut r = SplitMix(seed);
    let mut buffers = vec![];
    for t in 0..(n as u32 / 3).max(1) {
        let size = 1000 + 16 * u64::from(t);
        buffers.push(Buffer::new(size, 3 * t, 3 * t + 2));
        buffers.push(Buffer::new(r.range(1, 8), 3 * t, 3 * t + r.point(10, 100)));
        buffers.push(Buffer::new(size - r.range(1, 16), 3 * t + 2, 3 * t + r.point(3, 9)));
    }
    problem(buffers)
}

/// Seven buffers that need 15 bytes, though never more than 14 are live at once. Rare: of small random problems only
/// one in some ten million is like this.
pub(crate) fn above_its_bound() -> Problem {
    let rows = [(3, 3, 5), (9, 1, 4), (5, 5, 9), (5, 4, 6), (9, 6, 7), (4, 0, 2), (2, 3, 6)];
    problem(rows.map(|(size, first, last)| Buffer::new(size, first, last)).to_vec())
}

/// A rectangle of time and bytes cut into buffers without a gap: the optimum is the bound, and hard to find.
pub(crate) fn cut_rectangle(seed: u64, n: usize) -> Problem {
    let mut r = SplitMix(seed);
    let mut parts = vec![(1u64 << 20, 0u32, 4 * n as u32)];
    while parts.len() < n {
        let at = r.range(0, parts.len() as u64 - 1) as usize;
        let (size, first, last) = parts[at];
        if r.range(0, 1) == 0 && size > 1024 {
            let cut = r.range(1, size / 1024 - 1) * 1024;
            parts[at].0 = cut;
            parts.push((size - cut, first, last));
        } else if last - first > 1 {
            let cut = r.point(u64::from(first) + 1, u64::from(last) - 1);
            parts[at].2 = cut;
            parts.push((size, cut, last));
        }
    }
    problem(parts.into_iter().map(|(size, first, last)| Buffer::new(size, first, last)).collect())
}

/// The least peak, by trying every order in which buffers can be put down at their lowest free offset.
/// Any plan can be pressed down to such a one without raising its peak.
pub(crate) fn least_peak(buffers: &[Buffer], placed: &mut Vec<(usize, u64)>, peak: u64, best: &mut u64) {
    if peak >= *best {
        return;
    }
    if placed.len() == buffers.len() {
        *best = peak;
        return;
    }
    for (i, b) in buffers.iter().enumerate() {
        if placed.iter().any(|&(j, _)| i == j) {
            continue;
        }
        let below = placed.iter().filter(|&&(j, _)| buffers[j].lifespan.overlaps(b.lifespan));
        let top = below.map(|&(j, offset)| offset + buffers[j].size).max().unwrap_or(0);
        let offset = top.next_multiple_of(b.align);
        placed.push((i, offset));
        least_peak(buffers, placed, peak.max(offset + b.size), best);
        placed.pop();
    }
}
