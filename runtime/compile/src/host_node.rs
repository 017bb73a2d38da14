//! Dispatches that the host computes, whatever executes the others.

use std::sync::Arc;

use bayplan_graph::{DType, HostType, Op, Tensor};
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

/// What a node gave last: its other results are those of the same evaluation.
#[derive(Debug, Default)]
pub struct Memo(Option<Evaluated>);

#[derive(Debug)]
struct Evaluated {
    op: Op,
    operands: Vec<(DType, Vec<u64>)>,
    bytes: Vec<Vec<u8>>,
    results: Vec<Tensor>,
}

impl Memo {
    /// One result of an operator: `operands` hold the bytes of each as devices hold them, and so does what is answered. It
    /// is evaluated once for results that are asked for one after the other.
    ///
    /// # Errors
    /// The bytes are not those of the operands, or a value is outside what the operator accepts: says which.
    pub fn evaluate(&mut self, spec: &HostSpec, operands: Vec<Vec<u8>>) -> Result<Vec<u8>, String> {
        let same =
            |last: &Evaluated| last.op == spec.op && last.operands == spec.operands && last.bytes == operands;
        if !self.0.as_ref().is_some_and(same) {
            let results = evaluated(spec, &operands)?;
            let (op, types) = (spec.op.clone(), spec.operands.clone());
            self.0 = Some(Evaluated { op, operands: types, bytes: operands, results });
        }
        let made = self.0.as_ref().and_then(|last| last.results.get(spec.result));
        let made = made.ok_or_else(|| format!("{} has no such result", spec.op.name()))?;
        Ok(widen(made.dtype(), made.bytes()).into_owned())
    }
}

/// All results of an operator.
fn evaluated(spec: &HostSpec, operands: &[Vec<u8>]) -> Result<Vec<Tensor>, String> {
    let shape = |shape: &[u64]| shape.iter().map(|&dim| dim as usize).collect::<Vec<usize>>();
    let tensor = |((dtype, own), bytes): (&(DType, Vec<u64>), &Vec<u8>)| {
        Tensor::new(*dtype, shape(own), narrow(*dtype, bytes.clone())).map_err(|e| e.to_string())
    };
    let tensors: Vec<Tensor> = spec.operands.iter().zip(operands).map(tensor).collect::<Result<_, _>>()?;
    let tensors: Vec<&Tensor> = tensors.iter().collect();
    let types: Vec<HostType> =
        spec.results.iter().map(|(dtype, own)| HostType { dtype: *dtype, shape: shape(own) }).collect();
    spec.op.rule().eval(&tensors, &types).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_one_evaluation_are_those_of_its_operands() {
        let op = Op::Unique { axis: None, sorted: true };
        let list = |n: u64| (DType::I64, vec![n]);
        let spec = |result| HostSpec {
            op: op.clone(),
            operands: vec![(DType::I8, vec![3])],
            results: vec![list(3), list(3), list(3), list(1)],
            result,
            why: "".into(),
        };
        let words = |list: [i32; 3]| vec![list.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()];
        let mut memo = Memo::default();
        let mut check = |list: [i32; 3], result, expect: &[i64]| {
            let made = memo.evaluate(&spec(result), words(list)).expect("a result");
            let expect: Vec<u8> = expect.iter().flat_map(|v| v.to_le_bytes()).collect();
            assert_eq!(made, expect, "{list:?} {result}");
        };
        check([5, -1, 5], 0, &[1, 0, 0]);
        check([5, -1, 5], 1, &[1, 0, 1]);
        check([5, -1, 5], 3, &[2]);
        check([5, -1, 7], 3, &[3]);
        check([5, -1, 5], 2, &[1, 2, 0]);
        assert!(memo.evaluate(&spec(4), words([0, 0, 0])).is_err());
        assert!(memo.evaluate(&spec(0), vec![vec![0; 8]]).is_err(), "two elements are not three");
    }
}
