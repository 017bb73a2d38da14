//! Keys and mouse: what they do to the model, and that no sequence of them does harm.

use bayplan_trace::{Event, Record};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::model::viewport::Viewport;
use crate::model::{Model, Playhead};
use crate::picture_tests::small;
use crate::support;
use crate::theme::{Colours, Theme};
use crate::watch::{Outcome, Watch};

pub(crate) const SCREEN: Rect = Rect { x: 0, y: 0, width: 100, height: 30 };

fn watch() -> Watch {
    let mut watch = Watch::of(small(true), 1);
    draw(&mut watch);
    watch
}

pub(crate) fn draw(watch: &mut Watch) -> String {
    let mut buffer = Buffer::empty(SCREEN);
    watch.draw(&mut buffer, SCREEN, &Theme::new(Colours::None, false));
    buffer
        .content
        .chunks(100)
        .map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>() + "\n")
        .collect()
}

pub(crate) fn press(watch: &mut Watch, keys: &str) -> Outcome {
    let mut outcome = Outcome::Stay;
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            c => KeyCode::Char(c),
        };
        outcome = watch.key(KeyEvent::from(code));
    }
    outcome
}

pub(crate) fn view(watch: &Watch) -> Viewport {
    *watch.model.arena().unwrap().view
}

pub(crate) fn name_at_cursor(watch: &Watch) -> String {
    watch.model.selected().map(|(_, buffer)| buffer.name.clone()).unwrap_or_default()
}

#[test]
fn the_cursor_begins_at_the_peak() {
    let watch = watch();
    assert_eq!(view(&watch).ops.cursor, 4);
    assert_eq!(name_at_cursor(&watch), "block/up");
}

#[test]
fn zoom_goes_down_to_one_op_and_one_unit_and_back() {
    let mut watch = watch();
    press(&mut watch, &"+".repeat(60));
    let (ops, bytes) = (view(&watch).ops, view(&watch).bytes);
    assert_eq!((ops.start, ops.len, bytes.len), (4, 1, 256));
    assert!(draw(&mut watch).contains("zoom ops 10× bytes 36×"));
    press(&mut watch, &"-".repeat(60));
    assert!(view(&watch).ops.is_whole() && view(&watch).bytes.is_whole());
    press(&mut watch, ">>]]0");
    assert!(view(&watch).ops.is_whole() && view(&watch).bytes.is_whole());
}

#[test]
fn search_finds_and_goes_round() {
    let mut watch = watch();
    press(&mut watch, "/BLOCK/ not kind:input not kind:output");
    assert!(draw(&mut watch).contains("6 found"));
    press(&mut watch, "\n");
    let mut seen = vec![name_at_cursor(&watch)];
    for _ in 0..6 {
        press(&mut watch, "n");
        seen.push(name_at_cursor(&watch));
    }
    assert_eq!(seen[0], seen[6]);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6, "{seen:?}");
    assert_eq!(press(&mut watch, "\u{1b}"), Outcome::Stay);
    assert!(!watch.model.filter.is_on());
    press(&mut watch, "/nothing like it\n");
    assert!(draw(&mut watch).contains("nothing found; esc ends the search"));
}

#[test]
fn a_search_stays_in_the_arena_and_says_when_it_leaves_it() {
    let mut record = crate::support::by_hand();
    record.arenas.push(record.arenas[0].clone());
    record.arenas[1].name = "weights".to_owned();
    let other = |name: &str, first: u32| bayplan_trace::BufferRecord {
        name: name.to_owned(),
        arena: 1,
        first,
        last: 10,
        ..record.buffers[0].clone()
    };
    // Born before all others: it would come first, were the arena not kept.
    let (early, late) = (other("block/early", 0), other("table", 1));
    record.buffers.extend([early, late]);
    let records = crate::support::records(&record, crate::support::windows(&record), 4);
    let mut watch = Watch::of(crate::picture_tests::model(records), 2);
    draw(&mut watch);
    press(&mut watch, "/block/ and not op:softmax\n");
    let picture = draw(&mut watch);
    let at = watch.model.arena().unwrap().arena;
    assert_eq!(at, 0, "{picture}");
    let count = watch.model.filter.count();
    assert!(
        picture.contains(&format!("match 1 of {count} in all arenas · n next"))
            && !picture.contains("now in arena"),
        "{picture}"
    );
    // Rows are those found, of how many there are.
    assert!(picture.contains(&format!("{} of 8 tensors of arena", count - 1)), "{picture}");
    for _ in 1..count {
        press(&mut watch, "n");
    }
    let picture = draw(&mut watch);
    let said = format!("match {count} of {count} in all arenas · n next · now in arena \"weights\"");
    assert!(picture.contains(&said) && picture.contains("1 of 2 tensors of arena"), "{picture}");
    press(&mut watch, "n");
    assert!(
        draw(&mut watch)
            .contains(&format!("match 1 of {count} in all arenas · n next · now in arena \"activations\""))
    );
    press(&mut watch, "\u{1b}");
    assert!(draw(&mut watch).contains("the search is ended: everything is shown again"));
    // Who stands on a hit stays there.
    press(&mut watch, "/block/scores or logits\n");
    let here = name_at_cursor(&watch);
    press(&mut watch, "/block/scores or logits\n");
    assert_eq!(name_at_cursor(&watch), here);
    press(&mut watch, "\u{1b}");
    // What is only elsewhere is found there.
    press(&mut watch, "/table\n");
    assert!(draw(&mut watch).contains("match 1 of 1 · n next · now in arena \"weights\""));
}

#[test]
fn letters_that_are_typed_are_no_commands() {
    let mut watch = watch();
    assert_eq!(press(&mut watch, "/q"), Outcome::Stay);
    assert_eq!(watch.model.filter.text(), "q");
    assert_eq!(press(&mut watch, "\u{1b}q"), Outcome::Quit);
}

#[test]
fn windows_open_and_close() {
    let mut watch = watch();
    press(&mut watch, "?");
    assert!(draw(&mut watch).contains("zoom the bytes only"));
    press(&mut watch, "?");
    assert!(!draw(&mut watch).contains("zoom the bytes only"));
    press(&mut watch, "\n");
    let picture = draw(&mut watch);
    for words in
        ["block/up", "1024*seq", "offset", "born op 4 Softmax", "dies op 7 MatMul", "block/Softmax_4"]
    {
        assert!(picture.contains(words), "{words}:\n{picture}");
    }
    assert_eq!(press(&mut watch, "\u{1b}"), Outcome::Stay);
    assert_eq!(press(&mut watch, "\u{1b}"), Outcome::Leave);
}

#[test]
fn alarms_are_visited_one_by_one() {
    let mut watch = Watch::of(small(true), 0);
    let mut kinds = Vec::new();
    for _ in 0..8 {
        press(&mut watch, "!");
        let alarms = watch.model.alarms_at_cursor();
        assert!(!alarms.is_empty());
        kinds.extend(alarms.into_iter().map(|at| watch.model.plan().unwrap().alarms()[at].kind()));
    }
    assert!(kinds.contains(&"deviation") && kinds.contains(&"overlap"), "{kinds:?}");
    assert!(draw(&mut watch).contains("at the cursor:"), "the map is shown");
    let mut clean = Watch::of(small(false), 1);
    press(&mut clean, "!");
    assert!(draw(&mut clean).contains("no alarm"));
}

#[test]
fn start_and_live() {
    let mut watch = watch();
    press(&mut watch, "g");
    assert_eq!((view(&watch).ops.cursor, watch.model.follow), (0, false));
    press(&mut watch, "G");
    assert_eq!((view(&watch).ops.cursor, watch.model.follow), (4, true));
}

#[test]
fn what_is_in_view_follows_the_playhead_until_told_otherwise() {
    let mut watch = watch();
    press(&mut watch, "g+++++G");
    let complete = |model: &mut Model, op| {
        model.apply(Record::Event(Event::Completed { run: 42, plan: 0, op, t: 172_000_000 }));
        model.settle();
    };
    complete(&mut watch.model, 9);
    assert_eq!(watch.model.playhead(), Playhead::At(9));
    assert!((view(&watch).ops.start..view(&watch).ops.end()).contains(&9));
    press(&mut watch, "g");
    complete(&mut watch.model, 9);
    assert_eq!(view(&watch).ops.start, 0);
    // Whoever looks closely at something is not carried off.
    press(&mut watch, "G0HHHHHHHHHH+++++");
    complete(&mut watch.model, 9);
    assert_eq!(view(&watch).ops.start, 0);
}

#[test]
fn short_runs_do_not_flicker() {
    let mut model = small(false);
    let event = |model: &mut Model, event| {
        model.apply(Record::Event(event));
        model.settle();
    };
    event(&mut model, Event::RunEnd { run: 42, t: 173_000_000, ok: true });
    assert_eq!(model.playhead(), Playhead::Done);
    event(&mut model, Event::RunStart { run: 43, plan: 0, t: 174_000_000 });
    assert_eq!(model.playhead(), Playhead::Done);
    event(&mut model, Event::Completed { run: 43, plan: 0, op: 0, t: 174_000_001 });
    assert_eq!(model.playhead(), Playhead::At(0));
}

pub(crate) fn mouse(watch: &mut Watch, kind: MouseEventKind, (column, row): (u16, u16)) {
    watch.mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }, SCREEN);
}

#[test]
fn the_mouse_sets_zooms_pans_and_chooses_views() {
    let mut watch = watch();
    let left = MouseEventKind::Down(MouseButton::Left);
    mouse(&mut watch, left, (50, 10));
    let before = view(&watch);
    assert_eq!(before.ops.cursor, before.ops.span(50 - 9, 100 - 10).0);
    for _ in 0..4 {
        mouse(&mut watch, MouseEventKind::ScrollUp, (50, 10));
    }
    let zoomed = view(&watch);
    assert!(zoomed.ops.len < before.ops.len && zoomed.bytes.len < before.bytes.len);
    mouse(&mut watch, left, (50, 10));
    mouse(&mut watch, MouseEventKind::Drag(MouseButton::Left), (80, 18));
    assert!(view(&watch).ops.start < zoomed.ops.start && view(&watch).bytes.start > zoomed.bytes.start);
    mouse(&mut watch, MouseEventKind::Up(MouseButton::Left), (80, 18));
    mouse(&mut watch, left, (3, 1));
    assert!(draw(&mut watch).contains("what it is for"));
    mouse(&mut watch, left, (16, 1));
    assert!(draw(&mut watch).contains("at the cursor"));
}

#[test]
fn ten_thousand_random_inputs_do_no_harm() {
    let plan = crate::support::encoder(2);
    let windows = crate::support::windows(&plan);
    let other = crate::picture_tests::model(crate::support::records(&plan, windows, 7));
    let mut watches = [Watch::of(small(true), 0), Watch::of(other, 1), Watch::of(Model::new(), 1)];
    // A linear congruential generator (Knuth's MMIX constants): the same inputs every time.
    let mut state = 1u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let keys: Vec<char> = "hjklHJKL+-<>[]0gGpaA!/nN 12?\n\u{1b}xyz中\u{8}".chars().collect();
    for turn in 0..10_000 {
        let watch = &mut watches[turn % 3];
        if random(4) == 0 {
            let at = (random(110) as u16, random(35) as u16);
            let kinds = [
                MouseEventKind::Down(MouseButton::Left),
                MouseEventKind::Drag(MouseButton::Left),
                MouseEventKind::Up(MouseButton::Left),
                MouseEventKind::ScrollUp,
                MouseEventKind::ScrollDown,
                MouseEventKind::Moved,
            ];
            mouse(watch, kinds[random(6) as usize], at);
        } else {
            press(watch, &keys[random(keys.len() as u64) as usize].to_string());
        }
        if turn % 16 == 0 {
            draw(watch);
        }
        if let Some(arena) = watch.model.arena() {
            for axis in [arena.view.ops, arena.view.bytes] {
                assert!(axis.end() <= axis.total && axis.len >= axis.unit);
                assert!((axis.start..axis.end()).contains(&axis.cursor));
            }
        }
    }
}

/// A plan of another shape takes the place of the one looked at: zoom and cursor stay where they were, on the same tensor.
#[test]
fn what_is_looked_at_stays_when_the_shape_changes() {
    let mut model = small(false);
    let mut larger = support::by_hand();
    larger.arenas.iter_mut().for_each(|arena| arena.size *= 2);
    for buffer in &mut larger.buffers {
        (buffer.size, buffer.offset) = (buffer.size * 2, buffer.offset * 2);
    }
    let buffers = support::by_hand().buffers;
    let at = (0..buffers.len() as u32).max_by_key(|&at| buffers[at as usize].size).unwrap();
    model.select(at);
    model.go(|view, _| view.zoom(view.ops.cursor, view.bytes.cursor, 1, 2));
    let look = |model: &Model| {
        let view = *model.arena().unwrap().view;
        (model.selected().unwrap().1.name.clone(), view.ops, view.bytes.len)
    };
    let (name, ops, bytes) = look(&model);
    let run = model.timeline.runs_started;
    model.apply(Record::Plan { plan: 1, record: larger });
    model.apply(Record::Event(Event::RunStart { run, plan: 1, t: 90_000 }));
    model.settle();
    assert_eq!(model.plan().unwrap().record.arenas[0].size, 2 * support::by_hand().arenas[0].size);
    assert_eq!(look(&model), (name, ops, 2 * bytes));
}

pub(crate) fn click(watch: &mut Watch, x: u16, y: u16, button: MouseButton) {
    for kind in [MouseEventKind::Down(button), MouseEventKind::Up(button)] {
        watch.mouse(MouseEvent { kind, column: x, row: y, modifiers: KeyModifiers::NONE }, SCREEN);
    }
}

/// The row of the screen that holds some words, with the column at which they begin.
pub(crate) fn place(picture: &str, words: &str) -> (u16, u16) {
    let line = picture.lines().enumerate().find(|(_, line)| line.contains(words));
    let (row, line) = line.unwrap_or_else(|| panic!("{words} is not in\n{picture}"));
    let before = &line[..line.find(words).unwrap()];
    (bayplan_text::columns(before) as u16, row as u16)
}

#[test]
fn a_list_goes_where_keys_and_mouse_say_and_the_map_goes_along() {
    let mut watch = watch();
    press(&mut watch, "3");
    draw(&mut watch);
    press(&mut watch, "j");
    let second = name_at_cursor(&watch);
    watch.key(KeyEvent::from(KeyCode::Home));
    let first = name_at_cursor(&watch);
    assert_ne!(first, second);
    watch.key(KeyEvent::from(KeyCode::End));
    assert_eq!(name_at_cursor(&watch), "logits", "by birth");
    let (x, y) = place(&draw(&mut watch), "block/gelu");
    click(&mut watch, x, y, MouseButton::Left);
    assert_eq!(name_at_cursor(&watch), "block/gelu");
    // The head orders: by size, and the largest first.
    let (x, y) = place(&draw(&mut watch), " size");
    click(&mut watch, x + 1, y, MouseButton::Left);
    let picture = draw(&mut watch);
    assert!(picture.contains("size▼"), "{picture}");
    assert_eq!(place(&picture, "block/gelu").1, 4, "the largest comes first: {picture}");
    press(&mut watch, "S");
    let picture = draw(&mut watch);
    assert!(picture.contains("size▲"), "{picture}");
    assert_eq!(place(&picture, "block/gelu").1, 4 + 7, "the largest comes last: {picture}");
    press(&mut watch, "S");
    let picture = draw(&mut watch);
    assert_eq!(place(&picture, "block/gelu").1, 4, "{picture}");
    assert_eq!(name_at_cursor(&watch), "block/gelu", "what was chosen stays chosen");
    // A click on the chosen row, and a right click on any, inspects.
    let (x, y) = place(&draw(&mut watch), "block/gelu");
    click(&mut watch, x, y, MouseButton::Left);
    assert!(draw(&mut watch).contains("at the cursor"));
    press(&mut watch, "\u{1b}");
    let (x, y) = place(&draw(&mut watch), "logits");
    click(&mut watch, x, y, MouseButton::Right);
    assert!(draw(&mut watch).contains("at the cursor"));
    assert_eq!(name_at_cursor(&watch), "logits");
}

#[test]
fn a_window_that_is_too_long_is_scrolled() {
    let mut watch = watch();
    let small = Rect { x: 0, y: 0, width: 60, height: 14 };
    let picture = |watch: &mut Watch| {
        let mut buffer = Buffer::empty(small);
        watch.draw(&mut buffer, small, &Theme::new(Colours::None, false));
        buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect::<String>()
    };
    press(&mut watch, "?");
    assert!(picture(&mut watch).contains("1 Overview") && picture(&mut watch).contains("↓"));
    for _ in 0..200 {
        press(&mut watch, "j");
    }
    assert!(picture(&mut watch).contains("move what is in view"));
    press(&mut watch, "k?");
    assert!(!picture(&mut watch).contains("move what is in view"));
}

#[test]
fn what_stands_beside_the_map_can_be_clicked() {
    let mut watch = watch();
    let (x, y) = place(&draw(&mut watch), "? help");
    click(&mut watch, x, y, MouseButton::Left);
    assert!(draw(&mut watch).contains("┌ keys "));
    press(&mut watch, "\u{1b}");
    let (x, y) = place(&draw(&mut watch), "┴");
    click(&mut watch, x, y, MouseButton::Left);
    assert_eq!(view(&watch).ops.cursor, 0);
    let (x, y) = place(&draw(&mut watch), "1 Overview");
    click(&mut watch, x, y, MouseButton::Left);
    assert!(draw(&mut watch).contains("device memory"));
}

#[test]
fn what_the_overview_names_can_be_clicked() {
    let mut watch = Watch::of(small(true), 0);
    let click_on = |watch: &mut Watch, words: &str, button: MouseButton| {
        let (x, y) = place(&draw(watch), words);
        click(watch, x, y, button);
    };
    let at_cursor = |watch: &Watch| (view(watch).ops.cursor, name_at_cursor(watch));
    // A tensor of the peak: the cursor goes there; a second click tells all of it.
    click_on(&mut watch, "block/context", MouseButton::Left);
    assert_eq!(name_at_cursor(&watch), "block/context");
    assert!(draw(&mut watch).contains("device memory"), "the view stays");
    click_on(&mut watch, "block/context", MouseButton::Left);
    assert!(draw(&mut watch).contains("at the cursor"));
    press(&mut watch, "\u{1b}");
    // The peak, by each line that names it.
    for words in ["8.00 KiB at op 4", "peak 8.00 KiB", "at the peak: live"] {
        press(&mut watch, "g");
        assert_eq!(at_cursor(&watch).0, 0);
        click_on(&mut watch, words, MouseButton::Left);
        assert_eq!(at_cursor(&watch).0, 4, "{words}");
    }
    // A column of the live bytes is an op.
    let (x, y) = place(&draw(&mut watch), "peak 8.00 KiB");
    click(&mut watch, x, y + 1, MouseButton::Left);
    assert_eq!(at_cursor(&watch).0, 0);
    // An alarm is shown on the map.
    click_on(&mut watch, "op 2 (Add_2)", MouseButton::Left);
    let shown = draw(&mut watch);
    assert!(shown.contains("at the cursor:") && !watch.model.alarms_at_cursor().is_empty(), "{shown}");
}

#[test]
fn an_arena_of_the_overview_is_chosen_by_a_click() {
    let plan = support::encoder(1);
    let model = crate::picture_tests::model(support::records(&plan, support::windows(&plan), 3));
    let mut watch = Watch::of(model, 0);
    let chosen = |watch: &Watch| watch.model.arena().unwrap().arena;
    assert_eq!(chosen(&watch), 0);
    let picture = draw(&mut watch);
    let row = picture.lines().position(|line| line.contains("bound") && line.contains("waste")).unwrap();
    click(&mut watch, 4, row as u16 + 2, MouseButton::Left);
    assert_eq!(chosen(&watch), 1, "{picture}");
}

#[test]
fn what_fragmentation_shows_can_be_clicked() {
    let mut watch = Watch::of(small(true), 3);
    let picture = draw(&mut watch);
    // What stands where changes with the words.
    let line = |watch: &mut Watch, words: &str| place(&draw(watch), words).1;
    // The curve and its axis are ops; a line that names one goes there.
    let (x, y) = place(&picture, "op 9");
    click(&mut watch, x + 3, y, MouseButton::Left);
    assert_eq!(view(&watch).ops.cursor, 9);
    let below = line(&mut watch, "in use") + 1;
    click(&mut watch, 3, below, MouseButton::Left);
    assert_eq!(view(&watch).ops.cursor, 0);
    let loss = line(&mut watch, "at the peak  ");
    click(&mut watch, 30, loss, MouseButton::Left);
    assert_eq!(view(&watch).ops.cursor, 4);
    // The strip of addresses: up, context, key, a hole, scores at op 4.
    let legend = line(&mut watch, "the bytes of that op");
    for (share, name) in [(30, "block/context"), (55, "block/key"), (99, "block/scores"), (0, "block/up")] {
        click(&mut watch, 2 + 95 * share / 100, legend - 1, MouseButton::Left);
        assert_eq!(name_at_cursor(&watch), name, "at {share} %");
        click_on_op(&mut watch, 4);
    }
    let before = view(&watch);
    click(&mut watch, 2 + 95 * 72 / 100, legend - 1, MouseButton::Left);
    assert_eq!(view(&watch), before, "a hole is no tensor");
    click(&mut watch, 2, legend - 1, MouseButton::Left);
    assert!(draw(&mut watch).contains("at the cursor ─"), "a second click tells all of it");
}

/// Puts the cursor on an op without moving what is in view.
fn click_on_op(watch: &mut Watch, op: u64) {
    watch.model.go(|view, _| view.ops.put(op));
    draw(watch);
}
