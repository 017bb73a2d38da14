//! ONNX tensors to types and bytes.

use bayplan_expr::Expr;
use bayplan_graph::{ByteRange, ByteSource, ConstData, DType, Digest, FileId, FileRef, TensorType};

use crate::digest;
use crate::error::ImportError;
use crate::generated::onnx::TensorProto;
use crate::limits::{MAX_ELEMENTS, MAX_FILES, MAX_LIST, MAX_LOCATION};
use crate::wire::{DOUBLE_DATA, FLOAT_DATA, Payload};

/// The numbers of `TensorProto.DataType`.
const NUMBERS: [(i32, DType); 23] = [
    (1, DType::F32),
    (2, DType::U8),
    (3, DType::I8),
    (4, DType::U16),
    (5, DType::I16),
    (6, DType::I32),
    (7, DType::I64),
    (9, DType::Bool),
    (10, DType::F16),
    (11, DType::F64),
    (12, DType::U32),
    (13, DType::U64),
    (16, DType::BF16),
    (17, DType::F8E4M3FN),
    (18, DType::F8E4M3FNUZ),
    (19, DType::F8E5M2),
    (20, DType::F8E5M2FNUZ),
    (21, DType::U4),
    (22, DType::I4),
    (23, DType::F4E2M1),
    (24, DType::F8E8M0),
    (25, DType::U2),
    (26, DType::I2),
];

/// Characters that a message shows of what a model says of its files.
const SHOWN: usize = 80;

/// The element type of a `TensorProto.DataType` number.
pub(crate) fn dtype(number: i32) -> Result<DType, String> {
    match number {
        0 => Err("it has no element type".to_owned()),
        8 => Err("strings are not supported; move text processing out of the model".to_owned()),
        _ => NUMBERS.iter().find(|row| row.0 == number).map(|row| row.1).ok_or_else(|| {
            format!("element type number {number} of ONNX is not supported; convert it to a wider type")
        }),
    }
}

/// The `TensorProto.DataType` number of an element type; 0, that of none, does not occur.
pub(crate) fn number(dtype: DType) -> i32 {
    NUMBERS.iter().find(|row| row.1 == dtype).map_or(0, |row| row.0)
}

/// Turns tensors into constants; collects the files they lie in.
pub(crate) struct Tensors<'a> {
    pub(crate) payloads: &'a [Payload],
    /// The model's file, for what is unpacked while it is read.
    source: &'a dyn ByteSource,
    pub(crate) files: Vec<FileRef>,
    /// What ranges of them hash to, where the model says it.
    pub(crate) digests: Vec<(ByteRange, Digest)>,
}

impl<'a> Tensors<'a> {
    pub(crate) fn new(payloads: &'a [Payload], source: &'a dyn ByteSource) -> Self {
        Self { payloads, source, files: vec![FileRef::Model], digests: Vec::new() }
    }

    /// Type and bytes of a tensor.
    pub(crate) fn constant(
        &mut self,
        name: &str,
        tensor: &TensorProto,
    ) -> Result<(TensorType, ConstData), ImportError> {
        let (ty, data, bytes) = self.stored(name, tensor, self.payloads)?;
        let data = match bytes {
            None => data,
            Some(bytes) => {
                let len = byte_len(ty.dtype, &tensor.dims).map_err(|e| ImportError::tensor(name, e))?;
                ConstData::Inline(unpacked(&bytes, ty.dtype, len).into())
            }
        };
        Ok((ty, data))
    }

    /// Type of a tensor and where it lies, with the bytes that the model holds itself as they would lie in raw data.
    pub(crate) fn stored(
        &mut self,
        name: &str,
        tensor: &TensorProto,
        payloads: &[Payload],
    ) -> Result<(TensorType, ConstData, Option<Vec<u8>>), ImportError> {
        let fail = |reason: String| ImportError::tensor(name, reason);
        let dtype = dtype(tensor.data_type.unwrap_or(0)).map_err(fail)?;
        let len = byte_len(dtype, &tensor.dims).map_err(fail)?;
        let ty = TensorType { dtype, shape: tensor.dims.iter().map(|&d| Expr::from(d)).collect() };
        let packed = dtype.bits() < 8;
        let digest = digest::of(tensor).map_err(fail)?;
        let range = if tensor.data_location == Some(1) && packed {
            return Err(fail(format!(
                "its elements of {} bits lie in another file; store them in the model",
                dtype.bits()
            )));
        } else if tensor.data_location == Some(1) {
            Some(self.external(tensor, len).map_err(fail)?)
        } else if let Some(segment) = &tensor.segment {
            let index = segment.begin.and_then(|i| usize::try_from(i).ok());
            let payload = index.and_then(|i| payloads.get(i)).copied();
            let payload = payload.ok_or_else(|| fail("its payload is missing".to_owned()))?;
            Some(in_model(payload, dtype, file_len(dtype, len)).map_err(fail)?)
        } else {
            None
        };
        let bytes = match range {
            Some(range) if packed => {
                let mut bytes = vec![0; usize::try_from(range.len).map_err(|e| fail(e.to_string()))?];
                self.source.read_at(range.offset, &mut bytes).map_err(|e| fail(e.to_string()))?;
                bytes
            }
            Some(range) => {
                self.digests.extend(digest.map(|digest| (range, digest)));
                return Ok((ty, ConstData::Range(range), None));
            }
            None => file_bytes(tensor, dtype, len).map_err(fail)?,
        };
        digest::check(&bytes, digest).map_err(fail)?;
        Ok((ty, ConstData::Inline([].into()), Some(bytes)))
    }

    fn external(&mut self, tensor: &TensorProto, len: u64) -> Result<ByteRange, String> {
        // Readers differ in which of two they take.
        let entry = |key: &str| {
            let mut found = tensor.external_data.iter().filter(|e| e.key.as_deref() == Some(key));
            match (found.next(), found.next()) {
                (_, Some(_)) => Err(format!("its external data has two {key}s; export the model again")),
                (first, None) => Ok(first.and_then(|e| e.value.as_deref())),
            }
        };
        let number = |key: &str| match entry(key)? {
            None => Ok(None),
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| {
                let text = shortened(text);
                format!("its external {key} `{text}` is no number from 0 to 2^64 - 1; export the model again")
            }),
        };
        let location =
            entry("location")?.ok_or("its external data has no location; export the model again")?;
        check_location(location)?;
        let offset = number("offset")?.unwrap_or(0);
        let given = number("length")?.unwrap_or(len);
        if given != len {
            return Err(format!(
                "its external data has {given} bytes, but its type needs {len}; export the model again"
            ));
        }
        if offset.checked_add(len).is_none() {
            return Err(format!("its external offset {offset} is beyond any file"));
        }
        let file = FileRef::External(location.into());
        let index = match self.files.iter().position(|f| *f == file) {
            Some(index) => index,
            None if self.files.len() >= MAX_FILES => {
                return Err(format!(
                    "the model is spread over more than {MAX_FILES} files; store the weights in one"
                ));
            }
            None => {
                self.files.push(file);
                self.files.len() - 1
            }
        };
        Ok(ByteRange { file: FileId(index as u32), offset, len })
    }
}

/// Only files beside the model or below: a model must not reach elsewhere.
fn check_location(location: &str) -> Result<(), String> {
    let parts = || location.split(['/', '\\']);
    let reason = if location.is_empty() {
        "is empty"
    } else if location.contains('\0') {
        "contains a zero byte"
    } else if location.starts_with(['/', '\\']) || location.get(1..2) == Some(":") {
        "is absolute"
    } else if parts().any(|part| part == "..") {
        "leads out of the model's folder"
    } else if parts().all(|part| part.is_empty() || part == ".") {
        "names no file"
    } else if location.len() > MAX_LOCATION {
        "is longer than any path"
    } else {
        return Ok(());
    };
    Err(format!(
        "its external location `{}` {reason}; it must be a path relative to the model's folder, without `..`",
        shortened(location)
    ))
}

/// The beginning of a text for a message, which is escaped as a whole.
fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// Bytes of a tensor, checked against the limits.
pub(crate) fn byte_len(dtype: DType, dims: &[i64]) -> Result<u64, String> {
    if dims.len() > bayplan_graph::MAX_RANK {
        return Err(format!("rank {} is above the limit of {}", dims.len(), bayplan_graph::MAX_RANK));
    }
    let mut count = Some(1_u64);
    for &dim in dims {
        let dim = u64::try_from(dim).map_err(|_| format!("dimension {dim} is negative"))?;
        if dim > MAX_ELEMENTS {
            return Err(format!("dimension {dim} is above the limit of {MAX_ELEMENTS}"));
        }
        count = if dim == 0 { Some(0) } else { count.and_then(|n| n.checked_mul(dim)) };
        if count == Some(0) {
            return Ok(0);
        }
    }
    count
        .filter(|&n| n <= MAX_ELEMENTS)
        .map(|n| n * dtype.size() as u64)
        .ok_or_else(|| format!("it has more than {MAX_ELEMENTS} elements"))
}

fn in_model(payload: Payload, dtype: DType, len: u64) -> Result<ByteRange, String> {
    // Packed floats lie in the file exactly as raw ones do.
    match (payload.field, dtype) {
        (FLOAT_DATA, DType::F32) | (DOUBLE_DATA, DType::F64) => {}
        (FLOAT_DATA | DOUBLE_DATA, _) => {
            return Err(format!("its elements are {dtype}, but stored as floats"));
        }
        _ => {}
    }
    if payload.len != len {
        return Err(format!(
            "its payload at byte {} has {} bytes, but its type needs {len}; export the model again",
            payload.offset, payload.len
        ));
    }
    Ok(ByteRange { file: FileId(0), offset: payload.offset, len })
}

/// The elements that a tensor holds itself, little-endian.
pub(crate) fn inline(tensor: &TensorProto, dtype: DType, len: u64) -> Result<Vec<u8>, String> {
    Ok(unpacked(&file_bytes(tensor, dtype, len)?, dtype, len))
}

/// The same as they would lie in raw data.
fn file_bytes(tensor: &TensorProto, dtype: DType, len: u64) -> Result<Vec<u8>, String> {
    let lists = [
        tensor.float_data.len(),
        tensor.int32_data.len(),
        tensor.int64_data.len(),
        tensor.double_data.len(),
        tensor.uint64_data.len(),
    ];
    if let Some(n) = lists.iter().find(|&&n| n > MAX_LIST) {
        return Err(format!(
            "a list of {n} elements is above the limit of {MAX_LIST}; store the tensor as raw data"
        ));
    }
    let bytes = match &tensor.raw_data {
        Some(raw) if lists.iter().all(|&n| n == 0) => raw.clone(),
        Some(raw) if raw.is_empty() => from_lists(tensor, dtype),
        Some(_) => return Err("it is stored twice; export the model again".to_owned()),
        None => from_lists(tensor, dtype),
    };
    let wanted = file_len(dtype, len);
    if bytes.len() as u64 == wanted {
        Ok(bytes)
    } else {
        Err(format!(
            "it has {} bytes of elements, but its type needs {wanted}; export the model again",
            bytes.len()
        ))
    }
}

/// Bytes in a file of elements that take so many in memory: several elements may share one.
fn file_len(dtype: DType, len: u64) -> u64 {
    if dtype.bits() < 8 { len.div_ceil(8 / dtype.bits() as u64) } else { len }
}

/// Elements as they lie in memory, from those of a file, where the first of a byte is in its low bits.
fn unpacked(bytes: &[u8], dtype: DType, len: u64) -> Vec<u8> {
    let bits = dtype.bits();
    if bits >= 8 {
        return bytes.to_vec();
    }
    let signed = dtype.limits().is_some_and(|(least, _)| least < 0);
    let each = |byte: &u8| {
        let byte = *byte;
        (0..8 / bits).map(move |at| {
            let element = byte >> (at * bits) << (8 - bits);
            if signed { (element.cast_signed() >> (8 - bits)).cast_unsigned() } else { element >> (8 - bits) }
        })
    };
    bytes.iter().flat_map(each).take(usize::try_from(len).unwrap_or(usize::MAX)).collect()
}

/// Elements as they lie in a file.
pub(crate) fn packed(bytes: &[u8], dtype: DType) -> Vec<u8> {
    let bits = dtype.bits();
    if bits >= 8 {
        return bytes.to_vec();
    }
    let mask = (1 << bits) - 1;
    let join = |elements: &[u8]| {
        elements.iter().enumerate().fold(0, |byte, (at, element)| byte | (element & mask) << (at * bits))
    };
    bytes.chunks(8 / bits).map(join).collect()
}

/// The typed lists: `int32_data` also holds all narrower types (floats by their bits), `uint64_data` also u32.
fn from_lists(tensor: &TensorProto, dtype: DType) -> Vec<u8> {
    match dtype {
        DType::F32 => tensor.float_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::F64 => tensor.double_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::I64 => tensor.int64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::U64 => tensor.uint64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::U32 => tensor.uint64_data.iter().flat_map(|&v| (v as u32).to_le_bytes()).collect(),
        DType::Bool => tensor.int32_data.iter().map(|&v| u8::from(v != 0)).collect(),
        _ => {
            let size = dtype.size();
            tensor.int32_data.iter().flat_map(|v| v.to_le_bytes().into_iter().take(size)).collect()
        }
    }
}
