//! Decoder models in the ways in which they are written, and what only looks like one.

mod common;
mod decoder_model;

use bayplan_graph::decoder::{Decoder, recognise};
use bayplan_graph::{DType, Graph, NoFiles, ValueId};
use decoder_model::{Fault, Hide, Positions, Scale, Style};

fn found(style: Style) -> (Graph, Decoder) {
    let graph = style.graph(None);
    let decoder = recognise(&graph, &NoFiles).unwrap_or_else(|e| panic!("{style:?}: {e}\n{graph}"));
    (graph, decoder)
}

fn reason(style: Style, fault: Fault) -> String {
    recognise(&style.graph(Some(fault)), &NoFiles).expect_err("a model that is none").to_string()
}

#[test]
fn every_way_to_write_attention_is_found() {
    for scale in [Scale::Scores, Scale::Divided, Scale::Queries, Scale::Roots] {
        for hide in [Hide::Added, Hide::Selected, Hide::Guarded] {
            for (kv_heads, fused) in [(4, true), (4, false), (2, false), (1, false)] {
                let style = Style { scale, hide, kv_heads, fused, positions: Positions::Input };
                let (graph, decoder) = found(style);
                assert_eq!(decoder.layers.len(), 2, "{style:?}");
                assert_eq!((decoder.kv_heads, decoder.head, decoder.dtype), (kv_heads, 4, DType::F32));
                let name = |value| &*graph.value(value).name;
                for (index, layer) in decoder.layers.iter().enumerate() {
                    assert_eq!(layer.heads, 4);
                    // With roots, that of the keys is behind the cache: the product of both is the scale.
                    assert!((layer.scale - 0.5).abs() < 1e-7, "{style:?}: {}", layer.scale);
                    assert_eq!(name(layer.keys.past), format!("past_k_{index}"));
                    assert_eq!(name(layer.values.past), format!("past_v_{index}"));
                    assert_eq!((layer.keys.output, layer.values.output), (1 + 2 * index, 2 + 2 * index));
                    assert_eq!(name(layer.q), format!("q_{index}"));
                    assert_eq!(name(layer.result), format!("result_{index}"));
                }
                assert_eq!(name(decoder.tokens), "ids");
                assert_eq!(
                    decoder.positions.iter().map(|&at| name(at)).collect::<Vec<_>>(),
                    ["position_ids"]
                );
                assert_eq!(decoder.masks.iter().map(|&at| name(at)).collect::<Vec<_>>(), ["mask"]);
                assert_eq!(decoder.outputs, [0]);
            }
        }
    }
}

#[test]
fn positions_that_the_model_computes_are_found() {
    for positions in [Positions::Counted, Positions::FromMask] {
        let (graph, decoder) = found(Style { positions, ..Style::PLAIN });
        let names: Vec<_> = decoder.positions.iter().map(|&at| &*graph.value(at).name).collect();
        assert_eq!(names, ["places"], "{positions:?}");
    }
}

#[test]
fn what_is_no_attention_of_a_decoder_is_refused_with_the_reason() {
    let cases = [
        (Fault::Window, "layer 0: mask `allowed_0` hides key 0 from the query at position 17"),
        (Fault::WideWindow, "layer 0: mask `allowed_0` hides key 0 from the query at position 1000"),
        (
            Fault::Alibi,
            "layer 0: mask `alibi_0` adds -0.06521740555763245 to the score of key 1 for the query at position 1",
        ),
        (Fault::Future, "shows key 1 to the query at position 0, before it"),
        (Fault::Faint, "adds only -100 to the score of key 1, which comes after the query at position 0"),
        (Fault::MaskInput, "input `bias` is f32[1, 1, seq, past + seq]; expected are tokens and positions"),
        (Fault::MaskOfTokens, "layer 0: mask `allowed_0` is made of `ids`"),
        (Fault::Cross, "input `encoder` is f32[1, 4, source, 4]"),
        (Fault::KeysRead, "layer 1: node `read` (ReduceSum): reads keys or values outside attention"),
        (Fault::KeysGiven, "output `turned` is made of keys and values before their attention"),
        (Fault::PastRead, "node `read` (Neg): reads past `past_k_0` beside the join with the new one"),
        (
            Fault::SoftmaxAxis,
            "layer 0: node `weights_0` (Softmax): Softmax goes along axis 2 of 4; the last, the keys, is expected",
        ),
        (Fault::NoSoftmax, "layer 0: node `result_0` (MatMul): scores meet values without a Softmax"),
        (Fault::Capped, "layer 0: node `bent_0` (Tanh): between the product with keys and that with values"),
        (Fault::HeadsApart, "layer 0: result `result_0` is another with"),
        (Fault::Mixed, "node `mixed` (CumSum): joins tokens with each other"),
        (Fault::Last, "node `last` (Slice): joins tokens with each other, or picks some of them"),
        (Fault::CountedFromZero, "node `places` (Range): computes with lengths (seq)"),
        (Fault::Length, "node `lengthened` (Add): computes with lengths (past)"),
        (Fault::NoCache, "no input of rank 4 is joined with new keys or values"),
    ];
    for (fault, expected) in cases {
        let style = Style { kv_heads: if fault == Fault::HeadsApart { 2 } else { 4 }, ..Style::PLAIN };
        let reason = reason(style, fault);
        assert!(reason.contains(expected), "{fault:?}: {reason}");
    }
}

#[test]
fn names_from_files_are_escaped() {
    let mut graph = Style::PLAIN.graph(Some(Fault::Cross));
    for value in &mut graph.values {
        if &*value.name == "encoder" {
            value.name = "\u{1b}[31m".into();
        }
    }
    let reason = recognise(&graph, &NoFiles).expect_err("cross-attention").to_string();
    assert!(!reason.contains('\u{1b}'), "{reason}");
}

/// A graph with one operand of one node replaced by another value is still looked at, found or refused, but never a panic.
#[test]
fn graphs_with_an_edge_elsewhere_are_looked_at() {
    let style = Style { kv_heads: 2, hide: Hide::Guarded, scale: Scale::Roots, ..Style::PLAIN };
    let plain = style.graph(None);
    let mut state = 7_u32;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let (mut typed, mut refused) = (0, 0);
    while typed < 60 {
        let mut graph = plain.clone();
        let at = draw(graph.nodes.len());
        let operand = draw(graph.nodes[at].inputs.len());
        // Whatever lies before: values are numbered in the order in which they are made.
        let first = graph.nodes[at].outputs[0];
        graph.nodes[at].inputs[operand] = ValueId(draw(first.0 as usize) as u32);
        if graph.infer().is_err() {
            continue;
        }
        typed += 1;
        if let Err(refusal) = recognise(&graph, &NoFiles) {
            refused += 1;
            assert!(!refusal.to_string().is_empty());
        }
    }
    assert!(refused > 20, "only {refused} of {typed} were refused");
}
