//! The ONNX graph of a decoder of Llama 3's kind, of any size, with naive attention: scores, mask and softmax of every
//! head are tensors. Its weights are ranges of a file that need not be there.

use std::path::{Path, PathBuf};

use crate::onnx_file::{Attribute, Constant, Data, Dim, External, Model, Node, Type};
use crate::random::Random;

/// What a decoder is made of.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// Layers.
    pub layers: i64,
    /// Width of the residual stream.
    pub width: i64,
    /// Heads of queries for each head of keys and values.
    pub groups: i64,
    /// Heads of keys and values.
    pub kv_heads: i64,
    /// Width of a head.
    pub head: i64,
    /// Width of the feed-forward layer.
    pub hidden: i64,
    /// Tokens that there are.
    pub vocabulary: i64,
}

impl Decoder {
    /// Llama 3, 8 billion parameters.
    pub const LLAMA_3_8B: Self = Self {
        layers: 32,
        width: 4096,
        groups: 4,
        kv_heads: 8,
        head: 128,
        hidden: 14_336,
        vocabulary: 128_256,
    };

    /// One of the same kind that runs in milliseconds.
    pub const SMALL: Self =
        Self { layers: 2, width: 64, groups: 2, kv_heads: 2, head: 16, hidden: 96, vocabulary: 97 };

    /// The file and one with weights drawn from the seed, in a folder. Gives the model's path.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn write(&self, folder: &Path, seed: u64) -> PathBuf {
        let (bytes, weights) = self.made();
        let mut random = Random::new(seed);
        // Sums over the width keep the scale of what they add.
        let scale = (12.0 / self.width as f32).sqrt();
        let drawn: Vec<u8> =
            (0..weights / 4).flat_map(|_| ((random.unit() - 0.5) * scale).to_le_bytes()).collect();
        let path = folder.join("model.onnx");
        for (path, bytes) in [(&path, bytes), (&folder.join("weights.bin"), drawn)] {
            std::fs::write(path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
        path
    }

    /// The file: inputs `ids` [batch, seq], `mask` [batch, 1, 1, seq, total], `cos` and `sin` [batch, seq, head], `past_k_N`
    /// and `past_v_N` [batch, kv_heads, past, head]; outputs `logits` of the last position, `k_N` and `v_N`.
    pub fn onnx(&self) -> Vec<u8> {
        self.made().0
    }

    /// The file, and the bytes of its weights.
    fn made(&self) -> (Vec<u8>, u64) {
        let mut graph = Graph::default();
        graph.inputs(self);
        graph.constants(self);
        graph.weight("embed", &[self.vocabulary, self.width]);
        let mut x = graph.op("Gather", &["embed", "ids"], "embedded", vec![]);
        for layer in 0..self.layers {
            x = graph.layer(self, layer, x);
        }
        let x = graph.norm(x, "final", self.width);
        let last = graph.op("Slice", &[x, "last", "end", "one"], "last_x", vec![]);
        graph.weight("head", &[self.width, self.vocabulary]);
        let logits = graph.op("MatMul", &[last, "head"], "logits", vec![]);
        graph.model.outputs.push(logits);
        (graph.model.bytes(), graph.offset)
    }
}

/// The model so far. Its names live as long as the test does.
#[derive(Default)]
struct Graph {
    model: Model<'static>,
    /// Bytes of the weights so far.
    offset: u64,
}

fn kept(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn ints(list: &[i64]) -> Attribute<'static> {
    Attribute::Ints(Box::leak(list.to_vec().into_boxed_slice()))
}

impl Graph {
    fn inputs(&mut self, decoder: &Decoder) {
        let [batch, seq, past, total] = ["batch", "seq", "past", "total"].map(Dim::Symbol);
        let one = Dim::Known(1);
        let mut inputs = vec![
            ("ids", vec![batch, seq]),
            ("mask", vec![batch, one, one, seq, total]),
            ("cos", vec![batch, seq, Dim::Known(decoder.head)]),
            ("sin", vec![batch, seq, Dim::Known(decoder.head)]),
        ];
        for layer in 0..decoder.layers {
            for kind in ["k", "v"] {
                let shape = vec![batch, Dim::Known(decoder.kv_heads), past, Dim::Known(decoder.head)];
                inputs.push((kept(format!("past_{kind}_{layer}")), shape));
            }
        }
        self.model.inputs = inputs;
        self.model.types = vec![("ids", Type::I64)];
    }

    fn constants(&mut self, decoder: &Decoder) {
        let Decoder { kv_heads, groups, head, width, .. } = *decoder;
        let lists: [(&str, Vec<i64>); 11] = [
            ("q_shape", vec![0, 0, kv_heads, groups, head]),
            ("kv_shape", vec![0, 0, kv_heads, head]),
            ("x_shape", vec![0, 0, width]),
            ("zero", vec![0]),
            ("half", vec![head / 2]),
            ("end", vec![i64::MAX]),
            ("last", vec![-1]),
            ("minus", vec![-1]),
            ("one", vec![1]),
            ("two", vec![2]),
            ("two_three", vec![2, 3]),
        ];
        for (name, list) in lists {
            let shape: &'static [i64] = Box::leak(vec![list.len() as i64].into_boxed_slice());
            self.model.constants.push(Constant { name, shape, data: Data::I64(list) });
        }
        let numbers = [("square", 2.0), ("eps", 1e-5), ("scale", 1.0 / (head as f32).sqrt())];
        for (name, number) in numbers {
            self.model.constants.push(Constant { name, shape: &[], data: Data::F32(vec![number]) });
        }
    }

    fn op(
        &mut self,
        op: &'static str,
        inputs: &[&'static str],
        output: &str,
        attributes: Vec<(&'static str, Attribute<'static>)>,
    ) -> &'static str {
        let output = kept(output.to_owned());
        let inputs = Box::leak(inputs.to_vec().into_boxed_slice());
        let outputs = Box::leak(vec![output].into_boxed_slice());
        self.model.nodes.push(Node { op, inputs, outputs, attributes });
        output
    }

    fn weight(&mut self, name: &str, shape: &[i64]) -> &'static str {
        let bytes = 4 * shape.iter().product::<i64>() as u64;
        let name = kept(name.to_owned());
        self.model.weights.push(External {
            name,
            shape: Box::leak(shape.to_vec().into_boxed_slice()),
            location: "weights.bin",
            offset: kept(self.offset.to_string()),
            length: kept(bytes.to_string()),
        });
        self.offset += bytes;
        name
    }

    fn linear(&mut self, x: &'static str, name: &str, from: i64, to: i64) -> &'static str {
        let weight = self.weight(&format!("{name}_weight"), &[from, to]);
        self.op("MatMul", &[x, weight], name, vec![])
    }

    /// Root mean square normalization.
    fn norm(&mut self, x: &'static str, name: &str, width: i64) -> &'static str {
        let named = |what: &str| format!("{name}_{what}");
        let squares = self.op("Pow", &[x, "square"], &named("squares"), vec![]);
        let mean = vec![("axes", ints(&[-1])), ("keepdims", Attribute::Int(1))];
        let mean = self.op("ReduceMean", &[squares], &named("mean"), mean);
        let moved = self.op("Add", &[mean, "eps"], &named("moved"), vec![]);
        let root = self.op("Sqrt", &[moved], &named("root"), vec![]);
        let normal = self.op("Div", &[x, root], &named("normal"), vec![]);
        let weight = self.weight(&named("gain"), &[width]);
        self.op("Mul", &[normal, weight], &named("norm"), vec![])
    }

    /// Rotary positions; `axes` are those that `cos` and `sin` lack.
    fn rotate(&mut self, x: &'static str, axes: &'static str) -> &'static str {
        let named = |what: &str| format!("{x}_{what}");
        let low = self.op("Slice", &[x, "zero", "half", "minus"], &named("low"), vec![]);
        let high = self.op("Slice", &[x, "half", "end", "minus"], &named("high"), vec![]);
        let negative = self.op("Neg", &[high], &named("negative"), vec![]);
        let axis = vec![("axis", Attribute::Int(-1))];
        let turned = self.op("Concat", &[negative, low], &named("turned"), axis);
        let cos = self.op("Unsqueeze", &["cos", axes], &named("cos"), vec![]);
        let sin = self.op("Unsqueeze", &["sin", axes], &named("sin"), vec![]);
        let straight = self.op("Mul", &[x, cos], &named("straight"), vec![]);
        let across = self.op("Mul", &[turned, sin], &named("across"), vec![]);
        self.op("Add", &[straight, across], &named("rotated"), vec![])
    }

    /// Keys or values of all tokens: those given, then the new ones, transposed to the heads.
    fn cache(&mut self, new: &'static str, kind: &str, layer: i64) -> &'static str {
        let perm = vec![("perm", ints(&[0, 2, 1, 3]))];
        let heads = self.op("Transpose", &[new], &format!("{new}_heads"), perm);
        let past = kept(format!("past_{kind}_{layer}"));
        let axis = vec![("axis", Attribute::Int(2))];
        let all = self.op("Concat", &[past, heads], &format!("{kind}_{layer}"), axis);
        self.model.outputs.push(all);
        self.op("Unsqueeze", &[all, "two"], &format!("{kind}_{layer}_grouped"), vec![])
    }

    fn layer(&mut self, decoder: &Decoder, layer: i64, x: &'static str) -> &'static str {
        let Decoder { width, kv_heads, head, hidden, .. } = *decoder;
        let named = |what: &str| format!("layer_{layer}_{what}");
        let normal = self.norm(x, &named("before_attention"), width);
        let q = self.linear(normal, &named("q"), width, width);
        let k = self.linear(normal, &named("k"), width, kv_heads * head);
        let v = self.linear(normal, &named("v"), width, kv_heads * head);
        let q = self.op("Reshape", &[q, "q_shape"], &named("q_heads"), vec![]);
        let k = self.op("Reshape", &[k, "kv_shape"], &named("k_heads"), vec![]);
        let v = self.op("Reshape", &[v, "kv_shape"], &named("v_heads"), vec![]);
        let q = self.rotate(q, "two_three");
        let k = self.rotate(k, "two");
        let q = self.op("Transpose", &[q], &named("queries"), vec![("perm", ints(&[0, 2, 3, 1, 4]))]);
        let k = self.cache(k, "k", layer);
        let v = self.cache(v, "v", layer);
        let k = self.op("Transpose", &[k], &named("keys"), vec![("perm", ints(&[0, 1, 2, 4, 3]))]);
        let products = self.op("MatMul", &[q, k], &named("products"), vec![]);
        let scaled = self.op("Mul", &[products, "scale"], &named("scaled"), vec![]);
        let masked = self.op("Add", &[scaled, "mask"], &named("masked"), vec![]);
        let scores = self.op("Softmax", &[masked], &named("scores"), vec![("axis", Attribute::Int(-1))]);
        let mixed = self.op("MatMul", &[scores, v], &named("mixed"), vec![]);
        let mixed =
            self.op("Transpose", &[mixed], &named("mixed_rows"), vec![("perm", ints(&[0, 3, 1, 2, 4]))]);
        let mixed = self.op("Reshape", &[mixed, "x_shape"], &named("mixed_x"), vec![]);
        let attended = self.linear(mixed, &named("attended"), width, width);
        let x = self.op("Add", &[x, attended], &named("after_attention"), vec![]);
        let normal = self.norm(x, &named("before_mlp"), width);
        let gate = self.linear(normal, &named("gate"), width, hidden);
        let up = self.linear(normal, &named("up"), width, hidden);
        let sigmoid = self.op("Sigmoid", &[gate], &named("sigmoid"), vec![]);
        let silu = self.op("Mul", &[gate, sigmoid], &named("silu"), vec![]);
        let product = self.op("Mul", &[silu, up], &named("product"), vec![]);
        let down = self.linear(product, &named("down"), hidden, width);
        self.op("Add", &[x, down], &named("out"), vec![])
    }
}
