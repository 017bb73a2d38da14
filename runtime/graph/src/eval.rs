//! Reference evaluation of nodes and whole graphs, in host memory, for tests and for values known before a run.

use core::fmt;
use std::sync::Arc;

use bayplan_expr::{Expr, Scope};

use crate::infer::{check, contents_of, host_type, numbers};
use crate::op::truth;
use crate::rule::{Context, EvalError, HostType, Operand, Rule, ShapeError};
use crate::tensor::{Tensor, byte_len};
use crate::{
    Body, ByteRange, ConstData, Graph, Node, Op, ReadError, TensorError, TensorType, Value, ValueId,
    ValueSource, Walk, dims,
};

/// Where evaluation gets the bytes of constants that lie in files.
pub trait Constants {
    /// Fills `buf` (as long as the range) with the bytes of `range`.
    ///
    /// # Errors
    /// [`ReadError`] if they cannot be read.
    fn read(&self, range: &ByteRange, buf: &mut [u8]) -> Result<(), ReadError>;
}

/// For graphs whose constants all lie in memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFiles;

impl Constants for NoFiles {
    fn read(&self, range: &ByteRange, _: &mut [u8]) -> Result<(), ReadError> {
        let reason = "no files were given".to_owned();
        Err(ReadError { offset: range.offset, len: range.len, reason })
    }
}

/// Why a graph could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GraphEvalError {
    /// Wrong number of inputs.
    Inputs {
        /// Inputs of the graph.
        expected: usize,
        /// Inputs given.
        actual: usize,
    },
    /// An input that does not fit its type.
    Input {
        /// Its name.
        name: Arc<str>,
        /// The type it should have.
        expected: String,
        /// What was given.
        actual: String,
    },
    /// A constant could not be read.
    Read {
        /// Its name.
        name: Arc<str>,
        /// Why.
        error: ReadError,
    },
    /// A constant's bytes do not fit its type.
    Constant {
        /// Its name.
        name: Arc<str>,
        /// Why.
        error: TensorError,
    },
    /// A value that nothing made: the graph is not in an order in which it can run.
    Missing {
        /// Its name.
        name: Arc<str>,
    },
    /// A node failed.
    Node {
        /// Its name.
        node: Arc<str>,
        /// Its operator.
        op: &'static str,
        /// Why.
        error: EvalError,
    },
}

impl fmt::Display for GraphEvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escape = bayplan_text::escape;
        match self {
            Self::Inputs { expected, actual } => {
                write!(f, "the graph has {expected} inputs, but {actual} were given")
            }
            Self::Input { name, expected, actual } => {
                write!(f, "input `{}` must be {expected}, but is {actual}", escape(name))
            }
            Self::Read { name, error } => write!(f, "constant `{}`: {error}", escape(name)),
            Self::Constant { name, error } => write!(f, "constant `{}`: {error}", escape(name)),
            Self::Missing { name } => write!(f, "`{}` is read before it is made", escape(name)),
            Self::Node { node, op, error } => write!(f, "node `{}` ({op}): {error}", escape(node)),
        }
    }
}

impl std::error::Error for GraphEvalError {}

/// Applies one operator to tensors.
///
/// # Errors
/// [`EvalError`] if the operands do not fit or a value is outside what the operator accepts.
pub fn eval_node(op: &Op, inputs: &[&Tensor], outputs: usize) -> Result<Vec<Tensor>, EvalError> {
    let types: Vec<TensorType> = inputs
        .iter()
        .map(|t| TensorType { dtype: t.dtype(), shape: t.shape().iter().map(|&d| Expr::from(d)).collect() })
        .collect();
    let contents: Vec<Option<Vec<Expr>>> = inputs.iter().map(|t| contents_of(t)).collect();
    let operands: Vec<Operand<'_>> = types
        .iter()
        .zip(&contents)
        .zip(inputs)
        .map(|((ty, contents), &tensor)| Operand { ty, contents: contents.as_deref(), tensor: Some(tensor) })
        .collect();
    let (rule, scope) = (op.rule(), Scope::default());
    let inferred = check(rule.infer(&mut Context::new(&operands, outputs, &scope))?, outputs)?;
    let types: Result<Vec<HostType>, ShapeError> = inferred.into_iter().map(|i| host_type(&i.ty)).collect();
    apply(&*rule, inputs, &types?)
}

/// Evaluates a rule whose output types are known: sizes are checked before anything is computed.
pub(crate) fn apply(
    rule: &dyn Rule,
    inputs: &[&Tensor],
    types: &[HostType],
) -> Result<Vec<Tensor>, EvalError> {
    let empty = types.iter().map(|ty| ty.shape.contains(&0)).collect::<Vec<_>>();
    if !empty.is_empty() && empty.iter().all(|&e| e) {
        return types.iter().map(|ty| Ok(Tensor::zeros(ty.dtype, ty.shape.clone())?)).collect();
    }
    for ty in types {
        byte_len(ty.dtype, &ty.shape)?;
    }
    rule.eval(inputs, types)
}

/// Evaluates a whole graph on `inputs` (in the order of [`Graph::inputs`]); gives its outputs in their order.
/// Shapes are those of the tensors given, so symbols need no values. Of an If only the body that its condition takes is
/// evaluated. Tensors are dropped after their last use.
///
/// # Errors
/// [`GraphEvalError`], naming the input, constant or node.
pub fn eval(
    graph: &Graph,
    inputs: &[Tensor],
    constants: &dyn Constants,
) -> Result<Vec<Tensor>, GraphEvalError> {
    if inputs.len() != graph.inputs.len() {
        return Err(GraphEvalError::Inputs { expected: graph.inputs.len(), actual: inputs.len() });
    }
    let mut uses = vec![0_usize; graph.values.len()];
    for id in graph.nodes.iter().flat_map(|n| &n.inputs).chain(&graph.outputs) {
        uses[id.0 as usize] += 1;
    }
    let mut live: Vec<Option<Tensor>> = vec![None; graph.values.len()];
    for (&id, tensor) in graph.inputs.iter().zip(inputs) {
        check_input(graph.value(id), tensor)?;
        live[id.0 as usize] = Some(tensor.clone());
    }
    let bodies = graph.bodies();
    let (mut walk, mut done) = (Walk::new(&bodies), 0);
    loop {
        let mut failed = None;
        let index = walk.next(|body| match body_runs(graph, body, &mut live, constants) {
            Ok(runs) => !runs,
            Err(e) => {
                failed = failed.take().or(Some(e));
                true
            }
        });
        failed.map_or(Ok(()), Err)?;
        let Some(node) = graph.nodes.get(index) else { break };
        run(graph, node, &mut live, constants)?;
        // Nodes that were passed over read nothing.
        for id in graph.nodes[done..=index].iter().flat_map(|node| &node.inputs) {
            uses[id.0 as usize] -= 1;
            if uses[id.0 as usize] == 0 {
                live[id.0 as usize] = None;
            }
        }
        done = index + 1;
    }
    for &id in &graph.outputs {
        load(graph.value(id), &mut live[id.0 as usize], constants)?;
    }
    graph.outputs.iter().map(|&id| get(graph, &live, id).cloned()).collect()
}

/// Whether a body is taken: its condition is known when the walk comes to it.
fn body_runs(
    graph: &Graph,
    body: &Body,
    live: &mut [Option<Tensor>],
    constants: &dyn Constants,
) -> Result<bool, GraphEvalError> {
    let node = &graph.nodes[body.branch];
    let wrong = |error| GraphEvalError::Node { node: node.name.clone(), op: node.op.name(), error };
    let none = || wrong(EvalError::Value("it has no condition of one element".to_owned()));
    let id = body.condition(graph).ok_or_else(none)?;
    load(graph.value(id), &mut live[id.0 as usize], constants)?;
    truth(get(graph, live, id)?).map(|truth| truth == body.then).ok_or_else(none)
}

fn run(
    graph: &Graph,
    node: &Node,
    live: &mut [Option<Tensor>],
    constants: &dyn Constants,
) -> Result<(), GraphEvalError> {
    for &id in &node.inputs {
        load(graph.value(id), &mut live[id.0 as usize], constants)?;
    }
    let made = match taken(node, live) {
        Some(results) => results.iter().map(|&id| get(graph, live, id).cloned()).collect::<Result<_, _>>()?,
        None => {
            let operands: Vec<&Tensor> =
                node.inputs.iter().map(|id| get(graph, live, *id)).collect::<Result<_, _>>()?;
            eval_node(&node.op, &operands, node.outputs.len()).map_err(|error| GraphEvalError::Node {
                node: node.name.clone(),
                op: node.op.name(),
                error,
            })?
        }
    };
    for (id, tensor) in node.outputs.iter().zip(made) {
        live[id.0 as usize] = Some(tensor);
    }
    Ok(())
}

/// Of an If, the results of the body that ran: the other's are not there.
fn taken<'a>(node: &'a Node, live: &[Option<Tensor>]) -> Option<&'a [ValueId]> {
    let (Op::If { .. }, [condition, results @ ..]) = (&node.op, node.inputs.as_slice()) else { return None };
    let (then, other) = results.split_at_checked(node.outputs.len())?;
    let then_runs = live.get(condition.0 as usize)?.as_ref().and_then(truth)?;
    Some(if then_runs { then } else { other })
}

fn get<'a>(graph: &Graph, live: &'a [Option<Tensor>], id: ValueId) -> Result<&'a Tensor, GraphEvalError> {
    live[id.0 as usize].as_ref().ok_or_else(|| GraphEvalError::Missing { name: graph.value(id).name.clone() })
}

fn check_input(value: &Value, tensor: &Tensor) -> Result<(), GraphEvalError> {
    let Some(ty) = &value.ty else { return Ok(()) };
    let fits = |dim: &Expr, &actual: &usize| dims::as_int(dim).is_none_or(|v| v == actual as i64);
    let ok = ty.dtype == tensor.dtype()
        && ty.shape.len() == tensor.shape().len()
        && ty.shape.iter().zip(tensor.shape()).all(|(dim, actual)| fits(dim, actual));
    if ok {
        return Ok(());
    }
    let actual = format!("{}{:?}", tensor.dtype(), tensor.shape());
    Err(GraphEvalError::Input { name: value.name.clone(), expected: ty.to_string(), actual })
}

fn load(value: &Value, slot: &mut Option<Tensor>, constants: &dyn Constants) -> Result<(), GraphEvalError> {
    let name = || value.name.clone();
    if let (ValueSource::Symbolic(elements), Some(ty), None) = (&value.source, &value.ty, &slot) {
        let tensor = numbers(ty, elements).ok_or_else(|| GraphEvalError::Missing { name: name() })?;
        *slot = Some(tensor);
    }
    let (ValueSource::Constant(data), Some(ty), None) = (&value.source, &value.ty, &slot) else {
        return Ok(());
    };
    let node_error =
        |error| GraphEvalError::Node { node: name(), op: "constant", error: EvalError::Shape(error) };
    let HostType { dtype, shape } = host_type(ty).map_err(node_error)?;
    let constant = |error| GraphEvalError::Constant { name: name(), error };
    let tensor = match data {
        ConstData::Inline(bytes) => Tensor::new(dtype, shape, bytes.to_vec()).map_err(constant)?,
        ConstData::Range(range) => {
            let mut bytes = Tensor::zeros(dtype, shape.clone()).map_err(constant)?.into_bytes();
            constants
                .read(range, &mut bytes)
                .map_err(|error| GraphEvalError::Read { name: name(), error })?;
            Tensor::new(dtype, shape, bytes).map_err(constant)?
        }
    };
    *slot = Some(tensor);
    Ok(())
}
