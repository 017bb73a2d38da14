//! Results at places of their own and operands from any element on: the same bits as without, and nothing between them.

mod common;

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, ReduceOp};
use bayplan_shaders::{
    Arg, Chain, ConvSpec, ElementwiseSpec, Layout, MatMulSpec, NormalizeSpec, Operand, ReduceSpec, Spec,
    Step, StepOp, Target, launch,
};
use common::{POISON, Random, run, targets, words};

/// `acc + operand` (an epilogue), or `operand 0 + operand 1`; both over a shape, the second with those strides.
fn sum(dtype: DType, strides: [&[u64]; 2]) -> Chain {
    let operand = |strides: &[u64]| Operand { dtype, base: 0, strides: strides.to_vec() };
    let args = vec![Arg::Operand(0), Arg::Operand(1)];
    Chain {
        operands: strides.map(operand).to_vec(),
        steps: vec![Step { op: StepOp::Binary(BinaryOp::Add), args, dtype }],
        result: dtype,
        layout: None,
    }
}

fn contiguous(shape: &[u64]) -> Vec<u64> {
    (0..shape.len()).map(|d| shape[d + 1..].iter().product()).collect()
}

/// The place of every element of a result, in its order.
fn places(layout: &Layout) -> Vec<u64> {
    let mut all = vec![layout.base];
    for (&size, &stride) in layout.shape.iter().zip(&layout.strides) {
        all = all.iter().flat_map(|at| (0..size).map(move |i| at + i * stride)).collect();
    }
    all
}

/// Strides that put the dimensions in another order, each with that many elements of room after it.
fn turned(shape: &[u64], order: &[usize], room: u64) -> Vec<u64> {
    let mut strides = vec![0; shape.len()];
    let mut next = 1;
    for &d in order.iter().rev() {
        strides[d] = next;
        next = next * shape[d] + room;
    }
    strides
}

/// The spec without a layout, then with: bit by bit the same, and poison wherever no element goes.
fn check(what: &str, spec: &Spec, target: &Target, operands: &[Vec<u32>], layout: &Layout) {
    let wide = if spec.chain().expect("a chain").result == DType::I64 { 2 } else { 1 };
    let count = layout.shape.iter().product::<u64>() as usize;
    let plain = run(spec, target, operands, (count * wide) as u64, None);
    let mut strided = spec.clone();
    strided.chain_mut().expect("a chain").layout = Some(layout.clone());
    let places = places(layout);
    let end = (places.iter().max().expect("elements") + 1) as usize * wide;
    // Beyond the last element too, nothing but it is written.
    let got = run(&strided, target, operands, end as u64 + 4, None);
    let mut want = vec![POISON; end + 4];
    for (element, &at) in places.iter().enumerate() {
        want[at as usize * wide..][..wide].copy_from_slice(&plain[element * wide..][..wide]);
    }
    let name = launch(&strided, target).expect("it has a kernel").kernel.name;
    assert_eq!(got, want, "{}: {what}: {name} with {layout:?}", target.name);
}

/// A shape's own order, turned round, and with room; from the beginning, a multiple of 4, and anywhere.
fn layouts(shape: &[u64]) -> Vec<Layout> {
    let own: Vec<usize> = (0..shape.len()).collect();
    let mut rolled = own.clone();
    rolled.rotate_left(1);
    let reversed: Vec<usize> = own.iter().rev().copied().collect();
    let mut all = Vec::new();
    for (order, room, base) in
        [(&own, 0, 0), (&own, 0, 3), (&own, 8, 4), (&own, 3, 1), (&rolled, 0, 8), (&reversed, 4, 5)]
    {
        all.push(Layout { base, shape: shape.to_vec(), strides: turned(shape, order, room) });
    }
    all
}

#[test]
fn elementwise() {
    for target in &targets() {
        for shape in [&[3_u64, 4, 8][..], &[2, 3, 5], &[7], &[16], &[1], &[2, 1, 6, 4]] {
            let n: u64 = shape.iter().product();
            for dtype in [DType::F32, DType::I64] {
                let wide = if dtype == DType::I64 { 2 } else { 1 };
                let data = |seed| -> Vec<u32> {
                    let mut random = Random::new(seed);
                    if wide == 2 {
                        (0..2 * n).map(|_| random.next() as u32).collect()
                    } else {
                        words(&random.floats(n))
                    }
                };
                let chain = sum(dtype, [&contiguous(shape), &contiguous(shape)]);
                let spec =
                    Spec::Elementwise(ElementwiseSpec { shape: shape.to_vec(), chain, in_place: None });
                for layout in layouts(shape) {
                    check("sum", &spec, target, &[data(1), data(2)], &layout);
                }
            }
        }
    }
}

#[test]
fn operands_begin_anywhere() {
    let shape = [3_u64, 5, 8];
    for target in &targets() {
        for (base, strides) in [
            (0, vec![40, 8, 1]),
            (3, vec![40, 8, 1]),
            (4, vec![80, 16, 2]),
            (8, vec![8, 24, 1]),
            (5, vec![0; 3]),
            (7, vec![1, 3, 15]),
        ] {
            let mut chain = sum(DType::F32, [&contiguous(&shape), &strides]);
            chain.operands[1].base = base;
            let place = Layout { base, shape: shape.to_vec(), strides: strides.clone() };
            let end = places(&place).into_iter().max().expect("elements") + 1;
            let (x, y) = (Random::new(5).floats(120), Random::new(6).floats(end));
            let want: Vec<f32> = x.iter().zip(places(&place)).map(|(x, at)| x + y[at as usize]).collect();
            for shape in [&shape[..], &[3, 5, 8, 1]] {
                let mut chain = chain.clone();
                for operand in &mut chain.operands {
                    operand.strides.resize(shape.len(), 1);
                }
                let spec =
                    Spec::Elementwise(ElementwiseSpec { shape: shape.to_vec(), chain, in_place: None });
                let got = run(&spec, target, &[words(&x), words(&y)], 120, None);
                assert_eq!(got, words(&want), "{}: {place:?}", target.name);
            }
            // As an epilogue of rows.
            let zeros = vec![0.0; 120];
            let mut epilogue = chain.clone();
            epilogue.operands.iter_mut().for_each(|o| o.strides = vec![0, 0]);
            epilogue.operands[1] = Operand { dtype: DType::F32, base, strides: vec![9, 1] };
            let rows =
                NormalizeSpec { rows: 15, len: 8, epsilon: 1.0, center: true, epilogue, in_place: false };
            let y = Random::new(7).floats(base + 9 * 14 + 8);
            let got = run(&Spec::Normalize(rows), target, &[words(&zeros), words(&y)], 120, None);
            let want: Vec<f32> = (0..120).map(|i| y[(base + i / 8 * 9 + i % 8) as usize]).collect();
            assert_eq!(got, words(&want), "{}: an epilogue from {base} on", target.name);
        }
    }
}

#[test]
fn products() {
    for target in &targets() {
        for (batch, [m, n, k]) in
            [(2, [5, 12, 8]), (1, [1, 24, 16]), (3, [6, 10, 5]), (1, [33, 64, 12]), (2, [4, 1, 4])]
        {
            let spec = Spec::MatMul(MatMulSpec {
                batch: vec![batch],
                m,
                n,
                k,
                a_strides: vec![m * k, k, 1],
                b_strides: vec![k * n, n, 1],
                epilogue: sum(DType::F32, [&[0, 0, 0], &[0, 0, 1]]),
            });
            let mut random = Random::new(m + n);
            let operands = [batch * m * k, batch * k * n, n].map(|count| words(&random.floats(count)));
            for layout in layouts(&[batch, m, n]) {
                check("product", &spec, target, &operands, &layout);
            }
            // Rows and columns in pieces, as heads are.
            let half = |size: u64| if size.is_multiple_of(2) { vec![2, size / 2] } else { vec![size] };
            let pieces = [vec![batch], half(m), half(n)].concat();
            let mut order: Vec<usize> = (0..pieces.len()).collect();
            order.swap(1, pieces.len() - 2);
            for (base, room) in [(0, 0), (4, 4), (3, 5)] {
                let strides = turned(&pieces, &order, room);
                check(
                    "product in pieces",
                    &spec,
                    target,
                    &operands,
                    &Layout { base, shape: pieces.clone(), strides },
                );
            }
        }
    }
}

#[test]
fn rows() {
    for target in &targets() {
        for (rows, len) in [(6, 8), (5, 7), (1, 64)] {
            let epilogue = sum(DType::F32, [&[0, 0], &[0, 1]]);
            let x = words(&Random::new(rows).floats(rows * len * 3));
            let y = words(&Random::new(len).floats(len));
            let part = x[..(rows * len) as usize].to_vec();
            let spec = NormalizeSpec { rows, len, epsilon: 1e-3, center: true, epilogue, in_place: false };
            for layout in layouts(&[rows, len]) {
                check(
                    "normalise",
                    &Spec::Normalize(spec.clone()),
                    target,
                    &[part.clone(), y.clone()],
                    &layout,
                );
            }
            let epilogue = sum(DType::F32, [&[0, 0], &[0, 1]]);
            let spec = ReduceSpec {
                op: ReduceOp::Sum,
                dtype: DType::F32,
                outer: rows,
                len: 3,
                inner: len,
                epilogue,
            };
            for layout in layouts(&[rows, len]) {
                check("reduce", &Spec::Reduce(spec.clone()), target, &[x.clone(), y.clone()], &layout);
            }
        }
    }
}

#[test]
fn convolutions() {
    let conv = |batch, channels, filters, groups, size: [u64; 2], kernel: u64| ConvSpec {
        batch,
        channels,
        filters,
        groups,
        input: size,
        output: size,
        kernel: [kernel; 2],
        strides: [1, 1],
        dilations: [1, 1],
        pads: [kernel / 2; 2],
        packed: false,
        epilogue: sum(DType::F32, [&[0; 4], &[0, 1, 0, 0]]),
    };
    for target in &targets() {
        for spec in [
            conv(2, 3, 9, 1, [5, 8], 3),
            conv(1, 4, 6, 2, [4, 4], 1),
            conv(2, 6, 6, 6, [5, 7], 3),
            conv(2, 4, 12, 2, [3, 5], 3),
        ] {
            let mut random = Random::new(spec.filters);
            let taps = spec.kernel[0] * spec.kernel[1] * spec.channels / spec.groups;
            let operands = [
                spec.batch * spec.channels * spec.input[0] * spec.input[1],
                spec.filters * taps,
                spec.filters,
            ]
            .map(|count| words(&random.floats(count)));
            let shape = [spec.batch, spec.filters, spec.output[0], spec.output[1]];
            for layout in layouts(&shape) {
                check("conv", &Spec::Conv(spec.clone()), target, &operands, &layout);
            }
            // Channels shuffled, pixels in one piece.
            let groups = if spec.groups > 1 { spec.groups } else { 3 };
            let pieces = vec![spec.batch, groups, spec.filters / groups, spec.output[0] * spec.output[1]];
            let strides = turned(&pieces, &[0, 2, 1, 3], 0);
            let shuffled = Layout { base: 0, shape: pieces, strides };
            check("shuffled conv", &Spec::Conv(spec.clone()), target, &operands, &shuffled);
        }
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let chain = sum(DType::F32, [&[4, 1], &[4, 1]]);
    let spec = |layout: Layout, in_place| {
        let chain = Chain { layout: Some(layout), ..chain.clone() };
        Spec::Elementwise(ElementwiseSpec { shape: vec![3, 4], chain, in_place })
    };
    let of =
        |shape: &[u64], strides: &[u64]| Layout { base: 0, shape: shape.to_vec(), strides: strides.to_vec() };
    let target = Target::generic();
    let reason = |spec: Spec| launch(&spec, &target).expect_err("a refusal").reason;
    assert!(reason(spec(of(&[3, 4], &[3, 1]), None)).contains("meets itself"));
    assert!(reason(spec(of(&[12], &[1]), None)).contains("other dimensions"));
    assert!(reason(spec(of(&[3, 4], &[4, 1]), Some(0))).contains("in place"));
    assert!(reason(spec(of(&[3, 4], &[4]), None)).contains("1 strides over 2 dimensions"));
}
