//! Inference: the type of every value, and the elements of shape arithmetic.

use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;

use bayplan_expr::{Expr, Scope};

use crate::eval::apply;
use crate::op::truth;
use crate::rule::{Context, HostType, Inferred, MAX_CONTENTS, Operand, ShapeError};
use crate::tensor::{Elements, Tensor, count};
use crate::{
    ConstData, Constraint, Graph, Node, NodeId, NotOne, Op, TensorType, Value, ValueId, ValueSource, Walk,
    dims,
};

/// Why the types of a graph cannot be inferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InferError {
    /// An input or constant without a type.
    Untyped {
        /// The value.
        value: Arc<str>,
    },
    /// A node reads a value that is made after it.
    Order {
        /// The node.
        node: Arc<str>,
        /// The value.
        value: Arc<str>,
    },
    /// An index that points outside the graph.
    Index {
        /// The node.
        node: Arc<str>,
    },
    /// The bytes of a constant in memory do not fit its type.
    Constant {
        /// The value.
        value: Arc<str>,
        /// Why.
        reason: String,
    },
    /// More pairs of dimensions would have to be assumed equal than the limit (1024).
    Constraints {
        /// The node at which it is reached.
        node: Arc<str>,
    },
    /// A node does not accept its operands.
    Node {
        /// Name of the node.
        node: Arc<str>,
        /// Operator in the model.
        source_op: Arc<str>,
        /// Operator in the graph.
        op: &'static str,
        /// The operands' types, for the message.
        operands: Vec<TensorType>,
        /// Why.
        error: ShapeError,
    },
}

impl fmt::Display for InferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untyped { value } => {
                write!(f, "the type of `{}` is not given", bayplan_text::escape(value))
            }
            Self::Order { node, value } => write!(
                f,
                "node `{}` reads `{}` before it is made; nodes must be in an order in which they can run",
                bayplan_text::escape(node),
                bayplan_text::escape(value)
            ),
            Self::Index { node } => {
                write!(f, "node `{}` names a value that does not exist", bayplan_text::escape(node))
            }
            Self::Constraints { node } => write!(
                f,
                "at node `{}` more than {MAX_CONSTRAINTS} pairs of symbolic dimensions would have to be equal; give equal \
                 dimensions one name",
                bayplan_text::escape(node)
            ),
            Self::Constant { value, reason } => {
                write!(f, "constant `{}`: {reason}", bayplan_text::escape(value))
            }
            Self::Node { node, source_op, op, operands, error } => {
                write!(f, "node `{}` ({}", bayplan_text::escape(node), bayplan_text::escape(source_op))?;
                if **source_op != **op {
                    write!(f, ", as {op}")?;
                }
                f.write_str(") of ")?;
                for (i, ty) in operands.iter().take(SHOWN).enumerate() {
                    write!(f, "{}{ty}", if i > 0 { ", " } else { "" })?;
                }
                if operands.len() > SHOWN {
                    write!(f, " and {} more", operands.len() - SHOWN)?;
                }
                write!(f, ": {error}")
            }
        }
    }
}

impl std::error::Error for InferError {}

/// Operands shown in a message.
const SHOWN: usize = 8;

/// Constants up to this many bytes are given to shape rules whole.
const SMALL: usize = 4096;

/// Floats are computed only in small numbers: scalars that sizes are scaled by, not weights.
const SMALL_FLOATS: usize = 16;

/// Most pairs of dimensions assumed equal: models have one or two, and each new one is compared with all before.
const MAX_CONSTRAINTS: usize = 1024;

/// What is known of a value beyond its type. Elements of float tensors are followed too (exporters compute shapes
/// in floats), but only whole numbers, and they are not published.
#[derive(Clone, Default)]
struct Known {
    contents: Option<Arc<[Expr]>>,
    tensor: Option<Tensor>,
}

/// Inference node by node, for whoever builds a graph and wants to know types on the way.
#[derive(Clone, Default)]
pub struct Inference {
    known: Vec<Known>,
    constraints: Vec<Constraint>,
    /// For each constraint the node that it was found at, by index.
    found: Vec<usize>,
    /// Dimensions assumed not to be 1, with the indices of the nodes.
    not_one: Vec<(usize, NotOne)>,
}

impl Inference {
    /// Nothing inferred.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a value that no node makes: an input or a constant.
    ///
    /// # Errors
    /// If it has no type, or bytes that do not fit it.
    pub fn value(&mut self, graph: &mut Graph, ValueId(id): ValueId) -> Result<(), InferError> {
        self.known.resize(graph.values.len().max(self.known.len()), Known::default());
        let value = &mut graph.values[id as usize];
        if value.ty.is_none() {
            return Err(InferError::Untyped { value: value.name.clone() });
        }
        let known = constant(value)?;
        value.contents = published(value.ty.as_ref(), known.contents.as_ref());
        self.known[id as usize] = known;
        Ok(())
    }

    /// Gives the outputs of a node their types; its operands must have theirs.
    ///
    /// # Errors
    /// If the node does not accept its operands.
    pub fn node(&mut self, graph: &mut Graph, NodeId(index): NodeId) -> Result<(), InferError> {
        self.known.resize(graph.values.len().max(self.known.len()), Known::default());
        self.forget_bodies(graph, index as usize);
        let outputs =
            infer_node(graph, index as usize, &self.known, (&mut self.constraints, &mut self.not_one));
        self.found.resize(self.constraints.len(), index as usize);
        let outputs = outputs?;
        let computed = self.compute(graph, index as usize, &outputs);
        let node = &graph.nodes[index as usize];
        for (i, (&ValueId(id), inferred)) in node.outputs.iter().zip(outputs).enumerate() {
            let slot = graph.values.get_mut(id as usize);
            let value = slot.ok_or_else(|| InferError::Index { node: node.name.clone() })?;
            let tensor = computed.as_ref().and_then(|list| list.get(i)).cloned();
            let contents = inferred.contents.or_else(|| contents_of(tensor.as_ref()?));
            let contents: Option<Arc<[Expr]>> = contents.map(Into::into);
            value.contents = published(Some(&inferred.ty), contents.as_ref());
            value.ty = Some(inferred.ty);
            self.known[id as usize] = Known { contents, tensor };
        }
        Ok(())
    }

    /// The outputs of a node as numbers, where its operands are small and known: lists that exporters compute by way
    /// of matrices (the pads of TorchScript) are followed so. `None` where that is not so or there are no such numbers.
    fn compute(&self, graph: &Graph, index: usize, outputs: &[Inferred]) -> Option<Vec<Tensor>> {
        let types: Vec<HostType> = outputs.iter().map(|o| host_type(&o.ty)).collect::<Result<_, _>>().ok()?;
        let small = types.iter().all(|ty| {
            let most = if ty.dtype.is_float() { SMALL_FLOATS } else { MAX_CONTENTS };
            count(&ty.shape).is_some_and(|n| n <= most)
        });
        if !small {
            return None;
        }
        let node = &graph.nodes[index];
        let operands = node.inputs.iter().map(|&ValueId(id)| {
            let known = self.known.get(id as usize)?;
            match &known.tensor {
                Some(tensor) => Some(Cow::Borrowed(tensor)),
                None => numbers(graph.values[id as usize].ty.as_ref()?, known.contents.as_deref()?)
                    .map(Cow::Owned),
            }
        });
        let operands: Vec<Cow<'_, Tensor>> = operands.collect::<Option<_>>()?;
        let operands: Vec<&Tensor> = operands.iter().map(AsRef::as_ref).collect();
        apply(&*node.op.rule(), &operands, &types).ok()
    }

    /// What the bodies of an If that is not decided yet assumed need not hold: perhaps they do not run.
    fn forget_bodies(&mut self, graph: &Graph, index: usize) {
        let Some(Node { op: Op::If { then_nodes, else_nodes }, inputs, .. }) = graph.nodes.get(index) else {
            return;
        };
        if inputs.first().is_some_and(|&condition| self.condition(condition).is_some()) {
            return;
        }
        let first = index.saturating_sub((then_nodes + else_nodes) as usize);
        // Constraints stand in the order of their nodes.
        let kept = self.found.partition_point(|&node| node < first);
        self.constraints.truncate(kept);
        self.found.truncate(kept);
        self.not_one.retain(|(node, _)| *node < first);
    }

    /// Whether the elements of a value follow from constants and shapes: whole numbers of floats too, which are not
    /// published.
    pub fn follows(&self, ValueId(id): ValueId) -> bool {
        self.known.get(id as usize).is_some_and(|known| known.contents.is_some() || known.tensor.is_some())
    }

    /// The value of a condition, where it follows from constants and shapes.
    pub fn condition(&self, ValueId(id): ValueId) -> Option<bool> {
        condition(self.known.get(id as usize)?)
    }

    /// Writes down in the graph what was assumed of its dimensions.
    pub fn finish(self, graph: &mut Graph) {
        graph.constraints = self.constraints;
        graph.not_one = self.not_one.into_iter().map(|(_, dim)| dim).collect();
    }
}

impl Graph {
    /// Gives every value its type (but for what bodies of Ifs make that are known not to be taken), and the elements of shape arithmetic where they follow from constants and input
    /// shapes; fills [`Graph::constraints`] and [`Graph::not_one`].
    ///
    /// # Errors
    /// The first node that does not accept its operands, with their types and what to do.
    pub fn infer(&mut self) -> Result<(), InferError> {
        let mut inference = Inference::new();
        for id in 0..self.values.len() {
            match self.values[id].source {
                ValueSource::Node { .. } => (self.values[id].ty, self.values[id].contents) = (None, None),
                _ => inference.value(self, ValueId(id as u32))?,
            }
        }
        let bodies = self.bodies();
        let mut walk = Walk::new(&bodies);
        loop {
            let node = walk.next(|body| {
                let known = body.condition(self).and_then(|condition| inference.condition(condition));
                known.is_some_and(|truth| truth != body.then)
            });
            if node >= self.nodes.len() {
                break;
            }
            inference.node(self, NodeId(node as u32))?;
        }
        inference.finish(self);
        Ok(())
    }
}

fn infer_node(
    graph: &Graph,
    index: usize,
    known: &[Known],
    (constraints, not_one): (&mut Vec<Constraint>, &mut Vec<(usize, NotOne)>),
) -> Result<Vec<Inferred>, InferError> {
    let node = &graph.nodes[index];
    let mut operands = Vec::with_capacity(node.inputs.len());
    for ValueId(id) in read(node, known) {
        let value =
            graph.values.get(id as usize).ok_or_else(|| InferError::Index { node: node.name.clone() })?;
        let order = || InferError::Order { node: node.name.clone(), value: value.name.clone() };
        let ty = value.ty.as_ref().ok_or_else(order)?;
        let Known { contents, tensor } = &known[id as usize];
        operands.push(Operand { ty, contents: contents.as_deref(), tensor: tensor.as_ref() });
    }
    let rule = node.op.rule();
    let names = node.outputs.iter().filter_map(|id| Some(graph.values.get(id.0 as usize)?.name.clone()));
    let mut ctx = Context::new(&operands, node.outputs.len(), &graph.symbols).named(names.collect());
    let outputs = rule
        .infer(&mut ctx)
        .and_then(|outputs| check(outputs, node.outputs.len()))
        .and_then(|outputs| sized(outputs, &graph.symbols, &mut ctx.assumed));
    for (a, b, broadcast) in ctx.assumed {
        if constraints.len() >= MAX_CONSTRAINTS {
            return Err(InferError::Constraints { node: node.name.clone() });
        }
        let same = |c: &Constraint| (c.a == a && c.b == b) || (c.a == b && c.b == a);
        if !constraints.iter().any(|c| same(c) && (!c.broadcast || broadcast)) {
            constraints.push(Constraint { a, b, broadcast, node: node.name.clone() });
        }
    }
    for dim in ctx.not_one {
        if !not_one.iter().any(|(_, known)| known.dim == dim) {
            not_one.push((index, NotOne { dim, node: node.name.clone() }));
        }
    }
    outputs.map_err(|error| InferError::Node {
        node: node.name.clone(),
        source_op: node.source_op.clone(),
        op: rule.name(),
        operands: operands.iter().map(|o| o.ty.clone()).collect(),
        error,
    })
}

/// The operands of a node. The body of an If that is known not to be taken has no types: its results are as good as those
/// of the other.
fn read(node: &Node, known: &[Known]) -> Vec<ValueId> {
    let (mut operands, count) = (node.inputs.clone(), node.outputs.len());
    let decided = node.inputs.first().and_then(|id| condition(known.get(id.0 as usize)?));
    let (Op::If { .. }, Some(truth), true) = (&node.op, decided, operands.len() == 1 + 2 * count) else {
        return operands;
    };
    let (then, other) = operands[1..].split_at_mut(count);
    match truth {
        true => other.copy_from_slice(then),
        false => then.copy_from_slice(other),
    }
    operands
}

fn condition(known: &Known) -> Option<bool> {
    let listed = known.contents.as_ref().and_then(|list| Some(dims::as_int(list.first()?)? != 0));
    listed.or_else(|| truth(known.tensor.as_ref()?))
}

/// What every rule must keep: as many results as the node has outputs, no dimension negative or out of range.
pub(crate) fn check(outputs: Vec<Inferred>, wanted: usize) -> Result<Vec<Inferred>, ShapeError> {
    if outputs.len() != wanted {
        return Err(ShapeError::Invalid(format!(
            "it makes {} outputs, but {wanted} are named",
            outputs.len()
        )));
    }
    for dim in outputs.iter().flat_map(|o| &o.ty.shape) {
        if dims::as_int(dim).is_some_and(|v| v < 0) {
            return Err(ShapeError::Invalid(format!("a dimension would be {dim}, which is negative")));
        }
        if dim.as_undefined().is_some() {
            return Err(ShapeError::Invalid(
                "a dimension is too large or its expression too long; give the symbolic dimensions values"
                    .to_owned(),
            ));
        }
    }
    Ok(outputs)
}

/// A dimension that may come out negative, as what is left of an axis after some of it, is taken as no smaller than 0 and
/// assumed to be what it says: shapes of which that is not true are refused when the symbols get values.
fn sized(
    mut outputs: Vec<Inferred>,
    scope: &Scope,
    assumed: &mut Vec<(Expr, Expr, bool)>,
) -> Result<Vec<Inferred>, ShapeError> {
    let zero = dims::int(0);
    for dim in outputs.iter_mut().flat_map(|output| &mut output.ty.shape) {
        if dims::le(scope, &zero, dim) {
            continue;
        }
        if dims::lt(scope, dim, &zero) {
            return Err(ShapeError::Invalid(format!("a dimension would be {dim}, which is negative")));
        }
        let size = dim.max(&zero);
        assumed.push((std::mem::replace(dim, size.clone()), size, false));
    }
    Ok(outputs)
}

fn published(ty: Option<&TensorType>, contents: Option<&Arc<[Expr]>>) -> Option<Arc<[Expr]>> {
    contents.filter(|_| ty.is_some_and(|ty| !ty.dtype.is_float())).cloned()
}

fn constant(value: &Value) -> Result<Known, InferError> {
    if let ValueSource::Symbolic(elements) = &value.source {
        return Ok(Known { contents: Some(elements.clone()), tensor: None });
    }
    let (ValueSource::Constant(ConstData::Inline(bytes)), Some(ty)) = (&value.source, &value.ty) else {
        return Ok(Known::default());
    };
    if bytes.len() > SMALL {
        return Ok(Known::default());
    }
    let error = |reason: String| InferError::Constant { value: value.name.clone(), reason };
    let shape: Option<Vec<usize>> =
        ty.shape.iter().map(|dim| dims::as_int(dim).and_then(|v| usize::try_from(v).ok())).collect();
    let shape = shape.ok_or_else(|| error("its shape must be numbers".to_owned()))?;
    let tensor = Tensor::new(ty.dtype, shape, bytes.to_vec()).map_err(|e| error(e.to_string()))?;
    Ok(Known { contents: contents_of(&tensor).map(Into::into), tensor: Some(tensor) })
}

/// A tensor of known elements.
pub(crate) fn numbers(ty: &TensorType, contents: &[Expr]) -> Option<Tensor> {
    let list: Vec<i128> = contents.iter().map(|e| dims::as_int(e).map(i128::from)).collect::<Option<_>>()?;
    let ty = host_type(ty).ok()?;
    Tensor::from_ints(ty.dtype, ty.shape, &list).ok()
}

/// A type whose dimensions are all numbers.
pub(crate) fn host_type(ty: &TensorType) -> Result<HostType, ShapeError> {
    let shape: Option<Vec<usize>> =
        ty.shape.iter().map(|dim| dims::as_int(dim).and_then(|v| usize::try_from(v).ok())).collect();
    let shape = shape.ok_or_else(|| ShapeError::Invalid(format!("the result {ty} has no definite shape")))?;
    Ok(HostType { dtype: ty.dtype, shape })
}

/// The elements of a short list of whole numbers.
pub(crate) fn contents_of(tensor: &Tensor) -> Option<Vec<Expr>> {
    if tensor.shape().len() > 1 || tensor.count() > MAX_CONTENTS {
        return None;
    }
    match tensor.elements() {
        Elements::Int(list) => list.into_iter().map(|v| Some(dims::int(i64::try_from(v).ok()?))).collect(),
        // Up to 2^53 every whole number is an f64.
        Elements::Float(list) => {
            let whole = |v: f64| v.fract() == 0.0 && v.abs() <= 9e15;
            list.into_iter().map(|v| whole(v).then(|| dims::int(v as i64))).collect()
        }
    }
}
