//! Random requests through the scheduler on memory that is really written and read.

mod common;

use bayplan_kv::{Admission, BlockPool, Draft, Event, Limits, Refusal, Request, Scheduler, Speculation};
use common::{Device, alone, check_counts};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::collections::BTreeMap;

/// What is drawn.
#[derive(Clone, Debug)]
struct Trace {
    blocks: u32,
    each: u32,
    limits: Limits,
    draft: Option<Draft>,
    /// Sequences that end early, in a thousand tokens.
    ends: u64,
    /// When each comes, its prompt and how much it may generate.
    requests: Vec<(u64, Vec<u32>, u32)>,
    /// Steps that fail, and whether after the device has written.
    faults: Vec<Option<bool>>,
}

fn limits() -> impl Strategy<Value = Limits> {
    (1u32..8, 1u32..24, 0u32..4).prop_map(|(parallel, chunk, overtakes)| Limits {
        parallel,
        chunk,
        context: 64,
        overtakes,
    })
}

fn request() -> impl Strategy<Value = (u64, Vec<u32>, u32)> {
    // Few beginnings, so that prompts share them.
    let prompt =
        (0u32..3, 0usize..20, prop::collection::vec(0u32..3, 1..8)).prop_map(|(beginning, length, rest)| {
            (0..length as u32).map(|at| (at * (beginning + 1)) % 5).chain(rest).collect()
        });
    (0u64..40, prompt, 1u32..20)
}

fn trace() -> impl Strategy<Value = Trace> {
    let draft =
        prop::option::of((1u32..5, 2u32..6).prop_map(|(candidates, tokens)| Draft { candidates, tokens }));
    let fault = prop_oneof![6 => Just(None), 1 => Just(Some(false)), 1 => Just(Some(true))];
    let requests = prop::collection::vec(request(), 1..24);
    let pool = (6u32..40, 1u32..6);
    (pool, limits(), draft, prop_oneof![Just(0u64), Just(60)], requests, prop::collection::vec(fault, 1..30))
        .prop_map(|((blocks, each), limits, draft, ends, mut requests, faults)| {
            requests.sort_by_key(|(at, ..)| *at);
            Trace { blocks, each, limits, draft, ends, requests, faults }
        })
}

/// What happened in a run.
#[derive(Debug, Default)]
struct Told {
    /// In which step each was admitted, in order.
    admitted: Vec<(u64, u64)>,
    stalls: u64,
    copies: u64,
    shared: u64,
    lanes: u64,
    overtaken: u32,
}

impl Trace {
    fn scheduler(&self) -> Scheduler {
        let scheduler = Scheduler::new(BlockPool::new(self.blocks, self.each), self.limits, Admission::Exact);
        match self.draft {
            Some(draft) => scheduler.speculating(draft, Speculation::Exact),
            None => scheduler,
        }
    }

    fn request(&self, at: usize) -> Request {
        let (_, prompt, max_new) = &self.requests[at];
        Request { sequence: at as u64, prompt: prompt.clone(), max_new: *max_new }
    }

    /// Runs all to the end, judging every step.
    fn run(&self) -> Told {
        let mut scheduler = self.scheduler();
        let mut device = Device::new(&scheduler, self.ends);
        let (mut told, mut wanted) = (Told::default(), BTreeMap::new());
        let mut faults = self.faults.iter().cycle();
        let mut coming = 0;
        for step in 0u64.. {
            assert!(step < 20_000, "it never ends: {scheduler:?}");
            while self.requests.get(coming).is_some_and(|(at, ..)| *at <= step) {
                let request = self.request(coming);
                let need = request.total().div_ceil(self.each.into());
                match scheduler.submit(request.clone()) {
                    Ok(()) => drop(wanted.insert(request.sequence, request)),
                    Err(Refusal::Blocks { .. }) => assert!(need > self.blocks.into()),
                    Err(refusal) => panic!("{refusal}"),
                }
                coming += 1;
            }
            if scheduler.is_idle() && coming == self.requests.len() {
                break;
            }
            let fault = if step < 200 { *faults.next().expect("a cycle") } else { None };
            self.step(&mut scheduler, &mut device, fault, step, &mut told);
        }
        assert_eq!(scheduler.cache().pool().free(), self.blocks);
        for (sequence, request) in wanted {
            let text = alone(&request.prompt, request.max_new, self.ends);
            assert_eq!(device.texts.get(&sequence), Some(&text), "sequence {sequence}");
        }
        told
    }

    fn step(
        &self,
        scheduler: &mut Scheduler,
        device: &mut Device,
        fault: Option<bool>,
        step: u64,
        told: &mut Told,
    ) {
        let before = scheduler.clone();
        let idle = scheduler.is_idle();
        let mut planned = scheduler.plan();
        assert_eq!(planned.failed().count(), 0);
        assert!(idle || !planned.rows().is_empty(), "nobody advances: {before:?}");
        assert!(planned.tokens() <= u64::from(self.limits.chunk.max(self.limits.parallel)));
        match fault {
            Some(false) => {
                drop(planned);
                assert_eq!(*scheduler, before);
                return;
            }
            Some(true) => {
                planned.submitted();
                device.run(&planned);
                drop(planned);
                let list = |scheduler: &Scheduler| scheduler.cache().pool().free_list().collect::<Vec<_>>();
                assert_eq!(list(scheduler), list(&before));
                assert!(scheduler.cache().tables().eq(before.cache().tables()));
                assert!(scheduler.waiting().eq(before.waiting()) && scheduler.running() == before.running());
                check_counts(scheduler);
                return;
            }
            None => {}
        }
        let outcomes = device.run(&planned);
        told.lanes += planned.rows().iter().filter(|row| row.table.lane > 1).count() as u64;
        let events = planned.commit(&outcomes).expect("outcomes of all rows");
        device.keep(&outcomes);
        for event in events {
            match event {
                Event::Admitted { sequence, overtaken, .. } => {
                    told.admitted.push((step, sequence));
                    told.overtaken = told.overtaken.max(overtaken);
                }
                Event::Stalled { .. } => told.stalls += 1,
                Event::Copied { .. } => told.copies += 1,
                Event::Shared { .. } => told.shared += 1,
                _ => {}
            }
        }
        check_counts(scheduler);
        device.check(scheduler);
        assert!(scheduler.is_safe(), "somebody may never finish: {scheduler:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// No deadlock, nobody put out, no block lost; every sequence has the text that it has alone, through failed steps,
    /// shared prompts, stalls and candidates; nobody is overtaken more often than may be.
    #[test]
    fn every_sequence_finishes_with_its_own_text(trace in trace()) {
        let told = trace.run();
        prop_assert!(told.overtaken <= trace.limits.overtakes);
        if trace.limits.overtakes == 0 {
            prop_assert!(told.admitted.is_sorted_by_key(|(_, sequence)| *sequence));
        }
    }

    /// Where all advance together, those that come before the first that waits do not keep it waiting: it comes in when it
    /// would have come in had nobody overtaken it since it was the first.
    #[test]
    fn overtaking_does_not_delay_the_first(trace in trace()) {
        let limits = Limits { chunk: 1 << 20, ..trace.limits };
        Trace { draft: None, ends: 0, faults: vec![None], limits, ..trace }.check_first();
    }
}

impl Trace {
    fn check_first(&self) {
        let mut scheduler = self.scheduler();
        let mut device = Device::new(&scheduler, 0);
        let mut expected: BTreeMap<u64, u64> = BTreeMap::new();
        let (mut told, mut coming) = (Told::default(), 0);
        for step in 0u64.. {
            while self.requests.get(coming).is_some_and(|(at, ..)| *at <= step) {
                let _ = scheduler.submit(self.request(coming));
                coming += 1;
            }
            if scheduler.is_idle() && coming == self.requests.len() {
                break;
            }
            if let Some(first) = scheduler.waiting().next().map(|waiting| waiting.request.sequence) {
                expected
                    .entry(first)
                    .or_insert_with(|| strictly(scheduler.clone(), device.clone(), first, step));
            }
            self.step(&mut scheduler, &mut device, None, step, &mut told);
        }
        assert_eq!(told.stalls, 0, "nobody stalls where all advance together");
        for (step, sequence) in told.admitted {
            if let Some(expected) = expected.get(&sequence) {
                assert!(step <= *expected, "sequence {sequence} came in at {step} instead of {expected}");
            }
        }
    }
}

/// When the first comes in if nobody comes before it from now on.
fn strictly(mut scheduler: Scheduler, mut device: Device, first: u64, now: u64) -> u64 {
    scheduler.let_overtake(0);
    for step in now.. {
        let planned = scheduler.plan();
        let outcomes = device.run(&planned);
        let events = planned.commit(&outcomes).expect("outcomes of all rows");
        if events.iter().any(|event| matches!(event, Event::Admitted { sequence, .. } if *sequence == first))
        {
            return step;
        }
    }
    unreachable!("the first comes in")
}

/// The random traces are worth something: all that can happen does.
#[test]
fn everything_happens() {
    let mut all = Told::default();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..300 {
        let told = trace().new_tree(&mut runner).expect("a trace").current().run();
        all.stalls += told.stalls;
        all.copies += told.copies;
        all.shared += told.shared;
        all.lanes += told.lanes;
        all.overtaken = all.overtaken.max(told.overtaken);
    }
    let Told { stalls, copies, shared, lanes, overtaken, .. } = all;
    println!(
        "{stalls} stalls, {copies} copies, {shared} shared blocks, {lanes} candidates, overtaken {overtaken} times"
    );
    assert!(stalls > 20 && copies > 100 && shared > 1000 && lanes > 1000 && overtaken == 3, "{all:?}");
}
