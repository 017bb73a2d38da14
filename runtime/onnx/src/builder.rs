//! Building the graph: values by their names in the model, types inferred on the way.

use core::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bayplan_expr::Expr;
use bayplan_graph::{
    ConstData, DType, Graph, InferError, Inference, Initializer, Node, NodeId, Op, Tensor, TensorType, Value,
    ValueId, ValueSource,
};

use crate::attributes::Attributes;
use crate::error::{ImportError, UnsupportedOp};
use crate::extent::{Extent, Reading};
use crate::generated::onnx::NodeProto;
use crate::limits::MAX_NODES;
use crate::tensor::Tensors;

/// The graph under construction.
pub(crate) struct Builder<'a> {
    pub(crate) graph: Graph,
    pub(crate) tensors: Tensors<'a>,
    /// Version of ONNX's operator set.
    pub(crate) opset: i64,
    /// Values by their names in the model; several names may stand for one value.
    by_name: BTreeMap<String, ValueId>,
    /// Names in use.
    names: BTreeSet<Arc<str>>,
    /// How often each base of a made-up name was asked for.
    bases: BTreeMap<String, usize>,
    /// Constants that the importer made, by type, shape and bytes.
    made: BTreeMap<(DType, Vec<usize>, Vec<u8>), ValueId>,
    /// The initializers of the model, and those whose elements were looked at.
    initializers: Vec<ValueId>,
    looked_at: RefCell<BTreeSet<ValueId>>,
    /// Names that something reads.
    read: BTreeSet<String>,
    inference: Inference,
    /// What kept nodes from being inferred, but for those that only read what had no type already.
    deferred: BTreeMap<u32, InferError>,
    /// For each body of an If that is being built, outermost first, the names that it has given so far.
    bodies: Vec<Vec<String>>,
    /// Values whose size depends on data: the axis of which only the first elements count, and how many.
    extents: BTreeMap<ValueId, Extent>,
    /// Turns of loops and scans that were built.
    pub(crate) turns: usize,
    /// Why a body of the node that is being built cannot be imported.
    pub(crate) failed: Option<ImportError>,
    /// All operators of the model that have no row, those in bodies included.
    pub(crate) unsupported: Vec<UnsupportedOp>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(name: &str, opset: i64, tensors: Tensors<'a>) -> Self {
        let graph = Graph { name: name.into(), ..Graph::default() };
        Self {
            graph,
            tensors,
            opset,
            by_name: BTreeMap::new(),
            names: BTreeSet::new(),
            bases: BTreeMap::new(),
            made: BTreeMap::new(),
            initializers: Vec::new(),
            looked_at: RefCell::default(),
            read: BTreeSet::new(),
            inference: Inference::new(),
            deferred: BTreeMap::new(),
            bodies: Vec::new(),
            extents: BTreeMap::new(),
            turns: 0,
            failed: None,
            unsupported: Vec::new(),
        }
    }

    /// Opens a body: it sees all names given so far, and what it names is forgotten when it is closed.
    pub(crate) fn open_body(&mut self) {
        self.bodies.push(Vec::new());
    }

    /// Closes the innermost body.
    pub(crate) fn close_body(&mut self) {
        for name in self.bodies.pop().unwrap_or_default() {
            self.by_name.remove(&name);
        }
    }

    /// Whether a condition is known from constants and shapes, and its value.
    pub(crate) fn decided(&self, condition: ValueId) -> Option<bool> {
        self.inference.condition(condition)
    }

    /// The name in the graph of a value of the model. Values of different bodies may have one name in the model; in the
    /// graph they have not.
    fn name_of(&mut self, name: &str) -> Arc<str> {
        if self.bodies.is_empty() { name.into() } else { self.unique(name) }
    }

    /// Says which names nodes or the caller read: an output that nobody reads need not be made.
    pub(crate) fn reads<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        self.read.extend(names.map(str::to_owned));
    }

    /// Keeps names of the model from being taken by values that the importer makes.
    pub(crate) fn reserve<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        self.names.extend(names.map(Arc::from));
    }

    /// The axis and the count of a value whose size depends on data.
    pub(crate) fn extent(&self, id: ValueId) -> Option<Extent> {
        self.extents.get(&id).copied()
    }

    pub(crate) fn find(&self, name: &str) -> Option<ValueId> {
        self.by_name.get(name).copied()
    }

    /// Lets a name of the model stand for a value.
    pub(crate) fn bind(&mut self, name: &str, id: ValueId) -> Result<(), ImportError> {
        match self.by_name.insert(name.to_owned(), id) {
            None => {
                if let Some(names) = self.bodies.last_mut() {
                    names.push(name.to_owned());
                }
                Ok(())
            }
            Some(_) => Err(ImportError::tensor(name, "it is made twice; names of values must be unique")),
        }
    }

    pub(crate) fn add_value(
        &mut self,
        name: Arc<str>,
        source: ValueSource,
        ty: Option<TensorType>,
    ) -> ValueId {
        let id = ValueId(self.graph.values.len() as u32);
        self.graph.values.push(Value { name, source, ty, contents: None });
        id
    }

    /// A value of the model that no node makes.
    pub(crate) fn given(
        &mut self,
        name: &str,
        source: ValueSource,
        ty: TensorType,
    ) -> Result<ValueId, ImportError> {
        let own = self.name_of(name);
        let id = self.add_value(own, source, Some(ty));
        self.bind(name, id)?;
        let inferred = self.inference.value(&mut self.graph, id);
        inferred.map_err(|e| ImportError::tensor(name, e.to_string()))?;
        Ok(id)
    }

    /// A constant of the model that has a name.
    pub(crate) fn initializer(
        &mut self,
        name: &str,
        data: ConstData,
        ty: TensorType,
    ) -> Result<(), ImportError> {
        let id = self.given(name, ValueSource::Constant(data), ty)?;
        self.initializers.push(id);
        Ok(())
    }

    /// An input whose elements are known: nodes read them as a constant, and the input is read by nobody.
    pub(crate) fn specialised(
        &mut self,
        name: &str,
        ty: TensorType,
        elements: &Tensor,
    ) -> Result<ValueId, ImportError> {
        let own = self.name_of(name);
        let id = self.add_value(own.clone(), ValueSource::Input, Some(ty));
        let fail = |reason: String| ImportError::tensor(name, reason);
        self.inference.value(&mut self.graph, id).map_err(|e| fail(e.to_string()))?;
        let constant = self.constant(elements).map_err(fail)?;
        self.bind(name, constant)?;
        self.graph.specialised.push((own, elements.clone()));
        Ok(id)
    }

    /// Whether the elements of a value follow from constants and shapes, as far as inference sees.
    pub(crate) fn is_followed(&self, id: ValueId) -> bool {
        self.inference.follows(id)
    }

    /// Integers that follow from symbols alone.
    pub(crate) fn symbolic(
        &mut self,
        base: &str,
        elements: Arc<[Expr]>,
        ty: TensorType,
    ) -> Result<ValueId, String> {
        let name = self.unique(base);
        let id = self.add_value(name, ValueSource::Symbolic(elements), Some(ty));
        self.inference.value(&mut self.graph, id).map_err(|e| e.to_string())?;
        Ok(id)
    }

    fn unique(&mut self, base: &str) -> Arc<str> {
        let mut name: Arc<str> = base.into();
        let n = self.bases.entry(base.to_owned()).or_default();
        while self.names.contains(&name) {
            *n += 1;
            name = format!("{base}.{}", *n + 1).into();
        }
        self.names.insert(name.clone());
        name
    }

    /// A constant that the importer needs; equal ones are one value.
    pub(crate) fn constant(&mut self, tensor: &Tensor) -> Result<ValueId, String> {
        let key = (tensor.dtype(), tensor.shape().to_vec(), tensor.bytes().to_vec());
        if let Some(&id) = self.made.get(&key) {
            return Ok(id);
        }
        let name = self.unique(&format!("constant.{}", self.made.len() + 1));
        let shape = tensor.shape().iter().map(|&d| Expr::from(d)).collect();
        let ty = TensorType { dtype: tensor.dtype(), shape };
        let data = ConstData::Inline(tensor.bytes().into());
        let id = self.add_value(name, ValueSource::Constant(data), Some(ty));
        self.inference.value(&mut self.graph, id).map_err(|e| e.to_string())?;
        self.made.insert(key, id);
        Ok(id)
    }

    /// Why a value has no type: the error of the node that it first went wrong at.
    fn cause(&self, untyped: ValueId) -> Option<&InferError> {
        let mut id = untyped;
        loop {
            let ValueSource::Node { node, .. } = self.graph.value(id).source else { return None };
            if let Some(error) = self.deferred.get(&node.0) {
                return Some(error);
            }
            // Operands are made before the node that reads them, so that this ends.
            id = *self.graph.node(node).inputs.iter().find(|&&id| self.graph.value(id).ty.is_none())?;
        }
    }

    pub(crate) fn finish(mut self) -> Graph {
        self.graph.files = self.tensors.files;
        self.graph.digests = self.tensors.digests;
        let looked_at = self.looked_at.into_inner();
        // Whether anything asked for elements that are published is not known.
        let decides =
            |id: ValueId| looked_at.contains(&id) || self.graph.values[id.0 as usize].contents.is_some();
        let initializer = |value| Initializer { value, decides: decides(value) };
        self.graph.initializers = self.initializers.into_iter().map(initializer).collect();
        self.inference.finish(&mut self.graph);
        self.graph
    }
}

/// One node of the model while it is built.
pub(crate) struct Call<'b, 'a> {
    pub(crate) builder: &'b mut Builder<'a>,
    pub(crate) node: &'b NodeProto,
    pub(crate) name: Arc<str>,
    pub(crate) source_op: Arc<str>,
    /// The first value whose type was asked for and is not known.
    untyped: Cell<Option<ValueId>>,
}

/// What a builder of an operator gives: the values of the node's outputs, or a reason.
pub(crate) type Built = Result<Vec<ValueId>, String>;

impl<'b, 'a> Call<'b, 'a> {
    pub(crate) fn new(builder: &'b mut Builder<'a>, node: &'b NodeProto, name: &str, op: &str) -> Self {
        Self { builder, node, name: name.into(), source_op: op.into(), untyped: Cell::new(None) }
    }

    pub(crate) fn attributes(&self) -> Attributes<'b> {
        Attributes(self.node)
    }

    pub(crate) fn opset(&self) -> i64 {
        self.builder.opset
    }

    /// Number of inputs, trailing absent ones included.
    pub(crate) fn inputs(&self) -> usize {
        self.node.input.len()
    }

    /// Number of outputs that the node names.
    pub(crate) fn outputs(&self) -> usize {
        self.node.output.len()
    }

    pub(crate) fn optional(&self, index: usize) -> Result<Option<ValueId>, String> {
        match self.node.input.get(index).map(String::as_str) {
            None | Some("") => Ok(None),
            Some(name) => match self.builder.find(name) {
                Some(id) => Ok(Some(id)),
                None => Err(format!("it reads `{name}`, which nothing before it makes")),
            },
        }
    }

    pub(crate) fn input(&self, index: usize) -> Result<ValueId, String> {
        self.optional(index)?.ok_or_else(|| format!("input {index} is missing"))
    }

    fn ty(&self, id: ValueId, what: &str) -> Result<&TensorType, String> {
        let value = self.builder.graph.value(id);
        value.ty.as_ref().ok_or_else(|| {
            self.untyped.set(self.untyped.get().or(Some(id)));
            unknown(&value.name, what)
        })
    }

    pub(crate) fn dtype(&self, id: ValueId) -> Result<DType, String> {
        self.ty(id, "element type").map(|ty| ty.dtype)
    }

    pub(crate) fn shape(&self, id: ValueId) -> Result<Vec<Expr>, String> {
        self.ty(id, "rank").map(|ty| ty.shape.clone())
    }

    pub(crate) fn rank(&self, id: ValueId) -> Result<usize, String> {
        self.shape(id).map(|shape| shape.len())
    }

    /// Elements of an integer list known as numbers.
    pub(crate) fn known(&self, id: ValueId) -> Option<Vec<i64>> {
        self.builder.graph.value(id).contents.as_ref()?.iter().map(Expr::as_const).collect()
    }

    /// Whether the elements of an integer list are known, as numbers or as expressions.
    pub(crate) fn listed(&self, id: ValueId) -> bool {
        self.builder.graph.value(id).contents.is_some()
    }

    /// Whether two integer lists are known to have the same elements.
    pub(crate) fn same_list(&self, a: ValueId, b: ValueId) -> bool {
        let contents = |id| self.builder.graph.value(id).contents.as_ref();
        a == b || contents(a).is_some_and(|list| Some(list) == contents(b))
    }

    /// The elements of a small constant of any type.
    pub(crate) fn numbers(&self, id: ValueId) -> Option<Vec<f64>> {
        let value = self.builder.graph.value(id);
        let (ValueSource::Constant(ConstData::Inline(bytes)), Some(ty)) = (&value.source, &value.ty) else {
            return None;
        };
        let shape = ty.shape.iter().map(|d| d.as_const().and_then(|d| usize::try_from(d).ok()));
        let shape = shape.collect::<Option<Vec<usize>>>().filter(|_| bytes.len() <= SMALL)?;
        self.builder.looked_at.borrow_mut().insert(id);
        Some(Tensor::new(ty.dtype, shape, bytes.to_vec()).ok()?.to_f64())
    }

    /// Length of a list.
    pub(crate) fn len(&self, id: ValueId) -> Result<usize, String> {
        match self.shape(id)?.as_slice() {
            [] => Ok(1),
            [n] => n
                .as_const()
                .and_then(|n| usize::try_from(n).ok())
                .filter(|&n| n <= bayplan_graph::MAX_CONTENTS)
                .ok_or_else(|| {
                    format!("a list of {n} elements cannot be followed; its length must be known")
                }),
            shape => Err(format!("a list must have rank 1, but has rank {}", shape.len())),
        }
    }

    /// Adds a node; gives its outputs. Its types are inferred where they can be: what cannot be known with symbols
    /// may be known once they are bound, so a failure shows when the whole graph is inferred.
    pub(crate) fn emit_many(&mut self, op: Op, inputs: &[ValueId], outputs: usize) -> Built {
        let index = self.builder.graph.nodes.len();
        if index >= MAX_NODES {
            return Err(format!("the graph would have more than {MAX_NODES} nodes"));
        }
        let id = NodeId(index as u32);
        let base =
            self.node.output.iter().find(|o| !o.is_empty()).map_or(&*self.name, String::as_str).to_owned();
        let mut made = Vec::with_capacity(outputs);
        for output in 0..outputs as u32 {
            let name = self.builder.unique(&format!("{base}.{}", op.name().to_lowercase()));
            made.push(self.builder.add_value(name, ValueSource::Node { node: id, output }, None));
        }
        let (name, source_op) = (self.name.clone(), self.source_op.clone());
        self.extents(&op, inputs, &made)?;
        let node = Node { op, inputs: inputs.to_vec(), outputs: made.clone(), name, source_op };
        self.builder.graph.nodes.push(node);
        if let Err(error) = self.builder.inference.node(&mut self.builder.graph, id)
            && !matches!(error, InferError::Order { .. })
        {
            self.builder.deferred.insert(id.0, error);
        }
        Ok(made)
    }

    /// Results of values whose size depends on data depend on it too, where they may.
    fn extents(&mut self, op: &Op, inputs: &[ValueId], made: &[ValueId]) -> Result<(), String> {
        let extents: Vec<Option<Extent>> = inputs.iter().map(|&id| self.builder.extent(id)).collect();
        let reading = Reading { graph: &self.builder.graph, op, inputs, extents };
        let result = reading.result().map_err(|operand| {
            let name = inputs.get(operand).map_or("", |&id| &self.builder.graph.value(id).name);
            format!(
                "{} reads `{name}`, whose size depends on data, and needs all of it, or its size; only what treats the elements \
                 along that axis each for itself can",
                op.name()
            )
        })?;
        let own = result.into_iter().flat_map(|extent| made.iter().map(move |&id| (id, extent)));
        self.builder.extents.extend(own);
        Ok(())
    }

    /// Says that of a value only the first `count` (i64, rank 0) elements along an axis count: it is as large as it can be.
    pub(crate) fn extent(&mut self, x: ValueId, axis: usize, count: ValueId) {
        self.builder.extents.insert(x, (axis, count));
    }

    pub(crate) fn emit(&mut self, op: Op, inputs: &[ValueId]) -> Result<ValueId, String> {
        self.emit_many(op, inputs, 1).map(|made| made[0])
    }

    pub(crate) fn ints(&mut self, list: &[i64]) -> Result<ValueId, String> {
        let tensor = Tensor::from_i64(vec![list.len()], list).map_err(|e| e.to_string())?;
        self.builder.constant(&tensor)
    }

    /// A rank-0 constant.
    pub(crate) fn scalar(&mut self, dtype: DType, value: f64) -> Result<ValueId, String> {
        let tensor = Tensor::from_f64(dtype, vec![], &[value]).map_err(|e| e.to_string())?;
        self.builder.constant(&tensor)
    }

    /// A rank-0 constant of the type of another value.
    pub(crate) fn scalar_like(&mut self, like: ValueId, value: f64) -> Result<ValueId, String> {
        let dtype = self.dtype(like)?;
        self.scalar(dtype, value)
    }
}

/// Bytes of a constant up to which its elements are looked at.
const SMALL: usize = 4096;

fn unknown(name: &str, what: &str) -> String {
    format!(
        "the {what} of `{name}` cannot be inferred; give the symbolic dimensions names or values, or simplify the model"
    )
}

/// An error of inference as one of the import.
fn inferred(error: &InferError) -> ImportError {
    match error {
        InferError::Node { node, source_op, operands, error, .. } => {
            let operands: Vec<String> = operands.iter().map(ToString::to_string).collect();
            ImportError::Node {
                node: node.to_string(),
                op: source_op.to_string(),
                reason: format!("of {}: {error}", operands.join(", ")),
            }
        }
        other => ImportError::Model(other.to_string()),
    }
}

/// Builds one node and lets its output names stand for what was built.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    node: &NodeProto,
    name: &str,
    function: fn(&mut Call<'_, '_>) -> Built,
) -> Result<(), ImportError> {
    let (first_new, op) = (builder.graph.values.len() as u32, node.op_type.as_deref().unwrap_or_default());
    let fail = |reason| ImportError::Node { node: name.to_owned(), op: op.to_owned(), reason };
    let mut call = Call::new(builder, node, name, op);
    let values = match function(&mut call) {
        Ok(values) => values,
        Err(reason) => {
            if let Some(error) = call.builder.failed.take() {
                return Err(error);
            }
            let cause = call.untyped.get().and_then(|id| call.builder.cause(id));
            return Err(cause.map_or_else(|| fail(reason), inferred));
        }
    };
    let named = node.output.iter().enumerate().filter(|(_, o)| !o.is_empty());
    for (index, output) in named {
        let Some(&id) = values.get(index) else {
            if !builder.read.contains(output) {
                continue;
            }
            return Err(fail(format!("its output `{output}` is not supported; export the model without it")));
        };
        builder.bind(output, id)?;
        // What this node made takes the name that the model gives it; what it only passes on keeps its own.
        let value = builder.graph.value(id);
        let fresh = id.0 >= first_new && matches!(value.source, ValueSource::Node { .. });
        if fresh && !values[..index].contains(&id) {
            let old = value.name.clone();
            builder.names.remove(&old);
            builder.graph.values[id.0 as usize].name = builder.name_of(output);
        }
    }
    Ok(())
}
