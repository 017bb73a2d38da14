//! Finding again what has a name: the first of a name with the first of that name, the second with the second.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// Which item of one list is which of the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pairing {
    /// For each item of the first list, the item of the second.
    pub(super) b_of_a: Vec<Option<u32>>,
    /// For each item of the second list, the item of the first.
    pub(super) a_of_b: Vec<Option<u32>>,
}

impl Pairing {
    pub(super) fn by_name<T>(a: &[T], b: &[T], name: fn(&T) -> &str) -> Self {
        let (a, b): (Vec<&str>, Vec<&str>) = (a.iter().map(name).collect(), b.iter().map(name).collect());
        pair_by(&a, &b)
    }
}

impl Pairing {
    /// What is known of the second list alone, from both sides: the first has so many items.
    pub(super) fn of(a_of_b: &[Option<u32>], first: usize) -> Self {
        let mut b_of_a = alloc::vec![None; first];
        for (at, other) in (0..).zip(a_of_b) {
            if let Some(slot) = other.and_then(|other| b_of_a.get_mut(other as usize)) {
                *slot = Some(at);
            }
        }
        Self { b_of_a, a_of_b: a_of_b.to_vec() }
    }

    /// Keeps the pairs that a test accepts, given the item of the first list and that of the second.
    pub(super) fn keep(&mut self, accepts: impl Fn(u32, u32) -> bool) {
        for (own, paired) in (0..).zip(&mut self.b_of_a) {
            if let Some(other) = paired.filter(|other| !accepts(own, *other)) {
                *paired = None;
                self.a_of_b[other as usize] = None;
            }
        }
    }

    /// Whether less than half of the shorter list was found again.
    pub(super) fn is_poor(&self) -> bool {
        let paired = self.a_of_b.iter().flatten().count();
        2 * paired < self.a_of_b.len().min(self.b_of_a.len())
    }

    /// Pairs what is left of both lists by another key, in the order of both.
    pub(super) fn complete<'t, T, K: Ord>(&mut self, a: &'t [T], b: &'t [T], key: impl Fn(&'t T) -> K) {
        let left = |paired: &[Option<u32>]| -> Vec<u32> {
            (0..).zip(paired).filter(|(_, other)| other.is_none()).map(|(at, _)| at).collect()
        };
        let (left_a, left_b) = (left(&self.b_of_a), left(&self.a_of_b));
        let keys = |list: &'t [T], left: &[u32]| -> Vec<K> {
            left.iter().filter_map(|&at| list.get(at as usize)).map(&key).collect()
        };
        let more = pair_by(&keys(a, &left_a), &keys(b, &left_b));
        for (&own, other) in left_a.iter().zip(&more.b_of_a) {
            let Some(&other) = other.and_then(|other| left_b.get(other as usize)) else { continue };
            self.b_of_a[own as usize] = Some(other);
            self.a_of_b[other as usize] = Some(own);
        }
    }
}

/// Pairs equal keys, in the order of both lists.
pub(super) fn pair_by<K: Ord>(a: &[K], b: &[K]) -> Pairing {
    let (order_a, order_b) = (sorted(a), sorted(b));
    let mut pairing = Pairing { b_of_a: alloc::vec![None; a.len()], a_of_b: alloc::vec![None; b.len()] };
    let (mut rest_a, mut rest_b) = (order_a.as_slice(), order_b.as_slice());
    while let ([at_a, next_a @ ..], [at_b, next_b @ ..]) = (rest_a, rest_b) {
        let order = a[*at_a as usize].cmp(&b[*at_b as usize]);
        if order == Ordering::Equal {
            pairing.b_of_a[*at_a as usize] = Some(*at_b);
            pairing.a_of_b[*at_b as usize] = Some(*at_a);
        }
        if order != Ordering::Greater {
            rest_a = next_a;
        }
        if order != Ordering::Less {
            rest_b = next_b;
        }
    }
    pairing
}

fn sorted<K: Ord>(keys: &[K]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..keys.len() as u32).collect();
    order.sort_by(|&x, &y| keys[x as usize].cmp(&keys[y as usize]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_pairs_by_another_key() {
        let (a, b) = (["x1", "y1", "z", "x2"], ["x7", "z", "x8", "x9"]);
        let mut pairing = Pairing::by_name(&a, &b, |name| name);
        assert!(pairing.is_poor());
        pairing.complete(&a, &b, |name| name.chars().next());
        assert_eq!(pairing.b_of_a, [Some(0), None, Some(1), Some(2)]);
        assert_eq!(pairing.a_of_b, [Some(0), Some(2), Some(3), None]);
        assert!(!pairing.is_poor());
    }

    #[test]
    fn equal_names_pair_in_order() {
        fn check(a: &[&str], b: &[&str], expect: &[Option<u32>]) {
            let pairing = pair_by(a, b);
            assert_eq!(pairing.b_of_a, expect, "{a:?} and {b:?}");
            for (at, other) in pairing.a_of_b.iter().enumerate() {
                let back = other.map(|other| pairing.b_of_a[other as usize]);
                assert!(back.is_none_or(|back| back == Some(at as u32)), "{a:?} and {b:?}");
            }
            let paired = |list: &[Option<u32>]| list.iter().flatten().count();
            assert_eq!(paired(&pairing.a_of_b), paired(&pairing.b_of_a));
        }
        check(&[], &["x"], &[]);
        check(&["x"], &[], &[None]);
        check(&["x", "y", "z"], &["z", "x"], &[Some(1), None, Some(0)]);
        check(&["s", "s", "s"], &["s", "t", "s"], &[Some(0), Some(2), None]);
        check(&["s"], &["s", "s"], &[Some(0)]);
    }
}
