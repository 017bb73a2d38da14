//! The windows of the peak and of what-ifs on terminals of every size: whole sentences, nothing that is there twice or not at
//! all.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::picture_tests::{draw, model};
use crate::support;
use crate::theme::{Colours, Theme};
use crate::watch::Watch;

/// The rows of a picture of the bay plan after some keys.
fn rows(plan: &bayplan_trace::PlanRecord, keys: &str, size: (u16, u16)) -> Vec<String> {
    let mut watch = Watch::of(model(support::records(plan, support::windows(plan), 4)), 1);
    let theme = Theme::new(Colours::None, false);
    draw(&mut watch, size, &theme);
    for c in keys.chars() {
        let code = if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
        watch.key(KeyEvent::new(code, KeyModifiers::NONE));
        watch.hear();
        draw(&mut watch, size, &theme);
    }
    let picture = draw(&mut watch, size, &theme);
    let row =
        |row: &[ratatui::buffer::Cell]| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>();
    picture.content.chunks(usize::from(size.0)).map(row).collect()
}

/// What stands in the window, as one text.
fn inside(rows: &[String]) -> String {
    let lines = rows
        .iter()
        .filter_map(|row| row.strip_prefix('│').or_else(|| row.split_once(" │ ").map(|(_, rest)| rest)));
    let words = lines.map(|line| line.replace(['│', '┃'], " "));
    words.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_window_of_the_peak_wastes_no_row() {
    for (width, height) in [(40, 12), (44, 14), (60, 16), (80, 24), (120, 40), (200, 50)] {
        let rows = rows(&support::by_hand(), "P", (width, height));
        let text = inside(&rows);
        for words in ["4 tensors live at op 4 Softmax", "9.00 KiB arena = 8.00 KiB live", "+ 1.00 KiB holes"]
        {
            assert!(text.contains(words), "{words} at {width}x{height}:\n{}", rows.join("\n"));
        }
        assert!(text.contains("1.00 KiB (12.5 %) could be saved at most"), "{}", rows.join("\n"));
        for name in ["block/up", "block/context", "block/key", "block/scores"] {
            let end = name.chars().skip(name.len() - 5).collect::<String>();
            assert!(text.contains(&end), "{name} at {width}x{height}:\n{}", rows.join("\n"));
        }
        // Between the parts no more than one row is free.
        let free = |row: &String| row.chars().all(|c| " │┃".contains(c)) && row.contains('│');
        let longest = rows.split(|row| !free(row)).map(<[String]>::len).max();
        assert!(longest <= Some(1), "{longest:?} at {width}x{height}:\n{}", rows.join("\n"));
    }
}

#[test]
fn the_window_of_the_peak_says_what_is_changed() {
    for (width, height) in [(40, 12), (80, 24), (120, 40)] {
        let rows = rows(&support::by_hand(), "xP", (width, height));
        let text = inside(&rows);
        let words = match width {
            40 => ["changed: without", ": −3.00 KiB"],
            _ => ["as recorded · changed: without block/up", ": 6.00 KiB, −3.00 KiB"],
        };
        assert!(words.iter().all(|words| text.contains(words)), "{}", rows.join("\n"));
        // What is told below is the recorded plan.
        assert!(text.contains("9.00 KiB arena"), "{}", rows.join("\n"));
    }
    assert!(!inside(&rows(&support::by_hand(), "xuP", (80, 24))).contains("changed"));
}
