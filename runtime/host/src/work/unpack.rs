//! Elements as they lie in a file to elements as devices hold them.

use bayplan_compile::widen;
use bayplan_graph::DType;
use bayplan_shaders::{Packed, UnpackSpec};

use crate::memory::words_of;
use crate::view::View;

/// Units that are unpacked at a time, so that little is held beside operand and result.
const STEP: usize = 1 << 10;

/// What is touched: words with a byte, or with four.
pub(super) fn reads(spec: &UnpackSpec) -> View {
    if spec.apart {
        View::row(DType::U8, spec.bytes())
    } else {
        View::row(DType::U32, spec.bytes().div_ceil(4))
    }
}

pub(super) fn compute(spec: &UnpackSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let (bytes, elements) = (spec.from.bytes(), spec.from.elements());
    let byte = |at: usize| {
        let (word, shift) = if spec.apart { (at, 0) } else { (at / 4, at % 4 * 8) };
        (operands[0][word] >> shift) as u8
    };
    let (mut packed, mut floats) = (Vec::new(), Vec::new());
    for (step, out) in out.chunks_mut(STEP * elements).enumerate() {
        let first = step * STEP * bytes;
        packed.clear();
        packed.extend((first..first + out.len() / elements * bytes).map(byte));
        match spec.from {
            Packed::Elements(dtype) => {
                let words = widen(dtype, &packed);
                out.iter_mut().zip(words_of(&words)).for_each(|(out, word)| *out = word);
            }
            Packed::Blocks(format) => {
                floats.clear();
                format.unpack(&packed, &mut floats);
                out.iter_mut().zip(&floats).for_each(|(out, v): (&mut u32, &f32)| *out = v.to_bits());
            }
        }
    }
    Ok(())
}
