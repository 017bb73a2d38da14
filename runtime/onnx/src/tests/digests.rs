//! Digests at tensors, and tensors that a file is cut within.

use bayplan_graph::{ByteRange, ConstData, DType, Digest, FileId, Tensor};

use super::{bytes, f32s, graph, info, model, node, tensor};
use crate::generated::onnx::{StringStringEntryProto, TensorProto};
use crate::{ImportError, ImportOptions, import};

fn file(tensors: Vec<TensorProto>) -> Vec<u8> {
    let mut g =
        graph(vec![node("Add", &["x", "a"], &["y"], &[])], vec![info("x", DType::F32, &["2000"])], &["y"]);
    g.initializer = tensors;
    bytes(&model(20, g))
}

fn digested(name: &str, of: &Tensor, digest: &str) -> TensorProto {
    let entry =
        StringStringEntryProto { key: Some("bayplan.xxh3".to_owned()), value: Some(digest.to_owned()) };
    TensorProto { metadata_props: vec![entry], ..tensor(name, of) }
}

#[test]
fn digests_of_ranges_are_kept_for_whoever_reads_them() {
    let large = f32s(&[2000], &[0.25; 2000]);
    let digest = Digest::of(large.bytes());
    let file = file(vec![digested("a", &large, &digest.to_string())]);
    let graph = import(&file, &ImportOptions::default()).unwrap();
    let offset = file.windows(8000).position(|window| window == large.bytes()).unwrap() as u64;
    let range = ByteRange { file: FileId(0), offset, len: 8000 };
    assert_eq!(graph.digests, [(range, digest)]);
    let a = graph.values.iter().find(|value| &*value.name == "a").unwrap();
    assert_eq!(a.source, bayplan_graph::ValueSource::Constant(ConstData::Range(range)));
}

#[test]
fn what_the_model_holds_itself_is_checked_at_once() {
    let small = f32s(&[1], &[0.25]);
    let right = Digest::of(small.bytes()).to_string();
    let graph = import(&file(vec![digested("a", &small, &right)]), &ImportOptions::default()).unwrap();
    assert_eq!(graph.digests, []);
    let refused = |digest: &str, words: &str| {
        let e = import(&file(vec![digested("a", &small, digest)]), &ImportOptions::default()).unwrap_err();
        assert!(e.to_string().starts_with("tensor `a`: its ") && e.to_string().contains(words), "{e}");
    };
    refused(&Digest::of(b"other").to_string(), "the file is damaged");
    refused("\u{1b}[2J", "`\\x1b[2J` is none: a digest is 32 hexadecimal digits");
}

/// A file that ends within a tensor names it, in the graph and in a body within it.
#[test]
fn the_tensor_that_a_file_is_cut_within_is_named() {
    let whole =
        file(vec![tensor("first", &f32s(&[2000], &[0.5; 2000])), tensor("a", &f32s(&[2000], &[0.25; 2000]))]);
    let end = |value: f32| {
        let bytes = [value; 2000].map(f32::to_le_bytes).concat();
        whole.windows(8000).position(|window| window == bytes).unwrap() + 8000
    };
    let mut graph_ends = Vec::new();
    for (name, end) in [("first", end(0.5)), ("a", end(0.25))] {
        for cut in [end - 8000, end - 7999, end - 4000, end - 1] {
            match import(&whole[..cut].to_vec(), &ImportOptions::default()) {
                Err(ImportError::Truncated { offset, tensor: Some(tensor), .. }) => {
                    assert_eq!((offset, &*tensor), (cut as u64, name));
                }
                other => panic!("{cut}: {other:?}"),
            }
        }
        // Between two tensors the one before is named, and how much is missing.
        let between = import(&whole[..end].to_vec(), &ImportOptions::default()).unwrap_err();
        let ImportError::Truncated {
            offset, tensor: None, after: Some(after), missing: Some(missing), ..
        } = &between
        else {
            panic!("{between:?}")
        };
        assert_eq!((*offset, &**after), (end as u64, name));
        graph_ends.push(offset + missing);
        let words = format!(
            "ends at byte {end} within the graph, behind tensor `{name}`; it is incomplete, at least "
        );
        assert!(between.to_string().contains(&words), "{between}");
    }
    // The graph ends where it ends, wherever it is cut; of the model only the opset comes behind it.
    let ends = whole.len() as u64 - 16..=whole.len() as u64;
    assert!(
        graph_ends[0] == graph_ends[1] && ends.contains(&graph_ends[0]),
        "{graph_ends:?} of {}",
        whole.len()
    );
    let e = import(&whole[..end(0.5) - 1].to_vec(), &ImportOptions::default()).unwrap_err();
    assert!(e.to_string().contains("within a tensor, `first`; it is incomplete"), "{e}");
}
