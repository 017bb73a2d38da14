use std::sync::Arc;

use bayplan_plan::{Effort, validate};
use bayplan_trace::{
    ArenaRecord, BufferKind, BufferRecord, DimBinding, OpRecord, PlanRecord, Storage, storages,
};
use proptest::prelude::*;

use super::*;
use crate::support::{by_hand, encoder};

fn subject(record: &PlanRecord) -> Subject {
    record.validate().unwrap();
    Subject::new(Arc::new(record.clone()), 0)
}

fn ask(record: &PlanRecord, edits: &[Edit]) -> Answer {
    Answer::of(&subject(record), edits).unwrap()
}

/// No two that live together share a byte; all of it in the arena. Says so without the planner.
fn sound(answer: &Answer) {
    for (at, a) in answer.placed.iter().enumerate() {
        assert!(
            a.offset.is_multiple_of(a.alignment) && a.offset + a.size <= answer.arena.1.max(a.offset),
            "{a:?}"
        );
        for b in &answer.placed[at + 1..] {
            let together = a.first < b.last && b.first < a.last;
            let share = a.offset < b.offset + b.size && b.offset < a.offset + a.size;
            assert!(!(together && share && a.size > 0 && b.size > 0), "{a:?} {b:?}");
        }
    }
}

/// A network drawn at random, planned as the planner would: `draws` are for each op what it reads, its size in units, and
/// whether it computes in place.
fn network(draws: &[(Vec<u8>, u16, bool)]) -> PlanRecord {
    let ops = draws.len() as u32 + 1;
    let input = BufferRecord {
        name: "input".to_owned(),
        kind: BufferKind::Input,
        size: 640,
        size_expr: "640".to_owned(),
        alignment: 64,
        first: 0,
        last: 1,
        ..BufferRecord::default()
    };
    let mut plan = PlanRecord {
        arenas: vec![ArenaRecord { name: "a".to_owned(), alignment: 64, ..ArenaRecord::default() }],
        buffers: vec![input],
        ops: vec![OpRecord::default(); ops as usize],
        dims: vec![DimBinding { name: "n".to_owned(), value: 16 }],
        ..PlanRecord::default()
    };
    let made = |plan: &mut PlanRecord, op: u32, reads: &[u8], units: u64, in_place: bool| {
        let number = plan.buffers.len() as u32;
        let reads: Vec<u32> = reads.iter().map(|read| u32::from(*read) % number).collect();
        for &read in &reads {
            let read = &mut plan.buffers[read as usize];
            read.last = read.last.max(op + 1);
        }
        // Only what nobody has overwritten yet may be overwritten, and nobody reads it afterwards: checked below.
        let operand = reads.first().copied().filter(|_| in_place);
        let size = operand.map_or(units * 16 * 64, |operand| plan.buffers[operand as usize].size);
        plan.buffers.push(BufferRecord {
            name: format!("t{number}"),
            size,
            size_expr: format!("{}*n", size / 16),
            alignment: 64,
            first: op,
            last: op + 1,
            in_place_of: operand,
            ..BufferRecord::default()
        });
        plan.ops[op as usize].reads = reads;
        plan.ops[op as usize].writes = vec![number];
    };
    for (op, (reads, units, in_place)) in (0..).zip(draws) {
        made(&mut plan, op, reads, u64::from(*units), *in_place);
    }
    made(&mut plan, ops - 1, &[draws.len() as u8], 1, false);
    let output = plan.buffers.last_mut().unwrap();
    (output.kind, output.last) = (BufferKind::Output, ops);
    // In place only where the operand dies there and is nobody else's.
    let mut taken = vec![false; plan.buffers.len()];
    for number in 0..plan.buffers.len() {
        let Some(operand) = plan.buffers[number].in_place_of.map(|operand| operand as usize) else {
            continue;
        };
        let dies = plan.buffers[operand].last == plan.buffers[number].first + 1;
        let twice = plan.ops[plan.buffers[number].first as usize].reads.len() > 1;
        if !dies || twice || taken[operand] || plan.buffers[operand].kind == BufferKind::Input {
            plan.buffers[number].in_place_of = None;
        } else {
            taken[operand] = true;
        }
    }
    place(&mut plan);
    plan
}

/// Places what a network has by the planner, results in place on their operands.
fn place(plan: &mut PlanRecord) {
    plan.arenas[0].size = u64::MAX;
    let subject = Subject::new(Arc::new(PlanRecord { ..plan.clone() }), 0);
    // All begin at 0: what is in place shares its bytes with its operand, nothing else is bundled.
    let wanted = subject.wanted(&[]).unwrap();
    let (tied, members) = subject.tied(&wanted).unwrap();
    let solved = bayplan_plan::solve(&tied, Effort::Normal);
    validate(&tied, &solved).unwrap();
    let offsets = subject.unbundled(&wanted, &members, &solved.offsets);
    for (row, offset) in subject.placed.iter().zip(offsets) {
        plan.buffers[row.buffer as usize].offset = offset;
    }
    plan.arenas[0].size = solved.peak;
    plan.arenas[0].lower_bound = solved.lower_bound.bytes;
}

fn networks() -> impl Strategy<Value = PlanRecord> {
    let op = (prop::collection::vec(any::<u8>(), 1..4), 1u16..40, any::<bool>());
    prop::collection::vec(op, 1..24).prop_map(|draws| network(&draws))
}

/// The order in which operators read what others wrote, by what each buffer is read after.
fn keeps_data(record: &PlanRecord, order: &[u32]) -> bool {
    let mut at = vec![0; order.len()];
    for (position, &op) in order.iter().enumerate() {
        at[op as usize] = position;
    }
    let written = |buffer: &u32| record.ops.iter().position(|op| op.writes.contains(buffer));
    record.ops.iter().zip(0..).all(|(op, number): (&OpRecord, usize)| {
        op.reads
            .iter()
            .all(|read| written(read).is_none_or(|writer| writer >= number || at[writer] < at[number]))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn nothing_asked_is_no_larger(record in networks()) {
        let answer = ask(&record, &[]);
        sound(&answer);
        prop_assert!(answer.arena.1 <= answer.arena.0);
        prop_assert_eq!(answer.bound.0, answer.bound.1);
        prop_assert!(answer.bound.1 <= answer.arena.1);
        prop_assert_eq!(answer.bound.0, bayplan_trace::arena_metrics(&record)[0].peak_live);
    }

    #[test]
    fn less_never_needs_more(record in networks(), draw in any::<prop::sample::Index>()) {
        let rows: Vec<Storage> = storages(&record, 0).collect();
        let buffer = rows[draw.index(rows.len())].buffer;
        let (half, gone) = (ask(&record, &[Edit::Halve(buffer)]), ask(&record, &[Edit::Drop(buffer)]));
        sound(&half);
        sound(&gone);
        prop_assert!(gone.bound.1 <= half.bound.1 && half.bound.1 <= half.bound.0);
        prop_assert!(gone.arena.1 <= gone.arena.0 && half.arena.1 <= half.arena.0);
        prop_assert!(gone.bound.1 <= gone.arena.1);
        prop_assert_eq!(gone.placed.len() + 1, rows.len());
        prop_assert!(gone.placed.iter().all(|row| row.buffer != buffer));
        // What is proved is so: no more than the difference of the bounds can be gained.
        if gone.proof == Proof::Least {
            prop_assert!(gone.arena.1 >= gone.bound.1);
        }
        // One after the other is both at once.
        let both = ask(&record, &[Edit::Halve(buffer), Edit::Drop(buffer)]);
        prop_assert_eq!(both.placed, gone.placed);
    }

    #[test]
    fn reliefs_are_what_the_edits_give(record in networks()) {
        let subject = subject(&record);
        let because = Because::of(&subject, &[]).unwrap();
        prop_assert!(!because.reasons.is_empty());
        let live: u64 = because.reasons.iter().map(|reason| reason.size).sum();
        prop_assert_eq!(live + because.padding, because.bound);
        for reason in &because.reasons {
            // Sizes are multiples of the alignment: the bound is a plain sum.
            let gone = Answer::of(&subject, &[Edit::Drop(reason.buffer)]).unwrap();
            prop_assert_eq!(because.bound - gone.bound.1, reason.without);
            prop_assert!(reason.halved <= reason.without && reason.without <= reason.size);
            prop_assert!(reason.regret.at_least <= reason.regret.at_most);
            prop_assert!(because.peak - gone.arena.1 <= reason.regret.at_most);
        }
        let sorted = because.reasons.is_sorted_by_key(|reason| std::cmp::Reverse(reason.without));
        prop_assert!(sorted);
    }

    /// What is changed is explained as it would be if it had been recorded so.
    #[test]
    fn what_is_changed_is_explained(record in networks(), draw in any::<prop::sample::Index>(), kind in 0u8..4) {
        let subject = subject(&record);
        let rows: Vec<Storage> = storages(&record, 0).collect();
        let buffer = rows[draw.index(rows.len())].buffer;
        let edit = match kind {
            0 => Edit::Drop(buffer),
            1 => Edit::Halve(buffer),
            2 => Edit::Order,
            _ => Edit::At(buffer, 64 * 64),
        };
        let answer = Answer::of(&subject, std::slice::from_ref(&edit)).unwrap();
        let Ok(because) = Because::of(&subject, std::slice::from_ref(&edit)) else {
            prop_assert!(answer.placed.is_empty());
            return Ok(());
        };
        prop_assert_eq!(because.peak, answer.arena.1);
        prop_assert!(because.bound >= answer.bound.1 && because.bound <= because.peak);
        // Each reason is what is left of its tensor.
        let size = |buffer: u32| answer.placed.iter().find(|row| row.buffer == buffer).map(|row| row.size);
        for reason in &because.reasons {
            prop_assert_eq!(size(reason.buffer), Some(reason.size));
            let both = Answer::of(&subject, &[edit.clone(), Edit::Drop(reason.buffer)]).unwrap();
            if kind < 2 {
                prop_assert!(both.bound.1 <= because.bound - reason.without);
            }
            if both.proof == Proof::Least && kind < 2 {
                prop_assert!(because.peak - both.arena.1 <= reason.regret.at_most);
                prop_assert!(because.peak - both.arena.1 >= reason.regret.at_least);
            }
        }
        // The operator that shows the bound is one at which so much lives, in whatever order they run.
        if because.padding == 0 && kind < 3 {
            let order = subject.wanted(std::slice::from_ref(&edit)).unwrap().order;
            let at = order.map_or(because.witness, |order| {
                order.iter().position(|op| *op == because.witness).unwrap() as u32
            });
            let live = answer.placed.iter().filter(|row| (row.first..row.last).contains(&at));
            prop_assert_eq!(live.map(|row| row.size).sum::<u64>(), because.bound);
        }
    }

    #[test]
    fn own_dims_give_the_recorded_sizes(record in networks(), value in 1i64..64) {
        let same = ask(&record, &[Edit::Dim("n".to_owned(), 16)]);
        let recorded: Vec<(u32, u64)> = storages(&record, 0).map(|row| (row.buffer, row.size)).collect();
        prop_assert_eq!(same.placed.iter().map(|row| (row.buffer, row.size)).collect::<Vec<_>>(), recorded);
        prop_assert_eq!(same.bound.0, same.bound.1);
        let other = ask(&record, &[Edit::Dim("n".to_owned(), value)]);
        sound(&other);
        for row in other.placed.iter().filter(|row| row.buffer > 0) {
            prop_assert_eq!(row.size * 16, record.buffers[row.buffer as usize].size * value as u64);
        }
        prop_assert_eq!(other.bound.1 >= other.bound.0, value >= 16 || other.bound.1 == other.bound.0);
    }

    #[test]
    fn other_orders_keep_what_is_handed_on(record in networks(), draw in any::<prop::sample::Index>()) {
        let subject = subject(&record);
        let network = network::Network::new(&record, &subject.placed).unwrap();
        // The recorded order gives the recorded lives.
        let given: Vec<u32> = (0..record.ops.len() as u32).collect();
        let lives: Vec<_> = subject.placed.iter().map(|row| Some((row.first, row.last))).collect();
        prop_assert_eq!(network.lives(&given), lives);
        let buffer = subject.placed[draw.index(subject.placed.len())].buffer;
        // What a tensor hands on keeps its order, even where the tensor is gone.
        let gone = subject.wanted(&[Edit::Drop(buffer), Edit::Order]).unwrap();
        prop_assert!(gone.order.is_none_or(|order| keeps_data(&record, &order)));
        for edit in [Edit::Order, Edit::Late(buffer)] {
            let Ok(wanted) = subject.wanted(std::slice::from_ref(&edit)) else {
                prop_assert_eq!(edit, Edit::Late(0));
                continue;
            };
            if let Some(order) = &wanted.order {
                let mut sorted = order.clone();
                sorted.sort_unstable();
                prop_assert_eq!(&sorted, &given);
                prop_assert!(keeps_data(&record, order), "{:?}", order);
            }
            let answer = Answer::of(&subject, &[edit]).unwrap();
            sound(&answer);
            prop_assert_eq!(answer.placed.len(), subject.placed.len());
        }
    }

    #[test]
    fn what_is_fixed_lies_there(record in networks(), draw in any::<prop::sample::Index>(), units in 0u64..200) {
        let rows: Vec<Storage> = storages(&record, 0).collect();
        let row = rows[draw.index(rows.len())];
        let answer = ask(&record, &[Edit::At(row.buffer, units * 64)]);
        sound(&answer);
        let placed = answer.placed.iter().find(|placed| placed.buffer == row.buffer).unwrap();
        prop_assert_eq!(placed.offset, units * 64);
        prop_assert!(answer.arena.1 >= units * 64 + row.size);
        prop_assert!(answer.bound.1 <= answer.arena.1);
    }

    #[test]
    fn results_in_place_stay_on_their_operands(record in networks(), draw in any::<prop::sample::Index>()) {
        let rows: Vec<Storage> = storages(&record, 0).collect();
        let buffer = rows[draw.index(rows.len())].buffer;
        for edits in [vec![], vec![Edit::Order], vec![Edit::At(buffer, 6400)], vec![Edit::Dim("n".to_owned(), 40)]] {
            let answer = ask(&record, &edits);
            let offset = |number: u32| answer.placed.iter().find(|row| row.buffer == number).map(|row| row.offset);
            for (number, buffer) in (0..).zip(&record.buffers) {
                if let (Some(own), Some(operand)) = (offset(number), buffer.in_place_of.and_then(offset)) {
                    prop_assert_eq!(own, operand, "{} of {:?}", number, edits);
                }
            }
        }
    }
}

#[test]
fn the_small_plan_is_answered() {
    let record = by_hand();
    let because = Because::of(&subject(&record), &[]).unwrap();
    assert_eq!((because.peak, because.bound, because.witness, because.padding), (9 << 10, 8 << 10, 4, 0));
    assert_eq!((because.reasons.len(), because.anew), (4, Some(8 << 10)));
    // Without gelu (op 6) nothing is gained at op 4; 8 KiB live at op 4 and 7 KiB at op 6.
    let without: Vec<u64> = because.reasons.iter().map(|reason| reason.without >> 10).collect();
    assert_eq!(without, [2, 2, 1, 1]);
    let answer = ask(&record, &[]);
    // By hand it was placed badly: it can be done within the bound.
    assert_eq!((answer.arena, answer.proof), ((9 << 10, 8 << 10), Proof::Least));
}

#[test]
fn another_order_is_found_where_there_is_one() {
    // Two chains with a large tensor each: one after the other, only one of them is there at a time.
    let op = |reads: &[u32], write: u32| OpRecord {
        reads: reads.to_vec(),
        writes: vec![write],
        ..OpRecord::default()
    };
    let buffer =
        |size: u64, first, last| BufferRecord { size, alignment: 1, first, last, ..BufferRecord::default() };
    let mut record = PlanRecord {
        arenas: vec![ArenaRecord::default()],
        ops: vec![op(&[], 0), op(&[0], 1), op(&[0], 2), op(&[1], 3), op(&[2], 4), op(&[3, 4], 5)],
        buffers: vec![
            buffer(8, 0, 3),
            buffer(100, 1, 4),
            buffer(100, 2, 5),
            buffer(1, 3, 6),
            buffer(1, 4, 6),
            buffer(1, 5, 6),
        ],
        ..PlanRecord::default()
    };
    place(&mut record);
    let answer = ask(&record, &[Edit::Order]);
    assert_eq!((answer.arena, answer.bound, answer.proof), ((208, 109), (208, 109), Proof::Least));
    assert_eq!(answer.notes, ["no order of the operators needs less than 109 B"]);
    // One op as late as it may: the second large tensor after the first one has gone.
    assert_eq!(ask(&record, &[Edit::Late(2)]).arena.1, 109);
    let gone = ask(&record, &[Edit::Drop(1)]);
    assert_eq!((gone.bound.1, gone.arena.1), (108, 108));
}

/// With changes in force, what is asked is held against the plan as it is changed, and what is gone is asked nothing.
#[test]
fn questions_follow_what_is_changed() {
    let record = by_hand();
    let mut asked = Asked::of((0, 0));
    asked.tensor = Some(5);
    let learn = |asked: &mut Asked, edits: &[Edit]| {
        asked.know(edits, Because::of(&subject(&record), edits));
        asked.learn(edits, Answer::of(&subject(&record), edits).map(|answer| Brief::from(&answer)));
    };
    learn(&mut asked, &[]);
    let half = Brief::from(&Answer::of(&subject(&record), &[Edit::Halve(5)]).unwrap());
    assert_eq!((asked.before(&half), half.arena.1), (Some(9 << 10), 7 << 10));
    let questions = |asked: &Asked| -> Vec<Edit> {
        let rows = asked.rows(&record, 0).into_iter();
        rows.filter_map(|row| if let Row::Question(edit) = row { edit } else { None }).collect()
    };
    let before = questions(&asked);
    assert!(
        before.contains(&Edit::Drop(5)) && before.contains(&Edit::Halve(5)) && before.contains(&Edit::Order)
    );
    // It lies at the bottom: it may go to the top, or where one points, aligned.
    assert!(before.contains(&Edit::At(5, 7 << 10)) && !before.contains(&Edit::At(5, 0)), "{before:?}");
    asked.place = Some((4 << 10) + 1);
    assert!(questions(&asked).contains(&Edit::At(5, 4 << 10)));
    asked.edits = asked.with(Some(&Edit::Halve(5)));
    learn(&mut asked, &[Edit::Halve(5)]);
    let halved = questions(&asked);
    assert!(halved.contains(&Edit::Drop(5)) && !halved.contains(&Edit::Halve(5)), "{halved:?}");
    // None of it stands in for half of it, and nothing else is asked of it then.
    asked.edits = asked.with(Some(&Edit::Drop(5)));
    assert_eq!(asked.edits, [Edit::Drop(5)]);
    assert!(asked.because().is_none() && asked.before(&half).is_none());
    learn(&mut asked, &[Edit::Drop(5)]);
    assert_eq!(asked.before(&half), Some(6 << 10));
    assert_eq!(half.words_from(6 << 10), "7.00 KiB, +1.00 KiB (+16.7 %)");
    assert!(questions(&asked).iter().all(|edit| edit.tensor() != Some(5)));
    let rows = asked.rows(&record, 0);
    assert!(rows.contains(&Row::Back(Edit::Drop(5))) && !rows.contains(&Row::Offset(5)));
    assert!(!rows.contains(&Row::Question(None)), "it is planned anew as it is");
    assert_eq!(asked.asks(&Row::Back(Edit::Drop(5))), Some(vec![]));
    // The explanation before is still known.
    asked.edits.clear();
    assert_eq!(asked.because().unwrap().as_ref().unwrap().bound, 8 << 10);
    // Of a tensor that is listed twice, as reason and as question, both figures are those of the plan without it.
    let because = asked.because().unwrap().as_ref().unwrap().clone();
    for reason in &because.reasons {
        learn(&mut asked, &[Edit::Drop(reason.buffer)]);
        let brief = asked.answer(&[Edit::Drop(reason.buffer)]).unwrap().as_ref().unwrap();
        let gain = asked.gain(&because, reason);
        assert_eq!(gain.at_least, brief.arena.0 - brief.arena.1);
        assert_eq!(gain.exact().is_some(), brief.proof == Proof::Least, "{gain:?}");
    }
}

#[test]
fn places_are_typed() {
    let record = by_hand();
    let align = record.buffers[5].alignment;
    assert!(align > 1);
    assert_eq!(typed_offset(" 2 KiB ", 5, &record), Ok(Edit::At(5, 2048)));
    assert_eq!(typed_offset("0x800", 5, &record), Ok(Edit::At(5, 2048)));
    for (text, words) in [
        ("", "nothing was typed"),
        ("0xzz", "0xzz is no offset: write it like 2.5 MiB or 0x280000"),
        ("\u{1b}", "\\x1b is no offset"),
        ("-1", "-1 is no offset"),
        ("1 EiB1", "1 EiB1 is no offset"),
        ("2049", "it can begin at multiples of "),
    ] {
        let error = typed_offset(text, 5, &record).unwrap_err();
        assert!(error.starts_with(words), "{text}: {error}");
    }
}

#[test]
fn pieces_stay_together() {
    let mut record = by_hand();
    let gelu = record.buffers.iter().position(|buffer| buffer.name == "block/gelu").unwrap();
    let mut later = record.buffers[gelu].clone();
    (record.buffers[gelu].size, later.size) = (1 << 10, 2 << 10);
    (later.name, later.offset, later.first) = ("block/gelu[1]".to_owned(), 5 << 10, 7);
    record.buffers.push(later);
    let number = record.buffers.len() as u32 - 1;
    record.ops[7].writes.push(number);
    for edits in [vec![], vec![Edit::Drop(4)], vec![Edit::At(gelu as u32, 512)], vec![Edit::At(number, 1536)]]
    {
        let answer = ask(&record, &edits);
        sound(&answer);
        let offset = |buffer| answer.placed.iter().find(|row| row.buffer == buffer).unwrap().offset;
        assert_eq!(offset(number), offset(gelu as u32) + 1024, "{edits:?}");
    }
    let refused = Answer::of(&subject(&record), &[Edit::At(number, 512)]).unwrap_err();
    assert_eq!(refused, "what it lies on would begin below 0");
}

#[test]
fn what_cannot_be_answered_is_said() {
    let record = by_hand();
    let refused = |record: &PlanRecord, edit: Edit| Answer::of(&subject(record), &[edit]).unwrap_err();
    let dim = |name: &str, value| Edit::Dim(name.to_owned(), value);
    assert_eq!(refused(&record, dim("seq", 3)), "this recording names no dims: the model's shapes are fixed");
    let mut symbolic = record.clone();
    symbolic.dims = vec![DimBinding { name: "seq".to_owned(), value: 2 }];
    assert_eq!(refused(&symbolic, dim("a\u{1b}b", 3)), "this plan has no dim a\\x1bb");
    assert_eq!(refused(&symbolic, dim("seq", 0)), "seq cannot be 0");
    for buffer in &mut symbolic.buffers {
        buffer.size_expr = "1024*(".to_owned();
    }
    let words = "this recording does not say how sizes follow from the dims";
    assert_eq!(refused(&symbolic, dim("seq", 3)), words);
    let mut huge = record.clone();
    (huge.arenas[0].size, huge.buffers[0].size) = (u64::MAX, u64::MAX);
    assert!(refused(&huge, Edit::Drop(1)).starts_with("that cannot be placed: "));
    let mut silent = record.clone();
    for op in &mut silent.ops {
        (op.reads, op.writes) = (vec![], vec![]);
    }
    let words = "this recording does not say which operator reads and writes which tensor";
    assert_eq!(refused(&silent, Edit::Order), words);
    assert_eq!(refused(&record, Edit::Drop(99)), "that tensor has no bytes of its own in this arena");
    assert_eq!(refused(&PlanRecord::default(), Edit::Order), "nothing lives in this arena");
    assert_eq!(refused(&encoder(1), Edit::At(1, 0)), "that tensor has no bytes of its own in this arena");
    // Places that overlap are no plan; the bound still is one.
    let mut broken = record;
    broken.buffers[2].offset = 0;
    assert!(
        Because::of(&subject(&broken), &[])
            .unwrap_err()
            .starts_with("the recorded places are no valid plan: ")
    );
    sound(&ask(&broken, &[]));
}

#[test]
fn of_very_many_the_bound_is_told() {
    let buffer = BufferRecord { size: 64, alignment: 64, last: 1, ..BufferRecord::default() };
    let record = PlanRecord {
        arenas: vec![ArenaRecord { size: 64 << 20, ..ArenaRecord::default() }],
        ops: vec![OpRecord::default()],
        buffers: (0..=MOST_PLACED as u64)
            .map(|at| BufferRecord { offset: at * 64, ..buffer.clone() })
            .collect(),
        ..PlanRecord::default()
    };
    let answer = ask(&record, &[Edit::Halve(0)]);
    assert_eq!(answer.proof, Proof::Unplaced);
    // A bound is no size: what it tells of the saving is the most that it can be.
    let brief = Brief { arena: (60 << 10, 15 << 10), ..Brief::from(&answer) };
    assert_eq!(brief.words(), "at least 15.0 KiB, −45.0 KiB at most (−75.0 %)");
    assert_eq!(brief.words_from(15 << 10), "at least 15.0 KiB, no smaller than now");
    assert_eq!(brief.words_from(10 << 10), "at least 15.0 KiB, +5.00 KiB or more (+50.0 %)");
    let mut asked = Asked::of((0, 0));
    asked.edits.push(Edit::Halve(0));
    asked.learn(&[Edit::Halve(0)], Ok(brief));
    let words = asked.changed_words(&record, 100);
    assert!(words.ends_with(": at least 15.0 KiB, −45.0 KiB at most"), "{words}");
    assert!(asked.changed_words(&record, 40).ends_with(": −45.0 KiB at most"));
    assert_eq!(answer.bound, (64 * 100_001, 64 * 100_001 - 32));
    assert_eq!(answer.notes.len(), 1);
    let subject = subject(&record);
    assert!(answer.ghost(&subject, (0, 0), String::new()).is_none());
}

#[test]
fn an_answer_is_a_ghost() {
    let record = by_hand();
    let subject = subject(&record);
    let answer = Answer::of(&subject, &[Edit::Drop(2), Edit::Halve(3)]).unwrap();
    let ghost = answer.ghost(&subject, (0, 0), "x".to_owned()).unwrap();
    assert_eq!((ghost.counts().removed, ghost.counts().resized, ghost.counts().added), (1, 1, 0));
    assert!(ghost.is_gone(2) && !ghost.is_gone(3));
    assert_eq!(ghost.size(), answer.arena.1);
}
