//! Specs in one number as specs in another: sizes that depend on symbols become the sizes of one shape.

use bayplan_graph::DType;

use crate::spec::{
    BlockGatherSpec, BlockMatMulSpec, Chain, ConvSpec, CopySpec, CumulateSpec, ElementwiseSpec, GatherNdSpec,
    GatherSpec, HostSpec, Layout, MatMulSpec, NormalizeSpec, Number, Operand, PoolSpec, RangeSpec, RankSpec,
    ReduceSpec, ScatterSpec, SoftmaxSpec, Spec, UnpackSpec,
};

/// How a number, with and without a sign, becomes another one.
pub trait Convert<N: Number> {
    /// What numbers become.
    type To: Number;

    /// What becomes of a size, a position or a stride that never runs backwards.
    fn size(&self, size: &N) -> Self::To;

    /// What becomes of a stride that may run backwards.
    fn stride(&self, stride: &N::Signed) -> <Self::To as Number>::Signed;
}

impl<N: Number> Spec<N> {
    /// The same work with every number converted.
    pub fn map<C: Convert<N>>(&self, by: &C) -> Spec<C::To> {
        match self {
            Self::Elementwise(s) => Spec::Elementwise(s.map(by)),
            Self::MatMul(s) => Spec::MatMul(s.map(by)),
            Self::Conv(s) => Spec::Conv(s.map(by)),
            Self::Pool(s) => Spec::Pool(s.map(by)),
            Self::Reduce(s) => Spec::Reduce(s.map(by)),
            Self::Softmax(s) => Spec::Softmax(s.map(by)),
            Self::Normalize(s) => Spec::Normalize(s.map(by)),
            Self::Copy(s) => Spec::Copy(s.map(by)),
            Self::Gather(s) => Spec::Gather(s.map(by)),
            Self::GatherNd(s) => Spec::GatherNd(s.map(by)),
            Self::Scatter(s) => Spec::Scatter(s.map(by)),
            Self::Cumulate(s) => Spec::Cumulate(s.map(by)),
            Self::Rank(s) => Spec::Rank(s.map(by)),
            Self::Host(s) => Spec::Host(s.map(by)),
            Self::Unpack(s) => Spec::Unpack(s.map(by)),
            Self::BlockMatMul(s) => Spec::BlockMatMul(s.map(by)),
            Self::BlockGather(s) => Spec::BlockGather(s.map(by)),
            Self::Range(s) => Spec::Range(RangeSpec { dtype: s.dtype, count: by.size(&s.count) }),
        }
    }
}

fn list<N: Number, C: Convert<N>>(sizes: &[N], by: &C) -> Vec<C::To> {
    sizes.iter().map(|size| by.size(size)).collect()
}

fn pair<N: Number, C: Convert<N>>(sizes: &[N; 2], by: &C) -> [C::To; 2] {
    sizes.each_ref().map(|size| by.size(size))
}

impl<N: Number> HostSpec<N> {
    fn map<C: Convert<N>>(&self, by: &C) -> HostSpec<C::To> {
        let tensors = |tensors: &[(DType, Vec<N>)]| {
            tensors.iter().map(|(dtype, shape)| (*dtype, list(shape, by))).collect()
        };
        HostSpec {
            op: self.op.clone(),
            operands: tensors(&self.operands),
            results: tensors(&self.results),
            result: self.result,
            why: self.why.clone(),
        }
    }
}

impl<N: Number> Chain<N> {
    /// The same program with every stride converted.
    pub fn map<C: Convert<N>>(&self, by: &C) -> Chain<C::To> {
        let operand = |operand: &Operand<N>| Operand {
            dtype: operand.dtype,
            base: by.size(&operand.base),
            strides: list(&operand.strides, by),
        };
        Chain {
            operands: self.operands.iter().map(operand).collect(),
            steps: self.steps.clone(),
            result: self.result,
            layout: self.layout.as_ref().map(|layout| layout.map(by)),
        }
    }
}

impl<N: Number> Layout<N> {
    fn map<C: Convert<N>>(&self, by: &C) -> Layout<C::To> {
        Layout { base: by.size(&self.base), shape: list(&self.shape, by), strides: list(&self.strides, by) }
    }
}

impl<N: Number> ElementwiseSpec<N> {
    fn map<C: Convert<N>>(&self, by: &C) -> ElementwiseSpec<C::To> {
        ElementwiseSpec { shape: list(&self.shape, by), chain: self.chain.map(by), in_place: self.in_place }
    }
}

impl<N: Number> MatMulSpec<N> {
    fn map<C: Convert<N>>(&self, by: &C) -> MatMulSpec<C::To> {
        MatMulSpec {
            batch: list(&self.batch, by),
            m: by.size(&self.m),
            n: by.size(&self.n),
            k: by.size(&self.k),
            a_strides: list(&self.a_strides, by),
            b_strides: list(&self.b_strides, by),
            epilogue: self.epilogue.map(by),
        }
    }
}

impl<N: Number> ConvSpec<N> {
    /// The same convolution with every number converted.
    pub fn map<C: Convert<N>>(&self, by: &C) -> ConvSpec<C::To> {
        ConvSpec {
            batch: by.size(&self.batch),
            channels: by.size(&self.channels),
            filters: by.size(&self.filters),
            groups: by.size(&self.groups),
            input: pair(&self.input, by),
            output: pair(&self.output, by),
            kernel: pair(&self.kernel, by),
            strides: pair(&self.strides, by),
            dilations: pair(&self.dilations, by),
            pads: pair(&self.pads, by),
            packed: self.packed,
            epilogue: self.epilogue.map(by),
        }
    }
}

impl<N: Number> PoolSpec<N> {
    fn map<C: Convert<N>>(&self, by: &C) -> PoolSpec<C::To> {
        PoolSpec {
            kind: self.kind,
            dtype: self.dtype,
            planes: by.size(&self.planes),
            input: pair(&self.input, by),
            output: pair(&self.output, by),
            kernel: pair(&self.kernel, by),
            strides: pair(&self.strides, by),
            dilations: pair(&self.dilations, by),
            pads: pair(&self.pads, by),
            pads_end: pair(&self.pads_end, by),
        }
    }
}

impl<N: Number> ReduceSpec<N> {
    fn map<C: Convert<N>>(&self, by: &C) -> ReduceSpec<C::To> {
        ReduceSpec {
            op: self.op,
            dtype: self.dtype,
            outer: by.size(&self.outer),
            len: by.size(&self.len),
            inner: by.size(&self.inner),
            epilogue: self.epilogue.map(by),
        }
    }
}

impl<N: Number> SoftmaxSpec<N> {
    fn map<C: Convert<N>>(&self, by: &C) -> SoftmaxSpec<C::To> {
        SoftmaxSpec {
            dtype: self.dtype,
            outer: by.size(&self.outer),
            len: by.size(&self.len),
            inner: by.size(&self.inner),
            log: self.log,
            in_place: self.in_place,
        }
    }
}

impl<N: Number> NormalizeSpec<N> {
    fn map<C: Convert<N>>(&self, by: &C) -> NormalizeSpec<C::To> {
        NormalizeSpec {
            rows: by.size(&self.rows),
            len: by.size(&self.len),
            epsilon: self.epsilon,
            center: self.center,
            epilogue: self.epilogue.map(by),
            in_place: self.in_place,
        }
    }
}

impl<N: Number> CopySpec<N> {
    /// The same movement with every number converted.
    pub fn map<C: Convert<N>>(&self, by: &C) -> CopySpec<C::To> {
        CopySpec {
            shape: list(&self.shape, by),
            dtype: self.dtype,
            x_base: by.size(&self.x_base),
            x_strides: self.x_strides.iter().map(|stride| by.stride(stride)).collect(),
            out_base: by.size(&self.out_base),
            out_strides: list(&self.out_strides, by),
        }
    }
}

impl<N: Number> GatherSpec<N> {
    fn map<C: Convert<N>>(&self, by: &C) -> GatherSpec<C::To> {
        GatherSpec {
            dtype: self.dtype,
            index: self.index,
            outer: by.size(&self.outer),
            axis: by.size(&self.axis),
            count: by.size(&self.count),
            inner: by.size(&self.inner),
            rows: by.size(&self.rows.start)..by.size(&self.rows.end),
            others: self.others,
        }
    }
}

impl<N: Number> GatherNdSpec<N> {
    fn map<C: Convert<N>>(&self, by: &C) -> GatherNdSpec<C::To> {
        GatherNdSpec {
            dtype: self.dtype,
            index: self.index,
            batch: by.size(&self.batch),
            count: by.size(&self.count),
            dims: list(&self.dims, by),
            inner: by.size(&self.inner),
            each: self.each,
        }
    }
}

impl<N: Number> ScatterSpec<N> {
    fn map<C: Convert<N>>(&self, by: &C) -> ScatterSpec<C::To> {
        ScatterSpec {
            dtype: self.dtype,
            index: self.index,
            join: self.join,
            batch: by.size(&self.batch),
            count: by.size(&self.count),
            dims: list(&self.dims, by),
            inner: by.size(&self.inner),
            each: self.each,
        }
    }
}

impl<N: Number> CumulateSpec<N> {
    fn map<C: Convert<N>>(&self, by: &C) -> CumulateSpec<C::To> {
        CumulateSpec {
            op: self.op,
            dtype: self.dtype,
            outer: by.size(&self.outer),
            len: by.size(&self.len),
            inner: by.size(&self.inner),
            exclusive: self.exclusive,
            reverse: self.reverse,
        }
    }
}

impl<N: Number> RankSpec<N> {
    fn map<C: Convert<N>>(&self, by: &C) -> RankSpec<C::To> {
        RankSpec {
            dtype: self.dtype,
            outer: by.size(&self.outer),
            len: by.size(&self.len),
            inner: by.size(&self.inner),
            largest: self.largest,
        }
    }
}

impl<N: Number> BlockMatMulSpec<N> {
    fn map<C: Convert<N>>(&self, by: &C) -> BlockMatMulSpec<C::To> {
        BlockMatMulSpec {
            format: self.format,
            m: by.size(&self.m),
            n: by.size(&self.n),
            k: by.size(&self.k),
            a_strides: list(&self.a_strides, by),
            epilogue: self.epilogue.map(by),
        }
    }
}

impl<N: Number> BlockGatherSpec<N> {
    fn map<C: Convert<N>>(&self, by: &C) -> BlockGatherSpec<C::To> {
        BlockGatherSpec {
            format: self.format,
            index: self.index,
            axis: by.size(&self.axis),
            count: by.size(&self.count),
            inner: by.size(&self.inner),
        }
    }
}

impl<N: Number> UnpackSpec<N> {
    fn map<C: Convert<N>>(&self, by: &C) -> UnpackSpec<C::To> {
        let Self { from, apart, dtype, .. } = *self;
        UnpackSpec { from, apart, dtype, count: by.size(&self.count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bayplan_graph::DType;

    /// Twice as much of everything, strides that run backwards turned round.
    struct Double;

    impl Convert<u64> for Double {
        type To = u64;

        fn size(&self, size: &u64) -> u64 {
            2 * size
        }

        fn stride(&self, stride: &i64) -> i64 {
            -stride
        }
    }

    #[test]
    fn every_number_is_converted() {
        let chain = Chain {
            operands: vec![Operand { dtype: DType::F32, base: 4, strides: vec![3, 1] }],
            steps: Vec::new(),
            result: DType::F32,
            layout: Some(Layout { base: 1, shape: vec![2, 3], strides: vec![5, 1] }),
        };
        let text = |spec: &Spec| format!("{:?}", spec.map(&Double));
        let conv = ConvSpec {
            batch: 1,
            channels: 2,
            filters: 3,
            groups: 4,
            input: [5, 6],
            output: [7, 8],
            kernel: [9, 10],
            strides: [11, 12],
            dilations: [13, 14],
            pads: [15, 16],
            packed: true,
            epilogue: chain.clone(),
        };
        let doubled = conv.map(&Double);
        assert_eq!((doubled.batch, doubled.groups, doubled.pads), (2, 8, [30, 32]));
        let (operand, layout) = (&doubled.epilogue.operands[0], doubled.epilogue.layout.clone());
        assert_eq!((operand.base, &operand.strides[..], doubled.packed), (8, &[6, 2][..], true));
        assert_eq!(layout, Some(Layout { base: 2, shape: vec![4, 6], strides: vec![10, 2] }));
        let copy = CopySpec {
            shape: vec![2, 3],
            dtype: DType::F32,
            x_base: 5,
            x_strides: vec![-3, 1],
            out_base: 7,
            out_strides: vec![3, 1],
        };
        let CopySpec { x_strides, x_base, .. } = copy.map(&Double);
        assert_eq!((x_strides, x_base), (vec![3, -1], 10));
        assert!(text(&Spec::Range(RangeSpec { dtype: DType::I64, count: 21 })).contains("count: 42"));
        let soft =
            SoftmaxSpec { dtype: DType::F32, outer: 10, len: 20, inner: 30, log: true, in_place: false };
        let made = Spec::Softmax(SoftmaxSpec {
            dtype: DType::F32,
            outer: 20,
            len: 40,
            inner: 60,
            log: true,
            in_place: false,
        });
        assert_eq!(Spec::Softmax(soft).map(&Double), made);
    }
}
