//! One dispatch's exact results, with how far a device's may lie from them.
//!
//! Operands are taken as exact. Floats are computed in double precision without rounding between; the error of a result is the
//! one that `bayplan-shaders` states for the kernel, carried through the steps of its chain.

mod families;
mod scalar;

use bayplan_graph::DType;
use bayplan_shaders::{
    Approx, Arg, Chain, MatMulSpec, Spec, StepOp, Target, error_bound, rounded_error, step_error,
};

use self::families::Exact;
use self::scalar::Scalar;
use crate::chain::{from, repr};
use crate::column::Column;
use crate::view::{Merged, View, elements, signed};
use crate::work::{self, conv::unpacked};

/// What a dispatch should give.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// Element type.
    pub dtype: DType,
    /// For each element written, the index of its first word in the output's window.
    pub places: Vec<usize>,
    /// The host's results for these elements, as they lie in words.
    pub words: Vec<u32>,
    /// For each of these elements its exact value, and the greatest distance of a device's. Where the error is 0, integers
    /// must have the bits of `words` (as floats, large ones are rounded).
    pub approx: Vec<Approx>,
}

/// Evaluates a spec over the words of its operands' windows, in the spec's order; one that the result overwrites is given as it
/// was before. `target` is what the program was compiled for.
///
/// # Errors
/// The operands are shorter than the spec says, or the spec is not sound.
pub fn evaluate(spec: &Spec, target: &Target, operands: &[&[u32]]) -> Result<Evaluated, String> {
    let reads = work::reads(spec, target);
    if reads.len() != operands.len() {
        return Err(format!("{} operands are given of {}", operands.len(), reads.len()));
    }
    for (number, (views, words)) in reads.iter().zip(operands).enumerate() {
        if views.iter().any(|view| view.end().is_none_or(|end| end > words.len())) {
            return Err(format!("operand {number} is longer than the {} words given", words.len()));
        }
    }
    let view = writes_of(spec);
    let count = elements(&view.shape) as usize;
    // Results that stay as they were are not among those evaluated.
    let words = work::compute(spec, operands, &vec![0; count * view.words()], target)?;
    let made = results(spec, target, operands, &words)?;
    let mut evaluated = Evaluated { dtype: view.dtype, places: places(&view), words, approx: made };
    let kept = match spec {
        Spec::Gather(gather) => Some(work::movement::kept(gather, operands[1])?),
        Spec::Scatter(scatter) => Some(work::scatter::kept(scatter, operands[1])?),
        _ => None,
    };
    if let Some(kept) = kept {
        evaluated.drop(&kept, view.words());
    }
    Ok(evaluated)
}

impl Evaluated {
    /// Leaves out elements.
    fn drop(&mut self, left_out: &[bool], wide: usize) {
        let stays: Vec<bool> = left_out.iter().map(|out| !out).collect();
        let mut each = stays.iter();
        self.places.retain(|_| *each.next().unwrap_or(&true));
        let mut each = stays.iter();
        self.approx.retain(|_| *each.next().unwrap_or(&true));
        let mut each = stays.iter().flat_map(|stays| std::iter::repeat_n(stays, wide));
        self.words.retain(|_| *each.next().unwrap_or(&true));
    }
}

fn writes_of(spec: &Spec) -> View {
    work::writes(spec)
}

/// The first word of each element of a view.
fn places(view: &View) -> Vec<usize> {
    let merged = Merged::new(&view.shape, std::slice::from_ref(&view.strides));
    let step = merged.strides[0].last().copied().unwrap_or(1);
    let mut all = Vec::new();
    merged.segments(0, merged.count(), |at, count| {
        let first = view.base as isize + at[0];
        all.extend((0..count as isize).map(|i| (first + i * step) as usize * view.words()));
    });
    all
}

/// The exact results with their errors.
fn results(spec: &Spec, target: &Target, operands: &[&[u32]], words: &[u32]) -> Result<Vec<Approx>, String> {
    let floats = |exact: Vec<Exact>, own: usize, chain: &Chain, shape: &[u64]| {
        let bound = error_bound(spec, target);
        let start = exact.into_iter().map(|(value, magnitude)| {
            let error = bound.of(value.as_f64(), magnitude);
            Value { exact: value, error }
                .rounded(chain.operands.first().map_or(chain.result, |own| own.dtype))
        });
        let mut sources = vec![Some(start.collect())];
        sources.resize(1 + operands.len() - own, None);
        let words = std::iter::once(&[][..]).chain(operands[own..].iter().copied());
        Chained { chain, target, shape }.apply(words, sources)
    };
    let view = writes_of(spec);
    match spec {
        Spec::Elementwise(s) => {
            let sources = vec![None; operands.len()];
            Chained { chain: &s.chain, target, shape: &s.shape }.apply(operands.iter().copied(), sources)
        }
        Spec::MatMul(s) => {
            let shape = [&s.batch[..], &[s.m, s.n]].concat();
            let dtype = work::accumulated(&s.epilogue);
            let all = |words: &[u32]| {
                let words_each = repr(dtype)?.words();
                column(dtype, &[words.len() as u64 / words_each], None, words)
            };
            floats(families::matmul(s, &all(operands[0])?, &all(operands[1])?), 2, &s.epilogue, &shape)
        }
        Spec::BlockMatMul(s) => {
            let a = column(DType::F32, &[operands[0].len() as u64], None, operands[0])?;
            let (mut b, blocks) = (Vec::new(), s.n * s.k / s.format.elements() as u64);
            work::blocks::unpacked(s.format, operands[1], 0, blocks as usize, &mut b);
            let b: Vec<Scalar> = b.into_iter().map(|v| Scalar::Float(v.into())).collect();
            let spec = MatMulSpec {
                batch: Vec::new(),
                m: s.m,
                n: s.n,
                k: s.k,
                a_strides: s.a_strides.clone(),
                b_strides: vec![1, s.k],
                epilogue: s.epilogue.clone(),
            };
            floats(families::matmul(&spec, &a, &b), 2, &s.epilogue, &[s.m, s.n])
        }
        Spec::Conv(s) => {
            let w = unpacked(s, operands[1], target)?;
            let shape = [s.batch, s.filters, s.output[0], s.output[1]];
            floats(families::conv(s, operands[0], &w), 2, &s.epilogue, &shape)
        }
        Spec::Reduce(s) => {
            let x = column(s.dtype, &[s.outer, s.len, s.inner], None, operands[0])?;
            let exact = families::reduce(s, &x).ok_or("a reduction that does not exist")?;
            floats(exact, 1, &s.epilogue, &[s.outer, s.inner])
        }
        Spec::Normalize(s) => floats(families::normalize(s, operands[0]), 1, &s.epilogue, &[s.rows, s.len]),
        Spec::Pool(s) => Ok(bare(spec, target, s.kind.result(s.dtype), families::pool(s, operands[0]))),
        Spec::Softmax(s) => {
            let x = column(s.dtype, &[s.outer, s.len, s.inner], None, operands[0])?;
            Ok(bare(spec, target, s.dtype, families::softmax(s, &x)))
        }
        Spec::Range(s) => {
            let one = |words: &[u32]| Ok::<_, String>(column(s.dtype, &[1], None, words)?[0]);
            let ends = [one(operands[0])?, one(operands[1])?];
            Ok(bare(spec, target, s.dtype, families::range(s, ends)))
        }
        Spec::Cumulate(s) if s.dtype.is_float() => {
            let x = column(s.dtype, &[s.outer, s.len, s.inner], None, operands[0])?;
            let exact = families::cumulate(s, &x).ok_or("a running result that does not exist")?;
            Ok(bare(spec, target, s.dtype, exact))
        }
        Spec::Scatter(s) if s.dtype.is_float() && s.join.is_some() => {
            let all = |count: u64, words: &[u32]| column(s.dtype, &[count], None, words);
            let updates = all(elements(&[s.batch, s.count, s.inner]), operands[0])?;
            let before = all(elements(&view.shape), operands[2])?;
            let places = work::scatter::places(s, operands[1])?;
            let exact = families::scatter(s, &places, &updates, &before);
            Ok(bare(spec, target, s.dtype, exact.ok_or("updates are not joined so")?))
        }
        Spec::Copy(_)
        | Spec::Gather(_)
        | Spec::GatherNd(_)
        | Spec::Scatter(_)
        | Spec::Cumulate(_)
        | Spec::Rank(_)
        | Spec::Unpack(_)
        | Spec::BlockGather(_)
        | Spec::Host(_) => {
            let all = column(view.dtype, &[elements(&view.shape)], None, words)?;
            Ok(all.into_iter().map(|v| Approx { value: v.as_f64(), error: 0.0 }).collect())
        }
    }
}

/// Results without a chain.
fn bare(spec: &Spec, target: &Target, dtype: DType, exact: Vec<Exact>) -> Vec<Approx> {
    let bound = error_bound(spec, target);
    let one = |(value, magnitude): Exact| {
        let error = bound.of(value.as_f64(), magnitude);
        Value { exact: value, error }.rounded(dtype).approx()
    };
    exact.into_iter().map(one).collect()
}

/// The elements of an operand over a shape, contiguous unless strides are given.
fn column(
    dtype: DType,
    shape: &[u64],
    strides: Option<&[u64]>,
    words: &[u32],
) -> Result<Vec<Scalar>, String> {
    let strides = strides.map_or_else(|| families::dense(shape), signed);
    let merged = Merged::new(shape, &[strides]);
    let step = merged.strides[0].last().copied().unwrap_or(1);
    let runs = |visit: &mut dyn FnMut(isize, usize)| {
        merged.segments(0, merged.count(), |at, count| visit(at[0], count));
    };
    Ok(Scalar::all(&Column::load(dtype, repr(dtype)?, words, runs, step)))
}

/// An exact element and how far the device's may be.
#[derive(Clone, Copy)]
struct Value {
    exact: Scalar,
    error: f64,
}

impl Value {
    /// As read from memory.
    fn stored(exact: Scalar) -> Self {
        let error = if let Scalar::Float(v) = exact { Approx::stored(v).error } else { 0.0 };
        Self { exact, error }
    }

    /// As a narrow floating-point type has it, if it is of one.
    fn rounded(self, dtype: DType) -> Self {
        match self.exact {
            Scalar::Float(v) => Self {
                exact: Scalar::Float(scalar::rounded(v, dtype)),
                error: rounded_error(dtype, v, self.error),
            },
            Scalar::Int(_) => self,
        }
    }

    fn approx(self) -> Approx {
        Approx { value: self.exact.as_f64(), error: self.error }
    }
}

/// A chain over a shape.
struct Chained<'a> {
    chain: &'a Chain,
    target: &'a Target,
    shape: &'a [u64],
}

impl Chained<'_> {
    /// The results; `sources` are the elements of operands that are not in memory.
    fn apply<'w>(
        &self,
        words: impl Iterator<Item = &'w [u32]>,
        mut sources: Vec<Option<Vec<Value>>>,
    ) -> Result<Vec<Approx>, String> {
        if sources.len() != self.chain.operands.len() {
            return Err(format!("{} operands are given of {}", sources.len(), self.chain.operands.len()));
        }
        for ((source, operand), words) in sources.iter_mut().zip(&self.chain.operands).zip(words) {
            if source.is_none() {
                let words = from(words, operand)?;
                let all = column(operand.dtype, self.shape, Some(&operand.strides), words)?;
                *source = Some(all.into_iter().map(Value::stored).collect());
            }
        }
        let operands: Vec<Vec<Value>> = sources.into_iter().flatten().collect();
        let count = elements(self.shape) as usize;
        (0..count).map(|at| self.one(|operand| operands.get(operand)?.get(at).copied())).collect()
    }

    /// One result.
    fn one(&self, operand: impl Fn(usize) -> Option<Value>) -> Result<Approx, String> {
        let mut made: Vec<Value> = Vec::with_capacity(self.chain.steps.len());
        for (number, step) in self.chain.steps.iter().enumerate() {
            let arg = |arg: &Arg| match *arg {
                Arg::Operand(i) => Some((operand(i as usize)?, self.chain.operands.get(i as usize)?.dtype)),
                Arg::Step(i) => Some((*made.get(i as usize)?, self.chain.steps.get(i as usize)?.dtype)),
                Arg::Const(dtype, bits) => {
                    let one = Scalar::all(&Column::splat(repr(dtype).ok()?, bits, 1));
                    Some((Value::stored(one[0]), dtype))
                }
            };
            let args: Option<Vec<(Value, DType)>> = step.args.iter().map(arg).collect();
            let args = args.ok_or_else(|| format!("step {number} reads what is not there"))?;
            // Of a select the values' type counts, not the condition's.
            let from =
                args.get(usize::from(step.op == StepOp::Select)).map_or(step.dtype, |(_, dtype)| *dtype);
            let exact: Vec<Scalar> = args.iter().map(|(value, _)| value.exact).collect();
            let result = scalar::step(step.op, &exact, from, step.dtype);
            let result = result.ok_or_else(|| format!("step {number}: {:?} of {from}", step.op))?;
            let approx: Vec<Approx> = args.iter().map(|(value, _)| value.approx()).collect();
            let error = step_error(self.target, step.op, from, step.dtype, &approx, result.as_f64());
            let exact = match result {
                Scalar::Float(v) => Scalar::Float(scalar::rounded(v, step.dtype)),
                int => int,
            };
            made.push(Value { exact, error });
        }
        let result = made.pop().or_else(|| operand(0));
        result.map(Value::approx).ok_or_else(|| "a chain without steps and operands".into())
    }
}
