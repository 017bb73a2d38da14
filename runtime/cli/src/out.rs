//! Printing: standard output, whose reader may have gone, and the progress of long work.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bayplan_text::{Count, Nanos, escape};
use serde_json::Value;

use crate::bar::Bar;
use crate::exit::{Failure, Outcome};

/// Prints to standard output. A reader that has closed its end (`bayplan … | head -1`) is no error: the work goes on, and
/// what more there is to say goes nowhere.
///
/// # Errors
/// Standard output cannot be written for another reason, such as a full disk.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    printed(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints what stands in place of a command's work: its help or a version to standard output, or what is wrong with the
/// command line to standard error; answers the exit code that says so.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_told(told: &clap::Error) -> Outcome {
    let result = told.print().and_then(|()| std::io::stdout().flush());
    if !told.use_stderr() {
        printed(result)?;
    }
    Ok(ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(1)))
}

fn printed(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("standard output cannot be written: {e}")))
        }
        _ => Ok(()),
    }
}

/// Prints a JSON document and a line break.
pub(crate) fn print_json(value: &Value) -> Result<(), Failure> {
    print(&(plain(&format!("{value:#}")) + "\n"))
}

/// JSON text with every character that a terminal could obey as its `\u` escape, which means the same to a parser.
pub(crate) fn plain(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        let obeyed = c == '\u{7f}'
            || !c.is_ascii() && escape(c.encode_utf8(&mut [0; 4])).to_string().starts_with('\\');
        if obeyed {
            for unit in c.encode_utf16(&mut [0; 2]) {
                text += &format!("\\u{unit:04x}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// `1 kernel`, `2 kernels`.
pub(crate) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", Count(number as u64), if number == 1 { one } else { many })
}

/// Prints `kind: message` to standard error, whether or not anyone reads it.
pub(crate) fn error_line(kind: &str, message: &str) {
    let _ = writeln!(std::io::stderr(), "{kind}: {message}");
}

/// Prints text to standard error as it is, whether or not anyone reads it.
pub(crate) fn error_text(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// One line on a terminal that says how far long work has come, drawn again in place; nothing elsewhere.
pub(crate) struct Progress {
    quiet: bool,
    shown: bool,
    drawn: bool,
    begun: Option<Instant>,
    next: Instant,
    /// Of the work on bytes that goes on.
    bar: Option<Arc<Bar>>,
}

/// Between two drawings of the line, and before the first.
const EVERY: Duration = Duration::from_millis(200);

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        Self { quiet, shown, drawn: false, begun: None, next: Instant::now() + EVERY, bar: None }
    }

    /// Says what is being done, until the next call.
    pub(crate) fn stage(&mut self, what: &str) {
        self.end_bar();
        if self.shown {
            self.draw(what);
        }
    }

    /// What says, from any thread, how many bytes of how many are done of what is being done, until the next stage; where
    /// standard error is no terminal in lines, if it takes long.
    pub(crate) fn bar(&mut self, what: &str) -> Arc<Bar> {
        let bar = self.bar.get_or_insert_with(|| Arc::new(Bar::new(what, self.quiet)));
        Arc::clone(bar)
    }

    /// Takes the bar away, if there is one: that work is done.
    pub(crate) fn end_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish();
        }
    }

    /// Says how many runs of how many are done.
    pub(crate) fn runs(&mut self, done: u64, all: u64) {
        if !self.shown {
            return;
        }
        let now = Instant::now();
        let begun = *self.begun.get_or_insert(now);
        if now >= self.next && all > 1 {
            self.next = now + EVERY;
            self.draw(&line(done, all, now - begun));
        }
    }

    /// Takes the line away, so that other text can be printed.
    pub(crate) fn clear(&mut self) {
        self.end_bar();
        self.wipe();
    }

    /// Does what prints other text while a bar goes on: it is taken away for that long.
    pub(crate) fn aside<R>(&mut self, print: impl FnOnce() -> R) -> R {
        let bar = self.bar.clone();
        let print = || {
            self.wipe();
            print()
        };
        match bar {
            Some(bar) => bar.aside(print),
            None => print(),
        }
    }

    fn wipe(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    fn draw(&mut self, text: &str) {
        self.drawn = true;
        let mut err = std::io::stderr();
        let _ = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `run 1,200 of 5,000  24 %  3.10 ms each  11.8 s left`, short enough for any terminal.
fn line(done: u64, all: u64, elapsed: Duration) -> String {
    let each = elapsed.as_nanos() / u128::from(done.max(1));
    let left = each * u128::from(all.saturating_sub(done));
    let percent = u128::from(done) * 100 / u128::from(all.max(1));
    let nanos = |ns: u128| Nanos(u64::try_from(ns).unwrap_or(u64::MAX));
    format!("run {} of {}  {percent} %  {} each  {} left", Count(done), Count(all), nanos(each), nanos(left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_holds_no_character_that_a_terminal_obeys_and_means_the_same() {
        let value = json!({ "name": "a\u{1b}[2J\u{9b}31m\u{7f}\u{202e}π层\\\"", "n": 1 });
        let text = plain(&value.to_string());
        assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{7f}', '\u{202e}']), "{text}");
        assert!(text.contains("π层"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn progress_is_told_for_any_numbers() {
        let cases = [
            (1_200, 5_000, 3_720, "run 1,200 of 5,000  24 %"),
            (0, 10, 0, "run 0 of 10  0 %"),
            (1, u64::MAX, 1_000_000_000, "run 1 of "),
        ];
        for (done, all, millis, expected) in cases {
            let text = line(done, all, Duration::from_millis(millis));
            assert!(text.starts_with(expected), "{text}");
            assert!(text.len() < 100, "{text}");
        }
    }
}
