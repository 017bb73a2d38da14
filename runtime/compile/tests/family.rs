//! One model for every shape within bounds: dims from inputs, what is refused, and programs by shape.

mod common;

use bayplan_compile::{CompileError, Dims, Family, FunctionId, InputError, Options};
use bayplan_expr::{Bindings, Bounds};
use bayplan_graph::op::{BinaryOp, UnaryOp, ViewOp};
use bayplan_graph::{DType, Graph, Op, Tensor};
use bayplan_shaders::Target;

use common::dims::{bounded, no_file, with_dims};
use common::{Builder, graphs};

const MODEL: FunctionId = FunctionId(0);

/// exp(x) + y for x `[batch, past + seq]`, y `[batch, total]`, and z `[past]`, which only says a size.
fn sums() -> Graph {
    let mut b = Builder::new("sums");
    let (x, y, z) = (b.floats(&[2, 5]), b.floats(&[2, 5]), b.floats(&[3]));
    let e = b.op(Op::Unary(UnaryOp::Exp), &[x]);
    let sum = b.op(Op::Binary(BinaryOp::Add), &[e, y]);
    let other = b.op(Op::Unary(UnaryOp::Exp), &[z]);
    b.output(sum);
    b.output(other);
    with_dims(b, &[&["batch", "past + seq"], &["batch", "total"], &["past"]])
}

/// Sizes of a few bytes: with coarser offsets than these they would all be padding.
fn family(graph: &Graph, dims: &Dims) -> Result<Family, CompileError> {
    let target = Target { storage_alignment: 16, ..Target::generic() };
    Family::new(graph, dims, &target, &Options::default(), &no_file)
}

const WITHIN: [(&str, i64, i64); 3] = [("batch", 1, 4), ("seq", 1, 8), ("past", 0, 16)];

fn zeros(shapes: [&[usize]; 3]) -> [Tensor; 3] {
    shapes.map(|shape| Tensor::zeros(DType::F32, shape.to_vec()).expect("a tensor"))
}

fn dims_of(family: &Family, shapes: [&[usize]; 3]) -> Result<Bindings, InputError> {
    let tensors = zeros(shapes);
    let given: Vec<(&str, &Tensor)> = ["v0", "v1", "v2"].into_iter().zip(&tensors).collect();
    family.dims(MODEL, &given)
}

#[test]
fn dims_follow_from_the_inputs_shapes() {
    let family = family(&sums(), &bounded(&WITHIN)).expect("a family");
    let dims = dims_of(&family, [&[3, 12], &[3, 12], &[7]]).expect("dims");
    // `seq` stands in no shape alone: it is solved for.
    assert_eq!(dims.to_string(), "batch=3, past=7, seq=5, total=12");
    let program = family.at(MODEL, &dims).expect("a program");
    assert_eq!(program.dims, dims);
    assert_eq!(program.outputs[0].shape, [3, 12]);
}

#[test]
fn what_does_not_fit_is_named() {
    let family = family(&sums(), &bounded(&WITHIN)).expect("a family");
    let check = |shapes, expected: &str| {
        let e = dims_of(&family, shapes).expect_err("a refusal");
        assert!(e.to_string().contains(expected), "{e}");
        e
    };
    let e = check(
        [&[5, 12], &[5, 12], &[7]],
        "the dim batch is 5 in input v0, but the session was made for at most 4",
    );
    let exceeded = InputError::BoundExceeded { dim: "batch".into(), value: 5, bound: 4, input: "v0".into() };
    assert_eq!(e, exceeded);
    check([&[3, 16], &[3, 16], &[7]], "the dim seq is 9 in input v0, but the session was made for at most 8");
    check([&[3, 7], &[3, 7], &[7]], "the dim seq is 0 in input v0, but it must be at least 1");
    check([&[3, 12], &[2, 12], &[7]], "dimension 0 of input v1 is 2, but must be batch = 3 (batch=3)");
    check(
        [&[3, 12], &[3, 13], &[7]],
        "dimension 1 of input v1 is 13, but must be past + seq = 12 or 1 (past=7, seq=5), as node n1 needs it",
    );
    let tensor = Tensor::zeros(DType::F32, vec![1]).expect("a tensor");
    let e = family.dims(MODEL, &[("v2", &tensor)]).expect_err("inputs are missing").to_string();
    assert_eq!(e, "input v0 is missing; it must be f32[batch, past + seq]");
    let e = family.dims(MODEL, &[("v9", &tensor)]).expect_err("no such input").to_string();
    assert_eq!(e, "the model has no input v9; its inputs are v0, v1, v2");
    assert!(family.at(MODEL, &Bindings::new().with("batch", 9)).is_err());
    assert!(family.at(FunctionId(1), &Bindings::new()).is_err());
    // After all of it the family serves what is right.
    assert!(dims_of(&family, [&[4, 24], &[4, 24], &[16]]).is_ok());
}

#[test]
fn the_bound_of_what_follows_bounds_the_rest() {
    let mut dims = bounded(&[("batch", 1, 4), ("total", 1, 20)]);
    let family = family(&sums(), &dims).expect("a family");
    let scope: Vec<String> =
        family.scope(MODEL).iter().map(|(name, bounds)| format!("{name} {bounds}")).collect();
    assert_eq!(scope, ["batch 1..=4", "past 0..=20", "seq 0..=20"]);
    let e = dims_of(&family, [&[3, 21], &[3, 21], &[16]]).expect_err("too many").to_string();
    assert!(e.contains("the dim total is 21 in input v1"), "{e}");
    // A bound for what is no symbol of the model.
    dims.bounds.declare("sequence", Bounds::between(1, 2)).expect("bounds");
    let e = self::family(&sums(), &dims).expect_err("no such symbol").to_string();
    assert!(e.contains("no dimensions `sequence`; it has `batch`, `past`, `seq`, `total`"), "{e}");
}

/// Bounds chosen later: the same compiles and plans, what is reserved follows from the formula.
#[test]
fn smaller_bounds_reserve_less_and_plan_nothing() {
    let graph = sums();
    let family = family(&graph, &bounded(&WITHIN)).expect("a family");
    let compiles = family.compiles();
    let arena = |family: &Family| family.reservation().expect("bounds").arena_bytes[0];
    for (bounds, corner) in [
        (vec![("seq", 1, 2)], (4, 2, 16)),
        (vec![("batch", 1, 3), ("past", 0, 0)], (3, 8, 0)),
        (vec![("batch", 2, 2), ("seq", 3, 3), ("past", 5, 5)], (2, 3, 5)),
    ] {
        let bounds = bounded(&bounds).bounds;
        let within = family.within(&bounds).expect("smaller bounds");
        let (batch, seq, past) = corner;
        let corner = Bindings::new().with("batch", batch).with("seq", seq).with("past", past);
        let memory = within.memory().expect("a formula");
        let most = memory.eval(&corner).expect("bytes") - memory.fixed(&corner).expect("bytes");
        assert_eq!(arena(&within), most, "{corner}");
        assert!(arena(&within) < arena(&family));
        assert_eq!((family.compiles(), within.compiles()), (compiles, compiles), "{corner}");
        assert_eq!(within.at(MODEL, &corner), family.at(MODEL, &corner), "{corner}");
        assert!(within.at(MODEL, &corner.clone().with("seq", seq + 1)).is_err(), "{corner}");
        assert_eq!(within.first().uploads, family.first().uploads);
    }
    let small = family.within(&bounded(&[("batch", 1, 3)]).bounds).expect("smaller bounds");
    let exceeded = InputError::BoundExceeded { dim: "batch".into(), value: 4, bound: 3, input: "v0".into() };
    assert_eq!(dims_of(&small, [&[4, 12], &[4, 12], &[7]]), Err(exceeded));
    assert!(dims_of(&small, [&[3, 12], &[3, 12], &[7]]).is_ok());
    // What follows from others bounds them.
    let tied = family.within(&bounded(&[("past", 4, 16), ("total", 0, 10)]).bounds).expect("smaller bounds");
    assert!(arena(&tied) < arena(&family) && tied.compiles() == compiles);
    assert_eq!(tied.scope(MODEL).get("seq"), Bounds::between(1, 6));
    assert!(tied.first().dims.get("total") <= Some(10), "{}", tied.first().dims);
    // What was open may be bounded when a session is made.
    let open = self::family(&graph, &bounded(&[("batch", 1, 4)])).expect("a family");
    assert!(open.reservation().is_err());
    let closed = open.within(&bounded(&WITHIN).bounds).expect("bounds");
    let corner = Bindings::new().with("batch", 4).with("seq", 8).with("past", 16);
    assert_eq!(closed.memory().expect("a formula").eval(&corner), Ok(arena(&closed)));
    assert_eq!(closed.compiles(), open.compiles());
    // Bounds grow no larger than they were, and name what there is.
    let same = family.within(&bounded(&[("batch", 0, 99)]).bounds).expect("the same bounds");
    assert_eq!((arena(&same), same.scope(MODEL)), (arena(&family), family.scope(MODEL)));
    let refused = |bounds| family.within(&bounded(bounds).bounds).expect_err("a refusal").to_string();
    assert!(refused(&[("chunk", 1, 2)]).contains("no dimensions `chunk`; it has `batch`, `past`, `seq`"));
    assert!(refused(&[("batch", 5, 9)]).contains("`batch` can have no value"));
}

#[test]
fn without_an_upper_bound_nothing_is_reserved() {
    let family = family(&sums(), &bounded(&[("batch", 1, 4)])).expect("a family");
    let e = family.reservation().expect_err("no bound").to_string();
    assert!(e.contains("the dims past, seq have no upper bound; give one (--dim-max NAME=N)"), "{e}");
    let dims = dims_of(&family, [&[3, 1200], &[3, 1200], &[700]]).expect("dims");
    assert_eq!(family.at(MODEL, &dims).expect("a program").outputs[0].shape, [3, 1200]);
}

#[test]
fn what_no_input_says_must_be_pinned() {
    let mut b = Builder::new("squares");
    let x = b.floats(&[9]);
    let e = b.op(Op::Unary(UnaryOp::Exp), &[x]);
    b.output(e);
    let graph = with_dims(b, &[&["n*m"]]);
    let refused =
        family(&graph, &bounded(&[("n", 1, 3), ("m", 1, 3)])).expect_err("n and m are not determined");
    assert_eq!(refused, CompileError::Undetermined { dims: vec!["m".into(), "n".into()] });
    let pinned = Bindings::new().with("m", 3);
    let dims = Dims { pinned, ..bounded(&[("n", 1, 3)]) };
    let family = family(&graph, &dims).expect("a family");
    let tensor = |len| Tensor::zeros(DType::F32, vec![len]).expect("a tensor");
    assert_eq!(family.dims(MODEL, &[("v0", &tensor(6))]).expect("dims").to_string(), "m=3, n=2");
    let e = family.dims(MODEL, &[("v0", &tensor(7))]).expect_err("no multiple of 3").to_string();
    assert!(e.contains("dimension 0 of input v0 is 7, but must be m*n (m=3)"), "{e}");
}

#[test]
fn points_are_shapes_that_the_model_takes() {
    // Rows of two: of the general point's 13·7 elements there are none.
    let mut b = Builder::new("halves");
    let x = b.floats(&[8, 16]);
    let shape = b.ints(&[-1, 2]);
    let rows = b.op(Op::View(ViewOp::Reshape { allow_zero: false }), &[x, shape]);
    let y = b.op(Op::Unary(UnaryOp::Exp), &[rows]);
    b.output(y);
    let family =
        family(&with_dims(b, &[&["b", "n"]]), &bounded(&[("b", 0, 8), ("n", 0, 16)])).expect("a family");
    let points = family.points(MODEL);
    assert!(points.contains(&Bindings::new().with("b", 8).with("n", 16)), "{points:?}");
    for point in points {
        family.at(MODEL, &point).unwrap_or_else(|e| panic!("{point}: {e}"));
    }
}

#[test]
fn bounds_beyond_all_sense_are_refused() {
    let graph = chain(&["n"], &[4]);
    let refused = family(&graph, &bounded(&[("n", 1, i64::MAX)])).expect_err("nothing is that large");
    assert!(matches!(refused, CompileError::Unsupported(_)), "{refused}");
}

/// Three elementwise operations on x, every one in place of the last.
fn chain(dims: &[&str], shape: &[usize]) -> Graph {
    let mut b = Builder::new("chain");
    let mut x = b.floats(shape);
    for _ in 0..3 {
        x = b.op(Op::Unary(UnaryOp::Exp), &[x]);
    }
    b.output(x);
    with_dims(b, &[dims])
}

#[test]
fn the_reservation_is_the_joint_maximum() {
    // n·m·max(n − m, 1) is greatest at n = 20, m = 5, where it is 1500, and not at the greatest of each factor.
    let graph = chain(&["n", "m", "Max(n - m, 1)"], &[4, 2, 2]);
    let family = family(&graph, &bounded(&[("n", 1, 20), ("m", 1, 5)])).expect("a family");
    let reserved = family.reservation().expect("bounds").arena_bytes[0];
    assert_eq!(reserved, 4 * 20 * 5 * 15);
    let at = |n, m| {
        family.at(MODEL, &Bindings::new().with("n", n).with("m", m)).expect("a program").arena_bytes[0]
    };
    assert_eq!(at(20, 5), reserved);
    assert_eq!(at(3, 5), (4 * 3 * 5u64).next_multiple_of(16));
}

#[test]
fn every_shape_is_planned_as_a_compile_of_its_own_plans_it() {
    let graph = sums();
    let family = family(&graph, &bounded(&WITHIN)).expect("a family");
    for (batch, seq, past) in [(1, 1, 0), (4, 8, 16), (2, 5, 0), (1, 8, 3), (3, 1, 1)] {
        let dims = Bindings::new().with("batch", batch).with("seq", seq).with("past", past);
        let program = family.at(MODEL, &dims).expect("a program");
        let fresh =
            bayplan_compile::compile(&graph, &program.dims, family.target(), Options::default(), &no_file)
                .expect("a program");
        // One stored order serves all shapes: for a few bytes, an order of a shape's own may round up less.
        let (own, rounding) = (fresh.arena_bytes[0], 2 * family.target().storage_alignment);
        assert!(own <= program.arena_bytes[0] && program.arena_bytes[0] <= own + rounding, "{dims}: {own}");
        let shapes = |program: &bayplan_compile::Program| -> Vec<Vec<u64>> {
            program.outputs.iter().map(|port| port.shape.clone()).collect()
        };
        assert_eq!(shapes(&program), shapes(&fresh), "{dims}");
        assert_eq!((&program.uploads, &program.load), (&family.first().uploads, &family.first().load));
    }
}

#[test]
fn an_arena_of_several_allocations_says_which_bound_fits() {
    let graph = chain(&["n", "m"], &[4, 2]);
    let target = Target { max_allocation: 4096, ..Target::generic() };
    let made = |n: i64| {
        let dims = bounded(&[("n", 1, n), ("m", 1, 5)]);
        Family::new(&graph, &dims, &target, &Options { in_place: false, ..Options::default() }, &no_file)
            .expect("a family")
    };
    let error = made(200).reservation().expect_err("two buffers of 4,000 bytes").clone();
    let CompileError::Blocks { arena: "activations", max: 4096, fitting } = &error else { panic!("{error}") };
    let message = error.to_string();
    let Some((_, most)) = fitting.iter().find(|(dim, _)| dim == "n") else { panic!("{message}") };
    assert!(message.contains(&format!("--dim-max n={most}")), "{message}");
    // What it says fits does, and one more does not.
    assert!(made(*most).reservation().is_ok());
    assert!(made(*most + 1).reservation().is_err());
    // One shape alone may have several.
    let point = Bindings::new().with("n", 150).with("m", 5);
    let program = made(200).at(MODEL, &point).expect("a program");
    assert!(program.arena_bytes[0] > 4096 && program.blocks[0].len() == 2, "{:?}", program.blocks[0]);
}

#[test]
fn a_weight_has_one_layout_whatever_the_rows_are() {
    let mut b = Builder::new("rows");
    let x = b.floats(&[4, 3, 8]);
    let w = b.constant(&graphs::floats(&[8, 5], 3));
    let y = b.op(Op::MatMul, &[x, w]);
    b.output(y);
    let graph = with_dims(b, &[&["n", "m", "8"]]);
    let cpu = Target {
        class: bayplan_shaders::Class::Cpu,
        subgroup: Some(bayplan_shaders::Subgroup { size: 8, shuffle: true, arithmetic: true }),
        storage_alignment: 16,
        ..Target::generic()
    };
    for target in [Target::generic(), cpu] {
        let (all, one) = (bounded(&[("n", 1, 20), ("m", 1, 6)]), bounded(&[("n", 1, 20), ("m", 1, 1)]));
        let functions = [("prefill", &all), ("decode", &one)].map(|(name, dims)| bayplan_compile::Function {
            name,
            graph: &graph,
            dims,
        });
        let family =
            Family::with_functions(&functions, &target, &Options::default(), &no_file).expect("a family");
        assert_eq!(family.first().uploads.len(), 1, "the weight once");
        for (n, m) in (1..=20).flat_map(|n| (1..=6).map(move |m| (n, m))) {
            let point = Bindings::new().with("n", n).with("m", m);
            for function in (0..if m == 1 { 2 } else { 1 }).map(FunctionId) {
                let program = family.at(function, &point).unwrap_or_else(|e| panic!("at {point}: {e}"));
                let loaded =
                    |program: &bayplan_compile::Program| (program.uploads.clone(), program.load.clone());
                assert_eq!(loaded(&program), loaded(family.first()), "at {point}");
            }
        }
    }
}

/// Images of a known width have rows that a faster kernel wants its weights for; where any width may come it cannot be used.
#[test]
fn functions_that_like_other_layouts_share_the_stored_one() {
    let graph_of = |width: &str| {
        let mut b = Builder::new("images");
        let x = b.floats(&[1, 8, 6, 32]);
        let w = b.constant(&graphs::floats(&[32, 8, 3, 3], 5));
        let window = bayplan_graph::op::Window {
            kernel: vec![3, 3],
            strides: vec![1, 1],
            dilations: vec![1, 1],
            pads: bayplan_graph::op::Pads::Explicit(vec![1; 4]),
            ceil: false,
        };
        let y = b.op(Op::Conv(window, 1), &[x, w]);
        b.output(y);
        with_dims(b, &[&["n", "8", "6", width]])
    };
    let target = Target {
        class: bayplan_shaders::Class::Cpu,
        subgroup: Some(bayplan_shaders::Subgroup { size: 8, shuffle: true, arithmetic: true }),
        storage_alignment: 16,
        ..Target::generic()
    };
    let (known, open) = (graph_of("32"), graph_of("w"));
    let (few, any) = (bounded(&[("n", 1, 4)]), bounded(&[("n", 1, 4), ("w", 3, 64)]));
    let made = |list: &[(&'static str, &Graph, &Dims)]| {
        let functions: Vec<_> =
            list.iter().map(|&(name, graph, dims)| bayplan_compile::Function { name, graph, dims }).collect();
        Family::with_functions(&functions, &target, &Options::default(), &no_file).expect("a family")
    };
    let bytes = |family: &Family| family.first().arena_bytes[bayplan_compile::Arena::Weights.index()];
    let (alone, plain) = (made(&[("known", &known, &few)]), made(&[("open", &open, &any)]));
    assert!(!alone.first().load.dispatches.is_empty(), "the known width has its weights rearranged");
    assert_eq!(bytes(&plain), 32 * 8 * 9 * 4);
    for order in
        [[("known", &known, &few), ("open", &open, &any)], [("open", &open, &any), ("known", &known, &few)]]
    {
        let both = made(&order);
        assert_eq!(bytes(&both), bytes(&plain), "the weight once");
        assert!(both.first().load.dispatches.is_empty());
        for function in [0, 1].map(FunctionId) {
            let point: Bindings = both.scope(function).iter().map(|(name, _)| (name.to_owned(), 4)).collect();
            assert!(both.at(function, &point).is_ok());
        }
    }
}

/// How many windows an operation takes is one number for a compile; a shape one row larger than what they hold needs
/// another one, also where the compile's own shape filled them to the last.
#[test]
fn windows_are_as_many_as_each_shape_needs() {
    let mut b = Builder::new("rows");
    let x = b.floats(&[2, 256]);
    let e = b.op(Op::Unary(UnaryOp::Exp), &[x]);
    let y = b.op(Op::Softmax { axis: 1, log: false }, &[e]);
    b.output(y);
    let graph = with_dims(b, &[&["n", "256"]]);
    // Four rows at once.
    let target = Target { max_storage_range: 4096, ..Target::generic() };
    // What is asked for first is what later shapes are compiled beside.
    for from in 1..=12 {
        let family = Family::new(&graph, &bounded(&[("n", 1, 40)]), &target, &Options::default(), &no_file)
            .expect("a family");
        for n in (from..=40).chain(1..from) {
            let program =
                family.at(MODEL, &Bindings::new().with("n", n)).unwrap_or_else(|e| panic!("{n}: {e}"));
            let parts = program.run.dispatches.len() as u64;
            assert!(parts >= n.unsigned_abs().div_ceil(4), "{n}: {parts}");
        }
    }
}
