//! The lists: what their keys and the mouse do, and that their numbers are those of the trace.

use bayplan_text::{Nanos, Percent};
use bayplan_trace::{Event, OpRoof, Record, RoofBound, Roofs, op_shares};
use crossterm::event::{KeyCode, KeyEvent, MouseButton, MouseEventKind};

use crate::input_tests::{click, draw, mouse, name_at_cursor, place, press, view};
use crate::model::lists::ListKind;
use crate::model::{Model, explain};
use crate::picture_tests::small;
use crate::theme::{Colours, Theme};
use crate::watch::Watch;

/// A session whose ops were timed in three runs, the first of which is a cold one: the later in the program, the slower;
/// `Gelu` slowest of all.
pub(crate) fn timed() -> Model {
    let mut model = small(true);
    for run in 0..3u64 {
        let warm = |op: u64| if op == 6 { 900_000 } else { 10_000 * (op + 1) + run.saturating_sub(1) * 1000 };
        // What the first run took is no part of the means: it would turn the order round.
        let took = |op: u64| if run == 0 { 1_000_000 * (10 - op) } else { warm(op) };
        let mut t = 170_000_000;
        let mut next = |op| {
            let start = t;
            t += took(op);
            (start, t)
        };
        let times = (0..10).map(&mut next).collect();
        model.apply(Record::Event(Event::OpTimes { run: 42 + run, plan: 0, first_op: 0, times }));
    }
    model.settle();
    model
}

fn show(model: Model, title: &str) -> Watch {
    let at = crate::views::VIEWS.iter().position(|view| view.title() == title).unwrap();
    let mut watch = Watch::of(model, at);
    draw(&mut watch);
    watch
}

/// The first words of the rows of a list on the screen.
fn rows(picture: &str) -> Vec<String> {
    let lines = picture.lines().skip(4).filter(|line| line.starts_with('│'));
    let first = lines.map(|line| line[3..].split_whitespace().take(2).collect::<Vec<_>>().join(" "));
    first.take_while(|words| !words.is_empty() && !words.starts_with('│')).collect()
}

#[test]
fn bars_share_the_axis_and_the_cursor_of_the_map() {
    let mut watch = show(small(false), "Lifetimes");
    let all = view(&watch).ops;
    press(&mut watch, "+");
    let zoomed = view(&watch);
    assert!(zoomed.ops.len < all.len && zoomed.bytes.is_whole(), "only ops are shown here");
    press(&mut watch, "--");
    assert_eq!(view(&watch).ops.len, all.len);
    let before = view(&watch).ops.cursor;
    press(&mut watch, "l");
    assert_eq!(view(&watch).ops.cursor, before + 1);
    watch.key(KeyEvent::from(KeyCode::Left));
    assert_eq!(view(&watch).ops.cursor, before);
    // A click on a bar chooses the tensor and puts the cursor on the op that was clicked.
    let picture = draw(&mut watch);
    let (_, y) = place(&picture, "block/key");
    let (x, axis) = place(&picture, " 9 ");
    click(&mut watch, x + 1, y, MouseButton::Left);
    assert_eq!(view(&watch).ops.cursor, 9);
    let list = watch.model.lists.get(crate::model::lists::ListKind::Tensors);
    assert_eq!(list.chosen(), Some(2), "{picture}");
    // Though the cursor is outside its life now, enter tells of it.
    press(&mut watch, "\n");
    assert_eq!(name_at_cursor(&watch), "block/key");
    press(&mut watch, "\u{1b}");
    // The head is the axis; the wheel zooms there and over bars.
    click(&mut watch, x + 1, axis, MouseButton::Left);
    assert_eq!(view(&watch).ops.cursor, 9);
    mouse(&mut watch, MouseEventKind::ScrollUp, (x - 10, y));
    assert!(view(&watch).ops.len < all.len);
    mouse(&mut watch, MouseEventKind::ScrollDown, (x - 10, y));
    mouse(&mut watch, MouseEventKind::ScrollDown, (x - 10, y));
    assert_eq!(view(&watch).ops.len, all.len);
}

#[test]
fn tensors_are_ordered_by_every_column_and_of_all_arenas() {
    let plan = crate::support::encoder(2);
    let windows = crate::support::windows(&plan);
    let model = crate::picture_tests::model(crate::support::records(&plan, windows, 7));
    let mut watch = show(model, "Lifetimes");
    let own = plan.buffers.iter().filter(|buffer| buffer.arena == 0).count();
    assert!(draw(&mut watch).contains(&format!("{own} tensors of arena \"activations\"")));
    press(&mut watch, "o");
    assert!(draw(&mut watch).contains(&format!("{} tensors of all arenas", plan.buffers.len())));
    let kind = crate::model::lists::ListKind::Tensors;
    let mut orders = Vec::new();
    for _ in 0..7 {
        // Where all columns are seen.
        crate::picture_tests::draw(&mut watch, (200, 30), &Theme::new(Colours::None, false));
        press(&mut watch, "s");
        draw(&mut watch);
        let list = watch.model.lists.get(kind);
        assert_eq!(list.rows.len(), plan.buffers.len());
        let mut buffers: Vec<_> = list.rows.iter().map(|at| &plan.buffers[*at as usize]).collect();
        // Sizes and lengths of lives begin with the largest; names, places and births with the first.
        assert_eq!(list.sort.descending, matches!(list.sort.column, 2 | 7), "column {}", list.sort.column);
        if list.sort.descending {
            buffers.reverse();
        }
        let is_sorted = match list.sort.column {
            0 => buffers.is_sorted_by_key(|buffer| &buffer.name),
            2 => buffers.is_sorted_by_key(|buffer| buffer.size),
            3 => buffers.is_sorted_by_key(|buffer| (buffer.arena, buffer.offset)),
            4 => buffers.is_sorted_by_key(|buffer| (&buffer.dtype, &buffer.shape)),
            5 => buffers.is_sorted_by_key(|buffer| buffer.first),
            6 => buffers.is_sorted_by_key(|buffer| buffer.last),
            7 => buffers.is_sorted_by_key(|buffer| buffer.last - buffer.first),
            other => panic!("column {other}"),
        };
        assert!(is_sorted, "column {}", list.sort.column);
        orders.push(list.sort.column);
    }
    orders.sort_unstable();
    assert_eq!(orders, [0, 2, 3, 4, 5, 6, 7]);
    press(&mut watch, "/kind:weight size>=1MiB\n");
    let heavy = plan.buffers.iter().filter(|b| b.name.ends_with(".weight") && b.size >= 1 << 20).count();
    let count =
        format!("{heavy} of {} tensors of all arenas", bayplan_text::Count(plan.buffers.len() as u64));
    assert!(draw(&mut watch).contains(&count));
}

/// What cannot be seen is not what rows are ordered by: a key that seems to do nothing.
#[test]
fn lists_are_ordered_by_columns_that_are_seen() {
    for (view, size) in
        [("Lifetimes", (40, 12)), ("Operators", (40, 12)), ("Operators", (80, 24)), ("Lifetimes", (80, 24))]
    {
        let mut watch = show(timed(), view);
        let theme = Theme::new(Colours::None, false);
        crate::picture_tests::draw(&mut watch, size, &theme);
        for _ in 0..12 {
            press(&mut watch, "s");
            let picture = crate::picture_tests::draw(&mut watch, size, &theme);
            let row = |y: u16| (0..size.0).map(|x| picture[(x, y)].symbol()).collect::<String>();
            let head = row(3);
            assert!(head.contains('▼') || head.contains('▲'), "{view} at {size:?}: {head}");
            // What one row cannot say stands in several.
            let said: String = (size.1 - 3..size.1).map(row).collect();
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            if said.contains("no other column") {
                assert_eq!(size.0, 40, "{said}");
                continue;
            }
            assert!(said.contains("ordered by"), "{said}");
            assert_eq!(said.contains("the largest first"), head.contains('▼'), "{head}: {said}");
        }
    }
}

#[test]
fn the_count_of_an_operator_is_kept_where_its_name_is_cut() {
    let mut record = crate::support::by_hand();
    for op in &mut record.ops[..3] {
        op.source_op = "ConvolutionTransposedWithBiasAndActivation".to_owned();
    }
    for (at, last) in [(3, "Add"), (4, "Sum+Relu")] {
        record.ops[at].source_op = format!("Conv+BatchNormalization+BatchNormalization+{last}");
    }
    let records = crate::support::records(&record, crate::support::windows(&record), 4);
    let mut watch = show(crate::picture_tests::model(records), "Operators");
    press(&mut watch, "o");
    for size in [(40, 12), (80, 24), (120, 40)] {
        let text = crate::snapshot::picture(&mut watch, size, &[], &Theme::new(Colours::None, false));
        assert!(text.contains("… ×3 ") && text.contains("Conv"), "{text}");
        // What was fused is told apart by its end.
        assert!(size.0 == 40 || text.contains("Add ×1") && text.contains("Sum+Relu ×1"), "{text}");
    }
    // One by one, each has its own name too, and its latest time.
    press(&mut watch, "o");
    for size in [(80, 24), (120, 40)] {
        let text = crate::snapshot::picture(&mut watch, size, &[], &Theme::new(Colours::None, false));
        assert!(text.contains(" latest "), "{text}");
        for (number, op) in record.ops.iter().enumerate() {
            let line = text.lines().find(|line| line.starts_with(&format!("│{number} "))).unwrap();
            let end: String = op.name.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
            assert!(line.contains(&format!("{end} ")), "{end} in {line}: {text}");
        }
        assert!(text.contains("Conv"), "{text}");
    }
}

#[test]
fn nothing_is_ordered_anew_while_a_run_goes_on() {
    let mut watch = show(timed(), "Lifetimes");
    let kind = crate::model::lists::ListKind::Tensors;
    let before = watch.model.lists.get(kind).stamp;
    watch.model.apply(Record::Event(Event::Completed { run: 42, plan: 0, op: 7, t: 172_000_000 }));
    watch.model.settle();
    draw(&mut watch);
    assert_eq!(watch.model.lists.get(kind).stamp, before);
}

#[test]
fn ops_cost_what_the_trace_says() {
    let mut model = timed();
    let roofs =
        Roofs { bytes_per_second: 10_000_000_000, flops_per_second: 1_000_000_000, ..Roofs::default() };
    model.timeline.session.as_mut().unwrap().roofs = Some(roofs);
    let mut watch = show(model, "Operators");
    let text = crate::snapshot::picture(&mut watch, (240, 30), &[], &Theme::new(Colours::None, false));
    let plan = &watch.model.timeline.plans[0];
    let shares = op_shares(plan, watch.model.timeline.roofs());
    assert_eq!(shares.len(), 10);
    for (line, share) in text.lines().skip(4).zip(&shares) {
        let op = &plan.record.ops[share.op];
        let roof = share.roof.unwrap();
        for words in [
            format!("{} {}", share.op, op.source_op),
            Nanos(share.mean).to_string(),
            Nanos(share.latest).to_string(),
            Percent(share.share).to_string(),
            bayplan_text::Bytes(op.bytes).to_string(),
            bayplan_text::Rate(share.bytes_per_second.unwrap() as u64, "B").to_string(),
            bayplan_text::Rate(share.flops_per_second.unwrap() as u64, "flop").to_string(),
            format!("{} {}", Percent(roof.share), roof.bound.name()),
            op.kernel.clone(),
            op.source_node.clone(),
        ] {
            assert!(line.contains(&words), "{words} in {line}");
        }
    }
}

#[test]
fn operators_are_chosen_entered_and_taken_together() {
    let mut watch = show(timed(), "Operators");
    let picture = draw(&mut watch);
    assert_eq!(rows(&picture)[..2], ["6 Gelu", "9 Cast"], "{picture}");
    assert!(picture.contains("bayplan devices --probe"), "{picture}");
    watch.key(KeyEvent::from(KeyCode::Home));
    assert_eq!(view(&watch).ops.cursor, 6);
    press(&mut watch, "j");
    assert_eq!(view(&watch).ops.cursor, 9);
    press(&mut watch, "k\n");
    let picture = draw(&mut watch);
    for words in ["op 6 Gelu", "gelu_f32", "writes 1", "block/gelu", "barrier", "the device", "mean 900 µs"]
    {
        assert!(picture.contains(words), "{words}: {picture}");
    }
    press(&mut watch, "\n");
    assert!(!draw(&mut watch).contains("writes 1"), "enter closes it again");
    // By name of the operator, then together: four products, two sums.
    press(&mut watch, "o");
    let picture = draw(&mut watch);
    assert_eq!(
        rows(&picture),
        ["Gelu ×1", "MatMul ×4", "Add ×2", "Cast ×1", "Softmax ×1", "Gather ×1"],
        "{picture}"
    );
    press(&mut watch, "j");
    assert_eq!(view(&watch).ops.cursor, 7, "the product that takes longest");
    press(&mut watch, "\n");
    let picture = draw(&mut watch);
    assert!(picture.contains(" 4 ops of MatMul "), "{picture}");
    let products = ["7 MatMul", "5 MatMul", "3 MatMul", "1 MatMul"];
    assert_eq!(rows(&picture), products, "{picture}");
    assert_eq!(watch.model.lists.get(crate::model::lists::ListKind::Ops).chosen(), Some(7));
    // Back to the operators by either key, and on to all ops.
    press(&mut watch, "\u{1b}");
    assert_eq!(rows(&draw(&mut watch))[..2], ["Gelu ×1", "MatMul ×4"]);
    press(&mut watch, "\no");
    assert_eq!(rows(&draw(&mut watch))[..2], ["Gelu ×1", "MatMul ×4"]);
    press(&mut watch, "o");
    assert!(draw(&mut watch).contains(" 10 ops "), "{}", draw(&mut watch));
    // Ops that touch what a search keeps.
    press(&mut watch, "/logits\n");
    assert_eq!(rows(&draw(&mut watch)), ["9 Cast", "8 Add"]);
}

#[test]
fn names_that_begin_alike_are_told_apart_beside_their_bars() {
    let mut record = crate::support::by_hand();
    for (at, buffer) in record.buffers.iter_mut().enumerate() {
        buffer.name = format!("/encoder/layer.0/attention/self/value_{at}");
    }
    let records = crate::support::records(&record, crate::support::windows(&record), 4);
    let mut watch = show(crate::picture_tests::model(records), "Lifetimes");
    for size in [(40, 12), (80, 24), (120, 40)] {
        let text = crate::snapshot::picture(&mut watch, size, &[], &Theme::new(Colours::None, false));
        for at in &watch.model.lists.get(crate::model::lists::ListKind::Tensors).rows[..5] {
            assert!(text.contains(&format!("value_{at} ")), "value_{at} at {size:?}: {text}");
        }
    }
}

/// Wherever the cursor is, what is told is of the row that is highlighted.
#[test]
fn entering_a_row_tells_of_that_row() {
    for key in ["\n", "i"] {
        let mut watch = show(timed(), "Bay plan");
        press(&mut watch, "lll5");
        let picture = draw(&mut watch);
        assert_eq!(rows(&picture)[0], "6 Gelu", "{picture}");
        assert_ne!(view(&watch).ops.cursor, 6, "the cursor is elsewhere");
        press(&mut watch, key);
        let picture = draw(&mut watch);
        assert!(picture.contains("op 6 Gelu") && picture.contains("writes 1"), "{picture}");
        assert_eq!(view(&watch).ops.cursor, 6);
    }
    // So with the tensors of the peak.
    let mut watch = show(timed(), "Bay plan");
    press(&mut watch, "0P");
    draw(&mut watch);
    let peak = watch.model.lists.get(crate::model::lists::ListKind::Peak).chosen().unwrap();
    press(&mut watch, "\n");
    draw(&mut watch);
    assert_eq!(watch.model.selected().map(|(number, _)| number), Some(peak));
}

/// An op's number is its place in the order in which ops run: its column orders by that.
#[test]
fn ops_are_listed_in_the_order_in_which_they_run() {
    let mut watch = show(timed(), "Operators");
    watch.model.order_by(ListKind::Ops, 0, false);
    draw(&mut watch);
    assert_eq!(watch.model.lists.get(ListKind::Ops).rows, (0..10).collect::<Vec<u32>>());
    press(&mut watch, "S");
    draw(&mut watch);
    assert_eq!(watch.model.lists.get(ListKind::Ops).rows, (0..10).rev().collect::<Vec<u32>>());
}

/// What is faster than the device's best was measured otherwise: it could take no longer than it did.
#[test]
fn more_than_the_best_says_how_that_can_be() {
    let (roofs, share) = (Roofs::default(), 1.421);
    for (bound, why) in [(RoofBound::Memory, "came from a cache"), (RoofBound::Compute, "clocked lower")] {
        let told = |share| explain::of_best(&OpRoof { attainable_ns: 2910.0, share, bound }, &roofs);
        assert!(told(share).contains(why) && !told(share).contains("it could take"), "{}", told(share));
        assert!(told(0.9).ends_with("it could take 2.91 µs") && !told(0.9).contains(why), "{}", told(0.9));
    }
}

#[test]
fn operators_say_what_was_not_recorded() {
    let mut watch = show(small(false), "Operators");
    let picture = draw(&mut watch);
    assert!(picture.contains("no op times were recorded: run with --trace-level op"), "{picture}");
    // What the plan tells is there all the same.
    assert!(picture.contains("40.0 KiB") && picture.contains('–'), "{picture}");
    press(&mut watch, "i");
    assert!(draw(&mut watch).contains("not timed: run with --trace-level op"));
    press(&mut watch, "i");
    assert!(!draw(&mut watch).contains("not timed"));
}

#[test]
fn events_are_told_with_what_is_wrong_first_and_lead_there() {
    let mut model = small(true);
    let text = "fan at full speed".to_owned();
    model.apply(Record::Event(Event::Message { t: 6000, level: bayplan_trace::Severity::Warning, text }));
    model.apply(Record::Event(Event::RunEnd { run: 42, t: 173_000_000, ok: false }));
    model.settle();
    let mut watch = show(model, "Events");
    let picture = draw(&mut watch);
    let at = |words: &str| place(&picture, words).1;
    assert!(at("failed") < at("fan at full speed"), "{picture}");
    assert!(at("outside the plan") < at("fan at full speed") && at("overlap") < at("fan at full speed"));
    assert!(at("fan at full speed") < at("run 41 of plan 0 began, took"), "{picture}");
    assert!(picture.contains("1 warning") && picture.contains("what is wrong first"), "{picture}");
    // By time, the failed run comes first; turned round, the beginning.
    press(&mut watch, "o");
    let picture = draw(&mut watch);
    assert_eq!(place(&picture, "run 43 of plan 0 failed after 3.00 ms").1, 4, "{picture}");
    assert!(picture.contains("latest first"));
    press(&mut watch, "S");
    draw(&mut watch);
    watch.key(KeyEvent::from(KeyCode::Home));
    assert!(place(&draw(&mut watch), "recording of minilm-l6 on llvmpipe began").1 == 4);
    // A search looks at the words, and at what is told of the tensors that it keeps.
    press(&mut watch, "o/fan\n");
    assert!(draw(&mut watch).contains("1 of "));
    press(&mut watch, "\u{1b}/size>2KiB\n");
    let picture = draw(&mut watch);
    assert!(picture.contains("block/gelu") && !picture.contains("fan at full speed"), "{picture}");
    // An alarm leads to its place on the map, an arena's memory to the arena, a run to its moment.
    press(&mut watch, "\u{1b}");
    let (x, y) = place(&draw(&mut watch), "share bytes");
    click(&mut watch, x, y, MouseButton::Left);
    if !draw(&mut watch).contains("▲ op") {
        press(&mut watch, "\n");
    }
    let picture = draw(&mut watch);
    assert!(picture.contains("at the cursor:  deviation  op 6"), "{picture}");
    let plan = watch.model.plan().unwrap();
    let kinds = watch.model.alarms_at_cursor().into_iter().map(|at| plan.alarms()[at].kind());
    assert!(kinds.into_iter().any(|kind| kind == "overlap"));
    let mut watch = show(small(false), "Events");
    let (x, y) = place(&draw(&mut watch), "run 41 of plan 0 began, took");
    click(&mut watch, x, y, MouseButton::Left);
    press(&mut watch, "\n");
    assert!(draw(&mut watch).contains("no recording to go back in"), "{}", draw(&mut watch));
    press(&mut watch, "/allocated for activations\n\n");
    let picture = draw(&mut watch);
    assert!(picture.contains("at the cursor") && picture.contains("arena \"activations\""), "{picture}");
}

#[test]
fn a_run_that_goes_on_and_what_is_damaged_stand_under_the_events() {
    let mut model = small(false);
    model.damages = 2;
    let mut watch = show(model, "Events");
    let picture = draw(&mut watch);
    assert!(picture.contains("run 43 of plan 0 goes on since 0:00.170"), "{picture}");
    assert!(picture.contains("damaged in 2 places"), "{picture}");
}

/// Numbers of runs come from files: any number is one.
#[test]
fn the_last_number_that_there_is_breaks_no_view() {
    for ended in [Some(true), Some(false), None] {
        let mut model = small(false);
        let (run, plan) = (u64::MAX, 0);
        model.apply(Record::Event(Event::RunStart { run, plan, t: 170_000_000 }));
        if let Some(ok) = ended {
            model.apply(Record::Event(Event::RunEnd { run, t: 180_000_000, ok }));
        }
        model.settle();
        for title in ["Overview", "Bay plan", "Operators", "Events"] {
            let picture = draw(&mut show(model.clone(), title));
            assert!(!picture.contains("run 0"), "{ended:?}: {picture}");
        }
    }
}
