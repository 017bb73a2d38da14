//! What every operator says about itself: its operands, its shape rule and its reference evaluation.

use core::fmt;
use std::sync::Arc;

use bayplan_expr::{Expr, Scope};

use crate::tensor::{Tensor, TensorError};
use crate::{DType, TensorType, dims};

/// Longest list of integers whose elements are followed as expressions. Shapes are far shorter; the limit keeps
/// index tables out of shape arithmetic.
pub const MAX_CONTENTS: usize = 1024;

/// Highest rank of a tensor.
pub const MAX_RANK: usize = 16;

/// An operator: what it accepts, its shape rule, its reference evaluation.
pub trait Rule {
    /// Name for people, e.g. `MatMul`.
    fn name(&self) -> &'static str;

    /// Operands and result by type; what [`crate::verify`] checks.
    fn signature(&self) -> Signature;

    /// The types of the outputs, and their elements where they are known without running.
    ///
    /// # Errors
    /// [`ShapeError`] if the operands do not fit the operator.
    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError>;

    /// Why no kernel computes it, if none does: it is evaluated on the host, in a pause of the device.
    fn on_host(&self) -> Option<&'static str> {
        None
    }

    /// Computes the outputs, whose types (`outputs`) were inferred from these inputs.
    ///
    /// # Errors
    /// [`EvalError`] if a value is outside what the operator accepts.
    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError>;
}

/// Element type and concrete shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostType {
    /// Element type.
    pub dtype: DType,
    /// Dimensions in elements.
    pub shape: Vec<usize>,
}

/// Which element types an operand may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any type.
    Any,
    /// The operator's common type `T`, drawn from a set.
    Same(Set),
    /// This type.
    Only(DType),
    /// A 32- or 64-bit index.
    Index,
}

/// Sets of element types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// All.
    Any,
    /// Floating-point.
    Float,
    /// Floating-point and integers.
    Number,
    /// Integers.
    Int,
    /// Booleans and integers: what bits are told apart of.
    Bits,
}

impl Set {
    /// Whether `dtype` is in the set.
    pub const fn contains(self, dtype: DType) -> bool {
        match self {
            Self::Any => true,
            Self::Float => dtype.is_float(),
            Self::Number => dtype.is_float() || dtype.is_int(),
            Self::Int => dtype.is_int(),
            Self::Bits => dtype.is_int() || matches!(dtype, DType::Bool),
        }
    }

    /// For messages.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Any => "any type",
            Self::Float => "a floating-point type",
            Self::Number => "a number",
            Self::Int => "an integer",
            Self::Bits => "bool or an integer",
        }
    }
}

/// The type of the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The operator's common type `T`.
    Same,
    /// This type.
    Only(DType),
}

/// Operands and results of an operator by type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Operands in order.
    pub operands: &'static [Kind],
    /// How many of them may be left out at the end.
    pub optional: usize,
    /// Whether the last operand may be repeated any number of times.
    pub variadic: bool,
    /// Type of the outputs.
    pub result: Output,
    /// Whether there may be several outputs.
    pub many_outputs: bool,
}

impl Signature {
    /// Exactly these operands and one output.
    pub const fn new(operands: &'static [Kind], result: Output) -> Self {
        Self { operands, optional: 0, variadic: false, result, many_outputs: false }
    }

    /// The type of the outputs where the operator's common type is `same`.
    pub const fn result_of(&self, same: DType) -> DType {
        match self.result {
            Output::Same => same,
            Output::Only(dtype) => dtype,
        }
    }
}

/// What inference knows of one operand.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// Its type.
    pub ty: &'a TensorType,
    /// Its elements as expressions, if known.
    pub contents: Option<&'a [Expr]>,
    /// All of it, if it is a small constant.
    pub tensor: Option<&'a Tensor>,
}

/// What inference finds out about one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inferred {
    /// Its type.
    pub ty: TensorType,
    /// Its elements as expressions, if known; as many as the shape says.
    pub contents: Option<Vec<Expr>>,
}

impl Inferred {
    /// An output of which only the type is known.
    pub const fn new(dtype: DType, shape: Vec<Expr>) -> Self {
        Self { ty: TensorType { dtype, shape }, contents: None }
    }

    /// The same with its elements.
    #[must_use]
    pub fn with(mut self, contents: Option<Vec<Expr>>) -> Self {
        self.contents = contents.filter(|c| c.len() <= MAX_CONTENTS && self.ty.shape.len() <= 1);
        self
    }
}

/// Why operands do not fit an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// Wrong number of operands.
    Operands {
        /// What the operator takes.
        expected: &'static str,
        /// How many were given.
        actual: usize,
    },
    /// An operand of a type that the operator does not take.
    Type {
        /// Which operand.
        operand: usize,
        /// Its type.
        actual: DType,
        /// What the operator takes.
        expected: String,
    },
    /// An operand of a rank that the operator does not take.
    Rank {
        /// Which operand.
        operand: usize,
        /// Its rank.
        actual: usize,
        /// What the operator takes.
        expected: String,
    },
    /// An axis outside the rank.
    Axis {
        /// The axis.
        axis: i64,
        /// The rank.
        rank: usize,
    },
    /// Two dimensions that must be equal and are not.
    Mismatch {
        /// What they are.
        what: &'static str,
        /// One.
        a: Expr,
        /// The other.
        b: Expr,
    },
    /// An operand that says a shape or position, and whose elements depend on data.
    Unknown {
        /// Which operand.
        operand: usize,
        /// What it says.
        what: &'static str,
    },
    /// Anything else.
    Invalid(String),
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operands { expected, actual } => {
                write!(f, "it takes {expected}, but has {actual} operands")
            }
            Self::Type { operand, actual, expected } => {
                write!(f, "operand {operand} is {actual}, but {expected} is needed; convert it with Cast")
            }
            Self::Rank { operand, actual, expected } => {
                write!(f, "operand {operand} has rank {actual}, but {expected} is needed")
            }
            Self::Axis { axis, rank } => {
                write!(f, "axis {axis} does not exist in a tensor of rank {rank}; ")?;
                match *rank {
                    0 => f.write_str("a scalar has no axes"),
                    rank => write!(f, "use -{rank} to {}", rank - 1),
                }
            }
            Self::Mismatch { what, a, b } => write!(f, "{what} must be equal, but are {a} and {b}"),
            Self::Unknown { operand, what } => write!(
                f,
                "operand {operand} ({what}) depends on data, but must follow from constants and input shapes; \
                 give the symbolic dimensions a value or simplify the model"
            ),
            Self::Invalid(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for ShapeError {}

/// Why a reference evaluation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvalError {
    /// The operands do not fit the operator.
    Shape(ShapeError),
    /// A tensor could not be made.
    Tensor(TensorError),
    /// A value is outside what the operator accepts.
    Value(String),
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(e) => e.fmt(f),
            Self::Tensor(e) => e.fmt(f),
            Self::Value(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for EvalError {}

impl From<ShapeError> for EvalError {
    fn from(e: ShapeError) -> Self {
        Self::Shape(e)
    }
}

impl From<TensorError> for EvalError {
    fn from(e: TensorError) -> Self {
        Self::Tensor(e)
    }
}

/// What a shape rule sees: the operands, the number of outputs, and the bounds of symbols.
pub struct Context<'a> {
    operands: &'a [Operand<'a>],
    outputs: usize,
    scope: &'a Scope,
    /// Pairs of dimensions assumed equal, because the model only runs if they are (or, where the flag says that they
    /// broadcast, if one of them is 1).
    pub(crate) assumed: Vec<(Expr, Expr, bool)>,
    /// Dimensions assumed not to be 1.
    pub(crate) not_one: Vec<Expr>,
    /// Names of the outputs, where the node is part of a graph.
    names: Vec<Arc<str>>,
}

impl<'a> Context<'a> {
    /// A context over these operands.
    pub const fn new(operands: &'a [Operand<'a>], outputs: usize, scope: &'a Scope) -> Self {
        Self { operands, outputs, scope, assumed: Vec::new(), not_one: Vec::new(), names: Vec::new() }
    }

    /// The same with the names of the outputs.
    pub(crate) fn named(self, names: Vec<Arc<str>>) -> Self {
        Self { names, ..self }
    }

    /// A symbol for a dimension of which nothing is known.
    pub(crate) fn fresh(&self, output: usize, axis: usize) -> Expr {
        let name = self.names.get(output).map_or("result", |name| name);
        Expr::symbol(&format!("{name}_dim_{axis}"))
    }

    /// Number of operands.
    pub const fn len(&self) -> usize {
        self.operands.len()
    }

    /// Whether there is no operand.
    pub const fn is_empty(&self) -> bool {
        self.operands.is_empty()
    }

    /// Number of outputs.
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// The bounds of symbols.
    pub const fn scope(&self) -> &'a Scope {
        self.scope
    }

    /// Checks the number of operands.
    ///
    /// # Errors
    /// If it is not within the range.
    pub fn arity(&self, least: usize, most: usize, expected: &'static str) -> Result<(), ShapeError> {
        if (least..=most).contains(&self.len()) {
            Ok(())
        } else {
            Err(ShapeError::Operands { expected, actual: self.len() })
        }
    }

    /// Element type of an operand (which [`Self::arity`] has checked to be there).
    pub fn dtype(&self, operand: usize) -> DType {
        self.operands[operand].ty.dtype
    }

    /// Dimensions of an operand.
    pub fn shape(&self, operand: usize) -> &'a [Expr] {
        &self.operands[operand].ty.shape
    }

    /// Rank of an operand.
    pub fn rank(&self, operand: usize) -> usize {
        self.shape(operand).len()
    }

    /// Elements of an operand as expressions, if known.
    pub fn contents(&self, operand: usize) -> Option<&'a [Expr]> {
        self.operands[operand].contents
    }

    /// An operand whose elements are all known as numbers.
    pub fn tensor(&self, operand: usize) -> Option<&'a Tensor> {
        self.operands[operand].tensor
    }

    /// Elements of an operand as expressions.
    ///
    /// # Errors
    /// If they are not known.
    pub fn known(&self, operand: usize, what: &'static str) -> Result<&'a [Expr], ShapeError> {
        self.contents(operand).ok_or(ShapeError::Unknown { operand, what })
    }

    /// Elements of an operand as numbers.
    ///
    /// # Errors
    /// If they are not known or contain symbols.
    pub fn known_ints(&self, operand: usize, what: &'static str) -> Result<Vec<i64>, ShapeError> {
        let ints = self.known(operand, what)?.iter().map(dims::as_int).collect::<Option<_>>();
        ints.ok_or(ShapeError::Unknown { operand, what })
    }

    /// Checks that all operands from `first` to `last` have one type of `set`, and gives it.
    ///
    /// # Errors
    /// If not.
    pub fn same(&self, first: usize, last: usize, set: Set) -> Result<DType, ShapeError> {
        let dtype = self.dtype(first);
        if !set.contains(dtype) {
            return Err(ShapeError::Type {
                operand: first,
                actual: dtype,
                expected: set.describe().to_owned(),
            });
        }
        for operand in first + 1..=last {
            self.only(operand, dtype)?;
        }
        Ok(dtype)
    }

    /// Checks the type of an operand.
    ///
    /// # Errors
    /// If it has another.
    pub fn only(&self, operand: usize, dtype: DType) -> Result<(), ShapeError> {
        let actual = self.dtype(operand);
        if actual == dtype {
            Ok(())
        } else {
            Err(ShapeError::Type { operand, actual, expected: dtype.name().to_owned() })
        }
    }

    /// Checks that an operand holds indices.
    ///
    /// # Errors
    /// If it holds neither i32 nor i64.
    pub fn index(&self, operand: usize) -> Result<(), ShapeError> {
        match self.dtype(operand) {
            DType::I32 | DType::I64 => Ok(()),
            actual => Err(ShapeError::Type { operand, actual, expected: "i32 or i64".to_owned() }),
        }
    }

    /// Two dimensions that must be equal: the one that says more. Where neither is proved, equality is assumed and
    /// recorded, to be checked when the symbols get values.
    ///
    /// # Errors
    /// If they are proved different.
    pub fn unify(&mut self, what: &'static str, a: &Expr, b: &Expr) -> Result<Expr, ShapeError> {
        self.assume(what, a, b, false)
    }

    fn assume(
        &mut self,
        what: &'static str,
        a: &Expr,
        b: &Expr,
        broadcast: bool,
    ) -> Result<Expr, ShapeError> {
        if dims::equal(self.scope, a, b) {
            return Ok(if dims::as_int(b).is_some() { b.clone() } else { a.clone() });
        }
        if dims::differ(self.scope, a, b) {
            return Err(ShapeError::Mismatch { what, a: a.clone(), b: b.clone() });
        }
        self.assumed.push((a.clone(), b.clone(), broadcast));
        Ok(if dims::as_int(b).is_some() { b.clone() } else { a.clone() })
    }

    /// The shape to which two shapes broadcast (numpy's rule).
    ///
    /// Of two symbolic dimensions the first stands for both: should it turn out to be 1 where the other is not,
    /// binding infers the right shape.
    ///
    /// # Errors
    /// If two dimensions are proved different and neither is 1.
    pub fn broadcast(&mut self, a: &[Expr], b: &[Expr]) -> Result<Vec<Expr>, ShapeError> {
        let rank = a.len().max(b.len());
        let one = dims::int(1);
        let at = |shape: &'_ [Expr], axis: usize| {
            (axis + shape.len()).checked_sub(rank).map_or_else(|| one.clone(), |i| shape[i].clone())
        };
        (0..rank)
            .map(|axis| {
                let (x, y) = (at(a, axis), at(b, axis));
                self.broadcast_dim(&x, &y)
            })
            .collect()
    }
}

impl Context<'_> {
    /// One dimension of [`Self::broadcast`].
    fn broadcast_dim(&mut self, x: &Expr, y: &Expr) -> Result<Expr, ShapeError> {
        let (scope, one) = (self.scope, dims::int(1));
        if x == y || dims::equal(scope, x, &one) {
            return Ok(y.clone());
        }
        if dims::equal(scope, y, &one) {
            return Ok(x.clone());
        }
        if dims::differ(scope, x, y) {
            // Then one of them is 1, if the model runs at all.
            for (a, b) in [(x, y), (y, x)] {
                if !dims::differ(scope, a, &one) {
                    self.assumed.push((a.clone(), one, false));
                    return Ok(b.clone());
                }
            }
        }
        self.assume("broadcast dimensions", x, y, true)
    }
}

/// Shape rule of what works along an axis and keeps its one floating-point operand's type and shape.
///
/// # Errors
/// If there is not one such operand, or it has no such axis.
pub(crate) fn float_along(ctx: &Context<'_>, axis: i64) -> Result<Vec<Inferred>, ShapeError> {
    ctx.arity(1, 1, "one operand")?;
    let dtype = ctx.same(0, 0, Set::Float)?;
    self::axis(axis, ctx.rank(0))?;
    Ok(vec![Inferred::new(dtype, ctx.shape(0).to_vec())])
}

/// An axis counted from the front.
///
/// # Errors
/// If it lies outside the rank.
pub fn axis(axis: i64, rank: usize) -> Result<usize, ShapeError> {
    let from_front = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    from_front
        .and_then(|a| usize::try_from(a).ok())
        .filter(|&a| a < rank)
        .ok_or(ShapeError::Axis { axis, rank })
}

/// Axes counted from the front, each at most once.
///
/// # Errors
/// If one lies outside the rank or appears twice.
pub fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, ShapeError> {
    let mut out = Vec::with_capacity(list.len().min(MAX_RANK));
    for &a in list {
        let a = axis(a, rank)?;
        if out.contains(&a) {
            return Err(ShapeError::Invalid(format!("axis {a} is named twice; name each once")));
        }
        out.push(a);
    }
    Ok(out)
}
