//! Prefill and decode as two functions of one family: one arena, the weights once, and both right in one session.

use bayplan::{Bounds, Dims, Model, Scope, Session, SessionOptions, Tensor};
use bayplan_compile::{Arena, Family, Function, FunctionId, Options};
use bayplan_graph::ByteRange;
use bayplan_tests::backend::Backend;
use bayplan_tests::{Case, reference_cases, reference_model, session};

/// ‖out − onnxruntime‖ / ‖onnxruntime‖ that rounding in another order explains.
const MOST: f64 = 1e-4;

fn dims(bounds: &[(&str, i64, i64)]) -> Dims {
    let mut scope = Scope::new();
    for &(symbol, lower, upper) in bounds {
        scope.declare(symbol, Bounds::between(lower, upper)).expect("declared once");
    }
    Dims::from(scope)
}

/// The prompt with nothing before it, and one token after as many as there may be.
fn family(model: &Model, device: &bayplan::Device, functions: &[(&'static str, Dims)]) -> Family {
    let functions: Vec<Function<'_>> =
        functions.iter().map(|(name, dims)| Function { name, graph: model.graph(), dims }).collect();
    let read = |range: &ByteRange| model.read(range);
    Family::with_functions(&functions, device.target(), &Options::default(), &read).expect("a family")
}

#[test]
fn prefill_and_decode_take_turns_in_one_session() {
    let (device, model) =
        (Backend::Host.device(), Model::open(reference_model("gpt2_small")).expect("a model"));
    let prefill = dims(&[("batch", 1, 2), ("seq", 1, 512), ("past", 0, 0), ("total", 1, 512)]);
    let decode = dims(&[("batch", 1, 2), ("seq", 1, 1), ("past", 0, 1024), ("total", 1, 1025)]);
    let both = family(&model, &device, &[("prefill", prefill.clone()), ("decode", decode.clone())]);
    let alone =
        [("prefill", prefill), ("decode", decode)].map(|function| family(&model, &device, &[function]));
    let of = |family: &Family, arena: Arena| family.reservation().expect("bounds").arena_bytes[arena.index()];
    for arena in [Arena::Activations, Arena::Weights] {
        let largest = alone.iter().map(|family| of(family, arena)).max();
        assert_eq!(Some(of(&both, arena)), largest, "{}", arena.name());
    }
    let cases = reference_cases("gpt2_small");
    let steps = |function: u32, is: fn(&Case) -> bool| {
        cases.iter().filter(move |case| is(case)).map(move |case| (FunctionId(function), case))
    };
    let prompts: Vec<_> = steps(0, |case| case.dims["past"] == 0).collect();
    let tokens: Vec<_> = steps(1, |case| case.dims["seq"] == 1).collect();
    assert!(!prompts.is_empty() && !tokens.is_empty(), "cases of both kinds");
    let mut session =
        Session::new(&device, both, model.weights(), SessionOptions::default()).expect("a session");
    // In turns, the first once more at the end: what one leaves behind is nothing to the other.
    let turns = prompts.iter().zip(tokens.iter().cycle()).flat_map(|(a, b)| [a, b]).chain(prompts.first());
    for (function, case) in turns {
        let inputs = session::inputs(case);
        let given: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, tensor)| (&**name, tensor)).collect();
        let outputs =
            session.run_function(*function, &given).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        for (name, error) in session::errors(&outputs, case) {
            assert!(error <= MOST, "{} {name}: {error:.3e}", case.name);
        }
    }
    // A prompt is none of decode's.
    let inputs = session::inputs(prompts[0].1);
    let given: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, tensor)| (&**name, tensor)).collect();
    let refused = session.run_function(FunctionId(1), &given).map(drop).expect_err("too long").to_string();
    assert!(refused.contains("the dim seq is"), "{refused}");
}
