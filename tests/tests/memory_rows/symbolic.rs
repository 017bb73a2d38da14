//! Rows with symbolic dimensions, and rows of several functions: one family of programs for all shapes within bounds.

use bayplan::{Bindings, DType, Tensor};
use bayplan_compile::plan_file::ShapePlan;
use bayplan_compile::{
    Arena, CompileError, Dims, Family, Function, FunctionId, InputError, Options, OutputPolicy,
};
use bayplan_expr::{Bounds, Expr, Scope};
use bayplan_graph::{ByteRange, Graph};
use bayplan_plan::Effort;
use bayplan_plan::symbolic::Proof;
use bayplan_tests::onnx_file::{Dim, Model};

use crate::graphs::{basic, chain};
use crate::row::{exact, known, node, open, options, runs_right, ways};

const MODEL: FunctionId = FunctionId(0);

fn bounded(bounds: &[(&str, Bounds)]) -> Dims {
    let mut dims = Dims::default();
    for &(symbol, bounds) in bounds {
        if bounds.upper == Some(bounds.lower) {
            dims.pinned.set(symbol, bounds.lower);
        } else {
            dims.bounds.declare(symbol, bounds).expect("bounds with room");
        }
    }
    dims
}

fn family(graph: &Graph, dims: &Dims, options: &Options) -> Family {
    let read = |_: &ByteRange| Err("no constant is small and in a file".to_string());
    Family::new(graph, dims, &exact(), options, &read).unwrap_or_else(|e| panic!("{e}"))
}

/// Demands the arena as an expression, without and with in place, at every point given, and, where there is one for the
/// whole box, for the box.
fn check(
    name: &str,
    model: &Model<'_>,
    bounds: &[(&str, Bounds)],
    points: &[Bindings],
    forms: &[Expr; 2],
    whole: Option<[u64; 2]>,
) {
    check_with(OutputPolicy::Borrow, name, model, bounds, points, forms, whole);
}

/// The same with outputs of another policy.
fn check_with(
    outputs: OutputPolicy,
    name: &str,
    model: &Model<'_>,
    bounds: &[(&str, Bounds)],
    points: &[Bindings],
    forms: &[Expr; 2],
    whole: Option<[u64; 2]>,
) {
    let expected =
        |point: &Bindings| forms.each_ref().map(|form| form.eval(point).expect("a value").unsigned_abs());
    let model = open(model);
    for (options, says) in ways(outputs) {
        let family = family(model.graph(), &bounded(bounds), &options);
        if !options.fuse {
            let plans = family.plans();
            let [ShapePlan { when, plan, .. }] = &plans[..] else { panic!("{name}: {} plans", plans.len()) };
            let form = plan.peak_form(Effort::Normal);
            let expected = &forms[usize::from(options.in_place)];
            // But for tensors of more elements than kernels can count, it holds for all shapes.
            let far = when.iter().all(|own| own.right.as_const() >= Some(i64::from(u32::MAX)));
            assert!(far && form.proof == Proof::Proved, "{name}: {form} when {when:?}");
            assert_eq!(form.expr().to_string(), expected.to_string(), "{name}");
        }
        for point in points {
            let program = family.at(MODEL, point).unwrap_or_else(|e| panic!("{name} at {point}: {e}"));
            let bytes = program.arena_bytes[Arena::Activations.index()];
            assert!(says(bytes, expected(point)), "{name} at {point}: {bytes}, {:?}", expected(point));
        }
        let last = points.last().expect("a point");
        let bound = model.graph().bind(last).expect("a graph without symbols");
        runs_right(name, &bound, &model, &family.at(MODEL, last).expect("a program"));
        match (whole, family.reservation()) {
            (Some(whole), Ok(reserved)) => {
                let bytes = reserved.arena_bytes[Arena::Activations.index()];
                assert!(says(bytes, whole), "{name} reserves {bytes}, {whole:?}");
            }
            (None, Err(CompileError::Unbounded { .. })) => {}
            (_, reserved) => panic!("{name}: {reserved:?} instead of {whole:?}"),
        }
    }
}

fn points(symbol: &str, values: impl IntoIterator<Item = i64>) -> Vec<Bindings> {
    values.into_iter().map(|value| Bindings::new().with(symbol, value)).collect()
}

/// G1 with x f32[2, n].
fn wide() -> Model<'static> {
    basic(Dim::Known(2), Dim::Symbol("n"))
}

/// 16 n + 16 and 16 n + 8.
fn of_wide() -> [Expr; 2] {
    [16, 8].map(|more| Expr::symbol("n") * 16 + more)
}

#[test]
fn g6_a_bound_from_below_alone() {
    let from = points("n", (2..20).chain([1000]));
    check("G6", &wide(), &[("n", Bounds::at_least(2))], &from, &of_wide(), None);
}

/// Scenario 20, decreasing monotone.
#[test]
fn g7_bounds_count_together() {
    let shape = ["n", "m", "max(n - m, 1)"].map(Dim::Symbol).to_vec();
    let bounds = [("n", Bounds::between(1, 20)), ("m", Bounds::between(1, 5))];
    let all: Vec<Bindings> =
        (1..=20).flat_map(|n| points("n", [n]).into_iter().map(move |p| p.with("m", n % 5 + 1))).collect();
    let [n, m] = ["n", "m"].map(Expr::symbol);
    let bytes = n.clone() * m.clone() * Expr::max_of([n - m, Expr::from(1)]) * 4;
    let forms = [bytes.clone() * 2, bytes];
    check("G7", &chain(shape, 3), &bounds, &all, &forms, Some([12_000, 6_000]));
}

/// Scenarios 21 and 22, dynamic calls.
#[test]
fn g8_a_bound_from_above() {
    let shape = vec![Dim::Symbol("n")];
    let forms = [8, 4].map(|bytes| Expr::symbol("n") * bytes);
    let bounds = [("n", Bounds::between(0, 20))];
    check("G8", &chain(shape, 3), &bounds, &points("n", 1..=20), &forms, Some([160, 80]));
}

/// Scenario 23, partially dynamic.
#[test]
fn g9_one_dim_of_two_is_free() {
    let shape = vec![Dim::Symbol("n"), Dim::Symbol("m")];
    // 160 m and 80 m where n is 20.
    let forms = [8, 4].map(|bytes| Expr::symbol("n") * Expr::symbol("m") * bytes);
    let bounds = [("n", Bounds::between(0, 20))];
    let widest: Vec<Bindings> =
        points("m", [1, 2, 3, 64, 999]).into_iter().map(|point| point.with("n", 20)).collect();
    check("G9", &chain(shape.clone(), 4), &bounds, &widest, &forms, None);
    // The arena for the bound of n, as an expression.
    let forms = [160, 80].map(|bytes| Expr::symbol("m") * bytes);
    check("G9 where n is 20", &chain(shape, 4), &[("n", Bounds::exactly(20))], &widest, &forms, None);
}

#[test]
fn s11_symbolic_shape() {
    let shape = vec![Dim::Symbol("m"), Dim::Symbol("n")];
    let some = [(1, 1), (2, 3), (7, 5), (64, 33)];
    let some = some.map(|(m, n)| Bindings::new().with("m", m).with("n", n));
    let forms = [4, 4].map(|bytes| Expr::symbol("m") * Expr::symbol("n") * bytes);
    let model = Model {
        nodes: vec![node("Exp", &["x"], &["a"]), node("ReduceMax", &["a"], &["most"])],
        inputs: vec![("x", shape)],
        outputs: vec!["most"],
        ..Model::default()
    };
    // There is no largest of no elements.
    let bounds = [("m", Bounds::at_least(1)), ("n", Bounds::at_least(1))];
    check_with(OutputPolicy::Into, "11 symbolic shape", &model, &bounds, &some, &forms, None);
}

#[test]
fn s15_an_upper_bound() {
    let bounds = [("n", Bounds::between(0, 4))];
    check("15 upper bound", &wide(), &bounds, &points("n", 2..=4), &of_wide(), Some([80, 72]));
}

#[test]
fn s16_a_lower_bound_alone() {
    check("16 lower bound", &wide(), &[("n", Bounds::at_least(2))], &points("n", 2..9), &of_wide(), None);
}

#[test]
fn s17_both_bounds() {
    let bounds = [("n", Bounds::between(2, 4))];
    check("17 both bounds", &wide(), &bounds, &points("n", 2..=4), &of_wide(), Some([80, 72]));
}

/// TVM's bounds are attributes of any type, ours are numbers: what is left to refuse is a box without a shape in it.
#[test]
fn s18_s19_invalid_bounds() {
    let e = Scope::new().declare("n", Bounds::between(4, 2)).expect_err("nothing lies between");
    assert!(e.to_string().contains('n'), "{e}");
    let model = open(&wide());
    let read = |_: &ByteRange| Err("no file".to_string());
    let unknown = bounded(&[("k", Bounds::between(1, 2))]);
    let e = Family::new(model.graph(), &unknown, &exact(), &Options::default(), &read);
    let e = e.expect_err("the model has no k").to_string();
    assert!(e.contains('k') && e.contains('n'), "{e}");
}

/// Compiles functions of a family; the bytes of its arena.
fn functions(models: &[&Model<'_>], options: &Options) -> u64 {
    let models: Vec<_> = models.iter().map(|model| open(model)).collect();
    let dims = Dims::default();
    let list: Vec<Function<'_>> =
        models.iter().map(|model| Function { name: "one", graph: model.graph(), dims: &dims }).collect();
    let read = |_: &ByteRange| Err("no constant is small and in a file".to_string());
    let family = Family::with_functions(&list, &exact(), options, &read).unwrap_or_else(|e| panic!("{e}"));
    for (at, model) in models.iter().enumerate() {
        let program = family.at(FunctionId(at as u32), &Bindings::new()).expect("a program");
        runs_right("a function", model.graph(), model, &program);
    }
    family.reservation().expect("known sizes").arena_bytes[Arena::Activations.index()]
}

#[test]
fn s14_multiple_functions() {
    let reduced = |of: &'static [&'static str; 1]| Model {
        nodes: vec![node("Exp", of, &["a"]), node("ReduceMax", &["a"], &["most"])],
        inputs: vec![(of[0], known(&[2, 3]))],
        outputs: vec!["most"],
        ..Model::default()
    };
    for (options, says) in ways(OutputPolicy::Into) {
        let bytes = functions(&[&reduced(&["x"]), &reduced(&["y"])], &options);
        assert!(says(bytes, [24, 24]), "{bytes} for {options:?}");
    }
}

#[test]
fn s24_function_independence() {
    for (options, says) in ways(OutputPolicy::Borrow) {
        let bytes = functions(&[&chain(known(&[8]), 2), &chain(known(&[10]), 2)], &options);
        assert!(says(bytes, [80, 40]), "{bytes} for {options:?}");
    }
}

#[test]
fn a_bound_that_is_exceeded_is_named() {
    let model = open(&chain(vec![Dim::Symbol("n")], 3));
    let dims = bounded(&[("n", Bounds::between(0, 20))]);
    let family = family(model.graph(), &dims, &options(false, true, OutputPolicy::Borrow));
    let given = |n: usize| Tensor::zeros(DType::F32, vec![n]).expect("a tensor");
    match family.dims(MODEL, &[("x", &given(21))]) {
        Err(InputError::BoundExceeded { dim, value, bound, input }) => {
            assert_eq!((&*dim, value, bound, &*input), ("n", 21, 20, "x"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(family.dims(MODEL, &[("x", &given(20))]), Ok(Bindings::new().with("n", 20)));
}

/// TVM took the least value for the only one (its issue 18663).
#[test]
fn a_lower_bound_makes_nothing_static() {
    let model = open(&wide());
    let dims = bounded(&[("n", Bounds::at_least(2))]);
    let family = family(model.graph(), &dims, &options(false, true, OutputPolicy::Borrow));
    assert!(!family.is_static(MODEL));
    match family.reservation() {
        Err(CompileError::Unbounded { dims }) => assert_eq!(dims, ["n"]),
        other => panic!("{other:?}"),
    }
    let bytes = |n| family.at(MODEL, &Bindings::new().with("n", n)).expect("a program").arena_bytes[0];
    assert_eq!([bytes(2), bytes(3), bytes(100)], [40, 56, 1608]);
}
