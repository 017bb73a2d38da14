//! Every key and every mouse action of the table, pressed in a terminal: it does what the help says. The table is what
//! `--print-config` prints; a row of it without a row here fails, and so does one here without one there.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::on_terminal::{OnTerminal, Screen};
use crate::{recording_of, support};

const SIZE: (u16, u16) = (100, 30);

/// The text on a screen.
struct Shot(String);

impl Shot {
    fn of(screen: &Screen) -> Self {
        Self(screen.text())
    }

    fn has(&self, text: &str) -> bool {
        self.0.contains(text)
    }

    fn line(&self, with: &str) -> &str {
        self.0.lines().find(|line| line.contains(with)).unwrap_or_default()
    }

    /// The first op in view, the one at the cursor and the last one, as the axis below the map names them. Where the cursor
    /// is on the first one, that stands for both.
    fn ops(&self) -> Option<(u64, u64, u64)> {
        let axis = self.0.lines().skip_while(|line| !(line.starts_with('│') && line.contains('└'))).nth(1)?;
        let (left, right) = axis.split_once('░')?;
        let number = |word: &str| word.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().ok();
        let first = left.split_whitespace().find_map(number)?;
        let last = right.split_whitespace().rev().find_map(number)?;
        let at = axis.split_once("op ").map_or(Some(first), |(_, rest)| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        })?;
        Some((first, at, last))
    }

    fn op(&self) -> u64 {
        self.ops().map_or(0, |(_, at, _)| at)
    }

    /// The runs that the header tells: the one that is shown, and of how many where the past is.
    fn runs(&self) -> Option<(u64, Option<u64>)> {
        let (_, rest) = self.line("bayplan ▸").split_once(" run ")?;
        let mut words = rest.split_whitespace();
        let run = words.next()?.parse().ok()?;
        Some((run, words.next().filter(|word| *word == "of").and_then(|_| words.next()?.parse().ok())))
    }

    /// How long before the end the moment is that is shown, in milliseconds; none where it is the end.
    fn behind(&self) -> Option<f64> {
        let (_, rest) = self.line("bayplan ▸").split_once("◀ ")?;
        let (number, unit) = rest.split_once(" before the end")?.0.split_once(' ')?;
        let number: f64 = number.parse().ok()?;
        Some(
            number
                * if unit == "ms" {
                    1.0
                } else if unit == "s" {
                    1000.0
                } else {
                    0.001
                },
        )
    }

    /// A row of the screen.
    fn row_at(&self, row: usize) -> &str {
        self.0.lines().nth(row).unwrap_or_default()
    }

    /// The row that begins with the time at which the strip of time does, and ends with what is now.
    fn has_strip(&self) -> bool {
        self.row_at(usize::from(SIZE.1) - 2).trim_end().ends_with(" now")
    }

    /// The title of the column by which a list is ordered.
    fn ordered_by(&self) -> &str {
        let head = self.line("by ");
        head.split_once(" by ").map_or("", |(_, rest)| rest.split(['▲', '▼']).next().unwrap_or_default())
    }

    /// How many ops are in view.
    fn width(&self) -> u64 {
        self.ops().map_or(0, |(first, _, last)| last - first.min(last) + 1)
    }

    /// The row of the screen that the cursor is in.
    fn row(&self) -> i64 {
        self.0.lines().position(|line| line.contains('►')).map_or(-1, |row| row as i64)
    }

    /// How much the bytes are enlarged.
    fn bytes_zoom(&self) -> u64 {
        let after = self.0.split_once(" bytes ").map_or("1", |(_, rest)| rest);
        after.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(1)
    }

    /// What is at the cursor.
    fn tensor(&self) -> &str {
        self.line("├ at the cursor")
    }

    /// The op of the peak, as the view says it.
    fn peak(&self) -> Option<u64> {
        let (_, rest) = self.line("├ why this peak?").split_once(" at op ")?;
        rest.split(' ').next()?.parse().ok()
    }
}

type Check = fn(&Shot, &Shot) -> bool;

/// A key's test: what is pressed before, and what holds of the screens before and after the key.
struct Case {
    /// Sent one by one; what stands behind a blank is waited for then.
    setup: &'static [(&'static str, &'static str)],
    check: Check,
}

const MAP: &[(&str, &str)] = &[("2p", "├ at the cursor")];
const CLOSE: &[(&str, &str)] = &[("2p+++", "zoom ops")];
const LIST: &[(&str, &str)] = &[("3", "tensors of arena")];

/// The test of an action.
fn case(name: &str) -> Option<Case> {
    let case = |setup, check: Check| Some(Case { setup, check });
    match name {
        "help" => case(&[], |before, after| {
            !before.has("┌ keys") && after.has("┌ keys") && after.has("go to the peak")
        }),
        "next-view" => case(&[], |_, after| after.has("├ at the cursor")),
        "former-view" => case(&[("2", "├ at the cursor")], |_, after| after.has("device memory")),
        "pause" => case(MAP, |_, after| after.has("‖ paused") && after.has("held")),
        "left" => case(MAP, |before, after| after.op() < before.op() && after.row() == before.row()),
        "right" => case(MAP, |before, after| after.op() > before.op() && after.row() == before.row()),
        "up" => case(MAP, |before, after| after.row() == before.row() - 1 && after.op() == before.op()),
        "down" => case(&[("2pkk", "├ at the cursor")], |before, after| after.row() == before.row() + 1),
        "far-left" => {
            case(&[("2p", "├ at"), ("LL", "├ at")], |before, after| after.op() + 5 <= before.op())
        }
        "far-right" => case(MAP, |before, after| after.op() >= before.op() + 5),
        "far-up" => case(&[("2pJJ", "├ at")], |before, after| after.row() <= before.row() - 5),
        "far-down" => case(&[("2pJJKK", "├ at")], |before, after| after.row() >= before.row() + 5),
        "zoom-in" => case(MAP, |before, after| after.width() < before.width() && after.has("zoom ops")),
        "zoom-out" => case(CLOSE, |before, after| after.width() > before.width()),
        "zoom-ops-in" => case(MAP, |before, after| {
            after.width() < before.width() && after.bytes_zoom() == before.bytes_zoom()
        }),
        "zoom-ops-out" => case(CLOSE, |before, after| {
            after.width() > before.width() && after.bytes_zoom() == before.bytes_zoom()
        }),
        "zoom-bytes-in" => case(CLOSE, |before, after| {
            after.bytes_zoom() > before.bytes_zoom() && after.width() == before.width()
        }),
        "zoom-bytes-out" => case(CLOSE, |before, after| {
            after.bytes_zoom() < before.bytes_zoom() && after.width() == before.width()
        }),
        "fit" => case(CLOSE, |before, after| before.has("zoom ops") && !after.has("zoom ops")),
        "start" | "first" => case(MAP, |before, after| before.op() > 0 && after.op() == 0),
        "live" | "last" => case(MAP, |before, after| before.op() < 84 && after.op() == 84),
        "peak" => case(&[("2g", "op 0")], |before, after| {
            before.op() == 0 && after.peak().is_some_and(|peak| peak > 0 && after.op() == peak)
        }),
        "why-peak" => case(MAP, |_, after| after.has("┌ why this peak?")),
        "why-not-smaller" => case(MAP, |_, after| after.has("┌ why not smaller?")),
        "without" => case(MAP, |_, after| after.has("undoes")),
        "half" => case(MAP, |_, after| after.has("undoes")),
        "undo" => case(&[("2p", "├ at"), ("x", "undoes")], |_, after| after.has("as it is")),
        // The first of the planted faults.
        "next-alarm" => case(&[("2g", "op 0")], |before, after| {
            !before.tensor().contains("deviation")
                && after.tensor().contains("deviation  op 6 (MatMul_6)")
                && after.tensor().contains("layer.0/attention/cont")
        }),
        "search" => case(&[], |_, after| after.has(" /▏") || after.line(" /").contains('▏')),
        "next-match" => case(&[("2", "├ at"), ("/probs\r", "probs")], |before, after| {
            before.tensor() != after.tensor() && after.tensor().contains("probs")
        }),
        "former-match" => {
            case(&[("2", "├ at"), ("/probs\r", "probs"), ("nn", "probs")], |before, after| {
                before.tensor() != after.tensor() && after.tensor().contains("probs")
            })
        }
        "arena" => case(MAP, |before, after| {
            before.has("arena \"activations\"") && !after.has("arena \"activations\"")
        }),
        "order" => case(LIST, |before, after| {
            after.has("ordered by")
                && !before.ordered_by().is_empty()
                && before.ordered_by() != after.ordered_by()
        }),
        "reverse" => {
            case(LIST, |before, after| before.has("▲") && after.has("▼") || before.has("▼") && after.has("▲"))
        }
        "inspect" => case(MAP, |_, after| after.has("┌ at the cursor")),
        "inspect-op" => case(MAP, |before, after| !before.has("┌ op ") && after.has("┌ op ")),
        "diff" => case(MAP, |_, after| after.has("┌ compare with") && after.has(" run ")),
        "end-diff" => {
            let setup = &[
                ("2", "├ at"),
                ("d", "┌ compare with"),
                ("process", "compare with process"),
                ("\r", "7 Diff"),
            ];
            case(setup, |before, after| {
                before.has("7 Diff") && !after.has("7 Diff") && after.has("no longer compared")
            })
        }
        "back" => case(&[("?", "┌ keys")], |before, after| before.has("┌ keys") && !after.has("┌ keys")),
        // Ten runs, four milliseconds each: the moment that is shown is told in the header.
        "former-moment" => case(MAP, |before, after| {
            before.runs() == Some((10, None))
                && after.runs() == Some((9, Some(10)))
                && after.behind() > Some(0.0)
        }),
        "far-former-moment" => case(MAP, |before, after| {
            before.behind().is_none() && after.behind().is_some_and(|behind| (1.0..4.0).contains(&behind))
        }),
        "next-moment" => {
            case(&[("2p", "├ at"), (",", "run 9 of 10"), (",", "run 8 of 10")], |before, after| {
                before.runs() == Some((8, Some(10)))
                    && after.runs() == Some((9, Some(10)))
                    && after.behind() < before.behind()
            })
        }
        "far-next-moment" => case(
            &[("2p", "├ at"), (",", "run 9 of 10"), (",", "run 8 of 10"), (",", "run 7 of 10")],
            |before, after| {
                before
                    .behind()
                    .zip(after.behind())
                    .is_some_and(|(before, after)| (1.0..4.0).contains(&(before - after)))
            },
        ),
        "strip" => case(MAP, |before, after| !before.has_strip() && after.has_strip()),
        "mark" => case(MAP, |_, after| after.has("set at")),
        "next-mark" => case(&[("2p", "├ at"), ("m", "set at"), ("L", "├ at")], |before, after| {
            after.op() < before.op()
        }),
        "marks" => case(&[("2p", "├ at"), ("m", "set at")], |_, after| after.has("┌ marks ·")),
        "remove" => case(&[("2p", "├ at"), ("m", "set at"), ("M", "┌ marks ·")], |_, after| {
            after.has("is taken away")
        }),
        "runs" => case(&[], |_, after| after.has("bayplan ▸ runs")),
        "otherwise" => case(LIST, |before, after| {
            !before.line("┌").contains("of all arenas") && after.line("┌").contains("of all arenas")
        }),
        _ => None,
    }
}

/// What a terminal sends for a key, by its name in the configuration.
fn sequence(key: &str) -> String {
    let named = match key {
        "space" => " ",
        "enter" => "\r",
        "esc" => "\x1b",
        "tab" => "\t",
        "shift-tab" => "\x1b[Z",
        "backspace" => "\x7f",
        "delete" => "\x1b[3~",
        "home" => "\x1b[H",
        "end" => "\x1b[F",
        "page-up" => "\x1b[5~",
        "page-down" => "\x1b[6~",
        "up" => "\x1b[A",
        "down" => "\x1b[B",
        "right" => "\x1b[C",
        "left" => "\x1b[D",
        other => match other.strip_prefix("ctrl-") {
            Some(letter) => return char::from(letter.as_bytes()[0] & 0x1f).to_string(),
            None => other,
        },
    };
    named.to_owned()
}

/// The table: actions with their keys, and the mouse's actions.
fn table(home: &Path) -> (BTreeMap<String, Vec<String>>, Vec<String>) {
    let output = Command::new(env!("CARGO_BIN_EXE_bayplan-tui"))
        .arg("--print-config")
        .env("XDG_CONFIG_HOME", home)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let keys = text.split("[keys]\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let row = |line: &str| {
        let (name, keys) = line.split_once(" = [")?;
        let keys = keys.trim_end_matches(']').split(", ").map(|key| key.trim_matches(['"', '\'']).to_owned());
        Some((name.to_owned(), keys.filter(|key| !key.is_empty()).collect()))
    };
    let mouse =
        text.lines().filter_map(|line| Some(line.strip_prefix("# - ")?.split_once(':')?.0.to_owned()));
    (keys.lines().filter(|line| !line.starts_with('#')).filter_map(row).collect(), mouse.collect())
}

/// Starts a viewer that shows glyphs, in place of colours, and goes where the setup says.
fn viewer(home: &Path, path: &str, setup: &[(&str, &str)]) -> OnTerminal {
    let mut viewer = OnTerminal::with(home, &[path], SIZE, &[("NO_COLOR", "1")]);
    viewer.until_shown("device memory");
    viewer.until_shown("ended");
    viewer.drain();
    for (keys, wanted) in setup {
        viewer.send(keys);
        viewer.until_shown(wanted);
        // Where no window takes it: the help comes and goes once all before has been taken.
        if wanted.starts_with(['├', '└']) || *wanted == "zoom ops" {
            viewer.send("?");
            viewer.until_shown("┌ keys");
            viewer.send("?");
            viewer.until("the help stays", |screen| !screen.contains("┌ keys"));
            viewer.until("it seeks without end", |screen| !screen.contains("looking it up"));
        }
    }
    viewer.drain();
    viewer
}

/// Presses a key of an action and waits until what it is for has happened.
fn press(home: &Path, path: &str, name: &str, key: &str) {
    match name {
        "quit" => {
            let mut viewer = viewer(home, path, &[]);
            viewer.send(&sequence(key));
            assert!(viewer.end().success(), "{name} {key}");
        }
        "suspend" => {
            let mut viewer = viewer(home, path, &[]);
            viewer.send(&sequence(key));
            viewer.wait_until_stopped();
            viewer.signal(Signal::CONT);
            viewer.until_shown("device memory");
        }
        "redraw" => {
            let mut viewer = viewer(home, path, &[]);
            let shown = viewer.screen().text();
            viewer.send(&sequence(key));
            assert!(viewer.listen(Duration::from_millis(500)) > 1000, "all of the picture is sent");
            assert_eq!(viewer.screen().text(), shown);
        }
        view if view.starts_with("view-") => go_to_view(home, path, key, view[5..].parse().unwrap()),
        _ => {
            let case = case(name).unwrap_or_else(|| panic!("no test presses the keys of {name}"));
            let mut viewer = viewer(home, path, case.setup);
            let before = Shot::of(viewer.screen());
            viewer.send(&sequence(key));
            let what = format!("{key} did not do {name}; before it\n{}", before.0);
            viewer.until(&what, |screen| (case.check)(&before, &Shot::of(screen)));
        }
    }
}

/// A view by its number is the one that the command line shows by that number.
fn go_to_view(home: &Path, path: &str, key: &str, number: usize) {
    let from = if number == 1 { &[("2", "├ at the cursor")][..] } else { &[] };
    let mut viewer = viewer(home, path, from);
    let tabs = viewer.screen().row(1);
    viewer.send(&sequence(key));
    if !tabs.contains(&format!(" {number} ")) {
        viewer.until_shown("there is no view of that number");
        return;
    }
    let names: Vec<&str> = tabs.split(['1', '2', '3', '4', '5', '6', '7', '8', '9']).map(str::trim).collect();
    let title = names[number].split("  ").next().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bayplan-tui"))
        .args([path, "--snapshot", &format!("{}x{}", SIZE.0, SIZE.1), "--view", title])
        .env("XDG_CONFIG_HOME", home)
        .output()
        .unwrap();
    let expected = String::from_utf8(output.stdout).unwrap();
    // What frames the view, and its head; which row of a list is chosen is another matter.
    let head = |text: &str| -> Vec<String> {
        text.lines().skip(2).take(2).map(|line| line.trim_end().to_owned()).collect()
    };
    assert!(from.is_empty() || head(&viewer.screen().text()) != head(&expected), "{title} was there before");
    viewer.until(&format!("view {number} {title} is not\n{expected}"), |screen| {
        head(&screen.text()) == head(&expected)
    });
}

#[test]
fn every_key_does_what_the_help_says() {
    let home = tempfile::tempdir().unwrap();
    let path = &faulty(home.path());
    let (actions, _) = table(home.path());
    let presses: Vec<(&String, &String)> =
        actions.iter().flat_map(|(name, keys)| keys.iter().map(move |key| (name, key))).collect();
    assert!(presses.len() > 50, "{actions:?}");
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((name, key)) = presses.get(next.fetch_add(1, Ordering::Relaxed)) {
                    press(home.path(), path, name, key);
                }
            });
        }
    });
}

/// A recording with planted faults, of 85 ops.
/// A run of another plan lies beside it, to compare with.
fn faulty(home: &Path) -> String {
    let other = support::encoder(5);
    recording_of(home, &other, support::windows(&other));
    let plan = support::encoder(6);
    let mut windows = support::windows(&plan);
    support::plant_faults(&plan, &mut windows);
    recording_of(home, &plan, windows)
}

/// What a terminal sends for the mouse at a cell, counted from 0.
fn mouse(button: u8, (x, y): (usize, usize), release: bool) -> String {
    format!("\x1b[<{button};{};{}{}", x + 1, y + 1, if release { 'm' } else { 'M' })
}

fn click(viewer: &mut OnTerminal, button: u8, at: (usize, usize)) {
    viewer.send(&(mouse(button, at, false) + &mouse(button, at, true)));
}

/// Where words stand on the screen.
fn place(viewer: &OnTerminal, words: &str) -> (usize, usize) {
    let text = viewer.screen().text();
    let (row, line) = text.lines().enumerate().find(|(_, line)| line.contains(words)).unwrap();
    (bayplan_text::columns(&line[..line.find(words).unwrap()]), row)
}

#[test]
fn every_mouse_action_does_what_the_help_says() {
    let home = tempfile::tempdir().unwrap();
    let path = &faulty(home.path());
    let (_, actions) = table(home.path());
    assert!(actions.len() >= 5, "{actions:?}");
    for action in &actions {
        mouse_action(home.path(), path, action);
    }
}

fn mouse_action(home: &Path, path: &str, action: &str) {
    let changed =
        |viewer: &mut OnTerminal, what: &str, check: &dyn Fn(&Shot, &Shot) -> bool, before: &Shot| {
            viewer.until(&format!("{action}: {what}; before it\n{}", before.0), |screen| {
                check(before, &Shot::of(screen))
            });
        };
    match action {
        "click" => {
            let mut viewer = viewer(home, path, MAP);
            let before = Shot::of(viewer.screen());
            click(&mut viewer, 0, (60, 8));
            changed(
                &mut viewer,
                "cursor",
                &|before, after| after.op() != before.op() && after.row() == 8,
                &before,
            );
            let at = place(&viewer, "3 Lifetimes");
            click(&mut viewer, 0, at);
            changed(&mut viewer, "tab", &|_, after| !after.has("├ at the cursor"), &before);
            viewer.drain();
            let (before, at) = (Shot::of(viewer.screen()), place(&viewer, " size"));
            click(&mut viewer, 0, (at.0 + 2, at.1));
            changed(
                &mut viewer,
                "order",
                &|before, after| {
                    after.has("size▲") != before.has("size▲") || after.has("size▼") != before.has("size▼")
                },
                &before,
            );
            // A key at the foot, too.
            let at = place(&viewer, "? help  1");
            click(&mut viewer, 0, at);
            changed(&mut viewer, "foot", &|_, after| after.has("┌ keys"), &before);
        }
        "click again" => {
            let mut viewer = viewer(home, path, LIST);
            let before = Shot::of(viewer.screen());
            click(&mut viewer, 0, (10, 8));
            viewer.drain();
            click(&mut viewer, 0, (10, 8));
            changed(&mut viewer, "inspect", &|_, after| after.has("┌ at the cursor"), &before);
        }
        "right click" => {
            let mut viewer = viewer(home, path, MAP);
            let before = Shot::of(viewer.screen());
            click(&mut viewer, 2, (60, 12));
            changed(&mut viewer, "inspect", &|_, after| after.has("┌ at the cursor"), &before);
        }
        "wheel" => {
            let mut viewer = viewer(home, path, MAP);
            let before = Shot::of(viewer.screen());
            viewer.send(&mouse(64, (50, 12), false));
            changed(&mut viewer, "zoom", &|before, after| after.width() < before.width(), &before);
            viewer.send("3");
            viewer.until_shown("tensors of arena");
            viewer.drain();
            let before = Shot::of(viewer.screen());
            // Beside the bars, whose ops the wheel zooms.
            viewer.send(&mouse(65, (5, 12), false));
            // Three rows: what stood in the fourth of them stands in the first.
            let tensor =
                |shot: &Shot, row: usize| shot.row_at(row).chars().skip(50).take(44).collect::<String>();
            let scrolled = |before: &Shot, after: &Shot| {
                tensor(before, 7) != tensor(before, 4) && tensor(before, 7) == tensor(after, 4)
            };
            changed(&mut viewer, "scroll", &scrolled, &before);
        }
        "drag" => {
            let mut viewer = viewer(home, path, CLOSE);
            let before = Shot::of(viewer.screen());
            viewer
                .send(&(mouse(0, (50, 12), false) + &mouse(32, (30, 12), false) + &mouse(0, (30, 12), true)));
            let moved = |before: &Shot, after: &Shot| {
                after
                    .ops()
                    .zip(before.ops())
                    .is_some_and(|(after, before)| after.0 > before.0 && after.2 > before.2)
            };
            changed(&mut viewer, "pan", &moved, &before);
        }
        other => panic!("no test does {other}"),
    }
}
