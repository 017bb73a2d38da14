//! What each family of specs reads, writes and computes.
//!
//! Every function computes a dense result in words; [`writes`] says where its elements belong in the output's window.
//! Operands are the words of their windows, checked by [`reads`] beforehand.

pub(crate) mod blocks;
pub(crate) mod conv;
mod elementwise;
mod matmul;
mod matmul_any;
pub(crate) mod movement;
mod order;
pub(crate) mod pool;
mod product;
mod reduce;
pub(crate) mod rows;
pub(crate) mod scatter;
mod unpack;

use bayplan_compile::device_size;
use bayplan_compile::host_node::Memo;
use bayplan_graph::DType;
use bayplan_shaders::{Chain, HostSpec, Operand, Others, Repr, Spec, Target, block_words};

use crate::memory::words_of;
use crate::view::{View, contiguous, elements};

/// For each of a spec's operands, what it touches (several views where they lie apart).
pub(crate) fn reads(spec: &Spec, target: &Target) -> Vec<Vec<View>> {
    let f32s = |count: u64| vec![View::row(DType::F32, count)];
    match spec {
        Spec::Elementwise(s) => s.chain.operands.iter().map(|o| vec![operand(o, &s.shape)]).collect(),
        Spec::MatMul(s) => {
            let dtype = accumulated(&s.epilogue);
            let of = |inner: [u64; 2], strides: &[u64]| {
                vec![View::strided(dtype, &[&s.batch[..], &inner].concat(), strides)]
            };
            let own = vec![of([s.m, s.k], &s.a_strides), of([s.k, s.n], &s.b_strides)];
            with_epilogue(own, &s.epilogue, &[&s.batch[..], &[s.m, s.n]].concat())
        }
        Spec::Conv(s) => {
            let x = f32s(elements(&[s.batch, s.channels, s.input[0], s.input[1]]));
            let shape = [s.batch, s.filters, s.output[0], s.output[1]];
            with_epilogue(vec![x, conv::weights(s, target)], &s.epilogue, &shape)
        }
        Spec::Pool(s) => vec![f32s(elements(&[s.planes, s.input[0], s.input[1]]))],
        Spec::Reduce(s) => {
            let x = vec![View::row(s.dtype, elements(&[s.outer, s.len, s.inner]))];
            with_epilogue(vec![x], &s.epilogue, &[s.outer, s.inner])
        }
        Spec::Softmax(s) => vec![vec![View::row(s.dtype, elements(&[s.outer, s.len, s.inner]))]],
        Spec::Normalize(s) => {
            with_epilogue(vec![f32s(elements(&[s.rows, s.len]))], &s.epilogue, &[s.rows, s.len])
        }
        Spec::Copy(s) => {
            let (shape, strides) = (s.shape.clone(), s.x_strides.clone());
            vec![vec![View { dtype: s.dtype, base: s.x_base, shape, strides }]]
        }
        Spec::Gather(s) => vec![
            vec![View::row(s.dtype, elements(&[s.outer, s.rows.end.saturating_sub(s.rows.start), s.inner]))],
            vec![View::row(s.index, s.count)],
        ],
        Spec::GatherNd(s) => vec![
            vec![View::row(s.dtype, elements(&[s.batch, elements(&s.dims), s.inner]))],
            vec![View::row(s.index, tuples([s.batch, s.count, s.inner], s.each) * s.dims.len() as u64)],
        ],
        Spec::Scatter(s) => {
            let tuples = tuples([s.batch, s.count, s.inner], s.each);
            let own = [
                vec![View::row(s.dtype, elements(&[s.batch, s.count, s.inner]))],
                vec![View::row(s.index, tuples * s.dims.len() as u64)],
            ];
            let before =
                s.join.map(|_| vec![View::row(s.dtype, elements(&[s.batch, elements(&s.dims), s.inner]))]);
            own.into_iter().chain(before).collect()
        }
        Spec::Cumulate(s) => vec![vec![View::row(s.dtype, elements(&[s.outer, s.len, s.inner]))]],
        Spec::Rank(s) => vec![vec![View::row(s.dtype, elements(&[s.outer, s.len, s.inner]))]],
        Spec::Range(s) => vec![vec![View::row(s.dtype, 1)], vec![View::row(s.dtype, 1)]],
        Spec::Unpack(s) => vec![vec![unpack::reads(s)]],
        Spec::BlockMatMul(s) => {
            let a = vec![View::strided(DType::F32, &[s.m, s.k], &s.a_strides)];
            let b = vec![View::row(DType::U32, block_words(s.format, s.n * s.k))];
            with_epilogue(vec![a, b], &s.epilogue, &[s.m, s.n])
        }
        Spec::BlockGather(s) => vec![
            vec![View::row(DType::U32, block_words(s.format, s.axis * s.inner))],
            vec![View::row(s.index, s.count)],
        ],
        Spec::Host(s) => {
            s.operands.iter().map(|(dtype, shape)| vec![View::row(*dtype, elements(shape))]).collect()
        }
    }
}

/// The type of what a kernel gives to its epilogue.
pub(crate) fn accumulated(epilogue: &Chain) -> DType {
    epilogue.operands.first().map_or(epilogue.result, |own| own.dtype)
}

/// Tuples of indices for rows, or for each element of them.
fn tuples([batch, count, inner]: [u64; 3], each: bool) -> u64 {
    batch * count * if each { inner } else { 1 }
}

/// The operands of an epilogue after a kernel's own.
fn with_epilogue(mut own: Vec<Vec<View>>, epilogue: &Chain, shape: &[u64]) -> Vec<Vec<View>> {
    let more = epilogue.operands.iter().skip(1);
    own.extend(more.map(|own| vec![operand(own, shape)]));
    own
}

/// What a chain reads of an operand.
fn operand(operand: &Operand, shape: &[u64]) -> View {
    View { base: operand.base, ..View::strided(operand.dtype, shape, &operand.strides) }
}

/// The elements that a spec writes, in the order of its result.
pub(crate) fn writes(spec: &Spec) -> View {
    let (dtype, shape) = match spec {
        Spec::Elementwise(s) => (s.chain.result, s.shape.clone()),
        Spec::MatMul(s) => (s.epilogue.result, [&s.batch[..], &[s.m, s.n]].concat()),
        Spec::Conv(s) => (s.epilogue.result, vec![s.batch, s.filters, s.output[0], s.output[1]]),
        Spec::Pool(s) => (s.kind.result(s.dtype), vec![s.planes, s.output[0], s.output[1]]),
        Spec::Reduce(s) => (s.epilogue.result, vec![s.outer, s.inner]),
        Spec::Softmax(s) => (s.dtype, vec![s.outer, s.len, s.inner]),
        Spec::Normalize(s) => (s.epilogue.result, vec![s.rows, s.len]),
        Spec::Copy(s) => {
            let mut view = View::strided(s.dtype, &s.shape, &s.out_strides);
            view.base = s.out_base;
            return view;
        }
        Spec::Gather(s) => (s.dtype, vec![s.outer, s.count, s.inner]),
        Spec::GatherNd(s) => (s.dtype, vec![s.batch, s.count, s.inner]),
        Spec::Scatter(s) => (s.dtype, vec![s.batch, elements(&s.dims), s.inner]),
        Spec::Cumulate(s) => (s.dtype, vec![s.outer, s.len, s.inner]),
        Spec::Rank(s) => (DType::I32, vec![s.outer, s.len, s.inner]),
        Spec::Range(s) => (s.dtype, vec![s.count]),
        Spec::Unpack(s) => (s.dtype, vec![s.elements()]),
        Spec::BlockMatMul(s) => (s.epilogue.result, vec![s.m, s.n]),
        Spec::BlockGather(s) => (DType::F32, vec![s.count, s.inner]),
        Spec::Host(s) => s.made().cloned().unwrap_or((DType::I64, vec![0])),
    };
    match spec.chain().and_then(|chain| chain.layout.as_ref()) {
        Some(layout) => View { base: layout.base, ..View::strided(dtype, &layout.shape, &layout.strides) },
        None => View::strided(dtype, &shape, &contiguous(&shape)),
    }
}

/// Which operand the result overwrites.
pub(crate) fn in_place(spec: &Spec) -> Option<u32> {
    match spec {
        Spec::Elementwise(s) => s.in_place,
        Spec::Softmax(s) => s.in_place.then_some(0),
        Spec::Normalize(s) => s.in_place.then_some(0),
        _ => None,
    }
}

/// Whether some of what was there before stays.
pub(crate) fn keeps(spec: &Spec) -> bool {
    match spec {
        Spec::Gather(s) => s.others == Others::Keep,
        Spec::Scatter(s) => s.join.is_none(),
        _ => false,
    }
}

/// Computes a spec over the words of its operands; the result's words, dense. `before` is what the output's window holds.
pub(crate) fn compute(
    spec: &Spec,
    operands: &[&[u32]],
    before: &[u32],
    target: &Target,
) -> Result<Vec<u32>, String> {
    let view = writes(spec);
    let words = elements(&view.shape) as usize * view.words();
    let mut out = if keeps(spec) { before[..words].to_vec() } else { vec![0; words] };
    if words > 0 {
        match spec {
            Spec::Elementwise(s) => elementwise::compute(s, operands, &mut out),
            Spec::MatMul(s) if Repr::of(accumulated(&s.epilogue)) == Some(Repr::F32) => {
                matmul::compute(s, operands, &mut out)
            }
            Spec::MatMul(s) => matmul_any::compute(s, operands, &mut out),
            Spec::Conv(s) => conv::compute(s, operands, target, &mut out),
            Spec::Pool(s) => pool::compute(s, operands, &mut out),
            Spec::Reduce(s) => reduce::compute(s, operands, &mut out),
            Spec::Softmax(s) => rows::softmax(s, operands, &mut out),
            Spec::Normalize(s) => rows::normalize(s, operands, &mut out),
            Spec::Copy(s) => movement::copy(s, operands, &mut out),
            Spec::Gather(s) => movement::gather(s, operands, &mut out),
            Spec::GatherNd(s) => movement::gather_nd(s, operands, &mut out),
            Spec::Scatter(s) => scatter::compute(s, operands, &mut out),
            Spec::Cumulate(s) => order::cumulate(s, operands, &mut out),
            Spec::Rank(s) => order::rank(s, operands, &mut out),
            Spec::Range(s) => movement::range(s, operands, &mut out),
            Spec::Unpack(s) => unpack::compute(s, operands, &mut out),
            Spec::BlockMatMul(s) => blocks::matmul(s, operands, &mut out),
            Spec::BlockGather(s) => blocks::gather(s, operands, &mut out),
            Spec::Host(s) => host(s, operands, &mut out),
        }?;
    }
    Ok(out)
}

/// What the host computes on devices too.
fn host(spec: &HostSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let bytes = |(words, (dtype, shape)): (&&[u32], &(DType, Vec<u64>))| {
        let len = (elements(shape) * device_size(*dtype)) as usize;
        let own = words.get(..len / 4).ok_or("an operand leaves its window")?;
        Ok(own.iter().flat_map(|word| word.to_le_bytes()).collect())
    };
    let operands: Vec<Vec<u8>> =
        operands.iter().zip(&spec.operands).map(bytes).collect::<Result<_, String>>()?;
    let made = Memo::default().evaluate(spec, operands)?;
    out.iter_mut().zip(words_of(&made)).for_each(|(out, word)| *out = word);
    Ok(())
}

/// An epilogue over a result's shape; `own` is the number of the kernel's own operands.
pub(crate) fn epilogue<'a>(
    chain: &'a Chain,
    shape: &[u64],
    operands: &[&'a [u32]],
    own: usize,
) -> Result<crate::chain::Applied<'a>, String> {
    let more = operands.iter().skip(own).map(|words| Some(*words));
    crate::chain::Applied::new(chain, shape, std::iter::once(None).chain(more))
}
