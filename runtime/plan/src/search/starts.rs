//! Where searches begin: orders of preference and rules, taken in turn.
//!
//! How long a search of one capacity takes differs by orders of magnitude between orders of preference (a heavy
//! tail, Gomes, Selman and Kautz, AAAI 1998): of twenty, some find a plan with hardly a wrong decision, others never
//! end. So each gets few nodes at first, and a new round of all gets more.

use alloc::vec::Vec;

use super::canonical::Rule;
use crate::random::SplitMix;
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
    random: SplitMix,
}

impl Starts {
    /// Starts in one round.
    pub(super) const ROUND: usize = KEYS.len() * RULES.len();

    pub(super) fn new(sections: &Sections) -> Self {
        let totals = totals(sections);
        let orders = KEYS.iter().map(|keys| preorder(sections, &totals, keys)).collect();
        Self { orders, random: SplitMix::new(0) }
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
            order.iter().enumerate().map(|(at, &job)| (at as u64 + self.random.next() % reach, job)),
        );
        moved.sort_by_key(|&(at, _)| at);
        order.clear();
        order.extend(moved.iter().map(|&(_, job)| job));
    }
}
