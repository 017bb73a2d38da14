//! Pictures of every view: compared with golden ones, colours included; of every size; of hostile names.

use std::fmt::Write;
use std::path::PathBuf;

use bayplan_trace::{Event, PlanRecord, Record};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::model::{Life, Model};
use crate::support;
use crate::theme::{Colours, Theme};
use crate::views::VIEWS;
use crate::watch::Watch;

/// A session on the small plan, at op 4 of its forty-third run.
pub(crate) fn small(faults: bool) -> Model {
    let plan = support::by_hand();
    let mut windows = support::windows(&plan);
    if faults {
        support::plant_by_hand(&mut windows);
    }
    let mut model = model(support::records(&plan, windows, 4));
    if faults {
        let purpose = "cache\u{1b}[31m".to_owned();
        let (id, bytes) = (77, 3 << 20);
        let block = Event::DeviceAllocated { t: 5000, id, bytes, memory_type: 0, purpose, planned: false };
        model.apply(Record::Event(block));
        model.settle();
    }
    model
}

pub(crate) fn model(records: Vec<Record>) -> Model {
    let mut model = Model::new();
    for record in records {
        model.apply(record);
    }
    model.settle();
    (model.life, model.caught_up) = (Life::Live, true);
    model
}

pub(crate) fn draw(watch: &mut Watch, size: (u16, u16), theme: &Theme) -> Buffer {
    let area = Rect { x: 0, y: 0, width: size.0, height: size.1 };
    let mut buffer = Buffer::empty(area);
    watch.draw(&mut buffer, area, theme);
    if theme.ascii {
        crate::theme::to_ascii(&mut buffer);
    }
    buffer
}

/// Symbols, then for each row its styles as a letter behind the number of cells that have it, then what the letters mean.
pub(crate) fn dump(buffer: &Buffer) -> String {
    let mut styles = Vec::new();
    let (mut symbols, mut letters) = (String::new(), String::new());
    for row in buffer.content.chunks(usize::from(buffer.area.width)) {
        let mut own: Vec<(usize, char)> = Vec::new();
        for cell in row {
            let style = (cell.fg, cell.bg, cell.modifier);
            let at = styles.iter().position(|known| *known == style).unwrap_or_else(|| {
                styles.push(style);
                styles.len() - 1
            });
            symbols.push_str(cell.symbol());
            let letter = char::from_u32('A' as u32 + at as u32).unwrap();
            match own.last_mut().filter(|(_, last)| *last == letter) {
                Some((count, _)) => *count += 1,
                None => own.push((1, letter)),
            }
        }
        symbols.push('\n');
        own.iter().for_each(|(count, letter)| write!(letters, "{count}{letter}").unwrap());
        letters.push('\n');
    }
    let mut text = format!("{symbols}\n{letters}\n");
    for (at, (fg, bg, modifier)) in styles.iter().enumerate() {
        let letter = char::from_u32('A' as u32 + at as u32).unwrap();
        writeln!(text, "{letter} {fg:?} on {bg:?} {modifier:?}").unwrap();
    }
    text
}

/// What a picture is, if it is not the golden one of that file.
pub(crate) fn differs(file: &str, picture: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("BAYPLAN_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, picture).unwrap();
    }
    let same = std::fs::read_to_string(&path).ok().as_deref() == Some(picture);
    (!same).then(|| format!("{file}:\n{picture}"))
}

#[test]
fn golden_pictures() {
    let mut cases = vec![
        ("clean", false, (80, 24), Colours::True, false),
        ("clean", false, (200, 50), Colours::True, false),
        ("clean", false, (80, 24), Colours::None, true),
    ];
    for size in [(40, 12), (80, 24), (120, 40), (200, 50)] {
        for colours in [Colours::True, Colours::Indexed, Colours::Basic, Colours::None] {
            cases.push(("faults", true, size, colours, false));
        }
    }
    let mut wrong = Vec::new();
    for (name, faults, size, colours, ascii) in cases {
        for (number, view) in VIEWS.iter().enumerate() {
            let mut model = small(faults);
            if !view.is_listed(&model) {
                crate::diff_tests::compare(&mut model);
            }
            let mut watch = Watch::of(model, number);
            let picture = dump(&draw(&mut watch, size, &Theme::new(colours, ascii)));
            let view = view.title().to_lowercase().replace(' ', "-");
            let ascii = if ascii { "-ascii" } else { "" };
            let file = format!("{view}-{name}-{}x{}-{colours:?}{ascii}.txt", size.0, size.1).to_lowercase();
            wrong.extend(differs(&file, &picture));
        }
    }
    assert!(wrong.is_empty(), "BAYPLAN_BLESS=1 takes these over once they are right:\n{}", wrong.join("\n"));
}

#[test]
fn faults_are_on_the_screen() {
    for colours in [Colours::True, Colours::Indexed, Colours::Basic, Colours::None] {
        let theme = Theme::new(colours, false);
        for number in 0..VIEWS.len() {
            let clean = dump(&draw(&mut Watch::of(small(false), number), (100, 30), &theme));
            let faulty = dump(&draw(&mut Watch::of(small(true), number), (100, 30), &theme));
            for kind in ["deviation", "overlap", "1 unplanned"] {
                assert!(faulty.lines().next().unwrap().contains(kind), "{colours:?} {kind}:\n{faulty}");
                assert!(!clean.contains(kind), "{colours:?} {kind}:\n{clean}");
            }
        }
        // On the map by a glyph of its own, not by colour alone.
        let map = |faults| draw(&mut Watch::of(small(faults), 1), (100, 30), &theme);
        let crosses = |buffer: &Buffer| {
            let rows = 3..buffer.area.height - 6;
            let cells = rows.flat_map(|y| (0..buffer.area.width).map(move |x| (x, y)));
            cells.filter(|at| buffer[*at].symbol() == "╳").count()
        };
        assert_eq!(crosses(&map(false)), 0);
        assert!(crosses(&map(true)) > 20, "{colours:?}");
    }
}

/// A buffer of two pieces, as a recording has one whose upper half is used only later: `gelu` and `gelu[1]`, over a guest
/// that lives in the upper half until `until`.
fn with_a_guest(until: u32) -> Model {
    let mut plan = support::by_hand();
    let gelu = plan.buffers.iter().position(|buffer| buffer.name == "block/gelu").unwrap();
    let (mut later, mut guest) = (plan.buffers[gelu].clone(), plan.buffers[gelu].clone());
    (plan.buffers[gelu].size, plan.buffers[gelu].first) = (1 << 10, 5);
    (later.name, later.offset, later.size, later.first) = ("block/gelu[1]".to_owned(), 5 << 10, 2 << 10, 7);
    guest.name = "block/guest".to_owned();
    (guest.offset, guest.size, guest.first, guest.last) = (5 << 10, 1 << 10, 5, until);
    // The guest lies where the key was.
    let first = plan.buffers.len() as u32;
    plan.ops[7].writes.push(first);
    plan.ops[7].reads.push(first);
    plan.ops[5].writes.push(first + 1);
    plan.ops[until as usize - 1].reads.push(first + 1);
    plan.buffers.extend([later, guest]);
    plan.validate().unwrap();
    let windows = support::windows(&plan);
    model(support::records(&plan, windows, 4))
}

#[test]
fn a_guest_is_no_overlap_until_the_part_is_used() {
    let theme = Theme::new(Colours::None, false);
    let [legal, illegal] = [7, 8].map(|until| {
        let draw = |view: usize| draw(&mut Watch::of(with_a_guest(until), view), (100, 30), &theme);
        [draw(0), draw(1)]
    });
    for (legal, illegal) in legal.iter().zip(&illegal) {
        let title = |buffer: &Buffer| dump(buffer).lines().next().unwrap().to_owned();
        assert!(!dump(legal).contains("overlap"), "{}", dump(legal));
        assert!(title(illegal).contains("1 overlap"), "{}", dump(illegal));
    }
    let crosses = |buffer: &Buffer| buffer.content.iter().filter(|cell| cell.symbol() == "╳").count();
    // The legend has one.
    assert!(crosses(&legal[1]) < crosses(&illegal[1]), "{}", dump(&illegal[1]));
}

#[test]
fn every_size_is_drawn() {
    let themes = [Theme::new(Colours::True, false), Theme::new(Colours::None, true)];
    let plan = support::encoder(2);
    let mut windows = support::windows(&plan);
    support::plant_by_hand(&mut windows);
    let encoder = model(support::records(&plan, windows, 9));
    let long = (1..=300u16).flat_map(|cols| [1, 5, 12, 13, 24, 50, 100].map(|rows| (cols, rows)));
    let tall = (1..=100u16).flat_map(|rows| [1, 20, 40, 75, 76, 112, 300].map(|cols| (cols, rows)));
    let small_ones = (1..=64u16).flat_map(|cols| (1..=20u16).map(move |rows| (cols, rows)));
    for (turn, size) in long.chain(tall).chain(small_ones).enumerate() {
        let model = match turn % 3 {
            0 => small(true),
            1 => Model::new(),
            _ => encoder.clone(),
        };
        let mut watch = Watch::of(model, turn % VIEWS.len());
        if turn % 5 == 0 {
            watch.key(crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Char('?')));
        } else if turn % 5 == 1 {
            watch.key(crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Enter));
        }
        draw(&mut watch, size, &themes[turn % 2]);
    }
}

#[test]
fn odd_plans_are_drawn() {
    let empty_arena = PlanRecord { arenas: vec![Default::default()], ..PlanRecord::default() };
    let mut no_ops = support::by_hand();
    no_ops.ops.clear();
    no_ops.arenas[0].witness_op = None;
    for buffer in &mut no_ops.buffers {
        (buffer.first, buffer.last) = (0, 0);
    }
    let mut huge = support::by_hand();
    huge.arenas[0].size = u64::MAX;
    huge.buffers[0].size = u64::MAX;
    for plan in [PlanRecord::default(), empty_arena, no_ops, huge] {
        plan.validate().unwrap();
        for number in 0..VIEWS.len() {
            let mut watch = Watch::of(model(support::records(&plan, Vec::new(), 0)), number);
            for size in [(40, 12), (80, 24), (200, 50)] {
                draw(&mut watch, size, &Theme::new(Colours::True, false));
            }
            crate::summary::text(&watch.model);
        }
    }
}

#[test]
fn hostile_names_stay_inside_their_cells() {
    let names = [
        "\u{1b}[2J\u{1b}[31mred\u{7}",
        "a\nb\r\n\tc",
        "\u{202e}evil\u{2066}",
        "中文字中文字中文字中文字中文字中文字中文字中文字中文字",
        "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
        &"long/".repeat(2000),
        "",
    ];
    for name in names {
        let mut plan = support::by_hand();
        plan.arenas[0].name = name.to_owned();
        for buffer in &mut plan.buffers {
            (buffer.name, buffer.shape, buffer.size_expr) =
                (name.to_owned(), name.to_owned(), name.to_owned());
        }
        for op in &mut plan.ops {
            for text in [&mut op.name, &mut op.source_node, &mut op.source_op, &mut op.kernel] {
                *text = name.to_owned();
            }
        }
        let mut windows = support::windows(&plan);
        support::plant_by_hand(&mut windows);
        let mut records = support::records(&plan, windows, 4);
        if let Record::Session(session) = &mut records[0] {
            for text in [&mut session.model, &mut session.device, &mut session.driver, &mut session.api] {
                *text = name.to_owned();
            }
        }
        let text = name.to_owned();
        records.push(Record::Event(Event::Message { t: 9, level: bayplan_trace::Severity::Warning, text }));
        for number in 0..VIEWS.len() {
            let mut watch = Watch::of(model(records.clone()), number);
            watch.model.search(name);
            for size in [(40, 12), (80, 24), (200, 50)] {
                for key in ['x', '\n'] {
                    let code = if key == '\n' {
                        crossterm::event::KeyCode::Enter
                    } else {
                        crossterm::event::KeyCode::Char(key)
                    };
                    watch.key(crossterm::event::KeyEvent::from(code));
                    check_cells(&draw(&mut watch, size, &Theme::new(Colours::True, false)), name);
                }
            }
            let text =
                crate::snapshot::picture(&mut watch, (120, 40), &[], &Theme::new(Colours::None, false));
            assert!(text.lines().all(|line| ratatui::text::Line::raw(line).width() <= 120), "{text}");
            let summary = crate::summary::text(&watch.model);
            assert!(!summary.chars().any(|c| c.is_control() && c != '\n'), "{summary}");
        }
    }
}

fn check_cells(buffer: &Buffer, name: &str) {
    for cell in &buffer.content {
        let harmless =
            cell.symbol().chars().all(|c| !c.is_control() && !('\u{2028}'..='\u{202e}').contains(&c));
        assert!(harmless, "{:?} of {name:?}", cell.symbol());
    }
    // The frame's right edge is where it was: nothing moved the cursor.
    let last = buffer.area.width - 1;
    let edge = (3..buffer.area.height - 2)
        .filter(|y| ["│", "┤", "┐", "┘", "─"].contains(&buffer[(last, *y)].symbol()));
    assert!(edge.count() > 0, "{name:?}");
}

#[test]
fn ascii_pictures_are_ascii() {
    for faults in [false, true] {
        for number in 0..VIEWS.len() {
            let text = crate::snapshot::picture(
                &mut Watch::of(small(faults), number),
                (120, 40),
                &[],
                &Theme::new(Colours::None, true),
            );
            assert!(text.is_ascii(), "{text}");
            // What has no stand-in would show as a question mark.
            let known = ["why this peak?", "why not smaller?", "? help"];
            let rest = known.iter().fold(text.clone(), |text, words| text.replace(words, ""));
            assert!(!rest.contains('?'), "{text}");
        }
    }
}
