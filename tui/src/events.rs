//! What wakes the viewer: keys and mouse, files that change, signals; from threads of their own into one channel.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use crossterm::event::{self, Event};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use crate::error::TuiError;
use crate::terminal;

/// One thing to react to.
#[derive(Debug)]
pub(crate) enum Message {
    /// Keys, mouse, a new size.
    Input(Event),
    /// The terminal is gone, or cannot be read any more.
    InputEnded(io::Error),
    /// A file or folder that is watched has changed.
    Changed,
    /// The thread that reads the recording broke down.
    ReaderLost,
    /// A signal came.
    Signal(i32),
}

/// Starts the threads.
///
/// # Errors
/// Signals cannot be caught, or threads not be started.
pub(crate) fn start() -> Result<(Sender<Message>, Receiver<Message>), TuiError> {
    let (sender, receiver) = mpsc::channel();
    catch_signals(&sender)?;
    read_input(sender.clone())?;
    Ok((sender, receiver))
}

/// Tells of signals that end or stop a process, in place of being ended by them, and of going on after a stop: the shell had
/// the terminal meanwhile, whatever stopped the process.
///
/// # Errors
/// They cannot be caught, or no thread be started.
pub(crate) fn catch_signals(tell: &Sender<Message>) -> Result<(), TuiError> {
    let caught = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGCONT];
    let mut signals = Signals::new(caught).map_err(TuiError::Signals)?;
    let tell = tell.clone();
    spawn("signals", move || {
        let mut ends = 0;
        for signal in signals.forever() {
            ends += u32::from(!matches!(signal, SIGTSTP | SIGCONT));
            // The main thread may hang on a terminal that takes nothing more: the second request is met here.
            if ends > 1 {
                terminal::restore_within(LAST_WORDS);
                std::process::exit(128 + signal);
            }
            if tell.send(Message::Signal(signal)).is_err() {
                return;
            }
        }
    })
}

/// How long a terminal may take until a process that was asked to end twice does not wait for it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Tells of it when its thread breaks down, for which somebody would wait for ever.
pub(crate) struct Alarm<'a> {
    pub(crate) tell: &'a Sender<Message>,
    pub(crate) says: fn() -> Message,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.tell.send((self.says)());
        }
    }
}

fn read_input(tell: Sender<Message>) -> Result<(), TuiError> {
    let broke = || Message::InputEnded(io::Error::other("reading its keys broke down"));
    spawn("input", move || {
        let _alarm = Alarm { tell: &tell, says: broke };
        loop {
            let (message, ended) = match event::read() {
                Ok(event) => (Message::Input(event), false),
                Err(error) => (Message::InputEnded(error), true),
            };
            if tell.send(message).is_err() || ended {
                return;
            }
        }
    })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), TuiError> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop).map_err(TuiError::Signals)
}
