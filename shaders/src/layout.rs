//! Results at places of their own: a layout over the coordinates that a kernel counts through.

use crate::Refusal;
use crate::source::Source;
use crate::strides;
use crate::tape::Taped;
use crate::tape::specs::Layout;

/// A run of dimensions that a kernel counts through together, with a tensor's stride for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) dims: Vec<Taped>,
    pub(crate) strides: Vec<Taped>,
}

impl Steps {
    /// The same in as few dimensions as possible, none of them 1.
    pub(crate) fn merged(&self) -> strides::Merged {
        strides::merge(&self.dims, core::slice::from_ref(&self.strides))
    }
}

/// A layout's steps along coordinates of those sizes, outermost first; together they count through the whole result.
///
/// # Errors
/// It has another number of elements, steps across the edge of a coordinate, or puts two elements in one place.
pub(crate) fn along(layout: &Layout, sizes: &[Taped], src: &Source<'_>) -> Result<Vec<Steps>, Refusal> {
    check(layout, src)?;
    cut(layout, sizes).ok_or_else(|| {
        src.refuse(format!("a layout over {:?}, which are no pieces of the result's {sizes:?}", layout.shape))
    })
}

/// Checks that a layout has a stride for each dimension and a place for each element.
pub(crate) fn check(layout: &Layout, src: &Source<'_>) -> Result<(), Refusal> {
    let (have, want) = (layout.strides.len(), layout.shape.len());
    if have != want {
        return Err(src.refuse(format!("a layout with {have} strides over {want} dimensions")));
    }
    let mut steps: Vec<(Taped, Taped)> =
        layout.strides.iter().copied().zip(layout.shape.iter().copied()).filter(|(_, d)| *d > 1).collect();
    steps.sort_unstable();
    // Each stride passes over all that the smaller ones reach.
    let mut reach = Taped::constant(0);
    for (stride, size) in steps {
        if stride <= reach {
            let (shape, strides) = (&layout.shape, &layout.strides);
            return Err(src.refuse(format!("a layout of {shape:?} with strides {strides:?} meets itself")));
        }
        reach = reach + (size - 1) * stride;
    }
    Ok(())
}

/// One past the furthest element that a layout reaches in its window.
pub(crate) fn extent(layout: &Layout) -> Taped {
    let extent = strides::extent(&layout.shape, &layout.strides);
    if extent == 0 { extent } else { layout.base + extent }
}

fn cut(layout: &Layout, sizes: &[Taped]) -> Option<Vec<Steps>> {
    let pieces = layout.shape.iter().copied().zip(layout.strides.iter().copied());
    let mut pieces = pieces.filter(|(size, _)| *size != 1);
    let mut next = pieces.next();
    let mut all = Vec::with_capacity(sizes.len());
    for &size in sizes {
        let (mut rest, mut own) = (size, Steps { dims: Vec::new(), strides: Vec::new() });
        while rest > 1 {
            let (piece, stride) = next?;
            let part = if piece > 0 && rest.is_multiple_of(piece) {
                next = pieces.next();
                (piece, stride)
            } else if piece.is_multiple_of(rest) {
                // The outer steps of a piece belong to this coordinate, the inner ones to the next.
                next = Some((piece / rest, stride));
                (rest, stride * (piece / rest))
            } else {
                return None;
            };
            rest /= part.0;
            own.dims.push(part.0);
            own.strides.push(part.1);
        }
        all.push(own);
    }
    next.is_none().then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;
    use crate::tape::list;

    fn layout(shape: &[i64], strides: &[i64]) -> Layout {
        Layout { base: 5.into(), shape: list(shape), strides: list(strides) }
    }

    #[test]
    fn layouts_are_cut_at_the_edges_of_coordinates() {
        let target = Target::generic();
        let src = Source::new("test", &target);
        let check = |own: &Layout, sizes: &[i64], want: &[(&[i64], &[i64])]| {
            let made = along(own, &list(sizes), &src).expect("a layout of the result");
            let want: Vec<Steps> =
                want.iter().map(|(d, s)| Steps { dims: list(d), strides: list(s) }).collect();
            assert_eq!(made, want, "{own:?} over {sizes:?}");
        };
        // Pieces within one coordinate, a piece across two, dimensions of 1 in either.
        check(&layout(&[2, 3, 4], &[100, 4, 1]), &[6, 4], &[(&[2, 3], &[100, 4]), (&[4], &[1])]);
        check(&layout(&[2, 12], &[100, 2]), &[2, 3, 4], &[(&[2], &[100]), (&[3], &[8]), (&[4], &[2])]);
        check(
            &layout(&[1, 8, 1, 3], &[9, 30, 9, 10]),
            &[1, 8, 3],
            &[(&[], &[]), (&[8], &[30]), (&[3], &[10])],
        );
        assert_eq!(extent(&layout(&[2, 3], &[10, 2])), 5 + 10 + 4 + 1);
        assert_eq!(extent(&layout(&[2, 0], &[10, 2])), 0);
    }

    #[test]
    fn layouts_of_something_else_are_refused() {
        let target = Target::generic();
        let src = Source::new("test", &target);
        let reason = |own: &Layout, sizes: &[i64]| along(own, &list(sizes), &src).unwrap_err().reason;
        assert!(reason(&layout(&[4, 6], &[6, 1]), &[3, 8]).contains("no pieces of the result's [3, 8]"));
        assert!(reason(&layout(&[4, 6], &[6, 1]), &[4, 3]).contains("no pieces"));
        assert!(reason(&layout(&[4], &[1]), &[4, 3]).contains("no pieces"));
        assert!(reason(&layout(&[4, 6], &[6]), &[4, 6]).contains("1 strides over 2 dimensions"));
        assert!(reason(&layout(&[4, 6], &[5, 1]), &[4, 6]).contains("meets itself"));
        assert!(reason(&layout(&[4, 6], &[0, 1]), &[4, 6]).contains("meets itself"));
    }
}
