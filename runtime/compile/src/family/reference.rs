//! Where decisions for a box are taken.

use bayplan_expr::{Bindings, Bounds, Scope};

/// Where a symbol without an upper bound is looked at.
const FAR: i64 = 128;

/// No symbol is looked at beyond this and its lower bound: more elements than any kernel counts.
const FARTHEST: i64 = 1 << 32;

/// A point of distinct primes near the upper corner of a box; 0 or 1 only where bounds leave nothing else.
pub(super) fn general(scope: &Scope) -> Bindings {
    let mut taken = Vec::new();
    let mut point = Bindings::new();
    for (symbol, bounds) in scope.iter() {
        let high = bounds.upper.unwrap_or_else(|| bounds.lower.max(1).saturating_mul(FAR));
        let from = bounds.lower.max(2);
        let high = high.min(from.max(FARTHEST));
        let free = |value: &i64| is_prime(*value) && !taken.contains(value);
        let value = (from..=high).rev().take(10_000).find(free).unwrap_or(high);
        taken.push(value);
        point.set(symbol, value);
    }
    point
}

/// A box half as wide along each symbol, as far as that leaves it a value above 0.
pub(super) fn halved(scope: &Scope) -> Scope {
    let mut half = Scope::new();
    for (symbol, Bounds { lower, upper }) in scope.iter() {
        let upper = upper.map(|upper| (upper / 2).max(lower.max(1)).min(upper));
        // The upper bound stays at least the lower one.
        let _ = half.declare(symbol, Bounds { lower, upper });
    }
    half
}

fn is_prime(value: i64) -> bool {
    value >= 2 && (2..).take_while(|by| *by <= value / by).all(|by| value % by != 0)
}
