//! Elementwise chains.

use bayplan_shaders::ElementwiseSpec;

use crate::chain::{Applied, repr};
use crate::parallel;

/// Operations that a step's element counts for when work is shared out.
const COST: u64 = 4;

pub(super) fn compute(spec: &ElementwiseSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let applied = Applied::new(&spec.chain, &spec.shape, operands.iter().map(|words| Some(*words)))?;
    let words = repr(spec.chain.result)?.words() as usize;
    let work = (out.len() as u64).saturating_mul(COST * (1 + spec.chain.steps.len() as u64));
    parallel::rows(out, words, work, |first, out| applied.fill(first, out, |_, _| None))
}
