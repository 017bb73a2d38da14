//! Putting very many tensors in order, so that it can be called off and tells how far it is.
//!
//! ```text
//!  numbers with their keys   ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒     keys are taken out once: tensors lie far apart in memory
//!  runs, each in order       ▁▃▅▇ ▁▃▅▇ ▁▃▅▇ ▁▃▅▇ ▁▃▅▇
//!  all of them               ▁▁▁▁▁▃▃▃▃▃▅▅▅▅▅▇▇▇▇▇         the first of all runs, again and again
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::task::{PORTION, Task};

/// Numbers of a run: they are put in order at one go.
const RUN: usize = 2 * PORTION;

/// Numbers in the order of their keys, the largest first or last; those with the same key by number. The task is told of each
/// number twice. `None` where nobody waits for them any more.
pub(crate) fn in_order<K: Ord + Copy>(
    numbers: impl Iterator<Item = u32>,
    key: impl Fn(u32) -> K,
    descending: bool,
    task: &Task,
) -> Option<Vec<u32>> {
    if descending {
        ordered(numbers, |number| Reverse(key(number)), task)
    } else {
        ordered(numbers, key, task)
    }
}

fn ordered<K: Ord + Copy>(
    mut numbers: impl Iterator<Item = u32>,
    key: impl Fn(u32) -> K,
    task: &Task,
) -> Option<Vec<u32>> {
    let most = numbers.size_hint();
    let mut keyed: Vec<(K, u32)> = Vec::with_capacity(most.1.unwrap_or(most.0));
    loop {
        let from = keyed.len();
        keyed.extend(numbers.by_ref().take(RUN).map(|number| (key(number), number)));
        if keyed.len() == from {
            return merged(&keyed, task);
        }
        keyed[from..].sort_unstable();
        task.pass(keyed.len() - from)?;
    }
}

/// All of the runs as one.
fn merged<K: Ord + Copy>(keyed: &[(K, u32)], task: &Task) -> Option<Vec<u32>> {
    // The first of each run that was not taken yet, and where it stands.
    let heads = (0..keyed.len()).step_by(RUN).map(|at| Reverse((keyed[at], at)));
    let mut heads: BinaryHeap<_> = heads.collect();
    let mut found = Vec::with_capacity(keyed.len());
    while let Some(mut head) = heads.peek_mut() {
        let Reverse(((_, number), at)) = *head;
        found.push(number);
        let next = at + 1;
        if next.is_multiple_of(RUN) || next == keyed.len() {
            PeekMut::pop(head);
        } else {
            *head = Reverse((keyed[next], next));
        }
        if found.len().is_multiple_of(PORTION) {
            task.pass(PORTION)?;
        }
    }
    task.pass(found.len() % PORTION)?;
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_come_to_what_one_sort_does(
            keys in prop::collection::vec(0u64..50, 0..6 * RUN),
            every in 1usize..4,
            descending in any::<bool>(),
        ) {
            let numbers = || (0..keys.len() as u32).step_by(every);
            let mut expect: Vec<u32> = numbers().collect();
            let key = |number: &u32| keys[*number as usize];
            // A stable sort either way.
            expect.sort_by(|a, b| if descending { key(b).cmp(&key(a)) } else { key(a).cmp(&key(b)) });
            let task = Task::default();
            task.begin(2 * numbers().count() as u64);
            prop_assert_eq!(in_order(numbers(), |number| key(&number), descending, &task), Some(expect));
            prop_assert_eq!(task.percent(), if keys.is_empty() { 0 } else { 99 });
            task.call_off();
            let over = in_order(numbers(), |number| key(&number), descending, &task);
            prop_assert_eq!(over, None);
        }
    }
}
