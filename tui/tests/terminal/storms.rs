//! Many resizes, keys, mouse events and viewers: no panic, and at the end the picture that a fresh viewer draws.

use std::time::Duration;

use bayplan_record::Places;

use crate::on_terminal::OnTerminal;
use crate::{recorder, recording, support};

/// A linear congruential generator (Knuth's MMIX constants): the same numbers every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// The rows that are not as they should be.
fn difference(shown: &[Vec<String>], expected: &[Vec<String>]) -> String {
    let cells = |rows: &[Vec<String>]| rows.concat();
    let both = cells(shown).into_iter().zip(cells(expected)).enumerate();
    let wrong = both.filter(|(_, (a, b))| a != b).take(20);
    let text = |(at, (a, b))| {
        let (x, y) = (at % usize::from(SIZE.0), at / usize::from(SIZE.0));
        format!("at {x}, {y} is {a}, not {b}\n")
    };
    wrong.map(text).collect()
}

const SIZE: (u16, u16) = (100, 30);

/// What a viewer that has just come shows of a recording, after those keys.
fn fresh(home: &std::path::Path, path: &str, keys: &str) -> Vec<Vec<String>> {
    let mut viewer = OnTerminal::sized(home, &[path, "--view", "2"], SIZE);
    viewer.until_shown("arena \"activations\"");
    viewer.until_shown("ended");
    settle(&mut viewer, keys)
}

/// Sends keys, then opens and closes the help, which says that all before has been taken; the picture then.
fn settle(viewer: &mut OnTerminal, keys: &str) -> Vec<Vec<String>> {
    viewer.send(keys);
    viewer.send("?");
    viewer.until_shown("┌ keys ");
    viewer.send("?");
    viewer.until("the help does not close", |screen| !screen.contains("┌ keys "));
    viewer.drain();
    viewer.screen().picture()
}

/// Keys that lead from anywhere to one place: out of what is typed and open, to the second view, all of it, the peak.
const HOME: &str = "2G0p";

#[test]
fn a_thousand_resizes_end_in_the_right_picture() {
    let home = tempfile::tempdir().unwrap();
    let path = recording(home.path());
    let expected = fresh(home.path(), &path, HOME);
    let mut viewer = OnTerminal::sized(home.path(), &[&path, "--view", "2"], SIZE);
    viewer.until_shown("arena \"activations\"");
    let mut random = Random(1);
    for turn in 0..1000 {
        viewer.resize((1 + random.below(300) as u16, 1 + random.below(100) as u16));
        if turn % 50 == 0 {
            viewer.next_bytes(Duration::from_millis(50));
        }
        viewer.discard();
    }
    viewer.resize(SIZE);
    // A resized terminal's emulator keeps what it can: the viewer draws all of it anew.
    viewer.send("\x0c");
    let shown = settle(&mut viewer, HOME);
    assert!(shown == expected, "{}", difference(&shown, &expected));
    viewer.send("q");
    assert!(viewer.end().success());
}

#[test]
fn ten_thousand_random_keys_and_mouse_events_end_in_the_right_picture() {
    let home = tempfile::tempdir().unwrap();
    let path = recording(home.path());
    let expected = fresh(home.path(), &path, HOME);
    let mut viewer = OnTerminal::sized(home.path(), &[&path, "--view", "2"], SIZE);
    viewer.until_shown("arena \"activations\"");
    let mut random = Random(7);
    // All but those that end or stop the viewer, or leave the recording.
    let keys = "hjklHJKL+-=_<>[]0gG!pPaAsSnN123456789?/ \t\r\x0c,.{}wxXuoiycebf:;\x7f中é";
    let keys: Vec<char> = keys.chars().collect();
    let named = [
        "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[5~", "\x1b[6~", "\x1b[H", "\x1b[F", "\x1b[Z", "\x1bOP",
    ];
    let mut sent = String::new();
    for turn in 0..10_000 {
        match random.below(6) {
            0 => {
                let button = [0, 2, 32, 64, 65, 35][random.below(6) as usize];
                let (x, y) = (1 + random.below(110), 1 + random.below(34));
                let end = if random.below(3) == 0 { 'm' } else { 'M' };
                // The last row has keys to click on, and among them the one that quits.
                let y = if y == u64::from(SIZE.1) { 1 } else { y };
                sent.push_str(&format!("\x1b[<{button};{x};{y}{end}"));
            }
            1 => sent.push_str(named[random.below(named.len() as u64) as usize]),
            _ => sent.push(keys[random.below(keys.len() as u64) as usize]),
        }
        if turn % 100 == 99 {
            viewer.send(&std::mem::take(&mut sent));
            viewer.next_bytes(Duration::from_millis(20));
        }
        assert!(turn % 1000 != 0 || viewer.child.try_wait().unwrap().is_none(), "it ended");
    }
    viewer.drain();
    // A fresh viewer of the same place: what was searched for, compared and marked is taken back first.
    escape(&mut viewer);
    // A moment that is still being looked up is waited for before it is left.
    viewer.until("it seeks without end", |screen| !screen.contains("looking it up"));
    viewer.drain();
    viewer.send("2G");
    viewer.until_shown("ended");
    for _ in 0..8 {
        settle(&mut viewer, "");
        if viewer.screen().contains("arena \"activations\"") {
            break;
        }
        viewer.send("a");
    }
    let shown = settle(&mut viewer, HOME);
    assert!(shown == expected, "{}", difference(&shown, &expected));
    viewer.send("\x03");
    assert!(viewer.end().success());
}

/// Leaves windows, searches, ghosts and comparisons, until the viewer says that there are none.
fn escape(viewer: &mut OnTerminal) {
    // A busy viewer may take several at once for one, or one for the start of a sequence.
    for _ in 0..100 {
        viewer.send("\x1b");
        // A lone escape is told from the start of a sequence by the time that passes.
        viewer.listen(Duration::from_millis(60));
        viewer.drain();
        if viewer.screen().contains("nothing is open here") {
            return;
        }
    }
    panic!("something stays open; the screen shows\n{}", viewer.screen().text());
}

#[test]
fn a_session_is_entered_and_left_a_thousand_times_while_a_run_records() {
    let home = tempfile::tempdir().unwrap();
    let recorder = recorder(home.path());
    let id = recorder.id().unwrap().to_owned();
    // Four viewers at a time. Each time the recording is opened, read and let go again.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| enter_and_leave(home.path(), &id, 250));
        }
        for run in 0..50 {
            for event in support::whole_run(run, recorder.now(), 3_100_000) {
                recorder.emit(event);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    // And none of them holds the run up, or leaves anything behind.
    let lost = recorder.finish().lost;
    assert_eq!(lost, 0);
    let places = Places {
        live: home.path().join("runtime/bayplan"),
        runs: home.path().join("state/bayplan/runs"),
        cache: None,
    };
    assert!(bayplan_record::live_runs(&places).unwrap().is_empty());
}

fn enter_and_leave(home: &std::path::Path, id: &str, times: usize) {
    let mut viewer = OnTerminal::sized(home, &[], SIZE);
    for _ in 0..times {
        viewer.until("no list", |screen| screen.contains(id) && screen.contains("runs"));
        viewer.send("\r");
        viewer.until("no session", |screen| screen.contains("device memory"));
        viewer.send("r");
    }
    viewer.until("no list", |screen| screen.contains(id));
    viewer.send("q");
    assert!(viewer.end().success());
}
