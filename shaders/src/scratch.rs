//! Memory between the two phases of a piece of work.
//!
//! Few results of many elements each leave most of a device idle: every result is one team's. Such work is done in two
//! dispatches, of which the first makes partial results that the second joins:
//!
//! ```text
//!  x |aaaa|bbbb|cccc|dddd|  ── 4 teams ──►  scratch |A|B|C|D|  ── 1 team ──►  result
//! ```
//!
//! What lies between is a buffer of the memory plan with a life of two dispatches, like any other. One dispatch with both
//! phases would have to wait within for workgroups of its own, for which WGSL has no barrier, and would hold the buffer no
//! shorter.

use bayplan_graph::op::ReduceOp;

use crate::kernels::rows::Team;
use crate::{Class, ReduceSpec, Repr, Spec, Target};

/// What a piece of work keeps between two phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scratch {
    /// How many parts each result is made of; at least 2. It divides what is reduced.
    pub parts: u64,
    /// Bytes of the partial results.
    pub bytes: u64,
}

/// Elements to a part from which on a second dispatch costs less than what the parts gain: a team adds so many numbers in
/// the time that a dispatch takes to begin.
const LEAST_PART: u64 = 8192;

/// Rows that keep a device busy: with as many results nothing is gained.
const BUSY: u64 = 64;

/// Lanes of a CPU that names none.
const LANES: u64 = 8;

/// No scratch.
pub(crate) const fn none(_: &Spec, _: &Target) -> Option<Scratch> {
    None
}

/// The partial results of a reduction.
///
/// A CPU gains where an invocation has a row to itself and there are fewer rows than lanes: on lavapipe the sums of two
/// columns of a million numbers take a third of the time. A row that has all lanes already is no faster in parts. On a GPU
/// more teams read at once.
pub(crate) fn reduce(spec: &Spec, target: &Target) -> Option<Scratch> {
    let Spec::Reduce(spec) = spec else { return None };
    let repr = Repr::of(spec.dtype.accumulator())?;
    let results = spec.outer.checked_mul(spec.inner)?;
    let lanes = target.subgroup.map_or(LANES, |subgroup| subgroup.size.into());
    let idle = match (target.class, Team::of(target, spec.inner, repr.words())) {
        (Class::Gpu, _) => results < BUSY,
        (Class::Cpu, Team::Alone(_)) => results < lanes,
        (Class::Cpu, Team::Subgroup(_) | Team::Group(_)) => false,
    };
    if results == 0 || !idle || !joins(spec) {
        return None;
    }
    let most = (BUSY / results).min(spec.len / LEAST_PART);
    let whole = |parts: &u64| {
        // A part that is no whole number of vec4s is read number by number.
        let vectors = !spec.len.is_multiple_of(4) || (spec.len / parts).is_multiple_of(4);
        spec.len.is_multiple_of(*parts) && vectors
    };
    let parts = (2..=most).rev().find(whole)?;
    let bytes = results.checked_mul(parts)?.checked_mul(repr.bytes())?;
    Some(Scratch { parts, bytes })
}

/// Whether partial results join to the result: the mean of equally many means is the mean, but integers round.
fn joins(spec: &ReduceSpec) -> bool {
    match spec.op {
        ReduceOp::Sum | ReduceOp::Prod | ReduceOp::Max | ReduceOp::Min => true,
        ReduceOp::Mean => spec.dtype.is_float(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chain, KERNELS, Operand, scratch};
    use bayplan_graph::DType;

    fn sum(op: ReduceOp, dtype: DType, [outer, len, inner]: [u64; 3]) -> Spec {
        let operands = vec![Operand { dtype, base: 0, strides: vec![inner, 1] }];
        let epilogue = Chain { operands, steps: Vec::new(), result: dtype, layout: None };
        Spec::Reduce(ReduceSpec { op, dtype, outer, len, inner, epilogue })
    }

    fn gpu() -> Target {
        Target { class: Class::Gpu, ..Target::generic() }
    }

    fn cpu() -> Target {
        let subgroup = crate::Subgroup { size: 8, shuffle: true, arithmetic: true };
        Target { class: Class::Cpu, subgroup: Some(subgroup), ..Target::generic() }
    }

    /// 1,048,576 = 64 · 16,384: sixty-four parts for one result, fewer for more, none where all teams are busy anyway.
    #[test]
    fn few_results_of_many_elements_are_cut() {
        let check = |target: &Target, op, dtype, sizes, expected: Option<(u64, u64)>| {
            let expected = expected.map(|(parts, bytes)| Scratch { parts, bytes });
            assert_eq!(scratch(&sum(op, dtype, sizes), target), expected, "{op:?} {dtype} {sizes:?}");
        };
        let on_gpu = |op, dtype, sizes, expected| check(&gpu(), op, dtype, sizes, expected);
        on_gpu(ReduceOp::Sum, DType::F32, [1, 1 << 20, 1], Some((64, 256)));
        on_gpu(ReduceOp::Max, DType::I64, [1, 1 << 20, 1], Some((64, 512)));
        on_gpu(ReduceOp::Sum, DType::F32, [4, 1 << 20, 4], Some((4, 256)));
        on_gpu(ReduceOp::Sum, DType::F32, [8, 1 << 20, 8], None);
        on_gpu(ReduceOp::Sum, DType::F32, [1, 3 * 8192, 1], Some((3, 12)));
        on_gpu(ReduceOp::Sum, DType::F32, [1, 8192, 1], None);
        // A prime has no parts, and a mean of rounded means is another one.
        on_gpu(ReduceOp::Sum, DType::F32, [1, 1_048_583, 1], None);
        on_gpu(ReduceOp::Mean, DType::I32, [1, 1 << 20, 1], None);
        on_gpu(ReduceOp::Mean, DType::F32, [0, 1 << 20, 1], None);
        on_gpu(ReduceOp::Sum, DType::F32, [1, u64::MAX, u64::MAX], None);
        // Lanes of a CPU are idle where a row is one invocation's.
        check(&cpu(), ReduceOp::Sum, DType::F32, [1, 1 << 20, 1], None);
        check(&cpu(), ReduceOp::Sum, DType::F32, [1, 1 << 20, 2], Some((32, 256)));
        check(&cpu(), ReduceOp::Sum, DType::I64, [1, 1 << 20, 1], Some((64, 512)));
        check(&cpu(), ReduceOp::Sum, DType::F32, [1, 1 << 20, 8], None);
    }

    /// The rows say what they keep, whatever the work: one family's has no scratch for another's.
    #[test]
    fn rows_keep_to_their_families() {
        let spec = sum(ReduceOp::Sum, DType::F32, [1, 1 << 20, 1]);
        let rows = KERNELS.iter().filter(|row| (row.scratch)(&spec, &gpu()).is_some());
        assert_eq!(rows.map(|row| row.name).collect::<Vec<_>>(), ["reduce"]);
    }
}
