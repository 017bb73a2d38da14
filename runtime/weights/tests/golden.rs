//! Files as the packages gguf and safetensors of PyPI write them, and their elements as these packages read them, bit for bit
//! (`tests/python/weight_files.py`; `make golden-weights`).

mod common;

use std::path::{Path, PathBuf};

use bayplan_graph::{BlockFormat, DType};
use bayplan_weights::{Encoding, Entry, Named};

use common::{graph, in_file, run};

/// Every element of a file as f32, in the order of names, by way of a graph whose initializers are bound to it.
fn elements(file: &Path) -> Vec<f32> {
    let named = Named::open(file).expect("a file");
    let mut entries: Vec<&Entry> = named.entries().iter().collect();
    entries.sort_by_key(|entry| &entry.name);
    let dtype = |entry: &Entry| match entry.encoding {
        // A model would hold integers as they are.
        Encoding::Plain(dtype) if !dtype.is_float() => dtype,
        _ => DType::F32,
    };
    let initializers: Vec<_> =
        entries.iter().map(|entry| (&*entry.name, dtype(entry), &entry.shape[..])).collect();
    let (bound, outputs) = run(graph(&initializers), file, "").expect("it fits");
    assert_eq!((bound.bound, bound.kept, bound.left_out), (entries.len(), 0, 0));
    // Those of the model's own file are converted by nodes, small ones of the graph were just converted where they are read.
    let (_, by_nodes) = run(in_file(graph(&initializers)), file, "").expect("it fits");
    assert!(outputs == by_nodes, "the same by both ways");
    outputs.iter().flat_map(|tensor| tensor.to_f64().into_iter().map(|v| v as f32)).collect()
}

fn check(folder: &Path, name: &str, tensors: usize) {
    let file = folder.join(name);
    assert_eq!(Named::open(&file).expect("a file").entries().len(), tensors);
    let bytes = std::fs::read(folder.join(format!("{name}.f32"))).expect("elements");
    let expect: Vec<u32> =
        bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let made: Vec<u32> = elements(&file).into_iter().map(f32::to_bits).collect();
    assert_eq!(made.len(), expect.len());
    let wrong = made.iter().zip(&expect).position(|(made, expect)| made != expect);
    assert_eq!(wrong, None, "the first element that differs");
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[test]
fn gguf_files_are_read_as_their_package_reads_them() {
    check(&golden(), "named.gguf", 7);
    let named = Named::open(golden().join("named.gguf")).expect("a file");
    let of = |name: &str| named.entries().iter().find(|entry| &*entry.name == name).expect("a tensor");
    assert_eq!(of("plain.f16").shape, [2, 2, 7]);
    assert_eq!((of("blocks.q4_k").shape.clone(), of("blocks.q4_k").len), (vec![2, 512], 4 * 144));
    let formats = BlockFormat::ALL.map(|format| format!("blocks.{}", format.name().to_lowercase()));
    for (name, format) in formats.iter().zip(BlockFormat::ALL) {
        assert_eq!(of(name).encoding, Encoding::Blocks(format));
    }
    assert!(named.entries().iter().all(|entry| entry.offset % 64 == 0), "the file's own alignment");
}

#[test]
fn safetensors_files_are_read_as_their_package_reads_them() {
    check(&golden(), "named.safetensors", 9);
}

/// Many random blocks: `weight_files.py write FOLDER --rows 20000`, and the folder in BAYPLAN_WEIGHT_FILES.
#[test]
#[ignore = "needs files that Python's gguf makes: `make golden-weights ROWS=20000`"]
fn many_blocks() {
    let folder = std::env::var_os("BAYPLAN_WEIGHT_FILES").expect("BAYPLAN_WEIGHT_FILES names a folder");
    check(Path::new(&folder), "named.gguf", 7);
    check(Path::new(&folder), "named.safetensors", 9);
}
