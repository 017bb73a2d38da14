//! Elements with indices of their own, updates put and joined, running results, places in order: against plain loops.

mod common;

use bayplan_graph::DType;
use bayplan_graph::op::BinaryOp;
use bayplan_shaders::{CumulateSpec, Features, GatherNdSpec, RankSpec, ScatterSpec, Spec, Target};
use common::{Random, cpu, run, targets, within_bound, words, words64};

/// As it is, and without 64-bit integers.
fn devices() -> Vec<Target> {
    let emulated = |t: &Target| Target {
        name: format!("{} without 64-bit integers", t.name),
        features: Features { int64: false, ..t.features },
        ..t.clone()
    };
    let all = targets();
    let without = emulated(&all[0]);
    [all, vec![without]].concat()
}

/// Indices into an axis from either end, some outside.
fn indices(random: &mut Random, count: u64, axis: u64) -> Vec<i64> {
    let one = |random: &mut Random| match random.below(8) {
        0 => [axis as i64, -(axis as i64) - 1, 1 << 32, i64::MIN][random.below(4) as usize],
        _ => random.below(2 * axis) as i64 - axis as i64,
    };
    (0..count).map(|_| one(random)).collect()
}

fn position(index: i64, axis: u64) -> Option<u64> {
    let index = if index < 0 { index.checked_add(axis as i64)? } else { index };
    u64::try_from(index).ok().filter(|&at| at < axis)
}

#[test]
fn gathers_by_element() {
    for (batch, count, axis, inner, dtype, width) in
        [(1, 5, 7, 3, DType::F32, 1), (2, 4, 3, 5, DType::I64, 2), (3, 2, 4, 4, DType::I32, 1)]
    {
        let mut random = Random::new(count * axis);
        let x: Vec<u32> = (0..(batch * axis * inner * width) as u32).map(|i| i + 1).collect();
        let list = indices(&mut random, batch * count * inner, axis);
        let mut want = Vec::new();
        for (e, &index) in (0..).zip(&list) {
            let (b, c) = (e / (count * inner), e % inner);
            let at = position(index, axis).map(|at| (((b * axis + at) * inner + c) * width) as usize);
            want.extend((0..width as usize).map(|w| at.map_or(0, |at| x[at + w])));
        }
        let (dims, index) = (vec![axis], DType::I64);
        let spec = Spec::GatherNd(GatherNdSpec { dtype, index, batch, count, dims, inner, each: true });
        for target in targets() {
            let got = run(&spec, &target, &[x.clone(), words64(&list)], want.len() as u64, None);
            assert_eq!(got, want, "{} {spec:?}", target.name);
        }
    }
}

/// The element of the result for each element of the updates.
fn places(spec: &ScatterSpec, list: &[i64]) -> Vec<Option<usize>> {
    let tuple = spec.dims.len();
    let one = |e: u64| {
        let (line, c) = (e / spec.inner, e % spec.inner);
        let number = if spec.each { e } else { line } as usize;
        let mut at = line / spec.count;
        for (&index, &axis) in list[number * tuple..][..tuple].iter().zip(&spec.dims) {
            at = at * axis + position(index, axis)?;
        }
        Some((at * spec.inner + c) as usize)
    };
    (0..spec.batch * spec.count * spec.inner).map(one).collect()
}

fn scatters(join: Option<BinaryOp>, dtype: DType) -> Vec<ScatterSpec> {
    let spec = |batch, count, dims: &[u64], inner, each| {
        let (index, dims) = (DType::I64, dims.to_vec());
        ScatterSpec { dtype, index, join, batch, count, dims, inner, each }
    };
    vec![
        spec(1, 6, &[9], 1, false),
        spec(2, 3, &[5], 4, false),
        spec(2, 3, &[5], 3, true),
        spec(1, 4, &[3, 4], 8, false),
        spec(1, 7, &[2, 3, 2], 1, false),
    ]
}

#[test]
fn puts_updates_where_indices_say() {
    for (dtype, width) in [(DType::F32, 1_usize), (DType::I64, 2)] {
        for spec in scatters(None, dtype) {
            let mut random = Random::new(spec.count + spec.inner);
            let block: u64 = spec.dims.iter().product::<u64>() * spec.inner;
            let tuples = spec.batch * spec.count * if spec.each { spec.inner } else { 1 };
            let mut list: Vec<i64> = (0..tuples)
                .flat_map(|_| spec.dims.clone())
                .map(|axis| indices(&mut random, 1, axis)[0])
                .collect();
            // Two that go to one place have no result: the later one goes nowhere.
            loop {
                let all = places(&spec, &list);
                let again = (0..all.len()).find(|&e| all[e].is_some() && all[..e].contains(&all[e]));
                let Some(e) = again else { break };
                let number = if spec.each { e } else { e / spec.inner as usize };
                list[number * spec.dims.len()] = i64::MAX;
            }
            let updates: Vec<u32> =
                (0..(spec.batch * spec.count * spec.inner) as u32 * width as u32).map(|i| i + 1000).collect();
            let before: Vec<u32> = (0..(spec.batch * block) as u32 * width as u32).collect();
            let mut want = before.clone();
            for (e, at) in places(&spec, &list).into_iter().enumerate() {
                if let Some(at) = at {
                    want[at * width..][..width].copy_from_slice(&updates[e * width..][..width]);
                }
            }
            for target in targets() {
                let operands = [updates.clone(), words64(&list), before.clone()];
                let got = run(&Spec::Scatter(spec.clone()), &target, &operands, want.len() as u64, Some(2));
                assert_eq!(got, want, "{} {spec:?}", target.name);
            }
        }
    }
}

#[test]
fn joins_updates_in_their_order() {
    for join in [BinaryOp::Add, BinaryOp::Mul, BinaryOp::Max, BinaryOp::Min] {
        for spec in scatters(Some(join), DType::I64) {
            let mut random = Random::new(spec.count * 3 + spec.inner);
            let tuples = spec.batch * spec.count * if spec.each { spec.inner } else { 1 };
            let list: Vec<i64> = (0..tuples)
                .flat_map(|_| spec.dims.clone())
                .map(|axis| indices(&mut random, 1, axis)[0])
                .collect();
            let mut ints = |n: u64| -> Vec<i64> {
                (0..n).map(|_| (random.next() as i64) >> (random.below(60) as i64)).collect()
            };
            let updates = ints(spec.batch * spec.count * spec.inner);
            let before = ints(spec.batch * spec.dims.iter().product::<u64>() * spec.inner);
            let mut want = before.clone();
            for (e, at) in places(&spec, &list).into_iter().enumerate() {
                if let Some(at) = at {
                    want[at] = match join {
                        BinaryOp::Add => want[at].wrapping_add(updates[e]),
                        BinaryOp::Mul => want[at].wrapping_mul(updates[e]),
                        BinaryOp::Max => want[at].max(updates[e]),
                        _ => want[at].min(updates[e]),
                    };
                }
            }
            let operands = [words64(&updates), words64(&list), words64(&before)];
            for target in devices() {
                let got = run(&Spec::Scatter(spec.clone()), &target, &operands, 2 * want.len() as u64, None);
                assert_eq!(got, words64(&want), "{} {spec:?}", target.name);
            }
        }
    }
}

/// Every update goes to the first element, more of them than a CPU driver's loop has passes.
#[test]
fn joins_more_updates_than_loops_have_passes() {
    let count = 70_000;
    let spec = ScatterSpec {
        dtype: DType::F32,
        index: DType::I32,
        join: Some(BinaryOp::Add),
        batch: 1,
        count,
        dims: vec![2],
        inner: 1,
        each: false,
    };
    let updates = Random::new(5).floats(count);
    let terms = || updates.iter().map(|&v| f64::from(v));
    let (want, size) = (terms().sum::<f64>() + 1.0, terms().map(f64::abs).sum::<f64>() + 1.0);
    let operands = [words(&updates), vec![0; count as usize], words(&[1.0, 2.0])];
    within_bound("long", &Spec::Scatter(spec), &cpu(), &operands, &[want, 2.0], &[size, 2.0]);
}

#[test]
fn running_results() {
    for (outer, len, inner) in [(1, 1, 1), (3, 7, 1), (2, 5, 3), (1, 70_001, 1)] {
        for (exclusive, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut random = Random::new(len);
            let x: Vec<i64> = (0..outer * len * inner).map(|_| random.next() as i64 >> 20).collect();
            let count = x.len();
            for op in [BinaryOp::Add, BinaryOp::Mul] {
                let mut want = vec![0; count];
                for line in 0..outer * inner {
                    let mut all = i64::from(op == BinaryOp::Mul);
                    for j in 0..len {
                        let j = if reverse { len - 1 - j } else { j };
                        let at = ((line / inner * len + j) * inner + line % inner) as usize;
                        let next = if op == BinaryOp::Add {
                            all.wrapping_add(x[at])
                        } else {
                            all.wrapping_mul(x[at])
                        };
                        want[at] = if exclusive { all } else { next };
                        all = next;
                    }
                }
                let spec = CumulateSpec { op, dtype: DType::I64, outer, len, inner, exclusive, reverse };
                let spec = Spec::Cumulate(spec);
                for target in devices() {
                    let got = run(&spec, &target, &[words64(&x)], 2 * count as u64, None);
                    assert_eq!(got, words64(&want), "{} {spec:?}", target.name);
                }
            }
        }
    }
}

#[test]
fn running_sums_of_floats_stay_within_their_bound() {
    let (len, op) = (3000, BinaryOp::Add);
    let x = Random::new(9).floats(len);
    let (mut all, mut size) = (0.0, 0.0);
    let (mut want, mut sizes) = (Vec::new(), Vec::new());
    for v in x.iter().map(|&v| f64::from(v)) {
        (all, size) = (all + v, size + v.abs());
        want.push(all);
        sizes.push(size);
    }
    let (exclusive, reverse) = (false, false);
    let spec = CumulateSpec { op, dtype: DType::F32, outer: 1, len, inner: 1, exclusive, reverse };
    for target in targets() {
        within_bound("sums", &Spec::Cumulate(spec.clone()), &target, &[words(&x)], &want, &sizes);
    }
}

/// The places of a line's elements, by an order that says which of two comes first.
fn ranked(keys: &[i128], [outer, len, inner]: [u64; 3], largest: bool) -> Vec<u32> {
    let mut out = vec![0; keys.len()];
    for line in 0..outer * inner {
        let at = |j: u64| ((line / inner * len + j) * inner + line % inner) as usize;
        for j in 0..len {
            let before = (0..len).filter(|&i| {
                let (other, own) = (keys[at(i)], keys[at(j)]);
                if other == own { i < j } else { (other > own) == largest }
            });
            out[at(j)] = before.count() as u32;
        }
    }
    out
}

#[test]
fn places_of_integers() {
    for dtype in [DType::I64, DType::U64] {
        for shape in [[1, 9, 1], [2, 17, 3], [3, 1, 2]] {
            let mut random = Random::new(shape[1]);
            let x: Vec<i64> = (0..shape.iter().product())
                .map(|_| [i64::MIN, -1, 0, 1, 1 << 32, (1 << 32) + 1, i64::MAX][random.below(7) as usize])
                .collect();
            let keys: Vec<i128> = x
                .iter()
                .map(|&v| if dtype == DType::U64 { i128::from(v as u64) } else { i128::from(v) })
                .collect();
            let [outer, len, inner] = shape;
            for largest in [false, true] {
                let spec = Spec::Rank(RankSpec { dtype, outer, len, inner, largest });
                for target in devices() {
                    let got = run(&spec, &target, &[words64(&x)], x.len() as u64, None);
                    assert_eq!(got, ranked(&keys, shape, largest), "{} {spec:?}", target.name);
                }
            }
        }
    }
}

#[test]
fn places_of_floats() {
    let nan = f32::NAN;
    let special =
        [1.0, -1.0, 0.0, -0.0, nan, -nan, f32::INFINITY, f32::NEG_INFINITY, 1e-40, -1e-40, 1.0, nan];
    let mut random = Random::new(3);
    let line: Vec<f32> = special.into_iter().chain((0..60).map(|_| random.float())).collect();
    let key = |v: f32| match v {
        _ if v.is_nan() => i128::MAX,
        _ if v < 0.0 => -i128::from(v.abs().to_bits()),
        _ => i128::from(v.abs().to_bits()),
    };
    let keys: Vec<i128> = line.iter().map(|&v| key(v)).collect();
    let len = line.len() as u64;
    for largest in [false, true] {
        let spec = Spec::Rank(RankSpec { dtype: DType::F32, outer: 1, len, inner: 1, largest });
        for target in targets() {
            let got = run(&spec, &target, &[words(&line)], len, None);
            assert_eq!(got, ranked(&keys, [1, len, 1], largest), "{} {spec:?}", target.name);
        }
    }
}
