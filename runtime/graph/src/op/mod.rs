//! The operators: few families, each with its shape rule and its reference evaluation beside it.
//!
//! Operands that only say a shape or a position (the target of a reshape, the starts of a slice) are ordinary inputs,
//! as in ONNX; inference reads their contents, and when they are known the operand is no longer needed to run.

use bayplan_expr::{Expr, Scope};

use crate::dims;
use crate::rule::{Rule, ShapeError};

mod binary;
mod bit_cast;
mod branch;
mod cast;
mod concat;
mod conv;
mod cumulate;
mod dequantize;
mod elementwise;
mod expand;
mod fill;
mod gather;
mod gather_elements;
mod gather_nd;
mod matmul;
mod normalize;
mod pad;
mod pool;
mod range;
mod rank;
mod reduce;
mod scatter;
mod select;
mod shape;
mod slice;
mod softmax;
mod split;
mod suppress;
mod transpose;
mod unary;
mod unique;
mod view;
mod window;

pub(crate) use branch::truth;
pub use elementwise::{BinaryOp, FloatBinary, FloatUnary, IntBinary, IntUnary, UnaryOp};
pub use window::AxisWindow;

impl Op {
    /// What the operator says about itself. The only place that tells all operators apart.
    pub fn rule(&self) -> Box<dyn Rule + '_> {
        match self {
            Self::Unary(op) => Box::new(*op),
            Self::Binary(op) => Box::new(*op),
            Self::Select => Box::new(select::Select),
            Self::Cast(to) => Box::new(cast::Cast(*to)),
            Self::BitCast(to) => Box::new(bit_cast::BitCast(*to)),
            Self::Dequantize(format) => Box::new(dequantize::Dequantize(*format)),
            Self::MatMul => Box::new(matmul::MatMul),
            Self::Conv(window, groups) => Box::new(conv::Conv { window, groups: *groups }),
            Self::Pool(kind, window) => Box::new(pool::Pool { kind: *kind, window }),
            Self::Reduce(op, keep) => Box::new(reduce::Reduce { op: *op, keep: *keep }),
            Self::Softmax { axis, log } => Box::new(softmax::Softmax { axis: *axis, log: *log }),
            Self::Normalize { axis, epsilon, center } => {
                Box::new(normalize::Normalize { axis: *axis, epsilon: epsilon.get(), center: *center })
            }
            Self::View(op) => Box::new(*op),
            Self::Transpose(perm) => Box::new(transpose::Transpose(perm)),
            Self::Expand => Box::new(expand::Expand),
            Self::Slice => Box::new(slice::Slice),
            Self::Split { axis } => Box::new(split::Split { axis: *axis }),
            Self::Concat { axis } => Box::new(concat::Concat { axis: *axis }),
            Self::Pad(mode) => Box::new(*mode),
            Self::Gather { axis } => Box::new(gather::Gather { axis: *axis }),
            Self::GatherNd { batch_dims } => Box::new(gather_nd::GatherNd { batch_dims: *batch_dims }),
            Self::GatherElements { axis } => Box::new(gather_elements::GatherElements { axis: *axis }),
            Self::ScatterElements { axis, join } => {
                Box::new(scatter::ScatterElements { axis: *axis, join: *join })
            }
            Self::ScatterNd { join } => Box::new(scatter::ScatterNd { join: *join }),
            Self::Cumulate { op, axis, exclusive, reverse } => Box::new(cumulate::Cumulate {
                op: *op,
                axis: *axis,
                exclusive: *exclusive,
                reverse: *reverse,
            }),
            Self::NonMaxSuppression { center } => Box::new(suppress::NonMaxSuppression { center: *center }),
            Self::Unique { axis, sorted } => Box::new(unique::Unique { axis: *axis, sorted: *sorted }),
            Self::Rank { axis, largest } => Box::new(rank::Rank { axis: *axis, largest: *largest }),
            Self::Shape { start, end } => Box::new(shape::Shape { start: *start, end: *end }),
            Self::Range => Box::new(range::Range),
            Self::Fill => Box::new(fill::Fill),
            Self::If { .. } => Box::new(branch::If),
        }
    }

    /// Name for people, e.g. `MatMul`.
    pub fn name(&self) -> &'static str {
        self.rule().name()
    }
}

/// Refuses dimensions that are proved negative.
fn check_dims(scope: &Scope, shape: &[Expr]) -> Result<(), ShapeError> {
    match shape.iter().find(|dim| dims::lt(scope, dim, &dims::int(0))) {
        Some(dim) => Err(ShapeError::Invalid(format!("a dimension would be {dim}, which is negative"))),
        None => Ok(()),
    }
}

/// One operator with its attributes. Families, not names: `Relu`, `Exp` and `Neg` are one variant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Elementwise, one operand.
    Unary(UnaryOp),
    /// Elementwise, two operands of one type, broadcast against each other as in numpy.
    Binary(BinaryOp),
    /// `condition ? a : b`, elementwise with broadcasting; operands `condition` (bool), `a`, `b`.
    Select,
    /// Elementwise conversion to a type.
    Cast(crate::DType),
    /// The same bits as elements of another type of that width.
    BitCast(crate::DType),
    /// The elements of quantised blocks as f32; operand u8, whose last dimension holds whole blocks of a row.
    Dequantize(crate::BlockFormat),
    /// Matrix product with numpy's batching rule; operands `a` [.., m, k], `b` [.., k, n].
    MatMul,
    /// Convolution without bias; operands `x` [n, c, spatial..], `w` [m, c / groups, kernel..].
    Conv(Window, Groups),
    /// Maximum, mean, sum or the maximum's place over a window; operand `x` [n, c, spatial..].
    Pool(PoolKind, Window),
    /// Reduction over axes; operands `x`, and `axes` (`i64[k]`, known contents).
    Reduce(ReduceOp, Keep),
    /// Softmax along one axis (`log`: its logarithm).
    Softmax {
        /// The axis, counted from the front (resolved by the importer if the rank is known) or negative.
        axis: i64,
        /// Whether the logarithm is wanted.
        log: bool,
    },
    /// `(x - mean) / sqrt(variance + epsilon)` over all axes from `axis` on; scale and shift are separate nodes.
    Normalize {
        /// First of the axes that are normalised together; may be negative.
        axis: i64,
        /// Added to the variance.
        epsilon: F32Bits,
        /// Whether the mean is subtracted (layer normalisation) or not (RMS normalisation).
        center: bool,
    },
    /// The same elements in another shape: no work at run time.
    View(ViewOp),
    /// Permutes the axes: output axis `i` is input axis `perm[i]`.
    Transpose(Vec<usize>),
    /// Broadcasts to a shape (bidirectionally, as ONNX Expand); operands `x`, `shape`.
    Expand,
    /// Operands `x`, `starts`, `ends`, `axes`, `steps` (each `i64[k]`, ONNX's clamping rules).
    Slice,
    /// Cuts one axis into as many pieces as there are outputs; operands `x`, `sizes` (`i64[outputs]`).
    Split {
        /// The axis; may be negative.
        axis: i64,
    },
    /// Joins along an axis (may be negative).
    Concat {
        /// The axis; may be negative.
        axis: i64,
    },
    /// Operands `x`, `pads` (`i64[2 * rank]`: begins, then ends), `value` (scalar of x's type).
    Pad(PadMode),
    /// Selects along an axis by index; operands `x`, `indices` (i32 or i64; negative counts from the end).
    Gather {
        /// The axis; may be negative.
        axis: i64,
    },
    /// Selects by index tuples (ONNX GatherND); operands `x`, `indices`.
    GatherNd {
        /// Leading dimensions that `x` and `indices` share.
        batch_dims: usize,
    },
    /// Selects along an axis by an index for each element; operands `x`, `indices` (of x's rank, beside the axis no larger
    /// than x; negative counts from the end).
    GatherElements {
        /// The axis; may be negative.
        axis: i64,
    },
    /// Puts updates along an axis where an index for each says; operands `x`, `indices`, `updates` (both of one shape, of x's
    /// rank, beside the axis no larger than x; negative counts from the end, and outside puts nothing).
    ScatterElements {
        /// The axis; may be negative.
        axis: i64,
        /// What joins an update to what is there (`Add`, `Mul`, `Max`, `Min`); without it, it takes its place, and no two
        /// may have the same.
        join: Option<BinaryOp>,
    },
    /// Puts updates where index tuples say (ONNX ScatterND); operands `x`, `indices`, `updates`.
    ScatterNd {
        /// As of [`Op::ScatterElements`].
        join: Option<BinaryOp>,
    },
    /// Running results along an axis: each joins all elements up to its own.
    Cumulate {
        /// `Add` or `Mul`.
        op: BinaryOp,
        /// The axis; may be negative.
        axis: i64,
        /// Whether an element's own result leaves it out.
        exclusive: bool,
        /// Whether results run from the last element to the first.
        reverse: bool,
    },
    /// Boxes that do not overlap a better one, class by class. Operands `boxes` (f32 `[batches, boxes, 4]`), `scores` (f32
    /// `[batches, classes, boxes]`), the most boxes of a class (i64), the greatest overlap and the score to exceed (f32, one
    /// element each). Outputs: batch, class and box of each (i64 `[upper bound, 3]`, zeros after the last), and how many
    /// there are (i64 `[1]`).
    NonMaxSuppression {
        /// Whether boxes are centre, width and height, and not two corners.
        center: bool,
    },
    /// Distinct elements, or slices along an axis. Operand `x`. Outputs, all i64: where each first occurs, then, for each of
    /// x's, its place among the distinct; how often each occurs; how many there are (`[1]`). The first and the third have
    /// as many elements as x's axis, zeros after the last.
    Unique {
        /// The axis (may be negative); without one all elements are looked at in a row.
        axis: Option<i64>,
        /// Whether they are in ascending order, and not in that of their first occurrence.
        sorted: bool,
    },
    /// For each element its place in the order of its line along an axis, counted from 0, as i32. Of equal ones the first comes
    /// first; a NaN is larger than any number.
    Rank {
        /// The axis; may be negative.
        axis: i64,
        /// Whether the largest comes first.
        largest: bool,
    },
    /// The dimensions `start..end` of the operand's shape as i64; never runs.
    Shape {
        /// First dimension; negative counts from the end.
        start: i64,
        /// One past the last; `None` is the rank.
        end: Option<i64>,
    },
    /// `start, start + delta, …` below `limit`; operands `start`, `limit`, `delta` (scalars of one type).
    Range,
    /// A tensor filled with one value; operands `shape` (`i64[rank]`), `value` (one element).
    Fill,
    /// The results of one of two bodies; operands `condition` (bool, one element), the results of the then body, as many
    /// of the else body. The bodies are the nodes before it: first `then_nodes`, then `else_nodes`, then this one. Only
    /// the body that is taken runs; its nodes may read what lies before it, and only this node reads what they make.
    If {
        /// Nodes of the then body, those of Ifs within it included.
        then_nodes: u32,
        /// Nodes of the else body.
        else_nodes: u32,
    },
}

/// Reductions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "ONNX's names")]
pub enum ReduceOp {
    Sum,
    Mean,
    Max,
    Min,
    Prod,
}

/// What a reduction leaves of the axes it reduces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keep {
    /// Dimensions of size 1.
    Dims,
    /// Nothing.
    None,
}

/// Kinds of pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// The maximum.
    Max,
    /// The mean; `count_pad` divides by the whole window also where it hangs over the edge.
    Average {
        /// Whether padding counts as elements.
        count_pad: bool,
    },
    /// The sum.
    Sum,
    /// Where the first maximum lies: its index in the image or volume, the last axis fastest, as i32.
    Index,
}

impl PoolKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Max,
        Self::Average { count_pad: false },
        Self::Average { count_pad: true },
        Self::Sum,
        Self::Index,
    ];

    /// The type of the results over elements of that type.
    pub const fn result(self, dtype: crate::DType) -> crate::DType {
        match self {
            Self::Index => crate::DType::I32,
            _ => dtype,
        }
    }
}

/// A sliding window over the spatial axes. Every list has one entry per spatial axis, pads two (begins, then ends).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Extent of the window in taps.
    pub kernel: Vec<usize>,
    /// Step from one output to the next.
    pub strides: Vec<usize>,
    /// Distance between two taps.
    pub dilations: Vec<usize>,
    /// How the input is padded.
    pub pads: Pads,
    /// Whether the number of outputs is rounded up (pooling only).
    pub ceil: bool,
}

/// Padding of a window's input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pads {
    /// Elements before (first half) and after (second half) each spatial axis.
    Explicit(Vec<i64>),
    /// As much as makes `ceil(input / stride)` outputs, the odd one after (`upper`) or before.
    Same {
        /// Whether the odd element goes after.
        upper: bool,
    },
}

/// Number of groups of a convolution.
pub type Groups = usize;

/// Views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ViewOp {
    /// Operands `x`, `shape` (`i64[rank]`; -1 infers one dimension; 0 copies a dimension unless `allow_zero`).
    Reshape {
        /// Whether 0 means a dimension of size 0.
        allow_zero: bool,
    },
    /// Operands `x`, and optionally `axes` (`i64[k]`); without axes every dimension of size 1 goes.
    Squeeze,
    /// Operands `x`, `axes` (`i64[k]`), counted in the result.
    Unsqueeze,
    /// To two dimensions, split before `axis` (may be negative).
    Flatten(i64),
}

/// How padding is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PadMode {
    /// With a value.
    Constant,
    /// With the mirror image, without repeating the edge.
    Reflect,
    /// With the edge's element.
    Edge,
    /// From the other end.
    Wrap,
}

/// An `f32` attribute, compared by its bits so that operators can be compared and hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct F32Bits(u32);

impl F32Bits {
    /// Wraps a value.
    pub const fn new(value: f32) -> Self {
        Self(value.to_bits())
    }

    /// The value.
    pub const fn get(self) -> f32 {
        f32::from_bits(self.0)
    }
}
