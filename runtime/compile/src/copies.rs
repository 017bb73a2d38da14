//! The copies that a program makes, and why; and those that it spares.

use std::ops::Range;

use std::sync::Arc;

use bayplan_shaders::{Repr, Spec};

use crate::alike::Alike;
use crate::lowered::Lowered;
use crate::program::{Copied, Direct};
use crate::size::Values;

/// The copies among operations, in their order; `specs` are those of distinct work at the shape at hand.
pub(crate) fn list(lowered: &Lowered, order: &[usize], alike: &Alike, specs: &[Arc<Spec>]) -> Vec<Copied> {
    let copied = |(dispatch, &index): (usize, &usize)| {
        let Spec::Copy(spec) = &*specs[alike.work(index)] else { return None };
        let elements = spec.shape.iter().copied().fold(1, u64::saturating_mul);
        let bytes = elements.saturating_mul(Repr::of(spec.dtype).map_or(0, Repr::bytes));
        let why = lowered.operations[index].why.as_deref().unwrap_or_default().to_owned();
        Some(Copied { dispatch: dispatch as u32, bytes, why })
    };
    order.iter().enumerate().filter_map(copied).collect()
}

/// The results among operations' that are written where a copy would have put them.
pub(crate) fn spared(
    lowered: &Lowered,
    order: &[usize],
    alike: &Alike,
    specs: &[Arc<Spec>],
    values: &Values,
) -> Vec<Direct> {
    let direct = |(dispatch, &index): (usize, &usize)| {
        let operation = &lowered.operations[index];
        let op = operation.spares.as_deref()?.to_owned();
        let width = lowered.tensor(operation.output).repr.bytes();
        let dispatch = dispatch as u32;
        let strides = match &*specs[alike.work(index)] {
            Spec::Copy(spec) => Some((&spec.shape, &spec.out_strides)),
            spec => {
                spec.chain().and_then(|chain| chain.layout.as_ref()).map(|own| (&own.shape, &own.strides))
            }
        };
        let Some((shape, strides)) = strides else {
            let Range { start, end } = &operation.written;
            let bytes = values.of(*end).saturating_sub(values.of(*start)).saturating_mul(width);
            return Some(Direct { dispatch, bytes, run: bytes, op });
        };
        let bytes = shape.iter().copied().fold(width, u64::saturating_mul);
        Some(Direct { dispatch, bytes, run: in_a_row(shape, strides).saturating_mul(width), op })
    };
    order.iter().enumerate().filter_map(direct).collect()
}

/// Elements that lie side by side.
fn in_a_row(shape: &[u64], strides: &[u64]) -> u64 {
    let dims = shape.iter().zip(strides).filter(|(size, _)| **size > 1);
    dims.rev().fold(1, |row, (&size, &stride)| if stride == row { row * size } else { row })
}
