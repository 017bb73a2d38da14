//! Decoder models over blocks: two sequences in one step give what each gives alone with its own cache.

mod common;
mod decoder_model;

use bayplan_expr::Bindings;
use bayplan_graph::decoder::{Decoder, Paged, paged, recognise};
use bayplan_graph::{DType, Graph, NoFiles, Tensor, ValueId, eval, verify};
use decoder_model::{HEAD, Hide, Positions, Scale, Style};

/// Tokens of a block, blocks of a pool, entries of a table.
const BLOCK: usize = 4;
const BLOCKS: usize = 7;
const ENTRIES: usize = 3;

/// A sequence: how many tokens it has, how many are new, and its blocks.
struct Sequence {
    past: usize,
    tokens: &'static [i64],
    blocks: [i64; ENTRIES],
}

const SEQUENCES: [Sequence; 2] = [
    Sequence { past: 6, tokens: &[3, 9, 1], blocks: [5, 0, 3] },
    Sequence { past: 0, tokens: &[7, 2], blocks: [4, 9, -1] },
];

impl Sequence {
    /// The row of a pool that a token lies in.
    fn row(&self, place: usize) -> usize {
        self.blocks[place / BLOCK] as usize * BLOCK + place % BLOCK
    }
}

/// Elements of a cache that differ by layer, kind, sequence, head, place and column.
fn element(pool: usize, sequence: usize, head: usize, place: usize, column: usize) -> f32 {
    let mixed = pool * 131 + sequence * 37 + head * 17 + place * 7 + column * 3;
    (mixed % 29) as f32 / 29.0 - 0.5
}

/// The past of a sequence as the model's own input, [1, kv heads, past, head].
fn past(pool: usize, index: usize, kv_heads: usize) -> Tensor {
    let past = SEQUENCES[index].past;
    let mut elements = Vec::new();
    for head in 0..kv_heads {
        for place in 0..past {
            elements.extend((0..HEAD).map(|column| element(pool, index, head, place, column)));
        }
    }
    Tensor::from_f32(vec![1, kv_heads, past, HEAD], &elements).expect("a past")
}

/// A pool with the past of both; what nobody wrote must not be read.
fn pool(pool: usize, kv_heads: usize) -> Tensor {
    let width = kv_heads * HEAD;
    let mut elements = vec![f32::NAN; BLOCKS * BLOCK * width];
    for (index, sequence) in SEQUENCES.iter().enumerate() {
        for place in 0..sequence.past {
            for head in 0..kv_heads {
                for column in 0..HEAD {
                    let at = sequence.row(place) * width + head * HEAD + column;
                    elements[at] = element(pool, index, head, place, column);
                }
            }
        }
    }
    Tensor::from_f32(vec![BLOCKS * BLOCK, width], &elements).expect("a pool")
}

/// The outputs of the model for one sequence alone.
fn alone(graph: &Graph, decoder: &Decoder, index: usize) -> Vec<Tensor> {
    let Sequence { past: before, tokens, .. } = &SEQUENCES[index];
    let all = before + tokens.len();
    let given = |&input: &ValueId| {
        let layers = decoder.layers.iter().flat_map(|layer| [layer.keys.past, layer.values.past]);
        if let Some(pool) = layers.into_iter().position(|past| past == input) {
            return past(pool, index, decoder.kv_heads);
        }
        let (shape, elements) = match () {
            () if input == decoder.tokens => (vec![1, tokens.len()], tokens.to_vec()),
            () if decoder.masks.contains(&input) => (vec![1, all], vec![1; all]),
            () => (vec![1, tokens.len()], (*before as i64..all as i64).collect()),
        };
        Tensor::from_i64(shape, &elements).expect("an input")
    };
    let inputs: Vec<Tensor> = graph.inputs.iter().map(given).collect();
    eval(graph, &inputs, &NoFiles).expect("the model runs")
}

/// The outputs over blocks, both sequences in one step.
fn together(paged: &Paged, decoder: &Decoder) -> Vec<Tensor> {
    let mut lists: [Vec<i64>; 4] = Default::default();
    for (index, sequence) in SEQUENCES.iter().enumerate() {
        for (at, &token) in sequence.tokens.iter().enumerate() {
            let place = sequence.past + at;
            let row = sequence.row(place);
            let of_token = [token, place as i64, row as i64, index as i64];
            lists.iter_mut().zip(of_token).for_each(|(list, element)| list.push(element));
        }
    }
    let tables: Vec<i64> = SEQUENCES.iter().flat_map(|sequence| sequence.blocks).collect();
    let count = lists[0].len();
    let shapes = [vec![1, count], vec![count], vec![count, 1], vec![count]];
    let lists = shapes.into_iter().zip(lists).map(|(shape, list)| Tensor::from_i64(shape, &list));
    let tables = Tensor::from_i64(vec![SEQUENCES.len(), ENTRIES], &tables);
    let pools = (0..2 * decoder.layers.len()).map(|at| pool(at, decoder.kv_heads));
    let inputs: Vec<Tensor> =
        lists.chain([tables]).map(|tensor| tensor.expect("a list")).chain(pools).collect();
    let sizes =
        [("seq", count), ("rows", BLOCKS * BLOCK), ("sequences", SEQUENCES.len()), ("entries", ENTRIES)];
    let sizes: Bindings = sizes.into_iter().map(|(name, size)| (name.to_owned(), size as i64)).collect();
    let bound = paged.graph.bind(&sizes).expect("sizes that fit");
    eval(&bound, &inputs, &NoFiles).expect("the rewritten model runs")
}

fn check(style: Style) {
    let graph = style.graph(None);
    let decoder = recognise(&graph, &NoFiles).unwrap_or_else(|e| panic!("{style:?}: {e}"));
    let paged = paged(&graph, &decoder, BLOCK).unwrap_or_else(|e| panic!("{style:?}: {e}"));
    verify(&paged.graph).unwrap_or_else(|e| panic!("{style:?}: {e:?}\n{}", paged.graph));
    let made = together(&paged, &decoder);
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-5 * (1.0 + b.abs());
    let mut first = 0;
    for (index, sequence) in SEQUENCES.iter().enumerate() {
        let expected = alone(&graph, &decoder, index);
        let (logits, own) = (made[0].to_f64(), expected[0].to_f64());
        let width = own.len() / sequence.tokens.len();
        for (at, &own) in own.iter().enumerate() {
            let made = logits[first * width + at];
            assert!(near(made, own), "{style:?}: sequence {index}, element {at}: {made} for {own}");
        }
        first += sequence.tokens.len();
        // The pools hold what the model's own outputs do.
        for (pool, made) in made[paged.own_outputs..].iter().enumerate() {
            let layer = &decoder.layers[pool / 2];
            let state = if pool % 2 == 0 { layer.keys } else { layer.values };
            let (made, own) = (made.to_f64(), expected[state.output].to_f64());
            let all = sequence.past + sequence.tokens.len();
            for (at, &own) in own.iter().enumerate() {
                let (head, place, column) = (at / HEAD / all, at / HEAD % all, at % HEAD);
                let row = sequence.row(place) * decoder.kv_heads + head;
                assert!(near(made[row * HEAD + column], own), "{style:?}: pool {pool}, element {at}");
            }
        }
    }
}

#[test]
fn sequences_in_blocks_give_what_each_gives_alone() {
    for (kv_heads, fused) in [(4, true), (2, false), (1, false)] {
        for (scale, hide) in [(Scale::Roots, Hide::Added), (Scale::Divided, Hide::Guarded)] {
            for positions in [Positions::Input, Positions::Counted, Positions::FromMask] {
                check(Style { scale, hide, kv_heads, fused, positions });
            }
        }
    }
}

/// What a step reads and gives is fixed by the layers alone: nothing of it grows with the past.
#[test]
fn nothing_of_a_step_grows_with_the_past() {
    let graph = Style::PLAIN.graph(None);
    let decoder = recognise(&graph, &NoFiles).expect("a decoder");
    let paged = paged(&graph, &decoder, BLOCK).expect("a rewritten one");
    let name = |value: &ValueId| paged.graph.value(*value).name.to_string();
    let inputs: Vec<String> = paged.graph.inputs.iter().map(name).collect();
    let lists = ["ids", "positions", "slots", "sequences", "tables"];
    let pools = ["pool.0.keys", "pool.0.values", "pool.1.keys", "pool.1.values"];
    assert_eq!(inputs, [&lists[..], &pools[..]].concat());
    let symbols: Vec<String> = paged.graph.free_symbols().into_iter().collect();
    assert_eq!(symbols, ["entries", "rows", "seq", "sequences"]);
    assert_eq!(paged.graph.output_name(1).as_ref(), "pool.0.keys");
    assert!(
        paged.graph.values.iter().all(|value| value.ty.as_ref().is_some_and(|ty| ty.dtype != DType::Bool))
    );
}
