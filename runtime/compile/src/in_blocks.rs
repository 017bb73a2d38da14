//! Weights that stay quantised on the device: where every reader of them is a kernel that unpacks blocks in registers, they
//! are loaded as they lie in the file, and nothing is unpacked beforehand.

use bayplan_expr::Expr;
use bayplan_graph::{BlockFormat, ConstData, DType};
use bayplan_shaders::{BlockGatherSpec, BlockMatMulSpec, Others, Packed, Repr, Spec, Target};

use crate::lowered::{Lowered, Operation, Origin, Tensor, TensorId};
use crate::size::Size;
use crate::split::block_row;
use crate::view::View;

/// Lets products and gathers read blocks in place. `fixed` says of each tensor whether it follows from constants alone.
pub(crate) fn place(lowered: &mut Lowered, fixed: &mut Vec<bool>, target: &Target) {
    let mut found: Vec<(TensorId, ConstData, BlockFormat)> = Vec::new();
    for (&tensor, (data, from)) in &lowered.unpacked {
        if let Packed::Blocks(format) = *from {
            found.push((tensor, data.clone(), format));
        }
    }
    if found.is_empty() {
        return;
    }
    // The same program whatever the order of the map.
    found.sort_by_key(|(tensor, ..)| *tensor);
    let readers = lowered.readers();
    for (tensor, data, format) in found {
        let own = &readers[tensor.index()];
        let large = data.len().next_multiple_of(target.storage_granule) > target.max_storage_range;
        let all = || {
            own.iter().all(|&reader| {
                in_place(lowered, reader, tensor, format).is_some_and(|(spec, _)| !large || in_parts(&spec))
            })
        };
        if own.is_empty() || lowered.outputs.contains(&tensor) || !all() {
            continue;
        }
        let view = bytes(lowered, fixed, tensor, &data);
        for &reader in own {
            let Some((spec, slot)) = in_place(lowered, reader, tensor, format) else { continue };
            lowered.operations[reader].spec = spec;
            lowered.operations[reader].operands[slot] = view.clone();
        }
    }
    lowered.remove_dead();
}

/// Whether work on more blocks than a device binds at once can be split.
fn in_parts(spec: &Spec<Size>) -> bool {
    matches!(spec, Spec::BlockMatMul(s) if block_row(s.format, s.k).is_some())
}

/// A tensor of the bytes of a constant, as they lie.
fn bytes(lowered: &mut Lowered, fixed: &mut Vec<bool>, of: TensorId, data: &ConstData) -> View {
    let (id, words) = (TensorId(lowered.tensors.len() as u32), data.len().div_ceil(4));
    lowered.tensors.push(Tensor {
        name: lowered.tensor(of).name.clone(),
        dtype: DType::U32,
        repr: Repr::U32,
        shape: vec![words.into()],
        elements_expr: Expr::from(words),
        origin: Origin::Bytes(data.clone(), 0..data.len()),
    });
    fixed.push(true);
    View::whole(id, DType::U32, vec![words.into()])
}

/// What an operation becomes that reads a tensor of unpacked blocks once, and by which of its operands; `None` where no
/// kernel reads the blocks themselves.
fn in_place(
    lowered: &Lowered,
    reader: usize,
    tensor: TensorId,
    format: BlockFormat,
) -> Option<(Spec<Size>, usize)> {
    let operation = &lowered.operations[reader];
    let mut slots = (0..operation.operands.len()).filter(|&slot| operation.operands[slot].tensor == tensor);
    let slot = slots.next().filter(|_| slots.next().is_none())?;
    let view = &operation.operands[slot];
    // A batch may repeat the matrix.
    let shown = view.narrowed().elements();
    let whole = view.base.surely_eq(0) && shown.surely_eq(lowered.tensor(tensor).elements());
    let spec = match (&operation.spec, slot) {
        (Spec::MatMul(_), 1) => product(operation, format)?,
        (Spec::Gather(_), 0) if view.is_contiguous() => rows(operation, format)?,
        _ => return None,
    };
    whole.then_some((spec, slot))
}

/// A product by a matrix whose columns are rows of blocks.
fn product(operation: &Operation, format: BlockFormat) -> Option<Spec<Size>> {
    let Spec::MatMul(spec) = &operation.spec else { return None };
    let (n, k) = (spec.n.known()?, spec.k.known()?);
    let along = spec.b_strides[..].first()?.surely_eq(1) && spec.b_strides.last()?.surely_eq(spec.k);
    let blocks = k % format.elements() as i64 == 0 && k > 0 && n > 0;
    let floats = spec.epilogue.operands.first()?.dtype == DType::F32;
    (spec.batch.is_empty() && along && blocks && floats).then(|| {
        Spec::BlockMatMul(BlockMatMulSpec {
            format,
            m: spec.m,
            n: spec.n,
            k: spec.k,
            a_strides: spec.a_strides.clone(),
            epilogue: spec.epilogue.clone(),
        })
    })
}

/// Rows of a table whose rows are blocks.
fn rows(operation: &Operation, format: BlockFormat) -> Option<Spec<Size>> {
    let Spec::Gather(spec) = &operation.spec else { return None };
    let (axis, inner) = (spec.axis.known()?, spec.inner.known()?);
    let all = spec.rows.start.surely_eq(0) && spec.rows.end.surely_eq(spec.axis);
    let blocks = inner % format.elements() as i64 == 0 && inner > 0 && axis > 0;
    let plain = spec.outer.surely_eq(1) && spec.others == Others::Zero && spec.dtype == DType::F32;
    (all && blocks && plain).then(|| {
        let &bayplan_shaders::GatherSpec { index, axis, count, inner, .. } = spec;
        Spec::BlockGather(BlockGatherSpec { format, index, axis, count, inner })
    })
}
