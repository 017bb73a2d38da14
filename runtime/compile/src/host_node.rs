//! Dispatches that the host computes, whatever executes the others.

use std::sync::Arc;

use bayplan_graph::{DType, HostType, Tensor};
use bayplan_shaders::{HostSpec, Spec};

use crate::name::Name;
use crate::program::Program;
use crate::widen::{device_size, narrow, widen};

/// A node that the host computes at each run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostNode {
    /// The first of its dispatches in the run stage: one for each result.
    pub dispatch: u32,
    /// Its name in the model.
    pub node: Name,
    /// Its operator in the model.
    pub op: Name,
    /// Why no kernel computes it.
    pub why: Arc<str>,
    /// Bytes that come to the host for it.
    pub read: u64,
    /// Bytes that go back.
    pub written: u64,
}

impl Program {
    /// What the host computes at each run, in order.
    pub fn host_nodes(&self) -> Vec<HostNode> {
        let mut nodes: Vec<(&HostSpec, HostNode)> = Vec::new();
        for (index, dispatch) in (0..).zip(&self.run.dispatches) {
            let Spec::Host(spec) = &*dispatch.spec else { continue };
            let bytes =
                |(dtype, shape): &(DType, Vec<u64>)| shape.iter().product::<u64>() * device_size(*dtype);
            let read = spec.operands.iter().map(bytes).sum::<u64>();
            let written = spec.made().map_or(0, bytes);
            match nodes.last_mut() {
                // Another result of the same node.
                Some((last, node))
                    if node.node == dispatch.source_node
                        && last.op == spec.op
                        && last.result < spec.result =>
                {
                    (node.read, node.written) = (node.read + read, node.written + written);
                    *last = spec;
                }
                _ => {
                    let (node, op) = (dispatch.source_node.clone(), dispatch.source_op.clone());
                    let why = spec.why.clone();
                    nodes.push((spec, HostNode { dispatch: index, node, op, why, read, written }));
                }
            }
        }
        nodes.into_iter().map(|(_, node)| node).collect()
    }
}

/// Evaluates one result of an operator: `operands` hold the bytes of each as devices hold them, and so does what is
/// answered.
///
/// # Errors
/// The bytes are not those of the operands, or a value is outside what the operator accepts: says which.
pub fn evaluate(spec: &HostSpec, operands: Vec<Vec<u8>>) -> Result<Vec<u8>, String> {
    let shape = |shape: &[u64]| shape.iter().map(|&dim| dim as usize).collect::<Vec<usize>>();
    let tensor = |((dtype, own), bytes): (&(DType, Vec<u64>), Vec<u8>)| {
        Tensor::new(*dtype, shape(own), narrow(*dtype, bytes)).map_err(|e| e.to_string())
    };
    let tensors: Vec<Tensor> = spec.operands.iter().zip(operands).map(tensor).collect::<Result<_, _>>()?;
    let tensors: Vec<&Tensor> = tensors.iter().collect();
    let types: Vec<HostType> =
        spec.results.iter().map(|(dtype, own)| HostType { dtype: *dtype, shape: shape(own) }).collect();
    let made = spec.op.rule().eval(&tensors, &types).map_err(|e| e.to_string())?;
    let made = made.get(spec.result).ok_or_else(|| format!("{} has no such result", spec.op.name()))?;
    Ok(widen(made.dtype(), made.bytes()).into_owned())
}
