//! Models of this repository without their weights, and drivers as they say of themselves.

use std::path::Path;

use bayplan_graph::{ByteRange, Graph};
use bayplan_onnx::{ImportOptions, import};
use bayplan_shaders::{Class, Subgroup, Target};
use bayplan_weights::FileSource;

/// The graph of a model, by its path in this repository.
pub fn imported(path: &str) -> Graph {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let file = FileSource::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut graph = import(&file, &ImportOptions::default()).expect("a model");
    graph.infer().expect("its types");
    graph
}

/// One of `tests/models`, whose files hold no weights.
pub fn graph(name: &str) -> Graph {
    imported(&format!("tests/models/{name}.onnx"))
}

/// Made-up weights: numbers around 1, different everywhere, so that none is neutral and none equals another.
pub fn read(range: &ByteRange) -> Result<Vec<u8>, String> {
    let number = |word: u64| 0.5 + ((range.offset + word).wrapping_mul(2_654_435_761) % 4096) as f32 / 4096.0;
    Ok((0..range.len / 4).flat_map(|word| number(word).to_le_bytes()).collect())
}

/// A driver on the CPU: lanes of a subgroup, bytes that storage is aligned to, bytes of the largest window.
pub fn cpu(name: &str, lanes: u32, alignment: u64, range: u64) -> Target {
    Target {
        name: name.into(),
        class: Class::Cpu,
        subgroup: Some(Subgroup { size: lanes, shuffle: true, arithmetic: true }),
        storage_alignment: alignment,
        max_workgroup_invocations: 256,
        max_storage_range: range,
        ..Target::generic()
    }
}
