//! Device work over concrete shapes.
//!
//! All tensors are contiguous and row-major unless a spec carries strides. Sizes, strides and offsets count elements.
//! Strides of 0 broadcast.

use core::ops::Range;

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, PoolKind, ReduceOp, UnaryOp};

/// One dispatch's worth of work. The order of operands is given at each variant.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    /// Operands as in the chain.
    Elementwise(ElementwiseSpec),
    /// Operands: a, b, then those of the epilogue from its operand 1 on.
    MatMul(MatMulSpec),
    /// Operands: x, w, then those of the epilogue from its operand 1 on.
    Conv(ConvSpec),
    /// Operand: x.
    Pool(PoolSpec),
    /// Operand: x, then those of the epilogue from its operand 1 on.
    Reduce(ReduceSpec),
    /// Operand: x.
    Softmax(SoftmaxSpec),
    /// Operand: x, then those of the epilogue from its operand 1 on.
    Normalize(NormalizeSpec),
    /// Operand: x. One piece of a transpose, expand, slice, concat, pad or any other movement.
    Copy(CopySpec),
    /// Operands: x, indices.
    Gather(GatherSpec),
    /// Operands: x, indices.
    GatherNd(GatherNdSpec),
    /// Operands: start, delta (one element each).
    Range(RangeSpec),
}

/// A scalar program applied to every element: what elementwise fusion makes, and what a kernel applies to its result.
///
/// As an epilogue, operand 0 stands for the value the kernel has just computed and has no binding.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// What is read at each element.
    pub operands: Vec<Operand>,
    /// In order; a step reads operands, earlier steps and constants. Empty: operand 0 is the result.
    pub steps: Vec<Step>,
    /// Element type of the result.
    pub result: DType,
    /// Where the results go in the output's window; `None`: one after the other, from its first element on.
    pub layout: Option<Layout>,
}

/// Where the elements of a result go. No two of them go to one place, and nothing between them is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The place of the first, in elements from the window's beginning.
    pub base: u64,
    /// The result's dimensions, or pieces of them: `[4, 8, 3]` of `[32, 3]`.
    pub shape: Vec<u64>,
    /// One stride per dimension of that shape.
    pub strides: Vec<u64>,
}

/// An operand of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    /// Element type.
    pub dtype: DType,
    /// Its first element, counted from the beginning of its window: not 0 where it begins at no place that windows can.
    pub base: u64,
    /// One stride per dimension of the chain's shape; 0 broadcasts along it.
    pub strides: Vec<u64>,
}

/// One step of a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What it computes.
    pub op: StepOp,
    /// Its arguments: one for unary and cast, two for binary, three for select (condition, a, b).
    pub args: Vec<Arg>,
    /// Element type of its result.
    pub dtype: DType,
}

/// Operations of a chain, with the semantics of the operator of that name in `bayplan-graph`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepOp {
    /// One argument.
    Unary(UnaryOp),
    /// Two arguments of one type.
    Binary(BinaryOp),
    /// Condition, a, b.
    Select,
    /// One argument, converted to the step's type.
    Cast,
}

/// An argument of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arg {
    /// An operand, by number.
    Operand(u32),
    /// The result of an earlier step, by number.
    Step(u32),
    /// A constant with the bits of that type (an `f32`'s bits in the low word). Travels in the parameters.
    Const(DType, u64),
}

/// `out[i] = chain(operands[i])` over `shape`; the result is contiguous unless the chain has a layout, which then has
/// exactly these dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct ElementwiseSpec {
    /// The result's shape.
    pub shape: Vec<u64>,
    /// The program.
    pub chain: Chain,
    /// The operand that the result overwrites: same shape, contiguous, as wide per element.
    pub in_place: Option<u32>,
}

/// `out[batch, m, n] = epilogue(Σ_k a[batch, m, k] · b[batch, k, n])`, f32.
#[derive(Clone, Debug, PartialEq)]
pub struct MatMulSpec {
    /// Batch dimensions (possibly none).
    pub batch: Vec<u64>,
    /// Rows of the result.
    pub m: u64,
    /// Columns of the result.
    pub n: u64,
    /// Length of the inner products.
    pub k: u64,
    /// Strides of a: one per batch dimension, then m, then k.
    pub a_strides: Vec<u64>,
    /// Strides of b: one per batch dimension, then k, then n.
    pub b_strides: Vec<u64>,
    /// Applied to each element; shape is batch.., m, n.
    pub epilogue: Chain,
}

/// A 2-d convolution, f32: `out[n, m, oy, ox] = epilogue(Σ_{c, ky, kx} x[…] · w[…])`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvSpec {
    /// Images.
    pub batch: u64,
    /// Input channels, all groups together.
    pub channels: u64,
    /// Output channels, all groups together.
    pub filters: u64,
    /// Groups.
    pub groups: u64,
    /// Input height and width.
    pub input: [u64; 2],
    /// Output height and width.
    pub output: [u64; 2],
    /// Taps, vertically and horizontally.
    pub kernel: [u64; 2],
    /// Steps.
    pub strides: [u64; 2],
    /// Distances between taps.
    pub dilations: [u64; 2],
    /// Padding above and to the left (what is missing below and to the right reads as 0 too).
    pub pads: [u64; 2],
    /// Whether `w` was rearranged as [`ConvSpec::packing`] says; otherwise it is [filters, channels/groups, ky, kx].
    pub packed: bool,
    /// Applied to each element; shape is batch, filters, oy, ox.
    pub epilogue: Chain,
}

/// 2-d pooling of `planes` planes (batch × channels), f32.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSpec {
    /// Maximum or mean.
    pub kind: PoolKind,
    /// Planes.
    pub planes: u64,
    /// Input height and width.
    pub input: [u64; 2],
    /// Output height and width.
    pub output: [u64; 2],
    /// Taps.
    pub kernel: [u64; 2],
    /// Steps.
    pub strides: [u64; 2],
    /// Distances between taps.
    pub dilations: [u64; 2],
    /// Padding above and to the left.
    pub pads: [u64; 2],
    /// Padding below and to the right (counted by a mean that counts padding).
    pub pads_end: [u64; 2],
}

/// `out[outer, inner] = epilogue(reduce over len of x[outer, len, inner])`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReduceSpec {
    /// Which reduction.
    pub op: ReduceOp,
    /// Element type of x.
    pub dtype: DType,
    /// Rows.
    pub outer: u64,
    /// Elements reduced into one.
    pub len: u64,
    /// Columns.
    pub inner: u64,
    /// Applied to each element; shape is outer, inner.
    pub epilogue: Chain,
}

/// Softmax over `len` of x[outer, len, inner], f32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoftmaxSpec {
    /// Rows.
    pub outer: u64,
    /// Elements normalised together.
    pub len: u64,
    /// Columns.
    pub inner: u64,
    /// Whether the logarithm is wanted.
    pub log: bool,
    /// Whether the result overwrites x.
    pub in_place: bool,
}

/// `epilogue((x - mean) / sqrt(variance + epsilon))` over the `len` elements of each of `rows` rows, f32.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalizeSpec {
    /// Rows.
    pub rows: u64,
    /// Elements per row.
    pub len: u64,
    /// Added to the variance (or mean square).
    pub epsilon: f32,
    /// Whether the mean is subtracted.
    pub center: bool,
    /// Applied to each element; shape is rows, len.
    pub epilogue: Chain,
    /// Whether the result overwrites x.
    pub in_place: bool,
}

/// `out[out_base + i·out_strides] = x[x_base + i·x_strides]` for every index `i` of `shape`; words are copied as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySpec {
    /// Extent of the movement (at most 8 dimensions after merging).
    pub shape: Vec<u64>,
    /// Element type (only its width matters).
    pub dtype: DType,
    /// First element read.
    pub x_base: u64,
    /// Strides of x; may be negative (a reversed slice).
    pub x_strides: Vec<i64>,
    /// First element written.
    pub out_base: u64,
    /// Strides of the result.
    pub out_strides: Vec<u64>,
}

/// `out[outer, j, inner] = table[outer, indices[j], inner]`; negative indices count from the end of the axis.
///
/// x holds the rows `rows` of the table, as [outer, rows, inner]: all of them, or a window where the table is larger than a
/// device binds at once. The windows of a table are gathered one after the other into one result: the first with
/// [`Others::Zero`], the others with [`Others::Keep`], in any order of rows. An index beyond the axis, on either side, is in no
/// window, also where it does not fit 32 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatherSpec {
    /// Element type of x.
    pub dtype: DType,
    /// Element type of the indices.
    pub index: DType,
    /// Product of the dimensions before the axis.
    pub outer: u64,
    /// The axis's dimension in the whole table, from whose end negative indices count.
    pub axis: u64,
    /// Number of indices.
    pub count: u64,
    /// Product of the dimensions after the axis.
    pub inner: u64,
    /// The rows of the axis that x holds, within `0..axis`; equal to it where x is the whole table.
    pub rows: Range<u64>,
    /// What becomes of results whose index is not in `rows`.
    pub others: Others,
}

/// What a gather does with results whose index lies outside the rows it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Others {
    /// They become 0.
    Zero,
    /// They stay what they are: the result's binding is [`crate::Access::ReadWrite`].
    Keep,
}

/// `out[b, j, inner] = x[b, indices[b, j, ..], inner]` (ONNX GatherND).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatherNdSpec {
    /// Element type of x.
    pub dtype: DType,
    /// Element type of the indices.
    pub index: DType,
    /// Product of the batch dimensions.
    pub batch: u64,
    /// Index tuples per batch.
    pub count: u64,
    /// The dimensions of x that a tuple indexes (at most 8).
    pub dims: Vec<u64>,
    /// Product of the dimensions after those.
    pub inner: u64,
}

/// `out[i] = start + i·delta`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSpec {
    /// Element type.
    pub dtype: DType,
    /// Number of elements.
    pub count: u64,
}
