//! How soon a key shows on the screen while a run emits a hundred thousand events a second.
//!
//! `make bench-input`, or `cargo bench -p bayplan-tui --bench input [-- KEYS [EVENTS_PER_SECOND]]`: 600 keys at 100,000 events a
//! second unless told otherwise. This process records through the recorder, at the level that writes every event; the viewer is the
//! program itself on a pseudo-terminal, attached to that run. Keys are sent at random moments; a key counts from before it is
//! written into the terminal to the moment at which the bytes came out of it that end the picture that shows what the key
//! does: another view, the cursor at the next op, a window, a letter of a search. Bytes of any other picture do not count.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bayplan_record::Emitter;

#[path = "../attach/common.rs"]
mod common;
#[path = "../../tests/support/on_terminal.rs"]
mod on_terminal;
#[path = "../attach/recordings.rs"]
mod recordings;
#[path = "../../tests/support/mod.rs"]
mod support;

use common::{held, ms, tell};
use on_terminal::{OnTerminal, Screen};
use recordings::{Recorded, event};

/// Columns and rows.
const SIZE: (u16, u16) = (200, 50);
/// What a key does shows within this time, or the bench fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// The time from a picture with what a key does to the next key, in milliseconds: at least, and how many more at random.
const PAUSE: (u64, u64) = (15, 80);
/// Events that are there before the viewer attaches.
const BEFORE: u64 = 500_000;

/// A key, and whether the screen shows what it does, given the op of the cursor before.
type Step = (&'static str, fn(&Screen, Option<u64>) -> bool);

/// What is pressed again and again.
const STEPS: &[Step] = &[
    ("2", |screen, _| view(screen) == Some('2')),
    ("p", |screen, before| op(screen) > before),
    ("h", |screen, before| op(screen) < before),
    ("h", |screen, before| op(screen) < before),
    ("l", |screen, before| op(screen) > before),
    ("h", |screen, before| op(screen) < before),
    ("?", |screen, _| screen.contains("┌ keys")),
    ("\x1b", |screen, _| !screen.contains("┌ keys")),
    ("3", |screen, _| view(screen) == Some('3')),
    ("/", |screen, _| screen.contains(" /▏")),
    ("m", |screen, _| screen.contains(" /m▏")),
    ("a", |screen, _| screen.contains(" /ma▏")),
    ("t", |screen, _| screen.contains(" /mat▏")),
    ("\x1b", |screen, _| !screen.contains("▏")),
    ("4", |screen, _| view(screen) == Some('4')),
    ("5", |screen, _| view(screen) == Some('5')),
    ("6", |screen, _| view(screen) == Some('6')),
    ("1", |screen, _| view(screen) == Some('1')),
];

fn main() -> Result<(), Box<dyn Error>> {
    let numbers = std::env::args().filter_map(|word| word.replace('_', "").parse::<u64>().ok());
    let numbers: Vec<u64> = numbers.collect();
    // Whole rounds, after which no window is open.
    let keys = numbers.first().copied().unwrap_or(600).next_multiple_of(STEPS.len() as u64);
    let rate = numbers.get(1).copied().unwrap_or(100_000);
    let home = tempfile::tempdir()?;
    println!("{:<62} {:>12}   bar", "what", "figure");
    let recorded = Recorded::new(home.path(), BEFORE, None)?;
    let (lost_before, ops) = (recorded.lost(), recorded.ops());
    let mut viewer = OnTerminal::sized(home.path(), &[recorded.name()], SIZE);
    viewer.until("the viewer attaches", |screen| view(screen) == Some('1'));
    // The cursor stands before the peak, as at the end of each round.
    viewer.send("2");
    viewer.until("the map comes", |screen| op(screen).is_some());
    let peak = op(viewer.screen());
    viewer.send("hh");
    viewer.until("the cursor moves", |screen| op(screen) < peak);
    viewer.send("1");
    viewer.until("the first view comes", |screen| view(screen) == Some('1'));
    let done = AtomicBool::new(false);
    let emitter = recorded.recorder().emitter();
    let (mut times, (emitted, passed)) = thread::scope(|scope| {
        let done = &done;
        let stream = scope.spawn(move || emit_until(&emitter, ops, rate, done));
        let times = press(&mut viewer, keys);
        done.store(true, Ordering::Release);
        let sent = stream.join().expect("the stream ends");
        times.map(|times| (times, sent))
    })?;
    let processor = held(viewer.child.id()).map_or_else(String::new, |(memory, cpu)| {
        let share = cpu.as_secs_f64() / passed.as_secs_f64() * 100.0;
        format!("{share:.0} % of a core, {:.0} MB", memory as f64 / 1e6)
    });
    viewer.send("q");
    viewer.end();
    times.sort_unstable();
    let at = |percent: usize| ms(times[(times.len() - 1) * percent / 100]);
    println!(
        "  {:.0} events/s emitted for {:.1} s, {} of {emitted} lost; the viewer took {processor}",
        emitted as f64 / passed.as_secs_f64(),
        passed.as_secs_f64(),
        recorded.lost() - lost_before,
    );
    let what =
        format!("{keys} keys, to the screen: 99th percentile (median {}, longest {})", at(50), at(100));
    tell(&what, &at(99), "50 ms");
    recorded.finish();
    Ok(())
}

/// Presses so many keys, each after the one before has shown; how long each took to show.
fn press(viewer: &mut OnTerminal, keys: u64) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut times = Vec::new();
    for (key, shows) in STEPS.iter().cycle().take(keys as usize) {
        // Xorshift (Marsaglia 2003).
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let sent = Instant::now() + Duration::from_millis(PAUSE.0 + random % PAUSE.1);
        while viewer.next_bytes(sent.saturating_duration_since(Instant::now())).is_some() {}
        let before = op(viewer.screen());
        if shows(viewer.screen(), before) {
            return Err(format!("{key:?} changes nothing:\n{}", viewer.screen().text()).into());
        }
        let begun = Instant::now();
        viewer.send(key);
        let shown = viewer.wait_for_screen(PATIENCE, |screen| shows(screen, before));
        let at = shown.ok_or_else(|| format!("{key:?} shows nothing:\n{}", viewer.screen().text()))?;
        times.push(at.saturating_duration_since(begun));
    }
    Ok(times)
}

/// The number of the view that is shown: in the row of tabs its number alone looks as it does.
fn view(screen: &Screen) -> Option<char> {
    let picture = screen.picture();
    let tabs: Vec<(char, &str)> = picture
        .get(1)?
        .iter()
        .filter_map(|cell| {
            let (text, look) = cell.split_once(' ')?;
            Some((text.parse().ok().filter(char::is_ascii_digit)?, look))
        })
        .collect();
    let alone = |look: &str| tabs.iter().filter(|(_, other)| *other == look).count() == 1;
    tabs.iter().find(|(_, look)| alone(look)).map(|(number, _)| *number)
}

/// The op at the cursor, as the inspector beside the map names it.
fn op(screen: &Screen) -> Option<u64> {
    let text = screen.text();
    let (_, rest) = text.split_once("││ op ")?;
    rest.split(' ').next()?.parse().ok()
}

/// Emits so many events a second, a thousandth of them at a time; how many, and for how long.
fn emit_until(emitter: &Emitter, ops: u64, rate: u64, done: &AtomicBool) -> (u64, Duration) {
    let (begun, mut sent) = (Instant::now(), 0);
    while !done.load(Ordering::Acquire) {
        let due = (begun.elapsed().as_nanos() * u128::from(rate) / 1_000_000_000) as u64;
        (sent..due).for_each(|number| emitter.emit_now(|t| event(BEFORE + number, ops, t)));
        sent = due.max(sent);
        thread::sleep(Duration::from_millis(1));
    }
    (sent, begun.elapsed())
}
