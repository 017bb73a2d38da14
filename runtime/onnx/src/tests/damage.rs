//! Damaged files: no panic, no large allocation, byte offsets in the messages.

use bayplan_graph::{ByteSource, DType, ReadError};
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{A, bytes, f32s, graph, i64s, info, model, node, tensor};
use crate::{ImportError, ImportOptions, import};

/// A small model with one of everything that the walk knows.
fn sample() -> Vec<u8> {
    let nodes = vec![
        node("Constant", &[], &["c"], &[("value", A::T(f32s(&[4], &[1.0; 4])))]),
        node("Reshape", &["x", "shape"], &["r"], &[("allowzero", A::I(0))]),
        node("Conv", &["r", "w"], &["v"], &[("pads", A::Is(vec![0, 0])), ("auto_pad", A::S("NOTSET"))]),
        node("LeakyRelu", &["v"], &["y"], &[("alpha", A::F(0.5))]),
    ];
    let mut g = graph(nodes, vec![info("x", DType::F32, &["batch", "4"])], &["y"]);
    g.initializer =
        vec![tensor("shape", &i64s(&[3], &[-1, 2, 2])), tensor("w", &f32s(&[700, 2, 1], &[0.5; 1400]))];
    bytes(&model(20, g))
}

#[test]
fn truncation_at_every_byte_is_an_error() {
    let whole = sample();
    import(&whole, &ImportOptions::default()).expect("the whole model is fine");
    let mut with_offset = 0;
    for len in 0..whole.len() {
        match import(&whole[..len].to_vec(), &ImportOptions::default()) {
            Ok(_) => panic!("{len} of {} bytes were accepted", whole.len()),
            Err(ImportError::Truncated { offset, .. }) => {
                assert_eq!(offset, len as u64);
                with_offset += 1;
            }
            Err(_) => {}
        }
    }
    assert!(with_offset > whole.len() * 9 / 10, "only {with_offset} of {} cuts were recognised", whole.len());
}

/// Counts the bytes that are read.
struct Counted<'a>(&'a [u8], AtomicU64);

impl ByteSource for Counted<'_> {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.1.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.0.read_at(offset, buf)
    }
}

/// Weights are skipped, not read: of a file of 64 MiB a few windows are.
#[test]
fn payloads_are_not_read() {
    let n = 16 << 20;
    let mut g = graph(vec![node("Relu", &["w"], &["y"], &[])], vec![], &["y"]);
    g.initializer = vec![tensor("w", &f32s(&[n], &vec![0.0; n]))];
    let file = bytes(&model(20, g));
    let source = Counted(&file, AtomicU64::new(0));
    import(&source, &ImportOptions::default()).unwrap();
    assert!(
        source.1.load(Ordering::Relaxed) < 1 << 20,
        "{} bytes were read",
        source.1.load(Ordering::Relaxed)
    );
}

/// Lengths that promise more than the file holds allocate nothing.
#[test]
fn promised_lengths_are_not_believed() {
    for len in [1_u64 << 20, 1 << 40, u64::MAX] {
        let mut file = vec![0x3a];
        let mut rest = len;
        while rest >= 0x80 {
            file.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        file.push(rest as u8);
        let e = import(&file, &ImportOptions::default()).unwrap_err();
        assert!(matches!(e, ImportError::Truncated { .. }), "{e}");
    }
    let deep = (0..40).fold(vec![], |inner: Vec<u8>, _| {
        // A node in a graph that is an attribute of a node, and so on.
        let wrap = |tag: u8, inner: &[u8]| {
            let mut out = vec![tag];
            let mut n = inner.len();
            while n >= 0x80 {
                out.push(n as u8 | 0x80);
                n >>= 7;
            }
            out.push(n as u8);
            out.extend_from_slice(inner);
            out
        };
        wrap(0x0a, &wrap(0x2a, &wrap(0x32, &inner)))
    });
    let mut file = vec![0x3a];
    let mut n = deep.len();
    while n >= 0x80 {
        file.push(n as u8 | 0x80);
        n >>= 7;
    }
    file.push(n as u8);
    file.extend(deep);
    let e = import(&file, &ImportOptions::default()).unwrap_err();
    assert!(matches!(e, ImportError::Limit { what: "the depth of nested graphs", .. }), "{e}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Flipped bytes give a graph or an error.
    #[test]
    fn flipped_bytes_never_panic(flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut file = sample();
        // The payload in the middle is never looked at: flip what is.
        let payload = 400..file.len() - 300;
        for (at, value) in flips {
            let mut i = at.index(file.len() - payload.len());
            if i >= payload.start {
                i += payload.len();
            }
            file[i] = value;
        }
        if let Ok(mut graph) = import(&file, &ImportOptions::default()) {
            let _ = graph.infer();
            let _ = bayplan_graph::verify(&graph);
        }
    }

    /// Noise is no model.
    #[test]
    fn noise_never_panics(file in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(import(&file, &ImportOptions::default()).is_err());
    }
}
