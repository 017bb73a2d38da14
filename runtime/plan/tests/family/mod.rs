//! The prefill of 48 equal layers for any length S: 800 buffers.

use bayplan_expr::{Bounds, Expr, Scope};
use bayplan_plan::symbolic::{SymbolicBuffer, SymbolicProblem};

/// The least length.
pub(crate) const LEAST: i64 = 16;
/// The greatest length.
pub(crate) const GREATEST: i64 = 8192;

/// Bytes per unit of S, first and last point in the layer.
const LINEAR: [(i64, u32, u32); 13] = [
    (4096, 0, 14),
    (4096, 1, 5),
    (4096, 2, 6),
    (1024, 3, 7),
    (1024, 4, 10),
    (4096, 7, 9),
    (4096, 8, 11),
    (4096, 9, 18),
    (4096, 10, 13),
    (11264, 11, 14),
    (11264, 12, 14),
    (11264, 13, 15),
    (4096, 14, 16),
];

/// Sizes are rounded up to 256 bytes.
pub(crate) fn family() -> SymbolicProblem {
    let (s, mib) = (Expr::symbol("S"), 1i64 << 20);
    let mut buffers = Vec::new();
    for layer in 0..48u32 {
        let mut add = |size: Expr, first: u32, last: u32| {
            let t = 15 * layer;
            buffers.push(SymbolicBuffer::new(size.align_up(256), t + first, t + last));
        };
        for (bytes, first, last) in LINEAR {
            add(&s * bytes, first, last);
        }
        add(32 * s.pow(2), 5, 7);
        add(32 * s.pow(2), 6, 9);
        add(Expr::from(4 * mib), 9, 18);
        if layer % 3 == 0 {
            add(&s * 2048, 13, 75);
            add(2 * s.pow(2) + 64 * &s + mib, 8, 40);
        }
    }
    let mut scope = Scope::new();
    scope.declare("S", Bounds::between(LEAST, GREATEST)).expect("some lengths");
    SymbolicProblem::new(buffers, scope).expect("a problem")
}
