//! The terminal: taken, drawn on, and given back whatever happens.

use std::io::{self, BufWriter, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{DisableMouseCapture, EnableMouseCapture};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;

use crate::error::TuiError;

/// Whether the terminal is ours at the moment.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// A full picture of a large terminal in one write.
const BUFFER: usize = 256 << 10;

/// The terminal while it is ours. Dropping it gives it back.
pub(crate) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
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
            Ok(Self { terminal: blank()? })
        };
        screen().map_err(|error| {
            restore();
            TuiError::Terminal(error)
        })
    }

    /// Draws a picture: only what changed is sent, all of it at once.
    ///
    /// # Errors
    /// The terminal cannot be written to.
    pub(crate) fn draw(&mut self, paint: impl FnOnce(&mut Buffer)) -> Result<(), TuiError> {
        let draw = || -> io::Result<()> {
            queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
            self.terminal.draw(|frame| paint(frame.buffer_mut()))?;
            queue!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
            io::Write::flush(self.terminal.backend_mut())
        };
        draw().map_err(TuiError::Terminal)
    }

    /// Gives the terminal back, stops this process as the signal would have, and takes the terminal again when it
    /// goes on.
    ///
    /// # Errors
    /// The terminal refuses.
    pub(crate) fn suspend(&mut self) -> Result<(), TuiError> {
        restore();
        signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)
            .map_err(TuiError::Signals)?;
        enter().map_err(TuiError::Terminal)?;
        self.redraw()
    }

    /// Draws all of the next picture.
    ///
    /// # Errors
    /// The terminal refuses.
    pub(crate) fn redraw(&mut self) -> Result<(), TuiError> {
        // Terminal::clear would ask the terminal where the cursor is, and wait for an answer that the thread reading
        // input gets: a new one knows that nothing is drawn yet.
        let mut anew = || -> io::Result<()> {
            execute!(io::stdout(), Clear(ClearType::All))?;
            self.terminal = blank()?;
            Ok(())
        };
        anew().map_err(TuiError::Terminal)
    }
}

/// A terminal on which nothing is drawn yet.
fn blank() -> io::Result<Terminal<CrosstermBackend<BufWriter<Stdout>>>> {
    Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(BUFFER, io::stdout())))
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, EnableMouseCapture, SetTitle("bayplan"), cursor::Hide)
}

/// Gives the terminal back, if it is ours. Whatever fails, the rest is tried.
pub(crate) fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let _ = execute!(out, EndSynchronizedUpdate);
    let _ = execute!(out, DisableMouseCapture);
    let _ = execute!(out, LeaveAlternateScreen, SetTitle(""), cursor::Show);
    let _ = disable_raw_mode();
    let _ = out.flush();
}
