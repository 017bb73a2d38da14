//! Pools by the formula, on the Llama-3-8B shape whose numbers are known.

use bayplan_expr::memory::{Function, KvCache, MemoryFunction, Term};
use bayplan_expr::{Bindings, Expr};
use bayplan_kv::sizing::{Bound, Demand, SizeError, choose, size};

fn model(weights: u64, token_bytes: u64, terms: &[(&str, &str)]) -> MemoryFunction {
    let term = |(name, bytes): &(&str, &str)| Term {
        name: (*name).into(),
        bytes: Expr::parse(bytes).expect("an expression"),
    };
    MemoryFunction {
        weights,
        kv: Some(KvCache {
            sequences: Expr::symbol("b"),
            tokens: Expr::parse("p + s").expect("an expression"),
            block_tokens: 16,
            block_bytes: 16 * token_bytes,
        }),
        functions: vec![Function::new("main", terms.iter().map(term).collect())],
        ..MemoryFunction::default()
    }
}

/// Llama-3-8B with fused attention: weights, cache and the two terms that are left.
fn llama() -> MemoryFunction {
    model(16_060_522_496, 131_072, &[("mlp", "73728*s"), ("logits", "8192*s + 513024*b")])
}

/// A smaller one that drafts.
fn draft() -> MemoryFunction {
    model(2_471_645_608, 32_768, &[("mlp", "40000*s"), ("logits", "4096*s + 513024*b")])
}

fn demand<'a>(target: &'a MemoryFunction, draft: Option<&'a MemoryFunction>) -> Demand<'a> {
    Demand {
        target,
        draft,
        point: Bindings::new().with("b", 1).with("s", 2048),
        budget: 24 << 30,
        overhead: 0,
        range: u64::MAX,
        window_bytes: 16 * 2048,
        context: None,
        parallel: 16,
    }
}

#[test]
fn the_formula_by_hand() {
    let (target, small) = (llama(), draft());
    let alone = size(&demand(&target, None)).unwrap();
    // 25,769,803,776 - 16,060,522,496 - 73,728 * 2048 = 9,558,286,336 bytes; a block has 2,097,152.
    assert_eq!((alone.blocks, alone.arena, alone.left), (4557, 150_994_944, 1_564_672));
    assert_eq!(alone.bound, Bound::Budget { term: Some(("main".into(), "mlp".into())) });
    // The largest past of a prompt of 2048 tokens that the solver finds is the one whose blocks are all of these.
    let solved = target.solve(24 << 30, "p", &Bindings::new().with("b", 1).with("s", 2048)).unwrap().value;
    assert_eq!((solved as u64 + 2048) / 16, alone.blocks);
    let both = size(&demand(&target, Some(&small))).unwrap();
    let left: u64 = (24 << 30) - 16_060_522_496 - 2_471_645_608 - 73_728 * 2048;
    assert_eq!(both.blocks, left / (16 * (131_072 + 32_768)));
    assert_eq!((both.weights, both.block_bytes), (18_532_168_104, 16 * 163_840));
    let overhead = size(&Demand { overhead: 1_564_673, ..demand(&target, None) }).unwrap();
    assert_eq!(overhead.blocks, alone.blocks - 1, "one byte more than was left over");
    let exact = size(&Demand { overhead: 1_564_672, ..demand(&target, None) }).unwrap();
    assert_eq!((exact.blocks, exact.left), (alone.blocks, 0));
}

/// All arenas share one: it is as large as the largest, be it the draft's.
#[test]
fn the_draft_may_need_the_larger_arena() {
    let (target, mut small) = (llama(), draft());
    small
        .functions
        .push(Function::new("verify", vec![Term { name: "wide".into(), bytes: Expr::from(1_i64 << 30) }]));
    let both = size(&demand(&target, Some(&small))).unwrap();
    assert_eq!(both.arena, 1 << 30);
    assert_eq!(both.bound, Bound::Budget { term: Some(("verify".into(), "wide".into())) });
}

#[test]
fn what_binds_is_told() {
    let target = llama();
    let check = |demand: Demand<'_>, blocks, bound: &Bound| {
        let sizing = size(&demand).unwrap();
        assert_eq!((sizing.blocks, &sizing.bound), (blocks, bound), "{sizing}");
    };
    check(Demand { range: 128 << 20, ..demand(&target, None) }, 4096, &Bound::Range);
    check(Demand { context: Some(1000), ..demand(&target, None) }, 63 * 16, &Bound::Use);
    let budget = Bound::Budget { term: Some(("main".into(), "mlp".into())) };
    check(Demand { context: Some(8192), ..demand(&target, None) }, 4557, &budget);
    assert_eq!(
        size(&demand(&target, None)).unwrap().to_string(),
        "4,557 blocks of 16 tokens (8.90 GiB); the budget binds: arena 144 MiB in main, mlp"
    );
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let target = llama();
    let check = |demand: Demand<'_>, expect: &str| {
        let error = size(&demand).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    let need = 16_060_522_496 + 150_994_944 + 2_097_152;
    assert_eq!(size(&Demand { budget: need, ..demand(&target, None) }).unwrap().blocks, 1);
    check(Demand { budget: need - 1, ..demand(&target, None) }, "with one block 15.1 GiB are needed");
    check(Demand { budget: 0, ..demand(&target, None) }, "the budget is 0 B");
    check(Demand { range: 1000, ..demand(&target, None) }, "a kernel can bind 1000 B");
    let mut odd = draft();
    odd.kv.as_mut().unwrap().block_tokens = 32;
    let error = size(&demand(&target, Some(&odd))).unwrap_err();
    assert_eq!(error, SizeError::BlockTokens { target: 16, draft: 32 });
    assert_eq!(size(&demand(&MemoryFunction::default(), None)).unwrap_err(), SizeError::NoCache);
    let nowhere = Demand { point: Bindings::new().with("b", 1), ..demand(&target, None) };
    assert!(matches!(size(&nowhere).unwrap_err(), SizeError::Memory(_)));
}

#[test]
fn chunk_and_context_are_chosen_where_they_are_not_given() {
    let target = llama();
    let roomy = choose(&demand(&target, None), "s", None, 8192).unwrap();
    assert_eq!((roomy.chunk, roomy.context, roomy.limited), (2048, 8192, false));
    // 40 MiB beside the weights: each doubling of the chunk costs a good part of that.
    let tight = Demand { budget: 16_060_522_496 + (40 << 20), ..demand(&target, None) };
    let chosen = choose(&tight, "s", None, 8192).unwrap();
    let blocks = |chunk: u64| choose(&tight, "s", Some(chunk), 8192).map_or(0, |chosen| chosen.sizing.blocks);
    let (least, own, next) = (blocks(16), chosen.sizing.blocks, blocks(chosen.chunk * 2));
    assert!(own >= least - least / 16 && next < least - least / 16, "{chosen}: {least}, {own}, {next}");
    assert!(chosen.limited && chosen.context == own * 16, "{chosen}");
    assert_eq!(blocks(512), 2);
    // Nothing smaller than a token for each sequence.
    let many = Demand { parallel: 100, ..tight.clone() };
    assert!(choose(&many, "s", None, 8192).unwrap().chunk >= 100);
    assert!(choose(&Demand { budget: 1, ..tight }, "s", None, 8192).is_err());
}
