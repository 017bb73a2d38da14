//! Elements packed in blocks that share a scale, as GGUF files hold quantised weights.

use core::fmt;

use half::f16;

/// A format of blocks: so many elements of a row in so many bytes, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BlockFormat {
    /// 32 elements of 4 bits, minus 8, times a scale.
    Q4_0,
    /// 32 elements of 8 bits, times a scale.
    Q8_0,
    /// 256 elements of 4 bits; each 32 have a factor and an offset of 6 bits, which two scales stretch.
    Q4K,
    /// 256 elements of 6 bits, minus 32; each 16 have a factor of 8 bits, which a scale stretches.
    Q6K,
}

impl BlockFormat {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Q4_0, Self::Q8_0, Self::Q4K, Self::Q6K];

    /// The name in GGUF, such as `Q4_K`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q4_0 => "Q4_0",
            Self::Q8_0 => "Q8_0",
            Self::Q4K => "Q4_K",
            Self::Q6K => "Q6_K",
        }
    }

    /// Elements of a block.
    pub const fn elements(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q6K => 256,
        }
    }

    /// Bytes of a block.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Q4_0 => 18,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q6K => 210,
        }
    }

    /// Appends the elements of whole blocks; what is left of `bytes` behind the last is not looked at. Each step rounds to
    /// f32, in the order of GGUF's reference.
    pub fn unpack(self, bytes: &[u8], out: &mut Vec<f32>) {
        let unpack = match self {
            Self::Q4_0 => q4_0,
            Self::Q8_0 => q8_0,
            Self::Q4K => q4_k,
            Self::Q6K => q6_k,
        };
        bytes.chunks_exact(self.bytes()).for_each(|block| unpack(block, out));
    }
}

impl fmt::Display for BlockFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The f16 at a byte of a block.
fn scale(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Scale; then bytes whose low halves are the first 16 elements, the high halves the others.
fn q4_0(block: &[u8], out: &mut Vec<f32>) {
    let d = scale(block, 0);
    for shift in [0, 4] {
        out.extend(block[2..].iter().map(|byte| d * (f32::from(byte >> shift & 0xf) - 8.0)));
    }
}

/// Scale; then signed bytes.
fn q8_0(block: &[u8], out: &mut Vec<f32>) {
    let d = scale(block, 0);
    out.extend(block[2..].iter().map(|byte| f32::from(byte.cast_signed()) * d));
}

/// Scale of the factors, scale of the offsets; 12 bytes with eight of each; then, for two sub-blocks of 32 after the
/// other, 32 bytes with an element of the first in the low half and of the second in the high one.
fn q4_k(block: &[u8], out: &mut Vec<f32>) {
    let (d, least) = (scale(block, 0), scale(block, 2));
    let (packed, elements) = block[4..].split_at(12);
    for (pair, bytes) in elements.chunks_exact(32).enumerate() {
        for half in 0..2 {
            let (factor, offset) = six_bits(packed, 2 * pair + half);
            let (factor, offset) = (d * f32::from(factor), least * f32::from(offset));
            out.extend(bytes.iter().map(|byte| factor * f32::from(byte >> (4 * half) & 0xf) - offset));
        }
    }
}

/// Factor and offset of a sub-block: of the first four the low 6 bits of the first and second four bytes; of the others the
/// halves of the last four bytes, with the high 2 bits of the first and second.
fn six_bits(packed: &[u8], sub: usize) -> (u8, u8) {
    let (factor, offset) = (packed[sub % 4], packed[4 + sub % 4]);
    if sub < 4 {
        return (factor & 0x3f, offset & 0x3f);
    }
    let low = packed[8 + sub % 4];
    (low & 0xf | factor >> 2 & 0x30, low >> 4 | offset >> 2 & 0x30)
}

/// The low 4 bits of the elements, 128 at a time: 64 bytes whose low halves come first; then their high 2 bits, 128 in 32
/// bytes, the lowest bits first; sixteen signed factors; scale.
fn q6_k(block: &[u8], out: &mut Vec<f32>) {
    let (low, rest) = block.split_at(128);
    let (high, rest) = rest.split_at(64);
    let d = scale(rest, 16);
    let factors: [f32; 16] = std::array::from_fn(|i| d * f32::from(rest[i].cast_signed()));
    for index in 0..256 {
        let (group, within) = (index / 128, index % 128);
        let four = low[64 * group + within % 64] >> (4 * (within / 64)) & 0xf;
        let two = high[32 * group + within % 32] >> (2 * (within / 32)) & 0x3;
        out.push(factors[index / 16] * (f32::from(four | two << 4) - 32.0));
    }
}
