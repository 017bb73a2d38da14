//! Elements as they lie in a file, unpacked on the device: bit for bit what the host makes of them.

mod common;

use bayplan_graph::{BlockFormat, DType};
use bayplan_shaders::{Packed, Spec, UnpackSpec};
use common::{POISON, Random, run, targets};

/// Bytes as words, four in each, the rest of the last one poison; or one in each.
fn operand(bytes: &[u8], apart: bool) -> Vec<u32> {
    if apart {
        return bytes.iter().map(|&byte| byte.into()).collect();
    }
    let word = |part: &[u8]| {
        let mut word = POISON.to_le_bytes();
        word[..part.len()].copy_from_slice(part);
        u32::from_le_bytes(word)
    };
    bytes.chunks(4).map(word).collect()
}

/// Random blocks whose scales are numbers of every magnitude, subnormal ones and 0 too.
fn blocks(format: BlockFormat, count: u64, random: &mut Random) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        (0..count * format.bytes() as u64).map(|_| random.next().to_le_bytes()[3]).collect();
    let scales: &[usize] = match format {
        BlockFormat::Q4K => &[0, 2],
        BlockFormat::Q6K => &[208],
        _ => &[0],
    };
    for block in bytes.chunks_exact_mut(format.bytes()) {
        for &at in scales {
            // All but infinities and NaNs.
            let bits = (random.below(0x7c00) as u16) | (random.below(2) as u16) << 15;
            let bits = if random.below(8) == 0 { bits & 0x83ff } else { bits };
            block[at..at + 2].copy_from_slice(&bits.to_le_bytes());
        }
    }
    bytes
}

#[test]
fn blocks_become_the_reference_elements_bit_for_bit() {
    let mut random = Random::new(9);
    for format in BlockFormat::ALL {
        // One more block than a whole number of words, and more than a workgroup's.
        for (count, apart) in [(1, false), (3, false), (41, false), (7, true)] {
            let bytes = blocks(format, count, &mut random);
            let mut want = Vec::new();
            format.unpack(&bytes, &mut want);
            let want: Vec<u32> = want.iter().map(|v| v.to_bits()).collect();
            let spec = UnpackSpec { from: Packed::Blocks(format), apart, dtype: DType::F32, count };
            for target in targets() {
                let got = run(
                    &Spec::Unpack(spec.clone()),
                    &target,
                    &[operand(&bytes, apart)],
                    want.len() as u64,
                    None,
                );
                let differs = (0..want.len()).find(|&i| got[i] != want[i]);
                assert_eq!(
                    differs,
                    None,
                    "{format} of {count} blocks on {}: {:?}",
                    target.name,
                    differs.map(|i| { (f32::from_bits(got[i]), f32::from_bits(want[i])) })
                );
            }
        }
    }
}

/// Elements of a type as bytes of a file, and as words of a device.
fn elements(dtype: DType, count: usize) -> (Vec<u8>, Vec<u32>) {
    let mut random = Random::new(count as u64);
    let mut bytes = Vec::new();
    let mut words = Vec::new();
    for i in 0..count {
        // Every code of a byte; of two, those around the ends of the exponents and any.
        let two = match i % 3 {
            0 => (i as u16 / 3).rotate_right(5),
            1 => (i as u16 / 3) ^ 0x8000,
            _ => random.next() as u16,
        };
        let code = if dtype.size() == 2 { two } else { u16::from(i as u8) };
        let code = match dtype {
            DType::I2 | DType::I4 => (i8::try_from(i % 4).unwrap() - 2).cast_unsigned().into(),
            DType::U2 | DType::U4 => code & 3,
            DType::F4E2M1 => code & 15,
            _ => code,
        };
        bytes.extend(&code.to_le_bytes()[..dtype.size()]);
        let [low, _] = code.to_le_bytes();
        words.push(match dtype {
            DType::Bool => u32::from(low != 0),
            DType::U2 | DType::U4 | DType::U8 | DType::U16 => code.into(),
            DType::I2 | DType::I4 | DType::I8 => i32::from(low.cast_signed()).cast_unsigned(),
            DType::I16 => i32::from(code.cast_signed()).cast_unsigned(),
            _ => {
                let format = dtype.narrow_float().expect("a narrow float");
                if dtype.size() == 2 { format.of_bits(code).to_bits() } else { format.decode(low).to_bits() }
            }
        });
    }
    (bytes, words)
}

#[test]
fn every_narrow_type_widens_bit_for_bit() {
    let narrow = DType::ALL.into_iter().filter(|dtype| dtype.size() < 4);
    for dtype in narrow {
        // Whole groups of four; and one, two and three elements behind them.
        for count in [1, 2, 515, 768, 2053] {
            let (bytes, want) = elements(dtype, count);
            let from = Packed::Elements(dtype);
            let spec = Spec::Unpack(UnpackSpec { from, apart: false, dtype, count: count as u64 });
            for target in targets() {
                let got = run(&spec, &target, &[operand(&bytes, false)], count as u64, None);
                let differs = (0..count).find(|&i| got[i] != want[i]);
                let words = differs.map(|i| format!("{:#x}, not {:#x}", got[i], want[i]));
                assert_eq!(words, None, "{dtype} {differs:?} of {count} on {}", target.name);
            }
        }
    }
}

#[test]
fn what_is_as_wide_as_a_word_is_refused() {
    for (from, dtype) in [
        (Packed::Elements(DType::F32), DType::F32),
        (Packed::Elements(DType::I64), DType::I64),
        (Packed::Elements(DType::F16), DType::I32),
        (Packed::Blocks(BlockFormat::Q4_0), DType::U32),
    ] {
        let spec = Spec::Unpack(UnpackSpec { from, apart: false, dtype, count: 8 });
        let refused = bayplan_shaders::launch(&spec, &common::cpu()).expect_err("refused").to_string();
        assert!(refused.contains("unpack"), "{refused}");
    }
}
