//! Files of tensors by name, written by hand.

use std::fs;
use std::path::{Path, PathBuf};

use bayplan::{DType, Model};
use bayplan_graph::ValueSource;

use crate::onnx_file::{Dim, External, Model as File, Node};

/// A tensor to be written: its name, element type, shape and bytes.
pub type Written = (String, DType, Vec<u64>, Vec<u8>);

/// A safetensors file.
///
/// # Panics
/// When it cannot be written.
pub fn safetensors(path: &Path, tensors: &[Written]) {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let begin = data.len();
        data.extend_from_slice(bytes);
        let kind = dtype.to_string().to_uppercase();
        let info = serde_json::json!({ "dtype": kind, "shape": shape, "data_offsets": [begin, data.len()] });
        header.insert(name.clone(), info);
    }
    let header = serde_json::Value::Object(header).to_string();
    fs::write(path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat())
        .expect("a file");
}

/// A GGUF file: names, shapes outermost first, types by number, bytes.
///
/// # Panics
/// When it cannot be written.
pub fn gguf(path: &Path, tensors: &[(&str, &[u64], u32, Vec<u8>)]) {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let mut header =
        [b"GGUF".as_slice(), &3_u32.to_le_bytes(), &(tensors.len() as u64).to_le_bytes()].concat();
    header.extend(
        [&1_u64.to_le_bytes()[..], &text("general.name"), &8_u32.to_le_bytes(), &text("a test")].concat(),
    );
    let mut data = Vec::new();
    for (name, shape, ty, bytes) in tensors {
        header.extend([&text(name)[..], &(shape.len() as u32).to_le_bytes()].concat());
        header.extend(shape.iter().rev().flat_map(|dim| dim.to_le_bytes()));
        header.extend([&ty.to_le_bytes()[..], &(data.len() as u64).to_le_bytes()].concat());
        data.extend_from_slice(bytes);
        data.resize(data.len().next_multiple_of(32), 0);
    }
    header.resize(header.len().next_multiple_of(32), 0);
    fs::write(path, [header, data].concat()).expect("a file");
}

/// The initializers of a model.
///
/// # Panics
/// When the model cannot be read.
pub fn initializers(model: &Path) -> Vec<Written> {
    let (graph, opened) = (Model::import(model).expect("a graph"), Model::open(model).expect("a model"));
    let read = |own: &bayplan_graph::Initializer| {
        let value = graph.value(own.value);
        let ValueSource::Constant(data) = &value.source else { panic!("{} is no constant", value.name) };
        let ty = value.ty.as_ref().expect("a type");
        let shape = ty.dims().expect("numbers");
        let mut bytes = vec![0; shape.iter().product::<u64>() as usize * ty.dtype.size()];
        opened.weights().read(data, &mut bytes).expect("its bytes");
        (value.name.to_string(), ty.dtype, shape, bytes)
    };
    graph.initializers.iter().map(read).collect()
}

/// `NAME.y = x + NAME`, the weights in a file that is not there. Answers the model's path.
///
/// # Panics
/// When it cannot be written.
pub fn sums(path: &Path, names: &[&str], shape: &'static [i64]) -> PathBuf {
    let sums: Vec<String> = names.iter().map(|name| format!("{name}.y")).collect();
    let operands: Vec<[&str; 2]> = names.iter().map(|name| ["x", *name]).collect();
    let results: Vec<[&str; 1]> = sums.iter().map(|name| [&**name]).collect();
    let nodes = operands.iter().zip(&results).map(|(of, to)| Node::new("Add", of, to)).collect();
    let length = (4 * shape.iter().product::<i64>()).to_string();
    let external = |&name| External { name, shape, location: "gone.data", offset: "0", length: &length };
    let model = File {
        nodes,
        inputs: vec![("x", shape.iter().map(|&dim| Dim::Known(dim)).collect())],
        outputs: sums.iter().map(|name| &**name).collect(),
        weights: names.iter().map(external).collect(),
        ..File::default()
    };
    fs::write(path, model.bytes()).expect("a file");
    path.to_owned()
}
