//! Arithmetic on dimensions: expressions simplified by what is known of their symbols.

use bayplan_expr::{Expr, Scope, prove_eq, prove_le};

/// A constant.
pub(crate) fn int(v: i64) -> Expr {
    Expr::from(v)
}

/// The value of a constant.
pub(crate) fn as_int(e: &Expr) -> Option<i64> {
    e.as_const()
}

pub(crate) fn add(a: &Expr, b: &Expr) -> Expr {
    a + b
}

pub(crate) fn sub(a: &Expr, b: &Expr) -> Expr {
    a - b
}

pub(crate) fn mul(a: &Expr, b: &Expr) -> Expr {
    a * b
}

pub(crate) fn div_floor(a: &Expr, b: &Expr) -> Expr {
    a.floor_div(b)
}

pub(crate) fn div_ceil(a: &Expr, b: &Expr) -> Expr {
    a.ceil_div(b)
}

/// Product of dimensions; 1 of none.
pub(crate) fn product(list: &[Expr]) -> Expr {
    list.iter().product()
}

/// Whether `a <= b` is proved.
pub(crate) fn le(scope: &Scope, a: &Expr, b: &Expr) -> bool {
    prove_le(a, b, scope)
}

/// Whether `a < b` is proved.
pub(crate) fn lt(scope: &Scope, a: &Expr, b: &Expr) -> bool {
    le(scope, &(a + 1), b)
}

/// Whether `a == b` is proved.
pub(crate) fn equal(scope: &Scope, a: &Expr, b: &Expr) -> bool {
    a == b || prove_eq(a, b, scope)
}

/// Whether `a != b` is proved.
pub(crate) fn differ(scope: &Scope, a: &Expr, b: &Expr) -> bool {
    match (as_int(a), as_int(b)) {
        (Some(a), Some(b)) => a != b,
        _ if a == b => false,
        _ => lt(scope, a, b) || lt(scope, b, a),
    }
}

/// The smaller of two, without a `min` where one is proved the smaller.
pub(crate) fn min(scope: &Scope, a: &Expr, b: &Expr) -> Expr {
    if le(scope, a, b) {
        a.clone()
    } else if le(scope, b, a) {
        b.clone()
    } else {
        a.min(b)
    }
}

/// The larger of two, without a `max` where one is proved the larger.
pub(crate) fn max(scope: &Scope, a: &Expr, b: &Expr) -> Expr {
    if le(scope, a, b) {
        b.clone()
    } else if le(scope, b, a) {
        a.clone()
    } else {
        a.max(b)
    }
}
