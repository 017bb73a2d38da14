//! However the viewer ends, the terminal is as it was: the screen with its text, cursor, mouse, echo, title. A hundred times
//! for each way.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustix::termios::{Action, OptionalActions, Termios, tcflow, tcgetattr, tcsetattr};

use crate::on_terminal::{Left, OnTerminal, PATIENCE, Screen};
use crate::recording;

/// How often each way is tried.
const TIMES: usize = 100;
const SIZE: (u16, u16) = (80, 24);

/// A way to end the viewer.
#[derive(Clone, Copy, Debug)]
enum Way {
    Key(&'static str),
    Signal(Signal),
    /// It breaks down by itself, as a build for tests does when it is asked.
    Break(&'static str),
}

fn modes(termios: &Termios) -> [u32; 4] {
    let Termios { input_modes, output_modes, control_modes, local_modes, .. } = termios;
    [input_modes.bits(), output_modes.bits(), control_modes.bits(), local_modes.bits()]
}

/// Starts the viewer, ends it, and looks what it has left.
fn once(home: &Path, path: &str, way: Way) {
    let env = match way {
        Way::Break(how) => vec![("BAYPLAN_TUI_BREAK", how)],
        _ => Vec::new(),
    };
    let mut viewer = OnTerminal::with(home, &[path, "--view", "2"], SIZE, &env);
    let before = viewer.screen().left();
    let modes_before = modes(&viewer.modes);
    match way {
        Way::Break(_) => {}
        Way::Key(_) | Way::Signal(_) => {
            viewer.until_shown("arena \"activations\"");
            let during = viewer.screen().left();
            assert!(viewer.is_raw() && during.alternate && during.cursor_is_hidden, "{way:?}");
            assert!(during.title == "bayplan" && during.mouse != before.mouse, "{way:?}: {during:?}");
        }
    }
    match way {
        Way::Key(key) => viewer.send(key),
        Way::Signal(signal) => viewer.signal(signal),
        Way::Break(_) => {}
    }
    let status = viewer.end();
    // What is said about a panic or an error stands on the screen that was there before.
    let as_before = |screen: &Screen| Left { text: String::new(), ..screen.left() } == before;
    viewer.until(&format!("{way:?} leaves {:?}", viewer.screen().left()), as_before);
    let word = match way {
        Way::Break("panic") => "asked to break down",
        Way::Break(_) => "asked to fail",
        _ => "",
    };
    viewer.until_shown(word);
    let said = viewer.screen().left().text;
    assert_eq!(modes(&tcgetattr(&viewer.slave).unwrap()), modes_before, "{way:?}");
    match way {
        Way::Key(_) => assert!(status.success() && said.is_empty(), "{status}: {said}"),
        Way::Signal(signal) => {
            assert_eq!((status.signal(), said.as_str()), (Some(signal.as_raw()), ""), "{status}");
        }
        Way::Break("panic") => assert_eq!(status.code(), Some(101), "{said}"),
        Way::Break(_) => assert_eq!(status.code(), Some(1), "{said}"),
    }
}

#[test]
fn whatever_ends_the_viewer_the_terminal_is_as_it_was() {
    let home = tempfile::tempdir().unwrap();
    let path = recording(home.path());
    let ways = [
        Way::Key("q"),
        Way::Key("\x03"),
        Way::Signal(Signal::TERM),
        Way::Signal(Signal::HUP),
        Way::Signal(Signal::INT),
        Way::Signal(Signal::QUIT),
        Way::Break("panic"),
        Way::Break("error"),
    ];
    // They wait for one another most of the time.
    std::thread::scope(|scope| {
        for way in ways {
            let (home, path) = (home.path(), &path);
            scope.spawn(move || (0..TIMES).for_each(|_| once(home, path, way)));
        }
    });
}

/// A viewer that shows all of a recording that has ended, and what the terminal showed before it.
fn standing(home: &Path, path: &str) -> (OnTerminal, Left) {
    let mut viewer = OnTerminal::start(home, &[path, "--view", "2"]);
    let before = viewer.screen().left();
    viewer.until_shown("arena \"activations\"");
    viewer.until_shown("ended");
    viewer.drain();
    (viewer, before)
}

#[test]
fn a_stop_gives_the_terminal_back_and_going_on_takes_it_again() {
    let home = tempfile::tempdir().unwrap();
    let path = recording(home.path());
    let (mut viewer, before) = standing(home.path(), &path);
    let modes_before = modes(&viewer.modes);
    let shown = viewer.screen().text();
    for turn in 0..TIMES {
        // By its key, and by the signal that a shell sends.
        if turn % 2 == 0 {
            viewer.send("\x1a");
        } else {
            viewer.signal(Signal::TSTP);
        }
        viewer.until("the terminal was not given back", |screen| screen.left() == before);
        let end = Instant::now() + PATIENCE;
        while modes(&tcgetattr(&viewer.slave).unwrap()) != modes_before {
            assert!(Instant::now() < end, "the modes were not given back");
            std::thread::sleep(Duration::from_millis(1));
        }
        viewer.wait_until_stopped();
        viewer.signal(Signal::CONT);
        viewer.until("the picture did not come back", |screen| screen.text() == shown);
        assert!(viewer.is_raw());
    }
    viewer.send("q");
    assert!(viewer.end().success());
}

/// A stop that cannot be caught gives nothing back: the shell sets the terminal as it likes it, writes into the picture and
/// may leave it. Whoever goes on after that takes all of it again, and still leaves what was there before.
#[test]
fn after_a_stop_from_outside_the_terminal_is_taken_again() {
    let home = tempfile::tempdir().unwrap();
    let path = recording(home.path());
    let (mut viewer, before) = standing(home.path(), &path);
    let modes_before = modes(&viewer.modes);
    let taken = viewer.screen().left();
    let shells: [&[u8]; 2] = [
        b"\r\n[1]+  Stopped\r\n\x1b]0;shell\x07\x1b[?25h$ fg\r\n",
        b"\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?25h\x1b]0;shell\x07$ fg\r\n",
    ];
    for turn in 0..TIMES {
        viewer.signal(Signal::STOP);
        viewer.wait_until_stopped();
        tcsetattr(&viewer.slave, OptionalActions::Now, &viewer.modes).unwrap();
        viewer.written_by_another(shells[turn % shells.len()]);
        viewer.signal(Signal::CONT);
        viewer.until("the picture did not come back", |screen| screen.left() == taken);
        assert!(viewer.is_raw());
    }
    viewer.send("q");
    assert!(viewer.end().success());
    // What the shell itself wrote on the screen below stays.
    let as_before = |screen: &Screen| Left { text: String::new(), ..screen.left() } == before;
    viewer.until("it is not given back", as_before);
    assert_eq!(modes(&tcgetattr(&viewer.slave).unwrap()), modes_before);
}

/// Sessions end with more than one signal: whichever ends the process, the terminal is given back before.
#[test]
fn signals_that_come_together_give_the_terminal_back_once() {
    let home = tempfile::tempdir().unwrap();
    let path = recording(home.path());
    for turn in 0..TIMES {
        let mut viewer = OnTerminal::with(home.path(), &[&path, "--view", "2"], SIZE, &[]);
        let before = viewer.screen().left();
        let modes_before = modes(&viewer.modes);
        viewer.until_shown("arena \"activations\"");
        for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
            viewer.signal(signal);
        }
        let status = viewer.end();
        let ended = status.signal().or(status.code().map(|code| code - 128));
        assert!(ended.is_some_and(|signal| [1, 2, 15].contains(&signal)), "{turn}: {status}");
        viewer.until("the terminal was not given back", |screen| screen.left() == before);
        assert_eq!(modes(&tcgetattr(&viewer.slave).unwrap()), modes_before, "{turn}");
    }
}

/// The picture hangs in the terminal, and giving it back would, too.
#[test]
fn a_terminal_that_takes_nothing_holds_nobody() {
    let home = tempfile::tempdir().unwrap();
    let path = recording(home.path());
    // The main thread hangs while it draws, or while it gives the terminal back.
    for (key, pause) in [(Some("5"), 0), (None, 0), (None, 200)] {
        let mut viewer = OnTerminal::with(home.path(), &[&path, "--view", "2"], SIZE, &[]);
        let modes_before = modes(&viewer.modes);
        viewer.until_shown("arena \"activations\"");
        tcflow(&viewer.slave, Action::OOff).unwrap();
        key.into_iter().for_each(|key| viewer.send(key));
        // Two of a kind that come at once are one.
        viewer.signal(Signal::TERM);
        std::thread::sleep(Duration::from_millis(pause));
        viewer.signal(Signal::HUP);
        let status = viewer.end();
        assert!([1, 15].map(|signal| Some(128 + signal)).contains(&status.code()), "{status}");
        assert_eq!(modes(&tcgetattr(&viewer.slave).unwrap()), modes_before, "{key:?}, {pause} ms");
    }
}

/// A report of the mouse that no terminal sends may break the reading of keys: then the viewer ends, and says so.
#[test]
fn what_no_terminal_sends_leaves_no_viewer_that_hears_nothing() {
    let home = tempfile::tempdir().unwrap();
    let path = recording(home.path());
    for bytes in ["\x1b[<0;0;0M", "\x1b[M   ", "\x1b[<0;99999;99999M", "\x1b[1;1;1;1u", "\x1b[?0u\x1b[?c"] {
        let mut viewer = OnTerminal::with(home.path(), &[&path, "--view", "2"], SIZE, &[]);
        viewer.until_shown("arena \"activations\"");
        let modes_before = modes(&viewer.modes);
        viewer.send(bytes);
        viewer.send("q");
        let status = viewer.end();
        assert!(status.code().is_some_and(|code| [0, 1].contains(&code)), "{bytes:?}: {status}");
        assert_eq!(modes(&tcgetattr(&viewer.slave).unwrap()), modes_before, "{bytes:?}");
    }
}
