//! The directions in which work can be cut, and what a part of it is.

use std::ops::Range;

use bayplan_graph::op::{BinaryOp, ReduceOp};
use bayplan_graph::{BlockFormat, DType};
use bayplan_shaders::{
    Arg, Chain, ConvSpec, CumulateSpec, Operand, Others, RankSpec, ReduceSpec, Spec, Step, StepOp,
    block_words,
};

use crate::size::Size;
use crate::view::{contiguous, elements};

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Along {
    /// A dimension of an elementwise operation, or a batch dimension of a matrix product.
    Dim(usize),
    /// Rows of a matrix product.
    M,
    /// Columns of a matrix product.
    N,
    /// The inner products of a matrix product.
    K,
    /// Images of a convolution; the outermost dimension of all others.
    Outer,
    /// Groups of a convolution.
    Group,
    /// Filters of a convolution.
    Filter,
    /// Elements that a reduction makes one.
    Len,
    /// Results of a gather.
    Count,
    /// Rows of a gather's table.
    Rows,
}

/// How the parts of a cut make the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joining {
    /// Each makes elements of its own.
    Apart,
    /// Each makes a term of every element.
    Terms(BinaryOp),
    /// Each makes those elements that it can, the first zeros elsewhere.
    Chosen,
}

/// A direction with its extent.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    pub(crate) along: Along,
    pub(crate) size: Size,
    /// Elements from one step to the next in each operand; 0 where all steps read the same.
    pub(crate) strides: Vec<Size>,
    /// Elements from one step to the next in the result; 0 where all steps write the same.
    pub(crate) out: Size,
}

/// The directions of a piece of work, the outermost of its result first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Space {
    pub(crate) axes: Vec<Axis>,
    /// Elements of each operand that one step of every axis reads, those between included.
    pub(crate) inner: Vec<Size>,
    /// Elements that one step of every axis writes.
    pub(crate) out_inner: Size,
}

impl Space {
    fn axis(mut self, along: Along, size: Size, strides: Vec<Size>, out: Size) -> Self {
        self.axes.push(Axis { along, size, strides, out });
        self
    }

    /// Adds the operands of an epilogue over a shape of which the first dimensions are the axes so far.
    fn epilogue(mut self, chain: &Chain<Size>, shape: &[Size]) -> Self {
        for operand in chain.operands.iter().skip(1) {
            let mut axes = self.axes.iter_mut().filter(|axis| !axis.out.surely_eq(0));
            let mut inner = Size::ONE;
            for (&stride, &size) in operand.strides.iter().zip(shape) {
                match axes.next() {
                    Some(axis) => axis.strides.push(stride),
                    None => inner += (size - 1).max(0) * stride,
                }
            }
            self.axes
                .iter_mut()
                .filter(|axis| axis.out.surely_eq(0))
                .for_each(|axis| axis.strides.push(Size::ZERO));
            self.inner.push(inner);
        }
        self
    }
}

/// The directions of a spec; none for copies, which have a way of their own, and ranges.
pub(crate) fn space(spec: &Spec<Size>) -> Space {
    let new = |inner: &[Size], out_inner: Size| Space { axes: Vec::new(), inner: inner.to_vec(), out_inner };
    match spec {
        Spec::Elementwise(s) => {
            let out = contiguous(&s.shape);
            let operands = &s.chain.operands;
            (0..s.shape.len()).fold(new(&vec![Size::ONE; operands.len()], Size::ONE), |space, dim| {
                let strides = operands.iter().map(|operand| operand.strides[dim]).collect();
                space.axis(Along::Dim(dim), s.shape[dim], strides, out[dim])
            })
        }
        Spec::MatMul(s) => {
            let (rank, shape) = (s.batch.len(), [&s.batch[..], &[s.m, s.n]].concat());
            let out = contiguous(&shape);
            let (a, b) = (&s.a_strides, &s.b_strides);
            let batch = (0..rank).fold(new(&[Size::ONE; 2], Size::ONE), |space, dim| {
                space.axis(Along::Dim(dim), s.batch[dim], vec![a[dim], b[dim]], out[dim])
            });
            batch
                .axis(Along::M, s.m, vec![a[rank], Size::ZERO], s.n)
                .axis(Along::N, s.n, vec![Size::ZERO, b[rank + 1]], Size::ONE)
                .epilogue(&s.epilogue, &shape)
                .axis_of_terms(Along::K, s.k, &[a[rank + 1], b[rank]])
        }
        Spec::Conv(s) => conv(s),
        Spec::Pool(s) => {
            let (input, output) = (elements(&s.input), elements(&s.output));
            new(&[input], output).axis(Along::Outer, s.planes, vec![input], output)
        }
        Spec::Reduce(s) => {
            let block = s.len * s.inner;
            let space = new(&[block], s.inner).axis(Along::Outer, s.outer, vec![block], s.inner);
            let space = space.epilogue(&s.epilogue, &[s.outer, s.inner]);
            // Elsewhere a part of the elements does not lie in a row.
            if !s.outer.surely_le(1) || terms(s).is_none() {
                return space;
            }
            Space { inner: [&[s.inner], &space.inner[1..]].concat(), ..space }.axis_of_terms(
                Along::Len,
                s.len,
                &[s.inner],
            )
        }
        Spec::Softmax(s) => {
            let block = s.len * s.inner;
            new(&[block], block).axis(Along::Outer, s.outer, vec![block], block)
        }
        Spec::Normalize(s) => new(&[s.len], s.len)
            .axis(Along::Outer, s.rows, vec![s.len], s.len)
            .epilogue(&s.epilogue, &[s.rows, s.len]),
        Spec::Gather(s) => {
            let held = s.rows.end - s.rows.start;
            let (block, row) = (held * s.inner, s.count * s.inner);
            if !s.outer.surely_le(1) {
                let strides = vec![block, Size::ZERO];
                return new(&[block, s.count], row).axis(Along::Outer, s.outer, strides, row);
            }
            let strides = vec![Size::ZERO, Size::ONE];
            new(&[s.inner, Size::ONE], s.inner).axis(Along::Count, s.count, strides, s.inner).axis_of_terms(
                Along::Rows,
                held,
                &[s.inner, Size::ZERO],
            )
        }
        Spec::GatherNd(s) => {
            // Indices of a row: a tuple, or one for each of its elements.
            let of_row = if s.each { s.inner } else { Size::ONE };
            let (block, tuple) = (elements(&s.dims) * s.inner, of_row * s.dims.len());
            if !s.batch.surely_le(1) {
                let (tuples, row) = (s.count * tuple, s.count * s.inner);
                return new(&[block, tuples], row).axis(Along::Outer, s.batch, vec![block, tuples], row);
            }
            new(&[block, tuple], s.inner).axis(Along::Count, s.count, vec![Size::ZERO, tuple], s.inner)
        }
        Spec::Scatter(s) => {
            let (block, row) = (elements(&s.dims) * s.inner, s.count * s.inner);
            let tuples = (if s.each { row } else { s.count }) * s.dims.len();
            let mut operands = vec![row, tuples];
            // What was there before is an operand only where updates are joined to it.
            operands.extend(s.join.map(|_| block));
            new(&operands, block).axis(Along::Outer, s.batch, operands, block)
        }
        Spec::Cumulate(CumulateSpec { outer, len, inner, .. })
        | Spec::Rank(RankSpec { outer, len, inner, .. }) => {
            let block = *len * *inner;
            new(&[block], block).axis(Along::Outer, *outer, vec![block], block)
        }
        Spec::BlockMatMul(s) => {
            let row = (s.k - 1).max(0) * s.a_strides[1] + 1;
            let down = |space: Space| space.axis(Along::M, s.m, vec![s.a_strides[0], Size::ZERO], s.n);
            let space = match block_row(s.format, s.k) {
                Some(words) => down(new(&[row, words], Size::ONE)).axis(
                    Along::N,
                    s.n,
                    vec![Size::ZERO, words],
                    Size::ONE,
                ),
                None => down(new(&[row, words(s.format, s.n * s.k)], s.n)),
            };
            space.epilogue(&s.epilogue, &[s.m, s.n])
        }
        Spec::BlockGather(s) => {
            let words = words(s.format, s.axis * s.inner);
            let strides = vec![Size::ZERO, Size::ONE];
            new(&[words, Size::ONE], s.inner).axis(Along::Count, s.count, strides, s.inner)
        }
        Spec::Unpack(s) => {
            let (read, made) = (s.from.bytes(), Size::from(s.from.elements() as u64));
            // Four bytes to a word: a block need not begin at one.
            if !s.apart {
                return Space::default();
            }
            let read = Size::from(read as u64);
            new(&[read], made).axis(Along::Outer, s.count, vec![read], made)
        }
        Spec::Copy(_) | Spec::Range(_) | Spec::Host(_) => Space::default(),
    }
}

impl Space {
    /// An axis whose steps all write the same elements; it reads those operands, and none of the epilogue's.
    fn axis_of_terms(self, along: Along, size: Size, strides: &[Size]) -> Self {
        let mut strides = strides.to_vec();
        strides.resize(self.inner.len(), Size::ZERO);
        self.axis(along, size, strides, Size::ZERO)
    }
}

/// Words of so many elements in blocks, all of a constant.
fn words(format: BlockFormat, elements: Size) -> Size {
    block_words(format, elements.here()).into()
}

/// Words of a row of so many elements in blocks, all of a constant; `None` where rows begin between words.
pub(crate) fn block_row(format: BlockFormat, elements: Size) -> Option<Size> {
    let bytes = elements.here() / format.elements() as u64 * format.bytes() as u64;
    bytes.is_multiple_of(4).then(|| (bytes / 4).into())
}

/// Groups of a convolution, which are the same for all shapes.
fn groups_of(s: &ConvSpec<Size>) -> Size {
    s.groups.max(1)
}

fn conv(s: &ConvSpec<Size>) -> Space {
    let (input, output) = (elements(&s.input), elements(&s.output));
    let groups = groups_of(s);
    let (channels, filters) = (s.channels / groups, s.filters / groups);
    let taps = channels * elements(&s.kernel);
    let shape = [s.batch, s.filters, s.output[0], s.output[1]];
    let new = |x: Size, w: Size, out: Size| Space { axes: Vec::new(), inner: vec![x, w], out_inner: out };
    let image = s.channels * input;
    if !s.batch.surely_le(1) && (groups > 1 || s.packed) {
        let space = new(image, s.filters * taps, s.filters * output);
        return space
            .axis(Along::Outer, s.batch, vec![image, Size::ZERO], s.filters * output)
            .epilogue(&s.epilogue, &shape);
    }
    let outer = |space: Space| space.axis(Along::Outer, s.batch, vec![image, Size::ZERO], s.filters * output);
    if groups > 1 {
        // Strides along filters become strides along groups: filters of one group lie side by side.
        let mut space = outer(new(channels * input, filters * taps, filters * output)).axis(
            Along::Group,
            groups,
            vec![channels * input, filters * taps],
            filters * output,
        );
        for operand in s.epilogue.operands.iter().skip(1) {
            let [z, f, y, x] =
                [0, 1, 2, 3].map(|dim| operand.strides.get(dim).copied().unwrap_or(Size::ZERO));
            space.axes[0].strides.push(z);
            space.axes[1].strides.push(f * filters);
            space.inner.push(Size::ONE + (filters - 1) * f + (s.output[0] - 1) * y + (s.output[1] - 1) * x);
        }
        return space;
    }
    outer(new(image, taps, output))
        .axis(Along::Filter, s.filters, vec![Size::ZERO, taps], output)
        .epilogue(&s.epilogue, &shape)
}

/// What joins two parts of a reduction; `None` where nothing does.
fn terms(spec: &ReduceSpec<Size>) -> Option<BinaryOp> {
    match spec.op {
        ReduceOp::Sum => Some(BinaryOp::Add),
        ReduceOp::Prod => Some(BinaryOp::Mul),
        ReduceOp::Max => Some(BinaryOp::Max),
        ReduceOp::Min => Some(BinaryOp::Min),
        // Sums, of which the last part makes the mean.
        ReduceOp::Mean => (spec.dtype == DType::F32).then_some(BinaryOp::Add),
        _ => None,
    }
}

/// What the joined terms of a spec are multiplied by, if by anything.
pub(crate) fn scale(spec: &Spec<Size>) -> Option<f32> {
    match spec {
        Spec::Reduce(s) if s.op == ReduceOp::Mean => Some(1.0 / s.len.pin() as f32),
        _ => None,
    }
}

/// How parts along a direction make the result.
pub(crate) fn joining(spec: &Spec<Size>, along: Along) -> Joining {
    match (spec, along) {
        (Spec::MatMul(_), Along::K) => Joining::Terms(BinaryOp::Add),
        (Spec::Reduce(s), Along::Len) => terms(s).map_or(Joining::Apart, Joining::Terms),
        (_, Along::Rows) => Joining::Chosen,
        _ => Joining::Apart,
    }
}

/// The part of a spec that steps `range` of a direction make.
pub(crate) fn part(spec: &Spec<Size>, along: Along, range: &Range<Size>) -> Spec<Size> {
    let (mut part, len) = (spec.clone(), range.end - range.start);
    match (&mut part, along) {
        (Spec::Elementwise(s), Along::Dim(dim)) => s.shape[dim] = len,
        (Spec::MatMul(s), _) => {
            match along {
                Along::Dim(dim) => s.batch[dim] = len,
                Along::M => s.m = len,
                Along::N => s.n = len,
                _ => s.k = len,
            }
            anchor(&mut s.epilogue, &[&s.batch[..], &[s.m, s.n]].concat());
        }
        (Spec::Conv(s), _) => {
            let (channels, filters) = (s.channels / groups_of(s), s.filters / groups_of(s));
            match along {
                Along::Outer => s.batch = len,
                Along::Filter => s.filters = len,
                _ => (s.groups, s.channels, s.filters) = (len, len * channels, len * filters),
            }
            anchor(&mut s.epilogue, &[s.batch, s.filters, s.output[0], s.output[1]]);
        }
        (Spec::Pool(s), _) => s.planes = len,
        (Spec::Reduce(s), _) => {
            if along == Along::Len {
                s.len = len;
                if s.op == ReduceOp::Mean {
                    s.op = ReduceOp::Sum;
                }
            } else {
                s.outer = len;
            }
            anchor(&mut s.epilogue, &[s.outer, s.inner]);
        }
        (Spec::Softmax(s), _) => s.outer = len,
        (Spec::Normalize(s), _) => {
            s.rows = len;
            anchor(&mut s.epilogue, &[s.rows, s.len]);
        }
        (Spec::Gather(s), Along::Outer) => s.outer = len,
        (Spec::Gather(s), Along::Count) => s.count = len,
        (Spec::Gather(s), _) => {
            s.rows = s.rows.start + range.start..s.rows.start + range.end;
            if !range.start.surely_eq(0) {
                s.others = Others::Keep;
            }
        }
        (Spec::Scatter(s), _) => s.batch = len,
        (Spec::Cumulate(s), _) => s.outer = len,
        (Spec::Rank(s), _) => s.outer = len,
        (Spec::Unpack(s), _) => s.count = len,
        (Spec::BlockMatMul(s), _) => {
            *(if along == Along::N { &mut s.n } else { &mut s.m }) = len;
            anchor(&mut s.epilogue, &[s.m, s.n]);
        }
        (Spec::BlockGather(s), _) => s.count = len,
        (Spec::GatherNd(s), Along::Outer) => s.batch = len,
        (Spec::GatherNd(s), _) => s.count = len,
        _ => {}
    }
    part
}

/// Lays operand 0, the result itself, over another shape.
pub(crate) fn anchor(epilogue: &mut Chain<Size>, shape: &[Size]) {
    if let Some(own) = epilogue.operands.first_mut() {
        own.strides = contiguous(shape);
    }
}

/// The epilogue of a spec.
fn epilogue(spec: &mut Spec<Size>) -> Option<&mut Chain<Size>> {
    match spec {
        Spec::MatMul(s) => Some(&mut s.epilogue),
        Spec::Reduce(s) => Some(&mut s.epilogue),
        _ => None,
    }
}

/// Takes the epilogue off a spec, which then makes a term and nothing more. Answers what it was.
pub(crate) fn bare(spec: &mut Spec<Size>) -> Option<Chain<Size>> {
    let chain = epilogue(spec)?;
    let own = chain.operands.first()?.clone();
    let result = own.dtype;
    Some(std::mem::replace(chain, Chain { operands: vec![own], steps: Vec::new(), result, layout: None }))
}

/// Lets a spec join its own term to an operand, the last one of its epilogue, and scale the result, before anything else.
pub(crate) fn accumulate(spec: &mut Spec<Size>, join: BinaryOp, scale: Option<f32>) -> Option<()> {
    let chain = epilogue(spec)?;
    let own: Operand<Size> = chain.operands.first()?.clone();
    let dtype: DType = own.dtype;
    let args = vec![Arg::Operand(chain.operands.len() as u32), Arg::Operand(0)];
    let mut first = vec![Step { op: StepOp::Binary(join), args, dtype }];
    if let Some(scale) = scale {
        let args = vec![Arg::Step(0), Arg::Const(dtype, scale.to_bits().into())];
        first.push(Step { op: StepOp::Binary(BinaryOp::Mul), args, dtype });
    }
    let count = first.len() as u32;
    for arg in chain.steps.iter_mut().flat_map(|step| &mut step.args) {
        *arg = match *arg {
            Arg::Operand(0) => Arg::Step(count - 1),
            Arg::Step(index) => Arg::Step(index + count),
            other => other,
        };
    }
    chain.operands.push(own);
    chain.steps.splice(0..0, first);
    Some(())
}
