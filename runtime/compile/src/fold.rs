//! Folding: what follows from small constants is computed now.

use std::sync::Arc;

use bayplan_expr::Expr;
use bayplan_graph::{ByteRange, ConstData, DType, Graph, HostType, Node, Tensor, Value, ValueSource};

use crate::error::CompileError;

/// Largest constant, in bytes of the model, that compiling sees as a value. Larger ones are weights: what follows from
/// them is computed on the device while they are loaded.
pub const MAX_CONSTANT: u64 = 4096;

/// Reads a small constant that lies in a file.
pub type ReadConstant<'a> = dyn Fn(&ByteRange) -> Result<Vec<u8>, String> + 'a;

/// The values that are known before the model runs, by value.
pub(crate) fn fold(graph: &Graph, read: &ReadConstant<'_>) -> Result<Vec<Option<Arc<Tensor>>>, CompileError> {
    let mut known: Vec<Option<Arc<Tensor>>> = Vec::with_capacity(graph.values.len());
    for value in &graph.values {
        known.push(constant(value, read)?.map(Arc::new));
    }
    for node in &graph.nodes {
        let Some(types) = small_outputs(graph, node) else { continue };
        let inputs: Option<Vec<&Tensor>> =
            node.inputs.iter().map(|input| known[input.0 as usize].as_deref()).collect();
        let Some(inputs) = inputs else { continue };
        // What the reference evaluation refuses (an index out of range, say) is left to the device and its rules.
        if let Ok(outputs) = node.op.rule().eval(&inputs, &types) {
            for (output, tensor) in node.outputs.iter().zip(outputs) {
                known[output.0 as usize] = Some(Arc::new(tensor));
            }
        }
    }
    Ok(known)
}

/// A constant of the model, or what inference found out about a value's elements.
fn constant(value: &Value, read: &ReadConstant<'_>) -> Result<Option<Tensor>, CompileError> {
    let Some(ty) = host_type(value) else { return Ok(None) };
    let bytes = match &value.source {
        ValueSource::Constant(ConstData::Inline(bytes)) if bytes.len() as u64 <= MAX_CONSTANT => {
            bytes.to_vec()
        }
        ValueSource::Constant(ConstData::Range(range)) if range.len <= MAX_CONSTANT => {
            read(range).map_err(|reason| CompileError::Constant { name: value.name.to_string(), reason })?
        }
        ValueSource::Constant(_) => return Ok(None),
        _ => return Ok(contents(value, &ty)),
    };
    let tensor = Tensor::new(ty.dtype, ty.shape, bytes);
    tensor
        .map(Some)
        .map_err(|e| CompileError::Constant { name: value.name.to_string(), reason: e.to_string() })
}

fn contents(value: &Value, ty: &HostType) -> Option<Tensor> {
    let elements: Vec<i64> = value.contents.as_ref()?.iter().map(Expr::as_const).collect::<Option<_>>()?;
    match ty.dtype {
        DType::I64 => Tensor::from_i64(ty.shape.clone(), &elements).ok(),
        dtype if dtype.is_int() => {
            let elements: Vec<i128> = elements.into_iter().map(i128::from).collect();
            Tensor::from_ints(dtype, ty.shape.clone(), &elements).ok()
        }
        _ => None,
    }
}

/// The concrete types of a node's outputs, if each fits [`MAX_CONSTANT`].
fn small_outputs(graph: &Graph, node: &Node) -> Option<Vec<HostType>> {
    let types = node.outputs.iter().map(|&output| {
        let ty = host_type(graph.value(output))?;
        let bytes = ty.shape.iter().try_fold(ty.dtype.size(), |product, &dim| product.checked_mul(dim))?;
        (bytes as u64 <= MAX_CONSTANT).then_some(ty)
    });
    types.collect()
}

fn host_type(value: &Value) -> Option<HostType> {
    let ty = value.ty.as_ref()?;
    let shape = ty.shape.iter().map(|dim| usize::try_from(dim.as_const()?).ok()).collect::<Option<_>>()?;
    Some(HostType { dtype: ty.dtype, shape })
}
