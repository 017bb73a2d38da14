//! Properties over random operators and operands: nothing panics, and what is inferred with symbols is what comes out.

mod common;

use bayplan_expr::Bindings;
use bayplan_graph::op::{
    BinaryOp, F32Bits, Keep, PadMode, Pads, PoolKind, ReduceOp, UnaryOp, ViewOp, Window,
};
use bayplan_graph::{DType, NoFiles, Op, Tensor, eval, eval_node};
use common::Build;
use proptest::prelude::*;

fn window() -> impl Strategy<Value = Window> {
    let list = |n| proptest::collection::vec(0_usize..4, n);
    let pads = prop_oneof![
        proptest::collection::vec(-2_i64..4, 0..6).prop_map(Pads::Explicit),
        any::<bool>().prop_map(|upper| Pads::Same { upper }),
    ];
    (1_usize..3).prop_flat_map(move |n| (list(n), list(n), list(n), pads.clone(), any::<bool>())).prop_map(
        |(kernel, strides, dilations, pads, ceil)| Window { kernel, strides, dilations, pads, ceil },
    )
}

fn join() -> impl Strategy<Value = Option<BinaryOp>> {
    proptest::sample::select(vec![
        None,
        Some(BinaryOp::Add),
        Some(BinaryOp::Mul),
        Some(BinaryOp::Max),
        Some(BinaryOp::Sub),
    ])
}

fn op() -> impl Strategy<Value = Op> {
    let axis = -4_i64..5;
    prop_oneof![
        Just(Op::Unary(UnaryOp::Neg)),
        Just(Op::Unary(UnaryOp::Erf)),
        Just(Op::Binary(BinaryOp::Div)),
        Just(Op::Binary(BinaryOp::Pow)),
        Just(Op::Binary(BinaryOp::Mod)),
        Just(Op::Select),
        Just(Op::Cast(DType::I8)),
        Just(Op::MatMul),
        (window(), 0_usize..3).prop_map(|(w, g)| Op::Conv(w, g)),
        window().prop_map(|w| Op::Pool(PoolKind::Max, w)),
        window().prop_map(|w| Op::Pool(PoolKind::Average { count_pad: true }, w)),
        Just(Op::Reduce(ReduceOp::Max, Keep::None)),
        Just(Op::Reduce(ReduceOp::Mean, Keep::Dims)),
        axis.clone().prop_map(|axis| Op::Softmax { axis, log: true }),
        axis.clone().prop_map(|axis| Op::Normalize { axis, epsilon: F32Bits::new(1e-5), center: true }),
        any::<bool>().prop_map(|allow_zero| Op::View(ViewOp::Reshape { allow_zero })),
        Just(Op::View(ViewOp::Squeeze)),
        Just(Op::View(ViewOp::Unsqueeze)),
        axis.clone().prop_map(|a| Op::View(ViewOp::Flatten(a))),
        proptest::collection::vec(0_usize..4, 0..4).prop_map(Op::Transpose),
        Just(Op::Expand),
        Just(Op::Slice),
        axis.clone().prop_map(|axis| Op::Split { axis }),
        axis.clone().prop_map(|axis| Op::Concat { axis }),
        prop_oneof![
            Just(PadMode::Constant),
            Just(PadMode::Reflect),
            Just(PadMode::Edge),
            Just(PadMode::Wrap)
        ]
        .prop_map(Op::Pad),
        axis.clone().prop_map(|axis| Op::Gather { axis }),
        (0_usize..3).prop_map(|batch_dims| Op::GatherNd { batch_dims }),
        axis.clone().prop_map(|axis| Op::GatherElements { axis }),
        (axis.clone(), join()).prop_map(|(axis, join)| Op::ScatterElements { axis, join }),
        join().prop_map(|join| Op::ScatterNd { join }),
        (axis.clone(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(axis, add, exclusive, reverse)| {
                let op = if add { BinaryOp::Add } else { BinaryOp::Mul };
                Op::Cumulate { op, axis, exclusive, reverse }
            }
        ),
        (axis.clone(), any::<bool>()).prop_map(|(axis, largest)| Op::Rank { axis, largest }),
        (axis.clone(), proptest::option::of(axis)).prop_map(|(start, end)| Op::Shape { start, end }),
        Just(Op::Range),
        Just(Op::Fill),
    ]
}

fn tensor() -> impl Strategy<Value = Tensor> {
    let dtype = prop_oneof![3 => Just(DType::F32), 4 => Just(DType::I64), 1 => Just(DType::Bool)];
    let edge = prop_oneof![8 => -3_i64..6, 1 => Just(i64::MAX), 1 => Just(i64::MIN)];
    (dtype, proptest::collection::vec(0_usize..4, 0..5), proptest::collection::vec(edge, 256)).prop_map(
        |(dtype, shape, values)| {
            let n: usize = shape.iter().product();
            let list: Vec<i128> = values.iter().cycle().take(n).map(|&v| v.into()).collect();
            Tensor::from_ints(dtype, shape, &list).expect("a small tensor")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Whatever the operands, evaluation gives tensors or an error.
    #[test]
    fn nothing_panics(op in op(), inputs in proptest::collection::vec(tensor(), 0..6), outputs in 0_usize..4) {
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        if let Ok(made) = eval_node(&op, &inputs, outputs) {
            prop_assert_eq!(made.len(), outputs);
        }
    }

    /// Shapes inferred with symbols, then bound, are the shapes that evaluation makes.
    #[test]
    fn symbolic_shapes_hold(m in 0_i64..5, k in 0_i64..5, n in 1_i64..5, start in -6_i64..6, end in -6_i64..6) {
        let mut b = Build::default();
        let x = b.input(DType::F32, &["m", "k"]);
        let y = b.input(DType::F32, &["k", "n"]);
        let product = b.node(Op::MatMul, &[x, y]);
        let (starts, ends, axes, steps) = (b.ints(&[start]), b.ints(&[end]), b.ints(&[1]), b.ints(&[2]));
        let cut = b.node(Op::Slice, &[product, starts, ends, axes, steps]);
        let joined = b.node(Op::Concat { axis: -1 }, &[product, cut]);
        let flat = b.node(Op::View(ViewOp::Flatten(0)), &[joined]);
        b.output(cut);
        b.output(flat);
        b.0.infer().expect("it can be inferred with symbols");
        let bindings: Bindings = [("m", m), ("k", k), ("n", n)].into_iter().collect();
        let bound = b.0.bind(&bindings).expect("it can be bound");
        let zeros = |a: i64, b: i64| Tensor::zeros(DType::F32, vec![a as usize, b as usize]).expect("small");
        let made = eval(&b.0, &[zeros(m, k), zeros(k, n)], &NoFiles).expect("it can be evaluated");
        for (&id, tensor) in b.0.outputs.iter().zip(&made) {
            let symbolic = &b.0.value(id).ty.as_ref().expect("a type").shape;
            let values: Vec<usize> = symbolic.iter().map(|d| d.eval(&bindings).expect("a value") as usize).collect();
            prop_assert_eq!(&values, tensor.shape());
            let concrete = &bound.value(id).ty.as_ref().expect("a type").shape;
            let values: Vec<usize> = concrete.iter().map(|d| d.as_const().expect("a number") as usize).collect();
            prop_assert_eq!(&values, tensor.shape());
        }
    }
}
