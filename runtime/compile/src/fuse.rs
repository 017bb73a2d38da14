//! Fusion: elementwise operations join the operation that makes their operand.
//!
//! An elementwise operation whose operand is read by nobody else takes over its maker: two chains become one, or the
//! chain becomes the epilogue of a matrix product, convolution, reduction or normalisation. The joined operation takes
//! the later place, where all operands of both are ready; that place is after every reader-to-be of the maker's operands.
//!
//! Chains over `[.., 64]` and `[.., 2, 32]` become one over the pieces that both shapes have. What is read broadcast is
//! computed once for each of its own elements, unless computing it twice costs less than a dispatch.

use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_shaders::{Arg, Chain, ElementwiseSpec, Operand, Repr, Spec, Step, StepOp};

use crate::lowered::{Lowered, Operation, TensorId};
use crate::size::Size;
use crate::view::{MAX_PIECES, View, common, elements, restride, same};

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
            let every =
                lowered.is_whole(&view.narrowed()) && view.elements().surely_eq(elements(&spec.shape));
            (alone && same_stage && every).then_some((maker, slot))
        })
        .collect();
    makers.sort_unstable();
    makers.into_iter().rev().find_map(|(maker, slot)| {
        let earlier = operations[maker].as_ref()?;
        if earlier.partial || reads_twice(later, earlier.output, slot) {
            return None;
        }
        let view = &later.operands[slot];
        if lowered.is_whole(view) {
            return Some((maker, join(earlier, later, slot)?));
        }
        Some((maker, join(&widened(earlier, view)?, later, slot)?))
    })
}

/// An operation over all places of a view that repeats its result, if it costs little and there are at most twice as
/// many.
fn widened(earlier: &Operation, view: &View) -> Option<Operation> {
    let Spec::Elementwise(spec) = &earlier.spec else { return None };
    let cheap = |step: &Step| {
        use BinaryOp::{Add, Max, Min, Mul, Sub};
        match step.op {
            StepOp::Unary(op) => matches!(op, UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Relu | UnaryOp::Not),
            StepOp::Binary(op) => matches!(op, Add | Sub | Mul | Min | Max),
            StepOp::Select => true,
            StepOp::Cast | StepOp::BitCast => false,
        }
    };
    let few = spec.chain.steps.len() <= 2 && view.elements().surely_le(elements(&spec.shape) * 2);
    if !few || !spec.chain.steps.iter().all(cheap) {
        return None;
    }
    let narrow = view.narrowed();
    let mut wide = earlier.clone();
    let mut chain = spec.chain.clone();
    for (operand, own) in chain.operands.iter_mut().zip(&mut wide.operands) {
        let mut strides = restride(&spec.shape, &operand.strides, &narrow.shape)?;
        for (axis, stride) in strides.iter_mut().enumerate() {
            *stride = if view.strides[axis].surely_eq(0) { Size::ZERO } else { *stride };
        }
        operand.strides.clone_from(&strides);
        *own = View { shape: view.shape.clone(), strides, ..own.clone() };
    }
    let shape = view.shape.clone();
    wide.spec = Spec::Elementwise(ElementwiseSpec { shape, chain, in_place: None });
    Some(wide)
}

/// Whether another operand reads the same tensor in another way.
fn reads_twice(operation: &Operation, tensor: TensorId, slot: usize) -> bool {
    operation
        .operands
        .iter()
        .enumerate()
        .any(|(other, view)| other != slot && view.tensor == tensor && !view.same(&operation.operands[slot]))
}

/// The operation that does both.
fn join(earlier: &Operation, later: &Operation, slot: usize) -> Option<Operation> {
    let Spec::Elementwise(tail) = &later.spec else { return None };
    let (_, shape, fixed) = chain_of(&earlier.spec)?;
    if fixed > 0 && Repr::of(tail.chain.result) != Some(Repr::F32) {
        return None;
    }
    let whole = Parts::of(earlier, shape.clone()).and_then(|parts| parts.append(tail, &later.operands, slot));
    let (shape, parts) = match whole {
        Some(parts) => (shape, parts),
        // Only a chain alone has a shape that can be cut.
        None if fixed > 0 => return None,
        None => {
            let cut = common(&shape, &tail.shape).filter(|cut| cut.len() <= MAX_PIECES)?;
            (cut.clone(), Parts::of(earlier, cut)?.append(tail, &later.operands, slot)?)
        }
    };
    if parts.views.len() + 1 > MAX_BINDINGS || parts.steps.len() > MAX_STEPS {
        return None;
    }
    let chain =
        Chain { operands: parts.operands, steps: parts.steps, result: tail.chain.result, layout: None };
    let mut joined = earlier.clone();
    match &mut joined.spec {
        Spec::Elementwise(spec) => (spec.shape, spec.chain) = (shape, chain),
        Spec::MatMul(spec) => spec.epilogue = chain,
        Spec::Conv(spec) => spec.epilogue = chain,
        Spec::Reduce(spec) => spec.epilogue = chain,
        Spec::Normalize(spec) => spec.epilogue = chain,
        _ => return None,
    }
    joined.operands = parts.views;
    joined.output = later.output;
    joined.written = later.written.clone();
    if !joined.source_op.split('+').any(|op| *op == *later.source_op)
        || joined.source_node != later.source_node
    {
        joined.source_op = format!("{}+{}", joined.source_op, later.source_op).into();
    }
    Some(joined)
}

/// The chain a spec ends in, its shape, and how many operands come before the chain's (0 for a chain alone).
fn chain_of(spec: &Spec<Size>) -> Option<(&Chain<Size>, Vec<Size>, usize)> {
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
    shape: Vec<Size>,
    operands: Vec<Operand<Size>>,
    views: Vec<View>,
    /// Whether the chain is an epilogue, whose operand 0 has no view.
    anchored: bool,
    /// `views[fixed + i]` is the view of operand `i`.
    fixed: usize,
    steps: Vec<Step>,
}

impl Parts {
    /// The chain that an operation ends in, over a shape that only cuts its own dimensions.
    fn of(operation: &Operation, shape: Vec<Size>) -> Option<Self> {
        let (chain, own, fixed) = chain_of(&operation.spec)?;
        let cut = |operand: &Operand<Size>| {
            let strides = restride(&own, &operand.strides, &shape)?;
            Some(Operand { strides, ..operand.clone() })
        };
        let operands = match same(&shape, &own) {
            true => chain.operands.clone(),
            false => chain.operands.iter().map(cut).collect::<Option<_>>()?,
        };
        Some(Self {
            shape,
            operands,
            views: operation.operands.clone(),
            anchored: fixed > 0,
            fixed: fixed.saturating_sub(1),
            steps: chain.steps.clone(),
        })
    }

    /// With a chain appended whose shape has as many elements; its operand `slot` is what the chain has made so far.
    fn append(mut self, tail: &ElementwiseSpec<Size>, views: &[View], slot: usize) -> Option<Self> {
        let (tail, shape) = (&tail.chain, &tail.shape);
        let so_far = match self.steps.len() {
            0 => Arg::Operand(0),
            count => Arg::Step(count as u32 - 1),
        };
        let mut places = Vec::with_capacity(tail.operands.len());
        for (index, (operand, view)) in tail.operands.iter().zip(views).enumerate() {
            places.push(if index == slot || view.same(&views[slot]) {
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
        Some(self)
    }

    /// The number of an operand in the joined chain: an equal one that is there already, or a new one.
    fn operand(&mut self, operand: &Operand<Size>, shape: &[Size], view: &View) -> Option<u32> {
        let strides = restride(shape, &operand.strides, &self.shape)?;
        let new = Operand { dtype: operand.dtype, base: Size::ZERO, strides };
        let first = usize::from(self.anchored);
        let known = (first..self.operands.len()).find(|&index| {
            let other = &self.views[self.fixed + index];
            same(&self.operands[index].strides, &new.strides)
                && self.operands[index].dtype == new.dtype
                && other.tensor == view.tensor
                && other.base.surely_eq(view.base)
        });
        if let Some(index) = known {
            return Some(index as u32);
        }
        self.operands.push(new);
        self.views.push(view.clone());
        Some(self.operands.len() as u32 - 1)
    }
}
