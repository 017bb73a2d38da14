//! What stands around a view: the name of what is open, and clicks in and beside windows.

use bayplan_record::{Destination, Places, Recorder, RecordingOptions, Source};
use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;

use crate::input_tests::press;
use crate::picture_tests::small;
use crate::support;
use crate::theme::{Colours, Theme};
use crate::watch::{Outcome, Watch};

fn rows(watch: &mut Watch, (width, height): (u16, u16)) -> Vec<String> {
    let screen = Rect { x: 0, y: 0, width, height };
    let mut buffer = Buffer::empty(screen);
    watch.draw(&mut buffer, screen, &Theme::new(Colours::None, false));
    let rows = buffer.content.chunks(usize::from(width));
    rows.map(|row| row.iter().map(Cell::symbol).collect()).collect()
}

fn click(watch: &mut Watch, (column, row): (u16, u16), (width, height): (u16, u16)) -> Outcome {
    let kind = MouseEventKind::Down(MouseButton::Left);
    let mouse = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
    watch.mouse(mouse, Rect { x: 0, y: 0, width, height })
}

/// What a person calls the recording stands in the header: the file, the folder of a run, a segment within it.
#[test]
fn the_header_names_what_is_open() {
    let home = tempfile::tempdir().unwrap();
    let record = |destination| {
        let options = RecordingOptions {
            destination,
            model: "resnet".to_owned(),
            ..RecordingOptions::new(Places::under(home.path()))
        };
        let recorder = Recorder::create(options, &support::encoder(2)).unwrap();
        let (path, id) = (recorder.path().unwrap().to_owned(), recorder.id().unwrap().to_owned());
        recorder.finish();
        (path, id)
    };
    let (file, _) = record(Destination::File(home.path().join("yester\u{202e}day\u{1b}[2J.bptrace")));
    let (folder, id) = record(RecordingOptions::new(Places::under(home.path())).destination);
    let long = home.path().join(format!("{}.bptrace", "n".repeat(200)));
    std::fs::copy(&file, &long).unwrap();
    for (path, wanted) in [
        (file, r"yester\u{202e}day\x1b[2J.bptrace".to_owned()),
        (folder.join("0001.bptrace"), format!("{id}/0001.bptrace")),
        (folder, id),
        (long, format!("…{}.bptrace", "n".repeat(23))),
    ] {
        let mut watch = Watch::open(Source::of_path(path), 0, None).unwrap();
        watch.read_all();
        for size in [(80, 24), (120, 40)] {
            let header = rows(&mut watch, size)[0].clone();
            assert!(header.contains(&wanted) && header.contains("resnet"), "{wanted}: {header}");
            assert!(header.contains("○ ended"), "{header}");
        }
        // Where there is too little room, what the model is and how it ended matter more.
        let header = rows(&mut watch, (40, 12))[0].clone();
        assert!(header.contains("resnet") && header.contains("○ ended"), "{header}");
    }
}

/// Keys at the foot that a window covers are not clicked, and those beside it close the window before they end anything.
#[test]
fn no_click_ends_the_viewer_while_a_window_is_open() {
    for opens in ["?", "P", "w", "M", "d", "i", "\n"] {
        for size in [(80, 24), (120, 40), (40, 12)] {
            for column in 0..size.0 {
                let mut watch = Watch::of(small(true), 1);
                rows(&mut watch, size);
                press(&mut watch, opens);
                let shown = rows(&mut watch, size);
                assert!(shown.iter().any(|row| row.contains("┌ ")), "{opens:?} at {size:?}");
                let outcome = click(&mut watch, (column, size.1 - 1), size);
                assert_eq!(outcome, Outcome::Stay, "{opens:?} at {size:?}, column {column}");
            }
        }
    }
    // The foot says how to close it, and that can be clicked.
    let size = (120, 40);
    let mut watch = Watch::of(small(true), 1);
    rows(&mut watch, size);
    press(&mut watch, "i");
    let foot = rows(&mut watch, size)[39].clone();
    assert!(foot.starts_with(" esc close") && !foot.contains("quit"), "{foot}");
    click(&mut watch, (2, 39), size);
    let shown = rows(&mut watch, size);
    assert!(shown[39].starts_with(" q quit") && !shown.iter().any(|row| row.contains("┌ op ")), "{shown:?}");
    assert_eq!(click(&mut watch, (2, 39), size), Outcome::Quit);
}
