//! Tensors in host memory, for reference evaluation and for values known before anything runs.

use core::fmt;

use half::{bf16, f16};

use crate::DType;

/// Most bytes of one host tensor: a model that asks for more is refused instead of filling the machine's memory.
pub const MAX_TENSOR_BYTES: usize = 1 << 32;

/// A tensor in host memory: little-endian elements, row-major, no padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Why a tensor cannot be made or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TensorError {
    /// The number of bytes does not fit the shape.
    Length {
        /// The element type.
        dtype: DType,
        /// The shape.
        shape: Vec<usize>,
        /// Bytes that the shape needs.
        expected: usize,
        /// Bytes given.
        actual: usize,
    },
    /// The shape needs more than [`MAX_TENSOR_BYTES`].
    TooLarge {
        /// The element type.
        dtype: DType,
        /// The shape.
        shape: Vec<usize>,
    },
    /// Read as another type than it has.
    Type {
        /// The type it has.
        actual: DType,
        /// The type asked for.
        wanted: DType,
    },
}

impl fmt::Display for TensorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { dtype, shape, expected, actual } => {
                write!(f, "a {dtype}{shape:?} tensor has {expected} bytes, but {actual} were given")
            }
            Self::TooLarge { dtype, shape } => {
                write!(
                    f,
                    "a {dtype}{shape:?} tensor is larger than {MAX_TENSOR_BYTES} bytes, the most the host holds"
                )
            }
            Self::Type { actual, wanted } => write!(f, "the tensor holds {actual}, not {wanted}"),
        }
    }
}

impl std::error::Error for TensorError {}

/// The elements of a tensor in the widest type of their kind, in which reference evaluation computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Of a floating-point tensor.
    Float(Vec<f64>),
    /// Of an integer or boolean tensor (`i128` holds both `i64` and `u64`).
    Int(Vec<i128>),
}

/// Number of elements of a shape, if it does not overflow.
pub(crate) fn count(shape: &[usize]) -> Option<usize> {
    // A zero anywhere makes the product zero, even where a partial product overflows.
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim))
}

/// Bytes of a tensor, if the host holds that many.
pub(crate) fn byte_len(dtype: DType, shape: &[usize]) -> Result<usize, TensorError> {
    count(shape)
        .and_then(|n| n.checked_mul(dtype.size()))
        .filter(|&n| n <= MAX_TENSOR_BYTES)
        .ok_or_else(|| TensorError::TooLarge { dtype, shape: shape.to_vec() })
}

impl Tensor {
    /// A tensor of `bytes`.
    ///
    /// # Errors
    /// If the length does not fit the shape or the tensor is too large.
    pub fn new(dtype: DType, shape: Vec<usize>, bytes: Vec<u8>) -> Result<Self, TensorError> {
        let expected = byte_len(dtype, &shape)?;
        if bytes.len() == expected {
            Ok(Self { dtype, shape, bytes })
        } else {
            Err(TensorError::Length { dtype, shape, expected, actual: bytes.len() })
        }
    }

    /// A tensor of zeros.
    ///
    /// # Errors
    /// If the tensor is too large.
    pub fn zeros(dtype: DType, shape: Vec<usize>) -> Result<Self, TensorError> {
        let len = byte_len(dtype, &shape)?;
        Ok(Self { dtype, shape, bytes: vec![0; len] })
    }

    /// An `f32` tensor.
    ///
    /// # Errors
    /// If the number of elements does not fit the shape.
    pub fn from_f32(shape: Vec<usize>, elements: &[f32]) -> Result<Self, TensorError> {
        Self::new(DType::F32, shape, elements.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// An `i64` tensor.
    ///
    /// # Errors
    /// If the number of elements does not fit the shape.
    pub fn from_i64(shape: Vec<usize>, elements: &[i64]) -> Result<Self, TensorError> {
        Self::new(DType::I64, shape, elements.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// A boolean tensor.
    ///
    /// # Errors
    /// If the number of elements does not fit the shape.
    pub fn from_bool(shape: Vec<usize>, elements: &[bool]) -> Result<Self, TensorError> {
        Self::new(DType::Bool, shape, elements.iter().map(|&v| u8::from(v)).collect())
    }

    /// A tensor of `dtype` from floating-point elements: rounded to nearest for float types, truncated and clamped for
    /// integers, "is not zero" for booleans.
    ///
    /// # Errors
    /// If the number of elements does not fit the shape.
    pub fn from_f64(dtype: DType, shape: Vec<usize>, elements: &[f64]) -> Result<Self, TensorError> {
        let mut bytes = Vec::with_capacity(elements.len().saturating_mul(dtype.size()));
        let narrow = dtype.narrow_float();
        // From 64 bits at once: by way of f32 it would round twice.
        let rounded = |v: f64| narrow.map_or(v, |format| format.round(v)) as f32;
        for &v in elements {
            match dtype {
                DType::F32 => bytes.extend((v as f32).to_le_bytes()),
                DType::F64 => bytes.extend(v.to_le_bytes()),
                DType::F16 => bytes.extend(f16::from_f32(rounded(v)).to_le_bytes()),
                DType::BF16 => bytes.extend(bf16::from_f32(rounded(v)).to_le_bytes()),
                DType::Bool => bytes.push(u8::from(v != 0.0)),
                // Whole numbers wrap, as a narrowing conversion does.
                DType::I4 => bytes.push(((v as i32 as i8) << 4 >> 4).cast_unsigned()),
                DType::I2 => bytes.push(((v as i32 as i8) << 6 >> 6).cast_unsigned()),
                DType::U4 => bytes.push(v as i32 as u8 & 0xf),
                DType::U2 => bytes.push(v as i32 as u8 & 0x3),
                DType::I8 => bytes.extend((v as i8).to_le_bytes()),
                DType::I16 => bytes.extend((v as i16).to_le_bytes()),
                DType::I32 => bytes.extend((v as i32).to_le_bytes()),
                DType::I64 => bytes.extend((v as i64).to_le_bytes()),
                DType::U8 => bytes.extend((v as u8).to_le_bytes()),
                DType::U16 => bytes.extend((v as u16).to_le_bytes()),
                DType::U32 => bytes.extend((v as u32).to_le_bytes()),
                DType::U64 => bytes.extend((v as u64).to_le_bytes()),
                DType::F8E4M3FN
                | DType::F8E4M3FNUZ
                | DType::F8E5M2
                | DType::F8E5M2FNUZ
                | DType::F8E8M0
                | DType::F4E2M1 => bytes.extend(narrow.map(|format| format.encode(rounded(v)))),
            }
        }
        Self::new(dtype, shape, bytes)
    }

    /// A tensor of `dtype` from integers: converted to nearest for float types, wrapped for integers as a narrowing
    /// conversion does, "is not zero" for booleans.
    ///
    /// # Errors
    /// If the number of elements does not fit the shape.
    pub fn from_ints(dtype: DType, shape: Vec<usize>, elements: &[i128]) -> Result<Self, TensorError> {
        if dtype.is_float() {
            let floats: Vec<f64> = elements.iter().map(|&v| v as f64).collect();
            return Self::from_f64(dtype, shape, &floats);
        }
        let mut bytes = Vec::with_capacity(elements.len().saturating_mul(dtype.size()));
        for &v in elements {
            if dtype == DType::Bool {
                bytes.push(u8::from(v != 0));
            } else if dtype.bits() < 8 {
                let (least, most) = dtype.limits().unwrap_or((0, 0));
                bytes.push((least + (v - least).rem_euclid(most - least + 1)) as u8);
            } else {
                // Two's complement: the low bytes are the wrapped value, signed or not.
                bytes.extend_from_slice(&v.to_le_bytes()[..dtype.size()]);
            }
        }
        Self::new(dtype, shape, bytes)
    }

    /// A tensor of `dtype` from computed elements.
    ///
    /// # Errors
    /// If the number of elements does not fit the shape.
    pub fn from_elements(dtype: DType, shape: Vec<usize>, elements: &Elements) -> Result<Self, TensorError> {
        match elements {
            Elements::Float(v) => Self::from_f64(dtype, shape, v),
            Elements::Int(v) => Self::from_ints(dtype, shape, v),
        }
    }

    /// Element type.
    pub const fn dtype(&self) -> DType {
        self.dtype
    }

    /// Dimensions in elements.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements' bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The elements' bytes, owned.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.bytes.len() / self.dtype.size()
    }

    /// The same bytes in another shape.
    ///
    /// # Errors
    /// If the number of elements differs.
    pub fn reshaped(&self, shape: Vec<usize>) -> Result<Self, TensorError> {
        Self::new(self.dtype, shape, self.bytes.clone())
    }

    /// The elements of an `f32` tensor.
    ///
    /// # Errors
    /// If it holds another type.
    pub fn to_f32(&self) -> Result<Vec<f32>, TensorError> {
        self.expect(DType::F32)?;
        Ok(self.chunks().map(f32::from_le_bytes).collect())
    }

    /// The elements of an `i64` tensor.
    ///
    /// # Errors
    /// If it holds another type.
    pub fn to_i64(&self) -> Result<Vec<i64>, TensorError> {
        self.expect(DType::I64)?;
        Ok(self.chunks().map(i64::from_le_bytes).collect())
    }

    fn expect(&self, wanted: DType) -> Result<(), TensorError> {
        if self.dtype == wanted { Ok(()) } else { Err(TensorError::Type { actual: self.dtype, wanted }) }
    }

    fn chunks<const N: usize>(&self) -> impl Iterator<Item = [u8; N]> + '_ {
        self.bytes.as_chunks::<N>().0.iter().copied()
    }

    /// All elements in the widest type of their kind.
    pub fn elements(&self) -> Elements {
        match self.dtype {
            DType::F32 => Elements::Float(self.chunks().map(|b| f32::from_le_bytes(b).into()).collect()),
            DType::F64 => Elements::Float(self.chunks().map(f64::from_le_bytes).collect()),
            DType::F16 => Elements::Float(self.chunks().map(|b| f16::from_le_bytes(b).to_f64()).collect()),
            DType::BF16 => Elements::Float(self.chunks().map(|b| bf16::from_le_bytes(b).to_f64()).collect()),
            DType::F8E4M3FN
            | DType::F8E4M3FNUZ
            | DType::F8E5M2
            | DType::F8E5M2FNUZ
            | DType::F8E8M0
            | DType::F4E2M1 => {
                let format = self.dtype.narrow_float();
                let decode = |&b: &u8| format.map(|format| format.decode(b).into());
                Elements::Float(self.bytes.iter().filter_map(decode).collect())
            }
            DType::I8 | DType::I4 | DType::I2 => {
                Elements::Int(self.chunks().map(|b| i8::from_le_bytes(b).into()).collect())
            }
            DType::I16 => Elements::Int(self.chunks().map(|b| i16::from_le_bytes(b).into()).collect()),
            DType::I32 => Elements::Int(self.chunks().map(|b| i32::from_le_bytes(b).into()).collect()),
            DType::I64 => Elements::Int(self.chunks().map(|b| i64::from_le_bytes(b).into()).collect()),
            DType::U16 => Elements::Int(self.chunks().map(|b| u16::from_le_bytes(b).into()).collect()),
            DType::U32 => Elements::Int(self.chunks().map(|b| u32::from_le_bytes(b).into()).collect()),
            DType::U64 => Elements::Int(self.chunks().map(|b| u64::from_le_bytes(b).into()).collect()),
            DType::U8 | DType::U4 | DType::U2 => {
                Elements::Int(self.bytes.iter().map(|&b| b.into()).collect())
            }
            DType::Bool => Elements::Int(self.bytes.iter().map(|&b| i128::from(b != 0)).collect()),
        }
    }

    /// All elements as `f64` (integers converted).
    pub fn to_f64(&self) -> Vec<f64> {
        match self.elements() {
            Elements::Float(v) => v,
            Elements::Int(v) => v.into_iter().map(|v| v as f64).collect(),
        }
    }

    /// All elements as integers; `None` for a floating-point tensor.
    pub fn to_ints(&self) -> Option<Vec<i128>> {
        match self.elements() {
            Elements::Int(v) => Some(v),
            Elements::Float(_) => None,
        }
    }
}

impl fmt::Debug for Tensor {
    /// Type, shape and the first few elements: whole tensors make no readable message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 16;
        write!(f, "{}{:?} ", self.dtype, self.shape)?;
        match self.elements() {
            Elements::Float(v) => write!(f, "{:?}", &v[..v.len().min(SHOWN)])?,
            Elements::Int(v) => write!(f, "{:?}", &v[..v.len().min(SHOWN)])?,
        }
        if self.count() > SHOWN { f.write_str(" …") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_checked() {
        assert!(matches!(
            Tensor::from_f32(vec![2, 2], &[0.0; 3]),
            Err(TensorError::Length { expected: 16, actual: 12, .. })
        ));
        assert!(matches!(Tensor::zeros(DType::F32, vec![usize::MAX, 2]), Err(TensorError::TooLarge { .. })));
        assert!(matches!(
            Tensor::zeros(DType::U8, vec![MAX_TENSOR_BYTES + 1]),
            Err(TensorError::TooLarge { .. })
        ));
        assert_eq!(Tensor::zeros(DType::F32, vec![usize::MAX, 0]).unwrap().count(), 0);
        assert_eq!(Tensor::from_f32(vec![], &[7.0]).unwrap().count(), 1);
    }

    #[test]
    fn every_type_keeps_its_values() {
        use DType::{BF16, Bool, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
        for dtype in [F32, F16, BF16, F64, I8, I16, I32, I64] {
            let t = Tensor::from_f64(dtype, vec![3], &[-3.0, 0.0, 96.0]).unwrap();
            assert_eq!(t.to_f64(), [-3.0, 0.0, 96.0], "{dtype}");
        }
        for dtype in [U8, U16, U32, U64] {
            let t = Tensor::from_ints(dtype, vec![2], &[-1, 5]).unwrap();
            let wrapped = (1_i128 << (8 * dtype.size())) - 1;
            assert_eq!(t.to_ints().unwrap(), [wrapped, 5], "{dtype}");
        }
        assert_eq!(Tensor::from_ints(Bool, vec![2], &[4, 0]).unwrap().bytes(), [1, 0]);
        assert!(Tensor::from_i64(vec![1], &[1]).unwrap().to_f32().is_err());
    }
}
