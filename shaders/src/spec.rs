//! Device work over shapes: over concrete ones, which is what kernels take, or over any other [`Number`].
//!
//! All tensors are contiguous and row-major unless a spec carries strides. Sizes, strides and offsets count elements.
//! Strides of 0 broadcast.

use core::fmt;
use core::ops::Range;
use std::sync::Arc;

use bayplan_graph::op::{BinaryOp, PoolKind, ReduceOp, UnaryOp};
use bayplan_graph::{BlockFormat, DType, Op};

/// What sizes, strides and offsets are counted in.
pub trait Number: Clone + fmt::Debug + PartialEq {
    /// The same with a sign, for strides that may run backwards.
    type Signed: Clone + fmt::Debug + PartialEq;
}

impl Number for u64 {
    type Signed = i64;
}

/// One dispatch's worth of work. The order of operands is given at each variant.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec<N: Number = u64> {
    /// Operands as in the chain.
    Elementwise(ElementwiseSpec<N>),
    /// Operands: a, b, then those of the epilogue from its operand 1 on.
    MatMul(MatMulSpec<N>),
    /// Operands: x, w, then those of the epilogue from its operand 1 on.
    Conv(ConvSpec<N>),
    /// Operand: x.
    Pool(PoolSpec<N>),
    /// Operand: x, then those of the epilogue from its operand 1 on.
    Reduce(ReduceSpec<N>),
    /// Operand: x.
    Softmax(SoftmaxSpec<N>),
    /// Operand: x, then those of the epilogue from its operand 1 on.
    Normalize(NormalizeSpec<N>),
    /// Operand: x. One piece of a transpose, expand, slice, concat, pad or any other movement.
    Copy(CopySpec<N>),
    /// Operands: x, indices.
    Gather(GatherSpec<N>),
    /// Operands: x, indices.
    GatherNd(GatherNdSpec<N>),
    /// Operands: updates, indices; with a joining also what was there before.
    Scatter(ScatterSpec<N>),
    /// Operand: x.
    Cumulate(CumulateSpec<N>),
    /// Operand: x.
    Rank(RankSpec<N>),
    /// Operands: start, delta (one element each).
    Range(RangeSpec<N>),
    /// Operand: bytes as they lie in a file.
    Unpack(UnpackSpec<N>),
    /// Operands: a, blocks, then those of the epilogue from its operand 1 on.
    BlockMatMul(BlockMatMulSpec<N>),
    /// Operands: blocks, indices.
    BlockGather(BlockGatherSpec<N>),
    /// Operands: those of the operator.
    Host(HostSpec<N>),
}

impl<N: Number> Spec<N> {
    /// The chain that it ends in, if its family has one.
    pub fn chain(&self) -> Option<&Chain<N>> {
        match self {
            Self::Elementwise(s) => Some(&s.chain),
            Self::MatMul(s) => Some(&s.epilogue),
            Self::BlockMatMul(s) => Some(&s.epilogue),
            Self::Conv(s) => Some(&s.epilogue),
            Self::Reduce(s) => Some(&s.epilogue),
            Self::Normalize(s) => Some(&s.epilogue),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn chain_mut(&mut self) -> Option<&mut Chain<N>> {
        match self {
            Self::Elementwise(s) => Some(&mut s.chain),
            Self::MatMul(s) => Some(&mut s.epilogue),
            Self::BlockMatMul(s) => Some(&mut s.epilogue),
            Self::Conv(s) => Some(&mut s.epilogue),
            Self::Reduce(s) => Some(&mut s.epilogue),
            Self::Normalize(s) => Some(&mut s.epilogue),
            _ => None,
        }
    }
}

/// One result of an operator that no kernel computes: the host evaluates it, in a pause of the device.
#[derive(Clone, Debug, PartialEq)]
pub struct HostSpec<N: Number = u64> {
    /// The operator.
    pub op: Op,
    /// Element types and shapes of its operands, each contiguous.
    pub operands: Vec<(DType, Vec<N>)>,
    /// The same of its results.
    pub results: Vec<(DType, Vec<N>)>,
    /// Which of them is made here.
    pub result: usize,
    /// Why no kernel computes it.
    pub why: Arc<str>,
}

impl<N: Number> HostSpec<N> {
    /// Element type and shape of what is made.
    pub fn made(&self) -> Option<&(DType, Vec<N>)> {
        self.results.get(self.result)
    }
}

/// A scalar program applied to every element: what elementwise fusion makes, and what a kernel applies to its result.
///
/// As an epilogue, operand 0 stands for the value the kernel has just computed and has no binding.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain<N: Number = u64> {
    /// What is read at each element.
    pub operands: Vec<Operand<N>>,
    /// In order; a step reads operands, earlier steps and constants. Empty: operand 0 is the result.
    pub steps: Vec<Step>,
    /// Element type of the result.
    pub result: DType,
    /// Where the results go in the output's window; `None`: one after the other, from its first element on.
    pub layout: Option<Layout<N>>,
}

/// Where the elements of a result go. No two of them go to one place, and nothing between them is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout<N: Number = u64> {
    /// The place of the first, in elements from the window's beginning.
    pub base: N,
    /// The result's dimensions, or pieces of them: `[4, 8, 3]` of `[32, 3]`.
    pub shape: Vec<N>,
    /// One stride per dimension of that shape.
    pub strides: Vec<N>,
}

/// An operand of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand<N: Number = u64> {
    /// Element type.
    pub dtype: DType,
    /// Its first element, counted from the beginning of its window: not 0 where it begins at no place that windows can.
    pub base: N,
    /// One stride per dimension of the chain's shape; 0 broadcasts along it.
    pub strides: Vec<N>,
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
    /// One argument, whose bits are read as the step's type, which has as many.
    BitCast,
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
pub struct ElementwiseSpec<N: Number = u64> {
    /// The result's shape.
    pub shape: Vec<N>,
    /// The program.
    pub chain: Chain<N>,
    /// The operand that the result overwrites: same shape, contiguous, as wide per element.
    pub in_place: Option<u32>,
}

/// `out[batch, m, n] = epilogue(Σ_k a[batch, m, k] · b[batch, k, n])`, of the type of the epilogue's first operand.
#[derive(Clone, Debug, PartialEq)]
pub struct MatMulSpec<N: Number = u64> {
    /// Batch dimensions (possibly none).
    pub batch: Vec<N>,
    /// Rows of the result.
    pub m: N,
    /// Columns of the result.
    pub n: N,
    /// Length of the inner products.
    pub k: N,
    /// Strides of a: one per batch dimension, then m, then k.
    pub a_strides: Vec<N>,
    /// Strides of b: one per batch dimension, then k, then n.
    pub b_strides: Vec<N>,
    /// Applied to each element; shape is batch.., m, n.
    pub epilogue: Chain<N>,
}

/// A 2-d convolution, f32: `out[n, m, oy, ox] = epilogue(Σ_{c, ky, kx} x[…] · w[…])`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvSpec<N: Number = u64> {
    /// Images.
    pub batch: N,
    /// Input channels, all groups together.
    pub channels: N,
    /// Output channels, all groups together.
    pub filters: N,
    /// Groups.
    pub groups: N,
    /// Input height and width.
    pub input: [N; 2],
    /// Output height and width.
    pub output: [N; 2],
    /// Taps, vertically and horizontally.
    pub kernel: [N; 2],
    /// Steps.
    pub strides: [N; 2],
    /// Distances between taps.
    pub dilations: [N; 2],
    /// Padding above and to the left (what is missing below and to the right reads as 0 too).
    pub pads: [N; 2],
    /// Whether `w` was rearranged as [`ConvSpec::packing`] says; otherwise it is [filters, channels/groups, ky, kx].
    pub packed: bool,
    /// Applied to each element; shape is batch, filters, oy, ox.
    pub epilogue: Chain<N>,
}

/// 2-d pooling of `planes` planes (batch × channels), of a type that is represented as `f32`.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSpec<N: Number = u64> {
    /// Maximum or mean.
    pub kind: PoolKind,
    /// Element type.
    pub dtype: DType,
    /// Planes.
    pub planes: N,
    /// Input height and width.
    pub input: [N; 2],
    /// Output height and width.
    pub output: [N; 2],
    /// Taps.
    pub kernel: [N; 2],
    /// Steps.
    pub strides: [N; 2],
    /// Distances between taps.
    pub dilations: [N; 2],
    /// Padding above and to the left.
    pub pads: [N; 2],
    /// Padding below and to the right (counted by a mean that counts padding).
    pub pads_end: [N; 2],
}

/// `out[outer, inner] = epilogue(reduce over len of x[outer, len, inner])`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReduceSpec<N: Number = u64> {
    /// Which reduction.
    pub op: ReduceOp,
    /// Element type of x.
    pub dtype: DType,
    /// Rows.
    pub outer: N,
    /// Elements reduced into one.
    pub len: N,
    /// Columns.
    pub inner: N,
    /// Applied to each element; shape is outer, inner.
    pub epilogue: Chain<N>,
}

/// Softmax over `len` of x[outer, len, inner], of floats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoftmaxSpec<N: Number = u64> {
    /// Element type.
    pub dtype: DType,
    /// Rows.
    pub outer: N,
    /// Elements normalised together.
    pub len: N,
    /// Columns.
    pub inner: N,
    /// Whether the logarithm is wanted.
    pub log: bool,
    /// Whether the result overwrites x.
    pub in_place: bool,
}

/// `epilogue((x - mean) / sqrt(variance + epsilon))` over the `len` elements of each of `rows` rows, f32.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalizeSpec<N: Number = u64> {
    /// Rows.
    pub rows: N,
    /// Elements per row.
    pub len: N,
    /// Added to the variance (or mean square).
    pub epsilon: f32,
    /// Whether the mean is subtracted.
    pub center: bool,
    /// Applied to each element; shape is rows, len.
    pub epilogue: Chain<N>,
    /// Whether the result overwrites x.
    pub in_place: bool,
}

/// `out[out_base + i·out_strides] = x[x_base + i·x_strides]` for every index `i` of `shape`; words are copied as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySpec<N: Number = u64> {
    /// Extent of the movement (at most 8 dimensions after merging).
    pub shape: Vec<N>,
    /// Element type (only its width matters).
    pub dtype: DType,
    /// First element read.
    pub x_base: N,
    /// Strides of x; may be negative (a reversed slice).
    pub x_strides: Vec<N::Signed>,
    /// First element written.
    pub out_base: N,
    /// Strides of the result.
    pub out_strides: Vec<N>,
}

/// `out[outer, j, inner] = table[outer, indices[j], inner]`; negative indices count from the end of the axis.
///
/// x holds the rows `rows` of the table, as [outer, rows, inner]: all of them, or a window where the table is larger than a
/// device binds at once. The windows of a table are gathered one after the other into one result: the first with
/// [`Others::Zero`], the others with [`Others::Keep`], in any order of rows. An index beyond the axis, on either side, is in no
/// window, also where it does not fit 32 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatherSpec<N: Number = u64> {
    /// Element type of x.
    pub dtype: DType,
    /// Element type of the indices.
    pub index: DType,
    /// Product of the dimensions before the axis.
    pub outer: N,
    /// The axis's dimension in the whole table, from whose end negative indices count.
    pub axis: N,
    /// Number of indices.
    pub count: N,
    /// Product of the dimensions after the axis.
    pub inner: N,
    /// The rows of the axis that x holds, within `0..axis`; equal to it where x is the whole table.
    pub rows: Range<N>,
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

/// `out[b, j, inner] = x[b, indices[b, j, ..], inner]` (ONNX GatherND), or, with an index for `each` element (ONNX
/// GatherElements), `x[b, indices[b, j, inner, ..], inner]`. A tuple with an index outside reads as 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatherNdSpec<N: Number = u64> {
    /// Element type of x.
    pub dtype: DType,
    /// Element type of the indices.
    pub index: DType,
    /// Product of the batch dimensions.
    pub batch: N,
    /// Index tuples per batch.
    pub count: N,
    /// The dimensions of x that a tuple indexes (at most 8).
    pub dims: Vec<N>,
    /// Product of the dimensions after those.
    pub inner: N,
    /// Whether each element has a tuple of its own, rather than each row of `inner`.
    pub each: bool,
}

/// `out[b, indices[b, j, ..], inner] = updates[b, j, inner]` (ONNX ScatterND), or, with an index for `each` element (ONNX
/// ScatterElements), `out[b, indices[b, j, inner, ..], inner]`. A tuple with an index outside puts nothing.
///
/// Without a joining what no tuple names stays what it was: the result's binding is [`crate::Access::ReadWrite`]. With one,
/// all of the result is written: what was there before, joined by the updates in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScatterSpec<N: Number = u64> {
    /// Element type of updates and result.
    pub dtype: DType,
    /// Element type of the indices.
    pub index: DType,
    /// What joins an update to what is there, if it does not take its place.
    pub join: Option<BinaryOp>,
    /// Product of the batch dimensions.
    pub batch: N,
    /// Index tuples per batch.
    pub count: N,
    /// The dimensions of the result that a tuple indexes (at most 8).
    pub dims: Vec<N>,
    /// Product of the dimensions after those.
    pub inner: N,
    /// Whether each element has a tuple of its own, rather than each row of `inner`.
    pub each: bool,
}

/// `out[outer, j, inner]` joins all `x[outer, i, inner]` with `i` up to `j`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CumulateSpec<N: Number = u64> {
    /// What joins them: `Add` or `Mul`.
    pub op: BinaryOp,
    /// Element type.
    pub dtype: DType,
    /// Rows.
    pub outer: N,
    /// Elements of a line.
    pub len: N,
    /// Columns.
    pub inner: N,
    /// Whether `i` ends before `j`.
    pub exclusive: bool,
    /// Whether `i` runs from the last element down.
    pub reverse: bool,
}

/// `out[outer, j, inner]`, an i32, is the place of `x[outer, j, inner]` in the order of its line, counted from 0. Of equal
/// ones the first comes first; a NaN is larger than any number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankSpec<N: Number = u64> {
    /// Element type of x.
    pub dtype: DType,
    /// Rows.
    pub outer: N,
    /// Elements of a line.
    pub len: N,
    /// Columns.
    pub inner: N,
    /// Whether the largest comes first.
    pub largest: bool,
}

/// `out[i] = start + i·delta`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSpec<N: Number = u64> {
    /// Element type.
    pub dtype: DType,
    /// Number of elements.
    pub count: N,
}

/// `out` is the elements of `count` units, one after the other, as devices hold them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpackSpec<N: Number = u64> {
    /// What lies in the operand.
    pub from: Packed,
    /// Whether each byte is in a word of its own, as the `u8` elements of a run are; otherwise four are in a word, the
    /// first in the lowest bits, and what is behind the last byte in its word does not matter.
    pub apart: bool,
    /// Element type of the result; the same device words as those of the units' type.
    pub dtype: DType,
    /// Number of units.
    pub count: N,
}

/// Elements as they lie in a file, where devices hold them otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Packed {
    /// Each narrower than a word.
    Elements(DType),
    /// In blocks, each a unit.
    Blocks(BlockFormat),
}

impl Packed {
    /// Bytes of a unit.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Elements(dtype) => dtype.size(),
            Self::Blocks(format) => format.bytes(),
        }
    }

    /// Elements of a unit.
    pub const fn elements(self) -> usize {
        match self {
            Self::Elements(_) => 1,
            Self::Blocks(format) => format.elements(),
        }
    }

    /// The type of its elements.
    pub const fn dtype(self) -> DType {
        match self {
            Self::Elements(dtype) => dtype,
            Self::Blocks(_) => DType::F32,
        }
    }
}

impl UnpackSpec {
    /// Elements of the result.
    pub fn elements(&self) -> u64 {
        self.count * self.from.elements() as u64
    }

    /// Bytes that are read.
    pub fn bytes(&self) -> u64 {
        self.count * self.from.bytes() as u64
    }
}

/// `out[m, n] = epilogue(Σ_k a[m, k] · b[n, k])`, b in blocks along k as they lie in a file, row after row, four bytes to a
/// word.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockMatMulSpec<N: Number = u64> {
    /// The format of b.
    pub format: BlockFormat,
    /// Rows of the result.
    pub m: N,
    /// Columns of the result.
    pub n: N,
    /// Length of the inner products: whole blocks.
    pub k: N,
    /// Strides of a: m, then k.
    pub a_strides: Vec<N>,
    /// Applied to each element; shape is m, n.
    pub epilogue: Chain<N>,
}

/// `out[j, inner] = table[indices[j], inner]`, the table in blocks along its rows as they lie in a file, four bytes to a word.
/// Negative indices count from the end; rows of indices beyond it, on either side, are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockGatherSpec<N: Number = u64> {
    /// The format of the table.
    pub format: BlockFormat,
    /// Element type of the indices.
    pub index: DType,
    /// Rows of the table.
    pub axis: N,
    /// Number of indices.
    pub count: N,
    /// Elements of a row: whole blocks.
    pub inner: N,
}

/// Words of so many elements in blocks.
pub const fn block_words(format: BlockFormat, elements: u64) -> u64 {
    (elements / format.elements() as u64 * format.bytes() as u64).div_ceil(4)
}
