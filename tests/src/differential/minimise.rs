//! Failing cases made small: fewer nodes, fewer elements, simpler settings, as long as the failure is the same.

use bayplan_expr::Expr;
use bayplan_graph::{ConstData, DType, Graph, Node, Tensor, ValueId, ValueSource, eval_node};

use super::case::Case;
use super::failure::Failure;
use super::settings::Settings;
use crate::graphs::Builder;

/// Attempts on one case: each runs it.
const ATTEMPTS: usize = 400;

/// The smallest case found that fails in the same way, with its failure.
pub fn minimise(
    case: &Case,
    failure: Failure,
    fails: &mut dyn FnMut(&Case) -> Option<Failure>,
) -> (Case, Failure) {
    let mut search = Search { best: case.clone(), failure, left: ATTEMPTS, fails };
    loop {
        let before = size(&search.best);
        search.settings();
        search.one_output();
        search.nodes_to_inputs();
        search.bypass();
        search.dims();
        if size(&search.best) >= before || search.left == 0 {
            return (search.best, search.failure);
        }
    }
}

/// What is made smaller: nodes, values, elements of inputs and constants, settings out of the ordinary.
fn size(case: &Case) -> (usize, usize, usize, usize) {
    // Extents count too: a tensor of no elements becomes smaller in them alone.
    let extents = leaves(&case.graph).into_iter().map(|id| shape(&case.graph, id));
    let elements = extents.map(|shape| shape.iter().product::<usize>() + shape.iter().sum::<usize>()).sum();
    (case.graph.nodes.len(), case.graph.values.len(), elements, case.settings.simpler().len())
}

struct Search<'f> {
    best: Case,
    failure: Failure,
    left: usize,
    fails: &'f mut dyn FnMut(&Case) -> Option<Failure>,
}

impl Search<'_> {
    /// Takes a case if it still fails in the same way.
    fn try_case(&mut self, case: Option<Case>) -> bool {
        let Some(case) = case else { return false };
        if self.left == 0 || size(&case) >= size(&self.best) {
            return false;
        }
        self.left -= 1;
        let Some(failure) = (self.fails)(&case) else { return false };
        let like = failure.is_like(&self.failure);
        if like {
            (self.best, self.failure) = (case, failure);
        }
        like
    }

    fn settings(&mut self) {
        for settings in self.best.settings.simpler() {
            // Compared with the best, which changes on the way.
            let merged = Settings { ..settings };
            let case = Case { settings: merged, ..self.best.clone() };
            self.try_case(Some(case));
        }
    }

    /// Only one output, or all nodes after the failing ones gone.
    fn one_output(&mut self) {
        if self.best.graph.outputs.len() > 1 {
            for keep in 0..self.best.graph.outputs.len() {
                let outputs = vec![self.best.graph.outputs[keep]];
                let case = rebuilt(&self.best, &outputs, &Edit::default());
                if self.try_case(case) {
                    return;
                }
            }
        }
        // Any value in the middle as the only output, earliest first.
        let made: Vec<ValueId> =
            self.best.graph.nodes.iter().flat_map(|node| node.outputs.iter().copied()).collect();
        for id in made {
            let case = rebuilt(&self.best, &[id], &Edit::default());
            if self.try_case(case) {
                return;
            }
        }
    }

    /// Nodes replaced by inputs that hold what they make, latest first.
    fn nodes_to_inputs(&mut self) {
        self.nodes(|index| Edit { given: Some(index), ..Edit::default() });
    }

    /// Nodes left out where their first operand has the type of their result, latest first.
    fn bypass(&mut self) {
        self.nodes(|index| Edit { skipped: Some(index), ..Edit::default() });
    }

    /// Tries an edit of each node, latest first; an edit that is kept may leave fewer nodes.
    fn nodes(&mut self, edit: impl Fn(usize) -> Edit) {
        let mut index = self.best.graph.nodes.len();
        while index > 0 {
            index -= 1;
            let outputs = self.best.graph.outputs.clone();
            let case = rebuilt(&self.best, &outputs, &edit(index));
            self.try_case(case);
            index = index.min(self.best.graph.nodes.len());
        }
    }

    /// Every extent made smaller wherever it occurs.
    fn dims(&mut self) {
        let mut all: Vec<usize> =
            leaves(&self.best.graph).iter().flat_map(|id| shape(&self.best.graph, *id)).collect();
        all.sort_unstable();
        all.dedup();
        for from in all.into_iter().rev().filter(|&size| size > 1) {
            let mut smaller = vec![1, from / 4, from / 2, from - from / 4, from - 1];
            smaller.dedup();
            for to in smaller.into_iter().filter(|&to| to > 0 && to < from) {
                let outputs = self.best.graph.outputs.clone();
                let edit = Edit { extent: Some((from, to)), ..Edit::default() };
                if self.try_case(rebuilt(&self.best, &outputs, &edit)) {
                    break;
                }
            }
        }
    }
}

/// One change of a graph.
#[derive(Clone, Copy, Default)]
struct Edit {
    /// The node whose results become inputs.
    given: Option<usize>,
    /// The node whose operand takes the place of its result.
    skipped: Option<usize>,
    /// An extent that becomes another one, in shapes and in lists of positions.
    extent: Option<(usize, usize)>,
}

/// The graph without what its outputs do not need, changed in one thing; `None` where that is no graph.
fn rebuilt(case: &Case, outputs: &[ValueId], edit: &Edit) -> Option<Case> {
    let graph = &case.graph;
    let tensors = if edit.given.is_some() { Some(evaluated(case)?) } else { None };
    let needed = needed(graph, outputs, edit);
    let mut b = Builder::new(&graph.name);
    let mut new: Vec<Option<ValueId>> = vec![None; graph.values.len()];
    for (&id, tensor) in graph.inputs.iter().zip(&case.inputs) {
        if needed[id.0 as usize] {
            new[id.0 as usize] = Some(b.input(resized(tensor, edit)));
        }
    }
    for (index, value) in graph.values.iter().enumerate() {
        if let (ValueSource::Constant(data), true) = (&value.source, needed[index]) {
            let tensor = constant(graph, ValueId(index as u32), data)?;
            new[index] = Some(b.constant(&resized(&tensor, edit)));
        }
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        if !node.outputs.iter().any(|id| needed[id.0 as usize]) {
            continue;
        }
        if edit.given == Some(index) {
            for id in &node.outputs {
                new[id.0 as usize] = Some(b.input(tensors.as_ref()?[id.0 as usize].clone()?));
            }
            continue;
        }
        let inputs: Vec<ValueId> = node.inputs.iter().map(|id| new[id.0 as usize]).collect::<Option<_>>()?;
        if edit.skipped == Some(index) {
            new[node.outputs[0].0 as usize] = Some(stand_in(&b, graph, node, &inputs)?);
            continue;
        }
        let made = b.try_ops(node.op.clone(), &inputs, node.outputs.len())?;
        for (id, made) in node.outputs.iter().zip(made) {
            new[id.0 as usize] = Some(made);
        }
    }
    for id in outputs {
        b.output(new[id.0 as usize]?);
    }
    Some(Case { graph: b.graph, inputs: b.inputs, ..case.clone() })
}

/// The operand that may stand for a node's only result.
fn stand_in(b: &Builder, graph: &Graph, node: &Node, inputs: &[ValueId]) -> Option<ValueId> {
    let [output] = node.outputs[..] else { return None };
    let ty = graph.value(output).ty.as_ref()?;
    let like = |id: &ValueId| b.graph.value(*id).ty.as_ref() == Some(ty);
    inputs.iter().copied().find(like)
}

/// Which values the outputs need.
fn needed(graph: &Graph, outputs: &[ValueId], edit: &Edit) -> Vec<bool> {
    let mut needed = vec![false; graph.values.len()];
    outputs.iter().for_each(|id| needed[id.0 as usize] = true);
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if edit.given != Some(index) && node.outputs.iter().any(|id| needed[id.0 as usize]) {
            node.inputs.iter().for_each(|id| needed[id.0 as usize] = true);
        }
    }
    needed
}

fn leaves(graph: &Graph) -> Vec<ValueId> {
    let ids = (0..graph.values.len() as u32).map(ValueId);
    ids.filter(|id| !matches!(graph.value(*id).source, ValueSource::Node { .. })).collect()
}

fn shape(graph: &Graph, id: ValueId) -> Vec<usize> {
    let dims = graph.value(id).ty.as_ref().map(|ty| ty.shape.as_slice()).unwrap_or_default();
    dims.iter().filter_map(Expr::as_const).map(|dim| dim as usize).collect()
}

fn constant(graph: &Graph, id: ValueId, data: &ConstData) -> Option<Tensor> {
    let ConstData::Inline(bytes) = data else { return None };
    let dtype = graph.value(id).ty.as_ref()?.dtype;
    Tensor::new(dtype, shape(graph, id), bytes.to_vec()).ok()
}

/// Every value of a case, by the reference evaluation; `None` for what follows from something it refuses.
fn evaluated(case: &Case) -> Option<Vec<Option<Tensor>>> {
    let graph = &case.graph;
    let mut all: Vec<Option<Tensor>> = vec![None; graph.values.len()];
    for (&id, tensor) in graph.inputs.iter().zip(&case.inputs) {
        all[id.0 as usize] = Some(tensor.clone());
    }
    for (index, value) in graph.values.iter().enumerate() {
        if let ValueSource::Constant(data) = &value.source {
            all[index] = Some(constant(graph, ValueId(index as u32), data)?);
        }
    }
    for node in &graph.nodes {
        let inputs: Option<Vec<&Tensor>> = node.inputs.iter().map(|id| all[id.0 as usize].as_ref()).collect();
        let made = inputs.and_then(|inputs| eval_node(&node.op, &inputs, node.outputs.len()).ok());
        for (id, tensor) in node.outputs.iter().zip(made.unwrap_or_default()) {
            all[id.0 as usize] = Some(tensor);
        }
    }
    Some(all)
}

/// A tensor whose extents are changed; lists of positions change with them.
fn resized(tensor: &Tensor, edit: &Edit) -> Tensor {
    let Some((from, to)) = edit.extent else { return tensor.clone() };
    let of = |size: usize| if size == from { to } else { size };
    let list = tensor.shape().len() <= 1 && tensor.dtype() == DType::I64 && tensor.count() <= 16;
    if let (true, Some(values)) = (list, tensor.to_ints()) {
        let values: Vec<i128> =
            values.into_iter().map(|v| if v == from as i128 { to as i128 } else { v }).collect();
        return Tensor::from_ints(DType::I64, tensor.shape().to_vec(), &values)
            .unwrap_or_else(|_| tensor.clone());
    }
    let shape: Vec<usize> = tensor.shape().iter().map(|&size| of(size)).collect();
    let size = tensor.dtype().size();
    let bytes = shape.iter().product::<usize>() * size;
    // Smaller only, so that there are enough elements.
    let kept = tensor.bytes().get(..bytes).map(<[u8]>::to_vec);
    kept.and_then(|kept| Tensor::new(tensor.dtype(), shape, kept).ok()).unwrap_or_else(|| tensor.clone())
}

#[cfg(test)]
mod tests {
    use bayplan_graph::Op;

    use super::*;
    use crate::differential::failure::Kind;

    /// A mistake that shows in any softmax of 3 elements or more, whatever else happens.
    fn mistake(case: &Case) -> Option<Failure> {
        let graph = &case.graph;
        let long = |node: &Node| {
            let Op::Softmax { axis, .. } = node.op else { return false };
            let shape = shape(graph, node.inputs[0]);
            let axis = if axis < 0 { axis + shape.len() as i64 } else { axis };
            shape[axis as usize] >= 3
        };
        graph.nodes.iter().any(long).then(|| Failure::new(Kind::Dispatch, "a wrong softmax"))
    }

    #[test]
    fn what_has_nothing_to_do_with_a_failure_goes() {
        let mut seen = 0;
        for seed in 0..120 {
            let case = Case::of(seed, 8);
            let Some(failure) = mistake(&case) else { continue };
            let (small, _) = minimise(&case, failure, &mut mistake);
            assert!(mistake(&small).is_some(), "seed {seed} was minimised to a case that does not fail");
            assert_eq!(small.graph.nodes.len(), 1, "seed {seed}:\n{small}");
            let shape = shape(&small.graph, small.graph.nodes[0].inputs[0]);
            // Equal extents become smaller together.
            assert!(shape.iter().all(|&size| size <= 3), "seed {seed}:\n{small}");
            seen += 1;
        }
        assert!(seen >= 5, "{seen} of the graphs hold a softmax");
    }
}
