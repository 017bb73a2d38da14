//! Decoder models from files: the attention in them is found whatever operator it was written as.

use std::fs;
use std::path::Path;

use bayplan_graph::decoder::{Decoder, Refusal, paged, recognise};
use bayplan_graph::{
    ByteRange, ByteSource, Constants, DType, NoFiles, ReadError, Tensor, ValueId, eval, verify,
};

use super::{A, bytes, f32s, graph, i64s, info, model, node, tensor};
use crate::generated::onnx::ModelProto;
use crate::{ImportOptions, import};

fn looked_at(file: &[u8]) -> Result<Decoder, Refusal> {
    let mut graph = import(&file.to_vec(), &ImportOptions::default()).expect("a model");
    graph.infer().expect("types");
    let decoder = recognise(&graph, &NoFiles)?;
    // What is found can be written over blocks, of which each layer has two pools.
    let written = paged(&graph, &decoder, 16)?;
    assert_eq!(verify(&written.graph), Ok(()));
    let pools = 2 * decoder.layers.len();
    assert_eq!(
        (written.graph.inputs.len(), written.graph.outputs.len()),
        (5 + pools, written.own_outputs + pools)
    );
    assert!(!written.graph.free_symbols().iter().any(|symbol| symbol.contains("past") || symbol == "batch"));
    Ok(decoder)
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

/// The file's own weights.
struct Whole(Vec<u8>);

impl Constants for Whole {
    fn read(&self, range: &ByteRange, buf: &mut [u8]) -> Result<(), ReadError> {
        self.0.read_at(range.offset, buf)
    }
}

/// Two texts by the decoder of the assets: a prompt of each and then a token of each in steps over blocks of 4, against each
/// alone and all at once without a past.
#[test]
fn steps_over_blocks_give_what_whole_texts_give() {
    const TEXTS: [&[i64]; 2] = [&[20, 1, 7, 33, 4, 18], &[9, 9, 41, 2]];
    const TABLES: [i64; 4] = [3, 1, 0, -1];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/chars.onnx");
    let file = Whole(fs::read(path).expect("the asset"));
    let mut graph = import(&file.0, &ImportOptions::default()).expect("a model");
    graph.infer().expect("types");
    let decoder = recognise(&graph, &file).unwrap_or_else(|e| panic!("{e}"));
    let written = paged(&graph, &decoder, 4).unwrap_or_else(|e| panic!("{e}"));

    let alone = TEXTS.map(|text| {
        let all = text.len();
        let empty =
            || Tensor::zeros(DType::F32, vec![1, decoder.kv_heads, 0, decoder.head]).expect("nothing");
        let given = |id: &ValueId| match () {
            () if *id == decoder.tokens => i64s(&[1, all], text),
            () if decoder.masks.contains(id) => i64s(&[1, all], &vec![1; all]),
            () if decoder.positions.contains(id) => i64s(&[1, all], &(0..all as i64).collect::<Vec<_>>()),
            () => empty(),
        };
        let inputs: Vec<Tensor> = graph.inputs.iter().map(given).collect();
        eval(&graph, &inputs, &file).expect("it runs")[0].to_f64()
    });

    let row = decoder.kv_heads * decoder.head;
    let mut pools: Vec<Tensor> =
        (0..2 * decoder.layers.len()).map(|_| f32s(&[16, row], &vec![f32::NAN; 16 * row])).collect();
    for last in [false, true] {
        // Sequence, place and token of each row of the step.
        let of_text = |index: usize| {
            let text = TEXTS[index];
            let new = if last { text.len() - 1..text.len() } else { 0..text.len() - 1 };
            new.map(move |place| (index, place, text[place]))
        };
        let rows: Vec<(usize, usize, i64)> = of_text(0).chain(of_text(1)).collect();
        let list = |of: &dyn Fn(&(usize, usize, i64)) -> i64| rows.iter().map(of).collect::<Vec<_>>();
        let slot =
            |&(index, place, _): &(usize, usize, i64)| TABLES[2 * index + place / 4] * 4 + place as i64 % 4;
        let n = rows.len();
        let mut inputs = vec![
            i64s(&[1, n], &list(&|row| row.2)),
            i64s(&[n], &list(&|row| row.1 as i64)),
            i64s(&[n, 1], &list(&slot)),
            i64s(&[n], &list(&|row| row.0 as i64)),
            i64s(&[2, 2], &TABLES),
        ];
        inputs.append(&mut pools);
        let sizes = [("seq", n as i64), ("rows", 16), ("sequences", 2), ("entries", 2)];
        let sizes = sizes.into_iter().map(|(name, size)| (name.to_owned(), size)).collect();
        let mut made = eval(&written.graph.bind(&sizes).expect("sizes"), &inputs, &file).expect("it runs");
        pools = made.split_off(written.own_outputs);
        let logits = made[0].to_f64();
        let width = logits.len() / n;
        for (at, &(index, place, _)) in rows.iter().enumerate() {
            for column in 0..width {
                let (made, own) = (logits[at * width + column], alone[index][place * width + column]);
                assert!(
                    (made - own).abs() <= 1e-5 * (1.0 + own.abs()),
                    "text {index}, token {place}: {made} for {own}"
                );
            }
        }
    }
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
