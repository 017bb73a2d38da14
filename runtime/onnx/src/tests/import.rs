//! Names, constants, ranges, external data, symbols.

use bayplan_expr::{Bindings, Bounds};
use bayplan_graph::{
    ByteRange, ByteSource, ConstData, DType, FileId, FileRef, Graph, NoFiles, Tensor, ValueSource, eval,
    verify,
};

use super::{A, bytes, f32s, graph, info, model, node, tensor};
use crate::generated::onnx::{GraphProto, StringStringEntryProto, TensorProto};
use crate::{ImportOptions, import};

fn imported(g: GraphProto) -> Result<(Graph, Vec<u8>), String> {
    let bytes = bytes(&model(20, g));
    let graph = import(&bytes, &ImportOptions::default()).map_err(|e| e.to_string())?;
    verify(&graph).map_err(|e| e.to_string())?;
    Ok((graph, bytes))
}

fn data<'g>(graph: &'g Graph, name: &str) -> &'g ConstData {
    let value = graph.values.iter().find(|v| *v.name == *name).expect("the value");
    let ValueSource::Constant(data) = &value.source else { panic!("{name} is no constant") };
    data
}

/// A model that adds the initializer `w` to its input.
fn adding(w: TensorProto, dims: &[&str]) -> GraphProto {
    let mut g = graph(vec![node("Add", &["x", "w"], &["y"], &[])], vec![info("x", DType::F32, dims)], &["y"]);
    g.initializer = vec![w];
    g
}

#[test]
fn large_payloads_stay_in_the_file() {
    let values: Vec<f32> = (0..2000).map(|i| i as f32).collect();
    let raw = tensor("w", &f32s(&[2000], &values));
    let mut packed = raw.clone();
    (packed.raw_data, packed.float_data) = (None, values.clone());
    for tensor in [raw, packed] {
        let (graph, bytes) = imported(adding(tensor, &["2000"])).unwrap();
        let ConstData::Range(range) = data(&graph, "w") else { panic!("a range") };
        assert_eq!((range.file, range.len), (FileId(0), 8000));
        let mut read = vec![0; 8000];
        bytes.read_at(range.offset, &mut read).unwrap();
        assert_eq!(Tensor::new(DType::F32, vec![2000], read).unwrap().to_f32().unwrap(), values);
    }
    let mut wrong = tensor("w", &f32s(&[2000], &values));
    wrong.dims = vec![1999];
    let message = imported(adding(wrong, &["1999"])).unwrap_err();
    assert!(
        message.contains("`w`") && message.contains("8000 bytes") && message.contains("7996"),
        "{message}"
    );
}

/// Constants in attributes are left in the file too.
#[test]
fn constant_nodes_may_be_large() {
    let value = A::T(f32s(&[2000], &[1.0; 2000]));
    let nodes =
        vec![node("Constant", &[], &["w"], &[("value", value)]), node("Add", &["x", "w"], &["y"], &[])];
    let (graph, _) = imported(graph(nodes, vec![info("x", DType::F32, &["2000"])], &["y"])).unwrap();
    assert!(matches!(data(&graph, "w"), ConstData::Range(range) if range.len == 8000));
}

#[test]
fn large_payloads_of_less_than_a_byte_per_element_are_unpacked() {
    let values: Vec<f64> = (0..20_001).map(|i| f64::from(i % 16 - 8)).collect();
    let weights = Tensor::from_f64(DType::I4, vec![20_001], &values).unwrap();
    let mut g = graph(vec![node("Cast", &["w"], &["y"], &[("to", A::I(1))])], vec![], &["y"]);
    g.initializer = vec![tensor("w", &weights)];
    let (graph, _) = imported(g).unwrap();
    assert_eq!(data(&graph, "w"), &ConstData::Inline(weights.bytes().into()));
    let mut external = tensor("w", &weights);
    (external.raw_data, external.data_location) = (None, Some(1));
    let message = imported(adding(external, &["20001"])).unwrap_err();
    assert!(message.contains("4 bits") && message.contains("store them in the model"), "{message}");
}

#[test]
fn typed_lists_are_decoded() {
    let check = |tensor: TensorProto, expected: &Tensor| {
        let mut g = graph(vec![node("Identity", &["w"], &["y"], &[])], vec![], &["y"]);
        g.initializer = vec![TensorProto { name: Some("w".into()), ..tensor }];
        let (graph, _) = imported(g).unwrap();
        assert_eq!(data(&graph, "w"), &ConstData::Inline(expected.bytes().into()));
    };
    let typed = |dtype: DType| TensorProto {
        data_type: Some(super::number(dtype)),
        dims: vec![2],
        ..TensorProto::default()
    };
    let of = |dtype, v: &[i128]| Tensor::from_ints(dtype, vec![2], v).unwrap();
    check(TensorProto { float_data: vec![1.0, 2.0], ..typed(DType::F32) }, &of(DType::F32, &[1, 2]));
    check(TensorProto { double_data: vec![1.0, 2.0], ..typed(DType::F64) }, &of(DType::F64, &[1, 2]));
    check(TensorProto { int64_data: vec![-1, 2], ..typed(DType::I64) }, &of(DType::I64, &[-1, 2]));
    check(TensorProto { int32_data: vec![-1, 2], ..typed(DType::I8) }, &of(DType::I8, &[-1, 2]));
    check(TensorProto { int32_data: vec![0x3c00, 0x4000], ..typed(DType::F16) }, &of(DType::F16, &[1, 2]));
    check(TensorProto { int32_data: vec![1, 0], ..typed(DType::Bool) }, &of(DType::Bool, &[1, 0]));
    check(TensorProto { uint64_data: vec![1, 2], ..typed(DType::U32) }, &of(DType::U32, &[1, 2]));
}

#[test]
fn external_data_is_a_range_of_another_file() {
    let external = |entries: &[(&str, &str)]| TensorProto {
        raw_data: None,
        data_location: Some(1),
        external_data: entries
            .iter()
            .map(|(k, v)| StringStringEntryProto { key: Some((*k).into()), value: Some((*v).into()) })
            .collect(),
        ..tensor("w", &f32s(&[2], &[0.0; 2]))
    };
    let entries = [("location", "weights/a.bin"), ("offset", "16"), ("length", "8")];
    for n in [3, 2] {
        let (graph, _) = imported(adding(external(&entries[..n]), &["2"])).unwrap();
        assert_eq!(data(&graph, "w"), &ConstData::Range(ByteRange { file: FileId(1), offset: 16, len: 8 }));
        assert_eq!(graph.files, [FileRef::Model, FileRef::External("weights/a.bin".into())]);
    }
    let refuse = |entries: &[(&str, &str)], expected: &str| {
        let message = imported(adding(external(entries), &["2"])).unwrap_err();
        assert!(message.contains("`w`") && message.contains(expected), "{message}");
    };
    refuse(&[], "no location");
    refuse(&[("location", "")], "is empty");
    refuse(&[("location", "/etc/passwd")], "is absolute");
    refuse(&[("location", "c:\\weights")], "is absolute");
    refuse(&[("location", "a/../../b")], "leads out");
    refuse(&[("location", "a\\..\\b")], "leads out");
    refuse(&[("location", "./.")], "names no file");
    refuse(&[("location", "a\0b")], "zero byte");
    refuse(&[("location", "a"), ("length", "9")], "9 bytes, but its type needs 8");
    refuse(&[("location", "a"), ("offset", "-1")], "no number");
    refuse(&[("location", "a"), ("location", "b")], "two locations; export");
    refuse(&[("location", "a"), ("offset", "0"), ("offset", "8")], "two offsets; export");
    // What is shown of them has an end.
    let long = |entries: &[(&str, &str)], expected: &str| {
        refuse(entries, expected);
        let message = imported(adding(external(entries), &["2"])).unwrap_err();
        assert!(message.len() < 400, "{} bytes: {message}", message.len());
    };
    long(&[("location", &"a".repeat(4097))], "aaa…` is longer than any path");
    long(&[("location", &format!("/{}", "a".repeat(70_000)))], "aaa…` is absolute");
    long(&[("location", "a"), ("length", &"9".repeat(70_000))], "999…` is no number");
    imported(adding(external(&[("location", &"a".repeat(4096))]), &["2"])).unwrap();
    refuse(&[("location", "a"), ("offset", "18446744073709551615")], "beyond any file");
}

#[test]
fn symbols_keep_their_names_and_meaning() {
    let concat = node("Concat", &["past", "x"], &["y"], &[("axis", A::I(1))]);
    let infos = vec![
        info("x", DType::F32, &["batch", "seq"]),
        info("past", DType::F32, &["batch", "total - seq"]),
        info("z", DType::F32, &["odd name!", "?"]),
    ];
    let g = graph(vec![concat], infos, &["y"]);
    let bytes = bytes(&model(20, g));
    let options = ImportOptions {
        bounds: [("batch".to_owned(), Bounds::between(1, 8))].into(),
        ..ImportOptions::default()
    };
    let graph = import(&bytes, &options).unwrap();
    assert_eq!(graph.value(graph.outputs[0]).ty.as_ref().unwrap().to_string(), "f32[batch, total]");
    assert_eq!(graph.symbols.get("batch"), Bounds::between(1, 8));
    assert_eq!(graph.symbols.get("seq"), Bounds::DIM);
    assert!(graph.free_symbols().contains("odd name!"), "{:?}", graph.free_symbols());
}

/// Names of the model are kept; what the importer adds derives its names from them, without clashes.
#[test]
fn names_are_kept_and_unique() {
    let nodes = vec![
        node("HardSwish", &["x"], &["x.binary"], &[]),
        node("HardSwish", &["x.binary"], &["y"], &[]),
        node("Identity", &["y"], &["z"], &[]),
    ];
    let (graph, _) = imported(graph(nodes, vec![info("x", DType::F32, &["n"])], &["z", "y", "x"])).unwrap();
    let names: Vec<&str> = graph.outputs.iter().map(|&id| &*graph.value(id).name).collect();
    assert_eq!(names[..2], ["z", "y"]);
    assert_ne!(graph.outputs[2], graph.inputs[0], "an output is never the input itself");
    assert!(graph.nodes.iter().any(|n| &*n.name == "HardSwish_1" && &*n.source_op == "HardSwish"));
    assert!(graph.values.iter().any(|v| &*v.name == "x.binary"));
}

/// The interface keeps the model's names also where an output is an input or initializer, or is listed twice; values
/// keep names of their own.
#[test]
fn outputs_are_named_as_in_the_model() {
    let mut g = adding(tensor("w", &f32s(&[2], &[1.0, 2.0])), &["2"]);
    let listed = ["y", "x", "w", "y", "x"];
    g.output = listed.map(|name| info(name, DType::F32, &["2"])).to_vec();
    let (mut graph, _) = imported(g).unwrap();
    graph.infer().unwrap();
    let bound = graph.bind(&Bindings::default()).unwrap();
    for graph in [&graph, &bound] {
        let names: Vec<&str> = (0..listed.len()).map(|i| &**graph.output_name(i)).collect();
        assert_eq!(names, listed);
    }
    assert!(bound.outputs.iter().all(|id| matches!(bound.value(*id).source, ValueSource::Node { .. })));
    let y = eval(&bound, &[f32s(&[2], &[10.0, 20.0])], &NoFiles).unwrap();
    let expected = [[11.0, 22.0], [10.0, 20.0], [1.0, 2.0], [11.0, 22.0], [10.0, 20.0]];
    assert_eq!(y, expected.map(|list| f32s(&[2], &list)));
}

/// Before IR version 4 initializers are listed as inputs.
#[test]
fn initializers_among_the_inputs_are_constants() {
    let mut g = adding(tensor("w", &f32s(&[2], &[1.0, 2.0])), &["2"]);
    g.input.push(info("w", DType::F32, &["2"]));
    let (graph, _) = imported(g).unwrap();
    assert_eq!(graph.inputs.len(), 1);
}
