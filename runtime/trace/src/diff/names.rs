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
