//! How far a graph's indices reach: what it reads of a tensor by position, a dimension must be large enough for.
//!
//! ```text
//!   arange(past + seq) ─ unsqueeze ─ expand ─┐
//!   arange(batch) ────── unsqueeze ─ expand ─┴ concat ─ GatherND of mask [batch, total]      so total >= past + seq
//! ```

use std::sync::Arc;

use bayplan_expr::Expr;

use crate::{Constraint, DType, Graph, Node, Op, ValueId, dims};

/// A dimension that indices reach into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The dimension.
    pub dim: Expr,
    /// It must be at least this: one more than the greatest index.
    pub least: Expr,
    /// Name of the node that reads there.
    pub node: Arc<str>,
}

/// One more than the greatest index of a tensor none of whose elements is negative: of all elements, or of those at each
/// position along the last axis.
#[derive(Clone)]
enum Ends {
    All(Expr),
    Each(Vec<Expr>),
}

impl Graph {
    /// The dimensions that indices reach into which follow from sizes: sequences, broadcast and put side by side. What is
    /// read at other indices is not known before a run. The graph must be inferred.
    pub fn reaches(&self) -> Vec<Reach> {
        let mut ends: Vec<Option<Ends>> = vec![None; self.values.len()];
        let mut found = Vec::new();
        for node in &self.nodes {
            self.reads(node, &ends, &mut found);
            if let ([output], Some(own)) = (&node.outputs[..], self.ends(node, &ends)) {
                ends[output.0 as usize] = Some(own);
            }
        }
        found
    }

    /// The graph with dimensions that are symbols alone, without a value of their own, as large as indices need them and no
    /// larger: constraints say so, with the nodes that read there. Of two that need a symbol the first counts.
    pub fn reaching(&self, has_value: &dyn Fn(&str) -> bool) -> (Self, Vec<Reach>) {
        let (mut graph, mut tied) = (self.clone(), Vec::<Reach>::new());
        for reach in self.reaches() {
            let Some(symbol) = reach.dim.as_symbol() else { continue };
            let known = self.constraints.iter().any(|own| own.a == reach.dim || own.b == reach.dim);
            let again = tied.iter().any(|other| other.dim == reach.dim);
            let within = reach.least.symbols().contains(symbol) || reach.least.as_const().is_some();
            if has_value(symbol) || known || again || within {
                continue;
            }
            let Reach { dim, least, node } = reach.clone();
            graph.constraints.push(Constraint { a: dim, b: least, broadcast: false, node });
            tied.push(reach);
        }
        (graph, tied)
    }

    /// What a node reads by indices.
    fn reads(&self, node: &Node, ends: &[Option<Ends>], found: &mut Vec<Reach>) {
        let &[x, indices] = &node.inputs[..] else { return };
        let first = match node.op {
            Op::Gather { axis } => self.axis(x, axis),
            Op::GatherNd { batch_dims } => Some(batch_dims),
            _ => None,
        };
        let Some(first) = first else { return };
        let (Some(ty), Some(own)) = (&self.value(x).ty, &ends[indices.0 as usize]) else { return };
        let each = match (own, &node.op) {
            (Ends::All(end), Op::Gather { .. }) => std::slice::from_ref(end),
            (Ends::Each(list), Op::GatherNd { .. }) => list,
            _ => return,
        };
        for (dim, least) in ty.shape.iter().skip(first).zip(each).filter(|(dim, least)| dim != least) {
            found.push(Reach { dim: dim.clone(), least: least.clone(), node: node.name.clone() });
        }
    }

    /// An axis counted from the front.
    fn axis(&self, value: ValueId, axis: i64) -> Option<usize> {
        let rank = i64::try_from(self.value(value).ty.as_ref()?.shape.len()).ok()?;
        usize::try_from(if axis < 0 { axis + rank } else { axis }).ok()
    }

    /// How far the elements of a node's only output go.
    fn ends(&self, node: &Node, ends: &[Option<Ends>]) -> Option<Ends> {
        let of = |value: &ValueId| ends[value.0 as usize].clone();
        let all = |value: &ValueId| match of(value)? {
            Ends::All(end) => Some(end),
            Ends::Each(_) => None,
        };
        match &node.op {
            Op::Range => {
                let one = |at: usize| match self.value(*node.inputs.get(at)?).contents.as_deref()? {
                    [only] => Some(only.clone()),
                    _ => None,
                };
                let rising = dims::as_int(&one(2)?)? == 1 && dims::as_int(&one(0)?)? >= 0;
                rising.then(|| one(1).map(Ends::All)).flatten()
            }
            Op::Cast(DType::I32 | DType::I64) => of(node.inputs.first()?),
            Op::View(_) | Op::Expand | Op::Transpose(_) => all(node.inputs.first()?).map(Ends::All),
            Op::Concat { axis } => {
                let shape = |value: &ValueId| Some(&self.value(*value).ty.as_ref()?.shape);
                let first = *node.inputs.first()?;
                let last = shape(&first)?.len().checked_sub(1)?;
                let single =
                    |value: &ValueId| shape(value)?.last().and_then(dims::as_int).filter(|&n| n == 1);
                let side_by_side = self.axis(first, *axis) == Some(last);
                let each = node.inputs.iter().map(|value| single(value).and_then(|_| all(value)));
                side_by_side.then(|| each.collect::<Option<_>>().map(Ends::Each)).flatten()
            }
            _ => None,
        }
    }
}
