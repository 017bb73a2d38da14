//! The sizes that a spec holds.

use std::cell::RefCell;

use bayplan_shaders::{Convert, Spec};

use super::Size;

/// Every number of a spec.
pub(crate) fn numbers(spec: &Spec<Size>) -> Vec<Size> {
    let sizes = Sizes(RefCell::default());
    spec.map(&sizes);
    sizes.0.into_inner()
}

/// Collects every number of a spec.
struct Sizes(RefCell<Vec<Size>>);

impl Convert<Size> for Sizes {
    type To = Size;

    fn size(&self, size: &Size) -> Size {
        self.0.borrow_mut().push(*size);
        *size
    }

    fn stride(&self, stride: &Size) -> Size {
        self.size(stride)
    }
}
