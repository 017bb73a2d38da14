//! A decoder of two layers, written in several ways, with one thing wrong if wanted.

use bayplan_graph::op::{BinaryOp, Keep, ReduceOp, UnaryOp, ViewOp};
use bayplan_graph::{DType, Graph, Op, Tensor, ValueId};

use crate::common::Build;

pub(crate) const HEADS: usize = 4;
pub(crate) const HEAD: usize = 4;
const WIDTH: usize = HEADS * HEAD;
const TOKENS: usize = 11;

/// Where the scale stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Scores,
    Divided,
    Queries,
    /// Its root on the queries and on the keys.
    Roots,
}

/// How keys are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hide {
    /// A large number is taken from their scores.
    Added,
    /// Their scores are replaced.
    Selected,
    /// And weights that are no numbers become 0, as for a query that sees nothing.
    Guarded,
}

/// Where positions come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Positions {
    Input,
    /// The length of the past, and on.
    Counted,
    /// Running sums of the mask, of which the last are taken.
    FromMask,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) scale: Scale,
    pub(crate) hide: Hide,
    pub(crate) kv_heads: usize,
    /// Whether queries, keys and values come from one product.
    pub(crate) fused: bool,
    pub(crate) positions: Positions,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Window,
    WideWindow,
    Alibi,
    Future,
    Faint,
    MaskInput,
    MaskOfTokens,
    Cross,
    KeysRead,
    KeysGiven,
    PastRead,
    SoftmaxAxis,
    NoSoftmax,
    Capped,
    HeadsApart,
    Mixed,
    Last,
    CountedFromZero,
    Length,
    NoCache,
}

impl Style {
    pub(crate) const PLAIN: Self = Self {
        scale: Scale::Scores,
        hide: Hide::Selected,
        kv_heads: HEADS,
        fused: false,
        positions: Positions::Input,
    };

    /// The graph, inferred.
    pub(crate) fn graph(self, fault: Option<Fault>) -> Graph {
        let mut model = Model { style: self, fault, build: Build::default(), seed: 1 };
        model.all();
        model.build.0.infer().unwrap_or_else(|e| panic!("{self:?} {fault:?}: {e}"));
        model.build.0
    }
}

struct Model {
    style: Style,
    fault: Option<Fault>,
    build: Build,
    seed: u32,
}

/// Values that all layers read.
struct Shared {
    seq: ValueId,
    past: ValueId,
    all: ValueId,
    mask: ValueId,
    ids: ValueId,
    bias: Option<ValueId>,
}

impl Model {
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn called(&mut self, value: ValueId, name: &str) -> ValueId {
        self.build.0.values[value.0 as usize].name = name.into();
        if let Some(node) = self.build.0.nodes.iter_mut().find(|node| node.outputs.contains(&value)) {
            node.name = name.into();
        }
        value
    }

    fn input(&mut self, name: &str, dtype: DType, dims: &[&str]) -> ValueId {
        let value = self.build.input(dtype, dims);
        self.called(value, name)
    }

    fn node(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        self.build.node(op, inputs)
    }

    fn binary(&mut self, op: BinaryOp, a: ValueId, b: ValueId) -> ValueId {
        self.node(Op::Binary(op), &[a, b])
    }

    fn number(&mut self, number: f32) -> ValueId {
        self.build.constant(&Tensor::from_f32(vec![], &[number]).expect("a number"))
    }

    fn int(&mut self, number: i64) -> ValueId {
        self.build.constant(&Tensor::from_i64(vec![], &[number]).expect("a number"))
    }

    fn weight(&mut self, shape: &[usize]) -> ValueId {
        let count = shape.iter().product::<usize>();
        let seed = self.seed;
        self.seed += 1;
        let draw = |at: usize| ((at as u32 * 31 + seed * 17) % 23) as f32 / 23.0 - 0.5;
        let elements: Vec<f32> = (0..count).map(draw).collect();
        self.build.constant(&Tensor::from_f32(shape.to_vec(), &elements).expect("a weight"))
    }

    fn unsqueeze(&mut self, x: ValueId, axes: &[i64]) -> ValueId {
        let axes = self.build.ints(axes);
        self.node(Op::View(ViewOp::Unsqueeze), &[x, axes])
    }

    fn reshape(&mut self, x: ValueId, shape: &[i64]) -> ValueId {
        let shape = self.build.ints(shape);
        self.node(Op::View(ViewOp::Reshape { allow_zero: false }), &[x, shape])
    }

    fn dim(&mut self, x: ValueId, axis: i64) -> ValueId {
        let dim = self.node(Op::Shape { start: axis, end: Some(axis + 1) }, &[x]);
        let axes = self.build.ints(&[0]);
        self.node(Op::View(ViewOp::Squeeze), &[dim, axes])
    }

    fn count(&mut self, to: ValueId) -> ValueId {
        let (zero, one) = (self.int(0), self.int(1));
        self.node(Op::Range, &[zero, to, one])
    }

    fn all(&mut self) {
        let ids = self.input("ids", DType::I64, &["batch", "seq"]);
        let mask = self.input("mask", DType::I64, &["batch", "total"]);
        let kv_heads = self.style.kv_heads.to_string();
        let head = HEAD.to_string();
        let dims = ["batch", &kv_heads, "past", &head];
        let pasts: Vec<[ValueId; 2]> = (0..2)
            .map(|layer| {
                ["k", "v"].map(|kind| self.input(&format!("past_{kind}_{layer}"), DType::F32, &dims))
            })
            .collect();
        let seq = self.dim(ids, 1);
        let past = self.dim(pasts[0][0], 2);
        let all = self.binary(BinaryOp::Add, past, seq);
        let bias = self
            .has(Fault::MaskInput)
            .then(|| self.input("bias", DType::F32, &["batch", "1", "seq", "past + seq"]));
        let shared = Shared { seq, past, all, mask, ids, bias };
        let mut x = self.embedded(&shared);
        let mut outputs = Vec::new();
        for (layer, [past_k, past_v]) in pasts.into_iter().enumerate() {
            x = self.layer(layer, x, &shared, past_k, past_v, &mut outputs);
        }
        let x = self.end(x, &shared, &outputs);
        let head = self.weight(&[WIDTH, TOKENS]);
        let logits = self.node(Op::MatMul, &[x, head]);
        self.build.output(logits);
        for output in outputs {
            self.build.output(output);
        }
        if self.has(Fault::Cross) {
            self.input("encoder", DType::F32, &["batch", "4", "source", "4"]);
        }
    }

    fn embedded(&mut self, shared: &Shared) -> ValueId {
        let (table, places) = (self.weight(&[TOKENS, WIDTH]), self.weight(&[64, WIDTH]));
        let x = self.node(Op::Gather { axis: 0 }, &[table, shared.ids]);
        let at = self.positions(shared);
        let at = self.node(Op::Gather { axis: 0 }, &[places, at]);
        self.binary(BinaryOp::Add, x, at)
    }

    fn positions(&mut self, shared: &Shared) -> ValueId {
        if self.has(Fault::CountedFromZero) {
            let places = self.count(shared.seq);
            return self.called(places, "places");
        }
        match self.style.positions {
            Positions::Input => self.input("position_ids", DType::I64, &["batch", "seq"]),
            Positions::Counted => {
                let count = self.count(shared.seq);
                let places = self.binary(BinaryOp::Add, count, shared.past);
                self.called(places, "places")
            }
            Positions::FromMask => {
                let sums = Op::Cumulate { op: BinaryOp::Add, axis: 1, exclusive: false, reverse: false };
                let (sums, one) = (self.node(sums, &[shared.mask]), self.int(1));
                let places = self.binary(BinaryOp::Sub, sums, one);
                let first = self.reshape(shared.past, &[1]);
                let last = self.reshape(shared.all, &[1]);
                let (axes, steps) = (self.build.ints(&[1]), self.build.ints(&[1]));
                let places = self.node(Op::Slice, &[places, first, last, axes, steps]);
                self.called(places, "places")
            }
        }
    }

    fn layer(
        &mut self,
        layer: usize,
        x: ValueId,
        shared: &Shared,
        past_k: ValueId,
        past_v: ValueId,
        outputs: &mut Vec<ValueId>,
    ) -> ValueId {
        let [q, k, v] = self.projected(x);
        let q = self.called(q, &format!("q_{layer}"));
        let no_cache = self.has(Fault::NoCache);
        let [k, v] = [(past_k, k), (past_v, v)].map(|(past, new)| {
            let axis = if no_cache { 3 } else { 2 };
            let new = if no_cache { past } else { new };
            self.node(Op::Concat { axis }, &[past, new])
        });
        outputs.extend([k, v]);
        if no_cache {
            return x;
        }
        let (k, v) = (self.repeated(k), self.repeated(v));
        let scores = self.scores(layer, q, k);
        let scores = self.masked(layer, scores, shared);
        let weights = self.weights(layer, scores);
        let result = self.node(Op::MatMul, &[weights, v]);
        let result = self.called(result, &format!("result_{layer}"));
        let rows = self.node(Op::Transpose(vec![0, 2, 1, 3]), &[result]);
        let rows = self.reshape(rows, &[0, 0, WIDTH as i64]);
        let weight = self.weight(&[WIDTH, WIDTH]);
        let made = self.node(Op::MatMul, &[rows, weight]);
        self.binary(BinaryOp::Add, x, made)
    }

    /// Queries, keys and values as [batch, heads, seq, head].
    fn projected(&mut self, x: ValueId) -> [ValueId; 3] {
        let kv = self.style.kv_heads;
        let parts = if self.style.fused {
            let weight = self.weight(&[WIDTH, 3 * WIDTH]);
            let all = self.node(Op::MatMul, &[x, weight]);
            let sizes = self.build.ints(&[WIDTH as i64; 3]);
            self.build.many(Op::Split { axis: 2 }, &[all, sizes], 3)
        } else {
            let made = [HEADS, kv, kv].map(|heads| {
                let weight = self.weight(&[WIDTH, heads * HEAD]);
                self.node(Op::MatMul, &[x, weight])
            });
            made.to_vec()
        };
        let heads = [HEADS, kv, kv];
        [0, 1, 2].map(|at| {
            let apart = self.reshape(parts[at], &[0, 0, heads[at] as i64, HEAD as i64]);
            self.node(Op::Transpose(vec![0, 2, 1, 3]), &[apart])
        })
    }

    /// Heads as often as queries have them.
    fn repeated(&mut self, x: ValueId) -> ValueId {
        let (kv, times) = (self.style.kv_heads as i64, (HEADS / self.style.kv_heads) as i64);
        if times == 1 {
            return x;
        }
        // One after the other, or (the fault) all of them again.
        let (axis, shape) =
            if self.has(Fault::HeadsApart) { (1, [1, times, kv, 1, 1]) } else { (2, [1, kv, times, 1, 1]) };
        let apart = self.unsqueeze(x, &[axis]);
        let shape = self.build.ints(&shape);
        let more = self.node(Op::Expand, &[apart, shape]);
        // [batch, heads, total, head]: the length is what is left.
        let batch = self.node(Op::Shape { start: 0, end: Some(1) }, &[x]);
        let rest = self.build.ints(&[HEADS as i64, -1, HEAD as i64]);
        let shape = self.node(Op::Concat { axis: 0 }, &[batch, rest]);
        self.node(Op::View(ViewOp::Reshape { allow_zero: true }), &[more, shape])
    }

    fn scores(&mut self, layer: usize, q: ValueId, k: ValueId) -> ValueId {
        let root = std::f32::consts::FRAC_1_SQRT_2;
        let (on_q, on_k) = match self.style.scale {
            Scale::Queries => (Some(0.5), None),
            Scale::Roots => (Some(root), Some(root)),
            Scale::Scores | Scale::Divided => (None, None),
        };
        let [q, k] = [(q, on_q), (k, on_k)].map(|(x, factor)| match factor {
            Some(factor) => {
                let factor = self.number(factor);
                self.binary(BinaryOp::Mul, x, factor)
            }
            None => x,
        });
        let turned = self.node(Op::Transpose(vec![0, 1, 3, 2]), &[k]);
        if layer == 0 && self.has(Fault::KeysGiven) {
            self.called(turned, "turned");
            self.build.output(turned);
        }
        let scores = self.node(Op::MatMul, &[q, turned]);
        match self.style.scale {
            Scale::Scores => {
                let half = self.number(0.5);
                self.binary(BinaryOp::Mul, half, scores)
            }
            Scale::Divided => {
                let two = self.number(2.0);
                self.binary(BinaryOp::Div, scores, two)
            }
            Scale::Queries | Scale::Roots => scores,
        }
    }

    /// Which keys each query sees, [batch, 1, seq, total].
    fn allowed(&mut self, layer: usize, shared: &Shared) -> ValueId {
        let (keys, queries) = (self.count(shared.all), self.count(shared.seq));
        let own = self.binary(BinaryOp::Add, queries, shared.past);
        let own = self.unsqueeze(own, &[1]);
        let last = if self.has(Fault::Future) {
            let one = self.int(1);
            self.binary(BinaryOp::Add, own, one)
        } else {
            own
        };
        let mut allowed = self.binary(BinaryOp::LessOrEqual, keys, last);
        let window =
            [(Fault::Window, 12), (Fault::WideWindow, 1000)].into_iter().find(|(fault, _)| self.has(*fault));
        if let Some((_, window)) = window {
            let window = self.int(window);
            let first = self.binary(BinaryOp::Sub, own, window);
            let near = self.binary(BinaryOp::Greater, keys, first);
            allowed = self.binary(BinaryOp::And, allowed, near);
        }
        let padding = self.node(Op::Cast(DType::Bool), &[shared.mask]);
        let padding = self.unsqueeze(padding, &[1, 2]);
        allowed = self.binary(BinaryOp::And, allowed, padding);
        if self.has(Fault::MaskOfTokens) {
            let real = self.node(Op::Cast(DType::Bool), &[shared.ids]);
            let real = self.unsqueeze(real, &[1, 3]);
            allowed = self.binary(BinaryOp::And, allowed, real);
        }
        self.called(allowed, &format!("allowed_{layer}"))
    }

    fn masked(&mut self, layer: usize, scores: ValueId, shared: &Shared) -> ValueId {
        let mut scores = scores;
        if self.has(Fault::Capped) {
            scores = self.node(Op::Unary(UnaryOp::Tanh), &[scores]);
            let node = self.build.0.nodes.last_mut().expect("a node");
            node.source_op = "Tanh".into();
            self.called(scores, &format!("bent_{layer}"));
        }
        if self.has(Fault::Alibi) {
            let keys = self.count(shared.all);
            let keys = self.node(Op::Cast(DType::F32), &[keys]);
            let slopes = self.weight(&[HEADS, 1, 1]);
            let bias = self.binary(BinaryOp::Mul, slopes, keys);
            let bias = self.called(bias, &format!("alibi_{layer}"));
            scores = self.binary(BinaryOp::Add, scores, bias);
        }
        if let Some(bias) = shared.bias {
            return self.binary(BinaryOp::Add, scores, bias);
        }
        let allowed = self.allowed(layer, shared);
        let faint = self.has(Fault::Faint);
        match self.style.hide {
            Hide::Added => {
                let (zero, most) = (self.number(0.0), self.number(f32::MIN));
                let bias = self.node(Op::Select, &[allowed, zero, most]);
                self.binary(BinaryOp::Add, scores, bias)
            }
            _ if faint => {
                let (zero, little) = (self.number(0.0), self.number(-100.0));
                let bias = self.node(Op::Select, &[allowed, zero, little]);
                self.binary(BinaryOp::Add, scores, bias)
            }
            Hide::Selected | Hide::Guarded => {
                let hidden = self.number(f32::NEG_INFINITY);
                self.node(Op::Select, &[allowed, scores, hidden])
            }
        }
    }

    fn weights(&mut self, layer: usize, scores: ValueId) -> ValueId {
        if self.has(Fault::NoSoftmax) {
            return scores;
        }
        let axis = if self.has(Fault::SoftmaxAxis) { 2 } else { -1 };
        let weights = self.node(Op::Softmax { axis, log: false }, &[scores]);
        let weights = self.called(weights, &format!("weights_{layer}"));
        if self.style.hide != Hide::Guarded {
            return weights;
        }
        let (none, zero) = (self.node(Op::Unary(UnaryOp::IsNaN), &[weights]), self.number(0.0));
        self.node(Op::Select, &[none, zero, weights])
    }

    /// What comes before the logits.
    fn end(&mut self, x: ValueId, shared: &Shared, caches: &[ValueId]) -> ValueId {
        match self.fault {
            Some(Fault::Mixed) => {
                let sums = Op::Cumulate { op: BinaryOp::Add, axis: 1, exclusive: false, reverse: false };
                let mixed = self.node(sums, &[x]);
                self.called(mixed, "mixed")
            }
            Some(Fault::Last) => {
                let lists = [-1, i64::MAX, 1, 1].map(|n| self.build.ints(&[n]));
                let last = self.node(Op::Slice, &[x, lists[0], lists[1], lists[2], lists[3]]);
                self.called(last, "last")
            }
            Some(Fault::Length) => {
                let ids = self.binary(BinaryOp::Add, shared.ids, shared.past);
                self.called(ids, "lengthened");
                let ids = self.node(Op::Cast(DType::F32), &[ids]);
                let ids = self.unsqueeze(ids, &[2]);
                self.binary(BinaryOp::Add, x, ids)
            }
            Some(Fault::KeysRead) => {
                let axes = self.build.ints(&[1, 2, 3]);
                let sum = self.node(Op::Reduce(ReduceOp::Sum, Keep::None), &[caches[2], axes]);
                self.called(sum, "read");
                let sum = self.unsqueeze(sum, &[1, 2]);
                self.binary(BinaryOp::Add, x, sum)
            }
            Some(Fault::PastRead) => {
                let &[past, ..] = caches else { return x };
                let past = self
                    .build
                    .0
                    .nodes
                    .iter()
                    .find(|node| node.outputs.contains(&past))
                    .expect("a join")
                    .inputs[0];
                let read = self.node(Op::Unary(UnaryOp::Neg), &[past]);
                self.called(read, "read");
                x
            }
            _ => x,
        }
    }
}
