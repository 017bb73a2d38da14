//! From keys and values forward to the result of their attention.

use super::part::Part;
use super::sizes::{Point, Sizes};
use super::states::{self, LENGTH, origin};
use super::{Attention, Refusal, State, named};
use crate::op::{BinaryOp, ReduceOp, UnaryOp};
use crate::{Constants, Graph, Node, Op, ValueId, ValueSource};

/// Where a layer's attention lies, before it is proved to be one.
pub(super) struct Layer {
    pub(super) attention: Attention,
    /// Values from outside that scores meet: masks.
    pub(super) leaves: Vec<ValueId>,
}

/// How far a value has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A state's keys or values: nobody has said which.
    Rows(usize),
    /// Of the layer of that draft, before Softmax and after.
    Scores(usize),
    Weights(usize),
}

/// A layer as far as it is known.
struct Draft {
    keys: usize,
    values: Option<usize>,
    q: ValueId,
    scale: f64,
    leaves: Vec<ValueId>,
    result: Option<ValueId>,
}

struct Walker<'a> {
    graph: &'a Graph,
    sizes: &'a Sizes,
    constants: &'a dyn Constants,
    stages: Vec<Option<Stage>>,
    /// What the rows of each state were multiplied by.
    factors: Vec<f64>,
    drafts: Vec<Draft>,
}

/// The layers in order.
pub(super) fn layers(
    graph: &Graph,
    sizes: &Sizes,
    states: &[State],
    constants: &dyn Constants,
) -> Result<Vec<Layer>, Refusal> {
    let stages = vec![None; graph.values.len()];
    let factors = vec![1.0; states.len()];
    let mut walker = Walker { graph, sizes, constants, stages, factors, drafts: Vec::new() };
    for (index, state) in states.iter().enumerate() {
        walker.stages[state.present.0 as usize] = Some(Stage::Rows(index));
    }
    for node in &graph.nodes {
        let joins = node.outputs.iter().any(|&made| states.iter().any(|state| state.present == made));
        if !joins {
            walker.visit(node).map_err(|e| walker.placed(node, e))?;
        }
    }
    only_present(graph, states, &walker.stages)?;
    walker.finish(states)
}

/// Nothing but the results of runs gives out what attention is made of, and each past is read by its join alone.
fn only_present(graph: &Graph, states: &[State], stages: &[Option<Stage>]) -> Result<(), Refusal> {
    let given = graph.outputs.iter().map(|&output| origin(graph, output));
    for output in given.filter(|output| stages[output.0 as usize].is_some()) {
        if !states.iter().any(|state| state.present == output) {
            return Err(Refusal::new(format!(
                "output {} is made of keys and values before their attention; only its result may be read",
                named(graph, output)
            )));
        }
    }
    for node in graph.nodes.iter().filter(|node| !by_size(graph, node)) {
        let hands_on = matches!((&node.op, &node.inputs[..]), (Op::Concat { .. }, [_]));
        for state in states.iter().filter(|_| !hands_on) {
            let reads = node.inputs.iter().any(|&input| origin(graph, input) == state.past);
            if reads && !node.outputs.contains(&state.present) {
                return Err(Refusal::at(
                    node,
                    format!("reads past {} beside the join with the new one", named(graph, state.past)),
                ));
            }
        }
    }
    Ok(())
}

/// Whether all that a node makes follows from sizes.
fn by_size(graph: &Graph, node: &Node) -> bool {
    node.outputs.iter().all(|&made| graph.value(made).contents.is_some())
}

impl Walker<'_> {
    fn stage(&self, value: ValueId) -> Option<Stage> {
        self.stages[value.0 as usize]
    }

    /// The refusal with the layer that a node belongs to. Keys and values of a layer are joined one after the other.
    fn placed(&self, node: &Node, refusal: Refusal) -> Refusal {
        let layer = node.inputs.iter().find_map(|&input| match self.stage(input)? {
            Stage::Rows(state) => {
                let met = |draft: &Draft| draft.keys == state || draft.values == Some(state);
                Some(self.drafts.iter().position(met).unwrap_or(state / 2))
            }
            Stage::Scores(draft) | Stage::Weights(draft) => Some(draft),
        });
        Refusal { layer, ..refusal }
    }

    fn visit(&mut self, node: &Node) -> Result<(), Refusal> {
        let stages: Vec<Stage> = node.inputs.iter().filter_map(|&input| self.stage(input)).collect();
        let Some(&first) = stages.first() else { return Ok(()) };
        if by_size(self.graph, node) {
            return Ok(());
        }
        let furthest =
            stages.iter().copied().find(|stage| matches!(stage, Stage::Weights(_))).unwrap_or(first);
        let made = match (&node.op, &stages[..]) {
            (Op::MatMul, _) => self.product(node)?,
            (_, [Stage::Rows(state)]) => self.rows(node, *state)?,
            _ => self.scores(node, &stages, furthest)?,
        };
        for &output in &node.outputs {
            self.stages[output.0 as usize] = made;
        }
        Ok(())
    }

    /// Keys or values on their way: repeated, turned, multiplied by a number.
    fn rows(&mut self, node: &Node, state: usize) -> Result<Option<Stage>, Refusal> {
        match &node.op {
            Op::View(_) | Op::Transpose(_) | Op::Expand | Op::Cast(_) => {}
            Op::Concat { .. } if node.inputs.len() == 1 => {}
            Op::Binary(op @ (BinaryOp::Mul | BinaryOp::Div)) => {
                let factor = self.factor(node, *op, |stage| stage == Some(Stage::Rows(state)));
                self.factors[state] *= factor.ok_or_else(|| {
                    Refusal::at(
                        node,
                        "keys and values may be multiplied by numbers alone; new ones are turned before",
                    )
                })?;
            }
            _ => {
                return Err(Refusal::at(
                    node,
                    "reads keys or values outside attention; a product with queries is expected",
                ));
            }
        }
        Ok(Some(Stage::Rows(state)))
    }

    fn product(&mut self, node: &Node) -> Result<Option<Stage>, Refusal> {
        let &[a, b] = &node.inputs[..] else { return Ok(None) };
        match (self.stage(a), self.stage(b)) {
            (None, Some(Stage::Rows(keys))) => {
                if let Some(draft) = self.drafts.iter().find(|draft| draft.keys == keys) {
                    let other = named(self.graph, draft.q);
                    return Err(Refusal::at(
                        node,
                        format!(
                            "the same keys meet other queries than {other}; one attention for each cache is expected"
                        ),
                    ));
                }
                let scale = self.factors[keys];
                self.drafts.push(Draft { keys, values: None, q: a, scale, leaves: Vec::new(), result: None });
                Ok(Some(Stage::Scores(self.drafts.len() - 1)))
            }
            (Some(Stage::Weights(draft)), Some(Stage::Rows(values))) => {
                let draft = &mut self.drafts[draft];
                if draft.result.is_some() || self.factors[values] != 1.0 {
                    return Err(Refusal::at(
                        node,
                        "the weights of a layer meet values twice, or scaled ones",
                    ));
                }
                (draft.values, draft.result) = (Some(values), node.outputs.first().copied());
                Ok(None)
            }
            (Some(Stage::Scores(_)), _) => {
                Err(Refusal::at(node, "scores meet values without a Softmax along the keys before"))
            }
            _ => Err(Refusal::at(
                node,
                "is no product of queries with keys or of weights with values, in this order of operands",
            )),
        }
    }

    fn scores(&mut self, node: &Node, stages: &[Stage], furthest: Stage) -> Result<Option<Stage>, Refusal> {
        let (Stage::Scores(draft) | Stage::Weights(draft)) = furthest else {
            return Err(Refusal::at(node, "joins two caches; products with queries are expected"));
        };
        let own = |stage: &Stage| matches!(stage, Stage::Scores(own) | Stage::Weights(own) if *own == draft);
        if !stages.iter().all(own) {
            return Err(Refusal::at(node, "joins the scores of two layers"));
        }
        match &node.op {
            Op::View(_) | Op::Transpose(_) | Op::Expand | Op::Cast(_) | Op::Reduce(ReduceOp::Max, _) => {}
            Op::Concat { .. } if node.inputs.len() == 1 => {}
            Op::Unary(UnaryOp::IsNaN | UnaryOp::IsInf | UnaryOp::Not) => {}
            Op::Softmax { axis, log: false } => return self.softmax(node, *axis, furthest, draft).map(Some),
            Op::Select => self.leaf(node, draft),
            Op::Binary(op) => {
                let scales = matches!(op, BinaryOp::Mul | BinaryOp::Div);
                let unfinished = furthest == Stage::Scores(draft);
                let factor = self.factor(node, *op, |stage| stage == Some(furthest));
                match factor.filter(|_| scales && unfinished) {
                    Some(factor) => self.drafts[draft].scale *= factor,
                    None => self.leaf(node, draft),
                }
            }
            _ => {
                return Err(Refusal::at(
                    node,
                    "between the product with keys and that with values only a scale, a mask and Softmax are expected (a bound \
                     on scores, a dropout or a sink is not supported)",
                ));
            }
        }
        Ok(Some(furthest))
    }

    fn softmax(&self, node: &Node, axis: i64, furthest: Stage, draft: usize) -> Result<Stage, Refusal> {
        let rank = self.rank(node.inputs[0]);
        if axis != -1 && axis + 1 != rank {
            return Err(Refusal::at(
                node,
                format!("Softmax goes along axis {axis} of {rank}; the last, the keys, is expected"),
            ));
        }
        match furthest {
            Stage::Scores(_) => Ok(Stage::Weights(draft)),
            _ => Err(Refusal::at(node, "a second Softmax of the same scores")),
        }
    }

    fn rank(&self, value: ValueId) -> i64 {
        self.graph.value(value).ty.as_ref().map_or(0, |ty| ty.shape.len() as i64)
    }

    /// Notes what a node reads from outside.
    fn leaf(&mut self, node: &Node, draft: usize) {
        let outside = node.inputs.iter().filter(|&&input| self.stage(input).is_none());
        let leaves: Vec<ValueId> = outside.copied().collect();
        for leaf in leaves {
            if !self.drafts[draft].leaves.contains(&leaf) {
                self.drafts[draft].leaves.push(leaf);
            }
        }
    }

    /// The number that a node multiplies by, if its other operand is one and the first is as asked.
    fn factor(&self, node: &Node, op: BinaryOp, of: impl Fn(Option<Stage>) -> bool) -> Option<f64> {
        let &[a, b] = &node.inputs[..] else { return None };
        match op {
            BinaryOp::Mul if of(self.stage(a)) => self.number(b),
            BinaryOp::Mul if of(self.stage(b)) => self.number(a),
            BinaryOp::Div if of(self.stage(a)) => self.number(b).map(f64::recip),
            _ => None,
        }
    }

    /// The one element of a value that follows from constants alone.
    fn number(&self, value: ValueId) -> Option<f64> {
        let ty = self.graph.value(value).ty.as_ref()?;
        let single = ty.shape.iter().all(|dim| dim.as_const() == Some(1));
        let part = single.then(|| Part::cut(self.graph, &[], &[value]))?;
        let fixed = part.inputs().is_empty() && part.free_symbols().is_empty();
        let made =
            fixed.then(|| part.at(self.sizes, Point { past: 0, seq: 1 }, self.constants, &|_| None))?;
        made.ok()?.first()?.to_f64().first().copied().filter(|number| number.is_finite())
    }

    fn finish(self, states: &[State]) -> Result<Vec<Layer>, Refusal> {
        for (index, state) in states.iter().enumerate() {
            let used = |draft: &Draft| draft.keys == index || draft.values == Some(index);
            if !self.drafts.iter().any(used) {
                return Err(Refusal::new(format!(
                    "{} meets no queries or weights in a product; attention (MatMul, Softmax, MatMul) is expected",
                    named(self.graph, state.present)
                )));
            }
        }
        let drafts = self.drafts.iter().enumerate();
        drafts.map(|(index, draft)| self.layer(draft, states).map_err(|e| e.of(index))).collect()
    }

    fn layer(&self, draft: &Draft, states: &[State]) -> Result<Layer, Refusal> {
        let keys = states[draft.keys];
        let (Some(values), Some(result)) = (draft.values, draft.result) else {
            let present = named(self.graph, keys.present);
            return Err(Refusal::new(format!("the scores of keys {present} never meet values")));
        };
        let head = states::dims(self.graph, &keys).head as i64;
        let (q, factor) = self.queries(draft.q, head).ok_or_else(|| {
            Refusal::new(format!(
                "queries {} do not come from heads of {head} elements, [1, heads, seq, {head}]",
                named(self.graph, draft.q)
            ))
        })?;
        let scale = draft.scale * factor;
        if !scale.is_finite() || scale <= 0.0 {
            return Err(Refusal::new(format!(
                "scores are multiplied by {scale}; a number above 0 is expected"
            )));
        }
        let result = self.heads_apart(result, head);
        let heads = self.heads(q, head).unwrap_or(0);
        let attention = Attention { keys, values: states[values], q, heads, scale, result };
        Ok(Layer { attention, leaves: draft.leaves.clone() })
    }

    /// How many heads [1, .., seq, head] has.
    fn heads(&self, value: ValueId, head: i64) -> Option<usize> {
        let shape = &self.graph.value(value).ty.as_ref()?.shape;
        let (outer, rows) = shape.split_at_checked(shape.len().checked_sub(2)?)?;
        let is_rows = rows[0].as_symbol() == Some(&*self.sizes.seq) && rows[1].as_const() == Some(head);
        let heads: Option<usize> = outer.iter().map(|dim| usize::try_from(dim.as_const()?).ok()).product();
        heads.filter(|&heads| is_rows && outer.len() >= LENGTH && heads > 0)
    }

    /// Back over scales and views to the first value that has heads, with what it was multiplied by since.
    fn queries(&self, q: ValueId, head: i64) -> Option<(ValueId, f64)> {
        let (mut value, mut factor, mut found) = (q, 1.0, None);
        loop {
            if self.heads(value, head).is_some() {
                found = Some((value, factor));
            }
            let ValueSource::Node { node, .. } = self.graph.value(value).source else { return found };
            let node = self.graph.node(node);
            value = match &node.op {
                Op::View(_) => node.inputs[0],
                Op::Binary(op @ (BinaryOp::Mul | BinaryOp::Div)) => {
                    let &[a, b] = &node.inputs[..] else { return found };
                    let number = |value: ValueId| self.number(value);
                    let (other, by) = match (op, number(b), number(a)) {
                        (BinaryOp::Mul, Some(by), _) => (a, by),
                        (BinaryOp::Div, Some(by), _) => (a, by.recip()),
                        (BinaryOp::Mul, None, Some(by)) => (b, by),
                        _ => return found,
                    };
                    factor *= by;
                    other
                }
                _ => return found,
            };
        }
    }

    /// Forward over views to where the result's heads stand apart, if they share rows.
    fn heads_apart(&self, result: ValueId, head: i64) -> ValueId {
        let mut value = result;
        while self.heads(value, head).is_none() {
            let mut readers = self
                .graph
                .nodes
                .iter()
                .filter(|node| node.inputs.contains(&value) && !by_size(self.graph, node));
            match (readers.next(), readers.next()) {
                (Some(node), None) if matches!(node.op, Op::View(_)) => value = node.outputs[0],
                _ => return result,
            }
        }
        value
    }
}
