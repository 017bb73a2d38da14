//! Fusion: elementwise operations join the operation that makes their operand.
//!
//! An elementwise operation whose operand is read by nobody else takes over its maker: two chains become one, or the
//! chain becomes the epilogue of a matrix product, convolution, reduction or normalisation. The joined operation takes
//! the later place, where all operands of both are ready; that place is after every reader-to-be of the maker's operands.

use bayplan_graph::DType;
use bayplan_shaders::{Arg, Chain, Operand, Spec, Step};

use crate::lowered::{Lowered, Operation, TensorId};
use crate::view::{View, restride};

/// Storage bindings of one operation, the output included. Vulkan promises four per stage; every driver met so far
/// has at least eight, and kernels with more would gain nothing.
const MAX_BINDINGS: usize = 8;

/// Steps of one chain; longer ones only make kernels that compile slowly.
const MAX_STEPS: usize = 48;

/// Joins whatever can be joined.
pub(crate) fn fuse(lowered: &mut Lowered, fixed: &[bool]) {
    let mut readers = lowered.readers();
    let writers = lowered.writers();
    let mut operations: Vec<Option<Operation>> = lowered.operations.drain(..).map(Some).collect();
    for index in 0..operations.len() {
        while let Some((maker, joined)) = best(lowered, fixed, &operations, &readers, &writers, index) {
            if let Some(gone) = operations[maker].take() {
                for view in &gone.operands {
                    let list = &mut readers[view.tensor.index()];
                    list.retain(|&reader| reader != maker);
                    if !list.contains(&index) {
                        list.push(index);
                    }
                }
            }
            operations[index] = Some(joined);
        }
    }
    lowered.operations = operations.into_iter().flatten().collect();
}

/// The latest maker that operation `index` can take over, and the result.
fn best(
    lowered: &Lowered,
    fixed: &[bool],
    operations: &[Option<Operation>],
    readers: &[Vec<usize>],
    writers: &[Vec<usize>],
    index: usize,
) -> Option<(usize, Operation)> {
    let later = operations[index].as_ref()?;
    let Spec::Elementwise(spec) = &later.spec else { return None };
    if later.partial {
        return None;
    }
    let mut makers: Vec<(usize, usize)> = later
        .operands
        .iter()
        .enumerate()
        .filter_map(|(slot, view)| {
            let tensor = view.tensor.index();
            let [maker] = writers[tensor][..] else { return None };
            let alone = readers[tensor] == [index] && !lowered.outputs.contains(&view.tensor);
            let same_stage = fixed[tensor] == fixed[later.output.index()];
            let full = view.shape == spec.shape;
            (alone && same_stage && full && lowered.is_whole(view)).then_some((maker, slot))
        })
        .collect();
    makers.sort_unstable();
    makers.into_iter().rev().find_map(|(maker, slot)| {
        let earlier = operations[maker].as_ref()?;
        if earlier.partial || reads_twice(later, earlier.output, slot) {
            return None;
        }
        Some((maker, join(earlier, later, slot)?))
    })
}

/// Whether another operand reads the same tensor in another way.
fn reads_twice(operation: &Operation, tensor: TensorId, slot: usize) -> bool {
    operation
        .operands
        .iter()
        .enumerate()
        .any(|(other, view)| other != slot && view.tensor == tensor && *view != operation.operands[slot])
}

/// The operation that does both.
fn join(earlier: &Operation, later: &Operation, slot: usize) -> Option<Operation> {
    let Spec::Elementwise(tail) = &later.spec else { return None };
    let (head, shape, fixed) = chain_of(&earlier.spec)?;
    let anchored = fixed > 0;
    if anchored && tail.chain.result != DType::F32 {
        return None;
    }
    let mut parts = Parts {
        shape: shape.clone(),
        operands: head.operands.clone(),
        views: earlier.operands.clone(),
        anchored,
        fixed: fixed.saturating_sub(1),
        steps: head.steps.clone(),
    };
    parts.append(&tail.chain, &tail.shape, &later.operands, slot)?;
    if parts.views.len() + 1 > MAX_BINDINGS || parts.steps.len() > MAX_STEPS {
        return None;
    }
    let chain = Chain { operands: parts.operands, steps: parts.steps, result: tail.chain.result };
    let mut joined = earlier.clone();
    match &mut joined.spec {
        Spec::Elementwise(spec) => spec.chain = chain,
        Spec::MatMul(spec) => spec.epilogue = chain,
        Spec::Conv(spec) => spec.epilogue = chain,
        Spec::Reduce(spec) => spec.epilogue = chain,
        Spec::Normalize(spec) => spec.epilogue = chain,
        _ => return None,
    }
    joined.operands = parts.views;
    joined.output = later.output;
    joined.written = later.written.clone();
    if !joined.source_op.split('+').any(|op| op == later.source_op) || joined.source_node != later.source_node
    {
        joined.source_op = format!("{}+{}", joined.source_op, later.source_op);
    }
    Some(joined)
}

/// The chain a spec ends in, its shape, and how many operands come before the chain's (0 for a chain alone).
fn chain_of(spec: &Spec) -> Option<(&Chain, Vec<u64>, usize)> {
    match spec {
        Spec::Elementwise(spec) => Some((&spec.chain, spec.shape.clone(), 0)),
        Spec::MatMul(spec) => Some((&spec.epilogue, [&spec.batch[..], &[spec.m, spec.n]].concat(), 2)),
        Spec::Conv(spec) => {
            Some((&spec.epilogue, vec![spec.batch, spec.filters, spec.output[0], spec.output[1]], 2))
        }
        Spec::Reduce(spec) => Some((&spec.epilogue, vec![spec.outer, spec.inner], 1)),
        Spec::Normalize(spec) => Some((&spec.epilogue, vec![spec.rows, spec.len], 1)),
        _ => None,
    }
}

/// A chain while another is being appended to it.
struct Parts {
    shape: Vec<u64>,
    operands: Vec<Operand>,
    views: Vec<View>,
    /// Whether the chain is an epilogue, whose operand 0 has no view.
    anchored: bool,
    /// `views[fixed + i]` is the view of operand `i`.
    fixed: usize,
    steps: Vec<Step>,
}

impl Parts {
    /// Appends a chain over another shape of as many elements; its operand `slot` is what the chain has made so far.
    fn append(&mut self, tail: &Chain, shape: &[u64], views: &[View], slot: usize) -> Option<()> {
        let so_far = match self.steps.len() {
            0 => Arg::Operand(0),
            count => Arg::Step(count as u32 - 1),
        };
        let mut places = Vec::with_capacity(tail.operands.len());
        for (index, (operand, view)) in tail.operands.iter().zip(views).enumerate() {
            places.push(if index == slot || *view == views[slot] {
                so_far
            } else {
                Arg::Operand(self.operand(operand, shape, view)?)
            });
        }
        let before = self.steps.len() as u32;
        for step in &tail.steps {
            let args = step.args.iter().map(|arg| match *arg {
                Arg::Operand(index) => places[index as usize],
                Arg::Step(index) => Arg::Step(before + index),
                constant @ Arg::Const(..) => constant,
            });
            self.steps.push(Step { args: args.collect(), ..step.clone() });
        }
        Some(())
    }

    /// The number of an operand in the joined chain: an equal one that is there already, or a new one.
    fn operand(&mut self, operand: &Operand, shape: &[u64], view: &View) -> Option<u32> {
        let signed: Vec<i64> = operand.strides.iter().map(|&stride| stride as i64).collect();
        let strides = restride(shape, &signed, &self.shape)?.into_iter().map(i64::unsigned_abs).collect();
        let new = Operand { dtype: operand.dtype, strides };
        let first = usize::from(self.anchored);
        let known = (first..self.operands.len()).find(|&index| {
            let other = &self.views[self.fixed + index];
            self.operands[index] == new && (other.tensor, other.base) == (view.tensor, view.base)
        });
        if let Some(index) = known {
            return Some(index as u32);
        }
        self.operands.push(new);
        self.views.push(view.clone());
        Some(self.operands.len() as u32 - 1)
    }
}
