//! Attention over blocks of a pool: within the bound on every style of kernel, whatever lies where nobody should look, and each
//! sequence as if it were alone.

mod common;

use bayplan_graph::DType;
use bayplan_shaders::{PagedAttentionSpec, Spec, Target, attention_magnitudes, launch};
use common::{POISON, Random, floats, run, targets, within_bound, words, words64};

/// One of the two kernels each; what is not a CPU driver's is the same text on all.
fn both() -> [Target; 2] {
    let [cpu, _, _, _, small] = targets().try_into().expect("five styles");
    [cpu, small]
}

/// A step: for each sequence the positions of its tokens, and the blocks of its table.
struct Step {
    sequences: Vec<(Vec<i64>, Vec<i64>)>,
    heads: u32,
    kv_heads: u32,
    head: u32,
    block: u32,
    /// Blocks of the pool.
    blocks: u64,
}

impl Step {
    /// Sequences of that many tokens before the step and in it, each with blocks of its own, in no order, and an entry more than
    /// it needs.
    fn of(sequences: &[(i64, i64)], [heads, kv_heads, head, block]: [u32; 4]) -> Self {
        let mut free: Vec<i64> = Vec::new();
        let mut random = Random::new(u64::from(head) + u64::from(block));
        let need = |&(past, new): &(i64, i64)| (past + new).div_euclid(block.into()) + 1;
        let blocks = sequences.iter().map(need).sum::<i64>() + 3;
        for number in 0..blocks {
            free.insert(random.below(free.len() as u64 + 1) as usize, number);
        }
        let each = |own: &(i64, i64)| {
            let table = free.split_off(free.len() - need(own) as usize);
            ((own.0..own.0 + own.1).collect(), table)
        };
        let sequences = sequences.iter().map(each).collect();
        Self { sequences, heads, kv_heads, head, block, blocks: blocks as u64 }
    }

    fn entries(&self) -> usize {
        self.sequences.iter().map(|(_, table)| table.len()).max().unwrap_or(0)
    }

    fn spec(&self) -> PagedAttentionSpec {
        let tokens: usize = self.sequences.iter().map(|(positions, _)| positions.len()).sum();
        let Self { heads, kv_heads, head, block, .. } = *self;
        PagedAttentionSpec {
            dtype: DType::F32,
            index: [DType::I64, DType::I32, DType::I64],
            tokens: tokens as u64,
            heads,
            kv_heads,
            head,
            block,
            scale: 1.0 / (head as f32).sqrt(),
            rows: self.blocks * u64::from(block),
            tables: self.sequences.len() as u64,
            entries: self.entries() as u64,
        }
    }

    /// The rows of the pool that a token sees.
    fn rows(&self, sequence: usize, position: i64) -> Vec<usize> {
        let block = i64::from(self.block);
        let table = &self.sequences[sequence].1;
        let row = |key: i64| {
            let &entry = table.get((key / block) as usize)?;
            let inside = (0..self.blocks as i64).contains(&entry);
            inside.then(|| (entry * block + key % block) as usize)
        };
        (0..=position.min(block * table.len() as i64)).filter_map(row).collect()
    }

    /// Queries, and a pool that holds NaN in every row that no token sees.
    fn floats(&self, random: &mut Random) -> [Vec<f32>; 3] {
        let spec = self.spec();
        let row = u64::from(self.kv_heads * self.head) as usize;
        let mut pools = [(); 2].map(|()| vec![f32::from_bits(POISON); spec.rows as usize * row]);
        for (number, (positions, _)) in self.sequences.iter().enumerate() {
            let last = positions.iter().copied().max().unwrap_or(-1);
            for at in self.rows(number, last) {
                // Shared rows are drawn again.
                for pool in &mut pools {
                    pool[at * row..][..row].copy_from_slice(&random.floats(row as u64));
                }
            }
        }
        let queries = random.floats(spec.tokens * u64::from(self.heads * self.head));
        let [keys, values] = pools;
        [queries.iter().map(|v| v * 6.0).collect(), keys, values]
    }

    fn operands(&self, [queries, keys, values]: &[Vec<f32>; 3]) -> Vec<Vec<u32>> {
        let positions: Vec<i64> = self.sequences.iter().flat_map(|(own, _)| own.clone()).collect();
        let tokens = self.sequences.iter().enumerate();
        let sequences = tokens.flat_map(|(i, (own, _))| vec![i as u32; own.len()]).collect();
        let mut tables = Vec::new();
        for (_, table) in &self.sequences {
            tables.extend(table.iter().copied());
            // What is not used is no block.
            tables.resize(tables.len() + self.entries() - table.len(), -1);
        }
        vec![words(queries), words(keys), words(values), words64(&positions), sequences, words64(&tables)]
    }

    /// The exact results with their magnitudes.
    fn exact(&self, [queries, keys, values]: &[Vec<f32>; 3]) -> [Vec<f64>; 2] {
        let spec = self.spec();
        let (head, row) = (self.head as usize, (self.kv_heads * self.head) as usize);
        let tokens = self.sequences.iter().enumerate();
        let tokens = tokens.flat_map(|(i, (own, _))| own.iter().map(move |&position| (i, position)));
        let (mut all, mut sizes) = (Vec::new(), Vec::new());
        for (token, (sequence, position)) in tokens.enumerate() {
            let rows = self.rows(sequence, position);
            for of in 0..self.heads as usize {
                let query = &queries[(token * self.heads as usize + of) * head..][..head];
                let column = of * self.kv_heads as usize / self.heads as usize * head;
                let line = |pool: &[f32], at: usize| -> Vec<f64> {
                    pool[at * row + column..][..head].iter().map(|&v| v.into()).collect()
                };
                let score = |&at: &usize| {
                    let terms = line(keys, at).into_iter().zip(query).map(|(k, &q)| k * f64::from(q));
                    let terms: Vec<f64> = terms.map(|term| term * f64::from(spec.scale)).collect();
                    (terms.iter().sum::<f64>(), terms.iter().map(|term| term.abs()).sum::<f64>())
                };
                let scores: Vec<(f64, f64)> = rows.iter().map(score).collect();
                let lines: Vec<Vec<f64>> = rows.iter().map(|&at| line(values, at)).collect();
                let top = scores.iter().map(|(s, _)| *s).fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|(s, _)| (s - top).exp()).collect();
                let sum: f64 = weights.iter().sum();
                let mean = |c: usize| {
                    let all: f64 = weights.iter().zip(&lines).map(|(w, line)| w * line[c]).sum();
                    if rows.is_empty() { 0.0 } else { all / sum }
                };
                let own: Vec<f64> = (0..head).map(mean).collect();
                let lines: Vec<&[f64]> = lines.iter().map(Vec::as_slice).collect();
                sizes.extend(attention_magnitudes(&scores, &lines, &own));
                all.extend(own);
            }
        }
        [all, sizes]
    }

    fn check(&self, what: &str, targets: &[Target]) {
        let floats = self.floats(&mut Random::new(9));
        let (spec, operands) = (Spec::PagedAttention(self.spec()), self.operands(&floats));
        let [exact, sizes] = self.exact(&floats);
        for target in targets {
            let worst = within_bound(what, &spec, target, &operands, &exact, &sizes);
            // A bound that said nothing would hold anything.
            assert!(worst > 1e-5 || exact.iter().all(|v| *v == 0.0), "{}: {what}: {worst:e}", target.name);
        }
    }
}

#[test]
fn heads_and_blocks_of_all_sizes() {
    let sizes = [
        [4, 4, 16, 1],
        [4, 2, 32, 8],
        [12, 4, 64, 16],
        [8, 2, 80, 32],
        [8, 1, 128, 16],
        [3, 1, 64, 5],
        [2, 1, 4, 3],
    ];
    // One token after a long past; several sequences; all of a sequence; some with a past, some without.
    let steps: [(&str, &[(i64, i64)]); 4] = [
        ("decode", &[(300, 1)]),
        ("batch", &[(0, 1), (37, 1), (90, 1)]),
        ("prefill", &[(0, 19)]),
        ("chunks", &[(5, 9), (0, 6), (40, 1)]),
    ];
    // SwiftShader takes long to compile what is unrolled: every size there, and every step, but not all of both.
    let few = common::cpu().name.contains("SwiftShader");
    for (number, sizes) in sizes.into_iter().enumerate() {
        for (at, (name, sequences)) in steps.iter().enumerate() {
            if !few || at == number % steps.len() {
                Step::of(sequences, sizes).check(&format!("{name} {sizes:?}"), &both());
            }
        }
    }
}

#[test]
fn more_heads_and_keys_than_registers_hold() {
    Step::of(&[(20, 3)], [32, 1, 64, 16]).check("shared by 32", &both());
    Step::of(&[(20, 3)], [1, 1, 512, 16]).check("of 512 elements", &both());
    Step::of(&[(3000, 2)], [2, 1, 16, 16]).check("long", &both());
}

/// Tables that share blocks, that name none or the same twice, entries of no block; padding, and positions beyond all tables.
#[test]
fn what_is_not_there_is_not_read() {
    let mut step = Step::of(&[(20, 4), (17, 3), (4, 5), (0, 2)], [4, 2, 32, 4]);
    let first = step.sequences[0].1[..4].to_vec();
    step.sequences[1].1[..4].copy_from_slice(&first);
    let far = step.blocks as i64;
    step.sequences[2].1 = vec![first[0], far, -1];
    step.sequences[3].1 = vec![far, i64::MAX, i64::MIN, 1 << 32];
    step.sequences[1].0[1] = -1;
    step.sequences[2].0 = vec![-7, 8, 100, i64::MIN, 2];
    step.check("odd tables", &targets());
    // No entries at all, no table of that number.
    let none = Step { sequences: vec![(vec![0, 3], Vec::new())], ..step };
    none.check("no entries", &both());
    let floats = none.floats(&mut Random::new(3));
    let mut operands = none.operands(&floats);
    operands[4] = vec![u32::MAX, 7];
    for target in both() {
        let got = run(&Spec::PagedAttention(none.spec()), &target, &operands, floats[0].len() as u64, None);
        assert!(got.iter().all(|word| *word == 0), "{}", target.name);
    }
}

/// A sequence's results have the same bits beside others as alone, also where those hold NaNs.
#[test]
fn sequences_are_as_if_alone() {
    let sizes = [6, 2, 32, 4];
    let together = Step::of(&[(9, 11), (3, 2), (30, 1), (0, 14)], sizes);
    let mut floats = together.floats(&mut Random::new(5));
    let row = (together.kv_heads * together.head) as usize;
    for at in together.rows(1, 4) {
        floats[2][at * row..][..row].fill(f32::NAN);
    }
    let operands = together.operands(&floats);
    let of_token = (together.heads * together.head) as usize;
    for target in both() {
        let spec = Spec::PagedAttention(together.spec());
        let all = run(&spec, &target, &operands, floats[0].len() as u64, None);
        let mut first = 0;
        for (number, own) in together.sequences.iter().enumerate() {
            let queries = floats[0][first * of_token..][..own.0.len() * of_token].to_vec();
            let beside = &all[first * of_token..][..own.0.len() * of_token];
            first += own.0.len();
            let alone = Step { sequences: vec![own.clone()], ..together };
            let operands = alone.operands(&[queries, floats[1].clone(), floats[2].clone()]);
            let got = run(&Spec::PagedAttention(alone.spec()), &target, &operands, beside.len() as u64, None);
            let nan = common::floats(&got).iter().all(|v| v.is_nan());
            assert_eq!(nan, number == 1, "sequence {number} on {}", target.name);
            assert!(nan || got == beside, "sequence {number} on {}", target.name);
        }
    }
    assert!(floats.iter().all(|list| !list.is_empty()));
}

/// Narrow floats are rounded once, at the end.
#[test]
fn narrow_floats_are_rounded_at_the_end() {
    let step = Step::of(&[(9, 3)], [2, 1, 16, 4]);
    let all = step
        .floats(&mut Random::new(2))
        .map(|list| list.iter().map(|v| f32::from_bits(v.to_bits() & 0xffff_0000)).collect::<Vec<f32>>());
    let mut spec = step.spec();
    for target in both() {
        let count = all[0].len() as u64;
        let wide = run(&Spec::PagedAttention(spec.clone()), &target, &step.operands(&all), count, None);
        spec.dtype = DType::BF16;
        let narrow = run(&Spec::PagedAttention(spec.clone()), &target, &step.operands(&all), count, None);
        spec.dtype = DType::F32;
        let format = DType::BF16.narrow_float().expect("a narrow type");
        for (wide, narrow) in floats(&wide).into_iter().zip(floats(&narrow)) {
            assert_eq!(format.round(wide.into()), f64::from(narrow), "{}", target.name);
        }
    }
}

#[test]
fn refusals() {
    let spec = Step::of(&[(9, 3)], [4, 2, 16, 4]).spec();
    let refused = |spec: PagedAttentionSpec, target: &Target, text: &str| {
        let e = launch(&Spec::PagedAttention(spec), target).expect_err("no such kernel").to_string();
        assert!(e.contains(text), "{e}");
    };
    for target in targets() {
        refused(PagedAttentionSpec { kv_heads: 3, ..spec.clone() }, &target, "over 3 of keys");
        refused(PagedAttentionSpec { kv_heads: 0, ..spec.clone() }, &target, "over 0 of keys");
        refused(PagedAttentionSpec { head: 6, ..spec.clone() }, &target, "heads of 6 elements");
        refused(PagedAttentionSpec { block: 0, ..spec.clone() }, &target, "blocks of 0 tokens");
        refused(PagedAttentionSpec { dtype: DType::F64, ..spec.clone() }, &target, "attention of f64");
        let index = [DType::F32; 3];
        refused(PagedAttentionSpec { index, ..spec.clone() }, &target, "indices of type f32");
        refused(PagedAttentionSpec { entries: 1 << 30, tables: 1, ..spec.clone() }, &target, "");
    }
    // More keys than a CPU driver's loops go through.
    let long = PagedAttentionSpec { entries: 1 << 18, tables: 1, ..spec };
    refused(long.clone(), &targets()[0], "more passes of a loop");
    refused(long.clone(), &targets()[1], "more passes of a loop");
    let free = Target { max_loop_passes: None, ..targets()[2].clone() };
    launch(&Spec::PagedAttention(long), &free).expect("GPUs loop on");
}
