//! Decoder models from files: the attention in them is found whatever operator it was written as.

use std::fs;
use std::path::Path;

use bayplan_graph::decoder::{Decoder, Refusal, recognise};
use bayplan_graph::{DType, NoFiles};

use super::{A, bytes, f32s, graph, i64s, info, model, node, tensor};
use crate::generated::onnx::ModelProto;
use crate::{ImportOptions, import};

fn looked_at(file: &[u8]) -> Result<Decoder, Refusal> {
    let mut graph = import(&file.to_vec(), &ImportOptions::default()).expect("a model");
    graph.infer().expect("types");
    recognise(&graph, &NoFiles)
}

/// The decoder of the assets, as an exporter wrote it.
#[test]
fn the_decoder_of_the_assets_is_found() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/chars.onnx");
    let decoder = looked_at(&fs::read(path).expect("the asset")).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((decoder.layers.len(), decoder.kv_heads, decoder.head), (4, 4, 32));
    for layer in &decoder.layers {
        assert_eq!(layer.heads, 4);
        assert!((layer.scale - 1.0 / 32.0_f64.sqrt()).abs() < 1e-7);
    }
    assert_eq!(decoder.outputs, [0]);
}

/// One layer by ONNX's own operator, of heads of 4: `kv` of keys for 4 of queries.
fn by_operator(kv: i64, more: &[(&str, A)], mask: bool) -> ModelProto {
    let heads = [("q_num_heads", A::I(4)), ("kv_num_heads", A::I(kv))];
    let attributes: Vec<(&str, A)> = heads.into_iter().chain(more.iter().cloned()).collect();
    let width = kv.to_string();
    let cache = ["batch", &width, "past", "4"];
    let mut inputs = vec![
        info("ids", DType::I64, &["batch", "seq"]),
        info("past_k", DType::F32, &cache),
        info("past_v", DType::F32, &cache),
    ];
    if mask {
        inputs.push(info("given", DType::F32, &["batch", "1", "seq", "total"]));
    }
    let given = if mask { "given" } else { "" };
    let nodes = vec![
        node("Gather", &["table", "ids"], &["x"], &[]),
        node("MatMul", &["x", "wide"], &["q"], &[]),
        node("MatMul", &["x", "narrow"], &["k"], &[]),
        node("MatMul", &["x", "narrow"], &["v"], &[]),
        node(
            "Attention",
            &["q", "k", "v", given, "past_k", "past_v"],
            &["y", "present_k", "present_v"],
            &attributes,
        ),
        node("MatMul", &["y", "wide"], &["logits"], &[]),
    ];
    let mut graph = graph(nodes, inputs, &["logits", "present_k", "present_v"]);
    let weight = |name: &str, rows: usize, columns: usize| {
        let elements: Vec<f32> = (0..rows * columns).map(|at| (at * 7 % 13) as f32 - 6.0).collect();
        tensor(name, &f32s(&[rows, columns], &elements))
    };
    graph.initializer =
        vec![weight("table", 5, 16), weight("wide", 16, 16), weight("narrow", 16, 4 * kv as usize)];
    model(23, graph)
}

#[test]
fn attention_by_onnx_operator_is_found() {
    let causal = ("is_causal", A::I(1));
    for kv in [1, 2, 4] {
        for (scale, more) in [(0.5, vec![]), (0.125, vec![("scale", A::F(0.125))])] {
            let attributes: Vec<(&str, A)> = more.into_iter().chain([causal.clone()]).collect();
            let decoder = looked_at(&bytes(&by_operator(kv, &attributes, false)));
            let decoder = decoder.unwrap_or_else(|e| panic!("{kv}: {e}"));
            assert_eq!((decoder.layers.len(), decoder.kv_heads, decoder.head), (1, kv as usize, 4));
            assert_eq!(decoder.layers[0].heads, 4);
            assert!((decoder.layers[0].scale - scale).abs() < 1e-7, "{}", decoder.layers[0].scale);
        }
    }
    let refused = |more: &[(&str, A)], mask: bool, expected: &str| {
        let reason = looked_at(&bytes(&by_operator(2, more, mask))).expect_err(expected).to_string();
        assert!(reason.contains(expected), "{reason}");
    };
    refused(&[], false, "layer 0: result `");
    refused(
        &[causal.clone(), ("left_window_size", A::I(70))],
        false,
        "hides key 0 from the query at position 300",
    );
    refused(&[causal.clone(), ("softcap", A::F(30.0))], false, "(Attention): between the product with keys");
    refused(&[causal], true, "input `given` is f32[1, 1, seq, past + seq]");
}

/// A cache that new rows are written into, wherever each sequence ends, is none that they are joined to.
#[test]
fn a_cache_that_is_written_into_is_refused() {
    let heads = [("num_heads", A::I(2)), ("kv_num_heads", A::I(2))];
    let operands = ["q", "q", "q", "past_k", "past_v", "last", "total"];
    let mut made = node("GroupQueryAttention", &operands, &["y", "present_k", "present_v"], &heads);
    made.domain = Some("com.microsoft".to_owned());
    let cache = ["batch", "2", "past", "4"];
    let inputs = vec![
        info("q", DType::F32, &["batch", "seq", "8"]),
        info("past_k", DType::F32, &cache),
        info("past_v", DType::F32, &cache),
        info("last", DType::I32, &["batch"]),
    ];
    let mut graph = graph(vec![made], inputs, &["y", "present_k", "present_v"]);
    graph.initializer = vec![tensor("total", &i64s(&[1], &[9]))];
    let reason = looked_at(&bytes(&model(20, graph))).expect_err("no join").to_string();
    assert!(reason.contains("no input of rank 4 is joined with new keys or values"), "{reason}");
}
