//! Problems that are hard for some planner.

use bayplan_plan::Buffer;

use super::KINDS;
use crate::planners::REFERENCES;
use crate::random::Random;

/// Lives and sizes drawn one by one.
pub(super) fn random_lives(random: &mut Random, count: usize) -> Vec<Buffer> {
    let points = random.between(2, 2 * count as u64);
    let (longest, largest) = (random.between(1, points), 1 << random.between(3, 20));
    let buffer = |_| {
        let first = random.between(0, points) as u32;
        Buffer::new(random.between(1, largest), first, first + random.between(1, longest) as u32)
    };
    (0..count).map(buffer).collect()
}

/// One to three sizes, of which one may be a multiple of another.
pub(super) fn equal_sizes(random: &mut Random, count: usize) -> Vec<Buffer> {
    let unit = random.between(1, 4096);
    let other = random.between(1, 3 * unit);
    let sizes = random.pick(&[[unit; 3], [unit, unit, 3 * unit], [unit, 2 * unit, other]]);
    let mut lives = random_lives(random, count);
    lives.iter_mut().for_each(|b| b.size = random.pick(&sizes));
    lives
}

/// Sizes that are powers of two, or one byte more, which spoils the fit.
pub(super) fn powers_of_two(random: &mut Random, count: usize) -> Vec<Buffer> {
    let spoilt = random.once_in(2);
    let mut lives = random_lives(random, count);
    for buffer in &mut lives {
        buffer.size = (1 << random.below(12)) + u64::from(spoilt && random.once_in(4));
    }
    lives
}

/// Groups that live together: lives within lives, most of them over one common point.
pub(super) fn nested_cliques(random: &mut Random, count: usize) -> Vec<Buffer> {
    let groups = random.between(1, (count as u64 / 8).max(1));
    let width = 2 * count as u64;
    let buffer = |at: usize| {
        let middle = width * (at as u64 % groups) + width / 2;
        let before = random.between(0, width / 2 - 1);
        // One in five reaches into the next group.
        let reach = if random.once_in(5) { width } else { width / 2 };
        let after = random.between(1, reach);
        Buffer::new(random.between(1, 1000), (middle - before) as u32, (middle + after) as u32)
    };
    (0..count).map(buffer).collect()
}

/// Holes between small buffers that stay, and then buffers just too large for the hole that was left for them:
///
/// ```text
///   |  hole  |x|  hole  |x|  ...     what comes next is larger than any hole, or
///   |  hole - 1 |     (best fit takes the hole that the one after would have needed)
/// ```
pub(super) fn best_fit_trap(random: &mut Random, count: usize) -> Vec<Buffer> {
    let (mut buffers, mut now) = (vec![], 0);
    let hole = random.between(8, 1000);
    while buffers.len() < count {
        let holes = random.between(1, 4) as u32;
        for index in 0..holes {
            let size = hole + u64::from(index) * random.between(0, 8);
            buffers.push(Buffer::new(size, now, now + 1 + index % 2));
            let stays = random.between(2, 30) as u32;
            buffers.push(Buffer::new(random.between(1, 9), now, now + 1 + stays));
        }
        for index in 0..holes {
            let size = (hole + 1).saturating_sub(random.between(0, 8)).max(1) * random.between(1, 2);
            let first = now + 1 + index % 2;
            buffers.push(Buffer::new(size, first, first + random.between(1, 5) as u32));
        }
        now += random.between(1, 3) as u32;
    }
    buffers
}

/// A rectangle of points and bytes cut into buffers: no byte of it is free at any time, so the least peak is its height,
/// and it is hard to find.
pub(super) fn cut_rectangle(random: &mut Random, count: usize) -> Vec<Buffer> {
    let (unit, length) = (random.pick(&[1, 64, 1024]), 2 * count as u32);
    let mut pieces = vec![(4 * count as u64, 0, length)];
    while pieces.len() < count {
        let at = random.below(pieces.len());
        let (height, first, last) = pieces[at];
        if random.once_in(2) && height > 1 {
            let cut = random.between(1, height - 1);
            pieces[at].0 = cut;
            pieces.push((height - cut, first, last));
        } else if last - first > 1 {
            let cut = random.between(u64::from(first) + 1, u64::from(last) - 1) as u32;
            pieces[at].2 = cut;
            pieces.push((height, cut, last));
        }
    }
    pieces.into_iter().map(|(height, first, last)| Buffer::new(height * unit, first, last)).collect()
}

/// A problem of one of the kinds before the aligned ones.
fn any(random: &mut Random, count: usize) -> Vec<Buffer> {
    (KINDS[random.below(11)].1)(random, count)
}

/// One alignment for all, as devices ask for.
pub(super) fn common_alignment(random: &mut Random, count: usize) -> Vec<Buffer> {
    let align = random.pick(&[4, 16, 64, 256]);
    any(random, count).into_iter().map(|b| b.aligned(align)).collect()
}

/// An alignment for each.
pub(super) fn mixed_alignments(random: &mut Random, count: usize) -> Vec<Buffer> {
    let most = random.between(1, 8);
    let buffers = any(random, count).into_iter();
    buffers.map(|b| b.aligned(1 << random.between(0, most))).collect()
}

/// Some buffers stay where another planner has put them; sometimes a hole below them is left.
pub(super) fn fixed_offsets(random: &mut Random, count: usize) -> Vec<Buffer> {
    let buffers = any(random, count.max(2));
    let planner = REFERENCES[random.below(REFERENCES.len())];
    let offsets = (planner.place)(&buffers).unwrap_or_default();
    let raised = if random.once_in(3) { random.between(1, 100) } else { 0 };
    let chosen = random.below(count.min(buffers.len()));
    let rows = buffers.iter().zip(offsets).enumerate();
    rows.map(|(at, (b, offset))| if at == chosen || random.once_in(6) { b.at(offset + raised) } else { *b })
        .collect()
}
