//! Element types.

use core::fmt;

/// The element type of a tensor, named as in ONNX's `TensorProto.DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DType {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// bfloat16.
    BF16,
    /// IEEE 754 binary64.
    F64,
    /// Signed 8-bit integer.
    I8,
    /// Signed 16-bit integer.
    I16,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer.
    I64,
    /// Unsigned 8-bit integer.
    U8,
    /// Unsigned 16-bit integer.
    U16,
    /// Unsigned 32-bit integer.
    U32,
    /// Unsigned 64-bit integer.
    U64,
    /// Boolean, one byte per element in files (0 or 1).
    Bool,
    /// 8 bits: 4 of exponent, 3 of fraction, no infinities ("FN").
    F8E4M3FN,
    /// As `F8E4M3FN`, with one NaN and one zero ("UZ").
    F8E4M3FNUZ,
    /// 8 bits: 5 of exponent, 2 of fraction, with infinities.
    F8E5M2,
    /// As `F8E5M2`, without infinities, with one NaN and one zero.
    F8E5M2FNUZ,
    /// 8 bits: powers of two from 2^-127 to 2^127, and NaN.
    F8E8M0,
    /// 4 bits: 2 of exponent, 1 of fraction, finite numbers only; two per byte in files.
    F4E2M1,
    /// Signed 4-bit integer, two per byte in files.
    I4,
    /// Unsigned 4-bit integer, two per byte in files.
    U4,
    /// Signed 2-bit integer, four per byte in files.
    I2,
    /// Unsigned 2-bit integer, four per byte in files.
    U2,
}

impl DType {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::F64,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::Bool,
        Self::F8E4M3FN,
        Self::F8E4M3FNUZ,
        Self::F8E5M2,
        Self::F8E5M2FNUZ,
        Self::F8E8M0,
        Self::F4E2M1,
        Self::I4,
        Self::U4,
        Self::I2,
        Self::U2,
    ];

    /// Bits per element in files.
    pub const fn bits(self) -> usize {
        match self {
            Self::F4E2M1 | Self::I4 | Self::U4 => 4,
            Self::I2 | Self::U2 => 2,
            _ => 8 * self.size(),
        }
    }

    /// Bytes per element in host memory, also of those that share one in files (a device may store it wider, see
    /// `bayplan-shaders`).
    pub const fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F8E4M3FN | Self::F8E4M3FNUZ | Self::F8E5M2 | Self::F8E5M2FNUZ | Self::F8E8M0 => 1,
            Self::F4E2M1 | Self::I4 | Self::U4 | Self::I2 | Self::U2 => 1,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }

    /// The short name, `f32`, `i64`, `bool` and so on.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::F64 => "f64",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::Bool => "bool",
            Self::F8E4M3FN => "f8e4m3fn",
            Self::F8E4M3FNUZ => "f8e4m3fnuz",
            Self::F8E5M2 => "f8e5m2",
            Self::F8E5M2FNUZ => "f8e5m2fnuz",
            Self::F8E8M0 => "f8e8m0",
            Self::F4E2M1 => "f4e2m1",
            Self::I4 => "i4",
            Self::U4 => "u4",
            Self::I2 => "i2",
            Self::U2 => "u2",
        }
    }

    /// Whether it is a floating-point type.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::BF16 | Self::F64) || self.is_small_float()
    }

    /// Whether it is a floating-point type of at most 8 bits.
    pub const fn is_small_float(self) -> bool {
        matches!(
            self,
            Self::F8E4M3FN | Self::F8E4M3FNUZ | Self::F8E5M2 | Self::F8E5M2FNUZ | Self::F8E8M0 | Self::F4E2M1
        )
    }

    /// Whether it is a signed or unsigned integer (not a boolean).
    pub const fn is_int(self) -> bool {
        !self.is_float() && !matches!(self, Self::Bool)
    }

    /// The least and the greatest value of an integer type.
    pub const fn limits(self) -> Option<(i128, i128)> {
        let bits = self.bits();
        match self {
            Self::I2 | Self::I4 | Self::I8 | Self::I16 | Self::I32 | Self::I64 => {
                Some((-(1 << (bits - 1)), (1 << (bits - 1)) - 1))
            }
            Self::U2 | Self::U4 | Self::U8 | Self::U16 | Self::U32 | Self::U64 => Some((0, (1 << bits) - 1)),
            _ => None,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
