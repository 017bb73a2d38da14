//! Elements between host and device: types narrower than a word are widened to one, booleans become 0 or 1,
//! narrow floats an `f32`.

use std::borrow::Cow;

use bayplan_graph::DType;
use bayplan_shaders::Repr;
use half::{bf16, f16};

/// Bytes per element on the device.
pub fn device_size(dtype: DType) -> u64 {
    // Types without a representation are refused when a program is compiled.
    Repr::of(dtype).map_or(dtype.size() as u64, Repr::bytes)
}

/// Whether host and device bytes are the same.
pub fn same_bytes(dtype: DType) -> bool {
    dtype.size() as u64 == device_size(dtype)
}

/// Host elements as the device holds them. The length must be that of whole elements.
pub fn widen(dtype: DType, host: &[u8]) -> Cow<'_, [u8]> {
    if let Some(format) = dtype.narrow_float().filter(|_| dtype.is_small_float()) {
        let word = |&b: &u8| format.decode(b).to_bits().to_le_bytes();
        return Cow::Owned(host.iter().flat_map(word).collect());
    }
    let word: fn(&[u8]) -> u32 = match dtype {
        DType::Bool => |b| u32::from(b[0] != 0),
        DType::U2 | DType::U4 | DType::U8 => |b| u32::from(b[0]),
        DType::I2 | DType::I4 | DType::I8 => |b| i32::from(b[0] as i8) as u32,
        DType::U16 => |b| u32::from(u16::from_le_bytes([b[0], b[1]])),
        DType::I16 => |b| i32::from(i16::from_le_bytes([b[0], b[1]])) as u32,
        DType::F16 => |b| f16::from_le_bytes([b[0], b[1]]).to_f32().to_bits(),
        DType::BF16 => |b| bf16::from_le_bytes([b[0], b[1]]).to_f32().to_bits(),
        _ => return Cow::Borrowed(host),
    };
    let words = host.chunks_exact(dtype.size()).flat_map(|element| word(element).to_le_bytes());
    Cow::Owned(words.collect())
}

/// Device elements as the host holds them. The length must be that of whole elements.
pub fn narrow(dtype: DType, device: Vec<u8>) -> Vec<u8> {
    if same_bytes(dtype) {
        return device;
    }
    let words = device.as_chunks::<4>().0.iter().copied();
    if let Some(format) = dtype.narrow_float().filter(|_| dtype.is_small_float()) {
        return words.map(|word| format.encode(f32::from_le_bytes(word))).collect();
    }
    match dtype {
        DType::F16 => words.flat_map(|word| f16::from_f32(f32::from_le_bytes(word)).to_le_bytes()).collect(),
        DType::BF16 => {
            words.flat_map(|word| bf16::from_f32(f32::from_le_bytes(word)).to_le_bytes()).collect()
        }
        _ => words.flat_map(|word| word.into_iter().take(dtype.size())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_types_come_back_as_they_went() {
        let cases: [(DType, &[u8], &[u8]); 13] = [
            (DType::Bool, &[1, 0], &[1, 0, 0, 0, 0, 0, 0, 0]),
            (DType::U8, &[200], &[200, 0, 0, 0]),
            (DType::I8, &[0xff], &[0xff, 0xff, 0xff, 0xff]),
            (DType::I16, &[0x00, 0x80], &[0x00, 0x80, 0xff, 0xff]),
            (DType::F32, &[1, 2, 3, 4], &[1, 2, 3, 4]),
            // -2, the least subnormal (2^-24), infinity.
            (DType::F16, &[0x00, 0xc0], &[0, 0, 0, 0xc0]),
            (DType::F16, &[0x01, 0x00], &[0, 0, 0x80, 0x33]),
            (DType::F16, &[0x00, 0x7c], &[0, 0, 0x80, 0x7f]),
            (DType::BF16, &[0x81, 0xbf], &[0, 0, 0x81, 0xbf]),
            // 1.5, infinity, -1, 2.
            (DType::F8E4M3FN, &[0x3c], &[0, 0, 0xc0, 0x3f]),
            (DType::F8E5M2, &[0x7c], &[0, 0, 0x80, 0x7f]),
            (DType::I4, &[0xff], &[0xff, 0xff, 0xff, 0xff]),
            (DType::U2, &[2], &[2, 0, 0, 0]),
        ];
        for (dtype, host, device) in cases {
            assert_eq!(*widen(dtype, host), *device, "{dtype}");
            assert_eq!(narrow(dtype, device.to_vec()), host, "{dtype}");
        }
        assert_eq!(*widen(DType::Bool, &[7]), [1, 0, 0, 0], "any non-zero byte is true");
    }
}
