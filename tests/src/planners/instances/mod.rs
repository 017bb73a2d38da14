//! Random problems of many kinds: what graphs of models look like, and what is hard to plan.

mod graphs;
mod puzzles;

use bayplan_plan::{Buffer, Problem};

use crate::random::Random;

/// A kind of problem: its name, and a maker of at least one buffer, of about as many as asked for.
pub(super) type Kind = (&'static str, fn(&mut Random, usize) -> Vec<Buffer>);

/// All kinds.
pub(super) const KINDS: [Kind; 14] = [
    ("chain", graphs::chain),
    ("UNet", graphs::unet),
    ("transformer", graphs::transformer),
    ("dense blocks", graphs::dense_blocks),
    ("random DAG", graphs::random_dag),
    ("random lives", puzzles::random_lives),
    ("equal sizes", puzzles::equal_sizes),
    ("powers of two", puzzles::powers_of_two),
    ("nested cliques", puzzles::nested_cliques),
    ("best-fit trap", puzzles::best_fit_trap),
    ("cut rectangle", puzzles::cut_rectangle),
    ("common alignment", puzzles::common_alignment),
    ("mixed alignments", puzzles::mixed_alignments),
    ("fixed offsets", puzzles::fixed_offsets),
];

/// A problem that a seed determines.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    /// Which of [`KINDS`].
    pub(super) kind: usize,
    /// Its buffers.
    pub(super) problem: Problem,
}

/// The problem of a seed: the kinds in turn, of 2 to `most` buffers.
///
/// # Panics
/// When a kind makes what is no problem.
pub(super) fn draw(seed: u64, most: usize) -> Instance {
    let kind = (seed % KINDS.len() as u64) as usize;
    let mut random = Random::new(seed);
    let count = random.between(2, most.max(2) as u64) as usize;
    Instance { kind, problem: problem(seed, (KINDS[kind].1)(&mut random, count), count) }
}

/// Seven buffers (size, first point, first point after) of which at most 14 bytes live at once and which no plan puts into
/// less than 15: one of two such problems among 40 million drawn at random.
pub(super) const ABOVE_LOAD: [(u64, u32, u32); 7] =
    [(3, 3, 5), (9, 1, 4), (5, 5, 9), (5, 4, 6), (9, 6, 7), (4, 0, 2), (2, 3, 6)];

/// [`ABOVE_LOAD`] with all sizes larger by one factor, some by a byte more or less, in another order: in most of them too the
/// least peak is above the load.
fn above_load(random: &mut Random) -> Vec<Buffer> {
    let (scale, times) = (random.between(1, 40), random.between(1, 3) as u32);
    let mut rows = ABOVE_LOAD.to_vec();
    let shuffled = (0..rows.len()).map(|_| rows.swap_remove(random.below(rows.len()))).collect::<Vec<_>>();
    let mut buffer = |(size, first, last): (u64, u32, u32)| {
        let more = if random.once_in(4) { random.between(0, 2) } else { 1 };
        Buffer::new(size * scale + more - 1, first * times, last * times)
    };
    shuffled.into_iter().map(&mut buffer).collect()
}

/// The problem of a seed of at most `most` buffers, few points and sizes of a few bytes, so that ties and exact fits are
/// common; a third of them with alignments, a fifth with a fixed buffer; one in ten instead with a least peak that is mostly
/// above the load.
///
/// # Panics
/// When it is no problem.
pub(super) fn draw_tiny(seed: u64, most: usize) -> Problem {
    let mut random = Random::new(seed);
    if most >= ABOVE_LOAD.len() && random.once_in(10) {
        return problem(seed, above_load(&mut random), most);
    }
    let (count, points, largest) =
        (random.between(1, most as u64), random.between(2, 9), random.between(3, 12));
    let aligned = random.once_in(3);
    let mut buffers: Vec<Buffer> = (0..count)
        .map(|_| {
            let first = random.between(0, points - 1) as u32;
            let last = random.between(u64::from(first) + 1, points) as u32;
            let align = if aligned { 1 << random.below(3) } else { 1 };
            Buffer::new(random.between(1, largest), first, last).aligned(align)
        })
        .collect();
    if random.once_in(5) {
        let chosen = random.below(buffers.len());
        buffers[chosen] = buffers[chosen].at(buffers[chosen].align * random.between(0, 8));
    }
    problem(seed, buffers, most)
}

fn problem(seed: u64, mut buffers: Vec<Buffer>, most: usize) -> Problem {
    buffers.truncate(most);
    assert!(!buffers.is_empty(), "seed {seed}: no buffers");
    Problem::new(buffers).unwrap_or_else(|e| panic!("seed {seed}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_give_all_kinds_of_all_lengths() {
        for most in [2, 8, 60] {
            let lengths = (0..2000).map(|seed| draw(seed, most)).map(|instance| instance.problem.len());
            assert_eq!(lengths.max(), Some(most));
        }
        for (kind, &(name, _)) in KINDS.iter().enumerate() {
            let seed = kind as u64 + 10 * KINDS.len() as u64;
            assert_eq!(draw(seed, 60).kind, kind, "{name}");
            assert_eq!(draw(seed, 60).problem, draw(seed, 60).problem, "{name}");
            let fixed = draw(seed, 60).problem.buffers().iter().any(|b| b.fixed.is_some());
            assert_eq!(fixed, name == "fixed offsets", "{name}");
        }
    }

    /// Every point of a cut rectangle is full: its bound is its optimum.
    #[test]
    fn cut_rectangles_are_full() {
        let kind = KINDS.iter().position(|kind| kind.0 == "cut rectangle").expect("a kind");
        for round in 0..50 {
            let problem = draw(kind as u64 + round * KINDS.len() as u64, 60).problem;
            let end = problem.buffers().iter().map(|b| b.lifespan.last).max().unwrap_or(0);
            let loads: Vec<u64> = (0..end).map(|point| problem.bytes_at(point)).collect();
            assert!(loads.iter().all(|&load| load == loads[0]), "{loads:?}");
        }
    }
}
