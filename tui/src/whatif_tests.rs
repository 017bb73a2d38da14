//! The windows of the peak and of what-ifs, and what keys and mouse do there.

use std::sync::mpsc;
use std::time::Duration;

use bayplan_trace::{DimBinding, PlanRecord};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::desk::Desk;
use crate::events::Message;
use crate::model::ghost::Counts;
use crate::model::lists::ListKind;
use crate::model::whatif::{Asked, Edit, Row};
use crate::model::{Model, explain};
use crate::picture_tests::{differs, draw, dump, model};
use crate::support;
use crate::theme::{Colours, Theme};
use crate::watch::{Outcome, Watch};

const SIZE: (u16, u16) = (120, 40);

/// The small plan, of a model with one symbol.
fn plan() -> PlanRecord {
    let dims = vec![DimBinding { name: "seq".to_owned(), value: 2 }];
    PlanRecord { dims, ..support::by_hand() }
}

fn of(plan: &PlanRecord) -> Model {
    model(support::records(plan, support::windows(plan), 4))
}

fn watch() -> Watch {
    let mut watch = Watch::of(of(&plan()), 1);
    seen(&mut watch);
    watch
}

fn picture(watch: &mut Watch) -> Buffer {
    draw(watch, SIZE, &Theme::new(Colours::None, false))
}

/// Draws, and gives the rows as text.
fn seen(watch: &mut Watch) -> String {
    let picture = picture(watch);
    let row =
        |row: &[ratatui::buffer::Cell]| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>();
    picture.content.chunks(usize::from(SIZE.0)).map(|cells| row(cells) + "\n").collect()
}

fn press(watch: &mut Watch, keys: &str) -> Outcome {
    let mut outcome = Outcome::Stay;
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            c => KeyCode::Char(c),
        };
        outcome = watch.key(KeyEvent::new(code, KeyModifiers::NONE));
        watch.hear();
    }
    outcome
}

/// Clicks on the first place where some text stands.
fn click(watch: &mut Watch, text: &str) {
    let picture = seen(watch);
    let found = picture.lines().enumerate().find_map(|(y, line)| Some((y, line.find(text)?, line)));
    let Some((y, at, line)) = found else { panic!("{text} is not in\n{picture}") };
    let at = Position { x: line[..at].chars().count() as u16 + 1, y: y as u16 };
    let kind = MouseEventKind::Down(MouseButton::Left);
    let event = MouseEvent { kind, column: at.x, row: at.y, modifiers: KeyModifiers::NONE };
    watch.mouse(event, Rect { x: 0, y: 0, width: SIZE.0, height: SIZE.1 });
    watch.hear();
}

/// Goes to the row of a question in the window.
fn go_to(watch: &mut Watch, wanted: &Edit) {
    seen(watch);
    let rows = watch.model.asked_rows();
    let row = rows.iter().position(|row| *row == Row::Question(Some(wanted.clone())));
    watch
        .model
        .lists
        .get_mut(ListKind::Questions)
        .go(row.unwrap_or_else(|| panic!("{wanted:?} in {rows:?}")));
}

/// Opens the window and enters a row of it.
fn enter(watch: &mut Watch, wanted: &Row) {
    press(watch, "w");
    seen(watch);
    let row = watch.model.asked_rows().iter().position(|row| row == wanted);
    watch.model.lists.get_mut(ListKind::Questions).go(row.unwrap_or_else(|| panic!("no {wanted:?}")));
    press(watch, "\n");
}

#[test]
fn golden_windows() {
    let colours = [Colours::True, Colours::Indexed, Colours::Basic, Colours::None];
    let sizes = [(40, 12), (80, 24), (120, 40), (200, 50)];
    let cases = sizes.into_iter().flat_map(|size| colours.map(|colours| (size, colours, false)));
    let cases = cases.chain([((80, 24), Colours::None, true)]);
    // Every question is answered once, for all pictures.
    let mut known = watch();
    press(&mut known, "w");
    let mut wrong = Vec::new();
    for (size, colours, ascii) in cases {
        for (name, keys) in [("why-peak", "P"), ("why-not-smaller", "wjjj"), ("ghost", "x")] {
            let mut watch = Watch::of(known.model.clone(), 1);
            draw(&mut watch, size, &Theme::new(colours, ascii));
            for key in keys.chars() {
                press(&mut watch, &key.to_string());
                draw(&mut watch, size, &Theme::new(colours, ascii));
            }
            let picture = dump(&draw(&mut watch, size, &Theme::new(colours, ascii)));
            let ascii = if ascii { "-ascii" } else { "" };
            let file = format!("{name}-{}x{}-{colours:?}{ascii}.txt", size.0, size.1).to_lowercase();
            wrong.extend(differs(&file, &picture));
        }
    }
    assert!(wrong.is_empty(), "BAYPLAN_BLESS=1 takes these over once they are right:\n{}", wrong.join("\n"));
}

#[test]
fn a_key_asks_and_the_answer_lies_over_the_map() {
    let mut watch = watch();
    press(&mut watch, "x");
    let ghost = watch.model.ghost().unwrap();
    assert_eq!(
        (ghost.title.as_str(), ghost.size(), ghost.counts().removed),
        ("without block/up", 6 << 10, 1)
    );
    let text = seen(&mut watch);
    let said = "without block/up: 6.00 KiB, −3.00 KiB (−33.3 %); ";
    assert!(text.contains(said) && text.contains("u undoes, esc ends"), "{text}");
    assert!(text.contains('╱') && text.contains("without block/up 6.00 KiB"), "{text}");
    // Half of it in place of none of it; then both undone, the later one first, which leaves nothing.
    press(&mut watch, "X");
    assert_eq!(watch.model.asked.edits, [Edit::Halve(5)]);
    assert_eq!(watch.model.ghost().unwrap().counts().resized, 1);
    press(&mut watch, "u");
    assert_eq!(watch.model.ghost().unwrap().title, "without block/up");
    press(&mut watch, "u");
    assert!(watch.model.ghost().is_none() && watch.model.asked.edits.is_empty());
    press(&mut watch, "u");
    assert!(seen(&mut watch).contains("nothing is changed; w shows what can be"));
    // Escape ends all of it before it leaves.
    press(&mut watch, "xx");
    assert!(watch.model.ghost().is_some());
    assert_eq!(press(&mut watch, "\u{1b}"), Outcome::Stay);
    assert!(watch.model.ghost().is_none() && !seen(&mut watch).contains('╱'));
    assert_eq!(press(&mut watch, "\u{1b}"), Outcome::Leave);
}

#[test]
fn what_is_asked_on_another_view_is_shown_on_the_map() {
    let mut watch = Watch::of(of(&plan()), 0);
    seen(&mut watch);
    press(&mut watch, "x");
    assert!(seen(&mut watch).contains("without block/up 6.00 KiB"));
}

#[test]
fn the_window_says_why_and_answers_what_it_offers() {
    let mut watch = watch();
    press(&mut watch, "w");
    let text = seen(&mut watch);
    for words in [
        "In this order of operators no plan can be smaller than 8.00 KiB: at op 4 Softmax these tensors live",
        "KiB larger: placed anew it needs 8.00 KiB.",
        "what makes it so large",
        "▸▣ block/up",
        "without block/up",
        "half of block/up",
        "block/up made as late as can be",
        "another order of operators",
        "seq 4 instead of 2",
        "seq 1 instead of 2",
        "everything placed anew",
    ] {
        assert!(text.contains(words), "{words} in\n{text}");
    }
    // Every question was answered meanwhile.
    assert!(
        !text.contains('…')
            || !text.lines().any(|line| line.contains("instead of 2  ") && line.contains('…'))
    );
    for row in watch.model.asked_rows() {
        if let Row::Question(edit) = row {
            let edits = watch.model.asked.with(edit.as_ref());
            assert!(watch.model.asked.answer(&edits).is_some(), "{edits:?}");
        }
    }
    go_to(&mut watch, &Edit::Dim("seq".to_owned(), 4));
    press(&mut watch, "\n");
    assert_eq!(watch.model.asked.edits, [Edit::Dim("seq".to_owned(), 4)]);
    assert!(watch.model.ghost().unwrap().counts().resized > 0);
    let text = seen(&mut watch);
    assert!(!text.contains("what makes it so large") && text.contains("seq 4 instead of 2: "), "{text}");
    // From there on the same symbol has another value, and something else may be changed as well.
    press(&mut watch, "w");
    assert!(seen(&mut watch).contains("changed: seq 4 instead of 2: 16.0 KiB, +7.00 KiB"));
    go_to(&mut watch, &Edit::Dim("seq".to_owned(), 8));
    press(&mut watch, "\nw");
    go_to(&mut watch, &Edit::Order);
    press(&mut watch, "\n");
    assert_eq!(watch.model.asked.edits, [Edit::Dim("seq".to_owned(), 8), Edit::Order]);
    press(&mut watch, "u");
    assert_eq!(watch.model.asked.edits, [Edit::Dim("seq".to_owned(), 8)]);
    assert!(watch.model.ghost().is_some());
}

#[test]
fn what_makes_the_arena_smallest_comes_first() {
    let mut watch = watch();
    press(&mut watch, "w");
    seen(&mut watch);
    let arenas = |model: &Model| -> Vec<u64> {
        let questions = model.asked_rows().into_iter().filter_map(|row| match row {
            Row::Question(edit) => Some(model.asked.with(edit.as_ref())),
            _ => None,
        });
        questions.map(|edits| model.asked.answer(&edits).unwrap().as_ref().unwrap().arena.1).collect()
    };
    let first = arenas(&watch.model);
    assert!(first.len() > 6 && first.is_sorted(), "{first:?}");
    // The cursor never stands on a heading, whichever way it comes.
    for key in ["home", "k", "K", "j", "J", "end", "k", "K", "K"] {
        match key {
            "home" | "end" => {
                let code = if key == "home" { KeyCode::Home } else { KeyCode::End };
                watch.key(KeyEvent::new(code, KeyModifiers::NONE));
            }
            key => drop(press(&mut watch, key)),
        }
        seen(&mut watch);
        assert!(!matches!(watch.model.asked_row(), None | Some(Row::Head(_))), "after {key}");
    }
    assert_eq!(watch.model.lists.get(ListKind::Questions).top, 0, "the first heading is seen again");
    // What was chosen stays chosen where other answers put it elsewhere.
    go_to(&mut watch, &Edit::Dim("seq".to_owned(), 4));
    watch.model.asked.chose = true;
    let row = watch.model.asked_row();
    watch.model.asked.know(&[], Err("the reasons are gone".to_owned()));
    watch.model.stand_on(row.as_ref());
    assert_eq!(watch.model.asked_row(), row);
}

#[test]
fn values_of_symbols_are_typed() {
    let mut record = plan();
    record.dims.push(DimBinding { name: "batch".to_owned(), value: 3 });
    let mut watch = Watch::of(of(&record), 1);
    seen(&mut watch);
    press(&mut watch, "w");
    seen(&mut watch);
    let row = watch.model.asked_rows().iter().position(|row| *row == Row::Dims).unwrap();
    watch.model.lists.get_mut(ListKind::Questions).go(row);
    assert!(seen(&mut watch).contains("other values of seq, batch …"));
    press(&mut watch, "\n");
    assert!(seen(&mut watch).contains("type seq=4 batch=6; now seq 2, batch 3"));
    // What is not understood says what there is, and stays to be mended; letters are no commands.
    for (typed, words) in [
        ("q", "there is no dim q; there is seq, batch"),
        ("seq", "seq wants a value, such as seq=8"),
        ("seq 8", "seq wants a value"),
        ("seq=", "seq wants a value"),
        ("seq=0", "seq cannot be 0: it is a whole number above 0"),
        ("seq=x", "seq cannot be x"),
        ("seq=8 \u{1}", "there is no dim "),
        ("", "nothing was typed"),
    ] {
        press(&mut watch, typed);
        press(&mut watch, "\n");
        assert!(seen(&mut watch).contains(words), "{typed}: {}", seen(&mut watch));
        for _ in typed.chars() {
            watch.key(KeyEvent::from(KeyCode::Backspace));
        }
    }
    press(&mut watch, "seq=8, batch = 1\n");
    assert_eq!(watch.model.asked.edits, [Edit::Dim("seq".to_owned(), 8), Edit::Dim("batch".to_owned(), 1)]);
    assert!(watch.model.ghost().is_some());
    assert!(seen(&mut watch).contains("seq 8 instead of 2, batch 1 instead of 3: "), "{}", seen(&mut watch));
    // Escape leaves the line, then ends the what-if.
    press(&mut watch, "w");
    seen(&mut watch);
    let row = watch.model.asked_rows().iter().position(|row| *row == Row::Dims).unwrap();
    watch.model.lists.get_mut(ListKind::Questions).go(row);
    press(&mut watch, "\nseq=9\u{1b}");
    assert_eq!(watch.model.asked.edits.len(), 2);
    assert!(!seen(&mut watch).contains("type seq="));
}

/// A picture that waits for its answers foresees none of a large plan, and says so.
#[test]
fn a_printed_picture_does_not_plan_what_nobody_asked() {
    let record = support::encoder(40);
    assert!(record.buffers.len() > 500, "{}", record.buffers.len());
    let mut watch = Watch::of(of(&record), 1);
    let theme = Theme::new(Colours::None, false);
    let key = KeyEvent::from(KeyCode::Char('w'));
    let text = crate::snapshot::picture(&mut watch, (120, 50), &[key], &theme);
    let questions = watch.model.asked_rows().into_iter().filter_map(|row| match row {
        Row::Question(edit) => Some(watch.model.asked.with(edit.as_ref())),
        _ => None,
    });
    assert!(questions.into_iter().all(|edits| watch.model.asked.answer(&edits).is_none()));
    assert!(text.contains("not asked yet") && text.contains("no plan can be smaller"), "{text}");
}

/// Two operators need as much: both windows say so, of the same order, and name the other one.
#[test]
fn both_windows_tell_the_same_of_the_order() {
    let mut record = support::by_hand();
    let end = record.buffers[1].last;
    record.buffers[1].first = 1;
    let (most, op) = {
        let model = of(&record);
        let arena = model.arena().unwrap();
        (arena.index.peak.live, arena.index.peak.op)
    };
    // A second operator that is as full: what lives at another one is filled up to the peak.
    let live = of(&record).arena().unwrap().index.metrics.live.clone();
    let other = (0..live.len()).rev().find(|at| live[*at] < most && *at as u32 != op).unwrap();
    let filler = bayplan_trace::BufferRecord {
        name: "filler".to_owned(),
        size: most - live[other],
        offset: record.arenas[0].size,
        first: other as u32,
        last: other as u32 + 1,
        alignment: 1,
        ..record.buffers[1].clone()
    };
    record.arenas[0].size += filler.size;
    record.buffers.push(filler);
    assert!(end > 0);
    let mut watch = Watch::of(of(&record), 1);
    seen(&mut watch);
    let named = explain::as_full(&watch.model.arena().unwrap()).unwrap();
    assert!(named.starts_with(&format!("op {other} ")), "{named}");
    press(&mut watch, "P");
    let text = seen(&mut watch);
    assert!(text.contains(&format!("as many bytes live at {named}")), "{text}");
    assert!(text.contains("w asks what would be smaller"), "{text}");
    press(&mut watch, "w");
    let text = seen(&mut watch).replace(['│', '\n'], "").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("In this order of operators no plan can be smaller"), "{text}");
    assert!(text.contains(&format!("As much is needed at {named}: no single tensor helps.")), "{text}");
}

#[test]
fn tensors_of_the_window_are_asked_about() {
    let mut watch = watch();
    press(&mut watch, "w");
    seen(&mut watch);
    // It stands on the first choice; the last of the four tensors is above it and the heading between.
    let first = watch.model.asked_rows().iter().position(|row| matches!(row, Row::Question(_)));
    assert_eq!(Some(watch.model.lists.get(ListKind::Questions).at), first);
    press(&mut watch, "k\n");
    assert_eq!(watch.model.asked.tensor, Some(3));
    assert_eq!(watch.model.selected().map(|(number, _)| number), Some(3));
    assert!(seen(&mut watch).contains("▸▣ block/scores"));
    // And by the mouse: once chooses, twice does.
    click(&mut watch, "▣ block/key");
    click(&mut watch, "▣ block/key");
    assert_eq!(watch.model.asked.tensor, Some(2));
    click(&mut watch, "without block/key");
    assert!(watch.model.ghost().is_none());
    click(&mut watch, "without block/key");
    assert_eq!(watch.model.ghost().unwrap().title, "without block/key");
    // Beside the window: it closes.
    press(&mut watch, "w");
    assert!(seen(&mut watch).contains("what makes it so large"));
    click(&mut watch, "bayplan");
    assert!(!seen(&mut watch).contains("what makes it so large"));
}

#[test]
fn the_lines_under_the_map_open_the_windows() {
    let mut watch = watch();
    click(&mut watch, "why this peak?");
    assert!(seen(&mut watch).contains("4 tensors live at op 4 Softmax"));
    press(&mut watch, "\u{1b}");
    click(&mut watch, "why not smaller?");
    assert!(seen(&mut watch).contains("what makes it so large"));
    press(&mut watch, "\u{1b}");
    click(&mut watch, "at the cursor: ");
    assert!(seen(&mut watch).contains("in place"));
}

#[test]
fn the_tensors_of_the_peak_add_up() {
    let mut watch = watch();
    press(&mut watch, "P");
    let text = seen(&mut watch);
    assert!(
        text.contains("9.00 KiB arena = 8.00 KiB live + 0 B padding + 1.00 KiB holes + 0 B above them"),
        "{text}"
    );
    let rows = watch.model.lists.get(ListKind::Peak).rows.clone();
    let record = &watch.model.plan().unwrap().record;
    let sizes: Vec<u64> = rows.iter().map(|at| record.buffers[*at as usize].size).collect();
    assert_eq!(sizes.iter().sum::<u64>(), watch.model.arena().unwrap().index.peak.live);
    assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
    // Going through them moves the cursor; enter tells everything of one.
    press(&mut watch, "j");
    assert_eq!(watch.model.selected().map(|(number, _)| number), Some(rows[1]));
    assert!(seen(&mut watch).contains("in place: no, "), "{}", seen(&mut watch));
    press(&mut watch, "\n");
    assert!(seen(&mut watch).contains("at the cursor") && !seen(&mut watch).contains("holes"));
}

#[test]
fn what_cannot_be_answered_is_said_and_leaves_what_was() {
    let mut silent = plan();
    for op in &mut silent.ops {
        (op.reads, op.writes) = (vec![], vec![]);
    }
    let mut watch = Watch::of(of(&silent), 1);
    seen(&mut watch);
    press(&mut watch, "xw");
    go_to(&mut watch, &Edit::Order);
    assert!(seen(&mut watch).contains("no answer"));
    press(&mut watch, "\n");
    assert_eq!(watch.model.asked.edits, [Edit::Drop(5)]);
    assert_eq!(watch.model.ghost().unwrap().title, "without block/up");
    let text = seen(&mut watch);
    assert!(text.contains("this recording does not say which operator reads and writes"), "{text}");
}

/// A change that takes the place of an earlier one is undone alone: the earlier one is there again.
#[test]
fn undoing_brings_back_what_was_replaced() {
    let mut watch = watch();
    press(&mut watch, "Xx");
    assert_eq!(watch.model.asked.edits, [Edit::Drop(5)]);
    press(&mut watch, "u");
    assert_eq!(watch.model.asked.edits, [Edit::Halve(5)]);
    assert_eq!(watch.model.ghost().unwrap().title, "half of block/up");
    // A second value of a symbol, and a second place.
    for typed in ["seq=8\n", "seq=16\n"] {
        enter(&mut watch, &Row::Dims);
        press(&mut watch, typed);
    }
    for typed in ["3 KiB\n", "4 KiB\n"] {
        enter(&mut watch, &Row::Offset(5));
        press(&mut watch, typed);
    }
    let (half, seq) = (Edit::Halve(5), |value| Edit::Dim("seq".to_owned(), value));
    let at = |offset| Edit::At(5, offset);
    assert_eq!(watch.model.asked.edits, [half.clone(), seq(16), at(4 << 10)]);
    for left in
        [vec![half.clone(), seq(16), at(3 << 10)], vec![half.clone(), seq(16)], vec![half.clone(), seq(8)]]
    {
        press(&mut watch, "u");
        assert_eq!(watch.model.asked.edits, left);
    }
    press(&mut watch, "uu");
    assert!(watch.model.asked.edits.is_empty() && watch.model.ghost().is_none());
    assert!(seen(&mut watch).contains("the plan is shown as it is"));
    // What ended is not brought back.
    press(&mut watch, "Xx\u{1b}u");
    assert!(watch.model.asked.edits.is_empty() && seen(&mut watch).contains("nothing is changed"));
}

/// A change that cannot be made leaves what it would have taken the place of, and is told of.
#[test]
fn what_is_refused_leaves_what_it_would_have_replaced() {
    let (tell, messages) = mpsc::channel();
    for desk in [None, Some(Desk::new(Some(&tell)))] {
        let mut record = plan();
        record.dims.push(DimBinding { name: "batch".to_owned(), value: 1 });
        record.buffers[5].size_expr = "seq*batch*1024".to_owned();
        let mut watch = Watch::of(of(&record), 1);
        if let Some(desk) = desk {
            watch.set_desk(desk);
        }
        let mut typed = |row: Row, text: &str| {
            enter(&mut watch, &row);
            press(&mut watch, text);
            while watch.model.ghost().is_none() {
                messages.recv_timeout(Duration::from_secs(60)).expect("an answer");
                watch.hear();
            }
            (watch.model.asked.edits.clone(), seen(&mut watch))
        };
        let (moved, seq) = (Edit::At(5, 3 << 10), Edit::Dim("seq".to_owned(), 4));
        assert_eq!(typed(Row::Offset(5), "3 KiB\n").0, std::slice::from_ref(&moved));
        let (edits, text) = typed(Row::Offset(5), "9223372036854775808\n");
        assert_eq!(edits, std::slice::from_ref(&moved), "{text}");
        assert!(text.contains("block/up moved to offset 8.00 EiB: "), "{text}");
        assert_eq!(typed(Row::Dims, "seq=4\n").0, [moved.clone(), seq.clone()]);
        // Several at once, of which one replaces another.
        let (edits, text) = typed(Row::Dims, "batch=9223372036854775807 seq=3\n");
        assert_eq!(edits, [moved, seq], "{text}");
        assert!(text.contains("seq 3 instead of 2: a size "), "{text}");
    }
}

/// So many changes are kept to be undone; of more, undoing still ends with the plan as it is.
#[test]
fn undoing_ends_with_the_plan_as_it_is() {
    let mut asked = Asked::default();
    for at in 0..1000 {
        asked.change(asked.with(Some(&Edit::At(at % 300, u64::from(at)))));
    }
    assert_eq!(asked.edits.len(), 300);
    for _ in 0..100 {
        asked.undo();
    }
    assert_eq!((asked.edits.len(), asked.edits.last()), (300, Some(&Edit::At(299, 899))));
    for _ in 0..400 {
        asked.undo();
    }
    assert!(asked.edits.is_empty());
}

#[test]
fn another_arena_is_asked_anew() {
    let mut watch = Watch::of(of(&support::encoder(1)), 1);
    seen(&mut watch);
    press(&mut watch, "x");
    let counts = watch.model.ghost().unwrap().counts();
    assert_eq!(Counts { removed: 1, ..counts }, counts);
    press(&mut watch, "a");
    assert!(watch.model.ghost().is_none());
    press(&mut watch, "w");
    assert_eq!(watch.model.asked.over, watch.model.wanted_map());
    assert!(watch.model.asked.edits.is_empty());
    // Weights live throughout: no order of operators is asked about, and the sentence is final.
    let text = seen(&mut watch);
    assert!(text.contains("No plan can be smaller than"), "{text}");
    for words in ["another order", "as late as", "no answer", "at op "] {
        assert!(!text.contains(words), "{words}: {text}");
    }
    press(&mut watch, "\u{1b}P");
    let text = seen(&mut watch);
    assert!(text.contains("throughout") && !text.contains("when loaded"), "{text}");
}

#[test]
fn a_thread_answers_and_the_newest_question_wins() {
    let (tell, messages) = mpsc::channel();
    let mut threaded = watch();
    threaded.set_desk(Desk::new(Some(&tell)));
    drop(tell);
    for key in "xXxXxXwX".chars() {
        threaded.key(KeyEvent::from(KeyCode::Char(key)));
    }
    let mut expected = watch();
    press(&mut expected, "xXxXxXwX");
    let wanted = expected.model.ghost().unwrap();
    let shown =
        |watch: &Watch| watch.model.ghost().map(|ghost| (ghost.title.clone(), ghost.size(), ghost.counts()));
    while shown(&threaded).is_none() {
        // Every answer wakes the loop.
        let message = messages.recv_timeout(Duration::from_secs(60)).expect("an answer");
        assert!(matches!(message, Message::Changed));
        threaded.hear();
    }
    assert_eq!(shown(&threaded), Some((wanted.title.clone(), wanted.size(), wanted.counts())));
    assert_eq!(threaded.model.asked.edits, [Edit::Halve(5)]);
    assert!(seen(&mut threaded).contains("half of block/up: "));
    // With the viewer the thread ends.
    drop(threaded);
    while messages.recv_timeout(Duration::from_secs(60)).is_ok() {}
}

#[test]
fn why_a_tensor_has_bytes_of_its_own_is_told() {
    let check = |change: fn(&mut PlanRecord), number: u32, expect: &str| {
        let mut record = support::by_hand();
        change(&mut record);
        assert_eq!(explain::own_bytes(&record, number), format!("in place: {expect}"));
    };
    // The key is read for the last time where up is made, and is as large.
    let both = "no, block/key ends here and would be large enough, but the kernel of op 4 Softmax writes apart from what it reads";
    check(|_| (), 5, both);
    check(|record| record.buffers[2].last = 6, 5, "no, block/key is still needed until op 5 MatMul");
    check(
        |record| record.buffers[2].size = 8,
        5,
        "no, op 4 Softmax reads nothing in this arena that is large enough",
    );
    check(
        |record| record.buffers[2].arena = 1,
        5,
        "no, op 4 Softmax reads nothing in this arena that is large enough",
    );
    check(|record| record.buffers[5].in_place_of = Some(2), 5, "yes, in the bytes of block/key");
    check(|record| record.ops[4].reads.push(5), 5, "yes, op 4 Softmax writes where it reads");
    check(|record| record.ops[4].writes.clear(), 5, "no, no operator of the run makes it");
    assert_eq!(explain::own_bytes(&support::by_hand(), 99), "");
}
