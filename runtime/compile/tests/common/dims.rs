//! Graphs whose dims are symbols, and bounds of these.

use bayplan_compile::Dims;
use bayplan_expr::{Bounds, Expr, Scope};
use bayplan_graph::{ByteRange, DType, Graph, TensorType, ValueId};

use super::graphs::Builder;

/// The graph with these dimensions of its inputs, as texts.
pub fn with_dims(mut builder: Builder, dims: &[&[&str]]) -> Graph {
    for (&ValueId(id), dims) in builder.graph.inputs.iter().zip(dims) {
        let shape = dims.iter().map(|dim| Expr::parse(dim).expect("a dimension")).collect();
        builder.graph.values[id as usize].ty = Some(TensorType { dtype: DType::F32, shape });
    }
    builder.graph.infer().expect("a graph that fits together");
    builder.graph
}

/// Each symbol between its bounds.
pub fn bounded(bounds: &[(&str, i64, i64)]) -> Dims {
    let mut scope = Scope::new();
    for &(symbol, lower, upper) in bounds {
        scope.declare(symbol, Bounds::between(lower, upper)).expect("bounds");
    }
    Dims { bounds: scope, ..Dims::default() }
}

/// For graphs whose constants lie in no file.
pub fn no_file(_: &ByteRange) -> Result<Vec<u8>, String> {
    Err("no file".to_string())
}
