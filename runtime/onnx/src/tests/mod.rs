//! Models built in memory: what is imported, what it computes, what is refused.

mod branch;
mod cases;
mod damage;
mod decoder;
mod digests;
mod dropout;
mod extent;
mod import;
mod iterate;
mod metadata;
mod operators;
mod opsets;
mod order;
mod selection;
mod transposed;
mod values;
mod write;

use bayplan_graph::{DType, Tensor};
use prost::Message;

use crate::generated::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, attribute_proto::AttributeType, tensor_shape_proto, type_proto,
};

/// An attribute's value.
#[derive(Clone, Debug)]
pub(super) enum A {
    I(i64),
    F(f32),
    S(&'static str),
    Is(Vec<i64>),
    Fs(Vec<f32>),
    Ss(&'static [&'static str]),
    T(Tensor),
}

pub(super) fn f32s(shape: &[usize], v: &[f32]) -> Tensor {
    Tensor::from_f32(shape.to_vec(), v).expect("a tensor")
}

pub(super) fn i64s(shape: &[usize], v: &[i64]) -> Tensor {
    Tensor::from_i64(shape.to_vec(), v).expect("a tensor")
}

pub(super) fn typed(dtype: DType, shape: &[usize], v: &[f64]) -> Tensor {
    Tensor::from_f64(dtype, shape.to_vec(), v).expect("a tensor")
}

pub(super) fn bools(v: &[bool]) -> Tensor {
    Tensor::from_bool(vec![v.len()], v).expect("a tensor")
}

pub(super) fn flags(shape: &[usize], v: &[bool]) -> Tensor {
    Tensor::from_bool(shape.to_vec(), v).expect("a tensor")
}

pub(super) fn numbers(dtype: DType, shape: &[usize], v: &[f64]) -> Tensor {
    Tensor::from_f64(dtype, shape.to_vec(), v).expect("a tensor")
}

pub(super) fn number(dtype: DType) -> i32 {
    (0..30).find(|&n| crate::tensor::dtype(n) == Ok(dtype)).expect("every type has a number")
}

pub(super) fn tensor(name: &str, t: &Tensor) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        dims: t.shape().iter().map(|&d| d as i64).collect(),
        data_type: Some(number(t.dtype())),
        raw_data: Some(crate::tensor::packed(t.bytes(), t.dtype())),
        ..TensorProto::default()
    }
}

pub(super) fn attribute(name: &str, value: &A) -> AttributeProto {
    let mut a = AttributeProto { name: Some(name.to_owned()), ..AttributeProto::default() };
    let ty = match value {
        A::I(v) => {
            a.i = Some(*v);
            AttributeType::Int
        }
        A::F(v) => {
            a.f = Some(*v);
            AttributeType::Float
        }
        A::S(v) => {
            a.s = Some(v.as_bytes().to_vec());
            AttributeType::String
        }
        A::Is(v) => {
            a.ints.clone_from(v);
            AttributeType::Ints
        }
        A::Fs(v) => {
            a.floats.clone_from(v);
            AttributeType::Floats
        }
        A::Ss(v) => {
            a.strings = v.iter().map(|text| text.as_bytes().to_vec()).collect();
            AttributeType::Strings
        }
        A::T(v) => {
            a.t = Some(tensor("", v));
            AttributeType::Tensor
        }
    };
    a.r#type = Some(ty as i32);
    a
}

pub(super) fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[(&str, A)]) -> NodeProto {
    NodeProto {
        op_type: Some(op.to_owned()),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: outputs.iter().map(ToString::to_string).collect(),
        attribute: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
        ..NodeProto::default()
    }
}

/// An input; dimensions that are no numbers are names.
pub(super) fn info(name: &str, dtype: DType, dims: &[&str]) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let dim = dims.iter().map(|d| {
        let value = d.parse().map_or_else(|_| Value::DimParam((*d).to_owned()), Value::DimValue);
        Dimension { value: Some(value), ..Dimension::default() }
    });
    let shape = Some(TensorShapeProto { dim: dim.collect() });
    let tensor = type_proto::Tensor { elem_type: Some(number(dtype)), shape };
    let ty = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(ty), ..ValueInfoProto::default() }
}

pub(super) fn model(opset: i64, graph: GraphProto) -> ModelProto {
    let opset = OperatorSetIdProto { domain: None, version: Some(opset) };
    ModelProto { ir_version: Some(8), opset_import: vec![opset], graph: Some(graph), ..ModelProto::default() }
}

pub(super) fn graph(nodes: Vec<NodeProto>, inputs: Vec<ValueInfoProto>, outputs: &[&str]) -> GraphProto {
    let output = outputs.iter().map(|name| info(name, DType::F32, &[])).collect();
    GraphProto { name: Some("test".to_owned()), node: nodes, input: inputs, output, ..GraphProto::default() }
}

pub(super) fn bytes(model: &ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}
