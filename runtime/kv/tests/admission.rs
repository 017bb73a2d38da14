//! Who comes in, who waits and why, to the last block.

mod common;

use bayplan_kv::{
    Admission, BlockPool, Event, Finish, Limits, Pressure, Refusal, Request, Scheduler, Wait, Weights,
};
use common::{Device, alone, check_counts};

fn request(sequence: u64, prompt: usize, max_new: u32) -> Request {
    // No two prompts begin alike.
    let first = 1000 + sequence as u32;
    Request {
        sequence,
        prompt: std::iter::once(first).chain((1..prompt).map(|at| at as u32)).collect(),
        max_new,
    }
}

fn scheduler(blocks: u32, limits: Limits, admission: Admission) -> Scheduler {
    Scheduler::new(BlockPool::new(blocks, 16), limits, admission)
}

fn step(scheduler: &mut Scheduler, device: &mut Device) -> Vec<Event> {
    let planned = scheduler.plan();
    let outcomes = device.run(&planned);
    let events = planned.commit(&outcomes).expect("outcomes");
    device.keep(&outcomes);
    device.check(scheduler);
    check_counts(scheduler);
    events
}

/// Four sequences that come to hold exactly all blocks: nobody waits, nothing fails, and at the end not one is free. One
/// request more waits, before anything is computed for it.
#[test]
fn the_last_block_is_used() {
    let mut scheduler = scheduler(8, Limits::default(), Admission::Exact);
    let mut device = Device::new(&scheduler, 0);
    // 17 and 16 tokens, the last of which is never kept: two full blocks.
    for sequence in 0..4 {
        scheduler.submit(request(sequence, 17, 16)).unwrap();
    }
    scheduler.submit(request(4, 1, 1)).unwrap();
    let mut least = u32::MAX;
    for _ in 0..15 {
        step(&mut scheduler, &mut device);
        assert_eq!((scheduler.running().len(), scheduler.waiting().len()), (4, 1));
        least = least.min(scheduler.cache().pool().free());
    }
    assert_eq!(least, 0);
    assert_eq!(scheduler.why(0), Some(Wait::Blocks { need: 9, blocks: 8, steps: 0 }));
    assert!(scheduler.cache().table(bayplan_kv::TableId::of(4)).is_none());
    let events = step(&mut scheduler, &mut device);
    let finished = events.iter().filter(|event| matches!(event, Event::Finished { why: Finish::Length, .. }));
    assert_eq!(finished.count(), 4);
    step(&mut scheduler, &mut device);
    assert!(scheduler.is_idle());
    for sequence in 0..5u64 {
        let Request { prompt, max_new, .. } =
            if sequence < 4 { request(sequence, 17, 16) } else { request(4, 1, 1) };
        assert_eq!(device.texts[&sequence], alone(&prompt, max_new, 0));
    }
}

/// The staircase sees that one ends before another one is large: both fit, although their ends added up do not.
#[test]
fn the_staircase_counts_who_is_there_at_a_time() {
    let mut scheduler = scheduler(4, Limits::default(), Admission::Exact);
    let mut device = Device::new(&scheduler, 0);
    scheduler.submit(request(0, 30, 3)).unwrap();
    // Two blocks until the first is gone, three later.
    scheduler.submit(request(1, 20, 29)).unwrap();
    step(&mut scheduler, &mut device);
    assert_eq!(scheduler.running().len(), 2);
    assert_eq!(scheduler.peak().held, 4);
    while !scheduler.is_idle() {
        let events = step(&mut scheduler, &mut device);
        assert!(events.iter().all(|event| !matches!(event, Event::Stalled { .. })));
    }
}

#[test]
fn why_each_one_waits() {
    let limits = Limits { parallel: 2, chunk: 40, overtakes: 0, ..Limits::default() };
    let check = |blocks: u32, requests: &[(usize, u32)], expect: &[Option<Wait>]| {
        let mut scheduler = scheduler(blocks, limits, Admission::Exact);
        for (sequence, (prompt, max_new)) in (0..).zip(requests) {
            scheduler.submit(request(sequence, *prompt, *max_new)).unwrap();
        }
        let mut device = Device::new(&scheduler, 0);
        step(&mut scheduler, &mut device);
        let whys: Vec<Option<Wait>> = (0..scheduler.waiting().len()).map(|at| scheduler.why(at)).collect();
        assert_eq!(whys, expect);
        whys
    };
    check(9, &[(10, 9), (10, 9), (10, 9)], &[Some(Wait::Sequences { running: 2 })]);
    check(9, &[(40, 9), (10, 9)], &[Some(Wait::Chunk { chunk: 40 })]);
    let blocks = Wait::Blocks { need: 4, blocks: 3, steps: 7 };
    let whys = check(3, &[(20, 8), (10, 9), (1, 1)], &[Some(blocks), Some(Wait::Behind { sequence: 1 })]);
    let texts: Vec<String> = whys.into_iter().flatten().map(|why| why.to_string()).collect();
    assert_eq!(
        texts,
        ["with it 4 blocks would be held in 7 steps, the pool has 3", "sequence 1 waits before it"]
    );
}

#[test]
fn nobody_comes_in_under_pressure() {
    let mut scheduler = scheduler(8, Limits::default(), Admission::Exact);
    let mut device = Device::new(&scheduler, 0);
    scheduler.submit(request(0, 5, 5)).unwrap();
    let pressure = Pressure { usage: 5 << 30, budget: 4 << 30 };
    scheduler.press(Some(pressure));
    assert_eq!(
        step(&mut scheduler, &mut device),
        [Event::Waits { sequence: 0, why: Wait::Budget(pressure) }]
    );
    assert_eq!(step(&mut scheduler, &mut device), [], "a reason is told once");
    scheduler.press(Some(Pressure { usage: 4 << 30, budget: 4 << 30 }));
    step(&mut scheduler, &mut device);
    assert_eq!(scheduler.running().len(), 1);
}

#[test]
fn what_can_never_run_is_refused() {
    let limits = Limits { context: 100, ..Limits::default() };
    let mut exact = scheduler(4, limits, Admission::Exact);
    let refused = |scheduler: &mut Scheduler, request: Request| scheduler.submit(request).unwrap_err();
    assert_eq!(
        refused(&mut exact, Request { sequence: 0, prompt: vec![], max_new: 1 }),
        Refusal::EmptyPrompt
    );
    assert_eq!(refused(&mut exact, request(0, 5, 0)), Refusal::NothingToDo);
    assert_eq!(refused(&mut exact, request(0, 60, 42)), Refusal::Context { need: 101, context: 100 });
    assert_eq!(refused(&mut exact, request(0, 60, 6)), Refusal::Blocks { need: 5, blocks: 4 });
    exact.submit(request(0, 60, 5)).unwrap();
    assert_eq!(refused(&mut exact, request(0, 5, 5)), Refusal::Exists);
    let weights = Weights { linear: 10.0, next: [2.0, 2.0], limit: 99, ..Weights::default() };
    let mut fitted = scheduler(4, limits, Admission::Ibm98(weights));
    assert_eq!(refused(&mut fitted, request(0, 10, 1)), Refusal::Weight { need: 100.0, limit: 99 });
    assert_eq!(refused(&mut fitted, request(0, 5, 46)), Refusal::Weight { need: 100.0, limit: 99 });
    fitted.submit(request(0, 9, 41)).unwrap();
}

/// Each sequence has the blocks of a whole context: three of them, of 7 blocks, let two in.
#[test]
fn contiguous_keeps_a_whole_context_for_each() {
    let limits = Limits { context: 48, ..Limits::default() };
    let mut scheduler = scheduler(7, limits, Admission::Contiguous);
    let mut device = Device::new(&scheduler, 0);
    for sequence in 0..3 {
        scheduler.submit(request(sequence, 3, 3)).unwrap();
    }
    step(&mut scheduler, &mut device);
    assert_eq!((scheduler.running().len(), scheduler.cache().pool().free()), (2, 1));
    assert_eq!(scheduler.why(0), Some(Wait::Blocks { need: 3, blocks: 7, steps: 0 }));
    while !scheduler.is_idle() {
        step(&mut scheduler, &mut device);
    }
}

/// Weights of tokens let in what has no blocks: the sequences that find none are lost, which cannot happen to `exact`.
#[test]
fn weights_may_run_out_of_blocks() {
    let weights = Weights { linear: 1.0, next: [1.0, 1.0], limit: 64, ..Weights::default() };
    let finished = |admission: Admission| {
        // Four blocks have room for 64 tokens, but each sequence begins a block of its own.
        let mut scheduler = scheduler(4, Limits::default(), admission);
        let mut device = Device::new(&scheduler, 0);
        for sequence in 0..8 {
            scheduler.submit(request(sequence, 5, 5)).unwrap();
        }
        let mut lost = 0;
        while !scheduler.is_idle() {
            let events = step(&mut scheduler, &mut device);
            let out = |event: &&Event| matches!(event, Event::Finished { why: Finish::OutOfBlocks, .. });
            lost += events.iter().filter(out).count();
        }
        lost
    };
    assert!(finished(Admission::Ibm98(weights)) > 0);
    assert_eq!(finished(Admission::Exact), 0);
}

/// What is withdrawn is gone at once, and its blocks are free; the others do not notice.
#[test]
fn requests_can_be_withdrawn() {
    let mut scheduler = scheduler(4, Limits::default(), Admission::Exact);
    let mut device = Device::new(&scheduler, 0);
    for sequence in 0..3 {
        scheduler.submit(request(sequence, 17, 16)).unwrap();
    }
    step(&mut scheduler, &mut device);
    assert_eq!((scheduler.running().len(), scheduler.waiting().len()), (2, 1));
    let events = scheduler.cancel(0);
    assert!(
        events.contains(&Event::Finished { sequence: 0, why: Finish::Cancelled, generated: 1 }),
        "{events:?}"
    );
    assert_eq!(scheduler.cache().pool().free(), 2);
    step(&mut scheduler, &mut device);
    assert_eq!((scheduler.running().len(), scheduler.waiting().len()), (2, 0));
    assert_eq!(scheduler.cancel(7), []);
    while !scheduler.is_idle() {
        step(&mut scheduler, &mut device);
    }
    for sequence in [1, 2] {
        assert_eq!(device.texts[&sequence], alone(&request(sequence, 17, 16).prompt, 16, 0));
    }
}
