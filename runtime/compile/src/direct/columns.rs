//! Products whose results are used by columns: queries, keys and values of one matrix of weights, say.
//!
//! ```text
//!  x·[wq wk wv] ─► qkv ─┬─ columns 0..n ───────► attention             x·wq ─► attention
//!                       ├─ columns n..2n ─ copy ─► present k    ──►    x·wk ─► present k
//!                       └─ columns 2n.. ── copy ─► present v           x·wv ─► present v
//! ```
//!
//! Where somebody copies some columns, and nobody reads these with others, each group of columns becomes a product of its
//! own: then the copies can go. Together they read the same weights, and have no barrier between them.

use std::ops::Range;

use bayplan_shaders::{MatMulSpec, Spec, Target};

use super::moved::Moved;
use super::{Place, reader};
use crate::lowered::{Lowered, Operation, Origin, Tensor, TensorId};
use crate::size::Size;
use crate::view::{View, elements};

/// Splits such products.
pub(super) fn split(lowered: &mut Lowered, fixed: &mut Vec<bool>, target: &Target) {
    let (readers, writers) = (lowered.readers(), lowered.writers());
    let mut more: Vec<Vec<Operation>> = vec![Vec::new(); lowered.operations.len()];
    for (index, more) in more.iter_mut().enumerate() {
        let of = lowered.operations[index].output;
        let alone = writers[of.index()] == [index] && !lowered.outputs.contains(&of) && !fixed[of.index()];
        if !alone {
            continue;
        }
        let Some(groups) = groups(lowered, index, &readers[of.index()]) else { continue };
        let before = lowered.tensors.len();
        if let Some((parts, changed)) = parts(lowered, fixed, target, index, &groups, &readers[of.index()]) {
            *more = parts;
            for (reader, operation) in changed {
                lowered.operations[reader] = operation;
            }
        } else {
            lowered.tensors.truncate(before);
            fixed.truncate(before);
        }
    }
    let mut all = Vec::with_capacity(lowered.operations.len());
    for (operation, parts) in std::mem::take(&mut lowered.operations).into_iter().zip(more) {
        if parts.is_empty() { all.push(operation) } else { all.extend(parts) }
    }
    lowered.operations = all;
}

/// The groups of columns of a product that its readers take, if one of them is copied and that is all of the group.
fn groups(lowered: &Lowered, index: usize, readers: &[usize]) -> Option<Vec<Range<Size>>> {
    let operation = &lowered.operations[index];
    let Spec::MatMul(product) = &operation.spec else { return None };
    let rows = elements(&product.batch) * product.m;
    let Range { start, end } = operation.written.clone();
    let whole = start.surely_eq(0) && end.surely_eq(rows * product.n);
    if operation.partial || !whole || product.epilogue.layout.is_some() {
        return None;
    }
    let mut groups: Vec<Range<Size>> = Vec::new();
    let mut copied: Vec<Range<Size>> = Vec::new();
    for &reader in readers {
        let reader = &lowered.operations[reader];
        let slots =
            (0..reader.operands.len()).filter(|&slot| reader.operands[slot].tensor == operation.output);
        for slot in slots {
            let shown = reader::shown(reader, slot);
            let own = columns(&shown, product.n)?;
            let all = shown.elements().surely_eq(rows * (own.end - own.start));
            if all && matches!(reader.spec, Spec::Copy(_)) {
                copied.push(own.clone());
            }
            groups.push(own);
        }
    }
    groups.sort_by_key(|group| group.start.here());
    let mut merged: Vec<Range<Size>> = Vec::new();
    for group in groups {
        match merged.last_mut() {
            Some(last) if !last.end.surely_le(group.start) => last.end = last.end.max(group.end),
            _ => merged.push(group),
        }
    }
    let gains = merged.len() > 1 && copied.iter().any(|own| merged.iter().any(|group| same(own, group)));
    gains.then_some(merged)
}

fn same(a: &Range<Size>, b: &Range<Size>) -> bool {
    a.start.surely_eq(b.start) && a.end.surely_eq(b.end)
}

/// The columns of a matrix of rows of `width` that a view takes.
fn columns(view: &View, width: Size) -> Option<Range<Size>> {
    let first = view.base % width;
    let mut last = first;
    for (&size, &stride) in view.shape.iter().zip(&view.strides) {
        if !Size::ZERO.surely_le(stride) {
            return None;
        }
        if !size.surely_eq(1) && !stride.surely_eq(0) && stride.exact_div(width).is_none() {
            last += (size - 1) * stride;
        }
    }
    (last + 1).surely_le(width).then_some(first..last + 1)
}

/// A product for each group of columns, each with a tensor of its own, and the readers, which read these.
type Split = (Vec<Operation>, Vec<(usize, Operation)>);

fn parts(
    lowered: &mut Lowered,
    fixed: &mut Vec<bool>,
    target: &Target,
    index: usize,
    groups: &[Range<Size>],
    readers: &[usize],
) -> Option<Split> {
    let operation = lowered.operations[index].clone();
    let Spec::MatMul(product) = &operation.spec else { return None };
    let rows = elements(&product.batch) * product.m;
    let mut made = Vec::with_capacity(groups.len());
    let mut changed: Vec<(usize, Operation)> = Vec::new();
    for group in groups {
        let width = group.end - group.start;
        let own = tensor(lowered, fixed, operation.output, vec![rows, width]);
        made.push(part(lowered, target, &operation, product, group, own)?);
        let by = Moved::columns(rows, product.n, group.start, width);
        let to = Place { lowered, target, tensor: own };
        for &reader in readers {
            let at = changed.iter().position(|(other, _)| *other == reader);
            let now = at.map_or(&lowered.operations[reader], |at| &changed[at].1);
            let moved = reader::moved_some(now, operation.output, &by, &to, |view| {
                columns(view, product.n)
                    .is_some_and(|own| group.start.surely_le(own.start) && own.end.surely_le(group.end))
            });
            let moved = moved.ok()?;
            match at {
                Some(at) => changed[at].1 = moved,
                None => changed.push((reader, moved)),
            }
        }
    }
    Some((made, changed))
}

fn tensor(lowered: &mut Lowered, fixed: &mut Vec<bool>, of: TensorId, shape: Vec<Size>) -> TensorId {
    let id = TensorId(lowered.tensors.len() as u32);
    let (of, count) = (lowered.tensor(of), elements(&shape));
    let tensor = Tensor {
        name: format!("{}.columns", of.name).into(),
        shape,
        elements_expr: count.expr(),
        origin: Origin::Computed,
        ..of.clone()
    };
    lowered.tensors.push(tensor);
    fixed.push(false);
    id
}

/// The product of some columns.
fn part(
    lowered: &Lowered,
    target: &Target,
    operation: &Operation,
    product: &MatMulSpec<Size>,
    group: &Range<Size>,
    output: TensorId,
) -> Option<Operation> {
    let n = group.end - group.start;
    let mut made = operation.clone();
    let mut spec = MatMulSpec { n, ..product.clone() };
    let right = [&product.batch[..], &[product.k, n]].concat();
    let shape = [&product.batch[..], &[product.m, n]].concat();
    let narrow = |view: &View, strides: &[Size], shape: &[Size]| {
        let step = strides.last().copied().unwrap_or(Size::ZERO);
        let strides = strides.to_vec();
        View { base: view.base + group.start * step, shape: shape.to_vec(), strides, ..view.clone() }
    };
    made.operands[1] = narrow(&operation.operands[1], &product.b_strides, &right);
    let weights = Place { lowered, target, tensor: made.operands[1].tensor };
    if !weights.begins(made.operands[1].base) {
        return None;
    }
    for (operand, view) in spec.epilogue.operands.iter_mut().skip(1).zip(made.operands.iter_mut().skip(2)) {
        *view = narrow(view, &operand.strides, &shape);
    }
    made.written = Size::ZERO..elements(&shape);
    made.output = output;
    made.spec = Spec::MatMul(spec);
    Some(made)
}
