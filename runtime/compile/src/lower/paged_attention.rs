//! Attention over keys and values in blocks of a pool: one operation, which keeps nothing.

use bayplan_graph::op::PagedAttention;
use bayplan_graph::{Node, Op};
use bayplan_shaders::{PagedAttentionSpec, Spec};

use super::{Lowerer, Lowering};
use crate::view::View;

pub(crate) fn lower(lowerer: &mut Lowerer<'_>, node: &Node) -> Lowering {
    let Op::PagedAttention(own) = &node.op else { return None };
    Some(attention(lowerer, node, own))
}

fn attention(lowerer: &mut Lowerer<'_>, node: &Node, own: &PagedAttention) -> Result<Vec<View>, String> {
    let mut operands = Vec::with_capacity(node.inputs.len());
    for &input in &node.inputs {
        let view = lowerer.view(input)?;
        operands.push(lowerer.packed(&view));
    }
    let [q, k, _, positions, sequences, tables] = &operands[..] else {
        return Err(format!("it has {} operands of 6", operands.len()));
    };
    let (dtype, shape) = (q.dtype, q.shape.clone());
    // Without a block, or an entry to name one, no token sees a key.
    if k.elements() == 0 || tables.elements() == 0 {
        return Ok(vec![lowerer.filled(dtype, 0, &shape)?]);
    }
    let word = |what: &str, size: usize| {
        u32::try_from(size).map_err(|_| format!("{what} = {size} does not fit 32 bits"))
    };
    let heads = word("heads", own.heads)?;
    let row = q.shape[1].pin();
    let spec = PagedAttentionSpec {
        dtype: q.dtype,
        index: [positions, sequences, tables].map(|view| view.dtype),
        tokens: q.shape[0],
        heads,
        kv_heads: word("heads of keys", own.kv_heads)?,
        head: word("elements of a head", (row / u64::from(heads.max(1))) as usize)?,
        block: word("tokens of a block", own.block)?,
        scale: own.scale.get(),
        rows: k.shape[0],
        tables: tables.shape[0],
        entries: tables.shape[1],
    };
    Ok(vec![lowerer.emit(Spec::PagedAttention(spec), operands, dtype, shape)?])
}
