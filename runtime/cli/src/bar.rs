//! How far work on bytes has come: a bar on a terminal, with the rate and the time left; a line now and then elsewhere.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bayplan_text::{Bytes, Nanos, Rate, columns, ellipsis, escape};

/// Between two drawings on a terminal, and before the first: what is done sooner needs none.
const DRAWN_EVERY: Duration = Duration::from_millis(200);
/// Between two lines elsewhere, and before the first.
const TOLD_EVERY: Duration = Duration::from_secs(5);
/// The rate is that of this long.
const OF_LATE: Duration = Duration::from_secs(3);
/// Moments that are kept of that.
const MOMENTS: u32 = 30;
/// Columns of the bar at most, and at least: with fewer it is left out.
const BAR: (usize, usize) = (30, 8);
/// Columns that are left to the figures, so that the bar does not change its width with them.
const FIGURES: usize = 50;
/// Columns of a terminal that does not tell.
const COLUMNS: usize = 80;

/// Where it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Terminal,
    Lines,
    Nobody,
}

/// How far work on bytes has come, told from any thread on standard error.
pub(crate) struct Bar(Mutex<State>);

struct State {
    what: String,
    to: To,
    begun: Instant,
    /// When it is told next, from the beginning.
    next: Duration,
    told: bool,
    meter: Meter,
    /// Columns that a line may take.
    columns: fn() -> usize,
}

impl Bar {
    /// Of work that is called `what`; with `quiet` nothing is told.
    pub(crate) fn new(what: &str, quiet: bool) -> Self {
        let to = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => To::Nobody,
            (false, true) => To::Terminal,
            (false, false) => To::Lines,
        };
        Self(Mutex::new(State::new(what, to)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many bytes of so many are done. Soon over, unless it is time to draw.
    pub(crate) fn tell(&self, done: u64, all: u64) {
        let mut state = self.state();
        let elapsed = state.begun.elapsed();
        state.tell(elapsed, (done, all), &mut std::io::stderr());
    }

    /// Does what prints other text: the bar is taken away for it, and goes on below.
    pub(crate) fn aside<R>(&self, print: impl FnOnce() -> R) -> R {
        let mut state = self.state();
        state.wipe(&mut std::io::stderr());
        print()
    }

    /// Takes the bar away; nothing more is told.
    pub(crate) fn finish(&self) {
        self.state().finish(&mut std::io::stderr());
    }
}

impl State {
    fn new(what: &str, to: To) -> Self {
        let next = if to == To::Terminal { DRAWN_EVERY } else { TOLD_EVERY };
        let (what, begun) = (what.to_owned(), Instant::now());
        Self { what, to, begun, next, told: false, meter: Meter::default(), columns: terminal_columns }
    }

    /// Tells it where it is time. Nobody has to read it: that it cannot be written is no error.
    fn tell(&mut self, elapsed: Duration, (done, all): (u64, u64), out: &mut dyn Write) {
        if self.to == To::Nobody {
            return;
        }
        self.meter.add(elapsed, done);
        if elapsed < self.next {
            return;
        }
        let line = Line { what: &self.what, done, all, rate: self.meter.rate() };
        let (text, every) = match self.to {
            To::Terminal => (format!("\r\x1b[K{}", line.with_bar((self.columns)())), DRAWN_EVERY),
            _ => (format!("{}\n", escape(&line.text())), TOLD_EVERY),
        };
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        (self.told, self.next) = (true, elapsed + every);
    }

    /// Takes away what is drawn.
    fn wipe(&mut self, out: &mut dyn Write) {
        if std::mem::take(&mut self.told) && self.to == To::Terminal {
            let _ = out.write_all(b"\r\x1b[K").and_then(|()| out.flush());
        }
    }

    fn finish(&mut self, out: &mut dyn Write) {
        self.wipe(out);
        self.to = To::Nobody;
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Columns that a line may take: with the last one, some terminals begin another.
fn terminal_columns() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|&cols| cols > 0).unwrap_or(COLUMNS) - 1
}

/// What was done when, of late.
#[derive(Debug, Default)]
struct Meter(VecDeque<(Duration, u64)>);

impl Meter {
    fn add(&mut self, at: Duration, done: u64) {
        // Less than before: other work has begun.
        if self.0.back().is_some_and(|(_, before)| done < *before) {
            self.0.clear();
        }
        // Moments that are too close to each other are one, the first excepted.
        let close = |(before, _): &(Duration, u64)| at.saturating_sub(*before) < OF_LATE / MOMENTS;
        if self.0.len() > 1 && self.0.iter().rev().nth(1).is_some_and(close) {
            self.0.pop_back();
        }
        self.0.push_back((at, done));
        while self.0.len() > 2 && at.saturating_sub(self.0[1].0) >= OF_LATE {
            self.0.pop_front();
        }
    }

    /// Bytes per second.
    fn rate(&self) -> Option<f64> {
        let ((begun, before), (now, done)) = (self.0.front()?, self.0.back()?);
        let took = now.saturating_sub(*begun).as_secs_f64();
        (took > 0.0).then(|| done.saturating_sub(*before) as f64 / took)
    }
}

/// How far it is.
struct Line<'a> {
    what: &'a str,
    done: u64,
    all: u64,
    rate: Option<f64>,
}

impl Line<'_> {
    fn share(&self) -> f64 {
        if self.all == 0 { 1.0 } else { (self.done as f64 / self.all as f64).min(1.0) }
    }

    /// `412 MiB of 1.00 GiB  40 %  1.20 GB/s  500 ms left`.
    fn figures(&self) -> String {
        let percent = (self.share() * 100.0).floor();
        let mut text = format!("{} of {}  {percent:.0} %", Bytes(self.done), Bytes(self.all));
        let Some(rate) = self.rate else { return text };
        text += &format!("  {}", Rate(rate as u64, "B"));
        let left = self.all.saturating_sub(self.done);
        if rate >= 1.0 && left > 0 {
            // Sizes beyond all years end at the longest time that can be told.
            text += &format!("  {} left", Nanos((left as f64 / rate * 1e9) as u64));
        }
        text
    }

    /// All of it in a line, not escaped.
    fn text(&self) -> String {
        format!("{}: {}", self.what, self.figures())
    }

    /// The same with a bar, escaped, in at most so many columns.
    fn with_bar(&self, most: usize) -> String {
        let what = columns(&escape(self.what).to_string());
        let room = most.saturating_sub(what + FIGURES + 6);
        if room < BAR.1 {
            return ellipsis(&self.text(), most).to_string();
        }
        let width = room.min(BAR.0);
        let full = ((self.share() * width as f64).floor() as usize).min(width);
        let (done, left) = ("#".repeat(full), "-".repeat(width - full));
        let text = format!("{}  [{done}{left}]  {}", self.what, self.figures());
        ellipsis(&text, most).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn line(done: u64, rate: Option<f64>) -> Line<'static> {
        Line { what: "loading weights", done, all: 1024 * MIB, rate }
    }

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        assert_eq!(line(0, None).text(), "loading weights: 0 B of 1.00 GiB  0 %");
        let half = line(512 * MIB, Some(536_870_912.0));
        assert_eq!(half.text(), "loading weights: 512 MiB of 1.00 GiB  50 %  537 MB/s  1.00 s left");
        assert_eq!(
            half.with_bar(200),
            "loading weights  [###############---------------]  512 MiB of 1.00 GiB  50 %  537 MB/s  1.00 s left"
        );
        // Nothing comes any more: nobody knows how long.
        assert!(line(512 * MIB, Some(0.0)).text().ends_with("50 %  0 B/s"));
        let done = line(1024 * MIB, Some(1e9)).text();
        assert!(done.ends_with("1.00 GiB of 1.00 GiB  100 %  1.00 GB/s"), "{done}");
        // It is not done before it is.
        assert!(line(1024 * MIB - 1, None).text().ends_with("99 %"));
    }

    #[test]
    fn a_bar_fits_every_terminal() {
        for cols in 1..200 {
            for rate in [None, Some(1.5), Some(1e18)] {
                for done in [0, 1, 333 * MIB, 1024 * MIB, u64::MAX] {
                    let text = line(done, rate).with_bar(cols);
                    assert!(columns(&text) <= cols, "{cols}: {text}");
                    assert!(!text.is_empty());
                }
            }
        }
        let none = Line { what: "packing", done: 0, all: 0, rate: None };
        assert_eq!(none.with_bar(72), "packing  [#########]  0 B of 0 B  100 %");
    }

    #[test]
    fn the_rate_is_that_of_late() {
        let mut meter = Meter::default();
        assert_eq!(meter.rate(), None);
        let mut done = 0;
        // Ten seconds at 1 MiB a millisecond, then four at a quarter of it.
        for milli in 0..14_000u64 {
            done += if milli < 10_000 { MIB } else { MIB / 4 };
            meter.add(Duration::from_millis(milli), done);
            assert!(meter.0.len() <= MOMENTS as usize + 3, "{}", meter.0.len());
            if milli == 9_999 {
                assert_eq!(meter.rate().map(f64::round), Some(1000.0 * MIB as f64));
            }
        }
        assert_eq!(meter.rate().map(f64::round), Some(250.0 * MIB as f64));
        // Other work begins.
        meter.add(Duration::from_secs(15), 5);
        assert_eq!(meter.rate(), None);
    }

    /// What is written while 1 GiB comes in 10 seconds, told every 10 milliseconds, and at the end.
    fn written(to: To) -> String {
        let (mut state, mut out) = (State::new("loading \u{1b}[2J", to), Vec::new());
        state.columns = || 90;
        for step in 0..=1000 {
            state.tell(Duration::from_millis(step * 10), (step * 1024 * MIB / 1000, 1024 * MIB), &mut out);
        }
        state.finish(&mut out);
        // Behind the end nothing is told, whoever still calls.
        state.tell(Duration::from_secs(100), (5, 10), &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_terminal_is_drawn_in_place_and_left_as_it_was() {
        let text = written(To::Terminal);
        let frames: Vec<&str> = text.split("\r\u{1b}[K").collect();
        // Nothing before the first and behind the last; between them five in a second.
        assert_eq!((frames.first(), frames.last(), frames.len()), (Some(&""), Some(&""), 52));
        assert!(
            frames[1..51]
                .iter()
                .all(|frame| frame.starts_with("loading \\x1b[2J  [") && columns(frame) <= 90),
            "{text:?}"
        );
        assert!(frames[25].contains("  50 %  107 MB/s  5.00 s left"), "{}", frames[25]);
        assert!(!text.contains('\n'));
    }

    #[test]
    fn a_bar_goes_on_below_what_is_printed_beside_it() {
        let (mut state, mut out) = (State::new("loading", To::Terminal), Vec::new());
        state.columns = || 90;
        // Nothing is drawn yet: nothing is wiped.
        state.wipe(&mut out);
        assert!(out.is_empty());
        state.tell(DRAWN_EVERY, (MIB, 4 * MIB), &mut out);
        state.wipe(&mut out);
        out.extend(b"other text\n");
        state.wipe(&mut out);
        state.tell(2 * DRAWN_EVERY, (2 * MIB, 4 * MIB), &mut out);
        let text = String::from_utf8(out).expect("text");
        let frames: Vec<&str> = text.split("\r\u{1b}[K").collect();
        assert_eq!((frames.len(), frames[2]), (4, "other text\n"), "{text:?}");
        assert!(frames[1].contains("  25 %") && frames[3].contains("  50 %"), "{text:?}");
    }

    #[test]
    fn elsewhere_there_are_few_lines_and_none_of_what_is_quiet() {
        assert_eq!(
            written(To::Lines).lines().collect::<Vec<_>>(),
            [
                "loading \\x1b[2J: 512 MiB of 1.00 GiB  50 %  107 MB/s  5.00 s left",
                "loading \\x1b[2J: 1.00 GiB of 1.00 GiB  100 %  107 MB/s"
            ]
        );
        assert_eq!(written(To::Nobody), "");
    }
}
