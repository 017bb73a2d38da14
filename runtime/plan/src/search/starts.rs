//! Where searches begin: orders of preference and rules, taken in turn.
//!
//! How long a search of one capacity takes differs by orders of magnitude between orders of preference (a heavy
//! tail, Gomes, Selman and Kautz, AAAI 1998): of twenty, some find a plan with hardly a wrong decision, others never
//! end. So each gets few nodes at first, and a new round of all gets more.

use alloc::vec::Vec;

use super::canonical::Rule;
use crate::sections::Sections;
use crate::strategy::{Key, preorder, totals};

/// Preferences among jobs that can be placed equally low; minimalloc's letters.
const KEYS: [[Key; 3]; 8] = [
    [Key::Total, Key::Width, Key::Area],
    [Key::Width, Key::Area, Key::Total],
    [Key::Total, Key::Area, Key::Width],
    [Key::Area, Key::Total, Key::Width],
    [Key::Total, Key::Size, Key::Width],
    [Key::Width, Key::Total, Key::Size],
    [Key::Total, Key::Size, Key::Area],
    [Key::Size, Key::Total, Key::Width],
];

const RULES: [Rule; 3] = [Rule::Failing, Rule::Preferred, Rule::Fullest];

/// Orders of preference with the rule to use them by.
pub(super) struct Starts {
    orders: Vec<Vec<u32>>,
    random: u64,
}

impl Starts {
    /// Starts in one round.
    pub(super) const ROUND: usize = KEYS.len() * RULES.len();

    pub(super) fn new(sections: &Sections) -> Self {
        let totals = totals(sections);
        Self { orders: KEYS.iter().map(|keys| preorder(sections, &totals, keys)).collect(), random: 0 }
    }

    /// The order and rule of a start, `start < Self::ROUND`.
    pub(super) fn get(&mut self, start: usize, shuffled: bool) -> (Vec<u32>, Rule) {
        let mut order = self.orders[start % KEYS.len()].clone();
        if shuffled {
            self.shuffle(&mut order);
        }
        (order, RULES[start / KEYS.len() % RULES.len()])
    }

    /// Moves jobs by up to a sixth of the order to and fro, so that a new round is not like the last one.
    fn shuffle(&mut self, order: &mut Vec<u32>) {
        let reach = order.len() as u64 / 6 + 1;
        let mut moved = Vec::from_iter(
            order.iter().enumerate().map(|(at, &job)| (at as u64 + self.next_random() % reach, job)),
        );
        moved.sort_by_key(|&(at, _)| at);
        order.clear();
        order.extend(moved.iter().map(|&(_, job)| job));
    }

    /// The splitmix64 generator (Steele, Lea, Flood, OOPSLA 2014): the same numbers everywhere.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
