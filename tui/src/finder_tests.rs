//! Searching and ordering many tensors beside drawing: keys are answered meanwhile, a newer question takes the place of an
//! older one, and what comes of it is what comes of doing it on the spot.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bayplan_trace::{ArenaKind, ArenaRecord, BufferKind, BufferRecord, Event, OpRecord, PlanRecord, Record};
use proptest::prelude::*;

use crate::events::Message;
use crate::finder::Finder;
use crate::input_tests::{draw, press};
use crate::model::Model;
use crate::model::beside::{Answer, Job};
use crate::model::lists::ListKind;
use crate::model::task::Task;
use crate::support;
use crate::watch::Watch;

/// Longer than anything here takes on a machine that does other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tensors of a plan that is large for a test.
const MANY: u32 = 1500;

/// A plan of so many tensors in two arenas, no two of which lie on the same bytes. Sizes, lives and types repeat.
fn plan(tensors: u32) -> PlanRecord {
    let arena = |name: &str, kind| ArenaRecord {
        name: name.to_owned(),
        kind,
        size: u64::from(tensors) << 12,
        alignment: 256,
        ..ArenaRecord::default()
    };
    let buffer = |number: u32| {
        let (first, size) = (number * 7 % 50, 256 * u64::from(1 + number * 13 % 11));
        BufferRecord {
            name: format!("layer.{}/part_{}", number * 31 % 97, number % 8),
            arena: u32::from(number % 5 == 4),
            kind: if number.is_multiple_of(9) { BufferKind::Output } else { BufferKind::Activation },
            dtype: if number.is_multiple_of(3) { "f16" } else { "f32" }.to_owned(),
            shape: format!("f32[{}]", size / 4),
            size,
            offset: u64::from(number) << 12,
            alignment: 256,
            first,
            last: first + 1 + number % 9,
            ..BufferRecord::default()
        }
    };
    PlanRecord {
        model: "many".to_owned(),
        arenas: vec![arena("activations", ArenaKind::Activations), arena("weights", ArenaKind::Weights)],
        ops: vec![OpRecord::default(); 60],
        buffers: (0..tensors).map(buffer).collect(),
        ..PlanRecord::default()
    }
}

fn model(tensors: u32) -> Model {
    let plan = plan(tensors);
    let windows = support::windows(&plan);
    crate::picture_tests::model(support::records(&plan, windows, 7))
}

/// A viewer that does it on the spot.
fn here(view: usize) -> Watch {
    let mut watch = Watch::of(model(MANY), view);
    draw(&mut watch);
    watch
}

/// One that has a thread for it.
fn beside(view: usize) -> (Watch, Receiver<Message>) {
    let (tell, said) = channel();
    let mut watch = Watch::of(model(MANY), view).find_beside(&tell);
    draw(&mut watch);
    (watch, said)
}

/// Waits until nothing is waited for any more.
fn settle(watch: &mut Watch, said: &Receiver<Message>) {
    draw(watch);
    while !watch.model.awaited().is_empty() {
        assert!(matches!(said.recv_timeout(PATIENCE), Ok(Message::Changed)), "nothing comes of it");
        watch.pump();
        // What was found may have to be put in order.
        draw(watch);
    }
}

fn rows(watch: &Watch) -> &[u32] {
    &watch.model.lists.get(ListKind::Tensors).rows
}

#[test]
fn keys_are_answered_while_tensors_are_put_in_order() {
    let (mut watch, said) = beside(1);
    let mut other = here(1);
    // The tensors are the second list that there is.
    press(&mut watch, "3");
    let picture = draw(&mut watch);
    assert!(picture.contains("ordering 1,500 tensors "), "{picture}");
    assert!(picture.contains("ordering by born …"), "{picture}");
    assert!(picture.contains("the tensors are being put in order"), "{picture}");
    assert!(rows(&watch).is_empty() && watch.is_behind());
    // Nothing of it is taken before somebody asks for it.
    press(&mut watch, "jj2");
    assert!(draw(&mut watch).contains("activations"), "another view is shown");
    press(&mut watch, "3");
    settle(&mut watch, &said);
    press(&mut other, "3");
    assert_eq!(draw(&mut watch), draw(&mut other));
    assert_eq!(rows(&watch).len(), 1200);
    assert!(watch.model.finding.is_none() && !watch.is_behind());
    // Every other order: what was there stays until it comes.
    for keys in ["s", "s", "s", "s", "s", "S", "o"] {
        let before = rows(&watch).to_vec();
        press(&mut watch, keys);
        assert_eq!(rows(&watch), before);
        assert!(draw(&mut watch).contains("ordering by"), "{keys}");
        settle(&mut watch, &said);
        press(&mut other, keys);
        draw(&mut other);
        assert_eq!(rows(&watch), rows(&other), "{keys}");
        assert_eq!(draw(&mut watch), draw(&mut other), "{keys}");
    }
}

#[test]
fn a_search_goes_on_beside_and_enter_waits_for_it() {
    let (mut watch, said) = beside(1);
    let mut other = here(1);
    press(&mut watch, "/layer.5");
    let picture = draw(&mut watch);
    assert!(picture.contains("searching 1,500 tensors") && picture.contains("  searching …"), "{picture}");
    assert!(picture.contains("/layer.5: …"), "{picture}");
    assert!(!watch.model.filter.is_on(), "everything is shown until then");
    let cursor = watch.model.selected().map(|(number, _)| number);
    press(&mut watch, "\n");
    assert!(draw(&mut watch).contains("as soon as it is known"));
    assert_eq!(watch.model.selected().map(|(number, _)| number), cursor);
    settle(&mut watch, &said);
    press(&mut other, "/layer.5\n");
    assert_eq!(draw(&mut watch), draw(&mut other), "the first one is gone to, and told");
    assert!(watch.model.filter.count() > 100);
    press(&mut watch, "n");
    press(&mut other, "n");
    assert_eq!(draw(&mut watch), draw(&mut other));
    // What was found before stays while something else is looked for.
    let former = watch.model.filter.count();
    press(&mut watch, "/size>2KiB type:f16");
    assert_eq!(watch.model.filter.count(), former);
    press(&mut watch, "\n");
    // Whoever goes on is not taken away.
    press(&mut watch, "n");
    assert!(draw(&mut watch).contains("still searching"));
    let cursor = watch.model.selected().map(|(number, _)| number);
    settle(&mut watch, &said);
    assert_eq!(watch.model.selected().map(|(number, _)| number), cursor);
    let buffers = &watch.model.plan().unwrap().record.buffers;
    let expect = buffers.iter().filter(|buffer| buffer.size > 2048 && buffer.dtype == "f16").count();
    assert_eq!(watch.model.filter.count(), expect);
}

#[test]
fn what_is_ended_while_it_is_searched_for_never_comes() {
    let (mut watch, said) = beside(1);
    press(&mut watch, "/layer.5");
    draw(&mut watch);
    press(&mut watch, "\u{1b}");
    settle(&mut watch, &said);
    // What the thread had begun is over by the time that another search is.
    press(&mut watch, "/layer.6");
    settle(&mut watch, &said);
    press(&mut watch, "\u{1b}");
    settle(&mut watch, &said);
    watch.pump();
    assert!(!watch.model.filter.is_on() && !watch.model.filter.is_asked());
    press(&mut watch, "/layer.5\n\u{1b}");
    assert!(draw(&mut watch).contains("everything is shown again"));
    settle(&mut watch, &said);
    assert!(!watch.model.filter.is_on());
}

#[test]
fn rows_of_another_plan_are_not_shown() {
    let (mut watch, said) = beside(2);
    press(&mut watch, "/layer.5");
    draw(&mut watch);
    // A run of another plan begins before anything has come.
    let other = plan(900);
    watch.model.apply(Record::Plan { plan: 1, record: other.clone() });
    watch.model.apply(Record::Event(Event::RunStart { run: 90, plan: 1, t: 900_000_000 }));
    watch.model.settle();
    draw(&mut watch);
    assert!(rows(&watch).is_empty() && !watch.model.filter.is_on());
    settle(&mut watch, &said);
    let fits = |number: &u32| {
        let buffer = &other.buffers[*number as usize];
        buffer.arena == 0 && buffer.name.contains("layer.5")
    };
    let expect: Vec<u32> = (0..900).filter(fits).collect();
    let mut found = rows(&watch).to_vec();
    assert!(!found.is_empty());
    found.sort_unstable();
    assert_eq!(found, expect);
}

/// The jobs that keys make of a viewer.
fn jobs(keys: &str) -> Vec<Job> {
    let mut model = model(MANY);
    model.find_beside();
    let mut watch = Watch::of(model, 1);
    press(&mut watch, keys);
    draw(&mut watch);
    watch.model.take_jobs()
}

#[test]
fn a_newer_question_takes_the_place_of_the_older_one() {
    let (tell, said) = channel();
    let finder = Finder::start(&tell).unwrap();
    let all: Vec<Job> = (0..50).flat_map(|_| jobs("/layer.5 or size>1KiB")).collect();
    let newest = all.last().unwrap().ticket();
    for job in all {
        let ticket = job.ticket();
        finder.ask(vec![job], &[ticket]);
    }
    let mut answers = Vec::new();
    while !answers.iter().any(|answer| matches!(answer, Answer::Found(ticket, _) if *ticket == newest)) {
        assert!(matches!(said.recv_timeout(PATIENCE), Ok(Message::Changed)));
        answers.extend(finder.hear());
    }
    // Whatever was begun and then called off says nothing, or was over before.
    let tickets: Vec<u64> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Found(ticket, _) | Answer::Rows(ticket, ..) => *ticket,
        })
        .collect();
    assert!(tickets.is_sorted(), "{tickets:?}");
}

#[test]
fn whatever_is_called_off_ends() {
    let searches = [
        "layer",
        "op:x",
        "op:3",
        "type:f16",
        "kind:output",
        "arena:act",
        "size>1",
        "at:3",
        "addr:0..4KiB",
        "peak",
        "never freed",
        "deviates",
        "in place",
        "top 5",
        "not layer",
        "layer or part",
        "layer part",
    ];
    let all = searches.iter().flat_map(|text| jobs(&format!("/{text}")));
    let all: Vec<Job> = all.chain(jobs("3")).chain(jobs("3ssss")).collect();
    assert!(all.len() > searches.len());
    for job in all {
        let task = Task::default();
        let ticket = job.ticket();
        assert!(job.run(&task).is_some() && task.percent() > 70, "{ticket}: {} %", task.percent());
        let off = Task::default();
        off.call_off();
        assert!(job.run(&off).is_none() && off.percent() <= task.percent());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn what_is_there_in_the_end_is_what_is_done_on_the_spot(
        steps in prop::collection::vec((0usize..10, any::<bool>()), 1..12),
    ) {
        const KEYS: [&str; 10] = [
            "3", "2", "s", "S", "a", "/layer.1\n", "/size>1KiB kind:output\n", "/top 70\n", "\u{1b}", "4",
        ];
        let ((mut watch, said), mut other) = (beside(2), here(2));
        for (at, pumps) in &steps {
            for watch in [&mut watch, &mut other] {
                press(watch, KEYS[*at]);
                draw(watch);
            }
            // Who goes on before a search is over stays where the cursor was.
            if KEYS[*at].ends_with('\n') {
                settle(&mut watch, &said);
            } else if *pumps {
                watch.pump();
            }
        }
        // Where one ends does not matter here, but what is listed there.
        for watch in [&mut watch, &mut other] {
            press(watch, "3");
        }
        settle(&mut watch, &said);
        draw(&mut other);
        let state = |watch: &Watch| {
            let list = watch.model.lists.get(ListKind::Tensors);
            (list.sort, list.rows.clone(), watch.model.filter.count(), watch.model.wanted_map())
        };
        prop_assert_eq!(state(&watch), state(&other));
    }
}
