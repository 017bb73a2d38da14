//! Elements as they lie in a file, unpacked on the device: bit for bit what the host makes of them.

mod common;

use bayplan_graph::op::UnaryOp;
use bayplan_graph::{BlockFormat, DType};
use bayplan_shaders::{
    Arg, BlockGatherSpec, BlockMatMulSpec, Chain, Operand, Packed, Spec, Step, StepOp, UnpackSpec,
};
use common::{POISON, Random, floats, run, targets, within_bound, words};

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

/// Blocks whose scales are of ordinary size, and their elements.
fn ordinary(format: BlockFormat, count: u64, random: &mut Random) -> (Vec<u8>, Vec<f32>) {
    let mut bytes = blocks(format, count, random);
    for block in bytes.chunks_exact_mut(format.bytes()) {
        let at = if format == BlockFormat::Q6K { 209 } else { 1 };
        block[at] = 0x2c | block[at] & 0x83;
        if format == BlockFormat::Q4K {
            block[3] = 0x2c | block[3] & 0x83;
        }
    }
    let mut elements = Vec::new();
    format.unpack(&bytes, &mut elements);
    (bytes, elements)
}

#[test]
fn products_read_blocks_in_place() {
    let mut random = Random::new(17);
    for format in BlockFormat::ALL {
        // Few rows (many: see below), columns beyond a workgroup; rows of blocks that begin at words, and between them; a in
        // rows, in columns, with gaps.
        for (m, n, blocks, layout) in [(1, 70, 3, 3), (2, 33, 2, 2), (3, 65, 2, 1)] {
            let k = blocks * format.elements() as u64;
            let (b, elements) = ordinary(format, n * blocks, &mut random);
            let a_strides = [vec![k, 1], vec![1, m], vec![k + 4, 1], vec![k + 3, 1]][layout].clone();
            let a = random.floats((m - 1) * a_strides[0] + (k - 1) * a_strides[1] + 1);
            let operand = Operand { dtype: DType::F32, base: 0, strides: vec![n, 1] };
            let epilogue = Chain { operands: vec![operand], steps: vec![], result: DType::F32, layout: None };
            let (mut want, mut sizes) = (Vec::new(), Vec::new());
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                let term = |s: u64| {
                    let x = a[(i * a_strides[0] + s * a_strides[1]) as usize];
                    f64::from(x) * f64::from(elements[(j * k + s) as usize])
                };
                want.push((0..k).map(term).sum());
                sizes.push((0..k).map(|s| term(s).abs()).sum());
            }
            let spec = BlockMatMulSpec { format, m, n, k, a_strides, epilogue };
            let operands = [words(&a), operand_of(&b)];
            for target in targets() {
                let what = format!("{format} {m} {n} {k} {layout}");
                within_bound(&what, &Spec::BlockMatMul(spec.clone()), &target, &operands, &want, &sizes);
                if m > 1 {
                    continue;
                }
                // With an epilogue: the results without a sign.
                let mut positive = spec.clone();
                let op = StepOp::Unary(UnaryOp::Abs);
                positive.epilogue.steps = vec![Step { op, args: vec![Arg::Operand(0)], dtype: DType::F32 }];
                let plain = run(&Spec::BlockMatMul(spec.clone()), &target, &operands, m * n, None);
                let made = run(&Spec::BlockMatMul(positive), &target, &operands, m * n, None);
                let without: Vec<u32> = plain.iter().map(|word| word & 0x7fff_ffff).collect();
                assert_eq!(made, without, "{what} on {}", target.name);
            }
        }
    }
}

#[test]
fn products_unpack_blocks_bit_for_bit() {
    let mut random = Random::new(31);
    for format in BlockFormat::ALL {
        // Rows of a that are 1 at one place: the results are the elements there. All places, by many rows and by few.
        let (n, k) = (21, 3 * format.elements() as u64);
        let (b, elements) = ordinary(format, n * 3, &mut random);
        for (m, from) in [(k, 0), (2, k - 2)] {
            let ones = |i: u64| (0..k).map(move |s| if s == from + i { 1.0 } else { 0.0 });
            let a: Vec<f32> = (0..m).flat_map(ones).collect();
            let operand = Operand { dtype: DType::F32, base: 0, strides: vec![n, 1] };
            let epilogue = Chain { operands: vec![operand], steps: vec![], result: DType::F32, layout: None };
            let spec =
                Spec::BlockMatMul(BlockMatMulSpec { format, m, n, k, a_strides: vec![k, 1], epilogue });
            for target in targets() {
                let got = floats(&run(&spec, &target, &[words(&a), operand_of(&b)], m * n, None));
                for (at, value) in got.into_iter().enumerate() {
                    let (i, j) = (from + at as u64 / n, at as u64 % n);
                    let want = elements[(j * k + i) as usize];
                    assert_eq!(value, want, "{format}: element {i} of row {j} on {}", target.name);
                }
            }
        }
    }
}

#[test]
fn products_read_blocks_with_other_lanes() {
    common::with_other_lanes("products_read_blocks_with_other_lanes", || {
        let mut random = Random::new(37);
        for format in BlockFormat::ALL {
            let (m, n, k) = (3, 70, 2 * format.elements() as u64);
            let (b, elements) = ordinary(format, n * 2, &mut random);
            let a = random.floats(m * k);
            let term = |i: u64, j: u64, s: u64| {
                f64::from(a[(i * k + s) as usize]) * f64::from(elements[(j * k + s) as usize])
            };
            let at = |f: &dyn Fn(f64) -> f64| {
                let sum = |i: u64, j: u64| (0..k).map(|s| f(term(i, j, s))).sum();
                (0..m * n).map(|at| sum(at / n, at % n)).collect::<Vec<f64>>()
            };
            let operand = Operand { dtype: DType::F32, base: 0, strides: vec![n, 1] };
            let epilogue = Chain { operands: vec![operand], steps: vec![], result: DType::F32, layout: None };
            let spec =
                Spec::BlockMatMul(BlockMatMulSpec { format, m, n, k, a_strides: vec![k, 1], epilogue });
            let operands = [words(&a), operand_of(&b)];
            within_bound(format.name(), &spec, &common::cpu(), &operands, &at(&|t| t), &at(&f64::abs));
        }
    });
}

fn operand_of(bytes: &[u8]) -> Vec<u32> {
    operand(bytes, false)
}

#[test]
fn rows_are_gathered_from_blocks() {
    let mut random = Random::new(23);
    for format in BlockFormat::ALL {
        let (axis, inner) = (11, 3 * format.elements() as u64);
        let (table, elements) = ordinary(format, axis * 3, &mut random);
        let indices: [i64; 8] = [0, 10, -1, -11, 11, -12, 5, i64::MAX];
        let row = |&index: &i64| {
            let at = if index < 0 { index + axis as i64 } else { index };
            let there = (0..axis as i64).contains(&at);
            let row = |at: usize| elements[at * inner as usize..][..inner as usize].to_vec();
            if there { row(at as usize) } else { vec![0.0; inner as usize] }
        };
        let want = words(&indices.iter().flat_map(row).collect::<Vec<f32>>());
        let spec = BlockGatherSpec { format, index: DType::I64, axis, count: 8, inner };
        for target in targets() {
            let operands = [operand_of(&table), common::words64(&indices)];
            let got = run(&Spec::BlockGather(spec.clone()), &target, &operands, 8 * inner, None);
            assert_eq!(got.iter().zip(&want).position(|(a, b)| a != b), None, "{format} on {}", target.name);
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
