//! How high sections are filled while buffers are placed on top of one another.

use alloc::vec;
use alloc::vec::Vec;

/// How high each section is filled: a binary tree, leaf i is `leaves + i`, node k has children 2k and 2k + 1. Ranges are
/// only ever raised, so a height put on an inner node need not be handed down: whoever asks looks at the nodes above.
pub(crate) struct Heights {
    leaves: usize,
    /// The highest leaf below each node.
    most: Vec<u64>,
    /// What all leaves below each node have at least.
    least: Vec<u64>,
}

impl Heights {
    /// All sections empty.
    pub(crate) fn new(sections: usize) -> Self {
        let leaves = sections.next_power_of_two();
        Self { leaves, most: vec![0; 2 * leaves], least: vec![0; 2 * leaves] }
    }

    /// Levels of the tree: about a quarter of the nodes that a call looks at.
    pub(crate) fn depth(&self) -> u64 {
        u64::from(self.leaves.ilog2() + 1)
    }

    /// Lowers all sections to the ground.
    pub(crate) fn clear(&mut self) {
        self.most.fill(0);
        self.least.fill(0);
    }

    /// The height of the highest of sections `first` to before `last`.
    pub(crate) fn highest(&self, (first, last): (usize, usize)) -> u64 {
        let mut highest = 0;
        each_node(self.leaves, first, last, |node| highest = highest.max(self.most[node]));
        for leaf in [first, last - 1] {
            let mut node = (self.leaves + leaf) / 2;
            while node > 0 {
                highest = highest.max(self.least[node]);
                node /= 2;
            }
        }
        highest
    }

    /// Fills sections `first` to before `last` up to `height`, where they are lower.
    pub(crate) fn raise(&mut self, (first, last): (usize, usize), height: u64) {
        each_node(self.leaves, first, last, |node| {
            self.most[node] = self.most[node].max(height);
            self.least[node] = self.least[node].max(height);
        });
        for leaf in [first, last - 1] {
            let mut node = (self.leaves + leaf) / 2;
            while node > 0 {
                self.most[node] = self.most[node].max(height);
                node /= 2;
            }
        }
    }
}

/// The fewest nodes whose leaves are those from `first` to before `last`.
fn each_node(leaves: usize, first: usize, last: usize, mut visit: impl FnMut(usize)) {
    let (mut low, mut high) = (first + leaves, last + leaves);
    while low < high {
        if low % 2 == 1 {
            visit(low);
            low += 1;
        }
        if high % 2 == 1 {
            high -= 1;
            visit(high);
        }
        (low, high) = (low / 2, high / 2);
    }
}
