//! Packed events come back as they were, take few bytes, and rubbish breaks nothing.

use alloc::vec::Vec;

use crate::format::event_codec::MAX_TEXT;
use crate::format::event_codec::tests::samples;
use crate::format::number::Numbers;
use crate::format::number::PADDING;
use crate::format::packed::{EARLIER, Lists, MORE, PackedContext, SAME, Spans};
use crate::format::wire::WireError;
use crate::schema::event::Event;
use crate::schema::event::{EventKind, Severity};
use crate::schema::event_ref::EventRef;
use alloc::string::ToString;
use alloc::vec;

fn write(base: u64, events: &[Event]) -> Vec<u8> {
    let (mut out, mut spans, mut context) = (Vec::new(), Spans::default(), PackedContext::new(base));
    events.iter().for_each(|event| context.put(&mut out, &mut spans, event.as_ref()));
    out
}

fn read(base: u64, bytes: &[u8]) -> Result<Vec<Event>, WireError> {
    let padded = [bytes, &[0; PADDING]].concat();
    let (mut numbers, mut context) = (Numbers::at(&padded, 0), PackedContext::new(base));
    let (mut lists, mut events) = (Lists::default(), Vec::new());
    while !numbers.is_empty() {
        events.extend(context.take(&mut numbers, &mut lists)?.map(EventRef::to_event));
    }
    Ok(events)
}

/// Events that say much the same as those before them.
fn steady() -> Vec<Event> {
    let mut events = vec![];
    for run in 0..6u64 {
        let t = 1_000_000 + run * 2000;
        let budget = (run % 2 == 0).then_some(1 << 33);
        events.extend([
            Event::RunStart { run, plan: 0, t },
            Event::PoolAllocated { t: t + 1, pool: 4, id: run, offset: run * 4096, bytes: 4096 },
            Event::PoolAllocated { t: t + 1, pool: 4, id: run, offset: 17 * run, bytes: run },
            Event::Completed { run, plan: 0, op: run as u32, t: t + 7 },
            Event::RunEnd { run, t: t + 900, ok: run != 3 },
            Event::OpTimes { run, plan: 0, first_op: 0, times: vec![(t, t + 5), (t + 5, t + 9)] },
            Event::OpTimes { run, plan: 0, first_op: 2, times: vec![(t + 10, t + 15), (t + 16, t + 16)] },
            Event::OpTimes { run, plan: 0, first_op: 4, times: vec![] },
            Event::HeapSample { t: t + 950, heap: 1, size: 1 << 34, usage: 5 * run, budget },
            Event::HeapSample { t: t + 950, heap: 5, size: 1 << 30, usage: 3, budget: None },
            Event::PoolFreed { t: t + 960, pool: 4, id: run },
            Event::TraceCost { t: t + 970, ns: run * 10, run_ns: run * 900 },
        ]);
    }
    events
}

#[test]
fn every_kind_round_trips() {
    for events in [samples(), steady(), [steady(), samples(), steady()].concat()] {
        for base in [0, 77, u64::MAX] {
            assert_eq!(read(base, &write(base, &events)), Ok(events.clone()));
        }
    }
    for kind in EventKind::ALL {
        assert!(samples().iter().any(|event| event.kind() == kind), "{kind:?} has no sample");
    }
}

#[test]
fn truncation_never_panics() {
    let whole = [samples(), steady()].concat();
    let bytes = write(0, &whole);
    for end in 0..bytes.len() {
        if let Ok(events) = read(0, &bytes[..end]) {
            assert_eq!(events[..], whole[..events.len()]);
        }
    }
}

#[test]
fn what_follows_from_before_takes_no_bytes() {
    let start = |run| Event::RunStart { run, plan: 3, t: 1000 * run };
    let end = |run| Event::RunEnd { run, t: 1000 * run + 500, ok: true };
    let before = write(0, &[start(1)]).len();
    // A byte each and two for the time.
    assert_eq!(write(0, &[start(1), end(1), start(2)]).len(), before + 6);
    let block = |id| Event::PoolAllocated { t: id * 100, pool: 1, id, offset: id << 14, bytes: 1 << 14 };
    assert_eq!(write(0, &[block(1), block(2)]).len(), write(0, &[block(1)]).len() + 3);
    // Thirteen bits for each of 128 ops: no gaps, no bit that says which length.
    let mut t = 0;
    let times = (0..128).map(|op| {
        let start = t;
        t += 4096 + op * 31;
        (start, t)
    });
    let times = times.collect();
    let ops = Event::OpTimes { run: 0, plan: 0, first_op: 0, times };
    assert_eq!(write(0, core::slice::from_ref(&ops)).len(), 1 + 1 + 2 + 1 + 3 + 128 * 13 / 8);
}

#[test]
fn unknown_kinds_are_skipped_and_impossible_ones_refused() {
    let mut bytes = vec![21 | EARLIER, 3 << 1 | 1, 1, 2, 3, 31, 1];
    bytes.extend(write(0, &[Event::SessionEnd { t: 1 }]));
    assert_eq!(read(0, &bytes), Ok(vec![Event::SessionEnd { t: 1 }]));
    assert!(read(0, &[0, 1]).is_err());
    // More op times than an event may have, however few bytes follow.
    assert!(read(0, &[4 | SAME | MORE, 1, 2, 0xff, 1, 0, 0, 0]).is_err());
}

#[test]
fn long_texts_are_cut() {
    let message = |text| Event::Message { t: 0, level: Severity::Info, text };
    let bytes = write(0, &[message("ä".repeat(MAX_TEXT))]);
    assert_eq!(read(0, &bytes), Ok(vec![message("ä".repeat(MAX_TEXT / 2).to_string())]));
}
