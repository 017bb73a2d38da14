//! Every term against a plain reading of it; what is not understood says where and why.

use std::sync::Arc;

use bayplan_trace::{BufferKind, BufferRecord, PlanState};
use proptest::prelude::*;

use super::super::index::PlanIndex;
use super::terms::HINTS;
use super::{Filter, complete, hints, parse};
use crate::support;

/// The names of what a search keeps, in the order of the plan.
fn kept(text: &str, plan: &PlanState) -> Vec<String> {
    let mut filter = Filter::default();
    filter.set(text, Some((plan, &Arc::new(PlanIndex::of(plan)))));
    assert_eq!(filter.error(), None, "{text}");
    let numbers = (0u32..).zip(&plan.record.buffers);
    numbers.filter(|(at, _)| filter.keeps(*at)).map(|(_, buffer)| buffer.name.clone()).collect()
}

fn by_hand() -> PlanState {
    let mut record = support::by_hand();
    record.buffers[6].in_place_of = Some(5);
    record.buffers[1].dtype = "f16".to_owned();
    record.buffers[1].shape = "f16[2,512]".to_owned();
    PlanState::new(record)
}

#[test]
fn terms_keep_what_they_say() {
    let plan = by_hand();
    for (text, expect) in [
        ("", "tokens block/query block/key block/scores block/context block/up block/gelu logits"),
        ("  ", "tokens block/query block/key block/scores block/context block/up block/gelu logits"),
        ("query", "block/query"),
        ("QUERY", "block/query"),
        ("block e", "tokens block/query block/key block/scores block/context block/gelu"),
        ("softmax_4", "block/context block/up"),
        ("op:softmax", "block/key block/context block/up"),
        ("op:9", "logits"),
        ("op:99", ""),
        ("type:f16", "block/query"),
        ("type:f32[3", "block/gelu"),
        ("kind:input or kind:outputs", "tokens logits"),
        ("size>2KiB", "block/gelu"),
        ("size > 2 KiB", "block/gelu"),
        ("size >2048", "block/gelu"),
        ("size>=3072 size<=3kib", "block/gelu"),
        ("size<2048", ""),
        ("life>3", "block/context block/up"),
        ("life=2", "block/gelu logits"),
        ("born<1", "tokens"),
        ("dies>=9", "logits"),
        ("dies==2", "tokens"),
        ("offset>=7KiB", "block/scores"),
        ("at:3", "block/query block/key block/scores"),
        ("at:8..", "block/context logits"),
        ("at:..0", "tokens"),
        ("at:8..8", "block/context logits"),
        ("addr:2KiB..3KiB", "block/query block/context"),
        ("addr:0x1c00", "block/scores"),
        ("live at peak", "block/key block/scores block/context block/up"),
        ("peak not size<1KiB", "block/key block/scores block/context block/up"),
        ("never freed", "logits"),
        ("in place", "block/gelu"),
        ("deviates", ""),
        ("top 1", "block/gelu"),
        ("top 2", "tokens block/gelu"),
        ("top 0", ""),
        ("top 99 query", "block/query"),
        ("kind:output top 1", "logits"),
        ("not block/", ""),
        ("not op:gather", "block/query block/key block/scores block/context block/up block/gelu logits"),
        ("not not block/up", "block/up"),
        ("query or logits", "block/query logits"),
        ("block at:1 or kind:output", "tokens block/query logits"),
        ("\"block/up\"", "block/up"),
        ("\"live at\"", ""),
        ("arena:activ up", "block/up"),
        ("logits:0", ""),
        ("x/y:z", ""),
        ("\"no:such\"", ""),
        ("name:query", "block/query"),
        ("size>=3072 and size<=3kib", "block/gelu"),
        ("query or kind:output and life>1", "block/query logits"),
        ("\"and\"", ""),
    ] {
        assert_eq!(kept(text, &plan).join(" "), expect, "{text}");
    }
}

#[test]
fn what_windows_show_is_found_when_they_come() {
    let mut model = crate::picture_tests::small(false);
    model.search("deviates");
    assert_eq!((model.filter.is_on(), model.filter.count()), (true, 0));
    let mut windows = support::windows(&support::by_hand());
    support::plant_by_hand(&mut windows);
    model.apply(bayplan_trace::Record::Event(bayplan_trace::Event::Windows {
        t: 180_000_000,
        recording: 1,
        plan: 0,
        part: 0,
        windows,
    }));
    model.settle();
    let found = (0..8).filter(|at| model.filter.keeps(*at)).collect::<Vec<u32>>();
    assert_eq!(found, [2, 3, 4, 6], "key moved, scores late, gelu over the context");
}

#[test]
fn errors_say_where_and_why() {
    let plan = by_hand();
    for (text, place, words) in [
        ("query kind:weigth", 6..17, "kinds are activation, input"),
        ("size>", 0..5, "size>1MiB"),
        ("size>12parsec", 0..13, "the unit `parsec` is unknown"),
        ("life>1MiB", 0..9, "`1mib` is no whole number"),
        ("up or", 3..5, "between two terms"),
        ("or up", 0..2, "between two terms"),
        ("up not", 3..6, "wants a term behind it"),
        ("not or up", 0..3, "wants a term behind it"),
        ("op:", 0..3, "op:MatMul"),
        ("addr:5..4", 0..9, "FROM..TO"),
        ("addr:0xzz", 0..9, "0x400000"),
        ("at:x", 0..4, "`x` is no whole number"),
        ("top 3x", 4..6, "no whole number"),
        ("up foo:", 3..7, "there is no `foo:`, but op: type: kind:"),
        ("no:such", 0..7, "in quotes it is a word"),
        ("size:5", 0..6, "`size` is compared: size>10"),
        ("live at 5", 0..9, "at:5"),
        ("up live at", 3..10, "live at peak"),
        ("(peak)", 0..6, "there are no brackets"),
        ("!", 0..1, "write `not`"),
        ("peak !kind:weight", 5..17, "write `not`"),
        ("up | query", 3..4, "write `or`"),
        ("|", 0..1, "write `or`"),
        ("up && query", 3..5, "write `and`"),
        ("up and", 3..6, "between two terms"),
        ("and up", 0..3, "between two terms"),
        ("up and or query", 3..6, "between two terms"),
        ("not and up", 0..3, "wants a term behind it"),
    ] {
        let mut filter = Filter::default();
        let index = Arc::new(PlanIndex::of(&plan));
        filter.set("query", Some((&plan, &index)));
        filter.set(text, Some((&plan, &index)));
        let error = filter.error().unwrap_or_else(|| panic!("{text} is understood"));
        assert_eq!(error.place, place, "{text}: {error:?}");
        assert!(error.words.contains(words), "{text}: {error:?}");
        assert_eq!(filter.count(), 1, "what was found stays while it is mended");
        filter.set("", Some((&plan, &index)));
        assert!(filter.error().is_none() && !filter.is_on());
    }
}

#[test]
fn every_hint_is_a_search_and_completes() {
    for hint in HINTS {
        assert!(matches!(parse::parse(hint.example), Ok(Some(_))), "{hint:?}");
        assert!(hints(hint.example).contains(&hint) || hint.example.contains(' '), "{hint:?}");
    }
    assert_eq!(hints("").len(), HINTS.len());
    assert_eq!(complete("query si"), Some("query size>".to_owned()));
    assert_eq!((complete("query "), complete("xyz")), (None, None));
    assert_eq!(complete("n"), Some("never freed".to_owned()));
}

#[test]
fn words_of_events_are_searched_too() {
    let plan = by_hand();
    let check = |text: &str, words: &str, buffers: &[u32]| {
        let mut filter = Filter::default();
        filter.set(text, Some((&plan, &Arc::new(PlanIndex::of(&plan)))));
        filter.keeps_told(words, buffers)
    };
    assert!(check("", "run 4", &[]));
    assert!(check("FAILED run", "run 4 failed", &[]));
    assert!(!check("failed heap", "run 4 failed", &[]));
    assert!(check("failed or heap", "heap 0 is full", &[]));
    assert!(check("not heap", "run 4", &[]) && !check("not heap", "heap 0", &[]));
    // What is asked of tensors holds for what tells of such a tensor only.
    assert!(check("size>2KiB", "deviation", &[6]) && !check("size>2KiB", "deviation", &[0]));
    assert!(!check("size>2KiB", "run 4", &[]) && !check("not size>2KiB", "run 4", &[]));
}

fn buffers() -> impl Strategy<Value = Vec<BufferRecord>> {
    let kinds = [BufferKind::Activation, BufferKind::Weight, BufferKind::Input, BufferKind::Output];
    let one = (0u64..5, 0u64..6, 0u32..9, 0u32..9, 0usize..4, any::<bool>());
    prop::collection::vec(one, 0..12).prop_map(move |all| {
        let buffer =
            |(at, (offset, size, a, b, kind, in_place)): (usize, (u64, u64, u32, u32, usize, bool))| {
                BufferRecord {
                    name: format!("t{at}"),
                    kind: kinds[kind],
                    dtype: if in_place { "f16" } else { "f32" }.to_owned(),
                    offset: offset * 1024,
                    size: size * 1024,
                    first: a.min(b),
                    last: a.max(b),
                    in_place_of: in_place.then_some(0),
                    ..BufferRecord::default()
                }
            };
        all.into_iter().enumerate().map(buffer).collect()
    })
}

/// A search and a plain reading of it.
type Reading = (String, Box<dyn Fn(&BufferRecord) -> bool>);

fn readings(value: u64) -> Vec<Reading> {
    let ops = u32::try_from(value).unwrap_or(0);
    let bytes = value * 1024;
    vec![
        (format!("size>{value}KiB"), Box::new(move |b| b.size > bytes)),
        (format!("size<={bytes}"), Box::new(move |b| b.size <= bytes)),
        (format!("offset={value}k"), Box::new(move |b| b.offset == bytes)),
        (format!("life>={value}"), Box::new(move |b| b.last - b.first >= ops)),
        (format!("born<{value}"), Box::new(move |b| b.first < ops)),
        (format!("dies>{value}"), Box::new(move |b| b.last > 0 && b.last - 1 > ops)),
        (format!("at:{value}"), Box::new(move |b| (b.first..b.last).contains(&ops))),
        (
            format!("addr:{value}KiB..{}KiB", value + 2),
            Box::new(move |b| {
                (b.offset..b.offset + b.size).any(|byte| (bytes..bytes + 2048).contains(&byte))
            }),
        ),
        ("kind:weight".to_owned(), Box::new(|b| b.kind == BufferKind::Weight)),
        ("type:F16".to_owned(), Box::new(|b| b.dtype == "f16")),
        ("in place".to_owned(), Box::new(|b| b.in_place_of.is_some())),
        ("never freed".to_owned(), Box::new(|b| b.last > b.first && b.last == 8)),
        (format!("t{value}"), Box::new(move |b| b.name.contains(&format!("t{value}")))),
    ]
}

proptest! {
    #[test]
    fn any_text_is_understood_or_refused_in_place(text in any::<String>()) {
        check_any(&text)?;
    }

    #[test]
    fn any_terms_are_understood_or_refused_in_place(
        parts in prop::collection::vec(prop::sample::select(vec![
            "size", ">", "<=", "=", "size>1MiB", "1", "MiB", "op:", "op:Mat", "not", "or", "\"", "top", "20", "at:", "addr:",
            "0x", "..", "4MiB..5MiB", "live", "at", "peak", "never", "freed", "in", "place", ":", "kind:weight", "中", " ", "and", "(", "|", "!", "foo:",
        ]), 0..12),
        blank in any::<bool>(),
    ) {
        check_any(&parts.join(if blank { " " } else { "" }))?;
    }

    #[test]
    fn terms_are_read_plainly(buffers in buffers(), value in 0u64..9, which in (0usize..13, 0usize..13), how in 0u8..4) {
        let ops = vec![bayplan_trace::OpRecord::default(); 8];
        let arenas = vec![bayplan_trace::ArenaRecord { size: 1 << 20, ..Default::default() }];
        let plan = PlanState::new(bayplan_trace::PlanRecord { arenas, buffers, ops, ..Default::default() });
        let (a, b) = (readings(value).swap_remove(which.0), readings(value / 2).swap_remove(which.1));
        let text = match how {
            0 => a.0.clone(),
            1 => format!("{} {}", a.0, b.0),
            2 => format!("{} or {}", a.0, b.0),
            _ => format!("{} not {}", a.0, b.0),
        };
        let reads = |buffer: &BufferRecord| match how {
            0 => (a.1)(buffer),
            1 => (a.1)(buffer) && (b.1)(buffer),
            2 => (a.1)(buffer) || (b.1)(buffer),
            _ => (a.1)(buffer) && !(b.1)(buffer),
        };
        let expect: Vec<String> =
            plan.record.buffers.iter().filter(|buffer| reads(buffer)).map(|buffer| buffer.name.clone()).collect();
        prop_assert_eq!(kept(&text, &plan), expect, "{}", text);
        // The largest of them: as many as there are, and none left out is larger.
        let top = kept(&format!("{text} top 2"), &plan);
        if how != 2 {
            let mut sizes: Vec<u64> = plan.record.buffers.iter().filter(|b| reads(b) && b.size > 0).map(|b| b.size).collect();
            sizes.sort_unstable_by(|a, b| b.cmp(a));
            sizes.truncate(2);
            let mut found: Vec<u64> =
                plan.record.buffers.iter().filter(|b| top.contains(&b.name)).map(|b| b.size).collect();
            found.sort_unstable_by(|a, b| b.cmp(a));
            prop_assert_eq!(found, sizes);
        }
    }
}

fn check_any(text: &str) -> Result<(), TestCaseError> {
    let (plan, mut filter) = (by_hand(), Filter::default());
    filter.set(text, Some((&plan, &Arc::new(PlanIndex::of(&plan)))));
    if let Some(error) = filter.error() {
        prop_assert!(
            text.get(error.place.clone()).is_some_and(|part| !part.is_empty()),
            "{:?} in {:?}",
            error,
            text
        );
        prop_assert!(!error.words.chars().any(char::is_control), "{:?}", error);
    }
    let _ = (hints(text), complete(text));
    Ok(())
}

/// A list of ops holds the ops that are asked for, not those beside them that share a tensor; what is asked of tensors must
/// hold for one of theirs.
#[test]
fn ops_that_are_asked_for_are_kept_alone() {
    let plan = by_hand();
    let ops = |text: &str| -> Vec<u32> {
        let mut filter = Filter::default();
        filter.set(text, Some((&plan, &Arc::new(PlanIndex::of(&plan)))));
        let ops = (0u32..).zip(&plan.record.ops);
        ops.filter(|(number, op)| filter.keeps_op(*number, op)).map(|(number, _)| number).collect()
    };
    let called = |word: &str| -> Vec<u32> {
        let ops = (0u32..).zip(&plan.record.ops);
        ops.filter(|(_, op)| op.source_op.to_lowercase() == word).map(|(number, _)| number).collect()
    };
    let all = ops("");
    assert_eq!(all.len(), plan.record.ops.len());
    let softmax = called("softmax");
    assert!(!softmax.is_empty() && ops("op:softmax") == softmax, "{softmax:?}");
    assert_eq!(ops("op:9"), [9]);
    assert_eq!(ops("op:softmax or op:9"), [softmax.clone(), vec![9]].concat());
    let others: Vec<u32> = all.iter().copied().filter(|op| !softmax.contains(op)).collect();
    assert_eq!(ops("not op:softmax"), others);
    assert!(ops("op:softmax size>1GiB").is_empty());
    let touching = |op: &u32| {
        let op = &plan.record.ops[*op as usize];
        op.reads.iter().chain(&op.writes).any(|buffer| *buffer == 6)
    };
    assert_eq!(ops("size>2KiB"), all.into_iter().filter(touching).collect::<Vec<_>>());
}
