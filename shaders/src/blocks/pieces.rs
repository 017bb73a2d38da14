//! Pieces of rows of blocks, loaded as whole `vec4`s and unpacked all at once: for kernels that go along a row.
//!
//! Each step rounds as the reference does (`BlockFormat::unpack`).

use core::fmt::Write as _;

use bayplan_graph::{BlockFormat, DType};

use crate::Refusal;
use crate::chain::{Width, round};
use crate::source::Source;
use crate::tape::Taped;

const PARTS: [&str; 4] = ["x", "y", "z", "w"];

/// What is taken of a row at once: whole blocks of few elements, or part of a block of many.
#[derive(Clone, Copy)]
pub(crate) struct Piece {
    format: BlockFormat,
    /// Blocks.
    count: u32,
    /// Bytes at multiples of which pieces begin: 16, 4 or 2.
    grain: u32,
}

impl Piece {
    /// A piece of rows of `k` elements: of at most `most` blocks.
    pub(crate) fn new(format: BlockFormat, k: Taped, most: u32) -> Self {
        let blocks = k / format.elements() as u64;
        let row = blocks * format.bytes() as u64;
        let two = format.elements() == 32 && most >= 2 && blocks.is_multiple_of(2);
        let count = if two { 2 } else { 1 };
        let even = |&grain: &u32| {
            (count * format.bytes() as u32).is_multiple_of(grain) && row.is_multiple_of(u64::from(grain))
        };
        Self { format, count, grain: [16, 4].into_iter().find(even).unwrap_or(2) }
    }

    /// Its elements.
    pub(crate) fn depth(self) -> u32 {
        self.count
            * match self.format {
                BlockFormat::Q4K => 64,
                BlockFormat::Q6K => 128,
                format => format.elements() as u32,
            }
    }

    /// Part of a kernel's name.
    pub(crate) fn name(self) -> String {
        format!("{}.{}by{}", self.format.to_string().to_lowercase(), self.depth(), self.grain)
    }

    /// Adds the parameters `row` (half words of a row) and `last` (the last `vec4` of all `n` rows).
    pub(crate) fn params(self, src: &mut Source<'_>, row: Taped, n: Taped) -> Result<(), Refusal> {
        src.size("row", row)?;
        src.size("last", (row * n).div_ceil(8).saturating_sub(1))?;
        Ok(())
    }

    /// Loads the piece of column `c` from element `k` on, whose row begins at half word `begin{c}`, and unpacks it: `w{c}_0` and
    /// so on, four elements each.
    pub(crate) fn unpack(self, c: u32, text: &mut String) {
        let block = self.format.elements();
        let halves = self.format.bytes() / 2;
        let _ = writeln!(text, "let h{c} = begin{c} + (k / {block}u) * {halves}u;");
        match self.format {
            BlockFormat::Q4K => self.q4_k(c, text),
            BlockFormat::Q6K => self.q6_k(c, text),
            _ => self.plain(c, text),
        }
    }

    /// Loads `bytes` bytes from `from` (a text, in `vec4`s from the block's first on) as words.
    fn load(self, c: u32, name: &str, from: &str, bytes: u32, text: &mut String) -> Words {
        let name = format!("{name}{c}");
        let wanted = bytes.div_ceil(16);
        if self.grain == 16 {
            for j in 0..wanted {
                let _ = writeln!(text, "let {name}_{j} = b1.d[(h{c} >> 3u) + {from} + {j}u];");
            }
            return Words { name };
        }
        // What begins between two vec4s is put together of both.
        let raw = (16 - self.grain + bytes).div_ceil(16);
        for j in 0..raw {
            let _ = writeln!(text, "let {name}raw{j} = b1.d[min((h{c} >> 3u) + {from} + {j}u, p.last)];");
        }
        let by = if self.grain == 4 { "words_from" } else { "halves_from" };
        for j in 0..wanted {
            let next = (j + 1).min(raw - 1);
            let _ = writeln!(text, "let {name}_{j} = {by}({name}raw{j}, {name}raw{next}, h{c});");
        }
        Words { name }
    }

    /// Whole blocks of a scale and 32 elements.
    fn plain(self, c: u32, text: &mut String) {
        let words = self.load(c, "b", "0u", self.count * self.format.bytes() as u32, text);
        for block in 0..self.count {
            let at = block * self.format.bytes() as u32;
            let _ = writeln!(text, "let d{c}_{block} = vec4<f32>(scale_of({}));", words.half(at));
            for quad in 0..8 {
                let q = match self.format {
                    BlockFormat::Q8_0 => words.signed(at + 2 + 4 * quad, [24, 24], 0),
                    // Minus 8: with the highest bit turned over it is the number's sign.
                    _ => words.signed(at + 2 + 4 * (quad % 4), [28 - 4 * (quad / 4), 28], 0x8888_8888),
                };
                let _ = writeln!(text, "let w{c}_{} = d{c}_{block} * vec4<f32>({q});", 8 * block + quad);
            }
        }
    }

    /// A quarter of a block: two sub-blocks of 32, with a factor and an offset each.
    fn q4_k(self, c: u32, text: &mut String) {
        let part = "(k / 64u) % 4u";
        let head = self.load(c, "head", "0u", 16, text);
        let words = self.load(c, "b", &format!("1u + 2u * ({part})"), 32, text);
        let _ = writeln!(
            text,
            "let f{c} = factors(head{c}_0, {part});\nlet d{c} = scale_of({});\nlet least{c} = scale_of({});",
            head.half(0),
            head.half(2)
        );
        for half in 0..2 {
            let (factor, offset) = (PARTS[half], PARTS[half + 2]);
            let _ = writeln!(
                text,
                "let m{c}_{half} = vec4<f32>(d{c} * f{c}.{factor});\nlet o{c}_{half} = vec4<f32>(least{c} * f{c}.{offset});"
            );
            for quad in 0..8 {
                let q = words.unsigned(4 * quad, 4 * half as u32, 0xf);
                // See `Bytes::blocks`.
                let product = format!("bitcast<vec4<u32>>(m{c}_{half} * vec4<f32>({q})) | vec4<u32>(p.none)");
                let _ = writeln!(
                    text,
                    "let w{c}_{} = bitcast<vec4<f32>>({product}) - o{c}_{half};",
                    8 * half as u32 + quad
                );
            }
        }
    }

    /// Half of a block: 128 elements, with a factor for each 16.
    fn q6_k(self, c: u32, text: &mut String) {
        let part = "(k / 128u) % 2u";
        let low = self.load(c, "low", &format!("4u * ({part})"), 64, text);
        let high = self.load(c, "high", &format!("8u + 2u * ({part})"), 32, text);
        let ends = self.load(c, "ends", "12u", 18, text);
        let _ = writeln!(text, "let d{c} = scale_of({});", ends.half(16));
        let _ = writeln!(text, "let f{c} = select(ends{c}_0.xy, ends{c}_0.zw, ({part}) != 0u);");
        for sixteen in 0..8 {
            let (word, shift) = (PARTS[sixteen as usize / 4], 24 - 8 * (sixteen % 4));
            let _ = writeln!(
                text,
                "let m{c}_{sixteen} = vec4<f32>(d{c} * f32(i32(f{c}.{word} << {shift}u) >> 24u));"
            );
        }
        for quad in 0..32 {
            let (four, two) = (low.word(quad % 16), high.word(quad % 8));
            let (by, up) = (4 * (quad / 16), 2 * (quad / 8));
            // Minus 32: with the highest bit turned over it is the number's sign.
            let _ = writeln!(
                text,
                "let q{c}_{quad} = ((({four} >> {by}u) & 0x0f0f0f0fu) | ((({two} >> {up}u) & 0x03030303u) << 4u)) ^ 0x20202020u;\n\
                 let w{c}_{quad} = m{c}_{} * vec4<f32>(vec4<i32>(vec4<u32>(q{c}_{quad}) << vec4<u32>(26u, 18u, 10u, 2u)) >> vec4<u32>(26u));",
                quad / 4
            );
        }
    }
}

/// Words of a piece in registers.
struct Words {
    name: String,
}

impl Words {
    /// A word.
    fn word(&self, i: u32) -> String {
        format!("{}_{}.{}", self.name, i / 4, PARTS[i as usize % 4])
    }

    /// Two bytes from an even place on.
    fn half(&self, byte: u32) -> String {
        let word = self.word(byte / 4);
        if byte.is_multiple_of(4) { format!("({word} & 0xffffu)") } else { format!("({word} >> 16u)") }
    }

    /// Of four bytes from a place on: shifted up by `up` bits from the byte's own place at the word's end, then down with
    /// the sign, after `turn` has turned bits over.
    fn signed(&self, byte: u32, [up, down]: [u32; 2], turn: u32) -> String {
        let places = [0, 1, 2, 3].map(|j| byte + j);
        let words = places.map(|at| self.word(at / 4)).join(", ");
        let turned = if turn == 0 { String::new() } else { format!(" ^ vec4<u32>({turn:#x}u)") };
        let shifts = places.map(|at| format!("{}u", up - 8 * (at % 4))).join(", ");
        format!("vec4<i32>((vec4<u32>({words}){turned}) << vec4<u32>({shifts})) >> vec4<u32>({down}u)")
    }

    /// Of four bytes from a place on: the bits of `mask` from bit `low` on.
    fn unsigned(&self, byte: u32, low: u32, mask: u32) -> String {
        let places = [0, 1, 2, 3].map(|j| byte + j);
        let words = places.map(|at| self.word(at / 4)).join(", ");
        let shifts = places.map(|at| format!("{}u", low + 8 * (at % 4))).join(", ");
        format!("vec4<i32>((vec4<u32>({words}) >> vec4<u32>({shifts})) & vec4<u32>({mask:#x}u))")
    }
}

/// Adds what the texts of pieces call. Answers whether there are texts for the format.
pub(crate) fn functions(src: &mut Source<'_>, format: BlockFormat) -> bool {
    let Some(own) = super::format_of_16(DType::F16) else { return false };
    let half = round::of_bits(src, Width::One, DType::F16, own, "bits");
    src.function("scale_of", format!("fn scale_of(bits: u32) -> f32 {{\nreturn {half};\n}}"));
    src.function(
        "words_from",
        "fn words_from(first: vec4<u32>, next: vec4<u32>, half: u32) -> vec4<u32> {\n\
         let one = (half & 2u) != 0u;\n\
         let low = select(first, vec4<u32>(first.yzw, next.x), one);\n\
         let high = select(next.xy, next.yz, one);\n\
         return select(low, vec4<u32>(low.zw, high), (half & 4u) != 0u);\n}"
            .to_owned(),
    );
    src.function(
        "halves_from",
        "fn halves_from(first: vec4<u32>, next: vec4<u32>, half: u32) -> vec4<u32> {\n\
         let one = (half & 2u) != 0u;\nlet two = (half & 4u) != 0u;\n\
         let low = select(first, vec4<u32>(first.yzw, next.x), one);\n\
         let high = select(next.xyz, next.yzw, one);\n\
         let words = select(low, vec4<u32>(low.zw, high.xy), two);\n\
         let after = select(high.x, high.z, two);\n\
         let between = (words >> vec4<u32>(16u)) | (vec4<u32>(words.yzw, after) << vec4<u32>(16u));\n\
         return select(words, between, (half & 1u) != 0u);\n}"
            .to_owned(),
    );
    match format {
        BlockFormat::Q4_0 | BlockFormat::Q8_0 | BlockFormat::Q6K => {}
        BlockFormat::Q4K => {
            src.param("none", 0u64);
            // As the factors lie in the first word, with the high bits of the last four's; the offsets in the second.
            src.function(
                "factors",
                "fn factors(head: vec4<u32>, part: u32) -> vec4<f32> {\n\
                 let by = vec4<u32>(16u * (part & 1u)) + vec4<u32>(0u, 8u, 0u, 8u);\n\
                 let own = vec4<u32>(head.yy, head.zz) >> by;\n\
                 let low = ((vec4<u32>(head.w) >> by) >> vec4<u32>(0u, 0u, 4u, 4u)) & vec4<u32>(0xfu);\n\
                 let later = low | ((own >> vec4<u32>(2u)) & vec4<u32>(0x30u));\n\
                 return vec4<f32>(vec4<i32>(select(own & vec4<u32>(0x3fu), later, part > 1u)));\n}"
                    .to_owned(),
            );
        }
        _ => return false,
    }
    true
}
