//! Work in two phases: what a row of the kernel table wants scratch for becomes two operations with a tensor between.
//!
//! The tensor is planned like any other: it lives from one operation to the next, and its bytes are an expression over the
//! model's symbols where a dimension is. The number of parts is the kernel table's answer for the shape at hand, or the
//! reference point of many; it is kept for all of them.

use bayplan_shaders::{Scratch, Spec, Target, scratch};

use crate::lower::elementwise::identity;
use crate::lowered::{Lowered, Operation, Origin, Tensor, TensorId};
use crate::size::{Here, Size};
use crate::view::{View, elements};

/// What the name of a tensor of partial results ends in, after the name of the result.
const SUFFIX: &str = ".scratch";

/// Cuts operations in two where that pays. `fixed` says of each tensor whether it follows from constants alone.
pub(crate) fn cut(lowered: &mut Lowered, fixed: &mut Vec<bool>, target: &Target) {
    let operations = std::mem::take(&mut lowered.operations);
    for operation in operations {
        let wanted = scratch(&operation.spec.map(&Here), target);
        match wanted.and_then(|wanted| reduction(lowered, fixed, &operation, wanted)) {
            Some(phases) => lowered.operations.extend(phases),
            None => lowered.operations.push(operation),
        }
    }
}

/// A reduction as one of its parts and one of what they give. `None` where parts of that length are not surely parts of
/// every shape's.
fn reduction(
    lowered: &mut Lowered,
    fixed: &mut Vec<bool>,
    operation: &Operation,
    Scratch { parts, .. }: Scratch,
) -> Option<[Operation; 2]> {
    let Spec::Reduce(spec) = &operation.spec else { return None };
    let part = spec.len.exact_div(Size::from(parts))?;
    let parts = Size::from(parts);
    let shape = vec![spec.outer, parts, spec.inner];
    let between = between(lowered, fixed, operation, &shape)?;
    let mut first = operation.clone();
    let mut of_parts = spec.clone();
    (of_parts.outer, of_parts.len) = (spec.outer * parts, part);
    let between_type = spec.dtype.accumulator();
    of_parts.epilogue = identity(between_type, &[of_parts.outer, spec.inner]);
    first.spec = Spec::Reduce(of_parts);
    first.operands.truncate(1);
    (first.output, first.written, first.partial) = (between.tensor, Size::ZERO..elements(&shape), false);
    let mut second = operation.clone();
    let mut of_results = spec.clone();
    (of_results.dtype, of_results.len) = (between_type, parts);
    second.spec = Spec::Reduce(of_results);
    *second.operands.first_mut()? = between;
    Some([first, second])
}

/// The tensor of partial results.
fn between(
    lowered: &mut Lowered,
    fixed: &mut Vec<bool>,
    operation: &Operation,
    shape: &[Size],
) -> Option<View> {
    let read = operation.operands.first()?;
    let (dtype, repr) = (read.dtype.accumulator(), lowered.tensor(read.tensor).repr);
    let id = TensorId(lowered.tensors.len() as u32);
    lowered.tensors.push(Tensor {
        name: format!("{}{SUFFIX}", lowered.tensor(operation.output).name).into(),
        dtype,
        repr,
        shape: shape.to_vec(),
        elements_expr: elements(shape).expr(),
        origin: Origin::Computed,
    });
    fixed.push(fixed.get(operation.output.index()).copied().unwrap_or(false));
    Some(View::whole(id, dtype, shape.to_vec()))
}
