//! Tensors in files of their own, one `TensorProto` each, as the test sets of ONNX keep inputs and outputs.

use bayplan_graph::Tensor;
use prost::Message;

use crate::error::ImportError;
use crate::generated::onnx::TensorProto;
use crate::tensor::{byte_len, dtype, inline, number, packed};

/// Data of a tensor lies in another file.
const EXTERNAL: i32 = 1;

/// Reads a tensor, with its name, which may be empty.
///
/// # Errors
/// [`ImportError::Decode`] of bytes that are no tensor, [`ImportError::Tensor`] of one whose element type is not supported,
/// whose elements lie in another file or are cut into segments, or do not add up to its shape.
pub fn read_tensor(bytes: &[u8]) -> Result<(String, Tensor), ImportError> {
    let proto = TensorProto::decode(bytes).map_err(|e| ImportError::Decode(e.to_string()))?;
    let name = proto.name.clone().unwrap_or_default();
    let fail = |reason: String| ImportError::tensor(&name, reason);
    if proto.data_location == Some(EXTERNAL) {
        return Err(fail("its elements lie in another file; store them in this one".to_owned()));
    }
    if proto.segment.is_some() {
        return Err(fail("it is one segment of a tensor; store all of it".to_owned()));
    }
    let dtype = dtype(proto.data_type.unwrap_or(0)).map_err(fail)?;
    let len = byte_len(dtype, &proto.dims).map_err(fail)?;
    let elements = inline(&proto, dtype, len).map_err(fail)?;
    let shape: Result<Vec<usize>, _> = proto.dims.iter().map(|&dim| usize::try_from(dim)).collect();
    let shape = shape.map_err(|e| fail(e.to_string()))?;
    let tensor = Tensor::new(dtype, shape, elements).map_err(|e| fail(e.to_string()))?;
    Ok((name, tensor))
}

/// The bytes of a file that holds a tensor.
pub fn write_tensor(name: &str, tensor: &Tensor) -> Vec<u8> {
    TensorProto {
        name: Some(name.to_owned()),
        dims: tensor.shape().iter().map(|&dim| dim as i64).collect(),
        data_type: Some(number(tensor.dtype())),
        raw_data: Some(packed(tensor.bytes(), tensor.dtype())),
        ..TensorProto::default()
    }
    .encode_to_vec()
}

#[cfg(test)]
mod tests {
    use bayplan_graph::DType;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for dtype in DType::ALL {
            for shape in [vec![], vec![3], vec![2, 0, 4], vec![2, 3]] {
                let tensor = Tensor::zeros(dtype, shape).expect("a tensor");
                let read = read_tensor(&write_tensor("x", &tensor)).expect("a tensor");
                assert_eq!(read, ("x".to_owned(), tensor));
            }
        }
    }

    #[test]
    fn lists_and_raw_bytes_are_the_same() {
        let proto = TensorProto {
            dims: vec![2],
            data_type: Some(number(DType::F16)),
            int32_data: vec![0x3c00, 0xc000],
            ..TensorProto::default()
        };
        let (name, tensor) = read_tensor(&proto.encode_to_vec()).expect("a tensor");
        assert_eq!((&*name, tensor.to_f64()), ("", vec![1.0, -2.0]));
    }

    #[test]
    fn elements_of_less_than_a_byte_share_one() {
        let check = |dtype: DType, values: &[f64], file: &[u8]| {
            let tensor = Tensor::from_f64(dtype, vec![values.len()], values).expect("a tensor");
            let written = write_tensor("x", &tensor);
            let proto = TensorProto::decode(&*written).expect("a tensor");
            assert_eq!(proto.raw_data.as_deref(), Some(file), "{dtype}");
            assert_eq!(read_tensor(&written).expect("a tensor").1, tensor);
            // A list holds a byte per number.
            let int32_data = file.iter().map(|&byte| byte.into()).collect();
            let list = TensorProto { raw_data: None, int32_data, ..proto };
            assert_eq!(read_tensor(&list.encode_to_vec()).expect("a tensor").1, tensor);
        };
        check(DType::I4, &[1.0, -2.0, 7.0], &[0xe1, 0x07]);
        check(DType::U4, &[1.0, 15.0, 7.0, 0.0], &[0xf1, 0x07]);
        check(DType::I2, &[1.0, -1.0, -2.0, 0.0, 1.0], &[0b0010_1101, 0b01]);
        check(DType::U2, &[3.0, 0.0, 2.0], &[0b10_0011]);
        check(DType::F4E2M1, &[6.0, -0.5, 1.5], &[0x97, 0x03]);
    }

    #[test]
    fn what_is_no_whole_tensor_is_refused() {
        let float = |dims: &[i64]| TensorProto {
            dims: dims.to_vec(),
            data_type: Some(number(DType::F32)),
            raw_data: Some(vec![0; 4]),
            ..TensorProto::default()
        };
        let segment = Some(crate::generated::onnx::tensor_proto::Segment { begin: Some(0), end: Some(1) });
        for (proto, expected) in [
            (float(&[2]), "has 4 bytes of elements, but its type needs 8"),
            (float(&[-1]), "dimension -1 is negative"),
            (TensorProto { data_type: Some(8), ..float(&[1]) }, "strings are not supported"),
            (TensorProto { data_location: Some(EXTERNAL), ..float(&[1]) }, "another file"),
            (TensorProto { segment, ..float(&[1]) }, "one segment"),
        ] {
            let error = read_tensor(&proto.encode_to_vec()).expect_err("no tensor").to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(matches!(read_tensor(&[0xff; 9]), Err(ImportError::Decode(_))));
    }
}
