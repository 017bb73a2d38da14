//! Graphs of initializers, and files of tensors byte by byte.

#![allow(dead_code, reason = "each test uses some of it")]

use std::path::Path;

use bayplan_graph::{
    ByteRange, ConstData, DType, FileId, FileRef, Graph, Initializer, Node, NodeId, Op, Tensor, TensorType,
    Value, ValueId, ValueSource, eval, verify,
};
use bayplan_weights::{Bound, Named, Rules, Store, WeightsError, bind};

/// A graph that gives each of its initializers as an output, by way of a node that keeps it. Each has elements of its own:
/// zeros.
pub(crate) fn graph(initializers: &[(&str, DType, &[u64])]) -> Graph {
    let mut graph = Graph { name: "made by a test".into(), ..Graph::default() };
    for &(name, dtype, shape) in initializers {
        let bytes = shape.iter().product::<u64>() as usize * dtype.size();
        let source = ValueSource::Constant(ConstData::Inline(vec![0; bytes].into()));
        let value = add(&mut graph, name, source, Some(TensorType::fixed(dtype, shape)));
        graph.initializers.push(Initializer { value, decides: false });
    }
    for index in 0..initializers.len() as u32 {
        let made = ValueSource::Node { node: NodeId(index), output: 0 };
        let output = add(&mut graph, &format!("out.{index}"), made, None);
        let (name, source_op) = (format!("node.{index}").into(), "Cast".into());
        let op = Op::Cast(initializers[index as usize].1);
        graph.nodes.push(Node { op, inputs: vec![ValueId(index)], outputs: vec![output], name, source_op });
        graph.outputs.push(output);
    }
    graph.infer().expect("types");
    graph
}

/// The same with all initializers in a file, which is not there.
pub(crate) fn in_file(mut graph: Graph) -> Graph {
    graph.files = vec![FileRef::External("gone.data".into())];
    for value in &mut graph.values {
        if let ValueSource::Constant(ConstData::Inline(bytes)) = &value.source {
            let range = ByteRange { file: FileId(0), offset: 0, len: bytes.len() as u64 };
            value.source = ValueSource::Constant(ConstData::Range(range));
        }
    }
    graph
}

fn add(graph: &mut Graph, name: &str, source: ValueSource, ty: Option<TensorType>) -> ValueId {
    graph.values.push(Value { name: name.into(), source, ty, contents: None });
    ValueId(graph.values.len() as u32 - 1)
}

/// Binds the graph and evaluates it: its outputs, in order.
pub(crate) fn run(mut graph: Graph, file: &Path, rules: &str) -> Result<(Bound, Vec<Tensor>), WeightsError> {
    let named = Named::open(file)?;
    let bound = bind(&mut graph, &named, &Rules::parse(rules)?)?;
    graph.infer().expect("types follow");
    assert_eq!(verify(&graph), Ok(()), "{graph}");
    let store = Store::open_with("none.onnx", &graph, Some(&named))?;
    Ok((bound, eval(&graph, &[] as &[Tensor], &store).expect("it runs")))
}

/// A safetensors file: names, types, shapes and bytes.
pub(crate) fn safetensors(tensors: &[(&str, &str, &[u64], &[u8])]) -> Vec<u8> {
    let (mut header, mut data) = (Vec::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let begin = data.len();
        data.extend_from_slice(bytes);
        let end = data.len();
        header.push(format!(
            "\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{begin},{end}]}}"
        ));
    }
    with_header(&format!("{{{}}}", header.join(",")), &data)
}

/// A safetensors file of a header and data.
pub(crate) fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// A GGUF file of version 3 without keys: names, shapes as GGUF has them (innermost first), types and bytes.
pub(crate) fn gguf(tensors: &[(&str, &[u64], u32, &[u8])]) -> Vec<u8> {
    let mut header = [b"GGUF".as_slice(), &3_u32.to_le_bytes()].concat();
    header.extend((tensors.len() as u64).to_le_bytes());
    header.extend(0_u64.to_le_bytes());
    let mut data: Vec<u8> = Vec::new();
    for (name, dims, ty, bytes) in tensors {
        header.extend((name.len() as u64).to_le_bytes());
        header.extend(name.as_bytes());
        header.extend((dims.len() as u32).to_le_bytes());
        header.extend(dims.iter().flat_map(|dim| dim.to_le_bytes()));
        header.extend(ty.to_le_bytes());
        header.extend((data.len() as u64).to_le_bytes());
        data.extend_from_slice(bytes);
        data.resize(data.len().next_multiple_of(32), 0);
    }
    header.resize(header.len().next_multiple_of(32), 0);
    header.extend(data);
    header
}

/// Bytes of floats.
pub(crate) fn floats(list: impl IntoIterator<Item = f32>) -> Vec<u8> {
    list.into_iter().flat_map(f32::to_le_bytes).collect()
}
