//! Every family on devices of several makes, and the refusals.

use std::collections::BTreeSet;

use bayplan_graph::op::{BinaryOp, PoolKind, ReduceOp, UnaryOp};
use bayplan_graph::{BlockFormat, DType, Op};

use super::{KERNELS, family, launch};
use crate::{
    Access, Arg, Chain, Class, ConvSpec, CopySpec, CumulateSpec, ElementwiseSpec, Features, GatherNdSpec,
    GatherSpec, HostSpec, MatMulSpec, Mode, NormalizeSpec, Operand, Others, Packed, PoolSpec, RangeSpec,
    RankSpec, ReduceSpec, ScatterSpec, Slot, SoftmaxSpec, Spec, Step, StepOp, Subgroup, Target, UnpackSpec,
    compile_wgsl_as,
};

fn lavapipe() -> Target {
    Target {
        name: "lavapipe-like".into(),
        class: Class::Cpu,
        subgroup: Some(Subgroup { size: 8, shuffle: true, arithmetic: true }),
        features: Features { int64: true, float64: true, ..Features::default() },
        max_workgroup_invocations: 1024,
        max_workgroup_size: [1024; 3],
        max_workgroup_count: [65_535; 3],
        max_shared_memory: 32_768,
        storage_alignment: 16,
        storage_granule: crate::VEC4,
        uniform_alignment: 16,
        max_storage_range: 128 << 20,
        max_allocation: 2 << 30,
        max_loop_passes: Some(crate::CPU_LOOP_PASSES),
    }
}

fn swiftshader() -> Target {
    Target {
        name: "SwiftShader-like".into(),
        subgroup: Some(Subgroup { size: 4, shuffle: true, arithmetic: true }),
        features: Features::default(),
        max_workgroup_invocations: 256,
        max_workgroup_size: [256, 256, 64],
        max_shared_memory: 16_384,
        storage_alignment: 256,
        uniform_alignment: 256,
        ..lavapipe()
    }
}

fn wide_gpu() -> Target {
    Target {
        name: "GPU with subgroups of 32".into(),
        class: Class::Gpu,
        max_loop_passes: None,
        subgroup: Some(Subgroup { size: 32, shuffle: true, arithmetic: true }),
        ..lavapipe()
    }
}

fn targets() -> Vec<Target> {
    let sized = |size| Target {
        name: format!("CPU with subgroups of {size}"),
        subgroup: Some(Subgroup { size, shuffle: true, arithmetic: true }),
        ..lavapipe()
    };
    let alone = Target { name: "CPU without subgroups".into(), subgroup: None, ..lavapipe() };
    vec![Target::generic(), lavapipe(), swiftshader(), wide_gpu(), sized(16), sized(32), alone]
}

fn operand(dtype: DType, strides: &[u64]) -> Operand {
    Operand { dtype, base: 0, strides: strides.to_vec() }
}

fn none(dtype: DType, rank: usize) -> Chain {
    Chain { operands: vec![operand(dtype, &vec![0; rank])], steps: Vec::new(), result: dtype, layout: None }
}

fn elementwise(op: StepOp, from: DType, to: DType, operands: usize, n: u64) -> Spec {
    let args = (0..operands as u32).map(Arg::Operand).collect();
    let chain = Chain {
        operands: vec![operand(from, &[1]); operands],
        steps: vec![Step { op, args, dtype: to }],
        result: to,
        layout: None,
    };
    Spec::Elementwise(ElementwiseSpec { shape: vec![n], chain, in_place: None })
}

fn matmul(m: u64, n: u64, k: u64) -> Spec {
    Spec::MatMul(MatMulSpec {
        batch: vec![2, 3],
        m,
        n,
        k,
        a_strides: vec![3 * m * k, m * k, k, 1],
        b_strides: vec![0, k * n, n, 1],
        epilogue: none(DType::F32, 4),
    })
}

fn conv(kernel: u64, stride: u64, groups: u64) -> ConvSpec {
    ConvSpec {
        batch: 1,
        channels: 16,
        filters: 32,
        groups,
        input: [16, 16],
        output: [16 / stride; 2],
        kernel: [kernel; 2],
        strides: [stride; 2],
        dilations: [1, 1],
        pads: [kernel / 2; 2],
        packed: false,
        epilogue: none(DType::F32, 4),
    }
}

fn reduce(op: ReduceOp, dtype: DType, inner: u64) -> Spec {
    Spec::Reduce(ReduceSpec { op, dtype, outer: 4, len: 20, inner, epilogue: none(dtype, 2) })
}

/// Specs of every family that need no ability.
fn plain() -> Vec<Spec> {
    let mut specs = vec![
        elementwise(StepOp::Binary(BinaryOp::Add), DType::F32, DType::F32, 2, 1000),
        elementwise(StepOp::Cast, DType::F32, DType::Bool, 1, 1000),
        matmul(40, 40, 40),
        matmul(3, 7, 5),
        matmul(1, 64, 64),
        softmax(100, 1, false),
        softmax(10, 7, true),
        Spec::Normalize(NormalizeSpec {
            rows: 4,
            len: 10,
            epsilon: 1e-5,
            center: true,
            epilogue: none(DType::F32, 2),
            in_place: false,
        }),
        Spec::Copy(CopySpec {
            shape: vec![4, 6],
            dtype: DType::I64,
            x_base: 0,
            x_strides: vec![1, 4],
            out_base: 0,
            out_strides: vec![6, 1],
        }),
        Spec::Gather(GatherSpec {
            dtype: DType::I64,
            index: DType::I64,
            outer: 2,
            axis: 9,
            count: 4,
            inner: 3,
            rows: 0..9,
            others: Others::Zero,
        }),
        Spec::Gather(GatherSpec {
            dtype: DType::F32,
            index: DType::I64,
            outer: 1,
            axis: 90,
            count: 4,
            inner: 4,
            rows: 30..60,
            others: Others::Keep,
        }),
        Spec::GatherNd(GatherNdSpec {
            dtype: DType::F32,
            index: DType::I64,
            batch: 1,
            count: 5,
            dims: vec![3, 4],
            inner: 4,
            each: false,
        }),
        scatter(DType::F32, None),
        scatter(DType::F32, Some(BinaryOp::Max)),
        Spec::Cumulate(cumulate(DType::F32)),
        Spec::Rank(RankSpec { dtype: DType::F32, outer: 2, len: 9, inner: 3, largest: true }),
        Spec::Range(RangeSpec { dtype: DType::I32, count: 9 }),
        unpack(Packed::Elements(DType::BF16)),
        unpack(Packed::Blocks(BlockFormat::Q4K)),
    ];
    specs.extend(crate::kernels::block_matmul::specs());
    for (kernel, stride, groups) in [(1, 1, 1), (1, 2, 1), (3, 1, 1), (3, 2, 1), (5, 1, 2), (3, 1, 16)] {
        specs.push(Spec::Conv(conv(kernel, stride, groups)));
    }
    for kind in [PoolKind::Max, PoolKind::Average { count_pad: true }, PoolKind::Average { count_pad: false }]
    {
        specs.push(Spec::Pool(PoolSpec {
            kind,
            dtype: DType::F32,
            planes: 4,
            input: [8, 8],
            output: [4, 4],
            kernel: [2, 2],
            strides: [2, 2],
            dilations: [1, 1],
            pads: [0, 0],
            pads_end: [0, 0],
        }));
    }
    for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max, ReduceOp::Min, ReduceOp::Prod] {
        specs.extend([reduce(op, DType::F32, 1), reduce(op, DType::F32, 5), reduce(op, DType::I32, 1)]);
    }
    specs
}

fn scatter(dtype: DType, join: Option<BinaryOp>) -> Spec {
    let (dims, index) = (vec![3, 4], DType::I64);
    Spec::Scatter(ScatterSpec {
        dtype,
        index,
        join,
        batch: 1,
        count: 5,
        dims,
        inner: 4,
        each: join.is_some(),
    })
}

fn softmax(len: u64, inner: u64, log: bool) -> Spec {
    Spec::Softmax(SoftmaxSpec { dtype: DType::F32, outer: 4, len, inner, log, in_place: !log })
}

fn unpack(from: Packed) -> Spec {
    Spec::Unpack(UnpackSpec { from, apart: false, dtype: DType::F32, count: 7 })
}

fn cumulate(dtype: DType) -> CumulateSpec {
    let (exclusive, reverse) = (true, true);
    CumulateSpec { op: BinaryOp::Mul, dtype, outer: 2, len: 9, inner: 3, exclusive, reverse }
}

/// Specs that compute with 64-bit integers.
fn wide() -> Vec<Spec> {
    vec![
        elementwise(StepOp::Binary(BinaryOp::Div), DType::I64, DType::I64, 2, 10),
        elementwise(StepOp::Binary(BinaryOp::Mod), DType::U64, DType::U64, 2, 10),
        elementwise(StepOp::Binary(BinaryOp::Pow), DType::I64, DType::I64, 2, 10),
        elementwise(StepOp::Cast, DType::F32, DType::I64, 1, 10),
        reduce(ReduceOp::Max, DType::I64, 1),
        reduce(ReduceOp::Min, DType::I64, 1),
        reduce(ReduceOp::Min, DType::U64, 3),
        reduce(ReduceOp::Mean, DType::I64, 1),
        scatter(DType::I64, Some(BinaryOp::Add)),
        Spec::Cumulate(cumulate(DType::U64)),
        Spec::Rank(RankSpec { dtype: DType::I64, outer: 2, len: 9, inner: 3, largest: false }),
        Spec::Range(RangeSpec { dtype: DType::I64, count: 9 }),
    ]
}

/// Launches, checks the launch against the device, and compiles in both modes.
fn check(spec: &Spec, target: &Target) {
    let launch = launch(spec, target).unwrap_or_else(|e| panic!("{}: {e}", target.name));
    let name = format!("{} on {}", launch.kernel.name, target.name);
    for mode in [Mode::Production, Mode::Checked] {
        let spirv = compile_wgsl_as(&launch.kernel, mode).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(spirv[0], 0x0723_0203, "{name}");
    }
    let [x, y, z] = launch.kernel.workgroup;
    assert!(x * y * z <= target.max_workgroup_invocations && x <= target.max_workgroup_size[0], "{name}");
    assert!(launch.grid.iter().zip(target.max_workgroup_count).all(|(g, max)| *g <= max && *g > 0), "{name}");
    assert!(launch.params.len().is_multiple_of(4), "{name}");
    assert_eq!(launch.kernel.has_params, !launch.params.is_empty(), "{name}");
    let bare = launch.kernel.wgsl.lines().find(|l| l.contains("var<storage") && l.contains("array"));
    assert_eq!(bare, None, "{name}: storage arrays go in structs");
    if let Some(size) = launch.kernel.subgroup {
        assert_eq!(Some(size), target.subgroup.map(|s| s.size), "{name}");
    }
}

#[test]
fn every_family_runs_on_every_device() {
    for target in targets() {
        let mut families = BTreeSet::new();
        for spec in plain() {
            check(&spec, &target);
            families.insert(family(&spec));
        }
        assert_eq!(families.len(), 17, "every family is tried");
        // The host's has no text to compile.
        for row in KERNELS.iter().filter(|row| row.family != "host") {
            assert!(families.contains(row.family), "row {} serves a family that exists", row.name);
        }
    }
}

#[test]
fn what_the_host_computes_has_windows_and_no_text() {
    let op = Op::Unique { axis: None, sorted: true };
    let list = |n| (DType::I64, vec![n]);
    let results = vec![list(6), list(6), list(6), list(1)];
    let operands = vec![(DType::F32, vec![6])];
    let spec = HostSpec { op, operands, results, result: 3, why: "a reason".into() };
    for target in targets() {
        let launch = launch(&Spec::Host(spec.clone()), &target).expect("windows");
        assert!(launch.kernel.is_host() && !launch.kernel.has_params);
        let access: Vec<_> = launch.kernel.bindings.iter().map(|own| (own.slot, own.access)).collect();
        assert_eq!(access, [(Slot::Operand(0), Access::Read), (Slot::Output, Access::Write)]);
    }
}

#[test]
fn elementwise_operations_compile_at_both_widths() {
    let narrow = [DType::F32, DType::I8, DType::I16, DType::I32, DType::U8, DType::U16, DType::U32];
    let numbers = [&narrow[..], &[DType::I64, DType::U64]].concat();
    let mut specs = Vec::new();
    for &dtype in numbers.iter().chain(&[DType::Bool]) {
        let to = |tests: bool| if tests { DType::Bool } else { dtype };
        for &op in UnaryOp::ALL.iter().filter(|op| op.takes(dtype)) {
            specs.push(elementwise(StepOp::Unary(op), dtype, to(op.tests()), 1, 8));
        }
        for &op in BinaryOp::ALL.iter().filter(|op| op.takes(dtype)) {
            specs.push(elementwise(StepOp::Binary(op), dtype, to(op.tests()), 2, 8));
        }
    }
    for &dtype in &numbers {
        for &to in numbers.iter().chain(&[DType::Bool]) {
            specs.push(elementwise(StepOp::Cast, dtype, to, 1, 8));
            specs.push(elementwise(StepOp::Cast, to, dtype, 1, 8));
        }
    }
    for spec in specs {
        check(&spec, &lavapipe());
        check(&spec, &swiftshader());
        // Rows of 7 keep to single elements.
        let Spec::Elementwise(mut spec) = spec else { panic!("{spec:?} is no chain") };
        spec.shape = vec![2, 7];
        for (i, operand) in spec.chain.operands.iter_mut().enumerate() {
            operand.strides = vec![if i == 0 { 8 } else { 0 }, 1];
        }
        check(&Spec::Elementwise(spec.clone()), &lavapipe());
        check(&Spec::Elementwise(spec), &swiftshader());
    }
}

#[test]
fn packed_weights_go_to_the_blocked_kernel() {
    let mut spec = conv(3, 1, 1);
    let packing = spec.packing(&lavapipe()).expect("this shape packs");
    assert_eq!(packing.elements, 32 * 16 * 12);
    spec.packed = true;
    for target in [lavapipe(), swiftshader()] {
        check(&Spec::Conv(spec.clone()), &target);
    }
    assert_eq!(spec.packing(&Target::generic()), None);
    let refusal = launch(&Spec::Conv(spec), &Target::generic()).unwrap_err();
    assert_eq!(refusal.to_string(), "conv: no kernel serves device `generic`");
    for other in [conv(3, 2, 1), conv(1, 1, 1), conv(3, 1, 2)] {
        assert_eq!(other.packing(&lavapipe()), None);
    }
}

#[test]
fn wide_integers_run_everywhere() {
    for spec in wide() {
        for target in [lavapipe(), Target::generic(), swiftshader()] {
            check(&spec, &target);
            let text = launch(&spec, &target).unwrap().kernel.wgsl;
            let native = text.contains("i64") || text.contains("u64(");
            assert_eq!(native, target.features.int64, "{} {text}", target.name);
        }
    }
}

#[test]
fn what_exceeds_a_limit_is_refused_by_name() {
    let check = |spec: &Spec, target: &Target, want: &str| {
        let refusal = launch(spec, target).unwrap_err();
        assert_eq!(refusal.to_string(), want);
    };
    let add = |n| elementwise(StepOp::Binary(BinaryOp::Add), DType::F32, DType::F32, 2, n);
    check(
        &add(1 << 26),
        &lavapipe(),
        "elementwise: operand 0 takes 268435456 bytes, the device binds at most 134217728 at once",
    );
    let roomy = Target { max_storage_range: u64::MAX, ..lavapipe() };
    check(&add(1 << 32), &roomy, "elementwise: operand 0 has 4294967296 words, kernels count at most 2^31");
    let tiny = Target { max_shared_memory: 1024, ..Target::generic() };
    check(
        &matmul(8, 8, 8),
        &tiny,
        "matmul: workgroups of 128 with 1024 bytes of shared memory are too small",
    );
    let double = elementwise(StepOp::Cast, DType::F64, DType::F32, 1, 8);
    let reason = "elementwise: the device has no 64-bit floats in shaders (shaderFloat64 and shaderInt64)";
    check(&double, &swiftshader(), reason);
    let shape = elementwise(StepOp::Unary(UnaryOp::Exp), DType::I32, DType::I32, 1, 8);
    check(&shape, &lavapipe(), "elementwise: Exp is not defined for i32");
    let few = Target { max_workgroup_count: [2, 2, 2], ..lavapipe() };
    check(&add(1 << 20), &few, "elementwise: 1024 workgroups are more than the device's grid holds");
}

#[test]
fn loops_that_a_cpu_driver_would_stop_are_refused_there() {
    let reduce = |len, inner| {
        let epilogue = none(DType::F32, 2);
        Spec::Reduce(ReduceSpec { op: ReduceOp::Sum, dtype: DType::F32, outer: 1, len, inner, epilogue })
    };
    let softmax = |len, inner| {
        Spec::Softmax(SoftmaxSpec { dtype: DType::F32, outer: 1, len, inner, log: false, in_place: false })
    };
    let normalize = |len, center| {
        let epilogue = none(DType::F32, 2);
        Spec::Normalize(NormalizeSpec { rows: 1, len, epsilon: 0.0, center, epilogue, in_place: false })
    };
    let pool = |kernel: [u64; 2]| {
        let (planes, output, one, no) = (1, [1, 1], [1, 1], [0, 0]);
        let (input, strides, dilations, pads, pads_end) = (kernel, one, one, no, no);
        let kind = PoolKind::Max;
        Spec::Pool(PoolSpec {
            kind,
            dtype: DType::F32,
            planes,
            input,
            output,
            kernel,
            strides,
            dilations,
            pads,
            pads_end,
        })
    };
    let window = |groups, kernel: [u64; 2]| {
        let (input, output, pads) = (kernel, [1, 1], [0, 0]);
        let small = ConvSpec { channels: 2, filters: 2, input, output, kernel, pads, ..conv(1, 1, groups) };
        Spec::Conv(small)
    };
    let product = |k| {
        let (batch, a_strides, b_strides) = (vec![], vec![k, 1], vec![1, 1]);
        let epilogue = none(DType::F32, 2);
        Spec::MatMul(MatMulSpec { batch, m: 1, n: 1, k, a_strides, b_strides, epilogue })
    };
    // Without subgroups, one invocation goes through a row.
    let cpu = Target { subgroup: None, max_storage_range: 1 << 32, ..lavapipe() };
    let gpu = Target { class: Class::Gpu, max_loop_passes: None, ..cpu.clone() };
    // The longest that is served: 65,535 passes, less the one that finds the end of each loop.
    for (longest, beyond) in [
        (reduce(64 * 65_534, 2), reduce(64 * 65_534 + 1, 2)),
        (softmax(64 * 21_844, 2), softmax(64 * 21_844 + 1, 2)),
        (normalize(64 * 21_844 * 4, true), normalize(64 * 21_844 * 4 + 4, true)),
        (normalize(64 * 32_766 * 4, false), normalize(64 * 32_766 * 4 + 4, false)),
        (pool([64, 65_534]), pool([64, 65_535])),
        (window(2, [65_534, 64]), window(2, [65_535, 64])),
        (window(1, [65_534, 16]), window(1, [65_535, 16])),
        (product(32 * 65_534), product(32 * 65_534 + 1)),
    ] {
        assert!(launch(&longest, &cpu).is_ok(), "{longest:?}");
        let refusal = launch(&beyond, &cpu).unwrap_err();
        assert!(refusal.reason.contains("leaves loops after 65535"), "{refusal}");
        assert_eq!(refusal.what, family(&beyond));
        assert!(launch(&beyond, &gpu).is_ok(), "{beyond:?}");
    }
}

#[test]
fn common_lengths_have_one_step_to_a_pass() {
    let spec = |len| {
        Spec::Softmax(SoftmaxSpec { dtype: DType::F32, outer: 1, len, inner: 2, log: false, in_place: false })
    };
    let text = |len| launch(&spec(len), &lavapipe()).unwrap().kernel;
    assert_eq!(text(9), text(21_844));
    assert_ne!(text(9), text(21_845));
    assert!(text(21_845).name.contains(".by8"), "{}", text(21_845).name);
    let gpu = |len| launch(&spec(len), &wide_gpu()).unwrap().kernel;
    assert_eq!(gpu(9), gpu(1_000_000));
}

#[test]
fn malformed_specs_are_refused() {
    let chain = |steps: Vec<Step>| {
        let chain =
            Chain { operands: vec![operand(DType::F32, &[1])], steps, result: DType::F32, layout: None };
        Spec::Elementwise(ElementwiseSpec { shape: vec![4], chain, in_place: None })
    };
    let step = |op, args: Vec<Arg>| Step { op, args, dtype: DType::F32 };
    let add = StepOp::Binary(BinaryOp::Add);
    for (spec, want) in [
        (chain(vec![step(add, vec![Arg::Operand(0), Arg::Operand(1)])]), "a step reads operand 1"),
        (
            chain(vec![step(add, vec![Arg::Operand(0), Arg::Step(0)])]),
            "a step reads step 0, which is not before it",
        ),
        (chain(vec![step(add, vec![Arg::Operand(0)])]), "takes 2 arguments, the step has 1"),
        (chain(vec![step(add, vec![Arg::Operand(0), Arg::Const(DType::I32, 1)])]), "the types differ"),
    ] {
        let refusal = launch(&spec, &lavapipe()).unwrap_err();
        assert!(refusal.reason.contains(want), "{refusal}");
    }
    let Spec::Elementwise(mut strange) = chain(vec![]) else { panic!("a chain is elementwise") };
    strange.chain.operands[0].strides = vec![1, 1];
    assert!(launch(&Spec::Elementwise(strange.clone()), &lavapipe()).is_err());
    strange.chain.operands[0].strides = vec![0];
    strange.in_place = Some(0);
    assert!(launch(&Spec::Elementwise(strange), &lavapipe()).is_err());
}

#[test]
fn shapes_travel_in_parameters() {
    let same = |a: &Spec, b: &Spec| {
        let (a, b) = (launch(a, &lavapipe()).unwrap(), launch(b, &lavapipe()).unwrap());
        assert_eq!(a.kernel, b.kernel);
        assert_ne!(a.params, b.params);
    };
    same(&matmul(64, 64, 64), &matmul(128, 256, 512));
    let (small, mut large) = (conv(3, 2, 1), conv(3, 2, 1));
    (large.channels, large.input, large.output) = (64, [32, 20], [16, 10]);
    same(&Spec::Conv(small), &Spec::Conv(large));
    let add = |n| elementwise(StepOp::Binary(BinaryOp::Add), DType::F32, DType::F32, 2, n);
    same(&add(2), &add(77_777));
    // Constants too.
    let scale = |c: f32| {
        let args = vec![Arg::Operand(0), Arg::Const(DType::F32, u64::from(c.to_bits()))];
        let steps = vec![Step { op: StepOp::Binary(BinaryOp::Mul), args, dtype: DType::F32 }];
        let chain =
            Chain { operands: vec![operand(DType::F32, &[1])], steps, result: DType::F32, layout: None };
        Spec::Elementwise(ElementwiseSpec { shape: vec![9], chain, in_place: None })
    };
    same(&scale(1.0), &scale(2.0));
}

/// The lanes that the shuffles of a text read.
fn shuffled(wgsl: &str) -> Vec<u32> {
    let calls = wgsl.split("subgroupShuffle(").skip(1);
    calls.filter_map(|c| c.split_once(", ")?.1.split_once("u)")?.0.parse().ok()).collect()
}

#[test]
fn kernels_take_their_lanes_from_the_target() {
    let with = |size: Option<u32>| Target {
        name: format!("{size:?} lanes"),
        subgroup: size.map(|size| Subgroup { size, shuffle: true, arithmetic: true }),
        ..lavapipe()
    };
    let sizes = [Some(4), Some(8), Some(16), Some(32), None];
    let mut specs = plain();
    specs.extend(wide());
    let packed = ConvSpec { packed: true, ..conv(3, 1, 1) };
    let mut with_lanes = BTreeSet::new();
    for size in sizes {
        let target = with(size);
        let packed = packed.packing(&target).map(|_| Spec::Conv(packed.clone()));
        for spec in specs.iter().chain(&packed) {
            let kernel = launch(spec, &target).unwrap().kernel;
            let name = format!("{} on {}", kernel.name, target.name);
            assert_eq!(kernel.wgsl.contains("subgroup"), kernel.subgroup.is_some(), "{name}");
            for other in sizes {
                let fits = kernel.subgroup.is_none() || other == size;
                assert_eq!(kernel.suits(&with(other)).is_ok(), fits, "{name} on {other:?}");
            }
            let Some(size) = kernel.subgroup else { continue };
            assert_eq!(
                (Some(size), kernel.workgroup),
                (target.subgroup.map(|s| s.size), [size, 1, 1]),
                "{name}"
            );
            let lanes = shuffled(&kernel.wgsl);
            assert_eq!(
                lanes.len(),
                kernel.wgsl.matches("subgroupShuffle(").count(),
                "{name}: constant lanes"
            );
            assert!(lanes.iter().all(|&lane| lane < size), "{name}: {lanes:?}");
            with_lanes.insert(family(spec));
        }
    }
    assert_eq!(
        Vec::from_iter(with_lanes),
        ["block_matmul", "conv", "matmul", "normalize", "reduce", "softmax"]
    );
}

#[test]
fn a_device_that_lacks_an_operation_gets_other_kernels() {
    for (shuffle, arithmetic) in [(true, false), (false, true), (false, false)] {
        let subgroup = Some(Subgroup { size: 8, shuffle, arithmetic });
        let target = Target { subgroup, ..lavapipe() };
        for spec in plain() {
            let text = launch(&spec, &target).unwrap().kernel.wgsl;
            assert!(shuffle || !text.contains("subgroupShuffle("), "{text}");
            assert!(
                arithmetic
                    || ["Add", "Mul", "Max", "Min"]
                        .iter()
                        .all(|op| !text.contains(&format!("subgroup{op}(")))
            );
        }
    }
}

#[test]
fn nothing_to_do_is_an_empty_grid() {
    let launch =
        launch(&elementwise(StepOp::Binary(BinaryOp::Add), DType::F32, DType::F32, 2, 0), &lavapipe());
    assert_eq!(launch.unwrap().grid, [0, 0, 0]);
}
