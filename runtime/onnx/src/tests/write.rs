//! Models written anew: nothing but their tensors changes, wherever those stand.

use bayplan_graph::{ByteSource, ConstData, DType, Digest, FileRef};
use prost::Message;

use super::branch::holding;
use super::{A, bytes, f32s, graph, i64s, info, model, node, tensor, typed};
use crate::generated::onnx::{GraphProto, ModelProto, StringStringEntryProto, TensorProto};
use crate::write::{Lies, NewInitializer, NewNode, NewOp, Outline, PLAN_KEY, Place, Rewrite};
use crate::{ImportOptions, import};

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: Some(key.to_owned()), value: Some(value.to_owned()) }
}

/// Large and small tensors in the graph, in a body, in an attribute, as raw bytes and as lists; and much beside them.
fn sample() -> ModelProto {
    let large = |value: f32| f32s(&[40, 40], &[value; 1600]);
    let mut body = graph(vec![node("Add", &["x", "w"], &["u"], &[])], vec![], &["u"]);
    body.initializer = vec![tensor("w", &large(1.0))];
    let mut other = graph(vec![node("Neg", &["x"], &["u"], &[])], vec![], &["u"]);
    other.doc_string = Some("nothing to see".to_owned());
    let mut branch = node("If", &["c"], &["z"], &[]);
    branch.attribute = vec![holding("then_branch", body), holding("else_branch", other)];
    let mut list = tensor("list", &large(2.0));
    (list.raw_data, list.float_data) = (None, vec![2.0; 1600]);
    let mut numbers = tensor("numbers", &typed(DType::I32, &[1200], &[7.0; 1200]));
    (numbers.raw_data, numbers.int32_data) = (None, vec![7; 1200]);
    let mut shape = tensor("shape", &i64s(&[2], &[40, 40]));
    (shape.raw_data, shape.int64_data) = (None, vec![40, 40]);
    shape.doc_string = Some("a shape".to_owned());
    let mut listed = tensor("listed", &large(3.0));
    listed.doc_string = Some("an input as well".to_owned());
    let nodes = vec![
        node("Constant", &[], &["k"], &[("value", A::T(large(4.0)))]),
        branch,
        node("Cast", &["numbers"], &["float"], &[("to", A::I(1))]),
        node("Reshape", &["z", "shape"], &["r"], &[]),
        node("Cast", &["packed"], &["packed.f"], &[("to", A::I(1))]),
        node("ReduceMax", &["packed.f"], &["most"], &[("keepdims", A::I(0))]),
        node("Sum", &["r", "k", "list", "listed", "most"], &["y"], &[]),
    ];
    let inputs = vec![
        info("x", DType::F32, &["40", "40"]),
        info("c", DType::Bool, &[]),
        info("listed", DType::F32, &["40", "40"]),
    ];
    let mut g = graph(nodes, inputs, &["y", "float"]);
    g.value_info = vec![info("r", DType::F32, &["40", "40"])];
    let packed = tensor("packed", &typed(DType::I4, &[10_000], &[-3.0; 10_000]));
    g.initializer = vec![list, shape, numbers, listed, packed];
    let mut m = model(17, g);
    m.doc_string = Some("a model".to_owned());
    m.producer_name = Some("a test".to_owned());
    m.metadata_props = vec![entry("own", "kept"), entry(PLAN_KEY, "of long ago"), entry("bayplan.x", "old")];
    m
}

/// The tensors of a graph and of all within it.
fn tensors<'g>(graph: &'g mut GraphProto, each: &mut dyn FnMut(&'g mut TensorProto)) {
    graph.initializer.iter_mut().for_each(&mut *each);
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        attribute.t.iter_mut().chain(&mut attribute.tensors).for_each(&mut *each);
        for body in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            tensors(body, each);
        }
    }
}

/// A tensor with its elements as raw bytes, and where they lay.
fn resolve(tensor: &mut TensorProto, data: &[u8]) {
    let lists = [
        tensor.float_data.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>(),
        tensor.int32_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        tensor.int64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
    ];
    let number = |key: &str| {
        let found = tensor.external_data.iter().find(|own| own.key.as_deref() == Some(key))?;
        found.value.as_ref()?.parse::<usize>().ok()
    };
    let bytes = match number("offset").zip(number("length")) {
        Some((offset, len)) => data[offset..][..len].to_vec(),
        None => tensor.raw_data.clone().unwrap_or_else(|| lists.concat()),
    };
    for entry in std::mem::take(&mut tensor.metadata_props) {
        assert_eq!(entry.key.as_deref(), Some("bayplan.xxh3"));
        assert_eq!(entry.value, Some(Digest::of(&bytes).to_string()), "{:?}", tensor.name);
    }
    *tensor = TensorProto {
        raw_data: Some(bytes),
        float_data: vec![],
        int32_data: vec![],
        int64_data: vec![],
        external_data: vec![],
        data_location: None,
        ..tensor.clone()
    };
}

/// A model whose tensors have been resolved.
fn resolved(mut model: ModelProto, data: &[u8]) -> ModelProto {
    tensors(model.graph.as_mut().expect("a graph"), &mut |tensor| resolve(tensor, data));
    model
}

/// All tensors that can lie outside, one after the other, and where.
fn laid_out(outline: &Outline, file: &[u8]) -> (Vec<Place>, Vec<u8>) {
    let mut data = Vec::new();
    let places = outline.tensors().iter().map(|own| {
        let bytes = match &own.data {
            ConstData::Range(range) => &file[range.offset as usize..][..range.len as usize],
            ConstData::Inline(bytes) => bytes,
        };
        if bytes.is_empty() {
            return Place::Stays;
        }
        let lies = Lies { offset: data.len() as u64, len: bytes.len() as u64, digest: Digest::of(bytes) };
        data.extend_from_slice(bytes);
        Place::Lies(lies)
    });
    (places.collect(), data)
}

fn written(outline: &Outline, file: &dyn ByteSource, rewrite: &Rewrite) -> Vec<u8> {
    let mut out = Vec::new();
    outline.write(file, rewrite, &mut out).expect("it is written");
    out
}

#[test]
fn nothing_but_tensors_and_metadata_changes() {
    let own = sample();
    let file = bytes(&own);
    import(&file, &ImportOptions::default()).expect("a model");
    let outline = Outline::read(&file).expect("an outline");
    let named: Vec<&str> = outline.tensors().iter().map(|own| &*own.name).collect();
    assert_eq!(named, ["", "w", "list", "shape", "numbers", "listed", "packed"]);
    let initializers: Vec<bool> = outline.tensors().iter().map(|own| own.initializer).collect();
    assert_eq!(initializers, [false, false, true, true, true, true, true]);
    assert!(outline.is_input("listed") && !outline.is_input("list"));
    assert_eq!(outline.metadata(&file, "own", 100).expect("text").as_deref(), Some("kept"));
    assert_eq!(outline.metadata(&file, "none", 100).expect("nothing"), None);
    assert!(outline.metadata(&file, "own", 5).unwrap_err().to_string().contains("more than 5"));

    let (places, data) = laid_out(&outline, &file);
    let outside = places.iter().filter(|place| matches!(place, Place::Lies(_))).count();
    assert_eq!((outside, data.len()), (5, 4 * 6400 + 4800));
    let metadata = vec![("bayplan.x".to_owned(), "new".repeat(50_000))];
    let rewrite =
        Rewrite { location: "d".to_owned(), places, metadata: metadata.clone(), ..Rewrite::default() };
    let out = written(&outline, &file, &rewrite);
    let made = ModelProto::decode(out.as_slice()).expect("a model");
    let mut expected = resolved(own.clone(), &data);
    expected.metadata_props = vec![entry("own", "kept"), entry(&metadata[0].0, &metadata[0].1)];
    assert!(resolved(made, &data) == expected, "something else changed");
    let graph = import(&out, &ImportOptions::default()).expect("it is imported");
    assert_eq!(graph.files, [FileRef::Model, FileRef::External("d".into())]);
    assert_eq!(graph.digests.len(), 5);

    // Written again it stays as it is; with all tensors where they were it is the model with digests.
    let again = Outline::read(&out).expect("an outline");
    assert!(written(&again, &out, &rewrite) == out, "written again it is another");
    let stays = written(&outline, &file, &Rewrite { places: vec![], ..rewrite });
    let made = resolved(ModelProto::decode(stays.as_slice()).expect("a model"), &[]);
    assert!(made == expected, "tensors that stay changed");
}

/// Initializers become nodes, others new ones; one that is an input is none any more.
#[test]
fn nodes_take_the_place_of_initializers() {
    let file = bytes(&sample());
    let outline = Outline::read(&file).expect("an outline");
    let (mut places, _) = laid_out(&outline, &file);
    let Place::Lies(lies) = places[2].clone() else { panic!("`list` lies outside") };
    places[2] = Place::Made;
    places[5] = Place::Made;
    places[3] = Place::Holds([40_i64, 40].map(i64::to_le_bytes).concat());
    let made =
        |op, input: &str, output: &str| NewNode { op, input: input.to_owned(), output: output.to_owned() };
    let rewrite = Rewrite {
        location: "d".to_owned(),
        places,
        initializers: vec![NewInitializer {
            name: "list.f16".to_owned(),
            dtype: DType::F16,
            shape: vec![40, 80],
            lies,
        }],
        nodes: vec![
            made(NewOp::Cast(DType::F32), "list.f16", "list.cast"),
            made(NewOp::Transpose(vec![1, 0]), "list.cast", "list"),
            made(NewOp::Transpose(vec![1, 0]), "list", "listed"),
        ],
        ..Rewrite::default()
    };
    let out = written(&outline, &file, &rewrite);
    let graph = ModelProto::decode(out.as_slice()).expect("a model").graph.expect("a graph");
    let ops: Vec<&str> = graph.node.iter().filter_map(|node| node.op_type.as_deref()).take(4).collect();
    assert_eq!(ops, ["Cast", "Transpose", "Transpose", "Constant"]);
    let inputs: Vec<&str> = graph.input.iter().filter_map(|own| own.name.as_deref()).collect();
    assert_eq!(inputs, ["x", "c"]);
    let names: Vec<&str> = graph.initializer.iter().filter_map(|own| own.name.as_deref()).collect();
    assert_eq!(names, ["shape", "numbers", "packed", "list.f16"]);
    let imported = import(&out, &ImportOptions::default());
    // 80 rows of 40 do not add to 40 of 40: that they are looked at shows that the nodes are read.
    let said = imported
        .map(|mut graph| graph.infer().map(drop))
        .map_or_else(|e| e.to_string(), |infer| infer.expect_err("shapes that do not fit").to_string());
    assert!(said.contains("80"), "{said}");
}

/// Files cut or changed anywhere give an outline or an error.
#[test]
fn damaged_models_are_taken_apart_or_refused() {
    let file = bytes(&sample());
    for len in (0..file.len()).step_by(7) {
        let _ = Outline::read(&file[..len].to_vec());
    }
    for at in (0..file.len()).step_by(5) {
        let mut changed = file.clone();
        changed[at] ^= 0xff;
        if let Ok(outline) = Outline::read(&changed) {
            let _ = outline.write(&changed, &Rewrite::default(), &mut Vec::new());
        }
    }
}
