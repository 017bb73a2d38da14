//! Finds, among jobs not yet placed, the best-ranked one that lies within a range of sections.

use alloc::vec;
use alloc::vec::Vec;

use crate::sections::Job;

/// Jobs per leaf: few enough to scan, many enough to keep the tree small.
const LEAF: usize = 8;

/// No job.
pub(super) const NONE: u32 = u32::MAX;

/// The jobs as points `(first, last)` in a k-d tree, split at the median of `first` and `last` in turn.
///
/// ```text
///  last ^          . |  .        "within [s, e)" is the quadrant first >= s, last <= e;
///       |   .  .     |----.--    a node outside it is skipped, a node inside it answers
///     e |.......:....|   .       at once with its best rank, and only nodes cut by the
///       | .  . :   . |           quadrant's two edges are opened: O(sqrt n) at worst
///       +------s--------> first
/// ```
pub(super) struct RangeTree {
    /// Job numbers, grouped by leaf.
    items: Vec<u32>,
    /// Leaf i holds `items[bounds[i]..bounds[i + 1]]`.
    bounds: Vec<u32>,
    /// Leaf of each job.
    leaf_of: Vec<u32>,
    /// Corners of the points below each node; node k has children 2k and 2k+1, leaf i is `leaves + i`.
    corners: Vec<Corners>,
}

#[derive(Clone, Copy)]
struct Corners {
    min_first: u32,
    max_first: u32,
    min_last: u32,
    max_last: u32,
}

impl Corners {
    const EMPTY: Self = Self { min_first: u32::MAX, max_first: 0, min_last: u32::MAX, max_last: 0 };

    fn join(self, other: Self) -> Self {
        Self {
            min_first: self.min_first.min(other.min_first),
            max_first: self.max_first.max(other.max_first),
            min_last: self.min_last.min(other.min_last),
            max_last: self.max_last.max(other.max_last),
        }
    }
}

impl RangeTree {
    pub(super) fn new(jobs: &[Job]) -> Self {
        let leaves = jobs.len().div_ceil(LEAF).next_power_of_two();
        let mut items: Vec<u32> = (0..jobs.len() as u32).collect();
        let mut bounds = vec![0, jobs.len() as u32];
        let mut by_first = true;
        while bounds.len() <= leaves {
            let mut halves = Vec::with_capacity(2 * bounds.len());
            for range in bounds.windows(2) {
                let (from, to) = (range[0] as usize, range[1] as usize);
                let middle = (to - from) / 2;
                if middle > 0 {
                    let part = &mut items[from..to];
                    let key = |i: &u32| {
                        let job = &jobs[*i as usize];
                        if by_first { (job.first, job.last, *i) } else { (job.last, job.first, *i) }
                    };
                    part.select_nth_unstable_by_key(middle, key);
                }
                halves.extend([range[0], range[0] + middle as u32]);
            }
            halves.push(jobs.len() as u32);
            (bounds, by_first) = (halves, !by_first);
        }
        let mut tree =
            Self { items, bounds, leaf_of: vec![0; jobs.len()], corners: vec![Corners::EMPTY; 2 * leaves] };
        for leaf in 0..leaves {
            for &item in &tree.items[tree.bounds[leaf] as usize..tree.bounds[leaf + 1] as usize] {
                let Job { first, last, .. } = jobs[item as usize];
                let point = Corners { min_first: first, max_first: first, min_last: last, max_last: last };
                tree.leaf_of[item as usize] = leaf as u32;
                tree.corners[leaves + leaf] = tree.corners[leaves + leaf].join(point);
            }
        }
        for node in (1..leaves).rev() {
            tree.corners[node] = tree.corners[2 * node].join(tree.corners[2 * node + 1]);
        }
        tree
    }

    fn leaves(&self) -> usize {
        self.bounds.len() - 1
    }
}

/// The jobs of a tree that are still to be placed, each with its rank (0 is best).
pub(super) struct Unplaced<'a> {
    tree: &'a RangeTree,
    jobs: &'a [Job],
    /// Rank per item of the tree, NONE once placed.
    ranks: Vec<u32>,
    /// Best rank below each node.
    best: Vec<u32>,
}

impl<'a> Unplaced<'a> {
    /// All jobs, ranked by their place in `order`.
    pub(super) fn all(tree: &'a RangeTree, jobs: &'a [Job], order: &[u32]) -> Self {
        let mut rank_of = vec![NONE; jobs.len()];
        for (rank, &job) in order.iter().enumerate() {
            rank_of[job as usize] = rank as u32;
        }
        let ranks = tree.items.iter().map(|&item| rank_of[item as usize]).collect();
        let mut unplaced = Self { tree, jobs, ranks, best: vec![NONE; 2 * tree.leaves()] };
        for leaf in 0..tree.leaves() {
            unplaced.best[tree.leaves() + leaf] = unplaced.best_in_leaf(leaf);
        }
        for node in (1..tree.leaves()).rev() {
            unplaced.best[node] = unplaced.best[2 * node].min(unplaced.best[2 * node + 1]);
        }
        unplaced
    }

    /// The best rank of a job that lies within sections `[first, last)`, or NONE.
    pub(super) fn best_within(&self, first: u32, last: u32) -> u32 {
        self.search(1, first, last, NONE)
    }

    fn search(&self, node: usize, first: u32, last: u32, mut found: u32) -> u32 {
        let corners = &self.tree.corners[node];
        if self.best[node] >= found || corners.max_first < first || corners.min_last > last {
            return found;
        }
        if corners.min_first >= first && corners.max_last <= last {
            return self.best[node];
        }
        if let Some(leaf) = node.checked_sub(self.tree.leaves()) {
            for at in self.tree.bounds[leaf] as usize..self.tree.bounds[leaf + 1] as usize {
                let job = &self.jobs[self.tree.items[at] as usize];
                if self.ranks[at] < found && job.first >= first && job.last <= last {
                    found = self.ranks[at];
                }
            }
            return found;
        }
        // The better child first: what it finds often closes the other.
        let swap = usize::from(self.best[2 * node + 1] < self.best[2 * node]);
        found = self.search(2 * node + swap, first, last, found);
        self.search(2 * node + 1 - swap, first, last, found)
    }

    /// The best rank of a job that lies within sections `[first, last)` and passes a check, or NONE; NONE as well
    /// when the check has failed `patience` times, which counts down.
    pub(super) fn best_that(
        &self,
        first: u32,
        last: u32,
        patience: &mut usize,
        passes: impl Fn(&Job) -> bool,
    ) -> u32 {
        let mut found = NONE;
        // Each step replaces one entry by at most two; the tree has at most 27 levels.
        let mut stack = [1usize; 64];
        let mut depth = 1;
        while depth > 0 && *patience > 0 {
            depth -= 1;
            let node = stack[depth];
            let corners = &self.tree.corners[node];
            if self.best[node] >= found || corners.max_first < first || corners.min_last > last {
                continue;
            }
            if let Some(leaf) = node.checked_sub(self.tree.leaves()) {
                for at in self.tree.bounds[leaf] as usize..self.tree.bounds[leaf + 1] as usize {
                    let job = &self.jobs[self.tree.items[at] as usize];
                    if self.ranks[at] < found && job.first >= first && job.last <= last {
                        if passes(job) {
                            found = self.ranks[at];
                        } else {
                            *patience = patience.saturating_sub(1);
                        }
                    }
                }
                continue;
            }
            let swap = usize::from(self.best[2 * node + 1] < self.best[2 * node]);
            stack[depth] = 2 * node + 1 - swap;
            stack[depth + 1] = 2 * node + swap;
            depth += 2;
        }
        found
    }

    /// Takes a job out.
    pub(super) fn remove(&mut self, job: u32) {
        let leaf = self.tree.leaf_of[job as usize] as usize;
        let range = self.tree.bounds[leaf] as usize..self.tree.bounds[leaf + 1] as usize;
        for at in range {
            if self.tree.items[at] == job {
                self.ranks[at] = NONE;
            }
        }
        let mut node = self.tree.leaves() + leaf;
        let mut best = self.best_in_leaf(leaf);
        while self.best[node] != best {
            self.best[node] = best;
            if node == 1 {
                break;
            }
            best = best.min(self.best[node ^ 1]);
            node /= 2;
        }
    }

    fn best_in_leaf(&self, leaf: usize) -> u32 {
        let range = self.tree.bounds[leaf] as usize..self.tree.bounds[leaf + 1] as usize;
        self.ranks[range].iter().copied().min().unwrap_or(NONE)
    }
}
