//! The table of builders: one row per ONNX operator.

use crate::builder::{Built, Call};

mod activation;
mod activation_by_name;
mod attention;
mod branch;
mod columns;
mod compose;
pub(crate) mod contrib;
mod convert;
mod determinant;
mod dropout;
mod einsum;
mod elementwise;
mod extremum;
mod fourier;
mod index;
mod interpolate;
mod iterate;
mod legacy;
mod linear;
mod linear_attention;
mod loss;
mod normalize;
mod order;
mod pool;
mod quantize;
mod quantized;
mod recurrent;
mod reduce;
mod resize;
mod sample;
mod scatter;
mod selection;
mod shape;
mod tensor;
mod transposed;
mod trigonometry;
mod volume;
mod window;

/// How one ONNX operator is built.
pub(crate) struct Row {
    /// Operator type.
    pub(crate) op: &'static str,
    /// First opset that has it (7 also stands for "before 7").
    pub(crate) since: i64,
    /// Makes its nodes and gives the values of its outputs.
    pub(crate) build: fn(&mut Call<'_, '_>) -> Built,
    /// Inputs whose elements decide shapes: a shape, axes, repeats, k, pads, sizes. Where they follow from inputs of the
    /// model, the model is specialised on those ([`crate::value_inputs`]).
    pub(crate) says: &'static [usize],
}

impl Row {
    const fn new(op: &'static str, since: i64, build: fn(&mut Call<'_, '_>) -> Built) -> Self {
        Self { op, since, build, says: &[] }
    }

    /// The same with inputs whose elements decide shapes.
    const fn says(self, says: &'static [usize]) -> Self {
        Self { says, ..self }
    }
}

const TABLES: &[&[Row]] = &[
    elementwise::ROWS,
    convert::ROWS,
    activation::ROWS,
    linear::ROWS,
    pool::ROWS,
    normalize::ROWS,
    reduce::ROWS,
    shape::ROWS,
    tensor::ROWS,
    branch::ROWS,
    iterate::ROWS,
    attention::ROWS,
    loss::ROWS,
    columns::ROWS,
    determinant::ROWS,
    einsum::ROWS,
    fourier::ROWS,
    quantize::ROWS,
    quantized::ROWS,
    resize::ROWS,
    sample::ROWS,
    index::ROWS,
    window::ROWS,
    scatter::ROWS,
    selection::ROWS,
    order::ROWS,
    dropout::ROWS,
    recurrent::ROWS,
    linear_attention::ROWS,
    trigonometry::ROWS,
    extremum::ROWS,
];

/// The row of an operator of ONNX's own domain, if it exists in that opset.
pub(crate) fn find(op: &str, opset: i64) -> Option<&'static Row> {
    let old = legacy::find(op, opset);
    let opset = opset.max(7);
    old.or_else(|| TABLES.iter().flat_map(|rows| rows.iter()).find(|row| row.op == op && row.since <= opset))
}

/// The supported operators of ONNX's own domain with the opset from which on they exist (7: or before), sorted.
pub fn supported() -> Vec<(&'static str, i64)> {
    let mut list: Vec<_> =
        TABLES.iter().flat_map(|rows| rows.iter()).map(|row| (row.op, row.since)).collect();
    list.sort_unstable();
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_has_one_row() {
        let list = supported();
        assert!(list.windows(2).all(|pair| pair[0].0 != pair[1].0), "an operator has two rows");
        assert!(list.iter().all(|(_, since)| crate::OPSETS.contains(since)));
        assert!(find("Gelu", 19).is_none() && find("Gelu", 20).is_some());
    }
}
