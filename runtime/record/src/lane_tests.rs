//! Lanes and their rings: with the standard library's atomics, and on loom, which tries every order in which the accesses of
//! several threads can meet, and every value that an access may see.

use std::sync::atomic::AtomicU64;

use bayplan_trace::{EventKind, Severity, WeightsPath};

use super::*;

impl Word for loom::sync::atomic::AtomicU64 {
    fn new(value: u64) -> Self {
        Self::new(value)
    }

    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }
}

type Modelled = loom::sync::atomic::AtomicU64;

fn ready(t: Nanos) -> Event {
    Event::SessionReady { t }
}

fn drained<W: Word>(events: &mut Merge<W>, new: &NewLanes<W>) -> Vec<Event> {
    std::iter::from_fn(|| events.next(new)).collect()
}

/// Events of two, three and two words, whose times tell whose they are and which.
fn numbered(thread: u64, number: u64) -> Event {
    let t = number * 10 + thread;
    if number.is_multiple_of(2) { ready(t) } else { Event::DeviceFreed { t, id: t } }
}

/// All orders with at most this many switches away from a thread that could go on.
fn model(switches: usize, check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(switches);
    builder.check(check);
}

#[test]
fn two_writers_with_four_slots_each_lose_nothing_uncounted() {
    model(3, || {
        let new = NewLanes::<Modelled>::new();
        let writers = [0, 1].map(|thread| {
            let inlet = new.open(4);
            // Seven slots' worth of events: the second and third need what the reader freed.
            loom::thread::spawn(move || {
                let lost = |number: &u64| inlet.push(&numbered(thread, *number)) == Some(Pushed::No);
                (0..3).filter(lost).count()
            })
        });
        let mut events = Merge::new();
        let mut got: Vec<_> = (0..2).filter_map(|_| events.next(&new)).collect();
        let lost: usize = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
        got.extend(drained(&mut events, &new));
        assert_eq!(got.len() + lost, 6);
        for thread in 0..2 {
            let mut numbers = Vec::new();
            for event in got.iter().filter(|event| event.time() % 10 == thread) {
                numbers.push(event.time() / 10);
                assert_eq!(*event, numbered(thread, event.time() / 10));
            }
            assert!([&[0, 1][..], &[0, 2], &[0, 1, 2]].contains(&&numbers[..]), "{numbers:?}");
        }
        events.forget_done();
        assert!(events.outlets.is_empty());
    });
}

#[test]
fn what_led_to_an_event_comes_before_it() {
    model(4, || {
        let new = NewLanes::<Modelled>::new();
        // The cause's lane is looked at first: it may be found empty, and then the effect in the other.
        let (cause, effect) = (new.open(4), new.open(4));
        let told = Arc::new(loom::sync::atomic::AtomicU64::new(0));
        let tell = Arc::clone(&told);
        let threads = [
            loom::thread::spawn(move || {
                cause.push(&ready(1));
                tell.store(1, Ordering::Release);
            }),
            loom::thread::spawn(move || {
                if told.load(Ordering::Acquire) == 1 {
                    effect.push(&ready(2));
                }
            }),
        ];
        let mut events = Merge::new();
        let mut got: Vec<_> = (0..2).filter_map(|_| events.next(&new)).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        got.extend(drained(&mut events, &new));
        assert!(got == [ready(1)] || got == [ready(1), ready(2)], "{got:?}");
    });
}

/// One of each kind, with numbers that fill their fields.
fn samples() -> Vec<Event> {
    let (run, plan, op) = (u64::MAX, u32::MAX, u32::MAX - 1);
    vec![
        Event::SessionReady { t: 1 },
        Event::RunStart { run, plan, t: 2 },
        Event::Completed { run, plan, op, t: 3 },
        Event::OpTimes { run, plan, first_op: op, times: vec![(3, 4)] },
        Event::RunEnd { run, t: 4, ok: true },
        Event::RunEnd { run: 0, t: 4, ok: false },
        Event::Windows { t: 5, recording: 1, plan, part: 0, windows: Vec::new() },
        Event::DeviceAllocated {
            t: 6,
            id: run,
            bytes: 9,
            memory_type: 1,
            purpose: "p".into(),
            planned: false,
        },
        Event::DeviceFreed { t: 7, id: run },
        Event::HeapSample { t: 8, heap: 3, size: run, usage: run - 1, budget: Some(run - 2) },
        Event::HeapSample { t: 8, heap: 3, size: 1, usage: 0, budget: None },
        Event::Dropped { t: 9, count: run, kind: EventKind::PlanRetired },
        Event::TraceCost { t: 10, ns: run, run_ns: run - 1 },
        Event::Message { t: 11, level: Severity::Error, text: "text".into() },
        Event::PlanRetired { t: 12, plan },
        Event::PoolReady { t: 13, pool: plan, bytes: run, name: "pool".into() },
        Event::PoolAllocated { t: 13, pool: plan, id: run, offset: run - 1, bytes: run - 2 },
        Event::PoolFreed { t: 13, pool: plan, id: run },
        Event::LoadStart { t: 14, total: run },
        Event::LoadProgress {
            t: 15,
            path: WeightsPath::Host,
            arrived: run,
            direct: run - 1,
            staging: run - 2,
        },
        Event::LoadEnd { t: 16, ok: true },
        Event::SessionEnd { t: u64::MAX },
    ]
}

fn push<W: Word>(inlet: &Inlet<W>, event: Event) -> Pushed {
    inlet.push(&event).unwrap_or_else(|| inlet.push_large(event))
}

#[test]
fn every_kind_comes_out_as_it_went_in_and_in_order() {
    let new = NewLanes::<AtomicU64>::new();
    let inlet = new.open(1 << 10);
    let mut events = Merge::new();
    for kind in EventKind::ALL {
        assert!(samples().iter().any(|event| event.kind() == kind), "{kind:?} has no sample");
    }
    for _ in 0..100 {
        for event in samples() {
            assert_ne!(push(&inlet, event), Pushed::No);
        }
        assert_eq!(drained(&mut events, &new), samples());
        // Times of one lane count as rising, and the last of the samples is as late as can be.
        events.outlets[0].latest = 0;
    }
}

#[test]
fn lanes_are_joined_by_time_and_each_keeps_its_order() {
    let new = NewLanes::<AtomicU64>::new();
    let lanes = [new.open(64), new.open(64), new.open(64)];
    // Within the third lane a later event says an earlier time, as the op times of a run do.
    for (lane, times) in [(0, vec![1, 4, 9]), (1, vec![2, 3, 10]), (2, vec![5, 0, 6])] {
        times.into_iter().for_each(|t| assert_eq!(push(&lanes[lane], ready(t)), Pushed::Yes));
    }
    let mut events = Merge::new();
    let times: Vec<_> = drained(&mut events, &new).iter().map(Event::time).collect();
    assert_eq!(times, [1, 2, 3, 4, 5, 0, 6, 9, 10]);
    push(&lanes[0], ready(11));
    drop(lanes);
    events.forget_done();
    assert_eq!(events.outlets.len(), 1, "two are gone, one still holds an event");
    assert_eq!(drained(&mut events, &new), [ready(11)]);
    events.forget_done();
    assert!(events.outlets.is_empty());
    // A lane that is made later is found all the same.
    let late = new.open(64);
    push(&late, ready(12));
    assert_eq!(drained(&mut events, &new), [ready(12)]);
}

#[test]
fn large_events_beyond_the_bound_are_refused() {
    let new = NewLanes::<AtomicU64>::new();
    let inlet = new.open(1 << 20);
    let large = || Event::Message { t: 1, level: Severity::Info, text: String::new() };
    let pushed: Vec<_> = (0..MAX_LARGE + 10).map(|_| push(&inlet, large())).collect();
    assert!(pushed[..MAX_LARGE / 2 - 1].iter().all(|pushed| *pushed == Pushed::Yes));
    assert!(pushed[MAX_LARGE / 2 - 1..MAX_LARGE].iter().all(|pushed| *pushed == Pushed::Filling));
    assert!(pushed[MAX_LARGE..].iter().all(|pushed| *pushed == Pushed::No));
    // A refused one leaves no place behind it.
    assert_eq!(push(&inlet, ready(2)), Pushed::Yes);
    let mut events = Merge::new();
    let got = drained(&mut events, &new);
    assert_eq!((got.len(), got.last()), (MAX_LARGE + 1, Some(&ready(2))));
    // Nor is one taken that finds no place.
    let narrow = new.open(2);
    assert_ne!(push(&narrow, ready(3)), Pushed::No);
    assert_eq!(push(&narrow, large()), Pushed::No);
    assert_eq!(drained(&mut events, &new), [ready(3)]);
}
