//! Candidates: how many blocks they take, when they may, and that they change no text.

mod common;

use bayplan_kv::{
    Admission, BlockPool, Cache, Draft, Event, Limits, Request, Scheduler, Speculation, Step, TableId,
    Weights, speculation_need,
};
use common::{Device, alone, check_counts};

/// A sequence with so many tokens.
fn sequence(pool: BlockPool, tokens: u32) -> Cache {
    let mut cache = Cache::new(pool);
    let mut step = Step::begin(&mut cache);
    let prompt: Vec<u32> = (0..tokens).collect();
    step.open(TableId::of(0), &prompt).unwrap();
    step.reserve(TableId::of(0), tokens.into()).unwrap();
    step.push(TableId::of(0), &prompt).unwrap();
    step.commit();
    cache
}

/// Blocks that candidates really take from the free list.
fn taken(cache: &mut Cache, draft: Draft) -> Option<u64> {
    let before = cache.pool().free();
    let mut step = Step::begin(cache);
    for lane in 1..=draft.candidates {
        let lane = TableId { sequence: 0, lane };
        step.fork(TableId::of(0), lane).unwrap();
        step.reserve(lane, draft.tokens.into()).ok()?;
    }
    Some(u64::from(before - step.pool().free()))
}

#[test]
fn need_is_what_is_taken() {
    for (cached, candidates, tokens, each) in (1..70)
        .flat_map(|cached| [(cached, 5, 5, 16), (cached, 1, 3, 16), (cached, 3, 40, 16), (cached, 4, 2, 5)])
    {
        let mut cache = sequence(BlockPool::new(64, each), cached);
        let draft = Draft { candidates, tokens };
        let need = speculation_need(cache.pool(), cached.into(), draft);
        assert_eq!(taken(&mut cache, draft), Some(need), "{cached} tokens, {draft:?}, blocks of {each}");
        if (candidates, each) == (5, 16) {
            assert_eq!(need, if cached % 16 <= 11 { 5 } else { 10 }, "{cached} tokens");
        }
    }
}

/// Exactly as many free blocks are enough, one fewer is not.
#[test]
fn the_need_is_the_boundary() {
    for cached in [11, 12, 16, 27, 28] {
        let draft = Draft { candidates: 5, tokens: 5 };
        let own = u32::div_ceil(cached, 16);
        let need = speculation_need(&BlockPool::new(1, 16), cached.into(), draft) as u32;
        assert_eq!(taken(&mut sequence(BlockPool::new(own + need, 16), cached), draft), Some(need.into()));
        assert_eq!(taken(&mut sequence(BlockPool::new(own + need - 1, 16), cached), draft), None);
    }
}

/// One sequence of 40 tokens to generate after 20, with a pool of so many blocks of 16: how often it speculated, and how
/// often it was to and could not.
fn speculated(blocks: u32, draft: Draft, rule: Speculation) -> (usize, usize) {
    let limits = Limits { context: 64, ..Limits::default() };
    let mut scheduler =
        Scheduler::new(BlockPool::new(blocks, 16), limits, Admission::Exact).speculating(draft, rule);
    let prompt: Vec<u32> = (0..20).collect();
    scheduler.submit(Request { sequence: 0, prompt: prompt.clone(), max_new: 40 }).unwrap();
    let mut device = Device::new(&scheduler, 0);
    let (mut wide, mut short) = (0, 0);
    while !scheduler.is_idle() {
        let planned = scheduler.plan();
        let lanes = planned.rows().iter().filter(|row| row.table.lane > 0).count();
        assert!(lanes == 0 || lanes == draft.candidates as usize);
        wide += usize::from(planned.rows().iter().any(|row| row.tokens.len() < row.count as usize));
        let outcomes = device.run(&planned);
        let events = planned.commit(&outcomes).unwrap();
        for event in &events {
            assert!(draft.candidates > 1 || !matches!(event, Event::Copied { .. }));
            if let Event::Short { need, free, .. } = event {
                assert!(*need > u64::from(*free), "{need} of {free}");
                short += 1;
            }
        }
        device.keep(&outcomes);
        device.check(&scheduler);
        check_counts(&scheduler);
    }
    assert_eq!(device.texts[&0], alone(&prompt, 40, 0));
    (wide, short)
}

/// With c tokens in ⌈c/16⌉ blocks, 5 or 10 more are needed: the pool decides, block by block, and the text is the same.
#[test]
fn speculates_as_soon_as_the_blocks_are_there() {
    let draft = Draft { candidates: 5, tokens: 5 };
    // Four blocks are all that the sequence itself can need.
    let (none, short) = speculated(4, draft, Speculation::Exact);
    assert!(none == 0 && short > 0, "{none}, {short}");
    let (some, short) = speculated(8, draft, Speculation::Exact);
    assert!(some > 0 && short > 0, "{some}, {short}");
    let (all, short) = speculated(14, draft, Speculation::Exact);
    assert!(all > 0 && short == 0, "{all}, {short}");
}

/// Three quarters of the tokens are used up at 48 of 64: the rule stops there, whatever is free, and goes on before, whatever is
/// not.
#[test]
fn weight_75_counts_tokens_instead() {
    let draft = Draft { candidates: 5, tokens: 5 };
    let weights = |limit| Weights { next: [1.0, 1.0], limit, ..Weights::default() };
    let rule = |limit| Speculation::Weight75(weights(limit));
    let (exact, _) = speculated(100, draft, Speculation::Exact);
    let (held_back, short) = speculated(100, draft, rule(64));
    assert!(held_back > 0 && held_back < exact && short == 0, "{held_back} of {exact}");
    let (some, short) = speculated(8, draft, rule(1000));
    assert!(some > 0 && short > 0, "the rule does not see that blocks are missing");
    assert!(Speculation::Weight75(weights(64)).allows(16, 48));
    assert!(!Speculation::Weight75(weights(64)).allows(16, 49));
    assert!(!Speculation::Weight75(weights(64)).allows(17, 10));
    assert!(Speculation::Exact.allows(1000, u64::MAX));
}

/// A single candidate is the sequence itself: what is not accepted is written over, and no block is copied.
#[test]
fn a_single_candidate_copies_nothing() {
    let (wide, short) = speculated(4, Draft { candidates: 1, tokens: 5 }, Speculation::Exact);
    assert!(wide > 5 && short == 0, "the blocks are those of the sequence: {wide}, {short}");
}
