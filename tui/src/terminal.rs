//! The terminal: taken, drawn on, and given back whatever happens.

use std::io::{self, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crossterm::event::{DisableMouseCapture, EnableMouseCapture};
use crossterm::style::Print;
use crossterm::terminal::{
    self, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, SetTitle, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{cursor, execute};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::args::MAX_SIDE;
use crate::canvas::{Canvas, Sent};
use crate::error::TuiError;

/// Whether the terminal is ours at the moment.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Held while the terminal is given back: whoever comes second waits until it is.
static GIVING_BACK: Mutex<()> = Mutex::new(());

/// The terminal while it is ours. Dropping it gives it back.
pub(crate) struct Screen {
    canvas: Canvas<Stdout>,
}

impl Screen {
    /// Takes the terminal; a panic gives it back before its message is printed.
    ///
    /// # Errors
    /// The terminal refuses.
    pub(crate) fn take() -> Result<Self, TuiError> {
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |about| {
            restore();
            former(about);
        }));
        let screen = || -> io::Result<Self> {
            enter()?;
            Ok(Self { canvas: Canvas::new(io::stdout()) })
        };
        screen().map_err(|error| {
            restore();
            TuiError::Terminal(error)
        })
    }

    /// Draws a picture: only what changed is sent, all of it at once, unless that is very much. Returns how much
    /// that was, and whether the terminal shows all of it.
    ///
    /// # Errors
    /// The terminal cannot be written to.
    pub(crate) fn draw(&mut self, paint: impl FnOnce(&mut Buffer)) -> Result<Sent, TuiError> {
        // Another thread broke down and gave the terminal back: nothing is drawn into what it says.
        if !TAKEN.load(Ordering::SeqCst) {
            return Ok(Sent { bytes: 0, whole: true, took: Duration::ZERO });
        }
        let draw = || -> io::Result<Sent> {
            let (width, height) = terminal::size()?;
            // A terminal may call itself larger than any is, and a picture of that size is memory.
            let (width, height) = (width.min(MAX_SIDE), height.min(MAX_SIDE));
            self.canvas.draw(Rect { x: 0, y: 0, width, height }, paint)
        };
        draw().map_err(TuiError::Terminal)
    }

    /// Gives the terminal back and stops this process as the signal would have. When it goes on, a signal says so, and
    /// [`Screen::go_on`] takes the terminal again.
    ///
    /// # Errors
    /// The process cannot be stopped.
    pub(crate) fn suspend(&mut self) -> Result<(), TuiError> {
        restore();
        signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)
            .map_err(TuiError::Signals)
    }

    /// Takes the terminal after the process was stopped. Where the stop came unasked, nothing had been given back, and the
    /// shell has changed the terminal all the same.
    ///
    /// # Errors
    /// The terminal refuses.
    pub(crate) fn go_on(&mut self) -> Result<(), TuiError> {
        let again = || -> io::Result<()> {
            if TAKEN.load(Ordering::SeqCst) {
                // What was there before is known already: only what a shell changes is set again.
                disable_raw_mode()?;
                enable_raw_mode()?;
                return show();
            }
            enter()
        };
        again().map_err(TuiError::Terminal)?;
        self.redraw();
        Ok(())
    }

    /// Draws all of the next picture.
    pub(crate) fn redraw(&mut self) {
        self.canvas.forget();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), Print(KEEP_TITLE))?;
    show()
}

fn show() -> io::Result<()> {
    execute!(io::stdout(), EnterAlternateScreen, EnableMouseCapture, SetTitle("bayplan"), cursor::Hide)
}

/// Puts the window's title on the terminal's own stack, and takes it from there again.
const KEEP_TITLE: &str = "\x1b[22;2t";
const FORMER_TITLE: &str = "\x1b[23;2t";

/// Gives the terminal back, if it is ours. Whatever fails, the rest is tried.
pub(crate) fn restore() {
    let _giving_back = GIVING_BACK.lock().unwrap_or_else(PoisonError::into_inner);
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let _ = execute!(out, EndSynchronizedUpdate);
    let _ = execute!(out, DisableMouseCapture);
    let _ = execute!(out, LeaveAlternateScreen, Print(FORMER_TITLE), cursor::Show);
    let _ = disable_raw_mode();
    let _ = out.flush();
}

/// Gives the terminal back as [`restore`] does, but waits no longer than that for one that takes nothing more. Its modes are
/// given back first, which needs no waiting.
pub(crate) fn restore_within(patience: Duration) {
    // Whoever gives the terminal back already may hang on it before it comes to the modes.
    let _ = disable_raw_mode();
    let (done, wait) = mpsc::channel();
    let gives_back = thread::Builder::new().name("giving back".to_owned()).spawn(move || {
        restore();
        let _ = done.send(());
    });
    if gives_back.is_ok() {
        let _ = wait.recv_timeout(patience);
    }
}
