//! Bounds of dimensions in a model's metadata.

use bayplan_expr::Bounds;
use bayplan_graph::{DType, Graph};

use super::{bytes, graph, info, model, node};
use crate::generated::onnx::StringStringEntryProto;
use crate::{ImportOptions, import};

fn imported(entries: &[(&str, &str)], options: &ImportOptions) -> Result<Graph, String> {
    let infos = vec![info("x", DType::F32, &["seq", "4"])];
    let mut model = model(20, graph(vec![node("Neg", &["x"], &["y"], &[])], infos, &["y"]));
    model.metadata_props = entries
        .iter()
        .map(|(k, v)| StringStringEntryProto { key: Some((*k).into()), value: Some((*v).into()) })
        .collect();
    import(&bytes(&model), options).map_err(|e| e.to_string())
}

#[test]
fn bounds_are_taken_and_narrowed() {
    let seq = |entries: &[(&str, &str)], options: &ImportOptions| {
        imported(entries, options).expect("it is imported").symbols.get("seq")
    };
    let none = ImportOptions::default();
    assert_eq!(seq(&[("bayplan.dim_max.seq", "2048")], &none), Bounds::between(0, 2048));
    let long = "x".repeat(1 << 17);
    let both = [("bayplan.dim_min.seq", " 2 "), ("bayplan.dim_max.seq", "20"), ("author", &long)];
    assert_eq!(seq(&both, &none), Bounds::between(2, 20));
    let options = ImportOptions {
        bounds: [("seq".to_owned(), Bounds::between(1, 10))].into(),
        ..ImportOptions::default()
    };
    assert_eq!(seq(&both, &options), Bounds::between(2, 10));
    assert_eq!(seq(&[("bayplan.later", "?"), ("dim_max.seq", "3")], &none), Bounds::DIM);
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let refuse = |entries: &[(&str, &str)], expected: &str| {
        let message = imported(entries, &ImportOptions::default()).expect_err("it is refused");
        assert!(message.contains(entries[0].0) && message.contains(expected), "{message}");
    };
    for value in ["many", "", "-1", "1.5", "281474976710657", "9223372036854775807", "9223372036854775808"] {
        refuse(&[("bayplan.dim_max.seq", value)], "whole number");
    }
    refuse(&[("bayplan.dim_max.length", "3")], "they have seq");
    refuse(
        &[("bayplan.dim_min.seq", "5"), ("bayplan.dim_max.seq", "5"), ("bayplan.dim_min.seq", "6")],
        "no value",
    );
}
