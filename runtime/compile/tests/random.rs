//! Random graphs over all families of operators on a device, against the reference evaluation, compiled in every way.
//!
//! `BAYPLAN_SEEDS=n..m` runs the graphs of those seeds instead.

mod common;

use bayplan_graph::op::{
    BinaryOp, F32Bits, Keep, Op, PadMode, Pads, PoolKind, ReduceOp, UnaryOp, ViewOp, Window,
};
use bayplan_graph::{DType, Tensor, ValueId};

use bayplan_compile::Options;
use bayplan_engine::Limits;

use common::{Builder, WAYS, check, check_guards, check_on, floats};

/// Graphs; each is compiled and run in every way.
const GRAPHS: u64 = 240;

/// Relative to an output's largest magnitude: sums of up to some hundred products in another order.
const TOLERANCE: f64 = 5e-5;

/// Largest tensor, in elements: what is wrong shows on small ones.
const LARGEST: usize = 4096;

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// A graph being drawn.
struct Drawing {
    b: Builder,
    random: Random,
    values: Vec<ValueId>,
    /// Values that are the same in every evaluation, without rounding: those alone are compared with others.
    exact: Vec<bool>,
}

const DIMS: [usize; 9] = [1, 2, 3, 4, 4, 5, 6, 8, 16];

impl Drawing {
    fn new(seed: u64) -> Self {
        let mut new = Self {
            b: Builder::new(&format!("seed {seed}")),
            random: Random(seed),
            values: Vec::new(),
            exact: Vec::new(),
        };
        for _ in 0..1 + new.random.below(3) {
            let shape = new.shape();
            let id = new.b.floats(&shape);
            new.keep(id, true);
        }
        if new.random.below(3) == 0 {
            // Too large to be folded: what follows from it alone is computed while loading.
            let shape = new.random.pick(&[[16, 8, 10], [40, 4, 8], [1, 64, 20]]);
            let id = new.b.constant(&floats(&shape, 7));
            new.keep(id, true);
        }
        if new.random.below(2) == 0 {
            let shape = new.shape();
            let seed = new.values.len();
            let whole: Vec<f64> = floats(&shape, seed).to_f64().iter().map(|v| (v * 8.0).floor()).collect();
            let dtype = new.random.pick(&[DType::I64, DType::I32, DType::U8, DType::I8, DType::U32]);
            let id = new.b.input(Tensor::from_f64(dtype, shape, &whole).expect("as many as the shape says"));
            new.keep(id, true);
        }
        new
    }

    fn shape(&mut self) -> Vec<usize> {
        let rank = self.random.below(5);
        let mut shape: Vec<usize> = (0..rank).map(|_| self.random.pick(&DIMS)).collect();
        // Now and then nothing at all.
        if rank > 0 && self.random.below(24) == 0 {
            let axis = self.random.below(rank);
            shape[axis] = 0;
        }
        shape
    }

    fn keep(&mut self, id: ValueId, exact: bool) {
        self.values.push(id);
        self.exact.push(exact);
    }

    /// A value, more often a recent one; and whether it is exact.
    fn any(&mut self) -> (ValueId, bool) {
        let count = self.values.len();
        let at = if self.random.below(3) == 0 { self.random.below(count) } else { count - 1 };
        (self.values[at], self.exact[at])
    }

    /// A value of that type, converted if there is none among a few.
    fn of_type(&mut self, dtype: DType) -> (ValueId, bool) {
        for _ in 0..4 {
            let (id, exact) = self.any();
            if self.b.dtype(id) == dtype {
                return (id, exact);
            }
        }
        let (id, exact) = self.any();
        // A rounded float near a whole number would come out as either of two integers.
        if self.b.dtype(id) == dtype || (self.b.dtype(id) == DType::F32 && !exact) {
            let shape = self.shape();
            let new = self.b.constant(&Tensor::zeros(dtype, shape).expect("a small tensor"));
            return if self.b.dtype(id) == dtype { (id, exact) } else { (new, true) };
        }
        (self.b.op(Op::Cast(dtype), &[id]), exact)
    }

    fn float(&mut self) -> (ValueId, bool) {
        self.of_type(DType::F32)
    }

    /// Another operand that broadcasts against a value: itself, one like it, a slice of its shape, a constant.
    fn partner(&mut self, x: ValueId) -> (ValueId, bool) {
        let (dtype, shape) = (self.b.dtype(x), self.b.shape(x));
        for _ in 0..3 {
            let (other, exact) = self.any();
            let like = self.b.dtype(other) == dtype && self.b.shape(other) == shape;
            if like && (other != x || self.random.below(4) == 0) {
                return (other, exact);
            }
        }
        let from = self.random.below(shape.len() + 1);
        let mut small: Vec<usize> = shape[from..].to_vec();
        for size in &mut small {
            if self.random.below(3) == 0 {
                *size = 1;
            }
        }
        let seed = self.values.len();
        let tensor = floats(&small, seed);
        let tensor = if dtype == DType::F32 {
            tensor
        } else {
            Tensor::from_f64(dtype, small, &tensor.to_f64()).expect("as many")
        };
        let id = if self.random.below(2) == 0 { self.b.constant(&tensor) } else { self.b.input(tensor) };
        (id, true)
    }

    /// Adds an operator's result if inference takes it and it is small.
    fn add(&mut self, op: Op, inputs: &[ValueId], exact: bool) {
        let Some(made) = self.b.try_ops(op, inputs, 1) else { return };
        let count: usize = self.b.shape(made[0]).iter().product();
        if count <= LARGEST {
            self.keep(made[0], exact);
        }
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0..=2 => self.unary(),
            3..=6 => self.binary(),
            7 => self.select(),
            8 => self.product(),
            9 => self.window(),
            10 | 11 => self.rows(),
            12 | 13 => self.layout(),
            14 | 15 => self.slice(),
            16 => self.split_and_join(),
            17 => self.pad(),
            18 => self.gather(),
            _ => self.convert(),
        }
    }

    fn unary(&mut self) {
        let (x, exact) = self.any();
        if self.b.dtype(x) == DType::F32 && self.random.below(3) > 0 {
            let op = self.random.pick(&[UnaryOp::Tanh, UnaryOp::Sigmoid]);
            return self.add(Op::Unary(op), &[x], false);
        }
        let op = self.random.pick(&[UnaryOp::Neg, UnaryOp::Abs, UnaryOp::Relu, UnaryOp::Not]);
        self.add(Op::Unary(op), &[x], exact);
    }

    fn binary(&mut self) {
        let (x, a) = self.any();
        let (y, b) = self.partner(x);
        let (x, y) = if self.random.below(2) == 0 { (x, y) } else { (y, x) };
        match self.random.below(6) {
            0..=2 => {
                let op = self.random.pick(&[BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul]);
                let exact = self.b.dtype(x) != DType::F32;
                self.add(Op::Binary(op), &[x, y], exact);
            }
            3 | 4 => {
                let op = self.random.pick(&[BinaryOp::Max, BinaryOp::Min]);
                self.add(Op::Binary(op), &[x, y], a && b);
            }
            _ if a && b => {
                let op = self.random.pick(&[BinaryOp::Less, BinaryOp::Equal, BinaryOp::GreaterOrEqual]);
                self.add(Op::Binary(op), &[x, y], true);
            }
            _ => {}
        }
    }

    fn select(&mut self) {
        let (c, _) = self.of_type(DType::Bool);
        let (x, a) = self.float();
        let (y, b) = self.partner(x);
        self.add(Op::Select, &[c, x, y], a && b);
    }

    fn product(&mut self) {
        let (x, _) = self.float();
        let shape = self.b.shape(x);
        let Some(&k) = shape.last() else { return };
        let n = self.random.pick(&DIMS);
        let mut other = if self.random.below(4) == 0 { vec![k] } else { vec![k, n] };
        if self.random.below(3) == 0 && shape.len() > 2 && other.len() == 2 {
            other.splice(0..0, shape[..shape.len() - 2].iter().copied());
        }
        let seed = self.values.len();
        let w = floats(&other, seed);
        let w = if self.random.below(2) == 0 { self.b.constant(&w) } else { self.b.input(w) };
        let flip = self.random.below(4) == 0 && other.len() == 2;
        if flip {
            let (x, w) = (self.b.op(Op::Transpose(vec![1, 0]), &[w]), x);
            let rank = self.b.shape(w).len();
            if rank >= 2 {
                let mut perm: Vec<usize> = (0..rank).collect();
                perm.swap(rank - 1, rank - 2);
                let w = self.b.op(Op::Transpose(perm), &[w]);
                return self.add(Op::MatMul, &[x, w], false);
            }
        }
        self.add(Op::MatMul, &[x, w], false);
    }

    fn window(&mut self) {
        let (x, _) = self.float();
        let count: usize = self.b.shape(x).iter().product();
        let (batch, channels, width) = (1 + self.random.below(2), self.random.pick(&[1, 2, 4]), 4);
        let height = count / (batch * channels * width);
        // Whatever it is, as an image.
        let x = if count > 0 && batch * channels * width * height == count {
            let shape = self.b.ints(&[batch as i64, channels as i64, height as i64, width as i64]);
            self.b.op(Op::View(ViewOp::Reshape { allow_zero: true }), &[x, shape])
        } else {
            self.b.floats(&[batch, channels, 5, width])
        };
        let size = self.random.pick(&[1, 3]);
        let pads = match self.random.below(3) {
            0 => Pads::Same { upper: true },
            1 => Pads::Explicit(vec![0; 4]),
            _ => Pads::Explicit(vec![1, 1, 1, 1]),
        };
        let step = 1 + self.random.below(2);
        let window = Window {
            kernel: vec![size; 2],
            strides: vec![step; 2],
            dilations: vec![1; 2],
            pads,
            ceil: false,
        };
        if self.random.below(3) == 0 {
            let kind = self.random.pick(&[PoolKind::Max, PoolKind::Average { count_pad: true }]);
            return self.add(Op::Pool(kind, window), &[x], false);
        }
        let groups = if self.random.below(4) == 0 { channels } else { 1 };
        let filters = groups * self.random.pick(&[1, 2, 8]);
        let seed = self.values.len();
        let w = floats(&[filters, channels / groups, size, size], seed);
        let w = if self.random.below(3) > 0 { self.b.constant(&w) } else { self.b.input(w) };
        self.add(Op::Conv(window, groups), &[x, w], false);
    }

    fn rows(&mut self) {
        let (x, exact) = if self.random.below(3) == 0 { self.any() } else { self.float() };
        let rank = self.b.shape(x).len();
        if self.random.below(2) == 0 && rank > 0 && self.b.dtype(x) == DType::F32 {
            let axis = self.random.below(rank) as i64;
            let normalize =
                Op::Normalize { axis, epsilon: F32Bits::new(0.1), center: self.random.below(2) == 0 };
            let softmax = Op::Softmax { axis, log: false };
            let op = if self.random.below(2) == 0 { normalize } else { softmax };
            return self.add(op, &[x], false);
        }
        let axes: Vec<i64> = (0..rank as i64).filter(|_| self.random.below(2) == 0).collect();
        let axes = self.b.ints(&axes);
        let float = self.b.dtype(x) == DType::F32;
        let op = if float {
            self.random.pick(&[ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max])
        } else {
            self.random.pick(&[ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min])
        };
        let keep = self.random.pick(&[Keep::Dims, Keep::None]);
        // The largest of no integers does not exist.
        if !float && self.b.shape(x).contains(&0) {
            return;
        }
        self.add(Op::Reduce(op, keep), &[x, axes], exact && (!float || op == ReduceOp::Max));
    }

    fn layout(&mut self) {
        let (x, exact) = self.any();
        let shape = self.b.shape(x);
        match self.random.below(3) {
            0 => {
                let mut perm: Vec<usize> = (0..shape.len()).collect();
                for i in (1..perm.len()).rev() {
                    let j = self.random.below(i + 1);
                    perm.swap(i, j);
                }
                self.add(Op::Transpose(perm), &[x], exact);
            }
            1 => {
                let mut to: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
                if to.len() > 1 && self.random.below(2) == 0 {
                    let last = to.pop().unwrap_or(1);
                    if let Some(size) = to.last_mut() {
                        *size *= last;
                    }
                } else if let Some(at) = to.iter().position(|size| size % 2 == 0 && *size > 0) {
                    to[at] /= 2;
                    to.insert(at, 2);
                } else {
                    to.insert(0, 1);
                }
                let to = self.b.ints(&to);
                self.add(Op::View(ViewOp::Reshape { allow_zero: true }), &[x, to], exact);
            }
            _ => {
                let mut to: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
                for size in &mut to {
                    if *size == 1 {
                        *size = self.random.pick(&[0, 1, 3, 4]);
                    }
                }
                if to.len() < 4 {
                    to.insert(0, self.random.pick(&[1, 2]));
                }
                let to = self.b.ints(&to);
                self.add(Op::Expand, &[x, to], exact);
            }
        }
    }

    fn slice(&mut self) {
        let (x, exact) = self.any();
        let shape = self.b.shape(x);
        if shape.is_empty() {
            return;
        }
        let axis = self.random.below(shape.len());
        let size = shape[axis] as i64;
        let at = |random: &mut Random| random.below(size as usize + 3) as i64 - 1;
        let (start, end) = (at(&mut self.random), at(&mut self.random));
        let step = self.random.pick(&[1, 1, 2, -1, -2]);
        // Mostly something is left.
        let (start, end) = if (step > 0) == (start < end) { (start, end) } else { (end, start) };
        let [starts, ends, axes, steps] = [start, end, axis as i64, step].map(|v| self.b.ints(&[v]));
        self.add(Op::Slice, &[x, starts, ends, axes, steps], exact);
    }

    fn split_and_join(&mut self) {
        let (x, exact) = self.any();
        let shape = self.b.shape(x);
        if shape.is_empty() {
            return;
        }
        let axis = self.random.below(shape.len());
        let first = self.random.below(shape[axis] + 1);
        let sizes = self.b.ints(&[first as i64, (shape[axis] - first) as i64]);
        let Some(parts) = self.b.try_ops(Op::Split { axis: axis as i64 }, &[x, sizes], 2) else { return };
        let list = if self.random.below(2) == 0 {
            vec![parts[1], parts[0]]
        } else {
            vec![x, parts[self.random.below(2)], x]
        };
        parts.iter().for_each(|&part| self.keep(part, exact));
        self.add(Op::Concat { axis: axis as i64 }, &list, exact);
    }

    fn pad(&mut self) {
        let (x, exact) = self.any();
        let rank = self.b.shape(x).len();
        let pads: Vec<i64> = (0..2 * rank).map(|_| self.random.pick(&[0, 0, 1, 2, -1])).collect();
        let pads = self.b.ints(&pads);
        let value = Tensor::from_f64(self.b.dtype(x), vec![], &[1.0]).expect("one");
        let value = self.b.constant(&value);
        let mode = self.random.pick(&[PadMode::Constant, PadMode::Constant, PadMode::Edge, PadMode::Reflect]);
        self.add(Op::Pad(mode), &[x, pads, value], exact);
    }

    fn gather(&mut self) {
        let (x, exact) = self.any();
        let shape = self.b.shape(x);
        if shape.is_empty() {
            return;
        }
        let axis = self.random.below(shape.len());
        let size = shape[axis];
        if size == 0 {
            return;
        }
        let list: Vec<i64> =
            (0..1 + self.random.below(4)).map(|_| self.random.below(2 * size) as i64 - size as i64).collect();
        let list = Tensor::from_i64(vec![list.len()], &list).expect("a list");
        let list = if self.random.below(2) == 0 { self.b.constant(&list) } else { self.b.input(list) };
        self.add(Op::Gather { axis: axis as i64 }, &[x, list], exact);
    }

    fn convert(&mut self) {
        let (x, exact) = self.any();
        let to = self.random.pick(&[DType::F32, DType::F32, DType::I64, DType::I32, DType::Bool, DType::U8]);
        // The unsigned image of a negative number is not defined by ONNX.
        if (self.b.dtype(x) == DType::F32 && !exact) || (to == DType::U8 && self.b.dtype(x) != DType::Bool) {
            return;
        }
        self.add(Op::Cast(to), &[x], exact);
    }

    fn finish(mut self) -> Builder {
        let steps = 4 + self.random.below(12);
        for _ in 0..steps {
            self.step();
        }
        let count = self.values.len();
        self.b.output(self.values[count - 1]);
        for _ in 0..1 + self.random.below(3) {
            let at = self.random.below(count);
            self.b.output(self.values[at]);
        }
        self.b
    }
}

/// The seeds to run: those asked for, or these.
fn seeds(graphs: u64) -> std::ops::Range<u64> {
    match std::env::var("BAYPLAN_SEEDS") {
        Ok(range) => {
            let ends = range.split_once("..").and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            let (first, end): (u64, u64) = ends.expect("BAYPLAN_SEEDS is a range as 7..8");
            first..end
        }
        Err(_) => 0..graphs,
    }
}

/// On a device whose windows hold 512 bytes and whose allocations hold 64 KiB much is split. What cannot be is
/// refused by the name of its limit.
#[test]
fn random_graphs_on_a_device_of_small_windows_agree_too() {
    let limits =
        Limits { max_storage_range: Some(512), max_allocation: Some(64 << 10), storage_alignment: Some(16) };
    let device = common::open(limits);
    let (mut failed, mut refused, mut split) = (Vec::new(), 0, 0);
    for seed in seeds(GRAPHS) {
        let builder = Drawing::new(seed).finish();
        let dispatches = |target: &_, way| {
            common::program(&builder.graph, target, way).map(|program| program.run.dispatches.len())
        };
        let (whole, parts) =
            (dispatches(common::device().target(), WAYS[3]), dispatches(device.target(), WAYS[3]));
        split += usize::from(whole.is_ok_and(|whole| parts.is_ok_and(|parts| parts > whole)));
        match check_on(&device, &builder, &[WAYS[0], WAYS[3]], TOLERANCE) {
            Ok(()) => {}
            Err(e) if e.contains("maxStorageBufferRange") || e.contains("maxMemoryAllocationSize") => {
                refused += 1;
            }
            Err(e) => failed.push(format!("seed {seed}: {e}\n{}", builder.graph)),
        }
    }
    println!("{split} split, {refused} refused");
    assert!(failed.is_empty(), "{} graphs failed; the first:\n{}", failed.len(), failed[0]);
    assert!(split >= 60 && refused <= 20, "{split} of {GRAPHS} graphs were split, {refused} refused");
}

/// Guard bytes behind every buffer.
const GUARDED: Options = Options { share: false, guard: 256, ..WAYS[3] };

#[test]
fn nothing_is_written_past_a_window() {
    let limits = Limits { max_storage_range: Some(2048), storage_alignment: Some(256), ..Limits::default() };
    let (whole, split) = (common::device(), common::open(limits));
    let mut failed = Vec::new();
    for seed in seeds(GRAPHS) {
        let builder = Drawing::new(seed).finish();
        for device in [whole, &split] {
            let Ok(program) = common::program(&builder.graph, device.target(), GUARDED) else { continue };
            if let Err(e) = check_guards(device, &builder, program) {
                failed.push(format!("seed {seed}: {e}\n{}", builder.graph));
            }
        }
    }
    assert!(failed.is_empty(), "{} graphs failed; the first:\n{}", failed.len(), failed[0]);
}

/// A window one unit beside its plan is written, and the guard bytes tell it.
#[test]
fn what_is_written_past_a_window_is_seen() {
    let mut b = Builder::new("guards");
    let (x, y) = (b.floats(&[8, 8]), b.floats(&[8, 8]));
    let z = b.op(Op::MatMul, &[x, y]);
    b.output(z);
    let program = || common::program(&b.graph, common::device().target(), GUARDED).expect("a program");
    check_guards(common::device(), &b, program()).expect("the kernel keeps to its window");
    let mut shifted = program();
    let window = shifted.run.dispatches[0].windows.last_mut().expect("a result");
    assert_eq!(window.access, bayplan_shaders::Access::Write);
    window.offset += shifted.target.storage_alignment.next_multiple_of(64);
    let e = check_guards(common::device(), &b, shifted).expect_err("bytes behind the result");
    assert!(e.contains("was written"), "{e}");
}

#[test]
fn random_graphs_agree_with_the_reference() {
    let mut failed = Vec::new();
    for seed in seeds(GRAPHS) {
        let builder = Drawing::new(seed).finish();
        if let Err(e) = check(&builder, TOLERANCE) {
            failed.push(format!("seed {seed}: {e}\n{}", builder.graph));
        }
    }
    assert!(failed.is_empty(), "{} graphs failed; the first:\n{}", failed.len(), failed[0]);
}
