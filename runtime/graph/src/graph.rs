//! The graph itself: plain data with indices.

use std::sync::Arc;

use bayplan_expr::{Expr, Scope};

use crate::prologue::Prologue;
use crate::{ByteRange, DType, Digest, FileRef, Op, Tensor};

/// A node, by its index in [`Graph::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// A value, by its index in [`Graph::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// Element type and shape. Dimensions are counted in elements and may contain symbols.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first; empty for a scalar.
    pub shape: Vec<Expr>,
}

impl TensorType {
    /// A type whose dimensions are all numbers.
    pub fn fixed(dtype: DType, shape: &[u64]) -> Self {
        Self { dtype, shape: shape.iter().map(|&dim| Expr::from(dim)).collect() }
    }

    /// The dimensions, where all are numbers.
    pub fn dims(&self) -> Option<Vec<u64>> {
        self.shape.iter().map(|dim| u64::try_from(dim.as_const()?).ok()).collect()
    }
}

/// The bytes of a constant: little-endian elements, row-major, no padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConstData {
    /// In memory (small constants, and what the importer computed).
    Inline(Arc<[u8]>),
    /// In a file, not read yet.
    Range(ByteRange),
}

impl ConstData {
    /// Number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Range(range) => range.len,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What makes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueSource {
    /// Given by the caller at every run.
    Input,
    /// Part of the model.
    Constant(ConstData),
    /// A list of integers that follow from symbols alone.
    Symbolic(Arc<[Expr]>),
    /// Output number `output` of a node.
    Node {
        /// The node.
        node: NodeId,
        /// Which of its outputs.
        output: u32,
    },
}

/// A tensor of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its name in the model, or one derived from the node that makes it. Unique within the graph.
    pub name: Arc<str>,
    /// What makes it.
    pub source: ValueSource,
    /// Its type; always there for inputs and constants, for outputs of nodes after inference.
    pub ty: Option<TensorType>,
    /// The elements of an integer or boolean (0 or 1) tensor of rank 0 or 1 as expressions, where they are known
    /// without running (shape arithmetic); filled by inference.
    pub contents: Option<Arc<[Expr]>>,
}

/// One application of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The operator with its attributes.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<ValueId>,
    /// What it makes.
    pub outputs: Vec<ValueId>,
    /// Name of the node in the model that it came from (several nodes may share one).
    pub name: Arc<str>,
    /// Operator type of that node in the model, e.g. `Gemm`.
    pub source_op: Arc<str>,
}

/// Two dimensions that inference had to assume equal because they hold symbols: the graph runs only where they are
/// equal, or, where they broadcast, one of them is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// One dimension.
    pub a: Expr,
    /// The other.
    pub b: Expr,
    /// Whether they broadcast against each other, so that one may also be 1.
    pub broadcast: bool,
    /// Name of the node that needs them equal.
    pub node: Arc<str>,
}

/// A dimension that decides how many dimensions a result has: inference had to assume that it is not 1, since an operator
/// without a list of axes drops those that are. Results have the types that inference gave them only where it is not 1;
/// where it gets a value first ([`Graph::bind`], [`Graph::pin`]) inference decides by that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotOne {
    /// The dimension.
    pub dim: Expr,
    /// Name of the node that would drop it.
    pub node: Arc<str>,
}

/// An output whose size depends on data. It is as large as it can be, and only its first elements along an axis count: as
/// many as another output says, an i64 behind those of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The output, by its place in [`Graph::outputs`].
    pub output: usize,
    /// The axis.
    pub axis: usize,
    /// The output that says how many, by its place.
    pub count: usize,
}

/// A constant that the model names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initializer {
    /// The constant.
    pub value: ValueId,
    /// Whether its elements decided how the graph was built, as those of a list of axes do: the graph is right for these
    /// alone.
    pub decides: bool,
}

/// A tensor graph. `nodes` are in an order in which they can run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// The model's name, for people.
    pub name: Arc<str>,
    /// All values.
    pub values: Vec<Value>,
    /// All nodes, each after those it reads from.
    pub nodes: Vec<Node>,
    /// What the caller gives, in the model's order.
    pub inputs: Vec<ValueId>,
    /// What the caller gets, in the model's order.
    pub outputs: Vec<ValueId>,
    /// Names of the outputs at the interface: of each or of none (then their values' names count). They may repeat a
    /// value's name, where an input or constant is an output too, and each other.
    pub output_names: Vec<Arc<str>>,
    /// Files that constants lie in.
    pub files: Vec<FileRef>,
    /// What bytes of files hash to, where the model says it: of whole constants, for whoever reads them to check.
    pub digests: Vec<(ByteRange, Digest)>,
    /// The constants that the model names, in its order: what weights of other files can take the place of.
    pub initializers: Vec<Initializer>,
    /// The symbols of the inputs' dimensions with their bounds.
    pub symbols: Scope,
    /// Dimensions assumed equal; filled by [`Graph::infer`], checked by [`Graph::bind`].
    pub constraints: Vec<Constraint>,
    /// Dimensions assumed not to be 1; filled by [`Graph::infer`], refused by [`Graph::pin`] where they may be.
    pub not_one: Vec<NotOne>,
    /// Symbols that follow from elements of inputs, which whoever runs the graph finds before each run.
    pub prologue: Vec<Prologue>,
    /// Inputs whose elements were known when the graph was built, by name: it is right for these elements alone, and
    /// reads them as constants.
    pub specialised: Vec<(Arc<str>, Tensor)>,
    /// Outputs whose size depends on data.
    pub extents: Vec<Extent>,
}

impl Graph {
    /// The value with that index.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0 as usize]
    }

    /// Name of an output at the interface, by its place in [`Graph::outputs`].
    pub fn output_name(&self, index: usize) -> &Arc<str> {
        self.output_names.get(index).unwrap_or_else(|| &self.value(self.outputs[index]).name)
    }

    /// The node with that index.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }
}
