//! The reference models themselves: that they are there, whole, and worth comparing with.

use bayplan_tests::{Case, npy, reference_cases, reference_model};

/// Model, and its cases' names.
const MODELS: [(&str, &[&str]); 6] = [
    ("squeezenet", &["random0", "random1"]),
    ("resnet50", &["random0", "random1"]),
    ("encoder_l6", &["1x1", "1x128", "2x7", "3x33", "4x32", "5x64"]),
    ("encoder_l6_ts", &["1x1", "1x128", "2x7", "3x33", "4x32", "5x64"]),
    ("digits", &["1", "13", "8"]),
    ("chars", &["1x1+0", "1x1+127", "1x64+0", "2x17+0", "2x5+11", "3x1+40"]),
];

fn first_output(case: &Case) -> npy::Array {
    npy::read(case.outputs.values().next().expect("a model has an output"))
}

#[test]
fn every_case_is_there() {
    for (model, expect) in MODELS {
        assert!(reference_model(model).exists());
        let cases = reference_cases(model);
        assert_eq!(cases.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), expect, "{model}");
        for case in cases {
            let outputs = case.outputs.values().map(|path| npy::read(path));
            let wrong = outputs.flat_map(|a| a.f32s()).filter(|v| !v.is_finite()).count();
            assert_eq!(wrong, 0, "{model}/{}", case.name);
            for (symbol, extent) in &case.dims {
                let has = |path| npy::read(path).shape.contains(&(*extent as usize));
                assert!(case.inputs.values().any(|path| has(path)), "{model}/{}: {symbol}", case.name);
            }
        }
    }
}

/// Were the outputs nearly the same for any input, a wrong input could pass the comparison.
#[test]
fn outputs_depend_on_inputs() {
    for model in ["squeezenet", "resnet50"] {
        let outputs: Vec<Vec<f32>> = reference_cases(model).iter().map(|c| first_output(c).f32s()).collect();
        let difference = npy::relative_error(&outputs[0], &outputs[1]);
        assert!(difference > 0.01, "{model}: two inputs give outputs that differ by {difference} alone");
    }
}

#[test]
fn some_cases_are_padded() {
    let padded = |case: &Case| npy::read(&case.inputs["attention_mask"]).i64s().contains(&0);
    for model in ["encoder_l6", "encoder_l6_ts"] {
        let names: Vec<String> = reference_cases(model).into_iter().filter(padded).map(|c| c.name).collect();
        assert_eq!(names, ["2x7", "3x33", "5x64"], "{model}");
    }
}
