//! Every row of the table: what a model of one node computes.

use std::collections::BTreeSet;

use bayplan_graph::{NoFiles, Tensor, eval, verify};

use super::cases::{Case, cases};
use super::{bytes, graph, info, model, node};
use crate::{ImportOptions, import, supported};

fn run(case: &Case) -> Result<Vec<Tensor>, String> {
    let names: Vec<String> = (0..case.inputs.len()).map(|i| format!("x{i}")).collect();
    let used: Vec<&str> =
        names.iter().zip(&case.inputs).map(|(n, t)| if t.is_some() { n.as_str() } else { "" }).collect();
    let outputs: Vec<String> = (0..case.expected.len()).map(|i| format!("y{i}")).collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let (mut given, mut infos, mut initializers) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (name, t)) in names.iter().zip(&case.inputs).enumerate() {
        let Some(t) = t else { continue };
        if i >= case.constants {
            initializers.push(super::tensor(name, t));
        } else {
            let dims: Vec<String> = t.shape().iter().map(ToString::to_string).collect();
            infos.push(info(name, t.dtype(), &dims.iter().map(String::as_str).collect::<Vec<_>>()));
            given.push(t.clone());
        }
    }
    let mut g = graph(vec![node(case.op, &used, &outputs, &case.attributes)], infos, &outputs);
    g.initializer = initializers;
    let bytes = bytes(&model(case.opset, g));
    let mut graph = import(&bytes, &ImportOptions::default()).map_err(|e| e.to_string())?;
    graph.infer().map_err(|e| e.to_string())?;
    verify(&graph).map_err(|e| e.to_string())?;
    let names: Vec<&str> = (0..graph.outputs.len()).map(|index| &**graph.output_name(index)).collect();
    assert_eq!(names, outputs, "{}", case.op);
    eval(&graph, &given, &NoFiles).map_err(|e| e.to_string())
}

fn close(a: &Tensor, b: &Tensor) -> bool {
    let near = |a: f64, b: f64| {
        let close = b.is_finite() && (a - b).abs() <= 2e-5 * b.abs().max(1.0);
        close || a == b || (a.is_nan() && b.is_nan())
    };
    a.dtype() == b.dtype()
        && a.shape() == b.shape()
        && a.to_f64().iter().zip(b.to_f64()).all(|(&a, b)| near(a, b))
}

#[test]
fn every_operator_computes_what_onnx_says() {
    for case in cases() {
        let place = format!("{} {:?} of {:?}", case.op, case.attributes, case.inputs);
        let made = run(&case).unwrap_or_else(|e| panic!("{place}: {e}"));
        assert_eq!(made.len(), case.expected.len(), "{place}");
        for (made, expected) in made.iter().zip(&case.expected) {
            assert!(close(made, expected), "{place}: {made:?} instead of {expected:?}");
        }
    }
}

/// Operators with bodies are tested in `branch` and `iterate`, those whose results depend on data in `selection`, transposed convolution in `transposed`.
#[test]
fn every_row_of_the_table_is_tested() {
    let mut tested: BTreeSet<&str> = cases().iter().map(|c| c.op).collect();
    tested.extend([
        "If",
        "Loop",
        "Scan",
        "ConvTranspose",
        "NonZero",
        "Compress",
        "NonMaxSuppression",
        "Unique",
    ]);
    let missing: Vec<&str> =
        supported().into_iter().map(|(op, _)| op).filter(|op| !tested.contains(op)).collect();
    assert!(missing.is_empty(), "no test for {missing:?}");
}
