//! Constants that devices hold otherwise than files do: unpacked once, while they are loaded, bit for bit.

mod common;

use bayplan_compile::{Arena, Program};
use bayplan_engine::Limits;
use bayplan_expr::Bindings;
use bayplan_graph::op::{BinaryOp, ViewOp};
use bayplan_graph::{BlockFormat, ConstData, DType, Op, Tensor, ValueId, ValueSource};
use bayplan_shaders::{Packed, Spec};
use common::{Builder, check, check_on, device, open, program, way, ways};

/// Blocks whose scales are numbers of ordinary size.
fn blocks(format: BlockFormat, rows: usize, per_row: usize) -> Tensor {
    let mut bytes: Vec<u8> =
        (0..rows * per_row * format.bytes()).map(|i| (i * 89 % 251) as u8 ^ (i >> 8) as u8).collect();
    for block in bytes.chunks_exact_mut(format.bytes()) {
        let scales: &[usize] = match format {
            BlockFormat::Q4K => &[0, 2],
            BlockFormat::Q6K => &[208],
            _ => &[0],
        };
        scales.iter().for_each(|&at| block[at + 1] = 0x30 | block[at + 1] & 0x83);
    }
    Tensor::new(DType::U8, vec![rows, per_row * format.bytes()], bytes).expect("bytes")
}

/// Specs of the load program and of the run that unpack.
fn unpacks(program: &Program) -> [Vec<Packed>; 2] {
    [&*program.load, &program.run].map(|stage| {
        let of = stage.dispatches.iter().filter_map(|own| match &*own.spec {
            Spec::Unpack(spec) => Some(spec.from),
            _ => None,
        });
        of.collect()
    })
}

#[test]
fn blocks_are_unpacked_while_loading() {
    for format in BlockFormat::ALL {
        let mut builder = Builder::new("blocks");
        let packed = builder.constant(&blocks(format, 33, 3));
        let made = builder.op(Op::Dequantize(format), &[packed]);
        let x = builder.floats(&[33, 3 * format.elements()]);
        let sum = builder.op(Op::Binary(BinaryOp::Add), &[x, made]);
        builder.output(sum);
        check(&builder, 0.0).unwrap_or_else(|e| panic!("{format}: {e}"));
        let program = program(&builder.graph, device().target(), way(true, true)).expect("a program");
        assert_eq!(unpacks(&program), [vec![Packed::Blocks(format)], vec![]]);
        assert_eq!(program.host_nodes(), []);
    }
}

#[test]
fn blocks_that_a_run_makes_are_unpacked_by_it() {
    for format in BlockFormat::ALL {
        let mut builder = Builder::new("blocks of a run");
        let packed = builder.input(blocks(format, 5, 2));
        let made = builder.op(Op::Dequantize(format), &[packed]);
        // The constant's own elements are asked for too: they are numbers then, and as blocks they lie as in the file.
        let more = builder.constant(&blocks(format, 300, 1));
        let both = builder.op(Op::Cast(DType::F32), &[more]);
        let unpacked = builder.op(Op::Dequantize(format), &[more]);
        for output in [made, both, unpacked] {
            builder.output(output);
        }
        check(&builder, 0.0).unwrap_or_else(|e| panic!("{format}: {e}"));
        let program = program(&builder.graph, device().target(), way(true, true)).expect("a program");
        assert_eq!(program.host_nodes(), []);
    }
}

/// A head that is the table of tokens transposed: both read the blocks, which stay as they lie in the file.
#[test]
fn products_and_gathers_read_blocks_in_place() {
    for format in BlockFormat::ALL {
        let k = 2 * format.elements();
        let mut builder = Builder::new("in place");
        let stored = blocks(format, 300, 2);
        let packed = builder.constant(&stored);
        let table = builder.op(Op::Dequantize(format), &[packed]);
        let tokens = builder.input(Tensor::from_i64(vec![2, 3], &[0, 299, 7, -1, 5, 100]).expect("indices"));
        let rows = builder.op(Op::Gather { axis: 0 }, &[table, tokens]);
        let x = builder.floats(&[2, 3, k]);
        let sum = builder.op(Op::Binary(BinaryOp::Mul), &[x, rows]);
        let head = builder.op(Op::Transpose(vec![1, 0]), &[table]);
        let scores = builder.op(Op::MatMul, &[sum, head]);
        let bias = builder.constant(&common::floats(&[300], 4));
        let biased = builder.op(Op::Binary(BinaryOp::Add), &[scores, bias]);
        builder.output(rows);
        builder.output(biased);
        check(&builder, 1e-5).unwrap_or_else(|e| panic!("{format}: {e}"));
        let program = program(&builder.graph, device().target(), way(true, true)).expect("a program");
        assert_eq!(unpacks(&program), [vec![], vec![]], "{format}: nothing is unpacked");
        assert_eq!(program.arena_bytes[Arena::Load.index()], 0);
        let families: Vec<&str> =
            program.run.dispatches.iter().map(|own| bayplan_shaders::family(&own.spec)).collect();
        assert_eq!(families, ["block_gather", "elementwise", "block_matmul"], "the bias is an epilogue");
        let weights: u64 = program.uploads.iter().map(|upload| upload.bytes).sum();
        assert_eq!(weights, stored.bytes().len() as u64 + 4 * 300, "once, in blocks");
    }
}

/// Whoever else reads them has them unpacked for all.
#[test]
fn blocks_with_other_readers_are_unpacked_once() {
    let mut shared = Builder::new("other readers");
    let w = product_by_blocks(&mut shared, BlockFormat::Q8_0, [5, 640, 4]);
    let y = shared.floats(&[640, 128]);
    let sum = shared.op(Op::Binary(BinaryOp::Add), &[w, y]);
    shared.output(sum);
    check(&shared, 1e-5).expect("the same elements");
    let both = program(&shared.graph, device().target(), way(true, true)).expect("a program");
    assert_eq!(unpacks(&both)[0].len(), 1);
}

/// An output that is a product by a matrix of `n` rows in blocks, plus a row; answers the unpacked matrix.
fn product_by_blocks(builder: &mut Builder, format: BlockFormat, [m, n, per_row]: [usize; 3]) -> ValueId {
    let packed = builder.constant(&blocks(format, n, per_row));
    let w = builder.op(Op::Dequantize(format), &[packed]);
    let turned = builder.op(Op::Transpose(vec![1, 0]), &[w]);
    let x = builder.floats(&[m, per_row * format.elements()]);
    let product = builder.op(Op::MatMul, &[x, turned]);
    let bias = builder.constant(&common::floats(&[n], 4));
    let biased = builder.op(Op::Binary(BinaryOp::Add), &[product, bias]);
    builder.output(biased);
    w
}

/// More blocks than a device binds at once are read in place as well, some columns at a time; where rows do not begin at
/// words, they are unpacked.
#[test]
fn blocks_beyond_what_a_device_binds_stay_blocks() {
    let range = 64 << 10;
    let limited = open(Limits { max_storage_range: Some(range), ..Limits::default() });
    for format in BlockFormat::ALL {
        for (m, odd) in [(1, false), (5, false), (3, true)] {
            let per_row = match (format, odd) {
                (BlockFormat::Q4_0 | BlockFormat::Q8_0, false) => 8,
                (BlockFormat::Q4_0 | BlockFormat::Q8_0, true) => 7,
                (_, false) => 2,
                (_, true) => 1,
            };
            let n = (2 * range as usize + 4000) / (per_row * format.bytes());
            let mut builder = Builder::new("many blocks");
            product_by_blocks(&mut builder, format, [m, n, per_row]);
            check_on(&limited, &builder, &ways(), 1e-5).unwrap_or_else(|e| panic!("{format}, {m}: {e}"));
            let program = program(&builder.graph, limited.target(), way(true, true)).expect("a program");
            let dispatches = [&*program.load, &program.run].into_iter().flat_map(|stage| &stage.dispatches);
            assert!(dispatches.flat_map(|own| &own.windows).all(|window| window.len <= range));
            if odd && (per_row * format.bytes()) % 4 != 0 {
                assert!(unpacks(&program)[0].len() > 1, "{format}");
                continue;
            }
            assert_eq!(unpacks(&program), [vec![], vec![]], "{format}, {m}: nothing is unpacked");
            let products =
                program.run.dispatches.iter().filter(|own| matches!(&*own.spec, Spec::BlockMatMul(_)));
            assert!(products.count() >= 3, "{format}, {m}");
            assert_eq!(program.arena_bytes[Arena::Load.index()], 0, "{format}, {m}: no copy of weights");
        }
    }
}

/// Elements of a type, all codes of a byte, or every 31st of two bytes.
fn narrow(dtype: DType, count: usize) -> Tensor {
    let bytes: Vec<u8> = (0..count)
        .flat_map(|i| {
            let code = match dtype {
                DType::Bool => (i % 3 == 0).into(),
                // Finite numbers: what becomes of a NaN's bits is no matter here.
                DType::F16 | DType::BF16 => (i * 31) as u16 & 0x3fff,
                _ => (i % 100) as u16,
            };
            code.to_le_bytes().into_iter().take(dtype.size())
        })
        .collect();
    Tensor::new(dtype, vec![count / 7, 7], bytes).expect("elements")
}

#[test]
fn narrow_elements_widen_while_loading() {
    for dtype in [DType::F16, DType::BF16, DType::I8, DType::U8, DType::I16, DType::U16, DType::Bool] {
        let mut builder = Builder::new("narrow");
        let (stored, small) = (narrow(dtype, 7 * 1501), narrow(dtype, 7));
        let large = builder.constant(&stored);
        let [floats, table] =
            [large, builder.constant(&small)].map(|id| builder.op(Op::Cast(DType::F32), &[id]));
        let sum = builder.op(Op::Binary(BinaryOp::Add), &[floats, table]);
        let x = builder.floats(&[1501, 7]);
        let sum = builder.op(Op::Binary(BinaryOp::Add), &[sum, x]);
        builder.output(sum);
        // The elements as they are, in rows and in columns.
        let turned = builder.op(Op::Transpose(vec![1, 0]), &[large]);
        builder.output(large);
        builder.output(turned);
        check(&builder, 0.0).unwrap_or_else(|e| panic!("{dtype}: {e}"));
        let program = program(&builder.graph, device().target(), way(true, true)).expect("a program");
        // What is small is widened before; the rest goes to the device as it lies.
        for upload in &*program.uploads {
            let whole = upload.bytes == upload.data.len() && upload.skip == 0;
            assert!(
                whole && (upload.bytes == stored.bytes().len() as u64 || upload.bytes < 100),
                "{upload:?}"
            );
        }
    }
}

/// A device that binds little at once, and alignments of more than a word, cut a constant in many pieces.
#[test]
fn pieces_follow_what_a_device_binds() {
    let limited = open(Limits { max_storage_range: Some(64 << 10), ..Limits::default() });
    let mut builder = Builder::new("pieces");
    let stored = narrow(DType::F16, 7 * 6001);
    let halves = builder.constant(&stored);
    let floats = builder.op(Op::Cast(DType::F32), &[halves]);
    let shape = builder.ints(&[6001 * 7]);
    let packed = builder.constant(&blocks(BlockFormat::Q6K, 165, 1));
    let made = builder.op(Op::Dequantize(BlockFormat::Q6K), &[packed]);
    let row = builder.op(Op::View(ViewOp::Reshape { allow_zero: true }), &[floats, shape]);
    let x = builder.floats(&[6001 * 7]);
    let sum = builder.op(Op::Binary(BinaryOp::Add), &[x, row]);
    let y = builder.floats(&[165, 256]);
    let product = builder.op(Op::Binary(BinaryOp::Mul), &[y, made]);
    builder.output(sum);
    builder.output(product);
    check_on(&limited, &builder, &ways(), 0.0).expect("the same elements");
    let program = program(&builder.graph, limited.target(), way(true, true)).expect("a program");
    let [load, run] = unpacks(&program);
    assert_eq!((load.len(), run.len()), (3 + 3, 0), "64 KiB of results each");
    assert!(
        program.load.dispatches.iter().all(|own| own.windows.iter().all(|window| window.len <= 64 << 10))
    );
    // Half of it, that is, of 16 bits each; one is written while one is unpacked. The blocks are smaller.
    assert!(program.arena_bytes[Arena::Load.index()] <= 64 << 10, "{:?}", program.arena_bytes);
    let mut next = 0;
    for upload in program.uploads.iter().filter(|upload| upload.data.len() == stored.bytes().len() as u64) {
        assert_eq!(upload.skip, next);
        next += upload.bytes;
    }
    assert_eq!(next, stored.bytes().len() as u64);
}

/// Whatever an initializer's size, the host computes nothing of it, and compiling does not read it.
#[test]
fn large_initializers_stay_on_the_device() {
    let mut builder = Builder::new("large");
    let (rows, columns) = (8192, 8192);
    // 256 MiB in a file that is not there: whoever read it would fail.
    let file = bayplan_graph::FileRef::External("gone.data".into());
    builder.graph.files.push(file);
    let small = builder.constant(&Tensor::from_f32(vec![1], &[0.0]).expect("one"));
    let data =
        bayplan_graph::ByteRange { file: bayplan_graph::FileId(0), offset: 0, len: 4 * rows * columns };
    let value = &mut builder.graph.values[small.0 as usize];
    value.source = ValueSource::Constant(ConstData::Range(data));
    value.ty = Some(bayplan_graph::TensorType::fixed(DType::F32, &[rows, columns]));
    let turned = builder.op(Op::Transpose(vec![1, 0]), &[small]);
    let cast = builder.op(Op::Cast(DType::F16), &[turned]);
    let one = builder.constant(&Tensor::from_f64(DType::F16, vec![1], &[1.0]).expect("one"));
    let more = builder.op(Op::Binary(BinaryOp::Add), &[cast, one]);
    let x = builder.input(Tensor::from_f64(DType::F16, vec![1, 8192], &vec![0.5; 8192]).expect("a row"));
    let made = builder.op(Op::MatMul, &[x, more]);
    builder.output(made);
    let read = |_: &bayplan_graph::ByteRange| Err("nobody reads what is large".to_string());
    let compiled = bayplan_compile::compile(
        &builder.graph,
        &Bindings::default(),
        device().target(),
        way(true, true),
        &read,
    );
    let program = compiled.expect("a program");
    assert_eq!(program.uploads.iter().map(|upload| upload.bytes).max(), Some(256 << 20));
    let computed = |own: &bayplan_compile::Dispatch| matches!(&*own.spec, Spec::Elementwise(_));
    assert!(program.load.dispatches.iter().any(computed), "computed while loading");
    // More than one where the device binds less than the matrix at once.
    let run = &program.run.dispatches;
    assert!(run.iter().all(|own| matches!(&*own.spec, Spec::MatMul(_))), "a run multiplies only");
    assert_eq!(program.host_nodes(), []);
    let inline: usize = program
        .uploads
        .iter()
        .map(|upload| match &upload.data {
            ConstData::Inline(bytes) => bytes.len(),
            ConstData::Range(_) => 0,
        })
        .sum();
    assert!(inline < 4096, "{inline} bytes of constants in the program");
}
