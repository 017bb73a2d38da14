//! A model that shows the bytes of its weights as they are, and how it is loaded.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bayplan_compile::session::{Io, Loading, Progress};
use bayplan_engine::{Device, EngineError, Session, SessionOptions};
use bayplan_graph::{ByteRange, ConstData, DType, Op, Tensor, ValueId, ValueSource};
use bayplan_weights::{FileSource, Store};

use super::Model;

pub(crate) const COLUMNS: usize = 64;

/// An element of a weight, by its place: no two rows are alike.
pub(crate) fn element(place: usize, weight: usize) -> f32 {
    (place * 31 % (1 << 24) + weight * 7919) as f32
}

/// A weight.
pub(crate) fn rows(count: usize, weight: usize) -> Tensor {
    let elements: Vec<f32> = (0..count * COLUMNS).map(|place| element(place, weight)).collect();
    Tensor::from_f32(vec![count, COLUMNS], &elements).expect("a tensor")
}

/// Rows of weights of these numbers of rows, by an index that is an input: each output shows bytes of its weight as they
/// are. `convert` makes of each weight what is read.
pub(crate) fn table(counts: &[usize], convert: impl Fn(&mut Model, usize, ValueId) -> ValueId) -> Model {
    table_of(counts, |_, _| {}, convert)
}

/// The same with something in the file before each weight.
pub(crate) fn table_of(
    counts: &[usize],
    before: impl Fn(&mut Model, usize),
    convert: impl Fn(&mut Model, usize, ValueId) -> ValueId,
) -> Model {
    let mut model = Model::new("table");
    // So that nothing in the file begins at a block.
    model.weight("header", &Tensor::from_ints(DType::U8, vec![1001], &[7; 1001]).expect("bytes"));
    let mut outputs = Vec::new();
    for (number, &count) in counts.iter().enumerate() {
        let index = model.input(&format!("i{number}"), DType::I32, &[3]);
        before(&mut model, number);
        let w = model.weight(&format!("w{number}"), &rows(count, number));
        let w = convert(&mut model, number, w);
        outputs.push(model.node(&format!("y{number}"), Op::Gather { axis: 0 }, &[w, index]));
    }
    model.outputs(&outputs)
}

/// The first row, the last, and one between that a piece of a file ends in.
pub(crate) fn indices(count: usize) -> Tensor {
    let cut = ((4 << 20) / (COLUMNS * 4)).min(count - 1);
    Tensor::from_ints(DType::I32, vec![3], &[0, cut as i128, count as i128 - 1]).expect("indices")
}

/// Runs a table and looks at every row that it gives.
pub(crate) fn check(session: &mut Session, counts: &[usize]) {
    let given: Vec<_> =
        counts.iter().enumerate().map(|(n, &count)| (format!("i{n}"), indices(count))).collect();
    let inputs: Vec<_> = given.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let outputs = session.run(&inputs).expect("a run");
    for (number, (_, index)) in given.iter().enumerate() {
        let found = outputs.get(&format!("y{number}")).expect("an output").to_tensor().expect("a tensor");
        let of = |&row: &f64| (0..COLUMNS).map(move |i| element(row as usize * COLUMNS + i, number).into());
        let expected: Vec<f64> = index.to_f64().iter().flat_map(of).collect();
        assert_eq!(found.to_f64(), expected, "weight {number}");
    }
}

/// A session, and how far it said that loading was at last.
pub(crate) fn load(
    model: &Model,
    device: &Device,
    store: &Store,
    io: Io,
) -> (Result<Session, EngineError>, Loading) {
    let told = Arc::new(Mutex::new(Loading::default()));
    let own = Arc::clone(&told);
    let progress = Progress::new(move |loading| *own.lock().expect("told") = *loading);
    let options = SessionOptions { progress: Some(progress), io, ..SessionOptions::default() };
    let session = Session::new(device, model.compile(device), store, options);
    let told = *told.lock().expect("told");
    (session, told)
}

/// A store whose file lies on a disk.
pub(crate) fn on_disk(model: &Model, folder: &tempfile::TempDir) -> (PathBuf, Store) {
    let path = folder.path().join("weights.bin");
    model.write(&path);
    let source = Arc::new(FileSource::open(&path).expect("a file"));
    (path, model.store_of(source))
}

/// Large, in pieces; many small ones, together; and between.
pub(crate) fn counts() -> Vec<usize> {
    [40_000, 1, 20_000].into_iter().chain((0..60).map(|i| 1 + i * 7)).chain([16_384, 3]).collect()
}

/// Where a weight lies in its file.
pub(crate) fn range(model: &Model, name: &str) -> ByteRange {
    let value = model.graph.values.iter().find(|value| &*value.name == name).expect("a weight");
    let ValueSource::Constant(ConstData::Range(range)) = &value.source else { panic!("in a file") };
    *range
}
