//! Kernels for more than one shape: written once, with a tape that gives parameters and grid for others.

use core::ops::Range;
use std::sync::Arc;

use crate::table::written;
use crate::tape::{self, Tape, Taped};
use crate::{Convert, Kernel, Number, Refusal, Spec, Target};

/// A kernel for every shape at which it would be chosen and written in the same way.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The kernel.
    pub kernel: Arc<Kernel>,
    tape: Tape,
    params: Vec<Taped>,
    grid: [Taped; 3],
    flops: Taped,
}

/// What a dispatch of a [`Variant`] needs, beside the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// The parameters' words, in the list that they were appended to.
    pub params: Range<usize>,
    /// Workgroups in each dimension.
    pub grid: [u32; 3],
    /// Arithmetic operations.
    pub flops: u64,
}

impl Variant {
    /// Chooses and writes the kernel for a piece of work as [`launch`](crate::launch) does, and keeps on a tape how its
    /// numbers follow from those that `by` gives: [`Taped::given`] for those that other shapes have others of.
    ///
    /// # Errors
    /// As [`launch`](crate::launch).
    pub fn record<N: Number, C: Convert<N, To = Taped>>(
        spec: &Spec<N>,
        by: &C,
        target: &Target,
    ) -> Result<Self, Refusal> {
        let (written, tape) = tape::record(|| written(&spec.map(by), target));
        let written = written?;
        let (params, grid, flops) = (written.params, written.grid, written.flops);
        Ok(Self { kernel: Arc::new(written.kernel), tape, params, grid, flops })
    }

    /// The numbers of its launch at a shape, where `given` has a number for each key (none: as it was recorded); the parameters are appended to
    /// `params`, and `values` is room to compute in. `None` where another kernel may be chosen.
    pub fn at(
        &self,
        given: impl Fn(u32) -> Option<i64>,
        params: &mut Vec<u32>,
        values: &mut Vec<i64>,
    ) -> Option<Numbers> {
        if !self.tape.replay(given, values) {
            return None;
        }
        let start = params.len();
        // The lowest words: what does not fit was refused when the kernel was written, and at other shapes by the tape.
        params.extend(self.params.iter().map(|param| param.among(values) as u32));
        let grid = self.grid.map(|groups| groups.among(values) as u32);
        let flops = u64::try_from(self.flops.among(values)).unwrap_or(0);
        Some(Numbers { params: start..params.len(), grid, flops })
    }
}
