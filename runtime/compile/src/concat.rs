//! Concatenation without copies: who makes a part writes it where it belongs.
//!
//! ```text
//!  conv ─► a ─ copy ─┐                 conv ──────► joined[0 .. len a]
//!                    ├─► joined   ─►
//!  pool ─► b ─ copy ─┘                 pool ──────► joined[len a ..]      a and b become views of joined
//! ```
//!
//! A part qualifies if its elements lie in one run within the whole (along the outermost axis that is not 1), at a
//! place where a window can begin. Concatenations are taken from the last to the first, so that one within another
//! lies in the outer one at once: the growing inputs of a dense block become one tensor.

use std::ops::Range;
use std::sync::Arc;

use bayplan_shaders::{CopySpec, Spec, Target};

use crate::lowered::{Lowered, Operation, Origin, TensorId};
use crate::size::Size;
use crate::view::{View, elements};

/// Removes the copies of parts into a whole that can be made there. `fixed` says which tensors follow from constants
/// alone.
pub(crate) fn place(lowered: &mut Lowered, fixed: &[bool], target: &Target) {
    let (mut readers, mut writers) = (lowered.readers(), lowered.writers());
    let mut gone = vec![false; lowered.operations.len()];
    for index in (0..lowered.operations.len()).rev() {
        let Some((part, start)) = part(lowered, index, target) else { continue };
        let whole = lowered.operations[index].output;
        let range = start..start + lowered.tensor(part).elements();
        // Nothing else is written there: a padding's fill, say, would come after the part.
        let free = writers[whole.index()].iter().all(|&other| {
            let theirs = range_of(&lowered.operations[other]);
            other == index || theirs.end.surely_le(range.start) || range.end.surely_le(theirs.start)
        });
        // Nobody may read the part while a window that holds it is written.
        let quiet = readers[part.index()].iter().all(|&other| {
            let theirs = &lowered.operations[other];
            let apart =
                range.end.surely_le(theirs.written.start) || theirs.written.end.surely_le(range.start);
            other == index || theirs.output != whole || apart
        });
        if !free || !quiet || fixed[part.index()] != fixed[whole.index()] {
            continue;
        }
        gone[index] = true;
        let concat: Arc<str> = lowered.operations[index].source_op.as_str().into();
        writers[whole.index()].retain(|&other| other != index);
        readers[part.index()].retain(|&other| other != index);
        for writer in std::mem::take(&mut writers[part.index()]) {
            let operation = &mut lowered.operations[writer];
            operation.output = whole;
            operation.written = operation.written.start + start..operation.written.end + start;
            operation.partial = true;
            operation.spares.get_or_insert_with(|| concat.clone());
            writers[whole.index()].push(writer);
        }
        for reader in std::mem::take(&mut readers[part.index()]) {
            let views = &mut lowered.operations[reader].operands;
            for view in views.iter_mut().filter(|view| view.tensor == part) {
                (view.tensor, view.base) = (whole, view.base + start);
            }
            readers[whole.index()].push(reader);
        }
    }
    let mut gone = gone.into_iter();
    lowered.operations.retain(|_| !gone.next().unwrap_or(false));
}

/// The tensor that an operation copies into a larger one and the element where it begins there, if whoever makes it
/// can write it there.
fn part(lowered: &Lowered, index: usize, target: &Target) -> Option<(TensorId, Size)> {
    let operation = &lowered.operations[index];
    let (Spec::Copy(spec), [source]) = (&operation.spec, &operation.operands[..]) else { return None };
    let tensor = lowered.tensor(source.tensor);
    let (whole, width) = (lowered.tensor(operation.output), tensor.repr.bytes());
    let start = operation.written.start + spec.out_base;
    let end = start + tensor.elements();
    let made = matches!(tensor.origin, Origin::Computed) && !lowered.outputs.contains(&source.tensor);
    let own = source.tensor != operation.output && source.base.surely_eq(0) && spec.x_base.surely_eq(0);
    // A kernel moves whole vec4s, the target's granule: the last one of a part must not reach into the next part.
    let apart = (end * width).surely_multiple_of(target.storage_granule) || end.surely_eq(whole.elements());
    let bindable = (start * width).surely_multiple_of(target.window_alignment());
    (operation.partial && made && own && apart && bindable && in_one_run(spec, tensor.elements()))
        .then_some((source.tensor, start))
}

/// Whether a copy moves that many elements, all of its source, as they lie to one run of the result.
fn in_one_run(spec: &CopySpec<Size>, count: Size) -> bool {
    let run = |strides: &[Size]| {
        let tensor = TensorId(0);
        let (shape, strides) = (spec.shape.clone(), strides.to_vec());
        View { tensor, dtype: spec.dtype, base: Size::ZERO, shape, strides }.is_contiguous()
    };
    elements(&spec.shape).surely_eq(count) && run(&spec.x_strides) && run(&spec.out_strides)
}

/// The elements of its output among which an operation writes.
fn range_of(operation: &Operation) -> Range<Size> {
    let Spec::Copy(spec) = &operation.spec else { return operation.written.clone() };
    let start = operation.written.start + spec.out_base;
    let steps = spec.shape.iter().zip(&spec.out_strides).map(|(&size, &stride)| (size - 1).max(0) * stride);
    start..start + 1 + steps.sum::<Size>()
}
