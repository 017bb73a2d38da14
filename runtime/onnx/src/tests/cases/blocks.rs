//! Channels that become blocks of elements, and back.

use super::super::{A, i64s};
use super::Cases;

pub(super) fn cases(c: &mut Cases) {
    c.add(
        "DepthToSpace",
        13,
        &[("blocksize", A::I(2)), ("mode", A::S("DCR"))],
        &[Some(i64s(&[1, 8, 1, 1], &[0, 1, 2, 3, 4, 5, 6, 7]))],
        9,
        &[i64s(&[1, 2, 2, 2], &[0, 2, 4, 6, 1, 3, 5, 7])],
    );
    c.add(
        "DepthToSpace",
        13,
        &[("blocksize", A::I(2)), ("mode", A::S("CRD"))],
        &[Some(i64s(&[1, 8, 1, 1], &[0, 1, 2, 3, 4, 5, 6, 7]))],
        9,
        &[i64s(&[1, 2, 2, 2], &[0, 1, 2, 3, 4, 5, 6, 7])],
    );
    c.add(
        "DepthToSpace",
        7,
        &[("blocksize", A::I(2))],
        &[Some(i64s(&[1, 8, 1, 1], &[0, 1, 2, 3, 4, 5, 6, 7]))],
        9,
        &[i64s(&[1, 2, 2, 2], &[0, 2, 4, 6, 1, 3, 5, 7])],
    );
    c.add(
        "SpaceToDepth",
        28,
        &[("blocksize", A::I(2)), ("mode", A::S("DCR"))],
        &[Some(i64s(&[1, 2, 2, 2], &[0, 1, 2, 3, 4, 5, 6, 7]))],
        9,
        &[i64s(&[1, 8, 1, 1], &[0, 4, 1, 5, 2, 6, 3, 7])],
    );
    c.add(
        "SpaceToDepth",
        28,
        &[("blocksize", A::I(2)), ("mode", A::S("CRD"))],
        &[Some(i64s(&[1, 2, 2, 2], &[0, 1, 2, 3, 4, 5, 6, 7]))],
        9,
        &[i64s(&[1, 8, 1, 1], &[0, 1, 2, 3, 4, 5, 6, 7])],
    );
    c.add(
        "SpaceToDepth",
        13,
        &[("blocksize", A::I(2))],
        &[Some(i64s(&[1, 2, 2, 2], &[0, 1, 2, 3, 4, 5, 6, 7]))],
        9,
        &[i64s(&[1, 8, 1, 1], &[0, 4, 1, 5, 2, 6, 3, 7])],
    );
}
