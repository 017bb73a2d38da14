//! Text that reads bytes as they lie in a file: quantised blocks and elements narrower than a word.
//!
//! Each step rounds as the reference does (`BlockFormat::unpack`), so that results are equal bit for bit.

use bayplan_graph::{BlockFormat, DType};

use crate::chain::{Width, round};
use crate::source::Source;
use crate::tape::Taped;

pub(crate) mod pieces;

/// Words of so many elements in blocks.
pub(crate) fn words(format: BlockFormat, elements: Taped) -> Taped {
    (elements / format.elements() as u64 * format.bytes() as u64).div_ceil(4)
}

/// The bytes of a bound tensor.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a> {
    /// Its array of `u32`.
    pub(crate) binding: &'a str,
    /// Whether each byte is in a word of its own, instead of four to a word.
    pub(crate) apart: bool,
}

impl Bytes<'_> {
    /// Adds `byte_at(i)`, `half_at(i)` (two bytes from an even place on) and `word_at(i)` (four from an even place on), all
    /// answering a `u32`.
    fn readers(self, src: &mut Source<'_>) {
        let d = format!("{}.d", self.binding);
        let texts = if self.apart {
            [
                format!("return {d}[i] & 0xffu;"),
                "return byte_at(i) | (byte_at(i + 1u) << 8u);".to_owned(),
                "return half_at(i) | (half_at(i + 2u) << 16u);".to_owned(),
            ]
        } else {
            [
                format!("return ({d}[i >> 2u] >> (8u * (i & 3u))) & 0xffu;"),
                format!("return ({d}[i >> 2u] >> (8u * (i & 3u))) & 0xffffu;"),
                // From an even place on: within one word, or half in the next.
                format!(
                    "let low = {d}[i >> 2u];\nlet high = {d}[(i + 3u) >> 2u];\n\
                     return select(low, (low >> 16u) | (high << 16u), (i & 2u) != 0u);"
                ),
            ]
        };
        for (name, text) in ["byte_at", "half_at", "word_at"].into_iter().zip(texts) {
            src.function(name, format!("fn {name}(i: u32) -> u32 {{\n{text}\n}}"));
        }
    }

    /// Adds `four_at(e)`: the elements `e` to `e + 3` of blocks as a `vec4<f32>`; `e` is a multiple of 4. Answers whether
    /// there is a text for the format.
    pub(crate) fn blocks(self, src: &mut Source<'_>, format: BlockFormat) -> bool {
        self.readers(src);
        let half = format_of_16(DType::F16)
            .map(|own| round::of_bits(src, Width::One, DType::F16, own, "half_at(i)"));
        let half = half.unwrap_or_default();
        src.function("scale_at", format!("fn scale_at(i: u32) -> f32 {{\nreturn {half};\n}}"));
        src.function(
            "four_of",
            "fn four_of(w: u32) -> vec4<u32> {\nreturn (vec4<u32>(w) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);\n}"
                .to_owned(),
        );
        let text = match format {
            BlockFormat::Q4_0 => {
                "let q = four_of((word_at(at + 2u + (w & 15u)) >> (4u * (w >> 4u))) & 0x0f0f0f0fu);\n\
                 return vec4<f32>(scale_at(at)) * (vec4<f32>(q) - 8.0);"
                    .to_owned()
            }
            BlockFormat::Q8_0 => "let q = vec4<i32>(four_of(word_at(at + 2u + w)) << vec4<u32>(24u)) >> vec4<u32>(24u);\n\
                 return vec4<f32>(q) * scale_at(at);"
                .to_owned(),
            BlockFormat::Q4K => q4_k(src),
            BlockFormat::Q6K => "let group = w >> 7u;\n\
                 let within = w & 127u;\n\
                 let four = (word_at(at + 64u * group + (within & 63u)) >> (4u * (within >> 6u))) & 0x0f0f0f0fu;\n\
                 let two = (word_at(at + 128u + 32u * group + (within & 31u)) >> (2u * (within >> 5u))) & 0x03030303u;\n\
                 let factor = f32(i32(byte_at(at + 192u + (w >> 4u)) << 24u) >> 24u);\n\
                 return (scale_at(at + 208u) * factor) * (vec4<f32>(four_of(four | (two << 4u))) - 32.0);"
                .to_owned(),
            _ => return false,
        };
        let (elements, bytes) = (format.elements(), format.bytes());
        src.function(
            "four_at",
            format!(
                "fn four_at(e: u32) -> vec4<f32> {{\nlet at = (e / {elements}u) * {bytes}u;\nlet w = e % {elements}u;\n{text}\n}}"
            ),
        );
        true
    }

    /// Adds `words_at(e)`: the elements `e` to `e + 3` of a type narrower than a word, as devices hold them, as a
    /// `vec4<u32>`; `e` is a multiple of 4, and of `n` elements those behind the last are anything. Answers whether there
    /// is a text for the type.
    pub(crate) fn elements(self, src: &mut Source<'_>, dtype: DType, n: &str) -> bool {
        self.readers(src);
        let four = if dtype.size() == 2 {
            // Where only two are left there may be no second word.
            "let low = word_at(2u * e);\nlet high = word_at(2u * e + select(0u, 4u, e + 2u < NUMBER));\n\
             let x = vec4<u32>(low & 0xffffu, low >> 16u, high & 0xffffu, high >> 16u);\n"
        } else {
            "let x = (vec4<u32>(word_at(e)) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);\n"
        };
        let bits = |bits: u32| format!("vec4<u32>(vec4<i32>(x << vec4<u32>({bits}u)) >> vec4<u32>({bits}u))");
        let value = match dtype {
            DType::Bool => "select(vec4<u32>(), vec4<u32>(1u), x != vec4<u32>())".to_owned(),
            DType::U2 | DType::U4 | DType::U8 | DType::U16 => "x".to_owned(),
            DType::I2 | DType::I4 | DType::I8 => bits(24),
            DType::I16 => bits(16),
            _ => match (format_of_16(dtype), dtype.is_small_float()) {
                (Some(format), _) => {
                    format!("bitcast<vec4<u32>>({})", round::of_bits(src, Width::Four, dtype, format, "x"))
                }
                (None, true) => {
                    small_float(src, dtype);
                    "vec4<u32>(small(x.x), small(x.y), small(x.z), small(x.w))".to_owned()
                }
                (None, false) => return false,
            },
        };
        src.function(
            "words_at",
            format!("fn words_at(e: u32) -> vec4<u32> {{\n{}return {value};\n}}", four.replace("NUMBER", n)),
        );
        true
    }
}

fn format_of_16(dtype: DType) -> Option<bayplan_graph::NarrowFloat> {
    dtype.narrow_float().filter(|_| dtype.size() == 2)
}

/// Sub-blocks of 32, the factor and the offset of each in 6 bits.
fn q4_k(src: &mut Source<'_>) -> String {
    // Drivers may take a product and a sum together, which rounds once instead of twice: bits that they cannot foresee
    // are laid over the product. They are 0.
    let none = src.param("none", 0u64);
    format!(
        "let sub = w >> 5u;\n\
         let packed = at + 4u + (sub & 3u);\n\
         let first = byte_at(packed);\n\
         let second = byte_at(packed + 4u);\n\
         let third = byte_at(packed + 8u);\n\
         let high = sub > 3u;\n\
         let factor = select(first & 0x3fu, (third & 0xfu) | ((first >> 2u) & 0x30u), high);\n\
         let offset = select(second & 0x3fu, (third >> 4u) | ((second >> 2u) & 0x30u), high);\n\
         let q = four_of((word_at(at + 16u + 32u * (w >> 6u) + (w & 31u)) >> (4u * (sub & 1u))) & 0x0f0f0f0fu);\n\
         let product = (scale_at(at) * f32(factor)) * vec4<f32>(q);\n\
         let least = scale_at(at + 2u) * f32(offset);\n\
         return bitcast<vec4<f32>>(bitcast<vec4<u32>>(product) | vec4<u32>({none})) - least;"
    )
}

/// Adds `small(x)`: the bits of the `f32` whose bits in a type of at most 8 bits those are.
fn small_float(src: &mut Source<'_>, dtype: DType) {
    let Some(format) = dtype.narrow_float() else { return };
    let nan = f32::NAN.to_bits();
    let text = if format.scale {
        // The least power of two has no exponent of its own in an `f32`.
        format!("return select(select(x << 23u, 0x400000u, x == 0u), {nan:#x}u, x == 255u);")
    } else {
        let decoded = |code: u8| format.decode(code);
        // The sign is the bit above all codes of numbers that are not negative.
        let width = (1..8).find(|&width| {
            decoded(1 << width).is_sign_negative() || decoded(1 << width).is_nan() && !format.signed_zero
        });
        let width = width.unwrap_or(7);
        let last = (0..1_u8 << width).rev().find(|&code| decoded(code).is_finite()).unwrap_or(0);
        let infinite = (0..1_u8 << width).any(|code| decoded(code).is_infinite());
        let beyond = if infinite { f32::INFINITY.to_bits() } else { nan };
        let (fraction, least) = (format.fraction, format.least);
        let unit = (f64::from(least - fraction as i32).exp2() as f32).to_bits();
        let zero = if format.signed_zero {
            String::new()
        } else {
            format!("if (code == 0u && sign != 0u) {{ return {nan:#x}u; }}\n")
        };
        format!(
            "let code = x & {mask:#x}u;\n\
             let sign = ((x >> {width}u) & 1u) << 31u;\n\
             {zero}\
             var r = bitcast<u32>(f32(code) * bitcast<f32>({unit:#x}u));\n\
             r = select(r, (code << {drop}u) + {rebias:#x}u, code > {fractions:#x}u);\n\
             r = select(r, select({nan:#x}u, {beyond:#x}u, code == {next}u), code > {last}u);\n\
             return r | sign;",
            mask = (1_u32 << width) - 1,
            drop = 23 - fraction,
            fractions = (1_u32 << fraction) - 1,
            rebias = ((126 + least) as u32) << 23,
            next = u32::from(last) + 1,
        )
    };
    src.function("small", format!("fn small(x: u32) -> u32 {{\n{text}\n}}"));
}
