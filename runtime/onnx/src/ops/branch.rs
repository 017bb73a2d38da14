//! Bodies that run under a condition.

use bayplan_graph::{Op, ValueId};

use super::Row;
use crate::body::Body;
use crate::builder::{Built, Call};
use crate::generated::onnx::GraphProto;

pub(super) const ROWS: &[Row] = &[Row::new("If", 7, branch)];

/// Where the condition is known only the body that it takes becomes part of the graph.
fn branch(c: &mut Call<'_, '_>) -> Built {
    let condition = c.input(0)?;
    let [then_body, else_body] = ["then_branch", "else_branch"];
    let a = c.attributes();
    let (then_graph, else_graph) = (a.graph(then_body)?, a.graph(else_body)?);
    if let Some(truth) = c.builder.decided(condition) {
        let (name, graph) = if truth { (then_body, then_graph) } else { (else_body, else_graph) };
        let built = whole(c, graph);
        return results(c, name, built);
    }
    let first = c.builder.graph.nodes.len();
    let mut operands = vec![condition];
    let then_results = whole(c, then_graph);
    operands.extend(results(c, then_body, then_results)?);
    let middle = c.builder.graph.nodes.len();
    let else_results = whole(c, else_graph);
    operands.extend(results(c, else_body, else_results)?);
    let last = c.builder.graph.nodes.len();
    let op = Op::If { then_nodes: (middle - first) as u32, else_nodes: (last - middle) as u32 };
    c.emit_many(op, &operands, c.outputs())
}

impl Call<'_, '_> {
    /// The results of a body; an error within it is told as it is.
    pub(super) fn built<T>(&mut self, body: Result<T, crate::ImportError>) -> Result<T, String> {
        body.map_err(|error| {
            let reason = error.to_string();
            self.builder.failed = Some(error);
            reason
        })
    }
}

/// A body without inputs.
fn whole(c: &mut Call<'_, '_>, graph: &GraphProto) -> Result<Vec<ValueId>, crate::ImportError> {
    Body::new(c.builder, graph)?.build(c.builder, &[])
}

/// The results of a body, as many as the node has outputs.
fn results(c: &mut Call<'_, '_>, name: &str, built: Result<Vec<ValueId>, crate::ImportError>) -> Built {
    let values = c.built(built)?;
    match (values.len(), c.outputs()) {
        (given, wanted) if given == wanted => Ok(values),
        (given, wanted) => Err(format!(
            "its {name} gives {given} values, but the node has {wanted} outputs; both bodies must give one for each"
        )),
    }
}
