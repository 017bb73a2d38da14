//! Copies, gathers and ranges: every word where it belongs.

mod common;

use bayplan_graph::DType;
use bayplan_shaders::{CopySpec, GatherNdSpec, GatherSpec, Others, RangeSpec, Spec};
use common::{POISON, Random, run, targets, words, words64};

fn copied(spec: &CopySpec, x: &[u32], words: usize, out_words: usize) -> Vec<u32> {
    let mut out = vec![POISON; out_words];
    let count: u64 = spec.shape.iter().product();
    for i in 0..count {
        let mut rest = i;
        let (mut from, mut to) = (spec.x_base as i64, spec.out_base as i64);
        for (d, &size) in spec.shape.iter().enumerate().rev() {
            from += (rest % size) as i64 * spec.x_strides[d];
            to += (rest % size * spec.out_strides[d]) as i64;
            rest /= size;
        }
        for w in 0..words {
            out[to as usize * words + w] = x[from as usize * words + w];
        }
    }
    out
}

fn copy(
    shape: &[u64],
    x_base: u64,
    x_strides: &[i64],
    out_base: u64,
    out_strides: &[u64],
    x_len: u64,
    out_len: u64,
) {
    for (dtype, width) in [(DType::F32, 1), (DType::I64, 2)] {
        let spec = CopySpec {
            shape: shape.to_vec(),
            dtype,
            x_base,
            x_strides: x_strides.to_vec(),
            out_base,
            out_strides: out_strides.to_vec(),
        };
        let x: Vec<u32> = (0..x_len as u32 * width as u32).map(|i| i + 1).collect();
        let out_words = out_len as usize * width;
        let want = copied(&spec, &x, width, out_words);
        for target in targets() {
            let got =
                run(&Spec::Copy(spec.clone()), &target, std::slice::from_ref(&x), out_words as u64, None);
            assert_eq!(got, want, "{} {spec:?}", target.name);
        }
    }
}

#[test]
fn copies() {
    // Contiguous, of lengths around multiples of 4.
    for n in [1, 3, 4, 5, 64, 1023] {
        copy(&[n], 0, &[1], 0, &[1], n, n);
    }
    // Parts of a concatenation, aligned and not, in the middle of the result.
    copy(&[3, 8], 0, &[8, 1], 4, &[20, 1], 24, 60);
    copy(&[3, 7], 0, &[7, 1], 5, &[20, 1], 21, 60);
    // Transposes.
    copy(&[8, 12], 0, &[1, 8], 0, &[12, 1], 96, 96);
    copy(&[5, 7], 0, &[1, 5], 0, &[7, 1], 35, 35);
    copy(&[2, 3, 4, 5], 0, &[60, 5, 15, 1], 0, &[60, 20, 5, 1], 120, 120);
    copy(&[12, 8], 0, &[8, 1], 0, &[1, 12], 96, 96);
    // Those in tiles, of a whole line and of less: several of them, more than a workgroup's, from inside of an operand into the
    // middle of a result, between other dimensions.
    copy(&[64, 144], 0, &[1, 64], 0, &[144, 1], 64 * 144, 64 * 144);
    copy(&[32, 20], 0, &[20, 1], 0, &[1, 32], 640, 640);
    copy(&[16, 8], 4, &[1, 20], 12, &[24, 1], 180, 400);
    copy(&[3, 20, 2, 12], 0, &[480, 1, 240, 20], 0, &[480, 24, 12, 1], 1440, 1440);
    // Which begin between vec4s, or whose rows do.
    copy(&[16, 8], 2, &[1, 16], 0, &[8, 1], 130, 128);
    copy(&[16, 8], 0, &[1, 18], 0, &[8, 1], 160, 128);
    // A reversed slice, a strided one, an expansion.
    copy(&[4, 6], 23, &[-6, -1], 0, &[6, 1], 24, 24);
    copy(&[5, 3], 1, &[14, 2], 0, &[3, 1], 70, 15);
    copy(&[3, 4], 0, &[0, 1], 0, &[4, 1], 4, 12);
    copy(&[4, 3], 0, &[1, 0], 0, &[3, 1], 4, 12);
    // Eight dimensions that do not merge.
    let x = [1, 2, 4, 8, 16, 32, 64, 128];
    copy(&[2; 8], 0, &x, 0, &[128, 64, 32, 16, 8, 4, 2, 1], 256, 256);
}

#[test]
fn gathers() {
    for (outer, axis, count, inner) in [(1, 10, 7, 1), (3, 5, 4, 8), (2, 6, 5, 3), (1, 100, 9, 64)] {
        let mut random = Random::new(axis + inner);
        for (dtype, width) in [(DType::F32, 1_u64), (DType::I64, 2)] {
            let x: Vec<u32> = (0..(outer * axis * inner * width) as u32).map(|i| i + 1).collect();
            let mut indices: Vec<i64> =
                (0..count).map(|_| random.below(2 * axis) as i64 - axis as i64).collect();
            indices[1] = axis as i64;
            indices[2] = -(axis as i64) - 1;
            let mut want = Vec::new();
            for o in 0..outer {
                for &k in &indices {
                    let k = if k < 0 { k + axis as i64 } else { k };
                    for w in 0..inner * width {
                        let inside = (0..axis as i64).contains(&k);
                        let at = (o * axis + k.max(0) as u64) * inner * width + w;
                        want.push(if inside { x[at as usize] } else { 0 });
                    }
                }
            }
            let narrow = indices.iter().map(|v| *v as u32).collect();
            for (index, stored) in [(DType::I64, words64(&indices)), (DType::I32, narrow)] {
                let spec = Spec::Gather(GatherSpec {
                    dtype,
                    index,
                    outer,
                    axis,
                    count,
                    inner,
                    rows: 0..axis,
                    others: Others::Zero,
                });
                for target in targets() {
                    let got = run(&spec, &target, &[x.clone(), stored.clone()], want.len() as u64, None);
                    assert_eq!(got, want, "{} {spec:?}", target.name);
                }
            }
        }
    }
}

#[test]
fn far_indices_read_as_zero() {
    let spec = Spec::Gather(GatherSpec {
        dtype: DType::F32,
        index: DType::I64,
        outer: 1,
        axis: 4,
        count: 4,
        inner: 1,
        rows: 0..4,
        others: Others::Zero,
    });
    let indices = words64(&[1 << 32, -(1 << 32) - 1, 3, (1 << 33) + 2]);
    for target in targets() {
        assert_eq!(run(&spec, &target, &[vec![5, 6, 7, 8], indices.clone()], 4, None), [0, 0, 8, 0]);
    }
}

#[test]
fn far_tuples_read_as_zero() {
    let (dims, count) = (vec![4, 2], 5);
    let spec = Spec::GatherNd(GatherNdSpec {
        dtype: DType::F32,
        index: DType::I64,
        batch: 1,
        count,
        dims,
        inner: 1,
        each: false,
    });
    let tuples = words64(&[1, 1, 1 << 32, 0, -4, -2, 0, (1 << 32) + 1, i64::MIN, i64::MAX]);
    for target in targets() {
        let x = (5..13).collect();
        assert_eq!(
            run(&spec, &target, &[x, tuples.clone()], count, None),
            [8, 0, 5, 0, 0],
            "{}",
            target.name
        );
    }
}

#[test]
fn gathers_by_tuples() {
    for (batch, count, dims, inner) in [(1, 6, vec![4, 5], 3), (2, 3, vec![7], 4), (2, 4, vec![2, 3, 4], 1)] {
        let mut random = Random::new(inner + count);
        let block: u64 = dims.iter().product();
        let x: Vec<u32> = (0..(batch * block * inner) as u32).map(|i| i + 1).collect();
        let (mut indices, mut want) = (Vec::new(), Vec::new());
        for b in 0..batch {
            for _ in 0..count {
                let mut at = 0;
                for &d in &dims {
                    let k = random.below(d);
                    indices.push(if random.below(2) == 0 { k as i64 } else { k as i64 - d as i64 });
                    at = at * d + k;
                }
                want.extend((0..inner).map(|w| x[((b * block + at) * inner + w) as usize]));
            }
        }
        let spec = Spec::GatherNd(GatherNdSpec {
            dtype: DType::I32,
            index: DType::I64,
            batch,
            count,
            dims,
            inner,
            each: false,
        });
        for target in targets() {
            let got = run(&spec, &target, &[x.clone(), words64(&indices)], want.len() as u64, None);
            assert_eq!(got, want, "{} {spec:?}", target.name);
        }
    }
}

#[test]
fn ranges() {
    for target in targets() {
        let spec = Spec::Range(RangeSpec { dtype: DType::I64, count: 300 });
        let want: Vec<i64> = (0..300).map(|i| (1 << 40) - 3 * i).collect();
        assert_eq!(run(&spec, &target, &[words64(&[1 << 40]), words64(&[-3])], 600, None), words64(&want));
        let spec = Spec::Range(RangeSpec { dtype: DType::F32, count: 5 });
        let got = run(&spec, &target, &[words(&[1.0]), words(&[0.5])], 5, None);
        assert_eq!(got, words(&[1.0, 1.5, 2.0, 2.5, 3.0]));
    }
}

#[test]
fn gathers_from_windows_of_a_table() {
    // The windows in an order of their own, so that later ones come before and after what is there already.
    const WINDOWS: [std::ops::Range<u64>; 4] = [5..9, 0..3, 9..20, 3..5];
    for (outer, inner, dtype, width) in [(1, 4, DType::F32, 1), (1, 3, DType::I64, 2), (3, 1, DType::F32, 1)]
    {
        let axis = 20_u64;
        let table: Vec<u32> = (0..(outer * axis * inner * width) as u32).map(|i| i + 1).collect();
        let indices =
            [0, 19, -1, -20, 20, -21, 4, 5, 8, 9, 1 << 32, (1 << 32) + 5, -(1 << 32), i64::MIN, i64::MAX, 3];
        let row = (inner * width) as usize;
        let mut want = Vec::new();
        for o in 0..outer {
            for k in indices {
                let k = if k < 0 { k + axis as i64 } else { k };
                let inside = (0..axis as i64).contains(&k);
                let at = (o * axis + if inside { k as u64 } else { 0 }) as usize * row;
                want.extend((0..row).map(|w| if inside { table[at + w] } else { 0 }));
            }
        }
        for target in targets() {
            let mut out = vec![POISON; want.len()];
            for (n, rows) in WINDOWS.into_iter().enumerate() {
                let others = if n == 0 { Others::Zero } else { Others::Keep };
                let held = rows.end - rows.start;
                let window: Vec<u32> = (0..outer)
                    .flat_map(|o| {
                        let at = ((o * axis + rows.start) as usize) * row;
                        table[at..at + held as usize * row].to_vec()
                    })
                    .collect();
                let (count, index) = (indices.len() as u64, DType::I64);
                let spec = GatherSpec { dtype, index, outer, axis, count, inner, rows, others };
                let operands = [window, words64(&indices), out.clone()];
                // What is there before is the result of the windows so far.
                let before = (others == Others::Keep).then_some(2);
                out = run(&Spec::Gather(spec), &target, &operands, want.len() as u64, before);
            }
            assert_eq!(out, want, "{} {dtype} {outer}x{axis}x{inner}", target.name);
        }
    }
}
