//! A failure at every place where a step can fail.

use crate::{
    Admission, BlockPool, Cache, CacheError, Draft, Event, Limits, Outcome, Planned, Request, Scheduler,
    Speculation, Step, TableId,
};
use alloc::vec::Vec;
use std::vec;

const PROMPT: [u32; 11] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/// Blocks that are held, shared, blank, and free with a content.
fn used() -> Cache {
    let mut cache = Cache::new(BlockPool::new(14, 4));
    let mut step = Step::begin(&mut cache);
    for (sequence, length) in [(1, 11), (2, 9), (3, 4)] {
        let found = step.open(TableId::of(sequence), &PROMPT[..length]).unwrap() as usize;
        step.reserve(TableId::of(sequence), (length - found) as u64).unwrap();
        step.push(TableId::of(sequence), &PROMPT[found..length]).unwrap();
    }
    let other = [9, 9, 9, 9, 8, 8, 8, 8, 7];
    step.open(TableId::of(4), &other).unwrap();
    step.reserve(TableId::of(4), 9).unwrap();
    step.push(TableId::of(4), &other).unwrap();
    step.close(TableId::of(4)).unwrap();
    let events = step.commit();
    assert!(events.iter().any(|event| matches!(event, Event::Shared { .. })));
    assert!(cache.pool().shared() > 0 && cache.pool().findable() > 0);
    cache
}

/// Something that a step can do.
type Change = fn(&mut Step<'_>) -> Result<(), CacheError>;

/// Everything that a step can do, one after the other.
fn changes() -> Vec<(&'static str, Change)> {
    const FIRST: TableId = TableId::of(1);
    const LANE: TableId = TableId { sequence: 1, lane: 1 };
    const NEW: TableId = TableId::of(5);
    vec![
        ("grow", |step| step.reserve(FIRST, 6)),
        ("trim", |step| step.trim(FIRST)),
        ("fork", |step| step.fork(FIRST, LANE)),
        ("copy on write", |step| step.reserve(LANE, 6)),
        ("add, a block gets full", |step| step.push(LANE, &[20, 21, 22, 23])),
        ("take its place", |step| step.adopt(FIRST, LANE)),
        ("share", |step| step.open(NEW, &[9, 9, 9, 9, 8, 8, 8, 8, 6]).map(|found| assert_eq!(found, 8))),
        ("close what is shared", |step| step.close(TableId::of(2))),
        ("take what had a content", |step| step.reserve(NEW, 17)),
        ("fill blocks", |step| step.push(NEW, &[30; 12])),
        ("close", |step| step.close(NEW)),
    ]
}

#[test]
fn a_step_that_fails_anywhere_was_never_there() {
    let before = used();
    let mut sites = 0;
    loop {
        let mut cache = before.clone();
        let mut step = Step::failing(&mut cache, sites);
        let mut failed = false;
        for (name, change) in changes() {
            let untouched = (*step).clone();
            if let Err(error) = change(&mut step) {
                failed = true;
                assert_eq!(error, CacheError::Planted, "in `{name}`");
                assert_eq!(
                    *step, untouched,
                    "site {sites}, in `{name}`: a change that fails changes nothing"
                );
                break;
            }
            assert_ne!(*step, untouched, "`{name}` changes something");
        }
        drop(step);
        assert_eq!(cache, before, "site {sites}");
        let lists: [Vec<_>; 2] = [&cache, &before].map(|cache| cache.pool().free_list().collect());
        assert_eq!(lists[0], lists[1]);
        if !failed {
            break;
        }
        sites += 1;
    }
    assert!(sites > 40, "{sites} places");
}

/// The next step does what it would have done had the failed one never been.
#[test]
fn a_step_after_a_failed_one_does_the_same() {
    let run = |cache: &mut Cache| {
        let mut step = Step::begin(cache);
        changes().into_iter().for_each(|(_, change)| change(&mut step).unwrap());
        step.commit()
    };
    let (mut once, mut again) = (used(), used());
    let mut step = Step::begin(&mut again);
    changes().into_iter().for_each(|(_, change)| change(&mut step).unwrap());
    drop(step);
    assert_eq!(run(&mut once), run(&mut again));
    assert_eq!(once, again);
}

/// What a device has overwritten is not found; all else is as before.
#[test]
fn what_was_overwritten_is_forgotten() {
    let before = used();
    let other = [9, 9, 9, 9, 8, 8, 8, 8, 7];
    assert_eq!(before.finds(&other), 8);
    let mut cache = before.clone();
    let mut step = Step::begin(&mut cache);
    let free = u64::from(step.pool().free());
    step.open(TableId::of(6), &[50]).unwrap();
    step.reserve(TableId::of(6), free * 4).unwrap();
    step.submitted();
    drop(step);
    assert_eq!(cache.finds(&other), 0);
    assert_eq!(cache.finds(&PROMPT), 8, "blocks that were held were not taken");
    let tables = |cache: &Cache| cache.tables().map(|(id, table)| (id, table.clone())).collect::<Vec<_>>();
    assert_eq!(tables(&cache), tables(&before));
    let list = |cache: &Cache| cache.pool().free_list().collect::<Vec<_>>();
    assert_eq!(list(&cache), list(&before));
    let counts = |cache: &Cache| (0..14).map(|at| cache.pool().count(crate::BlockId(at))).collect::<Vec<_>>();
    assert_eq!(counts(&cache), counts(&before));
}

fn outcomes(planned: &Planned<'_>) -> Vec<Outcome> {
    let wanted = planned.rows().iter().filter(|row| row.wanted && row.table.lane < 2);
    let tokens = |row: &crate::Row| (0..row.count.clamp(1, 2)).map(|at| 40 + at).collect();
    let single = |row: &&crate::Row| row.tokens.len() == row.count as usize;
    wanted
        .map(|row| Outcome {
            table: row.table,
            tokens: if single(&row) { vec![40] } else { tokens(row) },
            stop: row.table.sequence == 3,
        })
        .collect()
}

/// Prompts, decoding, candidates, an end and newcomers in one step.
fn busy() -> Scheduler {
    let limits = Limits { parallel: 6, chunk: 40, context: 64, overtakes: 2 };
    let draft = Draft { candidates: 2, tokens: 3 };
    let mut scheduler = Scheduler::new(BlockPool::new(48, 4), limits, Admission::Exact)
        .speculating(draft, Speculation::Exact);
    for sequence in 1..=3 {
        scheduler.submit(Request { sequence, prompt: PROMPT.to_vec(), max_new: 9 }).unwrap();
    }
    for _ in 0..2 {
        let planned = scheduler.plan();
        let outcomes = outcomes(&planned);
        planned.commit(&outcomes).unwrap();
    }
    for sequence in 4..=9 {
        let prompt = PROMPT.iter().chain(&PROMPT).copied().collect();
        scheduler.submit(Request { sequence, prompt, max_new: 9 }).unwrap();
    }
    scheduler
}

#[test]
fn a_scheduler_whose_step_fails_anywhere_is_as_before() {
    let before = busy();
    for sites in 0.. {
        let mut scheduler = before.clone();
        let planned = scheduler.plan_failing(sites);
        let outcomes = outcomes(&planned);
        if planned.commit(&outcomes).is_ok() {
            assert_ne!(scheduler, before);
            // Where the plan itself fails somewhere it has less to do, and may succeed.
            assert!(scheduler.is_safe(), "site {sites}");
            let mut whole = before.clone();
            let planned = whole.plan();
            let rows = planned.rows().len();
            assert!(rows > 4 && planned.rows().iter().any(|row| row.table.lane == 2), "{rows} rows");
            let outcomes = self::outcomes(&planned);
            planned.commit(&outcomes).unwrap();
            if whole == scheduler {
                assert!(sites > 60, "{sites} places");
                return;
            }
            continue;
        }
        assert_eq!(scheduler, before, "site {sites}");
    }
}

#[test]
fn a_step_without_its_outcomes_is_taken_back() {
    let before = busy();
    let mut scheduler = before.clone();
    let check = |scheduler: &mut Scheduler, change: &dyn Fn(&mut Vec<Outcome>)| {
        let planned = scheduler.plan();
        let mut outcomes = outcomes(&planned);
        change(&mut outcomes);
        planned.commit(&outcomes).unwrap_err()
    };
    use crate::CommitError::{Missing, Tokens, Unwanted};
    let missing = check(&mut scheduler, &|outcomes| drop(outcomes.remove(0)));
    assert_eq!(missing, Missing(1));
    let unwanted = check(&mut scheduler, &|outcomes| outcomes[0].table.lane = 7);
    assert_eq!(unwanted, Unwanted(TableId { sequence: 1, lane: 7 }));
    let twice = check(&mut scheduler, &|outcomes| outcomes.push(outcomes[0].clone()));
    assert_eq!(twice, Unwanted(TableId { sequence: 1, lane: 1 }));
    let many = check(&mut scheduler, &|outcomes| outcomes[0].tokens = vec![1; 4]);
    assert_eq!(many, Tokens { table: TableId { sequence: 1, lane: 1 }, given: 4, most: 3 });
    let none = check(&mut scheduler, &|outcomes| outcomes[0].tokens.clear());
    assert_eq!(none, Tokens { table: TableId { sequence: 1, lane: 1 }, given: 0, most: 3 });
    assert_eq!(scheduler, before);
}
