//! The reference models themselves: that they are there, whole, and worth comparing with.

use bayplan_tests::{Case, npy, reference_case, reference_cases, reference_model};

/// Models, and their cases' names.
const MODELS: [(&[&str], &[&str]); 7] = [
    (&["squeezenet", "resnet50", "shufflenet"], &["random0", "random1"]),
    (&["alexnet", "densenet121", "inception_v1", "inception_v2", "vgg19", "zfnet512"], &["random0"]),
    (&["mobilenetv2", "mobilenetv2_ts", "vit_tiny"], &["1", "3"]),
    (&["encoder_l6", "encoder_l6_ts"], &["1x1", "1x128", "2x7", "3x33", "4x32", "5x64"]),
    (
        &["gpt2_small", "gpt2_small_ts", "llama_125m", "llama_125m_ts"],
        &["1x1+128", "1x32+0", "2x5+0", "2x5+7"],
    ),
    (&["digits"], &["1", "13", "8"]),
    (&["chars"], &["1x1+0", "1x1+127", "1x64+0", "2x17+0", "2x5+11", "3x1+40"]),
];

#[test]
fn every_case_is_there() {
    let models = MODELS.iter().flat_map(|(models, expect)| models.iter().map(move |model| (*model, *expect)));
    for (model, expect) in models {
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
    for (model, first, second) in [
        ("squeezenet", "random0", "random1"),
        ("resnet50", "random0", "random1"),
        ("shufflenet", "random0", "random1"),
        ("mobilenetv2", "1", "3"),
        ("vit_tiny", "1", "3"),
        ("gpt2_small", "2x5+0", "2x5+7"),
        ("llama_125m", "2x5+0", "2x5+7"),
    ] {
        let (first, second) = (reference_case(model, first), reference_case(model, second));
        for (output, path) in first.outputs.iter().filter(|(output, _)| !output.starts_with("present")) {
            let (a, mut b) = (npy::read(path).f32s(), npy::read(&second.outputs[output]).f32s());
            b.truncate(a.len());
            let difference = npy::relative_error(&a, &b);
            assert!(difference > 0.01, "{model}: {output} differs by {difference} alone between two inputs");
        }
    }
}

/// Neither probabilities of one class alone nor numbers far from 1 hide errors.
#[test]
fn outputs_are_of_a_trained_networks_scale() {
    for (models, _) in MODELS {
        for model in models {
            for case in reference_cases(model) {
                let outputs: Vec<npy::Array> = case.outputs.values().map(|path| npy::read(path)).collect();
                let widest = outputs.iter().map(|a| deviation(&a.f32s())).fold(0.0, f64::max);
                assert!((0.5..6.0).contains(&widest), "{model}/{}: standard deviation {widest}", case.name);
            }
        }
    }
}

fn deviation(values: &[f32]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    (values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n).sqrt()
}

/// Both exports of a network have its weights and are asked the same: onnxruntime's answers agree.
#[test]
fn exports_of_one_network_agree() {
    for model in ["encoder_l6", "gpt2_small", "llama_125m", "mobilenetv2"] {
        let other = format!("{model}_ts");
        for (a, b) in reference_cases(model).iter().zip(reference_cases(&other)) {
            assert_eq!(a.name, b.name);
            for (output, path) in &a.outputs {
                let error =
                    npy::relative_error(&npy::read(path).f32s(), &npy::read(&b.outputs[output]).f32s());
                assert!(error <= 1e-5, "{model}/{}: {output} differs by {error:.2e}", a.name);
            }
        }
    }
}

#[test]
fn some_cases_are_padded() {
    let padded = |case: &Case| npy::read(&case.inputs["attention_mask"]).i64s().contains(&0);
    for model in ["encoder_l6", "encoder_l6_ts"] {
        let names: Vec<String> = reference_cases(model).into_iter().filter(padded).map(|c| c.name).collect();
        assert_eq!(names, ["2x7", "3x33", "5x64"], "{model}");
    }
    for model in ["gpt2_small", "gpt2_small_ts", "llama_125m", "llama_125m_ts"] {
        let names: Vec<String> = reference_cases(model).into_iter().filter(padded).map(|c| c.name).collect();
        assert_eq!(names, ["2x5+7"], "{model}");
    }
}
