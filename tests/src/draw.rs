//! Inputs of models, drawn for any shape.

use std::collections::BTreeMap;

use bayplan::{Bindings, DType, Graph, Tensor};
use bayplan_graph::{Op, TensorType, ValueId};

use crate::random::Random;

/// Inputs of a shape, by name: numbers of unit variance, tokens and types that the model's tables have, rows of different
/// lengths. `dims` has a value for each of the graph's symbols.
///
/// # Panics
/// When an input is of a kind that no model of the tests has, or a symbol has no value.
pub fn inputs(graph: &Graph, dims: &Bindings, random: &mut Random) -> Vec<(String, Tensor)> {
    let types: BTreeMap<&str, (ValueId, Vec<usize>, DType)> =
        graph.inputs.iter().map(|&id| typed(graph, id, dims)).collect();
    let positions = types.get("position_ids").map(|(_, shape, _)| shape[1]);
    let mask =
        types.get("attention_mask").map(|(_, shape, _)| Mask::draw(shape, positions.is_some(), random));
    let drawn = |&id: &ValueId| {
        let (name, (_, shape, dtype)) = typed(graph, id, dims);
        let tensor = match (name, dtype, &mask) {
            ("attention_mask", DType::I64, Some(mask)) => integers(shape, mask.ones()),
            ("position_ids", DType::I64, Some(mask)) => {
                let seq = shape[1];
                integers(shape, mask.positions(seq))
            }
            (_, DType::F32, _) => numbers(shape, random),
            (_, DType::I64, _) => {
                let (rows, count) = (rows(graph, id), shape.iter().product());
                let list = (0..count).map(|_| random.below(rows) as i64).collect();
                integers(shape, list)
            }
            _ => panic!("{name}: inputs of {dtype} are not drawn"),
        };
        (name.to_owned(), tensor)
    };
    graph.inputs.iter().map(drawn).collect()
}

fn typed<'g>(graph: &'g Graph, id: ValueId, dims: &Bindings) -> (&'g str, (ValueId, Vec<usize>, DType)) {
    let value = graph.value(id);
    let TensorType { dtype, shape } = value.ty.as_ref().expect("inputs have types");
    let extent = |dim: &bayplan_expr::Expr| {
        let extent = dim.eval(dims).unwrap_or_else(|e| panic!("{} at {dims}: {e}", value.name));
        usize::try_from(extent).unwrap_or_else(|_| panic!("{} at {dims}: {dim} is {extent}", value.name))
    };
    (&value.name, (id, shape.iter().map(extent).collect(), *dtype))
}

/// Rows of the table that an input selects from; two where it is no index.
fn rows(graph: &Graph, index: ValueId) -> usize {
    let gathers = graph.nodes.iter().filter(|node| matches!(node.op, Op::Gather { axis: 0 }));
    let table =
        gathers.filter(|node| node.inputs.get(1) == Some(&index)).find_map(|node| node.inputs.first());
    let rows = table.and_then(|&table| graph.value(table).ty.as_ref()?.shape.first()?.as_const());
    rows.and_then(|rows| usize::try_from(rows).ok()).unwrap_or(2)
}

fn numbers(shape: Vec<usize>, random: &mut Random) -> Tensor {
    let count: usize = shape.iter().product();
    // Uniform: as wide as a standard normal distribution.
    let bytes = (0..count).flat_map(|_| ((random.unit() - 0.5) * 12f32.sqrt()).to_le_bytes()).collect();
    Tensor::new(DType::F32, shape, bytes).expect("as many as the shape says")
}

fn integers(shape: Vec<usize>, list: Vec<i64>) -> Tensor {
    let bytes = list.into_iter().flat_map(i64::to_le_bytes).collect();
    Tensor::new(DType::I64, shape, bytes).expect("as many as the shape says")
}

/// Which tokens of each row count: prompts of different lengths are padded.
struct Mask {
    width: usize,
    lengths: Vec<usize>,
    /// Decoders have them padded on the left, with positions that count from the first token.
    left: bool,
}

impl Mask {
    fn draw(shape: &[usize], left: bool, random: &mut Random) -> Self {
        let [batch, width] = *shape else { panic!("a mask of shape {shape:?}") };
        let padded = random.once_in(2);
        let length = |_| if padded { 1 + random.below(width) } else { width };
        Self { width, lengths: (0..batch).map(length).collect(), left }
    }

    fn ones(&self) -> Vec<i64> {
        let row = |&length: &usize| {
            let from = if self.left { self.width - length } else { 0 };
            (0..self.width).map(move |at| i64::from((from..from + length).contains(&at)))
        };
        self.lengths.iter().flat_map(row).collect()
    }

    /// Those of the last `seq` tokens.
    fn positions(&self, seq: usize) -> Vec<i64> {
        let row = |&length: &usize| {
            let padding = self.width - length;
            (self.width - seq..self.width).map(move |at| at.saturating_sub(padding) as i64)
        };
        self.lengths.iter().flat_map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_and_positions_agree() {
        let mask = Mask { width: 5, lengths: vec![5, 2], left: true };
        assert_eq!(mask.ones(), [1, 1, 1, 1, 1, 0, 0, 0, 1, 1]);
        assert_eq!(mask.positions(3), [2, 3, 4, 0, 0, 1]);
        let mask = Mask { left: false, ..mask };
        assert_eq!(mask.ones(), [1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
    }
}
