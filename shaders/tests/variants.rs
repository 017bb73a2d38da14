//! Kernels written once serve other shapes with the parameters and the grid that writing them again would give.

use std::cell::RefCell;

use bayplan_graph::op::{BinaryOp, PoolKind, ReduceOp, UnaryOp};
use bayplan_graph::{BlockFormat, DType};
use bayplan_shaders::{
    Arg, BlockGatherSpec, BlockMatMulSpec, Chain, Class, ConvSpec, Convert, CopySpec, CumulateSpec,
    ElementwiseSpec, GatherNdSpec, GatherSpec, Launch, Layout, MatMulSpec, NormalizeSpec, Operand, Others,
    Packed, PoolSpec, RangeSpec, RankSpec, ReduceSpec, ScatterSpec, SoftmaxSpec, Spec, Step, StepOp,
    Subgroup, Taped, Target, UnpackSpec, Variant, launch,
};

/// Numbers of a spec in the order in which they are converted, as constants of a tape or given to it by their place.
struct Numbers(RefCell<Vec<i64>>);

impl Numbers {
    fn of(spec: &Spec) -> Vec<i64> {
        let numbers = Self(RefCell::default());
        spec.map(&numbers);
        numbers.0.into_inner()
    }

    fn next(&self, value: i64) -> Taped {
        self.0.borrow_mut().push(value);
        Taped::given(self.0.borrow().len() as u32 - 1, value)
    }
}

impl Convert<u64> for Numbers {
    type To = Taped;

    fn size(&self, size: &u64) -> Taped {
        self.next(i64::try_from(*size).expect("a size"))
    }

    fn stride(&self, stride: &i64) -> Taped {
        self.next(*stride)
    }
}

fn cpu(size: u32) -> Target {
    Target {
        class: Class::Cpu,
        subgroup: Some(Subgroup { size, shuffle: true, arithmetic: true }),
        storage_alignment: 16,
        max_loop_passes: Some(65_535),
        max_workgroup_invocations: 256,
        max_workgroup_size: [256; 3],
        ..Target::generic()
    }
}

fn operand(dtype: DType, strides: &[u64]) -> Operand {
    Operand { dtype, base: 0, strides: strides.to_vec() }
}

/// The value computed, plus an operand with these strides.
fn plus(dtype: DType, strides: &[u64], layout: Option<Layout>) -> Chain {
    let operands = vec![operand(dtype, &vec![0; strides.len()]), operand(dtype, strides)];
    let add = StepOp::Binary(BinaryOp::Add);
    let steps = vec![Step { op: add, args: vec![Arg::Operand(0), Arg::Operand(1)], dtype }];
    Chain { operands, steps, result: dtype, layout }
}

fn none(dtype: DType, rank: usize) -> Chain {
    Chain { operands: vec![operand(dtype, &vec![0; rank])], steps: Vec::new(), result: dtype, layout: None }
}

fn movement([a, b, c]: [u64; 3]) -> Vec<Spec> {
    let relu = Step { op: StepOp::Unary(UnaryOp::Relu), args: vec![Arg::Operand(0)], dtype: DType::F32 };
    let elementwise = |dtype, left: &[u64], layout, in_place| {
        let chain = Chain { operands: vec![operand(dtype, left)], ..plus(dtype, &[0, 0, 0], layout) };
        let chain = Chain { steps: vec![Step { dtype, ..relu.clone() }], ..chain };
        Spec::Elementwise(ElementwiseSpec { shape: vec![a, b, c], chain, in_place })
    };
    let turned = Layout { base: c, shape: vec![a, b, c], strides: vec![c, a * c, 1] };
    let copy = |x_base, x_strides: [i64; 3], out_strides: [u64; 3]| {
        let (x_strides, out_strides) = (x_strides.to_vec(), out_strides.to_vec());
        let shape = vec![a, b, c];
        Spec::Copy(CopySpec { shape, dtype: DType::F32, x_base, x_strides, out_base: b, out_strides })
    };
    let [sb, sc] = [b, c].map(|n| i64::try_from(n).expect("a size"));
    let gather = |dtype, others| GatherSpec {
        dtype,
        index: DType::I64,
        outer: a,
        axis: b,
        count: c,
        inner: a,
        rows: b / 2..b,
        others,
    };
    let dims = vec![a, b];
    let nd = GatherNdSpec {
        dtype: DType::F32,
        index: DType::I32,
        batch: b,
        count: c,
        dims,
        inner: a,
        each: false,
    };
    let scatter = |join| ScatterSpec {
        dtype: DType::F32,
        index: DType::I64,
        join,
        batch: b,
        count: c,
        dims: vec![a, b],
        inner: a,
        each: false,
    };
    vec![
        elementwise(DType::F32, &[b * c, c, 1], None, Some(0)),
        elementwise(DType::F32, &[0, c, 1], None, None),
        elementwise(DType::F32, &[b, 1, 0], Some(turned), None),
        elementwise(DType::I64, &[b * c, 0, 1], None, None),
        copy(0, [sb * sc, sc, 1], [c, a * c, 1]),
        copy((b * c).saturating_sub(1), [sb * sc, -sc, -1], [b * c, c, 1]),
        Spec::Gather(gather(DType::F32, Others::Zero)),
        Spec::Gather(gather(DType::I64, Others::Keep)),
        Spec::GatherNd(GatherNdSpec { each: true, dims: vec![b], ..nd.clone() }),
        Spec::GatherNd(nd),
        Spec::Scatter(scatter(None)),
        Spec::Scatter(scatter(Some(BinaryOp::Add))),
        Spec::Cumulate(CumulateSpec {
            op: BinaryOp::Add,
            dtype: DType::I64,
            outer: a,
            len: b,
            inner: c,
            exclusive: false,
            reverse: true,
        }),
        Spec::Rank(RankSpec { dtype: DType::F32, outer: a, len: b, inner: c, largest: true }),
        Spec::Range(RangeSpec { dtype: DType::I64, count: a * b }),
        Spec::Unpack(UnpackSpec {
            from: Packed::Elements(DType::F16),
            apart: false,
            dtype: DType::F16,
            count: a * b,
        }),
        Spec::BlockGather(BlockGatherSpec {
            format: BlockFormat::Q6K,
            index: DType::I64,
            axis: a,
            count: b,
            inner: 256 * c,
        }),
    ]
}

fn arithmetic([a, b, c]: [u64; 3]) -> Vec<Spec> {
    let product = |batch: u64, b_strides: [u64; 3], layout| {
        let epilogue = plus(DType::F32, &[0, 0, 1], layout);
        let (batch, b_strides) = (vec![batch], b_strides.to_vec());
        Spec::MatMul(MatMulSpec {
            batch,
            m: a,
            n: b,
            k: c,
            a_strides: vec![a * c, c, 1],
            b_strides,
            epilogue,
        })
    };
    let blocks = Spec::BlockMatMul(BlockMatMulSpec {
        format: BlockFormat::Q8_0,
        m: a,
        n: b,
        k: 32 * c,
        a_strides: vec![32 * c + b % 5, 1],
        epilogue: plus(DType::F32, &[0, 1], None),
    });
    let turned = Layout { base: 0, shape: vec![2, a, b], strides: vec![b, 2 * b, 1] };
    let conv = |kernel: u64, groups: u64| {
        let sizes = [b, c].map(|size| size.max(kernel));
        Spec::Conv(ConvSpec {
            batch: a,
            channels: 4,
            filters: 8,
            groups,
            input: sizes,
            output: sizes,
            kernel: [kernel; 2],
            strides: [1, 1],
            dilations: [1, 1],
            pads: [kernel / 2; 2],
            packed: false,
            epilogue: plus(DType::F32, &[0, 1, 0, 0], None),
        })
    };
    let reduce = |op, dtype, inner| {
        Spec::Reduce(ReduceSpec { op, dtype, outer: a, len: b, inner, epilogue: none(dtype, 2) })
    };
    let pool = |kind| {
        Spec::Pool(PoolSpec {
            kind,
            dtype: DType::F32,
            planes: a,
            input: [2 * b, 2 * c],
            output: [b, c],
            kernel: [2, 2],
            strides: [2, 2],
            dilations: [1, 1],
            pads: [0, 0],
            pads_end: [0, 0],
        })
    };
    let softmax =
        |inner, in_place| SoftmaxSpec { dtype: DType::F32, outer: a, len: b, inner, log: false, in_place };
    let normalize = NormalizeSpec {
        rows: a,
        len: b,
        epsilon: 1e-5,
        center: true,
        epilogue: plus(DType::F32, &[0, 1], None),
        in_place: false,
    };
    vec![
        product(2, [b * c, b, 1], None),
        product(2, [0, 1, c], Some(turned)),
        blocks,
        conv(1, 1),
        conv(3, 1),
        conv(3, 4),
        reduce(ReduceOp::Mean, DType::F32, 1),
        reduce(ReduceOp::Max, DType::F32, c),
        reduce(ReduceOp::Sum, DType::I64, c),
        pool(PoolKind::Max),
        pool(PoolKind::Average { count_pad: true }),
        Spec::Softmax(softmax(1, true)),
        Spec::Softmax(softmax(c, false)),
        Spec::Normalize(normalize),
    ]
}

/// Sizes at which kernels change, and some between.
const SIZES: [u64; 14] = [0, 1, 2, 3, 4, 5, 8, 9, 16, 31, 36, 64, 1000, 70_000];

/// What a variant gives at a spec, if it serves it.
fn replayed(variant: &Variant, spec: &Spec) -> Option<Launch> {
    let (given, mut params) = (Numbers::of(spec), vec![7]);
    let numbers = variant.at(|key| given.get(key as usize).copied(), &mut params, &mut Vec::new())?;
    let (params, grid, flops) = (params[numbers.params].to_vec(), numbers.grid, numbers.flops);
    Some(Launch { kernel: (*variant.kernel).clone(), params, grid, flops })
}

#[test]
fn variants_launch_as_if_written_for_the_shape() {
    let (mut written, mut served) = (0, 0);
    for target in [Target::generic(), cpu(8), cpu(4)] {
        let mut state = 7_u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            SIZES[(state >> 33) as usize % SIZES.len()]
        };
        let mut variants: Vec<Vec<Variant>> = Vec::new();
        for _ in 0..250 {
            let sizes = [draw(), draw(), draw()];
            let specs = movement(sizes).into_iter().chain(arithmetic(sizes));
            for (index, spec) in specs.enumerate() {
                variants.resize_with(variants.len().max(index + 1), Vec::new);
                let fresh = launch(&spec, &target);
                let known = variants[index].iter().filter_map(|variant| replayed(variant, &spec));
                let known: Vec<Launch> = known.collect();
                for launch in &known {
                    assert_eq!(Ok(launch), fresh.as_ref(), "{spec:?} on {}", target.name);
                }
                served += usize::from(!known.is_empty());
                if known.is_empty() && fresh.is_ok() {
                    let variant = Variant::record(&spec, &Numbers(RefCell::default()), &target);
                    let variant = variant.unwrap_or_else(|e| panic!("{spec:?}: {e}"));
                    assert_eq!(replayed(&variant, &spec), fresh.ok(), "{spec:?}");
                    variants[index].push(variant);
                    written += 1;
                }
            }
        }
    }
    // Few are written: most shapes find one that serves them.
    assert!(served > 3 * written, "{written} written, {served} served");
}
