//! What views say of memory that grows, of pools, and of what is wrong: in every size.

use bayplan_trace::{Event, Record};
use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;

use crate::model::Model;
use crate::picture_tests::small;
use crate::theme::{Colours, Theme};
use crate::views::VIEWS;
use crate::watch::Watch;

const SIZES: [(u16, u16); 4] = [(40, 12), (80, 24), (120, 40), (200, 50)];

fn picture(model: &Model, view: usize, (width, height): (u16, u16)) -> String {
    let area = Rect { x: 0, y: 0, width, height };
    let mut buffer = Buffer::empty(area);
    Watch::of(model.clone(), view).draw(&mut buffer, area, &Theme::new(Colours::None, false));
    let rows = buffer.content.chunks(usize::from(width));
    rows.map(|row| row.iter().map(Cell::symbol).collect::<String>() + "\n").collect()
}

fn number_of(title: &str) -> usize {
    VIEWS.iter().position(|view| view.title() == title).unwrap()
}

/// A second heap that grows by a MiB a second towards its budget, and a pool that takes a range a second.
fn growing() -> Model {
    const SECOND: u64 = 1_000_000_000;
    let mut model = small(false);
    let mut event = |event| model.apply(Record::Event(event));
    event(Event::PoolReady { t: SECOND, pool: 0, bytes: 1 << 20, name: "kv\u{1b}[31m".to_owned() });
    for at in 1..60 {
        let t = at * SECOND;
        let (usage, budget) = ((100 + at) << 20, Some(400 << 20));
        event(Event::HeapSample { t, heap: 1, size: 8 << 30, usage, budget });
        event(Event::PoolAllocated { t, pool: 0, id: at, offset: at * 8192, bytes: 4096 });
    }
    model.settle();
    model
}

#[test]
fn what_grows_is_told_when_it_is_full_and_a_plan_is_not() {
    let model = growing();
    let overview = picture(&model, number_of("Overview"), (120, 40));
    // 241 MiB are left at 1 MiB a second; 788 KiB of the pool at 4 KiB a second.
    assert!(overview.contains("budget in about 4 min at +1.00 MiB/s"), "{overview}");
    assert!(overview.contains("full in about 3 min at +4.00 KiB/s"), "{overview}");
    assert!(overview.contains("others 7.61 GiB"), "{overview}");
    let fragmentation = picture(&model, number_of("Fragmentation"), (120, 40));
    assert!(fragmentation.contains("full in about 3 min at +4.00 KiB/s"), "{fragmentation}");
    // Every second range is a hole: 59 of 4 KiB, and the one behind them.
    assert!(fragmentation.contains("live 236 KiB of 1.00 MiB in 59 ranges"), "{fragmentation}");
    assert!(fragmentation.contains("free 788 KiB in 60 holes"), "{fragmentation}");
    assert!(fragmentation.contains("kv\\x1b[31m"), "{fragmentation}");
    for view in 0..VIEWS.len() {
        let still = picture(&small(true), view, (200, 50));
        assert!(!still.contains("in about"), "a plan does not grow: {still}");
    }
}

#[test]
fn what_is_wrong_stands_in_every_view_at_every_size() {
    let (faulty, clean) = (small(true), small(false));
    for (view, size) in (0..VIEWS.len()).flat_map(|view| SIZES.map(|size| (view, size))) {
        let header = |model: &Model| picture(model, view, size).lines().next().unwrap_or_default().to_owned();
        assert!(header(&faulty).contains('▲'), "view {view} at {size:?}: {}", header(&faulty));
        assert!(!header(&clean).contains('▲'), "view {view} at {size:?}: {}", header(&clean));
    }
}

#[test]
fn what_is_most_important_stands_in_the_smallest_picture() {
    let model = small(false);
    let fragmentation = picture(&model, number_of("Fragmentation"), SIZES[0]);
    for words in ["waste  12.5 %", "most 88.9 % at op 4", "at peak  live 8.00 KiB of 9.00 KiB", "▲ op 4", "█"]
    {
        assert!(fragmentation.contains(words), "{words}: {fragmentation}");
    }
    let overview = picture(&model, number_of("Overview"), SIZES[0]);
    assert!(overview.contains("of 2.00 GiB") && overview.contains("alarms"), "{overview}");
}

/// Labels of the axis of ops stand apart, wherever the cursor is.
#[test]
fn labels_of_ops_never_write_over_each_other() {
    for size in SIZES {
        let theme = Theme::new(Colours::None, false);
        let mut watch = Watch::of(small(false), number_of("Fragmentation"));
        crate::snapshot::picture(&mut watch, size, &[], &theme);
        for _ in 0..10 {
            watch.key(KeyEvent::from(KeyCode::Left));
        }
        for op in 0..10 {
            let picture = crate::snapshot::picture(&mut watch, size, &[], &theme);
            let axis = picture.lines().find(|line| line.contains('▲')).unwrap();
            let labels: Vec<&str> = axis.trim_matches(['│', ' ']).split("  ").map(str::trim).collect();
            let labels: Vec<&str> = labels.into_iter().filter(|label| !label.is_empty()).collect();
            assert!(labels.contains(&&*format!("▲ op {op}")), "{labels:?}");
            let whole =
                |label: &&str| label.trim_start_matches("▲ ").strip_prefix("op ").unwrap().parse::<u8>();
            assert!(labels.iter().all(|label| whole(label).is_ok()), "{labels:?}");
            watch.key(KeyEvent::from(KeyCode::Right));
        }
    }
}

/// What the map shows of a plan is told on the overview, too: the part in view, and what is changed of it.
#[test]
fn the_overview_says_which_part_it_shows_and_what_is_changed() {
    for size in SIZES {
        let theme = Theme::new(Colours::None, false);
        let mut watch = Watch::of(small(false), number_of("Bay plan"));
        let mut press = |keys: &str| -> String {
            for key in keys.chars() {
                crate::snapshot::picture(&mut watch, size, &[], &theme);
                watch.key(crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Char(key)));
                watch.hear();
            }
            crate::snapshot::picture(&mut watch, size, &[], &theme)
        };
        let whole = press("1");
        assert!(!whole.contains("in view") && !whole.contains("what if ·"), "{whole}");
        // The curve has no room on the smallest screen.
        let part = press("2++1");
        assert_eq!(part.contains("ops 3 to 6 in view"), size != (40, 12), "{part}");
        let changed = press("20x1");
        assert!(changed.contains("what if · figures here as recorded"), "{changed}");
        assert!(changed.contains("without block/up: 6.00 KiB"), "{changed}");
    }
}

/// What an import does not know leaves no holes in sentences.
#[test]
fn an_import_is_told_of_by_what_is_known() {
    let mut model = small(false);
    let session = model.timeline.session.as_mut().unwrap();
    let origin = "a snapshot of PyTorch".to_owned();
    *session = bayplan_trace::SessionInfo { id: session.id.clone(), origin, ..Default::default() };
    let overview = picture(&model, number_of("Overview"), (120, 40));
    assert!(overview.contains("│ imported from a snapshot of PyTorch "), "{overview}");
    for hole in ["process 0", "trace level", "on ,", ", ,", "driver ", "bayplan ,"] {
        assert!(!overview.contains(hole), "{hole} in {overview}");
    }
    let text = crate::summary::text(&model);
    assert!(text.starts_with("from a snapshot of PyTorch\n"), "{text}");
    assert!(picture(&model, number_of("Events"), (120, 70)).contains(" recording began "));
}
